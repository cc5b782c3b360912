/* SPDX-License-Identifier: MIT */
/* test_gather.c - many jobs in one call: results, limits, ends, discards. */
#include <weft/cleanup.h>
#include <weft/debug.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/gather.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/task.h>
#include <weft/time.h>

#include <string.h>

#include "fibers.h"
#include "harness.h"
#include "jobs.h"
#include "open.h"
#include "said.h"
#include "starve.h"
#include "sweep.h"
#include "work.h"

static const weft_gather_opts collecting = {.policy = WEFT_COLLECT};

static void check_not_discarded(const struct work *w)
{
    CHECK_EQ(w->discarded, 0);
}

static void check_not_started(const weft_job *j, const struct work *w, int why)
{
    check_no_start(j, why);
    CHECK_EQ(w->ran, 0);
    check_not_discarded(w);
}

/* ---- the listed cases --------------------------------------------------- */

TEST(gat_01_results_stand_in_the_order_of_the_array)
{
    struct work w[] = {ENDS(WEFT_MSEC(2), 20), ENDS(WEFT_MSEC(3), 30),
                       ENDS(WEFT_MSEC(1), 0)};
    weft_job jobs[3];
    weft_time start = weft_now();
    make_jobs(jobs, w, 3);
    CHECK_EQ(weft_gather(jobs, 3, NULL), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(3));
    for (int i = 0; i < 3; i++) {
        check_job(&jobs[i], WEFT_OK, w[i].code);
        CHECK_EQ(jobs[i].took, w[i].after);
        CHECK_EQ(w[i].ran, 1);
        check_not_discarded(&w[i]);
    }
}

TEST(gat_01_no_jobs_are_done_at_once)
{
    const weft_gather_opts narrow = {.limit = 1};
    weft_time start = weft_now();
    CHECK_EQ(weft_gather(NULL, 0, NULL), 0);
    CHECK_EQ(weft_gather(NULL, 0, &collecting), 0);
    CHECK_EQ(weft_gather(NULL, 0, &narrow), 0);
    CHECK_EQ(weft_now(), start);
}

TEST(gat_02_a_failure_cancels_and_joins_the_rest)
{
    struct work w[] = {{.after = WEFT_FOREVER, .cleanup = WEFT_MSEC(10)},
                       ENDS(WEFT_MSEC(5), -EIO),
                       ENDS(0, 3)};
    weft_job jobs[3];
    weft_time start = weft_now();
    make_jobs(jobs, w, 3);
    jobs[2].discard = NULL;
    CHECK_EQ(weft_gather(jobs, 3, NULL), -EIO);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(15));
    CHECK_EQ(alive, 0);
    check_job(&jobs[0], WEFT_CANCELLED, -ECANCELED);
    check_job(&jobs[1], WEFT_FAILED, -EIO);
    check_job(&jobs[2], WEFT_OK, 3);
    CHECK_EQ(jobs[0].took, WEFT_MSEC(15));
    CHECK_EQ(jobs[1].took, WEFT_MSEC(5));
    CHECK_EQ(weft_last_error()->code, -EIO);
    CHECK(weft_last_error()->next == NULL);
    CHECK_EQ(weft_checkpoint(), 0);
}

TEST(gat_03_collecting_lets_all_run_and_keeps_failures_in_the_jobs)
{
    struct work w[] = {ENDS(WEFT_MSEC(2), -EIO), ENDS(WEFT_MSEC(3), 7),
                       ENDS(0, -ENOENT)};
    weft_job jobs[3];
    weft_time start = weft_now();
    make_jobs(jobs, w, 3);
    CHECK_EQ(weft_gather(jobs, 3, &collecting), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(3));
    check_job(&jobs[0], WEFT_FAILED, -EIO);
    check_job(&jobs[1], WEFT_OK, 7);
    check_job(&jobs[2], WEFT_FAILED, -ENOENT);
    for (int i = 0; i < 3; i++) {
        check_not_discarded(&w[i]);
    }
}

TEST(gat_04_no_more_run_at_a_time_than_the_limit_says)
{
    const weft_gather_opts four = {.limit = 4};
    struct work w[10] = {{0}};
    weft_job jobs[10];
    weft_time start = weft_now();
    for (int i = 0; i < 10; i++) {
        w[i].after = WEFT_MSEC(1);
    }
    make_jobs(jobs, w, 10);
    CHECK_EQ(weft_gather(jobs, 10, &four), 0);
    CHECK_EQ(most_alive, 4);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(3));
    for (int i = 0; i < 10; i++) {
        check_job(&jobs[i], WEFT_OK, 0);
        CHECK_EQ(jobs[i].took, WEFT_MSEC(1)); /* not the wait for a place */
    }
}

TEST(gat_05_what_was_not_started_says_so)
{
    const weft_gather_opts one = {.limit = 1};
    struct work w[3] = {ENDS(0, -EIO)};
    weft_job jobs[3];
    make_jobs(jobs, w, 3);
    CHECK_EQ(weft_gather(jobs, 3, &one), -EIO);
    check_job(&jobs[0], WEFT_FAILED, -EIO);
    check_not_started(&jobs[1], &w[1], -ECANCELED);
    check_not_started(&jobs[2], &w[2], -ECANCELED);
}

TEST(gat_06_in_a_cancelled_scope_nothing_is_started)
{
    const weft_gather_opts *modes[] = {NULL, &collecting};
    for (int i = 0; i < 2; i++) {
        weft_scope s;
        struct work w[2] = {{0}};
        weft_job jobs[2];
        make_jobs(jobs, w, 2);
        open_scope(&s);
        weft_scope_cancel(&s, -EINTR, NULL);
        CHECK_EQ(weft_gather(jobs, 2, modes[i]), -ECANCELED);
        CHECK_EQ(weft_gather(NULL, 0, modes[i]), -ECANCELED);
        CHECK_EQ(weft_scope_end(&s, -ECANCELED), -EINTR);
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
        check_not_started(&jobs[0], &w[0], -ECANCELED);
        check_not_started(&jobs[1], &w[1], -ECANCELED);
    }
}

