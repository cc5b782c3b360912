/* SPDX-License-Identifier: MIT */
/* test_extremes.c - the longest and shortest times, nothing at all, very many. */
#include <weft/background.h>
#include <weft/cleanup.h>
#include <weft/fiber.h>
#include <weft/gather.h>
#include <weft/local.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/task.h>
#include <weft/testing.h>
#include <weft/time.h>

#include <stdint.h>

#include "fibers.h"
#include "harness.h"

static int succeeds(void *arg)
{
    (void)arg;
    return 0;
}

static int succeeds_with(size_t i, void *ctx)
{
    (void)i, (void)ctx;
    return 0;
}

static int sleeps_a_second(void *arg)
{
    (void)arg;
    return weft_sleep(WEFT_SEC(1));
}

static int closed;

static int notes_a_checkpoint(void *arg)
{
    (void)arg;
    closed = weft_checkpoint();
    return 0;
}

/* ---- times -------------------------------------------------------------- */

static const weft_time past[] = {INT64_MIN, INT64_MIN + 1, -1, 0};
static const weft_time far[] = {WEFT_FOREVER, WEFT_FOREVER - 1, INT64_MAX / 2};

#define COUNT(a) (sizeof(a) / sizeof *(a))

TEST(blocks_and_sleeps_of_no_time_are_over_at_once)
{
    weft_time start = weft_now();
    for (size_t i = 0; i < COUNT(past); i++) {
        int rc;
        WEFT_FAIL_AFTER(rc, past[i])
            rc = weft_checkpoint();
        CHECK_EQ(rc, -ETIMEDOUT);
        WEFT_MOVE_ON_AFTER(rc, past[i])
            rc = weft_checkpoint();
        CHECK_EQ(rc, 0);
        WEFT_SHIELD(rc, past[i])
            rc = weft_checkpoint();
        CHECK_EQ(rc, -ETIMEDOUT);
        CHECK_EQ(weft_sleep(past[i]), 0);
        CHECK_EQ(weft_sleep_until(past[i]), 0);
    }
    CHECK_EQ(weft_now(), start);
}

TEST(a_moment_of_the_past_is_a_deadline_that_has_passed)
{
    for (size_t i = 0; i < COUNT(past); i++) {
        weft_scope s;
        weft_nursery n;
        weft_scope_init(&s);
        weft_scope_set_deadline(&s, past[i]);
        CHECK_EQ(weft_scope_begin(&s), 0);
        CHECK_EQ(weft_scope_end(&s, weft_checkpoint()), 0);
        CHECK(weft_scope_caught(&s));

        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        CHECK_EQ(weft_spawn(&n, waits_for_ever, NULL), 0);
        weft_scope_set_deadline(weft_nursery_scope(&n), past[i]);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
    }
}

TEST(a_grace_below_nothing_is_none_and_nothing_is_the_usual_one)
{
    for (size_t i = 0; i < COUNT(past); i++) {
        weft_nursery n;
        const weft_nursery_opts o = {.cleanup_grace = past[i]};
        CHECK_EQ(weft_nursery_open(&n, &o), 0);
        CHECK_EQ(weft_own(&n, notes_a_checkpoint, NULL, NULL), 0);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        CHECK_EQ(closed, past[i] < 0 ? -ECANCELED : 0);
    }
}

TEST(blocks_of_very_long_do_not_end_early)
{
    for (size_t i = 0; i < COUNT(far); i++) {
        int rc;
        WEFT_FAIL_AFTER(rc, far[i])
            rc = weft_sleep(1);
        CHECK_EQ(rc, 0);
        WEFT_SHIELD(rc, far[i])
            rc = weft_sleep(1);
        CHECK_EQ(rc, 0);
    }
}

