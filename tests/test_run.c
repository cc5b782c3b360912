/* SPDX-License-Identifier: MIT */
/* test_run.c - what weft_run returns; shutdown and signals. */
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fibers.h"
#include "harness.h"
#include "process.h"

static const weft_run_opts on_virtual_clock = {.virtual_clock = true};

static int run(weft_fn fn, void *arg)
{
    return weft_run(fn, arg, &on_virtual_clock);
}

TEST_PLAIN(dlk_11_run_returns_what_main_returned)
{
    CHECK_EQ(run(returns, &(int){0}), 0);
    CHECK_EQ(run(returns, &(int){7}), 7);
    CHECK_EQ(run(returns, &(int){-EIO}), -EIO);
    CHECK_EQ(run(returns, &(int){-ECANCELED}), -ECANCELED);
}

static int runs_again(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_run(returns, &(int){0}, NULL), -EBUSY);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK(weft_self() != NULL);
    return weft_sleep(WEFT_MSEC(1));
}

TEST_PLAIN(dlk_12_run_inside_a_fiber_is_refused)
{
    CHECK_EQ(run(runs_again, NULL), 0);
}

TEST_PLAIN(runs_may_follow_each_other)
{
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(run(returns, &i), i);
    }
    CHECK(weft_self() == NULL);
    CHECK_EQ(weft_fiber_id(), 0);
}

static int fails_with_a_record(void *arg)
{
    (void)arg;
    return weft_fail(-EPROTO, "main said %d", 5);
}

static void keeps_the_record_of_main(void *arg)
{
    (void)arg;
    CHECK_EQ(run(fails_with_a_record, NULL), -EPROTO);
    CHECK(weft_last_error() != NULL);
    CHECK_EQ(weft_last_error()->code, -EPROTO);
    CHECK_STR(weft_last_error()->msg, "main said 5");
}

TEST_PLAIN(the_record_of_main_outlives_the_run)
{
    must_run_in_process(keeps_the_record_of_main, NULL);
}

static int fails_in_a_child(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, fails_with_a_record, arg);
    }
    return rc;
}

TEST_PLAIN(the_record_of_main_is_that_of_the_child_it_came_from)
{
    CHECK_EQ(run(fails_in_a_child, NULL), -EPROTO);
    CHECK(weft_last_error() != NULL);
    CHECK_EQ(weft_last_error()->code, -EPROTO);
    CHECK_STR(weft_last_error()->msg, "main said 5");
}

/* --- shutdown and signals --- */

static weft_reason_kind seen;

static int waits_and_cleans_up(void *arg)
{
    (void)arg;
    int rc = weft_sleep_until(WEFT_FOREVER);
    CHECK_EQ(rc, -ECANCELED);
    seen = weft_cancel_reason()->kind;
    int cleanup;
    WEFT_SHIELD(cleanup, WEFT_SEC(1)) {
        cleanup = weft_sleep(WEFT_MSEC(1));
    }
    CHECK_EQ(cleanup, 0);
    return rc;
}

static int shuts_down(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits_and_cleans_up, NULL), 0);
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
        CHECK_EQ(weft_shutdown(*(int *)arg), 0);
        CHECK_EQ(weft_shutdown(-ENOENT), 0); /* the first one counts */
        rc = weft_checkpoint();
    }
    return rc;
}

TEST_PLAIN(shutdown_ends_the_run_with_its_code)
{
    CHECK_EQ(weft_shutdown(0), -EPERM);
    CHECK_EQ(run(shuts_down, &(int){-EINTR}), -EINTR);
    CHECK_EQ(seen, WEFT_R_SHUTDOWN);
    CHECK_EQ(run(shuts_down, &(int){0}), 0);
    CHECK_EQ(weft_shutdown(0), -EPERM);
}

static int shuts_down_and_succeeds(void *arg)
{
    CHECK_EQ(weft_shutdown(-EINTR), 0);
    CHECK_EQ(weft_yield(), -ECANCELED);
    return returns(arg);
}

TEST_PLAIN(a_shutdown_does_not_overwrite_success)
{
    CHECK_EQ(run(shuts_down_and_succeeds, &(int){3}), 3);
    CHECK_EQ(run(shuts_down_and_succeeds, &(int){-EIO}), -EIO);
}

