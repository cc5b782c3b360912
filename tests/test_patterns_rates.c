/* SPDX-License-Identifier: MIT */
/*
 * test_patterns_rates.c - how often, how many and how long: the rows 88, 97,
 * 98, 106, 107 and 109 of docs/PATTERNS.md, each by its number.
 */
#include <weft.h>

#include "harness.h"

/* ---- periods ------------------------------------------------------------ */

TEST(pattern_88_the_work_does_not_add_to_the_period)
{
    weft_ticker t;
    weft_time start = weft_now();
    CHECK_EQ(weft_ticker_init(&t, WEFT_SEC(1), WEFT_TICK_SKIP), 0);
    for (int i = 1; i <= 30; i++) {
        CHECK_EQ(weft_ticker_wait(&t), 1);
        CHECK_EQ(weft_now() - start, WEFT_SEC(i));
        CHECK_EQ(weft_sleep(WEFT_MSEC(700)), 0);
    }
}

TEST(pattern_88_missed_seconds_are_left_out_or_made_up_for)
{
    for (int burst = 0; burst < 2; burst++) {
        weft_ticker t;
        weft_time start = weft_now();
        CHECK_EQ(weft_ticker_init(&t, WEFT_SEC(1),
                                  burst ? WEFT_TICK_BURST : WEFT_TICK_SKIP),
                 0);
        CHECK_EQ(weft_sleep(WEFT_MSEC(3500)), 0);
        if (burst) {
            for (int i = 0; i < 3; i++)
                CHECK_EQ(weft_ticker_wait(&t), 1);
        } else {
            CHECK_EQ(weft_ticker_wait(&t), 3);
        }
        CHECK_EQ(weft_now() - start, WEFT_MSEC(3500));
        CHECK_EQ(weft_ticker_wait(&t), 1);
        CHECK_EQ(weft_now() - start, WEFT_SEC(4));
    }
}

/* ---- again -------------------------------------------------------------- */

/* A service that fails so often, and with what. */
struct service {
    int fails, code;
    weft_time come_back;
    int calls;
};

static int ask(void *arg)
{
    struct service *s = arg;
    if (++s->calls > s->fails) return 0;
    if (s->come_back) weft_retry_after(s->come_back);
    return weft_fail(s->code, "call %d", s->calls);
}

static weft_time longest, waited;

static void note_wait(int code, unsigned attempt, weft_time wait, void *user)
{
    (void)code;
    (void)attempt;
    (void)user;
    if (wait > longest) longest = wait;
    waited += wait;
}

static int ask_again(struct service *s, unsigned attempts)
{
    const weft_retry_opts o = {.attempts = attempts,
                               .base = WEFT_SEC(1),
                               .cap = WEFT_SEC(10),
                               .before_wait = note_wait};
    weft_time start = weft_now();
    int rc = weft_retry(ask, s, &o);
    CHECK_EQ(weft_now() - start, waited);
    return rc;
}

TEST(pattern_97_three_attempts_are_three_calls)
{
    struct service s = {.fails = 2, .code = -ECONNRESET};
    CHECK_EQ(ask_again(&s, 3), 0);
    CHECK_EQ(s.calls, 3);
}

TEST(pattern_97_what_comes_out_is_the_real_last_failure)
{
    struct service s = {.fails = 9, .code = -ECONNREFUSED};
    CHECK_EQ(ask_again(&s, 3), -ECONNREFUSED);
    CHECK_EQ(weft_last_error()->code, -ECONNREFUSED);
    CHECK_STR(weft_last_error()->msg, "call 3");
}

TEST(pattern_97_waits_are_drawn_below_a_cap)
{
    struct service s = {.fails = 99, .code = -ECONNREFUSED};
    CHECK_EQ(ask_again(&s, 60), -ECONNREFUSED);
    CHECK(longest > WEFT_SEC(5) && longest <= WEFT_SEC(10));
    CHECK(waited < 59 * WEFT_SEC(10)); /* so not all of them are the cap */
}

TEST(pattern_97_it_never_sleeps_past_the_deadline)
{
    const weft_retry_opts o = {
        .attempts = 9, .base = WEFT_SEC(1), .no_jitter = true};
    for (weft_time limit = 0; limit < WEFT_SEC(20); limit += WEFT_MSEC(300)) {
        struct service s = {.fails = 99, .code = -ECONNRESET};
        weft_time start = weft_now();
        int rc;
        WEFT_FAIL_AFTER(rc, limit) {
            rc = weft_retry(ask, &s, &o);
        }
        CHECK_EQ(rc, limit > 0 ? -ECONNRESET : -ETIMEDOUT);
        CHECK(weft_now() - start <= (limit > 0 ? limit - 1 : 0));
    }
}

