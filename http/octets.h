/* SPDX-License-Identifier: MIT */
/* octets.h - what each octet may be part of (RFC 9110, 5.6.2; RFC 3986). */
#ifndef HTTP_OCTETS_H
#define HTTP_OCTETS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    WF_OCTET_TOKEN = 1,
    WF_OCTET_HOST = 2, /* of a registered name: unreserved and sub-delims */
    WF_OCTET_HEX = 4,
    WF_OCTET_TARGET = 8, /* visible ASCII without '#' */
    WF_OCTET_VALUE = 16, /* also HTAB, SP and 0x80 to 0xFF */
    WF_OCTET_DIGIT = 32
};

extern const uint8_t wf_http_octets[256];

static inline bool wf_octet_is(char c, unsigned kind)
{
    return (wf_http_octets[(unsigned char)c] & kind) != 0;
}

/* Of a digit that is one. */
static inline unsigned wf_octet_hex(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
}

#endif
