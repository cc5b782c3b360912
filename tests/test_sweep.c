/* SPDX-License-Identifier: MIT */
/* test_sweep.c - whatever is cancelled whenever, nothing is lost. */
#include <weft/chan.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/sem.h>
#include <weft/time.h>

#include <string.h>

#include "harness.h"
#include "sweep.h"

/* --- semaphore --- */

static weft_sem sem;
static uint32_t wanted[] = {1, 3, 2, 1, 2};

static int takes_permits_twice(void *arg)
{
    uint32_t n = *(uint32_t *)arg;
    for (int i = 0; i < 2; i++) {
        int err = weft_sem_acquire(&sem, n);
        if (err < 0) return err;
        err = i == 0 ? weft_sleep(WEFT_MSEC(1)) : weft_yield();
        CHECK_EQ(weft_sem_release(&sem, n), 0);
        if (err < 0) return err;
    }
    return 0;
}

static void start_takers(weft_nursery *n)
{
    weft_sem_init(&sem, 3, 3);
    for (int i = 0; i < 5; i++) {
        sweep_spawn(n, takes_permits_twice, &wanted[i]);
    }
}

static void check_permits(void)
{
    CHECK_EQ(weft_sem_value(&sem), 3);
    CHECK_EQ(weft_sem_try(&sem, 3), 0); /* and nobody is in line */
}

TEST(all_permits_come_back)
{
    sweep(&(struct sweep){start_takers, check_permits, 12, 6});
}

/* --- mutex --- */

static weft_mutex mutex;
static int inside, damage;

static int works_in_the_section(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) {
        int err = weft_mutex_lock(&mutex);
        if (err < 0) return err;
        CHECK_EQ(inside++, 0);
        damage++;
        err = i == 0 ? weft_sleep(WEFT_MSEC(1)) : weft_yield();
        damage--;
        CHECK_EQ(--inside, 0);
        CHECK_EQ(weft_mutex_unlock(&mutex), 0);
        if (err < 0) break;
    }
    int rc = weft_mutex_lock_nc(&mutex); /* clean-up, cancelled or not */
    CHECK_EQ(rc, 0);
    CHECK_EQ(inside, 0);
    CHECK_EQ(weft_mutex_unlock(&mutex), 0);
    return weft_checkpoint();
}

static void start_lockers(weft_nursery *n)
{
    mutex = (weft_mutex)WEFT_MUTEX_INIT;
    for (int i = 0; i < 4; i++) {
        sweep_spawn(n, works_in_the_section, NULL);
    }
}

static void check_mutex(void)
{
    CHECK_EQ(inside, 0);
    CHECK_EQ(damage, 0);
    CHECK_EQ(weft_mutex_trylock(&mutex), 0);
    CHECK_EQ(weft_mutex_unlock(&mutex), 0);
}

TEST(the_mutex_is_free_and_never_had_two_owners)
{
    sweep(&(struct sweep){start_lockers, check_mutex, 14, 5});
}

/* --- channels: items sent = received + dropped --- */

static weft_chan *chan;
static int sent, received, dropped;
static bool seen[64];

static void forget_all(void)
{
    sent = received = dropped = 0;
    memset(seen, 0, sizeof(seen));
}

static void take_note(int item)
{
    CHECK(item >= 0 && item < 64);
    CHECK(!seen[item]);
    seen[item] = true;
}

static void drop_item(void *item)
{
    take_note(*(int *)item);
    dropped++;
}

static int sends_four(void *arg)
{
    for (int i = 0; i < 4; i++) {
        int item = *(int *)arg * 4 + i;
        int err = weft_chan_send(chan, &item);
        if (err < 0) return err;
        sent++;
        if (i == 1) err = weft_sleep(WEFT_MSEC(1));
        if (err < 0) return err;
    }
    return 0;
}

static int receives_six(void *arg)
{
    (void)arg;
    for (int i = 0; i < 6; i++) {
        int item = -1;
        int rc = weft_chan_recv(chan, &item);
        if (rc < 0) CHECK_EQ(item, -1);
        if (rc < 0) return rc;
        CHECK_EQ(rc, 1);
        received++;
        take_note(item);
    }
    return 0;
}

