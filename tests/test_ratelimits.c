/* SPDX-License-Identifier: MIT */
/*
 * test_ratelimits.c - a limit for each key: what is kept of whom, who is turned
 * away when there is no place, and who decides when a store cannot.
 */
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/ratelimits.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/testing.h>
#include <weft/time.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "burn.h"
#include "cancel_points.h"
#include "chance.h"
#include "fibers.h"
#include "harness.h"
#include "open.h"
#include "runtime/leaks.h"
#include "starve.h"

enum { WAITING = 99, CROWD = 300 /* for more than one turn */ };

static const weft_rate_kind kinds[] = {WEFT_TOKEN_BUCKET, WEFT_SLIDING_WINDOW};

static weft_ratelimits *make_of(const weft_ratelimits_opts *o)
{
    weft_ratelimits *s = weft_ratelimits_new(o);
    CHECK(s != NULL);
    return s;
}

static weft_ratelimits *make(weft_rate_kind kind, uint32_t limit,
                             weft_time window, size_t max_keys)
{
    const weft_ratelimits_opts o = {
        .kind = kind, .limit = limit, .window = window, .max_keys = max_keys};
    return make_of(&o);
}

static int check(weft_ratelimits *s, const char *key, uint32_t cost,
                 weft_ratelimit_info *ret)
{
    return weft_ratelimits_check(s, key, strlen(key), cost, ret);
}

static int take(weft_ratelimits *s, const char *key)
{
    return check(s, key, 1, NULL);
}

static int take_numbered(weft_ratelimits *s, int number)
{
    return weft_ratelimits_check(s, &number, sizeof number, 1, NULL);
}

static uint32_t remaining(weft_ratelimits *s, const char *key)
{
    weft_ratelimit_info info;
    CHECK_EQ(check(s, key, 0, &info), 0);
    return info.remaining;
}

static weft_ratelimits_stats stats(const weft_ratelimits *s)
{
    weft_ratelimits_stats is;
    weft_ratelimits_stats_read(s, &is);
    return is;
}

static void sleep_for(weft_time ns)
{
    if (ns > 0) CHECK_EQ(weft_sleep(ns), 0);
}

/* ---- by key ------------------------------------------------------------- */

TEST(pattern_106_each_client_has_a_limit_of_its_own)
{
    for (int k = 0; k < 2; k++) {
        weft_ratelimits *s = make(kinds[k], 2, WEFT_SEC(60), 0);
        CHECK_EQ(take(s, "anna"), 0);
        CHECK_EQ(take(s, "anna"), 0);
        CHECK_EQ(take(s, "anna"), -EAGAIN);
        CHECK_EQ(take(s, "bert"), 0);
        CHECK_EQ(take(s, "anna"), -EAGAIN);
        CHECK_EQ(remaining(s, "bert"), 1);
        CHECK_EQ(remaining(s, "carl"), 2);
        CHECK_EQ(stats(s).keys, 2);
        CHECK_EQ(stats(s).allowed, 5);
        CHECK_EQ(stats(s).refused, 2);
        CHECK_EQ(stats(s).store_errors, 0);
        weft_ratelimits_free(s);
    }
}

TEST(pattern_106_what_is_refused_does_not_count_for_a_client)
{
    for (int k = 0; k < 2; k++) {
        weft_ratelimits *s = make(kinds[k], 4, WEFT_SEC(4), 0);
        weft_ratelimit_info before, after;
        CHECK_EQ(check(s, "a", 3, &before), 0);
        for (int i = 0; i < 100; i++)
            CHECK_EQ(check(s, "a", 2, NULL), -EAGAIN);
        CHECK_EQ(check(s, "a", 0, &after), 0);
        CHECK_EQ(after.remaining, 1);
        CHECK_EQ(after.reset_at, before.reset_at);
        weft_ratelimits_free(s);
    }
}

static void is_never(weft_ratelimits *s, size_t len, uint32_t cost)
{
    static const char key[WEFT_RATE_KEY_MAX + 1];
    weft_ratelimit_info info;
    memset(&info, 0xff, sizeof info);
    CHECK_EQ(weft_ratelimits_check(s, key, len, cost, &info), -EINVAL);
    CHECK(!info.allowed && !info.degraded);
    CHECK_EQ(info.retry_after, WEFT_FOREVER);
    CHECK_EQ(weft_ratelimits_check(s, key, len, cost, NULL), -EINVAL);
    CHECK_EQ(weft_ratelimits_wait(s, key, len, cost), -EINVAL);
    CHECK_EQ(stats(s).keys, 0);
}

