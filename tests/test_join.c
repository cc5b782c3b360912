/* SPDX-License-Identifier: MIT */
/* test_join.c - tasks: joining one, cancelling one, what is known of its end. */
#include <weft/background.h>
#include <weft/cleanup.h>
#include <weft/error.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/gather.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/task.h>
#include <weft/time.h>

#include <string.h>

#include "deadlock.h"
#include "fibers.h"
#include "harness.h"
#include "open.h"
#include "starve.h"
#include "sweep.h"
#include "unhandled.h"
#include "work.h"

/* ---- children ----------------------------------------------------------- */

/* What a task is before its spawn does not matter: it is filled in there. */
static void scribble(weft_task *t)
{
    memset(t, 0xa5, sizeof *t);
}

static void spawn(weft_nursery *n, weft_task *t, weft_fn fn, void *arg)
{
    const weft_spawn_opts o = {.task = t};
    scribble(t);
    CHECK_EQ(weft_spawn_ex(n, fn, arg, &o), 0);
}

static void check_outcome(weft_task *t, weft_status status, int rc)
{
    weft_outcome o = {.status = (weft_status)77, .rc = 77};
    CHECK_EQ(weft_join(t, &o), 0);
    CHECK_EQ(o.status, status);
    CHECK_EQ(o.rc, rc);
    CHECK_EQ(o.err != NULL, status == WEFT_FAILED);
    if (o.err) CHECK_EQ(o.err->code, rc);
    CHECK(weft_task_done(t));
}

/* ---- the listed cases --------------------------------------------------- */

TEST(wai_01_a_cancelled_child_is_not_taken_for_a_cancelled_joiner)
{
    weft_nursery n;
    weft_task t;
    struct work c = FOR_EVER;
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t, works, &c);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    weft_task_cancel(&t, -EINTR, "no longer wanted");
    check_outcome(&t, WEFT_CANCELLED, -ECANCELED);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(wai_02_a_join_that_expires_leaves_the_child_alone)
{
    weft_nursery n;
    weft_task t;
    struct work c = ENDS(WEFT_MSEC(10), 6);
    int rc;
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t, works, &c);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_join(&t, NULL);
        CHECK_EQ(rc, -ECANCELED);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK(!weft_task_done(&t));
    check_outcome(&t, WEFT_OK, 6);
    CHECK_EQ(c.struck, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    check_outcome(&t, WEFT_OK, 6);
}

struct family {
    weft_task *self, *parent, *grandparent;
    int results[3];
};

static int joins_its_family(void *arg)
{
    struct family *f = arg;
    f->results[0] = weft_join(f->self, NULL);
    f->results[1] = f->parent ? weft_join(f->parent, NULL) : 0;
    f->results[2] = f->grandparent ? weft_join(f->grandparent, NULL) : 0;
    return 0;
}

static weft_task line_of[4];

static int has_a_child(void *arg)
{
    struct family *f = arg;
    int rc;
    WEFT_NURSERY(n, rc)
        spawn(&n, &line_of[2], joins_its_family, f);
    return rc;
}

static int has_a_grandchild(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc)
        spawn(&n, &line_of[1], has_a_child, arg);
    return rc;
}

TEST(wai_03_joining_oneself_or_an_ancestor_is_refused)
{
    weft_nursery n;
    struct family f = {&line_of[2], &line_of[1], &line_of[0], {0, 0, 0}};
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &line_of[0], has_a_grandchild, &f);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(f.results[i], -EDEADLK);
        check_outcome(&line_of[i], WEFT_OK, 0);
    }
}

struct joiner {
    weft_task *task;
    weft_scope scope;
    int result;
    weft_outcome outcome;
    weft_time at;
};

static int joins(void *arg)
{
    struct joiner *j = arg;
    open_scope(&j->scope);
    j->result = weft_join(j->task, &j->outcome);
    j->at = weft_now();
    return weft_scope_end(&j->scope, 0);
}

TEST(wai_04_two_joiners_wake_with_the_same_outcome)
{
    weft_nursery n, m;
    weft_task t;
    struct joiner j[2] = {{.task = &t, .result = 1}, {.task = &t, .result = 1}};
    weft_time start = weft_now();
    open_nursery(&n, WEFT_FAIL_FAST);
    open_nursery(&m, WEFT_COLLECT);
    spawn(&m, &t, fails_with_words, "bread");
    CHECK_EQ(weft_spawn(&n, joins, &j[0]), 0);
    CHECK_EQ(weft_spawn(&n, joins, &j[1]), 0);
    CHECK_EQ(weft_nursery_close(&m, 0), -EPROTO);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(j[i].result, 0);
        CHECK_EQ(j[i].outcome.status, WEFT_FAILED);
        CHECK_EQ(j[i].outcome.rc, -EPROTO);
        CHECK_STR(j[i].outcome.err->msg, "no bread today");
        CHECK_EQ(j[i].at - start, WEFT_MSEC(1));
    }
    CHECK_PTR(j[0].outcome.err, j[1].outcome.err);
}

TEST(wai_12_cancelling_one_child_leaves_its_sibling_and_the_nursery_alone)
{
    weft_nursery n;
    weft_task t[2];
    struct work a = FOR_EVER, b = ENDS(WEFT_MSEC(5), 0);
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t[0], works, &a);
    spawn(&n, &t[1], works, &b);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    weft_task_cancel(&t[0], -EIO, "alone");
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK(weft_task_done(&t[0]));
    CHECK(!weft_task_done(&t[1]));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    check_outcome(&t[0], WEFT_CANCELLED, -ECANCELED);
    check_outcome(&t[1], WEFT_OK, 0);
    CHECK_EQ(b.struck, 0);
}

/* ---- joining ------------------------------------------------------------ */

TEST(a_task_may_be_joined_again_and_after_the_close)
{
    weft_nursery n;
    weft_task t[3];
    struct work ok = ENDS(0, 3), bad = ENDS(WEFT_MSEC(1), -EIO);
    struct work stopped = FOR_EVER;
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t[0], works, &ok);
    spawn(&n, &t[1], works, &bad);
    spawn(&n, &t[2], works, &stopped);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    for (int i = 0; i < 3; i++) {
        check_outcome(&t[0], WEFT_OK, 3);
        check_outcome(&t[1], WEFT_FAILED, -EIO);
        check_outcome(&t[2], WEFT_CANCELLED, -ECANCELED);
        CHECK_EQ(weft_join(&t[i], NULL), 0);
    }
}

