/* SPDX-License-Identifier: MIT */
/* test_once.c - done once, by whoever gets to the end of it. */
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/once.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/task.h>
#include <weft/time.h>

#include <string.h>

#include "chance.h"
#include "deadlock.h"
#include "harness.h"
#include "starve.h"

enum { WAITING = 99, FIVE = 5 };

/* A pool that is expensive to make, and what becomes of it. */
static weft_once once;
static int pools, attempts, running;
static uint64_t ran_in; /* the number of the last fiber that made one */

struct caller {
    weft_time takes; /* the function's time */
    int makes;       /* its result */
    int result;      /* of weft_once_do */
    int turn;        /* the how-manieth attempt was its own; 0: none */
    int next;        /* the cancel point after it */
    weft_scope scope;
};

static int makes_a_pool(void *arg)
{
    struct caller *c = arg;
    CHECK_EQ(running++, 0);
    c->turn = ++attempts;
    ran_in = weft_fiber_id();
    CHECK(!weft_once_done(&once));
    int err = c->takes ? weft_sleep(c->takes) : 0;
    running--;
    if (err < 0) return err;
    if (c->makes >= 0) pools++;
    return c->makes;
}

static int calls(void *arg)
{
    struct caller *c = arg;
    CHECK_EQ(weft_scope_begin(&c->scope), 0);
    c->result = weft_once_do(&once, makes_a_pool, c);
    if (c->turn == attempts && c->turn) CHECK_EQ(ran_in, weft_fiber_id());
    c->next = weft_checkpoint();
    return weft_scope_end(&c->scope, 0);
}

/* Callers in that order; each has come to its wait, or to its end. */
static void line_up(weft_nursery *n, struct caller *c, int count)
{
    CHECK_EQ(weft_nursery_open(n, NULL), 0);
    once = (weft_once)WEFT_ONCE_INIT;
    pools = attempts = 0;
    for (int i = 0; i < count; i++) {
        c[i].result = WAITING;
        weft_scope_init(&c[i].scope);
        CHECK_EQ(weft_spawn(n, calls, &c[i]), 0);
        CHECK_EQ(weft_yield(), 0);
    }
}

TEST(five_callers_make_one_pool)
{
    weft_nursery n;
    struct caller c[FIVE] = {{.takes = 0}};
    weft_time start = weft_now();
    for (int i = 0; i < FIVE; i++)
        c[i].takes = WEFT_MSEC(10);
    line_up(&n, c, FIVE);
    for (int i = 0; i < FIVE; i++)
        CHECK_EQ(c[i].result, WAITING);
    CHECK(!weft_once_done(&once));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(10));
    CHECK_EQ(pools, 1);
    CHECK_EQ(attempts, 1);
    for (int i = 0; i < FIVE; i++) {
        CHECK_EQ(c[i].result, 0);
        CHECK_EQ(c[i].turn, i == 0);
    }
    CHECK(weft_once_done(&once));
}

TEST(who_comes_later_is_not_kept_waiting)
{
    weft_nursery n;
    struct caller c[2] = {{.takes = 0}};
    line_up(&n, c, 2);
    CHECK_EQ(c[0].result, 0); /* it did not wait, so it is done */
    CHECK_EQ(c[1].result, 0);
    CHECK_EQ(attempts, 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_positive_result_is_a_success_and_zero_to_the_caller)
{
    weft_nursery n;
    struct caller c = {.makes = 7};
    line_up(&n, &c, 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c.result, 0);
    CHECK(weft_once_done(&once));
}

TEST(a_failure_is_its_callers_alone_and_the_next_in_line_tries_again)
{
    weft_nursery n;
    struct caller c[FIVE] = {{.takes = 0}};
    for (int i = 0; i < FIVE; i++) {
        c[i].takes = WEFT_MSEC(10);
        c[i].makes = i < 2 ? -EIO - i : 0;
    }
    line_up(&n, c, FIVE);
    CHECK_EQ(weft_sleep(WEFT_MSEC(15)), 0);
    CHECK_EQ(c[0].result, -EIO);
    CHECK_EQ(c[1].turn, 2); /* in line, and in its own fiber */
    for (int i = 1; i < FIVE; i++)
        CHECK_EQ(c[i].result, WAITING);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c[1].result, -EIO - 1);
    CHECK_EQ(c[2].turn, 3);
    for (int i = 2; i < FIVE; i++)
        CHECK_EQ(c[i].result, 0);
    CHECK_EQ(pools, 1);
    CHECK_EQ(attempts, 3);
}

