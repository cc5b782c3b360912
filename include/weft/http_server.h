/* SPDX-License-Identifier: MIT */
/*
 * weft/http_server.h (http) - an HTTP/1.1 server: a handler a request.
 *
 *     static int hello(weft_req *r, void *ctx)
 *     {
 *         return weft_reply_text(r, 200, "hello\n");
 *     }
 *
 *     weft_http_server *s =
 *         weft_http_server_new(&(weft_http_server_opts){.handler = hello});
 *     rc = weft_http_serve(s, listener);
 *     weft_http_server_free(s);
 *
 * It is weft_serve (weft/serve.h) with a protocol: a fiber a connection, which
 * reads a request, calls the handler, sends the reply, and reads the next. So
 * requests of one connection are answered one by one and in order; those that
 * came together (pipelining) are answered by one write. A handler may park. On
 * several workers handlers run at the same time.
 *
 * What is malformed (weft/http_parse.h) never gets to a handler. Such a request
 * gets one reply that says so, with Connection: close, behind the replies to
 * those before it; then what still comes is read and dropped, for 5 s and 16 MiB
 * at most, so that the reply arrives while the client still sends. Likewise:
 *
 *     408  the head, or its body, did not come in time
 *     413  the body is larger than max_body
 *     503  the handler took longer than total_timeout
 *     500  the handler failed. The failure goes to the unhandled hook, and the
 *          connection goes on
 *     404  there is no handler; 501 CONNECT, unless it is asked for
 *
 * the last four only if the reply had not begun. If it had, the connection is
 * cut, and the client can tell: a body of known length is short, a chunked one
 * has no end, and any other ends in a reset (of a socket).
 *
 * The connection goes on behind a reply if both sides want it to and are in step:
 * what the handler left unread of the body is read and dropped up to 64 KiB, and
 * otherwise the connection closes. It closes as well behind the max_requests-th
 * reply, and the first while the server drains (weft_conn_draining); these say
 * Connection: close.
 *
 * Time. Each of the limits below has a default, none is off unless asked for, and
 * handlers need not think of them: what is over returns -ECANCELED from whatever
 * the handler waits in, as any scope's deadline does (weft/scope.h). An idle
 * connection owns its fiber's stack and nothing else; a request one buffer of 16
 * KiB, or as much more as its head is over that.
 *
 * Sources: RFC 9110, RFC 9112; RFC 8297 (103).
 */
#ifndef WEFT_HTTP_SERVER_H
#define WEFT_HTTP_SERVER_H

#include <weft/arena.h>
#include <weft/base.h>
#include <weft/http_parse.h>
#include <weft/io.h>
#include <weft/memory.h>
#include <weft/serve.h>
#include <weft/stream.h>
#include <weft/text.h>

WEFT_BEGIN_DECLS

typedef struct weft_http_server weft_http_server;
struct wf_route;

/** One request and its reply. It and all its memory last until the handler has
 *  returned and its after-work is done. Of the fiber that handles it, and those
 *  that this starts and waits for, one at a time. Members in _ are private. */
typedef struct weft_req {
    weft_http_request head; /* weft/http_parse.h: verb, path, fields, ... */
    weft_conn *conn;        /* its peer, and so on; not to be read from */
    weft_http_server *server;
    weft_arena arena;  /* memory for as long as the request (weft/arena.h) */
    void *user;        /* the handler's; NULL at first */
    int status;        /* of the reply; 0: none has begun */
    uint64_t received; /* octets of the body that were read by the handler */
    uint64_t sent;     /* octets of body that were given to the reply */
    const struct wf_route *route_; /* that answers, */
    const weft_text *params_;      /* and its parameters */
} weft_req;

/**
 * Answers a request. When it returns 0 or more, the reply is ended (of one in
 * pieces), or it is 500 (if none has begun). A negative result is a failure: see
 * above. What the peer brought about is none of the handler's failures: pass on
 * what the calls below return.
 */
typedef int (*weft_http_fn)(weft_req *r, void *ctx);

/** Counted from all workers; zeroed by you, once. `requests` is the sum of all
 *  replies, and of those requests that were cut before one. */
