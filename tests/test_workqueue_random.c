/* SPDX-License-Identifier: MIT */
/*
 * test_workqueue_random.c - two queues whose jobs do all that a job may do,
 * under adders, joiners and stops, in nurseries that may be cancelled: each job
 * is run or not, dropped once if the queue had it, and counted for what it was.
 */
#include <weft/cleanup.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/local.h>
#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/testing.h>
#include <weft/time.h>
#include <weft/workqueue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chance.h"
#include "harness.h"

enum { JOBS = 600, ROUNDS = 200 };

struct job {
    int queue;
    bool taken, begun, ended, dropped;
};

static struct job jobs[JOBS];
static int used; /* of jobs */
static weft_workqueue *queues[2];
static weft_nursery nurseries[2];
static uint64_t told; /* failures that somebody has heard of */

static weft_key shared = {.name = "shared"};
static weft_key secret = {.name = "secret", .flags = WEFT_KEY_PRIVATE};
static weft_mutex mutex = WEFT_MUTEX_INIT;

static weft_stop_mode some_mode(void)
{
    return random_below(2) ? WEFT_DRAIN : WEFT_DISCARD;
}

/* ---- adding ------------------------------------------------------------- */

static int run(void *arg);

static void fail_in_passing(void)
{
    if (random_below(3) == 0) (void)weft_fail(-EPROTO, "of no interest");
}

static void drop(void *arg);

/* Nobody has seen it if it was refused. */
static int put_one(int (*put)(weft_workqueue *q, weft_fn fn, void *arg,
                              void (*drop)(void *arg)))
{
    if (used == JOBS) return 0;
    struct job *j = &jobs[used++];
    j->queue = (int)random_below(2);
    j->taken = true;
    int err = put(queues[j->queue], run, j, drop);
    if (err == 0) return 0;
    CHECK(!j->begun && !j->dropped);
    j->taken = false;
    return err;
}

static int add_one(void)
{
    int err = put_one(weft_workqueue_add);
    CHECK(err == 0 || err == -ECANCELED || err == -ESHUTDOWN);
    return err == -ESHUTDOWN ? 0 : err;
}

static void try_one(void)
{
    int err = put_one(weft_workqueue_tryadd);
    CHECK(err == 0 || err == -EAGAIN || err == -ESHUTDOWN);
}

static int add_for_a_while(void)
{
    int rc;
    WEFT_MOVE_ON_AFTER(rc, random_below(10)) {
        rc = add_one();
    }
    return rc;
}

static void drop(void *arg)
{
    struct job *j = arg;
    CHECK(j->taken && !j->dropped);
    CHECK_EQ(j->begun, j->ended);
    j->dropped = true;
    if (random_below(10) == 0) try_one();
    fail_in_passing();
}

/* ---- what jobs do ------------------------------------------------------- */

static void sleeps_and_adds(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_sleep(random_below(3)), 0);
    if (random_below(2)) try_one();
}

static int child(void *arg)
{
    int err = weft_sleep(random_below(4));
    (void)arg;
    if (err == 0) try_one();
    return err;
}

static int has_children(void)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 2 && rc == 0; i++)
            rc = weft_spawn(&n, child, NULL);
    }
    return rc;
}

static int leaves_things_behind(void)
{
    CHECK(!weft_local_get(&shared));
    CHECK(!weft_local_get(&secret));
    CHECK_EQ(weft_local_push(&shared, &mutex), 0);
    CHECK_EQ(weft_local_push(&secret, &mutex), 0);
    CHECK_EQ(weft_defer(sleeps_and_adds, NULL), 0);
    int rc = weft_mutex_trylock(&mutex);
    if (rc == -EOWNERDEAD) rc = weft_mutex_repair(&mutex);
    CHECK(rc == 0 || rc == -EBUSY);
    return weft_sleep(random_below(3));
}

static int refused_by_its_own(weft_workqueue *q)
{
    CHECK_EQ(weft_workqueue_stop(q, some_mode()), -EDEADLK);
    int err = weft_workqueue_join(q);
    CHECK(err == -EDEADLK || err == -ECANCELED);
    return err == -EDEADLK ? 0 : err;
}

/* Jobs of the first queue only: two that stop each other would wait for ever,
 * and so would, but for the deadline, two that join. */
static int stops_the_other(const struct job *j)
{
    int rc;
    if (j->queue != 0 || random_below(8)) return weft_yield();
    WEFT_MOVE_ON_AFTER(rc, random_below(20)) {
        CHECK(weft_workqueue_stop(queues[1], some_mode()) >= 0);
        rc = weft_checkpoint();
    }
    return rc;
}

static int joins_the_other(const struct job *j)
{
    int rc;
    WEFT_MOVE_ON_AFTER(rc, random_below(10)) {
        rc = weft_workqueue_join(queues[!j->queue]);
    }
    return rc;
}

static int cancels_the_nursery(const struct job *j)
{
    if (random_below(15) == 0)
        weft_nursery_cancel(&nurseries[j->queue], 0, NULL);
    return weft_yield();
}

static int do_something(struct job *j)
{
    switch (random_below(12)) {
    case 0:
        return add_for_a_while();
    case 1:
        try_one();
        try_one();
        return 0;
    case 2:
        return weft_fail(-EIO, "job %d", (int)(j - jobs));
    case 3:
        return -EIO;
    case 4:
        return has_children();
    case 5:
        return leaves_things_behind();
    case 6:
        return refused_by_its_own(queues[j->queue]);
    case 7:
        return stops_the_other(j);
    case 8:
        return joins_the_other(j);
    case 9:
        return cancels_the_nursery(j);
    default:
        return weft_sleep(random_below(6));
    }
}

