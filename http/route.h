/* SPDX-License-Identifier: MIT */
/*
 * route.h - the routes of one server, as its core sees them.
 *
 * A server has a `struct wf_routes *`, NULL while it has no route. They are
 * added before it serves, and only read by all its workers from then on. Of a
 * weft_req two members are ours, both NULL when a request begins:
 *
 *     route_     the struct wf_route that answers
 *     params_    its parameters, decoded, in the arena; NULL: as received
 */
#ifndef HTTP_ROUTE_H
#define HTTP_ROUTE_H

#include <weft/http_server.h>

struct wf_routes;

/** NULL: no memory. */
struct wf_routes *wf_routes_new(void);

/** With all that was added; NULL is fine. Also outside of a run. */
void wf_routes_free(struct wf_routes *t);

/** weft_http_route, without the -EBUSY. drop(ctx), if it is not NULL, is called
 *  by wf_routes_free. */
int wf_routes_add(struct wf_routes *t, const char *method, const char *pattern,
                  weft_http_fn fn, void *ctx, void (*drop)(void *ctx));

/** Takes back the route that was added last. */
void wf_routes_undo(struct wf_routes *t);

/** Those of a server, made at the first call. -EBUSY: it serves; -ENOMEM. */
int wf_server_routes(weft_http_server *s, struct wf_routes **ret_routes);

/**
 * Answers *r by the route for it, or as weft/http_route.h says, or by other(r,
 * ctx). `t` may be NULL (no route), and `other` too (404). Returns what the
 * handler returned, or the reply.
 */
int wf_routes_answer(const struct wf_routes *t, weft_req *r, weft_http_fn other,
                     void *ctx);

#endif
