/* SPDX-License-Identifier: MIT */
/*
 * weft/testing.h (sync) - testing a program of fibers: all its time-outs in no
 * time, in many orders, and nothing left behind.
 *
 *     static int gives_up_after_30_s(void *arg)
 *     {
 *         WEFT_EXPECT(fetch(silent_server) == -ETIMEDOUT);
 *         WEFT_EXPECT(weft_now() == start + WEFT_SEC(30));
 *         return 0;
 *     }
 *
 *     int main(void)
 *     {
 *         return weft_test("gives up", gives_up_after_30_s, NULL, NULL) < 0;
 *     }
 *
 * The clock is virtual: when every fiber waits it jumps to the next moment that
 * one waits for. It stands still while any fiber is ready, so wait with a sleep
 * or with weft_test_settle, never with a loop of yields or of settling. Sockets
 * are real, and their readiness comes before any jump.
 *
 * A program whose outcome depends on which of two ready fibers runs first has a
 * bug that its author's machine will not show. So a test is run in several
 * orders, each drawn from one number; a failure names the number, and with that
 * it happens again. What weft promises holds in all of them: locks and channels
 * are handed on in line, and who yields comes after all that were ready before.
 */
#ifndef WEFT_TESTING_H
#define WEFT_TESTING_H

#include <weft/base.h>
#include <weft/error.h>
#include <weft/run.h>

WEFT_BEGIN_DECLS

typedef struct weft_test_opts {
    uint64_t seed;   /* not 0: once only, in the order of this number */
    unsigned orders; /* how many: first come first served, then those of the
                        seeds 1, 2 and so on; 0: twenty */
    bool real_clock;
    const weft_run_opts *run; /* all but seed and clock; NULL: as usual */
} weft_test_opts;

/**
 * Runs fn(arg) in a run of its own for each order, until one fails. Besides a
 * negative result of fn, these are failures: a deadlock, even if it was survived;
 * a descriptor that is open afterwards and was not before; handles, timers or
 * memory of the library left over. What is wrong and how to have it again is
 * written to standard error. fn is called once for each order, so it has to put
 * back what it changes outside of itself. `o` may be NULL.
 *
 * Returns 0 if no order failed, and else the negative result of fn or of
 * weft_run; -EDEADLK; or -ENOTEMPTY: something was left behind.
 */
WEFT_MUST int weft_test(const char *name, weft_fn fn, void *arg,
                        const weft_test_opts *o);

/** Fails the test, from the function that it stands in, unless `cond` holds. */
#define WEFT_EXPECT(cond)                                                      \
    do {                                                                       \
        if (!(cond)) return weft_fail(-EPROTO, "expected: %s", #cond);         \
    } while (0)

/**
 * Waits until every other fiber waits for something that is not there: neither
 * ready, nor about to be by a descriptor or a timer that is due. The clock does
 * not jump meanwhile. Several that settle go on together, in line.
 *
 * Parks. Returns 0, or -ECANCELED.
 */
WEFT_PARKS int weft_test_settle(void);

/** The weft_run_opts.sched_seed of this run: 0 for first come first served. */
WEFT_API uint64_t weft_test_seed(void);

WEFT_END_DECLS

#endif
