/* SPDX-License-Identifier: MIT */
/*
 * server_body.c - the body of a request, as it comes.
 *
 * The octets stay in the stream. `run` says how many of the next ones are of the
 * body, and `behind` how many of the chunked coding come after these: they have
 * been looked at, and are consumed with the last of the run.
 *
 * An error is for good: the connection is not in step any more. Only to be
 * cancelled is none.
 */
#include "server.h"

#include <weft/error.h>
#include <weft/fiber.h>

#include <string.h>

enum {
    SMALL = 65536, /* worth reading to stay in step */
    MAX_TRAILERS = 8192,
    FIRST_PIECE = 4096
};

void wf_body_begin(struct wf_exchange *x)
{
    const weft_http_request *head = &x->req.head;
    x->is.chunked = head->framing == WEFT_HTTP_CHUNKED;
    x->is.left = head->length;
    x->is.body_ended = !x->is.chunked && x->is.left == 0;
    x->is.expects = head->expects_continue && !x->is.body_ended;
    if (x->is.chunked) weft_http_chunked_init(&x->chunks);
}

bool wf_body_is_small(const struct wf_exchange *x)
{
    if (x->is.body_ended) return true;
    return !x->is.body_error && !x->is.expects &&
           (x->is.chunked || x->is.left <= SMALL);
}

/* The server is to answer with that, if nobody has. */
static int refuse(struct wf_exchange *x, int err, int status, const char *why)
{
    x->link->refusal = status;
    x->link->why = why;
    x->is.body_error = err;
    x->is.run = 0;
    return weft_fail_at(err, NULL, 0, "http: %s", why);
}

static int too_large(struct wf_exchange *x)
{
    return refuse(x, -EMSGSIZE, 413, "the body is larger than is allowed");
}

static int malformed(struct wf_exchange *x, const char *why)
{
    return refuse(x, -EBADMSG, 400, why);
}

/* ---- waiting for octets ------------------------------------------------- */

static int send_continue(struct wf_exchange *x)
{
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    int err = wf_send(x, interim, sizeof interim - 1);
    if (err == 0) x->is.expects = false;
    return err;
}

/* More octets than `have`, as weft_stream_more. */
static ssize_t more(struct wf_exchange *x, size_t have, const char **ret_data)
{
    weft_stream *s = &x->link->stream;
    if (weft_stream_buffered(s) > have)
        return weft_stream_more(s, have, SIZE_MAX, ret_data);
    if (x->is.expects && x->req.status == 0) {
        int err = send_continue(x);
        if (err < 0) return err;
    }
    weft_time begun = wf_wait_begin(x, WF_BODY);
    ssize_t n = weft_stream_more(s, have, SIZE_MAX, ret_data);
    bool moved = n > 0 && (size_t)n > have;
    wf_wait_end(x, WF_BODY, begun, moved ? (size_t)n - have : 0);
    if (n < 0 && n != -ECANCELED && n != -ENOMEM) x->is.lost = (int)n;
    if (n >= 0 && !moved)
        return refuse(x, -EPIPE, 400, "the request ends within its body");
    return n;
}

/* ---- trailers ----------------------------------------------------------- */

static int keep_trailers(struct wf_exchange *x, weft_http_trailers *t,
                         const char *data, size_t len)
{
    char *copy = weft_arena_alloc(&x->req.arena, len);
    if (!copy) return -ENOMEM;
    memcpy(copy, data, len);
    weft_http_trailers_move(t, copy);
    weft_stream_consume(&x->link->stream, len);
    x->trailers = t->fields;
    x->is.has_trailers = true;
    x->is.body_ended = true;
    return 0;
}

static int read_trailers(struct wf_exchange *x)
{
    weft_http_limits limits = x->link->server->opts.limits;
    weft_http_trailers t;
    const char *data = "";
    size_t have = 0;
    if (limits.head > MAX_TRAILERS) limits.head = MAX_TRAILERS;
    weft_http_mark *marks =
        weft_arena_array(&x->req.arena, limits.fields, sizeof *marks);
    if (!marks) return -ENOMEM;
    weft_http_trailers_init(&t, marks, limits.fields, &limits);
    for (;;) {
        ssize_t n = more(x, have, &data);
        if (n < 0) return (int)n;
        have = (size_t)n;
        n = weft_http_parse_trailers(&t, data, have);
        if (n > 0) return keep_trailers(x, &t, data, (size_t)n);
        if (n < 0) return refuse(x, -EBADMSG, t.status, t.wrong);
    }
}

/* ---- the next run ------------------------------------------------------- */

static int next_of_length(struct wf_exchange *x, const char **ret_data)
{
    if (x->is.left > x->max_body) return too_large(x);
    ssize_t n = more(x, 0, ret_data);
    if (n < 0) return (int)n;
    x->is.run = (uint64_t)n < x->is.left ? (size_t)n : (size_t)x->is.left;
    return 0;
}

