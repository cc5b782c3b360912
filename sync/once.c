/* SPDX-License-Identifier: MIT */
/*
 * once.c - done by the first who needs it.
 *
 * Rule: somebody waits only while there is a runner. A runner that failed hands
 * that on to the oldest waiter, which is the runner from that moment, before it
 * has run: so a newcomer cannot pass it, and a cancel that comes later takes
 * nothing back. One that succeeded lets all go.
 */
#include <weft/once.h>

#include "sync/inside.h"

enum { UNDONE, RUNNING, DONE }; /* zeroed is undone */
enum { YOUR_TURN = 1 };         /* what a waiter is woken with, or 0: done */

static const weft_fiber *runner_of(const void *object)
{
    return ((const weft_once *)object)->runner_;
}

static const struct wf_wait_kind to_be_done = {
    .name = "once",
    .holder = runner_of,
    .abort = wf_leave_line,
    .line = offsetof(weft_once, waiters_)};

static void begin(weft_once *o, weft_fiber *f)
{
    o->state_ = RUNNING;
    o->runner_ = f;
    o->since_ = wf_child_of(f)->scope;
}

static void end(weft_once *o, int state)
{
    o->state_ = state;
    o->runner_ = NULL;
    o->since_ = NULL;
}

static void hand_on(weft_once *o)
{
    struct weft_waiter_ *w = wf_waitq_pop(&o->waiters_);
    if (!w) {
        end(o, UNDONE);
        return;
    }
    begin(o, w->fiber_);
    wf_wake(w->fiber_, YOUR_TURN);
}

static int run(weft_once *o, weft_fn fn, void *arg)
{
    int rc = fn(arg);
    WF_ASSERT(o->state_ == RUNNING && o->runner_ == wf_self());
    if (rc < 0) {
        hand_on(o);
        return rc;
    }
    end(o, DONE);
    wf_grant_all(&o->waiters_, 0);
    return 0;
}

__attribute__((noinline)) static int wait_for_runner(weft_once *o)
{
    if (wf_is_inside(wf_self(), o->runner_, o->since_))
        return wf_misuse(-EDEADLK, "weft_once_do: the function that is being "
                                   "run asks for its own end");
    return wf_waitq_park(&o->waiters_, &to_be_done, o);
}

int weft_once_do(weft_once *o, weft_fn fn, void *arg)
{
    int rc = weft_pass_();
    if (rc < 0) return rc;
    if (__builtin_expect(o->state_ == DONE, 1)) return 0;
    if (o->state_ == RUNNING) {
        rc = wait_for_runner(o);
        if (rc != YOUR_TURN) return rc;
    } else {
        begin(o, wf_self());
    }
    return run(o, fn, arg);
}

bool weft_once_done(const weft_once *o)
{
    return o->state_ == DONE;
}

int weft_once_reset(weft_once *o)
{
    if (o->state_ == RUNNING) return -EBUSY;
    o->state_ = UNDONE;
    return 0;
}
