/* SPDX-License-Identifier: MIT */
/*
 * test_timed.c - how long operations take, what of that they run, and what is
 * made of many of them.
 */
#include <weft/timed.h>

#include <weft/cleanup.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/gather.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/time.h>
#include <weft/workqueue.h>

#include <stdlib.h>
#include <string.h>

#include "burn.h"
#include "chance.h"
#include "fibers.h"
#include "harness.h"
#include "open.h"

static const weft_time ms = WEFT_MSEC(1);

static weft_timing_stats stats_of(const weft_timing *t)
{
    weft_timing_stats s;
    weft_timing_read(t, &s);
    return s;
}

/* So many were counted, and took so long in all. */
static void expect_sums(const weft_timing *t, uint64_t count, weft_time running,
                        weft_time waiting)
{
    weft_timing_stats s = stats_of(t);
    CHECK_EQ(s.count, count);
    CHECK_EQ(s.running, running);
    CHECK_EQ(s.waiting, waiting);
}

static int sleeps_timed(weft_timing *t, weft_time span)
{
    int rc = 0;
    WEFT_TIMED_RC(t, rc) {
        rc = weft_sleep(span);
    }
    return rc;
}

/* ---- one operation ------------------------------------------------------ */

TEST(pattern_79_an_operation_takes_as_long_as_it_waits_when_time_is_virtual)
{
    weft_timing t = WEFT_TIMING_INIT("sleep");
    WEFT_TIMED(&t) {
        CHECK_EQ(weft_sleep(10 * ms), 0);
        CHECK_EQ(weft_sleep(3 * ms), 0);
    }
    CHECK_EQ(weft_sleep(10 * ms), 0);
    expect_sums(&t, 1, 0, 13 * ms);
    weft_timing_stats s = stats_of(&t);
    CHECK_EQ(s.failed, 0);
    CHECK_EQ(s.min, 13 * ms);
    CHECK_EQ(s.max, 13 * ms);
    CHECK_EQ(s.mean, 13 * ms);
    CHECK_EQ(s.p50, 13 * ms);
    CHECK_EQ(s.p999, 13 * ms);
    CHECK_STR(t.name, "sleep");
}

TEST(pattern_79_a_timing_without_operations_is_all_zero)
{
    weft_timing t = {0};
    weft_timing_stats s = stats_of(&t), none;
    memset(&none, 0, sizeof none);
    CHECK_EQ(memcmp(&s, &none, sizeof s), 0);
}

TEST(pattern_79_begin_and_end_by_hand)
{
    weft_timing t = WEFT_TIMING_INIT("by hand");
    weft_timed op;
    CHECK_EQ(weft_timed_begin(&op, &t), 0);
    CHECK_EQ(weft_sleep(ms), 0);
    CHECK_EQ(weft_timed_end(&op, 7), 7);
    CHECK_EQ(weft_timed_begin(&op, &t), 0);
    CHECK_EQ(weft_timed_end(&op, -EIO), -EIO);
    expect_sums(&t, 2, 0, ms);
    CHECK_EQ(stats_of(&t).failed, 1);
    CHECK_EQ(stats_of(&t).min, 0);
    CHECK_EQ(stats_of(&t).mean, ms / 2);
}

static int returns_out(weft_timing *t)
{
    WEFT_TIMED(t) {
        int err = weft_sleep(ms);
        if (err == 0) return 5;
    }
    return 6;
}

static int jumps_out(weft_timing *t)
{
    WEFT_TIMED(t) {
        if (weft_sleep(ms) == 0) goto out;
    }
    return 6;
out:
    return 5;
}

TEST(pattern_79_a_block_ends_however_it_is_left)
{
    weft_timing t = WEFT_TIMING_INIT("left");
    CHECK_EQ(returns_out(&t), 5);
    expect_sums(&t, 1, 0, ms);
    CHECK_EQ(jumps_out(&t), 5);
    expect_sums(&t, 2, 0, 2 * ms);
    WEFT_TIMED(&t) {
        if (weft_sleep(ms) == 0) break;
        CHECK(false);
    }
    expect_sums(&t, 3, 0, 3 * ms);
    WEFT_TIMED(&t) {
        if (weft_sleep(ms) == 0) continue;
        CHECK(false);
    }
    CHECK_EQ(weft_sleep(ms), 0);
    expect_sums(&t, 4, 0, 4 * ms);
}

