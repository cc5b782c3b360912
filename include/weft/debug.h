/* SPDX-License-Identifier: MIT */
/*
 * weft/debug.h (sync) - seeing who waits for whom.
 *
 *     weft_dump(2);
 *
 *     weft: 4 fibers, 1 ready
 *       fiber 1 "main" parked 2.400 s in nursery to close 0x7ffd.. at srv.c:40
 *         nursery "conns" at srv.c:40, 2 children, supervise, limit 64, closing
 *           fiber 7 "conn" parked 0.100 s in read fd 9 (spawned srv.c:52)
 *             scope at srv.c:61, 29.900 s left
 *           fiber 8 "conn" running (spawned srv.c:52)
 *             nursery at db.c:8, 1 child, cancelled 0.010 s ago: a child failed
 *               fiber 9 "query" ready, cancelled (spawned db.c:12)
 *
 * Scopes are shown that have a deadline or a shield, or have been cancelled.
 */
#ifndef WEFT_DEBUG_H
#define WEFT_DEBUG_H

#include <weft/base.h>
#include <weft/stats.h>

WEFT_BEGIN_DECLS

/**
 * Writes what the fibers of this thread's scheduler do to `fd`. First come
 * those that wait for each other in a circle, which none of them can end: for
 * a mutex that another one holds, or in the close of a nursery for a child.
 * Then come all, each under its nursery, the oldest first; one of a circle is
 * only named there. May be called from anywhere in the thread, also outside a
 * fiber; allocates nothing, in a run of one worker.
 *
 * Of a run of several (weft/workers.h) this is the caller's worker. The others
 * write theirs to a copy of `fd`, one after the other, each when it next takes
 * its messages: one that computes is late, and when the run is over none does.
 */
WEFT_API void weft_dump(int fd);

WEFT_END_DECLS

#endif
