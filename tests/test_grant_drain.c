/* SPDX-License-Identifier: MIT */
/*
 * test_grant_drain.c - grant versus cancel: the drain of the background.
 *
 * A run has one set of background work, which is shut down once: so this has
 * a test for each cell, and no row in the table.
 */
#include <weft/background.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/testing.h>
#include <weft/time.h>

#include "harness.h"

#define MOMENT WEFT_SEC(1)

static weft_event gate;
static weft_nursery n;
static weft_scope scope;
static int result, next, ended;

static int works_until_the_gate_opens(void *arg)
{
    (void)arg;
    return weft_event_wait(&gate);
}

static int shut_down(void)
{
    return weft_background_shutdown(WEFT_SEC(100), WEFT_SEC(1));
}

static int shuts_down(void *arg)
{
    weft_time *deadline = arg;
    CHECK_EQ(weft_scope_begin_at(&scope, *deadline, WEFT_FAIL), 0);
    result = shut_down();
    next = weft_sleep(WEFT_MSEC(1));
    ended = weft_scope_end(&scope, next);
    return 0;
}

static void begin_to_shut_down(weft_time deadline)
{
    static weft_time until;
    until = deadline;
    result = next = ended = 77;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, shuts_down, &until), 0);
    CHECK_EQ(weft_test_settle(), 0);
}

static void start_work(void)
{
    weft_scope_init(&scope);
    CHECK_EQ(weft_background(works_until_the_gate_opens, NULL, NULL), 0);
}

static void check_the_end(int want, int code)
{
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(result, want);
    CHECK_EQ(next, -ECANCELED);
    CHECK_EQ(ended, code);
    CHECK_EQ(shut_down(), 0);
}

TEST(grt_01_a_drain_that_has_ended_is_not_cancelled_any_more)
{
    start_work();
    begin_to_shut_down(WEFT_FOREVER);
    weft_event_set(&gate);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_background_count(), 0);
    weft_scope_cancel(&scope, -EPROTO, NULL);
    check_the_end(0, -EPROTO);
}

TEST(grt_02_a_drain_that_is_cancelled_first_cancels_no_work)
{
    start_work();
    begin_to_shut_down(WEFT_FOREVER);
    weft_scope_cancel(&scope, -EPROTO, NULL);
    CHECK_EQ(weft_test_settle(), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(weft_background_count(), 1);
    weft_event_set(&gate);
    check_the_end(-ECANCELED, -EPROTO);
}

TEST(grt_02_a_drain_that_is_cancelled_in_the_turn_of_its_end)
{
    start_work();
    begin_to_shut_down(WEFT_FOREVER);
    weft_scope_cancel(&scope, -EPROTO, NULL);
    weft_event_set(&gate);
    check_the_end(-ECANCELED, -EPROTO);
}

TEST(grt_03_a_deadline_comes_before_the_work_that_would_end_then)
{
    start_work();
    begin_to_shut_down(weft_after(MOMENT));
    CHECK_EQ(weft_sleep(MOMENT), 0);
    weft_event_set(&gate);
    check_the_end(-ECANCELED, -ETIMEDOUT);
}

TEST(grt_04_who_is_cancelled_does_not_begin_to_shut_down)
{
    start_work();
    weft_scope_cancel(&scope, -EPROTO, NULL);
    begin_to_shut_down(WEFT_FOREVER);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(weft_background(works_until_the_gate_opens, NULL, NULL), 0);
    CHECK_EQ(weft_background_count(), 2);
    weft_event_set(&gate);
    check_the_end(-ECANCELED, -EPROTO);
}

TEST(grt_04_who_is_cancelled_does_not_see_that_nothing_is_left)
{
    weft_scope_init(&scope);
    weft_scope_cancel(&scope, -EPROTO, NULL);
    begin_to_shut_down(WEFT_FOREVER);
    check_the_end(-ECANCELED, -EPROTO);
}
