/* SPDX-License-Identifier: MIT */
/*
 * weft/cond.h (sync) - waiting for something to become true, under a mutex.
 *
 *     int err = weft_mutex_lock(&m);
 *     if (err < 0) return err;
 *     while (table.full && err == 0)
 *         err = weft_cond_wait(&room, &m);
 *     if (err == 0) insert(&table, entry);
 *     weft_mutex_unlock(&m);                      held, also if cancelled
 *
 *     table.full = false;                         elsewhere, with m held
 *     weft_cond_notify(&room, &m, 1);
 *
 * A wait gives the mutex up and has it again when it returns, also when it was
 * cancelled: then it waits for the mutex first, as in weft_mutex_lock_nc. A
 * notification moves waiters, the oldest first, into the queue of the mutex, so
 * they run one after the other as it is handed on; from then on a cancellation
 * does not take the notification away. Nobody is woken without one, but others
 * may have held the mutex since, so look again at what you wait for.
 *
 * If the holder of the mutex ends, those who are in its queue get -EOWNERDEAD;
 * those who have not been notified wait on, for a notification by whoever
 * repairs it. Zeroed is initialised. The caller owns the memory.
 *
 * After: Lampson and Redell, Experience with Processes and Monitors in Mesa,
 * CACM 23 (2), 1980.
 */
#ifndef WEFT_COND_H
#define WEFT_COND_H

#include <weft/base.h>
#include <weft/mutex.h>

WEFT_BEGIN_DECLS

typedef struct weft_cond {
    weft_waitq_ waiters_;
} weft_cond;

#define WEFT_COND_INIT {{0, 0}}

/**
 * Gives up *m, which the caller holds, waits for a notification, and takes *m
 * again, which cannot be cancelled.
 *
 * Parks. Returns 0; -ECANCELED: not notified (in a scope that was cancelled
 * before, *m was not given up at all); -EPERM: the caller does not hold *m, be
 * it cancelled or not; -EINVAL: others wait for *c with another mutex;
 * -EOWNERDEAD: the holder of *m ended. *m is held again in all cases but -EPERM
 * and -EOWNERDEAD.
 */
WEFT_PARKS int weft_cond_wait(weft_cond *c, weft_mutex *m);

/**
 * Notifies the n oldest waiters, or all if there are fewer (SIZE_MAX: all). The
 * caller holds *m, the mutex that they wait with, and it is his until he
 * unlocks it. A waiter that was cancelled is none any more, and not counted.
 * Never parks.
 *
 * Returns 0, or -EPERM: the caller does not hold that mutex.
 */
WEFT_API int weft_cond_notify(weft_cond *c, weft_mutex *m, size_t n);

WEFT_END_DECLS

#endif
