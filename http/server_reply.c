/* SPDX-License-Identifier: MIT */
/*
 * server_reply.c - a reply, whole or in pieces.
 *
 * Rule: req.status is 0 until the head of the final reply has been taken by the
 * stream, and from then on nothing but its body follows.
 */
#include "server.h"

#include <weft/buffer.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/http.h>
#include <weft/http_write.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    SMALL = 8192, /* is put behind the head */
    CHUNK = WEFT_BUFFER_BYTES - 32
};

/* ---- the head ----------------------------------------------------------- */

static int check_status(const weft_req *r, int status)
{
    if (r->status != 0)
        return weft_fail_at(-EALREADY, NULL, 0,
                            "http reply: %d, but %d was replied already",
                            status, r->status);
    if (status < 200 || status > 999)
        return weft_fail_at(-EINVAL, NULL, 0,
                            "http reply: %d is no status of a final reply",
                            status);
    if (r->head.verb == WEFT_HTTP_CONNECT && status < 300)
        return weft_fail_at(-EINVAL, NULL, 0,
                            "http reply: %d to CONNECT makes a tunnel, which "
                            "weft_req_upgrade does",
                            status);
    return 0;
}

static bool has_body(int status)
{
    return status != 204 && status != 205 && status != 304;
}

/* Why the connection would close behind this. */
static bool is_the_last(const struct wf_exchange *x)
{
    const struct wf_link *l = x->link;
    const weft_http_request *head = &x->req.head;
    unsigned most = l->server->opts.max_requests;
    return !head->keep_alive || head->verb == WEFT_HTTP_CONNECT ||
           x->is.framing == WF_UNTIL_CLOSE || (most > 0 && l->served >= most) ||
           (!x->is.body_ended && !wf_body_is_small(x)) || wf_link_stops(l);
}

/* What is known before the head is written. */
static void decide(struct wf_exchange *x, int status, uint64_t length)
{
    x->is.bodiless = x->req.head.verb == WEFT_HTTP_HEAD || !has_body(status);
    x->is.framing = status == 204 || status == 304                 ? WF_NONE
                    : status == 205 || length != WEFT_HTTP_UNKNOWN ? WF_LENGTH
                    : x->req.head.minor > 0                        ? WF_CHUNKED
                                            : WF_UNTIL_CLOSE;
    if (is_the_last(x)) x->is.close = true;
}

/* The head, where it stands still; and there is room for it and for n octets of
 * the body. Or it has gone already, as it is larger than that: an empty text. */
static int prepare(struct wf_exchange *x, const struct wf_reply_head *h,
                   size_t n, weft_text *ret_head)
{
    int err = wf_head_compose(x, h, ret_head);
    if (err < 0) return err;
    if (ret_head->len + n <= WEFT_BUFFER_BYTES)
        return wf_send_room(x, ret_head->len + n);
    err = wf_send(x, ret_head->at, ret_head->len);
    if (err < 0) return err;
    ret_head->len = 0;
    err = wf_send_room(x, n);
    if (err < 0) x->is.lost = err;
    return err;
}

/* The stream takes the head, and a body that is small: both or none. */
static int put(struct wf_exchange *x, const struct wf_reply_head *h,
               const void *body, size_t len)
{
    int err = wf_send_room(x, WF_USUAL_HEAD + len);
    if (err < 0) return err;
    weft_text head = wf_head_usual(x, h);
    if (!head.at) err = prepare(x, h, len, &head);
    if (err < 0) return err;
    struct iovec parts[] = {{(void *)(uintptr_t)head.at, head.len},
                            {(void *)(uintptr_t)body, len}};
    return wf_send_parts(x, parts, 2);
}

