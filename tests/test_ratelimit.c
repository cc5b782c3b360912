/* SPDX-License-Identifier: MIT */
/*
 * test_ratelimit.c - what is let through, when exactly, and what is said about
 * it; and the line of those who wait.
 */
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/ratelimit.h>
#include <weft/scope.h>
#include <weft/task.h>
#include <weft/testing.h>
#include <weft/time.h>

#include <errno.h>
#include <string.h>

#include "chance.h"
#include "harness.h"
#include "open.h"
#include "reactor/reactor.h"
#include "reactor/timer.h"

static const weft_rate_kind kinds[] = {WEFT_TOKEN_BUCKET, WEFT_SLIDING_WINDOW};

static void sleep_for(weft_time ns)
{
    if (ns > 0) CHECK_EQ(weft_sleep(ns), 0);
}

static weft_ratelimit_info ask(weft_ratelimit *r)
{
    weft_ratelimit_info info;
    int err = weft_ratelimit_check(r, 0, &info);
    CHECK(err == 0 || err == -EAGAIN);
    return info;
}

/* ---- the plain case ----------------------------------------------------- */

TEST(pattern_106_a_bucket_lets_the_limit_through_and_then_one_by_one)
{
    weft_ratelimit r;
    weft_ratelimit_info info;
    weft_ratelimit_init(&r, WEFT_TOKEN_BUCKET, 5, WEFT_SEC(10));
    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQ(weft_ratelimit_check(&r, 1, &info), 0);
        CHECK(info.allowed);
        CHECK_EQ(info.limit, 5);
        CHECK_EQ(info.remaining, 4 - i);
        CHECK_EQ(info.retry_after, 0);
        CHECK_EQ(info.reset_at, weft_now() + WEFT_SEC(2) * (i + 1));
    }
    CHECK_EQ(weft_ratelimit_check(&r, 1, &info), -EAGAIN);
    CHECK(!info.allowed);
    CHECK_EQ(info.remaining, 0);
    CHECK_EQ(info.retry_after, WEFT_SEC(2));
    CHECK_EQ(info.reset_at, weft_now() + WEFT_SEC(10));
    sleep_for(WEFT_SEC(2) - 1);
    CHECK_EQ(weft_ratelimit_check(&r, 1, NULL), -EAGAIN);
    sleep_for(1);
    CHECK_EQ(weft_ratelimit_check(&r, 1, NULL), 0);
    CHECK_EQ(weft_ratelimit_check(&r, 1, NULL), -EAGAIN);
}

TEST(pattern_106_a_window_lets_the_limit_through_in_any_stretch)
{
    weft_ratelimit r;
    weft_ratelimit_info info;
    weft_ratelimit_init(&r, WEFT_SLIDING_WINDOW, 3, WEFT_SEC(16));
    CHECK_EQ(weft_now() % WEFT_SEC(1), 0); /* a part begins now */
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(weft_ratelimit_check(&r, 1, &info), 0);
        CHECK_EQ(info.remaining, 2 - i);
        CHECK_EQ(info.reset_at, weft_now() + WEFT_SEC(17));
        sleep_for(WEFT_SEC(4));
    }
    CHECK_EQ(weft_ratelimit_check(&r, 1, &info), -EAGAIN);
    CHECK_EQ(info.retry_after, WEFT_SEC(17 - 12));
    CHECK_EQ(info.reset_at, weft_now() + WEFT_SEC(17 - 4));
    CHECK_EQ(weft_ratelimit_check(&r, 3, &info), -EAGAIN);
    CHECK_EQ(info.retry_after, WEFT_SEC(17 - 4));
    sleep_for(WEFT_SEC(5) - 1);
    CHECK_EQ(weft_ratelimit_check(&r, 1, NULL), -EAGAIN);
    sleep_for(1);
    CHECK_EQ(weft_ratelimit_check(&r, 1, NULL), 0);
}

TEST(pattern_106_what_is_refused_does_not_count)
{
    for (int k = 0; k < 2; k++) {
        weft_ratelimit r;
        weft_ratelimit_info before, after;
        weft_ratelimit_init(&r, kinds[k], 4, WEFT_SEC(4));
        CHECK_EQ(weft_ratelimit_check(&r, 3, &before), 0);
        for (int i = 0; i < 100; i++)
            CHECK_EQ(weft_ratelimit_check(&r, 2, NULL), -EAGAIN);
        after = ask(&r);
        CHECK_EQ(after.remaining, 1);
        CHECK_EQ(after.reset_at, before.reset_at);
        CHECK_EQ(weft_ratelimit_check(&r, 1, NULL), 0);
    }
}

