/* SPDX-License-Identifier: MIT */
/*
 * many.h - n numbered calls, each in a fiber of its own, joined.
 *
 * What gather, race, map and batch share. Nothing is allocated for a call but
 * its fiber: its argument is its number, and it finds the rest by way of the
 * nursery that it was spawned in.
 */
#ifndef WF_MANY_H
#define WF_MANY_H

#include <weft/gather.h>

#include "sync/nursery.h"

struct wf_many {
    weft_nursery nursery; /* stays first */
    const char *name;     /* of the fibers */
    weft_gather_opts opts;
    size_t n;
    /* Makes call i, in its fiber. */
    int (*call)(struct wf_many *m, size_t i);
    /* Told once of each call that was made, in its fiber, as soon as it has
     * returned; and of each for which there was no memory. */
    void (*note)(struct wf_many *m, size_t i, int rc, weft_status status);
    bool stopped; /* a call was cancelled, or not made because of that */
};

/* The cancel point at the entry, and a look at the options. */
int wf_many_enter(const char *name, const weft_gather_opts *o);

/* Starts all and waits for all. By policy: the earliest failure, or -ECANCELED
 * when stopped from outside, or 0; collecting, without the failure. */
int wf_many_run(struct wf_many *m);

#endif
