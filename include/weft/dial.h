/* SPDX-License-Identifier: MIT */
/*
 * weft/dial.h (net) - connecting to a name, by whichever address answers.
 *
 *     weft_fd conn;
 *     int err = 0;
 *     WEFT_FAIL_AFTER(err, WEFT_SEC(10)) {
 *         err = weft_dial(&conn, "example.org:80");      (weft/net.h)
 *     }
 *     if (err < 0) weft_error_print(2, err);
 *
 *     dial example.org:80: connect [2001:db8::1]:80: Connection refused (...)
 *
 * A name may have many addresses, of which some do not work here: most often
 * those of IPv6, whose packets vanish somewhere. So they are tried as RFC 8305
 * ("happy eyeballs") says:
 *
 *   - The IPv6 and the IPv4 addresses are asked for at the same time. The first
 *     attempt is made when those of IPv6 are there; or those of IPv4, and those
 *     of IPv6 have not come for another 50 ms, or never will.
 *   - Addresses are sorted by RFC 6724, section 6 (of its rules 1, 2, 5, 6, 8,
 *     9 and 10: the others ask for what no program can know), by the source
 *     that the kernel has for each: a UDP socket is connected to it, which
 *     sends nothing. Then the families alternate. What comes later is sorted
 *     into what was not tried yet.
 *   - The next attempt begins when the one before has failed, or 250 ms after
 *     it, while that goes on. Each is a fiber.
 *   - The first connection wins. The others are cancelled, waited for, and
 *     closed.
 *
 * Where there is one address, as in each text of weft/addr.h, it is connected
 * to by the calling fiber, and none of this takes place.
 *
 * All of it happens inside the caller's scope, whose cancellation or deadline
 * ends it at once, wherever it is; except that a connection that is there is
 * returned.
 */
#ifndef WEFT_DIAL_H
#define WEFT_DIAL_H

#include <weft/addr.h>
#include <weft/base.h>
#include <weft/io.h>
#include <weft/net.h>

WEFT_BEGIN_DECLS

typedef struct weft_resolver weft_resolver; /* weft/dns.h */

enum { WEFT_DIAL_ADDRS = 64 }; /* no more of one name are tried */

/** Zeroed: as weft_dial does. */
typedef struct weft_dial_opts {
    weft_resolver *resolver;    /* of this thread; NULL: the system's
                                   files, and no cache */
    bool system_resolver;       /* getaddrinfo(3) on another thread instead,
                                   for both families at once */
    weft_time attempt_delay;    /* from one attempt to the next; 0: 250 ms; at
                                   least 10 ms, at most 2 s (RFC 8305, 5) */
    weft_time resolution_delay; /* of the one family for the other; 0: 50 ms;
                                   less: none */
    weft_time attempt_timeout;  /* of each attempt; 0: the kernel's, which is
                                   minutes. One that is over has failed with
                                   -ETIMEDOUT */
    const char *local;          /* bind to this, "192.0.2.7:0" or "[::]:0"; then
                                   its family alone is asked for */
    int family;                 /* AF_INET, AF_INET6: no other; 0: both */
    int prefer;                 /* this one first, and the other has to wait for
                                   it; 0: IPv6, and what RFC 6724 puts first */
    unsigned max_addrs;         /* attempts at most; 0: WEFT_DIAL_ADDRS */
    bool no_nodelay;            /* leave TCP_NODELAY off */
    bool keepalive;             /* SO_KEEPALIVE */

    /* Hooks, to go by way of a proxy or to do without a network in a test. They
     * may park, and are cancelled. Each may be NULL, and is given `user`.
     *
     * lookup: instead of asking the resolver for the addresses of `family`
     *   (AF_INET or AF_INET6), port 0, `max` at most. How many, or an error as
     *   of weft_dns_lookup.
     * connect: instead of socket, options, bind and connect. 0 and a
     *   connection, which is the dial's to close from then on; or an error, and
     *   nothing is left of it. It runs in fibers, several at a time.
     * source: the source address for a destination, or an error: it cannot be
     *   reached. With `connect` and without `source` no source is known, and of
     *   the rules there are 6, 8 and 10. */
    int (*lookup)(const char *host, int family, weft_addr ret_addrs[],
                  size_t max, void *user);
    int (*connect)(weft_fd *ret_conn, const weft_addr *to, void *user);
    int (*source)(const weft_addr *to, weft_addr *ret_source, void *user);
    void *user;
} weft_dial_opts;

/**
 * Connects to `address`: a text of weft/addr.h, or "host:port", or
 * "tcp://host:port". What ends in a number ("10.1:80") is no name. `o` may be
 * NULL; *ret_conn is set on success alone.
 *
 * When all attempts have failed, the result is that of the one that came
 * furthest: an answer, such as -ECONNREFUSED, before -ETIMEDOUT, before there
 * being no way to it (-ENETUNREACH, -EHOSTUNREACH), before there being no such
 * address or family here (-EADDRNOTAVAIL, -EAFNOSUPPORT, -EINVAL); of several
 * such the first that was tried. Without any attempt it is that of a lookup
 * that failed, before -ENODATA, before -ENOENT. weft_last_error() is about it,
 * and its `next` are the others, up to fifteen.
 *
 * One attempt that fails for want of a descriptor or of memory is made again,
 * after another has ended or after the delay; when none goes on that could give
 * any back, that is the end, and the addresses that are left are not tried.
 *
 * Parks. Returns 0; -ECANCELED; -EINVAL: not an address, `local` is none or not
 * of its family, no such family; -ENOENT: no such name; -ENODATA: it has no
 * address; what else weft_dns_lookup returns; -ECONNREFUSED, -ETIMEDOUT, ...;
 * -ENAMETOOLONG; -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM. -EAGAIN: as weft_dial.
 */
WEFT_PARKS int weft_dial_with(weft_fd *ret_conn, const char *address,
                              const weft_dial_opts *o);

/**
 * The same to n addresses that are known, tried in their order, of any family.
 * Not looked at in *o: what is about lookups, and `family` and `prefer`. After
 * WEFT_DIAL_ADDRS the rest is left out.
 *
 * Parks. Returns as above; -EINVAL: n is 0.
 */
WEFT_PARKS int weft_dial_addrs(weft_fd *ret_conn, const weft_addr addrs[],
                               size_t n, const weft_dial_opts *o);

WEFT_END_DECLS

#endif
