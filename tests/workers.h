/* SPDX-License-Identifier: MIT */
/*
 * workers.h - runs on several workers, for tests that are in none themselves.
 *
 *     TEST_WORKERS(a_child_elsewhere_is_waited_for)
 *     {
 *         for (unsigned k = 1; k <= weft_workers(); k++)
 *             ...
 *     }
 *
 * The body is main's, in runs of two, three and eight workers, one after the
 * other.
 */
#ifndef TESTS_WORKERS_H
#define TESTS_WORKERS_H

#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/post.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/task.h>
#include <weft/time.h>
#include <weft/workers.h>

#include "harness.h"
#include "threads.h"

typedef void workers_body(void);

static inline int calls_body(void *arg)
{
    (*(workers_body **)arg)();
    return 0;
}

static inline int run_on(int workers, weft_fn fn, void *arg)
{
    const weft_run_opts o = {.workers = workers};
    return weft_run(fn, arg, &o);
}

static inline void run_on_several(workers_body *body)
{
    static const int counts[] = {2, 3, 8};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        CHECK_EQ(run_on(counts[i], calls_body, &body), 0);
}

#define TEST_WORKERS(id)                                                       \
    static void id##_in_main(void);                                            \
    TEST_PLAIN(id)                                                             \
    {                                                                          \
        run_on_several(id##_in_main);                                          \
    }                                                                          \
    static void id##_in_main(void)

/* Each worker's number but main's. */
#define EACH_OTHER(k) (unsigned k = 2; k <= weft_workers(); k++)

static inline weft_spawn_opts on_worker(unsigned k)
{
    return (weft_spawn_opts){.worker = (int)k};
}

#define spawn_on(k, n, fn, arg) CHECK_EQ(try_spawn_on(k, n, fn, arg), 0)

static inline int try_spawn_on(unsigned k, weft_nursery *n, weft_fn fn,
                               void *arg)
{
    const weft_spawn_opts o = on_worker(k);
    return weft_spawn_ex(n, fn, arg, &o);
}

static inline void start_on(unsigned k, weft_nursery *n, weft_fn fn, void *arg)
{
    const weft_spawn_opts o = on_worker(k);
    CHECK_EQ(weft_start_ex(n, fn, arg, NULL, &o), 0);
}

/* What fn(arg) returns on worker k. */
static inline int call_on(unsigned k, weft_fn fn, void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = try_spawn_on(k, &n, fn, arg);
    }
    return rc;
}

static inline int add_one(int *count)
{
    return __atomic_add_fetch(count, 1, __ATOMIC_ACQ_REL);
}

static inline int count_of(const int *count)
{
    return __atomic_load_n(count, __ATOMIC_ACQUIRE);
}

static inline int adds_one(void *count)
{
    (void)add_one(count);
    return 0;
}

/* Does no more than wait, and says when it does. */
static inline int is_ready_and_waits(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_started(NULL), 0);
    return weft_sleep_until(WEFT_FOREVER);
}

/* Passes cancel points until the word is said; bounded by the test's limit. */
static inline int yields_until_said(const int *word)
{
    while (!word_is_said(word)) {
        int err = weft_yield();
        if (err < 0) return err;
    }
    return 0;
}

/* Lets others go on, cancelled or not. */
static inline void give_way(void)
{
    int err = weft_yield();
    CHECK(err == 0 || err == -ECANCELED);
}

/* Rung on any worker, and heard by a fiber of the one that made it. */
struct bell {
    weft_event rung;
    weft_remote *home;
};

static inline struct bell bell_here(void)
{
    return (struct bell){.home = weft_remote_new()};
}

static inline void ring_here(void *bell)
{
    weft_event_set(&((struct bell *)bell)->rung);
}

static inline void ring(struct bell *b)
{
    CHECK_EQ(weft_post(b->home, ring_here, b), 0);
}

static inline void hear(struct bell *b)
{
    CHECK_EQ(weft_event_wait(&b->rung), 0);
    weft_remote_unref(b->home);
}

#endif
