/* SPDX-License-Identifier: MIT */
/* test_race.c - one winner, and what becomes of the losers. */
#include <weft/debug.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/gather.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include "fibers.h"
#include "harness.h"
#include "jobs.h"
#include "open.h"
#include "starve.h"
#include "sweep.h"
#include "work.h"

/* ---- the listed cases --------------------------------------------------- */

TEST(gat_08_a_later_success_wins_over_an_early_failure)
{
    struct work r[] = {ENDS(WEFT_MSEC(1), -EIO), ENDS(WEFT_MSEC(2), 9),
                       FOR_EVER};
    weft_job jobs[3];
    weft_time start = weft_now();
    make_jobs(jobs, r, 3);
    CHECK_EQ(weft_race(jobs, 3, WEFT_RACE_OK), 1);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(2));
    check_job(&jobs[0], WEFT_FAILED, -EIO);
    check_job(&jobs[1], WEFT_OK, 9);
    check_job(&jobs[2], WEFT_CANCELLED, -ECANCELED);
    CHECK_EQ(jobs[1].took, WEFT_MSEC(2));
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(r[i].discarded, 0);
    }
    CHECK_EQ(weft_checkpoint(), 0);
}

TEST(gat_08_in_the_other_mode_the_early_failure_wins)
{
    struct work r[] = {ENDS(WEFT_MSEC(1), -EIO), ENDS(WEFT_MSEC(2), 9),
                       FOR_EVER};
    weft_job jobs[3];
    weft_time start = weft_now();
    make_jobs(jobs, r, 3);
    CHECK_EQ(weft_race(jobs, 3, WEFT_RACE_DONE), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(1));
    check_job(&jobs[0], WEFT_FAILED, -EIO);
    check_job(&jobs[1], WEFT_CANCELLED, -ECANCELED);
    check_job(&jobs[2], WEFT_CANCELLED, -ECANCELED);
    CHECK_EQ(weft_checkpoint(), 0);
}

TEST(gat_08_when_all_fail_the_earliest_failure_is_the_answer)
{
    struct work r[] = {ENDS(WEFT_MSEC(3), -EIO), ENDS(WEFT_MSEC(1), -ENOENT),
                       ENDS(WEFT_MSEC(2), -EPROTO)};
    weft_job jobs[3];
    weft_time start = weft_now();
    make_jobs(jobs, r, 3);
    CHECK_EQ(weft_race(jobs, 3, WEFT_RACE_OK), -ENOENT);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(3));
    const weft_error *e = weft_last_error();
    CHECK_EQ(e->code, -ENOENT);
    CHECK_EQ(e->next->code, -EPROTO);
    CHECK_EQ(e->next->next->code, -EIO);
    CHECK(e->next->next->next == NULL);
    for (int i = 0; i < 3; i++) {
        check_job(&jobs[i], WEFT_FAILED, r[i].code);
        CHECK_EQ(r[i].struck, 0);
    }
}

TEST(gat_11_a_race_returns_when_the_losers_have_ended)
{
    struct work r[] = {{.after = WEFT_FOREVER, .cleanup = WEFT_MSEC(50)},
                       ENDS(WEFT_MSEC(1), 0),
                       {.after = WEFT_FOREVER, .cleanup = WEFT_MSEC(20)}};
    weft_job jobs[3];
    weft_time start = weft_now();
    make_jobs(jobs, r, 3);
    CHECK_EQ(weft_race(jobs, 3, WEFT_RACE_OK), 1);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(51));
    CHECK_EQ(alive, 0);
    CHECK_EQ(jobs[0].took, WEFT_MSEC(51));
}

TEST(gat_06_in_a_cancelled_scope_no_race_is_started)
{
    static const weft_race_mode modes[] = {WEFT_RACE_OK, WEFT_RACE_DONE};
    for (int i = 0; i < 2; i++) {
        weft_scope s;
        struct work r[2] = {ENDS(0, 0), ENDS(0, 0)};
        weft_job jobs[2];
        make_jobs(jobs, r, 2);
        open_scope(&s);
        weft_scope_cancel(&s, -EINTR, NULL);
        CHECK_EQ(weft_race(jobs, 2, modes[i]), -ECANCELED);
        CHECK_EQ(weft_race(NULL, 0, modes[i]), -ECANCELED);
        CHECK_EQ(weft_scope_end(&s, -ECANCELED), -EINTR);
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
        for (int j = 0; j < 2; j++) {
            CHECK_EQ(r[j].ran, 0);
            check_no_start(&jobs[j], -ECANCELED);
        }
    }
}

