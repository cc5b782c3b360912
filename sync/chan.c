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
 */
#include <weft/chan.h>

#include <string.h>

#include "runtime/os.h"
#include "runtime/park.h"
#include "sync/lines.h"

struct core;

struct weft_chan { /* a handle */
    struct core *core;
    bool done; /* sends no more */
};

struct core {
    weft_chan first;
    bool closed, aborted, freed;
    size_t item_bytes;
    uint64_t entered, left; /* the ring, ever */
    size_t cap;             /* of the ring; 0 from the close on */
    char *in, *out, *end;   /* the next place to fill, and to empty; the end */
    weft_waitq_ receivers, sending, joiners;
    uint64_t passed; /* from hand to hand, never in the ring */
    uint64_t done;   /* of those received, reported done */
    size_t senders;  /* handles that are not done */
    size_t clones;   /* handles allocated */
    size_t bytes;
    void (*drop)(void *item);
    _Alignas(16) char ring[];
};

static inline size_t inside(const struct core *c)
{
    return c->entered - c->left;
}

static inline void copy(const struct core *c, void *to, const void *from)
{
    if (c->item_bytes == 8)
        memcpy(to, from, 8);
    else if (c->item_bytes)
        memcpy(to, from, c->item_bytes);
}

static inline char *next_place(const struct core *c, char *place, size_t bytes)
{
    place += bytes;
    return place == c->end ? (char *)(uintptr_t)c->ring : place;
}

static inline void ring_in(struct core *c, const void *item)
{
    copy(c, c->in, item);
    c->in = next_place(c, c->in, c->item_bytes);
    c->entered++;
}

static inline void ring_out(struct core *c, void *item)
{
    copy(c, item, c->out);
    c->out = next_place(c, c->out, c->item_bytes);
    c->left++;
}

/* Are those who wait of this thread's run? */
static bool all_here(const struct core *c)
{
    return wf_waitq_is_here(&c->sending) && wf_waitq_is_here(&c->receivers) &&
           wf_waitq_is_here(&c->joiners);
}

/* If not, it has been said. */
static bool is_here(const struct core *c, const char *call)
{
    if (all_here(c)) return true;
    (void)wf_misplaced(call);
    return false;
}

__attribute__((cold, noinline)) static int refused(const struct core *c, int err, const char *call)
{
    return wf_refused(err, all_here(c), call);
}

/* ---- making and ending -------------------------------------------------- */

weft_chan *weft_chan_new(size_t item_size, size_t cap, void (*drop)(void *item))
{
    size_t ring, bytes;
    if (__builtin_mul_overflow(item_size, cap, &ring) ||
        __builtin_add_overflow(ring, sizeof(struct core), &bytes))
        return NULL;
    struct core *c = wf_alloc(bytes);
    if (!c) return NULL;
    *c = (struct core){.item_bytes = item_size,
                       .cap = cap,
                       .bytes = bytes,
                       .senders = 1,
                       .drop = drop};
    c->first.core = c;
    c->in = c->out = c->ring;
    c->end = c->ring + ring;
    return &c->first;
}

static void destroy_if_unused(struct core *c)
{
    if (c->freed && c->clones == 0) wf_free(c, c->bytes);
}

void weft_chan_free(weft_chan *handle)
{
    if (!handle) return;
    struct core *c = handle->core;
    weft_chan_abort(handle);
    c->freed = true;
    destroy_if_unused(c);
}

weft_chan *weft_chan_sender(weft_chan *handle)
{
    struct core *c = handle->core;
    weft_chan *clone = wf_alloc(sizeof *clone);
    if (!clone) return NULL;
    *clone = (weft_chan){.core = c};
    c->clones++;
    c->senders++;
    return clone;
}

void weft_chan_sender_done(weft_chan *handle)
{
    struct core *c = handle->core;
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
    struct core *c = handle->core;
    if (!is_here(c, "weft_chan_close")) return;
    c->closed = true;
    c->cap = 0;
    wf_grant_all(&c->sending, -EPIPE);
    wf_grant_all(&c->receivers, 0); /* there are some only if it is empty */
}

void weft_chan_abort(weft_chan *handle)
{
    struct core *c = handle->core;
    if (!is_here(c, "weft_chan_abort")) return;
    c->closed = c->aborted = true;
    c->cap = 0;
    wf_grant_all(&c->sending, -EPIPE);
    wf_grant_all(&c->receivers, -EPIPE);
    wf_grant_all(&c->joiners, -EPIPE);
    while (inside(c) > 0) {
        char *item = c->out;
        c->out = next_place(c, item, c->item_bytes);
        c->entered--; /* after all */
        if (c->drop) c->drop(item);
    }
}

/* ---- sending ------------------------------------------------------------ */

static const struct wf_wait_kind to_send = {.name = "channel to send",
                                            .abort = wf_leave_line,
                                            .line =
                                                offsetof(struct core, sending)};

