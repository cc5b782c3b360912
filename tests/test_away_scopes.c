/* SPDX-License-Identifier: MIT */
/* test_away_scopes.c - deadlines and shields around children on another worker,
 * and nurseries of theirs. */
#include <weft/error.h>
#include <weft/token.h>

#include "fibers.h"
#include "workers.h"

static int rounds(int usual)
{
    return test_is_slow() ? usual / 20 : usual;
}

/* ---- deadlines ---------------------------------------------------------- */

TEST_WORKERS(xth_06_a_deadline_around_a_child_elsewhere_reaches_it)
{
    for
        EACH_OTHER(k)
        {
            int rc;
            WEFT_FAIL_AFTER(rc, WEFT_MSEC(2)) {
                rc = call_on(k, waits_for_ever, NULL);
            }
            CHECK_EQ(rc, -ETIMEDOUT);
            WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(2)) {
                rc = call_on(k, waits_for_ever, NULL);
            }
            CHECK_EQ(rc, 0);
        }
}

static int notes_deadline(void *arg)
{
    *(weft_time *)arg = weft_deadline();
    return 0;
}

TEST_WORKERS(a_child_elsewhere_sees_the_deadline_around_it)
{
    weft_time seen[2], wanted = 0;
    int rc;
    CHECK_EQ(call_on(2, notes_deadline, &seen[0]), 0);
    CHECK_EQ(seen[0], WEFT_FOREVER);
    WEFT_FAIL_AFTER(rc, WEFT_SEC(3600)) {
        wanted = weft_deadline();
        rc = call_on(2, notes_deadline, &seen[1]);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(seen[1], wanted);
}

TEST_WORKERS(behind_a_deadline_that_has_passed_a_child_begins_cancelled)
{
    weft_time seen = 0;
    int rc;
    WEFT_FAIL_AFTER(rc, -1) {
        rc = call_on(2, notes_deadline, &seen);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(seen, INT64_MIN);
}

static int expires_there(void *arg)
{
    int rc;
    (void)arg;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1)) {
        rc = weft_sleep_until(WEFT_FOREVER);
    }
    return rc;
}

TEST_WORKERS(a_child_elsewhere_has_deadlines_of_its_own)
{
    for
        EACH_OTHER(k)
    CHECK_EQ(call_on(k, expires_there, NULL), -ETIMEDOUT);
}

/* ---- shields ------------------------------------------------------------ */

/* What a child elsewhere sees of a cancellation around it, step by step. */
struct watcher {
    struct bell heard[3];
};

static void look_until(bool cancelled, struct bell *heard)
{
    while (weft_cancelled() != cancelled)
        give_way();
    ring(heard);
}

static int looks_on(void *arg)
{
    struct watcher *w = arg;
    for (int i = 0; i < 3; i++)
        look_until(i != 1, &w->heard[i]);
    return weft_sleep_until(WEFT_FOREVER);
}

TEST_WORKERS(a_shield_hides_a_cancellation_from_a_child_that_is_away)
{
    for
        EACH_OTHER(k)
        {
            struct watcher w;
            weft_scope outer, middle;
            weft_nursery n;
            for (int i = 0; i < 3; i++)
                w.heard[i] = bell_here();
            weft_scope_init(&outer);
            weft_scope_init(&middle);
            CHECK_EQ(weft_scope_begin(&outer), 0);
            CHECK_EQ(weft_scope_begin(&middle), 0);
            CHECK_EQ(weft_nursery_open(&n, NULL), 0);
            spawn_on(k, &n, looks_on, &w);
            weft_scope_set_shield(weft_nursery_scope(&n), true);
            weft_scope_cancel(&outer, -EBUSY, NULL); /* not seen in there yet */
            weft_scope_set_shield(weft_nursery_scope(&n), false);
            weft_scope_set_shield(&middle, true);
            weft_scope_set_shield(&middle, false);
            int rc;
            WEFT_SHIELD(rc, WEFT_FOREVER) {
                hear(&w.heard[0]);
                weft_scope_set_shield(&middle, true);
                hear(&w.heard[1]);
                weft_scope_set_shield(&middle, false);
                hear(&w.heard[2]);
            }
            CHECK_EQ(rc, 0);
            rc = weft_nursery_close(&n, 0);
            CHECK_EQ(rc, -ECANCELED);
            rc = weft_scope_end(&middle, rc);
            CHECK_EQ(rc, -ECANCELED);
            CHECK_EQ(weft_scope_end(&outer, rc), -EBUSY);
        }
}

struct flicker {
    int last; /* said when the shield is moved no more */
    bool cancelled;
};

static int waits_for_the_last(void *arg)
{
    struct flicker *f = arg;
    CHECK_EQ(weft_started(NULL), 0);
    while (!word_is_said(&f->last))
        give_way();
    /* What was on its way before comes first. */
    for (int seen = 0; seen < 100; give_way())
        seen = weft_cancelled() == f->cancelled ? seen + 1 : 0;
    return f->cancelled ? -ECANCELED : 0;
}

