/* SPDX-License-Identifier: MIT */
/* test_corners.c - promises kept where two of them meet. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <fcntl.h>
#include <time.h>

#include <weft.h>
#include <weft/error.h>

#include "runtime/clock.h"
#include "harness.h"

static int forever(void *arg)
{
    (void)arg;
    return weft_sleep(WEFT_FOREVER);
}

static int succeed(void *arg)
{
    (void)arg;
    return 0;
}

/* ---- what is stopped from outside, when the outside are daemons ---------- */

static int seen_close, seen_gather, seen_map;

static int daemon_with_nursery(void *arg)
{
    (void)arg;
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, forever, NULL);
    }
    seen_close = rc;
    return rc;
}

TEST(a_nursery_stopped_because_an_outer_one_ends_its_daemons_says_so)
{
    weft_nursery n;
    weft_spawn_opts o = {.daemon = true};
    seen_close = 77;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, daemon_with_nursery, NULL, &o), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(seen_close, -ECANCELED);
}

static int daemon_with_gather(void *arg)
{
    (void)arg;
    weft_job jobs[] = {{.fn = forever}, {.fn = forever}};
    seen_gather = weft_gather(jobs, 2, NULL);
    return seen_gather;
}

TEST(a_gather_stopped_because_an_outer_nursery_ends_its_daemons_says_so)
{
    weft_nursery n;
    weft_spawn_opts o = {.daemon = true};
    seen_gather = 77;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, daemon_with_gather, NULL, &o), 0);
    CHECK_EQ(weft_sleep(1), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(seen_gather, -ECANCELED);
}

static int sleep_i(size_t i, void *c)
{
    (void)i, (void)c;
    return weft_sleep(WEFT_FOREVER);
}

static int daemon_with_map(void *arg)
{
    (void)arg;
    seen_map = weft_map(2, sleep_i, NULL, NULL, NULL);
    return seen_map;
}

TEST(a_map_stopped_because_an_outer_nursery_ends_its_daemons_says_so)
{
    weft_nursery n;
    weft_spawn_opts o = {.daemon = true};
    seen_map = 77;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, daemon_with_map, NULL, &o), 0);
    CHECK_EQ(weft_sleep(1), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(seen_map, -ECANCELED);
}

/* ---- a spawn that failed ------------------------------------------------- */

TEST(a_task_whose_second_spawn_failed_at_the_limit_cannot_be_joined)
{
    weft_task t = {0};
    weft_nursery n;
    weft_nursery_opts no = {.limit = 1};
    weft_spawn_opts o = {.task = &t};
    CHECK_EQ(weft_nursery_open(&n, &no), 0);
    CHECK_EQ(weft_spawn_ex(&n, succeed, NULL, &o), 0);
    CHECK_EQ(weft_join(&t, NULL), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_spawn(&n, forever, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, succeed, NULL, &o), -EAGAIN);
    CHECK(!weft_task_done(&t));
    CHECK_EQ(weft_join(&t, NULL), -EINVAL);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_task_in_memory_not_initialised_whose_spawn_failed_is_not_alive)
{
    weft_task t;
    for (size_t i = 0; i < sizeof t / sizeof(unsigned); i++)
        ((unsigned *)&t)[i] = 1;
    weft_nursery n;
    weft_nursery_opts no = {.limit = 1};
    weft_spawn_opts o = {.task = &t};
    CHECK_EQ(weft_nursery_open(&n, &no), 0);
    CHECK_EQ(weft_spawn(&n, forever, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, succeed, NULL, &o), -EAGAIN);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_join(&t, NULL), -EINVAL);
}

TEST(a_task_whose_spawn_wait_was_cancelled_is_not_done)
{
    weft_task t = {0};
    weft_nursery n;
    weft_spawn_opts o = {.task = &t};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, succeed, NULL, &o), 0);
    CHECK_EQ(weft_join(&t, NULL), 0);
    int rc;
    WEFT_MOVE_ON_AFTER(rc, 0) {
        rc = weft_spawn_wait_ex(&n, succeed, NULL, &o);
    }
    CHECK_EQ(rc, 0);
    CHECK(!weft_task_done(&t));
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* ---- what the body returns out of a block --------------------------------- */

static int fail_io(void *arg)
{
    (void)arg;
    return weft_fail(-EIO, "the child's");
}

static int hooked;
static int hook_codes[64];
static void hook(const weft_error *e)
{
    if (hooked < 64) hook_codes[hooked] = e->code;
    hooked++;
}

static int returns_a_failure_not_in_rc(void)
{
    int rc;
    weft_nursery_opts o = {.policy = WEFT_COLLECT};
    WEFT_NURSERY_EX(n, rc, &o) {
        rc = weft_spawn(&n, fail_io, NULL);
        if (rc == 0) return weft_fail(-EPROTO, "the body's");
    }
    return rc;
}

TEST(the_record_of_what_is_returned_out_of_a_nursery_block_survives_a_lost_one)
{
    hooked = 0;
    weft_on_unhandled(hook);
    CHECK_EQ(returns_a_failure_not_in_rc(), -EPROTO);
    weft_on_unhandled(NULL);
    CHECK_EQ(hooked, 1);
    CHECK_EQ(hook_codes[0], -EIO);
    const weft_error *e = weft_last_error();
    CHECK(e != NULL);
    CHECK_EQ(e->code, -EPROTO);
    CHECK_STR(e->msg, "the body's");
}

/* ---- no grace at all ------------------------------------------------------ */

static int in_closer;
static int try_checkpoint(void *arg)
{
    (void)arg;
    in_closer = weft_checkpoint();
    return 0;
}

