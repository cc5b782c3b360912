/* SPDX-License-Identifier: MIT */
/*
 * test_window.c - a cancellation between a grant and the run of who got it.
 *
 * What a fiber waits for comes true, and before the fiber runs again its scope
 * is cancelled. It keeps what it was given, whatever it waited for, and is told
 * of the cancellation at its next cancel point.
 */
#include <weft/background.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/gen.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/task.h>
#include <weft/testing.h>
#include <weft/time.h>

#include "harness.h"

struct window {
    weft_scope scope; /* around the wait */
    int (*wait)(struct window *w);
    int result, next;
    weft_event go; /* the granting fiber waits for it, then the cancelling */
    weft_nursery fibers, target;
    weft_task task;
    weft_doneq queue;
    weft_gen gen;
};

static int returns_when_told(void *arg)
{
    return weft_event_wait(&((struct window *)arg)->go);
}

static int is_ready_when_told(void *arg)
{
    int err = returns_when_told(arg);
    return err < 0 ? err : weft_started(NULL);
}

static int yields_when_told(weft_gen *g, void *arg)
{
    int err = returns_when_told(arg);
    return err < 0 ? err : weft_gen_yield(g, NULL);
}

static int cancels_when_told(void *arg)
{
    struct window *w = arg;
    int err = weft_event_wait(&w->go);
    weft_scope_cancel(&w->scope, 0, NULL);
    return err;
}

static int waits(void *arg)
{
    struct window *w = arg;
    CHECK_EQ(weft_scope_begin(&w->scope), 0);
    w->result = w->wait(w);
    w->next = weft_checkpoint();
    return weft_scope_end(&w->scope, w->next);
}

static void spawn(struct window *w, weft_fn fn)
{
    CHECK_EQ(weft_spawn(&w->fibers, fn, w), 0);
    CHECK_EQ(weft_test_settle(), 0);
}

static void open_window(struct window *w, int (*wait)(struct window *))
{
    const weft_nursery_opts one = {.limit = 1};
    *w = (struct window){.wait = wait, .result = 77, .next = 77};
    weft_scope_init(&w->scope);
    weft_doneq_init(&w->queue);
    CHECK_EQ(weft_nursery_open(&w->fibers, NULL), 0);
    CHECK_EQ(weft_nursery_open(&w->target, &one), 0);
}

static void check_window(struct window *w, int result)
{
    weft_event_set(&w->go);
    CHECK_EQ(weft_test_settle(), 0);
    CHECK_EQ(w->result, result);
    CHECK_EQ(w->next, -ECANCELED);
    CHECK(weft_scope_caught(&w->scope));
    CHECK_EQ(weft_nursery_close(&w->target, 0), 0);
    CHECK_EQ(weft_nursery_close(&w->fibers, 0), 0);
}

/* What is waited for is the end of a child. */
static void check_a_wait_for_a_child(int (*wait)(struct window *), int result)
{
    struct window w;
    open_window(&w, wait);
    const weft_spawn_opts o = {.task = &w.task, .doneq = &w.queue};
    CHECK_EQ(weft_spawn_ex(&w.target, returns_when_told, &w, &o), 0);
    CHECK_EQ(weft_test_settle(), 0);
    spawn(&w, cancels_when_told);
    spawn(&w, waits);
    check_window(&w, result);
}

static int joins(struct window *w)
{
    return weft_join(&w->task, NULL);
}

TEST_FIFO(a_join_that_was_granted_survives_a_cancellation)
{
    check_a_wait_for_a_child(joins, 0);
}

static int waits_for_all(struct window *w)
{
    weft_task *task = &w->task;
    return weft_wait(&task, 1, WEFT_ALL, WEFT_SEC(100));
}

TEST_FIFO(a_wait_that_was_satisfied_survives_a_cancellation)
{
    check_a_wait_for_a_child(waits_for_all, 1);
}

static int takes_the_next(struct window *w)
{
    weft_task *task = NULL;
    int rc = weft_next_done(&w->queue, &task);
    CHECK_PTR(task, &w->task);
    return rc;
}

TEST_FIFO(a_task_that_was_handed_over_survives_a_cancellation)
{
    check_a_wait_for_a_child(takes_the_next, 1);
}

static bool placed;

static int takes_the_place(void *arg)
{
    (void)arg;
    placed = true;
    return 0;
}

static int asks_for_a_place(struct window *w)
{
    return weft_spawn_wait(&w->target, takes_the_place, NULL);
}

TEST_FIFO(a_place_that_was_given_survives_a_cancellation)
{
    check_a_wait_for_a_child(asks_for_a_place, 0);
    CHECK(placed);
}

static int shuts_down(struct window *w)
{
    (void)w;
    return weft_background_shutdown(WEFT_SEC(100), 0);
}

TEST_FIFO(a_shutdown_that_was_over_survives_a_cancellation)
{
    struct window w;
    open_window(&w, shuts_down);
    CHECK_EQ(weft_background(returns_when_told, &w, NULL), 0);
    CHECK_EQ(weft_test_settle(), 0);
    spawn(&w, cancels_when_told);
    spawn(&w, waits);
    check_window(&w, 0);
}

static int asks_for_an_item(struct window *w)
{
    void *item;
    return weft_gen_next(&w->gen, &item);
}

TEST_FIFO(an_item_that_was_yielded_survives_a_cancellation)
{
    struct window w;
    open_window(&w, asks_for_an_item);
    CHECK_EQ(weft_gen_open(&w.gen, yields_when_told, &w), 0);
    spawn(&w, waits);
    spawn(&w, cancels_when_told);
    weft_event_set(&w.go);
    CHECK_EQ(weft_test_settle(), 0);
    CHECK_EQ(weft_gen_close(&w.gen), 0);
    check_window(&w, 1);
}

static int starts(struct window *w)
{
    return weft_start(&w->target, is_ready_when_told, w, NULL);
}

TEST_FIFO(a_start_whose_child_was_ready_survives_a_cancellation)
{
    struct window w;
    open_window(&w, starts);
    spawn(&w, waits);
    spawn(&w, cancels_when_told);
    check_window(&w, 0);
}

static int settles(struct window *w)
{
    (void)w;
    return weft_test_settle();
}

static int settles_and_cancels(void *arg)
{
    CHECK_EQ(weft_test_settle(), 0);
    weft_scope_cancel(&((struct window *)arg)->scope, 0, NULL);
    return 0;
}

TEST_FIFO(a_fiber_that_has_settled_survives_a_cancellation)
{
    struct window w;
    open_window(&w, settles);
    CHECK_EQ(weft_spawn(&w.fibers, settles_and_cancels, &w), 0);
    CHECK_EQ(weft_spawn(&w.fibers, waits, &w), 0);
    CHECK_EQ(weft_test_settle(), 0); /* together with these two */
    check_window(&w, 0);
}
