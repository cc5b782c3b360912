/* SPDX-License-Identifier: MIT */
/*
 * test_dns_which.c - which name is meant: the same one for either family, for a
 * lookup and for a dial.
 */
#include <weft/dial.h>
#include <weft/fiber.h>
#include <weft/names.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "dns_texts.h"

static const char *const zone[] = {"www.a.test 60 A 192.0.2.1",
                                   "www.b.test 60 AAAA 2001:db8::b",
                                   "www.b.test 60 A 192.0.2.2",
                                   "six.a.test 60 AAAA 2001:db8::6",
                                   "six.b.test 60 A 192.0.2.6",
                                   "mail.a.test 60 MX 10 www.a.test",
                                   "mail.b.test 60 A 192.0.2.7",
                                   "four.example 60 A 192.0.2.4",
                                   "four.example.a.test 60 AAAA 2001:db8::a",
                                   "four.example.a.test 60 A 192.0.2.66",
                                   "example 60 SOA 30",
                                   "test 60 SOA 30",
                                   NULL};

static char hosts_path[64], conf_path[64];

static void name_files(void)
{
    (void)snprintf(hosts_path, sizeof hosts_path, "/tmp/weft-which-hosts-%d",
                   (int)getpid());
    (void)snprintf(conf_path, sizeof conf_path, "/tmp/weft-which-conf-%d",
                   (int)getpid());
}

/* With the search list a.test, b.test, c.test, and these hosts and options. */
static weft_resolver *open_resolver(const struct dns_server *s,
                                    const char *hosts, const char *options)
{
    const weft_resolver_opts o = {.servers = s->address,
                                  .search = "a.test b.test c.test",
                                  .hosts = hosts_path,
                                  .resolv_conf = conf_path};
    name_files();
    dns_write_file(hosts_path, hosts);
    dns_write_file(conf_path, options);
    weft_resolver *r = weft_resolver_new(&o);
    CHECK(r != NULL);
    return r;
}

static void close_resolver(weft_resolver *r)
{
    weft_resolver_free(r);
    CHECK_EQ(unlink(hosts_path), 0);
    CHECK_EQ(unlink(conf_path), 0);
}