static void compute(long ns)
{
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    do
        clock_gettime(CLOCK_MONOTONIC, &b);
    while ((b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec < ns);
}

static void try_checkpoint_v(void *arg)
{
    (void)try_checkpoint(arg);
}

static int defers_after_work(void *arg)
{
    (void)arg;
    int err = weft_defer(try_checkpoint_v, NULL);
    compute(5000000);
    return err;
}

TEST_REAL(a_negative_cleanup_grace_is_none_after_a_long_turn_too)
{
    weft_nursery n;
    weft_nursery_opts no = {.cleanup_grace = -1};
    in_closer = 77;
    CHECK_EQ(weft_nursery_open(&n, &no), 0);
    CHECK_EQ(weft_spawn(&n, defers_after_work, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(in_closer, -ECANCELED);
}

/* ---- drain for ever -------------------------------------------------------- */

static int wait_event(void *arg)
{
    return weft_event_wait(arg);
}

static weft_event never = WEFT_EVENT_INIT;

static int leaves_stuck_background(void *arg)
{
    (void)arg;
    return weft_background(wait_event, &never, NULL);
}

TEST_PLAIN(background_work_stuck_while_it_is_drained_for_ever_is_cancelled)
{
    weft_run_opts o = {.virtual_clock = true, .drain = WEFT_FOREVER};
    int rc = weft_run(leaves_stuck_background, NULL, &o);
    CHECK(rc == 0 || rc == -EDEADLK);
}

/* ---- clean-up in the callbacks of the end ---------------------------------- */

static int deferred_runs;
static void count_deferred(void *arg)
{
    (void)arg;
    deferred_runs++;
}
static void drop_defers(void *v)
{
    (void)v;
    int err = weft_defer(count_deferred, NULL);
    (void)err;
}
static weft_key private_key = {"p", drop_defers, WEFT_KEY_PRIVATE};
static weft_key shared_key = {"s", drop_defers, 0};

static int push_it(void *arg)
{
    return weft_local_push(arg, &deferred_runs);
}

TEST(what_the_drop_of_a_private_local_defers_is_called)
{
    weft_nursery n;
    deferred_runs = 0;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, push_it, &private_key), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(deferred_runs, 1);
}

TEST(what_the_drop_of_a_local_defers_is_called)
{
    weft_nursery n;
    deferred_runs = 0;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, push_it, &shared_key), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(deferred_runs, 1);
}

/* ---- threads ---------------------------------------------------------------- */

/* ---- on_exit ------------------------------------------------------------------ */

static int again_rc, again_left;
static weft_verdict respawn(weft_nursery *n, uint64_t c, weft_outcome o,
                            void *u)
{
    (void)c, (void)o, (void)u;
    if (again_left-- > 0) again_rc = weft_spawn(n, succeed, NULL);
    return WEFT_CONTINUE;
}

TEST(on_exit_may_spawn_a_successor_in_a_nursery_with_a_limit)
{
    weft_nursery n;
    weft_nursery_opts no = {.limit = 1, .on_exit = respawn};
    again_left = 1;
    again_rc = 77;
    CHECK_EQ(weft_nursery_open(&n, &no), 0);
    CHECK_EQ(weft_spawn(&n, succeed, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(again_rc, 0);
}

/* ---- start --------------------------------------------------------------------- */

static void say_started(void *arg)
{
    (void)weft_started(arg);
}
static int fails_but_defers_started(void *arg)
{
    int err = weft_defer(say_started, arg);
    return err < 0 ? err : -EIO;
}

TEST(a_start_whose_function_failed_before_it_was_ready_failed)
{
    weft_nursery n;
    int x;
    void *v = NULL;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    int rc = weft_start(&n, fails_but_defers_started, &x, &v);
    int closed = weft_nursery_close(&n, 0);
    CHECK_EQ(rc, -EIO);
    CHECK_EQ(closed, 0);
}

/* ---- time ------------------------------------------------------------------------ */

TEST(a_sleep_until_just_before_never_ends_on_the_virtual_clock)
{
    CHECK_EQ(weft_sleep_until(WEFT_FOREVER - 1), 0);
    CHECK_EQ(weft_now(), WEFT_FOREVER - 1);
    CHECK_EQ(weft_yield(), 0);
    int rc;
    WEFT_FAIL_AFTER(rc, 5) {
        rc = weft_checkpoint();
    }
    CHECK_EQ(rc, 0);
}

/* ---- null ------------------------------------------------------------------------- */

TEST(no_jobs_at_all)
{
    CHECK_EQ(weft_gather(NULL, 0, NULL), 0);
    CHECK_EQ(weft_race(NULL, 0, WEFT_RACE_OK), -EINVAL);
    CHECK_EQ(weft_batch(NULL, 0), 0);
    CHECK_EQ(weft_map(0, sleep_i, NULL, NULL, NULL), 0);
    CHECK_EQ(weft_wait(NULL, 0, WEFT_ALL, WEFT_FOREVER), 0);
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_copy(&n, succeed, NULL, 0), 0);
    CHECK_EQ(weft_spawn_copy(&n, succeed, "", 0), 0);
    CHECK_EQ(weft_spawn_copy(&n, succeed, "", SIZE_MAX), -E2BIG);
    weft_spawn_opts o = {.stack_size = SIZE_MAX};
    CHECK_EQ(weft_spawn_ex(&n, succeed, NULL, &o), -ENOMEM);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

/* ---- ignored cancellations ---------------------------------------------------------- */

static int ignores_in_yield(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3000; i++)
        if (weft_yield() == 0) return 0;
    return 0;
}

static int ignores_in_sleep_0(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3000; i++)
        if (weft_sleep(0) == 0) return 0;
    return 0;
}

static int err_of(int (*fn)(void *), char *text, size_t len)
{
    int fds[2];
    if (pipe(fds) < 0) return -1;
    fflush(stderr);
    int keep = dup(2);
    dup2(fds[1], 2);
    int rc;
    WEFT_MOVE_ON_AFTER(rc, 0) {
        rc = fn(NULL);
    }
    dup2(keep, 2);
    close(keep);
    close(fds[1]);
    ssize_t n = read(fds[0], text, len - 1);
    text[n > 0 ? n : 0] = '\0';
    close(fds[0]);
    return rc;
}

TEST(a_debug_build_names_a_fiber_that_ignores_what_yield_says)
{
#ifndef WEFT_DEBUG
    SKIP("only debug builds do");
#endif
    char text[4096];
    CHECK_EQ(err_of(ignores_in_yield, text, sizeof text), 0);
    CHECK(strstr(text, "ignored") != NULL);
}

TEST(a_debug_build_names_a_fiber_that_ignores_what_a_sleep_of_0_says)
{
#ifndef WEFT_DEBUG
    SKIP("only debug builds do");
#endif
    char text[4096];
    CHECK_EQ(err_of(ignores_in_sleep_0, text, sizeof text), 0);
    CHECK(strstr(text, "ignored") != NULL);
}

/* ---- second round --------------------------------------------------------------------- */

TEST(start_unless_cancelled_does_not_tell_its_caller_that_it_is_cancelled)
{
    weft_nursery n;
    weft_spawn_opts o = {.unless_cancelled = true};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_nursery_cancel(&n, 0, NULL);
    int rc = 77;
    int mine;
    WEFT_SHIELD(mine, WEFT_FOREVER) {
        rc = weft_start_ex(&n, forever, NULL, NULL, &o);
    }
    CHECK_EQ(mine, 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(rc, -ESHUTDOWN);
}

/* a chain of joins, dumped */
enum { CHAIN = 20000 };
static weft_task chain[CHAIN];
static int join_next(void *arg)
{
    size_t i = (size_t)arg;
    if (i + 1 == CHAIN) return weft_sleep(WEFT_SEC(10));
    return weft_join(&chain[i + 1], NULL);
}
static double real_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static void dump_chain(bool backward)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (size_t k = 0; k < CHAIN; k++) {
        size_t i = backward ? CHAIN - 1 - k : k;
        weft_spawn_opts o = {.task = &chain[i]};
        CHECK_EQ(weft_spawn_ex(&n, join_next, (void *)i, &o), 0);
    }
    CHECK_EQ(weft_test_settle(), 0);
    int fd = open("/dev/null", O_WRONLY);
    double t = real_seconds();
    weft_dump(fd);
    t = real_seconds() - t;
    close(fd);
    int rc = weft_nursery_close(&n, 0);
    CHECK_EQ(rc, 0);
    char text[64];
    snprintf(text, sizeof text, "%.3f", t);
    if (t > 0.5) CHECK_STR(text, "fast");
}
TEST_FIFO(a_dump_of_a_long_chain_of_joins_takes_no_square_backward)
{
    dump_chain(true);
}

/* a pool for each size of stack that cannot be had */
/* privates in front of deferred functions */
enum { MANY = 30000 };
static weft_key plain_private = {"pp", NULL, WEFT_KEY_PRIVATE};
/* a hundred thousand children with everything */
enum { LOTS = 100000 };
static weft_task lots[LOTS];
static int dropped;
static void drop_one(void *v)
{
    (void)v;
    dropped++;
}
static weft_key drop_key = {"d", drop_one, 0};
static int has_all(void *arg)
{
    (void)arg;
    int err = weft_defer(count_deferred, NULL);
    if (err == 0) err = weft_local_push(&drop_key, &dropped);
    if (err == 0) err = weft_local_push(&plain_private, &dropped);
    if (err == 0) err = weft_sleep(WEFT_MSEC(1));
    return err;
}
TEST(a_hundred_thousand_children_with_tasks_deferred_functions_and_locals)
{
    const int lots_of = test_is_slow() ? LOTS / 20 : LOTS;
    weft_nursery n;
    weft_doneq q;
    weft_doneq_init(&q);
    deferred_runs = dropped = 0;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < lots_of; i++) {
        weft_spawn_opts o = {.task = &lots[i], .doneq = &q};
        CHECK_EQ(weft_spawn_ex(&n, has_all, NULL, &o), 0);
    }
    weft_task *t;
    int got = 0;
    while (weft_next_done(&q, &t) == 1)
        got++;
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(got, lots_of);
    CHECK_EQ(deferred_runs, lots_of);
    CHECK_EQ(dropped, lots_of);
}

