/* SPDX-License-Identifier: MIT */
/* test_wait.c - waiting for some of many tasks, and for the next that ends. */
#include <weft/cleanup.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/task.h>
#include <weft/time.h>

#include <stdlib.h>
#include <string.h>

#include "chance.h"
#include "fibers.h"
#include "harness.h"
#include "open.h"
#include "starve.h"
#include "sweep.h"
#include "work.h"

static void spawn(weft_nursery *n, weft_task *t, weft_doneq *q, weft_fn fn,
                  void *arg)
{
    const weft_spawn_opts o = {.task = t, .doneq = q};
    memset(t, 0xa5, sizeof *t);
    CHECK_EQ(weft_spawn_ex(n, fn, arg, &o), 0);
}

/* A nursery full of children, with their tasks and an array of those. */
enum { MOST = 8 };

struct group {
    weft_nursery n;
    weft_task tasks[MOST], *list[MOST];
    weft_doneq q;
    weft_time start;
};

static void start_group(struct group *g, weft_policy policy, struct work *c,
                        size_t count)
{
    g->start = weft_now();
    weft_doneq_init(&g->q);
    open_nursery(&g->n, policy);
    for (size_t i = 0; i < count; i++) {
        g->list[i] = &g->tasks[i];
        spawn(&g->n, &g->tasks[i], &g->q, works, &c[i]);
    }
}

static void check_next(struct group *g, size_t which, weft_time at)
{
    weft_task *t = NULL;
    CHECK_EQ(weft_next_done(&g->q, &t), 1);
    CHECK_PTR(t, &g->tasks[which]);
    CHECK(weft_task_done(t));
    CHECK_EQ(weft_now() - g->start, at);
}

static void check_no_more(weft_doneq *q)
{
    weft_task *t = NULL;
    CHECK_EQ(weft_next_done(q, &t), 0);
    CHECK_EQ(weft_next_done(q, &t), 0);
    CHECK(t == NULL);
}

/* ---- the listed cases --------------------------------------------------- */

TEST(wai_05_wait_counts_those_that_are_done_and_cancels_none)
{
    struct work c[] = {ENDS(WEFT_MSEC(10), 0), ENDS(WEFT_MSEC(2), 0)};
    struct group g;
    start_group(&g, WEFT_FAIL_FAST, c, 2);
    CHECK_EQ(weft_wait(g.list, 2, WEFT_FIRST_DONE, WEFT_FOREVER), 1);
    CHECK_EQ(weft_now() - g.start, WEFT_MSEC(2));
    CHECK_EQ(weft_wait(g.list, 2, WEFT_ALL, WEFT_MSEC(3)), 1);
    CHECK_EQ(weft_now() - g.start, WEFT_MSEC(5));
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_wait(g.list, 2, WEFT_ALL, WEFT_FOREVER), 2);
    CHECK_EQ(weft_now() - g.start, WEFT_MSEC(10));
    CHECK_EQ(c[0].struck + c[1].struck, 0);
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
}

TEST(wai_06_a_cancelled_task_is_not_the_first_error)
{
    struct work c[] = {FOR_EVER, ENDS(WEFT_MSEC(5), -EIO), FOR_EVER};
    struct group g;
    start_group(&g, WEFT_COLLECT, c, 3);
    weft_task_cancel(&g.tasks[0], -EPROTO, NULL);
    CHECK_EQ(weft_wait(g.list, 3, WEFT_FIRST_ERROR, WEFT_FOREVER), 2);
    CHECK_EQ(weft_now() - g.start, WEFT_MSEC(5));
    weft_nursery_cancel(&g.n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&g.n, 0), -EIO);
}

TEST(wai_06_without_an_error_all_have_to_be_done)
{
    struct work c[] = {FOR_EVER, ENDS(WEFT_MSEC(5), 1), ENDS(WEFT_MSEC(7), 0)};
    struct group g;
    start_group(&g, WEFT_COLLECT, c, 3);
    weft_task_cancel(&g.tasks[0], -EPROTO, NULL);
    CHECK_EQ(weft_wait(g.list, 3, WEFT_FIRST_ERROR, WEFT_FOREVER), 3);
    CHECK_EQ(weft_now() - g.start, WEFT_MSEC(7));
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
}

TEST(wai_07_tasks_come_in_the_order_of_their_ends)
{
    struct work c[] = {ENDS(WEFT_MSEC(9), 0), ENDS(WEFT_MSEC(1), 0),
                       ENDS(WEFT_MSEC(5), 0)};
    struct group g;
    start_group(&g, WEFT_FAIL_FAST, c, 3);
    check_next(&g, 1, WEFT_MSEC(1));
    check_next(&g, 2, WEFT_MSEC(5));
    check_next(&g, 0, WEFT_MSEC(9));
    check_no_more(&g.q);
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
}

TEST(wai_11_a_loop_left_early_leaves_the_rest_to_the_nursery)
{
    struct work c[] = {ENDS(WEFT_MSEC(9), 0), ENDS(WEFT_MSEC(1), 0), FOR_EVER};
    struct group g;
    start_group(&g, WEFT_FAIL_FAST, c, 3);
    check_next(&g, 1, WEFT_MSEC(1));
    weft_nursery_cancel(&g.n, -EINTR, NULL);
    CHECK_EQ(weft_nursery_close(&g.n, 0), -EINTR);
    CHECK_EQ(c[0].struck + c[2].struck, 2);
    /* What it did not take is still there. */
    weft_task *t[2];
    CHECK_EQ(weft_next_done(&g.q, &t[0]), 1);
    CHECK_EQ(weft_next_done(&g.q, &t[1]), 1);
    CHECK(t[0] != t[1] && t[0] != &g.tasks[1] && t[1] != &g.tasks[1]);
    check_no_more(&g.q);
}

/* ---- wait --------------------------------------------------------------- */

TEST(waiting_for_nothing_is_done_at_once)
{
    weft_time start = weft_now();
    CHECK_EQ(weft_wait(NULL, 0, WEFT_ALL, WEFT_FOREVER), 0);
    CHECK_EQ(weft_wait(NULL, 0, WEFT_FIRST_DONE, WEFT_FOREVER), 0);
    CHECK_EQ(weft_wait(NULL, 0, WEFT_FIRST_ERROR, WEFT_FOREVER), 0);
    CHECK_EQ(weft_wait(NULL, 0, WEFT_ALL, 0), 0);
    CHECK_EQ(weft_wait(NULL, 0, WEFT_ALL, -5), 0);
    CHECK_EQ(weft_now(), start);
}

