/* SPDX-License-Identifier: MIT */
/*
 * client_resp.c - a reply: what it says, and how it ends.
 */
#include "client.h"

#include <weft/buffer.h>
#include <weft/retry.h>
#include <weft/time.h>

enum { SMALL_REST = 65536 };

/* ---- the connection ----------------------------------------------------- */

static void leave_conn(struct weft_http_exchange_ *x)
{
    x->conn = NULL;
    x->run = (weft_text){NULL, 0};
    x->h->stats.lent--;
}

void wf_client_drop(struct weft_http_exchange_ *x)
{
    struct wf_client_conn *c = x->conn;
    if (!c) return;
    struct wf_client_host *host = c->host;
    leave_conn(x);
    x->h->stats.dropped++;
    wf_client_conn_free(c);
    wf_client_give_place(x->h, host);
}

/* How long the server says that it keeps it, a little less; or a long time. */
static weft_time kept_by_server(const weft_resp *r)
{
    size_t at = 0;
    uint64_t seconds;
    weft_text line, item, name = {"timeout=", 8};
    while (weft_http_field_next(&r->head.fields, "Keep-Alive", &at, &line))
        while (weft_http_list_next(&line, &item)) {
            weft_text start = {item.at, name.len};
            if (item.len <= name.len || !weft_text_equal_nocase(start, name))
                continue;
            item = (weft_text){item.at + name.len, item.len - name.len};
            if (weft_text_number(item, &seconds) == 0 && seconds < 86400)
                return WEFT_SEC(seconds) - WEFT_MSEC(500);
        }
    return WEFT_FOREVER;
}

/* Will the connection be in step, once the reply is over? */
static bool may_stay(const struct weft_http_exchange_ *x)
{
    return x->sent && x->r->head.keep_alive && !x->dubious && !x->closes;
}

void wf_client_finish(struct weft_http_exchange_ *x)
{
    struct wf_client_conn *c = x->conn;
    if (!c) return;
    weft_time keep = kept_by_server(x->r);
    if (keep > x->h->opts.max_idle) keep = x->h->opts.max_idle;
    bool clean = c->in_len == 0 && !c->ended && c->open;
    if (!may_stay(x) || !clean || x->h->closed || keep <= 0) {
        wf_client_drop(x);
        return;
    }
    leave_conn(x);
    c->used = true;
    wf_client_push_idle(c, keep);
}

void wf_client_discard(struct weft_http_exchange_ *x, bool wait)
{
    size_t dropped = 0;
    weft_scope patience;
    bool worth = x->conn && may_stay(x) && x->left <= SMALL_REST;
    x->unwanted = true;
    weft_scope_init(&patience);
    bool open = worth && weft_scope_begin_after(&patience, WEFT_SEC(1),
                                                WEFT_MOVE_ON) == 0;
    while (open && dropped <= SMALL_REST) {
        ssize_t n = wf_client_next_run(x, wait);
        if (n <= 0) break;
        dropped += (size_t)n;
        x->run = (weft_text){NULL, 0};
    }
    if (open) {
        int over = weft_scope_end(&patience, 0);
        (void)over; /* the connection is dropped in any case */
    }
    x->unwanted = false;
    wf_client_drop(x); /* if there is still one */
}

void wf_client_exchange_free(struct weft_http_exchange_ *x)
{
    weft_http *h = x->h;
    *(x->prev ? &x->prev->next : &h->early) = x->next;
    *(x->next ? &x->next->prev : &h->late) = x->prev;
    weft_arena_reset(&x->reply);
    weft_arena_reset(&x->kept);
    weft_buffer_put(x);
    wf_client_let_go(h);
}

int weft_resp_end(weft_resp *r)
{
    struct weft_http_exchange_ *x = r->in_;
    if (!x) return 0;
    int err = x->error;
    x->r = r;
    wf_client_discard(x, true);
    wf_client_exchange_free(x);
    r->in_ = NULL;
    r->head = (weft_http_response){0};
    r->url = (weft_text){NULL, 0};
    return err;
}

/* ---- what it says ------------------------------------------------------- */

weft_text weft_resp_field(const weft_resp *r, const char *name)
{
    return weft_http_field(&r->head.fields, name);
}

weft_text weft_resp_trailer(const weft_resp *r, const char *name)
{
    static const weft_text none;
    if (!r->in_ || !r->in_->done) return none;
    return weft_http_field(&r->in_->trailers.fields, name);
}

weft_time wf_client_retry_after(const weft_resp *r)
{
    weft_text value = weft_resp_field(r, "Retry-After");
    uint64_t seconds;
    int64_t date;
    if (!value.at) return 0;
    int err = weft_text_number(value, &seconds);
    if (err == 0 && seconds > 31536000) err = -ERANGE;
    if (err == -ERANGE) return WEFT_FOREVER; /* a year: do not come back */
    if (err == 0) return WEFT_SEC(seconds);
    if (weft_http_date_parse(value, &date) < 0) return 0;
    int64_t now = weft_calendar() / WEFT_SEC(1);
    return date - now > 31536000 ? WEFT_FOREVER
           : date > now          ? WEFT_SEC(date - now)
                                 : 0;
}

bool wf_client_is_passing(int status)
{
    return status == 429 || (status >= 502 && status <= 504);
}

int weft_http_check(const weft_resp *r)
{
    if (r->status >= 200 && r->status < 400) return 0;
    if (r->status == 0)
        return weft_fail(-EINVAL, "http: there is no reply to be checked");
    weft_time wait = wf_client_retry_after(r);
    if (wait > 0) weft_retry_after(wait);
    return weft_fail(-WEFT_EREMOTEIO, "%d %.30s from %.50s", r->status,
                     weft_http_reason(r->status), r->url.at ? r->url.at : "");
}

bool weft_http_retry_when(int code, const weft_error *e, unsigned attempt,
                          void *resp)
{
    const weft_resp *r = resp;
    (void)e;
    (void)attempt;
    if (!r->repeatable_) return false;
    if (code == -WEFT_EREMOTEIO) return wf_client_is_passing(r->status);
    return weft_retry_transient(code);
}
