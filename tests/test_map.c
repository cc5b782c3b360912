/* SPDX-License-Identifier: MIT */
/* test_map.c - one function for many numbers, and jobs one after the other. */
#include <weft/debug.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/gather.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <string.h>

#include "harness.h"
#include "jobs.h"
#include "open.h"
#include "said.h"
#include "starve.h"
#include "sweep.h"

/* ---- map: what it calls ------------------------------------------------- */

enum { MOST = 64 };

struct plan {
    weft_time after[MOST];
    int code[MOST];
    weft_time cleanup;
    int late; /* what a cancelled call returns, if not 0 */
    unsigned calls[MOST], alive, most_alive, total;
};

static int does(size_t i, void *context)
{
    struct plan *p = context;
    CHECK(i < MOST);
    p->calls[i]++;
    p->total++;
    if (++p->alive > p->most_alive) p->most_alive = p->alive;
    int rc = weft_sleep(p->after[i]), shielded = 0;
    if (rc == -ECANCELED) {
        if (p->cleanup > 0)
            WEFT_SHIELD(shielded, WEFT_SEC(100))
                shielded = weft_sleep(p->cleanup);
        CHECK_EQ(shielded, 0);
        if (p->late) rc = p->late;
    } else {
        rc = p->code[i];
    }
    p->alive--;
    return rc;
}

static void garbage(int *rc, size_t n)
{
    memset(rc, 0x5a, n * sizeof *rc);
}

TEST(map_calls_once_for_each_number_and_keeps_the_results)
{
    struct plan p = {.late = 0};
    int rc[20];
    weft_time start = weft_now();
    for (int i = 0; i < 20; i++) {
        p.after[i] = WEFT_MSEC(20 - i);
        p.code[i] = 100 + i;
    }
    garbage(rc, 20);
    CHECK_EQ(weft_map(20, does, &p, rc, NULL), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(20));
    CHECK_EQ(p.most_alive, 20);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(p.calls[i], 1);
        CHECK_EQ(rc[i], 100 + i);
    }
}

TEST(map_of_nothing_is_done_at_once)
{
    weft_time start = weft_now();
    const weft_gather_opts o = {WEFT_COLLECT, 2};
    CHECK_EQ(weft_map(0, does, NULL, NULL, NULL), 0);
    CHECK_EQ(weft_map(0, does, NULL, NULL, &o), 0);
    CHECK_EQ(weft_now(), start);
}

TEST(map_needs_no_room_for_results)
{
    struct plan p = {.late = 0};
    const weft_gather_opts o = {WEFT_COLLECT, 2};
    p.code[2] = -EIO;
    CHECK_EQ(weft_map(5, does, &p, NULL, NULL), -EIO);
    p = (struct plan){.late = 0};
    CHECK_EQ(weft_map(5, does, &p, NULL, &o), 0);
    CHECK_EQ(p.total, 5);
}

TEST(gat_04_map_keeps_to_its_limit_too)
{
    struct plan p = {.late = 0};
    const weft_gather_opts four = {.limit = 4};
    weft_time start = weft_now();
    for (int i = 0; i < 10; i++) {
        p.after[i] = WEFT_MSEC(1);
    }
    CHECK_EQ(weft_map(10, does, &p, NULL, &four), 0);
    CHECK_EQ(p.most_alive, 4);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(3));
}

TEST(map_starts_the_next_one_when_one_has_ended)
{
    struct plan p = {.late = 0};
    const weft_gather_opts two = {.limit = 2};
    weft_time start = weft_now();
    p.after[0] = WEFT_MSEC(10); /* while the others go by */
    for (int i = 1; i < 10; i++) {
        p.after[i] = WEFT_MSEC(1);
    }
    CHECK_EQ(weft_map(10, does, &p, NULL, &two), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(10));
    CHECK_EQ(p.most_alive, 2);
}

static size_t order[MOST], ordered;

static int notes_its_number(size_t i, void *context)
{
    order[ordered++] = i;
    return *(int *)context;
}

