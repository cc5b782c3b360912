/* SPDX-License-Identifier: MIT */
/* test_watchdog.c - a fiber that keeps its thread to itself is named. */
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "open.h"
#include "runtime/os.h"

/* Real time, since the kernel has to be shown; as short as is safe. */
static const weft_run_opts watched = {.watchdog = WEFT_MSEC(60)};

/* A signal that interrupts a call, save for nanosleep and its like, is handled
 * when the call has returned. */
#if defined(__SANITIZE_THREAD__)
static const bool signals_wait_for_calls = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
static const bool signals_wait_for_calls = true;
#else
static const bool signals_wait_for_calls = false;
#endif
#else
static const bool signals_wait_for_calls = false;
#endif

/* ---- what is said ------------------------------------------------------- */

/* Standard error is a pipe, so that one can wait for what is said. */
static int ends[2], kept_error;

static void listen_to_errors(void)
{
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    kept_error = dup(2);
    CHECK(kept_error >= 0);
    CHECK_EQ(dup2(ends[1], 2), 2);
}

/* All that has been said so far. */
static const char *said(void)
{
    static char text[32768];
    static size_t len;
    for (;;) {
        ssize_t n = read(ends[0], text + len, sizeof text - 1 - len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return text;
        len += (size_t)n;
    }
}

static const char *stop_listening(void)
{
    const char *text = said();
    CHECK_EQ(dup2(kept_error, 2), 2);
    CHECK_EQ(close(kept_error), 0);
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
    if (write(2, text, strlen(text)) < 0) CHECK(false);
    return text;
}

static size_t times(const char *text, const char *what)
{
    size_t n = 0;
    for (; (text = strstr(text, what)) != NULL; text++)
        n++;
    return n;
}

/* ---- fibers ------------------------------------------------------------- */

static int64_t on_clock(clockid_t clock)
{
    struct timespec now;
    CHECK_EQ(clock_gettime(clock, &now), 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t real_time(void)
{
    return on_clock(CLOCK_MONOTONIC);
}

/* Computes until it is spoken of, which must be while it does. */
static int computes(void *arg)
{
    int64_t start = real_time(), took;
    (void)arg;
    while (times(said(), "without a cancel point") == 0)
        CHECK(real_time() - start < WEFT_SEC(8));
    took = real_time() - start;
    CHECK(took > watched.watchdog - WEFT_MSEC(10));
    CHECK(took < 10 * watched.watchdog || test_is_slow());
    return 0;
}

static int starts_one_that_computes(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        const weft_spawn_opts o = {.name = "busy"};
        rc = weft_spawn_ex(&n, computes, NULL, &o);
    }
    return rc;
}

TEST_PLAIN(a_fiber_that_computes_is_named_while_it_does)
{
    listen_to_errors();
    CHECK_EQ(weft_run(starts_one_that_computes, NULL, &watched), 0);
    const char *text = stop_listening();
    CHECK(strstr(text, "\"busy\" has run for ") != NULL);
    CHECK(strstr(text, "spawned tests/test_watchdog.c:") != NULL);
}

/* Only what the watchdog says ends this read. */
static int reads(void *arg)
{
    char c;
    (void)arg;
    weft_fiber_set_name("reader");
    CHECK_EQ(fcntl(ends[0], F_SETFL, 0), 0);
    CHECK_EQ(read(ends[0], &c, 1), 1);
    CHECK_EQ(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    return 0;
}

TEST_PLAIN(a_fiber_that_blocks_in_a_read_is_named_while_it_does)
{
    if (signals_wait_for_calls) SKIP("ThreadSanitizer holds signals back");
    listen_to_errors();
    CHECK_EQ(weft_run(reads, NULL, &watched), 0);
    CHECK(strstr(stop_listening(), "\"reader\" has run for") != NULL);
}

static int sleeps_in_the_kernel(void *arg)
{
    int64_t ns = 3 * watched.watchdog;
    struct timespec left = {ns / 1000000000, (long)(ns % 1000000000)};
    (void)arg;
    while (nanosleep(&left, &left) < 0)
        CHECK_EQ(errno, EINTR);
    return 0;
}

TEST_PLAIN(a_fiber_that_sleeps_in_the_kernel_is_named_once)
{
    listen_to_errors();
    CHECK_EQ(weft_run(sleeps_in_the_kernel, NULL, &watched), 0);
    CHECK_EQ(times(stop_listening(), "without a cancel point"), 1);
}

/* Nothing new happens, so nothing new is said. */
static int computes_on_and_on(void *arg)
{
    int err = computes(arg);
    int64_t start = real_time();
    while (real_time() - start < 3 * watched.watchdog)
        continue;
    return err;
}

static int computes_twice(void *arg)
{
    int err = computes_on_and_on(arg);
    if (err == 0) err = weft_checkpoint();
    if (err == 0) err = sleeps_in_the_kernel(arg);
    return err;
}

TEST_PLAIN(a_fiber_is_named_once_for_each_time_it_holds_on)
{
    listen_to_errors();
    CHECK_EQ(weft_run(computes_on_and_on, NULL, &watched), 0);
    CHECK_EQ(times(said(), "without a cancel point"), 1);
    CHECK_EQ(weft_run(sleeps_in_the_kernel, NULL, &watched), 0);
    CHECK_EQ(times(stop_listening(), "without a cancel point"), 2);
}

TEST_PLAIN(a_cancel_point_begins_a_new_stretch)
{
    listen_to_errors();
    CHECK_EQ(weft_run(computes_twice, NULL, &watched), 0);
    CHECK_EQ(times(stop_listening(), "without a cancel point"), 2);
}

/* ---- those that do as they should --------------------------------------- */

static bool is_over(int64_t start)
{
    return real_time() - start > 4 * watched.watchdog;
}

static int yields(void *arg)
{
    int64_t start = real_time();
    int err = 0;
    (void)arg;
    while (err == 0 && !is_over(start))
        err = weft_yield();
    return err;
}

static int passes_cancel_points(void *arg)
{
    int64_t start = real_time();
    int err = 0;
    (void)arg;
    while (err == 0 && !is_over(start))
        err = weft_checkpoint();
    return err;
}

/* Every call fails, and it goes on all the same. */
static int ignores_that_it_is_cancelled(void *arg)
{
    int64_t start = real_time();
    weft_scope s;
    int err = 0;
    (void)arg;
    open_cancelled_scope(&s);
    for (int i = 0; i < 900 && !is_over(start); i++) {
        int64_t now = real_time();
        while (real_time() - now < watched.watchdog / 200)
            continue;
        err = weft_checkpoint();
    }
    return weft_scope_end(&s, err);
}

static int sleeps(void *arg)
{
    (void)arg;
    return weft_sleep(4 * watched.watchdog);
}

static int waits(void *arg)
{
    return weft_event_wait(arg);
}

static int behaves_in_all_ways(void *arg)
{
    weft_event over = WEFT_EVENT_INIT;
    int rc, err;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, waits, &over);
        WEFT_NURSERY(inner, err) {
            err = weft_spawn(&inner, sleeps, NULL);
            if (err == 0) err = weft_spawn(&inner, yields, NULL);
            if (err == 0) err = weft_spawn(&inner, passes_cancel_points, NULL);
        }
        CHECK_EQ(err, 0);
        weft_event_set(&over);
    }
    return rc;
}

TEST_PLAIN(nothing_is_said_of_fibers_that_give_way)
{
    listen_to_errors();
    CHECK_EQ(weft_run(behaves_in_all_ways, NULL, &watched), 0);
    CHECK_STR(stop_listening(), "");
}

TEST_PLAIN(nothing_is_said_of_one_that_yields_or_sleeps_alone)
{
    listen_to_errors();
    CHECK_EQ(weft_run(yields, NULL, &watched), 0);
    CHECK_EQ(weft_run(passes_cancel_points, NULL, &watched), 0);
    CHECK_EQ(weft_run(sleeps, NULL, &watched), 0);
    CHECK_EQ(weft_run(ignores_that_it_is_cancelled, NULL, &watched), 0);
    CHECK_STR(stop_listening(), "");
}

/* ---- the signal --------------------------------------------------------- */

static void on_signal(int signo)
{
    (void)signo;
}

static int the_handler_is(void *arg)
{
    void (*handler)(int) = *(void (**)(int))arg;
    struct sigaction now;
    CHECK_EQ(sigaction(wf_os_own_signal(), NULL, &now), 0);
    return now.sa_handler == handler;
}

TEST_PLAIN(the_signal_is_as_it_was_when_the_run_is_over)
{
    const struct sigaction mine = {.sa_handler = on_signal};
    void (*handler)(int) = on_signal;
    sigset_t set, after;
    CHECK_EQ(sigaction(wf_os_own_signal(), &mine, NULL), 0);
    CHECK_EQ(sigemptyset(&set), 0);
    CHECK_EQ(sigaddset(&set, wf_os_own_signal()), 0);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    CHECK_EQ(weft_run(the_handler_is, &handler, &watched), 0);
    CHECK_EQ(the_handler_is(&handler), 1);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &after), 0);
    CHECK_EQ(sigismember(&after, wf_os_own_signal()), 1);
}

