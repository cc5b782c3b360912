/* SPDX-License-Identifier: MIT */
/*
 * test_sweep_queue.c - the sweep over work queues, rate limits, tickers and
 * retries: each job is run or dropped, and once; what waited and was cancelled
 * has not been counted.
 */
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/ratelimit.h>
#include <weft/ratelimits.h>
#include <weft/retry.h>
#include <weft/scope.h>
#include <weft/ticker.h>
#include <weft/time.h>
#include <weft/workqueue.h>

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "sweep.h"

/* --- work queues --- */

enum { JOBS = 16 };

static weft_workqueue queue;
static struct job {
    bool taken; /* add has returned 0 */
    int run, dropped;
} jobs[JOBS];
static int left; /* what a stop has said */

static int do_job(void *arg)
{
    struct job *j = arg;
    CHECK_EQ(j->run + j->dropped, 0);
    j->run++;
    int err = weft_sleep(WEFT_MSEC(1));
    return err < 0 ? err : weft_yield();
}

static void drop_job(void *arg)
{
    struct job *j = arg;
    CHECK_EQ(j->dropped, 0);
    j->dropped++;
}

static bool open_queue(weft_nursery *n, unsigned workers, size_t capacity)
{
    const weft_workqueue_opts o = {.workers = workers, .capacity = capacity};
    memset(jobs, 0, sizeof jobs);
    left = -1;
    return sweep_had(weft_workqueue_open(&queue, n, &o) == 0);
}

/* Who was turned away still has the job. */
static int add_from(struct job *first, int count)
{
    for (int i = 0; i < count; i++) {
        struct job *j = first + i;
        int err = weft_workqueue_add(&queue, do_job, j, drop_job);
        if (err == 0) j->taken = true;
        if (err == -ESHUTDOWN) return 0;
        if (err < 0) return err;
    }
    return 0;
}

static int adds_four(void *arg)
{
    return add_from(arg, 4);
}

static void check_jobs(void)
{
    weft_workqueue_stats s;
    uint64_t taken = 0, run = 0, dropped = 0;
    for (int i = 0; i < JOBS; i++) {
        CHECK_EQ(jobs[i].dropped, jobs[i].taken);
        CHECK(jobs[i].run <= jobs[i].dropped);
        taken += jobs[i].taken;
        run += (uint64_t)jobs[i].run;
        dropped += (uint64_t)jobs[i].dropped;
    }
    weft_workqueue_stats_read(&queue, &s);
    CHECK_EQ(s.waiting + s.running, 0);
    CHECK_EQ(s.done, run);
    CHECK_EQ(s.done + s.discarded, taken);
    CHECK_EQ(s.failed, 0);
    CHECK_EQ(dropped, taken);
    if (left >= 0) CHECK_EQ(s.discarded, left);
    CHECK_EQ(weft_workqueue_tryadd(&queue, do_job, &jobs[0], NULL), -ESHUTDOWN);
}

static void start_adders(weft_nursery *n)
{
    if (!open_queue(n, 2, 1)) return;
    for (int i = 0; i < 3; i++)
        sweep_spawn(n, adds_four, &jobs[4 * i]);
}

SWEEP(every_job_is_run_or_dropped_by_the_end_of_the_nursery, start_adders,
      check_jobs, 0);

static int adds_and_drains(void *arg)
{
    int err = add_from(arg, 3);
    left = weft_workqueue_stop(&queue, WEFT_DRAIN);
    CHECK(left >= 0);
    CHECK_EQ(weft_workqueue_stop(&queue, WEFT_DRAIN), left);
    return err < 0 ? err : weft_checkpoint();
}

static void start_drain(weft_nursery *n)
{
    if (!open_queue(n, 2, 2)) return;
    sweep_spawn(n, adds_four, &jobs[0]);
    sweep_spawn(n, adds_and_drains, &jobs[4]);
    sweep_spawn(n, adds_four, &jobs[8]);
}

