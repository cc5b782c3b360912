/* SPDX-License-Identifier: MIT */
/* test_http_client_time.c - each limit of time, and that it says which it
 * was. */
#include "scripted.h"

static const struct line mute[] = {HEARS, IS_MUTE, OVER};

static int never_connect(weft_transport **ret, const char *host, int port,
                         void *user)
{
    (void)ret, (void)host, (void)port, (void)user;
    return weft_sleep(WEFT_FOREVER);
}

/* A GET of http://h/x comes to -ETIMEDOUT after so long. */
static void check_limit(struct scripted *s, weft_time after, const char *said)
{
    weft_http_client_stats stats;
    weft_resp r;
    weft_text body;
    int rc;
    WITH_SCRIPTED(*s, rc)
    {
        weft_time start = weft_now();
        int err = weft_http_get(s->h, "http://h/x", &r);
        if (err == 0) err = weft_resp_body(&r, 0, &body);
        CHECK_EQ(err, -ETIMEDOUT);
        check_said(-ETIMEDOUT, said);
        CHECK_EQ(weft_now() - start, after);
        (void)weft_resp_end(&r);
        weft_http_client_stats_read(s->h, &stats);
        CHECK_EQ(stats.timeouts, 1);
        CHECK_EQ(stats.lent, 0);
        CHECK_EQ(stats.idle, 0);
    }
    CHECK_EQ(rc, 0);
}

TEST(connecting_has_ten_seconds)
{
    struct scripted s = {.talks = {mute}, .opts = {.connect = never_connect}};
    check_limit(&s, WEFT_SEC(10),
                "connection for http://h/x: not made within 10 s");
}

TEST(the_first_byte_has_thirty_seconds)
{
    struct scripted s = {.talks = {mute}};
    check_limit(&s, WEFT_SEC(30),
                "first byte of http://h/x: no answer within 30 s");
}

TEST(the_first_byte_has_what_the_options_say)
{
    struct scripted s = {.talks = {mute},
                         .opts = {.first_byte_timeout = WEFT_MSEC(1500)}};
    check_limit(&s, WEFT_MSEC(1500), "no answer within 1500 ms");
}

TEST(a_head_that_stops_is_cut_by_the_idle_limit)
{
    static const struct line talk[] = {HEARS,        SAYS("HTTP/1.1 2"),
                                       PAUSES(5000), SAYS("00 OK\r\n"),
                                       IS_MUTE,      OVER};
    struct scripted s = {.talks = {talk},
                         .opts = {.idle_timeout = WEFT_SEC(7)}};
    check_limit(&s, WEFT_SEC(12),
                "idle time of http://h/x: no octet within 7 s");
}

TEST(a_body_that_stops_is_cut_by_the_idle_limit)
{
    static const struct line talk[] = {
        HEARS,        SAYS("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
        PAUSES(5000), SAYS("y"),
        IS_MUTE,      OVER};
    struct scripted s = {.talks = {talk},
                         .opts = {.idle_timeout = WEFT_SEC(7)}};
    check_limit(&s, WEFT_SEC(12), "no octet of the body within 7 s");
}

TEST(a_reply_that_dribbles_is_cut_by_the_total)
{
    static struct line talk[80] = {
        HEARS, SAYS("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")};
    for (int i = 2; i < 78; i += 2) {
        talk[i] = (struct line)PAUSES(1000);
        talk[i + 1] = (struct line)SAYS("x");
    }
    struct scripted s = {.talks = {talk},
                         .opts = {.total_timeout = WEFT_SEC(20)}};
    check_limit(&s, WEFT_SEC(20),
                "total time of http://h/x: not done within 20 s");
}

TEST(a_head_that_dribbles_is_cut_by_the_total)
{
    static struct line talk[80] = {HEARS, SAYS("HTTP/1.1 200 OK\r\n")};
    for (int i = 2; i < 78; i += 2) {
        talk[i] = (struct line)PAUSES(1000);
        talk[i + 1] = (struct line)SAYS("X: y\r\n");
    }
    struct scripted s = {.talks = {talk},
                         .opts = {.total_timeout = WEFT_SEC(20)}};
    check_limit(&s, WEFT_SEC(20), "total time of");
}

TEST(retries_are_within_the_total)
{
    static const struct line hangs[] = {HEARS, HANGS, OVER};
    struct scripted s = {
        .talks = {hangs},
        .opts = {.retries = 1000, .total_timeout = WEFT_SEC(60)}};
    weft_resp r;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        weft_time start = weft_now();
        CHECK_EQ(weft_http_get(s.h, "http://h/", &r), -EPIPE);
        CHECK(weft_now() - start <= WEFT_SEC(60));
    }
    CHECK_EQ(rc, 0);
    CHECK(s.conns > 3);
}

TEST(a_peer_that_takes_nothing_is_cut_by_the_idle_limit)
{
    static char body[100000];
    static const struct line talk[] = {HEARS, PAUSES(1000), TAKES_N(1000),
                                       IS_MUTE, OVER};
    struct scripted s = {.talks = {talk},
                         .capacity = 1000,
                         .opts = {.idle_timeout = WEFT_SEC(3)}};
    weft_http_call call = {.method = "PUT",
                           .url = "http://h/",
                           .body = body,
                           .body_len = sizeof body};
    weft_resp r;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_EQ(weft_http_send(s.h, &call, &r), -ETIMEDOUT);
        check_said(-ETIMEDOUT, "no octet was taken within 3 s");
    }
    CHECK_EQ(rc, 0);
}

TEST(a_call_has_limits_of_its_own)
{
    struct scripted s = {.talks = {mute}};
    weft_http_call call = {.url = "http://h/", .total_timeout = WEFT_SEC(2)};
    weft_resp r;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_EQ(weft_http_send(s.h, &call, &r), -ETIMEDOUT);
        check_said(-ETIMEDOUT, "total time of http://h/: not done within 2 s");
        call.total_timeout = -1;
        CHECK_EQ(weft_http_send(s.h, &call, &r), -ETIMEDOUT);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.conns, 1);
}

TEST(the_callers_own_scope_is_no_limit_of_the_clients)
{
    struct scripted s = {.talks = {mute}};
    weft_http_client_stats stats;
    weft_resp r;
    int rc, own = 0, inner = 0;
    WITH_SCRIPTED(s, rc)
    {
        WEFT_FAIL_AFTER(own, WEFT_SEC(1))
            own = inner = weft_http_get(s.h, "http://h/", &r);
        CHECK_EQ(inner, -ECANCELED);
        CHECK_EQ(own, -ETIMEDOUT);
        weft_http_client_stats_read(s.h, &stats);
        CHECK_EQ(stats.timeouts, 0);
        CHECK_EQ(stats.lent, 0);
    }
    CHECK_EQ(rc, 0);
}
