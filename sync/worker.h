/* SPDX-License-Identifier: MIT */
/*
 * worker.h - the life of one worker of several.
 *
 * The first runs main. Another is kept by a fiber of its own, and runs what is
 * sent to it. When main has ended all shut their background work down at the
 * same time, and each goes on until the others have done so, since the
 * background of one may have children on another.
 */
#ifndef WF_WORKER_H
#define WF_WORKER_H

#include <weft/base.h>

#include "runtime/remote.h"

struct wf_group;

/* The fiber of each worker but the first. */
void wf_worker_keep(weft_time drain, weft_time grace);

/* The first, when main has ended: shuts all background work down. */
void wf_worker_end(weft_time drain, weft_time grace);

/* The first, with no fiber left: the others need not wait any more. */
void wf_workers_stop(void);

/* The first, which will not run main: the others that have come go. */
void wf_workers_dismiss(struct wf_group *g);

/* wf_group.deadlock: goes round all workers, twice. Each says what its fibers
 * wait for; then one after the other cancels what it can, until one could. */
void wf_worker_deadlocked(struct wf_message *m);

/* Has each other worker write its fibers to a copy of fd, soon. */
void wf_workers_dump(int fd);

#endif