#define WITH_RESOLVER(id, hosts, options)                                      \
    static void id##_body(struct dns_server *s, weft_resolver *r);             \
    static void id##_with(struct dns_server *s)                                \
    {                                                                          \
        weft_resolver *r = open_resolver(s, hosts, options);                   \
        id##_body(s, r);                                                       \
        close_resolver(r);                                                     \
    }                                                                          \
    TEST(id)                                                                   \
    {                                                                          \
        struct dns_server s = {.zone = zone};                                  \
        dns_server_with(&s, id##_with);                                        \
    }                                                                          \
    static void id##_body(struct dns_server *s, weft_resolver *r)

static void check_none(weft_resolver *r, const char *host, int family,
                       const char *why)
{
    weft_addr a;
    dns_check_failure(weft_dns_lookup(r, host, family, &a, 1), -ENODATA, host,
                      why);
}

/* ---- lookups ------------------------------------------------------------- */

WITH_RESOLVER(a_name_of_the_list_is_the_same_one_for_either_family, "", "")
{
    (void)s;
    CHECK_STR(dns_look_up(r, "www", AF_UNSPEC), "192.0.2.1");
    CHECK_STR(dns_look_up(r, "www", AF_INET), "192.0.2.1");
    check_none(r, "www", AF_INET6, "www.a.test (AAAA)");
    CHECK_STR(dns_look_up(r, "six", AF_INET6), "2001:db8::6");
    check_none(r, "six", AF_INET, "six.a.test (A)");
}

WITH_RESOLVER(a_name_with_one_family_is_no_other_one_of_the_list, "", "")
{
    (void)s;
    CHECK_STR(dns_look_up(r, "four.example", AF_INET), "192.0.2.4");
    check_none(r, "four.example", AF_INET6, "four.example (AAAA)");
}

WITH_RESOLVER(a_name_of_the_list_without_any_address_is_passed_over, "", "")
{
    (void)s;
    CHECK_STR(dns_look_up(r, "mail", AF_UNSPEC), "192.0.2.7");
    CHECK_STR(dns_look_up(r, "mail", AF_INET), "192.0.2.7");
    check_none(r, "mail", AF_INET6, NULL);
}

static bool only_answers_aaaa(struct dns_server *s, const struct dns_query *q)
{
    (void)s;
    return q->type == WF_DNS_AAAA;
}

WITH_RESOLVER(a_name_that_nobody_tells_whether_it_is_meant_is_not_passed_over,
              "", "")
{
    weft_addr a;
    s->before = only_answers_aaaa;
    weft_time start = weft_now();
    dns_check_failure(weft_dns_lookup(r, "www", AF_INET6, &a, 1), -EHOSTUNREACH,
                      "www.a.test (A)", "no answer");
    CHECK(weft_now() - start <= WEFT_SEC(5));
}

WITH_RESOLVER(where_there_is_no_list_the_other_family_is_not_asked_for, "", "")
{
    weft_addr a;
    dns_check_failure(weft_dns_lookup(r, "four.example.", AF_INET6, &a, 1),
                      -ENODATA, "four.example (AAAA)", "no such records");
    CHECK_EQ(s->count, 1);
}

WITH_RESOLVER(with_no_aaaa_they_are_not_even_asked_for_about_a_name, "",
              "options no-aaaa\n")
{
    CHECK_STR(dns_look_up(r, "six", AF_INET), "192.0.2.6");
    CHECK_EQ(s->count, 2);
}

WITH_RESOLVER(hosts_know_a_name_for_either_family,
              "192.0.2.99 www.b.test\n2001:db8::99 four.example\n", "")
{
    CHECK_STR(dns_look_up(r, "www.b.test", AF_INET), "192.0.2.99");
    check_none(r, "www.b.test", AF_INET6, "other family");
    check_none(r, "four.example", AF_INET, "other family");
    CHECK_EQ(s->count, 0);
}

static bool first_fails_second_is_silent(struct dns_server *s,
                                         const struct dns_query *q)
{
    s->rcode = strcmp(q->name, "www.a.test") == 0 ? WF_DNS_SERVFAIL : 0;
    return strcmp(q->name, "www.b.test") != 0;
}

WITH_RESOLVER(a_refusal_before_does_not_make_it_go_on_while_nobody_answers, "",
              "")
{
    s->before = first_fails_second_is_silent;
    weft_time start = weft_now();
    dns_fails(r, "www", -EREMOTEIO, "www.a.test", "SERVFAIL");
    CHECK(weft_now() - start <= WEFT_SEC(5));
    CHECK_STR(s->last.name, "www.b.test");
}

WITH_RESOLVER(hosts_are_read_again_where_resolv_conf_is_not, "",
              "options no-reload\n")
{
    CHECK_STR(dns_look_up(r, "four.example.", AF_INET), "192.0.2.4");
    dns_write_file(hosts_path, "192.0.2.99 four.example\n");
    dns_write_file(conf_path, "options no-aaaa\n");
    CHECK_EQ(weft_sleep(WEFT_SEC(2)), 0);
    CHECK_STR(dns_look_up(r, "four.example.", AF_INET), "192.0.2.99");
    CHECK_STR(dns_look_up(r, "six.a.test", AF_INET6), "2001:db8::6");
    CHECK_EQ(s->count, 2);
}

/* ---- names that nobody is asked for -------------------------------------- */

static int no_text(const char *text, size_t len, void *arg)
{
    (void)text, (void)len, (void)arg;
    test_fail(__FILE__, __LINE__, "there is a text");
    return 0;
}

WITH_RESOLVER(names_that_never_exist_are_not_asked_for_in_any_way, "", "")
{
    weft_srv srv;
    weft_mx mx;
    dns_fails(r, "a.onion", -ENOENT, "a.onion", "no such name");
    dns_fails(r, "onion", -ENOENT, "onion", "no such name");
    dns_fails(r, "a.b.invalid", -ENOENT, "a.b.invalid", "no such name");
    dns_check_failure(weft_dns_srv(r, "_x._tcp.a.onion", &srv, 1), -ENOENT,
                      "a.onion (SRV)", "no such name");
    dns_check_failure(weft_dns_mx(r, "a.invalid.", &mx, 1), -ENOENT,
                      "a.invalid. (MX)", "no such name");
    dns_check_failure(weft_dns_txt(r, "a.onion", no_text, NULL), -ENOENT,
                      "a.onion (TXT)", "no such name");
    CHECK_EQ(s->count, 0);
}

WITH_RESOLVER(a_host_is_not_written_with_escapes, "", "")
{
    dns_fails(r, "fo\\117r.example", -EINVAL, "is no host name", NULL);
    dns_fails(r, "127.0.0.\\049", -EINVAL, "is no host name", NULL);
    CHECK_EQ(s->count, 0);
}

WITH_RESOLVER(an_ipv4_address_in_ipv6_has_the_name_of_that_in_ipv4,
              "192.0.2.99 mapped.example\n", "")
{
    char name[WEFT_DNS_NAME];
    weft_addr a;
    CHECK_EQ(weft_addr_parse(&a, "[::ffff:192.0.2.99]:80"), 0);
    CHECK_EQ(weft_dns_reverse(r, &a, name, sizeof name), 14);
    CHECK_STR(name, "mapped.example");
    CHECK_EQ(s->count, 0);
}

/* ---- time ---------------------------------------------------------------- */

WITH_RESOLVER(a_timeout_that_is_no_number_says_nothing, "",
              "options timeout:soon\n")
{
    s->silent = true;
    weft_time start = weft_now();
    weft_addr a;
    CHECK_EQ(weft_dns_lookup(r, "www.a.test.", AF_INET, &a, 1), -EHOSTUNREACH);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(4800));
}

