/* SPDX-License-Identifier: MIT */
/* test_defer.c - what a fiber leaves to be done at its end. */
#include <weft/cleanup.h>
#include <weft/error.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/gen.h>
#include <weft/local.h>
#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/sem.h>
#include <weft/task.h>
#include <weft/time.h>

#include <stdio.h>
#include <string.h>

#include "burn.h"
#include "fibers.h"
#include "harness.h"
#include "open.h"
#include "process.h"
#include "settle.h"
#include "starve.h"
#include "sweep.h"

static char order[256];

static void says(void *arg)
{
    CHECK(strlen(order) + strlen(arg) < sizeof order);
    strcat(order, arg);
}

/* A deferred wait, and what became of it. */
struct wait {
    weft_time span;
    const char *name;
    int result;         /* 1: it did not come to that */
    weft_time from, to; /* when */
    bool cancelled_before, cancelled_after;
    unsigned times;
};

static void waits(void *arg)
{
    struct wait *w = arg;
    w->times++;
    w->cancelled_before = weft_cancelled();
    w->from = weft_now();
    w->result = weft_sleep(w->span);
    w->to = weft_now();
    w->cancelled_after = weft_cancelled();
    if (w->name) says((void *)(uintptr_t)w->name);
}

/* A fiber that defers some waits, in their order, then runs `body`. */
struct work {
    struct wait *waits;
    unsigned count;
    weft_fn body;
    void *arg;
    int rc;
    weft_time returned;
};

static int works(void *arg)
{
    struct work *w = arg;
    for (unsigned i = 0; i < w->count; i++) {
        w->waits[i].result = 1;
        CHECK_EQ(weft_defer(waits, &w->waits[i]), 0);
    }
    w->rc = w->body ? w->body(w->arg) : 0;
    w->returned = weft_now();
    return w->rc;
}

/* ---- order -------------------------------------------------------------- */

TEST(cln_01_deferred_functions_run_last_first_and_may_wait_when_cancelled)
{
    weft_nursery n;
    struct wait w[3] = {
        {.name = "a"}, {.span = WEFT_MSEC(10), .name = "b"}, {.name = "c"}};
    struct work work = {w, 3, waits_for_ever, NULL, 1, 0};
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, works, &work), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    weft_nursery_cancel(&n, -EINTR, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), -EINTR);
    CHECK_STR(order, "cba");
    CHECK_EQ(work.rc, -ECANCELED);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(w[i].times, 1);
        CHECK_EQ(w[i].result, 0);
        CHECK(!w[i].cancelled_before && !w[i].cancelled_after);
    }
    CHECK_EQ(weft_now() - start, WEFT_MSEC(11));
}

static void defers_another(void *arg)
{
    says("(");
    CHECK_EQ(weft_defer(says, arg), 0);
    says(")");
}

static int defers_defers(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_defer(says, "a"), 0);
    CHECK_EQ(weft_defer(defers_another, "b"), 0);
    CHECK_EQ(weft_defer(says, "c"), 0);
    CHECK_EQ(weft_defer(defers_another, "d"), 0);
    return 0;
}

TEST(cln_08_a_deferred_function_may_defer_another_that_comes_next)
{
    CHECK_EQ(in_a_nursery(defers_defers, NULL), 0);
    CHECK_STR(order, "()dc()ba");
}

static unsigned rounds;

static void defers_itself(void *arg)
{
    CHECK_EQ(weft_yield(), 0);
    if (++rounds < 1000) CHECK_EQ(weft_defer(defers_itself, arg), 0);
}

static int defers_a_chain(void *arg)
{
    CHECK_EQ(weft_defer(says, "end"), 0);
    return weft_defer(defers_itself, arg);
}

TEST(cln_08_a_chain_of_deferred_functions_comes_to_its_end)
{
    CHECK_EQ(in_a_nursery(defers_a_chain, NULL), 0);
    CHECK_EQ(rounds, 1000);
    CHECK_STR(order, "end");
}

static unsigned next_number = 1000;

static void counts_down(void *arg)
{
    CHECK_EQ((uintptr_t)arg, --next_number);
}

static int defers_a_thousand(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 1000; i++) {
        CHECK_EQ(weft_defer(counts_down, (void *)(uintptr_t)i), 0);
    }
    return 0;
}

TEST(a_thousand_deferred_functions_keep_their_order)
{
    CHECK_EQ(in_a_nursery(defers_a_thousand, NULL), 0);
    CHECK_EQ(next_number, 0);
}

static int defers_the_same_twice(void *arg)
{
    CHECK_EQ(weft_defer(says, arg), 0);
    CHECK_EQ(weft_defer(says, arg), 0);
    return 0;
}

TEST(what_is_deferred_twice_is_done_twice)
{
    CHECK_EQ(in_a_nursery(defers_the_same_twice, "x"), 0);
    CHECK_STR(order, "xx");
}

TEST(each_fiber_has_its_own_deferred_functions)
{
    weft_nursery n;
    struct wait w[3] = {{.span = 3}, {.span = 1}, {.span = 2}};
    struct work work[3];
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 3; i++) {
        work[i] = (struct work){&w[i], 1, NULL, NULL, 1, 0};
        CHECK_EQ(weft_spawn(&n, works, &work[i]), 0);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(w[i].times, 1);
        CHECK_EQ(w[i].result, 0);
        CHECK_EQ(w[i].to - w[i].from, w[i].span);
    }
}

/* ---- every kind of cancellation ----------------------------------------- */

static int fails_after_5_ms(void *arg)
{
    (void)arg;
    int err = weft_sleep(WEFT_MSEC(5));
    return err < 0 ? err : -EIO;
}

static int by_cancel(weft_nursery *n, struct work *w)
{
    CHECK_EQ(weft_spawn(n, works, w), 0);
    settle();
    weft_nursery_cancel(n, -EINTR, NULL);
    return weft_nursery_close(n, 0);
}

static int by_a_sibling(weft_nursery *n, struct work *w)
{
    CHECK_EQ(weft_spawn(n, works, w), 0);
    CHECK_EQ(weft_spawn(n, fails_after_5_ms, NULL), 0);
    return weft_nursery_close(n, 0);
}

static int by_the_body(weft_nursery *n, struct work *w)
{
    CHECK_EQ(weft_spawn(n, works, w), 0);
    settle();
    return weft_nursery_close(n, -EIO);
}