TEST(a_nursery_may_have_very_long_for_everything)
{
    for (size_t i = 0; i < COUNT(far); i++) {
        weft_nursery n;
        weft_task t, *list = &t;
        const weft_nursery_opts o = {.cleanup_grace = far[i]};
        const weft_spawn_opts so = {.task = &t};
        CHECK_EQ(weft_nursery_open(&n, &o), 0);
        weft_scope_set_deadline(weft_nursery_scope(&n), far[i]);
        CHECK_EQ(weft_own(&n, sleeps_a_second, NULL, NULL), 0);
        CHECK_EQ(weft_spawn_ex(&n, sleeps_a_second, NULL, &so), 0);
        CHECK_EQ(weft_wait(&list, 1, WEFT_ALL, far[i]), 1);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
    }
}

TEST(a_shutdown_may_have_all_the_time_or_none)
{
    CHECK_EQ(weft_background(sleeps_a_second, NULL, NULL), 0);
    CHECK_EQ(weft_background_shutdown(WEFT_FOREVER - 1, INT64_MIN), 0);
    CHECK_EQ(weft_background_shutdown(INT64_MIN, WEFT_FOREVER), 0);
}

TEST(the_virtual_clock_goes_to_the_last_moment_and_stays)
{
    int rc;
    CHECK_EQ(weft_sleep_until(WEFT_FOREVER - 1), 0);
    CHECK_EQ(weft_now(), WEFT_FOREVER - 1);
    CHECK_EQ(weft_yield(), 0);
    WEFT_FAIL_AFTER(rc, 5)
        rc = weft_checkpoint();
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_now(), WEFT_FOREVER - 1);
}

/* ---- nothing, and too much ---------------------------------------------- */

TEST(an_empty_set_is_a_cancel_point_like_any)
{
    int rc;
    WEFT_MOVE_ON_AFTER(rc, 0) {
        CHECK_EQ(weft_wait(NULL, 0, WEFT_ALL, 0), -ECANCELED);
        CHECK_EQ(weft_gather(NULL, 0, NULL), -ECANCELED);
        CHECK_EQ(weft_map(0, succeeds_with, NULL, NULL, NULL), -ECANCELED);
        CHECK_EQ(weft_batch(NULL, 0), -ECANCELED);
        CHECK_EQ(weft_race(NULL, 0, WEFT_RACE_OK), -ECANCELED);
        CHECK_EQ(weft_test_settle(), -ECANCELED);
        CHECK_EQ(weft_background_shutdown(0, 0), -ECANCELED);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_background(succeeds, NULL, NULL), 0); /* not shut down */
}

TEST(a_child_cannot_have_all_the_memory)
{
    weft_nursery n;
    const weft_spawn_opts o = {.stack_size = SIZE_MAX};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, succeeds, NULL, &o), -ENOMEM);
    CHECK_EQ(weft_spawn_copy(&n, succeeds, "", SIZE_MAX), -E2BIG);
    CHECK_EQ(weft_spawn_copy(&n, succeeds, "", 0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* ---- very many ---------------------------------------------------------- */

enum { MANY = 20000 };

static weft_task tasks[MANY];
static int deferred, dropped;

static void counts(void *counter)
{
    ++*(int *)counter;
}

static weft_key shared = {.name = "shared", .drop = counts};
static weft_key private_ = {
    .name = "private", .drop = counts, .flags = WEFT_KEY_PRIVATE};

static int has_everything(void *arg)
{
    (void)arg;
    int err = weft_defer(counts, &deferred);
    if (err == 0) err = weft_local_push(&shared, &dropped);
    if (err == 0) err = weft_local_push(&private_, &dropped);
    return err < 0 ? err : weft_sleep(WEFT_MSEC(1));
}

TEST(twenty_thousand_children_may_have_everything)
{
    const int many = test_is_slow() ? MANY / 10 : MANY;
    weft_nursery n;
    weft_doneq queue;
    weft_task *task;
    int done = 0;
    weft_doneq_init(&queue);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < many; i++) {
        const weft_spawn_opts o = {.task = &tasks[i], .doneq = &queue};
        CHECK_EQ(weft_spawn_ex(&n, has_everything, NULL, &o), 0);
    }
    while (weft_next_done(&queue, &task) == 1)
        done++;
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(done, many);
    CHECK_EQ(deferred, many);
    CHECK_EQ(dropped, 2 * many);
}
