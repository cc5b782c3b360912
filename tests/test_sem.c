/* SPDX-License-Identifier: MIT */
/* test_sem.c - order, hand-over and cancellation of weft_sem. */
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/sem.h>
#include <weft/time.h>

#include <string.h>

#include "harness.h"
#include "open.h"

static int turns;

/* Takes n permits inside a scope of its own, and says how that went. */
struct taker {
    weft_sem *sem;
    uint32_t n;
    int result; /* 1: still waiting */
    int turn;   /* 1 for the first to get past acquire */
    int next;   /* the cancel point after it */
    weft_scope scope;
};

static int takes(void *arg)
{
    struct taker *t = arg;
    open_scope(&t->scope);
    t->result = weft_sem_acquire(t->sem, t->n);
    t->turn = ++turns;
    t->next = weft_checkpoint();
    return weft_scope_end(&t->scope, 0);
}

/* Brings fibers to wait for the given numbers of permits, in that order. */
static void line_up(weft_nursery *n, weft_sem *s, struct taker *takers,
                    const uint32_t *wants, unsigned count)
{
    CHECK_EQ(weft_nursery_open(n, NULL), 0);
    turns = 0;
    for (unsigned i = 0; i < count; i++) {
        takers[i] = (struct taker){.sem = s, .n = wants[i], .result = 1};
        CHECK_EQ(weft_spawn(n, takes, &takers[i]), 0);
    }
    CHECK_EQ(weft_yield(), 0);
}

#define LINE_UP(n, s, takers, ...)                                             \
    line_up((n), (s), (takers), (const uint32_t[]){__VA_ARGS__},               \
            sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

TEST(sem_01_a_released_permit_is_the_waiters_and_not_free)
{
    weft_sem s = WEFT_SEM_INIT(0, 0);
    weft_nursery n;
    struct taker t;
    LINE_UP(&n, &s, &t, 1);
    CHECK_EQ(weft_sem_release(&s, 1), 0);
    CHECK_EQ(weft_sem_try(&s, 1), -EAGAIN);
    CHECK_EQ(weft_sem_value(&s), 0);
    CHECK_EQ(t.result, 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(t.result, 0);
    CHECK_EQ(weft_sem_value(&s), 0);
}

static char order[16];

static int holds_twice(void *arg)
{
    static weft_sem s = WEFT_SEM_INIT(1, 1);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weft_sem_acquire(&s, 1), 0);
        strcat(order, arg);
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
        CHECK_EQ(weft_sem_release(&s, 1), 0);
    }
    return 0;
}

TEST_FIFO(sem_02_permits_go_round_in_order)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, holds_twice, "1"), 0);
    CHECK_EQ(weft_spawn(&n, holds_twice, "2"), 0);
    CHECK_EQ(weft_spawn(&n, holds_twice, "3"), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_STR(order, "123123");
}