/* task.err of a failure that came out of a nursery */
static int inner_group(void *arg)
{
    (void)arg;
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, fail_io, NULL);
    }
    return rc;
}
/* nursery with a deadline that passes while its closers run */
static int closer_sleeps(void *arg)
{
    (void)arg;
    return weft_sleep(WEFT_SEC(2));
}
TEST(a_deadline_that_passes_in_the_closers_changes_nothing)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_scope_set_deadline(weft_nursery_scope(&n), weft_after(WEFT_SEC(1)));
    CHECK_EQ(weft_own(&n, closer_sleeps, NULL, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 3), 3);
}
TEST(a_closer_that_ran_out_of_grace_timed_out)
{
    weft_nursery n;
    weft_nursery_opts no = {.cleanup_grace = WEFT_SEC(1)};
    CHECK_EQ(weft_nursery_open(&n, &no), 0);
    CHECK_EQ(weft_own(&n, closer_sleeps, NULL, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 3), -ETIMEDOUT);
}

/* a spawner waits, only a daemon is left */
static int spawns_wait(void *arg)
{
    return weft_spawn_wait((weft_nursery *)arg, succeed, NULL);
}
TEST(a_daemon_at_the_limit_with_a_waiting_spawner)
{
    weft_nursery outer, n;
    weft_nursery_opts no = {.limit = 1};
    weft_spawn_opts o = {.daemon = true};
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, &no), 0);
    CHECK_EQ(weft_spawn_ex(&n, forever, NULL, &o), 0);
    CHECK_EQ(weft_spawn(&outer, spawns_wait, &n), 0);
    CHECK_EQ(weft_sleep(1), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
}

/* main's record keeps what it came out of */
TEST_PLAIN(the_record_of_main_tells_the_group_it_came_out_of)
{
    int rc = weft_run(inner_group, NULL, NULL);
    CHECK_EQ(rc, -EIO);
    const weft_error *e = weft_last_error();
    CHECK(e != NULL);
    CHECK(strstr(e->msg, "the child's") != NULL);
}

