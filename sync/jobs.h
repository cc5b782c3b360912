/* SPDX-License-Identifier: MIT */
/*
 * jobs.h - calls that are jobs, which hold their own results.
 */
#ifndef WF_JOBS_H
#define WF_JOBS_H

#include "sync/many.h"

struct wf_jobs {
    struct wf_many many; /* stays first */
    weft_job *jobs;
};

/* wf_many.call and wf_many.note for jobs. */
int wf_jobs_call(struct wf_many *m, size_t i);
void wf_jobs_note(struct wf_many *m, size_t i, int rc, weft_status status);

/* None has been started, for this reason. */
void wf_jobs_clear(weft_job *jobs, size_t n, int why);

/* Discards what succeeded, but for that of `kept`, if there is such a job. */
void wf_jobs_discard(const weft_job *jobs, size_t n, const weft_job *kept);

#endif