TEST(joining_what_was_never_spawned_is_refused)
{
    weft_task t = {0};
    weft_outcome o = {WEFT_FAILED, 7, NULL};
    CHECK_EQ(weft_join(&t, &o), -EINVAL);
    CHECK_EQ(weft_join(&t, NULL), -EINVAL);
    CHECK_EQ(o.rc, 7);
    CHECK(!weft_task_done(&t));
}

TEST(a_task_whose_spawn_failed_was_never_spawned)
{
    weft_nursery n;
    weft_task t;
    static char large[1 << 16];
    const weft_nursery_opts one = {.limit = 1};
    const weft_spawn_opts o = {.task = &t};
    const weft_spawn_opts unless = {.task = &t, .unless_cancelled = true};
    struct work c = ENDS(WEFT_MSEC(1), 0);

    CHECK_EQ(weft_nursery_open(&n, &one), 0);
    scribble(&t);
    CHECK_EQ(weft_spawn_copy_ex(&n, works, large, sizeof large, &o), -E2BIG);
    CHECK_EQ(weft_join(&t, NULL), -EINVAL);
    CHECK(!weft_task_done(&t));

    CHECK_EQ(weft_spawn(&n, works, &c), 0);
    scribble(&t);
    CHECK_EQ(weft_spawn_ex(&n, works, &c, &o), -EAGAIN);
    CHECK_EQ(weft_join(&t, NULL), -EINVAL);
    CHECK(!weft_task_done(&t));
    CHECK_EQ(weft_sleep(WEFT_MSEC(2)), 0);

    weft_nursery_cancel(&n, 0, NULL);
    scribble(&t);
    CHECK_EQ(weft_spawn_ex(&n, works, &c, &unless), -ECANCELED);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_join(&t, NULL), -EINVAL);
    scribble(&t);
    CHECK_EQ(weft_spawn_ex(&n, works, &c, &o), -ESHUTDOWN);
    CHECK_EQ(weft_join(&t, NULL), -EINVAL);
    CHECK(!weft_task_done(&t));
    CHECK_EQ(c.ran, 1);
}

TEST(a_spawner_that_gave_up_waiting_left_no_task)
{
    weft_nursery n, m;
    weft_task t;
    const weft_nursery_opts one = {.limit = 1};
    const weft_spawn_opts o = {.task = &t};
    struct work c = ENDS(WEFT_MSEC(5), 0);
    int rc;
    CHECK_EQ(weft_nursery_open(&n, &one), 0);
    open_nursery(&m, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, works, &c), 0);
    scribble(&t);
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(1)) {
        rc = weft_spawn_wait_ex(&n, works, &c, &o);
        CHECK_EQ(rc, -ECANCELED);
    }
    CHECK_EQ(weft_join(&t, NULL), -EINVAL);
    CHECK_EQ(weft_spawn_wait_ex(&n, works, &c, &o), 0);
    check_outcome(&t, WEFT_OK, 0);
    CHECK_EQ(weft_nursery_close(&m, 0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_task_that_ended_and_whose_second_spawn_failed_is_none)
{
    weft_nursery n;
    weft_task t;
    const weft_spawn_opts o = {.task = &t};
    struct work c = ENDS(0, 1);
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t, works, &c);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    check_outcome(&t, WEFT_OK, 1);
    CHECK_EQ(weft_spawn_ex(&n, works, &c, &o), -ESHUTDOWN);
    CHECK_EQ(weft_join(&t, NULL), -EINVAL);
}

TEST(a_task_that_ended_and_found_no_place_the_second_time_is_none)
{
    weft_nursery n;
    weft_task t;
    const weft_nursery_opts one = {.limit = 1};
    const weft_spawn_opts o = {.task = &t};
    struct work quick = ENDS(0, 1), slow = ENDS(WEFT_MSEC(5), 0);
    CHECK_EQ(weft_nursery_open(&n, &one), 0);
    spawn(&n, &t, works, &quick);
    check_outcome(&t, WEFT_OK, 1);
    CHECK_EQ(weft_spawn_wait(&n, works, &slow), 0);
    CHECK_EQ(weft_spawn_ex(&n, works, &quick, &o), -EAGAIN);
    CHECK(!weft_task_done(&t));
    CHECK_EQ(weft_join(&t, NULL), -EINVAL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_task_that_ended_and_whose_second_spawner_was_cancelled_is_none)
{
    weft_nursery n;
    weft_task t;
    const weft_spawn_opts o = {.task = &t};
    struct work c = ENDS(0, 1);
    int rc;
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t, works, &c);
    check_outcome(&t, WEFT_OK, 1);
    WEFT_MOVE_ON_AFTER(rc, 0) {
        rc = weft_spawn_wait_ex(&n, works, &c, &o);
        CHECK_EQ(rc, -ECANCELED);
    }
    CHECK(!weft_task_done(&t));
    CHECK_EQ(weft_join(&t, NULL), -EINVAL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c.ran, 1);
}

TEST(a_task_can_serve_again_after_the_close)
{
    weft_nursery n;
    weft_task t;
    weft_outcome o;
    open_nursery(&n, WEFT_COLLECT);
    spawn(&n, &t, fails_with_words, "bread");
    CHECK_EQ(weft_nursery_close(&n, 0), -EPROTO);
    uint64_t first = weft_task_id(&t);
    open_nursery(&n, WEFT_FAIL_FAST);
    const weft_spawn_opts again = {.task = &t};
    struct work c = ENDS(WEFT_MSEC(1), 4);
    CHECK_EQ(weft_spawn_ex(&n, works, &c, &again), 0);
    CHECK(!weft_task_done(&t));
    CHECK_EQ(weft_join(&t, &o), 0);
    CHECK_EQ(o.status, WEFT_OK);
    CHECK_EQ(o.rc, 4);
    CHECK(o.err == NULL);
    CHECK(weft_task_id(&t) != first);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(in_a_cancelled_scope_even_an_ended_task_is_not_joined)
{
    weft_nursery n;
    weft_task t, none = {0};
    weft_scope s;
    weft_outcome o = {WEFT_FAILED, 7, NULL};
    struct work c = ENDS(0, 3);
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t, works, &c);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK(weft_task_done(&t));
    open_cancelled_scope(&s);
    CHECK_EQ(weft_join(&t, &o), -ECANCELED);
    CHECK_EQ(weft_join(&none, &o), -ECANCELED);
    CHECK_EQ(o.rc, 7);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), 0);
    check_outcome(&t, WEFT_OK, 3);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_task_of_a_cancelled_nursery_is_cancelled)
{
    weft_nursery outer, n;
    weft_task t;
    struct work c = {.after = WEFT_FOREVER, .cleanup = WEFT_MSEC(3)};
    open_nursery(&outer, WEFT_FAIL_FAST);
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t, works, &c);
    struct joiner j = {.task = &t, .result = 1};
    CHECK_EQ(weft_spawn(&outer, joins, &j), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    weft_nursery_cancel(&n, -EINTR, "all");
    CHECK_EQ(weft_join(&t, NULL), -ECANCELED);
    CHECK_EQ(weft_nursery_close(&n, 0), -EINTR);
    check_outcome(&t, WEFT_CANCELLED, -ECANCELED);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(j.result, 0);
    CHECK_EQ(j.outcome.status, WEFT_CANCELLED);
}

