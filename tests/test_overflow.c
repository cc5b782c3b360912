/* SPDX-License-Identifier: MIT */
/*
 * test_overflow.c - a fiber that overflows its stack says so before it dies.
 *
 * Each case runs in a process of its own. A sanitizer takes the fault for
 * itself, and the programs under it have other frames: skipped there.
 */
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/time.h>

#include <alloca.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "process.h"

static struct ending end;

/* Runs body, which dies; its fiber was named `name`, its stack `size`. */
static void check_dies_of_overflow(void (*body)(void *), const char *name,
                                   const char *size)
{
    if (a_tool_is_watching()) SKIP("the tool takes the fault for itself");
    run_in_process(body, NULL, &end);
    if (end.signal != SIGSEGV && end.signal != SIGBUS) {
        test_fail(__FILE__, __LINE__, "status %d, signal %d: %s", end.status,
                  end.signal, end.said);
    }
    CHECK(strstr(end.said, "stack overflow") != NULL);
    if (!strstr(end.said, name)) CHECK_STR(end.said, name);
    if (!strstr(end.said, size)) CHECK_STR(end.said, size);
}

static volatile int bottom; /* never reached */
static volatile char eaten;

static __attribute__((noinline)) int recurse(int depth)
{
    volatile char frame[256];
    frame[0] = (char)depth;
    if (depth == bottom) return frame[0];
    return recurse(depth + 1) + frame[0];
}

static int recurse_fiber(void *unused)
{
    (void)unused;
    return recurse(1);
}

/* Touches only the far end: with a guard of a page it would jump over it. */
static __attribute__((noinline)) int big_frame_fiber(void *unused)
{
    char frame[200 * 1024];
    (void)unused;
    frame[0] = 1;
    __asm__ volatile("" : : "r"(frame) : "memory"); /* it may be seen there */
    return frame[0];
}

static __attribute__((noinline)) int alloca_fiber(void *unused)
{
    volatile size_t bytes = 200 * 1024;
    (void)unused;
    volatile char *p = alloca(bytes);
    p[0] = 1;
    eaten = p[0];
    return 0;
}

static int nothing(void *unused)
{
    (void)unused;
    return 0;
}

/* ---- on main's stack ---------------------------------------------------- */

static void overflow_main(void *unused)
{
    (void)unused;
    (void)!weft_run(recurse_fiber, NULL, NULL);
}

TEST_PLAIN(dlk_10_deep_recursion_is_reported_with_the_fiber_and_its_size)
{
    check_dies_of_overflow(overflow_main, "\"main\"", "64 KiB");
#ifndef __APPLE__ /* where a guard page is a bus error */
    CHECK_EQ(end.signal, SIGSEGV);
#endif
}

static void overflow_main_by_frame(void *unused)
{
    (void)unused;
    (void)!weft_run(big_frame_fiber, NULL, NULL);
}

TEST_PLAIN(a_frame_larger_than_the_guard_does_not_jump_over_it)
{
    check_dies_of_overflow(overflow_main_by_frame, "\"main\"", "64 KiB");
}

static void overflow_main_by_alloca(void *unused)
{
    (void)unused;
    (void)!weft_run(alloca_fiber, NULL, NULL);
}

TEST_PLAIN(an_alloca_larger_than_the_guard_does_not_jump_over_it)
{
    check_dies_of_overflow(overflow_main_by_alloca, "\"main\"", "64 KiB");
}

/* ---- in children -------------------------------------------------------- */

struct deep {
    weft_fn fn;
    weft_spawn_opts opts;
    int before; /* fibers that end before it, so that their stacks are free */
    int nested;
};

static int spawn_deep(void *arg)
{
    struct deep *d = arg;
    int rc;
    if (d->nested-- > 0) {
        WEFT_NURSERY(n, rc) rc = weft_spawn(&n, spawn_deep, d);
        return rc;
    }
    for (int i = 0; i < d->before; i++) {
        WEFT_NURSERY(n, rc) rc = weft_spawn_ex(&n, nothing, NULL, &d->opts);
        CHECK_EQ(rc, 0);
    }
    WEFT_NURSERY(n, rc) rc = weft_spawn_ex(&n, d->fn, NULL, &d->opts);
    return rc;
}

static void overflow_child(void *unused)
{
    struct deep d = {.fn = recurse_fiber, .opts = {.name = "deep"}};
    (void)unused;
    (void)!weft_run(spawn_deep, &d, NULL);
}

TEST_PLAIN(dlk_10_the_report_names_the_fiber_and_where_it_was_spawned)
{
    check_dies_of_overflow(overflow_child, "\"deep\"", "test_overflow.c:");
}

