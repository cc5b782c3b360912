/* SPDX-License-Identifier: MIT */
/* test_http_server_ends.c - how replies and connections end when something
 * comes in between: a limit, a stop, a failure, a peer that does not read. */
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/file.h>
#include <weft/http_route.h>
#include <weft/net.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "http_site.h"
#include "unhandled.h"

#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define POST_OF(fields, body)                                                  \
    "POST / HTTP/1.1\r\nHost: h\r\n" fields "\r\n" body

/* ---- pieces ------------------------------------------------------------- */

static weft_fd file;

static void open_file(const char *text)
{
    char path[] = "/tmp/weft_ends_XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(write(fd, text, strlen(text)), (long long)strlen(text));
    CHECK_EQ(weft_fd_adopt(fd, &file), 0);
}

static int mix_a_file_in(weft_req *r, void *ctx)
{
    (void)ctx;
    int err = weft_reply_begin(r, 200, NULL, WEFT_HTTP_UNKNOWN);
    if (err == 0) err = weft_reply_write(r, "<", 1);
    if (err == 0) err = weft_reply_send_file(r, file, 2, 0);
    if (err == 0) err = weft_reply_send_file(r, file, 2, 18);
    if (err == 0) err = weft_reply_write(r, ">", 1);
    return err;
}

TEST(a_file_in_a_reply_of_unknown_length_is_a_chunk)
{
    struct site site = {.opts = {.handler = mix_a_file_in}};
    open_file("0123456789abcdefghijklm");
    open_site(&site);
    CHECK_STR(ask(&site, GET), HEAD_OF("200 OK") CHUNKED
              "\r\n1\r\n<\r\n12\r\n23456789abcdefghij\r\n1\r\n>\r\n0\r\n\r\n");
    CHECK_STR(ask(&site, "GET / HTTP/1.0\r\n\r\n"),
              HEAD_OF("200 OK") CLOSE "\r\n<23456789abcdefghij>");
    close_site(&site);
    CHECK_EQ(weft_close(file), 0);
}

TEST(a_file_that_is_shorter_than_its_chunk_cuts_the_reply)
{
    struct site site = {.opts = {.handler = mix_a_file_in}};
    weft_on_unhandled(note_unhandled);
    open_file("0123456789");
    open_site(&site);
    (void)ask(&site, GET GET);
    CHECK(strstr(heard, "0\r\n\r\n") == NULL);
    CHECK(strstr(heard + 1, "HTTP/1.1") == NULL);
    close_site(&site);
    CHECK_EQ(site.stats.cut, 1);
    CHECK_EQ(weft_close(file), 0);
}

/* The last chunk can still be gathered, and the trailer cannot. */
static int end_twice(weft_req *r, void *ctx)
{
    static char much[16384 - 150];
    int err = weft_reply_begin(r, 200, NULL, WEFT_HTTP_UNKNOWN), ended = 0;
    (void)ctx;
    memset(much, 'x', sizeof much);
    if (err == 0) err = weft_reply_write(r, much, sizeof much);
    if (err == 0)
        err = weft_reply_trailer(r, "x",
                                 "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
                                 "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy");
    if (err < 0) return err;
    WEFT_MOVE_ON_AFTER(ended, WEFT_SEC(1))
        ended = weft_reply_end(r);
    return 0; /* which ends it again */
}

TEST(an_end_that_was_interrupted_is_not_sent_twice)
{
    struct site site = {.opts = {.handler = end_twice}, .capacity = 64};
    weft_on_unhandled(note_unhandled);
    open_site(&site);
    weft_transport *t = visit(&site);
    say(t, GET);
    CHECK_EQ(weft_sleep(WEFT_SEC(2)), 0);
    (void)hear_all(t);
    CHECK(strstr(heard, "0\r\n0\r\n") == NULL);
    weft_transport_close(t);
    close_site(&site);
}

/* ---- a body and a reply at once ----------------------------------------- */

static int pass_back(weft_req *r, void *ctx)
{
    const char *data;
    ssize_t n;
    (void)ctx;
    int err = weft_reply_begin(r, 200, NULL, WEFT_HTTP_UNKNOWN);
    if (err < 0) return err;
    while ((n = weft_req_peek(r, &data)) > 0) {
        err = weft_reply_write(r, data, (size_t)n);
        if (err < 0) return err;
        weft_req_consume(r, (size_t)n);
    }
    return (int)n;
}

