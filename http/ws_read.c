/* SPDX-License-Identifier: MIT */
/*
 * ws_read.c - from octets to messages.
 *
 * Nothing is consumed before it has been dealt with, and where the reader
 * stands is kept in *ws; so a read that was cancelled goes on in the next one.
 * A payload moves to a buffer as it comes, without its mask, which grows with
 * what has come and not with what a head has promised.
 */
#include "ws.h"

#include <weft/buffer.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/time.h>

#include <string.h>

/* ---- what ends it ------------------------------------------------------- */

static bool is_passing(int err)
{
    return err == -ECANCELED || err == -ENOMEM || err == -EBUSY;
}

struct farewell {
    weft_ws *ws;
    int code;
};

static int say_farewell(void *arg)
{
    struct farewell *f = arg;
    return wf_ws_send_close(f->ws, f->code, NULL, 0);
}

/* The peer has done what it may not. It is told if it takes that in time; and
 * again by weft_ws_close, if somebody has called this off. */
static int fail(weft_ws *ws, int err, int code, const char *why)
{
    struct farewell f = {ws, code};
    ws->read_error = err;
    ws->fail_code = code;
    int said =
        weft_move_on_after(ws->opts.close_timeout, say_farewell, &f, NULL);
    (void)said;
    return weft_fail_at(err, NULL, 0, "websocket: %s (%d)", why, code);
}

static int over(weft_ws *ws, int err, const char *why)
{
    if (is_passing(err)) return err;
    ws->read_error = err;
    return why ? weft_fail_at(err, NULL, 0, "websocket: %s", why) : err;
}

static int ended(weft_ws *ws)
{
    if (ws->conn && weft_conn_draining(ws->conn))
        return over(ws, -ESHUTDOWN, "the server is stopping");
    return over(ws, -EPIPE, "the peer ended without a close frame");
}

/* ---- waiting for input -------------------------------------------------- */

/* When it has been silent for too long; but what came while nobody read is
 * looked at before that is said. Not while a ping is due and not sent yet; and
 * there are none behind a close frame, whose sender has a limit. */
static weft_time patience(const weft_ws *ws)
{
    weft_time ns = ws->pinged ? ws->opts.pong_timeout : ws->opts.ping_every;
    weft_time now = weft_now();
    if (ns < 0 || ws->owes & WF_WS_OWES_PING || ws->close_sent ||
        ns > WEFT_FOREVER - ws->heard)
        return WEFT_FOREVER;
    return ws->heard + ns > now ? ws->heard + ns : now + WF_WS_NO_TIME;
}

static int pay_it(void *ws)
{
    return wf_ws_pay(ws);
}

/* There is room for what is owed, unless the peer reads nothing. */
static int pay(weft_ws *ws)
{
    int err = weft_with_timeout(ws->opts.pong_timeout, pay_it, ws);
    return err == -ETIMEDOUT ? over(ws, err, "the peer does not read") : err;
}

/* Its wait was ended: by the clock, by who closes, or for what is due. */
static int why_awake(weft_ws *ws, const weft_scope *scope, int rc)
{
    const weft_reason *why = weft_scope_reason(scope);
    if (rc < 0) return over(ws, rc, NULL);
    if (why->kind != WEFT_R_DEADLINE) return 0;
    if (ws->pinged)
        return over(ws, -ETIMEDOUT, "the peer does not answer a ping");
    ws->owes |= WF_WS_OWES_PING;
    return 0;
}

/* More than the `have` octets that are there; 0: look again. */
static ssize_t wait_once(weft_ws *ws, size_t have, const char **ret_data)
{
    weft_scope scope;
    int err = ws->owes ? pay(ws) : 0;
    if (err < 0) return err;
    weft_scope_init(&scope);
    err = weft_scope_begin_at(&scope, patience(ws), WEFT_MOVE_ON);
    if (err < 0) return err;
    ws->waiting = &scope;
    ssize_t n = weft_stream_more(ws->stream, have, SIZE_MAX, ret_data);
    ws->waiting = NULL;
    err = weft_scope_end(&scope, n < 0 ? (int)n : 0);
    ws->ponged = ws->ponged && weft_stream_pending(ws->stream) > 0;
    if (n == -ECANCELED && weft_scope_caught(&scope))
        return why_awake(ws, &scope, err);
    if (n < 0) return over(ws, (int)n, NULL);
    if ((size_t)n == have) return ended(ws);
    ws->pinged = false;
    ws->owes &= ~(unsigned)WF_WS_OWES_PING;
    ws->heard = weft_now();
    return n;
}

