/* SPDX-License-Identifier: MIT */
/* test_addr_text.c - what texts are read, refused and written, and in words. */
#include <weft/addr.h>
#include <weft/error.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "chance.h"
#include "harness.h"

#if defined(__linux__)
enum { HAS_ABSTRACT = 1 };
#else
enum { HAS_ABSTRACT = 0 };
#endif

static char text[WEFT_ADDR_TEXT];

static weft_addr parsed(const char *from)
{
    weft_addr a;
    int err = weft_addr_parse(&a, from);
    if (err < 0) test_fail(__FILE__, __LINE__, "%s: %d", from, err);
    return a;
}

static const char *again(const char *from)
{
    weft_addr a = parsed(from);
    return weft_addr_format(&a, text, sizeof text);
}

static void check_said(int err, const char *words)
{
    const weft_error *e = weft_last_error();
    CHECK(e != NULL);
    CHECK_EQ(e->code, err);
    if (!strstr(e->msg, words)) CHECK_STR(e->msg, words);
}

/* ---- IPv6 --------------------------------------------------------------- */

TEST_PLAIN(ipv6_is_written_as_rfc_5952_says)
{
    static const char *const texts[][2] = {
        {"[2001:0db8::0001]:80", "[2001:db8::1]:80"},               /* 4.1 */
        {"[2001:db8:0:0:0:0:2:1]:80", "[2001:db8::2:1]:80"},        /* 4.2.1 */
        {"[2001:db8:0:1:1:1:1:1]:80", "[2001:db8:0:1:1:1:1:1]:80"}, /* 4.2.2 */
        {"[2001:db8::1:1:1:1:1]:80", "[2001:db8:0:1:1:1:1:1]:80"},
        {"[2001:0:0:1:0:0:0:1]:80", "[2001:0:0:1::1]:80"}, /* 4.2.3 */
        {"[2001:db8:0:0:1:0:0:1]:80", "[2001:db8::1:0:0:1]:80"},
        {"[2001:DB8::ABCD]:80", "[2001:db8::abcd]:80"}, /* 4.3 */
        {"[::ffff:102:304]:80", "[::ffff:1.2.3.4]:80"}, /* 5 */
        {"[0:0:0:0:0:ffff:1.2.3.4]:80", "[::ffff:1.2.3.4]:80"},
        {"[::1.2.3.4]:80", "[::102:304]:80"},
        {"[64:ff9b::1.2.3.4]:80", "[64:ff9b::102:304]:80"},
        {"[1:0:0:0:0:0:0:0]:80", "[1::]:80"},
        {"[0:0:0:0:0:0:0:0]:80", "[::]:80"},
        {"[1:2:3:4:5:6:7::]:80", "[1:2:3:4:5:6:7:0]:80"},
        {"[::2:3:4:5:6:7:8]:80", "[0:2:3:4:5:6:7:8]:80"},
        {"[1:2:3:4:5:6:7.8.9.10]:80", "[1:2:3:4:5:6:708:90a]:80"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        CHECK_STR(again(texts[i][0]), texts[i][1]);
}

TEST_PLAIN(what_is_nearly_ipv6_is_refused)
{
    static const char *const texts[] = {
        ":",
        ":::",
        "1",
        "1:2:3:4:5:6:7",
        "1:",
        ":1",
        "1:2:3:4:5:6:7:",
        ":1:2:3:4:5:6:7",
        "1::2::3",
        "12345::",
        "::12345",
        "1:2:3:4:5:6:7:8:9",
        "::g",
        "1:2:3:4::5:6:7:8",
        "1:::2",
        "::1.2.3",
        "::1.2.3.4.5",
        "::1.2.3.4:5",
        "::256.1.1.1",
        "::01.2.3.4",
        "1.2.3.4::",
        "::1.2.3.",
        "::.1.2.3",
        "1:2:3:4:5:6:7:1.2.3.4",
        " ::1",
        "::1 ",
        "::0x1",
        "::-1",
        "::1%",
        "[::1]",
        "::1]",
        "fe80::1%lo%lo",
        "::1/64",
        "",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char bracketed[64];
        weft_addr a = {.len = 77};
        (void)snprintf(bracketed, sizeof bracketed, "[%s]:80", texts[i]);
        int err = weft_addr_parse(&a, bracketed);
        if (err != -EINVAL)
            test_fail(__FILE__, __LINE__, "%s is %d", bracketed, err);
        CHECK_EQ(a.len, 77);
    }
}

/* libc reads what is written here, and what it writes is read here. */
TEST_PLAIN(drawn_addresses_are_those_of_libc)
{
    random_begin(test_seed());
    for (int i = 0; i < 20000; i++) {
        uint8_t octets[16], back[16];
        char host[80], libcs[INET6_ADDRSTRLEN];
        weft_addr a, b;
        for (int j = 0; j < 16; j++)
            octets[j] = random_below(2) ? 0 : (uint8_t)random_below(256);
        if (random_below(8) == 0) {
            memset(octets, 0, 10);
            memset(octets + 10, 0xff, 2);
        }
        CHECK_EQ(weft_addr_ipv6(&a, octets, 0, 80), 0);
        (void)weft_addr_format_host(&a, host, sizeof host);
        CHECK_EQ(inet_pton(AF_INET6, host, back), 1);
        CHECK_EQ(memcmp(back, octets, 16), 0);
        CHECK(inet_ntop(AF_INET6, octets, libcs, sizeof libcs) != NULL);
        CHECK_EQ(weft_addr_parse_host(&b, libcs, 80), 0);
        CHECK(weft_addr_equal(&a, &b));
        b = parsed(weft_addr_format(&a, text, sizeof text));
        CHECK(weft_addr_equal(&a, &b));
    }
}

/* ---- scopes ------------------------------------------------------------- */

static unsigned loopback(char name[IF_NAMESIZE])
{
    (void)snprintf(name, IF_NAMESIZE, "%s",
                   if_nametoindex("lo") ? "lo" : "lo0");
    return if_nametoindex(name);
}

TEST_PLAIN(a_scope_is_read_by_number_and_written_by_name)
{
    char name[IF_NAMESIZE], by_number[64], by_name[64];
    unsigned index = loopback(name);
    (void)snprintf(by_number, sizeof by_number, "[fe80::1%%%u]:80", index);
    (void)snprintf(by_name, sizeof by_name, "[fe80::1%%%s]:80", name);
    weft_addr a = parsed(by_number), b = parsed(by_name);
    CHECK_EQ(weft_addr_scope(&a), index);
    CHECK(weft_addr_equal(&a, &b));
    CHECK_STR(weft_addr_format(&a, text, sizeof text), by_name);
}

TEST_PLAIN(a_scope_without_an_interface_is_written_by_number)
{
    CHECK_STR(again("[fe80::1%4294967295]:80"), "[fe80::1%4294967295]:80");
    weft_addr a = parsed("[fe80::1%4294967295]:80");
    CHECK_EQ(weft_addr_scope(&a), 4294967295);
}

TEST_PLAIN(a_bad_scope_is_refused)
{
    static const char *const texts[] = {
        "[fe80::1%0]:80",
        "[fe80::1%01]:80",
        "[fe80::1%4294967296]:80",
        "[fe80::1%1 ]:80",
        "[fe80::1%+1]:80",
        "[fe80::1%99999999999]:80",
        "[fe80::1%]:80",
        "[%1]:80",
        "1.2.3.4%1:80",
        "[fe80::1%an-interface-with-a-long-name]:80",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        weft_addr a;
        int err = weft_addr_parse(&a, texts[i]);
        if (err != -EINVAL)
            test_fail(__FILE__, __LINE__, "%s is %d", texts[i], err);
    }
    check_said(-EINVAL, "no interface of that name");
}

/* ---- IPv4 and ports ----------------------------------------------------- */

TEST_PLAIN(ipv4_has_no_octal_no_hexadecimal_and_no_other_short_form)
{
    static const char *const texts[] = {
        "01.2.3.4:80",   "1.2.3.04:80",    "00.0.0.0:80",
        "127.0.0.1.:80", "0177.0.0.1:80",  "1.2.3:80",
        "1.2.3.4.5:80",  "1..2.3:80",      ".1.2.3.4:80",
        "1.2.3.4 :80",   "1,2,3,4:80",     "2130706433:80",
        "1.2.3.256:80",  "1.2.3.1000:80",  "1.2.3.-4:80",
        "0x1.2.3.4:80",  "1.2.3.4\n:80",   "1.2.3.4:8\n",
        "1.2.3.4:",      "1.2.3.4:000080", "1.2.3.4:80/",
        "1.2.3.4:80:",   "1.2.3.4::80",    "1.2.3.4:80,",
        "\t1.2.3.4:80",  "1.2.3.4:0x50",   "1.2.3.4:http",
        "*:80",          "[1.2.3.4]:80",   "tcp://tcp://1.2.3.4:80",
        "1.2.3.4:65536",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        weft_addr a;
        int err = weft_addr_parse(&a, texts[i]);
        if (err != -EINVAL)
            test_fail(__FILE__, __LINE__, "%s is %d", texts[i], err);
    }
}

TEST_PLAIN(an_error_has_the_text_and_what_is_wrong_with_it)
{
    static const char *const texts[][2] = {
        {"", "empty"},
        {"127.0.0.1", "no port"},
        {"127.0.0.1:", "port is empty"},
        {"127.0.0.1:x", "not a number"},
        {"127.0.0.1:65536", "over 65535"},
        {"127.0.0.01:80", "leading zero"},
        {"127.0.0.256:80", "over 255"},
        {"localhost:80", "four numbers"},
        {"::1:80", "brackets"},
        {"[::1:80", "] is missing"},
        {"[::1]", "no :port"},
        {"[::g]:80", "no IPv6 address"},
        {"[fe80::1%nosuch]:80", "no interface"},
        {"http://1.2.3.4:80", "scheme"},
        {"*:80", "weft_listen"},
        {"unix:", "path is empty"},
        {"unix:/a\\b", "behind a \\"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        weft_addr a;
        CHECK_EQ(weft_addr_parse(&a, texts[i][0]), -EINVAL);
        check_said(-EINVAL, texts[i][0]);
        check_said(-EINVAL, texts[i][1]);
    }
}

TEST_PLAIN(the_text_in_an_error_is_cut_and_in_one_line)
{
    weft_addr a;
    char much[300];
    memset(much, 'a', sizeof much);
    much[sizeof much - 1] = 0;
    CHECK_EQ(weft_addr_parse(&a, much), -EINVAL);
    check_said(-EINVAL, "aaa...\": there is no port");
    CHECK_EQ(weft_addr_parse(&a, "bad\nline\x7f:80"), -EINVAL);
    check_said(-EINVAL, "\"bad?line?:80\"");
}

TEST_PLAIN(a_host_is_read_without_a_port)
{
    weft_addr a;
    CHECK_EQ(weft_addr_parse_host(&a, "10.0.0.1", 53), 0);
    CHECK_STR(weft_addr_format(&a, text, sizeof text), "10.0.0.1:53");
    CHECK_STR(weft_addr_format_host(&a, text, sizeof text), "10.0.0.1");
    CHECK_EQ(weft_addr_parse_host(&a, "::1", 65535), 0);
    CHECK_STR(weft_addr_format(&a, text, sizeof text), "[::1]:65535");
    CHECK_STR(weft_addr_format_host(&a, text, sizeof text), "::1");
    CHECK_EQ(weft_addr_parse_host(&a, "fe80::1%7777", 0), 0);
    CHECK_STR(weft_addr_format_host(&a, text, sizeof text), "fe80::1%7777");

    static const char *const bad[] = {
        "", "[::1]", "localhost", "1.2.3.4:80", "1.2.3", "::1 ", "::1%", "*"};
    a.len = 55;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_EQ(weft_addr_parse_host(&a, bad[i], 80), -EINVAL);
        check_said(-EINVAL, bad[i]);
    }
    CHECK_EQ(weft_addr_parse_host(&a, "::1", 65536), -EINVAL);
    CHECK_EQ(a.len, 55);
}

TEST_PLAIN(a_host_is_cut_to_the_room_there_is)
{
    weft_addr a = parsed("[2001:db8::1]:80");
    char some[8] = "ZZZZZZZ";
    CHECK_PTR(weft_addr_format_host(&a, some, 0), some);
    CHECK_STR(some, "ZZZZZZZ");
    CHECK_STR(weft_addr_format_host(&a, some, 5), "2001");
    CHECK_EQ(some[5], 'Z');
}

/* ---- Unix --------------------------------------------------------------- */

TEST_PLAIN(odd_octets_of_a_path_are_escaped_and_read_back)
{
    weft_addr a, b;
    CHECK_EQ(weft_addr_unix(&a, "/tmp/a\\b\nc\x7f\xc3\xa4"), 0);
    CHECK_STR(weft_addr_format(&a, text, sizeof text),
              "unix:/tmp/a\\\\b\\x0ac\\x7f\xc3\xa4");
    b = parsed(text);
    CHECK(weft_addr_equal(&a, &b));
    CHECK_STR(weft_addr_path(&b), "/tmp/a\\b\nc\x7f\xc3\xa4");
    b = parsed("unix:\\x2Fx");
    CHECK_STR(weft_addr_path(&b), "/x");
}

TEST_PLAIN(a_path_that_begins_with_an_at_is_not_an_abstract_name)
{
    weft_addr a, b;
    CHECK_EQ(weft_addr_unix(&a, "@x@"), 0);
    CHECK_STR(weft_addr_format(&a, text, sizeof text), "unix:\\x40x@");
    b = parsed(text);
    CHECK(weft_addr_equal(&a, &b));
    CHECK_STR(weft_addr_path(&b), "@x@");
}

TEST_PLAIN(an_abstract_name_may_have_any_octet)
{
    weft_addr a, b;
    char name[107];
    size_t len = 0;
    if (!HAS_ABSTRACT) SKIP("abstract names are of Linux");
    CHECK_EQ(weft_addr_abstract(&a, "a\0b\0", 4), 0);
    CHECK_STR(weft_addr_format(&a, text, sizeof text), "unix:@a\\x00b\\x00");
    b = parsed(text);
    CHECK(weft_addr_equal(&a, &b));
    CHECK_EQ(b.len, offsetof(struct sockaddr_un, sun_path) + 5);
    CHECK_EQ(memcmp(weft_addr_abstract_name(&b, &len), "a\0b\0", 4), 0);
    CHECK_EQ(len, 4);
    CHECK(weft_addr_path(&b) == NULL);

    /* The longest text there is. */
    memset(name, 0, sizeof name);
    CHECK_EQ(weft_addr_abstract(&a, name, sizeof name), 0);
    (void)weft_addr_format(&a, text, sizeof text);
    CHECK_EQ(strlen(text), 6 + 4 * sizeof name);
    b = parsed(text);
    CHECK(weft_addr_equal(&a, &b));
    CHECK_EQ(weft_addr_abstract(&b, "\0", 1), 0);
    CHECK(!weft_addr_equal(&a, &b));
}

TEST_PLAIN(a_bad_escape_is_refused)
{
    static const char *const texts[] = {
        "unix:/a\\",    "unix:/a\\x",  "unix:/a\\x4",       "unix:/a\\xg0",
        "unix:/a\\x0g", "unix:/a\\n",  "unix:/a\\x00",      "unix:\\x00a",
        "unix:/\\X41",  "unix:/\\x 1", "unix:/\\x\x10\x10", "unix:",
        "unix:@",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        weft_addr a = {.len = 9};
        int err = weft_addr_parse(&a, texts[i]);
        if (err != -EINVAL)
            test_fail(__FILE__, __LINE__, "%s is %d", texts[i], err);
        CHECK_EQ(a.len, 9);
    }
}

TEST_PLAIN(what_has_no_text_to_be_read_is_written_all_the_same)
{
    weft_addr a = {.len = 0};
    CHECK_STR(weft_addr_format(&a, text, sizeof text), "?");
    CHECK_STR(weft_addr_format_host(&a, text, sizeof text), "?");
    a.sa.ss_family = AF_UNIX;
    a.len = sizeof(sa_family_t);
    CHECK_STR(weft_addr_format(&a, text, sizeof text), "unix:");
    a.len = offsetof(struct sockaddr_un, sun_path) + 1;
    CHECK_STR(weft_addr_format(&a, text, sizeof text),
              HAS_ABSTRACT ? "unix:@" : "unix:");
    a.len = 60000;
    (void)weft_addr_format(&a, text, sizeof text);
}
