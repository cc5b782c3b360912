/* SPDX-License-Identifier: MIT */
/*
 * run.c - a run, on as many threads as were asked for.
 *
 * The first worker is the caller's thread. The others are started here, take
 * their seats, and are joined when all is over.
 */
#include <weft/run.h>

#include <weft/error.h>

#include "runtime/assert.h"
#include "runtime/os_thread.h"
#include "sync/group.h"
#include "sync/run.h"

enum {
    MOST = 1024,
    STACK = 1024 * 1024 /* for what is posted, mostly; lazily there */
};

struct worker {
    struct wf_group *group;
    const weft_run_opts *opts;
    unsigned seat;
    bool started;
    pthread_t thread;
};

static void *thread_main(void *arg)
{
    const struct worker *w = arg;
    int err = wf_run_other(w->opts, w->group, w->seat);
    (void)err; /* the group knows */
    return NULL;
}

static void start_others(struct worker *workers, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        struct worker *w = &workers[i];
        int err = wf_os_thread_start(&w->thread, STACK, thread_main, w);
        w->started = err == 0;
        if (err < 0) wf_group_miss(w->group, err);
    }
}

static void join_others(struct worker *workers, unsigned count)
{
    for (unsigned i = 1; i < count; i++)
        if (workers[i].started) (void)pthread_join(workers[i].thread, NULL);
}

static int run_several(weft_fn fn, void *arg, const weft_run_opts *o,
                       unsigned count)
{
    size_t bytes = count * sizeof(struct worker);
    struct worker *workers = wf_alloc(bytes);
    struct wf_group *g = wf_group_new(count);
    int rc = -ENOMEM;
    if (workers && g) {
        for (unsigned i = 0; i < count; i++)
            workers[i] = (struct worker){.group = g, .opts = o, .seat = i};
        start_others(workers, count);
        rc = wf_run_first(fn, arg, o, g);
        join_others(workers, count);
    }
    if (g) wf_group_free(g);
    wf_free(workers, bytes);
    return rc;
}

int weft_run(weft_fn fn, void *arg, const weft_run_opts *o)
{
    static const weft_run_opts usual;
    if (!o) o = &usual;
    int err = wf_run_check();
    if (err < 0) return err;
    if (o->workers < WEFT_WORKER_PER_CORE || o->workers > MOST)
        return wf_misuse(-EINVAL, "weft_run: %d workers: there can be 1 to %d",
                         o->workers, MOST);
    unsigned count = o->workers < 0 ? wf_os_cores()
                     : o->workers   ? (unsigned)o->workers
                                    : 1;
    if (count == 1) return wf_run_first(fn, arg, o, NULL);
    if (o->virtual_clock)
        return wf_misuse(-EINVAL,
                         "weft_run: a virtual clock is one thread's, "
                         "and here are %u",
                         count);
    return run_several(fn, arg, o, count);
}
