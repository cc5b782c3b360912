/* SPDX-License-Identifier: MIT */
/* test_http_server_pieces.c - replies in pieces, interim ones, what comes after
 * them, and other protocols. */
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/file.h>
#include <weft/net.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "http_site.h"
#include "unhandled.h"

#define GET_1_0 "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

static uint64_t told;

static int reply_in_pieces(weft_req *r, void *ctx)
{
    (void)ctx;
    CHECK_EQ(weft_reply_write(r, "x", 1), -EPROTO);
    CHECK_EQ(weft_reply_end(r), -EPROTO);
    CHECK_EQ(weft_reply_trailer(r, "x", "y"), -EPROTO);
    CHECK_EQ(weft_reply_begin(r, 200, "a/b", told), 0);
    CHECK_EQ(weft_reply_write(r, "hello", 5), 0);
    CHECK_EQ(weft_reply_write(r, "", 0), 0);
    CHECK_EQ(weft_reply_flush(r), 0);
    CHECK_EQ(weft_reply_write(r, " world, hello", 13), 0);
    CHECK_EQ(r->sent, 18);
    if (told != WEFT_HTTP_UNKNOWN) {
        CHECK_EQ(weft_reply_write(r, "x", 1), -EMSGSIZE);
        return 0;
    }
    CHECK_EQ(weft_reply_trailer(r, "X-Sum", "1\r\n"), -EINVAL);
    CHECK_EQ(weft_reply_trailer(r, "Content-Length", "1"), -EINVAL);
    CHECK_EQ(weft_reply_trailer(r, "X-Sum", "17"), 0);
    CHECK_EQ(weft_reply_end(r), 0);
    CHECK_EQ(weft_reply_write(r, "x", 1), -EPROTO);
    CHECK_EQ(weft_reply_trailer(r, "X-Sum", "17"), -EPROTO);
    return 0;
}

