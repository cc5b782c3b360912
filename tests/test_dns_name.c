/* SPDX-License-Identifier: MIT */
/* test_dns_name.c - names of the DNS as text and as octets. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "harness.h"
#include "net/dns_msg.h"

/* n labels of `len` octets, with dots between. */
static const char *labels(size_t n, size_t len)
{
    static char text[4096];
    char *at = text;
    for (size_t i = 0; i < n; i++) {
        memset(at, 'a', len);
        at += len;
        *at++ = '.';
    }
    *(n ? at - 1 : at) = 0;
    return text;
}

TEST_PLAIN(a_name_is_labels_with_dots_between)
{
    static const char *const names[] = {
        "a",      "example", "www.example.", "a.b.c",   "_sip._udp.x", "\\.",
        "a\\\\b", "\\000.x", "\\255",        "a\\.b.c", ".",           "*.x"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (wf_dns_name_check(names[i]) != 0)
            test_fail(__FILE__, __LINE__, "%s is refused", names[i]);
}

TEST_PLAIN(what_is_not_a_name_is_refused)
{
    static const char *const names[] = {
        "",    "..",   ".a",    "a..b",  "a..",   "\\",    "a\\",
        "\\1", "\\12", "\\1x2", "\\256", "\\999", "\\12.", "a.\\"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (wf_dns_name_check(names[i]) != -EINVAL)
            test_fail(__FILE__, __LINE__, "%s is taken", names[i]);
}

TEST_PLAIN(a_label_has_63_octets_at_the_most)
{
    CHECK_EQ(wf_dns_name_check(labels(1, 63)), 0);
    CHECK_EQ(wf_dns_name_check(labels(1, 64)), -EINVAL);
    CHECK_EQ(wf_dns_name_check(labels(1, 4000)), -EINVAL);
}

TEST_PLAIN(a_name_has_255_octets_at_the_most_with_its_lengths)
{
    CHECK_EQ(wf_dns_name_check(labels(127, 1)), 0); /* 254, and the root */
    CHECK_EQ(wf_dns_name_check(labels(128, 1)), -EINVAL);
    char text[256];
    memcpy(text, labels(4, 63), sizeof text - 1);
    text[253] = 0;
    CHECK_EQ(wf_dns_name_check(text), 0);
    text[253] = 'b';
    text[254] = 0;
    CHECK_EQ(wf_dns_name_check(text), -EINVAL);
    text[253] = '.'; /* a dot at the end is not one more octet */
    CHECK_EQ(wf_dns_name_check(text), 0);
    CHECK_EQ(wf_dns_name_check(labels(1000, 2)), -EINVAL);
}

TEST_PLAIN(the_longest_text_has_room_in_WF_DNS_NAME)
{
    char text[4 * WF_DNS_WIRE], back[WF_DNS_NAME];
    char *at = text;
    static const int sizes[] = {63, 63, 63, 61};
    for (int l = 0; l < 4; l++) {
        for (int i = 0; i < sizes[l]; i++)
            at += snprintf(at, 5, "\\%03d", i + 128);
        *at++ = '.';
    }
    at[-1] = 0;
    CHECK_EQ(strlen(text), WF_DNS_NAME - 1);
    memset(back, 'x', sizeof back);
    CHECK_EQ(wf_dns_name_canonical(text, back), 0);
    CHECK_STR(back, text);
}

TEST_PLAIN(names_are_equal_in_any_case_and_with_any_escapes)
{
    CHECK(wf_dns_name_equal("WwW.eXaMpLe", "www.example"));
    CHECK(wf_dns_name_equal("www.example.", "www.example"));
    CHECK(wf_dns_name_equal("\\119ww.example", "www.example"));
    CHECK(wf_dns_name_equal("\\087\\w\\W", "www"));
    CHECK(wf_dns_name_equal(".", "."));
    CHECK(!wf_dns_name_equal("www.example", "www.example.org"));
    CHECK(!wf_dns_name_equal("a\\.b", "a.b"));
    CHECK(!wf_dns_name_equal("a", "."));
    CHECK(!wf_dns_name_equal("\\196", "\\228")); /* ASCII only */
    CHECK(!wf_dns_name_equal("@", "`"));
    CHECK(!wf_dns_name_equal("[", "{"));
}

TEST_PLAIN(what_is_not_a_name_equals_nothing)
{
    CHECK(!wf_dns_name_equal("", ""));
    CHECK(!wf_dns_name_equal("a..b", "a..b"));
    CHECK(!wf_dns_name_within("a..b", "."));
    CHECK(!wf_dns_name_within("a.b", ""));
}

TEST_PLAIN(equal_names_have_one_canonical_text)
{
    static const char *const names[][2] = {{"WWW.Example.", "www.example"},
                                           {".", "."},
                                           {"\\065.b", "a.b"},
                                           {"a\\.B", "a\\.b"},
                                           {"x\\032y", "x\\032y"},
                                           {"\\127\\126", "\\127~"},
                                           {"\\\\", "\\\\"},
                                           {"a\\$b", "a$b"}};
    char text[WF_DNS_NAME];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CHECK_EQ(wf_dns_name_canonical(names[i][0], text), 0);
        CHECK_STR(text, names[i][1]);
        CHECK_EQ(wf_dns_name_canonical(text, text), 0); /* in place */
        CHECK_STR(text, names[i][1]);
    }
    CHECK_EQ(wf_dns_name_canonical("a..b", text), -EINVAL);
    CHECK_EQ(wf_dns_name_absolute("WWW.Example.", text), 0);
    CHECK_STR(text, "WWW.Example");
    CHECK_EQ(wf_dns_name_absolute("", text), -EINVAL);
}

TEST_PLAIN(within_a_zone_is_what_ends_in_all_its_labels)
{
    CHECK(wf_dns_name_within("www.example", "example"));
    CHECK(wf_dns_name_within("www.EXAMPLE", "Example."));
    CHECK(wf_dns_name_within("example", "example"));
    CHECK(wf_dns_name_within("example", "."));
    CHECK(wf_dns_name_within(".", "."));
    CHECK(!wf_dns_name_within("notexample", "example"));
    CHECK(!wf_dns_name_within("a\\.example", "example"));
    CHECK(!wf_dns_name_within("example", "www.example"));
    CHECK(!wf_dns_name_within(".", "example"));
    /* the octets of the zone are there, but begin inside a label */
    CHECK(!wf_dns_name_within("a\\001b", "b"));
}

TEST_PLAIN(a_hosts_name_has_letters_digits_hyphens_and_underscores)
{
    static const char *const good[] = {"a",        "www.example.",
                                       "3com.com", "A-b_9",
                                       "_x.y",     "xn--bcher-kva.example"};
    static const char *const bad[] = {"",    ".",      "-a",     "a-.b", "a b",
                                      "a/b", "a\\.b",  "\\000",  "a..b", "*",
                                      "x;y", "\\$(x)", "\\195b", "a.-b"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!wf_dns_name_is_host(good[i]))
            test_fail(__FILE__, __LINE__, "%s is refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (wf_dns_name_is_host(bad[i]))
            test_fail(__FILE__, __LINE__, "%s is taken", bad[i]);
}

TEST_PLAIN(a_name_is_written_as_octets_or_not_at_all)
{
    uint8_t buf[16];
    memset(buf, 0x5a, sizeof buf);
    CHECK_EQ(wf_dns_write_name(buf, sizeof buf, "aB.c\\.d."), 8);
    CHECK(memcmp(buf, "\2aB\3c.d\0\x5a", 9) == 0);
    CHECK_EQ(wf_dns_write_name(buf, 8, "aB.c\\.d"), 8);
    CHECK_EQ(wf_dns_write_name(buf, 7, "aB.c\\.d"), -ENOBUFS);
    CHECK_EQ(wf_dns_write_name(buf, 1, "."), 1);
    CHECK_EQ(buf[0], 0);
    CHECK_EQ(wf_dns_write_name(buf, 0, "."), -ENOBUFS);
    CHECK_EQ(wf_dns_write_name(buf, sizeof buf, "a..b"), -EINVAL);
}

TEST_PLAIN(an_address_has_a_name_for_its_PTR)
{
    char name[WF_DNS_NAME];
    uint8_t v6[16] = {0x20, 1, 0x0d, 0xb8, [15] = 0x1f};
    CHECK_EQ(wf_dns_name_of_addr(AF_INET, "\300\0\2\1", name), 0);
    CHECK_STR(name, "1.2.0.192.in-addr.arpa");
    CHECK_EQ(wf_dns_name_of_addr(AF_INET6, v6, name), 0);
    CHECK_STR(name, "f.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
                    "8.b.d.0.1.0.0.2.ip6.arpa");
    CHECK_EQ(wf_dns_name_check(name), 0);
    static const uint8_t mapped[16] = {[10] = 255, [11] = 255, 192, 0, 2, 1};
    CHECK_EQ(wf_dns_name_of_addr(AF_INET6, mapped, name), 0);
    CHECK_STR(name, "1.2.0.192.in-addr.arpa");
    CHECK_EQ(wf_dns_name_of_addr(AF_UNIX, mapped, name), -EAFNOSUPPORT);
}
