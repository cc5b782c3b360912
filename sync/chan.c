/* SPDX-License-Identifier: MIT */
/*
 * chan.c - items in a ring, and fibers at either end.
 *
 * Rules that hold whenever a fiber is parked:
 *  - a receiver waits only while the ring is empty and no sender waits;
 *  - a sender waits only while the ring is full (always, with capacity 0).
 * A select that waits to send and to receive (with capacity 0, then) is the one
 * exception: its own two do not meet. It stands in both lines alone, since
 * whoever comes next meets one of them, and both are gone.
 *
 * So an item goes straight from the sender to the oldest waiting receiver, into
 * the memory that one named, and a place that becomes free goes straight to the
 * item of the oldest waiting sender. Whoever waited has what it wanted before
 * it runs; a cancel looks only at those who have not.
 *
 * A sender's handle is an object of its own, so that "the last sender is done"
 * is exact. The first one is inside the channel.
 *
 * A channel that crosses threads comes to these calls too, and is passed on to
 * chan_mt.c where it looks closed or aborted (channel.h).
 */
#include <weft/chan.h>

#include "runtime/os.h"
#include "runtime/park.h"
#include "sync/chan_mt.h"
#include "sync/channel.h"
#include "sync/lines.h"

static inline char *ring_of(const struct wf_channel *c)
{
    return (char *)(uintptr_t)(c + 1);
}

static inline char *next_place(const struct wf_channel *c, char *place,
                               size_t bytes)
{
    place += bytes;
    return place == c->end ? ring_of(c) : place;
}

static inline void ring_in(struct wf_channel *c, const void *item)
{
    wf_channel_copy(c, c->in, item);
    c->in = next_place(c, c->in, c->item_bytes);
    c->entered++;
}

static inline void ring_out(struct wf_channel *c, void *item)
{
    wf_channel_copy(c, item, c->out);
    c->out = next_place(c, c->out, c->item_bytes);
    c->left++;
}

/* ---- whose lines are these ---------------------------------------------- */

/* A place of a select that other threads may end does not look like one of this
 * run (lines.h), so that nobody grants it unclaimed. */
static bool is_claimable(const struct weft_waiter_ *w)
{
    return w && w->run_ == WF_RUN_TO_CLAIM && wf_fiber_is_here(w->fiber_);
}

static bool is_ours(const weft_waitq_ *q)
{
    return wf_waitq_is_here(q) || is_claimable(q->head_);
}

/* Claims the first, or if others were quicker the next. True: the line can be
 * served as any other, though it may be empty now. */
__attribute__((cold, noinline)) static bool claim_first(weft_waitq_ *q)
{
    while (is_claimable(q->head_)) {
        if (wf_select_claim(q->head_)) break;
        (void)wf_waitq_pop(q);
    }
    return wf_waitq_is_here(q);
}

/* Are those who wait of this thread's run? */
static bool all_here(const struct wf_channel *c)
{
    return is_ours(&c->sending) && is_ours(&c->receivers) &&
           is_ours(&c->joiners);
}

/* If not, it has been said. */
static bool is_here(const struct wf_channel *c, const char *call)
{
    if (all_here(c)) return true;
    (void)wf_misplaced(call);
    return false;
}

__attribute__((cold, noinline)) static int refused(const struct wf_channel *c,
                                                   int err, const char *call)
{
    return wf_refused(err, c->crosses || all_here(c), call);
}

/* Parks behind those in the line, of whom the first is none to be granted as he
 * is. */
__attribute__((cold, noinline)) static int
wait_behind(weft_waitq_ *q, const struct wf_wait_kind *kind,
            const struct wf_channel *c, const char *call)
{
    if (!is_ours(q)) return wf_misplaced(call);
    return wf_waitq_park(q, kind, c);
}

/* ---- making and ending -------------------------------------------------- */