static int by_a_deadline(weft_nursery *n, struct work *w)
{
    CHECK_EQ(weft_spawn(n, works, w), 0);
    weft_scope_set_deadline(weft_nursery_scope(n), weft_after(WEFT_MSEC(5)));
    return weft_nursery_close(n, 0);
}

static int before_it_ran(weft_nursery *n, struct work *w)
{
    weft_nursery_cancel(n, -EINTR, NULL);
    CHECK_EQ(weft_spawn(n, works, w), 0);
    return weft_nursery_close(n, 0);
}

static int by_being_a_daemon(weft_nursery *n, struct work *w)
{
    weft_spawn_opts opts = {.daemon = true};
    CHECK_EQ(weft_spawn_ex(n, works, w, &opts), 0);
    settle();
    return weft_nursery_close(n, 0);
}

static int by_its_task(weft_nursery *n, struct work *w)
{
    weft_task task;
    weft_spawn_opts opts = {.task = &task};
    CHECK_EQ(weft_spawn_ex(n, works, w, &opts), 0);
    settle();
    weft_task_cancel(&task, -EINTR, NULL);
    return weft_nursery_close(n, 0);
}

static int by_its_start(weft_nursery *n, struct work *w)
{
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_start(n, works, w, NULL);
        CHECK_EQ(w->waits[0].times, 1);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    return weft_nursery_close(n, 0);
}

TEST(deferred_functions_are_shielded_from_every_kind_of_cancellation)
{
    static int (*const ways[])(weft_nursery *, struct work *) = {
        by_cancel,     by_a_sibling,      by_the_body, by_a_deadline,
        before_it_ran, by_being_a_daemon, by_its_task, by_its_start};
    static const int results[] = {-EINTR, -EIO, -EIO, 0, -EINTR, 0, 0, 0};
    for (int i = 0; i < 8; i++) {
        weft_nursery n;
        struct wait w = {.span = WEFT_MSEC(10)};
        struct work work = {&w, 1, waits_for_ever, NULL, 1, 0};
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        CHECK_EQ(ways[i](&n, &work), results[i]);
        CHECK_EQ(work.rc, -ECANCELED);
        CHECK_EQ(w.times, 1);
        CHECK_EQ(w.result, 0);
        CHECK_EQ(w.from, work.returned);
        CHECK_EQ(w.to - w.from, WEFT_MSEC(10));
        CHECK(!w.cancelled_before && !w.cancelled_after);
    }
}

TEST(a_cancel_that_comes_while_deferred_functions_run_is_hidden_from_them)
{
    weft_nursery n;
    struct wait w[2] = {{.span = WEFT_MSEC(10)}, {.span = WEFT_MSEC(10)}};
    struct work work = {w, 2, NULL, NULL, 1, 0};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, works, &work), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    weft_nursery_cancel(&n, -EINTR, NULL);
    CHECK_EQ(weft_nursery_close(&n, 6), 6); /* it stopped nobody */
    CHECK_EQ(w[0].result, 0);
    CHECK_EQ(w[1].result, 0);
    CHECK_EQ(w[0].to - work.returned, WEFT_MSEC(20));
}

TEST(the_cancel_of_a_task_is_hidden_from_its_deferred_functions)
{
    weft_nursery n;
    weft_task task;
    weft_spawn_opts opts = {.task = &task};
    struct wait w = {.span = WEFT_MSEC(10)};
    struct work work = {&w, 1, NULL, NULL, 1, 0};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, works, &work, &opts), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    weft_task_cancel(&task, -EINTR, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(w.result, 0);
    CHECK_EQ(w.to - w.from, WEFT_MSEC(10));
}

static int yields_cleanly(weft_gen *g, void *arg)
{
    CHECK_EQ(weft_defer(waits, arg), 0);
    return weft_gen_yield(g, arg);
}

TEST(a_closed_generator_has_done_its_deferred_functions)
{
    weft_gen g;
    struct wait w = {.span = WEFT_MSEC(10)};
    void *item = NULL;
    CHECK_EQ(weft_gen_open(&g, yields_cleanly, &w), 0);
    CHECK_EQ(weft_gen_next(&g, &item), 1);
    CHECK_EQ(w.times, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(w.times, 1);
    CHECK_EQ(w.result, 0);
    CHECK_EQ(w.to - w.from, WEFT_MSEC(10));
}

/* ---- the grace ---------------------------------------------------------- */

static void run_with_grace(weft_time grace, struct work *w)
{
    weft_nursery n;
    weft_nursery_opts opts = {.cleanup_grace = grace};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, works, w), 0);
    settle();
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(the_grace_is_for_the_whole_list_and_the_rest_still_run)
{
    struct wait w[4] = {{.span = WEFT_MSEC(1), .name = "1"},
                        {.span = WEFT_MSEC(6), .name = "2"},
                        {.span = WEFT_MSEC(6), .name = "3"},
                        {.span = 0, .name = "4"}};
    struct work work = {w, 4, waits_for_ever, NULL, 1, 0};
    run_with_grace(WEFT_MSEC(10), &work);
    CHECK_STR(order, "4321");
    CHECK_EQ(w[3].result, 0);
    CHECK_EQ(w[2].result, 0);
    CHECK_EQ(w[2].to - work.returned, WEFT_MSEC(6));
    CHECK_EQ(w[1].result, -ECANCELED);
    CHECK_EQ(w[1].to - work.returned, WEFT_MSEC(10));
    CHECK(!w[1].cancelled_before && w[1].cancelled_after);
    CHECK_EQ(w[0].result, -ECANCELED);
    CHECK(w[0].cancelled_before);
    CHECK_EQ(w[0].to - work.returned, WEFT_MSEC(10));
}

TEST(the_grace_is_five_seconds_if_nothing_is_said)
{
    struct wait w[2] = {{.span = WEFT_SEC(1)}, {.span = WEFT_SEC(1000)}};
    struct work work = {w, 2, waits_for_ever, NULL, 1, 0};
    run_with_grace(0, &work);
    CHECK_EQ(w[1].result, -ECANCELED);
    CHECK_EQ(w[1].to - work.returned, WEFT_SEC(5));
    CHECK_EQ(w[0].result, -ECANCELED);
}

TEST(a_wait_that_takes_just_the_grace_succeeds_and_the_next_fails)
{
    struct wait w[2] = {{.span = 1}, {.span = WEFT_MSEC(10)}};
    struct work work = {w, 2, waits_for_ever, NULL, 1, 0};
    run_with_grace(WEFT_MSEC(10), &work);
    CHECK_EQ(w[1].result, 0); /* completions come before deadlines */
    CHECK_EQ(w[0].result, -ECANCELED);
    CHECK_EQ(w[0].to - work.returned, WEFT_MSEC(10));
}

