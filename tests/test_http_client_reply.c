/* SPDX-License-Identifier: MIT */
/* test_http_client_reply.c - replies of every framing, whole and broken. */
#include "scripted.h"

struct reply {
    const char *text, *out, *said;
    const char *method; /* NULL: GET */
    bool kept;
};

#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static const struct reply replies[] = {
    {OK_REPLY("5", "hello"), "200 hello", NULL, NULL, true},
    {OK_REPLY("0", ""), "200 ", NULL, NULL, true},
    {"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", "200 ok", NULL, NULL,
     true},
    {"HTTP/1.1 204 No\r\n\r\n", "204 ", NULL, NULL, true},
    {"HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", "304 ", NULL, NULL, true},
    {OK_REPLY("5", ""), "200 ", NULL, "HEAD", true},
    {CHUNKED "3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\n\r\n", "200 hello", NULL, NULL,
     true},
    {CHUNKED "5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n", "200 hello", NULL, NULL,
     true},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: "
     "x\r\n\r\n" OK_REPLY("2", "ok"),
     "200 ok", NULL, NULL, true},
    {"HTTP/1.1 200 OK\r\n\r\nto the end", "200 to the end", NULL, NULL, false},

    {OK_REPLY("9", "hello"), "Broken pipe", "ended within it", NULL, false},
    {CHUNKED "5\r\nhel", "Broken pipe", "ended within it", NULL, false},
    {CHUNKED "5\r\nhello\r\n0\r\n", "Broken pipe", "ended within it", NULL,
     false},
    {"HTTP/1.1 200 OK\r\nContent-Le", "Broken pipe", "within its head", NULL,
     false},
    {"", "Broken pipe", "without one", NULL, false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
     "Bad message", "Content-Length", NULL, false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: "
     "chunked\r\n\r\n"
     "0\r\n\r\n",
     "Bad message", "Content-Length", NULL, false},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "Bad message",
     "reply of", NULL, false},
    {"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "Bad message", "reply of",
     NULL, false},
    {"ICY 200 OK\r\n\r\n", "Bad message", "reply of", NULL, false},
    {CHUNKED "5 \r\nhello\r\n0\r\n\r\n", "Bad message", "body of", NULL, false},
    {CHUNKED "5\r\nhelloX0\r\n\r\n", "Bad message", "body of", NULL, false},
    {CHUNKED "1\r\nx\r\n0\r\nContent-Length: 3\r\n\r\n", "Bad message",
     "body of", NULL, false},
    {"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
     "Bad message", "101", NULL, false}};

static const struct line good[] = {HEARS, SAYS(OK_REPLY("4", "good")), OVER};

static void check_reply(const struct reply *r, const struct line *talk,
                        size_t capacity)
{
    struct scripted s = {.talks = {talk, good}, .capacity = capacity};
    weft_http_call call = {.method = r->method, .url = "http://h/"};
    weft_resp resp;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        int err = weft_http_send(s.h, &call, &resp);
        CHECK_STR(outcome(err, &resp), r->out);
        if (r->said) check_said(weft_last_error()->code, r->said);
        CHECK_STR(get(s.h, "http://h/"), "200 good");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.conns, r->kept ? 1 : 2);
}

TEST(each_reply_is_read_as_it_should_and_the_next_is_in_step)
{
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        const struct line keeps[] = {HEARS, SAYS(replies[i].text), HEARS,
                                     SAYS(OK_REPLY("4", "good")), OVER};
        const struct line ends[] = {HEARS, SAYS(replies[i].text), ENDS, OVER};
        check_reply(&replies[i], replies[i].kept ? keeps : ends, 0);
    }
}

TEST(octet_by_octet_they_are_the_same)
{
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        const struct line keeps[] = {HEARS, SAYS(replies[i].text), HEARS,
                                     SAYS(OK_REPLY("4", "good")), OVER};
        const struct line ends[] = {HEARS, SAYS(replies[i].text), ENDS, OVER};
        check_reply(&replies[i], replies[i].kept ? keeps : ends, 1);
    }
}

