/* SPDX-License-Identifier: MIT */
/* test_start.c - children that say when they are ready. */
#include <weft/cleanup.h>
#include <weft/error.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/task.h>
#include <weft/time.h>

#include <stdio.h>
#include <string.h>

#include "fibers.h"
#include "harness.h"
#include "open.h"
#include "process.h"
#include "settle.h"
#include "starve.h"
#include "sweep.h"
#include "unhandled.h"

/*
 * A child that is ready after `before`, or fails then with `early`, and ends
 * after a further `after` with `late`. When it is stopped it cleans up for
 * `cleanup`, and fails with `spoiled`, if it is not 0.
 */
struct server {
    weft_time before, after, cleanup;
    int early, late, spoiled;
    void *value;
    int first, second; /* what its waits returned; 1: it did not get there */
    weft_reason reason;
    unsigned entered, ended;
    int started;
};

static int is_stopped(struct server *s, int rc)
{
    int cleaned;
    s->reason = *weft_cancel_reason();
    WEFT_SHIELD(cleaned, WEFT_FOREVER) {
        if (s->cleanup) cleaned = weft_sleep(s->cleanup);
    }
    CHECK_EQ(cleaned, 0);
    s->ended++;
    return s->spoiled < 0 ? weft_fail(s->spoiled, "spoiled") : rc;
}

static int serves(void *arg)
{
    struct server *s = arg;
    s->entered++;
    s->first = s->second = 1;
    s->first = weft_sleep(s->before);
    if (s->first < 0) return is_stopped(s, s->first);
    if (s->early < 0) {
        s->ended++;
        return weft_fail(s->early, "no port %d", 80);
    }
    s->started = weft_started(s->value);
    CHECK_EQ(s->started, 0);
    s->second = weft_sleep(s->after);
    if (s->second < 0) return is_stopped(s, s->second);
    s->ended++;
    return s->late < 0 ? weft_fail(s->late, "late") : s->late;
}

static bool mentions(const weft_error *e, const char *msg)
{
    for (; e; e = e->next) {
        if (strcmp(e->msg, msg) == 0) return true;
        if (mentions(e->inner, msg)) return true;
    }
    return false;
}

/* A value that start must not have touched. */
static char untouched[1];

/* ---- the plain cases ---------------------------------------------------- */

TEST(spn_11_start_returns_when_the_child_is_ready)
{
    weft_nursery n;
    void *value = untouched;
    weft_time start = weft_now();
    struct server s = {
        .before = WEFT_MSEC(5), .after = WEFT_MSEC(5), .value = &s};

    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start(&n, serves, &s, &value), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5));
    CHECK_PTR(value, &s);
    CHECK_EQ(weft_nursery_count(&n), 1);
    CHECK_EQ(s.ended, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(10));
    CHECK_EQ(s.ended, 1);
}

TEST(spn_12_a_failure_before_it_was_ready_is_the_result_of_start_alone)
{
    weft_nursery n;
    void *value = untouched;
    struct server bad = {.before = WEFT_MSEC(1), .early = -EIO};
    struct server good = {.before = 0, .after = WEFT_MSEC(9), .late = 3};

    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, serves, &good), 0);
    CHECK_EQ(weft_start(&n, serves, &bad, &value), -EIO);
    CHECK_PTR(value, untouched);
    CHECK_EQ(weft_nursery_count(&n), 1);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK(!weft_scope_cancel_called(weft_nursery_scope(&n)));
    CHECK_EQ(weft_nursery_close(&n, 7), 7);
    CHECK_EQ(good.second, 0);
}

TEST(spn_12_a_failed_start_does_not_count_under_any_policy)
{
    static const weft_policy policies[] = {WEFT_FAIL_FAST, WEFT_COLLECT,
                                           WEFT_SUPERVISE};
    weft_on_unhandled(note_unhandled);
    for (int i = 0; i < 3; i++) {
        weft_nursery n;
        weft_nursery_opts opts = {.policy = policies[i]};
        struct server bad = {.before = WEFT_MSEC(1), .early = -EIO};
        CHECK_EQ(weft_nursery_open(&n, &opts), 0);
        CHECK_EQ(weft_start(&n, serves, &bad, NULL), -EIO);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
    }
    weft_on_unhandled(NULL);
    CHECK_EQ(unhandled, 0);
}

TEST(spn_13_a_child_that_returns_without_being_ready_broke_the_protocol)
{
    weft_nursery n;
    void *value = untouched;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start(&n, returns, &(int){0}, &value), -EPROTO);
    CHECK_EQ(weft_start(&n, returns, &(int){7}, &value), -EPROTO);
    CHECK_PTR(value, untouched);
    CHECK_EQ(weft_nursery_count(&n), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static int is_ready_twice(void *arg)
{
    CHECK_EQ(weft_started(arg), 0);
    CHECK_EQ(weft_started(untouched), -EALREADY);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_started(untouched), -EALREADY);
    return 0;
}

TEST(spn_14_only_the_first_started_counts)
{
    weft_nursery n;
    void *value = NULL;
    int item;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start(&n, is_ready_twice, &item, &value), 0);
    CHECK_PTR(value, &item);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_PTR(value, &item);
}

TEST(spn_19_a_failure_after_it_was_ready_is_the_nurserys)
{
    weft_nursery n;
    struct server s = {.after = WEFT_MSEC(1), .late = -EIO};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start(&n, serves, &s, NULL), 0);
    CHECK_EQ(weft_sleep_until(WEFT_FOREVER), -ECANCELED);
    CHECK_EQ(weft_cancel_reason()->kind, WEFT_R_SIBLING);
    CHECK_EQ(weft_nursery_close(&n, -ECANCELED), -EIO);
    CHECK(mentions(weft_last_error(), "late"));
}

TEST(a_child_that_fails_in_the_turn_in_which_it_is_ready_fails_the_nursery)
{
    weft_nursery n;
    struct server s = {.before = WEFT_MSEC(1), .after = 0, .late = -EIO};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start(&n, serves, &s, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
}

static int is_ready_and_ends(void *arg)
{
    CHECK_EQ(weft_started(arg), 0);
    return *(int *)arg;
}

TEST(a_child_may_end_at_once_when_it_is_ready)
{
    weft_nursery n;
    void *value = NULL;
    int three = 3, bad = -EIO;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start(&n, is_ready_and_ends, &three, &value), 0);
    CHECK_PTR(value, &three);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);

    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start(&n, is_ready_and_ends, &bad, &value), 0);
    CHECK_PTR(value, &bad);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
}

static int says_nothing_with_it(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_started(NULL), 0);
    return 0;
}