/* dump everywhere */
static int null_fd = -1;
static weft_verdict dumps_on_exit(weft_nursery *n, uint64_t c, weft_outcome o,
                                  void *u)
{
    (void)n, (void)c, (void)o, (void)u;
    weft_dump(null_fd);
    return WEFT_CONTINUE;
}
static void dumps(void *arg)
{
    (void)arg;
    weft_dump(null_fd);
}
static int dumps_closer(void *arg)
{
    dumps(arg);
    return -EIO;
}
static weft_key dump_key = {"x", dumps, 0};
static weft_key dump_private = {"x", dumps, WEFT_KEY_PRIVATE};
static void dump_hook(const weft_error *e)
{
    (void)e;
    weft_dump(null_fd);
}
static int all_dumps(void *arg)
{
    int err = weft_defer(dumps, arg);
    if (err == 0) err = weft_local_push(&dump_key, NULL);
    if (err == 0) err = weft_local_push(&dump_private, NULL);
    if (err == 0) err = weft_started(NULL);
    if (err == 0) err = weft_sleep(5);
    if (err == 0) err = -ENOENT;
    return err;
}
static int dump_producer(weft_gen *g, void *arg)
{
    int i = 1;
    dumps(arg);
    int err = weft_gen_yield(g, &i);
    dumps(arg);
    return err;
}
static int main_dumps(void *arg)
{
    weft_nursery n;
    weft_nursery_opts no = {.policy = WEFT_SUPERVISE, .on_exit = dumps_on_exit};
    int rc = weft_defer(dumps, arg);
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_background(all_dumps, NULL, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, &no), 0);
    CHECK_EQ(weft_start(&n, all_dumps, NULL, NULL), 0);
    CHECK_EQ(weft_own(&n, dumps_closer, NULL, NULL), 0);
    CHECK_EQ(weft_spawn(&n, all_dumps, NULL), 0);
    WEFT_FOREACH(int *, p, rc, dump_producer, NULL) {
        dumps(p);
    }
    dumps(NULL);
    rc = weft_nursery_close(&n, 0);
    CHECK_EQ(rc, -EIO);
    return 0;
}
TEST_PLAIN(a_dump_at_every_strange_moment)
{
    null_fd = open("/dev/null", O_WRONLY);
    weft_on_unhandled(dump_hook);
    for (unsigned seed = 0; seed < 30; seed++) {
        weft_run_opts o = {.virtual_clock = true, .sched_seed = seed};
        CHECK_EQ(weft_run(main_dumps, NULL, &o), 0);
    }
    weft_on_unhandled(NULL);
    close(null_fd);
}

/* shields up and down while a fiber is parked in each wait */
struct toggle {
    weft_scope outer, shield;
    int (*wait)(struct toggle *);
    int rc, outer_rc;
    weft_nursery *n;
    weft_task *task;
    weft_doneq *q;
    weft_gen *g;
};
static int w_join(struct toggle *t)
{
    return weft_join(t->task, NULL);
}
static int w_wait(struct toggle *t)
{
    return weft_wait(&t->task, 1, WEFT_ALL, WEFT_SEC(100));
}
static int w_next_done(struct toggle *t)
{
    weft_task *x;
    return weft_next_done(t->q, &x);
}
static int w_spawn_wait(struct toggle *t)
{
    return weft_spawn_wait(t->n, forever, NULL);
}
static int w_gen(struct toggle *t)
{
    void *i;
    return weft_gen_next(t->g, &i);
}
static int w_settle(struct toggle *t)
{
    (void)t;
    int e;
    do
        e = weft_test_settle();
    while (e == 0);
    return e;
}
static int w_start(struct toggle *t)
{
    weft_nursery n;
    int err = weft_nursery_open(&n, NULL);
    if (err < 0) return err;
    err = weft_start(&n, forever, NULL, NULL);
    (void)t;
    return weft_nursery_close(&n, err);
}
static int toggled(void *arg)
{
    struct toggle *t = arg;
    CHECK_EQ(weft_scope_begin(&t->outer), 0);
    CHECK_EQ(weft_scope_begin_after(&t->shield, WEFT_FOREVER, WEFT_SHIELD_), 0);
    t->rc = t->wait(t);
    t->rc = weft_scope_end(&t->shield, t->rc);
    t->outer_rc = weft_scope_end(&t->outer, t->rc);
    return 0;
}
static int gen_sleeps(weft_gen *g, void *arg)
{
    (void)g;
    return forever(arg);
}
static void toggle_test(int (*wait)(struct toggle *))
{
    weft_nursery n;
    weft_nursery_opts no = {.limit = 1};
    weft_nursery target;
    weft_task task = {0};
    weft_doneq q;
    weft_gen g;
    struct toggle t = {
        .wait = wait, .n = &target, .task = &task, .q = &q, .g = &g};
    weft_doneq_init(&q);
    weft_spawn_opts o = {.task = &task, .doneq = &q};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_nursery_open(&target, &no), 0);
    CHECK_EQ(weft_spawn_ex(&target, forever, NULL, &o), 0);
    CHECK_EQ(weft_gen_open(&g, gen_sleeps, NULL), 0);
    weft_scope_init(&t.outer);
    weft_scope_init(&t.shield);
    CHECK_EQ(weft_spawn(&n, toggled, &t), 0);
    if (wait == w_settle)
        CHECK_EQ(weft_yield(), 0);
    else
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    weft_scope_cancel(&t.outer, -EXDEV, NULL);
    CHECK_EQ(weft_yield(), 0);
    weft_scope_set_shield(&t.shield, false);
    weft_scope_set_shield(&t.shield, true);
    weft_scope_set_shield(&t.shield, false);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(t.rc, -ECANCELED);
    CHECK_EQ(t.outer_rc, -EXDEV);
    CHECK_EQ(weft_gen_close(&g), 0);
    weft_nursery_cancel(&target, 0, NULL);
    CHECK_EQ(weft_nursery_close(&target, 0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}
TEST(toggle_join)
{
    toggle_test(w_join);
}
TEST(toggle_wait)
{
    toggle_test(w_wait);
}
TEST(toggle_next_done)
{
    toggle_test(w_next_done);
}
TEST(toggle_spawn_wait)
{
    toggle_test(w_spawn_wait);
}
TEST(toggle_gen)
{
    toggle_test(w_gen);
}
TEST(toggle_start)
{
    toggle_test(w_start);
}
TEST(toggle_settle)
{
    toggle_test(w_settle);
}

/* ---- third round: errno, threads ------------------------------------------------------- */

TEST(no_call_changes_errno)
{
    weft_nursery n;
    weft_spawn_opts o = {.stack_size = (size_t)1 << 50};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    errno = 4711;
    int rc = weft_spawn_ex(&n, succeed, NULL, &o);
    int after = errno;
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(rc, -ENOMEM);
    CHECK_EQ(after, 4711);
}

TEST(a_dump_to_a_bad_descriptor_does_not_change_errno)
{
    errno = 4711;
    weft_dump(-1);
    CHECK_EQ(errno, 4711);
}

TEST(the_default_hook_does_not_change_errno)
{
    weft_nursery n;
    weft_nursery_opts no = {.policy = WEFT_SUPERVISE};
    CHECK_EQ(weft_nursery_open(&n, &no), 0);
    CHECK_EQ(weft_spawn(&n, fail_io, NULL), 0);
    errno = 4711;
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(errno, 4711);
}

/* Only the runner's own code may be in a race here. */
static int thread_closer(void *arg)
{
    (void)arg;
    return weft_yield();
}
static int numbers(weft_gen *g, void *arg)
{
    for (int i = 0; i < *(int *)arg; i++) {
        int err = weft_gen_yield(g, &i);
        if (err < 0) return err;
    }
    return 0;
}
static void no_count(void *arg)
{
    (void)arg;
}
static weft_key thread_key = {"t", no_count, 0};
static int thread_child(void *arg)
{
    (void)arg;
    int err = weft_defer(no_count, NULL);
    if (err == 0) err = weft_local_push(&thread_key, &thread_key);
    if (err == 0) err = weft_sleep(WEFT_MSEC(1));
    return err;
}
static int thread_work(void *arg)
{
    weft_nursery n;
    int max = 20, rc, err = weft_background(thread_child, NULL, NULL);
    (void)arg;
    if (err < 0) return err;
    err = weft_nursery_open(&n, NULL);
    if (err < 0) return err;
    for (int i = 0; i < 20; i++) {
        err = weft_own(&n, thread_closer, NULL, NULL);
        if (err == 0) err = weft_spawn(&n, thread_child, NULL);
    }
    WEFT_FOREACH(int *, p, rc, numbers, &max) {
        (void)p;
    }
    if (err == 0) err = rc;
    return weft_nursery_close(&n, err);
}
static void *thread_main(void *arg)
{
    for (unsigned i = 0; i < 20; i++) {
        weft_run_opts o = {.virtual_clock = i % 2,
                           .sched_seed = i,
                           .watchdog = i % 3 ? 0 : WEFT_SEC(1)};
        int rc = weft_run(thread_work, NULL, &o);
        if (rc != 0) *(int *)arg = rc;
    }
    return NULL;
}
TEST_PLAIN(two_threads_with_a_run_each)
{
    pthread_t t[3];
    int rc[3] = {0};
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_create(&t[i], NULL, thread_main, &rc[i]), 0);
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i], NULL);
        CHECK_EQ(rc[i], 0);
    }
}

