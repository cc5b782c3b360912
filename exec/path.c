/* SPDX-License-Identifier: MIT */
/*
 * path.c - names of files, and directories.
 *
 * Entries of a directory are fetched in batches, since the way to a thread and
 * back takes longer than most of what is done there.
 */
#include "exec/file.h"

#include <weft/error.h>

#include <limits.h>
#include <string.h>

enum { BATCH = 4096 }; /* octets of entries */

/* The words are the fiber's, so they are said here and not on the thread. */
int wf_path_call(weft_fn fn, struct wf_file_op *op, const char *what)
{
    int rc = weft_blocking(fn, op);
    if (rc >= 0 || rc == -ECANCELED || rc == -EPERM) return rc;
    const char *to = op->other ? op->other : "";
    return weft_fail_at(rc, NULL, 0, "%s %s%s%s", what, op->path,
                        op->other ? " to " : "", to);
}

static int do_stat(void *arg)
{
    const struct wf_file_op *op = arg;
    return op->flags ? wf_os_lstat(op->path, op->stat)
                     : wf_os_stat(op->path, op->stat);
}

static int stat_path(const char *path, int is_lstat, struct stat *ret_stat)
{
    struct stat st;
    struct wf_file_op op = {.path = path, .flags = is_lstat, .stat = &st};
    int err = wf_path_call(do_stat, &op, "stat");
    if (err == 0) *ret_stat = st;
    return err;
}

int weft_file_stat(const char *path, struct stat *ret_stat)
{
    return stat_path(path, 0, ret_stat);
}

int weft_file_lstat(const char *path, struct stat *ret_stat)
{
    return stat_path(path, 1, ret_stat);
}

static int do_rename(void *arg)
{
    const struct wf_file_op *op = arg;
    return wf_os_rename(op->path, op->other);
}

static int do_unlink(void *arg)
{
    return wf_os_unlink(((const struct wf_file_op *)arg)->path);
}

static int do_mkdir(void *arg)
{
    const struct wf_file_op *op = arg;
    return wf_os_mkdir(op->path, op->mode);
}

static int do_rmdir(void *arg)
{
    return wf_os_rmdir(((const struct wf_file_op *)arg)->path);
}

int weft_file_rename(const char *from, const char *to)
{
    struct wf_file_op op = {.path = from, .other = to};
    return wf_path_call(do_rename, &op, "rename");
}

int weft_file_unlink(const char *path)
{
    return wf_path_call(do_unlink, &(struct wf_file_op){.path = path},
                        "unlink");
}

int weft_file_mkdir(const char *path, mode_t mode)
{
    struct wf_file_op op = {.path = path, .mode = mode};
    return wf_path_call(do_mkdir, &op, "mkdir");
}

int weft_file_rmdir(const char *path)
{
    return wf_path_call(do_rmdir, &(struct wf_file_op){.path = path}, "rmdir");
}

static int do_realpath(void *arg)
{
    const struct wf_file_op *op = arg;
    char whole[PATH_MAX];
    int err = wf_os_realpath(op->path, whole);
    if (err < 0) return err;
    size_t len = strlen(whole);
    if (len >= op->len) return -ENAMETOOLONG;
    memcpy(op->buf, whole, len + 1);
    return (int)len;
}

int weft_file_realpath(const char *path, char *buf, size_t size)
{
    struct wf_file_op op = {.path = path, .buf = buf, .len = size};
    return wf_path_call(do_realpath, &op, "realpath");
}

/* ---- directories -------------------------------------------------------- */

struct entry {
    uint64_t inode;
    uint16_t bytes; /* of all of it: the next one begins there */
    uint8_t type;
    char name[]; /* and a 0 */
};

struct weft_dir {
    DIR *dir;
    struct dirent *kept; /* did not fit into the last batch */
    size_t used, at;
    int end;   /* what comes after the batch: 1: another one, 0 or an error */
    bool busy; /* a thread is filling it */
    _Alignas(struct entry) char batch[BATCH];
};

static int do_opendir(void *arg)
{
    const struct wf_file_op *op = arg;
    return wf_os_opendir(op->path, &((weft_dir *)op->buf)->dir);
}

int weft_dir_open(const char *path, weft_dir **ret_dir)
{
    int err = weft_pass_();
    if (err < 0) return err;
    weft_dir *d = wf_alloc(sizeof *d);
    if (!d) return -ENOMEM;
    d->kept = NULL;
    d->used = d->at = 0;
    d->end = 1;
    d->busy = false;
    struct wf_file_op op = {.path = path, .buf = d};
    err = wf_path_call(do_opendir, &op, "open directory");
    if (err < 0)
        wf_free(d, sizeof *d);
    else
        *ret_dir = d;
    return err;
}

static weft_file_type type_of(const struct dirent *e)
{
    switch (e->d_type) {
    case DT_UNKNOWN:
        return WEFT_FILE_UNKNOWN;
    case DT_REG:
        return WEFT_FILE_REGULAR;
    case DT_DIR:
        return WEFT_FILE_DIRECTORY;
    case DT_LNK:
        return WEFT_FILE_LINK;
    default:
        return WEFT_FILE_OTHER;
    }
}

/* False: there is no room. */
static bool put_entry(weft_dir *d, const struct dirent *from)
{
    size_t len = strlen(from->d_name) + 1;
    size_t bytes = offsetof(struct entry, name) + len;
    bytes =
        (bytes + _Alignof(struct entry) - 1) & ~(_Alignof(struct entry) - 1);
    if (bytes > BATCH - d->used) return false;
    struct entry *e = (struct entry *)(void *)(d->batch + d->used);
    e->inode = from->d_ino;
    e->bytes = (uint16_t)bytes;
    e->type = (uint8_t)type_of(from);
    memcpy(e->name, from->d_name, len);
    d->used += bytes;
    return true;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int do_fill(void *arg)
{
    weft_dir *d = arg;
    struct dirent *e = d->kept;
    d->used = d->at = 0;
    d->kept = NULL;
    d->end = 1;
    for (;;) {
        if (e && !is_dots(e->d_name) && !put_entry(d, e)) break;
        d->end = wf_os_readdir(d->dir, &e);
        if (d->end <= 0) return 0;
    }
    d->kept = e;
    return 0;
}

int weft_dir_next(weft_dir *d, weft_dirent *ret_entry)
{
    int err = weft_pass_();
    if (err < 0) return err;
    if (d->busy)
        return wf_misuse(-EBUSY, "weft_dir_next: another fiber is at it");
    if (d->at == d->used && d->end > 0) {
        d->busy = true;
        err = weft_blocking(do_fill, d);
        d->busy = false;
        if (err < 0) return err;
    }
    if (d->at == d->used) return d->end;
    const struct entry *e = (const struct entry *)(void *)(d->batch + d->at);
    d->at += e->bytes;
    *ret_entry = (weft_dirent){
        .name = e->name, .inode = e->inode, .type = (weft_file_type)e->type};
    return 1;
}

void weft_dir_close(weft_dir *d)
{
    if (!d) return;
    WF_ASSERT(!d->busy);
    wf_os_closedir(d->dir);
    wf_free(d, sizeof *d);
}