TEST(pattern_106_a_limit_of_none_refuses_everything)
{
    for (int k = 0; k < 2; k++) {
        weft_ratelimit r;
        weft_ratelimit_info info;
        weft_ratelimit_init(&r, kinds[k], 0, WEFT_SEC(1));
        for (uint32_t cost = 0; cost < 3; cost++) {
            CHECK_EQ(weft_ratelimit_check(&r, cost, &info), -EINVAL);
            CHECK(!info.allowed);
            CHECK_EQ(info.limit, 0);
            CHECK_EQ(info.remaining, 0);
            CHECK_EQ(info.reset_at, weft_now());
            CHECK_EQ(info.retry_after, WEFT_FOREVER);
            CHECK_EQ(weft_ratelimit_wait(&r, cost), -EINVAL);
        }
    }
}

TEST(what_costs_more_than_the_limit_is_never_allowed)
{
    for (int k = 0; k < 2; k++) {
        weft_ratelimit r;
        weft_ratelimit_info info;
        weft_ratelimit_init(&r, kinds[k], 4, WEFT_SEC(1));
        CHECK_EQ(weft_ratelimit_check(&r, 5, &info), -EINVAL);
        CHECK_EQ(info.retry_after, WEFT_FOREVER);
        CHECK_EQ(info.remaining, 4);
        CHECK_EQ(info.reset_at, weft_now());
        CHECK_EQ(weft_ratelimit_wait(&r, UINT32_MAX), -EINVAL);
        CHECK_EQ(weft_ratelimit_check(&r, 4, NULL), 0);
    }
}

TEST(a_cost_of_nothing_only_asks)
{
    for (int k = 0; k < 2; k++) {
        weft_ratelimit r;
        weft_ratelimit_init(&r, kinds[k], 2, WEFT_SEC(1));
        for (int i = 0; i < 10; i++)
            CHECK_EQ(ask(&r).remaining, 2);
        CHECK_EQ(weft_ratelimit_check(&r, 2, NULL), 0);
        CHECK_EQ(ask(&r).remaining, 0);
        CHECK_EQ(ask(&r).retry_after, 0);
        CHECK_EQ(weft_ratelimit_wait(&r, 0), 0);
    }
}

TEST(a_window_of_nothing_is_a_nanosecond)
{
    for (int k = 0; k < 2; k++) {
        weft_ratelimit r;
        weft_ratelimit_init(&r, kinds[k], 3, INT64_MIN);
        for (int i = 0; i < 5; i++) {
            CHECK_EQ(weft_ratelimit_check(&r, 3, NULL), 0);
            CHECK_EQ(weft_ratelimit_check(&r, 1, NULL), -EAGAIN);
            sleep_for(17);
        }
    }
}

TEST(a_window_for_ever_lets_the_limit_through_once)
{
    for (int k = 0; k < 2; k++) {
        weft_ratelimit r;
        weft_ratelimit_info info;
        weft_ratelimit_init(&r, kinds[k], 3, WEFT_FOREVER);
        CHECK_EQ(weft_ratelimit_check(&r, 3, NULL), 0);
        sleep_for(WEFT_SEC(31557600LL * 20));
        CHECK_EQ(weft_ratelimit_check(&r, 3, &info), -EAGAIN);
        CHECK(info.retry_after > WEFT_SEC(31557600LL * 52));
        CHECK(info.retry_after < WEFT_FOREVER);
    }
}

TEST(at_the_end_of_time_no_more_than_the_limit_goes_through)
{
    CHECK_EQ(weft_sleep_until(WEFT_FOREVER - 1000), 0);
    for (int k = 0; k < 2; k++) {
        weft_ratelimit r;
        weft_ratelimit_info info;
        weft_ratelimit_init(&r, kinds[k], 3, WEFT_SEC(1));
        for (int i = 0; i < 5; i++) {
            CHECK_EQ(weft_ratelimit_check(&r, 1, &info), i < 3 ? 0 : -EAGAIN);
            CHECK_EQ(info.remaining, i < 3 ? 2 - i : 0);
            CHECK_EQ(info.reset_at, WEFT_FOREVER);
            CHECK_EQ(info.retry_after, i < 3 ? 0 : WEFT_FOREVER);
        }
    }
}

TEST_PLAIN(it_may_be_asked_outside_a_fiber)
{
    weft_ratelimit r;
    weft_ratelimit_init(&r, WEFT_TOKEN_BUCKET, 2, WEFT_SEC(3600));
    CHECK_EQ(weft_ratelimit_check(&r, 2, NULL), 0);
    CHECK_EQ(weft_ratelimit_check(&r, 1, NULL), -EAGAIN);
    CHECK_EQ(weft_ratelimit_wait(&r, 1), -EPERM);
}

static weft_ratelimit made_before;

__attribute__((constructor)) static void make_before(void)
{
    weft_ratelimit_init(&made_before, WEFT_TOKEN_BUCKET, 2, WEFT_SEC(1));
}

TEST(one_made_before_the_run_is_full_when_that_begins)
{
    CHECK_EQ(ask(&made_before).remaining, 2);
    CHECK_EQ(weft_ratelimit_check(&made_before, 2, NULL), 0);
    sleep_for(WEFT_MSEC(500));
    CHECK_EQ(weft_ratelimit_check(&made_before, 1, NULL), 0);
}

