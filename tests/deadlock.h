/* SPDX-License-Identifier: MIT */
/* deadlock.h - runs that have to end in a deadlock, and what they report. */
#ifndef TESTS_DEADLOCK_H
#define TESTS_DEADLOCK_H

#include <weft/run.h>

#include <string.h>

#include "harness.h"
#include "process.h"

static inline void runs_into_a_deadlock(void *fn)
{
    weft_fn *body = fn;
    CHECK_EQ(weft_run(*body, NULL, NULL), -EDEADLK);
}

/* Runs `fn` in a process of its own, as the report would fail the test. Returns
 * the report. */
static inline const char *deadlock_report(weft_fn fn)
{
    static struct ending e;
    run_in_process(runs_into_a_deadlock, &fn, &e);
    CHECK_EQ(e.status, 0);
    CHECK(strstr(e.said, "deadlock") != NULL);
    return e.said;
}

/* Of those that wait for each other, who come before all others. */
static inline const char *deadlock_circle(weft_fn fn)
{
    const char *circle = strstr(deadlock_report(fn), "in a circle");
    CHECK(circle != NULL);
    return circle;
}

#endif
