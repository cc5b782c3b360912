/* SPDX-License-Identifier: MIT */
/* test_shield.c - what is cancelled outside is not seen inside. */
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include "chance.h"
#include "harness.h"
#include "open.h"

TEST(shd_01_a_shield_can_be_put_up_and_taken_down)
{
    weft_scope outer, inner, third;
    open_scope(&outer);
    open_scope(&inner);
    weft_scope_cancel(&outer, 0, NULL);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    weft_scope_set_shield(&inner, true);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK(!weft_cancelled());
    CHECK(weft_cancel_reason() == NULL);
    weft_scope_set_shield(&inner, false);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    weft_scope_set_shield(&inner, true);
    CHECK_EQ(weft_checkpoint(), 0);

    open_scope(&third);
    weft_scope_cancel(&third, -EIO, NULL);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_scope_end(&third, -ECANCELED), -EIO);
    CHECK_EQ(weft_checkpoint(), 0);

    weft_scope_cancel(&inner, -EPROTO, NULL);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_scope_end(&inner, -ECANCELED), -EPROTO);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_scope_end(&outer, -ECANCELED), 0);
}

TEST(shd_02_a_shield_has_a_deadline_of_its_own)
{
    weft_scope outer;
    int rc;
    weft_time start = weft_now();
    open_cancelled_scope(&outer);
    WEFT_SHIELD(rc, WEFT_MSEC(7)) {
        rc = weft_sleep_until(WEFT_FOREVER);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(7));
    CHECK_EQ(weft_scope_end(&outer, -ECANCELED), 0);
}

TEST(a_shielded_scope_hides_a_deadline_outside)
{
    weft_scope outer, inner;
    weft_scope_init(&outer);
    CHECK_EQ(weft_scope_begin_after(&outer, WEFT_MSEC(5), WEFT_FAIL), 0);
    weft_scope_init(&inner);
    CHECK_EQ(weft_scope_begin_after(&inner, WEFT_FOREVER,
                                    (unsigned)WEFT_SHIELD_ | WEFT_FAIL),
             0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(10)), 0);
    CHECK(weft_scope_cancel_called(&outer));
    CHECK_EQ(weft_scope_end(&inner, 0), 0);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_scope_end(&outer, -ECANCELED), -ETIMEDOUT);
}

static int sleeps_a_while(void *arg)
{
    int err = weft_sleep(WEFT_MSEC(5));
    *(int *)arg = err;
    return err;
}

TEST(shd_07_children_inside_a_shield_are_not_cancelled)
{
    weft_scope outer;
    int rc, child = 1;
    open_scope(&outer);
    WEFT_SHIELD(rc, WEFT_SEC(1)) {
        WEFT_NURSERY(n, rc) {
            rc = weft_spawn(&n, sleeps_a_while, &child);
            weft_scope_cancel(&outer, -EIO, NULL);
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(child, 0);
    CHECK_EQ(weft_scope_end(&outer, weft_checkpoint()), -EIO);
}

/* A fiber parked under outer and shield, which others work on. */
struct parked {
    weft_scope outer, shield, inner;
    bool has_inner;
    int result, shield_end, outer_end;
};

static int parks_below(void *arg)
{
    struct parked *p = arg;
    open_scope(&p->outer);
    open_scope(&p->shield);
    weft_scope_set_shield(&p->shield, true);
    if (p->has_inner) open_scope(&p->inner);
    int rc = p->result = weft_sleep(WEFT_MSEC(10));
    if (p->has_inner) rc = weft_scope_end(&p->inner, rc);
    rc = p->shield_end = weft_scope_end(&p->shield, rc);
    p->outer_end = weft_scope_end(&p->outer, rc);
    return 0;
}

TEST(taking_a_shield_down_wakes_who_is_parked_below)
{
    for (int with = 0; with < 2; with++) {
        struct parked p = {.has_inner = with};
        weft_time start = weft_now();
        int rc;
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, parks_below, &p), 0);
            CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
            weft_scope_cancel(&p.outer, -EIO, NULL);
            CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
            weft_scope_set_shield(&p.shield, false);
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(weft_now() - start, WEFT_MSEC(2));
        CHECK_EQ(p.result, -ECANCELED);
        CHECK_EQ(p.shield_end, -ECANCELED);
        CHECK_EQ(p.outer_end, -EIO);
    }
}

TEST(a_nursery_that_loses_its_shield_loses_its_children)
{
    weft_scope outer;
    weft_nursery n;
    int before = 1, after = 1;
    open_scope(&outer);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_scope_set_shield(weft_nursery_scope(&n), true);
    weft_scope_cancel(&outer, -EIO, NULL);
    CHECK_EQ(weft_spawn(&n, sleeps_a_while, &before), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(6)), 0);
    CHECK_EQ(before, 0);
    CHECK_EQ(weft_spawn(&n, sleeps_a_while, &after), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(after, 1);
    weft_scope_set_shield(weft_nursery_scope(&n), false);
    CHECK_EQ(weft_nursery_close(&n, 0), -ECANCELED);
    CHECK_EQ(after, -ECANCELED);
    CHECK_EQ(weft_scope_end(&outer, -ECANCELED), -EIO);
}