static weft_chan *new_here(size_t item_size, size_t cap, void (*drop)(void *))
{
    size_t ring, bytes;
    if (__builtin_mul_overflow(item_size, cap, &ring) ||
        __builtin_add_overflow(ring, sizeof(struct wf_channel), &bytes))
        return NULL;
    struct wf_channel *c = wf_alloc(bytes);
    if (!c) return NULL;
    *c = (struct wf_channel){.item_bytes = item_size,
                             .cap = cap,
                             .bytes = bytes,
                             .senders = 1,
                             .drop = drop};
    c->first.core = c;
    c->in = c->out = ring_of(c);
    c->end = ring_of(c) + ring;
    return &c->first;
}

weft_chan *weft_chan_new(size_t item_size, size_t cap, void (*drop)(void *item),
                         unsigned flags)
{
    if (flags & ~(unsigned)WEFT_CHAN_MT) {
        (void)wf_misuse(-EINVAL, "weft_chan_new: there are no flags 0x%x",
                        flags & ~(unsigned)WEFT_CHAN_MT);
        return NULL;
    }
    return flags & WEFT_CHAN_MT ? wf_mt_new(item_size, cap, drop)
                                : new_here(item_size, cap, drop);
}

static void destroy_if_unused(struct wf_channel *c)
{
    if (c->freed && c->clones == 0) wf_free(c, c->bytes);
}

void weft_chan_free(weft_chan *handle)
{
    if (!handle) return;
    struct wf_channel *c = handle->core;
    if (c->crosses) {
        wf_mt_free(handle);
        return;
    }
    weft_chan_abort(handle);
    c->freed = true;
    destroy_if_unused(c);
}

weft_chan *weft_chan_sender(weft_chan *handle)
{
    struct wf_channel *c = handle->core;
    if (c->crosses) return wf_mt_sender(handle);
    weft_chan *clone = wf_alloc(sizeof *clone);
    if (!clone) return NULL;
    *clone = (weft_chan){.core = c};
    c->clones++;
    c->senders++;
    return clone;
}

void weft_chan_sender_done(weft_chan *handle)
{
    struct wf_channel *c = handle->core;
    if (c->crosses) {
        wf_mt_sender_done(handle);
        return;
    }
    if (!handle->done) {
        handle->done = true;
        if (--c->senders == 0) weft_chan_close(&c->first);
    }
    if (handle == &c->first) return;
    c->clones--;
    wf_free(handle, sizeof *handle);
    destroy_if_unused(c);
}

void weft_chan_close(weft_chan *handle)
{
    struct wf_channel *c = handle->core;
    if (c->crosses) {
        wf_mt_close(handle);
        return;
    }
    if (!is_here(c, "weft_chan_close")) return;
    c->closed = true;
    c->cap = 0;
    wf_grant_all(&c->sending, -EPIPE);
    wf_grant_all(&c->receivers, 0); /* there are some only if it is empty */
}

void weft_chan_abort(weft_chan *handle)
{
    struct wf_channel *c = handle->core;
    if (c->crosses) {
        wf_mt_abort(handle);
        return;
    }
    if (!is_here(c, "weft_chan_abort")) return;
    c->closed = c->aborted = true;
    c->cap = 0;
    wf_grant_all(&c->sending, -EPIPE);
    wf_grant_all(&c->receivers, -EPIPE);
    wf_grant_all(&c->joiners, -EPIPE);
    while (wf_channel_inside(c) > 0) {
        char *item = c->out;
        c->out = next_place(c, item, c->item_bytes);
        c->entered--; /* after all */
        if (c->drop) c->drop(item);
    }
}

/* ---- sending ------------------------------------------------------------ */

static const struct wf_wait_kind to_send = {
    .name = "channel to send",
    .abort = wf_leave_line,
    .line = offsetof(struct wf_channel, sending)};

static int put_closed(weft_chan *handle, const void *item, bool waits);
static int put_claiming(weft_chan *handle, const void *item, bool waits);

