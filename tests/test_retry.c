/* SPDX-License-Identifier: MIT */
/* test_retry.c - what is tried again, when, how often, and what comes out. */
#include <weft/background.h>
#include <weft/cleanup.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/retry.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "fibers.h"
#include "harness.h"
#include "open.h"

enum { MANY = 64 };

/* Something that fails some times, and what was seen of it. */
struct work {
    int fails;       /* how often, before it succeeds */
    int code;        /* with this */
    weft_time takes; /* each time */
    weft_time after; /* what it asks to wait, if that is not 0 */
    int result;      /* when it succeeds */
    int calls;
    weft_time at[MANY]; /* when it was called */
};

static int do_work(void *arg)
{
    struct work *w = arg;
    if (w->calls < MANY) w->at[w->calls] = weft_now();
    w->calls++;
    if (w->takes) {
        int err = weft_sleep(w->takes);
        if (err < 0) return err;
    }
    if (w->after) weft_retry_after(w->after);
    if (w->calls > w->fails) return w->result;
    return weft_fail(w->code, "failure %d", w->calls);
}

/* The waits that before_wait was told of. */
static struct {
    int count;
    int code;
    weft_time wait[MANY];
    unsigned attempt[MANY];
    void *user;
} told;

static void note_wait(int code, unsigned attempt, weft_time wait, void *user)
{
    CHECK(told.count < MANY);
    told.code = code;
    told.user = user;
    told.attempt[told.count] = attempt;
    told.wait[told.count++] = wait;
}

static bool always(int code, const weft_error *e, unsigned attempt, void *user)
{
    (void)code;
    (void)e;
    (void)attempt;
    (void)user;
    return true;
}

/* Without luck, and of any failure. */
static weft_retry_opts plain(unsigned attempts)
{
    return (weft_retry_opts){.attempts = attempts,
                             .no_jitter = true,
                             .when = always,
                             .before_wait = note_wait};
}

/* ---- how often ---------------------------------------------------------- */

TEST(what_succeeds_is_called_once_and_its_result_returned)
{
    struct work w = {.result = 7};
    weft_time start = weft_now();
    CHECK_EQ(weft_retry(do_work, &w, NULL), 7);
    CHECK_EQ(w.calls, 1);
    CHECK_EQ(weft_now() - start, 0);
}

TEST(pattern_97_a_retry_makes_three_attempts_with_waits_that_double)
{
    struct work w = {.fails = 2, .code = -ECONNREFUSED, .result = 3};
    weft_retry_opts o = {.no_jitter = true};
    weft_time start = weft_now();
    CHECK_EQ(weft_retry(do_work, &w, &o), 3);
    CHECK_EQ(w.calls, 3);
    CHECK_EQ(w.at[1] - start, WEFT_MSEC(100));
    CHECK_EQ(w.at[2] - start, WEFT_MSEC(300));
    CHECK_EQ(weft_now() - start, WEFT_MSEC(300));
}

TEST(pattern_97_the_real_last_failure_comes_out_with_its_record)
{
    struct work w = {.fails = 9, .code = -ETIMEDOUT};
    CHECK_EQ(weft_retry(do_work, &w, NULL), -ETIMEDOUT);
    CHECK_EQ(w.calls, 3);
    CHECK_EQ(weft_last_error()->code, -ETIMEDOUT);
    CHECK_STR(weft_last_error()->msg, "failure 3");
}

TEST(one_attempt_is_one_call_and_no_wait)
{
    struct work w = {.fails = 9, .code = -EAGAIN};
    weft_retry_opts o = plain(1);
    CHECK_EQ(weft_retry(do_work, &w, &o), -EAGAIN);
    CHECK_EQ(w.calls, 1);
    CHECK_EQ(told.count, 0);
}

static bool until_a_thousand(int code, const weft_error *e, unsigned attempt,
                             void *user)
{
    (void)code;
    (void)e;
    CHECK_EQ(attempt, ++*(unsigned *)user);
    return attempt < 1000;
}

