/* SPDX-License-Identifier: MIT */
/*
 * weft/timed.h (sync) - how long operations take, and what of that they run.
 *
 *     static weft_timing orders = WEFT_TIMING_INIT("process_order");
 *
 *     int rc = 0;                                 in each of a thousand fibers
 *     WEFT_TIMED_RC(&orders, rc) {
 *         rc = process(order);
 *     }
 *
 *     weft_timing_stats s;                        now and then
 *     weft_timing_read(&orders, &s);
 *     report(orders.name, s.count, s.p50, s.p99, s.running);
 *
 * What has elapsed between the begin and the end of an operation is either
 * running: its fiber had the thread; or waiting: all the rest, be it parked,
 * or ready and in line for the thread. Fibers that it starts run by themselves,
 * and it waits for them. An operation that runs for long holds up all others
 * of its thread; one that waits for long holds up nobody.
 *
 * The clock is the monotonic one, and is read, rather than the turn's used, at
 * both ends and whenever a fiber that is inside such an operation leaves the
 * thread and comes back. On the virtual clock nothing takes time but waiting.
 *
 * A timing belongs to its thread, where any number of fibers may be inside at
 * once. In one fiber operations nest like brackets, those of one timing too; an
 * inner one is part of the outer one. One that is open when the function of
 * its fiber returns ends the program with a sentence, as a scope does.
 *
 * After: the histogram is of the log-linear kind (G. Tene, HdrHistogram).
 */
#ifndef WEFT_TIMED_H
#define WEFT_TIMED_H

#include <weft/base.h>
#include <weft/scope.h>
#include <weft/task.h>

WEFT_BEGIN_DECLS

/** One operation that has ended. */
typedef struct weft_timed_sample {
    weft_time began; /* the moment */
    weft_time elapsed, running, waiting;
    int rc;           /* what it ended with, or 0 */
    const char *file; /* where it was begun */
    int line;
} weft_timed_sample;

/* Sixteen counters for each power of two that a weft_time can have. */
enum { WEFT_TIMING_SLOTS_ = 16 * 60 };

/**
 * What is known of all operations of a name, in 8 KiB and no more. The caller
 * owns the memory. Zeroed is initialised, and has no name.
 *
 * `log` (or NULL) is called at the end of each operation that took at least
 * `slow`, in its fiber, when it has been counted. It must not park.
 */
typedef struct weft_timing {
    const char *name;
    weft_time slow; /* 0: each */
    void (*log)(const struct weft_timing *t, const weft_timed_sample *s,
                void *user);
    void *user;
    uint64_t count_, failed_;
    weft_time min_, max_, elapsed_, running_;
    uint64_t slots_[WEFT_TIMING_SLOTS_];
} weft_timing;

#define WEFT_TIMING_INIT(name)                                                 \
    {(name), 0, NULL, NULL, 0, 0, 0, 0, 0, 0, {0}}

/** Of all since the last reset; all 0 if there were none. `pNN`: so much was
 *  enough for NN of a hundred (p999: of a thousand, 999), to one part in 32. */
typedef struct weft_timing_stats {
    uint64_t count;
    uint64_t failed; /* of those, the ones that ended below 0 */
    weft_time min, max, mean;
    weft_time p50, p90, p99, p999;
    weft_time running, waiting; /* the sums; they stay at the largest number */
} weft_timing_stats;

WEFT_API void weft_timing_read(const weft_timing *t,
                               weft_timing_stats *ret_stats);

/** Forgets what there was; name and log stay. Operations that are open are
 *  counted when they end, from when they began. */
WEFT_API void weft_timing_reset(weft_timing *t);

/** An operation: on the stack, filled in by begin. Members are private. */
typedef struct weft_timed {
    struct weft_attached_ attached_;
    weft_timing *timing_;
    weft_time began_, away_;
    const char *file_;
    int line_;
} weft_timed;

/** Begins an operation of *t. Returns 0; -EBUSY (*op is open) or -EPERM (no
 *  fiber), and there is nothing to end. */
#define weft_timed_begin(op, t) weft_timed_begin_((op), (t), __FILE__, __LINE__)
WEFT_API int weft_timed_begin_(weft_timed *op, weft_timing *t, const char *file,
                               int line);

/**
 * Ends *op, which must be the innermost open one of this fiber, and counts it.
 * Below 0 it has failed; one that was cancelled, and returns so, too. Never
 * parks.
 *
 * Returns rc; -EBUSY, and nothing happens, if *op is not the innermost.
 */
WEFT_API int weft_timed_end(weft_timed *op, int rc);

/**
 * Runs the block as an operation of *t, which ends however the block is left:
 * by the closing brace, break, continue, return or goto. With an int variable
 * `rc` it ends with what that holds then. Outside a fiber the block runs, and
 * is not counted.
 */
#define WEFT_TIMED(t)        WEFT_TIMED_AT_(t, NULL, __LINE__)
#define WEFT_TIMED_RC(t, rc) WEFT_TIMED_AT_(t, &(rc), __LINE__)

typedef struct weft_timed_block_ {
    weft_timed op_;
    const int *rc_;
    int open_;
} weft_timed_block_;
WEFT_API weft_timed_block_ *weft_timed_enter_(weft_timed_block_ *b,
                                              weft_timing *t, const int *rc,
                                              const char *file, int line);
WEFT_API void weft_timed_leave_(weft_timed_block_ *b);

#define WEFT_TIMED_AT_(t, rc, line)                                            \
    for (weft_timed_block_ WEFT_PASTE_(weft_timed_, line)                      \
             __attribute__((cleanup(weft_timed_leave_))),                      \
         *WEFT_PASTE_(weft_in_, line) = weft_timed_enter_(                     \
             &WEFT_PASTE_(weft_timed_, line), (t), (rc), __FILE__, __LINE__);  \
         WEFT_PASTE_(weft_in_, line); WEFT_PASTE_(weft_in_, line) = NULL)

WEFT_END_DECLS

#endif
