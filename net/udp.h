/* SPDX-License-Identifier: MIT */
/*
 * net/udp.h - what the files of datagrams know of each other: udp_open.c opens
 * sockets, udp.c sends and receives, udp_info.c says by which address of this
 * host, and udp_group.c is multicast.
 */
#ifndef NET_UDP_H
#define NET_UDP_H

#if defined(__APPLE__)
#define __APPLE_USE_RFC_3542 /* or there is no IPV6_RECVPKTINFO */
#endif
#include <weft/udp.h>

#include <netinet/in.h>

/* What goes beside a datagram: both kinds come with one of IPv4 that is received
 * on a socket of IPv6. */
enum { WF_UDP_INFO = 96 };
struct wf_udp_info {
    _Alignas(struct cmsghdr) unsigned char room[WF_UDP_INFO];
};

/* Asks for it, on a socket of this family. */
int wf_udp_ask_info(weft_fd s, int family);

/* Takes it from what was received: local, interface, the group. */
void wf_udp_take_info(weft_datagram *d, struct msghdr *msg);

/* Puts it beside what is sent. Its length, or 0: there is nothing to say. */
size_t wf_udp_put_info(const weft_datagram *d, struct wf_udp_info *ret);

/* The macros of this are not clean in every C library. */
static inline bool wf_v6_starts(const struct in6_addr *a, unsigned first,
                                unsigned second, unsigned mask)
{
    return a->s6_addr[0] == first && (a->s6_addr[1] & mask) == second;
}
static inline bool wf_v6_is_group(const struct in6_addr *a)
{
    return wf_v6_starts(a, 0xff, 0, 0);
}
static inline bool wf_v6_is_of_link(const struct in6_addr *a)
{
    return wf_v6_starts(a, 0xfe, 0x80, 0xc0);
}
static inline bool wf_v6_is_group_of_link(const struct in6_addr *a)
{
    return wf_v6_starts(a, 0xff, 0x02, 0x0f);
}

/* Of which family is the socket? Or an error. */
int wf_udp_family(weft_fd s);

int wf_udp_set(weft_fd s, int level, int name, int value);

#endif
