/* SPDX-License-Identifier: MIT */
/* test_cond.c - who is notified, who is cancelled, and who has the mutex. */
#include <weft/cond.h>
#include <weft/debug.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <string.h>

#include "chance.h"
#include "deadlock.h"
#include "harness.h"
#include "open.h"
#include "process.h"
#include "settle.h"

enum { WAITING = 1 };

static weft_mutex m = WEFT_MUTEX_INIT;
static weft_cond c = WEFT_COND_INIT;
static int turns, inside;

/* Waits in a scope of its own, and says how that went. */
struct waiter {
    weft_scope scope;
    int result; /* WAITING: it does */
    int turn;   /* 1 for the first to come back */
    int next;   /* the cancel point after it */
    int unlocked;
    int stays; /* milliseconds that it keeps the mutex */
};

static int waits(void *arg)
{
    struct waiter *w = arg;
    CHECK_EQ(weft_scope_begin(&w->scope), 0);
    CHECK_EQ(weft_mutex_lock(&m), 0);
    w->result = weft_cond_wait(&c, &m);
    w->turn = ++turns;
    bool held = w->result != -EOWNERDEAD;
    if (held) CHECK_EQ(++inside, 1);
    w->next = weft_checkpoint();
    if (w->stays) w->next = weft_sleep(WEFT_MSEC(w->stays));
    if (held) CHECK_EQ(inside--, 1);
    w->unlocked = weft_mutex_unlock(&m);
    return weft_scope_end(&w->scope, 0);
}

static void add_waiter(weft_nursery *n, struct waiter *w)
{
    *w = (struct waiter){.result = WAITING};
    weft_scope_init(&w->scope);
    CHECK_EQ(weft_spawn(n, waits, w), 0);
    CHECK_EQ(weft_yield(), 0);
}

/* Opens *n, with `count` in the line of the condition, in this order. */
static void line_up(weft_nursery *n, struct waiter *w, unsigned count)
{
    CHECK_EQ(weft_nursery_open(n, NULL), 0);
    for (unsigned i = 0; i < count; i++) {
        add_waiter(n, &w[i]);
        CHECK_EQ(w[i].result, WAITING);
    }
}

static void lock(void)
{
    CHECK_EQ(weft_mutex_lock(&m), 0);
}

static void unlock(void)
{
    CHECK_EQ(weft_mutex_unlock(&m), 0);
}

static void notify(size_t count)
{
    lock();
    CHECK_EQ(weft_cond_notify(&c, &m, count), 0);
    unlock();
}

static void check_free(void)
{
    CHECK_EQ(weft_mutex_trylock(&m), 0);
    unlock();
}

static void close_and_check(weft_nursery *n)
{
    CHECK_EQ(weft_nursery_close(n, 0), 0);
    check_free();
}

/* A fiber that wants nothing but the mutex. */
struct locker {
    int result, turn;
};

static int locks(void *arg)
{
    struct locker *l = arg;
    l->result = weft_mutex_lock(&m);
    l->turn = ++turns;
    if (l->result == 0) unlock();
    return 0;
}

static void add_locker(weft_nursery *n, struct locker *l)
{
    *l = (struct locker){.result = WAITING};
    CHECK_EQ(weft_spawn(n, locks, l), 0);
    CHECK_EQ(weft_yield(), 0);
}

/* ---- waiting and notifying ---------------------------------------------- */

TEST(a_wait_gives_up_the_mutex_and_has_it_again_when_notified)
{
    weft_nursery n;
    struct waiter w;
    line_up(&n, &w, 1);
    check_free();
    lock();
    CHECK_EQ(weft_cond_notify(&c, &m, 1), 0);
    settle();
    CHECK_EQ(w.result, WAITING); /* the notifier still has it */
    unlock();
    CHECK_EQ(weft_mutex_trylock(&m), -EBUSY); /* it is the waiter's already */
    settle();
    CHECK_EQ(w.result, 0);
    CHECK_EQ(w.unlocked, 0);
    close_and_check(&n);
}