TEST(the_grace_counts_for_fibers_that_nobody_cancelled_too)
{
    weft_nursery n;
    weft_nursery_opts opts = {.cleanup_grace = WEFT_MSEC(10)};
    struct wait w = {.span = WEFT_SEC(1)};
    struct work work = {&w, 1, NULL, NULL, 1, 0};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, works, &work), 0);
    CHECK_EQ(weft_nursery_close(&n, 3), 3);
    CHECK_EQ(w.result, -ECANCELED);
    CHECK_EQ(w.to - work.returned, WEFT_MSEC(10));
}

TEST(without_any_grace_deferred_functions_run_and_do_not_wait)
{
    struct wait w[3] = {{.span = 0, .name = "a"},
                        {.span = WEFT_FOREVER, .name = "b"},
                        {.span = 1, .name = "c"}};
    struct work work = {w, 3, waits_for_ever, NULL, 1, 0};
    run_with_grace(-1, &work);
    CHECK_STR(order, "cba");
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(w[i].result, -ECANCELED);
        CHECK_EQ(w[i].to, work.returned);
    }
}

TEST(a_grace_of_any_number_is_taken_for_what_it_is)
{
    struct wait none = {.span = 1}, ages = {.span = WEFT_SEC(1000000000)};
    struct work work = {&none, 1, waits_for_ever, NULL, 1, 0};
    run_with_grace(INT64_MIN, &work);
    CHECK_EQ(none.result, -ECANCELED);
    CHECK_EQ(none.to, work.returned);

    work = (struct work){&ages, 1, waits_for_ever, NULL, 1, 0};
    run_with_grace(WEFT_FOREVER - 1, &work);
    CHECK_EQ(ages.result, 0);
}

TEST(a_long_grace_is_as_long_as_it_says)
{
    struct wait w[2] = {{.span = WEFT_SEC(3601)}, {.span = WEFT_SEC(3599)}};
    struct work work = {w, 2, waits_for_ever, NULL, 1, 0};
    run_with_grace(WEFT_SEC(3600), &work);
    CHECK_EQ(w[1].result, 0);
    CHECK_EQ(w[0].result, -ECANCELED);
    CHECK_EQ(w[0].to - work.returned, WEFT_SEC(3600));
}

TEST(a_grace_without_end_has_no_end)
{
    struct wait w = {.span = WEFT_SEC(1000000)};
    struct work work = {&w, 1, waits_for_ever, NULL, 1, 0};
    run_with_grace(WEFT_FOREVER, &work);
    CHECK_EQ(w.result, 0);
    CHECK_EQ(w.to - work.returned, WEFT_SEC(1000000));
}

static void defers_a_wait(void *arg)
{
    waits(arg);
    CHECK_EQ(weft_defer(waits, (struct wait *)arg + 1), 0);
}

static int defers_waits_in_turn(void *arg)
{
    return weft_defer(defers_a_wait, arg);
}

TEST(a_function_deferred_late_has_the_rest_of_the_grace)
{
    weft_nursery n;
    weft_nursery_opts opts = {.cleanup_grace = WEFT_MSEC(10)};
    struct wait w[2] = {{.span = WEFT_MSEC(6)}, {.span = WEFT_MSEC(6)}};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, defers_waits_in_turn, w), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(w[0].result, 0);
    CHECK_EQ(w[1].times, 1);
    CHECK_EQ(w[1].result, -ECANCELED);
    CHECK_EQ(w[1].to - w[0].from, WEFT_MSEC(10));
}

static void shields_itself(void *arg)
{
    struct wait *w = arg;
    int rc;
    CHECK_EQ(weft_sleep_until(WEFT_FOREVER), -ECANCELED);
    WEFT_SHIELD(rc, WEFT_SEC(1)) {
        waits(w);
        rc = w->result;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
}

static int defers_a_shield(void *arg)
{
    return weft_defer(shields_itself, arg);
}

TEST(a_shield_inside_a_deferred_function_outlasts_the_grace)
{
    weft_nursery n;
    weft_nursery_opts opts = {.cleanup_grace = WEFT_MSEC(10)};
    struct wait w = {.span = WEFT_MSEC(50)};
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, defers_a_shield, &w), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(w.times, 1);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(60));
}

static void times_out_inside(void *arg)
{
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(3))
        rc = weft_sleep_until(WEFT_FOREVER);
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_deadline(), weft_now() + WEFT_SEC(5) - WEFT_MSEC(3));
    *(bool *)arg = true;
}

static int is_cancelled_with_a_limit_deferred(void *arg)
{
    CHECK_EQ(weft_defer(times_out_inside, arg), 0);
    return waits_for_ever(NULL);
}

TEST(time_limits_work_inside_of_deferred_functions)
{
    weft_nursery n;
    bool done = false;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, is_cancelled_with_a_limit_deferred, &done), 0);
    settle();
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK(done);
}

static void ignores_its_end(void *arg)
{
    for (int i = 0; i < 200; i++) {
        CHECK_EQ(weft_checkpoint(), -ECANCELED);
    }
    *(bool *)arg = true;
}

static int defers_an_ignorant(void *arg)
{
    return weft_defer(ignores_its_end, arg);
}

static int says_that_it_ran(void *arg)
{
    *(bool *)arg = true;
    return 0;
}

TEST(a_deferred_function_that_ignores_the_end_of_the_grace_is_no_hog)
{
    weft_nursery n;
    weft_nursery_opts opts = {.cleanup_grace = -1};
    bool ignored = false, other = false;
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, defers_an_ignorant, &ignored), 0);
    CHECK_EQ(weft_spawn(&n, says_that_it_ran, &other), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK(ignored && other);
}

static int computes_and_cleans_up(void *arg)
{
    CHECK_EQ(weft_defer(waits, arg), 0);
    burn(WEFT_MSEC(400));
    return 0;
}

static int computes_and_takes_back(void *arg)
{
    CHECK_EQ(weft_defer(waits, arg), 0);
    burn(WEFT_MSEC(400));
    return weft_undefer(waits, arg, true);
}

