/* SPDX-License-Identifier: MIT */
/* test_spawn_wait.c - places in a nursery with a limit. */
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/time.h>

#include "harness.h"
#include "open.h"

static unsigned running, most, started[64], starts;

static int works_for_a_while(void *arg)
{
    started[starts++] = *(unsigned *)arg;
    running++;
    if (running > most) most = running;
    int err = weft_sleep(WEFT_MSEC(1 + *(unsigned *)arg % 3));
    running--;
    return err;
}

TEST_FIFO(spn_08_the_limit_is_never_exceeded_and_all_get_in)
{
    static unsigned numbers[20];
    weft_nursery n;
    weft_nursery_opts opts = {.limit = 3};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    for (unsigned i = 0; i < 20; i++) {
        numbers[i] = i;
        CHECK_EQ(weft_spawn_wait(&n, works_for_a_while, &numbers[i]), 0);
        CHECK(weft_nursery_count(&n) <= 3);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(most, 3);
    CHECK_EQ(starts, 20);
    for (unsigned i = 0; i < 20; i++) {
        CHECK_EQ(started[i], i);
    }
}

/* A fiber outside of the nursery `target` that asks for a place in it. */
struct asker {
    weft_nursery *target;
    unsigned number;
    int result;
    weft_scope scope;
};

static int notes_that_it_started(void *arg)
{
    started[starts++] = *(unsigned *)arg;
    return 0;
}

static int asks(void *arg)
{
    struct asker *a = arg;
    a->result = 1;
    open_scope(&a->scope);
    a->result = weft_spawn_wait(a->target, notes_that_it_started, &a->number);
    return weft_scope_end(&a->scope, a->result);
}

static int holds_a_place(void *arg)
{
    return weft_event_wait(arg);
}

/* `askers` in line for the only place of `n`, which is taken until *leave. */
struct queue {
    weft_nursery outer, n;
    weft_event leave;
    struct asker askers[4];
    unsigned count;
};

static void queue_up(struct queue *q, unsigned count)
{
    weft_nursery_opts opts = {.limit = 1};
    *q = (struct queue){.count = count};
    CHECK_EQ(weft_nursery_open(&q->outer, NULL), 0);
    CHECK_EQ(weft_nursery_open(&q->n, &opts), 0);
    CHECK_EQ(weft_spawn(&q->n, holds_a_place, &q->leave), 0);
    for (unsigned i = 0; i < count; i++) {
        q->askers[i].target = &q->n;
        q->askers[i].number = i;
        CHECK_EQ(weft_spawn(&q->outer, asks, &q->askers[i]), 0);
    }
    CHECK_EQ(weft_sleep(1), 0);
    for (unsigned i = 0; i < count; i++) {
        CHECK_EQ(q->askers[i].result, 1);
    }
}

static void queue_close(struct queue *q)
{
    CHECK_EQ(weft_nursery_close(&q->n, 0), 0);
    CHECK_EQ(weft_nursery_close(&q->outer, 0), 0);
}

TEST_FIFO(places_are_given_in_the_order_they_were_asked_for)
{
    struct queue q;
    queue_up(&q, 4);
    weft_event_set(&q.leave);
    CHECK_EQ(weft_sleep(1), 0);
    CHECK_EQ(starts, 4);
    for (unsigned i = 0; i < 4; i++) {
        CHECK_EQ(q.askers[i].result, 0);
        CHECK_EQ(started[i], i);
    }
    queue_close(&q);
}

static int refused_at_exit;

static weft_verdict tries_at_the_exit(weft_nursery *n, uint64_t child,
                                      weft_outcome o, void *user)
{
    static unsigned number = 99;
    (void)child;
    (void)o;
    (void)user;
    if (!refused_at_exit) {
        refused_at_exit = weft_spawn(n, notes_that_it_started, &number);
    }
    return WEFT_CONTINUE;
}

TEST(a_place_that_gets_free_is_the_oldest_waiters_at_once)
{
    weft_nursery n;
    weft_event leave = WEFT_EVENT_INIT;
    unsigned number = 7;
    weft_nursery_opts opts = {.limit = 1, .on_exit = tries_at_the_exit};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, holds_a_place, &leave), 0);
    weft_event_set(&leave);
    CHECK_EQ(weft_spawn_wait(&n, notes_that_it_started, &number), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(refused_at_exit, -EAGAIN);
    CHECK_EQ(starts, 1);
    CHECK_EQ(started[0], 7);
}

struct thief {
    weft_nursery *n;
    int result;
    unsigned number;
};

static int tries_to_steal(void *arg)
{
    struct thief *t = arg;
    t->result = weft_spawn(t->n, notes_that_it_started, &t->number);
    return 0;
}

TEST(a_place_given_to_a_waiter_is_not_taken_by_a_newcomer)
{
    struct queue q;
    queue_up(&q, 1);
    struct thief thief = {&q.n, 1, 50};
    weft_event_set(&q.leave); /* the holder runs next, then the thief */
    CHECK_EQ(weft_spawn(&q.outer, tries_to_steal, &thief), 0);
    CHECK_EQ(weft_sleep(1), 0);
    CHECK_EQ(thief.result, -EAGAIN);
    CHECK_EQ(q.askers[0].result, 0);
    queue_close(&q);
    CHECK_EQ(starts, 1);
}

