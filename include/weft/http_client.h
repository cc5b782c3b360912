/* SPDX-License-Identifier: MIT */
/*
 * weft/http_client.h (http) - asking HTTP/1.1 servers.
 *
 *     weft_http *h = weft_http_new(&(weft_http_opts){
 *         .base = "http://10.0.0.7:8080/v1/", .per_host = 8, .retries = 2});
 *     ...
 *     weft_resp r;
 *     weft_text body;
 *     int err = weft_http_get(h, "users/7", &r);       any of a thousand fibers
 *     if (err < 0) return err;
 *     err = weft_http_check(&r);                       4xx, 5xx
 *     if (err == 0) err = weft_resp_body(&r, 0, &body);
 *     if (err == 0) show(body);
 *     weft_resp_end(&r);                               always, after a 0
 *
 * One client for all requests of a thread: it keeps connections, and who makes
 * a client for each request pays for a connection each time.
 *
 * The pool. There are never more than `pool` connections, and of one host never
 * more than `per_host`, those included that are being made. A request gets the
 * one of its host that came back last, if that is still good; or a new one, for
 * which that of another host which is idle for longest makes room; or it waits.
 * Who has waited longest comes first, save where his host is at its limit.
 *
 * Never out of step. A connection is used again only if request and reply were
 * both whole and nothing came behind the reply; before that it is looked at,
 * and one that has ended or says something unasked is closed. A reply that
 * breaks a rule of RFC 9112, as weft/http_parse.h reads them, is -EBADMSG with
 * a sentence, and the end of its connection. A request that gets no octet of a
 * reply on a connection that was used before is sent once more, on a new one:
 * if its method is idempotent and its body can be had again, and otherwise
 * never (RFC 9112, 9.3.1). A reply that comes before the body has been sent
 * ends the sending, and the connection is not used again.
 *
 * Requests cannot be split: a method, URL, name or value with an octet that
 * could end a line early is -EINVAL, with a sentence, and nothing is sent.
 *
 * Time. Each step has its limit, besides any scope of the caller's; -ETIMEDOUT
 * of a limit says which in weft_last_error():
 *
 *     first byte of http://10.0.0.7:8080/v1/users/7: no answer within 30 s
 *
 * Cancelled anywhere, a request leaves no connection lent, and none that is in
 * the middle of something in the pool.
 *
 * A client belongs to the thread that made it, its replies too.
 */
#ifndef WEFT_HTTP_CLIENT_H
#define WEFT_HTTP_CLIENT_H

#include <weft/base.h>
#include <weft/dial.h>
#include <weft/error.h>
#include <weft/http.h>
#include <weft/http_parse.h>
#include <weft/nursery.h>
#include <weft/text.h>
#include <weft/transport.h>

#include <sys/types.h>

WEFT_BEGIN_DECLS

typedef struct weft_http weft_http;

/** A field of a request; a list of them ends with one whose name is NULL. */
typedef struct weft_http_header {
    const char *name;
    const char *value; /* of one call: NULL leaves out the client's own */
} weft_http_header;

/* ---- the client --------------------------------------------------------- */

/** Zeroed is fine. All is copied but `nursery`, `dial->resolver` and what
 *  `user` points to. Times: 0 is the default, WEFT_FOREVER none. */
