/* SPDX-License-Identifier: MIT */
/*
 * weft/serve.h (net) - a server: a fiber a connection, and a graceful stop.
 *
 *     static int greet(weft_conn *c)
 *     {
 *         return weft_write_all(c->fd, "hello\n", 6, NULL);
 *     }
 *
 *     rc = weft_serve(listener, greet, NULL, NULL);
 *
 * weft_serve accepts connections until it is cancelled, by SIGTERM for example
 * (weft_run_opts.handle_signals). Then it takes what still waits in the
 * backlog, as far as there are places and descriptors, closes the listener and
 * lets the handlers finish: they are shielded from the cancellation, and
 * weft_conn_draining tells them. A connection that is idle when `linger` is
 * over sees the end of its input; whatever is left after `drain` is cancelled.
 * A second cancellation changes nothing.
 *
 * A connection that the kernel completes in the moment between the last accept
 * and the close of the listener is reset; only a second listener on the port
 * could take it.
 *
 * In a run of several workers (weft/workers.h) all of them serve, or as many as
 * `workers` says. Beside a listener with weft_listen_opts.reuse_port each other
 * worker gets one like it, and the kernel, if it is Linux, deals the
 * connections out; else the worker that called accepts for all. Either way who
 * has accepted hands a connection to the worker with the fewest, if it has
 * clearly fewer. There it stays. So
 *
 *   - handlers run at the same time as those of other workers: what they share
 *     has to be made for that;
 *   - the locals of the caller (weft/local.h) are seen on its own worker only,
 *     and weft_conn.arg is the same for all;
 *   - max_conns, max_per_peer and a stop are for all together: none tells its
 *     connections of the stop while another still accepts, for `linger` at
 *     most;
 *   - a worker that computes serves nobody meanwhile. The others do; but what
 *     it has been given, and what waits at its listener, waits for it.
 *
 * A handler that fails does not disturb the others; its failure goes to the
 * unhandled hook (weft/error.h), save -ECONNRESET and -EPIPE, by which a peer
 * has gone, and what a deadline or the end of the drain has brought about.
 *
 * To serve at several addresses call weft_serve for each, in fibers of one
 * nursery.
 */
#ifndef WEFT_SERVE_H
#define WEFT_SERVE_H

#include <weft/addr.h>
#include <weft/base.h>
#include <weft/io.h>
#include <weft/memory.h>
#include <weft/scope.h>
#include <weft/stream.h>
#include <weft/transport.h>

WEFT_BEGIN_DECLS

typedef struct weft_server_ weft_server_;

/** One connection, on its fiber's stack; closed when the handler returns, if
 *  the handler has not done that itself. It counts until it returns. */
typedef struct weft_conn {
    weft_fd fd;                /* zeroed, if there is none */
    weft_transport *transport; /* what there is instead (weft_serve_memory);
                                  good until the handler returns. NULL: fd */
    void *arg;                 /* as given to weft_serve */
    weft_addr peer;            /* who it is; len 0: not known. A handler that
                                  is told better may say so here; it counts
                                  as who it was for max_per_peer */
    weft_server_ *server_;
    const bool *draining_; /* of that */
    weft_scope *scope_;
    struct weft_conn *next_, *prev_;
    bool busy_;
} weft_conn;

typedef int (*weft_conn_fn)(weft_conn *c);

/**
 * What a server has come to. All counters go up from what they were, `active`
 * goes back to that; accepted = active + the six below `peak`.
 */
typedef struct weft_serve_stats {
    unsigned long accepted;     /* they came in, to be given to a handler */
    unsigned long active;       /* of those, now */
    unsigned long peak;         /* the most of them at a time */
    unsigned long done;         /* the handler returned 0, or more */
    unsigned long lost;         /* ... -ECONNRESET or -EPIPE: the peer went */
    unsigned long failed;       /* ... another failure */
    unsigned long timed_out;    /* stopped by their deadline */
    unsigned long cancelled;    /* stopped at the end of the drain */
    unsigned long dropped;      /* closed, without memory for a fiber */
    unsigned long refused;      /* not accepted: on_connect said no */
    unsigned long refused_peer; /* ... their peer had max_per_peer already */
    unsigned long handed_over;  /* to another worker than had accepted them */
    unsigned long starved;      /* times one waited for a free descriptor */
} weft_serve_stats;