/* ---- who wins ----------------------------------------------------------- */

TEST(the_answer_is_the_index_not_the_result)
{
    struct work r[] = {ENDS(0, 5)};
    weft_job jobs[1];
    make_jobs(jobs, r, 1);
    CHECK_EQ(weft_race(jobs, 1, WEFT_RACE_OK), 0);
    check_job(&jobs[0], WEFT_OK, 5);
    CHECK_EQ(weft_race(jobs, 1, WEFT_RACE_DONE), 0);
    check_job(&jobs[0], WEFT_OK, 5);
    r[0].code = -EIO;
    CHECK_EQ(weft_race(jobs, 1, WEFT_RACE_OK), -EIO);
    CHECK_EQ(weft_race(jobs, 1, WEFT_RACE_DONE), 0);
    check_job(&jobs[0], WEFT_FAILED, -EIO);
}

TEST(a_race_without_runners_is_refused)
{
    weft_job jobs[1];
    CHECK_EQ(weft_race(jobs, 0, WEFT_RACE_OK), -EINVAL);
    CHECK_EQ(weft_race(NULL, 0, WEFT_RACE_DONE), -EINVAL);
}

TEST(of_two_that_end_at_one_moment_exactly_one_wins)
{
    static const weft_race_mode modes[] = {WEFT_RACE_OK, WEFT_RACE_DONE};
    for (int i = 0; i < 2; i++) {
        struct work r[4] = {ENDS(WEFT_MSEC(1), 1), ENDS(WEFT_MSEC(1), 1),
                            ENDS(WEFT_MSEC(1), 1), ENDS(WEFT_MSEC(1), 1)};
        weft_job jobs[4];
        make_jobs(jobs, r, 4);
        int won = weft_race(jobs, 4, modes[i]);
        CHECK(won >= 0 && won < 4);
        check_job(&jobs[won], WEFT_OK, 1);
        for (int j = 0; j < 4; j++) {
            CHECK_EQ(r[j].discarded, j != won && jobs[j].status == WEFT_OK);
        }
    }
}

TEST_FIFO(of_two_that_end_at_one_moment_the_first_to_run_wins)
{
    struct work r[3] = {ENDS(WEFT_MSEC(1), 1), ENDS(WEFT_MSEC(1), 2),
                        ENDS(WEFT_MSEC(1), 3)};
    weft_job jobs[3];
    make_jobs(jobs, r, 3);
    CHECK_EQ(weft_race(jobs, 3, WEFT_RACE_OK), 0);
    /* They slept well: a grant is final. */
    check_job(&jobs[1], WEFT_OK, 2);
    check_job(&jobs[2], WEFT_OK, 3);
    CHECK_EQ(r[0].discarded, 0);
    check_discarded(&r[1]);
    check_discarded(&r[2]);
}

static int wins_at_once(void *arg)
{
    (void)arg;
    return 0;
}

TEST(a_loser_that_never_got_to_run_runs_once_and_is_cancelled)
{
    struct work r[2] = {FOR_EVER, FOR_EVER};
    weft_job jobs[3];
    make_jobs(jobs, r, 2);
    jobs[2] = (weft_job){.fn = wins_at_once};
    CHECK_EQ(weft_race(jobs, 3, WEFT_RACE_OK), 2);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(r[i].ran, jobs[i].started);
        CHECK_EQ(jobs[i].status, WEFT_CANCELLED);
        CHECK_EQ(jobs[i].rc, -ECANCELED);
        CHECK_EQ(r[i].discarded, 0);
    }
}

TEST(a_thousand_runners_and_one_winner)
{
    enum { N = 1000 };
    static struct work r[N];
    static weft_job jobs[N];
    for (int i = 0; i < N; i++) {
        r[i].after = WEFT_SEC(10) - WEFT_MSEC(i);
    }
    make_jobs(jobs, r, N);
    CHECK_EQ(weft_race(jobs, N, WEFT_RACE_OK), N - 1);
    for (int i = 0; i < N - 1; i++) {
        check_job(&jobs[i], WEFT_CANCELLED, -ECANCELED);
    }
}

