/* SPDX-License-Identifier: MIT */
/* test_ws_client.c - the handshake of a client, against a server by hand. */
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/io.h>
#include <weft/memory.h>
#include <weft/net.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/stream.h>
#include <weft/time.h>
#include <weft/websocket.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "http/ws_key.h"

/* The server answers with `answer`, in which %s is the right accept. */
static const char *answer;
static char request[2048];
static weft_transport *ends[2];
static bool served; /* the client has ended */

static int serve(void *arg)
{
    weft_stream s;
    const char *data;
    char reply[2048], accept[WF_WS_ACCEPT_TEXT];
    (void)arg;
    weft_stream_init_transport(&s, ends[1]);
    ssize_t n =
        weft_stream_read_until_text(&s, "\r\n\r\n", sizeof request - 1, &data);
    if (n <= 0) return weft_stream_close(&s);
    memcpy(request, data, (size_t)n);
    request[n] = 0;
    const char *key = strstr(request, "Sec-WebSocket-Key: ");
    CHECK(key != NULL);
    weft_text text = {key + 19, 24};
    CHECK(wf_ws_key_is_valid(text));
    wf_ws_accept_of(text, accept);
    (void)snprintf(reply, sizeof reply, answer, accept);
    CHECK_EQ(weft_stream_write(&s, reply, strlen(reply)), 0);
    CHECK_EQ(weft_stream_flush(&s), 0);
    int err = weft_stream_skip(&s, UINT64_MAX, NULL);
    served = true;
    int closed = weft_stream_close(&s);
    return err == -EPIPE || err == -ECONNRESET ? 0 : closed;
}

static weft_ws *ws;
static int status;

static int connect_to(const char *url, weft_ws_opts o, const char *says)
{
    int rc, result = 0;
    answer = says;
    o.ret_status = &status;
    ws = NULL;
    CHECK_EQ(weft_memory_pair(ends, 0), 0);
    o.transport = ends[0];
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, serve, NULL);
        result = weft_ws_connect(&ws, url, &o);
        CHECK_EQ(ws != NULL, result == 0);
        if (ws && weft_ws_protocol(ws).at)
            (void)snprintf(request + strlen(request), 20, "[%.*s]",
                           WEFT_TEXT_ARGS(weft_ws_protocol(ws)));
        weft_ws_free(ws);
    }
    CHECK_EQ(rc, 0);
    return result;
}

#define SWITCHING                                                              \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"               \
    "Connection: Upgrade\r\n"
#define ACCEPT "Sec-WebSocket-Accept: %s\r\n"
#define RIGHT  SWITCHING ACCEPT "\r\n"

static void check_begins(const char *with)
{
    if (strncmp(request, with, strlen(with)) != 0)
        test_fail(__FILE__, __LINE__, "not %s:\n%s", with, request);
}