TEST(a_child_may_be_ready_with_nothing_to_say)
{
    weft_nursery n;
    void *value = untouched;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start(&n, says_nothing_with_it, NULL, &value), 0);
    CHECK(value == NULL);
    CHECK_EQ(weft_start(&n, says_nothing_with_it, NULL, NULL), 0);
    CHECK_EQ(weft_start(&n, is_ready_and_ends, &(int){0}, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(started_has_no_effect_in_a_child_that_was_only_spawned)
{
    weft_nursery n;
    CHECK_EQ(weft_started(untouched), 0); /* nor in main */
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, is_ready_and_ends, &(int){5}), 0);
    CHECK_EQ(weft_spawn_wait(&n, says_nothing_with_it, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST_PLAIN(start_and_started_are_not_permitted_outside_a_fiber)
{
    static weft_nursery n;
    CHECK_EQ(weft_started(NULL), -EPERM);
    CHECK_EQ(weft_start(&n, returns, &(int){0}, NULL), -EPERM);
}

static int helper_says_it(void *arg)
{
    CHECK_EQ(weft_started(arg), 0);
    return 0;
}

static int leaves_it_to_a_helper(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, helper_says_it, arg);
    }
    return rc;
}

TEST(only_the_child_itself_can_say_that_it_is_ready)
{
    weft_nursery n;
    void *value = untouched;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start(&n, leaves_it_to_a_helper, &n, &value), -EPROTO);
    CHECK_PTR(value, untouched);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_failed_start_brings_its_record_along)
{
    weft_nursery n;
    struct server bad = {.before = WEFT_MSEC(1), .early = -EADDRINUSE};
    weft_spawn_opts opts = {.name = "listener"};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start_ex(&n, serves, &bad, NULL, &opts), -EADDRINUSE);
    const weft_error *e = weft_last_error();
    CHECK(e != NULL);
    CHECK_EQ(e->code, -EADDRINUSE);
    CHECK_STR(e->msg, "no port 80");
    CHECK_STR(e->name, "listener");
    CHECK(e->fiber != weft_fiber_id());
    CHECK(e->next == NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_STR(weft_last_error()->msg, "no port 80");
}

static int fails_with_a_group(void *arg)
{
    static int bad[] = {-EIO, -EPERM};
    weft_nursery_opts opts = {.policy = WEFT_COLLECT};
    int rc;
    (void)arg;
    WEFT_NURSERY_EX(n, rc, &opts) {
        for (int i = 0; i < 2; i++) {
            CHECK_EQ(weft_spawn(&n, returns, &bad[i]), 0);
            settle();
        }
    }
    return rc;
}

TEST(a_failed_start_brings_a_group_of_errors_along)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start(&n, fails_with_a_group, NULL, NULL), -EIO);
    CHECK(weft_last_error() != NULL);
    CHECK_EQ(weft_last_error()->code, -EIO);
    const weft_error *e = weft_last_error()->inner;
    CHECK(e && e->next && !e->next->next);
    CHECK_EQ(e->code, -EIO);
    CHECK_EQ(e->next->code, -EPERM);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static weft_verdict stops_the_rest(weft_nursery *n, uint64_t child,
                                   weft_outcome o, void *user)
{
    (void)n;
    (void)child;
    (void)o;
    ++*(unsigned *)user;
    return WEFT_CANCEL_REST;
}

static int passes_a_failure_on(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_start(&n, serves, arg, NULL);
    }
    return rc;
}

TEST(the_record_of_a_failed_start_climbs_on)
{
    struct server bad = {.before = WEFT_MSEC(1), .early = -EIO};
    CHECK_EQ(in_a_nursery(passes_a_failure_on, &bad), -EIO);
    CHECK_EQ(weft_last_error()->code, -EIO);
    CHECK(mentions(weft_last_error(), "no port 80"));
}

TEST(a_foreign_ecanceled_before_it_was_ready_is_the_result_of_start)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start(&n, returns, &(int){-ECANCELED}, NULL), -ECANCELED);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* ---- the caller is cancelled -------------------------------------------- */

TEST(start_in_a_cancelled_scope_starts_nothing)
{
    weft_nursery n;
    weft_scope scope;
    void *value = untouched;
    struct server s = {.before = 0};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    open_scope(&scope);
    weft_scope_cancel(&scope, -EINTR, NULL);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_start(&n, serves, &s, &value), -ECANCELED);
    }
    CHECK_EQ(weft_nursery_count(&n), 0);
    CHECK_EQ(weft_scope_end(&scope, -ECANCELED), -EINTR);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(s.entered, 0);
    CHECK_PTR(value, untouched);
}

TEST(a_start_that_times_out_stops_its_child_and_nothing_else)
{
    weft_nursery n;
    int rc;
    void *value = untouched;
    weft_time start = weft_now();
    struct server slow = {.before = WEFT_FOREVER};
    struct server other = {.after = WEFT_MSEC(20)};

    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start(&n, serves, &other, NULL), 0);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_start(&n, serves, &slow, &value);
        CHECK_EQ(rc, -ECANCELED);
        CHECK_EQ(slow.ended, 1);
        CHECK_EQ(weft_nursery_count(&n), 1);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5));
    CHECK_EQ(slow.first, -ECANCELED);
    CHECK_PTR(value, untouched);
    CHECK(!weft_scope_cancel_called(weft_nursery_scope(&n)));
    CHECK_EQ(weft_nursery_close(&n, 2), 2);
    CHECK_EQ(other.second, 0);
}

TEST(a_cancelled_start_waits_for_the_clean_up_of_its_child)
{
    weft_nursery n;
    int rc;
    weft_time start = weft_now();
    struct server slow = {.before = WEFT_FOREVER, .cleanup = WEFT_MSEC(10)};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_start(&n, serves, &slow, NULL);
        CHECK_EQ(weft_now() - start, WEFT_MSEC(15));
        CHECK_EQ(slow.ended, 1);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_failure_in_the_clean_up_of_a_cancelled_start_is_its_result)
{
    weft_nursery n;
    int rc;
    struct server bad = {
        .before = WEFT_FOREVER, .cleanup = WEFT_MSEC(1), .spoiled = -EIO};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_start(&n, serves, &bad, NULL);
    }
    CHECK_EQ(rc, -EIO);
    CHECK(mentions(weft_last_error(), "spoiled"));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* A fiber of its own that starts a server in `n`, in a scope of its own. */
struct starter {
    weft_nursery *n;
    struct server *server;
    const weft_spawn_opts *opts;
    weft_scope scope;
    int result; /* 1: not there yet */
    bool cancelled, alive_after;
    void *value;
    weft_time at;
};

static int starts(void *arg)
{
    struct starter *s = arg;
    s->result = 1;
    s->value = untouched;
    open_scope(&s->scope);
    s->result =
        weft_start_ex(s->n, serves, s->server, &s->value,
                      s->opts ? s->opts : &(weft_spawn_opts){.name = "s"});
    s->at = weft_now();
    s->cancelled = weft_cancelled();
    s->alive_after = s->server->entered > s->server->ended;
    if (s->result == 0) {
        CHECK_PTR(s->value, s->server->value);
    } else {
        CHECK(s->result < 0);
        CHECK_PTR(s->value, untouched);
        CHECK(!s->alive_after);
    }
    (void)!weft_scope_end(&s->scope, s->result);
    return 0;
}

TEST(err_01_the_child_of_a_cancelled_start_sees_why)
{
    weft_nursery outer, n;
    struct server slow = {.before = WEFT_FOREVER};
    struct starter st = {.n = &n, .server = &slow};
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&outer, starts, &st), 0);
    settle();
    CHECK_EQ(st.result, 1);
    weft_scope_cancel(&st.scope, -EINTR, "by hand");
    settle();
    CHECK_EQ(st.result, -ECANCELED);
    CHECK_EQ(slow.reason.kind, WEFT_R_EXPLICIT);
    CHECK_EQ(slow.reason.code, -EINTR);
    CHECK_STR(slow.reason.why, "by hand");
    CHECK_EQ(slow.reason.by, weft_fiber_id());
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
}

