/* SPDX-License-Identifier: MIT */
/* test_deadline.c - scopes that expire: moved, nested, in the past, never. */
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/sem.h>
#include <weft/time.h>

#include "chance.h"
#include "harness.h"

#define MS      WEFT_MSEC(1)
#define CENTURY (WEFT_SEC(86400) * 36525)

static void open_after(weft_scope *s, weft_time ns, unsigned flags)
{
    weft_scope_init(s);
    CHECK_EQ(weft_scope_begin_after(s, ns, flags), 0);
}

TEST(sco_05_of_two_equal_deadlines_the_outer_one_wins)
{
    weft_scope outer, inner;
    weft_time at = weft_after(5 * MS);
    weft_scope_init(&outer);
    weft_scope_init(&inner);
    CHECK_EQ(weft_scope_begin_at(&outer, at, WEFT_MOVE_ON), 0);
    CHECK_EQ(weft_scope_begin_at(&inner, at, WEFT_FAIL), 0);
    int rc = weft_sleep_until(WEFT_FOREVER);
    CHECK_EQ(weft_now(), at);
    rc = weft_scope_end(&inner, rc);
    CHECK_EQ(rc, -ECANCELED);
    CHECK(!weft_scope_caught(&inner));
    CHECK_EQ(weft_scope_end(&outer, rc), 0);
    CHECK(weft_scope_caught(&outer));
}

/* Where moving it is hardly more than a store. */
TEST_REAL(on_the_real_clock_a_deadline_counts_where_it_was_moved_to)
{
    weft_scope s;
    open_after(&s, WEFT_FOREVER, WEFT_FAIL);
    weft_scope_set_deadline(&s, weft_after(2 * MS));
    weft_scope_set_deadline(&s, weft_after(CENTURY));
    CHECK_EQ(weft_sleep(5 * MS), 0);
    weft_time at = weft_after(2 * MS);
    weft_scope_set_deadline(&s, at);
    CHECK_EQ(weft_deadline(), at);
    int rc = weft_sleep(WEFT_SEC(60));
    CHECK(weft_now() >= at);
    weft_scope_set_deadline(&s, WEFT_FOREVER); /* too late */
    CHECK(weft_scope_cancel_called(&s));
    CHECK_EQ(weft_scope_end(&s, rc), -ETIMEDOUT);
    CHECK(weft_scope_caught(&s));
}

TEST_REAL(on_the_real_clock_a_deadline_in_the_past_cancels_at_once)
{
    const weft_time past[] = {weft_now(), weft_now() - 1, 1, 0, -1, INT64_MIN};
    for (size_t i = 0; i < sizeof past / sizeof *past; i++) {
        weft_scope s;
        open_after(&s, WEFT_FOREVER, WEFT_MOVE_ON);
        weft_scope_set_deadline(&s, past[i]);
        CHECK(weft_cancelled());
        CHECK_EQ(weft_scope_end(&s, weft_checkpoint()), 0);
    }
}

TEST(many_scopes_with_one_deadline_are_caught_by_the_outermost)
{
    enum { DEPTH = 50 };
    static weft_scope s[DEPTH];
    weft_time at = weft_after(5 * MS);
    for (int i = 0; i < DEPTH; i++) {
        weft_scope_init(&s[i]);
        CHECK_EQ(weft_scope_begin_at(&s[i], at, WEFT_FAIL), 0);
    }
    int rc = weft_sleep_until(WEFT_FOREVER);
    for (int i = DEPTH - 1; i >= 0; i--) {
        CHECK_EQ(rc, -ECANCELED);
        rc = weft_scope_end(&s[i], rc);
        CHECK_EQ(weft_scope_caught(&s[i]), i == 0);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
}

TEST(sco_06_after_an_inner_deadline_the_outer_one_still_counts)
{
    weft_scope outer, inner;
    weft_time start = weft_now();
    open_after(&outer, 10 * MS, WEFT_FAIL);
    open_after(&inner, 5 * MS, WEFT_FAIL);
    int rc = weft_sleep_until(WEFT_FOREVER);
    CHECK_EQ(weft_scope_end(&inner, rc), -ETIMEDOUT);
    CHECK_EQ(weft_now() - start, 5 * MS);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_sleep(MS), 0);
    rc = weft_sleep_until(WEFT_FOREVER);
    CHECK_EQ(weft_now() - start, 10 * MS);
    CHECK_EQ(weft_scope_end(&outer, rc), -ETIMEDOUT);
}

