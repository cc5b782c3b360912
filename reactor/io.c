/* SPDX-License-Identifier: MIT */
/*
 * io.c - reading, writing and waiting; adopting and closing.
 *
 * Every operation is a loop of two steps: try, and if there is nothing, park.
 * A read whose bit is clear skips the try; a send is always tried first. The
 * bit is cleared by EAGAIN and, on a stream that has not hung up, by a read
 * shorter than its buffer: what comes after it makes a new edge. It is cleared
 * before parking and no turn lies between, so no edge can be missed.
 *
 * A fiber woken from its park has been granted readiness; it tries again and
 * does not look at cancellation before that. If the hint was wrong and it has
 * to park again, it does look.
 */
#include <weft/io.h>

#include "reactor/here.h"
#include "runtime/os.h"

/* ---- adopting and closing ----------------------------------------------- */

/* Ends this opening: its waiters, its registration, its generation. */
static void shut(struct wf_fd *e)
{
    wf_fd_wake_all(e, -EBADF);
    wf_fd_unregister(e);
    wf_fdtable_close(&wf_reactor->fds, e);
}

int wf_fd_open(int number, enum wf_fd_kind kind, weft_fd *ret_fd)
{
    struct wf_reactor *r = wf_reactor;
    struct wf_fd *e = wf_fdtable_make(&r->fds, number);
    if (!e) return -ENOMEM;
    if (e->kind != WF_FD_NONE) {
        /* Closed behind our back, and the number has come round. The kernel
         * dropped the registration then, unless the file was dup'ed. */
        shut(e);
    }
    wf_fdtable_open(&r->fds, e, kind);
    *ret_fd = (weft_fd){(uint32_t)number, e->generation};
    return 0;
}

/* Not every system tells it of a Unix socket without a name. */
static int family_of(int fd)
{
    struct sockaddr_storage at = {.ss_family = AF_UNIX};
    socklen_t len = sizeof at;
    (void)wf_os_getsockname(fd, (struct sockaddr *)&at, &len);
    return at.ss_family;
}

/* Of a listener that of the connections it takes. */
static int kind_of_socket(int fd)
{
    int type = 0;
    socklen_t len = sizeof type;
    int err = wf_os_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
    return err < 0 ? err : (int)wf_fd_kind_of(family_of(fd), type);
}

static bool has_peer(int fd)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    return wf_os_getpeername(fd, (struct sockaddr *)&peer, &len) == 0;
}

static int kind_of(int fd)
{
    struct stat st;
    int err = wf_os_fstat(fd, &st);
    if (err < 0) return err;
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode))
        return WF_FD_FILE;
    if (!S_ISSOCK(st.st_mode)) return WF_FD_PIPE;

    int kind = kind_of_socket(fd);
    if (kind < 0 || kind == WF_FD_DATAGRAM) return kind;
    int listening = wf_os_is_listening(fd);
    return listening < 0 ? listening : listening ? WF_FD_LISTENER : kind;
}