TEST_REAL(a_long_computation_takes_nothing_from_the_grace)
{
    weft_nursery n;
    weft_nursery_opts opts = {.cleanup_grace = WEFT_MSEC(300)};
    struct wait w = {.span = WEFT_MSEC(1)};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, computes_and_cleans_up, &w), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(w.result, 0);
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, computes_and_takes_back, &w), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(w.result, 0);
    CHECK_EQ(w.times, 2);
}

TEST_REAL(no_grace_is_none_after_a_long_computation_too)
{
    weft_nursery n;
    weft_nursery_opts opts = {.cleanup_grace = -1};
    struct wait w = {.span = WEFT_MSEC(1)};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, computes_and_cleans_up, &w), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(w.result, -ECANCELED);
}

/* ---- where they run ----------------------------------------------------- */

static weft_key colour = {.name = "colour"};
static weft_fiber *the_fiber;

static void checks_where_it_is(void *arg)
{
    CHECK_PTR(weft_self(), the_fiber);
    CHECK_STR(weft_fiber_name(), "painter");
    CHECK_PTR(weft_local_get(&colour), arg);
    *(int *)arg = 5;
}

static int binds_and_defers(void *arg)
{
    the_fiber = weft_self();
    weft_fiber_set_name("painter");
    CHECK_EQ(weft_local_push(&colour, arg), 0);
    return weft_defer(checks_where_it_is, arg);
}

TEST(deferred_functions_run_in_their_fiber_and_see_its_locals)
{
    int rc, red = 0;
    WEFT_NURSERY(n, rc)
        rc = weft_spawn(&n, binds_and_defers, &red);
    CHECK_EQ(rc, 0);
    CHECK_EQ(red, 5);
}

static void looks_at_the_copy(void *arg)
{
    CHECK_EQ(weft_yield(), 0);
    CHECK_STR((char *)arg, "copied");
    says(arg);
}

static int defers_a_look_at_its_copy(void *arg)
{
    return weft_defer(looks_at_the_copy, arg);
}

TEST(a_copied_argument_lasts_for_the_deferred_functions)
{
    weft_nursery n;
    char text[] = "copied";
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_copy(&n, defers_a_look_at_its_copy, text, sizeof text),
             0);
    memset(text, 'x', sizeof text - 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_STR(order, "copied");
}

static void has_children(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, works, arg), 0);
        CHECK_EQ(weft_spawn(&n, works, (struct work *)arg + 1), 0);
    }
    CHECK_EQ(rc, 0);
}

static int defers_children(void *arg)
{
    CHECK_EQ(weft_defer(has_children, arg), 0);
    return waits_for_ever(NULL);
}

TEST(a_deferred_function_may_have_children)
{
    weft_nursery n;
    struct wait w[2] = {{.span = WEFT_MSEC(5)}, {.span = WEFT_MSEC(7)}};
    struct work work[2] = {{&w[0], 1, NULL, NULL, 1, 0},
                           {&w[1], 1, NULL, NULL, 1, 0}};
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, defers_children, work), 0);
    settle();
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(w[0].result, 0);
    CHECK_EQ(w[1].result, 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(7) + 1);
}

static void unlocks(void *mutex)
{
    CHECK_EQ(weft_mutex_unlock(mutex), 0);
}

static int locks_and_defers_the_unlock(void *mutex)
{
    CHECK_EQ(weft_mutex_lock(mutex), 0);
    CHECK_EQ(weft_defer(unlocks, mutex), 0);
    return waits_for_ever(NULL);
}

static int locks(void *mutex)
{
    int err = weft_mutex_lock(mutex);
    if (err < 0) return err;
    says("locked");
    return weft_mutex_unlock(mutex);
}

TEST(a_deferred_unlock_still_owns_the_mutex)
{
    weft_nursery n, others;
    weft_mutex m = WEFT_MUTEX_INIT;
    CHECK_EQ(weft_nursery_open(&others, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, locks_and_defers_the_unlock, &m), 0);
    settle();
    CHECK_EQ(weft_spawn(&others, locks, &m), 0);
    settle();
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_nursery_close(&others, 0), 0);
    CHECK_STR(order, "locked");
}

static void locks_in_its_clean_up(void *mutex)
{
    CHECK_EQ(weft_mutex_lock(mutex), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    says("+");
    CHECK_EQ(weft_mutex_unlock(mutex), 0);
}

static int defers_a_lock(void *mutex)
{
    CHECK_EQ(weft_defer(locks_in_its_clean_up, mutex), 0);
    return waits_for_ever(NULL);
}

TEST(cancelled_fibers_may_take_a_contended_mutex_in_their_clean_up)
{
    weft_nursery n;
    weft_mutex m = WEFT_MUTEX_INIT;
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(weft_spawn(&n, defers_a_lock, &m), 0);
    }
    settle();
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_STR(order, "+++++");
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5) + 1);
    CHECK_EQ(weft_mutex_trylock(&m), 0);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
}

static int locks_and_forgets(void *mutex)
{
    CHECK_EQ(weft_mutex_lock(mutex), 0);
    return 0;
}

static int forgets_a_mutex_and_cleans_up(void *arg)
{
    struct wait *w = arg;
    CHECK_EQ(weft_defer(waits, w), 0);
    return locks_and_forgets((weft_mutex *)(w + 1));
}

TEST(a_mutex_is_lost_when_the_deferred_functions_of_its_owner_are_over)
{
    struct {
        struct wait w;
        weft_mutex m;
    } of = {.w = {.span = WEFT_MSEC(10)}};
    weft_time start = weft_now();
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, forgets_a_mutex_and_cleans_up, &of), 0);
        settle();
        CHECK_EQ(of.w.times, 1);
        CHECK_EQ(weft_mutex_trylock(&of.m), -EBUSY);
        CHECK_EQ(weft_mutex_lock(&of.m), -EOWNERDEAD);
        CHECK_EQ(weft_now() - start, WEFT_MSEC(10));
    }
    CHECK_EQ(rc, 0);
}

static int gives_up_inside_a_block(void *arg)
{
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        CHECK_EQ(weft_defer(waits, arg), 0);
        rc = weft_sleep_until(WEFT_FOREVER);
    }
    CHECK_EQ(((struct wait *)arg)->times, 0); /* not at the scope's end */
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    return rc == -ETIMEDOUT ? 0 : rc;
}

TEST(what_is_deferred_inside_a_scope_waits_for_the_end_of_the_fiber)
{
    struct wait w = {.span = WEFT_MSEC(5)};
    weft_time start = weft_now();
    CHECK_EQ(in_a_nursery(gives_up_inside_a_block, &w), 0);
    CHECK_EQ(w.times, 1);
    CHECK_EQ(w.from - start, WEFT_MSEC(10));
}

