/* SPDX-License-Identifier: MIT */
/*
 * test_cancel_points.c - what is a cancel point, one by one, and what is none:
 * time, scopes, children. The others are in test_cancel_points_locks.c, _chan.c
 * and _io.c.
 */
#include <weft/background.h>
#include <weft/cleanup.h>
#include <weft/fiber.h>
#include <weft/gather.h>
#include <weft/gen.h>
#include <weft/local.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/task.h>
#include <weft/testing.h>
#include <weft/time.h>

#include <string.h>

#include "cancel_points.h"

/* ---- CP-01: time -------------------------------------------------------- */

static ssize_t checkpoints(void *arg)
{
    (void)arg;
    return weft_checkpoint();
}

static ssize_t yields(void *arg)
{
    (void)arg;
    return weft_yield();
}

static ssize_t sleeps(void *arg)
{
    return weft_sleep(*(weft_time *)arg);
}

static ssize_t sleeps_until(void *arg)
{
    return weft_sleep_until(*(weft_time *)arg);
}

TEST(cp_01_checkpoint)
{
    is_a_cancel_point(checkpoints, NULL, 0);
}

TEST(cp_01_yield)
{
    is_a_cancel_point(yields, NULL, 0);
}

TEST(cp_01_sleep)
{
    weft_time spans[] = {0, -1, INT64_MIN, 1, WEFT_MSEC(5)};
    weft_time start = weft_now();
    for (int i = 0; i < 5; i++) {
        is_a_cancel_point(sleeps, &spans[i], 0);
    }
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5) + 1);
}

TEST(cp_01_sleep_until)
{
    weft_time past = weft_now() - 1, now = weft_now(), soon = now + 5;
    is_a_cancel_point(sleeps_until, &past, 0);
    is_a_cancel_point(sleeps_until, &now, 0);
    is_a_cancel_point(sleeps_until, &soon, 0);
    CHECK_EQ(weft_now(), soon);
}

static ssize_t settles(void *arg)
{
    (void)arg;
    return weft_test_settle();
}

TEST(cp_01_test_settle)
{
    is_a_cancel_point(settles, NULL, 0);
}

static int passes_a_checkpoint(void *arg)
{
    ran++;
    int err = weft_checkpoint();
    return err < 0 ? err : *(int *)arg;
}

static ssize_t has_a_timeout(void *arg)
{
    return weft_with_timeout(WEFT_SEC(1), passes_a_checkpoint, arg);
}

static ssize_t moves_on(void *arg)
{
    bool expired = true;
    int rc =
        weft_move_on_after(WEFT_SEC(1), passes_a_checkpoint, arg, &expired);
    CHECK(!expired);
    return rc;
}

TEST(cp_01_with_timeout_and_move_on_after_through_their_bodies)
{
    int seven = 7;
    is_a_cancel_point(has_a_timeout, &seven, 7);
    is_a_cancel_point(moves_on, &seven, 7);
    CHECK_EQ(ran, 2 * (5 * TIMES + 1));
}

static ssize_t is_shielded(void *arg)
{
    return weft_shielded(WEFT_SEC(1), passes_a_checkpoint, arg);
}

TEST(cp_02_what_is_shielded_is_not_cancelled)
{
    weft_scope s;
    int seven = 7;
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin(&s), 0);
    weft_scope_cancel(&s, 0, NULL);
    CHECK_EQ(is_shielded(&seven), 7);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), 0);
}

/* ---- CP-01: children ---------------------------------------------------- */

static ssize_t spawns_and_waits(void *arg)
{
    return weft_spawn_wait((weft_nursery *)arg, counts, NULL);
}

static int is_ready(void *arg)
{
    ran++;
    return weft_started(arg);
}

static ssize_t starts(void *arg)
{
    void *value = NULL;
    int rc = weft_start((weft_nursery *)arg, is_ready, arg, &value);
    CHECK_PTR(value, rc == 0 ? arg : NULL);
    return rc;
}

