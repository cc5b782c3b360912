/* SPDX-License-Identifier: MIT */
/*
 * weft/udp.h (net) - datagrams: UDP, connected or not, and multicast.
 *
 *     weft_fd s;
 *     char room[1500];
 *     weft_datagram d = {.buf = room, .size = sizeof room};
 *     int err = weft_udp_bind(&s, "[::]:5000", NULL);
 *     while (err == 0 && (err = weft_udp_recv(s, &d)) == 0)
 *         if (!d.truncated) err = weft_udp_send(s, &d);     back to the sender
 *     weft_close(s);
 *
 * A socket is a weft_fd (weft/io.h): weft_close, weft_wait_ready,
 * weft_local_addr and weft_setsockopt are good for it. Addresses are texts
 * (weft/addr.h), with udp:// before them or not; names are not resolved.
 *
 * A datagram comes whole, cut with `truncated` set, or not at all; they may be
 * lost, doubled, and come in another order. One of length 0 is one like any
 * other; there is no end. Any number of fibers may wait on one socket, and are
 * served in order. A cancelled call has moved nothing. Sending and receiving
 * allocate nothing.
 *
 * What was received can be sent as it stands: it goes to where it came from,
 * and, if the socket is bound to all addresses of a host with several, from the
 * address that was asked, as the other side expects.
 *
 * ICMP. Of a dialled socket the next call, of either direction, fails once with
 * what ICMP said of a datagram sent before, such as -ECONNREFUSED: nobody has
 * that port. What that call was to send did not go; the socket stays good.
 * Others are not told.
 */
#ifndef WEFT_UDP_H
#define WEFT_UDP_H

#include <weft/addr.h>
#include <weft/base.h>
#include <weft/io.h>

WEFT_BEGIN_DECLS

typedef struct weft_udp_opts {
    const char *local;  /* of weft_udp_dial: the address to send from */
    bool reuse_addr;    /* others may have the same port: for multicast, where
                           each gets all; of the rest one gets all */
    bool reuse_port;    /* several share a port; on Linux each gets the
                           datagrams of some peers, always the same */
    bool broadcast;     /* may send to broadcast addresses: else -EACCES */
    bool v6_only;       /* [::] without the peers of IPv4, which otherwise have
                           addresses such as [::ffff:192.0.2.1]:5. OpenBSD has
                           no other */
    bool dont_fragment; /* what is too large for the way fails with -EMSGSIZE;
                           -ENOTSUP where there is no such thing */
    bool tell_local;    /* see weft_udp_tell_local; done anyhow where the socket
                           is bound to all addresses */
    unsigned hops;      /* that it may go, 1 to 255; 0: the system's default */
    int receive_buffer; /* octets, of which the system may give less or more: */
    int send_buffer;    /* ask with weft_getsockopt. 0: its default */
} weft_udp_opts;

typedef struct weft_datagram {
    void *buf;          /* yours */
    size_t size;        /* receiving: the room in it */
    size_t len;         /* octets in it that came, or are to go */
    weft_addr addr;     /* the sender; or where to. Length 0: the peer of a
                           dialled socket, which on macOS and BSD takes no
                           other (-EISCONN) */
    weft_addr local;    /* the address of this host that it came to (port 0), if
                           that is told; or to be sent from. Length 0: any */
    unsigned interface; /* where it came in, if `local` is told; or by which to
                           send to a group or link-local address. 0: any */
    bool truncated;     /* it was larger: the rest of it is lost */
    uint8_t group_len_;
    uint8_t group_[16];
} weft_datagram;

enum { WEFT_UDP_BATCH = 32 }; /* the most of one call of weft_udp_..._many */

/**
 * Opens a socket bound to `address`; port 0 lets the kernel choose (ask with
 * weft_local_addr). `o` may be NULL.
 *
 * Returns 0; -EINVAL (weft_last_error says of what), -EAFNOSUPPORT (a Unix
 * address), -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EMFILE, -ENOMEM, -EPERM
 * outside a run. Never parks.
 */
WEFT_MUST int weft_udp_bind(weft_fd *ret, const char *address,
                            const weft_udp_opts *o);

/**
 * Opens a socket that sends to `address`, and receives from there alone; what
 * came before that was so, of strangers or not, is dropped. That somebody is
 * there is not known by it, and is not waited for.
 *
 * Parks only as any cancel point may. Returns as weft_udp_bind, -ECANCELED,
 * -ENETUNREACH, -EHOSTUNREACH.
 */
WEFT_PARKS int weft_udp_dial(weft_fd *ret, const char *address,
                             const weft_udp_opts *o);

/**
 * Receives one into d->buf, and writes all of *d but buf and size.
 *
 * Parks. Returns 0; -ECANCELED, -EBADF, what ICMP said (see above), -ENOMEM;
 * -EPROTOTYPE, -ENOTSOCK: no datagram socket.
 */
