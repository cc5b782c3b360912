/* SPDX-License-Identifier: MIT */
/* test_cache.c - what weft_cache fills, shares, keeps and drops. */
#include <weft/cache.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chance.h"
#include "deadlock.h"
#include "fibers.h"
#include "harness.h"
#include "starve.h"
#include "runtime/leaks.h"

enum { WAITING = 99, FIVE = 5, MANY = 4096 };

/* --- a store that is slow, and counts --- */

/* Values are numbered objects: which was given when, and whether it is still
 * there. `drops` says how often drop was called for it. */
struct thing {
    int number; /* from 1 */
    int given, drops;
    char key[24];
};

static struct {
    struct thing things[MANY];
    int fills; /* calls of fill */
    int made;  /* things */
    int inside;
    weft_time takes;
    int fails; /* what fill returns, if negative */
    uint64_t filler;
} store;

static void empty_store(void)
{
    memset(&store, 0, sizeof store);
}

static int fetch(const void *key, size_t len, void **ret_value, void *user)
{
    CHECK_PTR(user, &store);
    store.fills++;
    store.filler = weft_fiber_id();
    store.inside++;
    int err = store.takes ? weft_sleep(store.takes) : 0;
    store.inside--;
    if (err < 0) return err;
    if (store.fails < 0) return store.fails;
    CHECK(store.made < MANY && len < sizeof store.things->key);
    struct thing *t = &store.things[store.made++];
    *t = (struct thing){.number = store.made, .given = 1};
    memcpy(t->key, key, len);
    *ret_value = t;
    return 0;
}

static void drop(void *value)
{
    struct thing *t = value;
    t->drops++;
    CHECK(t->drops <= t->given);
}

static weft_cache *make(weft_time ttl, weft_time negative_ttl, size_t max)
{
    const weft_cache_opts o = {.fill = fetch,
                               .drop = drop,
                               .user = &store,
                               .ttl = ttl,
                               .negative_ttl = negative_ttl,
                               .max = max};
    empty_store();
    weft_cache *c = weft_cache_new(&o);
    CHECK(c != NULL);
    return c;
}

static int get(weft_cache *c, const char *key, struct thing **ret)
{
    void *value = NULL;
    int rc = weft_cache_get(c, key, strlen(key), &value);
    if (ret) *ret = value;
    if (rc == 0) CHECK_STR(((struct thing *)value)->key, key);
    return rc;
}

/* Gets it and puts it back: the number of what was had. */
static int look(weft_cache *c, const char *key)
{
    struct thing *t;
    int rc = get(c, key, &t);
    if (rc < 0) return rc;
    weft_cache_put(c, t);
    return t->number;
}

static bool forget(weft_cache *c, const char *key)
{
    return weft_cache_forget(c, key, strlen(key));
}

static weft_cache_stats stats(const weft_cache *c)
{
    weft_cache_stats s;
    weft_cache_stats_read(c, &s);
    return s;
}

static void check_stats(const weft_cache *c, unsigned hits, unsigned misses,
                        unsigned waits, unsigned evictions, unsigned entries)
{
    weft_cache_stats s = stats(c);
    CHECK_EQ(s.hits, hits);
    CHECK_EQ(s.misses, misses);
    CHECK_EQ(s.waits, waits);
    CHECK_EQ(s.evictions, evictions);
    CHECK_EQ(s.entries, entries);
}

static void all_are_dropped(void)
{
    for (int i = 0; i < store.made; i++)
        CHECK_EQ(store.things[i].drops, store.things[i].given);
}

/* --- fibers that ask --- */

struct asker {
    weft_cache *c;
    const char *key;
    int result; /* the number of what it had */
    int next;   /* the cancel point after it */
    struct thing *had;
    weft_time keeps; /* before it puts it back */
    uint64_t id;
    weft_scope scope;
};

static int asks(void *arg)
{
    struct asker *a = arg;
    CHECK_EQ(weft_scope_begin(&a->scope), 0);
    a->id = weft_fiber_id();
    int rc = get(a->c, a->key, &a->had);
    a->result = rc < 0 ? rc : a->had->number;
    a->next = weft_checkpoint();
    if (rc == 0) {
        if (a->keeps) CHECK_EQ(weft_sleep(a->keeps), 0);
        CHECK_EQ(a->had->drops, 0);
        weft_cache_put(a->c, a->had);
    }
    return weft_scope_end(&a->scope, 0);
}

static void start_asker(weft_nursery *n, struct asker *a, weft_cache *c,
                        const char *key)
{
    *a = (struct asker){.c = c, .key = key, .result = WAITING};
    weft_scope_init(&a->scope);
    CHECK_EQ(weft_spawn(n, asks, a), 0);
    CHECK_EQ(weft_yield(), 0);
}

static void line_up(weft_nursery *n, struct asker *a, int count, weft_cache *c)
{
    CHECK_EQ(weft_nursery_open(n, NULL), 0);
    for (int i = 0; i < count; i++)
        start_asker(n, &a[i], c, "key");
}

/* --- hits, misses, single flight --- */

TEST(a_value_is_filled_once_and_had_from_then_on)
{
    weft_cache *c = make(0, 0, 0);
    struct thing *t, *u;
    CHECK_EQ(get(c, "a", &t), 0);
    CHECK_EQ(get(c, "a", &u), 0);
    CHECK_PTR(t, u);
    CHECK_EQ(look(c, "b"), 2);
    CHECK_EQ(look(c, "a"), 1);
    CHECK_EQ(store.fills, 2);
    check_stats(c, 2, 2, 0, 0, 2);
    weft_cache_put(c, t);
    weft_cache_put(c, u);
    CHECK_EQ(t->drops, 0); /* the cache has it */
    weft_cache_free(c);
    all_are_dropped();
}

TEST(five_who_miss_the_same_key_fill_it_once)
{
    weft_cache *c = make(0, 0, 0);
    weft_nursery n;
    struct asker a[FIVE];
    weft_time start = weft_now();
    store.takes = WEFT_MSEC(10);
    line_up(&n, a, FIVE, c);
    check_stats(c, 0, 1, FIVE - 1, 0, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(10));
    CHECK_EQ(store.fills, 1);
    for (int i = 0; i < FIVE; i++)
        CHECK_EQ(a[i].result, 1);
    check_stats(c, 0, 1, FIVE - 1, 0, 1);
    weft_cache_free(c);
    all_are_dropped();
}

