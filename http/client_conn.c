/* SPDX-License-Identifier: MIT */
/*
 * client_conn.c - a connection for an exchange: an idle one that is still good,
 * or a new one, by way of a proxy and under TLS where that is asked for.
 *
 * An idle one may have ended, or have something to say that nobody asked for. A
 * read tells; but of a descriptor it says what the last poll has found. So
 * where none has been since the last use, the fiber lets one be made first.
 */
#include "client.h"

#include <weft/dial.h>
#include <weft/fiber.h>
#include <weft/time.h>

/* Has the system asked what there is, which is what every turn begins with: a
 * wait that is over in the next one. 0, or an error. */
static int poll_once(struct wf_client_conn *c)
{
    weft_scope turn;
    if (c->transport) return weft_yield(); /* it has a system of its own */
    weft_scope_init(&turn);
    int err = weft_scope_begin_after(&turn, 1, WEFT_MOVE_ON);
    if (err < 0) return err;
    err = wf_client_wait(c, WEFT_READABLE);
    return weft_scope_end(&turn, err < 0 ? err : 0);
}

/* 1; 0: not any more; or an error. */
static int is_good(struct wf_client_conn *c)
{
    char octet;
    if (c->until <= weft_now()) return 0;
    int err = c->since == weft_now() ? poll_once(c) : 0;
    if (err < 0) return err;
    return wf_client_try_read(c, &octet, 1) == -EAGAIN;
}

/* Passes over those that are not: *c may be none then, and the place is
 * kept. */
static int find_good(weft_http *h, struct wf_client_host *host,
                     struct wf_client_conn **c)
{
    while (*c) {
        int good = is_good(*c);
        if (good > 0) return 0;
        struct wf_client_conn *bad = *c;
        *c = good == 0 ? wf_client_pop_idle(h, host) : NULL;
        wf_client_conn_free(bad);
        h->stats.stale += good == 0;
        if (*c) wf_client_give_place(h, host); /* it has brought its own */
        if (good < 0) return good;
    }
    return 0;
}

/* ---- new ones ----------------------------------------------------------- */

static int dial(struct wf_client_conn *c)
{
    const weft_http *h = c->h;
    const struct wf_client_host *host = c->host;
    const char *name = host->name, *address = host->address;
    int port = host->port;
    if (host->proxied) {
        const struct wf_client_proxy *proxy =
            host->secure ? &h->https_proxy : &h->http_proxy;
        name = proxy->host;
        address = proxy->address;
        port = proxy->port;
    }
    if (h->opts.connect) {
        weft_transport *t = NULL;
        int err = h->opts.connect(&t, name, port, h->opts.user);
        if (err == 0) c->transport = t;
        return err;
    }
    return weft_dial_with(&c->fd, address, h->opts.dial);
}

static int secure(struct wf_client_conn *c)
{
    const weft_http *h = c->h;
    weft_transport *below = c->transport, *above = NULL;
    int err = 0;
    if (!below) err = weft_transport_of_fd(c->fd, &below);
    if (err < 0) return err;
    c->transport = NULL;
    c->fd = (weft_fd){0, 0};
    err = h->opts.secure(&above, below, c->host->name, h->opts.user);
    c->transport = err < 0 ? below : above;
    return err;
}

static int set_up(struct wf_client_conn *c)
{
    int err = dial(c);
    if (err == 0 && c->host->proxied && c->host->secure)
        err = wf_client_tunnel(c);
    if (err == 0 && c->host->secure) err = secure(c);
    return err;
}

static int make(struct weft_http_exchange_ *x)
{
    weft_http *h = x->h;
    struct wf_client_limit limit;
    struct wf_client_conn *c = wf_client_conn_new(h, x->host);
    if (!c) return -ENOMEM;
    h->stats.dialled++;
    wf_client_begin(x, &limit, h->opts.connect_timeout);
    int err = set_up(c);
    err = wf_client_end(x, &limit, err, "connection for", "not made");
    if (err == 0 && h->closed) err = -ESHUTDOWN; /* while it was made */
    if (err < 0) {
        wf_client_conn_free(c);
        return err;
    }
    x->conn = c;
    return 0;
}

int wf_client_connect(struct weft_http_exchange_ *x, bool fresh)
{
    weft_http *h = x->h;
    struct wf_client_conn *c = NULL;
    int err = fresh ? 0 : wf_client_take_place(x, &c);
    if (err < 0) return err;
    err = find_good(h, x->host, &c);
    x->conn = c;
    if (err == 0 && h->closed) err = -ESHUTDOWN;
    if (err == 0 && !c) err = make(x);
    if (err == 0) {
        h->stats.lent++;
        h->stats.reused += x->conn->used;
        return 0;
    }
    if (x->conn) wf_client_conn_free(x->conn);
    x->conn = NULL;
    wf_client_give_place(h, x->host);
    return err;
}