static void flicker(unsigned k, bool cancelled)
{
    struct flicker f = {.cancelled = cancelled};
    weft_scope outer;
    weft_nursery n;
    weft_scope_init(&outer);
    CHECK_EQ(weft_scope_begin(&outer), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_scope *s = weft_nursery_scope(&n);
    start_on(k, &n, waits_for_the_last, &f);
    weft_scope_set_shield(s, true);
    weft_scope_cancel(&outer, -EBUSY, NULL);
    for (int i = 0; i < rounds(2000); i++) {
        weft_scope_set_shield(s, i % 2);
        if (i % 7 == 0) give_way();
    }
    weft_scope_set_shield(s, !cancelled);
    say_word(&f.last);
    int rc = weft_nursery_close(&n, 0);
    CHECK_EQ(rc, cancelled ? -ECANCELED : 0);
    CHECK_EQ(weft_scope_end(&outer, rc), cancelled ? -EBUSY : 0);
}

TEST_WORKERS(xth_06_of_many_quick_changes_the_last_holds)
{
    for
        EACH_OTHER(k)
        {
            flicker(k, true);
            flicker(k, false);
        }
}

/* It wakes each time that it is cancelled, and parks when it is not. */
static int parks_again_and_again(void *arg)
{
    const int *last = arg;
    CHECK_EQ(weft_started(NULL), 0);
    while (!word_is_said(last)) {
        CHECK_EQ(weft_sleep_until(WEFT_FOREVER), -ECANCELED);
        while (weft_cancelled() && !word_is_said(last))
            give_way();
    }
    return 0;
}

TEST_WORKERS(a_child_elsewhere_that_parks_is_woken_by_each_cancellation)
{
    int last = 0, rc;
    weft_scope outer;
    weft_scope_init(&outer);
    CHECK_EQ(weft_scope_begin(&outer), 0);
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_scope *s = weft_nursery_scope(&n);
    start_on(2, &n, parks_again_and_again, &last);
    weft_scope_cancel(&outer, -EBUSY, NULL);
    for (int i = 0; i < rounds(2000); i++) {
        weft_scope_set_shield(s, i % 2);
        give_way();
    }
    say_word(&last);
    weft_scope_set_shield(s, false);
    rc = weft_nursery_close(&n, 0);
    CHECK_EQ(weft_scope_end(&outer, rc), 0);
}

static int shields_itself(void *arg)
{
    struct bell *b = arg;
    int rc, err = weft_sleep_until(WEFT_FOREVER);
    CHECK_EQ(err, -ECANCELED);
    WEFT_SHIELD(rc, WEFT_FOREVER) {
        rc = weft_sleep(WEFT_USEC(100));
        ring(b);
    }
    CHECK_EQ(rc, 0);
    return err;
}

TEST_WORKERS(a_child_elsewhere_may_shield_itself)
{
    struct bell b = bell_here();
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    spawn_on(2, &n, shields_itself, &b);
    weft_nursery_cancel(&n, -EINTR, NULL);
    int rc;
    WEFT_SHIELD(rc, WEFT_FOREVER) {
        hear(&b);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EINTR);
}

/* ---- nurseries of theirs ------------------------------------------------ */

struct ladder {
    int depth, bottom; /* how the deepest ends */
    struct bell *reached;
    int visits;
};

struct rung {
    struct ladder *ladder;
    int depth;
};

static int climbs_down(void *arg)
{
    const struct rung *r = arg;
    struct ladder *l = r->ladder;
    (void)add_one(&l->visits);
    CHECK_EQ(weft_worker(), (unsigned)r->depth % weft_workers() + 1);
    if (r->depth == l->depth) {
        if (l->reached) ring(l->reached);
        return l->reached ? weft_sleep_until(WEFT_FOREVER) : l->bottom;
    }
    struct rung next = {l, r->depth + 1};
    return call_on((unsigned)next.depth % weft_workers() + 1, climbs_down,
                   &next);
}

static int down(struct ladder *l)
{
    struct rung top = {l, 1};
    return call_on(1 % weft_workers() + 1, climbs_down, &top);
}

TEST_WORKERS(children_elsewhere_have_children_elsewhere_to_any_depth)
{
    struct ladder l = {.depth = rounds(400)};
    CHECK_EQ(down(&l), 0);
    CHECK_EQ(l.visits, l.depth);
}

TEST_WORKERS(xth_06_a_failure_comes_up_through_all_of_them)
{
    struct ladder l = {.depth = rounds(400), .bottom = -EPROTO};
    int depth = 0;
    CHECK_EQ(down(&l), -EPROTO);
    for (const weft_error *e = weft_last_error(); e; e = e->inner) {
        CHECK_EQ(e->code, -EPROTO);
        depth++;
    }
    CHECK_EQ(depth, l.depth);
}

TEST_WORKERS(xth_06_a_cancellation_goes_down_through_all_of_them)
{
    for (int i = 0; i < 10; i++) {
        struct bell reached = bell_here();
        struct ladder l = {.depth = rounds(100), .reached = &reached};
        struct rung top = {&l, 1};
        weft_nursery n;
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        spawn_on(1 % weft_workers() + 1, &n, climbs_down, &top);
        hear(&reached);
        weft_nursery_cancel(&n, -EINTR, NULL);
        CHECK_EQ(weft_nursery_close(&n, 0), -EINTR);
    }
}

struct tree {
    int levels;
    int *leaves;
};

static int grows(void *arg)
{
    const struct tree *t = arg;
    if (t->levels == 0) return adds_one(t->leaves);
    struct tree below = {t->levels - 1, t->leaves};
    int rc;
    WEFT_NURSERY(n, rc) {
        for (unsigned k = 1; k <= weft_workers(); k++)
            spawn_on(k, &n, grows, &below);
    }
    return rc;
}

TEST_WORKERS(every_worker_may_have_children_on_every_worker)
{
    int leaves = 0, want = 1, levels = weft_workers() == 8 ? 3 : 5;
    if (test_is_slow()) levels--;
    struct tree t = {levels, &leaves};
    CHECK_EQ(grows(&t), 0);
    for (int i = 0; i < levels; i++)
        want *= (int)weft_workers();
    CHECK_EQ(leaves, want);
}

/* ---- tokens ------------------------------------------------------------- */

struct linked {
    weft_token *token;
    struct bell is_linked;
    int rc;
};

static int is_linked_and_waits(void *arg)
{
    struct linked *l = arg;
    weft_scope s;
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin(&s), 0);
    CHECK_EQ(weft_scope_link(&s, l->token), 0);
    ring(&l->is_linked);
    l->rc = weft_scope_end(&s, weft_sleep_until(WEFT_FOREVER));
    return 0;
}

