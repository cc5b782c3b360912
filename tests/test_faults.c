/* SPDX-License-Identifier: MIT */
/*
 * test_faults.c - small programs that are easily got wrong, got right.
 *
 * Each has a well-known form that loses work, hangs, or leaves something
 * running behind. A test's name says what must not be lost.
 */
#include <weft/background.h>
#include <weft/chan.h>
#include <weft/cleanup.h>
#include <weft/error.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/gather.h>
#include <weft/gen.h>
#include <weft/local.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/sem.h>
#include <weft/task.h>
#include <weft/time.h>

#include <pthread.h>
#include <string.h>

#include "harness.h"
#include "process.h"
#include "runtime/leaks.h"

enum { JOBS = 10 };

/* ---- a queue of jobs ---------------------------------------------------- */

static weft_chan *jobs;
static bool done[JOBS];
static unsigned failures;

static int do_job(int number)
{
    int err = weft_sleep(WEFT_MSEC(1));
    if (err < 0) return err;
    if (number == 3) return weft_fail(-EIO, "job %d", number);
    CHECK(!done[number]);
    done[number] = true;
    return 0;
}

/* A job that fails is done too: it is reported however it went. */
static int works(void *arg)
{
    int number, rc;
    (void)arg;
    while ((rc = weft_chan_recv(jobs, &number)) == 1) {
        int err = do_job(number);
        CHECK_EQ(weft_chan_item_done(jobs), 0);
        if (err == -ECANCELED) return err;
        if (err < 0) failures++;
    }
    return rc;
}

static void queue_all(void)
{
    jobs = weft_chan_new(sizeof(int), JOBS, NULL, 0);
    for (int i = 0; i < JOBS; i++) {
        CHECK_EQ(weft_chan_trysend(jobs, &i), 0);
    }
}

static unsigned count_done(void)
{
    unsigned count = 0;
    for (int i = 0; i < JOBS; i++) {
        count += done[i];
    }
    return count;
}

TEST(a_stop_that_drains_loses_none_of_ten_queued_jobs)
{
    weft_time start = weft_now();
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, works, NULL), 0);
        CHECK_EQ(weft_spawn(&n, works, NULL), 0);
        queue_all();
        weft_chan_close(jobs); /* stop: no more come in, the rest is done */
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(count_done() + failures, JOBS);
    CHECK_EQ(failures, 1);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5));
    weft_chan_free(jobs);
}

TEST(a_stop_that_runs_out_of_time_says_which_jobs_are_left)
{
    int rc, number;
    unsigned left = 0;
    WEFT_NURSERY(n, rc) {
        weft_scope_set_deadline(weft_nursery_scope(&n),
                                weft_after(WEFT_USEC(2500)));
        CHECK_EQ(weft_spawn(&n, works, NULL), 0);
        CHECK_EQ(weft_spawn(&n, works, NULL), 0);
        queue_all();
        weft_chan_close(jobs);
    }
    CHECK_EQ(rc, 0);
    while (weft_chan_tryrecv(jobs, &number) == 1) {
        left++;
    }
    CHECK_EQ(count_done() + failures, 4);
    CHECK_EQ(left, JOBS - 6); /* two were being worked on */
    weft_chan_free(jobs);
}

TEST(a_join_does_not_hang_after_a_job_that_failed)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        weft_spawn_opts daemon = {.daemon = true};
        queue_all();
        CHECK_EQ(weft_spawn_ex(&n, works, NULL, &daemon), 0);
        CHECK_EQ(weft_spawn_ex(&n, works, NULL, &daemon), 0);
        CHECK_EQ(weft_chan_join(jobs), 0);
        CHECK_EQ(count_done() + failures, JOBS);
        CHECK_EQ(failures, 1);
    }
    CHECK_EQ(rc, 0);
    weft_chan_free(jobs);
}

TEST(a_join_that_takes_too_long_is_given_up)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        queue_all();
        CHECK_EQ(weft_spawn(&n, works, NULL), 0);
        weft_scope_set_deadline(weft_nursery_scope(&n),
                                weft_after(WEFT_USEC(1500)));
        rc = weft_chan_join(jobs);
        CHECK_EQ(rc, -ECANCELED);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(count_done(), 1);
    weft_chan_free(jobs);
}