/* ---- the memory of a task that is done, while others are waited for --------------------- */

static weft_task *pair[2];
static int waits_for_pair(void *arg)
{
    *(int *)arg = weft_wait(pair, 2, WEFT_ALL, WEFT_FOREVER);
    return 0;
}
static int short_sleep(void *arg)
{
    (void)arg;
    return weft_sleep(WEFT_SEC(1));
}

TEST(
    a_wait_for_all_survives_that_the_memory_of_a_done_task_goes_after_its_nursery)
{
    weft_nursery all, n;
    weft_task slow = {0}, *quick = calloc(1, sizeof *quick);
    int got = 77;
    weft_spawn_opts so = {.task = &slow}, qo = {.task = quick};
    pair[0] = quick;
    pair[1] = &slow;
    CHECK_EQ(weft_nursery_open(&all, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&all, short_sleep, NULL, &so), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, succeed, NULL, &qo), 0);
    CHECK_EQ(weft_spawn(&all, waits_for_pair, &got), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    memset(quick, 0x5a, sizeof *quick);
    free(quick);
    CHECK_EQ(weft_nursery_close(&all, 0), 0);
    CHECK_EQ(got, 2);
}

/* ---- fourth round ---------------------------------------------------------------------- */

static int returns_out_of_a_timeout(void *arg)
{
    (void)arg;
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1)) {
        rc = weft_sleep(WEFT_SEC(1));
        if (rc < 0) return rc;
    }
    return rc;
}
static int err_of_plain(int (*fn)(void *), char *text, size_t len)
{
    int fds[2];
    if (pipe(fds) < 0) return -1;
    fflush(stderr);
    int keep = dup(2);
    dup2(fds[1], 2);
    int rc = fn(NULL);
    dup2(keep, 2);
    close(keep);
    close(fds[1]);
    ssize_t n = read(fds[0], text, len - 1);
    text[n > 0 ? n : 0] = '\0';
    close(fds[0]);
    return rc;
}
TEST(a_debug_build_warns_of_a_return_that_loses_a_mapped_result)
{
#ifndef WEFT_DEBUG
    SKIP("only debug builds do");
#endif
    char text[4096];
    CHECK_EQ(err_of_plain(returns_out_of_a_timeout, text, sizeof text),
             -ECANCELED);
    CHECK(text[0] != '\0');
}

static int returns_out_with_many_failures(void)
{
    int rc;
    weft_nursery_opts o = {.policy = WEFT_COLLECT};
    WEFT_NURSERY_EX(n, rc, &o) {
        for (int i = 0; i < 20; i++)
            rc = weft_spawn(&n, fail_io, NULL);
        if (rc == 0) return 0;
    }
    return rc;
}
static unsigned hooked_dropped;
static void hook_with_dropped(const weft_error *e)
{
    hooked++;
    hooked_dropped += e->dropped;
}
TEST(each_failure_lost_by_a_return_goes_to_the_hook_or_is_counted_there)
{
    hooked = 0;
    hooked_dropped = 0;
    weft_on_unhandled(hook_with_dropped);
    CHECK_EQ(returns_out_with_many_failures(), 0);
    weft_on_unhandled(NULL);
    CHECK_EQ(hooked + (int)hooked_dropped, 20);
}