TEST(there_may_be_attempts_without_end)
{
    unsigned asked = 0;
    struct work w = {.fails = INT_MAX, .code = -EIO};
    weft_retry_opts o = {
        .attempts = UINT_MAX, .when = until_a_thousand, .user = &asked};
    CHECK_EQ(weft_retry(do_work, &w, &o), -EIO);
    CHECK_EQ(w.calls, 1000);
}

TEST(pattern_98_what_is_not_of_connecting_or_of_time_is_not_tried_again)
{
    struct work w = {.fails = 9, .code = -EINVAL};
    CHECK_EQ(weft_retry(do_work, &w, NULL), -EINVAL);
    CHECK_EQ(w.calls, 1);
}

TEST_PLAIN(pattern_98_these_are_transient_and_no_others)
{
    static const int yes[] = {
        ECONNREFUSED, ECONNRESET, ECONNABORTED, EPIPE,  EHOSTUNREACH,
        ENETUNREACH,  ENETDOWN,   ETIMEDOUT,    EAGAIN, EINTR};
    int found = 0;
    for (int code = 0; code < 200; code++) {
        bool expected = false;
        for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
            expected |= yes[i] == code;
        CHECK_EQ(weft_retry_transient(-code), expected);
        found += expected;
        if (code > 0) CHECK(!weft_retry_transient(code));
    }
    CHECK_EQ(found, 10);
    CHECK(!weft_retry_transient(INT_MIN));
}

static bool only_failure_2(int code, const weft_error *e, unsigned attempt,
                           void *user)
{
    CHECK_EQ(code, -EPROTO);
    CHECK_EQ(e->code, -EPROTO);
    CHECK_PTR(user, &told);
    char expected[16] = "failure 1";
    expected[8] = (char)('0' + attempt);
    CHECK_STR(e->msg, expected);
    return attempt < 2;
}

TEST(pattern_98_a_predicate_sees_the_code_its_record_and_the_attempt)
{
    struct work w = {.fails = 9, .code = -EPROTO};
    weft_retry_opts o = {.when = only_failure_2, .user = &told};
    CHECK_EQ(weft_retry(do_work, &w, &o), -EPROTO);
    CHECK_EQ(w.calls, 2);
}

/* ---- how long ----------------------------------------------------------- */

static void check_waits(const weft_retry_opts *o, const weft_time *waits,
                        int count)
{
    struct work w = {.fails = INT_MAX, .code = -EIO};
    memset(&told, 0, sizeof told);
    CHECK_EQ(weft_retry(do_work, &w, o), -EIO);
    CHECK_EQ(told.count, count);
    for (int i = 0; i < count; i++) {
        CHECK_EQ(told.wait[i], waits[i]);
        CHECK_EQ(told.attempt[i], i + 1);
        CHECK_EQ(w.at[i + 1] - w.at[i], waits[i]);
    }
    CHECK_EQ(told.code, -EIO);
    CHECK_PTR(told.user, o->user);
}

TEST(waits_grow_by_the_factor_up_to_the_cap)
{
    static const weft_time waits[] = {WEFT_SEC(1), WEFT_SEC(3), WEFT_SEC(9),
                                      WEFT_SEC(20), WEFT_SEC(20)};
    weft_retry_opts o = plain(6);
    o.base = WEFT_SEC(1);
    o.factor = 3;
    o.cap = WEFT_SEC(20);
    o.user = &o;
    check_waits(&o, waits, 5);
}

TEST(the_cap_is_ten_seconds_and_a_base_above_it_is_cut)
{
    static const weft_time waits[] = {WEFT_SEC(8), WEFT_SEC(10), WEFT_SEC(10)};
    weft_retry_opts o = plain(4);
    o.base = WEFT_SEC(8);
    check_waits(&o, waits, 3);
    o.base = WEFT_SEC(99);
    o.attempts = 2;
    check_waits(&o, waits + 1, 1);
}