static int cancels_token(void *token)
{
    weft_token_cancel(token, -ECONNRESET, "line cut");
    return 0;
}

TEST_WORKERS(one_token_cancels_scopes_of_every_worker)
{
    for (unsigned from = 1; from <= weft_workers(); from++) {
        struct linked l[9];
        weft_token *t = weft_token_new(NULL);
        CHECK(t != NULL);
        int rc;
        WEFT_NURSERY(n, rc) {
            for (unsigned k = 1; k <= weft_workers(); k++) {
                l[k] = (struct linked){.token = t, .is_linked = bell_here()};
                spawn_on(k, &n, is_linked_and_waits, &l[k]);
            }
            for (unsigned k = 1; k <= weft_workers(); k++)
                hear(&l[k].is_linked);
            spawn_on(from, &n, cancels_token, t);
        }
        CHECK_EQ(rc, 0);
        for (unsigned k = 1; k <= weft_workers(); k++)
            CHECK_EQ(l[k].rc, -ECONNRESET);
        weft_token_unref(t);
    }
}

/* ---- the end and the cancellation meet ---------------------------------- */

static int ends_soon(void *arg)
{
    for (uintptr_t i = (uintptr_t)arg; i > 0; i--) {
        int err = weft_yield();
        if (err < 0) return err;
    }
    return 0;
}

static void pass_time(int n)
{
    for (volatile int i = 0; i < n; i++) {
    }
}

/* The child ends, or is cancelled, or both. */
TEST_WORKERS(xth_06_ends_and_cancellations_that_meet)
{
    int cancelled = 0;
    for (int i = 0; i < rounds(10000); i++) {
        unsigned k = 2 + (unsigned)i % (weft_workers() - 1);
        weft_outcome o;
        weft_task t;
        weft_nursery n;
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        const weft_spawn_opts away = {.worker = (int)k, .task = &t};
        CHECK_EQ(
            weft_spawn_ex(&n, ends_soon, (void *)(uintptr_t)(i % 5), &away), 0);
        pass_time(i * 37 % 3000);
        if (i % 3 == 0) CHECK_EQ(weft_yield(), 0);
        if (i % 2)
            weft_nursery_cancel(&n, -EINTR, NULL);
        else
            weft_task_cancel(&t, -EINTR, NULL);
        int rc = weft_nursery_close(&n, 0);
        CHECK(weft_task_done(&t));
        CHECK_EQ(weft_join(&t, &o), 0);
        if (o.status == WEFT_CANCELLED) {
            CHECK_EQ(rc, i % 2 ? -EINTR : 0);
            cancelled++;
        } else {
            CHECK_EQ(o.status, WEFT_OK);
            CHECK_EQ(rc, 0);
        }
    }
    CHECK(cancelled > 0);
}

/* The same, with a shield that comes and goes. */
TEST_WORKERS(ends_cancellations_and_shields_that_meet)
{
    weft_scope outer;
    weft_scope_init(&outer);
    CHECK_EQ(weft_scope_begin(&outer), 0);
    weft_scope_cancel(&outer, -EBUSY, NULL);
    for (int i = 0; i < rounds(3000); i++) {
        weft_nursery n;
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        for
            EACH_OTHER(k)
        spawn_on(k, &n, ends_soon, (void *)(uintptr_t)(i % 11));
        for (int j = 0; j < i % 9; j++) {
            weft_scope_set_shield(weft_nursery_scope(&n), j % 2 == 0);
            if (i % 3) give_way();
        }
        int rc = weft_nursery_close(&n, 0);
        CHECK(rc == 0 || rc == -ECANCELED);
    }
    CHECK_EQ(weft_scope_end(&outer, 0), 0);
}
