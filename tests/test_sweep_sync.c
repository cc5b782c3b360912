/* SPDX-License-Identifier: MIT */
/* test_sweep_sync.c - the sweep over semaphores, mutexes and events. */
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/sem.h>
#include <weft/time.h>

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

SWEEP(all_permits_come_back, start_takers, check_permits, 0);

/* --- semaphore: who asks for much is not passed, and holds nobody up --- */

static int asks_for_all_in_a_deadline(void *arg)
{
    int rc;
    (void)arg;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(2)) {
        rc = weft_sem_acquire(&sem, 3);
        if (rc == 0) CHECK_EQ(weft_sem_release(&sem, 3), 0);
    }
    return rc == -ETIMEDOUT ? 0 : rc;
}

static int holds_one_for_long(void *arg)
{
    (void)arg;
    int err = weft_sem_acquire(&sem, 1);
    if (err < 0) return err;
    err = weft_sleep(WEFT_MSEC(5));
    CHECK_EQ(weft_sem_release(&sem, 1), 0);
    return err;
}

static void start_a_greedy_one(weft_nursery *n)
{
    weft_sem_init(&sem, 3, 3);
    sweep_spawn(n, holds_one_for_long, NULL);
    sweep_spawn(n, asks_for_all_in_a_deadline, NULL);
    sweep_spawn(n, takes_permits_twice, &wanted[0]);
    sweep_spawn(n, asks_for_all_in_a_deadline, NULL);
    sweep_spawn(n, takes_permits_twice, &wanted[2]);
}

SWEEP(who_gives_up_a_place_in_line_holds_nobody_up, start_a_greedy_one,
      check_permits, 0);

/* --- semaphore: permits that others give --- */

static int eaten;

static int produces_permits(void *arg)
{
    (void)arg;
    for (int i = 0; i < 4; i++) {
        int err = weft_sleep(WEFT_MSEC(1));
        if (err < 0) return err;
        CHECK_EQ(weft_sem_release(&sem, 2), 0);
        eaten -= 2;
    }
    return 0;
}

static int eats_permits(void *arg)
{
    (void)arg;
    for (int i = 0; i < 4; i++) {
        int err = weft_sem_acquire(&sem, 1);
        if (err < 0) return err;
        eaten++;
    }
    return 0;
}

static void start_eaters(weft_nursery *n)
{
    weft_sem_init(&sem, 0, 0);
    eaten = 0;
    sweep_spawn(n, produces_permits, NULL);
    sweep_spawn(n, eats_permits, NULL);
    sweep_spawn(n, eats_permits, NULL);
}

static void check_eaten(void)
{
    CHECK_EQ(-eaten, weft_sem_value(&sem));
    CHECK(eaten == 0 || weft_sem_try(&sem, 1) == 0);
}

SWEEP(every_permit_that_was_given_is_had_or_left, start_eaters, check_eaten,
      SWEEP_PEERS_MAY_WAIT);

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

SWEEP(the_mutex_is_free_and_never_had_two_owners, start_lockers, check_mutex,
      SWEEP_CLEANUP_SLEEPS);

/* --- mutex: block form, several at once --- */

static weft_mutex other;

static int takes_both(void *arg)
{
    int rc = 0, inner = 0;
    (void)arg;
    for (int i = 0; i < 2 && rc == 0; i++) {
        WEFT_LOCKED(&mutex, rc) {
            CHECK_EQ(inside++, 0);
            rc = weft_yield();
            WEFT_LOCKED(&other, inner) {
                damage++;
                inner = weft_sleep(WEFT_MSEC(1));
                damage--;
            }
            if (rc == 0) rc = inner;
            CHECK_EQ(--inside, 0);
        }
    }
    return rc;
}

static int takes_the_other(void *arg)
{
    int rc;
    (void)arg;
    WEFT_LOCKED(&other, rc) {
        CHECK_EQ(damage++, 0);
        rc = weft_sleep(WEFT_MSEC(2));
        CHECK_EQ(--damage, 0);
    }
    return rc;
}

