/* SPDX-License-Identifier: MIT */
/*
 * weft/sem.h (sync) - a counting semaphore.
 *
 * A semaphore holds permits. Use one to bound how many fibers do a thing at
 * once: connections to a host, requests in flight, open files.
 *
 *     weft_sem slots;
 *     weft_sem_init(&slots, 8, 8);
 *
 *     int err = weft_sem_acquire(&slots, 1);     each of a thousand fibers
 *     if (err < 0) return err;
 *     err = fetch(url);
 *     weft_sem_release(&slots, 1);
 *
 * Permits are given in the order they were asked for. A waiter for many is
 * not passed by later ones for few, and a released permit goes straight to the
 * oldest waiter, so that nobody starves. The caller owns the memory.
 *
 * After: Dijkstra, Cooperating Sequential Processes (EWD 123), 1965.
 */
#ifndef WEFT_SEM_H
#define WEFT_SEM_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_sem {
    uint32_t permits_, max_;
    weft_waitq_ waiters_;
} weft_sem;

#define WEFT_SEM_INIT(value, max)                                              \
    {(max) == 0 || (value) < (max) ? (value) : (max), (max), {0, 0}}

/** *s gets `value` free permits, but never more than `max`; 0: no bound. Nobody
 *  may wait. */
WEFT_API void weft_sem_init(weft_sem *s, uint32_t value, uint32_t max);

/**
 * Takes n permits, all at once; none is had at once unless somebody waits. On
 * an error none was taken and none is owed.
 *
 * Parks. Returns 0, -ECANCELED, or -EINVAL (n can never be had: above max).
 */
WEFT_PARKS int weft_sem_acquire(weft_sem *s, uint32_t n);

/** Takes n permits if they are free and nobody waits: 0, -EAGAIN, -EINVAL. */
WEFT_MUST int weft_sem_try(weft_sem *s, uint32_t n);

/** Gives n permits back. 0; -EOVERFLOW, and nothing changes, if the free ones
 *  and these together are above max (without one: UINT32_MAX), even if somebody
 *  waits for them. Any fiber may, whoever took them. */
WEFT_API int weft_sem_release(weft_sem *s, uint32_t n);

/** Free permits. */
WEFT_API uint32_t weft_sem_value(const weft_sem *s);

WEFT_END_DECLS

#endif