static int joins_and_says(void *arg)
{
    weft_outcome o;
    int err = weft_join(arg, &o);
    return err < 0 ? err : o.rc;
}

TEST(a_fiber_may_join_its_sibling_the_child_of_another_and_an_uncle)
{
    weft_nursery n, m;
    weft_task t, u;
    struct work c = ENDS(WEFT_MSEC(5), 9);
    open_nursery(&n, WEFT_FAIL_FAST);
    open_nursery(&m, WEFT_FAIL_FAST);
    spawn(&n, &t, works, &c);
    spawn(&n, &u, joins_and_says, &t); /* a sibling */
    weft_job nephew = {.fn = joins_and_says, .arg = &t};
    CHECK_EQ(weft_gather(&nephew, 1, NULL), 0);
    CHECK_EQ(nephew.rc, 9);
    spawn(&m, &u, joins_and_says, &t); /* of another nursery */
    CHECK_EQ(weft_nursery_close(&m, 0), 0);
    check_outcome(&u, WEFT_OK, 9);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

struct adoption {
    weft_nursery *n;
    weft_task *spawner, *child;
    int result;
};

static int joins_its_spawner(void *arg)
{
    struct adoption *a = arg;
    a->result = weft_join(a->spawner, NULL);
    return 0;
}

static int spawns_a_sibling(void *arg)
{
    struct adoption *a = arg;
    spawn(a->n, a->child, joins_its_spawner, a);
    return weft_sleep(WEFT_MSEC(3));
}

TEST(who_spawned_it_is_no_ancestor_but_who_opened_the_nursery)
{
    weft_nursery n;
    weft_task spawner, child;
    struct adoption a = {&n, &spawner, &child, 1};
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &spawner, spawns_a_sibling, &a);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(a.result, 0);
}

enum { DEPTH = 200 };
static weft_task chain[DEPTH + 1];
static unsigned refused;

static int goes_deeper(void *arg)
{
    size_t depth = (size_t)arg;
    int rc = 0;
    if (depth < DEPTH) {
        WEFT_NURSERY(n, rc)
            spawn(&n, &chain[depth + 1], goes_deeper, (void *)(depth + 1));
        return rc;
    }
    for (int i = 0; i <= DEPTH; i++) {
        refused += weft_join(&chain[i], NULL) == -EDEADLK;
    }
    return rc;
}

TEST(an_ancestor_at_any_depth_is_found_out)
{
    weft_nursery n;
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &chain[0], goes_deeper, (void *)0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(refused, DEPTH + 1);
}

static weft_task task_of_gatherer;

static int joins_the_gatherer(void *arg)
{
    (void)arg;
    return weft_join(&task_of_gatherer, NULL);
}

static int gathers_one(void *arg)
{
    weft_job job = {.fn = joins_the_gatherer};
    (void)arg;
    CHECK_EQ(weft_gather(&job, 1, NULL), -EDEADLK);
    return 0;
}

TEST(a_job_of_a_gather_is_a_descendant_of_its_caller)
{
    weft_nursery n;
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &task_of_gatherer, gathers_one, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static weft_task request, mail;
static int mail_result = 1;

static int sends_mail(void *arg)
{
    (void)arg;
    mail_result = weft_join(&request, NULL);
    return 0;
}

static int handles_a_request(void *arg)
{
    const weft_spawn_opts o = {.task = &mail};
    (void)arg;
    CHECK_EQ(weft_background(sends_mail, NULL, &o), 0);
    return weft_sleep(WEFT_MSEC(1));
}

TEST(background_work_may_join_who_began_it_and_be_joined)
{
    weft_nursery n;
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &request, handles_a_request, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_join(&mail, NULL), 0);
    CHECK_EQ(mail_result, 0);
}

/* ---- cancellation and the end of the task meet -------------------------- */

struct strike {
    weft_time at;
    weft_scope *scope;
};

static int strikes(void *arg)
{
    const struct strike *s = arg;
    int err = weft_sleep(s->at);
    if (err < 0) return err;
    weft_scope_cancel(s->scope, -EINTR, NULL);
    return 0;
}

TEST_FIFO(a_join_granted_before_the_cancellation_is_granted)
{
    weft_nursery n;
    weft_task t;
    struct work c = ENDS(WEFT_MSEC(5), 7);
    struct joiner j = {.task = &t, .result = 1};
    struct strike s = {WEFT_MSEC(5), &j.scope};
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t, works, &c); /* ends at 5, and the joiner is ready, */
    CHECK_EQ(weft_spawn(&n, joins, &j), 0);
    CHECK_EQ(weft_spawn(&n, strikes, &s), 0); /* but this one comes first */
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(j.result, 0);
    CHECK_EQ(j.outcome.rc, 7);
}

TEST_FIFO(a_join_cancelled_before_the_end_is_cancelled)
{
    weft_nursery n;
    weft_task t;
    struct work c = ENDS(WEFT_MSEC(5), 7);
    struct joiner j = {.task = &t, .result = 1, .outcome = {.rc = 99}};
    struct strike s = {WEFT_MSEC(5), &j.scope};
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, strikes, &s), 0);
    spawn(&n, &t, works, &c);
    CHECK_EQ(weft_spawn(&n, joins, &j), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(j.result, -ECANCELED);
    CHECK_EQ(j.outcome.rc, 99);
}