TEST(ecanceled_for_no_reason_is_an_end_but_no_success)
{
    struct work r[] = {ENDS(WEFT_MSEC(1), -ECANCELED), ENDS(WEFT_MSEC(2), 0)};
    weft_job jobs[2];
    make_jobs(jobs, r, 2);
    CHECK_EQ(weft_race(jobs, 2, WEFT_RACE_OK), 1);
    check_job(&jobs[0], WEFT_FAILED, -ECANCELED);
    CHECK_EQ(weft_race(jobs, 2, WEFT_RACE_DONE), 0);
    check_job(&jobs[0], WEFT_FAILED, -ECANCELED);
    r[1].code = -EIO;
    CHECK_EQ(weft_race(jobs, 2, WEFT_RACE_OK), -ECANCELED);
    CHECK_EQ(weft_checkpoint(), 0);
}

/* ---- losers ------------------------------------------------------------- */

TEST(losers_that_succeed_in_vain_are_discarded_once_when_all_have_ended)
{
    struct work r[] = {
        {.after = WEFT_FOREVER, .late = 4},
        ENDS(WEFT_MSEC(1), 1),
        {.after = WEFT_FOREVER, .cleanup = WEFT_MSEC(5)},
        {.after = WEFT_FOREVER, .late = -EIO},
        {.after = WEFT_FOREVER, .cleanup = WEFT_MSEC(9), .late = 6}};
    weft_job jobs[5];
    make_jobs(jobs, r, 5);
    CHECK_EQ(weft_race(jobs, 5, WEFT_RACE_OK), 1);
    check_discarded(&r[0]);
    CHECK_EQ(r[1].discarded, 0);
    CHECK_EQ(r[2].discarded, 0);
    CHECK_EQ(r[3].discarded, 0);
    check_discarded(&r[4]);
    check_job(&jobs[0], WEFT_OK, 4);
    check_job(&jobs[2], WEFT_CANCELLED, -ECANCELED);
    check_job(&jobs[3], WEFT_FAILED, -EIO);
    check_job(&jobs[4], WEFT_OK, 6);
}

TEST(a_failure_that_won_discards_the_later_successes)
{
    struct work r[] = {{.after = WEFT_FOREVER, .late = 4},
                       ENDS(WEFT_MSEC(1), -EIO)};
    weft_job jobs[2];
    make_jobs(jobs, r, 2);
    CHECK_EQ(weft_race(jobs, 2, WEFT_RACE_DONE), 1);
    check_discarded(&r[0]);
    CHECK_EQ(r[1].discarded, 0);
}

TEST(a_loser_without_a_discard_is_left_alone)
{
    struct work r[] = {{.after = WEFT_FOREVER, .late = 4},
                       ENDS(WEFT_MSEC(1), 0)};
    weft_job jobs[2];
    make_jobs(jobs, r, 2);
    jobs[0].discard = NULL;
    CHECK_EQ(weft_race(jobs, 2, WEFT_RACE_OK), 1);
    check_job(&jobs[0], WEFT_OK, 4);
}

static weft_reason seen;

static int notes_the_reason(void *arg)
{
    (void)arg;
    int err = weft_sleep_until(WEFT_FOREVER);
    CHECK(weft_cancel_reason() != NULL);
    seen = *weft_cancel_reason();
    return err;
}

TEST(a_loser_was_cancelled_for_a_reason)
{
    struct work r = ENDS(WEFT_MSEC(1), 0);
    weft_job jobs[] = {{.fn = notes_the_reason}, {.fn = works, .arg = &r}};
    weft_time start = weft_now();
    CHECK_EQ(weft_race(jobs, 2, WEFT_RACE_OK), 1);
    CHECK(seen.kind != WEFT_R_NONE);
    CHECK_EQ(seen.at - start, WEFT_MSEC(1));
}

static int opens_a_nursery(void *arg)
{
    struct work *r = arg;
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 2 && rc == 0; i++) {
            rc = weft_spawn(&n, works, &r[i]);
        }
    }
    return rc;
}

TEST(a_losers_own_children_are_joined)
{
    struct work r[] = {{.after = WEFT_FOREVER, .cleanup = WEFT_MSEC(4)},
                       {.after = WEFT_FOREVER, .cleanup = WEFT_MSEC(7)}};
    struct work best = ENDS(WEFT_MSEC(1), 0);
    weft_job jobs[] = {{.fn = opens_a_nursery, .arg = r},
                       {.fn = works, .arg = &best}};
    weft_time start = weft_now();
    CHECK_EQ(weft_race(jobs, 2, WEFT_RACE_OK), 1);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(8));
    CHECK_EQ(alive, 0);
    check_job(&jobs[0], WEFT_CANCELLED, -ECANCELED);
}