TEST(a_wait_hands_the_mutex_to_the_oldest_in_its_line)
{
    weft_nursery n;
    struct locker l[2];
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    lock();
    add_locker(&n, &l[0]);
    add_locker(&n, &l[1]);
    int rc;
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(1)) {
        CHECK_EQ(weft_cond_wait(&c, &m), -ECANCELED);
    }
    CHECK_EQ(l[0].turn, 1);
    CHECK_EQ(l[1].turn, 2);
    unlock();
    close_and_check(&n);
}

TEST(a_notification_without_a_waiter_is_not_kept)
{
    int rc;
    lock();
    CHECK_EQ(weft_cond_notify(&c, &m, 1), 0);
    CHECK_EQ(weft_cond_notify(&c, &m, SIZE_MAX), 0);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1)) {
        rc = weft_cond_wait(&c, &m);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    unlock();
}

TEST(notifying_none_wakes_nobody)
{
    weft_nursery n;
    struct waiter w;
    line_up(&n, &w, 1);
    notify(0);
    settle();
    CHECK_EQ(w.result, WAITING);
    notify(1);
    close_and_check(&n);
    CHECK_EQ(w.result, 0);
}

TEST(cnd_07_notifications_go_to_the_oldest_and_to_no_more_than_asked)
{
    weft_nursery n;
    struct waiter w[3];
    line_up(&n, w, 3);
    notify(2);
    settle();
    CHECK_EQ(w[0].turn, 1);
    CHECK_EQ(w[1].turn, 2);
    CHECK_EQ(w[2].result, WAITING);
    notify(99);
    close_and_check(&n);
    CHECK_EQ(w[2].turn, 3);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(w[i].result, 0);
        CHECK_EQ(w[i].unlocked, 0);
    }
}

TEST(cnd_07_who_waits_after_the_notification_is_not_woken_by_it)
{
    weft_nursery n;
    struct waiter w[2];
    line_up(&n, &w[0], 1);
    notify(SIZE_MAX);
    add_waiter(&n, &w[1]);
    settle();
    CHECK_EQ(w[0].result, 0);
    CHECK_EQ(w[1].result, WAITING);
    notify(1);
    close_and_check(&n);
    CHECK_EQ(w[1].result, 0);
}

TEST(those_notified_run_one_after_the_other_each_with_the_mutex)
{
    weft_nursery n;
    struct waiter w[5];
    line_up(&n, w, 5);
    for (int i = 0; i < 5; i++)
        w[i].stays = 10;
    weft_time start = weft_now();
    notify(5);
    close_and_check(&n); /* `waits` counts who is inside */
    CHECK_EQ(weft_now() - start, WEFT_MSEC(50));
    for (int i = 0; i < 5; i++)
        CHECK_EQ(w[i].turn, i + 1);
}

TEST(who_is_notified_stands_behind_earlier_lockers_and_before_later_ones)
{
    weft_nursery n;
    struct waiter w[2];
    struct locker before, after;
    line_up(&n, w, 2);
    lock();
    add_locker(&n, &before);
    CHECK_EQ(weft_cond_notify(&c, &m, 2), 0);
    add_locker(&n, &after);
    unlock();
    close_and_check(&n);
    CHECK_EQ(before.turn, 1);
    CHECK_EQ(w[0].turn, 2);
    CHECK_EQ(w[1].turn, 3);
    CHECK_EQ(after.turn, 4);
}

static int waits_twice(void *arg)
{
    int *rounds = arg;
    lock();
    while (*rounds < 2) {
        CHECK_EQ(weft_cond_wait(&c, &m), 0);
        ++*rounds;
    }
    unlock();
    return 0;
}

TEST(a_waiter_can_wait_again_with_the_mutex_it_has_been_given)
{
    weft_nursery n;
    int rounds = 0;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, waits_twice, &rounds), 0);
    CHECK_EQ(weft_yield(), 0);
    notify(1);
    settle();
    CHECK_EQ(rounds, 1);
    notify(1);
    close_and_check(&n);
    CHECK_EQ(rounds, 2);
}

static weft_mutex outer = WEFT_MUTEX_INIT, inner = WEFT_MUTEX_INIT;

