/* SPDX-License-Identifier: MIT */
/*
 * fuzz_url.c - the parts of a URL are the URL; what is joined is one too; what
 * is decoded can be encoded; and no path gets out of its root. The octets are a
 * base and, behind a newline, a reference.
 */
#include "fuzz.h"

#include <weft/url.h>

#include <errno.h>
#include <string.h>

enum { MOST = 1000 };

static weft_text head(weft_text t, size_t len)
{
    return (weft_text){t.at, len < t.len ? len : t.len};
}

/* ---- URLs --------------------------------------------------------------- */

static size_t put(char *out, const char *before, weft_text t, const char *after)
{
    if (!t.at) return 0;
    return (size_t)snprintf(out, (size_t)3 * MOST, "%s%.*s%s", before, (int)t.len, t.at,
                            after);
}

/* RFC 3986, 5.3 */
static void check_parts(const weft_url *u, weft_text whole)
{
    char out[3 * MOST] = "";
    size_t len = put(out, "", u->scheme, ":");
    len += put(out + len, "//", u->authority, "");
    len += put(out + len, "", u->path, "");
    len += put(out + len, "?", u->query, "");
    len += put(out + len, "#", u->fragment, "");
    FUZZ_CHECK(weft_text_equal((weft_text){out, len}, whole));
    FUZZ_CHECK(u->path.at);
    FUZZ_CHECK(!u->host.at == !u->authority.at);
    FUZZ_CHECK(u->port >= 0 && u->port <= 65535);
    FUZZ_CHECK(weft_url_port(u) >= u->port);
}

static void check_join(weft_text base, weft_text reference)
{
    char once[2 * MOST + 8], again[2 * MOST + 8];
    weft_url from, to, joined;
    ssize_t len = weft_url_join(base, reference, once, sizeof once);
    bool good = weft_url_parse(&from, base) == 0 && from.scheme.at &&
                weft_url_parse(&to, reference) == 0 &&
                (to.scheme.at || !to.authority.at || to.host.len > 0 ||
                 weft_url_port(&(weft_url){.scheme = from.scheme}) == 0);
    FUZZ_CHECK(good == (len >= 0));
    if (!good) return;
    weft_text t = {once, (size_t)len};
    FUZZ_CHECK(weft_url_parse(&joined, t) == 0);
    check_parts(&joined, t);
    FUZZ_CHECK(joined.scheme.at);
    FUZZ_CHECK(weft_text_equal(joined.fragment, to.fragment));
    weft_text host = to.scheme.at || to.authority.at ? to.host : from.host;
    FUZZ_CHECK(!joined.host.at == !host.at);
    FUZZ_CHECK(weft_text_equal(joined.host, host));

    FUZZ_CHECK(weft_url_join(base, reference, again, t.len + 1) == len);
    FUZZ_CHECK(strcmp(again, once) == 0);
    FUZZ_CHECK(weft_url_join(base, reference, again, t.len) == -ENOBUFS);
}

static void check_url(weft_text t)
{
    weft_url u = {.port = -1};
    int err = weft_url_parse(&u, t);
    FUZZ_CHECK(err == 0 || err == -EINVAL);
    if (err == 0)
        check_parts(&u, t);
    else
        FUZZ_CHECK(u.port == -1);
}

/* ---- what is in them ---------------------------------------------------- */

static void check_coding(weft_text t, bool plus)
{
    char plain[MOST + 1], coded[3 * MOST + 1], again[MOST + 1];
    ssize_t len = weft_url_decode(t, plain, sizeof plain, plus);
    FUZZ_CHECK(len >= 0 || len == -EINVAL);
    if (len < 0) return;
    FUZZ_CHECK((size_t)len <= t.len && strlen(plain) == (size_t)len);
    weft_text back = {plain, (size_t)len};
    ssize_t coded_len = weft_url_encode(back, coded, sizeof coded, plus);
    FUZZ_CHECK(coded_len >= len);
    weft_text forth = {coded, (size_t)coded_len};
    FUZZ_CHECK(weft_url_decode(forth, again, sizeof again, plus) == len);
    FUZZ_CHECK(strcmp(again, plain) == 0);
    FUZZ_CHECK(weft_url_decode(forth, again, back.len, plus) == -ENOBUFS);
    FUZZ_CHECK(weft_url_encode(back, coded, forth.len, plus) == -ENOBUFS);
}