/* ---- stopped from outside ----------------------------------------------- */

TEST(a_winner_is_a_winner_even_if_the_caller_is_cancelled_afterwards)
{
    static const weft_race_mode modes[] = {WEFT_RACE_OK, WEFT_RACE_DONE};
    for (int i = 0; i < 2; i++) {
        struct work r[] = {{.after = WEFT_FOREVER, .cleanup = WEFT_MSEC(10)},
                           ENDS(WEFT_MSEC(1), 2)};
        weft_job jobs[2];
        int rc;
        make_jobs(jobs, r, 2);
        WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
            rc = weft_race(jobs, 2, modes[i]);
            CHECK_EQ(rc, 1);
            CHECK_EQ(weft_checkpoint(), -ECANCELED);
        }
        CHECK_EQ(rc, 1);
        CHECK_EQ(r[1].discarded, 0);
    }
}

TEST(a_winner_that_cancels_the_caller_with_its_last_act_has_won)
{
    weft_scope s;
    struct work r = FOR_EVER;
    weft_job jobs[] = {{.fn = works, .arg = &r},
                       {.fn = cancels_as_its_last_act, .arg = &s}};
    open_scope(&s);
    CHECK_EQ(weft_race(jobs, 2, WEFT_RACE_OK), 1);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), -EINTR);
    check_job(&jobs[0], WEFT_CANCELLED, -ECANCELED);
}

TEST(a_race_stopped_from_outside_has_no_winner)
{
    static const weft_race_mode modes[] = {WEFT_RACE_OK, WEFT_RACE_DONE};
    for (int i = 0; i < 2; i++) {
        struct work r[] = {{.after = WEFT_FOREVER, .cleanup = WEFT_MSEC(3)},
                           FOR_EVER};
        weft_job jobs[2];
        int rc;
        make_jobs(jobs, r, 2);
        WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
            rc = weft_race(jobs, 2, modes[i]);
            CHECK_EQ(rc, -ECANCELED);
        }
        CHECK_EQ(rc, -ETIMEDOUT);
        check_job(&jobs[0], WEFT_CANCELLED, -ECANCELED);
        check_job(&jobs[1], WEFT_CANCELLED, -ECANCELED);
        CHECK_EQ(r[0].discarded + r[1].discarded, 0);
    }
}

TEST(who_succeeds_although_cancelled_from_outside_has_won)
{
    struct work r[] = {
        FOR_EVER, {.after = WEFT_FOREVER, .cleanup = WEFT_MSEC(2), .late = 7}};
    weft_job jobs[2];
    int rc;
    make_jobs(jobs, r, 2);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5))
        rc = weft_race(jobs, 2, WEFT_RACE_OK);
    CHECK_EQ(rc, 1);
    check_job(&jobs[0], WEFT_CANCELLED, -ECANCELED);
    check_job(&jobs[1], WEFT_OK, 7);
    CHECK_EQ(r[1].discarded, 0);
}

TEST(of_two_successes_after_a_cancellation_one_is_discarded)
{
    struct work r[] = {
        {.after = WEFT_FOREVER, .late = 6},
        {.after = WEFT_FOREVER, .cleanup = WEFT_MSEC(2), .late = 7}};
    weft_job jobs[2];
    int rc;
    make_jobs(jobs, r, 2);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5))
        rc = weft_race(jobs, 2, WEFT_RACE_OK);
    CHECK_EQ(rc, 0);
    check_discarded(&r[1]);
    CHECK_EQ(r[0].discarded, 0);
}

TEST(a_failure_before_the_cancellation_from_outside_is_the_answer)
{
    struct work r[] = {ENDS(WEFT_MSEC(1), -EIO), FOR_EVER};
    weft_job jobs[2];
    int rc;
    make_jobs(jobs, r, 2);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5))
        rc = weft_race(jobs, 2, WEFT_RACE_OK);
    CHECK_EQ(rc, -EIO);
    CHECK_EQ(weft_last_error()->code, -EIO);
    check_job(&jobs[1], WEFT_CANCELLED, -ECANCELED);
}

TEST(inside_a_shield_a_race_goes_on)
{
    weft_scope s;
    struct work r[] = {ENDS(WEFT_MSEC(1), 0), FOR_EVER};
    weft_job jobs[2];
    int rc;
    make_jobs(jobs, r, 2);
    open_cancelled_scope(&s);
    WEFT_SHIELD(rc, WEFT_SEC(1))
        rc = weft_race(jobs, 2, WEFT_RACE_OK);
    CHECK_EQ(rc, 0);
    check_job(&jobs[0], WEFT_OK, 0);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
}

