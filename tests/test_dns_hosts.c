/* SPDX-License-Identifier: MIT */
/* test_dns_hosts.c - what hosts(5) says. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "net/dns_conf.h"

static const char file[] = "# the hosts of this test\n"
                           "127.0.0.1 localhost\n"
                           "::1\tlocalhost ip6-localhost\r\n"
                           "  192.0.2.1   www.example www # the web\n"
                           "192.0.2.2 other WWW.\n"
                           "2001:db8::1 www.EXAMPLE\n"
                           "192.0.2.1 again www\n"
                           "fe80::1%3 link\n"
                           "fe80::1%4 link\n"
                           "1.2.3 bad\n"
                           "nobody bad\n"
                           "192.0.2.7\n"
                           "192.0.2.9 b#d bad\n"
                           "192.0.2.8 last";

/* The addresses with a blank behind each. */
static const char *among(const char *text, size_t len, const char *name,
                         int family, size_t max)
{
    static char all[1000];
    weft_addr found[16];
    char *copy = malloc(len ? len : 1);
    CHECK(copy);
    memcpy(copy, text, len);
    size_t n = wf_hosts_lookup(copy, len, name, family, found, max);
    free(copy);
    CHECK(n <= max);
    all[0] = 0;
    for (size_t i = 0; i < n; i++) {
        char one[WEFT_ADDR_TEXT];
        CHECK_EQ(weft_addr_port(&found[i]), 0);
        strcat(strcat(all, weft_addr_format(&found[i], one, sizeof one)), " ");
    }
    return all;
}

static const char *lookup(const char *name, int family)
{
    return among(file, sizeof file - 1, name, family, 16);
}

TEST_PLAIN(the_addresses_of_a_name_come_in_the_order_of_the_file)
{
    CHECK_STR(lookup("www", AF_UNSPEC), "192.0.2.1:0 192.0.2.2:0 ");
    CHECK_STR(lookup("www.example", AF_UNSPEC), "192.0.2.1:0 [2001:db8::1]:0 ");
    CHECK_STR(lookup("localhost", AF_UNSPEC), "127.0.0.1:0 [::1]:0 ");
    CHECK_STR(lookup("last", AF_UNSPEC), "192.0.2.8:0 ");
}

TEST_PLAIN(only_addresses_of_the_family_that_was_asked_for)
{
    CHECK_STR(lookup("localhost", AF_INET), "127.0.0.1:0 ");
    CHECK_STR(lookup("localhost", AF_INET6), "[::1]:0 ");
    CHECK_STR(lookup("www", AF_INET6), "");
    CHECK_STR(lookup("localhost", AF_UNIX), "");
}

TEST_PLAIN(names_are_the_same_in_any_case_and_with_a_dot_at_the_end)
{
    CHECK_STR(lookup("LocalHost.", AF_INET), "127.0.0.1:0 ");
    CHECK_STR(lookup("WWW.Example", AF_INET), "192.0.2.1:0 ");
    CHECK_STR(lookup("oTHER", AF_INET), "192.0.2.2:0 ");
}

TEST_PLAIN(a_part_of_a_name_is_another_name)
{
    CHECK_STR(lookup("ww", AF_UNSPEC), "");
    CHECK_STR(lookup("wwww", AF_UNSPEC), "");
    CHECK_STR(lookup("example", AF_UNSPEC), "");
    CHECK_STR(lookup("www.example.org", AF_UNSPEC), "");
    CHECK_STR(lookup("", AF_UNSPEC), "");
    CHECK_STR(lookup(".", AF_UNSPEC), "");
    CHECK_STR(lookup("192.0.2.1", AF_UNSPEC), "");
}

TEST_PLAIN(comments_and_lines_that_are_wrong_are_passed_over)
{
    CHECK_STR(lookup("bad", AF_UNSPEC), "");
    CHECK_STR(lookup("web", AF_UNSPEC), "");
    CHECK_STR(lookup("the", AF_UNSPEC), "");
    CHECK_STR(lookup("b", AF_UNSPEC), "192.0.2.9:0 ");
    CHECK_STR(lookup("b#d", AF_UNSPEC), "");
}

TEST_PLAIN(addresses_with_other_scopes_are_others)
{
    weft_addr found[4];
    CHECK_EQ(
        wf_hosts_lookup(file, sizeof file - 1, "link", AF_UNSPEC, found, 4), 2);
    for (uint32_t i = 0; i < 2; i++)
        CHECK_EQ(((struct sockaddr_in6 *)&found[i].sa)->sin6_scope_id, 3 + i);
}

TEST_PLAIN(no_more_addresses_than_there_is_room_for)
{
    CHECK_STR(among(file, sizeof file - 1, "www", AF_UNSPEC, 1),
              "192.0.2.1:0 ");
    CHECK_STR(among(file, sizeof file - 1, "www", AF_UNSPEC, 0), "");
    CHECK_STR(among("", 0, "www", AF_UNSPEC, 4), "");
    CHECK_EQ(wf_hosts_lookup(NULL, 0, "www", AF_UNSPEC, NULL, 0), 0);
}

