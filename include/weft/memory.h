/* SPDX-License-Identifier: MIT */
/*
 * weft/memory.h (net) - connections within the program, without sockets.
 *
 *     weft_memory_listener *l = weft_memory_listener_new(0);
 *
 *     weft_transport *t;                          the client's fiber
 *     int err = weft_memory_dial(l, &t);
 *     if (err == 0) weft_stream_init_transport(&s, t);
 *
 *     int err = weft_memory_accept(l, &t);        the server's
 *
 * So a client and a server meet in a test, on the virtual clock, with no port
 * and no descriptor; and nothing comes from outside, so that a deadlock of the
 * two is seen as one.
 *
 * Each way holds a bounded number of octets. Who writes more waits until some
 * were read. As with TCP, what was written is read before anything that came
 * after it, an end too. One end closed:
 *
 *     reads at the other      what is there, then the end; but if it was closed
 *                             with octets unread and without shutdown_write,
 *                             -ECONNRESET instead of the end, for ever
 *     writes at the other     -EPIPE, from then on
 *     its own waiters         -EBADF
 *
 * After shutdown_read of one end the other's writes are -EPIPE, as with a Unix
 * socket. One fiber may wait at an end to read and another to write; a second
 * of a kind gets -EBUSY. A connection costs one allocation, when it is made.
 *
 * Both ends and the listener belong to the run that first uses them; calls from
 * another are refused with -EPERM and a text.
 */
#ifndef WEFT_MEMORY_H
#define WEFT_MEMORY_H

#include <weft/base.h>
#include <weft/transport.h>

WEFT_BEGIN_DECLS

enum { WEFT_MEMORY_BYTES = 65536, WEFT_MEMORY_BACKLOG = 128 };

/**
 * Makes two ends, with room for `capacity` octets each way; 0: 64 KiB. Each is
 * closed by itself, before or after the other.
 *
 * Returns 0, or -ENOMEM. Never parks.
 */
WEFT_MUST int weft_memory_pair(weft_transport *ret_pair[2], size_t capacity);

typedef struct weft_memory_listener weft_memory_listener;

/** A listener where `backlog` connections can wait to be accepted; 0: 128.
 *  NULL: no memory. */
WEFT_MUST weft_memory_listener *weft_memory_listener_new(size_t backlog);

/** How many octets each way connections made from now on hold; 0: 64 KiB. */
WEFT_API void weft_memory_listener_set_capacity(weft_memory_listener *l,
                                                size_t capacity);

/**
 * Connects. It can be written to before it was accepted. Waits while the
 * backlog is full; first come, first served.
 *
 * Parks. Returns 0, -ECANCELED, -ECONNREFUSED (closed, before or meanwhile),
 * -ENOMEM.
 */
WEFT_PARKS int weft_memory_dial(weft_memory_listener *l,
                                weft_transport **ret_transport);

/**
 * Takes the oldest connection, waiting for one; first come, first served.
 *
 * Parks. Returns 0, -ECANCELED, or -EBADF (closed, before or meanwhile).
 */
WEFT_PARKS int weft_memory_accept(weft_memory_listener *l,
                                  weft_transport **ret_transport);

/** Takes one that waits already: 0, -EAGAIN, or -EBADF. */
WEFT_MUST int weft_memory_try_accept(weft_memory_listener *l,
                                     weft_transport **ret_transport);

/** Listens no more. Who waits in dial or accept gets the codes above, and whose
 *  connection was not accepted -ECONNRESET. Twice is fine. Never parks. */
WEFT_API void weft_memory_listener_close(weft_memory_listener *l);

/** Closes and frees it. NULL is fine. */
WEFT_API void weft_memory_listener_free(weft_memory_listener *l);

WEFT_END_DECLS

#endif