/* The body's own failure is the seventeenth: its record is what is returned. */
static int returns_its_failure_after_sixteen(void)
{
    int rc;
    weft_nursery_opts o = {.policy = WEFT_COLLECT};
    WEFT_NURSERY_EX(n, rc, &o) {
        for (int i = 0; i < 20; i++)
            rc = weft_spawn(&n, fail_io, NULL);
        rc = weft_yield();
        rc = weft_fail(-EPROTO, "the body's");
        return rc;
    }
    return 0;
}
TEST(the_record_of_a_returned_failure_survives_twenty_lost_ones)
{
    hooked = 0;
    weft_on_unhandled(hook);
    CHECK_EQ(returns_its_failure_after_sixteen(), -EPROTO);
    weft_on_unhandled(NULL);
    CHECK(weft_last_error() != NULL);
    CHECK_STR(weft_last_error()->msg, "the body's");
}

/* A drop that leaves a scope open, at the end of a fiber. */
static weft_scope left_open;
static void drop_opens(void *v)
{
    (void)v;
    weft_scope_init(&left_open);
    int err = weft_scope_begin(&left_open);
    (void)err;
}
static weft_key opens_key = {"o", drop_opens, 0};
static int pushes_opens(void *arg)
{
    return weft_local_push(&opens_key, arg);
}
static int run_pushes_opens(void *arg)
{
    weft_nursery n;
    int err = weft_nursery_open(&n, NULL);
    if (err < 0) return err;
    err = weft_spawn(&n, pushes_opens, arg);
    return weft_nursery_close(&n, err);
}
TEST_DEATH(a_drop_that_leaves_a_scope_open_is_named, "still open")
{
    int rc = weft_run(run_pushes_opens, NULL, NULL);
    (void)rc;
}

/* A record that is of something else. */
static int fails_plainly(void *arg)
{
    (void)arg;
    return -EIO;
}
static char hook_msg[104];
static void hook_keeps_msg(const weft_error *e)
{
    snprintf(hook_msg, sizeof hook_msg, "%s", e->msg);
}
TEST(the_hook_is_not_told_of_a_refused_closer_with_an_old_message)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_fail(-EIO, "something old"), -EIO);
    strcpy(hook_msg, "not called");
    weft_on_unhandled(hook_keeps_msg);
    CHECK_EQ(weft_own(&n, fails_plainly, NULL, NULL), -ESHUTDOWN);
    weft_on_unhandled(NULL);
    CHECK_STR(hook_msg, "");
}

static size_t counted;
static weft_verdict counts(weft_nursery *n, uint64_t c, weft_outcome o, void *u)
{
    (void)c, (void)o, (void)u;
    counted = weft_nursery_count(n);
    return WEFT_CONTINUE;
}
TEST(on_exit_sees_the_ended_child_no_more_in_the_count)
{
    weft_nursery n;
    weft_nursery_opts no = {.on_exit = counts};
    CHECK_EQ(weft_nursery_open(&n, &no), 0);
    CHECK_EQ(weft_spawn(&n, succeed, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(counted, 0);
}

/* A daemon's start passes the reason on, and with it the same mistake. */
static int sub_close;
static int opens_inner(void *arg)
{
    (void)arg;
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, forever, NULL);
    }
    sub_close = rc;
    return rc;
}
static int daemon_starts(void *arg)
{
    return weft_start(arg, opens_inner, NULL, NULL);
}
TEST(a_nursery_below_a_start_that_a_daemon_has_made_says_that_it_was_stopped)
{
    weft_nursery other, n;
    weft_spawn_opts o = {.daemon = true};
    sub_close = 77;
    CHECK_EQ(weft_nursery_open(&other, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, daemon_starts, &other, &o), 0);
    CHECK_EQ(weft_sleep(1), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_nursery_close(&other, 0), 0);
    CHECK_EQ(sub_close, -ECANCELED);
}

/* A generator in a daemon. */
static int gen_forever(weft_gen *g, void *arg)
{
    (void)g;
    return forever(arg);
}
static int gen_close_rc;
static int daemon_with_gen(void *arg)
{
    weft_gen g;
    void *item;
    int err = weft_gen_open(&g, gen_forever, arg);
    if (err < 0) return err;
    err = weft_gen_next(&g, &item);
    gen_close_rc = weft_gen_close(&g);
    return err;
}
TEST(a_generator_stopped_because_an_outer_nursery_ends_its_daemons_says_so)
{
    weft_nursery n;
    weft_spawn_opts o = {.daemon = true};
    gen_close_rc = 77;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, daemon_with_gen, NULL, &o), 0);
    CHECK_EQ(weft_sleep(1), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(gen_close_rc, -ECANCELED);
}

/* Settling twice, wait with an empty set in a cancelled scope, and so on. */
TEST(an_empty_set_is_still_a_cancel_point)
{
    int rc;
    WEFT_MOVE_ON_AFTER(rc, 0) {
        CHECK_EQ(weft_wait(NULL, 0, WEFT_ALL, 0), -ECANCELED);
        CHECK_EQ(weft_gather(NULL, 0, NULL), -ECANCELED);
        CHECK_EQ(weft_map(0, sleep_i, NULL, NULL, NULL), -ECANCELED);
        CHECK_EQ(weft_batch(NULL, 0), -ECANCELED);
        CHECK_EQ(weft_race(NULL, 0, WEFT_RACE_OK), -ECANCELED);
        CHECK_EQ(weft_test_settle(), -ECANCELED);
        CHECK_EQ(weft_background_shutdown(0, 0), -ECANCELED);
        CHECK_EQ(weft_sleep(0), -ECANCELED);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_background(succeed, NULL, NULL), 0);
}

