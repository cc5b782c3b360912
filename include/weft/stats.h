/* SPDX-License-Identifier: MIT */
/*
 * weft/stats.h (runtime) - counting what happens.
 *
 *     weft_stats before, after;
 *     weft_stats_read(&before);
 *     rc = work();
 *     weft_stats_read(&after);
 *     printf("%llu switches\n",
 *            (unsigned long long)(after.switches - before.switches));
 */
#ifndef WEFT_STATS_H
#define WEFT_STATS_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/** Counters of this thread's scheduler, all since it was started. */
typedef struct weft_stats {
    uint64_t fibers;         /* alive now */
    uint64_t spawned;
    uint64_t switches;       /* a fiber was resumed or started */
    uint64_t turns;          /* the reactor was asked */
    uint64_t polls;          /* ... by a system call */
    uint64_t registrations;  /* calls that told the poller of a descriptor */
    uint64_t stacks;         /* mapped, of all sizes */
    uint64_t stacks_free;    /* of those, waiting in the pool */
    uint64_t unguarded;      /* stacks the kernel refused a guard for */
    uint64_t accept_starved; /* times accept ran out of descriptors */
    uint64_t messages;       /* from other threads, taken in */
    uint64_t wakeups;        /* system calls of theirs to end a sleep of ours */
} weft_stats;

WEFT_API void weft_stats_read(weft_stats *ret_stats);

/** Adds each counter of `more` to that of *sum: for all workers together
 *  (weft/workers.h). */
WEFT_API void weft_stats_add(weft_stats *sum, const weft_stats *more);

WEFT_END_DECLS

#endif
