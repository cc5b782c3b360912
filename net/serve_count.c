/* SPDX-License-Identifier: MIT */
/*
 * serve_count.c - who may come in, and what is counted of those who do.
 */
#include "serve.h"

/* ---- who may come in ---------------------------------------------------- */

static int enter_as_peer(weft_server_ *s, const weft_conn *c)
{
    wf_crew_lock(s);
    int err = wf_peers_enter(s->peers, &c->peer);
    if (err == -EBUSY) wf_serve_count(&s->stats->refused_peer, 1);
    if (err == -ENOMEM) {
        wf_serve_count(&s->stats->accepted, 1);
        wf_serve_count(&s->stats->dropped, 1);
    }
    wf_crew_unlock(s);
    return err;
}

static void refuse(weft_server_ *s, const weft_conn *c)
{
    wf_crew_lock(s);
    wf_serve_count(&s->stats->refused, 1);
    if (s->peers) wf_peers_leave(s->peers, &c->peer);
    wf_crew_unlock(s);
}

/* Without the memory to count its peer it is turned away like one too many. */
bool wf_serve_admit(weft_server_ *s, const weft_conn *c)
{
    if (s->peers && enter_as_peer(s, c) < 0) return false;
    weft_conn copy = *c;
    if (!s->opts.on_connect || s->opts.on_connect(&copy)) return true;
    refuse(s, c);
    return false;
}

/* ---- in and out --------------------------------------------------------- */

void wf_serve_enter(weft_server_ *s)
{
    weft_serve_stats *n = s->stats;
    s->live++;
    wf_serve_count(&n->accepted, 1);
    wf_serve_count(&n->active, 1);
    if (n->active > n->peak) wf_serve_count(&n->peak, 1);
}

void wf_serve_count_out(weft_server_ *s, const weft_conn *c, unsigned long *how)
{
    s->live--;
    wf_serve_count(&s->stats->active, -1);
    wf_serve_count(how, 1);
    if (s->peers) wf_peers_leave(s->peers, &c->peer);
}

/* ---- for those who ask -------------------------------------------------- */

void weft_serve_stats_read(const weft_serve_stats *s,
                           weft_serve_stats *ret_stats)
{
    const unsigned long *from = (const unsigned long *)s;
    unsigned long *to = (unsigned long *)ret_stats;
    for (size_t i = 0; i < sizeof *s / sizeof *to; i++)
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}
