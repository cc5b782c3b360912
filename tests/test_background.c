/* SPDX-License-Identifier: MIT */
/* test_background.c - work that outlives its request, and its end. */
#include <weft/background.h>
#include <weft/cleanup.h>
#include <weft/error.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/local.h>
#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/task.h>
#include <weft/time.h>

#include <signal.h>
#include <string.h>

#include "burn.h"
#include "fibers.h"
#include "harness.h"
#include "open.h"
#include "process.h"
#include "settle.h"
#include "starve.h"

/*
 * Work that takes `span`; when it is stopped it goes on for `cleanup`, shielded
 * for ever, and then passes the cancellation on, or fails with `spoiled`.
 */
struct work {
    weft_time span, cleanup;
    int rc, spoiled;
    int waited; /* what its wait returned */
    weft_reason reason;
    weft_time cancelled_at, ended_at;
    unsigned entered, ended;
};

static int works(void *arg)
{
    struct work *w = arg;
    int cleaned = 0;
    w->entered++;
    w->waited = weft_sleep(w->span);
    if (w->waited < 0) {
        w->reason = *weft_cancel_reason();
        w->cancelled_at = weft_now();
        WEFT_SHIELD(cleaned, WEFT_FOREVER) {
            if (w->cleanup) cleaned = weft_sleep(w->cleanup);
        }
    }
    CHECK_EQ(cleaned, 0);
    w->ended++;
    w->ended_at = weft_now();
    if (w->waited == 0) {
        return w->rc < 0 ? weft_fail(w->rc, "background %d", -w->rc) : w->rc;
    }
    return w->spoiled < 0 ? weft_fail(w->spoiled, "spoiled") : w->waited;
}

static unsigned unhandled;
static int unhandled_codes[16];
static char unhandled_msg[104];

static void notes_unhandled(const weft_error *e)
{
    CHECK(unhandled < 16);
    unhandled_codes[unhandled++] = e->code;
    memcpy(unhandled_msg, e->msg, sizeof unhandled_msg);
}

/* ---- the plain cases ---------------------------------------------------- */

static weft_key request_id = {.name = "request id"};
static unsigned dropped;

static void counts_drop(void *value)
{
    (void)value;
    dropped++;
}

static weft_key counted = {.name = "counted", .drop = counts_drop};
static char *seen_id;

static int works_for_a_request(void *arg)
{
    seen_id = weft_local_get(&request_id);
    CHECK(!weft_cancelled());
    CHECK_EQ(weft_deadline(), WEFT_FOREVER);
    int rc = works(arg);
    CHECK_PTR(weft_local_get(&request_id), seen_id);
    CHECK_EQ(dropped, 0);
    return rc;
}

static int handles_a_request(void *arg)
{
    int rc;
    static int value;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        CHECK_EQ(weft_local_push(&request_id, "request 7"), 0);
        CHECK_EQ(weft_local_push(&counted, &value), 0);
        CHECK_EQ(weft_background(works_for_a_request, arg, NULL), 0);
        CHECK_EQ(weft_background_count(), 1);
        rc = weft_sleep_until(WEFT_FOREVER);
    }
    CHECK_EQ(weft_local_pop(&counted), 0);
    return rc == -ETIMEDOUT ? -EIO : rc;
}

TEST(bgt_01_background_work_outlives_its_request_and_has_its_locals)
{
    struct work w = {.span = WEFT_MSEC(20)};
    weft_time start = weft_now();
    int rc;
    WEFT_NURSERY(n, rc)
        rc = weft_spawn(&n, handles_a_request, &w);
    CHECK_EQ(rc, -EIO);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5));
    CHECK_EQ(w.entered, 1);
    CHECK_EQ(w.ended, 0);
    CHECK_EQ(dropped, 0);
    CHECK_EQ(weft_background_count(), 1);
    CHECK_EQ(weft_sleep(WEFT_MSEC(100)), 0);
    CHECK_EQ(w.waited, 0);
    CHECK_EQ(w.ended_at - start, WEFT_MSEC(20));
    CHECK_STR(seen_id, "request 7");
    CHECK_EQ(dropped, 1); /* with the last fiber that could see it */
    CHECK_EQ(weft_background_count(), 0);
}

TEST(background_work_may_be_started_in_a_cancelled_scope)
{
    weft_scope s;
    struct work w[2] = {{.span = WEFT_MSEC(1)}, {.span = WEFT_MSEC(1)}};
    weft_spawn_opts opts = {.unless_cancelled = true, .name = "w"};
    open_cancelled_scope(&s);
    CHECK_EQ(weft_background(works, &w[0], NULL), 0);
    CHECK_EQ(weft_background(works, &w[1], &opts), 0);
    CHECK_EQ(w[0].entered, 0); /* not a schedule point either */
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    CHECK_EQ(w[0].waited, 0);
    CHECK_EQ(w[1].waited, 0);
    CHECK_EQ(w[1].ended, 1);
}

TEST_PLAIN(outside_a_fiber_there_is_no_background)
{
    struct work w = {.span = 0};
    CHECK_EQ(weft_background(works, &w, NULL), -EPERM);
    CHECK_EQ(weft_background_count(), 0);
    CHECK_EQ(weft_background_shutdown(0, 0), -EPERM);
    CHECK_EQ(w.entered, 0);
}

TEST(background_work_can_be_joined_and_cancelled_by_its_task)
{
    static weft_task tasks[2];
    weft_outcome out;
    struct work w[2] = {{.span = WEFT_MSEC(5), .rc = 6},
                        {.span = WEFT_FOREVER}};
    for (int i = 0; i < 2; i++) {
        weft_spawn_opts opts = {.task = &tasks[i], .name = "job"};
        CHECK_EQ(weft_background(works, &w[i], &opts), 0);
    }
    CHECK_EQ(weft_join(&tasks[0], &out), 0);
    CHECK_EQ(out.status, WEFT_OK);
    CHECK_EQ(out.rc, 6);
    weft_task_cancel(&tasks[1], -EINTR, "enough");
    CHECK_EQ(weft_join(&tasks[1], &out), 0);
    CHECK_EQ(out.status, WEFT_CANCELLED);
    CHECK_STR(w[1].reason.why, "enough");
    CHECK_EQ(weft_background_count(), 0);
}

static int starts_more(void *arg)
{
    struct work *w = arg;
    CHECK_EQ(weft_background(works, w, NULL), 0);
    return weft_sleep(WEFT_MSEC(1));
}

TEST(background_work_may_start_more_of_it)
{
    struct work w = {.span = WEFT_MSEC(5)};
    CHECK_EQ(weft_background(starts_more, &w, NULL), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(2)), 0);
    CHECK_EQ(weft_background_count(), 1);
    CHECK_EQ(weft_sleep(WEFT_MSEC(10)), 0);
    CHECK_EQ(w.waited, 0);
    CHECK_EQ(w.ended, 1);
}