TEST(a_reply_of_unknown_length_is_chunked)
{
    struct site site = {.opts = {.handler = reply_in_pieces}};
    told = WEFT_HTTP_UNKNOWN;
    open_site(&site);
    const char *want = HEAD_OF("200 OK") "Content-Type: a/b\r\n" CHUNKED "\r\n"
                                         "5\r\nhello\r\nd\r\n world, hello\r\n"
                                         "0\r\nX-Sum: 17\r\n\r\n";
    CHECK_STR(ask(&site, GET), want);
    CHECK_STR(ask(&site, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"),
              HEAD_OF("200 OK") "Content-Type: a/b\r\n" CHUNKED "\r\n");
    close_site(&site);
}

TEST(for_http_1_0_it_lasts_until_the_connection_closes)
{
    struct site site = {.opts = {.handler = reply_in_pieces}};
    told = WEFT_HTTP_UNKNOWN;
    open_site(&site);
    CHECK_STR(ask(&site, GET_1_0 GET_1_0),
              HEAD_OF("200 OK") "Content-Type: a/b\r\n" CLOSE
                                "\r\nhello world, hello");
    CHECK_EQ(heard_end, 0);
    close_site(&site);
}

TEST(a_reply_of_a_length_takes_no_more_than_that)
{
    struct site site = {.opts = {.handler = reply_in_pieces}};
    told = 18;
    open_site(&site);
    CHECK_STR(ask(&site, GET), HEAD_OF("200 OK") "Content-Type: a/b\r\n" LENGTH(
                                   18) "\r\nhello world, hello");
    CHECK_STR(ask(&site, GET_1_0),
              HEAD_OF("200 OK") "Content-Type: a/b\r\n" LENGTH(
                  18) "Connection: keep-alive\r\n\r\nhello world, hello");
    close_site(&site);
}

static int reply_slowly(weft_req *r, void *ctx)
{
    int err = weft_reply_begin(r, 200, NULL, WEFT_HTTP_UNKNOWN);
    (void)ctx;
    for (int i = 0; i < 3 && err == 0; i++) {
        err = weft_reply_printf(r, 200, NULL, "x");
        CHECK_EQ(err, -EALREADY);
        err = weft_reply_write(r, "x", 1);
        if (err == 0) err = weft_reply_flush(r);
        if (err == 0) err = weft_sleep(WEFT_SEC(1));
    }
    return err;
}

TEST(what_is_flushed_is_there_at_once)
{
    struct site site = {.opts = {.handler = reply_slowly}};
    open_site(&site);
    weft_transport *t = visit(&site);
    say(t, GET);
    CHECK_STR(hear(t), HEAD_OF("200 OK") CHUNKED "\r\n1\r\nx\r\n");
    CHECK_EQ(weft_sleep(WEFT_MSEC(1001)), 0);
    CHECK_STR(hear(t), "1\r\nx\r\n");
    CHECK_EQ(weft_sleep(WEFT_MSEC(1001)), 0);
    CHECK_STR(hear(t), "1\r\nx\r\n");
    CHECK_EQ(weft_sleep(WEFT_MSEC(1001)), 0);
    CHECK_STR(hear(t), "0\r\n\r\n");
    weft_transport_close(t);
    close_site(&site);
}

static char much[200000];

static int reply_much(weft_req *r, void *ctx)
{
    (void)ctx;
    for (size_t i = 0; i < sizeof much; i++)
        much[i] = (char)('a' + i % 23);
    int err = weft_reply_begin(r, 200, NULL, WEFT_HTTP_UNKNOWN);
    return err < 0 ? err : weft_reply_write(r, much, sizeof much);
}

TEST(much_is_sent_in_several_chunks_and_in_order)
{
    struct site site = {.opts = {.handler = reply_much}, .capacity = 777};
    open_site(&site);
    (void)ask(&site, GET);
    char *at = strstr(heard, "\r\n\r\n") + 4;
    size_t seen = 0, n;
    while ((n = strtoul(at, &at, 16)) > 0) {
        CHECK_EQ(memcmp(at + 2, much + seen, n), 0);
        seen += n;
        at += 2 + n + 2;
    }
    CHECK_STR(at, "\r\n\r\n");
    CHECK_EQ(seen, sizeof much);
    close_site(&site);
}

/* ---- files -------------------------------------------------------------- */

static weft_fd file;

static int reply_file(weft_req *r, void *ctx)
{
    (void)ctx;
    uint64_t len = weft_text_is(r->head.path, "/short") ? 150001 : 150000;
    int err = weft_reply_begin(r, 200, NULL, len);
    return err < 0 ? err : weft_reply_send_file(r, file, 50000, len);
}

static void open_file(void)
{
    char path[] = "/tmp/weft-http-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    CHECK_EQ(unlink(path), 0);
    for (size_t i = 0; i < sizeof much; i++)
        much[i] = (char)('a' + i % 23);
    CHECK_EQ(write(fd, much, sizeof much), sizeof much);
    CHECK_EQ(weft_fd_adopt(fd, &file), 0);
}

static void check_file(struct site *site)
{
    static const char head[] = HEAD_OF("200 OK") LENGTH(150000) "\r\n";
    (void)site;
    CHECK_EQ(heard_len, sizeof head - 1 + 150000);
    CHECK_EQ(memcmp(strstr(heard, "\r\n\r\n") + 4, much + 50000, 150000), 0);
}

TEST(a_part_of_a_file_is_sent)
{
    struct site site = {.opts = {.handler = reply_file}};
    weft_on_unhandled(note_unhandled);
    open_file();
    open_site(&site);
    (void)ask(&site, GET);
    check_file(&site);
    (void)ask(&site, "GET /short HTTP/1.1\r\nHost: h\r\n\r\n");
    close_site(&site);
    CHECK_EQ(unhandled, 1);
    CHECK_EQ(unhandled_code, -EIO);
    CHECK_EQ(weft_close(file), 0);
}

static int serve_fd(struct site *s)
{
    return weft_http_serve(s->server, *(weft_fd *)s->opts.ctx);
}

TEST_REAL(a_part_of_a_file_is_sent_down_a_socket)
{
    weft_fd listener, c;
    weft_addr at;
    char address[WEFT_ADDR_TEXT];
    struct site site = {.opts = {.handler = reply_file, .ctx = &listener},
                        .run = serve_fd};
    open_file();
    CHECK_EQ(weft_listen(&listener, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_local_addr(listener, &at), 0);
    open_site(&site);
    CHECK_EQ(weft_dial(&c, weft_addr_format(&at, address, sizeof address)), 0);
    CHECK_EQ(weft_write_all(c, GET, sizeof GET - 1, NULL), 0);
    CHECK_EQ(weft_shutdown_write(c), 0);
    heard_len = 0;
    ssize_t n;
    while ((n = weft_read(c, heard + heard_len, sizeof heard - heard_len)) > 0)
        heard_len += (size_t)n;
    CHECK_EQ(n, 0);
    CHECK_EQ(heard_len, 150000 + strlen(HEAD_OF("200 OK") LENGTH(150000)) + 2);
    CHECK_EQ(memcmp(strstr(heard, "\r\n\r\n") + 4, much + 50000, 150000), 0);
    CHECK_EQ(weft_close(c), 0);
    close_site(&site);
    CHECK_EQ(weft_close(file), 0);
}

/* ---- interim replies ---------------------------------------------------- */

static int hint(weft_req *r, void *ctx)
{
    (void)ctx;
    CHECK_EQ(weft_reply_interim(r, 100), -EINVAL);
    CHECK_EQ(weft_reply_interim(r, 101), -EINVAL);
    CHECK_EQ(weft_reply_interim(r, 200), -EINVAL);
    CHECK_EQ(weft_reply_field(r, "Link", "</a>"), 0);
    CHECK_EQ(weft_reply_interim(r, 103), 0);
    CHECK_EQ(weft_reply_field(r, "X", "y"), 0);
    return weft_reply(r, 200, NULL, NULL, 0);
}

TEST(an_interim_reply_goes_before_the_final_one)
{
    struct site site = {.opts = {.handler = hint}};
    open_site(&site);
    CHECK_STR(ask(&site, GET),
              "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" HEAD_OF("200 OK")
                  LENGTH(0) "X: y\r\n\r\n");
    CHECK_STR(ask(&site, "GET / HTTP/1.0\r\n\r\n"),
              HEAD_OF("200 OK") LENGTH(0) CLOSE "X: y\r\n\r\n");
    close_site(&site);
}

/* ---- after-work --------------------------------------------------------- */

static char done[100];

static int note(void *arg)
{
    strcat(done, arg);
    return weft_sleep(WEFT_SEC(1));
}

static int fail(void *arg)
{
    strcat(done, arg);
    return weft_fail(-EIO, "after all");
}

static void drop(void *arg)
{
    strcat(done, "-");
    strcat(done, arg);
}

static int reply_and_work(weft_req *r, void *ctx)
{
    (void)ctx;
    CHECK_EQ(weft_req_after(
                 r, note, weft_arena_text(&r->arena, weft_text_of("a")), drop),
             0);
    CHECK_EQ(weft_req_after(r, fail, "b", NULL), 0);
    CHECK_EQ(weft_req_after(r, note, "c", drop), 0);
    return weft_reply(r, 200, NULL, NULL, 0);
}

TEST(after_work_is_done_in_order_when_the_reply_has_gone)
{
    struct site site = {.opts = {.handler = reply_and_work}};
    weft_on_unhandled(note_unhandled);
    open_site(&site);
    weft_transport *t = visit(&site);
    weft_time begun = weft_now();
    say(t, GET "GET / HTTP/1.0\r\n\r\n");
    CHECK_STR(hear(t), HEAD_OF("200 OK") LENGTH(0) "\r\n");
    CHECK_STR(done, "a");
    CHECK(strstr(hear_all(t), CLOSE "\r\n") != NULL); /* before its work */
    CHECK_EQ((weft_now() - begun) / WEFT_SEC(1), 2);
    CHECK_EQ(weft_sleep(WEFT_SEC(3)), 0);
    CHECK_STR(done, "abcabc");
    CHECK_EQ(unhandled, 2);
    CHECK_STR(unhandled_msg, "after all");
    weft_transport_close(t);
    close_site(&site);
    CHECK_EQ(site.conns.failed, 0);
}

static int work_and_fail(weft_req *r, void *ctx)
{
    (void)ctx;
    CHECK_EQ(weft_req_after(r, note, "a", drop), 0);
    CHECK_EQ(weft_req_after(r, note, "b", NULL), 0);
    CHECK_EQ(weft_reply_begin(r, 200, NULL, 10), 0);
    return weft_fail(-EIO, "half way");
}

TEST(after_work_is_dropped_when_the_connection_is_lost)
{
    struct site site = {.opts = {.handler = work_and_fail}};
    weft_on_unhandled(note_unhandled);
    open_site(&site);
    (void)ask(&site, GET);
    close_site(&site);
    CHECK_STR(done, "-a");
}

static int read_on(void *arg)
{
    const char *data;
    CHECK_EQ(weft_req_peek(arg, &data), -EPIPE);
    CHECK_EQ(weft_reply_write(arg, "x", 1), -EPROTO);
    CHECK_EQ(weft_reply_status(arg, 200), -EALREADY);
    strcat(done, "a");
    return 0;
}

static int work_with_the_request(weft_req *r, void *ctx)
{
    (void)ctx;
    CHECK_EQ(weft_req_after(r, read_on, r, NULL), 0);
    return weft_reply_status(r, 200);
}

TEST(after_work_finds_nothing_to_read_or_reply)
{
    struct site site = {.opts = {.handler = work_with_the_request}};
    open_site(&site);
    (void)ask(&site, "POST / HTTP/1.1\r\nHost: h\r\n" LENGTH(99999) "\r\nx");
    close_site(&site);
    CHECK_STR(done, "a");
}

/* ---- other protocols ---------------------------------------------------- */

#define UPGRADE                                                                \
    "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: a, Echo\r\n" \
    "\r\n"

static int upgrade(weft_req *r, void *ctx)
{
    weft_stream *s;
    const char *data;
    ssize_t n;
    (void)ctx;
    if (weft_req_upgrade(r, "other", &s) != -EPROTO) return -EIO;
    CHECK_EQ(weft_reply_field(r, "X", "y"), 0);
    int err = weft_req_upgrade(r, "echo", &s);
    if (err == -EPROTO) return weft_reply_status(r, 426);
    CHECK_EQ(err, 0);
    CHECK_EQ(weft_req_upgrade(r, "echo", &s), -EALREADY);
    CHECK_EQ(weft_reply_write(r, "x", 1), -EPROTO);
    while ((n = weft_stream_peek(s, &data)) > 0) {
        CHECK_EQ(weft_stream_write(s, data, (size_t)n), 0);
        weft_stream_consume(s, (size_t)n);
    }
    return (int)n;
}

TEST(an_upgrade_makes_the_stream_the_handlers)
{
    struct site site = {.opts = {.handler = upgrade}};
    static const char head[] =
        HEAD_OF("101 Switching Protocols") "Connection: upgrade\r\nUpgrade: "
                                           "echo\r\nX: y\r\n\r\n";
    open_site(&site);
    weft_transport *t = visit(&site);
    say(t, UPGRADE "early");
    listen_on(t, strlen(head) + 5);
    CHECK(strstr(heard, head) == heard);
    CHECK_STR(heard + strlen(head), "early");
    CHECK_EQ(weft_sleep(WEFT_SEC(1000)), 0); /* no limit */
    say(t, "late");
    CHECK_STR(hear(t), "late");
    CHECK_EQ(weft_transport_shutdown_write(t), 0);
    CHECK_STR(hear_all(t), "");
    CHECK_EQ(heard_end, 0);
    weft_transport_close(t);
    close_site(&site);
    CHECK_EQ(site.stats.replies[1], 1);
}

TEST(an_upgrade_that_nobody_asked_for_is_refused)
{
    struct site site = {.opts = {.handler = upgrade}};
    open_site(&site);
    CHECK(strstr(ask(&site, GET GET), "HTTP/1.1 426 ") == heard);
    CHECK(strstr(heard + 1, "HTTP/1.1 426 ") != NULL);
    CHECK(strstr(ask(&site, "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade"
                            "\r\nUpgrade: Echo\r\nContent-Length: 5\r\n\r\n"
                            "hello"),
                 "HTTP/1.1 426 ") == heard);
    close_site(&site);
}

static int tunnel(weft_req *r, void *ctx)
{
    weft_stream *s;
    (void)ctx;
    CHECK_EQ(weft_reply(r, 200, NULL, NULL, 0), -EINVAL);
    if (weft_text_is(r->head.target, "no:1")) return weft_reply_status(r, 403);
    int err = weft_req_upgrade(r, NULL, &s);
    return err < 0 ? err : weft_stream_write(s, "tunnel", 6);
}

TEST(connect_is_a_tunnel_for_a_handler_that_asks_for_it)
{
    struct site site = {.opts = {.handler = tunnel, .connect = true}};
    open_site(&site);
    CHECK_STR(ask(&site, "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n"),
              HEAD_OF("200 OK") "\r\ntunnel");
    CHECK(strstr(ask(&site, "CONNECT no:1 HTTP/1.1\r\nHost: h:1\r\n\r\n" GET),
                 "HTTP/1.1 403 ") == heard);
    CHECK(strstr(heard, CLOSE) != NULL);
    CHECK(strstr(heard + 1, "HTTP/1.1") == NULL);
    close_site(&site);
}

/* ---- the log ------------------------------------------------------------ */

static char logged[10000];

static void write_log(const weft_req *r, int rc, weft_time took, void *user)
{
    static char line[9000];
    CHECK_STR(user, "user");
    (void)snprintf(line, sizeof line, "%.*s %.*s %d %d %d %d\n",
                   WEFT_TEXT_ARGS(r->head.method),
                   WEFT_TEXT_ARGS(r->head.target), r->status, (int)r->sent,
                   rc < 0, (int)(took / WEFT_SEC(1)));
    strcat(logged, line);
}

static int reply_late(weft_req *r, void *ctx)
{
    (void)ctx;
    if (weft_sleep(WEFT_SEC(2)) < 0) return -ECANCELED;
    return weft_reply_text(r, 200, "hello");
}

TEST(each_request_is_told_to_the_log)
{
    struct site site = {.opts = {.handler = reply_late,
                                 .on_request = write_log,
                                 .log_user = "user"}};
    open_site(&site);
    (void)ask(&site, GET "HEAD /b HTTP/1.1\r\nHost: h\r\n\r\n"
                         "GET /c HTTP/1.1\r\nHost : h\r\n\r\n");
    CHECK_STR(logged,
              "GET / 200 5 0 2\nHEAD /b 200 5 0 2\nGET /c 400 58 1 0\n");
    weft_transport *t = visit(&site);
    say(t, "GET /d");
    (void)hear_all(t);
    weft_transport_close(t);
    CHECK(strstr(logged, "\nGET  408 ") != NULL);
    close_site(&site);
    weft_http_stats now;
    weft_http_stats_read(&site.stats, &now);
    CHECK_EQ(now.requests, 4);
    CHECK_EQ(now.replies[2], 2);
    CHECK_EQ(now.replies[4], 2);
    CHECK_EQ(now.refused, 1);
    CHECK_EQ(now.timed_out, 1);
}

TEST(the_log_sees_a_head_that_was_refused_behind_a_good_one)
{
    struct site site = {.opts = {.handler = reply_late,
                                 .on_request = write_log,
                                 .log_user = "user"}};
    static char text[40000];
    open_site(&site);
    weft_transport *t = visit(&site);
    int n = snprintf(text, sizeof text, GET "GET /%08000d HTTP/1.1\r\nx: ", 0);
    say(t, text);
    CHECK_EQ(weft_sleep(WEFT_SEC(3)), 0);
    (void)snprintf(text, sizeof text, "%020000d\r\ny : z\r\n\r\n", 0);
    say(t, text);
    CHECK(n > 0);
    (void)hear_all(t);
    weft_transport_close(t);
    CHECK_EQ(strncmp(logged, "GET / 200 5 0 2\nGET /0000", 25), 0);
    CHECK(strstr(heard, "HTTP/1.1 400 ") != NULL);
    CHECK(strstr(logged, "0 400 58 1 1\n") != NULL);
    close_site(&site);
}

static void log_the_agent(const weft_req *r, int rc, weft_time took, void *user)
{
    weft_text agent = weft_http_field(&r->head.fields, "User-Agent");
    (void)rc;
    (void)took;
    (void)user;
    (void)snprintf(logged, sizeof logged, "%.*s %.20s... %.*s",
                   WEFT_TEXT_ARGS(r->head.method), r->head.target.at,
                   WEFT_TEXT_ARGS(agent));
}

/* Its block is another by then. */
TEST(the_log_sees_as_much_of_a_head_as_came)
{
    struct site site = {
        .opts = {.handler = reply_late, .on_request = log_the_agent}};
    static char text[60000];
    open_site(&site);
    (void)snprintf(text, sizeof text,
                   "GET /%08000d HTTP/1.1\r\nUser-Agent: me\r\nx: ", 0);
    static const int more[] = {0, 20000, 45000};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        weft_transport *t = visit(&site);
        say(t, text);
        memset(heard, 'y', sizeof heard);
        say_octets(t, heard, (size_t)more[i]);
        (void)hear_all(t);
        weft_transport_close(t);
        CHECK(strstr(heard, "HTTP/1.1 408 ") == heard);
        CHECK_STR(logged, "GET /0000000000000000000... me");
    }
    close_site(&site);
}
