/* SPDX-License-Identifier: MIT */
/*
 * pool_inner.h - what a pool is, for the two files that make it one: pool.c has
 * its threads and jobs, pools.c its users and its size.
 */
#ifndef WF_POOL_INNER_H
#define WF_POOL_INNER_H

#include "exec/pool.h"
#include "runtime/os_thread.h"

struct wf_pool_thread; /* one that sleeps */

struct wf_job_list {
    struct wf_job *head, *tail;
};

struct wf_pool {
    pthread_mutex_t lock;
    bool ready; /* the condition below has been made */
    const char *name;
    unsigned threads, limit;
    unsigned coming; /* threads that will look at the line without being told */
    size_t stack_bytes;
    int64_t idle_ns;
    struct wf_pool_thread *sleeping; /* the one that fell asleep last first */
    struct wf_job_list line, running;
    unsigned users;           /* runs that have submitted something */
    pthread_cond_t something; /* a job has been finished, a thread has ended */
    unsigned joining;         /* the last of them, waiting for threads */
    bool has_ended;           /* a thread that nobody has joined yet: */
    pthread_t ended;
    weft_pool_stats stats;
};

/* With the lock held: one thread more, which looks at the line. 0 or why not. */
int wf_pool_start_thread(struct wf_pool *p);

/* With the lock held: the one that fell asleep last gets up. There is one. */
void wf_pool_wake(struct wf_pool *p);

/* The child of a fork in a function of a pool is on no thread of one. */
void wf_job_forget(void);

/* From now on this run is one of the users. 0 or -ENOMEM. */
int wf_pool_enter(struct wf_pool *p);

#endif
