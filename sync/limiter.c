/* SPDX-License-Identifier: MIT */
/*
 * limiter.c - tokens that know their borrowers.
 *
 * Rules that hold between calls:
 *  - somebody waits only while no token is free: lent_ is total_ or more;
 *  - each borrower that has a token, or waits for one, is in the table once.
 *
 * So whoever waits has its place in the table already, and to give it a token
 * takes no memory. Who is given one has left the queue, and a cancel that comes
 * later cannot reach it there. One that is cancelled in the queue lets nobody
 * in, for all want the same, and leaves no trace in the table.
 *
 * The table is open: a borrower stands at the place of its key or, past others,
 * before the next that is free. A fiber counts the tokens that it has for
 * itself, since it may not end with one; so no fiber in the table has ended.
 * When one token is lent, the sum of the keys lent is the key of its borrower:
 * so it is found, to be named to those who wait, without a walk over the table.
 */
#include <weft/limiter.h>

#include "runtime/os.h"
#include "sync/child.h"

enum { FREE, WAITS, HAS };

struct weft_borrowed_ {
    uintptr_t key;     /* the borrower's address */
    weft_fiber *fiber; /* NULL: it does not borrow for itself */
    uint32_t state;
};

/* NULL and the running fiber are the same. */
static struct weft_borrowed_ borrower_of(const void *object, weft_fiber *f)
{
    if (object && object != f)
        return (struct weft_borrowed_){.key = (uintptr_t)object};
    return (struct weft_borrowed_){.key = (uintptr_t)f, .fiber = f};
}

/* ---- the table ---------------------------------------------------------- */

static uint32_t place_of(uintptr_t key, uint32_t room)
{
    return (uint32_t)((uint64_t)key * 0x9e3779b97f4a7c15u >> 32) & (room - 1);
}

/* Where it stands, or the free place for it. There is one. */
static struct weft_borrowed_ *place_for(struct weft_borrowed_ *table,
                                        uint32_t room, uintptr_t key)
{
    uint32_t at = place_of(key, room);
    while (table[at].state != FREE && table[at].key != key)
        at = (at + 1) & (room - 1);
    return &table[at];
}

/* NULL: it neither has a token nor waits for one. */
static struct weft_borrowed_ *find(const weft_limiter *l, uintptr_t key)
{
    if (l->room_ == 0) return NULL;
    struct weft_borrowed_ *at = place_for(l->borrowed_, l->room_, key);
    return at->state == FREE ? NULL : at;
}

static struct weft_borrowed_ *insert(struct weft_borrowed_ *table,
                                     uint32_t room,
                                     const struct weft_borrowed_ *b)
{
    struct weft_borrowed_ *at = place_for(table, room, b->key);
    *at = *b;
    return at;
}

static int grow(weft_limiter *l)
{
    enum { FIRST = 8, MAX = 1 << 28 };
    if (l->room_ >= MAX) return -ENOMEM;
    uint32_t room = l->room_ ? l->room_ * 2 : FIRST;
    struct weft_borrowed_ *table = wf_zalloc(room * sizeof *table);
    if (!table) return -ENOMEM;
    for (uint32_t i = 0; i < l->room_; i++) {
        const struct weft_borrowed_ *b = &l->borrowed_[i];
        if (b->state != FREE) (void)insert(table, room, b);
    }
    wf_free(l->borrowed_, l->room_ * sizeof *table);
    l->borrowed_ = table;
    l->room_ = room;
    return 0;
}

/* At most three of four places are taken. A fiber that waits has room for what
 * it waits for. */
static int make_room(weft_limiter *l, const struct weft_borrowed_ *b)
{
    if (b->fiber && wf_child_of(b->fiber)->tokens == WF_TOKENS)
        return weft_fail(-ENOMEM, "limiter: this fiber has %d tokens already",
                         WF_TOKENS);
    uint64_t taken = (uint64_t)l->lent_ + l->waiting_ + 1;
    if (taken * 4 <= (uint64_t)l->room_ * 3 || grow(l) == 0) return 0;
    return weft_fail(-ENOMEM, "limiter: no memory for one more borrower");
}

/* Those behind it move up, as far as they may stand there: a gap would hide
 * them. */
static void take_out(weft_limiter *l, struct weft_borrowed_ *b)
{
    struct weft_borrowed_ *table = l->borrowed_;
    uint32_t mask = l->room_ - 1, gap = (uint32_t)(b - table), at = gap;
    for (;;) {
        at = (at + 1) & mask;
        if (table[at].state == FREE) break;
        uint32_t home = place_of(table[at].key, l->room_);
        if (((at - home) & mask) < ((at - gap) & mask)) continue;
        table[gap] = table[at];
        gap = at;
    }
    table[gap].state = FREE;
}

/* ---- tokens ------------------------------------------------------------- */

static void lend(weft_limiter *l, struct weft_borrowed_ *b)
{
    b->state = HAS;
    l->lent_++;
    l->sum_ += b->key;
    if (b->fiber) wf_child_of(b->fiber)->tokens++;
}

