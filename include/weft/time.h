/* SPDX-License-Identifier: MIT */
/*
 * weft/time.h (sync) - the clock, and sleeping.
 *
 *     weft_time start = weft_now();
 *     int err = weft_sleep(WEFT_MSEC(50));
 *     if (err < 0) return err;
 *     report(weft_now() - start);
 *
 * Time is monotonic nanoseconds in an int64_t: a duration, or a moment. The
 * clock is read once a scheduler turn, so weft_now() is a load, and deadlines
 * "after" so long count from there. A sleep reads the clock and never ends
 * early; fibers that sleep until the same moment wake in the order in
 * which they went to sleep. There are no time-out arguments in weft: a scope
 * (weft/scope.h) puts a deadline on everything done inside it.
 */
#ifndef WEFT_TIME_H
#define WEFT_TIME_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/** The moment this turn of the scheduler began. Outside a fiber: the clock. */
WEFT_API weft_time weft_now(void);

/** The moment `ns` from now, saturating: weft_after(WEFT_FOREVER) is never. */
WEFT_API weft_time weft_after(weft_time ns);

/** What the calendar says: nanoseconds since 1970 in UTC, which may jump either
 *  way. Read when asked. On a virtual clock it goes with that, and a run begins
 *  on 2001-09-09 at 01:46:40. */
WEFT_API weft_time weft_calendar(void);

/**
 * Waits for `ns` to pass. Nothing or less to wait for acts as weft_yield.
 *
 * Parks. Returns 0, or -ECANCELED.
 */
WEFT_PARKS int weft_sleep(weft_time ns);

/**
 * Waits for moment `t`; for ever (until cancelled) if t is WEFT_FOREVER.
 *
 * Parks. Returns 0, or -ECANCELED.
 */
WEFT_PARKS int weft_sleep_until(weft_time t);

WEFT_END_DECLS

#endif