TEST(waits_may_stay_or_shrink)
{
    static const weft_time same[] = {5, 5, 5}, less[] = {5, 2, 1, 0, 0};
    weft_retry_opts o = plain(4);
    o.base = 5;
    o.factor = 1;
    check_waits(&o, same, 3);
    o.attempts = 6;
    o.factor = 0.5;
    check_waits(&o, less, 5);
}

TEST(a_factor_that_is_none_is_two)
{
    static const weft_time waits[] = {3, 6};
    weft_retry_opts o = plain(3);
    o.base = 3;
    o.factor = -4;
    check_waits(&o, waits, 2);
    o.factor = (double)NAN;
    check_waits(&o, waits, 2);
}

TEST(an_endless_factor_goes_to_the_cap)
{
    static const weft_time waits[] = {3, WEFT_SEC(10), WEFT_SEC(10)};
    weft_retry_opts o = plain(4);
    o.base = 3;
    o.factor = (double)INFINITY;
    check_waits(&o, waits, 3);
}

TEST(a_base_or_a_cap_below_nothing_is_no_wait)
{
    static const weft_time waits[] = {0, 0};
    weft_retry_opts o = plain(3);
    o.base = -1;
    check_waits(&o, waits, 2);
    o.base = WEFT_SEC(1);
    o.cap = INT64_MIN;
    check_waits(&o, waits, 2);
}

TEST(waits_of_many_years_do_not_overflow)
{
    const weft_time year = WEFT_SEC(31557600);
    const weft_time waits[] = {60 * year, 100 * year, 100 * year};
    weft_retry_opts o = plain(9);
    o.base = 60 * year;
    o.cap = 100 * year;
    check_waits(&o, waits, 3); /* the next would be after the end of time */
}

TEST(a_wait_for_ever_is_none)
{
    struct work w = {.fails = 9, .code = -EIO};
    weft_retry_opts o = plain(3);
    o.base = o.cap = WEFT_FOREVER;
    CHECK_EQ(weft_retry(do_work, &w, &o), -EIO);
    CHECK_EQ(w.calls, 1);
}

/* ---- jitter ------------------------------------------------------------- */

static void draw_waits(uint64_t seed, weft_time base, int count)
{
    struct work w = {.fails = INT_MAX, .code = -EIO};
    weft_retry_opts o = plain((unsigned)count + 1);
    o.no_jitter = false;
    o.seed = seed;
    o.factor = 1;
    o.base = o.cap = base;
    memset(&told, 0, sizeof told);
    CHECK_EQ(weft_retry(do_work, &w, &o), -EIO);
    CHECK_EQ(told.count, count);
    for (int i = 0; i < count; i++)
        CHECK_EQ(w.at[i + 1] - w.at[i], told.wait[i]);
}

TEST(jitter_is_spread_evenly_over_the_whole_wait)
{
    int low = 0, high = 0, all = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        draw_waits(seed, WEFT_SEC(8), 50);
        for (int i = 0; i < 50; i++, all++) {
            CHECK(told.wait[i] >= 0 && told.wait[i] <= WEFT_SEC(8));
            low += told.wait[i] < WEFT_SEC(1);
            high += told.wait[i] > WEFT_SEC(7);
        }
    }
    CHECK_EQ(all, 2000); /* an eighth each: 250, give or take 15 */
    CHECK(low > 190 && low < 310);
    CHECK(high > 190 && high < 310);
}

TEST(jitter_of_two_is_each_of_three_waits)
{
    int seen[3] = {0};
    draw_waits(5, 2, 60);
    for (int i = 0; i < 60; i++) {
        CHECK(told.wait[i] >= 0 && told.wait[i] <= 2);
        seen[told.wait[i]]++;
    }
    CHECK(seen[0] > 5 && seen[1] > 5 && seen[2] > 5);
}

TEST(a_seed_says_the_jitter)
{
    weft_time first[8];
    draw_waits(42, WEFT_SEC(1), 8);
    memcpy(first, told.wait, sizeof first);
    draw_waits(42, WEFT_SEC(1), 8);
    CHECK_EQ(memcmp(first, told.wait, sizeof first), 0);
    draw_waits(43, WEFT_SEC(1), 8);
    CHECK(memcmp(first, told.wait, sizeof first) != 0);
}