TEST(different_keys_are_filled_at_the_same_time)
{
    weft_cache *c = make(0, 0, 0);
    weft_nursery n;
    struct asker a[3];
    weft_time start = weft_now();
    store.takes = WEFT_MSEC(10);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start_asker(&n, &a[0], c, "a");
    start_asker(&n, &a[1], c, "b");
    start_asker(&n, &a[2], c, "");
    CHECK_EQ(store.inside, 3);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(10));
    CHECK_EQ(stats(c).entries, 3);
    weft_cache_free(c);
    all_are_dropped();
}

TEST(a_key_is_its_octets_and_their_number)
{
    weft_cache *c = make(0, 0, 0);
    static const char octets[] = "a\0b\0";
    void *v[4];
    for (size_t len = 1; len <= 4; len++)
        CHECK_EQ(weft_cache_get(c, octets, len, &v[len - 1]), 0);
    CHECK_EQ(store.made, 4);
    for (size_t len = 4; len >= 1; len--) {
        void *again;
        CHECK_EQ(weft_cache_get(c, octets, len, &again), 0);
        CHECK_PTR(again, v[len - 1]);
        weft_cache_put(c, again);
        weft_cache_put(c, again);
    }
    void *nothing;
    CHECK_EQ(weft_cache_get(c, NULL, 0, &nothing), 0);
    CHECK_EQ(store.made, 5);
    weft_cache_put(c, nothing);
    CHECK_EQ(look(c, ""), 5);
    weft_cache_free(c);
    all_are_dropped();
}

static int fills_by_number(const void *key, size_t len, void **ret_value,
                           void *user)
{
    (void)user;
    CHECK_EQ(len, sizeof(uint64_t));
    CHECK_EQ((uintptr_t)key % 16, 0);
    *ret_value = (void *)(uintptr_t)(*(const uint64_t *)key + 1);
    return 0;
}

TEST(fill_sees_a_copy_of_the_key_aligned_for_any_type)
{
    const weft_cache_opts o = {.fill = fills_by_number};
    weft_cache *c = weft_cache_new(&o);
    char octets[1 + sizeof(uint64_t)];
    for (uint64_t i = 0; i < 1000; i++) {
        void *v;
        memcpy(octets + 1, &i, sizeof i);
        CHECK_EQ(weft_cache_get(c, octets + 1, sizeof i, &v), 0);
        memset(octets, 0xff, sizeof octets);
        CHECK_EQ((uintptr_t)v, i + 1);
        weft_cache_put(c, v);
    }
    for (uint64_t i = 0; i < 1000; i++) {
        void *v;
        CHECK_EQ(weft_cache_get(c, &i, sizeof i, &v), 0);
        CHECK_EQ((uintptr_t)v, i + 1);
        weft_cache_put(c, v);
    }
    check_stats(c, 1000, 1000, 0, 0, 1000);
    weft_cache_free(c);
}

TEST_PLAIN(a_cache_wants_a_fill_and_a_fiber)
{
    const weft_cache_opts none = {.max = 3};
    void *v;
    CHECK_PTR(weft_cache_new(&none), NULL);
    weft_cache *c = make(0, 0, 0);
    CHECK_EQ(weft_cache_get(c, "a", 1, &v), -EPERM);
    CHECK(!weft_cache_forget(c, "a", 1));
    CHECK_EQ(store.fills, 0);
    weft_cache_free(c);
    weft_cache_free(NULL);
}

TEST(an_ask_in_a_cancelled_scope_has_nothing_though_it_is_there)
{
    weft_cache *c = make(0, 0, 0);
    weft_scope s;
    void *v = c;
    CHECK_EQ(look(c, "a"), 1);
    weft_scope_init(&s);
    weft_scope_cancel(&s, 0, NULL);
    CHECK_EQ(weft_scope_begin(&s), 0);
    CHECK_EQ(weft_cache_get(c, "a", 1, &v), -ECANCELED);
    CHECK_EQ(weft_cache_get(c, "b", 1, &v), -ECANCELED);
    CHECK_PTR(v, c);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    check_stats(c, 0, 1, 0, 0, 1);
    weft_cache_free(c);
    all_are_dropped();
}

/* --- failures --- */

TEST(a_failure_is_shared_by_those_who_wait_and_then_forgotten)
{
    weft_cache *c = make(0, 0, 0);
    weft_nursery n;
    struct asker a[FIVE];
    store.takes = WEFT_MSEC(10);
    store.fails = -EIO;
    line_up(&n, a, FIVE, c);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < FIVE; i++)
        CHECK_EQ(a[i].result, -EIO);
    CHECK_EQ(store.fills, 1);
    CHECK_EQ(stats(c).entries, 0);
    store.fails = 0;
    CHECK_EQ(look(c, "key"), 1);
    weft_cache_free(c);
    all_are_dropped();
}

TEST(a_failure_is_remembered_for_its_time_and_not_longer)
{
    weft_cache *c = make(0, WEFT_MSEC(10), 0);
    store.fails = -ENOENT;
    CHECK_EQ(look(c, "a"), -ENOENT);
    store.fails = 0;
    CHECK_EQ(weft_sleep(WEFT_MSEC(10) - 1), 0);
    CHECK_EQ(look(c, "a"), -ENOENT);
    check_stats(c, 1, 1, 0, 0, 1);
    CHECK_EQ(weft_sleep(1), 0);
    CHECK_EQ(look(c, "a"), 1);
    CHECK_EQ(weft_sleep(WEFT_SEC(1000)), 0);
    CHECK_EQ(look(c, "a"), 1); /* values are for ever */
    check_stats(c, 2, 2, 0, 0, 1);
    weft_cache_free(c);
    all_are_dropped();
}

