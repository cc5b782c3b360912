/* SPDX-License-Identifier: MIT */
/* threads.h - other threads, for the tests of what may come from them. */
#ifndef TEST_THREADS_H
#define TEST_THREADS_H

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include <weft/stats.h>

#include "harness.h"

typedef void *thread_fn(void *arg);

static inline pthread_t start_thread(thread_fn *fn, void *arg)
{
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, fn, arg), 0);
    return t;
}

static inline void join_thread(pthread_t t)
{
    CHECK_EQ(pthread_join(t, NULL), 0);
}

/* On another thread, while this one stands still. */
static inline void call_elsewhere(thread_fn *fn, void *arg)
{
    join_thread(start_thread(fn, arg));
}

/* A word from one thread to another. */
static inline void say_word(int *word)
{
    __atomic_store_n(word, 1, __ATOMIC_RELEASE);
}

static inline bool word_is_said(const int *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* Only to let a mistaken other go wrong. */
static inline void linger(long ms)
{
    struct timespec t = {0, ms * 1000000};
    (void)nanosleep(&t, NULL);
}

static inline void wait_for_word(const int *word)
{
    while (!word_is_said(word))
        linger(1);
}

static inline weft_stats stats_now(void)
{
    weft_stats s;
    weft_stats_read(&s);
    return s;
}

#endif
