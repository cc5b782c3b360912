/* SPDX-License-Identifier: MIT */
/* test_sweep_gen.c - the sweep over generators: no item is lost, and each
 * producer has cleaned up when close returns. */
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/gen.h>
#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <errno.h>

#include "harness.h"
#include "sweep.h"

static int alive;

static void check_alive(void)
{
    CHECK_EQ(alive, 0);
}

/* A producer that was swept alone: no fault of who asks. */
static int but_not_shut_down(int rc)
{
    return rc == -ESHUTDOWN ? 0 : rc;
}

/* 1, 2, ... up to *arg, each after a nap. */
static int counts_to(weft_gen *g, void *arg)
{
    int last = *(int *)arg, rc = 0;
    alive++;
    for (int i = 1; i <= last && rc == 0; i++) {
        rc = weft_sleep(WEFT_MSEC(i % 2));
        if (rc == 0) rc = weft_gen_yield(g, &i);
    }
    alive--;
    return rc;
}

static int four = 4, three = 3;

/* --- one --- */

static int asks_one_after_the_other(void *arg)
{
    weft_gen g;
    void *item;
    int expected = 1, got;
    int rc = weft_gen_open(&g, counts_to, arg);
    if (rc < 0) return rc;
    while ((got = weft_gen_next(&g, &item)) == 1) {
        CHECK_EQ(*(int *)item, expected++);
    }
    if (got == 0) CHECK_EQ(expected, *(int *)arg + 1);
    if (got == 0) got = weft_gen_next(&g, &item); /* 0 from then on */
    CHECK(got <= 0);
    rc = weft_gen_close(&g);
    CHECK_EQ(alive, 0);
    if (rc == -ECANCELED) CHECK(weft_cancelled());
    return but_not_shut_down(got < 0 ? got : rc);
}

static void start_one(weft_nursery *n)
{
    alive = 0;
    sweep_spawn(n, asks_one_after_the_other, &four);
}

SWEEP(items_come_in_their_order, start_one, check_alive, 0);

/* --- a next that was cancelled has lost nothing --- */

static int asks_impatiently(void *arg)
{
    weft_gen g;
    void *item;
    int expected = 1, got = 1;
    int rc = weft_gen_open(&g, counts_to, arg);
    if (rc < 0) return rc;
    while (got == 1) {
        int in_time;
        WEFT_FAIL_AFTER(in_time, WEFT_USEC(500)) {
            in_time = weft_gen_next(&g, &item);
        }
        got = in_time == -ETIMEDOUT ? 1 : in_time;
        if (in_time == 1) CHECK_EQ(*(int *)item, expected++);
    }
    rc = weft_gen_close(&g);
    if (got == 0) CHECK_EQ(expected, *(int *)arg + 1);
    return but_not_shut_down(got < 0 ? got : rc);
}

static void start_impatience(weft_nursery *n)
{
    alive = 0;
    sweep_spawn(n, asks_impatiently, &four);
    sweep_spawn(n, asks_impatiently, &three);
}

SWEEP(who_was_too_late_finds_the_item_the_next_time, start_impatience,
      check_alive, 0);

/* --- the block form, left early --- */

static int breaks_off(void *arg)
{
    int rc, seen = 0;
    WEFT_FOREACH(int *, item, rc, counts_to, arg) {
        CHECK_EQ(*item, ++seen);
        if (seen == 2) break;
        rc = weft_yield();
        if (rc < 0) break;
    }
    CHECK(seen <= 2);
    return but_not_shut_down(rc);
}

static int returns_early(void *arg)
{
    int rc;
    WEFT_FOREACH(int *, item, rc, counts_to, arg) {
        if (*item == 3) return 0;
    }
    return but_not_shut_down(rc);
}

static void start_breaking(weft_nursery *n)
{
    alive = 0;
    sweep_spawn(n, breaks_off, &four);
    sweep_spawn(n, returns_early, &four);
    sweep_spawn(n, breaks_off, &three);
}

SWEEP(a_block_that_is_left_ends_the_producer, start_breaking, check_alive, 0);

/* --- two at once --- */

static int zips(void *arg)
{
    weft_gen a, b;
    void *left, *right;
    int pairs = 0, got = 0;
    (void)arg;
    int rc = weft_gen_open(&a, counts_to, &four);
    if (rc < 0) return rc;
    rc = weft_gen_open(&b, counts_to, &three);
    if (rc == 0) {
        while ((got = weft_gen_next(&a, &left)) == 1 &&
               (got = weft_gen_next(&b, &right)) == 1) {
            CHECK_EQ(*(int *)left, *(int *)right);
            pairs++;
        }
        rc = weft_gen_close(&b);
    }
    int err = weft_gen_close(&a);
    CHECK_EQ(alive, 0);
    if (got == 0 && rc == 0 && err == 0) CHECK(pairs <= 3);
    return but_not_shut_down(got < 0 ? got : rc < 0 ? rc : err);
}

static void start_zip(weft_nursery *n)
{
    alive = 0;
    sweep_spawn(n, zips, NULL);
}

SWEEP(two_generators_go_side_by_side, start_zip, check_alive, 0);

/* --- one over another --- */