TEST(background_work_without_memory_is_refused)
{
    struct work w = {.span = 1};
    weft_spawn_opts huge = {.stack_size = SIZE_MAX / 2};
    CHECK_EQ(weft_background(works, &w, &huge), -ENOMEM);
    settle();
    CHECK_EQ(w.entered, 0);
    CHECK_EQ(weft_background_count(), 0);
}

TEST(err_06_a_failure_in_the_background_goes_to_the_hook_once)
{
    struct work bad = {.span = WEFT_MSEC(1), .rc = -EIO};
    struct work good = {.span = WEFT_MSEC(9)};
    weft_on_unhandled(notes_unhandled);
    CHECK_EQ(weft_background(works, &bad, NULL), 0);
    CHECK_EQ(weft_background(works, &good, NULL), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    CHECK_EQ(unhandled, 1);
    CHECK_EQ(unhandled_codes[0], -EIO);
    CHECK_STR(unhandled_msg, "background 5");
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_background_shutdown(WEFT_MSEC(50), 0), 0);
    CHECK_EQ(good.waited, 0);
    CHECK_EQ(unhandled, 1);
    weft_on_unhandled(NULL);
}

TEST(err_06_a_failure_in_the_background_is_in_its_task_and_goes_to_the_hook)
{
    static weft_task task;
    weft_outcome out;
    weft_spawn_opts opts = {.task = &task};
    struct work bad = {.span = WEFT_MSEC(1), .rc = -EIO};
    weft_on_unhandled(notes_unhandled);
    CHECK_EQ(weft_background(works, &bad, &opts), 0);
    CHECK_EQ(weft_join(&task, &out), 0);
    CHECK_EQ(out.status, WEFT_FAILED);
    CHECK_STR(out.err->msg, "background 5");
    CHECK_EQ(unhandled, 1);
    CHECK_STR(unhandled_msg, "background 5");
    weft_on_unhandled(NULL);
}

TEST(err_06_a_foreign_ecanceled_in_the_background_is_a_failure)
{
    int canceled = -ECANCELED;
    weft_on_unhandled(notes_unhandled);
    CHECK_EQ(weft_background(returns, &canceled, NULL), 0);
    settle();
    CHECK_EQ(unhandled, 1);
    CHECK_EQ(unhandled_codes[0], -ECANCELED);
    weft_on_unhandled(NULL);
}

TEST(err_06_failures_while_being_shut_down_go_to_the_hook_and_cancels_do_not)
{
    struct work w[3] = {{.span = WEFT_FOREVER, .spoiled = -EPERM},
                        {.span = WEFT_FOREVER},
                        {.span = WEFT_FOREVER, .spoiled = -EIO}};
    weft_on_unhandled(notes_unhandled);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_background(works, &w[i], NULL), 0);
    }
    CHECK_EQ(weft_background_shutdown(WEFT_MSEC(1), WEFT_MSEC(1)), 0);
    CHECK_EQ(unhandled, 2);
    CHECK_EQ(unhandled_codes[0] + unhandled_codes[1], -EPERM - EIO);
    weft_on_unhandled(NULL);
}

/* ---- shutting down ------------------------------------------------------ */

TEST(bgt_02_a_shutdown_lets_the_work_drain)
{
    struct work w[3] = {
        {.span = WEFT_MSEC(5)}, {.span = WEFT_MSEC(3)}, {.span = 0}};
    weft_time start = weft_now();
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_background(works, &w[i], NULL), 0);
    }
    CHECK_EQ(weft_background_count(), 3);
    CHECK_EQ(weft_background_shutdown(WEFT_MSEC(10), WEFT_MSEC(5)), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5));
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(w[i].waited, 0);
        CHECK_EQ(w[i].ended, 1);
    }
    CHECK_EQ(weft_background_count(), 0);
}

TEST(a_shutdown_of_nothing_is_over_at_once)
{
    weft_time start = weft_now();
    CHECK_EQ(weft_background_shutdown(WEFT_SEC(10), WEFT_SEC(5)), 0);
    CHECK_EQ(weft_background_shutdown(WEFT_FOREVER, WEFT_FOREVER), 0);
    CHECK_EQ(weft_background_shutdown(-1, -1), 0);
    CHECK_EQ(weft_now(), start);
}

TEST(a_shutdown_without_limits_waits_for_the_natural_end)
{
    struct work w = {.span = WEFT_SEC(100000)};
    CHECK_EQ(weft_background(works, &w, NULL), 0);
    CHECK_EQ(weft_background_shutdown(WEFT_FOREVER, -1), 0);
    CHECK_EQ(w.waited, 0);
}

TEST(err_01_what_is_left_after_the_drain_is_cancelled_for_a_shutdown)
{
    struct work slow = {.span = WEFT_FOREVER, .cleanup = WEFT_MSEC(3)};
    struct work quick = {.span = WEFT_MSEC(9)};
    weft_time start = weft_now();
    CHECK_EQ(weft_background(works, &slow, NULL), 0);
    CHECK_EQ(weft_background(works, &quick, NULL), 0);
    CHECK_EQ(weft_background_shutdown(WEFT_MSEC(10), WEFT_MSEC(5)), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(13));
    CHECK_EQ(quick.waited, 0);
    CHECK_EQ(slow.waited, -ECANCELED);
    CHECK_EQ(slow.cancelled_at - start, WEFT_MSEC(10));
    CHECK_EQ(slow.reason.kind, WEFT_R_SHUTDOWN);
    CHECK_EQ(slow.ended, 1);
}

TEST(work_that_ends_in_the_very_last_moment_of_the_drain_is_not_cancelled)
{
    struct work w = {.span = WEFT_MSEC(10)};
    CHECK_EQ(weft_background(works, &w, NULL), 0);
    CHECK_EQ(weft_background_shutdown(WEFT_MSEC(10), WEFT_MSEC(5)), 0);
    CHECK_EQ(w.waited, 0); /* completions come before deadlines */
}

static int shuts_down_without_a_drain(void *arg)
{
    struct work w = {.span = WEFT_FOREVER, .cleanup = WEFT_MSEC(3)};
    weft_time start = weft_now();
    CHECK_EQ(weft_background(works, &w, NULL), 0);
    CHECK_EQ(weft_background_shutdown(*(weft_time *)arg, WEFT_MSEC(5)), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(3));
    CHECK_EQ(w.entered, 1); /* although it had not run before */
    CHECK_EQ(w.cancelled_at, start);
    return 0;
}

TEST_PLAIN(without_a_drain_the_work_is_cancelled_at_once)
{
    static weft_time drains[] = {0, -1, INT64_MIN};
    weft_run_opts o = {.virtual_clock = true};
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_run(shuts_down_without_a_drain, &drains[i], &o), 0);
    }
}

