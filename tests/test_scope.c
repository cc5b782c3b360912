/* SPDX-License-Identifier: MIT */
/* test_scope.c - cancelling, nesting, and what the end of a scope answers. */
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <stdlib.h>

#include "harness.h"
#include "open.h"

TEST(sco_01_every_cancel_point_of_a_cancelled_scope_fails)
{
    weft_scope s;
    open_scope(&s);
    weft_scope_cancel(&s, 0, "first");
    weft_scope_cancel(&s, -EIO, "second");
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_yield(), -ECANCELED);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), -ECANCELED);
    CHECK(weft_cancelled());
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), 0);
    CHECK(weft_scope_caught(&s));
    CHECK(!weft_cancelled());
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
}

TEST(sco_02_a_cancel_that_nobody_noticed_is_not_caught)
{
    weft_scope s;
    open_scope(&s);
    weft_scope_cancel(&s, -EIO, NULL);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    CHECK(weft_scope_cancel_called(&s));
    CHECK(!weft_scope_caught(&s));

    open_scope(&s);
    weft_scope_cancel(&s, -EIO, NULL);
    CHECK_EQ(weft_scope_end(&s, 42), 42);
    CHECK(!weft_scope_caught(&s));
}

TEST(sco_03_another_error_is_not_turned_into_a_timeout)
{
    weft_scope s;
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin_after(&s, WEFT_MSEC(1), WEFT_FAIL), 0);
    CHECK_EQ(weft_sleep(WEFT_SEC(1)), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, -EIO), -EIO);
    CHECK(!weft_scope_caught(&s));
}

TEST(sco_04_the_outermost_cancelled_scope_catches)
{
    weft_scope outer, middle, inner;
    open_scope(&outer);
    open_scope(&middle);
    open_scope(&inner);
    weft_scope_cancel(&inner, -EIO, NULL);
    weft_scope_cancel(&middle, -EPROTO, NULL);
    int rc = weft_checkpoint();
    CHECK_EQ(rc, -ECANCELED);
    rc = weft_scope_end(&inner, rc);
    CHECK_EQ(rc, -ECANCELED);
    CHECK(!weft_scope_caught(&inner));
    rc = weft_scope_end(&middle, rc);
    CHECK_EQ(rc, -EPROTO);
    CHECK(weft_scope_caught(&middle));
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_scope_end(&outer, 0), 0);
    CHECK(!weft_scope_cancel_called(&outer));
}

struct unbegun {
    weft_scope scope;
    int checkpoint, end, again;
};

static int begins_it(void *arg)
{
    struct unbegun *u = arg;
    CHECK_EQ(weft_scope_begin(&u->scope), 0);
    u->checkpoint = weft_checkpoint();
    u->again = weft_scope_begin(&u->scope);
    u->end = weft_scope_end(&u->scope, u->checkpoint);
    return 0;
}

TEST(sco_10_a_scope_may_be_cancelled_before_it_begins)
{
    struct unbegun u = {.checkpoint = 1};
    weft_nursery n;
    weft_scope_init(&u.scope);
    weft_scope_cancel(&u.scope, -EIO, "early");
    CHECK(weft_scope_cancel_called(&u.scope));
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, begins_it, &u), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(u.checkpoint, -ECANCELED);
    CHECK_EQ(u.again, -EBUSY);
    CHECK_EQ(u.end, -EIO);
    CHECK_EQ(weft_scope_begin(&u.scope), -EBUSY); /* it had its life */
    CHECK_EQ(weft_checkpoint(), 0);
}

TEST(an_open_scope_of_another_fiber_cannot_be_begun)
{
    weft_scope s;
    open_scope(&s);
    CHECK_EQ(weft_scope_begin(&s), -EBUSY);
    CHECK_EQ(weft_scope_begin_after(&s, 0, WEFT_FAIL), -EBUSY);
    CHECK_EQ(weft_scope_begin_at(&s, 0, WEFT_FAIL), -EBUSY);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_deadline(), WEFT_FOREVER);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
}