static int retries_once(void *arg)
{
    struct work *w = arg;
    weft_retry_opts o = {.attempts = 2, .base = WEFT_SEC(10), .when = always};
    w->fails = 1;
    w->code = -EIO;
    return weft_retry(do_work, w, &o);
}

TEST(fibers_that_failed_together_do_not_come_back_together)
{
    static struct work works[32];
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 32 && rc == 0; i++)
            rc = weft_spawn(&n, retries_once, &works[i]);
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < 32; i++) {
        CHECK_EQ(works[i].at[0], works[0].at[0]);
        for (int k = 0; k < i; k++)
            CHECK(works[i].at[1] != works[k].at[1]);
    }
}

TEST(background_work_that_failed_together_does_not_come_back_together)
{
    static struct work works[8];
    for (int i = 0; i < 8; i++)
        CHECK_EQ(weft_background(retries_once, &works[i], NULL), 0);
    CHECK_EQ(weft_sleep(WEFT_SEC(20)), 0);
    for (int i = 0; i < 8; i++) {
        CHECK_EQ(works[i].calls, 2);
        for (int k = 0; k < i; k++)
            CHECK(works[i].at[1] != works[k].at[1]);
    }
}

static int retries_in_two_fibers(void *arg)
{
    weft_time *ends = arg;
    static struct work w[2];
    int rc;
    memset(w, 0, sizeof w);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 2 && rc == 0; i++)
            rc = weft_spawn(&n, retries_once, &w[i]);
    }
    ends[0] = w[0].at[1];
    ends[1] = w[1].at[1];
    return rc;
}

TEST_PLAIN(a_run_on_the_virtual_clock_can_be_had_again)
{
    weft_time ends[3][2];
    for (int i = 0; i < 3; i++) {
        const weft_run_opts o = {.virtual_clock = true,
                                 .sched_seed = i < 2 ? 7 : 8};
        CHECK_EQ(weft_run(retries_in_two_fibers, ends[i], &o), 0);
        CHECK(ends[i][0] != ends[i][1]);
    }
    CHECK_EQ(memcmp(ends[0], ends[1], sizeof ends[0]), 0);
    CHECK(memcmp(ends[0], ends[2], sizeof ends[0]) != 0);
}

TEST_REAL(jitter_differs_each_time_on_the_real_clock)
{
    weft_time first = 0;
    for (int i = 0; i < 3; i++) {
        struct work w = {.fails = 2, .code = -EIO};
        weft_retry_opts o = plain(3);
        o.no_jitter = false;
        o.base = o.cap = WEFT_MSEC(2);
        CHECK_EQ(weft_retry(do_work, &w, &o), 0);
        CHECK(w.at[1] - w.at[0] >= told.wait[told.count - 2]);
        CHECK(told.wait[told.count - 1] != first);
        first = told.wait[told.count - 1];
    }
}

/* ---- deadlines ---------------------------------------------------------- */

TEST(pattern_97_a_retry_never_sleeps_past_the_deadline)
{
    struct work w = {.fails = 9, .code = -ECONNRESET};
    weft_retry_opts o = plain(9);
    weft_time start = weft_now();
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(250)) {
        rc = weft_retry(do_work, &w, &o);
        CHECK_EQ(rc, -ECONNRESET);
    }
    CHECK_EQ(rc, -ECONNRESET);
    CHECK_EQ(w.calls, 2); /* at 0 and 100; the next would be at 300 */
    CHECK_EQ(weft_now() - start, WEFT_MSEC(100));
    CHECK_EQ(told.count, 1);
    CHECK_STR(weft_last_error()->msg, "failure 2");
}

TEST(a_wait_that_would_end_with_the_deadline_is_not_begun)
{
    for (weft_time more = 0; more < 2; more++) {
        struct work w = {.fails = 1, .code = -ECONNRESET};
        weft_retry_opts o = plain(2);
        int rc;
        WEFT_FAIL_AFTER(rc, WEFT_MSEC(100) + more) {
            rc = weft_retry(do_work, &w, &o);
        }
        CHECK_EQ(rc, more ? 0 : -ECONNRESET);
        CHECK_EQ(w.calls, 1 + more);
    }
}

