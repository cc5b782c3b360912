/* SPDX-License-Identifier: MIT */
/*
 * socket.c - the socket calls.
 *
 * A listener is registered level-triggered and each event is worth one accept,
 * without a last one that finds nothing; that measured 5 % better than a loop
 * to EAGAIN.
 *
 * Without a free descriptor an accepting fiber waits until one is closed, or
 * 20 ms at the most (somebody else in the process may close one). Meanwhile
 * the listener, which stays readable and would be told of at every turn, is
 * not watched, and the connections wait in the kernel's backlog.
 */
#include <weft/socket.h>

#include <netinet/in.h>
#include <sys/un.h>

#include "reactor/here.h"
#include "runtime/os.h"

static int no_run(const char *call)
{
    return wf_misuse(-EPERM, "%s: no run on this thread", call);
}

enum wf_fd_kind wf_fd_kind_of(int family, int type)
{
    type &= ~WF_SOCK_FLAGS;
    if (type == SOCK_SEQPACKET) return WF_FD_PACKET;
    if (type != SOCK_STREAM) return WF_FD_DATAGRAM;
    return family == AF_INET || family == AF_INET6 ? WF_FD_STREAM
           : family == AF_UNIX                     ? WF_FD_UNIX
                                                   : WF_FD_PACKET;
}

int weft_socket(int family, int type, int protocol, weft_fd *ret_fd)
{
    if (!wf_reactor) return no_run("weft_socket");
    int fd = wf_os_socket(family, type, protocol);
    if (fd < 0) return fd;
    int err = wf_fd_open(fd, wf_fd_kind_of(family, type), ret_fd);
    if (err < 0) wf_os_close(fd);
    return err;
}

int weft_socketpair(int family, int type, weft_fd ret_pair[2])
{
    if (!wf_reactor) return no_run("weft_socketpair");
    int fds[2];
    int err = wf_os_socketpair(family, type, fds);
    if (err < 0) return err;
    enum wf_fd_kind kind = wf_fd_kind_of(family, type);
    err = wf_fd_open(fds[0], kind, &ret_pair[0]);
    if (err < 0) goto close_both;
    err = wf_fd_open(fds[1], kind, &ret_pair[1]);
    if (err < 0) goto forget_first;
    return 0;

forget_first:
    wf_fdtable_close(&wf_reactor->fds, wf_fd_of(ret_pair[0]));
close_both:
    wf_os_close(fds[0]);
    wf_os_close(fds[1]);
    return err;
}

int weft_bind(weft_fd fd, const struct sockaddr *sa, socklen_t len)
{
    int number = weft_fd_number(fd);
    return number < 0 ? number : wf_os_bind(number, sa, len);
}

int weft_listen_on(weft_fd fd, int backlog)
{
    struct wf_fd *e = wf_fd_of(fd);
    if (!e) return -EBADF;
    int err = wf_os_listen(e->number, backlog);
    if (err < 0 || e->kind == WF_FD_LISTENER) return err;
    wf_fd_unregister(e);
    e->accepts = e->kind;
    e->kind = WF_FD_LISTENER;
    e->ready = 0;
    return 0;
}

/* Errors of connections that were lost between arriving and being taken, and
 * of the network path, which accept(2) on Linux passes on. */
static bool of_the_peer(int err)
{
    switch (-err) {
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
#ifdef ENONET
    case ENONET:
#endif
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case EPERM:
        return true;
    default:
        return false;
    }
}

enum { LOST_AT_ONCE = 16 };

static int take(struct wf_fd *e, weft_fd *ret_conn, struct sockaddr *sa,
                socklen_t *len)
{
    int conn = -EAGAIN;
    for (int i = 0; i < LOST_AT_ONCE; i++) {
        conn = wf_os_accept(e->number, sa, len);
        if (conn >= 0 || !of_the_peer(conn)) break;
        conn = -EAGAIN; /* it is level-triggered: the next turn goes on */
    }
    /* One event, one connection: the next event comes if there are more. */
    e->ready &= (uint8_t)~WF_IN;
    if (conn < 0) return conn;
    int err = wf_fd_open(conn, (enum wf_fd_kind)e->accepts, ret_conn);
    if (err < 0) wf_os_close(conn);
    return err;
}

