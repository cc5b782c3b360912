/* SPDX-License-Identifier: MIT */
/* test_dns_conf.c - what resolv.conf(5) says. */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "net/dns_conf.h"

static struct wf_dns_conf c;

/* From a copy with nothing behind it, which a sanitizer sees. */
static void parse(const char *text, size_t len)
{
    char *copy = malloc(len ? len : 1);
    CHECK(copy);
    memcpy(copy, text, len);
    memset(&c, 0x5a, sizeof c);
    wf_dns_conf_parse(&c, copy, len);
    free(copy);
}

static void lines(const char *text)
{
    parse(text, strlen(text));
}

static const char *server(unsigned i)
{
    static char text[WEFT_ADDR_TEXT];
    CHECK(i < c.server_count);
    return weft_addr_format(&c.servers[i], text, sizeof text);
}

/* The search list with a blank behind each. */
static const char *search(void)
{
    static char text[2 * WF_DNS_SEARCH];
    const char *at = c.search;
    text[0] = 0;
    for (unsigned i = 0; i < c.search_count; i++) {
        strcat(strcat(text, at), " ");
        at += strlen(at) + 1;
    }
    return text;
}

TEST_PLAIN(a_file_that_is_not_there_means_this_host_and_the_defaults)
{
    lines("");
    CHECK_EQ(c.server_count, 1);
    CHECK_STR(server(0), "127.0.0.1:53");
    CHECK_EQ(c.search_count, 0);
    CHECK(!c.search_given);
    CHECK_EQ(c.ndots, 1);
    CHECK_EQ(c.timeout, 5);
    CHECK_EQ(c.attempts, 2);
    CHECK(!c.rotate && !c.use_vc && !c.single_request && !c.no_aaaa);
    CHECK(!c.no_tld_query && !c.no_reload);
    wf_dns_conf_parse(&c, NULL, 0);
    CHECK_EQ(c.server_count, 1);
}

TEST_PLAIN(name_servers_come_in_the_order_of_the_file)
{
    lines("nameserver 192.0.2.1\n"
          "nameserver\t2001:db8::1  \n"
          "nameserver   ::1"); /* no line's end */
    CHECK_EQ(c.server_count, 3);
    CHECK_STR(server(0), "192.0.2.1:53");
    CHECK_STR(server(1), "[2001:db8::1]:53");
    CHECK_STR(server(2), "[::1]:53");
}

TEST_PLAIN(a_name_server_may_have_a_port)
{
    lines("nameserver 127.0.0.1:5353\n"
          "nameserver [::1]:54\n"
          "nameserver [::1]\n"
          "nameserver [192.0.2.1]:65535\n"
          "nameserver 1:2::3:53\n"); /* that is an address */
    CHECK_EQ(c.server_count, 5);
    CHECK_STR(server(0), "127.0.0.1:5353");
    CHECK_STR(server(1), "[::1]:54");
    CHECK_STR(server(2), "[::1]:53");
    CHECK_STR(server(3), "192.0.2.1:65535");
    CHECK_STR(server(4), "[1:2::3:53]:53");
}

static uint32_t scope(unsigned i)
{
    CHECK(i < c.server_count);
    return ((const struct sockaddr_in6 *)&c.servers[i].sa)->sin6_scope_id;
}

TEST_PLAIN(a_name_server_on_a_link_has_a_scope_by_number_or_by_name)
{
    char name[IF_NAMESIZE] = "", text[200];
    lines("nameserver fe80::1%3\n"
          "nameserver [fe80::1%4294967295]:54\n"
          "nameserver fe80::1%4294967297\n"
          "nameserver fe80::1%0\n"
          "nameserver fe80::1%\n"
          "nameserver fe80::1%no-such-link\n"
          "nameserver 127.0.0.1%1\n"
          "nameserver ::2\n");
    CHECK_EQ(c.server_count, 3);
    CHECK_EQ(scope(0), 3);
    CHECK_EQ(scope(1), 4294967295);
    CHECK_STR(server(2), "[::2]:53");
    if (!if_indextoname(1, name)) SKIP("no interface has the number 1");
    (void)snprintf(text, sizeof text, "nameserver fe80::1%%%s\n", name);
    lines(text);
    CHECK_EQ(scope(0), 1);
}

