/* SPDX-License-Identifier: MIT */
/* test_ticker.c - ticks at start + n * period, and what becomes of the missed. */
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/ticker.h>
#include <weft/time.h>

#include <errno.h>
#include <limits.h>
#include <time.h>

#include "chance.h"
#include "harness.h"
#include "open.h"

static const weft_time period = WEFT_SEC(10);

static weft_ticker ticker_of(weft_tick_policy policy)
{
    weft_ticker t;
    CHECK_EQ(weft_ticker_init(&t, period, policy), 0);
    return t;
}

/* Waits for the next tick, which is to say so many and to come then. */
static void expect_tick(weft_ticker *t, int ticks, weft_time at)
{
    CHECK_EQ(weft_ticker_wait(t), ticks);
    CHECK_EQ(weft_now(), at);
}

TEST(pattern_88_ticks_do_not_drift_however_long_the_work_takes)
{
    for (int policy = WEFT_TICK_SKIP; policy <= WEFT_TICK_DELAY; policy++) {
        weft_ticker t = ticker_of((weft_tick_policy)policy);
        weft_time start = weft_now();
        for (int i = 1; i <= 50; i++) {
            expect_tick(&t, 1, start + i * period);
            CHECK_EQ(weft_sleep(period * (i % 10) / 10 + i % 3), 0);
        }
    }
}

TEST(skipped_ticks_are_counted)
{
    weft_ticker t = ticker_of(WEFT_TICK_SKIP);
    weft_time start = weft_now();
    CHECK_EQ(weft_sleep(period * 35 / 10), 0);
    expect_tick(&t, 3, start + period * 35 / 10); /* 10, 20 and 30 */
    expect_tick(&t, 1, start + 4 * period);
    CHECK_EQ(weft_sleep(2 * period), 0);
    expect_tick(&t, 2, start + 6 * period); /* 50, and 60 is just now */
    expect_tick(&t, 1, start + 7 * period);
}

TEST(a_tick_that_is_late_but_not_missed_is_one)
{
    weft_ticker t = ticker_of(WEFT_TICK_SKIP);
    weft_time start = weft_now();
    CHECK_EQ(weft_sleep(period * 15 / 10), 0);
    expect_tick(&t, 1, start + period * 15 / 10);
    expect_tick(&t, 1, start + 2 * period);
}

TEST(a_burst_makes_up_for_what_was_missed)
{
    weft_ticker t = ticker_of(WEFT_TICK_BURST);
    weft_time start = weft_now();
    CHECK_EQ(weft_sleep(period * 35 / 10), 0);
    for (int i = 0; i < 3; i++)
        expect_tick(&t, 1, start + period * 35 / 10);
    expect_tick(&t, 1, start + 4 * period);
    expect_tick(&t, 1, start + 5 * period);
}

static int others;

static int counts(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        others++;
        int err = weft_yield();
        if (err < 0) return err;
    }
    return 0;
}

TEST(a_burst_lets_the_others_run)
{
    weft_ticker t = ticker_of(WEFT_TICK_BURST);
    weft_nursery n;
    CHECK_EQ(weft_sleep(5 * period), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, counts, NULL), 0);
    for (int i = 1; i <= 3; i++) {
        CHECK_EQ(weft_ticker_wait(&t), 1);
        CHECK_EQ(others, i);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_delay_counts_the_next_period_from_the_late_tick)
{
    weft_ticker t = ticker_of(WEFT_TICK_DELAY);
    weft_time start = weft_now();
    CHECK_EQ(weft_sleep(period * 25 / 10), 0);
    expect_tick(&t, 1, start + period * 25 / 10);
    expect_tick(&t, 1, start + period * 35 / 10);
    CHECK_EQ(weft_sleep(period * 12 / 10), 0);
    expect_tick(&t, 1, start + period * 47 / 10);
    expect_tick(&t, 1, start + period * 57 / 10);
}

TEST(there_is_no_ticker_without_a_period)
{
    weft_ticker t = ticker_of(WEFT_TICK_SKIP);
    weft_time start = weft_now();
    CHECK_EQ(weft_ticker_init(&t, 0, WEFT_TICK_BURST), -EINVAL);
    CHECK_EQ(weft_ticker_init(&t, -1, WEFT_TICK_BURST), -EINVAL);
    CHECK_EQ(weft_ticker_init(&t, INT64_MIN, WEFT_TICK_BURST), -EINVAL);
    expect_tick(&t, 1, start + period); /* as it was */
}

