/* SPDX-License-Identifier: MIT */
/* test_addr_typed.c - addresses made, asked and compared without texts. */
#include <weft/addr.h>
#include <weft/error.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "harness.h"

#if defined(__linux__)
enum { HAS_ABSTRACT = 1 };
#else
enum { HAS_ABSTRACT = 0 };
#endif

#define PATH_AT offsetof(struct sockaddr_un, sun_path)

static char text[WEFT_ADDR_TEXT];

static const char *text_of(const weft_addr *a)
{
    return weft_addr_format(a, text, sizeof text);
}

static weft_addr parsed(const char *from)
{
    weft_addr a;
    int err = weft_addr_parse(&a, from);
    if (err < 0) test_fail(__FILE__, __LINE__, "%s: %d", from, err);
    return a;
}

TEST_PLAIN(what_is_made_is_what_is_parsed)
{
    static const uint8_t octets[16] = {0xfe, 0x80, [15] = 1};
    weft_addr a, b;
    memset(&a, 0x5a, sizeof a);
    CHECK_EQ(weft_addr_ipv4(&a, 0x7f000001, 8080), 0);
    b = parsed("127.0.0.1:8080");
    CHECK(weft_addr_equal(&a, &b));
    CHECK_EQ(a.len, sizeof(struct sockaddr_in));
    CHECK_EQ(weft_addr_family(&a), AF_INET);
    CHECK_EQ(weft_addr_ipv6(&a, octets, 7777, 65535), 0);
    CHECK_STR(text_of(&a), "[fe80::1%7777]:65535");
    CHECK_EQ(a.len, sizeof(struct sockaddr_in6));
    CHECK_EQ(weft_addr_family(&a), AF_INET6);
    CHECK_EQ(weft_addr_unix(&a, "/run/x"), 0);
    b = parsed("unix:/run/x");
    CHECK(weft_addr_equal(&a, &b));
    CHECK_EQ(a.len, b.len);
    CHECK_EQ(weft_addr_family(&a), AF_UNIX);
}

TEST_PLAIN(what_cannot_be_made_is_refused_and_writes_nothing)
{
    static const uint8_t octets[16];
    char path[200];
    weft_addr a = {.len = 99};
    CHECK_EQ(weft_addr_ipv4(&a, 1, 65536), -EINVAL);
    CHECK(strstr(weft_last_error()->msg, "65536"));
    CHECK_EQ(weft_addr_ipv6(&a, octets, 0, 65536), -EINVAL);
    CHECK_EQ(weft_addr_unix(&a, ""), -EINVAL);
    memset(path, 'p', sizeof path);
    path[sizeof(((struct sockaddr_un *)0)->sun_path)] = 0;
    CHECK_EQ(weft_addr_unix(&a, path), -ENAMETOOLONG);
    CHECK(strstr(weft_last_error()->msg, "pppp"));
    CHECK_EQ(weft_addr_abstract(&a, path, 0),
             HAS_ABSTRACT ? -EINVAL : -ENOTSUP);
    CHECK_EQ(weft_addr_abstract(&a, path, 108),
             HAS_ABSTRACT ? -ENAMETOOLONG : -ENOTSUP);
    CHECK_EQ(a.len, 99);
    path[sizeof(((struct sockaddr_un *)0)->sun_path) - 1] = 0;
    CHECK_EQ(weft_addr_unix(&a, path), 0);
}

TEST_PLAIN(ports_and_scopes_are_set_and_asked)
{
    weft_addr a = parsed("1.2.3.4:5");
    CHECK_EQ(weft_addr_set_port(&a, 65535), 0);
    CHECK_STR(text_of(&a), "1.2.3.4:65535");
    CHECK_EQ(weft_addr_set_port(&a, 65536), -EINVAL);
    CHECK_EQ(weft_addr_port(&a), 65535);
    CHECK_EQ(weft_addr_scope(&a), 0);
    CHECK_EQ(weft_addr_set_scope(&a, 1), -EAFNOSUPPORT);
    a = parsed("[fe80::1]:5");
    CHECK_EQ(weft_addr_set_port(&a, 6), 0);
    CHECK_EQ(weft_addr_set_scope(&a, 7777), 0);
    CHECK_STR(text_of(&a), "[fe80::1%7777]:6");
    CHECK_EQ(weft_addr_set_scope(&a, 0), 0);
    CHECK_STR(text_of(&a), "[fe80::1]:6");
    a = parsed("unix:/x");
    CHECK_EQ(weft_addr_set_port(&a, 1), -EAFNOSUPPORT);
    CHECK_EQ(weft_addr_set_scope(&a, 1), -EAFNOSUPPORT);
    CHECK_STR(text_of(&a), "unix:/x");
}