TEST(map_with_a_limit_of_one_goes_by_the_numbers)
{
    const weft_gather_opts one = {.limit = 1};
    CHECK_EQ(weft_map(9, notes_its_number, &(int){0}, NULL, &one), 0);
    CHECK_EQ(ordered, 9);
    for (size_t i = 0; i < 9; i++) {
        CHECK_EQ(order[i], i);
    }
}

TEST_FIFO(map_starts_by_the_numbers)
{
    CHECK_EQ(weft_map(9, notes_its_number, &(int){0}, NULL, NULL), 0);
    for (size_t i = 0; i < 9; i++) {
        CHECK_EQ(order[i], i);
    }
}

TEST(gat_05_after_the_first_failure_map_makes_no_more_calls)
{
    const weft_gather_opts one = {.limit = 1};
    struct plan p = {.late = 0};
    int rc[6];
    garbage(rc, 6);
    p.code[2] = -EIO;
    p.code[0] = 4;
    CHECK_EQ(weft_map(6, does, &p, rc, &one), -EIO);
    CHECK_EQ(p.total, 3);
    CHECK_EQ(rc[0], 4);
    CHECK_EQ(rc[1], 0);
    CHECK_EQ(rc[2], -EIO);
    CHECK_EQ(rc[3], -ECANCELED);
    CHECK_EQ(rc[4], -ECANCELED);
    CHECK_EQ(rc[5], -ECANCELED);
}

TEST(gat_02_a_failure_in_map_cancels_and_joins_the_rest)
{
    struct plan p = {.late = 0};
    int rc[3];
    weft_time start = weft_now();
    p.after[0] = WEFT_FOREVER;
    p.after[1] = WEFT_MSEC(5);
    p.code[1] = -EIO;
    p.code[2] = 8;
    p.cleanup = WEFT_MSEC(10);
    CHECK_EQ(weft_map(3, does, &p, rc, NULL), -EIO);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(15));
    CHECK_EQ(p.alive, 0);
    CHECK_EQ(rc[0], -ECANCELED);
    CHECK_EQ(rc[1], -EIO);
    CHECK_EQ(rc[2], 8);
    CHECK_EQ(weft_last_error()->code, -EIO);
    CHECK_EQ(weft_checkpoint(), 0);
}

TEST(gat_03_map_collecting_calls_all)
{
    const weft_gather_opts o = {WEFT_COLLECT, 3};
    struct plan p = {.late = 0};
    int rc[12];
    for (int i = 0; i < 12; i++) {
        p.code[i] = i % 2 ? -i : i;
    }
    garbage(rc, 12);
    CHECK_EQ(weft_map(12, does, &p, rc, &o), 0);
    for (int i = 0; i < 12; i++) {
        CHECK_EQ(p.calls[i], 1);
        CHECK_EQ(rc[i], p.code[i]);
    }
    CHECK(p.most_alive <= 3);
}

TEST(gat_06_map_in_a_cancelled_scope_calls_nothing)
{
    const weft_gather_opts o = {WEFT_COLLECT, 0}, *modes[] = {NULL, &o};
    for (int i = 0; i < 2; i++) {
        weft_scope s;
        struct plan p = {.late = 0};
        int rc[3];
        garbage(rc, 3);
        open_scope(&s);
        weft_scope_cancel(&s, -EINTR, NULL);
        CHECK_EQ(weft_map(3, does, &p, rc, modes[i]), -ECANCELED);
        CHECK_EQ(weft_map(0, does, &p, NULL, modes[i]), -ECANCELED);
        CHECK_EQ(weft_scope_end(&s, -ECANCELED), -EINTR);
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
        CHECK_EQ(p.total, 0);
        for (int j = 0; j < 3; j++) {
            CHECK_EQ(rc[j], -ECANCELED);
        }
    }
}