/* 0, -EPIPE, or -EAGAIN where it would have to wait. With `waits` it is part of
 * a call that waits instead, and comes here only if there is no need to. */
static inline int put_as(weft_chan *handle, const void *item, bool waits)
{
    struct wf_channel *c = handle->core;
    if (c->closed || handle->done) return put_closed(handle, item, waits);
    if (!wf_waitq_is_here(&c->receivers))
        return put_claiming(handle, item, waits);
    struct weft_waiter_ *w = wf_waitq_pop(&c->receivers);
    if (w) {
        wf_channel_copy(c, w->item_, item);
        c->passed++;
        wf_grant(w, 1);
    } else if (wf_channel_inside(c) < c->cap) {
        ring_in(c, item);
    } else {
        return -EAGAIN;
    }
    return 0;
}

__attribute__((noinline)) static int put(weft_chan *handle, const void *item)
{
    return put_as(handle, item, true);
}

__attribute__((noinline)) static int wait_to_send(struct wf_channel *c,
                                                  const void *item)
{
    wf_self()->waiter.item_ = (void *)(uintptr_t)item;
    if (!wf_waitq_is_here(&c->sending))
        return wait_behind(&c->sending, &to_send, c, "weft_chan_send");
    return wf_waitq_park(&c->sending, &to_send, c);
}

/* What is most common, an item of a word and room for it, stands here and saves
 * no register; and what waits does not pass by what hands over. */
static inline int send_passed(weft_chan *handle, const void *item)
{
    struct wf_channel *c = handle->core;
    if (c->receivers.head_ || handle->done) return put(handle, item);
    if (wf_channel_inside(c) >= c->cap)
        return c->closed ? -EPIPE : wait_to_send(c, item);
    if (c->item_bytes != 8) return put(handle, item);
    char *place = c->in;
    memcpy(place, item, 8);
    c->in = next_place(c, place, 8);
    c->entered++;
    return 0;
}

__attribute__((noinline)) static int pass_and_send(weft_chan *handle,
                                                   const void *item)
{
    int err = weft_pass_slow_();
    if (err < 0) return refused(handle->core, err, "weft_chan_send");
    return send_passed(handle, item);
}

int weft_chan_send(weft_chan *handle, const void *item)
{
    return wf_passes() ? send_passed(handle, item)
                       : pass_and_send(handle, item);
}

int weft_chan_trysend(weft_chan *handle, const void *item)
{
    return put_as(handle, item, false);
}

__attribute__((cold, noinline)) static int
put_closed(weft_chan *handle, const void *item, bool waits)
{
    if (!handle->core->crosses) return -EPIPE;
    return waits ? wf_mt_send(handle, item) : wf_mt_trysend(handle, item);
}

__attribute__((cold, noinline)) static int
put_claiming(weft_chan *handle, const void *item, bool waits)
{
    if (!claim_first(&handle->core->receivers))
        return wf_misplaced("weft_chan_send");
    return waits ? send_passed(handle, item) : weft_chan_trysend(handle, item);
}

/* ---- receiving ---------------------------------------------------------- */

static const struct wf_wait_kind to_recv = {
    .name = "channel to receive",
    .abort = wf_leave_line,
    .line = offsetof(struct wf_channel, receivers)};

static int get_aborted(struct wf_channel *c, void *item, bool waits);
static int get_claiming(struct wf_channel *c, void *item, bool waits);

/* 1, 0 at the end, -EPIPE, or -EAGAIN where it would have to wait: as put_as. */
static inline int get_as(struct wf_channel *c, void *item, bool waits)
{
    if (c->aborted) return get_aborted(c, item, waits);
    if (!wf_waitq_is_here(&c->sending)) return get_claiming(c, item, waits);
    struct weft_waiter_ *w = wf_waitq_pop(&c->sending);
    if (wf_channel_inside(c) > 0) {
        ring_out(c, item);
        if (w) ring_in(c, w->item_);
    } else if (w) {
        wf_channel_copy(c, item, w->item_);
        c->passed++;
    } else {
        return c->closed ? 0 : -EAGAIN;
    }
    if (w) wf_grant(w, 0);
    return 1;
}

