/* SPDX-License-Identifier: MIT */
/*
 * unix_msg.c - messages with descriptors and credentials.
 *
 * A receiver always offers room for as many descriptors as the system passes at
 * once, whatever the caller has room for. So it is not the system that cuts
 * (some then leave the rest open, and nobody knows their numbers): all come
 * here, and what is too many is closed.
 *
 * Between the system call and the return nothing parks, and so nobody can be
 * cancelled with descriptors that he was not told of.
 */
#include "cmsg.h"

#include <weft/unix.h>

#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/socket.h>
#include <weft/time.h>

#include <string.h>
#include <unistd.h>

#define FIRST_PAUSE WEFT_MSEC(1)
#define LAST_PAUSE  WEFT_MSEC(50)

#if defined(__linux__) && defined(SCM_CREDENTIALS)
#define HAS_CREDS 1
typedef struct ucred creds;
#else
#define HAS_CREDS 0
typedef struct weft_unix_creds creds;
#endif

/* The sender's process as a descriptor, for who has set SO_PASSPIDFD. */
#if defined(__linux__)
enum { PIDFD = 4 };
#else
enum { PIDFD = -1 };
#endif

/* Room for all that may come along. */
union control {
    struct cmsghdr align;
    char octets[CMSG_SPACE(sizeof(int) * WEFT_UNIX_FDS) +
                CMSG_SPACE(sizeof(creds)) + CMSG_SPACE(sizeof(int))];
};

/* ---- receiving ---------------------------------------------------------- */

static void keep(weft_unix_extra *x, int fd)
{
    if (x->count >= x->room || (!x->fds && !x->handles) ||
        (x->handles && weft_fd_adopt(fd, &x->handles[x->count]) < 0)) {
        weft_close_released(fd);
        x->fds_lost = true;
        return;
    }
    if (x->fds) x->fds[x->count] = fd;
    x->count++;
}

static void take_fds(weft_unix_extra *x, struct cmsghdr *c)
{
    const unsigned char *at = CMSG_DATA(c);
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, at + i * sizeof fd, sizeof fd);
        keep(x, fd);
    }
}

/* There is nobody to tell it to. */
static void drop_pidfd(struct cmsghdr *c)
{
    int fd;
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    if (fd >= 0) weft_close_released(fd);
}

/* A pid of 0: it sent that before anybody wanted to know. */
static void take_creds(weft_unix_extra *x, struct cmsghdr *c)
{
#if HAS_CREDS
    creds who;
    if (c->cmsg_type != SCM_CREDENTIALS) return;
    memcpy(&who, CMSG_DATA(c), sizeof who);
    x->has_creds = who.pid != 0;
    if (x->has_creds) x->creds = (weft_unix_creds){who.pid, who.uid, who.gid};
#else
    (void)x, (void)c;
#endif
}

static void take_extra(weft_unix_extra *x, struct msghdr *msg)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = wf_cmsg_next(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET) continue;
        if (c->cmsg_type == SCM_RIGHTS)
            take_fds(x, c);
        else if (c->cmsg_type == PIDFD)
            drop_pidfd(c);
        else
            take_creds(x, c);
    }
    if (msg->msg_flags & MSG_CTRUNC) x->fds_lost = true;
    x->truncated = msg->msg_flags & MSG_TRUNC;
    x->from.len = msg->msg_namelen;
    if (x->from.len == 0) x->from.sa.ss_family = AF_UNIX;
}

