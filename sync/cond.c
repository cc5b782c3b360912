/* SPDX-License-Identifier: MIT */
/*
 * cond.c - waiting under a mutex.
 *
 * A waiter stands first in the line of the condition, then in that of the
 * mutex, and goes on when it is the owner. Whatever ends the first wait moves
 * it to the second, where it cannot be cancelled any more: a notification,
 * which so is final, or a cancellation, which is remembered until then. Nobody
 * runs in between only to find the mutex locked.
 *
 * Rule: all who wait for one condition wait with the same mutex.
 */
#include <weft/cond.h>

#include "sync/mutex.h"

/* In a waiter's n_. */
enum { NOTIFIED, CANCELLED };

static bool abort_wait(weft_fiber *f)
{
    weft_cond *c = (weft_cond *)(uintptr_t)f->object;
    wf_waitq_remove(&c->waiters_, &f->waiter);
    f->waiter.n_ = CANCELLED;
    wf_mutex_line_up(f->waiter.item_, f);
    return false;
}

static const struct wf_wait_kind to_be_notified = {.name = "condition",
                                                   .abort = abort_wait};

static bool holds(const weft_mutex *m)
{
    return m->owner_ && m->owner_ == wf_self();
}

/* Nobody waits, or with *m. */
static bool is_of(const weft_cond *c, const weft_mutex *m)
{
    return !c->waiters_.head_ || c->waiters_.head_->item_ == m;
}

int weft_cond_wait(weft_cond *c, weft_mutex *m)
{
    weft_fiber *f = wf_self();
    if (!f) return weft_pass_slow_();
    /* Before the cancel point: after -ECANCELED the caller unlocks. */
    if (!holds(m))
        return wf_misuse(-EPERM, "weft_cond_wait: this fiber does not hold the "
                                 "mutex; was the result of lock tested?");
    int err = weft_pass_();
    if (err < 0) return err;
    if (!is_of(c, m))
        return wf_misuse(-EINVAL, "weft_cond_wait: others wait for this "
                                  "condition with another mutex");
    (void)weft_mutex_unlock(m);
    f->waiter.item_ = m;
    f->waiter.n_ = NOTIFIED;
    err = wf_waitq_park(&c->waiters_, &to_be_notified, c);
    return err == 0 && f->waiter.n_ == CANCELLED ? -ECANCELED : err;
}

int weft_cond_notify(weft_cond *c, weft_mutex *m, size_t n)
{
    if (!holds(m) || !is_of(c, m))
        return wf_misuse(-EPERM, "weft_cond_notify: this fiber does not hold "
                                 "the mutex that the waiters wait with");
    struct weft_waiter_ *w;
    while (n-- > 0 && (w = wf_waitq_pop(&c->waiters_)) != NULL)
        wf_mutex_line_up(m, w->fiber_);
    return 0;
}