typedef struct weft_serve_opts {
    const char *name;   /* of the connection fibers; NULL: "conn" */
    unsigned max_conns; /* at a time, on all workers; the rest wait in the
                           backlog; 0: 10,000 */
    weft_time linger;   /* for idle connections while draining; 0: 250 ms;
                           less: none */
    weft_time drain;    /* for all; 0: 5 s; less: none */
    size_t stack_size;  /* of the connection fibers; 0: as for others */
    unsigned workers;   /* that serve, at most; 0: all; 1: this one */
    weft_time deadline; /* of a connection, from its handler's start; then it is
                           cancelled (see weft_conn_set_deadline). 0: none;
                           less: it has expired */

    /* Connections of one address at a time, whatever its ports. Who comes
     * beyond that is closed at once. 0: no limit. Peers of a Unix socket and of
     * memory have none: they are all this machine. */
    unsigned max_per_peer;
    /* IPv6 addresses with so many first bits in common are one peer: 64, since
     * a subscriber has so many to choose from; 0: all 128. IPv4 addresses are
     * told apart, and are the same when mapped into IPv6. */
    unsigned peer_prefix6;
    bool refuse_by_reset; /* of a socket: who is refused sees that, no end */

    /* To count in, for one server at a time; it outlives that. Zeroed by you,
     * once. NULL: nobody asks. */
    weft_serve_stats *stats;
    /* May this one come in? If not it is closed. That is before it has a
     * fiber, on the worker that has accepted it, so perhaps on several at a
     * time. *c is a copy, whose descriptor is not to be closed. It must not
     * park. NULL: all may. */
    bool (*on_connect)(weft_conn *c);
    /* Called by the fiber of a connection when its handler has returned `rc`
     * (-ETIMEDOUT, if its deadline has stopped it) after so long; for a log,
     * say. What is still open of the connection is closed after it. It must not
     * park. NULL: no. */
    void (*on_end)(const weft_conn *c, int rc, weft_time took);
} weft_serve_opts;

/**
 * Serves `listener`, which it takes over and closes, until cancelled. `o` may
 * be NULL.
 *
 * Parks. Returns -ECANCELED after a stop (which the scope or weft_run that
 * stopped it turns into its code), or the error that accepting came to. At the
 * start: -EBADF (no open descriptor), -ENOTSOCK, -EINVAL (it does not listen,
 * or no handler, or peer_prefix6 is above 128), -ENOMEM; weft_last_error names
 * the listener. -EBADF later: somebody else has closed it, which drains too.
 */
WEFT_PARKS int weft_serve(weft_fd listener, weft_conn_fn handler, void *arg,
                          const weft_serve_opts *o);

/**
 * The same for connections that are made in memory (weft/memory.h), on this
 * worker alone: server and clients meet in a test without a socket. `l` is
 * closed at the end, and freed by its owner.
 *
 * Parks. Returns as weft_serve; -EINVAL: no listener.
 */
WEFT_PARKS int weft_serve_memory(weft_memory_listener *l, weft_conn_fn handler,
                                 void *arg, const weft_serve_opts *o);

/** Makes *s a stream over the connection, whatever that is. The handler ends it
 *  by weft_stream_fini or weft_stream_close. */
WEFT_API void weft_conn_stream(weft_conn *c, weft_stream *s);

/** Is the server stopping? Then answer what has come, and ask for no more. */
static inline bool weft_conn_draining(const weft_conn *c)
{
    return *c->draining_;
}

/** Says that the handler is in the middle of something, for which input may still
 *  come: its input does not end with `linger` then, but when this is taken back,
 *  or `drain` is over. At first it is not. By the handler. */
WEFT_API void weft_conn_set_busy(weft_conn *c, bool busy);

/**
 * Moves the deadline of the connection to moment `t`, or away (WEFT_FOREVER).
 * When it comes the handler is cancelled, with all it has started: its
 * -ECANCELED counts as `timed_out`, and is no failure. A handler that sets it
 * before each request gives each so long; one that has expired is final. By the
 * handler, or fibers that it started on its worker.
 */
WEFT_API void weft_conn_set_deadline(weft_conn *c, weft_time t);

/**
 * Copies the counters of a server that may be at work, or have ended. From any
 * thread; each by itself is exact, of slightly different moments.
 */
WEFT_API void weft_serve_stats_read(const weft_serve_stats *s,
                                    weft_serve_stats *ret_stats);

WEFT_END_DECLS

#endif
