/* SPDX-License-Identifier: MIT */
/* test_ws_server.c - the handshake of a server, and a handler behind it. */
#include <weft/fiber.h>
#include <weft/http_server.h>
#include <weft/memory.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/stream.h>
#include <weft/time.h>
#include <weft/websocket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

static weft_ws_opts ws_opts; /* of the handler */
static int accepted, ended;
static weft_text chosen;

static int echo(weft_req *r, void *ctx)
{
    weft_ws *ws;
    weft_ws_message m;
    (void)ctx;
    int rc = accepted = weft_ws_accept(r, &ws_opts, &ws);
    if (rc <= 0) return rc;
    chosen = weft_ws_protocol(ws);
    while ((rc = weft_ws_read(ws, &m)) > 0) {
        rc = weft_ws_send(ws, m.kind, m.data.at, m.data.len);
        if (rc < 0) break;
    }
    ended = rc;
    return weft_ws_end(ws, rc);
}

/* ---- a server in memory ------------------------------------------------- */

static weft_memory_listener *listener;
static weft_nursery servers;
static weft_scope *serving;
static weft_http_stats stats;

static int serve(void *arg)
{
    weft_http_server_opts o = {.handler = echo, .stats = &stats};
    weft_scope scope;
    (void)arg;
    weft_http_server *s = weft_http_server_new(&o);
    CHECK(s != NULL);
    weft_scope_init(&scope);
    serving = &scope;
    int rc = weft_scope_begin(&scope);
    if (rc == 0) rc = weft_http_serve_memory(s, listener);
    rc = weft_scope_end(&scope, rc);
    weft_http_server_free(s);
    return rc;
}

static void begin(void)
{
    accepted = ended = 99;
    memset(&stats, 0, sizeof stats);
    ws_opts = (weft_ws_opts){0};
    listener = weft_memory_listener_new(0);
    CHECK(listener != NULL);
    CHECK_EQ(weft_nursery_open(&servers, NULL), 0);
    CHECK_EQ(weft_spawn(&servers, serve, NULL), 0);
    CHECK_EQ(weft_sleep(1), 0);
}

static void stop(void)
{
    weft_scope_cancel(serving, 0, "the test is over");
    CHECK_EQ(weft_nursery_close(&servers, 0), 0);
    weft_memory_listener_free(listener);
}

static weft_stream c;

static void dial(void)
{
    weft_transport *t;
    CHECK_EQ(weft_memory_dial(listener, &t), 0);
    weft_stream_init_transport(&c, t);
}

static void say(const char *text)
{
    CHECK_EQ(weft_stream_write(&c, text, strlen(text)), 0);
    CHECK_EQ(weft_stream_flush(&c), 0);
}

/* The head of the reply, without Date, which changes. */
static char head[2048];

static void hear_head(void)
{
    const char *data;
    ssize_t n =
        weft_stream_read_until_text(&c, "\r\n\r\n", sizeof head - 1, &data);
    CHECK(n > 0);
    memcpy(head, data, (size_t)n);
    head[n] = 0;
}

static void check_has(const char *line)
{
    if (!strstr(head, line))
        test_fail(__FILE__, __LINE__, "no \"%s\" in:\n%s", line, head);
}

static void check_status(const char *status)
{
    hear_head();
    CHECK(strncmp(head, "HTTP/1.1 ", 9) == 0);
    if (strncmp(head + 9, status, strlen(status)) != 0)
        test_fail(__FILE__, __LINE__, "not %s:\n%s", status, head);
}

#define GET       "GET /chat HTTP/1.1\r\nHost: example.org\r\n"
#define UPGRADE   "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define VERSION   "Sec-WebSocket-Version: 13\r\n"
#define KEY       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define HANDSHAKE GET UPGRADE VERSION KEY
#define END       "\r\n"

/* ---- accepted ----------------------------------------------------------- */

/* The key and the answer are those of RFC 6455, 1.3. */
TEST(the_handshake_of_the_rfc_is_answered_as_it_says)
{
    begin();
    dial();
    say(HANDSHAKE END);
    check_status("101");
    check_has("\r\nUpgrade: websocket\r\n");
    check_has("\r\nConnection: upgrade\r\n");
    check_has("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n");
    CHECK(!strstr(head, "Sec-WebSocket-Protocol"));
    CHECK(!strstr(head, "Sec-WebSocket-Extensions"));
    CHECK_EQ(weft_stream_close(&c), 0);
    stop();
    CHECK_EQ(accepted, 1);
    CHECK_EQ(ended, -EPIPE);
}

TEST(frames_that_came_with_the_handshake_are_read)
{
    const char *data;
    begin();
    dial();
    say(HANDSHAKE END "\x81\x82\1\2\3\4ih");
    check_status("101");
    CHECK_EQ(weft_stream_more(&c, 3, 100, &data), 4);
    CHECK(memcmp(data, "\x81\x02hj", 4) == 0);
    CHECK_EQ(weft_stream_close(&c), 0);
    stop();
}

