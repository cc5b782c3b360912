/* SPDX-License-Identifier: MIT */
/*
 * net/addr.h - the text of an IP address, by itself.
 *
 * Pure functions: no lookup, no errors said. libc's inet_pton and inet_ntop
 * differ in leading zeros, in what is shortened and in what is mixed.
 */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <weft/addr.h>

enum {
    WF_IP_TEXT = 48,   /* room for any IP address without a scope */
    WF_ADDR_QUOTE = 52 /* room for the quote of a text */
};

#if defined(__linux__)
enum { WF_HAS_ABSTRACT = 1 };
#else
enum { WF_HAS_ABSTRACT = 0 };
#endif

/* Each reads all of text[0..len), and says what is wrong, or returns NULL. */
const char *wf_ipv4_parse(uint8_t ret[4], const char *text, size_t len);
const char *wf_ipv6_parse(uint8_t ret[16], const char *text, size_t len);

/* Of 1 to `most` digits without a sign, at most `max`; false: not such. */
bool wf_decimal_parse(const char *text, size_t len, size_t most, uint64_t max,
                      uint64_t *ret);

/* 0 to 15, or -1. */
int wf_hex_digit(char c);

/* Each writes a text of less than WF_IP_TEXT and returns its length. */
size_t wf_ipv4_format(const uint8_t octets[4], char *buf);
size_t wf_ipv6_format(const uint8_t octets[16], char *buf);

/* The text for an error: cut, and in one line. */
const char *wf_addr_quote(char buf[WF_ADDR_QUOTE], const char *text);

/* ::ffff:0:0/96 */
bool wf_ipv6_is_mapped(const uint8_t octets[16]);

/* The host of "host:port", where it ends, and the port; or what is wrong. */
struct wf_host_port {
    const char *host;
    size_t len;
    bool brackets;
    unsigned port;
};
const char *wf_host_port_parse(struct wf_host_port *ret, const char *text);

/* An IP address without brackets, perhaps with a scope; or what is wrong. */
const char *wf_host_parse(weft_addr *ret, const char *host, size_t len,
                          unsigned port);

#endif
