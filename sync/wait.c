/* SPDX-License-Identifier: MIT */
/*
 * wait.c - waiting for several tasks: until some are done, or one by one in the
 * order of their ends.
 */
#include <weft/scope.h>
#include <weft/task.h>

#include "runtime/clock.h"
#include "runtime/os.h"
#include "sync/child.h"
#include "sync/waiting.h"

/* ---- some of a set ------------------------------------------------------ */

enum { A_FEW = 16 };

struct waiting;

/* In the queue of a task. */
struct place {
    struct wf_place in_line;
    struct waiting *of; /* NULL: it does not stand there, or no longer */
};

/* A fiber that waits for several tasks, with a place in the queue of each that
 * is not done. It leaves them when it runs again: those that end meanwhile are
 * counted too. A place is taken out by the end of its task, and then that task
 * is not looked at again, whose memory may be gone. */
struct waiting {
    weft_task *const *tasks;
    size_t n, done;
    weft_wait_mode mode;
    weft_time until;
    bool over, late; /* it has been woken; by the end of its time */
    weft_fiber *fiber;
    struct place *places;
};

static bool has_failed(const weft_task *t)
{
    return weft_task_done(t) && t->outcome_.status == WEFT_FAILED;
}

/* Is that enough, now that t has ended? */
static bool enough(const struct waiting *x, const weft_task *t)
{
    return x->done == x->n || x->mode == WEFT_FIRST_DONE ||
           (x->mode == WEFT_FIRST_ERROR && has_failed(t));
}

static void heard(struct wf_place *in_line, int result)
{
    struct place *p = (struct place *)(void *)in_line;
    struct waiting *x = p->of;
    p->of = NULL;
    x->done++;
    if (x->over || !enough(x, x->tasks[p - x->places])) return;
    x->over = true;
    wf_wake(x->fiber, result);
}

/* Of all that cancels it at one moment the end of its time counts, whatever came
 * first: it is something it waits for, like the end of a sleep. */
static bool abort_wait(weft_fiber *f)
{
    struct waiting *x = (struct waiting *)(uintptr_t)f->object;
    x->over = true;
    x->late = x->until <= wf_now;
    return true;
}

static const struct wf_wait_kind for_tasks = {.name = "tasks",
                                              .abort = abort_wait};

static void step_in(struct waiting *x)
{
    for (size_t i = 0; i < x->n; i++) {
        struct place *p = &x->places[i];
        *p = (struct place){.in_line = {wf_waiter_of(x->fiber), heard}};
        if (weft_task_done(x->tasks[i])) continue;
        p->of = x;
        wf_waitq_push(&x->tasks[i]->waiters_, &p->in_line.waiter);
    }
}

static void step_out(struct waiting *x)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->places[i].of)
            wf_waitq_remove(&x->tasks[i]->waiters_,
                            &x->places[i].in_line.waiter);
}

static int stand_in_line(struct waiting *x)
{
    struct place few[A_FEW];
    size_t bytes = x->n * sizeof *x->places;
    x->places = x->n <= A_FEW ? few : wf_alloc(bytes);
    if (!x->places)
        return weft_fail(-ENOMEM, "weft_wait: no memory for %zu places", x->n);
    step_in(x);
    int err = wf_park(&for_tasks, x);
    step_out(x);
    if (x->n > A_FEW) wf_free(x->places, bytes);
    return err;
}

/* Until its time is over, which ends it with 0. */
static int stand_in_line_for(struct waiting *x)
{
    if (x->until == WEFT_FOREVER) return stand_in_line(x);
    weft_scope limit;
    weft_scope_init(&limit);
    int err = weft_scope_begin_at(&limit, x->until, WEFT_MOVE_ON);
    if (err < 0) return err;
    err = weft_scope_end(&limit, stand_in_line(x));
    return x->late ? 0 : err;
}

static int check(const struct waiting *x)
{
    if (x->n > INT32_MAX)
        return wf_misuse(-EINVAL, "weft_wait: %zu tasks are too many", x->n);
    for (size_t i = 0; i < x->n; i++) {
        int err = wf_task_check(x->tasks[i], "weft_wait");
        if (err < 0) return err;
    }
    return 0;
}

static bool enough_already(const struct waiting *x)
{
    if (x->done == x->n) return true;
    if (x->mode == WEFT_FIRST_DONE) return x->done > 0;
    if (x->mode == WEFT_ALL) return false;
    for (size_t i = 0; i < x->n; i++)
        if (has_failed(x->tasks[i])) return true;
    return false;
}

int weft_wait(weft_task *const *t, size_t n, weft_wait_mode mode, weft_time ns)
{
    int err = weft_pass_();
    if (err < 0) return err;
    struct waiting x = {.tasks = t, .n = n, .mode = mode, .fiber = wf_self()};
    err = check(&x);
    if (err < 0) return err;
    for (size_t i = 0; i < n; i++)
        x.done += weft_task_done(t[i]);
    if (ns <= 0 || enough_already(&x)) return (int)x.done;
    x.until = wf_time_add(wf_now, ns);
    err = stand_in_line_for(&x);
    return err < 0 ? err : (int)x.done;
}

/* ---- one by one --------------------------------------------------------- */

/* Rule: somebody waits to take only while no task is there to be taken, and
 * some are still pending. */

void weft_doneq_init(weft_doneq *q)
{
    *q = (weft_doneq){0};
}

void wf_doneq_put(weft_doneq *q, weft_task *t)
{
    q->pending_--;
    struct weft_waiter_ *w = wf_waitq_pop(&q->takers_);
    if (w) {
        *(weft_task **)w->item_ = t;
        wf_wake(w->fiber_, 1);
    } else {
        *(q->first_ ? &q->last_->next_ : &q->first_) = t;
        q->last_ = t;
    }
    while (q->pending_ == 0 && (w = wf_waitq_pop(&q->takers_)) != NULL)
        wf_wake(w->fiber_, 0);
}

static const struct wf_wait_kind to_take = {.name = "next task done",
                                            .abort = wf_leave_line,
                                            .line =
                                                offsetof(weft_doneq, takers_)};

int weft_next_done(weft_doneq *q, weft_task **ret_task)
{
    int err = weft_pass_();
    if (err < 0) return err;
    weft_task *t = q->first_;
    if (t) {
        q->first_ = t->next_;
        *ret_task = t;
        return 1;
    }
    if (q->pending_ == 0) return 0;
    wf_self()->waiter.item_ = ret_task;
    return wf_waitq_park(&q->takers_, &to_take, q);
}
