/* SPDX-License-Identifier: MIT */
/*
 * weft/mutex.h (sync) - one fiber at a time.
 *
 *     static weft_mutex m = WEFT_MUTEX_INIT;
 *     int rc;
 *     WEFT_LOCKED(&m, rc) {
 *         rc = update(&table);
 *     }
 *
 * Between two cancel points a fiber is alone on its thread anyway; a mutex is
 * for a section that waits in the middle. It knows its owner, does not nest,
 * and passes straight to the oldest waiter when it is unlocked. If its owner
 * ends while holding it, waiters and later lockers get -EOWNERDEAD; debug
 * builds name it.
 *
 * Taking it is a cancel point: test the result. Zeroed is initialised; the
 * caller owns the memory, which must outlast its being held.
 */
#ifndef WEFT_MUTEX_H
#define WEFT_MUTEX_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_mutex {
    weft_fiber *owner_;
    struct weft_mutex *held_; /* the owner's next held mutex */
    weft_waitq_ waiters_;
} weft_mutex;

#define WEFT_MUTEX_INIT {0, 0, {0, 0}}

/**
 * Takes *m, waiting for it. On any error it is not held.
 *
 * Parks. Returns 0, -ECANCELED, -EDEADLK (held by the caller), -EOWNERDEAD.
 */
WEFT_PARKS int weft_mutex_lock(weft_mutex *m);

/** The same for clean-up: parks, but is no cancel point. */
WEFT_PARKS int weft_mutex_lock_nc(weft_mutex *m);

/** Takes *m if nobody has it or waits: 0, -EBUSY, -EDEADLK, -EOWNERDEAD; -EPERM
 *  outside a fiber. */
WEFT_MUST int weft_mutex_trylock(weft_mutex *m);

/** Passes *m on. Returns 0, or -EPERM if the caller does not hold it. */
WEFT_API int weft_mutex_unlock(weft_mutex *m);

/** Takes over a mutex whose owner ended: the caller holds it now. 0; -EINVAL
 *  if that is not so; -EPERM outside a fiber. */
WEFT_API int weft_mutex_repair(weft_mutex *m);

/**
 * Runs the block with *m held, and unlocks it however the block is left. If
 * the lock was not taken the block is skipped and rc says why.
 */
#define WEFT_LOCKED(m, rc) WEFT_LOCKED_AT_(m, rc, __LINE__)
#define WEFT_LOCKED_AT_(m, rc, line)                                           \
    for (weft_mutex *WEFT_LOCKED_NAME_(line)                                   \
             __attribute__((cleanup(weft_locked_leave_))) =                    \
                 weft_locked_enter_((m), &(rc));                               \
         WEFT_LOCKED_NAME_(line);                                              \
         WEFT_LOCKED_NAME_(line) =                                             \
             weft_locked_exit_(WEFT_LOCKED_NAME_(line)))
#define WEFT_LOCKED_NAME_(line)  WEFT_LOCKED_NAME2_(line)
#define WEFT_LOCKED_NAME2_(line) weft_locked_##line
WEFT_API weft_mutex *weft_locked_enter_(weft_mutex *m, int *rc);
WEFT_API weft_mutex *weft_locked_exit_(weft_mutex *m);
WEFT_API void weft_locked_leave_(weft_mutex **held);

WEFT_END_DECLS

#endif
