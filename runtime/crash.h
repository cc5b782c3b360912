/* SPDX-License-Identifier: MIT */
/*
 * crash.h (seam, upward) - naming the fiber that overflowed its stack.
 */
#ifndef WF_CRASH_H
#define WF_CRASH_H

/* Gives this thread an alternate stack and the process, if it is the first
 * run in it, the handlers for SIGSEGV and SIGBUS. 0 or -ENOMEM. */
int wf_crash_open(void);

/* Takes them out again. */
void wf_crash_close(void);

#endif
