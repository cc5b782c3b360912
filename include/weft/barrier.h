/* SPDX-License-Identifier: MIT */
/*
 * weft/barrier.h (sync) - nobody goes on before all are there.
 *
 *     weft_barrier b;
 *     weft_barrier_init(&b, 3);
 *
 *     int place = weft_barrier_wait(&b);          each of three fibers
 *     if (place < 0) return place;
 *     if (place == 2) start_next_round();         one of them, the last
 *
 * When the last has come all go on, and it can be used again at once. Who is
 * cancelled while waiting was not there; the others wait on, for another one.
 * Zeroed it is for one. The caller owns the memory.
 */
#ifndef WEFT_BARRIER_H
#define WEFT_BARRIER_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_barrier {
    uint32_t parties_, count_;
    weft_waitq_ waiters_;
} weft_barrier;

#define WEFT_BARRIER_INIT(parties) {(parties), 0, {0, 0}}

/** *b is for so many; 0 counts as 1. Nobody may wait. */
WEFT_API void weft_barrier_init(weft_barrier *b, uint32_t parties);

/**
 * Waits for the others. The last one to come does not wait.
 *
 * Parks. Returns the place in the order of arrival, 0 to parties - 1, of those
 * who were there in the end; -ECANCELED; -EPIPE: it was reset meanwhile.
 */
WEFT_PARKS int weft_barrier_wait(weft_barrier *b);

/** All who wait get -EPIPE; those who come from now on begin anew. */
WEFT_API void weft_barrier_reset(weft_barrier *b);

/** How many wait now. */
WEFT_API uint32_t weft_barrier_waiting(const weft_barrier *b);

WEFT_END_DECLS

#endif