TEST(a_cancelled_asker_leaves_the_line)
{
    struct queue q;
    queue_up(&q, 3);
    weft_scope_cancel(&q.askers[0].scope, 0, NULL);
    weft_scope_cancel(&q.askers[1].scope, 0, NULL);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(q.askers[0].result, -ECANCELED);
    CHECK_EQ(q.askers[1].result, -ECANCELED);
    CHECK_EQ(q.askers[2].result, 1);
    weft_event_set(&q.leave);
    queue_close(&q);
    CHECK_EQ(q.askers[2].result, 0);
    CHECK_EQ(starts, 1);
    CHECK_EQ(started[0], 2);
}

struct canceller {
    struct queue *q;
    int place_free;
};

/* Runs after the holder ended and before the asker does. */
static int cancels_the_asker(void *arg)
{
    struct canceller *c = arg;
    c->place_free = weft_nursery_count(&c->q->n) == 0;
    weft_scope_cancel(&c->q->askers[0].scope, 0, NULL);
    return 0;
}

TEST_FIFO(a_place_that_was_given_survives_a_later_cancel)
{
    struct queue q;
    queue_up(&q, 1);
    struct canceller c = {&q, 0};
    weft_event_set(&q.leave);
    CHECK_EQ(weft_spawn(&q.outer, cancels_the_asker, &c), 0);
    CHECK_EQ(weft_sleep(1), 0);
    CHECK(c.place_free);
    CHECK_EQ(q.askers[0].result, 0);
    CHECK_EQ(starts, 1);
    queue_close(&q);
}

TEST(spawn_wait_in_a_cancelled_scope_spawns_nothing)
{
    weft_nursery n;
    weft_scope s;
    unsigned number = 1;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    open_cancelled_scope(&s);
    CHECK_EQ(weft_spawn_wait(&n, notes_that_it_started, &number), -ECANCELED);
    CHECK_EQ(weft_nursery_count(&n), 0);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(starts, 0);
}

TEST(spawn_wait_gives_up_at_a_deadline)
{
    weft_nursery n;
    weft_event leave = WEFT_EVENT_INIT;
    unsigned number = 1;
    int rc;
    weft_nursery_opts opts = {.limit = 1};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, holds_a_place, &leave), 0);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_spawn_wait(&n, notes_that_it_started, &number);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    weft_event_set(&leave);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_spawn(&n, notes_that_it_started, &number), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(starts, 1);
}

TEST(an_asker_from_outside_gets_an_answer_when_the_nursery_closes)
{
    struct queue q;
    queue_up(&q, 2);
    weft_event_set(&q.leave);
    CHECK_EQ(weft_nursery_close(&q.n, 0), 0);
    (void)!weft_nursery_close(&q.outer, 0);
    unsigned taken = 0;
    for (unsigned i = 0; i < 2; i++) {
        int result = q.askers[i].result;
        CHECK(result == 0 || result == -ESHUTDOWN);
        taken += result == 0;
    }
    CHECK_EQ(starts, taken); /* and what was taken did run */
}

TEST(an_asker_is_not_stopped_by_the_cancel_of_another_nursery)
{
    struct queue q;
    queue_up(&q, 1);
    weft_nursery_cancel(&q.n, 0, NULL); /* the holder leaves */
    CHECK_EQ(weft_nursery_close(&q.n, 0), 0);
    (void)!weft_nursery_close(&q.outer, 0);
    CHECK(q.askers[0].result == 0 || q.askers[0].result == -ESHUTDOWN);
    CHECK_EQ(starts, q.askers[0].result == 0);
}

struct too_large {
    weft_nursery *n;
    int result;
};

static int asks_for_a_stack_that_cannot_be(void *arg)
{
    struct too_large *t = arg;
    static unsigned number;
    weft_spawn_opts opts = {.stack_size = SIZE_MAX / 2};
    t->result = weft_spawn_wait_ex(t->n, notes_that_it_started, &number, &opts);
    return 0;
}

static int is_a_daemon(void *arg)
{
    (void)arg;
    return weft_sleep_until(WEFT_FOREVER);
}

TEST(an_asker_that_fails_at_last_does_not_keep_daemons_alone)
{
    weft_nursery n, outer;
    weft_event leave = WEFT_EVENT_INIT;
    weft_nursery_opts opts = {.limit = 2};
    weft_spawn_opts as_daemon = {.daemon = true};
    struct too_large t = {&n, 1};
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn_ex(&n, is_a_daemon, NULL, &as_daemon), 0);
    CHECK_EQ(weft_spawn(&n, holds_a_place, &leave), 0);
    CHECK_EQ(weft_spawn(&outer, asks_for_a_stack_that_cannot_be, &t), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(t.result, 1);
    weft_event_set(&leave);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(t.result, -ENOMEM);
    CHECK_EQ(starts, 0);
}

TEST(an_asker_gets_an_answer_when_a_daemon_has_the_last_place)
{
    weft_nursery n, outer;
    weft_nursery_opts opts = {.limit = 1};
    weft_spawn_opts as_daemon = {.daemon = true};
    struct asker a = {.target = &n, .number = 1};
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn_ex(&n, is_a_daemon, NULL, &as_daemon), 0);
    CHECK_EQ(weft_spawn(&outer, asks, &a), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(a.result, 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(a.result, 0);
    CHECK_EQ(starts, 1);
}

TEST(without_a_limit_spawn_wait_does_not_wait)
{
    weft_nursery n;
    static unsigned numbers[30];
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_yield(), 0);
    for (unsigned i = 0; i < 30; i++) {
        CHECK_EQ(weft_spawn_wait(&n, notes_that_it_started, &numbers[i]), 0);
    }
    CHECK_EQ(starts, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(starts, 30);
}
