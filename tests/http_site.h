/* SPDX-License-Identifier: MIT */
/*
 * http_site.h - a server of HTTP in memory, and a client that writes octets and
 * looks at those that come back.
 *
 *     struct site site = {.opts = {.handler = hello}};
 *     open_site(&site);
 *     weft_transport *t = visit(&site);
 *     say(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
 *     CHECK_STR(hear(t), OK("Content-Length: 5\r\n", "hello"));
 *     close_site(&site);
 */
#ifndef TESTS_HTTP_SITE_H
#define TESTS_HTTP_SITE_H

#include <weft/fiber.h>
#include <weft/http_server.h>
#include <weft/memory.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/testing.h>
#include <weft/time.h>
#include <weft/transport.h>

#include <string.h>

#include "harness.h"

/* Of the first second on the virtual clock. */
#define DATE       "Date: Sun, 09 Sep 2001 01:46:40 GMT\r\n"
#define HEAD_OF(s) "HTTP/1.1 " s "\r\n" DATE
#define GET        "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
#define TEXT       "Content-Type: text/plain; charset=utf-8\r\n"
#define LENGTH(n)  "Content-Length: " #n "\r\n"
#define CLOSE      "Connection: close\r\n"
#define HELLO                                                                  \
    HEAD_OF("200 OK")                                                          \
    "Content-Type: text/plain\r\n" LENGTH(5) "\r\nhello"

struct site {
    weft_http_server_opts opts;
    weft_http_stats stats;
    weft_serve_stats conns;
    weft_http_server *server;
    weft_memory_listener *memory;
    weft_nursery nursery;
    weft_scope serving;
    size_t capacity;            /* of each way; 0: as usual */
    int (*run)(struct site *s); /* instead of serving in memory */
    int result;
};

/* In a scope of its own, so that a stop does not reach its clients. */
static inline int run_site(void *arg)
{
    struct site *s = arg;
    weft_scope_init(&s->serving);
    CHECK_EQ(weft_scope_begin(&s->serving), 0);
    s->result =
        s->run ? s->run(s) : weft_http_serve_memory(s->server, s->memory);
    return weft_scope_end(&s->serving, s->result);
}

/* The server, to which routes can be added before it serves. */
static inline void make_server(struct site *s)
{
    s->opts.stats = &s->stats;
    s->opts.serve.stats = &s->conns;
    s->server = weft_http_server_new(&s->opts);
    CHECK(s->server != NULL);
}

static inline void open_site(struct site *s)
{
    if (!s->server) make_server(s);
    s->memory = weft_memory_listener_new(0);
    CHECK(s->memory != NULL);
    weft_memory_listener_set_capacity(s->memory, s->capacity);
    CHECK_EQ(weft_nursery_open(&s->nursery, NULL), 0);
    CHECK_EQ(weft_spawn(&s->nursery, run_site, s), 0);
    CHECK_EQ(weft_yield(), 0);
}

static inline void stop_site(struct site *s)
{
    weft_scope_cancel(&s->serving, 0, NULL);
}

/* Stops it, which drains. */
static inline void close_site(struct site *s)
{
    stop_site(s);
    CHECK_EQ(weft_nursery_close(&s->nursery, 0), 0);
    CHECK_EQ(s->conns.active, 0);
    weft_memory_listener_free(s->memory);
    weft_http_server_free(s->server);
}

static inline weft_transport *visit(struct site *s)
{
    weft_transport *t;
    CHECK_EQ(weft_memory_dial(s->memory, &t), 0);
    return t;
}

static inline void say_octets(weft_transport *t, const void *data, size_t len)
{
    CHECK_EQ(weft_transport_write_all(t, data, len, NULL), 0);
}

static inline void say(weft_transport *t, const char *text)
{
    say_octets(t, text, strlen(text));
}

static char heard[1 << 21];
static size_t heard_len;
static int heard_end; /* what the last read said */

static inline void listen_on(weft_transport *t, size_t until)
{
    heard_len = 0;
    heard_end = 1;
    while (heard_len < until) {
        ssize_t n = weft_transport_read(t, heard + heard_len,
                                        sizeof heard - 1 - heard_len);
        if (n <= 0) {
            heard_end = (int)n;
            break;
        }
        heard_len += (size_t)n;
    }
    heard[heard_len] = 0;
}

/* What comes until nothing more does, without time passing. */
static inline const char *hear(weft_transport *t)
{
    heard_len = 0;
    heard_end = -EAGAIN;
    for (;;) {
        CHECK_EQ(weft_test_settle(), 0);
        ssize_t n = t->ops->try_read(t, heard + heard_len,
                                     sizeof heard - 1 - heard_len);
        if (n <= 0) {
            heard_end = (int)n;
            break;
        }
        heard_len += (size_t)n;
    }
    heard[heard_len] = 0;
    return heard;
}

/* All that comes until the connection ends. */
static inline const char *hear_all(weft_transport *t)
{
    listen_on(t, SIZE_MAX);
    return heard;
}

/* Says it on a connection of its own, says no more, and hears all. */
static inline const char *ask(struct site *s, const char *text)
{
    weft_transport *t = visit(s);
    say(t, text);
    CHECK_EQ(weft_transport_shutdown_write(t), 0);
    (void)hear_all(t);
    weft_transport_close(t);
    return heard;
}

#endif
