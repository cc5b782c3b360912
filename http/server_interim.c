/* SPDX-License-Identifier: MIT */
/*
 * server_interim.c - the replies that are not final: 1xx, and a tunnel's 200.
 */
#include "server.h"

#include <weft/error.h>
#include <weft/http.h>

/* The stream takes a head of that and the fields that were added, or nothing. */
static int put_head(struct wf_exchange *x, weft_http_writer *w)
{
    (void)weft_http_write_known(w, x->fields.at, x->fields.len);
    int err = weft_http_write_end(w);
    return err < 0 ? err : wf_send(x, w->at, w->len);
}

static int get_room(struct wf_exchange *x, size_t more, weft_http_writer *w)
{
    enum { START_ROOM = 512 };
    size_t room = START_ROOM + x->fields.len + more;
    char *at = weft_arena_alloc(&x->req.arena, room);
    if (!at) return -ENOMEM;
    weft_http_writer_init(w, at, room);
    return 0;
}

int weft_reply_interim(weft_req *r, int status)
{
    struct wf_exchange *x = wf_exchange_of(r);
    weft_http_writer w;
    if (r->status != 0)
        return weft_fail_at(-EALREADY, NULL, 0,
                            "http reply: %d, but the reply has begun", status);
    if (status < 102 || status > 199)
        return weft_fail_at(-EINVAL, NULL, 0,
                            "http reply: %d is no interim status", status);
    int err = 0;
    if (r->head.minor > 0) {
        err = get_room(x, 0, &w);
        if (err < 0) return err;
        (void)weft_http_write_status_line(&w, status, (weft_text){NULL, 0});
        err = put_head(x, &w);
        if (err == 0) err = wf_send_gathered(x);
    }
    if (err < 0) return err;
    x->fields.len = 0;
    x->is.has_type = x->is.has_upgrade = false;
    return 0;
}

/* ---- another protocol --------------------------------------------------- */

static bool was_asked_for(const weft_req *r, const char *protocol)
{
    if (!protocol) return r->head.verb == WEFT_HTTP_CONNECT;
    return r->head.upgrades &&
           weft_http_list_has(&r->head.fields, "upgrade", protocol);
}

static int check_upgrade(const struct wf_exchange *x, const char *protocol)
{
    const weft_req *r = &x->req;
    if (r->status != 0)
        return weft_fail_at(-EALREADY, NULL, 0,
                            "http upgrade: %d was replied already", r->status);
    if (!was_asked_for(r, protocol))
        return weft_fail_at(-EPROTO, NULL, 0,
                            "http upgrade: %s was not asked for",
                            protocol ? protocol : "a tunnel");
    if (!x->is.body_ended)
        return weft_fail_at(-EPROTO, NULL, 0,
                            "http upgrade: the request's body is not read");
    return 0;
}

/* Of the fields that say so, `protocol` came from a peer's list: it is a token
 * or token/token. */
static int write_upgrade(struct wf_exchange *x, const char *protocol,
                         weft_http_writer *w)
{
    int err = get_room(x, protocol ? weft_text_of(protocol).len : 0, w);
    if (err < 0) return err;
    wf_head_start(x->link->server, protocol ? 101 : 200, w);
    if (!protocol) return w->error;
    (void)WEFT_HTTP_WRITE(w, "Connection: upgrade\r\n");
    return weft_http_write_field(w, weft_text_of("Upgrade"),
                                 weft_text_of(protocol));
}

int weft_req_upgrade(weft_req *r, const char *protocol,
                     weft_stream **ret_stream)
{
    struct wf_exchange *x = wf_exchange_of(r);
    struct wf_link *l = x->link;
    weft_http_writer w;
    int err = check_upgrade(x, protocol);
    if (err < 0) return err;
    err = write_upgrade(x, protocol, &w);
    if (err < 0) return err;
    err = put_head(x, &w);
    if (err < 0) return err;
    x->is.plain = false;
    err = wf_send_gathered(x);
    if (err < 0) return x->is.lost = err; /* no other reply can follow */
    r->status = protocol ? 101 : 200;
    x->is.upgraded = x->is.ended = x->is.close = true;
    weft_conn_set_busy(l->conn, false);
    l->until = WEFT_FOREVER;
    wf_wait_for(l, WF_HANDLER, l->until);
    *ret_stream = &l->stream;
    return 0;
}
