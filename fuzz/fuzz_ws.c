/* SPDX-License-Identifier: MIT */
/* fuzz_ws.c - a stream of frames, judged whole and cut anywhere; and a text. */
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#include "http/utf8.h"
#include "http/ws_frame.h"

/* The answer to all of it is the answer to a beginning, once that has one. */
static ssize_t parse(struct wf_ws_head *h, const uint8_t *data, size_t size,
                     const struct wf_ws_rules *rules)
{
    const char *wrong = NULL, *again = NULL;
    struct wf_ws_head other;
    ssize_t n = wf_ws_parse_head(h, data, size, rules, &wrong);
    FUZZ_CHECK(n >= -EPROTO && n <= WF_WS_HEAD);
    FUZZ_CHECK((n < 0) == (wrong != NULL) && (n < 0 || (size_t)n <= size));
    for (size_t cut = 0; cut < size && cut < WF_WS_HEAD; cut++) {
        ssize_t part = wf_ws_parse_head(&other, data, cut, rules, &again);
        if (part == 0) continue;
        FUZZ_CHECK(part == n && again == wrong);
        break;
    }
    return n;
}

/* A head that was taken is the one that would be written. */
static void check_head(const struct wf_ws_head *h, const uint8_t *data,
                       size_t len)
{
    uint8_t out[WF_WS_HEAD];
    FUZZ_CHECK(h->len <= INT64_MAX);
    FUZZ_CHECK(!wf_ws_is_control(h->opcode) ||
               (h->fin && h->len <= WF_WS_CONTROL));
    FUZZ_CHECK(wf_ws_write_head(out, h) == len);
    FUZZ_CHECK(memcmp(out, data, len) == 0);
}

static void check_close(const uint8_t *payload, size_t len)
{
    int code = wf_ws_parse_close(payload, len);
    FUZZ_CHECK(code == -EPROTO || code == -EILSEQ || code == 1005 ||
               wf_ws_code_is_valid(code));
    FUZZ_CHECK((code == 1005) == (len == 0));
}

static void check_payload(const struct wf_ws_head *h, const uint8_t *data,
                          size_t len)
{
    uint8_t clear[512], again[512];
    if (len > sizeof clear) len = sizeof clear;
    size_t cut = len > 0 ? data[0] % (len + 1) : 0;
    wf_ws_mask(clear, data, len, h->key, 0);
    wf_ws_mask(again, data, cut, h->key, 0);
    wf_ws_mask(again + cut, data + cut, len - cut, h->key, cut);
    FUZZ_CHECK(len == 0 || memcmp(clear, again, len) == 0);
    if (h->opcode == WF_WS_CLOSE && len == h->len) check_close(clear, len);
}

static void check_text(const uint8_t *data, size_t size)
{
    struct wf_utf8 whole = {0, 0, 0}, parts = {0, 0, 0};
    bool good = wf_utf8_feed(&whole, data, size), still = true;
    for (size_t i = 0; i < size && still; i++)
        still = wf_utf8_feed(&parts, data + i, 1);
    FUZZ_CHECK(good == still);
    FUZZ_CHECK(!good || wf_utf8_is_whole(&whole) == wf_utf8_is_whole(&parts));
}

FUZZ_TARGET(ws)
{
    struct wf_ws_rules rules = {size > 0 && data[0] & 1, false};
    check_text(data, size);
    for (size_t at = 1; at < size;) {
        struct wf_ws_head h;
        ssize_t n = parse(&h, data + at, size - at, &rules);
        if (n <= 0) break;
        check_head(&h, data + at, (size_t)n);
        at += (size_t)n;
        size_t len = h.len < size - at ? (size_t)h.len : size - at;
        check_payload(&h, data + at, len);
        at += len;
        if (!wf_ws_is_control(h.opcode)) rules.in_message = !h.fin;
    }
}
