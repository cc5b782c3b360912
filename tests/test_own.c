/* SPDX-License-Identifier: MIT */
/* test_own.c - what a nursery owns is closed with it, once. */
#include <weft/cleanup.h>
#include <weft/error.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <string.h>

#include "burn.h"
#include "chance.h"
#include "errors.h"
#include "fibers.h"
#include "harness.h"
#include "open.h"
#include "process.h"
#include "said.h"
#include "settle.h"
#include "starve.h"
#include "sweep.h"
#include "unhandled.h"

/* An object that is closed by waiting. */
struct object {
    const char *name;
    weft_time span;
    int code;           /* what its closer returns, if below 0 */
    int result;         /* of the wait */
    weft_time from, to; /* of the wait */
    unsigned times;
    bool cancelled_before, cancelled_after;
    weft_fiber *fiber;
};

static int closes(void *arg)
{
    struct object *o = arg;
    o->times++;
    o->fiber = weft_self();
    o->cancelled_before = weft_cancelled();
    o->from = weft_now();
    if (o->span) o->result = weft_sleep(o->span);
    o->to = weft_now();
    o->cancelled_after = weft_cancelled();
    if (o->name) say(o->name);
    if (o->code < 0) return weft_fail(o->code, "close %s", o->name);
    return o->code;
}

static void own_all(weft_nursery *n, struct object *o, int count)
{
    for (int i = 0; i < count; i++) {
        CHECK_EQ(weft_own(n, closes, &o[i], NULL), 0);
    }
}

/* ---- order and results -------------------------------------------------- */

TEST(cln_02_closers_run_last_first_after_the_children_and_all_of_them)
{
    weft_nursery n;
    struct object o[3] = {
        {.name = "1", .code = -EIO}, {.name = "2"}, {.name = "3", .code = -11}};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    own_all(&n, o, 3);
    CHECK_EQ(weft_spawn(&n, says, "child"), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -11);
    CHECK_STR(said, "child321");
    CHECK_ERRORS(-11, -EIO);
    CHECK_STR(weft_last_error()->msg, "close 3");
    CHECK_STR(weft_last_error()->next->msg, "close 1");
    CHECK_EQ(weft_checkpoint(), 0);
}

TEST(closers_run_in_the_fiber_that_closes)
{
    weft_nursery n;
    struct object o = {.name = "1"};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    own_all(&n, &o, 1);
    CHECK_EQ(weft_nursery_close(&n, 7), 7);
    CHECK_PTR(o.fiber, weft_self());
    CHECK_EQ(o.times, 1);
}

static int ends_slowly(void *arg)
{
    int rc = weft_sleep_until(WEFT_FOREVER), cleanup;
    WEFT_SHIELD(cleanup, WEFT_FOREVER)
        cleanup = weft_sleep(WEFT_MSEC(10));
    CHECK_EQ(cleanup, 0);
    say(arg);
    return rc;
}

TEST(closers_wait_for_slow_children_and_for_daemons)
{
    weft_nursery n;
    weft_spawn_opts as_daemon = {.daemon = true};
    struct object o = {.name = "closed"};
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    own_all(&n, &o, 1);
    CHECK_EQ(weft_spawn_ex(&n, ends_slowly, "daemon", &as_daemon), 0);
    settle();
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_STR(said, "daemonclosed");
    CHECK_EQ(o.from - start, WEFT_MSEC(10) + 1);
}

TEST(inner_nurseries_close_what_they_own_first)
{
    int rc, inner_rc;
    struct object a = {.name = "a"}, b = {.name = "b"};
    WEFT_NURSERY(outer, rc) {
        own_all(&outer, &a, 1);
        WEFT_NURSERY(inner, inner_rc)
            own_all(&inner, &b, 1);
        CHECK_EQ(inner_rc, 0);
        CHECK_STR(said, "b");
    }
    CHECK_EQ(rc, 0);
    CHECK_STR(said, "ba");
}

TEST(what_is_owned_twice_is_closed_twice)
{
    weft_nursery n;
    struct object o = {.name = "x"};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    own_all(&n, &o, 1);
    own_all(&n, &o, 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(o.times, 2);
}

static unsigned long next_number;

static int counts_down(void *arg)
{
    CHECK_EQ((uintptr_t)arg, --next_number);
    return 0;
}

TEST(thousands_of_closers_keep_their_order)
{
    weft_nursery n;
    next_number = 5000;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (uintptr_t i = 0; i < 5000; i++) {
        CHECK_EQ(weft_own(&n, counts_down, (void *)i, NULL), 0);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(next_number, 0);
}

TEST(the_oldest_of_very_many_are_taken_back_as_fast_as_the_latest)
{
    enum { MANY = 100000 };
    static weft_owned all[MANY];
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(weft_own(&n, says, "x", &all[i]), 0);
    }
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(weft_disown(all[i], false), 0);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_STR(said, "");
}

TEST(errors_are_in_the_order_children_body_closers)
{
    weft_nursery n;
    struct object o[3] = {
        {.name = "1", .code = -61}, {.name = "2"}, {.name = "3", .code = -63}};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    own_all(&n, o, 3);
    CHECK_EQ(weft_spawn(&n, returns, &(int){-51}), 0);
    CHECK_EQ(weft_sleep(1), -ECANCELED);
    CHECK_EQ(weft_nursery_close(&n, -52), -51);
    CHECK_ERRORS(-51, -52, -63, -61);
}

TEST(the_failures_of_closers_count_among_the_sixteen)
{
    weft_nursery n;
    struct object o[20];
    unsigned kept = 0;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 20; i++) {
        o[i] = (struct object){.code = -100 - i};
    }
    own_all(&n, o, 20);
    CHECK_EQ(weft_nursery_close(&n, 0), -119);
    for (const weft_error *e = weft_last_error(); e; e = e->next) {
        CHECK_EQ(e->code, -119 + (int)kept++);
    }
    CHECK_EQ(kept, 16);
    CHECK_EQ(weft_last_error()->dropped, 4);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(o[i].times, 1);
    }
}

TEST(a_positive_result_of_a_closer_is_no_failure)
{
    weft_nursery n;
    struct object o = {.code = 5};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    own_all(&n, &o, 1);
    CHECK_EQ(weft_nursery_close(&n, 2), 2);
}

TEST(a_failing_closer_beats_the_success_of_the_body)
{
    weft_nursery n;
    struct object o = {.code = -EIO};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    own_all(&n, &o, 1);
    CHECK_EQ(weft_spawn(&n, returns, &(int){3}), 0);
    CHECK_EQ(weft_nursery_close(&n, 7), -EIO);
}

TEST(a_failing_closer_comes_after_the_failure_of_the_body)
{
    weft_nursery n;
    struct object o = {.code = -EIO};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    own_all(&n, &o, 1);
    CHECK_EQ(weft_nursery_close(&n, -EPERM), -EPERM);
    CHECK_ERRORS(-EPERM, -EIO);
}

