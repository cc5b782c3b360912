/* SPDX-License-Identifier: MIT */
/* test_dns_follow.c - CNAMEs, what is at their end, and how long it holds. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dns_build.h"
#include "harness.h"

static struct build b;
static struct wf_dns_reader r;
static struct wf_dns_chain c;
static struct wf_dns_record rec;

static int follow(const char *name, uint16_t type)
{
    struct wf_dns_head head;
    int err = wf_dns_read(&r, b.octets, b.len, &head);
    if (err < 0) test_fail(__FILE__, __LINE__, "refused: %s", r.wrong);
    memset(&c, 0x5a, sizeof c);
    return wf_dns_follow(&r, name, type, &c);
}

/* a0 -> a1 -> ... -> a`links`, written backwards when asked; no address. */
static void build_links(unsigned links, bool backwards)
{
    build_reply(&b, "a0.example", WF_DNS_A);
    for (unsigned i = 0; i < links; i++) {
        char from[32], to[32];
        unsigned n = backwards ? links - 1 - i : i;
        (void)snprintf(from, sizeof from, "a%u.example", n);
        (void)snprintf(to, sizeof to, "a%u.example", n + 1);
        build_cname(&b, from, 100 + n, to);
    }
}

TEST_PLAIN(records_of_the_name_asked_for_are_the_answer)
{
    build_reply(&b, "x.example", WF_DNS_A);
    build_a(&b, "x.example", 60);
    build_a(&b, "X.Example", 30);
    CHECK_EQ(follow("x.example.", WF_DNS_A), 2);
    CHECK_STR(c.name, "x.example");
    CHECK_EQ(c.links, 0);
    CHECK_EQ(c.records, 2);
    CHECK_EQ(c.ttl, 30);
    CHECK(!c.has_soa);
    CHECK_EQ(wf_dns_chain_next(&r, &c, &rec), 1);
    CHECK_EQ(rec.ttl, 60);
    CHECK_EQ(wf_dns_chain_next(&r, &c, &rec), 1);
    CHECK_EQ(rec.ttl, 30);
    CHECK_EQ(wf_dns_chain_next(&r, &c, &rec), 0);
    CHECK_EQ(wf_dns_chain_next(&r, &c, &rec), 0);
}

TEST_PLAIN(records_of_other_names_types_classes_and_sections_are_not)
{
    build_reply(&b, "x", WF_DNS_A);
    build_a(&b, "y", 60);
    build_record(&b, WF_DNS_ANSWER, "x", WF_DNS_TXT, 60);
    build_octets(&b, "\0", 1);
    build_a(&b, "x", 60);
    build_set16(&b, b.data - 8, 3);
    build_record(&b, WF_DNS_AUTHORITY, "x", WF_DNS_A, 60);
    build_octets(&b, "\1\1\1\1", 4);
    build_record(&b, WF_DNS_ADDITIONAL, "x", WF_DNS_A, 60);
    build_octets(&b, "\1\1\1\1", 4);
    CHECK_EQ(follow("x", WF_DNS_A), 0);
    CHECK_EQ(c.ttl, WF_DNS_TTL_MAX);
    CHECK_EQ(wf_dns_chain_next(&r, &c, &rec), 0);
}

TEST_PLAIN(cnames_are_followed_in_whatever_order_they_stand)
{
    for (int backwards = 0; backwards < 2; backwards++) {
        build_links(5, backwards);
        build_a(&b, "a5.example", 7);
        build_a(&b, "a4.example", 1); /* of a name that has a CNAME: no */
        CHECK_EQ(follow("a5.example", WF_DNS_A), 1);
        build_links(5, backwards);
        build_a(&b, "A5.example", 200);
        CHECK_EQ(follow("A0.EXAMPLE", WF_DNS_A), 1);
        CHECK_STR(c.name, "a5.example");
        CHECK_EQ(c.links, 5);
        CHECK_EQ(c.ttl, 100); /* the least on the way */
        CHECK_EQ(wf_dns_chain_next(&r, &c, &rec), 1);
        CHECK_STR(rec.name, "A5.example");
    }
}

TEST_PLAIN(a_cname_that_was_asked_for_is_not_followed)
{
    build_links(3, false);
    CHECK_EQ(follow("a1.example", WF_DNS_CNAME), 1);
    CHECK_EQ(c.links, 0);
    CHECK_EQ(wf_dns_chain_next(&r, &c, &rec), 1);
    CHECK_EQ(rec.ttl, 101);
}

TEST_PLAIN(a_chain_that_ends_open_tells_for_which_name_to_ask)
{
    build_links(3, false);
    CHECK_EQ(follow("a0.example", WF_DNS_A), 0);
    CHECK_STR(c.name, "a3.example");
    CHECK_EQ(c.links, 3);
    CHECK_EQ(c.ttl, 100);
    CHECK(!c.has_soa);
}

