/* SPDX-License-Identifier: MIT */
/* fuzz_http_request.c - the head of a request, or what might be one. */
#include "http_heads.h"

_Static_assert(sizeof(weft_http_request) <= HEADS_SIZE, "it has room");

static void init(void *r, weft_http_mark *marks, const weft_http_limits *limits)
{
    weft_http_request_init(r, marks, HEADS_MARKS, limits);
}

static ssize_t parse(void *r, const char *data, size_t len)
{
    return weft_http_parse_request(r, data, len);
}

static bool same(const void *one, const void *other)
{
    const weft_http_request *a = one, *b = other;
    return heads_same_text(a->method, b->method) &&
           heads_same_text(a->target, b->target) &&
           heads_same_text(a->path, b->path) &&
           heads_same_text(a->query, b->query) &&
           heads_same_text(a->host, b->host) &&
           heads_same_fields(&a->fields, &b->fields) && a->verb == b->verb &&
           a->minor == b->minor && a->form == b->form &&
           a->framing == b->framing && a->length == b->length &&
           a->keep_alive == b->keep_alive &&
           a->expects_continue == b->expects_continue &&
           a->upgrades == b->upgrades && a->status == b->status &&
           a->wrong == b->wrong;
}

static void check(const void *parsed, const char *data, ssize_t n)
{
    const weft_http_request *r = parsed;
    FUZZ_CHECK((n < 0) == (r->wrong != NULL));
    FUZZ_CHECK((n < 0) == (r->status != 0));
    if (n < 0) return;
    heads_check_fields(&r->fields, data, (size_t)n);
    FUZZ_CHECK(weft_http_is_token(r->method));
    FUZZ_CHECK(weft_http_is_target(r->target));
    FUZZ_CHECK(r->minor == 0 || r->host.len > 0);
    FUZZ_CHECK(r->framing != WEFT_HTTP_UNTIL_CLOSE);
    FUZZ_CHECK(r->framing == WEFT_HTTP_LENGTH || r->length == 0);
    FUZZ_CHECK(r->length <= INT64_MAX);
    FUZZ_CHECK(!r->path.at || *r->path.at == '/');
    bool is_chunked = weft_http_field(&r->fields, "transfer-encoding").at;
    FUZZ_CHECK((r->framing == WEFT_HTTP_CHUNKED) == is_chunked);
}

FUZZ_TARGET(http_request)
{
    static const struct heads h = {init, parse, same, check};
    heads_fuzz(&h, data, size);
}