TEST_FIFO(sem_03_a_release_passes_over_cancelled_waiters)
{
    weft_sem s = WEFT_SEM_INIT(0, 0);
    weft_nursery n;
    struct taker t[4];
    LINE_UP(&n, &s, t, 1, 1, 1, 1);
    weft_scope_cancel(&t[0].scope, 0, NULL);
    weft_scope_cancel(&t[1].scope, 0, NULL);
    CHECK_EQ(weft_sem_release(&s, 1), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(t[0].result, -ECANCELED);
    CHECK_EQ(t[1].result, -ECANCELED);
    CHECK_EQ(t[2].result, 0);
    CHECK_EQ(t[3].result, 1);
    CHECK_EQ(weft_sem_release(&s, 1), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(t[3].result, 0);
    CHECK_EQ(weft_sem_value(&s), 0);
}

TEST(sem_06_the_bound_is_kept)
{
    weft_sem s;
    weft_sem_init(&s, 1, 1);
    CHECK_EQ(weft_sem_release(&s, 1), -EOVERFLOW);
    CHECK_EQ(weft_sem_value(&s), 1);
    CHECK_EQ(weft_sem_acquire(&s, 2), -EINVAL);
    CHECK_EQ(weft_sem_try(&s, 2), -EINVAL);
    CHECK_EQ(weft_sem_acquire(&s, UINT32_MAX), -EINVAL);
    CHECK_EQ(weft_sem_value(&s), 1);
    CHECK_EQ(weft_sem_try(&s, 1), 0);
    CHECK_EQ(weft_sem_release(&s, 2), -EOVERFLOW);
    CHECK_EQ(weft_sem_release(&s, UINT32_MAX), -EOVERFLOW);
    CHECK_EQ(weft_sem_value(&s), 0);
    CHECK_EQ(weft_sem_release(&s, 1), 0);
}

TEST(the_bound_is_kept_from_the_beginning)
{
    static weft_sem fixed = WEFT_SEM_INIT(5, 3);
    weft_sem s;
    weft_sem_init(&s, UINT32_MAX, 3);
    CHECK_EQ(weft_sem_value(&fixed), 3);
    CHECK_EQ(weft_sem_value(&s), 3);
    CHECK_EQ(weft_sem_try(&s, 4), -EINVAL);
    CHECK_EQ(weft_sem_release(&s, 1), -EOVERFLOW);
}

TEST(the_bound_is_kept_though_a_waiter_would_take_the_excess)
{
    weft_sem s = WEFT_SEM_INIT(2, 2);
    weft_nursery n;
    struct taker t;
    CHECK_EQ(weft_sem_acquire(&s, 1), 0);
    LINE_UP(&n, &s, &t, 2);
    CHECK_EQ(weft_sem_release(&s, 2), -EOVERFLOW); /* one is lent, not two */
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(t.result, 1);
    CHECK_EQ(weft_sem_release(&s, 1), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(t.result, 0);
}

TEST(without_a_bound_the_count_does_not_wrap)
{
    weft_sem s = WEFT_SEM_INIT(0, 0);
    CHECK_EQ(weft_sem_release(&s, UINT32_MAX), 0);
    CHECK_EQ(weft_sem_value(&s), UINT32_MAX);
    CHECK_EQ(weft_sem_release(&s, 1), -EOVERFLOW);
    CHECK_EQ(weft_sem_value(&s), UINT32_MAX);
    CHECK_EQ(weft_sem_acquire(&s, UINT32_MAX), 0);
    CHECK_EQ(weft_sem_value(&s), 0);
}

static int spawner_turn, new_turn;

static int notes_its_turn(void *arg)
{
    (void)arg;
    new_turn = ++turns;
    return 0;
}

struct spawner {
    weft_sem *sem;
    weft_nursery *n;
};

static int takes_and_spawns(void *arg)
{
    struct spawner *s = arg;
    CHECK_EQ(weft_sem_acquire(s->sem, 1), 0);
    spawner_turn = ++turns;
    return weft_spawn(s->n, notes_its_turn, NULL);
}

TEST_FIFO(sem_07_all_who_were_granted_run_before_a_new_fiber)
{
    weft_sem s = WEFT_SEM_INIT(0, 0);
    weft_nursery n, waiters;
    struct spawner first = {&s, &n};
    struct taker t[2];
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, takes_and_spawns, &first), 0);
    LINE_UP(&waiters, &s, t, 1, 1);
    CHECK_EQ(weft_sem_release(&s, 3), 0);
    CHECK_EQ(weft_nursery_close(&waiters, 0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(spawner_turn, 1);
    CHECK_EQ(t[0].turn, 2);
    CHECK_EQ(t[1].turn, 3);
    CHECK_EQ(new_turn, 4);
}

TEST(sem_08_a_waiter_cancelled_while_releasing_costs_no_permit)
{
    weft_sem s = WEFT_SEM_INIT(0, 1);
    weft_nursery n;
    struct taker t;
    LINE_UP(&n, &s, &t, 1);
    weft_scope_cancel(&t.scope, 0, NULL);
    CHECK_EQ(weft_sem_release(&s, 1), 0);
    CHECK_EQ(weft_sem_acquire(&s, 1), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(t.result, -ECANCELED);
    CHECK_EQ(weft_sem_release(&s, 1), 0);
    CHECK_EQ(weft_sem_value(&s), 1);
}

TEST(a_permit_handed_over_survives_a_cancel_in_the_same_turn)
{
    weft_sem s = WEFT_SEM_INIT(0, 1);
    weft_nursery n;
    struct taker t;
    LINE_UP(&n, &s, &t, 1);
    CHECK_EQ(weft_sem_release(&s, 1), 0);
    weft_scope_cancel(&t.scope, 0, NULL);
    CHECK_EQ(weft_sem_try(&s, 1), -EAGAIN);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(t.result, 0);
    CHECK_EQ(t.next, -ECANCELED);
    CHECK_EQ(weft_sem_value(&s), 0);
}

TEST_FIFO(nobody_passes_the_oldest_waiter)
{
    weft_sem s = WEFT_SEM_INIT(1, 0);
    weft_nursery n;
    struct taker t[2];
    LINE_UP(&n, &s, t, 3, 1);
    CHECK_EQ(weft_sem_value(&s), 1);
    CHECK_EQ(t[1].result, 1);
    CHECK_EQ(weft_sem_try(&s, 1), -EAGAIN); /* free, but somebody waits */
    CHECK_EQ(weft_sem_release(&s, 1), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(t[0].result, 1);
    CHECK_EQ(weft_sem_value(&s), 2); /* no part of it was taken */
    CHECK_EQ(weft_sem_release(&s, 2), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(t[0].turn, 1);
    CHECK_EQ(t[1].turn, 2);
    CHECK_EQ(weft_sem_value(&s), 0);
}

TEST_FIFO(a_cancelled_oldest_waiter_lets_in_those_behind_it)
{
    weft_sem s = WEFT_SEM_INIT(2, 0);
    weft_nursery n;
    struct taker t[4];
    LINE_UP(&n, &s, t, 3, 1, 1, 1);
    weft_scope_cancel(&t[0].scope, 0, NULL);
    CHECK_EQ(weft_sem_value(&s), 0); /* at once */
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(t[0].result, -ECANCELED);
    CHECK_EQ(t[1].result, 0);
    CHECK_EQ(t[2].result, 0);
    CHECK_EQ(t[3].result, 1);
    CHECK_EQ(weft_sem_release(&s, 1), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(an_oldest_waiter_that_timed_out_lets_in_those_behind_it)
{
    weft_sem s = WEFT_SEM_INIT(1, 0);
    weft_nursery n;
    struct taker t[2];
    LINE_UP(&n, &s, t, 2, 1);
    weft_scope_set_deadline(&t[0].scope, weft_after(WEFT_MSEC(5)));
    CHECK_EQ(weft_sleep(WEFT_MSEC(6)), 0);
    CHECK_EQ(t[0].result, -ECANCELED);
    CHECK_EQ(t[1].result, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST_FIFO(a_cancelled_waiter_in_the_middle_lets_nobody_pass)
{
    weft_sem s = WEFT_SEM_INIT(1, 0);
    weft_nursery n;
    struct taker t[3];
    LINE_UP(&n, &s, t, 2, 2, 1);
    weft_scope_cancel(&t[1].scope, 0, NULL);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(t[0].result, 1);
    CHECK_EQ(t[2].result, 1);
    CHECK_EQ(weft_sem_release(&s, 2), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(t[0].result, 0);
    CHECK_EQ(t[2].result, 0);
}

TEST_FIFO(a_cancelled_oldest_waiter_uncovers_another_that_has_to_wait)
{
    weft_sem s = WEFT_SEM_INIT(1, 0);
    weft_nursery n;
    struct taker t[3];
    LINE_UP(&n, &s, t, 3, 2, 1);
    weft_scope_cancel(&t[0].scope, 0, NULL);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(t[1].result, 1);
    CHECK_EQ(t[2].result, 1);
    weft_scope_cancel(&t[1].scope, 0, NULL);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(t[2].result, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(cancelling_the_whole_line_at_once_loses_nothing)
{
    weft_sem s = WEFT_SEM_INIT(1, 0);
    weft_nursery n;
    struct taker t[4];
    LINE_UP(&n, &s, t, 3, 1, 1, 2);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    uint32_t granted = 0;
    for (int i = 0; i < 4; i++) {
        if (t[i].result == 0) granted += t[i].n;
    }
    CHECK_EQ(weft_sem_value(&s) + granted, 1);
}

TEST(an_acquire_at_entry_takes_what_is_free_without_waiting)
{
    weft_sem s = WEFT_SEM_INIT(3, 3);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_sem_acquire(&s, 2), 0);
    CHECK_EQ(weft_sem_try(&s, 2), -EAGAIN);
    CHECK_EQ(weft_sem_try(&s, 1), 0);
    CHECK_EQ(weft_sem_release(&s, 3), 0);
    CHECK_EQ(weft_sem_value(&s), 3);
}

TEST(an_acquire_in_a_deadline_times_out_and_owes_nothing)
{
    weft_sem s = WEFT_SEM_INIT(1, 2);
    int rc;
    weft_time start = weft_now();
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_sem_acquire(&s, 2);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5));
    CHECK_EQ(weft_sem_value(&s), 1);
    CHECK_EQ(weft_sem_try(&s, 1), 0);
}

TEST_FIFO(taking_none_waits_only_behind_others)
{
    weft_sem s = WEFT_SEM_INIT(0, 1);
    weft_nursery n;
    struct taker t[2];
    CHECK_EQ(weft_sem_acquire(&s, 0), 0);
    CHECK_EQ(weft_sem_try(&s, 0), 0);
    CHECK_EQ(weft_sem_release(&s, 0), 0);
    LINE_UP(&n, &s, t, 1, 0);
    CHECK_EQ(t[1].result, 1);
    CHECK_EQ(weft_sem_release(&s, 0), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(t[1].result, 1);
    weft_scope_cancel(&t[0].scope, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(t[1].result, 0);
    CHECK_EQ(weft_sem_value(&s), 0);
}

#ifdef WEFT_DEBUG
static int initialises_it_again(void *arg)
{
    weft_sem *s = arg;
    weft_nursery n;
    struct taker t;
    LINE_UP(&n, s, &t, 1);
    weft_sem_init(s, 1, 1);
    return weft_nursery_close(&n, 0);
}

TEST_DEATH(a_semaphore_that_somebody_waits_for_is_not_initialised_again,
           "waits in the semaphore that is at")
{
    static weft_sem s = WEFT_SEM_INIT(0, 1);
    weft_sem_init(&s, 0, 1); /* without a run */
    CHECK_EQ(weft_run(initialises_it_again, &s, NULL), 0);
}
#endif