/* One that ends 20 ms after it was cancelled at 10 ms. */
static void leave_one_behind(struct work *w)
{
    weft_spawn_opts opts = {.name = "straggler"};
    *w = (struct work){.span = WEFT_FOREVER, .cleanup = WEFT_MSEC(20)};
    CHECK_EQ(weft_background(works, w, &opts), 0);
    CHECK_EQ(weft_background_shutdown(WEFT_MSEC(10), WEFT_MSEC(5)), 1);
}

TEST(a_shutdown_that_runs_out_of_time_tells_how_many_are_left)
{
    struct work straggler, other = {.span = WEFT_FOREVER};
    weft_time start = weft_now();
    CHECK_EQ(weft_background(works, &other, NULL), 0);
    leave_one_behind(&straggler);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(15));
    CHECK_EQ(other.ended, 1);
    CHECK_EQ(straggler.ended, 0);
    CHECK_EQ(weft_background_count(), 1);

    CHECK_EQ(weft_sleep(WEFT_MSEC(50)), 0); /* it goes on ending by itself */
    CHECK_EQ(straggler.ended, 1);
    CHECK_EQ(straggler.ended_at - start, WEFT_MSEC(30));
    CHECK_EQ(weft_background_shutdown(WEFT_MSEC(10), WEFT_MSEC(5)), 0);
}

TEST(a_shutdown_may_be_called_again_for_those_that_are_left)
{
    struct work w;
    weft_time start = weft_now();
    leave_one_behind(&w);
    CHECK_EQ(weft_background_shutdown(0, WEFT_MSEC(5)), 1);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(20));
    CHECK_EQ(weft_background_shutdown(WEFT_SEC(1), WEFT_SEC(1)), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(30));
    CHECK_EQ(weft_background_shutdown(WEFT_SEC(1), WEFT_SEC(1)), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(30));
    CHECK_EQ(w.reason.kind, WEFT_R_SHUTDOWN);
}

TEST(work_that_ends_in_the_very_last_moment_of_the_grace_is_never_lost)
{
    struct work w = {.span = WEFT_FOREVER, .cleanup = WEFT_MSEC(5)};
    CHECK_EQ(weft_background(works, &w, NULL), 0);
    int left = weft_background_shutdown(WEFT_MSEC(10), WEFT_MSEC(5));
    CHECK_EQ(left, !w.ended); /* it is ready then, and may come just after */
    CHECK_EQ(weft_background_shutdown(-1, 1), 0);
    CHECK_EQ(w.ended, 1);
}

static void takes_20_ms(void *arg)
{
    CHECK_EQ(weft_sleep(WEFT_MSEC(20)), 0);
    *(bool *)arg = true;
}

static int defers_20_ms(void *arg)
{
    CHECK_EQ(weft_defer(takes_20_ms, arg), 0);
    return 0;
}

TEST(work_whose_deferred_functions_still_run_is_left)
{
    bool cleaned = false;
    CHECK_EQ(weft_background(defers_20_ms, &cleaned, NULL), 0);
    CHECK_EQ(weft_background_shutdown(WEFT_MSEC(5), WEFT_MSEC(5)), 1);
    CHECK(!cleaned);
    CHECK_EQ(weft_background_shutdown(WEFT_MSEC(50), WEFT_MSEC(5)), 0);
    CHECK(cleaned);
}

TEST(a_shutdown_without_grace_does_not_wait_for_the_cancelled)
{
    struct work w = {.span = WEFT_FOREVER, .cleanup = WEFT_MSEC(20)};
    weft_time start = weft_now();
    CHECK_EQ(weft_background(works, &w, NULL), 0);
    CHECK_EQ(weft_background_shutdown(WEFT_MSEC(10), -1), 1);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(10));
    CHECK_EQ(weft_background_shutdown(-1, WEFT_SEC(1)), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(30));
}

static void leaves_one_behind_on_stderr(void *arg)
{
    static struct work w;
    (void)arg;
    leave_one_behind(&w);
}

static int main_leaves_one_behind(void *arg)
{
    leaves_one_behind_on_stderr(arg);
    return 0;
}

static const weft_run_opts on_virtual_clock = {.virtual_clock = true};

static void runs_a_straggler(void *arg)
{
    CHECK_EQ(weft_run(main_leaves_one_behind, arg, &on_virtual_clock), 0);
}

TEST_PLAIN(those_left_by_a_shutdown_are_named_with_what_they_wait_for)
{
    static struct ending e;
    run_in_process(runs_a_straggler, NULL, &e);
    CHECK_EQ(e.status, 0);
    const char *line = strstr(e.said, "straggler");
    CHECK(line != NULL);
    CHECK(strstr(e.said, "sleep") != NULL);
    CHECK(!strstr(e.said, "deadlock"));
}

static int tries_the_background(void *arg)
{
    static struct work w;
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    *(int *)arg = weft_background(works, &w, NULL);
    CHECK_EQ(weft_sleep(1), 0);
    CHECK_EQ(w.entered, 0);
    return 0;
}

TEST(bgt_04_a_shutdown_takes_no_more)
{
    int by_another = 1, by_one = 1, rc;
    struct work w = {.span = WEFT_MSEC(8)};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_background(works, &w, NULL), 0);
        CHECK_EQ(weft_background(tries_the_background, &by_one, NULL), 0);
        CHECK_EQ(weft_spawn(&n, tries_the_background, &by_another), 0);
        CHECK_EQ(weft_background_shutdown(WEFT_MSEC(10), WEFT_MSEC(5)), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(by_another, -ESHUTDOWN);
    CHECK_EQ(by_one, -ESHUTDOWN); /* not by those that drain, either */
    CHECK_EQ(weft_background(works, &w, NULL), -ESHUTDOWN);
    CHECK_EQ(weft_background_count(), 0);
    CHECK_EQ(w.entered, 1);
}

static int shuts_down(void *arg)
{
    int *result = arg;
    *result = weft_background_shutdown(WEFT_MSEC(10), WEFT_MSEC(5));
    return 0;
}

TEST(background_work_that_shuts_itself_down_would_wait_for_itself)
{
    int result = 1;
    struct work w = {.span = WEFT_MSEC(5)};
    CHECK_EQ(weft_background(shuts_down, &result, NULL), 0);
    CHECK_EQ(weft_background(works, &w, NULL), 0);
    settle();
    CHECK_EQ(result, -EDEADLK);
    CHECK_EQ(weft_background(works, &w, NULL), 0); /* nothing has happened */
    CHECK_EQ(weft_sleep(WEFT_MSEC(20)), 0);
    CHECK_EQ(w.entered, 2);
    CHECK_EQ(w.waited, 0);
}

struct closer {
    weft_time drain, grace, at;
    int result; /* 1: not there yet */
    weft_scope scope;
};

static int shuts_down_in_time(void *arg)
{
    struct closer *c = arg;
    c->result = 1;
    open_scope(&c->scope);
    c->result = weft_background_shutdown(c->drain, c->grace);
    c->at = weft_now();
    (void)!weft_scope_end(&c->scope, c->result);
    return 0;
}