TEST(when_all_fail_the_next_who_comes_tries)
{
    weft_nursery n;
    struct caller c[FIVE] = {{.takes = 0}}, late = {.makes = 0};
    for (int i = 0; i < FIVE; i++) {
        c[i].takes = WEFT_MSEC(1);
        c[i].makes = -EIO;
    }
    line_up(&n, c, FIVE);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < FIVE; i++) {
        CHECK_EQ(c[i].result, -EIO);
        CHECK_EQ(c[i].turn, i + 1);
    }
    CHECK(!weft_once_done(&once));
    CHECK_EQ(weft_once_do(&once, makes_a_pool, &late), 0);
    CHECK_EQ(attempts, FIVE + 1);
}

static int fails_with_a_record(void *arg)
{
    (void)arg;
    return weft_fail(-EPROTO, "no pool today");
}

TEST(the_record_of_a_failure_is_its_callers)
{
    weft_once o = WEFT_ONCE_INIT;
    CHECK_EQ(weft_once_do(&o, fails_with_a_record, NULL), -EPROTO);
    CHECK(weft_last_error() != NULL);
    CHECK_STR(weft_last_error()->msg, "no pool today");
}

TEST(a_newcomer_does_not_pass_the_one_whose_turn_has_come)
{
    weft_nursery n;
    struct caller c[2] = {{.takes = WEFT_MSEC(1), .makes = -EIO},
                          {.takes = WEFT_MSEC(1)}};
    line_up(&n, c, 2);
    weft_scope_cancel(&c[0].scope, 0, NULL);
    CHECK_EQ(weft_yield(), 0); /* it has handed on, in whatever order */
    struct caller third = {.makes = 0};
    CHECK_EQ(weft_once_do(&once, makes_a_pool, &third), 0);
    CHECK_EQ(third.turn, 0);
    CHECK_EQ(c[1].turn, 2);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_cancelled_runner_hands_over)
{
    weft_nursery n;
    struct caller c[3] = {{.takes = WEFT_MSEC(10)},
                          {.takes = WEFT_MSEC(10)},
                          {.takes = WEFT_MSEC(10)}};
    weft_time start = weft_now();
    line_up(&n, c, 3);
    CHECK_EQ(weft_sleep(WEFT_MSEC(4)), 0);
    weft_scope_cancel(&c[0].scope, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c[0].result, -ECANCELED);
    CHECK_EQ(c[1].result, 0);
    CHECK_EQ(c[1].turn, 2);
    CHECK_EQ(c[2].result, 0);
    CHECK_EQ(c[2].turn, 0);
    CHECK_EQ(pools, 1);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(14));
}

TEST(a_runner_whose_deadline_passes_hands_over)
{
    weft_nursery n;
    struct caller c[2] = {{.takes = WEFT_MSEC(10)}, {.takes = WEFT_MSEC(10)}};
    weft_time start = weft_now();
    line_up(&n, c, 2);
    weft_scope_set_deadline(&c[0].scope, weft_after(WEFT_MSEC(3)));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c[0].result, -ECANCELED);
    CHECK_EQ(c[1].result, 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(13));
}

