/* SPDX-License-Identifier: MIT */
/*
 * utf8.c - UTF-8 by its grammar: RFC 3629, section 4.
 *
 * Of a character of several octets the first says how many follow, and, to rule
 * out surrogates, what is above U+10FFFF, and what could be shorter, between
 * which the second has to be. Those behind it are 80 to BF.
 */
#include "utf8.h"

#include <string.h>

#define ASCII_WORD UINT64_C(0x8080808080808080)

/* Behind the octets of ASCII that begin it. */
static const uint8_t *skip_ascii(const uint8_t *at, const uint8_t *end)
{
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        if (word & ASCII_WORD) break;
        at += sizeof word;
    }
    while (at < end && *at < 0x80)
        at++;
    return at;
}

static bool begin(struct wf_utf8 *u, uint8_t c)
{
    u->low = 0x80;
    u->high = 0xBF;
    if (c < 0xC2 || c > 0xF4) return false;
    u->need = c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
    if (c == 0xE0) u->low = 0xA0;
    if (c == 0xED) u->high = 0x9F;
    if (c == 0xF0) u->low = 0x90;
    if (c == 0xF4) u->high = 0x8F;
    return true;
}

static bool go_on(struct wf_utf8 *u, uint8_t c)
{
    if (c < u->low || c > u->high) return false;
    u->need--;
    u->low = 0x80;
    u->high = 0xBF;
    return true;
}

bool wf_utf8_feed(struct wf_utf8 *u, const void *data, size_t len)
{
    const uint8_t *at = data, *end = len > 0 ? at + len : at;
    while (at < end) {
        if (u->need == 0) {
            at = skip_ascii(at, end);
            if (at == end) break;
            if (!begin(u, *at)) return false;
        } else if (!go_on(u, *at)) {
            return false;
        }
        at++;
    }
    return true;
}

bool wf_utf8_is_valid(const void *data, size_t len)
{
    struct wf_utf8 u = {0, 0, 0};
    return wf_utf8_feed(&u, data, len) && wf_utf8_is_whole(&u);
}
