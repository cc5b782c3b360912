/* SPDX-License-Identifier: MIT */
/*
 * weft/blocking.h (exec) - functions that would hold up the thread, on others.
 *
 *     static int resolve(void *arg)
 *     {
 *         struct lookup *l = arg;
 *         return getaddrinfo(l->host, l->port, NULL, &l->found) ? -ENOENT : 0;
 *     }
 *
 *     struct lookup l = {.host = host, .port = port};
 *     int err = weft_blocking(resolve, &l);
 *
 * The fiber waits, and the others of its thread go on. What blocks in the
 * kernel or in a library goes to weft_blocking; what computes for milliseconds
 * goes to weft_cpu. Each has a pool of threads of its own, so that a slow disk
 * does not hold up a compression. A call takes some ten microseconds: what is
 * done in less is better done in place.
 *
 * A pool belongs to the process, for so do its disks and cores: all runs share
 * it. Threads are started when there is work for them, end when there was none
 * for a while, and all end with the last run that used them. There are never
 * more than its limit; beyond that calls wait in line, first come first served,
 * each with its fiber, so the line is no longer than there are fibers.
 *
 * The function is on a thread of its own kind: signals do not reach it, no call
 * that parks can be made there (-EPERM), fiber-locals are not seen, and nothing
 * of the run may be touched that other fibers use meanwhile. What it leaves
 * with weft_fail comes back with its result.
 */
#ifndef WEFT_BLOCKING_H
#define WEFT_BLOCKING_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/**
 * Calls fn(arg) on a thread of the pool. It can be cancelled on entry and in
 * line; then fn has not been and will not be called. Once a thread has begun
 * it, the call waits for its end and returns its result, cancelled or not. So
 * `arg` may be on the caller's stack. That every fiber waits is no deadlock, and
 * a virtual clock stands still, for as long as such a call is under way.
 *
 * Parks. Returns what fn returned; -ECANCELED; or, where there is no thread at
 * all and none can be made, -EAGAIN or -ENOMEM with a record that says so.
 */
WEFT_PARKS int weft_blocking(weft_fn fn, void *arg);
WEFT_PARKS int weft_cpu(weft_fn fn, void *arg);

/** Work that may go on when nobody waits for it any more. */
typedef struct weft_bjob {
    weft_fn fn;
    void *arg;                    /* on the heap */
    void (*release)(void *arg);   /* NULL: there is nothing to do */
    void (*interrupt)(void *arg); /* NULL: fn is let go on to its end */
} weft_bjob;

/**
 * The same, but the caller does not wait for an fn that has begun: cancelled,
 * the call returns at once and the thread goes on alone. interrupt(arg), called
 * once in the caller's fiber before that, may make fn end sooner: it shuts down
 * a socket, sets a flag. It must not park.
 *
 * `arg` is taken over in any case. release(arg) is called once and nothing uses
 * it after that: when fn has returned, by its thread (or, if interrupt was still
 * at it, by the caller's); at once, if fn will not be called, whatever the
 * reason. So what the caller wants to see afterwards needs a count of its own.
 *
 * A thread that goes on so is still one of the pool's limit. When the run ends
 * it is waited for, for a second at most, then named on standard error and left
 * behind. (Where another run uses the pool its release may come a moment after
 * this run has returned.) It must not be in the way of the end of the process either: exit
 * does not wait for it.
 *
 * Parks. Returns as weft_blocking; also -ENOMEM.
 */
WEFT_PARKS int weft_blocking_abandon(const weft_bjob *job);

/**
 * Was the fiber cancelled that waits for this, or did wait? To be asked by fn,
 * now and then. Elsewhere: is a scope around the caller cancelled?
 */
WEFT_API bool weft_blocking_cancelled(void);

/* ---- the pools ---------------------------------------------------------- */

typedef enum weft_pool {
    WEFT_POOL_BLOCKING, /* of weft_blocking, weft_blocking_abandon, weft/file.h */
    WEFT_POOL_CPU       /* of weft_cpu */
} weft_pool;

typedef struct weft_pool_opts {
    unsigned threads;  /* at most; 0: 32, and for computing one for each core
                          that the process may use */
    size_t stack_size; /* of each that is started from now on; 0: 1 MiB */
    weft_time idle; /* end a thread without work for so long; 0: 10 seconds;
                       WEFT_FOREVER: only with the last run */
} weft_pool_opts;

/**
 * Says how large a pool may be; NULL: as usual. From any thread at any time: of
 * threads too many those end that have finished what they do. 0, or -EINVAL.
 */
WEFT_API int weft_pool_configure(weft_pool pool, const weft_pool_opts *o);

typedef struct weft_pool_stats {
    unsigned limit;
    unsigned threads;   /* there are now, */
    unsigned idle;      /* without work, */
    unsigned running;   /* in a function, */
    unsigned abandoned; /* of these, that nobody waits for */
    unsigned queued;    /* calls that wait for a thread, */
    unsigned most_queued;
    uint64_t calls;   /* that were begun */
    uint64_t refused; /* threads that the system did not give */
} weft_pool_stats;

/** How a pool does now. From any thread. */
WEFT_API void weft_pool_stats_read(weft_pool pool, weft_pool_stats *ret_stats);

WEFT_END_DECLS

#endif
