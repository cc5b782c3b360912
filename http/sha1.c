/* SPDX-License-Identifier: MIT */
/*
 * sha1.c - SHA-1 of octets that are all there.
 */
#include "sha1.h"

#include <string.h>

enum { BLOCK = 64, ROUNDS = 80 };

static uint32_t rotate(uint32_t x, unsigned by)
{
    return x << by | x >> (32 - by);
}

static uint32_t word_at(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           p[3];
}

static void put_word(uint8_t *p, uint32_t word)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(word >> (24 - 8 * i));
}

/* The functions and constants of RFC 3174, section 5: one for 20 rounds. */
static uint32_t mix(unsigned round, const uint32_t s[5])
{
    uint32_t b = s[1], c = s[2], d = s[3];
    switch (round / 20) {
    case 0:
        return ((b & c) | (~b & d)) + 0x5a827999;
    case 1:
        return (b ^ c ^ d) + 0x6ed9eba1;
    case 2:
        return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
    default:
        return (b ^ c ^ d) + 0xca62c1d6;
    }
}

/* The schedule is kept as a ring of its last 16 words (RFC 3174, 6.2). */
static void add_block(uint32_t h[5], const uint8_t *block)
{
    uint32_t w[16], s[5];
    memcpy(s, h, sizeof s);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t *now = &w[i % 16];
        if (i < 16)
            *now = word_at(block + (size_t)4 * i);
        else
            *now = rotate(
                w[(i + 13) % 16] ^ w[(i + 8) % 16] ^ w[(i + 2) % 16] ^ *now, 1);
        uint32_t next = rotate(s[0], 5) + mix(i, s) + s[4] + *now;
        s[4] = s[3];
        s[3] = s[2];
        s[2] = rotate(s[1], 30);
        s[1] = s[0];
        s[0] = next;
    }
    for (int i = 0; i < 5; i++)
        h[i] += s[i];
}

/* What is left of the data, a 1 and its length in bits: one block, or two. */
static void add_end(uint32_t h[5], const uint8_t *rest, size_t len,
                    uint64_t bits)
{
    uint8_t end[2 * BLOCK] = {0};
    size_t size = len + 9 <= BLOCK ? BLOCK : 2 * BLOCK;
    if (len > 0) memcpy(end, rest, len);
    end[len] = 0x80;
    put_word(end + size - 8, (uint32_t)(bits >> 32));
    put_word(end + size - 4, (uint32_t)bits);
    for (size_t at = 0; at < size; at += BLOCK)
        add_block(h, end + at);
}

void wf_sha1(const void *data, size_t len, uint8_t ret[WF_SHA1_BYTES])
{
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476,
                     0xc3d2e1f0};
    const uint8_t *at = data;
    size_t left = len;
    for (; left >= BLOCK; left -= BLOCK, at += BLOCK)
        add_block(h, at);
    add_end(h, at, left, (uint64_t)len * 8);
    for (int i = 0; i < 5; i++)
        put_word(ret + (size_t)4 * (size_t)i, h[i]);
}
