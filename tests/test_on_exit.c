/* SPDX-License-Identifier: MIT */
/* test_on_exit.c - what a supervisor is told, and what it may do about it. */
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "process.h"

enum { MAX_EXITS = 16 };

static struct {
    uint64_t child;
    weft_status status;
    int rc;
    char msg[32];
} exits[MAX_EXITS];
static unsigned exit_count;

static void note_exit(uint64_t child, weft_outcome o)
{
    CHECK(exit_count < MAX_EXITS);
    exits[exit_count].child = child;
    exits[exit_count].status = o.status;
    exits[exit_count].rc = o.rc;
    if (o.err) {
        CHECK_EQ(o.err->code, o.rc);
        CHECK_EQ(o.err->fiber, child);
        (void)snprintf(exits[exit_count].msg, sizeof(exits->msg), "%.20s",
                       o.err->msg);
    }
    exit_count++;
}

static weft_verdict notes(weft_nursery *n, uint64_t child, weft_outcome o,
                          void *user)
{
    (void)n;
    (void)user;
    note_exit(child, o);
    return WEFT_CONTINUE;
}

struct job {
    weft_time after;
    int code;
    uint64_t id;
};

static int works(void *arg)
{
    struct job *j = arg;
    j->id = weft_fiber_id();
    int err = weft_sleep(j->after);
    if (err < 0) return err;
    return j->code < 0 ? weft_fail(j->code, "job %d", -j->code) : j->code;
}

TEST(on_exit_is_told_of_every_child_in_the_order_of_their_ends)
{
    weft_nursery n;
    weft_nursery_opts opts = {.policy = WEFT_SUPERVISE, .on_exit = notes};
    struct job jobs[] = {{WEFT_MSEC(3), 0, 0},
                         {WEFT_MSEC(1), -5, 0},
                         {WEFT_MSEC(2), 7, 0},
                         {WEFT_FOREVER, 0, 0}};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(weft_spawn(&n, works, &jobs[i]), 0);
    }
    CHECK_EQ(weft_sleep(WEFT_MSEC(10)), 0);
    CHECK_EQ(exit_count, 3);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);

    static const int order[] = {1, 2, 0, 3};
    static const weft_status status[] = {WEFT_FAILED, WEFT_OK, WEFT_OK,
                                         WEFT_CANCELLED};
    static const int rc[] = {-5, 7, 0, -ECANCELED};
    CHECK_EQ(exit_count, 4);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(exits[i].child, jobs[order[i]].id);
        CHECK_EQ(exits[i].status, status[i]);
        CHECK_EQ(exits[i].rc, rc[i]);
    }
    CHECK_STR(exits[0].msg, "job 5");
}

static struct job restarted = {WEFT_MSEC(1), -EIO, 0};
static int restarts, restart_result;

static weft_verdict restarts_a_failed_child(weft_nursery *n, uint64_t child,
                                            weft_outcome o, void *user)
{
    note_exit(child, o);
    if (o.status != WEFT_FAILED || restarts == *(int *)user) {
        return WEFT_CONTINUE;
    }
    restarts++;
    restart_result = weft_spawn(n, works, &restarted);
    return WEFT_CONTINUE;
}

TEST(on_exit_may_start_a_failed_child_again)
{
    weft_nursery n;
    int limit = 3;
    weft_nursery_opts opts = {.policy = WEFT_SUPERVISE,
                              .on_exit = restarts_a_failed_child,
                              .user = &limit};
    struct job other = {WEFT_MSEC(100), 0, 0};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, works, &other), 0);
    CHECK_EQ(weft_spawn(&n, works, &restarted), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(restart_result, 0);
    CHECK_EQ(restarts, 3);
    CHECK_EQ(exit_count, 5);
}

TEST(on_exit_may_start_the_last_child_again_while_the_nursery_closes)
{
    weft_nursery n;
    int limit = 3;
    weft_nursery_opts opts = {.policy = WEFT_SUPERVISE,
                              .on_exit = restarts_a_failed_child,
                              .user = &limit};
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, works, &restarted), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(restart_result, 0);
    CHECK_EQ(restarts, 3);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(4));
}

static weft_verdict cancels_with_a_code(weft_nursery *n, uint64_t child,
                                        weft_outcome o, void *user)
{
    note_exit(child, o);
    (void)user;
    if (o.status == WEFT_OK) weft_nursery_cancel(n, -EINTR, "seen enough");
    return WEFT_CONTINUE;
}

TEST(on_exit_may_cancel_the_nursery_with_a_code)
{
    weft_nursery n;
    weft_nursery_opts opts = {.on_exit = cancels_with_a_code};
    struct job first = {WEFT_MSEC(1), 0, 0}, rest = {WEFT_FOREVER, 0, 0};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, works, &first), 0);
    CHECK_EQ(weft_spawn(&n, works, &rest), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EINTR);
    CHECK_EQ(exits[1].status, WEFT_CANCELLED);
}

