/* SPDX-License-Identifier: MIT */
/*
 * process.h - what the files about child processes share.
 *
 * What is known of a child is counted: by its weft_process until close, and by
 * each fiber that waits. It is only looked at (WNOWAIT) and not reaped before
 * close, so until then its number, which its group has too, can be signalled.
 */
#ifndef WF_PROCESS_H
#define WF_PROCESS_H

#include <weft/process.h>

#include <limits.h>

#include "runtime/park.h"

struct weft_child_process_ {
    unsigned refs;
    const void *home; /* what its thread alone has at this address */
    pid_t pid;
    int pidfd; /* or negative: it is looked for from time to time */
    int ended; /* how, or WF_CHILD_RUNS */
    bool own_group, watched;
    weft_time grace, pause;
    weft_waitq_ waiters;
};

enum { WF_CHILD_RUNS = INT_MIN }; /* has not been seen to have ended */

/* Ends those of its group whom the leader, who has ended, has left behind. */
void wf_child_kill_group(const struct weft_child_process_ *c);

#endif