TEST(a_race_in_a_failing_nursery_is_stopped_by_it)
{
    struct work r[] = {FOR_EVER, FOR_EVER};
    struct work bad = ENDS(WEFT_MSEC(1), -EIO);
    weft_job jobs[2];
    weft_nursery n;
    make_jobs(jobs, r, 2);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, works, &bad), 0);
    int rc = weft_race(jobs, 2, WEFT_RACE_OK);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(weft_cancel_reason()->kind, WEFT_R_SIBLING);
    CHECK_EQ(weft_nursery_close(&n, rc), -EIO);
}

/* ---- nested ------------------------------------------------------------- */

struct inner {
    weft_job *jobs;
    size_t n;
    bool race;
};

static int runs_the_inner(void *arg)
{
    const struct inner *i = arg;
    return i->race ? weft_race(i->jobs, i->n, WEFT_RACE_OK)
                   : weft_gather(i->jobs, i->n, NULL);
}

TEST(a_race_in_a_gather_in_a_race_discards_what_was_in_vain)
{
    /* The inner race is won by 1; the gather around it is a loser. */
    struct work a[] = {{.after = WEFT_FOREVER, .late = 3},
                       ENDS(WEFT_MSEC(1), 1)};
    struct work b[] = {ENDS(WEFT_MSEC(2), 1), FOR_EVER};
    struct work c = ENDS(WEFT_MSEC(5), 1);
    weft_job race[2], gather[3], outer[2];
    struct inner in_race = {race, 2, true}, in_gather = {gather, 3, false};

    make_jobs(race, a, 2);
    make_jobs(gather, b, 2);
    gather[2] = (weft_job){.fn = runs_the_inner, .arg = &in_race};
    outer[0] = (weft_job){.fn = runs_the_inner, .arg = &in_gather};
    outer[1] = (weft_job){.fn = works, .arg = &c, .discard = discards};
    CHECK_EQ(weft_race(outer, 2, WEFT_RACE_OK), 1);

    check_job(&outer[0], WEFT_CANCELLED, -ECANCELED);
    check_job(&gather[2], WEFT_OK, 1);
    check_job(&gather[1], WEFT_CANCELLED, -ECANCELED);
    CHECK_EQ(a[0].discarded, 1); /* lost its race */
    CHECK_EQ(a[1].discarded, 0); /* won, and has no discard around it */
    CHECK_EQ(b[0].discarded, 1); /* its gather was stopped */
    CHECK_EQ(b[1].discarded, 0);
    CHECK_EQ(c.discarded, 0);
}

TEST(a_gather_that_wins_keeps_all_it_has)
{
    struct work a[] = {ENDS(WEFT_MSEC(1), 1), ENDS(WEFT_MSEC(2), 1)};
    struct work b = FOR_EVER;
    weft_job gather[2], outer[2];
    struct inner in_gather = {gather, 2, false};
    make_jobs(gather, a, 2);
    make_jobs(outer, &b, 1);
    outer[1] = (weft_job){.fn = runs_the_inner, .arg = &in_gather};
    CHECK_EQ(weft_race(outer, 2, WEFT_RACE_OK), 1);
    CHECK_EQ(a[0].discarded + a[1].discarded + b.discarded, 0);
    check_job(&outer[1], WEFT_OK, 0);
}

static void races_again(void *arg)
{
    struct work *r = arg;
    struct work late[] = {ENDS(WEFT_MSEC(2), 0), FOR_EVER};
    weft_job jobs[2];
    make_jobs(jobs, late, 2);
    CHECK_EQ(weft_race(jobs, 2, WEFT_RACE_OK), 0);
    r->discarded++;
}

TEST(a_discard_may_race_in_its_turn)
{
    struct work r[] = {{.after = WEFT_FOREVER, .late = 4},
                       ENDS(WEFT_MSEC(1), 0)};
    weft_job jobs[2];
    int rc;
    make_jobs(jobs, r, 2);
    jobs[0].discard = races_again;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(2))
        rc = weft_race(jobs, 2, WEFT_RACE_OK);
    CHECK_EQ(rc, 1);
    CHECK_EQ(r[0].discarded, 1);
}

