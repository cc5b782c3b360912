/* SPDX-License-Identifier: MIT */
/* test_sweep_once.c - the sweep over limiters, onces and caches. */
#include <weft/cache.h>
#include <weft/fiber.h>
#include <weft/limiter.h>
#include <weft/nursery.h>
#include <weft/once.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <string.h>

#include "harness.h"
#include "sweep.h"

/* --- limiter --- */

static weft_limiter limiter;
static unsigned inside;

static int borrows_twice(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) {
        int err = weft_limiter_acquire(&limiter, NULL);
        if (err < 0) return err;
        inside++;
        CHECK(inside <= weft_limiter_lent(&limiter)); /* some have not run */
        CHECK_EQ(weft_limiter_try(&limiter, NULL), -EDEADLK);
        err = i == 0 ? weft_sleep(WEFT_MSEC(1)) : weft_yield();
        inside--;
        CHECK_EQ(weft_limiter_release(&limiter, NULL), 0);
        if (err < 0) return err;
    }
    return 0;
}

static void start_borrowers(weft_nursery *n)
{
    weft_limiter_init(&limiter, 2);
    inside = 0;
    for (int i = 0; i < 5; i++)
        sweep_spawn(n, borrows_twice, NULL);
}

static void check_tokens(void)
{
    CHECK_EQ(inside, 0);
    CHECK_EQ(weft_limiter_lent(&limiter), 0);
    CHECK_EQ(weft_limiter_waiting(&limiter), 0);
    weft_limiter_resize(&limiter, 1);
    CHECK_EQ(weft_limiter_try(&limiter, NULL), 0);
    weft_limiter_fini(&limiter);
}

SWEEP(all_tokens_come_back, start_borrowers, check_tokens, 0);

/* --- limiter: objects, of which each is asked for by two --- */

static char objects[2];

static int borrows_for_an_object(void *arg)
{
    int err = weft_limiter_acquire(&limiter, arg);
    if (err == -EDEADLK) return weft_yield();
    if (err < 0) return err;
    err = weft_sleep(WEFT_MSEC(2));
    CHECK_EQ(weft_limiter_release(&limiter, arg), 0);
    return err;
}

static int resizes(void *arg)
{
    static const uint32_t totals[] = {1, 0, 3};
    (void)arg;
    for (int i = 0; i < 3; i++) {
        weft_limiter_resize(&limiter, totals[i]);
        int err = weft_sleep(WEFT_MSEC(1));
        if (err < 0) return err;
    }
    return 0;
}

static void start_with_objects(weft_nursery *n)
{
    weft_limiter_init(&limiter, 0);
    inside = 0;
    sweep_spawn(n, borrows_for_an_object, &objects[0]);
    sweep_spawn(n, borrows_for_an_object, &objects[0]);
    sweep_spawn(n, borrows_twice, NULL);
    sweep_spawn(n, borrows_for_an_object, &objects[1]);
    sweep_spawn(n, borrows_for_an_object, &objects[1]);
    sweep_spawn(n, resizes, NULL);
}

SWEEP(all_tokens_come_back_to_a_limiter_that_is_resized, start_with_objects,
      check_tokens, SWEEP_PEERS_MAY_WAIT);

/* --- once --- */

static weft_once once;
static int at_work, tries, successes;

static int makes_it(void *arg)
{
    CHECK_EQ(at_work++, 0);
    tries++;
    int err = weft_sleep(WEFT_MSEC(1));
    if (err == 0) err = weft_yield();
    at_work--;
    if (err < 0) return err;
    if (*(int *)arg < 0) return *(int *)arg;
    successes++;
    return 0;
}

static int needs_it(void *arg)
{
    int err = weft_once_do(&once, makes_it, arg);
    if (err == -EIO) return 0;
    if (err < 0) return err;
    CHECK_EQ(successes, 1);
    err = weft_yield();
    return err < 0 ? err : weft_once_do(&once, makes_it, arg);
}

static void start_makers(weft_nursery *n)
{
    static int results[] = {-EIO, 0, -EIO, 0, 0};
    once = (weft_once)WEFT_ONCE_INIT;
    at_work = tries = successes = 0;
    for (int i = 0; i < 5; i++)
        sweep_spawn(n, needs_it, &results[i]);
}

static int makes_the_last(void *arg)
{
    (void)arg;
    successes++;
    return 0;
}

static void check_made(void)
{
    CHECK_EQ(at_work, 0);
    CHECK(successes <= 1 && tries >= successes);
    CHECK_EQ(weft_once_done(&once), successes == 1);
    CHECK_EQ(weft_once_do(&once, makes_the_last, NULL), 0);
    CHECK_EQ(successes, 1);
    CHECK_EQ(weft_once_reset(&once), 0);
}

SWEEP(it_is_made_once_whoever_gets_to_it, start_makers, check_made, 0);

