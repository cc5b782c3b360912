/* SPDX-License-Identifier: MIT */
/*
 * http/client.h - the client as its parts know it.
 *
 * A client has hosts, a host has connections. A *place* is the right to a
 * connection: it is counted at the client and at the host, and there are never
 * more than `pool` and `per_host`. A connection that is idle has its place; who
 * has been given a place without one makes one, or gives it back.
 *
 * An exchange is one call, from weft_http_send to weft_resp_end: in a buffer of
 * the pool, which also holds what is asked and, later, the head of the reply.
 */
#ifndef WF_HTTP_CLIENT_H
#define WF_HTTP_CLIENT_H

#include <weft/arena.h>
#include <weft/event.h>
#include <weft/http_client.h>
#include <weft/http_write.h>
#include <weft/scope.h>
#include <weft/url.h>

/* The proxy, as its URL says. */
struct wf_client_proxy {
    const char *host; /* without brackets */
    const char *address;
    weft_text authorization; /* at NULL: none */
    int port;
};

struct wf_client_host {
    struct wf_client_host *next; /* in its chain */
    struct wf_client_conn *idle; /* the one that came back last */
    unsigned conns;              /* places it has */
    unsigned users;              /* who points here, but for connections */
    bool secure;                 /* https */
    bool proxied;                /* reached by way of the proxy; one without TLS
                                    is the proxy itself, for all who go there */
    int port;
    size_t bytes;        /* of all this */
    const char *name;    /* without brackets */
    const char *address; /* with brackets and port: to dial, and for people */
    char text[];
};

struct wf_client_conn {
    struct wf_client_conn *above, *below; /* idle ones of its host */
    struct wf_client_conn *newer, *older; /* all idle ones */
    weft_http *h;
    struct wf_client_host *host;
    weft_fd fd;
    weft_transport *transport; /* NULL: fd */
    char *in;                  /* what was read and not consumed, */
    size_t in_from, in_len;    /* at in + in_from */
    size_t in_room;            /* 0: there is no buffer */
    bool open;                 /* false: the client was ended */
    bool ended;                /* the end of the input was read */
    bool used;                 /* a reply has come whole */
    weft_time since, until;    /* idle */
};

/* A fiber in line, on its stack. */
struct wf_client_waiter {
    struct wf_client_waiter *next, *prev;
    struct wf_client_host *host;
    struct wf_client_conn *conn; /* when served: NULL, a place without one */
    bool served;
    int error;
    weft_event called;
};

enum { WF_CLIENT_CHAINS = 64 };

struct weft_http {
    weft_http_opts opts; /* without zeros, and the texts are ours */
    weft_arena arena;    /* of those texts */
    weft_url base;
    struct wf_client_proxy http_proxy, https_proxy; /* at address NULL: none */
    struct wf_client_host *hosts[WF_CLIENT_CHAINS];
    struct wf_client_conn *newest, *oldest;   /* idle */
    struct wf_client_waiter *first, *last;    /* in line */
    struct weft_http_exchange_ *early, *late; /* under way, or not ended */
    weft_time next_expiry;                    /* no idle one expires before */
    weft_time keeper_at;                      /* when the keeper looks next */
    weft_event keeper_called;
    unsigned places;  /* given */
    unsigned keepers; /* 1: there is one */
    bool closed;
    weft_http_client_stats stats;
};

enum { WF_CLIENT_VISITED = WEFT_HTTP_REDIRECTS + 1 };

struct weft_http_exchange_ {
    struct weft_http_exchange_ *next, *prev;
    weft_http *h;
    const weft_http_call *call; /* while it is sent */
    weft_resp *r;
    const char *file;
    int line;

    /* What is asked, as redirects have made it. */
    weft_arena kept;     /* as long as the exchange */
    weft_text method;
    weft_text url;       /* with a 0 behind */
    weft_http_verb verb;
    weft_url to;         /* the parts of url */
    weft_text basic;     /* of the URL's userinfo; at NULL: none */
    bool pathless;       /* url was "http://host" */
    bool bodiless;       /* the body was left out */
    bool stranger;       /* at another origin than was asked for */
    bool produced;       /* the producer was asked, and not rewound */
    bool unexpecting;    /* it was refused to expect */
    uint64_t visited[WF_CLIENT_VISITED];
    weft_time first_byte, idle, total_at, total;

