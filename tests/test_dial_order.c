/* SPDX-License-Identifier: MIT */
/* test_dial_order.c - which address is tried first: RFC 6724, section 6. */
#include "harness.h"
#include "net/order.h"
#include "sockets.h"

#define NONE    ""
#define UNKNOWN "?"

static struct wf_route route(const char *to, const char *from)
{
    struct wf_route r;
    weft_addr a;
    CHECK_EQ(weft_addr_parse(&a, to), 0);
    wf_route_init(&r, &a);
    if (strcmp(from, NONE) == 0) {
        wf_route_set_source(&r, NULL);
    } else if (strcmp(from, UNKNOWN) != 0) {
        CHECK_EQ(weft_addr_parse(&a, from), 0);
        wf_route_set_source(&r, &a);
    }
    return r;
}

struct pair {
    const char *first, *its_source, *second, *other_source;
};

static void check_first(const struct pair *p)
{
    struct wf_route a = route(p->first, p->its_source);
    struct wf_route b = route(p->second, p->other_source);
    if (!wf_route_before(&a, &b) || wf_route_before(&b, &a))
        test_fail(__FILE__, __LINE__, "%s is not before %s", p->first,
                  p->second);
}

#define CHECK_FIRST(...) check_first(&(struct pair){__VA_ARGS__})

static void check_equal(const struct pair *p)
{
    struct wf_route a = route(p->first, p->its_source);
    struct wf_route b = route(p->second, p->other_source);
    CHECK(!wf_route_before(&a, &b));
    CHECK(!wf_route_before(&b, &a));
}

#define CHECK_EQUAL(...) check_equal(&(struct pair){__VA_ARGS__})

TEST_PLAIN(rule_1_what_cannot_be_reached_comes_last)
{
    CHECK_FIRST("192.0.2.1:0", "192.0.2.9:0", "[2001:db8::1]:0", NONE);
    CHECK_FIRST("192.0.2.1:0", UNKNOWN, "[2001:db8::1]:0", NONE);
    CHECK_FIRST("[2001:db8::1]:0", "[2001:db8::9]:0", "192.0.2.1:0", NONE);
    CHECK_EQUAL("[2001:db8::2]:0", NONE, "[2001:db8::1]:0", NONE);
}

TEST_PLAIN(rule_2_the_scope_of_the_source_is_to_match)
{
    CHECK_FIRST("[2001:db8:1::1]:0", "[2001:db8:1::2]:0", "198.51.100.121:0",
                "169.254.13.78:0");
    CHECK_FIRST("198.51.100.121:0", "198.51.100.117:0", "[2001:db8:1::1]:0",
                "[fe80::1]:0");
}

TEST_PLAIN(rule_5_the_label_of_the_source_is_to_match)
{
    CHECK_FIRST("[2002:c633:6401::1]:0", "[2002:c633:6401::2]:0",
                "[2001:db8:1::1]:0", "[2002:c633:6401::2]:0");
    /* From a unique local address to the world, through who knows what. */
    CHECK_FIRST("198.51.100.1:0", "10.0.0.2:0", "[2001:db8::1]:0",
                "[fd00::2]:0");
}

TEST_PLAIN(rule_6_the_higher_precedence_is_first)
{
    CHECK_FIRST("[2001:db8:1::1]:0", "[2001:db8:1::2]:0", "10.1.2.3:0",
                "10.1.2.4:0");
    CHECK_FIRST("[2001:db8:1::1]:0", "[2001:db8:1::2]:0",
                "[2002:c633:6401::1]:0", "[2002:c633:6401::2]:0");
    CHECK_FIRST("[::1]:0", UNKNOWN, "[2001:db8::1]:0", UNKNOWN);
    CHECK_FIRST("[2001:db8::1]:0", UNKNOWN, "192.0.2.1:0", UNKNOWN);
    CHECK_FIRST("192.0.2.1:0", UNKNOWN, "[2002::1]:0", UNKNOWN);
    CHECK_FIRST("[2002::1]:0", UNKNOWN, "[2001:0:1::1]:0", UNKNOWN);
    CHECK_FIRST("[2001:0:1::1]:0", UNKNOWN, "[fd00::1]:0", UNKNOWN);
    CHECK_FIRST("[fc00::1]:0", UNKNOWN, "[3ffe::1]:0", UNKNOWN);
    CHECK_FIRST("[fc00::1]:0", UNKNOWN, "[fec0::1]:0", UNKNOWN);
    CHECK_FIRST("[fc00::1]:0", UNKNOWN, "[::192.0.2.1]:0", UNKNOWN);
}

