/* SPDX-License-Identifier: MIT */
/*
 * route_table.h - routes, and which of them is for a method and a path. Knows
 * nothing of a connection.
 */
#ifndef HTTP_ROUTE_TABLE_H
#define HTTP_ROUTE_TABLE_H

#include <weft/arena.h>
#include <weft/http_parse.h>
#include <weft/text.h>

#include "route.h"
#include "route_plain.h"

/** A set of methods, by their places in the table. */
typedef uint64_t wf_methods;

struct wf_route {
    struct wf_route *next;     /* of the same path, another method */
    struct wf_route *previous; /* added before, whatever it is for */
    struct wf_node *node;      /* its path */
    unsigned method;           /* its place in the table, or any */
    unsigned params;           /* how many it has */
    wf_methods used_before;    /* by the routes added before */
    const char *pattern;
    weft_http_fn fn;
    void *ctx;
    void (*drop)(void *ctx);
};

/**
 * The route for `method` and `path` (that wf_path_check was content with), or
 * NULL; then *ret_allowed is what other methods there are for it: 0: no route
 * matches the path.
 */
const struct wf_route *wf_routes_find(const struct wf_routes *t,
                                      weft_text method, weft_text path,
                                      wf_methods *ret_allowed);

/** Those that are found without a search: they may be asked of any path. */
static inline const struct wf_plain_table *
wf_routes_plain(const struct wf_routes *t)
{
    return (const struct wf_plain_table *)(const void *)t; /* its first member */
}

/** What answers that method to one of them, or NULL. */
const struct wf_route *wf_routes_of_plain(const struct wf_routes *t,
                                          const struct wf_plain *p,
                                          weft_text method);

/** All methods of the table. */
wf_methods wf_routes_methods(const struct wf_routes *t);

/** "GET, HEAD, OPTIONS" in the arena; NULL: no memory. */
const char *wf_routes_allow(const struct wf_routes *t, wf_methods allowed,
                            weft_arena *arena);

#endif
