/* SPDX-License-Identifier: MIT */
/*
 * scan.h - the first octet of a run that is of another kind than most.
 *
 * Each scan returns where it stops: at such an octet, or at `end`. It never
 * reads an octet before `p` or from `end` on, so the last few of a run are
 * taken by words and by one. wf_words_... do without vector instructions; a
 * processor that has none, or WF_HTTP_WORDS, uses only these.
 *
 *   value    at a control octet but HTAB, and at DEL
 *   target   at SP and below, '#', '%', '?', DEL and above
 *   name     at what is no letter, digit or '-'
 */
#ifndef HTTP_SCAN_H
#define HTTP_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__) && !defined(WF_HTTP_WORDS)
#define WF_HTTP_SSE2
#include <emmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_NEON) && !defined(WF_HTTP_WORDS)
#define WF_HTTP_NEON
#include <arm_neon.h>
#endif

/* ---- by words ----------------------------------------------------------- */

/* The octet in each place of a word. */
#define WF_EACH(octet) (UINT64_C(0x0101010101010101) * (octet))

static inline uint64_t wf_word(const char *p)
{
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

/* The high bit of each octet for which it is so; n and octet are below 0x80. No
 * sum carries from one octet into the next, so each bit is exact. */
static inline uint64_t wf_word_less(uint64_t x, unsigned n)
{
    return ~(((x & WF_EACH(0x7f)) + WF_EACH(0x80 - n)) | x) & WF_EACH(0x80);
}

static inline uint64_t wf_word_is(uint64_t x, unsigned octet)
{
    return wf_word_less(x ^ WF_EACH(octet), 1);
}

static inline uint64_t wf_word_within(uint64_t x, unsigned lo, unsigned hi)
{
    return wf_word_less(x, hi + 1) & ~wf_word_less(x, lo);
}

/* Of the octets that are marked so: which is the first. */
static inline int wf_word_first(uint64_t marked)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return __builtin_ctzll(marked) / 8;
#else
    return __builtin_clzll(marked) / 8;
#endif
}

static inline uint64_t wf_word_stops_value(uint64_t x)
{
    return (wf_word_less(x, 0x20) & ~wf_word_is(x, '\t')) | wf_word_is(x, 0x7f);
}

static inline uint64_t wf_word_stops_target(uint64_t x)
{
    return (x & WF_EACH(0x80)) | wf_word_less(x, 0x21) | wf_word_is(x, 0x7f) |
           wf_word_is(x, '#') | wf_word_is(x, '%') | wf_word_is(x, '?');
}

static inline uint64_t wf_word_stops_name(uint64_t x)
{
    uint64_t fine = wf_word_within(x | WF_EACH(0x20), 'a', 'z') |
                    wf_word_within(x, '0', '9') | wf_word_is(x, '-');
    return ~fine & WF_EACH(0x80);
}

static inline bool wf_octet_stops_value(unsigned char c)
{
    return (c < 0x20 && c != '\t') || c == 0x7f;
}

static inline bool wf_octet_stops_target(unsigned char c)
{
    return c <= 0x20 || c >= 0x7f || c == '#' || c == '%' || c == '?';
}

static inline bool wf_octet_stops_name(unsigned char c)
{
    unsigned letter = (c | 0x20U) - 'a', digit = c - (unsigned)'0';
    return letter >= 26 && digit >= 10 && c != '-';
}

#define WF_WORDS(kind)                                                         \
    static inline const char *wf_words_##kind(const char *p, const char *end)  \
    {                                                                          \
        for (; end - p >= 8; p += 8) {                                         \
            uint64_t marked = wf_word_stops_##kind(wf_word(p));                \
            if (marked) return p + wf_word_first(marked);                      \
        }                                                                      \
        while (p < end && !wf_octet_stops_##kind((unsigned char)*p))           \
            p++;                                                               \
        return p;                                                              \
    }

WF_WORDS(value)
WF_WORDS(target)
WF_WORDS(name)

/* ---- by sixteen --------------------------------------------------------- */

#if defined(WF_HTTP_SSE2)

typedef __m128i wf_sixteen;

static inline wf_sixteen wf_sixteen_load(const char *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static inline wf_sixteen wf_sixteen_is(wf_sixteen x, int octet)
{
    return _mm_cmpeq_epi8(x, _mm_set1_epi8((char)octet));
}

/* Unsigned; all bits of an octet for which it is so. */
static inline wf_sixteen wf_sixteen_most(wf_sixteen x, int octet)
{
    return _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8((char)octet)), x);
}

static inline wf_sixteen wf_sixteen_least(wf_sixteen x, int octet)
{
    return _mm_cmpeq_epi8(_mm_max_epu8(x, _mm_set1_epi8((char)octet)), x);
}

