/* SPDX-License-Identifier: MIT */
/* test_grant_signals.c - grant versus cancel: what is announced. */
#include <weft/barrier.h>
#include <weft/cache.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/once.h>
#include <weft/testing.h>

#include "grant.h"

/* ---- event -------------------------------------------------------------- */

static weft_event event;

static void clear_event(void)
{
    event = (weft_event)WEFT_EVENT_INIT;
}

static int waits_for_event(struct grant_waiter *w)
{
    (void)w;
    return weft_event_wait(&event);
}

static void set_event(void)
{
    weft_event_set(&event);
}

static int event_is_set(void)
{
    return weft_event_is_set(&event);
}

static void pulse_event(void)
{
    weft_event_set(&event);
    weft_event_clear(&event);
}

/* ---- barrier ------------------------------------------------------------ */

enum { PARTIES = 6 };

static weft_barrier barrier;

static void new_barrier(void)
{
    weft_barrier_init(&barrier, PARTIES);
}

static int waits_for_others(struct grant_waiter *w)
{
    (void)w;
    int place = weft_barrier_wait(&barrier);
    return place < 0 ? place : 0;
}

static int arrives(void *arg)
{
    (void)arg;
    int place = weft_barrier_wait(&barrier);
    return place < 0 ? place : 0;
}

/* As many as are missing; none if nobody waits. */
static void complete_barrier(void)
{
    uint32_t there = weft_barrier_waiting(&barrier);
    while (there % PARTIES) {
        grant_spawn(arrives, NULL);
        there++;
    }
}

static void reset_barrier(void)
{
    weft_barrier_reset(&barrier);
}

static void nobody_at_the_barrier(void)
{
    CHECK_EQ(weft_barrier_waiting(&barrier), 0);
}

/* ---- once --------------------------------------------------------------- */

static weft_once once;
static int done;

static int does_when_told(void *arg)
{
    int err = weft_event_wait(&event);
    done += err == 0;
    return err < 0 ? err : *(int *)arg;
}

static int never_called(void *arg)
{
    (void)arg;
    CHECK(false);
    return 0;
}

static int does(void *arg)
{
    (void)arg;
    done++;
    return 0;
}

/* With *arg for the result of the function. */
static int runs_once(void *arg)
{
    int err = weft_once_do(&once, does_when_told, arg);
    CHECK(err == *(int *)arg || err == -ECANCELED);
    return 0;
}

static void start_once(int *result)
{
    clear_event();
    once = (weft_once)WEFT_ONCE_INIT;
    done = 0;
    grant_spawn(runs_once, result);
}

static void once_that_succeeds(void)
{
    static int success;
    start_once(&success);
}

static int waits_for_once(struct grant_waiter *w)
{
    (void)w;
    return weft_once_do(&once, never_called, NULL);
}

static int once_is_done(void)
{
    return weft_once_done(&once);
}

static void once_that_fails(void)
{
    static int failure = -EIO;
    start_once(&failure);
}

static int takes_over_once(struct grant_waiter *w)
{
    (void)w;
    return weft_once_do(&once, does, NULL);
}

/* The one that failed does not count: once more, by whoever it was. */
static int done_once_or_to_do(void)
{
    CHECK_EQ(weft_once_do(&once, does, NULL), 0);
    CHECK_EQ(done, 2);
    return 1;
}

/* ---- cache -------------------------------------------------------------- */

static weft_cache *cache;
static int filled, given, dropped;
static char value;

/* The first fill waits to be told, and then has *user for its result. */
static int fills(const void *key, size_t len, void **ret_value, void *user)
{
    (void)key;
    (void)len;
    int err = filled++ == 0 ? weft_event_wait(&event) : 0;
    if (err == 0 && filled == 1) err = *(int *)user;
    if (err < 0) return err;
    *ret_value = &value;
    given++;
    return 0;
}

static void drops(void *of)
{
    CHECK_PTR(of, &value);
    dropped++;
}

