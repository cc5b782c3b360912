/* SPDX-License-Identifier: MIT */
/* test_dial.c - what is an address and what a name, one connection with its
 * options, and a real race. */
#include <weft/dial.h>
#include <weft/error.h>
#include <weft/net.h>
#include <weft/scope.h>
#include <weft/stats.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>

#include "harness.h"
#include "sockets.h"
#include "system.h"

/* ---- names and addresses ------------------------------------------------ */

struct asked {
    char host[256];
    int lookups;
    unsigned port;
};

static int notes_name(const char *host, int family, weft_addr ret[], size_t max,
                      void *user)
{
    struct asked *a = user;
    CHECK(max > 0);
    (void)snprintf(a->host, sizeof a->host, "%s", host);
    a->lookups++;
    if (family != AF_INET) return -ENODATA;
    CHECK_EQ(weft_addr_parse(&ret[0], "192.0.2.1:0"), 0);
    return 1;
}

static int notes_port(weft_fd *ret_conn, const weft_addr *to, void *user)
{
    struct asked *a = user;
    (void)ret_conn;
    a->port = weft_addr_port(to);
    return -EPROTO;
}

static int dial_noting(const char *address, struct asked *a)
{
    weft_fd conn;
    const weft_dial_opts o = {
        .lookup = notes_name, .connect = notes_port, .user = a};
    *a = (struct asked){.port = 99999};
    return weft_dial_with(&conn, address, &o);
}

TEST(a_name_with_a_port_is_looked_up)
{
    static const struct {
        const char *text, *host;
        unsigned port;
    } cases[] = {
        {"example.org:80", "example.org", 80},
        {"tcp://example.org:443", "example.org", 443},
        {"localhost:1", "localhost", 1},
        {"Example.ORG.:65535", "Example.ORG.", 65535},
        {"a-b_c.example:0", "a-b_c.example", 0},
        {"4.example:080", "4.example", 80},
        {"0xyz:80", "0xyz", 80},
        {"1.2.3.4.example:80", "1.2.3.4.example", 80},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct asked a;
        CHECK_EQ(dial_noting(cases[i].text, &a), -EPROTO);
        CHECK_STR(a.host, cases[i].host);
        CHECK_EQ(a.lookups, 2);
        CHECK_EQ(a.port, cases[i].port);
    }
}

TEST(an_address_is_not_looked_up)
{
    static const char *const cases[] = {"127.0.0.1:80", "tcp://127.0.0.1:80",
                                        "[::1]:80", ":80",
                                        "tcp://[2001:db8::1]:80"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct asked a;
        CHECK_EQ(dial_noting(cases[i], &a), -EPROTO);
        CHECK_EQ(a.lookups, 0);
        CHECK_EQ(a.port, 80);
    }
}

TEST(what_is_neither_is_einval_and_named)
{
    static const char *const cases[] = {"",
                                        ":",
                                        "example.org",
                                        "example.org:",
                                        "example.org:http",
                                        "example.org:80 ",
                                        " example.org:80",
                                        "example.org:65536",
                                        "example.org:-1",
                                        "example.org:80/",
                                        "http://example.org:80",
                                        "udp://example.org:80",
                                        "[example.org]:80",
                                        "example.org:80:80",
                                        "10.1:80",
                                        "127.1:80",
                                        "256.0.0.1:80",
                                        "1.2.3.4.5:80",
                                        "0x7f000001:80",
                                        "0x7F.1.:80",
                                        "2130706433:80",
                                        "1.2.3.0x:80",
                                        "::1:80",
                                        "[::1]",
                                        "[::1:80",
                                        "exa mple.org:80",
                                        "user@example.org:80",
                                        "unix:",
                                        "unix:@"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct asked a;
        int err = dial_noting(cases[i], &a);
        if (err != -EINVAL) CHECK_STR(cases[i], "-EINVAL");
        CHECK_EQ(a.lookups, 0);
        CHECK_EQ(a.port, 99999);
        CHECK(strstr(weft_last_error()->msg, cases[i]) != NULL);
        CHECK(strncmp(weft_last_error()->msg, "dial: ", 6) == 0);
    }
}