enum { MANY = 10000, AT_A_TIME = 100 };
static weft_job many[MANY];
static unsigned many_ran;

static int is_one_of_many(void *arg)
{
    weft_stats s;
    if (++alive > most_alive) most_alive = alive;
    many_ran++;
    int rc = many_ran % 3 ? weft_sleep(WEFT_MSEC(1)) : 0;
    weft_stats_read(&s);
    CHECK(s.fibers <= AT_A_TIME + 2);
    alive--;
    return arg ? (int)(size_t)arg : rc;
}

TEST(gat_12_ten_thousand_jobs_take_the_memory_of_a_hundred)
{
    const weft_gather_opts o = {.limit = AT_A_TIME};
    weft_stats before, after;
    for (size_t i = 0; i < MANY; i++) {
        many[i] = (weft_job){.fn = is_one_of_many};
    }
    weft_stats_read(&before);
    CHECK_EQ(weft_gather(many, MANY, &o), 0);
    weft_stats_read(&after);
    CHECK_EQ(many_ran, MANY);
    CHECK_EQ(most_alive, AT_A_TIME);
    CHECK_EQ(after.spawned - before.spawned, MANY);
    CHECK(after.stacks - before.stacks <= 4 * AT_A_TIME);
}

TEST(gat_13_the_same_argument_twice_is_two_runs)
{
    struct work w = ENDS(WEFT_MSEC(1), 5);
    weft_job jobs[] = {{.fn = works, .arg = &w}, {.fn = works, .arg = &w}};
    CHECK_EQ(weft_gather(jobs, 2, NULL), 0);
    CHECK_EQ(w.ran, 2);
    check_job(&jobs[0], WEFT_OK, 5);
    check_job(&jobs[1], WEFT_OK, 5);
}

/* ---- which code, which records ------------------------------------------ */

TEST(the_code_is_that_of_the_earliest_failure_not_of_the_first_job)
{
    struct work w[] = {ENDS(WEFT_MSEC(9), -EIO),
                       {.after = WEFT_FOREVER, .late = -ENOSPC},
                       ENDS(WEFT_MSEC(2), -ENOENT)};
    weft_job jobs[3];
    make_jobs(jobs, w, 3);
    CHECK_EQ(weft_gather(jobs, 3, NULL), -ENOENT);
    check_job(&jobs[0], WEFT_CANCELLED, -ECANCELED);
    check_job(&jobs[1], WEFT_FAILED, -ENOSPC);
    check_job(&jobs[2], WEFT_FAILED, -ENOENT);
    const weft_error *e = weft_last_error();
    CHECK_EQ(e->code, -ENOENT);
    CHECK_EQ(e->next->code, -ENOSPC);
    CHECK(e->next->next == NULL);
}

TEST(of_two_failures_at_one_moment_one_is_the_answer_and_both_are_kept)
{
    struct work w[] = {ENDS(WEFT_MSEC(2), -EIO), ENDS(WEFT_MSEC(2), -ENOENT)};
    weft_job jobs[2];
    make_jobs(jobs, w, 2);
    int rc = weft_gather(jobs, 2, NULL);
    const weft_error *e = weft_last_error();
    CHECK_EQ(e->code, rc);
    CHECK_EQ(e->code + e->next->code, -EIO - ENOENT);
    CHECK(e->next->next == NULL);
    check_job(&jobs[0], WEFT_FAILED, -EIO);
    check_job(&jobs[1], WEFT_FAILED, -ENOENT);
}

TEST(the_record_of_a_job_reaches_the_caller)
{
    weft_job jobs[] = {{.fn = waits_for_ever},
                       {.fn = fails_with_words, .arg = "bread"}};
    CHECK_EQ(weft_gather(jobs, 2, NULL), -EPROTO);
    CHECK_EQ(weft_last_error()->code, -EPROTO);
    CHECK_STR(weft_last_error()->msg, "no bread today");
    CHECK(strstr(weft_last_error()->file, "fibers.h") != NULL);
    CHECK(weft_last_error()->fiber != weft_fiber_id());
}

static int gathers_two_failures(void *arg)
{
    (void)arg;
    weft_job jobs[] = {{.fn = fails_with_words, .arg = "milk"},
                       {.fn = fails_with_words, .arg = "milk"}};
    return weft_gather(jobs, 2, NULL);
}

TEST(the_records_of_a_gather_in_a_gather_hang_inside_one)
{
    weft_job jobs[] = {{.fn = gathers_two_failures}, {.fn = waits_for_ever}};
    CHECK_EQ(weft_gather(jobs, 2, NULL), -EPROTO);
    const weft_error *e = weft_last_error();
    CHECK_EQ(e->code, -EPROTO);
    CHECK(e->next == NULL);
    CHECK(e->inner != NULL);
    CHECK_EQ(e->inner->code, -EPROTO);
    CHECK_STR(e->inner->msg, "no milk today");
    CHECK(e->inner->next != NULL);
    CHECK_EQ(e->inner->next->code, -EPROTO);
}

TEST(sixteen_records_are_kept_of_a_gather_too)
{
    struct work w[40] = {{0}};
    weft_job jobs[40];
    for (int i = 0; i < 40; i++) {
        w[i].code = -EIO;
    }
    make_jobs(jobs, w, 40);
    CHECK_EQ(weft_gather(jobs, 40, NULL), -EIO);
    unsigned kept = 0;
    for (const weft_error *e = weft_last_error(); e; e = e->next) {
        kept++;
    }
    unsigned failed = 0;
    for (int i = 0; i < 40; i++) {
        failed += jobs[i].status == WEFT_FAILED;
    }
    CHECK(failed >= 1);
    CHECK_EQ(kept + weft_last_error()->dropped, failed);
    CHECK(kept <= 16);
}

