/* SPDX-License-Identifier: MIT */
/*
 * test_dns_records.c - SRV, MX, TXT, PTR, and the system's own resolver.
 */
#include <weft/names.h>
#include <weft/net.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <unistd.h>

#include "dns_texts.h"

static const char *const zone[] = {
    "_sip._udp.example 60 SRV 20 0 5062 c.example",
    "_sip._udp.example 61 SRV 10 60 5060 a.example",
    "_sip._udp.example 60 SRV 10 20 5061 b.example",
    "_sip._udp.example 60 SRV 10 0 5063 d.example",
    "_none._tcp.example 60 SRV 0 0 0 .",
    "_odd._tcp.example 60 SRV 0 0 1 b\\032d.example",
    "_odd._tcp.example 60 SRV 0 0 2 good.example",
    "example 60 MX 20 backup.example",
    "example 60 MX 5 first.example",
    "example 60 MX 20 other.example",
    "nomail.example 60 MX 0 .",
    "text.example 60 TXT one|two",
    "text.example 60 TXT three",
    "empty.example 60 TXT |",
    "1.2.0.192.in-addr.arpa 60 PTR www.example",
    "2.2.0.192.in-addr.arpa 60 CNAME 2.0-63.2.0.192.in-addr.arpa",
    "2.0-63.2.0.192.in-addr.arpa 60 PTR delegated.example",
    "3.2.0.192.in-addr.arpa 60 PTR e\\032vil.example",
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa "
    "60 PTR six.example",
    "example 60 SOA 30",
    NULL};

#define WITH_SERVER(id)                                                        \
    static void id##_body(struct dns_server *s, weft_resolver *r);             \
    static void id##_with(struct dns_server *s)                                \
    {                                                                          \
        weft_resolver *r = dns_resolver_of(s, NULL);                           \
        id##_body(s, r);                                                       \
        weft_resolver_free(r);                                                 \
    }                                                                          \
    TEST(id)                                                                   \
    {                                                                          \
        struct dns_server s = {.zone = zone};                                  \
        dns_server_with(&s, id##_with);                                        \
    }                                                                          \
    static void id##_body(struct dns_server *s, weft_resolver *r)

/* ---- SRV ----------------------------------------------------------------- */

WITH_SERVER(servers_of_a_service_come_by_priority_and_drawn_by_weight)
{
    enum { DRAWS = 4000 };
    int first_a = 0, first_b = 0, first_d = 0;
    for (int i = 0; i < DRAWS; i++) {
        weft_srv v[8];
        CHECK_EQ(weft_dns_srv(r, "_sip._udp.example", v, 8), 4);
        CHECK_STR(v[3].target, "c.example.");
        CHECK_EQ(v[3].port, 5062);
        CHECK_EQ(v[3].priority, 20);
        unsigned ports = 0;
        for (int k = 0; k < 4; k++)
            ports |= 1u << (v[k].port - 5060);
        CHECK_EQ(ports, 15); /* each once */
        first_a += v[0].port == 5060;
        first_b += v[0].port == 5061;
        first_d += v[0].port == 5063;
        if (v[0].port == 5060) CHECK_EQ(v[0].weight, 60);
        if (v[0].port == 5060) CHECK_EQ(v[0].ttl, 61);
    }
    CHECK_EQ(s->count, 1);
    CHECK_EQ(first_a + first_b + first_d, DRAWS);
    /* 60 of 81 numbers are a's, 20 b's, and the 0 is d's: six deviations. */
    CHECK(first_a > 2963 - 170 && first_a < 2963 + 170);
    CHECK(first_b > 988 - 165 && first_b < 988 + 165);
    CHECK(first_d > 5 && first_d < 110);
}

WITH_SERVER(of_too_many_servers_the_first_to_try_are_given)
{
    weft_srv v[3];
    (void)s;
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(weft_dns_srv(r, "_sip._udp.example", v, 3), 3);
        for (int k = 0; k < 3; k++)
            CHECK_EQ(v[k].priority, 10);
    }
    CHECK_EQ(weft_dns_srv(r, "_sip._udp.example", v, 0), -EINVAL);
}

WITH_SERVER(a_service_that_is_decidedly_not_there_is_enodata)
{
    weft_srv v[2];
    int n = weft_dns_srv(r, "_none._tcp.example", v, 2);
    dns_check_failure(n, -ENODATA, "_none._tcp.example (SRV)",
                      "no such service");
    n = weft_dns_srv(r, "_gone._tcp.example", v, 2);
    dns_check_failure(n, -ENOENT, "_gone._tcp.example", s->address);
    n = weft_dns_srv(r, "_sip..example", v, 2);
    dns_check_failure(n, -EINVAL, "is no name", NULL);
}

WITH_SERVER(a_target_that_is_no_host_is_left_out)
{
    weft_srv v[2];
    (void)s;
    CHECK_EQ(weft_dns_srv(r, "_odd._tcp.example", v, 2), 1);
    CHECK_STR(v[0].target, "good.example.");
}

/* ---- MX ------------------------------------------------------------------ */

WITH_SERVER(who_takes_mail_comes_by_preference)
{
    weft_mx mx[4];
    (void)s;
    CHECK_EQ(weft_dns_mx(r, "example", mx, 4), 3);
    CHECK_STR(mx[0].host, "first.example.");
    CHECK_EQ(mx[0].preference, 5);
    CHECK_EQ(mx[0].ttl, 60);
    CHECK_STR(mx[1].host, "backup.example.");
    CHECK_STR(mx[2].host, "other.example.");
    CHECK_EQ(weft_dns_mx(r, "example", mx, 1), 1);
    CHECK_STR(mx[0].host, "first.example.");
    CHECK_EQ(weft_dns_mx(r, "example", mx, 2), 2);
    CHECK_STR(mx[1].host, "backup.example.");
    int n = weft_dns_mx(r, "nomail.example", mx, 4);
    dns_check_failure(n, -ENODATA, "nomail.example (MX)", "no mail");
}

