/* SPDX-License-Identifier: MIT */
/*
 * client_body.c - the body of a reply, run by run.
 *
 * A run stands in the buffer of the connection, which takes nothing more in
 * until it is used up. With the last octet of the message, which may be known
 * only with a later one of the framing, the connection goes back to the pool.
 */
#include "client.h"

#include <string.h>

#include <weft/fiber.h>

enum { DIRECT = 4096 }; /* octets that are worth being read where they go */

void wf_client_begin_body(struct weft_http_exchange_ *x)
{
    const weft_http_response *head = &x->r->head;
    x->run = (weft_text){NULL, 0};
    x->error = 0; /* of one that was passed over */
    x->done = head->framing == WEFT_HTTP_NO_BODY;
    x->left = head->framing == WEFT_HTTP_LENGTH ? head->length : 0;
    if (head->framing == WEFT_HTTP_LENGTH && x->left == 0) x->done = true;
    weft_http_chunked_init(&x->chunked);
    x->trailers = (weft_http_trailers){0};
    if (x->done) wf_client_finish(x);
}

/* ---- what is there ------------------------------------------------------ */

static int bad_body(struct weft_http_exchange_ *x, int code, const char *wrong)
{
    if (x->unwanted) return code;
    return weft_fail_at(code, x->file, x->line, "body of " WF_CLIENT_URL ": %s",
                        WF_CLIENT_URL_ARGS(x), wrong);
}

static void show(struct weft_http_exchange_ *x, size_t n)
{
    x->run = (weft_text){wf_client_input(x->conn), n};
    wf_client_consume(x->conn, n);
}

static int take_length(struct weft_http_exchange_ *x)
{
    size_t n = x->conn->in_len;
    if (n > x->left) n = (size_t)x->left;
    show(x, n);
    x->left -= n;
    x->done = n == 0 && x->left == 0;
    return 0;
}

static int take_until_close(struct weft_http_exchange_ *x)
{
    show(x, x->conn->in_len);
    x->done = x->run.len == 0 && x->conn->ended;
    return 0;
}

static int begin_trailers(struct weft_http_exchange_ *x)
{
    weft_http_mark *marks =
        weft_arena_alloc(&x->reply, x->room * sizeof *marks);
    if (!marks) return -ENOMEM;
    weft_http_trailers_init(&x->trailers, marks, x->room, &x->h->opts.limits);
    return 0;
}

static int take_trailers(struct weft_http_exchange_ *x)
{
    struct wf_client_conn *c = x->conn;
    int err = x->trailers.fields.marks ? 0 : begin_trailers(x);
    if (err < 0) return err;
    ssize_t n =
        weft_http_parse_trailers(&x->trailers, wf_client_input(c), c->in_len);
    if (n < 0) return bad_body(x, -EBADMSG, x->trailers.wrong);
    if (n == 0) return 0;
    char *copy = weft_arena_alloc(&x->reply, (size_t)n);
    if (!copy) return -ENOMEM;
    memcpy(copy, wf_client_input(c), (size_t)n);
    weft_http_trailers_move(&x->trailers, copy);
    wf_client_consume(c, (size_t)n);
    x->done = true;
    return 0;
}

static int take_chunks(struct weft_http_exchange_ *x)
{
    struct wf_client_conn *c = x->conn;
    while (c->in_len > 0 && x->run.len == 0 && !x->chunked.trailers) {
        ssize_t n = weft_http_dechunk(&x->chunked, wf_client_input(c),
                                      c->in_len, &x->run);
        if (n < 0) return bad_body(x, -EBADMSG, x->chunked.wrong);
        wf_client_consume(c, (size_t)n);
    }
    return x->run.len == 0 && x->chunked.trailers ? take_trailers(x) : 0;
}

/* Makes a run of what is there, or the end of it. */
static int take(struct weft_http_exchange_ *x)
{
    switch (x->r->head.framing) {
    case WEFT_HTTP_LENGTH:
        return take_length(x);
    case WEFT_HTTP_CHUNKED:
        return take_chunks(x);
    default:
        return take_until_close(x);
    }
}

/* ---- what is to come ---------------------------------------------------- */

static int await_octets(struct weft_http_exchange_ *x)
{
    struct wf_client_limit limit;
    wf_client_begin(x, &limit, x->idle);
    int rc = wf_client_wait(x->conn, WEFT_READABLE);
    return wf_client_end(x, &limit, rc < 0 ? rc : 0, "idle time of",
                         "no octet of the body");
}

static int fill(struct weft_http_exchange_ *x, bool may_wait)
{
    struct wf_client_conn *c = x->conn;
    size_t most = x->h->opts.limits.head + WEFT_HTTP_EXTENSIONS;
    if (c->ended) return bad_body(x, -EPIPE, "the connection ended within it");
    int late = wf_client_check_total(x);
    if (late < 0) return late;
    for (;;) {
        ssize_t n = wf_client_try_fill(c, most);
        if (n >= 0) return 0;
        if (n != -EAGAIN) return (int)n;
        if (!may_wait) return -EAGAIN;
        int err = await_octets(x);
        if (err < 0) return err;
    }
}