TEST(pattern_106_a_limit_of_none_refuses_every_client)
{
    for (int k = 0; k < 2; k++) {
        weft_ratelimits *s = make(kinds[k], 0, WEFT_SEC(1), 0);
        for (uint32_t cost = 0; cost < 3; cost++)
            is_never(s, 3, cost);
        CHECK_EQ(stats(s).refused, 9);
        weft_ratelimits_free(s);
    }
}

TEST(what_costs_too_much_or_has_too_long_a_name_is_never_allowed)
{
    static const char longest[WEFT_RATE_KEY_MAX];
    weft_ratelimits *s = make(WEFT_TOKEN_BUCKET, 4, WEFT_SEC(1), 0);
    is_never(s, 3, 5);
    is_never(s, sizeof longest + 1, 1);
    is_never(s, sizeof longest + 1, 0);
    CHECK_EQ(weft_ratelimits_check(s, longest, sizeof longest, 4, NULL), 0);
    CHECK_EQ(weft_ratelimits_check(s, NULL, 0, 4, NULL), 0);
    CHECK_EQ(weft_ratelimits_check(s, "", 0, 4, NULL), -EAGAIN);
    weft_ratelimits_free(s);
}

TEST(a_key_is_its_octets_and_is_copied)
{
    weft_ratelimits *s = make(WEFT_TOKEN_BUCKET, 1, WEFT_SEC(1), 0);
    char key[] = "a\0b";
    for (size_t len = 0; len <= 3; len++)
        CHECK_EQ(weft_ratelimits_check(s, key, len, 1, NULL), 0);
    memset(key, 'x', sizeof key);
    for (size_t len = 0; len <= 3; len++)
        CHECK_EQ(weft_ratelimits_check(s, "a\0b", len, 1, NULL), -EAGAIN);
    CHECK_EQ(stats(s).keys, 4);
    weft_ratelimits_free(s);
}

TEST_PLAIN(there_is_no_set_of_a_kind_that_there_is_not)
{
    weft_ratelimits_opts o = {.kind = (weft_rate_kind)2, .limit = 1};
    CHECK_PTR(weft_ratelimits_new(&o), NULL);
    o = (weft_ratelimits_opts){.on_store_error = (weft_rate_fallback)3};
    CHECK_PTR(weft_ratelimits_new(&o), NULL);
    o = (weft_ratelimits_opts){.limit = 1};
    weft_ratelimits *s = make_of(&o);
    CHECK_EQ(take(s, "a"), -EPERM);
    CHECK_EQ(weft_ratelimits_wait(s, "a", 1, 1), -EPERM);
    CHECK_EQ(stats(s).keys, 0);
    weft_ratelimits_free(s);
    weft_ratelimits_free(NULL);
}

/* ---- cancel points ------------------------------------------------------ */

static ssize_t checks_one(void *s)
{
    return weft_ratelimits_check(s, "key", 3, 1, NULL);
}

static ssize_t waits_for_one(void *s)
{
    return weft_ratelimits_wait(s, "key", 3, 1);
}

TEST(cp_01_ratelimits_check_and_wait)
{
    for (int k = 0; k < 2; k++) {
        weft_ratelimits *s = make(kinds[k], 2, WEFT_SEC(1), 0);
        is_a_cancel_point(checks_one, s, 0);
        CHECK_EQ(remaining(s, "key"), 1);
        is_a_cancel_point(checks_one, s, 0);
        is_a_cancel_point(checks_one, s, -EAGAIN);
        is_woken(waits_for_one, s);
        sleep_for(WEFT_SEC(2));
        is_a_cancel_point(waits_for_one, s, 0);
        CHECK_EQ(remaining(s, "key"), 1);
        weft_ratelimits_free(s);
    }
}