TEST(sco_11_scopes_end_from_the_inside_out_and_once)
{
    weft_scope outer, inner;
    open_scope(&outer);
    open_scope(&inner);
    CHECK_EQ(weft_scope_end(&outer, 7), -EBUSY);
    CHECK_EQ(weft_scope_end(&inner, 7), 7);
    CHECK_EQ(weft_scope_end(&inner, 7), -EBUSY);
    CHECK_EQ(weft_scope_end(&outer, 8), 8);
    CHECK_EQ(weft_scope_end(&outer, 8), -EBUSY);
    weft_scope never;
    weft_scope_init(&never);
    CHECK_EQ(weft_scope_end(&never, 0), -EBUSY);
}

static int ends_anothers_scope(void *arg)
{
    CHECK_EQ(weft_scope_end(arg, 0), -EBUSY);
    return 0;
}

TEST(a_scope_cannot_be_ended_by_another_fiber)
{
    weft_nursery n;
    weft_scope s;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    open_scope(&s);
    CHECK_EQ(weft_spawn(&n, ends_anothers_scope, &s), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_scope_end(&s, 1), 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(sco_14_the_first_reason_stays)
{
    weft_scope s;
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin_after(&s, WEFT_MSEC(1), WEFT_FAIL), 0);
    weft_scope_cancel(&s, -EIO, "by hand");
    int shielded;
    WEFT_SHIELD(shielded, WEFT_SEC(1)) {
        shielded = weft_sleep(WEFT_MSEC(5));
    }
    CHECK_EQ(shielded, 0);
    CHECK_EQ(weft_scope_reason(&s)->kind, WEFT_R_EXPLICIT);
    CHECK_STR(weft_scope_reason(&s)->why, "by hand");
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), -EIO);

    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin_after(&s, WEFT_MSEC(1), WEFT_FAIL), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), -ECANCELED);
    weft_scope_cancel(&s, -EIO, "by hand");
    CHECK_EQ(weft_scope_reason(&s)->kind, WEFT_R_DEADLINE);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), -ETIMEDOUT);
}

TEST(sco_16_five_thousand_nested_scopes_are_cancelled_at_once)
{
    enum { DEPTH = 5000 };
    weft_scope *s = calloc(DEPTH, sizeof(*s));
    CHECK(s != NULL);
    for (int i = 0; i < DEPTH; i++) {
        CHECK_EQ(weft_scope_begin(&s[i]), 0);
    }
    weft_scope_cancel(&s[0], -EIO, NULL);
    int rc = weft_checkpoint();
    CHECK_EQ(rc, -ECANCELED);
    for (int i = DEPTH - 1; i > 0; i--) {
        rc = weft_scope_end(&s[i], rc);
        CHECK_EQ(rc, -ECANCELED);
        CHECK(!weft_scope_caught(&s[i]));
    }
    CHECK_EQ(weft_scope_end(&s[0], rc), -EIO);
    CHECK(weft_scope_caught(&s[0]));
    free(s);
}

TEST(sco_17_cancelling_is_not_a_cancel_point)
{
    weft_scope s;
    int statements = 0;
    open_cancelled_scope(&s);
    statements++;
    weft_scope_cancel(&s, 0, NULL);
    statements++;
    CHECK_EQ(statements, 2);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), 0);
}

TEST(sco_19_cancelling_an_ended_scope_does_nothing)
{
    weft_scope outer, s;
    open_scope(&outer);
    open_scope(&s);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    weft_scope_cancel(&s, -EIO, NULL);
    weft_scope_set_deadline(&s, 0);
    weft_scope_set_shield(&s, true);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(weft_scope_end(&outer, 0), 0);
}

static int returns_an_unmapped_ecanceled(void *arg)
{
    weft_scope s;
    (void)arg;
    open_scope(&s);
    return weft_scope_end(&s, -ECANCELED);
}

