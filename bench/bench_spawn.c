/* SPDX-License-Identifier: MIT */
/* bench_spawn - start a fiber, let it run to its end, and know that it did. */
#include <weft.h>

#include "harness.h"

enum { BATCH = 10000 };

static int64_t ran;

static int child(void *arg)
{
    (void)arg;
    ran++;
    return 0;
}

static int64_t checked(int rc, int64_t expected, int64_t took)
{
    if (rc < 0) return rc;
    return ran == expected ? took : -EPROTO;
}

/* A nursery of its own for each: what a joined fiber costs by itself. */
static int64_t one_by_one(void *arg, int64_t n)
{
    (void)arg;
    ran = 0;
    int rc = 0;
    int64_t start = bench_cpu();
    for (int64_t i = 0; i < n && rc == 0; i++) {
        weft_nursery one = {0};
        rc = weft_nursery_open(&one, NULL);
        if (rc < 0) break;
        rc = weft_spawn(&one, child, NULL);
        rc = weft_nursery_close(&one, rc);
    }
    return checked(rc, n, bench_cpu() - start);
}

/* One nursery for all; the spawner gives way after each. */
static int64_t in_one_nursery(void *arg, int64_t n)
{
    (void)arg;
    ran = 0;
    int rc;
    int64_t start = bench_cpu();
    WEFT_NURSERY(all, rc)
    {
        for (int64_t i = 0; i < n && rc == 0; i++) {
            rc = weft_spawn(&all, child, NULL);
            if (rc == 0) rc = weft_yield();
        }
    }
    return checked(rc, n, bench_cpu() - start);
}

static int64_t many_at_once(void *arg, int64_t n)
{
    (void)arg;
    ran = 0;
    int rc = 0;
    int64_t batches = (n + BATCH - 1) / BATCH;
    int64_t start = bench_cpu();
    for (int64_t b = 0; b < batches && rc == 0; b++) {
        WEFT_NURSERY(all, rc)
        {
            for (int i = 0; i < BATCH && rc == 0; i++) {
                rc = weft_spawn(&all, child, NULL);
            }
        }
    }
    int64_t took = bench_cpu() - start;
    double each = (double)took / (double)(batches * BATCH);
    return checked(rc, batches * BATCH, (int64_t)(each * (double)n));
}

static int measure(void *arg)
{
    const struct bench_case cases[] = {
        {.name = "one by one, a nursery each",
         .run = one_by_one,
         .at_most = 20},
        {.name = "one by one, in one nursery", .run = in_one_nursery},
        {.name = "10,000 at once", .run = many_at_once, .at_most = 15},
    };
    (void)arg;
    bench_cases(cases, sizeof cases / sizeof cases[0]);
    return 0;
}

int main(int argc, char **argv)
{
    bench_begin("spawn, run, join", argc, argv);
    bench_pin(bench_core(1));
    int err = weft_run(measure, NULL, NULL);
    if (err < 0) bench_fail("weft_run: %s", weft_strerror(err));
    return bench_end();
}