static int set_nonblocking(int fd)
{
    int flags = wf_os_fcntl(fd, F_GETFL, 0);
    if (flags < 0 || flags & O_NONBLOCK) return flags < 0 ? flags : 0;
    return wf_os_fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static int adopt(int fd, int kind, weft_fd *ret_fd)
{
    int accepts = kind == WF_FD_LISTENER ? kind_of_socket(fd) : WF_FD_NONE;
    if (accepts < 0) return accepts;
    int err = wf_fd_open(fd, (enum wf_fd_kind)kind, ret_fd);
    if (err < 0) return err;
    /* It may hold something already. */
    struct wf_fd *e = wf_fd_of(*ret_fd);
    WF_ASSERT(e);
    e->ready = WF_IN | WF_OUT;
    e->accepts = (uint8_t)accepts;
    e->connected = kind == WF_FD_DATAGRAM && has_peer(fd);
    return 0;
}

int weft_fd_adopt(int fd, weft_fd *ret_fd)
{
    if (!wf_reactor)
        return wf_misuse(-EPERM, "weft_fd_adopt: no run on this thread");
    int kind = kind_of(fd);
    if (kind < 0) return kind;
    if (kind != WF_FD_FILE) {
        int err = set_nonblocking(fd);
        if (err < 0) return err;
        wf_os_quiet(fd);
    }
    return adopt(fd, kind, ret_fd);
}

int weft_fd_adopt_shared(int fd, weft_fd *ret_fd)
{
    if (!wf_reactor)
        return wf_misuse(-EPERM, "weft_fd_adopt_shared: no run on this thread");
    int kind = kind_of(fd);
    if (kind < 0) return kind;
    if (kind == WF_FD_LISTENER)
        return wf_misuse(-EINVAL,
                         "weft_fd_adopt_shared: descriptor %d listens, and "
                         "an accept would wait",
                         fd);
    return adopt(fd, kind == WF_FD_FILE ? kind : WF_FD_SHARED, ret_fd);
}

int weft_fd_release(weft_fd fd)
{
    struct wf_fd *e = wf_fd_of(fd);
    if (!e)
        return wf_misuse(-EBADF, "weft_fd_release: descriptor %u is closed",
                         fd.slot);
    if (e->held > 0) return -EBUSY;
    shut(e);
    return e->number;
}

void weft_close_released(int fd)
{
    wf_os_close(fd);
    if (wf_reactor) wf_fd_freed();
}

int weft_fd_number(weft_fd fd)
{
    struct wf_fd *e = wf_fd_of(fd);
    return e ? e->number : -EBADF;
}

int weft_close(weft_fd fd)
{
    struct wf_fd *e = wf_fd_of(fd);
    if (!e)
        return wf_misuse(-EBADF,
                         "weft_close: descriptor %u is closed already, or was "
                         "never open: close it in one place",
                         fd.slot);
    shut(e);
    if (e->held > 0)
        e->close_later = 1;
    else
        weft_close_released(e->number);
    return 0;
}

int wf_fd_hold(weft_fd fd)
{
    struct wf_fd *e = wf_fd_of(fd);
    if (!e) return -EBADF;
    e->held++;
    return e->number;
}

void wf_fd_let_go(int number)
{
    struct wf_fd *e = wf_fdtable_at(&wf_reactor->fds, (uint32_t)number);
    WF_ASSERT(e && e->held > 0);
    if (--e->held > 0 || !e->close_later) return;
    e->close_later = 0;
    weft_close_released(e->number);
}

bool wf_fd_is_file(weft_fd fd)
{
    const struct wf_fd *e = wf_fd_of(fd);
    return e && e->kind == WF_FD_FILE;
}

/* ---- trying ------------------------------------------------------------- */

static bool is_socket(const struct wf_fd *e)
{
    return e->kind <= WF_FD_LISTENER;
}

/* Which of these there are, with WF_HUP if the poller would say that; or 0. */
static int ready_now(int fd, unsigned want)
{
    struct pollfd ask = {.fd = fd};
    ask.events = (short)(POLLRDHUP | (want & WF_IN ? POLLIN : 0) |
                         (want & WF_OUT ? POLLOUT : 0));
    int n = wf_os_poll(&ask, 1, 0);
    if (n <= 0) return n;
    /* There are devices that poll does not know. */
    if (ask.revents & POLLNVAL) return wf_os_is_open(fd) ? 0 : -EBADF;
    bool gone = ask.revents & (POLLHUP | POLLERR);
    unsigned ready = (ask.revents & POLLIN || gone ? WF_IN : 0u) |
                     (ask.revents & POLLOUT || gone ? WF_OUT : 0u) |
                     (ask.revents & POLLRDHUP || gone ? WF_HUP : 0u);
    return ready & want ? (int)(ready & (want | WF_HUP)) : 0;
}

static int shared_ready(const struct wf_fd *e, unsigned want)
{
    int ready = ready_now(e->number, want);
    return ready == 0 ? -EAGAIN : ready;
}

static ssize_t read_shared(const struct wf_fd *e, void *buf, size_t len)
{
    ssize_t n = wf_os_recv(e->number, buf, len, MSG_DONTWAIT);
    if (n != -ENOTSOCK) return n;
    n = shared_ready(e, WF_IN);
    return n < 0 ? n : wf_os_read(e->number, buf, len);
}

/* *ret_short: if these are less than asked for there are no more. */
static ssize_t receive(const struct wf_fd *e, void *buf, size_t len,
                       bool *ret_short)
{
    *ret_short = e->kind == WF_FD_STREAM;
    if (e->kind == WF_FD_UNIX)
        return wf_os_recv_unix(e->number, buf, len, ret_short);
    return is_socket(e)              ? wf_os_recv(e->number, buf, len, 0)
           : e->kind == WF_FD_SHARED ? read_shared(e, buf, len)
                                     : wf_os_read(e->number, buf, len);
}

static ssize_t try_read(struct wf_fd *e, void *buf, size_t len)
{
    bool short_is_all;
    ssize_t n = receive(e, buf, len, &short_is_all);
    if (n == -EAGAIN)
        e->ready &= (uint8_t)~WF_IN;
    else if (n > 0 && (size_t)n < len && short_is_all &&
             !(e->ready & (WF_HUP | WF_PRI)))
        e->ready &= (uint8_t)~WF_IN;
    return n;
}

/* Only sockets can be told not to raise SIGPIPE. For the rest it is held back
 * and, if this write raised it, taken off the thread again. */
static ssize_t write_quietly(int fd, const struct iovec *iov, int count)
{
    sigset_t before;
    bool was_pending = wf_os_sighold(SIGPIPE, &before);
    ssize_t n = wf_os_writev(fd, iov, count);
    wf_os_sigunhold(SIGPIPE, &before, n == -EPIPE && !was_pending);
    return n;
}

/* A pipe or a terminal that can be written to takes so much. */
enum { SHARED_PIECE = 256 };

static ssize_t write_shared(const struct wf_fd *e, const void *buf, size_t len)
{
    ssize_t n = wf_os_send(e->number, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n != -ENOTSOCK) return n;
    n = shared_ready(e, WF_OUT);
    const struct iovec one = {(void *)(uintptr_t)buf,
                              len < SHARED_PIECE ? len : SHARED_PIECE};
    return n < 0 ? n : write_quietly(e->number, &one, 1);
}

/* The first of them that is not empty, or the last. */
static struct iovec first_piece(const struct iovec *iov, int count)
{
    while (count > 1 && iov->iov_len == 0)
        iov++, count--;
    return count > 0 ? *iov : (struct iovec){NULL, 0};
}

static ssize_t try_write(struct wf_fd *e, const void *buf, size_t len)
{
    struct iovec one = {(void *)(uintptr_t)buf, len};
    ssize_t n = is_socket(e) ? wf_os_send(e->number, buf, len, MSG_NOSIGNAL)
                : e->kind == WF_FD_FILE   ? wf_os_write(e->number, buf, len)
                : e->kind == WF_FD_SHARED ? write_shared(e, buf, len)
                                          : write_quietly(e->number, &one, 1);
    if (n == -EAGAIN) e->ready &= (uint8_t)~WF_OUT;
    return n;
}

/* ---- try, and if there is nothing, park --------------------------------- */

static struct wf_fd *enter(weft_fd fd, int *ret_err)
{
    int err = weft_pass_();
    struct wf_fd *e = err < 0 ? NULL : wf_fd_of(fd);
    *ret_err = err < 0 ? err : e ? 0 : -EBADF;
    return e;
}

ssize_t weft_read(weft_fd fd, void *buf, size_t len)
{
    uintptr_t ticket = 0;
    int err;
    struct wf_fd *e = enter(fd, &err);
    if (!e) return err;
    for (;;) {
        if (e->ready & WF_IN || e->kind == WF_FD_FILE) {
            ssize_t n = try_read(e, buf, len);
            if (n != -EAGAIN) return n;
        }
        err = wf_fd_wait(fd, e, WF_IN, &wf_wait_read, &ticket);
        if (err < 0) return err;
    }
}

int weft_known_ready(weft_fd fd)
{
    const struct wf_fd *e = wf_fd_of(fd);
    if (!e) return -EBADF;
    if (e->kind == WF_FD_FILE) return WEFT_READABLE | WEFT_WRITABLE;
    return e->ready & (WF_IN | WF_OUT | WF_HUP);
}

ssize_t weft_try_read(weft_fd fd, void *buf, size_t len)
{
    struct wf_fd *e = wf_fd_of(fd);
    if (!e) return -EBADF;
    if (!(e->ready & WF_IN) && e->kind != WF_FD_FILE && e->registered) {
        wf_poller_expect(wf_reactor->poller, e->number, WF_IN);
        return -EAGAIN;
    }
    return try_read(e, buf, len);
}

ssize_t weft_readv(weft_fd fd, const struct iovec *iov, int count)
{
    uintptr_t ticket = 0;
    int err;
    struct wf_fd *e = enter(fd, &err);
    if (!e) return err;
    for (;;) {
        if (e->ready & WF_IN || e->kind == WF_FD_FILE) {
            struct iovec first = first_piece(iov, count);
            ssize_t n = e->kind == WF_FD_SHARED
                            ? read_shared(e, first.iov_base, first.iov_len)
                            : wf_os_readv(e->number, iov, count);
            if (n != -EAGAIN) return n;
            e->ready &= (uint8_t)~WF_IN;
        }
        err = wf_fd_wait(fd, e, WF_IN, &wf_wait_read, &ticket);
        if (err < 0) return err;
    }
}

ssize_t weft_write(weft_fd fd, const void *buf, size_t len)
{
    uintptr_t ticket = 0;
    int err;
    struct wf_fd *e = enter(fd, &err);
    if (!e) return err;
    err = wf_fd_wait_turn(fd, e, &ticket);
    if (err < 0) return err;
    for (;;) {
        ssize_t n = try_write(e, buf, len);
        if (n != -EAGAIN) return n;
        err = wf_fd_wait(fd, e, WF_OUT, &wf_wait_write, &ticket);
        if (err < 0) return err;
    }
}

ssize_t weft_try_write(weft_fd fd, const void *buf, size_t len)
{
    struct wf_fd *e = wf_fd_of(fd);
    int err = e ? wf_fd_try_turn(e) : -EBADF;
    return err < 0 ? err : try_write(e, buf, len);
}

ssize_t weft_writev(weft_fd fd, const struct iovec *iov, int count)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                         .msg_iovlen = (__typeof__(msg.msg_iovlen))count};
    uintptr_t ticket = 0;
    int err;
    struct wf_fd *e = enter(fd, &err);
    if (!e) return err;
    err = wf_fd_wait_turn(fd, e, &ticket);
    if (err < 0) return err;
    struct iovec first = first_piece(iov, count);
    for (;;) {
        ssize_t n = is_socket(e) ? wf_os_sendmsg(e->number, &msg, MSG_NOSIGNAL)
                    : e->kind == WF_FD_FILE
                        ? wf_os_writev(e->number, iov, count)
                    : e->kind == WF_FD_SHARED
                        ? write_shared(e, first.iov_base, first.iov_len)
                        : write_quietly(e->number, iov, count);
        if (n != -EAGAIN) return n;
        e->ready &= (uint8_t)~WF_OUT;
        err = wf_fd_wait(fd, e, WF_OUT, &wf_wait_write, &ticket);
        if (err < 0) return err;
    }
}

