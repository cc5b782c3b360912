/* SPDX-License-Identifier: MIT */
/*
 * addr_prefix.c - what addresses have in common at their beginning.
 *
 * IPv4 is looked at as it is mapped into IPv6, so that there is one comparison;
 * but a prefix that is shorter than the mapping is of IPv6 alone.
 */
#include "addr.h"

#include <weft/error.h>

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { MAPPED = 96 };

static unsigned most_bits(int family)
{
    return family == AF_INET ? 32 : 128;
}

static unsigned bit(const uint8_t octets[16], unsigned at)
{
    return (unsigned)octets[at / 8] >> (7 - at % 8) & 1u;
}

static int refuse(const char *text, const char *why)
{
    char quote[WF_ADDR_QUOTE];
    return weft_fail_at(-EINVAL, NULL, 0, "prefix \"%s\": %s",
                        wf_addr_quote(quote, text), why);
}

int weft_addr_prefix_parse(weft_addr_prefix *p, const char *text)
{
    weft_addr_prefix parsed = {.family = AF_INET};
    size_t len = strcspn(text, "/");
    uint64_t bits;
    const char *why;
    if (memchr(text, ':', len)) {
        parsed.family = AF_INET6;
        why = wf_ipv6_parse(parsed.octets, text, len);
    } else {
        why = wf_ipv4_parse(parsed.octets, text, len);
    }
    if (why) return refuse(text, why);
    parsed.bits = most_bits(parsed.family);
    if (text[len]) {
        const char *number = text + len + 1;
        size_t digits = strlen(number);
        if ((digits > 1 && *number == '0') ||
            !wf_decimal_parse(number, digits, 3, parsed.bits, &bits))
            return refuse(text, "behind the / is no number of bits");
        parsed.bits = (unsigned)bits;
    }
    for (unsigned i = parsed.bits; i < most_bits(parsed.family); i++)
        if (bit(parsed.octets, i))
            return refuse(text, "there are bits set behind the prefix");
    *p = parsed;
    return 0;
}

static void map(uint8_t octets[16])
{
    memmove(octets + 12, octets, 4);
    memset(octets, 0, 10);
    memset(octets + 10, 0xff, 2);
}

bool weft_addr_prefix_has(const weft_addr_prefix *p, const weft_addr *a)
{
    uint8_t in[16], octets[16];
    unsigned bits = p->bits;
    size_t n = weft_addr_octets(a, octets);
    if (n == 0 || bits > most_bits(p->family)) return false;
    memcpy(in, p->octets, sizeof in);
    if (p->family == AF_INET) {
        map(in);
        bits += MAPPED;
    }
    if (n == 4) map(octets);
    if (bits < MAPPED && wf_ipv6_is_mapped(octets)) return false;
    for (unsigned i = 0; i < bits; i++)
        if (bit(in, i) != bit(octets, i)) return false;
    return true;
}

char *weft_addr_prefix_format(const weft_addr_prefix *p, char *buf, size_t len)
{
    char host[WF_IP_TEXT];
    if (len == 0) return buf;
    if (p->family == AF_INET)
        (void)wf_ipv4_format(p->octets, host);
    else
        (void)wf_ipv6_format(p->octets, host);
    (void)snprintf(buf, len, "%s/%u", host, p->bits);
    return buf;
}