TEST(cp_03_who_only_checks_starves_nobody)
{
    weft_ratelimits *s = make(WEFT_TOKEN_BUCKET, 1000, WEFT_SEC(1), 0);
    weft_ratelimits *never = make(WEFT_TOKEN_BUCKET, 0, WEFT_SEC(1), 0);
    starves_nobody(checks_one, s, 0);
    starves_nobody(waits_for_one, s, 0);
    starves_nobody(checks_one, never, -EINVAL);
    starves_nobody(waits_for_one, never, -EINVAL);
    weft_ratelimits_free(s);
    weft_ratelimits_free(never);
}

/* ---- places ------------------------------------------------------------- */

TEST(what_only_asks_or_is_refused_takes_no_place)
{
    weft_ratelimits *s = make(WEFT_TOKEN_BUCKET, 2, WEFT_SEC(1), 0);
    CHECK_EQ(remaining(s, "a"), 2);
    CHECK_EQ(check(s, "a", 3, NULL), -EINVAL);
    CHECK_EQ(weft_ratelimits_wait(s, "a", 1, 0), 0);
    CHECK_EQ(stats(s).keys, 0);
    weft_ratelimits_free(s);
}

TEST(a_key_is_forgotten_when_its_limit_is_whole_and_not_before)
{
    for (int k = 0; k < 2; k++) {
        weft_ratelimits *s = make(kinds[k], 4, WEFT_SEC(16), 0);
        weft_ratelimit_info info;
        CHECK_EQ(check(s, "a", 2, &info), 0);
        CHECK_EQ(weft_sleep_until(info.reset_at - 1), 0);
        CHECK_EQ(remaining(s, "b"), 4);
        CHECK_EQ(stats(s).keys, 1);
        sleep_for(1);
        CHECK_EQ(remaining(s, "b"), 4);
        CHECK_EQ(stats(s).keys, 0);
        CHECK_EQ(remaining(s, "a"), 4);
        weft_ratelimits_free(s);
    }
}

TEST(keys_that_nobody_asks_for_any_more_do_not_pile_up)
{
    for (int k = 0; k < 2; k++) {
        weft_ratelimits *s = make(kinds[k], 5, WEFT_SEC(16), 2000);
        for (int i = 0; i < 2000; i++)
            CHECK_EQ(take_numbered(s, i), 0);
        CHECK_EQ(stats(s).keys, 2000);
        CHECK_EQ(take_numbered(s, 2000), -ENOBUFS);
        sleep_for(WEFT_SEC(18));
        for (int i = 0; i < 1000; i++)
            CHECK_EQ(take_numbered(s, 10000 + i % 5), i < 25 ? 0 : -EAGAIN);
        CHECK_EQ(stats(s).keys, 5);
        weft_ratelimits_free(s);
    }
}

static int take_or_wait(weft_ratelimits *s, bool waits)
{
    return waits ? weft_ratelimits_wait(s, "busy", 4, 1) : take(s, "busy");
}

TEST(one_that_is_always_in_use_keeps_no_other)
{
    for (int k = 0; k < 4; k++) {
        weft_ratelimits *s = make(kinds[k % 2], 2, WEFT_SEC(10), 0);
        for (int i = 0; i < 20; i++) {
            int rc = take_or_wait(s, k < 2);
            CHECK(rc == 0 || (rc == -EAGAIN && k >= 2));
            CHECK_EQ(take_numbered(s, i), 0);
            if (k >= 2) sleep_for(WEFT_SEC(5));
        }
        CHECK(stats(s).keys <= 5);
        weft_ratelimits_free(s);
    }
}

TEST(all_that_is_kept_is_given_back)
{
    struct wf_leaks before, after;
    wf_leaks_read(&before);
    weft_ratelimits *s = make(WEFT_TOKEN_BUCKET, 5, WEFT_SEC(60), 0);
    for (int i = 0; i < 100000; i++)
        CHECK_EQ(take_numbered(s, i), i < 65536 ? 0 : -ENOBUFS);
    CHECK_EQ(stats(s).keys, 65536);
    weft_ratelimits_free(s);
    wf_leaks_read(&after);
    CHECK_EQ(after.bytes, before.bytes);
}

