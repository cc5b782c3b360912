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
 * the last. One that ends when there is no run any more, having finished what
 * was abandoned, detaches itself.
 */
#include "exec/pool.h"

#include <stdio.h>
#include <string.h>

#include "runtime/fork.h"
#include "runtime/os_thread.h"
#include "sync/run.h"

enum {
    POOLS = 2,
    BLOCKING_THREADS = 32,
    STACK = 1024 * 1024,
    LEAST_STACK = 64 * 1024,
    LAST_WAIT_MS = 1000 /* for what was abandoned, when a run ends */
};

struct thread {
    struct thread *next, *prev; /* among the sleeping */
    pthread_cond_t wake;
    bool woken;
};

struct list {
    struct wf_job *head, *tail;
};

struct wf_pool {
    pthread_mutex_t lock;
    bool ready; /* the condition below has been made */
    const char *name;
    unsigned threads, limit;
    unsigned coming; /* threads that will look at the line without being told */
    size_t stack_bytes;
    int64_t idle_ns;
    struct thread *sleeping; /* the one that fell asleep last first */
    struct list line, running;
    unsigned users;           /* runs that have submitted something */
    pthread_cond_t something; /* a job has been finished, a thread has ended */
    unsigned joining;         /* the last of them, waiting for threads */
    bool has_ended;           /* a thread that nobody has joined yet: */
    pthread_t ended;
    weft_pool_stats stats;
};

static struct wf_pool pools[POOLS] = {
    [WEFT_POOL_BLOCKING] = {.lock = PTHREAD_MUTEX_INITIALIZER,
                            .name = "blocking"},
    [WEFT_POOL_CPU] = {.lock = PTHREAD_MUTEX_INITIALIZER, .name = "cpu"},
};

static __thread struct {
    struct wf_run_guest guest[POOLS];
    bool entered[POOLS];
    const struct wf_job *job; /* that this thread runs */
} here;

/* ---- the lists ---------------------------------------------------------- */

static void append(struct list *l, struct wf_job *j)
{
    j->next = NULL;
    j->prev = l->tail;
    *(l->tail ? &l->tail->next : &l->head) = j;
    l->tail = j;
}

static void take_out(struct list *l, struct wf_job *j)
{
    *(j->prev ? &j->prev->next : &l->head) = j->next;
    *(j->next ? &j->next->prev : &l->tail) = j->prev;
}

static void leave_line(struct wf_pool *p, struct wf_job *j)
{
    take_out(&p->line, j);
    p->stats.queued--;
}

static void lie_down(struct wf_pool *p, struct thread *t)
{
    t->woken = false;
    t->prev = NULL;
    t->next = p->sleeping;
    if (t->next) t->next->prev = t;
    p->sleeping = t;
    p->stats.idle++;
}

static void get_up(struct wf_pool *p, struct thread *t)
{
    *(t->prev ? &t->prev->next : &p->sleeping) = t->next;
    if (t->next) t->next->prev = t->prev;
    p->stats.idle--;
}

static void wake(struct wf_pool *p, struct thread *t)
{
    get_up(p, t);
    t->woken = true;
    p->coming++;
    (void)pthread_cond_signal(&t->wake);
}

static void *thread_main(void *arg);

static int start_thread(struct wf_pool *p)
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
        wake(p, p->sleeping);
        return 0;
    }
    int err = p->threads < p->limit ? start_thread(p) : 0;
    return p->threads > 0 ? 0 : err;
}

/* ---- a thread ----------------------------------------------------------- */

/* False: it was not needed for a while, or is one too many. */
static bool sleep_until_woken(struct wf_pool *p, struct thread *t)
{
    if (p->users == 0 || p->threads > p->limit) return false;
    int64_t until = wf_os_clock() + p->idle_ns;
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
    here.job = j;
    j->result = j->fn(j->arg);
    here.job = NULL;
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
    struct thread me;
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

static int enter(struct wf_pool *p);

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
    int err = enter(p);
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
    return here.job;
}

/* ---- the end of a run --------------------------------------------------- */

/* One that this run has abandoned, or NULL. */
static struct wf_job *left_behind(const struct wf_pool *p)
{
    struct wf_job *j = p->running.head;
    while (j && j->inbox != wf_inbox_here())
        j = j->next;
    return j;
}

