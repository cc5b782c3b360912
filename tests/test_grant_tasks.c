/* SPDX-License-Identifier: MIT */
/*
 * test_grant_tasks.c - grant versus cancel: the ends of fibers, their places,
 * and what they hand out.
 *
 * weft_gen_yield has no row: its item is lent, so neither a grant nor a
 * cancellation alone ends its wait. Nor has weft_batch: its jobs wait in the
 * fiber that asks.
 */
#include <weft/event.h>
#include <weft/gather.h>
#include <weft/gen.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/select.h>
#include <weft/sem.h>
#include <weft/task.h>
#include <weft/testing.h>
#include <weft/workqueue.h>

#include "grant.h"

#define TAKES_ITS_TIME "it returns when the child has ended, at the gate"
#define STOPS_THE_JOB  "who stops a queue and is cancelled ends it for all"

static weft_nursery target;
static weft_event gate;
static int ends_with; /* of the children that wait at the gate */

static void open_target(const weft_nursery_opts *o)
{
    gate = (weft_event)WEFT_EVENT_INIT;
    ends_with = 0;
    CHECK_EQ(weft_nursery_open(&target, o), 0);
}

static void open_gate(void)
{
    weft_event_set(&gate);
}

static void close_target(void)
{
    open_gate();
    CHECK_EQ(weft_nursery_close(&target, 0), ends_with);
}

static int waits_at_the_gate(void *arg)
{
    (void)arg;
    int err = weft_event_wait(&gate);
    return err < 0 ? err : ends_with;
}

static int returns_at_once(void *arg)
{
    (void)arg;
    return 0;
}

/* ---- tasks -------------------------------------------------------------- */

enum { GATED, ENDED, TASKS };

static weft_task tasks[TASKS];

static void spawn_task(weft_task *t, weft_fn fn)
{
    const weft_spawn_opts o = {.task = t};
    CHECK_EQ(weft_spawn_ex(&target, fn, NULL, &o), 0);
}

static void two_tasks(void)
{
    static const weft_nursery_opts collect = {.policy = WEFT_COLLECT};
    open_target(&collect);
    spawn_task(&tasks[GATED], waits_at_the_gate);
    spawn_task(&tasks[ENDED], returns_at_once);
}

static void a_task_that_will_fail(void)
{
    two_tasks();
    ends_with = -EIO;
}

static int joins(struct grant_waiter *w)
{
    (void)w;
    return weft_join(&tasks[GATED], NULL);
}

static int waits(size_t n, weft_wait_mode mode)
{
    weft_task *t[TASKS] = {&tasks[GATED], &tasks[ENDED]};
    return weft_wait(t, n, mode, WEFT_SEC(1000));
}

static int waits_for_all(struct grant_waiter *w)
{
    (void)w;
    return waits(TASKS, WEFT_ALL);
}

static int waits_for_the_first(struct grant_waiter *w)
{
    (void)w;
    return waits(1, WEFT_FIRST_DONE);
}

static int waits_for_an_error(struct grant_waiter *w)
{
    (void)w;
    return waits(TASKS, WEFT_FIRST_ERROR);
}

static int selects_a_task(struct grant_waiter *w)
{
    static weft_event never = WEFT_EVENT_INIT;
    (void)w;
    weft_case c[] = {WEFT_CASE_EVENT(&never), WEFT_CASE_TASK(&tasks[GATED])};
    int i = weft_select(c, 2, 0);
    if (i < 0) return i;
    CHECK_EQ(i, 1);
    return c[1].result;
}

static int task_has_ended(void)
{
    return weft_task_done(&tasks[GATED]);
}

/* ---- the queue of those that ended -------------------------------------- */

enum { IN_QUEUE = 8 };

static weft_sem turns;
static weft_doneq doneq;
static weft_task queued[IN_QUEUE];
static bool handed_out[IN_QUEUE];

static int ends_in_turn(void *arg)
{
    (void)arg;
    return weft_sem_acquire(&turns, 1);
}

static void end_one(void)
{
    CHECK_EQ(weft_sem_release(&turns, 1), 0);
}

static void a_queue_of_tasks(void)
{
    open_target(NULL);
    weft_sem_init(&turns, 0, 0);
    weft_doneq_init(&doneq);
    for (int i = 0; i < IN_QUEUE; i++) {
        const weft_spawn_opts o = {
            .task = &queued[i], .doneq = &doneq, .user = &handed_out[i]};
        handed_out[i] = false;
        CHECK_EQ(weft_spawn_ex(&target, ends_in_turn, NULL, &o), 0);
    }
}

static int take_next(void)
{
    weft_task *t;
    int rc = weft_next_done(&doneq, &t);
    if (rc < 1) return rc;
    bool *handed = weft_task_user(t);
    CHECK(weft_task_done(t) && !*handed);
    *handed = true;
    return rc;
}

static int takes_the_next(struct grant_waiter *w)
{
    (void)w;
    return take_next();
}

static int done_and_not_taken(void)
{
    return grant_count(take_next);
}

