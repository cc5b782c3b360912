/* SPDX-License-Identifier: MIT */
/* test_sweep_locks.c - the sweep over conditions, rwlocks and barriers. */
#include <weft/barrier.h>
#include <weft/cond.h>
#include <weft/fiber.h>
#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/rwlock.h>
#include <weft/scope.h>
#include <weft/time.h>

#include "harness.h"
#include "sweep.h"

/* --- condition: a buffer of two --- */

enum { ROOM = 2, ITEMS = 3 };

/* Whoever is cancelled only now has waited for good: what is left at the end
 * of a sweep with SWEEP_PEERS_MAY_WAIT. */
#define AT_THE_END (weft_now() > WEFT_SEC(100000))

static weft_mutex mutex;
static weft_cond not_empty, not_full;
static int stock, made, used, inside;

static void enter(void)
{
    CHECK_EQ(inside++, 0);
}

static void leave(void)
{
    CHECK_EQ(--inside, 0);
    CHECK_EQ(weft_mutex_unlock(&mutex), 0);
}

/* Waits while *count is `value`, and comes back inside in every case. That a
 * notification was lost would be seen at the end. */
static int wait_while(weft_cond *c, const int *count, int value)
{
    int err = 0;
    while (*count == value && err == 0) {
        CHECK_EQ(--inside, 0);
        err = weft_cond_wait(c, &mutex);
        enter();
        CHECK(err == 0 || err == -ECANCELED);
        if (err < 0 && AT_THE_END) CHECK_EQ(*count, value);
    }
    return err;
}

static int makes(void *arg)
{
    (void)arg;
    for (int i = 0; i < ITEMS; i++) {
        int err = weft_mutex_lock(&mutex);
        if (err < 0) return err;
        enter();
        err = wait_while(&not_full, &stock, ROOM);
        if (err == 0) {
            stock++;
            made++;
            CHECK_EQ(weft_cond_notify(&not_empty, &mutex, 1), 0);
            err = weft_yield(); /* still inside */
        }
        leave();
        if (err < 0) return err;
    }
    return 0;
}

static int uses(void *arg)
{
    (void)arg;
    for (int i = 0; i < ITEMS; i++) {
        int err = weft_mutex_lock(&mutex);
        if (err < 0) return err;
        enter();
        err = wait_while(&not_empty, &stock, 0);
        if (err == 0) {
            stock--;
            used++;
            CHECK_EQ(weft_cond_notify(&not_full, &mutex, 1), 0);
        }
        leave();
        if (err == 0) err = weft_sleep(WEFT_MSEC(1));
        if (err < 0) return err;
    }
    return 0;
}

static void set_up_buffer(void)
{
    mutex = (weft_mutex)WEFT_MUTEX_INIT;
    not_empty = not_full = (weft_cond)WEFT_COND_INIT;
    stock = made = used = inside = 0;
}

static void start_buffer(weft_nursery *n)
{
    set_up_buffer();
    for (int i = 0; i < 2; i++) {
        sweep_spawn(n, makes, NULL);
        sweep_spawn(n, uses, NULL);
    }
}

static void check_mutex(void)
{
    CHECK_EQ(inside, 0);
    CHECK_EQ(weft_mutex_trylock(&mutex), 0);
    CHECK_EQ(weft_cond_notify(&not_empty, &mutex, SIZE_MAX), 0);
    CHECK_EQ(weft_cond_notify(&not_full, &mutex, SIZE_MAX), 0);
    CHECK_EQ(weft_mutex_unlock(&mutex), 0); /* to nobody */
    CHECK_EQ(weft_mutex_trylock(&mutex), 0);
    CHECK_EQ(weft_mutex_unlock(&mutex), 0);
}

static void check_buffer(void)
{
    CHECK_EQ(made, used + stock);
    CHECK(stock >= 0 && stock <= ROOM);
    check_mutex();
}

SWEEP(the_mutex_of_a_condition_is_free_and_the_count_right, start_buffer,
      check_buffer, SWEEP_PEERS_MAY_WAIT);

/* --- condition: one notification for each turn --- */

static int takes_a_turn(void *arg)
{
    (void)arg;
    int err = weft_mutex_lock(&mutex);
    if (err < 0) return err;
    enter();
    err = wait_while(&not_empty, &stock, 0);
    if (err == 0) {
        stock--;
        used++;
    }
    leave();
    return err;
}

