/* SPDX-License-Identifier: MIT */
/*
 * fork.h - the child of a fork is another process, and has no runs.
 */
#ifndef WF_FORK_H
#define WF_FORK_H

#include <stdbool.h>

/* How many forks lie between the program's start and this process; those are
 * counted that happen once somebody has asked for it. */
extern unsigned wf_generation;

/* From here on forks are counted. 0 or -ENOMEM. From any thread. */
int wf_fork_count(void);

/* The same, and each child calls fn, on the thread that forked. */
int wf_fork_watch(void (*fn)(void));

#endif
