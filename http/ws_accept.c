/* SPDX-License-Identifier: MIT */
/*
 * ws_accept.c - the opening handshake of a server (RFC 6455, 4.2).
 */
#include <weft/http_server.h>
#include <weft/time.h>

#include <string.h>

#include "ws.h"
#include "ws_key.h"

/* What it is answered with instead of 101. */
struct refusal {
    int status; /* 0: none */
    const char *why;
    const char *field, *value; /* that belongs to it, or NULL */
};

#define REFUSE(...) ((struct refusal){__VA_ARGS__})

static struct refusal judge_key(const weft_http_fields *f)
{
    unsigned count;
    weft_text version = wf_ws_only_field(f, "sec-websocket-version", &count);
    if (count != 1)
        return REFUSE(400, "one Sec-WebSocket-Version is needed\n",
                      "Sec-WebSocket-Version", "13");
    if (!weft_text_is(version, "13"))
        return REFUSE(426, "another Sec-WebSocket-Version is needed\n",
                      "Sec-WebSocket-Version", "13");
    weft_text key = wf_ws_only_field(f, "sec-websocket-key", &count);
    if (count != 1 || !wf_ws_key_is_valid(key))
        return REFUSE(400, "one Sec-WebSocket-Key of 16 octets is needed\n",
                      NULL, NULL);
    return REFUSE(0, NULL, NULL, NULL);
}

/* Of what is offered each item is a token. */
static bool are_tokens(const weft_http_fields *f, const char *name)
{
    weft_text line, item;
    size_t at = 0;
    while (weft_http_field_next(f, name, &at, &line))
        while (weft_http_list_next(&line, &item))
            if (!weft_http_is_token(item)) return false;
    return true;
}

/* Is it "scheme://host", and that the host that was asked for? */
static bool is_same_origin(const weft_req *r, weft_text origin)
{
    for (size_t i = 0; i + 3 <= origin.len; i++) {
        if (memcmp(origin.at + i, "://", 3) != 0) continue;
        weft_text host = {origin.at + i + 3, origin.len - i - 3};
        return weft_text_equal_nocase(host, r->head.host);
    }
    return false; /* "null", for example */
}

static struct refusal judge_origin(weft_req *r, const weft_ws_opts *o)
{
    unsigned count;
    weft_text origin = wf_ws_only_field(&r->head.fields, "origin", &count);
    if (count == 0) return REFUSE(0, NULL, NULL, NULL);
    if (count > 1) return REFUSE(400, "more than one Origin\n", NULL, NULL);
    bool may =
        o->origin ? o->origin(r, origin, o->user) : is_same_origin(r, origin);
    return may ? REFUSE(0, NULL, NULL, NULL)
               : REFUSE(403, "not from this Origin\n", NULL, NULL);
}

static struct refusal judge(weft_req *r, const weft_ws_opts *o)
{
    const weft_http_request *q = &r->head;
    if (q->verb != WEFT_HTTP_GET)
        return REFUSE(405, "a WebSocket is asked for by GET\n", "Allow", "GET");
    if (!q->upgrades || !weft_http_list_has(&q->fields, "upgrade", "websocket"))
        return REFUSE(426, "here is a WebSocket\n", NULL, NULL);
    if (q->framing == WEFT_HTTP_CHUNKED || q->length > 0)
        return REFUSE(400, "a handshake has no body\n", NULL, NULL);
    struct refusal no = judge_key(&q->fields);
    if (no.status) return no;
    if (!are_tokens(&q->fields, "sec-websocket-protocol"))
        return REFUSE(400, "a malformed Sec-WebSocket-Protocol\n", NULL, NULL);
    return judge_origin(r, o);
}

static int refuse(weft_req *r, const struct refusal *no)
{
    int err = 0;
    if (no->field) err = weft_reply_field(r, no->field, no->value);
    if (err == 0 && no->status == 426)
        err = weft_reply_field(r, "Upgrade", "websocket");
    return err < 0 ? err : weft_reply_text(r, no->status, no->why);
}

/* The first of ours that the client has offered too. */
static weft_text choose(const weft_http_fields *f, const char *protocols)
{
    weft_text ours = weft_text_of(protocols), item, line;
    while (weft_http_list_next(&ours, &item)) {
        size_t at = 0;
        while (weft_http_field_next(f, "sec-websocket-protocol", &at, &line))
            if (wf_ws_list_has(line, item)) return item;
    }
    return (weft_text){NULL, 0};
}

static int answer(weft_req *r, weft_text protocol, weft_stream **ret_stream)
{
    char accept[WF_WS_ACCEPT_TEXT];
    wf_ws_accept_of(weft_req_field(r, "sec-websocket-key"), accept);
    int err = weft_reply_field(r, "Sec-WebSocket-Accept", accept);
    if (err == 0 && protocol.len > 0)
        err = weft_reply_field_text(r, weft_text_of("Sec-WebSocket-Protocol"),
                                    protocol);
    return err < 0 ? err : weft_req_upgrade(r, "websocket", ret_stream);
}

int weft_ws_accept(weft_req *r, const weft_ws_opts *o, weft_ws **ret_ws)
{
    static const weft_ws_opts defaults;
    if (!o) o = &defaults;
    int err = wf_ws_check_protocols(o->protocols, NULL);
    if (err < 0) return err;
    struct refusal no = judge(r, o);
    if (no.status) return refuse(r, &no);
    weft_text protocol = choose(&r->head.fields, o->protocols);
    weft_ws *ws = wf_ws_new(NULL, WEFT_WS_SERVER, o, protocol.len);
    if (!ws) return -ENOMEM;
    wf_ws_set_protocol(ws, protocol);
    err = answer(r, protocol, &ws->stream);
    if (err < 0) {
        weft_ws_free(ws);
        return err;
    }
    ws->conn = r->conn;
    ws->heard = weft_now();
    *ret_ws = ws;
    return 1;
}
