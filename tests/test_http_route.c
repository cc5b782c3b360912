/* SPDX-License-Identifier: MIT */
/*
 * test_http_route.c - which route is for a method and a path, without a server.
 */
#include <weft/arena.h>
#include <weft/error.h>
#include <weft/http_route.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "http/route_pattern.h"
#include "http/route_table.h"
#include "http/segment.h"

static int handler(weft_req *r, void *ctx)
{
    (void)r;
    (void)ctx;
    return 0;
}

static struct wf_routes *table(void)
{
    struct wf_routes *t = wf_routes_new();
    CHECK(t != NULL);
    return t;
}

static void add(struct wf_routes *t, const char *method, const char *pattern)
{
    CHECK_EQ(wf_routes_add(t, method, pattern, handler, NULL, NULL), 0);
}

/* What is found without a search; if at first sight, then the same. */
static const struct wf_route *find_plain(const struct wf_routes *t,
                                         weft_text method, weft_text path)
{
    const struct wf_plain *p = wf_plain_find(wf_routes_plain(t), path);
    const struct wf_plain *glance = wf_plain_glance(wf_routes_plain(t), path);
    CHECK(!glance || glance == p);
    if (!p) return NULL;
    const struct wf_route *r = wf_routes_of_plain(t, p, method);
    if (weft_http_verb_of(method) == WEFT_HTTP_GET) CHECK(p->get == r);
    return r;
}

/* The pattern that is found; "405" or "404". What is found without a search must
 * be what a search finds. */
static const char *found(const struct wf_routes *t, const char *method,
                         const char *path)
{
    wf_methods allowed;
    const struct wf_route *plain =
        find_plain(t, weft_text_of(method), weft_text_of(path));
    int err = wf_path_check(weft_text_of(path));
    CHECK(err == 0 || !plain);
    if (err == -EINVAL) return "400";
    if (err < 0) return "404";
    const struct wf_route *r =
        wf_routes_find(t, weft_text_of(method), weft_text_of(path), &allowed);
    CHECK(!plain || plain == r);
    return r ? r->pattern : allowed ? "405" : "404";
}

static void check_error(int err, int want, const char *part)
{
    CHECK_EQ(err, want);
    const weft_error *e = weft_last_error();
    CHECK(e != NULL);
    if (!strstr(e->msg, part))
        test_fail(__FILE__, __LINE__, "\"%s\" has no \"%s\"", e->msg, part);
}

/* ---- matching ----------------------------------------------------------- */

static const struct {
    const char *path, *want;
} finds[] = {
    {"/", "/"},
    {"/users", "/users"},
    {"/users/", "/users/"},
    {"/users/7", "/users/{id}"},
    {"/users/me", "/users/me"},
    {"/users/mee", "/users/{id}"},
    {"/users/m", "/users/{id}"},
    {"/users/ME", "/users/{id}"},
    {"/users/7/", "404"},
    {"/users//", "404"},
    {"/users/7/posts", "/users/{who}/posts"},
    {"/users/me/posts", "/users/{who}/posts"}, /* back from /users/me */
    {"/users/me/friends/x", "/users/me/friends/{rest*}"},
    {"/users/me/friends/", "/users/me/friends/{rest*}"},
    {"/users/me/friends", "404"},
    {"/users/you/friends/x", "404"},
    {"/files/", "/files/{path*}"},
    {"/files", "404"},
    {"/files/a", "/files/{path*}"},
    {"/files/a/b//c/", "/files/{path*}"},
    {"/files/special", "/files/special"},
    {"/files/special/", "/files/{path*}"},
    {"/files/special/x", "/files/{path*}"},
    {"/files/x/edit", "/files/{name}/edit"},
    {"/files/x/edit/", "/files/{path*}"},
    {"/nothing", "404"},
    {"//", "404"},
    {"/users/a/b/c/d", "404"},
    {"", "400"},
    {"*", "400"},
    {"users", "400"},
};