TEST(cp_01_spawn_wait)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    is_a_cancel_point(spawns_and_waits, &n, 0);
    CHECK_EQ(weft_nursery_count(&n), 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ran, 1);
    is_a_cancel_point(spawns_and_waits, &n, -ESHUTDOWN);
}

TEST(cp_01_start)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    is_a_cancel_point(starts, &n, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ran, 1);
    is_a_cancel_point(starts, &n, -ESHUTDOWN);
}

static int returns(void *arg)
{
    return *(int *)arg;
}

static ssize_t joins(void *arg)
{
    weft_outcome out = {WEFT_CANCELLED, 99, NULL};
    int rc = weft_join(arg, &out);
    CHECK_EQ(out.rc, rc == 0 ? 5 : 99);
    return rc;
}

static ssize_t waits_for_it(void *arg)
{
    weft_task *const tasks[] = {arg};
    return weft_wait(tasks, 1, WEFT_ALL, 0);
}

static ssize_t waits_for_none(void *arg)
{
    (void)arg;
    return weft_wait(NULL, 0, WEFT_ALL, WEFT_FOREVER);
}

static ssize_t takes_the_next(void *arg)
{
    weft_task *task = NULL;
    int rc = weft_next_done(arg, &task);
    CHECK_EQ(task != NULL, rc == 1);
    return rc;
}

TEST(cp_01_join_wait_and_next_done)
{
    weft_nursery n;
    weft_task task;
    weft_doneq q;
    int five = 5;
    weft_spawn_opts opts = {.task = &task, .doneq = &q};
    weft_doneq_init(&q);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, returns, &five, &opts), 0);
    settle_here();
    is_a_cancel_point(joins, &task, 0);
    is_a_cancel_point(waits_for_it, &task, 1);
    is_a_cancel_point(waits_for_none, &task, 0);
    is_a_cancel_point(takes_the_next, &q, 1);
    is_a_cancel_point(takes_the_next, &q, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    is_a_cancel_point(joins, &task, 0);
}

static ssize_t joins_oneself(void *arg)
{
    return weft_join(arg, NULL);
}

static int joins_itself(void *arg)
{
    is_a_cancel_point(joins_oneself, arg, -EDEADLK);
    return 0;
}

TEST(cp_01_a_cancelled_join_of_oneself_is_cancelled)
{
    weft_nursery n;
    weft_task task;
    weft_spawn_opts opts = {.task = &task};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, joins_itself, &task, &opts), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static unsigned discarded;

static void discards(void *arg)
{
    (void)arg;
    discarded++;
}

struct jobs {
    weft_job job[3];
    weft_gather_opts opts;
    size_t n;
};

static void check_none_was_started(const struct jobs *j, ssize_t rc)
{
    CHECK_EQ(ran, rc == -ECANCELED ? 0 : j->n);
    for (size_t i = 0; i < j->n; i++) {
        if (rc != -ECANCELED) continue;
        CHECK(!j->job[i].started);
        CHECK_EQ(j->job[i].status, WEFT_CANCELLED);
    }
}

static ssize_t gathers(void *arg)
{
    struct jobs *j = arg;
    int rc = weft_gather(j->job, j->n, &j->opts);
    check_none_was_started(j, rc);
    return rc;
}

static ssize_t races(void *arg)
{
    struct jobs *j = arg;
    int rc = weft_race(j->job, j->n, WEFT_RACE_OK);
    if (rc == -ECANCELED) check_none_was_started(j, rc);
    return rc;
}

static ssize_t batches(void *arg)
{
    struct jobs *j = arg;
    int rc = weft_batch(j->job, j->n);
    check_none_was_started(j, rc);
    return rc;
}

static int counts_one(size_t i, void *context)
{
    (void)i;
    (void)context;
    ran++;
    return 0;
}

static ssize_t maps(void *arg)
{
    struct jobs *j = arg;
    int rcs[3] = {5, 5, 5};
    int rc = weft_map(j->n, counts_one, NULL, rcs, &j->opts);
    for (size_t i = 0; i < j->n; i++) {
        CHECK_EQ(rcs[i], rc);
    }
    CHECK_EQ(ran, rc == 0 ? j->n : 0);
    return rc;
}