typedef struct weft_http_opts {
    const char *name; /* for people; NULL: "http" */
    const char *base; /* what the URLs of calls are relative to, joined by RFC
                         3986, 5.2: "b" at "http://h/v1/" is /v1/b, at
                         "http://h/v1" it is /b, and "/b" is always /b. Its
                         userinfo is that of what is joined */
    const weft_http_header *headers; /* of each request, unless the call has
                         one of that name. Not those that are the client's own,
                         see weft_http_call. NULL: none. Without a User-Agent
                         there it is "weft/" and the version; value "": none */

    unsigned pool;     /* connections in all; 0: 100 */
    unsigned per_host; /* of one host and port; 0: as many as `pool` */
    weft_time max_idle; /* then a kept one is closed; 0: 30 s; less: none is
                           kept. Also as the server's Keep-Alive says */
    weft_nursery *nursery; /* a daemon of it closes the idle in time; it ends
                         with weft_http_free. NULL: they are looked at when a
                         request is made or ends, and stay until then */

    weft_time pool_wait;          /* for a connection; 0: 30 s */
    weft_time connect_timeout;    /* name, address, proxy and TLS; 0: 10 s */
    weft_time first_byte_timeout; /* from the end of the request; 0: 30 s */
    weft_time idle_timeout;       /* without an octet, either way; 0: 30 s */
    weft_time total_timeout;      /* from the call to the end of the body, with
                                     all retries and redirects; 0: 5 min */

    unsigned redirects; /* that are followed; 0: none, 3xx is as any reply; no
                           more than WEFT_HTTP_REDIRECTS */
    bool downgrade;     /* follow also from https to http */
    unsigned retries;   /* of requests that may be made twice; 0: none */
    weft_time retry_base, retry_cap; /* as weft_retry_opts */
    bool userinfo;      /* "http://user:word@host/" makes Basic authorization
                           (RFC 7617); by default such a URL is refused */

    weft_http_limits limits; /* of the head of a reply, and of its trailers */
    size_t max_body;         /* of weft_resp_body; 0: 16 MiB */

    const char *proxy;    /* "http://[user:word@]host:port"; its userinfo goes
                             to the proxy (RFC 7617). NULL: none */
    const char *no_proxy; /* who is asked directly: "*", or names and addresses
                             with commas between: "example.org" is also all
                             names below, ".example.org" only those, with or
                             without ":port"; "10.0.0.0/8" */
    bool proxy_from_environment; /* where these two are NULL: http_proxy or
                             HTTP_PROXY, https_proxy or HTTPS_PROXY, and
                             no_proxy or NO_PROXY, as they are when the client
                             is made. HTTP_PROXY is passed over where
                             REQUEST_METHOD is set: there it may be a header
                             of whoever asks (httpoxy) */

    const weft_dial_opts *dial; /* for weft_dial_with; NULL: as weft_dial */
    /* Instead of dialling. 0 and a connection, which is the client's from then
     * on, or an error. May park. `host` has no brackets. */
    int (*connect)(weft_transport **ret, const char *host, int port,
                   void *user);
    /* TLS, for https. 0 and a transport over `below`, which that has taken
     * over; or an error, and `below` is still the client's. May park. `host` is
     * who the other side has to be. NULL: https is -EPROTONOSUPPORT. */
    int (*secure)(weft_transport **ret, weft_transport *below, const char *host,
                  void *user);
    void *user; /* of the two */
} weft_http_opts;

enum {
    WEFT_HTTP_REDIRECTS = 20, /* no option makes it more */
    WEFT_HTTP_INTERIMS = 32   /* 1xx before a reply; with more it is -EBADMSG */
};

/**
 * Makes a client; `o` may be NULL. Connects to nobody.
 *
 * Returns NULL when there is no memory, or something is wrong with the options,
 * which weft_last_error() tells: -EINVAL, a URL that is none or of another
 * scheme than http and https, a bad header, a default header without a value;
 * -EPROTONOSUPPORT, a proxy that is not of http; -ESHUTDOWN and -EAGAIN, of
 * spawning in the nursery.
 */
WEFT_MUST weft_http *weft_http_new(const weft_http_opts *o);

/**
 * Ends it: what is idle is closed, who waits for a connection gets -ESHUTDOWN,
 * and what is under way -EBADF. NULL is fine. Never parks.
 *
 * Returns 0; -EBUSY: a reply was not ended, or a request is under way, and
 * weft_last_error() says how many, and of the oldest what it asked and the
 * place of the call. Such replies still have to be ended, and the memory goes
 * back with the last.
 */
WEFT_API int weft_http_free(weft_http *h);

/** Closes what is idle now. */
WEFT_API void weft_http_close_idle(weft_http *h);

typedef struct weft_http_client_stats {
    unsigned idle, lent, waiting; /* connections; fibers that wait for one */
    uint64_t requests; /* calls */
    uint64_t dialled;  /* connections that were made, or tried */
    uint64_t reused;   /* requests sent on one that had been used */
    uint64_t stale;    /* kept, but not good any more when looked at */
    uint64_t again;    /* sent again, as that was found out too late */
    uint64_t expired, evicted; /* closed when idle too long; to make room */
    uint64_t dropped;  /* closed after a request, and not kept */
    uint64_t retried, redirected;
    uint64_t timeouts; /* of the limits of time */
} weft_http_client_stats;
WEFT_API void weft_http_client_stats_read(const weft_http *h,
                                          weft_http_client_stats *ret_stats);

