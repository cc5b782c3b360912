/* SPDX-License-Identifier: MIT */
/*
 * workqueue.c - jobs in a ring, and workers who take them.
 *
 * Rules that hold whenever a fiber is parked:
 *  - a worker is idle only while the ring is empty and the queue open, and it
 *    is a daemon of its nursery from then until it is handed a job;
 *  - somebody waits to add only while the ring is full and the queue open;
 *  - somebody waits to join only while a job waits or runs;
 *  - the workers that have begun are listed, and when the last one ends the
 *    queue is closed and no job waits.
 *
 * A job goes straight to an idle worker, who from that moment keeps the nursery
 * open. So while a job waits every worker does, and the nursery's end cannot
 * come between an add and the job: nobody is cancelled for being left alone.
 *
 * A worker that finds itself cancelled stops the whole queue, for what cancels
 * one, its nursery or a stop that was cancelled, means all of them. That is
 * left to the workers, since discarding calls functions of the user, which a
 * cancellation must not.
 *
 * Jobs and list are in a block of the heap that the last worker frees: workers
 * that were started by an open that failed in the end know nothing else.
 */
#include <weft/workqueue.h>

#include <limits.h>

#include <weft/fiber.h>
#include <weft/scope.h>

#include "runtime/os.h"
#include "sync/nursery.h"

struct job {
    weft_fn fn;
    void *arg;
    void (*drop)(void *arg);
};

/* A worker, on its own stack. */
struct worker {
    struct worker *next, *prev;
    weft_fiber *fiber;
    weft_scope scope;          /* around all it does, for a stop to cancel */
    struct job job;            /* what it was handed */
    struct wf_binding *locals; /* what each job starts with */
    int rc; /* what it ends with: the failure that was one too many, -ECANCELED
               if it has not done all that it would have, or 0 */
    weft_error *failure; /* the record of that, or NULL */
};

struct weft_crew_ {
    weft_workqueue *queue; /* NULL: it was never opened */
    weft_nursery *nursery;
    unsigned hands; /* workers that have not ended */
    struct worker *workers;
    size_t room, bytes;
    struct job ring[];
};

/* ---- jobs --------------------------------------------------------------- */

static bool rule_holds(const weft_workqueue *q)
{
    return (!q->idle_.head_ || (q->queued_ == 0 && !q->closed_)) &&
           (!q->adders_.head_ ||
            (q->queued_ == q->crew_->room && !q->closed_)) &&
           (!q->joiners_.head_ || q->waiting_ + q->running_ > 0);
}

static void ring_in(weft_workqueue *q, const struct job *job)
{
    struct weft_crew_ *crew = q->crew_;
    size_t at = q->first_ + q->queued_++;
    crew->ring[at < crew->room ? at : at - crew->room] = *job;
}

static struct job ring_out(weft_workqueue *q)
{
    struct job job = q->crew_->ring[q->first_++];
    if (q->first_ == q->crew_->room) q->first_ = 0;
    q->queued_--;
    return job;
}

/* One fewer waits or runs. */
static void settled(weft_workqueue *q)
{
    if (q->waiting_ + q->running_ == 0) wf_grant_all(&q->joiners_, 0);
}

static void discard(weft_workqueue *q, const struct job *job)
{
    if (job->drop) job->drop(job->arg);
    q->waiting_--;
    q->discarded_++;
    settled(q);
}

static void discard_queued(weft_workqueue *q)
{
    while (q->queued_ > 0) {
        struct job job = ring_out(q);
        discard(q, &job);
    }
}

static void take_no_more(weft_workqueue *q)
{
    q->closed_ = true;
    wf_grant_all(&q->adders_, -ESHUTDOWN);
    wf_grant_all(&q->idle_, 0);
}

/* ---- a worker: for the next job ----------------------------------------- */

static void set_daemon(weft_fiber *f, bool on)
{
    if (on) {
        f->marks |= WF_C_DAEMON;
        f->nursery->daemons_++;
    } else {
        f->marks &= (uint8_t)~WF_C_DAEMON;
        f->nursery->daemons_--;
    }
}

static const struct wf_wait_kind to_be_given_a_job = {
    .name = "job of queue",
    .abort = wf_leave_line,
    .line = offsetof(weft_workqueue, idle_)};

