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

int weft_event_wait(weft_event *e)
{
    int err = weft_pass_();
    if (err < 0) return err;
    if (e->set_) return 0;
    return wf_waitq_park(&e->waiters_, &to_be_set, e);
}

void weft_event_set(weft_event *e)
{
    e->set_ = true;
    wf_grant_all(&e->waiters_, 0);
}

void weft_event_clear(weft_event *e)
{
    e->set_ = false;
}

bool weft_event_is_set(const weft_event *e)
{
    return e->set_;
}