TEST_PLAIN(without_a_limit_of_its_own_a_run_takes_no_signal)
{
    const weft_run_opts never = {.watchdog = -1};
    void (*handler)(int) = SIG_DFL;
    CHECK_EQ(weft_run(the_handler_is, &handler, NULL), 1);
    CHECK_EQ(weft_run(the_handler_is, &handler, &never), 1);
}

TEST_PLAIN(a_thread_that_blocks_the_signal_is_watched_all_the_same)
{
    sigset_t all, before;
    CHECK_EQ(sigfillset(&all), 0);
    listen_to_errors();
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &all, &before), 0);
    CHECK_EQ(weft_run(computes, NULL, &watched), 0);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    CHECK(strstr(stop_listening(), "has run for") != NULL);
}

static int sleeps_under_a_name(void *name)
{
    weft_fiber_set_name(name);
    return sleeps_in_the_kernel(NULL);
}

static void *runs_three_times(void *name)
{
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++)
        rc = weft_run(sleeps_under_a_name, name, &watched);
    return rc < 0 ? name : NULL;
}

TEST_PLAIN(each_thread_is_watched_by_itself)
{
    static char names[][8] = {"one", "two"};
    void (*handler)(int) = SIG_DFL;
    pthread_t threads[2];
    void *failed;
    listen_to_errors();
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, runs_three_times, names[i]),
                 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(pthread_join(threads[i], &failed), 0);
        CHECK(failed == NULL);
    }
    const char *text = stop_listening();
    CHECK_EQ(times(text, "\"one\" has run"), 3);
    CHECK_EQ(times(text, "\"two\" has run"), 3);
    CHECK_EQ(the_handler_is(&handler), 1);
}

