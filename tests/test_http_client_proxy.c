/* SPDX-License-Identifier: MIT */
/* test_http_client_proxy.c - by way of a proxy, and under TLS of a kind. */
#include <stdlib.h>

#include "scripted.h"

static const struct line ok[] = {HEARS, SAYS(OK_REPLY("2", "ok")), HEARS,
                                 SAYS(OK_REPLY("3", "two")), OVER};

TEST(a_proxy_is_asked_for_the_whole_url_and_told_who_asks)
{
    struct scripted s = {.talks = {ok},
                         .opts = {.proxy = "http://me:w%20rd@proxy:3128/"}};
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_STR(get(s.h, "http://a:81/x?y#z"), "200 ok");
        CHECK_STR(get(s.h, "http://b"), "200 two"); /* the same connection */
    }
    CHECK_EQ(rc, 0);
    CHECK_STR(s.dialled, "proxy:3128 ");
    CHECK_STR(s.heard, "GET http://a:81/x?y HTTP/1.1\r\nHost: a:81\r\n"
                       "User-Agent: weft/" WEFT_VERSION "\r\n"
                       "Proxy-Authorization: Basic bWU6dyByZA==\r\n\r\n"
                       "GET http://b/ HTTP/1.1\r\nHost: b\r\n"
                       "User-Agent: weft/" WEFT_VERSION "\r\n"
                       "Proxy-Authorization: Basic bWU6dyByZA==\r\n\r\n");
}

TEST(who_is_excepted_is_asked_directly)
{
    static const struct {
        const char *no_proxy, *url, *dialled;
    } cases[] = {
        {"*", "http://a/", "a:80 "},
        {"b, a", "http://a/", "a:80 "},
        {"example.org", "http://www.Example.org/", "www.example.org:80 "},
        {"example.org", "http://example.org/", "example.org:80 "},
        {"example.org", "http://notexample.org/", "proxy:80 "},
        {".example.org", "http://www.example.org/", "www.example.org:80 "},
        {".example.org", "http://example.org/", "proxy:80 "},
        {"a:81", "http://a/", "proxy:80 "},
        {"a:81", "http://a:81/", "a:81 "},
        {"10.0.0.0/8", "http://10.1.2.3/", "10.1.2.3:80 "},
        {"10.0.0.0/8", "http://11.1.2.3/", "proxy:80 "},
        {"::1", "http://[::1]/", "::1:80 "},
        {"[::1]:81", "http://[::1]:81/", "::1:81 "},
        {"", "http://a/", "proxy:80 "},
        {",, ,", "http://a/", "proxy:80 "}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scripted s = {
            .talks = {ok},
            .opts = {.proxy = "proxy", .no_proxy = cases[i].no_proxy}};
        int rc;
        WITH_SCRIPTED(s, rc)
        CHECK_STR(get(s.h, cases[i].url), "200 ok");
        CHECK_EQ(rc, 0);
        CHECK_STR(s.dialled, cases[i].dialled);
    }
}

