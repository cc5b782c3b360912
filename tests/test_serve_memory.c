/* SPDX-License-Identifier: MIT */
/* test_serve_memory.c - a server and its clients without a socket; and several
 * servers side by side. */
#include <weft/stream.h>

#include "harness.h"
#include "host.h"
#include "server.h"
#include "system.h"
#include "unhandled.h"

enum end { BY_FINI, BY_CLOSE };

static enum end handler_ends;

/* For a connection of any kind: line by line. */
static int answer_lines(weft_conn *c)
{
    weft_stream s;
    const char *line;
    ssize_t n;
    int rc = 0;
    weft_conn_stream(c, &s);
    while (rc == 0 && (n = weft_stream_read_until(&s, '\n', 80, &line)) != 0)
        rc = n < 0 ? (int)n : weft_stream_write(&s, line, (size_t)n);
    if (handler_ends == BY_CLOSE) {
        int err = weft_stream_close(&s);
        return rc < 0 ? rc : err;
    }
    if (rc == 0) rc = weft_stream_flush(&s);
    weft_stream_fini(&s);
    return rc;
}

static int talk(struct host *h)
{
    weft_stream s;
    const char *line;
    weft_stream_init_transport(&s, visit(h));
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(weft_stream_write(&s, "one\ntwo\n", 8), 0);
        CHECK_EQ(weft_stream_read_until(&s, '\n', 80, &line), 4);
        CHECK_EQ(memcmp(line, "one\n", 4), 0);
        CHECK_EQ(weft_stream_read_until(&s, '\n', 80, &line), 4);
        CHECK_EQ(memcmp(line, "two\n", 4), 0);
    }
    return weft_stream_close(&s);
}

static int be_guest(void *arg)
{
    return talk(arg);
}

TEST(pattern_121_clients_and_a_server_meet_in_memory)
{
    for (enum end end = BY_FINI; end <= BY_CLOSE; end++) {
        struct host h = {.handler = answer_lines};
        int rc, guests;
        handler_ends = end;
        WITH_HOST(h, rc)
        WEFT_NURSERY(m, guests)
            for (int i = 0; i < 50; i++)
                CHECK_EQ(weft_spawn(&m, be_guest, &h), 0);
        CHECK_EQ(guests, 0);
        CHECK_EQ(h.stats.accepted, 50);
        CHECK_EQ(h.stats.done, 50);
        CHECK(h.stats.peak > 10);
    }
}

static int close_it(weft_conn *c)
{
    char octet;
    CHECK_EQ(weft_fd_number(c->fd), -EBADF);
    weft_transport_close(c->transport);
    CHECK_EQ(weft_transport_read(c->transport, &octet, 1), -EBADF);
    CHECK_EQ(weft_transport_write(c->transport, "x", 1), -EBADF);
    CHECK_EQ(weft_transport_shutdown_write(c->transport), -EBADF);
    weft_transport_close(c->transport); /* and nobody minds */
    return 0;
}

TEST(a_handler_may_close_a_connection_in_memory_itself)
{
    struct host h = {.handler = close_it};
    int rc;
    WITH_HOST(h, rc)
    for (int i = 0; i < 3; i++)
        check_end(visit(&h));
    CHECK_EQ(h.stats.done, 3);
}

static int read_on(void *arg)
{
    weft_conn *c = arg;
    char octet;
    CHECK_EQ(weft_transport_read(c->transport, &octet, 1), -EBADF);
    return 0;
}

static int close_while_read(weft_conn *c)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, read_on, c);
        if (rc == 0) rc = weft_sleep(1);
        weft_transport_close(c->transport);
    }
    return rc;
}

TEST(who_reads_a_connection_in_memory_that_is_closed_is_told_so)
{
    struct host h = {.handler = close_while_read};
    int rc;
    WITH_HOST(h, rc)
    check_end(visit(&h));
    CHECK_EQ(h.stats.done, 1);
}

static int find_out_the_peer(weft_conn *c)
{
    CHECK_EQ(weft_addr_parse(&c->peer, "[2001:db8::7]:7"), 0);
    return 0;
}

static void note_peer(const weft_conn *c, int rc, weft_time took)
{
    struct host *h = c->arg;
    (void)rc, (void)took;
    h->seen += weft_addr_port(&c->peer) == 7;
}

TEST(a_handler_may_say_who_its_peer_is_and_it_counts_as_before)
{
    struct host h = {.handler = find_out_the_peer,
                     .opts = {.max_per_peer = 1, .on_end = note_peer}};
    int rc;
    WITH_HOST(h, rc)
    for (int i = 0; i < 3; i++)
        check_end(visit(&h));
    CHECK_EQ(h.stats.done, 3);
    CHECK_EQ(h.seen, 3);
}