TEST(a_failing_closer_beats_a_cancellation_from_outside)
{
    weft_nursery n;
    weft_scope s;
    struct object o = {.span = 1, .code = -EIO}, fine = {.span = 1};
    for (int i = 0; i < 2; i++) {
        open_scope(&s);
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        own_all(&n, i ? &fine : &o, 1);
        CHECK_EQ(weft_spawn(&n, waits_for_ever, NULL), 0);
        settle();
        weft_scope_cancel(&s, -EINTR, NULL);
        int rc = weft_nursery_close(&n, -ECANCELED);
        CHECK_EQ(rc, i ? -ECANCELED : -EIO);
        CHECK_EQ(weft_scope_end(&s, rc), i ? -EINTR : -EIO);
    }
    CHECK_EQ(o.result, 0);
}

TEST(a_failing_closer_beats_a_cancellation_from_inside)
{
    weft_nursery n;
    struct object o = {.span = 1, .code = -EIO}, fine = {.span = 1};
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        own_all(&n, i ? &fine : &o, 1);
        CHECK_EQ(weft_spawn(&n, waits_for_ever, NULL), 0);
        settle();
        weft_nursery_cancel(&n, -EINTR, NULL);
        CHECK_EQ(weft_nursery_close(&n, 0), i ? -EINTR : -EIO);
    }
}

TEST(a_failing_closer_is_a_failure_under_every_policy)
{
    static const weft_policy policies[] = {WEFT_FAIL_FAST, WEFT_COLLECT,
                                           WEFT_SUPERVISE};
    for (int i = 0; i < 3; i++) {
        weft_nursery n;
        weft_nursery_opts opts = {.policy = policies[i]};
        struct object o = {.code = -EIO};
        CHECK_EQ(weft_nursery_open(&n, &opts), 0);
        own_all(&n, &o, 1);
        CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    }
}

TEST(a_closers_failure_does_not_go_to_the_hook_as_well)
{
    weft_nursery n;
    weft_nursery_opts opts = {.policy = WEFT_SUPERVISE};
    struct object o = {.code = -EIO};
    weft_on_unhandled(note_unhandled);
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    own_all(&n, &o, 1);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    CHECK_EQ(unhandled, 0);
    weft_on_unhandled(NULL);
}

/* ---- when --------------------------------------------------------------- */

TEST(cln_03_what_a_closed_nursery_gets_is_closed_at_once)
{
    weft_nursery n;
    weft_owned owned;
    struct object o = {.name = "x", .code = -EIO};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_own(&n, closes, &o, &owned), -ESHUTDOWN);
    CHECK_EQ(o.times, 1);
    CHECK_EQ(weft_own(&n, closes, &o, NULL), -ESHUTDOWN);
    CHECK_EQ(o.times, 2);
}

TEST(err_06_the_failure_of_a_closer_called_at_once_goes_to_the_hook)
{
    weft_nursery n;
    struct object bad = {.code = -EIO}, good = {.code = 0};
    weft_on_unhandled(note_unhandled);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_own(&n, closes, &good, NULL), -ESHUTDOWN);
    CHECK_EQ(unhandled, 0);
    CHECK_EQ(weft_own(&n, closes, &bad, NULL), -ESHUTDOWN);
    CHECK_EQ(unhandled, 1);
    CHECK_EQ(unhandled_code, -EIO);
    weft_on_unhandled(NULL);
}

TEST(cln_03_what_a_closed_nursery_gets_is_closed_behind_a_shield)
{
    weft_nursery n;
    weft_scope s;
    struct object o = {.span = WEFT_MSEC(3)};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    open_cancelled_scope(&s);
    CHECK_EQ(weft_own(&n, closes, &o, NULL), -ESHUTDOWN);
    CHECK_EQ(o.result, 0);
    CHECK_EQ(o.to - o.from, WEFT_MSEC(3));
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), 0);
}

TEST_PLAIN(outside_a_fiber_what_is_owned_is_closed_at_once)
{
    static weft_nursery n;
    struct object o = {.name = "x"};
    CHECK_EQ(weft_own(&n, closes, &o, NULL), -EPERM);
    CHECK_EQ(o.times, 1);
}

static int gives_a_closer(void *arg)
{
    static struct object late = {.name = "late"};
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0); /* the body is over */
    CHECK_EQ(weft_own(arg, closes, &late, NULL), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    CHECK_EQ(late.times, 0);
    say("child");
    return 0;
}

TEST(a_child_may_give_its_nursery_something_while_it_closes)
{
    weft_nursery n;
    struct object o = {.name = "early"};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    own_all(&n, &o, 1);
    CHECK_EQ(weft_spawn(&n, gives_a_closer, &n), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_STR(said, "childlateearly");
}

static int gives_when_cancelled(void *arg)
{
    static struct object late = {.name = "late", .span = 1};
    int rc = weft_sleep_until(WEFT_FOREVER);
    CHECK_EQ(weft_own(arg, closes, &late, NULL), 0);
    return rc;
}

TEST(a_cancelled_child_may_give_its_nursery_something)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, gives_when_cancelled, &n), 0);
    settle();
    CHECK_EQ(weft_nursery_close(&n, -EIO), -EIO);
    CHECK_STR(said, "late");
}

struct giver {
    weft_nursery *n;
    struct object *o;
    weft_time after;
    int result;
};

static int gives_to_another(void *arg)
{
    struct giver *g = arg;
    CHECK_EQ(weft_sleep(g->after), 0);
    g->result = weft_own(g->n, closes, g->o, NULL);
    CHECK(g->result == 0 || g->result == -ESHUTDOWN);
    if (g->result < 0) CHECK_EQ(g->o->times, 1);
    return 0;
}

