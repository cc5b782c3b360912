/* SPDX-License-Identifier: MIT */
/*
 * test_http_route_plain.c - the table of patterns that are paths: patterns that
 * are alike in all ways that its keys and hashes could mix up, each of which is
 * found, and nothing else is.
 *
 * All stands at the end of memory of its own, so that a sanitizer sees a look
 * too far.
 */
#include <weft/http_route.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "http/route_table.h"

enum { LONGEST = 40, MOST = 1000, BUCKETS = 1 << WF_PLAIN_BITS };

static struct wf_plain_table table;
static struct wf_plain entries[MOST];
static weft_text paths[MOST];
static size_t count;

static weft_text copy_of(const char *octets, size_t len)
{
    char *copy = malloc(len ? len : 1);
    CHECK(copy != NULL);
    if (len > 0) memcpy(copy, octets, len);
    return (weft_text){copy, len};
}

static bool is_same(weft_text a, weft_text b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* As a table would be that goes through all. */
static const struct wf_plain *entry_of(weft_text path)
{
    for (size_t i = 0; i < count; i++)
        if (is_same(paths[i], path)) return &entries[i];
    return NULL;
}

static void add(const char *octets, size_t len)
{
    weft_text path = copy_of(octets, len);
    CHECK(count < MOST);
    CHECK(!entry_of(path));
    paths[count] = path;
    wf_plain_add(&table, &entries[count], path);
    count++;
}

/* It is, or is not, as going through all says; at first sight it is where it is
 * the first of its hash and short. Returns whether it is. */
static bool check(const char *octets, size_t len)
{
    weft_text path = copy_of(octets, len);
    const struct wf_plain *want = entry_of(path);
    const struct wf_plain *glance = wf_plain_glance(&table, path);
    CHECK_PTR(wf_plain_find(&table, path), want);
    CHECK(!glance || glance == want);
    bool is_first = false;
    for (size_t i = 0; i < BUCKETS; i++)
        is_first = is_first || (want && table.first[i] == want);
    CHECK_EQ(glance != NULL, is_first && len <= WF_PLAIN_SHORT);
    free((void *)(uintptr_t)path.at);
    return want != NULL;
}

static void forget_all(void)
{
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)paths[i].at);
    memset(&table, 0, sizeof table);
    memset(entries, 0, sizeof entries);
    count = 0;
}

/* A path of that length: a slash, and letters that say where they stand. */
static const char *path_of(size_t len)
{
    static char buf[LONGEST + 1];
    for (size_t i = 0; i < len; i++)
        buf[i] = i == 0 ? '/' : (char)('a' + i % 26);
    return buf;
}

/* ---- alone -------------------------------------------------------------- */

static void check_neighbours(size_t len)
{
    char buf[LONGEST + 3];
    memset(buf, 0, sizeof buf);
    memcpy(buf, path_of(len), len);
    CHECK(check(buf, len));
    CHECK(!check(buf, len - 1));
    CHECK(!check(buf, len + 1)); /* by a 0 */
    for (int octet = 0; octet < 256; octet++) {
        buf[len] = (char)octet;
        CHECK(!check(buf, len + 1));
    }
    for (size_t at = 0; at < len; at++)
        for (int bit = 1; bit < 256; bit *= 2) {
            buf[at] ^= (char)bit;
            CHECK(!check(buf, len));
            buf[at] ^= (char)bit;
        }
    CHECK(!check(buf + 1, len - 1)); /* the end of it */
    memmove(buf + 1, buf, len);      /* the same behind another octet */
    CHECK(!check(buf, len + 1));
    buf[0] = 0;
    CHECK(!check(buf, len + 1));
}

TEST_PLAIN(a_path_is_found_and_none_that_differs_in_a_bit_or_in_length)
{
    for (size_t len = 1; len <= LONGEST; len++) {
        add(path_of(len), len);
        check_neighbours(len);
        forget_all();
    }
}

