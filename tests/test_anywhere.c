/* SPDX-License-Identifier: MIT */
/* test_anywhere.c - children that run where there is time for them. */
#include <weft/error.h>

#include <stdint.h>

#include "fibers.h"
#include "workers.h"

static const weft_spawn_opts anywhere = {.worker = WEFT_ANY_WORKER};

static int many(int usual)
{
    return test_is_slow() ? usual / 20 : usual;
}

/* For one worker too. */
#define TEST_ANYWHERE(id)                                                      \
    static void id##_in_main(void);                                            \
    TEST_PLAIN(id)                                                             \
    {                                                                          \
        workers_body *body = id##_in_main;                                     \
        CHECK_EQ(run_on(1, calls_body, &body), 0);                             \
        run_on_several(body);                                                  \
    }                                                                          \
    static void id##_in_main(void)

/* ---- each runs once ----------------------------------------------------- */

TEST_ANYWHERE(each_child_runs_exactly_once)
{
    enum { CHILDREN = 1000 };
    int ran[CHILDREN] = {0}, rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < CHILDREN; i++) {
            CHECK_EQ(weft_spawn_ex(&n, adds_one, &ran[i], &anywhere), 0);
            if (i % 100 == 0) CHECK_EQ(weft_yield(), 0);
        }
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < CHILDREN; i++)
        CHECK_EQ(ran[i], 1);
}

struct part {
    int64_t from, to, sum;
};

/* Leaves of one number each. */
static int sums(void *arg)
{
    struct part *p = arg;
    int rc;
    if (p->to - p->from == 1) {
        p->sum = p->from;
        return 0;
    }
    int64_t middle = p->from + (p->to - p->from) / 2;
    struct part half[] = {{p->from, middle, 0}, {middle, p->to, 0}};
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 2; i++)
            CHECK_EQ(weft_spawn_ex(&n, sums, &half[i], &anywhere), 0);
    }
    p->sum = half[0].sum + half[1].sum;
    return rc;
}

TEST_ANYWHERE(a_hundred_thousand_leaves_sum_up)
{
    struct part all = {0, many(100000), 0};
    CHECK_EQ(sums(&all), 0);
    CHECK_EQ(all.sum, all.to * (all.to - 1) / 2);
}

struct wide {
    long number, *sum; /* a word, so that to add it is atomic anywhere */
};

static int adds_number(void *arg)
{
    const struct wide *w = arg;
    (void)__atomic_add_fetch(w->sum, w->number, __ATOMIC_RELAXED);
    return 0;
}

TEST_ANYWHERE(a_wide_fan_of_copied_arguments_sums_up)
{
    long sum = 0, count = many(20000);
    int rc;
    WEFT_NURSERY(n, rc) {
        for (long i = 0; i < count; i++) {
            struct wide w = {i, &sum};
            CHECK_EQ(
                weft_spawn_copy_ex(&n, adds_number, &w, sizeof w, &anywhere),
                0);
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(sum, count * (count - 1) / 2);
}

struct chain {
    int left, *ran;
};

static int is_a_link(void *arg)
{
    struct chain *c = arg, next = {c->left - 1, c->ran};
    int rc;
    (void)add_one(c->ran);
    if (c->left == 0) return 0;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn_ex(&n, is_a_link, &next, &anywhere);
    }
    return rc;
}

TEST_ANYWHERE(one_in_the_other_to_a_great_depth)
{
    int ran = 0;
    struct chain c = {many(5000), &ran};
    CHECK_EQ(is_a_link(&c), 0);
    CHECK_EQ(ran, many(5000) + 1);
}

/* ---- at home, and elsewhere --------------------------------------------- */

/* The first of them. */
static int notes_where(void *arg)
{
    int none = 0, here = (int)weft_worker();
    (void)__atomic_compare_exchange_n((int *)arg, &none, here, false,
                                      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    return 0;
}

/* While this thread does not give way, only another worker can have run it. */
TEST_WORKERS(who_has_nothing_to_do_takes_one)
{
    enum { TRIES = 5000 };
    static int w[TRIES];
    bool taken = false;
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < TRIES && !taken; i++) {
            w[i] = 0;
            CHECK_EQ(weft_spawn_ex(&n, notes_where, &w[i], &anywhere), 0);
            linger(1);
            for (int j = 0; j <= i; j++)
                taken = taken || count_of(&w[j]) > 1;
        }
    }
    CHECK_EQ(rc, 0);
    CHECK(taken);
}

static int takes_over_there(void *arg)
{
    int rc, *worker = arg;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 2000 && !count_of(worker); i++) {
            CHECK_EQ(weft_spawn_ex(&n, notes_where, worker, &anywhere), 0);
            linger(1);
        }
    }
    return rc;
}