/* What comes again breaks the message, and the connection with it. */
static ssize_t fail(struct weft_http_exchange_ *x, int code)
{
    if (code == -ECANCELED || code == -ENOMEM || code == -EAGAIN ||
        code == -EPERM)
        return code;
    x->error = code;
    wf_client_drop(x);
    return code;
}

ssize_t wf_client_next_run(struct weft_http_exchange_ *x, bool may_wait)
{
    if (x->error < 0) return x->error;
    while (x->run.len == 0 && !x->done) {
        int err = take(x);
        if (err == 0 && x->run.len == 0 && !x->done) err = fill(x, may_wait);
        if (err < 0) return fail(x, err);
    }
    if (x->done && x->run.len == 0) wf_client_finish(x);
    return (ssize_t)x->run.len;
}

/* ---- the calls ---------------------------------------------------------- */

/* The caller may have copied it elsewhere since. */
static ssize_t begin(weft_resp *r)
{
    int err = weft_checkpoint();
    if (err < 0) return err;
    if (!r->in_) return weft_fail(-EINVAL, "http: there is no reply");
    r->in_->r = r;
    return 0;
}

ssize_t weft_resp_peek(weft_resp *r, const char **ret_data)
{
    ssize_t n = begin(r);
    if (n == 0) n = wf_client_next_run(r->in_, true);
    *ret_data = n > 0 ? r->in_->run.at : NULL;
    return n;
}

void weft_resp_consume(weft_resp *r, size_t n)
{
    struct weft_http_exchange_ *x = r->in_;
    if (!x) return;
    x->r = r;
    if (n > x->run.len) n = x->run.len;
    x->run.at += n;
    x->run.len -= n;
    r->received += n;
    if (x->run.len > 0 || x->error < 0 || x->done) return;
    x->done = r->head.framing == WEFT_HTTP_LENGTH && x->left == 0;
    if (x->done) wf_client_finish(x);
}

/* Straight to where it is wanted, if nothing of it is here. */
static ssize_t read_direct(struct weft_http_exchange_ *x, void *buf, size_t len)
{
    struct wf_client_conn *c = x->conn;
    bool counted = x->r->head.framing == WEFT_HTTP_LENGTH;
    if (counted && len > x->left) len = (size_t)x->left;
    ssize_t n = wf_client_check_total(x);
    if (n < 0) return fail(x, (int)n);
    while ((n = wf_client_try_read(c, buf, len)) == -EAGAIN) {
        int err = await_octets(x);
        if (err < 0) return fail(x, err);
    }
    if (n < 0) return fail(x, (int)n);
    if (n == 0) c->ended = true;
    if (n == 0) return wf_client_next_run(x, true); /* knows what it means */
    x->r->received += (uint64_t)n;
    if (!counted) return n;
    x->left -= (uint64_t)n;
    x->done = x->left == 0;
    if (x->done) wf_client_finish(x);
    return n;
}

ssize_t weft_resp_read(weft_resp *r, void *buf, size_t len)
{
    struct weft_http_exchange_ *x = r->in_;
    ssize_t n = begin(r);
    if (n < 0 || len == 0) return n;
    if (len >= DIRECT && x->conn && x->run.len == 0 && !x->done &&
        x->conn->in_len == 0 && !x->conn->ended &&
        r->head.framing != WEFT_HTTP_CHUNKED)
        return read_direct(x, buf, len);
    n = wf_client_next_run(x, true);
    if (n <= 0) return n;
    if ((size_t)n > len) n = (ssize_t)len;
    memcpy(buf, x->run.at, (size_t)n);
    weft_resp_consume(r, (size_t)n);
    return n;
}

/* ---- all of it ---------------------------------------------------------- */

static int too_long(struct weft_http_exchange_ *x, size_t max)
{
    return weft_fail_at(-EMSGSIZE, x->file, x->line,
                        "body of " WF_CLIENT_URL ": more than %zu octets",
                        WF_CLIENT_URL_ARGS(x), max);
}

/* Room for n more, and a 0. */
static int grow(struct weft_http_exchange_ *x, size_t n)
{
    size_t need = x->body_len + n + 1, room = 2 * x->body_room;
    if (need <= x->body_room) return 0;
    if (room < need) room = need;
    char *body = weft_arena_resize(&x->reply, x->body, x->body_room, room);
    if (!body) return -ENOMEM;
    x->body = body;
    x->body_room = room;
    return 0;
}

int weft_resp_body(weft_resp *r, size_t max, weft_text *ret)
{
    struct weft_http_exchange_ *x = r->in_;
    ssize_t n = begin(r);
    if (n < 0) return (int)n;
    if (max == 0) max = x->h->opts.max_body;
    if (x->left + x->run.len + x->body_len > max) return too_long(x, max);
    while ((n = wf_client_next_run(x, true)) > 0) {
        if ((size_t)n > max - x->body_len) return too_long(x, max);
        int err = grow(x, (size_t)n);
        if (err < 0) return err;
        memcpy(x->body + x->body_len, x->run.at, (size_t)n);
        x->body_len += (size_t)n;
        weft_resp_consume(r, (size_t)n);
    }
    if (n == 0) n = grow(x, 0);
    if (n < 0) return (int)n;
    x->body[x->body_len] = 0;
    *ret = (weft_text){x->body, x->body_len};
    return 0;
}
