/* SPDX-License-Identifier: MIT */
/*
 * ws_close.c - the closing handshake, and what is left when there is none.
 *
 * It takes the steps that are still to be taken, so that it can be called again
 * after a cancellation. When it is over nobody else is in a call of this
 * connection any more (ws_calls.c).
 */
#include "ws.h"

#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/time.h>

#include <string.h>

struct ending {
    weft_ws *ws;
    int code;
    const char *reason;
};

static int check(int code, const char *reason)
{
    size_t len = reason ? strlen(reason) : 0;
    if (!wf_ws_code_is_valid(code))
        return weft_fail_at(-EINVAL, NULL, 0,
                            "websocket: %d is no code to close with", code);
    if (len > WEFT_WS_REASON_BYTES)
        return weft_fail_at(-EINVAL, NULL, 0,
                            "websocket: a reason of %zu octets, of %d", len,
                            WEFT_WS_REASON_BYTES);
    if (!wf_utf8_is_valid(reason, len))
        return weft_fail_at(-EINVAL, NULL, 0,
                            "websocket: a reason that is not UTF-8");
    return 0;
}

static bool is_stopping(const weft_ws *ws)
{
    return ws->conn && weft_conn_draining(ws->conn);
}

/* Who does not answer a ping is told nothing. */
static int say_it(const struct ending *e)
{
    weft_ws *ws = e->ws;
    if (ws->read_error == -ETIMEDOUT) return ws->read_error;
    if (ws->fail_code) return wf_ws_send_close(ws, ws->fail_code, NULL, 0);
    if (ws->close_come && ws->peer_code == WEFT_WS_NO_CODE)
        return wf_ws_send_close(ws, ws->peer_code, NULL, 0);
    return wf_ws_send_close(ws, e->code, e->reason,
                            e->reason ? strlen(e->reason) : 0);
}

/* Reads up to the peer's close frame. */
static int hear_it(weft_ws *ws)
{
    int err = weft_mutex_lock(&ws->reading);
    if (err < 0) return err;
    do
        err = wf_ws_read_on(ws);
    while (err == 1);
    weft_mutex_unlock(&ws->reading);
    return err;
}

/* Reads and drops what comes before the peer's end: closed with input unread
 * the system would take our close frame back. */
static int wait_for_end(weft_ws *ws)
{
    int err = weft_mutex_lock(&ws->reading);
    if (err < 0) return err;
    err = weft_stream_skip(ws->stream, UINT64_MAX, NULL);
    weft_mutex_unlock(&ws->reading);
    return err;
}

/* What could not be said will not be answered. */
static int leave(void *arg)
{
    const struct ending *e = arg;
    weft_ws *ws = e->ws;
    int said = say_it(e);
    ws->closing = true;
    int rc = said == 0 ? hear_it(ws) : said;
    if (rc == -ECANCELED) return rc;
    bool clean = ws->close_sent && ws->close_come;
    int err = 0;
    if (!clean || ws->role == WEFT_WS_SERVER)
        err = weft_stream_shutdown_write(ws->stream);
    if (err == 0 &&
        (clean ? ws->role == WEFT_WS_CLIENT : ws->fail_code && ws->close_sent))
        err = wait_for_end(ws);
    return err == -ECANCELED ? err : rc;
}

/* A client's, which has waited for the server's. */
static int end_sending(void *arg)
{
    return weft_stream_shutdown_write(arg);
}

static int close_locked(weft_ws *ws, int code, const char *reason)
{
    struct ending e = {ws, code, reason};
    if (ws->closed) return ws->close_rc;
    int rc = weft_with_timeout(ws->opts.close_timeout, leave, &e);
    if (rc == -ECANCELED) return rc;
    if (ws->read_error) rc = ws->read_error;
    if (ws->close_come && ws->close_sent) rc = 0;
    if (rc == -ESHUTDOWN) rc = 0; /* and it may have been told */
    ws->closed = true;
    ws->close_rc = rc;
    wf_ws_call_off(ws);
    if (rc == 0 && ws->stream != &ws->own) {
        int ended = weft_move_on_after(ws->opts.close_timeout, end_sending,
                                       ws->stream, NULL);
        (void)ended; /* a server's is no news */
    }
    return rc;
}

int weft_ws_close(weft_ws *ws, int code, const char *reason)
{
    if (code == 0) code = is_stopping(ws) ? WEFT_WS_GOING_AWAY : WEFT_WS_NORMAL;
    int err = check(code, reason);
    if (err == 0) err = weft_mutex_lock(&ws->closing_lock);
    if (err < 0) return err;
    err = close_locked(ws, code, reason);
    weft_mutex_unlock(&ws->closing_lock);
    return err;
}

/* ---- the end of a handler ----------------------------------------------- */

static int close_for(void *arg)
{
    struct ending *e = arg;
    return weft_ws_close(e->ws, e->code, NULL);
}

/* Nobody has the time to wait for an answer. */
static int only_say_it(void *arg)
{
    struct ending *e = arg;
    int err = say_it(e);
    return err < 0 ? err : weft_stream_shutdown_write(e->ws->stream);
}

int weft_ws_end(weft_ws *ws, int rc)
{
    if (!ws) return rc > 0 ? 0 : rc;
    bool cancelled = weft_cancelled();
    struct ending e = {ws, 0, NULL};
    if (cancelled)
        e.code = WEFT_WS_GOING_AWAY;
    else if (rc < 0 && !ws->read_error && !ws->send_error)
        e.code = WEFT_WS_FAILURE;
    int err = weft_shielded(ws->opts.close_timeout,
                            cancelled ? only_say_it : close_for, &e);
    (void)err; /* of the peer, who has gone */
    if (!ws->closed) wf_ws_call_off(ws);
    weft_ws_free(ws);
    return rc > 0 || rc == -ESHUTDOWN ? 0 : rc;
}