TEST(any_fiber_may_give_a_nursery_something)
{
    weft_nursery others, n;
    struct object o = {.name = "given"};
    struct giver g = {&n, &o, 1, 1};
    CHECK_EQ(weft_nursery_open(&others, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&others, gives_to_another, &g), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(g.result, 0);
    CHECK_EQ(o.times, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(o.times, 1);
    CHECK_EQ(weft_nursery_close(&others, 0), 0);
}

TEST(what_comes_from_elsewhere_while_closers_run_is_closed_once)
{
    weft_nursery others, n;
    struct object slow = {.name = "slow", .span = WEFT_MSEC(10)};
    struct object o = {.name = "given"};
    struct giver g = {&n, &o, WEFT_MSEC(5), 1};
    CHECK_EQ(weft_nursery_open(&others, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    own_all(&n, &slow, 1);
    CHECK_EQ(weft_spawn(&others, gives_to_another, &g), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(o.times, 1);
    CHECK_EQ(slow.times, 1);
    CHECK_EQ(weft_nursery_close(&others, 0), 0);
}

TEST(a_close_that_is_refused_closes_nothing)
{
    weft_nursery n;
    weft_scope s;
    struct object o = {.name = "x"};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    own_all(&n, &o, 1);
    open_scope(&s);
    CHECK_EQ(weft_nursery_close(&n, -EIO), -EBUSY);
    CHECK_EQ(o.times, 0);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -ESHUTDOWN);
    CHECK_EQ(o.times, 1);
}

/* ---- shield and grace --------------------------------------------------- */

TEST(cln_04_a_closer_may_wait_when_the_scope_around_has_expired)
{
    weft_nursery n;
    weft_scope s;
    struct object o = {.span = WEFT_MSEC(3)};
    weft_time start = weft_now();
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin_after(&s, WEFT_MSEC(5), WEFT_FAIL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    own_all(&n, &o, 1);
    int rc = weft_nursery_close(&n, weft_sleep_until(WEFT_FOREVER));
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(o.result, 0);
    CHECK(!o.cancelled_before && !o.cancelled_after);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(8));
    CHECK_EQ(weft_scope_end(&s, rc), -ETIMEDOUT);
}

TEST(cln_04_the_nurserys_own_cancel_is_hidden_from_its_closers)
{
    weft_nursery n;
    struct object o = {.span = WEFT_MSEC(3)};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    own_all(&n, &o, 1);
    weft_nursery_cancel(&n, -EINTR, NULL);
    CHECK_EQ(weft_nursery_close(&n, weft_checkpoint()), -EINTR);
    CHECK_EQ(o.result, 0);
    CHECK(!o.cancelled_before);
}

TEST(cln_04_a_failure_is_hidden_from_the_closers)
{
    weft_nursery n;
    struct object o = {.span = WEFT_MSEC(3)};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    own_all(&n, &o, 1);
    CHECK_EQ(weft_spawn(&n, returns, &(int){-EIO}), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    CHECK_EQ(o.result, 0);
}

struct canceller {
    weft_scope *scope;
    weft_nursery *n;
};

static int cancels_after_5_ms(void *arg)
{
    struct canceller *c = arg;
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    weft_scope_cancel(c->scope, -EINTR, NULL);
    if (c->n) weft_nursery_cancel(c->n, -EPERM, NULL);
    return 0;
}

TEST(a_cancel_that_comes_while_closers_run_changes_nothing)
{
    weft_nursery others, n;
    weft_scope s;
    struct object o[2] = {{.span = WEFT_MSEC(10)}, {.span = WEFT_MSEC(10)}};
    struct canceller c = {&s, &n};
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&others, NULL), 0);
    CHECK_EQ(weft_spawn(&others, cancels_after_5_ms, &c), 0);
    open_scope(&s);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    own_all(&n, o, 2);
    CHECK_EQ(weft_nursery_close(&n, 9), 9);
    CHECK_EQ(o[0].result, 0);
    CHECK_EQ(o[1].result, 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(20));
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, 9), 9);
    CHECK_EQ(weft_nursery_close(&others, 0), 0);
}

TEST(the_deadline_of_a_nursery_is_hidden_from_its_closers)
{
    weft_nursery n;
    struct object o = {.span = WEFT_MSEC(10)};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    own_all(&n, &o, 1);
    weft_scope_set_deadline(weft_nursery_scope(&n), weft_after(WEFT_MSEC(5)));
    CHECK_EQ(weft_nursery_close(&n, 4), 4);
    CHECK_EQ(o.result, 0);
    CHECK(!o.cancelled_after);
    CHECK_EQ(weft_deadline(), WEFT_FOREVER);
}

static struct object *to_be_given;

static int gives_it(void *arg)
{
    own_all(arg, to_be_given, 1);
    return 0;
}

TEST(a_deadline_that_stopped_the_children_does_not_stop_the_closers)
{
    weft_nursery n;
    struct object o = {.span = WEFT_MSEC(10)};
    to_be_given = &o;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_scope_set_deadline(weft_nursery_scope(&n), weft_after(WEFT_MSEC(5)));
    CHECK_EQ(weft_spawn(&n, gives_it, &n), 0);
    CHECK_EQ(weft_spawn(&n, waits_for_ever, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(o.result, 0);
}

TEST(a_deadline_later_than_the_close_is_forgotten)
{
    struct object o = {.span = WEFT_MSEC(1)};
    for (int i = 0; i < 3; i++) {
        weft_nursery n;
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        own_all(&n, &o, 1);
        weft_scope_set_deadline(weft_nursery_scope(&n),
                                weft_after(WEFT_MSEC(20)));
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        memset(&n, 0xa5, sizeof n);
        CHECK_EQ(weft_sleep(WEFT_MSEC(50)), 0);
    }
}

static int sets_a_deadline(void *arg)
{
    weft_nursery *n = arg;
    weft_scope_set_deadline(weft_nursery_scope(n), weft_after(WEFT_MSEC(1)));
    CHECK_EQ(weft_sleep(WEFT_USEC(500)), 0);
    return 0;
}

static int sets_a_deadline_and_waits(void *arg)
{
    CHECK_EQ(sets_a_deadline(arg), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0); /* it is over, and hidden */
    return 0;
}

TEST(a_deadline_that_a_closer_sets_ends_with_the_nursery)
{
    int (*const closers[])(void *) = {sets_a_deadline,
                                      sets_a_deadline_and_waits};
    for (int i = 0; i < 2; i++) {
        weft_nursery n;
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        CHECK_EQ(weft_own(&n, closers[i], &n, NULL), 0);
        CHECK_EQ(weft_nursery_close(&n, 6), 6);
        memset(&n, 0xa5, sizeof n);
        CHECK_EQ(weft_sleep(WEFT_MSEC(50)), 0);
        CHECK_EQ(weft_deadline(), WEFT_FOREVER);
    }
}

static int close_with_grace(weft_time grace, struct object *o, int count)
{
    weft_nursery n;
    weft_nursery_opts opts = {.cleanup_grace = grace};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    own_all(&n, o, count);
    return weft_nursery_close(&n, 0);
}

TEST(the_grace_is_for_all_closers_and_the_rest_still_run)
{
    struct object o[4] = {{.name = "1", .span = 1},
                          {.name = "2", .span = WEFT_MSEC(6)},
                          {.name = "3", .span = WEFT_MSEC(6)},
                          {.name = "4"}};
    CHECK_EQ(close_with_grace(WEFT_MSEC(10), o, 4), 0);
    CHECK_STR(said, "4321");
    CHECK_EQ(o[2].result, 0);
    CHECK_EQ(o[1].result, -ECANCELED);
    CHECK_EQ(o[1].to - o[3].from, WEFT_MSEC(10));
    CHECK(!o[1].cancelled_before && o[1].cancelled_after);
    CHECK_EQ(o[0].result, -ECANCELED);
    CHECK_EQ(o[0].to - o[3].from, WEFT_MSEC(10));
}

TEST(the_grace_of_closers_is_five_seconds_if_nothing_is_said)
{
    struct object o[2] = {{.span = 1}, {.span = WEFT_FOREVER}};
    weft_time start = weft_now();
    CHECK_EQ(close_with_grace(0, o, 2), 0);
    CHECK_EQ(weft_now() - start, WEFT_SEC(5));
    CHECK_EQ(o[1].result, -ECANCELED);
    CHECK_EQ(o[0].result, -ECANCELED);
}

TEST(without_any_grace_closers_run_and_do_not_wait)
{
    struct object o[2] = {{.name = "1", .span = 1},
                          {.name = "2", .span = WEFT_FOREVER}};
    weft_time start = weft_now();
    CHECK_EQ(close_with_grace(-1, o, 2), 0);
    CHECK_STR(said, "21");
    CHECK_EQ(weft_now(), start);
    CHECK_EQ(o[1].result, -ECANCELED);
    CHECK_EQ(o[0].result, -ECANCELED);
}

TEST(a_long_grace_of_closers_is_as_long_as_it_says)
{
    struct object o[2] = {{.span = WEFT_SEC(100)}, {.span = WEFT_SEC(3599)}};
    weft_time start = weft_now();
    CHECK_EQ(close_with_grace(WEFT_SEC(3600), o, 2), 0);
    CHECK_EQ(weft_now() - start, WEFT_SEC(3600));
    CHECK_EQ(o[1].result, 0);
    CHECK_EQ(o[0].result, -ECANCELED);

    CHECK_EQ(close_with_grace(WEFT_FOREVER, o, 2), 0);
    CHECK_EQ(o[1].result, 0);
    CHECK_EQ(o[0].result, 0);
}

TEST(the_wait_for_the_children_takes_nothing_from_the_grace)
{
    weft_nursery n;
    weft_nursery_opts opts = {.cleanup_grace = WEFT_MSEC(8)};
    struct object o = {.span = WEFT_MSEC(7)};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    own_all(&n, &o, 1);
    CHECK_EQ(weft_spawn(&n, ends_slowly, "child"), 0);
    settle();
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(o.result, 0);
}

static int waits_and_passes_on(void *arg)
{
    (void)arg;
    return weft_sleep_until(WEFT_FOREVER);
}

TEST(a_closer_that_the_grace_stopped_and_says_so_has_failed)
{
    weft_nursery n;
    weft_nursery_opts opts = {.cleanup_grace = WEFT_MSEC(10)};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_own(&n, waits_and_passes_on, NULL, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 3), -ETIMEDOUT);
    CHECK_EQ(weft_checkpoint(), 0);
}

static int times_out_inside(void *arg)
{
    int rc;
    CHECK_EQ(weft_deadline(), weft_now() + WEFT_SEC(5));
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(3))
        rc = weft_sleep_until(WEFT_FOREVER);
    CHECK_EQ(rc, -ETIMEDOUT);
    *(bool *)arg = true;
    return weft_checkpoint();
}

TEST(time_limits_work_inside_of_closers)
{
    weft_nursery n;
    bool done = false;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_own(&n, times_out_inside, &done, NULL), 0);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK(done);
    CHECK_EQ(weft_deadline(), WEFT_FOREVER);
}

