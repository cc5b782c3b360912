/* SPDX-License-Identifier: MIT */
/*
 * dns_server.h - a name server in fibers, on loopback, that does as it is told.
 *
 *     static const char *const zone[] = {"www.example 60 A 192.0.2.1", NULL};
 *     struct dns_server s = {.zone = zone};
 *     dns_server_open(&s);
 *     WEFT_NURSERY(n, rc) {
 *         dns_server_start(&s, &n);
 *         ... a resolver with .servers = s.address ...
 *     }
 *     dns_server_close(&s);
 *
 * By UDP and TCP on one port. Its fibers are daemons of the nursery. A line of
 * the zone is a name, a ttl in seconds, a type and its data:
 *
 *     A 192.0.2.1    A 10.0.0.0*200 (so many)    AAAA 2001:db8::1
 *     CNAME b.example    PTR b.example    NS b.example
 *     MX 10 b.example    SRV 0 5 5060 b.example    TXT some words | and more
 *     SOA 300 (minimum; of this name and what is below it)
 *
 * CNAMEs within the zone are followed. What there is no record of is answered
 * with the SOA, as NXDOMAIN if there is nothing of that name.
 */
#ifndef TESTS_DNS_SERVER_H
#define TESTS_DNS_SERVER_H

#include <weft/dns.h>
#include <weft/io.h>
#include <weft/nursery.h>

#include "net/dns_msg.h"

enum { DNS_SEEN = 1024 };

/* A question that came. */
struct dns_query {
    char name[WF_DNS_NAME];
    uint16_t type, id, port;
    bool edns, tcp;
};

struct dns_server {
    const char *const *zone; /* up to a NULL */
    bool silent;             /* reads, and says nothing */
    bool deaf;               /* has no TCP */
    unsigned rcode;          /* says that instead */
    unsigned edns_rcode;     /* says that to who has EDNS */
    bool bare;               /* ... and says it in a header without question */
    bool truncates;          /* each answer by UDP is cut */
    bool rubbish;            /* the records make no sense */
    bool lame;               /* knows nothing, and asks nobody */
    bool half_chains;        /* gives one CNAME, and no more */
    weft_time delay;
    /* Called before it answers, which it does if this says so. */
    bool (*before)(struct dns_server *s, const struct dns_query *q);
    void *user;

    weft_fd udp, tcp;
    weft_addr at, peer; /* of the question at hand */
    char address[WEFT_ADDR_TEXT];
    unsigned count, by_tcp; /* questions; those by TCP */
    struct {                /* of the first DNS_SEEN */
        uint16_t id, port;
    } seen[DNS_SEEN];
    struct dns_query last;
};

void dns_server_open(struct dns_server *s);
/* False: there is no memory, or no descriptor. */
bool dns_server_try_open(struct dns_server *s);
void dns_server_close(struct dns_server *s);

/* False: there is no memory for its fibers. */
bool dns_server_start(struct dns_server *s, weft_nursery *n);

/* Runs body(s) beside it. */
void dns_server_with(struct dns_server *s, void (*body)(struct dns_server *s));

/* Writes the answer to *q as it would; returns its length. */
size_t dns_server_answer(const struct dns_server *s, const struct dns_query *q,
                         uint8_t *buf, size_t room);

/* A datagram to who has asked, from its own socket. */
void dns_server_say(struct dns_server *s, const void *msg, size_t len);

/* A resolver that asks only these, without any file; NULL at the end. */
weft_resolver *dns_resolver_of(const struct dns_server *s, ...);

/* Its text is this, and it is another file than before. */
void dns_write_file(const char *path, const char *text);

#endif
