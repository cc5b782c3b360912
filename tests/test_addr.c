/* SPDX-License-Identifier: MIT */
/* test_addr.c - addresses as texts, there and back. */
#include <weft/addr.h>

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "harness.h"

#if defined(__linux__)
enum { HAS_ABSTRACT = 1 };
#else
enum { HAS_ABSTRACT = 0 };
#endif

static const char *again(const weft_addr *a)
{
    static char text[WEFT_ADDR_TEXT];
    CHECK_PTR(weft_addr_format(a, text, sizeof text), text);
    return text;
}

TEST_PLAIN(a_text_comes_back_as_it_was)
{
    static const char *texts[] = {
        "127.0.0.1:8080",
        "0.0.0.0:1",
        "255.255.255.255:65535",
        "1.2.3.4:0",
        "[::1]:8080",
        "[::]:80",
        "[2001:db8::1]:443",
        "[2001:db8:1:2:3:4:5:6]:443",
        "unix:/run/x",
        "unix:x",
        "unix:/tmp/with space:and:colons",
        "unix:@abstract",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts - !HAS_ABSTRACT; i++) {
        weft_addr a;
        memset(&a, 0x5a, sizeof a);
        int err = weft_addr_parse(&a, texts[i]);
        if (err < 0) test_fail(__FILE__, __LINE__, "%s: %d", texts[i], err);
        CHECK_STR(again(&a), texts[i]);
    }
}

