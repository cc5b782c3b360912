/* SPDX-License-Identifier: MIT */
/*
 * rwlock.c - many readers or one writer, in one line.
 *
 * The writer owns a mutex inside, so its end is noticed as that of a mutex's
 * owner; and in the line of that mutex stand all who wait, readers too.
 *
 * Rule: nobody reads while somebody writes, and the oldest waiter could not go
 * in now. Whatever ends that (an unlock, a downgrade, a waiter at the front
 * that is cancelled) lets waiters in from the front for as long as they can.
 *
 * Who reads is counted, here and in the fiber, but not listed: that would take
 * memory for each. So a fiber that reads nothing at all is told from one that
 * does; but what a fiber reads that ends is not known, so it may not.
 */
#include <weft/rwlock.h>

#include "sync/mutex.h"

/* In a waiter's n_. */
enum { TO_READ, TO_WRITE };

static bool may_enter(const weft_rwlock *l, size_t how)
{
    return !l->writer_.owner_ && (how == TO_READ || l->readers_ == 0);
}

static bool rule_holds(const weft_rwlock *l)
{
    const struct weft_waiter_ *oldest = l->writer_.waiters_.head_;
    return (!l->writer_.owner_ || l->readers_ == 0) &&
           (!oldest || !may_enter(l, oldest->n_));
}

static void enter(weft_rwlock *l, weft_fiber *f, size_t how)
{
    if (how == TO_WRITE) {
        wf_mutex_own(&l->writer_, f);
        return;
    }
    struct wf_child *c = wf_child_of(f);
    WF_ASSERT(l->readers_ < UINT32_MAX && c->reads < WF_READS);
    l->readers_++;
    c->reads++;
}

static void admit(weft_rwlock *l)
{
    weft_waitq_ *line = &l->writer_.waiters_;
    while (line->head_ && may_enter(l, line->head_->n_)) {
        struct weft_waiter_ *w = wf_waitq_pop(line);
        enter(l, w->fiber_, w->n_);
        wf_wake(w->fiber_, 0);
    }
}

static bool abort_lock(weft_fiber *f)
{
    weft_rwlock *l = (weft_rwlock *)(uintptr_t)f->object;
    wf_waitq_remove(&l->writer_.waiters_, &f->waiter);
    admit(l);
    return true;
}

static const weft_fiber *writer_of(const void *object)
{
    return ((const weft_rwlock *)object)->writer_.owner_;
}

static const struct wf_wait_kind waits[] = {
    [TO_READ] = {.name = "rwlock to read",
                 .holder = writer_of,
                 .abort = abort_lock},
    [TO_WRITE] = {
        .name = "rwlock to write", .holder = writer_of, .abort = abort_lock}};

/* ---- taking it ---------------------------------------------------------- */

static int take(weft_rwlock *l, weft_fiber *f, size_t how)
{
    WF_ASSERT(rule_holds(l));
    if (l->writer_.owner_ == WF_DEAD) return -EOWNERDEAD;
    if (l->writer_.waiters_.head_ || !may_enter(l, how)) return -EBUSY;
    enter(l, f, how);
    return 0;
}

static int lock(weft_rwlock *l, size_t how)
{
    int err = weft_pass_();
    if (err < 0) return err;
    weft_fiber *f = wf_self();
    err = take(l, f, how);
    if (err != -EBUSY) return err;
    if (l->writer_.owner_ == f)
        return wf_misuse(-EDEADLK, "weft_rwlock: this fiber writes");
    f->waiter.n_ = (uint32_t)how;
    return wf_waitq_park(&l->writer_.waiters_, &waits[how], l);
}

int weft_rwlock_rdlock(weft_rwlock *l)
{
    return lock(l, TO_READ);
}

int weft_rwlock_wrlock(weft_rwlock *l)
{
    return lock(l, TO_WRITE);
}

int weft_rwlock_tryrdlock(weft_rwlock *l)
{
    weft_fiber *f = wf_self();
    return f ? take(l, f, TO_READ) : weft_pass_slow_();
}

int weft_rwlock_trywrlock(weft_rwlock *l)
{
    weft_fiber *f = wf_self();
    return f ? take(l, f, TO_WRITE) : weft_pass_slow_();
}

/* ---- giving it up ------------------------------------------------------- */

/* Nobody writes from here on, until somebody is admitted. */
static void stop_writing(weft_rwlock *l, weft_fiber *f)
{
    wf_mutex_disown(&l->writer_, f);
    l->writer_.owner_ = NULL;
}

int weft_rwlock_unlock(weft_rwlock *l)
{
    weft_fiber *f = wf_self();
    WF_ASSERT(rule_holds(l));
    if (f && l->writer_.owner_ == f) {
        stop_writing(l, f);
    } else if (f && l->readers_ > 0 && wf_child_of(f)->reads > 0) {
        l->readers_--;
        wf_child_of(f)->reads--;
    } else {
        return wf_misuse(-EPERM, "weft_rwlock_unlock: this fiber does not hold "
                                 "it; was the result of the lock tested?");
    }
    admit(l);
    return 0;
}

int weft_rwlock_downgrade(weft_rwlock *l)
{
    weft_fiber *f = wf_self();
    WF_ASSERT(rule_holds(l));
    if (!f || l->writer_.owner_ != f)
        return wf_misuse(-EPERM, "weft_rwlock_downgrade: this fiber does not "
                                 "write");
    stop_writing(l, f);
    enter(l, f, TO_READ);
    admit(l);
    return 0;
}

int weft_rwlock_repair(weft_rwlock *l)
{
    return weft_mutex_repair(&l->writer_);
}
