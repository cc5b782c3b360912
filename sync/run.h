/* SPDX-License-Identifier: MIT */
/*
 * run.h - for the layers above that keep something for each run.
 */
#ifndef WF_RUN_H
#define WF_RUN_H

/* Who has to know when the run of this thread is over. */
struct wf_run_guest {
    struct wf_run_guest *next;
    void (*leave)(struct wf_run_guest *g); /* no fiber is left */
};

/* Once a run. The last to come is the first to leave. */
void wf_run_enter(struct wf_run_guest *g);

#endif
