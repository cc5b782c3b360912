/* SPDX-License-Identifier: MIT */
/*
 * whole.c - whole files: read, replaced, sent.
 */
#include "exec/file.h"

#include <weft/buffer.h>
#include <weft/error.h>
#include <weft/fiber.h>

#include <limits.h>
#include <string.h>

enum {
    SMALL = 4096,       /* for a file that does not say how large it is */
    CHUNK = 256 * 1024, /* sent before others have a turn */
    NAMES = 16          /* tried for the new file, until one is free */
};

/* ---- reading ------------------------------------------------------------ */

/* A larger piece of memory, for `room` octets and a 0. */
static int grow(weft_file_data *d, size_t room)
{
    char *larger = wf_alloc(room + 1);
    if (!larger) return -ENOMEM;
    if (d->data) memcpy(larger, d->data, d->len);
    size_t len = d->len;
    weft_file_data_free(d);
    *d = (weft_file_data){larger, len, room};
    return 0;
}

/* One octet more than there should be, so that a read sees the end. */
static size_t first_room(weft_fd fd, size_t limit)
{
    struct stat st;
    bool known = wf_os_fstat(weft_fd_number(fd), &st) == 0 && st.st_size > 0;
    uint64_t want = known ? (uint64_t)st.st_size : SMALL;
    return (want < limit ? (size_t)want : limit) + 1;
}

static int read_to_the_end(weft_fd fd, size_t limit, weft_file_data *d)
{
    int err = grow(d, first_room(fd, limit));
    while (err == 0) {
        ssize_t n = weft_file_read(fd, d->data + d->len, d->room_ - d->len);
        if (n < 0) return (int)n;
        d->len += (size_t)n;
        if (d->len > limit)
            return weft_fail_at(-EFBIG, NULL, 0, "more than %zu octets", limit);
        if (n == 0) break;
        if (d->len == d->room_)
            err = grow(d, d->room_ < limit / 2 ? 2 * d->room_ : limit + 1);
    }
    if (err == 0) d->data[d->len] = 0;
    return err;
}

int weft_file_read_all(const char *path, size_t limit, weft_file_data *ret_data)
{
    weft_fd fd;
    *ret_data = (weft_file_data){NULL, 0, 0};
    if (limit > SIZE_MAX / 2) limit = SIZE_MAX / 2;
    int err = weft_file_open(path, O_RDONLY, 0, &fd);
    if (err < 0) return err;
    err = read_to_the_end(fd, limit, ret_data);
    if (err < 0) weft_file_data_free(ret_data);
    (void)weft_close(fd); /* it was only read */
    return err;
}

void weft_file_data_free(weft_file_data *d)
{
    wf_free(d->data, d->room_ + 1);
    *d = (weft_file_data){NULL, 0, 0};
}

/* ---- replacing ---------------------------------------------------------- */

static size_t length_of_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* A new file in the same directory: its number, and its name. */
static int open_beside(const struct wf_file_op *op, char name[PATH_MAX])
{
    static unsigned last; /* atomic */
    int got = -EEXIST;
    for (int i = 0; i < NAMES && got == -EEXIST; i++) {
        unsigned n = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
        int len =
            snprintf(name, PATH_MAX, "%.*s.weft-%x-%x-%llx",
                     (int)length_of_directory(op->path), op->path,
                     (unsigned)getpid(), n, (unsigned long long)wf_os_clock());
        if (len >= PATH_MAX) return -ENAMETOOLONG;
        got = wf_os_open(name, O_WRONLY | O_CREAT | O_EXCL, op->mode);
    }
    return got;
}

static int write_and_sync(int number, const struct wf_file_op *op)
{
    ssize_t n = wf_write_fully(number, op->buf, op->len, -1);
    /* The first part went: once more for the reason why not the rest. */
    if (n >= 0 && (size_t)n < op->len)
        n = wf_write_fully(number, (char *)op->buf + n, op->len - (size_t)n,
                           -1);
    return n < 0 ? (int)n : wf_os_fsync(number);
}

/* Some file systems have nothing to sync there. */
static int sync_directory(const char *path)
{
    char name[PATH_MAX];
    size_t len = length_of_directory(path);
    (void)snprintf(name, sizeof name, "%.*s", len ? (int)len : 1,
                   len ? path : ".");
    int number = wf_os_open(name, O_RDONLY | O_DIRECTORY, 0);
    if (number == -EACCES) return 0; /* may be written to but not read */
    if (number < 0) return number;
    int err = wf_os_fsync(number);
    wf_os_close(number);
    return err == -EINVAL || err == -ENOTSUP ? 0 : err;
}