static void add_many(struct wf_routes *t, bool backwards)
{
    static const char *const patterns[] = {
        "/",
        "/users",
        "/users/",
        "/users/{id}",
        "/users/me",
        "/users/{who}/posts",
        "/users/me/friends/{rest*}",
        "/files/{path*}",
        "/files/special",
        "/files/{name}/edit",
    };
    const size_t n = sizeof patterns / sizeof patterns[0];
    for (size_t i = 0; i < n; i++)
        add(t, "GET", patterns[backwards ? n - 1 - i : i]);
}

TEST_PLAIN(pattern_118_a_word_comes_before_a_parameter_and_that_before_the_rest)
{
    for (int backwards = 0; backwards < 2; backwards++) {
        struct wf_routes *t = table();
        add_many(t, backwards);
        for (size_t i = 0; i < sizeof finds / sizeof finds[0]; i++) {
            printf("%s\n", finds[i].path);
            CHECK_STR(found(t, "GET", finds[i].path), finds[i].want);
        }
        wf_routes_free(t);
    }
}

TEST_PLAIN(a_path_is_divided_first_and_decoded_then)
{
    struct wf_routes *t = table();
    add(t, "GET", "/a/{b}");
    add(t, "GET", "/caf\xc3\xa9");
    add(t, "GET", "/a b");
    add(t, "GET", "/x%2Fy");
    add(t, "GET", "/%7Bz%7D");
    CHECK_STR(found(t, "GET", "/a/1%2F2"), "/a/{b}");
    CHECK_STR(found(t, "GET", "/a%2F1"), "404");
    CHECK_STR(found(t, "GET", "/a/1/2"), "404");
    CHECK_STR(found(t, "GET", "/%61/1"), "/a/{b}");
    CHECK_STR(found(t, "GET", "/caf%C3%A9"), "/caf\xc3\xa9");
    CHECK_STR(found(t, "GET", "/caf%c3%a9"), "/caf\xc3\xa9");
    CHECK_STR(found(t, "GET", "/caf%C3"), "404");
    CHECK_STR(found(t, "GET", "/a%20b"), "/a b");
    CHECK_STR(found(t, "GET", "/a+b"), "404");
    CHECK_STR(found(t, "GET", "/x%2fy"), "/x%2Fy");
    CHECK_STR(found(t, "GET", "/x/y"), "404");
    CHECK_STR(found(t, "GET", "/{z}"), "/%7Bz%7D");
    wf_routes_free(t);
}

TEST_PLAIN(what_is_no_escape_and_an_octet_0_are_400)
{
    static const char *const bad[] = {"/%",   "/%4",   "/%zz",  "/a%4g/b",
                                      "/%00", "/a%00", "/x%2/", "/a/%0"};
    struct wf_routes *t = table();
    add(t, "GET", "/{a*}");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_STR(found(t, "GET", bad[i]), "400");
    CHECK_STR(found(t, "GET", "/%01"), "/{a*}");
    wf_routes_free(t);
}

TEST_PLAIN(a_segment_of_dots_is_matched_by_nothing)
{
    static const char *const dots[] = {
        "/.",      "/..",     "/a/../b",  "/a/./b", "/a/..",    "/%2e",
        "/%2E%2e", "/.%2e/a", "/a/%2e./", "/../",   "/a/b/%2e", "/%2e%2e/x"};
    /* Dots between slashes, once they are decoded. */
    static const char *const hidden[] = {"/..%2f",   "/a/..%2Fb",
                                         "/a%2f..",  "/a%2f..%2fb",
                                         "/%2f%2e/", "/.%2f..."};
    struct wf_routes *t = table();
    add(t, NULL, "/{a*}");
    for (size_t i = 0; i < sizeof dots / sizeof dots[0]; i++)
        CHECK_STR(found(t, "GET", dots[i]), "404");
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
        CHECK_STR(found(t, "GET", hidden[i]), "404");
    CHECK_STR(found(t, "GET", "/...%2f..a%2f"), "/{a*}");
    CHECK_STR(found(t, "GET", "/..."), "/{a*}");
    CHECK_STR(found(t, "GET", "/.a/a./..b"), "/{a*}");
    CHECK_STR(found(t, "GET", "/%2e%2e%2e"), "/{a*}");
    wf_routes_free(t);
}

