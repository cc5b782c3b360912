/* SPDX-License-Identifier: MIT */
/*
 * weft/chan.h (sync) - a queue of items between fibers.
 *
 *     weft_chan *jobs = weft_chan_new(sizeof(struct job), 16, NULL, 0);
 *
 *     int err = weft_chan_send(jobs, &job);       producers
 *     ...
 *     weft_chan_close(jobs);
 *
 *     struct job job;                             consumers
 *     while ((err = weft_chan_recv(jobs, &job)) == 1) work(&job);
 *
 *     weft_chan_free(jobs);
 *
 * Items have a fixed size and are copied. With capacity 0 a sender and a
 * receiver meet; there is no unbounded channel. Order is first in, first out,
 * of items as of waiters: an item or a place that somebody waits for is
 * handed to him, and no newcomer gets it. A cancelled send has not sent, and
 * a cancelled receive has not received. What waits may be a case of a
 * weft_select, which then happens with the result that is told here. The calls
 * that do not park may also be made outside a fiber.
 *
 * A channel belongs to the run of those who use it, and costs no lock. One that
 * was made with WEFT_CHAN_MT crosses threads:
 *
 *     weft_chan *jobs = weft_chan_new(sizeof(struct job), 16, NULL,
 *                                     WEFT_CHAN_MT);
 *     start_thread(produce, weft_chan_sender(jobs));
 *
 * Fibers of any run may wait in it, and the calls that do not park may be made
 * by any thread, in a fiber or not. All that is said here holds there too,
 * among the waiters of all threads; what one thread sends arrives in its order.
 *
 * A handle stands for being able to reach it. Each thread outside the run that
 * made the channel, and each other run, has one of its own from
 * weft_chan_sender, also if it only receives, and gives it to
 * weft_chan_sender_done when it is through. That keeps the channel; and as long
 * as there is one, no run that waits in the channel is deadlocked. When the
 * last is done, a run where every fiber waits looks again. A receiver's handle
 * counts as a sender's, so where there are such, who sends last says
 * weft_chan_close. The virtual clock does not wait for other threads.
 *
 * In the child of a fork a call for such a channel of the parent's returns
 * -EPERM, or does nothing.
 *
 * After: Hoare, Communicating Sequential Processes, CACM 21 (8), 1978.
 */
#ifndef WEFT_CHAN_H
#define WEFT_CHAN_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_chan weft_chan;

enum {
    WEFT_CHAN_MT = 1 /* crosses threads */
};

/**
 * Makes a channel of items of item_size bytes (0 is legal), `cap` of which it
 * holds. `drop`, or NULL, is called for each item inside that nobody will
 * receive, by the call, and on its thread, that ends the channel; it must not
 * park. The caller has the first sender's handle and must free the channel.
 *
 * Returns NULL when there is no memory, the size overflows, or there is no such
 * flag.
 */
WEFT_MUST weft_chan *weft_chan_new(size_t item_size, size_t cap,
                                   void (*drop)(void *item), unsigned flags);

/** Ends the channel: as abort, the first sender's handle is done, and it is
 *  gone when the others are. Who waits on it gets -EPIPE. NULL is fine. With
 *  WEFT_CHAN_MT any thread may do so. */
WEFT_API void weft_chan_free(weft_chan *c);

/**
 * One more sender's handle of the same channel: to send on, and to give to
 * weft_chan_sender_done in the end. For all other calls it is the channel.
 * NULL when there is no memory.
 */
WEFT_MUST weft_chan *weft_chan_sender(weft_chan *c);

/** This sender sends no more, and its handle, unless it is the first, is gone.
 *  The last one closes the channel. */
WEFT_API void weft_chan_sender_done(weft_chan *c);

/**
 * Sends a copy of *item. On an error the item is still the caller's.
 *
 * Parks. Returns 0, -ECANCELED, or -EPIPE (closed, aborted, or this sender is
 * done).
 */
WEFT_PARKS int weft_chan_send(weft_chan *c, const void *item);

/**
 * Receives into *item. What was sent before a close is still received.
 *
 * Parks. Returns 1, 0 (closed and empty), -ECANCELED, or -EPIPE (aborted).
 */
WEFT_PARKS int weft_chan_recv(weft_chan *c, void *item);

/** The same without waiting; -EAGAIN where they would. */
WEFT_MUST int weft_chan_trysend(weft_chan *c, const void *item);
WEFT_MUST int weft_chan_tryrecv(weft_chan *c, void *item);

/** No more is sent: parked senders get -EPIPE, receivers drain it. */
WEFT_API void weft_chan_close(weft_chan *c);

/** Drops what is inside; everybody gets -EPIPE from now on, who waits too. */
WEFT_API void weft_chan_abort(weft_chan *c);

/** A received item has been dealt with. 0; -EINVAL: more often than that. */
WEFT_API int weft_chan_item_done(weft_chan *c);

/**
 * Waits until every item sent has been received and reported done, also after
 * a close.
 *
 * Parks. Returns 0, -ECANCELED, or -EPIPE (aborted).
 */
WEFT_PARKS int weft_chan_join(weft_chan *c);

/** Items inside now. */
WEFT_API size_t weft_chan_length(const weft_chan *c);

WEFT_END_DECLS

#endif
