/* SPDX-License-Identifier: MIT */
/* test_http_client_stale.c - kept connections that are not what they were. */
#include "scripted.h"

static const struct line once[] = {HEARS, SAYS(OK_REPLY("3", "one")), OVER};

TEST(a_kept_connection_that_has_ended_meanwhile_is_not_used)
{
    static const struct line ends[] = {HEARS, SAYS(OK_REPLY("3", "one")),
                                       PAUSES(10), HANGS, OVER};
    struct scripted s = {.talks = {ends, once}};
    weft_http_client_stats stats;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_STR(get(s.h, "http://h/"), "200 one");
        CHECK_EQ(weft_sleep(WEFT_MSEC(20)), 0);
        weft_resp r;
        CHECK_EQ(weft_http_post(s.h, "http://h/", NULL, "x", 1, &r), 0);
        CHECK_STR(outcome(0, &r), "200 one");
        weft_http_client_stats_read(s.h, &stats);
        CHECK_EQ(stats.stale, 1);
        CHECK_EQ(stats.again, 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.conns, 2);
}

TEST(octets_behind_a_reply_are_never_taken_for_the_next)
{
    static const struct line at_once[] = {
        HEARS,
        SAYS(OK_REPLY("3", "one") "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
                                  "evil"),
        OVER};
    static const struct line later[] = {
        HEARS, SAYS(OK_REPLY("3", "one")), PAUSES(1),
        SAYS("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"), OVER};
    static const struct line after_chunks[] = {
        HEARS,
        SAYS("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
             "3\r\none\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"),
        OVER};
    static const struct line after_none[] = {
        HEARS, SAYS("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n"),
        OVER};
    static const struct {
        const struct line *talk;
        const char *out;
    } cases[] = {{at_once, "200 one"},
                 {later, "200 one"},
                 {after_chunks, "200 one"},
                 {after_none, "204 "}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scripted s = {.talks = {cases[i].talk, once}};
        int rc;
        WITH_SCRIPTED(s, rc)
        {
            CHECK_STR(get(s.h, "http://h/"), cases[i].out);
            CHECK_EQ(weft_sleep(WEFT_MSEC(2)), 0);
            CHECK_STR(get(s.h, "http://h/"), "200 one");
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(s.conns, 2);
    }
}

/* The first request is answered, the second heard, and then it is over. */
static const struct line crossing[] = {HEARS, SAYS(OK_REPLY("3", "one")), HEARS,
                                       HANGS, OVER};

TEST(an_idempotent_request_that_crossed_the_end_is_sent_once_more)
{
    struct scripted s = {.talks = {crossing, once}};
    weft_http_client_stats stats;
    weft_resp r;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_STR(get(s.h, "http://h/"), "200 one");
        CHECK_EQ(weft_http_get(s.h, "http://h/2", &r), 0);
        CHECK_EQ(r.attempts, 2);
        CHECK(!r.reused);
        CHECK_STR(outcome(0, &r), "200 one");
        weft_http_client_stats_read(s.h, &stats);
        CHECK_EQ(stats.again, 1);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.conns, 2);
}

TEST(it_is_sent_no_third_time)
{
    static const struct line hangs[] = {HEARS, HANGS, OVER};
    struct scripted s = {.talks = {crossing, hangs, once}};
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_STR(get(s.h, "http://h/"), "200 one");
        CHECK_STR(get(s.h, "http://h/"), "Broken pipe");
        check_said(-EPIPE, "the connection ended without one");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.conns, 2);
}

TEST(what_is_not_idempotent_is_not_sent_again_unless_it_is_repeatable)
{
    for (int repeatable = 0; repeatable < 2; repeatable++) {
        struct scripted s = {.talks = {crossing, once}};
        weft_http_call call = {
            .method = "POST", .url = "http://h/", .repeatable = repeatable};
        weft_resp r;
        int rc;
        WITH_SCRIPTED(s, rc)
        {
            CHECK_STR(get(s.h, "http://h/"), "200 one");
            int err = weft_http_send(s.h, &call, &r);
            CHECK_STR(outcome(err, &r), repeatable ? "200 one" : "Broken pipe");
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(s.conns, 1 + repeatable);
    }
}

struct source {
    int at, rewound;
    bool can;
};

static ssize_t give(void *buf, size_t len, void *user)
{
    struct source *s = user;
    CHECK(len >= 2);
    if (s->at++ > 0) return 0;
    memcpy(buf, "xy", 2);
    return 2;
}

static int rewind_it(void *user)
{
    struct source *s = user;
    s->at = 0;
    s->rewound++;
    return 0;
}

TEST(a_body_that_cannot_be_had_again_is_not_sent_again)
{
    static const struct line hears[] = {HEARS, SAYS(OK_REPLY("3", "one")),
                                        HEARS, TAKES("2\r\nxy\r\n0\r\n\r\n"),
                                        HANGS, OVER};
    static const struct line takes[] = {HEARS, TAKES("2\r\nxy\r\n0\r\n\r\n"),
                                        SAYS(OK_REPLY("3", "two")), OVER};
    for (int can = 0; can < 2; can++) {
        struct scripted s = {.talks = {hears, takes}};
        struct source from = {.can = can};
        weft_http_call call = {.method = "PUT",
                               .url = "http://h/",
                               .produce = give,
                               .user = &from,
                               .rewind = can ? rewind_it : NULL};
        weft_resp r;
        int rc;
        WITH_SCRIPTED(s, rc)
        {
            CHECK_STR(get(s.h, "http://h/"), "200 one");
            int err = weft_http_send(s.h, &call, &r);
            CHECK_STR(outcome(err, &r), can ? "200 two" : "Broken pipe");
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(from.rewound, can);
        CHECK_EQ(s.conns, 1 + can);
    }
}

TEST(with_an_octet_of_a_reply_nothing_is_sent_again)
{
    static const struct line talk[] = {
        HEARS, SAYS(OK_REPLY("3", "one")), HEARS, SAYS("H"), HANGS, OVER};
    struct scripted s = {.talks = {talk, once}};
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_STR(get(s.h, "http://h/"), "200 one");
        CHECK_STR(get(s.h, "http://h/"), "Broken pipe");
        check_said(-EPIPE, "within its head");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.conns, 1);
}

TEST(a_reply_that_says_close_is_the_last_of_its_connection)
{
    static const struct line closes[] = {
        HEARS,
        SAYS("HTTP/1.1 200 OK\r\nConnection: close\r\n"
             "Content-Length: 3\r\n\r\none"),
        OVER};
    static const struct line old[] = {
        HEARS, SAYS("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\none"), OVER};
    static const struct line to_the_end[] = {
        HEARS, SAYS("HTTP/1.1 200 OK\r\n\r\none"), ENDS, OVER};
    const struct line *cases[] = {closes, old, to_the_end};
    for (size_t i = 0; i < 3; i++) {
        struct scripted s = {.talks = {cases[i], once}};
        int rc;
        WITH_SCRIPTED(s, rc)
        {
            CHECK_STR(get(s.h, "http://h/"), "200 one");
            CHECK_STR(get(s.h, "http://h/"), "200 one");
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(s.conns, 2);
    }
}