static void shut_down_together(struct closer c[2])
{
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, shuts_down_in_time, &c[0]), 0);
        CHECK_EQ(weft_spawn(&n, shuts_down_in_time, &c[1]), 0);
    }
    CHECK_EQ(rc, 0);
}

TEST(two_fibers_may_shut_down_at_once)
{
    struct closer c[2] = {{.drain = WEFT_MSEC(10), .grace = WEFT_MSEC(9)},
                          {.drain = WEFT_SEC(1), .grace = WEFT_SEC(1)}};
    struct work w = {.span = WEFT_FOREVER, .cleanup = WEFT_MSEC(3)};
    weft_time start = weft_now();
    CHECK_EQ(weft_background(works, &w, NULL), 0);
    shut_down_together(c);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(c[i].result, 0);
        CHECK_EQ(c[i].at - start, WEFT_MSEC(13));
    }
    CHECK_EQ(w.cancelled_at - start, WEFT_MSEC(10));
}

TEST(each_of_two_shutdowns_keeps_its_own_time)
{
    struct closer c[2] = {{.drain = WEFT_MSEC(10), .grace = WEFT_MSEC(5)},
                          {.drain = WEFT_MSEC(20), .grace = WEFT_MSEC(5)}};
    struct work w = {.span = WEFT_FOREVER, .cleanup = WEFT_MSEC(50)};
    weft_time start = weft_now();
    CHECK_EQ(weft_background(works, &w, NULL), 0);
    shut_down_together(c);
    CHECK_EQ(c[0].result, 1);
    CHECK_EQ(c[0].at - start, WEFT_MSEC(15));
    CHECK_EQ(c[1].result, 1);
    CHECK_EQ(c[1].at - start, WEFT_MSEC(25));
    CHECK_EQ(weft_background_shutdown(0, WEFT_SEC(1)), 0);
    CHECK_EQ(w.ended_at - start, WEFT_MSEC(60));
}

TEST(a_shutdown_cancelled_during_the_drain_has_cancelled_nobody)
{
    struct work w = {.span = WEFT_MSEC(20)}, late = {.span = 1};
    weft_time start = weft_now();
    int rc;
    CHECK_EQ(weft_background(works, &w, NULL), 0);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_background_shutdown(WEFT_MSEC(10), WEFT_MSEC(5));
        CHECK_EQ(rc, -ECANCELED);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5));
    CHECK_EQ(weft_background(works, &late, NULL), -ESHUTDOWN);
    CHECK_EQ(weft_sleep(WEFT_MSEC(10)), 0); /* its drain would be over */
    CHECK_EQ(w.ended, 0);
    CHECK_EQ(weft_background_shutdown(WEFT_MSEC(10), WEFT_MSEC(5)), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(20));
    CHECK_EQ(w.waited, 0);
}

TEST(a_shutdown_cancelled_during_the_grace_says_so)
{
    struct work w = {.span = WEFT_FOREVER, .cleanup = WEFT_MSEC(20)};
    weft_time start = weft_now();
    int rc;
    CHECK_EQ(weft_background(works, &w, NULL), 0);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(15)) {
        rc = weft_background_shutdown(WEFT_MSEC(10), WEFT_MSEC(10));
        CHECK_EQ(rc, -ECANCELED);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(15));
    CHECK_EQ(w.cancelled_at - start, WEFT_MSEC(10));
    CHECK_EQ(weft_background_shutdown(-1, WEFT_MSEC(20)), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(30));
}

TEST(a_shutdown_that_was_over_before_the_cancel_is_over)
{
    struct closer c = {.drain = WEFT_MSEC(10), .grace = WEFT_MSEC(5)};
    struct work w = {.span = WEFT_MSEC(5)};
    int rc;
    CHECK_EQ(weft_background(works, &w, NULL), 0);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, shuts_down_in_time, &c), 0);
        CHECK_EQ(weft_sleep(WEFT_MSEC(6)), 0);
        weft_scope_cancel(&c.scope, -EINTR, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(c.result, 0);
}

TEST(a_shutdown_goes_on_when_another_was_cancelled)
{
    struct closer c[2] = {{.drain = WEFT_MSEC(10), .grace = WEFT_MSEC(5)},
                          {.drain = WEFT_MSEC(20), .grace = WEFT_MSEC(5)}};
    struct work w = {.span = WEFT_FOREVER, .cleanup = WEFT_MSEC(2)};
    weft_time start = weft_now();
    int rc;
    CHECK_EQ(weft_background(works, &w, NULL), 0);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, shuts_down_in_time, &c[0]), 0);
        CHECK_EQ(weft_spawn(&n, shuts_down_in_time, &c[1]), 0);
        CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
        weft_scope_cancel(&c[0].scope, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(c[0].result, -ECANCELED);
    CHECK_EQ(c[0].at - start, WEFT_MSEC(5));
    CHECK_EQ(c[1].result, 0);
    CHECK_EQ(w.cancelled_at - start, WEFT_MSEC(20));
    CHECK_EQ(c[1].at - start, WEFT_MSEC(22));
}

static int cancels_the_closer(void *arg)
{
    struct closer *c = arg;
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    weft_scope_cancel(&c->scope, -EINTR, NULL);
    return 0;
}

TEST_FIFO(a_shutdown_that_was_over_in_the_turn_of_the_cancel_is_over)
{
    struct closer c = {.drain = WEFT_MSEC(10), .grace = WEFT_MSEC(5)};
    struct work w = {.span = WEFT_MSEC(5)};
    int rc;
    CHECK_EQ(weft_background(works, &w, NULL), 0);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, shuts_down_in_time, &c), 0);
        CHECK_EQ(weft_spawn(&n, cancels_the_closer, &c), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(c.result, 0);
}

static void shuts_down_in_a_deferred(void *arg)
{
    *(int *)arg = weft_background_shutdown(WEFT_MSEC(10), WEFT_MSEC(5));
}

static int defers_a_shutdown(void *arg)
{
    CHECK_EQ(weft_defer(shuts_down_in_a_deferred, arg), 0);
    return weft_sleep_until(WEFT_FOREVER);
}

TEST(a_deferred_function_may_shut_the_background_down)
{
    struct work w = {.span = WEFT_FOREVER, .cleanup = WEFT_MSEC(2)};
    int result = 1, rc;
    CHECK_EQ(weft_background(works, &w, NULL), 0);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, defers_a_shutdown, &result), 0);
        settle();
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(result, 0);
    CHECK_EQ(w.ended, 1);
}

static int has_children_of_its_own(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(weft_spawn(&n, works, (struct work *)arg + i), 0);
        }
    }
    return rc;
}

