/* SPDX-License-Identifier: MIT */
/*
 * server_req.c - what a handler asks a request, and sets of it.
 */
#include "server.h"

#include <weft/http.h>
#include <weft/time.h>
#include <weft/url.h>

weft_text weft_req_field(const weft_req *r, const char *name)
{
    return weft_http_field(&r->head.fields, name);
}

weft_text weft_req_trailer(const weft_req *r, const char *name)
{
    const struct wf_exchange *x = wf_exchange_of(r);
    if (!x->is.has_trailers) return (weft_text){NULL, 0};
    return weft_http_field(&x->trailers, name);
}

int weft_req_query(weft_req *r, const char *name, weft_text *ret_value)
{
    weft_text raw;
    if (!weft_query_find(r->head.query, name, &raw)) return -ENOENT;
    char *buf = weft_arena_alloc(&r->arena, raw.len + 1);
    if (!buf) return -ENOMEM;
    ssize_t n = weft_url_decode(raw, buf, raw.len + 1, true);
    if (n < 0) return (int)n;
    *ret_value = (weft_text){buf, (size_t)n};
    return 0;
}

void weft_req_set_max_body(weft_req *r, uint64_t octets)
{
    wf_exchange_of(r)->max_body = octets;
}

void weft_req_set_deadline(weft_req *r, weft_time moment)
{
    struct wf_link *l = wf_exchange_of(r)->link;
    l->until = moment;
    wf_wait_for(l, WF_HANDLER, moment);
}

bool weft_req_draining(const weft_req *r)
{
    return weft_conn_draining(r->conn);
}