TEST(a_cancelled_waiter_leaves_the_others_in_line)
{
    weft_nursery n;
    struct caller c[4] = {{.takes = WEFT_MSEC(10), .makes = -EIO},
                          {.takes = WEFT_MSEC(10)},
                          {.takes = WEFT_MSEC(10)},
                          {.takes = WEFT_MSEC(10)}};
    line_up(&n, c, 4);
    weft_scope_cancel(&c[1].scope, 0, NULL);
    weft_scope_set_deadline(&c[3].scope, weft_after(WEFT_MSEC(15)));
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    CHECK_EQ(c[1].result, -ECANCELED);
    CHECK_EQ(c[1].turn, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c[0].result, -EIO);
    CHECK_EQ(c[2].turn, 2);
    CHECK_EQ(c[2].result, 0);
    CHECK_EQ(c[3].result, -ECANCELED);
    CHECK_EQ(c[3].turn, 0);
}

TEST(a_success_survives_a_cancel_of_its_runner_and_of_who_was_told)
{
    weft_nursery n;
    struct caller c[2] = {{.takes = 0}};
    c[0].takes = c[1].takes = WEFT_MSEC(1);
    line_up(&n, c, 2);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(weft_yield(), 0); /* the runner is done, now or since */
    CHECK(weft_once_done(&once));
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c[0].result, 0);
    CHECK_EQ(c[1].result, 0);
}

/* Cancels one that waits, and ends with rc. */
struct breaker {
    weft_scope *other;
    int rc;
};

static int cancels_the_other(void *arg)
{
    struct breaker *b = arg;
    int err = weft_sleep(WEFT_MSEC(1));
    if (err < 0) return err;
    weft_scope_cancel(b->other, 0, NULL);
    return b->rc;
}

TEST(a_waiter_cancelled_before_the_end_was_not_told_of_it)
{
    weft_nursery n;
    struct caller c = {.result = WAITING};
    struct breaker b = {&c.scope, 0};
    once = (weft_once)WEFT_ONCE_INIT;
    weft_scope_init(&c.scope);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, calls, &c), 0);
    CHECK_EQ(weft_once_do(&once, cancels_the_other, &b), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c.result, -ECANCELED);
}

static int fails_in_a_moment(void *arg)
{
    int err = weft_sleep(WEFT_MSEC(1));
    return err < 0 ? err : *(int *)arg;
}

/* Runs it, and in the turn of its end cancels the one in line. */
static int fails_and_cancels(void *arg)
{
    struct breaker *b = arg;
    int err = weft_once_do(&once, fails_in_a_moment, &b->rc);
    weft_scope_cancel(b->other, 0, NULL);
    CHECK_EQ(err, b->rc);
    return 0;
}

TEST(a_waiter_that_was_told_of_the_end_knows_it_though_cancelled)
{
    weft_nursery n;
    struct caller c = {.result = WAITING};
    struct breaker b = {&c.scope, 0};
    once = (weft_once)WEFT_ONCE_INIT;
    weft_scope_init(&c.scope);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, fails_and_cancels, &b), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_spawn(&n, calls, &c), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c.result, 0);
    CHECK_EQ(c.next, -ECANCELED);
}

TEST(a_turn_that_was_handed_over_is_taken_though_cancelled)
{
    weft_nursery n;
    struct caller c[2] = {{.result = WAITING}, {.result = WAITING}};
    struct breaker b = {&c[0].scope, -EIO};
    once = (weft_once)WEFT_ONCE_INIT;
    attempts = pools = 0;
    c[0].takes = c[1].takes = WEFT_MSEC(5);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, fails_and_cancels, &b), 0);
    CHECK_EQ(weft_yield(), 0);
    for (int i = 0; i < 2; i++) {
        weft_scope_init(&c[i].scope);
        CHECK_EQ(weft_spawn(&n, calls, &c[i]), 0);
        CHECK_EQ(weft_yield(), 0);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c[0].turn, 1); /* its function was called, and saw the cancel */
    CHECK_EQ(c[0].result, -ECANCELED);
    CHECK_EQ(c[1].turn, 2); /* and handed over in its turn */
    CHECK_EQ(c[1].result, 0);
    CHECK_EQ(pools, 1);
}