TEST(proxies_that_are_none_are_refused_without_their_words)
{
    static const struct {
        const char *proxy;
        int code;
    } cases[] = {{"https://me:word@proxy", -EPROTONOSUPPORT},
                 {"socks5://proxy", -EPROTONOSUPPORT},
                 {"http://proxy/path", -EINVAL},
                 {"http://proxy:x", -EINVAL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weft_http_opts o = {.proxy = cases[i].proxy};
        CHECK(weft_http_new(&o) == NULL);
        check_said(cases[i].code, "proxy");
        CHECK(strstr(weft_last_error()->msg, "word") == NULL);
    }
}

/* ---- the environment ---------------------------------------------------- */

static void set(const char *name, const char *value)
{
    CHECK_EQ(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

static void set_all(const char *lower, const char *upper, const char *method,
                    const char *none)
{
    set("http_proxy", lower);
    set("HTTP_PROXY", upper);
    set("REQUEST_METHOD", method);
    set("no_proxy", none);
    set("NO_PROXY", NULL);
    set("https_proxy", NULL);
    set("HTTPS_PROXY", NULL);
}

TEST(the_environment_is_heeded_if_that_is_wanted_and_not_that_of_a_request)
{
    static const struct {
        const char *lower, *upper, *method, *none;
        bool wanted;
        const char *dialled;
    } cases[] = {{"http://low", "http://up", NULL, NULL, true, "low:80 "},
                 {NULL, "http://up:1", NULL, NULL, true, "up:1 "},
                 {NULL, "http://evil", "GET", NULL, true, "a:80 "},
                 {"http://low", "http://evil", "GET", NULL, true, "low:80 "},
                 {"http://low", NULL, NULL, "a", true, "a:80 "},
                 {"", NULL, NULL, NULL, true, "a:80 "},
                 {"http://low", "http://up", NULL, NULL, false, "a:80 "}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scripted s = {
            .talks = {ok}, .opts = {.proxy_from_environment = cases[i].wanted}};
        int rc;
        set_all(cases[i].lower, cases[i].upper, cases[i].method, cases[i].none);
        WITH_SCRIPTED(s, rc)
        {
            set_all(NULL, NULL, NULL, NULL); /* it was read before */
            CHECK_STR(get(s.h, "http://a/"), "200 ok");
        }
        CHECK_EQ(rc, 0);
        CHECK_STR(s.dialled, cases[i].dialled);
    }
}

/* ---- TLS of a kind ------------------------------------------------------ */

static char secured[64];

/* No secret at all; but it is seen whom it was for. */
static int secure(weft_transport **ret, weft_transport *below, const char *host,
                  void *user)
{
    (void)user;
    (void)snprintf(secured, sizeof secured, "%s", host);
    if (strcmp(host, "bad") == 0) return weft_fail(-EACCES, "not who it is");
    *ret = below;
    return 0;
}

TEST(https_goes_by_the_hook_and_is_not_mixed_with_http)
{
    struct scripted s = {.talks = {ok}, .opts = {.secure = secure}};
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_STR(get(s.h, "https://a/"), "200 ok");
        CHECK_STR(get(s.h, "http://a:443/"), "200 ok");
        CHECK_STR(get(s.h, "https://bad/"), "Permission denied");
        CHECK_STR(get(s.h, "https://a/"), "200 two");
    }
    CHECK_EQ(rc, 0);
    CHECK_STR(s.dialled, "a:443 a:443 bad:443 ");
    CHECK(strstr(s.heard, "GET / HTTP/1.1\r\nHost: a\r\n") == s.heard);
}

TEST(https_by_a_proxy_goes_through_a_tunnel)
{
    static const struct line tunnel[] = {
        HEARS, SAYS("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Fine\r\n\r\n"),
        HEARS, SAYS(OK_REPLY("2", "ok")), OVER};
    struct scripted s = {
        .talks = {tunnel},
        .opts = {.proxy = "http://me:word@proxy:3128", .secure = secure}};
    int rc;
    WITH_SCRIPTED(s, rc)
    CHECK_STR(get(s.h, "https://a/x"), "200 ok");
    CHECK_EQ(rc, 0);
    CHECK_STR(s.dialled, "proxy:3128 ");
    CHECK_STR(secured, "a");
    CHECK_STR(s.heard, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n"
                       "Proxy-Authorization: Basic bWU6d29yZA==\r\n\r\n"
                       "GET /x HTTP/1.1\r\nHost: a\r\n"
                       "User-Agent: weft/" WEFT_VERSION "\r\n\r\n");
}

TEST(a_tunnel_that_is_not_given_is_an_error_that_says_why)
{
    static const struct {
        const char *reply;
        int code;
        const char *said;
    } cases[] = {{"HTTP/1.1 407 x\r\nContent-Length: 0\r\n\r\n", -EACCES,
                  "proxy proxy:80 to a:443: 407 Proxy Authentication Required"},
                 {"HTTP/1.1 502 x\r\n\r\n", -ECONNREFUSED, "502 Bad Gateway"},
                 {"HTTP/1.1 200 x\r\n\r\nhello", -EBADMSG, "speaks before"},
                 {"HTTP/1.1 101 x\r\n\r\n", -EBADMSG, "1xx"},
                 {"nonsense\r\n", -EBADMSG, "proxy proxy:80"},
                 {"HTTP/1.1 200", -EPIPE, "it has ended"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct line talk[] = {HEARS, SAYS(cases[i].reply), ENDS, OVER};
        struct scripted s = {.talks = {talk},
                             .opts = {.proxy = "proxy", .secure = secure}};
        weft_resp r;
        int rc;
        WITH_SCRIPTED(s, rc)
        {
            CHECK_EQ(weft_http_get(s.h, "https://a/", &r), cases[i].code);
            check_said(cases[i].code, cases[i].said);
        }
        CHECK_EQ(rc, 0);
    }
}
