/* SPDX-License-Identifier: MIT */
/*
 * client_pool.c - places, idle connections, and the line of those who wait.
 *
 * One rule holds whenever a fiber is parked: nobody is in line who could be
 * served. So whoever comes may take what there is, for no one before him can
 * use it; and whatever becomes free (a place, an idle connection) is offered
 * along the line, from its head, before anything else is done.
 *
 * Who is served leaves the line there and then, and what he got is his even if
 * he is cancelled before he runs: his next cancel point tells him.
 */
#include "client.h"

#include <string.h>

#include <weft/buffer.h>
#include <weft/fiber.h>
#include <weft/time.h>

/* ---- hosts -------------------------------------------------------------- */

static uint64_t hash_of(const char *text)
{
    uint64_t x = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *text; text++)
        x = (x ^ (unsigned char)*text) * 0x100000001b3u;
    return x ^ x >> 32;
}

static struct wf_client_host **chain_of(weft_http *h, const char *address)
{
    return &h->hosts[hash_of(address) % WF_CLIENT_CHAINS];
}

void wf_client_leave_host(weft_http *h, struct wf_client_host *host)
{
    host->users--;
    if (host->users > 0 || host->conns > 0) return;
    struct wf_client_host **at = chain_of(h, host->address);
    while (*at != host)
        at = &(*at)->next;
    *at = host->next;
    weft_buffer_free(host, host->bytes);
}

static char *put_lower(char *to, weft_text t)
{
    for (size_t i = 0; i < t.len; i++)
        *to++ =
            (char)(t.at[i] >= 'A' && t.at[i] <= 'Z' ? t.at[i] | 32 : t.at[i]);
    return to;
}

/* "name:port" or "[::1]:port", in lower case. */
static void put_address(char *to, weft_text name, int port)
{
    bool ip6 = name.len > 0 && *name.at != '[' &&
               memchr(name.at, ':', name.len) != NULL;
    char digits[8];
    size_t n = sizeof digits;
    if (ip6) *to++ = '[';
    to = put_lower(to, name);
    if (ip6) *to++ = ']';
    *to++ = ':';
    do
        digits[--n] = (char)('0' + port % 10);
    while ((port /= 10) > 0);
    memcpy(to, digits + n, sizeof digits - n);
    to[sizeof digits - n] = 0;
}

/* Both texts are in lower case. */
static struct wf_client_host *host_new(weft_text name, const char *address)
{
    size_t room = strlen(address) + 1;
    size_t bytes = sizeof(struct wf_client_host) + name.len + 1 + room;
    struct wf_client_host *host = weft_buffer_alloc(bytes);
    if (!host) return NULL;
    *host = (struct wf_client_host){.bytes = bytes};
    *put_lower(host->text, name) = 0;
    memcpy(host->text + name.len + 1, address, room);
    host->name = host->text;
    host->address = host->text + name.len + 1;
    return host;
}

/* What to look for, in *ret_key; its address is in the arena. */
static int key_of(struct weft_http_exchange_ *x, weft_text *ret_name,
                  struct wf_client_host *ret_key)
{
    bool secure = wf_client_is_secure(&x->to);
    weft_text name = x->to.host;
    int port = weft_url_port(&x->to);
    const struct wf_client_proxy *proxy =
        wf_client_proxy_of(x->h, secure, name, port);
    if (proxy && !secure) {
        name = weft_text_of(proxy->host);
        port = proxy->port;
    }
    char *address = weft_arena_alloc(&x->reply, name.len + 16);
    if (!address) return -ENOMEM;
    put_address(address, name, port);
    *ret_name = name;
    *ret_key = (struct wf_client_host){.address = address,
                                       .port = port,
                                       .secure = secure,
                                       .proxied = proxy != NULL};
    return 0;
}

struct wf_client_host *wf_client_find_host(struct weft_http_exchange_ *x)
{
    struct wf_client_host key, *host;
    weft_text name;
    if (key_of(x, &name, &key) < 0) return NULL;
    struct wf_client_host **chain = chain_of(x->h, key.address);
    for (host = *chain; host; host = host->next)
        if (host->secure == key.secure && host->proxied == key.proxied &&
            strcmp(host->address, key.address) == 0)
            break;
    if (!host) {
        host = host_new(name, key.address);
        if (!host) return NULL;
        host->port = key.port;
        host->secure = key.secure;
        host->proxied = key.proxied;
        host->next = *chain;
        *chain = host;
    }
    host->users++;
    return host;
}

/* ---- idle connections --------------------------------------------------- */

static void unlink_idle(weft_http *h, struct wf_client_conn *c)
{
    *(c->above ? &c->above->below : &c->host->idle) = c->below;
    if (c->below) c->below->above = c->above;
    *(c->newer ? &c->newer->older : &h->newest) = c->older;
    *(c->older ? &c->older->newer : &h->oldest) = c->newer;
    c->above = c->below = c->newer = c->older = NULL;
    h->stats.idle--;
}

struct wf_client_conn *wf_client_pop_idle(weft_http *h,
                                          struct wf_client_host *host)
{
    struct wf_client_conn *c = host->idle;
    if (c) unlink_idle(h, c);
    return c;
}