/* Who has used up his own limit and makes up names without end has not more. */
TEST(pattern_106_a_flood_of_names_resets_nobody)
{
    for (int k = 0; k < 2; k++) {
        weft_ratelimits *s = make(kinds[k], 3, WEFT_SEC(16), 100);
        weft_ratelimit_info info;
        CHECK_EQ(check(s, "victim", 3, NULL), 0);
        for (int i = 0; i < 5000; i++) {
            CHECK_EQ(take_numbered(s, i), i < 99 ? 0 : -ENOBUFS);
            CHECK_EQ(take(s, "victim"), -EAGAIN);
        }
        CHECK_EQ(stats(s).keys, 100);
        CHECK_EQ(check(s, "newcomer", 1, &info), -ENOBUFS);
        CHECK(!info.allowed);
        CHECK_EQ(info.limit, 3);
        CHECK(info.retry_after > 0);
        CHECK_EQ(take_numbered(s, 5), 0); /* who has a place goes on */
        sleep_for(info.retry_after - 1);
        CHECK_EQ(take(s, "newcomer"), -ENOBUFS);
        CHECK_EQ(weft_ratelimits_wait(s, "newcomer", 8, 1), -ENOBUFS);
        sleep_for(1);
        CHECK_EQ(take(s, "newcomer"), 0);
        CHECK(stats(s).keys <= 100);
        weft_ratelimits_free(s);
    }
}

TEST(with_one_place_one_after_the_other_has_it)
{
    weft_ratelimits *s = make(WEFT_TOKEN_BUCKET, 2, WEFT_SEC(2), 1);
    CHECK_EQ(take(s, "a"), 0);
    CHECK_EQ(remaining(s, "b"), 2); /* to ask takes no place */
    CHECK_EQ(take(s, "b"), -ENOBUFS);
    CHECK_EQ(take(s, "a"), 0);
    sleep_for(WEFT_SEC(2));
    CHECK_EQ(take(s, "b"), 0);
    CHECK_EQ(take(s, "a"), -ENOBUFS);
    weft_ratelimits_free(s);
}

/* ---- against one limit for each key ------------------------------------- */

enum { CLIENTS = 40 };

TEST(pattern_107_each_key_is_told_what_its_own_limit_would_say)
{
    random_begin(test_seed());
    for (int round = 0; round < 30; round++) {
        static weft_ratelimit model[CLIENTS];
        weft_rate_kind kind = kinds[round % 2];
        uint32_t limit = random_below(20u) + 1;
        weft_time window = random_below(WEFT_SEC(10)) + 1;
        weft_ratelimits *s = make(kind, limit, window, CLIENTS);
        for (int i = 0; i < CLIENTS; i++)
            weft_ratelimit_init(&model[i], kind, limit, window);
        for (int i = 0; i < 1000; i++) {
            weft_ratelimit_info got, want;
            int who = random_below(random_below(2) ? 3 : CLIENTS);
            uint32_t cost = random_below(limit + 3);
            CHECK_EQ(weft_ratelimits_check(s, &who, sizeof who, cost, &got),
                     weft_ratelimit_check(&model[who], cost, &want));
            CHECK_EQ(got.allowed, want.allowed);
            CHECK_EQ(got.limit, want.limit);
            CHECK_EQ(got.remaining, want.remaining);
            CHECK_EQ(got.reset_at, want.reset_at);
            CHECK_EQ(got.retry_after, want.retry_after);
            CHECK(!got.degraded);
            if (random_below(3) == 0) sleep_for(random_below(window / 4 + 2));
        }
        CHECK_EQ(stats(s).allowed + stats(s).refused, 1000);
        weft_ratelimits_free(s);
    }
}

/* With too few places: never more for a key than its limit would let through,
 * whatever comes and goes. */
TEST(too_few_places_let_nothing_more_through)
{
    random_begin(test_seed());
    for (int round = 0; round < 30; round++) {
        static weft_ratelimit model[CLIENTS];
        weft_rate_kind kind = kinds[round % 2];
        weft_ratelimits *s = make(kind, 5, WEFT_SEC(10), 8);
        int no_place = 0;
        for (int i = 0; i < CLIENTS; i++)
            weft_ratelimit_init(&model[i], kind, 5, WEFT_SEC(10));
        for (int i = 0; i < 1000; i++) {
            int who = random_below(CLIENTS);
            uint32_t cost = random_below(5u) + 1;
            int rc = weft_ratelimits_check(s, &who, sizeof who, cost, NULL);
            if (rc == -ENOBUFS)
                no_place++;
            else
                CHECK_EQ(rc, weft_ratelimit_check(&model[who], cost, NULL));
            CHECK(stats(s).keys <= 8);
            sleep_for(random_below(WEFT_SEC(1)));
        }
        CHECK(no_place > 0 && no_place < 1000);
        weft_ratelimits_free(s);
    }
}