TEST_PLAIN(a_limit_of_a_nanosecond_harms_nothing)
{
    const weft_run_opts quick = {.watchdog = 1};
    listen_to_errors();
    CHECK_EQ(weft_run(yields, NULL, &quick), 0);
    (void)stop_listening();
}

/* ---- what only debug builds find ---------------------------------------- */

#ifdef WEFT_DEBUG
static int64_t cpu_time(void)
{
    return on_clock(CLOCK_THREAD_CPUTIME_ID);
}

static int opens_and_closes_nurseries(void *arg)
{
    int64_t start = cpu_time();
    int rc = 0;
    (void)arg;
    weft_fiber_set_name("opener");
    while (rc == 0 && cpu_time() - start < 6 * watched.watchdog) {
        WEFT_NURSERY(n, rc) {
        }
    }
    return rc;
}

TEST_PLAIN(a_loop_of_nurseries_without_a_cancel_point_is_named_once)
{
    listen_to_errors();
    CHECK_EQ(weft_run(opens_and_closes_nurseries, NULL, &watched), 0);
    const char *text = stop_listening();
    CHECK_EQ(times(text, "\"opener\" has run"), 1);
    CHECK_EQ(times(text, "without a cancel point"), 1);
}

static int passes_a_point_in_each_nursery(void *arg)
{
    int64_t start = cpu_time();
    int rc = 0;
    (void)arg;
    while (rc == 0 && cpu_time() - start < 4 * watched.watchdog) {
        WEFT_NURSERY(n, rc) {
            rc = weft_checkpoint();
        }
    }
    return rc;
}

TEST_PLAIN(a_loop_of_nurseries_with_a_cancel_point_is_not_named)
{
    listen_to_errors();
    CHECK_EQ(weft_run(passes_a_point_in_each_nursery, NULL, &watched), 0);
    CHECK_STR(stop_listening(), "");
}

static weft_mutex ball = WEFT_MUTEX_INIT;

static int plays(void *arg)
{
    int64_t start = cpu_time();
    int err = 0;
    while (err == 0 && cpu_time() - start < 8 * watched.watchdog) {
        err = weft_mutex_lock_nc(&ball);
        if (err < 0) break;
        if (arg) err = weft_yield(); /* so that the other one has to wait */
        int worse = weft_mutex_unlock(&ball);
        if (err == 0) err = worse;
    }
    return err;
}

static int two_play(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        const weft_spawn_opts o = {.name = "deaf"};
        rc = weft_spawn(&n, plays, &rc);
        if (rc == 0) rc = weft_spawn_ex(&n, plays, arg, &o);
    }
    return rc;
}

TEST_PLAIN(a_fiber_that_only_takes_a_mutex_for_clean_up_is_named)
{
    listen_to_errors();
    CHECK_EQ(weft_run(two_play, NULL, &watched), 0);
    const char *text = stop_listening();
    CHECK_EQ(times(text, "\"deaf\" has run"), 1);
    CHECK_EQ(times(text, "without a cancel point"), 1);
}

static int computes_for_long(void *arg)
{
    int64_t start = cpu_time();
    bool passes = *(bool *)arg;
    int err = 0;
    while (err == 0 && cpu_time() - start < WEFT_MSEC(1050)) {
        int64_t now = cpu_time();
        while (cpu_time() - now < WEFT_MSEC(100))
            continue;
        if (passes) err = weft_checkpoint();
    }
    return err == 0 ? weft_yield() : err;
}

TEST_PLAIN(without_a_limit_a_fiber_that_computed_for_a_second_is_named)
{
    bool passes = false;
    listen_to_errors();
    CHECK_EQ(weft_run(computes_for_long, &passes, NULL), 0);
    CHECK_EQ(times(stop_listening(), "\"main\" ran for 1."), 1);
}

TEST_PLAIN(without_a_limit_one_that_passed_cancel_points_is_not_named)
{
    bool passes = true;
    listen_to_errors();
    CHECK_EQ(weft_run(computes_for_long, &passes, NULL), 0);
    CHECK_STR(stop_listening(), "");
}
#endif
