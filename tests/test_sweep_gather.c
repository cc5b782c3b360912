/* SPDX-License-Identifier: MIT */
/* test_sweep_gather.c - the sweep over gather, race, map and batch: each job
 * runs once at most, and what it made in vain is discarded once. */
#include <weft/fiber.h>
#include <weft/gather.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "sweep.h"

enum { JOBS = 5, SETS = 2 };

/* One job: it makes something, which is then kept or discarded. */
struct piece {
    int nap, result;
    int calls, made, discarded;
};

static struct set {
    struct piece pieces[JOBS];
    weft_job jobs[JOBS];
    int result;
    bool over; /* the call came back, with `result` */
} sets[SETS];

static int alive, most;

static int makes_it(void *arg)
{
    struct piece *p = arg;
    p->calls++;
    if (++alive > most) most = alive;
    int rc = weft_sleep(WEFT_MSEC(p->nap));
    if (rc == 0) rc = weft_yield();
    alive--;
    if (rc < 0) return rc;
    if (p->result >= 0) p->made++;
    return p->result;
}

static void discards_it(void *arg)
{
    struct piece *p = arg;
    int err = weft_sleep(WEFT_MSEC(1)); /* shielded */
    CHECK_EQ(err, 0);
    p->discarded++;
}

static void prepare(void (*discard)(void *))
{
    static const int naps[JOBS] = {2, 1, 3, 1, 9};
    static const int results[JOBS] = {1, 0, 2, 0, 3};
    memset(sets, 0, sizeof sets);
    alive = most = 0;
    for (int s = 0; s < SETS; s++) {
        for (int i = 0; i < JOBS; i++) {
            struct piece *p = &sets[s].pieces[i];
            *p = (struct piece){.nap = naps[i], .result = results[i]};
            sets[s].jobs[i] =
                (weft_job){.fn = makes_it, .arg = p, .discard = discard};
        }
    }
}

static void start_sets(weft_nursery *n, weft_fn fn)
{
    for (int s = 0; s < SETS; s++) {
        sweep_spawn(n, fn, &sets[s]);
    }
}

static int over(struct set *s, int result)
{
    s->result = result;
    s->over = true;
    return result;
}

static void check_job(const weft_job *job)
{
    const struct piece *p = job->arg;
    CHECK(p->calls <= 1);
    CHECK_EQ(job->started, p->calls);
    if (!job->started) CHECK(job->status != WEFT_OK && job->rc < 0);
    if (job->started && job->status == WEFT_OK) CHECK_EQ(job->rc, p->result);
    if (job->started) CHECK_EQ(p->made, job->status == WEFT_OK);
    CHECK(p->discarded <= p->made);
}

/* Of a failed call all that was made is discarded, of the others nothing. */
static void check_sets(void)
{
    CHECK_EQ(alive, 0);
    for (int s = 0; s < SETS; s++) {
        for (int i = 0; i < JOBS && sets[s].over; i++) {
            const struct piece *p = &sets[s].pieces[i];
            check_job(&sets[s].jobs[i]);
            CHECK_EQ(p->discarded, sets[s].result < 0 ? p->made : 0);
        }
    }
}

/* --- gather --- */

static int gathers(void *arg)
{
    struct set *s = arg;
    return over(s, weft_gather(s->jobs, JOBS, NULL));
}

static void start_gather(weft_nursery *n)
{
    prepare(discards_it);
    start_sets(n, gathers);
}

SWEEP(gather_comes_back_when_all_have_ended, start_gather, check_sets,
      SWEEP_CLEANUP_SLEEPS | SWEEP_SPARE_CHILDREN);

static int gathers_with_a_failure(void *arg)
{
    struct set *s = arg;
    s->pieces[2].result = -EIO;
    int rc = over(s, weft_gather(s->jobs, JOBS, NULL));
    return rc == -EIO ? 0 : rc;
}

static void start_failing(weft_nursery *n)
{
    prepare(discards_it);
    start_sets(n, gathers_with_a_failure);
}

