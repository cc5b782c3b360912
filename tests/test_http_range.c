/* SPDX-License-Identifier: MIT */
/*
 * test_http_range.c - which octets a Range asks for.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "chance.h"
#include "harness.h"
#include "http/range.h"

/* "0-4 7-9", "ignored" or "416". */
static const char *ranges_of(const char *value, uint64_t size)
{
    static char text[1024];
    struct wf_range ranges[WEFT_HTTP_RANGES];
    size_t len = 0;
    int n = wf_ranges_parse(weft_text_of(value), size, ranges);
    if (n == 0) return "ignored";
    if (n < 0) {
        CHECK_EQ(n, -ERANGE);
        return "416";
    }
    CHECK(n <= WEFT_HTTP_RANGES);
    for (int i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, sizeof text - len,
                                "%s%" PRIu64 "-%" PRIu64, i > 0 ? " " : "",
                                ranges[i].first, ranges[i].last);
    return text;
}

static const struct {
    const char *value;
    uint64_t size;
    const char *want;
} cases[] = {
    /* one */
    {"bytes=0-4", 10, "0-4"},
    {"bytes=0-0", 10, "0-0"},
    {"bytes=9-9", 10, "9-9"},
    {"bytes=3-", 10, "3-9"},
    {"bytes=0-", 10, "0-9"},
    {"bytes=-3", 10, "7-9"},
    {"bytes=-10", 10, "0-9"},
    {"bytes=-11", 10, "0-9"},
    {"bytes=5-99", 10, "5-9"},
    {"BYTES=1-2", 10, "1-2"},
    {"Bytes=1-2", 10, "1-2"},
    {"bytes=007-008", 10, "7-8"},
    {"bytes=0-18446744073709551615", 10, "0-9"},
    {"bytes=0-99999999999999999999999999", 10, "0-9"},
    {"bytes=-99999999999999999999999999", 10, "0-9"},
    {"bytes=0-", UINT64_MAX, "0-18446744073709551614"},
    {"bytes=-1", UINT64_MAX, "18446744073709551614-18446744073709551614"},
    /* none of which there is anything */
    {"bytes=10-", 10, "416"},
    {"bytes=10-20", 10, "416"},
    {"bytes=-0", 10, "416"},
    {"bytes=18446744073709551616-", 10, "416"},
    {"bytes=99999999999999999999-99999999999999999999", 10, "416"},
    {"bytes=10-, -0, 50-60", 10, "416"},
    /* of nothing */
    {"bytes=0-", 0, "416"},
    {"bytes=0-0", 0, "416"},
    {"bytes=-0", 0, "416"},
    {"bytes=-1", 0, "ignored"},
    {"bytes=0-0,-1", 0, "ignored"},
    /* several */
    {"bytes=0-1,4-5", 10, "0-1 4-5"},
    {"bytes=4-5,0-1", 10, "4-5 0-1"},
    {"bytes=0-0,-1", 10, "0-0 9-9"},
    {"bytes= 0-1 ,\t4-5 ", 10, "0-1 4-5"},
    {"bytes=,0-1,,4-5,", 10, "0-1 4-5"},
    {"bytes=0-1,20-30", 10, "0-1"},
    {"bytes=20-30,0-1", 10, "0-1"},
    {"bytes=0-1,2-3", 10, "0-1 2-3"}, /* beside each other is no overlap */
    /* that overlap */
    {"bytes=0-4,4-6", 10, "0-6"},
    {"bytes=4-6,0-4", 10, "0-6"},
    {"bytes=0-9,3-4", 10, "0-9"},
    {"bytes=3-4,0-9", 10, "0-9"},
    {"bytes=0-1,8-9,1-8", 10, "0-9"},
    {"bytes=8-9,0-1,4-5,1-4", 10, "8-9 0-5"},
    {"bytes=0-0,2-2,4-4,6-6,1-5", 10, "0-0 1-5 6-6"},
    {"bytes=0-,0-,0-,0-,0-,0-", 10, "0-9"},
    /* what is none */
    {"", 10, "ignored"},
    {"bytes", 10, "ignored"},
    {"bytes=", 10, "ignored"},
    {"bytes=,", 10, "ignored"},
    {"bytes=-", 10, "ignored"},
    {"bytes=1", 10, "ignored"},
    {"bytes=a-b", 10, "ignored"},
    {"bytes=1-a", 10, "ignored"},
    {"bytes=1-2x", 10, "ignored"},
    {"bytes=5-4", 10, "ignored"},
    {"bytes=50-40", 10, "ignored"},
    {"bytes=0-1,5-4", 10, "ignored"},
    {"bytes=0-1,x", 10, "ignored"},
    {"bytes=+1-2", 10, "ignored"},
    {"bytes=1--2", 10, "ignored"},
    {"bytes=--2", 10, "ignored"},
    {"bytes=1 -2", 10, "ignored"},
    {"bytes=1- 2", 10, "ignored"},
    {"bytes =1-2", 10, "ignored"},
    {"bytes:1-2", 10, "ignored"},
    {"octets=1-2", 10, "ignored"},
    {"lines=1-2", 10, "ignored"},
    {"bytes=1-2;3-4", 10, "ignored"},
    {"bytes=0x1-2", 10, "ignored"},
};

