/* SPDX-License-Identifier: MIT */
/* test_signal.c - fibers that wait for signals. */
#include <weft/background.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/signal.h>
#include <weft/task.h>
#include <weft/testing.h>
#include <weft/time.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dump.h"
#include "harness.h"
#include "process.h"
#include "runtime/os.h"

static const int usr1[] = {SIGUSR1};
static const int both[] = {SIGUSR1, SIGUSR2};

/* ---- the handler from before -------------------------------------------- */

static int passed_on[65]; /* atomic: any thread may get a signal */

static void previous(int signo)
{
    __atomic_add_fetch(&passed_on[signo], 1, __ATOMIC_RELAXED);
}

static void install_previous(void)
{
    passed_on[SIGUSR1] = passed_on[SIGUSR2] = 0;
    CHECK(signal(SIGUSR1, previous) != SIG_ERR);
    CHECK(signal(SIGUSR2, previous) != SIG_ERR);
}

static bool is_previous(int signo)
{
    struct sigaction now;
    CHECK_EQ(sigaction(signo, NULL, &now), 0);
    return now.sa_handler == previous;
}

static void check_previous_is_back(void)
{
    CHECK(is_previous(SIGUSR1));
    CHECK(is_previous(SIGUSR2));
}

/* ---- waiting ------------------------------------------------------------ */

struct waiter {
    const int *signo;
    size_t n;
    int got[4], count, waits;
};

static int waits(void *arg)
{
    struct waiter *w = arg;
    while (w->count < w->waits) {
        int got = weft_signal_wait(w->signo, w->n);
        w->got[w->count++] = got;
    }
    return 0;
}

TEST(a_signal_wakes_the_fiber_that_waits_for_it)
{
    struct waiter w = {both, 2, {0}, 0, 1};
    int rc;
    install_previous();
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits, &w), 0);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK(!is_previous(SIGUSR2));
        CHECK_EQ(raise(SIGUSR2), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w.got[0], SIGUSR2);
    CHECK_EQ(passed_on[SIGUSR2], 0);
    check_previous_is_back();
}

TEST(nothing_is_caught_before_and_after)
{
    weft_signals s;
    install_previous();
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(passed_on[SIGUSR1], 1);
    CHECK_EQ(weft_signals_open(&s, usr1, 1), 0);
    CHECK(is_previous(SIGUSR2)); /* nobody has asked for that one */
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(weft_signals_wait(&s), SIGUSR1);
    weft_signals_close(&s);
    CHECK_EQ(passed_on[SIGUSR1], 1);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(passed_on[SIGUSR1], 2);
}

TEST(a_signal_between_two_waits_is_kept_and_counts_once)
{
    weft_signals s;
    install_previous();
    CHECK_EQ(weft_signals_open(&s, both, 2), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0); /* turns pass meanwhile */
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(weft_signals_wait(&s), SIGUSR1);
    int rc;
    WEFT_MOVE_ON_AFTER(rc, WEFT_SEC(1))
        rc = weft_signals_wait(&s);
    CHECK_EQ(rc, 0); /* there is no other */
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(weft_signals_wait(&s), SIGUSR1);
    weft_signals_close(&s);
    CHECK_EQ(passed_on[SIGUSR1], 0);
    check_previous_is_back();
}

/* ---- who gets which ----------------------------------------------------- */

TEST(dlk_08_two_signals_that_are_always_pending_alternate)
{
    weft_signals s;
    int got[10];
    install_previous();
    CHECK_EQ(weft_signals_open(&s, both, 2), 0);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(raise(SIGUSR1), 0);
        CHECK_EQ(raise(SIGUSR2), 0);
        got[i] = weft_signals_wait(&s);
        CHECK(got[i] == SIGUSR1 || got[i] == SIGUSR2);
        if (i > 0) CHECK(got[i] != got[i - 1]);
    }
    CHECK_EQ(weft_signals_wait(&s), got[8]); /* the one that is left */
    weft_signals_close(&s);
}