TEST(no_time_and_less_only_ask)
{
    struct work c[] = {ENDS(WEFT_MSEC(2), 0), ENDS(WEFT_MSEC(4), 0)};
    struct group g;
    start_group(&g, WEFT_FAIL_FAST, c, 2);
    CHECK_EQ(weft_wait(g.list, 2, WEFT_ALL, 0), 0);
    CHECK_EQ(weft_wait(g.list, 2, WEFT_FIRST_DONE, -1), 0);
    CHECK_EQ(weft_wait(g.list, 2, WEFT_FIRST_ERROR, INT64_MIN), 0);
    CHECK_EQ(weft_now(), g.start);
    CHECK_EQ(weft_sleep(WEFT_MSEC(3)), 0);
    CHECK_EQ(weft_wait(g.list, 2, WEFT_ALL, 0), 1);
    CHECK_EQ(weft_wait(g.list, 2, WEFT_ALL, -WEFT_SEC(1)), 1);
    CHECK_EQ(weft_wait(g.list, 2, WEFT_FIRST_DONE, 0), 1);
    CHECK_EQ(weft_now() - g.start, WEFT_MSEC(3));
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
    CHECK_EQ(weft_wait(g.list, 2, WEFT_ALL, 0), 2);
}

TEST(the_longest_time_but_for_ever_does_not_overflow)
{
    struct work c[] = {ENDS(WEFT_MSEC(2), 0)};
    struct group g;
    start_group(&g, WEFT_FAIL_FAST, c, 1);
    CHECK_EQ(weft_wait(g.list, 1, WEFT_ALL, WEFT_FOREVER - 1), 1);
    CHECK_EQ(weft_now() - g.start, WEFT_MSEC(2));
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
}

TEST(what_has_ended_before_counts_at_once)
{
    struct work c[] = {ENDS(0, 0), ENDS(0, -EIO), FOR_EVER};
    struct group g;
    start_group(&g, WEFT_COLLECT, c, 3);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(weft_wait(g.list, 3, WEFT_FIRST_DONE, WEFT_FOREVER), 2);
    CHECK_EQ(weft_wait(g.list, 3, WEFT_FIRST_ERROR, WEFT_FOREVER), 2);
    CHECK_EQ(weft_now() - g.start, WEFT_MSEC(1));
    weft_task_cancel(&g.tasks[2], 0, NULL);
    CHECK_EQ(weft_wait(g.list, 3, WEFT_ALL, WEFT_FOREVER), 3);
    CHECK_EQ(weft_nursery_close(&g.n, 0), -EIO);
    CHECK_EQ(weft_wait(g.list, 3, WEFT_ALL, WEFT_FOREVER), 3);
    CHECK_EQ(weft_wait(g.list, 3, WEFT_FIRST_ERROR, 0), 3);
}

TEST(the_first_error_is_not_a_positive_result)
{
    struct work c[] = {ENDS(WEFT_MSEC(1), 5), ENDS(WEFT_MSEC(2), -ECANCELED),
                       FOR_EVER};
    struct group g;
    start_group(&g, WEFT_COLLECT, c, 3);
    /* -ECANCELED for no reason is a failure. */
    CHECK_EQ(weft_wait(g.list, 3, WEFT_FIRST_ERROR, WEFT_FOREVER), 2);
    CHECK_EQ(weft_now() - g.start, WEFT_MSEC(2));
    weft_nursery_cancel(&g.n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&g.n, 0), -ECANCELED);
    CHECK_EQ(weft_checkpoint(), 0);
}

TEST(a_task_may_stand_in_the_list_more_than_once)
{
    struct work c[] = {ENDS(WEFT_MSEC(1), 0), ENDS(WEFT_MSEC(3), -EIO)};
    struct group g;
    start_group(&g, WEFT_COLLECT, c, 2);
    weft_task *const list[] = {&g.tasks[0], &g.tasks[1], &g.tasks[0],
                               &g.tasks[1], &g.tasks[0]};
    CHECK_EQ(weft_wait(list, 5, WEFT_FIRST_DONE, WEFT_FOREVER), 3);
    CHECK_EQ(weft_now() - g.start, WEFT_MSEC(1));
    CHECK_EQ(weft_wait(list, 5, WEFT_ALL, WEFT_MSEC(1)), 3);
    CHECK_EQ(weft_now() - g.start, WEFT_MSEC(2));
    CHECK_EQ(weft_wait(list, 5, WEFT_FIRST_ERROR, WEFT_FOREVER), 5);
    CHECK_EQ(weft_now() - g.start, WEFT_MSEC(3));
    CHECK_EQ(weft_wait(list, 5, WEFT_ALL, WEFT_FOREVER), 5);
    CHECK_EQ(weft_nursery_close(&g.n, 0), -EIO);
}

TEST(one_task_many_times_in_the_list)
{
    enum { N = 100 };
    struct work c[] = {ENDS(WEFT_MSEC(1), 0)};
    weft_task *list[N];
    struct group g;
    start_group(&g, WEFT_COLLECT, c, 1);
    for (int i = 0; i < N; i++) {
        list[i] = &g.tasks[0];
    }
    CHECK_EQ(weft_wait(list, N, WEFT_ALL, WEFT_USEC(10)), 0);
    CHECK_EQ(weft_wait(list, N, WEFT_ALL, WEFT_FOREVER), N);
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
}

TEST(several_tasks_that_end_in_one_turn_are_all_counted)
{
    static const weft_wait_mode modes[] = {WEFT_ALL, WEFT_FIRST_DONE,
                                           WEFT_FIRST_ERROR};
    for (int m = 0; m < 3; m++) {
        struct work c[MOST];
        struct group g;
        for (int i = 0; i < MOST; i++) {
            c[i] = (struct work)ENDS(WEFT_MSEC(1), i == 3 ? -EIO : 0);
        }
        start_group(&g, WEFT_COLLECT, c, MOST);
        int rc = weft_wait(g.list, MOST, modes[m], WEFT_FOREVER), done = 0;
        for (int i = 0; i < MOST; i++) {
            done += weft_task_done(&g.tasks[i]);
        }
        CHECK_EQ(rc, done);
        if (modes[m] == WEFT_ALL) CHECK_EQ(rc, MOST);
        if (modes[m] == WEFT_FIRST_DONE) CHECK(rc >= 1);
        if (modes[m] == WEFT_FIRST_ERROR) CHECK(weft_task_done(g.list[3]));
        CHECK_EQ(weft_nursery_close(&g.n, 0), -EIO);
    }
}

