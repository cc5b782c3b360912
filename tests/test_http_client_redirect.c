/* SPDX-License-Identifier: MIT */
/* test_http_client_redirect.c - from one URL to the next, and not for ever. */
#include "scripted.h"

#define TO(status, place)                                                      \
    "HTTP/1.1 " status " Over There\r\nLocation: " place                       \
    "\r\nContent-Length: 0\r\n\r\n"

static const struct line ok[] = {HEARS, SAYS(OK_REPLY("2", "ok")), OVER};

static const char *sent(struct scripted *s, const weft_http_call *call)
{
    weft_resp r;
    int rc;
    const char *out = NULL;
    WITH_SCRIPTED(*s, rc)
    {
        int err = weft_http_send(s->h, call, &r);
        out = outcome(err, &r);
    }
    CHECK_EQ(rc, 0);
    return out;
}

TEST(a_redirect_is_as_any_reply_unless_it_is_to_be_followed)
{
    static const struct line talk[] = {HEARS, SAYS(TO("302", "/b")), OVER};
    for (int no = 0; no < 2; no++) {
        struct scripted s = {.talks = {talk},
                             .opts = {.redirects = no ? 5 : 0}};
        weft_http_call call = {.url = "http://h/a", .no_redirects = no};
        CHECK_STR(sent(&s, &call), "302 ");
    }
}

TEST(what_becomes_of_method_and_body_is_as_rfc_9110_says)
{
    static const struct {
        const char *method, *reply, *asks;
        bool body;
    } cases[] = {{"GET", TO("301", "/b"), "GET /b", false},
                 {"POST", TO("301", "/b"), "GET /b", false},
                 {"POST", TO("302", "/b"), "GET /b", false},
                 {"PUT", TO("302", "/b"), "PUT /b", true},
                 {"PUT", TO("303", "/b"), "GET /b", false},
                 {"HEAD", TO("303", "/b"), "HEAD /b", false},
                 {"POST", TO("307", "/b"), "POST /b", true},
                 {"POST", TO("308", "/b"), "POST /b", true}};
    static const weft_http_header headers[] = {
        {"Content-Type", "text/plain"}, {"X-Kept", "1"}, {NULL, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool first = strcmp(cases[i].method, "GET") != 0 &&
                     strcmp(cases[i].method, "HEAD") != 0;
        const struct line talk[] = {HEARS,
                                    TAKES(first ? "hello" : ""),
                                    SAYS(cases[i].reply),
                                    HEARS,
                                    TAKES(cases[i].body ? "hello" : ""),
                                    SAYS(strcmp(cases[i].method, "HEAD")
                                             ? OK_REPLY("2", "ok")
                                             : OK_REPLY("2", "")),
                                    OVER};
        struct scripted s = {.talks = {talk}, .opts = {.redirects = 5}};
        weft_http_call call = {.method = cases[i].method,
                               .url = "http://h/a",
                               .headers = headers,
                               .body = first ? "hello" : NULL,
                               .body_len = first ? 5 : 0};
        const char *out = sent(&s, &call);
        CHECK(strncmp(out, "200", 3) == 0);
        CHECK_EQ(s.conns, 1);
        const char *second = strstr(s.heard, cases[i].asks);
        CHECK(second != NULL && second > s.heard);
        CHECK(strstr(second, "X-Kept: 1") != NULL);
        bool typed = strstr(second, "Content-Type") != NULL;
        CHECK_EQ(typed, cases[i].body || !first);
    }
}

TEST(places_are_relative_to_the_url_that_was_asked)
{
    static const struct line talk[] = {HEARS, SAYS(TO("302", "../c?d#e")),
                                       HEARS, SAYS(OK_REPLY("2", "ok")), OVER};
    struct scripted s = {.talks = {talk}, .opts = {.redirects = 1}};
    weft_http_call call = {.url = "http://h/a/b/x"};
    weft_resp r;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_EQ(weft_http_send(s.h, &call, &r), 0);
        CHECK(weft_text_is(r.url, "http://h/a/c?d"));
        CHECK_EQ(r.redirects, 1);
        CHECK_STR(outcome(0, &r), "200 ok");
    }
    CHECK_EQ(rc, 0);
    CHECK(strstr(s.heard, "GET /a/c?d HTTP/1.1") != NULL);
}

TEST(another_origin_is_told_no_secrets_nor_is_the_first_one_afterwards)
{
    static const struct line away[] = {HEARS, SAYS(TO("302", "http://other/b")),
                                       HEARS, SAYS(OK_REPLY("2", "ok")), OVER};
    static const struct line back[] = {HEARS, SAYS(TO("302", "http://h/c")),
                                       OVER};
    static const weft_http_header defaults[] = {{"Cookie", "c=1"},
                                                {NULL, NULL}};
    static const weft_http_header headers[] = {
        {"Authorization", "Bearer x"}, {"X-Open", "1"}, {NULL, NULL}};
    struct scripted s = {.talks = {away, back},
                         .opts = {.redirects = 5, .headers = defaults}};
    weft_http_call call = {.url = "http://h/a", .headers = headers};
    CHECK_STR(sent(&s, &call), "200 ok");
    CHECK_STR(s.dialled, "h:80 other:80 ");
    const char *second = strstr(s.heard, "GET /b");
    CHECK(second && strstr(second, "X-Open: 1"));
    CHECK(!strstr(second, "Authorization") && !strstr(second, "Cookie"));
    *strstr(s.heard, "GET /b") = 0;
    CHECK(strstr(s.heard, "Authorization: Bearer x"));
    CHECK(strstr(s.heard, "Cookie: c=1"));
}

