/* SPDX-License-Identifier: MIT */
/*
 * udp_info.c - by which address of this host a datagram came, or is to go.
 *
 * IPv6 has one way for all systems (RFC 3542, 6). IPv4 has IP_PKTINFO, which
 * also names the interface and, of what was sent to a group or to all, an
 * address of this host to answer from; and IP_RECVDSTADDR (BSD), which does
 * neither.
 *
 * On a socket of IPv6 the addresses of IPv4 are mapped (RFC 4291, 2.5.5.2). On
 * Linux what comes by IPv4 there brings both kinds, of which that of IPv4, the
 * last, says more; and either is taken of what is sent.
 *
 * Answers go by the routes, which know better than the interface of the
 * question where the asker is; only where an address means nothing without an
 * interface, that one is named.
 */
#include "cmsg.h"
#include "udp.h"

#include <weft/socket.h>

#include <string.h>

_Static_assert(CMSG_SPACE(sizeof(struct in6_pktinfo)) +
                       CMSG_SPACE(3 * sizeof(struct in_addr)) <=
                   WF_UDP_INFO,
               "both fit");

int wf_udp_ask_info(weft_fd s, int family)
{
    int err = -ENOTSUP;
    if (family == AF_INET6)
        err = wf_udp_set(s, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
#if defined(__linux__)
    if (err == 0 || family == AF_INET)
        err = wf_udp_set(s, IPPROTO_IP, IP_PKTINFO, 1);
#elif defined(IP_RECVPKTINFO)
    if (family == AF_INET) err = wf_udp_set(s, IPPROTO_IP, IP_RECVPKTINFO, 1);
#elif defined(IP_RECVDSTADDR)
    if (family == AF_INET) err = wf_udp_set(s, IPPROTO_IP, IP_RECVDSTADDR, 1);
#endif
    return err;
}

/* ---- addresses ---------------------------------------------------------- */

static void map_v4(struct in6_addr *ret, const struct in_addr *a)
{
    memset(ret, 0, sizeof *ret);
    ret->s6_addr[10] = ret->s6_addr[11] = 0xff;
    memcpy(&ret->s6_addr[12], a, 4);
}

static bool is_mapped(const struct in6_addr *a)
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(a, prefix, sizeof prefix) == 0;
}

static void set_v4(weft_addr *ret, const struct in_addr *a)
{
    struct sockaddr_in *in = (void *)&ret->sa;
    memset(in, 0, sizeof *in);
    in->sin_family = AF_INET;
    in->sin_addr = *a;
    ret->len = sizeof *in;
}

static void set_v6(weft_addr *ret, const struct in6_addr *a, unsigned interface)
{
    struct sockaddr_in6 *in6 = (void *)&ret->sa;
    memset(in6, 0, sizeof *in6);
    in6->sin6_family = AF_INET6;
    in6->sin6_addr = *a;
    if (wf_v6_is_of_link(a) || wf_v6_is_group_of_link(a))
        in6->sin6_scope_id = interface;
    ret->len = sizeof *in6;
}

static bool is_group_v4(const struct in_addr *a)
{
    return IN_MULTICAST(ntohl(a->s_addr)) || a->s_addr == INADDR_BROADCAST;
}

/* Of RFC 3927: good on one link alone, as groups are. */
static bool is_of_link_v4(const struct in_addr *a)
{
    return ntohl(a->s_addr) >> 16 == 0xa9fe;
}

static bool is_group_v6(const struct in6_addr *a)
{
    struct in_addr v4;
    memcpy(&v4, &a->s6_addr[12], 4);
    return wf_v6_is_group(a) || (is_mapped(a) && is_group_v4(&v4));
}

bool weft_datagram_group(const weft_datagram *d, weft_addr *ret)
{
    struct in6_addr v6;
    struct in_addr v4;
    if (d->group_len_ == 0) return false;
    memcpy(&v6, d->group_, sizeof v6);
    memcpy(&v4, d->group_ + 12, sizeof v4);
    if (d->group_len_ == sizeof v4)
        set_v4(ret, &v4);
    else
        set_v6(ret, &v6, d->interface);
    return true;
}

/* ---- receiving ---------------------------------------------------------- */

static void note_group(weft_datagram *d, const struct in6_addr *a)
{
    memcpy(d->group_, a, sizeof *a);
    d->group_len_ = is_mapped(a) ? 4 : 16;
}

