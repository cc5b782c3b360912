/* SPDX-License-Identifier: MIT */
/* test_http_client_sockets.c - the same over TCP, where a kernel is between. */
#include <weft/fiber.h>
#include <weft/http_client.h>
#include <weft/net.h>
#include <weft/nursery.h>
#include <weft/serve.h>
#include <weft/time.h>

#include <stdio.h>
#include <string.h>

#include "harness.h"

static char url[64];
static int conns;

static int serve(void *arg)
{
    weft_fd listener;
    weft_addr at;
    weft_conn_fn handler = *(weft_conn_fn *)arg;
    CHECK_EQ(weft_listen(&listener, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_local_addr(listener, &at), 0);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/x",
                   weft_addr_port(&at));
    conns = 0;
    CHECK_EQ(weft_started(NULL), 0);
    weft_serve_opts o = {.linger = WEFT_MSEC(1)};
    return weft_serve(listener, handler, NULL, &o);
}

#define WITH_SERVER(handler, rc, h)                                            \
    WEFT_NURSERY(nursery_, rc)                                                 \
        for (weft_http *h = begin(&nursery_, handler); h; h = end(&nursery_, h))

static weft_http *begin(weft_nursery *n, weft_conn_fn handler)
{
    CHECK_EQ(weft_start(n, serve, &handler, NULL), 0);
    weft_http *h = weft_http_new(NULL);
    CHECK(h != NULL);
    return h;
}

static weft_http *end(weft_nursery *n, weft_http *h)
{
    CHECK_EQ(weft_http_free(h), 0);
    weft_nursery_cancel(n, 0, NULL);
    return NULL;
}

static void check_get(weft_http *h, const char *want)
{
    weft_resp r;
    weft_text body;
    CHECK_EQ(weft_http_get(h, url, &r), 0);
    CHECK_EQ(weft_resp_body(&r, 0, &body), 0);
    CHECK_STR(body.at, want);
    CHECK_EQ(weft_resp_end(&r), 0);
}

/* Answers, and then says `more`, if any, that nobody asked for. */
static int answer_and(weft_conn *c, const char *more)
{
    static const char reply[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    weft_stream s;
    const char *head;
    int err = 0;
    conns++;
    weft_conn_stream(c, &s);
    while (err == 0 &&
           weft_stream_read_until_text(&s, "\r\n\r\n", 4096, &head) > 0) {
        err = weft_stream_write(&s, reply, sizeof reply - 1);
        if (err == 0) err = weft_stream_flush(&s);
        if (err == 0 && more) err = weft_stream_write(&s, more, strlen(more));
        if (err == 0 && more) err = weft_stream_flush(&s);
    }
    weft_stream_fini(&s);
    return err;
}

static int answer(weft_conn *c)
{
    return answer_and(c, NULL);
}

static int answer_too_much(weft_conn *c)
{
    return answer_and(c, "HTTP/1.1 299 Evil\r\nContent-Length: 0\r\n\r\n");
}

static weft_fd servers; /* its end of the latest connection */

static int answer_and_show(weft_conn *c)
{
    servers = c->fd;
    return answer_and(c, NULL);
}

static int answer_once(weft_conn *c)
{
    static const char reply[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    weft_stream s;
    const char *head;
    conns++;
    weft_conn_stream(c, &s);
    ssize_t n = weft_stream_read_until_text(&s, "\r\n\r\n", 4096, &head);
    int err = n > 0 ? weft_stream_write(&s, reply, sizeof reply - 1) : 0;
    int rc = weft_stream_close(&s);
    return err < 0 ? err : rc;
}

TEST_REAL(a_hundred_requests_go_over_one_connection)
{
    int rc;
    WITH_SERVER(answer, rc, h)
    for (int i = 0; i < 100; i++)
        check_get(h, "ok");
    CHECK_EQ(rc, 0);
    CHECK_EQ(conns, 1);
}

TEST_REAL(what_comes_behind_a_reply_is_seen_before_the_next_request)
{
    int rc;
    WITH_SERVER(answer_too_much, rc, h)
    for (int i = 0; i < 50; i++)
        check_get(h, "ok");
    CHECK_EQ(rc, 0);
    CHECK_EQ(conns, 50);
}

TEST_REAL(what_has_come_since_the_last_poll_is_seen_too)
{
    static const char evil[] = "HTTP/1.1 299 Evil\r\nContent-Length: 0\r\n\r\n";
    int rc;
    WITH_SERVER(answer_and_show, rc, h)
    for (int i = 0; i < 10; i++) {
        check_get(h, "ok"); /* and in the same turn */
        CHECK_EQ(weft_try_write(servers, evil, sizeof evil - 1),
                 sizeof evil - 1);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(conns, 10);
}

TEST_REAL(a_connection_that_ends_after_each_reply_is_never_asked_again)
{
    int rc;
    WITH_SERVER(answer_once, rc, h)
    for (int i = 0; i < 50; i++)
        check_get(h, "ok");
    CHECK_EQ(rc, 0);
    CHECK_EQ(conns, 50);
}

/* A refusal while the client is sending; it has to arrive. */
static int refuse(weft_conn *c)
{
    static const char reply[] =
        "HTTP/1.1 413 Too Large\r\nConnection: close\r\n"
        "Content-Length: 2\r\n\r\nno";
    weft_stream s;
    const char *head;
    conns++;
    weft_conn_stream(c, &s);
    ssize_t n = weft_stream_read_until_text(&s, "\r\n\r\n", 4096, &head);
    int err = n > 0 ? weft_stream_write(&s, reply, sizeof reply - 1) : 0;
    int rc = weft_stream_finish(&s, WEFT_SEC(5));
    return err < 0 ? err : rc;
}

TEST_REAL(a_refusal_is_read_by_who_is_still_sending)
{
    enum { LARGE = 8 << 20 };
    static char body[LARGE];
    weft_resp r;
    weft_text text;
    int rc;
    WITH_SERVER(refuse, rc, h)
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(weft_http_post(h, url, NULL, body, LARGE, &r), 0);
        CHECK_EQ(r.status, 413);
        CHECK_EQ(weft_resp_body(&r, 0, &text), 0);
        CHECK_STR(text.at, "no");
        CHECK_EQ(weft_resp_end(&r), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(conns, 20);
}

TEST_REAL(nobody_there_is_told_with_the_address)
{
    weft_http *h = weft_http_new(NULL);
    weft_resp r;
    CHECK(h != NULL);
    CHECK_EQ(weft_http_get(h, "http://127.0.0.1:1/", &r), -ECONNREFUSED);
    CHECK(strstr(weft_last_error()->msg, "127.0.0.1:1") != NULL);
    CHECK_EQ(weft_http_free(h), 0);
}
