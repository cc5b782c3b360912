/* SPDX-License-Identifier: MIT */
/*
 * gather.c - all of the jobs, together or one after the other.
 */
#include "sync/jobs.h"

static int run_all(const char *name, weft_job *jobs, size_t n,
                   const weft_gather_opts *o)
{
    int err = wf_many_enter(name, o);
    wf_jobs_clear(jobs, n, err < 0 ? err : -ECANCELED);
    if (err < 0 || n == 0) return err;

    struct wf_jobs all = {.many = {.name = name,
                                   .n = n,
                                   .call = wf_jobs_call,
                                   .note = wf_jobs_note},
                          .jobs = jobs};
    if (o) all.many.opts = *o;
    err = wf_many_run(&all.many);
    if (err < 0) wf_jobs_discard(jobs, n, NULL);
    return err;
}

int weft_gather(weft_job *jobs, size_t n, const weft_gather_opts *o)
{
    return run_all("gather", jobs, n, o);
}

/* The limit counts fibers, not functions: the next job starts when all that
 * the last one has deferred is done too. */
int weft_batch(weft_job *jobs, size_t n)
{
    static const weft_gather_opts in_turn = {.policy = WEFT_COLLECT,
                                             .limit = 1};
    int err = run_all("batch", jobs, n, &in_turn);
    if (err < 0) return err;
    int failed = 0;
    for (size_t i = 0; i < n; i++)
        failed += jobs[i].status == WEFT_FAILED;
    return failed;
}