/* ---- asking ------------------------------------------------------------- */

/** Zeroed but for the URL it is a GET. Only read during the call, the producer
 *  too. */
typedef struct weft_http_call {
    const char *method; /* a token, case counts; NULL: "GET" */
    const char *url;    /* absolute, or relative to `base`; NULL: `base` */
    /* In place of the client's of the same name, or besides. The client's own
     * are -EINVAL: Host, Content-Length, Transfer-Encoding, Connection,
     * Keep-Alive, Proxy-Connection, TE, Trailer, Upgrade, Expect. */
    const weft_http_header *headers;

    const void *body; /* with its length, */
    size_t body_len;
    /* or piece by piece: up to `len` octets into buf. How many; 0: that was
     * all; or an error, which is what the call returns. May park. */
    ssize_t (*produce)(void *buf, size_t len, void *user);
    uint64_t length;  /* what produce gives: it is asked for no more; 0: not
                         known, and it is sent in chunks */
    /* From the beginning again: 0 or an error. May park. NULL: it cannot be had
     * again, so that no request is made twice. */
    int (*rewind)(void *user);
    void *user; /* of the two */
    const weft_http_header *trailers; /* behind chunks; looked at when produce
                         is at its end. -EINVAL without chunks */

    bool expect_continue; /* ask before sending the body, and wait for the
                         answer for a second at most (RFC 9110, 10.1.1) */
    bool close;           /* do not use the connection again */
    bool repeatable;      /* may be made twice, though the method does not say
                             so: one with an Idempotency-Key, say */
    bool no_redirects, no_retries;
    weft_time first_byte_timeout, idle_timeout, total_timeout; /* 0: the
                         client's */
} weft_http_call;

/** A reply. What its texts point to is good until weft_resp_end. */
typedef struct weft_resp {
    int status;              /* 200 to 999: what is interim is passed over */
    weft_http_response head; /* as parsed (weft/http_parse.h): reason, fields */
    weft_text url;           /* that has answered, in the end; no fragment */
    uint64_t received;       /* octets of body, without the chunks' own */
    unsigned redirects;      /* that were followed */
    unsigned attempts;       /* requests that were sent, or tried to be */
    bool reused;             /* it came on a connection used before */
    bool repeatable_;
    struct weft_http_exchange_ *in_;
} weft_resp;

/**
 * Sends a request and reads the head of the reply, which is in *ret from then
 * on and has to be ended. A status of any kind is a success, see
 * weft_http_check. After an error there is nothing to end: ret->status is 0.
 *
 * Redirects (if there are to be any): 301, 302, 303, 307 and 308 with a
 * Location are followed. 303 makes GET of all but HEAD, 301 and 302 of POST;
 * then the body is left out, and the fields that are about it. Otherwise body
 * and method are sent again; where the body cannot be had again the 3xx is the
 * reply. To another scheme, host or port go no Authorization, Cookie or
 * Proxy-Authorization, nor later in that call.
 *
 * Retries: after a failure that is transient (weft/retry.h), and after 429,
 * 502, 503 and 504, if the method is idempotent and the body can be had again.
 * The waits are those of weft_retry, and at least what Retry-After says, in
 * seconds or as a date. The last reply is returned as it is, as it is when
 * there is no time left for another.
 *
 * Parks. Returns 0; -ECANCELED; -EINVAL: method, URL, header or the like, or no
 * base for a relative URL; -EMSGSIZE: a head of more than 64 KiB;
 * -EPROTONOSUPPORT: a scheme that is not http, or https without `secure`;
 * -ETIMEDOUT: a limit of time; -ESHUTDOWN, -EBADF: the client was ended;
 * -EBADMSG: the reply, or a redirect's Location, breaks the rules; -EPIPE: the
 * connection ended before the head did; -ELOOP: more redirects, or in a circle;
 * -EACCES: a redirect to http, or the proxy refused (407, 403, ...); what
 * weft_dial_with, the hooks, produce and rewind return; -ECONNRESET, ...;
 * -ENODATA: produce gave less than `length`; -ENOMEM.
 */
#define weft_http_send(h, call, ret)                                           \
    weft_http_send_((h), (call), (ret), __FILE__, __LINE__)
