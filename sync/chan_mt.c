/* SPDX-License-Identifier: MIT */
/*
 * chan_mt.c - channels between threads.
 *
 * A channel has one lock, held for a few stores and the copy of an item. Who
 * has to wait stands in a line with a place on its own stack, whatever its run.
 * Under the lock an item goes straight into the memory that the oldest waiting
 * receiver named, or from that of the oldest sender, and the place is taken
 * out; after the lock is released the waiter is told, by its inbox or, in the
 * same run, at once. It leaves only then, and its place is good until then.
 *
 * A wait may have places in several channels (select.c), and be cancelled on
 * its own thread. So whoever would end it claims it first, by its one atomic
 * word. A place whose wait is already claimed gets nothing. It goes to a line
 * of those that were passed over, where its own thread will take it out; it is
 * there that nobody else stumbles over it again.
 *
 * Who is to stand in several channels locks all of them, by address. While it
 * tries each it stands in none; so of two who could end each other's wait only
 * one does the claiming, and a claim is never given back.
 *
 * Rules, under the lock:
 *  - a receiver whose wait is not claimed stands only while the ring is empty
 *    and no such sender does; such a sender only while it is full. The two of
 *    one wait do not meet, as in chan.c.
 *  - a place is in a line until it is granted or its own thread takes it out;
 *    the channel is there as long as it has handles or places.
 *  - while there is a handle of weft_chan_sender each place in line holds a
 *    reference to its inbox, so that waiting there is no deadlock. Whoever
 *    grants it uses that, or takes one, until he has put the message.
 */
#include "sync/chan_mt.h"

#include <pthread.h>

#include "runtime/fork.h"
#include "runtime/os.h"

struct wf_mt {
    struct wf_channel c; /* its flags and two of its lines are for chan.c */
    pthread_mutex_t lock;
    unsigned generation; /* of processes */
    bool closed, aborted;
    weft_waitq_ lines[3]; /* by what they wait for */
    weft_waitq_ passed_over;
    _Alignas(16) char ring[];
};

/* Waits that were granted under a lock, to be told without it. */
struct grants {
    struct wf_message *first, *last;
};

static struct wf_mt *mt_of(const weft_chan *handle)
{
    return (struct wf_mt *)(void *)handle->core;
}

static struct wf_mt_place *place_of(struct weft_waiter_ *w)
{
    return (struct wf_mt_place *)(void *)w;
}

/* The child of a fork: a thread that is not here may have the lock. */
static bool is_left(const weft_chan *handle)
{
    return mt_of(handle)->generation != wf_generation;
}

static void lock(struct wf_mt *m)
{
    (void)pthread_mutex_lock(&m->lock);
}

static void unlock(struct wf_mt *m)
{
    bool last = m->c.freed && m->c.clones == 0 && !m->passed_over.head_;
    for (int i = 0; i < 3; i++)
        last = last && wf_waitq_empty(&m->lines[i]);
    (void)pthread_mutex_unlock(&m->lock);
    if (!last) return;
    (void)pthread_mutex_destroy(&m->lock);
    wf_shared_free(m, m->c.bytes);
}

/* ---- waits and places --------------------------------------------------- */

struct wf_mt_wait wf_mt_wait_of_self(void (*deliver)(struct wf_message *m))
{
    return (struct wf_mt_wait){.message = {.deliver = deliver},
                               .inbox = wf_inbox_here()};
}

