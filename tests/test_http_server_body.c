/* SPDX-License-Identifier: MIT */
/* test_http_server_body.c - the bodies of requests. */
#include <weft/fiber.h>

#include <stdio.h>
#include <stdlib.h>

#include "http_site.h"

#define POST(fields) "POST / HTTP/1.1\r\nHost: h\r\n" fields "\r\n"
#define SIZED(n)     POST("Content-Length: " #n "\r\n")
#define CHUNKS       POST("Transfer-Encoding: chunked\r\n")
#define EXPECT       "Expect: 100-continue\r\n"
#define CONTINUE     "HTTP/1.1 100 Continue\r\n\r\n"

static size_t piece; /* how much the handler reads at a time; 0: all */

static int echo(weft_req *r, void *ctx)
{
    weft_text body;
    char *buf = weft_arena_alloc(&r->arena, 100000);
    size_t len = 0;
    ssize_t n;
    (void)ctx;
    if (piece == 0) {
        int err = weft_req_body(r, 0, &body);
        if (err < 0) return err;
        CHECK_EQ(body.at[body.len], 0);
        return weft_reply(r, 200, NULL, body.at, body.len);
    }
    while ((n = weft_req_read(r, buf + len, piece)) > 0)
        len += (size_t)n;
    CHECK_EQ(r->received, len);
    return n < 0 ? (int)n : weft_reply(r, 200, NULL, buf, len);
}

#define ECHOED(len, text) HEAD_OF("200 OK") LENGTH(len) "\r\n" text

static void check_echoes(const char *in, const char *out)
{
    struct site site = {.opts = {.handler = echo}};
    open_site(&site);
    for (piece = 0; piece <= 4; piece++)
        CHECK_STR(ask(&site, in), out);
    /* At each octet, and at every split. */
    for (size_t at = 0; at <= strlen(in); at++) {
        weft_transport *t = visit(&site);
        for (size_t i = 0; i < (at == 0 ? strlen(in) : 0); i++) {
            say_octets(t, in + i, 1);
            CHECK_EQ(weft_test_settle(), 0);
        }
        say_octets(t, in, at);
        CHECK_EQ(weft_test_settle(), 0);
        if (at > 0) say(t, in + at);
        CHECK_STR(hear(t), out);
        CHECK_EQ(heard_end, -EAGAIN);
        weft_transport_close(t);
    }
    close_site(&site);
}

TEST(a_body_of_a_length_is_read)
{
    check_echoes(SIZED(11) "hello world" GET,
                 ECHOED(11, "hello world") ECHOED(0, ""));
}

TEST(a_body_of_chunks_is_read)
{
    check_echoes(CHUNKS "5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n" GET,
                 ECHOED(11, "hello world") ECHOED(0, ""));
}

TEST(an_empty_body_is_none)
{
    check_echoes(SIZED(0) CHUNKS "0\r\n\r\n" GET,
                 ECHOED(0, "") ECHOED(0, "") ECHOED(0, ""));
}

static int ask_trailers(weft_req *r, void *ctx)
{
    weft_text body;
    (void)ctx;
    CHECK(weft_req_trailer(r, "x-sum").at == NULL);
    int err = weft_req_body(r, 0, &body);
    if (err < 0) return err;
    weft_text sum = weft_req_trailer(r, "x-sum");
    return weft_reply(r, 200, NULL, sum.at, sum.len);
}

TEST(trailers_are_there_when_the_body_was_read)
{
    struct site site = {.opts = {.handler = ask_trailers}};
    open_site(&site);
    CHECK_STR(ask(&site,
                  CHUNKS "1\r\nx\r\n0\r\nX-Sum: 17\r\n\r\n" CHUNKS "0\r\n\r\n"),
              ECHOED(2, "17") ECHOED(0, ""));
    close_site(&site);
}

