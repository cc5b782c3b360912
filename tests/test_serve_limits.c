/* SPDX-License-Identifier: MIT */
/* test_serve_limits.c - who may come in: so many of a peer, and on_connect. */
#include <weft/run.h>
#include <weft/stats.h>
#include <weft/workers.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness.h"
#include "server.h"
#include "system.h"

static void check_closed(weft_fd conn, int want)
{
    char c;
    CHECK_EQ(weft_read(conn, &c, 1), want);
    CHECK_EQ(weft_close(conn), 0);
}

/* From that address of this machine; false: it has none such. */
static bool dial_from(const char *from, const char *to, weft_fd *ret_conn)
{
    weft_addr a, b;
    CHECK_EQ(weft_addr_parse(&a, from), 0);
    CHECK_EQ(weft_addr_parse(&b, to), 0);
    CHECK_EQ(weft_socket(AF_INET, SOCK_STREAM, 0, ret_conn), 0);
    if (weft_bind(*ret_conn, (struct sockaddr *)&a.sa, a.len) < 0) {
        CHECK_EQ(weft_close(*ret_conn), 0);
        return false;
    }
    CHECK_EQ(weft_connect(*ret_conn, (struct sockaddr *)&b.sa, b.len), 0);
    return true;
}

#define WITH_SERVER(s, rc)                                                     \
    (s).opts.stats = &(s).stats;                                               \
    WEFT_NURSERY(n, rc)                                                        \
        for (int begun_ = weft_spawn(&n, run_server, &(s)); begun_ == 0;       \
             begun_ = 1, weft_nursery_cancel(&n, 0, NULL))

