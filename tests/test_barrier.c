/* SPDX-License-Identifier: MIT */
/* test_barrier.c - who is waited for, who is let go, and which place he has. */
#include <weft/barrier.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <string.h>

#include "deadlock.h"
#include "harness.h"
#include "open.h"
#include "settle.h"

enum { WAITING = 1000 };

static weft_barrier b = WEFT_BARRIER_INIT(3);
static int turns;

struct waiter {
    weft_scope scope;
    int place; /* WAITING: it does */
    int turn, next;
};

static int waits(void *arg)
{
    struct waiter *w = arg;
    CHECK_EQ(weft_scope_begin(&w->scope), 0);
    w->place = weft_barrier_wait(&b);
    w->turn = ++turns;
    w->next = weft_checkpoint();
    return weft_scope_end(&w->scope, 0);
}

static void spawn(weft_nursery *n, struct waiter *w)
{
    *w = (struct waiter){.place = WAITING};
    weft_scope_init(&w->scope);
    CHECK_EQ(weft_spawn(n, waits, w), 0);
}

static void add(weft_nursery *n, struct waiter *w)
{
    spawn(n, w);
    settle();
}

/* Opens *n, with `count` at the barrier. */
static void line_up(weft_nursery *n, struct waiter *w, unsigned count)
{
    CHECK_EQ(weft_nursery_open(n, NULL), 0);
    for (unsigned i = 0; i < count; i++) {
        add(n, &w[i]);
        CHECK_EQ(w[i].place, WAITING);
        CHECK_EQ(weft_barrier_waiting(&b), i + 1);
    }
}

static void close_and_check(weft_nursery *n)
{
    CHECK_EQ(weft_nursery_close(n, 0), 0);
    CHECK_EQ(weft_barrier_waiting(&b), 0);
}

TEST(evb_05_all_go_on_when_the_last_has_come_each_with_its_place)
{
    weft_nursery n;
    struct waiter w[6];
    for (int round = 0; round < 2; round++) {
        line_up(&n, &w[0], 2);
        add(&n, &w[2]);
        for (int i = 0; i < 3; i++)
            CHECK_EQ(w[i].place, i);
        close_and_check(&n);
    }
}

static void six_come(struct waiter *w)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 6; i++)
        spawn(&n, &w[i]);
    close_and_check(&n);
}

TEST(evb_05_six_fibers_are_two_rounds_of_three)
{
    struct waiter w[6];
    int seen[3] = {0};
    six_come(w);
    for (int i = 0; i < 6; i++) {
        CHECK(w[i].place >= 0 && w[i].place < 3);
        seen[w[i].place]++;
    }
    for (int place = 0; place < 3; place++)
        CHECK_EQ(seen[place], 2);
}

TEST_FIFO(evb_05_six_in_line_have_the_places_of_their_coming)
{
    struct waiter w[6];
    six_come(w);
    for (int i = 0; i < 6; i++)
        CHECK_EQ(w[i].place, i % 3);
    CHECK_EQ(w[2].turn, 1); /* the last does not wait */
    CHECK_EQ(w[5].turn, 2);
    CHECK_EQ(w[0].turn, 3); /* and the others go on in line */
    CHECK_EQ(w[1].turn, 4);
    CHECK_EQ(w[3].turn, 5);
    CHECK_EQ(w[4].turn, 6);
}

TEST(the_last_to_come_does_not_wait)
{
    weft_nursery n;
    struct waiter w[2];
    line_up(&n, w, 2);
    CHECK_EQ(weft_barrier_wait(&b), 2);
    CHECK_EQ(w[0].place, WAITING); /* let go, but has not run */
    CHECK_EQ(weft_barrier_waiting(&b), 0);
    close_and_check(&n);
    CHECK_EQ(w[0].place, 0);
    CHECK_EQ(w[1].place, 1);
}

static int rounds_done[3];

static int goes_ten_rounds(void *arg)
{
    int me = *(int *)arg;
    for (int i = 0; i < 10; i++) {
        CHECK(weft_barrier_wait(&b) >= 0);
        rounds_done[me]++;
        for (int k = 0; k < 3; k++) /* nobody is a round ahead */
            CHECK(rounds_done[k] >= i && rounds_done[k] <= i + 1);
        if (me == i % 3) CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    }
    return 0;
}

TEST(it_can_be_used_again_at_once_and_nobody_is_a_round_ahead)
{
    static int numbers[] = {0, 1, 2};
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 3; i++)
            CHECK_EQ(weft_spawn(&n, goes_ten_rounds, &numbers[i]), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(rounds_done[0], 10);
    CHECK_EQ(weft_barrier_waiting(&b), 0);
}

