/* SPDX-License-Identifier: MIT */
/*
 * dns_build.h - DNS messages as a test wants them, right or wrong.
 *
 *     struct build b;
 *     build_reply(&b, "www.example", WF_DNS_A);
 *     build_record(&b, WF_DNS_ANSWER, "www.example", WF_DNS_A, 60);
 *     build_octets(&b, "\300\0\2\1", 4);
 *
 * The counts of the header and the length of the last record's data follow what
 * is added; build_set16 makes either lie.
 */
#ifndef TESTS_DNS_BUILD_H
#define TESTS_DNS_BUILD_H

#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "net/dns_msg.h"

struct build {
    size_t len, data; /* data: where the last record's begin; 0: no record */
    uint8_t octets[WF_DNS_MESSAGE];
};

enum { BUILD_ID = 0x1234, BUILD_QUESTION = WF_DNS_HEAD };

static inline void build_set16(struct build *b, size_t at, unsigned value)
{
    b->octets[at] = (uint8_t)(value >> 8);
    b->octets[at + 1] = (uint8_t)value;
}

static inline unsigned build_get16(const struct build *b, size_t at)
{
    return (unsigned)(b->octets[at] << 8 | b->octets[at + 1]);
}

static inline void build_octets(struct build *b, const void *octets, size_t n)
{
    CHECK(n <= sizeof b->octets - b->len);
    memcpy(b->octets + b->len, octets, n);
    b->len += n;
    if (b->data) build_set16(b, b->data - 2, (unsigned)(b->len - b->data));
}

static inline void build_16(struct build *b, unsigned value)
{
    build_octets(b, (uint8_t[]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

static inline void build_32(struct build *b, uint32_t value)
{
    build_16(b, value >> 16);
    build_16(b, value & 0xffff);
}

static inline void build_name(struct build *b, const char *name)
{
    uint8_t octets[WF_DNS_WIRE];
    ssize_t n = wf_dns_write_name(octets, sizeof octets, name);
    CHECK(n > 0);
    build_octets(b, octets, (size_t)n);
}

static inline void build_pointer(struct build *b, size_t to)
{
    build_16(b, 0xc000 | (unsigned)to);
}

/* A header and a question of class IN. */
static inline void build_reply(struct build *b, const char *name, unsigned type)
{
    b->len = b->data = 0;
    build_16(b, BUILD_ID);
    build_16(b, WF_DNS_QR | WF_DNS_RD | WF_DNS_RA);
    build_16(b, 1);
    build_16(b, 0);
    build_32(b, 0);
    build_name(b, name);
    build_16(b, type);
    build_16(b, WF_DNS_IN);
}

/* What of a record comes behind its name. */
static inline void build_tail(struct build *b, enum wf_dns_section section,
                              unsigned type, uint32_t ttl)
{
    size_t count = 6 + 2 * (size_t)section;
    build_set16(b, count, build_get16(b, count) + 1);
    build_16(b, type);
    build_16(b, WF_DNS_IN);
    build_32(b, ttl);
    build_16(b, 0);
    b->data = b->len;
}

static inline void build_record(struct build *b, enum wf_dns_section section,
                                const char *name, unsigned type, uint32_t ttl)
{
    b->data = 0;
    build_name(b, name);
    build_tail(b, section, type, ttl);
}

static inline void build_a(struct build *b, const char *name, uint32_t ttl)
{
    build_record(b, WF_DNS_ANSWER, name, WF_DNS_A, ttl);
    build_octets(b, "\300\0\2\1", 4);
}

static inline void build_cname(struct build *b, const char *name, uint32_t ttl,
                               const char *target)
{
    build_record(b, WF_DNS_ANSWER, name, WF_DNS_CNAME, ttl);
    build_name(b, target);
}

static inline void build_soa(struct build *b, enum wf_dns_section section,
                             const char *zone, uint32_t ttl, uint32_t minimum)
{
    build_record(b, section, zone, WF_DNS_SOA, ttl);
    build_name(b, "ns.example");
    build_name(b, "hostmaster.example");
    for (uint32_t i = 1; i <= 4; i++)
        build_32(b, i);
    build_32(b, minimum);
}

/* One of each kind, names compressed as servers do it. */
static inline void build_all_kinds(struct build *b)
{
    build_reply(b, "www.example", WF_DNS_A);
    build_cname(b, "www.example", 300, "web.example");
    size_t web = b->data;
    build_a(b, "web.example", 60);
    b->data = 0;
    build_pointer(b, web);
    build_tail(b, WF_DNS_ANSWER, WF_DNS_AAAA, 60);
    build_octets(b, "\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    build_record(b, WF_DNS_ANSWER, "_sip._udp.example", WF_DNS_SRV, 60);
    build_octets(b, "\0\1\0\2\23\304", 6);
    build_pointer(b, web);
    build_record(b, WF_DNS_ANSWER, "example", WF_DNS_MX, 60);
    build_16(b, 10);
    build_octets(b, "\4mail", 5);
    build_pointer(b, BUILD_QUESTION + 4);
    build_record(b, WF_DNS_ANSWER, "example", WF_DNS_TXT, 60);
    build_octets(b, "\5hello\0\3you", 11);
    build_record(b, WF_DNS_ANSWER, "1.2.0.192.in-addr.arpa", WF_DNS_PTR, 60);
    build_pointer(b, web);
    build_soa(b, WF_DNS_AUTHORITY, "example", 900, 120);
    build_record(b, WF_DNS_AUTHORITY, "example", WF_DNS_NS, 900);
    build_octets(b, "\2ns", 3);
    build_pointer(b, BUILD_QUESTION + 4);
    build_record(b, WF_DNS_ADDITIONAL, ".", WF_DNS_OPT, 0);
    build_set16(b, b->data - 8, 4096);
    build_octets(b, "\0\12\0\3abc", 7);
}

/* Its octets alone, so that a sanitizer sees what is read behind them. */
static inline void *build_exact(const void *octets, size_t len)
{
    void *copy = malloc(len ? len : 1);
    CHECK(copy);
    if (len) memcpy(copy, octets, len);
    return copy;
}

#endif
