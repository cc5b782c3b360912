/* SPDX-License-Identifier: MIT */
/*
 * bench_sleepers - 100,000 fibers asleep, each for up to a second: the CPU
 * time of all of it, and how much later than the longest sleep it ends.
 */
#include <weft.h>

#include "harness.h"

enum { SLEEPERS = 100000 };

static uint64_t seed;

/* xorshift64: the same sleeps in each run. */
static weft_time up_to_a_second(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (weft_time)(seed % 1000000000);
}

static int sleeper(void *arg)
{
    weft_time ns = *(weft_time *)arg;
    weft_time due = weft_after(ns);
    int rc = weft_sleep(ns);
    if (rc == 0 && weft_now() < due) return -EPROTO; /* never early */
    return rc;
}

struct result {
    double cpu_ms, wall_ms;
};

static int all_sleep(struct result *ret)
{
    static weft_time sleeps[SLEEPERS];
    seed = 88172645463325252u;
    for (int i = 0; i < SLEEPERS; i++)
        sleeps[i] = up_to_a_second();

    int64_t cpu = bench_own_cpu(), start = bench_now();
    int rc;
    WEFT_NURSERY(all, rc)
    {
        for (int i = 0; i < SLEEPERS && rc == 0; i++) {
            rc = weft_spawn(&all, sleeper, &sleeps[i]);
        }
    }
    ret->wall_ms = (double)(bench_now() - start) / 1e6;
    ret->cpu_ms = (double)(bench_own_cpu() - cpu) / 1e6;
    return rc;
}

static int measure(void *arg)
{
    double cpu[8], wall[8];
    size_t runs = bench_quick() ? 2 : 5;
    struct result r;
    (void)arg;
    int rc = all_sleep(&r);
    if (rc < 0) return rc;
    bench_value(
        &(struct bench_figure){.name = "CPU, stacks cold", .unit = "ms"},
        r.cpu_ms);
    for (size_t i = 0; i < runs; i++) {
        rc = all_sleep(&r);
        if (rc < 0) return rc;
        cpu[i] = r.cpu_ms;
        wall[i] = r.wall_ms;
    }
    bench_figure(&(struct bench_figure){.name = "CPU, stacks warm",
                                        .unit = "ms",
                                        .at_most = 150},
                 cpu, runs);
    bench_figure(
        &(struct bench_figure){.name = "from first to last", .unit = "ms"},
        wall, runs);
    return 0;
}

int main(int argc, char **argv)
{
    bench_begin("100,000 sleepers, 0 to 1 s", argc, argv);
    bench_pin(bench_core(1));
    int err = weft_run(measure, NULL, NULL);
    if (err < 0) bench_fail("weft_run: %s", weft_strerror(err));
    return bench_end();
}