static int sees_nothing_of_the_outside(void *arg)
{
    CHECK_EQ(weft_deadline(), weft_now() + WEFT_SEC(5));
    CHECK(weft_cancel_reason() == NULL);
    CHECK(!weft_cancelled());
    *(bool *)arg = true;
    return 0;
}

TEST(closers_see_neither_the_deadlines_nor_the_reasons_outside)
{
    weft_nursery n;
    weft_scope s;
    bool seen = false, seen_again = false;
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin_after(&s, WEFT_SEC(1), WEFT_FAIL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_own(&n, sees_nothing_of_the_outside, &seen, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_deadline(), weft_now() + WEFT_SEC(1));
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_own(&n, sees_nothing_of_the_outside, &seen_again, NULL), 0);
    weft_scope_cancel(&s, -EINTR, "outside");
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK(seen && seen_again);
    CHECK_STR(weft_cancel_reason()->why, "outside");
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), -EINTR);
}

TEST_REAL(a_long_computation_takes_nothing_from_the_grace_of_closers)
{
    weft_nursery n;
    weft_owned owned;
    weft_nursery_opts opts = {.cleanup_grace = WEFT_MSEC(300)};
    struct object o[2] = {{.span = WEFT_MSEC(1)}, {.span = WEFT_MSEC(1)}};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    own_all(&n, &o[0], 1);
    CHECK_EQ(weft_own(&n, closes, &o[1], &owned), 0);
    burn(WEFT_MSEC(400));
    CHECK_EQ(weft_disown(owned, true), 0);
    burn(WEFT_MSEC(400));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(o[0].result, 0);
    CHECK_EQ(o[1].result, 0);
}

/* ---- what closers may do ------------------------------------------------ */

static int tries_to_spawn(void *arg)
{
    weft_nursery *n = arg;
    CHECK_EQ(weft_spawn(n, says, "x"), -ESHUTDOWN);
    CHECK_EQ(weft_spawn_copy(n, says, "x", 2), -ESHUTDOWN);
    CHECK_EQ(weft_spawn_wait(n, says, "x"), -ESHUTDOWN);
    CHECK_EQ(weft_start(n, says, "x", NULL), -ESHUTDOWN);
    CHECK_EQ(weft_yield(), 0);
    say("tried");
    return 0;
}

TEST(cln_10_a_closer_cannot_start_children_in_its_nursery)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_own(&n, tries_to_spawn, &n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, says, "child "), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_STR(said, "child tried");
}

static int spawns_from_elsewhere(void *arg)
{
    struct giver *g = arg;
    CHECK_EQ(weft_sleep(g->after), 0);
    g->result = weft_spawn(g->n, says, "x");
    return 0;
}

TEST(cln_10_while_closers_run_nobody_can_start_children)
{
    weft_nursery others, n;
    struct object slow = {.name = "slow", .span = WEFT_MSEC(10)};
    struct giver g = {&n, NULL, WEFT_MSEC(5), 1};
    CHECK_EQ(weft_nursery_open(&others, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    own_all(&n, &slow, 1);
    CHECK_EQ(weft_spawn(&others, spawns_from_elsewhere, &g), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_nursery_close(&others, 0), 0);
    CHECK_EQ(g.result, -ESHUTDOWN);
    CHECK_STR(said, "slow");
}

struct chain {
    weft_nursery *n;
    unsigned left;
};

static int owns_the_next(void *arg)
{
    struct chain *c = arg;
    int err = weft_yield();
    CHECK_EQ(err, 0);
    if (--c->left > 0) {
        CHECK_EQ(weft_own(c->n, owns_the_next, c, NULL), 0);
        CHECK_EQ(weft_checkpoint(), 0);
    }
    return 0;
}

TEST(a_closer_may_give_its_nursery_more_and_it_comes_next)
{
    weft_nursery n;
    struct object first = {.name = "first"}, last = {.name = "last"};
    struct chain c = {&n, 500};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    own_all(&n, &first, 1);
    CHECK_EQ(weft_own(&n, owns_the_next, &c, NULL), 0);
    own_all(&n, &last, 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c.left, 0);
    CHECK_STR(said, "lastfirst");
}

static int gives_one_that_fails(void *arg)
{
    static struct object bad = {.name = "bad", .code = -EPERM};
    own_all(arg, &bad, 1);
    return weft_fail(-EIO, "giver");
}

TEST(the_failure_of_what_a_closer_gave_comes_after_its_own)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_own(&n, gives_one_that_fails, &n, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    CHECK_ERRORS(-EIO, -EPERM);
}

static int has_children(void *arg)
{
    int rc, code = *(int *)arg;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, says, "child "), 0);
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
        CHECK_EQ(weft_spawn(&n, returns, &code), 0);
    }
    return rc;
}