TEST(the_earliest_deadline_counts_and_a_shield_hides_it)
{
    struct work w = {.fails = 1, .code = -ECONNRESET};
    weft_retry_opts o = plain(2);
    int rc, inner;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(50)) {
        WEFT_FAIL_AFTER(inner, WEFT_SEC(9)) {
            inner = weft_retry(do_work, &w, &o);
        }
        CHECK_EQ(inner, -ECONNRESET);
        CHECK_EQ(w.calls, 1);
        w = (struct work){.fails = 1, .code = -ECONNRESET};
        WEFT_SHIELD(inner, WEFT_SEC(9)) {
            inner = weft_retry(do_work, &w, &o);
        }
        CHECK_EQ(inner, 0);
        CHECK_EQ(w.calls, 2);
    }
    CHECK_EQ(rc, 0);
}

static int retries_in_vain(void *arg)
{
    weft_retry_opts o = plain(9);
    return weft_retry(do_work, arg, &o);
}

TEST(the_deadline_of_the_nursery_counts_too)
{
    struct work w = {.fails = 9, .code = -ECONNRESET};
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_scope_set_deadline(weft_nursery_scope(&n), weft_after(WEFT_MSEC(250)));
    CHECK_EQ(weft_spawn(&n, retries_in_vain, &w), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -ECONNRESET);
    CHECK_EQ(w.calls, 2);
}

TEST(an_attempt_that_outlasts_the_deadline_is_the_last)
{
    struct work w = {.fails = 9, .code = -EIO, .takes = WEFT_SEC(2)};
    weft_retry_opts o = plain(9);
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_SEC(3)) {
        rc = weft_retry(do_work, &w, &o);
        CHECK_EQ(rc, -ECANCELED);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(w.calls, 2);
}

/* ---- cancellation ------------------------------------------------------- */

static bool never_asked(int code, const weft_error *e, unsigned attempt,
                        void *user)
{
    (void)e;
    (void)attempt;
    (void)user;
    test_fail(__FILE__, __LINE__, "asked about %d", code);
}

TEST(pattern_97_a_cancellation_is_never_tried_again)
{
    struct work w = {.fails = 9, .code = -ECANCELED};
    weft_retry_opts o = {.when = never_asked};
    CHECK_EQ(weft_retry(do_work, &w, &o), -ECANCELED); /* of somebody else's */
    CHECK_EQ(w.calls, 1);
}

TEST(in_a_cancelled_scope_it_calls_nothing)
{
    struct work w = {.fails = 0};
    weft_scope s;
    open_cancelled_scope(&s);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(weft_retry(do_work, &w, NULL), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), 0);
    CHECK_EQ(w.calls, 0);
}

TEST_PLAIN(outside_a_fiber_it_calls_nothing)
{
    struct work w = {.fails = 0};
    CHECK_EQ(weft_retry(do_work, &w, NULL), -EPERM);
    CHECK_EQ(w.calls, 0);
    weft_retry_after(1); /* nor does this do anything */
}

struct canceller {
    weft_scope scope;
    weft_time when;
};

static int cancels(void *arg)
{
    struct canceller *c = arg;
    int err = weft_sleep(c->when);
    weft_scope_cancel(&c->scope, -EINTR, NULL);
    return err;
}

TEST(a_wait_can_be_cancelled)
{
    struct work w = {.fails = 9, .code = -EIO};
    struct canceller c = {.when = WEFT_MSEC(150)};
    weft_retry_opts o = plain(9);
    weft_nursery n;
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    open_scope(&c.scope);
    CHECK_EQ(weft_spawn(&n, cancels, &c), 0);
    CHECK_EQ(weft_retry(do_work, &w, &o), -ECANCELED);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(150));
    CHECK_EQ(w.calls, 2);
    CHECK_EQ(weft_scope_end(&c.scope, -ECANCELED), -EINTR);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static int cancels_and_fails(void *arg)
{
    struct canceller *c = arg;
    weft_scope_cancel(&c->scope, 0, NULL);
    c->when++;
    return -EIO;
}

