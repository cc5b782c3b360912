/* SPDX-License-Identifier: MIT */
/*
 * weft/ticker.h (sync) - every so often, without drift.
 *
 *     weft_ticker t;
 *     int rc = weft_ticker_init(&t, WEFT_SEC(1), WEFT_TICK_SKIP);
 *     if (rc < 0) return rc;
 *     while ((rc = weft_ticker_wait(&t)) > 0) poll_log();
 *     return rc;
 *
 * Ticks are at start + n * period, however long the work between them takes. If
 * it takes longer than the period, ticks are missed: WEFT_TICK_SKIP leaves
 * them out and says how many, WEFT_TICK_BURST makes up for them one after the
 * other, WEFT_TICK_DELAY counts the next period from the late one. A tick that
 * has passed is had at once, after all other ready fibers have run.
 *
 * Several fibers may wait for one ticker: each tick goes to one of them.
 */
#ifndef WEFT_TICKER_H
#define WEFT_TICKER_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef enum weft_tick_policy {
    WEFT_TICK_SKIP,
    WEFT_TICK_BURST,
    WEFT_TICK_DELAY
} weft_tick_policy;

typedef struct weft_ticker {
    weft_time period_, next_;
    weft_tick_policy policy_;
} weft_ticker;

/** The first tick is one period from now. Returns 0; -EINVAL: the period is not
 *  above 0, and *t is as it was. */
WEFT_MUST int weft_ticker_init(weft_ticker *t, weft_time period,
                              weft_tick_policy policy);

/**
 * Waits for the next tick. A cancelled wait has not used it up.
 *
 * Parks. Returns how many ticks have passed: 1, or with WEFT_TICK_SKIP more if
 * some were missed (INT_MAX at most); -ECANCELED; -EINVAL: *t is zeroed.
 */
WEFT_PARKS int weft_ticker_wait(weft_ticker *t);

/** The next tick is one period from now, for those who wait already too. Not of
 *  a zeroed one. */
WEFT_API void weft_ticker_reset(weft_ticker *t);

WEFT_END_DECLS

#endif
