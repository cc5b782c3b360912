/* SPDX-License-Identifier: MIT */
/* fibers.h - the plainest things that a fiber can do. */
#ifndef TESTS_FIBERS_H
#define TESTS_FIBERS_H

#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/gather.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include "harness.h"

static inline int does_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static inline int returns(void *code)
{
    return *(int *)code;
}

static inline int waits_for_ever(void *arg)
{
    (void)arg;
    return weft_sleep_until(WEFT_FOREVER);
}

static inline int shows_that_it_runs(void *arg)
{
    for (;;) {
        int err = weft_yield();
        if (err < 0) return err;
        ++*(unsigned *)arg;
    }
}

static inline int fails_with_words(void *what)
{
    int err = weft_sleep(WEFT_MSEC(1));
    return err < 0 ? err : weft_fail(-EPROTO, "no %s today", (char *)what);
}

static inline int cancels_as_its_last_act(void *scope)
{
    int err = weft_sleep(WEFT_MSEC(1));
    CHECK_EQ(err, 0);
    weft_scope_cancel(scope, -EINTR, NULL);
    return 3;
}

/* Runs fn(arg) as the only child of a nursery: what that returns. */
static inline int in_a_nursery(weft_fn fn, void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, fn, arg);
    }
    return rc;
}

/* Runs fn(arg) as a job: what itself returned. */
static inline int in_a_child(weft_fn fn, void *arg)
{
    const weft_gather_opts collect = {.policy = WEFT_COLLECT};
    weft_job job = {.fn = fn, .arg = arg};
    CHECK_EQ(weft_gather(&job, 1, &collect), 0);
    return job.rc;
}

#endif
