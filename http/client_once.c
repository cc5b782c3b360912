/* SPDX-License-Identifier: MIT */
/*
 * client_once.c - one request and its reply.
 *
 * A server may close a kept connection at any moment, and a request may cross
 * that on its way. Where no octet of a reply came it is sent once more, on a
 * new connection and in the same place, if that can do no harm (RFC 9112,
 * 9.3.1).
 */
#include "client.h"

bool wf_client_can_replay(const struct weft_http_exchange_ *x)
{
    return x->bodiless || !x->produced || x->call->rewind;
}

bool wf_client_is_repeatable(const struct weft_http_exchange_ *x)
{
    return x->r->repeatable_ && wf_client_can_replay(x);
}

int wf_client_rewind(struct weft_http_exchange_ *x)
{
    if (x->bodiless || !x->produced) return 0;
    int err = x->call->rewind(x->call->user);
    if (err == 0) x->produced = false;
    return err;
}

static int prepare(struct weft_http_exchange_ *x)
{
    x->heard = x->answered = x->sent = x->begun = false;
    x->expecting = x->continued = x->dubious = x->unproduced = false;
    x->interims = 0;
    x->broken = 0;
    x->r->status = 0;
    x->r->repeatable_ =
        x->call->repeatable || weft_http_verb_is_idempotent(x->verb);
    int err = wf_client_rewind(x);
    return err < 0 ? err : wf_client_write_head(x);
}

static bool was_stale(const struct weft_http_exchange_ *x, int code)
{
    bool gone = code == -EPIPE || code == -ECONNRESET || code == -ECONNABORTED;
    return gone && !x->unproduced && x->conn->used && x->conn->open &&
           !x->heard && wf_client_is_repeatable(x);
}

static int talk(struct weft_http_exchange_ *x)
{
    x->r->attempts++;
    x->r->reused = x->conn->used;
    int err = wf_client_talk(x);
    if (err < 0 && was_stale(x, err)) {
        weft_arena_reset(&x->reply);
        int bad = prepare(x);
        if (bad < 0) return bad;
        wf_client_conn_free(x->conn);
        x->conn = NULL;
        x->h->stats.lent--;
        x->h->stats.again++;
        err = wf_client_connect(x, true);
        if (err < 0) return err;
        x->r->attempts++;
        x->r->reused = false;
        err = wf_client_talk(x);
    }
    return err;
}

static int once(struct weft_http_exchange_ *x)
{
    weft_arena_reset(&x->reply);
    x->host = wf_client_find_host(x);
    if (!x->host) return -ENOMEM;
    int err = prepare(x);
    if (err == 0) err = wf_client_connect(x, false);
    if (err == 0) err = talk(x);
    if (err < 0) wf_client_drop(x);
    wf_client_leave_host(x->h, x->host);
    x->host = NULL;
    if (err < 0) x->answered = false;
    if (err == 0) wf_client_begin_body(x);
    return err;
}

int wf_client_once(struct weft_http_exchange_ *x)
{
    int err = once(x);
    if (err < 0 || x->r->status != 417 || !x->expecting || x->sent) return err;
    if (!wf_client_can_replay(x)) return 0;
    wf_client_discard(x, false); /* RFC 9110, 15.5.18 */
    x->unexpecting = true;
    return once(x);
}