TEST(a_shutdown_reaches_the_children_of_background_work)
{
    struct work w[3] = {{.span = WEFT_FOREVER},
                        {.span = WEFT_FOREVER, .cleanup = WEFT_MSEC(2)},
                        {.span = WEFT_MSEC(4)}};
    weft_time start = weft_now();
    CHECK_EQ(weft_background(has_children_of_its_own, w, NULL), 0);
    CHECK_EQ(weft_background_shutdown(WEFT_MSEC(5), WEFT_MSEC(5)), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(7));
    CHECK_EQ(w[0].waited, -ECANCELED);
    CHECK_EQ(w[0].reason.kind, WEFT_R_SHUTDOWN);
    CHECK_EQ(w[1].ended, 1);
    CHECK_EQ(w[2].waited, 0);
}

static void cleans_up(void *arg)
{
    CHECK_EQ(weft_sleep(WEFT_MSEC(3)), 0);
    *(weft_time *)arg = weft_now();
}

static int defers_and_waits(void *arg)
{
    CHECK_EQ(weft_defer(cleans_up, arg), 0);
    return weft_sleep_until(WEFT_FOREVER);
}

TEST(a_shutdown_waits_for_the_deferred_functions_of_the_work)
{
    weft_time cleaned = 0, start = weft_now();
    CHECK_EQ(weft_background(defers_and_waits, &cleaned, NULL), 0);
    CHECK_EQ(weft_background_shutdown(WEFT_MSEC(5), WEFT_MSEC(5)), 0);
    CHECK_EQ(cleaned - start, WEFT_MSEC(8));
    CHECK_EQ(weft_now() - start, WEFT_MSEC(8));
}

TEST(a_hundred_in_the_background_are_shut_down_together)
{
    static struct work w[100];
    weft_time start = weft_now();
    for (int i = 0; i < 100; i++) {
        w[i].span = i % 2 ? WEFT_FOREVER : WEFT_MSEC(i % 10);
        CHECK_EQ(weft_background(works, &w[i], NULL), 0);
    }
    CHECK_EQ(weft_background_count(), 100);
    CHECK_EQ(weft_background_shutdown(WEFT_MSEC(10), WEFT_MSEC(5)), 0);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(w[i].ended, 1);
    }
    CHECK_EQ(weft_now() - start, WEFT_MSEC(10));
}

static bool daemon_ended;

static int is_a_daemon(void *arg)
{
    (void)arg;
    int rc = weft_sleep_until(WEFT_FOREVER);
    daemon_ended = true;
    return rc;
}

TEST(a_daemon_in_the_background_keeps_nobody)
{
    weft_spawn_opts opts = {.daemon = true};
    CHECK_EQ(weft_background(is_a_daemon, NULL, &opts), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    CHECK(!daemon_ended);
    CHECK_EQ(weft_background_shutdown(WEFT_MSEC(10), WEFT_MSEC(5)), 0);
    CHECK(daemon_ended);
}

/* ---- the end of the run ------------------------------------------------- */

static struct work in_run[3];
static weft_time main_returned;
static int main_result;

/* Starts in_run[0], and more if they have a span, and returns. */
static int starts_and_returns(void *arg)
{
    static const char *const names[] = {"straggler", "obedient", "third"};
    (void)arg;
    for (int i = 0; i < 3; i++) {
        weft_spawn_opts opts = {.name = names[i]};
        if (in_run[i].span == 0) continue;
        CHECK_EQ(weft_background(works, &in_run[i], &opts), 0);
    }
    main_returned = weft_now();
    return main_result;
}

static void run_with(weft_time drain, weft_time grace, int result, int want)
{
    weft_run_opts o = {.virtual_clock = true, .drain = drain, .grace = grace};
    main_result = result;
    CHECK_EQ(weft_run(starts_and_returns, NULL, &o), want);
    CHECK_EQ(weft_background_count(), 0);
}

static void set_works(struct work a, struct work b)
{
    in_run[0] = a;
    in_run[1] = b;
}

TEST_PLAIN(bgt_05_the_result_of_main_comes_after_drain_and_grace)
{
    static const int results[] = {0, 7, -EIO};
    for (int i = 0; i < 3; i++) {
        set_works((struct work){.span = WEFT_MSEC(5)},
                  (struct work){.span = WEFT_FOREVER, .cleanup = WEFT_MSEC(3)});
        run_with(WEFT_MSEC(10), WEFT_MSEC(5), results[i], results[i]);
        CHECK_EQ(in_run[0].waited, 0);
        CHECK_EQ(in_run[0].ended_at - main_returned, WEFT_MSEC(5));
        CHECK_EQ(in_run[1].cancelled_at - main_returned, WEFT_MSEC(10));
        CHECK_EQ(in_run[1].reason.kind, WEFT_R_SHUTDOWN);
        CHECK_EQ(in_run[1].ended_at - main_returned, WEFT_MSEC(13));
    }
}

TEST_PLAIN(drain_and_grace_are_five_seconds_each_if_nothing_is_said)
{
    set_works((struct work){.span = WEFT_MSEC(4999)},
              (struct work){.span = WEFT_FOREVER, .cleanup = WEFT_MSEC(4999)});
    run_with(0, 0, 3, 3);
    CHECK_EQ(in_run[0].waited, 0);
    CHECK_EQ(in_run[1].cancelled_at - main_returned, WEFT_SEC(5));
    CHECK_EQ(in_run[1].ended_at - main_returned, WEFT_MSEC(9999));
}

TEST_PLAIN(without_a_drain_work_that_never_ran_starts_cancelled)
{
    set_works((struct work){.span = WEFT_FOREVER},
              (struct work){.span = WEFT_MSEC(1), .cleanup = WEFT_MSEC(1)});
    run_with(-1, WEFT_SEC(1), 3, 3);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(in_run[i].entered, 1); /* it has taken its argument over */
        CHECK_EQ(in_run[i].waited, -ECANCELED);
        CHECK_EQ(in_run[i].cancelled_at, main_returned);
        CHECK_EQ(in_run[i].ended, 1);
    }
}

TEST_PLAIN(a_long_drain_is_as_long_as_it_says)
{
    set_works((struct work){.span = WEFT_SEC(3599)},
              (struct work){.span = WEFT_SEC(3601)});
    run_with(WEFT_SEC(3600), -1, 0, 0);
    CHECK_EQ(in_run[0].waited, 0);
    CHECK_EQ(in_run[1].waited, -ECANCELED);
    CHECK_EQ(in_run[1].cancelled_at - main_returned, WEFT_SEC(3600));

    set_works((struct work){.span = WEFT_SEC(1000000)},
              (struct work){.span = 0});
    run_with(WEFT_FOREVER, -1, 0, 0);
    CHECK_EQ(in_run[0].waited, 0);
}

static void runs_out_of_grace(void *arg)
{
    (void)arg;
    set_works((struct work){.span = WEFT_FOREVER, .cleanup = WEFT_SEC(100)},
              (struct work){.span = WEFT_FOREVER});
    run_with(WEFT_MSEC(10), WEFT_MSEC(5), -EIO, -EIO);
    CHECK_EQ(in_run[0].ended, 1); /* nothing is abandoned */
    CHECK_EQ(in_run[0].ended_at - main_returned, WEFT_SEC(100) + WEFT_MSEC(10));
}

