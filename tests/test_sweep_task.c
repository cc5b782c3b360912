/* SPDX-License-Identifier: MIT */
/* test_sweep_task.c - the sweep over starting, joining and waiting. */
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/task.h>
#include <weft/time.h>

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "runtime/park.h"
#include "sweep.h"

static int alive, ready;

static void check_alive(void)
{
    CHECK_EQ(alive, 0);
}

/* --- start, into its own nursery --- */

static int prepares_and_serves(void *arg)
{
    int rc;
    alive++;
    rc = weft_sleep(WEFT_MSEC(1));
    if (rc == 0) {
        CHECK_EQ(weft_started(arg), 0);
        CHECK_EQ(weft_started(arg), -EALREADY);
        ready++;
        rc = weft_sleep(WEFT_MSEC(2));
    }
    alive--;
    return rc;
}

static int starts_two(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 2 && rc == 0; i++) {
            void *value = NULL;
            rc = weft_start(&n, prepares_and_serves, arg, &value);
            if (rc == 0) CHECK_PTR(value, arg);
            if (rc < 0) CHECK_PTR(value, NULL);
            if (rc == 0) CHECK(ready > 0);
        }
    }
    /* The child alone was swept, and so never got ready. */
    return rc == -ESHUTDOWN ? 0 : rc;
}

static void start_servers(weft_nursery *n)
{
    alive = ready = 0;
    sweep_spawn(n, starts_two, &alive);
    sweep_spawn(n, starts_two, &ready);
}

SWEEP(start_returns_when_the_child_is_ready_or_gone, start_servers, check_alive,
      0);

/* --- start, of one who says in any case that it is ready --- */

struct stubborn {
    const weft_fiber *starter;
    bool runs, too_late;
};

static int is_ready_in_any_case(void *arg)
{
    struct stubborn *s = arg;
    int err, rc = weft_sleep(WEFT_MSEC(1));
    s->runs = true;
    s->too_late = s->starter->cancelled;
    alive++;
    CHECK_EQ(weft_started(s), 0);
    WEFT_SHIELD(err, WEFT_SEC(1))
        err = weft_sleep(WEFT_MSEC(1));
    CHECK_EQ(err, 0);
    alive--;
    s->runs = false;
    return rc;
}

static int starts_the_stubborn(void *arg)
{
    struct stubborn s[2] = {{.starter = weft_self()}, {.starter = weft_self()}};
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 2 && rc == 0; i++) {
            rc = weft_start(&n, is_ready_in_any_case, &s[i], NULL);
            if (rc < 0) CHECK(!s[i].runs); /* it was waited for */
            if (rc == 0) CHECK(!s[i].too_late);
        }
    }
    return rc;
}

static void start_the_stubborn(weft_nursery *n)
{
    alive = 0;
    sweep_spawn(n, starts_the_stubborn, NULL);
    sweep_spawn(n, starts_the_stubborn, NULL);
}

SWEEP(a_start_that_was_cancelled_waits_for_the_child, start_the_stubborn,
      check_alive, SWEEP_CLEANUP_SLEEPS);

/* --- start, into a nursery of somebody else, with a limit --- */

static weft_nursery foreign;
static int asking;

static int keeps_it_open(void *arg)
{
    static const weft_nursery_opts opts = {.limit = 2};
    (void)arg;
    CHECK_EQ(weft_nursery_open(&foreign, &opts), 0);
    int rc = weft_sleep(0);
    while (rc == 0 && asking > 0) {
        rc = weft_sleep(WEFT_MSEC(1));
    }
    return weft_nursery_close(&foreign, rc);
}

static int starts_over_there(void *arg)
{
    int rc = 0;
    (void)arg;
    asking++;
    for (int i = 0; i < 2 && rc == 0; i++) {
        void *value = NULL;
        rc = weft_start(&foreign, prepares_and_serves, &asking, &value);
        if (rc == 0) CHECK_PTR(value, &asking);
    }
    asking--;
    return rc == -ESHUTDOWN ? 0 : rc;
}

static void start_over_there(weft_nursery *n)
{
    alive = ready = asking = 0;
    sweep_spawn(n, keeps_it_open, NULL);
    for (int i = 0; i < 3; i++) {
        sweep_spawn(n, starts_over_there, NULL);
    }
}

static void check_started(void)
{
    CHECK_EQ(alive, 0);
    CHECK_EQ(asking, 0);
}

SWEEP(one_can_start_in_the_nursery_of_another, start_over_there, check_started,
      0);

/* --- start, of what fails --- */