TEST(pattern_97_what_the_other_side_asks_for_is_waited)
{
    struct service s = {
        .fails = 1, .code = -ECONNRESET, .come_back = WEFT_SEC(30)};
    CHECK_EQ(ask_again(&s, 3), 0);
    CHECK(waited >= WEFT_SEC(30) && waited <= WEFT_SEC(31));
}

static int asks_for_ever(void *arg)
{
    struct service *s = arg;
    s->calls++;
    return weft_sleep(WEFT_FOREVER);
}

static bool always(int code, const weft_error *e, unsigned attempt, void *user)
{
    (void)e;
    (void)attempt;
    (void)user;
    CHECK(code != -ECANCELED); /* it is not even asked about that */
    return true;
}

TEST(pattern_97_a_cancellation_is_not_tried_again)
{
    const weft_retry_opts o = {.attempts = 9, .when = always};
    struct service s = {0};
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_SEC(1)) {
        rc = weft_retry(asks_for_ever, &s, &o);
        CHECK_EQ(rc, -ECANCELED);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(s.calls, 1);
}

static bool only_call_1(int code, const weft_error *e, unsigned attempt,
                        void *user)
{
    CHECK_EQ(code, -EPROTO);
    CHECK_EQ(e->code, -EPROTO);
    CHECK_EQ(attempt, ((struct service *)user)->calls);
    return attempt == 1;
}

TEST(pattern_98_a_predicate_says_what_is_worth_another_attempt)
{
    struct service s = {.fails = 9, .code = -EPROTO};
    const weft_retry_opts o = {.attempts = 9, .when = only_call_1, .user = &s};
    CHECK_EQ(weft_retry(ask, &s, &o), -EPROTO);
    CHECK_EQ(s.calls, 2);
}

TEST(pattern_98_without_one_it_is_what_passes_by_itself)
{
    static const int codes[] = {-ECONNREFUSED, -ECONNRESET, -ETIMEDOUT, -ENOENT,
                                -EACCES};
    for (int i = 0; i < 5; i++) {
        struct service s = {.fails = 1, .code = codes[i]};
        CHECK_EQ(weft_retry(ask, &s, NULL), i < 3 ? 0 : codes[i]);
        CHECK_EQ(s.calls, i < 3 ? 2 : 1);
        CHECK_EQ(weft_retry_transient(codes[i]), i < 3);
    }
}

/* ---- rates -------------------------------------------------------------- */

static const weft_rate_kind kinds[] = {WEFT_TOKEN_BUCKET, WEFT_SLIDING_WINDOW};

enum { KINDS = 2 };

static int allowed_of(weft_ratelimit *r, int count)
{
    int allowed = 0;
    for (int i = 0; i < count; i++) {
        int rc = weft_ratelimit_check(r, 1, NULL);
        CHECK(rc == 0 || rc == -EAGAIN);
        allowed += rc == 0;
    }
    return allowed;
}

TEST(pattern_106_what_is_refused_is_not_counted)
{
    for (int k = 0; k < KINDS; k++) {
        weft_ratelimit polite, pushy;
        weft_ratelimit_info info;
        weft_ratelimit_init(&polite, kinds[k], 5, WEFT_SEC(60));
        weft_ratelimit_init(&pushy, kinds[k], 5, WEFT_SEC(60));
        CHECK_EQ(allowed_of(&polite, 5), 5);
        CHECK_EQ(allowed_of(&pushy, 5), 5);
        CHECK_EQ(weft_ratelimit_check(&polite, 1, &info), -EAGAIN);
        for (weft_time step = info.retry_after / 10; info.retry_after > 0;) {
            weft_time sleep = step < info.retry_after ? step : info.retry_after;
            CHECK_EQ(allowed_of(&pushy, 50), 0);
            CHECK_EQ(weft_sleep(sleep), 0);
            info.retry_after -= sleep;
        }
        CHECK_EQ(weft_ratelimit_check(&pushy, 1, NULL), 0);
        CHECK_EQ(weft_ratelimit_check(&polite, 1, NULL), 0);
    }
}

TEST(pattern_106_those_of_one_moment_all_count)
{
    for (int k = 0; k < KINDS; k++) {
        weft_ratelimit r;
        weft_ratelimit_init(&r, kinds[k], 100, WEFT_SEC(1));
        weft_time start = weft_now();
        CHECK_EQ(allowed_of(&r, 300), 100);
        CHECK_EQ(weft_now(), start);
    }
}

