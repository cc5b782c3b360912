/* SPDX-License-Identifier: MIT */
/*
 * weft/datagram.h (reactor) - batches of datagrams, as the kernel moves them.
 *
 *     weft_mmsg v[16];                            each v[i].msg a struct msghdr
 *     int n = weft_recvmmsg(fd, v, 16, 0);
 *     if (n < 0) return n;
 *     for (int i = 0; i < n; i++) handle(&v[i].msg, v[i].len);
 *
 * recvmmsg(2) and sendmmsg(2), or where they are not (macOS, BSD) one call for
 * each message. Most programs want weft/udp.h; this is for what it has no words
 * for, and for datagram sockets of other families.
 *
 * A batch that moved something never fails: the count is returned, and what
 * ended it comes with the next call, also if that is an error which the kernel
 * says but once (of a connected socket, told by ICMP). For its sake a batch of
 * a connected socket is sent by one call for each, also on Linux.
 *
 * Any number of fibers may wait on one socket, and are served in order. A call
 * moves 1,024 at the most. What is no socket of datagrams is refused:
 * -EPROTOTYPE, -ENOTSOCK.
 */
#ifndef WEFT_DATAGRAM_H
#define WEFT_DATAGRAM_H

#include <weft/base.h>
#include <weft/io.h>

#include <sys/socket.h>

WEFT_BEGIN_DECLS

/** A message, and how long it is; of the layout of Linux's struct mmsghdr. */
typedef struct weft_mmsg {
    struct msghdr msg;
    unsigned len; /* written for those that were moved */
} weft_mmsg;

/**
 * Receives those that there are, `count` at the most. msg_namelen, msg_flags
 * and msg_controllen of the received are overwritten, and have to be set again
 * for the next time. `flags` without MSG_DONTWAIT; with MSG_ERRQUEUE (Linux)
 * it does not wait, but returns -EAGAIN.
 *
 * Parks. Returns how many, 0 only if count is 0; -ECANCELED, -EBADF, or the
 * errors of recvmsg(2).
 */
WEFT_PARKS int weft_recvmmsg(weft_fd fd, weft_mmsg *v, unsigned count,
                             int flags);

/** The same without waiting: -EAGAIN where that would park. */
WEFT_MUST int weft_try_recvmmsg(weft_fd fd, weft_mmsg *v, unsigned count,
                                int flags);

/**
 * Sends as many as go without waiting, and waits only for the first. An error
 * is that of v[0].
 *
 * Parks. Returns how many, 0 only if count is 0; -ECANCELED, -EBADF, or the
 * errors of sendmsg(2).
 */
WEFT_PARKS int weft_sendmmsg(weft_fd fd, weft_mmsg *v, unsigned count,
                             int flags);

/** The same without waiting: -EAGAIN where that would park. */
WEFT_MUST int weft_try_sendmmsg(weft_fd fd, weft_mmsg *v, unsigned count,
                                int flags);

WEFT_END_DECLS

#endif