static int says_cancelled(void *arg)
{
    (void)arg;
    int err = weft_sleep(WEFT_MSEC(1));
    return err < 0 ? err : -ECANCELED;
}

TEST(ecanceled_for_no_reason_is_a_failure)
{
    struct work w = {.after = WEFT_FOREVER};
    weft_job jobs[] = {{.fn = says_cancelled}, {.fn = works, .arg = &w}};
    CHECK_EQ(weft_gather(jobs, 2, NULL), -ECANCELED);
    check_job(&jobs[0], WEFT_FAILED, -ECANCELED);
    check_job(&jobs[1], WEFT_CANCELLED, -ECANCELED);
    CHECK_EQ(weft_checkpoint(), 0);

    w = (struct work)ENDS(WEFT_MSEC(3), 4);
    CHECK_EQ(weft_gather(jobs, 2, &collecting), 0);
    check_job(&jobs[0], WEFT_FAILED, -ECANCELED);
    check_job(&jobs[1], WEFT_OK, 4);
}

static weft_reason seen;
static uint64_t failing_id;

static int notes_the_reason(void *arg)
{
    int err = waits_for_ever(arg);
    if (weft_cancel_reason()) seen = *weft_cancel_reason();
    return err;
}

static int fails_and_leaves_its_id(void *arg)
{
    int err = weft_sleep(WEFT_MSEC(1));
    failing_id = weft_fiber_id();
    return err < 0 ? err : *(int *)arg;
}

TEST(a_job_can_read_whose_failure_stopped_it)
{
    weft_job jobs[] = {{.fn = notes_the_reason},
                       {.fn = fails_and_leaves_its_id, .arg = &(int){-EIO}}};
    CHECK_EQ(weft_gather(jobs, 2, NULL), -EIO);
    CHECK_EQ(seen.kind, WEFT_R_SIBLING);
    CHECK_EQ(seen.code, -EIO);
    CHECK_EQ(seen.by, failing_id);
}

TEST(what_the_array_held_before_does_not_matter)
{
    struct work w[] = {ENDS(0, -EIO), ENDS(WEFT_FOREVER, 0)};
    weft_job jobs[2];
    make_jobs(jobs, w, 2);
    CHECK_EQ(weft_gather(jobs, 2, NULL), -EIO);
    w[0] = (struct work)ENDS(0, 1);
    w[1] = (struct work)ENDS(WEFT_MSEC(1), 2);
    CHECK_EQ(weft_gather(jobs, 2, NULL), 0);
    check_job(&jobs[0], WEFT_OK, 1);
    check_job(&jobs[1], WEFT_OK, 2);
    const weft_gather_opts one = {.limit = 1};
    w[0] = (struct work)ENDS(0, -EIO);
    w[1] = (struct work)ENDS(0, 0);
    CHECK_EQ(weft_gather(jobs, 2, &one), -EIO);
    check_not_started(&jobs[1], &w[1], -ECANCELED);
    CHECK_EQ(jobs[1].took, 0);
}

TEST(only_two_policies_are_for_gather)
{
    struct work w = {0};
    weft_job job = {.fn = works, .arg = &w};
    const weft_gather_opts supervise = {.policy = WEFT_SUPERVISE};
    const weft_gather_opts unknown = {.policy = (weft_policy)77};
    CHECK_EQ(weft_gather(&job, 1, &supervise), -EINVAL);
    CHECK_EQ(weft_gather(&job, 1, &unknown), -EINVAL);
    CHECK_EQ(weft_gather(NULL, 0, &unknown), -EINVAL);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(w.ran, 0);

    weft_scope s; /* a cancel point looks there before anything else */
    open_cancelled_scope(&s);
    CHECK_EQ(weft_gather(&job, 1, &unknown), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), 0);
}

/* ---- order, limits ------------------------------------------------------ */

TEST_FIFO(jobs_start_in_the_order_of_the_array)
{
    weft_job jobs[] = {{.fn = says, .arg = "a"},
                       {.fn = says, .arg = "b"},
                       {.fn = says, .arg = "c"},
                       {.fn = says, .arg = "d"}};
    const weft_gather_opts two = {.limit = 2};
    CHECK_EQ(weft_gather(jobs, 4, NULL), 0);
    CHECK_EQ(weft_gather(jobs, 4, &two), 0);
    CHECK_STR(said, "abcdabcd");
}

TEST(with_a_limit_of_one_jobs_run_one_after_the_other)
{
    weft_job jobs[] = {{.fn = says, .arg = "a"},
                       {.fn = says, .arg = "b"},
                       {.fn = says, .arg = "c"}};
    const weft_gather_opts one = {.limit = 1};
    CHECK_EQ(weft_gather(jobs, 3, &one), 0);
    CHECK_STR(said, "abc");
}

TEST(a_failure_under_a_limit_stops_the_running_and_the_waiting)
{
    const weft_gather_opts two = {.limit = 2};
    struct work w[5] = {{.after = WEFT_FOREVER, .cleanup = WEFT_MSEC(5)},
                        ENDS(WEFT_MSEC(1), 1),
                        ENDS(WEFT_MSEC(2), -EIO)};
    weft_job jobs[5];
    weft_time start = weft_now();
    make_jobs(jobs, w, 5);
    CHECK_EQ(weft_gather(jobs, 5, &two), -EIO);
    CHECK(weft_now() - start >= WEFT_MSEC(8));
    check_job(&jobs[0], WEFT_CANCELLED, -ECANCELED);
    check_job(&jobs[1], WEFT_OK, 1);
    check_job(&jobs[2], WEFT_FAILED, -EIO);
    check_not_started(&jobs[3], &w[3], -ECANCELED);
    check_not_started(&jobs[4], &w[4], -ECANCELED);
    check_discarded(&w[1]);
}