TEST_PLAIN(sixteen_cnames_are_followed_and_no_more)
{
    for (int backwards = 0; backwards < 2; backwards++) {
        build_links(WF_DNS_CNAMES, backwards);
        build_a(&b, "a16.example", 1);
        CHECK_EQ(follow("a0.example", WF_DNS_A), 1);
        build_links(WF_DNS_CNAMES + 1, backwards);
        build_a(&b, "a17.example", 1);
        CHECK_EQ(follow("a0.example", WF_DNS_A), -ELOOP);
        build_links(512, backwards);
        build_a(&b, "a512.example", 1);
        CHECK_EQ(follow("a0.example", WF_DNS_A), -ELOOP);
    }
}

TEST_PLAIN(cnames_in_a_circle_are_told)
{
    build_reply(&b, "a", WF_DNS_A);
    build_cname(&b, "a", 1, "a");
    CHECK_EQ(follow("a", WF_DNS_A), -ELOOP);
    CHECK_EQ(c.type, 0x5a5a); /* nothing was written */
    build_reply(&b, "a", WF_DNS_A);
    build_cname(&b, "a", 1, "b");
    build_cname(&b, "b", 1, "c");
    build_cname(&b, "c", 1, "B");
    CHECK_EQ(follow("a", WF_DNS_A), -ELOOP);
}

TEST_PLAIN(of_two_cnames_the_first_one_holds)
{
    build_reply(&b, "a", WF_DNS_A);
    build_cname(&b, "a", 1, "b");
    build_cname(&b, "a", 1, "c");
    build_a(&b, "c", 1);
    build_a(&b, "b", 1);
    CHECK_EQ(follow("a", WF_DNS_A), 1);
    CHECK_STR(c.name, "b");
}

TEST_PLAIN(a_ttl_with_its_top_bit_makes_the_chain_last_no_time)
{
    build_reply(&b, "a", WF_DNS_A);
    build_cname(&b, "a", 0x80000000, "b");
    build_a(&b, "b", 60);
    CHECK_EQ(follow("a", WF_DNS_A), 1);
    CHECK_EQ(c.ttl, 0);
}

TEST_PLAIN(that_there_is_nothing_holds_for_the_lesser_of_the_SOAs_numbers)
{
    static const uint32_t numbers[][3] = {{900, 120, 120},
                                          {60, 120, 60},
                                          {0, 9, 0},
                                          {0x80000000, 9, 0},
                                          {9, 0xffffffff, 9}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        build_reply(&b, "www.example", WF_DNS_A);
        build_soa(&b, WF_DNS_AUTHORITY, "example", numbers[i][0],
                  numbers[i][1]);
        CHECK_EQ(follow("www.example", WF_DNS_A), 0);
        CHECK(c.has_soa);
        CHECK_EQ(c.negative_ttl, numbers[i][2]);
    }
}

TEST_PLAIN(nothing_at_the_end_of_cnames_holds_no_longer_than_these)
{
    build_links(2, false);
    build_soa(&b, WF_DNS_AUTHORITY, "example", 900, 900);
    CHECK_EQ(follow("a0.example", WF_DNS_A), 0);
    CHECK_STR(c.name, "a2.example");
    CHECK(c.has_soa);
    CHECK_EQ(c.negative_ttl, 100);
}

TEST_PLAIN(an_SOA_counts_in_its_section_and_for_names_of_its_zone)
{
    build_reply(&b, "www.example", WF_DNS_A);
    build_soa(&b, WF_DNS_ANSWER, "example", 60, 60);
    build_soa(&b, WF_DNS_AUTHORITY, "other", 60, 60);
    build_soa(&b, WF_DNS_AUTHORITY, "a.www.example", 60, 60);
    build_soa(&b, WF_DNS_ADDITIONAL, "example", 60, 60);
    CHECK_EQ(follow("www.example", WF_DNS_A), 0);
    CHECK(!c.has_soa);
    CHECK_EQ(c.negative_ttl, 0);
    build_reply(&b, "www.example", WF_DNS_A);
    build_soa(&b, WF_DNS_AUTHORITY, "other", 60, 60);
    build_soa(&b, WF_DNS_AUTHORITY, ".", 50, 60);
    CHECK_EQ(follow("www.example", WF_DNS_A), 0);
    CHECK_EQ(c.negative_ttl, 50);
    build_reply(&b, "www.example", WF_DNS_A);
    build_a(&b, "www.example", 60);
    build_soa(&b, WF_DNS_AUTHORITY, "example", 50, 60);
    CHECK_EQ(follow("www.example", WF_DNS_A), 1);
    CHECK(!c.has_soa);
}

TEST_PLAIN(what_is_not_a_name_is_not_followed)
{
    build_reply(&b, "a", WF_DNS_A);
    CHECK_EQ(follow("a..b", WF_DNS_A), -EINVAL);
    CHECK_EQ(follow("", WF_DNS_A), -EINVAL);
}
