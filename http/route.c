/* SPDX-License-Identifier: MIT */
/*
 * route.c - requests to routes, and what is answered where no route does.
 *
 * A request has its route, and parameters only if the path has escapes: then
 * they are decoded before the handler runs, when having no memory can still be
 * said. Otherwise a parameter is a part of the path, and found when asked for.
 */
#include "route.h"

#include <weft/arena.h>
#include <weft/error.h>
#include <weft/http_route.h>
#include <weft/url.h>

#include <string.h>

#include "route_pattern.h"
#include "route_table.h"
#include "segment.h"
#include "server.h"

/* ---- parameters --------------------------------------------------------- */

/* Goes through a pattern and a path that matches it: the next parameter, and
 * what it stands for, as it stands. */
static bool next_param(weft_text *pattern, weft_text *path, weft_text *ret_name,
                       weft_text *ret_value)
{
    weft_text s, rest;
    bool is_rest;
    while (wf_segment_next(pattern, &s)) {
        rest = *path;
        if (!wf_segment_next(path, ret_value)) return false;
        *ret_name = wf_pattern_param(s, &is_rest);
        if (is_rest) *ret_value = (weft_text){rest.at + 1, rest.len - 1};
        if (ret_name->at) return true;
    }
    return false;
}

static int decode(weft_req *r, weft_text raw, weft_text *ret)
{
    char *text = weft_arena_alloc(&r->arena, raw.len + 1);
    if (!text) return -ENOMEM;
    ssize_t len = weft_url_decode(raw, text, raw.len + 1, false);
    if (len < 0) return (int)len;
    *ret = (weft_text){text, (size_t)len};
    return 0;
}

static int decode_params(weft_req *r, const struct wf_route *route)
{
    weft_text pattern = weft_text_of(route->pattern), path = r->head.path;
    weft_text name, raw;
    if (route->params == 0 || !memchr(path.at, '%', path.len)) return 0;
    weft_text *params =
        weft_arena_array(&r->arena, route->params, sizeof *params);
    if (!params) return -ENOMEM;
    for (size_t i = 0; next_param(&pattern, &path, &name, &raw); i++) {
        int err = decode(r, raw, &params[i]);
        if (err < 0) return err;
    }
    r->params_ = params;
    return 0;
}

weft_text weft_req_param(const weft_req *r, const char *name)
{
    const struct wf_route *route = r->route_;
    if (!route) return (weft_text){0};
    weft_text pattern = weft_text_of(route->pattern), path = r->head.path;
    weft_text here, value;
    for (size_t i = 0; next_param(&pattern, &path, &here, &value); i++)
        if (weft_text_is(here, name)) return r->params_ ? r->params_[i] : value;
    return (weft_text){0};
}

const char *weft_req_pattern(const weft_req *r)
{
    const struct wf_route *route = r->route_;
    return route ? route->pattern : NULL;
}

/* ---- answers ------------------------------------------------------------ */

static int answer_nobody(weft_req *r, weft_http_fn other, void *ctx)
{
    return other ? other(r, ctx) : weft_reply_status(r, 404);
}

/* 405, or 204 to OPTIONS. */
static int answer_allowed(const struct wf_routes *t, weft_req *r,
                          wf_methods allowed)
{
    const char *allow = wf_routes_allow(t, allowed, &r->arena);
    if (!allow) return -ENOMEM;
    int err = weft_reply_field(r, "Allow", allow);
    if (err < 0) return err;
    if (r->head.verb != WEFT_HTTP_OPTIONS) return weft_reply_status(r, 405);
    return weft_reply(r, 204, NULL, NULL, 0);
}

static int call(weft_req *r, const struct wf_route *route)
{
    r->route_ = route;
    return route->fn(r, route->ctx);
}

__attribute__((noinline)) static int answer_any(const struct wf_routes *t,
                                                weft_req *r, weft_http_fn other,
                                                void *ctx)
{
    wf_methods allowed;
    const struct wf_route *route;
    if (!t) return answer_nobody(r, other, ctx);
    if (r->head.form == WEFT_HTTP_ASTERISK)
        return answer_allowed(t, r, wf_routes_methods(t));
    if (!r->head.path.at) return answer_nobody(r, other, ctx);
    const struct wf_plain *p = wf_plain_find(wf_routes_plain(t), r->head.path);
    route = p ? wf_routes_of_plain(t, p, r->head.method) : NULL;
    if (route) return call(r, route);
    int err = wf_path_check(r->head.path);
    if (err == -EINVAL) return weft_reply_status(r, 400);
    if (err < 0) return answer_nobody(r, other, ctx);
    route = wf_routes_find(t, r->head.method, r->head.path, &allowed);
    if (!route && !allowed) return answer_nobody(r, other, ctx);
    if (!route) return answer_allowed(t, r, allowed);
    err = decode_params(r, route);
    if (err < 0) return err;
    return call(r, route);
}

int wf_routes_answer(const struct wf_routes *t, weft_req *r, weft_http_fn other,
                     void *ctx)
{
    const struct wf_plain *p = NULL;
    if (t && r->head.verb == WEFT_HTTP_GET)
        p = wf_plain_glance(wf_routes_plain(t), r->head.path);
    return p && p->get ? call(r, p->get) : answer_any(t, r, other, ctx);
}

int wf_server_routes(weft_http_server *s, struct wf_routes **ret_routes)
{
    if (s->serves)
        return weft_fail(-EBUSY, "route: the server has begun to serve");
    if (!s->routes) {
        s->routes = wf_routes_new();
        if (!s->routes) return -ENOMEM;
        s->answer = wf_routes_answer;
        s->free_routes = wf_routes_free;
    }
    *ret_routes = s->routes;
    return 0;
}

int weft_http_route(weft_http_server *s, const char *method,
                    const char *pattern, weft_http_fn fn, void *ctx)
{
    struct wf_routes *t = NULL;
    int err = wf_server_routes(s, &t);
    return err < 0 ? err : wf_routes_add(t, method, pattern, fn, ctx, NULL);
}