TEST(collecting_under_a_limit_goes_on_after_failures)
{
    const weft_gather_opts o = {WEFT_COLLECT, 3};
    struct work w[20] = {{0}};
    weft_job jobs[20];
    for (int i = 0; i < 20; i++) {
        w[i] = (struct work)ENDS(WEFT_MSEC(i % 4), i % 3 ? i : -i - 1);
    }
    make_jobs(jobs, w, 20);
    CHECK_EQ(weft_gather(jobs, 20, &o), 0);
    CHECK(most_alive <= 3);
    for (int i = 0; i < 20; i++) {
        check_job(&jobs[i], i % 3 ? WEFT_OK : WEFT_FAILED, w[i].code);
        CHECK_EQ(w[i].ran, 1);
    }
}

TEST(a_limit_above_the_number_of_jobs_is_none)
{
    const weft_gather_opts wide = {.limit = 4000000000u};
    struct work w[3] = {ENDS(WEFT_MSEC(1), 0), ENDS(WEFT_MSEC(1), 0),
                        ENDS(WEFT_MSEC(1), 0)};
    weft_job jobs[3];
    make_jobs(jobs, w, 3);
    CHECK_EQ(weft_gather(jobs, 3, &wide), 0);
    CHECK_EQ(most_alive, 3);
}

TEST(two_thousand_jobs_at_once_are_stopped_by_one)
{
    enum { N = 2000 };
    static struct work w[N];
    static weft_job jobs[N];
    unsigned cancelled = 0;
    for (int i = 0; i < N; i++) {
        w[i].after = WEFT_FOREVER;
    }
    w[N / 2] = (struct work)ENDS(WEFT_MSEC(1), -EIO);
    make_jobs(jobs, w, N);
    CHECK_EQ(weft_gather(jobs, N, NULL), -EIO);
    CHECK_EQ(most_alive, N);
    for (int i = 0; i < N; i++) {
        cancelled += jobs[i].status == WEFT_CANCELLED && jobs[i].started;
    }
    CHECK_EQ(cancelled, N - 1);
}

/* ---- stopped from outside ----------------------------------------------- */

TEST(a_deadline_outside_stops_all_and_is_reported_outside)
{
    const weft_gather_opts *modes[] = {NULL, &collecting};
    for (int i = 0; i < 2; i++) {
        struct work w[] = {{.after = WEFT_FOREVER, .cleanup = WEFT_MSEC(10)},
                           ENDS(WEFT_MSEC(1), 7),
                           {.after = WEFT_FOREVER}};
        weft_job jobs[3];
        int rc;
        weft_time start = weft_now();
        make_jobs(jobs, w, 3);
        WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
            rc = weft_gather(jobs, 3, modes[i]);
            CHECK_EQ(rc, -ECANCELED);
        }
        CHECK_EQ(rc, -ETIMEDOUT);
        check_job(&jobs[0], WEFT_CANCELLED, -ECANCELED);
        check_job(&jobs[1], WEFT_OK, 7);
        check_job(&jobs[2], WEFT_CANCELLED, -ECANCELED);
        CHECK(weft_now() - start >= WEFT_MSEC(15));
        check_discarded(&w[1]);
        check_not_discarded(&w[0]);
        CHECK_EQ(weft_checkpoint(), 0);
    }
}

TEST(jobs_that_finish_all_the_same_have_finished)
{
    const weft_gather_opts *modes[] = {NULL, &collecting};
    for (int i = 0; i < 2; i++) {
        struct work w[] = {{.after = WEFT_FOREVER, .late = 4},
                           {.after = WEFT_FOREVER, .late = 5}};
        weft_job jobs[2];
        int rc;
        make_jobs(jobs, w, 2);
        WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
            rc = weft_gather(jobs, 2, modes[i]);
            CHECK_EQ(rc, 0);
            CHECK_EQ(weft_checkpoint(), -ECANCELED);
        }
        CHECK_EQ(rc, 0);
        check_job(&jobs[0], WEFT_OK, 4);
        check_job(&jobs[1], WEFT_OK, 5);
        check_not_discarded(&w[0]);
        check_not_discarded(&w[1]);
    }
}

TEST(a_failure_during_a_cancellation_from_outside_beats_it)
{
    struct work w[] = {{.after = WEFT_FOREVER, .late = -EIO},
                       {.after = WEFT_FOREVER}};
    weft_job jobs[2];
    int rc;
    make_jobs(jobs, w, 2);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5))
        rc = weft_gather(jobs, 2, NULL);
    CHECK_EQ(rc, -EIO);
    check_job(&jobs[0], WEFT_FAILED, -EIO);

    /* Collecting it stays in the job, and the other one was stopped. */
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5))
        rc = weft_gather(jobs, 2, &collecting);
    CHECK_EQ(rc, -ETIMEDOUT);
    check_job(&jobs[0], WEFT_FAILED, -EIO);
    check_job(&jobs[1], WEFT_CANCELLED, -ECANCELED);
}

TEST(collected_failures_alone_were_not_stopped_from_outside)
{
    struct work w[] = {{.after = WEFT_FOREVER, .late = -EIO},
                       {.after = WEFT_FOREVER, .late = 6}};
    weft_job jobs[2];
    int rc;
    make_jobs(jobs, w, 2);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5))
        rc = weft_gather(jobs, 2, &collecting);
    CHECK_EQ(rc, 0);
    check_job(&jobs[0], WEFT_FAILED, -EIO);
    check_job(&jobs[1], WEFT_OK, 6);
    check_not_discarded(&w[1]);
}

