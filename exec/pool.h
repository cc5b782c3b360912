/* SPDX-License-Identifier: MIT */
/*
 * pool.h - threads that run jobs, and the jobs.
 */
#ifndef WF_POOL_H
#define WF_POOL_H

#include <weft/blocking.h>
#include <weft/error.h>

#include "runtime/park.h"
#include "runtime/remote.h"

enum wf_job_state {
    WF_JOB_QUEUED,
    WF_JOB_RUNNING,
    WF_JOB_DONE /* the message is on its way */
};

/* One call: on the stack of the fiber that waits for it, or on the heap if it
 * may be abandoned. What is not said to be otherwise is set by its fiber before
 * the job is submitted. */
struct wf_job {
    struct wf_job *next, *prev; /* in line, or among the running; the pool's */
    struct wf_pool *pool;       /* from its submission on, as the next two */
    weft_fiber *fiber;
    struct wf_inbox *inbox; /* of its run */
    weft_fn fn;
    void *arg;
    void (*release)(void *arg);
    struct wf_message message;
    int result;
    uint8_t state;   /* enum wf_job_state; the pool's lock */
    bool abandoned;  /* nobody waits; the pool's lock */
    uint8_t holders; /* abandoned: its thread and its fiber; the pool's lock */
    bool cancelled;  /* atomic */
    bool failed;     /* with this record: */
    weft_error failure;
    struct { /* abandoned: for those who ask what still runs */
        uint64_t fiber;
        char name[24];
        const char *file;
        int line;
    } from;
};

struct wf_pool;

/* The record is left as it is: it is large, and seldom used. */
static inline void wf_job_init(struct wf_job *j, weft_fn fn, void *arg)
{
    j->fn = fn;
    j->arg = arg;
    j->release = NULL;
    j->abandoned = j->cancelled = j->failed = false;
}

struct wf_pool *wf_pool_of(weft_pool pool);

/* Puts the job in line, and has its message delivered on this thread once it
 * is done. 0, or -EAGAIN or -ENOMEM: there is no thread and will be none. */
int wf_pool_submit(struct wf_pool *p, struct wf_job *j);

/* Takes it out again. False: a thread has begun it. */
bool wf_pool_withdraw(struct wf_job *j);

/* From now on nobody waits for it, and the caller has a hold on it. False: it
 * is not running any more. */
bool wf_pool_abandon(struct wf_job *j);

/* The fiber lets go of an abandoned job; the second to do so releases it. */
void wf_pool_let_go(struct wf_job *j);

/* The argument is nobody's any more. */
void wf_job_release(struct wf_job *j);

/* weft_blocking for what has to be done in any case: no cancel point. Without
 * any thread it is called in place. */
int wf_blocking_nc(weft_fn fn, void *arg);

/* What this thread runs for somebody, or NULL. */
const struct wf_job *wf_job_here(void);

#endif