/* ---- exactness ---------------------------------------------------------- */

TEST(a_bucket_does_not_drift)
{
    static const struct {
        uint32_t limit;
        weft_time window;
    } rates[] = {{3, WEFT_SEC(1)}, {7, 1000000001}, {1, 7},    {9, 4},
                 {1000, 999},      {7, 7},          {64, 1000}};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        weft_time limit = rates[i].limit, window = rates[i].window;
        weft_ratelimit r;
        weft_ratelimit_init(&r, WEFT_TOKEN_BUCKET, rates[i].limit, window);
        CHECK_EQ(weft_ratelimit_wait(&r, rates[i].limit), 0);
        weft_time start = weft_now();
        for (weft_time n = 1; n <= 5000; n++) {
            CHECK_EQ(weft_ratelimit_wait(&r, 1), 0);
            CHECK_EQ(weft_now() - start, (n * window + limit - 1) / limit);
        }
    }
}

/* All of 4294967295 a day are taken; so many are back after t. */
TEST(the_largest_bucket_is_exact_to_the_token)
{
    static const struct {
        weft_time t;
        uint32_t back;
    } facts[] = {
        {1, 0u},
        {20116, 0u},
        {20117, 1u},
        {1000000000, 49710u},
        {3600000000000, 178956970u},
        {43200000000000, 2147483647u},
        {86399999999999, 4294967294u},
        {86399999979883, 4294967293u},
        {86399999979884, 4294967294u},
        {35951551609925, 1787161323u},
        {50460461744281, 2508403158u},
        {74598953352608, 3708334084u},
        {35050984821620, 1742393905u},
        {7299936760405, 362881824u},
        {22075706272315, 1097389310u},
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        weft_ratelimit r;
        weft_ratelimit_info info;
        weft_ratelimit_init(&r, WEFT_TOKEN_BUCKET, UINT32_MAX, WEFT_SEC(86400));
        CHECK_EQ(weft_ratelimit_check(&r, UINT32_MAX, &info), 0);
        CHECK_EQ(info.reset_at, weft_now() + WEFT_SEC(86400));
        sleep_for(facts[i].t);
        CHECK_EQ(ask(&r).remaining, facts[i].back);
        CHECK_EQ(weft_ratelimit_check(&r, facts[i].back + 1, NULL), -EAGAIN);
        CHECK_EQ(weft_ratelimit_check(&r, facts[i].back, &info), 0);
        CHECK_EQ(info.remaining, 0);
    }
}

TEST(the_largest_window_counts_all)
{
    weft_ratelimit r;
    weft_ratelimit_info info;
    weft_ratelimit_init(&r, WEFT_SLIDING_WINDOW, UINT32_MAX, WEFT_SEC(86400));
    weft_time part = WEFT_SEC(5400), begun = weft_now() / part * part;
    for (int i = 0; i < 15; i++) {
        CHECK_EQ(weft_ratelimit_check(&r, 1u << 28, &info), 0);
        if (i == 14) break;
        sleep_for(part);
    }
    CHECK_EQ(info.remaining, (1u << 28) - 1);
    CHECK_EQ(weft_ratelimit_check(&r, 1u << 28, &info), -EAGAIN);
    CHECK_EQ(weft_now() + info.retry_after, begun + 17 * part);
    CHECK_EQ(weft_ratelimit_check(&r, (1u << 28) - 1, NULL), 0);
    CHECK_EQ(weft_ratelimit_check(&r, UINT32_MAX, &info), -EAGAIN);
    CHECK_EQ(weft_now() + info.retry_after, begun + (17 + 14) * part);
}

/* ---- that what is said is true ------------------------------------------ */

/* Some use of a limiter, and then every field is tried. */
static void use_at_random(weft_ratelimit *r, uint32_t limit, weft_time window)
{
    int uses = (int)random_below(20);
    for (int i = 0; i < uses; i++) {
        (void)weft_ratelimit_check(r, (uint32_t)random_below(limit) + 1, NULL);
        sleep_for(random_below(window / 4 + 2));
    }
}

static void pick_rate(weft_ratelimit *r, weft_rate_kind kind, uint32_t *limit,
                      weft_time *window)
{
    *limit = (uint32_t)random_below(random_below(2) ? 5 : 3000000000) + 1;
    *window = random_below(random_below(2) ? 100 : WEFT_SEC(100000)) + 1;
    weft_ratelimit_init(r, kind, *limit, *window);
}