TEST(when_the_time_is_over_as_a_task_ends_the_count_is_right)
{
    for (int i = 0; i < 4; i++) {
        struct work c[] = {ENDS(WEFT_MSEC(5), 0), ENDS(WEFT_MSEC(5), 0)};
        struct group g;
        start_group(&g, WEFT_FAIL_FAST, c, 2);
        int rc = weft_wait(g.list, 2, i % 2 ? WEFT_ALL : WEFT_FIRST_DONE,
                           WEFT_MSEC(5));
        CHECK_EQ(rc, weft_task_done(g.list[0]) + weft_task_done(g.list[1]));
        CHECK_EQ(weft_now() - g.start, WEFT_MSEC(5));
        CHECK_EQ(weft_checkpoint(), 0);
        CHECK_EQ(weft_wait(g.list, 2, WEFT_ALL, WEFT_FOREVER), 2);
        CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
    }
}

TEST_FIFO(who_was_woken_by_an_end_has_not_run_out_of_time)
{
    struct work c[] = {ENDS(WEFT_MSEC(5), 0)};
    struct group g;
    weft_scope s;
    start_group(&g, WEFT_FAIL_FAST, c, 1);
    open_scope(&s); /* sleeping ends come before expiring scopes */
    weft_scope_set_deadline(&s, weft_after(WEFT_MSEC(7)));
    CHECK_EQ(weft_wait(g.list, 1, WEFT_ALL, WEFT_MSEC(6)), 1);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    CHECK_EQ(weft_now() - g.start, WEFT_MSEC(5));
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
}

TEST(waiting_in_a_cancelled_scope_is_refused_even_if_all_is_done)
{
    struct work c[] = {ENDS(0, 0)};
    struct group g;
    weft_scope s;
    weft_task *t = NULL;
    start_group(&g, WEFT_FAIL_FAST, c, 1);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    open_scope(&s);
    weft_scope_cancel(&s, -EINTR, NULL);
    CHECK_EQ(weft_wait(g.list, 1, WEFT_ALL, WEFT_FOREVER), -ECANCELED);
    CHECK_EQ(weft_wait(g.list, 1, WEFT_ALL, 0), -ECANCELED);
    CHECK_EQ(weft_wait(NULL, 0, WEFT_ALL, 0), -ECANCELED);
    CHECK_EQ(weft_next_done(&g.q, &t), -ECANCELED);
    CHECK(t == NULL);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), -EINTR);
    CHECK_EQ(weft_next_done(&g.q, &t), 1);
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
}

TEST(a_deadline_around_a_wait_is_not_the_time_of_the_wait)
{
    struct work c[] = {FOR_EVER};
    struct group g;
    int rc;
    start_group(&g, WEFT_FAIL_FAST, c, 1);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_wait(g.list, 1, WEFT_ALL, WEFT_MSEC(9));
        CHECK_EQ(rc, -ECANCELED);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(9)) {
        rc = weft_wait(g.list, 1, WEFT_ALL, WEFT_MSEC(5));
        CHECK_EQ(rc, 0);
        CHECK_EQ(weft_checkpoint(), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_now() - g.start, WEFT_MSEC(10));
    CHECK_EQ(c[0].struck, 0);
    weft_nursery_cancel(&g.n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
}

TEST(the_time_of_a_wait_leaves_no_deadline_behind)
{
    struct work c[] = {ENDS(WEFT_MSEC(1), 0)};
    struct group g;
    start_group(&g, WEFT_FAIL_FAST, c, 1);
    CHECK_EQ(weft_wait(g.list, 1, WEFT_ALL, WEFT_MSEC(3)), 1);
    CHECK_EQ(weft_deadline(), WEFT_FOREVER);
    CHECK_EQ(weft_sleep(WEFT_MSEC(9)), 0);
    CHECK(weft_cancel_reason() == NULL);
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
}

static weft_task own, parent;
static int own_result, parent_result;

static int waits_for_itself(void *arg)
{
    weft_task *const self[] = {arg, &own}, *const up[] = {arg, &parent};
    own_result = weft_wait(self, 2, WEFT_ALL, WEFT_FOREVER);
    parent_result = weft_wait(up, 2, WEFT_ALL, WEFT_FOREVER);
    return 0;
}

static int has_a_child(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc)
        spawn(&n, &own, NULL, waits_for_itself, arg);
    return rc;
}

TEST(waiting_for_oneself_or_an_ancestor_is_refused)
{
    weft_nursery n;
    weft_task t;
    struct work c = FOR_EVER;
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t, NULL, works, &c);
    spawn(&n, &parent, NULL, has_a_child, &t);
    CHECK_EQ(weft_join(&parent, NULL), 0);
    CHECK_EQ(own_result, -EDEADLK);
    CHECK_EQ(parent_result, -EDEADLK);
    weft_task_cancel(&t, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(waiting_for_what_was_never_spawned_is_refused)
{
    weft_task never = {0};
    struct work c[] = {ENDS(WEFT_MSEC(1), 0)};
    struct group g;
    start_group(&g, WEFT_FAIL_FAST, c, 1);
    g.list[1] = &never;
    CHECK_EQ(weft_wait(g.list, 2, WEFT_ALL, WEFT_FOREVER), -EINVAL);
    CHECK_EQ(weft_wait(&g.list[1], 1, WEFT_ALL, 0), -EINVAL);
    CHECK_EQ(weft_wait(g.list, 1, WEFT_ALL, WEFT_FOREVER), 1);
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
}

struct waiter {
    struct group *g;
    size_t n;
    weft_wait_mode mode;
    weft_time ns;
    weft_scope scope;
    int result;
    weft_time at;
};

static int waits(void *arg)
{
    struct waiter *w = arg;
    open_scope(&w->scope);
    w->result = weft_wait(w->g->list, w->n, w->mode, w->ns);
    w->at = weft_now();
    return weft_scope_end(&w->scope, 0);
}

TEST(several_may_wait_for_the_same_tasks_and_leave_in_any_order)
{
    struct work c[] = {ENDS(WEFT_MSEC(2), 0), ENDS(WEFT_MSEC(4), -EIO),
                       ENDS(WEFT_MSEC(6), 0)};
    struct group g;
    weft_nursery n;
    struct waiter w[] = {{&g, 3, WEFT_ALL, WEFT_FOREVER, .result = -1},
                         {&g, 3, WEFT_FIRST_DONE, WEFT_FOREVER, .result = -1},
                         {&g, 3, WEFT_FIRST_ERROR, WEFT_FOREVER, .result = -1},
                         {&g, 3, WEFT_ALL, WEFT_MSEC(3), .result = -1},
                         {&g, 3, WEFT_ALL, WEFT_FOREVER, .result = -1}};
    open_nursery(&n, WEFT_FAIL_FAST);
    start_group(&g, WEFT_COLLECT, c, 3);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(weft_spawn(&n, waits, &w[i]), 0);
    }
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    weft_scope_cancel(&w[4].scope, 0, NULL);
    CHECK_EQ(weft_nursery_close(&g.n, 0), -EIO);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    static const int results[] = {3, 1, 2, 1, -ECANCELED},
                     at[] = {6, 2, 4, 3, 1};
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(w[i].result, results[i]);
        CHECK_EQ(w[i].at - g.start, WEFT_MSEC(at[i]));
    }
}