static unsigned consumed, consumers_ended;

static int consumes(void *arg)
{
    int number, rc;
    (void)arg;
    while ((rc = weft_chan_recv(jobs, &number)) == 1) {
        consumed++;
    }
    consumers_ended++;
    return rc;
}

TEST(one_close_ends_both_of_two_consumers)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, consumes, NULL), 0);
        CHECK_EQ(weft_spawn(&n, consumes, NULL), 0);
        queue_all();
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0); /* both wait for more */
        CHECK_EQ(consumers_ended, 0);
        weft_chan_close(jobs);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(consumed, JOBS);
    CHECK_EQ(consumers_ended, 2);
    weft_chan_free(jobs);
}

static void ends_the_queue(void *arg)
{
    weft_chan_sender_done(arg);
}

/* The queue ends with its producer, whichever way that goes. */
static int produces_and_fails(void *arg)
{
    CHECK_EQ(weft_defer(ends_the_queue, jobs), 0);
    for (int i = 0; i < JOBS; i++) {
        int err = weft_chan_send(jobs, &i);
        if (err < 0) return err;
        if (i == *(int *)arg) return weft_fail(-EIO, "no more after %d", i);
    }
    return 0;
}

TEST(a_producer_that_fails_does_not_leave_its_consumer_waiting)
{
    int rc, last = 4;
    weft_nursery_opts opts = {.policy = WEFT_COLLECT};
    jobs = weft_chan_new(sizeof(int), 1, NULL, 0);
    WEFT_NURSERY_EX(n, rc, &opts) {
        CHECK_EQ(weft_spawn(&n, consumes, NULL), 0);
        CHECK_EQ(weft_spawn(&n, produces_and_fails, &last), 0);
    }
    CHECK_EQ(rc, -EIO);
    CHECK_STR(weft_last_error()->msg, "no more after 4");
    CHECK_EQ(consumed, 5); /* and what was there is not lost */
    CHECK_EQ(consumers_ended, 1);
    weft_chan_free(jobs);
}

TEST(in_a_nursery_that_fails_fast_the_consumer_of_a_failed_producer_ends_too)
{
    int rc, last = 4;
    jobs = weft_chan_new(sizeof(int), 1, NULL, 0);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, consumes, NULL), 0);
        CHECK_EQ(weft_spawn(&n, produces_and_fails, &last), 0);
    }
    CHECK_EQ(rc, -EIO);
    CHECK_EQ(consumers_ended, 1);
    weft_chan_free(jobs);
}

/* ---- background --------------------------------------------------------- */

static unsigned alive;

static int stubborn(void *arg)
{
    int rc, cleanup;
    alive++;
    rc = weft_sleep(WEFT_FOREVER);
    WEFT_SHIELD(cleanup, WEFT_FOREVER)
        cleanup = weft_sleep(*(weft_time *)arg);
    CHECK_EQ(cleanup, 0);
    alive--;
    return rc;
}

static int adds_to_the_background_in_time(void *arg)
{
    int err = weft_sleep(WEFT_MSEC(5));
    if (err < 0) return err;
    err = weft_background(stubborn, arg, NULL);
    CHECK_EQ(err, -ESHUTDOWN); /* so it is still ours, and not forgotten */
    return 0;
}

static int shuts_its_background_down(void *arg)
{
    static weft_time some[3] = {0, WEFT_MSEC(3), WEFT_MSEC(30)};
    int rc, left = 0;
    (void)arg;
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_background(stubborn, &some[i], NULL), 0);
    }
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, adds_to_the_background_in_time, &some[0]);
        left = weft_background_shutdown(WEFT_MSEC(10), WEFT_MSEC(5));
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(left, 1); /* not silently */
    CHECK_EQ(alive, 1);
    return left;
}

static void runs_and_shuts_down(void *arg)
{
    weft_run_opts o = {.virtual_clock = true};
    CHECK_EQ(weft_run(shuts_its_background_down, arg, &o), 1);
    CHECK_EQ(alive, 0);
}