/* Parks as a daemon, unless that is what ends the nursery. It is one until it
 * is handed a job, or it ends. */
static int be_idle(weft_workqueue *q, struct worker *w)
{
    weft_nursery *n = q->crew_->nursery;
    set_daemon(w->fiber, true);
    if (n->state_ & WF_N_BODY_OVER) wf_nursery_daemons_left(n);
    if (w->fiber->cancelled) return -ECANCELED;
    w->fiber->waiter.item_ = &w->job;
    return wf_waitq_park(&q->idle_, &to_be_given_a_job, q);
}

/* 1; 0 at the end; -ECANCELED. */
static int next_job(weft_workqueue *q, struct worker *w)
{
    int err = weft_pass_();
    if (err < 0) return err;
    WF_ASSERT(rule_holds(q));
    if (q->queued_ == 0) return q->closed_ ? 0 : be_idle(q, w);
    w->job = ring_out(q);
    struct weft_waiter_ *adder = wf_waitq_pop(&q->adders_);
    if (!adder) return 1;
    ring_in(q, adder->item_);
    q->waiting_++;
    wf_wake(adder->fiber_, 0);
    return 1;
}

/* ---- a worker: doing it ------------------------------------------------- */

/* As at the end of a fiber, save that it has a name again. */
static void clear_up_after(const weft_workqueue *q, const struct worker *w)
{
    struct wf_child *c = wf_child_of(w->fiber);
    wf_check_innermost(&w->scope);
    wf_timed_check_ended(c);
    w->fiber->name = q->opts_.name;
    for (;;) { /* what is called here may defer and bind in its turn */
        while (*wf_attached(w->fiber, WF_A_DEFERRED))
            wf_deferred_run(c);
        if (c->locals == w->locals && !*wf_attached(w->fiber, WF_A_PRIVATE))
            break;
        wf_locals_drop(c);
        if (w->locals && !c->locals) c->locals = wf_locals_inherit(w->locals);
    }
    wf_let_go(c);
    wf_error_give(w->fiber, NULL);
}

/* The record of the job's failure, or of its code. NULL: no memory. */
static weft_error *take_record(weft_fiber *f, int code)
{
    weft_error *e = wf_error_take(f);
    if (e && e->code == code) return e;
    wf_error_free(e);
    return wf_error_new(f, code);
}

/* Whether this failure is one too many; then nothing more is begun, though the
 * job has yet to be cleared up after. */
static bool count_failure(weft_workqueue *q)
{
    if (++q->failed_ != q->opts_.max_failures) return false;
    q->discards_ = true;
    take_no_more(q);
    return true;
}

static void tell(const weft_workqueue *q, const struct worker *w, int code,
                 const weft_error *e, bool last)
{
    const weft_error bare = {.code = code, .fiber = w->fiber->id};
    if (!e) e = &bare;
    if (q->opts_.on_failure)
        q->opts_.on_failure(code, e, w->job.arg, q->opts_.user);
    else if (!last)
        wf_error_unhandled(e);
}

static void run(weft_workqueue *q, struct worker *w)
{
    q->waiting_--;
    q->running_++;
    int rc = w->job.fn(w->job.arg);

    bool stopped = rc == -ECANCELED && w->fiber->cancelled;
    bool failed = rc < 0 && !stopped, last = failed && count_failure(q);
    weft_error *e = failed ? take_record(w->fiber, rc) : NULL;
    clear_up_after(q, w);
    if (stopped || last) w->rc = rc;
    if (failed) tell(q, w, rc, e, last);
    if (w->job.drop) w->job.drop(w->job.arg);
    clear_up_after(q, w);
    if (last)
        w->failure = e;
    else
        wf_error_free(e);
    q->running_--;
    q->done_++;
    settled(q);
}

/* ---- a worker's life ---------------------------------------------------- */

static void enlist(struct weft_crew_ *crew, struct worker *w)
{
    w->next = crew->workers;
    if (w->next) w->next->prev = w;
    crew->workers = w;
}

static void strike_off(struct weft_crew_ *crew, const struct worker *w)
{
    *(w->prev ? &w->prev->next : &crew->workers) = w->next;
    if (w->next) w->next->prev = w->prev;
}

