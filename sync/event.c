/* SPDX-License-Identifier: MIT */
/*
 * event.c - a flag to wait for.
 *
 * Rule: nobody waits while the flag is set. Setting it grants everyone who
 * waits there and then; a clear that follows takes nothing back.
 */
#include <weft/event.h>

#include "runtime/park.h"

static const struct wf_wait_kind to_be_set = {
    .name = "event",
    .abort = wf_leave_line,
    .line = offsetof(weft_event, waiters_)};

__attribute__((noinline)) static int wait_for(weft_event *e)
{
    if (!wf_waitq_is_here(&e->waiters_)) return wf_misplaced("weft_event_wait");
    return wf_waitq_park(&e->waiters_, &to_be_set, e);
}

__attribute__((noinline)) static int pass_and_wait(weft_event *e)
{
    int err = weft_pass_slow_();
    if (err < 0)
        return wf_refused(err, wf_waitq_is_here(&e->waiters_),
                          "weft_event_wait");
    return e->set_ ? 0 : wait_for(e);
}

int weft_event_wait(weft_event *e)
{
    if (!wf_passes()) return pass_and_wait(e);
    return e->set_ ? 0 : wait_for(e);
}

__attribute__((cold, noinline)) static void misplaced_set(void)
{
    (void)wf_misplaced("weft_event_set");
}

void weft_event_set(weft_event *e)
{
    const struct weft_waiter_ *first = e->waiters_.head_;
    if (first && !wf_waiter_is_here(first)) {
        misplaced_set();
        return;
    }
    e->set_ = true;
    if (first) wf_grant_all(&e->waiters_, 0);
}

void weft_event_clear(weft_event *e)
{
    e->set_ = false;
}

bool weft_event_is_set(const weft_event *e)
{
    return e->set_;
}