TEST(max_conns_holds_in_memory_and_the_rest_wait)
{
    struct host h = {.handler = echo_in_memory, .opts = {.max_conns = 2}};
    weft_transport *t[4] = {NULL};
    char octet;
    int rc;
    WITH_HOST(h, rc)
    {
        for (int i = 0; i < 4; i++) {
            t[i] = visit(&h);
            CHECK_EQ(weft_transport_write(t[i], "x", 1), 1);
        }
        CHECK_EQ(weft_sleep(1), 0);
        CHECK_EQ(h.stats.active, 2);
        CHECK_EQ(t[2]->ops->try_read(t[2], &octet, 1), -EAGAIN);
        weft_transport_close(t[0]);
        CHECK_EQ(weft_transport_read(t[2], &octet, 1), 1);
        for (int i = 1; i < 4; i++)
            weft_transport_close(t[i]);
    }
    CHECK_EQ(h.stats.peak, 2);
    CHECK_EQ(h.stats.accepted, h.stats.done + h.stats.lost);
}

static bool refuse_all(weft_conn *c)
{
    CHECK(c->transport != NULL);
    CHECK_EQ(c->peer.len, 0);
    return false;
}

TEST(a_connection_in_memory_can_be_refused_and_has_no_peer_to_count)
{
    struct host no = {.handler = echo_in_memory,
                      .opts = {.on_connect = refuse_all,
                               .max_per_peer = 1,
                               .refuse_by_reset = true}};
    struct host yes = {.handler = echo_in_memory, .opts = {.max_per_peer = 1}};
    int rc;
    WITH_HOST(no, rc)
    check_end(visit(&no));
    CHECK_EQ(no.stats.refused, 1);
    WITH_HOST(yes, rc)
    {
        weft_transport *a = visit(&yes), *b = visit(&yes);
        check_answer(a, "x");
        check_answer(b, "y");
        weft_transport_close(a);
        weft_transport_close(b);
    }
    CHECK_EQ(yes.stats.accepted, 2);
}

TEST(the_listener_can_be_closed_by_its_owner_which_ends_the_server)
{
    struct host h = {.handler = echo_in_memory};
    int rc;
    open_host(&h);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, run_host, &h), 0);
        weft_transport *t = visit(&h);
        check_answer(t, "x");
        weft_transport_close(t);
        weft_memory_listener_close(h.listener);
    }
    CHECK_EQ(rc, -EBADF);
    weft_memory_listener_free(h.listener);
}

/* ---- several servers at once -------------------------------------------- */

static void ask_socket(struct server *s)
{
    weft_fd conn = dial(s);
    check_echo(conn, "hello\n");
    CHECK_EQ(weft_close(conn), 0);
}

TEST_REAL(several_servers_in_one_nursery_serve_and_stop_together)
{
    struct server tcp = {.handler = answer_lines},
                  local = {.handler = answer_lines};
    struct host memory = {.handler = answer_lines};
    int rc;
    handler_ends = BY_CLOSE;
    listen_for(&tcp);
    (void)snprintf(local.address, sizeof local.address,
                   SYSTEM_LOCAL "weft-test-several-%ld", (long)getpid());
    CHECK_EQ(weft_listen(&local.listener, local.address, NULL), 0);
    open_host(&memory);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, run_server, &tcp), 0);
        CHECK_EQ(weft_spawn(&n, run_server, &local), 0);
        CHECK_EQ(weft_spawn(&n, run_host, &memory), 0);
        for (int i = 0; i < 5; i++) {
            ask_socket(&tcp);
            ask_socket(&local);
            CHECK_EQ(talk(&memory), 0);
        }
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(tcp.result, -ECANCELED);
    CHECK_EQ(local.result, -ECANCELED);
    CHECK_EQ(memory.result, -ECANCELED);
    check_listener_is_closed(&tcp);
    weft_memory_listener_free(memory.listener);
}

static int fail_at_once(weft_conn *c)
{
    (void)c;
    return weft_fail(-EPROTO, "no good");
}

TEST(one_server_that_cannot_go_on_stops_those_beside_it)
{
    struct host bad = {.handler = fail_at_once},
                good = {.handler = answer_lines};
    int rc;
    weft_on_unhandled(note_unhandled);
    open_host(&bad);
    open_host(&good);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, run_host, &bad), 0);
        CHECK_EQ(weft_spawn(&n, run_host, &good), 0);
        check_end(visit(&bad)); /* a handler's failure is none of a server's */
        CHECK_EQ(talk(&good), 0);
        weft_memory_listener_close(bad.listener);
    }
    CHECK_EQ(rc, -EBADF);
    CHECK_EQ(good.result, -ECANCELED);
    CHECK_EQ(unhandled, 1);
    weft_on_unhandled(NULL);
    weft_memory_listener_free(bad.listener);
    weft_memory_listener_free(good.listener);
}
