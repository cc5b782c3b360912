/* SPDX-License-Identifier: MIT */
/* test_workers_deadlock.c - all fibers of all workers wait for each other; and
 * many times that something may still come. */
#include <weft/background.h>
#include <weft/blocking.h>
#include <weft/cleanup.h>
#include <weft/io.h>
#include <weft/sem.h>
#include <weft/signal.h>
#include <weft/token.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/leaks.h"
#include "fibers.h"
#include "process.h"
#include "workers.h"

enum { WORKERS = 4 };

/* ---- it is one ---------------------------------------------------------- */

static void is_called_at_the_end(void *arg)
{
    printf("cleaned up on %u\n", weft_worker());
    (void)fflush(stdout);
    (void)arg;
}

static int waits_for_nobody(void *arg)
{
    weft_event never = WEFT_EVENT_INIT;
    (void)arg;
    CHECK_EQ(weft_defer(is_called_at_the_end, NULL), 0);
    int rc = weft_event_wait(&never);
    if (rc < 0) CHECK_EQ(weft_cancel_reason()->kind, WEFT_R_DEADLOCK);
    return rc;
}

static int all_wait_for_nobody(void *arg)
{
    static const char *const names[] = {"", "", "ada", "bob", "eve"};
    int rc;
    WEFT_NURSERY(n, rc) {
        for
            EACH_OTHER(k)
            {
                const weft_spawn_opts o = {.worker = (int)k, .name = names[k]};
                CHECK_EQ(weft_spawn_ex(&n, waits_for_nobody, arg, &o), 0);
            }
    }
    return rc;
}

struct ended {
    weft_fn fn;
    weft_on_deadlock on_deadlock;
    int want;
};

static void runs_into_it(void *arg)
{
    const struct ended *e = arg;
    const weft_run_opts o = {.workers = WORKERS, .on_deadlock = e->on_deadlock};
    struct wf_leaks before, after;
    wf_leaks_read(&before);
    CHECK_EQ(weft_run(e->fn, NULL, &o), e->want);
    wf_leaks_read(&after);
    CHECK_EQ(after.deadlocks - before.deadlocks, 1);
}

static int times(const char *text, const char *part)
{
    int n = 0;
    while ((text = strstr(text, part)) != NULL) {
        text += strlen(part);
        n++;
    }
    return n;
}

TEST_PLAIN(
    dlk_all_workers_at_rest_are_a_deadlock_and_each_says_what_it_waits_for)
{
    static struct ending e;
    struct ended d = {all_wait_for_nobody, WEFT_DEADLOCK_REPORT, -EDEADLK};
    run_in_process(runs_into_it, &d, &e);
    CHECK_EQ(e.status, 0);
    CHECK_EQ(times(e.said, "weft: deadlock"), 1);
    static const char *const wanted[] = {
        "\"ada\" parked",    "\"bob\" parked",    "\"eve\" parked",
        "run on worker 2",   "run on worker 3",   "run on worker 4",
        "work for worker 2", "work for worker 3", "work for worker 4",
        "cleaned up on 2",   "cleaned up on 3",   "cleaned up on 4",
        "\"main\" parked",   " in event"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!strstr(e.said, wanted[i]))
            test_fail(__FILE__, __LINE__, "no %s in %s", wanted[i], e.said);
}

static int main_waits_alone(void *arg)
{
    return waits_for_nobody(arg);
}

TEST_PLAIN(dlk_main_alone_can_deadlock_a_run_of_several)
{
    static struct ending e;
    struct ended d = {main_waits_alone, WEFT_DEADLOCK_REPORT, -EDEADLK};
    run_in_process(runs_into_it, &d, &e);
    CHECK_EQ(e.status, 0);
    CHECK_EQ(times(e.said, "weft: deadlock"), 1);
}

static int has_stuck_background(void *arg)
{
    return weft_background(waits_for_nobody, arg, NULL);
}

static int has_stuck_background_on_three(void *arg)
{
    return call_on(3, has_stuck_background, arg);
}

/* Main has ended; nobody has a deadline of his own. */
static void drains_for_ever(void *arg)
{
    const weft_run_opts o = {
        .workers = WORKERS, .drain = WEFT_FOREVER, .grace = WEFT_FOREVER};
    (void)arg;
    CHECK_EQ(weft_run(has_stuck_background_on_three, NULL, &o), 0);
}

TEST_PLAIN(dlk_stuck_background_work_of_any_worker_is_cancelled)
{
    static struct ending e;
    run_in_process(drains_for_ever, NULL, &e);
    CHECK_EQ(e.status, 0);
    CHECK_EQ(times(e.said, "weft: deadlock"), 1);
    CHECK(strstr(e.said, "cleaned up on 3") != NULL);
}

static int waits_again_when_cancelled(void *arg)
{
    weft_event never = WEFT_EVENT_INIT;
    int rc, err = weft_event_wait(&never);
    (void)arg;
    WEFT_SHIELD(rc, WEFT_FOREVER) {
        rc = weft_event_wait(&never);
    }
    return rc < 0 ? rc : err;
}