static void overflow_pooled(void *unused)
{
    struct deep d = {
        .fn = recurse_fiber, .opts = {.name = "deep"}, .before = 100};
    (void)unused;
    (void)!weft_run(spawn_deep, &d, NULL);
}

TEST_PLAIN(a_reused_stack_overflows_with_a_report_too)
{
    check_dies_of_overflow(overflow_pooled, "\"deep\"", "64 KiB");
}

static void overflow_nested(void *unused)
{
    struct deep d = {
        .fn = big_frame_fiber, .opts = {.name = "deep"}, .nested = 5};
    (void)unused;
    (void)!weft_run(spawn_deep, &d, NULL);
}

TEST_PLAIN(a_fiber_in_a_nested_nursery_overflows_with_a_report)
{
    check_dies_of_overflow(overflow_nested, "\"deep\"", "64 KiB");
}

static void overflow_small(void *unused)
{
    struct deep d = {.fn = recurse_fiber,
                     .opts = {.name = "small", .stack_size = 16384}};
    (void)unused;
    (void)!weft_run(spawn_deep, &d, NULL);
}

TEST_PLAIN(a_small_stack_overflows_with_its_own_size_in_the_report)
{
    check_dies_of_overflow(overflow_small, "\"small\"", "16 KiB");
}

static void overflow_large(void *unused)
{
    struct deep d = {.fn = recurse_fiber,
                     .opts = {.name = "large", .stack_size = 1 << 20}};
    const weft_run_opts o = {.stack_size = 32768, .guard_size = 4096};
    (void)unused;
    (void)!weft_run(spawn_deep, &d, &o);
}

TEST_PLAIN(a_large_stack_overflows_with_its_own_size_in_the_report)
{
    check_dies_of_overflow(overflow_large, "\"large\"", "1024 KiB");
}

static void overflow_main_of_size(void *unused)
{
    const weft_run_opts o = {.stack_size = 128 * 1024, .guard_size = 4096};
    (void)unused;
    (void)!weft_run(recurse_fiber, NULL, &o);
}

TEST_PLAIN(the_stack_size_of_the_run_is_in_the_report)
{
    check_dies_of_overflow(overflow_main_of_size, "\"main\"", "128 KiB");
}

static void recurse_on_signal(int signo)
{
    (void)recurse(signo + 1);
}

static int signal_fiber(void *unused)
{
    (void)unused;
    (void)signal(SIGUSR1, recurse_on_signal);
    (void)raise(SIGUSR1);
    return 0;
}

static void overflow_in_signal_handler(void *unused)
{
    (void)unused;
    (void)!weft_run(signal_fiber, NULL, NULL);
}

TEST_PLAIN(a_signal_handler_on_a_fiber_stack_overflows_with_a_report)
{
    check_dies_of_overflow(overflow_in_signal_handler, "\"main\"", "64 KiB");
}

/* ---- threads ------------------------------------------------------------ */

static void *run_deep(void *arg)
{
    (void)!weft_run(spawn_deep, arg, NULL);
    return NULL;
}

static void on_thread(void *(*fn)(void *), void *arg)
{
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, fn, arg), 0);
    CHECK_EQ(pthread_join(t, NULL), 0);
}

static void overflow_on_thread(void *unused)
{
    struct deep d = {.fn = recurse_fiber, .opts = {.name = "other"}};
    (void)unused;
    on_thread(run_deep, &d);
}

TEST_PLAIN(a_run_on_another_thread_overflows_with_a_report)
{
    check_dies_of_overflow(overflow_on_thread, "\"other\"", "64 KiB");
}

static int another_run_comes_and_goes(void *arg)
{
    struct deep harmless = {.fn = nothing};
    on_thread(run_deep, &harmless);
    return spawn_deep(arg);
}

static void overflow_after_another_run(void *unused)
{
    struct deep d = {.fn = recurse_fiber, .opts = {.name = "stays"}};
    (void)unused;
    (void)!weft_run(another_run_comes_and_goes, &d, NULL);
}

TEST_PLAIN(a_run_that_ends_does_not_take_the_report_from_another)
{
    check_dies_of_overflow(overflow_after_another_run, "\"stays\"", "64 KiB");
}

static void overflow_in_a_second_run(void *unused)
{
    struct deep d = {.fn = recurse_fiber, .opts = {.name = "second"}};
    (void)unused;
    CHECK_EQ(weft_run(nothing, NULL, NULL), 0);
    (void)!weft_run(spawn_deep, &d, NULL);
}

TEST_PLAIN(the_second_run_of_a_thread_overflows_with_a_report)
{
    check_dies_of_overflow(overflow_in_a_second_run, "\"second\"", "64 KiB");
}

/* ---- what was there before ---------------------------------------------- */