TEST(sco_20_an_ecanceled_from_nowhere_stays_and_fails_the_nursery)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, returns_an_unmapped_ecanceled, NULL), 0);
    CHECK_EQ(weft_sleep_until(WEFT_FOREVER), -ECANCELED);
    CHECK_EQ(weft_cancel_reason()->kind, WEFT_R_SIBLING);
    CHECK_EQ(weft_nursery_close(&n, -ECANCELED), -ECANCELED);
    CHECK_EQ(weft_last_error()->code, -ECANCELED);
}

static int forgets_to_end(void *arg)
{
    return weft_scope_begin((weft_scope *)arg);
}

TEST_DEATH(a_fiber_that_ends_with_an_open_scope_is_fatal, "test_scope.c:")
{
    weft_scope s;
    weft_scope_init(&s);
    (void)!weft_run(forgets_to_end, &s, NULL);
}

TEST(a_reason_is_there_only_when_cancelled)
{
    weft_scope s;
    open_scope(&s);
    CHECK(weft_scope_reason(&s) == NULL);
    CHECK(weft_cancel_reason() == NULL);
    weft_scope_cancel(&s, -EIO, "text");
    const weft_reason *r = weft_scope_reason(&s);
    CHECK(r != NULL);
    CHECK_EQ(r->code, -EIO);
    CHECK_EQ(r->by, weft_fiber_id());
    CHECK_EQ(r->at, weft_now());
    CHECK_STR(r->why, "text");
    CHECK_STR(weft_cancel_reason()->why, "text");
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), -EIO);
}

TEST(an_inner_scope_has_no_reason_of_its_own_when_the_outer_is_cancelled)
{
    weft_scope outer, inner;
    open_scope(&outer);
    open_scope(&inner);
    weft_scope_cancel(&outer, 0, "outer");
    CHECK(weft_scope_reason(&inner) == NULL);
    CHECK(!weft_scope_cancel_called(&inner));
    CHECK_STR(weft_cancel_reason()->why, "outer");
    weft_scope_cancel(&inner, 0, "inner");
    CHECK_STR(weft_scope_reason(&inner)->why, "inner");
    CHECK_STR(weft_cancel_reason()->why, "outer");
    CHECK_EQ(weft_scope_end(&inner, -ECANCELED), -ECANCELED);
    CHECK_EQ(weft_scope_end(&outer, -ECANCELED), 0);
}

TEST(the_outermost_reason_is_reported_even_if_it_came_later)
{
    weft_scope outer, inner;
    open_scope(&outer);
    open_scope(&inner);
    weft_scope_cancel(&inner, 0, "inner");
    CHECK_STR(weft_cancel_reason()->why, "inner");
    weft_scope_cancel(&outer, 0, "outer");
    CHECK_STR(weft_cancel_reason()->why, "outer");
    CHECK_EQ(weft_scope_end(&inner, -ECANCELED), -ECANCELED);
    CHECK_EQ(weft_scope_end(&outer, -ECANCELED), 0);
}

struct sleeper {
    weft_scope scope;
    int inside, after;
};

static int sleeps_in_a_scope(void *arg)
{
    struct sleeper *s = arg;
    open_scope(&s->scope);
    s->inside = weft_sleep_until(WEFT_FOREVER);
    CHECK_EQ(weft_scope_end(&s->scope, s->inside), -EIO);
    s->after = weft_sleep(1);
    return 0;
}

TEST(a_parked_fiber_wakes_when_its_scope_is_cancelled)
{
    weft_nursery n;
    struct sleeper s = {.inside = 1, .after = 1};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, sleeps_in_a_scope, &s), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    weft_scope_cancel(&s.scope, -EIO, NULL);
    weft_scope_cancel(&s.scope, -EPROTO, NULL);
    CHECK_EQ(s.inside, 1); /* it wakes, but does not run at once */
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(s.inside, -ECANCELED);
    CHECK_EQ(s.after, 0);
}