static void take_back(weft_limiter *l, const struct weft_borrowed_ *b)
{
    l->lent_--;
    l->sum_ -= b->key;
    if (b->fiber) wf_child_of(b->fiber)->tokens--;
}

static struct weft_borrowed_ *waiting_at(const weft_limiter *l,
                                         const struct weft_waiter_ *w)
{
    struct weft_borrowed_ *at = find(l, borrower_of(w->item_, w->fiber_).key);
    WF_ASSERT(at && at->state == WAITS);
    return at;
}

static void serve(weft_limiter *l)
{
    while (l->waiters_.head_ && l->lent_ < l->total_) {
        struct weft_waiter_ *w = wf_waitq_pop(&l->waiters_);
        l->waiting_--;
        lend(l, waiting_at(l, w));
        wf_wake(w->fiber_, 0);
    }
}

static bool abort_acquire(weft_fiber *f)
{
    weft_limiter *l = (weft_limiter *)(uintptr_t)f->object;
    wf_waitq_remove(&l->waiters_, &f->waiter);
    take_out(l, waiting_at(l, &f->waiter));
    l->waiting_--;
    return true;
}

static const weft_fiber *only_borrower(const void *object)
{
    const weft_limiter *l = object;
    if (l->lent_ != 1) return NULL;
    const struct weft_borrowed_ *one = find(l, l->sum_);
    WF_ASSERT(one);
    return one->fiber;
}

static const struct wf_wait_kind to_borrow = {
    .name = "limiter", .holder = only_borrower, .abort = abort_acquire};

void weft_limiter_init(weft_limiter *l, uint32_t total)
{
    wf_check_nobody_waits(l, "weft_limiter_init");
    *l = (weft_limiter)WEFT_LIMITER_INIT(total);
}

void weft_limiter_fini(weft_limiter *l)
{
    if (l->waiting_ > 0)
        wf_fatal("weft_limiter_fini: %u fiber%s still wait%s for a token",
                 l->waiting_, l->waiting_ == 1 ? "" : "s",
                 l->waiting_ == 1 ? "s" : "");
    for (uint32_t i = 0; i < l->room_; i++)
        if (l->borrowed_[i].state == HAS) take_back(l, &l->borrowed_[i]);
    wf_free(l->borrowed_, l->room_ * sizeof *l->borrowed_);
    *l = (weft_limiter)WEFT_LIMITER_INIT(0);
}

/* 0: it has a token. -EAGAIN: it has to wait, and with `may_wait` it is in the
 * table for that. */
static int enter(weft_limiter *l, const struct weft_borrowed_ *b, bool may_wait)
{
    const struct weft_borrowed_ *is = find(l, b->key);
    bool is_free = l->lent_ < l->total_;
    WF_ASSERT(!is_free || !l->waiters_.head_);
    if (is)
        return wf_misuse(-EDEADLK, "limiter: this borrower %s a token",
                         is->state == HAS ? "has" : "waits for");
    if (!is_free && !may_wait) return -EAGAIN;
    int err = make_room(l, b);
    if (err < 0) return err;

    struct weft_borrowed_ *at = insert(l->borrowed_, l->room_, b);
    if (is_free) {
        lend(l, at);
        return 0;
    }
    at->state = WAITS;
    l->waiting_++;
    return -EAGAIN;
}

int weft_limiter_acquire(weft_limiter *l, const void *borrower)
{
    int err = weft_pass_();
    if (err < 0) return err;
    weft_fiber *f = wf_self();
    struct weft_borrowed_ b = borrower_of(borrower, f);
    err = enter(l, &b, true);
    if (err != -EAGAIN) return err;
    f->waiter.item_ = (void *)(uintptr_t)borrower;
    return wf_waitq_park(&l->waiters_, &to_borrow, l);
}

int weft_limiter_try(weft_limiter *l, const void *borrower)
{
    if (!borrower && !wf_self()) return weft_pass_slow_();
    struct weft_borrowed_ b = borrower_of(borrower, wf_self());
    return enter(l, &b, false);
}

int weft_limiter_release(weft_limiter *l, const void *borrower)
{
    if (!borrower && !wf_self()) return weft_pass_slow_();
    struct weft_borrowed_ *b = find(l, borrower_of(borrower, wf_self()).key);
    if (!b || b->state != HAS)
        return wf_misuse(-EPERM, "weft_limiter_release: this borrower has no "
                                 "token");
    take_back(l, b);
    take_out(l, b);
    serve(l);
    return 0;
}

void weft_limiter_resize(weft_limiter *l, uint32_t total)
{
    l->total_ = total;
    serve(l);
}

uint32_t weft_limiter_total(const weft_limiter *l)
{
    return l->total_;
}

uint32_t weft_limiter_lent(const weft_limiter *l)
{
    return l->lent_;
}

size_t weft_limiter_waiting(const weft_limiter *l)
{
    return l->waiting_;
}
