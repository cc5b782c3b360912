/* SPDX-License-Identifier: MIT */
/* test_sweep_mixed.c - the sweep over whole programs: trees and pipelines. */
#include <weft/chan.h>
#include <weft/fiber.h>
#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/sem.h>
#include <weft/time.h>

#include "harness.h"
#include "sweep.h"

/* --- nurseries in nurseries --- */

static int alive;

static int grows_a_tree(void *arg)
{
    int depth = *(int *)arg, below = depth - 1, rc;
    alive++;
    if (depth == 0) {
        rc = weft_sleep(WEFT_MSEC(2));
        alive--;
        return rc;
    }
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 2 && rc == 0; i++) {
            CHECK_EQ(weft_spawn(&n, grows_a_tree, &below), 0);
            rc = weft_yield();
        }
    }
    CHECK(rc == 0 || rc == -ECANCELED);
    alive--;
    return rc;
}

static int three = 3;

static void start_trees(weft_nursery *n)
{
    CHECK_EQ(alive, 0);
    sweep_spawn(n, grows_a_tree, &three);
    sweep_spawn(n, grows_a_tree, &three);
}

static void check_trees(void)
{
    CHECK_EQ(alive, 0);
}

TEST(no_child_outlives_its_nursery)
{
    sweep(&(struct sweep){start_trees, check_trees, 12, 4});
}

/* --- places in a limited nursery --- */

static weft_nursery limited;
static int running, started, spawned, asking;

static int takes_a_place(void *arg)
{
    (void)arg;
    CHECK(++running <= 2);
    started++;
    int err = weft_sleep(WEFT_MSEC(1));
    running--;
    return err == -ECANCELED && !weft_cancelled() ? -EIO : err;
}

static int asks_for_places(void *arg)
{
    int rc = 0;
    (void)arg;
    asking++;
    for (int i = 0; i < 3 && rc == 0; i++) {
        rc = weft_spawn_wait(&limited, takes_a_place, NULL);
        spawned += rc == 0;
    }
    asking--;
    return rc == -ESHUTDOWN ? 0 : rc;
}

/* Opens the limited nursery, and closes it when nobody asks any more. */
static int keeps_it_open(void *arg)
{
    weft_nursery_opts opts = {.limit = 2};
    (void)arg;
    CHECK_EQ(weft_nursery_open(&limited, &opts), 0);
    int rc = weft_sleep(0);
    while (rc == 0 && asking > 0) {
        rc = weft_sleep(WEFT_MSEC(1));
    }
    int err = weft_nursery_close(&limited, rc);
    CHECK(err == 0 || err == -ECANCELED);
    return err;
}

static void start_places(weft_nursery *n)
{
    running = started = spawned = asking = 0;
    sweep_spawn(n, keeps_it_open, NULL);
    for (int i = 0; i < 3; i++) {
        sweep_spawn(n, asks_for_places, NULL);
    }
}

static void check_places(void)
{
    CHECK_EQ(running, 0);
    CHECK_EQ(asking, 0);
    CHECK_EQ(started, spawned); /* what was taken over did run */
}

TEST(every_place_that_was_given_is_used)
{
    sweep(&(struct sweep){start_places, check_places, 10, 6});
}

/* --- a pipeline of all of it --- */

static weft_chan *jobs, *results;
static weft_sem sem;
static weft_mutex mutex;
static int made, finished, in_hand, inside;

static int makes_jobs(void *arg)
{
    int rc = 0;
    (void)arg;
    for (int i = 0; i < 8 && rc == 0; i++) {
        rc = weft_chan_send(jobs, &i);
        if (rc == 0) made++;
    }
    weft_chan_close(jobs);
    return rc;
}

static int handle_one(void)
{
    int item, rc = weft_chan_recv(jobs, &item);
    if (rc <= 0) return rc;
    in_hand++;
    int err = weft_sem_acquire(&sem, 1);
    if (err == 0) {
        err = weft_sleep(WEFT_MSEC(1));
        CHECK_EQ(weft_sem_release(&sem, 1), 0);
    }
    WEFT_SHIELD(err, WEFT_SEC(1)) {
        err = weft_mutex_lock(&mutex);
        if (err < 0) break; /* the shield has its end too */
        CHECK_EQ(inside++, 0);
        err = weft_chan_send(results, &item);
        CHECK_EQ(--inside, 0);
        CHECK_EQ(weft_mutex_unlock(&mutex), 0);
    }
    if (err == 0) in_hand--;
    return err == 0 ? 1 : err;
}

static int works(void *arg)
{
    int rc = 1;
    (void)arg;
    while (rc == 1) {
        rc = handle_one();
    }
    return rc == -ETIMEDOUT ? weft_checkpoint() : rc;
}

static int collects(void *arg)
{
    int item, rc = 1;
    (void)arg;
    while (rc == 1) {
        rc = weft_chan_recv(results, &item);
        if (rc == 1) finished++;
    }
    return rc;
}

static void start_pipeline(weft_nursery *n)
{
    made = finished = in_hand = 0;
    mutex = (weft_mutex)WEFT_MUTEX_INIT;
    weft_sem_init(&sem, 1, 1);
    jobs = weft_chan_new(sizeof(int), 2, NULL);
    results = weft_chan_new(sizeof(int), 1, NULL);
    sweep_spawn(n, makes_jobs, NULL);
    for (int i = 0; i < 3; i++) {
        sweep_spawn(n, works, NULL);
    }
    sweep_spawn(n, collects, NULL);
}

static void check_pipeline(void)
{
    size_t waiting = weft_chan_length(jobs) + weft_chan_length(results);
    CHECK_EQ(made, (size_t)(finished + in_hand) + waiting);
    CHECK_EQ(weft_sem_value(&sem), 1);
    CHECK_EQ(weft_mutex_trylock(&mutex), 0);
    CHECK_EQ(weft_mutex_unlock(&mutex), 0);
    weft_chan_free(jobs);
    weft_chan_free(results);
}

TEST(a_pipeline_can_be_stopped_anywhere)
{
    sweep(&(struct sweep){start_pipeline, check_pipeline, 16, 10});
}
