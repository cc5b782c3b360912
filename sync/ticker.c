/* SPDX-License-Identifier: MIT */
/*
 * ticker.c - every so often, without drift.
 *
 * next_ is the moment of the next tick, and moves only when a wait has had it.
 * A wait looks at it again after each sleep: another fiber may have had that
 * tick, or have reset the ticker.
 */
#include <weft/ticker.h>

#include <limits.h>

#include <weft/time.h>

#include "runtime/clock.h"
#include "runtime/park.h"

int weft_ticker_init(weft_ticker *t, weft_time period, weft_tick_policy policy)
{
    if (period <= 0) return -EINVAL;
    *t = (weft_ticker){.period_ = period, .policy_ = policy};
    weft_ticker_reset(t);
    return 0;
}

/* From now, not from the beginning of a turn that may have been long. */
void weft_ticker_reset(weft_ticker *t)
{
    weft_time now = wf_self() ? wf_clock_read() : weft_now();
    t->next_ = wf_time_add(now, t->period_);
}

/* The tick is had at `now`. How many that were. */
static weft_time take(weft_ticker *t, weft_time now, bool late)
{
    weft_time since = now - t->next_;
    weft_time missed = since / t->period_;
    switch (t->policy_) {
    case WEFT_TICK_SKIP:
        t->next_ = wf_time_add(now - since % t->period_, t->period_);
        return missed + 1;
    case WEFT_TICK_DELAY:
        if (late || missed > 0) t->next_ = now;
        break;
    case WEFT_TICK_BURST:
        break;
    }
    t->next_ = wf_time_add(t->next_, t->period_);
    return 1;
}

/* Ticks are counted by the clock of the turn, which the caller can read too;
 * that he comes late is a matter of the real one. */
int weft_ticker_wait(weft_ticker *t)
{
    bool late;
    if (t->period_ <= 0)
        return wf_misuse(-EINVAL, "weft_ticker_wait: it was not initialised");
    do {
        late = wf_clock_read() > t->next_;
        int err = weft_sleep_until(t->next_);
        if (err < 0) return err;
    } while (wf_now < t->next_);
    weft_time ticks = take(t, wf_now, late);
    return ticks < INT_MAX ? (int)ticks : INT_MAX;
}
