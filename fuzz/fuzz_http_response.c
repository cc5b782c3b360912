/* SPDX-License-Identifier: MIT */
/* fuzz_http_response.c - the head of a response to the verb that the first
 * octet says, or what might be one. */
#include "http_heads.h"

_Static_assert(sizeof(weft_http_response) <= HEADS_SIZE, "it has room");

static weft_http_verb asked;

static void init(void *r, weft_http_mark *marks, const weft_http_limits *limits)
{
    weft_http_response_init(r, asked, marks, HEADS_MARKS, limits);
}

static ssize_t parse(void *r, const char *data, size_t len)
{
    return weft_http_parse_response(r, data, len);
}

static bool same(const void *one, const void *other)
{
    const weft_http_response *a = one, *b = other;
    return heads_same_text(a->reason, b->reason) &&
           heads_same_fields(&a->fields, &b->fields) && a->minor == b->minor &&
           a->status == b->status && a->framing == b->framing &&
           a->length == b->length && a->keep_alive == b->keep_alive &&
           a->upgrades == b->upgrades && a->wrong == b->wrong;
}

static void check(const void *parsed, const char *data, ssize_t n)
{
    const weft_http_response *r = parsed;
    FUZZ_CHECK((n < 0) == (r->wrong != NULL));
    if (n < 0) return;
    heads_check_fields(&r->fields, data, (size_t)n);
    FUZZ_CHECK(r->status >= 100 && r->status <= 999);
    FUZZ_CHECK(r->framing == WEFT_HTTP_LENGTH || r->length == 0);
    FUZZ_CHECK(r->framing != WEFT_HTTP_UNTIL_CLOSE || !r->keep_alive);
    FUZZ_CHECK(asked != WEFT_HTTP_HEAD || r->framing == WEFT_HTTP_NO_BODY);
}

FUZZ_TARGET(http_response)
{
    static const struct heads h = {init, parse, same, check};
    static const weft_http_verb verbs[] = {WEFT_HTTP_GET, WEFT_HTTP_HEAD,
                                           WEFT_HTTP_CONNECT, WEFT_HTTP_POST};
    if (size == 0) return;
    asked = verbs[data[0] & 3];
    heads_fuzz(&h, data + 1, size - 1);
}
