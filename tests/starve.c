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
#include "runtime/os.h"

struct plan {
    weft_fn work;
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
    CHECK(rc <= 0);
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
 * that of an error's record. */
static void refuse_in_turn(weft_fn work, enum wf_call call, const char *which)
{
    static struct ending e;
    int quiet = 0;
    for (int k = 1; quiet < 100 && k < 2000; k++) {
        struct plan plan = {work, call, which, k};
        run_in_process(run_to_plan, &plan, &e);
        quiet = e.status == ALL_WENT_WELL ? quiet + 1 : 0;
        if (e.status != 0 && e.status != ALL_WENT_WELL) complain(&plan, &e);
    }
}

void starve(weft_fn work)
{
    refuse_in_turn(work, WF_CALL_ALLOC, "WEFT_HOSTILE_NTH");
    refuse_in_turn(work, WF_CALL_ALLOC, "WEFT_HOSTILE_AFTER");
    refuse_in_turn(work, WF_CALL_MMAP, "WEFT_HOSTILE_NTH");
    refuse_in_turn(work, WF_CALL_MMAP, "WEFT_HOSTILE_AFTER");
}

#else

void starve(weft_fn work)
{
    const weft_run_opts o = {.virtual_clock = true};
    CHECK_EQ(weft_run(work, NULL, &o), 0);
}
#endif