/* ---- waiting ------------------------------------------------------------ */

struct actor {
    weft_ratelimits *s;
    const char *key;
    uint32_t cost;
    weft_scope scope;
    int result; /* WAITING while it waits */
    weft_time at;
};

static int waits(void *arg)
{
    struct actor *a = arg;
    CHECK_EQ(weft_scope_begin(&a->scope), 0);
    a->result = weft_ratelimits_wait(a->s, a->key, strlen(a->key), a->cost);
    a->at = weft_now();
    return weft_scope_end(&a->scope, 0);
}

static void start(weft_nursery *n, weft_ratelimits *s, struct actor *a,
                  const char *key, uint32_t cost)
{
    *a = (struct actor){.s = s, .key = key, .cost = cost, .result = WAITING};
    weft_scope_init(&a->scope);
    CHECK_EQ(weft_spawn(n, waits, a), 0);
    CHECK_EQ(weft_test_settle(), 0);
}

TEST(pattern_106_who_waits_is_in_line_with_its_own_key_only)
{
    weft_ratelimits *s = make(WEFT_TOKEN_BUCKET, 1, WEFT_SEC(1), 0);
    weft_nursery n;
    struct actor a[4], b;
    weft_time begun = weft_now();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 4; i++)
        start(&n, s, &a[i], "a", 1);
    start(&n, s, &b, "b", 1);
    CHECK_EQ(b.result, 0);
    CHECK_EQ(take(s, "a"), -EAGAIN); /* nobody passes the line */
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(a[i].result, 0);
        CHECK_EQ(a[i].at - begun, WEFT_SEC(i));
    }
    CHECK_EQ(stats(s).allowed, 5);
    CHECK_EQ(stats(s).refused, 1);
    weft_ratelimits_free(s);
}

TEST(what_is_cancelled_in_line_is_not_counted)
{
    for (int k = 0; k < 2; k++) {
        weft_ratelimits *s = make(kinds[k], 4, WEFT_SEC(16), 0);
        weft_nursery n;
        struct actor a, b;
        CHECK_EQ(check(s, "key", 2, NULL), 0);
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        start(&n, s, &a, "key", 4);
        start(&n, s, &b, "key", 1);
        weft_scope_cancel(&a.scope, 0, NULL);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        CHECK_EQ(a.result, -ECANCELED);
        CHECK_EQ(b.result, 0);
        CHECK_EQ(remaining(s, "key"), 1);
        CHECK_EQ(stats(s).allowed, 3);
        CHECK_EQ(stats(s).refused, 0);
        weft_ratelimits_free(s);
    }
}

static weft_ratelimits *crowded;

static int asks_at_the_turn(void *arg)
{
    (void)arg;
    int err = weft_sleep(WEFT_SEC(1));
    for (int i = 0; i < 9 && err == 0; i++)
        CHECK_EQ(check(crowded, "other", 0, NULL), 0);
    return err;
}

/* Its limit is whole, it has been cancelled or has its turn, but it has not run
 * yet: what it stands in is still there. */
TEST_FIFO(a_key_with_waiters_is_not_forgotten)
{
    for (int cancels = 0; cancels < 2; cancels++) {
        crowded = make(WEFT_TOKEN_BUCKET, 1, WEFT_SEC(1), 0);
        weft_nursery n;
        struct actor a;
        CHECK_EQ(take(crowded, "key"), 0);
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        CHECK_EQ(weft_spawn(&n, asks_at_the_turn, NULL), 0);
        CHECK_EQ(weft_yield(), 0);
        start(&n, crowded, &a, "key", 1);
        if (cancels)
            weft_scope_set_deadline(&a.scope, weft_after(WEFT_SEC(1) - 1));
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        CHECK_EQ(a.result, cancels ? -ECANCELED : 0);
        weft_ratelimits_free(crowded);
    }
}

static int asks_for_another_a_turn_later(void *arg)
{
    (void)arg;
    int err = weft_yield();
    CHECK_EQ(remaining(crowded, "other"), 1);
    return err;
}