static void name_job(const struct wf_job *j)
{
    char text[256];
    int n =
        snprintf(text, sizeof text,
                 "weft: abandoned function %p still runs on a thread: "
                 "called by fiber %llu \"%.24s\" (spawned %.96s:%d)\n",
                 (void *)(uintptr_t)j->fn, (unsigned long long)j->from.fiber,
                 j->from.name, j->from.file ? j->from.file : "?", j->from.line);
    wf_os_say(2, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
}

/* They go on without this run, whose inbox may soon be another one's. */
static void leave_behind(struct wf_pool *p)
{
    int64_t until = wf_os_clock() + (int64_t)LAST_WAIT_MS * 1000000;
    bool late = false;
    while (left_behind(p) && !late)
        late = wf_os_cond_wait_until(&p->something, &p->lock, until);
    for (struct wf_job *j; (j = left_behind(p));) {
        name_job(j);
        j->inbox = NULL;
    }
}

/* No run is left: those that have nothing to do end, and are joined. */
static void join_threads(struct wf_pool *p)
{
    p->joining++;
    while (p->sleeping)
        wake(p, p->sleeping);
    while (p->threads > p->stats.running && p->users == 0)
        (void)pthread_cond_wait(&p->something, &p->lock);
    p->joining--;
    bool has_ended = p->has_ended;
    pthread_t ended = p->ended;
    p->has_ended = false;
    (void)pthread_mutex_unlock(&p->lock);
    if (has_ended) (void)pthread_join(ended, NULL);
    (void)pthread_mutex_lock(&p->lock);
}

static void leave(struct wf_run_guest *g)
{
    size_t which = (size_t)(g - here.guest);
    struct wf_pool *p = &pools[which];
    here.entered[which] = false;
    (void)pthread_mutex_lock(&p->lock);
    leave_behind(p);
    if (--p->users == 0) join_threads(p);
    (void)pthread_mutex_unlock(&p->lock);
}

/* ---- what may be said about them ---------------------------------------- */

static unsigned usual_threads(const struct wf_pool *p)
{
    return p == &pools[WEFT_POOL_CPU] ? wf_os_cores() : BLOCKING_THREADS;
}

/* With the lock held. */
static void set(struct wf_pool *p, const weft_pool_opts *o)
{
    p->limit = o->threads ? o->threads : usual_threads(p);
    p->stack_bytes = o->stack_size ? o->stack_size : STACK;
    if (p->stack_bytes < LEAST_STACK) p->stack_bytes = LEAST_STACK;
    p->stack_bytes &= ~(size_t)(LEAST_STACK - 1); /* whole pages of any size */
    p->idle_ns = o->idle ? o->idle : WEFT_SEC(10);
}

/* Takes the lock, of a pool that is ready for use from then on. */
static struct wf_pool *locked(weft_pool pool)
{
    static const weft_pool_opts usual;
    struct wf_pool *p = &pools[pool];
    (void)pthread_mutex_lock(&p->lock);
    if (!p->ready) {
        wf_os_cond_init(&p->something);
        set(p, &usual);
        p->ready = true;
    }
    return p;
}

struct wf_pool *wf_pool_of(weft_pool pool)
{
    return &pools[pool];
}

/* The child of a fork has none of the threads, and maybe a lock of one. */
static void left_by_fork(void)
{
    for (size_t i = 0; i < POOLS; i++)
        pools[i] = (struct wf_pool){.lock = PTHREAD_MUTEX_INITIALIZER,
                                    .name = pools[i].name};
    memset(&here, 0, sizeof here);
}

/* This run is one of its users. 0 or -ENOMEM. */
static int enter(struct wf_pool *p)
{
    size_t which = (size_t)(p - pools);
    if (here.entered[which]) return 0;
    int err = wf_fork_watch(left_by_fork);
    if (err < 0) return err;
    here.entered[which] = true;
    here.guest[which].leave = leave;
    wf_run_enter(&here.guest[which]);
    locked((weft_pool)which)->users++;
    (void)pthread_mutex_unlock(&p->lock);
    return 0;
}

int weft_pool_configure(weft_pool pool, const weft_pool_opts *o)
{
    static const weft_pool_opts usual;
    if (pool != WEFT_POOL_BLOCKING && pool != WEFT_POOL_CPU) return -EINVAL;
    if (o && o->idle < 0) return -EINVAL;
    struct wf_pool *p = locked(pool);
    set(p, o ? o : &usual);
    /* As many as are too many, and those in line may have more than before. */
    for (unsigned n = p->threads; n > p->limit && p->sleeping; n--)
        wake(p, p->sleeping);
    for (unsigned n = p->stats.queued; n > 0 && p->threads < p->limit; n--)
        if (start_thread(p) < 0) break;
    (void)pthread_mutex_unlock(&p->lock);
    return 0;
}

void weft_pool_stats_read(weft_pool pool, weft_pool_stats *ret_stats)
{
    if (pool != WEFT_POOL_BLOCKING && pool != WEFT_POOL_CPU) {
        *ret_stats = (weft_pool_stats){0};
        return;
    }
    struct wf_pool *p = locked(pool);
    *ret_stats = p->stats;
    ret_stats->limit = p->limit;
    ret_stats->threads = p->threads;
    (void)pthread_mutex_unlock(&p->lock);
}
