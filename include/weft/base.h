/* SPDX-License-Identifier: MIT */
/*
 * weft/base.h (runtime) - the words that every other header uses.
 *
 * Results. A call returns 0 or a count, else a negative errno code; calls that
 * hand out items return 1 for an item and 0 at the end. weft never reports
 * through errno, and a fiber's errno is its own: it is the same after a park
 * as before. The codes with a meaning of weft's own:
 *
 *     -ECANCELED   a scope around the caller is cancelled; it did not happen
 *     -ETIMEDOUT   a fail-scope expired (weft_scope_end says so)
 *     -EPERM       called from outside a fiber, or by one that may not
 *     -EBADF       the descriptor was closed, even if its number lives on
 *     -EBUSY       misnested, or somebody else is already at it
 *     -EPIPE       the other side is closed
 *     -ESHUTDOWN   closed to new work
 *     -EDEADLK     it would wait for itself
 *     -EOWNERDEAD  the holder ended without letting go
 *
 * Cancel points. A call marked WEFT_PARKS may suspend the fiber, and unless
 * its text says otherwise it is a cancel point: while a scope around the
 * caller is cancelled it fails with -ECANCELED before it does anything; and
 * outside a fiber, with -EPERM, which is not said again at each call. A call
 * without the mark never suspends and never fails with -ECANCELED; if it acts
 * for the running fiber (tries a lock, or repairs one), its text says what it
 * returns when there is none.
 *
 * Threads. A fiber stays on its thread, and what fibers share belongs to that
 * thread: all calls are made there, where nothing else is said.
 *
 * C++. All headers can be included from C++11 on, and their macros used, save
 * where another form is told. Where C has (weft_run_opts){.workers = 2}, C++
 * has a zeroed variable whose members are set. See weft/fiber.h for exceptions.
 */
#ifndef WEFT_BASE_H
#define WEFT_BASE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define WEFT_BEGIN_DECLS extern "C" {
#define WEFT_END_DECLS   }
#else
#define WEFT_BEGIN_DECLS
#define WEFT_END_DECLS
#endif

#define WEFT_API   __attribute__((visibility("default")))
#define WEFT_MUST  WEFT_API __attribute__((warn_unused_result))
#define WEFT_PARKS WEFT_MUST

#define WEFT_VERSION "0.1.0"

WEFT_BEGIN_DECLS

/** Nanoseconds: a duration, or a moment of the monotonic clock. */
typedef int64_t weft_time;

/** The only "no limit". Negative durations and past moments have expired. */
#define WEFT_FOREVER INT64_MAX

#define WEFT_USEC(x) ((weft_time)(x) * 1000)
#define WEFT_MSEC(x) ((weft_time)(x) * 1000000)
#define WEFT_SEC(x)  ((weft_time)(x) * 1000000000)

/** What a fiber runs. A negative result is a failure. */
typedef int (*weft_fn)(void *arg);

/** A fiber's control block; opaque. */
typedef struct weft_fiber weft_fiber;

/* The running fiber of this thread, and how many more cancel points it may
 * pass without giving way. Cancellation sets the credit to nothing, so that
 * one decrement-and-branch asks both questions. */
struct weft_here_ {
    int32_t credit_;
    uint32_t run_; /* its number: each has another; 0: there is none */
    weft_fiber *fiber_;
};
extern WEFT_API __thread struct weft_here_ weft_here_
    __attribute__((tls_model("initial-exec")));

/* The rare half of a cancel point: cancelled, out of credit, or no fiber. */
WEFT_API int weft_pass_slow_(void);

static inline int weft_pass_(void)
{
    if (__builtin_expect(--weft_here_.credit_ < 0, 0)) return weft_pass_slow_();
    return 0;
}

/* Fibers in line for something, oldest first. Each waits in one place, with
 * its own node, so that queueing allocates nothing. */
struct weft_waiter_ {
    struct weft_waiter_ *next_, *prev_;
    weft_fiber *fiber_;
    void *item_;
    uint32_t n_;
    uint32_t run_; /* that fiber_ is of */
};

typedef struct weft_waitq_ {
    struct weft_waiter_ *head_, *tail_;
} weft_waitq_;

WEFT_END_DECLS

#endif
