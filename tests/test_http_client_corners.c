/* SPDX-License-Identifier: MIT */
/* test_http_client_corners.c - where two things of a client meet. */
#include <limits.h>

#include "scripted.h"

#define AWAY(rest) "HTTP/1.1 302 Away\r\nLocation: /b\r\n" rest
#define BUSY(rest) "HTTP/1.1 503 Busy\r\n" rest

static const struct line ok[] = {HEARS, SAYS(OK_REPLY("2", "ok")), OVER};

/* ---- a reply that is passed over, and the one that counts --------------- */

TEST(what_the_body_of_a_passed_over_reply_fails_with_is_not_the_last_ones)
{
    static const char *const firsts[] = {
        AWAY("Content-Length: 5\r\n\r\nab"),
        AWAY("Transfer-Encoding: chunked\r\n\r\nx\r\n"),
        BUSY("Content-Length: 5\r\n\r\nab"),
        BUSY("Transfer-Encoding: chunked\r\n\r\nx\r\n")};
    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++) {
        const struct line first[] = {HEARS, SAYS(firsts[i]), ENDS, OVER};
        struct scripted s = {.talks = {first, ok},
                             .opts = {.redirects = 2,
                                      .retries = 2,
                                      .idle_timeout = WEFT_MSEC(500)}};
        int rc;
        WITH_SCRIPTED(s, rc)
        CHECK_STR(get(s.h, "http://h/a"), "200 ok");
        CHECK_EQ(rc, 0);
        CHECK_EQ(s.conns, 2);
    }
}

