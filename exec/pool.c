/* SPDX-License-Identifier: MIT */
/*
 * pool.c - bounded sets of threads, each with one line of jobs.
 *
 * Two rules hold whenever the lock is free. A job waits in line only while as
 * many threads as there may be are at work or on their way to it; and there are
 * never more threads than the limit, those included that run what has been
 * abandoned. Who submits a job wakes the thread that fell asleep last, whose
 * stack is warm and whose elders can end; if none sleeps he starts one; if
 * there may be no more, whoever finishes next takes the job.
 *
 * A job is in line until its thread really has it, not when that was woken: so
 * it can be withdrawn until then.
 *
 * Threads can be joined, so that nothing of them is left when the last run is
 * over. Each that ends joins the one that ended before it; the last run joins
 * the last (pools.c). One that ends when there is no run any more, having
 * finished what was abandoned, detaches itself.
 */
#include "exec/pool_inner.h"

#include <stdio.h>

#include "runtime/clock.h"

struct wf_pool_thread {
    struct wf_pool_thread *next, *prev; /* among the sleeping */
    pthread_cond_t wake;
    bool woken;
};

static __thread const struct wf_job *here; /* what this thread runs */

/* ---- the lists ---------------------------------------------------------- */

static void append(struct wf_job_list *l, struct wf_job *j)
{
    j->next = NULL;
    j->prev = l->tail;
    *(l->tail ? &l->tail->next : &l->head) = j;
    l->tail = j;
}

static void take_out(struct wf_job_list *l, struct wf_job *j)
{
    *(j->prev ? &j->prev->next : &l->head) = j->next;
    *(j->next ? &j->next->prev : &l->tail) = j->prev;
}

static void leave_line(struct wf_pool *p, struct wf_job *j)
{
    take_out(&p->line, j);
    p->stats.queued--;
}

static void lie_down(struct wf_pool *p, struct wf_pool_thread *t)
{
    t->woken = false;
    t->prev = NULL;
    t->next = p->sleeping;
    if (t->next) t->next->prev = t;
    p->sleeping = t;
    p->stats.idle++;
}

static void get_up(struct wf_pool *p, struct wf_pool_thread *t)
{
    *(t->prev ? &t->prev->next : &p->sleeping) = t->next;
    if (t->next) t->next->prev = t->prev;
    p->stats.idle--;
}

void wf_pool_wake(struct wf_pool *p)
{
    struct wf_pool_thread *t = p->sleeping;
    get_up(p, t);
    t->woken = true;
    p->coming++;
    (void)pthread_cond_signal(&t->wake);
}

static void *thread_main(void *arg);

int wf_pool_start_thread(struct wf_pool *p)
{
    pthread_t t;
    int err = wf_os_thread_start(&t, p->stack_bytes, thread_main, p);
    if (err < 0)
        p->stats.refused++;
    else
        p->threads++, p->coming++;
    return err;
}

/* With the lock held. Nobody comes for a job in line if there is no thread. */
static int find_thread(struct wf_pool *p)
{
    if (p->stats.queued <= p->coming) return 0;
    if (p->sleeping) {
        wf_pool_wake(p);
        return 0;
    }
    int err = p->threads < p->limit ? wf_pool_start_thread(p) : 0;
    return p->threads > 0 ? 0 : err;
}

/* ---- a thread ----------------------------------------------------------- */

/* False: it was not needed for a while, or is one too many. */
static bool sleep_until_woken(struct wf_pool *p, struct wf_pool_thread *t)
{
    if (p->users == 0 || p->threads > p->limit) return false;
    int64_t until = wf_time_add(wf_os_clock(), p->idle_ns);
    bool late = false;
    lie_down(p, t);
    while (!t->woken && !late)
        late = wf_os_cond_wait_until(&t->wake, &p->lock, until);
    if (!t->woken)
        get_up(p, t);
    else
        p->coming--;
    return t->woken;
}

/* What fn leaves with weft_fail is this thread's until it is asked for. */
static void call(struct wf_job *j)
{
    if (weft_last_error()) (void)weft_fail_at(0, NULL, 0, "%s", "");
    here = j;
    j->result = j->fn(j->arg);
    here = NULL;
    const weft_error *e = j->result < 0 ? weft_last_error() : NULL;
    j->failed = e && e->code == j->result;
    if (j->failed) j->failure = *e;
}

void wf_job_release(struct wf_job *j)
{
    if (j->release) j->release(j->arg);
}

/* Its argument comes last: that is what others may wait for. */
static void end_abandoned(struct wf_job *j)
{
    void (*release)(void *) = j->release;
    void *arg = j->arg;
    wf_shared_free(j, sizeof *j);
    if (release) release(arg);
}

/* Its fiber waits; it may be gone with the job once the message is there. */
static void report(struct wf_job *j)
{
    struct wf_inbox *inbox = j->inbox;
    wf_job_release(j);
    bool taken = wf_inbox_put(inbox, &j->message);
    WF_ASSERT(taken); /* the run goes on as long as the fiber waits */
    wf_inbox_unref(inbox);
}

