/* SPDX-License-Identifier: MIT */
/* starve.c - refuses the first allocation, the second, and so on. */
#include "starve.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <weft/run.h>

#include "process.h"

#ifdef WEFT_HOSTILE
#include "runtime/leaks.h"

struct plan {
    weft_fn work;
    bool notices; /* fails with -ENOMEM, or not at all */
    enum wf_call call;
    const char *which; /* WEFT_HOSTILE_NTH or WEFT_HOSTILE_AFTER */
    int number;
};

enum { ALL_WENT_WELL = 3 };

static void run_to_plan(void *arg)
{
    const struct plan *plan = arg;
    char text[16];
    struct wf_leaks before, after;
    (void)snprintf(text, sizeof text, "%d", (int)plan->call);
    CHECK_EQ(setenv("WEFT_HOSTILE_CALL", text, 1), 0);
    (void)snprintf(text, sizeof text, "%d", plan->number);
    CHECK_EQ(setenv(plan->which, text, 1), 0);
    const weft_run_opts o = {.virtual_clock = true};
    wf_leaks_read(&before);
    int rc = weft_run(plan->work, NULL, &o);
    wf_leaks_read(&after);
    CHECK_EQ(after.fibers, before.fibers);
    CHECK_EQ(after.descriptors, before.descriptors);
    CHECK_EQ(after.timers, before.timers);
    CHECK_EQ(after.bytes, before.bytes);
    if (rc == -EDEADLK) test_fail(__FILE__, __LINE__, "it hangs");
    CHECK(plan->notices ? rc == 0 || rc == -ENOMEM : rc <= 0);
    (void)fflush(NULL);
    if (rc == 0) _exit(ALL_WENT_WELL);
}

static void complain(const struct plan *plan, const struct ending *e)
{
    (void)fprintf(stderr, "%s\n%s=%d call %d: status %d, signal %d\n", e->said,
                  plan->which, plan->number, (int)plan->call, e->status,
                  e->signal);
    (void)fflush(NULL);
    if (e->status == 1) _exit(1);
    test_fail(__FILE__, __LINE__, "%s=%d call %d: status %d, signal %d",
              plan->which, plan->number, (int)plan->call, e->status, e->signal);
}

/* Until nothing fails for a long while: some failures cost nothing, such as
 * that of an error's record. Says how many did. */
static int carry_out(struct plan plan)
{
    static struct ending e;
    int quiet = 0, failed = 0;
    for (plan.number = 1; quiet < 100 && plan.number < 2000; plan.number++) {
        run_in_process(run_to_plan, &plan, &e);
        bool well = e.status == ALL_WENT_WELL;
        if (e.status != 0 && !well) complain(&plan, &e);
        quiet = well ? quiet + 1 : 0;
        failed += !well;
    }
    return failed;
}

int refuse_in_turn(weft_fn work, enum wf_call call, const char *which)
{
    return carry_out((struct plan){.work = work, .call = call, .which = which});
}

void starve(weft_fn work)
{
    static const enum wf_call calls[] = {WF_CALL_ALLOC, WF_CALL_MMAP};
    for (int i = 0; i < 2; i++) {
        (void)refuse_in_turn(work, calls[i], "WEFT_HOSTILE_NTH");
        (void)refuse_in_turn(work, calls[i], "WEFT_HOSTILE_AFTER");
    }
}

void fail_each(weft_fn work, enum wf_call call)
{
    struct plan plan = {.work = work, .notices = true, .call = call};
    plan.which = "WEFT_HOSTILE_NTH";
    CHECK(carry_out(plan) > 0);
    plan.which = "WEFT_HOSTILE_AFTER";
    CHECK(carry_out(plan) > 0);
}

#else

void starve(weft_fn work)
{
    const weft_run_opts o = {.virtual_clock = true};
    CHECK_EQ(weft_run(work, NULL, &o), 0);
}
#endif
