/* SPDX-License-Identifier: MIT */
/*
 * http_heads.h - a head as a whole, octet by octet, and cut in two: the parser
 * must say the same of each. With the usual limits, or with such as are easily
 * reached, as the octets draw it.
 */
#ifndef FUZZ_HTTP_HEADS_H
#define FUZZ_HTTP_HEADS_H

#include "fuzz.h"

#include <weft/http_parse.h>

#include <string.h>

enum { HEADS_MARKS = 128, HEADS_SIZE = 512 };

struct heads {
    void (*init)(void *r, weft_http_mark *marks,
                 const weft_http_limits *limits);
    ssize_t (*parse)(void *r, const char *data, size_t len);
    bool (*same)(const void *a, const void *b);
    void (*check)(const void *r, const char *data, ssize_t n);
};

/* One parser's state and marks. */
struct heads_one {
    union {
        char octets[HEADS_SIZE];
        uint64_t aligned;
    } r;
    weft_http_mark marks[HEADS_MARKS];
};

static inline bool heads_same_text(weft_text a, weft_text b)
{
    return a.at == b.at && a.len == b.len;
}

static inline bool heads_same_fields(const weft_http_fields *a,
                                     const weft_http_fields *b)
{
    return a->base == b->base && a->count == b->count &&
           memcmp(a->marks, b->marks, a->count * sizeof *a->marks) == 0;
}

/* A head that is taken holds only what could have been sent. */
static inline void heads_check_fields(const weft_http_fields *f,
                                      const char *data, size_t n)
{
    weft_text name, value;
    FUZZ_CHECK(n >= 2 && memcmp(data + n - 2, "\r\n", 2) == 0);
    for (size_t i = 0; weft_http_field_at(f, i, &name, &value); i++) {
        FUZZ_CHECK(weft_http_is_token(name) && weft_http_is_value(value));
        FUZZ_CHECK(name.at >= data && value.at + value.len <= data + n);
    }
}

/* Given so many octets first, then as many more each time. */
static inline void heads_split(const struct heads *h,
                               const weft_http_limits *limits, const char *data,
                               size_t size, size_t first, size_t step,
                               const struct heads_one *whole, ssize_t expected)
{
    static struct heads_one split;
    ssize_t n = 0;
    h->init(&split.r, split.marks, limits);
    for (size_t len = first; n == 0; len += step) {
        if (len > size) len = size;
        n = h->parse(&split.r, data, len);
        if (len == size) break;
    }
    FUZZ_CHECK(n == expected);
    FUZZ_CHECK(n == 0 || h->same(&split.r, &whole->r));
    if (n == 0 && size > 0)
        FUZZ_CHECK(h->parse(&split.r, data, size - 1) == -EINVAL);
}

static inline void heads_fuzz(const struct heads *h, const uint8_t *octets,
                              size_t size)
{
    static const weft_http_limits small = {
        .line = 40, .head = 120, .fields = 3};
    static struct heads_one whole;
    const char *data = size > 0 ? (const char *)octets : NULL;
    size_t drawn = 7;
    for (size_t i = 0; i < size; i++)
        drawn = drawn * 31 + octets[i];
    const weft_http_limits *limits = drawn & 1 ? NULL : &small;

    h->init(&whole.r, whole.marks, limits);
    ssize_t n = h->parse(&whole.r, data, size);
    FUZZ_CHECK(n <= (ssize_t)size && (n >= 0 || n == -EBADMSG));
    if (n != 0) h->check(&whole.r, data, n);
    heads_split(h, limits, data, size, 1, 1, &whole, n);
    for (int i = 0; i < 2 && size > 0; i++, drawn /= 257)
        heads_split(h, limits, data, size, drawn % size, size, &whole, n);
}

#endif