TEST(err_01_the_child_of_a_start_that_timed_out_sees_a_deadline)
{
    weft_nursery n;
    int rc;
    struct server slow = {.before = WEFT_FOREVER};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_start(&n, serves, &slow, NULL);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(slow.reason.kind, WEFT_R_DEADLINE);
    CHECK_EQ(slow.reason.code, -ETIMEDOUT);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(two_cancels_of_a_start_are_one)
{
    weft_nursery n, inner;
    struct server slow = {.before = WEFT_FOREVER, .cleanup = WEFT_MSEC(10)};
    struct starter st = {.n = &n, .server = &slow};
    weft_time start;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_nursery_open(&inner, NULL), 0);
    CHECK_EQ(weft_spawn(&inner, starts, &st), 0);
    settle();
    start = weft_now();
    weft_scope_cancel(&st.scope, -EINTR, "one");
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    weft_scope_cancel(&st.scope, -EIO, "two");
    weft_nursery_cancel(&inner, 0, "three");
    CHECK_EQ(st.result, 1); /* it still waits for the clean-up */
    CHECK_EQ(weft_nursery_close(&inner, 0), 0);
    CHECK_EQ(st.result, -ECANCELED);
    CHECK_EQ(st.at - start, WEFT_MSEC(10));
    CHECK_STR(slow.reason.why, "one");
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(unshielding_a_waiting_start_cancels_it)
{
    weft_nursery outer, n;
    struct server slow = {.before = WEFT_FOREVER};
    struct starter st = {.n = &n, .server = &slow};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_spawn(&outer, starts, &st), 0);
    settle();
    weft_scope_set_shield(&st.scope, true);
    weft_nursery_cancel(&outer, 0, NULL);
    CHECK_EQ(weft_yield(), -ECANCELED);
    CHECK_EQ(weft_yield(), -ECANCELED);
    CHECK_EQ(st.result, 1);
    CHECK_EQ(slow.first, 1);
    weft_scope_set_shield(&st.scope, false);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(st.result, -ECANCELED);
    CHECK_EQ(slow.first, -ECANCELED);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* Is cancelled, takes no notice, and gets ready all the same. */
static int gets_ready_late(void *arg)
{
    struct server *s = arg;
    int rc;
    s->entered++;
    CHECK_EQ(weft_sleep_until(WEFT_FOREVER), -ECANCELED);
    WEFT_SHIELD(rc, WEFT_FOREVER)
        rc = weft_sleep(WEFT_MSEC(5));
    CHECK_EQ(rc, 0);
    s->started = weft_started(s->value);
    CHECK_EQ(s->started, 0);
    s->second = weft_checkpoint();
    WEFT_SHIELD(rc, WEFT_FOREVER)
        rc = weft_sleep(WEFT_MSEC(5));
    CHECK_EQ(rc, 0);
    s->ended++;
    return s->late < 0 ? weft_fail(s->late, "late") : s->second;
}

/* It may count as started, or as stopped; but not as neither or both. */
static void start_a_late_one(int late)
{
    weft_nursery n;
    int rc = 0;
    void *value = untouched;
    struct server s = {.value = &s, .late = late, .second = 1};
    weft_time start = weft_now();

    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_start(&n, gets_ready_late, &s, &value);
        CHECK_EQ(weft_checkpoint(), -ECANCELED);
        if (rc == 0) {
            CHECK_EQ(weft_now() - start, WEFT_MSEC(10));
            CHECK_EQ(weft_nursery_count(&n), 1);
            CHECK_PTR(value, &s);
            rc = 1;
        } else {
            CHECK_EQ(weft_now() - start, WEFT_MSEC(15));
            CHECK_EQ(rc, late < 0 ? late : -ECANCELED);
            CHECK_EQ(s.ended, 1);
            CHECK_EQ(weft_nursery_count(&n), 0);
        }
    }
    CHECK_EQ(weft_nursery_close(&n, 0), rc == 1 ? late : 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(15));
    CHECK_EQ(s.second, -ECANCELED); /* level: the cancel has stayed */
    CHECK_EQ(s.ended, 1);
}

TEST(a_child_that_is_ready_after_the_cancel_is_lost_to_nobody)
{
    start_a_late_one(0);
}

TEST(a_child_that_fails_after_a_late_start_fails_in_one_place)
{
    start_a_late_one(-EIO);
}

static weft_scope *to_cancel;

static int is_ready_and_cancels_the_starter(void *arg)
{
    CHECK_EQ(weft_started(arg), 0);
    weft_scope_cancel(to_cancel, -EINTR, NULL);
    int rc = weft_sleep(WEFT_MSEC(5));
    *(int *)arg = rc;
    return rc;
}

TEST(a_start_that_has_been_granted_survives_a_later_cancel)
{
    weft_nursery n;
    weft_scope scope;
    void *value = NULL;
    int slept = 1;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    open_scope(&scope);
    to_cancel = &scope;
    CHECK_EQ(weft_start(&n, is_ready_and_cancels_the_starter, &slept, &value),
             0);
    CHECK_PTR(value, &slept);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_scope_end(&scope, -ECANCELED), -EINTR);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(slept, 0); /* it was the starter's, not the child's */
}

static int cancels_the_starter_and_fails(void *arg)
{
    weft_scope_cancel(to_cancel, -EINTR, NULL);
    return weft_fail(*(int *)arg, "both");
}

TEST(a_failure_in_the_turn_of_the_cancel_is_not_lost)
{
    weft_nursery n;
    weft_scope scope;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    open_scope(&scope);
    to_cancel = &scope;
    CHECK_EQ(weft_start(&n, cancels_the_starter_and_fails, &(int){-EIO}, NULL),
             -EIO);
    CHECK_EQ(weft_scope_end(&scope, -EIO), -EIO);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_child_that_is_ready_no_longer_depends_on_its_starter)
{
    weft_nursery n;
    weft_scope scope;
    struct server s = {.after = WEFT_MSEC(5), .late = 4};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    open_scope(&scope);
    CHECK_EQ(weft_start(&n, serves, &s, NULL), 0);
    weft_scope_cancel(&scope, 0, NULL);
    CHECK_EQ(weft_sleep(1), -ECANCELED);
    CHECK_EQ(weft_scope_end(&scope, -ECANCELED), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(s.second, 0);
}

TEST(a_child_outlives_the_fiber_that_started_it)
{
    weft_nursery outer, n;
    weft_time start = weft_now();
    struct server s = {.before = 1, .after = WEFT_MSEC(5)};
    struct starter st = {.n = &n, .server = &s};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_spawn(&outer, starts, &st), 0);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(st.result, 0);
    CHECK(st.alive_after);
    CHECK_EQ(weft_now() - start, 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(s.second, 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5) + 1);
}

/* ---- the nursery is cancelled ------------------------------------------- */

