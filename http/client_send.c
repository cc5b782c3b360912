/* SPDX-License-Identifier: MIT */
/*
 * client_send.c - a call: its exchange is made, and it is tried as often as it
 * may be.
 */
#include "client.h"

#include <limits.h>

#include <weft/buffer.h>
#include <weft/fiber.h>
#include <weft/retry.h>
#include <weft/time.h>

enum { KEPT_BYTES = 4096 }; /* for marks and URLs; the rest is the heads' */

/* ---- exchanges ---------------------------------------------------------- */

static weft_time usual(weft_time own, weft_time clients)
{
    return own != 0 ? own : clients;
}

static struct weft_http_exchange_ *
exchange_new(weft_http *h, const weft_http_call *call, weft_resp *r)
{
    const weft_http_opts *o = &h->opts;
    struct weft_http_exchange_ *x = weft_buffer_get();
    if (!x) return NULL;
    *x = (struct weft_http_exchange_){.h = h, .call = call, .r = r};
    x->method = weft_text_of(call->method ? call->method : "GET");
    x->verb = weft_http_verb_of(x->method);
    x->first_byte = usual(call->first_byte_timeout, o->first_byte_timeout);
    x->idle = usual(call->idle_timeout, o->idle_timeout);
    x->total = usual(call->total_timeout, o->total_timeout);
    x->total_at = WEFT_FOREVER;
    x->closes = call->close;
    size_t rest = WEFT_BUFFER_BYTES - sizeof *x - KEPT_BYTES;
    weft_arena_init(&x->kept, x->memory, KEPT_BYTES);
    weft_arena_init(&x->reply, x->memory + KEPT_BYTES, rest);
    x->prev = h->late;
    *(x->prev ? &x->prev->next : &h->early) = x;
    h->late = x;
    return x;
}

/* ---- trying ------------------------------------------------------------- */

static int attempt(void *exchange)
{
    struct weft_http_exchange_ *x = exchange;
    int err = wf_client_follow(x);
    x->unavailable = err == 0 && wf_client_is_passing(x->r->status) &&
                     wf_client_is_repeatable(x);
    if (!x->unavailable) return err;
    weft_time wait = wf_client_retry_after(x->r);
    if (wait > 0) weft_retry_after(wait);
    return -WEFT_EREMOTEIO;
}

static bool is_worth_it(int code, const weft_error *e, unsigned number,
                        void *exchange)
{
    struct weft_http_exchange_ *x = exchange;
    (void)e;
    (void)number;
    if (x->unavailable) return true;
    return weft_retry_transient(code) && wf_client_is_repeatable(x);
}

/* There will be another reply. */
static void before_wait(int code, unsigned number, weft_time wait,
                        void *exchange)
{
    struct weft_http_exchange_ *x = exchange;
    (void)code;
    (void)number;
    (void)wait;
    wf_client_discard(x, false);
    x->unavailable = false;
    x->h->stats.retried++;
}

static int try_often(struct weft_http_exchange_ *x)
{
    const weft_http_opts *h = &x->h->opts;
    weft_retry_opts o = {.attempts = h->retries + (h->retries < UINT_MAX),
                         .base = h->retry_base,
                         .cap = h->retry_cap,
                         .when = is_worth_it,
                         .before_wait = before_wait,
                         .user = x};
    if (h->retries == 0 || x->call->no_retries) return wf_client_follow(x);
    int err = weft_retry(attempt, x, &o);
    return x->unavailable ? 0 : err; /* that was the last one */
}

static int ask(struct weft_http_exchange_ *x)
{
    const weft_http_opts *o = &x->h->opts;
    const char *url = x->call->url ? x->call->url : "";
    int err =
        wf_client_set_url(x, weft_text_of(o->base), weft_text_of(url), true);
    if (err == 0) err = wf_client_check_call(x);
    if (err < 0) return err;
    /* weft_http_free may tell of it when the call's is gone. */
    x->method.at = weft_arena_text(&x->kept, x->method);
    x->room = o->limits.fields;
    x->marks = weft_arena_alloc(&x->kept, x->room * sizeof *x->marks);
    return x->method.at && x->marks ? try_often(x) : -ENOMEM;
}

/* ---- the calls ---------------------------------------------------------- */

int weft_http_send_(weft_http *h, const weft_http_call *call, weft_resp *ret,
                    const char *file, int line)
{
    struct wf_client_limit total;
    *ret = (weft_resp){0};
    int err = weft_checkpoint();
    if (err < 0) return err;
    if (h->closed) return -ESHUTDOWN;
    struct weft_http_exchange_ *x = exchange_new(h, call, ret);
    if (!x) return -ENOMEM;
    x->file = file;
    x->line = line;
    h->stats.requests++;
    wf_client_begin(x, &total, x->total);
    x->total_at = weft_after(x->total);
    err = ask(x);
    err = wf_client_end(x, &total, err, "total time of", "not done");
    x->call = NULL;
    if (err == 0) {
        ret->in_ = x;
        return 0;
    }
    bool repeatable = ret->repeatable_;
    wf_client_drop(x);
    wf_client_exchange_free(x);
    *ret = (weft_resp){.repeatable_ = repeatable};
    return err;
}

int weft_http_get_(weft_http *h, const char *url, weft_resp *ret,
                   const char *file, int line)
{
    weft_http_call call = {.url = url};
    return weft_http_send_(h, &call, ret, file, line);
}

int weft_http_post_(weft_http *h, const char *url, const char *type,
                    const void *body, size_t len, weft_resp *ret,
                    const char *file, int line)
{
    weft_http_header headers[] = {{type ? "Content-Type" : NULL, type},
                                  {NULL, NULL}};
    weft_http_call call = {.method = "POST",
                           .url = url,
                           .headers = headers,
                           .body = body,
                           .body_len = len};
    return weft_http_send_(h, &call, ret, file, line);
}