TEST(who_comes_before_the_others_have_run_is_of_the_next_round)
{
    weft_nursery n;
    struct waiter w[2];
    int rc;
    line_up(&n, w, 2);
    CHECK_EQ(weft_barrier_wait(&b), 2);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1)) {
        rc = weft_barrier_wait(&b);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(w[0].place, 0);
    close_and_check(&n);
}

TEST(a_barrier_for_one_or_for_none_stops_nobody)
{
    weft_barrier one = WEFT_BARRIER_INIT(1), none;
    static weft_barrier zeroed;
    weft_barrier_init(&none, 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_barrier_wait(&one), 0);
        CHECK_EQ(weft_barrier_wait(&none), 0);
        CHECK_EQ(weft_barrier_wait(&zeroed), 0);
    }
    CHECK_EQ(weft_barrier_waiting(&none), 0);
}

TEST(a_great_many_can_meet)
{
    enum { MANY = 300 };
    static struct waiter w[MANY];
    weft_nursery n;
    weft_barrier_init(&b, MANY);
    line_up(&n, w, MANY - 1);
    add(&n, &w[MANY - 1]);
    close_and_check(&n);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(w[i].place, i);
}

/* ---- cancellation ------------------------------------------------------- */

TEST(evb_06_who_is_cancelled_was_not_there_and_the_others_wait_on)
{
    weft_nursery n;
    struct waiter w[4];
    line_up(&n, w, 2);
    weft_scope_cancel(&w[0].scope, 0, NULL);
    CHECK_EQ(weft_barrier_waiting(&b), 1);
    settle();
    CHECK_EQ(w[0].place, -ECANCELED);
    CHECK_EQ(w[1].place, WAITING);
    add(&n, &w[2]);
    CHECK_EQ(weft_barrier_waiting(&b), 2);
    CHECK_EQ(w[2].place, WAITING);
    add(&n, &w[3]);
    CHECK_EQ(w[1].place, 0); /* no gap, and no place twice */
    CHECK_EQ(w[2].place, 1);
    CHECK_EQ(w[3].place, 2);
    close_and_check(&n);
}

TEST(evb_06_a_deadline_is_the_same)
{
    weft_nursery n;
    struct waiter w[2];
    int rc;
    line_up(&n, w, 1);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_barrier_wait(&b);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_barrier_waiting(&b), 1);
    add(&n, &w[1]);
    CHECK_EQ(weft_barrier_wait(&b), 2);
    close_and_check(&n);
    CHECK_EQ(w[0].place, 0);
    CHECK_EQ(w[1].place, 1);
}

TEST(evb_06_all_cancelled_leave_it_empty)
{
    weft_nursery n;
    struct waiter w[2];
    line_up(&n, w, 2);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_barrier_waiting(&b), 0);
    close_and_check(&n);
    CHECK_EQ(w[0].place, -ECANCELED);
    CHECK_EQ(w[1].place, -ECANCELED);
}

TEST(the_last_to_come_lets_nobody_go_if_it_is_cancelled)
{
    weft_nursery n;
    weft_scope s;
    struct waiter w[2];
    line_up(&n, w, 2);
    open_cancelled_scope(&s);
    CHECK_EQ(weft_barrier_wait(&b), -ECANCELED);
    CHECK_EQ(weft_barrier_waiting(&b), 2);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    settle();
    CHECK_EQ(w[0].place, WAITING);
    CHECK_EQ(weft_barrier_wait(&b), 2);
    close_and_check(&n);
}

TEST(a_barrier_for_one_is_a_cancel_point_too)
{
    weft_barrier one = WEFT_BARRIER_INIT(1);
    int rc;
    WEFT_MOVE_ON_AFTER(rc, 0) {
        CHECK_EQ(weft_barrier_wait(&one), -ECANCELED);
    }
    CHECK_EQ(rc, 0);
}

/* ---- grant and cancel in one turn --------------------------------------- */

TEST(grt_who_was_let_go_is_not_cancelled_any_more)
{
    weft_nursery n;
    struct waiter w[2];
    line_up(&n, w, 2);
    CHECK_EQ(weft_barrier_wait(&b), 2);
    weft_scope_cancel(&w[0].scope, 0, NULL);
    CHECK_EQ(weft_barrier_waiting(&b), 0);
    close_and_check(&n);
    CHECK_EQ(w[0].place, 0);
    CHECK_EQ(w[0].next, -ECANCELED);
    CHECK_EQ(w[1].place, 1);
    CHECK_EQ(w[1].next, 0);
}

