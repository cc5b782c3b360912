/* SPDX-License-Identifier: MIT */
/*
 * pools.c - the pools of the process: how large they are, which runs use them,
 * and what happens when these end.
 *
 * A run becomes a user of a pool with the first job that it submits. When it
 * ends it names what it has abandoned and still runs; the last of the users
 * sends the threads home and joins the last of them.
 */
#include "exec/pool_inner.h"

#include <stdio.h>
#include <string.h>

#include "runtime/fork.h"
#include "sync/run.h"

enum {
    POOLS = 2,
    BLOCKING_THREADS = 32,
    STACK = 1024 * 1024,
    LEAST_STACK = 64 * 1024,
    LAST_WAIT_MS = 1000 /* for what was abandoned, when a run ends */
};

static struct wf_pool pools[POOLS] = {
    [WEFT_POOL_BLOCKING] = {.lock = PTHREAD_MUTEX_INITIALIZER,
                            .name = "blocking"},
    [WEFT_POOL_CPU] = {.lock = PTHREAD_MUTEX_INITIALIZER, .name = "cpu"},
};

static __thread struct {
    struct wf_run_guest guest[POOLS];
    bool entered[POOLS];
} here;

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
        wf_pool_wake(p);
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
    wf_job_forget();
}

/* This run is one of its users. 0 or -ENOMEM. */
int wf_pool_enter(struct wf_pool *p)
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
        wf_pool_wake(p);
    for (unsigned n = p->stats.queued; n > 0 && p->threads < p->limit; n--)
        if (wf_pool_start_thread(p) < 0) break;
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