TEST_PLAIN(a_name_server_that_is_no_address_is_passed_over)
{
    lines("nameserver\n"
          "nameserver \n"
          "nameserver localhost\n"
          "nameserver 1.2.3\n"
          "nameserver 1.2.3.4.5\n"
          "nameserver 1.2.3.256\n"
          "nameserver 1.2.3.4:\n"
          "nameserver 1.2.3.4:0\n"
          "nameserver 1.2.3.4:65536\n"
          "nameserver 1.2.3.4:5x\n"
          "nameserver 1.2.3.4:99999999999999999999\n"
          "nameserver [::1\n"
          "nameserver [::1]x\n"
          "nameserver [::1]:\n"
          "nameserver []\n"
          "nameserver [\n"
          "nameserver ]\n"
          "nameserver :\n"
          "nameserver :::::\n"
          "nameserver 12345678901234567890123456789012345678901234567890123456"
          "78901234567890123456789012345678901234567890\n");
    CHECK_EQ(c.server_count, 1);
    CHECK_STR(server(0), "127.0.0.1:53");
}

TEST_PLAIN(name_servers_over_the_limit_are_left_out)
{
    char text[1000] = "";
    for (int i = 1; i <= WF_DNS_SERVERS + 3; i++)
        (void)snprintf(strchr(text, 0), 40, "nameserver 192.0.2.%d\n", i);
    lines(text);
    CHECK_EQ(c.server_count, WF_DNS_SERVERS);
    CHECK_STR(server(WF_DNS_SERVERS - 1), "192.0.2.8:53");
}

TEST_PLAIN(a_keyword_starts_its_line_and_is_a_whole_word)
{
    lines(" nameserver 192.0.2.1\n"
          "\tsearch a\n"
          "nameservers 192.0.2.1\n"
          "nameserver192.0.2.1\n"
          "Nameserver 192.0.2.1\n"
          "options: rotate\n"
          "sortlist 1.2.3.4\n"
          "\n\n");
    CHECK_STR(server(0), "127.0.0.1:53");
    CHECK_EQ(c.search_count, 0);
    CHECK(!c.rotate);
}

TEST_PLAIN(comments_begin_a_line_or_a_word)
{
    lines("# nameserver 192.0.2.9\n"
          "; nameserver 192.0.2.9\n"
          "#nameserver 192.0.2.9\n"
          "nameserver #192.0.2.9\n"
          "nameserver 192.0.2.1 # one\n"
          "nameserver 192.0.2.2;two\n"
          "nameserver 192.0.2.3#three\n"
          "search a.example ; b.example\n"
          "options rotate #use-vc\n");
    CHECK_EQ(c.server_count, 3);
    CHECK_STR(server(2), "192.0.2.3:53");
    CHECK_STR(search(), "a.example ");
    CHECK(c.rotate);
    CHECK(!c.use_vc);
}

TEST_PLAIN(lines_may_end_as_on_another_system)
{
    lines("nameserver 192.0.2.1\r\nsearch a b\r\n\r\noptions rotate\r\n");
    CHECK_STR(server(0), "192.0.2.1:53");
    CHECK_STR(search(), "a b ");
    CHECK(c.rotate);
}

TEST_PLAIN(the_last_of_search_and_domain_holds)
{
    lines("search a b\ndomain c d\n");
    CHECK_STR(search(), "c ");
    lines("domain c\nsearch a b\n");
    CHECK_STR(search(), "a b ");
    lines("search a\nsearch b\n");
    CHECK_STR(search(), "b ");
    lines("search a\nsearch\nsearch  \ndomain\nsearch # b\n"); /* no lists */
    CHECK_STR(search(), "a ");
    CHECK(c.search_given);
}

