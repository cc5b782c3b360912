/* SPDX-License-Identifier: MIT */
/*
 * test_dns_servers.c - servers that are silent, refuse, or talk rubbish.
 */
#include <weft/time.h>

#include <unistd.h>

#include "dns_texts.h"

enum { SERVERS = 3 };

static const char *const zone[] = {
    "www.example 60 A 192.0.2.1", "b.example 60 A 192.0.2.2",
    "c.example 60 A 192.0.2.3",   "d.example 60 A 192.0.2.4",
    "e.example 60 A 192.0.2.5",   "big.example 60 A 10.0.0.0*60",
    "example 60 SOA 30",          NULL};

static struct dns_server servers[SERVERS];
static char list[SERVERS * WEFT_ADDR_TEXT];

/* A test with so many servers, asked in their order. */
#define WITH_SERVERS(id, count)                                                \
    static void id##_body(void);                                               \
    TEST(id)                                                                   \
    {                                                                          \
        with_servers(count, id##_body);                                        \
    }                                                                          \
    static void id##_body(void)

static void with_servers(int count, void (*body)(void))
{
    int rc;
    list[0] = 0;
    for (int i = 0; i < count; i++) {
        servers[i] = (struct dns_server){.zone = zone};
        dns_server_open(&servers[i]);
        strcat(strcat(list, i ? "," : ""), servers[i].address);
    }
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < count; i++)
            CHECK(dns_server_start(&servers[i], &n));
        body();
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < count; i++)
        dns_server_close(&servers[i]);
}

static weft_resolver *resolver(const weft_resolver_opts *more)
{
    weft_resolver_opts o = more ? *more : (weft_resolver_opts){.servers = NULL};
    o.servers = list;
    if (!o.resolv_conf) o.resolv_conf = "";
    o.hosts = "";
    weft_resolver *r = weft_resolver_new(&o);
    CHECK(r != NULL);
    return r;
}

/* How long it takes to find it so. */
static weft_time finds(weft_resolver *r, const char *host, const char *want)
{
    weft_time start = weft_now();
    CHECK_STR(dns_look_up(r, host, AF_INET), want);
    return weft_now() - start;
}

static weft_time fails(weft_resolver *r, const char *host, int code,
                       const char *one, const char *other)
{
    weft_time start = weft_now();
    dns_fails(r, host, code, one, other);
    return weft_now() - start;
}

WITH_SERVERS(two_dead_servers_cost_at_most_five_seconds_before_the_third, 3)
{
    weft_resolver *r = resolver(NULL);
    servers[0].silent = servers[1].silent = true;
    weft_time took = finds(r, "www.example", "192.0.2.1");
    CHECK(took >= WEFT_SEC(1) && took <= WEFT_SEC(5));
    weft_resolver_free(r);
}

WITH_SERVERS(two_dead_servers_alone_cost_at_most_five_seconds, 2)
{
    weft_resolver *r = resolver(NULL);
    servers[0].silent = servers[1].silent = true;
    weft_time took =
        fails(r, "www.example", -EHOSTUNREACH, "www.example", "no answer");
    CHECK(took >= WEFT_SEC(4) && took <= WEFT_SEC(5));
    CHECK_EQ(servers[0].count, 4); /* two rounds of two questions */
    CHECK_EQ(servers[1].count, 4);
    weft_resolver_free(r);
}

/* It is at it for three and a half seconds, whoever asks. */
static bool thinks_long(struct dns_server *s, const struct dns_query *q)
{
    (void)q;
    if (s->count > 1) s->delay = WEFT_MSEC(2500);
    return s->count > 1;
}

WITH_SERVERS(a_single_server_that_is_slow_is_waited_for, 1)
{
    weft_resolver *r = resolver(NULL);
    servers[0].before = thinks_long;
    weft_time took = finds(r, "www.example", "192.0.2.1");
    CHECK(took <= WEFT_SEC(5));
    weft_resolver_free(r);
}

