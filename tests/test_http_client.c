/* SPDX-License-Identifier: MIT */
/* test_http_client.c - asking, and what is answered. */
#include "scripted.h"

static const struct line hello_twice[] = {HEARS, SAYS(OK_REPLY("5", "hello")),
                                          HEARS, SAYS(OK_REPLY("3", "you")),
                                          OVER};

TEST(a_get_asks_for_what_the_url_says)
{
    struct scripted s = {.talks = {hello_twice}};
    int rc;
    WITH_SCRIPTED(s, rc)
    CHECK_STR(get(s.h, "http://Example.org/a/b?c=d#e"), "200 hello");
    CHECK_EQ(rc, 0);
    CHECK_STR(s.heard, "GET /a/b?c=d HTTP/1.1\r\n"
                       "Host: Example.org\r\n"
                       "User-Agent: weft/" WEFT_VERSION "\r\n\r\n");
    CHECK_STR(s.dialled, "example.org:80 ");
}

TEST(pattern_90_urls_are_joined_to_the_base_by_rfc_3986)
{
    static const struct {
        const char *base, *url, *line;
    } cases[] = {{"http://h:8080/v1", "users", "GET /users HTTP"},
                 {"http://h:8080/v1/", "users", "GET /v1/users HTTP"},
                 {"http://h:8080/v1/", "/users", "GET /users HTTP"},
                 {"http://h:8080/v1/x", "../y", "GET /y HTTP"},
                 {"http://h:8080/v1/x", NULL, "GET /v1/x HTTP"},
                 {"http://h:8080/v1/x", "?q", "GET /v1/x?q HTTP"},
                 {"http://h", NULL, "GET / HTTP"},
                 {"http://h?q", NULL, "GET /?q HTTP"},
                 {"http://h/v1", "http://other/z", "GET /z HTTP"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scripted s = {.talks = {hello_twice},
                             .opts = {.base = cases[i].base}};
        weft_resp r;
        int rc;
        WITH_SCRIPTED(s, rc)
        {
            int err = weft_http_get(s.h, cases[i].url, &r);
            CHECK_STR(outcome(err, &r), "200 hello");
        }
        CHECK_EQ(rc, 0);
        CHECK(strncmp(s.heard, cases[i].line, strlen(cases[i].line)) == 0);
    }
}

TEST(pattern_92_default_headers_are_merged_and_a_call_has_the_last_word)
{
    static const weft_http_header defaults[] = {{"Authorization", "Bearer x"},
                                                {"Accept", "text/plain"},
                                                {"X-Both", "default"},
                                                {NULL, NULL}};
    static const weft_http_header own[] = {{"accept", "text/html"},
                                           {"X-Both", NULL},
                                           {"User-Agent", "me"},
                                           {NULL, NULL}};
    struct scripted s = {.talks = {hello_twice}, .opts = {.headers = defaults}};
    weft_resp r;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        weft_http_call call = {.url = "http://h/", .headers = own};
        int err = weft_http_send(s.h, &call, &r);
        CHECK_STR(outcome(err, &r), "200 hello");
        CHECK_STR(get(s.h, "http://h/2"), "200 you");
    }
    CHECK_EQ(rc, 0);
    CHECK_STR(s.heard, "GET / HTTP/1.1\r\nHost: h\r\n"
                       "Authorization: Bearer x\r\n"
                       "accept: text/html\r\nUser-Agent: me\r\n\r\n"
                       "GET /2 HTTP/1.1\r\nHost: h\r\n"
                       "User-Agent: weft/" WEFT_VERSION "\r\n"
                       "Authorization: Bearer x\r\nAccept: text/plain\r\n"
                       "X-Both: default\r\n\r\n");
}