TEST(a_reply_behind_an_interim_one_with_a_body_is_the_last_of_its_connection)
{
    static const char *const interims[] = {
        "HTTP/1.1 103 Early\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 103 Early\r\nTransfer-Encoding: chunked\r\n\r\n"};
    for (size_t i = 0; i < sizeof interims / sizeof *interims; i++) {
        const struct line odd[] = {HEARS, SAYS(interims[i]),
                                   SAYS(OK_REPLY("3", "odd")), OVER};
        struct scripted s = {.talks = {odd, ok}};
        int rc;
        WITH_SCRIPTED(s, rc)
        {
            CHECK_STR(get(s.h, "http://h/a"), "200 odd");
            CHECK_STR(get(s.h, "http://h/b"), "200 ok");
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(s.conns, 2);
    }
}

/* ---- producers ---------------------------------------------------------- */

struct source {
    int code, asked, rewound;
};

static ssize_t fail_at_once(void *buf, size_t len, void *user)
{
    struct source *s = user;
    (void)buf;
    (void)len;
    s->asked++;
    return s->code;
}

static int begin_again(void *user)
{
    ((struct source *)user)->rewound++;
    return 0;
}

TEST(what_a_producer_fails_with_is_not_taken_for_the_connections_failure)
{
    static const int codes[] = {-EPIPE, -ECONNRESET};
    for (size_t i = 0; i < 2; i++) {
        struct scripted s = {.talks = {ok}};
        struct source source = {.code = codes[i]};
        weft_http_call call = {.method = "PUT",
                               .url = "http://h/",
                               .produce = fail_at_once,
                               .rewind = begin_again,
                               .user = &source};
        weft_http_client_stats stats;
        weft_resp r;
        int rc;
        WITH_SCRIPTED(s, rc)
        {
            CHECK_STR(get(s.h, "http://h/"), "200 ok");
            CHECK_EQ(weft_http_send(s.h, &call, &r), codes[i]);
            weft_http_client_stats_read(s.h, &stats);
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(source.asked, 1);
        CHECK_EQ(source.rewound, 0);
        CHECK_EQ(stats.again, 0);
    }
}

/* ---- options at their ends ---------------------------------------------- */

TEST(the_most_retries_are_not_fewer)
{
    static const struct line busy[] = {
        HEARS, SAYS(BUSY("Content-Length: 0\r\n\r\n")), HANGS, OVER};
    struct scripted s = {.talks = {busy, busy, busy, busy, ok},
                         .opts = {.retries = UINT_MAX, .retry_base = -1}};
    int rc;
    WITH_SCRIPTED(s, rc)
    CHECK_STR(get(s.h, "http://h/"), "200 ok");
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.conns, 5);
}

TEST(limits_beyond_all_memory_are_as_good_as_none)
{
    enum { LONG = 40000 };
    static char big[LONG + 128];
    int at = snprintf(big, sizeof big, "HTTP/1.1 200 OK\r\nX: ");
    memset(big + at, 'x', LONG);
    (void)snprintf(big + at + LONG, sizeof big - (size_t)at - LONG,
                   "\r\nContent-Length: 2\r\n\r\nok");
    const struct line talk[] = {HEARS, SAYS(big), OVER};
    const weft_http_limits limits[] = {{.head = SIZE_MAX, .line = SIZE_MAX},
                                       {.fields = UINT_MAX}};
    for (size_t i = 0; i < 2; i++) {
        struct scripted s = {.talks = {talk}, .opts = {.limits = limits[i]}};
        int rc;
        WITH_SCRIPTED(s, rc)
        CHECK_STR(get(s.h, "http://h/"), "200 ok");
        CHECK_EQ(rc, 0);
    }
}

/* ---- time --------------------------------------------------------------- */

TEST(the_total_time_ends_also_a_body_that_is_always_there)
{
    enum { BODY = 200000 };
    static char big[BODY + 64];
    int at = snprintf(big, sizeof big,
                      "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BODY);
    memset(big + at, 'x', BODY);
    const struct line talk[] = {HEARS, {SAY, big, at + BODY}, OVER};
    for (size_t len = 1000; len <= 5000; len += 4000) { /* both ways to read */
        struct scripted s = {.talks = {talk},
                             .opts = {.total_timeout = WEFT_SEC(5)}};
        char buf[5000];
        weft_resp r;
        int rc;
        ssize_t n = 0;
        WITH_SCRIPTED(s, rc)
        {
            CHECK_EQ(weft_http_get(s.h, "http://h/", &r), 0);
            while ((n = weft_resp_read(&r, buf, len)) > 0)
                CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
            if (n < 0) check_said(-ETIMEDOUT, "total time of");
            (void)weft_resp_end(&r);
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(n, -ETIMEDOUT);
    }
}

TEST(an_answer_that_does_not_follow_the_go_ahead_is_a_missing_first_byte)
{
    static const struct line talk[] = {HEARS,
                                       SAYS("HTTP/1.1 100 Continue\r\n\r\n"),
                                       TAKES("hello"), IS_MUTE, OVER};
    struct scripted s = {.talks = {talk},
                         .opts = {.first_byte_timeout = WEFT_SEC(2),
                                  .idle_timeout = WEFT_SEC(9)}};
    weft_http_call call = {.method = "PUT",
                           .url = "http://h/",
                           .body = "hello",
                           .body_len = 5,
                           .expect_continue = true};
    weft_resp r;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_EQ(weft_http_send(s.h, &call, &r), -ETIMEDOUT);
        check_said(-ETIMEDOUT, "first byte of http://h/: no answer within 2 s");
    }
    CHECK_EQ(rc, 0);
}

/* ---- proxies ------------------------------------------------------------ */

TEST(a_call_that_tells_the_proxy_who_asks_does_so_alone)
{
    static const weft_http_header mine[] = {{"Proxy-Authorization", "mine"},
                                            {NULL, NULL}};
    struct scripted s = {.talks = {ok}, .opts = {.proxy = "http://u:p@x:1"}};
    weft_http_call call = {.url = "http://h/", .headers = mine};
    weft_resp r;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        int err = weft_http_send(s.h, &call, &r);
        CHECK_STR(outcome(err, &r), "200 ok");
    }
    CHECK_EQ(rc, 0);
    CHECK(strstr(s.heard, "Proxy-Authorization: mine") != NULL);
    CHECK(strstr(s.heard, "Proxy-Authorization: Basic") == NULL);
}

/* ---- names ---------------------------------------------------------------- */

TEST(a_reply_that_is_not_ended_is_named_though_the_call_is_gone)
{
    struct scripted s = {.talks = {ok}};
    char method[] = "PATCH";
    weft_http_call call = {.method = method, .url = "http://h/x"};
    weft_resp r;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_EQ(weft_http_send(s.h, &call, &r), 0);
        memset(method, 'X', sizeof method - 1);
        CHECK_EQ(weft_http_free(s.h), -EBUSY);
        check_said(-EBUSY, "PATCH http://h/x");
        (void)weft_resp_end(&r);
        s.h = NULL;
    }
    CHECK_EQ(rc, 0);
}

