/* SPDX-License-Identifier: MIT */
/*
 * workers.c - what a worker may ask of the others.
 *
 * A question has a message for each of them, which comes back as the answer. Who
 * asked may have been cancelled by then, or a run may be over: so all of it is
 * counted, and goes with the last.
 */
#include <weft/workers.h>

#include <string.h>

#include "runtime/os.h"
#include "runtime/park.h"
#include "sync/group.h"

unsigned weft_workers(void)
{
    if (!wf_sched_is_open() || wf_sched_is_left()) return 0;
    return wf_group ? wf_group->count : 1;
}

unsigned weft_worker(void)
{
    return weft_workers() == 0 ? 0 : wf_group ? wf_worker + 1 : 1;
}

weft_remote *weft_worker_remote(unsigned worker)
{
    if (worker == 0 || worker > weft_workers()) return NULL;
    if (!wf_group) return weft_remote_new();
    struct wf_inbox *b = wf_group->seats[worker - 1].inbox;
    return (weft_remote *)(void *)wf_inbox_ref(b);
}

/* ---- counters ----------------------------------------------------------- */

struct question;

struct answer {
    struct wf_message message;
    struct question *of;
    weft_stats stats;
};

struct question {
    unsigned refs; /* atomic: who asks, and each answer on its way */
    unsigned home, count;
    unsigned missing;  /* at home */
    weft_fiber *asker; /* at home; NULL: does not wait any more */
    struct answer answers[];
};

static size_t bytes_for(unsigned count)
{
    return sizeof(struct question) + count * sizeof(struct answer);
}

static void release(struct question *q)
{
    if (__atomic_sub_fetch(&q->refs, 1, __ATOMIC_ACQ_REL) == 0)
        wf_shared_free(q, bytes_for(q->count));
}

static void answered(struct wf_message *m)
{
    struct question *q = ((struct answer *)(void *)m)->of;
    if (--q->missing == 0 && q->asker) wf_wake(q->asker, 0);
    release(q);
}

static void answer(struct wf_message *m)
{
    struct answer *a = (struct answer *)(void *)m;
    struct question *q = a->of;
    weft_stats_read(&a->stats);
    a->message.deliver = answered;
    if (!wf_inbox_put(wf_group->seats[q->home].inbox, &a->message)) release(q);
}

static bool abort_wait(weft_fiber *f)
{
    struct question *q = (struct question *)(uintptr_t)f->object;
    q->asker = NULL;
    return true;
}

static const struct wf_wait_kind for_answers = {
    .name = "counters of other workers", .abort = abort_wait};

static struct question *ask(void)
{
    unsigned count = wf_group->count;
    struct question *q = wf_shared_alloc(bytes_for(count));
    if (!q) return NULL;
    memset(q, 0, bytes_for(count));
    *q = (struct question){.refs = count,
                           .home = wf_worker,
                           .count = count,
                           .missing = count - 1,
                           .asker = wf_self()};
    for (unsigned i = 0; i < count; i++) {
        struct answer *a = &q->answers[i];
        if (i == wf_worker) continue;
        *a = (struct answer){.message = {.deliver = answer}, .of = q};
        if (wf_inbox_put(wf_group->seats[i].inbox, &a->message)) continue;
        q->missing--; /* it has gone: all zero */
        release(q);
    }
    return q;
}

int weft_workers_stats(weft_stats *ret_stats, size_t n)
{
    int err = weft_pass_();
    if (err < 0) return err;
    if (!wf_group) {
        if (n > 0) weft_stats_read(ret_stats);
        return 1;
    }
    struct question *q = ask();
    if (!q) return -ENOMEM;
    if (q->missing > 0) err = wf_park(&for_answers, q);
    q->asker = NULL;
    if (err == 0) {
        weft_stats_read(&q->answers[wf_worker].stats);
        for (unsigned i = 0; i < q->count && i < n; i++)
            ret_stats[i] = q->answers[i].stats;
        err = (int)q->count;
    }
    release(q);
    return err;
}
