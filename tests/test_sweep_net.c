/* SPDX-License-Identifier: MIT */
/* test_sweep_net.c - the sweep over streams and servers. */
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/net.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/serve.h>
#include <weft/socket.h>
#include <weft/stream.h>
#include <weft/time.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "sweep.h"

static weft_fd ends[2];
static int lines_sent, lines_read;

static bool open_ends(void)
{
    memset(ends, 0, sizeof ends);
    lines_sent = lines_read = 0;
    return sweep_had(weft_socketpair(AF_UNIX, SOCK_STREAM, ends) == 0);
}

static void close_ends(void)
{
    CHECK(lines_read <= lines_sent);
    (void)weft_close(ends[0]);
    (void)weft_close(ends[1]);
}

static int but_not_gone(int rc)
{
    return rc == -EPIPE || rc == -ECONNRESET ? 0 : rc;
}

/* What counts first; what close says of the rest comes after it. */
static int closed(weft_stream *s, int rc)
{
    int err = weft_stream_close(s);
    return but_not_gone(rc < 0 ? rc : err);
}

/* --- lines, there and back --- */

static int answers_lines(void *arg)
{
    weft_stream s;
    const char *line;
    ssize_t n;
    int rc = 0;
    (void)arg;
    weft_stream_init(&s, ends[0]);
    while (rc == 0 && (n = weft_stream_read_until(&s, '\n', 100, &line)) != 0) {
        rc = n < 0 ? (int)n : weft_stream_write(&s, line, (size_t)n);
    }
    return closed(&s, rc);
}

static int sends_lines(void *arg)
{
    weft_stream s;
    int rc = 0;
    (void)arg;
    weft_stream_init(&s, ends[1]);
    for (int turn = 0; turn < 3 && rc == 0; turn++) {
        char text[40];
        const char *line;
        /* Two at a time: they go out together. */
        for (int i = 0; i < 2 && rc == 0; i++) {
            int len = snprintf(text, sizeof text, "line %d\n", lines_sent);
            rc = weft_stream_write(&s, text, (size_t)len);
            if (rc == 0) lines_sent++;
        }
        for (int i = 0; i < 2 && rc == 0; i++) {
            int len = snprintf(text, sizeof text, "line %d\n", lines_read);
            ssize_t n = weft_stream_read_until(&s, '\n', 100, &line);
            rc = n < 0 ? (int)n : n == 0 ? -EPIPE : 0;
            if (rc < 0) break;
            CHECK_EQ(n, len);
            CHECK_EQ(memcmp(line, text, (size_t)len), 0);
            lines_read++;
        }
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
    }
    return closed(&s, rc);
}

static void start_lines(weft_nursery *n)
{
    if (!open_ends()) return;
    sweep_spawn(n, answers_lines, NULL);
    sweep_spawn(n, sends_lines, NULL);
}

SWEEP(lines_come_whole_and_in_order, start_lines, close_ends, 0);

/* --- more than the buffers hold --- */

enum { BLOCK = 20000 };

static int streams_much(void *arg)
{
    static char block[BLOCK];
    weft_stream s;
    int rc = 0;
    (void)arg;
    memset(block, 'b', sizeof block);
    weft_stream_init(&s, ends[1]);
    for (int i = 0; i < 12 && rc == 0; i++) {
        rc = weft_stream_write(&s, block, sizeof block);
        if (rc == 0) lines_sent++;
    }
    if (rc == 0) rc = weft_stream_flush(&s);
    if (rc < 0) {
        weft_stream_fini(&s);
        CHECK_EQ(weft_close(ends[1]), 0);
        return but_not_gone(rc);
    }
    return but_not_gone(weft_stream_finish(&s, WEFT_MSEC(5)));
}