TEST(pattern_79_a_block_ends_with_what_its_rc_holds_then)
{
    weft_timing t = WEFT_TIMING_INIT("rc");
    const int ends[] = {0, -EIO, 3, -ECANCELED};
    for (int i = 0; i < 4; i++) {
        int rc = -1;
        WEFT_TIMED_RC(&t, rc) {
            rc = ends[i];
            if (i > 1) break;
        }
        CHECK_EQ(rc, ends[i]);
    }
    CHECK_EQ(stats_of(&t).count, 4);
    CHECK_EQ(stats_of(&t).failed, 2);
}

TEST(pattern_79_an_operation_that_is_cancelled_counts_as_failed_until_then)
{
    weft_timing t = WEFT_TIMING_INIT("cancelled");
    int rc;
    WEFT_FAIL_AFTER(rc, 5 * ms) {
        rc = sleeps_timed(&t, WEFT_SEC(1));
        CHECK_EQ(rc, -ECANCELED);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    expect_sums(&t, 1, 0, 5 * ms);
    CHECK_EQ(stats_of(&t).failed, 1);
}

/* ---- several ------------------------------------------------------------ */

TEST(pattern_79_an_inner_operation_is_part_of_the_outer_one)
{
    weft_timing outer = WEFT_TIMING_INIT("outer");
    weft_timing inner = WEFT_TIMING_INIT("inner");
    WEFT_TIMED(&outer) {
        CHECK_EQ(weft_sleep(ms), 0);
        for (int i = 0; i < 3; i++)
            CHECK_EQ(sleeps_timed(&inner, 10 * ms), 0);
        CHECK_EQ(weft_sleep(100 * ms), 0);
    }
    expect_sums(&inner, 3, 0, 30 * ms);
    expect_sums(&outer, 1, 0, 131 * ms);
}

TEST(pattern_79_operations_of_one_timing_nest)
{
    weft_timing t = WEFT_TIMING_INIT("again");
    WEFT_TIMED(&t) {
        CHECK_EQ(weft_sleep(ms), 0);
        WEFT_TIMED(&t) {
            CHECK_EQ(weft_sleep(10 * ms), 0);
            CHECK_EQ(sleeps_timed(&t, 100 * ms), 0);
        }
    }
    expect_sums(&t, 3, 0, 321 * ms);
    CHECK_EQ(stats_of(&t).min, 100 * ms);
    CHECK_EQ(stats_of(&t).max, 111 * ms);
}

static void does_nothing_later(void *arg)
{
    (void)arg;
}

TEST(pattern_79_what_is_deferred_inside_does_not_come_between)
{
    weft_timing t = WEFT_TIMING_INIT("deferred");
    WEFT_TIMED(&t) {
        CHECK_EQ(weft_defer(does_nothing_later, NULL), 0);
        CHECK_EQ(sleeps_timed(&t, 10 * ms), 0);
        CHECK_EQ(weft_defer(does_nothing_later, NULL), 0);
        CHECK_EQ(weft_sleep(ms), 0);
    }
    expect_sums(&t, 2, 0, 21 * ms);
}

struct sleeper {
    weft_timing *timing;
    weft_time span;
};

static int sleeps_thrice(void *arg)
{
    const struct sleeper *s = arg;
    for (int i = 0; i < 3; i++) {
        int err = sleeps_timed(s->timing, s->span);
        if (err < 0) return err;
    }
    return 0;
}

TEST(pattern_79_fibers_are_inside_one_timing_at_once)
{
    weft_timing t = WEFT_TIMING_INIT("both");
    struct sleeper a = {&t, 2 * ms}, b = {&t, 3 * ms};
    int rc;
    weft_time start = weft_now();
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, sleeps_thrice, &a);
        if (rc == 0) rc = weft_spawn(&n, sleeps_thrice, &b);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_now() - start, 9 * ms);
    expect_sums(&t, 6, 0, 15 * ms);
    CHECK_EQ(stats_of(&t).min, 2 * ms);
    CHECK_EQ(stats_of(&t).max, 3 * ms);
}

TEST(pattern_79_a_child_of_an_operation_is_no_part_of_it)
{
    weft_timing t = WEFT_TIMING_INIT("parent");
    int rc;
    WEFT_NURSERY(n, rc) {
        WEFT_TIMED(&t) {
            rc = weft_spawn(&n, waits_for_ever, NULL);
            CHECK_EQ(weft_sleep(ms), 0);
        }
        CHECK_EQ(weft_sleep(ms), 0);
        weft_nursery_cancel(&n, 0, NULL);
    }
    expect_sums(&t, 1, 0, ms);
}

