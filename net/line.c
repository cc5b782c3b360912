/* SPDX-License-Identifier: MIT */
/*
 * line.c - who is tried next.
 *
 * What waits is sorted when the next one is taken and more have come: their
 * sources may have changed until then, and one address by itself needs neither
 * a source nor an order. The families alternate as they are taken, which is the
 * same as interlacing them beforehand (RFC 8305, 4), and holds for those that
 * come late.
 */
#include "line.h"

#include <string.h>

void wf_line_init(struct wf_line *l, const struct wf_dialling *d, bool as_given)
{
    l->d = d;
    l->as_given = as_given;
    l->sorted = as_given;
    l->last_family = AF_UNSPEC;
    l->known = l->waiting = 0;
}

void wf_line_add(struct wf_line *l, const weft_addr *to)
{
    for (size_t i = 0; i < l->known; i++)
        if (weft_addr_equal(&l->targets[i].to, to)) return;
    if (l->known == WEFT_DIAL_ADDRS) return;
    struct wf_target *t = &l->targets[l->known++];
    t->to = *to;
    t->routed = false;
    l->line[l->waiting++] = t;
    l->sorted = l->as_given;
}

static void find_route(struct wf_target *t, const struct wf_dialling *d)
{
    const weft_dial_opts *o = d->opts;
    weft_addr from = {.len = 0};
    if (t->routed) return;
    t->routed = true;
    wf_route_init(&t->route, &t->to);
    if (o->source) {
        int err = o->source(&t->to, &from, o->user);
        wf_route_set_source(&t->route, err < 0 ? NULL : &from);
    } else if (d->local.len) {
        wf_route_set_source(&t->route, &d->local);
    } else if (!o->connect) {
        wf_route_probe(&t->route, &t->to);
    }
}

/* By insertion: there are few, and those that are equal stay as they came. */
static void sort(struct wf_line *l)
{
    for (size_t i = 0; i < l->waiting; i++)
        find_route(l->line[i], l->d);
    for (size_t i = 1; i < l->waiting; i++) {
        struct wf_target *t = l->line[i];
        size_t at = i;
        for (; at > 0 && wf_route_before(&t->route, &l->line[at - 1]->route);
             at--)
            l->line[at] = l->line[at - 1];
        l->line[at] = t;
    }
    l->sorted = true;
}

/* The other than the one before; at first the one that is preferred, if any. */
static int wanted_family(const struct wf_line *l)
{
    if (l->as_given) return AF_UNSPEC;
    if (l->last_family == AF_UNSPEC) return l->d->opts->prefer;
    return l->last_family == AF_INET ? AF_INET6 : AF_INET;
}

struct wf_target *wf_line_take(struct wf_line *l)
{
    if (!l->sorted && l->waiting > 1) sort(l);
    int wanted = wanted_family(l);
    size_t at = 0;
    while (at < l->waiting && wanted != AF_UNSPEC &&
           l->line[at]->to.sa.ss_family != wanted)
        at++;
    if (at == l->waiting) at = 0;
    struct wf_target *t = l->line[at];
    l->waiting--;
    memmove(&l->line[at], &l->line[at + 1],
            (l->waiting - at) * sizeof l->line[0]);
    l->last_family = t->to.sa.ss_family;
    return t;
}