TEST(dlk_08_nor_does_a_third_one_that_another_fiber_takes_starve_them)
{
    const int all[] = {SIGUSR1, SIGUSR2, SIGWINCH}, third[] = {SIGWINCH};
    weft_signals s;
    int last = 0;
    CHECK_EQ(weft_signals_open(&s, all, 3), 0);
    for (int i = 0; i < 10; i++) {
        for (int k = 0; k < 3; k++)
            CHECK_EQ(raise(all[k]), 0);
        int got = weft_signal_wait(both, 2);
        CHECK(got != last && (got == SIGUSR1 || got == SIGUSR2));
        last = got;
        CHECK_EQ(weft_signal_wait(third, 1), SIGWINCH);
    }
    CHECK(weft_signals_wait(&s) > 0);
    weft_signals_close(&s);
}

TEST_FIFO(a_signal_is_given_to_one_fiber_the_one_that_has_waited_longest)
{
    weft_signals s;
    struct waiter w[3] = {
        {usr1, 1, {0}, 0, 1}, {both, 2, {0}, 0, 1}, {usr1, 1, {0}, 0, 1}};
    int rc;
    CHECK_EQ(weft_signals_open(&s, both, 2), 0);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 3; i++)
            CHECK_EQ(weft_spawn(&n, waits, &w[i]), 0);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK_EQ(raise(SIGUSR1), 0);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK_EQ(w[0].count, 1);
        CHECK_EQ(w[1].count + w[2].count, 0);
        CHECK_EQ(raise(SIGUSR2), 0);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK_EQ(w[1].got[0], SIGUSR2);
        CHECK_EQ(w[2].count, 0);
        CHECK_EQ(raise(SIGUSR1), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w[0].got[0], SIGUSR1);
    CHECK_EQ(w[2].got[0], SIGUSR1);
    weft_signals_close(&s);
}

TEST(two_signals_at_once_wake_two_fibers)
{
    weft_signals s;
    struct waiter w[2] = {{both, 2, {0}, 0, 1}, {both, 2, {0}, 0, 1}};
    int rc;
    CHECK_EQ(weft_signals_open(&s, both, 2), 0);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits, &w[0]), 0);
        CHECK_EQ(weft_spawn(&n, waits, &w[1]), 0);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK_EQ(raise(SIGUSR1), 0);
        CHECK_EQ(raise(SIGUSR2), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w[0].got[0] + w[1].got[0], SIGUSR1 + SIGUSR2);
    weft_signals_close(&s);
}

/* ---- letting go --------------------------------------------------------- */