SWEEP(every_job_is_run_or_dropped_by_a_stop_that_drains, start_drain,
      check_jobs, 0);

static int discards_in_the_middle(void *arg)
{
    (void)arg;
    int err = weft_sleep(WEFT_MSEC(1));
    left = weft_workqueue_stop(&queue, WEFT_DISCARD);
    CHECK(left >= 0);
    return err;
}

static int joins(void *arg)
{
    (void)arg;
    int err = weft_workqueue_join(&queue);
    return err < 0 ? err : weft_workqueue_join(&queue);
}

static void start_discard(weft_nursery *n)
{
    if (!open_queue(n, 2, 3)) return;
    sweep_spawn(n, adds_four, &jobs[0]);
    sweep_spawn(n, adds_four, &jobs[4]);
    sweep_spawn(n, joins, NULL);
    sweep_spawn(n, discards_in_the_middle, NULL);
}

SWEEP(every_job_is_run_or_dropped_by_a_stop_that_discards, start_discard,
      check_jobs, 0);

static int stops_with_a_deadline(void *arg)
{
    int rc;
    (void)arg;
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(2)) {
        left = weft_workqueue_stop(&queue, WEFT_DRAIN);
        CHECK(left >= 0);
        rc = weft_checkpoint();
    }
    return rc;
}

static void start_impatient_stop(weft_nursery *n)
{
    if (!open_queue(n, 1, 8)) return;
    for (int i = 0; i < 6; i++)
        jobs[i].taken =
            weft_workqueue_tryadd(&queue, do_job, &jobs[i], drop_job) == 0;
    sweep_spawn(n, joins, NULL);
    sweep_spawn(n, stops_with_a_deadline, NULL);
}

SWEEP(every_job_is_run_or_dropped_by_a_stop_that_gives_up, start_impatient_stop,
      check_jobs, 0);

/* --- work queues: the nursery of the queue is not that of its users --- */

static int owns_the_queue(void *arg)
{
    weft_nursery n;
    int err = weft_nursery_open(&n, NULL);
    if (err < 0) return err;
    const weft_workqueue_opts o = {.workers = 2, .capacity = 2};
    err = weft_workqueue_open(&queue, &n, &o);
    if (err == 0) err = add_from(arg, 3);
    if (err == 0) err = weft_sleep(WEFT_MSEC(2));
    return weft_nursery_close(&n, err);
}

static void start_outsiders(weft_nursery *n)
{
    memset(jobs, 0, sizeof jobs);
    memset(&queue, 0, sizeof queue);
    left = -1;
    sweep_spawn(n, owns_the_queue, &jobs[0]);
    sweep_spawn(n, adds_four, &jobs[4]);
    sweep_spawn(n, adds_four, &jobs[8]);
    sweep_spawn(n, joins, NULL);
}

SWEEP(every_job_of_outsiders_is_run_or_dropped, start_outsiders, check_jobs, 0);

/* --- work queues: jobs that make jobs --- */

static int adds_another(void *arg)
{
    struct job *j = arg;
    CHECK_EQ(j->run + j->dropped, 0);
    j->run++;
    int err = weft_yield();
    if (err < 0) return err;
    if (j == &jobs[7]) return 0;
    err = weft_workqueue_tryadd(&queue, adds_another, j + 1, drop_job);
    if (err == 0) j[1].taken = true;
    return 0;
}

static int adds_the_first(void *arg)
{
    struct job *j = arg;
    int err = weft_workqueue_add(&queue, adds_another, j, drop_job);
    if (err == 0) j->taken = true;
    return err == -ESHUTDOWN ? 0 : err;
}

static void start_a_chain(weft_nursery *n)
{
    if (!open_queue(n, 2, 2)) return;
    sweep_spawn(n, adds_the_first, &jobs[0]);
    sweep_spawn(n, adds_four, &jobs[8]);
}

SWEEP(every_job_that_a_job_adds_is_run_or_dropped, start_a_chain, check_jobs,
      0);