TEST(grt_who_is_cancelled_just_before_the_last_comes_is_missing)
{
    weft_nursery n;
    struct waiter w[2];
    int rc;
    line_up(&n, w, 2);
    weft_scope_cancel(&w[0].scope, 0, NULL);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1)) {
        rc = weft_barrier_wait(&b);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(w[0].place, -ECANCELED);
    CHECK_EQ(w[1].place, WAITING);
    weft_barrier_reset(&b);
    close_and_check(&n);
}

TEST(grt_a_deadline_of_the_same_moment_comes_before_the_last)
{
    weft_nursery n;
    struct waiter w[2];
    line_up(&n, w, 2);
    weft_scope_set_deadline(&w[0].scope, weft_after(WEFT_MSEC(5)));
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    CHECK_EQ(weft_barrier_waiting(&b), 1);
    weft_barrier_reset(&b);
    close_and_check(&n);
    CHECK_EQ(w[0].place, -ECANCELED);
    CHECK_EQ(w[1].place, -EPIPE);
}

/* ---- reset -------------------------------------------------------------- */

TEST(evb_08_a_reset_sends_all_away_and_it_can_be_used_again)
{
    weft_nursery n;
    struct waiter w[2], later[3];
    line_up(&n, w, 2);
    weft_barrier_reset(&b);
    CHECK_EQ(weft_barrier_waiting(&b), 0);
    settle();
    CHECK_EQ(w[0].place, -EPIPE);
    CHECK_EQ(w[1].place, -EPIPE);
    for (int i = 0; i < 3; i++)
        add(&n, &later[i]);
    close_and_check(&n);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(later[i].place, i);
}

TEST(evb_08_who_comes_after_the_reset_is_of_the_next_round)
{
    weft_nursery n;
    struct waiter w[2];
    line_up(&n, w, 2);
    weft_barrier_reset(&b);
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1)) { /* before the two have run */
        rc = weft_barrier_wait(&b);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    close_and_check(&n);
    CHECK_EQ(w[0].place, -EPIPE);
    CHECK_EQ(w[1].place, -EPIPE);
}

TEST(grt_a_reset_survives_a_cancel_in_the_same_turn)
{
    weft_nursery n;
    struct waiter w[2];
    line_up(&n, w, 2);
    weft_barrier_reset(&b);
    weft_scope_cancel(&w[1].scope, 0, NULL);
    close_and_check(&n);
    CHECK_EQ(w[0].place, -EPIPE);
    CHECK_EQ(w[1].place, -EPIPE);
    CHECK_EQ(w[1].next, -ECANCELED);
}

TEST(grt_a_reset_finds_those_no_more_that_were_let_go_or_cancelled)
{
    weft_nursery n;
    struct waiter w[3];
    line_up(&n, w, 2);
    CHECK_EQ(weft_barrier_wait(&b), 2);
    weft_barrier_reset(&b);
    settle();
    CHECK_EQ(w[0].place, 0);
    CHECK_EQ(w[1].place, 1);
    add(&n, &w[2]);
    weft_scope_cancel(&w[2].scope, 0, NULL);
    weft_barrier_reset(&b);
    close_and_check(&n);
    CHECK_EQ(w[2].place, -ECANCELED);
}

TEST_PLAIN(a_reset_needs_no_fiber_but_a_wait_does)
{
    weft_barrier_init(&b, 2);
    weft_barrier_reset(&b);
    CHECK_EQ(weft_barrier_wait(&b), -EPERM);
    CHECK_EQ(weft_barrier_waiting(&b), 0);
}

/* ---- what the report says ----------------------------------------------- */

static int waits_for_nobody(void *arg)
{
    (void)arg;
    int rc = weft_barrier_wait(&b);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(weft_barrier_waiting(&b), 0);
    return rc;
}

TEST_PLAIN(a_barrier_that_nobody_else_comes_to_is_a_deadlock)
{
    CHECK(strstr(deadlock_report(waits_for_nobody), "in barrier "));
}

#ifdef WEFT_DEBUG
static int initialises_it_again(void *arg)
{
    weft_nursery n;
    struct waiter w;
    (void)arg;
    weft_barrier_init(&b, 2);
    line_up(&n, &w, 1);
    weft_barrier_init(&b, 1);
    return weft_nursery_close(&n, 0);
}

TEST_DEATH(a_barrier_that_somebody_waits_at_is_not_initialised_again,
           "waits in the barrier that is at")
{
    CHECK_EQ(weft_run(initialises_it_again, NULL, NULL), 0);
}
#endif
