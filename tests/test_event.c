/* SPDX-License-Identifier: MIT */
/* test_event.c - who is woken by weft_event, and who is not. */
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/time.h>

#include "harness.h"
#include "open.h"

static int turns;

struct waiter {
    weft_event *event;
    weft_scope scope;
    int result; /* 1: still waiting */
    int next, turn;
};

static int waits(void *arg)
{
    struct waiter *w = arg;
    open_scope(&w->scope);
    w->result = weft_event_wait(w->event);
    w->turn = ++turns;
    w->next = weft_checkpoint();
    return weft_scope_end(&w->scope, 0);
}

static void line_up(weft_nursery *n, weft_event *e, struct waiter *w,
                    unsigned count)
{
    CHECK_EQ(weft_nursery_open(n, NULL), 0);
    for (unsigned i = 0; i < count; i++) {
        w[i] = (struct waiter){.event = e, .result = 1};
        CHECK_EQ(weft_spawn(n, waits, &w[i]), 0);
    }
    CHECK_EQ(weft_yield(), 0);
}

TEST(evb_01_set_wakes_the_waiter_though_clear_follows)
{
    weft_event e = WEFT_EVENT_INIT;
    weft_nursery n;
    struct waiter w;
    line_up(&n, &e, &w, 1);
    weft_event_set(&e);
    weft_event_clear(&e);
    CHECK(!weft_event_is_set(&e));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(w.result, 0);
}

TEST_FIFO(evb_02_set_wakes_all_in_order)
{
    weft_event e = WEFT_EVENT_INIT;
    weft_nursery n;
    struct waiter w[5];
    line_up(&n, &e, w, 5);
    weft_event_set(&e);
    CHECK_EQ(w[0].result, 1); /* woken, but none has run */
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(w[i].result, 0);
        CHECK_EQ(w[i].turn, i + 1);
    }
}

TEST(evb_03_a_waiter_that_was_woken_is_not_cancelled_any_more)
{
    weft_event e = WEFT_EVENT_INIT;
    weft_nursery n;
    struct waiter w;
    line_up(&n, &e, &w, 1);
    weft_event_set(&e);
    weft_scope_cancel(&w.scope, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(w.result, 0);
    CHECK_EQ(w.next, -ECANCELED);
}

TEST(a_waiter_that_was_cancelled_is_not_woken_by_a_later_set)
{
    weft_event e = WEFT_EVENT_INIT;
    weft_nursery n;
    struct waiter w[2];
    line_up(&n, &e, w, 2);
    weft_scope_cancel(&w[0].scope, 0, NULL);
    weft_event_set(&e);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(w[0].result, -ECANCELED);
    CHECK_EQ(w[1].result, 0);
}

static int spoils(void *arg)
{
    *(bool *)arg = true;
    return 0;
}

TEST(evb_04_a_set_event_is_passed_without_parking)
{
    weft_event e = WEFT_EVENT_INIT;
    bool other_ran = false;
    weft_scope s;
    int rc;
    weft_event_set(&e);
    CHECK_EQ(weft_yield(), 0);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, spoils, &other_ran);
        CHECK_EQ(weft_event_wait(&e), 0);
        CHECK_EQ(weft_event_wait(&e), 0);
        CHECK(!other_ran);
        open_cancelled_scope(&s);
        CHECK_EQ(weft_event_wait(&e), -ECANCELED);
        CHECK(weft_event_is_set(&e));
        CHECK_EQ(weft_scope_end(&s, 0), 0);
    }
    CHECK_EQ(rc, 0);
}

TEST(who_waits_after_clear_waits_for_the_next_set)
{
    weft_event e = WEFT_EVENT_INIT;
    weft_nursery n;
    struct waiter w[2];
    line_up(&n, &e, &w[0], 1);
    weft_event_set(&e);
    weft_event_set(&e);
    weft_event_clear(&e);
    w[1] = (struct waiter){.event = &e, .result = 1};
    CHECK_EQ(weft_spawn(&n, waits, &w[1]), 0);
    CHECK_EQ(weft_sleep(1), 0);
    CHECK_EQ(w[0].result, 0);
    CHECK_EQ(w[1].result, 1);
    weft_event_set(&e);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(w[1].result, 0);
    CHECK(weft_event_is_set(&e));
}

TEST(a_wait_in_a_deadline_times_out)
{
    weft_event e = WEFT_EVENT_INIT;
    int rc;
    weft_time start = weft_now();
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_event_wait(&e);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5));
    weft_event_set(&e); /* and finds nobody */
    CHECK_EQ(weft_event_wait(&e), 0);
}

TEST_FIFO(waiters_cancelled_in_the_middle_leave_the_others_in_order)
{
    weft_event e = WEFT_EVENT_INIT;
    weft_nursery n;
    struct waiter w[6];
    line_up(&n, &e, w, 6);
    for (int i = 0; i < 6; i += 2) {
        weft_scope_cancel(&w[i].scope, 0, NULL);
    }
    CHECK_EQ(weft_yield(), 0);
    weft_event_set(&e);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < 6; i++) {
        CHECK_EQ(w[i].result, i % 2 ? 0 : -ECANCELED);
        CHECK_EQ(w[i].turn, i % 2 ? 4 + i / 2 : 1 + i / 2);
    }
}

static int overwrites_an_event(void *arg)
{
    weft_event *e = arg;
    weft_nursery n;
    struct waiter w[3];
    line_up(&n, e, w, 3);
    weft_scope_cancel(&w[1].scope, 0, NULL); /* its neighbours know of it */
    *e = (weft_event)WEFT_EVENT_INIT;
    weft_scope_cancel(&w[0].scope, 0, NULL);
    return weft_nursery_close(&n, 0);
}

TEST_DEATH(an_event_that_is_overwritten_under_its_waiters_is_noticed,
           "is no longer in the line")
{
    static weft_event e = WEFT_EVENT_INIT;
    CHECK_EQ(weft_run(overwrites_an_event, &e, NULL), 0);
}
