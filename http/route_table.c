/* SPDX-License-Identifier: MIT */
/*
 * route_table.c - routes as a tree of segments.
 *
 * A node is one segment behind that of its parent: a word, any one ({name}) or
 * all the rest ({name*}). What a parameter is called is not in the tree, so
 * /{a}/x and /{b}/y share their first node. The words behind a node are sorted,
 * and found by halving.
 *
 * The nodes that match a path are gone through in the order of precedence,
 * without a stack: a node knows its parent, and where its segment began is
 * found by going back to the slash. No node is come to twice, as each is
 * reached in one way only.
 *
 * All memory is of one arena. What fails half way leaves nodes without routes
 * behind, which match nothing.
 */
#include "route_table.h"

#include <weft/buffer.h>
#include <weft/error.h>
#include <weft/http.h>
#include <weft/http_route.h>
#include <weft/url.h>

#include <stddef.h>
#include <string.h>

#include "route_pattern.h"
#include "segment.h"

enum kind { WORD, ONE, REST };
enum { ANY = WEFT_HTTP_METHODS, NONE };
/* The places of methods that a table has from the start. */
enum { GET, HEAD, OPTIONS };

struct wf_node {
    struct wf_node *parent;
    enum kind kind;
    weft_text word;
    struct wf_node **words; /* behind it, sorted */
    size_t count, room;
    struct wf_node *one, *rest;
    struct wf_route *routes, *any;
    wf_methods methods;     /* of routes */
    struct wf_plain plain; /* if its pattern is so */
};

struct wf_routes {
    struct wf_plain_table plain; /* the first member */
    weft_arena arena;
    struct wf_node root;
    weft_text methods[WEFT_HTTP_METHODS];
    unsigned char sorted[WEFT_HTTP_METHODS]; /* their places */
    unsigned count;
    wf_methods used;
    struct wf_route *last;
};

/* ---- the words behind a node -------------------------------------------- */

/* Where a word is, or would be. */
static size_t place_of(const struct wf_node *n, weft_text segment,
                       bool *ret_found)
{
    size_t from = 0, to = n->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int c = wf_segment_compare(segment, n->words[middle]->word);
        if (c == 0) {
            *ret_found = true;
            return middle;
        }
        if (c < 0)
            to = middle;
        else
            from = middle + 1;
    }
    *ret_found = false;
    return from;
}

static struct wf_node *node_new(struct wf_routes *t, struct wf_node *parent,
                                enum kind kind)
{
    struct wf_node *n = weft_arena_array(&t->arena, 1, sizeof *n);
    if (!n) return NULL;
    n->parent = parent;
    n->kind = kind;
    return n;
}

static bool make_room(struct wf_routes *t, struct wf_node *n)
{
    if (n->count < n->room) return true;
    size_t room = n->room ? 2 * n->room : 4;
    void *words =
        weft_arena_resize(&t->arena, n->words, n->room * sizeof *n->words,
                          room * sizeof *n->words);
    if (!words) return false;
    n->words = words;
    n->room = room;
    return true;
}

static struct wf_node *word_of(struct wf_routes *t, struct wf_node *n,
                               weft_text s)
{
    bool found;
    size_t at = place_of(n, s, &found);
    if (found) return n->words[at];
    if (!make_room(t, n)) return NULL;
    struct wf_node *child = node_new(t, n, WORD);
    char *word = weft_arena_alloc(&t->arena, s.len + 1);
    if (!child || !word) return NULL;
    ssize_t len = weft_url_decode(s, word, s.len + 1, false);
    if (len < 0) return NULL; /* it was checked */
    child->word = (weft_text){word, (size_t)len};
    memmove(n->words + at + 1, n->words + at,
            (n->count - at) * sizeof *n->words);
    n->words[at] = child;
    n->count++;
    return child;
}

static struct wf_node *node_of(struct wf_routes *t, const char *pattern)
{
    struct wf_node *n = &t->root;
    weft_text left = weft_text_of(pattern), s;
    while (n && wf_segment_next(&left, &s)) {
        bool rest;
        if (!wf_pattern_param(s, &rest).at) {
            n = word_of(t, n, s);
            continue;
        }
        struct wf_node **at = rest ? &n->rest : &n->one;
        if (!*at) *at = node_new(t, n, rest ? REST : ONE);
        n = *at;
    }
    return n;
}