static void give_up(struct worker *w)
{
    if (w->rc == 0) w->rc = -ECANCELED;
}

static void do_jobs(weft_workqueue *q, struct worker *w)
{
    int got;
    while ((got = next_job(q, w)) == 1) {
        if (!q->discards_ && !w->fiber->cancelled) {
            run(q, w);
            continue;
        }
        if (w->fiber->cancelled) give_up(w);
        discard(q, &w->job);
    }
    if (got == 0) return;
    if (q->queued_ > 0) give_up(w);
    take_no_more(q);
    discard_queued(q);
}

static int work_for(weft_workqueue *q)
{
    struct wf_child *c = wf_child_self();
    struct worker w = {.fiber = &c->fiber, .locals = c->locals};
    if (w.locals) (void)wf_locals_inherit(w.locals);
    weft_scope_init(&w.scope);
    int err = weft_scope_begin(&w.scope);
    WF_ASSERT(err == 0); /* it is new, and we are in a fiber */
    enlist(q->crew_, &w);
    if (q->cancelled_) weft_scope_cancel(&w.scope, 0, NULL);

    do_jobs(q, &w);
    clear_up_after(q, &w);
    wf_error_give(w.fiber, w.failure);

    strike_off(q->crew_, &w);
    wf_locals_drop(c);
    c->locals = w.locals;
    return weft_scope_end(&w.scope, w.rc);
}

static int not_run(const weft_workqueue *q)
{
    return q->discarded_ < INT_MAX ? (int)q->discarded_ : INT_MAX;
}

static void fire(struct weft_crew_ *crew)
{
    if (--crew->hands > 0) return;
    weft_workqueue *q = crew->queue;
    wf_free(crew, crew->bytes);
    if (!q) return;
    q->crew_ = NULL;
    /* Whoever it is may take the memory of the queue away when he runs. */
    wf_grant_all(&q->stoppers_, not_run(q));
}

static int work(void *arg)
{
    struct weft_crew_ *crew = arg;
    int rc = crew->queue ? work_for(crew->queue) : 0;
    fire(crew);
    return rc;
}

/* ---- opening ------------------------------------------------------------ */

static struct weft_crew_ *new_crew(const weft_workqueue_opts *o)
{
    size_t bytes;
    if (__builtin_mul_overflow(o->capacity, sizeof(struct job), &bytes) ||
        __builtin_add_overflow(bytes, sizeof(struct weft_crew_), &bytes))
        return NULL;
    struct weft_crew_ *crew = wf_alloc(bytes);
    if (crew) *crew = (struct weft_crew_){.room = o->capacity, .bytes = bytes};
    return crew;
}

static int hire(struct weft_crew_ *crew, const weft_workqueue_opts *o,
                const char *file, int line)
{
    const weft_spawn_opts so = {.name = o->name, .stack_size = o->stack_size};
    for (unsigned i = 0; i < o->workers; i++) {
        int err = weft_spawn_ex_(file, line, crew->nursery, work, crew, &so);
        if (err < 0) return err;
        crew->hands++;
    }
    return 0;
}

int weft_workqueue_open_(const char *file, int line, weft_workqueue *q,
                         weft_nursery *n, const weft_workqueue_opts *o)
{
    *q = (weft_workqueue){.closed_ = true};
    if (o) q->opts_ = *o;
    if (!q->opts_.name) q->opts_.name = "worker";
    if (q->opts_.workers == 0) q->opts_.workers = 1;
    if (q->opts_.capacity == 0) q->opts_.capacity = 64;

    struct weft_crew_ *crew = new_crew(&q->opts_);
    if (!crew)
        return weft_fail_at(-ENOMEM, file, line,
                            "weft_workqueue_open: no memory for %zu jobs",
                            q->opts_.capacity);
    crew->nursery = n;
    crew->hands = 1; /* ours, for as long as workers may not be all there */
    int err = hire(crew, &q->opts_, file, line);
    if (err == 0) {
        crew->queue = q;
        q->crew_ = crew;
        q->closed_ = false;
    }
    fire(crew);
    return err;
}

/* ---- adding ------------------------------------------------------------- */