TEST(a_body_that_breaks_off_under_a_reply_is_no_failure_of_the_handler)
{
    struct site site = {.opts = {.handler = pass_back, .max_body = 6}};
    weft_on_unhandled(note_unhandled);
    open_site(&site);
    (void)ask(&site, POST_OF(CHUNKED, "5\r\nhello\r\n!\r\n"));
    CHECK(strstr(heard, "5\r\nhello\r\n") != NULL);
    CHECK(strstr(heard, "0\r\n\r\n") == NULL);
    (void)ask(&site, POST_OF(CHUNKED, "5\r\nhello\r\n5\r\nworld\r\n"));
    (void)ask(&site, POST_OF(LENGTH(6), "hello"));
    CHECK(strstr(heard, "5\r\nhello\r\n") != NULL);
    CHECK(strstr(heard, "0\r\n\r\n") == NULL);
    close_site(&site);
    CHECK_EQ(unhandled, 0);
    CHECK_EQ(site.stats.failed, 0);
    CHECK_EQ(site.stats.cut, 3);
}

/* ---- replies that were made --------------------------------------------- */

static int apologize(weft_req *r, void *ctx)
{
    int rc = 0;
    (void)ctx;
    CHECK_EQ(weft_sleep(WEFT_SEC(100)), -ECANCELED);
    CHECK_EQ(weft_reply_text(r, 504, "sorry\n"), -ECANCELED);
    WEFT_SHIELD(rc, WEFT_SEC(1))
        rc = weft_reply_text(r, 504, "sorry\n");
    return rc;
}

TEST(a_handler_that_is_out_of_time_can_still_say_so_itself)
{
    struct site site = {
        .opts = {.handler = apologize, .total_timeout = WEFT_SEC(1)}};
    open_site(&site);
    for (int i = 1; i <= 2; i++) {
        weft_transport *t = visit(&site);
        say(t, i == 1 ? GET : GET GET);
        (void)hear_all(t);
        CHECK(strstr(heard, "HTTP/1.1 504 ") == heard);
        CHECK(strstr(heard, CLOSE) != NULL);
        CHECK(strstr(heard, "\r\n\r\nsorry\n") != NULL);
        CHECK(strstr(heard + 1, "HTTP/1.1") == NULL);
        weft_transport_close(t);
    }
    close_site(&site);
    CHECK_EQ(site.stats.timed_out, 2);
    CHECK_EQ(site.stats.replies[5], 2);
    CHECK_EQ(site.stats.requests, 2);
}

static int fail_at_second(weft_req *r, void *ctx)
{
    (void)ctx;
    if (weft_text_is(r->head.path, "/")) return weft_reply(r, 204, NULL, "", 0);
    int err = weft_reply_begin(r, 200, NULL, 10);
    if (err == 0) err = weft_reply_write(r, "hello", 5);
    if (err < 0) return err;
    if (weft_text_is(r->head.path, "/slow")) return weft_sleep(WEFT_SEC(100));
    return weft_fail(-EIO, "half way");
}

TEST(a_reply_that_is_cut_takes_none_of_those_before_it_along)
{
    struct site site = {.opts = {.handler = fail_at_second}};
    weft_on_unhandled(note_unhandled);
    open_site(&site);
    CHECK_STR(ask(&site, GET "GET /fail HTTP/1.1\r\nHost: h\r\n\r\n"),
              HEAD_OF("204 No Content") "\r\n" HEAD_OF("200 OK")
                  LENGTH(10) "\r\nhello");
    CHECK_STR(ask(&site, GET "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n"),
              HEAD_OF("204 No Content") "\r\n" HEAD_OF("200 OK")
                  LENGTH(10) "\r\nhello");
    close_site(&site);
    CHECK_EQ(site.stats.cut, 2);
}

static int reply_8000(weft_req *r, void *ctx)
{
    static char much[8000];
    (void)ctx;
    return weft_reply(r, 200, NULL, memset(much, 'x', sizeof much),
                      sizeof much);
}

TEST(the_last_reply_has_as_long_as_any_other)
{
    struct site site = {.opts = {.handler = reply_8000}, .capacity = 64};
    size_t all = 0;
    char buf[120];
    open_site(&site);
    weft_transport *t = visit(&site);
    say(t, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    for (ssize_t n; (n = weft_transport_read(t, buf, sizeof buf)) > 0;) {
        all += (size_t)n;
        CHECK_EQ(weft_sleep(WEFT_MSEC(50)), 0);
    }
    CHECK_EQ(all, strlen(HEAD_OF("200 OK") LENGTH(8000) CLOSE "\r\n") + 8000);
    weft_transport_close(t);
    close_site(&site);
}

/* ---- an upgrade that fails ---------------------------------------------- */

static int upgrade_in_vain(weft_req *r, void *ctx)
{
    weft_stream *s;
    int rc = 0;
    (void)ctx;
    if (!r->head.upgrades) return weft_reply_text(r, 500, "no\n");
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(10))
        rc = weft_req_upgrade(r, "own", &s);
    CHECK_EQ(r->status, 0);
    CHECK(weft_reply_text(r, 500, "no\n") < 0);
    return -EIO;
}

