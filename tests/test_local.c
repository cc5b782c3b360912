/* SPDX-License-Identifier: MIT */
/* test_local.c - values that fibers hand down, and when they are dropped. */
#include <weft/background.h>
#include <weft/cleanup.h>
#include <weft/error.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/gather.h>
#include <weft/gen.h>
#include <weft/local.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/task.h>
#include <weft/time.h>

#include <string.h>

#include "chance.h"
#include "harness.h"
#include "open.h"
#include "starve.h"
#include "sweep.h"

/* A value counts how often it was dropped. */
struct value {
    unsigned drops;
};

static void drops(void *value)
{
    ((struct value *)value)->drops++;
}

static weft_key color = {.name = "color", .drop = drops};
static weft_key shape = {.name = "shape", .drop = drops};
static weft_key size = {.name = "size", .drop = drops};
static weft_key own = {.name = "own", .drop = drops, .flags = WEFT_KEY_PRIVATE};
static weft_key plain = {.name = "plain"};

static struct value red, green, blue, round_, square, large, mine;

static void push(weft_key *k, struct value *v)
{
    CHECK_EQ(weft_local_push(k, v), 0);
    CHECK_PTR(weft_local_get(k), v);
}

/* ---- a child that reports, and waits until it is told to end ------------ */

struct holder {
    void *color, *shape, *own;
    weft_time until;
};

static void look(struct holder *h)
{
    h->color = weft_local_get(&color);
    h->shape = weft_local_get(&shape);
    h->own = weft_local_get(&own);
}

static int holds(void *arg)
{
    struct holder *h = arg;
    look(h);
    int err = weft_sleep(h->until);
    CHECK_PTR(weft_local_get(&color), h->color);
    CHECK_PTR(weft_local_get(&shape), h->shape);
    return err;
}

static int looks(void *arg)
{
    look(arg);
    return 0;
}

/* ---- the listed cases --------------------------------------------------- */

TEST(loc_01_a_child_sees_what_its_spawner_has_bound)
{
    weft_nursery n;
    struct holder before = {0}, after = {0};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, looks, &before), 0);
    push(&color, &red);
    CHECK_EQ(weft_spawn(&n, looks, &after), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK(before.color == NULL);
    CHECK_PTR(after.color, &red);
}

static weft_nursery *shared;
static struct holder from_child;

static int spawns_into_the_shared(void *arg)
{
    push(&color, arg);
    return weft_spawn(shared, looks, &from_child);
}

TEST(loc_01_it_is_the_spawner_that_counts_not_who_opened_the_nursery)
{
    weft_nursery n;
    shared = &n;
    push(&color, &red);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, spawns_into_the_shared, &green), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_PTR(from_child.color, &green);
    CHECK_EQ(green.drops, 1);
    CHECK_EQ(red.drops, 0);
    CHECK_PTR(weft_local_get(&color), &red);
}

static int rebinds(void *arg)
{
    CHECK_PTR(weft_local_get(&color), &red);
    push(&color, arg);
    CHECK_EQ(weft_sleep(WEFT_MSEC(2)), 0);
    CHECK_PTR(weft_local_get(&color), arg);
    return 0;
}

TEST(loc_02_what_parent_and_child_bind_later_the_other_does_not_see)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    push(&color, &red);
    CHECK_EQ(weft_spawn(&n, rebinds, &green), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_PTR(weft_local_get(&color), &red);
    push(&color, &blue);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_PTR(weft_local_get(&color), &blue);
    CHECK_EQ(green.drops, 1);
    CHECK_EQ(red.drops + blue.drops, 0);
}

TEST(loc_04_a_pop_brings_back_the_value_before)
{
    CHECK(weft_local_get(&color) == NULL);
    push(&color, &red);
    push(&color, &green);
    push(&color, &blue);
    CHECK_EQ(weft_local_pop(&color), 0);
    CHECK_PTR(weft_local_get(&color), &green);
    CHECK_EQ(weft_local_pop(&color), 0);
    CHECK_PTR(weft_local_get(&color), &red);
    CHECK_EQ(weft_local_pop(&color), 0);
    CHECK(weft_local_get(&color) == NULL);
    CHECK_EQ(weft_local_pop(&color), -ENOENT);
    CHECK_EQ(red.drops, 1);
    CHECK_EQ(green.drops, 1);
    CHECK_EQ(blue.drops, 1);
}

static int has_a_private_of_its_own(void *arg)
{
    CHECK(weft_local_get(&own) == NULL);
    CHECK_EQ(weft_local_pop(&own), -ENOENT);
    push(&own, arg);
    weft_job job = {.fn = looks, .arg = &from_child};
    CHECK_EQ(weft_gather(&job, 1, NULL), 0);
    CHECK(from_child.own == NULL);
    CHECK_PTR(weft_local_get(&own), arg);
    return 0;
}

TEST(loc_05_a_private_key_is_unset_in_every_child)
{
    weft_nursery n;
    struct holder h = {0};
    struct value its = {0};
    push(&color, &red);
    push(&own, &mine);
    push(&shape, &square);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, looks, &h), 0);
    CHECK_EQ(weft_spawn(&n, has_a_private_of_its_own, &its), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_PTR(h.color, &red);
    CHECK_PTR(h.shape, &square);
    CHECK(h.own == NULL);
    CHECK_EQ(its.drops, 1);
    CHECK_EQ(mine.drops, 0);
    CHECK_PTR(weft_local_get(&own), &mine);
    CHECK_EQ(weft_local_pop(&own), 0);
    CHECK_EQ(mine.drops, 1);
}

