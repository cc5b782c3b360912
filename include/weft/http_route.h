/* SPDX-License-Identifier: MIT */
/*
 * weft/http_route.h (http) - which handler answers which path and method.
 *
 *     static int show(weft_req *r, void *ctx)
 *     {
 *         weft_text id = weft_req_param(r, "id");
 *         return weft_reply_printf(r, 200, "text/plain", "user %.*s\n",
 *                                  WEFT_TEXT_ARGS(id));
 *     }
 *
 *     err = weft_http_route(s, "GET", "/users/{id}", show, app);
 *     err = weft_http_route(s, "POST", "/users", add, app);
 *     err = weft_http_route(s, NULL, "/old/{path*}", gone, app);
 *
 * A pattern is a path of segments between slashes:
 *
 *     word       that segment, octet by octet, as it is after decoding: write
 *                "/a b" or "/a%20b", which are the same
 *     {name}     any one segment that is not empty
 *     {name*}    all that is left, which may be empty, with its slashes; only
 *                as the last one
 *
 * The path of a request is divided first and decoded then: %2F is a slash
 * within a segment and divides nothing. A slash at the end counts: "/users/" is
 * another path than "/users", and {path*} of "/files/{path*}" is empty for
 * "/files/" while "/files" is not matched at all. A segment "." or "..", in
 * whatever way it is written, also behind or before a %2F, is matched by
 * nothing, so no parameter leads up. The query (weft_req_query) takes no part.
 *
 * Of several routes that match, the first segment in which they differ decides:
 * a word comes before {name}, and that before {name*}, in whatever order they
 * were added. A route of another method is none: with GET /users/me and POST
 * /users/{id}, a POST of /users/me goes to the latter.
 *
 * A method is taken letter by letter ("GET", not "get"). NULL stands for all of
 * them, after those that are named for the same path. GET also answers HEAD,
 * unless there is a route for HEAD: the reply is sent without its body.
 *
 * What no route takes goes to weft_http_server_opts.handler, or is answered
 * with 404; but these are answered here:
 *
 *     405    routes match the path, all of other methods. Allow lists these in
 *            the order of the alphabet, HEAD wherever GET is, and OPTIONS
 *     204    OPTIONS of such a path, with the same Allow; and, once there is a
 *            route, OPTIONS * with all methods of the server
 *     400    a path with %00, or with an escape that is none
 *
 * Finding takes time by the length of the path and by the logarithm of how many
 * words there are in one place, and no memory. (RFC 9110, 9.3 and 15.5.6.)
 */
#ifndef WEFT_HTTP_ROUTE_H
#define WEFT_HTTP_ROUTE_H

#include <weft/base.h>
#include <weft/http_server.h>
#include <weft/text.h>

WEFT_BEGIN_DECLS

enum {
    WEFT_HTTP_ROUTE_BYTES = 1024, /* a pattern at most, with its 0 */
    WEFT_HTTP_ROUTE_PARAMS = 16,  /* in one pattern at most */
    WEFT_HTTP_METHODS = 64        /* different ones in one server at most */
};

/**
 * Adds a route, before the server serves: fn(request, ctx) answers. `method`
 * and `pattern` are copied; ctx is yours and outlives the server.
 *
 * Returns 0. -EINVAL: a pattern or method that is none, or beyond the bounds
 * above. -EEXIST: that method has a route of the same form already, whatever
 * its parameters are called. -EBUSY: the server has begun to serve. -ENOMEM. In
 * each case nothing was added; weft_last_error says what is wrong, and where.
 */
WEFT_MUST int weft_http_route(weft_http_server *s, const char *method,
                              const char *pattern, weft_http_fn fn, void *ctx);

/**
 * A parameter of the route that answers, decoded: good for as long as the
 * request. at NULL: the pattern has none of that name, or no route answers. A
 * slash in {name*} may have been a %2F; whom that matters looks at
 * r->head.path. It may hold any octet but 0, so it is no file name yet: see
 * weft/http_files.h for that.
 */
WEFT_API weft_text weft_req_param(const weft_req *r, const char *name);

/** The pattern of the route that answers, "/users/{id}": what to count and log
 *  by. NULL: none. Good for as long as the server. */
WEFT_API const char *weft_req_pattern(const weft_req *r);

WEFT_END_DECLS

#endif