TEST_PLAIN(what_is_no_name_is_left_out_of_the_search_list)
{
    lines("search a. b..c \\ .x . Example. e\n");
    CHECK_STR(search(), "a . Example e ");
    lines("search ..\n"); /* a list, though with nothing in it */
    CHECK_STR(search(), "");
    CHECK(c.search_given);
}

TEST_PLAIN(a_search_list_over_the_limits_ends_there)
{
    char text[8000] = "search";
    for (unsigned i = 0; i < WF_DNS_SEARCHES + 5; i++)
        (void)snprintf(strchr(text, 0), 10, " d%u", i % 100u);
    lines(text);
    CHECK_EQ(c.search_count, WF_DNS_SEARCHES);
    strcpy(text, "search");
    for (int i = 0; i < 12; i++)
        (void)snprintf(strchr(text, 0), 260, " %062d.%062d.%062d.%061d", i, i,
                       i, i);
    lines(text);
    CHECK_EQ(c.search_count, 8); /* 8 * 251 is 2,008 */
    strcpy(text, "search ");
    memset(text + 7, 'x', 7000);
    strcpy(text + 7007, " good");
    lines(text);
    CHECK_STR(search(), "good ");
}

TEST_PLAIN(options_are_taken_and_capped)
{
    lines("options ndots:3 timeout:7 attempts:4\n");
    CHECK_EQ(c.ndots, 3);
    CHECK_EQ(c.timeout, 7);
    CHECK_EQ(c.attempts, 4);
    lines("options ndots:16 timeout:31 attempts:6\n");
    CHECK_EQ(c.ndots, 15);
    CHECK_EQ(c.timeout, 30);
    CHECK_EQ(c.attempts, 5);
    lines("options ndots:99999999999999999999 timeout:4294967297\n");
    CHECK_EQ(c.ndots, 15);
    CHECK_EQ(c.timeout, 30);
    lines("options ndots:0 timeout:0 attempts:0\n");
    CHECK_EQ(c.ndots, 0);
    CHECK_EQ(c.timeout, 1);
    CHECK_EQ(c.attempts, 1);
    lines("options rotate use-vc single-request no-aaaa no-tld-query\n"
          "options no-reload ndots:2\n");
    CHECK(c.rotate && c.use_vc && c.single_request && c.no_aaaa);
    CHECK(c.no_tld_query && c.no_reload);
    CHECK_EQ(c.ndots, 2); /* lines add up */
}

TEST_PLAIN(options_that_are_none_are_passed_over)
{
    lines(
        "options ndots timeout: attempts:x ndots:-1 ndots:1x ndots:+2 rotates "
        "rotat Rotate edns0 trust-ad single-request-reopen debug inet6\n");
    CHECK_EQ(c.ndots, 1);
    CHECK_EQ(c.timeout, 5);
    CHECK_EQ(c.attempts, 2);
    CHECK(!c.rotate && !c.single_request);
}

TEST_PLAIN(the_environment_adds_options_and_replaces_the_list)
{
    lines("search a b\noptions ndots:4 rotate\n");
    wf_dns_conf_options(&c, NULL);
    wf_dns_conf_search(&c, NULL);
    CHECK_STR(search(), "a b ");
    wf_dns_conf_options(&c, "ndots:2 use-vc");
    CHECK_EQ(c.ndots, 2);
    CHECK(c.rotate && c.use_vc);
    wf_dns_conf_search(&c, "x y.z");
    CHECK_STR(search(), "x y.z ");
    wf_dns_conf_search(&c, "");
    CHECK_STR(search(), "");
    wf_dns_conf_host_name(&c, "www.example");
    CHECK_STR(search(), ""); /* it was given */
}

