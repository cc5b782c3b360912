/* SPDX-License-Identifier: MIT */
/* test_sleep.c - the virtual clock: exact, ordered, and only when all wait. */
#include <weft/fiber.h>
#include <weft/io.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "chance.h"
#include "harness.h"
#include "open.h"

static double real_seconds(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

TEST(clk_01_virtual_sleeps_take_no_real_time_and_add_up_exactly)
{
    double real = real_seconds();
    weft_time start = weft_now();
    for (int i = 0; i < 10; i++) {
        weft_time before = weft_now();
        CHECK_EQ(weft_sleep(WEFT_SEC(10 * i)), 0);
        CHECK_EQ(weft_now() - before, WEFT_SEC(10 * i));
    }
    CHECK_EQ(weft_now() - start, WEFT_SEC(450));
    CHECK(real_seconds() - real < 1);
}

TEST(odd_spans_are_slept_exactly_too)
{
    static const weft_time spans[] = {1,
                                      999,
                                      WEFT_USEC(1) + 1,
                                      WEFT_MSEC(1) - 1,
                                      WEFT_SEC(1) + 1,
                                      WEFT_SEC(86400) + 12345,
                                      WEFT_SEC(86400) * 366 * 100 + 1};
    for (unsigned i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
        weft_time before = weft_now();
        CHECK_EQ(weft_sleep(spans[i]), 0);
        CHECK_EQ(weft_now() - before, spans[i]);
        before = weft_now();
        CHECK_EQ(weft_sleep_until(before + spans[i] % WEFT_SEC(9)), 0);
        CHECK_EQ(weft_now() - before, spans[i] % WEFT_SEC(9));
    }
}

TEST(a_moment_saturates_and_never_wraps)
{
    CHECK_EQ(weft_after(WEFT_FOREVER), WEFT_FOREVER);
    CHECK_EQ(weft_after(WEFT_FOREVER - 1), WEFT_FOREVER);
    CHECK_EQ(weft_after(5), weft_now() + 5);
    CHECK(weft_after(INT64_MIN) <= weft_now());
    CHECK_EQ(weft_after(-5), weft_now() - 5);
}

TEST(sleep_for_ever_lasts_until_it_is_cancelled)
{
    static const weft_time spans[] = {WEFT_FOREVER, WEFT_FOREVER - 1};
    for (int i = 0; i < 2; i++) {
        int rc;
        WEFT_FAIL_AFTER(rc, WEFT_SEC(86400) * 3660) {
            rc = weft_sleep(spans[i]);
        }
        CHECK_EQ(rc, -ETIMEDOUT);
    }
}

enum { SLEEPERS = 300 };

struct sleeper {
    weft_time until;
    int number;
};

static struct sleeper sleepers[SLEEPERS];
static int woken[SLEEPERS], wakes;

static int sleeps_until(void *arg)
{
    const struct sleeper *s = arg;
    CHECK_EQ(weft_sleep_until(s->until), 0);
    CHECK_EQ(weft_now(), s->until);
    woken[wakes++] = s->number;
    return 0;
}

TEST_FIFO(sco_24_equal_moments_wake_in_the_order_of_going_to_sleep)
{
    int rc;
    weft_time at = weft_after(WEFT_MSEC(3));
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 10; i++) {
            sleepers[i] = (struct sleeper){at, i};
            CHECK_EQ(weft_spawn(&n, sleeps_until, &sleepers[i]), 0);
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(wakes, 10);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(woken[i], i);
    }
}

TEST_FIFO(equal_moments_wake_in_order_though_they_were_asked_for_at_other_times)
{
    int rc;
    weft_time at = weft_after(WEFT_SEC(100));
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 10; i++) {
            sleepers[i] = (struct sleeper){at, i};
            CHECK_EQ(weft_spawn(&n, sleeps_until, &sleepers[i]), 0);
            CHECK_EQ(weft_sleep(WEFT_SEC(9)), 0);
        }
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(woken[i], i);
    }
}