static int gives_two_turns(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) {
        int err = weft_sleep(WEFT_MSEC(1));
        if (err == 0) err = weft_mutex_lock(&mutex);
        if (err < 0) return err;
        enter();
        stock += 2;
        made += 2;
        CHECK_EQ(weft_cond_notify(&not_empty, &mutex, 2), 0);
        err = weft_sleep(WEFT_MSEC(1)); /* those who were notified stand by */
        leave();
        if (err < 0) return err;
    }
    return 0;
}

static void start_turns(weft_nursery *n)
{
    set_up_buffer();
    for (int i = 0; i < 5; i++)
        sweep_spawn(n, takes_a_turn, NULL);
    sweep_spawn(n, gives_two_turns, NULL);
}

static void check_turns(void)
{
    CHECK_EQ(made, used + stock);
    check_mutex();
}

SWEEP(no_notification_is_lost_to_who_is_cancelled, start_turns, check_turns,
      SWEEP_PEERS_MAY_WAIT | SWEEP_CLEANUP_SLEEPS);

/* --- condition: a deadline around each wait --- */

static int takes_a_turn_in_time(void *arg)
{
    int rc;
    (void)arg;
    int err = weft_mutex_lock(&mutex);
    if (err < 0) return err;
    enter();
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(2)) {
        rc = wait_while(&not_empty, &stock, 0);
    }
    if (rc == 0) {
        stock--;
        used++;
    }
    CHECK_EQ(inside, 1); /* held, whatever it was */
    leave();
    return rc == -ETIMEDOUT ? 0 : rc;
}

static void start_turns_in_time(weft_nursery *n)
{
    set_up_buffer();
    for (int i = 0; i < 5; i++)
        sweep_spawn(n, i % 2 ? takes_a_turn : takes_a_turn_in_time, NULL);
    sweep_spawn(n, gives_two_turns, NULL);
}

SWEEP(who_is_out_of_time_leaves_the_notification_to_others, start_turns_in_time,
      check_turns, SWEEP_PEERS_MAY_WAIT | SWEEP_CLEANUP_SLEEPS);

/* --- condition: an owner that dies --- */

static int abandoned, repaired, told;

static int notifies_and_dies(void *arg)
{
    (void)arg;
    int err = weft_sleep(WEFT_MSEC(1));
    if (err == 0) err = weft_mutex_lock(&mutex);
    if (err == -EOWNERDEAD) return 0;
    if (err < 0) return err;
    abandoned++;
    CHECK_EQ(weft_cond_notify(&not_empty, &mutex, 2), 0);
    return weft_sleep(WEFT_MSEC(1));
}

static int waits_and_repairs(void *arg)
{
    (void)arg;
    int err = weft_mutex_lock(&mutex);
    if (err == 0) {
        err = weft_cond_wait(&not_empty, &mutex);
        if (err != -EOWNERDEAD) CHECK_EQ(weft_mutex_unlock(&mutex), 0);
    }
    if (err != -EOWNERDEAD) return err;
    told++;
    if (weft_mutex_repair(&mutex) < 0) return 0; /* another one was faster */
    repaired++;
    CHECK_EQ(weft_cond_notify(&not_empty, &mutex, SIZE_MAX), 0);
    err = weft_yield();
    CHECK_EQ(weft_mutex_unlock(&mutex), 0);
    return err;
}

static void start_dying_notifiers(weft_nursery *n)
{
    set_up_buffer();
    abandoned = repaired = told = 0;
    for (int i = 0; i < 4; i++)
        sweep_spawn(n, waits_and_repairs, NULL);
    sweep_spawn(n, notifies_and_dies, NULL);
    sweep_spawn(n, notifies_and_dies, NULL);
}

static void check_repaired(void)
{
    CHECK(abandoned == repaired || abandoned == repaired + 1);
    CHECK(told >= repaired);
    if (abandoned > repaired) CHECK_EQ(weft_mutex_repair(&mutex), 0);
    if (abandoned > repaired) CHECK_EQ(weft_mutex_unlock(&mutex), 0);
    check_mutex();
}