TEST_PLAIN(of_an_empty_table_nothing_is_found)
{
    CHECK(!check("/", 1));
    CHECK(!check("", 0));
    CHECK(!wf_plain_find(&table, (weft_text){NULL, 0}));
    CHECK(!wf_plain_glance(&table, (weft_text){NULL, 0}));
    add("/", 1);
    CHECK(!check("", 0));
    CHECK(!wf_plain_find(&table, (weft_text){NULL, 0}));
    CHECK(!wf_plain_glance(&table, (weft_text){NULL, 0}));
    forget_all();
}

/* ---- many that are alike ------------------------------------------------ */

/* All prefixes of one path, up to the longest; the same with another octet at
 * each place. So they share beginnings, ends and lengths, and there are many
 * more than hashes. */
static void add_all_alike(void)
{
    char buf[LONGEST];
    for (size_t len = 1; len <= LONGEST; len++) {
        memcpy(buf, path_of(len), len);
        add(buf, len);
        for (size_t at = 1; at < len; at++) {
            buf[at] = '-';
            add(buf, len);
            buf[at] = path_of(len)[at];
        }
    }
    CHECK(count > 10 * BUCKETS);
}

TEST_PLAIN(of_many_that_differ_in_an_octet_each_is_found)
{
    add_all_alike();
    for (size_t i = 0; i < count; i++)
        CHECK(check(paths[i].at, paths[i].len));
    forget_all();
}

TEST_PLAIN(what_differs_from_many_in_an_octet_is_not_found)
{
    char buf[LONGEST + 1];
    add_all_alike();
    for (size_t i = 0; i < count; i++) {
        size_t len = paths[i].len;
        memcpy(buf, paths[i].at, len);
        for (size_t at = 0; at < len; at++) {
            buf[at] = '_';
            CHECK(!check(buf, len));
            buf[at] = paths[i].at[at];
        }
        (void)check(buf, len - 1); /* some of these are there */
        buf[len] = '_';
        CHECK(!check(buf, len + 1));
        CHECK(!check(buf + 1, len - 1));
    }
    forget_all();
}

/* Those of the lengths at which a key changes what it holds, and none between:
 * what is shorter or longer by one is not there. */
TEST_PLAIN(what_is_shorter_or_longer_by_one_is_not_found)
{
    static const size_t lengths[] = {1,  3,  5,  7,  9,      13,
                                     15, 17, 24, 33, LONGEST};
    static const size_t others[] = {8, 16, 32, LONGEST - 2};
    for (int round = 0; round < 2; round++) {
        const size_t *l = round ? others : lengths;
        size_t n = round ? sizeof others / sizeof *others
                         : sizeof lengths / sizeof *lengths;
        for (size_t i = 0; i < n; i++)
            add(path_of(l[i]), l[i]);
        for (size_t i = 0; i < n; i++) {
            CHECK(check(path_of(l[i]), l[i]));
            CHECK(!check(path_of(l[i] - 1), l[i] - 1));
            if (l[i] < LONGEST) CHECK(!check(path_of(l[i] + 1), l[i] + 1));
        }
        forget_all();
    }
}

/* The key of a long one is its ends and its length; these share all of it. */
TEST_PLAIN(long_ones_that_differ_in_the_middle_alone_are_kept_apart)
{
    char buf[LONGEST];
    for (size_t len = 17; len <= LONGEST; len++) {
        memcpy(buf, path_of(len), len);
        for (size_t at = 8; at < len - 8; at++) {
            buf[at] = '1';
            add(buf, len);
            buf[at] = '2';
            CHECK(!check(buf, len));
            buf[at] = path_of(len)[at];
        }
        CHECK(!check(buf, len));
        for (size_t i = 0; i < count; i++)
            CHECK(check(paths[i].at, paths[i].len));
    }
    forget_all();
}

/* Short ones of one hash: their ends and lengths are the same. */
TEST_PLAIN(short_ones_that_share_their_last_octets_are_kept_apart)
{
    char buf[16];
    for (size_t len = 9; len <= 16; len++) {
        memcpy(buf, path_of(len), len);
        for (size_t at = 0; at < len - 8; at++)
            for (char c = '0'; c <= '3'; c++) {
                buf[at] = c;
                add(buf, len);
                buf[at] = path_of(len)[at];
            }
        CHECK(!check(buf, len));
        for (size_t i = 0; i < count; i++)
            CHECK(check(paths[i].at, paths[i].len));
    }
    forget_all();
}