static struct jobs some_jobs(size_t n, weft_policy policy)
{
    struct jobs j = {.n = n, .opts = {.policy = policy}};
    for (int i = 0; i < 3; i++) {
        j.job[i] = (weft_job){.fn = counts, .discard = discards};
    }
    ran = 0;
    return j;
}

TEST(cp_01_gather_map_batch_and_race)
{
    static const weft_policy policies[] = {WEFT_FAIL_FAST, WEFT_COLLECT};
    for (size_t n = 0; n <= 3; n += 3) {
        struct jobs j;
        for (int i = 0; i < 2; i++) {
            j = some_jobs(n, policies[i]);
            is_a_cancel_point(gathers, &j, 0);
            j = some_jobs(n, policies[i]);
            is_a_cancel_point(maps, &j, 0);
        }
        j = some_jobs(n, WEFT_FAIL_FAST);
        is_a_cancel_point(batches, &j, 0);
    }
    CHECK_EQ(discarded, 0);
    struct jobs j = some_jobs(1, WEFT_FAIL_FAST);
    is_a_cancel_point(races, &j, 0);
    CHECK_EQ(discarded, 0);
}

static ssize_t shuts_the_background_down(void *arg)
{
    (void)arg;
    int rc = weft_background_shutdown(WEFT_MSEC(5), 0);
    if (rc < 0) CHECK_EQ(weft_background(counts, NULL, NULL), 0);
    return rc;
}

TEST(cp_01_background_shutdown)
{
    is_a_cancel_point(shuts_the_background_down, NULL, 0);
    CHECK_EQ(ran, 5 * TIMES);
    CHECK_EQ(weft_background(counts, NULL, NULL), -ESHUTDOWN);
}

static int hands_out_numbers(weft_gen *g, void *arg)
{
    int number = 0;
    (void)arg;
    for (;;) {
        ran++;
        int err = weft_gen_yield(g, &number);
        if (err < 0) return err;
        number++;
    }
}

static ssize_t asks(void *arg)
{
    void *item = NULL;
    int rc = weft_gen_next(arg, &item);
    CHECK_EQ(item != NULL, rc == 1);
    return rc == 1 ? *(int *)item : rc;
}

TEST(cp_01_gen_next)
{
    weft_gen g;
    CHECK_EQ(weft_gen_open(&g, hands_out_numbers, NULL), 0);
    is_a_cancel_point(asks, &g, 0);
    CHECK_EQ(ran, 1);
    is_a_cancel_point(asks, &g, 1);
    CHECK_EQ(ran, 2);
    CHECK_EQ(weft_gen_close(&g), 0);
}

static weft_gen *the_gen;
static char in_vain[1];

static ssize_t hands_out_in_vain(void *arg)
{
    return weft_gen_yield(the_gen, arg);
}

static int tries_to_hand_out(weft_gen *g, void *arg)
{
    the_gen = g;
    in_a_cancelled_scope(hands_out_in_vain, in_vain);
    in_an_expired_scope(hands_out_in_vain, in_vain);
    below_a_cancelled_scope(hands_out_in_vain, in_vain);
    return weft_gen_yield(g, arg);
}

TEST(cp_01_gen_yield)
{
    weft_gen g;
    int item;
    void *got = NULL;
    CHECK_EQ(weft_gen_open(&g, tries_to_hand_out, &item), 0);
    CHECK_EQ(weft_gen_next(&g, &got), 1);
    CHECK_PTR(got, &item);
    CHECK_EQ(weft_gen_next(&g, &got), 0);
    CHECK_EQ(weft_gen_close(&g), 0);
}

/* ---- CP-01: found parked ------------------------------------------------ */

static ssize_t stays_for_ever(void *arg)
{
    (void)arg;
    return weft_sleep_until(WEFT_FOREVER);
}

