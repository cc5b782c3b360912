/* SPDX-License-Identifier: MIT */
/* test_sha1.c - the examples of RFC 3174, and lengths about a block's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "http/sha1.h"

static const char *digest_of(const void *data, size_t len)
{
    static char text[2 * WF_SHA1_BYTES + 1];
    uint8_t digest[WF_SHA1_BYTES];
    wf_sha1(data, len, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return text;
}

static const char *digest_of_text(const char *text)
{
    return digest_of(text, strlen(text));
}

TEST_PLAIN(rfc_3174_short_texts)
{
    CHECK_STR(digest_of_text("abc"),
              "a9993e364706816aba3e25717850c26c9cd0d89d");
    CHECK_STR(digest_of_text("abcdbcdecdefdefgefghfghighijhijkijkljklm"
                             "klmnlmnomnopnopq"),
              "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
}

TEST_PLAIN(rfc_3174_a_million_letters)
{
    enum { MILLION = 1000000 };
    char *letters = malloc(MILLION);
    CHECK(letters);
    memset(letters, 'a', MILLION);
    CHECK_STR(digest_of(letters, MILLION),
              "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    free(letters);
}

TEST_PLAIN(rfc_3174_ten_times_64_digits)
{
    char digits[640];
    for (size_t i = 0; i < sizeof digits; i++)
        digits[i] = (char)('0' + i % 8);
    CHECK_STR(digest_of(digits, sizeof digits),
              "dea356a2cddd90c7a7ecedc5ebb563934f460452");
}

TEST_PLAIN(rfc_6455_the_answer_to_the_key_of_its_example)
{
    CHECK_STR(digest_of_text("dGhlIHNhbXBsZSBub25jZQ=="
                             "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"),
              "b37a4f2cc0624f1690f64606cf385945b2bec4ea");
}

TEST_PLAIN(any_length_fills_its_last_blocks)
{
    static const struct {
        size_t len;
        const char *digest;
    } known[] = {
        {0, "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
        {1, "bf8b4530d8d246dd74ac53a13471bba17941dff7"},
        {55, "63ac9708fb581dd150d3647549f9e0cb51dcf1df"},
        {56, "5a0c4d0eb2f15e05bbbff6b8dada9ae767fc03f0"},
        {63, "d94ff3ad53f9b9327704b812ee9c1f3abbba3d48"},
        {64, "5f55a35e13f1865e7ffc22dca1275b1a49b0ff56"},
        {65, "d7f8931010f8342a97383e1410a58c47d057708b"},
        {119, "774001b5ad1f46b40c48e1b94cb092c593ead25b"},
        {120, "6ebf3111dc761f11b13f29df0484848785385973"},
        {128, "0a44ac02432f6ead67d86fcb70a4d8ce589e50ec"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint8_t data[128];
        for (size_t j = 0; j < known[i].len; j++)
            data[j] = (uint8_t)(j * 7 + known[i].len);
        CHECK_STR(digest_of(data, known[i].len), known[i].digest);
    }
}

TEST_PLAIN(no_octets_need_no_place)
{
    CHECK_STR(digest_of(NULL, 0), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}