static int one_waits_again(void *arg)
{
    return call_on(3, waits_again_when_cancelled, arg);
}

TEST_PLAIN(dlk_a_second_one_while_cleaning_up_aborts)
{
    static struct ending e;
    struct ended d = {one_waits_again, WEFT_DEADLOCK_REPORT, 0};
    run_in_process(runs_into_it, &d, &e);
    CHECK_EQ(e.signal, SIGABRT);
    CHECK_EQ(times(e.said, "weft: deadlock"), 2);
    CHECK(strstr(e.said, "again, while cleaning up") != NULL);
}

TEST_PLAIN(dlk_asked_to_abort_it_does_when_all_have_spoken)
{
    static struct ending e;
    struct ended d = {all_wait_for_nobody, WEFT_DEADLOCK_ABORT, 0};
    run_in_process(runs_into_it, &d, &e);
    CHECK_EQ(e.signal, SIGABRT);
    CHECK_EQ(times(e.said, "weft: deadlock"), 1);
    CHECK(strstr(e.said, "\"eve\" parked") != NULL);
    CHECK(strstr(e.said, "cleaned up") == NULL);
}

static void waits_for_an_alarm(void *arg)
{
    (void)signal(SIGALRM, SIG_DFL);
    (void)alarm(1);
    runs_into_it(arg);
}

TEST_PLAIN(dlk_asked_to_wait_it_waits)
{
    static struct ending e;
    struct ended d = {all_wait_for_nobody, WEFT_DEADLOCK_WAIT, 0};
    run_in_process(waits_for_an_alarm, &d, &e);
    CHECK_EQ(e.signal, SIGALRM);
    CHECK(strstr(e.said, "deadlock") == NULL);
}

/* Cleaning up takes messages there and back, and its own children. */
static void works_on_all(void *arg)
{
    int rc, ran = 0;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        for (unsigned k = 1; k <= weft_workers(); k++)
            spawn_on(k, &n, adds_one, &ran);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(ran, weft_workers());
}

static int cleans_up_with_all(void *arg)
{
    weft_event never = WEFT_EVENT_INIT;
    CHECK_EQ(weft_defer(works_on_all, arg), 0);
    return weft_event_wait(&never);
}

static int cleans_up_there(void *arg)
{
    return call_on(2, cleans_up_with_all, arg);
}

TEST_PLAIN(dlk_clean_up_after_it_may_use_every_worker)
{
    static struct ending e;
    struct ended d = {cleans_up_there, WEFT_DEADLOCK_REPORT, -EDEADLK};
    run_in_process(runs_into_it, &d, &e);
    CHECK_EQ(e.status, 0);
    CHECK_EQ(times(e.said, "weft: deadlock"), 1);
}

static int gives_its_handle_back(void *arg)
{
    weft_remote_unref(*(weft_remote **)arg);
    return 0;
}

static int forgets_late(void *arg)
{
    weft_remote *r = weft_worker_remote(3);
    (void)arg;
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    CHECK_EQ(call_on(2, gives_its_handle_back, &r), 0);
    return waits_for_nobody(NULL);
}

TEST_PLAIN(dlk_who_gives_the_last_handle_back_lets_it_be_seen)
{
    static struct ending e;
    struct ended d = {forgets_late, WEFT_DEADLOCK_REPORT, -EDEADLK};
    run_in_process(runs_into_it, &d, &e);
    CHECK_EQ(e.status, 0);
}

/* The last handle goes while all are at rest. */
static void *unrefs_late(void *remote)
{
    linger(30);
    weft_remote_unref(remote);
    return NULL;
}

static int all_wait_beside_a_handle(void *arg)
{
    pthread_t t = start_thread(unrefs_late, weft_worker_remote(4));
    int rc = all_wait_for_nobody(arg);
    join_thread(t);
    return rc;
}

TEST_PLAIN(dlk_a_thread_that_gives_the_last_handle_back_lets_it_be_seen)
{
    static struct ending e;
    struct ended d = {all_wait_beside_a_handle, WEFT_DEADLOCK_REPORT, -EDEADLK};
    run_in_process(runs_into_it, &d, &e);
    CHECK_EQ(e.status, 0);
    CHECK_EQ(times(e.said, "weft: deadlock"), 1);
}

/* ---- it is none --------------------------------------------------------- */

/* All others wait for nobody, while something comes on worker k. */
struct quiet {
    weft_fn comes;
    unsigned worker;
};

static int waits_for_the_end(void *arg)
{
    weft_event never = WEFT_EVENT_INIT;
    (void)arg;
    return weft_event_wait(&never);
}

static int all_but_one_wait(void *arg)
{
    const struct quiet *q = arg;
    int rc;
    WEFT_NURSERY(n, rc) {
        for (unsigned k = 1; k <= weft_workers(); k++) {
            const weft_spawn_opts o = {.worker = (int)k, .daemon = true};
            CHECK_EQ(weft_spawn_ex(&n, waits_for_the_end, NULL, &o), 0);
        }
        spawn_on(q->worker, &n, q->comes, NULL);
    }
    return rc;
}