TEST(no_more_ticks_than_an_int_holds_are_told)
{
    weft_ticker t;
    weft_time start = weft_now();
    CHECK_EQ(weft_ticker_init(&t, 1, WEFT_TICK_SKIP), 0);
    CHECK_EQ(weft_sleep(WEFT_SEC(10)), 0);
    expect_tick(&t, INT_MAX, start + WEFT_SEC(10));
    expect_tick(&t, 1, start + WEFT_SEC(10) + 1);
    CHECK_EQ(weft_sleep(INT_MAX), 0);
    expect_tick(&t, INT_MAX, start + WEFT_SEC(10) + 1 + INT_MAX);
}

TEST(a_tick_at_the_end_of_time_does_not_overflow)
{
    static const weft_tick_policy all[] = {WEFT_TICK_SKIP, WEFT_TICK_BURST,
                                           WEFT_TICK_DELAY};
    for (int i = 0; i < 3; i++) {
        weft_ticker t;
        int rc;
        CHECK_EQ(weft_ticker_init(&t, WEFT_FOREVER - WEFT_SEC(1), all[i]), 0);
        WEFT_MOVE_ON_AFTER(rc, WEFT_SEC(100)) {
            rc = weft_ticker_wait(&t);
            CHECK_EQ(rc, -ECANCELED);
        }
    }
    for (int i = 0; i < 3; i++) {
        weft_ticker t;
        CHECK_EQ(weft_ticker_init(&t, INT64_MAX / 8, all[i]), 0);
        for (int k = 0; k < 2; k++)
            CHECK_EQ(weft_ticker_wait(&t), 1);
    }
    weft_ticker t;
    int rc;
    CHECK_EQ(weft_ticker_init(&t, INT64_MAX / 8, WEFT_TICK_SKIP), 0);
    CHECK_EQ(weft_ticker_wait(&t), 1);
    WEFT_MOVE_ON_AFTER(rc, 1000) {
        rc = weft_ticker_wait(&t); /* it would come after the end */
        CHECK_EQ(rc, -ECANCELED);
    }
}

/* ---- cancellation ------------------------------------------------------- */

TEST(a_cancelled_wait_has_not_used_the_tick_up)
{
    weft_ticker t = ticker_of(WEFT_TICK_SKIP);
    weft_time start = weft_now();
    int rc;
    WEFT_FAIL_AFTER(rc, period / 2) {
        rc = weft_ticker_wait(&t);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_now(), start + period / 2);
    expect_tick(&t, 1, start + period);
}

TEST(a_tick_that_has_passed_is_not_had_in_a_cancelled_scope)
{
    static const weft_tick_policy all[] = {WEFT_TICK_SKIP, WEFT_TICK_BURST,
                                           WEFT_TICK_DELAY};
    for (int i = 0; i < 3; i++) {
        weft_ticker t = ticker_of(all[i]);
        weft_scope s;
        CHECK_EQ(weft_sleep(2 * period), 0);
        open_cancelled_scope(&s);
        for (int k = 0; k < 20; k++)
            CHECK_EQ(weft_ticker_wait(&t), -ECANCELED);
        CHECK_EQ(weft_scope_end(&s, -ECANCELED), 0);
        expect_tick(&t, i == 0 ? 2 : 1, weft_now());
    }
}

TEST(a_tick_that_comes_with_the_deadline_is_had)
{
    weft_ticker t = ticker_of(WEFT_TICK_SKIP);
    int rc;
    WEFT_FAIL_AFTER(rc, period) {
        rc = weft_ticker_wait(&t);
        CHECK_EQ(rc, 1);
        CHECK_EQ(weft_checkpoint(), -ECANCELED);
    }
    CHECK_EQ(rc, 1);
}

TEST_PLAIN(outside_a_fiber_nobody_waits)
{
    weft_ticker t;
    CHECK_EQ(weft_ticker_init(&t, 1, WEFT_TICK_SKIP), 0);
    CHECK_EQ(weft_ticker_wait(&t), -EPERM);
}

/* ---- reset, and several who wait ---------------------------------------- */

TEST(a_reset_begins_a_new_period)
{
    weft_ticker t = ticker_of(WEFT_TICK_BURST);
    CHECK_EQ(weft_sleep(period * 25 / 10), 0);
    weft_time again = weft_now();
    weft_ticker_reset(&t);
    expect_tick(&t, 1, again + period);
    expect_tick(&t, 1, again + 2 * period);
}

struct waiter {
    weft_ticker *ticker;
    int ticks;
    weft_time at;
};

static int waits(void *arg)
{
    struct waiter *w = arg;
    int rc = weft_ticker_wait(w->ticker);
    if (rc < 0) return rc;
    w->ticks = rc;
    w->at = weft_now();
    return 0;
}

TEST(a_reset_is_for_those_too_who_wait)
{
    weft_ticker t = ticker_of(WEFT_TICK_SKIP);
    struct waiter w = {.ticker = &t};
    weft_time start = weft_now();
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, waits, &w), 0);
    CHECK_EQ(weft_sleep(period / 2), 0);
    weft_ticker_reset(&t);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(w.ticks, 1);
    CHECK_EQ(w.at, start + period / 2 + period);
}

