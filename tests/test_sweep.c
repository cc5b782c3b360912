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