static int waits_between_two_others(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_mutex_lock(&outer), 0);
    lock();
    CHECK_EQ(weft_mutex_lock(&inner), 0);
    CHECK_EQ(weft_cond_wait(&c, &m), 0);
    CHECK_EQ(weft_mutex_unlock(&outer), 0);
    unlock();
    CHECK_EQ(weft_mutex_unlock(&inner), 0);
    return 0;
}

TEST(a_wait_gives_up_its_own_mutex_and_no_other)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, waits_between_two_others, NULL), 0);
    settle();
    CHECK_EQ(weft_mutex_trylock(&outer), -EBUSY);
    CHECK_EQ(weft_mutex_trylock(&inner), -EBUSY);
    notify(1);
    close_and_check(&n);
    CHECK_EQ(weft_mutex_trylock(&outer), 0); /* and left none behind dead */
    CHECK_EQ(weft_mutex_trylock(&inner), 0);
    CHECK_EQ(weft_mutex_unlock(&outer), 0);
    CHECK_EQ(weft_mutex_unlock(&inner), 0);
}

TEST(two_conditions_of_one_mutex_are_two_lines)
{
    weft_nursery n;
    weft_cond other = WEFT_COND_INIT;
    struct waiter w;
    line_up(&n, &w, 1);
    lock();
    CHECK_EQ(weft_cond_notify(&other, &m, SIZE_MAX), 0);
    unlock();
    settle();
    CHECK_EQ(w.result, WAITING);
    notify(1);
    close_and_check(&n);
}

/* ---- cancellation ------------------------------------------------------- */

TEST(cnd_01_a_cancelled_waiter_comes_back_only_with_the_mutex)
{
    weft_nursery n;
    struct waiter w;
    line_up(&n, &w, 1);
    lock();
    weft_scope_cancel(&w.scope, 0, NULL);
    settle();
    CHECK_EQ(w.result, WAITING);
    unlock();
    CHECK_EQ(weft_mutex_trylock(&m), -EBUSY); /* it is the waiter's already */
    close_and_check(&n);
    CHECK_EQ(w.result, -ECANCELED);
    CHECK_EQ(w.next, -ECANCELED);
    CHECK_EQ(w.unlocked, 0);
}

TEST(cnd_01_a_cancelled_waiter_takes_a_free_mutex_at_once)
{
    weft_nursery n;
    struct waiter w;
    line_up(&n, &w, 1);
    weft_scope_cancel(&w.scope, 0, NULL);
    CHECK_EQ(weft_mutex_trylock(&m), -EBUSY); /* before it has run */
    close_and_check(&n);
    CHECK_EQ(w.result, -ECANCELED);
    CHECK_EQ(w.unlocked, 0);
}

TEST(cnd_01_a_cancelled_waiter_stands_in_the_line_of_the_mutex)
{
    weft_nursery n;
    struct waiter w;
    struct locker before, after;
    line_up(&n, &w, 1);
    lock();
    add_locker(&n, &before);
    weft_scope_cancel(&w.scope, 0, NULL);
    add_locker(&n, &after);
    unlock();
    close_and_check(&n);
    CHECK_EQ(before.turn, 1);
    CHECK_EQ(w.turn, 2);
    CHECK_EQ(after.turn, 3);
    CHECK_EQ(w.result, -ECANCELED);
}

TEST(cnd_01_all_that_are_cancelled_at_once_come_back_one_by_one)
{
    weft_nursery n;
    struct waiter w[4];
    line_up(&n, w, 4);
    weft_nursery_cancel(&n, 0, NULL);
    close_and_check(&n); /* `waits` counts who is inside */
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(w[i].result, -ECANCELED);
        CHECK_EQ(w[i].unlocked, 0);
    }
}

TEST(a_second_cancellation_does_not_hurry_who_waits_for_the_mutex)
{
    weft_nursery n;
    struct waiter w;
    line_up(&n, &w, 1);
    lock();
    weft_scope_cancel(&w.scope, 0, NULL);
    weft_nursery_cancel(&n, 0, NULL);
    settle();
    CHECK_EQ(w.result, WAITING);
    unlock();
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    check_free();
    CHECK_EQ(w.result, -ECANCELED);
}