TEST_PLAIN(octets_and_names_are_asked_of_those_who_have_them)
{
    uint8_t octets[16];
    size_t len = 99;
    weft_addr a = parsed("1.2.3.4:5");
    CHECK_EQ(weft_addr_octets(&a, octets), 4);
    CHECK_EQ(memcmp(octets, "\1\2\3\4", 4), 0);
    CHECK(weft_addr_path(&a) == NULL);
    CHECK(weft_addr_abstract_name(&a, &len) == NULL);
    a = parsed("[::1]:5");
    CHECK_EQ(weft_addr_octets(&a, octets), 16);
    CHECK_EQ(octets[15], 1);
    a = parsed("unix:/x");
    CHECK_EQ(weft_addr_octets(&a, octets), 0);
    CHECK_STR(weft_addr_path(&a), "/x");
    CHECK(weft_addr_abstract_name(&a, &len) == NULL);
    CHECK_EQ(len, 99);
}

/* ---- from a sockaddr ---------------------------------------------------- */

static int from(weft_addr *a, const void *sa, size_t len)
{
    return weft_addr_from(a, sa, (socklen_t)len);
}

TEST_PLAIN(a_sockaddr_is_taken_as_it_is)
{
    static const char *const texts[] = {"1.2.3.4:5", "[fe80::1%7777]:5",
                                        "unix:/run/x", "unix:@ab"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts - !HAS_ABSTRACT; i++) {
        weft_addr a = parsed(texts[i]), b;
        memset(&b, 0x5a, sizeof b);
        CHECK_EQ(from(&b, &a.sa, a.len), 0);
        CHECK_EQ(b.len, a.len);
        CHECK_STR(text_of(&b), texts[i]);
        CHECK(weft_addr_equal(&a, &b));
    }
}

TEST_PLAIN(a_unix_path_ends_at_its_0_or_at_its_length)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    weft_addr a;
    memcpy(un.sun_path, "/abc", 4);
    CHECK_EQ(from(&a, &un, sizeof un), 0);
    CHECK_STR(text_of(&a), "unix:/abc");
    CHECK_EQ(a.len, PATH_AT + 5);
    CHECK_EQ(from(&a, &un, PATH_AT + 3), 0);
    CHECK_STR(text_of(&a), "unix:/ab");
    CHECK_EQ(a.len, PATH_AT + 4);
    CHECK_EQ(from(&a, &un, PATH_AT), 0); /* no name */
    CHECK_STR(text_of(&a), "unix:");
    CHECK_EQ(a.len, PATH_AT);
    memset(un.sun_path, 'x', sizeof un.sun_path);
    a.len = 5;
    CHECK_EQ(from(&a, &un, sizeof un), -ENAMETOOLONG);
    CHECK_EQ(a.len, 5);
}

TEST_PLAIN(a_sockaddr_of_a_wrong_length_or_family_is_refused)
{
    weft_addr four = parsed("1.2.3.4:5"), six = parsed("[::1]:5"), a;
    struct sockaddr_storage odd = {.ss_family = 99};
    a.len = 7;
    for (size_t len = 0; len < sizeof(struct sockaddr_in); len++)
        CHECK_EQ(from(&a, &four.sa, len), -EINVAL);
    for (size_t len = 0; len < sizeof(struct sockaddr_in6); len++)
        CHECK_EQ(from(&a, &six.sa, len), -EINVAL);
    CHECK_EQ(from(&a, &four.sa, sizeof four.sa + 1), -EINVAL);
    CHECK_EQ(from(&a, &odd, sizeof odd), -EAFNOSUPPORT);
    CHECK(strstr(weft_last_error()->msg, "99"));
    CHECK_EQ(a.len, 7);
    CHECK_EQ(from(&a, &four.sa, sizeof four.sa), 0); /* too much is cut */
    CHECK_EQ(a.len, sizeof(struct sockaddr_in));
}

