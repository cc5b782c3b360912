/* SPDX-License-Identifier: MIT */
/*
 * ws_send.c - messages and control frames, each frame whole.
 *
 * Who holds frame_lock puts a frame, and nobody else's octets come in between.
 * What fails before its first octet has gone did nothing; a failure behind that
 * breaks the sending side: the stream keeps it, if a single write was cut, and
 * send_error, if it was between two of one frame or of one message.
 *
 * The reader must not wait for a sender, whose peer may be waiting for us to
 * read; so a pong that is due while somebody sends is left to him.
 */
#include "ws.h"

#include <weft/buffer.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/random.h>
#include <weft/time.h>

#include <string.h>

enum how { AT_ONCE, GATHERED };

static bool is_for_good(int err)
{
    return err < 0 && err != -ECANCELED && err != -ENOMEM && err != -EBUSY;
}

/* What was begun cannot be ended. */
static void break_sending(weft_ws *ws, int err)
{
    if (!ws->send_error) ws->send_error = is_for_good(err) ? err : -EPIPE;
}

/* ---- a frame ------------------------------------------------------------ */

static int write_parts(weft_ws *ws, const struct iovec *v, int count,
                       enum how how)
{
    if (how == GATHERED) return weft_stream_writev(ws->stream, v, count);
    weft_stream_set_high_water(ws->stream, 0);
    int err = weft_stream_writev(ws->stream, v, count);
    weft_stream_set_high_water(ws->stream, WEFT_BUFFER_BYTES);
    return err;
}

static int put_plain(weft_ws *ws, const struct wf_ws_head *h, const void *data,
                     enum how how)
{
    uint8_t head[WF_WS_HEAD];
    struct iovec v[2] = {{head, wf_ws_write_head(head, h)},
                         {(void *)(uintptr_t)data, (size_t)h->len}};
    return write_parts(ws, v, h->len > 0 ? 2 : 1, how);
}

/* The octets are the caller's, so they are masked in a buffer, piece by piece;
 * all but a short one go from there. */
static int put_masked(weft_ws *ws, const struct wf_ws_head *h, const char *data,
                      enum how how)
{
    uint8_t *buf = weft_buffer_get();
    if (!buf) return -ENOMEM;
    size_t at = wf_ws_write_head(buf, h), len = (size_t)h->len, done = 0;
    int err;
    do {
        size_t n = len - done;
        if (n > WEFT_BUFFER_BYTES - at) n = WEFT_BUFFER_BYTES - at;
        if (n > 0) wf_ws_mask(buf + at, data + done, n, h->key, done);
        struct iovec v = {buf, at + n};
        err = write_parts(ws, &v, 1, n == len ? how : AT_ONCE);
        if (err < 0 && done > 0) break_sending(ws, err);
        done += n;
        at = 0;
    } while (err == 0 && done < len);
    weft_buffer_put(buf);
    return err;
}

static int put(weft_ws *ws, struct wf_ws_head *h, const void *data,
               enum how how)
{
    if (ws->role == WEFT_WS_SERVER) return put_plain(ws, h, data, how);
    h->masked = true;
    int err = weft_random_bytes(h->key, sizeof h->key);
    return err < 0 ? err : put_masked(ws, h, data, how);
}

/* In a scope by which weft_ws_close ends it. */
static int put_frame(weft_ws *ws, struct wf_ws_head *h, const void *data,
                     enum how how)
{
    weft_scope scope;
    if (ws->send_error) return ws->send_error;
    weft_scope_init(&scope);
    int err = weft_scope_begin(&scope);
    if (err < 0) return err;
    ws->writing = &scope;
    err = put(ws, h, data, how);
    ws->writing = NULL;
    return weft_scope_end(&scope, err);
}

static int put_control(weft_ws *ws, uint8_t opcode, const void *data,
                       size_t len, enum how how)
{
    struct wf_ws_head h = {.fin = true, .opcode = opcode, .len = len};
    return put_frame(ws, &h, data, how);
}

/* ---- what the reader owes ----------------------------------------------- */

static int put_pong(weft_ws *ws, enum how how)
{
    char pong[WEFT_WS_CONTROL_BYTES]; /* another ping may come meanwhile */
    size_t len = ws->pong_len;
    memcpy(pong, ws->pong, len);
    ws->owes &= ~(unsigned)WF_WS_OWES_PONG;
    int err = put_control(ws, WF_WS_PONG, pong, len, how);
    if (err < 0 && !is_for_good(err)) ws->owes |= WF_WS_OWES_PONG;
    if (err == 0 && how == GATHERED) ws->ponged = true;
    return err;
}

static int put_ping(weft_ws *ws, enum how how)
{
    int err = put_control(ws, WF_WS_PING, NULL, 0, how);
    if (err < 0 && !is_for_good(err)) return err;
    ws->owes &= ~(unsigned)WF_WS_OWES_PING;
    ws->pinged = true;
    ws->heard = weft_now();
    if (err == 0 && ws->waiting)
        weft_scope_set_deadline(ws->waiting, weft_after(ws->opts.pong_timeout));
    return err;
}

