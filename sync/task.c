/* SPDX-License-Identifier: MIT */
/*
 * task.c - a child's outcome, kept for those who ask.
 *
 * A task hangs on its fiber while that lives. At the end the outcome goes into
 * the task, and to everyone who waits, before any of them runs: so a waiter
 * does not look at the task again, whose memory may be gone by then.
 */
#include <weft/task.h>

#include "sync/nursery.h"
#include "sync/waiting.h"

enum { NEVER_SPAWNED, ALIVE, DONE };

bool weft_task_done(const weft_task *t)
{
    return t->state_ == DONE;
}

void *weft_task_user(const weft_task *t)
{
    return t->user_;
}

uint64_t weft_task_id(const weft_task *t)
{
    return t->id_;
}

/* Of an ended one nothing but its memory is looked at; and of one that has not
 * run yet the nursery, which says it of all but the runtime's own. */
static bool is_here(const weft_task *t)
{
    const weft_fiber *f = t->fiber_;
    if (t->state_ != ALIVE) return true;
    return f->unborn ? wf_nursery_is_here(f->nursery) : wf_fiber_is_here(f);
}

void weft_task_cancel(weft_task *t, int code, const char *why)
{
    if (t->state_ != ALIVE) return;
    if (!is_here(t)) {
        (void)wf_misplaced("weft_task_cancel");
        return;
    }
    weft_fiber *f = wf_self();
    wf_child_cancel(wf_child_of(t->fiber_), &t->reason_,
                    (weft_reason){.kind = WEFT_R_EXPLICIT,
                                  .code = code,
                                  .by = f ? f->id : 0,
                                  .why = why});
}

/* ---- its life ----------------------------------------------------------- */

void wf_task_begin(weft_task *t, weft_fiber *f, const weft_spawn_opts *o)
{
    t->fiber_ = f;
    t->waiters_ = (weft_waitq_){NULL, NULL};
    t->doneq_ = o->doneq;
    t->next_ = NULL;
    t->user_ = o->user;
    t->id_ = f->id;
    t->state_ = ALIVE;
    t->reason_.kind = WEFT_R_NONE;
    wf_attach(f, &t->attached_, WF_A_TASK);
    if (t->doneq_) t->doneq_->pending_++;
}

/* A copy of the record that lasts as long as the task. */
static void keep_error(weft_task *t, const struct wf_ending *e)
{
    if (e->error)
        t->error_ = *e->error;
    else /* there was no memory for one */
        t->error_ = (weft_error){.code = e->outcome.rc, .fiber = t->id_};
    t->error_.next = t->error_.inner = NULL;
    t->error_.dropped = 0;
    t->outcome_.err = &t->error_;
}

void wf_task_end(weft_task *t, const struct wf_ending *e)
{
    t->outcome_ = e->outcome;
    if (e->outcome.status == WEFT_FAILED) keep_error(t, e);
    t->state_ = DONE;
    t->fiber_ = NULL;
    struct weft_waiter_ *w;
    while ((w = wf_waitq_pop(&t->waiters_)) != NULL) {
        if (w->item_) *(weft_outcome *)w->item_ = t->outcome_;
        wf_grant(w, 0);
    }
    if (t->doneq_) wf_doneq_put(t->doneq_, t);
}

/* ---- joining ------------------------------------------------------------ */

bool wf_waits_for_itself(const weft_fiber *f, const weft_fiber *whom)
{
    while (f && f != whom)
        f = f->nursery->scope_.owner_;
    return f != NULL;
}

int wf_task_check(const weft_task *t, const char *call)
{
    if (t->state_ == DONE) return 0;
    if (t->state_ != ALIVE)
        return wf_misuse(-EINVAL, "%s: the task was never spawned", call);
    if (!is_here(t)) return wf_misplaced(call);
    if (wf_waits_for_itself(wf_self(), t->fiber_))
        return wf_misuse(-EDEADLK,
                         "%s: the task is the caller or an ancestor of it, and "
                         "cannot end before it",
                         call);
    return 0;
}

static const weft_fiber *fiber_of(const void *object)
{
    return ((const weft_task *)object)->fiber_;
}

static int64_t number_of(const void *object)
{
    return (int64_t)((const weft_task *)object)->id_;
}

static const struct wf_wait_kind joining = {.name = "join of fiber",
                                            .number = number_of,
                                            .holder = fiber_of,
                                            .abort = wf_leave_line,
                                            .line =
                                                offsetof(weft_task, waiters_)};

int weft_join(weft_task *t, weft_outcome *ret_outcome)
{
    int err = weft_pass_();
    if (err < 0) return err;
    err = wf_task_check(t, "weft_join");
    if (err < 0) return err;
    if (t->state_ == DONE) {
        if (ret_outcome) *ret_outcome = t->outcome_;
        return 0;
    }
    struct weft_waiter_ *w = &wf_self()->waiter;
    w->item_ = ret_outcome;
    return wf_waitq_park(&t->waiters_, &joining, t);
}
