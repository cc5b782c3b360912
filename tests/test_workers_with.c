/* SPDX-License-Identifier: MIT */
/* test_workers_with.c - several workers together with the rest: descriptors,
 * processes, pools, signals, crashes, the watchdog, weft_test. */
#include <weft/blocking.h>
#include <weft/io.h>
#include <weft/process.h>
#include <weft/signal.h>
#include <weft/testing.h>

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "burn.h"
#include "fibers.h"
#include "process.h"
#include "workers.h"

/* ---- descriptors -------------------------------------------------------- */

static int reads_x(void *number)
{
    weft_fd fd;
    char c = 0;
    CHECK_EQ(weft_fd_adopt(*(int *)number, &fd), 0);
    CHECK_EQ(weft_read(fd, &c, 1), 1);
    CHECK_EQ(c, 'x');
    *(int *)number = weft_fd_release(fd);
    return 0;
}

TEST_WORKERS(a_descriptor_goes_from_worker_to_worker)
{
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    for (unsigned k = 1; k <= weft_workers(); k++) {
        CHECK_EQ(write(ends[1], "x", 1), 1);
        CHECK_EQ(call_on(k, reads_x, &ends[0]), 0);
    }
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
}

/* ---- processes ---------------------------------------------------------- */

static int runs_a_process(void *arg)
{
    const weft_process_opts o = {
        .argv = WEFT_ARGV("/bin/sh", "-c", "kill -TERM $$; sleep 60")};
    int rc = weft_process_run(&o, NULL, 0, NULL, NULL);
    (void)arg;
    CHECK_EQ(rc, WEFT_SIGNALLED(SIGTERM));
    return 0;
}

TEST_WORKERS(a_process_of_any_worker_starts_with_no_signal_blocked)
{
    int rc;
    if (weft_workers() > 3) return;
    WEFT_NURSERY(n, rc) {
        for (unsigned k = 1; k <= weft_workers(); k++)
            spawn_on(k, &n, runs_a_process, NULL);
    }
    CHECK_EQ(rc, 0);
}

static int forks(void *arg)
{
    int status = -1;
    (void)arg;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        bool left = weft_workers() == 0 && weft_worker() == 0 &&
                    !weft_worker_remote(1) && weft_yield() == -EPERM;
        _exit(left ? 7 : 8);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    return 0;
}

TEST_WORKERS(the_child_of_a_fork_on_any_worker_is_in_no_run)
{
    if (a_tool_is_watching()) return; /* which misses the threads there */
    for (unsigned k = 1; k <= weft_workers(); k++)
        CHECK_EQ(call_on(k, forks, NULL), 0);
}

/* ---- pools -------------------------------------------------------------- */

static int blocks_often(void *count)
{
    for (int i = 0; i < 20; i++)
        CHECK_EQ(i % 2 ? weft_blocking(adds_one, count)
                       : weft_cpu(adds_one, count),
                 0);
    return 0;
}

