/* SPDX-License-Identifier: MIT */
/*
 * server_head.c - the head of a request, and the block that it lives in.
 *
 * It is copied to the block, since the handler may park. One that comes in pieces
 * is gathered and parsed there, and the block grows with it; the stream owns
 * nothing meanwhile: so a head is in memory once.
 */
#include "server.h"

#include <weft/buffer.h>
#include <weft/time.h>

#include <string.h>

/* ---- the block ---------------------------------------------------------- */

enum { LEAST_HEAD = 4096, FIRST_LOOK = 1024, SECOND_ROOM = 65536 + 64 };

static size_t head_offset(const struct wf_link *l)
{
    return sizeof(struct wf_exchange) +
           l->server->opts.limits.fields * sizeof(weft_http_mark);
}

static size_t head_capacity(const struct wf_exchange *x)
{
    return x->bytes - (size_t)(x->head - (const char *)x);
}

static struct wf_exchange *get_block(size_t bytes)
{
    return bytes == WEFT_BUFFER_BYTES ? weft_buffer_get()
                                      : weft_buffer_alloc(bytes);
}

static void put_block(struct wf_exchange *x)
{
    if (x->bytes == WEFT_BUFFER_BYTES)
        weft_buffer_put(x);
    else
        weft_buffer_free(x, x->bytes);
}

static void place(struct wf_exchange *x, size_t bytes)
{
    x->bytes = bytes;
    x->head = (char *)x + head_offset(x->link);
    x->req.head.fields.marks = x->marks;
}

int wf_exchange_open(struct wf_link *l)
{
    size_t bytes = WEFT_BUFFER_BYTES;
    if (head_offset(l) + LEAST_HEAD > bytes)
        bytes = head_offset(l) + LEAST_HEAD;
    struct wf_exchange *x = get_block(bytes);
    if (!x) return -ENOMEM;
    x->req.conn = l->conn;
    x->req.server = l->server;
    x->req.head.scan_ = l->server->blank.scan_;
    x->req.head.fields.room = l->server->blank.fields.room;
    x->link = l;
    l->x = x;
    place(x, bytes);
    x->is.after = NULL;
    weft_arena_init(&x->req.arena, NULL, 0);
    return 0;
}

static void give_back_what_it_has(struct wf_exchange *x)
{
    if (x->is.after) wf_after_drop(x);
    if (weft_arena_used(&x->req.arena) > 0) weft_arena_reset(&x->req.arena);
}

/* Used anew. Its arena is not there until it is known what the head leaves; what
 * the parser writes is as it was. */
static inline void begin(struct wf_exchange *x)
{
    const weft_http_server_opts *o = &x->link->server->opts;
    weft_req *r = &x->req;
    give_back_what_it_has(x);
    x->since = x->whole = weft_now();
    x->patience[0] = o->body_timeout;
    x->patience[1] = o->send_timeout;
    x->max_body = o->max_body;
    x->is = (struct wf_state){0};
    x->fields = (struct wf_lines){NULL, 0, 0};
    r->user = NULL;
    r->status = 0;
    r->received = r->sent = 0;
    r->route_ = NULL;
    r->params_ = NULL;
}

void wf_exchange_close(struct wf_link *l)
{
    if (!l->x) return;
    give_back_what_it_has(l->x);
    put_block(l->x);
    l->x = NULL;
}

/* Nobody has seen the request yet, so it can move. The first time to where most
 * limits allow no more: blocks of sizes in between, given back again, leave holes
 * that nothing fits in. */
static int grow(struct wf_link *l)
{
    struct wf_exchange *old = l->x;
    size_t most = head_offset(l) + l->server->opts.limits.head + 64;
    size_t bytes = 2 * old->bytes, second = head_offset(l) + SECOND_ROOM;
    if (bytes < second) bytes = second;
    if (bytes > most) bytes = most;
    if (bytes <= old->bytes) bytes = old->bytes + LEAST_HEAD;
    struct wf_exchange *x = get_block(bytes);
    if (!x) return -ENOMEM;
    memcpy((void *)x, old, old->bytes);
    put_block(old);
    l->x = x;
    place(x, bytes);
    return 0;
}