static int had_a_deadline_and_sleeps(void *arg)
{
    const struct sleeper *s = arg;
    weft_scope scope;
    weft_scope_init(&scope);
    CHECK_EQ(weft_scope_begin_at(&scope, s->until, WEFT_MOVE_ON), 0);
    CHECK_EQ(weft_scope_end(&scope, 0), 0);
    CHECK_EQ(weft_yield(), 0); /* the next one goes to sleep first */
    return sleeps_until(arg);
}

TEST_FIFO(who_had_a_deadline_at_that_moment_has_no_earlier_place_among_sleepers)
{
    int rc;
    weft_time at = weft_after(WEFT_MSEC(50));
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 6; i++) {
            sleepers[i] = (struct sleeper){at, i};
            weft_fn fn = i % 2 ? sleeps_until : had_a_deadline_and_sleeps;
            CHECK_EQ(weft_spawn(&n, fn, &sleepers[i]), 0);
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(wakes, 6);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(woken[i], 2 * i + 1);
        CHECK_EQ(woken[3 + i], 2 * i);
    }
}

TEST(moments_a_nanosecond_apart_are_kept_apart)
{
    int rc;
    weft_time at = weft_after(WEFT_MSEC(3));
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 10; i++) {
            sleepers[i] = (struct sleeper){at - i, i};
            CHECK_EQ(weft_spawn(&n, sleeps_until, &sleepers[i]), 0);
        }
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(woken[i], 9 - i);
    }
}

static weft_time random_span(void)
{
    return 1 + (weft_time)random_below(UINT64_C(1) << random_below(45));
}

TEST_FIFO(any_set_of_sleeps_wakes_in_the_order_of_its_moments)
{
    int rc;
    random_begin(test_seed());
    weft_time start = weft_now();
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < SLEEPERS; i++) {
            sleepers[i] = (struct sleeper){start + random_span(), i};
            CHECK_EQ(weft_spawn(&n, sleeps_until, &sleepers[i]), 0);
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(wakes, SLEEPERS);
    for (int i = 1; i < SLEEPERS; i++) {
        const struct sleeper *a = &sleepers[woken[i - 1]];
        const struct sleeper *b = &sleepers[woken[i]];
        CHECK(a->until < b->until ||
              (a->until == b->until && a->number < b->number));
    }
}

static int yields_many_times(void *arg)
{
    weft_time start = weft_now();
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(weft_now(), start);
    }
    *(bool *)arg = true;
    return 0;
}

TEST(clk_02_time_stands_still_while_a_fiber_is_ready)
{
    int rc;
    bool done = false;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, yields_many_times, &done), 0);
        CHECK_EQ(weft_sleep(1), 0);
        CHECK(done);
    }
    CHECK_EQ(rc, 0);
}

TEST(a_sleep_inside_deadlines_shorter_and_longer)
{
    static const int spans[] = {1, 4, 5, 6, 9};
    for (int i = 0; i < 5; i++) {
        weft_time start = weft_now(), span = WEFT_MSEC(spans[i]);
        int outer, inner;
        WEFT_FAIL_AFTER(outer, WEFT_MSEC(5)) {
            WEFT_FAIL_AFTER(inner, WEFT_MSEC(8)) {
                inner = weft_sleep(span);
            }
            outer = inner;
        }
        bool in_time = spans[i] <= 5; /* completion before expiry */
        CHECK_EQ(outer, in_time ? 0 : -ETIMEDOUT);
        CHECK_EQ(weft_now() - start, in_time ? span : WEFT_MSEC(5));
    }
}

static int sleeps(void *arg)
{
    return weft_sleep_until(*(weft_time *)arg);
}

TEST(a_cancelled_sleep_leaves_no_timer)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 50; i++) {
            sleepers[i].until = weft_after(WEFT_SEC(1 + i));
            CHECK_EQ(weft_spawn(&n, sleeps, &sleepers[i].until), 0);
        }
        CHECK_EQ(weft_spawn(&n, sleeps, &(weft_time){WEFT_FOREVER}), 0);
        CHECK_EQ(weft_sleep(WEFT_MSEC(2500)), 0);
        CHECK_EQ(weft_nursery_count(&n), 49);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
}

