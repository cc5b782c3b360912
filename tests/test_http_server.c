/* SPDX-License-Identifier: MIT */
/* test_http_server.c - requests and their replies, octet by octet. */
#include <stdio.h>

#include "http_site.h"

static int hello(weft_req *r, void *ctx)
{
    (void)ctx;
    return weft_reply(r, 200, "text/plain", "hello", 5);
}

TEST(a_request_gets_its_reply_and_the_connection_goes_on)
{
    struct site site = {.opts = {.handler = hello}};
    open_site(&site);
    weft_transport *t = visit(&site);
    say(t, GET);
    CHECK_STR(hear(t), HELLO);
    CHECK_EQ(heard_end, -EAGAIN);
    say(t, GET);
    CHECK_STR(hear(t), HELLO);
    weft_transport_close(t);
    close_site(&site);
    CHECK_EQ(site.stats.requests, 2);
    CHECK_EQ(site.stats.replies[2], 2);
}

TEST(a_request_that_comes_octet_by_octet_gets_the_same_reply)
{
    struct site site = {.opts = {.handler = hello}};
    open_site(&site);
    weft_transport *t = visit(&site);
    for (const char *p = GET; *p; p++) {
        CHECK_STR(hear(t), "");
        say_octets(t, p, 1);
    }
    CHECK_STR(hear(t), HELLO);
    weft_transport_close(t);
    close_site(&site);
}

/* ---- pipelining --------------------------------------------------------- */

static unsigned writes;

static ssize_t count_write(weft_transport *t, const void *buf, size_t len);

/* A transport that counts how often it is written to. */
struct counting {
    weft_transport transport;
    weft_transport *below;
};

static weft_transport *below(weft_transport *t)
{
    return ((struct counting *)(void *)t)->below;
}

static ssize_t pass_read(weft_transport *t, void *buf, size_t len)
{
    return below(t)->ops->try_read(below(t), buf, len);
}

static ssize_t count_write(weft_transport *t, const void *buf, size_t len)
{
    ssize_t n = below(t)->ops->try_write(below(t), buf, len);
    if (n > 0) writes++;
    return n;
}

static int pass_wait(weft_transport *t, int events)
{
    return below(t)->ops->wait(below(t), events);
}

static int pass_shutdown_write(weft_transport *t)
{
    return below(t)->ops->shutdown_write(below(t));
}

static int pass_shutdown_read(weft_transport *t)
{
    return below(t)->ops->shutdown_read(below(t));
}

static void leave_open(weft_transport *t)
{
    (void)t;
}

static int serve_counted(weft_conn *c)
{
    static const weft_transport_ops ops = {
        "counting",          pass_read,          count_write, pass_wait,
        pass_shutdown_write, pass_shutdown_read, leave_open,  NULL};
    struct counting counting = {{&ops}, c->transport};
    struct site *s = c->arg;
    weft_transport *own = c->transport;
    c->transport = &counting.transport;
    int rc = weft_http_serve_conn(s->server, c);
    c->transport = own;
    return rc;
}

static int run_counted(struct site *s)
{
    return weft_serve_memory(s->memory, serve_counted, s, &s->opts.serve);
}

TEST(requests_that_came_together_are_answered_in_order_by_one_write)
{
    struct site site = {.opts = {.handler = hello}, .run = run_counted};
    char batch[16 * sizeof GET] = "", replies[16 * sizeof HELLO] = "";
    for (int i = 0; i < 16; i++) {
        strcat(batch, GET);
        strcat(replies, HELLO);
    }
    open_site(&site);
    weft_transport *t = visit(&site);
    say(t, batch);
    writes = 0;
    CHECK_STR(hear(t), replies);
    CHECK_EQ(writes, 1);
    weft_transport_close(t);
    close_site(&site);
}

static int echo_target(weft_req *r, void *ctx)
{
    (void)ctx;
    if (r->head.query.at && weft_sleep(WEFT_SEC(1)) < 0) return -ECANCELED;
    return weft_reply_printf(r, 200, NULL, "%.*s\n",
                             WEFT_TEXT_ARGS(r->head.target));
}

