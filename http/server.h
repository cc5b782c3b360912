/* SPDX-License-Identifier: MIT */
/*
 * http/server.h - a server of HTTP, as its parts know it.
 *
 * server.c is the server itself and what it counts; server_conn.c the life of a
 * connection; server_head.c how a head comes in; server_body.c the body behind
 * it; server_fields.c and server_reply.c the head and body that go out, with
 * server_usual.c for those that are like the one before, and server_send.c how;
 * server_patience.c how long each may take; server_end.c what a connection ends
 * with; server_after.c what is done when a reply has gone, and server_interim.c
 * the replies that are not final.
 *
 * A connection is a `wf_link`, on its fiber's stack. A request with its reply is
 * a `wf_exchange`, in a block that the connection has for as long as octets of
 * it, or of the next, are there; an idle connection has none.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <weft/http_server.h>
#include <weft/http_write.h>
#include <weft/scope.h>

#include "quick.h"

struct wf_routes;

struct weft_http_server {
    weft_http_server_opts opts; /* its defaults filled in */
    weft_http_request blank;    /* its limits */
    uint64_t number;            /* no other server has it */
    bool serves;                /* or has begun to: routes stay as they are */

    /* The routes, if there are any, which http/route.h knows: what answers *r,
     * or else other(r, ctx); and what gives them back. */
    struct wf_routes *routes;
    int (*answer)(const struct wf_routes *t, weft_req *r, weft_http_fn other,
                  void *ctx);
    void (*free_routes)(struct wf_routes *t);
};

/* What a connection waits for, and which of its limits counts. */
enum wf_phase { WF_IDLE, WF_HEAD, WF_HANDLER, WF_BODY, WF_SEND };

/* How a connection goes on, or ends. Errors are below 0. */
enum wf_step {
    WF_FINISH, /* ends politely */
    WF_GO_ON,  /* with the next request */
    WF_REFUSE, /* ends with link->refusal, if that can be told */
    WF_CUT,    /* ends in the middle of a reply */
    WF_CLOSE   /* ends in silence */
};

struct wf_exchange;

struct wf_link {
    weft_http_server *server;
    weft_conn *conn;
    struct wf_exchange *x; /* NULL: idle */
    enum wf_phase phase;
    unsigned served; /* requests, with this one */
    weft_time until; /* the end of this request's time */
    weft_time told;  /* the turn of the scheduler in which the scope was told
                        of `until`, and of nothing since; 0: it was not */
    weft_stream stream;
    weft_scope scope;
    uint16_t layout[WF_HTTP_LINES]; /* of the last head: see quick.h */
    int refusal;                    /* a status */
    const char *why;                /* of it, a sentence */
};

/* A growing text, in the arena. */
struct wf_lines {
    char *at;
    size_t len, room;
};

struct wf_after;

/* How the body of a reply is told from what follows. */
enum wf_framing { WF_NONE, WF_LENGTH, WF_CHUNKED, WF_UNTIL_CLOSE };

struct wf_exchange {
    weft_req req; /* the first member */
    struct wf_link *link;
    size_t bytes;    /* of all this */
    char *head;      /* where it is read, behind the marks */
    weft_time since; /* its first octet */
    weft_time whole; /* the last octets of its head came */

    /* How long may still be waited for octets of one way. */
    weft_time patience[2]; /* to read, to send */

    weft_http_chunked chunks;  /* of a body that is chunked; */
    weft_http_fields trailers; /* and when that was read to its end */

    /* All 0 when a request begins; no more than a cache line, so that this is
     * four stores. */
    struct wf_state {
        /* The body that comes. `run` octets of it are the next in the stream,
         * and then `behind` that are none of it. */
        size_t run, behind;
        uint64_t left; /* of one with a length */
        int body_error;
        bool body_ended, expects, chunked, has_trailers;
        bool plain; /* neither the request nor the handler asks for a special
                       reply, and none has begun */

        /* The reply. */
        bool has_type, has_upgrade; /* among the fields */
        bool close, ended, bodiless, upgraded, reported;
        int lost;    /* why nothing can be sent, or read, any more */
        int failure; /* for the log */
        enum wf_framing framing;
        struct wf_after *after;
    } is;
    struct wf_lines fields; /* that the handler adds; empty then as well */

    struct wf_after *last_after; /* where there are some */
    uint64_t max_body;

    /* Of a reply that has begun. */
    uint64_t to_send; /* with a length: what is still to be written */
    struct wf_lines trailing;

    weft_http_mark marks[]; /* and behind them the head, and the arena */
};

static inline struct wf_exchange *wf_exchange_of(const weft_req *r)
{
    return (struct wf_exchange *)(uintptr_t)r;
}

/* ---- server.c ----------------------------------------------------------- */

/* Is this request the last, whatever it says? */
static inline bool wf_link_stops(const struct wf_link *l)
{
    return weft_conn_draining(l->conn) || weft_scope_cancel_called(&l->scope);
}

/* It serves from now on. -EINVAL: there is none. */
int wf_http_begin(weft_http_server *s);

/* Has the handler, or a route, answer. */
static inline int wf_http_answer(struct wf_exchange *x)
{
    const weft_http_server *s = x->link->server;
    if (!s->routes) return s->opts.handler(&x->req, s->opts.ctx);
    return s->answer(s->routes, &x->req, s->opts.handler, s->opts.ctx);
}