/* Gives way, for having passed so many cancel points, on its way into line. */
static int is_slow_to_stand_in_line(void *passes)
{
    CHECK_EQ(take(crowded, "key"), 0);
    for (int i = 0; i < *(int *)passes; i++)
        CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_ratelimits_wait(crowded, "key", 3, 1), 0);
    CHECK_EQ(stats(crowded).keys, 1);
    return 0;
}

static int takes_long(void *arg)
{
    (void)arg;
    burn(WEFT_MSEC(1));
    return 0;
}

/* What only the real clock shows: its limit is whole before it waits for it. */
TEST_FIFO_REAL(nor_is_one_that_somebody_is_about_to_wait_for)
{
    for (int passes = BUDGET - 4; passes < BUDGET; passes++) {
        crowded = make(WEFT_TOKEN_BUCKET, 1, WEFT_MSEC(1), 0);
        weft_nursery n;
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        CHECK_EQ(weft_spawn(&n, asks_for_another_a_turn_later, NULL), 0);
        CHECK_EQ(weft_spawn(&n, is_slow_to_stand_in_line, &passes), 0);
        CHECK_EQ(weft_spawn(&n, takes_long, NULL), 0);
        for (int i = 0; i < CROWD; i++)
            CHECK_EQ(weft_spawn(&n, does_nothing, NULL), 0);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        weft_ratelimits_free(crowded);
    }
}

static int frees_too_early(void *arg)
{
    weft_ratelimits *s = make(WEFT_TOKEN_BUCKET, 1, WEFT_SEC(1), 0);
    weft_nursery n;
    static struct actor a;
    (void)arg;
    CHECK_EQ(take(s, "key"), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start(&n, s, &a, "key", 1);
    weft_ratelimits_free(s);
    return weft_nursery_close(&n, 0);
}

TEST_DEATH(to_free_it_below_who_waits_is_fatal,
           "weft_ratelimits_free: 1 call has not returned")
{
    CHECK_EQ(weft_run(frees_too_early, NULL, NULL), 0);
}

/* ---- a store ------------------------------------------------------------ */

static struct {
    int calls, result;
    weft_time takes, limited; /* and by its own deadline */
    weft_ratelimit_info says;
    weft_ratelimit counts; /* if result is 1 */
    uint32_t limit;
} store;

static int answer(weft_ratelimit_info *ret_info, uint32_t cost)
{
    int err = store.takes ? weft_sleep(store.takes) : 0;
    if (err < 0) return err;
    if (store.result == 1)
        return weft_ratelimit_check(&store.counts, cost, ret_info);
    if (store.says.limit) *ret_info = store.says;
    return store.result;
}

static int asks_outside(const void *key, size_t len, uint32_t cost,
                        const weft_ratelimits_opts *o,
                        weft_ratelimit_info *ret_info, void *user)
{
    int rc;
    store.calls++;
    CHECK_PTR(user, &store);
    CHECK_EQ(o->limit, store.limit);
    CHECK_EQ(ret_info->limit, o->limit);
    CHECK(len == 3 && memcmp(key, "key", 3) == 0);
    if (!store.limited) return answer(ret_info, cost);
    WEFT_FAIL_AFTER(rc, store.limited) {
        rc = answer(ret_info, cost);
    }
    return rc;
}

static weft_ratelimits *make_outside(weft_rate_fallback on_error,
                                     uint32_t limit)
{
    const weft_ratelimits_opts o = {.limit = limit,
                                    .window = WEFT_SEC(10),
                                    .store = asks_outside,
                                    .on_store_error = on_error,
                                    .user = &store};
    memset(&store, 0, sizeof store);
    store.limit = limit;
    return make_of(&o);
}

TEST(pattern_108_the_store_decides_while_it_can)
{
    weft_ratelimits *s = make_outside(WEFT_RATE_LOCAL, 5);
    weft_ratelimit_info info;
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(check(s, "key", 1, &info), 0);
        CHECK(info.allowed && !info.degraded);
        CHECK_EQ(info.limit, 5);
        CHECK_EQ(info.retry_after, 0);
    }
    store.result = -EAGAIN;
    CHECK_EQ(check(s, "key", 1, &info), -EAGAIN);
    CHECK(!info.allowed && !info.degraded);
    CHECK_EQ(info.retry_after, WEFT_SEC(2)); /* it did not say */
    store.says = (weft_ratelimit_info){true, 7, 3, 11, 13, true};
    CHECK_EQ(check(s, "key", 1, &info), -EAGAIN);
    CHECK(!info.allowed && !info.degraded);
    CHECK_EQ(info.limit, 7);
    CHECK_EQ(info.remaining, 3);
    CHECK_EQ(info.reset_at, 11);
    CHECK_EQ(info.retry_after, 13);
    CHECK_EQ(take(s, "key"), -EAGAIN);
    CHECK_EQ(store.calls, 23);
    CHECK_EQ(stats(s).allowed, 20);
    CHECK_EQ(stats(s).refused, 3);
    CHECK_EQ(stats(s).store_errors, 0);
    CHECK_EQ(stats(s).keys, 0);
    weft_ratelimits_free(s);
}