TEST_WORKERS(main_s_worker_takes_one_as_well)
{
    int worker = 0;
    if (weft_workers() != 2) return;
    CHECK_EQ(call_on(2, takes_over_there, &worker), 0);
    CHECK_EQ(worker, 1);
}

/* ---- and the others ----------------------------------------------------- */

struct fair {
    int ran, stop;
    int64_t yields;
};

static int yields_until_one_ran(void *arg)
{
    struct fair *f = arg;
    while (count_of(&f->ran) == 0) {
        int err = weft_yield();
        if (err < 0) return err;
        /* With one worker that is no question of real time. */
        CHECK(++f->yields < 1000 || weft_workers() > 1);
    }
    return 0;
}

static int yields_for_ever(void *arg)
{
    const struct fair *f = arg;
    return yields_until_said(&f->stop);
}

TEST_ANYWHERE(one_in_reserve_is_not_starved_by_those_that_are_ready)
{
    struct fair f[9] = {{0}};
    int rc;
    WEFT_NURSERY(n, rc) {
        for (unsigned k = 1; k <= weft_workers(); k++)
            spawn_on(k, &n, yields_for_ever, &f[0]);
        CHECK_EQ(weft_spawn(&n, yields_until_one_ran, &f[0]), 0);
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(weft_spawn_ex(&n, adds_one, &f[0].ran, &anywhere), 0);
        while (count_of(&f[0].ran) == 0)
            CHECK_EQ(weft_yield(), 0);
        say_word(&f[0].stop);
    }
    CHECK_EQ(rc, 0);
}

struct breeder {
    weft_nursery *n;
    int stop, born;
};

static int breeds(void *arg)
{
    struct breeder *b = arg;
    int rc;
    if (word_is_said(&b->stop)) return 0;
    (void)add_one(&b->born);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 3; i++)
            CHECK_EQ(weft_spawn_ex(&n, does_nothing, NULL, &anywhere), 0);
    }
    return rc < 0 ? rc : weft_spawn_ex(b->n, breeds, b, &anywhere);
}

/* On one worker, where each can have the next at the nursery of all. */
static int lives_beside_breeders(void *arg)
{
    struct breeder b = {0};
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        b.n = &n;
        for (int i = 0; i < 5; i++)
            CHECK_EQ(weft_spawn_ex(&n, breeds, &b, &anywhere), 0);
        for (int i = 0; i < 100; i++)
            CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0); /* timers too */
        say_word(&b.stop);
    }
    CHECK(b.born > 5);
    return rc;
}

TEST_PLAIN(those_in_reserve_starve_nobody)
{
    CHECK_EQ(run_on(1, lives_beside_breeders, NULL), 0);
}

/* ---- cancelled, joined, limited ----------------------------------------- */

struct began {
    int cancelled, not ;
};

static int notes_how_it_began(void *arg)
{
    struct began *b = arg;
    int err = weft_yield();
    (void)add_one(err < 0 ? &b->cancelled : &b->not );
    return err;
}

TEST_ANYWHERE(cancelled_in_reserve_it_runs_all_the_same)
{
    for (int i = 0; i < 100; i++) {
        struct began b = {0};
        int rc;
        WEFT_NURSERY(n, rc) {
            for (int j = 0; j < 10; j++)
                CHECK_EQ(weft_spawn_ex(&n, notes_how_it_began, &b, &anywhere),
                         0);
            weft_nursery_cancel(&n, -EINTR, NULL);
        }
        CHECK_EQ(b.cancelled + b.not, 10);
        CHECK_EQ(rc, b.cancelled ? -EINTR : 0);
        if (weft_workers() == 1) CHECK_EQ(b.cancelled, 10);
    }
}

TEST_ANYWHERE(of_a_cancelled_nursery_it_begins_cancelled)
{
    struct began b = {0};
    const weft_spawn_opts unless = {.worker = WEFT_ANY_WORKER,
                                    .unless_cancelled = true};
    int rc;
    WEFT_NURSERY(n, rc) {
        weft_nursery_cancel(&n, -EINTR, NULL);
        for (int i = 0; i < 20; i++)
            CHECK_EQ(weft_spawn_ex(&n, notes_how_it_began, &b, &anywhere), 0);
        CHECK_EQ(weft_spawn_ex(&n, notes_how_it_began, &b, &unless),
                 -ECANCELED);
    }
    CHECK_EQ(rc, -EINTR);
    CHECK_EQ(b.cancelled, 20);
    CHECK_EQ(b.not, 0);
}

static int returns_square(void *arg)
{
    int i = *(int *)arg;
    return i * i;
}