static int run(void *arg)
{
    struct job *j = arg;
    CHECK(j->taken && !j->begun && !j->dropped);
    j->begun = true;
    int rc = do_something(j);
    j->ended = true;
    return rc;
}

static void on_failure(int code, const weft_error *e, void *arg, void *user)
{
    const struct job *j = arg;
    (void)user;
    CHECK_EQ(code, -EIO);
    CHECK_EQ(e->code, code);
    CHECK(j->ended && !j->dropped);
    told++;
    if (random_below(3) == 0) try_one();
    if (random_below(3) == 0) {
        int err = add_for_a_while();
        CHECK(err == 0 || err == -ECANCELED);
    }
    fail_in_passing();
}

static void on_unhandled(const weft_error *e)
{
    CHECK_EQ(e->code, -EIO);
    told++;
}

/* ---- who else is there -------------------------------------------------- */

static int adds(void *arg)
{
    int err = 0;
    (void)arg;
    for (int i = 0; i < 30 && err == 0; i++) {
        if (random_below(2))
            err = add_one();
        else
            try_one();
        if (err == 0) err = weft_sleep(random_below(3));
    }
    return err;
}

static int stops(void *arg)
{
    weft_workqueue *q = arg;
    int rc = weft_sleep(random_below(40));
    if (rc < 0) return rc;
    WEFT_MOVE_ON_AFTER(rc, random_below(30) - 5) {
        int left = weft_workqueue_stop(q, some_mode());
        weft_workqueue_stats s;
        weft_workqueue_stats_read(q, &s);
        CHECK_EQ(s.waiting + s.running, 0);
        CHECK_EQ(s.discarded, left);
    }
    return rc;
}

static int joins(void *arg)
{
    int rc;
    WEFT_MOVE_ON_AFTER(rc, random_below(50)) {
        rc = weft_workqueue_join(arg);
    }
    return rc;
}

static void open_queue(int i)
{
    weft_workqueue_opts o = {
        .workers = (unsigned)random_below(4),
        .capacity = (size_t)random_below(4) + 1,
        .on_failure = random_below(2) ? on_failure : NULL,
        .max_failures = (unsigned)(random_below(3) ? 0 : random_below(5))};
    weft_nursery_opts no = {.policy = (weft_policy)random_below(3)};
    CHECK_EQ(weft_nursery_open(&nurseries[i], &no), 0);
    queues[i] = malloc(sizeof *queues[i]); /* for ASan to watch */
    CHECK(queues[i]);
    CHECK_EQ(weft_workqueue_open(queues[i], &nurseries[i], &o), 0);
    if (random_below(2)) CHECK_EQ(weft_test_settle(), 0);
}

static void let_in_the_others(weft_nursery *n)
{
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_spawn(n, adds, NULL), 0);
    for (int i = 0; i < 2; i++) {
        for (int64_t k = random_below(3); k > 0; k--)
            CHECK_EQ(weft_spawn(n, stops, queues[i]), 0);
        CHECK_EQ(weft_spawn(n, joins, queues[i]), 0);
        if (random_below(6) == 0)
            weft_scope_set_deadline(weft_nursery_scope(&nurseries[i]),
                                    weft_after(random_below(60)));
    }
}

/* The last failure of a queue is told to its nursery instead of the hook. */
static void check_counts(void)
{
    uint64_t done[2] = {0}, discarded[2] = {0}, failed = 0;
    for (int i = 0; i < used; i++) {
        const struct job *j = &jobs[i];
        CHECK_EQ(j->dropped, j->taken);
        CHECK_EQ(j->ended, j->begun);
        CHECK(j->taken || !j->begun);
        if (j->taken) (*(j->begun ? &done : &discarded))[j->queue]++;
    }
    for (int i = 0; i < 2; i++) {
        weft_workqueue_stats s;
        weft_workqueue_stats_read(queues[i], &s);
        CHECK_EQ(s.waiting + s.running, 0);
        CHECK_EQ(s.done, done[i]);
        CHECK_EQ(s.discarded, discarded[i]);
        CHECK_EQ(weft_workqueue_stop(queues[i], some_mode()), discarded[i]);
        failed += s.failed;
        free(queues[i]);
    }
    CHECK(told + 2 >= failed);
    CHECK(told <= failed + 2);
}

TEST(pattern_52_57_whatever_jobs_do_each_is_run_or_dropped_and_once)
{
    random_begin(test_seed());
    weft_on_unhandled(on_unhandled);
    for (int round = 0; round < ROUNDS; round++) {
        const weft_nursery_opts collect = {.policy = WEFT_COLLECT};
        weft_nursery others;
        memset(jobs, 0, sizeof jobs);
        used = 0;
        told = 0;
        CHECK_EQ(weft_nursery_open(&others, &collect), 0);
        open_queue(0);
        open_queue(1);
        let_in_the_others(&others);
        int rc = weft_sleep(random_below(60));
        for (int i = 1; i >= 0; i--) {
            rc = weft_nursery_close(&nurseries[i], rc);
            CHECK(rc == 0 || rc == -EIO || rc == -ECANCELED);
        }
        CHECK_EQ(weft_nursery_close(&others, 0), 0);
        check_counts();
    }
    weft_on_unhandled(NULL);
}
