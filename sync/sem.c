/* SPDX-License-Identifier: MIT */
/*
 * sem.c - counting semaphore.
 *
 * One rule holds between calls: the oldest waiter wants more permits than are
 * free. Release keeps it by handing permits to waiters from the front for as
 * long as they suffice, rather than counting them free and letting waiters
 * race newcomers. So does a waiter that is cancelled at the front: the one
 * behind it may want fewer, and is served at once.
 *
 * A waiter that was handed its permits has left the queue, so a later cancel
 * cannot reach it there: acquire returns 0, and the cancel is seen at that
 * fiber's next cancel point.
 */
#include <weft/sem.h>

#include "runtime/park.h"

static bool rule_holds(const weft_sem *s)
{
    return !s->waiters_.head_ || s->waiters_.head_->n_ > s->permits_;
}

/* 0. */
static int serve(weft_sem *s)
{
    struct weft_waiter_ *w;
    while ((w = s->waiters_.head_) != NULL && w->n_ <= s->permits_) {
        s->permits_ -= w->n_;
        wf_waitq_remove(&s->waiters_, w);
        wf_wake(w->fiber_, 0);
    }
    return 0;
}

static bool abort_acquire(weft_fiber *f)
{
    weft_sem *s = (weft_sem *)(uintptr_t)f->object;
    wf_waitq_remove(&s->waiters_, &f->waiter);
    (void)serve(s);
    return true;
}

static const struct wf_wait_kind to_acquire = {.name = "semaphore",
                                               .abort = abort_acquire};

void weft_sem_init(weft_sem *s, uint32_t value, uint32_t max)
{
    wf_check_nobody_waits(s, "weft_sem_init");
    *s = (weft_sem)WEFT_SEM_INIT(value, max);
}

static inline bool takes(weft_sem *s, uint32_t n)
{
    bool there = !s->waiters_.head_ && n <= s->permits_;
    if (__builtin_expect(there, 1)) s->permits_ -= n;
    return __builtin_expect(there, 1);
}

/* -EAGAIN if it is only a matter of waiting. */
static inline int refusal(const weft_sem *s, uint32_t n)
{
    if (!wf_waitq_is_here(&s->waiters_))
        return wf_misplaced("weft_sem_acquire");
    WF_ASSERT(rule_holds(s));
    return s->max_ && n > s->max_ ? -EINVAL : -EAGAIN;
}

__attribute__((noinline)) static int wait_for(weft_sem *s, uint32_t n)
{
    int err = refusal(s, n);
    if (err != -EAGAIN) return err;
    wf_self()->waiter.n_ = n;
    return wf_waitq_park(&s->waiters_, &to_acquire, s);
}

__attribute__((noinline)) static int pass_and_take(weft_sem *s, uint32_t n)
{
    int err = weft_pass_slow_();
    if (err < 0)
        return wf_refused(err, wf_waitq_is_here(&s->waiters_),
                          "weft_sem_acquire");
    return takes(s, n) ? 0 : wait_for(s, n);
}

int weft_sem_acquire(weft_sem *s, uint32_t n)
{
    if (!wf_passes()) return pass_and_take(s, n);
    return takes(s, n) ? 0 : wait_for(s, n);
}

int weft_sem_try(weft_sem *s, uint32_t n)
{
    return takes(s, n) ? 0 : refusal(s, n);
}

__attribute__((cold, noinline)) static int too_many(uint32_t n, uint32_t bound)
{
    return wf_misuse(-EOVERFLOW,
                     "weft_sem_release: %u more than %u permits would be free",
                     n, bound);
}

int weft_sem_release(weft_sem *s, uint32_t n)
{
    if (s->waiters_.head_ && !wf_waitq_is_here(&s->waiters_))
        return wf_misplaced("weft_sem_release");
    WF_ASSERT(rule_holds(s));
    uint32_t bound = s->max_ ? s->max_ : UINT32_MAX;
    if (n > bound - s->permits_) return too_many(n, bound);
    s->permits_ += n;
    return s->waiters_.head_ ? serve(s) : 0;
}

uint32_t weft_sem_value(const weft_sem *s)
{
    return s->permits_;
}