static int cancels_after_5_ms(void *scope)
{
    int err = weft_sleep(WEFT_MSEC(5));
    if (err < 0) return err;
    weft_scope_cancel(scope, 0, NULL);
    return 0;
}

TEST_FIFO(a_wait_that_was_satisfied_before_the_cancellation_is_satisfied)
{
    struct work c[] = {ENDS(WEFT_MSEC(5), 0), ENDS(WEFT_MSEC(5), 0)};
    struct group g;
    weft_nursery n;
    open_nursery(&n, WEFT_FAIL_FAST);
    start_group(&g, WEFT_COLLECT, c, 2);
    struct waiter w = {&g, 2, WEFT_ALL, WEFT_FOREVER, .result = -1};
    CHECK_EQ(weft_spawn(&n, waits, &w), 0);
    CHECK_EQ(weft_spawn(&n, cancels_after_5_ms, &w.scope), 0);
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(w.result, 2);
}

TEST(a_wait_and_a_cancellation_at_one_moment_agree_on_something)
{
    struct work c[] = {ENDS(WEFT_MSEC(5), 0), ENDS(WEFT_MSEC(5), 0)};
    struct group g;
    weft_nursery n;
    struct waiter w[6];
    open_nursery(&n, WEFT_FAIL_FAST);
    start_group(&g, WEFT_COLLECT, c, 2);
    for (int i = 0; i < 6; i++) {
        w[i] = (struct waiter){&g, 2, i % 2 ? WEFT_ALL : WEFT_FIRST_DONE,
                               WEFT_FOREVER, .result = -1};
        CHECK_EQ(weft_spawn(&n, waits, &w[i]), 0);
        CHECK_EQ(weft_spawn(&n, cancels_after_5_ms, &w[i].scope), 0);
    }
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < 6; i++) {
        if (w[i].result == -ECANCELED) continue;
        CHECK(w[i].result == 2 || (i % 2 == 0 && w[i].result == 1));
    }
}

/* As the end of a sleep does. */
TEST(the_end_of_its_time_beats_what_cancels_a_wait_at_that_moment)
{
    enum { DEADLINE, DEADLINE_OF_ANOTHER, CANCEL, WAYS };
    for (int way = 0; way < WAYS; way++) {
        struct work c[] = {FOR_EVER};
        struct group g;
        weft_nursery n;
        weft_scope around;
        start_group(&g, WEFT_FAIL_FAST, c, 1);
        open_scope(&around);
        open_nursery(&n, WEFT_FAIL_FAST);
        struct waiter w = {&g, 1, WEFT_ALL, WEFT_MSEC(5), .result = -1};
        weft_scope *of = way == DEADLINE_OF_ANOTHER ? &around : &w.scope;
        CHECK_EQ(weft_spawn(&n, waits, &w), 0);
        if (way == CANCEL)
            CHECK_EQ(weft_spawn(&n, cancels_after_5_ms, &w.scope), 0);
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
        if (way != CANCEL) weft_scope_set_deadline(of, g.start + WEFT_MSEC(5));
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        CHECK_EQ(w.result, 0);
        CHECK_EQ(w.at - g.start, WEFT_MSEC(5));
        CHECK(way == CANCEL || weft_scope_cancel_called(of));
        CHECK_EQ(weft_scope_end(&around, 0), 0);
        weft_nursery_cancel(&g.n, 0, NULL);
        CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
    }
}

/* ---- thousands ---------------------------------------------------------- */

enum { MANY = 5000 };
static struct work children[MANY];
static weft_task tasks[MANY], *list[MANY];

static void start_many(weft_nursery *n, weft_doneq *q, weft_policy policy)
{
    open_nursery(n, policy);
    for (int i = 0; i < MANY; i++) {
        list[i] = &tasks[i];
        children[i] = (struct work)ENDS(WEFT_USEC(MANY + (i * 7919) % MANY), 0);
        spawn(n, list[i], q, works, &children[i]);
    }
}

TEST(five_thousand_tasks_are_waited_for_like_two)
{
    weft_nursery n;
    weft_time start = weft_now();
    start_many(&n, NULL, WEFT_FAIL_FAST);
    CHECK_EQ(weft_wait(list, MANY, WEFT_ALL, 0), 0);
    CHECK_EQ(weft_wait(list, MANY, WEFT_FIRST_DONE, WEFT_FOREVER), 1);
    CHECK_EQ(weft_now() - start, WEFT_USEC(MANY));
    CHECK_EQ(weft_wait(list, MANY, WEFT_ALL, WEFT_USEC(99) + 1), 100);
    CHECK_EQ(weft_wait(list, MANY, WEFT_ALL, WEFT_FOREVER), MANY);
    CHECK_EQ(weft_now() - start, WEFT_USEC(2 * MANY - 1));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_wait_for_thousands_that_was_left_leaves_nothing_at_the_tasks)
{
    weft_nursery n;
    int rc;
    start_many(&n, NULL, WEFT_FAIL_FAST);
    for (int i = 0; i < 3; i++) {
        WEFT_FAIL_AFTER(rc, WEFT_USEC(20)) {
            rc = weft_wait(list, MANY, WEFT_ALL, WEFT_FOREVER);
        }
        CHECK_EQ(rc, -ETIMEDOUT);
        CHECK_EQ(weft_wait(list, MANY, WEFT_FIRST_DONE, WEFT_USEC(20)), 0);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_wait(list, MANY, WEFT_ALL, WEFT_FOREVER), MANY);
}

TEST(five_thousand_tasks_come_out_of_a_queue_in_order)
{
    weft_nursery n;
    weft_doneq q;
    weft_task *t;
    weft_time last = 0;
    weft_doneq_init(&q);
    start_many(&n, &q, WEFT_FAIL_FAST);
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(weft_next_done(&q, &t), 1);
        CHECK(children[t - tasks].after > last);
        last = children[t - tasks].after;
    }
    check_no_more(&q);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* ---- next_done ---------------------------------------------------------- */

TEST(a_queue_nobody_used_is_at_its_end)
{
    weft_doneq q;
    memset(&q, 0xa5, sizeof q);
    weft_doneq_init(&q);
    check_no_more(&q);
}