TEST(a_failing_sibling_stops_a_start_of_the_body)
{
    weft_nursery n;
    struct server bad = {.after = WEFT_MSEC(5), .late = -EIO};
    struct server slow = {.before = WEFT_FOREVER, .cleanup = WEFT_MSEC(5)};
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start(&n, serves, &bad, NULL), 0);
    CHECK_EQ(weft_start(&n, serves, &slow, NULL), -ECANCELED);
    CHECK_EQ(slow.ended, 1);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(10));
    CHECK_EQ(slow.reason.kind, WEFT_R_SIBLING);
    CHECK_EQ(weft_nursery_close(&n, -ECANCELED), -EIO);
    CHECK(weft_last_error()->next == NULL);
}

TEST(a_start_into_a_nursery_that_gets_cancelled_tells_of_a_shutdown)
{
    weft_nursery outer, n;
    struct server slow = {.before = WEFT_FOREVER, .cleanup = WEFT_MSEC(5)};
    struct starter st = {.n = &n, .server = &slow};
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&outer, starts, &st), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    weft_nursery_cancel(&n, 0, "closing time");
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(st.result, -ESHUTDOWN);
    CHECK(!st.cancelled);
    CHECK_EQ(st.at - start, WEFT_MSEC(10));
    CHECK_STR(slow.reason.why, "closing time");
}

TEST(a_stopped_start_is_no_business_of_the_nursery_that_stopped_it)
{
    weft_nursery outer, n;
    struct server slow = {.before = WEFT_FOREVER};
    struct starter st = {.n = &n, .server = &slow};
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&outer, starts, &st), 0);
    settle();
    weft_nursery_cancel(&n, -EINTR, NULL);
    CHECK_EQ(weft_nursery_close(&n, 3), 3);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(st.result, -ESHUTDOWN);
}

TEST(a_start_into_a_cancelled_nursery_tells_of_a_shutdown)
{
    weft_nursery outer, n;
    struct server slow = {.before = WEFT_FOREVER};
    struct starter st = {.n = &n, .server = &slow};
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_spawn(&outer, starts, &st), 0);
    CHECK_EQ(weft_yield(), -ECANCELED);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(st.result, -ESHUTDOWN);
    CHECK(!st.cancelled);
    CHECK_EQ(slow.entered, slow.ended);
}

TEST(unless_cancelled_keeps_a_start_from_a_cancelled_nursery)
{
    weft_nursery outer, n;
    weft_spawn_opts opts = {.unless_cancelled = true};
    struct server s = {.before = 0};
    struct starter st = {.n = &n, .server = &s, .opts = &opts};
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_spawn(&outer, starts, &st), 0);
    CHECK_EQ(weft_yield(), -ECANCELED);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(st.result, -ESHUTDOWN);
    CHECK_EQ(s.entered, 0);
}

TEST(a_failing_clean_up_in_a_cancelled_nursery_is_the_result_of_start)
{
    weft_nursery outer, n;
    struct server bad = {.before = WEFT_FOREVER, .spoiled = -EIO};
    struct starter st = {.n = &n, .server = &bad};
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&outer, starts, &st), 0);
    settle();
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(st.result, -EIO);
}

TEST(when_caller_and_nursery_are_both_cancelled_the_caller_hears_of_it)
{
    weft_nursery outer, n;
    struct server slow = {.before = WEFT_FOREVER, .cleanup = WEFT_MSEC(5)};
    struct starter st = {.n = &n, .server = &slow};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_spawn(&outer, starts, &st), 0);
    settle();
    weft_nursery_cancel(&n, 0, NULL); /* and so outer, which is inside */
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(st.result, -ECANCELED);
    CHECK(st.cancelled);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_deadline_of_the_nursery_stops_a_start_that_is_not_ready)
{
    weft_nursery outer, n;
    struct server slow = {.before = WEFT_FOREVER};
    struct starter st = {.n = &n, .server = &slow};
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_scope_set_deadline(weft_nursery_scope(&n), weft_after(WEFT_MSEC(5)));
    CHECK_EQ(weft_spawn(&outer, starts, &st), 0);
    settle();
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(st.result, -ESHUTDOWN);
    CHECK_EQ(st.at - start, WEFT_MSEC(5));
    CHECK_EQ(slow.reason.kind, WEFT_R_DEADLINE);
}

TEST(on_exit_that_cancels_the_rest_stops_a_pending_start)
{
    weft_nursery outer, n;
    unsigned exits = 0;
    weft_nursery_opts opts = {.on_exit = stops_the_rest, .user = &exits};
    struct server slow = {.before = WEFT_FOREVER};
    struct server first = {.after = WEFT_MSEC(5)};
    struct starter st = {.n = &n, .server = &slow};
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, serves, &first), 0);
    CHECK_EQ(weft_spawn(&outer, starts, &st), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(st.result, -ESHUTDOWN);
    CHECK_EQ(slow.ended, 1);
}

TEST(start_into_a_closed_nursery_is_refused)
{
    weft_nursery n;
    void *value = untouched;
    struct server s = {.before = 0};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_start(&n, serves, &s, &value), -ESHUTDOWN);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(s.entered, 0);
    CHECK_PTR(value, untouched);
}

/* ---- nurseries of other fibers ------------------------------------------ */

/* A fiber that opens *n, and whose body is over at once. */
struct owner {
    weft_nursery n;
    weft_nursery_opts opts;
    struct server *first; /* a child from its body, or NULL */
    bool first_is_daemon;
    bool open, closed;
    int rc;
    weft_time at;
};

static int owns_a_nursery(void *arg)
{
    struct owner *o = arg;
    weft_spawn_opts opts = {.daemon = o->first_is_daemon};
    CHECK_EQ(weft_nursery_open(&o->n, &o->opts), 0);
    o->open = true;
    if (o->first) CHECK_EQ(weft_spawn_ex(&o->n, serves, o->first, &opts), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(2)), 0);
    o->rc = weft_nursery_close(&o->n, 0);
    o->closed = true;
    o->at = weft_now();
    return o->rc;
}

TEST(spn_20_a_pending_start_keeps_a_nursery_open)
{
    weft_nursery outer;
    struct owner o = {.rc = 1};
    struct server s = {.before = WEFT_MSEC(5), .after = WEFT_MSEC(5)};
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_spawn(&outer, owns_a_nursery, &o), 0);
    settle();
    CHECK(o.open);
    CHECK_EQ(weft_start(&o.n, serves, &s, NULL), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5) + 1);
    CHECK(!o.closed);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(o.rc, 0);
    CHECK_EQ(o.at - start, WEFT_MSEC(10) + 1);
}

TEST(spn_20_a_nursery_closes_when_its_last_pending_start_fails)
{
    weft_nursery outer;
    struct owner o = {.rc = 1};
    struct server s = {.before = WEFT_MSEC(5), .early = -EIO};
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_spawn(&outer, owns_a_nursery, &o), 0);
    settle();
    CHECK_EQ(weft_start(&o.n, serves, &s, NULL), -EIO);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(o.rc, 0);
    CHECK_EQ(o.at - start, WEFT_MSEC(5) + 1);
}

TEST(spn_20_a_start_may_come_while_the_nursery_is_closing)
{
    weft_nursery outer;
    struct server first = {.after = WEFT_MSEC(10)};
    struct owner o = {.rc = 1, .first = &first};
    struct server s = {.before = WEFT_MSEC(20), .after = WEFT_MSEC(5)};
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_spawn(&outer, owns_a_nursery, &o), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0); /* its body is over */
    CHECK_EQ(weft_start(&o.n, serves, &s, NULL), 0);
    CHECK(!o.closed);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(o.at - start, WEFT_MSEC(30));
}