TEST_PLAIN(rule_8_the_smaller_scope_is_first)
{
    CHECK_FIRST("[fe80::1]:0", "[fe80::2]:0", "[2001:db8:1::1]:0",
                "[2001:db8:1::2]:0");
    CHECK_FIRST("[fec0::1]:0", UNKNOWN, "[3ffe::1]:0", UNKNOWN);
    CHECK_FIRST("[ff02::1]:0", UNKNOWN, "[ff05::1]:0", UNKNOWN);
    CHECK_FIRST("127.0.0.1:0", UNKNOWN, "192.0.2.1:0", UNKNOWN);
    CHECK_FIRST("169.254.0.1:0", UNKNOWN, "10.0.0.1:0", UNKNOWN);
}

TEST_PLAIN(rule_9_the_longest_prefix_in_common_is_first_in_ipv6)
{
    CHECK_FIRST("[2001:db8:1::1]:0", "[2001:db8:1::2]:0",
                "[2001:db8:3ffe::1]:0", "[2001:db8:3f44::2]:0");
    /* Behind the first half they say nothing of where they are. */
    CHECK_EQUAL("[2001:db8:1::1]:0", "[2001:db8:1::2]:0",
                "[2001:db8:1:0:8000::1]:0", "[2001:db8:1::2]:0");
    CHECK_EQUAL("192.0.2.1:0", "192.0.2.2:0", "198.51.100.1:0", "192.0.2.2:0");
    CHECK_EQUAL("[2001:db8:1::1]:0", UNKNOWN, "[2001:db8:3ffe::1]:0",
                "[2001:db8:3f44::2]:0");
}

TEST_PLAIN(rule_10_what_is_equal_stays_as_it_was)
{
    CHECK_EQUAL("192.0.2.1:0", UNKNOWN, "192.0.2.2:0", UNKNOWN);
    CHECK_EQUAL("[2001:db8::1]:0", UNKNOWN, "[2001:db8::2]:0", UNKNOWN);
}

TEST_PLAIN(a_source_that_is_not_specified_tells_nothing)
{
    struct wf_route r = route("192.0.2.1:0", "0.0.0.0:0");
    CHECK_EQ(r.source, WF_SOURCE_UNKNOWN);
    r = route("[2001:db8::1]:0", "[::]:0");
    CHECK_EQ(r.source, WF_SOURCE_UNKNOWN);
}

/* ---- asked of the kernel ------------------------------------------------ */

TEST_REAL(the_kernel_says_the_source_and_nothing_is_sent)
{
    weft_addr to;
    CHECK_EQ(weft_addr_parse(&to, "127.0.0.1:9"), 0);
    struct wf_route r = route("127.0.0.1:9", UNKNOWN);
    wf_route_probe(&r, &to);
    CHECK_EQ(r.source, WF_SOURCE_KNOWN);
    CHECK_EQ(memcmp(&r.from, &r.to, sizeof r.to), 0);
}

TEST_REAL(what_the_kernel_cannot_send_to_has_no_source)
{
    weft_addr to; /* link-local, and on no link */
    CHECK_EQ(weft_addr_parse(&to, "[fe80::1]:9"), 0);
    struct wf_route r = route("[fe80::1]:9", UNKNOWN);
    wf_route_probe(&r, &to);
    CHECK_EQ(r.source, WF_SOURCE_NONE);
}
