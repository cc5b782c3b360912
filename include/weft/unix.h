/* SPDX-License-Identifier: MIT */
/*
 * weft/unix.h (net) - Unix sockets: who is there, and passing descriptors.
 *
 *     int err = weft_unix_send_fds(worker, "conn", 4, &number, 1, NULL);
 *
 *     weft_fd conn;                                       in the other process
 *     weft_unix_extra x = {.handles = &conn, .room = 1};
 *     ssize_t n = weft_unix_recv(socket, text, sizeof text, &x);
 *     if (n > 0 && x.count == 1) serve(conn);
 *
 * Streams are weft_listen and weft_dial (weft/net.h) with an address such as
 * unix:/run/x or, on Linux, unix:@abstract; pairs are weft_socketpair. Here are
 * the other kinds, and what only Unix sockets can do.
 *
 * A descriptor goes along with octets, as a copy: the sender keeps his, and has
 * to close it. Every one that comes is closed on exec, and is either told to
 * the caller or closed here: for want of room, memory or free numbers, none is
 * left behind. A fiber cancelled while it waits has received nothing. What comes
 * where nobody asked for it, as by weft_read, the system closes.
 */
#ifndef WEFT_UNIX_H
#define WEFT_UNIX_H

#include <weft/addr.h>
#include <weft/base.h>
#include <weft/io.h>
#include <weft/net.h>

#include <sys/types.h>

WEFT_BEGIN_DECLS

enum { WEFT_UNIX_FDS = 253 }; /* in one message: Linux's SCM_MAX_FD */

/* ---- opening ------------------------------------------------------------ */

/**
 * As weft_listen and weft_dial, for connections of `type`: SOCK_STREAM, or
 * SOCK_SEQPACKET, which keeps messages apart and is not on macOS. Accept with
 * weft_accept. weft_unix_dial parks.
 *
 * Return as those; -EINVAL also: no Unix address, or another type;
 * -EPROTONOSUPPORT: there is no such type here. weft_last_error() names it.
 */
WEFT_MUST int weft_unix_listen(weft_fd *ret_listener, const char *address,
                               int type, const weft_listen_opts *o);
WEFT_PARKS int weft_unix_dial(weft_fd *ret_conn, const char *address, int type);

/**
 * A socket for datagrams, which arrive in order, whole, and all of them.
 * `address` is its name, for others to send to: NULL for none, "unix:" for one
 * that the system chooses (Linux; weft_local_addr tells it). A stale file of
 * that name is taken out of the way; the new one stays until you unlink it.
 *
 * Never parks. Returns 0, -EINVAL, -EADDRINUSE, -EACCES, -ENOENT, -EMFILE, ...;
 * -ENOTSUP: "unix:" or an abstract name, elsewhere than on Linux.
 */
WEFT_MUST int weft_unix_datagram(weft_fd *ret_fd, const char *address);

/**
 * From now on it sends to `address`, and receives from there alone.
 *
 * Parks, but only gives way. Returns 0, -ECANCELED, -EINVAL, -ECONNREFUSED,
 * -ENOENT, -EACCES, -EPROTOTYPE (no datagrams there), -EPERM.
 */
WEFT_PARKS int weft_unix_connect(weft_fd datagram, const char *address);

/* ---- who is there ------------------------------------------------------- */

typedef struct weft_unix_creds {
    pid_t pid; /* -1: not known */
    uid_t uid;
    gid_t gid;
} weft_unix_creds;

/**
 * Who connected, listened, or made the pair, as of then: it may have ended, or
 * passed the socket on. The process is told on Linux and macOS.
 *
 * Returns 0, -EBADF, -ENOTSOCK, -ENOTCONN, -EAFNOSUPPORT (no Unix socket).
 */
WEFT_MUST int weft_unix_peer(weft_fd conn, weft_unix_creds *ret_creds);

/** Has each message tell who sent it, in weft_unix_extra. Linux gives a socket
 *  for datagrams a name for that. 0, -EBADF; -ENOTSUP: not on Linux. */
WEFT_MUST int weft_unix_want_creds(weft_fd fd, bool on);

/* ---- receiving ---------------------------------------------------------- */

/** What comes along with octets. The first three are the caller's to set: fds or
 *  handles, or neither. Zeroed asks for nothing. */
typedef struct weft_unix_extra {
    int *fds;         /* numbers of descriptors; the caller closes them */
    weft_fd *handles; /* or adopted: non-blocking now for the sender too */
    size_t room;
    size_t count;   /* so many came and are the caller's */
    bool fds_lost;  /* more came; they are closed */
    bool truncated; /* the message was longer: its end is gone */
    bool has_creds;
    weft_unix_creds creds; /* see weft_unix_want_creds */
    weft_addr from;        /* of a datagram; len 0: its sender has no name */
} weft_unix_extra;

/**
 * Reads what is there, or one message, and what comes along with it. The told
 * members of *x, which may be NULL, are set on errors too: to nothing. On a
 * stream descriptors come with the first octet that they were sent with, and no
 * read goes on from there into octets that others came with.
 *
 * Parks. Returns octets; 0: the end, or an empty message; -ECANCELED, -EBADF,
 * -EBUSY, -ECONNRESET, -ENOMEM; -EINVAL: fds and handles.
 */
WEFT_PARKS ssize_t weft_unix_recv(weft_fd fd, void *buf, size_t len,
                                  weft_unix_extra *x);

/** The same without waiting: -EAGAIN. */
WEFT_MUST ssize_t weft_unix_try_recv(weft_fd fd, void *buf, size_t len,
                                     weft_unix_extra *x);

/* ---- sending ------------------------------------------------------------ */

typedef struct weft_unix_send_opts {
    const weft_addr *to; /* of a datagram; NULL: to whom it is connected */
    const int *fds;      /* descriptors to pass; they stay the caller's */
    size_t count;
    const weft_unix_creds *creds; /* Linux: another process's, user's or group's
                                     of one's own; NULL: one's own */
} weft_unix_send_opts;

/**
 * Sends some octets, as many as go, or a whole message; descriptors go with the
 * first of them. A datagram waits for room at the receiver: if that has to be
 * asked for (it is sent `to` an address, or not on Linux), after 1 ms, 2, 4, up
 * to 50 ms.
 *
 * Parks. Returns octets, and then the descriptors went too. -ECANCELED, -EBADF
 * (also one of fds, by weft_last_error), -EBUSY, -EPIPE, -ECONNRESET,
 * -ECONNREFUSED, -ENOENT (nobody there), -EMSGSIZE, -EPERM (not those creds),
 * -ETOOMANYREFS (too many descriptors under way), -ENOMEM, -ENOBUFS; -EINVAL:
 * over WEFT_UNIX_FDS, or on a stream descriptors without an octet, which it
 * would drop; -ENOTSUP: creds, not on Linux.
 */
WEFT_PARKS ssize_t weft_unix_send(weft_fd fd, const void *buf, size_t len,
                                  const weft_unix_send_opts *o);

/**
 * Sends all octets, with `count` descriptors. *ret_done (may be NULL) says how
 * many octets went, also after an error; if any did, so did the descriptors.
 *
 * Parks. Returns 0, or the errors of weft_unix_send.
 */
WEFT_PARKS int weft_unix_send_fds(weft_fd fd, const void *buf, size_t len,
                                  const int *fds, size_t count,
                                  size_t *ret_done);

WEFT_END_DECLS

#endif