TEST_PLAIN(every_path_of_words_and_parameters_is_found_by_the_first_difference)
{
    /* All patterns of three segments that are each a word or not, against all
     * paths: the most specific one is known from its digits. */
    static const char *const words[] = {"a", "{x}"};
    struct wf_routes *t = table();
    char pattern[64], path[64];
    for (unsigned i = 0; i < 8; i++) {
        if (i == 1 || i == 4) continue; /* /a/a/{x} and /{x}/a/a are missing */
        (void)snprintf(pattern, sizeof pattern, "/%s/%s1/%s2", words[i >> 2],
                       words[i >> 1 & 1], words[i & 1]);
        char *at = pattern; /* {x}1 is {x1} */
        for (char *brace; (brace = strstr(at, "}")); at = brace + 2) {
            if (brace[1] == '/') continue;
            brace[0] = brace[1];
            brace[1] = '}';
        }
        add(t, "GET", pattern);
    }
    for (unsigned i = 0; i < 8; i++) {
        unsigned want = i;
        while (want == 1 || want == 4 || (want & i) != i)
            want++;
        /* the least number that has all parameters that the path needs */
        (void)snprintf(path, sizeof path, "/%s/%s/%s", i & 4 ? "z" : "a",
                       i & 2 ? "z" : "a1", i & 1 ? "z" : "a2");
        (void)snprintf(pattern, sizeof pattern, "/%s/%s/%s",
                       want & 4 ? "{x}" : "a", want & 2 ? "{x1}" : "a1",
                       want & 1 ? "{x2}" : "a2");
        CHECK_STR(found(t, "GET", path), pattern);
    }
    wf_routes_free(t);
}

TEST_PLAIN(ten_thousand_routes_are_each_found)
{
    struct wf_routes *t = table();
    char text[64];
    for (unsigned i = 0; i < 10000; i++) {
        (void)snprintf(text, sizeof text, "/v1/thing%u/{id}", i * 7919 % 10000);
        add(t, "GET", text);
    }
    for (unsigned i = 0; i < 10000; i++) {
        char want[64];
        (void)snprintf(text, sizeof text, "/v1/thing%u/x", i);
        (void)snprintf(want, sizeof want, "/v1/thing%u/{id}", i);
        CHECK_STR(found(t, "GET", text), want);
    }
    CHECK_STR(found(t, "GET", "/v1/thing10000/x"), "404");
    wf_routes_free(t);
}

/* ---- methods ------------------------------------------------------------ */

static const char *allow(const struct wf_routes *t, const char *method,
                         const char *path)
{
    static char text[2048];
    weft_arena arena;
    wf_methods allowed;
    weft_arena_init(&arena, NULL, 0);
    CHECK(wf_routes_find(t, weft_text_of(method), weft_text_of(path),
                         &allowed) == NULL);
    const char *list = wf_routes_allow(t, allowed, &arena);
    CHECK(list != NULL);
    (void)snprintf(text, sizeof text, "%s", list);
    weft_arena_reset(&arena);
    return text;
}

TEST_PLAIN(a_route_of_another_method_is_none)
{
    struct wf_routes *t = table();
    add(t, "GET", "/users/me");
    add(t, "POST", "/users/{id}");
    add(t, "PURGE", "/users/{x*}");
    CHECK_STR(found(t, "GET", "/users/me"), "/users/me");
    CHECK_STR(found(t, "POST", "/users/me"), "/users/{id}");
    CHECK_STR(found(t, "PURGE", "/users/me"), "/users/{x*}");
    CHECK_STR(found(t, "DELETE", "/users/me"), "405");
    CHECK_STR(found(t, "get", "/users/me"), "405");
    CHECK_STR(found(t, "GET", "/users/you"), "405");
    CHECK_STR(allow(t, "DELETE", "/users/me"),
              "GET, HEAD, OPTIONS, POST, PURGE");
    CHECK_STR(allow(t, "GET", "/users/you"), "OPTIONS, POST, PURGE");
    CHECK_STR(allow(t, "GET", "/users/"), "OPTIONS, PURGE");
    wf_routes_free(t);
}