__attribute__((noinline)) static int get(struct wf_channel *c, void *item)
{
    return get_as(c, item, true);
}

__attribute__((noinline)) static int wait_to_recv(struct wf_channel *c,
                                                  void *item)
{
    wf_self()->waiter.item_ = item;
    if (!wf_waitq_is_here(&c->receivers))
        return wait_behind(&c->receivers, &to_recv, c, "weft_chan_recv");
    return wf_waitq_park(&c->receivers, &to_recv, c);
}

static inline int recv_passed(struct wf_channel *c, void *item)
{
    if (c->sending.head_) return get(c, item);
    if (wf_channel_inside(c) == 0)
        return c->closed ? get(c, item) : wait_to_recv(c, item);
    if (c->item_bytes != 8) return get(c, item);
    char *place = c->out;
    memcpy(item, place, 8);
    c->out = next_place(c, place, 8);
    c->left++;
    return 1;
}

__attribute__((noinline)) static int pass_and_recv(struct wf_channel *c,
                                                   void *item)
{
    int err = weft_pass_slow_();
    if (err < 0) return refused(c, err, "weft_chan_recv");
    return recv_passed(c, item);
}

int weft_chan_recv(weft_chan *handle, void *item)
{
    struct wf_channel *c = handle->core;
    return wf_passes() ? recv_passed(c, item) : pass_and_recv(c, item);
}

int weft_chan_tryrecv(weft_chan *handle, void *item)
{
    return get_as(handle->core, item, false);
}

__attribute__((cold, noinline)) static int get_aborted(struct wf_channel *c,
                                                       void *item, bool waits)
{
    if (!c->crosses) return -EPIPE;
    return waits ? wf_mt_recv(&c->first, item) : wf_mt_tryrecv(&c->first, item);
}

__attribute__((cold, noinline)) static int get_claiming(struct wf_channel *c,
                                                        void *item, bool waits)
{
    if (!claim_first(&c->sending)) return wf_misplaced("weft_chan_recv");
    return waits ? recv_passed(c, item) : get_as(c, item, false);
}

weft_waitq_ *wf_chan_senders(weft_chan *handle)
{
    struct wf_channel *c = handle->core;
    return c->crosses ? NULL : &c->sending;
}

weft_waitq_ *wf_chan_receivers(weft_chan *handle)
{
    struct wf_channel *c = handle->core;
    return c->crosses ? NULL : &c->receivers;
}

size_t weft_chan_length(const weft_chan *handle)
{
    if (handle->core->crosses) return wf_mt_length(handle);
    return wf_channel_inside(handle->core);
}

/* ---- done and join ------------------------------------------------------ */

static const struct wf_wait_kind to_join = {
    .name = "channel to be done",
    .abort = wf_leave_line,
    .line = offsetof(struct wf_channel, joiners)};

static int too_many_done(void)
{
    return wf_misuse(-EINVAL, "weft_chan_item_done: more items are done than "
                              "were received");
}

int weft_chan_item_done(weft_chan *handle)
{
    struct wf_channel *c = handle->core;
    if (c->crosses) {
        int err = wf_mt_item_done(handle);
        return err == -EINVAL ? too_many_done() : err;
    }
    if (c->done == c->left + c->passed) return too_many_done();
    if (++c->done == c->entered + c->passed) wf_grant_all(&c->joiners, 0);
    return 0;
}

int weft_chan_join(weft_chan *handle)
{
    int err = weft_pass_();
    if (err < 0) return err;
    struct wf_channel *c = handle->core;
    if (c->aborted) return c->crosses ? wf_mt_join(handle) : -EPIPE;
    if (c->done == c->entered + c->passed) return 0;
    return wf_waitq_park(&c->joiners, &to_join, c);
}