TEST(another_port_is_another_origin)
{
    static const struct line away[] = {HEARS, SAYS(TO("302", "http://h:81/b")),
                                       OVER};
    struct scripted s = {.talks = {away, ok},
                         .opts = {.redirects = 5, .userinfo = true}};
    weft_http_call call = {.url = "http://me:word@h/a"};
    CHECK_STR(sent(&s, &call), "200 ok");
    const char *second = strstr(s.heard, "GET /b");
    CHECK(second && !strstr(second, "Authorization"));
}

TEST(circles_and_long_chains_end)
{
    static const struct line circle[] = {HEARS, SAYS(TO("302", "/b")), HEARS,
                                         SAYS(TO("302", "/a")), OVER};
    static const struct line chain[] = {
        HEARS, SAYS(TO("302", "/b")), HEARS, SAYS(TO("302", "/c")),
        HEARS, SAYS(TO("302", "/d")), HEARS, SAYS(OK_REPLY("2", "ok")),
        OVER};
    struct scripted s = {.talks = {circle}, .opts = {.redirects = 99}};
    struct scripted t = {.talks = {chain}, .opts = {.redirects = 2}};
    struct scripted u = {.talks = {chain}, .opts = {.redirects = 3}};
    weft_http_call call = {.url = "http://h/a"};
    CHECK_STR(sent(&s, &call), weft_strerror(-ELOOP));
    check_said(-ELOOP, "in a circle");
    CHECK_STR(sent(&t, &call), weft_strerror(-ELOOP));
    check_said(-ELOOP, "too many");
    CHECK_STR(sent(&u, &call), "200 ok");
}

TEST(places_that_are_none_are_refused)
{
    static const struct {
        const char *reply, *out;
    } cases[] = {{TO("302", "http://h:x/"), "Bad message"},
                 {TO("302", "http://me:word@h/"), "Bad message"},
                 {TO("302", "/a b"), "Bad message"},
                 {TO("302", "ftp://h/"), "Protocol not supported"},
                 {TO("302", "https://h/"), "Protocol not supported"},
                 {"HTTP/1.1 302 X\r\nLocation: /b\r\nLocation: /c\r\n"
                  "Content-Length: 0\r\n\r\n",
                  "Bad message"},
                 {"HTTP/1.1 302 X\r\nContent-Length: 0\r\n\r\n", "302 "},
                 {TO("300", "/b"), "300 "},
                 {TO("304", "/b"), "304 "}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct line talk[] = {HEARS, SAYS(cases[i].reply), OVER};
        struct scripted s = {.talks = {talk}, .opts = {.redirects = 5}};
        weft_http_call call = {.url = "http://h/a"};
        CHECK_STR(sent(&s, &call), cases[i].out);
    }
}

static int no_tls(weft_transport **ret, weft_transport *below, const char *host,
                  void *user)
{
    (void)host, (void)user;
    *ret = below;
    return 0;
}

TEST(from_https_to_http_is_refused_unless_it_is_allowed)
{
    static const struct line talk[] = {HEARS, SAYS(TO("302", "http://h/b")),
                                       OVER};
    for (int allowed = 0; allowed < 2; allowed++) {
        struct scripted s = {
            .talks = {talk, ok},
            .opts = {.redirects = 5, .secure = no_tls, .downgrade = allowed}};
        weft_http_call call = {.url = "https://h/a"};
        CHECK_STR(sent(&s, &call), allowed ? "200 ok" : "Permission denied");
    }
}

static ssize_t give(void *buf, size_t len, void *user)
{
    int *left = user;
    CHECK(len > 0);
    if (*left == 0) return 0;
    --*left;
    *(char *)buf = 'x';
    return 1;
}

static int rewind_it(void *user)
{
    *(int *)user = 1;
    return 0;
}

TEST(a_body_that_cannot_be_had_again_leaves_the_redirect_as_the_reply)
{
    static const struct line talk[] = {
        HEARS, TAKES("1\r\nx\r\n0\r\n\r\n"), SAYS(TO("307", "/b")),
        HEARS, TAKES("1\r\nx\r\n0\r\n\r\n"), SAYS(OK_REPLY("2", "ok")),
        OVER};
    for (int can = 0; can < 2; can++) {
        struct scripted s = {.talks = {talk}, .opts = {.redirects = 5}};
        int left = 1;
        weft_http_call call = {.method = "POST",
                               .url = "http://h/a",
                               .produce = give,
                               .user = &left,
                               .rewind = can ? rewind_it : NULL};
        CHECK_STR(sent(&s, &call), can ? "200 ok" : "307 ");
    }
}