TEST(an_ask_in_a_cancelled_scope_fails_though_it_is_done)
{
    weft_scope s;
    struct caller c = {.makes = 0};
    once = (weft_once)WEFT_ONCE_INIT;
    attempts = 0;
    weft_scope_init(&s);
    weft_scope_cancel(&s, 0, NULL);
    CHECK_EQ(weft_scope_begin(&s), 0);
    CHECK_EQ(weft_once_do(&once, makes_a_pool, &c), -ECANCELED);
    CHECK_EQ(attempts, 0);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    CHECK_EQ(weft_once_do(&once, makes_a_pool, &c), 0);

    weft_scope_init(&s);
    weft_scope_cancel(&s, 0, NULL);
    CHECK_EQ(weft_scope_begin(&s), 0);
    CHECK_EQ(weft_once_do(&once, makes_a_pool, &c), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
}

TEST_PLAIN(outside_of_a_fiber_nothing_is_done)
{
    struct caller c = {.makes = 0};
    once = (weft_once)WEFT_ONCE_INIT;
    attempts = 0;
    CHECK_EQ(weft_once_do(&once, makes_a_pool, &c), -EPERM);
    CHECK_EQ(attempts, 0);
    CHECK(!weft_once_done(&once));
    CHECK_EQ(weft_once_reset(&once), 0);
}

/* --- reset --- */

static int resets_in_the_middle(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_once_reset(&once), -EBUSY);
    CHECK(!weft_once_done(&once));
    return 0;
}

TEST(after_a_reset_it_is_done_again_but_not_in_the_middle)
{
    struct caller c = {.makes = 0};
    once = (weft_once)WEFT_ONCE_INIT;
    attempts = 0;
    CHECK_EQ(weft_once_reset(&once), 0); /* nothing to undo */
    CHECK_EQ(weft_once_do(&once, resets_in_the_middle, NULL), 0);
    CHECK(weft_once_done(&once));
    CHECK_EQ(weft_once_do(&once, makes_a_pool, &c), 0);
    CHECK_EQ(attempts, 0);
    CHECK_EQ(weft_once_reset(&once), 0);
    CHECK(!weft_once_done(&once));
    CHECK_EQ(weft_once_do(&once, makes_a_pool, &c), 0);
    CHECK_EQ(attempts, 1);
}

static int succeeds_and_resets(void *arg)
{
    (void)arg;
    int zero = 0, err = weft_once_do(&once, fails_in_a_moment, &zero);
    CHECK_EQ(weft_once_reset(&once), 0);
    return err;
}

TEST(who_was_told_that_it_is_done_is_not_told_otherwise_by_a_reset)
{
    weft_nursery n;
    struct caller c = {.result = WAITING};
    once = (weft_once)WEFT_ONCE_INIT;
    attempts = 0;
    weft_scope_init(&c.scope);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, succeeds_and_resets, NULL), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_spawn(&n, calls, &c), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c.result, 0);
    CHECK_EQ(attempts, 0);
}

/* --- a function that asks for its own end --- */

static int never(void *arg)
{
    (void)arg;
    CHECK(false);
    return 0;
}

static int asks_again(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_once_do(&once, never, NULL), -EDEADLK);
    return 0;
}

TEST(a_function_that_asks_again_is_told)
{
    once = (weft_once)WEFT_ONCE_INIT;
    CHECK_EQ(weft_once_do(&once, asks_again, NULL), 0);
    CHECK(weft_once_done(&once));
}

static int asks_in_a_scope(void *arg)
{
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1)) {
        rc = asks_again(arg);
    }
    return rc;
}

static int asks_by_a_grandchild(void *arg)
{
    int rc, inner = 0;
    (void)arg;
    WEFT_FAIL_AFTER(rc, WEFT_SEC(1)) {
        WEFT_NURSERY(n, inner) {
            inner = weft_spawn(&n, asks_in_a_scope, NULL);
        }
        rc = inner;
    }
    return rc;
}

static int asks_by_a_child(void *arg)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, asks_by_a_grandchild, arg), 0);
    CHECK_EQ(weft_spawn(&n, asks_again, arg), 0);
    return weft_nursery_close(&n, 0);
}

