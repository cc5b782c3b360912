/* SPDX-License-Identifier: MIT */
/*
 * sweep.h - cancels a piece of concurrent work at every moment of its life.
 *
 *     static void start_takers(weft_nursery *n)
 *     {
 *         weft_sem_init(&sem, 2, 2);
 *         for (int i = 0; i < 5; i++) sweep_spawn(n, take, &wanted[i]);
 *     }
 *     static void check_permits(void)
 *     {
 *         CHECK_EQ(weft_sem_value(&sem), 2);
 *     }
 *     SWEEP(all_permits_come_back, start_takers, check_permits, 0);
 *
 * is a test, sweep/all_permits_come_back. A first run of the work counts the
 * cancel points of every fiber in it, numbered as they are spawned: those that
 * `start` spawns, and whatever these start in their turn. Then it runs again
 * for each of those points, on entry to it as well as parked in it, and there
 *
 *     alone     only this fiber is cancelled,
 *     deadline  a fail-scope around it, that of sweep_spawn, expires,
 *     twice     the same as alone, and at the next point, which may be one of
 *               its clean-up, the whole nursery is cancelled,
 *     all       the whole nursery is cancelled,
 *     late      the whole nursery's deadline passes.
 *
 * In a hostile build it runs also with each of its allocations and mappings
 * failing, once by itself and once with all that follow.
 *
 * Each is a weft_run on the virtual clock. After it nothing may be left and
 * there was no deadlock. A fiber of sweep_spawn that was struck, and the whole
 * if that was, has ended without time passing, and returned -ECANCELED only if
 * it was cancelled. And `check` holds: what is the same however the work ends,
 * such as all permits back, every lock free, items sent = received.
 *
 * A failure names the strike. To have that one alone:
 *
 *     SWEEP_ONLY=0/3.parked.7.alone test_sweep_sync sweep/all_permits
 *
 * With SWEEP_ORDERS=n in the environment all that is done first come first
 * served and then in n - 1 drawn orders of the fibers that are ready.
 */
#ifndef TESTS_SWEEP_H
#define TESTS_SWEEP_H

#include <weft/nursery.h>

#include "harness.h"

enum {
    /* Without the one that is struck the others may wait for ever: what is
     * left is cancelled, far behind anything that happens by itself. */
    SWEEP_PEERS_MAY_WAIT = 1,
    /* The clean-up of the work waits for time to pass. */
    SWEEP_CLEANUP_SLEEPS = 2,
    /* `check` comes after weft_run, outside any fiber: with background work. */
    SWEEP_CHECK_AFTER_RUN = 4,
    /* Whom the work starts is not struck alone, as it could not be by a user:
     * the jobs of weft_gather have no tasks. */
    SWEEP_SPARE_CHILDREN = 8
};

struct sweep {
    const char *name;
    void (*start)(weft_nursery *n); /* in the body of *n: sets up and spawns */
    void (*check)(void);            /* once all of it has ended */
    unsigned options;
};

#define SWEEP(id, start, check, options)                                       \
    static void id##_sweep(void)                                               \
    {                                                                          \
        static const struct sweep s = {"sweep/" #id, start, check, options};   \
        sweep(&s);                                                             \
    }                                                                          \
    __attribute__((constructor)) static void id##_register(void)               \
    {                                                                          \
        static const struct test t = {"sweep/" #id, id##_sweep, TEST_NO_RUN,   \
                                      0, 0};                                   \
        sweep_register(&t);                                                    \
    }                                                                          \
    _Static_assert(1, "takes the semicolon")

/** What SWEEP does: runs s->start in every way, and s->check after each. */
void sweep(const struct sweep *s);
void sweep_register(const struct test *t);

/**
 * Spawns one fiber of the work, from `start`. -ECANCELED is what fn may return
 * when it was struck, and -ENOMEM when memory is short; any other failure fails
 * the test.
 */
void sweep_spawn(weft_nursery *n, weft_fn fn, void *arg);

/**
 * For what `start` needs: true if it was had. If not, memory has to be short;
 * then the work ends at once, and `start` should return.
 */
bool sweep_had(bool had);

/** Is this a run in which memory is short? Then results may be -ENOMEM. */
bool sweep_short_of_memory(void);

#endif
