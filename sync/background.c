/* SPDX-License-Identifier: MIT */
/*
 * background.c - the nursery that belongs to the run.
 *
 * It hangs beside main, under the nursery of both, so that what cancels main
 * does not reach it. No fiber has opened it and none closes it: its body counts
 * as over when it is shut down, and those who wait then are woken by the end of
 * its last child.
 */
#include "sync/background.h"

#include <stdio.h>

#include <weft/background.h>

#include "runtime/clock.h"
#include "runtime/os.h"
#include "sync/nursery.h"

static __thread struct {
    weft_nursery nursery;
    weft_waitq_ waiting; /* for it to be idle, once it is shut down */
} set;

void wf_background_open(weft_nursery *root)
{
    set.nursery = (weft_nursery){
        .scope_ = {.flags_ = WF_S_NURSERY | WF_S_BEGUN,
                   .deadline_ = WEFT_FOREVER},
        .state_ = WF_N_OPEN | WF_N_RUNTIME,
        .opts_ = {.name = "background", .policy = WEFT_SUPERVISE}};
    set.nursery.errors_end_ = &set.nursery.errors_;
    set.waiting = (weft_waitq_){NULL, NULL};
    wf_scope_link(&set.nursery.scope_, &root->scope_);
}

int weft_background_(const char *file, int line, weft_fn fn, void *arg,
                     const weft_spawn_opts *o)
{
    wf_spawn_begin(o);
    if (!wf_sched_is_open())
        return wf_misuse(-EPERM, "weft_background outside a run");
    return weft_spawn_ex_(file, line, &set.nursery, fn, arg, o);
}

size_t weft_background_count(void)
{
    return set.nursery.live_;
}

/* ---- shutting down ------------------------------------------------------ */

void wf_background_is_idle(void)
{
    wf_grant_all(&set.waiting, 0);
}

static bool abort_wait(weft_fiber *f)
{
    wf_waitq_remove(&set.waiting, &f->waiter);
    return true;
}

static const struct wf_wait_kind to_be_idle = {.name = "background to end",
                                               .abort = abort_wait};
static const struct wf_wait_kind to_be_idle_nc = {.name = "background to end"};

/* At most so long, which ends it with 0. */
static int wait_until_idle(weft_time ns)
{
    weft_scope limit;
    if (set.nursery.live_ == 0 || ns <= 0) return 0;
    weft_scope_init(&limit);
    int err = weft_scope_begin_at(&limit, wf_time_add(wf_clock_read(), ns),
                                  WEFT_MOVE_ON);
    if (err < 0) return err;
    /* One that was cancelled since it was last looked at must not park. */
    err = weft_pass_();
    if (err == 0 && set.nursery.live_ > 0)
        err = wf_waitq_park(&set.waiting, &to_be_idle, &set.nursery);
    return weft_scope_end(&limit, err);
}

static void name_one(weft_fiber *f, void *arg)
{
    char text[256];
    (void)arg;
    if (f->nursery != &set.nursery) return;
    int n = snprintf(text, sizeof text,
                     "  fiber %llu \"%.64s\" %s%s (spawned %.96s:%d)\n",
                     (unsigned long long)f->id, f->name ? f->name : "",
                     f->state == WF_PARKED ? "waits in " : "is ready",
                     f->state == WF_PARKED ? f->kind->name : "",
                     f->file ? f->file : "?", f->line);
    wf_os_say(2, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
}

static void name_the_rest(void)
{
    char text[128];
    int n = snprintf(text, sizeof text,
                     "weft: background fibers that have not ended in their "
                     "grace: %u\n",
                     set.nursery.live_);
    wf_os_say(2, text, (size_t)n);
    wf_fiber_each(name_one, NULL);
}

static bool is_one_of_them(const weft_fiber *f)
{
    while (f && f->nursery != &set.nursery)
        f = f->nursery->scope_.owner_;
    return f != NULL;
}

bool wf_background_cancel(weft_reason_kind kind, int code, const char *why)
{
    weft_nursery *n = &set.nursery;
    if (n->live_ == 0 || n->scope_.flags_ & WF_S_CANCELLED) return false;
    weft_fiber *f = wf_self();
    wf_scope_cancel(&n->scope_, kind, code, f ? f->id : 0, why);
    return true;
}

static int shut_down(weft_time drain, weft_time grace)
{
    weft_nursery *n = &set.nursery;
    n->state_ |= WF_N_BODY_OVER | WF_N_CLOSED;
    wf_nursery_daemons_left(n);
    int err = wait_until_idle(drain);
    if (err < 0) return err;
    if (n->live_ > 0) {
        (void)wf_background_cancel(WEFT_R_SHUTDOWN, 0,
                                   "the background set is shut down");
        err = wait_until_idle(grace);
        if (err < 0) return err;
    }
    if (n->live_ > 0) name_the_rest();
    return (int)n->live_;
}

int weft_background_shutdown(weft_time drain, weft_time grace)
{
    int err = weft_pass_();
    if (err < 0) return err;
    if (is_one_of_them(wf_self()))
        return wf_misuse(-EDEADLK, "weft_background_shutdown: called by "
                                   "background work, which cannot outlast it");
    return shut_down(drain, grace);
}

void wf_background_close(weft_time drain, weft_time grace)
{
    while (shut_down(drain, grace) != 0 && set.nursery.live_ > 0)
        (void)wf_waitq_park(&set.waiting, &to_be_idle_nc, &set.nursery);
    wf_scope_unlink(&set.nursery.scope_);
}