static void end_all(void)
{
    CHECK_EQ(weft_sem_release(&turns, IN_QUEUE), 0);
    CHECK_EQ(weft_nursery_close(&target, 0), 0);
    while (take_next() == 1) {
    }
    for (int i = 0; i < IN_QUEUE; i++)
        CHECK(handed_out[i]);
}

/* ---- places and readiness ----------------------------------------------- */

static void one_place_and_taken(void)
{
    static const weft_nursery_opts one = {.limit = 1};
    open_target(&one);
    CHECK_EQ(weft_spawn(&target, waits_at_the_gate, NULL), 0);
}

static int lives_until_released(void *arg)
{
    return weft_event_wait(&((struct grant_waiter *)arg)->release);
}

static int spawns_in_turn(struct grant_waiter *w)
{
    return weft_spawn_wait(&target, lives_until_released, w);
}

static void releases_its_child(struct grant_waiter *w)
{
    weft_event_set(&w->release);
}

static int free_places(void)
{
    int err = weft_spawn(&target, returns_at_once, NULL);
    if (err < 0) return 0;
    CHECK_EQ(weft_test_settle(), 0);
    return 1;
}

static void no_children(void)
{
    open_target(NULL);
}

static int is_ready_at_the_gate(void *arg)
{
    int err = waits_at_the_gate(arg);
    return err < 0 ? err : weft_started(arg);
}

static int starts(struct grant_waiter *w)
{
    int err = weft_start(&target, is_ready_at_the_gate, w, &w->value);
    if (err < 0) return err;
    CHECK_PTR(w->value, w);
    return 0;
}

/* Is told of a cancellation, and goes on until it is told by the gate too. */
static int is_ready_in_its_own_time(void *arg)
{
    int rc;
    WEFT_SHIELD(rc, WEFT_SEC(1000)) {
        rc = waits_at_the_gate(arg);
    }
    return rc < 0 ? rc : weft_started(arg);
}

static int starts_a_slow_one(struct grant_waiter *w)
{
    return weft_start(&target, is_ready_in_its_own_time, w, NULL);
}

static void close_empty_target(void)
{
    CHECK_EQ(weft_nursery_count(&target), 0);
    close_target();
}

static int gathers(struct grant_waiter *w)
{
    weft_job jobs[] = {{.fn = returns_at_once}, {.fn = waits_at_the_gate}};
    (void)w;
    return weft_gather(jobs, 2, NULL);
}

static int waits_for_ever(void *arg)
{
    static weft_event never = WEFT_EVENT_INIT;
    (void)arg;
    return weft_event_wait(&never);
}

static int races(struct grant_waiter *w)
{
    weft_job jobs[] = {{.fn = waits_for_ever}, {.fn = waits_at_the_gate}};
    (void)w;
    return weft_race(jobs, 2, WEFT_RACE_OK);
}

static int waits_at_the_gate_for(size_t i, void *context)
{
    (void)i;
    return waits_at_the_gate(context);
}

static int maps(struct grant_waiter *w)
{
    return weft_map(2, waits_at_the_gate_for, w, NULL, NULL);
}

static int closes(struct grant_waiter *w)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, waits_at_the_gate, w), 0);
    return weft_nursery_close(&n, 0);
}

/* ---- generator ---------------------------------------------------------- */

static weft_gen gen;
static int made, given;

static int yields_in_turn(weft_gen *g, void *arg)
{
    (void)arg;
    for (;;) {
        int err = weft_sem_acquire(&turns, 1);
        if (err < 0) return err;
        made++;
        err = weft_gen_yield(g, &made);
        if (err < 0) return err;
    }
}

static void open_generator(void)
{
    weft_sem_init(&turns, 0, 0);
    made = given = 0;
    CHECK_EQ(weft_gen_open(&gen, yields_in_turn, NULL), 0);
}

static int ask(void)
{
    void *item;
    int rc = weft_gen_next(&gen, &item);
    if (rc < 1) return rc;
    CHECK_EQ(*(int *)item, ++given);
    return rc;
}

static int asks(struct grant_waiter *w)
{
    (void)w;
    return ask();
}

static int items_to_be_had(void)
{
    return grant_count(ask);
}

static void close_generator(void)
{
    CHECK_EQ(made, given);
    CHECK_EQ(weft_gen_close(&gen), 0);
}

/* ---- work queue --------------------------------------------------------- */

static weft_workqueue queue;
static int added, dropped;

static void counts_a_drop(void *arg)
{
    (void)arg;
    dropped++;
}

static int tryadd(void)
{
    int err = weft_workqueue_tryadd(&queue, ends_in_turn, NULL, counts_a_drop);
    if (err == 0) added++;
    return err;
}

static void a_worker_at_work(void)
{
    static const weft_workqueue_opts o = {.workers = 1, .capacity = 1};
    open_target(NULL);
    weft_sem_init(&turns, 0, 0);
    added = dropped = 0;
    CHECK_EQ(weft_workqueue_open(&queue, &target, &o), 0);
    CHECK_EQ(tryadd(), 0);
    CHECK_EQ(weft_test_settle(), 0);
}

static void a_full_queue(void)
{
    a_worker_at_work();
    CHECK_EQ(tryadd(), 0);
}

