/* SPDX-License-Identifier: MIT */
/*
 * model_workqueue.c - workers that are idle, jobs that were handed to one, and
 * jobs in a row; lines of those who add, join and stop.
 *
 * A job says itself when it begins, and its `drop` when it is over; what the
 * worker does next it does at once.
 */
#include <weft/fiber.h>
#include <weft/testing.h>
#include <weft/workqueue.h>

#include <string.h>

#include "stress/stress.h"

enum { JOBS = 64, ROOM = 3 };

/* Of a job, in this order. OURS: not, or no longer, the queue's. */
enum { OURS, IN_ROW, HANDED, RUNS };

struct job {
    int state;
    bool waits; /* runs, and is parked */
    weft_fiber *fiber;
    int rc;
    bool told; /* on_failure was */
};

static struct {
    weft_workqueue queue;
    int workers, room, idle;
    bool closed, discards, cancelled;
    struct job jobs[JOBS];
    int row[ROOM], in_row, handed, running;
    int adds[ACTORS]; /* the job of who waits to add */
    struct line adders, joiners, stoppers;
    weft_workqueue_stats stats;
} q;

static int number_of(const struct job *j)
{
    return (int)(j - q.jobs);
}

/* ---- the model ---------------------------------------------------------- */

static bool has_jobs(void)
{
    return q.in_row + q.handed + q.running > 0;
}

static void look_for_the_end(void)
{
    if (has_jobs()) return;
    happens_to_all(&q.joiners, 0);
    if (q.closed) happens_to_all(&q.stoppers, (int)q.stats.discarded);
}

/* 0, -ESHUTDOWN, or -EAGAIN: no room. */
static int puts_in(int j)
{
    if (q.closed) return -ESHUTDOWN;
    if (q.idle > 0) {
        q.idle--;
        q.handed++;
        q.jobs[j].state = HANDED;
    } else if (q.in_row < q.room) {
        q.row[q.in_row++] = j;
        q.jobs[j].state = IN_ROW;
    } else {
        return -EAGAIN;
    }
    return 0;
}

static int first_of_row(void)
{
    int j = q.row[0];
    q.in_row--;
    memmove(&q.row[0], &q.row[1], sizeof q.row[0] * (size_t)q.in_row);
    return j;
}

/* A worker has nothing to do. */
static void worker_goes_on(void)
{
    if (q.cancelled) return;
    if (q.in_row > 0) {
        q.jobs[first_of_row()].state = HANDED;
        q.handed++;
        if (q.adders.length == 0) return;
        int who = line_first(&q.adders).who;
        q.row[q.in_row++] = q.adds[who];
        q.jobs[q.adds[who]].state = IN_ROW;
        grants(&actors[who], 0);
    } else if (!q.closed) {
        q.idle++;
    }
}

static void takes_no_more(void)
{
    q.closed = true;
    happens_to_all(&q.adders, -ESHUTDOWN);
}

static void is_cancelled_too(void)
{
    q.cancelled = true;
    for (int j = 0; j < JOBS; j++) {
        if (!q.jobs[j].waits) continue;
        q.jobs[j].waits = false;
        q.jobs[j].rc = -ECANCELED;
    }
}

/* ---- jobs --------------------------------------------------------------- */

static int runs(void *arg)
{
    struct job *j = arg;
    let_model_catch_up();
    same("state of job that begins", number_of(j), j->state, HANDED);
    if (q.discards || q.cancelled)
        differs("job %d begins, and should be discarded", number_of(j));
    j->state = RUNS;
    j->told = false;
    q.handed--;
    q.running++;
    j->fiber = weft_self();
    j->rc = one_in(6) ? -EIO : 0;
    if (one_in(4)) mutex_taken_by_job(number_of(j));
    if (!one_in(3)) {
        j->waits = true;
        int rc = gate_wait();
        let_model_catch_up();
        if (j->waits) differs("job %d does not wait: %d", number_of(j), rc);
        same("result of job", number_of(j), rc, j->rc);
    }
    mutex_left_by_job(number_of(j));
    return j->rc;
}

static bool is_failure(const struct job *j)
{
    return j->rc < 0 && !(j->rc == -ECANCELED && q.cancelled);
}

static void on_failure(int code, const weft_error *e, void *arg, void *user)
{
    struct job *j = arg;
    (void)user;
    if (j->told || !is_failure(j))
        differs("job %d: %d is no news", number_of(j), code);
    same("failure of job", number_of(j), code, j->rc);
    same("record of job", number_of(j), e->code, j->rc);
    j->told = true;
}

static void is_done(struct job *j)
{
    same("told of job", number_of(j), j->told, is_failure(j));
    q.stats.done++;
    q.stats.failed += is_failure(j);
    q.running--;
    j->state = OURS;
    worker_goes_on();
}

static void is_discarded(struct job *j)
{
    if (!q.discards && !q.cancelled)
        differs("job %d is discarded, and should not be", number_of(j));
    if (j->state == IN_ROW)
        same("discarded job, of", q.in_row, number_of(j), first_of_row());
    else
        q.handed--;
    q.stats.discarded++;
    j->state = OURS;
}

static void drop(void *arg)
{
    struct job *j = arg;
    let_model_catch_up();
    if (j->state == OURS) differs("job %d is dropped again", number_of(j));
    if (j->state == RUNS)
        is_done(j);
    else
        is_discarded(j);
    look_for_the_end();
}

static void open_a_gate(struct actor *by)
{
    int from = below(JOBS);
    for (int i = 0; i < JOBS; i++) {
        struct job *j = &q.jobs[(from + i) % JOBS];
        if (!j->waits) continue;
        if (one_in(5)) j->rc = one_in(3) ? -ECANCELED : -EIO;
        step(by, "lets job %d go on with %d", number_of(j), j->rc);
        j->waits = false;
        gate_open(j->fiber, j->rc);
        return;
    }
}