/* Extreme times to every call that takes one. */
TEST(extreme_times_are_taken_by_every_call)
{
    static const weft_time past[] = {INT64_MIN, INT64_MIN + 1, -1, 0};
    for (size_t i = 0; i < sizeof past / sizeof *past; i++) {
        int rc;
        WEFT_FAIL_AFTER(rc, past[i]) {
            rc = weft_checkpoint();
        }
        CHECK_EQ(rc, -ETIMEDOUT);
        WEFT_MOVE_ON_AFTER(rc, past[i]) {
            rc = weft_checkpoint();
        }
        CHECK_EQ(rc, 0);
        WEFT_SHIELD(rc, past[i]) {
            rc = weft_checkpoint();
        }
        CHECK_EQ(rc, -ETIMEDOUT);
        CHECK_EQ(weft_sleep(past[i]), 0);
        CHECK_EQ(weft_sleep_until(past[i]), 0);
        weft_scope s;
        weft_scope_init(&s);
        weft_scope_set_deadline(&s, past[i]);
        CHECK_EQ(weft_scope_begin(&s), 0);
        rc = weft_checkpoint();
        CHECK_EQ(weft_scope_end(&s, rc), 0);
        CHECK(weft_scope_caught(&s));
        weft_nursery n;
        weft_nursery_opts o = {.cleanup_grace = past[i]};
        CHECK_EQ(weft_nursery_open(&n, &o), 0);
        CHECK_EQ(weft_spawn(&n, forever, NULL), 0);
        weft_scope_set_deadline(weft_nursery_scope(&n), past[i]);
        CHECK_EQ(weft_own(&n, try_checkpoint, NULL, NULL), 0);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        CHECK_EQ(in_closer, past[i] == 0 ? 0 : -ECANCELED);
    }
    static const weft_time far[] = {WEFT_FOREVER, WEFT_FOREVER - 1,
                                    INT64_MAX / 2};
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        int rc;
        WEFT_FAIL_AFTER(rc, far[i]) {
            rc = weft_sleep(1);
        }
        CHECK_EQ(rc, 0);
        WEFT_SHIELD(rc, far[i]) {
            rc = weft_sleep(1);
        }
        CHECK_EQ(rc, 0);
        weft_nursery n;
        weft_nursery_opts o = {.cleanup_grace = far[i]};
        weft_task t = {0}, *tp = &t;
        weft_spawn_opts so = {.task = &t};
        CHECK_EQ(weft_nursery_open(&n, &o), 0);
        weft_scope_set_deadline(weft_nursery_scope(&n), far[i]);
        CHECK_EQ(weft_own(&n, closer_sleeps, NULL, NULL), 0);
        CHECK_EQ(weft_spawn_ex(&n, short_sleep, NULL, &so), 0);
        CHECK_EQ(weft_wait(&tp, 1, WEFT_ALL, far[i]), 1);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
    }
    CHECK_EQ(weft_background(short_sleep, NULL, NULL), 0);
    CHECK_EQ(weft_background_shutdown(WEFT_FOREVER - 1, INT64_MIN), 0);
    CHECK_EQ(weft_background_shutdown(INT64_MIN, WEFT_FOREVER), 0);
}

/* ---- a cancellation between the grant and the run of the woken fiber -------------------- */