static inline wf_sixteen wf_sixteen_within(wf_sixteen x, int lo, int hi)
{
    return wf_sixteen_most(_mm_sub_epi8(x, _mm_set1_epi8((char)lo)), hi - lo);
}

static inline wf_sixteen wf_sixteen_or(wf_sixteen a, wf_sixteen b)
{
    return _mm_or_si128(a, b);
}

static inline wf_sixteen wf_sixteen_lower(wf_sixteen x)
{
    return _mm_or_si128(x, _mm_set1_epi8(0x20));
}

static inline wf_sixteen wf_sixteen_but(wf_sixteen a, wf_sixteen b)
{
    return _mm_andnot_si128(b, a);
}

/* Which is the first that is not marked; 16: none. */
static inline int wf_sixteen_first_not(wf_sixteen x)
{
    return __builtin_ctz(~(unsigned)_mm_movemask_epi8(x));
}

#elif defined(WF_HTTP_NEON)

typedef uint8x16_t wf_sixteen;

static inline wf_sixteen wf_sixteen_load(const char *p)
{
    return vld1q_u8((const uint8_t *)(const void *)p);
}

static inline wf_sixteen wf_sixteen_is(wf_sixteen x, int octet)
{
    return vceqq_u8(x, vdupq_n_u8((uint8_t)octet));
}

static inline wf_sixteen wf_sixteen_most(wf_sixteen x, int octet)
{
    return vcleq_u8(x, vdupq_n_u8((uint8_t)octet));
}

static inline wf_sixteen wf_sixteen_least(wf_sixteen x, int octet)
{
    return vcgeq_u8(x, vdupq_n_u8((uint8_t)octet));
}

static inline wf_sixteen wf_sixteen_within(wf_sixteen x, int lo, int hi)
{
    return wf_sixteen_most(vsubq_u8(x, vdupq_n_u8((uint8_t)lo)), hi - lo);
}

static inline wf_sixteen wf_sixteen_or(wf_sixteen a, wf_sixteen b)
{
    return vorrq_u8(a, b);
}

static inline wf_sixteen wf_sixteen_lower(wf_sixteen x)
{
    return vorrq_u8(x, vdupq_n_u8(0x20));
}

static inline wf_sixteen wf_sixteen_but(wf_sixteen a, wf_sixteen b)
{
    return vbicq_u8(a, b);
}

/* Four bits of each octet, since there is no instruction for one. */
static inline int wf_sixteen_first_not(wf_sixteen x)
{
    uint8x8_t half = vshrn_n_u16(vreinterpretq_u16_u8(x), 4);
    uint64_t bits = ~vget_lane_u64(vreinterpret_u64_u8(half), 0);
    return bits ? __builtin_ctzll(bits) >> 2 : 16;
}

#endif

#if defined(WF_HTTP_SSE2) || defined(WF_HTTP_NEON)

/* The octets at which the scan does not stop. */
static inline wf_sixteen wf_sixteen_fine_value(wf_sixteen x)
{
    wf_sixteen above = wf_sixteen_least(x, 0x20);
    wf_sixteen fine = wf_sixteen_but(above, wf_sixteen_is(x, 0x7f));
    return wf_sixteen_or(fine, wf_sixteen_is(x, '\t'));
}

static inline wf_sixteen wf_sixteen_fine_target(wf_sixteen x)
{
    wf_sixteen mark = wf_sixteen_or(
        wf_sixteen_or(wf_sixteen_is(x, '#'), wf_sixteen_is(x, '%')),
        wf_sixteen_is(x, '?'));
    return wf_sixteen_but(wf_sixteen_within(x, 0x21, 0x7e), mark);
}

static inline wf_sixteen wf_sixteen_fine_name(wf_sixteen x)
{
    wf_sixteen letter = wf_sixteen_within(wf_sixteen_lower(x), 'a', 'z');
    wf_sixteen digit = wf_sixteen_within(x, '0', '9');
    return wf_sixteen_or(wf_sixteen_or(letter, digit), wf_sixteen_is(x, '-'));
}

#define WF_SCAN(kind)                                                          \
    static inline const char *wf_scan_##kind(const char *p, const char *end)   \
    {                                                                          \
        for (; end - p >= 16; p += 16) {                                       \
            wf_sixteen fine = wf_sixteen_fine_##kind(wf_sixteen_load(p));      \
            int first = wf_sixteen_first_not(fine);                            \
            if (first < 16) return p + first;                                  \
        }                                                                      \
        return wf_words_##kind(p, end);                                        \
    }

#else

#define WF_SCAN(kind)                                                          \
    static inline const char *wf_scan_##kind(const char *p, const char *end)   \
    {                                                                          \
        return wf_words_##kind(p, end);                                        \
    }

#endif

WF_SCAN(value)
WF_SCAN(target)
WF_SCAN(name)

#endif