static void start_nested_locks(weft_nursery *n)
{
    mutex = other = (weft_mutex)WEFT_MUTEX_INIT;
    sweep_spawn(n, takes_both, NULL);
    sweep_spawn(n, takes_the_other, NULL);
    sweep_spawn(n, takes_both, NULL);
    sweep_spawn(n, takes_the_other, NULL);
}

static void check_both(void)
{
    check_mutex();
    CHECK_EQ(weft_mutex_trylock(&other), 0);
    CHECK_EQ(weft_mutex_unlock(&other), 0);
}

SWEEP(a_block_that_is_left_unlocks, start_nested_locks, check_both, 0);

/* --- mutex: an owner that dies --- */

static int repaired, abandoned;

static int dies_with_it(void *arg)
{
    (void)arg;
    int err = weft_mutex_lock(&mutex);
    if (err == -EOWNERDEAD) return 0;
    if (err < 0) return err;
    abandoned++;
    return weft_sleep(WEFT_MSEC(1));
}

static int repairs_it(void *arg)
{
    (void)arg;
    int err = weft_mutex_lock(&mutex);
    if (err == -EOWNERDEAD && weft_mutex_repair(&mutex) == 0) {
        repaired++;
        err = 0;
    }
    if (err == -EOWNERDEAD) return 0; /* somebody else was faster */
    if (err < 0) return err;
    err = weft_yield();
    CHECK_EQ(weft_mutex_unlock(&mutex), 0);
    return err;
}

static void start_with_a_dead_owner(weft_nursery *n)
{
    mutex = (weft_mutex)WEFT_MUTEX_INIT;
    repaired = abandoned = 0;
    for (int i = 0; i < 2; i++) {
        sweep_spawn(n, dies_with_it, NULL);
        sweep_spawn(n, repairs_it, NULL);
        sweep_spawn(n, repairs_it, NULL);
    }
}

static void check_repaired(void)
{
    CHECK(abandoned == repaired || abandoned == repaired + 1);
    int err = weft_mutex_trylock(&mutex);
    CHECK_EQ(err, abandoned > repaired ? -EOWNERDEAD : 0);
    if (err < 0) CHECK_EQ(weft_mutex_repair(&mutex), 0);
    CHECK_EQ(weft_mutex_unlock(&mutex), 0);
}

SWEEP(whose_owner_died_can_be_repaired, start_with_a_dead_owner, check_repaired,
      0);

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

SWEEP(no_waiter_stays_behind_on_an_event, start_event, check_event,
      SWEEP_PEERS_MAY_WAIT);

/* --- event: a gate that stays open --- */

static int passed, opened;

static int passes_the_gate(void *arg)
{
    int rc;
    (void)arg;
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(10)) {
        rc = weft_event_wait(&event);
        if (rc < 0) break;
        CHECK(opened);
        passed++;
        rc = weft_event_wait(&event); /* it is open now, but a cancel point */
    }
    return rc;
}

static int opens_the_gate(void *arg)
{
    (void)arg;
    int err = weft_sleep(WEFT_MSEC(1));
    if (err < 0) return err;
    opened = 1;
    weft_event_set(&event);
    return weft_yield();
}

static void start_gate(weft_nursery *n)
{
    event = (weft_event)WEFT_EVENT_INIT;
    passed = opened = 0;
    sweep_spawn(n, passes_the_gate, NULL);
    sweep_spawn(n, passes_the_gate, NULL);
    sweep_spawn(n, opens_the_gate, NULL);
    sweep_spawn(n, passes_the_gate, NULL);
}

static void check_gate(void)
{
    CHECK_EQ(weft_event_is_set(&event), opened);
    CHECK(opened || passed == 0);
}

SWEEP(nobody_passes_a_gate_before_it_opens, start_gate, check_gate, 0);