TEST(cancelled_during_an_attempt_there_is_no_next_one)
{
    for (unsigned attempts = 1; attempts <= 2; attempts++) {
        struct canceller c = {.when = 0};
        weft_retry_opts o = plain(attempts);
        open_scope(&c.scope);
        /* After the last attempt there was no wait to be cancelled. */
        CHECK_EQ(weft_retry(cancels_and_fails, &c, &o),
                 attempts == 1 ? -EIO : -ECANCELED);
        CHECK_EQ(weft_scope_end(&c.scope, 0), 0);
        CHECK_EQ(c.when, 1);
        CHECK_EQ(told.count, 0);
    }
}

/* ---- records ------------------------------------------------------------ */

static int fails_with_a_record_at_first(void *arg)
{
    int *calls = arg;
    if (++*calls == 1) return weft_fail(-EIO, "the first");
    CHECK(!weft_last_error());
    return -EIO;
}

static bool expects_a_record_at_first(int code, const weft_error *e,
                                      unsigned attempt, void *user)
{
    CHECK_EQ(code, -EIO);
    (void)user;
    if (attempt == 1) CHECK_STR(e->msg, "the first");
    if (attempt > 1) CHECK(!e);
    return true;
}

TEST(the_record_of_one_attempt_is_not_taken_for_that_of_the_next)
{
    int calls = 0;
    weft_retry_opts o = {.when = expects_a_record_at_first};
    CHECK_EQ(weft_retry(fails_with_a_record_at_first, &calls, &o), -EIO);
    CHECK_EQ(calls, 3);
    CHECK(!weft_last_error());
}

static int fails_differently(void *arg)
{
    (void)arg;
    (void)weft_fail(-ENOENT, "on the way");
    return -EIO;
}

static bool expects_no_record(int code, const weft_error *e, unsigned attempt,
                              void *user)
{
    (void)user;
    CHECK_EQ(code, -EIO);
    CHECK(!e);
    CHECK_STR(weft_last_error()->msg, "on the way");
    return attempt < 2;
}

TEST(a_record_of_another_code_is_no_record_of_this)
{
    weft_retry_opts o = {.when = expects_no_record};
    CHECK_EQ(weft_retry(fails_differently, NULL, &o), -EIO);
}

static bool clumsy(int code, const weft_error *e, unsigned attempt, void *user)
{
    (void)user;
    CHECK_STR(weft_last_error()->msg, e->msg);
    (void)weft_fail(-EXDEV, "could not log %d of attempt %u", code, attempt);
    CHECK_EQ(e->code, code); /* still there */
    return true;
}

static void clumsy_too(int code, unsigned attempt, weft_time wait, void *user)
{
    (void)attempt;
    (void)wait;
    (void)user;
    CHECK_EQ(weft_last_error()->code, code);
    (void)weft_fail(-EXDEV, "could not log %d", code);
}

static bool clumsy_and_tired(int code, const weft_error *e, unsigned attempt,
                             void *user)
{
    return clumsy(code, e, attempt, user) && attempt < 2;
}

TEST(what_callbacks_fail_at_does_not_replace_the_failure)
{
    struct work w = {.fails = 9, .code = -EPROTO};
    weft_retry_opts o = {.when = clumsy, .before_wait = clumsy_too};
    CHECK_EQ(weft_retry(do_work, &w, &o), -EPROTO);
    CHECK_STR(weft_last_error()->msg, "failure 3");

    w = (struct work){.fails = 9, .code = -EPROTO};
    o.when = clumsy_and_tired;
    CHECK_EQ(weft_retry(do_work, &w, &o), -EPROTO);
    CHECK_EQ(w.calls, 2);
    CHECK_STR(weft_last_error()->msg, "failure 2");
}

static int fails_in_a_child(void *arg)
{
    int *calls = arg;
    ++*calls;
    return weft_fail(-EPROTO, "child %d", *calls);
}