static ssize_t waits_for_its_end(void *arg)
{
    weft_task *const tasks[] = {arg};
    return weft_wait(tasks, 1, WEFT_ALL, WEFT_SEC(1));
}

static int sleeps_a_second(void *arg)
{
    CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
    return *(int *)arg;
}

TEST(cp_01_a_wait_that_a_cancel_finds_parked_wakes)
{
    weft_nursery n;
    weft_task task;
    weft_doneq q;
    int five = 5;
    weft_nursery_opts one = {.limit = 1};
    weft_spawn_opts opts = {.task = &task, .doneq = &q};
    weft_doneq_init(&q);
    is_woken(stays_for_ever, NULL);
    CHECK_EQ(weft_nursery_open(&n, &one), 0);
    CHECK_EQ(weft_spawn_ex(&n, sleeps_a_second, &five, &opts), 0);
    is_woken(joins, &task);
    is_woken(waits_for_its_end, &task);
    is_woken(takes_the_next, &q);
    is_woken(spawns_and_waits, &n);
    is_woken(starts, &n);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(joins(&task), 0);
    CHECK_EQ(takes_the_next(&q), 1);
    CHECK_EQ(ran, 0);
}

/* ---- CP-02: what is none ------------------------------------------------ */

static int sees_a_cancel(void *arg)
{
    *(int *)arg = weft_checkpoint();
    return 0;
}

TEST(cp_02_children)
{
    weft_nursery n;
    weft_task task;
    weft_spawn_opts opts = {.task = &task};
    int seen[3] = {1, 1, 1}, *copy = &seen[2];
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    open_cancelled();
    CHECK_EQ(weft_spawn(&n, sees_a_cancel, &seen[0]), 0);
    CHECK_EQ(weft_spawn_ex(&n, sees_a_cancel, &seen[1], &opts), 0);
    CHECK_EQ(weft_spawn_copy(&n, counts, &copy, sizeof copy), 0);
    CHECK_EQ(weft_nursery_count(&n), 3);
    CHECK(!weft_task_done(&task));
    CHECK_EQ(ran, 0); /* nobody runs before a cancel point */
    weft_task_cancel(&task, 0, NULL);
    CHECK_EQ(weft_started(NULL), 0);
    close_cancelled();
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(seen[0], 0); /* the spawner's scope is not theirs */
    CHECK_EQ(seen[1], -ECANCELED);
    CHECK_EQ(ran, 1);
}

TEST(cp_02_scopes_and_nurseries)
{
    weft_nursery n;
    weft_scope s;
    open_cancelled();
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin_after(&s, WEFT_SEC(1), WEFT_FAIL), 0);
    weft_scope_set_deadline(&s, weft_after(WEFT_SEC(2)));
    weft_scope_set_shield(&s, true);
    CHECK_EQ(weft_checkpoint(), 0);
    weft_scope_cancel(&s, -EINTR, NULL);
    CHECK_EQ(weft_scope_end(&s, -ECANCELED), -EINTR);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 3), 3);
    close_cancelled();
}

static void counts_it(void *arg)
{
    (void)arg;
    ran++;
}

TEST(cp_02_defer_and_own)
{
    weft_nursery n;
    weft_owned owned;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    open_cancelled();
    CHECK_EQ(weft_defer(counts_it, NULL), 0);
    CHECK_EQ(weft_defer(counts_it, &n), 0);
    CHECK_EQ(ran, 0);
    CHECK_EQ(weft_undefer(counts_it, NULL, false), 0);
    CHECK_EQ(weft_undefer(counts_it, &n, true), 0);
    CHECK_EQ(ran, 1);
    CHECK_EQ(weft_own(&n, counts, NULL, &owned), 0);
    CHECK_EQ(weft_disown(owned, false), 0);
    CHECK_EQ(weft_own(&n, counts, NULL, &owned), 0);
    CHECK_EQ(weft_disown(owned, true), 0);
    CHECK_EQ(ran, 2);
    CHECK_EQ(weft_own(&n, counts, NULL, NULL), 0);
    close_cancelled();
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ran, 3);
}