TEST(a_function_that_asks_by_its_children_is_told)
{
    once = (weft_once)WEFT_ONCE_INIT;
    CHECK_EQ(weft_once_do(&once, asks_by_a_child, NULL), 0);

    int rc; /* and the same in a scope, that the runner had open before */
    once = (weft_once)WEFT_ONCE_INIT;
    WEFT_FAIL_AFTER(rc, WEFT_SEC(1)) {
        rc = weft_once_do(&once, asks_by_a_child, NULL);
    }
    CHECK_EQ(rc, 0);
}

TEST(a_child_that_was_there_before_may_wait)
{
    weft_nursery n;
    struct caller child = {.result = WAITING};
    struct caller self = {.takes = WEFT_MSEC(5)};
    once = (weft_once)WEFT_ONCE_INIT;
    attempts = pools = 0;
    weft_scope_init(&child.scope);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, calls, &child), 0);
    CHECK_EQ(weft_once_do(&once, makes_a_pool, &self), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(child.result, 0);
    CHECK_EQ(attempts, 1);
}

TEST(a_child_that_was_there_before_a_scope_may_wait)
{
    weft_nursery n;
    int rc;
    struct caller child = {.result = WAITING};
    struct caller self = {.takes = WEFT_MSEC(5)};
    once = (weft_once)WEFT_ONCE_INIT;
    attempts = pools = 0;
    weft_scope_init(&child.scope);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, calls, &child), 0);
    WEFT_FAIL_AFTER(rc, WEFT_SEC(1)) {
        rc = weft_once_do(&once, makes_a_pool, &self);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(child.result, 0);
    CHECK_EQ(attempts, 1);
}

static int asks_by_a_child_when_its_turn_comes(void *arg)
{
    struct caller *c = arg;
    c->result = weft_once_do(&once, asks_by_a_child, NULL);
    return 0;
}

TEST(a_function_in_its_second_run_that_asks_is_told)
{
    weft_nursery n;
    struct caller c[2] = {{.takes = WEFT_MSEC(1), .makes = -EIO},
                          {.result = WAITING}};
    line_up(&n, c, 1);
    CHECK_EQ(weft_spawn(&n, asks_by_a_child_when_its_turn_comes, &c[1]), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c[0].result, -EIO);
    CHECK_EQ(c[1].result, 0);
}

/* --- deadlocks, and who is waited for --- */

static int joins_one_that_waits(void *arg)
{
    return weft_join(arg, NULL);
}

static int asks_once(void *arg)
{
    (void)arg;
    return weft_once_do(&once, never, NULL);
}

static int waits_for_one_that_waits(void *unused)
{
    static weft_task task;
    weft_nursery n;
    weft_spawn_opts o = {.name = "asker", .task = &task};
    (void)unused;
    weft_fiber_set_name("maker");
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, asks_once, NULL, &o), 0);
    int rc = weft_once_do(&once, joins_one_that_waits, &task);
    CHECK_EQ(rc, -ECANCELED);
    return weft_nursery_close(&n, rc);
}

TEST_PLAIN(a_runner_and_its_waiter_make_a_circle)
{
    const char *line =
        strstr(deadlock_circle(waits_for_one_that_waits), "\"asker\" parked");
    CHECK(line && strstr(line, "in once"));
    const char *holder = strstr(line, "held by fiber");
    CHECK(holder && strstr(holder, "\"maker\""));
    CHECK(holder < line + strcspn(line, "\n"));
}

/* --- random use --- */

enum { ACTORS = 8, ROUNDS = 300 };

/* Callers come at random moments, take so long, fail or not, and are cancelled
 * or not. The model is played on a line of time. */
static struct plan {
    struct caller c;
    int comes, takes, makes, cancelled; /* in ms; cancelled: never */
    int expected;
} plans[ACTORS];

static int comes_and_calls(void *arg)
{
    struct plan *p = arg;
    CHECK_EQ(weft_sleep(WEFT_MSEC(p->comes)), 0);
    weft_scope_set_deadline(&p->c.scope, WEFT_FOREVER);
    if (p->cancelled >= 0)
        weft_scope_set_deadline(&p->c.scope,
                                weft_after(WEFT_MSEC(p->cancelled)));
    return calls(&p->c);
}