TEST(when_both_come_at_one_moment_the_outcome_is_there_or_untouched)
{
    weft_nursery n;
    weft_task t;
    struct work c = ENDS(WEFT_MSEC(5), 7);
    struct joiner j[8];
    struct strike s[8];
    open_nursery(&n, WEFT_FAIL_FAST);
    for (int i = 0; i < 8; i++) {
        j[i] = (struct joiner){.task = &t, .result = 1, .outcome.rc = 99};
        s[i] = (struct strike){WEFT_MSEC(5), &j[i].scope};
        if (i == 4) spawn(&n, &t, works, &c);
        CHECK_EQ(weft_spawn(&n, strikes, &s[i]), 0);
    }
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    for (int i = 0; i < 8; i++) {
        CHECK_EQ(weft_spawn(&n, joins, &j[i]), 0);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < 8; i++) {
        CHECK(j[i].result == 0 || j[i].result == -ECANCELED);
        CHECK_EQ(j[i].outcome.rc, j[i].result == 0 ? 7 : 99);
    }
}

TEST(joiners_that_left_do_not_keep_the_others_from_waking)
{
    weft_nursery n;
    weft_task t;
    struct work c = ENDS(WEFT_MSEC(9), 7);
    struct joiner j[5];
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t, works, &c);
    for (int i = 0; i < 5; i++) {
        j[i] = (struct joiner){.task = &t, .result = 1};
        CHECK_EQ(weft_spawn(&n, joins, &j[i]), 0);
    }
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    weft_scope_cancel(&j[0].scope, 0, NULL);
    weft_scope_cancel(&j[2].scope, 0, NULL);
    weft_scope_cancel(&j[4].scope, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(j[i].result, i % 2 ? 0 : -ECANCELED);
    }
}

TEST_FIFO(joiners_wake_in_the_order_in_which_they_came)
{
    weft_nursery n;
    weft_task t, who[3];
    struct work c = ENDS(WEFT_MSEC(5), 7);
    weft_doneq q;
    weft_doneq_init(&q);
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t, works, &c);
    for (int i = 0; i < 3; i++) {
        const weft_spawn_opts o = {.task = &who[i], .doneq = &q};
        CHECK_EQ(weft_spawn_ex(&n, joins_and_says, &t, &o), 0);
    }
    for (int i = 0; i < 3; i++) {
        weft_task *next;
        CHECK_EQ(weft_next_done(&q, &next), 1);
        CHECK_PTR(next, &who[i]);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* ---- records ------------------------------------------------------------ */

static int fails_a_lot(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) {
        (void)weft_fail(-EIO, "another failure with other words %d", i);
    }
    return 0;
}

static void reuse_all_memory(void)
{
    weft_job jobs[20];
    for (int i = 0; i < 20; i++) {
        jobs[i] = (weft_job){.fn = fails_with_words, .arg = "other food"};
    }
    const weft_gather_opts o = {.policy = WEFT_COLLECT};
    CHECK_EQ(weft_gather(jobs, 20, &o), 0);
    CHECK_EQ(weft_gather(jobs, 20, NULL), -EPROTO);
    (void)fails_a_lot(NULL);
}

TEST(the_record_lives_as_long_as_the_task_under_every_policy)
{
    static const weft_policy policies[] = {WEFT_FAIL_FAST, WEFT_COLLECT,
                                           WEFT_SUPERVISE};
    for (int i = 0; i < 3; i++) {
        weft_nursery n;
        weft_task t;
        weft_outcome o, again;
        const weft_spawn_opts with = {.task = &t, .name = "baker"};
        open_nursery(&n, policies[i]);
        CHECK_EQ(weft_spawn_ex(&n, fails_with_words, "bread", &with), 0);
        int rc = weft_nursery_close(&n, 0);
        CHECK_EQ(rc, policies[i] == WEFT_SUPERVISE ? 0 : -EPROTO);
        CHECK_EQ(weft_join(&t, &o), 0);
        reuse_all_memory();
        CHECK_EQ(o.status, WEFT_FAILED);
        CHECK_EQ(o.err->code, -EPROTO);
        CHECK_STR(o.err->msg, "no bread today");
        CHECK_STR(o.err->name, "baker");
        CHECK_EQ(o.err->fiber, weft_task_id(&t));
        CHECK(strstr(o.err->file, "fibers.h") != NULL);
        CHECK(o.err->next == NULL); /* it is one failure, not the group */
        CHECK_EQ(weft_join(&t, &again), 0);
        CHECK_PTR(again.err, o.err);
    }
}

static int fails_with_a_group(void *arg)
{
    weft_job jobs[] = {{.fn = fails_with_words, .arg = arg},
                       {.fn = fails_with_words, .arg = arg}};
    return weft_gather(jobs, 2, NULL);
}

/* All that can be reached must be there. */
static unsigned walk(const weft_error *e)
{
    unsigned seen = 0;
    for (; e; e = e->next) {
        CHECK_EQ(e->code, -EPROTO);
        CHECK_STR(e->msg, "no bread today");
        seen += 1 + walk(e->inner);
    }
    return seen;
}

TEST(what_hangs_off_the_record_of_a_task_is_not_gone_either)
{
    static const weft_policy policies[] = {WEFT_FAIL_FAST, WEFT_COLLECT,
                                           WEFT_SUPERVISE};
    for (int i = 0; i < 3; i++) {
        weft_nursery n;
        weft_task t;
        weft_outcome o;
        open_nursery(&n, policies[i]);
        spawn(&n, &t, fails_with_a_group, "bread");
        int rc = weft_nursery_close(&n, 0);
        CHECK_EQ(rc, policies[i] == WEFT_SUPERVISE ? 0 : -EPROTO);
        CHECK_EQ(weft_join(&t, &o), 0);
        CHECK(walk(o.err) >= 1);
        reuse_all_memory();
        CHECK(walk(o.err) >= 1);
    }
}

TEST(a_supervised_failure_goes_to_the_hook_once_task_or_not)
{
    weft_nursery n;
    weft_task t;
    weft_on_unhandled(note_unhandled);
    open_nursery(&n, WEFT_SUPERVISE);
    spawn(&n, &t, fails_with_words, "bread");
    check_outcome(&t, WEFT_FAILED, -EPROTO);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(unhandled, 1);
    CHECK_EQ(unhandled_code, -EPROTO);
    weft_on_unhandled(NULL);
}