TEST_PLAIN(a_shutdown_with_a_timeout_leaves_nobody_and_hides_nobody)
{
    static struct ending e;
    run_in_process(runs_and_shuts_down, NULL, &e);
    CHECK_EQ(e.status, 0);
    CHECK(e.said[0] != '\0');
}

/* ---- transactions ------------------------------------------------------- */

static struct {
    bool open, committed, rolled_back;
    weft_time ended;
} tx;

static void rolls_back(void *arg)
{
    (void)arg;
    int err = weft_sleep(WEFT_MSEC(10)); /* the server has to be asked */
    tx.rolled_back = err == 0;
    tx.open = false;
    tx.ended = weft_now();
}

static int commits(void)
{
    int err = weft_sleep(WEFT_MSEC(1));
    if (err < 0) return err;
    CHECK_EQ(weft_undefer(rolls_back, NULL, false), 0);
    tx.open = false;
    tx.committed = true;
    return 0;
}

static int transacts(void *arg)
{
    CHECK_EQ(weft_defer(rolls_back, NULL), 0);
    tx.open = true;
    int err = weft_sleep(*(weft_time *)arg);
    if (err < 0) return err; /* no way out forgets the rollback */
    return commits();
}

TEST(a_rollback_runs_although_cancelled_and_may_wait)
{
    weft_time span = WEFT_FOREVER, start = weft_now();
    int rc, inner;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        WEFT_NURSERY(n, inner)
            inner = weft_spawn(&n, transacts, &span);
        rc = inner;
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK(tx.rolled_back && !tx.committed && !tx.open);
    CHECK_EQ(tx.ended - start, WEFT_MSEC(15));
    CHECK_EQ(weft_now() - start, WEFT_MSEC(15));
}

TEST(a_transaction_that_commits_is_not_rolled_back)
{
    weft_time span = WEFT_MSEC(1);
    int rc;
    WEFT_NURSERY(n, rc)
        rc = weft_spawn(&n, transacts, &span);
    CHECK_EQ(rc, 0);
    CHECK(tx.committed && !tx.rolled_back && !tx.open);
}

TEST(a_transaction_cancelled_in_its_commit_is_rolled_back)
{
    weft_time span = WEFT_MSEC(1);
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_scope_set_deadline(weft_nursery_scope(&n),
                            weft_after(WEFT_USEC(1500)));
    CHECK_EQ(weft_spawn(&n, transacts, &span), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK(!tx.committed && tx.rolled_back && !tx.open);
}

TEST(a_rollback_whose_server_has_gone_is_bounded)
{
    weft_time span = WEFT_FOREVER, start = weft_now();
    int rc;
    weft_nursery_opts opts = {.cleanup_grace = WEFT_MSEC(4)};
    WEFT_NURSERY_EX(n, rc, &opts) {
        rc = weft_spawn(&n, transacts, &span);
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK(!tx.rolled_back && !tx.open);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5));
}

/* ---- results and errors ------------------------------------------------- */

struct fetch {
    int from;
    int result;
};

static int fetches(void *arg)
{
    struct fetch *f = arg;
    int err = weft_sleep(WEFT_MSEC(10 - f->from));
    if (err < 0) return err;
    f->result = f->from * f->from;
    return 0;
}

TEST(results_are_there_after_the_block)
{
    struct fetch f[5];
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 5; i++) {
            f[i] = (struct fetch){i, -1};
            rc = weft_spawn(&n, fetches, &f[i]);
            if (rc < 0) break;
        }
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(f[i].result, i * i);
    }
}

static unsigned running, cleaned_up;

static int runs_and_cleans_up(void *arg)
{
    int cleanup;
    running++;
    int rc = weft_sleep(*(weft_time *)arg);
    WEFT_SHIELD(cleanup, WEFT_SEC(1))
        cleanup = weft_sleep(WEFT_MSEC(7));
    CHECK_EQ(cleanup, 0);
    running--;
    cleaned_up++;
    return rc;
}

static int fails(void *arg)
{
    int err = weft_sleep(*(weft_time *)arg);
    return err < 0 ? err : weft_fail(-EIO, "one of a thousand");
}