    /* One sending of it, and the reply. */
    weft_arena reply;    /* the head to be sent, then that which came */
    weft_http_writer head;
    struct wf_client_host *host;
    struct wf_client_conn *conn; /* NULL: gone, or back in the pool */
    weft_http_mark *marks;
    unsigned room, interims;
    bool begun;          /* an octet of it has gone */
    bool expecting, continued;
    bool heard;          /* an octet of a reply has come */
    bool answered;       /* its head is whole */
    bool sent;           /* the request is */
    bool dubious;        /* something that is no reply has told of a body */
    bool unproduced;     /* it was the producer that has failed */
    int broken;          /* what sending has failed with */

    /* The body of the reply. */
    weft_http_chunked chunked;
    weft_http_trailers trailers;
    uint64_t left;
    weft_text run;       /* shown, or to be: in the buffer of the connection */
    bool done;
    bool closes;         /* the request said so */
    bool unwanted;       /* what its rest fails with is no failure */
    bool unavailable;    /* 503 and the like, to be tried again */
    int error;           /* of the body; comes again */
    char *body;          /* of weft_resp_body */
    size_t body_len, body_room;

    char memory[];       /* of the two arenas */
};

#define WF_CLIENT_URL "%.40s%s" /* of a text that may be long, for people */
#define WF_CLIENT_URL_ARGS(x)                                                  \
    (x)->url.at, (x)->url.len > 40 ? "..." : ""

/* ---- client.c ----------------------------------------------------------- */

/* Frees what is not used any more. */
void wf_client_let_go(weft_http *h);

/* ---- client_opts.c ------------------------------------------------------ */

/* The options, copied and with defaults. 0, or a code with a sentence. */
int wf_client_set_options(weft_http *h, const weft_http_opts *o);

/* May the caller have this sent? 0, or -EINVAL with a sentence: it cannot be,
 * or it is a field that the client writes itself, as Host. */
int wf_client_check_header(weft_text name, weft_text value);

/* ---- client_proxy.c ----------------------------------------------------- */

int wf_client_set_proxies(weft_http *h);

/* By which way a host is reached; NULL: directly. */
const struct wf_client_proxy *wf_client_proxy_of(const weft_http *h,
                                                 bool secure, weft_text name,
                                                 int port);

/* ---- client_url.c ------------------------------------------------------- */

/* Makes `reference` what is asked for, relative to `base` (zeroed: to nothing):
 * sets url, to and basic. With `asked`, userinfo is taken if the options do. */
int wf_client_set_url(struct weft_http_exchange_ *x, weft_text base,
                      weft_text reference, bool asked);

bool wf_client_is_secure(const weft_url *u);

/* "Basic ..." of a userinfo, in the arena; 0 or a code. */
int wf_client_basic(weft_arena *a, weft_text userinfo, weft_text *ret);

/* ---- client_pool.c ------------------------------------------------------ */

/* The host that x goes to next; to be left again. NULL: no memory. */
struct wf_client_host *wf_client_find_host(struct weft_http_exchange_ *x);
void wf_client_leave_host(weft_http *h, struct wf_client_host *host);

/* Waits for a place at x->host, with *ret_conn if one is idle there. */
int wf_client_take_place(struct weft_http_exchange_ *x,
                         struct wf_client_conn **ret_conn);
void wf_client_give_place(weft_http *h, struct wf_client_host *host);

/* An idle one of that host with its place, or NULL. */
struct wf_client_conn *wf_client_pop_idle(weft_http *h,
                                          struct wf_client_host *host);
void wf_client_push_idle(struct wf_client_conn *c, weft_time keep);

/* Closes those that have been idle too long at this moment, or all. */
void wf_client_expire(weft_http *h, bool all);

/* Tells all who wait that there will be nothing. */
void wf_client_refuse_waiters(weft_http *h);

/* The fiber that does so in time. */
int wf_client_keeper(void *client);

/* ---- client_wire.c ------------------------------------------------------ */

struct wf_client_conn *wf_client_conn_new(weft_http *h,
                                          struct wf_client_host *host);

/* Closes what it is over; the memory and the place stay. */
void wf_client_shut(struct wf_client_conn *c);

/* Closes and frees it; its place is still there. */
void wf_client_conn_free(struct wf_client_conn *c);

/* Gives the input buffer back, which has to be empty. */
void wf_client_release_input(struct wf_client_conn *c);

ssize_t wf_client_try_read(struct wf_client_conn *c, void *buf, size_t len);
ssize_t wf_client_try_write(struct wf_client_conn *c, const void *buf,
                            size_t len);
int wf_client_wait(struct wf_client_conn *c, int events);

/* Reads behind what is there, making room for up to `most` octets in all.
 * Octets; 0: the end; -EAGAIN; -ENOBUFS: there are so many; other errors. */
ssize_t wf_client_try_fill(struct wf_client_conn *c, size_t most);