static int fails_in_a_nursery(void *arg)
{
    weft_nursery n;
    int err = weft_nursery_open(&n, NULL);
    if (err < 0) return err;
    err = weft_spawn(&n, fails_in_a_child, arg);
    if (err == 0) err = weft_spawn(&n, fails_in_a_child, arg);
    return weft_nursery_close(&n, err);
}

TEST(the_record_of_a_group_comes_out_whole)
{
    int calls = 0;
    weft_retry_opts o = {.when = clumsy, .attempts = 2};
    CHECK_EQ(weft_retry(fails_in_a_nursery, &calls, &o), -EPROTO);
    CHECK_EQ(calls, 4);
    const weft_error *e = weft_last_error();
    CHECK_STR(e->msg, "child 3");
    CHECK_STR(e->next->msg, "child 4");
}

/* ---- Retry-After -------------------------------------------------------- */

TEST(pattern_97_a_wait_that_was_asked_for_is_kept_above_the_cap)
{
    struct work w = {.fails = 2, .code = -EAGAIN, .after = WEFT_SEC(30)};
    weft_retry_opts o = plain(3);
    weft_time start = weft_now();
    CHECK_EQ(weft_retry(do_work, &w, &o), 0);
    CHECK_EQ(weft_now() - start, WEFT_SEC(60));
    CHECK_EQ(told.wait[0], WEFT_SEC(30));
}

TEST(a_wait_that_was_asked_for_does_not_shorten_one)
{
    struct work w = {.fails = 2, .code = -EAGAIN, .after = WEFT_MSEC(150)};
    weft_retry_opts o = plain(3);
    CHECK_EQ(weft_retry(do_work, &w, &o), 0);
    CHECK_EQ(told.wait[0], WEFT_MSEC(150)); /* above 100 */
    CHECK_EQ(told.wait[1], WEFT_MSEC(200));
}

TEST(jitter_comes_on_top_of_what_was_asked)
{
    static struct work works[8];
    weft_time least = WEFT_FOREVER, most = 0;
    for (int i = 0; i < 8; i++) {
        works[i] =
            (struct work){.fails = 1, .code = -EAGAIN, .after = WEFT_SEC(30)};
        weft_retry_opts o = plain(2);
        o.no_jitter = false;
        o.seed = (uint64_t)i + 1;
        CHECK_EQ(weft_retry(do_work, &works[i], &o), 0);
        weft_time wait = works[i].at[1] - works[i].at[0];
        CHECK(wait >= WEFT_SEC(30));
        CHECK(wait <= WEFT_SEC(30) + WEFT_MSEC(100));
        if (wait < least) least = wait;
        if (wait > most) most = wait;
    }
    CHECK(most - least > WEFT_MSEC(20));
}

static int asks_several_times(void *arg)
{
    int *calls = arg;
    if (++*calls == 1) {
        weft_retry_after(WEFT_SEC(2));
        weft_retry_after(WEFT_SEC(7));
        weft_retry_after(WEFT_SEC(3));
        weft_retry_after(-1);
        weft_retry_after(INT64_MIN);
    }
    return -EAGAIN;
}

TEST(the_longest_of_several_counts_and_only_for_that_attempt)
{
    int calls = 0;
    weft_retry_opts o = plain(3);
    CHECK_EQ(weft_retry(asks_several_times, &calls, &o), -EAGAIN);
    CHECK_EQ(told.wait[0], WEFT_SEC(7));
    CHECK_EQ(told.wait[1], WEFT_MSEC(200));
}

static bool asks_itself(int code, const weft_error *e, unsigned attempt,
                        void *user)
{
    weft_retry_after(WEFT_SEC(attempt * 10));
    return always(code, e, attempt, user);
}

TEST(the_predicate_may_ask_for_the_wait)
{
    struct work w = {.fails = 2, .code = -EIO};
    weft_retry_opts o = plain(3);
    o.when = asks_itself;
    CHECK_EQ(weft_retry(do_work, &w, &o), 0);
    CHECK_EQ(told.wait[0], WEFT_SEC(10));
    CHECK_EQ(told.wait[1], WEFT_SEC(20));
}