TEST(when_the_last_pending_start_fails_the_daemons_are_alone)
{
    weft_nursery outer;
    struct server daemon = {.after = WEFT_FOREVER};
    struct owner o = {.rc = 1, .first = &daemon, .first_is_daemon = true};
    struct server s = {.before = WEFT_MSEC(5), .early = -EIO};
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_spawn(&outer, owns_a_nursery, &o), 0);
    settle();
    CHECK_EQ(weft_start(&o.n, serves, &s, NULL), -EIO);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(o.rc, 0);
    CHECK_EQ(o.at - start, WEFT_MSEC(5) + 1);
    CHECK_EQ(daemon.reason.kind, WEFT_R_DAEMON);
}

TEST(a_daemon_can_be_started)
{
    weft_nursery n;
    weft_spawn_opts opts = {.daemon = true};
    struct server s = {.before = WEFT_MSEC(1), .after = WEFT_FOREVER};
    struct server normal = {.after = WEFT_MSEC(5)};
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start_ex(&n, serves, &s, NULL, &opts), 0);
    CHECK_EQ(weft_start(&n, serves, &normal, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 9), 9);
    CHECK_EQ(s.second, -ECANCELED);
    CHECK_EQ(s.reason.kind, WEFT_R_DAEMON);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(6));
}

TEST(a_started_daemon_that_fails_is_a_failure)
{
    weft_nursery n;
    weft_spawn_opts opts = {.daemon = true};
    struct server s = {.after = WEFT_MSEC(1), .late = -EIO};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start_ex(&n, serves, &s, NULL, &opts), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), -ECANCELED);
    CHECK_EQ(weft_nursery_close(&n, -ECANCELED), -EIO);
}

TEST(a_pending_start_of_a_daemon_hangs_nobody)
{
    weft_nursery outer;
    weft_spawn_opts opts = {.daemon = true};
    struct owner o = {.rc = 1};
    struct server s = {.before = WEFT_MSEC(5), .after = WEFT_FOREVER};
    struct starter st = {.n = &o.n, .server = &s, .opts = &opts};
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_spawn(&outer, owns_a_nursery, &o), 0);
    settle();
    CHECK_EQ(weft_spawn(&outer, starts, &st), 0);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(o.rc, 0);
    CHECK(st.result == 0 || st.result == -ESHUTDOWN);
    CHECK_EQ(s.entered, s.ended);
}

TEST(two_fibers_may_start_into_one_nursery_at_once)
{
    enum { COUNT = 10 };
    static struct server servers[COUNT];
    static struct starter starters[COUNT];
    weft_nursery outer, n;
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    for (int i = 0; i < COUNT; i++) {
        servers[i] = (struct server){.before = WEFT_MSEC(i * 7 % COUNT + 1),
                                     .early = i % 4 == 3 ? -100 - i : 0,
                                     .after = WEFT_MSEC(20),
                                     .value = &servers[i]};
        starters[i] = (struct starter){.n = &n, .server = &servers[i]};
        CHECK_EQ(weft_spawn(&outer, starts, &starters[i]), 0);
    }
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQ(starters[i].result, servers[i].early);
        CHECK_EQ(starters[i].at - start, servers[i].before);
    }
    CHECK_EQ(weft_nursery_count(&n), 8);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* ---- places ------------------------------------------------------------- */

TEST(start_waits_for_a_place_first)
{
    weft_nursery n;
    weft_nursery_opts opts = {.limit = 1};
    weft_time start = weft_now();
    struct server holder = {.after = WEFT_MSEC(5)};
    struct server s = {.before = WEFT_MSEC(5), .after = WEFT_MSEC(5)};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_start(&n, serves, &holder, NULL), 0);
    CHECK_EQ(weft_spawn(&n, serves, &s), -EAGAIN);
    CHECK_EQ(weft_start(&n, serves, &s, NULL), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(10));
    CHECK_EQ(holder.ended, 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(15));
}

TEST(a_start_cancelled_in_the_line_for_a_place_starts_nothing)
{
    weft_nursery n;
    weft_nursery_opts opts = {.limit = 1};
    int rc;
    struct server holder = {.after = WEFT_MSEC(20)};
    struct server s = {.before = WEFT_MSEC(5)};
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_start(&n, serves, &holder, NULL), 0);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_start(&n, serves, &s, NULL);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(s.entered, 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(20));
}

TEST(a_failed_start_gives_its_place_to_the_next)
{
    weft_nursery outer, n;
    weft_nursery_opts opts = {.limit = 1};
    struct server bad = {.before = WEFT_MSEC(5), .early = -EIO};
    struct server good = {.before = WEFT_MSEC(5), .after = WEFT_MSEC(5)};
    struct starter first = {.n = &n, .server = &bad};
    struct starter second = {.n = &n, .server = &good};
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_spawn(&outer, starts, &first), 0);
    settle();
    CHECK_EQ(weft_spawn(&outer, starts, &second), 0);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(first.result, -EIO);
    CHECK_EQ(second.result, 0);
    CHECK_EQ(first.at - start, WEFT_MSEC(5));
    CHECK_EQ(second.at - start, WEFT_MSEC(10));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static int waits_for_a_place(void *arg)
{
    struct starter *s = arg;
    s->result = 1;
    s->result = weft_spawn_wait(s->n, serves, s->server);
    s->at = weft_now();
    return 0;
}

TEST(starts_and_spawns_stand_in_one_line_for_places)
{
    enum { COUNT = 6 };
    static struct server servers[COUNT];
    static struct starter starters[COUNT];
    weft_nursery outer, n;
    weft_nursery_opts opts = {.limit = 1};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    for (int i = 0; i < COUNT; i++) {
        servers[i] = (struct server){.after = WEFT_MSEC(5)};
        starters[i] = (struct starter){.n = &n, .server = &servers[i]};
        CHECK_EQ(weft_spawn(&outer, i % 2 ? starts : waits_for_a_place,
                            &starters[i]),
                 0);
        settle();
    }
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQ(starters[i].result, 0);
        if (i > 0) CHECK(starters[i].at > starters[i - 1].at);
    }
}

TEST(a_start_in_line_for_a_place_hears_of_the_cancel_of_the_nursery)
{
    weft_nursery outer, n;
    weft_nursery_opts opts = {.limit = 1};
    struct server holder = {.after = WEFT_FOREVER}, s = {.before = 1};
    struct starter st = {.n = &n, .server = &s};
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_start(&n, serves, &holder, NULL), 0);
    CHECK_EQ(weft_spawn(&outer, starts, &st), 0);
    settle();
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(st.result, -ESHUTDOWN);
    CHECK_EQ(s.entered, s.ended);
}