TEST(cnd_06_a_wait_in_a_cancelled_scope_never_gives_up_the_mutex)
{
    weft_nursery n;
    weft_scope s;
    struct locker rival;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    lock();
    add_locker(&n, &rival);
    open_cancelled_scope(&s);
    for (int i = 0; i < 100; i++) /* some of these give way */
        CHECK_EQ(weft_cond_wait(&c, &m), -ECANCELED);
    CHECK_EQ(rival.result, WAITING);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    unlock();
    close_and_check(&n);
    CHECK_EQ(rival.result, 0);
}

TEST(cnd_06_a_wait_in_an_expired_scope_keeps_the_mutex_too)
{
    int rc;
    lock();
    WEFT_FAIL_AFTER(rc, 0) {
        rc = weft_cond_wait(&c, &m);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    unlock();
}

TEST(cnd_08_a_wait_in_a_deadline_times_out_with_the_mutex)
{
    int rc;
    weft_time start = weft_now();
    lock();
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_cond_wait(&c, &m);
        CHECK_EQ(rc, -ECANCELED);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5));
    CHECK_EQ(weft_mutex_unlock(&m), 0);
    check_free();
}

static int holds_for_20_ms(void *arg)
{
    (void)arg;
    lock();
    int err = weft_sleep(WEFT_MSEC(20));
    unlock();
    return err;
}

TEST(cnd_08_a_wait_that_timed_out_waits_on_for_the_mutex)
{
    weft_nursery n;
    int rc;
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    lock();
    CHECK_EQ(weft_spawn(&n, holds_for_20_ms, NULL), 0);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_cond_wait(&c, &m);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(20));
    unlock();
    close_and_check(&n);
}

TEST(a_shielded_wait_is_cancelled_when_the_shield_is_taken_away)
{
    weft_nursery n;
    struct waiter w;
    line_up(&n, &w, 1);
    weft_scope_set_shield(&w.scope, true);
    weft_nursery_cancel(&n, 0, NULL);
    settle();
    CHECK_EQ(w.result, WAITING);
    weft_scope_set_shield(&w.scope, false);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(w.result, -ECANCELED);
    check_free();
}

/* ---- grant and cancel in one turn --------------------------------------- */

TEST(grt_a_notification_survives_a_cancel_in_the_same_turn)
{
    weft_nursery n;
    struct waiter w[2];
    line_up(&n, w, 2);
    lock();
    CHECK_EQ(weft_cond_notify(&c, &m, 1), 0);
    weft_scope_cancel(&w[0].scope, 0, NULL);
    unlock();
    settle();
    CHECK_EQ(w[0].result, 0);
    CHECK_EQ(w[0].next, -ECANCELED);
    CHECK_EQ(w[0].unlocked, 0);
    CHECK_EQ(w[1].result, WAITING);
    notify(1);
    close_and_check(&n);
}

TEST(grt_a_notification_survives_a_cancel_when_the_mutex_is_handed_over)
{
    weft_nursery n;
    struct waiter w;
    line_up(&n, &w, 1);
    notify(1);
    weft_scope_cancel(&w.scope, 0, NULL);
    close_and_check(&n);
    CHECK_EQ(w.result, 0);
    CHECK_EQ(w.next, -ECANCELED);
}

TEST(grt_a_notification_survives_a_cancel_while_waiting_for_the_mutex)
{
    weft_nursery n;
    struct waiter w;
    line_up(&n, &w, 1);
    lock();
    CHECK_EQ(weft_cond_notify(&c, &m, 1), 0);
    settle();
    weft_scope_cancel(&w.scope, 0, NULL);
    settle();
    CHECK_EQ(w.result, WAITING);
    unlock();
    close_and_check(&n);
    CHECK_EQ(w.result, 0);
    CHECK_EQ(w.next, -ECANCELED);
}

TEST(grt_a_notification_survives_a_deadline_while_waiting_for_the_mutex)
{
    weft_nursery n;
    struct waiter w;
    line_up(&n, &w, 1);
    weft_scope_set_deadline(&w.scope, weft_after(WEFT_MSEC(5)));
    lock();
    CHECK_EQ(weft_cond_notify(&c, &m, 1), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(10)), 0);
    CHECK_EQ(w.result, WAITING);
    unlock();
    close_and_check(&n);
    CHECK_EQ(w.result, 0);
    CHECK_EQ(w.next, -ECANCELED);
}

