/* SPDX-License-Identifier: MIT */
/*
 * order.c - destination address selection: RFC 6724, section 6.
 *
 * Rules 3, 4 and 7 are about what no program can ask a kernel for in a portable
 * way (deprecated and home addresses, tunnels). Rule 9 is kept to IPv6, where
 * an address says where it is; in IPv4, which is handed out as it is left over,
 * it would do away with the order that a server shuffles for balance.
 */
#include "order.h"

#include <weft/socket.h>

#include <string.h>

/* ---- what an address says of itself ------------------------------------- */

static bool is_mapped(const struct in6_addr *a)
{
    return IN6_IS_ADDR_V4MAPPED(a);
}

/* Section 3.1; of IPv4: section 3.2. */
static unsigned scope_of(const struct in6_addr *a)
{
    enum { LINK_LOCAL = 2, SITE_LOCAL = 5, GLOBAL = 14 };
    const uint8_t *at = a->s6_addr;
    if (is_mapped(a))
        return at[12] == 127 || (at[12] == 169 && at[13] == 254) ? LINK_LOCAL
                                                                 : GLOBAL;
    if (at[0] == 0xff) return at[1] & 0xf; /* multicast: it is written there */
    if (IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_LINKLOCAL(a)) return LINK_LOCAL;
    return IN6_IS_ADDR_SITELOCAL(a) ? SITE_LOCAL : GLOBAL;
}

static unsigned common_bits(const struct in6_addr *a, const struct in6_addr *b,
                            unsigned most)
{
    unsigned n = 0;
    while (n < most &&
           !((a->s6_addr[n / 8] ^ b->s6_addr[n / 8]) & (0x80 >> n % 8)))
        n++;
    return n;
}

/* The default policy table of section 2.1, longest prefixes first. */
static const struct policy {
    struct in6_addr prefix;
    unsigned bits, precedence, label;
} policies[] = {
    {{.s6_addr = {[15] = 1}}, 128, 50, 0},                /* ::1 */
    {{.s6_addr = {[10] = 0xff, [11] = 0xff}}, 96, 35, 4}, /* IPv4 */
    {{.s6_addr = {0}}, 96, 1, 3},                         /* ::/96 */
    {{.s6_addr = {0x20, 0x01}}, 32, 5, 5},                /* Teredo */
    {{.s6_addr = {0x20, 0x02}}, 16, 30, 2},               /* 6to4 */
    {{.s6_addr = {0x3f, 0xfe}}, 16, 1, 12},               /* 6bone */
    {{.s6_addr = {0xfe, 0xc0}}, 10, 1, 11},               /* site-local */
    {{.s6_addr = {0xfc}}, 7, 3, 13},                      /* unique local */
    {{.s6_addr = {0}}, 0, 40, 1},                         /* all the rest */
};

static const struct policy *policy_of(const struct in6_addr *a)
{
    const struct policy *p = policies;
    while (common_bits(a, &p->prefix, p->bits) < p->bits)
        p++;
    return p;
}

/* ---- routes ------------------------------------------------------------- */

/* False: of neither family, or unspecified. */
static bool as_v6(struct in6_addr *ret, const weft_addr *a)
{
    if (a->sa.ss_family == AF_INET6) {
        *ret = ((const struct sockaddr_in6 *)&a->sa)->sin6_addr;
        return !IN6_IS_ADDR_UNSPECIFIED(ret);
    }
    const struct sockaddr_in *in = (const struct sockaddr_in *)&a->sa;
    *ret = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
    if (a->sa.ss_family != AF_INET) return false;
    memcpy(ret->s6_addr + 12, &in->sin_addr, 4);
    return in->sin_addr.s_addr != htonl(INADDR_ANY);
}

void wf_route_init(struct wf_route *r, const weft_addr *to)
{
    *r = (struct wf_route){.source = WF_SOURCE_UNKNOWN};
    (void)as_v6(&r->to, to);
}

void wf_route_set_source(struct wf_route *r, const weft_addr *from)
{
    if (!from)
        r->source = WF_SOURCE_NONE;
    else if (as_v6(&r->from, from))
        r->source = WF_SOURCE_KNOWN;
}

void wf_route_probe(struct wf_route *r, const weft_addr *to)
{
    weft_fd fd;
    weft_addr from = {.len = sizeof from.sa};
    int err = weft_socket(to->sa.ss_family, SOCK_DGRAM, 0, &fd);
    if (err == -EAFNOSUPPORT) wf_route_set_source(r, NULL);
    if (err < 0) return;
    err = weft_connect(fd, (const struct sockaddr *)&to->sa, to->len);
    if (err == 0)
        err = weft_getsockname(fd, (struct sockaddr *)&from.sa, &from.len);
    (void)weft_close(fd);
    if (err != -ECANCELED && err != -ENOMEM && err != -ENOBUFS)
        wf_route_set_source(r, err == 0 ? &from : NULL);
}

/* ---- the rules ---------------------------------------------------------- */

static bool scopes_match(const struct wf_route *r)
{
    return scope_of(&r->to) == scope_of(&r->from);
}

static bool labels_match(const struct wf_route *r)
{
    return policy_of(&r->to)->label == policy_of(&r->from)->label;
}

/* Of the part of the source that is its network's. */
static unsigned prefix_in_common(const struct wf_route *r)
{
    enum { NETWORK_BITS = 64 };
    return common_bits(&r->to, &r->from, NETWORK_BITS);
}

bool wf_route_before(const struct wf_route *a, const struct wf_route *b)
{
    bool none_a = a->source == WF_SOURCE_NONE;
    bool none_b = b->source == WF_SOURCE_NONE;
    if (none_a != none_b) return none_b; /* rule 1 */

    bool known = a->source == WF_SOURCE_KNOWN && b->source == WF_SOURCE_KNOWN;
    if (known && scopes_match(a) != scopes_match(b)) return scopes_match(a);
    if (known && labels_match(a) != labels_match(b)) return labels_match(a);

    unsigned rank_a = policy_of(&a->to)->precedence;
    unsigned rank_b = policy_of(&b->to)->precedence;
    if (rank_a != rank_b) return rank_a > rank_b; /* rule 6 */

    unsigned scope_a = scope_of(&a->to), scope_b = scope_of(&b->to);
    if (scope_a != scope_b) return scope_a < scope_b; /* rule 8 */

    if (!known || is_mapped(&a->to) || is_mapped(&b->to)) return false;
    return prefix_in_common(a) > prefix_in_common(b); /* rule 9 */
}