TEST(a_deadline_outside_stops_map_and_is_reported_outside)
{
    const weft_gather_opts modes[] = {{WEFT_FAIL_FAST, 2}, {WEFT_COLLECT, 2}};
    for (int i = 0; i < 2; i++) {
        struct plan p = {.late = 0};
        int rc[5], out;
        garbage(rc, 5);
        p.cleanup = WEFT_MSEC(7);
        p.after[0] = WEFT_MSEC(1);
        p.after[1] = p.after[2] = p.after[3] = WEFT_FOREVER;
        p.code[0] = 3;
        weft_time start = weft_now();
        WEFT_FAIL_AFTER(out, WEFT_MSEC(5)) {
            out = weft_map(5, does, &p, rc, &modes[i]);
            CHECK_EQ(out, -ECANCELED);
        }
        CHECK_EQ(out, -ETIMEDOUT);
        CHECK_EQ(weft_now() - start, WEFT_MSEC(12));
        CHECK_EQ(rc[0], 3);
        CHECK_EQ(rc[1], -ECANCELED);
        CHECK_EQ(rc[2], -ECANCELED);
        CHECK_EQ(rc[3], -ECANCELED);
        CHECK_EQ(p.calls[3] + p.calls[4], 0);
    }
}

TEST(calls_that_finish_all_the_same_have_finished)
{
    struct plan p = {.late = 0};
    int rc[2], out;
    p.after[0] = p.after[1] = WEFT_FOREVER;
    p.late = 6;
    WEFT_FAIL_AFTER(out, WEFT_MSEC(5))
        out = weft_map(2, does, &p, rc, NULL);
    CHECK_EQ(out, 0);
    CHECK_EQ(rc[0], 6);
    CHECK_EQ(rc[1], 6);
}

TEST(map_refuses_what_gather_refuses)
{
    struct plan p = {.late = 0};
    const weft_gather_opts supervise = {.policy = WEFT_SUPERVISE};
    const weft_gather_opts unknown = {.policy = (weft_policy)77};
    CHECK_EQ(weft_map(2, does, &p, NULL, &supervise), -EINVAL);
    CHECK_EQ(weft_map(2, does, &p, NULL, &unknown), -EINVAL);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(p.total, 0);
}

static unsigned small_calls;

static int is_small(size_t i, void *context)
{
    weft_stats s;
    weft_stats_read(&s);
    CHECK(s.fibers <= 52);
    small_calls++;
    int err = i % 5 == 0 ? weft_sleep(WEFT_USEC(i % 7)) : 0;
    if (err < 0) return err;
    return i == *(size_t *)context ? -ERANGE : 0;
}

TEST(gat_12_map_over_many_numbers_takes_the_memory_of_its_limit)
{
    const weft_gather_opts o = {.limit = 50};
    weft_stats before, after;
    size_t never = SIZE_MAX, late = 15001;
    weft_stats_read(&before);
    CHECK_EQ(weft_map(20000, is_small, &never, NULL, &o), 0);
    CHECK_EQ(small_calls, 20000);
    weft_stats_read(&after);
    CHECK(after.stacks - before.stacks <= 200);

    small_calls = 0;
    CHECK_EQ(weft_map(20000, is_small, &late, NULL, &o), -ERANGE);
    CHECK(small_calls > 15002 - 50 && small_calls < 17000);
}

static unsigned leaves;

static int maps_again(size_t i, void *context)
{
    size_t depth = (size_t)context;
    (void)i;
    if (depth == 0) {
        leaves++;
        return weft_sleep(WEFT_MSEC(1));
    }
    const weft_gather_opts two = {.limit = 2};
    return weft_map(3, maps_again, (void *)(depth - 1), NULL,
                    depth % 2 ? &two : NULL);
}

TEST(maps_nest_and_are_stopped_to_the_last_leaf)
{
    CHECK_EQ(weft_map(3, maps_again, (void *)5, NULL, NULL), 0);
    CHECK_EQ(leaves, 729);
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_USEC(500))
        rc = weft_map(3, maps_again, (void *)5, NULL, NULL);
    CHECK_EQ(rc, -ETIMEDOUT);
    weft_stats s;
    weft_stats_read(&s);
    CHECK_EQ(s.fibers, 1);
}

static int fails_at_three(size_t i, void *context)
{
    ++*(unsigned *)context;
    int err = weft_yield();
    return err < 0 ? err : i == 3 ? -ERANGE : 0;
}

