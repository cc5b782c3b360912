/* SPDX-License-Identifier: MIT */
/*
 * weft/gather.h (sync) - many things at once, in one call.
 *
 *     weft_job jobs[] = {{.fn = load_user, .arg = &user},
 *                        {.fn = load_cart, .arg = &cart}};
 *     int err = weft_gather(jobs, 2, NULL);
 *     if (err < 0) return err;          both were joined, in any case
 *
 * Whatever these calls return, everything that they started has ended. Jobs
 * are the caller's memory, and results are found there in the order of the
 * array. A nursery (weft/nursery.h) does more, for a few lines more.
 */
#ifndef WEFT_GATHER_H
#define WEFT_GATHER_H

#include <weft/base.h>
#include <weft/nursery.h>

WEFT_BEGIN_DECLS

/** `fn` and `arg` are to be set, `discard` may be; the rest is the answer. */
typedef struct weft_job {
    weft_fn fn;
    void *arg;
    /* Called for a job that succeeded in vain: it lost a race, or the whole
     * call returns an error. Once all jobs have ended, in a shield of five
     * seconds for all that are to be discarded. */
    void (*discard)(void *arg);
    int rc;             /* what fn returned; of one not started: why */
    weft_status status; /* not started: WEFT_CANCELLED, but WEFT_FAILED if that
                           was for lack of memory */
    bool started;       /* false: fn was not called */
    weft_time took;     /* nanoseconds, parked and running */
} weft_job;

typedef struct weft_gather_opts {
    weft_policy policy; /* WEFT_FAIL_FAST: the first failure cancels the rest;
                           WEFT_COLLECT: all run, failures stay in the jobs */
    unsigned limit;     /* at most so many at a time; 0: all at once */
} weft_gather_opts;

/**
 * Runs n jobs concurrently, each in a fiber of its own, and waits for all. They
 * are started in the order of the array. `o` may be NULL.
 *
 * Parks. Failing fast: 0, or the code of the earliest failure, or -ECANCELED
 * if jobs were stopped from outside. Collecting: 0 whatever the jobs returned
 * (one that could not be started for lack of memory has failed with -ENOMEM);
 * -ECANCELED if any was stopped from outside. In a cancelled scope -ECANCELED,
 * and none was started. -EINVAL: no such policy.
 */
WEFT_PARKS int weft_gather(weft_job *jobs, size_t n, const weft_gather_opts *o);

typedef enum weft_race_mode {
    WEFT_RACE_OK,  /* the first success wins */
    WEFT_RACE_DONE /* the first to end wins, even by failing */
} weft_race_mode;

/**
 * Starts n jobs, cancels the rest when one has won, and waits for all. A
 * winner is a winner, even if the caller is cancelled while the losers end. Do
 * not race two receives: both may take an item.
 *
 * Parks. Returns the index of the winner, else the code of the earliest
 * failure, else -ECANCELED. -EINVAL: there are no jobs.
 */
WEFT_PARKS int weft_race(weft_job *jobs, size_t n, weft_race_mode mode);

/**
 * Calls fn(i, context) for 0 <= i < n, each in a fiber of its own of which at
 * most o->limit live at a time: the next one starts when one has ended.
 * ret_rc[i] (ret_rc may be NULL) is what the call for i returned, -ECANCELED if
 * it was not made.
 *
 * Parks. Returns as weft_gather does; by `policy` all are called, or all until
 * the first failure.
 */
WEFT_PARKS int weft_map(size_t n, int (*fn)(size_t i, void *context),
                        void *context, int *ret_rc, const weft_gather_opts *o);

/**
 * Runs the jobs one after the other, in the order of the array. A failure stays
 * in its job and does not keep the next from running.
 *
 * Parks. Returns how many failed; -ECANCELED when it was stopped from outside,
 * and the rest were not started.
 */
WEFT_PARKS int weft_batch(weft_job *jobs, size_t n);

WEFT_END_DECLS

#endif