TEST(each_tick_goes_to_one_of_those_who_wait)
{
    static const weft_tick_policy all[] = {WEFT_TICK_SKIP, WEFT_TICK_BURST,
                                           WEFT_TICK_DELAY};
    for (int i = 0; i < 3; i++) {
        weft_ticker t = ticker_of(all[i]);
        struct waiter w[5];
        weft_time start = weft_now();
        weft_nursery n;
        int had[6] = {0};
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        for (int k = 0; k < 5; k++) {
            w[k] = (struct waiter){.ticker = &t};
            CHECK_EQ(weft_spawn(&n, waits, &w[k]), 0);
        }
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        for (int k = 0; k < 5; k++) {
            CHECK_EQ(w[k].ticks, 1);
            CHECK_EQ((w[k].at - start) % period, 0);
            had[(w[k].at - start) / period]++;
        }
        for (int k = 1; k <= 5; k++)
            CHECK_EQ(had[k], 1);
    }
}

/* ---- against the rule, said plainly ------------------------------------- */

TEST(skipped_ticks_and_bursts_lose_none_over_any_work)
{
    random_begin(test_seed());
    for (int policy = WEFT_TICK_SKIP; policy <= WEFT_TICK_BURST; policy++) {
        weft_ticker t;
        weft_time start = weft_now(), had = 0;
        weft_time every = 1 + random_below(1000);
        CHECK_EQ(weft_ticker_init(&t, every, (weft_tick_policy)policy), 0);
        for (int i = 0; i < 2000; i++) {
            weft_time begun = weft_now();
            int ticks = weft_ticker_wait(&t);
            CHECK(ticks >= 1);
            had += ticks;
            weft_time now = weft_now(), due = (now - start) / every;
            if (policy == WEFT_TICK_SKIP) CHECK_EQ(had, due);
            CHECK(had <= due);
            /* It slept only if there was nothing to be had. */
            if (now > begun) CHECK_EQ(now, start + had * every);
            CHECK_EQ(weft_sleep(random_below(every * 3)), 0);
        }
    }
}

TEST_REAL(ticks_of_the_real_clock_do_not_come_early)
{
    weft_ticker t;
    CHECK_EQ(weft_ticker_init(&t, WEFT_MSEC(2), WEFT_TICK_SKIP), 0);
    weft_time start = weft_now();
    int had = 0;
    while (had < 5) {
        int ticks = weft_ticker_wait(&t);
        CHECK(ticks >= 1);
        had += ticks;
        CHECK(weft_now() >= start + had * WEFT_MSEC(2));
    }
}

static int keeps_the_thread(void *arg)
{
    const struct timespec long_time = {.tv_nsec = 8000000};
    (void)arg;
    CHECK_EQ(nanosleep(&long_time, NULL), 0);
    return 0;
}

TEST_REAL(a_delay_counts_from_a_tick_that_others_have_made_late)
{
    weft_ticker t;
    weft_nursery n;
    CHECK_EQ(weft_ticker_init(&t, WEFT_MSEC(2), WEFT_TICK_DELAY), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, keeps_the_thread, NULL), 0);
    CHECK_EQ(weft_ticker_wait(&t), 1);
    weft_time first = weft_now();
    CHECK_EQ(weft_ticker_wait(&t), 1);
    CHECK(weft_now() - first >= WEFT_MSEC(2));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static weft_scope shielded;

static int raises_the_shield(void *arg)
{
    (void)arg;
    weft_scope_set_shield(&shielded, true);
    return 0;
}

/* What was cancelled when it came has had no tick, whatever others do while
 * they run first. */
TEST(a_shield_that_others_raise_meanwhile_does_not_make_a_cancelled_wait_true)
{
    weft_ticker t;
    weft_nursery n;
    weft_scope outer;
    CHECK_EQ(weft_ticker_init(&t, WEFT_SEC(1), WEFT_TICK_BURST), 0);
    CHECK_EQ(weft_sleep(WEFT_SEC(2)), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, raises_the_shield, NULL), 0);
    open_scope(&outer);
    open_scope(&shielded);
    weft_scope_cancel(&outer, 0, NULL);
    CHECK_EQ(weft_ticker_wait(&t), -ECANCELED);
    CHECK(!weft_cancelled());
    CHECK_EQ(weft_ticker_wait(&t), 1); /* both of them are there */
    CHECK_EQ(weft_ticker_wait(&t), 1);
    CHECK_EQ(weft_scope_end(&shielded, 0), 0);
    CHECK_EQ(weft_scope_end(&outer, 0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    weft_time now = weft_now();
    CHECK_EQ(weft_ticker_wait(&t), 1);
    CHECK_EQ(weft_now() - now, WEFT_SEC(1));
}