TEST(in_a_cancelled_scope_each_call_says_so_whatever_it_is_asked)
{
    weft_addr a = {.len = 0};
    weft_srv srv;
    struct sockaddr_storage sa;
    char name[8];
    int rc = 0;
    a.sa.ss_family = AF_UNIX;
    WEFT_MOVE_ON_AFTER(rc, 0) {
        CHECK_EQ(weft_dns_srv(NULL, "", &srv, 0), -ECANCELED);
        CHECK_EQ(weft_dns_reverse(NULL, &a, name, 0), -ECANCELED);
        CHECK_EQ(weft_dns_lookup_system("", AF_UNSPEC, &a, 0), -ECANCELED);
        CHECK_EQ(weft_getaddrinfo("", AF_UNSPEC, &sa, 1), -ECANCELED);
    }
    CHECK_EQ(rc, 0);
}

/* ---- dialling ------------------------------------------------------------ */

static char dialled[512];

static int note_and_refuse(weft_fd *ret_conn, const weft_addr *to, void *user)
{
    char text[WEFT_ADDR_TEXT];
    (void)ret_conn, (void)user;
    strcat(strcat(dialled, weft_addr_format(to, text, sizeof text)), " ");
    return -ECONNREFUSED;
}

/* Which addresses a dial tries. */
static const char *try_all(weft_resolver *r, const char *address)
{
    weft_fd conn;
    const weft_dial_opts o = {.resolver = r, .connect = note_and_refuse};
    dialled[0] = 0;
    CHECK_EQ(weft_dial_with(&conn, address, &o), -ECONNREFUSED);
    return dialled;
}

WITH_RESOLVER(a_dial_tries_the_addresses_of_one_name_of_the_list, "", "")
{
    CHECK_STR(try_all(r, "www:80"), "192.0.2.1:80 ");
    CHECK_STR(try_all(r, "six:80"), "[2001:db8::6]:80 ");
    unsigned before = s->count;
    CHECK_STR(try_all(r, "four.example:80"), "192.0.2.4:80 ");
    CHECK_EQ(s->count - before, 2); /* each answer is for both */
}

WITH_RESOLVER(a_dial_tries_no_addresses_besides_those_of_hosts,
              "192.0.2.99 www.b.test\n", "")
{
    CHECK_STR(try_all(r, "www.b.test:80"), "192.0.2.99:80 ");
    CHECK_EQ(s->count, 0);
}

TEST(addresses_that_are_given_are_of_any_family_whatever_is_asked_for)
{
    weft_addr a[2];
    weft_fd conn;
    const weft_dial_opts o = {
        .family = 77, .prefer = 78, .connect = note_and_refuse};
    CHECK_EQ(weft_addr_parse(&a[0], "192.0.2.1:1"), 0);
    CHECK_EQ(weft_addr_parse(&a[1], "[2001:db8::1]:2"), 0);
    dialled[0] = 0;
    CHECK_EQ(weft_dial_addrs(&conn, a, 2, &o), -ECONNREFUSED);
    CHECK_STR(dialled, "192.0.2.1:1 [2001:db8::1]:2 ");
}