static int raises_and_waits(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits_and_cleans_up, NULL), 0);
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(raise(*(int *)arg), 0);
    }
    CHECK_EQ(rc, -ECANCELED);
    return rc;
}

static void take_a_signal(int signo, bool is_virtual)
{
    weft_run_opts o = {.handle_signals = true, .virtual_clock = is_virtual};
    struct sigaction before, after;
    CHECK_EQ(sigaction(signo, NULL, &before), 0);
    CHECK_EQ(weft_run(raises_and_waits, &signo, &o), 0);
    CHECK_EQ(seen, WEFT_R_SIGNAL);
    CHECK_EQ(sigaction(signo, NULL, &after), 0);
    CHECK(before.sa_handler == after.sa_handler);
}

TEST_PLAIN(dlk_06_a_signal_cancels_main_and_the_run_returns)
{
    take_a_signal(SIGTERM, false);
    take_a_signal(SIGINT, false);
}

TEST_PLAIN(dlk_06_a_signal_is_seen_on_the_virtual_clock_too)
{
    take_a_signal(SIGTERM, true);
}

static int ends_of_pipe[2];

static int waits_for_a_signal(void *arg)
{
    CHECK_EQ(write(ends_of_pipe[1], "x", 1), 1);
    return waits_and_cleans_up(arg);
}

static _Noreturn void kill_once_it_waits(pid_t target)
{
    char c;
    struct timespec t = {0, 3000000};
    ssize_t n = read(ends_of_pipe[0], &c, 1);
    (void)nanosleep(&t, NULL);
    if (n == 1) (void)kill(target, SIGTERM);
    _exit(0);
}

TEST_PLAIN(waiting_for_a_signal_is_no_deadlock)
{
    weft_run_opts o = {.handle_signals = true};
    pid_t parent = getpid();
    CHECK_EQ(pipe(ends_of_pipe), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) kill_once_it_waits(parent);
    CHECK_EQ(weft_run(waits_for_a_signal, NULL, &o), 0);
    CHECK_EQ(seen, WEFT_R_SIGNAL);
    CHECK_EQ(waitpid(child, NULL, 0), child);
    CHECK_EQ(close(ends_of_pipe[0]), 0);
    CHECK_EQ(close(ends_of_pipe[1]), 0);
}

static int raises_twice(void *arg)
{
    (void)arg;
    CHECK_EQ(raise(SIGTERM), 0);
    CHECK_EQ(weft_sleep_until(WEFT_FOREVER), -ECANCELED);
    CHECK_EQ(raise(SIGTERM), 0);
    return 0;
}

static void takes_two_signals(void *arg)
{
    (void)arg;
    weft_run_opts o = {.handle_signals = true};
    (void)!weft_run(raises_twice, NULL, &o);
    abort();
}

TEST_PLAIN(the_second_signal_ends_the_process)
{
    static struct ending e;
    run_in_process(takes_two_signals, NULL, &e);
    CHECK_EQ(e.signal, SIGTERM);
}

static int raises_in_a_busy_loop(void *arg)
{
    (void)arg;
    CHECK_EQ(raise(SIGINT), 0);
    for (long i = 0; i < 100000000; i++) {
        int err = weft_yield();
        if (err < 0) return err;
    }
    return -ETIMEDOUT;
}

TEST_PLAIN(a_signal_reaches_a_program_that_never_sleeps)
{
    weft_run_opts o = {.handle_signals = true};
    CHECK_EQ(weft_run(raises_in_a_busy_loop, NULL, &o), 0);
}

static int raises_and_succeeds(void *arg)
{
    (void)arg;
    CHECK_EQ(raise(SIGTERM), 0);
    CHECK_EQ(weft_sleep(WEFT_SEC(1000)), -ECANCELED);
    return 5;
}

TEST_PLAIN(a_signal_does_not_overwrite_success)
{
    weft_run_opts o = {.handle_signals = true};
    CHECK_EQ(weft_run(raises_and_succeeds, NULL, &o), 5);
}