/* ---- what it is --------------------------------------------------------- */

enum { ANY = 1, LOOP = 2, MULTI = 4, LINK = 8, PRIVATE = 16, MAPPED = 32 };

static int kinds_of(const weft_addr *a)
{
    return (weft_addr_is_any(a) ? ANY : 0) |
           (weft_addr_is_loopback(a) ? LOOP : 0) |
           (weft_addr_is_multicast(a) ? MULTI : 0) |
           (weft_addr_is_link_local(a) ? LINK : 0) |
           (weft_addr_is_private(a) ? PRIVATE : 0) |
           (weft_addr_is_mapped(a) ? MAPPED : 0);
}

TEST_PLAIN(each_address_is_of_its_kind)
{
    static const struct {
        const char *text;
        int kinds;
    } all[] = {
        {"0.0.0.0:1", ANY},
        {"0.0.0.1:1", 0},
        {"1.0.0.0:1", 0},
        {"127.0.0.1:1", LOOP},
        {"127.255.255.255:1", LOOP},
        {"128.0.0.1:1", 0},
        {"126.0.0.1:1", 0},
        {"223.255.255.255:1", 0},
        {"224.0.0.0:1", MULTI},
        {"239.255.255.255:1", MULTI},
        {"240.0.0.0:1", 0},
        {"169.254.0.1:1", LINK},
        {"169.253.0.1:1", 0},
        {"10.1.2.3:1", PRIVATE},
        {"172.15.0.1:1", 0},
        {"172.16.0.1:1", PRIVATE},
        {"172.31.0.1:1", PRIVATE},
        {"172.32.0.1:1", 0},
        {"192.168.0.1:1", PRIVATE},
        {"192.169.0.1:1", 0},
        {"[::]:1", ANY},
        {"[::1]:1", LOOP},
        {"[::2]:1", 0},
        {"[1::1]:1", 0},
        {"[ff02::1]:1", MULTI},
        {"[fe80::1]:1", LINK},
        {"[febf::1]:1", LINK},
        {"[fec0::1]:1", 0},
        {"[fc00::1]:1", PRIVATE},
        {"[fd00::1]:1", PRIVATE},
        {"[fe00::1]:1", 0},
        {"[::ffff:0.0.0.0]:1", ANY | MAPPED},
        {"[::ffff:127.0.0.1]:1", LOOP | MAPPED},
        {"[::ffff:10.0.0.1]:1", PRIVATE | MAPPED},
        {"[::ffff:224.0.0.1]:1", MULTI | MAPPED},
        {"[::ffff:169.254.0.1]:1", LINK | MAPPED},
        {"[::127.0.0.1]:1", 0},
        {"unix:/127.0.0.1", 0},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        weft_addr a = parsed(all[i].text);
        if (kinds_of(&a) != all[i].kinds)
            test_fail(__FILE__, __LINE__, "%s is %d", all[i].text,
                      kinds_of(&a));
    }
    weft_addr none = {.len = 0};
    CHECK_EQ(kinds_of(&none), 0);
}

TEST_PLAIN(a_mapped_address_becomes_the_ipv4_one)
{
    weft_addr a = parsed("[::ffff:1.2.3.4%7777]:5"), b = parsed("1.2.3.4:5");
    CHECK(!weft_addr_equal(&a, &b));
    CHECK(weft_addr_unmap(&a));
    CHECK(weft_addr_equal(&a, &b));
    CHECK_EQ(a.len, b.len);
    CHECK(!weft_addr_unmap(&a));
    a = parsed("[::1]:5");
    CHECK(!weft_addr_unmap(&a));
    CHECK_STR(text_of(&a), "[::1]:5");
}

/* ---- compared ----------------------------------------------------------- */