TEST(pattern_107_remaining_is_what_would_be_allowed_now)
{
    random_begin(test_seed());
    for (int i = 0; i < 600; i++) {
        weft_ratelimit r;
        uint32_t limit;
        weft_time window;
        weft_ratelimit_info info;
        pick_rate(&r, kinds[i % 2], &limit, &window);
        use_at_random(&r, limit, window);
        uint32_t there = ask(&r).remaining;
        CHECK(there <= limit);
        if (there < limit) {
            CHECK_EQ(weft_ratelimit_check(&r, there + 1, &info), -EAGAIN);
            CHECK_EQ(info.remaining, there);
        }
        CHECK_EQ(weft_ratelimit_check(&r, there, &info), 0);
        CHECK_EQ(info.remaining, 0);
    }
}

TEST(pattern_107_retry_after_is_the_moment_and_not_one_before)
{
    random_begin(test_seed());
    int tried = 0;
    for (int i = 0; i < 600; i++) {
        weft_ratelimit r;
        uint32_t limit;
        weft_time window;
        weft_ratelimit_info info;
        pick_rate(&r, kinds[i % 2], &limit, &window);
        use_at_random(&r, limit, window);
        uint32_t cost = (uint32_t)random_below(limit) + 1;
        while (weft_ratelimit_check(&r, cost, &info) == 0)
            continue;
        CHECK(info.retry_after > 0);
        sleep_for(info.retry_after - 1);
        CHECK_EQ(weft_ratelimit_check(&r, cost, &info), -EAGAIN);
        CHECK_EQ(info.retry_after, 1);
        sleep_for(1);
        CHECK_EQ(weft_ratelimit_check(&r, cost, &info), 0);
        CHECK_EQ(info.retry_after, 0);
        tried++;
    }
    CHECK_EQ(tried, 600);
}

TEST(pattern_107_reset_at_is_when_all_is_there_and_not_before)
{
    random_begin(test_seed());
    for (int i = 0; i < 600; i++) {
        weft_ratelimit r;
        uint32_t limit;
        weft_time window;
        pick_rate(&r, kinds[i % 2], &limit, &window);
        CHECK_EQ(ask(&r).reset_at, weft_now());
        use_at_random(&r, limit, window);
        weft_ratelimit_info info = ask(&r);
        CHECK_EQ(info.reset_at == weft_now(), info.remaining == limit);
        if (info.remaining == limit) continue;
        CHECK_EQ(weft_sleep_until(info.reset_at - 1), 0);
        CHECK(ask(&r).remaining < limit);
        CHECK_EQ(ask(&r).reset_at, weft_now() + 1);
        sleep_for(1);
        CHECK_EQ(ask(&r).remaining, limit);
        CHECK_EQ(ask(&r).reset_at, weft_now());
    }
}

/* ---- slow models -------------------------------------------------------- */

enum { LOG = 6000, FIBERS = 10, WAITING = 99 };

/* What has been let through, for ever. */
static struct entry {
    weft_time at;
    uint32_t cost;
} entries[LOG];
static int logged;

static weft_rate_kind kind;
static int64_t limit, window;

/* A token is `window` units, and a nanosecond brings `limit` of them. */
static int64_t level;
static weft_time level_at;

static void model_begin(weft_ratelimit *r)
{
    logged = 0;
    level = limit * window;
    level_at = weft_now();
    weft_ratelimit_init(r, kind, (uint32_t)limit, window);
}

static int64_t model_level(weft_time at)
{
    if (at - level_at >= window) return limit * window;
    int64_t l = level + (at - level_at) * limit;
    return l < limit * window ? l : limit * window;
}

/* Does it still count at that moment, in parts of a sixteenth? */
static bool counts(const struct entry *e, weft_time at)
{
    weft_time part = (window + 15) / 16;
    return at / part - e->at / part <= 16;
}

static int64_t model_holds(weft_time at)
{
    if (kind == WEFT_TOKEN_BUCKET) return model_level(at) / window;
    int64_t used = 0;
    for (int i = logged - 1; i >= 0 && counts(&entries[i], at); i--)
        used += entries[i].cost;
    return limit - used;
}

static void model_count(uint32_t cost, weft_time at)
{
    CHECK(logged < LOG);
    CHECK(model_holds(at) >= cost);
    level = model_level(at) - (int64_t)cost * window;
    level_at = at;
    entries[logged++] = (struct entry){at, cost};
}

/* The first moment, looked for one by one or by halves: it only gets more. */
static weft_time model_when(uint32_t cost, weft_time from)
{
    weft_time no = from - 1, yes = from + 2 * window + 64;
    CHECK(model_holds(yes) >= cost);
    while (yes - no > 1) {
        weft_time half = no + (yes - no) / 2;
        *(model_holds(half) >= cost ? &yes : &no) = half;
    }
    return yes;
}

static void pick_model(weft_ratelimit *r, int i)
{
    kind = kinds[i % 2];
    limit = random_below(random_below(2) ? 6 : 60000) + 1;
    window = random_below(random_below(2) ? 60 : WEFT_SEC(5000)) + 1;
    model_begin(r);
}