TEST_PLAIN(outside_a_fiber_what_is_deferred_is_done_at_once)
{
    CHECK_EQ(weft_defer(says, "now"), -EPERM);
    CHECK_STR(order, "now");
    CHECK(weft_undefer(says, "now", true) < 0);
    CHECK_STR(order, "now");
}

/* ---- main --------------------------------------------------------------- */

static struct wait of_main[2];

static int main_defers(void *arg)
{
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weft_defer(waits, &of_main[i]), 0);
    }
    return returns(arg);
}

static const weft_run_opts on_virtual_clock = {.virtual_clock = true};

static void run_main_with_waits(weft_fn fn, int result, int want)
{
    order[0] = '\0';
    of_main[0] = (struct wait){.span = WEFT_MSEC(5), .name = "1"};
    of_main[1] = (struct wait){.span = WEFT_MSEC(5), .name = "2"};
    CHECK_EQ(weft_run(fn, &result, &on_virtual_clock), want);
    CHECK_STR(order, "21");
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(of_main[i].result, 0);
        CHECK_EQ(of_main[i].to - of_main[i].from, WEFT_MSEC(5));
    }
}

TEST_PLAIN(main_has_deferred_functions_too)
{
    run_main_with_waits(main_defers, 0, 0);
    run_main_with_waits(main_defers, 7, 7);
    run_main_with_waits(main_defers, -EIO, -EIO);
    run_main_with_waits(main_defers, -ECANCELED, -ECANCELED);
}

static int main_is_shut_down(void *arg)
{
    CHECK_EQ(main_defers(&(int){0}), 0);
    CHECK_EQ(weft_shutdown(*(int *)arg), 0);
    return weft_sleep_until(WEFT_FOREVER);
}

TEST_PLAIN(the_deferred_functions_of_main_are_shielded_from_a_shutdown)
{
    run_main_with_waits(main_is_shut_down, -EINTR, -EINTR);
    run_main_with_waits(main_is_shut_down, 0, 0);
}

static void shuts_down(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_shutdown(-EINTR), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    says("survived");
}

static int main_defers_a_shutdown(void *arg)
{
    CHECK_EQ(weft_defer(shuts_down, NULL), 0);
    return returns(arg);
}

TEST_PLAIN(a_shutdown_while_main_cleans_up_changes_nothing)
{
    int five = 5;
    CHECK_EQ(weft_run(main_defers_a_shutdown, &five, &on_virtual_clock), 5);
    CHECK_STR(order, "survived");
}

static int main_defers_for_too_long(void *arg)
{
    CHECK_EQ(weft_defer(waits, arg), 0);
    return 3;
}

TEST_PLAIN(main_has_a_grace_of_five_seconds)
{
    struct wait w = {.span = WEFT_FOREVER};
    CHECK_EQ(weft_run(main_defers_for_too_long, &w, &on_virtual_clock), 3);
    CHECK_EQ(w.result, -ECANCELED);
    CHECK_EQ(w.to - w.from, WEFT_SEC(5));
}

static int main_fails_and_is_shut_down(void *arg)
{
    CHECK_EQ(weft_defer(shuts_down, arg), 0);
    return -ECANCELED; /* for no reason at all */
}

TEST_PLAIN(a_shutdown_while_main_cleans_up_is_not_what_ended_main)
{
    CHECK_EQ(weft_run(main_fails_and_is_shut_down, NULL, &on_virtual_clock),
             -ECANCELED);
    CHECK_STR(order, "survived");
}

static int main_defers_a_chain(void *arg)
{
    CHECK_EQ(weft_defer(says, "a"), 0);
    CHECK_EQ(weft_defer(defers_another, "b"), 0);
    return returns(arg);
}

TEST_PLAIN(a_deferred_function_of_main_may_defer_another)
{
    int two = 2;
    CHECK_EQ(weft_run(main_defers_a_chain, &two, &on_virtual_clock), 2);
    CHECK_STR(order, "()ba");
}

static void fails_by_the_way(void *arg)
{
    (void)weft_fail(-ENOENT, "by the way");
    says(arg);
}

static int main_fails_and_cleans_up(void *arg)
{
    CHECK_EQ(weft_defer(fails_by_the_way, arg), 0);
    return weft_fail(-EIO, "the real one");
}

static void run_and_look_at_the_record(void *arg)
{
    CHECK_EQ(weft_run(main_fails_and_cleans_up, arg, &on_virtual_clock), -EIO);
    CHECK(weft_last_error() != NULL);
    CHECK_EQ(weft_last_error()->code, -EIO);
    CHECK_STR(weft_last_error()->msg, "the real one");
    CHECK_STR(order, "x");
}

TEST_PLAIN(the_record_of_main_survives_its_deferred_functions)
{
    must_run_in_process(run_and_look_at_the_record, "x");
}

/* ---- what the nursery is told ------------------------------------------- */

static weft_outcome outcome;
static char outcome_msg[32];
static unsigned exits;
static weft_time exit_at;

static weft_verdict keeps_outcome(weft_nursery *n, uint64_t child,
                                  weft_outcome o, void *user)
{
    (void)n;
    (void)child;
    (void)user;
    outcome = o;
    outcome_msg[0] = '\0';
    if (o.err) {
        (void)snprintf(outcome_msg, sizeof outcome_msg, "%.20s", o.err->msg);
    }
    exits++;
    exit_at = weft_now();
    return WEFT_CONTINUE;
}

static int fails_and_cleans_up(void *arg)
{
    CHECK_EQ(weft_defer(fails_by_the_way, arg), 0);
    CHECK_EQ(weft_defer(fails_by_the_way, arg), 0);
    return weft_fail(-EIO, "the real one");
}

TEST(the_record_of_a_child_survives_its_deferred_functions)
{
    weft_nursery n;
    weft_nursery_opts opts = {.on_exit = keeps_outcome};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, fails_and_cleans_up, "x"), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    CHECK_STR(order, "xx");
    CHECK_STR(outcome_msg, "the real one");
    CHECK_EQ(weft_last_error()->code, -EIO);
    CHECK_STR(weft_last_error()->msg, "the real one");
    CHECK(weft_last_error()->next == NULL);
}