TEST(a_closer_may_have_a_nursery_of_its_own)
{
    weft_nursery n;
    int codes[] = {0, -EIO};
    for (int i = 0; i < 2; i++) {
        said[0] = '\0';
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        CHECK_EQ(weft_own(&n, has_children, &codes[i], NULL), 0);
        weft_nursery_cancel(&n, 0, NULL);
        CHECK_EQ(weft_nursery_close(&n, 0), codes[i]);
        CHECK_STR(said, "child ");
        CHECK_EQ(weft_checkpoint(), 0);
    }
    CHECK_EQ(weft_last_error()->code, -EIO);
}

static int locks(void *mutex)
{
    int err = weft_mutex_lock(mutex);
    if (err < 0) return err;
    err = weft_sleep(WEFT_MSEC(1));
    CHECK_EQ(weft_mutex_unlock(mutex), 0);
    return err;
}

TEST(a_closer_may_wait_for_a_mutex)
{
    weft_nursery others, n;
    weft_mutex m = WEFT_MUTEX_INIT;
    CHECK_EQ(weft_nursery_open(&others, NULL), 0);
    CHECK_EQ(weft_spawn(&others, locks, &m), 0);
    settle();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_own(&n, locks, &m, NULL), 0);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_nursery_close(&others, 0), 0);
}

static int closes_its_nursery(void *arg)
{
    CHECK(weft_nursery_close(arg, -EIO) < 0);
    say("once");
    return 0;
}

TEST(a_closer_cannot_close_its_nursery)
{
    weft_nursery n;
    struct object first = {.name = "first"};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    own_all(&n, &first, 1);
    CHECK_EQ(weft_own(&n, closes_its_nursery, &n, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 6), 6);
    CHECK_STR(said, "oncefirst");
}

static weft_scope forgotten;

static int leaves_a_scope_open(void *arg)
{
    (void)arg;
    weft_scope_init(&forgotten);
    return weft_scope_begin(&forgotten);
}

static int owns_a_misnest(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc)
        rc = weft_own(&n, leaves_a_scope_open, arg, NULL);
    return rc;
}

TEST_DEATH(a_scope_that_a_closer_leaves_open_is_fatal, "test_own.c:")
{
    (void)!weft_run(owns_a_misnest, NULL, NULL);
}

static struct object at_exit = {.name = "given at exit"};

static weft_verdict gives_at_exit(weft_nursery *n, uint64_t child,
                                  weft_outcome o, void *user)
{
    (void)child;
    (void)o;
    if (++*(unsigned *)user == 1) {
        own_all(n, &at_exit, 1);
        CHECK_EQ(weft_spawn(n, says, "second "), 0);
    }
    return WEFT_CONTINUE;
}

TEST(on_exit_may_give_the_nursery_something_and_start_one_more)
{
    weft_nursery n;
    unsigned count = 0;
    weft_nursery_opts opts = {.on_exit = gives_at_exit, .user = &count};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, says, "first "), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_STR(said, "first second given at exit");
    CHECK_EQ(count, 2);
}

static weft_nursery *outer_nursery;

static int gives_to_the_outer(void *arg)
{
    own_all(outer_nursery, arg, 1);
    return 0;
}

TEST(a_closer_may_give_an_outer_nursery_something)
{
    int rc, inner_rc;
    struct object o = {.name = "outer", .code = -EIO};
    WEFT_NURSERY(outer, rc) {
        outer_nursery = &outer;
        WEFT_NURSERY(inner, inner_rc) {
            inner_rc = weft_own(&inner, gives_to_the_outer, &o, NULL);
        }
        CHECK_EQ(inner_rc, 0);
        CHECK_EQ(o.times, 0);
    }
    CHECK_EQ(rc, -EIO);
}

/* ---- the block form ----------------------------------------------------- */

static int leaves_by_return(struct object *o, int rc_left, int result)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        own_all(&n, o, 2);
        CHECK_EQ(weft_spawn(&n, says, "child"), 0);
        rc = rc_left;
        return result;
    }
    return 99;
}

TEST(a_return_out_of_a_block_closes_what_it_owned)
{
    struct object o[2] = {{.name = "1", .span = 1}, {.name = "2", .span = 1}};
    weft_on_unhandled(note_unhandled);
    CHECK_EQ(leaves_by_return(o, 0, 42), 42);
    CHECK_STR(said, "child21");
    CHECK_EQ(o[0].result, 0);
    said[0] = '\0';
    CHECK_EQ(leaves_by_return(o, -EIO, -EIO), -EIO);
    CHECK_STR(said, "child21");
    CHECK_EQ(o[0].result, 0);
    CHECK_EQ(o[0].times, 2);
    CHECK_EQ(unhandled, 0);
    weft_on_unhandled(NULL);
}

static unsigned lost[4];

static void counts_each(const weft_error *e)
{
    CHECK(e->code == -51 || e->code == -52 || e->code == -53);
    lost[-e->code - 50]++;
}

static int loses_three_failures(struct object *o)
{
    static int bad = -51;
    int rc;
    WEFT_NURSERY(n, rc) {
        own_all(&n, o, 2);
        CHECK_EQ(weft_spawn(&n, returns, &bad), 0);
        CHECK_EQ(weft_sleep(1), -ECANCELED);
        return 42;
    }
    return 99;
}

TEST(each_failure_that_a_return_loses_is_told_once)
{
    struct object o[2] = {{.code = -52}, {.code = -53}};
    weft_on_unhandled(counts_each);
    CHECK_EQ(loses_three_failures(o), 42);
    for (int i = 1; i < 4; i++) {
        CHECK_EQ(lost[i], 1);
    }
    weft_on_unhandled(NULL);
}

static int loses_them_unheard(void *arg)
{
    struct object o[2] = {{.name = "one", .code = -52},
                          {.name = "other", .code = -53}};
    (void)arg;
    CHECK_EQ(loses_three_failures(o), 42);
    return 0;
}

static void runs_and_loses(void *arg)
{
    CHECK_EQ(weft_run(loses_them_unheard, arg, NULL), 0);
}

TEST_PLAIN(each_failure_that_a_return_loses_is_written_once)
{
    static struct ending e;
    run_in_process(runs_and_loses, NULL, &e);
    CHECK_EQ(e.status, 0);
    const char *one = strstr(e.said, "close one");
    const char *other = strstr(e.said, "close other");
    CHECK(one && !strstr(one + 1, "close one"));
    CHECK(other && !strstr(other + 1, "close other"));
}