TEST_PLAIN(addresses_have_a_total_order)
{
    static const char *const sorted[] = {
        "1.2.3.4:5",        "1.2.3.4:256",  "1.2.4.3:5",    "200.0.0.1:1",
        "[::1]:1",          "[::1]:2",      "[::1%7777]:1", "[fe80::1]:1",
        "[fe80::1%7777]:1", "unix:/a",      "unix:/ab",     "unix:/b",
        "unix:@a",          "unix:@a\\x00", "unix:@ab",
    };
    enum { MANY = sizeof sorted / sizeof *sorted };
    for (int i = 0; i < MANY - 3 * !HAS_ABSTRACT; i++) {
        for (int j = 0; j < MANY - 3 * !HAS_ABSTRACT; j++) {
            weft_addr a = parsed(sorted[i]), b = parsed(sorted[j]);
            int sign = weft_addr_compare(&a, &b);
            if ((sign > 0) - (sign < 0) != (i > j) - (i < j))
                test_fail(__FILE__, __LINE__, "%s, %s: %d", sorted[i],
                          sorted[j], sign);
            CHECK_EQ(weft_addr_equal(&a, &b), i == j);
            CHECK_EQ(weft_addr_hash(&a, 1) == weft_addr_hash(&b, 1), i == j);
        }
    }
}

TEST_PLAIN(what_is_not_named_does_not_count)
{
    weft_addr a = parsed("[::1]:80"), b = a;
    ((struct sockaddr_in6 *)&b.sa)->sin6_flowinfo = 5;
    memset((char *)&b.sa + sizeof(struct sockaddr_in6), 0x5a, 8);
    CHECK(weft_addr_equal(&a, &b));
    CHECK_EQ(weft_addr_hash(&a, 9), weft_addr_hash(&b, 9));
    a = b = parsed("unix:/x");
    b.len = sizeof(struct sockaddr_un); /* as some systems tell it */
    CHECK(weft_addr_equal(&a, &b));
    CHECK_EQ(weft_addr_hash(&a, 9), weft_addr_hash(&b, 9));
}

TEST_PLAIN(unnamed_sockets_are_equal_and_other_families_too)
{
    weft_addr a = {.len = 0}, b = {.len = 0};
    CHECK(weft_addr_equal(&a, &b));
    b.sa.ss_family = AF_UNIX;
    CHECK(weft_addr_compare(&a, &b) > 0);
    CHECK(weft_addr_compare(&b, &a) < 0);
    a.sa.ss_family = AF_UNIX;
    a.len = PATH_AT;
    CHECK(weft_addr_equal(&a, &b));
    CHECK_EQ(weft_addr_hash(&a, 0), weft_addr_hash(&b, 0));
}

static int by_number(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return (a > b) - (a < b);
}

TEST_PLAIN(hashes_of_many_peers_differ_in_their_low_and_high_bits)
{
    enum { PEERS = 4096, SLOTS = 256 };
    static uint64_t hashes[PEERS];
    unsigned low[SLOTS] = {0}, high[SLOTS] = {0};
    for (unsigned i = 0; i < PEERS; i++) {
        weft_addr a;
        CHECK_EQ(weft_addr_ipv4(&a, 0x0a000000 + i / 64, 1024 + i % 64), 0);
        hashes[i] = weft_addr_hash(&a, 42);
        CHECK(hashes[i] != weft_addr_hash(&a, 43));
        low[hashes[i] % SLOTS]++;
        high[hashes[i] >> 56]++;
    }
    for (int i = 0; i < SLOTS; i++) { /* 16 on the average */
        CHECK(low[i] < 64);
        CHECK(high[i] < 64);
    }
    qsort(hashes, PEERS, sizeof *hashes, by_number);
    for (int i = 1; i < PEERS; i++)
        CHECK(hashes[i] != hashes[i - 1]);
}

/* What a product leaves a high bit alone in could be made to cancel. */
TEST_PLAIN(addresses_that_differ_in_high_bits_have_no_common_hash)
{
    static uint64_t hashes[65536];
    for (uint64_t seed = 1; seed <= 3; seed++) {
        for (unsigned i = 0; i < 65536; i++) {
            weft_addr a;
            uint8_t octets[16];
            for (unsigned k = 0; k < 16; k++)
                octets[k] = (uint8_t)(i >> k << 7);
            CHECK_EQ(weft_addr_ipv6(&a, octets, 0, 80), 0);
            hashes[i] = weft_addr_hash(&a, seed);
        }
        qsort(hashes, 65536, sizeof *hashes, by_number);
        for (unsigned i = 1; i < 65536; i++)
            CHECK(hashes[i] != hashes[i - 1]);
    }
}