TEST(pattern_106_the_store_is_not_asked_for_what_can_never_be)
{
    for (int f = 0; f < 3; f++) {
        weft_ratelimits *s = make_outside((weft_rate_fallback)f, 0);
        store.result = -EIO;
        is_never(s, 3, 0);
        is_never(s, 3, 1);
        weft_ratelimits_free(s);
        s = make_outside((weft_rate_fallback)f, 5);
        store.result = -EIO;
        is_never(s, 3, 6);
        is_never(s, WEFT_RATE_KEY_MAX + 1, 1);
        CHECK_EQ(store.calls, 0);
        weft_ratelimits_free(s);
    }
}

TEST(pattern_108_a_store_that_fails_leaves_it_to_this_process)
{
    weft_ratelimits *s = make_outside(WEFT_RATE_LOCAL, 2);
    weft_ratelimit_info info;
    static const int codes[] = {-ECONNREFUSED, -EINVAL, 7, -ETIMEDOUT};
    for (int i = 0; i < 4; i++) {
        store.result = codes[i];
        CHECK_EQ(check(s, "key", 1, &info), i < 2 ? 0 : -EAGAIN);
        CHECK_EQ(info.allowed, i < 2);
        CHECK(info.degraded);
        CHECK_EQ(info.remaining, i < 2 ? 1 - i : 0);
        CHECK_EQ(info.retry_after, i < 2 ? 0 : WEFT_SEC(5));
    }
    CHECK_EQ(stats(s).store_errors, 4);
    CHECK_EQ(stats(s).keys, 1);
    store.result = 0;
    CHECK_EQ(check(s, "key", 1, &info), 0); /* it is back */
    CHECK(!info.degraded);
    weft_ratelimits_free(s);
}

TEST(pattern_108_a_store_that_fails_lets_all_through)
{
    weft_ratelimits *s = make_outside(WEFT_RATE_ALLOW, 2);
    weft_ratelimit_info info;
    store.result = -EIO;
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(check(s, "key", 1, &info), 0);
        CHECK(info.allowed && info.degraded);
        CHECK_EQ(info.remaining, 1);
        CHECK_EQ(weft_ratelimits_wait(s, "key", 3, 1), 0);
    }
    CHECK_EQ(stats(s).keys, 0);
    CHECK_EQ(stats(s).store_errors, 100);
    weft_ratelimits_free(s);
}

TEST(pattern_108_a_store_that_fails_lets_nothing_through)
{
    weft_ratelimits *s = make_outside(WEFT_RATE_DENY, 2);
    weft_ratelimit_info info;
    store.result = -EIO;
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(check(s, "key", 1, &info), -EAGAIN);
        CHECK(!info.allowed && info.degraded);
        CHECK_EQ(info.remaining, 0);
        CHECK_EQ(info.retry_after, WEFT_SEC(10));
    }
    CHECK_EQ(stats(s).refused, 50);
    weft_ratelimits_free(s);
}

static int holds_one_store(void *arg)
{
    CHECK_EQ(check(arg, "key", 1, NULL), 0);
    return 0;
}

TEST(pattern_108_a_store_may_take_its_time_for_many_at_once)
{
    weft_ratelimits *s = make_outside(WEFT_RATE_DENY, 2);
    weft_time begun = weft_now();
    weft_nursery n;
    store.takes = WEFT_MSEC(10);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(weft_spawn(&n, holds_one_store, s), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_now() - begun, WEFT_MSEC(10));
    CHECK_EQ(store.calls, 20);
    weft_ratelimits_free(s);
}