TEST(a_name_that_is_too_long_is_refused)
{
    char text[400];
    struct asked a;
    for (int i = 0; i < 400; i++)
        text[i] = i % 50 == 49 ? '.' : 'x';
    (void)snprintf(text + 253, 100, ":80");
    CHECK_EQ(dial_noting(text, &a), -EPROTO);
    CHECK_EQ(strlen(a.host), 253);
    for (int i = 0; i < 400; i++)
        text[i] = i % 50 == 49 ? '.' : 'x';
    (void)snprintf(text + 254, 100, ":80");
    CHECK_EQ(dial_noting(text, &a), -ENAMETOOLONG);
    CHECK_EQ(a.lookups, 0);
}

TEST(options_that_cannot_be_are_einval_and_nothing_is_asked)
{
    static const weft_dial_opts bad[] = {
        {.family = 12345},       {.prefer = AF_UNIX},
        {.family = -1},          {.local = "nonsense"},
        {.local = "192.0.2.1"},  {.local = "127.0.0.1:0", .family = AF_INET6},
        {.local = "unix:/tmp/x"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct asked a = {.port = 7};
        weft_dial_opts o = bad[i];
        weft_fd conn;
        o.lookup = notes_name;
        o.connect = notes_port;
        o.user = &a;
        CHECK_EQ(weft_dial_with(&conn, "example.org:80", &o), -EINVAL);
        CHECK(strncmp(weft_last_error()->msg, "dial example.org:80: ", 21) ==
              0);
        CHECK_EQ(a.lookups, 0);
        CHECK_EQ(a.port, 7);
    }
}

TEST(an_address_has_to_be_of_the_family_that_is_asked_for)
{
    static const struct {
        const char *address;
        weft_dial_opts o;
    } bad[] = {{"127.0.0.1:80", {.family = AF_INET6}},
               {"[::1]:80", {.family = AF_INET}},
               {"[::1]:80", {.local = "127.0.0.1:0"}},
               {"127.0.0.1:80", {.local = "[::]:0"}},
               {"127.0.0.1:80", {.local = "unix:/tmp/x"}},
               {"unix:/tmp/y", {.local = "127.0.0.1:0"}}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        weft_fd conn;
        CHECK_EQ(weft_dial_with(&conn, bad[i].address, &bad[i].o), -EINVAL);
        CHECK(strstr(weft_last_error()->msg, bad[i].address) != NULL);
    }
}

TEST_PLAIN(dialling_needs_a_fiber)
{
    weft_fd conn = {77, 78};
    weft_addr a;
    CHECK_EQ(weft_addr_parse(&a, "127.0.0.1:1"), 0);
    CHECK_EQ(weft_dial(&conn, "localhost:1"), -EPERM);
    CHECK_EQ(weft_dial(&conn, "nonsense"), -EPERM);
    CHECK_EQ(weft_dial_with(&conn, "127.0.0.1:1", NULL), -EPERM);
    CHECK_EQ(weft_dial_addrs(&conn, &a, 1, NULL), -EPERM);
    CHECK_EQ(conn.slot, 77);
}

/* ---- one connection ----------------------------------------------------- */

static char address[WEFT_ADDR_TEXT];

static weft_fd open_listener(const char *at, int backlog)
{
    const weft_listen_opts o = {.backlog = backlog};
    weft_fd listener;
    weft_addr a;
    int err = weft_listen(&listener, at, &o);
    if (err == -EADDRNOTAVAIL || err == -EAFNOSUPPORT)
        SKIP("this machine has no ::1");
    CHECK_EQ(err, 0);
    CHECK_EQ(weft_local_addr(listener, &a), 0);
    (void)weft_addr_format(&a, address, sizeof address);
    return listener;
}

static int option(weft_fd fd, int level, int name)
{
    int on = -1;
    socklen_t len = sizeof on;
    CHECK_EQ(weft_getsockopt(fd, level, name, &on, &len), 0);
    return on != 0;
}

TEST_REAL(options_are_those_that_were_asked_for)
{
    static const weft_dial_opts other = {.no_nodelay = true, .keepalive = true};
    weft_fd l = open_listener("127.0.0.1:0", 8), conn;
    CHECK_EQ(weft_dial_with(&conn, address, NULL), 0);
    CHECK_EQ(option(conn, IPPROTO_TCP, TCP_NODELAY), 1);
    CHECK_EQ(option(conn, SOL_SOCKET, SO_KEEPALIVE), 0);
    CHECK_EQ(weft_close(conn), 0);
    CHECK_EQ(weft_dial_with(&conn, address, &other), 0);
    CHECK_EQ(option(conn, IPPROTO_TCP, TCP_NODELAY), 0);
    CHECK_EQ(option(conn, SOL_SOCKET, SO_KEEPALIVE), 1);
    CHECK_EQ(weft_close(conn), 0);
    CHECK_EQ(weft_close(l), 0);
}

/* The port too: several go from there at once. */
TEST_REAL(a_connection_comes_from_where_it_was_bound_to)
{
    weft_fd l = open_listener("127.0.0.1:0", 8), conn, other, peer;
    weft_fd l2;
    weft_addr from;
    char at[WEFT_ADDR_TEXT], text[WEFT_ADDR_TEXT], first[WEFT_ADDR_TEXT];
    weft_dial_opts o = {.local = "127.0.0.1:0"};
    (void)snprintf(first, sizeof first, "%s", address);
    CHECK_EQ(weft_dial_with(&conn, first, &o), 0);
    CHECK_EQ(weft_local_addr(conn, &from), 0);
    CHECK(strncmp(weft_addr_format(&from, at, sizeof at), "127.0.0.1:", 10) ==
          0);
    CHECK(weft_addr_port(&from) != 0);
    CHECK_EQ(weft_accept(l, &peer, &from), 0);
    CHECK_STR(weft_addr_format(&from, text, sizeof text), at);
    CHECK_EQ(weft_close(conn), 0); /* first: the port lingers at this side */
    CHECK_EQ(weft_close(peer), 0);

    l2 = open_listener("127.0.0.1:0", 8);
    int spare = system_socket(AF_INET); /* a port that is free */
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t len = sizeof in;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(bind(spare, (struct sockaddr *)&in, sizeof in), 0);
    CHECK_EQ(getsockname(spare, (struct sockaddr *)&in, &len), 0);
    CHECK_EQ(close(spare), 0);
    (void)snprintf(at, sizeof at, "127.0.0.1:%u", ntohs(in.sin_port));
    o.local = at;
    CHECK_EQ(weft_dial_with(&conn, first, &o), 0);
    CHECK_EQ(weft_dial_with(&other, address, &o), 0);
    CHECK_EQ(weft_local_addr(other, &from), 0);
    CHECK_STR(weft_addr_format(&from, text, sizeof text), at);
    CHECK_EQ(weft_close(conn), 0);
    CHECK_EQ(weft_close(other), 0);
    CHECK_EQ(weft_close(l), 0);
    CHECK_EQ(weft_close(l2), 0);
}

TEST_REAL(a_unix_socket_can_have_a_name_at_this_side_too)
{
    char server[48], client[64], text[WEFT_ADDR_TEXT];
    const weft_dial_opts o = {.local = client};
    weft_fd l, conn, back;
    weft_addr peer;
    (void)snprintf(server, sizeof server, SYSTEM_LOCAL "weft-dial-%d",
                   (int)getpid());
    (void)snprintf(client, sizeof client, "%s-client", server);
    CHECK_EQ(weft_listen(&l, server, NULL), 0);
    CHECK_EQ(weft_dial_with(&conn, server, &o), 0);
    CHECK_EQ(weft_accept(l, &back, &peer), 0);
    CHECK_STR(weft_addr_format(&peer, text, sizeof text), client);
    CHECK_EQ(weft_close(conn), 0);
    CHECK_EQ(weft_close(back), 0);
    CHECK_EQ(weft_close(l), 0);
    (void)unlink(server + 5); /* where they are files */
    (void)unlink(client + 5);
}

TEST_REAL(what_cannot_be_bound_to_is_named)
{
    static const weft_dial_opts o = {.local = "192.0.2.77:0"};
    weft_fd conn;
    CHECK_EQ(weft_dial_with(&conn, "127.0.0.1:9", &o), -EADDRNOTAVAIL);
    CHECK_STR(weft_last_error()->msg, "dial 127.0.0.1:9: bind 192.0.2.77:0");
}

TEST_REAL(a_refusal_names_the_address_and_the_step)
{
    char text[WEFT_ADDR_TEXT + 32];
    weft_fd l = open_listener("127.0.0.1:0", 8), conn;
    CHECK_EQ(weft_close(l), 0);
    CHECK_EQ(weft_dial(&conn, address), -ECONNREFUSED);
    (void)snprintf(text, sizeof text, "dial %s: connect", address);
    CHECK_STR(weft_last_error()->msg, text);
}

TEST_REAL(one_address_takes_no_fiber)
{
    weft_fd l = open_listener("127.0.0.1:0", 8), conn;
    weft_stats before, after;
    weft_addr a;
    CHECK_EQ(weft_addr_parse(&a, address), 0);
    weft_stats_read(&before);
    CHECK_EQ(weft_dial(&conn, address), 0);
    CHECK_EQ(weft_close(conn), 0);
    CHECK_EQ(weft_dial_addrs(&conn, &a, 1, NULL), 0);
    CHECK_EQ(weft_close(conn), 0);
    weft_stats_read(&after);
    CHECK_EQ(after.spawned - before.spawned, 0);
    CHECK_EQ(weft_close(l), 0);
}

static int never_connects(weft_fd *ret_conn, const weft_addr *to, void *user)
{
    (void)ret_conn, (void)to, (void)user;
    return weft_sleep(WEFT_FOREVER);
}

TEST(one_address_has_a_time_of_its_own_too)
{
    static const weft_dial_opts o = {.connect = never_connects,
                                     .attempt_timeout = WEFT_SEC(3)};
    weft_fd conn;
    weft_time start = weft_now();
    CHECK_EQ(weft_dial_with(&conn, "192.0.2.1:80", &o), -ETIMEDOUT);
    CHECK_EQ(weft_now() - start, WEFT_SEC(3));
    CHECK_STR(weft_last_error()->msg, "dial 192.0.2.1:80: connect");
}

/* ---- addresses that are known ------------------------------------------- */

static char tried[256];

static int notes_and_fails(weft_fd *ret_conn, const weft_addr *to, void *user)
{
    char text[WEFT_ADDR_TEXT];
    size_t len = strlen(tried);
    (void)ret_conn, (void)user;
    (void)snprintf(tried + len, sizeof tried - len, "%s ",
                   weft_addr_format(to, text, sizeof text));
    return -ECONNREFUSED;
}

TEST(addresses_that_are_given_are_tried_in_their_order)
{
    static const weft_dial_opts o = {.connect = notes_and_fails,
                                     .prefer = AF_INET6};
    static const char *const texts[] = {"192.0.2.9:1", "192.0.2.1:2",
                                        "[2001:db8::1]:3", "unix:/tmp/x",
                                        "[2001:db8::2]:4"};
    weft_addr addrs[5];
    weft_fd conn;
    for (int i = 0; i < 5; i++)
        CHECK_EQ(weft_addr_parse(&addrs[i], texts[i]), 0);
    tried[0] = 0;
    CHECK_EQ(weft_dial_addrs(&conn, addrs, 5, &o), -ECONNREFUSED);
    CHECK_STR(tried, "192.0.2.9:1 192.0.2.1:2 [2001:db8::1]:3 unix:/tmp/x "
                     "[2001:db8::2]:4 ");
    CHECK_STR(weft_last_error()->msg,
              "dial 192.0.2.9:1 or 4 more: connect 192.0.2.9:1");
    CHECK_EQ(weft_dial_addrs(&conn, addrs, 0, &o), -EINVAL);
    CHECK_EQ(weft_last_error()->code, -EINVAL);
}

TEST(of_more_addresses_than_there_is_room_for_the_first_are_tried)
{
    static weft_addr addrs[WEFT_DIAL_ADDRS + 10];
    static const weft_dial_opts o = {.connect = notes_and_fails};
    char text[WEFT_ADDR_TEXT];
    weft_stats before, after;
    weft_fd conn;
    for (int i = 0; i < WEFT_DIAL_ADDRS + 10; i++) {
        (void)snprintf(text, sizeof text, "192.0.2.1:%d", 100 + i);
        CHECK_EQ(weft_addr_parse(&addrs[i], text), 0);
    }
    weft_stats_read(&before);
    CHECK_EQ(weft_dial_addrs(&conn, addrs, WEFT_DIAL_ADDRS + 10, &o),
             -ECONNREFUSED);
    weft_stats_read(&after);
    CHECK_EQ(after.spawned - before.spawned, WEFT_DIAL_ADDRS + 15);
}

/* ---- in the world ------------------------------------------------------- */

static unsigned port;

static int knows_loopback(const char *host, int family, weft_addr ret[],
                          size_t max, void *user)
{
    (void)host, (void)max, (void)user;
    return weft_addr_parse(&ret[0],
                           family == AF_INET ? "127.0.0.1:0" : "[::1]:0") < 0
               ? -ENODATA
               : 1;
}

/* Nobody accepts there, until the kernel leaves what comes unanswered. */
static weft_fd open_dead_listener(const char *at, weft_fd conns[], int many,
                                  int *ret_held)
{
    weft_fd l = open_listener(at, 1);
    int err = 0;
    *ret_held = 0;
    while (err == 0 && *ret_held < many) {
        WEFT_FAIL_AFTER(err, WEFT_MSEC(50))
            err = weft_dial(&conns[*ret_held], address);
        if (err == 0) ++*ret_held;
    }
    if (err != -ETIMEDOUT) SKIP("a full backlog refuses here");
    return l;
}

TEST_REAL(a_dead_ipv6_address_costs_no_more_than_300_ms_in_the_world)
{
    enum { MANY = 32 };
    static const weft_dial_opts o = {.lookup = knows_loopback};
    weft_fd conns[MANY], conn;
    weft_addr peer;
    char at[WEFT_ADDR_TEXT], from[WEFT_ADDR_TEXT], text[WEFT_ADDR_TEXT];
    int held;
    weft_fd live = open_listener("127.0.0.1:0", 8);
    CHECK_EQ(weft_local_addr(live, &peer), 0);
    port = weft_addr_port(&peer);
    (void)snprintf(at, sizeof at, "[::1]:%u", port);
    weft_fd dead = open_dead_listener(at, conns, MANY, &held);

    (void)snprintf(at, sizeof at, "example.org:%u", port);
    weft_time least = WEFT_FOREVER;
    for (int i = 0; i < 5 && least > WEFT_MSEC(300); i++) {
        weft_time start = weft_now(); /* the machine may be busy */
        CHECK_EQ(weft_dial_with(&conn, at, &o), 0);
        weft_time took = weft_now() - start;
        CHECK(took >= WEFT_MSEC(250));
        if (took < least) least = took;
        CHECK_EQ(weft_peer_addr(conn, &peer), 0);
        (void)snprintf(from, sizeof from, "127.0.0.1:%u", port);
        CHECK_STR(weft_addr_format(&peer, text, sizeof text), from);
        CHECK_EQ(weft_close(conn), 0);
    }
    CHECK(least <= WEFT_MSEC(test_is_slow() ? 2000 : 300));

    while (held > 0)
        CHECK_EQ(weft_close(conns[--held]), 0);
    CHECK_EQ(weft_close(dead), 0);
    CHECK_EQ(weft_close(live), 0);
}

/* One address is asked of, and the others are spared. */
TEST_REAL(without_a_descriptor_a_dial_by_name_says_so_and_ends)
{
    static const weft_dial_opts o = {.lookup = knows_loopback};
    struct rlimit limit, low;
    weft_stats before, after;
    weft_fd conn;
    int next = dup(0);
    CHECK(next >= 0);
    CHECK_EQ(close(next), 0);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = (rlim_t)next;
    weft_stats_read(&before);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    int err = weft_dial_with(&conn, "example.org:9", &o);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    weft_stats_read(&after);
    CHECK_EQ(err, -EMFILE);
    CHECK_STR(weft_last_error()->msg, "dial example.org:9: socket for [::1]:9");
    CHECK(weft_last_error()->next == NULL);
    CHECK_EQ(after.spawned - before.spawned, 3); /* two lookups, one attempt */
}

TEST_REAL(an_ipv6_address_that_refuses_costs_nothing_in_the_world)
{
    static const weft_dial_opts o = {.lookup = knows_loopback};
    char at[WEFT_ADDR_TEXT];
    weft_addr a;
    weft_fd conn, live = open_listener("127.0.0.1:0", 8);
    CHECK_EQ(weft_local_addr(live, &a), 0);
    (void)snprintf(at, sizeof at, "example.org:%u", weft_addr_port(&a));
    weft_time start = weft_now();
    CHECK_EQ(weft_dial_with(&conn, at, &o), 0);
    CHECK(weft_now() - start < WEFT_MSEC(test_is_slow() ? 2000 : 200));
    CHECK_EQ(weft_close(conn), 0);
    CHECK_EQ(weft_close(live), 0);
    CHECK_EQ(weft_dial_with(&conn, at, &o), -ECONNREFUSED);
    CHECK(strstr(weft_last_error()->msg, ": connect ") != NULL);
}
