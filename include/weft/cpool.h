/* SPDX-License-Identifier: MIT */
/*
 * weft/cpool.h (sync) - a pool of connections, or of whatever is dear to open.
 *
 *     weft_cpool db;
 *     weft_cpool_opts o = {.name = "db", .open = log_in, .close = log_out,
 *                          .ping = is_alive, .size = 10, .max_idle = WEFT_SEC(60)};
 *     int err = weft_cpool_open(&db, &n, &o);              in nursery n
 *     ...
 *     void *conn;
 *     err = weft_cpool_get(&db, &conn);
 *     if (err < 0) return err;
 *     err = query(conn, text);
 *     weft_cpool_put(&db, conn, err >= 0);                 false: it is broken
 *
 * There are never more than `size` + `overflow` connections, those included
 * that are being opened and closed. Who asks for one gets that which came back
 * last, if it is neither too old nor dead, or a new one; when all are lent he
 * waits in line. What comes back goes to who has waited longest.
 *
 * The functions of the pool may wait: its connections are opened and pinged as
 * a part of the caller's work, with his deadline, and are reset and closed
 * behind a shield, for `grace`. Not more than one fiber is at a connection at a
 * time, and what it is is the user's business.
 *
 * The pool belongs to the nursery, and is closed with it, after the last of its
 * children. It may be closed before. A pool is its thread's alone.
 */
#ifndef WEFT_CPOOL_H
#define WEFT_CPOOL_H

#include <weft/base.h>
#include <weft/nursery.h>

WEFT_BEGIN_DECLS

typedef struct weft_cpool_opts {
    const char *name; /* for people; not copied. NULL: "pool" */
    /* Opens a connection: 0 and *ret_conn, which is not NULL, or a negative
     * code, which weft_cpool_get returns. Needed. */
    int (*open)(void **ret_conn, void *user);
    /* Ends one. NULL: there is nothing to do. */
    void (*close)(void *conn, void *user);
    /* Is it still alive? Asked before one is lent that has been idle for
     * `ping_after`. Negative: it is closed, and the next one tried. NULL: all
     * are taken to be. */
    int (*ping)(void *conn, void *user);
    /* Makes one that has come back as good as new. Negative: it is closed.
     * NULL: they are. */
    int (*reset)(void *conn, void *user);
    void *user;
    unsigned size;      /* connections that are kept; 0: 10 */
    unsigned overflow;  /* ... and how many more there may be, which are closed
                             when they come back and nobody waits */
    unsigned min_idle;  /* are kept ready, as far as there is room */
    weft_time wait;     /* for a connection, at most; 0: 30 s; less: none */
    weft_time max_age;  /* since it was opened, then it is closed when it is
                             idle; 0: any */
    weft_time max_idle; /* closed when idle for so long, but for min_idle of
                             them; 0: never */
    weft_time ping_after; /* 0: each that was idle */
    weft_time grace;      /* for reset, and for close; 0: five seconds */
} weft_cpool_opts;

struct weft_cpool_in_;

/** The caller owns the memory, beyond the nursery's close. Zeroed it is a pool
 *  that has been closed. Members in _ are private. */
typedef struct weft_cpool {
    struct weft_cpool_in_ *in_;
} weft_cpool;

/**
 * Opens *p, which is not open, for fibers of this thread. Copies *o. With
 * min_idle, max_idle or max_age a daemon of the nursery looks after what is
 * idle; when the nursery is cancelled it ends, and the pool goes on without.
 * Nothing is opened here.
 *
 * Returns 0; -EINVAL: no `open`, or min_idle is over size; -ENOMEM;
 * -ESHUTDOWN: the nursery is closed; -EAGAIN: its limit leaves no room for the
 * daemon; -EPERM outside a fiber. On an error *p is as if closed.
 */
WEFT_MUST int weft_cpool_open(weft_cpool *p, weft_nursery *n,
                              const weft_cpool_opts *o);

/**
 * Lends a connection, to be put back, by any fiber. Who waits is served in
 * line. The place of the call is remembered, for who asks where all the
 * connections are.
 *
 * Parks. Returns 0; -ETIMEDOUT: none came free within `wait`, and
 * weft_last_error names who has one for longest; the failure of `open`;
 * -ECANCELED; -ESHUTDOWN: the pool is closed; -ENOMEM.
 */
#define weft_cpool_get(p, ret_conn)                                            \
    weft_cpool_get_((p), (ret_conn), __FILE__, __LINE__)
WEFT_PARKS int weft_cpool_get_(weft_cpool *p, void **ret_conn, const char *file,
                               int line);

/**
 * Gives a connection back: for others, or to be closed if `usable` is false,
 * and whenever a call on it was cancelled or failed half way. It is the pool's
 * in any case, and no other failure than its own is reported.
 *
 * May park, but is no cancel point. Returns 0; -EINVAL: it is not lent, and
 * nothing happens.
 */
WEFT_API int weft_cpool_put(weft_cpool *p, void *conn, bool usable);

/**
 * fn(conn, arg) with a connection of the pool, which is closed if fn fails.
 *
 * Parks. Returns what fn does, or as weft_cpool_get.
 */
#define weft_cpool_with(p, fn, arg)                                            \
    weft_cpool_with_((p), (fn), (arg), __FILE__, __LINE__)
WEFT_PARKS int weft_cpool_with_(weft_cpool *p, int (*fn)(void *conn, void *arg),
                                void *arg, const char *file, int line);

/**
 * Lends no more: who waits gets -ESHUTDOWN, and what is idle is closed. Then
 * waits for those that are lent, for `within` at most, and not at all once the
 * caller is cancelled. What comes back later is closed then; *p is needed until
 * the last has. May be called again.
 *
 * Parks, but is no cancel point. Returns how many are still lent, and
 * weft_last_error says to whom; 0: the pool has ended. -EPERM outside a fiber.
 */
WEFT_PARKS int weft_cpool_close(weft_cpool *p, weft_time within);

/** Connections that are idle and lent, and fibers that wait for one; and what
 *  happened so far. All 0 of a pool that has ended. */
typedef struct weft_cpool_stats {
    unsigned idle, lent, waiting;
    uint64_t gets;   /* that were given one, */
    uint64_t reused; /* ... which had been there */
    uint64_t opened, closed;
    uint64_t open_failures, ping_failures, reset_failures;
    uint64_t timeouts; /* of waiting */
} weft_cpool_stats;
WEFT_API void weft_cpool_stats_read(const weft_cpool *p, weft_cpool_stats *ret);

WEFT_END_DECLS

#endif