typedef struct weft_http_stats {
    unsigned long requests;  /* whose head came, or was refused */
    unsigned long replies[6]; /* by class: [2] is 200 to 299; [0]: none was
                                 sent; [1]: 101, upgraded */
    unsigned long refused;   /* by the server itself: malformed, too large */
    unsigned long timed_out; /* by one of its limits, replied to or not */
    unsigned long failed;    /* the handler failed, or wrote too little */
    unsigned long cut;       /* the connection, in the middle of a reply */
} weft_http_stats;

typedef struct weft_http_server_opts {
    weft_serve_opts serve; /* of the connections: max_conns, max_per_peer,
                              linger, drain, workers, stats, on_connect, ... */
    weft_http_fn handler;  /* of what no route (weft/http_route.h) takes; NULL:
                              404 */
    void *ctx;             /* for it */
    bool connect;          /* it is asked for CONNECT too (weft_req_upgrade) */

    weft_http_limits limits; /* of the head; zeroed: those of http_parse.h */
    uint64_t max_body;       /* octets; 0: 1 MiB (weft_req_set_max_body) */
    unsigned max_requests;   /* on one connection; 0: any number */

    /* Durations. 0: what stands here; WEFT_FOREVER: none. */
    weft_time head_timeout;  /* 10 s: of a head, from its first octet on */
    weft_time idle_timeout;  /* 20 s: for the first octet of a request; before
                                the first request it is head_timeout */
    weft_time body_timeout;  /* 10 s: of a wait for octets of the body, */
    weft_time send_timeout;  /* 10 s: or until some could be sent */
    weft_time total_timeout; /* 60 s: of a request from its head on, with its
                                handler, and the body and reply there */
    /* Octets a second, on an average, of a body that comes and a reply that
     * goes; 0: 1024. Of each the time that is waited for it counts, and is
     * body_timeout (send_timeout) at first and at most; n octets that move give
     * n / min_rate of it back. So a peer that stops has that long, whatever it
     * did before; what the handler does meanwhile does not count. */
    unsigned min_rate;

    const char *server_name; /* for Server, 64 octets at most; NULL: none */

    /* For a log: called behind each reply, also a refusal (the head is as far as
     * it was read), and each request that got none (status 0). `rc`: 0, or why it
     * failed; `took`: since the head's first octet. It must not park. */
    void (*on_request)(const weft_req *r, int rc, weft_time took, void *user);
    void *log_user;
    weft_http_stats *stats; /* to count in; it outlives the server. NULL: no */
} weft_http_server_opts;

/* ---- serving ------------------------------------------------------------ */

/** A server with a copy of *o, which may be NULL; what it points to outlives the
 *  server. NULL: no memory, or a server_name that is too long or could split a
 *  message (weft_last_error). */
WEFT_MUST weft_http_server *
weft_http_server_new(const weft_http_server_opts *o);

/** Once it serves no more. NULL is fine. */
WEFT_API void weft_http_server_free(weft_http_server *s);

/** Serves until cancelled, and drains, as weft_serve; and on a listener in
 *  memory, as weft_serve_memory. Several at a time may serve for one server. */
WEFT_PARKS int weft_http_serve(weft_http_server *s, weft_fd listener);
WEFT_PARKS int weft_http_serve_memory(weft_http_server *s,
                                      weft_memory_listener *l);

/**
 * Serves one connection to its end, for the handler of a weft_serve of your own,
 * which closes it when that returns. What a peer does wrong is no failure.
 *
 * Parks. Returns 0; -ECONNRESET, -EPIPE (the peer has gone), -ECANCELED, -ENOMEM,
 * -EINVAL (no server).
 */
WEFT_PARKS int weft_http_serve_conn(weft_http_server *s, weft_conn *c);

/** Copies the counters of a server that may be at work. From any thread; each by
 *  itself is exact. */
WEFT_API void weft_http_stats_read(const weft_http_stats *s,
                                   weft_http_stats *ret_stats);

/* ---- the request -------------------------------------------------------- */

/** weft_http_field of its head: `at` is NULL if there is none. */
WEFT_API weft_text weft_req_field(const weft_req *r, const char *name);

/** A parameter of the query, decoded, + for a space, in the arena. Returns 0;
 *  -ENOENT; -EINVAL: a bad escape, or one of 0; -ENOMEM. */
WEFT_MUST int weft_req_query(weft_req *r, const char *name,
                             weft_text *ret_value);

