/* SPDX-License-Identifier: MIT */
/*
 * weft/workers.h (sync) - one run on several cores.
 *
 *     weft_run_opts o = {.workers = WEFT_WORKER_PER_CORE};
 *     return weft_run(start, NULL, &o) < 0;
 *
 *     static const weft_spawn_opts anywhere = {.worker = WEFT_ANY_WORKER};
 *     WEFT_NURSERY(n, rc) {
 *         for (size_t i = 0; i < parts && rc == 0; i++)
 *             rc = weft_spawn_ex(&n, sum_of, &part[i], &anywhere);
 *     }
 *
 * A run has one worker or several: each is a thread with a scheduler, timers
 * and descriptors of its own. A fiber stays on the worker that it began on, and
 * between two waits it has that to itself; so fibers of one worker never race,
 * errno and thread-locals behave, and on one worker weft uses no atomic and no
 * lock. Fibers of two workers run at the same time: what both use has to be made
 * for that.
 *
 * Which worker is said at the spawn (weft/nursery.h): none, and the child runs
 * on its parent's; a number; or WEFT_ANY_WORKER, and it waits at home until home
 * has nothing better to do, or, when home comes past such a child again, another
 * worker has nothing at all to do and is given it.
 * Of those at home the latest runs first: so work that divides itself goes deep
 * before it goes wide, and what another worker takes is the oldest, which is the
 * largest part. They run in no promised order.
 *
 * A child on another worker is a child like any other: its nursery waits for it,
 * its failure cancels the rest, a cancellation and a deadline around it reach
 * it, weft_start, tasks, names and copied arguments work, and what its parent has
 * on the stack is good as long as it runs. All that goes by message, so it takes
 * microseconds, and a child that computes hears of a cancellation when its worker
 * next takes its messages; weft_deadline there is that of its spawn. Of its
 * parent's locals it sees those that threads may share (weft/local.h), also if
 * it stays at home. If the other worker has no memory for a fiber the child runs
 * at home, since it has to run.
 *
 * Everything else belongs to the worker it was made on: scopes, nurseries,
 * locks, channels, descriptors. What crosses is
 *
 *     a channel made with WEFT_CHAN_MT      weft/chan.h
 *     a token                               weft/token.h
 *     weft_post, weft_shutdown              weft/post.h, weft/run.h
 *     a descriptor: weft_fd_release on one, weft_fd_adopt on another
 *
 * Signals are for main's thread: those of the other workers hold all back but the
 * ones that say that a thread itself is at fault.
 *
 * When each fiber of each worker waits for another one, that is a deadlock
 * (weft_run_opts.on_deadlock), and each worker says what its fibers wait for.
 *
 * After: Acar, Chargueraud and Rainey, Scheduling Parallel Programs by Work
 * Stealing with Private Deques, PPoPP 2013.
 */
#ifndef WEFT_WORKERS_H
#define WEFT_WORKERS_H

#include <weft/base.h>
#include <weft/post.h>
#include <weft/stats.h>

WEFT_BEGIN_DECLS

/** How many workers this run has; 0 outside of a run. */
WEFT_API unsigned weft_workers(void);

/** The number of this one: from 1, which is main's; 0 outside of a run. */
WEFT_API unsigned weft_worker(void);

/** A handle to a worker of this run (weft/post.h), with one reference. NULL:
 *  there is none with this number, or this is outside of a run. */
WEFT_API weft_remote *weft_worker_remote(unsigned worker);

/**
 * Asks each worker for its counters (weft/stats.h): those of worker k go to
 * ret_stats[k - 1], if k <= n. weft_stats_add sums them. They are of slightly
 * different moments; a worker that computes answers when it is done.
 *
 * Parks. Returns how many workers there are; -ECANCELED, -ENOMEM, -EPERM: then
 * *ret_stats is as it was.
 */
WEFT_PARKS int weft_workers_stats(weft_stats *ret_stats, size_t n);

WEFT_END_DECLS

#endif