static void open_all_gates(void)
{
    for (int j = 0; j < JOBS; j++) {
        if (!q.jobs[j].waits) continue;
        q.jobs[j].waits = false;
        gate_open(q.jobs[j].fiber, q.jobs[j].rc);
    }
}

/* Somebody may wait for what jobs hold, and cannot be cancelled. */
static void let_go(struct actor *a, bool all)
{
    (void)a;
    if (all) open_all_gates();
}

/* ---- calls -------------------------------------------------------------- */

static int new_job(void)
{
    for (int j = 0; j < JOBS; j++) {
        bool waits_to_be_added = false;
        for (int i = 0; i < q.adders.length; i++)
            waits_to_be_added |= q.adds[q.adders.list[i].who] == j;
        if (q.jobs[j].state != OURS || waits_to_be_added) continue;
        q.jobs[j].rc = 0;
        return j;
    }
    differs("the model has too few jobs");
}

static void adds(struct actor *a)
{
    int j = new_job();
    step(a, "adds job %d", j);
    if (!is_refused(a)) {
        a->expected = puts_in(j);
        if (a->expected == -EAGAIN) {
            waits(a, &workqueues, 0);
            q.adds[a->number] = j;
            line_append(&q.adders, (struct place){a->number, PLAIN, 0});
        }
    }
    (void)returned(a, weft_workqueue_add(&q.queue, runs, &q.jobs[j], drop));
}

static void joins(struct actor *a)
{
    step(a, "joins the work queue");
    if (!is_refused(a)) {
        if (has_jobs()) {
            waits(a, &workqueues, 0);
            line_append(&q.joiners, (struct place){a->number, PLAIN, 0});
        } else {
            a->expected = 0;
        }
    }
    (void)returned(a, weft_workqueue_join(&q.queue));
}

static void stops(struct actor *a)
{
    bool discards = one_in(2);
    step(a, "stops the work queue%s", discards ? ", discarding" : "");
    takes_no_more();
    q.idle = 0;
    q.discards |= discards;
    waits(a, &workqueues, 0);
    line_append(&q.stoppers, (struct place){a->number, PLAIN, 0});
    if (is_cancelled(a)) {
        a->cancellable = false;
        is_cancelled_too();
    }
    look_for_the_end();
    (void)returned(
        a, weft_workqueue_stop(&q.queue, discards ? WEFT_DISCARD : WEFT_DRAIN));
}

static void act(struct actor *a)
{
    if (one_in(30))
        stops(a);
    else if (one_in(5))
        joins(a);
    else
        adds(a);
}

static void poke(struct actor *a)
{
    if (one_in(2)) {
        open_a_gate(a);
        return;
    }
    int j = new_job(), want = puts_in(j);
    step(a, "tries to add job %d", j);
    same("try to add", j,
         weft_workqueue_tryadd(&q.queue, runs, &q.jobs[j], drop), want);
}

/* Who stops goes on waiting, but not for jobs. */
static bool leave(struct actor *a)
{
    (void)line_leave(&q.adders, a->number);
    (void)line_leave(&q.joiners, a->number);
    for (int i = 0; i < q.stoppers.length; i++) {
        if (q.stoppers.list[i].who != a->number) continue;
        is_cancelled_too();
        return false;
    }
    return true;
}

static void open(void)
{
    memset(&q, 0, sizeof q);
    q.workers = 1 + below(3);
    q.room = 1 + below(ROOM);
    weft_workqueue_opts o = {.workers = (unsigned)q.workers,
                             .capacity = (size_t)q.room,
                             .on_failure = on_failure};
    same("open of work queue", 0, weft_workqueue_open(&q.queue, stage(), &o),
         0);
    q.idle = q.workers; /* all is quiet before anything else */
}

static void compare(void)
{
    weft_workqueue_stats is;
    weft_workqueue_stats_read(&q.queue, &is);
    same("waiting jobs", 0, (long long)is.waiting, q.in_row + q.handed);
    same("running jobs", 0, (long long)is.running, q.running);
    same("done jobs", 0, (long long)is.done, (long long)q.stats.done);
    same("failed jobs", 0, (long long)is.failed, (long long)q.stats.failed);
    same("discarded jobs", 0, (long long)is.discarded,
         (long long)q.stats.discarded);
}

/* All that can move has. */
static void quiet(void)
{
    same("handed jobs", 0, q.handed, 0);
    if ((q.discards || q.cancelled) && q.in_row > 0)
        differs("jobs should have been discarded");
    for (int j = 0; j < JOBS; j++)
        if (q.jobs[j].state == RUNS && !q.jobs[j].waits)
            differs("job %d is over, and still runs", j);
}

/* With nobody in it there is another one. */
static void reopen(void)
{
    quiet();
    if (!q.closed || has_jobs() || !one_in(8)) return;
    step(NULL, "opens another work queue");
    open();
    same("settle", 0, weft_test_settle(), 0);
}

static void close(void)
{
    open_all_gates();
    q.closed = q.discards = true;
    int got = weft_workqueue_stop(&q.queue, WEFT_DISCARD);
    same("jobs not run", 0, got, (long long)q.stats.discarded);
    if (has_jobs()) differs("jobs are left");
    compare();
}

const struct kind workqueues = {.name = "work queue",
                                .open = open,
                                .act = act,
                                .poke = poke,
                                .leave = leave,
                                .let_go = let_go,
                                .quiet = reopen,
                                .compare = compare,
                                .close = close};