static void take_v6(weft_datagram *d, const unsigned char *data)
{
    struct in6_pktinfo info;
    memcpy(&info, data, sizeof info);
    d->interface = (unsigned)info.ipi6_ifindex;
    if (is_group_v6(&info.ipi6_addr))
        note_group(d, &info.ipi6_addr);
    else
        set_v6(&d->local, &info.ipi6_addr, d->interface);
}

/* `own` is an address of this host, or 0 where that is not told. */
static void take_v4(weft_datagram *d, struct in_addr to, struct in_addr own)
{
    struct in6_addr mapped;
    bool group = is_group_v4(&to) || (own.s_addr && own.s_addr != to.s_addr);
    map_v4(&mapped, &to);
    d->group_len_ = 0;
    d->local.len = 0;
    if (group) note_group(d, &mapped);
    if (!group && !own.s_addr) own = to;
    if (!own.s_addr) return;
    map_v4(&mapped, &own);
    if (d->addr.sa.ss_family == AF_INET6)
        set_v6(&d->local, &mapped, 0);
    else
        set_v4(&d->local, &own);
}

void wf_udp_take_info(weft_datagram *d, struct msghdr *msg)
{
    d->local.len = 0;
    d->interface = 0;
    d->group_len_ = 0;
    if (msg->msg_flags & MSG_CTRUNC) return;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = wf_cmsg_next(msg, c)) {
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
            take_v6(d, CMSG_DATA(c));
#if defined(IP_PKTINFO)
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            d->interface = (unsigned)info.ipi_ifindex;
            take_v4(d, info.ipi_addr, info.ipi_spec_dst);
        }
#elif defined(IP_RECVDSTADDR)
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVDSTADDR) {
            struct in_addr to;
            memcpy(&to, CMSG_DATA(c), sizeof to);
            take_v4(d, to, (struct in_addr){0});
        }
#endif
    }
}

/* ---- sending ------------------------------------------------------------ */

static size_t put(struct wf_udp_info *ret, int level, int type,
                  const void *data, size_t len)
{
    struct cmsghdr *c = (struct cmsghdr *)(void *)ret->room;
    memset(ret->room, 0, CMSG_SPACE(len));
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = (__typeof__(c->cmsg_len))CMSG_LEN(len);
    memcpy(CMSG_DATA(c), data, len);
    return CMSG_SPACE(len);
}

static size_t put_v6(struct wf_udp_info *ret, const struct in6_addr *from,
                     unsigned interface)
{
    struct in6_pktinfo info = {.ipi6_ifindex = interface};
    if (from) info.ipi6_addr = *from;
    if (!from && !interface) return 0;
    return put(ret, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
}

static size_t put_v4(struct wf_udp_info *ret, const struct in_addr *from,
                     unsigned interface)
{
#if defined(IP_PKTINFO)
    struct in_pktinfo info = {.ipi_ifindex =
                                  (__typeof__(info.ipi_ifindex))interface};
    if (from) info.ipi_spec_dst = *from;
    if (!from && !interface) return 0;
    return put(ret, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
#elif defined(IP_SENDSRCADDR)
    (void)interface;
    if (!from) return 0;
    return put(ret, IPPROTO_IP, IP_SENDSRCADDR, from, sizeof *from);
#else
    (void)ret, (void)from, (void)interface;
    return 0;
#endif
}

size_t wf_udp_put_info(const weft_datagram *d, struct wf_udp_info *ret)
{
    bool says = d->local.len > 0;
    const weft_addr *a = says ? &d->local : &d->addr;
    const void *from = &d->local.sa, *to = &d->addr.sa;
    if (a->len == 0 || (!says && !d->interface)) return 0;
    if (a->sa.ss_family == AF_INET) {
        const struct in_addr *own =
            &((const struct sockaddr_in *)from)->sin_addr;
        const struct in_addr *at = &((const struct sockaddr_in *)to)->sin_addr;
        bool near = d->addr.len > 0 && (is_group_v4(at) || is_of_link_v4(at));
        return put_v4(ret, says ? own : NULL, near ? d->interface : 0);
    }
    const struct in6_addr *own =
        &((const struct sockaddr_in6 *)from)->sin6_addr;
    const struct in6_addr *at = &((const struct sockaddr_in6 *)to)->sin6_addr;
    bool near =
        (d->addr.len > 0 && (is_group_v6(at) || wf_v6_is_of_link(at))) ||
        (says && wf_v6_is_of_link(own));
    return put_v6(ret, says ? own : NULL, near ? d->interface : 0);
}