static int reads_much(void *arg)
{
    static char block[BLOCK];
    weft_stream s;
    int rc = 0;
    (void)arg;
    weft_stream_init(&s, ends[0]);
    while (rc == 0) {
        rc = weft_stream_read_exact(&s, block, sizeof block);
        if (rc < 0) break;
        CHECK_EQ(block[0], 'b');
        CHECK_EQ(block[BLOCK - 1], 'b');
        lines_read++;
        rc = weft_sleep(WEFT_MSEC(1));
    }
    return closed(&s, rc);
}

/* One whole block may have been sent by a call that failed behind it. */
static void close_much(void)
{
    lines_sent++;
    close_ends();
}

static void start_much(weft_nursery *n)
{
    if (!open_ends()) return;
    sweep_spawn(n, streams_much, NULL);
    sweep_spawn(n, reads_much, NULL);
}

SWEEP(a_stream_that_is_full_waits, start_much, close_much, 0);

/* --- one who reads, and one who writes --- */

static weft_stream both;
static int users;

static void leave_stream(void)
{
    if (--users > 0) return;
    weft_stream_fini(&both);
    CHECK_EQ(weft_close(ends[1]), 0);
}

static int only_writes(void *arg)
{
    int rc = 0;
    (void)arg;
    for (int i = 0; i < 4 && rc == 0; i++) {
        rc = weft_stream_write(&both, "ab\n", 3);
        if (rc == 0) lines_sent++;
        if (rc == 0 && i % 2) rc = weft_stream_flush(&both);
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
    }
    (void)!weft_shutdown_write(ends[1]);
    leave_stream();
    return but_not_gone(rc);
}

static int only_reads(void *arg)
{
    const char *line;
    ssize_t n;
    (void)arg;
    while ((n = weft_stream_read_until(&both, '\n', 10, &line)) > 0) {
        CHECK_EQ(n, 3);
        lines_read++;
    }
    leave_stream();
    return but_not_gone(n < 0 ? (int)n : 0);
}

static void start_sharing(weft_nursery *n)
{
    users = 0;
    if (!open_ends()) return;
    users = 2;
    weft_stream_init(&both, ends[1]);
    sweep_spawn(n, answers_lines, NULL);
    sweep_spawn(n, only_writes, NULL);
    sweep_spawn(n, only_reads, NULL);
}

static void close_shared(void)
{
    CHECK(users == 0 || sweep_short_of_memory());
    if (users > 0) weft_stream_fini(&both);
    lines_sent += users > 0; /* one may have gone out unnoticed */
    close_ends();
}

SWEEP(reading_and_writing_do_not_meet, start_sharing, close_shared,
      SWEEP_PEERS_MAY_WAIT);

/* --- looking without taking --- */

static int looks_before_it_takes(void *arg)
{
    weft_stream s;
    const char *data;
    char rest[3];
    ssize_t n;
    (void)arg;
    weft_stream_init(&s, ends[0]);
    while ((n = weft_stream_peek(&s, &data)) > 0) {
        while (n > 0 && n < 5) {
            ssize_t had = n;
            n = weft_stream_more(&s, (size_t)had, 64, &data);
            if (n == had) n = 0; /* it ended in the middle */
        }
        if (n <= 0) break;
        CHECK_EQ(memcmp(data, "ab", 2), 0);
        weft_stream_consume(&s, 2);
        n = weft_stream_read(&s, rest, sizeof rest);
        CHECK(n < 0 || (n == 3 && memcmp(rest, "cd\n", 3) == 0));
        if (n < 0) break;
        lines_read++;
    }
    return closed(&s, n < 0 ? (int)n : 0);
}

static int writes_in_halves(void *arg)
{
    (void)arg;
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++) {
        rc = weft_write_all(ends[1], "abc", 3, NULL);
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
        if (rc == 0) lines_sent++; /* perhaps */
        if (rc == 0) rc = weft_write_all(ends[1], "d\n", 2, NULL);
    }
    CHECK_EQ(weft_close(ends[1]), 0);
    return but_not_gone(rc);
}

static void start_looking(weft_nursery *n)
{
    if (!open_ends()) return;
    sweep_spawn(n, looks_before_it_takes, NULL);
    sweep_spawn(n, writes_in_halves, NULL);
}