TEST(what_is_pending_at_close_goes_to_the_previous_handler)
{
    weft_signals s, t;
    install_previous();
    CHECK_EQ(weft_signals_open(&s, both, 2), 0);
    CHECK_EQ(weft_signals_open(&t, usr1, 1), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(raise(SIGUSR2), 0);
    weft_signals_close(&s);
    CHECK_EQ(passed_on[SIGUSR2], 1);
    CHECK_EQ(passed_on[SIGUSR1], 0); /* another set still holds it */
    CHECK(!is_previous(SIGUSR1));
    weft_signals_close(&t);
    CHECK_EQ(passed_on[SIGUSR1], 1);
    weft_signals_close(&t);
    weft_signals_close(&s);
    CHECK_EQ(passed_on[SIGUSR1] + passed_on[SIGUSR2], 2);
    check_previous_is_back();
}

static void leaves_one_pending(void *arg)
{
    weft_run_opts o = {.virtual_clock = true};
    (void)!weft_run((weft_fn)(uintptr_t)arg, NULL, &o);
}

static int closes_with_one_pending(void *arg)
{
    weft_signals s;
    (void)arg;
    CHECK_EQ(weft_signals_open(&s, usr1, 1), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    weft_signals_close(&s);
    return 0;
}

static int leaves_a_set_open(void *arg)
{
    weft_signals s;
    (void)arg;
    CHECK_EQ(weft_signals_open(&s, both, 2), 0);
    return 0;
}

static int leaves_a_set_open_and_one_pending(void *arg)
{
    CHECK_EQ(leaves_a_set_open(arg), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    return 0;
}

TEST_PLAIN(which_is_the_default_one_if_there_was_no_other)
{
    struct ending e;
    run_in_process(leaves_one_pending,
                   (void *)(uintptr_t)closes_with_one_pending, &e);
    CHECK_EQ(e.signal, SIGUSR1);
    run_in_process(leaves_one_pending,
                   (void *)(uintptr_t)leaves_a_set_open_and_one_pending, &e);
    CHECK_EQ(e.signal, SIGUSR1);
}

TEST_PLAIN(what_is_open_at_the_end_of_the_run_is_closed_there)
{
    install_previous();
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weft_run(leaves_a_set_open, NULL, NULL), 0);
        check_previous_is_back();
    }
}

static weft_signals left_open;

static int leaves_it_open(void *arg)
{
    (void)arg;
    return weft_signals_open(&left_open, usr1, 1);
}

static int closes_what_was_left_open(void *arg)
{
    weft_signals s;
    (void)arg;
    weft_signals_close(&left_open);
    CHECK_EQ(weft_signals_open(&s, usr1, 1), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(weft_signals_wait(&s), SIGUSR1);
    weft_signals_close(&s);
    CHECK(is_previous(SIGUSR1));
    return 0;
}

TEST_PLAIN(and_a_close_that_comes_too_late_does_nothing)
{
    install_previous();
    CHECK_EQ(weft_run(leaves_it_open, NULL, NULL), 0);
    CHECK_EQ(weft_run(closes_what_was_left_open, NULL, NULL), 0);
    check_previous_is_back();
}

static int waits_on_set(void *arg)
{
    CHECK_EQ(weft_signals_wait(arg), -EBADF);
    return 0;
}

TEST(close_wakes_those_who_wait_on_it_and_no_others)
{
    weft_signals s, t;
    struct waiter w = {usr1, 1, {0}, 0, 1};
    int rc;
    CHECK_EQ(weft_signals_open(&s, both, 2), 0);
    CHECK_EQ(weft_signals_open(&t, both, 2), 0);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 3; i++)
            CHECK_EQ(weft_spawn(&n, waits_on_set, &s), 0);
        CHECK_EQ(weft_spawn(&n, waits, &w), 0);
        CHECK_EQ(weft_test_settle(), 0);
        weft_signals_close(&s);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK_EQ(weft_nursery_count(&n), 1);
        CHECK_EQ(w.count, 0);
        CHECK_EQ(raise(SIGUSR1), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w.got[0], SIGUSR1);
    CHECK_EQ(weft_signals_wait(&s), -EBADF);
    weft_signals_close(&t);
}

TEST(a_zeroed_set_is_none)
{
    weft_signals s = {0};
    CHECK_EQ(weft_signals_wait(&s), -EBADF);
    weft_signals_close(&s);
}

/* ---- what cannot be waited for ------------------------------------------ */

TEST(what_cannot_be_caught_is_einval_and_nothing_stays_caught)
{
    static const int bad[] = {SIGKILL, SIGSTOP, 0,      -1,     65,     1000,
                              SIGSEGV, SIGBUS,  SIGFPE, SIGILL, SIGABRT};
    install_previous();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const int set[] = {SIGUSR1, SIGUSR2, bad[i]};
        weft_signals s = {0};
        CHECK_EQ(weft_signal_wait(set, 3), -EINVAL);
        CHECK_EQ(weft_signals_open(&s, set, 3), -EINVAL);
        CHECK_EQ(weft_signals_open(&s, &bad[i], 1), -EINVAL);
        CHECK_EQ(s.set_, 0);
        check_previous_is_back();
    }
    CHECK_EQ(weft_signal_wait(usr1, 0), -EINVAL);
}

TEST(the_same_signal_twice_in_a_set_is_once)
{
    const int twice[] = {SIGUSR1, SIGUSR1};
    weft_signals s;
    install_previous();
    CHECK_EQ(weft_signals_open(&s, twice, 2), 0);
    weft_signals_close(&s);
    check_previous_is_back();
}

TEST_PLAIN(outside_a_run_it_is_eperm)
{
    weft_signals s = {0};
    install_previous();
    CHECK_EQ(weft_signals_open(&s, usr1, 1), -EPERM);
    CHECK_EQ(weft_signal_wait(usr1, 1), -EPERM);
    check_previous_is_back();
}