static void check_is_no_deadlock(weft_fn comes)
{
    struct wf_leaks before, after;
    wf_leaks_read(&before);
    for (unsigned k = 1; k <= WORKERS; k++) {
        struct quiet q = {comes, k};
        CHECK_EQ(run_on(WORKERS, all_but_one_wait, &q), 0);
    }
    wf_leaks_read(&after);
    CHECK_EQ(after.deadlocks, before.deadlocks);
}

static int sleeps(void *arg)
{
    (void)arg;
    return weft_sleep(WEFT_MSEC(20));
}

TEST_PLAIN(dlk_not_while_there_is_a_timer)
{
    check_is_no_deadlock(sleeps);
}

static int has_a_deadline(void *arg)
{
    int rc;
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(20)) {
        rc = waits_for_the_end(arg);
    }
    return rc;
}

TEST_PLAIN(dlk_not_while_there_is_a_deadline)
{
    check_is_no_deadlock(has_a_deadline);
}

static void *writes_late(void *fd)
{
    linger(20);
    CHECK_EQ(write(*(int *)fd, "x", 1), 1);
    return NULL;
}

static int reads(void *arg)
{
    int ends[2];
    weft_fd fd;
    char c;
    (void)arg;
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(weft_fd_adopt(ends[0], &fd), 0);
    pthread_t t = start_thread(writes_late, &ends[1]);
    CHECK_EQ(weft_read(fd, &c, 1), 1);
    join_thread(t);
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(close(ends[1]), 0);
    return 0;
}

TEST_PLAIN(dlk_not_while_there_is_a_descriptor)
{
    check_is_no_deadlock(reads);
}

static int lingers(void *arg)
{
    (void)arg;
    linger(20);
    return 0;
}

static int blocks(void *arg)
{
    return weft_blocking(lingers, arg);
}

TEST_PLAIN(dlk_not_while_there_is_a_blocking_call)
{
    check_is_no_deadlock(blocks);
}

TEST_PLAIN(dlk_not_while_one_computes)
{
    check_is_no_deadlock(lingers);
}

static void *rings_late(void *bell)
{
    linger(20);
    ring(bell);
    return NULL;
}

static int is_rung_up(void *arg)
{
    struct bell b = bell_here();
    (void)arg;
    pthread_t t = start_thread(rings_late, &b);
    CHECK_EQ(weft_event_wait(&b.rung), 0);
    join_thread(t);
    weft_remote_unref(b.home);
    return 0;
}

TEST_PLAIN(dlk_not_while_somebody_outside_has_a_handle)
{
    check_is_no_deadlock(is_rung_up);
}

static void *cancels_late(void *token)
{
    linger(20);
    weft_token_cancel(token, 0, NULL);
    weft_token_unref(token);
    return NULL;
}

static int is_linked(void *arg)
{
    weft_token *token = weft_token_new(NULL);
    weft_scope s;
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin(&s), 0);
    CHECK_EQ(weft_scope_link(&s, token), 0);
    pthread_t t = start_thread(cancels_late, token);
    int rc = weft_scope_end(&s, waits_for_the_end(arg));
    join_thread(t);
    return rc;
}

TEST_PLAIN(dlk_not_while_a_token_can_be_cancelled)
{
    check_is_no_deadlock(is_linked);
}

static void *signals_late(void *arg)
{
    linger(20);
    CHECK_EQ(kill(getpid(), SIGUSR1), 0);
    return arg;
}

static int waits_for_a_signal(void *arg)
{
    static const int usr1 = SIGUSR1;
    weft_signals s;
    CHECK_EQ(weft_signals_open(&s, &usr1, 1), 0);
    pthread_t t = start_thread(signals_late, arg);
    CHECK_EQ(weft_signals_wait(&s), SIGUSR1);
    join_thread(t);
    weft_signals_close(&s);
    return 0;
}

TEST_PLAIN(dlk_not_while_a_signal_may_come)
{
    check_is_no_deadlock(waits_for_a_signal);
}

/* All lie down again and again, with a message on its way each time. */
static int is_sent_round(void *arg)
{
    int *left = arg;
    if (--*left <= 0) return 0;
    return call_on(weft_worker() % weft_workers() + 1, adds_one, &(int){0});
}

static int sends_round(void *arg)
{
    int rounds = test_is_slow() ? 1000 : 20000, ran = 0;
    (void)arg;
    for (int i = 0; i < rounds; i++)
        CHECK_EQ(call_on(2 + (unsigned)i % (WORKERS - 1), adds_one, &ran), 0);
    CHECK_EQ(ran, rounds);
    for (int left = 200; left > 0;)
        CHECK_EQ(call_on(3, is_sent_round, &left), 0);
    return 0;
}

TEST_PLAIN(dlk_not_while_a_message_is_on_its_way)
{
    struct wf_leaks before, after;
    wf_leaks_read(&before);
    CHECK_EQ(run_on(WORKERS, sends_round, NULL), 0);
    wf_leaks_read(&after);
    CHECK_EQ(after.deadlocks, before.deadlocks);
}
