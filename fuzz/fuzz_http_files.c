/* SPDX-License-Identifier: MIT */
/*
 * fuzz_http_files.c - a path, up to the first line end, is of a route that
 * matches it, and the name of something below or of nothing; and what follows,
 * a Range, is octets that are there, none of them twice.
 */
#include "fuzz.h"

#include <weft/http_route.h>

#include <string.h>

#include "http/file_name.h"
#include "http/range.h"
#include "http/route_table.h"
#include "http/segment.h"

enum { MOST = 1024 };

/* ---- names -------------------------------------------------------------- */

static void check_segment(const char *s, size_t len)
{
    FUZZ_CHECK(len > 0 && *s != '.');
    for (size_t i = 0; i < len; i++)
        FUZZ_CHECK((unsigned char)s[i] >= ' ' && s[i] != 127 && s[i] != '\\');
}

static void check_name(weft_text path)
{
    char name[MOST + 1];
    bool slash;
    int len = wf_file_name(path, false, name, &slash);
    if (len < 0) return;
    FUZZ_CHECK((size_t)len <= path.len && strlen(name) == (size_t)len);
    for (const char *at = name; *at;) {
        FUZZ_CHECK(*at == '/');
        size_t n = strcspn(at + 1, "/");
        check_segment(at + 1, n);
        at += 1 + n;
    }
}

/* ---- routes ------------------------------------------------------------- */

static const char *const patterns[] = {
    "/",      "/a",       "/a/",      "/{x}",    "/a/{x}",
    "/{x}/a", "/a/{x}/a", "/a b/%2F", "/b/{x*}", "/{x}/b/{y*}"};

static int nothing(weft_req *r, void *ctx)
{
    (void)r, (void)ctx;
    return 0;
}

/* Slowly, and without regard to any other pattern. */
static bool matches(const char *pattern, weft_text path)
{
    weft_text left = weft_text_of(pattern), p, s;
    while (wf_segment_next(&left, &p)) {
        if (!wf_segment_next(&path, &s)) return false;
        if (p.len > 2 && p.at[p.len - 2] == '*') return true;
        if (p.len > 0 && *p.at == '{') {
            if (s.len == 0) return false;
            continue;
        }
        for (;;) {
            int a = wf_octet_next(&p), b = wf_octet_next(&s);
            if (a != b) return false;
            if (a < 0) break;
        }
    }
    return path.len == 0;
}

static void check_routes(weft_text path)
{
    wf_methods allowed;
    struct wf_routes *t = wf_routes_new();
    bool all = t != NULL, any = false;
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        all = all &&
              wf_routes_add(t, "GET", patterns[i], nothing, NULL, NULL) == 0;
        any = any || matches(patterns[i], path);
    }
    if (all) {
        const struct wf_route *r =
            wf_routes_find(t, weft_text_of("GET"), path, &allowed);
        FUZZ_CHECK((r != NULL) == any);
        FUZZ_CHECK(!r || matches(r->pattern, path));
        FUZZ_CHECK(!wf_routes_find(t, weft_text_of("PUT"), path, &allowed));
        FUZZ_CHECK((allowed != 0) == any);
    }
    wf_routes_free(t);
}

/* ---- ranges ------------------------------------------------------------- */

static void check_ranges(weft_text value, uint64_t size)
{
    struct wf_range r[WEFT_HTTP_RANGES];
    int n = wf_ranges_parse(value, size, r);
    FUZZ_CHECK(n <= WEFT_HTTP_RANGES);
    for (int i = 0; i < n; i++) {
        FUZZ_CHECK(r[i].first <= r[i].last && r[i].last < size);
        for (int j = 0; j < i; j++)
            FUZZ_CHECK(r[i].first > r[j].last || r[j].first > r[i].last);
    }
}

FUZZ_TARGET(http_files)
{
    const char *text = (const char *)data;
    const char *line = size > 0 ? memchr(text, '\n', size) : NULL;
    weft_text path = {text, line ? (size_t)(line - text) : size};
    weft_text range = {line ? line + 1 : NULL, line ? size - path.len - 1 : 0};
    if (path.len <= MOST) check_name(path);
    if (wf_path_check(path) == 0) check_routes(path);
    check_ranges(range, 100);
    check_ranges(range, UINT64_MAX);
    check_ranges(range, 0);
}