/* ---- TXT ----------------------------------------------------------------- */

static char texts[256];

static int collect(const char *text, size_t len, void *arg)
{
    int *limit = arg;
    (void)snprintf(strchr(texts, 0), 64, "[%.*s]", (int)len, text);
    return --*limit == 0 ? -E2BIG : 0;
}

WITH_SERVER(the_strings_of_a_text_are_joined)
{
    int limit = 10;
    (void)s;
    texts[0] = 0;
    CHECK_EQ(weft_dns_txt(r, "text.example", collect, &limit), 2);
    CHECK_EQ(weft_dns_txt(r, "empty.example", collect, &limit), 1);
    CHECK_STR(texts, "[onetwo][three][]");
    limit = 1;
    CHECK_EQ(weft_dns_txt(r, "text.example", collect, &limit), -E2BIG);
}

/* ---- PTR ----------------------------------------------------------------- */

static int name_of(weft_resolver *r, const char *text, char *buf, size_t len)
{
    weft_addr a;
    CHECK_EQ(weft_addr_parse(&a, text), 0);
    return weft_dns_reverse(r, &a, buf, len);
}

WITH_SERVER(an_address_has_a_name)
{
    char name[WEFT_DNS_NAME];
    (void)s;
    CHECK_EQ(name_of(r, "192.0.2.1:80", name, sizeof name), 11);
    CHECK_STR(name, "www.example");
    CHECK_EQ(name_of(r, "[2001:db8::1]:0", name, sizeof name), 11);
    CHECK_STR(name, "six.example");
    CHECK_EQ(name_of(r, "[::ffff:192.0.2.1]:0", name, sizeof name), 11);
    CHECK_EQ(name_of(r, "192.0.2.2:80", name, sizeof name), 17);
    CHECK_STR(name, "delegated.example");
    CHECK_EQ(name_of(r, "192.0.2.1:80", name, 11), -ENAMETOOLONG);
    CHECK_EQ(name_of(r, "192.0.2.1:80", name, 12), 11);
    CHECK_EQ(name_of(r, "192.0.2.1:80", name, 0), -ENAMETOOLONG);
}

WITH_SERVER(an_address_whose_name_is_none_is_rubbish)
{
    char name[WEFT_DNS_NAME];
    weft_addr local = {.sa = {.ss_family = AF_UNIX}};
    (void)s;
    int n = name_of(r, "192.0.2.3:80", name, sizeof name);
    dns_check_failure(n, -EBADMSG, "3.2.0.192.in-addr.arpa (PTR)", NULL);
    n = name_of(r, "192.0.2.9:80", name, sizeof name);
    dns_check_failure(n, -ENOENT, "9.2.0.192.in-addr.arpa", "no such name");
    CHECK_EQ(weft_dns_reverse(r, &local, name, sizeof name), -EAFNOSUPPORT);
}

TEST(the_name_of_an_address_may_stand_in_hosts)
{
    char path[64], name[WEFT_DNS_NAME];
    (void)snprintf(path, sizeof path, "/tmp/weft-reverse-%d", (int)getpid());
    dns_write_file(path, "192.0.2.9 nine.example alias\n::9 nine6.example\n");
    const weft_resolver_opts o = {.hosts = path, .resolv_conf = ""};
    weft_resolver *r = weft_resolver_new(&o);
    CHECK_EQ(name_of(r, "192.0.2.9:1", name, sizeof name), 12);
    CHECK_STR(name, "nine.example");
    CHECK_EQ(name_of(r, "[::9]:1", name, sizeof name), 13);
    weft_resolver_free(r);
    CHECK_EQ(unlink(path), 0);
}

/* ---- the system's -------------------------------------------------------- */

TEST(the_system_knows_literals_and_localhost)
{
    weft_addr a[8];
    int n = weft_dns_lookup_system("192.0.2.7", AF_UNSPEC, a, 8);
    CHECK_STR(dns_text_of(a, n), "192.0.2.7");
    n = weft_dns_lookup_system("localhost", AF_INET, a, 8);
    CHECK_STR(dns_text_of(a, n), "127.0.0.1");
    n = weft_dns_lookup_system("2001:db8::7", AF_INET6, a, 1);
    CHECK_STR(dns_text_of(a, n), "2001:db8::7");
}

TEST(what_the_system_does_not_know_is_told_with_its_name)
{
    char name[300];
    weft_addr a[2];
    memset(name, 'a', sizeof name);
    name[299] = 0;
    dns_check_failure(weft_dns_lookup_system("", AF_INET, a, 2), -EINVAL,
                      "no host name", NULL);
    dns_check_failure(weft_dns_lookup_system(name, AF_INET, a, 2), -EINVAL,
                      "aaaa", NULL);
    CHECK_EQ(weft_dns_lookup_system("localhost", AF_INET, a, 0), -EINVAL);
    int n = weft_dns_lookup_system("a b", AF_INET, a, 2);
    CHECK(n < 0);
    dns_check_failure(n, n, "getaddrinfo a b", NULL);
}

TEST(a_cancelled_call_of_the_system_returns_at_once)
{
    weft_addr a;
    int rc;
    WEFT_FAIL_AFTER(rc, -1) {
        rc = weft_dns_lookup_system("localhost", AF_INET, &a, 1);
        CHECK_EQ(rc, -ECANCELED);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
}
