/* SPDX-License-Identifier: MIT */
/*
 * datagram.c - several datagrams at a time.
 *
 * The bit of readiness is cleared by EAGAIN alone. A batch that is not full
 * would mostly mean the same, but behind it there may be an error, and of that
 * the poller has told already.
 *
 * An error that came behind some and has been taken off the socket is kept in
 * the entry (`later`) for the next batch of either direction, as the kernel
 * would keep it. An error that is of the message itself (too long, say) is not:
 * it comes again when that message does, and if it does not it is nobody's.
 */
#include <weft/datagram.h>

#include "reactor/here.h"
#include "runtime/os.h"

enum { MOST = 1024 }; /* of Linux's UIO_MAXIOV */

_Static_assert(sizeof(weft_mmsg) == sizeof(struct wf_mmsg) &&
                   offsetof(weft_mmsg, len) == offsetof(struct wf_mmsg, len),
               "one is the other");

/* What routers and the peer's host say of what was sent before. */
static bool of_the_path(int err)
{
    switch (-err) {
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EPROTO:
        return true;
    default:
        return false;
    }
}

static struct wf_fd *socket_of(weft_fd fd, const char *call, int *ret_err)
{
    struct wf_fd *e = wf_fd_of(fd);
    *ret_err = e ? 0 : -EBADF;
    if (!e || e->kind == WF_FD_DATAGRAM) return e;
    *ret_err =
        wf_misuse(e->kind <= WF_FD_LISTENER ? -EPROTOTYPE : -ENOTSOCK,
                  "%s: descriptor %d is no datagram socket", call, e->number);
    return NULL;
}

static unsigned at_most(unsigned count)
{
    return count < MOST ? count : MOST;
}

static int told_before(struct wf_fd *e)
{
    int err = e->later;
    e->later = 0;
    return err;
}

static int after(struct wf_fd *e, unsigned side, int n, int later)
{
    if (n == -EAGAIN) e->ready &= (uint8_t)~side;
    if (of_the_path(later)) e->later = later;
    return n;
}

static int try_recv(struct wf_fd *e, weft_mmsg *v, unsigned count, int flags)
{
    int later = 0, err = told_before(e);
    if (err < 0) return err;
    int n = wf_os_recvmmsg(e->number, (struct wf_mmsg *)v, at_most(count),
                           flags, &later);
    return after(e, WF_IN, n, later);
}

static int try_send(struct wf_fd *e, weft_mmsg *v, unsigned count, int flags)
{
    int later = 0, err = told_before(e);
    if (err < 0) return err;
    int n = wf_os_sendmmsg(e->number, (struct wf_mmsg *)v, at_most(count),
                           flags | MSG_NOSIGNAL, e->connected, &later);
    return after(e, WF_OUT, n, later);
}

static int look_at_errors(const struct wf_fd *e, weft_mmsg *v, unsigned count,
                          int flags)
{
    int later = 0;
    return wf_os_recvmmsg(e->number, (struct wf_mmsg *)v, at_most(count), flags,
                          &later);
}

static bool may_have(const struct wf_fd *e)
{
    return e->ready & WF_IN || !e->registered || e->later;
}

int weft_recvmmsg(weft_fd fd, weft_mmsg *v, unsigned count, int flags)
{
    uintptr_t ticket = 0;
    int err = weft_pass_();
    if (err < 0) return err;
    struct wf_fd *e = socket_of(fd, "weft_recvmmsg", &err);
    if (!e || count == 0) return err;
    if (flags & WF_OF_ERRORS) return look_at_errors(e, v, count, flags);
    for (;;) {
        if (may_have(e)) {
            int n = try_recv(e, v, count, flags);
            if (n != -EAGAIN) return n;
        }
        err = wf_fd_wait(fd, e, WF_IN, &wf_wait_read, &ticket);
        if (err < 0) return err;
    }
}

int weft_try_recvmmsg(weft_fd fd, weft_mmsg *v, unsigned count, int flags)
{
    int err;
    struct wf_fd *e = socket_of(fd, "weft_try_recvmmsg", &err);
    if (!e || count == 0) return err;
    if (flags & WF_OF_ERRORS) return look_at_errors(e, v, count, flags);
    if (may_have(e)) return try_recv(e, v, count, flags);
    wf_poller_expect(wf_reactor->poller, e->number, WF_IN);
    return -EAGAIN;
}

int weft_sendmmsg(weft_fd fd, weft_mmsg *v, unsigned count, int flags)
{
    uintptr_t ticket = 0;
    int err = weft_pass_();
    if (err < 0) return err;
    struct wf_fd *e = socket_of(fd, "weft_sendmmsg", &err);
    if (!e || count == 0) return err;
    err = wf_fd_wait_turn(fd, e, &ticket);
    if (err < 0) return err;
    for (;;) {
        int n = try_send(e, v, count, flags);
        if (n != -EAGAIN) return n;
        err = wf_fd_wait(fd, e, WF_OUT, &wf_wait_write, &ticket);
        if (err < 0) return err;
    }
}

int weft_try_sendmmsg(weft_fd fd, weft_mmsg *v, unsigned count, int flags)
{
    int err;
    struct wf_fd *e = socket_of(fd, "weft_try_sendmmsg", &err);
    if (!e || count == 0) return err;
    err = wf_fd_try_turn(e);
    return err < 0 ? err : try_send(e, v, count, flags);
}