static ssize_t more(weft_ws *ws, size_t have, const char **ret_data)
{
    ssize_t n;
    if (weft_stream_buffered(ws->stream) > have)
        return weft_stream_more(ws->stream, have, SIZE_MAX, ret_data);
    do
        n = wait_once(ws, have, ret_data);
    while (n == 0);
    return n;
}

/* ---- heads -------------------------------------------------------------- */

static int check_size(weft_ws *ws, const struct wf_ws_head *h)
{
    /* What is passed over takes no memory. */
    if (wf_ws_is_control(h->opcode) || ws->closing) return 0;
    if (h->len > ws->opts.max_frame)
        return fail(ws, -EMSGSIZE, WEFT_WS_TOO_BIG, "a frame is too long");
    if (h->len > ws->opts.max_message - ws->len)
        return fail(ws, -EMSGSIZE, WEFT_WS_TOO_BIG, "a message is too long");
    return 0;
}

static void begin_message(weft_ws *ws, const struct wf_ws_head *h)
{
    ws->kind = h->opcode == WF_WS_TEXT ? WEFT_WS_TEXT : WEFT_WS_BINARY;
    ws->utf8 = (struct wf_utf8){0, 0, 0};
    ws->in_message = true;
}

static int begin_frame(weft_ws *ws)
{
    const struct wf_ws_rules rules = {.masked = ws->role == WEFT_WS_SERVER,
                                      .in_message = ws->in_message};
    struct wf_ws_head h;
    const char *data, *wrong;
    ssize_t have = 0, len = 0;
    while (len == 0) {
        have = more(ws, (size_t)have, &data);
        if (have < 0) return (int)have;
        len = wf_ws_parse_head(&h, data, (size_t)have, &rules, &wrong);
    }
    if (len < 0) return fail(ws, -EPROTO, WEFT_WS_PROTOCOL_ERROR, wrong);
    int err = check_size(ws, &h);
    if (err < 0) return err;
    if (h.opcode == WF_WS_TEXT || h.opcode == WF_WS_BINARY)
        begin_message(ws, &h);
    weft_stream_consume(ws->stream, (size_t)len);
    ws->frame = h;
    ws->taken = 0;
    ws->in_frame = true;
    return 0;
}

/* ---- payloads of messages ----------------------------------------------- */

/* Room for n more octets. */
static int reserve(weft_ws *ws, size_t n)
{
    size_t need = ws->len + n, room = WEFT_BUFFER_BYTES;
    if (need <= ws->room) return 0;
    while (room < need)
        room = room > SIZE_MAX / 2 ? need : 2 * room;
    /* The limit is not passed for the sake of doubling. */
    if (room > WEFT_BUFFER_BYTES && room > ws->opts.max_message)
        room = ws->opts.max_message;
    char *buf =
        room == WEFT_BUFFER_BYTES ? weft_buffer_get() : weft_buffer_alloc(room);
    if (!buf) return -ENOMEM;
    size_t len = ws->len;
    if (len > 0) memcpy(buf, ws->buf, len);
    wf_ws_drop_message(ws);
    ws->buf = buf;
    ws->len = len;
    ws->room = room;
    return 0;
}

static int take(weft_ws *ws, const char *data, size_t n)
{
    const struct wf_ws_head *h = &ws->frame;
    int err = reserve(ws, n);
    if (err < 0) return err;
    char *to = ws->buf + ws->len;
    if (h->masked)
        wf_ws_mask(to, data, n, h->key, ws->taken);
    else
        memcpy(to, data, n);
    if (ws->kind == WEFT_WS_TEXT && !wf_utf8_feed(&ws->utf8, to, n))
        return fail(ws, -EILSEQ, WEFT_WS_NOT_UTF8, "a text is not UTF-8");
    ws->len += n;
    return 0;
}

/* 1: the message is whole. */
static int end_frame(weft_ws *ws)
{
    ws->in_frame = false;
    if (!ws->frame.fin) return 0;
    ws->in_message = false;
    if (ws->closing || ws->kind != WEFT_WS_TEXT || wf_utf8_is_whole(&ws->utf8))
        return 1;
    return fail(ws, -EILSEQ, WEFT_WS_NOT_UTF8,
                "a text ends within a character");
}

