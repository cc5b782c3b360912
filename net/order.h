/* SPDX-License-Identifier: MIT */
/*
 * net/order.h - which of two addresses is to be tried first (RFC 6724, 6).
 */
#ifndef NET_ORDER_H
#define NET_ORDER_H

#include <weft/addr.h>

#include <netinet/in.h>

enum wf_source { WF_SOURCE_UNKNOWN, WF_SOURCE_KNOWN, WF_SOURCE_NONE };

/* A destination and its source; those of IPv4 as ::ffff:0:0/96. */
struct wf_route {
    struct in6_addr to, from;
    enum wf_source source;
};

/* Of an IPv4 or IPv6 address; its source is not known. */
void wf_route_init(struct wf_route *r, const weft_addr *to);

/* This is its source; NULL: it has none. An unspecified one tells nothing. */
void wf_route_set_source(struct wf_route *r, const weft_addr *from);

/* Asks the kernel for the source. Parks no longer than for a cancel point; what
 * cannot be found out stays unknown. */
void wf_route_probe(struct wf_route *r, const weft_addr *to);

/* Is a to be tried before b? If neither is, they stay as they are (rule 10). */
bool wf_route_before(const struct wf_route *a, const struct wf_route *b);

#endif