/* ---- running and waiting ------------------------------------------------ */

/* At least so much of either; the machine may take more. */
static void expect_at_least(const weft_timing *t, weft_time running,
                            weft_time waiting)
{
    weft_timing_stats s = stats_of(t);
    CHECK(s.running >= running);
    CHECK(s.waiting >= waiting);
    CHECK_EQ(s.running + s.waiting, s.mean * (weft_time)s.count);
}

TEST_REAL(pattern_79_what_a_fiber_computes_before_it_parks_is_running)
{
    weft_timing t = WEFT_TIMING_INIT("computes");
    WEFT_TIMED(&t) {
        burn(30 * ms);
        CHECK_EQ(weft_sleep(40 * ms), 0);
        burn(10 * ms);
    }
    expect_at_least(&t, 40 * ms, 30 * ms);
}

static int burns(void *span)
{
    burn(*(weft_time *)span);
    return 0;
}

/* Gives way to the other one, who keeps the thread. */
TEST_REAL(pattern_79_to_be_ready_while_others_run_is_waiting)
{
    weft_timing t = WEFT_TIMING_INIT("gives way");
    weft_time span = 30 * ms;
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, burns, &span);
        WEFT_TIMED(&t) {
            CHECK_EQ(weft_yield(), 0);
        }
    }
    CHECK_EQ(rc, 0);
    expect_at_least(&t, 0, 30 * ms);
}

TEST_REAL(pattern_79_what_a_child_runs_is_waiting_for_its_parent)
{
    weft_timing t = WEFT_TIMING_INIT("parent"), c = WEFT_TIMING_INIT("around");
    weft_time span = 30 * ms;
    WEFT_TIMED(&c) {
        WEFT_TIMED(&t) {
            CHECK_EQ(in_a_nursery(burns, &span), 0);
        }
        burn(20 * ms);
    }
    expect_at_least(&t, 0, 30 * ms);
    expect_at_least(&c, 20 * ms, 30 * ms);
}

/* On the virtual clock as well, since it is not moved by computing. */
TEST(pattern_79_computing_takes_no_time_when_time_is_virtual)
{
    weft_timing t = WEFT_TIMING_INIT("computes");
    WEFT_TIMED(&t) {
        burn(ms);
        CHECK_EQ(weft_yield(), 0);
    }
    expect_sums(&t, 1, 0, 0);
}

/* ---- many --------------------------------------------------------------- */

enum { MANY = 2000 };

static int by_size(const void *a, const void *b)
{
    weft_time x = *(const weft_time *)a, y = *(const weft_time *)b;
    return (x > y) - (x < y);
}

/* The least that is enough for so many of a thousand, to one part in 32. */
static void expect_quantile(weft_time got, const weft_time *sorted, size_t n,
                            size_t parts)
{
    weft_time want = sorted[(n * parts + 999) / 1000 - 1];
    CHECK(got >= want - want / 32);
    CHECK(got <= want + want / 32);
}

static void expect_all(const weft_timing *t, weft_time *spans, size_t n)
{
    weft_timing_stats s = stats_of(t);
    weft_time sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += spans[i];
    qsort(spans, n, sizeof *spans, by_size);
    CHECK_EQ(s.count, n);
    CHECK_EQ(s.min, spans[0]);
    CHECK_EQ(s.max, spans[n - 1]);
    CHECK_EQ(s.mean, sum / (weft_time)n);
    expect_quantile(s.p50, spans, n, 500);
    expect_quantile(s.p90, spans, n, 900);
    expect_quantile(s.p99, spans, n, 990);
    expect_quantile(s.p999, spans, n, 999);
}

TEST(pattern_79_the_percentiles_are_those_of_the_sorted_durations)
{
    static weft_time spans[MANY];
    static weft_timing t = WEFT_TIMING_INIT("random");
    random_begin(test_seed());
    for (int bits = 4; bits <= 48; bits += 4) {
        size_t n = 1 + random_below((size_t)MANY);
        for (size_t i = 0; i < n; i++) {
            spans[i] = random_below((weft_time)1 << random_below(bits));
            CHECK_EQ(sleeps_timed(&t, spans[i]), 0);
        }
        expect_all(&t, spans, n);
        weft_timing_reset(&t);
    }
}

