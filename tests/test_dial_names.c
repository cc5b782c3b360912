/* SPDX-License-Identifier: MIT */
/* test_dial_names.c - dialling by name, with name servers and sockets. */
#include <weft/dial.h>
#include <weft/error.h>
#include <weft/net.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <stdio.h>
#include <string.h>

#include "dns_server.h"
#include "harness.h"

static const char *const zone[] = {"both.example 60 A 127.0.0.1",
                                   "both.example 60 AAAA ::1",
                                   "four.example 60 A 127.0.0.1",
                                   "alias.example 60 CNAME four.example",
                                   "mail.example 60 MX 10 both.example",
                                   "example 60 SOA 30",
                                   NULL};

static weft_resolver *resolver;

#define WITH_SERVER(id)                                                        \
    static void id##_body(struct dns_server *s);                               \
    static void id##_with(struct dns_server *s)                                \
    {                                                                          \
        resolver = dns_resolver_of(s, NULL);                                   \
        id##_body(s);                                                          \
        weft_resolver_free(resolver);                                          \
    }                                                                          \
    TEST(id)                                                                   \
    {                                                                          \
        struct dns_server s = {.zone = zone};                                  \
        dns_server_with(&s, id##_with);                                        \
    }                                                                          \
    static void id##_body(struct dns_server *s)

/* Where only IPv4 listens. */
static weft_fd open_listener(unsigned *ret_port)
{
    weft_fd l;
    weft_addr a;
    CHECK_EQ(weft_listen(&l, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_local_addr(l, &a), 0);
    *ret_port = weft_addr_port(&a);
    return l;
}

static int dial_name(const char *host, unsigned port, weft_fd *ret_conn)
{
    char text[128];
    const weft_dial_opts o = {.resolver = resolver};
    (void)snprintf(text, sizeof text, "%s:%u", host, port);
    return weft_dial_with(ret_conn, text, &o);
}

static void check_reaches(const char *host)
{
    unsigned port;
    weft_fd l = open_listener(&port), conn, back;
    CHECK_EQ(dial_name(host, port, &conn), 0);
    CHECK_EQ(weft_accept(l, &back, NULL), 0);
    CHECK_EQ(weft_close(conn), 0);
    CHECK_EQ(weft_close(back), 0);
    CHECK_EQ(weft_close(l), 0);
}

WITH_SERVER(a_name_is_reached_by_the_address_that_answers)
{
    check_reaches("both.example");
    check_reaches("four.example");
    check_reaches("alias.example.");
    unsigned before = s->count;
    check_reaches("both.example"); /* out of the cache */
    CHECK_EQ(s->count, before);
}

static bool only_answers_a(struct dns_server *s, const struct dns_query *q)
{
    (void)s;
    return q->type == 1;
}

WITH_SERVER(aaaa_records_that_nobody_answers_for_cost_50_ms)
{
    s->before = only_answers_a;
    weft_time start = weft_now();
    check_reaches("both.example");
    CHECK_EQ(weft_now() - start, WEFT_MSEC(50));
}

static void check_fails(const char *host, int code, const char *step)
{
    char text[128];
    weft_fd conn;
    CHECK_EQ(dial_name(host, 9, &conn), code);
    (void)snprintf(text, sizeof text, "dial %s:9: lookup", host);
    CHECK_EQ(strncmp(weft_last_error()->msg, text, strlen(text)), 0);
    CHECK_EQ(weft_last_error()->code, code);
    if (!strstr(weft_last_error()->msg, step))
        CHECK_STR(weft_last_error()->msg, step);
}

WITH_SERVER(a_name_that_cannot_be_had_says_why)
{
    check_fails("gone.example", -ENOENT, s->address);
    check_fails("mail.example", -ENODATA, s->address);
    check_fails("xn--.-", -EINVAL, "lookup");
    s->rcode = 2; /* SERVFAIL */
    check_fails("fails.example", -EREMOTEIO, s->address);
}

WITH_SERVER(a_deadline_ends_the_questions)
{
    weft_fd conn;
    int rc = 0;
    s->silent = true;
    weft_time start = weft_now();
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(700))
        rc = dial_name("both.example", 9, &conn);
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(700));
}

TEST_REAL(localhost_is_reached_without_any_server)
{
    unsigned port;
    char text[64];
    weft_fd l = open_listener(&port), conn;
    (void)snprintf(text, sizeof text, "localhost:%u", port);
    CHECK_EQ(weft_dial(&conn, text), 0);
    CHECK_EQ(weft_close(conn), 0);
    CHECK_EQ(weft_close(l), 0);
}

TEST_REAL(localhost_is_reached_by_the_system_s_resolver)
{
    static const weft_dial_opts o = {.system_resolver = true};
    unsigned port;
    char text[64];
    weft_fd l = open_listener(&port), conn;
    (void)snprintf(text, sizeof text, "tcp://localhost:%u", port);
    CHECK_EQ(weft_dial_with(&conn, text, &o), 0);
    CHECK_EQ(weft_close(conn), 0);
    CHECK_EQ(weft_close(l), 0);
}