/* Begins it with `len` octets of a body, which are SMALL at most. */
static int start(struct wf_exchange *x, int status, const char *type,
                 uint64_t length, const void *body, size_t len)
{
    int err = check_status(&x->req, status);
    if (err < 0) return err;
    x->is.plain = false; /* also if this fails: it may have been the last */
    x->trailing = (struct wf_lines){NULL, 0, 0};
    decide(x, status, length);
    struct wf_reply_head h = {status, type, status == 205 ? 0 : length};
    err = put(x, &h, body, x->is.bodiless ? 0 : len);
    if (err < 0) return err;
    x->req.status = status;
    x->req.sent = len;
    x->to_send = h.length - len; /* with a length */
    return 0;
}

/* ---- whole -------------------------------------------------------------- */

int wf_reply_any(struct wf_exchange *x, int status, const char *type,
                 const void *body, size_t len)
{
    weft_req *r = &x->req;
    bool small = len <= SMALL;
    /* The head may have to wait, and the scratch does not. */
    if (weft_scratch_holds(body)) {
        char *copy = weft_arena_alloc(&r->arena, len);
        if (!copy) return -ENOMEM;
        body = memcpy(copy, body, len);
    }
    int err = start(x, status, type, len, body, small ? len : 0);
    if (err == 0 && !small) err = weft_reply_write(r, body, len);
    if (err == 0) x->is.ended = true;
    return err;
}

int weft_reply_text(weft_req *r, int status, const char *text)
{
    return weft_reply(r, status, "text/plain; charset=utf-8", text,
                      strlen(text));
}

int weft_reply_printf(weft_req *r, int status, const char *type,
                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = weft_arena_vprintf(&r->arena, format, args);
    va_end(args);
    if (!text) return -ENOMEM;
    return weft_reply(r, status, type, text, strlen(text));
}

int weft_reply_status(weft_req *r, int status)
{
    char text[80];
    const char *reason = weft_http_reason(status);
    (void)snprintf(text, sizeof text, "%d%s%s\n", status, *reason ? " " : "",
                   reason);
    return weft_reply_text(r, status, text);
}

static bool is_url(weft_text t)
{
    for (size_t i = 0; i < t.len; i++)
        if (t.at[i] <= ' ' || t.at[i] >= 127) return false;
    return t.len > 0;
}

int weft_reply_redirect(weft_req *r, int status, const char *location)
{
    bool redirects =
        (status >= 301 && status <= 303) || status == 307 || status == 308;
    if (!redirects)
        return weft_fail_at(-EINVAL, NULL, 0, "http reply: %d is no redirect",
                            status);
    if (!is_url(weft_text_of(location)))
        return weft_fail_at(-EINVAL, NULL, 0,
                            "http reply: the location is no URL");
    int err = weft_reply_field(r, "Location", location);
    return err < 0 ? err : weft_reply_status(r, status);
}

void weft_reply_close(weft_req *r)
{
    struct wf_exchange *x = wf_exchange_of(r);
    x->is.close = true;
    x->is.plain = false;
}

/* ---- in pieces ---------------------------------------------------------- */

int weft_reply_begin(weft_req *r, int status, const char *type, uint64_t length)
{
    return start(wf_exchange_of(r), status, type, length, NULL, 0);
}

static int check_write(const struct wf_exchange *x, uint64_t len)
{
    if (x->req.status == 0 || x->is.ended)
        return weft_fail_at(-EPROTO, NULL, 0, "http reply: a piece, but %s",
                            x->is.ended ? "the reply has ended"
                                        : "no reply has begun");
    if (x->is.lost) return x->is.lost;
    if (x->is.framing == WF_LENGTH && len > x->to_send && !x->is.bodiless)
        return weft_fail_at(-EMSGSIZE, NULL, 0,
                            "http reply: more than the length that was told");
    return 0;
}

static void count(struct wf_exchange *x, uint64_t len)
{
    x->req.sent += len;
    x->to_send -= len; /* with a length */
}

/* One chunk, of CHUNK octets at most that stand still. */
static int put_chunk(struct wf_exchange *x, const char *data, size_t len)
{
    char line[WEFT_HTTP_CHUNK_LINE];
    weft_http_writer w;
    weft_http_writer_init(&w, line, sizeof line);
    (void)weft_http_write_chunk(&w, len);
    int err = wf_send_room(x, len + sizeof line + 2);
    if (err < 0) return err;
    struct iovec parts[] = {{line, w.len},
                            {(void *)(uintptr_t)data, len},
                            {(void *)(uintptr_t)WEFT_HTTP_CRLF, 2}};
    return wf_send_parts(x, parts, 3);
}

