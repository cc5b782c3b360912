/* SPDX-License-Identifier: MIT */
/* test_serve.c - a server: many clients, its limit, and those who fail. */
#include <weft/debug.h>
#include <weft/error.h>

#include <errno.h>
#include <stdio.h>

#include "dump.h"
#include "harness.h"
#include "server.h"
#include "unhandled.h"

static int be_client(void *arg)
{
    weft_fd conn = dial(arg);
    for (int i = 0; i < 10; i++) check_echo(conn, "hello");
    return weft_close(conn);
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
    CHECK_EQ(unhandled, 5);
    CHECK_EQ(s.result, -ECANCELED);
    weft_on_unhandled(NULL);
}

static int fail_as_told(weft_conn *c)
{
    char how;
    ssize_t n = weft_read(c->fd, &how, 1);
    if (n <= 0) return (int)n;
    if (how == 'R') return weft_fail(-ECONNRESET, "he has gone");
    if (how == 'P') return weft_fail(-EPIPE, "he has gone too");
    return weft_fail(-EPROTO, "no such order");
}

TEST_REAL(the_failure_of_a_handler_reaches_the_hook_once_and_a_lost_peer_not)
{
    struct server s = {.handler = fail_as_told};
    int rc;
    weft_on_unhandled(note_unhandled);
    listen_for(&s);
    WEFT_NURSERY(n, rc) {
        char c;
        CHECK_EQ(weft_spawn(&n, run_server, &s), 0);
        for (int i = 0; i < 3; i++) {
            weft_fd conn = dial(&s);
            CHECK_EQ(weft_write(conn, &"RPx"[i], 1), 1);
            CHECK_EQ(weft_read(conn, &c, 1), 0);
            CHECK_EQ(weft_close(conn), 0);
            settle();
            CHECK_EQ(unhandled, i == 2);
        }
        weft_fd conn = dial(&s); /* and a reset that is one */
        settle();
        CHECK_EQ(weft_set_reset_on_close(conn, true), 0);
        CHECK_EQ(weft_close(conn), 0);
        settle();
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(unhandled, 1);
    CHECK_EQ(unhandled_code, -EPROTO);
    CHECK_STR(unhandled_msg, "no such order");
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
    int rc;
    listen_for(&s);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, run_server, &s), 0);
        weft_fd conn = dial(&s);
        check_echo(conn, "x");
        CHECK(strstr(dump(), "\"guest\"") != NULL);
        CHECK_EQ(weft_close(conn), 0);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
}
