/* SPDX-License-Identifier: MIT */
/* test_serve.c - a server: its limits, its failures and its stop. */
#include <weft/debug.h>
#include <weft/error.h>
#include <weft/event.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/serve.h>
#include <weft/stream.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "harness.h"
#include "process.h"
#include "sockets.h"

/* A server in a nursery of its own, beside the clients. */
struct server {
    weft_fd listener;
    char address[WEFT_ADDR_TEXT];
    weft_conn_fn handler;
    weft_serve_opts opts;
    int result;
    int now, most, all; /* connections */
    int failures;
    weft_event go; /* what some handlers wait for */
    bool draining_seen, reset;
};

static int run_server(void *arg)
{
    struct server *s = arg;
    s->result = weft_serve(s->listener, s->handler, s, &s->opts);
    return s->result;
}

static void listen_for(struct server *s)
{
    weft_addr at;
    CHECK_EQ(weft_listen(&s->listener, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_local_addr(s->listener, &at), 0);
    (void)weft_addr_format(&at, s->address, sizeof s->address);
}

static weft_fd dial(struct server *s)
{
    weft_fd conn;
    CHECK_EQ(weft_dial(&conn, s->address), 0);
    return conn;
}

static void enter(struct server *s)
{
    s->all++;
    if (++s->now > s->most) s->most = s->now;
}

static int echo(weft_conn *c)
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

static void check_echo(weft_fd conn, const char *text)
{
    char buf[64];
    size_t len = strlen(text);
    CHECK_EQ(weft_write_all(conn, text, len, NULL), 0);
    CHECK_EQ(weft_read_exact(conn, buf, len, NULL), 0);
    CHECK_EQ(memcmp(buf, text, len), 0);
}

static int be_client(void *arg)
{
    weft_fd conn = dial(arg);
    for (int i = 0; i < 10; i++) check_echo(conn, "hello");
    return weft_close(conn);
}

static void check_listener_is_closed(struct server *s)
{
    weft_fd conn;
    CHECK_EQ(weft_close(s->listener), -EBADF);
    CHECK_EQ(weft_dial(&conn, s->address), -ECONNREFUSED);
}

TEST_REAL(many_clients_are_served_at_once)
{
    struct server s = {.handler = echo};
    int rc, clients;
    listen_for(&s);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, run_server, &s), 0);
        WEFT_NURSERY(m, clients) {
            for (int i = 0; i < 200; i++)
                CHECK_EQ(weft_spawn(&m, be_client, &s), 0);
        }
        CHECK_EQ(clients, 0);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.result, -ECANCELED);
    CHECK_EQ(s.all, 200);
    CHECK(s.most > 10);
    check_listener_is_closed(&s);
}

TEST_REAL(no_more_than_max_conns_are_served_and_the_rest_wait)
{
    struct server s = {.handler = echo, .opts = {.max_conns = 3}};
    int rc;
    listen_for(&s);
    WEFT_NURSERY(n, rc) {
        weft_fd conn[6];
        char c;
        CHECK_EQ(weft_spawn(&n, run_server, &s), 0);
        for (int i = 0; i < 6; i++) conn[i] = dial(&s);
        for (int i = 0; i < 3; i++) check_echo(conn[i], "served");
        CHECK_EQ(weft_write(conn[3], "x", 1), 1);
        settle();
        CHECK_EQ(weft_try_read(conn[3], &c, 1), -EAGAIN);
        CHECK_EQ(s.all, 3);
        CHECK_EQ(weft_close(conn[0]), 0);
        CHECK_EQ(weft_read(conn[3], &c, 1), 1);
        CHECK_EQ(s.all, 4);
        CHECK_EQ(s.most, 3);
        for (int i = 1; i < 6; i++) CHECK_EQ(weft_close(conn[i]), 0);
        while (s.all < 6 || s.now > 0) CHECK_EQ(weft_sleep(WEFT_USEC(100)), 0);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.most, 3);
}

static void note_unhandled(const weft_error *e)
{
    (void)e;
}

static int fail_or_echo(weft_conn *c)
{
    struct server *s = c->arg;
    char first;
    if (weft_read(c->fd, &first, 1) == 1 && first == 'F') {
        s->failures++;
        return weft_fail(-EPROTO, "this client is unlucky");
    }
    return echo(c);
}

TEST_REAL(a_handler_that_fails_does_not_disturb_the_others)
{
    struct server s = {.handler = fail_or_echo};
    int rc;
    weft_on_unhandled(note_unhandled);
    listen_for(&s);
    WEFT_NURSERY(n, rc) {
        char c;
        CHECK_EQ(weft_spawn(&n, run_server, &s), 0);
        weft_fd good = dial(&s);
        CHECK_EQ(weft_write(good, "G", 1), 1);
        for (int i = 0; i < 5; i++) {
            weft_fd bad = dial(&s);
            CHECK_EQ(weft_write(bad, "F", 1), 1);
            CHECK_EQ(weft_read(bad, &c, 1), 0); /* closed for him */
            CHECK_EQ(weft_close(bad), 0);
            check_echo(good, "still here");
        }
        CHECK_EQ(weft_close(good), 0);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.failures, 5);
    CHECK_EQ(s.result, -ECANCELED);
    weft_on_unhandled(NULL);
}