static void draw(void)
{
    for (int i = 0; i < ACTORS; i++) {
        struct plan *p = &plans[i];
        *p = (struct plan){.comes = 1 + i * 1000 + random_below(900)};
        p->takes = (1 + random_below(4000)) | 1;
        p->makes = random_below(3) ? -EIO : 0;
        p->cancelled = random_below(3) ? -1 : 2 + random_below(5000);
        p->c = (struct caller){
            .takes = WEFT_MSEC(p->takes), .makes = p->makes, .result = WAITING};
        weft_scope_init(&p->c.scope);
    }
}

static int cancel_time(const struct plan *p)
{
    return p->cancelled < 0 ? INT32_MAX : p->comes + p->cancelled;
}

/* Who comes finds it done, or runs it as soon as all before him, in the order
 * of their coming, have failed or gone away. False: two things would happen at
 * the same time. */
static bool play(void)
{
    int free_at = 0, done_at = INT32_MAX;
    for (int i = 0; i < ACTORS; i++) {
        struct plan *p = &plans[i];
        int gone = cancel_time(p);
        if (p->comes >= done_at) {
            if (p->comes == done_at) return false;
            p->expected = 0;
            continue;
        }
        int starts = p->comes > free_at ? p->comes : free_at;
        if (done_at != INT32_MAX) starts = done_at; /* then it has waited */
        if (gone == starts || p->comes == free_at) return false;
        if (gone < starts) {
            p->expected = -ECANCELED;
            continue;
        }
        if (done_at != INT32_MAX) {
            p->expected = 0;
            continue;
        }
        int ends = starts + p->takes;
        if (gone == ends) return false;
        free_at = gone < ends ? gone : ends;
        p->expected = gone < ends ? -ECANCELED : p->makes;
        if (p->expected == 0) done_at = ends;
    }
    return true;
}

static int play_round(void)
{
    weft_nursery n;
    draw();
    if (!play()) return 0;
    once = (weft_once)WEFT_ONCE_INIT;
    pools = attempts = 0;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < ACTORS; i++)
        CHECK_EQ(weft_spawn(&n, comes_and_calls, &plans[i]), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    bool any = false;
    for (int i = 0; i < ACTORS; i++) {
        CHECK_EQ(plans[i].c.result, plans[i].expected);
        any |= plans[i].expected == 0;
    }
    CHECK_EQ(weft_once_done(&once), any);
    CHECK_EQ(pools, any);
    return 1;
}

TEST(it_is_done_as_on_a_line_of_time)
{
    int played = 0;
    random_begin(test_seed());
    for (int i = 0; i < ROUNDS; i++)
        played += play_round();
    CHECK(played > ROUNDS / 2);
}

#ifdef WEFT_HOSTILE
static int allocates_nothing(void *unused)
{
    weft_nursery n;
    struct caller c[3] = {{.takes = WEFT_MSEC(1), .makes = -EIO},
                          {.takes = WEFT_MSEC(1)},
                          {.takes = WEFT_MSEC(1)}};
    (void)unused;
    if (weft_nursery_open(&n, NULL) < 0) return -ENOMEM;
    once = (weft_once)WEFT_ONCE_INIT;
    pools = attempts = 0;
    for (int i = 0; i < 3; i++) {
        weft_scope_init(&c[i].scope);
        if (weft_spawn(&n, calls, &c[i]) < 0)
            return weft_nursery_close(&n, -ENOMEM);
    }
    CHECK_EQ(weft_yield(), 0);
    long before = wf_hostile_uses(WF_CALL_ALLOC);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(wf_hostile_uses(WF_CALL_ALLOC), before);
    CHECK_EQ(c[0].result, -EIO);
    CHECK_EQ(c[2].result, 0);
    return 0;
}

TEST_PLAIN(no_memory_is_needed_to_wait_and_to_hand_over)
{
    fail_each(allocates_nothing, WF_CALL_ALLOC);
}
#endif