/* ---- pops --------------------------------------------------------------- */

TEST(an_unset_key_has_no_value_and_cannot_be_popped)
{
    CHECK(weft_local_get(&color) == NULL);
    CHECK_EQ(weft_local_pop(&color), -ENOENT);
    push(&shape, &square);
    CHECK(weft_local_get(&color) == NULL);
    CHECK_EQ(weft_local_pop(&color), -ENOENT);
    CHECK_EQ(weft_local_pop(&own), -ENOENT);
    CHECK_EQ(square.drops, 0);
}

TEST(pops_of_different_keys_come_in_any_order)
{
    push(&color, &red);
    push(&shape, &square);
    push(&own, &mine);
    push(&size, &large);
    CHECK_EQ(weft_local_pop(&shape), 0);
    CHECK_EQ(square.drops, 1);
    CHECK_PTR(weft_local_get(&color), &red);
    CHECK(weft_local_get(&shape) == NULL);
    CHECK_PTR(weft_local_get(&size), &large);
    CHECK_PTR(weft_local_get(&own), &mine);
    CHECK_EQ(weft_local_pop(&color), 0);
    CHECK_EQ(red.drops, 1);
    CHECK_PTR(weft_local_get(&size), &large);
    CHECK_EQ(weft_local_pop(&own), 0);
    CHECK_EQ(mine.drops, 1);
    CHECK_EQ(weft_local_pop(&size), 0);
    CHECK_EQ(large.drops, 1);
    CHECK_EQ(weft_local_pop(&size), -ENOENT);
}

TEST(a_pop_takes_the_latest_of_its_key_from_under_others)
{
    push(&color, &red);
    push(&shape, &square);
    push(&color, &green);
    push(&shape, &round_);
    CHECK_EQ(weft_local_pop(&color), 0);
    CHECK_EQ(green.drops, 1);
    CHECK_EQ(red.drops, 0);
    CHECK_PTR(weft_local_get(&color), &red);
    CHECK_PTR(weft_local_get(&shape), &round_);
    CHECK_EQ(weft_local_pop(&shape), 0);
    CHECK_PTR(weft_local_get(&shape), &square);
    CHECK_EQ(weft_local_pop(&color), 0);
    CHECK_EQ(weft_local_pop(&shape), 0);
    CHECK_EQ(red.drops + square.drops + round_.drops, 3);
}

TEST(one_value_bound_twice_is_dropped_twice)
{
    push(&color, &red);
    push(&color, &red);
    CHECK_EQ(weft_local_pop(&color), 0);
    CHECK_EQ(red.drops, 1);
    CHECK_PTR(weft_local_get(&color), &red);
    CHECK_EQ(weft_local_pop(&color), 0);
    CHECK_EQ(red.drops, 2);
}

TEST(a_key_without_a_drop_needs_none)
{
    int x;
    CHECK_EQ(weft_local_push(&plain, &x), 0);
    CHECK_EQ(weft_local_push(&plain, &x), 0);
    CHECK_PTR(weft_local_get(&plain), &x);
    CHECK_EQ(weft_local_pop(&plain), 0);
}

static int pops_what_it_inherited(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_local_pop(&color), -ENOENT);
    CHECK_PTR(weft_local_get(&color), &red);
    push(&color, &green);
    CHECK_EQ(weft_local_pop(&color), 0);
    CHECK_PTR(weft_local_get(&color), &red);
    CHECK_EQ(weft_local_pop(&color), -ENOENT);
    push(&shape, &square);
    push(&size, &large);
    CHECK_EQ(weft_local_pop(&color), -ENOENT);
    CHECK_EQ(weft_local_pop(&shape), 0);
    CHECK_PTR(weft_local_get(&color), &red);
    CHECK_PTR(weft_local_get(&size), &large);
    return 0;
}

TEST(an_inherited_value_is_not_the_childs_to_pop)
{
    push(&color, &red);
    weft_job job = {.fn = pops_what_it_inherited};
    CHECK_EQ(weft_gather(&job, 1, NULL), 0);
    CHECK_PTR(weft_local_get(&color), &red);
    CHECK_EQ(red.drops, 0);
    CHECK_EQ(green.drops, 1);
    CHECK_EQ(square.drops, 1);
    CHECK_EQ(large.drops, 1);
    CHECK_EQ(weft_local_pop(&color), 0);
    CHECK_EQ(red.drops, 1);
}

/* ---- drops -------------------------------------------------------------- */

