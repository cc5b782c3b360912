/* SPDX-License-Identifier: MIT */
/*
 * many.c - n numbered calls, each in a fiber of its own, joined.
 *
 * The nursery does the work: its limit, its policy, and the result of its
 * close. The body only spawns, which is a cancel point each time, so that
 * whatever cancels the nursery also keeps the rest from being started.
 */
#include "sync/many.h"

int wf_many_enter(const char *name, const weft_gather_opts *o)
{
    int err = weft_pass_();
    if (err < 0) return err;
    if (o && o->policy != WEFT_FAIL_FAST && o->policy != WEFT_COLLECT)
        return wf_misuse(-EINVAL,
                         "weft_%s: the policy is WEFT_FAIL_FAST or "
                         "WEFT_COLLECT",
                         name);
    return 0;
}

/* A call counts by what it was when it returned; what it has deferred comes
 * after that. */
static weft_status status_of(int rc)
{
    if (rc >= 0) return WEFT_OK;
    if (rc == -ECANCELED && wf_base(wf_child_self())->cause_)
        return WEFT_CANCELLED;
    return WEFT_FAILED;
}

static int member(void *arg)
{
    struct wf_many *m = (struct wf_many *)(void *)wf_self()->nursery;
    size_t i = (uintptr_t)arg;
    int rc = m->call(m, i);
    weft_status status = status_of(rc);
    if (status == WEFT_CANCELLED) m->stopped = true;
    m->note(m, i, rc, status);
    return rc;
}

/* They carry the place where the caller was spawned. */
static int start_all(struct wf_many *m)
{
    weft_fiber *f = wf_self();
    const weft_spawn_opts named = {.name = m->name};
    for (size_t i = 0; i < m->n; i++) {
        int err = weft_spawn_wait_ex_(f->file, f->line, &m->nursery, member,
                                      (void *)(uintptr_t)i, &named);
        if (err == 0) continue;
        if (err == -ECANCELED) {
            m->stopped = true;
            return err;
        }
        m->note(m, i, err, WEFT_FAILED);
        if (m->opts.policy == WEFT_FAIL_FAST) return err;
        wf_nursery_keep(&m->nursery, f, err);
    }
    return 0;
}

int wf_many_run(struct wf_many *m)
{
    const weft_nursery_opts opts = {
        .name = m->name, .policy = m->opts.policy, .limit = m->opts.limit};
    int err = weft_nursery_open(&m->nursery, &opts);
    if (err < 0) return err;
    err = weft_nursery_close(&m->nursery, start_all(m));
    if (m->opts.policy == WEFT_FAIL_FAST) return err;
    return m->stopped ? -ECANCELED : 0;
}
