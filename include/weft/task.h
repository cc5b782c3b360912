/* SPDX-License-Identifier: MIT */
/*
 * weft/task.h (sync) - a child that one can ask for: join it, cancel it alone,
 * wait for many.
 *
 *     weft_task page;
 *     weft_spawn_opts o = {.task = &page};
 *     int err = weft_spawn_ex(&n, fetch, url, &o);
 *     ...
 *     weft_outcome out;
 *     err = weft_join(&page, &out);
 *     if (err == 0 && out.status == WEFT_FAILED) log_it(out.err);
 *
 * A nursery joins all its children, and most need no more than that. A task
 * is for the ones whose end somebody waits for before that, or which are
 * stopped one by one. The memory is the caller's: weft keeps nothing of a child
 * that has no task. It must last until the nursery is closed, so declare it
 * before the nursery's block, and may be asked after that too.
 *
 * What join returns speaks of the waiting alone; how the child fared is in the
 * outcome. So a cancelled child is never taken for a cancelled joiner.
 */
#ifndef WEFT_TASK_H
#define WEFT_TASK_H

#include <weft/base.h>
#include <weft/error.h>
#include <weft/nursery.h>
#include <weft/scope.h>

WEFT_BEGIN_DECLS

/* Something of a fiber's, in a list of such. */
struct weft_attached_ {
    struct weft_attached_ *next_;
    int kind_;
};

/** Filled in by the spawn. Members in _ are private. */
struct weft_task {
    struct weft_attached_ attached_; /* to its fiber, while that lives */
    weft_fiber *fiber_;              /* NULL once it has ended */
    weft_waitq_ waiters_;
    weft_doneq *doneq_;
    weft_task *next_; /* in that queue */
    void *user_;
    uint64_t id_;
    unsigned state_;
    weft_reason reason_; /* why it was cancelled alone */
    weft_outcome outcome_;
    weft_error error_; /* its record, if it failed, without `next` and `inner` */
};

/**
 * Waits until the task has ended. *ret_outcome (may be NULL) is as the nursery
 * saw it; its `err` lives as long as the task, and has no `next` and `inner`,
 * which are the nursery's. May be called again, by several
 * fibers at once, and after the nursery has closed.
 *
 * Parks. Returns 0; -ECANCELED: the caller is cancelled, and the task goes
 * on; -EDEADLK: it is the caller, or an ancestor of the caller, and so cannot
 * end before it; -EINVAL: it was never spawned, or that failed.
 */
WEFT_PARKS int weft_join(weft_task *t, weft_outcome *ret_outcome);

/**
 * Cancels this child alone, with all it has started. That is no failure of the
 * nursery, whatever `code`, which the child can read in weft_cancel_reason().
 * No effect on one that has ended. Never parks.
 */
WEFT_API void weft_task_cancel(weft_task *t, int code, const char *why);

/** Has it ended? False also for one that was never spawned. */
WEFT_API bool weft_task_done(const weft_task *t);

/** weft_spawn_opts.user of its spawn. */
WEFT_API void *weft_task_user(const weft_task *t);

/** The number of its fiber, also after the end. */
WEFT_API uint64_t weft_task_id(const weft_task *t);

typedef enum weft_wait_mode {
    WEFT_ALL,        /* until all are done */
    WEFT_FIRST_DONE, /* ... one is */
    WEFT_FIRST_ERROR /* ... one has failed (not: was cancelled), or all are done */
} weft_wait_mode;

/**
 * Waits for some of n tasks, for at most `ns` (WEFT_FOREVER: no limit). That
 * the time is over is no error, and cancels nothing: join or wait again. Like
 * the end of a sleep it comes before what cancels the caller at that moment.
 * None to wait for (n == 0) is done at once.
 *
 * Parks. Returns how many of them are done; -ECANCELED; -EDEADLK and -EINVAL
 * as weft_join; -ENOMEM: to wait for more than a few takes memory.
 */
WEFT_PARKS int weft_wait(weft_task *const *t, size_t n, weft_wait_mode mode,
                         weft_time ns);

/** Tasks in the order of their ends. Outlives all that are to come out of it. */
struct weft_doneq {
    weft_task *first_, *last_;
    size_t pending_; /* spawned and not done */
    weft_waitq_ takers_;
};

/** Empties *q; so does zeroing. Tasks go in by weft_spawn_opts.doneq. */
WEFT_API void weft_doneq_init(weft_doneq *q);

/**
 * Takes the next task that has ended, each of them once, waiting for it if
 * need be. Several fibers may take from one queue; they are served in line.
 *
 * Parks. Returns 1 and sets *ret_task; 0: all that were spawned with this queue
 * have been handed out; -ECANCELED, and nothing is lost.
 */
WEFT_PARKS int weft_next_done(weft_doneq *q, weft_task **ret_task);

WEFT_END_DECLS

#endif