TEST_REAL(who_has_as_many_as_he_may_is_closed_at_once_and_counted)
{
    struct server s = {.handler = echo, .opts = {.max_per_peer = 2}};
    int rc;
    listen_for(&s);
    WITH_SERVER(s, rc)
    {
        weft_fd a = dial(&s), b = dial(&s);
        check_echo(a, "first");
        check_echo(b, "second");
        for (unsigned i = 1; i <= 5; i++) {
            check_closed(dial(&s), 0);
            CHECK_EQ(s.stats.refused_peer, i);
        }
        check_echo(a, "undisturbed");
        CHECK_EQ(weft_close(a), 0);
        while (s.stats.active > 1)
            CHECK_EQ(weft_sleep(WEFT_USEC(100)), 0);
        a = dial(&s);
        check_echo(a, "another one");
        CHECK_EQ(weft_close(a), 0);
        CHECK_EQ(weft_close(b), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.all, 3);
    CHECK_EQ(s.most, 2);
    CHECK_EQ(s.stats.accepted, 3);
    CHECK_EQ(s.stats.refused_peer, 5);
}

TEST_REAL(the_limit_of_a_peer_is_not_that_of_others)
{
    struct server s = {.handler = echo, .opts = {.max_per_peer = 1}};
    int rc;
    listen_for(&s);
    WITH_SERVER(s, rc)
    {
        weft_fd a = dial(&s), b, c;
        check_echo(a, "x");
        if (!dial_from("127.0.0.2:0", s.address, &b))
            SKIP("this machine is 127.0.0.1 only");
        check_echo(b, "y");
        check_closed(dial(&s), 0);
        CHECK(dial_from("127.0.0.2:0", s.address, &c));
        check_closed(c, 0);
        CHECK_EQ(weft_close(a), 0);
        CHECK_EQ(weft_close(b), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.stats.accepted, 2);
    CHECK_EQ(s.stats.refused_peer, 2);
}

TEST_REAL(who_is_refused_takes_no_place)
{
    struct server s = {.handler = echo,
                       .opts = {.max_conns = 2, .max_per_peer = 1}};
    int rc;
    listen_for(&s);
    WITH_SERVER(s, rc)
    {
        weft_fd b;
        weft_fd a = dial(&s);
        check_echo(a, "x");
        for (int i = 0; i < 10; i++)
            check_closed(dial(&s), 0);
        if (dial_from("127.0.0.2:0", s.address, &b)) {
            check_echo(b, "y");
            CHECK_EQ(weft_close(b), 0);
        }
        CHECK_EQ(weft_close(a), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.stats.refused_peer, 10);
}

TEST_REAL(who_is_refused_sees_a_reset_if_that_is_asked_for)
{
    struct server s = {.handler = echo,
                       .opts = {.max_per_peer = 1, .refuse_by_reset = true}};
    int rc;
    listen_for(&s);
    WITH_SERVER(s, rc)
    {
        weft_fd a = dial(&s);
        check_echo(a, "x");
        weft_fd b;
        int err = weft_dial(&b, s.address);
        if (err == 0)
            check_closed(b, -ECONNRESET);
        else
            CHECK_EQ(err, -ECONNRESET); /* before it was all there */
        CHECK_EQ(weft_close(a), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.stats.refused_peer, 1);
}

TEST_REAL(ipv4_and_its_mapped_form_are_one_peer)
{
    struct server s = {.handler = echo, .opts = {.max_per_peer = 1}};
    char v4[WEFT_ADDR_TEXT], v6[WEFT_ADDR_TEXT];
    weft_addr at;
    int rc, off = 0;
    if (weft_socket(AF_INET6, SOCK_STREAM, 0, &s.listener) < 0)
        SKIP("no IPv6 here");
    if (weft_setsockopt(s.listener, IPPROTO_IPV6, IPV6_V6ONLY, &off,
                        sizeof off) < 0)
        SKIP("no listener for both here");
    CHECK_EQ(weft_addr_parse(&at, "[::]:0"), 0);
    if (weft_bind(s.listener, (struct sockaddr *)&at.sa, at.len) < 0)
        SKIP("no IPv6 address here");
    CHECK_EQ(weft_listen_on(s.listener, 16), 0);
    CHECK_EQ(weft_local_addr(s.listener, &at), 0);
    (void)snprintf(v4, sizeof v4, "127.0.0.1:%u", weft_addr_port(&at));
    (void)snprintf(v6, sizeof v6, "[::1]:%u", weft_addr_port(&at));
    WITH_SERVER(s, rc)
    {
        weft_fd a, b, c;
        CHECK_EQ(weft_dial(&a, v4), 0);
        check_echo(a, "by IPv4");
        CHECK_EQ(weft_dial(&b, v4), 0);
        check_closed(b, 0);
        if (weft_dial(&c, v6) == 0) {
            check_echo(c, "by IPv6");
            CHECK_EQ(weft_close(c), 0);
        }
        CHECK_EQ(weft_close(a), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.stats.refused_peer, 1);
}

static void listen_locally(struct server *s)
{
    (void)snprintf(s->address, sizeof s->address,
                   SYSTEM_LOCAL "weft-test-limits-%ld", (long)getpid());
    CHECK_EQ(weft_listen(&s->listener, s->address, NULL), 0);
}

TEST_REAL(peers_of_a_unix_socket_have_no_limit)
{
    struct server s = {.handler = echo, .opts = {.max_per_peer = 1}};
    int rc;
    listen_locally(&s);
    WITH_SERVER(s, rc)
    {
        weft_fd a = dial(&s), b = dial(&s);
        check_echo(a, "x");
        check_echo(b, "y");
        CHECK_EQ(weft_close(a), 0);
        CHECK_EQ(weft_close(b), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.stats.accepted, 2);
    CHECK_EQ(s.stats.refused_peer, 0);
}

TEST_REAL(a_stop_takes_no_more_of_a_peer_from_the_backlog_than_he_may_have)
{
    struct server s = {.handler = echo, .opts = {.max_per_peer = 2}};
    weft_fd conn[5];
    int rc;
    listen_for(&s);
    for (int i = 0; i < 5; i++) {
        conn[i] = dial(&s);
        CHECK_EQ(weft_write(conn[i], "x", 1), 1);
        CHECK_EQ(weft_shutdown_write(conn[i]), 0);
    }
    WITH_SERVER(s, rc)
    continue;
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.stats.accepted, 2);
    CHECK_EQ(s.stats.refused_peer, 3);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(weft_close(conn[i]), 0);
}

/* ---- on_connect --------------------------------------------------------- */

static int asked;

static bool every_second(weft_conn *c)
{
    struct server *s = c->arg;
    weft_addr local;
    CHECK_EQ(weft_local_addr(c->fd, &local), 0);
    CHECK_EQ(weft_addr_port(&local), atoi(strrchr(s->address, ':') + 1));
    CHECK_EQ(c->peer.sa.ss_family, AF_INET);
    CHECK(weft_addr_port(&c->peer) > 0);
    CHECK(!weft_conn_draining(c));
    return ++asked % 2;
}

TEST_REAL(on_connect_refuses_before_there_is_a_fiber)
{
    struct server s = {.handler = echo, .opts = {.on_connect = every_second}};
    weft_stats before, after;
    int rc;
    listen_for(&s);
    WITH_SERVER(s, rc)
    {
        weft_stats_read(&before);
        for (int i = 0; i < 6; i++) {
            weft_fd conn = dial(&s);
            if (i % 2) {
                check_closed(conn, 0);
                continue;
            }
            check_echo(conn, "come in");
            CHECK_EQ(weft_close(conn), 0);
        }
        weft_stats_read(&after);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(asked, 6);
    CHECK_EQ(s.stats.accepted, 3);
    CHECK_EQ(s.stats.refused, 3);
    CHECK_EQ(after.spawned - before.spawned, 3 + 1); /* and the acceptor */
}

static bool nobody(weft_conn *c)
{
    (void)c;
    return false;
}

TEST_REAL(who_is_refused_by_on_connect_counts_for_no_peer)
{
    struct server s = {.handler = echo,
                       .opts = {.max_per_peer = 1, .on_connect = nobody}};
    int rc;
    listen_for(&s);
    WITH_SERVER(s, rc)
    for (unsigned i = 1; i <= 4; i++) {
        check_closed(dial(&s), 0);
        CHECK_EQ(s.stats.refused, i);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.stats.refused_peer, 0);
}

static bool forget_its_peer(weft_conn *c)
{
    c->peer.len = 0;
    return true;
}

static int echo_to_nobody(weft_conn *c)
{
    CHECK(c->peer.len > 0); /* on_connect had a copy */
    (void)forget_its_peer(c);
    return echo(c);
}

TEST_REAL(the_limit_goes_by_who_came_whatever_the_handler_makes_of_it)
{
    struct server s = {
        .handler = echo_to_nobody,
        .opts = {.max_per_peer = 1, .on_connect = forget_its_peer}};
    int rc;
    listen_for(&s);
    WITH_SERVER(s, rc)
    for (unsigned i = 1; i <= 3; i++) {
        weft_fd a = dial(&s);
        check_echo(a, "the only one");
        check_closed(dial(&s), 0);
        CHECK_EQ(s.stats.refused_peer, i);
        CHECK_EQ(weft_close(a), 0);
        while (s.stats.active > 0)
            CHECK_EQ(weft_sleep(WEFT_USEC(100)), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.stats.accepted, 3);
}

static int tell_peer(weft_conn *c)
{
    char text[WEFT_ADDR_TEXT];
    weft_addr a;
    CHECK_EQ(weft_peer_addr(c->fd, &a), 0);
    CHECK_EQ(a.len, c->peer.len);
    CHECK_EQ(memcmp(&a.sa, &c->peer.sa, a.len), 0);
    (void)weft_addr_format(&c->peer, text, sizeof text);
    return weft_write_all(c->fd, text, strlen(text), NULL);
}

TEST_REAL(a_handler_knows_its_peer_without_asking)
{
    struct server s = {.handler = tell_peer};
    int rc;
    listen_for(&s);
    WITH_SERVER(s, rc)
    {
        char want[WEFT_ADDR_TEXT], got[WEFT_ADDR_TEXT] = "";
        weft_fd conn = dial(&s);
        weft_addr me;
        CHECK_EQ(weft_local_addr(conn, &me), 0);
        (void)weft_addr_format(&me, want, sizeof want);
        CHECK_EQ(weft_read_exact(conn, got, strlen(want), NULL), 0);
        CHECK_STR(got, want);
        check_closed(conn, 0);
    }
    CHECK_EQ(rc, 0);
}

/* ---- on several workers ------------------------------------------------- */

enum { LIMIT = 5, GUESTS = 40 };

struct crowd {
    bool each_listens;
    weft_fd listener;
    weft_serve_opts opts;
    weft_serve_stats stats;
    unsigned here, most; /* atomic */
};

static unsigned now(const unsigned long *counter)
{
    return (unsigned)__atomic_load_n(counter, __ATOMIC_RELAXED);
}

static int hold_on(weft_conn *c)
{
    struct crowd *w = c->arg;
    char octet = (char)('0' + weft_worker());
    unsigned here = __atomic_add_fetch(&w->here, 1, __ATOMIC_SEQ_CST);
    CHECK(here <= LIMIT);
    CHECK(weft_addr_port(&c->peer) > 0);
    int err = weft_write_all(c->fd, &octet, 1, NULL);
    if (err == 0) err = (int)weft_read(c->fd, &octet, 1);
    __atomic_sub_fetch(&w->here, 1, __ATOMIC_SEQ_CST);
    return err;
}

static int serve_crowd(void *arg)
{
    struct crowd *w = arg;
    return weft_serve(w->listener, hold_on, w, &w->opts);
}

/* Of all that come as many are served as may be, and not one more. */
static void come(struct crowd *w, const char *address)
{
    weft_fd conn[GUESTS];
    unsigned served = 0, by_second = 0;
    unsigned refused = now(&w->stats.refused_peer);
    for (int i = 0; i < GUESTS; i++)
        CHECK_EQ(weft_dial(&conn[i], address), 0);
    for (int i = 0; i < GUESTS; i++) {
        char octet;
        ssize_t n = weft_read(conn[i], &octet, 1);
        CHECK(n == 1 || n == 0);
        served += n == 1;
        by_second += n == 1 && octet == '2';
    }
    CHECK_EQ(served, LIMIT);
    CHECK(by_second > 0 && by_second < LIMIT);
    CHECK_EQ(now(&w->stats.refused_peer) - refused, GUESTS - LIMIT);
    for (int i = 0; i < GUESTS; i++)
        CHECK_EQ(weft_close(conn[i]), 0);
    for (int i = 0; now(&w->stats.active) > 0; i++) {
        CHECK(i < 100000);
        CHECK_EQ(weft_sleep(WEFT_USEC(100)), 0);
    }
}

static int crowd(void *arg)
{
    struct crowd *w = arg;
    const weft_listen_opts o = {.reuse_port = w->each_listens};
    char address[WEFT_ADDR_TEXT];
    weft_addr at;
    int rc;
    CHECK_EQ(weft_listen(&w->listener, "127.0.0.1:0", &o), 0);
    CHECK_EQ(weft_local_addr(w->listener, &at), 0);
    (void)weft_addr_format(&at, address, sizeof address);
    w->opts.stats = &w->stats;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, serve_crowd, w), 0);
        for (int round = 0; round < 5; round++)
            come(w, address);
        weft_nursery_cancel(&n, 0, NULL);
    }
    return rc;
}

TEST_PLAIN(the_limit_of_a_peer_is_for_all_workers_together)
{
    const weft_run_opts o = {.workers = 2};
    for (int each = 0; each < 2; each++) {
        struct crowd w = {.each_listens = each,
                          .opts = {.max_per_peer = LIMIT}};
        CHECK_EQ(weft_run(crowd, &w, &o), 0);
        CHECK_EQ(w.stats.accepted, 5 * LIMIT);
        CHECK_EQ(w.stats.refused_peer, 5 * (GUESTS - LIMIT));
        CHECK_EQ(w.stats.done + w.stats.lost, w.stats.accepted);
        CHECK_EQ(w.stats.active, 0);
        CHECK_EQ(w.stats.peak, LIMIT);
        CHECK(each || w.stats.handed_over > 0);
    }
}