/* The next octets that are there to be read. */
static inline const char *wf_client_input(const struct wf_client_conn *c)
{
    return c->in + c->in_from;
}
void wf_client_consume(struct wf_client_conn *c, size_t n);

/* ---- client_limit.c ----------------------------------------------------- */

/* A limit of time: on the stack of who waits. */
struct wf_client_limit {
    weft_scope scope;
    weft_time ns;
    bool moved; /* something has come, or gone, since */
};

void wf_client_begin(struct weft_http_exchange_ *x, struct wf_client_limit *l,
                     weft_time ns);

/* The time of an idle limit begins anew. */
void wf_client_moved(struct weft_http_exchange_ *x, struct wf_client_limit *l);

/* Ends it: an expiry becomes -ETIMEDOUT, "WHAT of URL: SENTENCE within 30
 * s". */
int wf_client_end(struct weft_http_exchange_ *x, struct wf_client_limit *l,
                  int rc, const char *what, const char *sentence);

/* What is always there is not waited for, and has no limit but this: 0, or
 * -ETIMEDOUT. */
int wf_client_check_total(struct weft_http_exchange_ *x);

/* "30 s" in a buffer of so many octets. */
enum { WF_CLIENT_TIME_TEXT = 32 };
char *wf_client_time_text(weft_time ns, char buf[WF_CLIENT_TIME_TEXT]);

/* ---- client_conn.c ------------------------------------------------------ */

/* Gets x a connection, one that was used or a new one; with `fresh`, it has the
 * place already and the connection is new. */
int wf_client_connect(struct weft_http_exchange_ *x, bool fresh);

/* ---- client_tunnel.c ---------------------------------------------------- */

/* Asks the proxy at the other end for the way to c's host (RFC 9110, 9.3.6). */
int wf_client_tunnel(struct wf_client_conn *c);

/* ---- client_head.c ------------------------------------------------------ */

/* Looks at what the caller has asked for; nothing is sent before. */
int wf_client_check_call(struct weft_http_exchange_ *x);

/* Writes x->head. */
int wf_client_write_head(struct weft_http_exchange_ *x);

bool wf_client_has_body(const struct weft_http_exchange_ *x);

/* ---- client_talk.c ------------------------------------------------------ */

/* Sends the request on x->conn and reads the head of the reply. */
int wf_client_talk(struct weft_http_exchange_ *x);

/* Sends octets. 0; 1: an answer came meanwhile, or the peer takes no more; or
 * an error. */
int wf_client_push(struct weft_http_exchange_ *x, const char *data, size_t len);

/* Takes in what has come of the reply: 1, x->answered; 0, more is needed. */
int wf_client_hear(struct weft_http_exchange_ *x);

/* ---- client_produce.c --------------------------------------------------- */

/* Sends what the caller's producer gives. As wf_client_push. */
int wf_client_push_produced(struct weft_http_exchange_ *x);

/* ---- client_once.c ------------------------------------------------------ */

/* One request and its reply; a stale connection does not count. */
int wf_client_once(struct weft_http_exchange_ *x);

/* May it be made twice? Can its body be had again? Has it from the
 * beginning. */
bool wf_client_is_repeatable(const struct weft_http_exchange_ *x);
bool wf_client_can_replay(const struct weft_http_exchange_ *x);
int wf_client_rewind(struct weft_http_exchange_ *x);

/* ---- client_follow.c ---------------------------------------------------- */

/* wf_client_once, along redirects. */
int wf_client_follow(struct weft_http_exchange_ *x);

/* ---- client_body.c ------------------------------------------------------ */

/* Makes ready to read the body whose head is in x->r->head. */
void wf_client_begin_body(struct weft_http_exchange_ *x);

/* Shows octets of the body in x->run: how many; 0 at its end. Without `wait`
 * -EAGAIN where it would park. */
ssize_t wf_client_next_run(struct weft_http_exchange_ *x, bool wait);

/* ---- client_resp.c ------------------------------------------------------ */

/* Is done with the reply: its rest is dropped, and read for that if it is
 * small; without `wait`, only if it is there. */
void wf_client_discard(struct weft_http_exchange_ *x, bool wait);

/* Gives up the connection, if there is one: it is closed. */
void wf_client_drop(struct weft_http_exchange_ *x);

/* The message is over: back to the pool with the connection, if it may. */
void wf_client_finish(struct weft_http_exchange_ *x);

/* Frees the exchange, which has no connection any more. */
void wf_client_exchange_free(struct weft_http_exchange_ *x);

/* Of Retry-After; 0: it is not there. */
weft_time wf_client_retry_after(const weft_resp *r);

/* A status that may be another one soon. */
bool wf_client_is_passing(int status);

#endif