static int fails_with_a_group_and_cleans_up(void *arg)
{
    static int bad[] = {-EIO, -EPERM};
    int rc;
    CHECK_EQ(weft_defer(fails_by_the_way, arg), 0);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, returns, &bad[0]), 0);
        CHECK_EQ(weft_spawn(&n, returns, &bad[1]), 0);
    }
    return rc;
}

TEST(a_group_of_errors_survives_deferred_functions_too)
{
    weft_nursery n;
    unsigned count = 0;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, fails_with_a_group_and_cleans_up, "x"), 0);
    int rc = weft_nursery_close(&n, 0);
    CHECK(rc == -EIO || rc == -EPERM);
    CHECK(weft_last_error() != NULL);
    CHECK_EQ(weft_last_error()->code, rc);
    const weft_error *e = weft_last_error()->inner;
    for (; e; e = e->next) {
        CHECK(e->code == -EIO || e->code == -EPERM);
        count++;
    }
    CHECK_EQ(count, 2);
}

static int fails_without_a_record(void *arg)
{
    CHECK_EQ(weft_defer(fails_by_the_way, arg), 0);
    return -EIO;
}

TEST(what_fails_in_a_deferred_function_is_not_the_record_of_the_child)
{
    weft_nursery n;
    weft_nursery_opts opts = {.on_exit = keeps_outcome};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, fails_without_a_record, "x"), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    CHECK_EQ(outcome.rc, -EIO);
    CHECK_EQ(weft_last_error()->code, -EIO);
    CHECK(strcmp(weft_last_error()->msg, "by the way") != 0);
}

TEST(a_failure_in_a_deferred_function_is_nobodys_failure)
{
    weft_nursery n;
    weft_nursery_opts opts = {.on_exit = keeps_outcome};
    int four = 4;
    struct work work = {NULL, 0, returns, &four, 1, 0};
    struct wait w = {.span = 1};
    work.waits = &w, work.count = 1;
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, works, &work), 0);
    CHECK_EQ(weft_nursery_close(&n, 2), 2);
    CHECK_EQ(outcome.status, WEFT_OK);
    CHECK_EQ(outcome.rc, 4);
}

TEST(a_foreign_ecanceled_stays_a_failure_when_a_cancel_comes_afterwards)
{
    weft_nursery n;
    weft_nursery_opts opts = {.on_exit = keeps_outcome};
    int canceled = -ECANCELED;
    struct wait w = {.span = WEFT_MSEC(10)};
    struct work work = {&w, 1, returns, &canceled, 1, 0};
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    weft_scope_set_deadline(weft_nursery_scope(&n), weft_after(WEFT_MSEC(5)));
    CHECK_EQ(weft_spawn(&n, works, &work), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -ECANCELED);
    CHECK_EQ(outcome.status, WEFT_FAILED);
    CHECK_EQ(outcome.rc, -ECANCELED);
    CHECK_EQ(w.result, 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(10));
    CHECK_EQ(weft_checkpoint(), 0);
}

TEST(a_cancelled_child_stays_cancelled_through_its_deferred_functions)
{
    weft_nursery n;
    weft_nursery_opts opts = {.on_exit = keeps_outcome};
    struct wait w = {.span = WEFT_MSEC(10)};
    struct work work = {&w, 1, waits_for_ever, NULL, 1, 0};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, works, &work), 0);
    settle();
    weft_nursery_cancel(&n, -EINTR, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), -EINTR);
    CHECK_EQ(outcome.status, WEFT_CANCELLED);
    CHECK_EQ(exits, 1);
}

static int shields_the_nursery(void *arg)
{
    weft_nursery *n = arg;
    int err = weft_sleep(WEFT_MSEC(5));
    weft_scope_set_shield(weft_nursery_scope(n), true);
    return err;
}

TEST(a_child_stopped_from_outside_was_stopped_even_if_a_shield_comes_later)
{
    weft_nursery helpers, n;
    weft_scope s;
    weft_nursery_opts opts = {.on_exit = keeps_outcome};
    struct wait w = {.span = WEFT_MSEC(10)};
    struct work work = {&w, 1, waits_for_ever, NULL, 1, 0};
    CHECK_EQ(weft_nursery_open(&helpers, NULL), 0);
    open_scope(&s);
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, works, &work), 0);
    settle();
    CHECK_EQ(weft_spawn(&helpers, shields_the_nursery, &n), 0);
    weft_scope_cancel(&s, -EINTR, NULL);
    int rc = weft_nursery_close(&n, 0);
    CHECK_EQ(outcome.status, WEFT_CANCELLED);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, rc), -EINTR);
    CHECK_EQ(weft_nursery_close(&helpers, 0), 0);
}

static void cancels_its_nursery(void *n)
{
    weft_nursery_cancel(n, -EINTR, "from a deferred function");
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
}

static int defers_a_cancel(void *n)
{
    CHECK_EQ(weft_defer(cancels_its_nursery, n), 0);
    return weft_sleep(WEFT_MSEC(1));
}

TEST(a_deferred_function_may_cancel_its_own_nursery)
{
    weft_nursery n;
    struct wait w = {.span = WEFT_MSEC(1)};
    struct work work = {&w, 1, waits_for_ever, NULL, 1, 0};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, works, &work), 0);
    CHECK_EQ(weft_spawn(&n, defers_a_cancel, &n), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EINTR);
    CHECK_EQ(work.rc, -ECANCELED);
    CHECK_EQ(w.result, 0);
}

static int forgets_an_open_scope(void *arg)
{
    CHECK_EQ(weft_defer(says, arg), 0);
    return weft_scope_begin((weft_scope *)arg);
}

static int main_forgets_an_open_scope(void *arg)
{
    weft_scope_init(arg);
    return forgets_an_open_scope(arg);
}

TEST_DEATH(a_scope_left_open_is_fatal_before_anything_deferred_runs,
           "test_defer.c:")
{
    static weft_scope s;
    (void)!weft_run(main_forgets_an_open_scope, &s, NULL);
}

static weft_scope forgotten;

static void leaves_a_scope_open(void *arg)
{
    (void)arg;
    weft_scope_init(&forgotten);
    CHECK_EQ(weft_scope_begin(&forgotten), 0);
}

static int defers_a_misnest(void *arg)
{
    CHECK_EQ(weft_defer(leaves_a_scope_open, arg), 0);
    return 0;
}

TEST_DEATH(a_scope_that_a_deferred_function_leaves_open_is_fatal,
           "test_defer.c:")
{
    (void)!weft_run(defers_a_misnest, NULL, NULL);
}