TEST(a_cancellation_is_nobody_elses_and_never_remembered)
{
    weft_cache *c = make(0, WEFT_SEC(10), 0);
    store.fails = -ECANCELED; /* for no reason */
    CHECK_EQ(look(c, "a"), -ECANCELED);
    CHECK_EQ(stats(c).entries, 0);
    store.fails = 0;
    CHECK_EQ(look(c, "a"), 1);
    weft_cache_free(c);
    all_are_dropped();
}

/* --- cancellation --- */

TEST(when_the_filler_is_cancelled_the_next_takes_over)
{
    weft_cache *c = make(0, WEFT_SEC(10), 0);
    weft_nursery n;
    struct asker a[FIVE];
    weft_time start = weft_now();
    store.takes = WEFT_MSEC(10);
    line_up(&n, a, FIVE, c);
    CHECK_EQ(weft_sleep(WEFT_MSEC(4)), 0);
    weft_scope_cancel(&a[0].scope, 0, NULL);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(store.fills, 2);
    CHECK_EQ(store.filler, a[1].id); /* in its own fiber */
    weft_scope_set_deadline(&a[1].scope, weft_after(WEFT_MSEC(1)));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(a[0].result, -ECANCELED);
    CHECK_EQ(a[1].result, -ECANCELED);
    for (int i = 2; i < FIVE; i++)
        CHECK_EQ(a[i].result, 1);
    CHECK_EQ(store.filler, a[2].id);
    CHECK_EQ(store.fills, 3);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(16));
    check_stats(c, 0, 1, FIVE - 1, 0, 1);
    weft_cache_free(c);
    all_are_dropped();
}

TEST(when_the_only_one_is_cancelled_nothing_stays)
{
    weft_cache *c = make(0, WEFT_SEC(10), 0);
    int rc;
    store.takes = WEFT_MSEC(10);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(4)) {
        rc = look(c, "a");
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(stats(c).entries, 0);
    CHECK_EQ(look(c, "a"), 1);
    CHECK_EQ(store.fills, 2);
    weft_cache_free(c);
    all_are_dropped();
}

TEST(a_cancelled_waiter_has_nothing_and_disturbs_nobody)
{
    weft_cache *c = make(0, 0, 0);
    weft_nursery n;
    struct asker a[4];
    store.takes = WEFT_MSEC(10);
    line_up(&n, a, 4, c);
    weft_scope_cancel(&a[1].scope, 0, NULL);
    weft_scope_set_deadline(&a[2].scope, weft_after(WEFT_MSEC(5)));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(a[0].result, 1);
    CHECK_EQ(a[1].result, -ECANCELED);
    CHECK_EQ(a[2].result, -ECANCELED);
    CHECK_EQ(a[3].result, 1);
    CHECK_EQ(store.fills, 1);
    CHECK(forget(c, "key"));
    CHECK_EQ(store.things[0].drops, 1); /* so nobody was counted in vain */
    weft_cache_free(c);
    all_are_dropped();
}

TEST(when_all_are_cancelled_at_once_nothing_stays)
{
    weft_cache *c = make(0, 0, 0);
    weft_nursery n;
    struct asker a[FIVE];
    store.takes = WEFT_MSEC(10);
    line_up(&n, a, FIVE, c);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < FIVE; i++)
        CHECK_EQ(a[i].result, -ECANCELED);
    CHECK_EQ(store.fills, 1);
    CHECK_EQ(stats(c).entries, 0);
    CHECK_EQ(look(c, "key"), 1);
    weft_cache_free(c);
    all_are_dropped();
}

/* In the turn in which it has been filled, or has been given up, the one in
 * line is cancelled. */
struct meddler {
    weft_cache *c;
    struct asker *other;
    int result;
    bool give_up;
};

static int asks_and_cancels(void *arg)
{
    struct meddler *m = arg;
    int rc;
    if (m->give_up) {
        WEFT_FAIL_AFTER(rc, WEFT_MSEC(1)) {
            rc = look(m->c, "key");
        }
    } else {
        rc = look(m->c, "key");
    }
    m->result = rc;
    weft_scope_cancel(&m->other->scope, 0, NULL);
    return 0;
}

TEST(a_value_that_was_given_stays_given_though_cancelled)
{
    weft_cache *c = make(0, 0, 0);
    weft_nursery n;
    struct asker a;
    struct meddler m = {.c = c, .other = &a};
    store.takes = WEFT_MSEC(10);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, asks_and_cancels, &m), 0);
    CHECK_EQ(weft_yield(), 0);
    start_asker(&n, &a, c, "key");
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(m.result, 1);
    CHECK_EQ(a.result, 1);
    CHECK_EQ(a.next, -ECANCELED);
    weft_cache_free(c);
    all_are_dropped();
}

TEST(a_fill_that_was_handed_over_is_made_though_cancelled)
{
    weft_cache *c = make(0, 0, 0);
    weft_nursery n;
    struct asker a, third;
    struct meddler m = {.c = c, .other = &a, .give_up = true};
    store.takes = WEFT_MSEC(10);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, asks_and_cancels, &m), 0);
    CHECK_EQ(weft_yield(), 0);
    start_asker(&n, &a, c, "key");
    start_asker(&n, &third, c, "key");
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(m.result, -ETIMEDOUT);
    CHECK_EQ(a.result, -ECANCELED);
    CHECK_EQ(third.result, 1);
    CHECK_EQ(store.fills, 3);
    weft_cache_free(c);
    all_are_dropped();
}

/* --- how long things are good --- */

TEST(a_value_is_good_for_its_time_from_the_end_of_its_fill)
{
    weft_cache *c = make(WEFT_MSEC(10), 0, 0);
    store.takes = WEFT_MSEC(7);
    CHECK_EQ(look(c, "a"), 1);
    CHECK_EQ(weft_sleep(WEFT_MSEC(10) - 1), 0);
    CHECK_EQ(look(c, "a"), 1); /* a hit does not make it younger */
    CHECK_EQ(weft_sleep(1), 0);
    CHECK_EQ(store.things[0].drops, 0);
    CHECK_EQ(look(c, "a"), 2);
    CHECK_EQ(store.things[0].drops, 1);
    check_stats(c, 1, 2, 0, 0, 1);
    weft_cache_free(c);
    all_are_dropped();
}