static int peek(weft_req *r, void *ctx)
{
    const char *data;
    (void)ctx;
    CHECK_EQ(weft_req_peek(r, &data), 5);
    CHECK_EQ(memcmp(data, "hello", 5), 0);
    CHECK_EQ(weft_req_peek(r, &data), 5);
    weft_req_consume(r, 2);
    CHECK_EQ(r->received, 2);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_req_peek(r, &data), 3);
    CHECK_EQ(memcmp(data, "llo", 3), 0);
    weft_req_consume(r, 100);
    CHECK_EQ(r->received, 5);
    CHECK_EQ(weft_req_peek(r, &data), 0);
    weft_req_consume(r, 1);
    CHECK_EQ(weft_req_peek(r, &data), 0);
    return weft_reply(r, 200, NULL, NULL, 0);
}

TEST(a_body_can_be_looked_at_and_consumed_in_part)
{
    struct site site = {.opts = {.handler = peek}};
    open_site(&site);
    CHECK_STR(ask(&site, SIZED(5) "hello" CHUNKS "5\r\nhello\r\n0\r\n\r\n"),
              ECHOED(0, "") ECHOED(0, ""));
    close_site(&site);
}

static bool in_chunks;

static int echo_as_it_comes(weft_req *r, void *ctx)
{
    const char *data;
    ssize_t n;
    int err = weft_reply_begin(r, 200, NULL,
                               in_chunks ? WEFT_HTTP_UNKNOWN : r->head.length);
    (void)ctx;
    while (err == 0 && (n = weft_req_peek(r, &data)) != 0) {
        if (n < 0) return (int)n;
        err = weft_reply_write(r, data, (size_t)n);
        weft_req_consume(r, (size_t)n);
    }
    return err;
}

enum { MUCH = 150000 };

static char much[MUCH];

/* The body of a reply in chunks, put together in its place. */
static size_t unchunk(char *to)
{
    char *at = to;
    size_t seen = 0, n;
    while ((n = strtoul(at, &at, 16)) > 0) {
        memmove(to + seen, at + 2, n);
        seen += n;
        at += 2 + n + 2;
    }
    return seen;
}

/* Somebody else needs all of the scratch. */
static void take_scratch(struct site *site)
{
    static char other[60000];
    weft_transport *t = visit(site);
    memset(other, 'z', sizeof other);
    say(t, POST("Content-Length: 60000\r\n"));
    say_octets(t, other, sizeof other);
    CHECK_EQ(weft_test_settle(), 0);
    weft_transport_close(t);
    CHECK_EQ(weft_test_settle(), 0);
}

static void check_echo_of_much(void)
{
    struct site site = {.opts = {.handler = echo_as_it_comes},
                        .capacity = 100000};
    char head[100];
    open_site(&site);
    weft_transport *t = visit(&site);
    for (size_t i = 0; i < MUCH; i++)
        much[i] = (char)('a' + i % 23);
    (void)snprintf(head, sizeof head, POST("Content-Length: %d\r\n"), MUCH);
    say(t, head);
    for (size_t written = 0; written < MUCH; written += 50000) {
        say_octets(t, much + written, 50000);
        CHECK_EQ(weft_test_settle(), 0);
        take_scratch(&site);
    }
    (void)hear(t);
    char *body = strstr(heard, "\r\n\r\n") + 4;
    CHECK_EQ(in_chunks ? unchunk(body) : strlen(body), MUCH);
    CHECK_EQ(memcmp(body, much, MUCH), 0);
    weft_transport_close(t);
    close_site(&site);
}

TEST(what_was_shown_can_be_written_even_when_that_has_to_wait)
{
    in_chunks = false;
    check_echo_of_much();
}

TEST(what_was_shown_can_be_written_in_chunks_even_when_that_has_to_wait)
{
    in_chunks = true;
    check_echo_of_much();
}

/* ---- what is not read --------------------------------------------------- */

static int ignore(weft_req *r, void *ctx)
{
    (void)ctx;
    return weft_reply(r, 200, NULL, NULL, 0);
}

TEST(a_small_body_that_nobody_read_is_passed_over)
{
    struct site site = {.opts = {.handler = ignore}};
    open_site(&site);
    CHECK_STR(ask(&site, SIZED(5) "hello" CHUNKS "5\r\nhello\r\n0\r\n\r\n" GET),
              ECHOED(0, "") ECHOED(0, "") ECHOED(0, ""));
    close_site(&site);
}

