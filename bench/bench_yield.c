/* SPDX-License-Identifier: MIT */
/*
 * bench_yield - fibers that give way to each other in turn.
 *
 * The clock starts when all of them run and stops when the last one is done;
 * the fiber that waits for them is not in the queue.
 */
#include <weft.h>

#include "harness.h"

struct ring {
    int64_t laps;
    int64_t started, ended;
    bool first_seen;
};

static int go_round(void *arg)
{
    struct ring *r = arg;
    int err = weft_yield();
    if (err < 0) return err;
    if (!r->first_seen) {
        r->first_seen = true;
        r->started = bench_cpu();
    }
    for (int64_t i = 0; i < r->laps; i++) {
        err = weft_yield();
        if (err < 0) return err;
    }
    r->ended = bench_cpu();
    return 0;
}

static int64_t laps(void *arg, int64_t n)
{
    int64_t fibers = *(int64_t *)arg;
    struct ring r = {.laps = n / fibers + 1};
    int rc;
    WEFT_NURSERY(all, rc)
    {
        for (int64_t i = 0; i < fibers && rc == 0; i++) {
            rc = weft_spawn(&all, go_round, &r);
        }
    }
    if (rc < 0) return rc;
    double each = (double)(r.ended - r.started) / (double)(r.laps * fibers);
    return (int64_t)(each * (double)n);
}

static int measure(void *arg)
{
    static int64_t two = 2, thousand = 1000, many = 100000;
    const struct bench_case cases[] = {
        {.name = "2 fibers", .run = laps, .arg = &two, .at_most = 5},
        {.name = "1,000 fibers", .run = laps, .arg = &thousand, .at_most = 9},
        {.name = "100,000 fibers",
         .run = laps,
         .arg = &many,
         .at_most = 55,
         .count = bench_quick() ? 1000000 : 3000000,
         .rounds = bench_quick() ? 3 : 7},
    };
    (void)arg;
    bench_cases(cases, sizeof cases / sizeof cases[0]);
    return 0;
}

int main(int argc, char **argv)
{
    bench_begin("yield", argc, argv);
    bench_pin(bench_core(1));
    int err = weft_run(measure, NULL, NULL);
    if (err < 0) bench_fail("weft_run: %s", weft_strerror(err));
    return bench_end();
}
