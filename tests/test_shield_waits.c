/* SPDX-License-Identifier: MIT */
/*
 * test_shield_waits.c - a shield is put up and down over a fiber that waits.
 *
 * Behind a shield a fiber waits for what does not come, in each kind of wait.
 * It goes on waiting when the scope around the shield is cancelled, and wakes
 * when the shield goes down; that it goes up again in the same turn is too late.
 */
#include <weft/fiber.h>
#include <weft/gen.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/task.h>
#include <weft/testing.h>
#include <weft/time.h>

#include "fibers.h"
#include "harness.h"

struct waiter {
    weft_scope outer, shield;
    int (*wait)(struct waiter *w);
    int waited, shielded, result; /* of the wait, the shield, the outer scope */
    weft_nursery full;            /* has a place for one, which is taken */
    weft_task task;
    weft_doneq queue;
    weft_gen gen;
};

static int yields_nothing(weft_gen *g, void *arg)
{
    (void)g;
    return waits_for_ever(arg);
}

static int waits_behind_a_shield(void *arg)
{
    struct waiter *w = arg;
    CHECK_EQ(weft_scope_begin(&w->outer), 0);
    CHECK_EQ(weft_scope_begin_after(&w->shield, WEFT_FOREVER, WEFT_SHIELD_), 0);
    w->waited = w->wait(w);
    w->shielded = weft_scope_end(&w->shield, w->waited);
    w->result = weft_scope_end(&w->outer, w->shielded);
    return 0;
}

static void check_wait(int (*wait)(struct waiter *w))
{
    const weft_nursery_opts one = {.limit = 1};
    struct waiter w = {.wait = wait, .waited = 77};
    const weft_spawn_opts o = {.task = &w.task, .doneq = &w.queue};
    weft_nursery n;
    weft_doneq_init(&w.queue);
    weft_scope_init(&w.outer);
    weft_scope_init(&w.shield);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_nursery_open(&w.full, &one), 0);
    CHECK_EQ(weft_spawn_ex(&w.full, waits_for_ever, NULL, &o), 0);
    CHECK_EQ(weft_gen_open(&w.gen, yields_nothing, NULL), 0);
    CHECK_EQ(weft_spawn(&n, waits_behind_a_shield, &w), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_yield(), 0);

    weft_scope_cancel(&w.outer, -EXDEV, NULL);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(w.waited, 77);
    weft_scope_set_shield(&w.shield, false);
    weft_scope_set_shield(&w.shield, true);
    weft_scope_set_shield(&w.shield, false);
    CHECK_EQ(weft_sleep(1), 0);
    CHECK_EQ(w.waited, -ECANCELED);
    CHECK_EQ(w.shielded, -ECANCELED);
    CHECK_EQ(w.result, -EXDEV);

    CHECK_EQ(weft_gen_close(&w.gen), 0);
    weft_nursery_cancel(&w.full, 0, NULL);
    CHECK_EQ(weft_nursery_close(&w.full, 0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static int joins(struct waiter *w)
{
    return weft_join(&w->task, NULL);
}

TEST(a_join_ends_when_its_shield_goes_down)
{
    check_wait(joins);
}

static int waits_for_all(struct waiter *w)
{
    weft_task *task = &w->task;
    return weft_wait(&task, 1, WEFT_ALL, WEFT_SEC(100));
}

TEST(a_wait_for_tasks_ends_when_its_shield_goes_down)
{
    check_wait(waits_for_all);
}

static int takes_the_next(struct waiter *w)
{
    weft_task *task;
    return weft_next_done(&w->queue, &task);
}

TEST(a_wait_for_the_next_task_ends_when_its_shield_goes_down)
{
    check_wait(takes_the_next);
}

static int asks_for_a_place(struct waiter *w)
{
    return weft_spawn_wait(&w->full, waits_for_ever, NULL);
}

TEST(a_wait_for_a_place_ends_when_its_shield_goes_down)
{
    check_wait(asks_for_a_place);
}

static int asks_for_an_item(struct waiter *w)
{
    void *item;
    return weft_gen_next(&w->gen, &item);
}

TEST(a_wait_for_an_item_ends_when_its_shield_goes_down)
{
    check_wait(asks_for_an_item);
}

static int starts(struct waiter *w)
{
    weft_nursery n;
    (void)w;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    return weft_nursery_close(&n, weft_start(&n, waits_for_ever, NULL, NULL));
}

TEST(a_start_ends_when_its_shield_goes_down)
{
    check_wait(starts);
}

static int settles_over_and_over(struct waiter *w)
{
    int err;
    (void)w;
    while ((err = weft_test_settle()) == 0) {
    }
    return err;
}

TEST(settling_ends_when_its_shield_goes_down)
{
    check_wait(settles_over_and_over);
}