/* --- once: made by a nursery of its own --- */

static int asks_in_vain(void *arg)
{
    (void)arg;
    int err = weft_once_do(&once, makes_the_last, NULL);
    CHECK(err == -EDEADLK || err == -ECANCELED);
    return err == -EDEADLK ? weft_sleep(WEFT_MSEC(1)) : err;
}

static int makes_it_by_children(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, asks_in_vain, NULL);
        if (rc == 0) rc = weft_spawn(&n, asks_in_vain, NULL);
        if (rc == 0) rc = weft_yield();
    }
    if (rc == 0) successes++;
    return rc;
}

static int needs_it_by_children(void *arg)
{
    return weft_once_do(&once, makes_it_by_children, arg);
}

static void start_families(weft_nursery *n)
{
    once = (weft_once)WEFT_ONCE_INIT;
    at_work = tries = successes = 0;
    for (int i = 0; i < 3; i++)
        sweep_spawn(n, needs_it_by_children, NULL);
}

static void check_families(void)
{
    tries = successes;
    check_made();
}

SWEEP(a_family_makes_it_once, start_families, check_families, 0);

/* --- cache --- */

enum { THINGS = 64 };
static weft_cache *cache;
static int made, fills_of[2];
static struct thing {
    int drops, holders;
} things[THINGS];

static int fetches(const void *key, size_t len, void **ret_value, void *user)
{
    int *fills = &fills_of[*(const char *)key - 'a'];
    (void)len;
    CHECK(*fills == 0 || user);
    ++*fills;
    int err = weft_sleep(WEFT_MSEC(1));
    if (err == 0) err = weft_yield();
    --*fills;
    if (err < 0) return err;
    CHECK(made < THINGS);
    *ret_value = &things[made++];
    return made == 2 ? -EIO : 0; /* and that one is nobody's */
}

static void drops(void *value)
{
    struct thing *t = value;
    CHECK_EQ(t->holders, 0);
    t->drops++;
}

static int asks_for(const char *key)
{
    void *value;
    int err = weft_cache_get(cache, key, 1, &value);
    if (err == -EIO) return 0;
    if (err < 0) return err;
    struct thing *t = value;
    CHECK_EQ(t->drops, 0);
    t->holders++;
    err = weft_yield();
    CHECK_EQ(t->drops, 0);
    t->holders--;
    weft_cache_put(cache, t);
    return err;
}

static int asks_for_both(void *arg)
{
    const char *first = arg;
    for (int i = 0; i < 2; i++) {
        int err = asks_for(first);
        if (err == 0) err = asks_for(*first == 'a' ? "b" : "a");
        if (err < 0) return err;
    }
    return 0;
}

static bool make_cache(weft_cache_opts o)
{
    made = 0;
    memset(fills_of, 0, sizeof fills_of);
    memset(things, 0, sizeof things);
    o.fill = fetches;
    o.drop = drops;
    cache = weft_cache_new(&o);
    return sweep_had(cache != NULL);
}

static void start_askers(weft_nursery *n)
{
    if (!make_cache((weft_cache_opts){.max = 1})) return;
    sweep_spawn(n, asks_for_both, "a");
    sweep_spawn(n, asks_for_both, "a");
    sweep_spawn(n, asks_for_both, "b");
    sweep_spawn(n, asks_for_both, "a");
}

static void check_things(void)
{
    CHECK_EQ(fills_of[0], 0);
    CHECK_EQ(fills_of[1], 0);
    weft_cache_free(cache);
    for (int i = 0; i < made; i++) {
        CHECK_EQ(things[i].holders, 0);
        CHECK_EQ(things[i].drops, i != 1);
    }
}

SWEEP(each_value_is_dropped_once, start_askers, check_things, 0);

/* --- cache: forgetting, and times that pass --- */

static int forgets(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        int err = weft_sleep(WEFT_MSEC(1));
        if (err < 0) return err;
        (void)weft_cache_forget(cache, i == 1 ? "b" : "a", 1);
    }
    return 0;
}

static int asks_in_a_deadline(void *arg)
{
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1)) {
        rc = asks_for_both(arg);
    }
    return rc == -ETIMEDOUT ? 0 : rc;
}

static void start_forgetting(weft_nursery *n)
{
    static int several; /* fills of a key at a time */
    if (!make_cache((weft_cache_opts){.ttl = WEFT_MSEC(2),
                                      .negative_ttl = WEFT_MSEC(1),
                                      .user = &several}))
        return;
    sweep_spawn(n, asks_in_a_deadline, "a");
    sweep_spawn(n, asks_for_both, "a");
    sweep_spawn(n, forgets, NULL);
    sweep_spawn(n, asks_for_both, "b");
    sweep_spawn(n, asks_in_a_deadline, "b");
}

SWEEP(each_value_is_dropped_once_though_forgotten, start_forgetting,
      check_things, 0);