TEST(names_and_options_are_in_any_case_and_among_others)
{
    begin();
    dial();
    say(GET "UPGRADE: h2c, WebSocket\r\nCONNECTION: keep-alive, UPGRADE\r\n"
            "sec-websocket-version: 13\r\n"
            "SEC-WEBSOCKET-KEY:dGhlIHNhbXBsZSBub25jZQ==\r\n" END);
    check_status("101");
    CHECK_EQ(weft_stream_close(&c), 0);
    stop();
}

TEST(extensions_that_are_offered_are_declined_by_silence)
{
    begin();
    dial();
    say(HANDSHAKE "Sec-WebSocket-Extensions: permessage-deflate; "
                  "client_max_window_bits\r\n" END);
    check_status("101");
    CHECK(!strstr(head, "Sec-WebSocket-Extensions"));
    CHECK_EQ(weft_stream_close(&c), 0);
    stop();
}

TEST(the_first_of_our_protocols_that_the_client_offers_is_chosen)
{
    begin();
    ws_opts.protocols = "best, good , bad";
    dial();
    say(HANDSHAKE "Sec-WebSocket-Protocol: BEST, bad\r\n"
                  "Sec-WebSocket-Protocol: good\r\n" END);
    check_status("101");
    check_has("\r\nSec-WebSocket-Protocol: good\r\n");
    CHECK_EQ(chosen.len, 4);
    CHECK_EQ(weft_stream_close(&c), 0);
    dial();
    say(HANDSHAKE "Sec-WebSocket-Protocol: other\r\n" END);
    check_status("101");
    CHECK(!strstr(head, "Sec-WebSocket-Protocol"));
    CHECK(chosen.at == NULL);
    CHECK_EQ(weft_stream_close(&c), 0);
    stop();
}

/* ---- refused ------------------------------------------------------------ */

static void check_refused(const char *request, const char *status,
                          const char *line)
{
    begin();
    dial();
    say(request);
    check_status(status);
    if (line) check_has(line);
    CHECK_EQ(accepted, 0);
    CHECK_EQ(weft_stream_close(&c), 0);
    stop();
}

TEST(what_is_no_handshake_is_asked_to_upgrade)
{
    static const char upgrade[] = "\r\nUpgrade: websocket\r\n";
    check_refused(GET END, "426", upgrade);
    check_refused(GET END, "426", "\r\nConnection: upgrade\r\n");
    check_refused(GET "Upgrade: websocket\r\n" VERSION KEY END, "426", upgrade);
    check_refused(GET "Connection: upgrade\r\n" VERSION KEY END, "426",
                  upgrade);
    check_refused(GET "Connection: upgrade\r\nUpgrade: h2c\r\n" VERSION KEY END,
                  "426", upgrade);
}

TEST(another_version_is_told_which_one_is_spoken)
{
    static const char version[] = "\r\nSec-WebSocket-Version: 13\r\n";
    check_refused(GET UPGRADE KEY "Sec-WebSocket-Version: 8\r\n" END, "426",
                  version);
    check_refused(GET UPGRADE KEY "Sec-WebSocket-Version: 013\r\n" END, "426",
                  version);
    check_refused(GET UPGRADE KEY "Sec-WebSocket-Version: 13, 8\r\n" END, "426",
                  version);
    check_refused(GET UPGRADE KEY END, "400", version);
    check_refused(GET UPGRADE KEY VERSION VERSION END, "400", version);
}

TEST(a_key_that_is_no_key_is_refused)
{
    check_refused(GET UPGRADE VERSION END, "400", NULL);
    check_refused(GET UPGRADE VERSION KEY KEY END, "400", NULL);
    check_refused(GET UPGRADE VERSION "Sec-WebSocket-Key:\r\n" END, "400",
                  NULL);
    check_refused(GET UPGRADE VERSION
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n" END, /* 15 */
                  "400", NULL);
    check_refused(GET UPGRADE VERSION
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n" END,
                  "400", NULL); /* bits that mean nothing */
    check_refused(
        GET UPGRADE VERSION
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWU=\r\n" END, /* 17 */
        "400", NULL);
}

TEST(a_handshake_is_a_get_without_a_body)
{
    check_refused("POST /chat HTTP/1.1\r\nHost: a\r\n" UPGRADE VERSION KEY
                  "Content-Length: 0\r\n" END,
                  "405", "\r\nAllow: GET\r\n");
    check_refused(HANDSHAKE "Content-Length: 1\r\n" END "x", "400", NULL);
    check_refused(HANDSHAKE "Sec-WebSocket-Protocol: a b\r\n" END, "400", NULL);
}

TEST(a_page_of_another_origin_is_refused_unless_the_hook_lets_it_in)
{
    check_refused(HANDSHAKE "Origin: http://evil.example\r\n" END, "403", NULL);
    check_refused(HANDSHAKE "Origin: null\r\n" END, "403", NULL);
    check_refused(HANDSHAKE "Origin: http://example.org:81\r\n" END, "403",
                  NULL);
    check_refused(HANDSHAKE "Origin: http://example.org\r\n"
                            "Origin: http://example.org\r\n" END,
                  "400", NULL);
    begin();
    dial();
    say(HANDSHAKE "Origin: https://Example.org\r\n" END);
    check_status("101");
    CHECK_EQ(weft_stream_close(&c), 0);
    stop();
}