TEST_PLAIN(the_run_waits_for_those_that_outlast_the_grace_and_names_them)
{
    static struct ending e;
    run_in_process(runs_out_of_grace, NULL, &e);
    if (e.status != 0) CHECK_STR(e.said, "");
    CHECK(strstr(e.said, "straggler") != NULL);
    CHECK(strstr(e.said, "obedient") == NULL); /* has ended */
}

static int shuts_down_and_returns(void *arg)
{
    int rc = starts_and_returns(arg);
    CHECK_EQ(weft_background_shutdown(WEFT_MSEC(10), WEFT_MSEC(5)), 1);
    CHECK_EQ(weft_background(works, &in_run[2], NULL), -ESHUTDOWN);
    return rc;
}

TEST_PLAIN(those_left_by_a_shutdown_are_waited_for_by_the_run)
{
    weft_run_opts o = {.virtual_clock = true};
    set_works((struct work){.span = WEFT_FOREVER, .cleanup = WEFT_SEC(60)},
              (struct work){.span = WEFT_MSEC(1)});
    main_result = 4;
    CHECK_EQ(weft_run(shuts_down_and_returns, NULL, &o), 4);
    CHECK_EQ(in_run[0].ended, 1);
    CHECK_EQ(in_run[0].ended_at - main_returned, WEFT_SEC(60) + WEFT_MSEC(10));
}

static int spawns_late(void *arg)
{
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    *(int *)arg = weft_background(works, &in_run[0], NULL);
    return 0;
}

static int leaves_one_that_spawns_late(void *arg)
{
    return weft_background(spawns_late, arg, NULL);
}

TEST_PLAIN(bgt_04_when_main_has_returned_the_background_takes_no_more)
{
    int result = 1;
    in_run[0] = (struct work){.span = 1};
    CHECK_EQ(weft_run(leaves_one_that_spawns_late, &result, &on_virtual_clock),
             0);
    CHECK_EQ(result, -ESHUTDOWN);
    CHECK_EQ(in_run[0].entered, 0);
}

static int leaves_one_that_fails(void *arg)
{
    CHECK_EQ(weft_background(works, arg, NULL), 0);
    return 3;
}

TEST_PLAIN(err_06_a_failure_after_main_goes_to_the_hook_and_not_to_the_result)
{
    struct work bad = {.span = WEFT_MSEC(5), .rc = -EIO};
    weft_on_unhandled(notes_unhandled);
    CHECK_EQ(weft_run(leaves_one_that_fails, &bad, &on_virtual_clock), 3);
    CHECK_EQ(unhandled, 1);
    CHECK_EQ(unhandled_codes[0], -EIO);
    weft_on_unhandled(NULL);
}

TEST_PLAIN(each_run_has_its_own_background)
{
    for (int i = 0; i < 5; i++) {
        set_works((struct work){.span = WEFT_MSEC(5)},
                  (struct work){.span = WEFT_MSEC(1)});
        run_with(WEFT_MSEC(10), WEFT_MSEC(5), i, i);
        CHECK_EQ(in_run[0].waited, 0);
        CHECK_EQ(in_run[1].ended, 1);
    }
}

static int is_shut_down(void *arg)
{
    (void)starts_and_returns(arg);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(weft_shutdown(main_result), 0);
    int rc = weft_sleep_until(WEFT_FOREVER);
    main_returned = weft_now();
    return rc;
}

/* Whether a shutdown reaches the background at once, or by the drain. */
TEST_PLAIN(a_shutdown_of_the_run_ends_the_background_too)
{
    weft_run_opts o = {
        .virtual_clock = true, .drain = WEFT_MSEC(10), .grace = WEFT_MSEC(5)};
    set_works((struct work){.span = WEFT_FOREVER, .cleanup = WEFT_MSEC(2)},
              (struct work){.span = WEFT_FOREVER});
    main_result = -EINTR;
    CHECK_EQ(weft_run(is_shut_down, NULL, &o), -EINTR);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(in_run[i].ended, 1);
        CHECK_EQ(in_run[i].waited, -ECANCELED);
        CHECK_EQ(in_run[i].reason.kind, WEFT_R_SHUTDOWN);
        CHECK(in_run[i].cancelled_at - main_returned <= WEFT_MSEC(10));
    }
}

static int gets_a_signal(void *arg)
{
    (void)starts_and_returns(arg);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(raise(SIGTERM), 0);
    int rc = weft_sleep_until(WEFT_FOREVER);
    CHECK_EQ(weft_cancel_reason()->kind, WEFT_R_SIGNAL);
    main_returned = weft_now();
    return rc;
}

TEST_PLAIN(a_signal_ends_the_background_too)
{
    weft_run_opts o = {.virtual_clock = true,
                       .handle_signals = true,
                       .drain = WEFT_MSEC(10),
                       .grace = WEFT_MSEC(5)};
    set_works((struct work){.span = WEFT_MSEC(8)},
              (struct work){.span = WEFT_FOREVER, .cleanup = WEFT_MSEC(2)});
    CHECK_EQ(weft_run(gets_a_signal, NULL, &o), 0);
    CHECK_EQ(in_run[0].ended, 1);
    CHECK_EQ(in_run[1].ended, 1);
    CHECK_EQ(in_run[1].waited, -ECANCELED);
    CHECK(in_run[1].cancelled_at - main_returned <= WEFT_MSEC(10));
}

static int raises_after_5_ms(void *arg)
{
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    CHECK_EQ(raise(SIGTERM), 0);
    return works(arg);
}

static int is_signalled_in_its_shutdown(void *arg)
{
    CHECK_EQ(weft_background(raises_after_5_ms, arg, NULL), 0);
    int rc = weft_background_shutdown(WEFT_SEC(10), WEFT_SEC(5));
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(weft_background_count(), 1);
    return rc;
}

TEST_PLAIN(a_signal_ends_the_wait_of_a_shutdown_and_the_run_drains_on)
{
    weft_run_opts o = {.handle_signals = true};
    struct work w = {.span = WEFT_MSEC(150)};
    CHECK_EQ(weft_run(is_signalled_in_its_shutdown, &w, &o), 0);
    CHECK_EQ(w.ended, 1);
    CHECK_EQ(w.waited, 0);
}

static int waits_for_the_signal_of_another(void *arg)
{
    int rc;
    weft_time start = weft_now();
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, raises_after_5_ms, arg), 0);
        rc = weft_sleep(WEFT_SEC(10));
        CHECK_EQ(rc, -ECANCELED);
        CHECK_EQ(weft_now() - start, WEFT_MSEC(5));
    }
    return rc;
}

TEST_PLAIN(a_signal_that_has_come_is_seen_before_the_clock_jumps)
{
    weft_run_opts o = {.virtual_clock = true, .handle_signals = true};
    struct work w = {.span = WEFT_SEC(4)};
    CHECK_EQ(weft_run(waits_for_the_signal_of_another, &w, &o), 0);
}

