/* SPDX-License-Identifier: MIT */
/*
 * sweep.h - cancels a piece of concurrent work at every moment of its life.
 *
 *     static void start(weft_nursery *n)
 *     {
 *         weft_sem_init(&sem, 2, 2);
 *         for (int i = 0; i < 5; i++) sweep_spawn(n, worker, &w[i]);
 *     }
 *     static void check(void)
 *     {
 *         CHECK_EQ(weft_sem_value(&sem), 2);
 *     }
 *     sweep(&(struct sweep){start, check, 40, 10});
 *
 * The work runs many times, each time until a canceller strikes after t
 * milliseconds and then k yields, for every t and k below the given bounds.
 * It strikes the whole nursery; then only the i-th fiber, for every i; then
 * the same by deadlines. What is the same however the work ends is for `check`
 * to say: all permits back, every lock free, items sent = received + inside.
 */
#ifndef TESTS_SWEEP_H
#define TESTS_SWEEP_H

#include <weft/nursery.h>

struct sweep {
    void (*start)(weft_nursery *n); /* in the body of *n: sets up and spawns */
    void (*check)(void);            /* once all of it has ended */
    unsigned yields;                /* 0 <= k < yields */
    unsigned steps;                 /* 0 <= t < steps */
};

/** Runs s->start in every way, and s->check after each. */
void sweep(const struct sweep *s);

/**
 * Spawns one fiber of the work. -ECANCELED is what fn may return when it was
 * struck; any other failure fails the test.
 */
void sweep_spawn(weft_nursery *n, weft_fn fn, void *arg);

#endif