/* ---- cancellation, deadlines, the clock --------------------------------- */

TEST(a_cancelled_wait_lets_go_of_its_signals)
{
    struct waiter w = {both, 2, {0}, 0, 2};
    int rc;
    install_previous();
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits, &w), 0);
        CHECK_EQ(weft_test_settle(), 0);
        weft_nursery_cancel(&n, 0, "enough");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w.got[0], -ECANCELED);
    CHECK_EQ(w.got[1], -ECANCELED); /* and before it does anything */
    check_previous_is_back();
}

TEST(a_signal_that_was_given_is_not_taken_back_by_a_cancellation)
{
    struct waiter w = {usr1, 1, {0}, 0, 2};
    weft_signals s;
    int rc;
    install_previous();
    CHECK_EQ(weft_signals_open(&s, usr1, 1), 0);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits, &w), 0);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK_EQ(raise(SIGUSR1), 0);
        weft_signals t = {0};
        CHECK_EQ(weft_signals_open(&t, both, 2), 0);
        CHECK_EQ(raise(SIGUSR2), 0);
        CHECK_EQ(weft_signals_wait(&t), SIGUSR2); /* it is given here, */
        CHECK_EQ(w.count, 0);
        weft_nursery_cancel(&n, 0, "enough"); /* before it has run */
        weft_signals_close(&t);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w.got[0], SIGUSR1);
    CHECK_EQ(w.got[1], -ECANCELED);
    weft_signals_close(&s);
    CHECK_EQ(passed_on[SIGUSR1] + passed_on[SIGUSR2], 0);
}

TEST(the_virtual_clock_does_not_wait_for_a_signal)
{
    weft_time before = weft_now();
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_SEC(3600))
        rc = weft_signal_wait(usr1, 1);
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_now() - before, WEFT_SEC(3600));
}

static int raises(void *arg)
{
    CHECK_EQ(raise(*(const int *)arg), 0);
    return 0;
}

TEST(but_one_that_has_come_is_seen_before_it_jumps)
{
    weft_time before = weft_now();
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, raises, (void *)(uintptr_t)usr1), 0);
        WEFT_FAIL_AFTER(rc, WEFT_SEC(3600))
            rc = weft_signal_wait(usr1, 1);
    }
    CHECK_EQ(rc, SIGUSR1);
    CHECK_EQ(weft_now(), before);
}

static int opens_a_set_and_waits_for_nothing(void *arg)
{
    weft_signals s;
    (void)arg;
    CHECK_EQ(weft_signals_open(&s, usr1, 1), 0);
    int rc;
    WEFT_MOVE_ON_AFTER(rc, WEFT_SEC(1))
        rc = weft_signals_wait(&s);
    CHECK_EQ(rc, 0);
    rc = weft_sleep(WEFT_FOREVER);
    weft_signals_close(&s);
    return rc;
}

static void runs_into_a_deadlock(void *arg)
{
    weft_run_opts o = {.virtual_clock = true};
    (void)arg;
    CHECK_EQ(weft_run(opens_a_set_and_waits_for_nothing, NULL, &o), -EDEADLK);
}

TEST_PLAIN(a_set_on_which_nobody_waits_hides_no_deadlock)
{
    must_run_in_process(runs_into_a_deadlock, NULL);
}

static void *sends_from_outside(void *arg)
{
    (void)arg;
    (void)usleep(20000);
    (void)kill(getpid(), SIGUSR1);
    return NULL;
}

/* There is no timer and no descriptor, and on the thread itself it sleeps. */
TEST_REAL(a_signal_from_outside_ends_the_sleep_of_the_run)
{
    pthread_t thread;
    weft_signals s;
    CHECK_EQ(weft_signals_open(&s, usr1, 1), 0);
    CHECK_EQ(pthread_create(&thread, NULL, sends_from_outside, NULL), 0);
    CHECK_EQ(weft_signals_wait(&s), SIGUSR1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    weft_signals_close(&s);
}

TEST(the_dump_names_the_signal)
{
    struct waiter w = {both, 2, {0}, 0, 1};
    static char want[64];
    int rc;
    (void)snprintf(want, sizeof want, "in signal %d", SIGUSR1);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits, &w), 0);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK(strstr(dump(), want));
        weft_nursery_cancel(&n, 0, "enough");
    }
    CHECK_EQ(rc, 0);
}

