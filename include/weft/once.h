/* SPDX-License-Identifier: MIT */
/*
 * weft/once.h (sync) - done by the first who needs it, and only once.
 *
 *     static weft_once opened = WEFT_ONCE_INIT;
 *
 *     int err = weft_once_do(&opened, open_pool, &config);
 *     if (err < 0) return err;
 *
 * The first caller runs the function; others wait for it. When it fails its
 * caller gets the failure, and the next who waits tries again, with its own
 * function and in its own fiber; so it does when the first is cancelled in the
 * middle. Those who wait are served in line. Zeroed is initialised; the caller
 * owns the memory.
 *
 * After: pthread_once(3), whose function cannot fail.
 */
#ifndef WEFT_ONCE_H
#define WEFT_ONCE_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_once {
    int state_;
    weft_fiber *runner_;
    const struct weft_scope *since_; /* the runner's, when it began */
    weft_waitq_ waiters_;
} weft_once;

#define WEFT_ONCE_INIT                                                         \
    {                                                                          \
        0, 0, 0,                                                               \
        {                                                                      \
            0, 0                                                               \
        }                                                                      \
    }

/**
 * Sees to it that fn has succeeded once: calls it, or waits for the fiber that
 * does. A caller whose turn has come calls fn, even if it is cancelled before
 * it runs: then fn fails at its first cancel point, and the next one has it.
 *
 * Parks. Returns 0; if this caller ran fn, its failure; -ECANCELED; -EDEADLK:
 * fn itself asks, or a fiber in a nursery that fn has opened.
 */
WEFT_PARKS int weft_once_do(weft_once *o, weft_fn fn, void *arg);

/** Has it succeeded? */
WEFT_API bool weft_once_done(const weft_once *o);

/** It will be done again by the next who needs it. Returns 0; -EBUSY: it is
 *  being done. */
WEFT_API int weft_once_reset(weft_once *o);

WEFT_END_DECLS

#endif
