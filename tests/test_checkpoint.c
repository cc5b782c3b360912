/* SPDX-License-Identifier: MIT */
/* test_checkpoint.c - what is a cancel point, what is none, and fairness. */
#include <weft/chan.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/sem.h>
#include <weft/time.h>

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "open.h"
#include "process.h"

enum { BUDGET = 64 };

static bool other_ran;

static int notes_that_it_ran(void *arg)
{
    (void)arg;
    other_ran = true;
    return 0;
}

TEST(cp_01_what_is_ready_stays_untouched_in_a_cancelled_scope)
{
    weft_sem sem = WEFT_SEM_INIT(1, 0);
    weft_mutex mutex = WEFT_MUTEX_INIT;
    weft_event event = WEFT_EVENT_INIT;
    weft_chan *full = weft_chan_new(sizeof(int), 1, NULL, 0);
    weft_chan *empty = weft_chan_new(sizeof(int), 1, NULL, 0);
    weft_nursery n;
    weft_scope s;
    int item = 5;

    weft_event_set(&event);
    CHECK_EQ(weft_chan_trysend(full, &item), 0);
    item = 6;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    open_cancelled_scope(&s);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_yield(), -ECANCELED);
    CHECK_EQ(weft_sleep(0), -ECANCELED);
    CHECK_EQ(weft_sleep(-1), -ECANCELED);
    CHECK_EQ(weft_sleep_until(0), -ECANCELED);
    CHECK_EQ(weft_sem_acquire(&sem, 1), -ECANCELED);
    CHECK_EQ(weft_mutex_lock(&mutex), -ECANCELED);
    CHECK_EQ(weft_event_wait(&event), -ECANCELED);
    CHECK_EQ(weft_chan_recv(full, &item), -ECANCELED);
    CHECK_EQ(weft_chan_send(empty, &item), -ECANCELED);
    CHECK_EQ(weft_chan_join(empty), -ECANCELED);
    CHECK_EQ(weft_spawn_wait(&n, notes_that_it_ran, NULL), -ECANCELED);
    CHECK_EQ(item, 6);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), 0);
    CHECK_EQ(weft_nursery_count(&n), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);

    CHECK_EQ(weft_sem_value(&sem), 1);
    CHECK_EQ(weft_mutex_unlock(&mutex), -EPERM);
    CHECK_EQ(weft_mutex_trylock(&mutex), 0);
    CHECK_EQ(weft_mutex_unlock(&mutex), 0);
    CHECK(weft_event_is_set(&event));
    CHECK_EQ(weft_chan_length(full), 1);
    CHECK_EQ(weft_chan_length(empty), 0);
    CHECK(!other_ran);
    weft_chan_free(full);
    weft_chan_free(empty);
}

TEST(cp_01_cancellation_comes_before_every_other_answer)
{
    weft_sem sem = WEFT_SEM_INIT(1, 1);
    weft_mutex mutex = WEFT_MUTEX_INIT;
    weft_chan *closed = weft_chan_new(sizeof(int), 1, NULL, 0);
    weft_scope s;
    int item = 5;

    weft_chan_close(closed);
    CHECK_EQ(weft_mutex_lock(&mutex), 0);
    open_cancelled_scope(&s);
    CHECK_EQ(weft_mutex_lock(&mutex), -ECANCELED); /* not -EDEADLK */
    CHECK_EQ(weft_chan_send(closed, &item), -ECANCELED);
    CHECK_EQ(weft_chan_recv(closed, &item), -ECANCELED);
    CHECK_EQ(weft_sem_acquire(&sem, 2), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), 0);
    CHECK_EQ(weft_mutex_unlock(&mutex), 0);
    weft_chan_free(closed);
}

TEST(cp_02_what_is_no_cancel_point_works_in_a_cancelled_scope)
{
    weft_sem sem = WEFT_SEM_INIT(1, 1);
    weft_mutex mutex = WEFT_MUTEX_INIT;
    weft_event event = WEFT_EVENT_INIT;
    weft_chan *chan = weft_chan_new(sizeof(int), 1, NULL, 0);
    weft_chan *sender = weft_chan_sender(chan);
    weft_nursery n;
    weft_scope s;
    int item = 5;

    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    open_cancelled_scope(&s);
    CHECK_EQ(weft_sem_try(&sem, 1), 0);
    CHECK_EQ(weft_sem_release(&sem, 1), 0);
    CHECK_EQ(weft_mutex_trylock(&mutex), 0);
    CHECK_EQ(weft_mutex_unlock(&mutex), 0);
    CHECK_EQ(weft_mutex_lock_nc(&mutex), 0);
    CHECK_EQ(weft_mutex_unlock(&mutex), 0);
    weft_event_set(&event);
    CHECK(weft_event_is_set(&event));
    weft_event_clear(&event);
    CHECK_EQ(weft_chan_trysend(sender, &item), 0);
    CHECK_EQ(weft_chan_tryrecv(chan, &item), 1);
    CHECK_EQ(weft_chan_item_done(chan), 0);
    weft_chan_sender_done(sender);
    weft_chan_close(chan);
    weft_chan_abort(chan);
    CHECK_EQ(weft_spawn(&n, notes_that_it_ran, NULL), 0);
    weft_scope_set_deadline(&s, 0);
    CHECK_EQ(weft_scope_end(&s, 3), 3);
    CHECK(!other_ran);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    weft_chan_free(chan);
}

