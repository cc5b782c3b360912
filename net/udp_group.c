/* SPDX-License-Identifier: MIT */
/*
 * udp_group.c - multicast (RFC 3678, 5.1: the calls that are the same for IPv4
 * and IPv6).
 */
#include "udp.h"

#include <weft/error.h>
#include <weft/socket.h>

#include <arpa/inet.h>
#include <string.h>

#include "interface.h"

/* ---- texts -------------------------------------------------------------- */

static bool read_number(const char *text, unsigned *ret)
{
    unsigned n = 0;
    if (!*text) return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || n > 100000000) return false;
        n = n * 10 + (unsigned)(*text - '0');
    }
    *ret = n;
    return true;
}

/* NULL: 0, which is for the kernel to choose. */
static int find_interface(const char *text, unsigned *ret)
{
    int err = 0;
    *ret = 0;
    if (!text) return 0;
    if (!read_number(text, ret))
        err = wf_interface(text, ret);
    else if (*ret == 0)
        err = -ENODEV;
    if (err == 0) return 0;
    return weft_fail_at(err, NULL, 0, "udp: interface \"%.60s\"", text);
}

static int read_address(const char *text, struct sockaddr_storage *ret)
{
    struct sockaddr_in *in = (void *)ret;
    struct sockaddr_in6 *in6 = (void *)ret;
    memset(ret, 0, sizeof *ret);
    if (text && inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        return 0;
    }
    if (text && inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        return 0;
    }
    return weft_fail_at(
        -EINVAL, NULL, 0,
        "udp: \"%.60s\" is no address like 239.1.2.3 or ff02::5",
        text ? text : "");
}

static bool is_group(const struct sockaddr_storage *sa)
{
    const struct sockaddr_in *in = (const void *)sa;
    const struct sockaddr_in6 *in6 = (const void *)sa;
    return sa->ss_family == AF_INET ? IN_MULTICAST(ntohl(in->sin_addr.s_addr))
                                    : wf_v6_is_group(&in6->sin6_addr);
}

/* ---- joining and leaving ------------------------------------------------ */

#if defined(MCAST_JOIN_GROUP) && defined(MCAST_JOIN_SOURCE_GROUP)
static int set_group(weft_fd s, bool join, unsigned interface,
                     const struct sockaddr_storage *group,
                     const struct sockaddr_storage *source)
{
    int level = group->ss_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
    struct group_req all = {.gr_interface = interface};
    struct group_source_req one = {.gsr_interface = interface};
    all.gr_group = one.gsr_group = *group;
    if (!source)
        return weft_setsockopt(s, level,
                               join ? MCAST_JOIN_GROUP : MCAST_LEAVE_GROUP,
                               &all, sizeof all);
    one.gsr_source = *source;
    return weft_setsockopt(
        s, level, join ? MCAST_JOIN_SOURCE_GROUP : MCAST_LEAVE_SOURCE_GROUP,
        &one, sizeof one);
}
#else
static int set_group(weft_fd s, bool join, unsigned interface,
                     const struct sockaddr_storage *group,
                     const struct sockaddr_storage *source)
{
    (void)s, (void)join, (void)interface, (void)group, (void)source;
    return -ENOTSUP;
}
#endif

static int read_group(const weft_udp_group *g, struct sockaddr_storage *group,
                      struct sockaddr_storage *source, unsigned *ret_interface)
{
    int err = read_address(g->group, group);
    if (err == 0 && !is_group(group))
        return weft_fail_at(-EINVAL, NULL, 0, "udp: %.60s is no group",
                            g->group);
    if (err == 0 && g->source) err = read_address(g->source, source);
    if (err == 0 && g->source && source->ss_family != group->ss_family)
        return weft_fail_at(-EINVAL, NULL, 0,
                            "udp: %.45s cannot be a source of group %.45s",
                            g->source, g->group);
    return err < 0 ? err : find_interface(g->interface, ret_interface);
}

static int change(weft_fd s, bool join, const weft_udp_group *g)
{
    struct sockaddr_storage group, source;
    unsigned interface = 0;
    int err = read_group(g, &group, &source, &interface);
    if (err < 0) return err;
    err = set_group(s, join, interface, &group, g->source ? &source : NULL);
    if (err == 0) return 0;
    return weft_fail_at(
        err, NULL, 0, "udp %s %.45s%s%.16s", join ? "join" : "leave", g->group,
        g->interface ? " on " : "", g->interface ? g->interface : "");
}

int weft_udp_join(weft_fd s, const weft_udp_group *g)
{
    return change(s, true, g);
}

int weft_udp_leave(weft_fd s, const weft_udp_group *g)
{
    return change(s, false, g);
}

/* ---- sending to groups -------------------------------------------------- */

/* BSD takes no int here, and Linux takes either. */
static int set_octet(weft_fd s, int name, unsigned value)
{
    unsigned char octet = (unsigned char)value;
    return weft_setsockopt(s, IPPROTO_IP, name, &octet, sizeof octet);
}

/* Of a number that no interface has, Linux says -EADDRNOTAVAIL here alone. */
static int set_v4(weft_fd s, unsigned hops, bool loop, unsigned interface)
{
    int err = set_octet(s, IP_MULTICAST_TTL, hops);
    if (err == 0) err = set_octet(s, IP_MULTICAST_LOOP, loop);
#if defined(__NetBSD__)
    return err == 0 && interface ? -ENOTSUP : err;
#else
    struct ip_mreqn by = {.imr_ifindex = (int)interface};
    if (err < 0) return err;
    err = weft_setsockopt(s, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof by);
    return err == -EADDRNOTAVAIL ? -ENODEV : err;
#endif
}

static int set_v6(weft_fd s, unsigned hops, bool loop, unsigned interface)
{
    int err = wf_udp_set(s, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, (int)hops);
    if (err == 0) err = wf_udp_set(s, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, loop);
    if (err < 0) return err;
    err = wf_udp_set(s, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)interface);
#if defined(__linux__)
    /* What it sends to a group of IPv4 goes by these. */
    if (err == 0) err = set_v4(s, hops, loop, interface);
#endif
    return err;
}

int weft_udp_set_multicast(weft_fd s, const weft_udp_multicast *m)
{
    unsigned interface, hops = m->hops ? m->hops : 1;
    int family = wf_udp_family(s);
    if (family < 0) return family;
    if (hops > 255)
        return weft_fail_at(-EINVAL, NULL, 0, "udp: %u hops are over 255",
                            hops);
    int err = find_interface(m->interface, &interface);
    if (err < 0) return err;
    err = family == AF_INET ? set_v4(s, hops, !m->no_loop, interface)
                            : set_v6(s, hops, !m->no_loop, interface);
    if (err == 0) return 0;
    return weft_fail_at(err, NULL, 0, "udp: multicast by %.16s",
                        m->interface ? m->interface : "the routes");
}