TEST(checks_agree_with_a_log_of_all_that_was_let_through)
{
    weft_ratelimit r;
    random_begin(test_seed());
    for (int i = 0; i < 40; i++) {
        pick_model(&r, i);
        for (int k = 0; k < 120; k++) {
            uint32_t cost = (uint32_t)random_below(limit) + 1;
            weft_ratelimit_info info;
            weft_time now = weft_now(), when = model_when(cost, now);
            CHECK_EQ(weft_ratelimit_check(&r, cost, &info),
                     when == now ? 0 : -EAGAIN);
            if (when == now) model_count(cost, now);
            CHECK_EQ(info.allowed, when == now);
            CHECK_EQ(info.retry_after, when - now);
            CHECK_EQ(info.remaining, model_holds(now));
            CHECK_EQ(info.reset_at, model_when((uint32_t)limit, now));
            if (random_below(3)) sleep_for(random_below(window / 3 + 2));
        }
    }
}

TEST(no_stretch_of_the_window_ever_has_too_many)
{
    weft_ratelimit r;
    random_begin(test_seed());
    for (int i = 0; i < 40; i++) {
        pick_model(&r, 1);
        for (int k = 0; k < 300; k++) {
            uint32_t cost = (uint32_t)random_below(limit) / 3 + 1;
            if (weft_ratelimit_check(&r, cost, NULL) == 0) {
                entries[logged++] = (struct entry){weft_now(), cost};
                int64_t sum = 0;
                for (int e = logged - 1; e >= 0; e--)
                    if (entries[e].at + window >= weft_now())
                        sum += entries[e].cost;
                CHECK(sum <= limit);
            } else {
                /* Only what is at most a part too old may have refused it. */
                int64_t sum = 0;
                weft_time part = (window + 15) / 16;
                for (int e = logged - 1; e >= 0; e--)
                    if (entries[e].at + 17 * part > weft_now())
                        sum += entries[e].cost;
                CHECK(sum + cost > limit);
            }
            sleep_for(random_below(window / 6 + 2));
        }
    }
}

/* ---- the line ----------------------------------------------------------- */

struct actor {
    weft_ratelimit *r;
    weft_scope scope;
    uint32_t cost;
    int result; /* WAITING while it waits */
    weft_time at;
    int next; /* the cancel point after it */
};

static int waits(void *arg)
{
    struct actor *a = arg;
    CHECK_EQ(weft_scope_begin(&a->scope), 0);
    a->result = weft_ratelimit_wait(a->r, a->cost);
    a->at = weft_now();
    a->next = weft_checkpoint();
    return weft_scope_end(&a->scope, 0);
}

static void start(weft_nursery *n, weft_ratelimit *r, struct actor *a,
                  uint32_t cost)
{
    *a = (struct actor){.r = r, .cost = cost, .result = WAITING};
    weft_scope_init(&a->scope);
    CHECK_EQ(weft_spawn(n, waits, a), 0);
    CHECK_EQ(weft_test_settle(), 0); /* it is in line now */
}

TEST(pattern_109_who_waits_goes_through_in_line_at_the_rate)
{
    for (int k = 0; k < 2; k++) {
        weft_ratelimit r;
        weft_nursery n;
        struct actor a[6];
        weft_ratelimit_init(&r, kinds[k], 2, WEFT_SEC(16));
        weft_time begun = weft_now();
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        for (int i = 0; i < 6; i++)
            start(&n, &r, &a[i], 1);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        for (int i = 0; i < 6; i++) {
            weft_time at = k == 0 ? (i < 2 ? 0 : WEFT_SEC(8) * (i - 1))
                                  : WEFT_SEC(17) * (i / 2);
            CHECK_EQ(a[i].result, 0);
            CHECK_EQ(a[i].at - begun, at);
        }
        sleep_for(WEFT_SEC(20)); /* a part begins now again */
        sleep_for(WEFT_SEC(1) - weft_now() % WEFT_SEC(1));
    }
}

TEST(nobody_passes_the_line_for_less)
{
    for (int k = 0; k < 2; k++) {
        weft_ratelimit r;
        weft_ratelimit_info info;
        weft_nursery n;
        struct actor greedy, modest;
        weft_ratelimit_init(&r, kinds[k], 4, WEFT_SEC(16));
        CHECK_EQ(weft_ratelimit_check(&r, 3, NULL), 0);
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        start(&n, &r, &greedy, 4);
        start(&n, &r, &modest, 1);
        CHECK_EQ(weft_ratelimit_check(&r, 1, &info), -EAGAIN);
        CHECK_EQ(info.remaining, 0);
        CHECK_EQ(weft_ratelimit_check(&r, 0, NULL), -EAGAIN);
        CHECK_EQ(modest.result, WAITING);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        CHECK(greedy.at < modest.at);
    }
}