#define GET_OF(target) "GET " target " HTTP/1.1\r\nHost: h\r\n\r\n"

TEST(a_reply_that_is_slow_holds_up_those_behind_it)
{
    struct site site = {.opts = {.handler = echo_target}};
    open_site(&site);
    weft_transport *t = visit(&site);
    say(t, GET_OF("/1?slow") GET_OF("/2"));
    listen_on(t, 2 * strlen(HEAD_OF("200 OK") LENGTH(3) "\r\n/2\n") + 5);
    CHECK_STR(heard, "HTTP/1.1 200 OK\r\n"
                     "Date: Sun, 09 Sep 2001 01:46:41 GMT\r\n"
                     "Content-Length: 8\r\n\r\n/1?slow\n"
                     "HTTP/1.1 200 OK\r\n"
                     "Date: Sun, 09 Sep 2001 01:46:41 GMT\r\n"
                     "Content-Length: 3\r\n\r\n/2\n");
    weft_transport_close(t);
    close_site(&site);
}

TEST(what_a_request_says_outlasts_a_park_of_its_handler)
{
    struct site site = {.opts = {.handler = echo_target}};
    open_site(&site);
    weft_transport *a = visit(&site), *b = visit(&site);
    say(a, GET_OF("/first?slow"));
    say(b, GET_OF("/the/other/has/the/scratch/now"));
    CHECK(strstr(hear(b), "/the/other/has/the/scratch/now\n") != NULL);
    listen_on(a, 80);
    CHECK(strstr(heard, "\r\n\r\n/first?slow\n") != NULL);
    weft_transport_close(a);
    weft_transport_close(b);
    close_site(&site);
}

/* ---- persistence -------------------------------------------------------- */

TEST(a_client_that_asks_for_it_gets_a_close_behind_its_reply)
{
    struct site site = {.opts = {.handler = hello}};
    open_site(&site);
    CHECK_STR(ask(&site, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                         "\r\n" GET),
              HEAD_OF("200 OK") "Content-Type: text/plain\r\n" LENGTH(5) CLOSE
              "\r\nhello");
    CHECK_EQ(heard_end, 0);
    close_site(&site);
    CHECK_EQ(site.stats.requests, 1);
}

