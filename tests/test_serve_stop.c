/* SPDX-License-Identifier: MIT */
/* test_serve_stop.c - a server stops gracefully, and in the end for certain. */
#include <weft/run.h>
#include <weft/scope.h>

#include <errno.h>
#include <signal.h>

#include "harness.h"
#include "process.h"
#include "server.h"

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