TEST(after_64_passes_the_next_one_lets_the_others_run)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_yield(), 0);
        rc = weft_spawn(&n, notes_that_it_ran, NULL);
        for (int i = 0; i < BUDGET; i++) {
            CHECK_EQ(weft_checkpoint(), 0);
            CHECK(!other_ran);
        }
        CHECK_EQ(weft_checkpoint(), 0);
        CHECK(other_ran);
    }
    CHECK_EQ(rc, 0);
}

static int pass_sem(void *object)
{
    int err = weft_sem_acquire(object, 1);
    CHECK_EQ(weft_sem_release(object, 1), 0);
    return err;
}

static int pass_mutex(void *object)
{
    int err = weft_mutex_lock(object);
    CHECK_EQ(weft_mutex_unlock(object), 0);
    return err;
}

static int pass_event(void *object)
{
    return weft_event_wait(object);
}

static int pass_chan(void *object)
{
    int item = 1;
    int err = weft_chan_send(object, &item);
    return err < 0 ? err : weft_chan_recv(object, &item) - 1;
}

static int pass_nc(void *object)
{
    int err = weft_mutex_lock_nc(object);
    CHECK_EQ(weft_mutex_unlock(object), 0);
    CHECK_EQ(weft_checkpoint(), 0);
    return err;
}

static void count_until_the_other_ran(int (*pass)(void *), void *object)
{
    int rc, passes = 0;
    other_ran = false;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, notes_that_it_ran, NULL), 0);
        while (!other_ran) {
            CHECK_EQ(pass(object), 0);
            CHECK(++passes <= 2 * BUDGET);
        }
    }
    CHECK_EQ(rc, 0);
    CHECK(passes >= BUDGET / 4);
}

TEST(cp_03_a_loop_over_what_is_always_ready_starves_nobody)
{
    weft_sem sem = WEFT_SEM_INIT(1, 0);
    weft_mutex mutex = WEFT_MUTEX_INIT;
    weft_event event = WEFT_EVENT_INIT;
    weft_chan *chan = weft_chan_new(sizeof(int), 1, NULL, 0);

    weft_event_set(&event);
    count_until_the_other_ran(pass_sem, &sem);
    count_until_the_other_ran(pass_mutex, &mutex);
    count_until_the_other_ran(pass_event, &event);
    count_until_the_other_ran(pass_chan, chan);
    count_until_the_other_ran(pass_nc, &mutex);
    weft_chan_free(chan);
}

TEST(cp_05_yield_lets_others_run_even_when_cancelled)
{
    weft_scope s;
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, notes_that_it_ran, NULL);
        open_cancelled_scope(&s);
        CHECK_EQ(weft_yield(), -ECANCELED);
        CHECK(other_ran);
        CHECK_EQ(weft_scope_end(&s, 0), 0);
    }
    CHECK_EQ(rc, 0);
}

TEST(cp_08_a_sleep_of_nothing_yields)
{
    static const weft_time spans[] = {0, -1, INT64_MIN};
    weft_time start = weft_now();
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 3; i++) {
            other_ran = false;
            CHECK_EQ(weft_spawn(&n, notes_that_it_ran, NULL), 0);
            CHECK_EQ(weft_sleep(spans[i]), 0);
            CHECK(other_ran);
        }
        other_ran = false;
        CHECK_EQ(weft_spawn(&n, notes_that_it_ran, NULL), 0);
        CHECK_EQ(weft_sleep_until(weft_now()), 0);
        CHECK(other_ran);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_now(), start);
}

TEST(a_fiber_that_ignores_its_cancellation_lets_the_others_run)
{
    weft_sem sem = WEFT_SEM_INIT(1, 0);
    weft_scope s;
    int rc;
    WEFT_NURSERY(n, rc) {
        open_cancelled_scope(&s);
        for (int round = 0; round < 5; round++) {
            int ignored = 0;
            other_ran = false;
            CHECK_EQ(weft_spawn(&n, notes_that_it_ran, NULL), 0);
            while (!other_ran) {
                CHECK_EQ(weft_sem_acquire(&sem, 1), -ECANCELED);
                CHECK(++ignored <= 16);
            }
        }
        CHECK_EQ(weft_scope_end(&s, 0), 0);
    }
    CHECK_EQ(rc, 0);
}

