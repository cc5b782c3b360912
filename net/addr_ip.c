/* SPDX-License-Identifier: MIT */
/*
 * addr_ip.c - the text of an IP address, there and back (RFC 4291, 2.2, and
 * RFC 5952).
 */
#include "addr.h"

#include <string.h>

/* ---- reading ------------------------------------------------------------ */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool wf_decimal_parse(const char *text, size_t len, size_t most, uint64_t max,
                      uint64_t *ret)
{
    uint64_t value = 0;
    if (len == 0 || len > most) return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(text[i])) return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    if (value > max) return false;
    *ret = value;
    return true;
}

const char *wf_ipv4_parse(uint8_t ret[4], const char *text, size_t len)
{
    uint8_t octets[4];
    const char *end = text + len;
    for (int i = 0; i < 4; i++) {
        uint64_t value;
        const char *from = text;
        while (text < end && is_digit(*text))
            text++;
        size_t digits = (size_t)(text - from);
        if (digits > 1 && *from == '0') return "a number has a leading zero";
        if (digits > 0 && !wf_decimal_parse(from, digits, 3, 255, &value))
            return "a number is over 255";
        if (digits == 0 || (i < 3 && (text == end || *text++ != '.')))
            return "IPv4 is four numbers";
        octets[i] = (uint8_t)value;
    }
    if (text != end) return "IPv4 is four numbers";
    memcpy(ret, octets, sizeof octets);
    return NULL;
}

int wf_hex_digit(char c)
{
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* One to four hexadecimal digits; returns how many, or 0. */
static size_t parse_group(const char *text, const char *end, unsigned *ret)
{
    size_t digits = 0;
    unsigned value = 0;
    for (; text + digits < end && wf_hex_digit(text[digits]) >= 0; digits++) {
        if (digits == 4) return 0;
        value = value << 4 | (unsigned)wf_hex_digit(text[digits]);
    }
    *ret = value;
    return digits;
}

/* Groups up to the end, of which the last two may be an IPv4 address. `at` is
 * how many octets there are, `gap` where a :: is among them, or -1. */
const char *wf_ipv6_parse(uint8_t ret[16], const char *text, size_t len)
{
    static const char no[] = "that is no IPv6 address";
    uint8_t octets[16] = {0};
    const char *end = text + len;
    int at = 0, gap = -1;
    if (len >= 2 && text[0] == ':' && text[1] == ':') {
        gap = 0;
        text += 2;
    }
    while (text < end) {
        unsigned value = 0;
        size_t digits = parse_group(text, end, &value);
        if (at == 16 || digits == 0) return no;
        if (text + digits < end && text[digits] == '.') {
            if (at > 12) return no;
            const char *why =
                wf_ipv4_parse(octets + at, text, (size_t)(end - text));
            if (why) return why;
            at += 4;
            break;
        }
        octets[at++] = (uint8_t)(value >> 8);
        octets[at++] = (uint8_t)value;
        text += digits;
        if (text == end) break;
        if (*text++ != ':' || text == end) return no;
        if (*text != ':') continue;
        if (gap >= 0) return no;
        gap = at;
        text++;
    }
    /* A :: is one group at the least. */
    if (gap < 0 ? at != 16 : at == 16) return no;
    memset(ret, 0, 16);
    size_t before = (size_t)(gap < 0 ? at : gap), behind = (size_t)at - before;
    memcpy(ret, octets, before);
    memcpy(ret + 16 - behind, octets + before, behind);
    return NULL;
}

/* ---- writing ------------------------------------------------------------ */

bool wf_ipv6_is_mapped(const uint8_t octets[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(octets, mapped, sizeof mapped) == 0;
}

static size_t write_octet(char *buf, unsigned value)
{
    size_t n = 0;
    if (value >= 100) buf[n++] = (char)('0' + value / 100);
    if (value >= 10) buf[n++] = (char)('0' + value / 10 % 10);
    buf[n++] = (char)('0' + value % 10);
    return n;
}

size_t wf_ipv4_format(const uint8_t octets[4], char *buf)
{
    size_t n = 0;
    for (int i = 0; i < 4; i++) {
        if (i > 0) buf[n++] = '.';
        n += write_octet(buf + n, octets[i]);
    }
    buf[n] = 0;
    return n;
}

static unsigned group(const uint8_t octets[16], int i)
{
    const uint8_t *at = octets + 2 * (size_t)i;
    return (unsigned)at[0] << 8 | at[1];
}

static size_t write_group(char *buf, unsigned value)
{
    size_t n = 0;
    for (int shift = 12; shift >= 0; shift -= 4)
        if (n > 0 || shift == 0 || value >> shift)
            buf[n++] = "0123456789abcdef"[value >> shift & 15];
    return n;
}

/* The first of the longest runs of zeroes, if it is longer than one group. */
static int find_zeroes(const uint8_t octets[16], int *ret_groups)
{
    int best = -1, most = 1;
    for (int i = 0, run = 0; i < 8; i++) {
        run = group(octets, i) == 0 ? run + 1 : 0;
        if (run <= most) continue;
        most = run;
        best = i - run + 1;
    }
    *ret_groups = best < 0 ? 0 : most;
    return best;
}

size_t wf_ipv6_format(const uint8_t octets[16], char *buf)
{
    size_t n = 0;
    int zeroes, gap = find_zeroes(octets, &zeroes);
    if (wf_ipv6_is_mapped(octets)) {
        memcpy(buf, "::ffff:", 7);
        return 7 + wf_ipv4_format(octets + 12, buf + 7);
    }
    for (int i = 0; i < 8; i++) {
        if (i == gap) {
            buf[n++] = ':';
            i += zeroes - 1;
            if (i == 7) buf[n++] = ':';
            continue;
        }
        if (i > 0) buf[n++] = ':';
        n += write_group(buf + n, group(octets, i));
    }
    buf[n] = 0;
    return n;
}

const char *wf_addr_quote(char buf[WF_ADDR_QUOTE], const char *text)
{
    size_t n = 0;
    for (; n < WF_ADDR_QUOTE - 4 && text[n]; n++) {
        unsigned char c = (unsigned char)text[n];
        buf[n] = text[n];
        if (c < ' ' || c == 0x7f) buf[n] = '?';
    }
    memcpy(buf + n, text[n] ? "..." : "", text[n] ? 4 : 1);
    return buf;
}