static void expect_expired(weft_scope *s)
{
    CHECK(weft_cancelled());
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_scope_end(s, -ECANCELED), -ETIMEDOUT);
    CHECK_EQ(weft_checkpoint(), 0);
}

TEST(sco_08_a_deadline_of_nothing_or_less_has_expired_at_once)
{
    static const weft_time spans[] = {0, -1, -MS, -WEFT_FOREVER, INT64_MIN};
    weft_time start = weft_now();
    weft_scope s;
    for (unsigned i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
        open_after(&s, spans[i], WEFT_FAIL);
        expect_expired(&s);
    }
    static const weft_time moments[] = {0, -1, 1, INT64_MIN};
    for (unsigned i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
        weft_scope_init(&s);
        CHECK_EQ(weft_scope_begin_at(&s, moments[i], WEFT_FAIL), 0);
        expect_expired(&s);
    }
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin_at(&s, weft_now(), WEFT_FAIL), 0);
    expect_expired(&s);
    CHECK_EQ(weft_now(), start);
}

TEST(sco_09_for_ever_does_not_expire)
{
    static const weft_time spans[] = {WEFT_FOREVER, WEFT_FOREVER - 1,
                                      CENTURY * 2};
    for (unsigned i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
        weft_scope s;
        open_after(&s, spans[i], WEFT_FAIL);
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
        CHECK(weft_deadline() > weft_now() + CENTURY);
        CHECK_EQ(weft_scope_end(&s, 0), 0);
        CHECK(!weft_scope_cancel_called(&s));
    }
}

TEST(a_deadline_a_century_away_is_exact)
{
    weft_scope s;
    weft_time start = weft_now();
    open_after(&s, CENTURY + 7, WEFT_FAIL);
    int rc = weft_sleep_until(WEFT_FOREVER);
    CHECK_EQ(weft_now() - start, CENTURY + 7);
    CHECK_EQ(weft_scope_end(&s, rc), -ETIMEDOUT);
}

TEST(sco_12_a_deadline_may_be_moved_later_and_into_the_past)
{
    weft_scope s;
    open_after(&s, 5 * MS, WEFT_FAIL);
    weft_scope_set_deadline(&s, weft_after(20 * MS));
    CHECK_EQ(weft_sleep(10 * MS), 0);
    CHECK_EQ(weft_checkpoint(), 0);
    weft_scope_set_deadline(&s, weft_now() - 1);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), -ETIMEDOUT);
}

TEST(a_deadline_moved_after_it_expired_revives_nothing)
{
    weft_scope s;
    open_after(&s, MS, WEFT_FAIL);
    CHECK_EQ(weft_sleep(5 * MS), -ECANCELED);
    weft_scope_set_deadline(&s, WEFT_FOREVER);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), -ETIMEDOUT);
}

TEST(a_deadline_set_before_begin_is_kept)
{
    weft_scope s;
    weft_time start = weft_now();
    weft_scope_init(&s);
    weft_scope_set_deadline(&s, start + 5 * MS);
    CHECK_EQ(weft_scope_begin(&s), 0);
    CHECK_EQ(weft_deadline(), start + 5 * MS);
    int rc = weft_sleep_until(WEFT_FOREVER);
    CHECK_EQ(weft_now() - start, 5 * MS);
    (void)!weft_scope_end(&s, rc);
    CHECK_EQ(weft_scope_reason(&s)->kind, WEFT_R_DEADLINE);

    weft_scope_init(&s);
    weft_scope_set_deadline(&s, weft_now() - 1);
    CHECK_EQ(weft_scope_begin(&s), 0);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    (void)!weft_scope_end(&s, -ECANCELED);
}

