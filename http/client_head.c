/* SPDX-License-Identifier: MIT */
/*
 * client_head.c - what is asked, looked at and written.
 *
 * The head is written before there is a connection: what cannot be sent costs
 * none, and no octet of it has gone.
 */
#include "client.h"

#include <string.h>

#include <weft/buffer.h>

enum { USUAL_HEAD = 8192, LARGEST_HEAD = 65536 };

bool wf_client_has_body(const struct weft_http_exchange_ *x)
{
    return !x->bodiless && (x->call->body_len > 0 || x->call->produce);
}

/* ---- what may be asked -------------------------------------------------- */

static int wrong(const struct weft_http_exchange_ *x, const char *sentence)
{
    return weft_fail_at(-EINVAL, x->file, x->line, "http: %s", sentence);
}

static int check_method(const struct weft_http_exchange_ *x)
{
    if (!weft_http_is_token(x->method))
        return wrong(x, "the method is no token");
    if (x->verb == WEFT_HTTP_CONNECT)
        return wrong(x, "CONNECT is for proxies, see weft_http_opts");
    return 0;
}

static int check_body(const struct weft_http_exchange_ *x)
{
    const weft_http_call *c = x->call;
    if (c->body_len > 0 && !c->body) return wrong(x, "the body is NULL");
    if (c->body_len > 0 && c->produce)
        return wrong(x, "there is a body, and a producer of one");
    if (c->trailers && (!c->produce || c->length > 0))
        return wrong(x, "trailers need a body in chunks");
    if (x->verb == WEFT_HTTP_TRACE && wf_client_has_body(x))
        return wrong(x, "TRACE has no body");
    return 0;
}

static int check_headers(const weft_http_header *list)
{
    for (; list && list->name; list++) {
        weft_text value = weft_text_of(list->value ? list->value : "");
        int err = wf_client_check_header(weft_text_of(list->name), value);
        if (err < 0) return err;
    }
    return 0;
}

/* Which names may come so late is known by the parser. */
static int check_trailers(struct weft_http_exchange_ *x)
{
    weft_http_mark mark;
    for (const weft_http_header *l = x->call->trailers; l && l->name; l++) {
        weft_http_trailers t;
        weft_http_writer w;
        size_t room = strlen(l->name) + 8;
        char *line = weft_arena_alloc(&x->reply, room);
        if (!line) return -ENOMEM;
        weft_http_writer_init(&w, line, room);
        (void)weft_http_write_field(&w, weft_text_of(l->name),
                                    weft_text_of(""));
        int err = weft_http_write_end(&w);
        if (err < 0) return err;
        weft_http_trailers_init(&t, &mark, 1, NULL);
        if (weft_http_parse_trailers(&t, w.at, w.len) <= 0)
            return weft_fail_at(-EINVAL, x->file, x->line,
                                "http: %.40s cannot be a trailer", l->name);
    }
    return 0;
}

int wf_client_check_call(struct weft_http_exchange_ *x)
{
    int err = check_method(x);
    if (err == 0) err = check_body(x);
    if (err == 0) err = check_headers(x->call->headers);
    return err == 0 ? check_trailers(x) : err;
}

/* ---- fields ------------------------------------------------------------- */

static bool is_in(weft_text name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (weft_text_is_nocase(name, names[i])) return true;
    return false;
}

/* Not for another origin than was asked. */
static bool is_secret(weft_text name)
{
    static const char *const names[] = {"Authorization", "Cookie",
                                        "Proxy-Authorization"};
    return is_in(name, names, sizeof names / sizeof *names);
}

/* Means nothing without a body (RFC 9110, 15.4). */
static bool is_about_body(weft_text name)
{
    static const char *const names[] = {"Digest", "Repr-Digest",
                                        "Last-Modified"};
    weft_text start = {name.at, 8};
    return is_in(name, names, sizeof names / sizeof *names) ||
           (name.len > 8 && weft_text_is_nocase(start, "Content-"));
}

static bool is_left_out(const struct weft_http_exchange_ *x, weft_text name)
{
    return (x->stranger && is_secret(name)) ||
           (x->bodiless && is_about_body(name));
}

static const weft_http_header *find(const weft_http_header *list,
                                    weft_text name)
{
    for (; list && list->name; list++)
        if (weft_text_equal_nocase(weft_text_of(list->name), name)) return list;
    return NULL;
}

static void write_call_headers(struct weft_http_exchange_ *x)
{
    for (const weft_http_header *l = x->call->headers; l && l->name; l++) {
        weft_text name = weft_text_of(l->name);
        if (l->value && !is_left_out(x, name))
            (void)weft_http_write_field(&x->head, name, weft_text_of(l->value));
    }
}