static weft_key key = {.name = "key"};

TEST(cp_02_locals_and_the_background)
{
    int value;
    open_cancelled();
    CHECK_EQ(weft_local_push(&key, &value), 0);
    CHECK_PTR(weft_local_get(&key), &value);
    CHECK_EQ(weft_local_pop(&key), 0);
    CHECK_EQ(weft_background(counts, NULL, NULL), 0);
    CHECK_EQ(weft_background_count(), 1);
    CHECK_EQ(ran, 0);
    close_cancelled();
    CHECK_EQ(weft_background_shutdown(WEFT_MSEC(1), 0), 0);
    CHECK_EQ(ran, 1);
}

TEST(cp_02_generators_open_and_close)
{
    weft_gen g;
    void *got;
    open_cancelled();
    CHECK_EQ(weft_gen_open(&g, hands_out_numbers, NULL), 0);
    int rc = weft_gen_close(&g);
    CHECK(rc == 0 || rc == -ECANCELED); /* it may count as stopped */
    close_cancelled();
    CHECK_EQ(ran, 0);

    CHECK_EQ(weft_gen_open(&g, hands_out_numbers, NULL), 0);
    CHECK_EQ(weft_gen_next(&g, &got), 1);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(ran, 1);
}

static int is_cancelled_and_reads_its_reason(void *arg)
{
    int rc = weft_sleep_until(WEFT_FOREVER);
    CHECK(weft_cancelled());
    CHECK(weft_cancel_reason() != NULL);
    CHECK_EQ(weft_deadline(), INT64_MIN);
    CHECK_EQ(weft_shutdown(0), 0);
    (void)arg;
    return rc;
}

static int cancels_a_child(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, is_cancelled_and_reads_its_reason, arg), 0);
        settle_here();
        weft_nursery_cancel(&n, 0, NULL);
    }
    return rc;
}

TEST_PLAIN(cp_02_asking_and_shutting_down)
{
    weft_run_opts o = {.virtual_clock = true};
    CHECK_EQ(weft_run(cancels_a_child, NULL, &o), 0);
}

/* ---- CP-03: the budget -------------------------------------------------- */

TEST(cp_03_checkpoints_starve_nobody)
{
    starves_nobody(checkpoints, NULL, 0);
}

static ssize_t gathers_none(void *arg)
{
    (void)arg;
    return weft_gather(NULL, 0, NULL);
}

static ssize_t maps_none(void *arg)
{
    (void)arg;
    return weft_map(0, counts_one, NULL, NULL, NULL);
}

static ssize_t batches_none(void *arg)
{
    (void)arg;
    return weft_batch(NULL, 0);
}

static ssize_t shuts_down_nothing(void *arg)
{
    (void)arg;
    return weft_background_shutdown(WEFT_SEC(1), WEFT_SEC(1));
}

static ssize_t asks_a_finished_one(void *g)
{
    void *got;
    return weft_gen_next(g, &got);
}

static int hands_out_nothing(weft_gen *g, void *arg)
{
    (void)g;
    (void)arg;
    return 0;
}

TEST(cp_03_what_has_been_done_long_ago_starves_nobody)
{
    weft_nursery n;
    weft_task task;
    weft_doneq q;
    weft_gen g;
    int five = 5;
    weft_spawn_opts opts = {.task = &task};
    weft_doneq_init(&q);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, returns, &five, &opts), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    starves_nobody(joins, &task, 0);
    starves_nobody(waits_for_it, &task, 1);
    starves_nobody(waits_for_none, NULL, 0);
    starves_nobody(takes_the_next, &q, 0);
    starves_nobody(gathers_none, NULL, 0);
    starves_nobody(maps_none, NULL, 0);
    starves_nobody(batches_none, NULL, 0);
    starves_nobody(shuts_down_nothing, NULL, 0);
    starves_nobody(spawns_and_waits, &n, -ESHUTDOWN);
    starves_nobody(starts, &n, -ESHUTDOWN);
    CHECK_EQ(weft_gen_open(&g, hands_out_nothing, NULL), 0);
    starves_nobody(asks_a_finished_one, &g, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
}