static int do_replace(void *arg)
{
    const struct wf_file_op *op = arg;
    char name[PATH_MAX];
    if (strlen(op->path) >= PATH_MAX) return -ENAMETOOLONG;
    int number = open_beside(op, name);
    if (number < 0) return number;
    int err = write_and_sync(number, op);
    int closed = wf_os_close_file(number);
    if (err == 0) err = closed;
    if (err == 0) err = wf_os_rename(name, op->path);
    if (err < 0) {
        (void)wf_os_unlink(name);
        return err;
    }
    return sync_directory(op->path);
}

int weft_file_write_atomic(const char *path, const void *data, size_t len,
                           mode_t mode)
{
    struct wf_file_op op = {
        .path = path, .buf = (void *)(uintptr_t)data, .len = len, .mode = mode};
    return wf_path_call(do_replace, &op, "write");
}

/* ---- sending ------------------------------------------------------------ */

/* Two ends of a piece stand for what is between them. */
static bool is_cached(int file, int64_t offset, size_t len)
{
    char octet;
    return wf_os_pread_cached(file, &octet, 1, offset) >= 0 &&
           wf_os_pread_cached(file, &octet, 1, offset + (int64_t)len - 1) >= 0;
}

static int do_send(void *arg)
{
    const struct wf_file_op *op = arg;
    return (int)wf_os_sendfile(op->flags, op->number, op->offset, op->len);
}

/* There is no flag against SIGPIPE; on the threads it is held back anyway. */
static ssize_t send_in_place(int to, int file, int64_t offset, size_t len)
{
    sigset_t before;
    bool was_pending = wf_os_sighold(SIGPIPE, &before);
    ssize_t n = wf_os_sendfile(to, file, offset, len);
    wf_os_sigunhold(SIGPIPE, &before, n == -EPIPE && !was_pending);
    return n;
}

static ssize_t send_on_thread(weft_fd to, weft_fd file, int64_t offset,
                              size_t len)
{
    int number = wf_fd_hold(to);
    if (number < 0) return number;
    struct wf_file_op op = {
        .fd = file, .flags = number, .offset = offset, .len = len};
    int n = wf_file_call(do_send, &op);
    wf_fd_let_go(number);
    return n;
}

/* By hand, where the system cannot send from this file or to this socket. */
static ssize_t copy_some(weft_fd to, weft_fd file, int64_t offset, size_t len)
{
    size_t done = 0;
    void *buf = weft_buffer_get();
    if (!buf) return -ENOMEM;
    ssize_t n = weft_file_pread(
        file, buf, len < WEFT_BUFFER_BYTES ? len : WEFT_BUFFER_BYTES, offset);
    int err = n > 0 ? weft_write_all(to, buf, (size_t)n, &done) : (int)n;
    weft_buffer_put(buf);
    return done > 0 ? (ssize_t)done : err;
}

/* Octets, 0 at the end of the file, or an error. */
static ssize_t send_some(weft_fd to, weft_fd file, int64_t offset, size_t len)
{
    if (len > CHUNK) len = CHUNK;
    if (len > (uint64_t)(INT64_MAX - offset))
        len = (size_t)(INT64_MAX - offset);
    for (;;) {
        int err = weft_pass_();
        if (err < 0) return err;
        int in = weft_fd_number(file), out = wf_fd_to_write(to);
        if (in < 0 || out < 0) return in < 0 ? in : out;
        ssize_t n = is_cached(in, offset, len)
                        ? send_in_place(out, in, offset, len)
                        : send_on_thread(to, file, offset, len);
        if (n == -EINVAL || n == -ENOSYS || n == -EOPNOTSUPP)
            return copy_some(to, file, offset, len);
        if (n != -EAGAIN) return n;
        err = weft_wait_ready(to, WEFT_WRITABLE);
        if (err < 0) return err;
    }
}

int weft_file_send(weft_fd to, weft_fd file, int64_t offset, size_t len,
                   size_t *ret_done)
{
    size_t done = 0;
    ssize_t n = weft_pass_();
    if (n == 0 && offset < 0) n = -EINVAL;
    while (n >= 0 && done < len) {
        n = send_some(to, file, offset + (int64_t)done, len - done);
        if (n == 0) break;
        if (n > 0) done += (size_t)n;
    }
    if (ret_done) *ret_done = done;
    return n < 0 ? (int)n : 0;
}
