/* SPDX-License-Identifier: MIT */
/* test_nursery_cancel.c - who stopped whom: the order of the answers. */
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/time.h>

#include "fibers.h"
#include "harness.h"
#include "open.h"

static int fails_when_cancelled(void *arg)
{
    CHECK_EQ(weft_sleep_until(WEFT_FOREVER), -ECANCELED);
    return *(int *)arg;
}

static int cancels_its_nursery(void *arg)
{
    weft_nursery_cancel(arg, -EINTR, "by a child");
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    return 0;
}

TEST(a_child_may_cancel_its_own_nursery)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, waits_for_ever, NULL), 0);
    CHECK_EQ(weft_spawn(&n, cancels_its_nursery, &n), 0);
    CHECK_EQ(weft_sleep_until(WEFT_FOREVER), -ECANCELED);
    CHECK_EQ(weft_cancel_reason()->kind, WEFT_R_EXPLICIT);
    CHECK_STR(weft_cancel_reason()->why, "by a child");
    CHECK_EQ(weft_nursery_close(&n, -ECANCELED), -EINTR);
}

TEST(a_child_may_cancel_a_nursery_that_is_closing)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, waits_for_ever, NULL), 0);
    CHECK_EQ(weft_spawn(&n, cancels_its_nursery, &n), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EINTR);
}

TEST(an_outer_cancel_beats_the_code_of_the_nurserys_own)
{
    weft_scope s;
    weft_nursery n;
    open_scope(&s);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, waits_for_ever, NULL), 0);
    CHECK_EQ(weft_yield(), 0);
    weft_nursery_cancel(&n, -EINTR, NULL);
    weft_scope_cancel(&s, -EPROTO, NULL);
    int rc = weft_nursery_close(&n, 0);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, rc), -EPROTO);
}

TEST(a_failure_beats_an_outer_cancel)
{
    weft_scope s;
    weft_nursery n;
    open_scope(&s);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, waits_for_ever, NULL), 0);
    CHECK_EQ(weft_spawn(&n, fails_when_cancelled, &(int){-EIO}), 0);
    CHECK_EQ(weft_yield(), 0);
    weft_scope_cancel(&s, 0, NULL);
    int rc = weft_nursery_close(&n, -ECANCELED);
    CHECK_EQ(rc, -EIO);
    CHECK_EQ(weft_checkpoint(), -ECANCELED); /* level: still so */
    CHECK_EQ(weft_scope_end(&s, rc), -EIO);
    CHECK(!weft_scope_caught(&s));
}

TEST(a_failure_beats_the_nurserys_own_cancel)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, fails_when_cancelled, &(int){-EIO}), 0);
    CHECK_EQ(weft_yield(), 0);
    weft_nursery_cancel(&n, -EINTR, NULL);
    CHECK_EQ(weft_nursery_close(&n, -ECANCELED), -EIO);
}

TEST(a_body_that_was_stopped_from_outside_says_so)
{
    weft_scope s;
    weft_nursery n;
    open_scope(&s);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_scope_cancel(&s, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, -ECANCELED), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), 0);
}

static weft_outcome outcome;

static weft_verdict keep_outcome(weft_nursery *n, uint64_t child,
                                 weft_outcome o, void *user)
{
    (void)n;
    (void)child;
    (void)user;
    outcome = o;
    return WEFT_CONTINUE;
}

TEST(a_foreign_ecanceled_of_a_child_is_a_failure)
{
    weft_nursery n;
    weft_nursery_opts opts = {.on_exit = keep_outcome};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, returns, &(int){-ECANCELED}), 0);
    CHECK_EQ(weft_sleep_until(WEFT_FOREVER), -ECANCELED);
    CHECK_EQ(weft_cancel_reason()->kind, WEFT_R_SIBLING);
    CHECK_EQ(outcome.status, WEFT_FAILED);
    CHECK_EQ(outcome.rc, -ECANCELED);
    CHECK_EQ(weft_nursery_close(&n, -ECANCELED), -ECANCELED);
    CHECK_EQ(weft_last_error()->code, -ECANCELED);
}

static int leaks_its_inner_cancel(void *arg)
{
    weft_scope s;
    (void)arg;
    open_cancelled_scope(&s);
    int rc = weft_checkpoint();
    CHECK_EQ(weft_scope_end(&s, rc), 0);
    return rc;
}