TEST(a_joined_failure_is_still_the_nurserys)
{
    weft_nursery n;
    weft_task t;
    open_nursery(&n, WEFT_COLLECT);
    spawn(&n, &t, fails_with_words, "bread");
    check_outcome(&t, WEFT_FAILED, -EPROTO);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EPROTO);
    CHECK_STR(weft_last_error()->msg, "no bread today");
    CHECK(weft_last_error()->next == NULL);
}

TEST(ecanceled_for_no_reason_is_a_failed_task)
{
    weft_nursery n;
    weft_task t;
    struct work c = ENDS(0, -ECANCELED);
    open_nursery(&n, WEFT_COLLECT);
    spawn(&n, &t, works, &c);
    check_outcome(&t, WEFT_FAILED, -ECANCELED);
    CHECK_EQ(weft_nursery_close(&n, 0), -ECANCELED);
    CHECK_EQ(weft_checkpoint(), 0);
}

static weft_outcome of_exit;
static uint64_t id_of_exit;

static weft_verdict keeps_outcome(weft_nursery *n, uint64_t child,
                                  weft_outcome o, void *user)
{
    (void)n;
    (void)user;
    of_exit = o;
    id_of_exit = child;
    if (o.err) CHECK_STR(o.err->msg, "no bread today");
    return WEFT_CONTINUE;
}

TEST(the_outcome_is_as_on_exit_saw_it)
{
    weft_nursery n;
    weft_task t;
    const weft_nursery_opts o = {.policy = WEFT_SUPERVISE,
                                 .on_exit = keeps_outcome};
    CHECK_EQ(weft_nursery_open(&n, &o), 0);
    spawn(&n, &t, fails_with_words, "bread");
    check_outcome(&t, WEFT_FAILED, -EPROTO);
    CHECK_EQ(of_exit.status, WEFT_FAILED);
    CHECK_EQ(of_exit.rc, -EPROTO);
    CHECK_EQ(weft_task_id(&t), id_of_exit);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* ---- task_cancel -------------------------------------------------------- */

TEST(the_child_can_read_who_cancelled_it_and_why)
{
    weft_nursery n;
    weft_task t;
    struct work c = FOR_EVER;
    static const char why[] = "the user went away";
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t, works, &c);
    CHECK_EQ(weft_sleep(WEFT_MSEC(3)), 0);
    weft_task_cancel(&t, -EPIPE, why);
    CHECK_EQ(weft_nursery_close(&n, 5), 5);
    CHECK_EQ(c.reason.kind, WEFT_R_EXPLICIT);
    CHECK_EQ(c.reason.code, -EPIPE);
    CHECK_PTR(c.reason.why, why);
    CHECK_EQ(c.reason.by, weft_fiber_id());
    CHECK_EQ(c.reason.at, weft_now());
}

TEST(the_first_cancellation_of_a_task_stays)
{
    weft_nursery n;
    weft_task t;
    struct work c = FOR_EVER;
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t, works, &c);
    CHECK_EQ(weft_sleep(WEFT_MSEC(3)), 0);
    weft_task_cancel(&t, -EPIPE, "first");
    weft_task_cancel(&t, -EIO, "second");
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    weft_task_cancel(&t, -EIO, "third"); /* it has ended */
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    weft_task_cancel(&t, -EIO, "fourth");
    CHECK_EQ(c.reason.code, -EPIPE);
    CHECK_STR(c.reason.why, "first");
    CHECK_EQ(c.struck, 1);
    check_outcome(&t, WEFT_CANCELLED, -ECANCELED);
}

TEST(a_child_cancelled_before_it_ran_runs_all_the_same)
{
    weft_nursery n;
    weft_task t;
    struct work c = ENDS(0, 0);
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t, works, &c);
    weft_task_cancel(&t, -EPIPE, "before");
    CHECK_EQ(c.ran, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c.ran, 1);
    CHECK_EQ(c.struck, 1);
    CHECK_EQ(c.reason.code, -EPIPE);
    check_outcome(&t, WEFT_CANCELLED, -ECANCELED);
}

TEST(cancelling_what_has_ended_changes_nothing)
{
    weft_nursery n;
    weft_task t[2];
    struct work c = ENDS(0, 3), d = ENDS(WEFT_MSEC(5), 0);
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t[0], works, &c);
    CHECK_EQ(weft_join(&t[0], NULL), 0);
    /* Its memory may be another fiber's by now. */
    spawn(&n, &t[1], works, &d);
    weft_task_cancel(&t[0], -EIO, NULL);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    weft_task_cancel(&t[0], -EIO, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(d.struck, 0);
    check_outcome(&t[0], WEFT_OK, 3);
    check_outcome(&t[1], WEFT_OK, 0);
}

TEST(a_child_that_ignores_its_cancellation_has_succeeded)
{
    weft_nursery n;
    weft_task t;
    struct work c = {.after = WEFT_FOREVER, .late = 8};
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t, works, &c);
    weft_task_cancel(&t, -EIO, NULL);
    check_outcome(&t, WEFT_OK, 8);
    CHECK_EQ(weft_nursery_close(&n, 2), 2);
}

TEST(a_child_that_fails_when_cancelled_has_failed)
{
    static const weft_policy policies[] = {WEFT_FAIL_FAST, WEFT_COLLECT,
                                           WEFT_SUPERVISE};
    weft_on_unhandled(note_unhandled);
    for (int i = 0; i < 3; i++) {
        weft_nursery n;
        weft_task t;
        struct work c = {.after = WEFT_FOREVER, .late = -EPROTO};
        open_nursery(&n, policies[i]);
        spawn(&n, &t, works, &c);
        weft_task_cancel(&t, -EIO, NULL);
        int rc = weft_nursery_close(&n, 0);
        CHECK_EQ(rc, policies[i] == WEFT_SUPERVISE ? 0 : -EPROTO);
        check_outcome(&t, WEFT_FAILED, -EPROTO);
    }
    CHECK_EQ(unhandled, 1);
    CHECK_EQ(unhandled_code, -EPROTO);
    weft_on_unhandled(NULL);
}

TEST(a_cancelled_task_is_no_failure_under_any_policy)
{
    static const weft_policy policies[] = {WEFT_FAIL_FAST, WEFT_COLLECT,
                                           WEFT_SUPERVISE};
    weft_on_unhandled(note_unhandled);
    for (int i = 0; i < 3; i++) {
        weft_nursery n;
        weft_task t;
        struct work c = FOR_EVER, d = ENDS(WEFT_MSEC(5), 0);
        open_nursery(&n, policies[i]);
        spawn(&n, &t, works, &c);
        CHECK_EQ(weft_spawn(&n, works, &d), 0);
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
        weft_task_cancel(&t, -EIO, NULL);
        check_outcome(&t, WEFT_CANCELLED, -ECANCELED);
        CHECK_EQ(weft_nursery_close(&n, 4), 4);
        CHECK_EQ(d.struck, 0);
    }
    CHECK_EQ(unhandled, 0);
    weft_on_unhandled(NULL);
}