/* ---- beside handle_signals, and other runs ------------------------------ */

static int waits_beside_handle_signals(void *arg)
{
    const int stop[] = {SIGINT}, mixed[] = {SIGUSR1, SIGTERM};
    struct waiter w = {usr1, 1, {0}, 0, 2};
    weft_signals s;
    int rc;
    (void)arg;
    CHECK_EQ(weft_signal_wait(stop, 1), -EBUSY);
    CHECK_EQ(weft_signals_open(&s, mixed, 2), -EBUSY);
    CHECK(is_previous(SIGUSR1));
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits, &w), 0);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK_EQ(raise(SIGUSR1), 0);
        CHECK_EQ(weft_test_settle(), 0);
        CHECK_EQ(w.got[0], SIGUSR1);
        CHECK_EQ(raise(SIGTERM), 0);
    }
    CHECK_EQ(w.got[1], -ECANCELED);
    CHECK_EQ(weft_cancel_reason()->kind, WEFT_R_SIGNAL);
    return -ECANCELED;
}

TEST_PLAIN(dlk_06_handle_signals_goes_on_beside_those_who_wait_for_others)
{
    weft_run_opts o = {.virtual_clock = true, .handle_signals = true};
    install_previous();
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weft_run(waits_beside_handle_signals, NULL, &o), 0);
    check_previous_is_back();
}

static int takes_sigterm_itself(void *arg)
{
    const int stop[] = {SIGINT, SIGTERM};
    weft_signals s;
    (void)arg;
    CHECK_EQ(weft_signals_open(&s, stop, 2), 0);
    for (int i = 0; i < 2; i++) { /* the second one is like the first */
        CHECK_EQ(raise(SIGTERM), 0);
        CHECK_EQ(weft_signals_wait(&s), SIGTERM);
    }
    weft_signals_close(&s);
    CHECK(!weft_cancelled());
    return 7;
}

TEST_PLAIN(without_handle_signals_sigterm_is_a_signal_as_others)
{
    CHECK_EQ(weft_run(takes_sigterm_itself, NULL, NULL), 7);
}

struct other {
    weft_run_opts opts;
    int waited, ran;
};

static int tries_to_wait(void *arg)
{
    const int stop[] = {SIGTERM};
    struct other *o = arg;
    weft_signals s = {0};
    o->waited = weft_signals_open(&s, stop, 1);
    weft_signals_close(&s);
    return 0;
}

static void *runs_elsewhere(void *arg)
{
    struct other *o = arg;
    o->ran = weft_run(tries_to_wait, o, &o->opts);
    return NULL;
}

static struct other run_elsewhere(bool handle_signals)
{
    struct other o = {.opts.handle_signals = handle_signals, .waited = 1};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, runs_elsewhere, &o), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    return o;
}

TEST(a_signal_is_one_run_s_at_a_time)
{
    const int stop[] = {SIGTERM};
    weft_signals s;
    CHECK_EQ(weft_signals_open(&s, stop, 1), 0);
    CHECK_EQ(run_elsewhere(false).waited, -EBUSY);
    CHECK_EQ(run_elsewhere(true).ran, -EBUSY);
    CHECK_EQ(raise(SIGTERM), 0); /* it is still ours */
    CHECK_EQ(weft_signals_wait(&s), SIGTERM);
    weft_signals_close(&s);
    CHECK_EQ(run_elsewhere(false).waited, 0);
    CHECK_EQ(run_elsewhere(true).waited, -EBUSY);
    CHECK_EQ(run_elsewhere(true).ran, 0);
}

enum { SHOTS = 2000 };

static bool over; /* atomic */

static void *shoots(void *arg)
{
    (void)arg;
    for (int i = 0; i < SHOTS; i++) {
        (void)kill(getpid(), SIGUSR1);
        (void)kill(getpid(), SIGUSR2);
    }
    __atomic_store_n(&over, true, __ATOMIC_RELEASE);
    return NULL;
}

