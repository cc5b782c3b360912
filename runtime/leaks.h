/* SPDX-License-Identifier: MIT */
/*
 * leaks.h - what a thread's schedulers have left behind.
 */
#ifndef WF_LEAKS_H
#define WF_LEAKS_H

#include <stdint.h>

struct wf_leaks {
    unsigned long fibers; /* not ended when their scheduler was taken down */
    unsigned long descriptors; /* still adopted then */
    unsigned long timers;      /* still armed then */
    unsigned long deadlocks;   /* reported: nothing left, but nothing right */
    int64_t bytes;             /* allocated or mapped, and not given back */
};

/* Counts of this thread, so far, and what all threads share. */
void wf_leaks_read(struct wf_leaks *ret);

/* For the modules that own such things. */
extern __thread struct wf_leaks wf_leaks_here;

#endif
