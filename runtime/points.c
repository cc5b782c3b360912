/* SPDX-License-Identifier: MIT */
/*
 * points.c - somebody who is told of every cancel point and every sleep.
 *
 * Without a watcher none of this costs a fiber anything. With one, fibers run
 * without credit, so that each cancel point is a slow one (sched.c); and the
 * ring's `stop` is held where its head is, so that whoever leaves finds no
 * next fiber at first and comes here for it. `left` is then how far the true
 * stop is away.
 */
#include "runtime/sched.h"

__thread struct wf_points wf_points;

void wf_points_watch(wf_point_fn *fn, void *arg)
{
    struct wf_sched *w = wf_sched;
    bool before = wf_points.fn != NULL;
    wf_points = (struct wf_points){fn, arg};
    if (!w || before == (fn != NULL)) return;
    w->credit = fn ? 0 : WF_CREDIT;
    w->quiet = false;
    uint32_t left = w->left;
    w->left = fn ? w->stop - w->head : 0;
    w->stop = fn ? w->head : w->head + left;
    weft_fiber *f = weft_here_.fiber_;
    if (f) weft_here_.credit_ = f->cancelled ? 0 : w->credit;
}

/* The running fiber, on its way out, is parked; or ready, as it yields; or has
 * ended. Or it is the thread's own stack that asks. */
static void tell(struct wf_sched *w)
{
    weft_fiber *f = weft_here_.fiber_;
    bool quiet = w->quiet;
    w->quiet = false;
    if (!f) return;
    if (f->state == WF_PARKED && f->kind->abort)
        wf_points.fn(f, true, wf_points.arg);
    else if (f->state == WF_YIELDED && !quiet)
        wf_points.fn(f, false, wf_points.arg);
}

weft_fiber *wf_points_take(struct wf_sched *w)
{
    if (!wf_points.fn) return NULL;
    tell(w);
    if (w->head == w->tail || w->head == w->stop + w->left) return NULL;
    if (w->left > 0) {
        w->left--;
        w->stop++;
    }
    return w->ring[w->head++ & w->mask];
}
