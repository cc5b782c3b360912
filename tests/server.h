/* SPDX-License-Identifier: MIT */
/* server.h - a server with an eye on it, for the tests of weft_serve. */
#ifndef TESTS_SERVER_H
#define TESTS_SERVER_H

#include <weft/event.h>
#include <weft/serve.h>

#include <errno.h>

#include "harness.h"
#include "sockets.h"

/* A server in a nursery of its own, beside the clients. */
struct server {
    weft_fd listener;
    char address[WEFT_ADDR_TEXT];
    weft_conn_fn handler;
    weft_serve_opts opts;
    weft_serve_stats stats;
    int result;
    int now, most, all; /* connections */
    int failures;
    weft_event go; /* what some handlers wait for */
    bool draining_seen, reset;
};

static inline int run_server(void *arg)
{
    struct server *s = arg;
    s->result = weft_serve(s->listener, s->handler, s, &s->opts);
    return s->result;
}

static inline void listen_for(struct server *s)
{
    weft_addr at;
    CHECK_EQ(weft_listen(&s->listener, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_local_addr(s->listener, &at), 0);
    (void)weft_addr_format(&at, s->address, sizeof s->address);
}

static inline weft_fd dial(struct server *s)
{
    weft_fd conn;
    CHECK_EQ(weft_dial(&conn, s->address), 0);
    return conn;
}

static inline void enter(struct server *s)
{
    s->all++;
    if (++s->now > s->most) s->most = s->now;
}

static inline int echo(weft_conn *c)
{
    struct server *s = c->arg;
    char buf[256];
    ssize_t n;
    enter(s);
    while ((n = weft_read(c->fd, buf, sizeof buf)) > 0) {
        int err = weft_write_all(c->fd, buf, (size_t)n, NULL);
        if (err < 0) n = err;
    }
    s->now--;
    return n < 0 ? (int)n : 0;
}

static inline void check_echo(weft_fd conn, const char *text)
{
    char buf[64];
    size_t len = strlen(text);
    CHECK_EQ(weft_write_all(conn, text, len, NULL), 0);
    CHECK_EQ(weft_read_exact(conn, buf, len, NULL), 0);
    CHECK_EQ(memcmp(buf, text, len), 0);
}

static inline void check_listener_is_closed(struct server *s)
{
    weft_fd conn;
    CHECK_EQ(weft_close(s->listener), -EBADF);
    CHECK_EQ(weft_dial(&conn, s->address), -ECONNREFUSED);
}

#endif