TEST(a_cancellation_in_the_turn_of_the_last_end_comes_too_late)
{
    const weft_gather_opts *modes[] = {NULL, &collecting};
    for (int i = 0; i < 2; i++) {
        weft_scope s;
        struct work w = ENDS(0, 1);
        weft_job jobs[] = {{.fn = works, .arg = &w, .discard = discards},
                           {.fn = cancels_as_its_last_act, .arg = &s}};
        open_scope(&s);
        CHECK_EQ(weft_gather(jobs, 2, modes[i]), 0);
        check_job(&jobs[1], WEFT_OK, 3);
        check_not_discarded(&w);
        CHECK_EQ(weft_checkpoint(), -ECANCELED);
        CHECK_EQ(weft_scope_end(&s, -ECANCELED), -EINTR);
    }
}

TEST(jobs_that_wait_for_a_place_are_stopped_from_outside_too)
{
    const weft_gather_opts modes[] = {{WEFT_FAIL_FAST, 1}, {WEFT_COLLECT, 1}};
    for (int i = 0; i < 2; i++) {
        weft_scope s;
        struct work w = {0};
        weft_job jobs[] = {{.fn = cancels_as_its_last_act, .arg = &s},
                           {.fn = works, .arg = &w, .discard = discards}};
        open_scope(&s);
        CHECK_EQ(weft_gather(jobs, 2, &modes[i]), -ECANCELED);
        CHECK_EQ(weft_scope_end(&s, -ECANCELED), -EINTR);
        check_job(&jobs[0], WEFT_OK, 3);
        check_not_started(&jobs[1], &w, -ECANCELED);
    }
}

TEST(a_limit_and_a_deadline_leave_the_rest_unstarted)
{
    const weft_gather_opts modes[] = {{WEFT_FAIL_FAST, 2}, {WEFT_COLLECT, 2}};
    for (int i = 0; i < 2; i++) {
        struct work w[6] = {{0}};
        weft_job jobs[6];
        int rc;
        for (int j = 0; j < 6; j++) {
            w[j].after = WEFT_MSEC(2);
        }
        make_jobs(jobs, w, 6);
        WEFT_FAIL_AFTER(rc, WEFT_MSEC(3))
            rc = weft_gather(jobs, 6, &modes[i]);
        CHECK_EQ(rc, -ETIMEDOUT);
        check_job(&jobs[0], WEFT_OK, 0);
        check_job(&jobs[1], WEFT_OK, 0);
        check_job(&jobs[2], WEFT_CANCELLED, -ECANCELED);
        check_job(&jobs[3], WEFT_CANCELLED, -ECANCELED);
        check_not_started(&jobs[4], &w[4], -ECANCELED);
        check_not_started(&jobs[5], &w[5], -ECANCELED);
        check_discarded(&w[0]);
        check_discarded(&w[1]);
        check_not_discarded(&w[2]);
    }
}

TEST(inside_a_shield_a_gather_goes_on)
{
    weft_scope s;
    struct work w[] = {ENDS(WEFT_MSEC(2), 1), ENDS(WEFT_MSEC(1), 2)};
    weft_job jobs[2];
    int rc;
    make_jobs(jobs, w, 2);
    open_scope(&s);
    weft_scope_cancel(&s, -EINTR, NULL);
    WEFT_SHIELD(rc, WEFT_SEC(1))
        rc = weft_gather(jobs, 2, NULL);
    CHECK_EQ(rc, 0);
    check_job(&jobs[0], WEFT_OK, 1);
    CHECK_EQ(weft_gather(jobs, 2, NULL), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), -EINTR);
}

static int gathers_two(void *arg)
{
    weft_job *jobs = arg;
    return weft_gather(jobs, 2, NULL);
}

TEST(the_failure_of_a_sibling_stops_a_gathering_fiber)
{
    struct work w[] = {{.after = WEFT_FOREVER, .cleanup = WEFT_MSEC(3)},
                       ENDS(WEFT_MSEC(1), 1)};
    struct work bad = ENDS(WEFT_MSEC(2), -EIO);
    weft_job jobs[2];
    weft_nursery n;
    make_jobs(jobs, w, 2);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, gathers_two, jobs), 0);
    CHECK_EQ(weft_spawn(&n, works, &bad), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    CHECK(weft_last_error()->next == NULL);
    check_job(&jobs[0], WEFT_CANCELLED, -ECANCELED);
    check_discarded(&w[1]);
}

TEST(cancelling_its_task_stops_a_gathering_fiber)
{
    struct work w[] = {{.after = WEFT_FOREVER}, ENDS(WEFT_MSEC(1), 1)};
    weft_job jobs[2];
    weft_nursery n;
    weft_task t;
    weft_outcome o;
    const weft_spawn_opts with = {.task = &t};
    make_jobs(jobs, w, 2);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, gathers_two, jobs, &with), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(2)), 0);
    weft_task_cancel(&t, -EINTR, "enough");
    CHECK_EQ(weft_join(&t, &o), 0);
    CHECK_EQ(o.status, WEFT_CANCELLED);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    check_job(&jobs[0], WEFT_CANCELLED, -ECANCELED);
    check_discarded(&w[1]);
}

static int gathered, nursed;

static int is_a_gathering_daemon(void *arg)
{
    gathered = weft_gather(arg, 2, NULL);
    CHECK(weft_cancelled());
    return gathered;
}

static int is_a_nursing_daemon(void *arg)
{
    (void)arg;
    WEFT_NURSERY(n, nursed)
        nursed = weft_spawn(&n, waits_for_ever, NULL);
    CHECK(weft_cancelled());
    return nursed;
}