int weft_write_all(weft_fd fd, const void *buf, size_t len, size_t *ret_done)
{
    size_t done = 0;
    ssize_t n = 0;
    do {
        n = weft_write(fd, (const char *)buf + done, len - done);
        if (n > 0) done += (size_t)n;
    } while (n >= 0 && done < len);
    if (ret_done) *ret_done = done;
    return n < 0 ? (int)n : 0;
}

int weft_read_exact(weft_fd fd, void *buf, size_t len, size_t *ret_done)
{
    size_t done = 0;
    ssize_t n = 1;
    while (done < len) {
        n = weft_read(fd, (char *)buf + done, len - done);
        if (n <= 0) break;
        done += (size_t)n;
    }
    if (ret_done) *ret_done = done;
    return done == len ? 0 : n < 0 ? (int)n : -EPIPE;
}

/* ---- waiting only ------------------------------------------------------- */

/* Known from before, it is asked again: somebody may have read it by the
 * number. */
static int ready_of(struct wf_fd *e, unsigned want, bool ask)
{
    if (e->kind == WF_FD_FILE) return (int)want;
    if (!(e->ready & want) && !ask) return 0;
    int now = ready_now(e->number, want);
    if (now < 0) return now;
    e->ready &= (uint8_t)~want;
    e->ready |= (uint8_t)(now & (int)want);
    return now;
}