TEST(split_anywhere_they_are_the_same)
{
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        const char *text = replies[i].text;
        for (size_t cut = 1; cut < strlen(text); cut++) {
            const struct line keeps[] = {
                HEARS, {SAY, text, (int64_t)cut},   PAUSES(1), SAYS(text + cut),
                HEARS, SAYS(OK_REPLY("4", "good")), OVER};
            const struct line ends[] = {HEARS,     {SAY, text, (int64_t)cut},
                                        PAUSES(1), SAYS(text + cut),
                                        ENDS,      OVER};
            check_reply(&replies[i], replies[i].kept ? keeps : ends, 0);
        }
    }
}

TEST(trailers_are_there_once_the_body_has_been_read)
{
    static const struct line talk[] = {
        HEARS, SAYS(CHUNKED "5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n"), OVER};
    struct scripted s = {.talks = {talk}};
    weft_resp r;
    weft_text body;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_EQ(weft_http_get(s.h, "http://h/", &r), 0);
        CHECK(weft_resp_trailer(&r, "x-sum").at == NULL);
        CHECK_EQ(weft_resp_body(&r, 0, &body), 0);
        CHECK(weft_text_is(weft_resp_trailer(&r, "x-sum"), "7"));
        CHECK_EQ(r.received, 5);
        CHECK_EQ(weft_resp_end(&r), 0);
        CHECK(weft_resp_trailer(&r, "x-sum").at == NULL);
    }
    CHECK_EQ(rc, 0);
}

TEST(interim_replies_are_bounded)
{
    enum { EACH = 25 };
    static char many[(WEFT_HTTP_INTERIMS + 1) * EACH + 1];
    for (int i = 0; i <= WEFT_HTTP_INTERIMS; i++)
        strcat(many, "HTTP/1.1 100 Continue\r\n\r\n");
    const struct line talk[] = {HEARS, SAYS(many), OVER};
    struct scripted s = {.talks = {talk}};
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_STR(get(s.h, "http://h/"), "Bad message");
        check_said(-EBADMSG, "one 1xx after the other");
    }
    CHECK_EQ(rc, 0);
}

TEST(a_head_beyond_the_limits_is_refused)
{
    static char large[20000];
    memset(large, 'x', sizeof large - 1);
    const struct line talk[] = {HEARS, SAYS("HTTP/1.1 200 OK\r\nX: "),
                                SAYS(large), SAYS("\r\n\r\n"), OVER};
    static const struct line many[] = {
        HEARS, SAYS("HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n"), OVER};
    struct scripted s = {.talks = {talk, many},
                         .opts = {.limits = {.head = 8192, .fields = 2}}};
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_STR(get(s.h, "http://h/"), "Bad message");
        CHECK_STR(get(s.h, "http://h/"), "Bad message");
    }
    CHECK_EQ(rc, 0);
    struct scripted t = {.talks = {talk}}; /* within them it is fine */
    weft_resp r;
    WITH_SCRIPTED(t, rc)
    {
        weft_http_call call = {.method = "HEAD", .url = "http://h/"};
        CHECK_EQ(weft_http_send(t.h, &call, &r), 0);
        CHECK_EQ(weft_resp_field(&r, "x").len, sizeof large - 1);
        CHECK_EQ(weft_resp_end(&r), 0);
    }
    CHECK_EQ(rc, 0);
}

/* ---- reading ------------------------------------------------------------ */

static const struct line long_reply[] = {
    HEARS,     SAYS("HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n0123456789"),
    PAUSES(1), SAYS("abcdefghij0123456789ABCDEFGHIJ"),
    HEARS,     SAYS(OK_REPLY("4", "good")),
    OVER};

