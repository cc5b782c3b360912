/* SPDX-License-Identifier: MIT */
/*
 * file.c - open files: in place what the cache has, on a thread the rest.
 *
 * Copying in place holds up all fibers. So it costs a fiber its credit, as
 * cancel points do; and there is only so much of it in each turn of the
 * scheduler, however many fibers read: then another turn comes first, and with
 * it the timers.
 *
 * A thread works with the number of a descriptor, and that must not become
 * another file's meanwhile. So it is held for as long (wf_fd_hold): a close
 * ends the handle at once, but the number only when the last call is over.
 */
#include "exec/file.h"

#include <weft/fiber.h>

#include <limits.h>

#include "exec/pool.h"

enum {
    POINT = 1024, /* octets copied in place in the time of a cancel point */
    STEP = POINT * WF_CREDIT, /* and by one fiber before others have a turn */
    IN_A_TURN = 4 * STEP,     /* and by all before the outside is asked */
    MOST = 1024 * 1024 * 1024 /* in one call: its result is an int */
};

int wf_file_call(weft_fn fn, struct wf_file_op *op)
{
    int err = weft_pass_();
    if (err < 0) return err;
    op->number = wf_fd_hold(op->fd);
    if (op->number < 0) return op->number;
    int rc = weft_blocking(fn, op);
    wf_fd_let_go(op->number);
    return rc;
}

/* ---- opening and closing ------------------------------------------------ */

static int do_open(void *arg)
{
    const struct wf_file_op *op = arg;
    return wf_os_open(op->path, op->flags | O_NONBLOCK, op->mode);
}

int weft_file_open(const char *path, int flags, mode_t mode, weft_fd *ret_fd)
{
    struct wf_file_op op = {.path = path, .flags = flags, .mode = mode};
    int number = wf_path_call(do_open, &op, "open");
    if (number < 0) return number;
    int err = weft_fd_adopt(number, ret_fd);
    if (err < 0) wf_os_close(number);
    return err;
}

static int do_close(void *arg)
{
    const struct wf_file_op *op = arg;
    return wf_os_close_file(op->number);
}

int weft_file_close(weft_fd fd)
{
    if (!wf_self()) return weft_pass_();
    if (weft_fd_number(fd) < 0) return weft_close(fd);
    int number = weft_fd_release(fd);
    if (number == -EBUSY) return weft_close(fd); /* by the last who uses it */
    struct wf_file_op op = {.number = number};
    return wf_blocking_nc(do_close, &op);
}

/* ---- reading ------------------------------------------------------------ */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The offset `done` octets on; the position moves on by itself. */
static int64_t behind(int64_t offset, size_t done)
{
    return offset < 0 ? offset : offset + (int64_t)done;
}

static int do_read(void *arg)
{
    const struct wf_file_op *op = arg;
    size_t done = 0;
    ssize_t n;
    do {
        n = wf_os_pread(op->number, (char *)op->buf + done, op->len - done,
                        behind(op->offset, done));
        if (n > 0) done += (size_t)n;
    } while (n > 0 && done < op->len);
    return done > 0 ? (int)done : (int)n;
}

static __thread struct {
    uint64_t turn;
    ssize_t octets; /* copied in it */
} copied;

/* In a fiber, before its cancel point. */
static void wait_for_room(void)
{
    if (wf_end_turn_if_late()) wf_yield();
    while (wf_turn() == copied.turn && copied.octets >= IN_A_TURN)
        wf_yield_to_turn();
    if (wf_turn() != copied.turn) copied.octets = 0;
    copied.turn = wf_turn();
}

/* Linux 5.9 and 5.10 may say 0 also of what is not in the cache. */
static bool is_at_end(int number, int64_t offset)
{
    struct stat st;
    if (wf_os_fstat(number, &st) < 0) return false;
    if (offset < 0) offset = wf_os_position(number);
    return offset >= st.st_size;
}

static ssize_t read_in_place(int number, char *buf, size_t len, int64_t offset)
{
    ssize_t n = wf_os_pread_cached(number, buf, len, offset);
    if (n == 0 && !is_at_end(number, offset)) return -EAGAIN;
    if (n <= 0) return n;
    wf_spend((int32_t)(n / POINT));
    copied.octets += n;
    return n;
}

/* Up to `len` octets, from where they are to be had; 0 at the end. */
static ssize_t read_some(weft_fd fd, char *buf, size_t len, int64_t offset)
{
    int number = weft_fd_number(fd);
    if (number < 0) return number;
    ssize_t n = read_in_place(number, buf, least(len, STEP), offset);
    if (n >= 0) return n;
    struct wf_file_op op = {
        .fd = fd, .buf = buf, .len = least(len, MOST), .offset = offset};
    return wf_file_call(do_read, &op);
}

