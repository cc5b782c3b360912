/* SPDX-License-Identifier: MIT */
/* test_hash.c - that each octet, their number and the secret count. */
#include <stdint.h>
#include <string.h>

#include "harness.h"
#include "sync/hash.h"

static const struct wf_hash_secret none, some = {{1, 2}};

static uint64_t hash(const void *octets, size_t len)
{
    return wf_hash(&some, octets, len);
}

TEST_PLAIN(it_is_the_known_function)
{
    const uint16_t one = 1;
    if (*(const unsigned char *)&one != 1) SKIP("words are read the other way");
    CHECK(wf_hash(&none, "a", 1) == 0x407448d2b89b1813u);
    CHECK(wf_hash(&none, "12345678", 8) == 0x3489982430560a87u);
    CHECK(wf_hash(&none, "fifteen octets!", 15) == 0x47ad1b0cff9f4939u);
}

TEST_PLAIN(each_octet_counts_and_where_it_stands)
{
    unsigned char octets[40] = {0};
    for (size_t len = 1; len <= sizeof octets; len++) {
        uint64_t as_it_is = hash(octets, len);
        for (size_t i = 0; i < len; i++) {
            for (unsigned bit = 1; bit < 256; bit <<= 1) {
                octets[i] ^= (unsigned char)bit;
                CHECK(hash(octets, len) != as_it_is);
                octets[i] ^= (unsigned char)bit;
            }
        }
        CHECK(hash(octets, len) == as_it_is);
    }
}

TEST_PLAIN(the_number_of_octets_counts)
{
    static const unsigned char octets[300];
    uint64_t numbers[300];
    for (size_t len = 0; len < 300; len++) {
        numbers[len] = hash(octets, len);
        for (size_t i = 0; i < len; i++)
            CHECK(numbers[i] != numbers[len]);
    }
}

TEST_PLAIN(what_stands_behind_does_not_count)
{
    char octets[32];
    for (size_t len = 0; len < 20; len++) {
        memset(octets, 'x', sizeof octets);
        uint64_t before = hash(octets, len);
        memset(octets + len, 'y', sizeof octets - len);
        CHECK(hash(octets, len) == before);
        memmove(octets + 3, octets, len); /* nor where it lies */
        CHECK(hash(octets + 3, len) == before);
    }
}

TEST_PLAIN(both_halves_of_the_secret_count)
{
    const struct wf_hash_secret a = {{1, 3}}, b = {{0, 2}}, c = {{2, 1}};
    CHECK(wf_hash(&a, "key", 3) != hash("key", 3));
    CHECK(wf_hash(&b, "key", 3) != hash("key", 3));
    CHECK(wf_hash(&c, "key", 3) != hash("key", 3));
}

TEST_PLAIN(the_low_bits_are_spread_evenly)
{
    enum { CHAINS = 64, EACH = 100 };
    unsigned counts[CHAINS] = {0};
    for (uint32_t i = 0; i < CHAINS * EACH; i++)
        counts[hash(&i, sizeof i) % CHAINS]++;
    for (int i = 0; i < CHAINS; i++)
        CHECK(counts[i] > EACH / 2 && counts[i] < EACH * 2);
}