TEST_PLAIN(without_a_list_the_domain_of_this_host_is_one)
{
    lines("");
    wf_dns_conf_host_name(&c, "www.example.org");
    CHECK_STR(search(), "example.org ");
    wf_dns_conf_host_name(&c, "www.another");
    CHECK_STR(search(), "another ");
    lines("");
    wf_dns_conf_host_name(&c, "www");
    CHECK_EQ(c.search_count, 0);
    wf_dns_conf_host_name(&c, "www.");
    CHECK_EQ(c.search_count, 0);
    lines("search a\n");
    wf_dns_conf_host_name(&c, "www.example.org");
    CHECK_STR(search(), "a ");
}

TEST_PLAIN(servers_of_a_program_replace_those_of_the_file_all_or_none)
{
    lines("nameserver 192.0.2.1\nnameserver 192.0.2.2\n");
    CHECK_EQ(wf_dns_conf_servers(&c, "127.0.0.1:5353, [::1]:53 ::2,"), 0);
    CHECK_EQ(c.server_count, 3);
    CHECK_STR(server(0), "127.0.0.1:5353");
    CHECK_STR(server(2), "[::2]:53");
    CHECK_EQ(wf_dns_conf_servers(&c, "192.0.2.1 rubbish"), -EINVAL);
    CHECK_EQ(wf_dns_conf_servers(&c, "192.0.2.1:53x"), -EINVAL);
    CHECK_EQ(wf_dns_conf_servers(&c, ""), -EINVAL);
    CHECK_EQ(wf_dns_conf_servers(&c, " , "), -EINVAL);
    CHECK_EQ(wf_dns_conf_servers(&c, "::1 ::1 ::1 ::1 ::1 ::1 ::1 ::1 ::1"),
             -E2BIG);
    CHECK_EQ(c.server_count, 3);
    CHECK_STR(server(0), "127.0.0.1:5353");
    CHECK_EQ(wf_dns_conf_servers(&c, "::1 ::1 ::1 ::1 ::1 ::1 ::1 ::1"), 0);
    CHECK_EQ(c.server_count, 8);
}

TEST_PLAIN(a_text_may_hold_any_octets_and_end_anywhere)
{
    static const char text[] = "nameserver 192.0.2.1\0\n"
                               "nameserver 192.0.2.2\n"
                               "search a\0b c\377\n"
                               "options ndots:3 rotate\0 use-vc\n"
                               "nameserver [fe80::1%2]:53";
    parse(text, sizeof text - 1);
    CHECK_EQ(c.server_count, 2);
    CHECK_STR(server(0), "192.0.2.2:53");
    CHECK_STR(search(), "c\\255 ");
    CHECK(c.use_vc && !c.rotate);
    for (size_t len = 0; len < sizeof text; len++)
        parse(text, len);
    char *copy = malloc(sizeof text);
    CHECK(copy);
    for (size_t at = 0; at < sizeof text; at++)
        for (int value = 0; value < 256; value += test_is_slow() ? 51 : 1) {
            memcpy(copy, text, sizeof text);
            copy[at] = (char)value;
            if (strchr(copy, '%')) continue; /* asks the system, slowly */
            parse(copy, sizeof text);
            CHECK(c.server_count > 0 && c.server_count <= WF_DNS_SERVERS);
        }
    free(copy);
}

TEST_PLAIN(a_line_of_a_million_octets_is_as_good_as_a_short_one)
{
    size_t len = 1000000;
    char *text = malloc(len);
    CHECK(text);
    memset(text, ' ', len);
    memcpy(text, "nameserver", 10);
    memcpy(text + len - 10, "192.0.2.1\n", 10);
    parse(text, len);
    CHECK_STR(server(0), "192.0.2.1:53");
    memset(text + 10, 'x', len - 20);
    parse(text, len);
    CHECK_STR(server(0), "127.0.0.1:53");
    free(text);
}