WEFT_PARKS int weft_udp_recv(weft_fd s, weft_datagram *d);

/** The same without waiting: -EAGAIN where that would park. */
WEFT_MUST int weft_udp_try_recv(weft_fd s, weft_datagram *d);

/**
 * Receives those that there are by one system call, `max` of them or
 * WEFT_UDP_BATCH at the most, and waits only for the first. An error behind
 * them comes with the next call.
 *
 * Parks. Returns how many, 0 only if `max` is; or as weft_udp_recv.
 */
WEFT_PARKS int weft_udp_recv_many(weft_fd s, weft_datagram *d, size_t max);
WEFT_MUST int weft_udp_try_recv_many(weft_fd s, weft_datagram *d, size_t max);

/**
 * Sends d->buf[0..len) to d->addr, from d->local.
 *
 * Parks while the socket's buffer is full. Returns 0; -ECANCELED, -EBADF;
 * -EMSGSIZE: too large; -EDESTADDRREQ: no address, nor a peer; -EHOSTUNREACH,
 * -ENETUNREACH, -EACCES, -EPERM (a firewall); -EINVAL, -EADDRNOTAVAIL: not from
 * such an address; -ENOBUFS (not on Linux: the interface is busy); -EPROTOTYPE,
 * -ENOTSOCK: no datagram socket. weft_last_error names the address.
 */
WEFT_PARKS int weft_udp_send(weft_fd s, const weft_datagram *d);

/** The same without waiting: -EAGAIN where that would park. */
WEFT_MUST int weft_udp_try_send(weft_fd s, const weft_datagram *d);

/** The same with less to fill in. `to`: NULL is the peer. */
WEFT_PARKS int weft_udp_send_to(weft_fd s, const void *data, size_t len,
                                const weft_addr *to);

/**
 * Sends as many of these as go without waiting, in order, WEFT_UDP_BATCH at the
 * most, and waits only for the first. An error is that of d[0], which did not
 * go: leave it out, and go on behind it. One behind others comes with the next
 * call.
 *
 * Parks. Returns how many, 0 only if `count` is; or as weft_udp_send.
 */
WEFT_PARKS int weft_udp_send_many(weft_fd s, const weft_datagram *d,
                                  size_t count);
WEFT_MUST int weft_udp_try_send_many(weft_fd s, const weft_datagram *d,
                                     size_t count);

/**
 * From now on `local` and `interface` of what is received are told (RFC 3542,
 * 6; IP_PKTINFO, IP_RECVDSTADDR): for a socket that comes from elsewhere. 0,
 * -EBADF, -ENOTSUP, -EAFNOSUPPORT, or what setsockopt(2) says.
 */
WEFT_MUST int weft_udp_tell_local(weft_fd s);

/**
 * Was it sent to more than this host? Then *ret is the group, or the broadcast
 * address, with port 0. `local` is an address of the interface then, or, of
 * IPv6, has length 0. Known where `local` is told; not of a broadcast on BSD.
 */
WEFT_MUST bool weft_datagram_group(const weft_datagram *d, weft_addr *ret);

/** Texts: a number or a name of an interface, an address without a port. */
typedef struct weft_udp_group {
    const char *group;     /* "239.1.2.3", "ff02::1:3" */
    const char *interface; /* NULL: the kernel's choice, by its routes */
    const char *source;    /* only what this host sends (RFC 4607); NULL: all */
} weft_udp_group;

/**
 * Joins a group: what is sent to it there is received too, if the socket is
 * bound to its port (and to all addresses, or to the group). Closing leaves.
 *
 * Returns 0; -EINVAL: no such address, or not of a group; -ENODEV: no such
 * interface, or none that has a way there; -EADDRINUSE: joined already;
 * -ENOBUFS: too many (Linux: 20); -EBADF, -ENOTSUP (OpenBSD, NetBSD), or what
 * setsockopt(2) says.
 */
WEFT_MUST int weft_udp_join(weft_fd s, const weft_udp_group *g);

/** Leaves it. As above; -EADDRNOTAVAIL: it was not joined in that way. */
WEFT_MUST int weft_udp_leave(weft_fd s, const weft_udp_group *g);

/**
 * How this socket sends to groups. All three are set.
 *
 * Returns 0; -EINVAL, -ENODEV: no such interface; -EBADF, -EAFNOSUPPORT.
 */
typedef struct weft_udp_multicast {
    unsigned hops;         /* 1 to 255; 0: 1, which is no router */
    bool no_loop;          /* those who joined on this host do not get it */
    const char *interface; /* NULL: by the routes */
} weft_udp_multicast;
WEFT_MUST int weft_udp_set_multicast(weft_fd s, const weft_udp_multicast *m);

WEFT_END_DECLS

#endif