TEST(nothing_follows_an_upgrade_that_was_interrupted)
{
    struct site site = {.opts = {.handler = upgrade_in_vain}, .capacity = 64};
    open_site(&site);
    weft_transport *t = visit(&site);
    say(t, GET); /* which the reply that is refused would be like */
    (void)hear(t);
    say(t, "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: own\r\n"
           "Connection: upgrade\r\n\r\n");
    CHECK_EQ(weft_sleep(WEFT_SEC(2)), 0);
    (void)hear_all(t);
    CHECK(strstr(heard, "HTTP/1.1 101 ") == heard);
    CHECK(strstr(heard + 1, "HTTP/1.1") == NULL);
    weft_transport_close(t);
    close_site(&site);
}

/* ---- a reply that has to wait ------------------------------------------- */

/* So much is gathered before the third that it fits only when that has gone. */
static int reply_behind_much(weft_req *r, void *ctx)
{
    static char much[8100];
    int rc = 0;
    (void)ctx;
    if (weft_text_is(r->head.path, "/other"))
        return weft_reply_text(r, 404, "nothing");
    if (!weft_text_is(r->head.path, "/last"))
        return weft_reply(r, 200, NULL, much, sizeof much - 300);
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(10))
        rc = weft_reply_interim(r, 102);
    return weft_reply(r, 200, "text/plain", much, 1000);
}

TEST(a_head_that_has_to_wait_is_not_that_of_another_connection)
{
    struct site site = {.opts = {.handler = reply_behind_much},
                        .capacity = 2048};
    open_site(&site);
    weft_transport *t = visit(&site);
    say(t, GET GET "GET /last HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK_EQ(weft_sleep(WEFT_MSEC(20)), 0);
    weft_transport *other = visit(&site);
    say(other, "GET /other HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK_STR(hear(other),
              HEAD_OF("404 Not Found") TEXT LENGTH(7) "\r\nnothing");
    (void)hear(t);
    const char *want =
        HEAD_OF("200 OK") "Content-Type: text/plain\r\n" LENGTH(1000) "\r\n";
    CHECK(heard_len > strlen(want) + 1000);
    CHECK_EQ(strncmp(heard + heard_len - 1000 - strlen(want), want,
                     strlen(want)),
             0);
    weft_transport_close(other);
    weft_transport_close(t);
    close_site(&site);
}

/* The second is decided anew, but that the connection closes was. */
static int reply_again(weft_req *r, void *ctx)
{
    static char much[7900];
    weft_text body;
    int rc = 0;
    (void)ctx;
    if (weft_text_is(r->head.path, "/much"))
        return weft_reply(r, 200, NULL, much, sizeof much);
    if (r->head.verb == WEFT_HTTP_GET) return weft_reply_text(r, 200, "hello");
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(10))
        rc = weft_reply_text(r, 200, "hello");
    CHECK_EQ(r->status, 0);
    rc = weft_req_body(r, 0, &body);
    return rc < 0 ? rc : weft_reply_text(r, 200, "hello");
}

static int say_much(void *t)
{
    static char body[70000];
    say(t, "GET /much HTTP/1.1\r\nHost: h\r\n\r\n"
           "GET /much HTTP/1.1\r\nHost: h\r\n\r\n"
           "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\n");
    say_octets(t, body, sizeof body);
    return 0;
}

TEST(a_reply_that_was_interrupted_still_says_that_the_connection_closes)
{
    int rc;
    struct site site = {.opts = {.handler = reply_again}, .capacity = 1000};
    open_site(&site);
    weft_transport *t = visit(&site);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, say_much, t), 0);
        CHECK_EQ(weft_sleep(WEFT_MSEC(20)), 0);
        (void)ask(&site, GET); /* whose reply is the same but for that */
        (void)hear_all(t);
    }
    CHECK_EQ(rc, 0);
    const char *last = HEAD_OF("200 OK") TEXT LENGTH(5) CLOSE "\r\nhello";
    CHECK(heard_len > strlen(last));
    CHECK_STR(heard + heard_len - strlen(last), last);
    weft_transport_close(t);
    close_site(&site);
}

/* ---- a stop ------------------------------------------------------------- */

static int count_body(weft_req *r, void *ctx)
{
    weft_text body;
    (void)ctx;
    int err = weft_req_body(r, 0, &body);
    if (err < 0) return err;
    return weft_reply_printf(r, 200, NULL, "%zu\n", body.len);
}