TEST(only_the_first_in_line_has_a_timer)
{
    weft_ratelimit r;
    weft_nursery n;
    struct actor a[8];
    weft_ratelimit_init(&r, WEFT_TOKEN_BUCKET, 1, WEFT_SEC(1));
    CHECK_EQ(weft_ratelimit_check(&r, 1, NULL), 0);
    size_t before = wf_wheel_count(wf_reactor_wheel());
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 8; i++) {
        start(&n, &r, &a[i], 1);
        CHECK_EQ(wf_wheel_count(wf_reactor_wheel()), before + 1);
    }
    weft_scope_cancel(&a[0].scope, 0, NULL);
    weft_scope_cancel(&a[4].scope, 0, NULL);
    CHECK_EQ(weft_test_settle(), 0);
    CHECK_EQ(wf_wheel_count(wf_reactor_wheel()), before + 1);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(wf_wheel_count(wf_reactor_wheel()), before);
}

TEST(what_is_cancelled_is_not_counted)
{
    for (int k = 0; k < 2; k++) {
        weft_ratelimit r;
        weft_nursery n;
        struct actor a;
        weft_ratelimit_init(&r, kinds[k], 4, WEFT_SEC(16));
        CHECK_EQ(weft_ratelimit_check(&r, 2, NULL), 0);
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        start(&n, &r, &a, 4);
        CHECK_EQ(ask(&r).remaining, 0);
        weft_scope_cancel(&a.scope, 0, NULL);
        CHECK_EQ(ask(&r).remaining, 2); /* before it has run */
        CHECK_EQ(weft_ratelimit_check(&r, 2, NULL), 0);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        CHECK_EQ(a.result, -ECANCELED);
    }
}

TEST(when_the_first_leaves_the_next_goes_through_at_once_if_it_may)
{
    for (int k = 0; k < 2; k++) {
        weft_ratelimit r;
        weft_nursery n;
        struct actor a[4];
        weft_time now = weft_now();
        weft_ratelimit_init(&r, kinds[k], 4, WEFT_SEC(16));
        CHECK_EQ(weft_ratelimit_check(&r, 1, NULL), 0);
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        start(&n, &r, &a[0], 4);
        start(&n, &r, &a[1], 2);
        start(&n, &r, &a[2], 1);
        start(&n, &r, &a[3], 1);
        weft_scope_cancel(&a[0].scope, 0, NULL);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK_EQ(a[0].result, -ECANCELED);
        CHECK_EQ(a[1].result, 0);
        CHECK_EQ(a[2].result, 0);
        CHECK_EQ(a[1].at, now);
        CHECK_EQ(a[2].at, now);
        CHECK_EQ(a[3].result, WAITING);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        CHECK_EQ(a[3].result, 0);
        CHECK(a[3].at > now);
    }
}

TEST(in_a_cancelled_scope_nothing_is_counted)
{
    weft_ratelimit r;
    weft_scope s;
    weft_ratelimit_init(&r, WEFT_TOKEN_BUCKET, 4, WEFT_SEC(16));
    open_cancelled_scope(&s);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(weft_ratelimit_wait(&r, 1), -ECANCELED);
    CHECK_EQ(weft_ratelimit_wait(&r, 9), -ECANCELED);
    CHECK_EQ(weft_ratelimit_check(&r, 1, NULL), 0); /* no cancel point */
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), 0);
    CHECK_EQ(ask(&r).remaining, 3);
}

static weft_event event;

static int waits_for_something_else_then(void *arg)
{
    int err = waits(arg);
    return err < 0 ? err : weft_event_wait(&event);
}