TEST(a_queue_goes_on_when_more_is_spawned)
{
    struct work c[] = {ENDS(0, 0)}, more = ENDS(WEFT_MSEC(1), 0);
    struct group g;
    start_group(&g, WEFT_FAIL_FAST, c, 1);
    check_next(&g, 0, 0);
    check_no_more(&g.q);
    spawn(&g.n, &g.tasks[1], &g.q, works, &more);
    check_next(&g, 1, WEFT_MSEC(1));
    check_no_more(&g.q);
    spawn(&g.n, &g.tasks[0], &g.q, works, &more); /* the first one again */
    check_next(&g, 0, WEFT_MSEC(2));
    check_no_more(&g.q);
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
}

TEST(a_queue_outlives_the_nurseries_of_its_tasks)
{
    struct work c[] = {ENDS(WEFT_MSEC(2), 0), ENDS(WEFT_MSEC(1), -EIO)};
    struct group g;
    start_group(&g, WEFT_COLLECT, c, 1);
    weft_nursery other;
    open_nursery(&other, WEFT_COLLECT);
    spawn(&other, &g.tasks[1], &g.q, works, &c[1]);
    CHECK_EQ(weft_nursery_close(&other, 0), -EIO);
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
    check_next(&g, 1, WEFT_MSEC(2));
    check_next(&g, 0, WEFT_MSEC(2));
    check_no_more(&g.q);
}

/* Two of which the first is over, and its memory gone, before the second. */
static int waits_for_a_pair(void *arg)
{
    CHECK_EQ(weft_wait(arg, 2, WEFT_ALL, WEFT_FOREVER), 2);
    return 0;
}

TEST(a_wait_for_all_outlives_the_memory_of_the_first)
{
    struct work quick = ENDS(0, 0), slow = ENDS(WEFT_MSEC(2), 0);
    weft_task *first = malloc(sizeof *first), second;
    weft_task *pair[] = {first, &second};
    const weft_spawn_opts quick_one = {.task = first};
    const weft_spawn_opts slow_one = {.task = &second};
    weft_nursery all, n;
    CHECK(first != NULL);
    open_nursery(&all, WEFT_FAIL_FAST);
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn_ex(&all, works, &slow, &slow_one), 0);
    CHECK_EQ(weft_spawn_ex(&n, works, &quick, &quick_one), 0);
    CHECK_EQ(weft_spawn(&all, waits_for_a_pair, pair), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    memset(first, 0x5a, sizeof *first);
    free(first);
    CHECK_EQ(weft_nursery_close(&all, 0), 0);
}

TEST(every_kind_of_end_comes_out_of_a_queue)
{
    struct work c[] = {ENDS(WEFT_MSEC(1), 5), ENDS(WEFT_MSEC(2), -EIO),
                       FOR_EVER, FOR_EVER};
    struct group g;
    weft_outcome o;
    start_group(&g, WEFT_COLLECT, c, 4);
    check_next(&g, 0, WEFT_MSEC(1));
    check_next(&g, 1, WEFT_MSEC(2));
    weft_task_cancel(&g.tasks[3], 0, NULL);
    check_next(&g, 3, WEFT_MSEC(2));
    weft_nursery_cancel(&g.n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&g.n, 0), -EIO);
    check_next(&g, 2, WEFT_MSEC(2));
    check_no_more(&g.q);
    CHECK_EQ(weft_join(&g.tasks[1], &o), 0);
    CHECK_EQ(o.err->code, -EIO);
    CHECK_EQ(weft_join(&g.tasks[2], &o), 0);
    CHECK_EQ(o.status, WEFT_CANCELLED);
}

TEST(a_daemon_comes_out_when_it_has_ended)
{
    struct work c[] = {ENDS(WEFT_MSEC(1), 0)}, d = FOR_EVER;
    struct group g;
    start_group(&g, WEFT_FAIL_FAST, c, 1);
    const weft_spawn_opts o = {
        .task = &g.tasks[1], .doneq = &g.q, .daemon = true};
    CHECK_EQ(weft_spawn_ex(&g.n, works, &d, &o), 0);
    check_next(&g, 0, WEFT_MSEC(1));
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
    check_next(&g, 1, WEFT_MSEC(1));
    check_no_more(&g.q);
}

TEST(what_could_not_be_spawned_is_not_waited_for)
{
    weft_nursery n;
    weft_doneq q;
    weft_task t;
    static char large[1 << 16];
    const weft_nursery_opts one = {.limit = 1};
    const weft_spawn_opts o = {.task = &t, .doneq = &q};
    const weft_spawn_opts unless = {
        .task = &t, .doneq = &q, .unless_cancelled = true};
    const weft_spawn_opts taskless = {.doneq = &q};
    struct work c = ENDS(WEFT_MSEC(5), 0);
    int rc;
    weft_doneq_init(&q);
    CHECK_EQ(weft_nursery_open(&n, &one), 0);
    CHECK_EQ(weft_spawn_ex(&n, works, &c, &taskless), -EINVAL);
    CHECK_EQ(weft_spawn_wait_ex(&n, works, &c, &taskless), -EINVAL);
    CHECK_EQ(weft_spawn_copy_ex(&n, works, &c, sizeof c, &taskless), -EINVAL);
    CHECK_EQ(weft_spawn_copy_ex(&n, works, large, sizeof large, &o), -E2BIG);
    check_no_more(&q);
    CHECK_EQ(weft_spawn(&n, works, &c), 0);
    CHECK_EQ(weft_spawn_ex(&n, works, &c, &o), -EAGAIN);
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(1)) {
        CHECK_EQ(weft_spawn_wait_ex(&n, works, &c, &o), -ECANCELED);
    }
    check_no_more(&q);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_spawn_ex(&n, works, &c, &unless), -ECANCELED);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_spawn_ex(&n, works, &c, &o), -ESHUTDOWN);
    check_no_more(&q);
}

static int ends_before_it_is_ready(void *arg)
{
    int err = weft_sleep(WEFT_MSEC(1));
    return err < 0 ? err : *(int *)arg;
}

TEST(a_task_that_was_never_ready_does_not_keep_its_queue_waiting)
{
    weft_nursery n;
    weft_doneq q;
    weft_task t, *next = NULL;
    const weft_spawn_opts o = {.task = &t, .doneq = &q};
    weft_doneq_init(&q);
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_start_ex(&n, ends_before_it_is_ready, &(int){-EIO}, NULL, &o),
             -EIO);
    int rc = weft_next_done(&q, &next);
    CHECK(rc == 0 || (rc == 1 && next == &t));
    if (rc == 1) check_no_more(&q);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