static int sleeps_until_cancelled(void *arg)
{
    int err = weft_sleep_until(*(weft_time *)arg);
    CHECK_EQ(err, -ECANCELED);
    return err;
}

TEST(a_cancel_in_the_middle_of_a_sleep_is_immediate)
{
    int rc;
    weft_time start = weft_now(), until = weft_after(WEFT_SEC(100));
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, sleeps_until_cancelled, &until), 0);
        CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5));
    CHECK_EQ(weft_sleep(WEFT_SEC(200)), 0); /* past where it would have been */
}

static int wakes_and_cancels(void *arg)
{
    weft_time at = weft_after(WEFT_MSEC(5));
    CHECK_EQ(weft_sleep_until(at), 0);
    weft_scope_cancel(arg, 0, NULL);
    return 0;
}

TEST_FIFO(a_sleep_that_is_over_is_not_undone_by_a_cancel_in_the_same_turn)
{
    weft_nursery n;
    weft_scope s;
    weft_time at = weft_after(WEFT_MSEC(5));
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, wakes_and_cancels, &s), 0);
    open_scope(&s);
    CHECK_EQ(weft_yield(), 0); /* the other is the first to go to sleep */
    CHECK_EQ(weft_sleep_until(at), 0);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* The virtual clock stands still while a descriptor is waited for. */
static void *writes_soon(void *arg)
{
    const struct timespec soon = {0, 20000000};
    (void)nanosleep(&soon, NULL);
    CHECK_EQ(write(*(int *)arg, "x", 1), 1);
    return NULL;
}

TEST(a_wait_for_a_descriptor_moves_the_clock_to_no_deadline_that_is_over)
{
    int fds[2], rc;
    char octet;
    pthread_t writer;
    weft_time start = weft_now();
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    WEFT_FAIL_AFTER(rc, WEFT_SEC(3600))
        rc = weft_yield();
    CHECK_EQ(rc, 0);
    CHECK_EQ(pthread_create(&writer, NULL, writes_soon, &fds[1]), 0);
    CHECK(weft_wait_fd(fds[0], WEFT_READABLE) > 0);
    CHECK_EQ(weft_now(), start);
    CHECK_EQ(pthread_join(writer, NULL), 0);
    CHECK_EQ(read(fds[0], &octet, 1), 1);
    weft_forget_fd(fds[0]);
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(close(fds[1]), 0);
}

TEST_REAL(clk_05_a_real_sleep_is_never_shorter_than_asked)
{
    static const weft_time spans[] = {1, WEFT_USEC(50), WEFT_USEC(1500),
                                      WEFT_MSEC(5)};
    for (int i = 0; i < 4; i++) {
        double before = real_seconds();
        CHECK_EQ(weft_sleep(spans[i]), 0);
        CHECK((real_seconds() - before) * 1e9 >= (double)spans[i] - 1);
    }
}

TEST_REAL(clk_05_not_even_after_a_long_computation)
{
    double start = real_seconds();
    while (real_seconds() - start < 0.005) {
    }
    start = real_seconds();
    CHECK_EQ(weft_sleep(WEFT_MSEC(4)), 0);
    CHECK(real_seconds() - start >= 0.004);
}

TEST_REAL(a_real_deadline_ends_a_real_sleep)
{
    int rc;
    weft_time before = weft_now(); /* deadlines count from this turn */
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(3)) {
        rc = weft_sleep(WEFT_SEC(1000));
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK(weft_now() - before >= WEFT_MSEC(3));
}

TEST_PLAIN(outside_a_fiber_now_is_the_clock)
{
    weft_time a = weft_now();
    struct timespec t = {0, 1000000};
    (void)nanosleep(&t, NULL);
    CHECK(weft_now() - a >= WEFT_MSEC(1));
}
