/* SPDX-License-Identifier: MIT */
/* test_sweep_process.c - the sweep over child processes and signals: no zombie,
 * no descriptor and no handler is left, wherever it was struck. */
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/process.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/signal.h>
#include <weft/time.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "harness.h"
#include "open.h"
#include "process.h"
#include "runtime/os.h"
#include "runtime/park.h"
#include "sweep.h"

static void check_no_child_is_left(void)
{
    CHECK_EQ(waitpid(-1, NULL, WNOHANG), -1);
    CHECK_EQ(errno, ECHILD);
}

/* --- from start to close --- */

/* When a process does what is not the same in two runs, so there is no list of
 * points to begin with: it is struck at the first point, the second one, and so
 * on, until no such point comes any more. */
static struct {
    weft_scope scope;
    long points, at;
} struck;

static void strike(weft_fiber *f, bool parked, void *arg)
{
    (void)f;
    (void)parked;
    (void)arg;
    if (++struck.points == struck.at)
        weft_scope_cancel(&struck.scope, -EINTR, "struck");
}

static int runs_one(void)
{
    const weft_process_opts o = {.argv = WEFT_ARGV("cat")};
    char text[16];
    weft_capture out = {.buf = text, .room = sizeof text};
    int rc = weft_process_run(&o, "words", 5, &out, NULL);
    if (rc == 0) CHECK_STR(text, "words");
    return rc;
}

static int takes_it_step_by_step(void)
{
    const weft_process_opts o = {.argv = WEFT_ARGV("cat"),
                                 .in = {WEFT_IO_PIPE, 0},
                                 .out = {WEFT_IO_PIPE, 0}};
    weft_process p;
    char text[8];
    CHECK_EQ(weft_process_start(&p, &o), 0);
    int rc = weft_write_all(p.in, "words", 5, NULL);
    if (rc == 0) rc = weft_read_exact(p.out, text, 5, NULL);
    if (rc == 0) rc = weft_close(p.in);
    if (rc == 0) rc = weft_process_wait(&p);
    int how = weft_process_close(&p);
    CHECK(how == 0 || how == WEFT_SIGNALLED(SIGTERM) ||
          how == WEFT_SIGNALLED(SIGPIPE));
    CHECK(rc < 0 || how == 0);
    return rc;
}

static int terminates_it(void)
{
    const weft_process_opts o = {.argv = WEFT_ARGV("sleep", "30")};
    weft_process p;
    CHECK_EQ(weft_process_start(&p, &o), 0);
    int rc = weft_process_terminate(&p, WEFT_SEC(5));
    CHECK(rc == WEFT_SIGNALLED(SIGTERM) || rc == -ECANCELED);
    CHECK_EQ(weft_process_close(&p), WEFT_SIGNALLED(SIGTERM));
    return rc > 0 ? 0 : rc;
}

/* The real clock: the grace is not to be over before the process is. */
static int is_struck(void *work)
{
    int (*const *fn)(void) = work;
    open_scope(&struck.scope);
    struck.points = 0;
    wf_points_watch(strike, NULL);
    int rc = weft_scope_end(&struck.scope, (*fn)());
    wf_points_watch(NULL, NULL);
    check_no_child_is_left();
    return rc;
}

static void strike_everywhere(int (*work)(void))
{
    enum { MOST = 1000, IN_A_ROW = 5 };
    int unharmed = 0, stopped = 0;
    for (struck.at = 1; unharmed < IN_A_ROW && struck.at < MOST; struck.at++) {
        int rc = weft_run(is_struck, &work, NULL);
        CHECK(rc == 0 || rc == -EINTR);
        unharmed = struck.points < struck.at ? unharmed + 1 : 0;
        stopped += rc < 0;
    }
    CHECK(struck.at < MOST);
    CHECK(stopped > 0);
}

TEST_PLAIN(a_run_that_is_struck_anywhere_leaves_nothing)
{
    strike_everywhere(runs_one);
}

TEST_PLAIN(nor_does_one_step_by_step)
{
    strike_everywhere(takes_it_step_by_step);
}

TEST_PLAIN(nor_does_one_that_is_terminated)
{
    strike_everywhere(terminates_it);
}

/* --- one process and many who wait --- */

static weft_process shared;

static int waits(void *arg)
{
    (void)arg;
    int rc = weft_process_wait(&shared);
    return rc < 0 ? rc : 0;
}

/* It does not end by itself: when it did would be another thing each time. */
static void start_shared(weft_nursery *n)
{
    const weft_process_opts o = {.argv = WEFT_ARGV("sleep", "30"), .grace = -1};
    /* Without memory or a pidfd it is looked at now and then; that is another
     * number of points each time. */
    int pidfd = valgrind_is_watching() ? -ENOSYS : wf_os_pidfd(getpid());
    if (pidfd < 0) SKIP("there is no pidfd here");
    CHECK_EQ(close(pidfd), 0);
    if (sweep_short_of_memory()) return;
    if (!sweep_had(weft_process_start(&shared, &o) == 0)) return;
    for (int i = 0; i < 3; i++)
        sweep_spawn(n, waits, NULL);
}

static void close_shared(void)
{
    int how = weft_process_close(&shared);
    CHECK(how == WEFT_SIGNALLED(SIGKILL) || sweep_short_of_memory());
    check_no_child_is_left();
}

SWEEP(a_process_is_waited_for_and_closed, start_shared, close_shared,
      SWEEP_PEERS_MAY_WAIT);

/* --- signals --- */

static const int both[] = {SIGUSR1, SIGUSR2};

static void check_handlers(void)
{
    struct sigaction now;
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(sigaction(both[i], NULL, &now), 0);
        CHECK(now.sa_handler == SIG_IGN);
    }
}

static int takes_two(void *arg)
{
    weft_signals s;
    (void)arg;
    int rc = weft_signals_open(&s, both, 2);
    for (int i = 0; i < 2 && rc >= 0; i++)
        rc = weft_signals_wait(&s);
    weft_signals_close(&s);
    return rc < 0 ? rc : 0;
}

static int takes_one(void *arg)
{
    (void)arg;
    int rc = weft_signal_wait(both, 1);
    return rc < 0 ? rc : 0;
}

static int raises(void *arg)
{
    (void)arg;
    for (int i = 0; i < 6; i++) {
        CHECK_EQ(raise(both[i % 2]), 0);
        int err = weft_yield();
        if (err < 0) return err;
    }
    return 0;
}

static void start_signals(weft_nursery *n)
{
    CHECK(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
    CHECK(signal(SIGUSR2, SIG_IGN) != SIG_ERR);
    sweep_spawn(n, takes_two, NULL);
    sweep_spawn(n, takes_one, NULL);
    sweep_spawn(n, takes_one, NULL);
    sweep_spawn(n, raises, NULL);
}

SWEEP(signals_are_taken_and_given_back, start_signals, check_handlers,
      SWEEP_PEERS_MAY_WAIT);