TEST(grt_a_waiter_that_was_cancelled_takes_no_notification)
{
    weft_nursery n;
    struct waiter w[3];
    line_up(&n, w, 3);
    lock();
    weft_scope_cancel(&w[0].scope, 0, NULL);
    CHECK_EQ(weft_cond_notify(&c, &m, 1), 0);
    unlock();
    settle();
    CHECK_EQ(w[0].result, -ECANCELED);
    CHECK_EQ(w[1].result, 0);
    CHECK_EQ(w[2].result, WAITING);
    notify(1);
    close_and_check(&n);
    CHECK_EQ(w[2].result, 0);
}

TEST(grt_only_who_was_cancelled_in_the_middle_is_passed_over)
{
    weft_nursery n;
    struct waiter w[5];
    line_up(&n, w, 5);
    lock();
    weft_scope_cancel(&w[1].scope, 0, NULL);
    weft_scope_cancel(&w[3].scope, 0, NULL);
    CHECK_EQ(weft_cond_notify(&c, &m, 2), 0);
    unlock();
    settle();
    CHECK_EQ(w[0].result, 0);
    CHECK_EQ(w[1].result, -ECANCELED);
    CHECK_EQ(w[2].result, 0);
    CHECK_EQ(w[3].result, -ECANCELED);
    CHECK_EQ(w[4].result, WAITING);
    notify(1);
    close_and_check(&n);
}

TEST(grt_a_deadline_of_the_same_moment_comes_before_the_notifier)
{
    weft_nursery n;
    struct waiter w[2];
    line_up(&n, w, 2);
    weft_scope_set_deadline(&w[0].scope, weft_after(WEFT_MSEC(5)));
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    notify(1); /* the first one is a waiter no more */
    close_and_check(&n);
    CHECK_EQ(w[0].result, -ECANCELED);
    CHECK_EQ(w[1].result, 0);
}

/* ---- misuse ------------------------------------------------------------- */

static int calls_as_a_stranger(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_cond_wait(&c, &m), -EPERM);
    CHECK_EQ(weft_cond_notify(&c, &m, 1), -EPERM);
    return 0;
}

TEST(cnd_05_both_calls_want_the_mutex_held)
{
    int rc;
    calls_as_a_stranger(NULL); /* free */
    lock();
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, calls_as_a_stranger, NULL);
    }
    CHECK_EQ(rc, 0);
    unlock();
    calls_as_a_stranger(NULL);
    check_free();
}

TEST(cnd_05_who_does_not_hold_it_is_told_so_though_it_is_cancelled)
{
    weft_scope s;
    open_cancelled_scope(&s);
    CHECK_EQ(weft_cond_wait(&c, &m), -EPERM); /* -ECANCELED says "you do" */
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    check_free();
}

TEST(cnd_05_a_stranger_notifies_nobody)
{
    weft_nursery n;
    struct waiter w;
    line_up(&n, &w, 1);
    CHECK_EQ(weft_cond_notify(&c, &m, 1), -EPERM);
    settle();
    CHECK_EQ(w.result, WAITING);
    notify(1);
    close_and_check(&n);
}

TEST_PLAIN(cnd_05_outside_a_fiber_there_is_nothing_to_hold_it)
{
    CHECK_EQ(weft_cond_wait(&c, &m), -EPERM);
    CHECK_EQ(weft_cond_notify(&c, &m, 1), -EPERM);
}

TEST(one_condition_is_for_one_mutex_at_a_time)
{
    weft_nursery n;
    weft_mutex other = WEFT_MUTEX_INIT;
    struct waiter w;
    int rc;
    line_up(&n, &w, 1);
    CHECK_EQ(weft_mutex_lock(&other), 0);
    CHECK_EQ(weft_cond_wait(&c, &other), -EINVAL);
    CHECK_EQ(weft_cond_notify(&c, &other, 1), -EPERM);
    settle();
    CHECK_EQ(w.result, WAITING);
    notify(1);
    close_and_check(&n);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1)) { /* now it may */
        rc = weft_cond_wait(&c, &other);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_mutex_unlock(&other), 0); /* held all the while */
}