static int pay(weft_ws *ws, enum how how)
{
    int err = 0;
    if (ws->owes & WF_WS_OWES_PONG) err = put_pong(ws, how);
    if (err >= 0 && ws->owes & WF_WS_OWES_PING) err = put_ping(ws, how);
    return err;
}

static int lock_frame(weft_ws *ws)
{
    int err = weft_mutex_lock(&ws->frame_lock);
    if (err < 0 || !ws->send_error) return err;
    weft_mutex_unlock(&ws->frame_lock);
    return ws->send_error;
}

/* What could not be sent here the reader tries. */
static void unlock_frame(weft_ws *ws)
{
    int err = ws->owes ? pay(ws, AT_ONCE) : 0;
    weft_mutex_unlock(&ws->frame_lock);
    if (err < 0 && ws->owes && ws->waiting)
        weft_scope_cancel(ws->waiting, 0, "a control frame is due");
}

int wf_ws_pay(weft_ws *ws)
{
    if (weft_mutex_trylock(&ws->frame_lock) < 0) return 0;
    int err = pay(ws, GATHERED);
    weft_mutex_unlock(&ws->frame_lock);
    return is_for_good(err) ? 0 : err;
}

static int send_control(weft_ws *ws, uint8_t opcode, const void *data,
                        size_t len)
{
    int err = lock_frame(ws);
    if (err < 0) return err;
    err = put_control(ws, opcode, data, len, AT_ONCE);
    unlock_frame(ws);
    return err;
}

int weft_ws_ping(weft_ws *ws, const void *data, size_t len)
{
    char copy[WEFT_WS_CONTROL_BYTES]; /* it may stand in the scratch */
    if (len > sizeof copy)
        return weft_fail_at(-EINVAL, NULL, 0,
                            "websocket: a ping of %zu octets, of %d", len,
                            WEFT_WS_CONTROL_BYTES);
    if (len > 0) memcpy(copy, data, len);
    wf_ws_enter(ws);
    return wf_ws_leave(ws, send_control(ws, WF_WS_PING, copy, len));
}

/* From then on nobody else sends. */
int wf_ws_send_close(weft_ws *ws, int code, const char *reason, size_t len)
{
    char payload[WEFT_WS_CONTROL_BYTES] = {(char)(code >> 8), (char)code};
    if (len > 0) memcpy(payload + 2, reason, len);
    if (ws->close_sent) return 0;
    int err = lock_frame(ws);
    if (err < 0) return ws->close_sent ? 0 : err;
    err = put_control(ws, WF_WS_CLOSE, payload,
                      code == WEFT_WS_NO_CODE ? 0 : 2 + len, AT_ONCE);
    if (err == 0) {
        ws->close_sent = true;
        ws->send_error = -EPIPE;
    }
    unlock_frame(ws);
    return err;
}

/* ---- messages ----------------------------------------------------------- */

static int wrong_text(void)
{
    return weft_fail_at(-EILSEQ, NULL, 0,
                        "websocket: a text to be sent is not UTF-8");
}

static int check_kind(weft_ws_kind kind)
{
    if (kind == WEFT_WS_TEXT || kind == WEFT_WS_BINARY) return 0;
    return weft_fail_at(-EINVAL, NULL, 0, "websocket: no kind of message: %d",
                        (int)kind);
}

static int send_frame(weft_ws *ws, struct wf_ws_head *h, const void *data,
                      enum how how)
{
    int err = lock_frame(ws);
    if (err < 0) return err;
    err = put_frame(ws, h, data, how);
    unlock_frame(ws);
    return err;
}

/* In frames, the first of which is `opcode`, and the last one the last of the
 * message if that is said. */
static int send_frames(weft_ws *ws, uint8_t opcode, const char *data,
                       size_t len, bool fin, enum how how)
{
    size_t done = 0;
    int err;
    do {
        size_t n = len - done;
        if (n > ws->opts.fragment) n = ws->opts.fragment;
        struct wf_ws_head h = {.fin = fin && done + n == len,
                               .opcode = done > 0 ? WF_WS_CONTINUATION : opcode,
                               .len = n};
        err = send_frame(ws, &h, n > 0 ? data + done : NULL, how);
        if (err < 0 && done > 0) break_sending(ws, err);
        done += n;
    } while (err == 0 && done < len);
    return err;
}

static int send_message(weft_ws *ws, weft_ws_kind kind, const void *data,
                        size_t len, enum how how)
{
    int err = wf_ws_lock_message(ws);
    if (err < 0) return err;
    err = send_frames(ws, (uint8_t)kind, data, len, true, how);
    weft_mutex_unlock(&ws->message);
    return err;
}

