/* SPDX-License-Identifier: MIT */
/*
 * server.c - a server, its settings, and what it counts.
 */
#include "server.h"

#include <weft/buffer.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/http.h>

#include <string.h>

enum { MAX_NAME = 64, MAX_BODY = 1048576, MIN_RATE = 1024 };

/* ---- settings ----------------------------------------------------------- */

static weft_time or_seconds(weft_time t, int seconds)
{
    return t ? t : WEFT_SEC(seconds);
}

static int not_found(weft_req *r, void *ctx)
{
    (void)ctx;
    return weft_reply_status(r, 404);
}

static void set_defaults(weft_http_server_opts *o)
{
    if (!o->handler) o->handler = not_found;
    if (!o->serve.name) o->serve.name = "http";
    if (!o->limits.line) o->limits.line = 16384;
    if (!o->limits.head) o->limits.head = 65536;
    if (!o->limits.fields) o->limits.fields = 100;
    if (!o->max_body) o->max_body = MAX_BODY;
    if (!o->min_rate) o->min_rate = MIN_RATE;
    o->head_timeout = or_seconds(o->head_timeout, 10);
    o->idle_timeout = or_seconds(o->idle_timeout, 20);
    o->body_timeout = or_seconds(o->body_timeout, 10);
    o->send_timeout = or_seconds(o->send_timeout, 10);
    o->total_timeout = or_seconds(o->total_timeout, 60);
}

static int check(const weft_http_server_opts *o)
{
    weft_text name = weft_text_of(o->server_name);
    if (name.len > MAX_NAME)
        return weft_fail_at(-EINVAL, NULL, 0,
                            "http server: a server_name of %zu octets, of %d",
                            name.len, (int)MAX_NAME);
    if (name.at && (name.len == 0 || !weft_http_is_value(name)))
        return weft_fail_at(-EINVAL, NULL, 0,
                            "http server: the server_name is no field value");
    if (o->limits.head > UINT32_MAX / 2 || o->limits.fields > 65536)
        return weft_fail_at(-EINVAL, NULL, 0,
                            "http server: a limit of the head is too far");
    return 0;
}

weft_http_server *weft_http_server_new(const weft_http_server_opts *o)
{
    static uint64_t numbers;
    static const weft_http_server_opts defaults;
    if (!o) o = &defaults;
    if (check(o) < 0) return NULL;
    weft_http_server *s = weft_buffer_alloc(sizeof *s);
    if (!s) return NULL;
    *s = (weft_http_server){
        .opts = *o,
        .number = __atomic_add_fetch(&numbers, 1, __ATOMIC_RELAXED)};
    set_defaults(&s->opts);
    weft_http_request_init(&s->blank, NULL, s->opts.limits.fields,
                           &s->opts.limits);
    return s;
}

void weft_http_server_free(weft_http_server *s)
{
    if (!s) return;
    if (s->routes) s->free_routes(s->routes);
    weft_buffer_free(s, sizeof *s);
}

/* ---- serving ------------------------------------------------------------ */

static int serve_conn(weft_conn *c)
{
    return weft_http_serve_conn(c->arg, c);
}

int wf_http_begin(weft_http_server *s)
{
    if (!s)
        return weft_fail_at(-EINVAL, NULL, 0, "http serve: there is no server");
    __atomic_store_n(&s->serves, true, __ATOMIC_RELAXED);
    return 0;
}

int weft_http_serve(weft_http_server *s, weft_fd listener)
{
    int err = wf_http_begin(s);
    return err < 0 ? err : weft_serve(listener, serve_conn, s, &s->opts.serve);
}

int weft_http_serve_memory(weft_http_server *s, weft_memory_listener *l)
{
    int err = wf_http_begin(s);
    if (err < 0) return err;
    return weft_serve_memory(l, serve_conn, s, &s->opts.serve);
}

/* ---- counting ----------------------------------------------------------- */

static unsigned long read_one(const unsigned long *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void weft_http_stats_read(const weft_http_stats *s, weft_http_stats *ret_stats)
{
    weft_http_stats now = {.requests = read_one(&s->requests),
                           .refused = read_one(&s->refused),
                           .timed_out = read_one(&s->timed_out),
                           .failed = read_one(&s->failed),
                           .cut = read_one(&s->cut)};
    for (size_t i = 0; i < sizeof now.replies / sizeof *now.replies; i++)
        now.replies[i] = read_one(&s->replies[i]);
    *ret_stats = now;
}