/* One that the poller was never told of brings no news by itself. */
int wf_fd_ready(weft_fd fd, int events, bool ask)
{
    struct wf_fd *e = wf_fd_of(fd);
    unsigned want = (unsigned)events & (WF_IN | WF_OUT);
    if (!e) return -EBADF;
    if (!want) return -EINVAL;
    return ready_of(e, want, ask || !e->registered);
}

int weft_wait_ready(weft_fd fd, int events)
{
    uintptr_t ticket = 0;
    int err;
    struct wf_fd *e = enter(fd, &err);
    if (!e) return err;
    unsigned want = (unsigned)events & (WF_IN | WF_OUT);
    if (!want) return -EINVAL;
    err = ready_of(e, want, false);
    if (err != 0) return err;
    return wf_fd_wait(fd, e, want,
                      want == WF_OUT ? &wf_wait_write : &wf_wait_read, &ticket);
}

int weft_wait_fd(int fd, int events)
{
    uintptr_t ticket = 0;
    int err = weft_pass_();
    if (err < 0) return err;
    unsigned want = (unsigned)events & (WF_IN | WF_OUT);
    if (fd < 0) return -EBADF;
    if (!want) return -EINVAL;
    struct wf_fd *e = wf_fdtable_make(&wf_reactor->fds, fd);
    if (!e) return -ENOMEM;
    if (e->kind != WF_FD_NONE && e->kind != WF_FD_FOREIGN)
        return wf_misuse(-EBUSY,
                         "weft_wait_fd: descriptor %d is one of weft's own: "
                         "use weft_wait_ready, or release it first",
                         fd);
    int ready = ready_now(fd, want);
    if (ready != 0) return ready;
    if (e->kind == WF_FD_NONE)
        wf_fdtable_open(&wf_reactor->fds, e, WF_FD_FOREIGN);
    return wf_fd_wait((weft_fd){(uint32_t)fd, e->generation}, e, want,
                      want == WF_OUT ? &wf_wait_write : &wf_wait_read, &ticket);
}

void weft_forget_fd(int fd)
{
    if (!wf_reactor || fd < 0) return;
    struct wf_fd *e = wf_fdtable_at(&wf_reactor->fds, (uint32_t)fd);
    if (!e || e->kind != WF_FD_FOREIGN) return;
    shut(e);
}
