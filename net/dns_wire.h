/* SPDX-License-Identifier: MIT */
/*
 * net/dns_wire.h - names as octets, and the steps that the parts of the codec
 * share; private to net/dns_*.c.
 */
#ifndef NET_DNS_WIRE_H
#define NET_DNS_WIRE_H

#include "dns_msg.h"

/* A name, not compressed: at least the root's 0. */
struct wf_dns_wire {
    size_t len;
    uint8_t octets[WF_DNS_WIRE];
};

static inline uint16_t wf_dns_get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t wf_dns_get32(const uint8_t *at)
{
    return (uint32_t)wf_dns_get16(at) << 16 | wf_dns_get16(at + 2);
}

static inline void wf_dns_put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* ASCII, whatever the locale. */
static inline uint8_t wf_dns_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

/* ---- dns_name.c ---------------------------------------------------------- */

/* 0 or -EINVAL. */
int wf_dns_wire_of(struct wf_dns_wire *ret, const char *text);

/* `ret` has room for WF_DNS_NAME. */
void wf_dns_wire_text(const struct wf_dns_wire *w, char *ret);

bool wf_dns_wire_equal(const struct wf_dns_wire *a,
                       const struct wf_dns_wire *b);
bool wf_dns_wire_within(const struct wf_dns_wire *w,
                        const struct wf_dns_wire *zone);
unsigned wf_dns_wire_labels(const struct wf_dns_wire *w);

/* The name at *at of a message of which `end` octets may be read; *at goes
 * behind it. NULL, or what is wrong with it. */
const char *wf_dns_wire_read(struct wf_dns_wire *ret, const uint8_t *msg,
                             size_t end, size_t *at);

/* ---- dns_msg.c ----------------------------------------------------------- */

struct wf_dns_raw {
    struct wf_dns_wire name;
    enum wf_dns_section section;
    uint16_t type, class_;
    uint32_t ttl;
    size_t at, end; /* of the data */
};

/* As wf_dns_next, and the name stays as it is. */
bool wf_dns_raw_next(struct wf_dns_reader *r, struct wf_dns_raw *ret);

/* ---- dns_data.c ---------------------------------------------------------- */

/* NULL, or what is wrong with the data of a record. */
const char *wf_dns_data_wrong(const uint8_t *msg, const struct wf_dns_raw *raw);

#endif