/* --- rate limits --- */

static weft_ratelimit limit;
static struct through {
    weft_time at;
    uint32_t cost;
} through[32];
static int passes;
static uint32_t costs[] = {1, 3, 2, 1};

static int passes_twice(void *arg)
{
    uint32_t cost = *(uint32_t *)arg;
    for (int i = 0; i < 2; i++) {
        int err = weft_ratelimit_wait(&limit, cost);
        if (err < 0) return err;
        through[passes++] = (struct through){weft_now(), cost};
        err = weft_yield();
        if (err < 0) return err;
    }
    return 0;
}

static int gives_up_the_line(void *arg)
{
    int rc;
    (void)arg;
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(3)) {
        rc = weft_ratelimit_wait(&limit, 4);
        if (rc == 0) through[passes++] = (struct through){weft_now(), 4};
    }
    return rc;
}

static void start_line(weft_nursery *n, weft_rate_kind kind)
{
    weft_ratelimit_init(&limit, kind, 4, WEFT_MSEC(16));
    passes = 0;
    for (int i = 0; i < 4; i++) {
        sweep_spawn(n, passes_twice, &costs[i]);
        if (i % 2) sweep_spawn(n, gives_up_the_line, NULL);
    }
}

static void start_bucket_line(weft_nursery *n)
{
    start_line(n, WEFT_TOKEN_BUCKET);
}

static void start_window_line(weft_nursery *n)
{
    start_line(n, WEFT_SLIDING_WINDOW);
}

/* What has gone through is what was counted, in order and at the rate. */
static void check_line(void)
{
    int64_t level = 4 * WEFT_MSEC(16); /* a token is the window's length */
    weft_ratelimit_info info;
    for (int i = 0; i < passes; i++) {
        weft_time since = i ? through[i].at - through[i - 1].at : 0;
        CHECK(since >= 0);
        level += 4 * since;
        if (level > 4 * WEFT_MSEC(16)) level = 4 * WEFT_MSEC(16);
        level -= through[i].cost * WEFT_MSEC(16);
        if (limit.kind_ == WEFT_TOKEN_BUCKET) CHECK(level >= 0);
    }
    CHECK_EQ(weft_ratelimit_check(&limit, 0, &info), 0); /* nobody waits */
    if (limit.kind_ == WEFT_TOKEN_BUCKET && passes) {
        level += 4 * (weft_now() - through[passes - 1].at);
        if (level > 4 * WEFT_MSEC(16)) level = 4 * WEFT_MSEC(16);
        CHECK_EQ(info.remaining, level / WEFT_MSEC(16));
    }
    int64_t counted = 0;
    for (int i = 0; i < passes; i++)
        if (weft_now() / WEFT_MSEC(1) - through[i].at / WEFT_MSEC(1) <= 16)
            counted += through[i].cost;
    if (limit.kind_ == WEFT_SLIDING_WINDOW)
        CHECK_EQ(info.remaining, 4 - counted);
}

SWEEP(what_left_the_line_of_a_bucket_was_not_counted, start_bucket_line,
      check_line, 0);
SWEEP(what_left_the_line_of_a_window_was_not_counted, start_window_line,
      check_line, 0);

/* --- rate limits by key --- */

static weft_ratelimits *swept;
static int passed_by_key;

static int passes_both_twice(void *key)
{
    for (int i = 0; i < 2; i++) {
        int err = weft_ratelimits_wait(swept, key, 1, 1);
        if (err < 0) return err;
        passed_by_key++;
        err = weft_ratelimits_check(swept, "c", 1, 1, NULL);
        if (err == -ECANCELED || err == -ENOMEM) return err;
        passed_by_key += err == 0;
        err = weft_yield();
        if (err < 0) return err;
    }
    return 0;
}