TEST(a_start_without_memory_leaves_the_nursery_as_it_was)
{
    weft_nursery n;
    weft_nursery_opts opts = {.limit = 1};
    weft_spawn_opts huge = {.stack_size = SIZE_MAX / 2};
    struct server s = {.after = 1};
    void *value = untouched;
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_start_ex(&n, serves, &s, &value, &huge), -ENOMEM);
    }
    CHECK_PTR(value, untouched);
    CHECK_EQ(s.entered, 0);
    CHECK_EQ(weft_nursery_count(&n), 0);
    CHECK_EQ(weft_start(&n, serves, &s, &value), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_place_that_could_not_be_used_goes_to_the_next_in_line)
{
    weft_nursery outer, n;
    weft_nursery_opts opts = {.limit = 1};
    weft_spawn_opts huge = {.stack_size = SIZE_MAX / 2};
    struct server holder = {.after = WEFT_MSEC(5)}, a = {.before = 1};
    struct server b = {.before = 1, .after = 1};
    struct starter first = {.n = &n, .server = &a, .opts = &huge};
    struct starter second = {.n = &n, .server = &b};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_start(&n, serves, &holder, NULL), 0);
    CHECK_EQ(weft_spawn(&outer, starts, &first), 0);
    settle();
    CHECK_EQ(weft_spawn(&outer, starts, &second), 0);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(first.result, -ENOMEM);
    CHECK_EQ(second.result, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static int ends_and_cancels_the_starter(void *arg)
{
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    if (arg) weft_scope_cancel(arg, -EINTR, NULL);
    return 0;
}

TEST(a_place_given_in_the_turn_of_a_cancel_is_not_lost)
{
    weft_nursery outer, n;
    weft_nursery_opts opts = {.limit = 1};
    struct server s = {.before = WEFT_MSEC(1)};
    struct starter st = {.n = &n, .server = &s};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_spawn(&n, ends_and_cancels_the_starter, NULL), 0);
    CHECK_EQ(weft_spawn(&outer, starts, &st), 0);
    CHECK_EQ(weft_spawn(&outer, ends_and_cancels_the_starter, &st.scope), 0);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(st.result, -ECANCELED);
    CHECK_EQ(s.entered, s.ended);
    CHECK_EQ(weft_nursery_count(&n), 0);
    CHECK_EQ(weft_spawn(&n, returns, &(int){0}), 0);
    CHECK_EQ(weft_spawn(&n, returns, &(int){0}), -EAGAIN);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_child_that_is_ready_in_the_moment_of_the_deadline_is_not_lost)
{
    weft_nursery n;
    int rc;
    void *value = untouched;
    struct server s = {
        .before = WEFT_MSEC(5), .after = WEFT_MSEC(5), .value = &s};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_start(&n, serves, &s, &value);
        if (rc == 0) {
            CHECK_PTR(value, &s);
            CHECK_EQ(s.started, 0);
        } else {
            CHECK_EQ(rc, -ECANCELED);
            CHECK_EQ(s.ended, 1);
            CHECK_EQ(weft_nursery_count(&n), 0);
        }
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(s.ended, 1);
}

/* ---- tasks -------------------------------------------------------------- */

TEST(a_started_child_can_be_joined)
{
    weft_nursery n;
    weft_task task;
    weft_outcome out;
    weft_spawn_opts opts = {.task = &task, .user = &n};
    struct server s = {.before = 1, .after = WEFT_MSEC(5), .late = 6};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start_ex(&n, serves, &s, NULL, &opts), 0);
    CHECK(!weft_task_done(&task));
    CHECK_PTR(weft_task_user(&task), &n);
    CHECK_EQ(weft_join(&task, &out), 0);
    CHECK_EQ(s.ended, 1);
    CHECK_EQ(out.status, WEFT_OK);
    CHECK_EQ(out.rc, 6);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(the_task_of_a_failed_start_tells_how_it_failed)
{
    weft_nursery n;
    weft_task task;
    weft_outcome out;
    weft_spawn_opts opts = {.task = &task};
    struct server bad = {.before = 1, .early = -EIO};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start_ex(&n, serves, &bad, NULL, &opts), -EIO);
    CHECK(weft_task_done(&task));
    CHECK_EQ(weft_join(&task, &out), 0);
    CHECK_EQ(out.status, WEFT_FAILED);
    CHECK_EQ(out.rc, -EIO);
    CHECK(out.err != NULL);
    CHECK_STR(out.err->msg, "no port 80");
    CHECK_STR(weft_last_error()->msg, "no port 80"); /* start's as well */
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_STR(out.err->msg, "no port 80");
}

TEST(cancelling_the_task_of_a_started_child_stops_it_alone)
{
    weft_nursery n;
    weft_task task;
    weft_spawn_opts opts = {.task = &task};
    struct server s = {.before = 1, .after = WEFT_FOREVER};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start_ex(&n, serves, &s, NULL, &opts), 0);
    weft_task_cancel(&task, -EINTR, "alone");
    CHECK_EQ(weft_nursery_close(&n, 8), 8);
    CHECK_EQ(s.second, -ECANCELED);
    CHECK_STR(s.reason.why, "alone");
}

TEST(cancelling_the_task_of_a_child_that_is_not_ready_ends_the_start)
{
    weft_nursery outer, n;
    weft_task task;
    weft_spawn_opts opts = {.task = &task};
    struct server slow = {.before = WEFT_FOREVER};
    struct starter st = {.n = &n, .server = &slow, .opts = &opts};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_spawn(&outer, starts, &st), 0);
    settle();
    weft_task_cancel(&task, -EINTR, "alone");
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK(st.result < 0);
    CHECK(!st.cancelled);
    CHECK_EQ(slow.ended, 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_doneq_is_told_of_a_started_child)
{
    weft_nursery n;
    weft_task good_task, bad_task, *done;
    weft_doneq q;
    struct server good = {.before = 1, .after = WEFT_MSEC(5)};
    struct server bad = {.before = 1, .early = -EIO};
    weft_doneq_init(&q);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_spawn_opts opts = {.task = &good_task, .doneq = &q};
    CHECK_EQ(weft_start_ex(&n, serves, &good, NULL, &opts), 0);
    opts.task = &bad_task;
    CHECK_EQ(weft_start_ex(&n, serves, &bad, NULL, &opts), -EIO);
    CHECK_EQ(weft_next_done(&q, &done), 1);
    CHECK_PTR(done, &bad_task);
    CHECK_EQ(weft_next_done(&q, &done), 1);
    CHECK_PTR(done, &good_task);
    CHECK_EQ(weft_next_done(&q, &done), 0);
    opts.task = NULL;
    CHECK_EQ(weft_start_ex(&n, serves, &bad, NULL, &opts), -EINVAL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_start_that_starts_nothing_leaves_task_and_doneq_alone)
{
    weft_nursery n, closed;
    weft_task task = {.id_ = 0}, *done;
    weft_doneq q;
    weft_nursery_opts limit = {.limit = 1};
    weft_spawn_opts opts = {.task = &task, .doneq = &q};
    weft_spawn_opts huge = opts;
    struct server s = {.before = 1}, holder = {.after = WEFT_MSEC(20)};
    int rc;
    huge.stack_size = SIZE_MAX / 2;
    weft_doneq_init(&q);
    CHECK_EQ(weft_nursery_open(&closed, NULL), 0);
    CHECK_EQ(weft_nursery_close(&closed, 0), 0);
    CHECK_EQ(weft_nursery_open(&n, &limit), 0);

    CHECK_EQ(weft_start_ex(&closed, serves, &s, NULL, &opts), -ESHUTDOWN);
    CHECK_EQ(weft_start_ex(&n, serves, &s, NULL, &huge), -ENOMEM);
    WEFT_MOVE_ON_AFTER(rc, -1) {
        rc = weft_start_ex(&n, serves, &s, NULL, &opts);
        CHECK_EQ(rc, -ECANCELED);
    }
    CHECK_EQ(weft_start(&n, serves, &holder, NULL), 0);
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_start_ex(&n, serves, &s, NULL, &opts);
        CHECK_EQ(rc, -ECANCELED);
    }
    CHECK_EQ(s.entered, 0);
    CHECK_EQ(weft_next_done(&q, &done), 0); /* and does not wait */
    CHECK_EQ(weft_join(&task, NULL), -EINVAL);
    CHECK(!weft_task_done(&task));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* ---- starts inside of starts -------------------------------------------- */

struct level {
    unsigned depth;
    weft_time before; /* of the innermost */
    int bottom;       /* its failure, or 0 */
    unsigned *alive;
};

/* Starts the next level, and is ready when that is. */
static int starts_the_next_level(void *arg)
{
    struct level *l = arg, next = *l;
    void *value = NULL;
    int rc;
    ++*l->alive;
    if (l->depth == 0) {
        rc = weft_sleep(l->before);
        if (rc == 0 && l->bottom < 0) rc = weft_fail(l->bottom, "bottom");
        if (rc == 0) rc = weft_started(untouched);
        if (rc == 0) rc = weft_sleep_until(WEFT_FOREVER);
        --*l->alive;
        return rc;
    }
    next.depth--;
    WEFT_NURSERY(n, rc) {
        rc = weft_start(&n, starts_the_next_level, &next, &value);
        if (rc == 0) rc = weft_started(value);
    }
    --*l->alive;
    return rc;
}

TEST(starts_inside_of_starts_get_ready_from_the_inside_out)
{
    weft_nursery n;
    unsigned alive = 0;
    void *value = NULL;
    struct level top = {20, WEFT_MSEC(5), 0, &alive};
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start(&n, starts_the_next_level, &top, &value), 0);
    CHECK_PTR(value, untouched);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5));
    CHECK_EQ(alive, 21);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(alive, 0);
}