TEST(the_failure_of_a_closer_that_a_return_loses_goes_to_the_hook)
{
    struct object o[2] = {{.name = "1"}, {.name = "2", .code = -EPERM}};
    weft_on_unhandled(note_unhandled);
    CHECK_EQ(leaves_by_return(o, 0, 42), 42);
    CHECK_EQ(unhandled, 1);
    CHECK_EQ(unhandled_code, -EPERM);
    CHECK_EQ(leaves_by_return(o, -EIO, -EIO), -EIO);
    CHECK_EQ(unhandled, 2); /* not that of the body */
    CHECK_EQ(unhandled_code, -EPERM);
    weft_on_unhandled(NULL);
    CHECK_STR(said, "child21child21");
}

static int leaves_two_blocks(struct object *a, struct object *b)
{
    int rc, inner_rc;
    weft_nursery_opts opts = {.cleanup_grace = WEFT_MSEC(10)};
    WEFT_NURSERY_EX(outer, rc, &opts) {
        own_all(&outer, a, 2);
        WEFT_NURSERY(inner, inner_rc) {
            own_all(&inner, b, 2);
            goto out;
        }
    }
    return 99;
out:
    return 5;
}

TEST(a_goto_out_of_two_blocks_closes_the_inner_one_first)
{
    struct object a[2] = {{.name = "a1", .span = WEFT_MSEC(6)},
                          {.name = "a2", .span = WEFT_MSEC(6)}};
    struct object b[2] = {{.name = "b1", .span = WEFT_SEC(1)},
                          {.name = "b2", .span = WEFT_SEC(1)}};
    CHECK_EQ(leaves_two_blocks(a, b), 5);
    CHECK_STR(said, "b2b1a2a1");
    CHECK_EQ(b[0].result, 0);
    CHECK_EQ(a[1].result, 0);
    CHECK_EQ(a[0].result, -ECANCELED);
    CHECK_EQ(weft_deadline(), WEFT_FOREVER);
    CHECK_EQ(weft_checkpoint(), 0);
}

static int returns_its_failure(struct object *o)
{
    static int bad = -EPERM;
    int rc;
    WEFT_NURSERY(n, rc) {
        own_all(&n, o, 2);
        CHECK_EQ(weft_spawn(&n, returns, &bad), 0);
        rc = weft_fail(-EIO, "mine");
        return rc;
    }
    return 99;
}

TEST(the_record_of_a_failure_returned_out_of_a_block_survives_closers)
{
    struct object o[2] = {{.name = "1", .code = -52}, {.name = "2"}};
    weft_on_unhandled(note_unhandled);
    CHECK_EQ(returns_its_failure(o), -EIO);
    CHECK_EQ(weft_last_error()->code, -EIO);
    CHECK_STR(weft_last_error()->msg, "mine");
    CHECK_EQ(unhandled, 2);
    weft_on_unhandled(NULL);
}

static int fails_by_the_way(void *arg)
{
    (void)arg;
    (void)weft_fail(-ENOENT, "by the way");
    return 0;
}

TEST(what_a_closer_notes_by_the_way_is_no_failure)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_own(&n, fails_by_the_way, NULL, NULL), 0);
        rc = weft_fail(-EIO, "mine");
    }
    CHECK_EQ(rc, -EIO);
    CHECK_ERRORS(-EIO);
    CHECK_STR(weft_last_error()->msg, "mine");

    struct object o = {.name = "x", .code = -EPERM};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_own(&n, fails_by_the_way, NULL, NULL), 0);
        own_all(&n, &o, 1);
        CHECK_EQ(weft_own(&n, fails_by_the_way, NULL, NULL), 0);
        rc = weft_fail(-EIO, "mine");
    }
    CHECK_ERRORS(-EIO, -EPERM);
    CHECK_STR(weft_last_error()->msg, "mine");
    CHECK_STR(weft_last_error()->next->msg, "close x");
}

TEST(a_closer_without_a_record_gets_one_with_its_code)
{
    int rc, bad = -EPERM;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_own(&n, fails_by_the_way, NULL, NULL), 0);
        CHECK_EQ(weft_own(&n, returns, &bad, NULL), 0);
        CHECK_EQ(weft_own(&n, fails_by_the_way, NULL, NULL), 0);
    }
    CHECK_EQ(rc, -EPERM);
    CHECK_ERRORS(-EPERM);
    CHECK(strcmp(weft_last_error()->msg, "by the way") != 0);
}

TEST(a_break_out_of_a_block_closes_what_it_owned)
{
    struct object o = {.name = "1", .code = -EPERM};
    int rc;
    WEFT_NURSERY(n, rc) {
        own_all(&n, &o, 1);
        rc = 3;
        break;
    }
    CHECK_EQ(rc, -EPERM);
    CHECK_EQ(o.times, 1);
}

/* ---- taking back -------------------------------------------------------- */

TEST(cln_06_what_was_taken_back_and_closed_is_not_closed_again)
{
    weft_nursery n;
    weft_owned owned, other;
    struct object o = {.name = "x"}, p = {.name = "y"};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_own(&n, closes, &o, &owned), 0);
    CHECK_EQ(weft_own(&n, closes, &p, &other), 0);
    CHECK_EQ(weft_disown(owned, true), 0);
    CHECK_EQ(o.times, 1);
    CHECK_EQ(weft_disown(owned, true), -ENOENT);
    CHECK_EQ(weft_disown(owned, false), -ENOENT);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(o.times, 1);
    CHECK_EQ(p.times, 1);
    CHECK_EQ(weft_disown(owned, true), -ENOENT);
    CHECK_EQ(weft_disown(other, true), -ENOENT);
    CHECK_STR(said, "xy");
}

TEST(what_was_taken_back_and_not_closed_is_the_callers)
{
    weft_nursery n;
    weft_owned owned;
    struct object o = {.name = "x"};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_own(&n, closes, &o, &owned), 0);
    CHECK_EQ(weft_disown(owned, false), 0);
    CHECK_EQ(weft_disown(owned, true), -ENOENT);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(o.times, 0);
}

TEST(the_result_of_a_closer_run_by_disown_is_the_callers_alone)
{
    weft_nursery n;
    weft_owned owned;
    struct object bad = {.name = "x", .code = -EIO}, good = {.code = 12};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_own(&n, closes, &bad, &owned), 0);
    CHECK_EQ(weft_disown(owned, true), -EIO);
    CHECK_EQ(weft_own(&n, closes, &good, &owned), 0);
    CHECK_EQ(weft_disown(owned, true), 12);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(disown_closes_behind_a_shield_for_the_grace)
{
    static const weft_time graces[] = {0, WEFT_MSEC(10), -1};
    static const weft_time took[] = {WEFT_SEC(5), WEFT_MSEC(10), 0};
    for (int i = 0; i < 3; i++) {
        weft_nursery n;
        weft_owned owned[2];
        weft_nursery_opts opts = {.cleanup_grace = graces[i]};
        struct object o = {.span = WEFT_FOREVER}, quick = {.span = 1};
        CHECK_EQ(weft_nursery_open(&n, &opts), 0);
        CHECK_EQ(weft_own(&n, closes, &quick, &owned[0]), 0);
        CHECK_EQ(weft_own(&n, closes, &o, &owned[1]), 0);
        weft_nursery_cancel(&n, 0, NULL);
        CHECK_EQ(weft_disown(owned[0], true), 0);
        CHECK_EQ(quick.result, i == 2 ? -ECANCELED : 0);
        CHECK_EQ(weft_disown(owned[1], true), 0);
        CHECK_EQ(o.result, -ECANCELED);
        CHECK_EQ(o.to - o.from, took[i]);
        CHECK(weft_cancelled());
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
    }
}

