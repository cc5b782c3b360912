/* SPDX-License-Identifier: MIT */
/*
 * authority.c - a registered name or an IPv4 address, which is one too; or an
 * IP literal in brackets. By the grammar alone: nothing is looked up, no zone
 * is known (RFC 3986 has none), and a port is at most 65535.
 */
#include "authority.h"

#include "octets.h"

static bool is_escape(const char *p, const char *end)
{
    return end - p >= 3 && *p == '%' && wf_octet_is(p[1], WF_OCTET_HEX) &&
           wf_octet_is(p[2], WF_OCTET_HEX);
}

static const char *name_end(const char *p, const char *end)
{
    for (;; p += 3) {
        while (p < end && wf_octet_is(*p, WF_OCTET_HOST))
            p++;
        if (!is_escape(p, end)) return p;
    }
}

/* Four numbers up to 255, without zeros in front. */
static bool is_ipv4(const char *p, const char *end)
{
    for (int part = 0; part < 4; part++) {
        unsigned n = 0;
        const char *start = p;
        while (p < end && p - start < 4 && wf_octet_is(*p, WF_OCTET_DIGIT))
            n = n * 10 + (unsigned)(*p++ - '0');
        if (p == start || n > 255 || (*start == '0' && p - start > 1))
            return false;
        if (part == 3) return p == end;
        if (p == end || *p++ != '.') return false;
    }
    return false;
}

static const char *group_end(const char *p, const char *end)
{
    const char *start = p;
    while (p < end && p - start < 4 && wf_octet_is(*p, WF_OCTET_HEX))
        p++;
    return p;
}

/* Eight groups, or fewer and a "::" in the place of one at least. */
static bool is_ipv6(const char *p, const char *end)
{
    int groups = 0;
    bool gap = false;
    if (end - p >= 2 && p[0] == ':' && p[1] == ':') {
        gap = true;
        p += 2;
    }
    while (p < end) {
        const char *next = group_end(p, end);
        if (next < end && *next == '.') { /* the last two, as IPv4 */
            groups += 2;
            return is_ipv4(p, end) && (gap ? groups < 8 : groups == 8);
        }
        if (next == p) return false;
        groups++;
        p = next;
        if (p == end) break;
        if (*p++ != ':' || p == end) return false;
        if (*p != ':') continue;
        if (gap) return false;
        gap = true;
        p++;
    }
    return gap ? groups < 8 : groups == 8;
}

/* "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" ) */
static bool is_ip_future(const char *p, const char *end)
{
    if (p == end || (*p | 32) != 'v') return false;
    const char *start = ++p;
    while (p < end && wf_octet_is(*p, WF_OCTET_HEX))
        p++;
    if (p == start || p == end || *p++ != '.') return false;
    start = p;
    while (p < end && (*p == ':' || wf_octet_is(*p, WF_OCTET_HOST)))
        p++;
    return p > start && p == end;
}

/* Behind the bracket; NULL, it is no literal. */
static const char *literal_end(const char *p, const char *end)
{
    const char *start = ++p;
    while (p < end && *p != ']')
        p++;
    if (p == end || !(is_ipv6(start, p) || is_ip_future(start, p))) return NULL;
    return p + 1;
}

static bool is_port(const char *p, const char *end, unsigned *ret_port)
{
    unsigned port = 0;
    for (; p < end; p++) {
        if (!wf_octet_is(*p, WF_OCTET_DIGIT)) return false;
        port = port * 10 + (unsigned)(*p - '0');
        if (port > 65535) return false;
    }
    if (ret_port) *ret_port = port;
    return true;
}

bool wf_http_is_authority(weft_text t, unsigned *ret_port)
{
    if (t.len == 0) return false;
    const char *end = t.at + t.len;
    const char *p = *t.at == '[' ? literal_end(t.at, end) : name_end(t.at, end);
    if (!p || p == t.at) return false;
    if (p == end) return is_port(p, end, ret_port);
    return *p == ':' && is_port(p + 1, end, ret_port);
}