static void stop_midway(struct site *site, weft_transport *t, const char *first,
                        const char *then)
{
    say(t, first);
    CHECK_EQ(weft_test_settle(), 0);
    stop_site(site);
    CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
    say(t, then);
    (void)hear_all(t);
    weft_transport_close(t);
}

TEST(a_body_that_is_on_its_way_when_the_server_stops_comes_in)
{
    struct site site = {.opts = {.handler = count_body}};
    open_site(&site);
    stop_midway(&site, visit(&site), POST_OF(LENGTH(10), "hello"), "world");
    CHECK(strstr(heard, "HTTP/1.1 200 OK\r\n") == heard);
    CHECK(strstr(heard, LENGTH(3) CLOSE "\r\n10\n") != NULL);
    close_site(&site);
}

TEST(a_head_that_is_on_its_way_when_the_server_stops_comes_in)
{
    struct site site = {.opts = {.handler = count_body}};
    open_site(&site);
    stop_midway(&site, visit(&site), "GET / HTTP/1.1\r\nHo", "st: h\r\n\r\n");
    CHECK(strstr(heard, "HTTP/1.1 200 OK\r\n") == heard);
    close_site(&site);
}

/* ---- a peer that goes --------------------------------------------------- */

static int serve_fd(struct site *s)
{
    return weft_http_serve(s->server, *(weft_fd *)s->opts.ctx);
}

TEST_REAL(a_peer_that_goes_in_the_middle_of_its_head_is_no_failure)
{
    weft_fd listener, c;
    weft_addr at;
    char address[WEFT_ADDR_TEXT];
    struct site site = {.opts = {.handler = count_body, .ctx = &listener},
                        .run = serve_fd};
    weft_on_unhandled(note_unhandled);
    CHECK_EQ(weft_listen(&listener, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_local_addr(listener, &at), 0);
    CHECK(weft_addr_format(&at, address, sizeof address) != NULL);
    open_site(&site);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(weft_dial(&c, address), 0);
        CHECK_EQ(weft_write_all(c, "GET / HT", 8, NULL), 0);
        CHECK_EQ(weft_close(c), 0);
    }
    while (site.stats.requests < 20)
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    close_site(&site);
    CHECK_EQ(unhandled, 0);
    CHECK_EQ(site.conns.failed, 0);
}

/* ---- a server of one's own ---------------------------------------------- */

static int serve_own(weft_conn *c)
{
    struct site *s = c->arg;
    CHECK_EQ(weft_http_serve_conn(NULL, c), -EINVAL);
    int rc = weft_http_serve_conn(s->server, c);
    CHECK_EQ(weft_http_route(s->server, "GET", "/late", count_body, NULL),
             -EBUSY);
    return rc;
}

static int run_own(struct site *s)
{
    return weft_serve_memory(s->memory, serve_own, s, &s->opts.serve);
}

TEST(a_server_that_serves_single_connections_takes_no_more_routes)
{
    struct site site = {.opts = {.handler = count_body}, .run = run_own};
    open_site(&site);
    CHECK_STR(ask(&site, GET), HEAD_OF("200 OK") LENGTH(2) "\r\n0\n");
    close_site(&site);
}

/* ---- the log ------------------------------------------------------------ */

static int logged[8], logs;

static void log_it(const weft_req *r, int rc, weft_time took, void *user)
{
    (void)r;
    (void)took;
    (void)user;
    logged[logs++ % 8] = rc;
}

static int fail_or_dawdle(weft_req *r, void *ctx)
{
    (void)ctx;
    if (weft_text_is(r->head.path, "/")) return weft_fail(-EIO, "no disk");
    return weft_sleep(WEFT_SEC(100));
}

TEST(the_log_is_told_why_a_request_failed)
{
    struct site site = {
        .opts = {.handler = fail_or_dawdle, .on_request = log_it}};
    weft_on_unhandled(note_unhandled);
    open_site(&site);
    (void)ask(&site, GET "GET /long HTTP/1.1\r\nHost: h\r\n\r\n");
    (void)ask(&site, "GET\r\n");
    close_site(&site);
    CHECK_EQ(logs, 3);
    CHECK_EQ(logged[0], -EIO);
    CHECK_EQ(logged[1], -ETIMEDOUT);
    CHECK_EQ(logged[2], -EBADMSG);
}

/* ---- an empty line ------------------------------------------------------ */

TEST(an_empty_line_behind_the_last_request_is_none)
{
    struct site site = {.opts = {.handler = count_body}};
    open_site(&site);
    CHECK_STR(ask(&site, GET "\r\n"), HEAD_OF("200 OK") LENGTH(2) "\r\n0\n");
    close_site(&site);
    CHECK_EQ(site.stats.requests, 1);
}
