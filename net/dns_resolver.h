/* SPDX-License-Identifier: MIT */
/*
 * net/dns_resolver.h - what the files of the resolver share.
 *
 *     dns.c          names of hosts: literals, hosts, the search list, families
 *     dns_records.c  SRV, MX, TXT, PTR
 *     dns_cache.c    one answer: out of the cache, or by asking, CNAMEs followed
 *     dns_query.c    one question to the servers, in rounds
 *     dns_try.c      one try of one server
 *     dns_files.c    what resolv.conf and hosts say now
 *     dns_system.c   getaddrinfo
 */
#ifndef NET_DNS_RESOLVER_H
#define NET_DNS_RESOLVER_H

#include <weft/cache.h>
#include <weft/dns.h>
#include <weft/error.h>
#include <weft/file.h>
#include <weft/mutex.h>

#include "dns_conf.h"
#include "dns_msg.h"

/* ---- what the files say (dns_files.c) ------------------------------------ */

struct wf_dns_stamp {
    int64_t size, inode, seconds, nanoseconds;
};

struct wf_dns_server {
    weft_time failed; /* when it did; 0: it did not, or has answered since */
    bool no_edns;     /* it does not know it */
};

/* Of one moment, held by those who use it. */
struct wf_dns_files {
    unsigned holders;
    uint32_t generation; /* of the servers; part of what the cache goes by */
    struct wf_dns_stamp conf_stamp, hosts_stamp;
    struct wf_dns_conf conf;
    struct wf_dns_server servers[WF_DNS_SERVERS];
    weft_file_data hosts;
};

struct weft_resolver {
    unsigned holders; /* the owner, and each lookup */
    weft_resolver_opts opts;
    char *texts; /* of opts */
    size_t texts_size;
    weft_mutex lock; /* who looks at the files */
    weft_time looked;
    struct wf_dns_files *files;
    weft_cache *cache;
    uint64_t tick; /* of gets: tells what was there before from what came */
    struct wf_dns_answer *filled; /* what the running fiber has just got */
    unsigned turn;                /* for `options rotate` */
    weft_resolver_stats stats;
};

/* As they are now, to be put back. Parks. 0 or negative. */
int wf_dns_files_get(weft_resolver *r, struct wf_dns_files **ret);
void wf_dns_files_put(struct wf_dns_files *f);

/* ---- questions (dns_try.c, dns_query.c) ---------------------------------- */

enum { WF_DNS_WHY = 104 }; /* as much as weft_error has room for */

struct wf_dns_reply {
    uint8_t *msg; /* of `len` octets, by weft_buffer_alloc; NULL: none */
    size_t len;
    char why[WF_DNS_WHY]; /* of a failure: for people; else who has said it */
};

/* How a try went that came to an end: what the server said. */
struct wf_dns_try {
    weft_resolver *r;
    const weft_addr *server;
    const char *name;
    uint16_t type;
    bool edns, tcp;
    bool is_ours;     /* a failure of this process, not of the server */
    const char *step; /* that failed */
    uint8_t *msg;     /* checked, and good to read */
    size_t len;
    uint16_t rcode; /* of msg, or of one that was cut to a header */
    bool truncated; /* no msg: ask by TCP */
};

/* By UDP, or with `tcp` by TCP, until it is over or cancelled. 0: it came to an
 * answer of some kind. -EBADMSG: rubbish, and `step` says what. */
int wf_dns_try(void *arg);

/* Asks the servers until one knows: NOERROR or NXDOMAIN. 0, and ret->msg, or
 * negative, and ret->why if not -ECANCELED. Parks. */
int wf_dns_query(weft_resolver *r, struct wf_dns_files *f, const char *name,
                 uint16_t type, struct wf_dns_reply *ret);

/* Names that no server is to be asked for (dns.c). */
bool wf_dns_never_exists(const char *name);

/* What to call a type. */
const char *wf_dns_type_name(uint16_t type);

/* ---- answers (dns_cache.c) ------------------------------------------------ */

struct wf_dns_answer {
    int code; /* 0, or what the lookup is to return */
    weft_time until;
    uint64_t tick;               /* when it came */
    char why[WF_DNS_WHY];        /* of a code */
    struct wf_dns_reader reader; /* of a code 0; over msg */
    struct wf_dns_chain chain;   /* at the first record */
    size_t len;
    uint8_t msg[];
};

int wf_dns_cache_open(weft_resolver *r);

/* The answer to a question, to be put back; `name` is absolute. Parks. 0, and
 * then there may be a code in it; -ECANCELED, -ENOMEM. */
int wf_dns_get(weft_resolver *r, const char *name, uint16_t type,
               struct wf_dns_answer **ret);
void wf_dns_put(weft_resolver *r, struct wf_dns_answer *a);

/* Runs `fn` with a resolver: that one, or one for this call. */
int wf_dns_with(weft_resolver *r, int (*fn)(weft_resolver *r, void *arg),
                void *arg);

#endif
