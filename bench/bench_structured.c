/* SPDX-License-Identifier: MIT */
/* bench_structured - what the calls around a child cost, beside the child. */
#include <weft.h>

#include "harness.h"

enum { JOBS = 100 };

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int is_ready(void *arg)
{
    (void)arg;
    return weft_started(NULL);
}

static void deferred(void *arg)
{
    (void)arg;
}

static int defers(void *arg)
{
    return weft_defer(deferred, arg);
}

static int call(size_t i, void *context)
{
    (void)i;
    (void)context;
    return 0;
}

/* ---- one child each ----------------------------------------------------- */

static int spawn_it(weft_nursery *n)
{
    int rc = weft_spawn(n, nothing, NULL);
    return rc < 0 ? rc : weft_yield();
}

static int spawn_deferring(weft_nursery *n)
{
    int rc = weft_spawn(n, defers, NULL);
    return rc < 0 ? rc : weft_yield();
}

static int spawn_and_join(weft_nursery *n)
{
    weft_task t;
    const weft_spawn_opts o = {.task = &t};
    int rc = weft_spawn_ex(n, nothing, NULL, &o);
    return rc < 0 ? rc : weft_join(&t, NULL);
}

static int start_it(weft_nursery *n)
{
    return weft_start(n, is_ready, NULL, NULL);
}

static int64_t each(void *arg, int64_t n)
{
    int (*one)(weft_nursery * n) = *(int (**)(weft_nursery *))arg;
    int rc;
    int64_t start = bench_cpu();
    WEFT_NURSERY(all, rc) {
        for (int64_t i = 0; i < n && rc == 0; i++)
            rc = one(&all);
    }
    return rc < 0 ? rc : bench_cpu() - start;
}

/* ---- many at a time ----------------------------------------------------- */

static int gather(void)
{
    static weft_job jobs[JOBS];
    for (size_t i = 0; i < JOBS; i++)
        jobs[i].fn = nothing;
    return weft_gather(jobs, JOBS, NULL);
}

static int map_ten_at_a_time(void)
{
    const weft_gather_opts o = {.limit = 10};
    return weft_map(JOBS, call, NULL, NULL, &o);
}

static int64_t per_job(void *arg, int64_t n)
{
    int (*hundred)(void) = *(int (**)(void))arg;
    int64_t rounds = (n + JOBS - 1) / JOBS;
    int64_t start = bench_cpu();
    for (int64_t i = 0; i < rounds; i++) {
        int rc = hundred();
        if (rc < 0) return rc;
    }
    double took = (double)(bench_cpu() - start);
    return (int64_t)(took / (double)(rounds * JOBS) * (double)n);
}

/* ---- items, and locals -------------------------------------------------- */

static int count_up(weft_gen *g, void *arg)
{
    int64_t i = 0;
    int rc = 0;
    (void)arg;
    for (; rc == 0; i++)
        rc = weft_gen_yield(g, &i);
    return rc;
}

static int64_t generate(void *arg, int64_t n)
{
    weft_gen g;
    void *item;
    (void)arg;
    int rc = weft_gen_open(&g, count_up, NULL);
    if (rc < 0) return rc;
    int64_t start = bench_cpu();
    for (int64_t i = 0; i < n && rc >= 0; i++)
        rc = weft_gen_next(&g, &item);
    int64_t took = bench_cpu() - start;
    int closed = weft_gen_close(&g);
    if (rc < 0) return rc;
    return closed < 0 ? closed : took;
}

static int64_t look_up(void *arg, int64_t n)
{
    static weft_key keys[4];
    int64_t sum = 0;
    for (int i = 0; i < 4; i++) {
        int err = weft_local_push(&keys[i], arg);
        if (err < 0) return err;
    }
    int64_t start = bench_cpu();
    for (int64_t i = 0; i < n; i++)
        sum += weft_local_get(&keys[0]) == arg;
    int64_t took = bench_cpu() - start;
    for (int i = 0; i < 4; i++)
        (void)weft_local_pop(&keys[i]);
    return sum == n ? took : -EPROTO;
}

static int measure(void *arg)
{
    static int (*one[])(weft_nursery *) = {spawn_it, spawn_and_join, start_it,
                                           spawn_deferring};
    static int (*hundred[])(void) = {gather, map_ten_at_a_time};
    const struct bench_case cases[] = {
        {.name = "spawn and let it run", .run = each, .arg = &one[0]},
        {.name = "spawn with a task, and join", .run = each, .arg = &one[1]},
        {.name = "start, until it is ready", .run = each, .arg = &one[2]},
        {.name = "spawn, and defer a function", .run = each, .arg = &one[3]},
        {.name = "gather, a job of 100", .run = per_job, .arg = &hundred[0]},
        {.name = "map, ten at a time, a call of 100",
         .run = per_job,
         .arg = &hundred[1]},
        {.name = "generator, an item", .run = generate},
        {.name = "fiber-local, the fourth of four",
         .run = look_up,
         .arg = &one[0]},
    };
    (void)arg;
    bench_cases(cases, sizeof cases / sizeof cases[0]);
    return 0;
}

int main(int argc, char **argv)
{
    bench_begin("around a child", argc, argv);
    bench_pin(bench_core(1));
    int err = weft_run(measure, NULL, NULL);
    if (err < 0) bench_fail("weft_run: %s", weft_strerror(err));
    return bench_end();
}