TEST_PLAIN(get_answers_head_unless_there_is_a_route_for_it)
{
    struct wf_routes *t = table();
    add(t, "GET", "/a");
    add(t, NULL, "/a");
    add(t, "HEAD", "/b");
    add(t, "GET", "/b");
    add(t, "POST", "/c");
    add(t, NULL, "/d");
    wf_methods allowed;
    const struct wf_route *get, *head;
    get = wf_routes_find(t, weft_text_of("GET"), weft_text_of("/a"), &allowed);
    head =
        wf_routes_find(t, weft_text_of("HEAD"), weft_text_of("/a"), &allowed);
    CHECK(get && get == head);
    CHECK(get !=
          wf_routes_find(t, weft_text_of("PUT"), weft_text_of("/a"), &allowed));
    get = wf_routes_find(t, weft_text_of("GET"), weft_text_of("/b"), &allowed);
    head =
        wf_routes_find(t, weft_text_of("HEAD"), weft_text_of("/b"), &allowed);
    CHECK(get && head && get != head);
    CHECK_STR(found(t, "HEAD", "/c"), "405");
    CHECK_STR(found(t, "HEAD", "/d"), "/d");
    CHECK_STR(found(t, "ANYTHING", "/d"), "/d");
    CHECK_STR(found(t, "OPTIONS", "/d"), "/d");
    CHECK_STR(found(t, "OPTIONS", "/c"), "405");
    wf_routes_free(t);
}

TEST_PLAIN(the_table_holds_64_methods_and_says_so_of_the_next)
{
    struct wf_routes *t = table();
    char method[16];
    for (int i = 0; i < WEFT_HTTP_METHODS - 3; i++) {
        (void)snprintf(method, sizeof method, "M%02d", i);
        add(t, method, "/");
    }
    check_error(wf_routes_add(t, "M99", "/x", handler, NULL, NULL), -EINVAL,
                "M99 is one method too many");
    add(t, "GET", "/");
    add(t, "HEAD", "/");
    add(t, "OPTIONS", "/");
    CHECK_STR(found(t, "M60", "/"), "/");
    CHECK_STR(found(t, "M99", "/"), "405");
    CHECK_EQ(strncmp(allow(t, "M99", "/"), "GET, HEAD, M00, M01, M02, ", 26),
             0);
    wf_routes_free(t);
}

/* ---- what is refused ---------------------------------------------------- */

static const struct {
    const char *pattern, *part;
} refused[] = {
    {"", "does not begin with /"},
    {NULL, "does not begin with /"},
    {"users", "does not begin with /"},
    {"{a}", "does not begin with /"},
    {"//", "octet 2: an empty segment"},
    {"/a//b", "octet 4: an empty segment"},
    {"/{a*}/b", "octet 7: {name*} is the last"},
    {"/{a*}/", "{name*} is the last"},
    {"/{}", "octet 2: a parameter is {name}"},
    {"/{*}", "a parameter is {name}"},
    {"/{1a}", "a parameter is {name}"},
    {"/{a-b}", "a parameter is {name}"},
    {"/{a**}", "a parameter is {name}"},
    {"/{a}b", "octet 2: a parameter is a segment"},
    {"/a{b}", "octet 3: a parameter is a segment"},
    {"/{a", "a parameter is a segment"},
    {"/a}", "a parameter is a segment"},
    {"/{a}/x/{a}", "octet 8: a parameter of that name"},
    {"/{a}/{a*}", "a parameter of that name"},
    {"/a?b", "octet 3: the path has ended"},
    {"/a#b", "the path has ended"},
    {"/a\nb", "octet 3: a control octet"},
    {"/a\x7f", "a control octet"},
    {"/%", "octet 2: % and no two"},
    {"/a%4x", "octet 3: % and no two"},
    {"/a%00", "or %00"},
    {"/.", "a segment . or .."},
    {"/a/../b", "octet 4: a segment . or .."},
    {"/%2e%2E", "a segment . or .."},
    {"/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/{p}/{q}",
     "too many parameters"},
};

