/* SPDX-License-Identifier: MIT */
/*
 * weft/workqueue.h (sync) - jobs, and a fixed number of workers that do them.
 *
 *     weft_workqueue q;
 *     weft_workqueue_opts o = {.workers = 3, .capacity = 64};
 *     int err = weft_workqueue_open(&q, &n, &o);           in nursery n
 *     ...
 *     err = weft_workqueue_add(&q, resize, image, free_image);
 *     ...
 *     int left = weft_workqueue_stop(&q, WEFT_DRAIN);
 *
 * A job is acknowledged when its function returns, whatever that is: a failing
 * job stops neither the queue nor those who wait for it to be empty. The queue
 * is bounded, and adding waits when it is full. Stopping drains it, or
 * discards what has not begun; nothing is lost silently.
 *
 * Jobs go to workers in the order in which they were added. Each is like a
 * fiber of its own: what it defers (weft/cleanup.h), binds (weft/local.h) and
 * locks ends with it, and so does what is left of its `on_failure` and `drop`.
 * It sees what the fiber that opened the queue had bound.
 *
 * A worker is a child of the nursery, and a daemon of it while it has nothing
 * to do. So an idle queue does not keep the nursery open once everything else
 * has ended; but what is queued by then is still done, with what it adds in its
 * turn, and not cancelled before. When the nursery is cancelled the queue is
 * stopped: jobs that have begun are cancelled, the others are discarded.
 */
#ifndef WEFT_WORKQUEUE_H
#define WEFT_WORKQUEUE_H

#include <weft/base.h>
#include <weft/nursery.h>

WEFT_BEGIN_DECLS

typedef struct weft_workqueue_opts {
    const char *name; /* of the workers; NULL: "worker" */
    unsigned workers;  /* 0: one */
    size_t capacity;   /* jobs that wait; 0: 64 */
    size_t stack_size; /* of the workers; 0: as for other fibers */
    /* Told of each job that failed, by its worker, before its `drop`; `e` is
     * the record, never NULL. NULL: the unhandled hook. (That a job was
     * cancelled is no failure.) */
    void (*on_failure)(int code, const weft_error *e, void *arg, void *user);
    void *user;
    unsigned max_failures; /* so many stop the queue, and fail the nursery with
                              the last of them, which then is no business of
                              the unhandled hook; 0: any number */
} weft_workqueue_opts;

struct weft_crew_;

/** The caller owns the memory, beyond the nursery's close. Zeroed it is a queue
 *  that has been stopped. Members in _ are private. */
typedef struct weft_workqueue {
    struct weft_crew_ *crew_; /* its workers and its jobs; NULL: it has ended */
    bool closed_, discards_, cancelled_;
    size_t first_, queued_;   /* in the crew's ring */
    size_t waiting_, running_;
    uint64_t done_, failed_, discarded_;
    weft_waitq_ idle_, adders_, joiners_, stoppers_;
    weft_workqueue_opts opts_;
} weft_workqueue;

/**
 * Opens *q, which is not open, and starts its workers in nursery *n. `o` may be
 * NULL. Any fiber of the thread may call this.
 *
 * Returns 0; -ENOMEM; -ESHUTDOWN: the nursery is closed; -EAGAIN: its limit
 * leaves no room for all the workers; -EPERM outside a fiber. Then none of them
 * works, and *q is as if stopped.
 */
#define weft_workqueue_open(...) /* (q, n, o) */                               \
    weft_workqueue_open_(__FILE__, __LINE__, __VA_ARGS__)
WEFT_MUST int weft_workqueue_open_(const char *file, int line,
                                   weft_workqueue *q, weft_nursery *n,
                                   const weft_workqueue_opts *o);

/**
 * Queues fn(arg), waiting for room; who waits is served in line. `drop` (may be
 * NULL) is called with `arg` once, when the job has been done or discarded, by
 * a worker or by who discards it. It must not park.
 *
 * Parks. Returns 0, and `arg` belongs to the queue; -ECANCELED; -ESHUTDOWN: it
 * has been stopped, or its nursery was cancelled (who waits then hears of that
 * from the first worker that is done with its job). Then `arg` is still the
 * caller's. (A job that waits for room in its own queue may wait for itself.)
 */
WEFT_PARKS int weft_workqueue_add(weft_workqueue *q, weft_fn fn, void *arg,
                                  void (*drop)(void *arg));

/** The same without waiting; -EAGAIN where it would. */
WEFT_MUST int weft_workqueue_tryadd(weft_workqueue *q, weft_fn fn, void *arg,
                                    void (*drop)(void *arg));

/**
 * Waits until everything that was added has been done or discarded.
 *
 * Parks. Returns 0; -ECANCELED; -EDEADLK: called by a job, or in a nursery that
 * one has opened.
 */
WEFT_PARKS int weft_workqueue_join(weft_workqueue *q);

typedef enum weft_stop_mode {
    WEFT_DRAIN,  /* do what is queued */
    WEFT_DISCARD /* only what has begun */
} weft_stop_mode;

/**
 * Takes no more jobs, and waits until the workers have ended. Jobs that are not
 * run are discarded. When the caller is cancelled, before or while it waits,
 * the rest is discarded and the jobs that have begun are cancelled too; their
 * end is waited for all the same. May be called again, with either mode.
 *
 * Parks, but is no cancel point. Returns how many jobs of this queue were not
 * run (INT_MAX at most); -EDEADLK as weft_workqueue_join.
 */
WEFT_PARKS int weft_workqueue_stop(weft_workqueue *q, weft_stop_mode mode);

/** Jobs that wait, that are running, that are done (however), those of them
 *  that have failed, and those that were not run. */
typedef struct weft_workqueue_stats {
    size_t waiting, running;
    uint64_t done, failed, discarded;
} weft_workqueue_stats;

/** May be asked after the end too. */
WEFT_API void weft_workqueue_stats_read(const weft_workqueue *q,
                                        weft_workqueue_stats *ret);

WEFT_END_DECLS

#endif