TEST(nothing_is_left_of_a_turn_that_was_given_up)
{
    weft_ratelimit r;
    weft_nursery n;
    struct actor a = {.r = &r, .cost = 1};
    weft_task task;
    const weft_spawn_opts o = {.task = &task};
    weft_ratelimit_init(&r, WEFT_TOKEN_BUCKET, 1, WEFT_SEC(5));
    CHECK_EQ(weft_ratelimit_check(&r, 1, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    size_t before = wf_wheel_count(wf_reactor_wheel());
    weft_scope_init(&a.scope);
    CHECK_EQ(weft_spawn_ex(&n, waits_for_something_else_then, &a, &o), 0);
    CHECK_EQ(weft_test_settle(), 0);
    weft_scope_cancel(&a.scope, 0, NULL);
    CHECK_EQ(weft_test_settle(), 0);
    CHECK_EQ(a.result, -ECANCELED);
    CHECK_EQ(wf_wheel_count(wf_reactor_wheel()), before);
    sleep_for(WEFT_SEC(10));
    CHECK(!weft_task_done(&task)); /* it was not woken when its turn came */
    weft_event_set(&event);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static weft_ratelimit_info seen;

static int asks_at_the_turn(void *arg)
{
    int err = weft_sleep(WEFT_SEC(1));
    if (err == 0) CHECK_EQ(weft_ratelimit_check(arg, 0, &seen), -EAGAIN);
    return err;
}

/* The first in line has its turn, but has not run yet. */
TEST_FIFO(who_is_refused_is_never_told_to_try_again_at_once)
{
    weft_ratelimit r;
    weft_nursery n;
    struct actor a;
    weft_ratelimit_init(&r, WEFT_TOKEN_BUCKET, 1, WEFT_SEC(1));
    CHECK_EQ(weft_ratelimit_check(&r, 1, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, asks_at_the_turn, &r), 0);
    CHECK_EQ(weft_yield(), 0);
    start(&n, &r, &a, 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK(!seen.allowed);
    CHECK_EQ(seen.remaining, 0);
    CHECK_EQ(seen.retry_after, 1);
    CHECK_EQ(seen.reset_at, a.at + WEFT_SEC(1));
}

TEST(a_turn_that_comes_with_the_deadline_is_had)
{
    weft_ratelimit r;
    int rc;
    weft_ratelimit_init(&r, WEFT_TOKEN_BUCKET, 1, WEFT_SEC(1));
    CHECK_EQ(weft_ratelimit_wait(&r, 1), 0);
    WEFT_FAIL_AFTER(rc, WEFT_SEC(1)) {
        rc = weft_ratelimit_wait(&r, 1);
        CHECK_EQ(rc, 0);
        CHECK_EQ(weft_checkpoint(), -ECANCELED);
    }
    CHECK_EQ(rc, 0);
    WEFT_FAIL_AFTER(rc, WEFT_SEC(1) - 1) {
        rc = weft_ratelimit_wait(&r, 1);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    sleep_for(1);
    CHECK_EQ(weft_ratelimit_check(&r, 1, NULL), 0);
}

/* They expire in one go, each while the next becomes the first. */
TEST(all_in_line_may_expire_at_the_same_moment)
{
    for (int k = 0; k < 2; k++) {
        weft_ratelimit r;
        weft_nursery n;
        struct actor a[9];
        weft_ratelimit_init(&r, kinds[k], 3, WEFT_SEC(100));
        CHECK_EQ(weft_ratelimit_check(&r, 3, NULL), 0);
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        weft_time end = weft_after(WEFT_SEC(2));
        for (int i = 0; i < 9; i++) {
            start(&n, &r, &a[i], 1);
            if (i % 3 != 2) weft_scope_set_deadline(&a[i].scope, end);
        }
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        for (int i = 0; i < 9; i++) {
            CHECK_EQ(a[i].result, i % 3 == 2 ? 0 : -ECANCELED);
            if (i % 3 != 2) CHECK_EQ(a[i].at, end);
            if (i % 3 == 2) CHECK(a[i].at > end);
        }
    }
}

/* Woken to be the first, and cancelled before it runs. */
TEST(the_next_may_be_cancelled_as_it_becomes_the_first)
{
    for (int k = 0; k < 2; k++) {
        weft_ratelimit r;
        weft_nursery n;
        struct actor a[3];
        weft_ratelimit_init(&r, kinds[k], 3, WEFT_SEC(100));
        CHECK_EQ(weft_ratelimit_check(&r, 3, NULL), 0);
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        for (int i = 0; i < 3; i++)
            start(&n, &r, &a[i], 1);
        weft_scope_cancel(&a[0].scope, 0, NULL);
        weft_scope_cancel(&a[1].scope, 0, NULL);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        CHECK_EQ(a[0].result, -ECANCELED);
        CHECK_EQ(a[1].result, -ECANCELED);
        CHECK_EQ(a[2].result, 0);
    }
}

static int cancels_at(void *arg)
{
    struct actor *a = arg;
    int err = weft_sleep_until(a->at);
    weft_scope_cancel(&a->scope, 0, NULL);
    return err;
}

/* In any order of the two: it has its turn, or has not and does not count. */
TEST(a_cancel_at_the_moment_of_the_turn_leaves_one_story)
{
    weft_ratelimit r;
    weft_nursery n;
    struct actor a;
    weft_ratelimit_init(&r, WEFT_TOKEN_BUCKET, 1, WEFT_SEC(1));
    CHECK_EQ(weft_ratelimit_check(&r, 1, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start(&n, &r, &a, 1);
    a.at = weft_after(WEFT_SEC(1));
    CHECK_EQ(weft_spawn(&n, cancels_at, &a), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(a.result, 0); /* both were due, and what is there comes first */
    CHECK_EQ(a.next == 0 || a.next == -ECANCELED, 1);
    CHECK_EQ(ask(&r).remaining, 0);
}

TEST(pattern_107_what_is_said_reckons_with_the_line)
{
    random_begin(test_seed());
    for (int i = 0; i < 200; i++) {
        weft_ratelimit r;
        weft_ratelimit_info info;
        weft_nursery n;
        struct actor a[4];
        uint32_t most = (uint32_t)random_below(50) + 1;
        weft_time stretch = random_below(WEFT_SEC(100)) + 1;
        weft_ratelimit_init(&r, kinds[i % 2], most, stretch);
        use_at_random(&r, most, stretch);
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        for (int k = 0; k < 4; k++)
            start(&n, &r, &a[k], (uint32_t)random_below(most) + 1);
        uint32_t cost = (uint32_t)random_below(most) + 1;
        while (weft_ratelimit_check(&r, cost, &info) == 0)
            continue;
        weft_time then = weft_now() + info.retry_after;
        CHECK_EQ(weft_sleep_until(then - 1), 0);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK_EQ(weft_ratelimit_check(&r, cost, NULL), -EAGAIN);
        weft_time reset = ask(&r).reset_at;
        sleep_for(1);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK_EQ(ask(&r).reset_at, reset); /* all have gone through by now */
        CHECK_EQ(weft_ratelimit_check(&r, cost, &info), 0);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        CHECK_EQ(weft_sleep_until(info.reset_at), 0);
        CHECK_EQ(ask(&r).remaining, most);
    }
}

TEST(a_line_may_reach_beyond_the_end_of_time)
{
    for (int k = 0; k < 2; k++) {
        weft_ratelimit r;
        weft_ratelimit_info info;
        weft_nursery n;
        struct actor a[12];
        weft_ratelimit_init(&r, kinds[k], 1, WEFT_FOREVER);
        CHECK_EQ(weft_ratelimit_check(&r, 1, NULL), 0);
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        for (int i = 0; i < 12; i++) { /* 73 years each, of some 292 */
            start(&n, &r, &a[i], 1);
            CHECK_EQ(weft_ratelimit_check(&r, 1, &info), -EAGAIN);
            CHECK_EQ(info.retry_after == WEFT_FOREVER, i >= 2);
            CHECK(info.retry_after > WEFT_SEC(31557600LL * 72));
            CHECK_EQ(info.reset_at == WEFT_FOREVER, i >= 2);
        }
        weft_nursery_cancel(&n, 0, NULL);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
    }
}

/* ---- the line against the model ----------------------------------------- */

static struct actor actors[FIBERS];
static int expected[FIBERS];
static weft_time expected_at[FIBERS];
static int line[FIBERS], waiting;
static weft_time front_since; /* when the first became that */

static void model_leaves(int at)
{
    if (at == 0) front_since = weft_now();
    waiting--;
    memmove(&line[at], &line[at + 1], sizeof *line * (size_t)(waiting - at));
}

/* All that has happened by now. */
static void model_goes_on(void)
{
    while (waiting > 0) {
        int who = line[0];
        weft_time when = model_when(actors[who].cost, front_since);
        if (when > weft_now()) return;
        model_count(actors[who].cost, when);
        expected[who] = 0;
        expected_at[who] = when;
        model_leaves(0);
        front_since = when;
    }
}

static void compare(void)
{
    CHECK_EQ(weft_test_settle(), 0);
    model_goes_on();
    for (int i = 0; i < FIBERS; i++) {
        CHECK_EQ(actors[i].result, expected[i]);
        if (expected[i] == 0) CHECK_EQ(actors[i].at, expected_at[i]);
    }
}

static int idle_actor(void)
{
    for (int i = 0; i < FIBERS; i++)
        if (actors[i].result != WAITING) return i;
    return -1;
}

static void one_step(weft_nursery *n, weft_ratelimit *r)
{
    int who = idle_actor(), at;
    uint32_t cost = (uint32_t)random_below(limit) + 1;
    weft_time when;
    switch (random_below(6)) {
    case 0:
    case 1:
        if (who < 0) break;
        expected[who] = WAITING;
        start(n, r, &actors[who], cost);
        if (waiting == 0) front_since = weft_now();
        line[waiting++] = who;
        break;
    case 2:
        when = model_when(cost, weft_now());
        at = weft_ratelimit_check(r, cost, NULL);
        CHECK_EQ(at, waiting == 0 && when == weft_now() ? 0 : -EAGAIN);
        if (at == 0) model_count(cost, weft_now());
        break;
    case 3:
        if (waiting == 0) break;
        at = (int)random_below(waiting);
        expected[line[at]] = -ECANCELED;
        if (random_below(2))
            weft_scope_cancel(&actors[line[at]].scope, 0, NULL);
        else
            weft_scope_set_deadline(&actors[line[at]].scope, weft_now());
        model_leaves(at);
        break;
    default:
        sleep_for(random_below(window / 2 + 2));
    }
    compare();
}

TEST(the_line_agrees_with_the_model_under_random_use)
{
    weft_ratelimit r;
    random_begin(test_seed());
    for (int i = 0; i < 30; i++) {
        weft_nursery n;
        pick_model(&r, i);
        waiting = 0;
        for (int k = 0; k < FIBERS; k++) {
            actors[k].result = expected[k] = -1;
        }
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        for (int k = 0; k < 150; k++)
            one_step(&n, &r);
        weft_nursery_cancel(&n, 0, NULL);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        CHECK_EQ(ask(&r).remaining, model_holds(weft_now()));
    }
}