TEST(what_a_daemon_gathers_is_stopped_from_outside)
{
    const weft_spawn_opts daemon = {.daemon = true};
    struct work w[] = {ENDS(0, 0), {.after = WEFT_FOREVER}};
    weft_job jobs[2];
    weft_nursery n;
    make_jobs(jobs, w, 2);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, is_a_gathering_daemon, jobs, &daemon), 0);
    CHECK_EQ(weft_spawn_ex(&n, is_a_nursing_daemon, NULL, &daemon), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(weft_nursery_close(&n, 7), 7);
    check_job(&jobs[1], WEFT_CANCELLED, -ECANCELED);
    CHECK_EQ(gathered, -ECANCELED);
    CHECK_EQ(nursed, -ECANCELED);
    check_discarded(&w[0]);
}

/* ---- discards ----------------------------------------------------------- */

TEST(a_success_in_vain_is_discarded_once_when_all_have_ended)
{
    struct work w[] = {ENDS(WEFT_MSEC(1), 8),
                       ENDS(WEFT_MSEC(2), -EIO),
                       {.after = WEFT_FOREVER, .cleanup = WEFT_MSEC(5)},
                       {.after = WEFT_FOREVER, .late = 9},
                       {.after = WEFT_FOREVER, .late = -ENOENT},
                       ENDS(0, 0)};
    weft_job jobs[6];
    make_jobs(jobs, w, 6);
    CHECK_EQ(weft_gather(jobs, 6, NULL), -EIO);
    check_discarded(&w[0]);
    check_not_discarded(&w[1]);
    check_not_discarded(&w[2]);
    check_discarded(&w[3]);
    check_not_discarded(&w[4]);
    check_discarded(&w[5]);
    check_job(&jobs[0], WEFT_OK, 8);
    check_job(&jobs[3], WEFT_OK, 9);
}

static int fails_at_once(void *arg)
{
    return *(int *)arg;
}

static void discards_and_fails(void *arg)
{
    ++*(unsigned *)arg;
    weft_job job = {.fn = fails_at_once, .arg = &(int){-ENOTTY}};
    CHECK_EQ(weft_gather(&job, 1, NULL), -ENOTTY);
    (void)weft_fail(-ENOTTY, "of no interest");
}

static int counts(void *arg)
{
    (void)arg;
    return 0;
}

TEST(a_discard_does_not_change_the_answer_and_the_others_follow)
{
    unsigned a = 0, b = 0;
    weft_job jobs[] = {
        {.fn = counts, .arg = &a, .discard = discards_and_fails},
        {.fn = fails_with_words, .arg = "bread"},
        {.fn = counts, .arg = &b, .discard = discards_and_fails}};
    CHECK_EQ(weft_gather(jobs, 3, NULL), -EPROTO);
    CHECK_EQ(a, 1);
    CHECK_EQ(b, 1);
}

TEST(a_discard_in_a_cancelled_scope_is_shielded_and_leaves_no_shield)
{
    weft_scope s;
    struct work w[] = {ENDS(0, 1), {.after = WEFT_FOREVER}};
    weft_job jobs[2];
    make_jobs(jobs, w, 2);
    open_scope(&s);
    weft_scope_set_deadline(&s, weft_after(WEFT_MSEC(2)));
    CHECK_EQ(weft_gather(jobs, 2, NULL), -ECANCELED);
    check_discarded(&w[0]);
    CHECK(weft_cancelled());
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), 0);
}

/* ---- jobs that are more than a sleep ------------------------------------ */

static int opens_a_nursery(void *arg)
{
    struct work *w = arg;
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 2 && rc == 0; i++) {
            rc = weft_spawn(&n, works, &w[i]);
        }
    }
    return rc;
}

TEST(jobs_with_nurseries_of_their_own_are_joined_to_the_last_fiber)
{
    struct work w[] = {{.after = WEFT_FOREVER, .cleanup = WEFT_MSEC(4)},
                       {.after = WEFT_FOREVER, .cleanup = WEFT_MSEC(9)}};
    struct work bad = ENDS(WEFT_MSEC(1), -EIO);
    weft_job jobs[] = {{.fn = opens_a_nursery, .arg = w},
                       {.fn = works, .arg = &bad}};
    weft_time start = weft_now();
    CHECK_EQ(weft_gather(jobs, 2, NULL), -EIO);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(10));
    CHECK_EQ(alive, 0);
    CHECK_EQ(w[0].struck + w[1].struck, 2);
    check_job(&jobs[0], WEFT_CANCELLED, -ECANCELED);
}

static unsigned leaves;

static int branches(void *arg)
{
    size_t depth = (size_t)arg;
    if (depth == 0) {
        leaves++;
        return weft_sleep(WEFT_MSEC(1));
    }
    weft_job jobs[3] = {{.fn = branches, .arg = (void *)(depth - 1)},
                        {.fn = branches, .arg = (void *)(depth - 1)},
                        {.fn = branches, .arg = (void *)(depth - 1)}};
    const weft_gather_opts two = {.limit = 2};
    return weft_gather(jobs, 3, depth % 2 ? &two : NULL);
}

TEST(gathers_nest)
{
    CHECK_EQ(branches((void *)6), 0);
    CHECK_EQ(leaves, 729);
}

TEST(a_deadline_stops_nested_gathers_to_the_last_leaf)
{
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_USEC(500))
        rc = branches((void *)5);
    CHECK_EQ(rc, -ETIMEDOUT);
    weft_stats s;
    weft_stats_read(&s);
    CHECK_EQ(s.fibers, 1);
}

static int cancels_its_inner_scope(void *arg)
{
    int rc;
    (void)arg;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1))
        rc = waits_for_ever(NULL);
    return rc;
}

