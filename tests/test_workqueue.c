/* SPDX-License-Identifier: MIT */
/*
 * test_workqueue.c - jobs are run or discarded, each of them once: by workers,
 * stops, cancellations, and the end of the nursery.
 */
#include <weft/cleanup.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/local.h>
#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/rwlock.h>
#include <weft/scope.h>
#include <weft/testing.h>
#include <weft/time.h>
#include <weft/workqueue.h>

#include <errno.h>
#include <string.h>

#include "chance.h"
#include "harness.h"
#include "open.h"

enum { MANY = 100 };

static weft_workqueue q;

/* A job, and what became of it. */
struct job {
    weft_time takes;
    int rc; /* what it returns, unless it is cancelled */
    int result;
    int begun, dropped; /* 1, 2, ... in the order of these */
    weft_time at;       /* when it was begun */
    const char *worker;
};

static struct job jobs[MANY];
static int begun, dropped, running, most;

static int run(void *arg)
{
    struct job *j = arg;
    CHECK_EQ(j->begun, 0);
    CHECK_EQ(j->dropped, 0);
    j->begun = ++begun;
    j->at = weft_now();
    j->worker = weft_fiber_name();
    if (++running > most) most = running;
    int err = j->takes ? weft_sleep(j->takes) : 0;
    running--;
    j->result = err < 0 ? err : j->rc;
    if (j->result < 0 && j->result != -ECANCELED)
        return weft_fail(j->result, "job %d", (int)(j - jobs));
    return j->result;
}

static void drop(void *arg)
{
    struct job *j = arg;
    CHECK_EQ(j->dropped, 0);
    j->dropped = ++dropped;
}

static int add(int i)
{
    return weft_workqueue_add(&q, run, &jobs[i], drop);
}

static int tryadd(int i)
{
    return weft_workqueue_tryadd(&q, run, &jobs[i], drop);
}

static void add_all(int from, int to, weft_time takes)
{
    for (int i = from; i < to; i++) {
        jobs[i].takes = takes;
        CHECK_EQ(add(i), 0);
    }
}

static void open_queue(weft_nursery *n, unsigned workers, size_t capacity)
{
    const weft_workqueue_opts o = {.workers = workers, .capacity = capacity};
    CHECK_EQ(weft_workqueue_open(&q, n, &o), 0);
}

static void open_both(weft_nursery *n, unsigned workers, size_t capacity)
{
    memset(jobs, 0, sizeof jobs);
    begun = dropped = running = most = 0;
    CHECK_EQ(weft_nursery_open(n, NULL), 0);
    open_queue(n, workers, capacity);
}

static weft_workqueue_stats stats(void)
{
    weft_workqueue_stats s;
    weft_workqueue_stats_read(&q, &s);
    return s;
}

static void check_stats(size_t waiting, size_t now_running, uint64_t done,
                        uint64_t discarded)
{
    weft_workqueue_stats s = stats();
    CHECK_EQ(s.waiting, waiting);
    CHECK_EQ(s.running, now_running);
    CHECK_EQ(s.done, done);
    CHECK_EQ(s.discarded, discarded);
}

/* ---- the plain case ----------------------------------------------------- */