static struct work grand[2];
static int closed_with;

static int has_children(void *arg)
{
    weft_nursery n;
    (void)arg;
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, works, &grand[0]), 0);
    CHECK_EQ(weft_spawn(&n, works, &grand[1]), 0);
    int rc = weft_sleep(WEFT_MSEC(2));
    CHECK_EQ(rc, 0);
    closed_with = weft_nursery_close(&n, 0);
    return closed_with;
}

TEST(all_that_a_cancelled_task_has_started_is_cancelled_for_its_reason)
{
    weft_nursery n;
    weft_task t;
    weft_time start = weft_now();
    grand[0] = (struct work){.after = WEFT_FOREVER, .cleanup = WEFT_MSEC(4)};
    grand[1] = (struct work)FOR_EVER;
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t, has_children, NULL);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0); /* it waits in close */
    weft_task_cancel(&t, -EPIPE, "with all");
    check_outcome(&t, WEFT_CANCELLED, -ECANCELED);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(9));
    CHECK_EQ(closed_with, -ECANCELED);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(grand[i].struck, 1);
        CHECK_EQ(grand[i].reason.code, -EPIPE);
        CHECK_EQ(grand[i].reason.kind, WEFT_R_EXPLICIT);
        CHECK_STR(grand[i].reason.why, "with all");
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static int spawns_when_cancelled(void *arg)
{
    int err = waits_for_ever(NULL), rc;
    CHECK_EQ(err, -ECANCELED);
    WEFT_NURSERY(n, rc)
        rc = weft_spawn(&n, works, arg);
    CHECK_EQ(rc, -ECANCELED);
    return rc;
}

TEST(what_a_cancelled_task_starts_starts_cancelled)
{
    weft_nursery n;
    weft_task t;
    struct work c = ENDS(0, 0);
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t, spawns_when_cancelled, &c);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    weft_task_cancel(&t, -EPIPE, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c.struck, 1);
    CHECK_EQ(c.reason.code, -EPIPE);
}

static weft_task own_task;

static int cancels_itself(void *arg)
{
    int rc;
    weft_task_cancel(&own_task, -EPIPE, "by itself");
    CHECK(weft_cancelled());
    CHECK_EQ(weft_deadline(), INT64_MIN);
    CHECK_EQ(weft_cancel_reason()->code, -EPIPE);
    CHECK_EQ(weft_cancel_reason()->by, weft_fiber_id());
    WEFT_SHIELD(rc, WEFT_SEC(1)) {
        CHECK(!weft_cancelled());
        rc = weft_sleep(WEFT_MSEC(2));
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_checkpoint(), -ECANCELED);
    }
    *(bool *)arg = true;
    return -ECANCELED;
}

TEST(a_child_may_cancel_itself_and_shield_what_it_still_has_to_do)
{
    weft_nursery n;
    bool done = false;
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &own_task, cancels_itself, &done);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK(done);
    check_outcome(&own_task, WEFT_CANCELLED, -ECANCELED);
}

static int maps_an_inner_scope(void *arg)
{
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5))
        rc = weft_sleep_until(WEFT_FOREVER);
    *(int *)arg = rc;
    return rc;
}

TEST(a_cancelled_task_is_outside_of_its_own_scopes)
{
    weft_nursery n;
    weft_task t;
    int inner = 0;
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t, maps_an_inner_scope, &inner);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    weft_task_cancel(&t, -EPIPE, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(inner, -ECANCELED);
    check_outcome(&t, WEFT_CANCELLED, -ECANCELED);
}

TEST(a_cancelled_nursery_is_outside_of_a_cancelled_task)
{
    weft_nursery n;
    weft_task t;
    struct work c = {.after = WEFT_FOREVER, .cleanup = WEFT_MSEC(5)};
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t, works, &c);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    weft_task_cancel(&t, -EPIPE, "the task");
    weft_nursery_cancel(&n, -EINTR, "the nursery");
    CHECK_EQ(weft_nursery_close(&n, 0), -EINTR);
    CHECK_EQ(c.reason.code, -EINTR);
    check_outcome(&t, WEFT_CANCELLED, -ECANCELED);
}

TEST(a_task_cancelled_in_a_cancelled_nursery_sees_the_nurserys_reason)
{
    weft_nursery n;
    weft_task t;
    struct work c = FOR_EVER;
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t, works, &c);
    weft_nursery_cancel(&n, -EINTR, "the nursery");
    weft_task_cancel(&t, -EPIPE, "the task");
    CHECK_EQ(weft_nursery_close(&n, 0), -EINTR);
    CHECK_EQ(c.reason.code, -EINTR);
}

static int joins_the_given(void *arg)
{
    struct joiner *j = arg;
    j->result = weft_join(j->task, &j->outcome);
    return j->result;
}

TEST(cancelling_a_joiner_leaves_the_joined_one_alone)
{
    weft_nursery n;
    weft_task t, u;
    struct work c = ENDS(WEFT_MSEC(9), 2);
    struct joiner j = {.task = &t, .result = 1};
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t, works, &c);
    spawn(&n, &u, joins_the_given, &j);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    weft_task_cancel(&u, 0, NULL);
    check_outcome(&u, WEFT_CANCELLED, -ECANCELED);
    CHECK(!weft_task_done(&t));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    check_outcome(&t, WEFT_OK, 2);
    CHECK_EQ(c.struck, 0);
}

TEST(a_daemon_with_a_task_ends_cancelled)
{
    weft_nursery n;
    weft_task t;
    struct work c = FOR_EVER;
    const weft_spawn_opts o = {.task = &t, .daemon = true};
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn_ex(&n, works, &c, &o), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(weft_nursery_close(&n, 6), 6);
    CHECK_EQ(c.reason.kind, WEFT_R_DAEMON);
    check_outcome(&t, WEFT_CANCELLED, -ECANCELED);
}