TEST(a_duration_counts_from_begin)
{
    weft_scope s;
    weft_time start = weft_now();
    weft_scope_init(&s);
    CHECK_EQ(weft_sleep(5 * MS), 0);
    CHECK_EQ(weft_scope_begin_after(&s, 5 * MS, WEFT_FAIL), 0);
    int rc = weft_sleep_until(WEFT_FOREVER);
    CHECK_EQ(weft_now() - start, 10 * MS);
    CHECK_EQ(weft_scope_end(&s, rc), -ETIMEDOUT);
}

TEST(sco_15_weft_deadline_is_the_earliest_visible_one)
{
    weft_scope outer, inner;
    weft_time start = weft_now();
    CHECK_EQ(weft_deadline(), WEFT_FOREVER);
    open_after(&outer, 5 * MS, WEFT_MOVE_ON);
    open_after(&inner, 10 * MS, WEFT_MOVE_ON);
    CHECK_EQ(weft_deadline(), start + 5 * MS);
    weft_scope_set_deadline(&outer, start + 20 * MS);
    CHECK_EQ(weft_deadline(), start + 10 * MS);
    weft_scope_set_deadline(&outer, start + 5 * MS);
    CHECK_EQ(weft_deadline(), start + 5 * MS);
    weft_scope_set_shield(&inner, true);
    CHECK_EQ(weft_deadline(), start + 10 * MS);
    weft_scope_cancel(&outer, 0, NULL);
    CHECK_EQ(weft_deadline(), start + 10 * MS);
    weft_scope_set_shield(&inner, false);
    CHECK_EQ(weft_deadline(), INT64_MIN);
    CHECK_EQ(weft_scope_end(&inner, -ECANCELED), -ECANCELED);
    CHECK_EQ(weft_deadline(), INT64_MIN);
    CHECK_EQ(weft_scope_end(&outer, -ECANCELED), 0);
    CHECK_EQ(weft_deadline(), WEFT_FOREVER);
}

TEST(a_sleep_that_ends_with_the_deadline_has_been_slept)
{
    weft_scope s;
    open_after(&s, 5 * MS, WEFT_FAIL);
    CHECK_EQ(weft_sleep(5 * MS), 0); /* completion before expiry */
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    CHECK(weft_scope_cancel_called(&s));

    open_after(&s, 5 * MS, WEFT_FAIL);
    CHECK_EQ(weft_sleep(5 * MS + 1), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), -ETIMEDOUT);
}

static int releases_at(void *arg)
{
    static weft_time at;
    weft_sem *sem = arg;
    at = weft_after(5 * MS);
    CHECK_EQ(weft_sleep_until(at), 0);
    CHECK_EQ(weft_sem_release(sem, 1), 0);
    return 0;
}

TEST(what_a_fiber_would_do_at_the_deadline_comes_too_late)
{
    weft_sem sem = WEFT_SEM_INIT(0, 0);
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, releases_at, &sem), 0);
        CHECK_EQ(weft_yield(), 0);
        weft_scope s;
        open_after(&s, 5 * MS, WEFT_FAIL);
        rc = weft_sem_acquire(&sem, 1);
        rc = weft_scope_end(&s, rc);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_sem_value(&sem), 1); /* so the permit is there */
}

static int releases_now(void *arg)
{
    return weft_sem_release(arg, 1);
}

