/* SPDX-License-Identifier: MIT */
/*
 * weft/transport.h (net) - what a stream reads and writes over.
 *
 *     struct tls {
 *         weft_transport transport;       first: a pointer to it is one to this
 *         weft_transport *below;
 *         ...
 *     };
 *     static const weft_transport_ops ops = {"tls", tls_try_read, ...};
 *
 *     weft_stream_init_transport(&s, &tls->transport);
 *
 * A descriptor needs none: weft_stream_init takes it as it is. Others are the
 * memory of weft/memory.h, the troublemaker of weft/faulty.h, and your own.
 * One is closed once, and is gone then: close it while no fiber is in a call of
 * it, save a wait. (Who moves octets without having to wait gives way now and
 * then, and is in no wait.) It belongs to the thread of those who use it. One
 * fiber may wait to read and another to write.
 */
#ifndef WEFT_TRANSPORT_H
#define WEFT_TRANSPORT_H

#include <weft/addr.h>
#include <weft/base.h>
#include <weft/io.h>

#include <sys/types.h>

WEFT_BEGIN_DECLS

typedef struct weft_transport weft_transport;

typedef struct weft_transport_ops {
    const char *name; /* "memory", "tls", for people */

    /* Moves what can be moved now. Octets, at least one; 0: the end (read);
     * -EAGAIN: none now; -EPIPE: the peer takes no more (write); other errors.
     * Neither parks. What it says -EAGAIN of it may be asked again with other
     * octets: nothing of these has been taken. */
    ssize_t (*try_read)(weft_transport *t, void *buf, size_t len);
    ssize_t (*try_write)(weft_transport *t, const void *buf, size_t len);

    /* Parks until a try of one of these kinds may get on (WEFT_READABLE,
     * WEFT_WRITABLE): a hint. It is a cancel point also if one could at once.
     * More than 0; -ECANCELED; -EBUSY: another fiber waits for the same; -EBADF:
     * *t was closed meanwhile and is gone, and for nothing else. */
    int (*wait)(weft_transport *t, int events);

    /* Ends one direction: the peer reads the end; our reads give what has come,
     * then the end. The first may park: after -ECANCELED it is called again.
     * 0 or an error. Either may be NULL, which is -ENOTSUP. */
    int (*shutdown_write)(weft_transport *t);
    int (*shutdown_read)(weft_transport *t);

    /* Ends both, frees *t, and wakes with -EBADF who is parked in wait. Never
     * parks; also outside of a fiber. */
    void (*close)(weft_transport *t);

    /* Where the peer is: 0 or an error. NULL: nowhere, -ENOTSUP. */
    int (*peer_addr)(weft_transport *t, weft_addr *ret_addr);
} weft_transport_ops;

/** The first member of a transport's own struct. */
struct weft_transport {
    const weft_transport_ops *ops;
};

/**
 * Reads or writes some octets, as weft_read and weft_write do of a descriptor.
 *
 * Park. Return octets, 0 at the end (read), -ECANCELED (none were moved),
 * -EBADF, -EBUSY, or what the transport says.
 */
WEFT_PARKS ssize_t weft_transport_read(weft_transport *t, void *buf,
                                       size_t len);
WEFT_PARKS ssize_t weft_transport_write(weft_transport *t, const void *buf,
                                        size_t len);

/** Writes all, as weft_write_all: *ret_done (may be NULL) says how many went. */
WEFT_PARKS int weft_transport_write_all(weft_transport *t, const void *buf,
                                        size_t len, size_t *ret_done);

/** By the transport's own, or -ENOTSUP. The first may park. */
WEFT_PARKS int weft_transport_shutdown_write(weft_transport *t);
WEFT_MUST int weft_transport_shutdown_read(weft_transport *t);
WEFT_MUST int weft_transport_peer_addr(weft_transport *t, weft_addr *ret_addr);

/** Closes it; NULL is fine. Never parks. */
WEFT_API void weft_transport_close(weft_transport *t);

/**
 * A transport over a descriptor, for what takes transports only. It takes `fd`
 * over and closes it.
 *
 * Returns 0; -ENOMEM, or -EBADF: then `fd` is still the caller's.
 */
WEFT_MUST int weft_transport_of_fd(weft_fd fd, weft_transport **ret_transport);

WEFT_END_DECLS

#endif
