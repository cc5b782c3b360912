/* SPDX-License-Identifier: MIT */
/*
 * server_conn.c - a connection: request after request, until it ends.
 */
#include "server.h"

#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/http.h>
#include <weft/io.h>
#include <weft/time.h>

/* ---- between requests --------------------------------------------------- */

/* Is the next read likely to have something at once? Then what is gathered can
 * wait for the replies to that. */
static bool may_have_more(const struct wf_link *l)
{
    weft_fd fd = weft_stream_fd(&l->stream);
    return fd.generation && weft_known_ready(fd) & WEFT_READABLE;
}

/* Mostly they go at once, and there is no wait to be bounded. */
static int send_replies(struct wf_link *l)
{
    int err = weft_stream_try_flush(&l->stream);
    if (err != -EAGAIN) return err;
    wf_wait_for(l, WF_SEND, weft_after(l->server->opts.send_timeout));
    return weft_stream_flush(&l->stream);
}

/* Nothing has come behind the last request. Sends, and gets ready to wait. */
static int become_idle(struct wf_link *l)
{
    const weft_http_server_opts *o = &l->server->opts;
    wf_exchange_close(l);
    if (weft_stream_pending(&l->stream) > 0 && !may_have_more(l)) {
        int err = send_replies(l);
        if (err < 0) return err;
    }
    if (l->served > 0 && weft_conn_draining(l->conn)) return WF_FINISH;
    weft_conn_set_busy(l->conn, false);
    wf_wait_for(l, WF_IDLE,
                weft_after(l->served > 0 ? o->idle_timeout : o->head_timeout));
    return WF_GO_ON;
}

/* ---- one request -------------------------------------------------------- */

/* The handler has failed, and nobody else is to blame. */
static int handler_failed(struct wf_link *l, int rc)
{
    struct wf_exchange *x = l->x;
    WF_HTTP_COUNT(l->server, failed);
    wf_tell_failure(rc);
    x->is.failure = rc;
    if (x->is.ended) return WF_GO_ON;
    if (x->req.status != 0) return WF_CUT;
    x->fields.len = 0;
    x->is.has_type = x->is.has_upgrade = false;
    int err = weft_reply_status(&x->req, 500);
    return err < 0 ? err : WF_GO_ON;
}

/* What a peer may do wrong behind an upgrade, as weft/websocket.h tells it. */
static bool is_of_peer(int rc)
{
    return rc == -EPROTO || rc == -EILSEQ || rc == -EMSGSIZE ||
           rc == -ETIMEDOUT;
}

/* Did the handler end the request, and how? */
static int settle(struct wf_link *l, int rc)
{
    struct wf_exchange *x = l->x;
    if (rc >= 0) {
        rc = wf_reply_settle(x);
        if (rc == 0) return WF_GO_ON;
    }
    if (weft_cancelled()) return -ECANCELED;
    if (x->is.lost) return x->is.lost;
    if (x->is.upgraded && (rc == -ECONNRESET || rc == -EPIPE)) return rc;
    if (x->is.upgraded && is_of_peer(rc)) return WF_GO_ON;
    if (x->is.body_error && x->req.status == 0) return WF_REFUSE;
    if (x->is.body_error == rc) return x->is.ended ? WF_GO_ON : WF_CUT;
    return handler_failed(l, rc);
}

static int shut_down(struct wf_link *l)
{
    wf_wait_for(l, WF_SEND, weft_after(l->server->opts.send_timeout));
    return weft_stream_shutdown_write(&l->stream);
}

/* The reply has gone; what the request asked for beyond that. */
static int do_after_work(struct wf_exchange *x)
{
    struct wf_link *l = x->link;
    int err = x->is.close ? shut_down(l) : wf_send_gathered(x);
    if (err < 0) return err;
    if (x->is.close) x->is.lost = -EPIPE; /* for who would still read */
    wf_handler_begins(l, weft_now());
    return wf_after_run(x);
}

/* The reply is made. What comes behind it? */
static int go_on(struct wf_exchange *x)
{
    if (weft_scope_cancel_called(&x->link->scope)) return -ECANCELED;
    if (!x->is.close && !x->is.body_ended) {
        int err = wf_body_is_small(x) ? wf_body_drain(x) : -EMSGSIZE;
        if (err == -ECANCELED || x->is.lost) return err;
        if (err < 0) x->is.close = true;
    }
    wf_report(x, 0);
    int err = x->is.after ? do_after_work(x) : 0;
    if (err < 0) return err;
    return x->is.close ? WF_FINISH : WF_GO_ON;
}

static bool is_plain(const struct wf_link *l, const weft_http_request *head)
{
    return head->keep_alive && head->minor > 0 &&
           head->verb != WEFT_HTTP_HEAD && head->verb != WEFT_HTTP_CONNECT &&
           l->server->opts.max_requests == 0;
}

static int answer(struct wf_link *l)
{
    struct wf_exchange *x = l->x;
    l->served++;
    wf_handler_begins(l, x->whole);
    if (x->req.head.framing == WEFT_HTTP_NO_BODY)
        x->is.body_ended = true;
    else
        wf_body_begin(x);
    x->is.plain = is_plain(l, &x->req.head);
    if (x->req.head.verb == WEFT_HTTP_CONNECT && !l->server->opts.connect) {
        l->refusal = 501;
        l->why = "CONNECT is not served here";
        return WF_REFUSE;
    }
    int step = settle(l, wf_http_answer(x));
    return step == WF_GO_ON ? go_on(x) : step;
}

static int serve_one(struct wf_link *l)
{
    const char *data;
    if (weft_stream_buffered(&l->stream) == 0) {
        int step = become_idle(l);
        if (step != WF_GO_ON) return step;
    }
    ssize_t n = weft_stream_peek(&l->stream, &data);
    if (n <= 0) return n < 0 ? (int)n : WF_FINISH;
    if (!l->x) {
        weft_conn_set_busy(l->conn, true);
        int err = wf_exchange_open(l);
        if (err < 0) return err;
    }
    int step = wf_read_head(l, data, (size_t)n);
    return step == WF_GO_ON ? answer(l) : step;
}

/* ---- a connection ------------------------------------------------------- */

static int serve_in_scope(struct wf_link *l)
{
    weft_scope_init(&l->scope);
    int rc = weft_scope_begin_after(&l->scope, WEFT_FOREVER, WEFT_FAIL);
    if (rc < 0) return rc;
    do
        rc = serve_one(l);
    while (rc == WF_GO_ON);
    return weft_scope_end(&l->scope, rc);
}

int weft_http_serve_conn(weft_http_server *s, weft_conn *c)
{
    struct wf_link l = {.server = s, .conn = c};
    if (!weft_self()) return weft_checkpoint(); /* which says so */
    int err = wf_http_begin(s);
    if (err < 0) return err;
    weft_conn_stream(c, &l.stream);
    return wf_link_end(&l, serve_in_scope(&l));
}