TEST_PLAIN(a_range_is_read_as_the_table_says)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        printf("%s of %" PRIu64 "\n", cases[i].value, cases[i].size);
        CHECK_STR(ranges_of(cases[i].value, cases[i].size), cases[i].want);
    }
}

TEST_PLAIN(sixteen_ranges_are_read_and_seventeen_passed_over)
{
    char text[256];
    size_t len = (size_t)snprintf(text, sizeof text, "bytes=0-0");
    for (int i = 1; i < WEFT_HTTP_RANGES; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, ",%d-%d", 2 * i,
                                2 * i);
    CHECK_EQ(strncmp(ranges_of(text, 100), "0-0 2-2 4-4 ", 12), 0);
    CHECK_STR(ranges_of(strcat(text, ",50-50"), 100), "ignored");
    /* also if there is nothing of some, or they are all one */
    text[len] = 0;
    CHECK_STR(ranges_of(strcat(text, ",500-"), 100), "ignored");
    len = (size_t)snprintf(text, sizeof text, "bytes=0-");
    for (int i = 1; i <= WEFT_HTTP_RANGES; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, ",0-");
    CHECK_STR(ranges_of(text, 100), "ignored");
}

/* Against a set of octets. */
TEST_PLAIN(joined_ranges_are_the_same_octets_and_never_twice)
{
    enum { SIZE = 24, ROUNDS = 20000 };
    random_begin(test_seed());
    for (int round = 0; round < ROUNDS; round++) {
        struct wf_range ranges[WEFT_HTTP_RANGES];
        unsigned asked[SIZE] = {0}, got[SIZE] = {0};
        char text[256];
        int n = 1 + (int)random_below(WEFT_HTTP_RANGES), any = 0;
        size_t len = (size_t)snprintf(text, sizeof text, "bytes=");
        for (int i = 0; i < n; i++) {
            unsigned first = (unsigned)random_below(SIZE + 2);
            unsigned last = first + (unsigned)random_below(5);
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%u-%u",
                                    i > 0 ? "," : "", first, last);
            for (unsigned at = first; at <= last && at < SIZE; at++)
                any = (int)(asked[at] = 1);
        }
        int count = wf_ranges_parse(weft_text_of(text), SIZE, ranges);
        CHECK_EQ(count > 0, any);
        for (int i = 0; i < count; i++)
            for (uint64_t at = ranges[i].first; at <= ranges[i].last; at++)
                got[at]++;
        if (memcmp(asked, got, sizeof got) != 0)
            test_fail(__FILE__, __LINE__, "%s is %s", text,
                      ranges_of(text, SIZE));
    }
}
