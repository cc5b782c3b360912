/* SPDX-License-Identifier: MIT */
/*
 * ws.c - a WebSocket's beginning and end, without the protocol's.
 */
#include "ws.h"

#include <weft/buffer.h>
#include <weft/fiber.h>
#include <weft/io.h>
#include <weft/time.h>

#include <string.h>

enum { MAX_MESSAGE = 1 << 20 };

static weft_time time_or(weft_time t, weft_time usual)
{
    return t ? t : usual;
}

static void set_defaults(weft_ws_opts *o)
{
    if (!o->max_message) o->max_message = MAX_MESSAGE;
    if (!o->max_frame) o->max_frame = o->max_message;
    if (!o->fragment) o->fragment = SIZE_MAX;
    o->ping_every = time_or(o->ping_every, WEFT_SEC(30));
    o->pong_timeout = time_or(o->pong_timeout, WEFT_SEC(10));
    o->close_timeout = time_or(o->close_timeout, WEFT_SEC(5));
}

weft_ws *wf_ws_new(weft_stream *stream, weft_ws_role role,
                   const weft_ws_opts *o, size_t protocol_room)
{
    weft_ws *ws = weft_buffer_alloc(sizeof *ws + protocol_room);
    if (!ws) return NULL;
    *ws = (weft_ws){.stream = stream ? stream : &ws->own,
                    .role = role,
                    .heard = weft_now(),
                    .peer_code = WEFT_WS_ABNORMAL,
                    .protocol_room = protocol_room};
    if (o) ws->opts = *o;
    set_defaults(&ws->opts);
    return ws;
}

weft_ws *weft_ws_new(weft_stream *s, weft_ws_role role, const weft_ws_opts *o)
{
    return wf_ws_new(s, role, o, 0);
}

void wf_ws_set_protocol(weft_ws *ws, weft_text protocol)
{
    if (protocol.len > 0) memcpy(ws->protocol, protocol.at, protocol.len);
    ws->protocol_len = protocol.len;
}

weft_text weft_ws_protocol(const weft_ws *ws)
{
    return (weft_text){ws->protocol_len > 0 ? ws->protocol : NULL,
                       ws->protocol_len};
}

int weft_ws_close_code(const weft_ws *ws)
{
    return ws->peer_code;
}

weft_text weft_ws_close_reason(const weft_ws *ws)
{
    return (weft_text){ws->reason, ws->reason_len};
}

void wf_ws_drop_stream(weft_ws *ws)
{
    weft_stream *s = &ws->own;
    if (ws->stream != s) return;
    weft_fd fd = weft_stream_fd(s);
    weft_transport *t = weft_stream_transport(s);
    weft_stream_fini(s);
    if (fd.generation) (void)weft_close(fd);
    weft_transport_close(t);
    *s = (weft_stream){.fd_ = {0, 0}};
}

void wf_ws_drop_message(weft_ws *ws)
{
    if (ws->room == WEFT_BUFFER_BYTES)
        weft_buffer_put(ws->buf);
    else if (ws->room > 0)
        weft_buffer_free(ws->buf, ws->room);
    ws->buf = NULL;
    ws->len = ws->room = 0;
}

void weft_ws_free(weft_ws *ws)
{
    if (!ws) return;
    /* The caller may have given up within a message of his own. */
    if (ws->sender && ws->sender == weft_self())
        weft_mutex_unlock(&ws->message);
    wf_ws_drop_message(ws);
    wf_ws_drop_stream(ws);
    weft_buffer_free(ws, sizeof *ws + ws->protocol_room);
}