TEST(the_end_of_a_reply_does_not_hide_what_was_wrong_with_it)
{
    static const struct line cut[] = {
        HEARS, SAYS("HTTP/1.1 404 Gone\r\nContent-Length: 5\r\n\r\nab"), ENDS,
        OVER};
    static const struct line slow[] = {
        HEARS, SAYS("HTTP/1.1 404 Gone\r\nContent-Length: 5\r\n\r\nab"),
        IS_MUTE, OVER};
    struct scripted s = {.talks = {cut, slow},
                         .opts = {.idle_timeout = WEFT_MSEC(100)}};
    weft_http_client_stats stats;
    weft_resp r;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        for (int i = 0; i < 2; i++) {
            CHECK_EQ(weft_http_get(s.h, "http://h/", &r), 0);
            CHECK_EQ(weft_http_check(&r), -WEFT_EREMOTEIO);
            CHECK_EQ(weft_resp_end(&r), 0);
            check_said(-WEFT_EREMOTEIO, "404 Not Found");
        }
        weft_http_client_stats_read(s.h, &stats);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(stats.timeouts, 0);
}

TEST(a_limit_after_a_redirect_with_a_broken_body_still_has_its_sentence)
{
    static const struct line away[] = {
        HEARS, SAYS(AWAY("Content-Length: 5\r\n\r\nab")), ENDS, OVER};
    static const struct line mute[] = {IS_MUTE, OVER};
    struct scripted s = {.talks = {away, mute}, .opts = {.redirects = 1}};
    weft_resp r;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_EQ(weft_http_get(s.h, "http://h/", &r), -ETIMEDOUT);
        check_said(-ETIMEDOUT, "first byte of http://h/b");
    }
    CHECK_EQ(rc, 0);
}

TEST(a_redirect_that_leads_nowhere_is_told_with_who_sent_us)
{
    static const struct {
        const char *place, *says;
    } cases[] = {{"%", "redirect of http://h/from: the Location is no URL"},
                 {"/from", "redirect to http://h/from: in a circle"}};
    for (size_t i = 0; i < 2; i++) {
        char reply[128];
        (void)snprintf(reply, sizeof reply,
                       "HTTP/1.1 302 Away\r\nLocation: %s\r\n"
                       "Content-Length: 0\r\n\r\n",
                       cases[i].place);
        const struct line talk[] = {HEARS, SAYS(reply), OVER};
        struct scripted s = {.talks = {talk}, .opts = {.redirects = 3}};
        weft_resp r;
        int rc, err = 0;
        WITH_SCRIPTED(s, rc)
        {
            err = weft_http_get(s.h, "http://h/from", &r);
            check_said(err, cases[i].says);
        }
        CHECK_EQ(rc, 0);
    }
}

/* ---- hooks -------------------------------------------------------------- */

static void never_close(weft_transport *t)
{
    (void)t;
    test_fail(__FILE__, __LINE__, "what a hook took back is closed");
}

static int dial_and_regret(weft_transport **ret, const char *host, int port,
                           void *user)
{
    static const weft_transport_ops ops = {.close = never_close};
    static weft_transport gone = {&ops};
    (void)host;
    (void)port;
    (void)user;
    *ret = &gone;
    return -EACCES;
}

TEST(what_a_hook_leaves_behind_with_an_error_is_not_looked_at)
{
    struct scripted s = {.talks = {ok}, .opts = {.connect = dial_and_regret}};
    weft_resp r;
    int rc;
    WITH_SCRIPTED(s, rc)
    CHECK_EQ(weft_http_get(s.h, "http://h/", &r), -EACCES);
    CHECK_EQ(rc, 0);
}
