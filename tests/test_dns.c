/* SPDX-License-Identifier: MIT */
/*
 * test_dns.c - the addresses of a host.
 */
#include <weft/fiber.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <stdlib.h>
#include <unistd.h>

#include "dns_texts.h"

static const char *const zone[] = {"www.example 60 A 192.0.2.1",
                                   "www.example 60 AAAA 2001:db8::1",
                                   "www.example 60 A 192.0.2.2",
                                   "four.example 60 A 192.0.2.4",
                                   "six.example 60 AAAA 2001:db8::6",
                                   "mail.example 60 MX 10 www.example",
                                   "alias.example 60 CNAME other.example",
                                   "other.example 60 CNAME www.example",
                                   "circle.example 60 CNAME circle2.example",
                                   "circle2.example 60 CNAME circle.example",
                                   "lost.example 60 CNAME gone.example",
                                   "many.example 60 A 10.0.0.0*200",
                                   "many.example 60 AAAA 2001:db8::1",
                                   "host 60 A 192.0.2.50",
                                   "host.a.test 60 A 192.0.2.51",
                                   "host.b.test 60 A 192.0.2.52",
                                   "deep.host 60 A 192.0.2.60",
                                   "deep.host.a.test 60 A 192.0.2.61",
                                   "example 60 SOA 30",
                                   "test 60 SOA 30",
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

WITH_SERVER(both_families_are_asked_for_at_the_same_time_and_ipv6_is_first)
{
    s->delay = WEFT_MSEC(100);
    weft_time start = weft_now();
    CHECK_STR(dns_look_up(r, "www.example", AF_UNSPEC),
              "2001:db8::1 192.0.2.1 192.0.2.2");
    CHECK_EQ(s->count, 2);
    CHECK(weft_now() - start < WEFT_MSEC(250)); /* the server takes turns */
}

WITH_SERVER(one_family_is_asked_for_alone)
{
    CHECK_STR(dns_look_up(r, "www.example", AF_INET), "192.0.2.1 192.0.2.2");
    CHECK_EQ(s->count, 1);
    CHECK_EQ(s->last.type, WF_DNS_A);
    CHECK_STR(dns_look_up(r, "www.example", AF_INET6), "2001:db8::1");
    CHECK_EQ(s->count, 2);
    CHECK_EQ(s->last.type, WF_DNS_AAAA);
    CHECK(s->last.edns);
}

WITH_SERVER(a_host_with_one_family_is_found_by_both)
{
    CHECK_STR(dns_look_up(r, "four.example", AF_UNSPEC), "192.0.2.4");
    CHECK_STR(dns_look_up(r, "six.example", AF_UNSPEC), "2001:db8::6");
    weft_addr a;
    dns_check_failure(weft_dns_lookup(r, "six.example", AF_INET, &a, 1),
                      -ENODATA, "six.example (A)", s->address);
}

static bool only_answers_a(struct dns_server *s, const struct dns_query *q)
{
    (void)s;
    return q->type == WF_DNS_A;
}

WITH_SERVER(a_family_that_nobody_answers_does_not_fail_the_other)
{
    s->before = only_answers_a;
    CHECK_STR(dns_look_up(r, "www.example", AF_UNSPEC), "192.0.2.1 192.0.2.2");
}

static bool fails_for_a(struct dns_server *s, const struct dns_query *q)
{
    s->rcode = q->type == WF_DNS_A ? WF_DNS_SERVFAIL : 0;
    return true;
}

WITH_SERVER(that_a_family_failed_says_more_than_that_the_other_is_not_there)
{
    s->before = fails_for_a;
    CHECK_STR(dns_look_up(r, "six.example", AF_UNSPEC), "2001:db8::6");
    dns_fails(r, "four.example", -EREMOTEIO, "four.example (A)", "SERVFAIL");
}

WITH_SERVER(a_name_that_does_not_exist_is_enoent_with_its_name_and_the_server)
{
    dns_fails(r, "nobody.example", -ENOENT, "nobody.example", s->address);
    CHECK(strstr(weft_last_error()->msg, "no such name") != NULL);
}

WITH_SERVER(a_name_without_addresses_is_enodata)
{
    (void)s;
    dns_fails(r, "mail.example", -ENODATA, "mail.example", "no such records");
}

WITH_SERVER(cnames_are_followed)
{
    CHECK_STR(dns_look_up(r, "alias.example", AF_UNSPEC),
              "2001:db8::1 192.0.2.1 192.0.2.2");
    CHECK_EQ(s->count, 2);
}

WITH_SERVER(cnames_that_the_server_does_not_follow_are_asked_for)
{
    s->half_chains = true;
    CHECK_STR(dns_look_up(r, "alias.example", AF_INET), "192.0.2.1 192.0.2.2");
    CHECK_EQ(s->count, 3);
}

WITH_SERVER(cnames_in_a_circle_come_to_an_end)
{
    dns_fails(r, "circle.example", -ELOOP, "circle.example", "CNAMEs");
    s->half_chains = true;
    unsigned before = s->count;
    weft_addr a;
    dns_check_failure(weft_dns_lookup(r, "circle2.example", AF_INET, &a, 1),
                      -ELOOP, "CNAMEs", NULL);
    CHECK(s->count - before <= 17);
}

WITH_SERVER(a_cname_to_nothing_is_enoent)
{
    (void)s;
    dns_fails(r, "lost.example", -ENOENT, "lost.example", NULL);
}

WITH_SERVER(an_answer_that_does_not_fit_is_fetched_by_tcp)
{
    weft_addr *found = calloc(300, sizeof *found);
    CHECK_EQ(weft_dns_lookup(r, "many.example", AF_INET, found, 300), 200);
    CHECK_STR(dns_text_of(&found[199], 1), "10.0.0.199");
    CHECK_EQ(s->by_tcp, 1);
    free(found);
}

WITH_SERVER(with_too_little_room_each_family_has_half_of_it)
{
    (void)s;
    weft_addr a[4];
    CHECK_EQ(weft_dns_lookup(r, "many.example", AF_UNSPEC, a, 4), 4);
    CHECK_STR(dns_text_of(a, 4), "2001:db8::1 10.0.0.0 10.0.0.1 10.0.0.2");
    CHECK_EQ(weft_dns_lookup(r, "www.example", AF_UNSPEC, a, 2), 2);
    CHECK_STR(dns_text_of(a, 2), "2001:db8::1 192.0.2.1");
    CHECK_EQ(weft_dns_lookup(r, "www.example", AF_UNSPEC, a, 1), 1);
    CHECK_EQ(weft_dns_lookup(r, "www.example", AF_UNSPEC, a, 0), -EINVAL);
    CHECK_EQ(weft_dns_lookup(r, "www.example", AF_UNIX, a, 1), -EAFNOSUPPORT);
}

WITH_SERVER(names_are_compared_without_case)
{
    CHECK_STR(dns_look_up(r, "FOUR.eXample", AF_INET), "192.0.2.4");
    CHECK_STR(dns_look_up(r, "four.example.", AF_INET), "192.0.2.4");
    CHECK_EQ(s->count, 1); /* it is one name, asked for once */
}

/* ---- names that need no server ------------------------------------------- */

WITH_SERVER(literals_need_no_server)
{
    weft_addr a;
    CHECK_STR(dns_look_up(r, "192.0.2.7", AF_UNSPEC), "192.0.2.7");
    CHECK_STR(dns_look_up(r, "::1", AF_INET6), "::1");
    CHECK_STR(dns_look_up(r, "2001:DB8::7", AF_UNSPEC), "2001:db8::7");
    CHECK_EQ(weft_dns_lookup(r, "fe80::1%7", AF_UNSPEC, &a, 1), 1);
    CHECK_EQ(((struct sockaddr_in6 *)&a.sa)->sin6_scope_id, 7);
    CHECK_EQ(weft_dns_lookup(r, "192.0.2.7", AF_INET6, &a, 1), -ENODATA);
    CHECK_EQ(weft_dns_lookup(r, "::1", AF_INET, &a, 1), -ENODATA);
    CHECK_EQ(s->count, 0);
}

WITH_SERVER(what_is_nearly_an_address_is_refused_and_not_guessed)
{
    static const char *const texts[] = {
        "127.1",      "127.0.1",     "2130706433", "0x7f.1",   "0x7f000001",
        "1.2.3.4.5",  "127.0.0.1.",  "256.1.1.1",  "1.2.3.04", "host.1",
        "[::1]",      "::1%",        "1:2",        "::g",      "0x",
        "127.0.0.1 ", "192.0.2.1:80"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        dns_fails(r, texts[i], -EINVAL, texts[i], "is no host name");
    CHECK_EQ(s->count, 0);
}

WITH_SERVER(what_is_no_name_is_refused)
{
    char label[66], name[300] = "";
    static const char *const texts[] = {"",   ".",     "..",  "a..b",
                                        ".a", "a b",   "a/b", "-a",
                                        "a-", "a\\.b", "a@b", "a\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        dns_fails(r, texts[i], -EINVAL, "is no host name", NULL);
    memset(label, 'a', 64);
    label[64] = 0;
    dns_fails(r, label, -EINVAL, "is no host name", NULL);
    for (int i = 0; i < 127; i++)
        strcat(name, "a.");
    strcat(name, "ab");
    dns_fails(r, name, -EINVAL, "is no host name", NULL);
    CHECK_EQ(s->count, 0);
}

WITH_SERVER(a_name_outside_ascii_is_refused_with_a_word_about_a_labels)
{
    dns_fails(r,
              "b\xc3\xbc"
              "cher.example",
              -EINVAL, "A-label", "xn--");
    CHECK_EQ(s->count, 0);
    dns_fails(r, "xn--bcher-kva.example", -ENOENT, "xn--", NULL);
    CHECK(s->count > 0);
}

WITH_SERVER(localhost_is_the_loopback_and_some_names_never_exist)
{
    CHECK_STR(dns_look_up(r, "localhost", AF_UNSPEC), "::1 127.0.0.1");
    CHECK_STR(dns_look_up(r, "LocalHost.", AF_INET), "127.0.0.1");
    CHECK_STR(dns_look_up(r, "a.b.localhost", AF_INET6), "::1");
    weft_addr one;
    CHECK_EQ(weft_dns_lookup(r, "localhost", AF_UNSPEC, &one, 1), 1);
    dns_fails(r, "a.invalid", -ENOENT, "a.invalid", "no such name");
    dns_fails(r, "expyuzz4wqqyqhjn.onion", -ENOENT, ".onion", NULL);
    CHECK_EQ(s->count, 0);
}

/* ---- the files ----------------------------------------------------------- */

static char conf_path[64], hosts_path[64];

static weft_resolver *resolver_of_files(const char *conf, const char *hosts)
{
    const weft_resolver_opts o = {.resolv_conf = conf_path,
                                  .hosts = hosts_path};
    (void)snprintf(conf_path, sizeof conf_path, "/tmp/weft-resolv-%d",
                   (int)getpid());
    (void)snprintf(hosts_path, sizeof hosts_path, "/tmp/weft-hosts-%d",
                   (int)getpid());
    if (conf) dns_write_file(conf_path, conf);
    if (hosts) dns_write_file(hosts_path, hosts);
    weft_resolver *r = weft_resolver_new(&o);
    CHECK(r != NULL);
    return r;
}

static void free_with_files(weft_resolver *r)
{
    weft_resolver_free(r);
    (void)unlink(conf_path);
    (void)unlink(hosts_path);
}

static const char *conf_of(const struct dns_server *s, const char *rest)
{
    static char text[512];
    (void)snprintf(text, sizeof text, "nameserver %s\n%s", s->address, rest);
    return text;
}

#define WITH_FILES(id)                                                         \
    static void id##_body(struct dns_server *s);                               \
    TEST(id)                                                                   \
    {                                                                          \
        struct dns_server s = {.zone = zone};                                  \
        dns_server_with(&s, id##_body);                                        \
    }                                                                          \
    static void id##_body(struct dns_server *s)

WITH_FILES(a_name_with_few_dots_is_looked_for_in_the_search_list_first)
{
    weft_resolver *r =
        resolver_of_files(conf_of(s, "search c.test b.test a.test\n"), "");
    CHECK_STR(dns_look_up(r, "host", AF_INET), "192.0.2.52");
    CHECK_EQ(s->count, 2);
    CHECK_STR(dns_look_up(r, "host.", AF_INET), "192.0.2.50");
    CHECK_STR(dns_look_up(r, "deep.host", AF_INET), "192.0.2.60");
    CHECK_EQ(s->count, 4);
    free_with_files(r);
}

WITH_FILES(ndots_says_how_many_dots_are_few)
{
    weft_resolver *r =
        resolver_of_files(conf_of(s, "search a.test\noptions ndots:2\n"), "");
    CHECK_STR(dns_look_up(r, "deep.host", AF_INET), "192.0.2.61");
    CHECK_STR(dns_look_up(r, "four.example", AF_INET), "192.0.2.4");
    free_with_files(r);
}

WITH_FILES(a_name_that_is_nowhere_has_been_looked_for_everywhere)
{
    weft_resolver *r =
        resolver_of_files(conf_of(s, "search a.test b.test\n"), "");
    weft_addr a;
    dns_check_failure(weft_dns_lookup(r, "nobody", AF_INET, &a, 1), -ENOENT,
                      "nobody", "no such name");
    CHECK_EQ(s->count, 3);
    free_with_files(r);
}

WITH_FILES(the_list_is_not_gone_through_while_nobody_answers)
{
    weft_resolver *r =
        resolver_of_files(conf_of(s, "search a.test b.test c.test\n"), "");
    s->silent = true;
    weft_time start = weft_now();
    dns_fails(r, "host", -EHOSTUNREACH, "host.a.test", s->address);
    CHECK(weft_now() - start <= WEFT_SEC(5));
    free_with_files(r);
}

WITH_FILES(hosts_come_before_the_servers)
{
    weft_resolver *r = resolver_of_files(
        conf_of(s, ""), "192.0.2.99 four.example alias\n"
                        "2001:db8::99 FOUR.example\n# 192.0.2.98 alias\n");
    CHECK_STR(dns_look_up(r, "four.example", AF_UNSPEC),
              "2001:db8::99 192.0.2.99");
    CHECK_STR(dns_look_up(r, "alias", AF_UNSPEC), "192.0.2.99");
    CHECK_EQ(s->count, 0);
    CHECK_STR(dns_look_up(r, "six.example", AF_UNSPEC), "2001:db8::6");
    free_with_files(r);
}

WITH_FILES(files_that_have_changed_are_read_again)
{
    weft_resolver *r = resolver_of_files(conf_of(s, ""), "");
    CHECK_STR(dns_look_up(r, "host.a.test", AF_INET), "192.0.2.51");
    dns_write_file(hosts_path, "192.0.2.99 host.a.test\n");
    CHECK_STR(dns_look_up(r, "host.a.test", AF_INET), "192.0.2.51");
    CHECK_EQ(weft_sleep(WEFT_SEC(2)), 0);
    CHECK_STR(dns_look_up(r, "host.a.test", AF_INET), "192.0.2.99");
    dns_write_file(hosts_path, "");
    dns_write_file(conf_path, conf_of(s, "search a.test\n"));
    CHECK_EQ(weft_sleep(WEFT_SEC(2)), 0);
    CHECK_EQ(s->count, 1);
    CHECK_STR(dns_look_up(r, "host", AF_INET), "192.0.2.51");
    CHECK_EQ(s->count, 1); /* the servers are the same, and so are answers */
    CHECK_EQ(unlink(hosts_path), 0);
    CHECK_EQ(weft_sleep(WEFT_SEC(2)), 0);
    CHECK_STR(dns_look_up(r, "host", AF_INET), "192.0.2.51");
    free_with_files(r);
}

WITH_FILES(other_servers_are_asked_anew)
{
    static const char *const other_zone[] = {"host.a.test 60 A 192.0.2.77",
                                             NULL};
    struct dns_server other = {.zone = other_zone};
    int rc;
    weft_resolver *r = resolver_of_files(conf_of(s, ""), "");
    CHECK_STR(dns_look_up(r, "host.a.test", AF_INET), "192.0.2.51");
    dns_server_open(&other);
    WEFT_NURSERY(n, rc) {
        CHECK(dns_server_start(&other, &n));
        dns_write_file(conf_path, conf_of(&other, ""));
        CHECK_EQ(weft_sleep(WEFT_SEC(2)), 0);
        CHECK_STR(dns_look_up(r, "host.a.test", AF_INET), "192.0.2.77");
    }
    dns_server_close(&other);
    free_with_files(r);
}

WITH_FILES(a_file_that_cannot_be_read_is_named)
{
    weft_resolver *r = resolver_of_files(conf_of(s, ""), "");
    CHECK_EQ(unlink(hosts_path), 0);
    CHECK_EQ(symlink(hosts_path, hosts_path), 0);
    dns_fails(r, "four.example", -ELOOP, hosts_path, NULL);
    free_with_files(r);
}

TEST(servers_that_are_no_addresses_are_named)
{
    const weft_resolver_opts o = {
        .servers = "192.0.2.1 ns.example", .resolv_conf = "", .hosts = ""};
    weft_resolver *r = weft_resolver_new(&o);
    dns_fails(r, "four.example", -EINVAL, "ns.example", "name servers");
    CHECK_STR(dns_look_up(r, "192.0.2.1", AF_INET), "192.0.2.1");
    weft_resolver_free(r);
}

TEST(without_a_resolver_the_files_of_the_system_count)
{
    CHECK_STR(dns_look_up(NULL, "127.0.0.1", AF_UNSPEC), "127.0.0.1");
    CHECK_STR(dns_look_up(NULL, "localhost", AF_INET), "127.0.0.1");
    dns_fails(NULL, "a.invalid", -ENOENT, "a.invalid", NULL);
}

/* ---- cancelled, and outside ---------------------------------------------- */

WITH_SERVER(a_lookup_ends_at_once_when_its_time_is_up)
{
    int rc;
    weft_addr a[2];
    s->silent = true;
    weft_time start = weft_now();
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(300)) {
        rc = weft_dns_lookup(r, "www.example", AF_UNSPEC, a, 2);
        CHECK_EQ(rc, -ECANCELED);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK(weft_now() - start < WEFT_MSEC(310));
    s->silent = false;
    CHECK_STR(dns_look_up(r, "four.example", AF_INET), "192.0.2.4");
}

WITH_SERVER(a_cancelled_lookup_asks_nobody)
{
    weft_addr a;
    weft_scope scope;
    weft_scope_init(&scope);
    CHECK_EQ(weft_scope_begin(&scope), 0);
    weft_scope_cancel(&scope, 0, "test");
    CHECK_EQ(weft_dns_lookup(r, "www.example", AF_INET, &a, 1), -ECANCELED);
    CHECK_EQ(weft_dns_lookup(r, "127.0.0.1", AF_INET, &a, 1), -ECANCELED);
    CHECK_EQ(weft_scope_end(&scope, 0), 0);
    CHECK_EQ(s->count, 0);
}

TEST_PLAIN(outside_of_a_fiber_there_are_no_lookups)
{
    weft_addr a;
    weft_resolver *r = weft_resolver_new(NULL);
    CHECK(r != NULL);
    CHECK_EQ(weft_dns_lookup(r, "127.0.0.1", AF_INET, &a, 1), -EPERM);
    CHECK_EQ(weft_dns_lookup(NULL, "www.example", AF_INET, &a, 1), -EPERM);
    weft_resolver_free(r);
    weft_resolver_free(NULL);
}
