/* SPDX-License-Identifier: MIT */
/* test_addr_prefix.c - prefixes, and who is in them. */
#include <weft/addr.h>
#include <weft/error.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "harness.h"

static weft_addr_prefix parsed(const char *text)
{
    weft_addr_prefix p;
    int err = weft_addr_prefix_parse(&p, text);
    if (err < 0) test_fail(__FILE__, __LINE__, "%s is %d", text, err);
    return p;
}

static bool has(const char *prefix, const char *host)
{
    weft_addr_prefix p = parsed(prefix);
    weft_addr a;
    CHECK_EQ(weft_addr_parse_host(&a, host, 80), 0);
    return weft_addr_prefix_has(&p, &a);
}

TEST_PLAIN(a_prefix_has_what_begins_like_it)
{
    CHECK(has("10.0.0.0/8", "10.0.0.0"));
    CHECK(has("10.0.0.0/8", "10.255.255.255"));
    CHECK(!has("10.0.0.0/8", "11.0.0.0"));
    CHECK(!has("10.0.0.0/8", "9.255.255.255"));
    CHECK(has("172.16.0.0/12", "172.31.255.255"));
    CHECK(!has("172.16.0.0/12", "172.32.0.0"));
    CHECK(has("0.0.0.0/0", "255.255.255.255"));
    CHECK(has("128.0.0.0/1", "128.0.0.0"));
    CHECK(!has("128.0.0.0/1", "127.255.255.255"));
    CHECK(has("1.2.3.4/31", "1.2.3.5"));
    CHECK(!has("1.2.3.4", "1.2.3.5"));
    CHECK(has("1.2.3.4", "1.2.3.4"));
    CHECK(has("2001:db8::/32", "2001:db8:ffff::1"));
    CHECK(!has("2001:db8::/32", "2001:db9::"));
    CHECK(has("fe80::/10", "febf::1%7777"));
    CHECK(!has("fe80::/10", "fec0::1"));
    CHECK(has("::1", "::1"));
    CHECK(has("::/0", "ffff::"));
}

TEST_PLAIN(a_mapped_address_is_in_the_prefixes_of_its_ipv4_address)
{
    CHECK(has("10.0.0.0/8", "::ffff:10.1.2.3"));
    CHECK(!has("10.0.0.0/8", "::ffff:11.1.2.3"));
    CHECK(has("0.0.0.0/0", "::ffff:11.1.2.3"));
    CHECK(!has("::/0", "::ffff:10.1.2.3"));
    CHECK(!has("::/0", "10.1.2.3"));
    CHECK(!has("::/95", "10.1.2.3"));
    CHECK(has("::ffff:0:0/96", "10.1.2.3"));
    CHECK(has("::ffff:10.0.0.0/104", "10.1.2.3"));
    CHECK(has("::ffff:10.0.0.0/104", "::ffff:10.1.2.3"));
    CHECK(!has("::ffff:10.0.0.0/104", "11.1.2.3"));
    CHECK(!has("0.0.0.0/0", "::1"));
    CHECK(!has("10.0.0.0/8", "::10.1.2.3"));
}

TEST_PLAIN(nothing_but_ip_is_in_a_prefix)
{
    weft_addr_prefix p = parsed("0.0.0.0/0"), q = parsed("::/0");
    weft_addr a;
    CHECK_EQ(weft_addr_unix(&a, "/x"), 0);
    CHECK(!weft_addr_prefix_has(&p, &a));
    CHECK(!weft_addr_prefix_has(&q, &a));
    memset(&a, 0, sizeof a);
    CHECK(!weft_addr_prefix_has(&q, &a));
    q.bits = 129;
    CHECK_EQ(weft_addr_parse_host(&a, "::1", 0), 0);
    CHECK(!weft_addr_prefix_has(&q, &a));
}

TEST_PLAIN(a_prefix_comes_back_as_it_was)
{
    static const char *const texts[] = {"10.0.0.0/8", "0.0.0.0/0",
                                        "1.2.3.4/32", "2001:db8::/32",
                                        "::/0",       "::1/128"};
    char text[WEFT_ADDR_TEXT];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        weft_addr_prefix p = parsed(texts[i]);
        CHECK_STR(weft_addr_prefix_format(&p, text, sizeof text), texts[i]);
    }
    weft_addr_prefix p = parsed("10.1.2.3");
    CHECK_STR(weft_addr_prefix_format(&p, text, sizeof text), "10.1.2.3/32");
    CHECK_EQ(p.family, AF_INET);
    CHECK_EQ(p.bits, 32);
    CHECK_STR(weft_addr_prefix_format(&p, text, 3), "10");
    CHECK_STR(weft_addr_prefix_format(&p, text, 0), "10");
}

TEST_PLAIN(what_is_no_prefix_is_refused_with_its_text)
{
    static const char *const bad[][2] = {
        {"", "four numbers"},
        {"/8", "four numbers"},
        {"10.0.0.0/", "number of bits"},
        {"10.0.0.0/33", "number of bits"},
        {"::/129", "number of bits"},
        {"10.0.0.0/-1", "number of bits"},
        {"10.0.0.0/08", "number of bits"},
        {"10.0.0.0/8 ", "number of bits"},
        {"10.0.0.0/8/8", "number of bits"},
        {"10.0.0.0/255.0.0.0", "number of bits"},
        {"10/8", "four numbers"},
        {"10.0.0.0:80", "four numbers"},
        {"fe80::%lo/10", "IPv6"},
        {"[::]/0", "IPv6"},
        {"10.0.0.1/8", "bits set"},
        {"1.2.3.4/0", "bits set"},
        {"2001:db8::1/127", "bits set"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        weft_addr_prefix p = {.bits = 99};
        int err = weft_addr_prefix_parse(&p, bad[i][0]);
        if (err != -EINVAL)
            test_fail(__FILE__, __LINE__, "%s is %d", bad[i][0], err);
        CHECK_EQ(p.bits, 99);
        CHECK(strstr(weft_last_error()->msg, bad[i][0]));
        if (!strstr(weft_last_error()->msg, bad[i][1]))
            CHECK_STR(weft_last_error()->msg, bad[i][1]);
    }
}