static int numbers[] = {0, 1, 2};

static void start_transfers(weft_nursery *n)
{
    forget_all();
    for (int i = 0; i < 3; i++) {
        sweep_spawn(n, sends_four, &numbers[i]);
        if (i < 2) sweep_spawn(n, receives_six, NULL);
    }
}

static void start_rendezvous(weft_nursery *n)
{
    chan = weft_chan_new(sizeof(int), 0, drop_item);
    start_transfers(n);
}

static void start_buffered(weft_nursery *n)
{
    chan = weft_chan_new(sizeof(int), 2, drop_item);
    start_transfers(n);
}

static void check_rendezvous(void)
{
    CHECK_EQ(sent, received);
    CHECK_EQ(weft_chan_trysend(chan, &(int){63}), -EAGAIN);
    CHECK_EQ(weft_chan_tryrecv(chan, &(int){0}), -EAGAIN);
    weft_chan_free(chan);
    CHECK_EQ(dropped, 0);
}

static void check_buffered(void)
{
    CHECK_EQ(weft_chan_length(chan), (size_t)(sent - received));
    weft_chan_free(chan);
    CHECK_EQ(sent, received + dropped);
}

TEST(no_item_is_lost_between_two_fibers_that_meet)
{
    sweep(&(struct sweep){start_rendezvous, check_rendezvous, 20, 4});
}

TEST(no_item_is_lost_in_a_buffer)
{
    sweep(&(struct sweep){start_buffered, check_buffered, 20, 4});
}

/* --- event --- */

static weft_event event;
static int woken;

static int waits_for_the_event(void *arg)
{
    (void)arg;
    int err = weft_event_wait(&event);
    if (err == 0) woken++;
    return err;
}

static int pulses(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        int err = weft_sleep(WEFT_MSEC(1));
        if (err < 0) return err;
        weft_event_set(&event);
        weft_event_clear(&event);
    }
    return 0;
}

static void start_event(weft_nursery *n)
{
    event = (weft_event)WEFT_EVENT_INIT;
    woken = 0;
    for (int i = 0; i < 4; i++) {
        sweep_spawn(n, waits_for_the_event, NULL);
    }
    sweep_spawn(n, pulses, NULL);
}

static void check_event(void)
{
    CHECK(woken >= 0 && woken <= 4);
    CHECK(!weft_event_is_set(&event));
    weft_event_set(&event); /* nobody is left to be woken */
    CHECK_EQ(weft_yield(), 0);
    CHECK(woken <= 4);
}

TEST(no_waiter_stays_behind_on_an_event)
{
    sweep(&(struct sweep){start_event, check_event, 8, 5});
}

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

/* --- sleeping --- */

static int asleep;

static int sleeps_in_deadlines(void *arg)
{
    int outer, inner;
    weft_time start = weft_now();
    (void)arg;
    asleep++;
    WEFT_MOVE_ON_AFTER(outer, WEFT_MSEC(4)) {
        WEFT_FAIL_AFTER(inner, WEFT_MSEC(2)) {
            inner = weft_sleep(WEFT_SEC(1));
        }
        if (inner == -ETIMEDOUT) CHECK_EQ(weft_now() - start, WEFT_MSEC(2));
        outer = weft_sleep(WEFT_SEC(1));
    }
    if (outer == 0) CHECK_EQ(weft_now() - start, WEFT_MSEC(4));
    asleep--;
    return outer;
}

static void start_sleepers(weft_nursery *n)
{
    for (int i = 0; i < 4; i++) {
        sweep_spawn(n, sleeps_in_deadlines, NULL);
    }
}

static void check_sleepers(void)
{
    CHECK_EQ(asleep, 0);
}

TEST(every_sleeper_gets_up)
{
    sweep(&(struct sweep){start_sleepers, check_sleepers, 6, 7});
}

/* --- a pipeline of all of it --- */

static weft_chan *jobs, *results;
static int made, finished, in_hand;

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
