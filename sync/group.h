/* SPDX-License-Identifier: MIT */
/*
 * group.h - the workers of one run, as they know each other.
 *
 * Each is a scheduler on a thread of its own, and nothing of it is touched by
 * another: what they share is here. They reach each other through their
 * inboxes, to which the group has the reference of the kin.
 *
 *   - Whether a worker sleeps is there to be read, for who has a fiber to spare.
 *   - Who can only be woken by another worker is at rest. If all are, and in no
 *     inbox is a message, nothing can ever happen: they are deadlocked. A worker
 *     is up again before it takes its messages, so that the last one to lie down
 *     cannot miss both.
 */
#ifndef WF_GROUP_H
#define WF_GROUP_H

#include <pthread.h>

#include "runtime/leaks.h"
#include "runtime/remote.h"

struct wf_seat { /* of one worker */
    int idle;    /* atomic: it sleeps, and nobody has sent it work */
    char apart[64];
    struct wf_inbox *inbox; /* NULL: it has not come, or will not */
    bool at_rest;           /* changed by its worker, under the lock */
    struct wf_message word; /* of the end: see worker.c */
};

struct wf_group {
    unsigned count;
    int idle; /* atomic: how many seats are */
    pthread_mutex_t lock;
    pthread_cond_t someone; /* has come, or will not */
    unsigned came, missing; /* of the others than the first */
    int error;              /* why */
    unsigned resting;       /* seats at rest */
    bool deadlocked;        /* that is being dealt with */
    bool dismissed;         /* there will be no main */
    struct wf_message deadlock;
    struct wf_leaks leaks; /* of those that have gone */
    struct wf_seat seats[];
};

/* Of this thread; a run of one worker has none. */
extern __thread struct wf_group *wf_group;
extern __thread unsigned wf_worker; /* its seat */

/* For so many workers. NULL: no memory. */
struct wf_group *wf_group_new(unsigned count);

/* All have gone. */
void wf_group_free(struct wf_group *g);

/* This thread takes its seat, with its scheduler open. */
void wf_group_enter(struct wf_group *g, unsigned seat);

/* The worker of some seat will not come. */
void wf_group_miss(struct wf_group *g, int error);

/* For the first: waits until each other worker has come or will not. 0, or an
 * error of one that will not. */
int wf_group_wait(struct wf_group *g);

/* This thread has closed its scheduler. */
void wf_group_leave(void);

/* Puts m into the inbox of a worker, which is there as long as a fiber is. */
void wf_group_put(unsigned seat, struct wf_message *m);

/* wf_sched_opts.rests of each worker. */
void wf_group_rests(bool begins, bool for_good);

/* The deadlock of the group has been dealt with. */
void wf_group_resolved(void);

/* A worker that sleeps, from now on counted as having work; or -1. */
int wf_group_claim_idle(void);
void wf_group_unclaim(unsigned seat);

/* May there be one? Without a look at anything but one word. */
static inline bool wf_group_has_idle(void)
{
    return __builtin_expect(wf_group != NULL, 0) &&
           __atomic_load_n(&wf_group->idle, __ATOMIC_RELAXED) > 0;
}

#endif
