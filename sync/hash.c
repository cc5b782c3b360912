/* SPDX-License-Identifier: MIT */
/*
 * hash.c - SipHash-1-3, of Aumasson and Bernstein: a keyed hash made to be
 * fast for short strings and to give nothing away of its key.
 *
 * Words are read in the order of this machine: the number is used only here.
 */
#include "sync/hash.h"

#include <string.h>

struct sip {
    uint64_t a, b, c, d;
};

static inline uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static inline void stir(struct sip *s)
{
    s->a += s->b;
    s->c += s->d;
    s->b = rotate(s->b, 13) ^ s->a;
    s->d = rotate(s->d, 16) ^ s->c;
    s->a = rotate(s->a, 32) + s->d;
    s->c += s->b;
    s->b = rotate(s->b, 17) ^ s->c;
    s->d = rotate(s->d, 21) ^ s->a;
    s->c = rotate(s->c, 32);
}

static inline void take_in(struct sip *s, uint64_t word)
{
    s->d ^= word;
    stir(s);
    s->a ^= word;
}

uint64_t wf_hash(const struct wf_hash_secret *secret, const void *octets,
                 size_t len)
{
    uint64_t first = secret->half[0], second = secret->half[1];
    /* "somepseudorandomlygeneratedbytes" */
    struct sip s = {first ^ 0x736f6d6570736575u, second ^ 0x646f72616e646f6du,
                    first ^ 0x6c7967656e657261u, second ^ 0x7465646279746573u};
    const char *at = octets;
    uint64_t word;
    size_t left = len;
    for (; left >= sizeof word; at += sizeof word, left -= sizeof word) {
        memcpy(&word, at, sizeof word);
        take_in(&s, word);
    }
    word = 0;
    if (left) memcpy(&word, at, left);
    take_in(&s, word ^ (uint64_t)len << 56);
    s.c ^= 0xff;
    for (int i = 0; i < 3; i++)
        stir(&s);
    return s.a ^ s.b ^ s.c ^ s.d;
}
