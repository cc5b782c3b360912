/* SPDX-License-Identifier: MIT */
/*
 * gate.h - for weft_blocking: a function that says when it is in, and keeps its
 * thread until it is let go.
 */
#ifndef TESTS_GATE_H
#define TESTS_GATE_H

#include <pthread.h>
#include <stdbool.h>

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int inside, passed, result;
    bool open;
};

#define GATE                                                                   \
    {                                                                          \
        .lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER   \
    }

static inline int stop_at(void *arg)
{
    struct gate *g = arg;
    (void)pthread_mutex_lock(&g->lock);
    g->inside++;
    (void)pthread_cond_broadcast(&g->moved);
    while (!g->open)
        (void)pthread_cond_wait(&g->moved, &g->lock);
    g->inside--;
    g->passed++;
    (void)pthread_cond_broadcast(&g->moved);
    (void)pthread_mutex_unlock(&g->lock);
    return g->result;
}

static inline void open_gate(struct gate *g)
{
    (void)pthread_mutex_lock(&g->lock);
    g->open = true;
    (void)pthread_cond_broadcast(&g->moved);
    (void)pthread_mutex_unlock(&g->lock);
}

/* Holds up the thread that calls it until so many are in. */
static inline void await_inside(struct gate *g, int n)
{
    (void)pthread_mutex_lock(&g->lock);
    while (g->inside < n)
        (void)pthread_cond_wait(&g->moved, &g->lock);
    (void)pthread_mutex_unlock(&g->lock);
}

#endif