/* ---- methods ------------------------------------------------------------ */

static unsigned method_place(const struct wf_routes *t, weft_text method)
{
    for (unsigned i = 0; i < t->count; i++)
        if (weft_text_equal(t->methods[i], method)) return i;
    return NONE;
}

static bool comes_before(weft_text a, weft_text b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int c = memcmp(a.at, b.at, len);
    return c < 0 || (c == 0 && a.len < b.len);
}

static void note_method(struct wf_routes *t, weft_text name)
{
    unsigned at = t->count;
    for (; at > 0 && comes_before(name, t->methods[t->sorted[at - 1]]); at--)
        t->sorted[at] = t->sorted[at - 1];
    t->sorted[at] = (unsigned char)t->count;
    t->methods[t->count++] = name;
}

static int method_add(struct wf_routes *t, const char *method,
                      unsigned *ret_place)
{
    weft_text name = weft_text_of(method);
    *ret_place = method ? method_place(t, name) : ANY;
    if (*ret_place != NONE) return 0;
    if (!weft_http_is_token(name))
        return weft_fail(-EINVAL, "route: \"%.40s\" is no method", method);
    if (t->count == WEFT_HTTP_METHODS)
        return weft_fail(-EINVAL, "route: %.40s is one method too many, of %d",
                         method, WEFT_HTTP_METHODS);
    const char *copy = weft_arena_text(&t->arena, name);
    if (!copy) return -ENOMEM;
    *ret_place = t->count;
    note_method(t, (weft_text){copy, name.len});
    return 0;
}

static wf_methods set_of(unsigned place)
{
    return place < ANY ? (wf_methods)1 << place : 0;
}

wf_methods wf_routes_methods(const struct wf_routes *t)
{
    return t->used;
}

/* Who has GET has HEAD, and OPTIONS is always answered. */
static wf_methods with_implied(wf_methods m)
{
    if (m & set_of(GET)) m |= set_of(HEAD);
    return m | set_of(OPTIONS);
}

const char *wf_routes_allow(const struct wf_routes *t, wf_methods allowed,
                            weft_arena *arena)
{
    size_t bytes = 1;
    allowed = with_implied(allowed);
    for (unsigned i = 0; i < t->count; i++)
        bytes += t->methods[i].len + 2;
    char *text = weft_arena_alloc(arena, bytes), *at = text;
    if (!text) return NULL;
    for (unsigned i = 0; i < t->count; i++) {
        weft_text m = t->methods[t->sorted[i]];
        if (!(allowed & set_of(t->sorted[i]))) continue;
        if (at > text) {
            memcpy(at, ", ", 2);
            at += 2;
        }
        memcpy(at, m.at, m.len);
        at += m.len;
    }
    *at = 0;
    return text;
}

/* ---- the table ---------------------------------------------------------- */

struct wf_routes *wf_routes_new(void)
{
    struct wf_routes *t = weft_buffer_alloc(sizeof *t);
    if (!t) return NULL;
    memset(t, 0, sizeof *t);
    weft_arena_init(&t->arena, NULL, 0);
    note_method(t, weft_text_of("GET"));
    note_method(t, weft_text_of("HEAD"));
    note_method(t, weft_text_of("OPTIONS"));
    return t;
}

void wf_routes_free(struct wf_routes *t)
{
    if (!t) return;
    for (struct wf_route *r = t->last; r; r = r->previous)
        if (r->drop) r->drop(r->ctx);
    weft_arena_reset(&t->arena);
    weft_buffer_free(t, sizeof *t);
}

/* That of `method`, by its place, and no other. */
static struct wf_route *exactly(const struct wf_node *n, unsigned method)
{
    if (method == ANY) return n->any;
    if (!(n->methods & set_of(method))) return NULL;
    struct wf_route *r = n->routes;
    while (r->method != method)
        r = r->next;
    return r;
}

/* The route of a node that answers `method`, by its place. */
static const struct wf_route *answers(const struct wf_node *n, unsigned method)
{
    const struct wf_route *r = method < ANY ? exactly(n, method) : NULL;
    if (!r && method == HEAD) r = exactly(n, GET);
    return r ? r : n->any;
}

static void link_route(struct wf_routes *t, struct wf_node *n,
                       struct wf_route *r)
{
    struct wf_route **first = r->method == ANY ? &n->any : &n->routes;
    r->node = n;
    r->next = *first;
    *first = r;
    r->previous = t->last;
    t->last = r;
    r->used_before = t->used;
    n->methods |= set_of(r->method);
    n->plain.get = answers(n, GET);
    t->used |= set_of(r->method);
}

