/* SPDX-License-Identifier: MIT */
/*
 * test_sanitizers.c - faults planted in fibers, which the tool that watches
 * this build has to find. Each in a process of its own, which it ends.
 */
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/run.h>

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "process.h"
#include "runtime/annotate.h"

#if defined(WF_ASAN) || defined(WF_MSAN) || defined(WEFT_UBSAN) ||             \
    (defined(WF_VALGRIND) && defined(WEFT_VALGRIND))

static volatile int sink;

static void runs(void *fn)
{
    (void)!weft_run(*(weft_fn *)fn, NULL, NULL);
}

static __attribute__((unused)) void expect_found(weft_fn fn, const char *words)
{
    static struct ending e;
#if defined(WEFT_VALGRIND)
    if (!wf_under_valgrind()) SKIP("Valgrind does not watch");
#endif
    run_in_process(runs, &fn, &e);
    CHECK(e.status != 0);
    if (!strstr(e.said, words)) CHECK_STR(e.said, words);
}

/* ---- on the stack of a fiber that has ended ----------------------------- */

static volatile uintptr_t left; /* a place there */

static int what_is_left(void)
{
    return *(volatile int *)left;
}

static __attribute__((noinline)) int leaves(void *unused)
{
    volatile int frame[64];
    (void)unused;
    for (int i = 0; i < 64; i++)
        frame[i] = i;
    left = (uintptr_t)(frame + 32);
    return 0;
}

static int branches_on_what_is_left(void *unused)
{
    (void)unused;
    if (what_is_left() == 32) sink++;
    return 0;
}

static __attribute__((unused)) int reads_what_another_fiber_left(void *unused)
{
    int rc;
    (void)unused;
    WEFT_NURSERY(n, rc)
        rc = weft_spawn(&n, leaves, NULL);
    if (rc < 0) return rc;
    WEFT_NURSERY(n, rc)
        rc = weft_spawn(&n, branches_on_what_is_left, NULL);
    return rc;
}

/* ---- uninitialised values ----------------------------------------------- */

#if defined(WF_MSAN)
#define UNINITIALISED "use-of-uninitialized-value"
#elif defined(WF_VALGRIND) && defined(WEFT_VALGRIND)
#define UNINITIALISED "" /* Valgrind writes elsewhere, and sets the status */
#endif

#ifdef UNINITIALISED
static __attribute__((noinline)) void fill_in_part(volatile int *pair)
{
    pair[0] = 1;
}

static int branches_on_half_a_pair(void *unused)
{
    volatile int pair[2];
    (void)unused;
    fill_in_part(pair);
    int err = weft_yield();
    if (pair[1] == 1) sink++;
    return err;
}

static int does_so_in_a_child(void *unused)
{
    int rc;
    (void)unused;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, leaves, NULL);
        if (rc == 0) rc = weft_spawn(&n, branches_on_half_a_pair, NULL);
    }
    return rc;
}

TEST_PLAIN(a_value_never_set_is_found_in_a_fiber)
{
    expect_found(branches_on_half_a_pair, UNINITIALISED);
    expect_found(does_so_in_a_child, UNINITIALISED);
}

TEST_PLAIN(what_the_last_fiber_left_on_the_stack_is_no_value)
{
    expect_found(reads_what_another_fiber_left, UNINITIALISED);
}
#endif

/* ---- addresses ---------------------------------------------------------- */

#ifdef WF_ASAN
static int uses_what_is_free(void *unused)
{
    volatile char *volatile p = malloc(40);
    (void)unused;
    free((void *)(uintptr_t)p);
    int err = weft_yield();
    sink = p[3];
    return err;
}

static int writes_past_its_array(void *unused)
{
    volatile char frame[16];
    volatile char *volatile end = frame + sizeof frame;
    (void)unused;
    int err = weft_yield();
    *end = 1;
    return err;
}

static int uses_a_frame_that_is_gone(void *unused)
{
    int err = leaves(unused);
    if (err == 0) err = weft_yield();
    sink = what_is_left();
    return err;
}

static __attribute__((noinline)) int recurses(int depth)
{
    volatile char frame[256];
    frame[0] = (char)depth;
    if (depth == INT_MAX) return 0;
    return recurses(depth + 1) + frame[0];
}

static int recurses_in_a_fiber(void *unused)
{
    (void)unused;
    return recurses(0);
}

static bool has_fake_stacks(void)
{
    const char *options = getenv("ASAN_OPTIONS");
    return options && strstr(options, "detect_stack_use_after_return=1");
}

TEST_PLAIN(a_use_after_free_is_found_in_a_fiber)
{
    expect_found(uses_what_is_free, "heap-use-after-free");
}

TEST_PLAIN(a_write_past_an_array_on_a_fibers_stack_is_found)
{
    expect_found(writes_past_its_array, "stack-buffer-overflow");
}

TEST_PLAIN(a_use_of_a_frame_that_has_returned_is_found_in_a_fiber)
{
    if (!has_fake_stacks()) SKIP("detect_stack_use_after_return is off");
    expect_found(uses_a_frame_that_is_gone, "stack-use-after-return");
}

TEST_PLAIN(a_stack_overflow_is_found_in_a_fiber)
{
    expect_found(recurses_in_a_fiber, "overflow");
}
#endif

/* ---- undefined behaviour ------------------------------------------------ */

#if defined(WF_ASAN) || defined(WEFT_UBSAN)
static int adds_too_much(void *unused)
{
    volatile int most = INT_MAX;
    (void)unused;
    int err = weft_yield();
    sink = most + 1;
    return err;
}

TEST_PLAIN(an_overflow_of_an_int_is_found_in_a_fiber)
{
    expect_found(adds_too_much, "signed integer overflow");
}
#endif

#endif