static int fails_early(void *arg)
{
    int rc;
    alive++;
    rc = weft_sleep(WEFT_MSEC(1));
    alive--;
    return rc < 0 ? rc : *(int *)arg;
}

static int starts_failures(void *arg)
{
    static int io = -EIO, nothing = 0;
    int rc, err;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        err = weft_start(&n, fails_early, &io, NULL);
        if (err == 0 || err == -EPROTO) CHECK(false);
        rc = err == -EIO || err == -ESHUTDOWN ? 0 : err;
        if (rc < 0) break;
        err = weft_start(&n, fails_early, &nothing, NULL);
        rc = err == -EPROTO || err == -ESHUTDOWN ? 0 : err;
        CHECK(err < 0);
    }
    return rc; /* of no interest to the nursery */
}

static void start_failures(weft_nursery *n)
{
    alive = 0;
    sweep_spawn(n, starts_failures, NULL);
    sweep_spawn(n, starts_failures, NULL);
}

SWEEP(a_failed_start_is_the_starters_business, start_failures, check_alive, 0);

/* --- tasks --- */

static weft_task tasks[4];
static weft_doneq doneq;
static int joined, spawned, ran;

static int naps_or_fails(void *arg)
{
    int i = *(int *)arg;
    ran++;
    alive++;
    int rc = weft_sleep(WEFT_MSEC(1 + i));
    alive--;
    return rc < 0 ? rc : i == 2 ? -EIO : i;
}

static int numbers[] = {0, 1, 2, 3};

static void forget_tasks(void)
{
    alive = ran = joined = spawned = 0;
    memset(tasks, 0, sizeof tasks);
    weft_doneq_init(&doneq);
}

static int spawn_tasks(weft_nursery *n, int count, weft_doneq *q)
{
    for (int i = 0; i < count; i++) {
        weft_spawn_opts o = {
            .task = &tasks[i], .doneq = q, .user = &numbers[i]};
        int err = weft_spawn_ex(n, naps_or_fails, &numbers[i], &o);
        if (err < 0) return err;
        spawned++;
    }
    return 0;
}

static void check_outcome(const weft_outcome *o, int i)
{
    if (o->status == WEFT_OK) CHECK_EQ(o->rc, i);
    if (o->status == WEFT_FAILED) CHECK_EQ(o->err->code, -EIO);
    if (o->status == WEFT_CANCELLED) CHECK_EQ(o->rc, -ECANCELED);
}

static const weft_nursery_opts collect = {.policy = WEFT_COLLECT};

static int joins_all(void *arg)
{
    int rc = 0;
    (void)arg;
    for (int i = 3; i >= 0 && rc == 0; i--) {
        weft_outcome o = {.rc = 77};
        if (!weft_task_id(&tasks[i])) continue;
        rc = weft_join(&tasks[i], &o);
        if (rc < 0) CHECK_EQ(o.rc, 77);
        if (rc < 0) break;
        CHECK(weft_task_done(&tasks[i]));
        check_outcome(&o, i);
        joined++;
    }
    return rc;
}

static int has_joiners(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY_EX(n, rc, &collect) {
        rc = spawn_tasks(&n, 4, NULL);
        if (rc == 0) rc = weft_spawn(&n, joins_all, NULL);
        if (rc == 0) rc = joins_all(NULL);
    }
    return rc == -EIO ? 0 : rc;
}

static void start_joiners(weft_nursery *n)
{
    forget_tasks();
    sweep_spawn(n, has_joiners, NULL);
    sweep_spawn(n, joins_all, NULL);
}

static void check_tasks(void)
{
    CHECK_EQ(alive, 0);
    CHECK_EQ(ran, spawned);
    for (int i = 0; i < spawned; i++) {
        CHECK(weft_task_done(&tasks[i]));
        CHECK_PTR(weft_task_user(&tasks[i]), &numbers[i]);
    }
}

SWEEP(join_tells_everybody_the_same, start_joiners, check_tasks, 0);

/* --- cancelling one --- */

static int cancels_one(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY_EX(n, rc, &collect) {
        weft_outcome o;
        rc = spawn_tasks(&n, 4, NULL);
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(2));
        if (rc < 0) break;
        weft_task_cancel(&tasks[3], -ESTALE, "not needed");
        rc = weft_join(&tasks[3], &o);
        if (rc == 0) CHECK_EQ(o.status, WEFT_CANCELLED);
    }
    return rc == -EIO ? 0 : rc;
}

static void start_cancelling(weft_nursery *n)
{
    forget_tasks();
    sweep_spawn(n, cancels_one, NULL);
    sweep_spawn(n, joins_all, NULL);
}

SWEEP(to_cancel_a_task_disturbs_nobody_else, start_cancelling, check_tasks, 0);

