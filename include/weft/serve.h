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
 * backlog, closes the listener and lets the handlers finish: they are shielded
 * from the cancellation, and weft_conn_draining tells them. A connection that
 * is idle when `linger` is over sees the end of its input; whatever is left
 * after `drain` is cancelled.
 *
 * A connection that the kernel completes in the moment between the last accept
 * and the close of the listener is reset; only a second listener on the port
 * could take it.
 *
 * In a run of several workers (weft/workers.h) all of them serve, or as many as
 * `workers` says. Beside a listener with weft_listen_opts.reuse_port each other
 * worker gets one, and the kernel, if it is Linux, deals the connections out;
 * else the worker that called accepts for all. Either way who has accepted
 * hands a connection to the worker with the fewest, if it has clearly fewer.
 * There it stays. So
 *
 *   - handlers run at the same time as those of other workers: what they share
 *     has to be made for that;
 *   - the locals of the caller (weft/local.h) are seen on its own worker only,
 *     and weft_conn.arg is the same for all;
 *   - max_conns and a stop are for all together: none tells its connections of
 *     the stop while another still accepts, for `linger` at most;
 *   - a worker that computes serves nobody meanwhile. The others do; but what
 *     it has been given, and what waits at its listener, waits for it.
 *
 * A handler that fails does not disturb the others; its failure goes to the
 * unhandled hook (weft/error.h), save -ECONNRESET and -EPIPE, by which a peer
 * has gone.
 */
#ifndef WEFT_SERVE_H
#define WEFT_SERVE_H

#include <weft/base.h>
#include <weft/io.h>

WEFT_BEGIN_DECLS

typedef struct weft_server_ weft_server_;

/** One connection, on its fiber's stack; closed when the handler returns. */
typedef struct weft_conn {
    weft_fd fd;
    void *arg;             /* as given to weft_serve */
    weft_server_ *server_;
    struct weft_conn *next_, *prev_;
} weft_conn;

typedef int (*weft_conn_fn)(weft_conn *c);

typedef struct weft_serve_opts {
    const char *name;     /* of the connection fibers; NULL: "conn" */
    unsigned max_conns;   /* at a time, on all workers; the rest wait in the
                             backlog; 0: 10,000 */
    weft_time linger;     /* for idle connections while draining; 0: 250 ms */
    weft_time drain;      /* for all; 0: 5 s */
    size_t stack_size;    /* of the connection fibers; 0: as for others */
    unsigned workers;     /* that serve, at most; 0: all; 1: this one */
} weft_serve_opts;

/**
 * Serves `listener`, which it takes over and closes, until cancelled.
 *
 * Parks. Returns -ECANCELED after a stop (which the scope or weft_run that
 * stopped it turns into its code), or the error that accepting came to.
 */
WEFT_PARKS int weft_serve(weft_fd listener, weft_conn_fn handler, void *arg,
                          const weft_serve_opts *o);

/** Is the server stopping? Then answer what has come, and ask for no more. */
WEFT_API bool weft_conn_draining(const weft_conn *c);

WEFT_END_DECLS

#endif