static weft_owned handles[4];

static int disowns(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_disown(handles[1], true), 0);
    CHECK_EQ(weft_disown(handles[1], true), -ENOENT);
    return 0;
}

TEST(any_fiber_may_take_an_object_back)
{
    weft_nursery n;
    struct object o[4] = {
        {.name = "a"}, {.name = "b"}, {.name = "c"}, {.name = "d"}};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(weft_own(&n, closes, &o[i], &handles[i]), 0);
    }
    CHECK_EQ(weft_spawn(&n, disowns, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_STR(said, "bdca");
}

static int disowns_itself_and_others(void *arg)
{
    say(arg);
    CHECK_EQ(weft_disown(handles[2], true), -ENOENT); /* itself */
    CHECK_EQ(weft_disown(handles[3], true), -ENOENT); /* closed before */
    CHECK_EQ(weft_disown(handles[1], false), 0);
    CHECK_EQ(weft_disown(handles[0], true), 0);
    CHECK_EQ(weft_disown(handles[0], true), -ENOENT);
    return 0;
}

TEST(a_closer_may_take_back_what_is_still_to_come)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_own(&n, says, "a", &handles[0]), 0);
    CHECK_EQ(weft_own(&n, says, "b", &handles[1]), 0);
    CHECK_EQ(weft_own(&n, disowns_itself_and_others, "c", &handles[2]), 0);
    CHECK_EQ(weft_own(&n, says, "d", &handles[3]), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_STR(said, "dca");
}

static int takes_back_from_elsewhere(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    CHECK_EQ(weft_disown(handles[1], true), -ENOENT); /* is being closed */
    CHECK_EQ(weft_disown(handles[0], true), 0);
    return 0;
}

TEST(another_fiber_may_take_an_object_back_while_closers_run)
{
    weft_nursery others, n;
    struct object o[2] = {{.name = "a"}, {.name = "b", .span = WEFT_MSEC(10)}};
    CHECK_EQ(weft_nursery_open(&others, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weft_own(&n, closes, &o[i], &handles[i]), 0);
    }
    CHECK_EQ(weft_spawn(&others, takes_back_from_elsewhere, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_STR(said, "ab");
    CHECK_EQ(weft_nursery_close(&others, 0), 0);
}

/* While one fiber is in a closer run by disown, the nursery closes. */
static int disowns_slowly(void *arg)
{
    int *result = arg;
    *result = weft_disown(handles[0], true);
    return 0;
}

TEST(an_object_in_the_hands_of_a_slow_disown_is_closed_once)
{
    weft_nursery others, n;
    int result = 1;
    struct object o[2] = {{.name = "a", .span = WEFT_MSEC(10)}, {.name = "b"}};
    CHECK_EQ(weft_nursery_open(&others, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weft_own(&n, closes, &o[i], &handles[i]), 0);
    }
    CHECK_EQ(weft_spawn(&others, disowns_slowly, &result), 0);
    settle();
    CHECK_EQ(weft_disown(handles[0], true), -ENOENT);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    memset(&n, 0xa5, sizeof n);
    CHECK_EQ(weft_nursery_close(&others, 0), 0);
    CHECK_EQ(result, 0);
    CHECK_EQ(o[0].times, 1);
    CHECK_EQ(o[1].times, 1);
    CHECK_EQ(o[0].result, 0);
}

TEST(a_handle_that_is_none_is_found_out)
{
    weft_nursery n;
    weft_owned none, all;
    struct object o = {.name = "x"};
    memset(&none, 0, sizeof none);
    memset(&all, 0xff, sizeof all);
    CHECK_EQ(weft_disown(none, true), -ENOENT);
    CHECK_EQ(weft_disown(all, true), -ENOENT);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    own_all(&n, &o, 1);
    CHECK_EQ(weft_disown(none, true), -ENOENT);
    CHECK_EQ(weft_disown(all, true), -ENOENT);
    CHECK_EQ(o.times, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_stale_handle_hits_nobody_else)
{
    enum { COUNT = 1000 };
    static struct object o[COUNT];
    weft_nursery n, other;
    weft_owned stale[3], owned;
    struct object first = {.name = "first"};
    CHECK_EQ(weft_nursery_open(&other, NULL), 0);
    CHECK_EQ(weft_own(&other, closes, &first, &stale[0]), 0);
    CHECK_EQ(weft_nursery_close(&other, 0), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_own(&n, closes, &first, &stale[1]), 0);
    CHECK_EQ(weft_disown(stale[1], true), 0);
    CHECK_EQ(weft_own(&n, closes, &first, &stale[2]), 0);
    CHECK_EQ(weft_disown(stale[2], false), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            CHECK_EQ(weft_own(&n, closes, &o[i], &owned), 0);
            for (int k = 0; k < 3; k++) {
                CHECK_EQ(weft_disown(stale[k], true), -ENOENT);
            }
            if (round < 2) CHECK_EQ(weft_disown(owned, round > 0), 0);
        }
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQ(o[i].times, 1);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQ(o[i].times, 2);
    }
    CHECK_EQ(first.times, 2);
}

static weft_owned of_earlier_runs[3];

static int owns_in_this_run(void *arg)
{
    struct object *o = arg;
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_disown(of_earlier_runs[i], true), -ENOENT);
    }
    for (int i = 0; i < 3; i++) {
        weft_owned stale = of_earlier_runs[i];
        CHECK_EQ(weft_own(&n, closes, &o[i], &of_earlier_runs[i]), 0);
        CHECK_EQ(weft_disown(stale, true), -ENOENT);
        CHECK_EQ(o[i].times, 0);
    }
    CHECK_EQ(weft_disown(of_earlier_runs[1], true), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    return 0;
}

TEST_PLAIN(a_handle_of_an_earlier_run_is_found_out)
{
    weft_run_opts opts = {.virtual_clock = true};
    for (int i = 0; i < 4; i++) {
        struct object o[3] = {{.name = "1"}, {.name = "2"}, {.name = "3"}};
        CHECK_EQ(weft_run(owns_in_this_run, o, &opts), 0);
        for (int k = 0; k < 3; k++) {
            CHECK_EQ(o[k].times, 1);
        }
        CHECK(weft_disown(of_earlier_runs[0], true) < 0);
    }
}

static int closed_at_exit;

static weft_verdict disowns_at_exit(weft_nursery *n, uint64_t child,
                                    weft_outcome o, void *user)
{
    (void)n;
    (void)child;
    (void)o;
    (void)user;
    closed_at_exit = weft_disown(handles[0], true);
    return WEFT_CONTINUE;
}

TEST(on_exit_may_take_an_object_back_whose_closer_does_not_wait)
{
    weft_nursery n;
    struct object o = {.name = "x", .code = 7};
    weft_nursery_opts opts = {.on_exit = disowns_at_exit};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_own(&n, closes, &o, &handles[0]), 0);
    CHECK_EQ(weft_spawn(&n, returns, &(int){0}), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(closed_at_exit, 7);
    CHECK_EQ(o.times, 1);
}

/* A model: what lives in which nursery, in the order in which it was given. */
enum { MODEL_NURSERIES = 3, MODEL_OBJECTS = 4000, MODEL_STEPS = 20000 };

static struct {
    weft_nursery n[MODEL_NURSERIES];
    struct {
        weft_owned owned;
        int nursery; /* -1: no more */
        unsigned closed, should;
        int next_alive; /* of the same nursery, older; -1: none */
    } o[MODEL_OBJECTS];
    int count;
    int latest[MODEL_NURSERIES];
} model;

static int model_closing = -1; /* the nursery that is being closed */

static int model_closes(void *arg)
{
    int i = (int)(uintptr_t)arg;
    model.o[i].closed++;
    if (model_closing >= 0) {
        CHECK_EQ(model.o[i].nursery, model_closing);
        CHECK_EQ(model.latest[model_closing], i); /* last first */
        model.latest[model_closing] = model.o[i].next_alive;
        model.o[i].nursery = -1;
        model.o[i].should++;
    }
    return 0;
}

static void model_give(int nursery)
{
    int i = model.count++;
    CHECK_EQ(weft_own(&model.n[nursery], model_closes, (void *)(uintptr_t)i,
                      &model.o[i].owned),
             0);
    model.o[i].nursery = nursery;
    model.o[i].next_alive = model.latest[nursery];
    model.latest[nursery] = i;
}

static void model_take(int i, bool run)
{
    int nursery = model.o[i].nursery;
    if (nursery < 0) {
        CHECK_EQ(weft_disown(model.o[i].owned, run), -ENOENT);
        return;
    }
    CHECK_EQ(weft_disown(model.o[i].owned, run), 0);
    int *link = &model.latest[nursery];
    while (*link != i) {
        link = &model.o[*link].next_alive;
    }
    *link = model.o[i].next_alive;
    model.o[i].nursery = -1;
    model.o[i].should += run;
}

TEST(owning_and_taking_back_follow_a_model)
{
    random_begin(test_seed());
    for (int k = 0; k < MODEL_NURSERIES; k++) {
        CHECK_EQ(weft_nursery_open(&model.n[k], NULL), 0);
        model.latest[k] = -1;
    }
    for (int step = 0; step < MODEL_STEPS; step++) {
        bool give = model.count == 0 || random_below(3) == 0;
        if (give && model.count < MODEL_OBJECTS) {
            model_give(random_below(MODEL_NURSERIES));
        } else {
            int recent = model.count < 50 ? model.count : 50;
            int i = random_below(2) ? model.count - 1 - random_below(recent)
                                    : random_below(model.count);
            model_take(i, random_below(2));
        }
    }
    for (int k = MODEL_NURSERIES - 1; k >= 0; k--) {
        model_closing = k;
        CHECK_EQ(weft_nursery_close(&model.n[k], 0), 0);
        CHECK_EQ(model.latest[k], -1);
    }
    for (int i = 0; i < model.count; i++) {
        CHECK_EQ(model.o[i].closed, model.o[i].should);
        CHECK_EQ(weft_disown(model.o[i].owned, true), -ENOENT);
    }
}

/* ---- at every moment, and without memory -------------------------------- */

static struct {
    int open;
} swept;

static int swept_close(void *arg)
{
    CHECK_EQ(weft_sleep(*(weft_time *)arg), 0);
    swept.open--;
    return 0;
}

static weft_time some_time = WEFT_USEC(500);

static int swept_child(void *arg)
{
    weft_owned owned;
    int rc = weft_sleep(WEFT_MSEC(1));
    swept.open++;
    int err = weft_own(arg, swept_close, &some_time, &owned);
    if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
    if (rc == 0 && err == 0) CHECK_EQ(weft_disown(owned, true), 0);
    if (err < 0) return rc < 0 ? rc : err;
    swept.open++;
    err = weft_own(arg, swept_close, &some_time, NULL);
    return rc < 0 ? rc : err;
}

static int swept_owner(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 2 && rc == 0; i++) {
            rc = weft_spawn(&n, swept_child, &n);
            if (rc == 0) rc = weft_sleep(WEFT_USEC(700));
        }
    }
    return rc;
}