TEST(a_large_body_that_nobody_read_closes_the_connection)
{
    struct site site = {.opts = {.handler = ignore}};
    open_site(&site);
    CHECK_STR(ask(&site, SIZED(65537) "hello"),
              HEAD_OF("200 OK") LENGTH(0) CLOSE "\r\n");
    close_site(&site);
}

TEST(chunks_that_nobody_read_are_passed_over_up_to_64_kib)
{
    struct site site = {.opts = {.handler = ignore}};
    char *large = calloc(1, 80000);
    CHECK(large != NULL);
    open_site(&site);
    (void)sprintf(large, CHUNKS "11170\r\n%070000d\r\n0\r\n\r\n" GET, 0);
    CHECK_STR(ask(&site, large), ECHOED(0, ""));
    CHECK_EQ(heard_end, 0);
    close_site(&site);
    free(large);
}

TEST(a_malformed_body_that_nobody_read_closes_the_connection)
{
    struct site site = {.opts = {.handler = ignore}};
    open_site(&site);
    CHECK_STR(ask(&site, CHUNKS "zz\r\n" GET), ECHOED(0, ""));
    close_site(&site);
}

/* ---- 100-continue ------------------------------------------------------- */

TEST(a_client_that_waits_is_told_to_go_on_when_its_body_is_read)
{
    struct site site = {.opts = {.handler = echo}};
    open_site(&site);
    piece = 3;
    weft_transport *t = visit(&site);
    say(t, POST("Content-Length: 5\r\n" EXPECT));
    CHECK_STR(hear(t), CONTINUE);
    say(t, "hello");
    CHECK_STR(hear(t), ECHOED(5, "hello"));
    say(t, GET);
    CHECK_STR(hear(t), ECHOED(0, ""));
    weft_transport_close(t);
    close_site(&site);
}

TEST(a_client_that_waits_is_refused_without_being_told_to_go_on)
{
    struct site site = {.opts = {.handler = ignore}};
    open_site(&site);
    weft_transport *t = visit(&site);
    say(t, POST("Content-Length: 5\r\n" EXPECT));
    CHECK_STR(hear(t), HEAD_OF("200 OK") LENGTH(0) CLOSE "\r\n");
    weft_transport_close(t);
    close_site(&site);
}

TEST(an_expectation_without_a_body_changes_nothing)
{
    struct site site = {.opts = {.handler = ignore}};
    open_site(&site);
    CHECK_STR(ask(&site, POST("Content-Length: 0\r\n" EXPECT) GET),
              ECHOED(0, "") ECHOED(0, ""));
    CHECK_STR(ask(&site, "POST / HTTP/1.0\r\nContent-Length: 5\r\n" EXPECT
                         "\r\nhello"),
              HEAD_OF("200 OK") LENGTH(0) CLOSE "\r\n");
    close_site(&site);
}

/* ---- what is refused ---------------------------------------------------- */

#define REFUSED(status, len, text)                                             \
    HEAD_OF(status) TEXT LENGTH(len) CLOSE "\r\n" status "\n" text "\n"

TEST(a_body_that_is_too_large_by_its_length_is_refused_unread)
{
    struct site site = {.opts = {.handler = echo, .max_body = 10}};
    open_site(&site);
    for (piece = 0; piece <= 1; piece++) {
        CHECK_STR(ask(&site, SIZED(10) "0123456789"), ECHOED(10, "0123456789"));
        weft_transport *t = visit(&site);
        say(t, POST("Content-Length: 11\r\n" EXPECT));
        CHECK_STR(hear(t), REFUSED("413 Content Too Large", 57,
                                   "the body is larger than is allowed"));
        weft_transport_close(t);
    }
    close_site(&site);
    CHECK_EQ(site.stats.refused, 2);
}

