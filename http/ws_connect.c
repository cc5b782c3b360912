/* SPDX-License-Identifier: MIT */
/*
 * ws_connect.c - the opening handshake of a client (RFC 6455, 4.1).
 */
#include <weft/buffer.h>
#include <weft/error.h>
#include <weft/http_parse.h>
#include <weft/http_write.h>
#include <weft/time.h>
#include <weft/url.h>

#include <stdio.h>
#include <string.h>

#include "ws.h"
#include "ws_key.h"

enum {
    MOST_INTERIM = 8, /* answers before the one that counts */
    MARKS = WEFT_BUFFER_BYTES / sizeof(weft_http_mark)
};

struct opening {
    weft_ws *ws;
    const weft_ws_opts *o;
    weft_url url;
    char key[WF_WS_KEY_TEXT];
};

/* ---- what is asked for -------------------------------------------------- */

static int no_url(const char *url, const char *why)
{
    return weft_fail_at(-EINVAL, NULL, 0, "websocket %.60s: %s", url, why);
}

static int check_url(const char *text, const weft_ws_opts *o, weft_url *ret)
{
    int err = weft_url_parse(ret, weft_text_of(text));
    if (err < 0) return err;
    bool secure = weft_text_is_nocase(ret->scheme, "wss");
    if (!secure && !weft_text_is_nocase(ret->scheme, "ws"))
        return no_url(text, "the scheme is neither ws nor wss");
    if (!ret->host.at) return no_url(text, "there is no host");
    if (ret->userinfo.at) return no_url(text, "a user is no part of it");
    if (ret->fragment.at) return no_url(text, "it has a fragment");
    if (secure && !o->transport)
        return weft_fail_at(-EPROTONOSUPPORT, NULL, 0,
                            "websocket %.60s: TLS needs a transport", text);
    return 0;
}

static bool is_own_field(weft_text name)
{
    static const char *const own[] = {
        "host",   "connection",     "upgrade",          "origin",
        "expect", "content-length", "transfer-encoding"};
    static const char prefix[] = "sec-websocket-";
    weft_text begin = {name.at, sizeof prefix - 1};
    if (name.len >= begin.len && weft_text_is_nocase(begin, prefix))
        return true;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (weft_text_is_nocase(name, own[i])) return true;
    return false;
}

static int check_fields(const char *const *fields)
{
    for (; fields && *fields; fields += 2)
        if (!fields[1] || is_own_field(weft_text_of(*fields)))
            return weft_fail_at(-EINVAL, NULL, 0,
                                "websocket: a field that is not for the "
                                "caller to set, or has no value: %.60s",
                                *fields);
    return 0;
}

/* ---- the request -------------------------------------------------------- */

static int field(weft_http_writer *w, const char *name, const char *value)
{
    return weft_http_write_field(w, weft_text_of(name), weft_text_of(value));
}

/* "GET path?query HTTP/1.1" and Host, of parts that follow each other. */
static void write_target(weft_http_writer *w, const weft_url *u)
{
    weft_text target = u->path.len > 0 ? u->path : weft_text_of("/");
    (void)WEFT_HTTP_WRITE(w, "GET ");
    (void)weft_http_write_known(w, target.at, target.len);
    if (u->query.at) {
        (void)WEFT_HTTP_WRITE(w, "?");
        (void)weft_http_write_known(w, u->query.at, u->query.len);
    }
    (void)WEFT_HTTP_WRITE(w, " HTTP/1.1\r\nHost: ");
    if (u->host_is_ip6) (void)WEFT_HTTP_WRITE(w, "[");
    (void)weft_http_write_known(w, u->host.at, u->host.len);
    if (u->host_is_ip6) (void)WEFT_HTTP_WRITE(w, "]");
    bool secure = u->scheme.len == 3;
    if (u->port && u->port != (secure ? 443 : 80)) {
        char port[16];
        int len = snprintf(port, sizeof port, ":%d", u->port);
        (void)weft_http_write_known(w, port, (size_t)len);
    }
    (void)WEFT_HTTP_WRITE(w, "\r\n");
}

static int write_request(weft_http_writer *w, const struct opening *op)
{
    const weft_ws_opts *o = op->o;
    write_target(w, &op->url);
    (void)field(w, "Upgrade", "websocket");
    (void)field(w, "Connection", "Upgrade");
    (void)field(w, "Sec-WebSocket-Key", op->key);
    (void)field(w, "Sec-WebSocket-Version", "13");
    if (o->protocols) (void)field(w, "Sec-WebSocket-Protocol", o->protocols);
    if (o->from) (void)field(w, "Origin", o->from);
    for (const char *const *f = o->fields; f && *f; f += 2)
        (void)field(w, f[0], f[1]);
    return weft_http_write_end(w);
}

static int send_request(struct opening *op)
{
    weft_http_writer w;
    char *buf = weft_buffer_get();
    if (!buf) return -ENOMEM;
    weft_http_writer_init(&w, buf, WEFT_BUFFER_BYTES);
    int err = write_request(&w, op);
    if (err == -ENOBUFS)
        err = weft_fail_at(-EINVAL, NULL, 0,
                           "websocket: a request of over %d octets",
                           WEFT_BUFFER_BYTES);
    if (err == 0) err = weft_stream_write(op->ws->stream, buf, w.len);
    weft_buffer_put(buf);
    return err < 0 ? err : weft_stream_flush(op->ws->stream);
}

/* ---- the answer --------------------------------------------------------- */