TEST(a_value_with_less_than_no_time_is_for_those_who_wait)
{
    weft_cache *c = make(-1, 0, 0);
    weft_nursery n;
    struct asker a[3];
    store.takes = WEFT_MSEC(1);
    line_up(&n, a, 3, c);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(a[i].result, 1);
    CHECK_EQ(look(c, "key"), 2);
    CHECK_EQ(stats(c).entries, 0);
    all_are_dropped();
    weft_cache_free(c);
}

TEST(a_time_beyond_all_times_is_for_ever)
{
    weft_cache *c = make(WEFT_FOREVER, WEFT_FOREVER, 0);
    CHECK_EQ(look(c, "a"), 1);
    store.fails = -EIO;
    CHECK_EQ(look(c, "b"), -EIO);
    store.fails = 0;
    CHECK_EQ(weft_sleep(WEFT_SEC(1000000000)), 0);
    CHECK_EQ(look(c, "a"), 1);
    CHECK_EQ(look(c, "b"), -EIO);
    weft_cache_free(c);
    all_are_dropped();
}

TEST(what_nobody_asks_for_any_more_does_not_pile_up)
{
    weft_cache *c = make(WEFT_MSEC(10), WEFT_MSEC(5), 0);
    struct wf_leaks before, after;
    wf_leaks_read(&before);
    for (int i = 0; i < 2000; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%d", i);
        store.fails = i % 3 ? 0 : -EIO;
        (void)look(c, key);
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    }
    CHECK(stats(c).entries < 30);
    wf_leaks_read(&after);
    CHECK(after.bytes - before.bytes < 12000); /* nor do their tables */
    CHECK_EQ(stats(c).evictions, 0);
    weft_cache_free(c);
    all_are_dropped();
}

/* --- how many --- */

TEST(the_least_recently_used_goes_first)
{
    weft_cache *c = make(0, 0, 3);
    CHECK_EQ(look(c, "a"), 1);
    CHECK_EQ(look(c, "b"), 2);
    CHECK_EQ(look(c, "c"), 3);
    CHECK_EQ(look(c, "a"), 1);
    CHECK_EQ(look(c, "d"), 4); /* instead of b */
    check_stats(c, 1, 4, 0, 1, 3);
    CHECK_EQ(store.things[1].drops, 1);
    CHECK_EQ(look(c, "a"), 1);
    CHECK_EQ(look(c, "c"), 3);
    CHECK_EQ(look(c, "b"), 5); /* instead of d */
    CHECK_EQ(store.things[3].drops, 1);
    check_stats(c, 3, 5, 0, 2, 3);
    weft_cache_free(c);
    all_are_dropped();
}

TEST(a_failure_that_is_remembered_counts_and_one_that_is_not_evicts_nothing)
{
    weft_cache *c = make(0, WEFT_SEC(1), 1);
    CHECK_EQ(look(c, "a"), 1);
    store.fails = -EIO;
    CHECK_EQ(look(c, "b"), -EIO);
    check_stats(c, 0, 2, 0, 1, 1);
    CHECK_EQ(store.things[0].drops, 1);
    weft_cache_free(c);

    c = make(0, 0, 1);
    CHECK_EQ(look(c, "a"), 1);
    store.fails = -EIO;
    CHECK_EQ(look(c, "b"), -EIO);
    CHECK_EQ(look(c, "a"), 1);
    check_stats(c, 1, 2, 0, 0, 1);
    weft_cache_free(c);
    all_are_dropped();
}

TEST(what_is_being_filled_is_never_evicted)
{
    weft_cache *c = make(0, 0, 1);
    weft_nursery n;
    struct asker slow[2], waiter;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    store.takes = WEFT_MSEC(50);
    start_asker(&n, &slow[0], c, "slow");
    start_asker(&n, &slow[1], c, "as slow");
    store.takes = 0;
    for (int i = 0; i < 10; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%d", i);
        CHECK_EQ(look(c, key), i + 1);
    }
    CHECK_EQ(stats(c).evictions, 9);
    start_asker(&n, &waiter, c, "slow");
    CHECK_EQ(stats(c).waits, 1); /* it is there */
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(slow[0].result, waiter.result);
    CHECK(slow[0].result > 10 && slow[1].result > 10);
    CHECK_EQ(store.fills, 12);
    CHECK_EQ(stats(c).entries, 1);
    weft_cache_free(c);
    all_are_dropped();
}

TEST(what_is_evicted_stays_valid_for_who_has_it)
{
    weft_cache *c = make(0, 0, 1);
    struct thing *t;
    CHECK_EQ(get(c, "a", &t), 0);
    CHECK_EQ(look(c, "b"), 2);
    CHECK_EQ(stats(c).evictions, 1);
    CHECK_EQ(t->drops, 0);
    CHECK_EQ(look(c, "a"), 3); /* another one */
    weft_cache_put(c, t);
    CHECK_EQ(t->drops, 1);
    weft_cache_free(c);
    all_are_dropped();
}

/* --- forgetting, and who has what --- */

TEST(a_forgotten_value_stays_valid_until_the_last_put)
{
    weft_cache *c = make(0, 0, 0);
    struct thing *t, *u;
    CHECK_EQ(get(c, "a", &t), 0);
    CHECK_EQ(get(c, "a", &u), 0);
    CHECK(forget(c, "a"));
    CHECK(!forget(c, "a"));
    CHECK(!forget(c, "b"));
    CHECK_EQ(look(c, "a"), 2);
    weft_cache_put(c, t);
    CHECK_EQ(t->drops, 0);
    weft_cache_put(c, u);
    CHECK_EQ(t->drops, 1);
    CHECK_EQ(look(c, "a"), 2);
    weft_cache_free(c);
    all_are_dropped();
}

TEST(a_replaced_value_stays_valid_until_the_last_put)
{
    weft_cache *c = make(WEFT_MSEC(1), 0, 0);
    struct thing *t, *u;
    CHECK_EQ(get(c, "a", &t), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(2)), 0);
    CHECK_EQ(get(c, "a", &u), 0);
    CHECK_EQ(u->number, 2);
    CHECK_EQ(t->drops, 0);
    weft_cache_put(c, t);
    CHECK_EQ(t->drops, 1);
    CHECK_EQ(u->drops, 0);
    weft_cache_put(c, u);
    weft_cache_free(c);
    all_are_dropped();
}