/* By a deadline of its own it has failed; by one of the caller the call has not
 * happened. */
TEST(pattern_108_a_store_that_is_too_slow)
{
    weft_ratelimits *s = make_outside(WEFT_RATE_LOCAL, 2);
    weft_ratelimit_info info;
    int rc;
    store.takes = WEFT_SEC(60);
    store.limited = WEFT_MSEC(50);
    weft_time begun = weft_now();
    CHECK_EQ(check(s, "key", 1, &info), 0);
    CHECK(info.degraded);
    CHECK_EQ(weft_now() - begun, WEFT_MSEC(50));
    CHECK_EQ(stats(s).store_errors, 1);
    store.limited = 0;
    memset(&info, 0x55, sizeof info);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(50)) {
        rc = check(s, "key", 1, &info);
        CHECK_EQ(rc, -ECANCELED);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(info.limit, 0x55555555); /* untouched */
    CHECK_EQ(stats(s).store_errors, 1);
    CHECK_EQ(stats(s).allowed, 1);
    CHECK_EQ(stats(s).refused, 0);
    store.takes = 0;
    is_a_cancel_point(checks_one, s, 0);
    store.takes = WEFT_SEC(60);
    is_woken(checks_one, s);
    is_woken(waits_for_one, s);
    weft_ratelimits_free(s);
}

TEST(who_waits_asks_the_store_again_when_it_has_said)
{
    weft_ratelimits *s = make_outside(WEFT_RATE_DENY, 2);
    weft_time begun = weft_now();
    store.result = 1;
    weft_ratelimit_init(&store.counts, WEFT_TOKEN_BUCKET, 2, WEFT_SEC(6));
    for (int i = 0; i < 4; i++)
        CHECK_EQ(weft_ratelimits_wait(s, "key", 3, 1), 0);
    CHECK_EQ(weft_now() - begun, WEFT_SEC(6));
    CHECK_EQ(store.calls, 6);
    store.result = -EAGAIN;
    is_woken(waits_for_one, s);
    store.says = (weft_ratelimit_info){.limit = 2, .retry_after = WEFT_FOREVER};
    CHECK_EQ(weft_ratelimits_wait(s, "key", 3, 1), -EINVAL);
    weft_ratelimits_free(s);
}

TEST(who_waits_for_a_store_that_fails_has_its_turn_here)
{
    weft_ratelimits *s = make_outside(WEFT_RATE_LOCAL, 2);
    weft_time begun = weft_now();
    store.result = -EIO;
    for (int i = 0; i < 4; i++)
        CHECK_EQ(weft_ratelimits_wait(s, "key", 3, 1), 0);
    CHECK_EQ(weft_now() - begun, WEFT_SEC(10));
    weft_ratelimits_free(s);
}

/* ---- without memory ----------------------------------------------------- */

static int checks_without_memory(void *unused)
{
    int failed = 0;
    (void)unused;
    weft_ratelimits *s = weft_ratelimits_new(
        &(weft_ratelimits_opts){.limit = 2, .window = WEFT_SEC(1)});
    if (!s) return -ENOMEM;
    for (int i = 0; i < 40; i++) {
        weft_ratelimit_info info;
        int rc = weft_ratelimits_check(s, &i, sizeof i, 2, &info);
        CHECK(rc == 0 || rc == -ENOMEM);
        CHECK_EQ(info.allowed, rc == 0);
        bool failed_now = rc == -ENOMEM;
        failed += failed_now;
        CHECK_EQ(weft_ratelimits_check(s, &i, sizeof i, 0, &info), 0);
        CHECK_EQ(info.remaining, failed_now ? 2 : 0);
        rc = weft_ratelimits_wait(s, "key", 3, 1);
        CHECK(rc == 0 || rc == -ENOMEM);
        failed += rc == -ENOMEM;
    }
    weft_ratelimits_free(s);
    return failed ? -ENOMEM : 0;
}

STARVE(without_memory_nothing_is_allowed_and_nothing_is_lost,
       checks_without_memory)

#ifdef WEFT_HOSTILE
TEST_PLAIN(without_memory_it_is_said)
{
    fail_each(checks_without_memory, WF_CALL_ALLOC);
}
#endif