TEST(a_shield_that_stays_lets_the_sleep_end)
{
    struct parked p = {.has_inner = true};
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, parks_below, &p), 0);
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
        weft_scope_cancel(&p.outer, -EIO, NULL);
        for (int i = 0; i < 5; i++) {
            weft_scope_set_shield(&p.shield, true);
        }
        weft_nursery_cancel(&n, 0, NULL); /* hidden as well */
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(p.result, 0);
    CHECK_EQ(p.outer_end, 0);
}

TEST(putting_a_shield_up_does_not_take_a_cancellation_back)
{
    struct parked p = {.has_inner = false};
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, parks_below, &p), 0);
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
        weft_scope_set_shield(&p.shield, false);
        weft_scope_cancel(&p.outer, -EIO, NULL);
        weft_scope_set_shield(&p.shield, true); /* the sleep has failed */
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(p.result, -ECANCELED);
    CHECK_EQ(p.shield_end, -ECANCELED); /* it was not cancelled itself */
    CHECK_EQ(p.outer_end, -EIO);
}

TEST(a_shield_below_does_not_protect_what_is_beside_it)
{
    weft_scope outer;
    open_scope(&outer);
    int rc;
    WEFT_SHIELD(rc, WEFT_SEC(1)) {
        weft_scope_cancel(&outer, 0, NULL);
        rc = weft_checkpoint();
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_scope_end(&outer, -ECANCELED), 0);
}

TEST(a_shielded_scope_that_is_cancelled_itself_catches_in_a_cancelled_one)
{
    weft_scope outer, shield;
    open_cancelled_scope(&outer);
    open_scope(&shield);
    weft_scope_set_shield(&shield, true);
    weft_scope_cancel(&shield, -EIO, NULL);
    CHECK_EQ(weft_scope_end(&shield, weft_checkpoint()), -EIO);
    CHECK(weft_scope_caught(&shield));
    CHECK_EQ(weft_scope_end(&outer, weft_checkpoint()), 0);
}

/* --- any nest of scopes against the rules said plainly --- */

enum { MAX_DEPTH = 8 };

struct model {
    weft_scope scope[MAX_DEPTH];
    bool cancelled[MAX_DEPTH], shielded[MAX_DEPTH];
    weft_time deadline[MAX_DEPTH];
    int depth;
};

/* The outermost cancelled scope that can be seen from inside of `from`, or -1. */
static int visible_cancel(const struct model *m, int from)
{
    int found = -1;
    for (int i = from; i >= 0; i--) {
        if (m->cancelled[i]) found = i;
        if (m->shielded[i]) break;
    }
    return found;
}

static weft_time visible_deadline(const struct model *m)
{
    weft_time earliest = WEFT_FOREVER;
    if (visible_cancel(m, m->depth - 1) >= 0) return INT64_MIN;
    for (int i = m->depth - 1; i >= 0; i--) {
        if (m->deadline[i] < earliest) earliest = m->deadline[i];
        if (m->shielded[i]) break;
    }
    return earliest;
}

static void check_model(const struct model *m)
{
    int by = visible_cancel(m, m->depth - 1);
    CHECK_EQ(weft_cancelled(), by >= 0);
    CHECK_EQ(weft_checkpoint(), by >= 0 ? -ECANCELED : 0);
    CHECK_EQ(weft_deadline(), visible_deadline(m));
    CHECK_PTR(weft_cancel_reason(),
              by >= 0 ? weft_scope_reason(&m->scope[by]) : NULL);
}

static void change_something(struct model *m)
{
    int i = random_below(m->depth);
    switch (random_below(5)) {
    case 0:
        weft_scope_cancel(&m->scope[i], -100 - i, NULL);
        m->cancelled[i] = true;
        break;
    case 1:
        m->deadline[i] = weft_after(WEFT_SEC(1 + random_below(50)));
        weft_scope_set_deadline(&m->scope[i], m->deadline[i]);
        break;
    default:
        m->shielded[i] = !m->shielded[i];
        weft_scope_set_shield(&m->scope[i], m->shielded[i]);
    }
}

static void end_one(struct model *m, int rc)
{
    int i = --m->depth;
    int outside = m->shielded[i] ? -1 : visible_cancel(m, i - 1);
    bool caught = rc == -ECANCELED && m->cancelled[i] && outside < 0;
    CHECK_EQ(weft_scope_end(&m->scope[i], rc), caught ? -100 - i : rc);
    CHECK_EQ(weft_scope_caught(&m->scope[i]), caught);
}

TEST(any_nest_of_scopes_and_shields_follows_the_rules)
{
    static struct model m;
    random_begin(test_seed());
    for (int step = 0; step < 20000; step++) {
        int what = random_below(4);
        if (m.depth == 0 || (what == 0 && m.depth < MAX_DEPTH)) {
            int i = m.depth++;
            m.cancelled[i] = m.shielded[i] = false;
            m.deadline[i] = WEFT_FOREVER;
            open_scope(&m.scope[i]);
        } else if (what == 1) {
            end_one(&m, random_below(2) ? -ECANCELED : random_below(3) - 1);
        } else {
            change_something(&m);
        }
        if (m.depth > 0) check_model(&m);
    }
    while (m.depth > 0) {
        end_one(&m, -ECANCELED);
    }
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_deadline(), WEFT_FOREVER);
}