static void link_idle(struct wf_client_conn *c)
{
    weft_http *h = c->h;
    c->below = c->host->idle;
    if (c->below) c->below->above = c;
    c->host->idle = c;
    c->older = h->newest;
    *(c->older ? &c->older->newer : &h->oldest) = c;
    h->newest = c;
    h->stats.idle++;
}

/* Its place goes with it. */
static void close_idle(struct wf_client_conn *c)
{
    weft_http *h = c->h;
    struct wf_client_host *host = c->host;
    unlink_idle(h, c);
    wf_client_conn_free(c);
    host->users++;
    host->conns--;
    h->places--;
    wf_client_leave_host(h, host);
}

/* ---- the line ----------------------------------------------------------- */

static void grant(weft_http *h, struct wf_client_host *host)
{
    host->conns++;
    h->places++;
}

/* Serves somebody of that host, if it can be done now. */
static bool serve(weft_http *h, struct wf_client_host *host,
                  struct wf_client_conn **ret_conn)
{
    *ret_conn = wf_client_pop_idle(h, host);
    if (*ret_conn) return true;
    if (h->opts.per_host > 0 && host->conns >= h->opts.per_host) return false;
    if (h->places >= h->opts.pool) {
        if (!h->oldest) return false;
        close_idle(h->oldest); /* of another host: this one has none */
        h->stats.evicted++;
    }
    grant(h, host);
    return true;
}

static void leave_line(weft_http *h, struct wf_client_waiter *w)
{
    *(w->prev ? &w->prev->next : &h->first) = w->next;
    *(w->next ? &w->next->prev : &h->last) = w->prev;
    h->stats.waiting--;
}

static void call(weft_http *h, struct wf_client_waiter *w)
{
    leave_line(h, w);
    w->served = true;
    weft_event_set(&w->called);
}

static void serve_line(weft_http *h)
{
    struct wf_client_waiter *next;
    for (struct wf_client_waiter *w = h->first; w; w = next) {
        next = w->next;
        if (serve(h, w->host, &w->conn)) call(h, w);
    }
}

void wf_client_refuse_waiters(weft_http *h)
{
    while (h->first) {
        h->first->error = -ESHUTDOWN;
        call(h, h->first);
    }
}

static int wait_in_line(struct weft_http_exchange_ *x,
                        struct wf_client_waiter *w)
{
    weft_http *h = x->h;
    struct wf_client_limit limit;
    wf_client_begin(x, &limit, h->opts.pool_wait);
    w->prev = h->last;
    *(h->last ? &h->last->next : &h->first) = w;
    h->last = w;
    h->stats.waiting++;
    int rc = weft_event_wait(&w->called);
    if (w->served)
        rc = w->error;
    else
        leave_line(h, w);
    return wf_client_end(x, &limit, rc, "pool for", "no connection free");
}

int wf_client_take_place(struct weft_http_exchange_ *x,
                         struct wf_client_conn **ret_conn)
{
    weft_http *h = x->h;
    struct wf_client_waiter w = {.host = x->host};
    int err = weft_checkpoint();
    if (err < 0) return err;
    if (h->closed) return -ESHUTDOWN;
    wf_client_expire(h, false);
    if (serve(h, x->host, ret_conn)) return 0;
    err = wait_in_line(x, &w);
    *ret_conn = w.conn;
    return err;
}

void wf_client_give_place(weft_http *h, struct wf_client_host *host)
{
    host->users++;
    host->conns--;
    h->places--;
    serve_line(h);
    wf_client_leave_host(h, host);
}

/* ---- the end of idleness ------------------------------------------------ */

void wf_client_push_idle(struct wf_client_conn *c, weft_time keep)
{
    weft_http *h = c->h;
    c->since = weft_now();
    c->until = weft_after(keep);
    wf_client_release_input(c);
    link_idle(c);
    if (c->until < h->next_expiry) h->next_expiry = c->until;
    serve_line(h);
    if (h->keepers > 0 && h->next_expiry < h->keeper_at)
        weft_event_set(&h->keeper_called);
}

void wf_client_expire(weft_http *h, bool all)
{
    weft_time now = weft_now(), next = WEFT_FOREVER;
    struct wf_client_conn *newer;
    if (!all && now < h->next_expiry) return;
    for (struct wf_client_conn *c = h->oldest; c; c = newer) {
        newer = c->newer;
        if (all || c->until <= now) {
            close_idle(c);
            h->stats.expired++;
        } else if (c->until < next) {
            next = c->until;
        }
    }
    h->next_expiry = next;
    serve_line(h);
}

int wf_client_keeper(void *client)
{
    weft_http *h = client;
    int err = 0;
    while (err == 0 && !h->closed) {
        wf_client_expire(h, false);
        h->keeper_at = h->next_expiry;
        weft_event_clear(&h->keeper_called);
        weft_scope sleep;
        weft_scope_init(&sleep);
        err = weft_scope_begin_at(&sleep, h->keeper_at, WEFT_MOVE_ON);
        if (err == 0)
            err = weft_scope_end(&sleep, weft_event_wait(&h->keeper_called));
    }
    h->keepers = 0;
    wf_client_let_go(h);
    return err;
}
