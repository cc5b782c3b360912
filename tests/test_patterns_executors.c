/* SPDX-License-Identifier: MIT */
/* test_patterns_executors.c - docs/PATTERNS.md, what other threads are for. */
#include <weft.h>

#include "gate.h"
#include "harness.h"

static int opens(void *arg)
{
    await_inside(arg, 1);
    open_gate(arg);
    return 0;
}

/* Were the call to keep the thread to itself, nobody would open. */
TEST(pattern_60_a_blocking_call_lets_the_other_fibers_run)
{
    struct gate g = GATE;
    int rc;
    g.result = 7;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, opens, &g), 0);
        CHECK_EQ(weft_blocking(stop_at, &g), 7);
    }
    CHECK_EQ(rc, 0);
}

enum { FOUR = 4, CALLS = 12 };

static int calls_in(void *arg)
{
    return weft_blocking(stop_at, arg);
}

TEST(pattern_61_a_pool_of_four_runs_four_at_a_time_and_the_rest_wait_in_line)
{
    struct gate g = GATE;
    weft_pool_stats s;
    int rc;
    CHECK_EQ(weft_pool_configure(WEFT_POOL_BLOCKING,
                                 &(weft_pool_opts){.threads = FOUR}),
             0);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < CALLS; i++)
            CHECK_EQ(weft_spawn(&n, calls_in, &g), 0);
        CHECK_EQ(weft_yield(), 0);
        await_inside(&g, FOUR);
        weft_pool_stats_read(WEFT_POOL_BLOCKING, &s);
        CHECK_EQ(s.threads, FOUR);
        CHECK_EQ(s.running, FOUR);
        CHECK_EQ(s.queued, CALLS - FOUR);
        open_gate(&g);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(g.passed, CALLS);
}

static int computes(void *arg)
{
    unsigned x = 0;
    for (unsigned i = 0; i < 1000; i++)
        x = x * 1664525 + 1013904223;
    *(unsigned *)arg = x;
    return 0;
}

TEST(pattern_64_what_computes_does_not_wait_behind_what_blocks)
{
    struct gate g = GATE;
    unsigned x = 0, y = 0;
    int rc;
    (void)computes(&y);
    CHECK_EQ(weft_pool_configure(WEFT_POOL_BLOCKING,
                                 &(weft_pool_opts){.threads = 1}),
             0);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, calls_in, &g), 0);
        CHECK_EQ(weft_spawn(&n, calls_in, &g), 0);
        CHECK_EQ(weft_yield(), 0);
        await_inside(&g, 1);
        CHECK_EQ(weft_cpu(computes, &x), 0);
        CHECK_EQ(g.passed, 0);
        open_gate(&g);
    }
    CHECK_EQ(rc, 0);
    CHECK(x != 0 && x == y);
}

struct half {
    int from, to;
    long sum;
};

static int adds(void *arg)
{
    struct half *h = arg;
    for (int i = h->from; i < h->to; i++)
        h->sum += i;
    return 0;
}

static int adds_up_anywhere(void *arg)
{
    static const weft_spawn_opts anywhere = {.worker = WEFT_ANY_WORKER};
    struct half halves[] = {{0, 500, 0}, {500, 1000, 0}};
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 2 && rc == 0; i++)
            rc = weft_spawn_ex(&n, adds, &halves[i], &anywhere);
    }
    *(long *)arg = halves[0].sum + halves[1].sum;
    return rc;
}

TEST_PLAIN(pattern_64_fibers_that_may_run_anywhere_use_all_cores)
{
    const weft_run_opts o = {.workers = 2};
    long sum = 0;
    CHECK_EQ(weft_run(adds_up_anywhere, &sum, &o), 0);
    CHECK_EQ(sum, 999L * 1000 / 2);
}