static weft_verdict stops_after_a_failure(weft_nursery *n, uint64_t child,
                                          weft_outcome o, void *user)
{
    (void)n;
    (void)user;
    note_exit(child, o);
    return o.status == WEFT_FAILED ? WEFT_CANCEL_REST : WEFT_CONTINUE;
}

TEST(a_collecting_nursery_can_be_stopped_by_its_on_exit)
{
    weft_nursery n;
    weft_nursery_opts opts = {.policy = WEFT_COLLECT,
                              .on_exit = stops_after_a_failure};
    struct job bad = {WEFT_MSEC(1), -EIO, 0}, rest = {WEFT_FOREVER, 0, 0};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, works, &bad), 0);
    CHECK_EQ(weft_spawn(&n, works, &rest), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    CHECK_EQ(exit_count, 2);
}

TEST(a_failure_is_stored_although_on_exit_was_told)
{
    weft_nursery n;
    weft_nursery_opts opts = {.on_exit = notes};
    struct job bad = {0, -EIO, 0};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, works, &bad), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    CHECK_STR(weft_last_error()->msg, "job 5");
    CHECK_EQ(exit_count, 1);
}

static weft_verdict opens_a_deadline(weft_nursery *n, uint64_t child,
                                     weft_outcome o, void *user)
{
    int rc;
    (void)n;
    (void)child;
    (void)o;
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(20)) {
        ++*(int *)user;
    }
    CHECK_EQ(rc, 0);
    return WEFT_CONTINUE;
}

TEST(on_exit_may_open_and_end_a_scope_with_a_deadline)
{
    static struct job now = {0, 0, 0}, later = {WEFT_MSEC(1), 0, 0};
    int calls = 0, rc;
    weft_nursery_opts opts = {.on_exit = opens_a_deadline, .user = &calls};
    WEFT_NURSERY_EX(n, rc, &opts) {
        for (int i = 0; i < 50; i++) {
            CHECK_EQ(weft_spawn(&n, works, i % 2 ? &later : &now), 0);
            if (i % 5 == 0) CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
        }
        CHECK_EQ(weft_sleep(WEFT_MSEC(50)), 0); /* the deadlines go by */
        CHECK_EQ(calls, 50);
    }
    CHECK_EQ(rc, 0);
}

TEST(on_exit_is_told_of_daemons_too)
{
    weft_nursery n;
    weft_nursery_opts opts = {.on_exit = notes};
    weft_spawn_opts as_daemon = {.daemon = true};
    struct job daemon = {WEFT_FOREVER, 0, 0}, normal = {WEFT_MSEC(1), 0, 0};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn_ex(&n, works, &daemon, &as_daemon), 0);
    CHECK_EQ(weft_spawn(&n, works, &normal), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(exit_count, 2);
    CHECK_EQ(exits[1].child, daemon.id);
    CHECK_EQ(exits[1].status, WEFT_CANCELLED);
}

static weft_verdict counts_those_alive(weft_nursery *n, uint64_t child,
                                       weft_outcome o, void *user)
{
    (void)child, (void)o;
    *(size_t *)user = weft_nursery_count(n);
    return WEFT_CONTINUE;
}

TEST(on_exit_does_not_count_the_child_that_has_ended)
{
    weft_nursery n;
    size_t alive = 77;
    weft_nursery_opts opts = {.on_exit = counts_those_alive, .user = &alive};
    struct job j = {WEFT_MSEC(1), 0, 0};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, works, &j), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(alive, 0);
}

static weft_verdict starts_a_successor(weft_nursery *n, uint64_t child,
                                       weft_outcome o, void *user)
{
    struct job *successor = user;
    (void)child, (void)o;
    if (successor->id == 0) CHECK_EQ(weft_spawn(n, works, successor), 0);
    return WEFT_CONTINUE;
}

TEST(on_exit_may_give_the_place_of_the_child_that_has_ended_to_another)
{
    weft_nursery n;
    struct job first = {WEFT_MSEC(1), 0, 0}, successor = {WEFT_MSEC(1), 0, 0};
    weft_nursery_opts opts = {
        .limit = 1, .on_exit = starts_a_successor, .user = &successor};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, works, &first), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK(successor.id != 0);
}

/* --- without a hook --- */

static int supervises_a_failure(void *arg)
{
    weft_nursery n;
    weft_nursery_opts opts = {.policy = WEFT_SUPERVISE};
    weft_spawn_opts named = {.name = "billing"};
    struct job bad = {0, -EPROTO, 0};
    (void)arg;
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn_ex(&n, works, &bad, &named), 0);
    return weft_nursery_close(&n, 0);
}

static void runs_a_supervisor(void *arg)
{
    CHECK_EQ(weft_run(supervises_a_failure, arg, NULL), 0);
}

TEST_PLAIN(without_a_hook_a_lost_failure_is_written_to_standard_error)
{
    static struct ending e;
    run_in_process(runs_a_supervisor, NULL, &e);
    CHECK_EQ(e.status, 0);
    CHECK(strstr(e.said, "billing"));
    CHECK(strstr(e.said, "job 71"));
    CHECK(strstr(e.said, weft_strerror(-EPROTO)));
}