TEST(map_needs_no_memory_for_numbers_it_never_comes_to)
{
    const weft_gather_opts two = {.limit = 2};
    unsigned calls = 0;
    CHECK_EQ(weft_map(SIZE_MAX, fails_at_three, &calls, NULL, &two), -ERANGE);
    CHECK(calls >= 4 && calls <= 40);
}

TEST_PLAIN(map_needs_a_fiber)
{
    struct plan p = {.late = 0};
    CHECK_EQ(weft_map(2, does, &p, NULL, NULL), -EPERM);
    CHECK_EQ(p.total, 0);
}

/* ---- batch -------------------------------------------------------------- */

struct step {
    weft_time after;
    int code;
    int late;            /* what it returns when cancelled, if not 0 */
    weft_scope *cancels; /* with its last act */
    unsigned ran, discarded;
    bool discard_was_struck;
};

#define ENDS(ns, result)                                                       \
    {                                                                          \
        .after = (ns), .code = (result)                                        \
    }

static unsigned alive;

static int steps(void *arg)
{
    struct step *s = arg;
    s->ran++;
    CHECK_EQ(alive++, 0);
    int rc = weft_sleep(s->after);
    alive--;
    if (rc == -ECANCELED) return s->late ? s->late : rc;
    if (s->cancels) weft_scope_cancel(s->cancels, -EINTR, NULL);
    return s->code;
}

static void discards(void *arg)
{
    struct step *s = arg;
    s->discarded++;
    s->discard_was_struck = weft_cancelled() || weft_sleep(WEFT_MSEC(1)) != 0;
}

static void make_jobs(weft_job *jobs, struct step *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        make_job(&jobs[i], steps, &s[i], discards);
}

static void check_not_started(const weft_job *j, const struct step *s)
{
    check_no_start(j, -ECANCELED);
    CHECK_EQ(s->ran, 0);
    CHECK_EQ(s->discarded, 0);
}

TEST(a_batch_runs_one_after_the_other_whatever_fails)
{
    struct step s[] = {ENDS(WEFT_MSEC(3), 1), ENDS(WEFT_MSEC(1), -EIO),
                       ENDS(0, 2), ENDS(WEFT_MSEC(2), -ENOENT)};
    weft_job jobs[4];
    weft_time start = weft_now();
    make_jobs(jobs, s, 4);
    CHECK_EQ(weft_batch(jobs, 4), 2);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(6));
    check_job(&jobs[0], WEFT_OK, 1);
    check_job(&jobs[1], WEFT_FAILED, -EIO);
    check_job(&jobs[2], WEFT_OK, 2);
    check_job(&jobs[3], WEFT_FAILED, -ENOENT);
    CHECK_EQ(jobs[0].took, WEFT_MSEC(3));
    CHECK_EQ(jobs[1].took, WEFT_MSEC(1));
    CHECK_EQ(jobs[2].took, 0);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(s[i].ran, 1);
        CHECK_EQ(s[i].discarded, 0);
    }
}

TEST(an_empty_batch_has_no_failures)
{
    CHECK_EQ(weft_batch(NULL, 0), 0);
}

TEST(a_batch_goes_in_the_order_of_the_array)
{
    weft_job jobs[] = {{.fn = says, .arg = "a"},
                       {.fn = says, .arg = "b"},
                       {.fn = says, .arg = "c"}};
    CHECK_EQ(weft_batch(jobs, 3), 0);
    CHECK_STR(said, "abc");
}

TEST(a_batch_in_a_cancelled_scope_starts_nothing)
{
    weft_scope scope;
    struct step s[2] = {ENDS(0, 0), ENDS(0, 0)};
    weft_job jobs[2];
    make_jobs(jobs, s, 2);
    open_cancelled_scope(&scope);
    CHECK_EQ(weft_batch(jobs, 2), -ECANCELED);
    CHECK_EQ(weft_batch(NULL, 0), -ECANCELED);
    CHECK_EQ(weft_scope_end(&scope, -ECANCELED), 0);
    check_not_started(&jobs[0], &s[0]);
    check_not_started(&jobs[1], &s[1]);
}