TEST(pattern_55_a_fixed_number_of_workers_does_the_jobs)
{
    weft_nursery n;
    open_both(&n, 3, 64);
    weft_time start = weft_now();
    add_all(0, 9, WEFT_SEC(1));
    CHECK_EQ(weft_workqueue_join(&q), 0);
    CHECK_EQ(weft_now() - start, WEFT_SEC(3));
    CHECK_EQ(most, 3);
    for (int i = 0; i < 9; i++) {
        CHECK_EQ(jobs[i].begun, i + 1);
        CHECK_EQ(jobs[i].at - start, WEFT_SEC(i / 3));
        CHECK(jobs[i].dropped);
        CHECK_STR(jobs[i].worker, "worker");
    }
    CHECK_EQ(weft_workqueue_stop(&q, WEFT_DRAIN), 0);
    CHECK_EQ(weft_nursery_count(&n), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(with_no_options_there_is_one_worker_and_room_for_64)
{
    weft_nursery n;
    memset(jobs, 0, sizeof jobs);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_workqueue_open(&q, &n, NULL), 0);
    for (int i = 0; i < 64; i++)
        CHECK_EQ(tryadd(i), 0);
    CHECK_EQ(tryadd(64), -EAGAIN);
    check_stats(64, 0, 0, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(most, 1);
    CHECK_EQ(begun, 64);
}

TEST(pattern_59_a_full_queue_makes_who_adds_wait)
{
    weft_nursery n;
    open_both(&n, 1, 2);
    CHECK_EQ(weft_test_settle(), 0);
    weft_time start = weft_now();
    for (int i = 0; i < 6; i++) {
        jobs[i].takes = WEFT_SEC(1);
        CHECK_EQ(add(i), 0);
        /* One runs and two wait, so the fourth comes in when the first ends. */
        CHECK_EQ(weft_now() - start, i < 3 ? 0 : WEFT_SEC(i - 2));
    }
    CHECK_EQ(tryadd(6), -EAGAIN);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(begun, 6);
    CHECK_EQ(jobs[6].dropped, 0);
}

TEST(a_job_goes_straight_to_a_worker_with_nothing_to_do)
{
    weft_nursery n;
    open_both(&n, 3, 1);
    CHECK_EQ(weft_test_settle(), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(tryadd(i), 0);
    CHECK_EQ(tryadd(4), -EAGAIN);
    check_stats(4, 0, 0, 0);
    CHECK_EQ(weft_workqueue_join(&q), 0);
    check_stats(0, 0, 4, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(what_is_counted_adds_up_all_the_time)
{
    weft_nursery n;
    open_both(&n, 2, 8);
    add_all(0, 5, WEFT_SEC(1));
    jobs[1].rc = -EIO;
    check_stats(5, 0, 0, 0);
    CHECK_EQ(weft_sleep(1), 0);
    check_stats(3, 2, 0, 0);
    CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
    check_stats(1, 2, 2, 0);
    CHECK_EQ(stats().failed, 1);
    CHECK_EQ(weft_workqueue_stop(&q, WEFT_DISCARD), 1);
    check_stats(0, 0, 4, 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    check_stats(0, 0, 4, 1); /* it can be asked after the end */
}

TEST(jobs_may_have_nothing_to_drop)
{
    weft_nursery n;
    open_both(&n, 1, 8);
    CHECK_EQ(weft_workqueue_add(&q, run, &jobs[0], NULL), 0);
    CHECK_EQ(weft_workqueue_add(&q, run, &jobs[1], NULL), 0);
    CHECK_EQ(weft_workqueue_stop(&q, WEFT_DISCARD), 2);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(begun, 0);
}

/* ---- failures ----------------------------------------------------------- */

static int told, told_code;
static char told_msg[64];

static void note_failure(int code, const weft_error *e, void *arg, void *user)
{
    struct job *j = arg;
    CHECK_EQ(j->dropped, 0);
    CHECK_EQ(e->code, code);
    CHECK_STR(e->name, "hand");
    strcpy(told_msg, e->msg);
    told_code = code;
    told += *(int *)user;
}

static int unhandled;

static void note_unhandled(const weft_error *e)
{
    told_code = e->code;
    strcpy(told_msg, e->msg);
    unhandled++;
}

TEST(pattern_52_join_does_not_hang_after_a_job_that_fails)
{
    weft_nursery n;
    weft_on_unhandled(note_unhandled);
    open_both(&n, 1, 8);
    jobs[0].rc = -EIO;
    jobs[2].rc = -EPROTO;
    add_all(0, 4, 1);
    CHECK_EQ(weft_workqueue_join(&q), 0);
    CHECK_EQ(stats().done, 4);
    CHECK_EQ(stats().failed, 2);
    CHECK_EQ(unhandled, 2);
    CHECK_STR(told_msg, "job 2");
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(dropped, 4);
    weft_on_unhandled(NULL);
}

TEST(pattern_58_who_wants_to_know_is_told_of_failures)
{
    int one = 1;
    weft_nursery n;
    const weft_workqueue_opts o = {
        .name = "hand", .on_failure = note_failure, .user = &one};
    weft_on_unhandled(note_unhandled);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_workqueue_open(&q, &n, &o), 0);
    jobs[0].rc = -EIO;
    jobs[1].rc = 5; /* no failure */
    jobs[2].rc = -EPROTO;
    add_all(0, 3, 1);
    CHECK_EQ(weft_workqueue_join(&q), 0);
    CHECK_EQ(told, 2);
    CHECK_EQ(told_code, -EPROTO);
    CHECK_STR(told_msg, "job 2");
    CHECK_EQ(unhandled, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    weft_on_unhandled(NULL);
}

static int fails_without_a_word(void *arg)
{
    (void)arg;
    CHECK(!weft_last_error());
    return -EIO;
}

TEST(the_record_of_one_job_is_not_taken_for_that_of_the_next)
{
    weft_nursery n;
    weft_on_unhandled(note_unhandled);
    open_both(&n, 1, 8);
    jobs[0].rc = -EIO;
    CHECK_EQ(add(0), 0);
    CHECK_EQ(weft_workqueue_join(&q), 0);
    CHECK_STR(told_msg, "job 0");
    CHECK_EQ(weft_workqueue_add(&q, fails_without_a_word, NULL, NULL), 0);
    CHECK_EQ(weft_workqueue_join(&q), 0);
    CHECK_EQ(unhandled, 2);
    CHECK_EQ(told_code, -EIO);
    CHECK_STR(told_msg, "");
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    weft_on_unhandled(NULL);
}

static int fails_and_recovers(void *arg)
{
    (void)arg;
    (void)weft_fail(-EIO, "got over it");
    return 0;
}

TEST(what_a_job_got_over_is_not_told_of_the_next)
{
    weft_nursery n;
    weft_on_unhandled(note_unhandled);
    open_both(&n, 1, 8);
    CHECK_EQ(weft_workqueue_add(&q, fails_and_recovers, NULL, NULL), 0);
    CHECK_EQ(weft_workqueue_add(&q, fails_without_a_word, NULL, NULL), 0);
    CHECK_EQ(weft_workqueue_join(&q), 0);
    CHECK_EQ(unhandled, 1);
    CHECK_STR(told_msg, "");
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    weft_on_unhandled(NULL);
}

static int returns_cancelled(void *arg)
{
    (void)arg;
    return -ECANCELED;
}

TEST(cancelled_for_no_reason_is_a_failure)
{
    weft_nursery n;
    weft_on_unhandled(note_unhandled);
    open_both(&n, 1, 8);
    CHECK_EQ(weft_workqueue_add(&q, returns_cancelled, NULL, NULL), 0);
    CHECK_EQ(weft_workqueue_join(&q), 0);
    CHECK_EQ(stats().failed, 1);
    CHECK_EQ(unhandled, 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    weft_on_unhandled(NULL);
}

static void open_with_policy(weft_nursery *n, weft_policy policy,
                             unsigned max_failures)
{
    const weft_nursery_opts no = {.policy = policy};
    const weft_workqueue_opts o = {.workers = 2, .max_failures = max_failures};
    memset(jobs, 0, sizeof jobs);
    begun = dropped = unhandled = 0;
    weft_on_unhandled(note_unhandled);
    CHECK_EQ(weft_nursery_open(n, &no), 0);
    CHECK_EQ(weft_workqueue_open(&q, n, &o), 0);
}

TEST(pattern_58_too_many_failures_stop_the_queue_and_fail_the_nursery)
{
    weft_nursery n;
    open_with_policy(&n, WEFT_FAIL_FAST, 2);
    jobs[0].rc = -EIO;
    jobs[2].rc = -EPROTO;
    add_all(0, 3, WEFT_SEC(1));
    add_all(3, 9, WEFT_SEC(100));
    CHECK_EQ(weft_nursery_close(&n, 0), -EPROTO);
    CHECK_STR(weft_last_error()->msg, "job 2");
    CHECK_EQ(unhandled, 1); /* of the first; the last one is the nursery's */
    CHECK_EQ(dropped, 9);
    CHECK_EQ(begun, 4); /* 0 1, 2 3 */
    CHECK_EQ(jobs[3].result, -ECANCELED);
    check_stats(0, 0, 4, 5);
    CHECK_EQ(stats().failed, 2);
    weft_on_unhandled(NULL);
}

TEST(a_nursery_that_collects_lets_the_other_jobs_end)
{
    weft_nursery n;
    open_with_policy(&n, WEFT_COLLECT, 1);
    jobs[0].rc = -EIO;
    jobs[0].takes = WEFT_SEC(1);
    jobs[1].rc = -EPROTO;
    jobs[1].takes = WEFT_SEC(5);
    CHECK_EQ(add(0), 0);
    CHECK_EQ(add(1), 0);
    CHECK_EQ(add(2), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    CHECK_EQ(jobs[1].result, -EPROTO);
    CHECK_EQ(jobs[2].begun, 0);
    CHECK_EQ(dropped, 3);
    CHECK_EQ(unhandled, 1); /* job 1, which came too late to fail anything */
    CHECK_STR(told_msg, "job 1");
    check_stats(0, 0, 2, 1);
    weft_on_unhandled(NULL);
}

static void fails_in_drop(void *arg)
{
    (void)arg;
    (void)weft_fail(-EIO, "in a drop");
}

TEST(what_drops_fail_at_does_not_replace_the_failure)
{
    weft_nursery n;
    open_with_policy(&n, WEFT_COLLECT, 1);
    jobs[0].rc = -EIO;
    CHECK_EQ(weft_workqueue_add(&q, run, &jobs[0], fails_in_drop), 0);
    CHECK_EQ(weft_workqueue_add(&q, run, &jobs[1], fails_in_drop), 0);
    CHECK_EQ(weft_workqueue_add(&q, run, &jobs[2], fails_in_drop), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    CHECK_STR(weft_last_error()->msg, "job 0");
    CHECK(!weft_last_error()->next);
    weft_on_unhandled(NULL);
}

static void takes_its_time(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_sleep(WEFT_SEC(3)), 0);
}

static int fails_and_takes_its_time(void *arg)
{
    CHECK_EQ(weft_defer(takes_its_time, arg), 0);
    return run(arg);
}

TEST(after_one_failure_too_many_nothing_more_is_begun)
{
    weft_nursery n;
    open_with_policy(&n, WEFT_COLLECT, 1);
    jobs[0].rc = -EIO;
    CHECK_EQ(weft_workqueue_add(&q, fails_and_takes_its_time, &jobs[0], drop),
             0);
    add_all(1, 2, WEFT_SEC(1));
    add_all(2, 9, 0);
    CHECK_EQ(weft_sleep(WEFT_SEC(2)), 0);
    CHECK_EQ(add(9), -ESHUTDOWN);
    CHECK_EQ(begun, 1); /* 0 was, and failed before a worker came to 1 */
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    CHECK_EQ(begun, 1);
    CHECK_EQ(dropped, 9);
    check_stats(0, 0, 1, 8);
    weft_on_unhandled(NULL);
}

TEST(a_cancellation_does_not_replace_the_failure_that_was_one_too_many)
{
    weft_nursery n;
    open_with_policy(&n, WEFT_COLLECT, 1);
    jobs[0].rc = -EIO;
    jobs[0].takes = jobs[1].takes = 1; /* both have begun when it fails */
    for (int i = 0; i < 2; i++)
        CHECK_EQ(
            weft_workqueue_add(&q, fails_and_takes_its_time, &jobs[i], drop),
            0);
    add_all(2, 5, 0);
    CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
    weft_nursery_cancel(&n, -EINTR, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    CHECK_STR(weft_last_error()->msg, "job 0");
    CHECK_EQ(dropped, 5);
    CHECK_EQ(unhandled, 0);
    weft_on_unhandled(NULL);
}

TEST(a_nursery_that_supervises_tells_the_hook_once)
{
    weft_nursery n;
    open_with_policy(&n, WEFT_SUPERVISE, 1);
    jobs[0].rc = -EIO;
    CHECK_EQ(add(0), 0);
    CHECK_EQ(weft_workqueue_join(&q), 0);
    CHECK_EQ(add(1), -ESHUTDOWN);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(unhandled, 1);
    weft_on_unhandled(NULL);
}

/* ---- adding ------------------------------------------------------------- */

struct adder {
    int job;
    int result; /* 1: it waits */
    weft_scope scope;
};

static int adds(void *arg)
{
    struct adder *a = arg;
    CHECK_EQ(weft_scope_begin(&a->scope), 0);
    a->result = add(a->job);
    return weft_scope_end(&a->scope, 0);
}

static void start_adder(weft_nursery *n, struct adder *a, int job)
{
    *a = (struct adder){.job = job, .result = 1};
    weft_scope_init(&a->scope);
    CHECK_EQ(weft_spawn(n, adds, a), 0);
    CHECK_EQ(weft_test_settle(), 0);
}

TEST(pattern_56_who_waits_for_room_is_served_in_line_and_may_give_up)
{
    weft_nursery n;
    struct adder a[4];
    open_both(&n, 1, 1);
    CHECK_EQ(weft_test_settle(), 0);
    add_all(0, 2, WEFT_SEC(1));
    for (int i = 0; i < 4; i++)
        start_adder(&n, &a[i], 2 + i);
    weft_scope_cancel(&a[1].scope, 0, NULL);
    CHECK_EQ(weft_test_settle(), 0);
    CHECK_EQ(a[1].result, -ECANCELED);
    CHECK_EQ(a[0].result, 1);
    CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
    CHECK_EQ(weft_test_settle(), 0);
    CHECK_EQ(a[0].result, 0);
    CHECK_EQ(a[2].result, 1);
    CHECK_EQ(tryadd(50), -EAGAIN);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(jobs[2].begun, 3);
    CHECK_EQ(jobs[4].begun, 4);
    CHECK_EQ(jobs[5].begun, 5);
    CHECK_EQ(jobs[3].begun + jobs[3].dropped, 0); /* still its adder's */
}

TEST(room_that_was_given_is_not_taken_back)
{
    weft_nursery n;
    struct adder a;
    open_both(&n, 1, 1);
    CHECK_EQ(weft_test_settle(), 0);
    add_all(0, 2, WEFT_SEC(1));
    start_adder(&n, &a, 2);
    /* In one turn the first job ends, the second begins, the third is in; then
     * its adder is cancelled before it could run, or has run. */
    CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
    while (jobs[1].begun == 0)
        CHECK_EQ(weft_yield(), 0);
    weft_scope_cancel(&a.scope, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(a.result, 0);
    CHECK_EQ(begun, 3);
}

TEST(pattern_56_what_was_not_taken_is_still_the_callers)
{
    weft_nursery n;
    weft_scope s;
    open_both(&n, 1, 1);
    open_cancelled_scope(&s);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(add(0), -ECANCELED);
    CHECK_EQ(tryadd(1), 0); /* no cancel point */
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), 0);
    CHECK_EQ(weft_workqueue_stop(&q, WEFT_DRAIN), 0);
    CHECK_EQ(add(2), -ESHUTDOWN);
    CHECK_EQ(tryadd(2), -ESHUTDOWN);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(add(2), -ESHUTDOWN);
    CHECK_EQ(dropped, 1);
    CHECK_EQ(jobs[0].dropped + jobs[2].dropped, 0);
}

TEST(a_queue_of_zeros_is_one_that_was_stopped)
{
    weft_workqueue none = {0};
    CHECK_EQ(weft_workqueue_add(&none, run, NULL, NULL), -ESHUTDOWN);
    CHECK_EQ(weft_workqueue_tryadd(&none, run, NULL, NULL), -ESHUTDOWN);
    CHECK_EQ(weft_workqueue_join(&none), 0);
    CHECK_EQ(weft_workqueue_stop(&none, WEFT_DRAIN), 0);
    CHECK_EQ(weft_workqueue_stop(&none, WEFT_DISCARD), 0);
}

TEST_PLAIN(outside_a_fiber_nothing_waits)
{
    weft_workqueue none = {0};
    weft_nursery n;
    memset(&n, 0, sizeof n);
    CHECK_EQ(weft_workqueue_open(&none, &n, NULL), -EPERM);
    CHECK_EQ(weft_workqueue_add(&none, run, NULL, NULL), -EPERM);
    CHECK_EQ(weft_workqueue_join(&none), -EPERM);
    CHECK_EQ(weft_workqueue_stop(&none, WEFT_DRAIN), -EPERM);
}

/* ---- opening ------------------------------------------------------------ */

TEST(a_nursery_without_room_for_all_workers_gets_none)
{
    const weft_nursery_opts no = {.limit = 3};
    const weft_workqueue_opts o = {.workers = 4};
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, &no), 0);
    CHECK_EQ(weft_workqueue_open(&q, &n, &o), -EAGAIN);
    memset(&q, 0xaa, sizeof q); /* whoever was started does not look at it */
    CHECK_EQ(weft_test_settle(), 0);
    CHECK_EQ(weft_nursery_count(&n), 0);
    open_queue(&n, 3, 4);
    CHECK_EQ(add(0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(begun, 1);
}

TEST(a_closed_nursery_gets_no_workers)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_workqueue_open(&q, &n, NULL), -ESHUTDOWN);
    CHECK_EQ(add(0), -ESHUTDOWN);
    CHECK_EQ(weft_workqueue_stop(&q, WEFT_DRAIN), 0);
}

TEST(more_room_than_there_is_memory_is_refused)
{
    const weft_workqueue_opts o = {.capacity = SIZE_MAX / 8};
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_workqueue_open(&q, &n, &o), -ENOMEM);
    CHECK_EQ(add(0), -ESHUTDOWN);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

enum { DEEP = 512 * 1024 };

static int goes_deep(void *arg)
{
    volatile char frame[DEEP];
    for (size_t i = 0; i < sizeof frame; i += 1024)
        frame[i] = 1;
    *(int *)arg += frame[0];
    return 0;
}

TEST(workers_may_have_stacks_of_another_size)
{
    const weft_workqueue_opts o = {.workers = 2, .stack_size = 2 * DEEP};
    const weft_workqueue_opts huge = {.stack_size = SIZE_MAX};
    weft_nursery n;
    int times = 0;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_workqueue_open(&q, &n, &huge), -ENOMEM);
    CHECK_EQ(weft_workqueue_open(&q, &n, &o), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(weft_workqueue_add(&q, goes_deep, &times, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(times, 4);
}

TEST(a_queue_may_be_opened_again_once_it_has_ended)
{
    weft_nursery n;
    open_both(&n, 2, 4);
    for (int i = 0; i < 5; i++) {
        if (i > 0) open_queue(&n, 2, 4);
        CHECK_EQ(add(i), 0);
        CHECK_EQ(weft_workqueue_stop(&q, i % 2 ? WEFT_DRAIN : WEFT_DISCARD),
                 i % 2 ? 0 : 1);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(begun, 2);
    CHECK_EQ(dropped, 5);
}

/* ---- joining ------------------------------------------------------------ */

TEST(join_waits_for_what_runs_and_what_waits)
{
    weft_nursery n;
    open_both(&n, 1, 4);
    weft_time start = weft_now();
    CHECK_EQ(weft_workqueue_join(&q), 0); /* there is nothing */
    add_all(0, 3, WEFT_SEC(1));
    CHECK_EQ(weft_workqueue_join(&q), 0);
    CHECK_EQ(weft_now() - start, WEFT_SEC(3));
    CHECK_EQ(dropped, 3);
    CHECK_EQ(weft_workqueue_join(&q), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_cancelled_join_leaves_the_jobs_alone)
{
    weft_nursery n;
    int rc;
    open_both(&n, 1, 4);
    add_all(0, 2, WEFT_SEC(1));
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(500)) {
        rc = weft_workqueue_join(&q);
        CHECK_EQ(weft_workqueue_join(&q), -ECANCELED);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_workqueue_join(&q), 0);
    CHECK_EQ(jobs[1].result, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* ---- stopping ----------------------------------------------------------- */

TEST(pattern_57_a_stop_that_drains_loses_nothing)
{
    weft_nursery n;
    open_both(&n, 2, 16);
    weft_time start = weft_now();
    add_all(0, 10, WEFT_SEC(1));
    CHECK_EQ(weft_workqueue_stop(&q, WEFT_DRAIN), 0);
    CHECK_EQ(weft_now() - start, WEFT_SEC(5));
    CHECK_EQ(begun, 10);
    CHECK_EQ(dropped, 10);
    check_stats(0, 0, 10, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(pattern_57_a_stop_that_discards_lets_end_what_has_begun)
{
    weft_nursery n;
    open_both(&n, 2, 16);
    weft_time start = weft_now();
    add_all(0, 10, WEFT_SEC(1));
    CHECK_EQ(weft_sleep(1), 0);
    CHECK_EQ(weft_workqueue_stop(&q, WEFT_DISCARD), 8);
    CHECK_EQ(weft_now() - start, WEFT_SEC(1));
    CHECK_EQ(begun, 2);
    CHECK_EQ(dropped, 10);
    CHECK_EQ(jobs[0].result + jobs[1].result, 0);
    for (int i = 2; i < 10; i++)
        CHECK_EQ(jobs[i].dropped, i - 1);
    check_stats(0, 0, 2, 8);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(what_a_worker_was_handed_but_has_not_begun_is_discarded_too)
{
    weft_nursery n;
    open_both(&n, 2, 16);
    CHECK_EQ(weft_test_settle(), 0);
    add_all(0, 3, 0);
    CHECK_EQ(weft_workqueue_stop(&q, WEFT_DISCARD), 3);
    CHECK_EQ(begun, 0);
    CHECK_EQ(dropped, 3);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

struct stopper {
    weft_stop_mode mode;
    int result; /* -1: it waits */
    weft_time at;
    bool cancelled; /* after it */
    weft_scope scope;
};

static int stops(void *arg)
{
    struct stopper *s = arg;
    CHECK_EQ(weft_scope_begin(&s->scope), 0);
    s->result = weft_workqueue_stop(&q, s->mode);
    s->at = weft_now();
    s->cancelled = weft_checkpoint() == -ECANCELED;
    return weft_scope_end(&s->scope, 0);
}

static void start_stopper(weft_nursery *n, struct stopper *s,
                          weft_stop_mode mode)
{
    *s = (struct stopper){.mode = mode, .result = -1};
    weft_scope_init(&s->scope);
    CHECK_EQ(weft_spawn(n, stops, s), 0);
    CHECK_EQ(weft_test_settle(), 0);
}

TEST(pattern_57_stops_may_come_twice_and_the_second_may_discard)
{
    weft_nursery n;
    struct stopper first, second;
    open_both(&n, 1, 16);
    weft_time start = weft_now();
    add_all(0, 5, WEFT_SEC(1));
    start_stopper(&n, &first, WEFT_DRAIN);
    CHECK_EQ(add(9), -ESHUTDOWN);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1500)), 0);
    CHECK_EQ(begun, 2);
    start_stopper(&n, &second, WEFT_DISCARD);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(first.result, 3);
    CHECK_EQ(second.result, 3);
    CHECK_EQ(first.at - start, WEFT_SEC(2));
    CHECK_EQ(second.at - start, WEFT_SEC(2));
    CHECK_EQ(dropped, 5);
    CHECK_EQ(weft_workqueue_stop(&q, WEFT_DRAIN), 3);
}

TEST(pattern_57_a_cancelled_drain_discards_the_rest_and_cancels_what_has_begun)
{
    weft_nursery n;
    struct stopper s;
    open_both(&n, 2, 16);
    weft_time start = weft_now();
    add_all(0, 10, WEFT_SEC(1));
    start_stopper(&n, &s, WEFT_DRAIN);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1500)), 0);
    weft_scope_cancel(&s.scope, 0, NULL);
    CHECK_EQ(dropped, 2); /* the cancellation itself runs no code of ours */
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(s.result, 6);
    CHECK_EQ(s.at - start, WEFT_MSEC(1500));
    CHECK(s.cancelled);
    CHECK_EQ(begun, 4);
    CHECK_EQ(jobs[2].result, -ECANCELED);
    CHECK_EQ(jobs[3].result, -ECANCELED);
    CHECK_EQ(dropped, 10);
    check_stats(0, 0, 4, 6);
    CHECK_EQ(stats().failed, 0);
}

TEST(a_stop_in_a_cancelled_scope_still_stops)
{
    for (int mode = WEFT_DRAIN; mode <= WEFT_DISCARD; mode++) {
        for (int ran = 0; ran < 2; ran++) {
            weft_nursery n;
            weft_scope s;
            open_both(&n, 2, 16);
            weft_time start = weft_now();
            add_all(0, 10, WEFT_SEC(1));
            if (ran) CHECK_EQ(weft_sleep(1), 0);
            open_cancelled_scope(&s);
            CHECK_EQ(weft_workqueue_stop(&q, (weft_stop_mode)mode),
                     ran ? 8 : 10);
            CHECK_EQ(weft_now() - start, ran);
            CHECK_EQ(weft_checkpoint(), -ECANCELED);
            CHECK_EQ(weft_scope_end(&s, -ECANCELED), 0);
            CHECK_EQ(begun, ran ? 2 : 0);
            CHECK_EQ(dropped, 10);
            CHECK_EQ(weft_nursery_close(&n, 0), 0);
        }
    }
}

static int ignores_cancellation(void *arg)
{
    struct job *j = arg;
    int rc;
    j->begun = ++begun;
    WEFT_SHIELD(rc, WEFT_SEC(60)) {
        rc = weft_sleep(WEFT_SEC(20));
    }
    return rc;
}

TEST(a_cancelled_stop_waits_for_a_job_that_takes_its_time)
{
    weft_nursery n;
    int rc, left = -1;
    open_both(&n, 1, 16);
    weft_time start = weft_now();
    CHECK_EQ(weft_workqueue_add(&q, ignores_cancellation, &jobs[0], drop), 0);
    add_all(1, 4, 0);
    WEFT_MOVE_ON_AFTER(rc, WEFT_SEC(1)) {
        left = weft_workqueue_stop(&q, WEFT_DRAIN);
        rc = weft_checkpoint();
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(left, 3);
    CHECK_EQ(weft_now() - start, WEFT_SEC(20));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(dropped, 4);
}

TEST(a_stop_turns_away_who_waits_for_room)
{
    weft_nursery n;
    struct adder a[3];
    open_both(&n, 1, 1);
    CHECK_EQ(weft_test_settle(), 0);
    add_all(0, 2, WEFT_SEC(1));
    for (int i = 0; i < 3; i++)
        start_adder(&n, &a[i], 2 + i);
    CHECK_EQ(weft_workqueue_stop(&q, WEFT_DRAIN), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(a[i].result, -ESHUTDOWN);
        CHECK_EQ(jobs[2 + i].begun + jobs[2 + i].dropped, 0);
    }
    CHECK_EQ(begun, 2);
}

static int stop_result, join_result;

static int stops_its_own_queue(void *arg)
{
    (void)arg;
    stop_result = weft_workqueue_stop(&q, WEFT_DRAIN);
    join_result = weft_workqueue_join(&q);
    return 0;
}

static int has_a_child_stop_it(void *arg)
{
    weft_nursery n;
    int err = weft_nursery_open(&n, NULL);
    if (err < 0) return err;
    err = weft_spawn(&n, stops_its_own_queue, arg);
    return weft_nursery_close(&n, err);
}

TEST(a_job_cannot_stop_or_join_its_own_queue)
{
    static const weft_fn fns[] = {stops_its_own_queue, has_a_child_stop_it};
    for (int i = 0; i < 2; i++) {
        weft_nursery n;
        stop_result = join_result = 0;
        open_both(&n, 2, 4);
        CHECK_EQ(weft_workqueue_add(&q, fns[i], NULL, NULL), 0);
        CHECK_EQ(weft_workqueue_join(&q), 0);
        CHECK_EQ(stop_result, -EDEADLK);
        CHECK_EQ(join_result, -EDEADLK);
        CHECK_EQ(add(0), 0); /* it has not been stopped */
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
    }
}

/* ---- the end of the nursery --------------------------------------------- */

TEST(an_idle_queue_does_not_keep_the_nursery_open)
{
    for (int settled = 0; settled < 2; settled++) {
        weft_nursery n;
        open_both(&n, 3, 4);
        if (settled) CHECK_EQ(weft_test_settle(), 0);
        CHECK_EQ(weft_nursery_close(&n, 7), 7);
        CHECK_EQ(weft_workqueue_stop(&q, WEFT_DRAIN), 0);
    }
}

/* Before the workers have begun, and when they wait for something to do. */
TEST(what_is_queued_when_the_nursery_closes_is_still_done)
{
    for (int settled = 0; settled < 2; settled++) {
        for (int count = 1; count < 8; count++) {
            weft_nursery n;
            open_both(&n, 2, 16);
            if (settled) CHECK_EQ(weft_test_settle(), 0);
            add_all(0, count, WEFT_SEC(1));
            CHECK_EQ(weft_nursery_close(&n, 0), 0);
            CHECK_EQ(begun, count);
            CHECK_EQ(dropped, count);
            for (int i = 0; i < count; i++)
                CHECK_EQ(jobs[i].result, 0); /* and not cancelled */
            check_stats(0, 0, (uint64_t)count, 0);
        }
    }
}

static int adds_the_next(void *arg)
{
    struct job *j = arg;
    int err = weft_sleep(WEFT_MSEC(1));
    if (err < 0) return err;
    j->begun = ++begun;
    if (j == &jobs[20]) return 0;
    return weft_workqueue_add(&q, adds_the_next, j + 1, drop);
}

TEST(what_jobs_add_while_the_nursery_closes_is_done_too)
{
    weft_nursery n;
    open_both(&n, 2, 1);
    CHECK_EQ(weft_workqueue_add(&q, adds_the_next, &jobs[0], drop), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(begun, 21);
    CHECK_EQ(dropped, 21);
}

static weft_workqueue pong;

static int plays_pong(void *arg);

static int plays_ping(void *arg)
{
    struct job *j = arg;
    j->begun = ++begun;
    if (begun == 30) return 0;
    return weft_workqueue_tryadd(&pong, plays_pong, j + 1, drop);
}

static int plays_pong(void *arg)
{
    struct job *j = arg;
    j->begun = ++begun;
    return weft_workqueue_tryadd(&q, plays_ping, j + 1, drop);
}

TEST(two_queues_that_work_for_each_other_finish)
{
    weft_nursery n;
    open_both(&n, 1, 1);
    CHECK_EQ(weft_workqueue_open(&pong, &n, NULL), 0);
    CHECK_EQ(weft_test_settle(), 0);
    begun = 1;
    CHECK_EQ(weft_workqueue_tryadd(&q, plays_ping, &jobs[0], drop), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(begun, 30);
    CHECK_EQ(dropped, 29);
}

static int is_a_daemon(void *arg)
{
    int rc = weft_sleep(WEFT_FOREVER);
    *(weft_time *)arg = weft_now();
    return rc;
}

TEST(other_daemons_live_as_long_as_there_is_a_job)
{
    weft_nursery n;
    weft_time ended = 0, start = weft_now();
    const weft_spawn_opts o = {.daemon = true};
    open_both(&n, 2, 4);
    CHECK_EQ(weft_spawn_ex(&n, is_a_daemon, &ended, &o), 0);
    add_all(0, 3, WEFT_SEC(1));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ended - start, WEFT_SEC(2));
    CHECK_EQ(begun, 3);
}

static weft_nursery inner;

static int owns_the_queue(void *arg)
{
    (void)arg;
    open_both(&inner, 1, 1);
    add_all(0, 2, WEFT_SEC(1));
    int rc = weft_nursery_close(&inner, 0);
    memset(&q, 0xaa, sizeof q); /* as if it had been on our stack */
    return rc;
}

static int joins(void *arg)
{
    *(int *)arg = weft_workqueue_join(&q);
    return 0;
}

TEST(who_waits_outside_the_nursery_has_his_answer_when_it_ends)
{
    weft_nursery n;
    struct stopper s;
    int joined = -1;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, owns_the_queue, NULL), 0);
    CHECK_EQ(weft_test_settle(), 0);
    CHECK_EQ(weft_spawn(&n, joins, &joined), 0);
    start_stopper(&n, &s, WEFT_DRAIN);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(s.result, 0);
    CHECK_EQ(joined, 0);
    CHECK_EQ(dropped, 2);
}

static int adds_for_ever(void *arg)
{
    int err = 0;
    for (int i = 2; i < MANY && err == 0; i++) {
        err = add(i);
        if (err == 0) *(int *)arg = i + 1;
    }
    return err == -ESHUTDOWN ? 0 : err;
}

static int owns_a_cancelled_queue(void *arg)
{
    (void)arg;
    open_both(&inner, 1, 1);
    weft_scope_set_deadline(weft_nursery_scope(&inner),
                            weft_after(WEFT_MSEC(1500)));
    add_all(0, 2, WEFT_SEC(1));
    int rc = weft_nursery_close(&inner, 0);
    memset(&q, 0, sizeof q);
    return rc;
}

TEST(who_waits_for_room_outside_the_nursery_is_turned_away_when_it_ends)
{
    weft_nursery n;
    int taken = 2;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, owns_a_cancelled_queue, NULL), 0);
    CHECK_EQ(weft_test_settle(), 0);
    CHECK_EQ(weft_spawn(&n, adds_for_ever, &taken), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(begun, 2);
    CHECK_EQ(taken, 3);
    CHECK_EQ(dropped, 3);
}

/* ---- the cancellation of the nursery ------------------------------------ */

TEST(a_cancelled_nursery_drops_each_job_once)
{
    static const struct {
        weft_time after;
        int begun;
    } when[] = {{0, 0}, {1, 2}, {WEFT_MSEC(1500), 4}};
    for (int i = 0; i < 3; i++) {
        weft_nursery n;
        open_both(&n, 2, 16);
        add_all(0, 10, WEFT_SEC(1));
        if (when[i].after) CHECK_EQ(weft_sleep(when[i].after), 0);
        weft_nursery_cancel(&n, -EINTR, NULL);
        CHECK_EQ(tryadd(10), -ESHUTDOWN);
        CHECK_EQ(weft_nursery_close(&n, 0), -EINTR);
        CHECK_EQ(begun, when[i].begun);
        CHECK_EQ(dropped, 10);
        check_stats(0, 0, (uint64_t)begun, (uint64_t)(10 - begun));
        CHECK_EQ(stats().failed, 0);
        CHECK_EQ(weft_workqueue_stop(&q, WEFT_DRAIN), 10 - begun);
    }
}

TEST(jobs_handed_to_idle_workers_are_dropped_by_a_cancellation)
{
    for (int count = 1; count <= 3; count++) {
        weft_nursery n;
        open_both(&n, 2, 16);
        CHECK_EQ(weft_test_settle(), 0);
        add_all(0, count, WEFT_SEC(1));
        weft_nursery_cancel(&n, -EINTR, NULL);
        CHECK_EQ(weft_nursery_close(&n, 0), -EINTR);
        CHECK_EQ(begun, 0);
        CHECK_EQ(dropped, count);
    }
}

TEST(a_body_that_fails_takes_the_queue_with_it)
{
    weft_nursery n;
    open_both(&n, 1, 16);
    add_all(0, 3, WEFT_SEC(1));
    CHECK_EQ(weft_sleep(1), 0);
    CHECK_EQ(weft_nursery_close(&n, -EIO), -EIO);
    CHECK_EQ(begun, 1);
    CHECK_EQ(dropped, 3);
}

TEST(a_cancellation_that_stopped_nothing_is_not_told)
{
    for (int busy = 0; busy < 2; busy++) {
        weft_nursery n;
        int rc;
        WEFT_FAIL_AFTER(rc, WEFT_SEC(2)) {
            open_both(&n, 2, 16);
            add_all(0, 2, WEFT_SEC(busy ? 3 : 1));
            CHECK_EQ(weft_sleep(WEFT_SEC(3)), -ECANCELED);
            rc = weft_nursery_close(&n, 0);
            CHECK_EQ(rc, busy ? -ECANCELED : 0);
        }
        CHECK_EQ(rc, busy ? -ETIMEDOUT : 0);
    }
}

/* ---- jobs are like fibers ----------------------------------------------- */

static weft_key traced = {.name = "traced"};
static weft_key bystander = {.name = "bystander"};
static weft_key secret = {.name = "secret", .flags = WEFT_KEY_PRIVATE};
static weft_mutex mutex = WEFT_MUTEX_INIT;
static weft_event event = WEFT_EVENT_INIT;
static int deferred;

static void note_deferred(void *arg)
{
    struct job *j = arg;
    CHECK_EQ(j->dropped, 0);
    CHECK_EQ(weft_checkpoint(), 0); /* shielded, and in a fiber */
    deferred++;
}

static int leaves_much_behind(void *arg)
{
    static char name[] = "a short life";
    CHECK_STR(weft_fiber_name(), "worker");
    weft_fiber_set_name(name);
    CHECK_STR(weft_local_get(&traced), "opener's");
    CHECK(!weft_local_get(&secret));
    CHECK_EQ(weft_local_push(&traced, "job's"), 0);
    CHECK_EQ(weft_local_push(&secret, "job's"), 0);
    int rc = weft_mutex_lock(&mutex);
    if (rc == -EOWNERDEAD) rc = weft_mutex_repair(&mutex);
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_defer(note_deferred, arg), 0);
    return 0;
}

TEST(what_a_job_defers_binds_and_locks_ends_with_it)
{
    weft_nursery n;
    CHECK_EQ(weft_local_push(&traced, "opener's"), 0);
    open_both(&n, 1, 4);
    CHECK_EQ(weft_local_pop(&traced), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_workqueue_add(&q, leaves_much_behind, &jobs[i], drop), 0);
    CHECK_EQ(weft_workqueue_join(&q), 0);
    CHECK_EQ(deferred, 3);
    CHECK_EQ(weft_mutex_lock(&mutex), -EOWNERDEAD);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(dropped, 3);
}

static weft_rwlock rwlock = WEFT_RWLOCK_INIT;

static int reads_on(void *arg)
{
    (void)arg;
    return weft_rwlock_rdlock(&rwlock);
}

static int is_the_next(void *arg)
{
    (void)arg;
    CHECK(false);
    return 0;
}

static int has_a_job_that_reads_on(void *arg)
{
    weft_nursery n;
    (void)arg;
    open_both(&n, 1, 4);
    CHECK_EQ(weft_workqueue_add(&q, reads_on, NULL, NULL), 0);
    CHECK_EQ(weft_workqueue_add(&q, is_the_next, NULL, NULL), 0);
    return weft_nursery_close(&n, 0);
}

TEST_DEATH(a_job_that_ends_with_a_read_lock_does_not_leave_it_to_the_next,
           "ended with 1 read lock")
{
    CHECK_EQ(weft_run(has_a_job_that_reads_on, NULL, NULL), 0);
}

/* A callback that leaves behind what it can. */
static void leaves_things(void *arg)
{
    CHECK(!weft_local_get(&traced));
    CHECK(!weft_local_get(&secret));
    CHECK_EQ(weft_local_push(&traced, arg), 0);
    CHECK_EQ(weft_local_push(&secret, arg), 0);
    int rc = weft_mutex_trylock(&mutex);
    if (rc == -EOWNERDEAD) rc = weft_mutex_repair(&mutex);
    CHECK_EQ(rc, 0);
}

static weft_key leaving = {.name = "leaving", .drop = leaves_things};
static int looked;

static int leaves_a_leaver(void *arg)
{
    return weft_local_push(&leaving, arg);
}

static void leaves_a_leaver_too(void *arg)
{
    CHECK_EQ(weft_local_push(&leaving, arg), 0);
}

static int defers_a_leaver(void *arg)
{
    return weft_defer(leaves_a_leaver_too, arg);
}

static int finds_nothing(void *arg)
{
    (void)arg;
    CHECK(!weft_local_get(&traced));
    CHECK(!weft_local_get(&secret));
    CHECK(!weft_local_get(&leaving));
    int rc = weft_mutex_trylock(&mutex);
    CHECK(rc == 0 || rc == -EOWNERDEAD);
    if (rc == 0) CHECK_EQ(weft_mutex_unlock(&mutex), 0);
    looked++;
    return 0;
}

TEST(what_the_clean_up_of_a_job_leaves_behind_ends_with_it_too)
{
    static const weft_fn fns[] = {leaves_a_leaver, defers_a_leaver};
    for (int bound = 0; bound < 2; bound++) {
        weft_nursery n;
        if (bound) CHECK_EQ(weft_local_push(&bystander, "opener's"), 0);
        open_both(&n, 1, 8);
        for (int i = 0; i < 2; i++) {
            CHECK_EQ(weft_workqueue_add(&q, fns[i], &jobs[i], drop), 0);
            CHECK_EQ(weft_workqueue_add(&q, finds_nothing, NULL, NULL), 0);
        }
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        CHECK_EQ(dropped, 2);
    }
    CHECK_EQ(looked, 4);
}

static void leaves_things_when_it_fails(int code, const weft_error *e,
                                        void *arg, void *user)
{
    (void)code;
    (void)e;
    (void)user;
    leaves_things(arg);
}

static int fails_quietly(void *arg)
{
    (void)arg;
    return -EIO;
}

/* Also of those that were discarded, one after the other. */
TEST(what_hooks_leave_behind_is_not_seen_by_the_next_job)
{
    const weft_workqueue_opts o = {.on_failure = leaves_things_when_it_fails};
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_workqueue_open(&q, &n, &o), 0);
    CHECK_EQ(weft_workqueue_add(&q, finds_nothing, &jobs, leaves_things), 0);
    CHECK_EQ(weft_workqueue_add(&q, finds_nothing, NULL, NULL), 0);
    CHECK_EQ(weft_workqueue_add(&q, fails_quietly, &jobs, NULL), 0);
    CHECK_EQ(weft_workqueue_add(&q, finds_nothing, NULL, NULL), 0);
    CHECK_EQ(weft_workqueue_join(&q), 0);
    CHECK_EQ(looked, 3);
    CHECK_EQ(weft_workqueue_add(&q, run, &jobs, leaves_a_leaver_too), 0);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(stats().discarded, 1);
}

static int defers_and_fails(void *arg)
{
    CHECK_EQ(weft_defer(note_deferred, arg), 0);
    return weft_fail(-EPROTO, "before the clean-up");
}

static void fails_too(void *arg)
{
    (void)arg;
    (void)weft_fail(-EPROTO, "in the clean-up");
}

static int defers_a_failure(void *arg)
{
    CHECK_EQ(weft_defer(fails_too, arg), 0);
    return defers_and_fails(arg);
}

TEST(the_failure_of_a_job_is_that_of_its_function)
{
    weft_nursery n;
    weft_on_unhandled(note_unhandled);
    open_both(&n, 1, 4);
    CHECK_EQ(weft_workqueue_add(&q, defers_a_failure, &jobs[0], drop), 0);
    CHECK_EQ(weft_workqueue_join(&q), 0);
    CHECK_EQ(unhandled, 1);
    CHECK_STR(told_msg, "before the clean-up");
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    weft_on_unhandled(NULL);
}

static int opens_a_scope(void *arg)
{
    static weft_scope s;
    (void)arg;
    weft_scope_init(&s);
    return weft_scope_begin(&s);
}

static int leaves_a_scope_open(void *arg)
{
    weft_nursery n;
    (void)arg;
    open_both(&n, 1, 4);
    CHECK_EQ(weft_workqueue_add(&q, opens_a_scope, NULL, NULL), 0);
    return weft_nursery_close(&n, 0);
}

TEST_DEATH(a_job_that_leaves_a_scope_open_is_a_fatal_mistake, "is still open")
{
    CHECK_EQ(weft_run(leaves_a_scope_open, NULL, NULL), 0);
}

static int waits_for_the_event(void *arg)
{
    struct job *j = arg;
    j->result = weft_event_wait(&event);
    return j->result;
}

TEST(a_job_may_be_woken_by_the_next_one)
{
    weft_nursery n;
    open_both(&n, 2, 4);
    CHECK_EQ(weft_workqueue_add(&q, waits_for_the_event, &jobs[0], drop), 0);
    CHECK_EQ(weft_workqueue_add(&q, run, &jobs[1], drop), 0);
    CHECK_EQ(weft_test_settle(), 0);
    weft_event_set(&event);
    CHECK_EQ(weft_workqueue_stop(&q, WEFT_DRAIN), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static int fills_its_own_queue(void *arg)
{
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++)
        rc = weft_workqueue_add(&q, run, &jobs[i], drop);
    *(int *)arg = rc;
    return rc == -ECANCELED ? rc : 0;
}

static int deadlocks(void *arg)
{
    weft_nursery n;
    open_both(&n, 1, 1);
    CHECK_EQ(weft_workqueue_add(&q, fills_its_own_queue, arg, NULL), 0);
    return weft_nursery_close(&n, 0);
}

TEST_PLAIN(a_job_that_waits_for_room_that_only_it_could_make_is_found_out)
{
    const weft_run_opts o = {.virtual_clock = true};
    int rc = 0;
    CHECK_EQ(weft_run(deadlocks, &rc, &o), -EDEADLK);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(begun, 0);
    CHECK_EQ(dropped, 1);
}

/* ---- at random ---------------------------------------------------------- */

static int taken[MANY]; /* 0: not tried; 1: the queue has it; -1: refused */
static int next_job;

static int adds_some(void *arg)
{
    int count = *(int *)arg;
    for (int i = 0; i < count && next_job < MANY; i++) {
        int j = next_job++;
        jobs[j].takes = random_below(5);
        jobs[j].rc = random_below(4) ? 0 : -EIO;
        int err = random_below(3) ? add(j) : tryadd(j);
        CHECK(err == 0 || err == -ECANCELED || err == -ESHUTDOWN ||
              err == -EAGAIN);
        taken[j] = err == 0 ? 1 : -1;
        if (err == -ECANCELED) return err;
        err = weft_sleep(random_below(4));
        if (err < 0) return err;
    }
    return 0;
}

static int stops_at_random(void *arg)
{
    (void)arg;
    int err = weft_sleep(random_below(40));
    if (err < 0) return err;
    if (random_below(3) == 0) return 0;
    int rc, left = 0;
    WEFT_MOVE_ON_AFTER(rc, random_below(20)) {
        left = weft_workqueue_stop(&q, (weft_stop_mode)random_below(2));
    }
    CHECK(left >= 0);
    return rc;
}

static int joins_at_random(void *arg)
{
    (void)arg;
    int rc;
    WEFT_MOVE_ON_AFTER(rc, random_below(50)) {
        rc = weft_workqueue_join(&q);
    }
    return rc;
}

static void ignore_unhandled(const weft_error *e)
{
    CHECK_EQ(e->code, -EIO);
}

TEST(pattern_57_under_random_use_each_job_is_run_or_dropped_and_once)
{
    random_begin(test_seed());
    weft_on_unhandled(ignore_unhandled);
    for (int round = 0; round < 300; round++) {
        weft_nursery n;
        int counts[4], rc;
        open_both(&n, (unsigned)random_below(4) + 1,
                  (size_t)random_below(4) + 1);
        memset(taken, 0, sizeof taken);
        next_job = 0;
        if (random_below(3) == 0)
            weft_scope_set_deadline(weft_nursery_scope(&n),
                                    weft_after(random_below(60)));
        for (int i = 0; i < 4; i++) {
            counts[i] = (int)random_below(20);
            CHECK_EQ(weft_spawn(&n, adds_some, &counts[i]), 0);
        }
        CHECK_EQ(weft_spawn(&n, stops_at_random, NULL), 0);
        CHECK_EQ(weft_spawn(&n, joins_at_random, NULL), 0);
        rc = weft_nursery_close(&n, 0);
        CHECK_EQ(rc, 0);
        int all = 0;
        for (int i = 0; i < MANY; i++) {
            CHECK_EQ(jobs[i].dropped > 0, taken[i] > 0);
            if (taken[i] <= 0) CHECK_EQ(jobs[i].begun, 0);
            all += taken[i] > 0;
        }
        CHECK_EQ(dropped, all);
        check_stats(0, 0, (uint64_t)begun, (uint64_t)(all - begun));
    }
    weft_on_unhandled(NULL);
}