TEST(a_deadline_inside_a_job_is_its_failure)
{
    struct work w = {.after = WEFT_FOREVER};
    weft_job jobs[] = {{.fn = works, .arg = &w},
                       {.fn = cancels_its_inner_scope}};
    CHECK_EQ(weft_gather(jobs, 2, NULL), -ETIMEDOUT);
    check_job(&jobs[0], WEFT_CANCELLED, -ECANCELED);
    check_job(&jobs[1], WEFT_FAILED, -ETIMEDOUT);
}

static void deferred_sleep(void *arg)
{
    (void)arg;
    alive++;
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    alive--;
}

static int defers_and_works(void *arg)
{
    CHECK_EQ(weft_defer(deferred_sleep, NULL), 0);
    return works(arg);
}

TEST(deferred_functions_of_the_jobs_have_run_when_it_returns)
{
    struct work w[] = {
        ENDS(0, 0), ENDS(WEFT_MSEC(9), -EIO), {.after = WEFT_FOREVER}};
    weft_job jobs[3];
    weft_time start = weft_now();
    make_jobs(jobs, w, 3);
    for (int i = 0; i < 3; i++) {
        jobs[i].fn = defers_and_works;
    }
    CHECK_EQ(weft_gather(jobs, 3, NULL), -EIO);
    CHECK_EQ(alive, 0);
    CHECK(weft_now() - start >= WEFT_MSEC(14));
    check_discarded(&w[0]);
    check_job(&jobs[1], WEFT_FAILED, -EIO);
    check_job(&jobs[2], WEFT_CANCELLED, -ECANCELED);
    weft_time once = weft_now();
    struct work ok[] = {ENDS(0, 0), ENDS(0, 0)};
    const weft_gather_opts one = {.limit = 1};
    make_jobs(jobs, ok, 2);
    jobs[0].fn = jobs[1].fn = defers_and_works;
    CHECK_EQ(weft_gather(jobs, 2, &one), 0);
    CHECK_EQ(weft_now() - once, WEFT_MSEC(10));
}

static void discards_slowly(void *arg)
{
    struct work *w = arg;
    w->discarded++;
    w->discard_was_struck = weft_sleep(WEFT_SEC(2)) != 0;
}

TEST(slow_discards_are_all_shielded)
{
    struct work w[] = {ENDS(0, 0), ENDS(0, 0), {.after = WEFT_FOREVER}};
    weft_job jobs[3];
    int rc;
    make_jobs(jobs, w, 3);
    jobs[0].discard = jobs[1].discard = discards_slowly;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5))
        rc = weft_gather(jobs, 3, NULL);
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(w[0].discarded + w[1].discarded, 2);
    CHECK(!w[0].discard_was_struck);
    CHECK(!w[1].discard_was_struck);
}

static int gathers_in_a_defer_result;

static void gathers_in_a_defer(void *arg)
{
    weft_job *jobs = arg;
    gathers_in_a_defer_result = weft_gather(jobs, 2, NULL);
}

static int defers_a_gather(void *arg)
{
    CHECK_EQ(weft_defer(gathers_in_a_defer, arg), 0);
    return waits_for_ever(NULL);
}

TEST(a_deferred_function_of_a_cancelled_fiber_may_gather)
{
    struct work w[] = {ENDS(WEFT_MSEC(1), 0), ENDS(WEFT_MSEC(2), 0)};
    weft_job jobs[2];
    weft_nursery n;
    make_jobs(jobs, w, 2);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, defers_a_gather, jobs), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(gathers_in_a_defer_result, 0);
    check_job(&jobs[0], WEFT_OK, 0);
    check_job(&jobs[1], WEFT_OK, 0);
}

TEST(sleeps_that_end_with_the_deadline_have_ended)
{
    struct work w[] = {ENDS(WEFT_MSEC(5), 1), ENDS(WEFT_MSEC(5), 2)};
    weft_job jobs[2];
    int rc;
    make_jobs(jobs, w, 2);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5))
        rc = weft_gather(jobs, 2, NULL);
    CHECK_EQ(rc, 0);
    check_job(&jobs[0], WEFT_OK, 1);
    check_job(&jobs[1], WEFT_OK, 2);
    CHECK_EQ(w[0].discarded + w[1].discarded, 0);
}

struct unshielding {
    weft_scope *outer, *inner;
};

static int takes_the_shield_away(void *arg)
{
    struct unshielding *u = arg;
    int err = weft_sleep(WEFT_MSEC(1));
    if (err < 0) return err;
    weft_scope_cancel(u->outer, -EINTR, NULL);
    err = weft_sleep(WEFT_MSEC(1));
    if (err < 0) return err;
    weft_scope_set_shield(u->inner, false);
    return 0;
}

TEST(a_shield_that_is_taken_away_stops_the_jobs)
{
    weft_nursery n;
    weft_scope outer, inner;
    struct unshielding u = {&outer, &inner};
    struct work w[] = {{.after = WEFT_FOREVER}, ENDS(WEFT_MSEC(1), 0)};
    weft_job jobs[2];
    weft_time start = weft_now();
    make_jobs(jobs, w, 2);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, takes_the_shield_away, &u), 0);
    open_scope(&outer);
    weft_scope_init(&inner);
    weft_scope_set_shield(&inner, true);
    CHECK_EQ(weft_scope_begin(&inner), 0);
    CHECK_EQ(weft_gather(jobs, 2, NULL), -ECANCELED);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(3)); /* a discard sleeps for one */
    CHECK_EQ(weft_scope_end(&inner, -ECANCELED), -ECANCELED);
    CHECK_EQ(weft_scope_end(&outer, -ECANCELED), -EINTR);
    check_discarded(&w[1]);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static int goes_deeper(void *arg)
{
    size_t depth = (size_t)arg;
    if (depth == 0) return waits_for_ever(NULL);
    weft_job jobs[] = {{.fn = goes_deeper, .arg = (void *)(depth - 1)}};
    return depth % 2 ? weft_gather(jobs, 1, NULL)
                     : weft_race(jobs, 1, WEFT_RACE_DONE);
}