TEST(a_pattern_that_is_none_is_refused_with_the_place)
{
    struct wf_routes *t = table();
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        printf("%s\n", refused[i].pattern ? refused[i].pattern : "NULL");
        check_error(
            wf_routes_add(t, "GET", refused[i].pattern, handler, NULL, NULL),
            -EINVAL, refused[i].part);
    }
    CHECK_STR(found(t, "GET", "/a"), "404");
    CHECK_EQ(wf_routes_methods(t), 0);
    wf_routes_free(t);
}

TEST(a_pattern_has_an_end_within_1024_octets)
{
    static char longest[WEFT_HTTP_ROUTE_BYTES + 1];
    struct wf_routes *t = table();
    memset(longest, 'a', sizeof longest - 1);
    longest[0] = '/';
    check_error(wf_routes_add(t, "GET", longest, handler, NULL, NULL), -EINVAL,
                "1024 octets, and 1023 are most");
    longest[sizeof longest - 2] = 0;
    add(t, "GET", longest);
    CHECK_STR(found(t, "GET", longest), longest);
    wf_routes_free(t);
}

TEST(a_method_that_is_none_and_no_handler_are_refused)
{
    static const char *const bad[] = {"", "GET ", "G(T", "G\nT", "GET,POST"};
    struct wf_routes *t = table();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check_error(wf_routes_add(t, bad[i], "/", handler, NULL, NULL), -EINVAL,
                    "is no method");
    check_error(wf_routes_add(t, "GET", "/", NULL, NULL, NULL), -EINVAL,
                "no handler");
    CHECK_STR(found(t, "GET", "/"), "404");
    wf_routes_free(t);
}

TEST(two_routes_of_one_form_and_method_conflict)
{
    struct wf_routes *t = table();
    add(t, "GET", "/users/{id}");
    add(t, NULL, "/users/{id}");
    add(t, "POST", "/users/{name}");
    add(t, "GET", "/users/{id}/{rest*}");
    add(t, "GET", "/a b");
    check_error(wf_routes_add(t, "GET", "/users/{name}", handler, NULL, NULL),
                -EEXIST, "there is /users/{id} already");
    check_error(wf_routes_add(t, NULL, "/users/{name}", handler, NULL, NULL),
                -EEXIST, "of any method");
    check_error(wf_routes_add(t, "POST", "/users/{id}", handler, NULL, NULL),
                -EEXIST, "/users/{name}");
    check_error(wf_routes_add(t, "GET", "/users/{i}/{r*}", handler, NULL, NULL),
                -EEXIST, "{rest*}");
    check_error(wf_routes_add(t, "GET", "/a%20b", handler, NULL, NULL), -EEXIST,
                "/a b");
    wf_routes_free(t);
}

static int dropped;

static void drop(void *ctx)
{
    CHECK_PTR(ctx, &dropped);
    dropped++;
}

TEST_PLAIN(a_route_that_is_taken_back_is_gone_and_is_not_dropped)
{
    struct wf_routes *t = table();
    dropped = 0;
    add(t, "GET", "/a");
    wf_methods before = wf_routes_methods(t);
    CHECK_EQ(wf_routes_add(t, "POST", "/a", handler, &dropped, drop), 0);
    CHECK(wf_routes_methods(t) != before);
    wf_routes_undo(t);
    CHECK_EQ(wf_routes_methods(t), before);
    CHECK_STR(found(t, "POST", "/a"), "405");
    CHECK_STR(allow(t, "POST", "/a"), "GET, HEAD, OPTIONS");
    CHECK_EQ(wf_routes_add(t, NULL, "/a", handler, &dropped, drop), 0);
    wf_routes_undo(t);
    CHECK_STR(found(t, "POST", "/a"), "405");
    CHECK_EQ(wf_routes_add(t, "POST", "/a", handler, &dropped, drop), 0);
    CHECK_STR(found(t, "POST", "/a"), "/a");
    CHECK_EQ(dropped, 0);
    wf_routes_free(t);
    CHECK_EQ(dropped, 1);
    wf_routes_free(NULL);
}
