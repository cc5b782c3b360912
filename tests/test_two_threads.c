/* SPDX-License-Identifier: MIT */
/* test_two_threads.c - threads with a run each have nothing in common. */
#include <weft/background.h>
#include <weft/cleanup.h>
#include <weft/fiber.h>
#include <weft/gen.h>
#include <weft/local.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/time.h>

#include <pthread.h>

#include "harness.h"

enum { THREADS = 3, RUNS = 20, CHILDREN = 20, ITEMS = 20 };

struct side {
    pthread_t thread;
    int result, closed, deferred, dropped, items;
};

static int closes(void *arg)
{
    ((struct side *)arg)->closed++;
    return weft_yield();
}

static void defers(void *arg)
{
    ((struct side *)arg)->deferred++;
}

static void drops(void *arg)
{
    ((struct side *)arg)->dropped++;
}

static weft_key key = {.name = "side", .drop = drops};

static int yields_numbers(weft_gen *g, void *arg)
{
    (void)arg;
    for (int i = 0; i < ITEMS; i++) {
        int err = weft_gen_yield(g, &i);
        if (err < 0) return err;
    }
    return 0;
}

static int lives(void *arg)
{
    int err = weft_defer(defers, arg);
    if (err == 0) err = weft_local_push(&key, arg);
    if (err == 0) err = weft_sleep(WEFT_USEC(100));
    return err;
}

static int uses_everything(void *arg)
{
    struct side *s = arg;
    weft_nursery n;
    int rc, err = weft_background(lives, s, NULL);
    if (err < 0) return err;
    err = weft_nursery_open(&n, NULL);
    if (err < 0) return err;
    for (int i = 0; i < CHILDREN && err == 0; i++) {
        err = weft_own(&n, closes, s, NULL);
        if (err == 0) err = weft_spawn(&n, lives, s);
    }
    WEFT_FOREACH(int *, number, rc, yields_numbers, NULL) {
        if (*number == s->items % ITEMS) s->items++;
    }
    return weft_nursery_close(&n, err < 0 ? err : rc);
}

/* Runs of every kind: either clock, each order, now and then a watchdog. */
static void *runs_over_and_over(void *arg)
{
    struct side *s = arg;
    for (unsigned i = 0; i < RUNS && s->result == 0; i++) {
        const weft_run_opts o = {.virtual_clock = i % 2,
                                 .sched_seed = i,
                                 .watchdog = i % 3 ? 0 : WEFT_SEC(1)};
        s->result = weft_run(uses_everything, s, &o);
    }
    return NULL;
}

TEST_PLAIN(runs_on_several_threads_do_not_touch_each_other)
{
    static struct side sides[THREADS];
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_create(&sides[i].thread, NULL, runs_over_and_over,
                                &sides[i]),
                 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_join(sides[i].thread, NULL), 0);
        CHECK_EQ(sides[i].result, 0);
        CHECK_EQ(sides[i].closed, RUNS * CHILDREN);
        CHECK_EQ(sides[i].deferred, RUNS * (CHILDREN + 1));
        CHECK_EQ(sides[i].dropped, RUNS * (CHILDREN + 1));
        CHECK_EQ(sides[i].items, RUNS * ITEMS);
    }
}