TEST(a_race_leaves_nothing_open_in_its_caller)
{
    struct work r[] = {ENDS(0, 0), FOR_EVER};
    weft_job jobs[2];
    weft_stats s;
    make_jobs(jobs, r, 2);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_race(jobs, 2, WEFT_RACE_DONE), 0);
        CHECK_EQ(weft_deadline(), WEFT_FOREVER);
        CHECK(weft_cancel_reason() == NULL);
        CHECK_EQ(weft_checkpoint(), 0);
    }
    weft_stats_read(&s);
    CHECK_EQ(s.fibers, 1);
}

TEST_PLAIN(a_race_needs_a_fiber)
{
    struct work r[1] = {ENDS(0, 0)};
    weft_job jobs[1];
    make_jobs(jobs, r, 1);
    CHECK_EQ(weft_race(jobs, 1, WEFT_RACE_OK), -EPERM);
    CHECK_EQ(r[0].ran, 0);
}

/* ---- at every moment ---------------------------------------------------- */

/* Connections that racers open: one is kept, all others are closed. */
static int connections, kept;

static int connects(void *arg)
{
    const struct work *r = arg;
    int err = weft_sleep(r->after);
    if (err < 0) return err;
    connections++;
    err = weft_yield();
    if (err < 0 && !r->late) {
        connections--;
        return err;
    }
    return r->code;
}

static void closes(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_yield(), 0);
    connections--;
}

static int races_to_connect(void *arg)
{
    struct work r[4] = {ENDS(WEFT_MSEC(2), 0), ENDS(WEFT_MSEC(1), 0),
                        ENDS(WEFT_MSEC(1), 0), ENDS(WEFT_MSEC(3), 0)};
    weft_job jobs[4];
    r[2].late = r[3].late = 1;
    for (int i = 0; i < 4; i++) {
        jobs[i] = (weft_job){.fn = connects, .arg = &r[i], .discard = closes};
    }
    int won = weft_race(jobs, 4, *(weft_race_mode *)arg);
    CHECK(won == -ECANCELED || (won >= 0 && won < 4) ||
          (won == -ENOMEM && sweep_short_of_memory()));
    if (won < 0) return won;
    if (jobs[won].status == WEFT_OK)
        kept++;
    else /* the first to end was one that could not begin */
        CHECK(sweep_short_of_memory() && !jobs[won].started);
    return 0;
}

static weft_race_mode swept_modes[] = {WEFT_RACE_OK, WEFT_RACE_DONE};

static void start_racing(weft_nursery *n)
{
    connections = kept = 0;
    for (int i = 0; i < 4; i++) {
        sweep_spawn(n, races_to_connect, &swept_modes[i % 2]);
    }
}

static void check_connections(void)
{
    CHECK_EQ(connections, kept);
}

SWEEP(whenever_a_race_is_stopped_one_success_is_kept_or_none, start_racing,
      check_connections, SWEEP_SPARE_CHILDREN);

static int races_scarcely(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) {
        struct work r[5] = {FOR_EVER, ENDS(WEFT_MSEC(1), 0),
                            ENDS(WEFT_MSEC(1), 0), FOR_EVER,
                            ENDS(WEFT_MSEC(2), 0)};
        weft_job jobs[5];
        make_jobs(jobs, r, 5);
        r[0].after = r[3].after = WEFT_MSEC(4);
        int rc = weft_race(jobs, 5, swept_modes[i]);
        bool any = false;
        for (int j = 0; j < 5; j++) {
            CHECK_EQ(jobs[j].started, r[j].ran == 1);
            if (!jobs[j].started) CHECK(jobs[j].rc < 0);
            if (!jobs[j].started)
                CHECK_EQ(jobs[j].status,
                         jobs[j].rc == -ENOMEM ? WEFT_FAILED : WEFT_CANCELLED);
            CHECK_EQ(r[j].discarded, j != rc && jobs[j].status == WEFT_OK);
            any |= jobs[j].status == WEFT_OK;
        }
        CHECK(rc == -ENOMEM || (rc >= 0 && rc < 5));
        /* A runner that could not start has failed; the first success among
         * the others wins all the same. */
        if (i == 0 && rc >= 0) CHECK_EQ(jobs[rc].status, WEFT_OK);
        if (i == 0 && rc < 0) CHECK(!any);
        CHECK_EQ(alive, 0);
        CHECK_EQ(weft_checkpoint(), 0);
    }
    return 0;
}

STARVE(a_race_without_memory_goes_on_with_who_could_start, races_scarcely)