static const char *name_of(const char *text, size_t len, const char *addr)
{
    static char name[WF_DNS_NAME];
    weft_addr a;
    CHECK_EQ(wf_hosts_addr(addr, strlen(addr), &a), 0);
    if (a.sa.ss_family == AF_INET)
        ((struct sockaddr_in *)&a.sa)->sin_port = 80; /* does not count */
    return wf_hosts_name(text, len, &a, name) ? name : "none";
}

static const char *reverse(const char *addr)
{
    return name_of(file, sizeof file - 1, addr);
}

TEST_PLAIN(the_name_of_an_address_is_the_first_of_its_first_line)
{
    CHECK_STR(reverse("192.0.2.1"), "www.example");
    CHECK_STR(reverse("192.0.2.2"), "other");
    CHECK_STR(reverse("::1"), "localhost");
    CHECK_STR(reverse("0:0:0:0:0:0:0:1"), "localhost");
    CHECK_STR(reverse("2001:db8::1"), "www.EXAMPLE");
    CHECK_STR(reverse("192.0.2.8"), "last");
    CHECK_STR(reverse("192.0.2.77"), "none");
    CHECK_STR(reverse("192.0.2.7"), "none");
}

TEST_PLAIN(a_scope_counts_for_the_name_where_both_have_one)
{
    CHECK_STR(reverse("fe80::1%3"), "link");
    CHECK_STR(reverse("fe80::1"), "link");
    CHECK_STR(reverse("fe80::1%5"), "none");
    CHECK_STR(reverse("::1%5"), "localhost");
}

TEST_PLAIN(what_is_no_name_is_nobodys)
{
    static const char text[] = "192.0.2.1 a..b \0x c.\n192.0.2.2 ..\n"
                               "192.0.2.2 second\n";
    CHECK_STR(name_of(text, sizeof text - 1, "192.0.2.1"), "c");
    CHECK_STR(name_of(text, sizeof text - 1, "192.0.2.2"), "second");
    char name[WF_DNS_NAME];
    weft_addr nowhere = {.len = 0};
    CHECK_EQ(wf_hosts_name(text, sizeof text - 1, &nowhere, name), 0);
    CHECK_EQ(weft_addr_parse(&nowhere, "unix:/x"), 0);
    CHECK_EQ(wf_hosts_name(text, sizeof text - 1, &nowhere, name), 0);
}

TEST_PLAIN(an_address_is_the_whole_text_or_none)
{
    static const char *const bad[] = {
        "",          "1",          "1.2.3.4 ",  " 1.2.3.4",  "1.2.3.4.",
        "01.2.3.4x", "1.2.3",      "[::1]",     "::1%",      "::1%0",
        "::1%%",     "::1%3x-y-z", "::g",       "1.2.3.4:5", "1.2.3.4%1",
        ":",         "::1:",       "0x1.2.3.4", "::1%3%"};
    weft_addr a = {.len = 77};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (wf_hosts_addr(bad[i], strlen(bad[i]), &a) != -EINVAL)
            test_fail(__FILE__, __LINE__, "%s is taken", bad[i]);
    CHECK_EQ(wf_hosts_addr("1.2.3.4\0", 8, &a), -EINVAL);
    CHECK_EQ(wf_hosts_addr("::1\0%1", 6, &a), -EINVAL);
    CHECK_EQ(a.len, 77);                           /* written on success only */
    CHECK_EQ(wf_hosts_addr("1.2.3.45", 7, &a), 0); /* reads 7 octets */
    char text[WEFT_ADDR_TEXT];
    CHECK_STR(weft_addr_format(&a, text, sizeof text), "1.2.3.4:0");
    CHECK_EQ(
        wf_hosts_addr("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", 45, &a),
        0);
}

TEST_PLAIN(a_file_may_hold_any_octets_and_end_anywhere)
{
    for (size_t len = 0; len < sizeof file; len++)
        (void)among(file, len, "www", AF_UNSPEC, 16);
    char *copy = malloc(sizeof file);
    CHECK(copy);
    for (size_t at = 0; at < sizeof file; at++)
        for (int value = 0; value < 256; value += test_is_slow() ? 51 : 15) {
            memcpy(copy, file, sizeof file);
            copy[at] = (char)value;
            (void)among(copy, sizeof file, "www", AF_UNSPEC, 16);
            (void)name_of(copy, sizeof file, "192.0.2.1");
        }
    free(copy);
}

TEST_PLAIN(a_long_file_is_read_in_no_time)
{
    enum { LINES = 100000, LINE = 40 };
    size_t lines = test_is_slow() ? LINES / 50 : LINES;
    char *text = malloc(lines * LINE);
    CHECK(text);
    for (size_t i = 0; i < lines; i++) {
        char line[LINE + 16];
        (void)snprintf(line, sizeof line,
                       "0.0.0.0 ads%07u.tracker.example     \n", (unsigned)i);
        CHECK_EQ(strlen(line), LINE);
        memcpy(text + i * LINE, line, LINE);
    }
    weft_addr a;
    for (int i = 0; i < 10; i++)
        CHECK_EQ(wf_hosts_lookup(text, lines * LINE,
                                 "ads0000007.tracker.example", AF_UNSPEC, &a,
                                 1),
                 1);
    CHECK_EQ(wf_hosts_lookup(text, lines * LINE, "none.tracker.example",
                             AF_UNSPEC, &a, 1),
             0);
    free(text);
}