static int opens_and_closes(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
        weft_signals s;
        int err = weft_signals_open(&s, both, 2);
        int rc = weft_sleep(WEFT_USEC(100));
        CHECK_EQ(rc, 0);
        if (err == -EBUSY) continue;
        CHECK_EQ(err, 0);
        WEFT_MOVE_ON_AFTER(rc, WEFT_USEC(100))
            rc = weft_signals_wait(&s);
        CHECK(rc == 0 || rc == SIGUSR1 || rc == SIGUSR2);
        weft_signals_close(&s);
    }
    return 0;
}

static void *opens_and_closes_in_a_run(void *arg)
{
    *(int *)arg = 0;
    while (*(int *)arg == 0 && !__atomic_load_n(&over, __ATOMIC_ACQUIRE))
        *(int *)arg = weft_run(opens_and_closes, NULL, NULL);
    return NULL;
}

/* Whoever has them while they rain down: nobody gets one that is not his, and
 * none reaches a run that is gone. */
TEST_PLAIN(runs_that_come_and_go_under_a_rain_of_signals)
{
    pthread_t shooter, runner[2];
    int result[2];
    install_previous();
    CHECK_EQ(pthread_create(&shooter, NULL, shoots, NULL), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&runner[i], NULL, opens_and_closes_in_a_run,
                                &result[i]),
                 0);
    CHECK_EQ(pthread_join(shooter, NULL), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(pthread_join(runner[i], NULL), 0);
        CHECK_EQ(result[i], 0);
    }
    check_previous_is_back();
}

/* ---- a handler that outlives its run ------------------------------------ */

static int shows_the_handler(void *arg)
{
    weft_signals s;
    CHECK_EQ(weft_signals_open(&s, usr1, 1), 0);
    CHECK_EQ(sigaction(SIGUSR1, NULL, arg), 0);
    weft_signals_close(&s);
    return 0;
}

static void keeps_a_handler_of_weft(void *arg)
{
    struct sigaction ours;
    (void)arg;
    CHECK_EQ(weft_run(shows_the_handler, &ours, NULL), 0);
    CHECK_EQ(sigaction(SIGUSR1, &ours, NULL), 0);
    (void)raise(SIGUSR1);
}

TEST_PLAIN(a_handler_that_somebody_has_kept_does_what_there_was_by_default)
{
    struct ending e;
    if (valgrind_is_watching())
        SKIP("Valgrind goes on to use the signal stack");
    run_in_process(keeps_a_handler_of_weft, NULL, &e);
    CHECK_EQ(e.signal, SIGUSR1);
}

/* ---- when the system refuses -------------------------------------------- */

#ifdef WEFT_HOSTILE
TEST(an_open_that_fails_half_way_has_caught_nothing)
{
    weft_signals s;
    install_previous();
    wf_hostile_fail(WF_CALL_SIGNAL, 2, false);
    CHECK_EQ(weft_signals_open(&s, both, 2), -ENOMEM);
    check_previous_is_back();
    wf_hostile_fail(WF_CALL_SIGNAL, 1, false);
    CHECK_EQ(weft_signal_wait(both, 2), -ENOMEM);
    check_previous_is_back();
    CHECK_EQ(weft_signals_open(&s, both, 2), 0);
    weft_signals_close(&s);
}

TEST_PLAIN(nor_has_a_run_that_cannot_handle_signals)
{
    weft_run_opts o = {.handle_signals = true, .no_crash_report = true};
    struct sigaction now;
    for (int use = 1; use <= 2; use++) {
        wf_hostile_fail(WF_CALL_SIGNAL, use, false);
        CHECK_EQ(weft_run(takes_sigterm_itself, NULL, &o), -ENOMEM);
        CHECK_EQ(sigaction(SIGINT, NULL, &now), 0);
        CHECK(now.sa_handler == SIG_DFL);
        CHECK_EQ(sigaction(SIGTERM, NULL, &now), 0);
        CHECK(now.sa_handler == SIG_DFL);
    }
    wf_hostile_fail(WF_CALL_SIGNAL, 0, false);
    CHECK_EQ(run_elsewhere(true).ran, 0); /* they are free */
}
#endif
