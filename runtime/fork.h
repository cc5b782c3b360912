/* SPDX-License-Identifier: MIT */
/*
 * fork.h - the child of a fork is another process, and has no runs.
 */
#ifndef WF_FORK_H
#define WF_FORK_H

#include <stdbool.h>

/* How many forks lie between the program's start and this process; those are
 * counted that happen once there has been a run. */
extern unsigned wf_generation;

/* Has each child of a fork call fn, on the thread that forked. 0 or -ENOMEM. */
int wf_fork_watch(void (*fn)(void));

#endif