#ifdef WEFT_DEBUG
static int ignores(int (*cancel_point)(void))
{
    int rc;
    WEFT_MOVE_ON_AFTER(rc, 0) {
        for (int i = 0; i < 1500; i++) {
            CHECK_EQ(cancel_point(), -ECANCELED);
        }
    }
    return rc;
}

static int sleeps_for_nothing(void)
{
    return weft_sleep(0);
}

static int ignores_yield(void *arg)
{
    (void)arg;
    return ignores(weft_yield);
}

static int ignores_sleep(void *arg)
{
    (void)arg;
    return ignores(sleeps_for_nothing);
}

static void runs_one_who_ignores(void *arg)
{
    weft_fn *fn = arg;
    CHECK_EQ(weft_run(*fn, NULL, NULL), 0);
}

TEST_PLAIN(a_fiber_that_ignores_its_cancellation_for_long_is_named)
{
    static struct ending e;
    weft_fn fns[] = {ignores_yield, ignores_sleep};
    for (int i = 0; i < 2; i++) {
        run_in_process(runs_one_who_ignores, &fns[i], &e);
        CHECK_EQ(e.status, 0);
        CHECK(strstr(e.said, "fiber ") && strstr(e.said, "\"main\""));
        CHECK(strstr(e.said, "has ignored -ECANCELED") != NULL);
    }
}
#endif

static int spins_until_stopped(void *arg)
{
    (void)arg;
    while (weft_checkpoint() == 0) {
    }
    return -ECANCELED;
}

TEST(a_spinning_fiber_can_be_cancelled_by_another)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, spins_until_stopped, NULL), 0);
        for (int i = 0; i < 10; i++) {
            CHECK_EQ(weft_yield(), 0);
        }
        weft_nursery_cancel(&n, -EINTR, NULL);
    }
    CHECK_EQ(rc, -EINTR);
}

static int spoils_errno(void *arg)
{
    for (int i = 0; i < 3; i++) {
        errno = 4711;
        int err =
            *(weft_time *)arg ? weft_sleep(*(weft_time *)arg) : weft_yield();
        CHECK_EQ(err, 0);
        CHECK_EQ(errno, 4711);
    }
    return 0;
}

TEST(errno_is_the_same_after_a_park)
{
    weft_time spans[] = {0, 1, WEFT_MSEC(1)};
    weft_sem sem = WEFT_SEM_INIT(0, 0);
    weft_scope s;
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(weft_spawn(&n, spoils_errno, &spans[i]), 0);
        }
        errno = ENOTTY;
        for (int i = 0; i < 10; i++) {
            CHECK_EQ(weft_yield(), 0);
            CHECK_EQ(errno, ENOTTY);
            CHECK_EQ(weft_sleep(WEFT_USEC(300)), 0);
            CHECK_EQ(errno, ENOTTY);
        }
        for (int i = 0; i < 200; i++) {
            CHECK_EQ(weft_checkpoint(), 0);
        }
        weft_scope_init(&s);
        CHECK_EQ(weft_scope_begin_after(&s, 1, WEFT_FAIL), 0);
        CHECK_EQ(weft_sem_acquire(&sem, 1), -ECANCELED);
        CHECK_EQ(weft_scope_end(&s, -ECANCELED), -ETIMEDOUT);
        CHECK_EQ(errno, ENOTTY); /* not by a failure either */
    }
    CHECK_EQ(errno, ENOTTY);
    CHECK_EQ(rc, 0);
}

TEST_PLAIN(outside_a_fiber_a_cancel_point_is_not_permitted)
{
    weft_sem sem = WEFT_SEM_INIT(0, 0);
    weft_mutex mutex = WEFT_MUTEX_INIT;
    weft_event event = WEFT_EVENT_INIT;
    weft_nursery n;
    weft_scope s;

    CHECK_EQ(weft_checkpoint(), -EPERM);
    CHECK_EQ(weft_yield(), -EPERM);
    CHECK_EQ(weft_sleep(1), -EPERM);
    CHECK_EQ(weft_sleep_until(WEFT_FOREVER), -EPERM);
    CHECK_EQ(weft_sem_acquire(&sem, 1), -EPERM);
    CHECK_EQ(weft_mutex_lock(&mutex), -EPERM);
    CHECK_EQ(weft_mutex_lock_nc(&mutex), -EPERM);
    CHECK_EQ(weft_event_wait(&event), -EPERM);
    CHECK_EQ(weft_nursery_open(&n, NULL), -EPERM);
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin(&s), -EPERM);
    CHECK_EQ(weft_with_timeout(1, notes_that_it_ran, NULL), -EPERM);
    CHECK(!other_ran);
    CHECK(!weft_cancelled());
    CHECK(weft_self() == NULL);
    CHECK_EQ(weft_fiber_id(), 0);
    CHECK_STR(weft_fiber_name(), "");
}