struct taker {
    weft_doneq *q;
    weft_scope scope;
    weft_task *got[MOST];
    int count, result;
    weft_time ended;
    bool once;
};

static int takes(void *arg)
{
    struct taker *t = arg;
    open_scope(&t->scope);
    do {
        weft_task *next = NULL;
        t->result = weft_next_done(t->q, &next);
        if (t->result != 1) CHECK(next == NULL);
        if (t->result == 1) t->got[t->count++] = next;
    } while (t->result == 1 && !t->once);
    t->ended = weft_now();
    return weft_scope_end(&t->scope, 0);
}

TEST(two_takers_share_a_queue_and_both_see_its_end)
{
    struct work c[5];
    struct group g;
    weft_nursery n;
    struct taker a = {.q = &g.q}, b = {.q = &g.q};
    open_nursery(&n, WEFT_FAIL_FAST);
    for (int i = 0; i < 5; i++) {
        c[i] = (struct work)ENDS(WEFT_MSEC(i / 2), 0);
    }
    start_group(&g, WEFT_FAIL_FAST, c, 5);
    CHECK_EQ(weft_spawn(&n, takes, &a), 0);
    CHECK_EQ(weft_spawn(&n, takes, &b), 0);
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(a.result, 0);
    CHECK_EQ(b.result, 0);
    CHECK_EQ(a.count + b.count, 5);
    unsigned handed = 0;
    for (int i = 0; i < a.count; i++) {
        handed += 1u << (a.got[i] - g.tasks);
    }
    for (int i = 0; i < b.count; i++) {
        handed += 1u << (b.got[i] - g.tasks);
    }
    CHECK_EQ(handed, 31);
    CHECK_EQ(a.ended - g.start, WEFT_MSEC(2));
    CHECK_EQ(b.ended - g.start, WEFT_MSEC(2));
}

TEST(parked_takers_get_nothing_when_the_last_task_goes_to_another)
{
    struct work c[] = {ENDS(WEFT_MSEC(3), 0)};
    struct group g;
    weft_nursery n;
    struct taker t[4];
    int got = 0;
    start_group(&g, WEFT_FAIL_FAST, c, 1);
    open_nursery(&n, WEFT_FAIL_FAST);
    for (int i = 0; i < 4; i++) {
        t[i] = (struct taker){.q = &g.q, .once = true};
        CHECK_EQ(weft_spawn(&n, takes, &t[i]), 0);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < 4; i++) {
        CHECK(t[i].result == 0 || t[i].result == 1);
        CHECK_EQ(t[i].ended - g.start, WEFT_MSEC(3));
        got += t[i].result;
    }
    CHECK_EQ(got, 1);
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
}

TEST_FIFO(takers_are_served_in_line)
{
    struct work c[] = {ENDS(WEFT_MSEC(1), 0), ENDS(WEFT_MSEC(2), 0),
                       ENDS(WEFT_MSEC(3), 0)};
    struct group g;
    weft_nursery n;
    struct taker t[3];
    start_group(&g, WEFT_FAIL_FAST, c, 3);
    open_nursery(&n, WEFT_FAIL_FAST);
    for (int i = 0; i < 3; i++) {
        t[i] = (struct taker){.q = &g.q, .once = true};
        CHECK_EQ(weft_spawn(&n, takes, &t[i]), 0);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_PTR(t[i].got[0], &g.tasks[i]);
    }
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
}

TEST(a_taker_that_was_cancelled_loses_nothing)
{
    struct work c[] = {ENDS(WEFT_MSEC(5), 0), ENDS(WEFT_MSEC(6), 0)};
    struct group g;
    weft_nursery n;
    struct taker gone = {.q = &g.q}, stays = {.q = &g.q};
    int rc;
    open_nursery(&n, WEFT_FAIL_FAST);
    start_group(&g, WEFT_FAIL_FAST, c, 2);
    CHECK_EQ(weft_spawn(&n, takes, &gone), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(weft_spawn(&n, takes, &stays), 0);
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(1)) {
        weft_task *t = NULL;
        rc = weft_next_done(&g.q, &t);
        CHECK_EQ(rc, -ECANCELED);
        CHECK(t == NULL);
    }
    weft_scope_cancel(&gone.scope, 0, NULL);
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(gone.result, -ECANCELED);
    CHECK_EQ(gone.count, 0);
    CHECK_EQ(stays.result, 0);
    CHECK_EQ(stays.count, 2);
}

TEST_FIFO(a_taker_that_has_its_task_keeps_it)
{
    struct work c[] = {ENDS(WEFT_MSEC(5), 0)};
    struct group g;
    weft_nursery n;
    struct taker t = {.q = &g.q, .once = true};
    start_group(&g, WEFT_FAIL_FAST, c, 1);
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, takes, &t), 0);
    CHECK_EQ(weft_spawn(&n, cancels_after_5_ms, &t.scope), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(t.result, 1);
    CHECK_PTR(t.got[0], &g.tasks[0]);
    check_no_more(&g.q);
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
}

TEST(a_taker_cancelled_as_the_task_ends_has_it_or_leaves_it)
{
    for (int i = 0; i < 2; i++) {
        struct work c[] = {ENDS(WEFT_MSEC(5), 0)};
        struct group g;
        weft_nursery n;
        struct taker t = {.q = &g.q, .once = true};
        weft_task *left = NULL;
        open_nursery(&n, WEFT_FAIL_FAST);
        if (i) CHECK_EQ(weft_spawn(&n, cancels_after_5_ms, &t.scope), 0);
        start_group(&g, WEFT_FAIL_FAST, c, 1);
        CHECK_EQ(weft_spawn(&n, takes, &t), 0);
        if (!i) CHECK_EQ(weft_spawn(&n, cancels_after_5_ms, &t.scope), 0);
        CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
        /* All that was ready at that moment has run. */
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
        CHECK(t.result == 1 || t.result == -ECANCELED);
        CHECK_EQ(weft_next_done(&g.q, &left), t.result != 1);
        CHECK_PTR(left, t.result == 1 ? NULL : &g.tasks[0]);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
    }
}

TEST_FIFO(nobody_takes_what_a_woken_taker_holds)
{
    struct work c[] = {ENDS(WEFT_MSEC(5), 0)};
    struct group g;
    weft_nursery n;
    struct taker t = {.q = &g.q, .once = true};
    start_group(&g, WEFT_FAIL_FAST, c, 1);
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, takes, &t), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    /* Ready after the child that ends, and before the taker that it wakes. */
    CHECK_EQ(weft_sleep_until(g.start + WEFT_MSEC(5)), 0);
    CHECK_EQ(t.count, 0);
    check_no_more(&g.q);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(t.count, 1);
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
}