WEFT_PARKS int weft_http_send_(weft_http *h, const weft_http_call *call,
                               weft_resp *ret, const char *file, int line);

/** The usual ones, as by weft_http_send; `type` is the Content-Type, NULL: it
 *  has none. */
#define weft_http_get(h, url, ret)                                             \
    weft_http_get_((h), (url), (ret), __FILE__, __LINE__)
#define weft_http_post(h, url, type, body, len, ret)                           \
    weft_http_post_((h), (url), (type), (body), (len), (ret), __FILE__,        \
                    __LINE__)
WEFT_PARKS int weft_http_get_(weft_http *h, const char *url, weft_resp *ret,
                              const char *file, int line);
WEFT_PARKS int weft_http_post_(weft_http *h, const char *url, const char *type,
                               const void *body, size_t len, weft_resp *ret,
                               const char *file, int line);

/* ---- the reply ---------------------------------------------------------- */

/** The first field of that name; at NULL: none. For others see r->head.fields
 *  and weft/http.h. */
WEFT_API weft_text weft_resp_field(const weft_resp *r, const char *name);

/**
 * Reads some octets of the body, up to `len`.
 *
 * Parks. Returns octets; 0 at its end; -ECANCELED, and nothing is lost; -EPIPE:
 * the connection ended before the body; -EBADMSG: its chunks or trailers break
 * the rules; -ETIMEDOUT; -EBADF: the client was ended; -EINVAL: there is no
 * reply; -ECONNRESET, -ENOMEM, ... Of a reply, an error other than -ECANCELED
 * and -ENOMEM comes again at each later call.
 */
WEFT_PARKS ssize_t weft_resp_read(weft_resp *r, void *buf, size_t len);

/** Shows octets of the body without copying them: good until the next call on
 *  *r. Parks. Returns as weft_resp_read. */
WEFT_PARKS ssize_t weft_resp_peek(weft_resp *r, const char **ret_data);

/** Takes the first n octets of what was shown, or all if n is more. */
WEFT_API void weft_resp_consume(weft_resp *r, size_t n);

/**
 * All of the body, or what is left of it, with a 0 behind that does not count;
 * good until weft_resp_end. Called again it is the same text.
 *
 * Parks. Returns 0; -EMSGSIZE: more than `max` octets (0: the client's
 * max_body), at once where the head says so; or as weft_resp_read. After
 * -ECANCELED or -ENOMEM it may be called again.
 */
WEFT_PARKS int weft_resp_body(weft_resp *r, size_t max, weft_text *ret);

/** A field of the trailers, which have come when the body has been read to its
 *  end; at NULL: none. */
WEFT_API weft_text weft_resp_trailer(const weft_resp *r, const char *name);

/* The code of weft_http_check. EREMOTEIO is Linux's; EREMOTE stands for it
 * where there is none (macOS, BSD), and means nothing else to weft. */
#ifdef EREMOTEIO
#define WEFT_EREMOTEIO EREMOTEIO
#else
#define WEFT_EREMOTEIO EREMOTE
#endif

/**
 * Is it an answer, and no refusal? Inside of a weft_retry around it all it also
 * passes on what Retry-After asks for (weft_retry_after).
 *
 * Returns 0 below 400; -WEFT_EREMOTEIO, and weft_last_error() has the status
 * and the URL. The reply stays as it is.
 */
WEFT_MUST int weft_http_check(const weft_resp *r);

/**
 * For weft_retry_opts.when, with the address of the weft_resp for its user: is
 * it worth another attempt? Yes, if the code is transient (weft/retry.h), or it
 * is that of weft_http_check and the status 429, 502, 503 or 504; and if the
 * request was one that may be made twice.
 */
WEFT_API bool weft_http_retry_when(int code, const weft_error *e,
                                   unsigned attempt, void *resp);

/**
 * Ends the reply. What is left of the body is read and dropped if it is not
 * more than 64 KiB and comes within a second; else the connection is closed. A
 * client that is cancelled does not wait for that. Twice is fine, and so is a
 * zeroed one.
 *
 * Parks if it waits, but is no cancel point. Returns 0, or what reading the
 * body has failed with.
 */
WEFT_API int weft_resp_end(weft_resp *r);

WEFT_END_DECLS

#endif