/* The same octet again and again: only the length of their keys differs. Some
 * are of one hash, wherever that comes from. */
TEST_PLAIN(what_differs_in_length_alone_is_kept_apart)
{
    static const char octets[] = {0, 'a', '/', (char)0xff};
    enum { LONG = 200 };
    char buf[LONG];
    for (size_t o = 0; o < sizeof octets; o++) {
        memset(buf, octets[o], sizeof buf);
        for (size_t alone = 1; alone < LONG; alone++) {
            add(buf, alone);
            for (size_t len = 0; len <= LONG; len++)
                CHECK_EQ(check(buf, len), len == alone);
            forget_all();
        }
        for (size_t len = 1; len < LONG; len += 2)
            add(buf, len);
        for (size_t len = 0; len <= LONG; len++)
            CHECK_EQ(check(buf, len), len % 2);
        forget_all();
    }
}

/* Octets of 0 are not what fills a short key up. */
TEST_PLAIN(octets_of_0_and_beyond_127_count)
{
    static const struct {
        const char *octets;
        size_t len;
    } some[] = {
        {"\0", 1},
        {"\0\0", 2},
        {"\0\0\0\0\0\0\0", 7},
        {"/", 1},
        {"/\0", 2},
        {"\0/", 2},
        {"\0\0/", 3},
        {"\x80", 1},
        {"\0\x80", 2},
        {"/\xff\xff", 3},
        {"\xff\xff", 2},
        {"\xff\xff\xff\xff\xff\xff\xff", 7},
        {"/caf\xc3\xa9", 6},
        {"\0\0\0\0\0\0\0\0", 8},
    };
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        CHECK(!check(some[i].octets, some[i].len));
        add(some[i].octets, some[i].len);
    }
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        CHECK(check(some[i].octets, some[i].len));
    CHECK(!check("\0\0\0", 3));
    CHECK(!check("caf\xc3\xa9", 5));
    forget_all();
}

TEST_PLAIN(what_has_an_escape_is_not_in_the_table)
{
    static const char *const escaped[] = {"/%41", "/a%20b", "/%",
                                          "/long/enough/for/a/long/one%2f"};
    for (size_t i = 0; i < sizeof escaped / sizeof *escaped; i++) {
        weft_text path = weft_text_of(escaped[i]);
        wf_plain_add(&table, &entries[0], path);
        CHECK(!wf_plain_find(&table, path));
        CHECK(!wf_plain_glance(&table, path));
        CHECK(!entries[0].path);
    }
}

/* ---- methods ------------------------------------------------------------ */

static int handler(weft_req *r, void *ctx)
{
    (void)r;
    (void)ctx;
    return 0;
}

static struct wf_routes *routes;

static void open_routes(void)
{
    routes = wf_routes_new();
    CHECK(routes != NULL);
}

static void route(const char *method, const char *pattern)
{
    CHECK_EQ(wf_routes_add(routes, method, pattern, handler, NULL, NULL), 0);
}

/* What is found without a search answers each method as a search would. */
static const struct wf_plain *check_methods(const char *path)
{
    static const char *const methods[] = {"GET",     "HEAD", "POST",  "PUT",
                                          "OPTIONS", "get",  "PURGE", "X"};
    weft_text text = weft_text_of(path);
    const struct wf_plain *p = wf_plain_find(wf_routes_plain(routes), text);
    for (size_t i = 0; p && i < sizeof methods / sizeof *methods; i++) {
        weft_text method = weft_text_of(methods[i]);
        wf_methods allowed;
        const struct wf_route *want =
            wf_routes_find(routes, method, text, &allowed);
        if (want && strcmp(want->pattern, path) != 0) want = NULL;
        CHECK_PTR(wf_routes_of_plain(routes, p, method), want);
        if (i == 0) CHECK_PTR(p->get, want);
    }
    return p;
}

static const struct wf_plain *plain(const char *path)
{
    const struct wf_plain *p = check_methods(path);
    CHECK(p != NULL);
    return p;
}

/* The pattern that answers, or "". */
static const char *answer(const struct wf_plain *p, const char *method)
{
    const struct wf_route *r =
        wf_routes_of_plain(routes, p, weft_text_of(method));
    return r ? r->pattern : "";
}