static int spawns_the_next(void *arg)
{
    struct group *g = arg;
    static struct work c = ENDS(WEFT_MSEC(1), 0);
    int err = weft_sleep(WEFT_MSEC(1));
    if (err < 0) return err;
    spawn(&g->n, &g->tasks[1], &g->q, works, &c);
    return 0;
}

TEST(a_task_may_add_to_its_own_queue_before_it_ends)
{
    struct group g;
    start_group(&g, WEFT_FAIL_FAST, NULL, 0);
    spawn(&g.n, &g.tasks[0], &g.q, spawns_the_next, &g);
    check_next(&g, 0, WEFT_MSEC(1));
    check_next(&g, 1, WEFT_MSEC(2));
    check_no_more(&g.q);
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
}

TEST(joining_and_waiting_do_not_take_from_the_queue)
{
    struct work c[] = {ENDS(WEFT_MSEC(1), 0), ENDS(WEFT_MSEC(2), 0)};
    struct group g;
    start_group(&g, WEFT_FAIL_FAST, c, 2);
    CHECK_EQ(weft_wait(g.list, 2, WEFT_ALL, WEFT_FOREVER), 2);
    CHECK_EQ(weft_join(g.list[0], NULL), 0);
    check_next(&g, 0, WEFT_MSEC(2));
    check_next(&g, 1, WEFT_MSEC(2));
    check_no_more(&g.q);
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
}

static struct group *exit_group;
static struct work exit_child = ENDS(WEFT_MSEC(1), 0);

static weft_verdict spawns_one_more(weft_nursery *n, uint64_t child,
                                    weft_outcome o, void *user)
{
    unsigned *left = user;
    (void)child;
    (void)o;
    if (*left == 0) return WEFT_CONTINUE;
    weft_task *t = &exit_group->tasks[*left];
    spawn(n, t, &exit_group->q, works, &exit_child);
    --*left;
    return WEFT_CONTINUE;
}

TEST(what_on_exit_adds_for_the_last_task_keeps_the_queue_going)
{
    struct group g;
    unsigned left = 3;
    const weft_nursery_opts o = {.on_exit = spawns_one_more, .user = &left};
    exit_group = &g;
    g.start = weft_now();
    weft_doneq_init(&g.q);
    CHECK_EQ(weft_nursery_open(&g.n, &o), 0);
    spawn(&g.n, &g.tasks[0], &g.q, works, &exit_child);
    check_next(&g, 0, WEFT_MSEC(1));
    check_next(&g, 3, WEFT_MSEC(2));
    check_next(&g, 2, WEFT_MSEC(3));
    check_next(&g, 1, WEFT_MSEC(4));
    check_no_more(&g.q);
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
}

static int takes_from_its_own(void *arg)
{
    struct group *g = arg;
    weft_task *t = NULL;
    int rc = weft_next_done(&g->q, &t); /* the other one */
    CHECK_EQ(rc, 1);
    CHECK_PTR(t, &g->tasks[0]);
    return 0;
}

TEST(a_task_may_take_from_the_queue_it_will_go_to)
{
    struct work c[] = {ENDS(WEFT_MSEC(1), 0)};
    struct group g;
    start_group(&g, WEFT_FAIL_FAST, c, 1);
    spawn(&g.n, &g.tasks[1], &g.q, takes_from_its_own, &g);
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
    check_next(&g, 1, WEFT_MSEC(1));
    check_no_more(&g.q);
}

static void sleeps_for_10_ms(void *arg)
{
    CHECK_EQ(weft_sleep(WEFT_MSEC(10)), 0);
    ++*(unsigned *)arg;
}

static int defers_a_sleep(void *arg)
{
    CHECK_EQ(weft_defer(sleeps_for_10_ms, arg), 0);
    return 0;
}

TEST(a_task_is_done_when_its_deferred_functions_are)
{
    struct group g;
    unsigned slept = 0;
    start_group(&g, WEFT_FAIL_FAST, NULL, 0);
    g.list[0] = &g.tasks[0];
    spawn(&g.n, &g.tasks[0], &g.q, defers_a_sleep, &slept);
    CHECK_EQ(weft_wait(g.list, 1, WEFT_ALL, WEFT_MSEC(5)), 0);
    CHECK(!weft_task_done(&g.tasks[0]));
    weft_task_cancel(&g.tasks[0], 0, NULL); /* its result stands */
    CHECK_EQ(weft_join(&g.tasks[0], NULL), 0);
    CHECK_EQ(slept, 1);
    check_next(&g, 0, WEFT_MSEC(10));
    weft_outcome o;
    CHECK_EQ(weft_join(&g.tasks[0], &o), 0);
    CHECK_EQ(o.status, WEFT_OK);
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
}

TEST(what_is_always_ready_lets_others_run)
{
    struct work c[] = {ENDS(0, 0)};
    struct group g;
    unsigned turns = 0;
    weft_task *t;
    start_group(&g, WEFT_FAIL_FAST, c, 1);
    CHECK_EQ(weft_join(g.list[0], NULL), 0);
    CHECK_EQ(weft_spawn(&g.n, shows_that_it_runs, &turns), 0);
    for (int i = 0; i < 1300; i++) {
        CHECK_EQ(weft_wait(g.list, 1, WEFT_ALL, 0), 1);
    }
    CHECK(turns >= 5);
    turns = 0;
    for (int i = 0; i < 1300; i++) {
        CHECK_EQ(weft_next_done(&g.q, &t), i == 0);
    }
    CHECK(turns >= 5);
    weft_nursery_cancel(&g.n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
}

TEST(a_shield_that_is_taken_away_ends_a_wait)
{
    struct work c[] = {FOR_EVER};
    struct group g;
    weft_nursery n;
    struct waiter w = {&g, 1, WEFT_ALL, WEFT_SEC(9), .result = -1};
    weft_scope_init(&w.scope);
    start_group(&g, WEFT_FAIL_FAST, c, 1);
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, waits, &w), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    weft_scope_set_shield(&w.scope, true);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_cancelled(), true);
    int rc;
    WEFT_SHIELD(rc, WEFT_SEC(1)) {
        rc = weft_sleep(WEFT_MSEC(1));
        CHECK_EQ(w.result, -1);
        weft_scope_set_shield(&w.scope, false);
        rc = weft_sleep(WEFT_MSEC(1));
        CHECK_EQ(w.result, -ECANCELED);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    weft_nursery_cancel(&g.n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&g.n, 0), 0);
    CHECK_EQ(c[0].struck, 1);
}