TEST(a_daemon_cancelled_alone_leaves_the_others)
{
    weft_nursery n;
    weft_task t;
    struct work c = FOR_EVER, d = ENDS(WEFT_MSEC(5), 0);
    const weft_spawn_opts o = {.task = &t, .daemon = true};
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn_ex(&n, works, &c, &o), 0);
    CHECK_EQ(weft_spawn(&n, works, &d), 0);
    weft_task_cancel(&t, -EIO, NULL);
    CHECK_EQ(weft_nursery_close(&n, 6), 6);
    CHECK_EQ(c.reason.kind, WEFT_R_EXPLICIT);
    CHECK_EQ(d.struck, 0);
}

TEST(a_place_is_free_when_a_cancelled_task_has_ended)
{
    weft_nursery n;
    weft_task t;
    const weft_nursery_opts one = {.limit = 1};
    struct work c = {.after = WEFT_FOREVER, .cleanup = WEFT_MSEC(2)};
    struct work d = ENDS(0, 0);
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, &one), 0);
    spawn(&n, &t, works, &c);
    weft_task_cancel(&t, 0, NULL);
    CHECK_EQ(weft_spawn(&n, works, &d), -EAGAIN);
    CHECK_EQ(weft_spawn_wait(&n, works, &d), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(2));
    CHECK(weft_task_done(&t));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static int gets_ready(void *arg)
{
    CHECK_EQ(weft_started(arg), 0);
    return works(arg);
}

TEST(a_task_of_weft_start_is_joined_and_cancelled_like_any)
{
    weft_nursery n;
    weft_task t;
    struct work c = FOR_EVER;
    const weft_spawn_opts o = {.task = &t};
    void *value = NULL;
    scribble(&t);
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_start_ex(&n, gets_ready, &c, &value, &o), 0);
    CHECK_PTR(value, &c);
    CHECK(!weft_task_done(&t));
    weft_task_cancel(&t, -EPIPE, NULL);
    check_outcome(&t, WEFT_CANCELLED, -ECANCELED);
    CHECK_EQ(c.reason.code, -EPIPE);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static int never_gets_ready(void *arg)
{
    return works(arg);
}

static int cancels_the_starting(void *arg)
{
    int err = weft_sleep(WEFT_MSEC(1));
    if (err == 0) weft_task_cancel(arg, -EPIPE, NULL);
    return err;
}

TEST(a_task_cancelled_before_it_was_ready_does_not_cancel_its_starter)
{
    weft_nursery n, m;
    weft_task t;
    struct work c = FOR_EVER;
    const weft_spawn_opts o = {.task = &t};
    scribble(&t);
    open_nursery(&m, WEFT_FAIL_FAST);
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&m, cancels_the_starting, &t), 0);
    int rc = weft_start_ex(&n, never_gets_ready, &c, NULL, &o);
    CHECK(rc < 0);
    CHECK(rc != -ECANCELED); /* the caller is not cancelled */
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK(weft_task_done(&t));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_nursery_close(&m, 0), 0);
}

static weft_task *other_task;
static bool exit_saw_done;

static weft_verdict cancels_the_other(weft_nursery *n, uint64_t child,
                                      weft_outcome o, void *user)
{
    weft_task *ending = user;
    (void)n;
    (void)o;
    if (child != weft_task_id(ending)) return WEFT_CONTINUE;
    exit_saw_done = weft_task_done(ending);
    weft_task_cancel(ending, -EIO, "too late"); /* no effect: it has ended */
    weft_task_cancel(other_task, -EPIPE, "with the first");
    return WEFT_CONTINUE;
}

TEST(on_exit_may_cancel_a_task)
{
    weft_nursery n;
    weft_task t[2];
    struct work a = ENDS(WEFT_MSEC(1), 3), b = FOR_EVER;
    const weft_nursery_opts o = {.on_exit = cancels_the_other, .user = &t[0]};
    other_task = &t[1];
    CHECK_EQ(weft_nursery_open(&n, &o), 0);
    spawn(&n, &t[0], works, &a);
    spawn(&n, &t[1], works, &b);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    check_outcome(&t[0], WEFT_OK, 3);
    check_outcome(&t[1], WEFT_CANCELLED, -ECANCELED);
    CHECK_EQ(b.reason.code, -EPIPE);
}

static void joins_in_a_defer(void *arg)
{
    CHECK_EQ(weft_join(arg, NULL), 0); /* shielded */
}

static int defers_a_join(void *arg)
{
    CHECK_EQ(weft_defer(joins_in_a_defer, arg), 0);
    return waits_for_ever(NULL);
}

TEST(a_deferred_function_may_join)
{
    weft_nursery n, m;
    weft_task t, u;
    struct work c = ENDS(WEFT_MSEC(5), 0);
    open_nursery(&m, WEFT_FAIL_FAST);
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&m, &t, works, &c);
    spawn(&n, &u, defers_a_join, &t);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    weft_task_cancel(&u, 0, NULL);
    check_outcome(&u, WEFT_CANCELLED, -ECANCELED);
    CHECK(weft_task_done(&t));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_nursery_close(&m, 0), 0);
}

static int tries_to_join_its_parent_in_a_defer_result;

static void joins_the_parent(void *arg)
{
    tries_to_join_its_parent_in_a_defer_result = weft_join(arg, NULL);
}

static int defers_a_join_of(void *arg)
{
    return weft_defer(joins_the_parent, arg);
}

static weft_task deferring_parent;

static int has_a_deferring_child(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc)
        rc = weft_spawn(&n, defers_a_join_of, &deferring_parent);
    return rc;
}

TEST(an_ancestor_is_found_out_in_a_deferred_function_too)
{
    weft_nursery n;
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &deferring_parent, has_a_deferring_child, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(tries_to_join_its_parent_in_a_defer_result, -EDEADLK);
}

/* ---- what else a task knows --------------------------------------------- */

static uint64_t own_id;

static int notes_its_id(void *arg)
{
    (void)arg;
    own_id = weft_fiber_id();
    return 0;
}

TEST(a_task_keeps_the_number_of_its_fiber_and_what_the_user_gave)
{
    weft_nursery n;
    weft_task t;
    int mine;
    const weft_spawn_opts o = {.task = &t, .user = &mine};
    scribble(&t);
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn_ex(&n, notes_its_id, NULL, &o), 0);
    CHECK_PTR(weft_task_user(&t), &mine);
    uint64_t id = weft_task_id(&t);
    CHECK(!weft_task_done(&t));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(id, own_id);
    CHECK_EQ(weft_task_id(&t), own_id);
    CHECK_PTR(weft_task_user(&t), &mine);
    CHECK(weft_task_done(&t));
}