static bool leads_out(const char *path)
{
    for (const char *at = path; at; at = strchr(at, '/')) {
        if (*at == '/') at++;
        size_t len = strcspn(at, "/");
        if (len == 0 && *at) return true;
        if (len == 1 && at[0] == '.') return true;
        if (len == 2 && at[0] == '.' && at[1] == '.') return true;
    }
    return strchr(path, '\\') != NULL;
}

static void check_path(weft_text t)
{
    char path[MOST + 1], in_place[MOST + 1];
    ssize_t len = weft_path_normalize(t, path, t.len + 1);
    FUZZ_CHECK(len >= 0 || len == -EINVAL);
    if (t.len > 0) memcpy(in_place, t.at, t.len);
    FUZZ_CHECK(weft_path_normalize((weft_text){in_place, t.len}, in_place,
                                   t.len + 1) == len);
    if (len < 0) return;
    FUZZ_CHECK(strlen(path) == (size_t)len && strcmp(path, in_place) == 0);
    FUZZ_CHECK((t.len > 0 && *t.at == '/') == (*path == '/'));
    FUZZ_CHECK(!leads_out(path));
    FUZZ_CHECK(weft_path_normalize(t, path, (size_t)len) == -ENOBUFS);
    FUZZ_CHECK(weft_path_normalize(t, path, (size_t)len / 2) == -ENOBUFS);
}

/* Behind itself, with and without room for that. */
static void check_add(char *built, size_t len, const char *name,
                      weft_text value)
{
    size_t more = 2 * len + 1, at = len;
    FUZZ_CHECK(weft_query_add(built, more, &at, weft_text_of(name), value) ==
               -ENOBUFS);
    FUZZ_CHECK(at == len);
    FUZZ_CHECK(
        weft_query_add(built, more + 1, &at, weft_text_of(name), value) == 0);
    FUZZ_CHECK(at == more);
    FUZZ_CHECK(weft_query_get((weft_text){built, at}, "\x01", built, 0) < 0);
}

static void check_query(weft_text t)
{
    char built[8 * MOST], name[MOST + 1], value[MOST + 1], found[MOST + 1];
    weft_text left = t, raw_name, raw_value;
    while (weft_query_next(&left, &raw_name, &raw_value)) {
        size_t len = 0;
        ssize_t n = weft_url_decode(raw_name, name, sizeof name, true);
        ssize_t v = weft_url_decode(raw_value, value, sizeof value, true);
        if (n < 0) continue;
        FUZZ_CHECK(weft_query_find(t, name, &raw_value));
        if (v < 0) continue;
        weft_text text = {value, (size_t)v};
        FUZZ_CHECK(weft_query_add(built, sizeof built, &len, weft_text_of(name),
                                  text) == 0);
        FUZZ_CHECK(weft_query_get((weft_text){built, len}, name, found,
                                  sizeof found) == v);
        FUZZ_CHECK(strcmp(found, value) == 0);
        check_add(built, len, name, text);
    }
    FUZZ_CHECK(left.len == 0);
}

FUZZ_TARGET(url)
{
    weft_text t = head((weft_text){(const char *)data, size}, MOST);
    const char *line = t.len > 0 ? memchr(t.at, '\n', t.len) : NULL;
    weft_text base = line ? head(t, (size_t)(line - t.at)) : t;
    weft_text rest = {NULL, 0};
    if (line) rest = (weft_text){line + 1, t.len - base.len - 1};
    check_url(base);
    check_url(rest);
    check_join(base, rest);
    check_coding(t, false);
    check_coding(t, true);
    check_path(base);
    check_query(t);
}