TEST(cancel_on_error_joins_a_thousand)
{
    weft_time for_ever = WEFT_FOREVER, soon = WEFT_MSEC(2);
    weft_time start = weft_now();
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 1000; i++) {
            rc = weft_spawn(&n, i == 500 ? fails : runs_and_cleans_up,
                            i == 500 ? &soon : &for_ever);
            if (rc < 0) break;
        }
    }
    CHECK_EQ(rc, -EIO);
    CHECK_EQ(running, 0);
    CHECK_EQ(cleaned_up, 999);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(9));
    CHECK_STR(weft_last_error()->msg, "one of a thousand");
    CHECK(weft_last_error()->next == NULL);
}

TEST(a_gather_that_fails_leaves_no_sibling_running)
{
    weft_time for_ever = WEFT_FOREVER, soon = WEFT_MSEC(2), now = 0;
    weft_time start = weft_now();
    weft_job all[] = {{.fn = runs_and_cleans_up, .arg = &for_ever},
                      {.fn = fails, .arg = &soon},
                      {.fn = runs_and_cleans_up, .arg = &now}};
    CHECK_EQ(weft_gather(all, 3, NULL), -EIO);
    CHECK_EQ(running, 0);
    CHECK_EQ(cleaned_up, 2);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(9));
    CHECK_EQ(all[0].status, WEFT_CANCELLED);
    CHECK_EQ(all[1].rc, -EIO);
}

static int cancels_itself_only(void *arg)
{
    weft_task_cancel(arg, 0, NULL);
    return weft_checkpoint();
}

TEST(a_cancelled_child_does_not_cancel_the_one_who_joins_it)
{
    weft_task task;
    weft_outcome out;
    int rc;
    weft_spawn_opts opts = {.task = &task};
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn_ex(&n, cancels_itself_only, &task, &opts);
        CHECK_EQ(weft_join(&task, &out), 0);
        CHECK_EQ(out.status, WEFT_CANCELLED);
        CHECK_EQ(weft_checkpoint(), 0);
    }
    CHECK_EQ(rc, 0);
}

static struct {
    int closed, gathered, mapped;
} of_daemon;

static int stays(void *arg)
{
    (void)arg;
    return weft_sleep_until(WEFT_FOREVER);
}

static int closes_a_nursery(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, stays, NULL);
    }
    of_daemon.closed = rc;
    return rc;
}

static int gathers(void *arg)
{
    weft_job job = {.fn = stays, .arg = arg};
    of_daemon.gathered = weft_gather(&job, 1, NULL);
    CHECK_EQ(job.status, WEFT_CANCELLED);
    return of_daemon.gathered;
}

static int stays_too(size_t i, void *context)
{
    (void)i;
    return stays(context);
}

static int maps(void *arg)
{
    (void)arg;
    of_daemon.mapped = weft_map(3, stays_too, NULL, NULL, NULL);
    return of_daemon.mapped;
}