/* Those of the client that the call, or the URL, has not its own of. */
static void write_default_headers(struct weft_http_exchange_ *x)
{
    for (const weft_http_header *l = x->h->opts.headers; l->name; l++) {
        weft_text name = weft_text_of(l->name);
        if (find(x->call->headers, name) || is_left_out(x, name)) continue;
        if (x->basic.at && weft_text_is_nocase(name, "Authorization")) continue;
        (void)weft_http_write_field(&x->head, name, weft_text_of(l->value));
    }
}

/* Does the caller, in this call or for all of them? */
static bool says(const struct weft_http_exchange_ *x, weft_text name)
{
    return !is_left_out(x, name) &&
           (find(x->call->headers, name) || find(x->h->opts.headers, name));
}

static void write_authorization(struct weft_http_exchange_ *x)
{
    const struct wf_client_proxy *proxy = &x->h->http_proxy;
    weft_text name = weft_text_of("Authorization");
    weft_text proxy_name = weft_text_of("Proxy-Authorization");
    if (x->basic.at && !x->stranger && !find(x->call->headers, name))
        (void)weft_http_write_field(&x->head, name, x->basic);
    if (x->host->proxied && !x->host->secure && proxy->authorization.at &&
        !says(x, proxy_name))
        (void)weft_http_write_field(&x->head, proxy_name, proxy->authorization);
}

static void write_trailer_names(struct weft_http_exchange_ *x)
{
    for (const weft_http_header *l = x->call->trailers; l && l->name; l++)
        (void)weft_http_write_field(&x->head, weft_text_of("Trailer"),
                                    weft_text_of(l->name));
}

static void write_framing(struct weft_http_exchange_ *x)
{
    const weft_http_call *c = x->call;
    if (!wf_client_has_body(x)) {
        if (x->verb == WEFT_HTTP_POST || x->verb == WEFT_HTTP_PUT ||
            x->verb == WEFT_HTTP_PATCH)
            (void)weft_http_write_length(&x->head, 0);
        return;
    }
    if (!c->produce || c->length > 0) {
        (void)weft_http_write_length(&x->head,
                                     c->produce ? c->length : c->body_len);
    } else {
        (void)weft_http_write_chunked(&x->head);
        write_trailer_names(x);
    }
    x->expecting = c->expect_continue && !x->unexpecting;
    if (x->expecting)
        (void)WEFT_HTTP_WRITE(&x->head, "Expect: 100-continue\r\n");
}

/* ---- the head ----------------------------------------------------------- */

/* The authority, without a port that goes without saying. */
static weft_text host_of(const weft_url *u)
{
    size_t end = (size_t)(u->host.at - u->authority.at) + u->host.len;
    bool usual = u->port == (wf_client_is_secure(u) ? 443 : 80);
    if (u->port > 0 && !usual) return u->authority;
    return (weft_text){u->authority.at, end + u->host_is_ip6};
}

static weft_text target_of(const struct weft_http_exchange_ *x)
{
    bool whole = x->host->proxied && !x->host->secure;
    bool star = x->verb == WEFT_HTTP_OPTIONS && x->pathless;
    if (whole) return (weft_text){x->url.at, x->url.len - star};
    if (star) return weft_text_of("*"); /* RFC 9112, 3.2.4 */
    const char *path = x->to.path.at;
    return (weft_text){path, x->url.len - (size_t)(path - x->url.at)};
}

static int write_into(struct weft_http_exchange_ *x, size_t room)
{
    char *memory = weft_arena_alloc(&x->reply, room);
    if (!memory) return -ENOMEM;
    weft_http_writer_init(&x->head, memory, room);
    (void)weft_http_write_request_line(&x->head, x->method, target_of(x));
    (void)weft_http_write_field(&x->head, weft_text_of("Host"),
                                host_of(&x->to));
    write_default_headers(x);
    write_call_headers(x);
    write_authorization(x);
    write_framing(x);
    if (x->call->close || x->h->opts.max_idle < 0)
        (void)WEFT_HTTP_WRITE(&x->head, "Connection: close\r\n");
    return weft_http_write_end(&x->head);
}

int wf_client_write_head(struct weft_http_exchange_ *x)
{
    int err = write_into(x, USUAL_HEAD);
    if (err == -ENOBUFS) err = write_into(x, LARGEST_HEAD);
    if (err != -ENOBUFS) return err;
    return weft_fail_at(-EMSGSIZE, x->file, x->line,
                        "http: a head of more than 64 KiB");
}