WITH_SERVERS(a_dead_server_is_asked_last_for_half_a_minute, 2)
{
    weft_resolver *r = resolver(NULL);
    servers[0].silent = true;
    CHECK(finds(r, "www.example", "192.0.2.1") >= WEFT_SEC(1));
    CHECK_EQ(finds(r, "b.example", "192.0.2.2"), 0);
    CHECK_EQ(servers[0].count, 1);
    CHECK_EQ(weft_sleep(WEFT_SEC(40)), 0);
    CHECK(finds(r, "c.example", "192.0.2.3") >= WEFT_SEC(1));
    servers[0].silent = false;
    CHECK_EQ(weft_sleep(WEFT_SEC(40)), 0);
    CHECK_EQ(finds(r, "d.example", "192.0.2.4"), 0);
    CHECK_EQ(servers[0].count, 3);
    CHECK_EQ(servers[1].count, 3);
    weft_resolver_free(r);
}

WITH_SERVERS(a_server_that_answers_again_is_asked_first_again, 2)
{
    weft_resolver *r = resolver(NULL);
    servers[0].silent = true;
    (void)finds(r, "www.example", "192.0.2.1");
    servers[0].silent = false;
    servers[1].rcode = WF_DNS_REFUSED;
    CHECK_EQ(finds(r, "b.example", "192.0.2.2"), 0);
    CHECK_EQ(servers[1].count, 2);
    CHECK_EQ(finds(r, "c.example", "192.0.2.3"), 0);
    CHECK_EQ(servers[1].count, 2); /* now it is this one that comes last */
    servers[0].silent = true;
    servers[1].rcode = 0;
    CHECK(finds(r, "d.example", "192.0.2.4") >= WEFT_SEC(1));
    weft_resolver_free(r);
}

static void next_is_asked_at_once(void)
{
    weft_resolver *r = resolver(NULL);
    CHECK_EQ(finds(r, "www.example", "192.0.2.1"), 0);
    CHECK_EQ(servers[0].count, 1);
    CHECK_EQ(servers[1].count, 1);
    weft_resolver_free(r);
}

WITH_SERVERS(a_server_that_fails_is_passed_over_at_once, 2)
{
    servers[0].rcode = WF_DNS_SERVFAIL;
    next_is_asked_at_once();
}

WITH_SERVERS(a_server_that_refuses_is_passed_over_at_once, 2)
{
    servers[0].rcode = WF_DNS_REFUSED;
    next_is_asked_at_once();
}

WITH_SERVERS(a_server_that_talks_rubbish_is_passed_over_at_once, 2)
{
    servers[0].rubbish = true;
    next_is_asked_at_once();
}

WITH_SERVERS(a_server_that_knows_nothing_is_passed_over_at_once, 2)
{
    servers[0].lame = true;
    next_is_asked_at_once();
}

WITH_SERVERS(a_port_that_is_closed_is_passed_over_at_once, 1)
{
    struct dns_server gone = {.zone = zone};
    dns_server_open(&gone);
    dns_server_close(&gone);
    (void)snprintf(list, sizeof list, "%s %s", gone.address,
                   servers[0].address);
    weft_resolver *r = resolver(NULL);
    CHECK_EQ(finds(r, "www.example", "192.0.2.1"), 0);
    weft_resolver_free(r);
    (void)snprintf(list, sizeof list, "%s", gone.address);
    r = resolver(NULL);
    CHECK_EQ(fails(r, "www.example", -EHOSTUNREACH, gone.address, "refused"),
             0);
    weft_resolver_free(r);
}

WITH_SERVERS(that_servers_fail_is_told_with_what_they_say, 2)
{
    weft_resolver *r = resolver(NULL);
    servers[0].rcode = WF_DNS_SERVFAIL;
    servers[1].silent = true;
    (void)fails(r, "www.example", -EREMOTEIO, servers[0].address, "SERVFAIL");
    CHECK_EQ(servers[0].count, 2); /* not asked again in the second round */
    servers[0].rcode = WF_DNS_REFUSED;
    servers[1].silent = false;
    servers[1].rcode = WF_DNS_REFUSED;
    CHECK_EQ(fails(r, "www.example", -EREMOTEIO, "www.example", "REFUSED"), 0);
    servers[0].rcode = servers[1].rcode = 0;
    servers[0].rubbish = servers[1].rubbish = true;
    CHECK_EQ(fails(r, "www.example", -EBADMSG, "www.example", "rubbish"), 0);
    weft_resolver_free(r);
}