/* One more of `counter`, a member of opts.stats, if there are such. */
#define WF_HTTP_COUNT(server, counter)                                         \
    ((server)->opts.stats                                                      \
         ? (void)__atomic_fetch_add(&(server)->opts.stats->counter, 1,         \
                                    __ATOMIC_RELAXED)                          \
         : (void)0)

/* ---- server_head.c ------------------------------------------------------ */

/* A block for the first request; -ENOMEM. */
int wf_exchange_open(struct wf_link *l);

/* Gives back what there is. */
void wf_exchange_close(struct wf_link *l);

/* Begins the next request: reads its head, of which the `n` octets at `data` have
 * come. WF_GO_ON; or WF_REFUSE or an error, and what came of the head can be
 * looked at. `l->phase` is that of who waits for the rest. */
int wf_read_head(struct wf_link *l, const char *data, size_t n);

/* ---- server_body.c ------------------------------------------------------ */

void wf_body_begin(struct wf_exchange *x);

/* Is it worth reading what is left of it, to stay in step? */
bool wf_body_is_small(const struct wf_exchange *x);

/* Reads and drops what is left. 0, or why the connection is out of step. */
int wf_body_drain(struct wf_exchange *x);

/* ---- server_fields.c ---------------------------------------------------- */

struct wf_reply_head {
    int status;
    const char *type; /* or NULL */
    uint64_t length;  /* of WF_LENGTH */
};

/* Any head, with its empty line, in the arena. 0; -EINVAL: the type is none;
 * -ENOMEM. */
int wf_head_compose(struct wf_exchange *x, const struct wf_reply_head *h,
                    weft_text *ret_head);

/* The same to where there is room. */
void wf_head_write(const struct wf_exchange *x, const struct wf_reply_head *h,
                   weft_http_writer *w);

/* The start of a head: its first line, Server and Date. */
void wf_head_start(const weft_http_server *s, int status, weft_http_writer *w);

/* Adds a line to some. 0; -EINVAL, an octet; -ENOBUFS; -ENOMEM. */
int wf_lines_add(struct wf_exchange *x, struct wf_lines *to, weft_text name,
                 weft_text value);

/* ---- server_usual.c ----------------------------------------------------- */

/* A head that is as usual: this thread's, until the fiber parks, and not longer
 * than that. Or none, and it is to be composed. */
enum { WF_USUAL_HEAD = 512 };
weft_text wf_head_usual(const struct wf_exchange *x,
                        const struct wf_reply_head *h);

/* ---- server_reply.c ----------------------------------------------------- */

/* weft_reply, of any kind. */
int wf_reply_any(struct wf_exchange *x, int status, const char *type,
                 const void *body, size_t len);

/* Ends a reply that the handler left as it was; or there is none: -EPROTO. */
int wf_reply_end_left(struct wf_exchange *x);
static inline int wf_reply_settle(struct wf_exchange *x)
{
    if (x->is.ended || x->is.upgraded) return x->is.lost;
    return wf_reply_end_left(x);
}

/* ---- server_send.c ------------------------------------------------------ */

/* Waits until `n` octets can be gathered without waiting; n is 16 KiB at most. */
int wf_send_room(struct wf_exchange *x, size_t n);

/* Sends these behind what is gathered, or gathers them too. */
int wf_send(struct wf_exchange *x, const void *data, size_t len);

/* Gathers the octets of all parts, for which there is room. */
int wf_send_parts(struct wf_exchange *x, const struct iovec *iov, int count);

/* Part of a file. */
int wf_send_file(struct wf_exchange *x, weft_fd file, int64_t offset,
                 uint64_t len);

/* Sends what is gathered. */
int wf_send_gathered(struct wf_exchange *x);

/* ---- server_patience.c -------------------------------------------------- */

/* From now on the connection waits for that, until then. */
void wf_wait_for(struct wf_link *l, enum wf_phase phase, weft_time until);

/* A handler begins now, and has total_timeout. */
void wf_handler_begins_at(struct wf_link *l, weft_time now);
static inline void wf_handler_begins(struct wf_link *l, weft_time now)
{
    if (l->told != now) wf_handler_begins_at(l, now);
}

/* A wait for octets begins; and has ended, when n of them moved. */
weft_time wf_wait_begin(struct wf_exchange *x, enum wf_phase phase);
void wf_wait_end(struct wf_exchange *x, enum wf_phase phase, weft_time begun,
                 uint64_t n);

/* ---- server_end.c ------------------------------------------------------- */

/* Ends the connection as it said it would. */
int wf_link_end(struct wf_link *l, int step);

/* A request is over, for the log and the counters. */
void wf_report_to_all(struct wf_exchange *x, int rc);
static inline void wf_report(struct wf_exchange *x, int rc)
{
    const weft_http_server_opts *o = &x->link->server->opts;
    if (o->stats || o->on_request) wf_report_to_all(x, rc);
}

/* ---- server_after.c ----------------------------------------------------- */

/* A failure of the handler's goes to the unhandled hook. */
void wf_tell_failure(int rc);

/* Does the after-work; or drops it. */
int wf_after_run(struct wf_exchange *x);
void wf_after_drop(struct wf_exchange *x);

#endif