TEST(a_request_has_the_target_and_host_of_the_url)
{
    static const struct {
        const char *url, *begins;
    } rows[] = {
        {"ws://a/", "GET / HTTP/1.1\r\nHost: a\r\n"},
        {"ws://a", "GET / HTTP/1.1\r\nHost: a\r\n"},
        {"ws://a?q", "GET /?q HTTP/1.1\r\nHost: a\r\n"},
        {"WS://a:80/b/c?d=e", "GET /b/c?d=e HTTP/1.1\r\nHost: a\r\n"},
        {"ws://a:8080/", "GET / HTTP/1.1\r\nHost: a:8080\r\n"},
        {"ws://[::1]:8080/", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n"},
        {"wss://a:443/", "GET / HTTP/1.1\r\nHost: a\r\n"},
        {"wss://a:80/", "GET / HTTP/1.1\r\nHost: a:80\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK_EQ(connect_to(rows[i].url, (weft_ws_opts){0}, RIGHT), 0);
        check_begins(rows[i].begins);
        CHECK(strstr(request, "\r\nUpgrade: websocket\r\n"));
        CHECK(strstr(request, "\r\nConnection: Upgrade\r\n"));
        CHECK(strstr(request, "\r\nSec-WebSocket-Version: 13\r\n"));
        CHECK(!strstr(request, "Origin"));
        CHECK_EQ(status, 101);
    }
}

TEST(what_else_is_asked_for_is_in_the_request)
{
    const weft_ws_opts o = {.protocols = "one, two",
                            .from = "http://me.example",
                            .fields =
                                (const char *const[]){"Cookie", "a=b", NULL}};
    CHECK_EQ(connect_to("ws://a/", o,
                        SWITCHING ACCEPT "Sec-WebSocket-Protocol: two\r\n\r\n"),
             0);
    CHECK(strstr(request, "\r\nSec-WebSocket-Protocol: one, two\r\n"));
    CHECK(strstr(request, "\r\nOrigin: http://me.example\r\n"));
    CHECK(strstr(request, "\r\nCookie: a=b\r\n"));
    CHECK(strstr(request, "[two]"));
    CHECK_EQ(connect_to("ws://a/", o, RIGHT), 0); /* none was chosen */
}

TEST(interim_answers_are_passed_over)
{
    CHECK_EQ(connect_to("ws://a/", (weft_ws_opts){0},
                        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                        "HTTP/1.1 102 Processing\r\n\r\n" RIGHT),
             0);
    CHECK_EQ(status, 101);
}

TEST(an_answer_that_is_no_proof_of_websocket_is_EPROTO)
{
    static const char *const answers[] = {
        SWITCHING "\r\n",
        SWITCHING "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        SWITCHING ACCEPT "Sec-WebSocket-Accept: x\r\n\r\n",
        "HTTP/1.1 101 S\r\nUpgrade: websocket\r\n" ACCEPT "\r\n",
        "HTTP/1.1 101 S\r\nConnection: Upgrade\r\n" ACCEPT "\r\n",
        "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n" ACCEPT
        "\r\n",
        SWITCHING ACCEPT "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        SWITCHING ACCEPT "Sec-WebSocket-Protocol: unasked\r\n\r\n",
        SWITCHING ACCEPT "Sec-WebSocket-Protocol:\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        CHECK_EQ(connect_to("ws://a/", (weft_ws_opts){0}, answers[i]), -EPROTO);
    CHECK_EQ(connect_to("ws://a/", (weft_ws_opts){.protocols = "one"},
                        SWITCHING ACCEPT "Sec-WebSocket-Protocol: ONE\r\n\r\n"),
             -EPROTO);
}

TEST(another_status_is_ECONNREFUSED_and_told)
{
    CHECK_EQ(connect_to("ws://a/", (weft_ws_opts){0},
                        "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
             -ECONNREFUSED);
    CHECK_EQ(status, 403);
    CHECK_STR(weft_last_error()->msg, "websocket: refused with 403 Forbidden");
    CHECK_EQ(connect_to("ws://a/", (weft_ws_opts){0},
                        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
             -ECONNREFUSED);
}

TEST(an_answer_that_is_no_http_is_EBADMSG)
{
    CHECK_EQ(connect_to("ws://a/", (weft_ws_opts){0}, "SSH-2.0-weft\r\n\r\n"),
             -EBADMSG);
    CHECK_EQ(status, 0);
    CHECK_EQ(connect_to("ws://a/", (weft_ws_opts){0},
                        SWITCHING "Folded: a\r\n b\r\n\r\n"),
             -EBADMSG);
}

static int check_refused(const char *url, weft_ws_opts o)
{
    weft_transport *pair[2];
    weft_ws *none = NULL;
    CHECK_EQ(weft_memory_pair(pair, 0), 0);
    o.transport = pair[0]; /* which is closed */
    int err = weft_ws_connect(&none, url, &o);
    CHECK(none == NULL);
    char octet;
    CHECK_EQ(weft_transport_read(pair[1], &octet, 1), 0);
    weft_transport_close(pair[1]);
    return err;
}

TEST(what_cannot_be_asked_for_is_refused_before_an_octet_is_sent)
{
    static const char *const urls[] = {"http://a/",      "a",
                                       "/path",          "",
                                       "ws:///",         "ws://a/#f",
                                       "ws://u@a/",      "ws://a/ b",
                                       "ws://a:0/",      "ws://a:65536/",
                                       "ws://a\r\nX: y/"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
        CHECK_EQ(check_refused(urls[i], (weft_ws_opts){0}), -EINVAL);
    CHECK_EQ(check_refused("ws://a/", (weft_ws_opts){.protocols = "a b"}),
             -EINVAL);
    static const char *const fields[][3] = {
        {"Host", "b", NULL},
        {"Connection", "close", NULL},
        {"sec-websocket-key", "x", NULL},
        {"Sec-WebSocket-Extensions", "permessage-deflate", NULL},
        {"Content-Length", "1", NULL},
        {"X", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        CHECK_EQ(check_refused("ws://a/", (weft_ws_opts){.fields = fields[i]}),
                 -EINVAL);
    static const char *const splits[] = {"X", "a\r\nY: b", NULL};
    CHECK_EQ(check_refused("ws://a/", (weft_ws_opts){.fields = splits}),
             -EINVAL);
    CHECK_EQ(check_refused("ws://a/", (weft_ws_opts){.from = "a\nb"}), -EINVAL);
    weft_ws *none;
    CHECK_EQ(weft_ws_connect(&none, "wss://a/", NULL), -EPROTONOSUPPORT);
}

TEST(a_closed_client_has_no_connection_any_more)
{
    weft_ws_opts with = {.close_timeout = WEFT_SEC(1)};
    weft_ws_message m;
    int rc;
    answer = RIGHT "\x88\x02\x03\xE8";
    served = false;
    CHECK_EQ(weft_memory_pair(ends, 0), 0);
    with.transport = ends[0];
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, serve, NULL);
        CHECK_EQ(weft_ws_connect(&ws, "ws://a/", &with), 0);
        CHECK_EQ(weft_ws_read(ws, &m), 0);
        CHECK_EQ(weft_ws_close(ws, 0, NULL), 0);
        if (rc == 0) rc = weft_sleep(1);
        CHECK(served);
        CHECK_EQ(weft_ws_send(ws, WEFT_WS_TEXT, "x", 1), -EPIPE);
        CHECK_EQ(weft_ws_flush(ws), -EPIPE);
        CHECK_EQ(weft_ws_read(ws, &m), 0);
        weft_ws_free(ws);
    }
    CHECK_EQ(rc, 0);
}

static weft_transport *silent;

TEST(a_server_that_does_not_answer_has_connect_timeout)
{
    weft_transport *pair[2];
    weft_ws *none;
    CHECK_EQ(weft_memory_pair(pair, 0), 0);
    silent = pair[1];
    weft_ws_opts o = {.transport = pair[0]};
    weft_time begun = weft_now();
    CHECK_EQ(weft_ws_connect(&none, "ws://a/", &o), -ETIMEDOUT);
    CHECK_EQ(weft_now() - begun, WEFT_SEC(30));
    weft_transport_close(silent);
}

static int end_it(void *arg)
{
    (void)arg;
    return weft_transport_shutdown_write(silent);
}

TEST(a_server_that_ends_instead_is_EPIPE)
{
    weft_transport *pair[2];
    weft_ws *none;
    int rc, result = 0;
    CHECK_EQ(weft_memory_pair(pair, 0), 0);
    silent = pair[1];
    weft_ws_opts o = {.transport = pair[0]};
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, end_it, NULL);
        result = weft_ws_connect(&none, "ws://a/", &o);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(result, -EPIPE);
    weft_transport_close(silent);
}

/* ---- over TCP ----------------------------------------------------------- */

static int accept_one(void *arg)
{
    weft_fd conn;
    int err = weft_accept(*(weft_fd *)arg, &conn, NULL);
    if (err < 0) return err;
    CHECK_EQ(weft_transport_of_fd(conn, &ends[1]), 0);
    return serve(NULL);
}

TEST_REAL(without_a_transport_it_is_dialled)
{
    weft_fd listener;
    weft_addr at;
    char url[WEFT_ADDR_TEXT + 10], text[WEFT_ADDR_TEXT];
    int rc;
    answer = RIGHT;
    CHECK_EQ(weft_listen(&listener, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_local_addr(listener, &at), 0);
    (void)snprintf(url, sizeof url, "ws://%s/x",
                   weft_addr_format(&at, text, sizeof text));
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, accept_one, &listener);
        CHECK_EQ(weft_ws_connect(&ws, url, NULL), 0);
        weft_ws_free(ws);
    }
    CHECK_EQ(rc, 0);
    check_begins("GET /x HTTP/1.1\r\nHost: 127.0.0.1:");
    CHECK_EQ(weft_close(listener), 0);
    CHECK_EQ(weft_ws_connect(&ws, url, NULL), -ECONNREFUSED);
}
