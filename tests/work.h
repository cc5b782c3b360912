/* SPDX-License-Identifier: MIT */
/* work.h - a fiber that takes its time, and ends as it was told to. */
#ifndef TESTS_WORK_H
#define TESTS_WORK_H

#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include "harness.h"
#include "jobs.h"

struct work {
    weft_time after;   /* sleeps so long, and then */
    int code;          /* ends with this; but when it is cancelled */
    weft_time cleanup; /* it cleans up for so long, */
    int late;          /* and ends with this, unless it is 0 */
    unsigned ran, struck, discarded;
    bool discarded_early, discard_was_struck;
    bool has_reason;
    weft_reason reason;
};

#define ENDS(ns, result)                                                       \
    {                                                                          \
        .after = (ns), .code = (result)                                        \
    }
#define FOR_EVER                                                               \
    {                                                                          \
        .after = WEFT_FOREVER                                                  \
    }

static unsigned alive, most_alive;

static inline int is_struck(struct work *w)
{
    int rc = 0;
    w->struck++;
    w->has_reason = weft_cancel_reason() != NULL;
    if (w->has_reason) w->reason = *weft_cancel_reason();
    if (w->cleanup > 0)
        WEFT_SHIELD(rc, WEFT_SEC(100))
            rc = weft_sleep(w->cleanup);
    CHECK_EQ(rc, 0);
    return w->late ? w->late : -ECANCELED;
}

static inline int works(void *arg)
{
    struct work *w = arg;
    w->ran++;
    if (++alive > most_alive) most_alive = alive;
    int rc = weft_sleep(w->after);
    rc = rc == -ECANCELED ? is_struck(w) : w->code;
    alive--;
    return rc;
}

/* ---- as a job ----------------------------------------------------------- */

static inline void discards(void *arg)
{
    struct work *w = arg;
    w->discarded++;
    w->discarded_early = alive != 0;
    w->discard_was_struck = weft_cancelled() || weft_sleep(WEFT_MSEC(1)) != 0;
}

static inline void check_discarded(const struct work *w)
{
    CHECK_EQ(w->discarded, 1);
    CHECK(!w->discarded_early);
    CHECK(!w->discard_was_struck);
}

static inline void make_jobs(weft_job *jobs, struct work *w, size_t n)
{
    for (size_t i = 0; i < n; i++)
        make_job(&jobs[i], works, &w[i], discards);
}

#endif
