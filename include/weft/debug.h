/* SPDX-License-Identifier: MIT */
/*
 * weft/debug.h (runtime) - seeing what happens.
 *
 *     weft_dump(2);
 *
 *     weft: 3 fibers, 1 ready
 *       fiber 1 "main" parked 2.4 s in nursery 0x7ffd.. (spawned server.c:40)
 *       fiber 7 "conn" parked 0.1 s in read fd 9 (spawned server.c:52)
 *       fiber 8 "conn" running (spawned server.c:52)
 */
#ifndef WEFT_DEBUG_H
#define WEFT_DEBUG_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/**
 * Writes a line for each fiber of this thread's scheduler to `fd`: first those
 * that wait for each other in a circle, which nothing will end.
 */
WEFT_API void weft_dump(int fd);

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
} weft_stats;

WEFT_API void weft_stats_read(weft_stats *ret_stats);

WEFT_END_DECLS

#endif