static int close_it(weft_conn *c)
{
    return weft_close(c->fd);
}

TEST_REAL(a_handler_may_close_its_connection_itself)
{
    struct server s = {.handler = close_it};
    int rc;
    listen_for(&s);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, run_server, &s), 0);
        for (int i = 0; i < 5; i++) {
            weft_fd conn = dial(&s);
            char c;
            CHECK_EQ(weft_read(conn, &c, 1), 0);
            CHECK_EQ(weft_close(conn), 0);
        }
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
}

TEST_REAL(the_connection_fibers_have_the_name_that_was_asked_for)
{
    struct server s = {.handler = echo, .opts = {.name = "guest"}};
    static char text[4096];
    int rc;
    listen_for(&s);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, run_server, &s), 0);
        weft_fd conn = dial(&s);
        check_echo(conn, "x");
        FILE *f = tmpfile();
        CHECK(f != NULL);
        weft_dump(fileno(f));
        ssize_t got = pread(fileno(f), text, sizeof text - 1, 0);
        CHECK(got > 0 && strstr(text, "\"guest\"") != NULL);
        CHECK_EQ(fclose(f), 0);
        CHECK_EQ(weft_close(conn), 0);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
}

/* ---- the stop ----------------------------------------------------------- */

TEST_REAL(a_stop_serves_what_waits_in_the_backlog)
{
    struct server s = {.handler = echo};
    weft_fd conn[5];
    int rc;
    listen_for(&s);
    for (int i = 0; i < 5; i++) {
        conn[i] = dial(&s);
        CHECK_EQ(weft_write(conn[i], "early", 5), 5);
        CHECK_EQ(weft_shutdown_write(conn[i]), 0);
    }
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, run_server, &s), 0);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.result, -ECANCELED);
    CHECK_EQ(s.all, 5);
    for (int i = 0; i < 5; i++) {
        char buf[8];
        CHECK_EQ(weft_read_exact(conn[i], buf, 5, NULL), 0);
        CHECK_EQ(weft_read(conn[i], buf, 1), 0);
        CHECK_EQ(weft_close(conn[i]), 0);
    }
    check_listener_is_closed(&s);
}

/* Works on for some milliseconds when it is told to go. */
static int work_through(weft_conn *c)
{
    struct server *s = c->arg;
    char request;
    CHECK(!weft_conn_draining(c));
    CHECK_EQ(weft_read(c->fd, &request, 1), 1);
    enter(s);
    while (!weft_conn_draining(c)) {
        int err = weft_sleep(WEFT_USEC(200));
        if (err < 0) return err;
    }
    s->draining_seen = true;
    CHECK(!weft_cancelled());
    CHECK_EQ(weft_sleep(WEFT_MSEC(3)), 0);
    CHECK_EQ(weft_write_all(c->fd, "done", 4, NULL), 0);
    s->now--;
    return 0;
}

TEST_REAL(a_stop_lets_the_handlers_finish_and_tells_them)
{
    struct server s = {.handler = work_through};
    char buf[8];
    int rc;
    listen_for(&s);
    weft_fd conn = {0, 0};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, run_server, &s), 0);
        conn = dial(&s);
        CHECK_EQ(weft_write(conn, "x", 1), 1);
        while (!s.all) CHECK_EQ(weft_sleep(WEFT_USEC(100)), 0);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK(s.draining_seen);
    CHECK_EQ(s.now, 0);
    CHECK_EQ(weft_read_exact(conn, buf, 4, NULL), 0);
    CHECK_EQ(weft_close(conn), 0);
    check_listener_is_closed(&s);
}

TEST_REAL(a_connection_idle_after_the_linger_sees_the_end_of_its_input)
{
    struct server s = {.handler = echo,
                       .opts = {.linger = WEFT_MSEC(5), .drain = WEFT_SEC(9)}};
    int rc;
    char c;
    listen_for(&s);
    weft_fd conn = {0, 0};
    weft_time start = 0;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, run_server, &s), 0);
        conn = dial(&s);
        check_echo(conn, "x");
        start = weft_now();
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK(weft_now() - start >= WEFT_MSEC(5));
    CHECK(weft_now() - start < WEFT_SEC(2));
    CHECK_EQ(s.now, 0);
    CHECK_EQ(weft_read(conn, &c, 1), 0);
    CHECK_EQ(weft_close(conn), 0);
}