TEST(a_batch_stopped_from_outside_leaves_the_rest_unstarted)
{
    struct step s[] = {ENDS(WEFT_MSEC(1), 0), ENDS(WEFT_MSEC(1), -EIO),
                       ENDS(WEFT_FOREVER, 0), ENDS(0, 0)};
    weft_job jobs[4];
    int rc;
    make_jobs(jobs, s, 4);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_batch(jobs, 4);
        CHECK_EQ(rc, -ECANCELED);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    check_job(&jobs[0], WEFT_OK, 0);
    check_job(&jobs[1], WEFT_FAILED, -EIO);
    check_job(&jobs[2], WEFT_CANCELLED, -ECANCELED);
    check_not_started(&jobs[3], &s[3]);
    CHECK_EQ(s[0].discarded, 1);
    CHECK(!s[0].discard_was_struck);
    CHECK_EQ(s[1].discarded, 0);
    CHECK_EQ(s[2].discarded, 0);
}

TEST(a_batch_cancelled_between_two_jobs_stops_there)
{
    weft_scope scope;
    struct step s[] = {ENDS(0, 1), ENDS(0, 2)};
    weft_job jobs[2];
    s[0].cancels = &scope;
    make_jobs(jobs, s, 2);
    open_scope(&scope);
    CHECK_EQ(weft_batch(jobs, 2), -ECANCELED);
    CHECK_EQ(weft_scope_end(&scope, -ECANCELED), -EINTR);
    check_job(&jobs[0], WEFT_OK, 1);
    check_not_started(&jobs[1], &s[1]);
    CHECK_EQ(s[0].discarded, 1);
    CHECK(!s[0].discard_was_struck);
}

TEST(a_batch_cancelled_in_the_turn_of_its_last_end_is_complete)
{
    weft_scope scope;
    struct step s[] = {ENDS(0, -EIO), ENDS(WEFT_MSEC(1), 2)};
    weft_job jobs[2];
    s[1].cancels = &scope;
    make_jobs(jobs, s, 2);
    open_scope(&scope);
    CHECK_EQ(weft_batch(jobs, 2), 1);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_scope_end(&scope, -ECANCELED), -EINTR);
    check_job(&jobs[1], WEFT_OK, 2);
    CHECK_EQ(s[1].discarded, 0);
}

TEST(a_last_job_that_finishes_all_the_same_completes_the_batch)
{
    struct step s[] = {ENDS(0, 0), ENDS(WEFT_FOREVER, 0)};
    weft_job jobs[2];
    int rc;
    s[1].late = 3;
    make_jobs(jobs, s, 2);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5))
        rc = weft_batch(jobs, 2);
    CHECK_EQ(rc, 0);
    check_job(&jobs[1], WEFT_OK, 3);
    CHECK_EQ(s[0].discarded + s[1].discarded, 0);
}

TEST(a_last_job_that_fails_when_cancelled_completes_the_batch_too)
{
    struct step s[] = {ENDS(0, 0), ENDS(WEFT_FOREVER, 0)};
    weft_job jobs[2];
    int rc;
    s[1].late = -EIO;
    make_jobs(jobs, s, 2);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5))
        rc = weft_batch(jobs, 2);
    CHECK_EQ(rc, 1);
    check_job(&jobs[1], WEFT_FAILED, -EIO);
}

static int says_cancelled(void *arg)
{
    (void)arg;
    return -ECANCELED;
}

TEST(ecanceled_for_no_reason_is_one_failure_of_a_batch)
{
    struct step s = ENDS(0, 0);
    weft_job jobs[] = {{.fn = says_cancelled}, {.fn = steps, .arg = &s}};
    CHECK_EQ(weft_batch(jobs, 2), 1);
    check_job(&jobs[0], WEFT_FAILED, -ECANCELED);
    check_job(&jobs[1], WEFT_OK, 0);
}

TEST(a_deadline_inside_a_job_is_that_jobs_failure)
{
    struct step s = ENDS(0, 0);
    weft_job inner[] = {{.fn = steps, .arg = &(struct step)ENDS(0, 0)}};
    weft_job jobs[] = {{.fn = says_cancelled}, {.fn = steps, .arg = &s}};
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1))
        rc = weft_batch(inner, 1);
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_batch(jobs, 2), 1);
    CHECK_EQ(weft_deadline(), WEFT_FOREVER);
}

