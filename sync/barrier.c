/* SPDX-License-Identifier: MIT */
/*
 * barrier.c - nobody goes on before all are there.
 *
 * Rule: count_ fibers wait, fewer than the barrier is for. The places are given
 * when all are there, in the order of the line: one who was cancelled meanwhile
 * leaves no gap in them.
 */
#include <weft/barrier.h>

#include "runtime/park.h"

static bool abort_wait(weft_fiber *f)
{
    weft_barrier *b = (weft_barrier *)(uintptr_t)f->object;
    wf_waitq_remove(&b->waiters_, &f->waiter);
    b->count_--;
    return true;
}

static const struct wf_wait_kind to_be_complete = {.name = "barrier",
                                                   .abort = abort_wait};

void weft_barrier_init(weft_barrier *b, uint32_t parties)
{
    wf_check_nobody_waits(b, "weft_barrier_init");
    *b = (weft_barrier)WEFT_BARRIER_INIT(parties);
}

/* Zeroed it is for one. */
static uint32_t others(const weft_barrier *b)
{
    return b->parties_ > 0 ? b->parties_ - 1 : 0;
}

int weft_barrier_wait(weft_barrier *b)
{
    int place = weft_pass_();
    if (place < 0) return place;
    WF_ASSERT(b->count_ <= others(b));
    if (b->count_ < others(b)) {
        b->count_++;
        return wf_waitq_park(&b->waiters_, &to_be_complete, b);
    }
    b->count_ = 0;
    while (!wf_waitq_empty(&b->waiters_))
        wf_wake(wf_waitq_pop(&b->waiters_)->fiber_, place++);
    return place;
}

void weft_barrier_reset(weft_barrier *b)
{
    b->count_ = 0;
    wf_grant_all(&b->waiters_, -EPIPE);
}

uint32_t weft_barrier_waiting(const weft_barrier *b)
{
    return b->count_;
}
