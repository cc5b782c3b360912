/* SPDX-License-Identifier: MIT */
/* fuzz_http_chunked.c - a chunked body and the trailers behind it. */
#include "http_heads.h"

_Static_assert(sizeof(weft_http_trailers) <= HEADS_SIZE, "it has room");

enum { MOST = 4096 };

static void init(void *t, weft_http_mark *marks, const weft_http_limits *limits)
{
    weft_http_trailers_init(t, marks, HEADS_MARKS, limits);
}

static ssize_t parse(void *t, const char *data, size_t len)
{
    return weft_http_parse_trailers(t, data, len);
}

static bool same(const void *one, const void *other)
{
    const weft_http_trailers *a = one, *b = other;
    return heads_same_fields(&a->fields, &b->fields) &&
           a->status == b->status && a->wrong == b->wrong;
}

static void check(const void *parsed, const char *data, ssize_t n)
{
    const weft_http_trailers *t = parsed;
    FUZZ_CHECK((n < 0) == (t->wrong != NULL));
    FUZZ_CHECK((n < 0) == (t->status != 0));
    if (n >= 0) heads_check_fields(&t->fields, data, (size_t)n);
}

struct body {
    weft_http_chunked c;
    size_t taken, len;
    uint8_t octets[MOST];
};

/* All that can be taken of the octets up to size. */
static void take(struct body *b, const uint8_t *data, size_t size)
{
    while (b->taken < size && !b->c.trailers && !b->c.wrong) {
        weft_text run;
        ssize_t n = weft_http_dechunk(&b->c, (const char *)data + b->taken,
                                      size - b->taken, &run);
        FUZZ_CHECK(n == -EBADMSG || (n > 0 && (size_t)n <= size - b->taken));
        FUZZ_CHECK((n < 0) == (b->c.wrong != NULL));
        if (n < 0) {
            FUZZ_CHECK(weft_http_dechunk(&b->c, "0", 1, &run) == n);
            return;
        }
        FUZZ_CHECK(run.len <= (size_t)n && b->len + run.len <= MOST);
        if (run.len > 0) memcpy(b->octets + b->len, run.at, run.len);
        b->len += run.len;
        b->taken += (size_t)n;
    }
}

static void begin(struct body *b)
{
    b->taken = b->len = 0;
    weft_http_chunked_init(&b->c);
}

static void check_same(const struct body *a, const struct body *b)
{
    FUZZ_CHECK(a->len == b->len && a->c.wrong == b->c.wrong);
    FUZZ_CHECK(a->c.trailers == b->c.trailers);
    FUZZ_CHECK(memcmp(a->octets, b->octets, a->len) == 0);
    FUZZ_CHECK(a->c.wrong || a->taken == b->taken);
}

FUZZ_TARGET(http_chunked)
{
    static const struct heads h = {init, parse, same, check};
    static struct body whole, split;
    if (size > MOST) size = MOST;
    begin(&whole);
    take(&whole, data, size);
    begin(&split);
    for (size_t len = 1; len <= size; len++)
        take(&split, data, len);
    check_same(&whole, &split);
    for (size_t cut = size / 3; size > 0 && cut < size; cut += 1 + size / 3) {
        begin(&split);
        take(&split, data, cut);
        take(&split, data, size);
        check_same(&whole, &split);
    }
    if (whole.c.trailers)
        heads_fuzz(&h, data + whole.taken, size - whole.taken);
}