static int no_proof(const char *why)
{
    return weft_fail_at(-EPROTO, NULL, 0, "websocket: the answer %s", why);
}

static int take_protocol(const struct opening *op, const weft_http_fields *f)
{
    unsigned count;
    weft_text chosen = wf_ws_only_field(f, "sec-websocket-protocol", &count);
    if (count == 0) return 0;
    if (count > 1 || chosen.len == 0 ||
        !wf_ws_list_has(weft_text_of(op->o->protocols), chosen))
        return no_proof("chooses a protocol that was not offered");
    wf_ws_set_protocol(op->ws, chosen);
    return 0;
}

static int check_answer(const struct opening *op, const weft_http_response *r)
{
    char accept[WF_WS_ACCEPT_TEXT];
    unsigned count;
    if (r->status != 101)
        return weft_fail_at(-ECONNREFUSED, NULL, 0,
                            "websocket: refused with %d %.60s", r->status,
                            weft_http_reason(r->status));
    if (!r->upgrades || !weft_http_list_has(&r->fields, "upgrade", "websocket"))
        return no_proof("is no upgrade to websocket");
    wf_ws_accept_of(weft_text_of(op->key), accept);
    if (!weft_text_is(
            wf_ws_only_field(&r->fields, "sec-websocket-accept", &count),
            accept))
        return no_proof("does not know the key");
    if (weft_http_field(&r->fields, "sec-websocket-extensions").at)
        return no_proof("has an extension that was not offered");
    return take_protocol(op, &r->fields);
}

/* One head, which is left unread. Returns its length. */
static ssize_t read_head(const struct opening *op, weft_http_response *r,
                         weft_http_mark *marks)
{
    weft_stream *s = op->ws->stream;
    ssize_t have = 0, len = 0;
    weft_http_response_init(r, WEFT_HTTP_GET, marks, MARKS, NULL);
    while (len == 0) {
        const char *data;
        ssize_t n = weft_stream_more(s, (size_t)have, SIZE_MAX, &data);
        if (n < 0) return n;
        if (n == have)
            return weft_fail_at(-EPIPE, NULL, 0,
                                "websocket: the peer ended before an answer");
        have = n;
        len = weft_http_parse_response(r, data, (size_t)have);
    }
    if (len < 0)
        (void)weft_fail_at((int)len, NULL, 0, "websocket: the answer: %s",
                           r->wrong ? r->wrong : "is malformed");
    return len;
}

static int read_answer_with(struct opening *op, weft_http_mark *marks)
{
    weft_http_response r;
    for (int i = 0; i <= MOST_INTERIM; i++) {
        ssize_t len = read_head(op, &r, marks);
        if (len < 0) return (int)len;
        bool interim = r.status < 200 && r.status != 101;
        if (!interim && op->o->ret_status) *op->o->ret_status = r.status;
        int err = interim ? 0 : check_answer(op, &r);
        weft_stream_consume(op->ws->stream, (size_t)len);
        if (!interim) return err;
    }
    return no_proof("does not come behind so many interim ones");
}

static int read_answer(struct opening *op)
{
    void *marks = weft_buffer_get();
    if (!marks) return -ENOMEM;
    int err = read_answer_with(op, marks);
    weft_buffer_put(marks);
    return err;
}

/* ---- all of it ---------------------------------------------------------- */

static int dial(struct opening *op)
{
    char address[300];
    weft_fd conn;
    const weft_url *u = &op->url;
    int len = snprintf(address, sizeof address,
                       u->host_is_ip6 ? "[%.*s]:%d" : "%.*s:%d",
                       WEFT_TEXT_ARGS(u->host), weft_url_port(u));
    if (len < 0 || (size_t)len >= sizeof address) return -ENAMETOOLONG;
    int err = weft_dial_with(&conn, address, op->o->dial);
    if (err == 0) weft_stream_init(&op->ws->own, conn);
    return err;
}

static int open_it(void *arg)
{
    struct opening *op = arg;
    int err = wf_ws_make_key(op->key);
    if (err == 0 && !op->o->transport) err = dial(op);
    if (err == 0) err = send_request(op);
    return err < 0 ? err : read_answer(op);
}

/* From here on the transport is that of a stream. */
static int connect_to(weft_ws **ret_ws, struct opening *op, size_t room)
{
    weft_time limit = op->o->connect_timeout;
    weft_ws *ws = wf_ws_new(NULL, WEFT_WS_CLIENT, op->o, room);
    if (!ws) {
        weft_transport_close(op->o->transport);
        return -ENOMEM;
    }
    op->ws = ws;
    if (op->o->transport)
        weft_stream_init_transport(&ws->own, op->o->transport);
    int err = weft_with_timeout(limit ? limit : WEFT_SEC(30), open_it, op);
    if (err < 0) {
        weft_ws_free(ws);
        return err;
    }
    ws->heard = weft_now();
    *ret_ws = ws;
    return 0;
}

int weft_ws_connect(weft_ws **ret_ws, const char *url, const weft_ws_opts *o)
{
    static const weft_ws_opts defaults;
    struct opening op = {.o = o ? o : &defaults};
    size_t longest = 0;
    if (op.o->ret_status) *op.o->ret_status = 0;
    int err = check_url(url, op.o, &op.url);
    if (err == 0) err = wf_ws_check_protocols(op.o->protocols, &longest);
    if (err == 0) err = check_fields(op.o->fields);
    if (err == 0) return connect_to(ret_ws, &op, longest);
    weft_transport_close(op.o->transport);
    return err;
}