/* 0, -ESHUTDOWN, or -EAGAIN where it would have to wait. */
static int put(weft_workqueue *q, const struct job *job)
{
    if (q->closed_ || !q->crew_ || q->crew_->nursery->scope_.cause_)
        return -ESHUTDOWN;
    WF_ASSERT(rule_holds(q));
    struct weft_waiter_ *w = wf_waitq_pop(&q->idle_);
    if (w) {
        *(struct job *)w->item_ = *job;
        set_daemon(w->fiber_, false);
        wf_wake(w->fiber_, 1);
    } else if (q->queued_ < q->crew_->room) {
        ring_in(q, job);
    } else {
        return -EAGAIN;
    }
    q->waiting_++;
    return 0;
}

static const struct wf_wait_kind to_add = {
    .name = "room in queue",
    .abort = wf_leave_line,
    .line = offsetof(weft_workqueue, adders_)};

int weft_workqueue_tryadd(weft_workqueue *q, weft_fn fn, void *arg,
                          void (*drop)(void *arg))
{
    return put(q, &(struct job){fn, arg, drop});
}

int weft_workqueue_add(weft_workqueue *q, weft_fn fn, void *arg,
                       void (*drop)(void *arg))
{
    struct job job = {fn, arg, drop};
    int err = weft_pass_();
    if (err < 0) return err;
    err = put(q, &job);
    if (err != -EAGAIN) return err;
    wf_self()->waiter.item_ = &job;
    return wf_waitq_park(&q->adders_, &to_add, q);
}

/* ---- waiting for the end ------------------------------------------------ */

static bool is_of_a_job(const weft_workqueue *q, const weft_fiber *f)
{
    const struct worker *w = q->crew_ ? q->crew_->workers : NULL;
    while (w && !wf_waits_for_itself(f, w->fiber))
        w = w->next;
    return w != NULL;
}

static const struct wf_wait_kind to_join = {
    .name = "queue to be done",
    .abort = wf_leave_line,
    .line = offsetof(weft_workqueue, joiners_)};

int weft_workqueue_join(weft_workqueue *q)
{
    int err = weft_pass_();
    if (err < 0) return err;
    if (is_of_a_job(q, wf_self()))
        return wf_misuse(-EDEADLK, "weft_workqueue_join: called by a job, "
                                   "which cannot outlast itself");
    if (q->waiting_ + q->running_ == 0) return 0;
    return wf_waitq_park(&q->joiners_, &to_join, q);
}

/* ---- stopping ----------------------------------------------------------- */

/* Cancels what has begun; the workers see to the rest. */
static void cancel_workers(weft_workqueue *q)
{
    q->cancelled_ = true;
    for (struct worker *w = q->crew_->workers; w; w = w->next)
        weft_scope_cancel(&w->scope, 0, "the stop of its queue was cancelled");
}

static bool abort_stop(weft_fiber *f)
{
    cancel_workers((weft_workqueue *)(uintptr_t)f->object);
    return false; /* the end of the workers is what it waits for now */
}

static const struct wf_wait_kind to_stop = {.name = "queue to end",
                                            .abort = abort_stop};
static const struct wf_wait_kind to_stop_nc = {.name = "queue to end"};

int weft_workqueue_stop(weft_workqueue *q, weft_stop_mode mode)
{
    weft_fiber *f = wf_self();
    if (!f) return weft_pass_slow_();
    if (is_of_a_job(q, f))
        return wf_misuse(-EDEADLK, "weft_workqueue_stop: called by a job, "
                                   "which cannot outlast its worker");
    take_no_more(q);
    if (mode == WEFT_DISCARD) {
        q->discards_ = true;
        discard_queued(q);
    }
    if (!q->crew_) return not_run(q);
    if (!f->cancelled) return wf_waitq_park(&q->stoppers_, &to_stop, q);
    cancel_workers(q);
    return wf_waitq_park(&q->stoppers_, &to_stop_nc, q);
}

void weft_workqueue_stats_read(const weft_workqueue *q,
                               weft_workqueue_stats *ret)
{
    *ret = (weft_workqueue_stats){.waiting = q->waiting_,
                                  .running = q->running_,
                                  .done = q->done_,
                                  .failed = q->failed_,
                                  .discarded = q->discarded_};
}