/* --- waiting for many --- */

static int waits(void *arg)
{
    static weft_task *const all[] = {&tasks[0], &tasks[1], &tasks[2],
                                     &tasks[3]};
    static weft_task *const twice[] = {&tasks[1], &tasks[0], &tasks[1]};
    int rc, done, *how = arg;
    WEFT_NURSERY_EX(n, rc, &collect) {
        rc = spawn_tasks(&n, 4, NULL);
        if (rc < 0) break;
        done = weft_wait(twice, 3, WEFT_FIRST_DONE, WEFT_FOREVER);
        if (done >= 0) CHECK(done >= 1);
        if (done >= 0) done = weft_wait(all, 4, WEFT_FIRST_ERROR, *how);
        if (done >= 0 && *how > WEFT_MSEC(1)) CHECK(done >= 3);
        if (done >= 0) done = weft_wait(all, 4, WEFT_ALL, WEFT_FOREVER);
        if (done >= 0) CHECK_EQ(done, 4);
        rc = done < 0 ? done : 0;
    }
    return rc == -EIO ? 0 : rc;
}

static int long_enough = WEFT_MSEC(50), too_short = WEFT_MSEC(1);

static void start_waiting(weft_nursery *n)
{
    forget_tasks();
    sweep_spawn(n, waits, &long_enough);
}

static void start_waiting_shortly(weft_nursery *n)
{
    forget_tasks();
    sweep_spawn(n, waits, &too_short);
}

SWEEP(wait_tells_how_many_are_done, start_waiting, check_tasks, 0);
SWEEP(to_wait_in_vain_cancels_nothing, start_waiting_shortly, check_tasks, 0);

/* --- waiting for more than fits --- */

enum { MANY = 24 };
static weft_task many[MANY];

static int waits_for_many(void *arg)
{
    weft_task *all[MANY];
    int rc, done;
    (void)arg;
    WEFT_NURSERY_EX(n, rc, &collect) {
        for (int i = 0; i < MANY && rc == 0; i++) {
            weft_spawn_opts o = {.task = all[i] = &many[i]};
            rc = weft_spawn_ex(&n, naps_or_fails, &numbers[i % 4], &o);
            spawned += rc == 0;
        }
        if (rc < 0) break;
        done = weft_wait(all, MANY, WEFT_ALL, WEFT_FOREVER);
        if (done >= 0) CHECK_EQ(done, MANY);
        rc = done < 0 ? done : 0;
    }
    return rc == -EIO ? 0 : rc;
}

static void start_waiting_for_many(weft_nursery *n)
{
    forget_tasks();
    sweep_spawn(n, waits_for_many, NULL);
}

static void check_many(void)
{
    CHECK_EQ(alive, 0);
    CHECK_EQ(ran, spawned);
    for (int i = 0; i < spawned; i++) {
        CHECK(weft_task_done(&many[i]));
    }
}

SWEEP(one_can_wait_for_a_crowd, start_waiting_for_many, check_many, 0);

/* --- a queue of the done, and two who take from it --- */

static int taken[4], all_out;

static int takes_the_done(void *arg)
{
    weft_task *t;
    int rc;
    (void)arg;
    while ((rc = weft_next_done(&doneq, &t)) == 1) {
        CHECK(weft_task_done(t));
        CHECK_EQ(taken[t - tasks]++, 0);
        joined++;
        rc = weft_yield();
        if (rc < 0) break;
    }
    if (rc == 0) all_out++;
    return rc;
}

static int feeds_the_queue(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY_EX(n, rc, &collect) {
        rc = spawn_tasks(&n, 4, &doneq);
        if (rc == 0) rc = weft_spawn(&n, takes_the_done, NULL);
        if (rc == 0) rc = takes_the_done(NULL);
    }
    return rc == -EIO ? 0 : rc;
}

static void start_queue(weft_nursery *n)
{
    forget_tasks();
    memset(taken, 0, sizeof taken);
    all_out = 0;
    sweep_spawn(n, feeds_the_queue, NULL);
}

static int takes_the_rest(void *arg)
{
    weft_task *t;
    (void)arg;
    while (weft_next_done(&doneq, &t) == 1) {
        CHECK_EQ(taken[t - tasks]++, 0);
        joined++;
    }
    return 0;
}

static void check_queue(void)
{
    check_tasks();
    if (all_out > 0) CHECK_EQ(joined, spawned);
    CHECK_EQ(takes_the_rest(NULL), 0);
    CHECK_EQ(joined, spawned);
}

SWEEP(each_that_is_done_is_handed_out_once, start_queue, check_queue, 0);