static ssize_t receive(weft_fd fd, void *buf, size_t len, weft_unix_extra *x,
                       ssize_t (*recv_it)(weft_fd, struct msghdr *, int))
{
    union control control;
    struct iovec iov = {buf, len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (!x) return recv_it(fd, &msg, 0);
    *x = (weft_unix_extra){
        .fds = x->fds, .handles = x->handles, .room = x->room};
    x->creds.pid = -1;
    if (x->fds && x->handles)
        return weft_fail_at(-EINVAL, NULL, 0,
                            "descriptors are wanted both as numbers and "
                            "adopted");
    msg.msg_name = &x->from.sa;
    msg.msg_namelen = sizeof x->from.sa;
    msg.msg_control = control.octets;
    msg.msg_controllen = sizeof control.octets;
    ssize_t n = recv_it(fd, &msg, 0);
    if (n >= 0) take_extra(x, &msg);
    return n;
}

ssize_t weft_unix_recv(weft_fd fd, void *buf, size_t len, weft_unix_extra *x)
{
    return receive(fd, buf, len, x, weft_recvmsg);
}

ssize_t weft_unix_try_recv(weft_fd fd, void *buf, size_t len,
                           weft_unix_extra *x)
{
    return receive(fd, buf, len, x, weft_try_recvmsg);
}

/* ---- sending ------------------------------------------------------------ */

static struct cmsghdr *add(struct msghdr *msg, struct cmsghdr *before, int type,
                           const void *data, size_t len)
{
    msg->msg_controllen += (__typeof__(msg->msg_controllen))CMSG_SPACE(len);
    struct cmsghdr *c = before ? wf_cmsg_next(msg, before) : CMSG_FIRSTHDR(msg);
    if (!c) return NULL; /* there is room for all that may go along */
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = type;
    c->cmsg_len = (__typeof__(c->cmsg_len))CMSG_LEN(len);
    if (len > 0) memcpy(CMSG_DATA(c), data, len);
    return c;
}

static int add_creds(struct msghdr *msg, struct cmsghdr *before,
                     const weft_unix_creds *who)
{
#if HAS_CREDS
    const creds c = {who->pid < 0 ? getpid() : who->pid, who->uid, who->gid};
    (void)add(msg, before, SCM_CREDENTIALS, &c, sizeof c);
    return 0;
#else
    (void)msg, (void)before, (void)who;
    return weft_fail_at(-ENOTSUP, NULL, 0,
                        "credentials go with a message on Linux only");
#endif
}

static int type_of(weft_fd fd)
{
    int type = 0;
    socklen_t size = sizeof type;
    int err = weft_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
    return err < 0 ? err : type;
}

static int check_fds(weft_fd fd, size_t len, const weft_unix_send_opts *o)
{
    if (o->count > WEFT_UNIX_FDS)
        return weft_fail_at(-EINVAL, NULL, 0,
                            "pass %zu descriptors: %d at once are the most",
                            o->count, WEFT_UNIX_FDS);
    for (size_t i = 0; i < o->count; i++) {
        if (o->fds[i] < 0)
            return weft_fail_at(-EBADF, NULL, 0,
                                "pass descriptor %d, number %zu of %zu: it is "
                                "closed",
                                o->fds[i], i + 1, o->count);
    }
    if (o->count == 0 || len > 0) return 0;
    int type = type_of(fd);
    if (type != SOCK_STREAM) return type < 0 ? type : 0;
    return weft_fail_at(-EINVAL, NULL, 0,
                        "pass %zu descriptors on a stream: not without an "
                        "octet to go with",
                        o->count);
}

static int add_extra(struct msghdr *msg, union control *control,
                     const weft_unix_send_opts *o)
{
    struct cmsghdr *c = NULL;
    if (o->to) {
        msg->msg_name = (void *)(uintptr_t)&o->to->sa;
        msg->msg_namelen = o->to->len;
    }
    if (o->count == 0 && !o->creds) return 0;
    memset(control, 0, sizeof *control);
    msg->msg_control = control->octets;
    if (o->count > 0)
        c = add(msg, NULL, SCM_RIGHTS, o->fds, o->count * sizeof *o->fds);
    return o->creds ? add_creds(msg, c, o->creds) : 0;
}

/* Of a datagram for a full queue Linux says that it would have to wait, and
 * the others that there is no room, which of a stream means memory. */
#if defined(__linux__)
enum { FULL_IS_NOBUFS = false };
#else
enum { FULL_IS_NOBUFS = true };
#endif

/* Is there room to wait for, and nobody who tells of it? */
static bool is_full(weft_fd fd, ssize_t err, bool to_address)
{
    if (err == -EAGAIN) return to_address;
    return FULL_IS_NOBUFS && err == -ENOBUFS && type_of(fd) == SOCK_DGRAM;
}

static ssize_t try_to(weft_fd fd, const struct msghdr *msg)
{
    int err = weft_checkpoint();
    return err < 0 ? err : weft_try_sendmsg(fd, msg, 0);
}

static ssize_t send_msg(weft_fd fd, const struct msghdr *msg)
{
    bool to_address = msg->msg_name != NULL;
    for (weft_time pause = FIRST_PAUSE;;) {
        ssize_t n = to_address ? try_to(fd, msg) : weft_sendmsg(fd, msg, 0);
        if (!is_full(fd, n, to_address)) return n;
        n = weft_sleep(pause);
        if (n < 0) return n;
        pause = 2 * pause < LAST_PAUSE ? 2 * pause : LAST_PAUSE;
    }
}

ssize_t weft_unix_send(weft_fd fd, const void *buf, size_t len,
                       const weft_unix_send_opts *o)
{
    static const weft_unix_send_opts none;
    union control control;
    struct iovec iov = {(void *)(uintptr_t)buf, len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (!o) o = &none;
    int err = check_fds(fd, len, o);
    if (err == 0) err = add_extra(&msg, &control, o);
    if (err < 0) return err;
    ssize_t n = send_msg(fd, &msg);
    if (n == -EBADF && o->count > 0 && weft_fd_number(fd) >= 0)
        return weft_fail_at(-EBADF, NULL, 0,
                            "pass %zu descriptors: one is closed", o->count);
    return n;
}

int weft_unix_send_fds(weft_fd fd, const void *buf, size_t len, const int *fds,
                       size_t count, size_t *ret_done)
{
    const weft_unix_send_opts o = {.fds = fds, .count = count};
    size_t rest = 0;
    ssize_t n = weft_unix_send(fd, buf, len, &o);
    int err = n < 0 ? (int)n : 0;
    if (n >= 0 && (size_t)n < len)
        err = weft_write_all(fd, (const char *)buf + n, len - (size_t)n, &rest);
    if (ret_done) *ret_done = (n > 0 ? (size_t)n : 0) + rest;
    return err;
}