/* The two on either side keep the bounds out of it. */
static void expect_slot(weft_time span)
{
    weft_timing t = WEFT_TIMING_INIT("slot");
    CHECK_EQ(sleeps_timed(&t, span / 2), 0);
    CHECK_EQ(sleeps_timed(&t, span), 0);
    CHECK_EQ(sleeps_timed(&t, span), 0);
    CHECK_EQ(sleeps_timed(&t, span + span / 2 + 1), 0);
    weft_time got = stats_of(&t).p50;
    CHECK(got >= span - span / 32);
    CHECK(got <= span + span / 32);
}

TEST(pattern_79_each_power_of_two_has_its_slots)
{
    for (int bit = 0; bit < 58; bit++) {
        weft_time power = (weft_time)1 << bit;
        expect_slot(power - 1);
        expect_slot(power);
        expect_slot(power + 1);
        expect_slot(power / 16 * 31);
    }
}

static int sleeps_for_centuries(void *arg)
{
    return sleeps_timed(arg, WEFT_SEC(86400) * 365 * 250);
}

TEST(pattern_79_sums_stay_at_the_largest_number)
{
    weft_timing t = WEFT_TIMING_INIT("centuries");
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 3 && rc == 0; i++)
            rc = weft_spawn(&n, sleeps_for_centuries, &t);
    }
    CHECK_EQ(rc, 0);
    weft_timing_stats s = stats_of(&t);
    CHECK_EQ(s.count, 3);
    CHECK_EQ(s.waiting, INT64_MAX);
    CHECK_EQ(s.mean, INT64_MAX / 3);
    CHECK_EQ(s.max, WEFT_SEC(86400) * 365 * 250);
    CHECK_EQ(s.p999, s.max);
}

TEST(pattern_79_a_reset_forgets_all_but_what_was_set)
{
    weft_timing t = WEFT_TIMING_INIT("reset");
    t.slow = WEFT_SEC(1);
    CHECK_EQ(sleeps_timed(&t, 5 * ms), 0);
    weft_timed op;
    CHECK_EQ(weft_timed_begin(&op, &t), 0);
    CHECK_EQ(weft_sleep(ms), 0);
    weft_timing_reset(&t);
    expect_sums(&t, 0, 0, 0);
    CHECK_EQ(weft_sleep(ms), 0);
    CHECK_EQ(weft_timed_end(&op, 0), 0);
    expect_sums(&t, 1, 0, 2 * ms);
    CHECK_EQ(stats_of(&t).p50, 2 * ms);
    CHECK_STR(t.name, "reset");
    CHECK_EQ(t.slow, WEFT_SEC(1));
}

/* ---- telling ------------------------------------------------------------ */

struct told {
    unsigned times;
    uint64_t count; /* when it was told */
    weft_timed_sample last;
};

static void tell(const weft_timing *t, const weft_timed_sample *s, void *user)
{
    struct told *told = user;
    told->times++;
    told->count = stats_of(t).count;
    told->last = *s;
    errno = EDOM;
    (void)weft_fail(-EDOM, "by the log");
}

TEST(pattern_79_each_slow_operation_is_told_when_it_has_been_counted)
{
    weft_timing t = WEFT_TIMING_INIT("told");
    struct told told = {0};
    t.slow = 10 * ms;
    t.log = tell;
    t.user = &told;
    CHECK_EQ(sleeps_timed(&t, 10 * ms - 1), 0);
    CHECK_EQ(told.times, 0);
    weft_time start = weft_now();
    CHECK_EQ(sleeps_timed(&t, 10 * ms), 0);
    CHECK_EQ(told.times, 1);
    CHECK_EQ(told.count, 2);
    CHECK_EQ(told.last.began, start);
    CHECK_EQ(told.last.elapsed, 10 * ms);
    CHECK_EQ(told.last.waiting, 10 * ms);
    CHECK_EQ(told.last.running, 0);
    CHECK_EQ(told.last.rc, 0);
    CHECK(strstr(told.last.file, "test_timed.c") != NULL);
    CHECK(told.last.line > 0);
    t.slow = 0;
    WEFT_TIMED(&t) {
    }
    CHECK_EQ(told.times, 2);
}

TEST(pattern_79_a_log_leaves_the_failure_and_errno_alone)
{
    weft_timing t = WEFT_TIMING_INIT("told");
    struct told told = {0};
    t.log = tell;
    t.user = &told;
    int rc = 0;
    errno = ENOENT;
    WEFT_TIMED_RC(&t, rc) {
        rc = weft_fail(-EPROTO, "by the operation");
    }
    CHECK_EQ(errno, ENOENT);
    CHECK_STR(weft_last_error()->msg, "by the operation");
    CHECK_EQ(told.last.rc, -EPROTO);
}