TEST(a_child_has_ended_when_its_deferred_functions_have)
{
    weft_nursery n;
    weft_task task;
    weft_outcome out;
    weft_nursery_opts opts = {.limit = 1, .on_exit = keeps_outcome};
    weft_spawn_opts as_task = {.task = &task};
    struct wait w = {.span = WEFT_MSEC(10)};
    struct work work = {&w, 1, NULL, NULL, 1, 0};
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn_ex(&n, works, &work, &as_task), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    CHECK_EQ(w.times, 1);
    CHECK_EQ(weft_nursery_count(&n), 1);
    CHECK_EQ(weft_spawn(&n, returns, &(int){0}), -EAGAIN);
    CHECK_EQ(exits, 0);
    CHECK(!weft_task_done(&task));
    CHECK_EQ(weft_join(&task, &out), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(10));
    CHECK_EQ(out.status, WEFT_OK);
    CHECK_EQ(exit_at - start, WEFT_MSEC(10));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* Code of the program's that runs at the very end of a fiber. */
static void defers_at_the_very_end(void *value)
{
    int err = weft_defer(says, value);
    if (err < 0) CHECK_STR(order, value); /* then it has been called */
}

static weft_key dropped = {.name = "dropped", .drop = defers_at_the_very_end};

static int binds_what_is_dropped(void *value)
{
    return weft_local_push(&dropped, value);
}

TEST(what_the_drop_of_a_local_defers_is_done_too)
{
    CHECK_EQ(in_a_nursery(binds_what_is_dropped, "x"), 0);
    CHECK_STR(order, "x");
}

static weft_key dropped_in_private = {.name = "dropped in private",
                                      .drop = defers_at_the_very_end,
                                      .flags = WEFT_KEY_PRIVATE};

static int binds_in_private(void *value)
{
    return weft_local_push(&dropped_in_private, value);
}

TEST(what_the_drop_of_a_private_local_defers_is_done_too)
{
    CHECK_EQ(in_a_nursery(binds_in_private, "x"), 0);
    CHECK_STR(order, "x");
}

static weft_verdict defers_at_exit(weft_nursery *n, uint64_t child,
                                   weft_outcome o, void *user)
{
    (void)n;
    (void)child;
    (void)o;
    defers_at_the_very_end(user);
    return WEFT_CONTINUE;
}

TEST(what_on_exit_defers_is_done_too)
{
    weft_nursery n;
    static char text[] = "x";
    weft_nursery_opts opts = {.on_exit = defers_at_exit, .user = text};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, returns, &(int){0}), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_STR(order, "x");
}

static void defers_in_the_hook(const weft_error *e)
{
    static char text[] = "x";
    (void)e;
    defers_at_the_very_end(text);
}

TEST(what_the_unhandled_hook_defers_is_done_too)
{
    weft_nursery n;
    weft_nursery_opts opts = {.policy = WEFT_SUPERVISE};
    weft_on_unhandled(defers_in_the_hook);
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, returns, &(int){-EIO}), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_STR(order, "x");
    weft_on_unhandled(NULL);
}

/* ---- taking back -------------------------------------------------------- */

static int takes_the_latest_back(void *arg)
{
    CHECK_EQ(weft_defer(says, arg), 0);
    CHECK_EQ(weft_defer(says, "b"), 0);
    CHECK_EQ(weft_defer(says, arg), 0);
    CHECK_EQ(weft_defer(says, "c"), 0);
    CHECK_EQ(weft_undefer(says, arg, false), 0);
    return 0;
}

TEST(undefer_takes_the_latest_of_the_same_back)
{
    CHECK_EQ(in_a_nursery(takes_the_latest_back, "a"), 0);
    CHECK_STR(order, "cba");
}

static void says_too(void *arg)
{
    says(arg);
}

static int takes_back_and_runs(void *arg)
{
    char *a = arg;
    CHECK_EQ(weft_undefer(says, a, true), -ENOENT);
    CHECK_EQ(weft_defer(says, a), 0);
    CHECK_EQ(weft_undefer(says_too, a, true), -ENOENT);
    CHECK_EQ(weft_undefer(says, a + 1, true), -ENOENT);
    CHECK_STR(order, "");
    CHECK_EQ(weft_undefer(says, a, true), 0);
    CHECK_STR(order, "a");
    CHECK_EQ(weft_undefer(says, a, true), -ENOENT);
    CHECK_EQ(weft_undefer(says, a, false), -ENOENT);
    CHECK_EQ(weft_defer(says, a), 0);
    CHECK_EQ(weft_undefer(says, a, false), 0);
    CHECK_EQ(weft_undefer(says, a, true), -ENOENT);
    return 0;
}

TEST(what_is_taken_back_is_done_now_or_never)
{
    CHECK_EQ(in_a_nursery(takes_back_and_runs, "a"), 0);
    CHECK_STR(order, "a");
    order[0] = '\0';
    CHECK_EQ(takes_back_and_runs("a"), 0); /* main may, as well */
}

static int tries_to_take_back(void *arg)
{
    CHECK_EQ(weft_undefer(says, arg, true), -ENOENT);
    return 0;
}

static int defers_and_waits(void *arg)
{
    CHECK_EQ(weft_defer(says, arg), 0);
    return weft_sleep(WEFT_MSEC(5));
}

TEST(a_fiber_takes_back_only_what_is_its_own)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, defers_and_waits, "a"), 0);
    settle();
    CHECK_EQ(weft_spawn(&n, tries_to_take_back, "a"), 0);
    CHECK_EQ(weft_undefer(says, "a", true), -ENOENT);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_STR(order, "a");
}

static char letters[4][2] = {"a", "b", "c", "d"};