TEST(what_is_over_is_nothing_to_forget)
{
    weft_cache *c = make(WEFT_MSEC(1), WEFT_MSEC(1), 0);
    CHECK_EQ(look(c, "a"), 1);
    store.fails = -EIO;
    CHECK_EQ(look(c, "b"), -EIO);
    CHECK(forget(c, "b")); /* a failure is something */
    CHECK_EQ(look(c, "b"), -EIO);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK(!forget(c, "a"));
    CHECK(!forget(c, "b"));
    CHECK_EQ(store.things[0].drops, 1);
    CHECK_EQ(stats(c).entries, 0);
    weft_cache_free(c);
    all_are_dropped();
}

TEST(a_fill_that_is_forgotten_is_for_those_who_wait_and_not_kept)
{
    weft_cache *c = make(0, WEFT_SEC(1), 0);
    weft_nursery n;
    struct asker a[2], later[2];
    store.takes = WEFT_MSEC(10);
    line_up(&n, a, 2, c);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    CHECK(forget(c, "key"));
    CHECK(!forget(c, "key"));
    start_asker(&n, &later[0], c, "key"); /* fills anew */
    start_asker(&n, &later[1], c, "key");
    CHECK_EQ(store.inside, 2);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(a[0].result, 1);
    CHECK_EQ(a[1].result, 1);
    CHECK_EQ(later[0].result, 2);
    CHECK_EQ(later[1].result, 2);
    CHECK_EQ(store.things[0].drops, 1);
    CHECK_EQ(look(c, "key"), 2);
    CHECK_EQ(stats(c).entries, 1);
    weft_cache_free(c);
    all_are_dropped();
}

TEST(a_forgotten_fill_that_fails_or_is_cancelled_leaves_nothing)
{
    weft_cache *c = make(0, WEFT_SEC(1), 0);
    weft_nursery n;
    struct asker a[3];
    store.takes = WEFT_MSEC(10);
    line_up(&n, a, 3, c);
    CHECK(forget(c, "key"));
    weft_scope_cancel(&a[0].scope, 0, NULL);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    CHECK_EQ(store.fills, 2); /* handed over all the same */
    store.fails = -EIO;
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(a[1].result, -EIO);
    CHECK_EQ(a[2].result, -EIO);
    CHECK_EQ(stats(c).entries, 0);
    store.fails = 0;
    CHECK_EQ(look(c, "key"), 1);

    store.takes = WEFT_MSEC(10);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start_asker(&n, &a[0], c, "other");
    CHECK(forget(c, "other"));
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(stats(c).entries, 1);
    weft_cache_free(c);
    all_are_dropped();
}

TEST(a_cache_may_end_before_its_values)
{
    weft_cache *c = make(0, 0, 0);
    struct thing *t, *u;
    CHECK_EQ(get(c, "a", &t), 0);
    CHECK_EQ(get(c, "a", &t), 0);
    CHECK_EQ(get(c, "b", &u), 0);
    CHECK_EQ(look(c, "c"), 3);
    weft_cache_free(c);
    CHECK_EQ(store.things[2].drops, 1);
    CHECK_EQ(t->drops, 0);
    weft_cache_put(c, t);
    CHECK_EQ(t->drops, 0);
    weft_cache_put(c, t);
    CHECK_EQ(t->drops, 1);
    weft_cache_put(c, u);
    all_are_dropped();
}

TEST(who_was_given_a_value_need_not_have_run_when_the_cache_ends)
{
    weft_cache *c = make(0, 0, 0);
    weft_nursery n;
    struct asker a[2];
    struct thing *t;
    store.takes = WEFT_MSEC(10);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 2; i++) {
        a[i] = (struct asker){.c = c, .key = "key", .result = WAITING};
        weft_scope_init(&a[i].scope);
        CHECK_EQ(weft_spawn(&n, asks, &a[i]), 0);
    }
    CHECK_EQ(get(c, "key", &t), 0);
    weft_cache_put(c, t);
    weft_cache_free(c);
    CHECK_EQ(a[0].result, WAITING);
    CHECK_EQ(a[1].result, WAITING);
    CHECK_EQ(t->drops, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(a[0].result, 1);
    CHECK_EQ(a[1].result, 1);
    all_are_dropped();
}

TEST(a_put_too_many_is_ignored)
{
    weft_cache *c = make(0, 0, 0);
    struct thing *t, stranger;
    CHECK_EQ(get(c, "a", &t), 0);
    weft_cache_put(c, t);
    weft_cache_put(c, t);
    weft_cache_put(c, &stranger);
    weft_cache_put(c, NULL);
    CHECK_EQ(t->drops, 0);
    CHECK_EQ(look(c, "a"), 1);
    weft_cache_free(c);
    all_are_dropped();
}

/* --- values that are the same --- */

static int gives_the_first(const void *key, size_t len, void **ret_value,
                           void *user)
{
    (void)key;
    (void)len;
    (void)user;
    store.things[0].given++;
    *ret_value = &store.things[0];
    return 1; /* is a success too */
}

TEST(a_value_that_is_given_twice_is_dropped_twice_when_all_is_over)
{
    const weft_cache_opts o = {.fill = gives_the_first, .drop = drop};
    void *v, *w;
    empty_store();
    weft_cache *c = weft_cache_new(&o);
    CHECK_EQ(weft_cache_get(c, "a", 1, &v), 0);
    CHECK_EQ(weft_cache_get(c, "b", 1, &w), 0);
    CHECK_PTR(v, w);
    CHECK(forget(c, "a"));
    weft_cache_put(c, v);
    CHECK(forget(c, "b"));
    CHECK_EQ(store.things[0].drops, 0);
    weft_cache_put(c, w);
    CHECK_EQ(store.things[0].drops, 2);
    CHECK_EQ(weft_cache_get(c, "a", 1, &v), 0); /* and begins anew */
    weft_cache_put(c, v);
    weft_cache_free(c);
    CHECK_EQ(store.things[0].drops, 3);
}

