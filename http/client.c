/* SPDX-License-Identifier: MIT */
/*
 * client.c - the client: made, asked how it does, ended.
 *
 * It is in use until it was ended by its owner, its last exchange has ended,
 * and so has its keeper; then the memory goes back.
 */
#include "client.h"

#include <weft/buffer.h>
#include <weft/time.h>

void wf_client_let_go(weft_http *h)
{
    if (!h->closed || h->early || h->keepers > 0) return;
    weft_arena_reset(&h->arena);
    weft_buffer_free(h, sizeof *h);
}

static int start_keeper(weft_http *h)
{
    weft_spawn_opts o = {.name = h->opts.name, .daemon = true};
    if (!h->opts.nursery) return 0;
    int err = weft_spawn_ex(h->opts.nursery, wf_client_keeper, h, &o);
    if (err == 0) h->keepers = 1;
    return err < 0 ? weft_fail(err, "http: no fiber to close what is idle") : 0;
}

weft_http *weft_http_new(const weft_http_opts *o)
{
    static const weft_http_opts usual;
    weft_http *h = weft_buffer_alloc(sizeof *h);
    if (!h) {
        (void)weft_fail(-ENOMEM, "http: no memory for a client");
        return NULL;
    }
    *h = (weft_http){.next_expiry = WEFT_FOREVER, .keeper_at = WEFT_FOREVER};
    weft_arena_init(&h->arena, NULL, 0);
    int err = wf_client_set_options(h, o ? o : &usual);
    if (err == 0) err = wf_client_set_proxies(h);
    if (err == 0) err = start_keeper(h);
    if (err == 0) return h;
    if (err == -ENOMEM) (void)weft_fail(err, "http: no memory for a client");
    h->closed = true;
    wf_client_let_go(h);
    return NULL;
}

/* Names the oldest of those that are not ended; 0, if there are none. */
static int name_leak(const weft_http *h)
{
    const struct weft_http_exchange_ *x;
    unsigned count = 0;
    for (x = h->early; x; x = x->next)
        count++;
    x = h->early;
    if (!x) return 0;
    return weft_fail_at(-EBUSY, x->file, x->line,
                        "%.16s: %u not ended, the first %.8s " WF_CLIENT_URL,
                        h->opts.name, count, x->method.at,
                        WF_CLIENT_URL_ARGS(x));
}

int weft_http_free(weft_http *h)
{
    if (!h) return 0;
    int err = name_leak(h);
    h->closed = true;
    wf_client_refuse_waiters(h);
    wf_client_expire(h, true);
    for (struct weft_http_exchange_ *x = h->early; x; x = x->next)
        if (x->conn) wf_client_shut(x->conn);
    weft_event_set(&h->keeper_called);
    wf_client_let_go(h);
    return err;
}

void weft_http_close_idle(weft_http *h)
{
    wf_client_expire(h, true);
}

void weft_http_client_stats_read(const weft_http *h,
                                 weft_http_client_stats *ret_stats)
{
    *ret_stats = h->stats;
}