WITH_SERVERS(that_a_name_fails_does_not_put_a_server_last, 2)
{
    weft_resolver *r = resolver(NULL);
    servers[0].rcode = WF_DNS_SERVFAIL;
    CHECK_EQ(finds(r, "www.example", "192.0.2.1"), 0);
    servers[0].rcode = 0;
    CHECK_EQ(finds(r, "b.example", "192.0.2.2"), 0);
    CHECK_EQ(servers[0].count, 2);
    CHECK_EQ(servers[1].count, 1);
    weft_resolver_free(r);
}

WITH_SERVERS(a_failure_is_not_kept, 1)
{
    weft_resolver *r = resolver(NULL);
    servers[0].rcode = WF_DNS_SERVFAIL;
    (void)fails(r, "www.example", -EREMOTEIO, "SERVFAIL", NULL);
    servers[0].rcode = 0;
    CHECK_EQ(finds(r, "www.example", "192.0.2.1"), 0);
    weft_resolver_free(r);
}

/* ---- EDNS ---------------------------------------------------------------- */

static void is_asked_without_edns(void)
{
    weft_resolver *r = resolver(NULL);
    CHECK_EQ(finds(r, "www.example", "192.0.2.1"), 0);
    CHECK_EQ(servers[0].count, 2);
    CHECK(!servers[0].last.edns);
    CHECK_EQ(finds(r, "b.example", "192.0.2.2"), 0);
    CHECK_EQ(servers[0].count, 3); /* that is remembered */
    weft_resolver_free(r);
}

WITH_SERVERS(a_server_without_edns_is_asked_without_after_formerr, 1)
{
    servers[0].edns_rcode = WF_DNS_FORMERR;
    is_asked_without_edns();
}

WITH_SERVERS(a_server_without_edns_is_asked_without_after_notimp, 1)
{
    servers[0].edns_rcode = WF_DNS_NOTIMP;
    is_asked_without_edns();
}

WITH_SERVERS(a_server_without_edns_may_cut_its_error_to_the_header, 1)
{
    servers[0].edns_rcode = WF_DNS_FORMERR;
    servers[0].bare = true;
    is_asked_without_edns();
}

WITH_SERVERS(formerr_without_edns_is_a_refusal, 1)
{
    weft_resolver *r = resolver(NULL);
    servers[0].rcode = WF_DNS_FORMERR;
    CHECK_EQ(fails(r, "www.example", -EREMOTEIO, "FORMERR", NULL), 0);
    weft_resolver_free(r);
}

WITH_SERVERS(edns_is_left_out_on_request, 1)
{
    const weft_resolver_opts o = {.no_edns = true};
    weft_resolver *r = resolver(&o);
    (void)finds(r, "www.example", "192.0.2.1");
    CHECK(!servers[0].last.edns);
    weft_resolver_free(r);
}

/* ---- TCP ----------------------------------------------------------------- */

WITH_SERVERS(tcp_is_used_on_request, 1)
{
    const weft_resolver_opts o = {.tcp_only = true};
    weft_resolver_stats st;
    weft_resolver *r = resolver(&o);
    (void)finds(r, "www.example", "192.0.2.1");
    CHECK_EQ(servers[0].by_tcp, 1);
    weft_resolver_stats_read(r, &st);
    CHECK_EQ(st.tcp, 1);
    CHECK_EQ(st.queries, 0);
    weft_resolver_free(r);
}