struct window {
    weft_scope s;
    int (*wait)(struct window *);
    int rc, next_rc;
    weft_nursery *n;
    weft_task *task;
    weft_doneq *q;
    weft_gen *g;
    weft_event go;
};
static int v_join(struct window *t)
{
    return weft_join(t->task, NULL);
}
static int v_wait(struct window *t)
{
    return weft_wait(&t->task, 1, WEFT_ALL, WEFT_SEC(100));
}
static int v_next_done(struct window *t)
{
    weft_task *x;
    return weft_next_done(t->q, &x);
}
static int v_spawn_wait(struct window *t)
{
    return weft_spawn_wait(t->n, succeed, NULL) == 0 ? 1 : -1;
}
static int v_gen(struct window *t)
{
    void *i;
    return weft_gen_next(t->g, &i);
}
static int v_background(struct window *t)
{
    (void)t;
    return weft_background_shutdown(WEFT_SEC(100), 0) == 0 ? 1 : -2;
}
static int starts_when_told(void *arg)
{
    struct window *t = arg;
    int err = weft_event_wait(&t->go);
    return err < 0 ? err : weft_started(NULL);
}
static int v_start(struct window *t)
{
    int err = weft_start(t->n, starts_when_told, t, NULL);
    return err < 0 ? err : 1;
}
static int waits_in_window(void *arg)
{
    struct window *t = arg;
    CHECK_EQ(weft_scope_begin(&t->s), 0);
    t->rc = t->wait(t);
    t->next_rc = weft_checkpoint();
    return weft_scope_end(&t->s, t->next_rc);
}
static int ends_when_told(void *arg)
{
    return weft_event_wait(&((struct window *)arg)->go);
}
static int yields_when_told(weft_gen *g, void *arg)
{
    int err = weft_event_wait(&((struct window *)arg)->go);
    return err < 0 ? err : weft_gen_yield(g, NULL);
}
static int cancels_when_told(void *arg)
{
    struct window *t = arg;
    int err = weft_event_wait(&t->go);
    weft_scope_cancel(&t->s, 0, NULL);
    return err;
}
static void window_test(int (*wait)(struct window *))
{
    weft_nursery n, target;
    weft_nursery_opts no = {.limit = wait == v_start ? 0 : 1};
    weft_task task = {0};
    weft_doneq q;
    weft_gen g;
    struct window t = {.wait = wait,
                       .n = &target,
                       .task = &task,
                       .q = &q,
                       .g = &g,
                       .rc = 77,
                       .next_rc = 77,
                       .go = WEFT_EVENT_INIT};
    weft_spawn_opts o = {.task = &task, .doneq = &q};
    weft_doneq_init(&q);
    weft_scope_init(&t.s);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_nursery_open(&target, &no), 0);
    CHECK_EQ(weft_gen_open(&g, yields_when_told, &t), 0);
    if (wait == v_background)
        CHECK_EQ(weft_background(ends_when_told, &t, NULL), 0);
    else if (wait == v_gen || wait == v_start)
        CHECK_EQ(weft_spawn(&n, waits_in_window, &t), 0);
    else
        CHECK_EQ(weft_spawn_ex(&target, ends_when_told, &t, &o), 0);
    CHECK_EQ(weft_sleep(1), 0);
    CHECK_EQ(weft_spawn(&n, cancels_when_told, &t), 0);
    if (wait != v_gen && wait != v_start)
        CHECK_EQ(weft_spawn(&n, waits_in_window, &t), 0);
    CHECK_EQ(weft_sleep(1), 0);
    weft_event_set(&t.go); /* who grants runs first, then who cancels */
    CHECK_EQ(weft_sleep(1), 0);
    CHECK_EQ(t.rc, 1 - (wait == v_join));
    CHECK_EQ(t.next_rc, -ECANCELED);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(weft_nursery_close(&target, 0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}
TEST_FIFO(window_join)
{
    window_test(v_join);
}
TEST_FIFO(window_wait)
{
    window_test(v_wait);
}
TEST_FIFO(window_next_done)
{
    window_test(v_next_done);
}
TEST_FIFO(window_spawn_wait)
{
    window_test(v_spawn_wait);
}
TEST_FIFO(window_gen)
{
    window_test(v_gen);
}
TEST_FIFO(window_start)
{
    window_test(v_start);
}
TEST_FIFO(window_background)
{
    window_test(v_background);
}

static weft_scope settle_scope;
static int settle_rc[2];
static int settles_and_cancels(void *arg)
{
    (void)arg;
    settle_rc[0] = weft_test_settle();
    weft_scope_cancel(&settle_scope, 0, NULL);
    return 0;
}
static int settles(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_scope_begin(&settle_scope), 0);
    settle_rc[1] = weft_test_settle();
    return weft_scope_end(&settle_scope, weft_checkpoint());
}
TEST_FIFO(window_settle)
{
    weft_nursery n;
    weft_scope_init(&settle_scope);
    settle_rc[0] = settle_rc[1] = 77;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, settles_and_cancels, NULL), 0);
    CHECK_EQ(weft_spawn(&n, settles, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(settle_rc[0], 0);
    CHECK_EQ(settle_rc[1], 0);
    CHECK(weft_scope_caught(&settle_scope));
}

/* Stuck during the drain by a mutex that background fibers hold, main gone. */
static weft_mutex bm[2];
static int locks_two(void *arg)
{
    size_t i = (size_t)arg;
    int err = weft_mutex_lock(&bm[i]);
    if (err < 0) return err;
    err = weft_sleep(1);
    if (err == 0) err = weft_mutex_lock(&bm[1 - i]);
    if (err == 0) (void)weft_mutex_unlock(&bm[1 - i]);
    (void)weft_mutex_unlock(&bm[i]);
    return err;
}
static int leaves_circle(void *arg)
{
    (void)arg;
    int err = weft_background(locks_two, (void *)0, NULL);
    return err < 0 ? err : weft_background(locks_two, (void *)1, NULL);
}
TEST_PLAIN(a_circle_of_background_work_drained_for_ever_is_resolved)
{
    weft_run_opts o = {.virtual_clock = true, .drain = WEFT_FOREVER};
    int rc = weft_run(leaves_circle, NULL, &o);
    CHECK(rc == 0 || rc == -EDEADLK);
}

/* A deadlock is said at once, not when a timer of an ended scope comes due. */
static int ends_a_scope_and_hangs(void *arg)
{
    weft_event e = WEFT_EVENT_INIT;
    int rc;
    (void)arg;
    WEFT_FAIL_AFTER(rc, WEFT_SEC(3600)) {
        rc = weft_yield();
    }
    CHECK_EQ(rc, 0);
    weft_time start = weft_now();
    rc = weft_event_wait(&e);
    CHECK_EQ(weft_now() - start, 0);
    return rc;
}
TEST_PLAIN(a_deadlock_on_the_virtual_clock_costs_no_time)
{
    weft_run_opts o = {.virtual_clock = true};
    CHECK_EQ(weft_run(ends_a_scope_and_hangs, NULL, &o), -EDEADLK);
}

/* With WEFT_HOSTILE_CALL=0 WEFT_HOSTILE_AFTER=k (BUILD=hostile): no records. */
static int child_ran;
static int fails_and_says(void *arg)
{
    (void)arg;
    child_ran++;
    return -EIO;
}
static int loses_one(void *arg)
{
    int rc;
    (void)arg;
    weft_nursery_opts o = {.policy = WEFT_COLLECT};
    WEFT_NURSERY_EX(n, rc, &o) {
        rc = weft_spawn(&n, fails_and_says, NULL);
        if (rc == 0) return 0;
    }
    return rc;
}
static int loses_one_gen_fn(weft_gen *g, void *arg)
{
    (void)arg;
    int x = 0, err = weft_gen_yield(g, &x);
    (void)err;
    child_ran++;
    return -EIO;
}
static int loses_one_of_foreach(void *arg)
{
    int rc;
    (void)arg;
    WEFT_FOREACH(int *, p, rc, loses_one_gen_fn, NULL) {
        return 0;
    }
    return rc;
}
TEST_PLAIN(a_lost_failure_goes_to_the_hook_also_without_memory_for_a_record)
{
    hooked = child_ran = 0;
    weft_on_unhandled(hook);
    int rc = weft_run(loses_one, NULL, NULL);
    weft_on_unhandled(NULL);
    if (rc == 0) CHECK_EQ(hooked, child_ran);
}
TEST_PLAIN(a_lost_failure_of_a_producer_goes_to_the_hook_also_without_memory)
{
    hooked = child_ran = 0;
    weft_on_unhandled(hook);
    int rc = weft_run(loses_one_of_foreach, NULL, NULL);
    weft_on_unhandled(NULL);
    if (rc == 0) CHECK_EQ(hooked, child_ran);
}

/* A real descriptor on the virtual clock, after a scope that has ended. */
static void *writes_soon(void *arg)
{
    struct timespec t = {0, 30000000};
    nanosleep(&t, NULL);
    ssize_t n = write(*(int *)arg, "x", 1);
    (void)n;
    return NULL;
}
TEST(
    a_wait_for_a_descriptor_moves_the_virtual_clock_to_no_deadline_that_is_over)
{
    int fds[2], rc;
    char c;
    pthread_t t;
    CHECK_EQ(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    weft_time start = weft_now();
    WEFT_FAIL_AFTER(rc, WEFT_SEC(3600)) {
        rc = weft_yield();
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(pthread_create(&t, NULL, writes_soon, &fds[1]), 0);
    rc = weft_wait_fd(fds[0], WEFT_READABLE);
    weft_time took = weft_now() - start;
    pthread_join(t, NULL);
    weft_forget_fd(fds[0]);
    CHECK_EQ(read(fds[0], &c, 1), 1);
    close(fds[0]);
    close(fds[1]);
    CHECK_EQ(rc > 0, 1);
    CHECK_EQ(took, 0);
}