TEST(a_task_goes_with_a_copied_argument)
{
    weft_nursery n;
    weft_task t;
    struct work c = ENDS(WEFT_MSEC(1), 6);
    const weft_spawn_opts o = {.task = &t};
    scribble(&t);
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn_copy_ex(&n, works, &c, sizeof c, &o), 0);
    c.code = 7;
    check_outcome(&t, WEFT_OK, 6);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* ---- fairness, deadlocks ------------------------------------------------ */

TEST(joining_what_has_ended_over_and_over_lets_others_run)
{
    weft_nursery n;
    weft_task t;
    struct work c = ENDS(0, 0);
    unsigned turns = 0;
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &t, works, &c);
    CHECK_EQ(weft_join(&t, NULL), 0);
    CHECK_EQ(weft_spawn(&n, shows_that_it_runs, &turns), 0);
    for (int i = 0; i < 1300; i++) {
        CHECK_EQ(weft_join(&t, NULL), 0);
    }
    CHECK(turns >= 5);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static weft_task circle[2];

static int joins_in_a_circle(void *arg)
{
    (void)arg;
    weft_nursery n;
    open_nursery(&n, WEFT_FAIL_FAST);
    spawn(&n, &circle[0], joins_and_says, &circle[1]);
    spawn(&n, &circle[1], joins_and_says, &circle[0]);
    return weft_nursery_close(&n, 0);
}

TEST_PLAIN(two_that_join_each_other_are_a_deadlock)
{
    (void)deadlock_circle(joins_in_a_circle);
}

TEST(a_deadline_at_the_moment_of_the_end_comes_first)
{
    for (int i = 0; i < 2; i++) {
        weft_nursery n;
        weft_task t;
        struct work c = ENDS(WEFT_MSEC(5), 7);
        int rc;
        open_nursery(&n, WEFT_FAIL_FAST);
        spawn(&n, &t, works, &c);
        if (i) CHECK_EQ(weft_yield(), 0);
        /* Deadlines expire before the fibers of that moment run. */
        WEFT_FAIL_AFTER(rc, WEFT_MSEC(5))
            rc = weft_join(&t, NULL);
        CHECK_EQ(rc, -ETIMEDOUT);
        check_outcome(&t, WEFT_OK, 7);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
    }
}

TEST_PLAIN(joining_needs_a_fiber)
{
    weft_task t = {0};
    CHECK_EQ(weft_join(&t, NULL), -EPERM);
}

/* ---- at every moment ---------------------------------------------------- */

static weft_task swept[3];
static int reached;

static int owns_three(void *arg)
{
    struct work c[3] = {ENDS(WEFT_MSEC(1), 1), ENDS(WEFT_MSEC(2), 2),
                        ENDS(WEFT_MSEC(2), 3)};
    int rc, spawned = 0;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        for (; spawned < 3 && rc == 0; spawned++) {
            const weft_spawn_opts o = {.task = &swept[spawned]};
            scribble(&swept[spawned]);
            rc = weft_spawn_ex(&n, works, &c[spawned], &o);
            if (rc < 0) break;
        }
        for (int i = spawned - 1; i >= 0 && rc == 0; i--) {
            rc = weft_join(&swept[i], NULL);
        }
    }
    for (int i = 0; i < spawned; i++) {
        CHECK(weft_task_done(&swept[i]));
    }
    reached++;
    return rc;
}

static int joins_the_three(void *arg)
{
    (void)arg;
    int err = weft_yield();
    if (err < 0) return err;
    for (int i = 0; i < 3; i++) {
        weft_outcome o = {.rc = 77};
        err = weft_join(&swept[i], &o);
        if (err == -EINVAL) return 0; /* it has not been spawned */
        if (err < 0) {
            CHECK_EQ(o.rc, 77);
            return err;
        }
        CHECK(o.rc == i + 1 || o.rc == -ECANCELED);
        CHECK_EQ(o.status, o.rc < 0 ? WEFT_CANCELLED : WEFT_OK);
        weft_task_cancel(&swept[i], 0, NULL);
    }
    return 0;
}

static int cancels_the_second(void *arg)
{
    (void)arg;
    int err = weft_sleep(WEFT_MSEC(1));
    if (err == 0) err = weft_yield();
    if (err < 0) return err;
    if (weft_task_id(&swept[1])) weft_task_cancel(&swept[1], 0, NULL);
    return 0;
}

static void start_joining(weft_nursery *n)
{
    memset(swept, 0, sizeof swept);
    sweep_spawn(n, owns_three, NULL);
    sweep_spawn(n, joins_the_three, NULL);
    sweep_spawn(n, joins_the_three, NULL);
    sweep_spawn(n, cancels_the_second, NULL);
}

static void check_reached(void)
{
    CHECK_EQ(reached, 1);
    reached = 0;
}

SWEEP(whenever_a_joiner_or_a_task_is_stopped_nobody_hangs, start_joining,
      check_reached, 0);

static int joins_scarcely(void *arg)
{
    weft_nursery n;
    weft_task t[4];
    weft_doneq q;
    weft_task *done;
    unsigned started = 0, seen = 0;
    (void)arg;
    weft_doneq_init(&q);
    open_nursery(&n, WEFT_COLLECT);
    for (int i = 0; i < 4; i++) {
        const weft_spawn_opts o = {.task = &t[i], .doneq = &q};
        scribble(&t[i]);
        int err = weft_spawn_ex(&n, fails_with_words, "bread", &o);
        CHECK(err == 0 || err == -ENOMEM);
        CHECK_EQ(weft_task_done(&t[i]), false);
        if (err < 0) CHECK_EQ(weft_join(&t[i], NULL), -EINVAL);
        started += err == 0;
    }
    int rc;
    while ((rc = weft_next_done(&q, &done)) == 1) {
        weft_outcome o;
        CHECK_EQ(weft_join(done, &o), 0);
        CHECK_EQ(o.status, WEFT_FAILED);
        CHECK_EQ(o.rc, -EPROTO);
        if (o.err) CHECK_EQ(o.err->code, -EPROTO);
        seen++;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(seen, started);
    CHECK_EQ(weft_nursery_close(&n, 0), started ? -EPROTO : 0);
    return 0;
}

STARVE(tasks_without_memory_know_that_they_never_started, joins_scarcely)