/* ---- misuse ------------------------------------------------------------- */

TEST(pattern_79_operations_end_in_turn_and_once)
{
    weft_timing t = WEFT_TIMING_INIT("turn");
    weft_timed outer, inner;
    CHECK_EQ(weft_timed_begin(&outer, &t), 0);
    CHECK_EQ(weft_timed_begin(&outer, &t), -EBUSY);
    CHECK_EQ(weft_timed_begin(&inner, &t), 0);
    CHECK_EQ(weft_sleep(ms), 0);
    CHECK_EQ(weft_timed_end(&outer, 0), -EBUSY);
    CHECK_EQ(weft_timed_end(&inner, 0), 0);
    CHECK_EQ(weft_timed_end(&inner, 0), -EBUSY);
    CHECK_EQ(weft_timed_end(&outer, 0), 0);
    CHECK_EQ(weft_timed_end(&outer, 0), -EBUSY);
    expect_sums(&t, 2, 0, 2 * ms);
}

static int ends_anothers(void *op)
{
    return weft_timed_end(op, 0) == -EBUSY ? 0 : -EPROTO;
}

TEST(pattern_79_only_the_fiber_that_began_an_operation_ends_it)
{
    weft_timing t = WEFT_TIMING_INIT("whose");
    weft_timed op;
    CHECK_EQ(weft_timed_begin(&op, &t), 0);
    CHECK_EQ(in_a_nursery(ends_anothers, &op), 0);
    CHECK_EQ(weft_timed_end(&op, 0), 0);
    CHECK_EQ(stats_of(&t).count, 1);
}

TEST_PLAIN(pattern_79_outside_a_fiber_a_block_runs_and_is_not_counted)
{
    weft_timing t = WEFT_TIMING_INIT("outside");
    weft_timed op;
    int ran = 0;
    CHECK_EQ(weft_timed_begin(&op, &t), -EPERM);
    CHECK_EQ(weft_timed_end(&op, 0), -EBUSY);
    WEFT_TIMED(&t) {
        ran++;
    }
    CHECK_EQ(ran, 1);
    CHECK_EQ(stats_of(&t).count, 0);
}

static weft_timing forgotten = WEFT_TIMING_INIT("forgotten");

static int forgets_to_end(void *arg)
{
    static weft_timed op;
    (void)arg;
    return weft_timed_begin(&op, &forgotten);
}

TEST_DEATH(pattern_79_a_fiber_that_ends_inside_an_operation_is_fatal,
           "returned while an operation that it timed was still open")
{
    (void)!weft_run(forgets_to_end, NULL, NULL);
}

static void forgets_to_end_later(void *arg)
{
    (void)forgets_to_end(arg);
}

/* By then the stack of the one that forgot has been used again. */
static void comes_too_late(void *arg)
{
    (void)arg;
    abort();
}

static int defers_one_that_forgets(void *arg)
{
    int err = weft_defer(comes_too_late, arg);
    return err < 0 ? err : weft_defer(forgets_to_end_later, arg);
}

TEST_DEATH(pattern_79_so_is_what_it_has_deferred,
           "returned while an operation that it timed was still open")
{
    (void)!weft_run(defers_one_that_forgets, NULL, NULL);
}

static int is_the_next_job(void *arg)
{
    comes_too_late(arg);
    return 0;
}

static int has_it_as_a_job(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        weft_workqueue q;
        const weft_workqueue_opts o = {.workers = 1, .capacity = 1};
        rc = weft_workqueue_open(&q, &n, &o);
        if (rc == 0) rc = weft_workqueue_add(&q, forgets_to_end, arg, NULL);
        if (rc == 0) rc = weft_workqueue_add(&q, is_the_next_job, arg, NULL);
        if (rc == 0) rc = weft_workqueue_join(&q);
    }
    return rc;
}

TEST_DEATH(pattern_79_so_is_a_job,
           "returned while an operation that it timed was still open")
{
    (void)!weft_run(has_it_as_a_job, NULL, NULL);
}

static int leaves_a_block_with_one(void *arg)
{
    WEFT_TIMED(&forgotten) {
        int err = forgets_to_end(arg);
        if (err < 0) return err;
    }
    return 0;
}

TEST_DEATH(pattern_79_so_is_a_block_that_is_left_with_one_inside,
           "test_timed.c:")
{
    (void)!weft_run(leaves_a_block_with_one, NULL, NULL);
}