bool wf_mt_claim(struct wf_mt_wait *w)
{
    int unclaimed = 0;
    return __atomic_compare_exchange_n(&w->claimed, &unclaimed, 1, false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static void hold(struct wf_mt_place *p, bool on)
{
    if (p->holds == on) return;
    p->holds = on;
    if (on)
        (void)wf_inbox_ref(p->of->inbox);
    else
        wf_inbox_unref(p->of->inbox);
}

static void hold_all(struct wf_mt *m, bool on)
{
    for (int i = 0; i < 3; i++)
        for (struct weft_waiter_ *w = m->lines[i].head_; w; w = w->next_)
            hold(place_of(w), on);
}

static void stand(struct wf_mt_place *p, weft_waitq_ *line)
{
    p->line = line;
    wf_waitq_push(line, &p->waiter);
}

/* Takes out the oldest that is still to be had, now the caller's to grant. */
static struct wf_mt_place *claim_first(struct wf_mt *m, enum wf_mt_act act)
{
    struct weft_waiter_ *w;
    while ((w = wf_waitq_pop(&m->lines[act]))) {
        struct wf_mt_place *p = place_of(w);
        if (wf_mt_claim(p->of)) return p;
        stand(p, &m->passed_over);
    }
    return NULL;
}

/* The reference that p holds from here on is for the put; its own thread and
 * their kin need none. */
static void grant(struct wf_mt_place *p, int result, struct grants *g)
{
    struct wf_mt_wait *w = p->of;
    w->granted = p;
    w->result = result;
    hold(p, !wf_inbox_is_near(w->inbox));
    w->message.next = NULL;
    *(g->last ? &g->last->next : &g->first) = &w->message;
    g->last = &w->message;
}

static void grant_all(struct wf_mt *m, enum wf_mt_act act, int result,
                      struct grants *g)
{
    struct wf_mt_place *p;
    while ((p = claim_first(m, act)))
        grant(p, result, g);
}

/* Its wait, and the channel, may be gone once it knows. */
static void tell(struct wf_message *m)
{
    struct wf_inbox *inbox = ((struct wf_mt_wait *)(void *)m)->inbox;
    if (inbox == wf_inbox_here()) {
        m->deliver(m);
        return;
    }
    bool taken = wf_inbox_put(inbox, m);
    WF_ASSERT(taken); /* the run goes on as long as the fiber waits */
    if (!wf_inbox_is_near(inbox)) wf_inbox_unref(inbox);
}

static void tell_all(const struct grants *g)
{
    for (struct wf_message *m = g->first, *next; m; m = next) {
        next = m->next;
        tell(m);
    }
}

static void unlock_and_tell(struct wf_mt *m, const struct grants *g)
{
    unlock(m);
    tell_all(g);
}

/* ---- what can be done, under the lock ----------------------------------- */

static void *ring_at(struct wf_mt *m, uint64_t n)
{
    return m->ring + n % m->c.cap * m->c.item_bytes;
}

static void ring_in(struct wf_mt *m, const void *item)
{
    wf_channel_copy(&m->c, ring_at(m, m->c.entered++), item);
}

/* 0, -EPIPE, or -EAGAIN where it would have to wait. */
static int put(struct wf_mt *m, const weft_chan *handle, const void *item,
               struct grants *g)
{
    if (m->closed || handle->done) return -EPIPE;
    struct wf_mt_place *p = claim_first(m, WF_MT_RECV);
    if (p) {
        wf_channel_copy(&m->c, p->waiter.item_, item);
        m->c.passed++;
        grant(p, 1, g);
    } else if (wf_channel_inside(&m->c) < m->c.cap) {
        ring_in(m, item);
    } else {
        return -EAGAIN;
    }
    return 0;
}

/* 1, 0 at the end, -EPIPE, or -EAGAIN. */
static int get(struct wf_mt *m, void *item, struct grants *g)
{
    if (m->aborted) return -EPIPE;
    struct wf_mt_place *p = claim_first(m, WF_MT_SEND);
    if (wf_channel_inside(&m->c) > 0) {
        wf_channel_copy(&m->c, item, ring_at(m, m->c.left++));
        if (p) ring_in(m, p->waiter.item_);
    } else if (p) {
        wf_channel_copy(&m->c, item, p->waiter.item_);
        m->c.passed++;
    } else {
        return m->closed ? 0 : -EAGAIN;
    }
    if (p) grant(p, 0, g);
    return 1;
}

static bool all_done(const struct wf_mt *m)
{
    return m->c.done == m->c.entered + m->c.passed;
}

static int attempt(struct wf_mt *m, const struct wf_mt_place *p,
                   struct grants *g)
{
    switch (p->act) {
    case WF_MT_SEND:
        return put(m, p->handle, p->waiter.item_, g);
    case WF_MT_RECV:
        return get(m, p->waiter.item_, g);
    default:
        if (m->aborted) return -EPIPE;
        return all_done(m) ? 0 : -EAGAIN;
    }
}

/* ---- standing in line --------------------------------------------------- */

static struct wf_mt_place *merge(struct wf_mt_place *a, struct wf_mt_place *b)
{
    struct wf_mt_place *first, **end = &first;
    while (a && b) {
        struct wf_mt_place **low =
            (uintptr_t)a->chan <= (uintptr_t)b->chan ? &a : &b;
        *end = *low;
        end = &(*low)->beyond;
        *low = *end;
    }
    *end = a ? a : b;
    return first;
}

/* Links them by the addresses of their channels. */
static struct wf_mt_place *in_order(struct wf_mt_place *places, size_t n)
{
    if (n > 1)
        return merge(in_order(places, n / 2),
                     in_order(places + n / 2, n - n / 2));
    places->beyond = NULL;
    places->chan = mt_of(places->handle);
    return places;
}

static void lock_all(const struct wf_mt_place *p)
{
    const struct wf_mt *locked = NULL;
    for (; p; p = p->beyond) {
        if (p->chan != locked) lock(p->chan);
        locked = p->chan;
    }
}

static void unlock_all(const struct wf_mt_place *p)
{
    while (p) {
        struct wf_mt *m = p->chan;
        while (p && p->chan == m)
            p = p->beyond;
        unlock(m);
    }
}

int wf_mt_stand(struct wf_mt_place *places, size_t n, size_t *ret_which)
{
    struct wf_mt_place *order = in_order(places, n);
    struct grants g = {NULL, NULL};
    int got = -EAGAIN;
    lock_all(order);
    for (size_t i = 0; i < n && got == -EAGAIN; i++) {
        got = attempt(places[i].chan, &places[i], &g);
        if (got != -EAGAIN) *ret_which = i;
    }
    for (size_t i = 0; i < n && got == -EAGAIN; i++) {
        struct wf_mt *m = places[i].chan;
        hold(&places[i], m->c.clones > 0);
        stand(&places[i], &m->lines[places[i].act]);
    }
    unlock_all(order);
    tell_all(&g);
    return got;
}

void wf_mt_step_out(struct wf_mt_place *places, size_t n)
{
    for (struct wf_mt_place *p = places; p < places + n; p++) {
        if (p == p->of->granted) continue;
        lock(p->chan);
        wf_waitq_remove(p->line, &p->waiter);
        hold(p, false);
        unlock(p->chan);
    }
}

/* ---- waiting in one place ----------------------------------------------- */

static void told(struct wf_message *message)
{
    const struct wf_mt_wait *w = (const struct wf_mt_wait *)(void *)message;
    wf_wake(w->granted->waiter.fiber_, w->result);
}

/* Whoever has claimed it before will tell it. */
static bool abort_wait(weft_fiber *f)
{
    struct wf_mt_place *p = f->waiter.item_;
    if (!wf_mt_claim(p->of)) return false;
    wf_mt_step_out(p, 1);
    return true;
}

static int wait_in(weft_chan *handle, enum wf_mt_act act, void *item)
{
    static const struct wf_wait_kind kinds[] = {
        {.name = "channel to send", .abort = abort_wait},
        {.name = "channel to receive", .abort = abort_wait},
        {.name = "channel to be done", .abort = abort_wait}};
    if (is_left(handle)) return -EPERM;
    weft_fiber *f = wf_self();
    struct wf_mt_wait wait = wf_mt_wait_of_self(told);
    struct wf_mt_place p = {
        .waiter = wf_waiter_of(f), .of = &wait, .handle = handle, .act = act};
    size_t which;
    p.waiter.item_ = item;
    int got = wf_mt_stand(&p, 1, &which);
    if (got != -EAGAIN) return got;
    f->waiter.item_ = &p;
    return wf_park(&kinds[act], p.chan);
}

/* ---- making and ending -------------------------------------------------- */

weft_chan *wf_mt_new(size_t item_size, size_t cap, void (*drop)(void *item))
{
    static struct weft_waiter_ somebody;
    size_t ring, bytes;
    if (__builtin_mul_overflow(item_size, cap, &ring) ||
        __builtin_add_overflow(ring, sizeof(struct wf_mt), &bytes))
        return NULL;
    if (wf_fork_count() < 0) return NULL;
    struct wf_mt *m = wf_shared_alloc(bytes);
    if (!m) return NULL;
    *m = (struct wf_mt){.c = {.crosses = true,
                              .closed = true,
                              .aborted = true,
                              .receivers = {&somebody, &somebody},
                              .sending = {&somebody, &somebody},
                              .item_bytes = item_size,
                              .cap = cap,
                              .bytes = bytes,
                              .senders = 1,
                              .drop = drop},
                        .generation = wf_generation};
    m->c.first.core = &m->c;
    (void)pthread_mutex_init(&m->lock, NULL);
    return &m->c.first;
}

void wf_mt_free(weft_chan *handle)
{
    if (is_left(handle)) return;
    struct wf_mt *m = mt_of(handle);
    wf_mt_abort(handle);
    lock(m);
    m->c.freed = true;
    unlock(m);
}

weft_chan *wf_mt_sender(weft_chan *handle)
{
    if (is_left(handle)) return NULL;
    struct wf_mt *m = mt_of(handle);
    weft_chan *clone = wf_shared_alloc(sizeof *clone);
    if (!clone) return NULL;
    *clone = (weft_chan){.core = &m->c};
    lock(m);
    m->c.senders++;
    if (m->c.clones++ == 0) hold_all(m, true);
    unlock(m);
    return clone;
}

static void close_it(struct wf_mt *m, struct grants *g)
{
    m->closed = true;
    grant_all(m, WF_MT_SEND, -EPIPE, g);
    grant_all(m, WF_MT_RECV, 0, g); /* there are some only if it is empty */
}

void wf_mt_sender_done(weft_chan *handle)
{
    if (is_left(handle)) return;
    struct wf_mt *m = mt_of(handle);
    struct grants g = {NULL, NULL};
    bool is_clone = handle != &m->c.first;
    lock(m);
    if (!handle->done) {
        handle->done = true;
        if (--m->c.senders == 0) close_it(m, &g);
    }
    if (is_clone && --m->c.clones == 0) hold_all(m, false);
    unlock_and_tell(m, &g);
    if (is_clone) wf_shared_free(handle, sizeof *handle);
}

void wf_mt_close(weft_chan *handle)
{
    if (is_left(handle)) return;
    struct wf_mt *m = mt_of(handle);
    struct grants g = {NULL, NULL};
    lock(m);
    close_it(m, &g);
    unlock_and_tell(m, &g);
}

/* What was inside is nobody's but ours from then on, so `drop` may call what it
 * likes. */
void wf_mt_abort(weft_chan *handle)
{
    if (is_left(handle)) return;
    struct wf_mt *m = mt_of(handle);
    struct grants g = {NULL, NULL};
    lock(m);
    m->closed = m->aborted = true;
    for (enum wf_mt_act act = WF_MT_SEND; act <= WF_MT_JOIN; act++)
        grant_all(m, act, -EPIPE, &g);
    uint64_t first = m->c.left, end = m->c.entered;
    m->c.entered = first; /* after all */
    unlock_and_tell(m, &g);
    for (; m->c.drop && first < end; first++)
        m->c.drop(ring_at(m, first));
}

/* ---- sending and receiving ---------------------------------------------- */

int wf_mt_send(weft_chan *handle, const void *item)
{
    return wait_in(handle, WF_MT_SEND, (void *)(uintptr_t)item);
}

int wf_mt_recv(weft_chan *handle, void *item)
{
    return wait_in(handle, WF_MT_RECV, item);
}

int wf_mt_trysend(weft_chan *handle, const void *item)
{
    if (is_left(handle)) return -EPERM;
    struct wf_mt *m = mt_of(handle);
    struct grants g = {NULL, NULL};
    lock(m);
    int got = put(m, handle, item, &g);
    unlock_and_tell(m, &g);
    return got;
}

int wf_mt_tryrecv(weft_chan *handle, void *item)
{
    if (is_left(handle)) return -EPERM;
    struct wf_mt *m = mt_of(handle);
    struct grants g = {NULL, NULL};
    lock(m);
    int got = get(m, item, &g);
    unlock_and_tell(m, &g);
    return got;
}

size_t wf_mt_length(const weft_chan *handle)
{
    if (is_left(handle)) return 0;
    struct wf_mt *m = mt_of(handle);
    lock(m);
    size_t inside = wf_channel_inside(&m->c);
    unlock(m);
    return inside;
}

/* ---- done and join ------------------------------------------------------ */

int wf_mt_item_done(weft_chan *handle)
{
    if (is_left(handle)) return -EPERM;
    struct wf_mt *m = mt_of(handle);
    struct grants g = {NULL, NULL};
    lock(m);
    bool too_many = m->c.done == m->c.left + m->c.passed;
    if (!too_many) m->c.done++;
    if (!too_many && all_done(m)) grant_all(m, WF_MT_JOIN, 0, &g);
    unlock_and_tell(m, &g);
    return too_many ? -EINVAL : 0;
}

int wf_mt_join(weft_chan *handle)
{
    return wait_in(handle, WF_MT_JOIN, NULL);
}
