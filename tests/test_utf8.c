/* SPDX-License-Identifier: MIT */
/* test_utf8.c - the validator against the table of Unicode, written out. */
#include <stdint.h>
#include <string.h>

#include "harness.h"
#include "http/utf8.h"

/* Of a code point as it is told to be; 0: none may be encoded. */
static size_t encode(uint32_t c, uint8_t out[4])
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xC0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xE0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 63));
        out[2] = (uint8_t)(0x80 | (c & 63));
        return c >= 0xD800 && c <= 0xDFFF ? 0 : 3;
    }
    out[0] = (uint8_t)(0xF0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 63));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 63));
    out[3] = (uint8_t)(0x80 | (c & 63));
    return c > 0x10FFFF ? 0 : 4;
}

/* Slow and obvious: the value of a lead with what follows, encoded again, has
 * to be the same octets. */
static bool slow_valid(const uint8_t *at, size_t len)
{
    while (len > 0) {
        size_t n = *at < 0x80   ? 1
                   : *at < 0xC0 ? 0
                   : *at < 0xE0 ? 2
                   : *at < 0xF0 ? 3
                   : *at < 0xF8 ? 4
                                : 0;
        uint8_t again[4];
        uint32_t c = n == 1 ? *at : *at & (uint32_t)(0x7F >> n);
        if (n == 0 || n > len) return false;
        for (size_t i = 1; i < n; i++) {
            if ((at[i] & 0xC0) != 0x80) return false;
            c = c << 6 | (at[i] & 63);
        }
        if (encode(c, again) != n || memcmp(again, at, n) != 0) return false;
        at += n;
        len -= n;
    }
    return true;
}

TEST_PLAIN(every_code_point_is_utf8_and_a_surrogate_is_not)
{
    for (uint32_t c = 0; c < 0x120000; c++) {
        uint8_t octets[4];
        size_t len = encode(c, octets);
        CHECK_EQ(wf_utf8_is_valid(octets, len           ? len
                                          : c < 0x10000 ? 3
                                                        : 4),
                 len > 0);
    }
}

TEST_PLAIN(all_that_three_octets_can_be_is_told_as_the_slow_way_does)
{
    uint32_t step = test_is_slow() ? 101 : 1;
    for (uint32_t n = 0; n < 1 << 24; n += step) {
        const uint8_t octets[3] = {(uint8_t)(n >> 16), (uint8_t)(n >> 8),
                                   (uint8_t)n};
        /* What begins in ASCII is a text of two. */
        if (octets[0] < 0x80 && octets[0] != 'a') continue;
        if (wf_utf8_is_valid(octets, 3) != slow_valid(octets, 3))
            test_fail(__FILE__, __LINE__, "%06x", (unsigned)n);
    }
}

TEST_PLAIN(four_octets_are_told_as_the_slow_way_does)
{
    static const uint8_t edges[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F,
                                    0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xE0, 0xF4};
    for (unsigned first = 0xE0; first < 0x100; first++)
        for (unsigned second = 0; second < 0x100; second++)
            for (size_t i = 0; i < sizeof edges * sizeof edges; i++) {
                const uint8_t octets[4] = {(uint8_t)first, (uint8_t)second,
                                           edges[i % sizeof edges],
                                           edges[i / sizeof edges]};
                CHECK_EQ(wf_utf8_is_valid(octets, 4), slow_valid(octets, 4));
            }
}

TEST_PLAIN(a_text_is_the_same_wherever_it_is_cut)
{
    static const char text[] =
        "twelve: \xC3\xA9, \xE2\x82\xAC, \xF0\x9F\x98\x80"
        " and a longer tail of plain letters";
    size_t len = strlen(text);
    for (size_t a = 0; a <= len; a++)
        for (size_t b = a; b <= len; b++) {
            struct wf_utf8 u = {0, 0, 0};
            CHECK(wf_utf8_feed(&u, text, a));
            CHECK(wf_utf8_feed(&u, text + a, b - a));
            CHECK(wf_utf8_feed(&u, text + b, len - b));
            CHECK(wf_utf8_is_whole(&u));
        }
}

TEST_PLAIN(the_first_octet_that_rules_it_out_is_refused)
{
    static const struct {
        const char *octets;
        size_t good; /* so many of them may begin a text */
    } rows[] = {
        {"\x80", 0},         {"\xBF", 0},         {"\xC0\x80", 0},
        {"\xC1\xBF", 0},     {"\xC2\x41", 1},     {"\xE0\x9F", 1},
        {"\xE1\x80\x7F", 2}, {"\xED\xA0", 1},     {"\xED\xBF", 1},
        {"\xF0\x8F", 1},     {"\xF4\x90", 1},     {"\xF4\x8F\xBF\xC0", 3},
        {"\xF5", 0},         {"\xFE", 0},         {"\xFF", 0},
        {"plain\xFF", 5},    {"12345678\x80", 8}, {"\xC3\xA9\xA9", 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct wf_utf8 u = {0, 0, 0};
        CHECK(wf_utf8_feed(&u, rows[i].octets, rows[i].good));
        CHECK(!wf_utf8_feed(&u, rows[i].octets + rows[i].good, 1));
    }
}

TEST_PLAIN(a_text_that_ends_within_a_character_is_not_whole)
{
    static const char *const rows[] = {"\xC3", "\xE2\x82", "\xF0\x9F\x98",
                                       "a\xF4\x8F"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct wf_utf8 u = {0, 0, 0};
        CHECK(wf_utf8_feed(&u, rows[i], strlen(rows[i])));
        CHECK(!wf_utf8_is_whole(&u));
        CHECK(!wf_utf8_is_valid(rows[i], strlen(rows[i])));
    }
    CHECK(wf_utf8_is_valid(NULL, 0));
}
