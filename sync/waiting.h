/* SPDX-License-Identifier: MIT */
/*
 * waiting.h - what tasks tell those who wait for several of them.
 *
 * In the queue of a task stand nodes of two sorts: fibers that join it (n_ is 0,
 * item_ says where the outcome is to go), and places of fibers that wait for
 * several (n_ is 1, item_ is their struct waiting).
 */
#ifndef WF_WAITING_H
#define WF_WAITING_H

#include <weft/task.h>

/* One of several has ended, and the node is out of its queue. */
void wf_waiting_heard(struct weft_waiter_ *w, const weft_task *t);

/* To whoever takes next, or to the end of the queue. */
void wf_doneq_put(weft_doneq *q, weft_task *t);

/* May the caller wait for it? 0, -EINVAL or -EDEADLK, for this call. */
int wf_task_check(const weft_task *t, const char *call);

#endif