TEST_PLAIN(a_batch_needs_a_fiber)
{
    struct step s[1] = {ENDS(0, 0)};
    weft_job jobs[1];
    make_jobs(jobs, s, 1);
    CHECK_EQ(weft_batch(jobs, 1), -EPERM);
    CHECK_EQ(s[0].ran, 0);
}

/* ---- at every moment ---------------------------------------------------- */

static int things;

static int makes_a_thing(void *arg)
{
    (void)arg;
    int err = weft_sleep(WEFT_MSEC(1));
    if (err < 0) return err;
    things++;
    return 0;
}

static void takes_it_back(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_yield(), 0);
    things--;
}

static int batches(void *arg)
{
    weft_job jobs[4];
    (void)arg;
    for (int i = 0; i < 4; i++) {
        jobs[i] = (weft_job){.fn = makes_a_thing, .discard = takes_it_back};
    }
    int rc = weft_batch(jobs, 4);
    if (rc < 0) return rc;
    CHECK(rc == 0 || sweep_short_of_memory());
    things -= 4 - rc;
    return 0;
}

static int maps_a_thing(size_t i, void *context)
{
    int err = weft_sleep(WEFT_MSEC(i % 3));
    if (err < 0) return err;
    ++*(int *)context;
    return 1;
}

static int maps(void *arg)
{
    const weft_gather_opts two = {.limit = 2};
    int rc[6], made = 0, saved = 0;
    garbage(rc, 6);
    int all = weft_map(6, maps_a_thing, &made, rc, arg ? &two : NULL);
    for (int i = 0; i < 6; i++) {
        CHECK(rc[i] == 1 || rc[i] == -ECANCELED ||
              (rc[i] == -ENOMEM && sweep_short_of_memory()));
        saved += rc[i] == 1;
    }
    CHECK_EQ(saved, made);
    if (!sweep_short_of_memory()) CHECK_EQ(all, made == 6 ? 0 : -ECANCELED);
    if (made == 6) CHECK_EQ(all, 0);
    return all;
}

static void start_them(weft_nursery *n)
{
    sweep_spawn(n, batches, NULL);
    sweep_spawn(n, maps, NULL);
    sweep_spawn(n, maps, "limit");
    sweep_spawn(n, batches, NULL);
}

static void check_things(void)
{
    CHECK_EQ(things, 0);
}

SWEEP(whenever_it_is_stopped_the_results_say_what_happened, start_them,
      check_things, SWEEP_SPARE_CHILDREN);

static int works_scarcely(void *arg)
{
    const weft_gather_opts modes[] = {
        {WEFT_FAIL_FAST, 2}, {WEFT_COLLECT, 2}, {WEFT_COLLECT, 0}};
    (void)arg;
    for (int i = 0; i < 3; i++) {
        struct plan p = {.late = 0};
        int rc[8], refused = 0;
        garbage(rc, 8);
        int all = weft_map(8, does, &p, rc, &modes[i]);
        for (int j = 0; j < 8; j++) {
            CHECK(p.calls[j] <= 1);
            CHECK_EQ(rc[j] == 0, p.calls[j] == 1 && rc[j] != -ECANCELED);
            CHECK(rc[j] == 0 || rc[j] == -ENOMEM || rc[j] == -ECANCELED);
            refused += rc[j] < 0;
        }
        CHECK(all == 0 || all == -ENOMEM);
        if (i == 0) CHECK_EQ(all<0, refused> 0);
    }
    struct step s[3] = {ENDS(0, 0), ENDS(0, -EIO), ENDS(0, 0)};
    weft_job jobs[3];
    make_jobs(jobs, s, 3);
    int failed = weft_batch(jobs, 3), counted = 0;
    CHECK(failed >= 0 || failed == -ENOMEM);
    for (int i = 0; i < 3; i++) {
        counted += jobs[i].status != WEFT_OK;
    }
    if (failed >= 0) CHECK_EQ(failed, counted);
    return 0;
}

STARVE(map_and_batch_without_memory_say_what_was_not_done, works_scarcely)
