/* SPDX-License-Identifier: MIT */
/* settle.c - waiting until all is quiet. */
#include "runtime/sched.h"

static bool abort_settle(weft_fiber *f)
{
    wf_waitq_remove(&wf_sched->settlers, &f->waiter);
    return true;
}

static const struct wf_wait_kind to_settle = {.name = "settle",
                                              .abort = abort_settle};

int wf_settle(void)
{
    return wf_waitq_park(&wf_sched->settlers, &to_settle, wf_sched);
}

void wf_settlers_wake(struct wf_sched *w)
{
    wf_grant_all(&w->settlers, 0);
}