static int next_of_chunks(struct wf_exchange *x, const char **ret_data)
{
    weft_stream *s = &x->link->stream;
    weft_text run = {NULL, 0};
    while (!x->chunks.trailers) {
        const char *data = NULL;
        ssize_t n = more(x, 0, &data);
        if (n < 0) return (int)n;
        n = weft_http_dechunk(&x->chunks, data, (size_t)n, &run);
        if (n < 0) return malformed(x, x->chunks.wrong);
        if (run.len == 0) {
            weft_stream_consume(s, (size_t)n);
            continue;
        }
        size_t before = (size_t)(run.at - data);
        if (run.len > x->max_body || x->req.received > x->max_body - run.len)
            return too_large(x);
        weft_stream_consume(s, before);
        x->is.behind = (size_t)n - before - run.len;
        x->is.run = run.len;
        *ret_data = run.at;
        return 0;
    }
    return read_trailers(x);
}

ssize_t weft_req_peek(weft_req *r, const char **ret_data)
{
    struct wf_exchange *x = wf_exchange_of(r);
    if (x->is.body_error) return x->is.body_error;
    if (x->is.lost) return x->is.lost;
    if (x->is.body_ended || x->is.upgraded) return weft_checkpoint();
    if (x->is.run > 0) {
        ssize_t n = weft_stream_peek(&x->link->stream, ret_data);
        return n < 0 ? n : (ssize_t)x->is.run;
    }
    int err = x->is.chunked ? next_of_chunks(x, ret_data)
                            : next_of_length(x, ret_data);
    return err < 0 ? err : (ssize_t)x->is.run;
}

void weft_req_consume(weft_req *r, size_t n)
{
    struct wf_exchange *x = wf_exchange_of(r);
    if (n > x->is.run) n = x->is.run;
    if (n == 0) return;
    weft_stream_consume(&x->link->stream, n);
    x->is.run -= n;
    r->received += n;
    if (!x->is.chunked) {
        x->is.left -= n;
        x->is.body_ended = x->is.left == 0;
    }
    if (x->is.run > 0 || x->is.behind == 0) return;
    weft_stream_consume(&x->link->stream, x->is.behind);
    x->is.behind = 0;
}

/* ---- what is made of these ---------------------------------------------- */

ssize_t weft_req_read(weft_req *r, void *buf, size_t len)
{
    const char *data;
    if (len == 0) return weft_checkpoint();
    ssize_t n = weft_req_peek(r, &data);
    if (n <= 0) return n;
    if ((size_t)n < len) len = (size_t)n;
    memcpy(buf, data, len);
    weft_req_consume(r, len);
    return (ssize_t)len;
}

/* Room for `need` octets and a 0. */
static int make_room(struct wf_exchange *x, struct wf_lines *t, size_t need)
{
    if (need < t->room) return 0;
    size_t room = t->room ? t->room : FIRST_PIECE;
    while (room <= need)
        room *= 2;
    if (!x->is.chunked && room > x->is.left + t->len) /* no more will come */
        room = (size_t)(x->is.left + t->len) + 1;
    char *at = weft_arena_resize(&x->req.arena, t->at, t->room, room);
    if (!at) return -ENOMEM;
    t->at = at;
    t->room = room;
    return 0;
}

int weft_req_body(weft_req *r, size_t max, weft_text *ret_body)
{
    struct wf_exchange *x = wf_exchange_of(r);
    struct wf_lines t = {NULL, 0, 0};
    if (max == 0)
        max = x->max_body < SIZE_MAX / 2 ? (size_t)x->max_body : SIZE_MAX / 2;
    if (!x->is.body_error && !x->is.chunked && x->is.left > max)
        return too_large(x);
    for (;;) {
        const char *data;
        ssize_t n = weft_req_peek(r, &data);
        if (n < 0) return (int)n;
        if ((size_t)n > max - t.len) return too_large(x);
        int err = make_room(x, &t, t.len + (size_t)n);
        if (err < 0) return err;
        if (n == 0) break;
        memcpy(t.at + t.len, data, (size_t)n);
        weft_req_consume(r, (size_t)n);
        t.len += (size_t)n;
    }
    t.at[t.len] = 0;
    *ret_body = (weft_text){t.at, t.len};
    return 0;
}

int wf_body_drain(struct wf_exchange *x)
{
    const char *data;
    for (uint64_t done = 0; done <= SMALL;) {
        ssize_t n = weft_req_peek(&x->req, &data);
        if (n <= 0) return (int)n;
        weft_req_consume(&x->req, (size_t)n);
        done += (size_t)n;
    }
    return -EMSGSIZE;
}
