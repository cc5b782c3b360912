/* SPDX-License-Identifier: MIT */
/*
 * weft/retry.h (sync) - again, after a while, and not for ever.
 *
 *     weft_retry_opts o = {.attempts = 4, .base = WEFT_MSEC(100)};
 *     int err = weft_retry(fetch, &request, &o);
 *
 * Waits double from one attempt to the next, up to a cap, and are drawn at
 * random below that (full jitter), so that clients that failed together do not
 * come back together. Never sleeps until the deadline of a scope: when the next
 * wait would end there or later, the last failure is returned at once, and so
 * it is when the wait would never end. A cancellation is never tried again. Not
 * every failure is worth it: see `when`.
 *
 * What is returned is the real last failure, and weft_last_error() is its
 * record, whatever `when` and `before_wait` have failed at themselves. They may
 * ask for it too.
 *
 * After: M. Brooker, Exponential Backoff And Jitter, AWS Architecture Blog,
 * 2015.
 */
#ifndef WEFT_RETRY_H
#define WEFT_RETRY_H

#include <weft/base.h>
#include <weft/error.h>

WEFT_BEGIN_DECLS

typedef struct weft_retry_opts {
    unsigned attempts; /* in all; 0: three */
    weft_time base;    /* the first wait at most; 0: 100 ms, less: none */
    weft_time cap;     /* any wait at most; 0: 10 s, less: none */
    double factor;     /* from one wait to the next; not above 0: 2 */
    bool no_jitter;    /* wait exactly so long */
    uint64_t seed;     /* of the jitter; 0: different each time, save on the
                          virtual clock, where the run's order says it */
    /* Is this failure worth another attempt? `attempt` counts from 1; `e` is
     * the record of the failure, or NULL. NULL: if it is one of connecting or
     * of time, see weft_retry_transient. Not asked after the last attempt. */
    bool (*when)(int code, const weft_error *e, unsigned attempt, void *user);
    /* Told before each wait; NULL: nobody. */
    void (*before_wait)(int code, unsigned attempt, weft_time wait, void *user);
    void *user;
} weft_retry_opts;

/**
 * Calls fn(arg), in this fiber, until it succeeds (0 or more) or must not be
 * tried again. `o` may be NULL.
 *
 * Parks. Returns what the last call returned; -ECANCELED, when a wait was
 * cancelled, or was to begin in a cancelled scope.
 */
WEFT_PARKS int weft_retry(weft_fn fn, void *arg, const weft_retry_opts *o);

/**
 * For fn or `when`: the other side has asked to wait for so long (Retry-After:
 * RFC 9110, 10.2.3).
 * The wait that follows is at least that, even above the cap; what was drawn
 * comes on top, for others have been asked the same. It speaks to the innermost
 * weft_retry of the running fiber, and for this attempt; elsewhere it has no
 * effect. WEFT_FOREVER: do not come back.
 */
WEFT_API void weft_retry_after(weft_time ns);

/** -ECONNREFUSED, -ECONNRESET, -ECONNABORTED, -EPIPE, -EHOSTUNREACH,
 *  -ENETUNREACH, -ENETDOWN, -ETIMEDOUT, -EAGAIN, -EINTR. */
WEFT_API bool weft_retry_transient(int code);

WEFT_END_DECLS

#endif
