/* SPDX-License-Identifier: MIT */
/*
 * file_root.c - a directory that nothing leads out of.
 *
 * A name is resolved, and what comes of it must be below the directory. That is
 * then opened, by a name without links, of which somebody may have made a link
 * meanwhile, or put another file in its place. So the open file is asked where
 * it is, and if that is not what was opened all is done again, a few times: a
 * file that is replaced all the time is found in one of them.
 */
#include "file_root.h"

#include <weft/buffer.h>

#include <stdio.h>
#include <string.h>

enum { TRIES = 8 };
_Static_assert(2 * WF_ROOT_BYTES <= WEFT_BUFFER_BYTES, "two names in a buffer");

/* Where the open file is, by the kernel (Linux); -ENOENT: it is nowhere, or
 * there is no /proc. */
static int where_is(weft_fd fd, char *buf)
{
    char link[32];
    int number = weft_fd_number(fd);
    if (number < 0) return number;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", number);
    return weft_file_realpath(link, buf, WF_ROOT_BYTES);
}

static bool is_below(const struct wf_root *root, const char *path)
{
    return strncmp(path, root->path, root->len) == 0 &&
           (path[root->len] == '/' || path[root->len] == 0);
}

/* `path` is without links. O_NONBLOCK: nobody waits for who writes a FIFO. */
static int open_plain(const char *path, weft_fd *ret_fd, struct stat *ret_stat)
{
    int err = weft_file_open(
        path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0, ret_fd);
    if (err < 0) return err;
    err = weft_file_fstat(*ret_fd, ret_stat);
    if (err < 0) (void)weft_close(*ret_fd);
    return err;
}

/* -ESTALE: it was moved meanwhile. */
static int try_open(const struct wf_root *root, const char *name, char *buf,
                    weft_fd *ret_fd, struct stat *ret_stat)
{
    char *real = buf, *now = buf + WF_ROOT_BYTES;
    int err = weft_file_realpath(name, real, WF_ROOT_BYTES);
    if (err < 0) return err;
    if (!is_below(root, real)) return -ENOENT;
    err = open_plain(real, ret_fd, ret_stat);
    if (err == -ELOOP) return -ESTALE;
    if (err < 0 || !root->can_ask) return err;
    err = where_is(*ret_fd, now);
    if (err > 0 && strcmp(real, now) == 0) return 0;
    (void)weft_close(*ret_fd);
    return err >= 0 || err == -ENOENT ? -ESTALE : err;
}

int wf_root_open(const struct wf_root *root, const char *name, weft_fd *ret_fd,
                 struct stat *ret_stat)
{
    char *buf = weft_buffer_get();
    if (!buf) return -ENOMEM;
    int err = -ESTALE;
    for (int i = 0; i < TRIES && err == -ESTALE; i++)
        err = try_open(root, name, buf, ret_fd, ret_stat);
    weft_buffer_put(buf);
    return err == -ESTALE ? -ENOENT : err;
}

int wf_root_init(struct wf_root *root, const char *directory)
{
    struct stat st;
    weft_fd fd;
    int err = weft_file_realpath(directory, root->path, WF_ROOT_BYTES);
    if (err < 0) return err;
    char *now = weft_buffer_get();
    if (!now) return -ENOMEM;
    err = open_plain(root->path, &fd, &st);
    if (err < 0) goto put_buffer;
    if (!S_ISDIR(st.st_mode)) err = -ENOTDIR;
    if (err == 0) err = where_is(fd, now);
    root->can_ask = err > 0 && strcmp(root->path, now) == 0;
    if (err > 0 || err == -ENOENT || err == -EACCES) err = 0;
    root->len = strcmp(root->path, "/") == 0 ? 0 : strlen(root->path);
    root->path[root->len] = 0;
    (void)weft_close(fd);
put_buffer:
    weft_buffer_put(now);
    return err;
}