/* ---- an owner that ends ------------------------------------------------- */

struct deed {
    size_t notifies;
    weft_scope *cancels;
};

static int ends_with_the_mutex(void *arg)
{
    const struct deed *d = arg;
    lock();
    CHECK_EQ(weft_cond_notify(&c, &m, d->notifies), 0);
    if (d->cancels) weft_scope_cancel(d->cancels, 0, NULL);
    return 0;
}

static void let_end(weft_nursery *n, struct deed d)
{
    CHECK_EQ(weft_spawn_copy(n, ends_with_the_mutex, &d, sizeof d), 0);
    settle();
}

static void repair(void)
{
    CHECK_EQ(weft_mutex_repair(&m), 0);
    unlock();
}

TEST(who_waits_for_the_mutex_of_a_dead_owner_is_told_and_has_it_not)
{
    weft_nursery n;
    struct waiter w[3];
    line_up(&n, w, 3);
    let_end(&n, (struct deed){.notifies = 2});
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(w[i].result, -EOWNERDEAD);
        CHECK_EQ(w[i].next, 0);
        CHECK_EQ(w[i].unlocked, -EPERM);
    }
    CHECK_EQ(w[2].result, WAITING);
    CHECK_EQ(weft_mutex_repair(&m), 0);
    CHECK_EQ(weft_cond_notify(&c, &m, 1), 0); /* whoever repairs it goes on */
    unlock();
    close_and_check(&n);
    CHECK_EQ(w[2].result, 0);
}

TEST(a_cancelled_waiter_is_told_of_a_dead_owner_rather)
{
    weft_nursery n;
    struct waiter w;
    line_up(&n, &w, 1);
    let_end(&n, (struct deed){.cancels = &w.scope});
    CHECK_EQ(w.result, -EOWNERDEAD);
    CHECK_EQ(w.next, -ECANCELED);
    CHECK_EQ(w.unlocked, -EPERM);
    repair();
    close_and_check(&n);
}

TEST(who_is_cancelled_when_the_owner_is_dead_has_not_the_mutex)
{
    weft_nursery n;
    struct waiter w;
    line_up(&n, &w, 1);
    let_end(&n, (struct deed){0});
    CHECK_EQ(w.result, WAITING); /* for a notification, not for the mutex */
    weft_scope_cancel(&w.scope, 0, NULL);
    settle();
    CHECK_EQ(w.result, -EOWNERDEAD);
    CHECK_EQ(w.next, -ECANCELED);
    CHECK_EQ(w.unlocked, -EPERM);
    CHECK_EQ(weft_cond_wait(&c, &m), -EPERM);
    CHECK_EQ(weft_cond_notify(&c, &m, 1), -EPERM);
    repair();
    close_and_check(&n);
}

static int waits_and_keeps_it(void *arg)
{
    (void)arg;
    lock();
    CHECK_EQ(weft_cond_wait(&c, &m), 0);
    return 0;
}

TEST(a_mutex_had_by_notification_is_owned_like_any)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, waits_and_keeps_it, NULL), 0);
    settle();
    notify(1);
    settle();
    CHECK_EQ(weft_mutex_lock(&m), -EOWNERDEAD);
    repair();
    close_and_check(&n);
}

/* ---- what the reports say ----------------------------------------------- */

static int waits_for_nobody(void *arg)
{
    (void)arg;
    lock();
    int rc = weft_cond_wait(&c, &m);
    CHECK_EQ(rc, -ECANCELED);
    unlock();
    return rc;
}

TEST_PLAIN(a_wait_that_nobody_can_end_is_a_deadlock_and_cleaned_up)
{
    CHECK(strstr(deadlock_report(waits_for_nobody), "in condition "));
}

static int waits_named(void *arg)
{
    (void)arg;
    weft_fiber_set_name("waiter");
    lock();
    int rc = weft_cond_wait(&c, &m);
    unlock();
    return rc;
}