static int gets_a_signal_in_its_drain(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    CHECK_EQ(raise(SIGTERM), 0);
    int rc = weft_sleep(WEFT_MSEC(20));
    CHECK(rc == 0 || rc == -ECANCELED);
    in_run[0].ended++;
    return rc;
}

static int leaves_one_that_gets_a_signal(void *arg)
{
    CHECK_EQ(weft_background(gets_a_signal_in_its_drain, arg, NULL), 0);
    return 6;
}

TEST_PLAIN(a_signal_during_the_drain_does_not_overwrite_the_result_of_main)
{
    weft_run_opts o = {.virtual_clock = true, .handle_signals = true};
    in_run[0] = (struct work){.span = 0};
    CHECK_EQ(weft_run(leaves_one_that_gets_a_signal, NULL, &o), 6);
    CHECK_EQ(in_run[0].ended, 1);
}

static int shuts_the_run_down_late(void *arg)
{
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    CHECK_EQ(weft_shutdown(-EINTR), 0);
    int rc = weft_sleep(WEFT_MSEC(5));
    in_run[0].ended++;
    (void)arg;
    return rc;
}

static int leaves_one_that_shuts_down(void *arg)
{
    CHECK_EQ(weft_background(shuts_the_run_down_late, NULL, NULL), 0);
    return *(int *)arg;
}

TEST_PLAIN(a_shutdown_during_the_drain_is_not_what_ended_main)
{
    int results[] = {0, 6, -EIO, -ECANCELED};
    for (int i = 0; i < 4; i++) {
        in_run[0] = (struct work){.span = 0};
        CHECK_EQ(weft_run(leaves_one_that_shuts_down, &results[i],
                          &on_virtual_clock),
                 results[i]);
        CHECK_EQ(in_run[0].ended, 1);
    }
}

static int gets_a_signal_late(void *arg)
{
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    CHECK_EQ(raise(SIGTERM), 0);
    (void)!weft_sleep(WEFT_MSEC(5));
    if (*(bool *)arg) CHECK_EQ(raise(SIGTERM), 0);
    in_run[0].ended++;
    return 0;
}

static bool twice;

static int fails_and_leaves_one_that_gets_a_signal(void *arg)
{
    CHECK_EQ(weft_background(gets_a_signal_late, &twice, NULL), 0);
    return *(int *)arg;
}

TEST_PLAIN(a_signal_during_the_drain_is_not_what_ended_main)
{
    int results[] = {0, 6, -EIO, -ECANCELED};
    weft_run_opts o = {.virtual_clock = true, .handle_signals = true};
    for (int i = 0; i < 4; i++) {
        in_run[0] = (struct work){.span = 0};
        CHECK_EQ(
            weft_run(fails_and_leaves_one_that_gets_a_signal, &results[i], &o),
            results[i]);
        CHECK_EQ(in_run[0].ended, 1);
    }
}

static void gets_two_signals(void *arg)
{
    weft_run_opts o = {.virtual_clock = true, .handle_signals = true};
    twice = true;
    (void)!weft_run(fails_and_leaves_one_that_gets_a_signal, arg, &o);
}

TEST_PLAIN(the_second_signal_ends_the_process_during_the_drain_too)
{
    static struct ending e;
    run_in_process(gets_two_signals, &(int){0}, &e);
    CHECK_EQ(e.signal, SIGTERM);
}

static int waits_for_nothing(void *arg)
{
    static weft_event never;
    int rc = weft_event_wait(&never);
    ++*(unsigned *)arg;
    return rc;
}

static int leaves_one_that_waits_for_nothing(void *arg)
{
    CHECK_EQ(weft_background(waits_for_nothing, arg, NULL), 0);
    return weft_sleep(WEFT_MSEC(1));
}

static void runs_with_one_that_waits_for_nothing(void *arg)
{
    unsigned ended = 0;
    (void)arg;
    CHECK_EQ(
        weft_run(leaves_one_that_waits_for_nothing, &ended, &on_virtual_clock),
        0);
    CHECK_EQ(ended, 1);
}

TEST_PLAIN(background_work_that_waits_for_nothing_is_ended_by_the_drain)
{
    static struct ending e;
    run_in_process(runs_with_one_that_waits_for_nothing, NULL, &e);
    CHECK_STR(e.said, ""); /* no deadlock: the drain has an end */
    CHECK_EQ(e.status, 0);
}

static int waits_for_nothing_too(void *arg)
{
    static weft_event never;
    CHECK_EQ(weft_background(waits_for_nothing, arg, NULL), 0);
    return weft_event_wait(&never);
}

static void runs_into_a_deadlock(void *arg)
{
    unsigned ended = 0;
    (void)arg;
    CHECK_EQ(weft_run(waits_for_nothing_too, &ended, &on_virtual_clock),
             -EDEADLK);
    CHECK_EQ(ended, 1);
}

TEST_PLAIN(background_work_does_not_hide_a_deadlock)
{
    static struct ending e;
    run_in_process(runs_into_a_deadlock, NULL, &e);
    CHECK_EQ(e.status, 0);
    CHECK(strstr(e.said, "deadlock") != NULL);
}

static void waits_without_any_limit(void *arg)
{
    unsigned ended = 0;
    weft_run_opts o = {.virtual_clock = true, .drain = WEFT_FOREVER};
    (void)arg;
    (void)!weft_run(leaves_one_that_waits_for_nothing, &ended, &o);
}

TEST_PLAIN(a_drain_without_end_does_not_hide_a_deadlock)
{
    static struct ending e;
    run_in_process(waits_without_any_limit, NULL, &e);
    CHECK(strstr(e.said, "deadlock") != NULL);
}

static weft_mutex locks[2];

static int locks_both(void *arg)
{
    weft_mutex *first = arg, *second = &locks[first == &locks[0]];
    int rc = weft_mutex_lock(first);
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_sleep(1), 0);
    rc = weft_mutex_lock(second);
    CHECK_EQ(weft_mutex_unlock(first), 0);
    if (rc == 0) CHECK_EQ(weft_mutex_unlock(second), 0);
    in_run[0].ended++;
    return rc;
}

static int leaves_a_circle(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weft_background(locks_both, &locks[i], NULL), 0);
    }
    return 0;
}

TEST_PLAIN(a_circle_in_a_drain_without_end_is_broken)
{
    weft_run_opts o = {.virtual_clock = true, .drain = WEFT_FOREVER};
    in_run[0] = (struct work){.span = 0};
    CHECK_EQ(weft_run(leaves_a_circle, NULL, &o), 0);
    CHECK_EQ(in_run[0].ended, 2);
}

static weft_event *gate;

static int cannot_be_cancelled(void *arg)
{
    int rc;
    (void)arg;
    WEFT_SHIELD(rc, WEFT_FOREVER)
        rc = weft_event_wait(gate);
    return rc;
}