/* ---- reading one -------------------------------------------------------- */

static int refuse(struct wf_link *l, int status, const char *why)
{
    l->refusal = status;
    l->why = why;
    return WF_REFUSE;
}

/* An empty line in front of a request is none. */
static bool is_nothing(const char *head, size_t have)
{
    return have <= 2 && memcmp(head, "\r\n", have) == 0;
}

static int is_over(struct wf_link *l, ssize_t n, size_t have)
{
    if (n < 0) return (int)n;
    if (is_nothing(l->x->head, have)) {
        wf_exchange_close(l);
        return WF_FINISH;
    }
    return refuse(l, 400, "the request ends within its head");
}

/* Of a first request the time began with the connection. */
static void wait_for_more(struct wf_link *l)
{
    if (l->phase == WF_HEAD || weft_scope_cancel_called(&l->scope)) return;
    if (l->served > 0)
        wf_wait_for(l, WF_HEAD, weft_after(l->server->opts.head_timeout));
    l->phase = WF_HEAD;
}

static int make_room(struct wf_link *l, size_t have)
{
    return have < head_capacity(l->x) ? 0 : grow(l);
}

/* As memcpy, of octets behind which there may be more, up to `most`: then it need
 * not be asked how long they are but once in sixteen. */
static inline void copy(char *restrict to, const char *restrict from,
                        size_t len, size_t most)
{
    enum { STEP = 16 };
    if (len + STEP > most) {
        memcpy(to, from, len);
        return;
    }
    for (size_t i = 0; i < len; i += STEP)
        memcpy(to + i, from + i, STEP);
}

/* A head that is all there and plain is read where it stands, and copied then:
 * so many octets; or 0. */
static size_t read_plain(struct wf_link *l, const char *data, size_t n)
{
    struct wf_exchange *x = l->x;
    size_t most = n < head_capacity(x) ? n : head_capacity(x);
    size_t len =
        wf_http_quick_as_before(&x->req.head, data, most, x->head, l->layout);
    copy(x->head, data, len, most);
    return len;
}

/* Any other is copied as it comes, and parsed there. `have` octets were. */
static ssize_t read_any(struct wf_exchange *x, size_t have, const char *data,
                        size_t n)
{
    memcpy(x->head + have, data, n);
    if (have == 0) return wf_http_parse_anew(&x->req.head, x->head, n);
    return weft_http_parse_request(&x->req.head, x->head, have + n);
}

/* It has `len` octets, of which `before` were consumed. */
static int head_is_whole(struct wf_link *l, size_t len, size_t before)
{
    struct wf_exchange *x = l->x;
    weft_stream_consume(&l->stream, len - before);
    weft_arena_init(&x->req.arena, x->head + len, head_capacity(x) - len);
    return WF_GO_ON;
}

int wf_read_head(struct wf_link *l, const char *data, size_t n)
{
    size_t have = 0;
    begin(l->x);
    size_t plain = read_plain(l, data, n);
    if (__builtin_expect(plain > 0, 1)) return head_is_whole(l, plain, 0);
    for (;;) {
        size_t room = have == 0 ? FIRST_LOOK : head_capacity(l->x) - have;
        size_t take = n < room ? n : room;
        ssize_t len = read_any(l->x, have, data, take);
        if (len > 0) return head_is_whole(l, (size_t)len, have);
        weft_arena_init(&l->x->req.arena, NULL, 0);
        weft_stream_consume(&l->stream, take);
        have += take;
        if (len < 0)
            return refuse(l, l->x->req.head.status, l->x->req.head.wrong);
        int err = make_room(l, have);
        weft_http_request_move(&l->x->req.head, l->x->head); /* for the log */
        if (err < 0) return err;
        if (weft_stream_buffered(&l->stream) == 0) wait_for_more(l);
        ssize_t more = weft_stream_peek(&l->stream, &data);
        if (more <= 0) return is_over(l, more, have);
        l->x->whole = weft_now();
        n = (size_t)more;
    }
}
