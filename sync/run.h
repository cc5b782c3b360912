/* SPDX-License-Identifier: MIT */
/*
 * run.h - a run, or a worker's part of one, for the layer above that starts them
 * and for those that keep something for each.
 */
#ifndef WF_RUN_H
#define WF_RUN_H

#include <weft/nursery.h>
#include <weft/run.h>

struct wf_group;
struct wf_inbox;

/* Who has to know when the run of this thread is over. */
struct wf_run_guest {
    struct wf_run_guest *next;
    void (*leave)(struct wf_run_guest *g); /* no fiber is left */
};

/* Once a run. The last to come is the first to leave. */
void wf_run_enter(struct wf_run_guest *g);

/* May one begin on this thread? 0, -EPERM, -EBUSY, with a sentence. */
int wf_run_check(void);

/* A run of one worker (`g` is NULL): weft_run without its options for several.
 * Of several: the first worker, which waits until the others have come, and
 * runs main. */
int wf_run_first(weft_fn fn, void *arg, const weft_run_opts *o,
                 struct wf_group *g);

/* One of the others, on a thread of its own, until the first is over. 0 if it
 * came. */
int wf_run_other(const weft_run_opts *o, struct wf_group *g, unsigned seat);

/* The nursery of all there is on this thread. */
weft_nursery *wf_run_root(void);

/* weft_shutdown for the run that has this inbox. As weft_post. */
int wf_shut_down_from_elsewhere(struct wf_inbox *b, int code);

/* Every fiber waits for another one: says so, with a headline, and what each
 * waits for; and cancels main, or the background work. False: neither could
 * help. */
void wf_run_report_deadlock(bool headline);
bool wf_run_resolve_deadlock(void);

#endif