static ssize_t starts_another(void *arg)
{
    return weft_start((weft_nursery *)arg, is_ready, arg, NULL);
}

TEST(cp_03_starts_in_a_row_starve_nobody)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    starves_nobody(starts_another, &n, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* ---- CP-05, CP-08 ------------------------------------------------------- */

static int notes_itself(void *arg)
{
    *(bool *)arg = true;
    return 0;
}

TEST(cp_05_a_cancelled_yield_lets_every_other_fiber_run)
{
    bool seen[5] = {false};
    int rc;
    WEFT_NURSERY(n, rc) {
        open_cancelled();
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < 5; i++) {
                seen[i] = false;
                CHECK_EQ(weft_spawn(&n, notes_itself, &seen[i]), 0);
            }
            CHECK_EQ(weft_yield(), -ECANCELED);
            for (int i = 0; i < 5; i++) {
                CHECK(seen[i]);
            }
        }
        close_cancelled();
    }
    CHECK_EQ(rc, 0);
}

TEST(cp_08_a_sleep_of_nothing_is_a_yield_and_a_cancel_point)
{
    static const weft_time spans[] = {0, -1, INT64_MIN};
    weft_time start = weft_now();
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 3; i++) {
            bool other_ran = false;
            CHECK_EQ(weft_spawn(&n, notes_itself, &other_ran), 0);
            CHECK_EQ(weft_sleep(spans[i]), 0);
            CHECK(other_ran);

            other_ran = false;
            CHECK_EQ(weft_spawn(&n, notes_itself, &other_ran), 0);
            open_cancelled();
            CHECK_EQ(weft_sleep(spans[i]), -ECANCELED);
            CHECK(other_ran);
            close_cancelled();
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_now(), start);
}

TEST(one_who_ignores_his_cancellation_at_any_cancel_point_lets_others_run)
{
    weft_nursery n;
    weft_task task;
    int five = 5;
    weft_spawn_opts opts = {.task = &task};
    static const call_fn calls[] = {
        joins,        waits_for_it,   gathers_none,      maps_none,
        batches_none, waits_for_none, shuts_down_nothing};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, returns, &five, &opts), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        gives_way_when_ignored(calls[i], &task);
    }
}

TEST_PLAIN(outside_a_fiber_these_cancel_points_are_not_permitted)
{
    static weft_nursery n;
    static weft_task task;
    static weft_gen g;
    weft_doneq q;
    weft_task *done, *const tasks[] = {&task};
    weft_job job = {.fn = counts};
    void *got;
    weft_doneq_init(&q);
    CHECK_EQ(weft_start(&n, counts, NULL, NULL), -EPERM);
    CHECK_EQ(weft_join(&task, NULL), -EPERM);
    CHECK_EQ(weft_wait(tasks, 1, WEFT_ALL, 0), -EPERM);
    CHECK_EQ(weft_next_done(&q, &done), -EPERM);
    CHECK_EQ(weft_gather(&job, 1, NULL), -EPERM);
    CHECK_EQ(weft_race(&job, 1, WEFT_RACE_OK), -EPERM);
    CHECK_EQ(weft_batch(&job, 1), -EPERM);
    CHECK_EQ(weft_map(1, counts_one, NULL, NULL, NULL), -EPERM);
    CHECK_EQ(weft_background_shutdown(1, 1), -EPERM);
    CHECK_EQ(weft_gen_open(&g, hands_out_nothing, NULL), -EPERM);
    CHECK_EQ(weft_gen_next(&g, &got), -EPERM);
    CHECK_EQ(weft_gen_yield(&g, &n), -EPERM);
    CHECK_EQ(weft_test_settle(), -EPERM);
    CHECK_EQ(ran, 0);
}