WITH_SERVERS(a_server_that_cuts_and_has_no_tcp_is_passed_over, 1)
{
    struct dns_server deaf = {.zone = zone, .truncates = true, .deaf = true};
    int rc;
    dns_server_open(&deaf);
    (void)snprintf(list, sizeof list, "%s %s", deaf.address,
                   servers[0].address);
    weft_resolver *r = resolver(NULL);
    WEFT_NURSERY(n, rc) {
        CHECK(dns_server_start(&deaf, &n));
        CHECK_EQ(finds(r, "www.example", "192.0.2.1"), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(deaf.count, 1);
    weft_resolver_free(r);
    dns_server_close(&deaf);
}

static bool only_by_udp(struct dns_server *s, const struct dns_query *q)
{
    (void)s;
    return !q->tcp;
}

WITH_SERVERS(a_server_that_is_silent_by_tcp_costs_a_try, 2)
{
    weft_resolver *r = resolver(NULL);
    servers[0].truncates = true;
    servers[0].before = only_by_udp;
    weft_time took = finds(r, "www.example", "192.0.2.1");
    CHECK(took <= WEFT_MSEC(1100));
    weft_resolver_free(r);
}

static bool truncates_by_tcp(struct dns_server *s, const struct dns_query *q)
{
    s->rcode = q->tcp ? WF_DNS_TC : 0; /* it goes where the flags are */
    return true;
}

WITH_SERVERS(an_answer_that_is_cut_by_tcp_too_is_rubbish, 1)
{
    weft_resolver *r = resolver(NULL);
    servers[0].truncates = true;
    servers[0].before = truncates_by_tcp;
    CHECK_EQ(fails(r, "www.example", -EBADMSG, "rubbish", "cut short"), 0);
    weft_resolver_free(r);
}

/* ---- options ------------------------------------------------------------- */

WITH_SERVERS(a_time_out_and_attempts_that_are_given_are_kept, 1)
{
    const weft_resolver_opts o = {.timeout = WEFT_MSEC(200), .attempts = 4};
    weft_resolver *r = resolver(&o);
    weft_addr a;
    servers[0].silent = true;
    weft_time start = weft_now();
    CHECK_EQ(weft_dns_lookup(r, "www.example", AF_INET, &a, 1), -EHOSTUNREACH);
    CHECK(weft_now() - start >= WEFT_MSEC(800));
    CHECK(weft_now() - start < WEFT_MSEC(820));
    CHECK_EQ(servers[0].count, 4);
    weft_resolver_free(r);
}

static weft_time time_by_file(const char *options, unsigned *ret_count)
{
    char path[64];
    weft_addr a;
    (void)snprintf(path, sizeof path, "/tmp/weft-options-%d", (int)getpid());
    dns_write_file(path, options);
    const weft_resolver_opts o = {.resolv_conf = path};
    weft_resolver *r = resolver(&o);
    servers[0].count = 0;
    weft_time start = weft_now();
    CHECK_EQ(weft_dns_lookup(r, "www.example", AF_INET, &a, 1), -EHOSTUNREACH);
    weft_resolver_free(r);
    CHECK_EQ(unlink(path), 0);
    *ret_count = servers[0].count;
    return (weft_now() - start) / WEFT_SEC(1);
}

WITH_SERVERS(the_options_of_resolv_conf_are_kept, 1)
{
    unsigned count;
    servers[0].silent = true;
    CHECK_EQ(time_by_file("options timeout:3 attempts:3\n", &count), 9);
    CHECK_EQ(count, 3);
    CHECK_EQ(time_by_file("options ndots:2 timeout:5\n", &count), 10);
    CHECK_EQ(count, 2);
    CHECK_EQ(
        time_by_file("# options timeout:7\noptions attempts:2 #timeout:7\n",
                     &count),
        4);
    CHECK_EQ(time_by_file("options attempts:1\n", &count), 4);
    CHECK_EQ(count, 1);
}

WITH_SERVERS(rotate_spreads_the_questions, 3)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/tmp/weft-rotate-%d", (int)getpid());
    dns_write_file(path, "options rotate\n");
    const weft_resolver_opts o = {.resolv_conf = path};
    weft_resolver *r = resolver(&o);
    (void)finds(r, "www.example", "192.0.2.1");
    (void)finds(r, "b.example", "192.0.2.2");
    (void)finds(r, "c.example", "192.0.2.3");
    for (int i = 0; i < 3; i++)
        CHECK_EQ(servers[i].count, 1);
    weft_resolver_free(r);
    CHECK_EQ(unlink(path), 0);
}