TEST_ANYWHERE(tasks_anywhere_can_be_joined_and_cancelled)
{
    enum { TASKS = 50 };
    weft_task t[TASKS];
    weft_outcome o;
    int number[TASKS], rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < TASKS; i++) {
            const weft_spawn_opts task = {.worker = WEFT_ANY_WORKER,
                                          .task = &t[i]};
            number[i] = i;
            CHECK_EQ(weft_spawn_ex(&n, i % 2 ? returns_square : waits_for_ever,
                                   &number[i], &task),
                     0);
        }
        for (int i = 0; i < TASKS; i++) {
            if (i % 2 == 0) weft_task_cancel(&t[i], 0, NULL);
            CHECK_EQ(weft_join(&t[i], &o), 0);
            CHECK_EQ(o.status, i % 2 ? WEFT_OK : WEFT_CANCELLED);
            CHECK_EQ(o.rc, i % 2 ? i * i : -ECANCELED);
        }
    }
    CHECK_EQ(rc, 0);
}

static int joins_by_doneq(void *arg)
{
    enum { TASKS = 100 };
    weft_task t[TASKS], *next;
    weft_doneq q;
    int number[TASKS], got = 0, rc;
    (void)arg;
    weft_doneq_init(&q);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < TASKS; i++) {
            const weft_spawn_opts task = {
                .worker = WEFT_ANY_WORKER, .task = &t[i], .doneq = &q};
            number[i] = i;
            CHECK_EQ(weft_spawn_ex(&n, returns_square, &number[i], &task), 0);
        }
        while ((rc = weft_next_done(&q, &next)) == 1)
            got++;
    }
    CHECK_EQ(got, TASKS);
    return rc;
}

TEST_ANYWHERE(a_queue_hands_out_each_of_them_once)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        for (unsigned k = 1; k <= weft_workers(); k++) {
            const weft_spawn_opts o = {.worker = (int)k,
                                       .stack_size = 256 * 1024};
            CHECK_EQ(weft_spawn_ex(&n, joins_by_doneq, NULL, &o), 0);
        }
    }
    CHECK_EQ(rc, 0);
}

TEST_ANYWHERE(daemons_anywhere_are_cancelled_at_the_end)
{
    const weft_spawn_opts daemon = {.worker = WEFT_ANY_WORKER, .daemon = true};
    int rc, ran = 0;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 10; i++) {
            CHECK_EQ(weft_spawn_ex(&n, waits_for_ever, NULL, &daemon), 0);
            CHECK_EQ(weft_spawn_ex(&n, adds_one, &ran, &anywhere), 0);
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(ran, 10);
}

static int is_ready_with(void *value)
{
    CHECK_EQ(weft_started(value), 0);
    return weft_sleep_until(WEFT_FOREVER);
}

TEST_ANYWHERE(start_waits_for_a_child_anywhere)
{
    int here, rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 50; i++) {
            void *value = NULL;
            CHECK_EQ(weft_start_ex(&n, is_ready_with, &here, &value, &anywhere),
                     0);
            CHECK_PTR(value, &here);
        }
        CHECK_EQ(weft_start_ex(&n, does_nothing, NULL, NULL, &anywhere),
                 -EPROTO);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
}

static int fails_at_random(void *arg)
{
    int i = *(int *)arg;
    return i == 37 ? weft_fail(-EPROTO, "number %d", i) : weft_yield();
}

TEST_ANYWHERE(a_failure_anywhere_cancels_the_rest)
{
    enum { CHILDREN = 100 };
    for (int round = 0; round < 20; round++) {
        int number[CHILDREN];
        weft_nursery n;
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        for (int i = 0; i < CHILDREN; i++) {
            number[i] = i;
            CHECK_EQ(weft_spawn_ex(&n, fails_at_random, &number[i], &anywhere),
                     0);
        }
        CHECK_EQ(weft_nursery_close(&n, 0), -EPROTO);
        CHECK_STR(weft_last_error()->msg, "number 37");
    }
}

TEST_ANYWHERE(a_limit_holds_for_children_anywhere)
{
    static const weft_nursery_opts two = {.limit = 2};
    int rc, ran = 0;
    WEFT_NURSERY_EX(n, rc, &two) {
        for (int i = 0; i < 100; i++) {
            CHECK(weft_nursery_count(&n) <= 2);
            CHECK_EQ(weft_spawn_wait_ex(&n, adds_one, &ran, &anywhere), 0);
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(ran, 100);
}

/* What is divided at random, and cancelled somewhere on the way. */
TEST_WORKERS(work_that_divides_itself_is_cancelled_as_a_whole)
{
    for (int i = 0; i < many(100); i++) {
        struct part all = {0, 2000, 0};
        weft_nursery n;
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        CHECK_EQ(weft_spawn_ex(&n, sums, &all, &anywhere), 0);
        for (int j = 0; j < i % 40; j++)
            give_way();
        weft_nursery_cancel(&n, -EINTR, NULL);
        CHECK_EQ(weft_nursery_close(&n, 0), 0); /* none of it waits */
        CHECK_EQ(all.sum, 2000 * 1999 / 2);
    }
}