static int slow_store(const void *key, size_t len, uint32_t cost,
                      const weft_ratelimits_opts *o,
                      weft_ratelimit_info *ret_info, void *user)
{
    (void)key;
    (void)len;
    (void)cost;
    (void)o;
    (void)ret_info;
    (void)user;
    int err = weft_sleep(WEFT_MSEC(1));
    return err < 0 ? err : -EIO;
}

static void start_swept(weft_nursery *n, bool outside)
{
    const weft_ratelimits_opts o = {.limit = 2,
                                    .window = WEFT_MSEC(4),
                                    .max_keys = 3,
                                    .store = outside ? slow_store : NULL};
    static char a[] = "a", b[] = "b";
    passed_by_key = 0;
    swept = weft_ratelimits_new(&o);
    if (!sweep_had(swept != NULL)) return;
    for (int i = 0; i < 5; i++)
        sweep_spawn(n, passes_both_twice, i % 2 ? b : a);
}

static void start_here(weft_nursery *n)
{
    start_swept(n, false);
}

static void start_outside(weft_nursery *n)
{
    start_swept(n, true);
}

/* Nobody is inside any more, and nobody in line. */
static void check_swept(void)
{
    if (!swept) return;
    weft_ratelimits_stats is;
    weft_ratelimits_stats_read(swept, &is);
    CHECK_EQ(is.allowed, passed_by_key);
    CHECK(is.keys <= 3);
    weft_ratelimits_free(swept);
}

SWEEP(a_line_of_many_keys_lets_everybody_out, start_here, check_swept, 0);
SWEEP(a_store_may_be_cancelled_at_any_moment, start_outside, check_swept, 0);

/* --- tickers --- */

static weft_ticker ticker;
static weft_time begun;
static int ticks;

static int takes_ticks(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        int rc = weft_ticker_wait(&ticker);
        if (rc < 0) return rc;
        ticks += rc;
        CHECK(weft_now() >= begun + ticks * WEFT_MSEC(1));
    }
    return 0;
}

static void start_tickers(weft_nursery *n)
{
    CHECK_EQ(weft_ticker_init(&ticker, WEFT_MSEC(1), WEFT_TICK_BURST), 0);
    begun = weft_now();
    ticks = 0;
    for (int i = 0; i < 3; i++)
        sweep_spawn(n, takes_ticks, NULL);
}

static void check_ticks(void)
{
    CHECK_EQ(ticker.next_, begun + (ticks + 1) * WEFT_MSEC(1));
}

SWEEP(no_tick_is_lost_with_who_waited_for_it, start_tickers, check_ticks, 0);

/* --- retries --- */

static int attempts;

static int fails_twice(void *arg)
{
    int *calls = arg;
    attempts++;
    int err = weft_yield();
    if (err < 0) return err;
    weft_retry_after(WEFT_MSEC(1));
    if (++*calls % 3) return weft_fail(-EAGAIN, "attempt %d", *calls);
    return 0;
}

static bool always(int code, const weft_error *e, unsigned attempt, void *user)
{
    (void)user;
    CHECK_EQ(code, -EAGAIN);
    if (e) CHECK_EQ(e->code, code);
    CHECK(attempt <= 3);
    return true;
}

static int counts_tries(void *arg)
{
    const weft_retry_opts o = {.attempts = 3, .when = always};
    int err = weft_retry(fails_twice, arg, &o);
    if (err == -ECANCELED) CHECK(weft_cancelled());
    return err;
}

static int tries_within_a_try(void *arg)
{
    const weft_retry_opts o = {.attempts = 2};
    return weft_retry(counts_tries, arg, &o);
}

static int calls[3];

static void start_retries(weft_nursery *n)
{
    memset(calls, 0, sizeof calls);
    attempts = 0;
    for (int i = 0; i < 3; i++)
        sweep_spawn(n, tries_within_a_try, &calls[i]);
}

static void check_retries(void)
{
    CHECK(attempts <= 9);
}

SWEEP(a_cancelled_retry_calls_nothing_more, start_retries, check_retries, 0);
