/* SPDX-License-Identifier: MIT */
/*
 * url_join.c - what a reference means (RFC 3986, 5.2 and 5.3).
 *
 * Dot segments are removed from the end to the beginning: ".." there is one
 * segment to be left out of those before it, so that nothing written has to be
 * taken back. A path is measured that way first, and then written backwards.
 */
#include "url.h"

#include <weft/error.h>
#include <weft/url.h>

#include <string.h>

/* Two texts that follow each other; `whole` is not to be changed. */
struct joined_path {
    weft_text dir, rest;
    bool whole;
};

static char octet_at(const struct joined_path *p, size_t i)
{
    return i < p->dir.len ? p->dir.at[i] : p->rest.at[i - p->dir.len];
}

/* Is it "." (1), ".." (2), or neither (0)? */
static size_t dots_in(const struct joined_path *p, size_t start, size_t end)
{
    size_t n = end - start;
    if (n == 0 || n > 2) return 0;
    for (size_t i = start; i < end; i++)
        if (octet_at(p, i) != '.') return 0;
    return n;
}

static size_t segment_end(const struct joined_path *p, size_t at, size_t len)
{
    while (at < len && octet_at(p, at) != '/')
        at++;
    return at;
}

/* Where it begins, without what leads nowhere: "./", "../", ".", "..". */
static size_t behind_dots(const struct joined_path *p, size_t len)
{
    size_t at = 0;
    for (;;) {
        size_t end = segment_end(p, at, len);
        if (dots_in(p, at, end) == 0) return at;
        if (end == len) return len;
        at = end + 1;
    }
}

/* Writes the octets from `start` to `end` before `to`, unless that is NULL. */
static char *put_before(char *to, const struct joined_path *p, size_t start,
                        size_t end)
{
    if (!to) return NULL;
    while (end > start)
        *--to = octet_at(p, --end);
    return to;
}

/* The length of the path without dot segments, which ends at `to`. */
static size_t remove_dots(const struct joined_path *p, char *to)
{
    size_t len = p->dir.len + p->rest.len, skip = 0, written = 0;
    size_t first = p->whole ? 0 : behind_dots(p, len);
    for (size_t end = len, start; end > first; end = start) {
        start = end;
        while (start > first && octet_at(p, start - 1) != '/')
            start--;
        size_t dots = p->whole ? 0 : dots_in(p, start, end);
        if (start > first) start--; /* with its / */
        if (dots == 0 && skip > 0) {
            skip--;
            continue;
        }
        if (dots == 2) skip++;
        if (dots > 0 && end < len) continue;
        size_t keep = dots > 0 ? start + 1 : end; /* the last leaves its / */
        to = put_before(to, p, start, keep);
        written += keep - start;
    }
    return written;
}

/* ---- the parts of the target -------------------------------------------- */

struct target {
    weft_text scheme, authority, query, fragment;
    struct joined_path path;
};

/* All of the base's path up to its last /. */
static weft_text directory_of(const weft_url *base)
{
    if (base->authority.at && base->path.len == 0) return weft_text_of("/");
    size_t len = base->path.len;
    while (len > 0 && base->path.at[len - 1] != '/')
        len--;
    return (weft_text){base->path.at, len};
}

static struct joined_path path_of(const weft_url *base, const weft_url *r)
{
    if (r->path.len == 0)
        return (struct joined_path){.rest = base->path, .whole = true};
    if (*r->path.at == '/') return (struct joined_path){.rest = r->path};
    return (struct joined_path){.dir = directory_of(base), .rest = r->path};
}

static struct target target_of(const weft_url *base, const weft_url *r)
{
    struct target t = {.scheme = base->scheme, .fragment = r->fragment};
    if (r->scheme.at || r->authority.at) {
        if (r->scheme.at) t.scheme = r->scheme;
        t.authority = r->authority;
        t.query = r->query;
        t.path = (struct joined_path){.rest = r->path};
        return t;
    }
    t.authority = base->authority;
    t.query = r->query.at || r->path.len > 0 ? r->query : base->query;
    t.path = path_of(base, r);
    return t;
}

/* ---- written ------------------------------------------------------------ */

struct out {
    char *at;
    size_t size, len; /* what there would be, perhaps more than size */
};

static void put(struct out *o, weft_text t)
{
    if (o->len < o->size && t.len <= o->size - o->len && t.len > 0)
        memcpy(o->at + o->len, t.at, t.len);
    o->len += t.len;
}

static void put_part(struct out *o, const char *mark, weft_text part)
{
    if (!part.at) return;
    put(o, weft_text_of(mark));
    put(o, part);
}

/* Without an authority "//" would be read as the mark of one. */
static void part_slashes(struct out *o, size_t start)
{
    size_t len = o->len - start;
    if (len < 2 || memcmp(o->at + start, "//", 2) != 0) return;
    o->len += 2;
    if (o->len > o->size) return;
    memmove(o->at + start + 2, o->at + start, len);
    memcpy(o->at + start, "/.", 2);
}

static void put_path(struct out *o, const struct target *t)
{
    size_t len = remove_dots(&t->path, NULL), start = o->len;
    o->len += len;
    if (o->len > o->size) return;
    (void)remove_dots(&t->path, o->at + o->len);
    if (!t->authority.at) part_slashes(o, start);
}

ssize_t weft_url_join(weft_text base, weft_text reference, char *buf,
                      size_t size)
{
    weft_url from = {0}, to = {0};
    int err = weft_url_parse(&from, base);
    if (err == 0) err = weft_url_parse(&to, reference);
    if (err < 0) return err;
    if (!from.scheme.at)
        return weft_fail_at(-EINVAL, NULL, 0, "base URL: it has no scheme");
    struct target t = target_of(&from, &to);
    if (to.authority.at) err = wf_url_check_host(t.scheme, to.host);
    if (err < 0) return err;

    struct out o = {.at = buf, .size = size};
    put(&o, t.scheme);
    put(&o, weft_text_of(":"));
    put_part(&o, "//", t.authority);
    put_path(&o, &t);
    put_part(&o, "?", t.query);
    put_part(&o, "#", t.fragment);
    if (o.len >= size) return -ENOBUFS;
    buf[o.len] = 0;
    return (ssize_t)o.len;
}