/* With the lock held, which is let go meanwhile. */
static void run(struct wf_pool *p, struct wf_job *j)
{
    leave_line(p, j);
    append(&p->running, j);
    p->stats.running++;
    p->stats.calls++;
    j->state = WF_JOB_RUNNING;
    (void)pthread_mutex_unlock(&p->lock);
    call(j);
    (void)pthread_mutex_lock(&p->lock);
    take_out(&p->running, j);
    p->stats.running--;
    j->state = WF_JOB_DONE;
    bool awaited = !j->abandoned, last = !awaited && --j->holders == 0;
    if (!awaited) {
        p->stats.abandoned--;
        (void)pthread_cond_broadcast(&p->something);
    }
    bool quick = awaited && !j->release;
    p->coming += quick;
    (void)pthread_mutex_unlock(&p->lock);
    if (awaited)
        report(j);
    else if (last)
        end_abandoned(j);
    (void)pthread_mutex_lock(&p->lock);
    p->coming -= quick;
}

/* With the lock held. */
static void end_thread(struct wf_pool *p)
{
    bool has_before = p->has_ended;
    pthread_t before = p->ended;
    p->threads--;
    (void)find_thread(p); /* it was one too many, but somebody waits in line */
    p->has_ended = p->users > 0 || p->joining;
    if (p->has_ended)
        p->ended = pthread_self();
    else
        (void)pthread_detach(pthread_self());
    (void)pthread_cond_broadcast(&p->something);
    (void)pthread_mutex_unlock(&p->lock);
    if (has_before) (void)pthread_join(before, NULL);
}

static void *thread_main(void *arg)
{
    struct wf_pool *p = arg;
    struct wf_pool_thread me;
    wf_os_cond_init(&me.wake);
    (void)pthread_mutex_lock(&p->lock);
    p->coming--;
    do {
        while (p->line.head && p->threads <= p->limit)
            run(p, p->line.head);
    } while (sleep_until_woken(p, &me));
    (void)pthread_cond_destroy(&me.wake);
    end_thread(p);
    return NULL;
}

/* ---- jobs --------------------------------------------------------------- */

static void deliver(struct wf_message *m)
{
    struct wf_job *j =
        (struct wf_job *)(void *)((char *)m - offsetof(struct wf_job, message));
    wf_inbox_expect(-1);
    wf_wake(j->fiber, j->result);
}

static int put_in_line(struct wf_pool *p, struct wf_job *j)
{
    (void)pthread_mutex_lock(&p->lock);
    append(&p->line, j);
    if (++p->stats.queued > p->stats.most_queued)
        p->stats.most_queued = p->stats.queued;
    int err = find_thread(p);
    if (err < 0) leave_line(p, j);
    (void)pthread_mutex_unlock(&p->lock);
    return err;
}

/* There is a message to come. */
static void expect(struct wf_job *j)
{
    j->inbox = wf_inbox_ref(wf_inbox_here());
    wf_inbox_expect(1);
}

static void expect_no_more(struct wf_job *j)
{
    wf_inbox_expect(-1);
    wf_inbox_unref(j->inbox);
}

int wf_pool_submit(struct wf_pool *p, struct wf_job *j)
{
    j->pool = p;
    j->fiber = wf_self();
    j->state = WF_JOB_QUEUED;
    j->message.deliver = deliver;
    int err = wf_pool_enter(p);
    if (err < 0) return err;
    expect(j);
    err = put_in_line(p, j);
    if (err == 0) return 0;
    expect_no_more(j);
    return weft_fail_at(err, NULL, 0, "no thread for the %s pool", p->name);
}

bool wf_pool_withdraw(struct wf_job *j)
{
    struct wf_pool *p = j->pool;
    (void)pthread_mutex_lock(&p->lock);
    bool mine = j->state == WF_JOB_QUEUED;
    if (mine) leave_line(p, j);
    (void)pthread_mutex_unlock(&p->lock);
    if (mine) expect_no_more(j);
    return mine;
}

static void note_from(struct wf_job *j)
{
    const weft_fiber *f = j->fiber;
    j->from.fiber = f->id;
    j->from.file = f->file;
    j->from.line = f->line;
    (void)snprintf(j->from.name, sizeof j->from.name, "%s",
                   f->name ? f->name : "");
}

bool wf_pool_abandon(struct wf_job *j)
{
    struct wf_pool *p = j->pool;
    (void)pthread_mutex_lock(&p->lock);
    bool runs = j->state == WF_JOB_RUNNING;
    if (runs) {
        j->abandoned = true;
        j->holders = 2;
        note_from(j);
        p->stats.abandoned++;
    }
    (void)pthread_mutex_unlock(&p->lock);
    if (runs) expect_no_more(j);
    return runs;
}

void wf_pool_let_go(struct wf_job *j)
{
    struct wf_pool *p = j->pool;
    (void)pthread_mutex_lock(&p->lock);
    bool last = --j->holders == 0;
    (void)pthread_mutex_unlock(&p->lock);
    if (last) end_abandoned(j);
}

const struct wf_job *wf_job_here(void)
{
    return here;
}

void wf_job_forget(void)
{
    here = NULL;
}
