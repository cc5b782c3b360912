/* SPDX-License-Identifier: MIT */
/*
 * waiting.h - between tasks and those who wait for them.
 *
 * The item_ of a waiter says where the outcome is to go, if not NULL.
 */
#ifndef WF_WAITING_H
#define WF_WAITING_H

#include <weft/task.h>

/* To whoever takes next, or to the end of the queue. */
void wf_doneq_put(weft_doneq *q, weft_task *t);

/* May the caller wait for it? 0, -EINVAL or -EDEADLK, for this call. */
int wf_task_check(const weft_task *t, const char *call);

#endif