TEST(http_1_0_is_closed_unless_it_asks_to_go_on)
{
    struct site site = {.opts = {.handler = hello}};
    open_site(&site);
    CHECK_STR(ask(&site, "GET / HTTP/1.0\r\n\r\n" GET),
              HEAD_OF("200 OK") "Content-Type: text/plain\r\n" LENGTH(5) CLOSE
              "\r\nhello");
    CHECK_STR(
        ask(&site, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n" GET),
        HEAD_OF("200 OK") "Content-Type: text/plain\r\n" LENGTH(
            5) "Connection: keep-alive\r\n\r\nhello" HELLO);
    close_site(&site);
}

TEST(the_last_request_of_max_requests_is_told_so)
{
    struct site site = {.opts = {.handler = hello, .max_requests = 2}};
    open_site(&site);
    CHECK_STR(ask(&site, GET GET GET),
              HELLO HEAD_OF("200 OK") "Content-Type: text/plain\r\n" LENGTH(5)
                  CLOSE "\r\nhello");
    close_site(&site);
    CHECK_EQ(site.stats.requests, 2);
}

static int hello_and_close(weft_req *r, void *ctx)
{
    weft_reply_close(r);
    return hello(r, ctx);
}

TEST(a_handler_can_close_behind_its_reply)
{
    struct site site = {.opts = {.handler = hello_and_close}};
    open_site(&site);
    CHECK_STR(ask(&site, GET GET),
              HEAD_OF("200 OK") "Content-Type: text/plain\r\n" LENGTH(5) CLOSE
              "\r\nhello");
    close_site(&site);
}

/* ---- heads -------------------------------------------------------------- */

TEST(the_server_says_its_name_if_it_has_one)
{
    struct site site = {.opts = {.handler = hello, .server_name = "weft"}};
    open_site(&site);
    CHECK_STR(ask(&site, GET),
              "HTTP/1.1 200 OK\r\nServer: weft\r\n" DATE
              "Content-Type: text/plain\r\n" LENGTH(5) "\r\nhello");
    close_site(&site);
}

TEST(a_name_that_could_split_a_message_makes_no_server)
{
    weft_http_server_opts o = {.server_name = "a\r\nb"};
    CHECK(weft_http_server_new(&o) == NULL);
    o.server_name = "";
    CHECK(weft_http_server_new(&o) == NULL);
    o.server_name = "0123456789012345678901234567890123456789"
                    "0123456789012345678901234";
    CHECK(weft_http_server_new(&o) == NULL);
    weft_http_server_free(NULL);
}

TEST(two_servers_of_a_thread_keep_their_names_apart)
{
    struct site a = {.opts = {.handler = hello, .server_name = "a"}};
    struct site b = {.opts = {.handler = hello, .server_name = "b"}};
    open_site(&a);
    open_site(&b);
    for (int i = 0; i < 2; i++) {
        CHECK(strstr(ask(&a, GET), "Server: a\r\n") != NULL);
        CHECK(strstr(ask(&b, GET), "Server: b\r\n") != NULL);
    }
    close_site(&b);
    close_site(&a);
}

TEST(the_date_goes_with_the_clock)
{
    struct site site = {.opts = {.handler = hello}};
    open_site(&site);
    for (int second = 40; second < 60; second++) {
        char date[64];
        (void)snprintf(date, sizeof date,
                       "Date: Sun, 09 Sep 2001 01:46:%d GMT\r\n", second);
        CHECK(strstr(ask(&site, GET), date) != NULL);
        CHECK_EQ(weft_sleep(WEFT_MSEC(999)), 0);
        CHECK(strstr(ask(&site, GET), date) != NULL);
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    }
    close_site(&site);
}

static int with_fields(weft_req *r, void *ctx)
{
    (void)ctx;
    CHECK_EQ(weft_reply_field(r, "X-One", "1"), 0);
    CHECK_EQ(weft_reply_field(r, "X-Two", ""), 0);
    CHECK_EQ(weft_reply_field(r, "X-One", "2"), 0);
    return weft_reply(r, 404, NULL, "x", 1);
}

TEST(fields_are_added_in_their_order)
{
    struct site site = {.opts = {.handler = with_fields}};
    open_site(&site);
    CHECK_STR(ask(&site, GET),
              HEAD_OF("404 Not Found")
                  LENGTH(1) "X-One: 1\r\nX-Two: \r\nX-One: 2\r\n\r\nx");
    close_site(&site);
}

static int with_bad_fields(weft_req *r, void *ctx)
{
    static const char *const own[] = {"Content-Length", "TRANSFER-ENCODING",
                                      "connection",     "Keep-Alive",
                                      "Date",           "server"};
    (void)ctx;
    for (int c = 0; c < 256; c++) {
        char name[] = {'n', (char)c, 'e'}, value[] = {'v', (char)c, 'e'};
        bool token = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                     (c >= 'a' && c <= 'z') ||
                     (c && strchr("!#$%&'*+-.^_`|~", c));
        bool text = c == '\t' || (c >= ' ' && c != 127);
        CHECK_EQ(
            weft_reply_field_text(r, (weft_text){name, 3}, weft_text_of("v")),
            token ? 0 : -EINVAL);
        CHECK_EQ(
            weft_reply_field_text(r, weft_text_of("n"), (weft_text){value, 3}),
            text ? 0 : -EINVAL);
    }
    CHECK_EQ(weft_reply_field(r, "", "v"), -EINVAL);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        CHECK_EQ(weft_reply_field(r, own[i], "1"), -EINVAL);
    CHECK_EQ(weft_reply(r, 200, "text/\r\nplain", "x", 1), -EINVAL);
    CHECK_EQ(r->status, 0);
    CHECK_EQ(weft_reply(r, 199, NULL, "x", 1), -EINVAL);
    CHECK_EQ(weft_reply(r, 1000, NULL, "x", 1), -EINVAL);
    CHECK_EQ(weft_reply_redirect(r, 302, "/a\r\nb"), -EINVAL);
    CHECK_EQ(weft_reply_redirect(r, 200, "/"), -EINVAL);
    return weft_reply(r, 200, NULL, "x", 1);
}

TEST(no_octet_that_could_split_a_reply_gets_into_it)
{
    struct site site = {.opts = {.handler = with_bad_fields}};
    open_site(&site);
    const char *reply = ask(&site, GET);
    CHECK(strstr(reply, "\r\n\r\nx") == reply + strlen(reply) - 5);
    size_t lines = 0;
    for (const char *p = reply; (p = strstr(p, "\r\n")) != NULL; p += 2)
        lines++;
    CHECK_EQ(lines, 4 + 77 + 224);
    close_site(&site);
}

static int with_many_fields(weft_req *r, void *ctx)
{
    char value[1000];
    int err = 0, n = 0;
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = 0;
    (void)ctx;
    for (; err == 0; n++)
        err = weft_reply_field(r, "name", value);
    CHECK_EQ(err, -ENOBUFS);
    CHECK_EQ(n, 65536 / 1007 + 1);
    return weft_reply(r, 200, NULL, "x", 1);
}

TEST(over_64_kib_of_fields_are_refused_and_the_rest_is_sent)
{
    struct site site = {.opts = {.handler = with_many_fields}};
    open_site(&site);
    const char *reply = ask(&site, GET GET);
    CHECK_EQ(heard_len,
             2 * (65 * 1007 + strlen(HEAD_OF("200 OK") LENGTH(1) "\r\nx")));
    CHECK(strstr(reply, "v\r\n\r\nxHTTP/1.1 200 OK\r\n") != NULL);
    close_site(&site);
}

static int typed(weft_req *r, void *ctx)
{
    (void)ctx;
    CHECK_EQ(weft_reply_field(r, "content-type", "a/b"), 0);
    return weft_reply_text(r, 200, "x");
}

TEST(a_content_type_that_was_added_counts)
{
    struct site site = {.opts = {.handler = typed}};
    open_site(&site);
    CHECK_STR(ask(&site, GET),
              HEAD_OF("200 OK") LENGTH(1) "content-type: a/b\r\n\r\nx");
    close_site(&site);
}

/* ---- statuses, and what has no body ------------------------------------- */

static int status_of_path(weft_req *r, void *ctx)
{
    uint64_t status;
    (void)ctx;
    weft_text digits = {r->head.path.at + 1, r->head.path.len - 1};
    CHECK_EQ(weft_text_number(digits, &status), 0);
    return weft_reply_status(r, (int)status);
}

TEST(a_status_alone_is_a_reply)
{
    struct site site = {.opts = {.handler = status_of_path}};
    open_site(&site);
    CHECK_STR(ask(&site, GET_OF("/404")),
              HEAD_OF("404 Not Found") TEXT LENGTH(14) "\r\n404 Not Found\n");
    CHECK_STR(ask(&site, GET_OF("/799")),
              HEAD_OF("799 ") TEXT LENGTH(4) "\r\n799\n");
    close_site(&site);
}

TEST(a_status_that_has_no_body_is_sent_without_one)
{
    struct site site = {.opts = {.handler = status_of_path}};
    open_site(&site);
    CHECK_STR(ask(&site, GET_OF("/204") GET_OF("/304") GET_OF("/205")),
              HEAD_OF("204 No Content") TEXT "\r\n" HEAD_OF("304 Not Modified")
                  TEXT "\r\n" HEAD_OF("205 Reset Content")
                      TEXT LENGTH(0) "\r\n");
    close_site(&site);
}

TEST(head_gets_the_length_and_no_body)
{
    struct site site = {.opts = {.handler = hello}};
    open_site(&site);
    CHECK_STR(ask(&site, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n" GET),
              HEAD_OF("200 OK") "Content-Type: text/plain\r\n" LENGTH(
                  5) "\r\n" HELLO);
    close_site(&site);
}

static int redirect(weft_req *r, void *ctx)
{
    (void)ctx;
    return weft_reply_redirect(r, 308, "/there?x=%20");
}

TEST(a_redirect_says_where)
{
    struct site site = {.opts = {.handler = redirect}};
    open_site(&site);
    CHECK_STR(ask(&site, GET),
              HEAD_OF("308 Permanent Redirect") TEXT LENGTH(
                  23) "Location: /there?x=%20\r\n\r\n308 Permanent Redirect\n");
    close_site(&site);
}

TEST(without_a_handler_all_is_404)
{
    struct site site = {.opts = {.handler = NULL}};
    open_site(&site);
    CHECK_STR(ask(&site, GET),
              HEAD_OF("404 Not Found") TEXT LENGTH(14) "\r\n404 Not Found\n");
    close_site(&site);
}

static int reply_twice(weft_req *r, void *ctx)
{
    CHECK_EQ(hello(r, ctx), 0);
    CHECK_EQ(weft_reply(r, 201, NULL, NULL, 0), -EALREADY);
    CHECK_EQ(weft_reply_begin(r, 201, NULL, 5), -EALREADY);
    CHECK_EQ(weft_reply_field(r, "a", "b"), -EALREADY);
    CHECK_EQ(weft_reply_interim(r, 103), -EALREADY);
    CHECK_EQ(weft_reply_write(r, "x", 1), -EPROTO);
    CHECK_EQ(weft_reply_end(r), -EPROTO);
    return 0;
}

TEST(a_second_reply_is_refused_and_the_first_stays)
{
    struct site site = {.opts = {.handler = reply_twice}};
    open_site(&site);
    CHECK_STR(ask(&site, GET), HELLO);
    close_site(&site);
}

static char large[100000];

static int reply_large(weft_req *r, void *ctx)
{
    (void)ctx;
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char)('a' + i % 23);
    return weft_reply(r, 200, NULL, large, sizeof large);
}

TEST(a_large_body_is_sent_whole_and_in_order)
{
    struct site site = {.opts = {.handler = reply_large}, .capacity = 1000};
    static const char head[] = HEAD_OF("200 OK") LENGTH(100000) "\r\n";
    open_site(&site);
    (void)ask(&site, GET GET);
    CHECK_EQ(heard_len, 2 * (sizeof head - 1 + sizeof large));
    for (int i = 0; i < 2; i++) {
        const char *reply = heard + i * (long)(heard_len / 2);
        CHECK_EQ(memcmp(reply, head, sizeof head - 1), 0);
        CHECK_EQ(memcmp(reply + sizeof head - 1, large, sizeof large), 0);
    }
    close_site(&site);
}

/* ---- what a request says ------------------------------------------------ */

static int ask_query(weft_req *r, void *ctx)
{
    weft_text v;
    (void)ctx;
    CHECK_EQ(weft_req_query(r, "none", &v), -ENOENT);
    CHECK_EQ(weft_req_query(r, "bad", &v), -EINVAL);
    CHECK_EQ(weft_req_query(r, "a b", &v), 0);
    CHECK(weft_text_is(v, "c d"));
    CHECK(weft_text_is(weft_req_field(r, "HOST"), "h"));
    CHECK(weft_req_field(r, "none").at == NULL);
    CHECK(!weft_req_draining(r));
    return weft_reply(r, 200, NULL, NULL, 0);
}

TEST(a_query_is_decoded)
{
    struct site site = {.opts = {.handler = ask_query}};
    open_site(&site);
    CHECK_STR(ask(&site, GET_OF("/?a+b=c%20d&bad=%00")),
              HEAD_OF("200 OK") LENGTH(0) "\r\n");
    close_site(&site);
}