SWEEP(of_a_failed_gather_nothing_is_kept, start_failing, check_sets,
      SWEEP_CLEANUP_SLEEPS | SWEEP_SPARE_CHILDREN);

static const weft_gather_opts two_at_a_time = {.policy = WEFT_COLLECT,
                                               .limit = 2};

static int collects_two_at_a_time(void *arg)
{
    struct set *s = arg;
    s->pieces[1].result = -EIO;
    int rc = over(s, weft_gather(s->jobs, JOBS, &two_at_a_time));
    for (int i = 0; i < JOBS && rc == 0; i++) {
        if (s->jobs[i].started) continue;
        CHECK(sweep_short_of_memory());
        CHECK_EQ(s->jobs[i].rc, -ENOMEM);
        CHECK_EQ(s->jobs[i].status, WEFT_FAILED);
    }
    return rc;
}

static void start_collecting(weft_nursery *n)
{
    prepare(discards_it);
    start_sets(n, collects_two_at_a_time);
}

static void check_collected(void)
{
    check_sets();
    CHECK(most <= 2 * SETS);
}

SWEEP(collecting_runs_them_all, start_collecting, check_collected,
      SWEEP_CLEANUP_SLEEPS | SWEEP_SPARE_CHILDREN);

/* --- gather in a deadline, in a gather --- */

static int gathers_in_time(void *arg)
{
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(2)) {
        rc = gathers(arg);
    }
    return rc == -ETIMEDOUT ? 0 : rc;
}

static int gathers_sets(void *arg)
{
    weft_job jobs[SETS];
    (void)arg;
    memset(jobs, 0, sizeof jobs);
    for (int s = 0; s < SETS; s++) {
        jobs[s] = (weft_job){.fn = gathers_in_time, .arg = &sets[s]};
    }
    return weft_gather(jobs, SETS, NULL);
}

static void start_nested(weft_nursery *n)
{
    prepare(NULL);
    sweep_spawn(n, gathers_sets, NULL);
}

static void check_nested(void)
{
    CHECK_EQ(alive, 0);
    for (int s = 0; s < SETS; s++) {
        for (int i = 0; i < JOBS && sets[s].over; i++) {
            check_job(&sets[s].jobs[i]);
        }
    }
}

SWEEP(a_gather_can_be_part_of_another, start_nested, check_nested,
      SWEEP_SPARE_CHILDREN);

/* --- race --- */

static weft_race_mode mode;

static int races(void *arg)
{
    struct set *s = arg;
    s->pieces[1].result = -EIO;
    int won = over(s, weft_race(s->jobs, JOBS, mode));
    if (won >= 0) CHECK(s->jobs[won].started);
    return won == -EIO ? 0 : won;
}

/* What the winner has made is kept, and all else discarded. */
static void check_races(void)
{
    CHECK_EQ(alive, 0);
    for (int s = 0; s < SETS; s++) {
        for (int i = 0; i < JOBS && sets[s].over; i++) {
            const struct piece *p = &sets[s].pieces[i];
            check_job(&sets[s].jobs[i]);
            CHECK_EQ(p->discarded, i == sets[s].result ? 0 : p->made);
        }
    }
}

static void start_race(weft_nursery *n)
{
    prepare(discards_it);
    mode = WEFT_RACE_OK;
    start_sets(n, races);
}

static void start_race_to_the_end(weft_nursery *n)
{
    prepare(discards_it);
    mode = WEFT_RACE_DONE;
    start_sets(n, races);
}

SWEEP(what_the_losers_made_is_discarded, start_race, check_races,
      SWEEP_CLEANUP_SLEEPS | SWEEP_SPARE_CHILDREN);
SWEEP(the_first_to_end_wins_that_race, start_race_to_the_end, check_races,
      SWEEP_CLEANUP_SLEEPS | SWEEP_SPARE_CHILDREN);

/* --- map --- */

static int results[JOBS], mapped[JOBS];

static int maps_one(size_t i, void *context)
{
    CHECK_EQ(mapped[i]++, 0);
    int rc = makes_it(&((struct set *)context)->pieces[i]);
    return rc < 0 ? rc : (int)i;
}