TEST(two_thousand_levels_are_stopped_like_one)
{
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1))
        rc = goes_deeper((void *)2000);
    CHECK_EQ(rc, -ETIMEDOUT);
}

TEST(gathering_nothing_over_and_over_lets_others_run)
{
    weft_nursery n;
    unsigned turns = 0;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, shows_that_it_runs, &turns), 0);
    for (int i = 0; i < 1300; i++) {
        CHECK_EQ(weft_gather(NULL, 0, NULL), 0);
    }
    CHECK(turns >= 5);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_gather_leaves_nothing_open_in_its_caller)
{
    struct work w[] = {ENDS(0, -EIO), ENDS(WEFT_FOREVER, 0)};
    weft_job jobs[2];
    make_jobs(jobs, w, 2);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_gather(jobs, 2, NULL), -EIO);
        CHECK_EQ(weft_deadline(), WEFT_FOREVER);
        CHECK(weft_cancel_reason() == NULL);
        weft_scope s;
        open_scope(&s);
        CHECK_EQ(weft_scope_end(&s, 0), 0);
    }
}

TEST_PLAIN(gather_needs_a_fiber)
{
    struct work w = {0};
    weft_job job = {.fn = works, .arg = &w};
    CHECK_EQ(weft_gather(&job, 1, NULL), -EPERM);
    CHECK_EQ(w.ran, 0);
}

/* ---- at every moment ---------------------------------------------------- */

/* Things that jobs make, and that must all have gone in the end. */
static int things;

static int makes_a_thing(void *arg)
{
    struct work *w = arg;
    int err = weft_sleep(w->after);
    if (err < 0) return err;
    things++;
    err = weft_yield();
    if (err == -ECANCELED && w->late == 0) {
        things--;
        return err;
    }
    return w->code;
}

static void takes_it_back(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_yield(), 0);
    things--;
}

static int gathers_things(void *arg)
{
    const weft_gather_opts *o = arg;
    struct work w[5] = {ENDS(WEFT_MSEC(2), 0), ENDS(WEFT_MSEC(1), 0),
                        ENDS(0, 0), ENDS(WEFT_MSEC(1), 0), ENDS(0, 0)};
    weft_job jobs[5];
    w[1].late = 1;
    for (int i = 0; i < 5; i++) {
        jobs[i] = (weft_job){makes_a_thing, &w[i], takes_it_back, 0, 0, 0, 0};
    }
    int rc = weft_gather(jobs, 5, o);
    const bool scarce = sweep_short_of_memory();
    CHECK(rc == 0 || rc == -ECANCELED || (scarce && rc == -ENOMEM));
    bool stopped = false;
    for (int i = 0; i < 5; i++) {
        if (jobs[i].status == WEFT_FAILED) CHECK(scarce && !jobs[i].started);
        CHECK(jobs[i].started || jobs[i].status != WEFT_OK);
        stopped |= jobs[i].status == WEFT_CANCELLED;
        if (rc == 0 && jobs[i].status == WEFT_OK) things--;
    }
    if (!scarce) CHECK_EQ(rc == -ECANCELED, stopped);
    return rc;
}

static const weft_gather_opts swept_opts[] = {{WEFT_FAIL_FAST, 0},
                                              {WEFT_FAIL_FAST, 2},
                                              {WEFT_COLLECT, 0},
                                              {WEFT_COLLECT, 1}};

static void start_gathering(weft_nursery *n)
{
    for (int i = 0; i < 4; i++) {
        sweep_spawn(n, gathers_things,
                    (void *)(uintptr_t)(const void *)&swept_opts[i]);
    }
}

static void check_things(void)
{
    CHECK_EQ(things, 0);
}

SWEEP(whenever_a_gather_is_stopped_nothing_is_lost_and_nothing_kept,
      start_gathering, check_things, SWEEP_SPARE_CHILDREN);

static int gathers_scarcely(void *arg)
{
    (void)arg;
    for (int i = 0; i < 4; i++) {
        struct work w[6] = {{0}};
        weft_job jobs[6];
        int first = 0;
        make_jobs(jobs, w, 6);
        int rc = weft_gather(jobs, 6, &swept_opts[i]);
        for (int j = 0; j < 6; j++) {
            CHECK_EQ(jobs[j].started, w[j].ran == 1);
            CHECK(jobs[j].rc == 0 || jobs[j].rc == -ENOMEM ||
                  jobs[j].rc == -ECANCELED);
            if (!jobs[j].started) CHECK(jobs[j].rc < 0);
            if (!jobs[j].started)
                CHECK_EQ(jobs[j].status,
                         jobs[j].rc == -ENOMEM ? WEFT_FAILED : WEFT_CANCELLED);
            if (jobs[j].rc == -ENOMEM) first = -ENOMEM;
            CHECK_EQ(w[j].discarded, rc < 0 && jobs[j].status == WEFT_OK);
        }
        if (swept_opts[i].policy == WEFT_FAIL_FAST) CHECK_EQ(rc, first);
        if (swept_opts[i].policy == WEFT_COLLECT) {
            /* Not even a nursery takes memory: only the fibers do. */
            CHECK_EQ(rc, 0);
            for (int j = 0; j < 6; j++) {
                CHECK(jobs[j].started || jobs[j].rc == -ENOMEM);
            }
        }
        CHECK_EQ(alive, 0);
        CHECK_EQ(weft_checkpoint(), 0);
    }
    return 0;
}

STARVE(a_gather_without_memory_loses_no_job, gathers_scarcely)