static int gives_nothing(const void *key, size_t len, void **ret_value,
                         void *user)
{
    (void)key;
    (void)len;
    (void)ret_value;
    ++*(int *)user;
    return 0;
}

TEST(no_value_is_a_value_and_need_not_be_dropped)
{
    int fills = 0;
    const weft_cache_opts o = {.fill = gives_nothing, .user = &fills};
    weft_cache *c = weft_cache_new(&o);
    void *v = &fills;
    CHECK_EQ(weft_cache_get(c, "a", 1, &v), 0);
    CHECK_PTR(v, NULL);
    CHECK_EQ(weft_cache_get(c, "a", 1, &v), 0);
    CHECK_EQ(fills, 1);
    weft_cache_put(c, v);
    weft_cache_put(c, v);
    weft_cache_free(c);
}

/* --- a drop that comes back --- */

static weft_cache *both;
static int inner_drops, outer_drops;

/* "outer" has "inner", and gives it back when it is dropped. */
struct box {
    void *inner;
};

static int fills_a_box(const void *key, size_t len, void **ret_value,
                       void *user)
{
    (void)user;
    struct box *box = calloc(1, sizeof *box);
    CHECK(box != NULL);
    if (len == 5 && memcmp(key, "outer", 5) == 0)
        CHECK_EQ(weft_cache_get(both, "inner", 5, &box->inner), 0);
    *ret_value = box;
    return 0;
}

static void drops_a_box(void *value)
{
    struct box *box = value;
    outer_drops += box->inner != NULL;
    inner_drops += box->inner == NULL;
    if (box->inner) weft_cache_put(both, box->inner);
    free(box);
}

static void make_boxes(size_t max)
{
    const weft_cache_opts o = {
        .fill = fills_a_box, .drop = drops_a_box, .max = max};
    inner_drops = outer_drops = 0;
    both = weft_cache_new(&o);
    CHECK(both != NULL);
}

TEST(a_value_may_have_another_one_of_the_same_cache)
{
    void *v;
    make_boxes(0);
    CHECK_EQ(weft_cache_get(both, "outer", 5, &v), 0);
    weft_cache_put(both, v);
    weft_cache_free(both);
    CHECK_EQ(outer_drops, 1);
    CHECK_EQ(inner_drops, 1);

    make_boxes(1);
    CHECK_EQ(weft_cache_get(both, "outer", 5, &v), 0);
    CHECK_EQ(inner_drops, 0); /* evicted, but held */
    weft_cache_free(both);
    CHECK_EQ(inner_drops, 0);
    weft_cache_put(both, v);
    CHECK_EQ(outer_drops, 1);
    CHECK_EQ(inner_drops, 1);
}

static void drops_and_forgets(void *value)
{
    free(value);
    inner_drops++;
    if (inner_drops == 1) {
        (void)weft_cache_forget(both, "b", 1);
        (void)weft_cache_forget(both, "c", 1);
    }
}

TEST(a_drop_may_forget_others)
{
    const weft_cache_opts o = {
        .fill = fills_a_box, .drop = drops_and_forgets, .max = 3};
    static const char *const keys[] = {"a", "b", "c", "d"};
    inner_drops = 0;
    both = weft_cache_new(&o);
    for (int i = 0; i < 4; i++) {
        void *v;
        CHECK_EQ(weft_cache_get(both, keys[i], 1, &v), 0);
        weft_cache_put(both, v);
    }
    CHECK_EQ(inner_drops, 3); /* a was evicted, and b and c with it */
    CHECK_EQ(stats(both).entries, 1);
    weft_cache_free(both);
    CHECK_EQ(inner_drops, 4);
}

/* --- a fill that asks --- */

static weft_cache *asked;
static int asked_depth;

static int asks_for_it_too(void *unused)
{
    void *v;
    (void)unused;
    CHECK_EQ(weft_cache_get(asked, "a", 1, &v), -EDEADLK);
    return 0;
}

static int asks_for_its_own_key(const void *key, size_t len, void **ret_value,
                                void *user)
{
    (void)len;
    *ret_value = user;
    asked_depth++;
    if (*(const char *)key != 'a') return 0;
    (void)asks_for_it_too(NULL);
    CHECK_EQ(in_a_nursery(asks_for_it_too, NULL), 0);
    void *other;
    CHECK_EQ(weft_cache_get(asked, "b", 1, &other), 0); /* that is fine */
    weft_cache_put(asked, other);
    return 0;
}

TEST(a_fill_that_asks_for_its_own_key_is_told)
{
    const weft_cache_opts o = {.fill = asks_for_its_own_key};
    void *v;
    asked_depth = 0;
    asked = weft_cache_new(&o);
    CHECK_EQ(weft_cache_get(asked, "a", 1, &v), 0);
    weft_cache_put(asked, v);
    CHECK_EQ(asked_depth, 2);
    weft_cache_free(asked);
}

TEST(a_child_that_was_there_before_may_wait)
{
    weft_cache *c = make(0, 0, 0);
    weft_nursery n;
    struct asker a = {.c = c, .key = "key", .result = WAITING};
    store.takes = WEFT_MSEC(5);
    weft_scope_init(&a.scope);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, asks, &a), 0);
    CHECK_EQ(look(c, "key"), 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(a.result, 1);
    CHECK_EQ(store.fills, 1);
    weft_cache_free(c);
    all_are_dropped();
}

static const char *crossed[] = {"left", "right"};

static int fills_by_the_other(const void *key, size_t len, void **ret_value,
                              void *user)
{
    int err = weft_yield();
    if (err < 0) return err;
    (void)user;
    (void)len;
    return weft_cache_get(asked, crossed[*(const char *)key == 'l'],
                          strlen(crossed[*(const char *)key == 'l']),
                          ret_value);
}

static int asks_crosswise(void *arg)
{
    void *v;
    weft_fiber_set_name(arg);
    return weft_cache_get(asked, arg, strlen(arg), &v);
}

