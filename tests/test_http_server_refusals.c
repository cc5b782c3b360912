/* SPDX-License-Identifier: MIT */
/* test_http_server_refusals.c - what is malformed, too slow, or fails. */
#include <weft/error.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/net.h>
#include <weft/scope.h>

#include <stdio.h>
#include <stdlib.h>

#include "http_site.h"
#include "unhandled.h"

static int hello(weft_req *r, void *ctx)
{
    (void)ctx;
    return weft_reply(r, 200, "text/plain", "hello", 5);
}

static void check_status(struct site *site, const char *text, int status)
{
    char want[40];
    const char *reply = ask(site, text);
    (void)snprintf(want, sizeof want, "HTTP/1.1 %d ", status);
    CHECK(strstr(reply, want) == reply);
    CHECK(strstr(reply, CLOSE) != NULL);
    CHECK(strstr(reply + 1, "HTTP/1.1") == NULL); /* no other one */
    CHECK_EQ(heard_end, 0);
}

TEST(a_malformed_request_gets_the_status_that_it_deserves)
{
    struct site site = {.opts = {.handler = hello}};
    open_site(&site);
    check_status(&site, "GET / HTTP/1.1\r\n\r\n", 400);
    check_status(&site, "GET / HTTP/1.1\nHost: h\r\n\r\n", 400);
    check_status(&site, " GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    check_status(&site, "GET / HTTP/2.0\r\nHost: h\r\n\r\n" GET, 505);
    check_status(&site, "GET / HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n", 417);
    check_status(&site,
                 "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, "
                 "chunked\r\n\r\n",
                 501);
    check_status(&site,
                 "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
                 "chunked\r\nContent-Length: 5\r\n\r\n",
                 400);
    check_status(&site, "GET / HT", 400);
    check_status(&site, "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n" GET, 501);
    close_site(&site);
    CHECK_EQ(site.stats.refused, 9);
}

TEST(a_refusal_comes_behind_the_replies_to_the_requests_before_it)
{
    struct site site = {.opts = {.handler = hello}};
    open_site(&site);
    CHECK(strstr(ask(&site, GET GET "x\r\n" GET),
                 HELLO HELLO "HTTP/1.1 400 Bad Request\r\n") == heard);
    close_site(&site);
}

TEST(what_is_too_long_is_refused)
{
    struct site site = {.opts = {.handler = hello}};
    char *text = calloc(1, 1 << 20);
    CHECK(text != NULL);
    open_site(&site);
    (void)sprintf(text, "GET /%016384d HTTP/1.1\r\nHost: h\r\n\r\n", 0);
    check_status(&site, text, 414);
    (void)sprintf(text, "GET / HTTP/1.1\r\nHost: h\r\nx: %070000d\r\n\r\n", 0);
    check_status(&site, text, 431);
    size_t at = (size_t)sprintf(text, "GET / HTTP/1.1\r\nHost: h\r\n");
    for (int i = 0; i < 101; i++)
        at += (size_t)sprintf(text + at, "x: y\r\n");
    (void)sprintf(text + at, "\r\n");
    check_status(&site, text, 431);
    close_site(&site);
    free(text);
}

static int echo_length(weft_req *r, void *ctx)
{
    (void)ctx;
    size_t len = weft_req_field(r, "x").len;
    CHECK_EQ(weft_yield(), 0);
    if (len > 0) CHECK_EQ(weft_req_field(r, "x").at[len - 1], '0');
    return weft_reply_printf(r, 200, NULL, "%zu", len);
}

TEST(a_head_as_long_as_the_limit_is_fine_in_whatever_pieces)
{
    struct site site = {.opts = {.handler = echo_length}};
    char *text = calloc(1, 1 << 17);
    CHECK(text != NULL);
    open_site(&site);
    for (int len = 1000; len <= 65000; len += 4000) {
        for (size_t step = 500; step <= 64000; step *= 4) {
            weft_transport *t = visit(&site);
            size_t all = (size_t)sprintf(text,
                                         "GET / HTTP/1.1\r\nHost: h\r\n"
                                         "x: %0*d\r\n\r\n" GET,
                                         len, 0);
            for (size_t at = 0; at < all; at += step) {
                say_octets(t, text + at, all - at < step ? all - at : step);
                CHECK_EQ(weft_test_settle(), 0);
            }
            char want[16];
            (void)snprintf(want, sizeof want, "\n%d", len);
            CHECK(strstr(hear(t), want) != NULL);
            weft_transport_close(t);
        }
    }
    close_site(&site);
    free(text);
}

static int echo_target_late(weft_req *r, void *ctx)
{
    (void)ctx;
    CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
    return weft_reply_printf(r, 200, NULL, "%.*s %zu",
                             WEFT_TEXT_ARGS(r->head.target),
                             weft_req_field(r, "x").len);
}

/* The block that a growing head leaves is somebody else's from then on. */
TEST(a_head_that_grows_disturbs_nobody)
{
    struct site site = {.opts = {.handler = echo_target_late}};
    char text[30000], target[1001] = "";
    open_site(&site);
    memset(target, 't', sizeof target - 1);
    for (int bad = 0; bad <= 1; bad++) {
        weft_transport *a = visit(&site), *b = visit(&site);
        say(a, GET "GET /a HTTP/1.1\r\nHost: h\r\nx");
        CHECK_EQ(weft_sleep(WEFT_SEC(2)), 0);
        (void)hear(a);
        (void)snprintf(text, sizeof text, ": %020000d\r\n", 0);
        say(a, text);
        CHECK_EQ(weft_test_settle(), 0);
        (void)snprintf(text, sizeof text,
                       "GET /%s HTTP/1.1\r\nHost: h\r\nx: y\r\n\r\n", target);
        say(b, text);
        CHECK_EQ(weft_test_settle(), 0);
        say(a, bad ? "y : z\r\n\r\n" : "\r\n");
        CHECK_EQ(weft_test_settle(), 0);
        CHECK_EQ(weft_sleep(WEFT_SEC(2)), 0);
        CHECK(strstr(hear(b), target) != NULL);
        CHECK_STR(heard + heard_len - 2, " 1");
        CHECK(strstr(hear(a), bad ? "HTTP/1.1 400" : "/a 20000") != NULL);
        weft_transport_close(a);
        weft_transport_close(b);
    }
    close_site(&site);
}

/* ---- delivered ---------------------------------------------------------- */

static int serve_fd(struct site *s)
{
    return weft_http_serve(s->server, *(weft_fd *)s->opts.ctx);
}

static int read_body(weft_req *r, void *ctx)
{
    weft_text body;
    (void)ctx;
    int err = weft_req_body(r, 0, &body);
    return err < 0 ? err : weft_reply(r, 200, NULL, NULL, 0);
}

/* Sends 2 MiB, whatever comes back, and reads only then. */
static void send_all_and_hear(const char *address, const char *head,
                              const char *status)
{
    enum { ALL = 2097152 };
    char *body = calloc(1, ALL);
    weft_fd c;
    size_t done;
    CHECK(body != NULL);
    CHECK_EQ(weft_dial(&c, address), 0);
    CHECK_EQ(weft_write_all(c, head, strlen(head), NULL), 0);
    CHECK_EQ(weft_write_all(c, body, ALL, &done), 0);
    size_t len = 0;
    ssize_t n;
    while ((n = weft_read(c, heard + len, sizeof heard - 1 - len)) > 0)
        len += (size_t)n;
    CHECK_EQ(n, 0); /* the end, and no reset */
    heard[len] = 0;
    CHECK(strstr(heard, status) == heard);
    CHECK_EQ(weft_close(c), 0);
    free(body);
}

TEST_REAL(a_refusal_is_read_by_a_client_that_still_sends)
{
    weft_fd listener;
    weft_addr at;
    char address[WEFT_ADDR_TEXT];
    struct site site = {.opts = {.handler = read_body, .ctx = &listener},
                        .run = serve_fd};
    CHECK_EQ(weft_listen(&listener, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_local_addr(listener, &at), 0);
    CHECK(weft_addr_format(&at, address, sizeof address) != NULL);
    open_site(&site);
    for (int i = 0; i < 20; i++) {
        send_all_and_hear(address,
                          "POST / HTTP/1.1\r\nHost: h\r\n"
                          "Content-Length: 2097152\r\n\r\n",
                          "HTTP/1.1 413 ");
        send_all_and_hear(address,
                          "POST / HTTP/1.1\r\nHost: h\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n",
                          "HTTP/1.1 400 ");
        send_all_and_hear(address, "POST / HTTP/1.1\r\nHost: h\r\nx: \x01",
                          "HTTP/1.1 400 ");
    }
    close_site(&site);
}

/* ---- too slow ----------------------------------------------------------- */

static weft_time seconds_to_the_end(weft_transport *t)
{
    weft_time begun = weft_now();
    (void)hear_all(t);
    weft_transport_close(t);
    return (weft_now() - begun + WEFT_MSEC(10)) / WEFT_SEC(1);
}

TEST(a_mute_connection_is_closed_in_silence)
{
    struct site site = {.opts = {.handler = hello}};
    open_site(&site);
    weft_transport *t = visit(&site);
    CHECK_EQ(seconds_to_the_end(t), 10);
    CHECK_STR(heard, "");
    t = visit(&site);
    say(t, GET);
    CHECK_EQ(seconds_to_the_end(t), 20);
    CHECK(strstr(heard, "\r\n\r\nhello") != NULL);
    CHECK_EQ(heard_end, 0);
    close_site(&site);
    CHECK_EQ(site.stats.timed_out, 2);
}

static int drip(void *arg)
{
    for (int rc = 0; rc >= 0;) {
        rc = weft_transport_write_all(arg, "x", 1, NULL);
        if (rc == 0) rc = weft_sleep(WEFT_SEC(1));
    }
    return 0;
}

/* Says it, drips octets behind it, and waits for what the server does. */
static weft_time dripping(struct site *site, const char *text)
{
    int rc;
    weft_time took = 0;
    weft_transport *t = visit(site);
    say(t, text);
    WEFT_NURSERY(n, rc) {
        weft_time begun = weft_now();
        CHECK_EQ(weft_spawn(&n, drip, t), 0);
        listen_on(t, 30);
        took = weft_now() - begun;
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    weft_transport_close(t);
    return (took + WEFT_MSEC(10)) / WEFT_SEC(1);
}

TEST(a_slow_head_is_refused_when_its_time_is_over)
{
    struct site site = {.opts = {.handler = hello}};
    open_site(&site);
    CHECK_EQ(dripping(&site, "GET / HTTP/1.1\r\nHost: h\r\nx: "), 10);
    CHECK(strstr(heard, "HTTP/1.1 408 ") == heard);
    close_site(&site);
    CHECK_EQ(site.stats.timed_out, 1);
}

TEST(a_slow_body_is_refused_when_it_is_slower_than_the_rate)
{
    struct site site = {.opts = {.handler = read_body}};
    open_site(&site);
    CHECK_EQ(
        dripping(&site, "POST / HTTP/1.1\r\nHost: h\r\n" LENGTH(9999) "\r\n"),
        10);
    CHECK(strstr(heard, "HTTP/1.1 408 ") == heard);
    close_site(&site);
}

TEST(a_body_that_stops_has_the_same_time_however_much_came_before)
{
    struct site site = {.opts = {.handler = read_body}};
    char *body = calloc(1, 600000);
    CHECK(body != NULL);
    open_site(&site);
    weft_transport *t = visit(&site);
    say(t, "POST / HTTP/1.1\r\nHost: h\r\n" LENGTH(999999) "\r\n");
    say_octets(t, body, 600000);
    weft_time begun = weft_now();
    listen_on(t, 10);
    CHECK(weft_now() - begun >= WEFT_SEC(10));
    CHECK(weft_now() - begun < WEFT_SEC(11));
    CHECK(strstr(heard, "HTTP/1.1 408 ") == heard);
    weft_transport_close(t);
    close_site(&site);
    free(body);
}

TEST(a_body_that_keeps_the_rate_may_take_its_time)
{
    struct site site = {
        .opts = {.handler = read_body, .total_timeout = WEFT_FOREVER}};
    char body[2048] = "";
    open_site(&site);
    weft_transport *t = visit(&site);
    say(t, "POST / HTTP/1.1\r\nHost: h\r\n" LENGTH(204800) "\r\n");
    for (int i = 0; i < 100; i++) {
        say_octets(t, body, sizeof body);
        CHECK_EQ(weft_sleep(WEFT_MSEC(1900)), 0);
    }
    CHECK(strstr(hear(t), "HTTP/1.1 200 ") == heard);
    weft_transport_close(t);
    close_site(&site);
}

static int sleep_long(weft_req *r, void *ctx)
{
    (void)ctx;
    int err = weft_sleep(WEFT_SEC(100));
    return err < 0 ? err : hello(r, ctx);
}

TEST(a_handler_that_takes_too_long_is_stopped_and_503_says_so)
{
    struct site site = {.opts = {.handler = sleep_long}};
    open_site(&site);
    weft_transport *t = visit(&site);
    say(t, GET);
    CHECK_EQ(seconds_to_the_end(t), 60);
    CHECK(strstr(heard, "HTTP/1.1 503 ") == heard);
    close_site(&site);
    CHECK_EQ(site.stats.timed_out, 1);
    CHECK_EQ(site.stats.failed, 0);
}

static int give_itself_time(weft_req *r, void *ctx)
{
    weft_req_set_deadline(r, WEFT_FOREVER);
    return sleep_long(r, ctx);
}

TEST(a_handler_can_take_more_time)
{
    struct site site = {.opts = {.handler = give_itself_time}};
    open_site(&site);
    weft_transport *t = visit(&site);
    say(t, GET);
    listen_on(t, 40);
    CHECK(strstr(heard, "HTTP/1.1 200 ") == heard);
    weft_transport_close(t);
    close_site(&site);
}

static int reply_much(weft_req *r, void *ctx)
{
    static char much[1 << 20];
    (void)ctx;
    return weft_reply(r, 200, NULL, much, sizeof much);
}

static int reply_little(weft_req *r, void *ctx)
{
    (void)ctx;
    return weft_reply_text(r, 200, "hello");
}

static void check_cut_unread(weft_http_fn handler, size_t capacity)
{
    struct site site = {.opts = {.handler = handler}, .capacity = capacity};
    open_site(&site);
    weft_transport *t = visit(&site);
    say(t, GET);
    CHECK_EQ(weft_sleep(WEFT_MSEC(9900)), 0);
    CHECK_EQ(site.conns.active, 1);
    CHECK_EQ(weft_sleep(WEFT_MSEC(200)), 0);
    CHECK_EQ(site.conns.active, 0);
    weft_transport_close(t);
    close_site(&site);
    CHECK_EQ(site.stats.cut, 1);
    CHECK_EQ(site.stats.timed_out, 1);
}

TEST(a_client_that_never_reads_is_cut)
{
    check_cut_unread(reply_much, 0);
}

TEST(a_client_that_never_reads_is_cut_when_its_reply_has_been_made)
{
    check_cut_unread(reply_little, 64);
}

TEST(a_client_that_reads_slower_than_the_rate_is_cut)
{
    struct site site = {
        .opts = {.handler = reply_much, .total_timeout = WEFT_FOREVER}};
    char buf[700];
    open_site(&site);
    weft_transport *t = visit(&site);
    say(t, GET);
    int seconds = 0;
    CHECK_EQ(weft_test_settle(), 0);
    for (; site.conns.active > 0; seconds++) {
        CHECK(weft_transport_read(t, buf, sizeof buf) >= 0);
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
        CHECK(seconds < 100);
    }
    CHECK(seconds >= 29 && seconds <= 32);
    weft_transport_close(t);
    close_site(&site);
}

TEST(a_client_that_reads_at_the_rate_gets_all)
{
    struct site site = {
        .opts = {.handler = reply_much, .total_timeout = WEFT_FOREVER}};
    static char buf[2048];
    size_t all = 0;
    open_site(&site);
    weft_transport *t = visit(&site);
    say(t, GET);
    while (all < 1 << 20) {
        ssize_t n = weft_transport_read(t, buf, sizeof buf);
        CHECK(n > 0);
        all += (size_t)n;
        CHECK_EQ(weft_sleep(WEFT_MSEC(1500)), 0);
    }
    weft_transport_close(t);
    close_site(&site);
}

/* ---- failures ----------------------------------------------------------- */

static int fail(weft_req *r, void *ctx)
{
    (void)ctx;
    CHECK_EQ(weft_reply_field(r, "x", "y"), 0);
    return weft_fail(-EIO, "the disk is gone");
}

TEST(a_handler_that_fails_is_500_and_the_connection_goes_on)
{
    struct site site = {.opts = {.handler = fail}};
    weft_on_unhandled(note_unhandled);
    open_site(&site);
    CHECK_STR(ask(&site, GET GET),
              HEAD_OF("500 Internal Server Error")
                  TEXT LENGTH(26) "\r\n500 Internal Server Error\n" HEAD_OF(
                      "500 Internal Server Error")
                      TEXT LENGTH(26) "\r\n500 Internal Server Error\n");
    close_site(&site);
    CHECK_EQ(unhandled, 2);
    CHECK_EQ(unhandled_code, -EIO);
    CHECK_STR(unhandled_msg, "the disk is gone");
    CHECK_EQ(site.stats.failed, 2);
    CHECK_EQ(site.conns.failed, 0);
}

static int say_nothing(weft_req *r, void *ctx)
{
    (void)ctx;
    (void)r;
    return 0;
}

TEST(a_handler_that_replies_nothing_has_failed)
{
    struct site site = {.opts = {.handler = say_nothing}};
    weft_on_unhandled(note_unhandled);
    open_site(&site);
    CHECK(strstr(ask(&site, GET), "HTTP/1.1 500 ") == heard);
    close_site(&site);
    CHECK_EQ(unhandled, 1);
    CHECK_EQ(unhandled_code, -EPROTO);
}

static int fail_half_way(weft_req *r, void *ctx)
{
    bool chunked = weft_text_is(r->head.path, "/chunked");
    (void)ctx;
    int err = weft_reply_begin(r, 200, NULL, chunked ? WEFT_HTTP_UNKNOWN : 10);
    if (err == 0) err = weft_reply_write(r, "hello", 5);
    if (err == 0) err = weft_reply_flush(r);
    if (weft_text_is(r->head.path, "/short")) return err;
    return err < 0 ? err : weft_fail(-EIO, "half way");
}

TEST(a_handler_that_fails_in_the_middle_of_its_reply_cuts_the_connection)
{
    struct site site = {.opts = {.handler = fail_half_way}};
    weft_on_unhandled(note_unhandled);
    open_site(&site);
    CHECK_STR(ask(&site, GET GET), HEAD_OF("200 OK") LENGTH(10) "\r\nhello");
    CHECK_STR(ask(&site, "GET /chunked HTTP/1.1\r\nHost: h\r\n\r\n"),
              HEAD_OF("200 OK") "Transfer-Encoding: chunked\r\n\r\n"
                                "5\r\nhello\r\n");
    CHECK_STR(ask(&site, "GET /short HTTP/1.1\r\nHost: h\r\n\r\n"),
              HEAD_OF("200 OK") LENGTH(10) "\r\nhello");
    close_site(&site);
    CHECK_EQ(unhandled, 3);
    CHECK_EQ(site.stats.cut, 3);
    CHECK_EQ(site.stats.failed, 3);
}

/* ---- the end of the server ---------------------------------------------- */

TEST(a_server_that_stops_lets_handlers_finish_and_says_close)
{
    struct site site = {.opts = {.handler = sleep_long,
                                 .serve = {.drain = WEFT_SEC(1000)},
                                 .total_timeout = WEFT_FOREVER}};
    open_site(&site);
    weft_transport *idle = visit(&site), *busy = visit(&site);
    say(busy, GET GET);
    CHECK_EQ(weft_test_settle(), 0);
    stop_site(&site);
    weft_time begun = weft_now();
    CHECK_STR(hear_all(idle), "");
    CHECK(weft_now() - begun < WEFT_SEC(1));
    (void)hear_all(busy);
    CHECK(strstr(heard, "HTTP/1.1 200 OK\r\n") == heard);
    CHECK(strstr(heard, CLOSE "\r\nhello") != NULL);
    CHECK(strstr(heard + 1, "HTTP/1.1") == NULL);
    weft_transport_close(idle);
    weft_transport_close(busy);
    close_site(&site);
}

TEST(what_is_not_done_when_the_drain_is_over_is_closed)
{
    struct site site = {.opts = {.handler = sleep_long}};
    open_site(&site);
    weft_transport *t = visit(&site);
    say(t, GET);
    CHECK_EQ(weft_test_settle(), 0);
    close_site(&site);
    CHECK_STR(hear_all(t), "");
    weft_transport_close(t);
    CHECK_EQ(site.conns.cancelled, 1);
}

/* ---- cut ---------------------------------------------------------------- */

static int fail_without_length(weft_req *r, void *ctx)
{
    (void)ctx;
    int err = weft_reply_begin(r, 200, NULL, WEFT_HTTP_UNKNOWN);
    if (err == 0) err = weft_reply_write(r, "hello", 5);
    if (err == 0) err = weft_reply_flush(r);
    if (err == 0) err = weft_sleep(WEFT_MSEC(50));
    return err < 0 ? err : weft_fail(-EIO, "half way");
}

TEST_REAL(a_reply_that_lasts_until_the_close_is_cut_by_a_reset)
{
    weft_fd listener, c;
    weft_addr at;
    char address[WEFT_ADDR_TEXT];
    struct site site = {
        .opts = {.handler = fail_without_length, .ctx = &listener},
        .run = serve_fd};
    weft_on_unhandled(note_unhandled);
    CHECK_EQ(weft_listen(&listener, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_local_addr(listener, &at), 0);
    CHECK(weft_addr_format(&at, address, sizeof address) != NULL);
    open_site(&site);
    CHECK_EQ(weft_dial(&c, address), 0);
    CHECK_EQ(weft_write_all(c, "GET / HTTP/1.0\r\n\r\n", 18, NULL), 0);
    ssize_t n;
    for (heard_len = 0; (n = weft_read(c, heard + heard_len, 1000)) > 0;)
        heard_len += (size_t)n;
    CHECK_EQ(n, -ECONNRESET);
    CHECK_EQ(memcmp(heard + heard_len - 5, "hello", 5), 0);
    CHECK_EQ(weft_close(c), 0);
    close_site(&site);
    CHECK_EQ(unhandled, 1);
}