static int squares(weft_gen *g, void *arg)
{
    int rc;
    alive++;
    WEFT_FOREACH(int *, item, rc, counts_to, arg) {
        int square = *item * *item;
        rc = weft_gen_yield(g, &square);
        if (rc < 0) break;
    }
    alive--;
    return rc;
}

static int sums_squares(void *arg)
{
    int rc, root = 1;
    WEFT_FOREACH(int *, square, rc, squares, arg) {
        CHECK_EQ(*square, root * root);
        root++;
    }
    CHECK_EQ(alive, 0);
    return but_not_shut_down(rc);
}

static void start_squares(weft_nursery *n)
{
    alive = 0;
    sweep_spawn(n, sums_squares, &four);
}

SWEEP(generators_can_be_stacked, start_squares, check_alive, 0);

/* --- a producer that fails, and one that holds something --- */

static weft_mutex mutex;

static int fails_at_three(weft_gen *g, void *arg)
{
    int rc = 0;
    (void)arg;
    for (int i = 1; i < 3 && rc == 0; i++) {
        WEFT_LOCKED(&mutex, rc) {
            alive++;
            rc = weft_gen_yield(g, &i);
            alive--;
        }
    }
    return rc < 0 ? rc : -EIO;
}

static int hears_of_it(void *arg)
{
    weft_gen g;
    void *item;
    int got;
    (void)arg;
    int rc = weft_gen_open(&g, fails_at_three, NULL);
    if (rc < 0) return rc;
    while ((got = weft_gen_next(&g, &item)) == 1) {
        rc = weft_sleep(WEFT_MSEC(1));
        if (rc < 0) break;
    }
    bool failed = got == -EIO;
    if (failed) got = weft_gen_next(&g, &item); /* and from then on */
    if (failed && got != -ECANCELED) CHECK_EQ(got, -EIO);
    int err = weft_gen_close(&g);
    if (failed) CHECK_EQ(err, -EIO);
    if (got < 0 && got != -EIO) rc = got;
    return rc < 0 ? but_not_shut_down(rc) : err == -EIO ? 0 : err;
}

static void start_failing(weft_nursery *n)
{
    alive = 0;
    mutex = (weft_mutex)WEFT_MUTEX_INIT;
    sweep_spawn(n, hears_of_it, NULL);
    sweep_spawn(n, hears_of_it, NULL);
}

static void check_free(void)
{
    CHECK_EQ(alive, 0);
    CHECK_EQ(weft_mutex_trylock(&mutex), 0);
    CHECK_EQ(weft_mutex_unlock(&mutex), 0);
}

SWEEP(what_the_producer_held_is_free_after_close, start_failing, check_free, 0);

/* --- one, and several who ask --- */

static weft_gen shared;
static int next_item, handed_out, busy;

static int shares_it(void *arg)
{
    void *item;
    int rc = 0;
    (void)arg;
    while (rc >= 0) {
        rc = weft_gen_next(&shared, &item);
        if (rc == 0) break;
        if (rc == -EBUSY) {
            busy++;
            rc = weft_sleep(WEFT_MSEC(1));
        } else if (rc == 1) {
            CHECK_EQ(*(int *)item, next_item++);
            handed_out++;
            rc = weft_yield();
        }
    }
    return but_not_shut_down(rc);
}

static int opens_it_for_all(void *arg)
{
    int rc = weft_gen_open(&shared, counts_to, arg), closed;
    if (rc < 0) return rc;
    int inner;
    WEFT_NURSERY(n, inner) {
        for (int i = 0; i < 3 && inner == 0; i++) {
            inner = weft_spawn(&n, shares_it, NULL);
        }
    }
    closed = weft_gen_close(&shared);
    return inner < 0 ? inner : closed;
}

static void start_sharing(weft_nursery *n)
{
    alive = handed_out = busy = 0;
    next_item = 1;
    sweep_spawn(n, opens_it_for_all, &four);
}

static void check_shared(void)
{
    CHECK_EQ(alive, 0);
    CHECK_EQ(handed_out, next_item - 1);
}

SWEEP(who_asks_together_gets_different_items, start_sharing, check_shared, 0);

/* --- one that fails while it is closed by a return --- */

static int failed, unhandled;

static int fails_on_its_way_out(weft_gen *g, void *arg)
{
    int rc = 0;
    (void)arg;
    for (int i = 1; rc == 0; i++) {
        rc = weft_gen_yield(g, &i);
    }
    failed++;
    return -EIO;
}

static void hears_of_failure(const weft_error *e)
{
    CHECK_EQ(e->code, -EIO);
    unhandled++;
}

static int returns_at_two(void *arg)
{
    int rc;
    WEFT_FOREACH(int *, item, rc, fails_on_its_way_out, arg) {
        if (*item == 2) return weft_checkpoint();
    }
    failed -= rc == -EIO; /* that was received */
    return rc == -EIO ? 0 : but_not_shut_down(rc);
}

static void start_returning(weft_nursery *n)
{
    failed = unhandled = 0;
    weft_on_unhandled(hears_of_failure);
    sweep_spawn(n, returns_at_two, NULL);
    sweep_spawn(n, returns_at_two, NULL);
}

static void check_unhandled(void)
{
    weft_on_unhandled(NULL);
    CHECK_EQ(unhandled, failed);
}

SWEEP(what_a_return_cannot_hand_on_goes_to_the_hook, start_returning,
      check_unhandled, 0);