TEST(a_value_that_a_child_can_see_is_dropped_when_that_has_ended)
{
    weft_nursery n;
    struct holder h = {.until = WEFT_MSEC(10)};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    push(&color, &red);
    CHECK_EQ(weft_spawn(&n, holds, &h), 0);
    CHECK_EQ(weft_local_pop(&color), 0);
    CHECK(weft_local_get(&color) == NULL);
    CHECK_EQ(red.drops, 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    CHECK_EQ(red.drops, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(red.drops, 1);
    CHECK_PTR(h.color, &red);
}

TEST(a_child_that_has_not_run_yet_can_see_its_values)
{
    weft_nursery n;
    struct holder h = {0};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    push(&color, &red);
    push(&shape, &square);
    CHECK_EQ(weft_spawn(&n, holds, &h), 0);
    CHECK_EQ(weft_local_pop(&color), 0);
    CHECK_EQ(weft_local_pop(&shape), 0);
    push(&color, &blue);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_PTR(h.color, &red);
    CHECK_PTR(h.shape, &square);
    CHECK_EQ(red.drops, 1);
    CHECK_EQ(square.drops, 1);
}

TEST(a_joined_fiber_has_let_go_of_its_values)
{
    weft_nursery n;
    weft_task t;
    const weft_spawn_opts o = {.task = &t};
    struct holder h = {.until = WEFT_MSEC(1)};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    push(&color, &red);
    CHECK_EQ(weft_spawn_ex(&n, holds, &h, &o), 0);
    CHECK_EQ(weft_local_pop(&color), 0);
    CHECK_EQ(weft_join(&t, NULL), 0);
    CHECK_EQ(red.drops, 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static int leaves_all_bound(void *arg)
{
    (void)arg;
    push(&color, &red);
    push(&own, &mine);
    push(&color, &green);
    push(&shape, &square);
    CHECK_EQ(weft_local_push(&plain, NULL), 0);
    return 0;
}

TEST(what_is_still_bound_at_the_end_of_a_fiber_is_dropped)
{
    weft_job job = {.fn = leaves_all_bound};
    CHECK_EQ(weft_gather(&job, 1, NULL), 0);
    CHECK_EQ(red.drops, 1);
    CHECK_EQ(green.drops, 1);
    CHECK_EQ(square.drops, 1);
    CHECK_EQ(mine.drops, 1);
    CHECK(weft_local_get(&color) == NULL);
}

TEST_PLAIN(what_main_has_bound_is_dropped_with_the_run)
{
    const weft_run_opts o = {.virtual_clock = true};
    CHECK_EQ(weft_run(leaves_all_bound, NULL, &o), 0);
    CHECK_EQ(red.drops, 1);
    CHECK_EQ(mine.drops, 1);
    CHECK_EQ(weft_run(leaves_all_bound, NULL, &o), 0);
    CHECK_EQ(red.drops, 2);
    CHECK_EQ(square.drops, 2);
}

TEST(a_value_taken_from_under_shared_ones_is_dropped_once)
{
    weft_nursery n;
    struct holder h = {.until = WEFT_MSEC(5)};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    push(&color, &red);
    push(&shape, &square);
    push(&size, &large);
    CHECK_EQ(weft_spawn(&n, holds, &h), 0);
    CHECK_EQ(weft_local_pop(&color), 0); /* the child sees all three still */
    CHECK(weft_local_get(&color) == NULL);
    CHECK_PTR(weft_local_get(&shape), &square);
    CHECK_PTR(weft_local_get(&size), &large);
    CHECK_EQ(red.drops + square.drops + large.drops, 0);
    CHECK_EQ(weft_local_pop(&size), 0);
    CHECK_EQ(large.drops, 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_PTR(h.color, &red);
    CHECK_PTR(h.shape, &square);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(red.drops, 1);
    CHECK_EQ(large.drops, 1);
    CHECK_EQ(square.drops, 0); /* this fiber has it still */
    CHECK_PTR(weft_local_get(&shape), &square);
    CHECK_EQ(weft_local_pop(&shape), 0);
    CHECK_EQ(square.drops, 1);
}

TEST(a_copy_made_for_a_pop_may_be_shared_and_copied_again)
{
    weft_nursery n;
    struct holder h[3];
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    push(&color, &red);
    push(&shape, &square);
    push(&size, &large);
    h[0] = (struct holder){.until = WEFT_MSEC(5)};
    CHECK_EQ(weft_spawn(&n, holds, &h[0]), 0); /* red square large */
    CHECK_EQ(weft_local_pop(&color), 0);
    h[1] = (struct holder){.until = WEFT_MSEC(2)};
    CHECK_EQ(weft_spawn(&n, holds, &h[1]), 0); /* square large */
    CHECK_EQ(weft_local_pop(&shape), 0);
    h[2] = (struct holder){.until = WEFT_MSEC(9)};
    CHECK_EQ(weft_spawn(&n, holds, &h[2]), 0); /* large */
    CHECK_EQ(weft_local_pop(&size), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(3)), 0);
    CHECK_PTR(h[0].color, &red);
    CHECK(h[1].color == NULL);
    CHECK_PTR(h[1].shape, &square);
    CHECK(h[2].shape == NULL);
    CHECK_EQ(red.drops + square.drops + large.drops, 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(3)), 0);
    CHECK_EQ(red.drops, 1);
    CHECK_EQ(square.drops, 1);
    CHECK_EQ(large.drops, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(large.drops, 1);
}

TEST(a_private_value_goes_with_its_fiber_whatever_its_children_hold)
{
    weft_nursery n;
    struct holder h = {.until = WEFT_MSEC(5)};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    push(&color, &red);
    push(&own, &mine);
    push(&shape, &square);
    CHECK_EQ(weft_spawn(&n, holds, &h), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(weft_local_pop(&own), 0); /* no child can see it */
    CHECK_EQ(mine.drops, 1);
    CHECK(weft_local_get(&own) == NULL);
    CHECK_PTR(weft_local_get(&color), &red);
    CHECK_PTR(weft_local_get(&shape), &square);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(mine.drops, 1);
}

static int binds_spawns_and_ends(void *arg)
{
    push(&color, &red);
    push(&own, &mine);
    push(&shape, &square);
    return weft_spawn(shared, holds, arg);
}

TEST(a_child_may_outlive_who_bound_its_values)
{
    weft_nursery n;
    struct holder h = {.until = WEFT_MSEC(5)};
    shared = &n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, binds_spawns_and_ends, &h), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(red.drops, 0);
    CHECK_EQ(square.drops, 0);
    CHECK_EQ(mine.drops, 1); /* it was seen by that one alone */
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(red.drops, 1);
    CHECK_EQ(square.drops, 1);
    CHECK_EQ(mine.drops, 1);
}

enum { DEPTH = 100 };

static int hands_further_down(void *arg)
{
    size_t depth = (size_t)arg;
    CHECK_PTR(weft_local_get(&color), &red);
    CHECK_PTR(weft_local_get(&shape), depth % 2 ? &round_ : &square);
    if (depth == DEPTH) return 0;
    push(&shape, depth % 2 ? &square : &round_);
    weft_job job = {.fn = hands_further_down, .arg = (void *)(depth + 1)};
    int rc = weft_gather(&job, 1, NULL);
    CHECK_EQ(red.drops, 0);
    return rc;
}

TEST(values_go_down_a_hundred_generations)
{
    push(&color, &red);
    push(&shape, &square);
    CHECK_EQ(hands_further_down((void *)0), 0);
    CHECK_EQ(square.drops, DEPTH / 2);
    CHECK_EQ(round_.drops, DEPTH / 2 - 1); /* one of main's own is left */
    CHECK_PTR(weft_local_get(&shape), &round_);
}

enum { LONG = 50000 };
static struct value long_list[LONG];

static int binds_a_long_list(void *arg)
{
    weft_nursery *n = arg;
    for (int i = 0; i < LONG; i++) {
        CHECK_EQ(weft_local_push(i % 2 ? &color : &shape, &long_list[i]), 0);
    }
    if (n) CHECK_EQ(weft_spawn(n, looks, &from_child), 0);
    return 0;
}

TEST(a_list_of_any_length_is_dropped_on_a_small_stack)
{
    weft_nursery n;
    weft_job job = {.fn = binds_a_long_list};
    CHECK_EQ(weft_gather(&job, 1, NULL), 0);
    for (int i = 0; i < LONG; i++) {
        CHECK_EQ(long_list[i].drops, 1);
    }
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, binds_a_long_list, &n), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_PTR(from_child.color, &long_list[LONG - 1]);
    for (int i = 0; i < LONG; i++) {
        CHECK_EQ(long_list[i].drops, 2);
    }
}

static void drops_and_looks(void *value)
{
    drops(value);
    (void)weft_local_get(&color);
    (void)weft_local_get(&shape);
}

TEST(a_drop_may_look_at_other_values)
{
    static weft_key curious = {.name = "curious", .drop = drops_and_looks};
    weft_nursery n;
    struct value v = {0}, w = {0};
    struct holder h = {.until = WEFT_MSEC(1)};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    push(&color, &red);
    push(&curious, &v);
    push(&shape, &square);
    CHECK_EQ(weft_spawn(&n, holds, &h), 0);
    CHECK_EQ(weft_local_pop(&curious), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(v.drops, 1);
    push(&curious, &w);
    CHECK_EQ(weft_local_pop(&color), 0);
    CHECK_EQ(weft_local_pop(&curious), 0);
    CHECK_EQ(w.drops, 1);
}

static int fails_holding(void *arg)
{
    push(&color, arg);
    int err = weft_sleep(WEFT_MSEC(1));
    return err < 0 ? err : -EIO;
}

static int is_stopped_holding(void *arg)
{
    push(&color, arg);
    return weft_sleep_until(WEFT_FOREVER);
}

TEST(failed_and_cancelled_fibers_drop_their_values_too)
{
    weft_job jobs[] = {{.fn = fails_holding, .arg = &red},
                       {.fn = is_stopped_holding, .arg = &green}};
    CHECK_EQ(weft_gather(jobs, 2, NULL), -EIO);
    CHECK_EQ(red.drops, 1);
    CHECK_EQ(green.drops, 1);
}

static void *seen_deferred;

static void looks_in_a_defer(void *arg)
{
    seen_deferred = weft_local_get(&color);
    push(&shape, arg);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
}

static int defers_a_look(void *arg)
{
    push(&color, &red);
    CHECK_EQ(weft_defer(looks_in_a_defer, arg), 0);
    return 0;
}

TEST(deferred_functions_see_what_is_bound_and_may_bind)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, defers_a_look, &square), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(red.drops, 0); /* the fiber has not ended */
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_PTR(seen_deferred, &red);
    CHECK_EQ(red.drops, 1);
    CHECK_EQ(square.drops, 1);
}

static weft_verdict binds_in_on_exit(weft_nursery *n, uint64_t child,
                                     weft_outcome o, void *user)
{
    (void)n;
    (void)child;
    (void)o;
    CHECK_EQ(weft_local_push(&color, user), 0);
    return WEFT_CONTINUE;
}

TEST(what_on_exit_binds_is_dropped_with_the_fiber_it_runs_in)
{
    weft_nursery n;
    const weft_nursery_opts o = {.on_exit = binds_in_on_exit, .user = &red};
    CHECK_EQ(weft_nursery_open(&n, &o), 0);
    CHECK_EQ(weft_spawn(&n, looks, &from_child), 0);
    CHECK_EQ(weft_spawn(&n, looks, &from_child), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(red.drops, 2);
    CHECK(weft_local_get(&color) == NULL);
}

static unsigned bound_in_drop;

static void drops_and_binds(void *value)
{
    drops(value);
    bound_in_drop += weft_local_push(&shape, &square) == 0;
}

static int ends_with_a_busy_drop(void *arg)
{
    weft_key *busy = arg;
    static struct value v;
    v.drops = 0;
    push(&color, &red);
    push(busy, &v);
    push(&size, &large);
    return 0;
}

TEST(what_a_drop_binds_at_the_end_of_a_fiber_is_dropped_too)
{
    static weft_key busy = {.name = "busy", .drop = drops_and_binds};
    weft_job job = {.fn = ends_with_a_busy_drop, .arg = &busy};
    CHECK_EQ(weft_gather(&job, 1, NULL), 0);
    CHECK_EQ(red.drops, 1);
    CHECK_EQ(large.drops, 1);
    CHECK_EQ(square.drops, bound_in_drop);
    CHECK(weft_local_get(&shape) == NULL);
}

static weft_scope left_open;

static void leaves_a_scope_open(void *value)
{
    (void)value;
    open_scope(&left_open);
}

static weft_key untidy = {.name = "untidy", .drop = leaves_a_scope_open};

static int binds_an_untidy_value(void *arg)
{
    return weft_local_push(&untidy, arg);
}

static int has_an_untidy_child(void *arg)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, binds_an_untidy_value, arg), 0);
    return weft_nursery_close(&n, 0);
}