static void check_held_by_holder(const char *text)
{
    const char *line = strstr(text, "\"waiter\" parked");
    CHECK(line != NULL);
    const char *end = line + strcspn(line, "\n");
    const char *mutex = strstr(line, " in mutex ");
    const char *holder = strstr(line, "held by fiber");
    CHECK(mutex && mutex < end);
    CHECK(holder && holder < end);
    holder = strstr(holder, "\"holder\"");
    CHECK(holder && holder < end);
}

static int dumps_while_it_holds(void *arg)
{
    int rc;
    (void)arg;
    weft_fiber_set_name("holder");
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits_named, NULL), 0);
        settle();
        lock();
        weft_nursery_cancel(&n, 0, NULL);
        weft_dump(1);
        unlock();
    }
    return rc;
}

static void dumps_a_waiter_for_the_mutex(void *arg)
{
    const weft_run_opts opts = {.virtual_clock = true};
    (void)arg;
    CHECK_EQ(weft_run(dumps_while_it_holds, NULL, &opts), 0);
}

TEST_PLAIN(a_cancelled_waiter_is_shown_with_the_holder_of_the_mutex)
{
    static struct ending e;
    run_in_process(dumps_a_waiter_for_the_mutex, NULL, &e);
    CHECK_EQ(e.status, 0);
    check_held_by_holder(e.said);
}

static int closes_while_it_holds(void *arg)
{
    int rc;
    (void)arg;
    weft_fiber_set_name("holder");
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits_named, NULL), 0);
        settle();
        lock();
        CHECK_EQ(weft_cond_notify(&c, &m, 1), 0);
    }
    return rc;
}

/* What was notified cannot be cancelled, so there is no way out of this. */
static void deadlocks_after_a_notification(void *arg)
{
    const weft_run_opts opts = {.virtual_clock = true};
    int rc = weft_run(closes_while_it_holds, NULL, &opts);
    (void)arg;
    (void)rc;
}

TEST_PLAIN(a_circle_through_a_mutex_that_is_wanted_again_is_reported)
{
    static struct ending e;
    run_in_process(deadlocks_after_a_notification, NULL, &e);
    CHECK(e.signal != 0 || e.status != 0);
    const char *circle = strstr(e.said, "in a circle");
    CHECK(circle != NULL);
    check_held_by_holder(circle);
}

/* ---- a buffer between producers and consumers --------------------------- */

enum { ITEMS = 40, ROOM = 3 };

static weft_cond not_empty = WEFT_COND_INIT, not_full = WEFT_COND_INIT;
static int stock, produced, consumed;

static int produces(void *arg)
{
    (void)arg;
    for (int i = 0; i < ITEMS; i++) {
        lock();
        while (stock == ROOM)
            CHECK_EQ(weft_cond_wait(&not_full, &m), 0);
        CHECK(++stock <= ROOM);
        produced++;
        CHECK_EQ(weft_cond_notify(&not_empty, &m, 1), 0);
        unlock();
        if (i % 7 == 0) CHECK_EQ(weft_yield(), 0);
    }
    return 0;
}

static int consumes(void *arg)
{
    (void)arg;
    for (int i = 0; i < ITEMS; i++) {
        lock();
        while (stock == 0)
            CHECK_EQ(weft_cond_wait(&not_empty, &m), 0);
        CHECK(stock-- > 0);
        consumed++;
        if (i % 5 == 0) CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(weft_cond_notify(&not_full, &m, 1), 0);
        unlock();
    }
    return 0;
}

TEST(nothing_is_lost_in_a_buffer_with_two_conditions)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 4; i++) {
            CHECK_EQ(weft_spawn(&n, produces, NULL), 0);
            CHECK_EQ(weft_spawn(&n, consumes, NULL), 0);
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(produced, 4 * ITEMS);
    CHECK_EQ(consumed, 4 * ITEMS);
    CHECK_EQ(stock, 0);
    check_free();
}

/* ---- random use, compared with the rules said plainly ------------------- */

enum { ACTORS = 8, STEPS = 3000 };

enum place { IDLE, IN_CONDITION, FOR_MUTEX, HAS_IT };