static bool no_room(int err)
{
    return err == -EMFILE || err == -ENFILE || err == -ENOBUFS ||
           err == -ENOMEM;
}

int weft_try_accept_from(weft_fd fd, weft_fd *ret_conn, struct sockaddr *sa,
                         socklen_t *len)
{
    struct wf_fd *e = wf_fd_of(fd);
    if (!e || e->kind != WF_FD_LISTENER) return e ? -EINVAL : -EBADF;
    return take(e, ret_conn, sa, len);
}

int weft_accept_from(weft_fd fd, weft_fd *ret_conn, struct sockaddr *sa,
                     socklen_t *len)
{
    uintptr_t ticket = 0;
    bool granted = false;
    int err = weft_pass_();
    if (err < 0) return err;
    for (;;) {
        /* Looked up each time: closing wakes us, and so may a free number. */
        struct wf_fd *e = wf_fd_of(fd);
        if (!e || e->kind != WF_FD_LISTENER) return e ? -EINVAL : -EBADF;
        if (granted || e->ready & WF_IN) {
            err = take(e, ret_conn, sa, len);
            if (!no_room(err) && err != -EAGAIN) return err;
            if (no_room(err)) {
                e->ready |= WF_IN;
                if (wf_self()->cancelled) return weft_pass_();
                err = wf_fd_wait_for_number();
                if (err < 0) return err;
                continue;
            }
        }
        err = wf_fd_wait(fd, e, WF_IN, &wf_wait_read, &ticket);
        if (err < 0) return err;
        granted = true;
    }
}

int weft_connect(weft_fd fd, const struct sockaddr *sa, socklen_t len)
{
    uintptr_t ticket = 0;
    int err = weft_pass_();
    if (err < 0) return err;
    struct wf_fd *e = wf_fd_of(fd);
    if (!e) return -EBADF;
    err = wf_os_connect(e->number, sa, len);
    if (err == 0) e->connected = sa->sa_family != AF_UNSPEC;
    /* It had a name, and was taken for a listener when it was adopted. */
    if (e->kind == WF_FD_LISTENER && (err == 0 || err == -EINPROGRESS)) {
        wf_fd_unregister(e);
        e->kind = e->accepts;
        e->ready = WF_IN | WF_OUT;
    }
    /* A Unix listener whose backlog is full says EAGAIN (or refuses, on BSD)
     * and can't be waited for; the caller may try again. */
    if (err != -EINPROGRESS) return err;

    e->ready = 0;
    for (;;) {
        err = wf_fd_wait(fd, e, WF_OUT, &wf_wait_write, &ticket);
        if (err < 0) return err;
        /* A wake is a hint: is it over, or still under way? */
        int failed = 0;
        socklen_t size = sizeof failed;
        err = wf_os_getsockopt(e->number, SOL_SOCKET, SO_ERROR, &failed, &size);
        if (err < 0) return err;
        if (failed) return -failed;
        struct sockaddr_storage peer;
        size = sizeof peer;
        err = wf_os_getpeername(e->number, (struct sockaddr *)&peer, &size);
        if (err == 0) return 0;
        if (err == -EINVAL) return -ECONNRESET; /* BSD: both ways are shut */
        if (err != -ENOTCONN) return err;
    }
}

void weft_remove_stale(const struct sockaddr *sa, socklen_t len)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)sa;
    struct stat st;
    if (sa->sa_family != AF_UNIX || un->sun_path[0] == 0) return;
    if (wf_os_lstat(un->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode)) return;
    /* Refused where nobody has it. Of the other type it is never taken for a
     * connection, nor refused for a full queue. */
    int probe = wf_os_socket(AF_UNIX, SOCK_DGRAM, 0);
    if (probe < 0) return;
    if (wf_os_connect(probe, sa, len) == -ECONNREFUSED)
        (void)wf_os_unlink(un->sun_path);
    wf_os_close(probe);
}

int weft_set_socket_mode(const struct sockaddr *sa, socklen_t len, mode_t mode)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)sa;
    struct stat st;
    bool named = len > offsetof(struct sockaddr_un, sun_path);
    if (sa->sa_family != AF_UNIX || !named || un->sun_path[0] == 0)
        return -EINVAL;
    int err = wf_os_lstat(un->sun_path, &st);
    if (err < 0) return err;
    if (!S_ISSOCK(st.st_mode)) return -ENOTSOCK;
    return wf_os_chmod(un->sun_path, mode);
}