static bool only_friends(weft_req *r, weft_text origin, void *user)
{
    CHECK_PTR(user, head);
    CHECK(weft_text_is(r->head.path, "/chat"));
    return weft_text_is(origin, "http://friend.example");
}

TEST(the_hook_alone_says_which_origin_may_come_in)
{
    begin();
    ws_opts.origin = only_friends;
    ws_opts.user = head;
    dial();
    say(HANDSHAKE "Origin: http://example.org\r\n" END);
    check_status("403");
    CHECK_EQ(weft_stream_close(&c), 0);
    dial();
    say(HANDSHAKE "Origin: http://friend.example\r\n" END);
    check_status("101");
    CHECK_EQ(weft_stream_close(&c), 0);
    stop();
}

/* ---- our client against our server -------------------------------------- */

static weft_ws *connect_with(weft_ws_opts o)
{
    weft_ws *ws;
    CHECK_EQ(weft_memory_dial(listener, &o.transport), 0);
    CHECK_EQ(weft_ws_connect(&ws, "ws://example.org/chat?a=b", &o), 0);
    return ws;
}

static void check_echo(weft_ws *ws, weft_ws_kind kind, const char *data,
                       size_t len)
{
    weft_ws_message m;
    CHECK_EQ(weft_ws_send(ws, kind, data, len), 0);
    CHECK_EQ(weft_ws_read(ws, &m), 1);
    CHECK_EQ(m.kind, kind);
    CHECK_EQ(m.data.len, len);
    CHECK(memcmp(m.data.at, data, len) == 0);
}

TEST(pattern_110_a_client_and_a_server_understand_each_other)
{
    static char big[100000];
    int status = -1;
    memset(big, 'b', sizeof big);
    begin();
    ws_opts.protocols = "echo.v1";
    weft_ws *ws = connect_with((weft_ws_opts){
        .protocols = "echo.v2, echo.v1",
        .fields = (const char *const[]){"X-One", "1", "X-Two", "2", NULL},
        .from = "http://example.org",
        .ret_status = &status});
    CHECK_EQ(status, 101);
    CHECK(weft_text_is(weft_ws_protocol(ws), "echo.v1"));
    check_echo(ws, WEFT_WS_TEXT, "hello", 5);
    check_echo(ws, WEFT_WS_BINARY, "", 0);
    check_echo(ws, WEFT_WS_BINARY, big, 60000);
    CHECK_EQ(weft_ws_close(ws, 4000, "bye"), 0);
    CHECK_EQ(weft_ws_close_code(ws), 4000);
    weft_ws_free(ws);
    stop();
    CHECK_EQ(ended, 0);
}

TEST(a_server_that_stops_says_1001_to_who_is_connected)
{
    weft_ws_message m;
    begin();
    weft_ws *ws = connect_with((weft_ws_opts){0});
    check_echo(ws, WEFT_WS_TEXT, "hello", 5);
    weft_time begun = weft_now();
    weft_scope_cancel(serving, 0, "the server stops");
    CHECK_EQ(weft_ws_read(ws, &m), 0);
    CHECK_EQ(weft_ws_close_code(ws), WEFT_WS_GOING_AWAY);
    CHECK_EQ(weft_ws_end(ws, 0), 0);
    CHECK_EQ(weft_nursery_close(&servers, 0), 0);
    CHECK(weft_now() - begun < WEFT_SEC(5));
    CHECK_EQ(ended, -ESHUTDOWN);
    weft_memory_listener_free(listener);
}

TEST(what_a_peer_does_wrong_is_no_failure_of_the_handler)
{
    static const struct {
        const char *octets;
        size_t len;
        int ended;
    } rows[] = {{"\xC1", 1, -EPROTO},
                {"\x81\x81\0\0\0\0\xFF", 7, -EILSEQ},
                {"\x82\xFE\x03\xE9\0\0\0\0", 8, -EMSGSIZE},
                {"", 0, -ETIMEDOUT}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char rest[64];
        begin();
        ws_opts.max_message = 1000;
        dial();
        say(HANDSHAKE END);
        check_status("101");
        CHECK_EQ(weft_stream_write(&c, rows[i].octets, rows[i].len), 0);
        CHECK_EQ(weft_stream_flush(&c), 0);
        while (weft_stream_read(&c, rest, sizeof rest) > 0) {
        }
        CHECK_EQ(weft_stream_close(&c), 0);
        stop();
        CHECK_EQ(ended, rows[i].ended);
        CHECK_EQ(stats.failed, 0);
        CHECK_EQ(stats.replies[1], 1);
    }
}

TEST(a_list_of_protocols_that_is_none_is_the_handlers_mistake)
{
    begin();
    ws_opts.protocols = "a, a";
    dial();
    say(HANDSHAKE END);
    check_status("500");
    CHECK_EQ(accepted, -EINVAL);
    CHECK_EQ(weft_stream_close(&c), 0);
    stop();
}