TEST_DEATH(a_drop_that_leaves_a_scope_open_is_fatal, "still open")
{
    (void)!weft_run(has_an_untidy_child, NULL, NULL);
}

static void drops_and_spawns(void *value)
{
    drops(value);
    CHECK_EQ(weft_spawn(shared, looks, &from_child), 0);
}

static int ends_with_a_spawning_drop(void *arg)
{
    static struct value v;
    push(&color, &red);
    push(arg, &v);
    push(&shape, &square);
    return 0;
}

TEST(a_drop_may_spawn)
{
    static weft_key spawning = {.name = "spawning", .drop = drops_and_spawns};
    weft_nursery n;
    weft_job job = {.fn = ends_with_a_spawning_drop, .arg = &spawning};
    shared = &n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_gather(&job, 1, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(red.drops, 1);
    CHECK_EQ(square.drops, 1);
    CHECK(from_child.color == NULL || from_child.color == &red);
}

static void drops_and_pops(void *value)
{
    drops(value);
    (void)weft_local_pop(&color);
}

TEST(a_drop_may_pop_another_key)
{
    static weft_key popping = {.name = "popping", .drop = drops_and_pops};
    struct value v = {0};
    push(&color, &red);
    push(&popping, &v);
    push(&shape, &square);
    CHECK_EQ(weft_local_pop(&popping), 0);
    CHECK_EQ(v.drops, 1);
    CHECK_EQ(red.drops, 1);
    CHECK(weft_local_get(&color) == NULL);
    CHECK_PTR(weft_local_get(&shape), &square);
    CHECK_EQ(weft_local_pop(&shape), 0);
}

static int leaves_a_popping_drop(void *arg)
{
    static struct value v;
    push(&color, &red);
    push(&color, &green);
    push(arg, &v);
    push(&color, &blue);
    return 0;
}

TEST(a_drop_may_pop_another_key_at_the_end_of_a_fiber)
{
    static weft_key popping = {.name = "popping", .drop = drops_and_pops};
    weft_job job = {.fn = leaves_a_popping_drop, .arg = &popping};
    CHECK_EQ(weft_gather(&job, 1, NULL), 0);
    CHECK_EQ(red.drops, 1);
    CHECK_EQ(green.drops, 1);
    CHECK_EQ(blue.drops, 1);
}

/* ---- who inherits ------------------------------------------------------- */

static int maps_a_look(size_t i, void *context)
{
    struct holder *h = context;
    look(&h[i]);
    push(&color, &blue);
    return 0;
}

TEST(jobs_of_gather_race_map_and_batch_inherit)
{
    struct holder h[2], limited[3];
    weft_job jobs[] = {{.fn = looks, .arg = &h[0]},
                       {.fn = looks, .arg = &h[1]}};
    const weft_gather_opts one = {.limit = 1};
    push(&color, &red);
    push(&own, &mine);
    for (int i = 0; i < 5; i++) {
        memset(h, 0, sizeof h);
        memset(limited, 0, sizeof limited);
        if (i == 0) CHECK_EQ(weft_gather(jobs, 2, NULL), 0);
        if (i == 1) CHECK_EQ(weft_gather(jobs, 2, &one), 0);
        if (i == 2) CHECK(weft_race(jobs, 2, WEFT_RACE_OK) >= 0);
        if (i == 3) CHECK_EQ(weft_map(2, maps_a_look, h, NULL, NULL), 0);
        if (i == 4) CHECK_EQ(weft_batch(jobs, 2), 0);
        CHECK_PTR(h[0].color, &red);
        CHECK_PTR(h[1].color, &red);
        /* A batch may run its jobs in the caller, who has it. */
        if (i < 4) CHECK(h[0].own == NULL && h[1].own == NULL);
    }
    blue.drops = 0;
    CHECK_EQ(weft_map(3, maps_a_look, limited, NULL, &one), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_PTR(limited[i].color, &red);
    }
    CHECK_EQ(blue.drops, 3);
    CHECK_PTR(weft_local_get(&color), &red);
    CHECK_EQ(red.drops, 0);
}

static int batch_job_binds(void *arg)
{
    push(&color, arg);
    CHECK_EQ(weft_local_pop(&color), 0);
    return 0;
}

TEST(a_batch_leaves_its_callers_values_alone)
{
    weft_job jobs[] = {{.fn = batch_job_binds, .arg = &green},
                       {.fn = looks, .arg = &from_child}};
    push(&color, &red);
    CHECK_EQ(weft_batch(jobs, 2), 0);
    CHECK_EQ(green.drops, 1);
    CHECK_PTR(from_child.color, &red);
    CHECK_PTR(weft_local_get(&color), &red);
}

static int produces_what_it_sees(weft_gen *g, void *arg)
{
    (void)arg;
    CHECK(weft_local_get(&own) == NULL);
    int err = weft_gen_yield(g, weft_local_get(&color));
    push(&color, &green);
    if (err == 0) err = weft_gen_yield(g, weft_local_get(&color));
    return err;
}

TEST(a_producer_inherits_and_what_it_binds_stays_with_it)
{
    weft_gen g;
    void *item;
    push(&color, &red);
    push(&own, &mine);
    CHECK_EQ(weft_gen_open(&g, produces_what_it_sees, NULL), 0);
    CHECK_EQ(weft_gen_next(&g, &item), 1);
    CHECK_PTR(item, &red);
    push(&color, &blue); /* the producer does not see it */
    CHECK_EQ(weft_gen_next(&g, &item), 1);
    CHECK_PTR(item, &green);
    CHECK_PTR(weft_local_get(&color), &blue);
    CHECK_EQ(green.drops, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(green.drops, 1);
    CHECK_EQ(weft_local_pop(&color), 0);
    CHECK_EQ(weft_local_pop(&color), 0);
    CHECK_EQ(red.drops, 1);
}

static int pops_what_the_consumer_bound(weft_gen *g, void *arg)
{
    *(int *)arg = weft_local_pop(&color);
    return weft_gen_yield(g, weft_local_get(&color));
}

TEST(a_producer_cannot_pop_what_its_consumer_bound)
{
    weft_gen g;
    void *item;
    int result = 1;
    push(&color, &red);
    CHECK_EQ(weft_gen_open(&g, pops_what_the_consumer_bound, &result), 0);
    CHECK_EQ(weft_gen_next(&g, &item), 1);
    CHECK_PTR(item, &red);
    CHECK_EQ(result, -ENOENT);
    CHECK_EQ(weft_local_pop(&color), 0); /* but the consumer can, meanwhile */
    CHECK_EQ(red.drops, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(red.drops, 1);
}

static int ready_holding(void *arg)
{
    look(arg);
    CHECK_EQ(weft_started(NULL), 0);
    return weft_sleep(WEFT_MSEC(5));
}

TEST(a_started_child_inherits)
{
    weft_nursery n;
    struct holder h = {0};
    push(&color, &red);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start(&n, ready_holding, &h, NULL), 0);
    CHECK_EQ(weft_local_pop(&color), 0);
    CHECK_EQ(red.drops, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_PTR(h.color, &red);
    CHECK_EQ(red.drops, 1);
}

TEST(a_child_with_a_copied_argument_or_that_waited_for_a_place_inherits)
{
    weft_nursery n;
    const weft_nursery_opts one = {.limit = 1};
    struct holder h[2] = {{.until = WEFT_MSEC(1)}, {0}};
    struct holder *second = &h[1];
    push(&color, &red);
    CHECK_EQ(weft_nursery_open(&n, &one), 0);
    CHECK_EQ(weft_spawn(&n, holds, &h[0]), 0);
    CHECK_EQ(weft_spawn_wait(&n, looks, second), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(weft_spawn_copy(&n, looks, second, sizeof *second), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_PTR(h[0].color, &red);
    CHECK_PTR(h[1].color, &red);
}

static struct holder in_background;

static int handles_a_request(void *arg)
{
    push(&color, arg);
    push(&own, &mine);
    in_background.until = WEFT_MSEC(5);
    return weft_background(holds, &in_background, NULL);
}

TEST(background_work_keeps_the_values_of_its_request)
{
    weft_job job = {.fn = handles_a_request, .arg = &red};
    CHECK_EQ(weft_gather(&job, 1, NULL), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_PTR(in_background.color, &red);
    CHECK(in_background.own == NULL);
    CHECK_EQ(red.drops, 0);
    CHECK_EQ(mine.drops, 1);
    CHECK_EQ(weft_sleep(WEFT_MSEC(9)), 0);
    CHECK_EQ(red.drops, 1);
}

TEST(a_spawn_that_fails_holds_nothing)
{
    weft_nursery n;
    const weft_nursery_opts one = {.limit = 1};
    struct holder h = {.until = WEFT_MSEC(1)};
    static char big[1 << 16];
    CHECK_EQ(weft_nursery_open(&n, &one), 0);
    push(&color, &red);
    CHECK_EQ(weft_spawn_copy(&n, looks, big, sizeof big), -E2BIG);
    CHECK_EQ(weft_local_pop(&color), 0);
    CHECK_EQ(red.drops, 1);
    CHECK_EQ(weft_spawn(&n, holds, &h), 0);
    push(&color, &green);
    CHECK_EQ(weft_spawn(&n, holds, &h), -EAGAIN);
    CHECK_EQ(weft_local_pop(&color), 0);
    CHECK_EQ(green.drops, 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(locals_are_no_cancel_points)
{
    weft_scope s;
    open_cancelled_scope(&s);
    push(&color, &red);
    CHECK_EQ(weft_local_pop(&color), 0);
    CHECK_EQ(red.drops, 1);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
}

TEST_PLAIN(outside_a_fiber_there_are_no_locals)
{
    CHECK(weft_local_get(&color) == NULL);
    CHECK_EQ(weft_local_push(&color, &red), -EPERM);
    CHECK(weft_local_get(&color) == NULL);
    CHECK(weft_local_pop(&color) < 0);
    CHECK_EQ(red.drops, 0);
}

/* ---- against a model ---------------------------------------------------- */

/*
 * Fibers do at random what they are told: bind, pop, spawn, end. Each has a
 * list of what it should see, the latest first; a value has been dropped when
 * it stands in no list any more.
 */
enum { ACTORS = 10, KEYS = 4, STEPS = 6000, BINDINGS = 24 };

static weft_key *const keys[KEYS] = {&color, &shape, &size, &own};
static struct value values[STEPS];

struct bound {
    unsigned key, value;
    bool its_own;
};

struct actor {
    bool alive;
    unsigned count; /* of bindings, the latest last */
    struct bound list[BINDINGS];
    /* what to do next */
    weft_event told;
    enum { LOOK, PUSH, POP, SPAWN, END } what;
    unsigned key, value, whom;
};

static struct actor actors[ACTORS];
static weft_nursery *stage;

static int acts(void *arg);

static const struct bound *find(const struct actor *a, unsigned key)
{
    for (unsigned i = a->count; i > 0; i--) {
        if (a->list[i - 1].key == key) return &a->list[i - 1];
    }
    return NULL;
}

static void check_sees(const struct actor *a)
{
    for (unsigned k = 0; k < KEYS; k++) {
        const struct bound *b = find(a, k);
        CHECK_PTR(weft_local_get(keys[k]), b ? &values[b->value] : NULL);
    }
}

static void pop_in_the_model(struct actor *a)
{
    struct bound *b = (struct bound *)(uintptr_t)find(a, a->key);
    bool may = b && b->its_own;
    CHECK_EQ(weft_local_pop(keys[a->key]), may ? 0 : -ENOENT);
    if (!may) return;
    struct bound *end = &a->list[a->count--];
    memmove(b, b + 1, (size_t)((char *)end - (char *)(b + 1)));
}

static void spawn_in_the_model(struct actor *a)
{
    struct actor *child = &actors[a->whom];
    *child = (struct actor){.alive = true};
    for (unsigned i = 0; i < a->count; i++) {
        struct bound b = a->list[i];
        b.its_own = false;
        if (b.key != KEYS - 1) child->list[child->count++] = b;
    }
    CHECK_EQ(weft_spawn(stage, acts, child), 0);
}

static int acts(void *arg)
{
    struct actor *a = arg;
    check_sees(a);
    for (;;) {
        int err = weft_event_wait(&a->told);
        CHECK_EQ(err, 0);
        weft_event_clear(&a->told);
        check_sees(a);
        if (a->what == PUSH) {
            CHECK_EQ(weft_local_push(keys[a->key], &values[a->value]), 0);
            a->list[a->count++] = (struct bound){a->key, a->value, true};
        }
        if (a->what == POP) pop_in_the_model(a);
        if (a->what == SPAWN) spawn_in_the_model(a);
        if (a->what == END) break;
        check_sees(a);
    }
    a->alive = false;
    return 0;
}

static bool is_held(unsigned value)
{
    for (int i = 0; i < ACTORS; i++) {
        if (!actors[i].alive) continue;
        for (unsigned k = 0; k < actors[i].count; k++) {
            if (actors[i].list[k].value == value) return true;
        }
    }
    return false;
}

static void check_drops(unsigned used)
{
    for (unsigned v = 0; v < used; v++) {
        if (values[v].drops == (is_held(v) ? 0 : 1)) continue;
        test_fail(__FILE__, __LINE__, "value %u of %u: %u drops, held: %d", v,
                  used, values[v].drops, is_held(v));
    }
}

static void tell(struct actor *a)
{
    weft_event_set(&a->told);
    CHECK_EQ(weft_sleep(1), 0);
}

TEST(random_bindings_are_seen_and_dropped_as_the_rules_say)
{
    weft_nursery n;
    unsigned used = 0, steps = test_is_slow() ? STEPS / 6 : STEPS;
    random_begin(test_seed());
    stage = &n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    actors[0] = (struct actor){.alive = true};
    CHECK_EQ(weft_spawn(&n, acts, &actors[0]), 0);
    for (unsigned step = 0; step < steps; step++) {
        struct actor *a = &actors[random_below(ACTORS)];
        if (!a->alive) continue;
        unsigned dice = random_below(20u);
        a->key = (unsigned)random_below(KEYS);
        a->whom = (unsigned)random_below(ACTORS);
        a->what = dice < 8 ? PUSH : dice < 15 ? POP : dice < 19 ? SPAWN : END;
        if (a->what == END && a == &actors[0]) a->what = LOOK;
        if (a->what == SPAWN && actors[a->whom].alive) a->what = END;
        if (a->what == END && a == &actors[0]) a->what = LOOK;
        if (a->what == PUSH && a->count == BINDINGS) a->what = POP;
        if (a->what == PUSH) a->value = used++;
        tell(a);
        if (step % 16 == 0 || used < 50) check_drops(used);
    }
    for (int i = ACTORS - 1; i >= 0; i--) {
        if (!actors[i].alive) continue;
        actors[i].what = END;
        tell(&actors[i]);
        check_drops(used);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    check_drops(used);
}

/* ---- without memory ----------------------------------------------------- */

static int binds_scarcely(void *arg)
{
    weft_nursery n;
    struct value v[6] = {{0}};
    bool bound[6] = {false};
    struct holder h = {.until = WEFT_MSEC(1)};
    weft_key *const k[6] = {&color, &own, &shape, &color, &size, &shape};
    (void)arg;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 6; i++) {
        void *before = weft_local_get(k[i]);
        int err = weft_local_push(k[i], &v[i]);
        CHECK(err == 0 || err == -ENOMEM);
        bound[i] = err == 0;
        CHECK_EQ(v[i].drops, 0); /* still the caller's, if it failed */
        CHECK_PTR(weft_local_get(k[i]), bound[i] ? &v[i] : before);
    }
    int err = weft_spawn(&n, holds, &h);
    CHECK(err == 0 || err == -ENOMEM);
    /* From the bottom: each needs copies of what is above. */
    void *top = weft_local_get(&shape), *large_ = weft_local_get(&size);
    void *top_color = weft_local_get(&color);
    int popped = weft_local_pop(&color);
    CHECK(popped == 0 || popped == -ENOMEM || popped == -ENOENT);
    CHECK_PTR(weft_local_get(&shape), top);
    CHECK_PTR(weft_local_get(&size), large_);
    if (popped == -ENOMEM) CHECK_PTR(weft_local_get(&color), top_color);
    if (popped == -ENOENT) CHECK(!bound[0] && !bound[3]);
    int private_popped = weft_local_pop(&own);
    CHECK(private_popped == 0 || private_popped == -ENOMEM ||
          (private_popped == -ENOENT && !bound[1]));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    /* Alone again: no copies are needed, so nothing can fail. */
    while ((err = weft_local_pop(&color)) == 0) {
    }
    CHECK_EQ(err, -ENOENT);
    while ((err = weft_local_pop(&own)) == 0) {
    }
    CHECK_EQ(err, -ENOENT);
    while ((err = weft_local_pop(&shape)) == 0) {
    }
    CHECK_EQ(err, -ENOENT);
    while ((err = weft_local_pop(&size)) == 0) {
    }
    CHECK_EQ(err, -ENOENT);
    for (int i = 0; i < 6; i++) {
        CHECK_EQ(v[i].drops, bound[i]);
    }
    return 0;
}

STARVE(bindings_without_memory_are_the_callers_still, binds_scarcely)

/* ---- at every moment ---------------------------------------------------- */

static unsigned pushed, dropped;

static void counts_drops(void *value)
{
    (void)value;
    dropped++;
}

static weft_key counted = {.name = "counted", .drop = counts_drops};

static int binds_and_looks(void *arg)
{
    int x;
    int err = weft_local_push(&counted, &x);
    if (err < 0) return err;
    pushed++;
    err = weft_sleep(WEFT_MSEC(1));
    CHECK_PTR(weft_local_get(&counted), &x);
    if (err == 0 && arg) CHECK_EQ(weft_local_pop(&counted), 0);
    return err;
}

static int binds_and_gathers(void *arg)
{
    int x;
    weft_job jobs[] = {{.fn = binds_and_looks, .arg = arg},
                       {.fn = binds_and_looks}};
    const weft_gather_opts one = {.limit = 1};
    int err = 0;
    for (int i = 0; i < 2; i++) {
        err = weft_local_push(&counted, &x);
        if (err < 0) return err;
        pushed++;
    }
    err = weft_gather(jobs, 2, arg ? &one : NULL);
    CHECK_EQ(weft_local_pop(&counted), 0);
    return err;
}

static void start_binding(weft_nursery *n)
{
    pushed = dropped = 0;
    sweep_spawn(n, binds_and_gathers, "pop");
    sweep_spawn(n, binds_and_gathers, NULL);
    sweep_spawn(n, binds_and_looks, "pop");
}

static void check_all_dropped(void)
{
    CHECK_EQ(dropped, pushed);
}

SWEEP(whenever_a_fiber_is_stopped_its_values_are_dropped_once, start_binding,
      check_all_dropped, SWEEP_SPARE_CHILDREN);