TEST(a_body_that_grows_too_large_is_refused)
{
    struct site site = {.opts = {.handler = echo, .max_body = 10}};
    open_site(&site);
    for (piece = 0; piece <= 4; piece++)
        CHECK_STR(ask(&site, CHUNKS "6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"),
                  REFUSED("413 Content Too Large", 57,
                          "the body is larger than is allowed"));
    close_site(&site);
}

static int limit_itself(weft_req *r, void *ctx)
{
    weft_text body;
    char octet;
    (void)ctx;
    if (weft_text_is(r->head.path, "/more")) weft_req_set_max_body(r, 20);
    if (weft_text_is(r->head.path, "/less")) weft_req_set_max_body(r, 2);
    if (weft_text_is(r->head.path, "/none")) weft_req_set_max_body(r, 0);
    if (weft_text_is(r->head.path, "/body")) {
        CHECK_EQ(weft_req_body(r, 3, &body), -EMSGSIZE);
        CHECK_EQ(weft_req_read(r, &octet, 1), -EMSGSIZE);
        return -EMSGSIZE;
    }
    int err = weft_req_body(r, 0, &body);
    return err < 0 ? err : weft_reply(r, 200, NULL, body.at, body.len);
}

TEST(a_handler_sets_what_a_body_may_have)
{
    struct site site = {.opts = {.handler = limit_itself, .max_body = 10}};
    static const char *const refused[] = {"/", "/less", "/none", "/body"};
    open_site(&site);
    CHECK_STR(ask(&site, "POST /more HTTP/1.1\r\nHost: h\r\n" LENGTH(
                             11) "\r\nhello world"),
              ECHOED(11, "hello world"));
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char text[200];
        (void)snprintf(text, sizeof text,
                       "POST %s HTTP/1.1\r\nHost: h\r\n" LENGTH(11) "\r\n",
                       refused[i]);
        CHECK(strstr(ask(&site, text), "HTTP/1.1 413 ") == heard);
    }
    close_site(&site);
}

TEST(malformed_chunks_are_refused)
{
    struct site site = {.opts = {.handler = echo}};
    static const char *const bad[] = {
        CHUNKS "zz\r\n", CHUNKS "5\nhello\r\n0\r\n\r\n",
        CHUNKS "5\r\nhelloX\r\n", CHUNKS "0\r\nHost: h\r\n\r\n",
        CHUNKS "0\r\na b\r\n\r\n"};
    open_site(&site);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[300];
        (void)snprintf(text, sizeof text, "%s%s", bad[i], GET);
        CHECK(strstr(ask(&site, text), "HTTP/1.1 400 ") == heard);
        CHECK(strstr(heard + 1, "HTTP/1.1") == NULL);
    }
    close_site(&site);
}

TEST(a_body_that_ends_early_is_refused)
{
    struct site site = {.opts = {.handler = echo}};
    open_site(&site);
    for (piece = 0; piece <= 1; piece++) {
        CHECK_STR(
            ask(&site, SIZED(6) "hello"),
            REFUSED("400 Bad Request", 49, "the request ends within its body"));
        CHECK(strstr(ask(&site, CHUNKS "5\r\nhel"), "HTTP/1.1 400 ") == heard);
        CHECK(strstr(ask(&site, CHUNKS "5\r\nhello\r\n0\r\na"),
                     "HTTP/1.1 400 ") == heard);
    }
    close_site(&site);
    CHECK_EQ(site.stats.failed, 0);
}

static int see_for_itself(weft_req *r, void *ctx)
{
    weft_text body;
    (void)ctx;
    CHECK_EQ(weft_req_body(r, 0, &body), -EBADMSG);
    CHECK_EQ(weft_req_body(r, 0, &body), -EBADMSG);
    return weft_reply_text(r, 422, "no\n");
}

TEST(a_handler_may_answer_a_malformed_body_itself)
{
    struct site site = {.opts = {.handler = see_for_itself}};
    open_site(&site);
    CHECK_STR(ask(&site, CHUNKS "zz\r\n" GET),
              HEAD_OF("422 Unprocessable Content") TEXT LENGTH(3) CLOSE
              "\r\nno\n");
    close_site(&site);
}