TEST(pattern_106_a_limit_of_none_denies)
{
    for (int k = 0; k < KINDS; k++) {
        weft_ratelimit r;
        weft_ratelimit_info info;
        weft_ratelimit_init(&r, kinds[k], 0, WEFT_SEC(1));
        CHECK_EQ(weft_ratelimit_check(&r, 1, &info), -EINVAL);
        CHECK(!info.allowed);
        CHECK_EQ(info.limit, 0);
        CHECK_EQ(info.retry_after, WEFT_FOREVER);
        CHECK_EQ(weft_ratelimit_wait(&r, 1), -EINVAL); /* and not for ever */
    }
}

TEST(pattern_106_in_any_second_no_more_than_the_limit)
{
    weft_ratelimit r;
    weft_time times[64];
    size_t count = 0;
    weft_ratelimit_init(&r, WEFT_SLIDING_WINDOW, 4, WEFT_SEC(1));
    for (int i = 0; i < 400; i++) {
        if (weft_ratelimit_check(&r, 1, NULL) == 0) {
            CHECK(count < sizeof times / sizeof *times);
            times[count++] = weft_now();
        }
        CHECK_EQ(weft_sleep(WEFT_MSEC(23)), 0);
    }
    CHECK(count > 20);
    for (size_t i = 4; i < count; i++)
        CHECK(times[i] - times[i - 4] >= WEFT_SEC(1));
}

TEST(pattern_107_what_is_said_is_what_comes_true)
{
    for (int k = 0; k < KINDS; k++) {
        weft_ratelimit r;
        weft_ratelimit_info info;
        weft_ratelimit_init(&r, kinds[k], 3, WEFT_SEC(9));
        for (uint32_t left = 3; left-- > 0;) {
            CHECK_EQ(weft_ratelimit_check(&r, 1, &info), 0);
            CHECK(info.allowed);
            CHECK_EQ(info.limit, 3);
            CHECK_EQ(info.remaining, left);
            CHECK_EQ(info.retry_after, 0);
            CHECK_EQ(weft_sleep(WEFT_MSEC(900)), 0);
        }
        CHECK_EQ(weft_ratelimit_check(&r, 1, &info), -EAGAIN);
        CHECK(!info.allowed);
        CHECK_EQ(info.remaining, 0);

        weft_ratelimit copy = r;
        CHECK_EQ(weft_sleep(info.retry_after - 1), 0);
        CHECK_EQ(weft_ratelimit_check(&copy, 1, NULL), -EAGAIN);
        CHECK_EQ(weft_sleep(1), 0);
        CHECK_EQ(weft_ratelimit_check(&copy, 1, NULL), 0);

        weft_time reset_at = info.reset_at;
        CHECK_EQ(weft_sleep_until(reset_at - 1), 0);
        CHECK_EQ(weft_ratelimit_check(&r, 3, NULL), -EAGAIN);
        CHECK_EQ(weft_sleep(1), 0);
        CHECK_EQ(weft_ratelimit_check(&r, 3, NULL), 0);
    }
}

static int inside, most_inside;
static weft_time last_begun;

static int works(void)
{
    if (++inside > most_inside) most_inside = inside;
    last_begun = weft_now();
    int err = weft_sleep(WEFT_MSEC(10));
    inside--;
    return err;
}

static int works_in_a_slot(size_t i, void *slots)
{
    (void)i;
    int err = weft_limiter_acquire(slots, NULL);
    if (err < 0) return err;
    err = works();
    CHECK_EQ(weft_limiter_release(slots, NULL), 0);
    return err;
}

static int works_at_the_rate(size_t i, void *rate)
{
    (void)i;
    int err = weft_ratelimit_wait(rate, 1);
    return err < 0 ? err : works();
}

TEST(pattern_109_how_many_at_once_is_no_rate)
{
    weft_limiter slots;
    weft_limiter_init(&slots, 2);
    weft_time start = weft_now();
    CHECK_EQ(weft_map(40, works_in_a_slot, &slots, NULL, NULL), 0);
    CHECK_EQ(most_inside, 2);
    CHECK_EQ(last_begun - start, WEFT_MSEC(190)); /* forty in a fifth of one */
    weft_limiter_fini(&slots);
}

TEST(pattern_109_a_rate_is_kept_however_short_the_work)
{
    weft_ratelimit rate;
    weft_ratelimit_init(&rate, WEFT_TOKEN_BUCKET, 2, WEFT_SEC(1));
    weft_time start = weft_now();
    CHECK_EQ(weft_map(40, works_at_the_rate, &rate, NULL, NULL), 0);
    CHECK_EQ(last_begun - start, WEFT_SEC(19)); /* two, then two a second */
}