SWEEP(a_waiter_never_has_the_mutex_of_a_dead_owner, start_dying_notifiers,
      check_repaired, SWEEP_PEERS_MAY_WAIT | SWEEP_CLEANUP_SLEEPS);

/* --- rwlock --- */

static weft_rwlock rwlock;
static int readers, writers;

static void check_who_is_in(void)
{
    CHECK(readers >= 0);
    CHECK(writers == 0 || (writers == 1 && readers == 0));
}

static int reads(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) {
        int err = weft_rwlock_rdlock(&rwlock);
        if (err < 0) return err;
        readers++;
        check_who_is_in();
        err = i == 0 ? weft_sleep(WEFT_MSEC(1)) : weft_yield();
        check_who_is_in();
        readers--;
        CHECK_EQ(weft_rwlock_unlock(&rwlock), 0);
        if (err < 0) return err;
    }
    return 0;
}

static int writes_and_reads_on(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) {
        int err = weft_rwlock_wrlock(&rwlock);
        if (err < 0) return err;
        writers++;
        check_who_is_in();
        err = weft_sleep(WEFT_MSEC(1));
        check_who_is_in();
        writers--;
        if (i == 1) {
            CHECK_EQ(weft_rwlock_downgrade(&rwlock), 0);
            readers++;
            err = weft_yield();
            check_who_is_in();
            readers--;
        }
        CHECK_EQ(weft_rwlock_unlock(&rwlock), 0);
        if (err < 0) return err;
    }
    return 0;
}

static int writes_in_a_deadline(void *arg)
{
    int rc;
    (void)arg;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1)) {
        rc = weft_rwlock_wrlock(&rwlock);
        if (rc < 0) break;
        writers++;
        check_who_is_in();
        rc = weft_yield();
        writers--;
        CHECK_EQ(weft_rwlock_unlock(&rwlock), 0);
    }
    return rc == -ETIMEDOUT ? 0 : rc;
}

static void start_rwlock(weft_nursery *n)
{
    rwlock = (weft_rwlock)WEFT_RWLOCK_INIT;
    readers = writers = 0;
    sweep_spawn(n, reads, NULL);
    sweep_spawn(n, writes_in_a_deadline, NULL);
    sweep_spawn(n, reads, NULL);
    sweep_spawn(n, writes_and_reads_on, NULL);
    sweep_spawn(n, reads, NULL);
    sweep_spawn(n, writes_in_a_deadline, NULL);
    sweep_spawn(n, writes_and_reads_on, NULL);
}

static void check_rwlock(void)
{
    CHECK_EQ(readers, 0);
    CHECK_EQ(writers, 0);
    CHECK_EQ(weft_rwlock_trywrlock(&rwlock), 0); /* and nobody is in line */
    CHECK_EQ(weft_rwlock_unlock(&rwlock), 0);
    CHECK_EQ(weft_rwlock_unlock(&rwlock), -EPERM);
}

SWEEP(the_rwlock_is_free_and_never_had_a_writer_and_others, start_rwlock,
      check_rwlock, 0);

/* --- rwlock: a reader that stays, and a writer that gives up --- */

static int reads_for_long(void *arg)
{
    (void)arg;
    int err = weft_rwlock_rdlock(&rwlock);
    if (err < 0) return err;
    readers++;
    err = weft_sleep(WEFT_MSEC(20));
    readers--;
    CHECK_EQ(weft_rwlock_unlock(&rwlock), 0);
    return err;
}

/* Whatever became of the writer before it, it is in when that one has given
 * up: long before the first reader leaves. */
static int reads_soon(void *arg)
{
    (void)arg;
    weft_time start = weft_now();
    int err = weft_rwlock_rdlock(&rwlock);
    if (err < 0) return err;
    CHECK(weft_now() - start <= WEFT_MSEC(1));
    readers++;
    check_who_is_in();
    err = weft_yield();
    readers--;
    CHECK_EQ(weft_rwlock_unlock(&rwlock), 0);
    return err;
}

static void start_writer_that_gives_up(weft_nursery *n)
{
    rwlock = (weft_rwlock)WEFT_RWLOCK_INIT;
    readers = writers = 0;
    sweep_spawn(n, reads_for_long, NULL);
    sweep_spawn(n, writes_in_a_deadline, NULL);
    sweep_spawn(n, reads_soon, NULL);
    sweep_spawn(n, writes_in_a_deadline, NULL);
    sweep_spawn(n, reads_soon, NULL);
}

