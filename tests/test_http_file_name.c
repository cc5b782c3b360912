/* SPDX-License-Identifier: MIT */
/*
 * test_http_file_name.c - paths of requests as names of files, and their types.
 */
#include <weft/http_files.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "http/file_name.h"
#include "http/mime.h"

static const char *name_of(const char *path, bool hidden)
{
    static char name[256];
    bool slash;
    int len = wf_file_name(weft_text_of(path), hidden, name, &slash);
    if (len < 0) {
        CHECK_EQ(len, -ENOENT);
        return "none";
    }
    CHECK_EQ(len, strlen(name));
    if (slash) (void)strcat(name, "+");
    return name;
}

static const struct {
    const char *path, *want;
} names[] = {
    {"", ""},
    {"/", "+"},
    {"/a", "/a"},
    {"/a/", "/a+"},
    {"/a/b.c", "/a/b.c"},
    {"/a%20b", "/a b"},
    {"/%61", "/a"},
    {"/a.", "/a."},
    {"/a..", "/a.."},
    {"/caf%c3%a9", "/caf\xc3\xa9"},
    {"/%ff", "/\xff"},
    {"/a%25", "/a%"},
    {"/a%2525", "/a%25"}, /* once, and not twice */
    {"/%252e%252e", "/%2e%2e"},
    {"/a:b", "/a:b"},
    {"/~", "/~"},
    /* what leads up or has two meanings */
    {"/..", "none"},
    {"/../etc/passwd", "none"},
    {"/a/../b", "none"},
    {"/a/..", "none"},
    {"/.", "none"},
    {"/a/./b", "none"},
    {"/%2e%2e/x", "none"},
    {"/.%2E/x", "none"},
    {"/%2e", "none"},
    {"//", "none"},
    {"//a", "none"},
    {"/a//b", "none"},
    {"/a//", "none"},
    {"/a%2Fb", "none"},
    {"/..%2f..%2fetc", "none"},
    {"/%2fetc", "none"},
    {"/a%5Cb", "none"},
    {"/a\\b", "none"},
    {"/..\\x", "none"},
    {"/a%00", "none"},
    {"/a%00.html", "none"},
    {"/a%0a", "none"},
    {"/a\tb", "none"},
    {"/a%7f", "none"},
    {"/a%", "none"},
    {"/a%4", "none"},
    {"/a%zz", "none"},
    {"/\xc0\xae\xc0\xae/x", "/\xc0\xae\xc0\xae/x"}, /* no dots, but octets */
};

TEST_PLAIN(a_path_is_the_name_of_something_below_or_of_nothing)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        printf("%s\n", names[i].path);
        CHECK_STR(name_of(names[i].path, false), names[i].want);
        CHECK_STR(name_of(names[i].path, true), names[i].want);
    }
}

TEST_PLAIN(a_hidden_name_is_none_unless_it_is_asked_for)
{
    static const char *const hidden[] = {"/.git",   "/.git/config", "/a/.b",
                                         "/%2egit", "/...",         "/.a/"};
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        CHECK_STR(name_of(hidden[i], false), "none");
        CHECK(strcmp(name_of(hidden[i], true), "none") != 0);
    }
    CHECK_STR(name_of("/%2egit", true), "/.git");
}

/* ---- types -------------------------------------------------------------- */

TEST_PLAIN(the_type_is_that_of_the_last_extension_in_either_case)
{
    CHECK_STR(weft_http_type_of("a.html"), "text/html; charset=utf-8");
    CHECK_STR(weft_http_type_of("/x.y/a.HtMl"), "text/html; charset=utf-8");
    CHECK_STR(weft_http_type_of("a.tar.gz"), "application/gzip");
    CHECK_STR(weft_http_type_of("a.7z"), "application/x-7z-compressed");
    CHECK_STR(weft_http_type_of("a.zst"), "application/zstd");
    CHECK_STR(weft_http_type_of("a.json"), "application/json");
    CHECK_STR(weft_http_type_of("a.jsonld"), "application/ld+json");
    CHECK_STR(weft_http_type_of("a.js"), "text/javascript; charset=utf-8");
    CHECK_STR(weft_http_type_of(".css"), "text/css; charset=utf-8");
    CHECK_STR(weft_http_type_of("a.ZIP"), "application/zip");
    CHECK_STR(weft_http_type_of("a.WOFF2"), "font/woff2");
    CHECK_STR(weft_http_type_of("a.CSS"), "text/css; charset=utf-8");
    CHECK_PTR(weft_http_type_of("a"), NULL);
    CHECK_PTR(weft_http_type_of("a."), NULL);
    CHECK_PTR(weft_http_type_of(""), NULL);
    CHECK_PTR(weft_http_type_of("html"), NULL);
    CHECK_PTR(weft_http_type_of("x.html/a"), NULL);
    CHECK_PTR(weft_http_type_of("a.html "), NULL);
    CHECK_PTR(weft_http_type_of("a.htmlx"), NULL);
}

TEST_PLAIN(types_of_the_options_come_before_the_usual_ones)
{
    static const weft_http_type types[] = {
        {"HTML", "text/x-mine"}, {"foo", "text/x-foo"}, {NULL, NULL}};
    const weft_http_files_opts o = {.types = types},
                               other = {.default_type = "text/plain"};
    CHECK_STR(wf_type_of("a.html", &o), "text/x-mine");
    CHECK_STR(wf_type_of("a.FOO", &o), "text/x-foo");
    CHECK_STR(wf_type_of("a.png", &o), "image/png");
    CHECK_STR(wf_type_of("a.bar", &o), "application/octet-stream");
    CHECK_STR(wf_type_of("a.bar", &other), "text/plain");
    CHECK_STR(wf_type_of("a", &other), "text/plain");
    CHECK_STR(wf_type_of("a.png", &other), "image/png");
    CHECK_STR(wf_type_of("a", NULL), "application/octet-stream");
}