TEST_PLAIN(waiting_needs_a_fiber)
{
    weft_doneq q;
    weft_task *t = NULL;
    weft_doneq_init(&q);
    CHECK_EQ(weft_wait(NULL, 0, WEFT_ALL, 0), -EPERM);
    CHECK_EQ(weft_next_done(&q, &t), -EPERM);
}

/* ---- at every moment ---------------------------------------------------- */

static weft_task swept[6];
static weft_doneq swept_q;
static unsigned handed_out[6];
static int swept_spawned;

static int owns_six(void *arg)
{
    struct work c[6];
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 6 && rc == 0; i++) {
            const weft_spawn_opts o = {.task = &swept[i], .doneq = &swept_q};
            c[i] = (struct work)ENDS(WEFT_MSEC(i % 3), 0);
            rc = weft_spawn_ex(&n, works, &c[i], &o);
            swept_spawned += rc == 0;
        }
    }
    return rc;
}

static int takes_from_the_six(void *arg)
{
    (void)arg;
    for (;;) {
        weft_task *t = NULL;
        int rc = weft_next_done(&swept_q, &t);
        CHECK_EQ(rc == 1, t != NULL);
        if (rc != 1) return rc;
        CHECK(weft_task_done(t));
        handed_out[t - swept]++;
    }
}

static int waits_for_the_six(void *arg)
{
    static weft_task *const all[] = {&swept[5], &swept[4], &swept[3],
                                     &swept[2], &swept[1], &swept[0]};
    (void)arg;
    int rc = weft_yield();
    if (rc < 0) return rc;
    rc = weft_wait(all, 6, WEFT_FIRST_DONE, WEFT_USEC(1500));
    if (rc == -EINVAL) return 0; /* the owner had not run */
    if (rc >= 0) rc = weft_wait(all, 6, WEFT_ALL, WEFT_FOREVER);
    if (rc >= 0) CHECK_EQ(rc, 6);
    return rc;
}

static void start_taking(weft_nursery *n)
{
    memset(handed_out, 0, sizeof handed_out);
    swept_spawned = 0;
    memset(swept, 0, sizeof swept);
    weft_doneq_init(&swept_q);
    sweep_spawn(n, owns_six, NULL);
    sweep_spawn(n, takes_from_the_six, NULL);
    sweep_spawn(n, takes_from_the_six, NULL);
    sweep_spawn(n, waits_for_the_six, NULL);
    sweep_spawn(n, waits_for_the_six, NULL);
}

static void check_all_were_handed_out(void)
{
    CHECK_EQ(takes_from_the_six(NULL), 0);
    for (int i = 0; i < 6; i++) {
        CHECK_EQ(handed_out[i], i < swept_spawned);
    }
}

SWEEP(whenever_a_taker_or_a_task_is_stopped_each_task_is_handed_out_once,
      start_taking, check_all_were_handed_out, 0);

/* ---- against a model ---------------------------------------------------- */

TEST(random_waits_return_when_and_what_the_rules_say)
{
    enum { ROUNDS = 300, MAX = 12, WAITERS = 6 };
    random_begin(test_seed());
    for (int round = 0; round < ROUNDS; round++) {
        weft_nursery n, m;
        struct work c[MAX];
        weft_task t[MAX];
        struct group g;
        struct waiter w[WAITERS];
        unsigned count = 1 + (unsigned)random_below(MOST);
        g.start = weft_now();
        open_nursery(&m, WEFT_FAIL_FAST);
        open_nursery(&n, WEFT_COLLECT);
        /* Odd moments for ends, even ones for expiry: no ties. */
        for (unsigned i = 0; i < count; i++) {
            c[i] = (struct work)ENDS(WEFT_MSEC(1 + 2 * random_below(9)),
                                     random_below(4) ? 0 : -EIO);
            g.list[i] = &t[i];
            spawn(&n, &t[i], NULL, works, &c[i]);
        }
        for (int i = 0; i < WAITERS; i++) {
            w[i] =
                (struct waiter){&g, count, (weft_wait_mode)random_below(3),
                                WEFT_MSEC(2 * random_below(12)), .result = -1};
            CHECK_EQ(weft_spawn(&m, waits, &w[i]), 0);
        }
        int rc = weft_nursery_close(&n, 0);
        CHECK(rc == 0 || rc == -EIO);
        CHECK_EQ(weft_nursery_close(&m, 0), 0);
        for (int i = 0; i < WAITERS; i++) {
            weft_time first = WEFT_FOREVER, last = 0, error = WEFT_FOREVER;
            for (unsigned k = 0; k < count; k++) {
                if (c[k].after < first) first = c[k].after;
                if (c[k].after > last) last = c[k].after;
                if (c[k].code && c[k].after < error) error = c[k].after;
            }
            weft_time until = w[i].mode == WEFT_ALL          ? last
                              : w[i].mode == WEFT_FIRST_DONE ? first
                              : error < last                 ? error
                                                             : last;
            if (w[i].ns < until) until = w[i].ns;
            CHECK_EQ(w[i].at - g.start, until);
            int least = 0, most = 0;
            for (unsigned k = 0; k < count; k++) {
                least += c[k].after < until;
                most += c[k].after <= until;
            }
            CHECK(w[i].result >= least && w[i].result <= most);
            if (w[i].mode == WEFT_ALL || until == w[i].ns)
                CHECK_EQ(w[i].result, most);
        }
    }
}

static int waits_scarcely(void *arg)
{
    weft_nursery n;
    static weft_task t[60], *all[60];
    static struct work c[60];
    unsigned count = 0;
    (void)arg;
    open_nursery(&n, WEFT_FAIL_FAST);
    for (int i = 0; i < 60; i++) {
        const weft_spawn_opts o = {.task = &t[i]};
        c[i] = (struct work)ENDS(WEFT_MSEC(3), 0);
        if (weft_spawn_ex(&n, works, &c[i], &o) < 0) break;
        all[count++] = &t[i];
    }
    int rc = weft_wait(all, count, WEFT_ALL, WEFT_MSEC(1));
    CHECK(rc == -ENOMEM || rc == 0);
    if (count <= 2) CHECK_EQ(rc, 0); /* "more than a few" */
    rc = weft_wait(all, count, WEFT_FIRST_DONE, WEFT_FOREVER);
    CHECK(rc == -ENOMEM || (count ? rc >= 1 : rc == 0));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_checkpoint(), 0);
    /* What is done already needs no memory. */
    rc = weft_wait(all, count, WEFT_ALL, WEFT_FOREVER);
    CHECK(rc == (int)count || rc == -ENOMEM);
    return 0;
}

STARVE(a_wait_without_memory_fails_and_the_tasks_go_on, waits_scarcely)