TEST(a_body_is_read_in_pieces_of_any_size)
{
    for (size_t step = 1; step < 45; step++) {
        struct scripted s = {.talks = {long_reply}};
        char body[64] = "", buf[64];
        weft_resp r;
        ssize_t n;
        int rc;
        WITH_SCRIPTED(s, rc)
        {
            CHECK_EQ(weft_http_get(s.h, "http://h/", &r), 0);
            while ((n = weft_resp_read(&r, buf, step)) > 0)
                append(body, sizeof body, buf, (size_t)n);
            CHECK_EQ(n, 0);
            CHECK_STR(body, "0123456789abcdefghij0123456789ABCDEFGHIJ");
            CHECK_EQ(r.received, 40);
            CHECK_STR(get(s.h, "http://h/"), "200 good");
            CHECK_EQ(weft_resp_end(&r), 0);
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(s.conns, 1);
    }
}

TEST(a_large_read_goes_straight_and_no_further_than_the_body)
{
    static char buf[8192];
    struct scripted s = {.talks = {long_reply}};
    weft_resp r;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_EQ(weft_http_get(s.h, "http://h/", &r), 0);
        CHECK_EQ(weft_resp_read(&r, buf, sizeof buf), 10);
        CHECK_EQ(weft_resp_read(&r, buf, sizeof buf), 30);
        CHECK_EQ(weft_resp_read(&r, buf, sizeof buf), 0);
        CHECK_EQ(weft_resp_end(&r), 0);
        CHECK_STR(get(s.h, "http://h/"), "200 good");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.conns, 1);
}

TEST(a_body_is_shown_and_taken_without_being_copied)
{
    struct scripted s = {.talks = {long_reply}};
    const char *data;
    weft_resp r;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_EQ(weft_http_get(s.h, "http://h/", &r), 0);
        CHECK_EQ(weft_resp_peek(&r, &data), 10);
        CHECK_EQ(weft_resp_peek(&r, &data), 10);
        weft_resp_consume(&r, 4);
        CHECK_EQ(weft_resp_peek(&r, &data), 6);
        CHECK_EQ(memcmp(data, "456789", 6), 0);
        weft_resp_consume(&r, 6);
        CHECK_EQ(weft_resp_peek(&r, &data), 30);
        weft_resp_consume(&r, 30);
        CHECK_EQ(weft_resp_peek(&r, &data), 0);
        CHECK_EQ(r.received, 40);
        CHECK_EQ(weft_resp_end(&r), 0);
    }
    CHECK_EQ(rc, 0);
}

TEST(a_body_larger_than_is_wanted_is_refused_and_may_be_wanted_later)
{
    static const struct line chunks[] = {
        HEARS, SAYS(CHUNKED "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"), OVER};
    const struct line *talks[] = {chunks, long_reply};
    for (int i = 0; i < 2; i++) {
        struct scripted s = {.talks = {talks[i]}, .opts = {.max_body = 8}};
        weft_resp r;
        weft_text body;
        int rc;
        WITH_SCRIPTED(s, rc)
        {
            CHECK_EQ(weft_http_get(s.h, "http://h/", &r), 0);
            CHECK_EQ(weft_resp_body(&r, 0, &body), -EMSGSIZE);
            check_said(-EMSGSIZE, "more than 8 octets");
            CHECK_EQ(weft_resp_body(&r, 40, &body), 0);
            CHECK_EQ(body.len, i == 0 ? 10 : 40);
            CHECK_EQ(weft_resp_body(&r, 40, &body), 0); /* the same */
            CHECK_EQ(body.len, i == 0 ? 10 : 40);
            CHECK_EQ(weft_resp_end(&r), 0);
        }
        CHECK_EQ(rc, 0);
    }
}

TEST(a_large_body_grows_to_what_it_is)
{
    enum { PIECE = 1000, PIECES = 300 };
    static char piece[PIECE + 1];
    static struct line talk[PIECES + 4];
    memset(piece, 'p', PIECE);
    talk[0] = (struct line)HEARS;
    talk[1] = (struct line)SAYS("HTTP/1.1 200 OK\r\n\r\n");
    for (int i = 0; i < PIECES; i++)
        talk[2 + i] = (struct line)SAYS(piece);
    talk[2 + PIECES] = (struct line)ENDS;
    struct scripted s = {.talks = {talk}};
    weft_resp r;
    weft_text body;
    int rc;
    WITH_SCRIPTED(s, rc)
    {
        CHECK_EQ(weft_http_get(s.h, "http://h/", &r), 0);
        CHECK_EQ(weft_resp_body(&r, 0, &body), 0);
        CHECK_EQ(body.len, PIECE * PIECES);
        for (size_t i = 0; i < body.len; i++)
            CHECK_EQ(body.at[i], 'p');
        CHECK_EQ(body.at[body.len], 0);
        CHECK_EQ(weft_resp_end(&r), 0);
    }
    CHECK_EQ(rc, 0);
}
