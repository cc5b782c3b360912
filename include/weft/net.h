/* SPDX-License-Identifier: MIT */
/*
 * weft/net.h (net) - listening and dialling, TCP and Unix.
 *
 *     weft_fd l, conn;
 *     int err = weft_listen(&l, "127.0.0.1:8080", NULL);
 *     if (err < 0) return err;
 *     while ((err = weft_accept(l, &conn, NULL)) == 0) ...
 *     weft_close(l);
 *
 * Addresses are texts (weft/addr.h), and names to dial. Connections have
 * TCP_NODELAY set. An error names the address in weft_last_error().
 */
#ifndef WEFT_NET_H
#define WEFT_NET_H

#include <weft/addr.h>
#include <weft/base.h>
#include <weft/io.h>

#include <sys/types.h>

WEFT_BEGIN_DECLS

typedef struct weft_listen_opts {
    int backlog;       /* 0: 4096, which the kernel cuts to its own limit */
    bool reuse_port;   /* several listeners share the port (SO_REUSEPORT), each
                          with a part of the connections on Linux, and one
                          with all of them elsewhere. Not by default: any
                          process of the same user may then listen there too,
                          and silently take its part */
    bool keep_path;    /* leave a Unix socket file of that name alone; by
                          default a stale one is taken out of the way */
    bool v6_only;      /* of IPv6: no IPv4 connections. By default "[::]:80"
                          takes them too, whatever the system's own default;
                          their peers are IPv4-mapped (weft_addr_unmap) */
    mode_t mode;       /* of a Unix socket's file, such as 0660, whatever the
                          umask; it is set before anybody can connect.
                          0: 0777 less the umask */
} weft_listen_opts;

/**
 * Opens a listener at `address`; port 0 lets the kernel choose (ask with
 * weft_local_addr). A Unix socket's file stays until you unlink it; an error
 * leaves no new one. Besides those of weft/addr.h addresses are
 *
 *     *:80            IPv4 and IPv6; IPv4 alone if this kernel has no IPv6
 *     fd:3            descriptor 3, inherited: a stream socket that listens
 *     systemd:http    the first one of that name that systemd has passed,
 *     systemd:http:1  the second, and
 *     systemd::0      the first of all (weft/activation.h)
 *
 * ":80" is IPv4 alone. Of an inherited one only `backlog` is looked at, and
 * without that its own stays: the rest is the business of who has opened it.
 *
 * Returns 0, -EADDRINUSE, -EACCES, -EMFILE, ...; -EINVAL: a bad address, or
 * options that are not for it: a backlog below 0, a mode over 0777 or of what
 * has no file, "*" and v6_only. Of an inherited one -EBADF (not open),
 * -ENOTSOCK, -EPROTOTYPE, -EINVAL (does not listen), -EBUSY (weft's already);
 * -ENOENT: systemd has passed no such one. -ENOTSUP: any IPv6 address and not
 * v6_only, where no socket is of both families (OpenBSD). weft_last_error() has
 * the address and the step: socket, option, bind, mode, listen. Never parks.
 */
WEFT_MUST int weft_listen(weft_fd *ret_listener, const char *address,
                          const weft_listen_opts *o);

/** The same at a typed address. */
WEFT_MUST int weft_listen_addr(weft_fd *ret_listener, const weft_addr *address,
                               const weft_listen_opts *o);

/**
 * With which options weft_listen_addr makes another listener like this one, at
 * its weft_local_addr: reuse_port, v6_only, and on Linux the backlog (of TCP;
 * elsewhere 0). The results can be used on another worker.
 *
 * Returns 0, -EBADF, -EINVAL (it does not listen).
 */
WEFT_MUST int weft_listener_opts(weft_fd listener, weft_listen_opts *ret_opts);

/**
 * Takes the next connection. `ret_peer` may be NULL.
 *
 * Parks. Returns 0, -ECANCELED, -EBADF (the listener was closed), -ENOMEM.
 */
WEFT_PARKS int weft_accept(weft_fd listener, weft_fd *ret_conn,
                           weft_addr *ret_peer);

/** Takes a connection that already waits, or returns -EAGAIN. */
WEFT_MUST int weft_try_accept(weft_fd listener, weft_fd *ret_conn,
                              weft_addr *ret_peer);

/**
 * Connects to `address`, or to a name as "example.org:80" or
 * "tcp://example.org:80", by whichever of its addresses answers first; how,
 * with which resolver and what else is in weft/dial.h. Give it a deadline by a
 * scope around it.
 *
 * Parks. Returns 0, -ECANCELED, -EINVAL, -ECONNREFUSED, -EMFILE, ...; -ENOENT:
 * there is no such name, or Unix socket; -EAGAIN: the backlog of a Unix
 * listener is full, which cannot be waited for.
 */
WEFT_PARKS int weft_dial(weft_fd *ret_conn, const char *address);

/** Ends this side's sending; the peer reads the end of the stream. macOS says
 *  -ENOTCONN of a direction that has ended already, the BSDs too of some. */
WEFT_MUST int weft_shutdown_write(weft_fd conn);

/** Ends this side's receiving: reads give what has come, then the end. On macOS
 *  and the BSDs what has come and was not read is thrown away. */
WEFT_MUST int weft_shutdown_read(weft_fd conn);

WEFT_MUST int weft_local_addr(weft_fd fd, weft_addr *ret_addr);
WEFT_MUST int weft_peer_addr(weft_fd fd, weft_addr *ret_addr);

/** TCP_NODELAY; on by default. Off makes the kernel gather small writes. */
WEFT_MUST int weft_set_nodelay(weft_fd conn, bool on);

/** SO_LINGER with 0: the next close resets instead of ending the stream. */
WEFT_MUST int weft_set_reset_on_close(weft_fd conn, bool on);

WEFT_END_DECLS

#endif