static int read_payload(weft_ws *ws)
{
    while (ws->taken < ws->frame.len) {
        const char *data;
        uint64_t left = ws->frame.len - ws->taken;
        ssize_t n = more(ws, 0, &data);
        if (n < 0) return (int)n;
        if ((uint64_t)n > left) n = (ssize_t)left;
        int err = ws->closing ? 0 : take(ws, data, (size_t)n);
        if (err < 0) return err;
        ws->taken += (uint64_t)n;
        weft_stream_consume(ws->stream, (size_t)n);
    }
    return end_frame(ws);
}

/* ---- control frames ----------------------------------------------------- */

/* The answer has the same code. Without one for the peer's frame there is no
 * more to be read, so its failures are nobody's. */
static int answer_close(weft_ws *ws, const char *data, size_t len)
{
    int code = wf_ws_parse_close(data, len);
    if (code == -EILSEQ)
        return fail(ws, code, WEFT_WS_NOT_UTF8,
                    "the reason of a close frame is not UTF-8");
    if (code < 0)
        return fail(ws, code, WEFT_WS_PROTOCOL_ERROR,
                    "a close frame without a code that may be sent");
    struct farewell f = {ws, code};
    ws->peer_code = code;
    ws->reason_len = (uint8_t)(len > 2 ? len - 2 : 0);
    if (len > 2) memcpy(ws->reason, data + 2, len - 2);
    ws->close_come = true;
    ws->in_frame = false;
    int said =
        weft_move_on_after(ws->opts.close_timeout, say_farewell, &f, NULL);
    if (ws->role == WEFT_WS_SERVER && ws->close_sent)
        said = weft_stream_shutdown_write(ws->stream);
    (void)said;
    return 0;
}

static int deal_with(weft_ws *ws, const char *data, size_t len)
{
    switch (ws->frame.opcode) {
    case WF_WS_CLOSE:
        return answer_close(ws, data, len);
    case WF_WS_PING:
        memcpy(ws->pong, data, len);
        ws->pong_len = (uint8_t)len;
        ws->owes |= WF_WS_OWES_PONG;
        return pay(ws);
    default:
        if (ws->opts.on_pong)
            ws->opts.on_pong((weft_text){data, len}, ws->opts.user);
        return 0;
    }
}

static int read_control(weft_ws *ws)
{
    char payload[WEFT_WS_CONTROL_BYTES];
    const struct wf_ws_head *h = &ws->frame;
    size_t len = (size_t)h->len;
    const char *data = "";
    ssize_t have = 0;
    while ((size_t)have < len) {
        have = more(ws, (size_t)have, &data);
        if (have < 0) return (int)have;
    }
    wf_ws_mask(payload, data, len, h->key, 0);
    weft_stream_consume(ws->stream, len);
    ws->in_frame = false;
    return deal_with(ws, payload, len);
}

/* ---- reading ------------------------------------------------------------ */

int wf_ws_read_on(weft_ws *ws)
{
    int rc = 0;
    while (rc == 0) {
        if (ws->close_come) return 0;
        if (ws->read_error) return ws->read_error;
        rc = !ws->in_frame                        ? begin_frame(ws)
             : wf_ws_is_control(ws->frame.opcode) ? read_control(ws)
                                                  : read_payload(ws);
    }
    return rc;
}

/* What was shown is no longer looked at. */
static void forget(weft_ws *ws)
{
    if (!ws->shown) return;
    ws->shown = false;
    wf_ws_drop_message(ws);
}

static int read_message(weft_ws *ws, weft_ws_message *ret_message)
{
    forget(ws);
    while (!ws->whole) {
        int rc = wf_ws_read_on(ws);
        if (rc != 1) return rc;
        ws->whole = !ws->closing;
    }
    /* Its owner may take his time. */
    int err = ws->ponged ? wf_ws_flush_pong(ws) : 0;
    if (err < 0) return err;
    ws->ponged = ws->whole = false;
    ws->shown = true;
    ret_message->kind = ws->kind;
    ret_message->data = (weft_text){ws->buf ? ws->buf : "", ws->len};
    return 1;
}

int weft_ws_read(weft_ws *ws, weft_ws_message *ret_message)
{
    if (ws->in_read) return weft_self() ? -EBUSY : weft_checkpoint();
    ws->in_read = true;
    int rc = weft_mutex_lock(&ws->reading);
    if (rc == 0) {
        rc = read_message(ws, ret_message);
        weft_mutex_unlock(&ws->reading);
    }
    ws->in_read = false;
    return rc;
}