TEST(a_cancel_goes_through_starts_inside_of_starts)
{
    weft_nursery n;
    unsigned alive = 0;
    int rc;
    struct level top = {20, WEFT_FOREVER, 0, &alive};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_start(&n, starts_the_next_level, &top, NULL);
        CHECK_EQ(alive, 0);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_failure_goes_through_starts_inside_of_starts)
{
    weft_nursery n;
    unsigned alive = 0;
    struct level top = {20, WEFT_MSEC(5), -EIO, &alive};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start(&n, starts_the_next_level, &top, NULL), -EIO);
    CHECK_EQ(alive, 0);
    CHECK(mentions(weft_last_error(), "bottom"));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* A child that starts its sister in its own nursery before it is ready. */
struct sister {
    weft_nursery *n;
    struct server *server;
    int result;
};

static int starts_a_sister(void *arg)
{
    struct sister *s = arg;
    void *value;
    s->result = weft_start(s->n, serves, s->server, &value);
    if (s->result < 0) return s->result;
    CHECK_EQ(weft_started(value), 0);
    return 0;
}

TEST(a_child_may_start_another_in_its_own_nursery)
{
    weft_nursery n;
    struct server server = {
        .before = WEFT_MSEC(1), .after = WEFT_MSEC(5), .value = &server};
    struct sister sister = {&n, &server, 1};
    void *value = NULL;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start(&n, starts_a_sister, &sister, &value), 0);
    CHECK_PTR(value, &server);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(server.second, 0);

    struct server bad = {.before = 1, .early = -EIO};
    sister.server = &bad;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start(&n, starts_a_sister, &sister, &value), -EIO);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_cancel_reaches_the_sister_that_a_child_is_starting)
{
    weft_nursery n;
    int rc;
    struct server slow = {.before = WEFT_FOREVER, .cleanup = WEFT_MSEC(5)};
    struct sister sister = {&n, &slow, 1};
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_start(&n, starts_a_sister, &sister, NULL);
        CHECK_EQ(slow.ended, 1);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(sister.result, -ECANCELED);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(10));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_child_of_a_closing_nursery_may_start_another_there)
{
    weft_nursery n;
    weft_time start = weft_now();
    struct server server = {.before = WEFT_MSEC(5), .after = WEFT_MSEC(5)};
    struct sister sister = {&n, &server, 1};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, starts_a_sister, &sister), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(sister.result, 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(10));
}

/* ---- with deferred functions -------------------------------------------- */

static void notes_the_time(void *arg)
{
    CHECK_EQ(weft_sleep(WEFT_MSEC(10)), 0);
    *(weft_time *)arg = weft_now();
}

static weft_time deferred_at;

static int fails_with_something_deferred(void *arg)
{
    CHECK_EQ(weft_defer(notes_the_time, &deferred_at), 0);
    int rc = weft_sleep(*(weft_time *)arg);
    return rc < 0 ? rc : weft_fail(-EIO, "first");
}

TEST(start_waits_for_the_deferred_functions_of_a_child_that_failed)
{
    weft_nursery n;
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start(&n, fails_with_something_deferred,
                        &(weft_time){WEFT_MSEC(1)}, NULL),
             -EIO);
    CHECK_EQ(deferred_at - start, WEFT_MSEC(11));
    CHECK_EQ(weft_now() - start, WEFT_MSEC(11));
    CHECK_EQ(weft_nursery_count(&n), 0);
    CHECK(mentions(weft_last_error(), "first"));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_cancelled_start_waits_for_the_deferred_functions_of_its_child)
{
    weft_nursery n;
    int rc;
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_start(&n, fails_with_something_deferred,
                        &(weft_time){WEFT_FOREVER}, NULL);
        CHECK_EQ(deferred_at - start, WEFT_MSEC(15));
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_child_that_has_failed_has_failed_although_a_cancel_comes_afterwards)
{
    weft_nursery n;
    int rc;
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_start(&n, fails_with_something_deferred,
                        &(weft_time){WEFT_MSEC(1)}, NULL);
        CHECK_EQ(rc, -EIO);
        CHECK_EQ(weft_now() - start, WEFT_MSEC(11));
    }
    CHECK_EQ(rc, -EIO);
    CHECK(mentions(weft_last_error(), "first"));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

struct of_deferred {
    weft_nursery n;
    struct server server;
    int result;
    weft_time at;
};

static void starts_something_slow(void *arg)
{
    struct of_deferred *d = arg;
    CHECK_EQ(weft_nursery_open(&d->n, NULL), 0);
    d->result = weft_start(&d->n, serves, &d->server, NULL);
    d->at = weft_now();
    (void)!weft_nursery_close(&d->n, 0);
}

static int defers_a_start(void *arg)
{
    CHECK_EQ(weft_defer(starts_something_slow, arg), 0);
    return 0;
}

