/* SPDX-License-Identifier: MIT */
/*
 * jobs.c - calling jobs, and discarding what nobody will use.
 */
#include "sync/jobs.h"

#include "runtime/clock.h"

int wf_jobs_call(struct wf_many *m, size_t i)
{
    weft_job *job = &((struct wf_jobs *)(void *)m)->jobs[i];
    job->started = true;
    weft_time start = wf_clock_read();
    int rc = job->fn(job->arg);
    job->took = wf_clock_read() - start;
    return rc;
}

void wf_jobs_note(struct wf_many *m, size_t i, int rc, weft_status status)
{
    weft_job *job = &((struct wf_jobs *)(void *)m)->jobs[i];
    job->rc = rc;
    job->status = status;
}

void wf_jobs_clear(weft_job *jobs, size_t n, int why)
{
    for (size_t i = 0; i < n; i++) {
        jobs[i].rc = why;
        jobs[i].status = WEFT_CANCELLED;
        jobs[i].started = false;
        jobs[i].took = 0;
    }
}

/* ---- discarding --------------------------------------------------------- */

static const weft_job *next_in_vain(const weft_job *job, const weft_job *end,
                                    const weft_job *kept)
{
    while (job < end &&
           (job == kept || job->status != WEFT_OK || !job->discard))
        job++;
    return job;
}

void wf_jobs_discard(const weft_job *jobs, size_t n, const weft_job *kept)
{
    if (n == 0) return;
    const weft_job *end = jobs + n, *job = next_in_vain(jobs, end, kept);
    if (job == end) return;

    weft_fiber *f = wf_self();
    weft_error *said = wf_error_take(f); /* by the jobs: it is the answer */
    weft_scope shield;
    wf_cleanup_begin(&shield, 0);
    for (; job < end; job = next_in_vain(job + 1, end, kept)) {
        job->discard(job->arg);
        wf_check_innermost(&shield);
    }
    wf_cleanup_end(&shield);
    wf_error_give(f, said);
}