TEST(an_ecanceled_leaked_from_an_inner_scope_is_a_failure)
{
    weft_nursery n;
    weft_nursery_opts opts = {.policy = WEFT_COLLECT, .on_exit = keep_outcome};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, leaks_its_inner_cancel, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -ECANCELED);
    CHECK_EQ(outcome.status, WEFT_FAILED);
}

TEST(a_foreign_ecanceled_of_the_body_is_a_failure)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, waits_for_ever, NULL), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_nursery_close(&n, -ECANCELED), -ECANCELED);
    CHECK_EQ(weft_checkpoint(), 0);
}

TEST(a_cancelled_child_has_a_quiet_outcome)
{
    weft_nursery n;
    weft_nursery_opts opts = {.on_exit = keep_outcome};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, waits_for_ever, NULL), 0);
    CHECK_EQ(weft_yield(), 0);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(outcome.status, WEFT_CANCELLED);
    CHECK_EQ(outcome.rc, -ECANCELED);
}

static int closes_a_nursery_of_its_own(void *arg)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, waits_for_ever, NULL), 0);
    int rc = weft_nursery_close(&n, 0);
    *(int *)arg = rc;
    return rc;
}

TEST(a_cancel_reaches_the_children_of_a_closing_fiber)
{
    weft_nursery n;
    int inner = 1;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, closes_a_nursery_of_its_own, &inner), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    weft_nursery_cancel(&n, -EINTR, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), -EINTR);
    CHECK_EQ(inner, -ECANCELED);
}

TEST(a_cancel_inside_does_not_reach_outside)
{
    weft_nursery outer, inner;
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_nursery_open(&inner, NULL), 0);
    int err = -1;
    CHECK_EQ(weft_spawn(&outer, returns, &err), 0);
    err = 0;
    weft_nursery_cancel(&inner, -EINTR, NULL);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_nursery_close(&inner, -ECANCELED), -EINTR);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK(!weft_scope_cancel_called(weft_nursery_scope(&outer)));
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
}

static unsigned deadline_seen;

static int notes_the_deadline(void *arg)
{
    int rc = waits_for_ever(arg);
    deadline_seen += weft_cancel_reason()->kind == WEFT_R_DEADLINE;
    return rc;
}

TEST(a_nursery_can_have_a_deadline)
{
    weft_nursery n;
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_scope_set_deadline(weft_nursery_scope(&n), weft_after(WEFT_MSEC(5)));
    CHECK_EQ(weft_spawn(&n, notes_the_deadline, NULL), 0);
    CHECK_EQ(weft_deadline(), start + WEFT_MSEC(5));
    (void)!weft_nursery_close(&n, 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5));
    CHECK_EQ(deadline_seen, 1);
    CHECK_EQ(weft_deadline(), WEFT_FOREVER);
}

TEST(a_shielded_nursery_outlives_the_cancel_around_it)
{
    weft_scope s;
    weft_nursery n;
    open_scope(&s);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_scope_set_shield(weft_nursery_scope(&n), true);
    weft_scope_cancel(&s, 0, NULL);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_spawn(&n, returns, &(int){0}), 0);
    CHECK_EQ(weft_nursery_close(&n, weft_sleep(1)), 0);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), 0);
}

static int opens_another(void *arg)
{
    int *depth = arg, rc;
    if (--*depth == 0) return weft_fail(-EIO, "at the bottom");
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, opens_another, depth);
    }
    return rc;
}

TEST(a_failure_climbs_through_many_nurseries)
{
    weft_nursery n;
    int depth = 100;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, opens_another, &depth), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    CHECK_EQ(depth, 0);

    unsigned levels = 0;
    const weft_error *e = weft_last_error();
    for (; e->inner; e = e->inner) {
        CHECK_EQ(e->code, -EIO);
        CHECK(e->next == NULL);
        levels++;
    }
    CHECK_STR(e->msg, "at the bottom");
    CHECK_EQ(levels, 99);
}

TEST(a_group_of_one_is_a_group_too)
{
    weft_nursery n;
    int depth = 2;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, opens_another, &depth), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    const weft_error *e = weft_last_error();
    CHECK_EQ(e->code, -EIO);
    CHECK(e->inner != NULL);
    CHECK_STR(e->inner->msg, "at the bottom");
}

TEST(many_children_are_stopped_by_one_cancel)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 300; i++) {
        CHECK_EQ(weft_spawn(&n, waits_for_ever, NULL), 0);
    }
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_nursery_count(&n), 300);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_count(&n), 300); /* it never parks */
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}