int weft_shutdown_fd(weft_fd fd, int how)
{
    int number = weft_fd_number(fd);
    return number < 0 ? number : wf_os_shutdown(number, how);
}

int weft_setsockopt(weft_fd fd, int level, int name, const void *val,
                    socklen_t len)
{
    int number = weft_fd_number(fd);
    return number < 0 ? number
                      : wf_os_setsockopt(number, level, name, val, len);
}

int weft_getsockopt(weft_fd fd, int level, int name, void *val, socklen_t *len)
{
    int number = weft_fd_number(fd);
    return number < 0 ? number
                      : wf_os_getsockopt(number, level, name, val, len);
}

int weft_getsockname(weft_fd fd, struct sockaddr *sa, socklen_t *len)
{
    int number = weft_fd_number(fd);
    return number < 0 ? number : wf_os_getsockname(number, sa, len);
}

int weft_getpeername(weft_fd fd, struct sockaddr *sa, socklen_t *len)
{
    int number = weft_fd_number(fd);
    return number < 0 ? number : wf_os_getpeername(number, sa, len);
}

int weft_getpeereid(weft_fd fd, uid_t *ret_uid, gid_t *ret_gid, pid_t *ret_pid)
{
    int number = weft_fd_number(fd);
    return number < 0 ? number
                      : wf_os_getpeereid(number, ret_uid, ret_gid, ret_pid);
}

/* Without waiting, also where others share the socket and it may block. */
static ssize_t try_recvmsg(struct wf_fd *e, struct msghdr *msg, int flags)
{
    ssize_t n = wf_os_recvmsg(e->number, msg, flags | MSG_DONTWAIT);
    if (n == -EAGAIN && !(flags & WF_OF_ERRORS)) e->ready &= (uint8_t)~WF_IN;
    return n;
}

static ssize_t try_sendmsg(struct wf_fd *e, const struct msghdr *msg, int flags)
{
    ssize_t n =
        wf_os_sendmsg(e->number, msg, flags | MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n == -EAGAIN) e->ready &= (uint8_t)~WF_OUT;
    return n;
}

ssize_t weft_try_recvmsg(weft_fd fd, struct msghdr *msg, int flags)
{
    struct wf_fd *e = wf_fd_of(fd);
    return e ? try_recvmsg(e, msg, flags) : -EBADF;
}

ssize_t weft_try_sendmsg(weft_fd fd, const struct msghdr *msg, int flags)
{
    struct wf_fd *e = wf_fd_of(fd);
    int err = e ? wf_fd_try_turn(e) : -EBADF;
    return err < 0 ? err : try_sendmsg(e, msg, flags);
}

ssize_t weft_recvmsg(weft_fd fd, struct msghdr *msg, int flags)
{
    uintptr_t ticket = 0;
    int err = weft_pass_();
    if (err < 0) return err;
    struct wf_fd *e = wf_fd_of(fd);
    if (!e) return -EBADF;
    for (;;) {
        if (e->ready & WF_IN || !e->registered || flags & WF_OF_ERRORS) {
            ssize_t n = try_recvmsg(e, msg, flags);
            if (n != -EAGAIN || flags & WF_OF_ERRORS) return n;
        }
        err = wf_fd_wait(fd, e, WF_IN, &wf_wait_read, &ticket);
        if (err < 0) return err;
    }
}

ssize_t weft_sendmsg(weft_fd fd, const struct msghdr *msg, int flags)
{
    uintptr_t ticket = 0;
    int err = weft_pass_();
    if (err < 0) return err;
    struct wf_fd *e = wf_fd_of(fd);
    if (!e) return -EBADF;
    err = wf_fd_wait_turn(fd, e, &ticket);
    if (err < 0) return err;
    for (;;) {
        ssize_t n = try_sendmsg(e, msg, flags);
        if (n != -EAGAIN) return n;
        err = wf_fd_wait(fd, e, WF_OUT, &wf_wait_write, &ticket);
        if (err < 0) return err;
    }
}