TEST_PLAIN(other_ways_to_write_an_address_are_understood)
{
    static const char *texts[][2] = {
        {"tcp://127.0.0.1:8080", "127.0.0.1:8080"},
        {"tcp://[::1]:8080", "[::1]:8080"},
        {"[0:0:0:0:0:0:0:1]:80", "[::1]:80"},
        {"[2001:DB8::A]:80", "[2001:db8::a]:80"},
        {"127.0.0.1:00080", "127.0.0.1:80"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        weft_addr a;
        if (weft_addr_parse(&a, texts[i][0]) < 0) {
            if (strstr(texts[i][0], ":000")) continue; /* strict is fine too */
            test_fail(__FILE__, __LINE__, "%s is refused", texts[i][0]);
        }
        CHECK_STR(again(&a), texts[i][1]);
    }
}

TEST_PLAIN(a_port_is_that_of_either_family)
{
    weft_addr a;
    CHECK_EQ(weft_addr_parse(&a, "127.0.0.1:8081"), 0);
    CHECK_EQ(weft_addr_port(&a), 8081);
    CHECK_EQ(weft_addr_parse(&a, "[::1]:65535"), 0);
    CHECK_EQ(weft_addr_port(&a), 65535);
    CHECK_EQ(weft_addr_parse(&a, "unix:/x"), 0);
    CHECK_EQ(weft_addr_port(&a), 0);
}

TEST_PLAIN(no_host_is_any_address_of_either_family)
{
    weft_addr a;
    CHECK_EQ(weft_addr_parse(&a, ":8080"), 0);
    CHECK_EQ(weft_addr_port(&a), 8080);
    CHECK_EQ(weft_addr_parse(&a, "tcp://:8080"), 0);
    CHECK_EQ(weft_addr_port(&a), 8080);
    CHECK(a.sa.ss_family == AF_INET || a.sa.ss_family == AF_INET6);
    CHECK_EQ(weft_addr_parse(&a, again(&a)), 0);
    CHECK_EQ(weft_addr_port(&a), 8080);
}

TEST_PLAIN(an_address_is_the_sockaddr_that_the_kernel_wants)
{
    weft_addr a;
    CHECK_EQ(weft_addr_parse(&a, "1.2.3.4:258"), 0);
    struct sockaddr_in *in = (struct sockaddr_in *)&a.sa;
    CHECK_EQ(a.len, sizeof *in);
    CHECK_EQ(in->sin_family, AF_INET);
    CHECK_EQ(ntohl(in->sin_addr.s_addr), 0x01020304);
    CHECK_EQ(ntohs(in->sin_port), 258);
    CHECK_EQ(weft_addr_port(&a), 258);

    CHECK_EQ(weft_addr_parse(&a, "[::ffff:1.2.3.4]:5"), 0);
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a.sa;
    CHECK_EQ(a.len, sizeof *in6);
    CHECK_EQ(in6->sin6_family, AF_INET6);
    CHECK_EQ(in6->sin6_addr.s6_addr[15], 4);
    CHECK_EQ(in6->sin6_scope_id, 0);
    CHECK_EQ(in6->sin6_flowinfo, 0);

    CHECK_EQ(weft_addr_parse(&a, "unix:/run/x"), 0);
    struct sockaddr_un *un = (struct sockaddr_un *)&a.sa;
    CHECK_EQ(un->sun_family, AF_UNIX);
    CHECK_STR(un->sun_path, "/run/x");
    CHECK_EQ(weft_addr_port(&a), 0);

    int err = weft_addr_parse(&a, "unix:@name");
    if (!HAS_ABSTRACT) {
        CHECK_EQ(err, -ENOTSUP);
        return;
    }
    CHECK_EQ(err, 0);
    CHECK_EQ(un->sun_path[0], 0);
    CHECK_EQ(memcmp(un->sun_path + 1, "name", 4), 0);
    CHECK_EQ(a.len, offsetof(struct sockaddr_un, sun_path) + 5);
}

TEST_PLAIN(a_scope_of_a_link_local_address_is_an_interface)
{
    weft_addr a;
    const char *text = if_nametoindex("lo") ? "[fe80::1%lo]:80"
                                            : "[fe80::1%lo0]:80";
    CHECK_EQ(weft_addr_parse(&a, text), 0);
    CHECK(((struct sockaddr_in6 *)&a.sa)->sin6_scope_id != 0);
    CHECK_STR(again(&a), text);
    CHECK_EQ(weft_addr_parse(&a, "[fe80::1%no-such-interface]:80"), -EINVAL);
    CHECK_EQ(weft_addr_parse(&a, "[fe80::1%]:80"), -EINVAL);
}

TEST_PLAIN(what_is_no_address_is_refused_and_writes_nothing)
{
    static const char *texts[] = {
        "",
        ":",
        "80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:80x",
        "127.0.0.1: 80",
        "127.0.0.1:80 ",
        " 127.0.0.1:80",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        "127.0.0.1:65536",
        "127.0.0.1:4294967296",
        "127.0.0.1:18446744073709551696",
        "127.0.0.1:0x50",
        "127.0.0:80",
        "127.1:80",
        "127.0.0.256:80",
        "127.0.0.1.5:80",
        "0x7f.0.0.1:80",
        "localhost:80",
        "example.com:80",
        "::1:80",
        "::1",
        "[::1]",
        "[::1]:",
        "[::1]80",
        "[::1:80",
        "::1]:80",
        "[]:80",
        "[127.0.0.1]:80",
        "[::1]:65536",
        "[::g]:80",
        "[1:2:3:4:5:6:7:8:9]:80",
        "[1::2::3]:80",
        "tcp://",
        "tcp://127.0.0.1",
        "tcp:127.0.0.1:80",
        "tcp:/127.0.0.1:80",
        "udp://127.0.0.1:80",
        "http://127.0.0.1:80",
        "unix:",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        weft_addr a;
        a.len = 12345;
        int err = weft_addr_parse(&a, texts[i]);
        if (err != -EINVAL) {
            test_fail(__FILE__, __LINE__, "\"%s\" is %d", texts[i], err);
        }
        CHECK_EQ(a.len, 12345);
    }
}

TEST_PLAIN(texts_of_any_length_are_refused_in_peace)
{
    static char text[5000];
    weft_addr a;
    for (size_t len = 1; len < sizeof text; len += 1 + len / 3) {
        memset(text, '1', len);
        text[len] = '\0';
        CHECK_EQ(weft_addr_parse(&a, text), -EINVAL);
        memcpy(text, "[", 1);
        CHECK_EQ(weft_addr_parse(&a, text), -EINVAL);
        if (len > 3) memcpy(text + len - 3, "]:1", 3);
        CHECK_EQ(weft_addr_parse(&a, text), -EINVAL);
    }
}

/* 107 on Linux. */
enum { MOST = sizeof(((struct sockaddr_un *)0)->sun_path) - 1 };

TEST_PLAIN(a_unix_path_has_at_most_107_octets)
{
    char text[200] = "unix:";
    weft_addr a;
    memset(text + 5, 'p', MOST);
    text[5 + MOST] = '\0';
    CHECK_EQ(weft_addr_parse(&a, text), 0);
    CHECK_STR(again(&a), text);
    text[5 + MOST] = 'p';
    text[5 + MOST + 1] = '\0';
    CHECK_EQ(weft_addr_parse(&a, text), -ENAMETOOLONG);
    text[5] = '@';
    text[5 + MOST] = '\0';
    CHECK_EQ(weft_addr_parse(&a, text), HAS_ABSTRACT ? 0 : -ENOTSUP);
    if (HAS_ABSTRACT) CHECK_STR(again(&a), text);
    memset(text + 5, 'p', 190);
    text[195] = '\0';
    CHECK_EQ(weft_addr_parse(&a, text), -ENAMETOOLONG);
}

TEST_PLAIN(a_text_is_cut_to_the_room_there_is)
{
    weft_addr a;
    char text[32];
    CHECK_EQ(weft_addr_parse(&a, "127.0.0.1:8080"), 0);
    for (size_t room = 1; room < 20; room++) {
        memset(text, 'Z', sizeof text);
        CHECK_PTR(weft_addr_format(&a, text, room), text);
        CHECK_EQ(strlen(text), room > 14 ? 14 : room - 1);
        CHECK_EQ(strncmp(text, "127.0.0.1:8080", strlen(text)), 0);
        CHECK_EQ(text[room], 'Z');
    }
    text[0] = 'Z';
    CHECK_PTR(weft_addr_format(&a, text, 0), text);
    CHECK_EQ(text[0], 'Z');
}

TEST_PLAIN(an_address_of_no_known_kind_has_a_text_as_well)
{
    weft_addr a;
    memset(&a, 0, sizeof a);
    (void)again(&a);
    CHECK_EQ(weft_addr_port(&a), 0);
    a.sa.ss_family = AF_UNIX; /* an unnamed socket, as of socketpair */
    a.len = sizeof(sa_family_t);
    (void)again(&a);
    CHECK_EQ(weft_addr_port(&a), 0);
}