TEST(a_start_in_a_deferred_function_has_the_grace_to_get_ready)
{
    weft_nursery n;
    weft_nursery_opts opts = {.cleanup_grace = WEFT_MSEC(10)};
    struct of_deferred slow = {.server = {.before = WEFT_FOREVER}};
    struct of_deferred fast = {.server = {.before = WEFT_MSEC(5)}};
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, defers_a_start, &slow), 0);
    CHECK_EQ(weft_spawn(&n, defers_a_start, &fast), 0);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(fast.result, 0);
    CHECK_EQ(fast.server.second, 0);
    CHECK_EQ(slow.result, -ECANCELED);
    CHECK_EQ(slow.at - start, WEFT_MSEC(10));
    CHECK_EQ(slow.server.ended, 1);
}

static void says_that_it_is_ready(void *arg)
{
    (void)weft_started(arg);
}

static int defers_being_ready(void *arg)
{
    CHECK_EQ(weft_defer(says_that_it_is_ready, arg), 0);
    return 0;
}

TEST(being_ready_in_a_deferred_function_hangs_nobody)
{
    weft_nursery n;
    void *value = untouched;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    int rc = weft_start(&n, defers_being_ready, &n, &value);
    CHECK(rc == 0 || rc == -EPROTO);
    CHECK_PTR(value, rc == 0 ? (void *)&n : (void *)untouched);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static int fails_and_defers_being_ready(void *arg)
{
    CHECK_EQ(weft_defer(says_that_it_is_ready, arg), 0);
    return -EIO;
}

TEST(to_be_ready_in_a_deferred_function_does_not_undo_a_failure)
{
    weft_nursery n;
    void *value = untouched;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_start(&n, fails_and_defers_being_ready, &n, &value), -EIO);
    CHECK_PTR(value, untouched);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* ---- many, at every moment, and without memory -------------------------- */

TEST(a_thousand_starts_in_a_row_leave_nothing_behind)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 1000; i++) {
        void *value = NULL;
        int item = i % 3 == 0 ? -EIO : 0;
        if (i % 3 == 0) {
            CHECK_EQ(weft_start(&n, returns, &item, &value), -EIO);
        } else {
            CHECK_EQ(weft_start(&n, is_ready_and_ends, &item, &value), 0);
            CHECK_PTR(value, &item);
            settle(); /* until it has let go of `item` */
        }
        CHECK_EQ(weft_checkpoint(), 0);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

enum { CLIENTS = 4 };

static struct {
    unsigned running; /* servers */
    struct client {
        int number;
        bool alive;
        int result;
    } clients[CLIENTS];
    weft_nursery shared;
    bool shared_is_open;
} swept;

static int swept_server(void *arg)
{
    struct client *c = arg;
    swept.running++;
    c->alive = true;
    int rc = weft_sleep(WEFT_MSEC(2));
    if (rc == 0) rc = weft_yield();
    if (rc == 0) rc = weft_started(c);
    if (rc == 0) rc = weft_sleep(WEFT_MSEC(3));
    swept.running--;
    c->alive = false;
    return rc;
}

static int owns_the_shared_nursery(void *arg)
{
    (void)arg;
    weft_nursery_opts opts = {.limit = 2};
    int rc = weft_nursery_open(&swept.shared, &opts);
    if (rc < 0) return rc;
    swept.shared_is_open = true;
    rc = weft_sleep(WEFT_MSEC(4));
    return weft_nursery_close(&swept.shared, rc);
}

static int starts_in_the_shared_nursery(void *arg)
{
    struct client *c = arg;
    void *value = NULL;
    int rc = weft_sleep(WEFT_MSEC(1));
    if (rc < 0 || !swept.shared_is_open) return rc;
    rc = weft_start(&swept.shared, swept_server, c, &value);
    c->result = rc;
    if (rc == 0) {
        CHECK_PTR(value, c);
        return 0;
    }
    CHECK(!c->alive); /* it has ended, or never was */
    CHECK(rc == -ECANCELED || rc == -ESHUTDOWN ||
          (rc == -ENOMEM && sweep_short_of_memory()));
    return rc == -ESHUTDOWN ? 0 : rc;
}

static int starts_in_its_own_nursery(void *arg)
{
    struct client *c = arg;
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_start(&n, swept_server, c, NULL);
        CHECK(rc == 0 || !c->alive);
        if (rc == -ESHUTDOWN) rc = 0; /* the server alone was struck */
    }
    return rc;
}

static void start_the_swept_work(weft_nursery *n)
{
    memset(&swept, 0, sizeof swept);
    sweep_spawn(n, owns_the_shared_nursery, NULL);
    for (int i = 0; i < CLIENTS; i++) {
        swept.clients[i].number = i;
        sweep_spawn(n,
                    i == 0 ? starts_in_its_own_nursery
                           : starts_in_the_shared_nursery,
                    &swept.clients[i]);
    }
}

static void check_the_swept_work(void)
{
    CHECK_EQ(swept.running, 0);
    for (int i = 0; i < CLIENTS; i++) {
        CHECK(!swept.clients[i].alive);
    }
}

SWEEP(a_start_cancelled_at_any_moment_leaves_no_child, start_the_swept_work,
      check_the_swept_work, 0);

static weft_event never = WEFT_EVENT_INIT;
static bool cleaned_up;

static int is_never_ready(void *arg)
{
    int cleaned;
    (void)arg;
    int rc = weft_event_wait(&never);
    CHECK_EQ(weft_cancel_reason()->kind, WEFT_R_DEADLOCK);
    WEFT_SHIELD(cleaned, WEFT_SEC(1))
        cleaned = weft_sleep(1);
    cleaned_up = cleaned == 0;
    return rc;
}

static int main_starts_what_is_never_ready(void *arg)
{
    int rc;
    weft_spawn_opts opts = {.name = "sluggard"};
    (void)arg;
    WEFT_NURSERY(n, rc) {
        rc = weft_start_ex(&n, is_never_ready, NULL, NULL, &opts);
    }
    return rc;
}

static void runs_into_a_deadlock(void *arg)
{
    weft_run_opts o = {.virtual_clock = true};
    CHECK_EQ(weft_run(main_starts_what_is_never_ready, arg, &o), -EDEADLK);
    CHECK(cleaned_up);
}

TEST_PLAIN(a_start_that_nothing_will_end_is_a_deadlock)
{
    static struct ending e;
    run_in_process(runs_into_a_deadlock, NULL, &e);
    CHECK_EQ(e.status, 0);
    CHECK(strstr(e.said, "deadlock") != NULL);
    CHECK(strstr(e.said, "sluggard") != NULL);
}

#ifdef WEFT_HOSTILE
static int starts_without_memory(void *arg)
{
    static struct server servers[4];
    int rc, failed = 0;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 4; i++) {
            void *value = untouched;
            servers[i] = (struct server){
                .before = 1, .early = i == 2 ? -EIO : 0, .value = &n};
            int err = weft_start(&n, serves, &servers[i], &value);
            if (err == -ENOMEM) {
                CHECK_EQ(servers[i].entered, 0);
                CHECK_PTR(value, untouched);
                failed++;
            } else {
                CHECK_EQ(err, servers[i].early);
                CHECK_EQ(servers[i].entered, 1);
            }
        }
    }
    CHECK_EQ(rc, 0);
    return failed ? -ENOMEM : 0;
}

TEST_PLAIN(a_start_without_memory_says_so_and_starts_nothing)
{
    fail_each(starts_without_memory, WF_CALL_ALLOC);
    fail_each(starts_without_memory, WF_CALL_MMAP);
}
#endif