/**
 * Shows octets of the body that have come, and consumes none of them. They are
 * good until the fiber parks or reads on. The first call sends 100 Continue, if
 * that is waited for (RFC 9110, 10.1.1).
 *
 * Parks. Returns how many, 0 at the end of the body, or
 *   -EMSGSIZE   it is larger than max_body, which is told before any of it is
 *               read if its length says so. The server answers 413
 *   -EBADMSG    malformed chunks or trailers: 400
 *   -EPIPE      the client ended it early: 400
 *   -ECANCELED  among others, it did not come in time: 408
 *   -ECONNRESET, -ENOMEM, ...
 * for as long as the request lasts; what the server answers then it does if no
 * reply has begun and the handler returns a negative result, whichever. The
 * connection closes.
 */
WEFT_PARKS ssize_t weft_req_peek(weft_req *r, const char **ret_data);

/** Consumes n of the octets shown. */
WEFT_API void weft_req_consume(weft_req *r, size_t n);

/** Reads up to `len` octets of the body, as weft_req_peek. */
WEFT_PARKS ssize_t weft_req_read(weft_req *r, void *buf, size_t len);

/** Reads all that is left of the body, `max` octets at most (0: max_body), into
 *  the arena, with a 0 behind it that does not count. Parks. Returns 0;
 *  -EMSGSIZE: it is longer, which the server answers with 413; or as
 *  weft_req_peek. */
WEFT_PARKS int weft_req_body(weft_req *r, size_t max, weft_text *ret_body);

/** A trailer of a chunked body (RFC 9112, 7.1.2), once its end was read. */
WEFT_API weft_text weft_req_trailer(const weft_req *r, const char *name);

/** Another max_body for this request, before its body is read. 0: none at all
 *  may come. */
WEFT_API void weft_req_set_max_body(weft_req *r, uint64_t octets);

/** Moves the end of total_timeout to that moment, or away (WEFT_FOREVER). One that
 *  has passed is final. */
WEFT_API void weft_req_set_deadline(weft_req *r, weft_time moment);

/** Is the server stopping? */
WEFT_API bool weft_req_draining(const weft_req *r);

/* ---- the reply, whole --------------------------------------------------- */

/**
 * Adds a field line, before the reply begins; both are copied. Several of one
 * name are as many lines.
 *
 * Returns 0. -EINVAL: an octet that could split the message, or a name that is
 * the server's: Content-Length, Transfer-Encoding, Connection, Keep-Alive, Date,
 * Server. With Upgrade (for 426) it adds Connection: upgrade by itself.
 * -EALREADY: the reply has begun. -ENOMEM; -ENOBUFS: more than 64 KiB of them.
 * Then nothing was added.
 */
WEFT_MUST int weft_reply_field(weft_req *r, const char *name,
                               const char *value);
WEFT_MUST int weft_reply_field_text(weft_req *r, weft_text name,
                                    weft_text value);

/**
 * The whole reply. `status` is 200 to 999; `type` (NULL: none) is Content-Type,
 * unless a field was added that is. The body is left out, but not its length, if
 * HEAD asked; and both if the status has none (204, 205, 304).
 *
 * Parks, if much is to be sent. Returns 0. -EALREADY: this request has a reply,
 * and keeps that. -EINVAL: a bad status or type; 2xx to CONNECT. -ENOMEM. Then
 * nothing was sent, and another can be tried. -ECANCELED, -EPIPE, -ECONNRESET,
 * ...: the connection is lost.
 */
WEFT_PARKS int weft_reply(weft_req *r, int status, const char *type,
                          const void *body, size_t len);