static int takes_some_back(void *arg)
{
    unsigned mask = *(unsigned *)arg & 15, backwards = *(unsigned *)arg & 16;
    bool run = *(unsigned *)arg & 32;
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(weft_defer(says, letters[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        int which = backwards ? 3 - i : i;
        if (mask >> which & 1) {
            CHECK_EQ(weft_undefer(says, letters[which], run), 0);
        }
    }
    return 0;
}

TEST(any_of_them_may_be_taken_back_in_any_order)
{
    for (unsigned plan = 0; plan < 64; plan++) {
        char want[16] = "";
        int rc;
        for (int i = 0; plan & 32 && i < 4; i++) {
            int which = plan & 16 ? 3 - i : i;
            if (plan >> which & 1) strcat(want, letters[which]);
        }
        for (int i = 3; i >= 0; i--) {
            if (!(plan >> i & 1)) strcat(want, letters[i]);
        }
        order[0] = '\0';
        WEFT_NURSERY(n, rc)
            rc = weft_spawn(&n, takes_some_back, &plan);
        CHECK_EQ(rc, 0);
        CHECK_STR(order, want);
    }
}

static void takes_itself_and_another_back(void *arg)
{
    CHECK_EQ(weft_undefer(takes_itself_and_another_back, arg, true), -ENOENT);
    CHECK_EQ(weft_undefer(says, "a", true), 0);
    CHECK_EQ(weft_undefer(says, "b", false), 0);
    CHECK_EQ(weft_undefer(says, "b", false), -ENOENT);
    CHECK_EQ(weft_undefer(says, "d", true), -ENOENT); /* has been called */
    says(arg);
}

static int defers_one_that_takes_back(void *arg)
{
    CHECK_EQ(weft_defer(says, "a"), 0);
    CHECK_EQ(weft_defer(says, "b"), 0);
    CHECK_EQ(weft_defer(says, "c"), 0);
    CHECK_EQ(weft_defer(takes_itself_and_another_back, arg), 0);
    CHECK_EQ(weft_defer(says, "d"), 0);
    return 0;
}

TEST(a_deferred_function_may_take_others_back_but_not_itself)
{
    CHECK_EQ(in_a_nursery(defers_one_that_takes_back, "x"), 0);
    CHECK_STR(order, "daxc");
}

static int takes_back_when_cancelled(void *arg)
{
    struct wait *w = arg;
    CHECK_EQ(weft_defer(waits, w), 0);
    int rc = waits_for_ever(NULL);
    CHECK_EQ(weft_undefer(waits, w, true), 0);
    CHECK(weft_cancelled());
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_undefer(waits, w, true), -ENOENT);
    return rc;
}

static void take_back_with_grace(weft_time grace, struct wait *w)
{
    weft_nursery n;
    weft_nursery_opts opts = {.cleanup_grace = grace};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, takes_back_when_cancelled, w), 0);
    settle();
    weft_nursery_cancel(&n, -EINTR, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), -EINTR);
    CHECK_EQ(w->times, 1);
}

TEST(what_is_taken_back_and_run_is_shielded_for_the_grace)
{
    struct wait fine = {.span = WEFT_MSEC(9)};
    struct wait late = {.span = WEFT_FOREVER}, never = {.span = 1};
    take_back_with_grace(WEFT_MSEC(10), &fine);
    CHECK_EQ(fine.result, 0);
    CHECK_EQ(fine.to - fine.from, WEFT_MSEC(9));
    CHECK(!fine.cancelled_before);

    take_back_with_grace(WEFT_MSEC(10), &late);
    CHECK_EQ(late.result, -ECANCELED);
    CHECK_EQ(late.to - late.from, WEFT_MSEC(10));

    take_back_with_grace(-1, &never);
    CHECK_EQ(never.result, -ECANCELED);
    CHECK(never.cancelled_before);
    CHECK_EQ(never.to, never.from);
}

static int defers_and_takes_back_much(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10000; i++) {
        CHECK_EQ(weft_defer(says, letters[i % 4]), 0);
        CHECK_EQ(weft_undefer(says, letters[i % 4], false), 0);
    }
    return 0;
}

TEST(defer_and_undefer_leave_nothing)
{
    CHECK_EQ(in_a_nursery(defers_and_takes_back_much, NULL), 0);
    CHECK_STR(order, "");
}

/* ---- at every moment, and without memory -------------------------------- */

enum { WORKERS = 4 };

static struct {
    weft_sem permits;
    weft_mutex mutex;
    int held, deferred;
} swept;

static void gives_back(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_mutex_lock(&swept.mutex), 0);
    CHECK_EQ(weft_sleep(1), 0);
    swept.held--;
    CHECK_EQ(weft_sem_release(&swept.permits, 1), 0);
    CHECK_EQ(weft_mutex_unlock(&swept.mutex), 0);
    swept.deferred--;
}

static int takes_and_defers(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) {
        int rc = weft_sem_acquire(&swept.permits, 1);
        if (rc < 0) return rc;
        swept.held++;
        swept.deferred++;
        rc = weft_defer(gives_back, NULL);
        if (rc < 0) return rc; /* it has been given back */
        rc = weft_sleep(WEFT_MSEC(2));
        if (rc < 0) return rc;
        CHECK_EQ(weft_undefer(gives_back, NULL, true), 0);
    }
    return 0;
}

static void start_the_swept_work(weft_nursery *n)
{
    memset(&swept, 0, sizeof swept);
    weft_sem_init(&swept.permits, 2, 2);
    for (int i = 0; i < WORKERS; i++) {
        sweep_spawn(n, takes_and_defers, NULL);
    }
}

static void check_the_swept_work(void)
{
    CHECK_EQ(swept.held, 0);
    CHECK_EQ(swept.deferred, 0);
    CHECK_EQ(weft_sem_value(&swept.permits), 2);
    CHECK_EQ(weft_mutex_trylock(&swept.mutex), 0);
    CHECK_EQ(weft_mutex_unlock(&swept.mutex), 0);
}

SWEEP(what_is_deferred_is_done_once_at_whatever_moment_a_cancel_comes,
      start_the_swept_work, check_the_swept_work, SWEEP_CLEANUP_SLEEPS);

#ifdef WEFT_HOSTILE
static int deferred_calls[40], defer_failures;

static void counts_its_call(void *arg)
{
    ++*(int *)arg;
}

static int defers_without_memory(void *arg)
{
    (void)arg;
    for (int i = 0; i < 40; i++) {
        int before = deferred_calls[i];
        int err = weft_defer(counts_its_call, &deferred_calls[i]);
        CHECK(err == 0 || err == -ENOMEM);
        CHECK_EQ(deferred_calls[i], before + (err < 0)); /* has been called */
        defer_failures += err < 0;
    }
    return 0;
}

static int defers_in_a_child_without_memory(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc)
        rc = weft_spawn(&n, defers_without_memory, arg);
    if (rc < 0) return rc;
    for (int i = 0; i < 40; i++) {
        CHECK_EQ(deferred_calls[i], 1);
    }
    return defer_failures ? -ENOMEM : 0;
}

TEST_PLAIN(a_defer_without_memory_has_called_its_function)
{
    fail_each(defers_in_a_child_without_memory, WF_CALL_ALLOC);
}
#endif