static ssize_t read_fully(weft_fd fd, void *buf, size_t len, int64_t offset)
{
    size_t done = 0;
    ssize_t n = 0;
    while (done < len) {
        if (wf_self()) wait_for_room();
        n = weft_pass_();
        if (n == 0)
            n = read_some(fd, (char *)buf + done, len - done,
                          behind(offset, done));
        if (n <= 0) break;
        done += (size_t)n;
    }
    return done > 0 ? (ssize_t)done : n;
}

/* What an offset needs: 0, or why not. */
static int check_offset(weft_fd fd, int64_t offset)
{
    int err = weft_pass_();
    if (err < 0) return err;
    if (weft_fd_number(fd) < 0) return -EBADF;
    if (offset < 0) return -EINVAL;
    return wf_fd_is_file(fd) ? 0 : -ESPIPE;
}

ssize_t weft_file_read(weft_fd fd, void *buf, size_t len)
{
    if (!wf_fd_is_file(fd)) return weft_read(fd, buf, len);
    return len > 0 ? read_fully(fd, buf, len, -1) : weft_pass_();
}

ssize_t weft_file_pread(weft_fd fd, void *buf, size_t len, int64_t offset)
{
    int err = check_offset(fd, offset);
    return err < 0 ? err : read_fully(fd, buf, len, offset);
}

/* ---- writing ------------------------------------------------------------ */

ssize_t wf_write_fully(int number, const void *buf, size_t len, int64_t offset)
{
    size_t done = 0;
    ssize_t n = 0;
    while (done < len) {
        n = wf_os_pwrite(number, (const char *)buf + done, len - done,
                         behind(offset, done));
        if (n <= 0) break;
        done += (size_t)n;
    }
    return done > 0 ? (ssize_t)done : n;
}

static int do_write(void *arg)
{
    const struct wf_file_op *op = arg;
    return (int)wf_write_fully(op->number, op->buf, op->len, op->offset);
}

/* Always on a thread: few systems can say that a write would not wait, and of
 * one that is appended they must not do half. */
static ssize_t write_fully(weft_fd fd, const void *buf, size_t len,
                           int64_t offset)
{
    size_t done = 0;
    ssize_t n, part;
    do {
        part = (ssize_t)least(len - done, MOST);
        struct wf_file_op op = {.fd = fd,
                                .buf = (char *)(uintptr_t)buf + done,
                                .len = (size_t)part,
                                .offset = behind(offset, done)};
        n = wf_file_call(do_write, &op);
        if (n > 0) done += (size_t)n;
    } while (n == part && done < len);
    return done > 0 ? (ssize_t)done : n;
}

ssize_t weft_file_write(weft_fd fd, const void *buf, size_t len)
{
    if (!wf_fd_is_file(fd)) return weft_write(fd, buf, len);
    return write_fully(fd, buf, len, -1);
}

ssize_t weft_file_pwrite(weft_fd fd, const void *buf, size_t len,
                         int64_t offset)
{
    int err = check_offset(fd, offset);
    return err < 0 ? err : write_fully(fd, buf, len, offset);
}

/* ---- the rest ----------------------------------------------------------- */

static int do_sync(void *arg)
{
    return wf_os_fsync(((const struct wf_file_op *)arg)->number);
}

static int do_datasync(void *arg)
{
    return wf_os_fdatasync(((const struct wf_file_op *)arg)->number);
}

static int do_truncate(void *arg)
{
    const struct wf_file_op *op = arg;
    return wf_os_ftruncate(op->number, op->offset);
}

static int do_fstat(void *arg)
{
    const struct wf_file_op *op = arg;
    return wf_os_fstat(op->number, op->stat);
}

int weft_file_sync(weft_fd fd)
{
    return wf_file_call(do_sync, &(struct wf_file_op){.fd = fd});
}

int weft_file_datasync(weft_fd fd)
{
    return wf_file_call(do_datasync, &(struct wf_file_op){.fd = fd});
}

int weft_file_truncate(weft_fd fd, int64_t size)
{
    struct wf_file_op op = {.fd = fd, .offset = size};
    return wf_file_call(do_truncate, &op);
}

int weft_file_fstat(weft_fd fd, struct stat *ret_stat)
{
    struct stat st;
    struct wf_file_op op = {.fd = fd, .stat = &st};
    int err = wf_file_call(do_fstat, &op);
    if (err == 0) *ret_stat = st;
    return err;
}