TEST(what_a_daemon_waited_for_when_it_was_cancelled_was_not_done)
{
    static const weft_fn daemons[] = {closes_a_nursery, gathers, maps};
    int rc;
    WEFT_NURSERY(n, rc) {
        weft_spawn_opts opts = {.daemon = true};
        for (int i = 0; i < 3; i++) {
            rc = weft_spawn_ex(&n, daemons[i], NULL, &opts);
        }
        CHECK_EQ(weft_sleep(1), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(of_daemon.closed, -ECANCELED);
    CHECK_EQ(of_daemon.gathered, -ECANCELED);
    CHECK_EQ(of_daemon.mapped, -ECANCELED);
}

/* ---- generators --------------------------------------------------------- */

static bool session_open;
static unsigned rows_made;

static void closes_the_session(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    session_open = false;
}

static int rows(weft_gen *g, void *arg)
{
    int row;
    session_open = true;
    CHECK_EQ(weft_defer(closes_the_session, NULL), 0);
    for (row = 0; row < *(int *)arg; row++) {
        rows_made++;
        int err = weft_gen_yield(g, &row);
        if (err < 0) return err;
    }
    return row == 7 ? weft_fail(-EIO, "no eighth") : 0;
}

TEST(an_early_break_out_of_a_generator_runs_its_clean_up_first)
{
    int rc, seen = 0, count = 100;
    WEFT_FOREACH(int *, row, rc, rows, &count) {
        CHECK(session_open);
        CHECK_EQ(*row, seen);
        if (++seen == 3) break;
    }
    CHECK(!session_open); /* not later, not by a collector: now */
    CHECK_EQ(rc, 0);
    CHECK_EQ(rows_made, 3); /* and it was never a step ahead */
}

static int finds(int wanted, int count)
{
    int rc;
    WEFT_FOREACH(int *, row, rc, rows, &count) {
        if (*row == wanted) return 1000 + wanted;
    }
    return rc;
}

TEST(a_return_out_of_a_generator_loop_runs_its_clean_up_first)
{
    CHECK_EQ(finds(5, 100), 1005);
    CHECK(!session_open);
    CHECK_EQ(finds(50, 10), 0);
    CHECK(!session_open);
    CHECK_EQ(finds(50, 7), -EIO);
    CHECK(!session_open);
    CHECK_STR(weft_last_error()->msg, "no eighth");
}

TEST(a_deadline_in_a_generator_loop_stays_with_the_consumer)
{
    int rc, inner, seen = 0, count = 100;
    WEFT_FOREACH(int *, row, rc, rows, &count) {
        WEFT_FAIL_AFTER(inner, WEFT_MSEC(1))
            inner = weft_sleep(WEFT_SEC(1));
        CHECK_EQ(inner, -ETIMEDOUT);
        CHECK_EQ(*row, seen);
        if (++seen == 4) break;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(rows_made, 4);
    CHECK(!session_open);
}

/* ---- limits ------------------------------------------------------------- */

static unsigned at_once, most_at_once;

static int is_one_of_many(size_t i, void *context)
{
    (void)context;
    at_once++;
    if (at_once > most_at_once) most_at_once = at_once;
    int err = weft_sleep(WEFT_USEC((weft_time)(1 + i % 7)));
    at_once--;
    return err;
}

TEST(ten_thousand_things_need_no_ten_thousand_fibers)
{
    weft_gather_opts opts = {.limit = 50};
    CHECK_EQ(weft_map(10000, is_one_of_many, NULL, NULL, &opts), 0);
    CHECK_EQ(most_at_once, 50);
    CHECK_EQ(at_once, 0);
}

static weft_sem pool;
static unsigned tries;

static int takes_a_connection(void *arg)
{
    int rc = weft_sem_acquire(&pool, 1);
    if (rc < 0) return rc;
    rc = weft_sleep(*(weft_time *)arg);
    CHECK_EQ(weft_sem_release(&pool, 1), 0);
    tries++;
    return rc;
}

TEST(a_pool_is_whole_after_time_outs)
{
    weft_time spans[2] = {WEFT_MSEC(1), WEFT_SEC(100)};
    int rc;
    weft_sem_init(&pool, 2, 2);
    for (int round = 0; round < 20; round++) {
        WEFT_MOVE_ON_AFTER(rc, WEFT_USEC(1500 + round * 100)) {
            int inner;
            WEFT_NURSERY(n, inner) {
                for (int i = 0; i < 6; i++) {
                    CHECK_EQ(weft_spawn(&n, takes_a_connection, &spans[i % 2]),
                             0);
                }
            }
            rc = inner;
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(weft_sem_value(&pool), 2);
    }
    CHECK(tries > 0);
}

/* ---- a long life -------------------------------------------------------- */

static int is_ready_and_ends(void *arg)
{
    (void)weft_started(arg);
    return 0;
}

static int fails_at_once(void *arg)
{
    return weft_fail(-EIO, "%p", arg);
}

static void does_nothing(void *arg)
{
    (void)arg;
}

static int closes_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int defers_and_ends(void *arg)
{
    CHECK_EQ(weft_defer(does_nothing, arg), 0);
    return 0;
}

static weft_key trace = {.name = "trace"};

/* What a server does for each of its requests. */
static void serve_a_request(weft_nursery *server)
{
    weft_owned owned;
    weft_task task;
    void *got;
    weft_gen g;
    int rc, count = 3;
    weft_spawn_opts opts = {.task = &task};
    weft_job both[] = {{.fn = is_ready_and_ends}, {.fn = fails_at_once}};

    CHECK_EQ(weft_local_push(&trace, &rc), 0);
    CHECK_EQ(weft_start(server, is_ready_and_ends, NULL, NULL), 0);
    CHECK_EQ(weft_start(server, fails_at_once, NULL, NULL), -EIO);
    CHECK_EQ(weft_spawn(server, defers_and_ends, NULL), 0);
    CHECK_EQ(weft_own(server, closes_nothing, NULL, &owned), 0);
    CHECK_EQ(weft_disown(owned, true), 0);
    CHECK_EQ(weft_defer(does_nothing, NULL), 0);
    CHECK_EQ(weft_undefer(does_nothing, NULL, true), 0);
    CHECK_EQ(weft_background(is_ready_and_ends, NULL, NULL), 0);
    CHECK_EQ(weft_gather(both, 2, NULL), -EIO);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_own(&n, closes_nothing, NULL, NULL), 0);
        rc = weft_spawn_ex(&n, fails_at_once, NULL, &opts);
    }
    CHECK_EQ(rc, -EIO);
    CHECK_EQ(weft_gen_open(&g, rows, &count), 0);
    CHECK_EQ(weft_gen_next(&g, &got), 1);
    CHECK_EQ(weft_gen_close(&g), 0);
    WEFT_FAIL_AFTER(rc, 1) {
        rc = weft_start(server, takes_a_connection, &(weft_time){1}, NULL);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_local_pop(&trace), 0);
}

TEST(a_long_life_needs_no_more_memory_than_a_short_one)
{
    struct wf_leaks early, late;
    int rc, requests = test_is_slow() ? 300 : 3000;
    weft_sem_init(&pool, 0, 1);
    WEFT_NURSERY(server, rc) {
        for (int i = 0; i < requests; i++) {
            serve_a_request(&server);
            CHECK_EQ(weft_sleep(1), 0);
            if (i == requests / 10) wf_leaks_read(&early);
        }
        wf_leaks_read(&late);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(late.bytes, early.bytes);
}

/* ---- threads ------------------------------------------------------------ */

struct life {
    pthread_t thread;
    int closed, deferred, ran, result;
};

static int closes_in_a_life(void *arg)
{
    ((struct life *)arg)->closed++;
    return weft_yield();
}

static void defers_in_a_life(void *arg)
{
    ((struct life *)arg)->deferred++;
}

static int lives_a_little(void *arg)
{
    struct life *l = arg;
    int err = weft_defer(defers_in_a_life, l);
    if (err == 0) err = weft_started(l);
    if (err == 0) err = weft_sleep(WEFT_USEC(20));
    if (err == 0) l->ran++;
    return err;
}

static int lives(void *arg)
{
    struct life *l = arg;
    int rc = 0;
    for (int i = 0; i < 100 && rc == 0; i++) {
        WEFT_NURSERY(n, rc) {
            weft_owned owned;
            rc = weft_own(&n, closes_in_a_life, l, NULL);
            if (rc == 0) rc = weft_own(&n, closes_in_a_life, l, &owned);
            if (rc == 0) rc = weft_disown(owned, true);
            if (rc == 0) rc = weft_spawn(&n, lives_a_little, l);
            if (rc == 0) rc = weft_start(&n, lives_a_little, l, NULL);
            if (rc == 0) rc = weft_background(lives_a_little, l, NULL);
        }
    }
    return rc;
}

static void *runs_in_a_thread(void *arg)
{
    struct life *l = arg;
    weft_run_opts o = {.virtual_clock = true};
    l->result = weft_run(lives, l, &o);
    return NULL;
}

TEST_PLAIN(each_thread_has_its_own_of_everything)
{
    static struct life all[4];
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(
            pthread_create(&all[i].thread, NULL, runs_in_a_thread, &all[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(pthread_join(all[i].thread, NULL), 0);
        CHECK_EQ(all[i].result, 0);
        CHECK_EQ(all[i].closed, 200);
        CHECK_EQ(all[i].deferred, 300);
        CHECK_EQ(all[i].ran, 300);
    }
}