static int maps(void *arg)
{
    int rc = over(arg, weft_map(JOBS, maps_one, arg, results, &two_at_a_time));
    for (int i = 0; i < JOBS; i++) {
        CHECK(results[i] == i || results[i] == -ECANCELED ||
              results[i] == -ENOMEM);
        if (results[i] == i) CHECK(mapped[i]);
    }
    return rc;
}

static void start_map(weft_nursery *n)
{
    prepare(NULL);
    memset(mapped, 0, sizeof mapped);
    sweep_spawn(n, maps, &sets[0]);
}

static void check_alive(void)
{
    CHECK_EQ(alive, 0);
    CHECK(most <= 2);
}

SWEEP(map_calls_for_each_number_once, start_map, check_alive,
      SWEEP_SPARE_CHILDREN);

/* --- batch --- */

static int batches(void *arg)
{
    struct set *s = arg;
    s->pieces[1].result = -EIO;
    return over(s, weft_batch(s->jobs, JOBS));
}

static void start_batch(weft_nursery *n)
{
    prepare(discards_it);
    start_sets(n, batches);
}

static void check_batches(void)
{
    check_sets();
    CHECK(most <= SETS);
}

SWEEP(a_batch_is_one_after_the_other, start_batch, check_batches,
      SWEEP_CLEANUP_SLEEPS | SWEEP_SPARE_CHILDREN);

/* --- a crowd, for which there may be memory in part --- */

enum { CROWD = 70 };

static struct piece crowd[CROWD];

static int stands_in_the_crowd(void *arg)
{
    struct piece *p = arg;
    p->calls++;
    p->made = 1;
    alive++;
    int rc = (p - crowd) % 14 == 13 ? weft_sleep(WEFT_MSEC(1)) : 0;
    alive--;
    if (rc < 0) p->made = 0;
    return rc;
}

static void leaves_the_crowd(void *arg)
{
    ((struct piece *)arg)->discarded++;
}

static int gathers_a_crowd(void *arg)
{
    const weft_gather_opts opts = {.policy = *(weft_policy *)arg};
    weft_job jobs[CROWD];
    memset(jobs, 0, sizeof jobs);
    for (int i = 0; i < CROWD; i++) {
        jobs[i] = (weft_job){.fn = stands_in_the_crowd,
                             .arg = &crowd[i],
                             .discard = leaves_the_crowd};
    }
    int rc = weft_gather(jobs, CROWD, &opts), short_of = 0;
    for (int i = 0; i < CROWD; i++) {
        CHECK_EQ(jobs[i].started, crowd[i].calls);
        CHECK_EQ(jobs[i].status == WEFT_OK, crowd[i].made);
        CHECK_EQ(crowd[i].discarded, rc < 0 ? crowd[i].made : 0);
        if (rc == 0 && !jobs[i].started) CHECK_EQ(jobs[i].rc, -ENOMEM);
        short_of += jobs[i].rc == -ENOMEM && jobs[i].status == WEFT_FAILED;
    }
    if (rc == -ENOMEM) CHECK_EQ(short_of, 1);
    return rc;
}

static weft_policy policies[] = {WEFT_FAIL_FAST, WEFT_COLLECT};

static void start_crowd(weft_nursery *n)
{
    alive = 0;
    memset(crowd, 0, sizeof crowd);
    sweep_spawn(n, gathers_a_crowd, &policies[0]);
}

static void start_collecting_a_crowd(weft_nursery *n)
{
    alive = 0;
    memset(crowd, 0, sizeof crowd);
    sweep_spawn(n, gathers_a_crowd, &policies[1]);
}

static void check_crowd(void)
{
    CHECK_EQ(alive, 0);
}

SWEEP(of_a_crowd_all_are_accounted_for, start_crowd, check_crowd,
      SWEEP_SPARE_CHILDREN);
SWEEP(a_crowd_is_collected_as_far_as_memory_goes, start_collecting_a_crowd,
      check_crowd, SWEEP_SPARE_CHILDREN);