static void my_handler(int signo)
{
    static const char words[] = "my handler\n";
    (void)signo;
    (void)!write(2, words, sizeof words - 1);
    _exit(42);
}

static void my_informed_handler(int signo, siginfo_t *info, void *context)
{
    (void)context;
    if (info && info->si_signo == signo) my_handler(signo);
}

static void overflow_with(struct sigaction act)
{
    CHECK_EQ(sigaction(SIGSEGV, &act, NULL), 0);
    CHECK_EQ(sigaction(SIGBUS, &act, NULL), 0);
    overflow_child(NULL);
}

static void overflow_with_handler(void *unused)
{
    (void)unused;
    overflow_with((struct sigaction){.sa_handler = my_handler});
}

static void overflow_with_informed_handler(void *unused)
{
    struct sigaction act = {.sa_flags = SA_SIGINFO};
    (void)unused;
    act.sa_sigaction = my_informed_handler;
    overflow_with(act);
}

static void check_chained(void (*body)(void *))
{
    if (a_tool_is_watching()) SKIP("the tool takes the fault for itself");
    run_in_process(body, NULL, &end);
    CHECK_EQ(end.status, 42);
    const char *report = strstr(end.said, "stack overflow");
    const char *mine = strstr(end.said, "my handler");
    CHECK(report && mine && report < mine);
}

TEST_PLAIN(a_handler_from_before_gets_its_turn_after_the_report)
{
    check_chained(overflow_with_handler);
}

TEST_PLAIN(a_handler_with_siginfo_from_before_gets_its_turn_too)
{
    check_chained(overflow_with_informed_handler);
}

static int check_handled_inside(void *unused)
{
    struct sigaction now;
    stack_t alternate;
    (void)unused;
    CHECK_EQ(sigaction(SIGSEGV, NULL, &now), 0);
    CHECK(now.sa_flags & SA_ONSTACK);
    CHECK_EQ(sigaltstack(NULL, &alternate), 0);
    CHECK(!(alternate.ss_flags & SS_DISABLE));
    return 0;
}

TEST_PLAIN(the_handlers_of_before_are_back_after_the_run)
{
    struct sigaction mine = {.sa_handler = my_handler, .sa_flags = SA_RESTART};
    struct sigaction now;
    stack_t before, after;
    CHECK_EQ(sigaction(SIGSEGV, &mine, NULL), 0);
    CHECK_EQ(sigaction(SIGBUS, &mine, NULL), 0);
    CHECK_EQ(sigaltstack(NULL, &before), 0);
    CHECK_EQ(weft_run(check_handled_inside, NULL, NULL), 0);
    CHECK_EQ(sigaltstack(NULL, &after), 0);
    CHECK_EQ(after.ss_flags, before.ss_flags);
    if (!(before.ss_flags & SS_DISABLE)) CHECK_PTR(after.ss_sp, before.ss_sp);
    CHECK_EQ(sigaction(SIGSEGV, NULL, &now), 0);
    CHECK(now.sa_handler == my_handler);
    CHECK_EQ(now.sa_flags & SA_RESTART, SA_RESTART);
    CHECK_EQ(sigaction(SIGBUS, NULL, &now), 0);
    CHECK(now.sa_handler == my_handler);
}

static int check_left_alone_inside(void *unused)
{
    struct sigaction now;
    (void)unused;
    CHECK_EQ(sigaction(SIGSEGV, NULL, &now), 0);
    CHECK(now.sa_handler == my_handler);
    return 0;
}

TEST_PLAIN(no_crash_report_leaves_the_handlers_alone)
{
    const weft_run_opts o = {.no_crash_report = true};
    struct sigaction mine = {.sa_handler = my_handler};
    CHECK_EQ(sigaction(SIGSEGV, &mine, NULL), 0);
    CHECK_EQ(weft_run(check_left_alone_inside, NULL, &o), 0);
}

/* ---- other faults ------------------------------------------------------- */

static volatile char *volatile nowhere;

__attribute__((no_sanitize("undefined"))) static int write_nowhere(void *unused)
{
    (void)unused;
    *nowhere = 1;
    return 0;
}

static void fault_in_a_fiber(void *unused)
{
    struct deep d = {.fn = write_nowhere, .opts = {.name = "wild"}};
    (void)unused;
    (void)!weft_run(spawn_deep, &d, NULL);
}

TEST_PLAIN(a_null_pointer_in_a_fiber_is_not_called_an_overflow)
{
    if (a_tool_is_watching()) SKIP("the tool takes the fault for itself");
    run_in_process(fault_in_a_fiber, NULL, &end);
    CHECK_EQ(end.signal, SIGSEGV);
    CHECK(strstr(end.said, "overflow") == NULL);
}