TEST(pattern_93_json_is_posted_and_read_as_octets_with_a_type)
{
    static const struct line talk[] = {
        HEARS, TAKES("{\"a\":1}"),
        SAYS("HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
             "Content-Length: 8\r\n\r\n{\"id\":7}"),
        OVER};
    struct scripted s = {.talks = {talk}};
    weft_resp r;
    weft_text body;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_EQ(weft_http_post(s.h, "http://h/", "application/json",
                                "{\"a\":1}", 7, &r),
                 0);
        CHECK_EQ(r.status, 201);
        CHECK(weft_text_is(weft_resp_field(&r, "content-type"),
                           "application/json"));
        CHECK_EQ(weft_resp_body(&r, 0, &body), 0);
        CHECK_STR(body.at, "{\"id\":7}");
        CHECK_EQ(weft_resp_end(&r), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_STR(s.heard, "POST / HTTP/1.1\r\nHost: h\r\n"
                       "User-Agent: weft/" WEFT_VERSION "\r\n"
                       "Content-Type: application/json\r\n"
                       "Content-Length: 7\r\n\r\n{\"a\":1}");
}

TEST(pattern_94_a_status_of_failure_is_an_error_only_when_it_is_checked)
{
    static const struct line talk[] = {
        HEARS, SAYS("HTTP/1.1 404 Gone Fishing\r\nContent-Length: 2\r\n\r\nno"),
        HEARS, SAYS("HTTP/1.1 399 Odd\r\nContent-Length: 0\r\n\r\n"), OVER};
    struct scripted s = {.talks = {talk}};
    weft_resp r;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_EQ(weft_http_get(s.h, "http://h/x", &r), 0);
        CHECK_EQ(weft_http_check(&r), -WEFT_EREMOTEIO);
        check_said(-WEFT_EREMOTEIO, "404 Not Found from http://h/x");
        CHECK_EQ(r.status, 404);
        CHECK_STR(outcome(0, &r), "404 no");
        CHECK_EQ(weft_http_get(s.h, "http://h/y", &r), 0);
        CHECK_EQ(weft_http_check(&r), 0);
        CHECK_EQ(weft_resp_end(&r), 0);
    }
    CHECK_EQ(rc, 0);
}

TEST(pattern_95_a_reply_that_is_not_ended_is_named_when_the_client_ends)
{
    static const struct line talk[] = {
        HEARS, SAYS("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhe"), OVER};
    struct scripted s = {.talks = {talk}};
    weft_http_client_stats stats;
    weft_resp r;
    char buf[8];
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_EQ(weft_http_get(s.h, "http://h/leak", &r), 0);
        weft_http_client_stats_read(s.h, &stats);
        CHECK_EQ(stats.lent, 1);
        CHECK_EQ(weft_http_free(s.h), -EBUSY);
        check_said(-EBUSY, "1 not ended, the first GET http://h/leak");
        CHECK(strstr(weft_last_error()->file, "test_http_client.c") != NULL);
        s.h = NULL;
        CHECK_EQ(weft_resp_read(&r, buf, sizeof buf), 2); /* were there */
        CHECK_EQ(weft_resp_read(&r, buf, sizeof buf), -EBADF);
        CHECK_EQ(weft_resp_end(&r), -EBADF);
        CHECK_EQ(weft_resp_end(&r), 0);
    }
    CHECK_EQ(rc, 0);
}

TEST(pattern_95_a_small_rest_is_drained_and_the_connection_kept)
{
    struct scripted s = {.talks = {hello_twice}};
    weft_resp r;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_EQ(weft_http_get(s.h, "http://h/", &r), 0);
        CHECK_EQ(weft_resp_end(&r), 0);
        CHECK_STR(get(s.h, "http://h/"), "200 you");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.conns, 1);
}

TEST(pattern_95_a_large_or_slow_rest_costs_the_connection)
{
    static const struct line large[] = {
        HEARS, SAYS("HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\nhe"),
        OVER};
    static const struct line slow[] = {
        HEARS, SAYS("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"), OVER};
    struct scripted s = {.talks = {large, slow, hello_twice}};
    weft_resp r;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        weft_time start = weft_now();
        CHECK_EQ(weft_http_get(s.h, "http://h/", &r), 0);
        CHECK_EQ(weft_resp_end(&r), 0);
        CHECK_EQ(weft_now() - start, 0);
        CHECK_EQ(weft_http_get(s.h, "http://h/", &r), 0);
        CHECK_EQ(weft_resp_end(&r), 0);
        CHECK_EQ(weft_now() - start, WEFT_SEC(1));
        CHECK_STR(get(s.h, "http://h/"), "200 hello");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.conns, 3);
}

TEST(pattern_96_one_client_asks_twice_on_one_connection)
{
    struct scripted s = {.talks = {hello_twice}};
    weft_http_client_stats stats;
    weft_resp r;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_EQ(weft_http_get(s.h, "http://h/", &r), 0);
        CHECK(!r.reused);
        CHECK_STR(outcome(0, &r), "200 hello");
        CHECK_EQ(weft_http_get(s.h, "http://H:80/", &r), 0);
        CHECK(r.reused);
        CHECK_STR(outcome(0, &r), "200 you");
        weft_http_client_stats_read(s.h, &stats);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.conns, 1);
    CHECK_EQ(stats.dialled, 1);
    CHECK_EQ(stats.reused, 1);
    CHECK_EQ(stats.requests, 2);
    CHECK_EQ(stats.idle, 1);
    CHECK_EQ(stats.lent, 0);
}