static int gets_and_puts(void *arg)
{
    void *got;
    (void)arg;
    int err = weft_cache_get(cache, "key", 3, &got);
    if (err == 0) weft_cache_put(cache, got);
    CHECK(err == 0 || err == -ECANCELED);
    return 0;
}

static void start_cache(int *result)
{
    const weft_cache_opts o = {.fill = fills, .drop = drops, .user = result};
    clear_event();
    filled = given = dropped = 0;
    cache = weft_cache_new(&o);
    CHECK(cache != NULL);
    grant_spawn(gets_and_puts, NULL);
}

static void cache_that_is_filled(void)
{
    static int success;
    start_cache(&success);
}

static void cache_whose_filler_is_cancelled(void)
{
    static int cancelled = -ECANCELED;
    start_cache(&cancelled);
}

static int gets(struct grant_waiter *w)
{
    return weft_cache_get(cache, "key", 3, &w->value);
}

static void puts_back(struct grant_waiter *w)
{
    CHECK_PTR(w->value, &value);
    weft_cache_put(cache, w->value);
}

static int cached(void)
{
    weft_cache_stats s;
    weft_cache_stats_read(cache, &s);
    CHECK_EQ(filled, 1);
    return (int)s.entries;
}

static int cached_or_to_fill(void)
{
    (void)gets_and_puts(NULL);
    CHECK_EQ(filled, 2);
    return 1;
}

static void free_cache(void)
{
    set_event(); /* in a cell without a grant it is still being filled */
    CHECK_EQ(weft_test_settle(), 0);
    weft_cache_free(cache);
    CHECK_EQ(dropped, given);
}

static const struct grant_row rows[] = {
    {.name = "event_wait",
     .setup = clear_event,
     .wait = waits_for_event,
     .grant = set_event,
     .left = event_is_set,
     .share = TO_ALL,
     .tries = true},
    {.name = "event_wait, cleared at once",
     .setup = clear_event,
     .wait = waits_for_event,
     .grant = pulse_event,
     .share = TO_ALL,
     .without = {[CANCELLED_AT_THE_ENTRY] = "what nobody waits for is lost"}},
    {.name = "barrier_wait",
     .setup = new_barrier,
     .wait = waits_for_others,
     .grant = complete_barrier,
     .finish = nobody_at_the_barrier,
     .pace = BY_A_FIBER,
     .share = TO_ALL,
     .without = {[CANCELLED_AT_THE_ENTRY] = "it needs somebody who waits"}},
    {.name = "barrier_wait, reset",
     .setup = new_barrier,
     .wait = waits_for_others,
     .grant = reset_barrier,
     .finish = nobody_at_the_barrier,
     .want = -EPIPE,
     .share = TO_ALL,
     .without = {[CANCELLED_AT_THE_ENTRY] = "a reset is for those who wait"}},
    {.name = "once_do",
     .setup = once_that_succeeds,
     .wait = waits_for_once,
     .grant = set_event,
     .left = once_is_done,
     .pace = BY_A_FIBER,
     .share = TO_ALL,
     .tries = true},
    {.name = "once_do, taking over",
     .setup = once_that_fails,
     .wait = takes_over_once,
     .grant = set_event,
     .left = done_once_or_to_do,
     .pace = BY_A_FIBER,
     .share = HANDED_ON},
    {.name = "cache_get",
     .setup = cache_that_is_filled,
     .wait = gets,
     .grant = set_event,
     .left = cached,
     .undo = puts_back,
     .finish = free_cache,
     .pace = BY_A_FIBER,
     .share = TO_ALL,
     .tries = true},
    {.name = "cache_get, taking over",
     .setup = cache_whose_filler_is_cancelled,
     .wait = gets,
     .grant = set_event,
     .left = cached_or_to_fill,
     .undo = puts_back,
     .finish = free_cache,
     .pace = BY_A_FIBER,
     .share = HANDED_ON},
};

GRANT_TESTS(rows)