/* 0, -EPIPE, or -EAGAIN where it would have to wait. */
__attribute__((noinline)) static int put(weft_chan *handle, const void *item)
{
    struct core *c = handle->core;
    if (c->closed || handle->done) return -EPIPE;
    if (!wf_waitq_is_here(&c->receivers)) return wf_misplaced("weft_chan_send");
    struct weft_waiter_ *w = wf_waitq_pop(&c->receivers);
    if (w) {
        copy(c, w->item_, item);
        c->passed++;
        wf_grant(w, 1);
    } else if (inside(c) < c->cap) {
        ring_in(c, item);
    } else {
        return -EAGAIN;
    }
    return 0;
}

__attribute__((noinline)) static int wait_to_send(struct core *c,
                                                  const void *item)
{
    if (!wf_waitq_is_here(&c->sending)) return wf_misplaced("weft_chan_send");
    wf_self()->waiter.item_ = (void *)(uintptr_t)item;
    return wf_waitq_park(&c->sending, &to_send, c);
}

/* What is most common, an item of a word and room for it, stands here and saves
 * no register; and what waits does not pass by what hands over. */
static inline int send_passed(weft_chan *handle, const void *item)
{
    struct core *c = handle->core;
    if (c->receivers.head_ || handle->done) return put(handle, item);
    if (inside(c) >= c->cap) return c->closed ? -EPIPE : wait_to_send(c, item);
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
    return put(handle, item);
}

/* ---- receiving ---------------------------------------------------------- */

static const struct wf_wait_kind to_recv = {
    .name = "channel to receive",
    .abort = wf_leave_line,
    .line = offsetof(struct core, receivers)};

/* 1, 0 at the end, -EPIPE, or -EAGAIN where it would have to wait. */
__attribute__((noinline)) static int get(struct core *c, void *item)
{
    if (c->aborted) return -EPIPE;
    if (!wf_waitq_is_here(&c->sending)) return wf_misplaced("weft_chan_recv");
    struct weft_waiter_ *w = wf_waitq_pop(&c->sending);
    if (inside(c) > 0) {
        ring_out(c, item);
        if (w) ring_in(c, w->item_);
    } else if (w) {
        copy(c, item, w->item_);
        c->passed++;
    } else {
        return c->closed ? 0 : -EAGAIN;
    }
    if (w) wf_grant(w, 0);
    return 1;
}

__attribute__((noinline)) static int wait_to_recv(struct core *c, void *item)
{
    if (!wf_waitq_is_here(&c->receivers)) return wf_misplaced("weft_chan_recv");
    wf_self()->waiter.item_ = item;
    return wf_waitq_park(&c->receivers, &to_recv, c);
}

static inline int recv_passed(struct core *c, void *item)
{
    if (c->sending.head_) return get(c, item);
    if (inside(c) == 0) return c->closed ? get(c, item) : wait_to_recv(c, item);
    if (c->item_bytes != 8) return get(c, item);
    char *place = c->out;
    memcpy(item, place, 8);
    c->out = next_place(c, place, 8);
    c->left++;
    return 1;
}

__attribute__((noinline)) static int pass_and_recv(struct core *c, void *item)
{
    int err = weft_pass_slow_();
    if (err < 0) return refused(c, err, "weft_chan_recv");
    return recv_passed(c, item);
}

int weft_chan_recv(weft_chan *handle, void *item)
{
    struct core *c = handle->core;
    return wf_passes() ? recv_passed(c, item) : pass_and_recv(c, item);
}

int weft_chan_tryrecv(weft_chan *handle, void *item)
{
    return get(handle->core, item);
}

weft_waitq_ *wf_chan_senders(weft_chan *handle)
{
    return &handle->core->sending;
}

weft_waitq_ *wf_chan_receivers(weft_chan *handle)
{
    return &handle->core->receivers;
}

size_t weft_chan_length(const weft_chan *handle)
{
    return inside(handle->core);
}

/* ---- done and join ------------------------------------------------------ */

static const struct wf_wait_kind to_join = {.name = "channel to be done",
                                            .abort = wf_leave_line,
                                            .line =
                                                offsetof(struct core, joiners)};

int weft_chan_item_done(weft_chan *handle)
{
    struct core *c = handle->core;
    if (c->done == c->left + c->passed)
        return wf_misuse(-EINVAL, "weft_chan_item_done: more items are done "
                                  "than were received");
    if (++c->done == c->entered + c->passed) wf_grant_all(&c->joiners, 0);
    return 0;
}

int weft_chan_join(weft_chan *handle)
{
    int err = weft_pass_();
    if (err < 0) return err;
    struct core *c = handle->core;
    if (c->aborted) return -EPIPE;
    if (c->done == c->entered + c->passed) return 0;
    return wf_waitq_park(&c->joiners, &to_join, c);
}