SWEEP(to_look_takes_nothing, start_looking, close_ends, 0);

/* --- a server, and its clients --- */

static weft_fd listener;
static char address[WEFT_ADDR_TEXT];
static weft_serve_opts serve_opts;
static int visitors, handlers, served, answered;
static weft_scope serving;
static bool is_serving;

static int handles(weft_conn *c)
{
    weft_stream s;
    const char *line;
    ssize_t n;
    int rc = 0;
    handlers++;
    served++;
    weft_stream_init(&s, c->fd);
    while (rc == 0 && (n = weft_stream_read_until(&s, '\n', 64, &line)) != 0) {
        rc = n < 0 ? (int)n : weft_stream_write(&s, line, (size_t)n);
        if (weft_conn_draining(c)) break;
    }
    if (rc == 0) rc = weft_stream_flush(&s);
    weft_stream_fini(&s);
    handlers--;
    return rc;
}

/* Until the clients have all been here. */
static int serves(void *arg)
{
    (void)arg;
    weft_scope_init(&serving);
    int rc = weft_scope_begin(&serving);
    CHECK_EQ(rc, 0);
    is_serving = true;
    rc = weft_serve(listener, handles, NULL, &serve_opts);
    is_serving = false;
    CHECK(rc < 0);
    CHECK_EQ(handlers, 0);
    return weft_scope_end(&serving, rc);
}

static int visits(void *arg)
{
    weft_stream s;
    weft_fd conn = {0};
    const char *line;
    (void)arg;
    int rc = weft_dial(&conn, address);
    if (rc < 0) return rc == -ECONNREFUSED ? 0 : but_not_gone(rc);
    weft_stream_init(&s, conn);
    for (int i = 0; i < 2 && rc == 0; i++) {
        rc = weft_stream_write(&s, "hello\n", 6);
        if (rc < 0) break;
        ssize_t n = weft_stream_read_until(&s, '\n', 64, &line);
        rc = n < 0 ? (int)n : n == 0 ? -EPIPE : 0;
        if (rc < 0) break;
        CHECK_EQ(n, 6);
        answered++;
        rc = weft_sleep(WEFT_MSEC(1));
    }
    return closed(&s, rc);
}

/* The last one turns the light off. */
static int visits_and_leaves(void *arg)
{
    int rc = visits(arg);
    if (--visitors == 0 && is_serving)
        weft_scope_cancel(&serving, 0, "all were here");
    return rc;
}

static void open_server(weft_nursery *n, unsigned max_conns)
{
    weft_addr at;
    visitors = handlers = served = answered = 0;
    is_serving = false;
    /* Stacks of their own, so that there may be no memory for one. */
    serve_opts =
        (weft_serve_opts){.max_conns = max_conns, .stack_size = 128 << 10};
    listener = (weft_fd){0};
    if (!sweep_had(weft_listen(&listener, "127.0.0.1:0", NULL) == 0)) return;
    CHECK_EQ(weft_local_addr(listener, &at), 0);
    (void)weft_addr_format(&at, address, sizeof address);
    sweep_spawn(n, serves, NULL);
    for (; visitors < 3; visitors++) {
        sweep_spawn(n, visits_and_leaves, NULL);
    }
}

static void start_server(weft_nursery *n)
{
    open_server(n, 0);
}

static void start_small_server(weft_nursery *n)
{
    open_server(n, 1);
}

static void check_server(void)
{
    CHECK_EQ(handlers, 0);
    (void)weft_close(listener); /* it was started by nobody */
}

SWEEP(a_server_leaves_no_connection, start_server, check_server,
      SWEEP_PEERS_MAY_WAIT | SWEEP_CLEANUP_SLEEPS | SWEEP_SPARE_CHILDREN);
SWEEP(a_full_server_leaves_no_connection, start_small_server, check_server,
      SWEEP_PEERS_MAY_WAIT | SWEEP_CLEANUP_SLEEPS | SWEEP_SPARE_CHILDREN);