static void start_the_swept_work(weft_nursery *n)
{
    swept.open = 0;
    for (int i = 0; i < 3; i++) {
        sweep_spawn(n, swept_owner, NULL);
    }
}

static void check_the_swept_work(void)
{
    CHECK_EQ(swept.open, 0);
}

SWEEP(what_is_owned_is_closed_once_at_whatever_moment_a_cancel_comes,
      start_the_swept_work, check_the_swept_work, SWEEP_CLEANUP_SLEEPS);

#ifdef WEFT_HOSTILE
static int owned_closed[40], own_failures;

static int counts_its_close(void *arg)
{
    ++*(int *)arg;
    return -EIO; /* lost, where own has failed */
}

static int owns_without_memory(void *arg)
{
    weft_nursery n;
    int given = 0;
    (void)arg;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 40; i++) {
        weft_owned owned;
        int err = weft_own(&n, counts_its_close, &owned_closed[i], &owned);
        CHECK(err == 0 || err == -ENOMEM);
        CHECK_EQ(owned_closed[i], err < 0); /* has been called */
        own_failures += err < 0;
        given += err == 0;
        if (err == 0 && i % 5 == 0) {
            CHECK_EQ(weft_disown(owned, true), -EIO);
            given--;
        }
    }
    CHECK_EQ(weft_nursery_close(&n, 0), given ? -EIO : 0);
    for (int i = 0; i < 40; i++) {
        CHECK_EQ(owned_closed[i], 1);
    }
    return own_failures ? -ENOMEM : 0;
}

TEST_PLAIN(an_own_without_memory_has_called_the_closer)
{
    fail_each(owns_without_memory, WF_CALL_ALLOC);
}

static int late_closes, late_defers;

static int waits_in_its_closer(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_sleep(1), 0);
    late_closes++;
    return 0;
}

static void waits_when_deferred(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_sleep(1), 0);
    late_defers++;
}

static int owns_and_defers_when_cancelled(void *arg)
{
    weft_nursery n;
    int failed = 0;
    (void)arg;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_nursery_cancel(&n, 0, NULL);
    for (int i = 0; i < 40; i++) {
        failed += weft_own(&n, waits_in_its_closer, NULL, NULL) < 0;
        failed += weft_defer(waits_when_deferred, NULL) < 0;
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(late_closes, 40);
    return failed ? -ENOMEM : 0;
}

TEST_PLAIN(what_is_closed_at_once_for_lack_of_memory_is_shielded)
{
    fail_each(owns_and_defers_when_cancelled, WF_CALL_ALLOC);
}
#endif
