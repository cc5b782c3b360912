/* SPDX-License-Identifier: MIT */
/*
 * server_patience.c - how long a connection waits for what.
 *
 * All of a connection runs in one scope, whose deadline is moved before a wait:
 * a store, or hardly more. When it comes, link->phase says what was waited for.
 *
 * Waiting for octets of a body, or to be rid of some, uses up patience; octets
 * that move give some back, up to what there was at first. So silence is never
 * longer than that, and a peer that is slower than min_rate runs out of it,
 * while the time that the handler needs for itself does not count.
 */
#include "server.h"

#include <weft/time.h>

void wf_wait_for(struct wf_link *l, enum wf_phase phase, weft_time until)
{
    /* What it expired in is not overwritten. */
    if (weft_scope_cancel_called(&l->scope)) return;
    l->phase = phase;
    l->told = 0;
    weft_scope_set_deadline(&l->scope, until);
}

/* weft_after, of a moment that is known. */
static weft_time later(weft_time now, weft_time ns)
{
    return ns < WEFT_FOREVER - now ? now + ns : WEFT_FOREVER;
}

void wf_handler_begins_at(struct wf_link *l, weft_time now)
{
    l->until = later(now, l->server->opts.total_timeout);
    wf_wait_for(l, WF_HANDLER, l->until);
    l->told = now;
}

/* ---- octets ------------------------------------------------------------- */

static weft_time *patience(struct wf_exchange *x, enum wf_phase phase)
{
    return &x->patience[phase == WF_SEND];
}

weft_time wf_wait_begin(struct wf_exchange *x, enum wf_phase phase)
{
    weft_time until = weft_after(*patience(x, phase));
    if (until > x->link->until) until = x->link->until;
    wf_wait_for(x->link, phase, until);
    return weft_now();
}

/* What n octets give back, `most` at most. */
static weft_time gain(const weft_http_server_opts *o, uint64_t n,
                      weft_time most)
{
    if (n > UINT32_MAX) return most;
    uint64_t ns = n * (uint64_t)WEFT_SEC(1) / o->min_rate;
    return ns < (uint64_t)most ? (weft_time)ns : most;
}

void wf_wait_end(struct wf_exchange *x, enum wf_phase phase, weft_time begun,
                 uint64_t n)
{
    const weft_http_server_opts *o = &x->link->server->opts;
    weft_time *left = patience(x, phase);
    weft_time most = phase == WF_SEND ? o->send_timeout : o->body_timeout;
    wf_wait_for(x->link, WF_HANDLER, x->link->until);
    if (most == WEFT_FOREVER || most < 0) return;
    *left -= weft_now() - begun;
    weft_time more = gain(o, n, most);
    *left = *left > most - more ? most : *left + more;
}