TEST_REAL(a_request_that_comes_during_the_linger_is_answered)
{
    struct server s = {.handler = echo, .opts = {.linger = WEFT_MSEC(20)}};
    int rc, inner;
    listen_for(&s);
    weft_fd conn = {0, 0};
    WEFT_NURSERY(n, rc) {
        WEFT_NURSERY(m, inner) {
            CHECK_EQ(weft_spawn(&m, run_server, &s), 0);
            conn = dial(&s);
            check_echo(conn, "x");
            weft_nursery_cancel(&m, 0, NULL);
            WEFT_SHIELD(inner, WEFT_SEC(5)) {
                inner = weft_sleep(WEFT_MSEC(1));
                check_echo(conn, "late");
            }
        }
        CHECK_EQ(inner, 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_close(conn), 0);
}

static int ignore_the_end(weft_conn *c)
{
    struct server *s = c->arg;
    enter(s);
    int err = weft_event_wait(&s->go);
    s->failures += err == -ECANCELED;
    return err;
}

TEST_REAL(what_is_left_after_the_drain_is_cancelled)
{
    struct server s = {
        .handler = ignore_the_end,
        .opts = {.linger = WEFT_MSEC(1), .drain = WEFT_MSEC(8)}};
    int rc;
    listen_for(&s);
    weft_fd conn = {0, 0};
    weft_time start = 0;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, run_server, &s), 0);
        conn = dial(&s);
        while (!s.all) CHECK_EQ(weft_sleep(WEFT_USEC(100)), 0);
        start = weft_now();
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.failures, 1);
    CHECK(weft_now() - start >= WEFT_MSEC(8));
    CHECK(weft_now() - start < WEFT_SEC(2));
    CHECK_EQ(weft_close(conn), 0);
}

TEST_REAL(a_full_server_can_be_stopped_too)
{
    struct server s = {.handler = echo,
                       .opts = {.max_conns = 1, .linger = WEFT_MSEC(2)}};
    weft_fd first = {0, 0}, second = {0, 0};
    int rc;
    listen_for(&s);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, run_server, &s), 0);
        first = dial(&s);
        check_echo(first, "x");
        second = dial(&s);
        settle();
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK(s.most <= 1);
    CHECK_EQ(weft_close(first), 0);
    CHECK_EQ(weft_close(second), 0);
    check_listener_is_closed(&s);
}

TEST_REAL(a_listener_closed_by_somebody_ends_the_server)
{
    struct server s = {.handler = echo};
    int rc;
    listen_for(&s);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, run_server, &s), 0);
        settle();
        CHECK_EQ(weft_close(s.listener), 0);
    }
    CHECK_EQ(rc, -EBADF);
    CHECK_EQ(s.result, -EBADF);
}

/* ---- SIGTERM ------------------------------------------------------------ */

static int serve_until_signal(void *arg)
{
    int rc;
    listen_for(arg);
    WEFT_NURSERY(n, rc) {
        struct server *s = arg;
        s->opts.linger = WEFT_MSEC(2);
        CHECK_EQ(weft_spawn(&n, run_server, s), 0);
        weft_fd conn = dial(s);
        check_echo(conn, "x");
        CHECK_EQ(raise(SIGTERM), 0);
        char c;
        CHECK_EQ(weft_read(conn, &c, 1), -ECANCELED);
        CHECK_EQ(weft_cancel_reason()->kind, WEFT_R_SIGNAL);
        CHECK_EQ(weft_close(conn), 0);
    }
    return rc;
}

TEST_PLAIN(sigterm_stops_a_server_and_the_run_returns_0)
{
    const weft_run_opts o = {.handle_signals = true};
    struct server s = {.handler = echo};
    struct sigaction now;
    CHECK_EQ(weft_run(serve_until_signal, &s, &o), 0);
    CHECK_EQ(s.result, -ECANCELED);
    CHECK_EQ(s.now, 0);
    CHECK_EQ(sigaction(SIGTERM, NULL, &now), 0);
    CHECK(now.sa_handler == SIG_DFL);
}

static int never_stop(void *unused)
{
    (void)unused;
    CHECK_EQ(raise(SIGTERM), 0);
    while (weft_sleep(WEFT_MSEC(1)) == 0) continue;
    CHECK_EQ(raise(SIGTERM), 0); /* the second one is in earnest */
    return 0;
}

static void run_never_stop(void *unused)
{
    const weft_run_opts o = {.handle_signals = true};
    (void)unused;
    (void)!weft_run(never_stop, NULL, &o);
}

TEST_PLAIN(the_second_sigterm_ends_the_process)
{
    static struct ending e;
    run_in_process(run_never_stop, NULL, &e);
    CHECK_EQ(e.signal, SIGTERM);
}
