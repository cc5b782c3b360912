/* SPDX-License-Identifier: MIT */
/*
 * udp.c - datagrams: receiving and sending.
 *
 * The headers of a batch are on the caller's stack: 5 KiB for WEFT_UDP_BATCH of
 * them. More than that are for the next call, so that each call is one system
 * call, and the error that ends a batch has one place to wait in
 * (reactor/datagram.c).
 */
#include "udp.h"

#include <weft/datagram.h>
#include <weft/error.h>
#include <weft/fiber.h>

/* ---- receiving ---------------------------------------------------------- */

/* What a header points at, besides the datagram. */
struct beside {
    struct iovec iov;
    struct wf_udp_info info;
};

static unsigned at_most(size_t count)
{
    return count < WEFT_UDP_BATCH ? (unsigned)count : WEFT_UDP_BATCH;
}

/* What is misuse has its own words, and what is no failure needs none. */
static bool needs_words(int rc)
{
    switch (-rc) {
    case ECANCELED:
    case EAGAIN:
    case EBADF:
    case EPROTOTYPE:
    case ENOTSOCK:
        return false;
    default:
        return rc < 0 && weft_self();
    }
}

static void make_room(weft_mmsg *m, struct beside *b, weft_datagram *d,
                      unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        b[i].iov = (struct iovec){d[i].buf, d[i].size};
        m[i].msg = (struct msghdr){
            .msg_name = &d[i].addr.sa,
            .msg_namelen = sizeof d[i].addr.sa,
            .msg_iov = &b[i].iov,
            .msg_iovlen = 1,
            .msg_control = b[i].info.room,
            .msg_controllen = sizeof b[i].info.room,
        };
    }
}

static int received(weft_mmsg *m, weft_datagram *d, int n)
{
    for (int i = 0; i < n; i++) {
        d[i].len = m[i].len;
        d[i].addr.len = m[i].msg.msg_namelen;
        if (d[i].addr.len == 0) d[i].addr.sa.ss_family = AF_UNSPEC;
        d[i].truncated = m[i].msg.msg_flags & MSG_TRUNC;
        wf_udp_take_info(&d[i], &m[i].msg);
    }
    if (needs_words(n)) return weft_fail_at(n, NULL, 0, "udp receive");
    return n;
}

int weft_udp_recv_many(weft_fd s, weft_datagram *d, size_t max)
{
    weft_mmsg m[WEFT_UDP_BATCH];
    struct beside b[WEFT_UDP_BATCH];
    make_room(m, b, d, at_most(max));
    return received(m, d, weft_recvmmsg(s, m, at_most(max), 0));
}

int weft_udp_try_recv_many(weft_fd s, weft_datagram *d, size_t max)
{
    weft_mmsg m[WEFT_UDP_BATCH];
    struct beside b[WEFT_UDP_BATCH];
    make_room(m, b, d, at_most(max));
    return received(m, d, weft_try_recvmmsg(s, m, at_most(max), 0));
}

/* Not a batch with one in it: a fiber that waits keeps its stack. */
int weft_udp_recv(weft_fd s, weft_datagram *d)
{
    weft_mmsg m;
    struct beside b;
    make_room(&m, &b, d, 1);
    int n = received(&m, d, weft_recvmmsg(s, &m, 1, 0));
    return n < 0 ? n : 0;
}

int weft_udp_try_recv(weft_fd s, weft_datagram *d)
{
    weft_mmsg m;
    struct beside b;
    make_room(&m, &b, d, 1);
    int n = received(&m, d, weft_try_recvmmsg(s, &m, 1, 0));
    return n < 0 ? n : 0;
}

/* ---- sending ------------------------------------------------------------ */

static void load(weft_mmsg *m, struct beside *b, const weft_datagram *d,
                 unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const weft_addr *to = &d[i].addr;
        struct msghdr *msg = &m[i].msg;
        size_t info = wf_udp_put_info(&d[i], &b[i].info);
        b[i].iov = (struct iovec){d[i].buf, d[i].len};
        *msg = (struct msghdr){.msg_iov = &b[i].iov, .msg_iovlen = 1};
        if (to->len) msg->msg_name = (void *)(uintptr_t)&to->sa;
        msg->msg_namelen = to->len;
        if (info) msg->msg_control = b[i].info.room;
        msg->msg_controllen = (__typeof__(msg->msg_controllen))info;
    }
}

static int sent(int n, const weft_addr *to)
{
    char text[WEFT_ADDR_TEXT] = "the peer";
    if (!needs_words(n)) return n;
    if (to->len) weft_addr_format(to, text, sizeof text);
    return weft_fail_at(n, NULL, 0, "udp send to %.80s", text);
}

int weft_udp_send_many(weft_fd s, const weft_datagram *d, size_t count)
{
    weft_mmsg m[WEFT_UDP_BATCH];
    struct beside b[WEFT_UDP_BATCH];
    load(m, b, d, at_most(count));
    int n = weft_sendmmsg(s, m, at_most(count), 0);
    return n >= 0 || count == 0 ? n : sent(n, &d->addr);
}

int weft_udp_try_send_many(weft_fd s, const weft_datagram *d, size_t count)
{
    weft_mmsg m[WEFT_UDP_BATCH];
    struct beside b[WEFT_UDP_BATCH];
    load(m, b, d, at_most(count));
    int n = weft_try_sendmmsg(s, m, at_most(count), 0);
    return n >= 0 || count == 0 ? n : sent(n, &d->addr);
}

int weft_udp_send(weft_fd s, const weft_datagram *d)
{
    weft_mmsg m;
    struct beside b;
    load(&m, &b, d, 1);
    int n = weft_sendmmsg(s, &m, 1, 0);
    return n < 0 ? sent(n, &d->addr) : 0;
}

int weft_udp_try_send(weft_fd s, const weft_datagram *d)
{
    weft_mmsg m;
    struct beside b;
    load(&m, &b, d, 1);
    int n = weft_try_sendmmsg(s, &m, 1, 0);
    return n < 0 ? sent(n, &d->addr) : 0;
}

int weft_udp_send_to(weft_fd s, const void *data, size_t len,
                     const weft_addr *to)
{
    static const weft_addr peer = {.len = 0};
    struct iovec iov = {(void *)(uintptr_t)data, len};
    weft_mmsg m = {.msg = {.msg_iov = &iov, .msg_iovlen = 1}};
    if (!to) to = &peer;
    if (to->len) m.msg.msg_name = (void *)(uintptr_t)&to->sa;
    m.msg.msg_namelen = to->len;
    int n = weft_sendmmsg(s, &m, 1, 0);
    return n < 0 ? sent(n, to) : 0;
}