static int fills_crosswise(void *unused)
{
    const weft_cache_opts o = {.fill = fills_by_the_other};
    weft_nursery n;
    (void)unused;
    asked = weft_cache_new(&o);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, asks_crosswise, (void *)(uintptr_t)crossed[0]), 0);
    CHECK_EQ(weft_spawn(&n, asks_crosswise, (void *)(uintptr_t)crossed[1]), 0);
    int rc = weft_nursery_close(&n, 0);
    weft_cache_free(asked);
    return rc;
}

TEST_PLAIN(two_fills_that_wait_for_each_other_make_a_circle)
{
    const char *circle = deadlock_circle(fills_crosswise);
    for (int i = 0; i < 2; i++) {
        char parked[32], held[32];
        (void)snprintf(parked, sizeof parked, "\"%s\" parked", crossed[i]);
        (void)snprintf(held, sizeof held, "\"%s\"", crossed[!i]);
        const char *line = strstr(circle, parked);
        CHECK(line && strstr(line, "in cache entry"));
        const char *holder = strstr(strstr(line, "held by"), held);
        CHECK(holder && holder < line + strcspn(line, "\n"));
    }
}

static int ends_a_cache_in_use(void *unused)
{
    weft_nursery n;
    struct asker a;
    (void)unused;
    weft_cache *c = make(0, 0, 0);
    store.takes = WEFT_SEC(1);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start_asker(&n, &a, c, "key");
    weft_cache_free(c);
    return weft_nursery_close(&n, 0);
}

TEST_DEATH(to_end_a_cache_that_somebody_asks_is_a_bug,
           "weft_cache_free: 1 key is still being filled")
{
    CHECK_EQ(weft_run(ends_a_cache_in_use, NULL, NULL), 0);
}

/* --- random use --- */

enum { KEYS = 12, MAX = 5, HELD = 10, STEPS = 6000 };

/* What is said of the cache plainly: in the order of use, the latest first. */
static struct model {
    struct {
        int key, number, failure;
        weft_time until;
    } kept[MAX + 1];
    int count, evictions;
    struct thing *held[HELD];
    int held_count;
} m;

static const char *name_of(int key)
{
    static char text[16];
    (void)snprintf(text, sizeof text, "key %d", key);
    return text;
}

static int model_find(int key)
{
    for (int i = 0; i < m.count; i++)
        if (m.kept[i].key == key) return i;
    return -1;
}

static void model_remove(int at)
{
    m.count--;
    memmove(&m.kept[at], &m.kept[at + 1],
            sizeof m.kept[0] * (size_t)(m.count - at));
}

static void model_use(int key, int number, int failure, weft_time until)
{
    memmove(&m.kept[1], &m.kept[0], sizeof m.kept[0] * (size_t)m.count);
    m.count++;
    m.kept[0].key = key;
    m.kept[0].number = number;
    m.kept[0].failure = failure;
    m.kept[0].until = until;
    if (m.count > MAX) {
        m.count--;
        m.evictions++;
    }
    for (int i = 0; i < 2 && m.count && m.kept[m.count - 1].until <= weft_now();
         i++)
        m.count--;
}

/* What a get is to return: the number of the thing, or a failure. */
static int model_get(int key)
{
    int at = model_find(key);
    if (at >= 0 && m.kept[at].until > weft_now()) {
        int number = m.kept[at].number, failure = m.kept[at].failure;
        weft_time until = m.kept[at].until;
        model_remove(at);
        memmove(&m.kept[1], &m.kept[0], sizeof m.kept[0] * (size_t)m.count++);
        m.kept[0].key = key;
        m.kept[0].number = number;
        m.kept[0].failure = failure;
        m.kept[0].until = until;
        return failure < 0 ? failure : number;
    }
    if (at >= 0) model_remove(at);
    bool fails = store.fails < 0;
    model_use(key, store.made + 1, store.fails,
              weft_after(fails ? WEFT_MSEC(7) : WEFT_MSEC(20)));
    return fails ? store.fails : store.made + 1;
}

static void get_one(weft_cache *c)
{
    int key = random_below(KEYS);
    struct thing *t;
    store.fails = random_below(4) ? 0 : -EIO;
    int expected = model_get(key);
    int rc = get(c, name_of(key), &t);
    CHECK_EQ(rc < 0 ? rc : t->number, expected);
    if (rc < 0) return;
    if (m.held_count == HELD || random_below(2)) {
        weft_cache_put(c, t);
    } else {
        m.held[m.held_count++] = t;
    }
}

static void put_one(weft_cache *c)
{
    if (m.held_count == 0) return;
    int at = random_below(m.held_count);
    struct thing *t = m.held[at];
    CHECK_EQ(t->drops, 0);
    m.held[at] = m.held[--m.held_count];
    weft_cache_put(c, t);
}

static void forget_one(weft_cache *c)
{
    int key = random_below(KEYS), at = model_find(key);
    bool good = at >= 0 && m.kept[at].until > weft_now();
    CHECK_EQ(forget(c, name_of(key)), good);
    if (at >= 0) model_remove(at);
}

/* What is dropped is exactly what neither the model keeps nor we hold. */
static void compare(const weft_cache *c)
{
    static bool alive[MANY];
    memset(alive, 0, sizeof alive);
    CHECK_EQ(stats(c).entries, m.count);
    CHECK_EQ(stats(c).evictions, m.evictions);
    for (int i = 0; i < m.count; i++)
        if (m.kept[i].failure == 0) alive[m.kept[i].number - 1] = true;
    for (int i = 0; i < m.held_count; i++)
        alive[m.held[i]->number - 1] = true;
    for (int i = 0; i < store.made; i++)
        CHECK_EQ(store.things[i].drops, !alive[i]);
}

TEST(a_cache_is_a_list_in_the_order_of_use)
{
    weft_cache *c = make(WEFT_MSEC(20), WEFT_MSEC(7), MAX);
    random_begin(test_seed());
    for (int i = 0; i < STEPS && store.made < MANY - 1; i++) {
        int what = random_below(10);
        if (what < 6)
            get_one(c);
        else if (what < 8)
            put_one(c);
        else if (what < 9)
            forget_one(c);
        else
            CHECK_EQ(weft_sleep(WEFT_MSEC(1 + random_below(6))), 0);
        if (i % 16 == 0) compare(c);
    }
    compare(c);
    CHECK(m.evictions > 0 && store.made > 100);
    weft_cache_free(c);
    while (m.held_count > 0)
        put_one(c);
    all_are_dropped();
}