TEST(what_was_granted_is_kept_though_the_deadline_is_moved_into_the_past)
{
    weft_sem sem = WEFT_SEM_INIT(0, 0);
    weft_nursery n;
    weft_scope s;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, releases_now, &sem), 0);
    open_after(&s, WEFT_SEC(1), WEFT_FAIL);
    CHECK_EQ(weft_sem_acquire(&sem, 1), 0);
    weft_scope_set_deadline(&s, 0);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_sem_value(&sem), 0);
}

struct moved {
    weft_scope scope;
    weft_time expired_at;
    int result;
};

static int waits_until_expiry(void *arg)
{
    struct moved *m = arg;
    open_after(&m->scope, 3 * MS, WEFT_FAIL);
    int rc = weft_sleep_until(WEFT_FOREVER);
    m->expired_at = weft_now();
    m->result = weft_scope_end(&m->scope, rc);
    return 0;
}

TEST(an_idle_deadline_moved_on_a_thousand_times_expires_once)
{
    struct moved m = {.result = 1};
    weft_time last = 0;
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits_until_expiry, &m), 0);
        for (int i = 0; i < 1000; i++) {
            CHECK_EQ(weft_sleep(2 * MS), 0);
            CHECK_EQ(m.result, 1);
            last = weft_after(3 * MS);
            weft_scope_set_deadline(&m.scope, last);
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(m.result, -ETIMEDOUT);
    CHECK_EQ(m.expired_at, last);
}

TEST(a_deadline_moved_at_random_expires_exactly_when_it_says)
{
    random_begin(test_seed());
    for (int round = 0; round < 50; round++) {
        struct moved m = {.result = 1};
        weft_time deadline = weft_now() + 3 * MS;
        int rc;
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, waits_until_expiry, &m), 0);
            CHECK_EQ(weft_yield(), 0);
            for (;;) {
                weft_time pause = random_below(random_below(2) ? MS : 3 * MS);
                if (weft_now() + pause >= deadline) break;
                CHECK_EQ(weft_sleep(pause), 0);
                deadline = weft_now() + 1 + random_below(10 * MS);
                weft_scope_set_deadline(&m.scope, deadline);
            }
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(m.result, -ETIMEDOUT);
        CHECK_EQ(m.expired_at, deadline);
    }
}

TEST(a_deadline_that_is_withdrawn_does_not_expire)
{
    weft_scope s;
    open_after(&s, 5 * MS, WEFT_FAIL);
    weft_scope_set_deadline(&s, WEFT_FOREVER);
    CHECK_EQ(weft_deadline(), WEFT_FOREVER);
    CHECK_EQ(weft_sleep(10 * MS), 0);
    weft_scope_set_deadline(&s, weft_after(MS)); /* and is given back */
    CHECK_EQ(weft_sleep(10 * MS), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), -ETIMEDOUT);
}

TEST(an_explicit_cancel_is_never_called_too_slow)
{
    weft_scope s;
    open_after(&s, 5 * MS, WEFT_FAIL);
    weft_scope_cancel(&s, -EIO, NULL);
    CHECK_EQ(weft_scope_end(&s, weft_checkpoint()), -EIO);
    CHECK_EQ(weft_sleep(10 * MS), 0); /* nothing is left of the deadline */
}

TEST(a_deadline_of_moment_0_set_before_the_beginning_has_passed)
{
    weft_scope s;
    weft_scope_init(&s);
    weft_scope_set_deadline(&s, 0);
    CHECK_EQ(weft_scope_begin(&s), 0);
    CHECK(weft_cancelled());
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_cancel_reason()->kind, WEFT_R_DEADLINE);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), 0);
    CHECK(weft_scope_caught(&s));
    CHECK(!weft_cancelled());
}

TEST(a_deadline_of_moment_0_taken_back_before_the_beginning_is_none)
{
    weft_scope s;
    weft_scope_init(&s);
    weft_scope_set_deadline(&s, 0);
    weft_scope_set_deadline(&s, WEFT_FOREVER);
    CHECK_EQ(weft_scope_begin(&s), 0);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_deadline(), WEFT_FOREVER);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
}