SWEEP(a_writer_that_gives_up_holds_no_reader_up, start_writer_that_gives_up,
      check_rwlock, 0);

/* --- rwlock: a writer that dies --- */

static int dies_while_it_writes(void *arg)
{
    (void)arg;
    int err = weft_rwlock_wrlock(&rwlock);
    if (err == -EOWNERDEAD) return 0;
    if (err < 0) return err;
    abandoned++;
    return weft_sleep(WEFT_MSEC(1));
}

static int repairs_it(void *arg)
{
    bool to_write = arg != NULL;
    int err =
        to_write ? weft_rwlock_wrlock(&rwlock) : weft_rwlock_rdlock(&rwlock);
    if (err == -EOWNERDEAD) {
        if (weft_rwlock_repair(&rwlock) < 0) return 0;
        repaired++;
        if (!to_write) CHECK_EQ(weft_rwlock_downgrade(&rwlock), 0);
        err = 0;
    }
    if (err < 0) return err;
    err = weft_yield();
    CHECK_EQ(weft_rwlock_unlock(&rwlock), 0);
    return err;
}

static void start_dying_writers(weft_nursery *n)
{
    rwlock = (weft_rwlock)WEFT_RWLOCK_INIT;
    readers = writers = abandoned = repaired = 0;
    for (int i = 0; i < 2; i++) {
        sweep_spawn(n, dies_while_it_writes, NULL);
        sweep_spawn(n, repairs_it, NULL);
        sweep_spawn(n, repairs_it, n);
    }
}

static void check_rwlock_repaired(void)
{
    CHECK(abandoned == repaired || abandoned == repaired + 1);
    if (abandoned > repaired) {
        CHECK_EQ(weft_rwlock_repair(&rwlock), 0);
        CHECK_EQ(weft_rwlock_unlock(&rwlock), 0);
    }
    check_rwlock();
}

SWEEP(a_rwlock_whose_writer_died_can_be_repaired, start_dying_writers,
      check_rwlock_repaired, 0);

/* --- barrier --- */

static weft_barrier barrier;
static int places[3], sent_away;

static int comes_three_times(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        int place = weft_barrier_wait(&barrier);
        if (place == -ECANCELED) return place;
        if (place == -EPIPE) {
            sent_away++;
        } else {
            CHECK(place >= 0 && place < 3);
            places[place]++;
        }
        int err = i == 0 ? weft_sleep(WEFT_MSEC(1)) : weft_yield();
        if (err < 0) return err;
    }
    return 0;
}

static int comes_in_time(void *arg)
{
    int rc;
    (void)arg;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1)) {
        rc = weft_barrier_wait(&barrier);
        if (rc >= 0) places[rc]++;
        if (rc == -EPIPE) sent_away++;
    }
    return rc == -ETIMEDOUT || rc == -EPIPE ? 0 : rc;
}

static int sends_all_away(void *arg)
{
    (void)arg;
    int err = weft_sleep(WEFT_MSEC(2));
    if (err < 0) return err;
    weft_barrier_reset(&barrier);
    CHECK_EQ(weft_barrier_waiting(&barrier), 0);
    return weft_yield();
}

static void start_barrier(weft_nursery *n)
{
    weft_barrier_init(&barrier, 3);
    places[0] = places[1] = places[2] = sent_away = 0;
    for (int i = 0; i < 4; i++)
        sweep_spawn(n, comes_three_times, NULL);
    sweep_spawn(n, comes_in_time, NULL);
    sweep_spawn(n, sends_all_away, NULL);
}

/* Whom it let go it let go in threes, whoever was cancelled. */
static void check_barrier(void)
{
    CHECK_EQ(weft_barrier_waiting(&barrier), 0);
    CHECK_EQ(places[1], places[0]);
    CHECK_EQ(places[2], places[0]);
    weft_barrier_reset(&barrier); /* and finds nobody */
}

SWEEP(a_barrier_lets_go_in_threes_and_keeps_nobody, start_barrier,
      check_barrier, SWEEP_PEERS_MAY_WAIT);