/* Many fibers at random moments, keys and ends: whatever happens, a key is
 * filled by one at a time, and what is had is there while it is had. */
enum { CROWD = 40, CROWD_KEYS = 4 };
static int filling[CROWD_KEYS], forgotten;

static int fetch_slowly(const void *key, size_t len, void **ret_value,
                        void *user)
{
    int i = ((const char *)key)[len - 1] - '0';
    filling[i]++;
    CHECK(filling[i] == 1 || forgotten);
    int err = weft_sleep(WEFT_MSEC(random_below(4)));
    filling[i]--;
    if (err < 0) return err;
    if (random_below(5) == 0) return -EIO;
    store.takes = 0;
    store.fails = 0;
    return fetch(key, len, ret_value, user);
}

static int is_in_the_crowd(void *arg)
{
    weft_cache *c = arg;
    int rc = 0;
    for (int i = 0; i < 25 && rc == 0; i++) {
        char key[16];
        struct thing *t = NULL;
        (void)snprintf(key, sizeof key, "%d", random_below(CROWD_KEYS));
        WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(1 + random_below(8))) {
            rc = get(c, key, &t);
            if (rc < 0) break;
            rc = weft_sleep(WEFT_MSEC(random_below(3)));
            CHECK_EQ(t->drops, 0);
            weft_cache_put(c, t);
        }
        if (rc == -EIO) rc = 0;
        if (forgotten && random_below(4) == 0) (void)forget(c, key);
    }
    return rc;
}

static void crowd(size_t max, int forgets)
{
    const weft_cache_opts o = {.fill = fetch_slowly,
                               .drop = drop,
                               .user = &store,
                               .ttl = WEFT_MSEC(3),
                               .negative_ttl = WEFT_MSEC(1),
                               .max = max};
    weft_nursery n;
    empty_store();
    forgotten = forgets;
    weft_cache *c = weft_cache_new(&o);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < CROWD; i++)
        CHECK_EQ(weft_spawn(&n, is_in_the_crowd, c), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    weft_cache_stats s = stats(c);
    CHECK(s.hits > 0 && s.misses > 0 && s.waits > 0);
    CHECK_EQ(s.hits + s.misses + s.waits, CROWD * 25);
    weft_cache_free(c);
    all_are_dropped();
}

TEST(in_a_crowd_a_key_is_filled_by_one_at_a_time)
{
    random_begin(test_seed());
    crowd(0, 0);
    crowd(2, 0);
    crowd(1, 1);
}

/* --- memory --- */

static long allocations(void)
{
#ifdef WEFT_HOSTILE
    return wf_hostile_uses(WF_CALL_ALLOC);
#else
    return 0; /* are not counted, only what is outstanding */
#endif
}

TEST(a_hit_allocates_nothing)
{
    weft_cache *c = make(0, WEFT_SEC(1), 0);
    struct wf_leaks before, after;
    struct thing *t;
    CHECK_EQ(get(c, "a", &t), 0);
    store.fails = -EIO;
    CHECK_EQ(look(c, "b"), -EIO);
    wf_leaks_read(&before);
    long count = allocations();
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(get(c, "a", &t), 0); /* each is held */
        CHECK_EQ(look(c, "b"), -EIO);
    }
    wf_leaks_read(&after);
    CHECK_EQ(after.bytes, before.bytes);
    CHECK_EQ(allocations(), count);
    for (int i = 0; i < 1001; i++)
        weft_cache_put(c, t);
    CHECK_EQ(t->drops, 0);
    weft_cache_free(c);
    all_are_dropped();
}

#ifdef WEFT_HOSTILE
static int uses_without_memory(void *unused)
{
    const weft_cache_opts o = {.fill = fetch,
                               .drop = drop,
                               .user = &store,
                               .ttl = WEFT_MSEC(30),
                               .negative_ttl = WEFT_MSEC(3),
                               .max = 20};
    int failed = 0;
    (void)unused;
    empty_store();
    weft_cache *c = weft_cache_new(&o);
    if (!c) return -ENOMEM;
    for (int i = 0; i < 60; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%d", i % 40);
        store.fails = i % 7 ? 0 : -EIO;
        int fills = store.fills, rc = look(c, key);
        CHECK(rc > 0 || rc == -EIO || rc == -ENOMEM);
        if (rc == -ENOMEM) CHECK_EQ(store.fills, fills); /* before the fill */
        failed += rc == -ENOMEM;
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    }
    weft_cache_free(c);
    all_are_dropped();
    return failed ? -ENOMEM : 0;
}

static int shares_without_memory(void *unused)
{
    const weft_cache_opts o = {.fill = fetch, .drop = drop, .user = &store};
    static struct asker a[FIVE];
    weft_nursery n;
    int rc = 0, failed = 0;
    (void)unused;
    empty_store();
    store.takes = WEFT_MSEC(10);
    weft_cache *c = weft_cache_new(&o);
    if (!c) return -ENOMEM;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < FIVE && rc == 0; i++) {
        a[i] = (struct asker){.c = c, .key = "key", .result = WAITING};
        weft_scope_init(&a[i].scope);
        rc = weft_spawn(&n, asks, &a[i]);
    }
    if (rc == 0) {
        CHECK_EQ(weft_yield(), 0);
        weft_scope_cancel(&a[0].scope, 0, NULL);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < FIVE && rc == 0; i++) {
        CHECK(a[i].result == -ENOMEM || a[i].result == 1 ||
              (i == 0 && a[i].result == -ECANCELED));
        failed += a[i].result == -ENOMEM;
    }
    weft_cache_free(c);
    all_are_dropped();
    return rc < 0 || failed ? -ENOMEM : 0;
}

TEST_PLAIN(without_memory_nothing_is_filled_and_nothing_is_lost)
{
    fail_each(uses_without_memory, WF_CALL_ALLOC);
    fail_each(shares_without_memory, WF_CALL_ALLOC);
}
#endif
