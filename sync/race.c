/* SPDX-License-Identifier: MIT */
/*
 * race.c - the first of the jobs.
 *
 * A race is decided when the winner's function returns, not when its fiber
 * ends, so that what it has deferred cannot hand the race to somebody else.
 * Failures are collected: they cancel nobody, and the earliest is the answer
 * if nobody wins.
 */
#include "sync/jobs.h"

struct race {
    struct wf_jobs all; /* stays first */
    weft_race_mode mode;
    weft_job *winner;
};

static void note(struct wf_many *m, size_t i, int rc, weft_status status)
{
    struct race *r = (struct race *)(void *)m;
    wf_jobs_note(m, i, rc, status);
    weft_job *job = &r->all.jobs[i];
    if (r->winner || !job->started || status == WEFT_CANCELLED) return;
    if (status == WEFT_FAILED && r->mode != WEFT_RACE_DONE) return;
    r->winner = job;
    wf_scope_cancel(&m->nursery.scope_, WEFT_R_EXPLICIT, 0, wf_self()->id,
                    "the race is decided");
}

int weft_race(weft_job *jobs, size_t n, weft_race_mode mode)
{
    int err = wf_many_enter("race", NULL);
    if (err == 0 && n == 0)
        err = wf_misuse(-EINVAL, "weft_race: there are no jobs");
    wf_jobs_clear(jobs, n, err < 0 ? err : -ECANCELED);
    if (err < 0) return err;

    struct race r = {.all = {.many = {.name = "race",
                                      .opts = {.policy = WEFT_COLLECT},
                                      .n = n,
                                      .call = wf_jobs_call,
                                      .note = note},
                             .jobs = jobs},
                     .mode = mode};
    (void)!wf_many_run(&r.all.many);
    wf_jobs_discard(jobs, n, r.winner);
    if (r.winner) return (int)(r.winner - jobs);
    int earliest = r.all.many.nursery.first_;
    return earliest < 0 ? earliest : -ECANCELED;
}