TEST_WORKERS(all_workers_use_the_pools)
{
    int count = 0, rc;
    WEFT_NURSERY(n, rc) {
        for (unsigned k = 1; k <= weft_workers(); k++)
            spawn_on(k, &n, blocks_often, &count);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(count, 20 * (int)weft_workers());
}

/* ---- signals ------------------------------------------------------------ */

static int waits_for_usr1(void *arg)
{
    static const int usr1 = SIGUSR1;
    weft_signals s;
    (void)arg;
    CHECK_EQ(weft_signals_open(&s, &usr1, 1), 0);
    CHECK_EQ(kill(getpid(), SIGUSR1), 0);
    CHECK_EQ(weft_signals_wait(&s), SIGUSR1);
    weft_signals_close(&s);
    return 0;
}

TEST_WORKERS(any_worker_can_wait_for_a_signal)
{
    for (unsigned k = 1; k <= weft_workers(); k++)
        CHECK_EQ(call_on(k, waits_for_usr1, NULL), 0);
}

static int usr1_came; /* atomic */

static void previous(int signo)
{
    (void)signo;
    (void)add_one(&usr1_came);
}

static int leaves_usr1(void *arg)
{
    static const int usr1 = SIGUSR1;
    weft_signals s;
    (void)arg;
    CHECK_EQ(weft_signals_open(&s, &usr1, 1), 0);
    CHECK_EQ(kill(getpid(), SIGUSR1), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0); /* main's thread has it now */
    weft_signals_close(&s);
    return 0;
}

/* On the others it is held back, and would be gone with the thread. */
TEST_WORKERS(what_no_worker_has_taken_goes_to_the_previous_handler)
{
    void (*before)(int) = signal(SIGUSR1, previous);
    for (unsigned k = 1; k <= weft_workers(); k++) {
        __atomic_store_n(&usr1_came, 0, __ATOMIC_RELEASE);
        CHECK_EQ(call_on(k, leaves_usr1, NULL), 0);
        for (int i = 0; i < 1000 && count_of(&usr1_came) == 0; i++)
            CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
        CHECK_EQ(count_of(&usr1_came), 1);
    }
    struct sigaction now; /* what signal returns MSan puts a wrapper around */
    CHECK_EQ(sigaction(SIGUSR1, NULL, &now), 0);
    CHECK(now.sa_handler == previous);
    (void)signal(SIGUSR1, before);
}

static int cannot_have_term(void *arg)
{
    static const int term = SIGTERM;
    weft_signals s;
    (void)arg;
    CHECK_EQ(weft_signals_open(&s, &term, 1), -EBUSY);
    return 0;
}

static int tries_on_each(void *arg)
{
    for (unsigned k = 1; k <= weft_workers(); k++)
        CHECK_EQ(call_on(k, cannot_have_term, arg), 0);
    return 0;
}

TEST_PLAIN(what_the_run_handles_no_worker_can_have)
{
    const weft_run_opts o = {.workers = 3, .handle_signals = true};
    CHECK_EQ(weft_run(tries_on_each, NULL, &o), 0);
}

/* ---- a crash, and the watchdog ------------------------------------------ */

__attribute__((noinline)) static int goes_deep(volatile int *from)
{
    volatile int here[256];
    here[0] = *from + 1;
    if (here[0] > 1000000) return 0;
    return goes_deep(here) + here[0];
}

static int overflows(void *arg)
{
    volatile int from = 0;
    (void)arg;
    return goes_deep(&from);
}

static int overflows_elsewhere(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        const weft_spawn_opts o = {.worker = 2, .name = "deep"};
        rc = weft_spawn_ex(&n, overflows, arg, &o);
    }
    return rc;
}

static void runs_over(void *arg)
{
    (void)run_on(2, overflows_elsewhere, arg);
}

TEST_PLAIN(a_stack_overflow_on_another_worker_is_reported)
{
    static struct ending e;
    if (a_tool_is_watching()) SKIP("what watches takes the fault itself");
    run_in_process(runs_over, NULL, &e);
    CHECK_EQ(e.signal, SIGSEGV);
    CHECK(strstr(e.said, "stack overflow") != NULL);
    CHECK(strstr(e.said, "\"deep\"") != NULL);
}

static int hogs(void *arg)
{
    (void)arg;
    burn(WEFT_MSEC(200));
    return 0;
}

static int hogs_elsewhere(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        const weft_spawn_opts o = {.worker = 3, .name = "hog"};
        rc = weft_spawn_ex(&n, hogs, arg, &o);
    }
    return rc;
}

static void runs_hogs(void *arg)
{
    const weft_run_opts o = {.workers = 3, .watchdog = WEFT_MSEC(20)};
    CHECK_EQ(weft_run(hogs_elsewhere, arg, &o), 0);
}

TEST_PLAIN(the_watchdog_looks_at_every_worker)
{
    static struct ending e;
    run_in_process(runs_hogs, NULL, &e);
    CHECK_EQ(e.status, 0);
    CHECK(strstr(e.said, "\"hog\"") != NULL);
}

/* ---- weft_test ---------------------------------------------------------- */

static int ran;

static int works_on_each(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        for (unsigned k = 0; k <= weft_workers(); k++)
            spawn_on(k, &n, adds_one, &ran);
    }
    return rc;
}

TEST_PLAIN(weft_test_runs_on_several_workers_by_the_real_clock)
{
    const weft_run_opts run = {.workers = 3};
    const weft_test_opts o = {.orders = 5, .real_clock = true, .run = &run};
    CHECK_EQ(weft_test("several", works_on_each, NULL, &o), 0);
    CHECK_EQ(ran, 5 * 4);
}
