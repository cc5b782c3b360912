/* SPDX-License-Identifier: MIT */
/*
 * blocking.c - fibers that wait for a function on another thread.
 *
 * A fiber parks once for the whole call, in line and while its function runs.
 * What a cancellation does depends on which of the two it is: a job in line is
 * withdrawn. One that runs is only told, or, if it may be, abandoned: then its
 * thread and the fiber, which still has to interrupt it, each have a hold on
 * it, and who lets go last releases the argument. One that is done is on its
 * way here, and that is a grant: the cancellation comes too late.
 */
#include <weft/blocking.h>

#include <weft/fiber.h>

#include <string.h>

#include "exec/pool.h"
#include "runtime/os.h"

/* ---- cancelled meanwhile ------------------------------------------------ */

static bool abort_call(weft_fiber *f)
{
    struct wf_job *j = (struct wf_job *)(uintptr_t)f->object;
    if (wf_pool_withdraw(j)) return true;
    __atomic_store_n(&j->cancelled, true, __ATOMIC_RELEASE);
    return false;
}

static bool abort_abandonable(weft_fiber *f)
{
    struct wf_job *j = (struct wf_job *)(uintptr_t)f->object;
    return abort_call(f) || wf_pool_abandon(j);
}

static const struct wf_wait_kind for_blocking = {.name = "blocking call",
                                                 .abort = abort_call},
                                 for_close = {.name = "blocking call"},
                                 for_cpu = {.name = "cpu call",
                                            .abort = abort_call},
                                 for_abandonable = {.name = "blocking call",
                                                    .abort = abort_abandonable};

/* ---- the calls ---------------------------------------------------------- */

/* What fn left with weft_fail on its thread becomes this fiber's. */
static void take_failure(const struct wf_job *j)
{
    const weft_error *e = &j->failure;
    if (j->failed) (void)weft_fail_at(e->code, e->file, e->line, "%s", e->msg);
}

/* To wake a thread took a system call. */
static int wait_for(struct wf_job *j, const struct wf_wait_kind *kind)
{
    wf_end_turn_if_late();
    int rc = wf_park(kind, j);
    take_failure(j);
    return rc;
}

static int call(weft_pool pool, const struct wf_wait_kind *kind, weft_fn fn,
                void *arg)
{
    struct wf_job j;
    int err = weft_pass_();
    if (err < 0) return err;
    wf_job_init(&j, fn, arg);
    err = wf_pool_submit(wf_pool_of(pool), &j);
    return err < 0 ? err : wait_for(&j, kind);
}

int wf_blocking_nc(weft_fn fn, void *arg)
{
    struct wf_job j;
    wf_job_init(&j, fn, arg);
    if (wf_pool_submit(wf_pool_of(WEFT_POOL_BLOCKING), &j) < 0) return fn(arg);
    return wait_for(&j, &for_close);
}

int weft_blocking(weft_fn fn, void *arg)
{
    return call(WEFT_POOL_BLOCKING, &for_blocking, fn, arg);
}

int weft_cpu(weft_fn fn, void *arg)
{
    return call(WEFT_POOL_CPU, &for_cpu, fn, arg);
}

/* The job is ours alone: it never began, or its thread has released it. */
static int end_alone(struct wf_job *j, int result)
{
    if (j->state == WF_JOB_QUEUED) wf_job_release(j);
    take_failure(j);
    wf_shared_free(j, sizeof *j);
    return result;
}

int weft_blocking_abandon(const weft_bjob *job)
{
    int err = weft_pass_();
    struct wf_job *j = err < 0 ? NULL : wf_shared_alloc(sizeof *j);
    if (!j) {
        if (job->release) job->release(job->arg);
        return err < 0 ? err : -ENOMEM;
    }
    void (*interrupt)(void *) = job->interrupt;
    wf_job_init(j, job->fn, job->arg);
    j->release = job->release;
    err = wf_pool_submit(wf_pool_of(WEFT_POOL_BLOCKING), j);
    if (err < 0) return end_alone(j, err);
    wf_end_turn_if_late();
    err = wf_park(&for_abandonable, j);
    if (!j->abandoned) return end_alone(j, err);
    if (interrupt) interrupt(j->arg);
    wf_pool_let_go(j);
    return err;
}

bool weft_blocking_cancelled(void)
{
    const struct wf_job *j = wf_job_here();
    if (!j) return weft_cancelled();
    return __atomic_load_n(&j->cancelled, __ATOMIC_ACQUIRE);
}