static int adds(struct grant_waiter *w)
{
    return weft_workqueue_add(&queue, ends_in_turn, w, counts_a_drop);
}

static void has_added(struct grant_waiter *w)
{
    (void)w;
    added++;
}

static int places_in_the_queue(void)
{
    int n = 0;
    while (tryadd() == 0)
        n++;
    return n;
}

static int joins_the_queue(struct grant_waiter *w)
{
    (void)w;
    return weft_workqueue_join(&queue);
}

static int queue_is_empty(void)
{
    weft_workqueue_stats s;
    weft_workqueue_stats_read(&queue, &s);
    return s.waiting + s.running == 0;
}

static int stops_the_queue(struct grant_waiter *w)
{
    (void)w;
    return weft_workqueue_stop(&queue, WEFT_DRAIN);
}

static void stop_queue(void)
{
    CHECK_EQ(weft_sem_release(&turns, IN_QUEUE), 0);
    CHECK_EQ(weft_workqueue_stop(&queue, WEFT_DRAIN), 0);
    CHECK_EQ(dropped, added);
    CHECK_EQ(weft_nursery_close(&target, 0), 0);
}

#define A_TASK_ENDS                                                            \
    .grant = open_gate, .left = task_has_ended, .finish = close_target,        \
    .pace = BY_A_FIBER, .share = TO_ALL, .tries = true

#define CHILDREN_END                                                           \
    .setup = no_children, .grant = open_gate, .finish = close_target,          \
    .pace = BY_A_FIBER, .share = TO_ALL

static const struct grant_row rows[] = {
    {.name = "join", .setup = two_tasks, .wait = joins, A_TASK_ENDS},
    {.name = "wait for all",
     .setup = two_tasks,
     .wait = waits_for_all,
     .want = TASKS,
     A_TASK_ENDS},
    {.name = "wait for the first",
     .setup = two_tasks,
     .wait = waits_for_the_first,
     .want = 1,
     A_TASK_ENDS},
    {.name = "wait for an error",
     .setup = a_task_that_will_fail,
     .wait = waits_for_an_error,
     .want = TASKS,
     A_TASK_ENDS},
    {.name = "select task",
     .setup = two_tasks,
     .wait = selects_a_task,
     A_TASK_ENDS},
    {.name = "next_done",
     .setup = a_queue_of_tasks,
     .wait = takes_the_next,
     .grant = end_one,
     .left = done_and_not_taken,
     .finish = end_all,
     .want = 1,
     .pace = BY_A_FIBER},
    {.name = "spawn_wait",
     .setup = one_place_and_taken,
     .wait = spawns_in_turn,
     .grant = open_gate,
     .left = free_places,
     .undo = releases_its_child,
     .finish = close_target,
     .pace = BY_A_FIBER,
     .share = HANDED_ON},
    {.name = "start",
     .setup = no_children,
     .wait = starts,
     .grant = open_gate,
     .finish = close_empty_target,
     .pace = BY_A_FIBER,
     .share = TO_ALL},
    {.name = "start of a child that takes its time",
     .setup = no_children,
     .wait = starts_a_slow_one,
     .grant = open_gate,
     .finish = close_empty_target,
     .pace = BY_A_FIBER,
     .share = TO_ALL,
     .without = {[HEAD_CANCELLED] = TAKES_ITS_TIME,
                 [CANCELLED_TWICE] = TAKES_ITS_TIME}},
    {.name = "gather", .wait = gathers, CHILDREN_END},
    {.name = "race", .wait = races, .want = 1, CHILDREN_END},
    {.name = "map", .wait = maps, CHILDREN_END},
    {.name = "nursery_close", .wait = closes, CHILDREN_END},
    {.name = "gen_next",
     .setup = open_generator,
     .wait = asks,
     .grant = end_one,
     .left = items_to_be_had,
     .finish = close_generator,
     .want = 1,
     .pace = BY_A_FIBER,
     .without = {GRANT_ALONE("a second consumer gets -EBUSY")}},
    {.name = "workqueue_add",
     .setup = a_full_queue,
     .wait = adds,
     .grant = end_one,
     .left = places_in_the_queue,
     .undo = has_added,
     .finish = stop_queue,
     .pace = BY_A_FIBER,
     .tries = true},
    {.name = "workqueue_join",
     .setup = a_worker_at_work,
     .wait = joins_the_queue,
     .grant = end_one,
     .left = queue_is_empty,
     .finish = stop_queue,
     .pace = BY_A_FIBER,
     .share = TO_ALL,
     .tries = true},
    {.name = "workqueue_stop",
     .setup = a_worker_at_work,
     .wait = stops_the_queue,
     .grant = end_one,
     .left = queue_is_empty,
     .finish = stop_queue,
     .pace = BY_A_FIBER,
     .share = TO_ALL,
     .tries = true,
     .uncancellable = true,
     .without = {[HEAD_CANCELLED] = STOPS_THE_JOB,
                 [ALL_BUT_ONE_CANCELLED] = STOPS_THE_JOB}},
};

GRANT_TESTS(rows)