static int leaves_a_knot(void *arg)
{
    weft_spawn_opts opts = {.name = "gordian"};
    return weft_background(cannot_be_cancelled, arg, &opts);
}

static void runs_a_knot(void *arg)
{
    static weft_event never;
    gate = &never;
    (void)!weft_run(leaves_a_knot, arg, &on_virtual_clock);
}

TEST_PLAIN(background_work_that_nothing_can_end_is_named_and_reported)
{
    static struct ending e;
    run_in_process(runs_a_knot, NULL, &e);
    CHECK(strstr(e.said, "gordian") != NULL);
    CHECK(strstr(e.said, "deadlock") != NULL);
}

static int main_waits_for_the_background(void *arg)
{
    static weft_event done;
    gate = &done;
    (void)arg;
    CHECK_EQ(weft_background(cannot_be_cancelled, NULL, NULL), 0);
    CHECK_EQ(weft_sleep(WEFT_SEC(60)), 0); /* a parked one is no deadlock */
    weft_event_set(&done);
    CHECK_EQ(weft_background_shutdown(WEFT_SEC(1), 0), 0);
    return 0;
}

TEST_PLAIN(parked_background_work_is_no_deadlock_while_main_sleeps)
{
    CHECK_EQ(weft_run(main_waits_for_the_background, NULL, &on_virtual_clock),
             0);
}

/* What main has deferred comes after the background. */
static void looks_at_the_background(void *arg)
{
    CHECK_EQ(in_run[0].ended, 1);
    CHECK_EQ(weft_background_count(), 0);
    *(int *)arg = weft_background(works, &in_run[1], NULL);
    CHECK_EQ(weft_background_shutdown(WEFT_SEC(1), WEFT_SEC(1)), 0);
    CHECK_EQ(weft_sleep(WEFT_SEC(4)), 0); /* its grace is its own */
}

static int defers_a_look(void *arg)
{
    CHECK_EQ(weft_defer(looks_at_the_background, arg), 0);
    CHECK_EQ(weft_background(works, &in_run[0], NULL), 0);
    return 2;
}

TEST_PLAIN(what_main_has_deferred_comes_after_the_background)
{
    static const struct work kinds[] = {
        {.span = WEFT_SEC(4)},
        {.span = WEFT_FOREVER, .cleanup = WEFT_SEC(4)},
        {.span = WEFT_FOREVER, .cleanup = WEFT_SEC(400)}};
    for (int i = 0; i < 3; i++) {
        int result = 1;
        in_run[0] = kinds[i];
        in_run[1] = (struct work){.span = 0};
        CHECK_EQ(weft_run(defers_a_look, &result, &on_virtual_clock), 2);
        CHECK_EQ(result, -ESHUTDOWN);
        CHECK_EQ(in_run[1].entered, 0);
    }
}

static int shuts_down_from_below(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc)
        rc = weft_spawn(&n, shuts_down, arg);
    in_run[0].ended++;
    return rc;
}

TEST(a_shutdown_by_a_child_of_background_work_hangs_nobody)
{
    int result = 1;
    in_run[0] = (struct work){.span = 0};
    CHECK_EQ(weft_background(shuts_down_from_below, &result, NULL), 0);
    CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
    CHECK(result == -EDEADLK || result == -ECANCELED || result > 0);
    CHECK_EQ(weft_background_shutdown(0, WEFT_SEC(1)), 0);
    CHECK_EQ(in_run[0].ended, 1);
}

static int works_really(void *arg)
{
    int rc = weft_sleep(WEFT_MSEC(20));
    ++*(unsigned *)arg;
    return rc;
}

static int leaves_some_work(void *arg)
{
    return weft_background(works_really, arg, NULL);
}

TEST_PLAIN(the_background_drains_on_the_real_clock_too)
{
    unsigned ended = 0;
    weft_run_opts o = {.drain = WEFT_SEC(5)};
    CHECK_EQ(weft_run(leaves_some_work, &ended, &o), 0);
    CHECK_EQ(ended, 1);
    o.drain = -1;
    CHECK_EQ(weft_run(leaves_some_work, &ended, &o), 0);
    CHECK_EQ(ended, 2);
}

static int computes_and_leaves_some_work(void *arg)
{
    in_run[0] = (struct work){.span = WEFT_MSEC(1)};
    CHECK_EQ(weft_background(works, &in_run[0], NULL), 0);
    burn(WEFT_MSEC(400));
    if (*(bool *)arg) {
        CHECK_EQ(weft_background_shutdown(WEFT_MSEC(300), WEFT_SEC(1)), 0);
    }
    return 0;
}

TEST_PLAIN(a_long_computation_takes_nothing_from_the_drain)
{
    weft_run_opts o = {.drain = WEFT_MSEC(300)};
    bool by_call[] = {false, true};
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weft_run(computes_and_leaves_some_work, &by_call[i], &o), 0);
        CHECK_EQ(in_run[0].waited, 0);
        CHECK_EQ(in_run[0].ended, 1);
    }
}

#ifdef WEFT_HOSTILE
static int starts_without_memory(void *arg)
{
    static struct work w[4];
    static int value;
    int failed = 0, started = 0;
    (void)arg;
    failed += weft_local_push(&counted, &value) < 0;
    for (int i = 0; i < 4; i++) {
        w[i] = (struct work){.span = 1};
        int err = weft_background(works, &w[i], NULL);
        CHECK(err == 0 || err == -ENOMEM);
        failed += err < 0;
        started += err == 0;
        CHECK_EQ(weft_background_count(), started);
    }
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    for (int i = 0; i < 4; i++) {
        started -= (int)w[i].ended;
    }
    CHECK_EQ(started, 0);
    CHECK_EQ(weft_background_shutdown(WEFT_MSEC(1), WEFT_MSEC(1)), 0);
    return failed ? -ENOMEM : 0;
}

static unsigned told;

static void counts_told(const weft_error *e)
{
    CHECK_EQ(e->code, -EIO);
    told++;
}

/* A failure is told of even if there is no memory for its record. */
static int fails_without_memory(void *arg)
{
    static int bad = -EIO;
    unsigned started = 0;
    (void)arg;
    weft_on_unhandled(counts_told);
    for (int i = 0; i < 10; i++) {
        started += weft_background(returns, &bad, NULL) == 0;
    }
    CHECK_EQ(weft_sleep(1), 0);
    weft_on_unhandled(NULL);
    CHECK_EQ(told, started);
    return started < 10 ? -ENOMEM : 0;
}

TEST_PLAIN(err_06_failures_in_the_background_are_told_of_without_memory)
{
    fail_each(fails_without_memory, WF_CALL_ALLOC);
}

TEST_PLAIN(background_work_without_memory_says_so_and_does_not_start)
{
    fail_each(starts_without_memory, WF_CALL_ALLOC);
    fail_each(starts_without_memory, WF_CALL_MMAP);
}
#endif