TEST_PLAIN(a_plain_path_of_another_method_answers_no_get)
{
    open_routes();
    route("POST", "/form");
    const struct wf_plain *p = plain("/form");
    CHECK(!p->get);
    CHECK_STR(answer(p, "POST"), "/form");
    CHECK_STR(answer(p, "GET"), "");
    CHECK_STR(answer(p, "HEAD"), "");
    CHECK_STR(answer(p, "NONE"), "");
    route("GET", "/form");
    CHECK_PTR(plain("/form"), p);
    CHECK(p->get != NULL);
    CHECK_STR(answer(p, "HEAD"), "/form");
    wf_routes_free(routes);
}

TEST_PLAIN(a_plain_path_of_any_method_answers_all)
{
    open_routes();
    route(NULL, "/any");
    const struct wf_plain *p = plain("/any");
    CHECK(p->get != NULL);
    CHECK_STR(answer(p, "GET"), "/any");
    CHECK_STR(answer(p, "NEVER-HEARD-OF"), "/any");
    const struct wf_route *any = p->get;
    route("GET", "/any");
    CHECK_PTR(plain("/any"), p);
    CHECK(p->get != any);
    CHECK_PTR(wf_routes_of_plain(routes, p, weft_text_of("PUT")), any);
    CHECK_PTR(wf_routes_of_plain(routes, p, weft_text_of("HEAD")), p->get);
    wf_routes_free(routes);
}

TEST_PLAIN(a_route_that_is_taken_back_answers_no_more)
{
    open_routes();
    route(NULL, "/a");
    const struct wf_plain *p = plain("/a");
    const struct wf_route *any = p->get;
    route("GET", "/a");
    CHECK(plain("/a")->get != any);
    wf_routes_undo(routes);
    CHECK_PTR(plain("/a")->get, any);
    wf_routes_undo(routes);
    CHECK(!plain("/a")->get);
    route("POST", "/a");
    CHECK(!plain("/a")->get);
    route("GET", "/a");
    CHECK_STR(plain("/a")->get->pattern, "/a");
    wf_routes_free(routes);
}

TEST_PLAIN(a_pattern_with_a_parameter_or_an_escape_is_searched_for)
{
    open_routes();
    route("GET", "/{x}");
    route("GET", "/all/{x*}");
    route("GET", "/%61");
    CHECK(!check_methods("/{x}"));
    CHECK(!check_methods("/all/{x*}"));
    CHECK(!check_methods("/all/"));
    CHECK(!check_methods("/%61"));
    CHECK(!check_methods("/a"));
    CHECK(!check_methods("/b"));
    route("POST", "/a"); /* the same path, written plainly */
    const struct wf_plain *p =
        wf_plain_find(wf_routes_plain(routes), weft_text_of("/a"));
    CHECK(p && p->get);
    CHECK_STR(p->get->pattern, "/%61");
    CHECK_STR(answer(p, "POST"), "/a");
    CHECK_STR(answer(p, "PUT"), "");
    wf_routes_free(routes);
}

/* With a slash at the end and without. */
TEST_PLAIN(many_plain_routes_of_many_methods_answer_as_a_search_would)
{
    static const char *const methods[] = {"GET", "POST", NULL, "HEAD", "PURGE"};
    char path[64];
    open_routes();
    route("GET", "/{other*}");
    for (unsigned i = 0; i < 400; i++) {
        (void)snprintf(path, sizeof path, "/%.*s%u%s", (int)(i % 30),
                       "abcdefghijklmnopqrstuvwxyzabcdef", i, i % 3 ? "" : "/");
        for (unsigned m = 0; m < 5; m++)
            if (i >> m & 1 || i % 5 == m) route(methods[m], path);
    }
    for (unsigned i = 0; i < 400; i++) {
        int len =
            snprintf(path, sizeof path, "/%.*s%u%s", (int)(i % 30),
                     "abcdefghijklmnopqrstuvwxyzabcdef", i, i % 3 ? "" : "/");
        (void)plain(path);
        path[len] = 'x';
        path[len + 1] = 0;
        CHECK(!check_methods(path));
    }
    wf_routes_free(routes);
}