void wf_routes_undo(struct wf_routes *t)
{
    struct wf_route *r = t->last;
    struct wf_node *n = r->node;
    t->last = r->previous;
    t->used = r->used_before;
    n->methods &= ~set_of(r->method);
    if (r->method == ANY)
        n->any = NULL;
    else
        n->routes = r->next;
    n->plain.get = answers(n, GET);
}

int wf_routes_add(struct wf_routes *t, const char *method, const char *pattern,
                  weft_http_fn fn, void *ctx, void (*drop)(void *ctx))
{
    struct wf_route route = {.fn = fn, .ctx = ctx, .drop = drop};
    int err = wf_pattern_check(pattern, &route.params);
    if (err == 0) err = method_add(t, method, &route.method);
    if (err < 0) return err;
    if (!fn) return weft_fail(-EINVAL, "route %.40s: no handler", pattern);
    struct wf_node *n = node_of(t, pattern);
    if (!n) return -ENOMEM;
    const struct wf_route *there = exactly(n, route.method);
    if (there)
        return weft_fail(-EEXIST, "route %.16s %.36s: there is %.36s already",
                         method ? method : "of any method", pattern,
                         there->pattern);
    route.pattern = weft_arena_text(&t->arena, weft_text_of(pattern));
    struct wf_route *r = weft_arena_alloc(&t->arena, sizeof *r);
    if (!r || !route.pattern) return -ENOMEM;
    *r = route;
    link_route(t, n, r);
    if (r->params == 0 && !n->plain.path)
        wf_plain_add(&t->plain, &n->plain, weft_text_of(r->pattern));
    return 0;
}

/* ---- finding ------------------------------------------------------------ */

/* Where a search is: at `node`, whose segment ends at path.at + at, about to
 * try what is behind it of that kind; UP: nothing is left there. */
struct search {
    weft_text path;
    const struct wf_node *node;
    size_t at;
    enum { TRY_WORD, TRY_ONE, TRY_REST, UP } next;
};

static void go_down(struct search *s, const struct wf_node *n, weft_text left)
{
    s->node = n;
    s->at = s->path.len - left.len;
    s->next = TRY_WORD;
}

static void go_up(struct search *s)
{
    do
        s->at--;
    while (s->path.at[s->at] != '/');
    s->next = s->node->kind == WORD ? TRY_ONE : TRY_REST;
    s->node = s->node->parent;
}

/* The next node that matches the whole path, or NULL. */
static const struct wf_node *next_match(struct search *s)
{
    for (;;) {
        const struct wf_node *n = s->node;
        weft_text left = {s->path.at + s->at, s->path.len - s->at}, segment;
        bool more = wf_segment_next(&left, &segment), found;
        size_t at;
        if (!more && s->next != UP) {
            s->next = UP;
            return n;
        }
        switch (s->next) {
        case TRY_WORD:
            s->next = TRY_ONE;
            at = place_of(n, segment, &found);
            if (found) go_down(s, n->words[at], left);
            break;
        case TRY_ONE:
            s->next = TRY_REST;
            if (n->one && segment.len > 0) go_down(s, n->one, left);
            break;
        case TRY_REST:
            s->next = UP;
            if (n->rest) return n->rest;
            break;
        case UP:
            if (!n->parent) return NULL;
            go_up(s);
            break;
        }
    }
}

const struct wf_route *wf_routes_of_plain(const struct wf_routes *t,
                                          const struct wf_plain *p,
                                          weft_text method)
{
    const struct wf_node *n =
        (const struct wf_node *)(const void *)((const char *)p -
                                               offsetof(struct wf_node, plain));
    return answers(n, method_place(t, method));
}

const struct wf_route *wf_routes_find(const struct wf_routes *t,
                                      weft_text method, weft_text path,
                                      wf_methods *ret_allowed)
{
    struct search s = {.path = path, .node = &t->root};
    unsigned place = method_place(t, method);
    const struct wf_node *n;
    *ret_allowed = 0;
    while ((n = next_match(&s))) {
        const struct wf_route *r = answers(n, place);
        if (r) return r;
        *ret_allowed |= n->methods;
    }
    return NULL;
}