/* The scratch is somebody else's after a park. */
static int copy_out(const void **data, size_t len, void **ret_copy)
{
    *ret_copy = NULL;
    if (len == 0 || !weft_scratch_holds(*data)) return 0;
    *ret_copy = weft_buffer_alloc(len);
    if (!*ret_copy) return -ENOMEM;
    memcpy(*ret_copy, *data, len);
    *data = *ret_copy;
    return 0;
}

static void free_copy(void *copy, size_t len)
{
    if (copy) weft_buffer_free(copy, len);
}

static int check_and_send(weft_ws *ws, weft_ws_kind kind, const void *data,
                          size_t len, enum how how)
{
    void *copy;
    int err = check_kind(kind);
    if (err < 0) return err;
    if (kind == WEFT_WS_TEXT && !wf_utf8_is_valid(data, len))
        return wrong_text();
    err = copy_out(&data, len, &copy);
    if (err < 0) return err;
    wf_ws_enter(ws);
    err = wf_ws_leave(ws, send_message(ws, kind, data, len, how));
    free_copy(copy, len);
    return err;
}

int weft_ws_send(weft_ws *ws, weft_ws_kind kind, const void *data, size_t len)
{
    return check_and_send(ws, kind, data, len, AT_ONCE);
}

int weft_ws_write(weft_ws *ws, weft_ws_kind kind, const void *data, size_t len)
{
    return check_and_send(ws, kind, data, len, GATHERED);
}

static int flush_locked(weft_ws *ws)
{
    weft_scope scope;
    weft_scope_init(&scope);
    int err = weft_scope_begin(&scope);
    if (err < 0) return err;
    ws->writing = &scope;
    err = weft_stream_flush(ws->stream);
    ws->writing = NULL;
    return weft_scope_end(&scope, err);
}

static int flush(weft_ws *ws)
{
    int err = lock_frame(ws);
    if (err < 0) return err;
    err = flush_locked(ws);
    unlock_frame(ws);
    return err;
}

int weft_ws_flush(weft_ws *ws)
{
    wf_ws_enter(ws);
    return wf_ws_leave(ws, flush(ws));
}

static int flush_now(void *arg)
{
    return flush_locked(arg);
}

int wf_ws_flush_pong(weft_ws *ws)
{
    if (weft_mutex_trylock(&ws->frame_lock) < 0) return 0;
    int err = weft_move_on_after(WF_WS_NO_TIME, flush_now, ws, NULL);
    weft_mutex_unlock(&ws->frame_lock);
    return is_for_good(err) ? 0 : err;
}

/* ---- messages in parts -------------------------------------------------- */

static int send_begin(weft_ws *ws, weft_ws_kind kind)
{
    int err = wf_ws_lock_message(ws);
    if (err < 0) return err;
    if (ws->send_error) {
        weft_mutex_unlock(&ws->message);
        return ws->send_error;
    }
    ws->sender = weft_self();
    ws->sends = kind;
    ws->part_sent = false;
    ws->sent_utf8 = (struct wf_utf8){0, 0, 0};
    return 0;
}

int weft_ws_send_begin(weft_ws *ws, weft_ws_kind kind)
{
    int err = check_kind(kind);
    if (err < 0) return err;
    wf_ws_enter(ws);
    return wf_ws_leave(ws, send_begin(ws, kind));
}

static int check_sender(const weft_ws *ws)
{
    int err = weft_self() ? 0 : weft_checkpoint(); /* which says so */
    if (err < 0 || ws->sender == weft_self()) return err;
    return weft_fail_at(-EINVAL, NULL, 0,
                        "websocket: the caller has begun no message");
}

static int send_part(weft_ws *ws, const void *data, size_t len, bool fin)
{
    uint8_t opcode = ws->part_sent ? WF_WS_CONTINUATION : (uint8_t)ws->sends;
    wf_ws_enter(ws);
    int err = send_frames(ws, opcode, data, len, fin, AT_ONCE);
    if (err == 0) ws->part_sent = true;
    if (is_for_good(err)) break_sending(ws, err);
    return wf_ws_leave(ws, err);
}

int weft_ws_send_part(weft_ws *ws, const void *data, size_t len)
{
    void *copy;
    int err = check_sender(ws);
    if (err < 0) return err;
    if (len == 0) return weft_checkpoint();
    struct wf_utf8 utf8 = ws->sent_utf8;
    if (ws->sends == WEFT_WS_TEXT && !wf_utf8_feed(&utf8, data, len))
        return wrong_text();
    err = copy_out(&data, len, &copy);
    if (err < 0) return err;
    err = send_part(ws, data, len, false);
    if (err == 0) ws->sent_utf8 = utf8;
    free_copy(copy, len);
    return err;
}

int weft_ws_send_end(weft_ws *ws)
{
    int err = check_sender(ws);
    if (err < 0) return err;
    if (!wf_utf8_is_whole(&ws->sent_utf8) && !ws->send_error)
        return wrong_text();
    err = send_part(ws, NULL, 0, true);
    if (err < 0 && !is_for_good(err) && !ws->send_error) return err;
    ws->sender = NULL;
    weft_mutex_unlock(&ws->message);
    return err;
}
