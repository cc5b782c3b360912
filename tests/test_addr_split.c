/* SPDX-License-Identifier: MIT */
/* test_addr_split.c - a host and a port, taken apart. */
#include <weft/addr.h>
#include <weft/error.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"

static char host[WEFT_HOST_TEXT];
static unsigned port;

static int split(const char *text)
{
    return weft_addr_split(text, host, sizeof host, &port);
}

static void check_refused(const char *text, int want)
{
    host[0] = 'Z';
    port = 7777;
    int err = split(text);
    if (err != want) test_fail(__FILE__, __LINE__, "%s is %d", text, err);
    CHECK_EQ(host[0], 'Z');
    CHECK_EQ(port, 7777);
    CHECK(weft_last_error() != NULL);
    CHECK_EQ(weft_last_error()->code, want);
}

TEST_PLAIN(names_and_addresses_are_taken_apart_from_their_port)
{
    static const struct {
        const char *text, *host;
        unsigned port;
    } good[] = {
        {"example.org:80", "example.org", 80},
        {"tcp://example.org:443", "example.org", 443},
        {"example.org.:80", "example.org.", 80},
        {"localhost:0", "localhost", 0},
        {"EXAMPLE.Org:1", "EXAMPLE.Org", 1},
        {"a-b_c.d1:65535", "a-b_c.d1", 65535},
        {"_http._tcp.example.org:80", "_http._tcp.example.org", 80},
        {"3com.com:80", "3com.com", 80},
        {"1.2.3.4:80", "1.2.3.4", 80},
        {"1.2.3.4.in-addr.arpa:80", "1.2.3.4.in-addr.arpa", 80},
        {"[::1]:80", "::1", 80},
        {"[fe80::1%eth0]:80", "fe80::1%eth0", 80},
        {"[fe80::1%no-such]:80", "fe80::1%no-such", 80},
        {":80", "", 80},
        {"tcp://:80", "", 80},
        {"0xcafe.example:80", "0xcafe.example", 80},
        {"x.0xcafeg:80", "x.0xcafeg", 80},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int err = split(good[i].text);
        if (err < 0)
            test_fail(__FILE__, __LINE__, "%s is %d", good[i].text, err);
        CHECK_STR(host, good[i].host);
        CHECK_EQ(port, good[i].port);
    }
}

TEST_PLAIN(what_is_no_host_and_port_is_refused_and_writes_nothing)
{
    static const char *const bad[] = {
        "",
        ":",
        "example.org",
        "example.org:",
        "example.org:http",
        "example.org:65536",
        "example.org:-1",
        "example.org:80 ",
        " example.org:80",
        "exam ple.org:80",
        "example..org:80",
        ".example.org:80",
        ".:80",
        "..:80",
        "example.org..:80",
        "a/b:80",
        "user@example.org:80",
        "*:80",
        "ex\\ample:80",
        "\xc3\xa4.org:80",
        "a\n:80",
        "http://example.org:80",
        "unix:/x",
        "unix:80",
        "[example.org]:80",
        "[]:80",
        "[::1]",
        "[::1]80",
        "[::1%]:80",
        "::1:80",
        "[1.2.3.4]:80",
        "a%b:80",
        "a,b:80",
        "(a):80",
        /* No name, but what old libraries took for an address. */
        "127.1:80",
        "0x7f000001:80",
        "2130706433:80",
        "1.2.3.4.5:80",
        "256.1.1.1:80",
        "01.2.3.4:80",
        "1.2.3.4.:80",
        "0x:80",
        "a.1:80",
        "a.0X1f:80",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_refused(bad[i], -EINVAL);
}

/* Names of `label` octets and dots, `len` octets in all. */
static const char *long_name(char *text, size_t len, size_t label)
{
    for (size_t i = 0; i < len; i++)
        text[i] = i % (label + 1) == label ? '.' : 'a';
    memcpy(text + len, ":80", 4);
    return text;
}

TEST_PLAIN(a_name_has_at_most_253_octets_and_a_label_63)
{
    char text[400];
    CHECK_EQ(split(long_name(text, 63, 63)), 0);
    CHECK_EQ(strlen(host), 63);
    check_refused(long_name(text, 64, 64), -ENAMETOOLONG);
    CHECK_EQ(split(long_name(text, 253, 63)), 0);
    CHECK_EQ(strlen(host), 253);
    (void)long_name(text, 253, 63);
    memcpy(text + 253, ".:80", 5); /* the root does not count */
    CHECK_EQ(split(text), 0);
    CHECK_EQ(strlen(host), 254);
    check_refused(long_name(text, 254, 63), -ENAMETOOLONG);
    check_refused(long_name(text, 300, 30), -ENAMETOOLONG);
}

TEST_PLAIN(a_host_that_does_not_fit_is_refused)
{
    char small[8] = "ZZZZZZZ";
    CHECK_EQ(weft_addr_split("example:80", small, sizeof small, &port), 0);
    CHECK_STR(small, "example");
    CHECK_EQ(weft_addr_split("examples:80", small, sizeof small, &port),
             -ENAMETOOLONG);
    CHECK_STR(small, "example");
    CHECK_EQ(weft_addr_split(":80", small, 0, &port), -ENAMETOOLONG);
    CHECK_EQ(weft_addr_split(":80", small, 1, &port), 0);
    CHECK_STR(small, "");
}

TEST_PLAIN(the_error_of_a_host_has_the_text_and_what_is_wrong)
{
    static const char *const bad[][2] = {
        {"127.1:80", "neither an IPv4 address nor a name"},
        {"a b:80", "a character"},
        {"a..b:80", "a part of the name is empty"},
        {"unix:/x", "has no host"},
        {"[::1%]:80", "the scope is empty"},
        {"a:http", "not a number"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        check_refused(bad[i][0], -EINVAL);
        CHECK(strstr(weft_last_error()->msg, bad[i][0]));
        CHECK(strstr(weft_last_error()->msg, bad[i][1]));
    }
}