static int put_chunks(struct wf_exchange *x, const char *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        size_t piece = len - at < CHUNK ? len - at : CHUNK;
        int err = put_chunk(x, data + at, piece);
        if (err < 0) {
            if (at > 0) x->is.lost = err;
            return err;
        }
        at += piece;
    }
    return 0;
}

static int write_body(struct wf_exchange *x, const void *data, size_t len)
{
    if (x->is.framing != WF_CHUNKED) return wf_send(x, data, len);
    if (!weft_scratch_holds(data)) return put_chunks(x, data, len);
    char *copy = weft_buffer_alloc(len);
    if (!copy) return -ENOMEM;
    memcpy(copy, data, len);
    int err = put_chunks(x, copy, len);
    weft_buffer_free(copy, len);
    return err;
}

int weft_reply_write(weft_req *r, const void *data, size_t len)
{
    struct wf_exchange *x = wf_exchange_of(r);
    int err = check_write(x, len);
    if (err < 0) return err;
    if (len > 0 && !x->is.bodiless) err = write_body(x, data, len);
    if (err == 0) count(x, len);
    return err;
}

int weft_reply_flush(weft_req *r)
{
    return wf_send_gathered(wf_exchange_of(r));
}

/* All of it is one chunk, which has to be whole. */
static int send_file_chunk(struct wf_exchange *x, weft_fd file, int64_t offset,
                           uint64_t len)
{
    char line[WEFT_HTTP_CHUNK_LINE];
    weft_http_writer w;
    weft_http_writer_init(&w, line, sizeof line);
    (void)weft_http_write_chunk(&w, len);
    int err = wf_send(x, line, w.len);
    if (err < 0) return err;
    err = wf_send_file(x, file, offset, len);
    if (err == 0) err = wf_send(x, WEFT_HTTP_CRLF, 2);
    if (err < 0) x->is.lost = err;
    return err;
}

int weft_reply_send_file(weft_req *r, weft_fd file, int64_t offset,
                         uint64_t len)
{
    struct wf_exchange *x = wf_exchange_of(r);
    int err = check_write(x, len);
    if (err < 0) return err;
    if (len > 0 && !x->is.bodiless)
        err = x->is.framing == WF_CHUNKED
                  ? send_file_chunk(x, file, offset, len)
                  : wf_send_file(x, file, offset, len);
    if (err == 0) count(x, len);
    return err;
}

/* ---- its end ------------------------------------------------------------ */

/* Once it has begun there is no other try. */
static int end_chunks(struct wf_exchange *x)
{
    int err = wf_send(x, "0\r\n", 3);
    if (err < 0) return err;
    err = wf_send(x, x->trailing.at, x->trailing.len);
    if (err == 0) err = wf_send(x, WEFT_HTTP_CRLF, 2);
    if (err < 0) x->is.lost = err;
    return err;
}

int weft_reply_end(weft_req *r)
{
    struct wf_exchange *x = wf_exchange_of(r);
    int err = check_write(x, 0);
    if (err < 0) return err;
    if (x->is.framing == WF_LENGTH && x->to_send > 0 && !x->is.bodiless)
        return weft_fail_at(-EPROTO, NULL, 0,
                            "http reply: %llu octets of the length that was "
                            "told were not written",
                            (unsigned long long)x->to_send);
    if (x->is.framing == WF_CHUNKED && !x->is.bodiless) err = end_chunks(x);
    if (err == 0) x->is.ended = true;
    return err;
}

int wf_reply_end_left(struct wf_exchange *x)
{
    if (x->req.status != 0) return weft_reply_end(&x->req);
    return weft_fail_at(-EPROTO, NULL, 0,
                        "http: the handler returned without a reply");
}