/** text/plain; charset=utf-8. */
WEFT_PARKS int weft_reply_text(weft_req *r, int status, const char *text);
WEFT_PARKS int weft_reply_printf(weft_req *r, int status, const char *type,
                                 const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/** The status and its phrase for a text, "404 Not Found". */
WEFT_PARKS int weft_reply_status(weft_req *r, int status);

/** 301, 302, 303, 307 or 308 to `location`, which must be a URL already encoded:
 *  -EINVAL otherwise. */
WEFT_PARKS int weft_reply_redirect(weft_req *r, int status,
                                   const char *location);

/** The connection closes behind this reply, and says so. Before it begins. */
WEFT_API void weft_reply_close(weft_req *r);

/* ---- the reply, in pieces ----------------------------------------------- */

#define WEFT_HTTP_UNKNOWN UINT64_MAX

/**
 * Begins a reply with a body of `length` octets; or of WEFT_HTTP_UNKNOWN, which
 * is chunked, or for HTTP/1.0 lasts until the connection closes. Returns as
 * weft_reply.
 */
WEFT_PARKS int weft_reply_begin(weft_req *r, int status, const char *type,
                                uint64_t length);

/**
 * More of the body. It is gathered, and sent when it is over 16 KiB, by
 * weft_reply_flush, or when the handler has returned. Waits while the client
 * does not read. `data` may be what weft_req_peek has shown.
 *
 * Parks. Returns 0. -EMSGSIZE: beyond the length that was told; nothing of it
 * was taken. -EPROTO: no reply has begun, or it has ended. -ENOMEM: nothing was
 * taken. -ECANCELED, -EPIPE, -ECONNRESET, ...: the connection is lost.
 */
WEFT_PARKS int weft_reply_write(weft_req *r, const void *data, size_t len);

/** Sends what is gathered. Parks. Returns 0, or as weft_reply_write. */
WEFT_PARKS int weft_reply_flush(weft_req *r);

/**
 * More of the body: `len` octets of a file from `offset` on, without copying them
 * where the system can do that (weft_file_send). A file that is shorter cuts the
 * connection.
 *
 * Parks. Returns 0, or as weft_reply_write; -EIO: the file is shorter; what
 * reading it says.
 */
WEFT_PARKS int weft_reply_send_file(weft_req *r, weft_fd file, int64_t offset,
                                    uint64_t len);

/** A trailer, before the end; left out unless the body is chunked. Returns as
 *  weft_reply_field, which refuses more: what is about framing, routing or
 *  authentication has no place there. -EPROTO: there is nothing to end. */
WEFT_MUST int weft_reply_trailer(weft_req *r, const char *name,
                                 const char *value);

/** Ends it, which the handler's return does as well. Parks. Returns 0;
 *  -EPROTO: nothing has begun, or less was written than its length: the connection
 *  will be cut; or as weft_reply_write. */
WEFT_PARKS int weft_reply_end(weft_req *r);

/**
 * Sends an interim reply before the final one: 102, 103 or another 1xx but 100
 * and 101, with the fields that were added so far, which are not part of the
 * final reply then. Nothing is sent to HTTP/1.0.
 *
 * Parks. Returns 0; -EALREADY: the final one has begun; -EINVAL: another status;
 * or as weft_reply.
 */
WEFT_PARKS int weft_reply_interim(weft_req *r, int status);

/* ---- afterwards, and instead -------------------------------------------- */

/**
 * Has fn(arg) called when the reply has been sent, before the connection's next
 * request is read: in the order in which it was asked for, each in a fiber of its
 * own, all together for total_timeout at most. A failure goes to the unhandled
 * hook and disturbs nobody. The request can still be looked at, and has nothing
 * to be read or replied any more. drop(arg), which may be NULL and must not park,
 * is called instead if fn could not run: the connection was lost, or no memory.
 *
 * Returns 0, or -ENOMEM: neither will be called.
 */
WEFT_MUST int weft_req_after(weft_req *r, weft_fn fn, void *arg,
                             void (*drop)(void *arg));

/**
 * Sends 101, with the fields that were added, Upgrade: `protocol`, and
 * Connection: upgrade. From then on the stream is the handler's, with no
 * deadline but its own, until it returns; then it is closed politely. Of CONNECT,
 * with NULL for a protocol, it sends 200, and the stream is the tunnel. What a
 * peer does wrong is no failure of the handler then either: -EPROTO, -EILSEQ,
 * -EMSGSIZE, -ETIMEDOUT, -EPIPE or -ECONNRESET.
 *
 * Parks. Returns 0. -EPROTO: it was not asked for (by Upgrade with that protocol,
 * and Connection: upgrade), or the request has a body that is not read to its
 * end. Else as weft_reply.
 */
WEFT_PARKS int weft_req_upgrade(weft_req *r, const char *protocol,
                                weft_stream **ret_stream);

WEFT_END_DECLS

#endif
