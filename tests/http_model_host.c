/* SPDX-License-Identifier: MIT */
/* http_model_host.c - hosts and ports (RFC 3986, 3.2). */
#include "http_model_parts.h"

#include <arpa/inet.h>

/* unreserved / sub-delims */
static bool is_host_octet(int c)
{
    return is_alpha(c) || is_digit(c) || is_one_of(c, "-._~!$&'()*+,;=");
}

static bool is_registered_name(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        int c = (unsigned char)s.at[i];
        if (c == '%') {
            if (i + 2 >= s.len || hex_value(s.at[i + 1]) < 0 ||
                hex_value(s.at[i + 2]) < 0)
                return false;
            i += 2;
        } else if (!is_host_octet(c)) {
            return false;
        }
    }
    return s.len > 0;
}

/* "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" ) */
static bool is_of_the_future(struct span s)
{
    size_t digits = 1, rest;
    if (s.len == 0 || (s.at[0] != 'v' && s.at[0] != 'V')) return false;
    while (digits < s.len && hex_value(s.at[digits]) >= 0)
        digits++;
    if (digits == 1 || digits == s.len || s.at[digits] != '.') return false;
    for (rest = digits + 1; rest < s.len; rest++)
        if (!is_host_octet(s.at[rest]) && s.at[rest] != ':') return false;
    return rest > digits + 1;
}

static bool is_bracketed(struct span s)
{
    char text[64];
    struct in6_addr address;
    if (s.len < 2 || s.at[s.len - 1] != ']') return false;
    struct span inner = part(s, 1, s.len - 1);
    if (is_of_the_future(inner)) return true;
    if (inner.len >= sizeof text) return false;
    memcpy(text, inner.at, inner.len);
    text[inner.len] = 0;
    return strlen(text) == inner.len && inet_pton(AF_INET6, text, &address) > 0;
}

static bool is_port(struct span s)
{
    unsigned long number = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.at[i])) return false;
        number = number * 10 + (unsigned long)(s.at[i] - '0');
        if (number > 65535) return false;
    }
    return true;
}

/* No number at all is one too. */
static bool is_zero(struct span s)
{
    size_t zeros = 0;
    while (zeros < s.len && s.at[zeros] == '0')
        zeros++;
    return zeros == s.len;
}

/* uri-host [ ":" port ], and a port that is wanted is more than 0. */
bool model_is_authority(struct span s, bool port_wanted)
{
    size_t end = 0;
    bool bracket = s.len > 0 && s.at[0] == '[';
    while (end < s.len && s.at[end] != (bracket ? ']' : ':'))
        end++;
    if (bracket && end < s.len) end++;
    struct span host = part(s, 0, end), rest = part(s, end, s.len);
    if (!(bracket ? is_bracketed(host) : is_registered_name(host)))
        return false;
    if (rest.len == 0) return !port_wanted;
    if (rest.at[0] != ':') return false;
    rest = part(rest, 1, rest.len);
    return port_wanted ? is_port(rest) && !is_zero(rest) : is_port(rest);
}