TEST(who_is_asked_to_wait_past_the_deadline_gives_up_at_once)
{
    struct work w = {.fails = 9, .code = -EAGAIN, .after = WEFT_SEC(30)};
    weft_retry_opts o = plain(3);
    weft_time start = weft_now();
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_SEC(30)) {
        rc = weft_retry(do_work, &w, &o);
    }
    CHECK_EQ(rc, -EAGAIN);
    CHECK_EQ(weft_now() - start, 0);
}

TEST(who_is_asked_never_to_come_back_does_not)
{
    for (int jitter = 0; jitter < 2; jitter++) {
        struct work w = {.fails = 9, .code = -EAGAIN, .after = WEFT_FOREVER};
        weft_retry_opts o = plain(3);
        o.no_jitter = !jitter;
        CHECK_EQ(weft_retry(do_work, &w, &o), -EAGAIN);
        CHECK_EQ(w.calls, 1);
    }
}

static int retries_inside(void *arg)
{
    struct work *w = arg;
    struct work inner = {.fails = 1, .code = -EAGAIN, .after = WEFT_SEC(5)};
    weft_retry_opts o = plain(2);
    w->calls++;
    weft_retry_after(WEFT_SEC(3));
    weft_time start = weft_now();
    CHECK_EQ(weft_retry(do_work, &inner, &o), 0);
    CHECK_EQ(weft_now() - start, WEFT_SEC(5));
    weft_retry_after(WEFT_SEC(4)); /* of the outer one again */
    return w->calls > w->fails ? 0 : -EIO;
}

TEST(nested_retries_are_asked_each_for_its_own)
{
    struct work w = {.fails = 2};
    weft_retry_opts o = plain(3);
    weft_time start = weft_now();
    CHECK_EQ(weft_retry(retries_inside, &w, &o), 0);
    CHECK_EQ(weft_now() - start, WEFT_SEC(5 + 4 + 5 + 4 + 5));
}

static int asks_from_a_child(void *arg)
{
    (void)arg;
    weft_retry_after(WEFT_SEC(50));
    return 0;
}

static int has_a_child_ask(void *arg)
{
    CHECK_EQ(in_a_nursery(asks_from_a_child, NULL), 0);
    return do_work(arg);
}

TEST(another_fiber_cannot_ask_for_it)
{
    struct work w = {.fails = 1, .code = -EIO};
    weft_retry_opts o = plain(2);
    CHECK_EQ(weft_retry(has_a_child_ask, &w, &o), 0);
    CHECK_EQ(told.wait[0], WEFT_MSEC(100));
}

TEST(outside_of_a_retry_nobody_is_asked)
{
    struct work w = {.fails = 1, .code = -EIO};
    weft_retry_opts o = plain(2);
    weft_retry_after(WEFT_SEC(50));
    CHECK_EQ(weft_retry(do_work, &w, &o), 0);
    CHECK_EQ(told.wait[0], WEFT_MSEC(100));
    weft_retry_after(WEFT_SEC(50));
}

/* ---- with the rest of the fiber ----------------------------------------- */

static int deferred_calls;

static void count_deferred(void *arg)
{
    (void)arg;
    deferred_calls++;
}

static int defers_and_fails(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_defer(count_deferred, NULL), 0);
    return -EAGAIN;
}

static int retries_what_defers(void *arg)
{
    weft_retry_opts o = plain(3);
    (void)arg;
    CHECK_EQ(weft_retry(defers_and_fails, NULL, &o), -EAGAIN);
    CHECK_EQ(deferred_calls, 0);
    weft_retry_after(WEFT_SEC(1)); /* nothing is left hanging on the fiber */
    return 0;
}

TEST(what_an_attempt_defers_comes_at_the_end_of_the_fiber)
{
    CHECK_EQ(in_a_nursery(retries_what_defers, NULL), 0);
    CHECK_EQ(deferred_calls, 3);
}
