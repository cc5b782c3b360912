/* SPDX-License-Identifier: MIT */
/*
 * server_end.c - how a connection ends: politely, with a refusal, in silence, or
 * cut.
 *
 * The scope with its limits is over by then: what is still to be sent has
 * send_timeout. Closing with input unread would reset the connection and take
 * the last reply with it, so what comes is read and dropped for a while (RFC
 * 9112, 9.6).
 */
#include "server.h"

#include <weft/fiber.h>
#include <weft/http.h>
#include <weft/net.h>
#include <weft/time.h>

#include <stdio.h>

#define GRACE WEFT_SEC(5)
enum { MAX_DROPPED = 16 * 1048576 };

/* ---- for the log -------------------------------------------------------- */

static void count_reply(const weft_http_server *s, int status)
{
    int class = status / 100 <= 5 ? status / 100 : 0;
    WF_HTTP_COUNT(s, requests);
    WF_HTTP_COUNT(s, replies[class]);
}

void wf_report_to_all(struct wf_exchange *x, int rc)
{
    const weft_http_server *s = x->link->server;
    if (x->is.reported) return;
    x->is.reported = true;
    if (x->is.failure) rc = x->is.failure;
    if (s->opts.stats) count_reply(s, x->req.status);
    if (!s->opts.on_request) return;
    s->opts.on_request(&x->req, rc, weft_now() - x->since, s->opts.log_user);
}

/* ---- the ways to end ---------------------------------------------------- */

/* Nothing has been replied yet to what was read. */
static int write_refusal(struct wf_link *l)
{
    char text[256];
    struct wf_exchange *x = l->x;
    const char *reason = weft_http_reason(l->refusal);
    (void)snprintf(text, sizeof text, "%d %s\n%s\n", l->refusal, reason,
                   l->why ? l->why : "");
    x->is.close = true;
    x->is.plain = false;
    x->fields.len = 0;
    x->is.has_type = x->is.has_upgrade = false;
    return weft_reply_text(&x->req, l->refusal, text);
}

/* Sends all, and says that it was all. */
static int send_all(struct wf_link *l, int step)
{
    int rc = 0;
    WEFT_FAIL_AFTER(rc, l->server->opts.send_timeout) {
        if (step == WF_REFUSE) rc = write_refusal(l);
        if (rc == 0) rc = weft_stream_shutdown_write(&l->stream);
    }
    return rc;
}

static int drop_the_rest(struct wf_link *l)
{
    int rc = 0;
    wf_exchange_close(l);
    weft_conn_set_busy(l->conn, false); /* nor is that worth a drain */
    WEFT_MOVE_ON_AFTER(rc, GRACE)
        rc = weft_stream_skip(&l->stream, MAX_DROPPED, NULL);
    return rc == -EPIPE ? 0 : rc; /* the end */
}

/* These say as well that the peer has gone, or its network. */
static int as_gone(int rc)
{
    bool gone = rc == -ENOTCONN || rc == -ETIMEDOUT || rc == -EHOSTUNREACH ||
                rc == -ENETUNREACH;
    return gone ? -ECONNRESET : rc;
}

/* What is open of the connection its server closes. */
static int let_go(struct wf_link *l, bool reset, int rc)
{
    rc = as_gone(rc);
    weft_fd fd = weft_stream_fd(&l->stream);
    if (reset && fd.generation && weft_set_reset_on_close(fd, true) < 0)
        (void)weft_close(fd); /* it has gone, and says so */
    if (l->x) wf_report(l->x, rc);
    wf_exchange_close(l);
    weft_stream_fini(&l->stream);
    return rc;
}

static int part(struct wf_link *l, int step)
{
    int err = send_all(l, step);
    if (err == -ETIMEDOUT && step != WF_CUT) WF_HTTP_COUNT(l->server, cut);
    if (err == -ETIMEDOUT) return let_go(l, true, 0);
    if (err < 0) return let_go(l, false, err);
    if (l->x) wf_report(l->x, step == WF_REFUSE ? -EBADMSG : 0);
    return let_go(l, false, drop_the_rest(l));
}

/* What was made before goes first; and where that shows by itself how far the
 * reply came, nothing needs to be lost to a reset. */
static int cut(struct wf_link *l)
{
    int rc = 0;
    WF_HTTP_COUNT(l->server, cut);
    if (l->phase == WF_SEND || !l->x || l->x->is.lost)
        return let_go(l, true, 0);
    if (l->x->is.framing != WF_UNTIL_CLOSE) return part(l, WF_CUT);
    WEFT_MOVE_ON_AFTER(rc, GRACE)
        rc = weft_stream_flush(&l->stream);
    return let_go(l, true, rc);
}

/* One of its limits has come. */
static int step_after_limit(struct wf_link *l)
{
    struct wf_exchange *x = l->x;
    WF_HTTP_COUNT(l->server, timed_out);
    if (x && !x->is.ended) x->is.failure = -ETIMEDOUT;
    if (l->phase == WF_SEND) return WF_CUT;
    if (!x || l->phase == WF_IDLE)
        return weft_stream_pending(&l->stream) > 0 ? WF_FINISH : WF_CLOSE;
    if (x->is.ended) return WF_FINISH;
    if (x->req.status != 0) return WF_CUT;
    l->refusal = l->phase == WF_HANDLER ? 503 : 408;
    l->why = l->phase == WF_HANDLER ? "it took too long"
                                    : "the request did not come in time";
    return WF_REFUSE;
}

int wf_link_end(struct wf_link *l, int step)
{
    bool limited = step == -ETIMEDOUT && weft_scope_caught(&l->scope);
    if (limited) step = step_after_limit(l);
    if (step == WF_REFUSE && !limited) WF_HTTP_COUNT(l->server, refused);
    if (step == WF_FINISH || step == WF_REFUSE) return part(l, step);
    if (step == WF_CLOSE) return let_go(l, false, 0);
    if (step == WF_CUT) return cut(l);
    bool midway = l->x && l->x->req.status != 0;
    if (midway) WF_HTTP_COUNT(l->server, cut);
    return let_go(l, midway, step);
}
