/* SPDX-License-Identifier: MIT */
/*
 * server_usual.c - a reply like the one before.
 *
 * Most replies of a server have the same head for a second, until its Date
 * changes. So each thread keeps the last one that had nothing special in it; and
 * a whole reply whose head is that, to a request that asks for nothing special,
 * is two copies to where the stream gathers.
 */
#include "server.h"

#include <weft/fiber.h>
#include <weft/http.h>
#include <weft/time.h>

#include <string.h>

enum { MAX_TYPE = 64 };

static __thread struct usual {
    uint64_t server; /* its number; 0: nothing is here */
    uint64_t length;
    weft_time made;
    int status;
    bool has_type;
    uint32_t len;
    char type[MAX_TYPE];
    char text[WF_USUAL_HEAD];
} last;

static inline bool is_that(const struct usual *u, const struct wf_exchange *x,
                           int status, const char *type, uint64_t length)
{
    uint64_t age = (uint64_t)(weft_now() - u->made);
    return u->status == status && u->length == length &&
           u->server == x->req.server->number && age < (uint64_t)WEFT_SEC(1) &&
           u->has_type == (type != NULL) &&
           (!type || strcmp(u->type, type) == 0);
}

__attribute__((noinline)) static bool make(struct usual *u,
                                           const struct wf_exchange *x,
                                           const struct wf_reply_head *h)
{
    size_t type_len = h->type ? strlen(h->type) : 0;
    weft_http_writer w;
    if (type_len >= MAX_TYPE) return false;
    weft_http_writer_init(&w, u->text, WF_USUAL_HEAD);
    u->server = 0;
    wf_head_write(x, h, &w);
    if (w.error < 0) return false;
    u->server = x->req.server->number;
    u->length = h->length;
    u->made = weft_now() - weft_calendar() % WEFT_SEC(1);
    u->status = h->status;
    u->has_type = h->type != NULL;
    u->len = (uint32_t)w.len;
    if (h->type) memcpy(u->type, h->type, type_len + 1);
    return true;
}

weft_text wf_head_usual(const struct wf_exchange *x,
                        const struct wf_reply_head *h)
{
    struct usual *u = &last;
    bool usual = x->fields.len == 0 && !x->is.close && x->req.head.minor > 0 &&
                 x->is.framing == WF_LENGTH;
    if (!usual ||
        (!is_that(u, x, h->status, h->type, h->length) && !make(u, x, h)))
        return (weft_text){NULL, 0};
    return (weft_text){u->text, u->len};
}

/* Where it is to stand, if nothing has to wait; or NULL. */
static inline char *place_of(struct wf_exchange *x, int status,
                             const char *type, size_t len)
{
    if (!x->is.plain || !x->is.body_ended ||
        !is_that(&last, x, status, type, len) || wf_link_stops(x->link) ||
        weft_cancelled())
        return NULL;
    return weft_stream_reserve(&x->link->stream, last.len + len);
}

int weft_reply(weft_req *r, int status, const char *type, const void *body,
               size_t len)
{
    struct wf_exchange *x = wf_exchange_of(r);
    char *to = place_of(x, status, type, len);
    if (!to) return wf_reply_any(x, status, type, body, len);
    memcpy(to, last.text, last.len);
    if (len > 0) memcpy(to + last.len, body, len);
    weft_stream_commit(&x->link->stream, last.len + len);
    r->status = status;
    r->sent = len;
    x->is.plain = false;
    x->is.ended = true;
    return 0;
}
