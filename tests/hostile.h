/* SPDX-License-Identifier: MIT */
/*
 * hostile.h - a run in which memory is short, at every place in turn.
 *
 *     fail_each(scenario, WF_CALL_ALLOC);
 *
 * Runs weft_run(scenario) in a process of its own for each allocation that it
 * makes: with that one refused, and with that one and all that follow. The
 * scenario returns 0 when it saw no refusal, -ENOMEM when it saw one; and what
 * it left behind fails the test. For BUILD=hostile alone.
 */
#ifndef TESTS_HOSTILE_H
#define TESTS_HOSTILE_H

#ifdef WEFT_HOSTILE
#include <weft/run.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness.h"
#include "process.h"
#include "runtime/leaks.h"
#include "runtime/os.h"

struct hostile_plan {
    weft_fn scenario;
    enum wf_call call;
    const char *which;
    int number;
};

enum { HOSTILE_QUIET = 3 };

static void run_hostile_plan_(void *arg)
{
    const struct hostile_plan *plan = arg;
    const weft_run_opts o = {.virtual_clock = true};
    struct wf_leaks before, after;
    char text[16];
    (void)snprintf(text, sizeof text, "%d", (int)plan->call);
    CHECK_EQ(setenv("WEFT_HOSTILE_CALL", text, 1), 0);
    (void)snprintf(text, sizeof text, "%d", plan->number);
    CHECK_EQ(setenv(plan->which, text, 1), 0);
    wf_leaks_read(&before);
    int rc = weft_run(plan->scenario, NULL, &o);
    wf_leaks_read(&after);
    CHECK_EQ(after.fibers, before.fibers);
    CHECK_EQ(after.descriptors, before.descriptors);
    CHECK_EQ(after.timers, before.timers);
    CHECK_EQ(after.bytes, before.bytes);
    CHECK(rc == 0 || rc == -ENOMEM);
    if (rc == 0) {
        (void)fflush(NULL);
        _exit(HOSTILE_QUIET);
    }
}

static void fail_each_(struct hostile_plan plan)
{
    static struct ending e;
    int quiet = 0, failed = 0;
    for (plan.number = 1; quiet < 60 && plan.number < 2000; plan.number++) {
        run_in_process(run_hostile_plan_, &plan, &e);
        quiet = e.status == HOSTILE_QUIET ? quiet + 1 : 0;
        failed += quiet == 0;
        if (quiet > 0 || e.status == 0) continue;
        (void)fprintf(stderr, "%s%s=%d call %d: status %d, signal %d\n", e.said,
                      plan.which, plan.number, (int)plan.call, e.status,
                      e.signal);
        (void)fflush(stderr);
        if (e.status == 1) _exit(1);
        test_fail(__FILE__, __LINE__, "signal %d", e.signal);
    }
    CHECK(failed > 0);
}

static inline void fail_each(weft_fn scenario, enum wf_call call)
{
    fail_each_((struct hostile_plan){scenario, call, "WEFT_HOSTILE_NTH", 0});
    fail_each_((struct hostile_plan){scenario, call, "WEFT_HOSTILE_AFTER", 0});
}
#endif
#endif