static struct actor {
    weft_scope scope;
    enum place place; /* what the model says */
    int expected;     /* the result, in the model */
    int result;       /* WAITING until it has one */
    weft_event may_leave;
} actors[ACTORS];

static int line_of_mutex[ACTORS], in_line, line_of_cond[ACTORS], in_cond;
static int owner; /* an actor, or -1 */
static int take_out(int *line, int *length, int at)
{
    int who = line[at];
    --*length;
    memmove(&line[at], &line[at + 1], sizeof *line * (size_t)(*length - at));
    return who;
}

static void model_hands_on(void)
{
    owner = in_line ? take_out(line_of_mutex, &in_line, 0) : -1;
    if (owner >= 0) actors[owner].place = HAS_IT;
}

static void model_wants(int who, int expected)
{
    actors[who].expected = expected;
    actors[who].place = FOR_MUTEX;
    line_of_mutex[in_line++] = who;
    if (owner < 0) model_hands_on();
}

/* The owner keeps the mutex until it is told to leave. */
static int acts(void *arg)
{
    struct actor *a = arg;
    CHECK_EQ(weft_scope_begin(&a->scope), 0);
    lock();
    a->result = weft_cond_wait(&c, &m);
    int rc;
    WEFT_SHIELD(rc, WEFT_FOREVER) {
        rc = weft_event_wait(&a->may_leave);
    }
    CHECK_EQ(rc, 0);
    unlock();
    return weft_scope_end(&a->scope, 0);
}

static void start_actor(weft_nursery *n, int who)
{
    struct actor *a = &actors[who];
    *a = (struct actor){.result = WAITING, .expected = WAITING};
    weft_scope_init(&a->scope);
    CHECK_EQ(weft_spawn(n, acts, a), 0);
    settle();
    a->place = IN_CONDITION;
    line_of_cond[in_cond++] = who;
}

static void step(weft_nursery *n)
{
    int who = random_below(ACTORS), count;
    struct actor *a = &actors[who];
    switch (random_below(6)) {
    case 0:
    case 1:
        if (a->place == IDLE && owner < 0) start_actor(n, who);
        break;
    case 2: /* cancels somebody, wherever it is */
        if (a->place == IDLE) break;
        weft_scope_cancel(&a->scope, 0, NULL);
        if (a->place != IN_CONDITION) break;
        for (int i = 0; i < in_cond; i++)
            if (line_of_cond[i] == who) take_out(line_of_cond, &in_cond, i--);
        model_wants(who, -ECANCELED);
        break;
    case 3: /* notifies some, if the mutex is to be had */
        if (owner >= 0) break;
        lock();
        count = random_below(4);
        CHECK_EQ(weft_cond_notify(&c, &m, (size_t)count), 0);
        for (; count > 0 && in_cond > 0; count--) {
            int first = take_out(line_of_cond, &in_cond, 0);
            actors[first].expected = 0;
            actors[first].place = FOR_MUTEX;
            line_of_mutex[in_line++] = first;
        }
        if (random_below(2)) settle();
        unlock();
        model_hands_on();
        break;
    default: /* the owner leaves */
        if (owner < 0) break;
        settle();
        CHECK_EQ(actors[owner].result, actors[owner].expected);
        weft_event_set(&actors[owner].may_leave);
        settle();
        actors[owner].place = IDLE;
        model_hands_on();
    }
}

static void compare(void)
{
    settle();
    for (int i = 0; i < ACTORS; i++) {
        if (actors[i].place == IDLE) continue;
        CHECK_EQ(actors[i].result,
                 actors[i].place == HAS_IT ? actors[i].expected : WAITING);
    }
}

TEST(a_condition_and_its_mutex_are_two_lines_of_waiters)
{
    weft_nursery n;
    random_begin(test_seed());
    owner = -1;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < STEPS; i++) {
        step(&n);
        if (random_below(3) == 0) compare();
    }
    compare();
    for (int i = 0; i < ACTORS; i++)
        weft_event_set(&actors[i].may_leave);
    weft_nursery_cancel(&n, 0, NULL);
    close_and_check(&n);
}
