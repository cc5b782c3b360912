/* SPDX-License-Identifier: MIT */
/*
 * weft/dns.h (net) - names to addresses, by asking name servers.
 *
 *     weft_resolver *r = weft_resolver_new(NULL);
 *     weft_addr found[WEFT_DNS_ADDRS];
 *     int n = weft_dns_lookup(r, "www.example.org", AF_UNSPEC, found,
 *                             WEFT_DNS_ADDRS);
 *     if (n < 0) weft_error_print(2, n);
 *
 *     www.example.org (A): server 192.0.2.1:53: no answer: No route to host
 *
 * A stub resolver: it asks the servers of resolv.conf(5), which do the work
 * (RFC 1034, 5.3.1), and waits as fibers do, so a deadline or a cancellation
 * around a lookup ends it at once (while a file is read, when the disk has
 * answered; weft/file.h) and leaves nothing behind. hosts(5) comes first. Both
 * files are read at the first use and again, looked at once a second at most,
 * when they have changed; servers that do are asked anew. The variables
 * LOCALDOMAIN and RES_OPTIONS count too.
 *
 * Servers. A try is one question by UDP, with a random id and a socket of its
 * own (so a random port too), connected: who cannot see the question has to
 * guess 30 bits and more. What comes and is no answer to it, by id, server or
 * question, is passed over, and the try goes on. An answer that does not fit is
 * fetched by TCP. A server that refuses (REFUSED, SERVFAIL, a closed port) or
 * talks rubbish is not asked again for this question; one that is silent is, in
 * the next round. Servers that failed so within the last half minute, other
 * than by SERVFAIL, which tells more of the name than of them, come last. A
 * server that stumbles over EDNS (RFC 6891) is asked without.
 *
 * Time. Without `timeout` there are two rounds, in which two silent servers
 * cost 4.8 seconds in all, one second each before the next is asked; a single
 * one gets one second and then 3.8. With three or more each try has a second.
 * With a `timeout` (here or by `options timeout:n`) each try takes up to that,
 * and an answer fetched by TCP as long again. The whole is best bounded by a
 * scope around it.
 *
 * Cache. Answers are kept for as long as they say, that there is no such name
 * or record too (RFC 2308); failures are not. Of many fibers that ask for the
 * same one asks, and the others wait for that. A resolver belongs to its
 * thread.
 *
 * Names. Of letters, digits, - and _. With fewer dots than ndots the domains of
 * the search list are tried first, else after the name itself; a name with a
 * dot at its end is tried as it is. The first of these that has an address is
 * the host, whatever family is asked for: the others are other hosts, and their
 * addresses of the other family are not mixed with its own. So it is with what
 * is in hosts. Names outside ASCII are refused: give the A-label form
 * (xn--...). What ends in a number and is no address, such as 127.1 or 0x7f.1,
 * is refused too. localhost and what ends in it are the loopback addresses;
 * names under .invalid and .onion are not asked for, with the search list
 * neither, and do not exist (RFC 6761, 7686). If a name is an alias its CNAMEs
 * are followed, 16 at most.
 *
 * A lookup takes some 16 KiB of stack.
 *
 * After: RFC 1035, 2181, 2308, 2782, 3596, 5452, 6761, 6891, 7505, 7686.
 */
#ifndef WEFT_DNS_H
#define WEFT_DNS_H

#include <weft/addr.h>
#include <weft/base.h>

WEFT_BEGIN_DECLS

/* Not every system has both: the nearest. */
#ifndef EREMOTEIO
#define EREMOTEIO EREMOTE
#endif
#ifndef ENODATA
#define ENODATA ENOATTR
#endif

/** Zeroed is as the system says. */
typedef struct weft_resolver_opts {
    const char *servers;     /* "192.0.2.1, [::1]:5353"; NULL: of resolv_conf */
    const char *resolv_conf; /* NULL: "/etc/resolv.conf"; "": none */
    const char *hosts;       /* NULL: "/etc/hosts"; "": none */
    const char *search;      /* "a.example b.example", "": none; NULL: of
                                resolv_conf */
    int ndots;              /* 0: of resolv_conf, or 1; less: none are needed */
    weft_time timeout;      /* of one try; 0: of resolv_conf, or see above */
    int attempts;           /* rounds; 0: of resolv_conf, or 2 */
    weft_time min_ttl;      /* keep records for no less, */
    weft_time max_ttl;      /* and no longer; 0: a day */
    weft_time negative_ttl; /* that there are none, no longer than that; 0: 15
                                minutes; less: not at all */
    size_t cache;           /* answers kept, the least recently used go first;
                                0: 1000 */
    bool no_cache;          /* only those who wait for an answer share it */
    bool no_edns;           /* plain RFC 1035: 512 octets by UDP */
    bool tcp_only;          /* as `options use-vc` */
} weft_resolver_opts;

typedef struct weft_resolver weft_resolver;

/** Copies *o (may be NULL) and its texts; reads no file. NULL: no memory. */
WEFT_MUST weft_resolver *weft_resolver_new(const weft_resolver_opts *o);

/** Lookups by it that are under way come to their end first, but nobody waits
 *  for that. NULL is fine. */
WEFT_API void weft_resolver_free(weft_resolver *r);

/** Counters since it was made. */
typedef struct weft_resolver_stats {
    uint64_t queries; /* sent, by UDP */
    uint64_t tcp;     /* sent, by TCP */
    uint64_t ignored; /* messages that were no answer to the question */
    uint64_t hits;    /* answers out of the cache, */
    uint64_t misses;  /* asked for, */
    uint64_t waits;   /* had from another fiber that asked */
    size_t entries;   /* answers kept */
} weft_resolver_stats;
WEFT_API void weft_resolver_stats_read(const weft_resolver *r,
                                       weft_resolver_stats *ret);

enum { WEFT_DNS_ADDRS = 32, WEFT_DNS_NAME = 256 };

/*
 * All lookups. `r` may be NULL: as by weft_resolver_new(NULL) for this call
 * alone, with nothing kept. They park, and return how many they have written, 1
 * or more, or
 *
 *     -ENOENT        there is no such name
 *     -ENODATA       the name is there, but has no such records
 *     -EINVAL        not a name (or `max` is 0, or what else is said)
 *     -EHOSTUNREACH  no server has answered, in any of the tries
 *     -EREMOTEIO     servers refused or failed
 *     -EBADMSG       an answer was rubbish
 *     -ELOOP         CNAMEs in a circle, or too many of them
 *     -ECANCELED, -ENOMEM, -EMFILE, -ENFILE; what reading the files said (one
 *                    that is not there is as an empty one); what random octets
 *                    said (weft/random.h)
 *
 * and weft_last_error() names the name, the server and the step. Nothing is
 * written after an error.
 */

/**
 * The addresses of a host, with port 0: by AF_INET or AF_INET6 of that family,
 * by AF_UNSPEC of both, asked for at the same time; IPv6 first, each family in
 * the server's order. With both, one that fails does not fail the other; if
 * `max` is too little for all, each gets half of it or all that it has. The
 * call takes as long as the slower of the two; who wants the first that comes
 * asks for each in a fiber of its own. Literals (also fe80::1%eth0), localhost
 * and what is in hosts need no server. -EAFNOSUPPORT: no such family. A literal
 * of the other family is -ENODATA, and a host that has addresses of that alone.
 */
WEFT_PARKS int weft_dns_lookup(weft_resolver *r, const char *host, int family,
                               weft_addr ret[], size_t max);

/**
 * The same by getaddrinfo(3) on a thread (weft/names.h, which has the errors):
 * for names that only the system can find, by mDNS or LDAP. What is a name, and
 * in which order addresses come, is up to the system. Cancelled it returns at
 * once; the thread comes to its end alone. Nothing is cached.
 */
WEFT_PARKS int weft_dns_lookup_system(const char *host, int family,
                                      weft_addr ret[], size_t max);

/** Where a service is (RFC 2782). */
typedef struct weft_srv {
    char target[WEFT_DNS_NAME]; /* for weft_dns_lookup, with a dot at the end */
    uint16_t port, priority, weight;
    uint32_t ttl; /* seconds */
} weft_srv;

/**
 * The servers of a service such as "_imaps._tcp.example.org", in the order in
 * which to try them: by priority, and within one drawn by weight, anew at each
 * call. The name is taken as it is, without the search list, here and below.
 * -ENODATA also if the domain says that it has no such service.
 */
WEFT_PARKS int weft_dns_srv(weft_resolver *r, const char *name, weft_srv ret[],
                            size_t max);

/** Who takes a domain's mail. */
typedef struct weft_mx {
    char host[WEFT_DNS_NAME]; /* as target above */
    uint16_t preference;
    uint32_t ttl;
} weft_mx;

/** By preference, lowest first. -ENODATA too if it takes none (RFC 7505). */
WEFT_PARKS int weft_dns_mx(weft_resolver *r, const char *name, weft_mx ret[],
                           size_t max);

/**
 * Calls each(text, len, arg) for every TXT record of a name, with the strings
 * of the record joined; any octets, no 0 at the end, good during the call. It
 * may park. A negative result ends it and is that of weft_dns_txt.
 */
WEFT_PARKS int
weft_dns_txt(weft_resolver *r, const char *name,
             int (*each)(const char *text, size_t len, void *arg), void *arg);

/**
 * The name of an address, of hosts or by a PTR record, without a dot at its end
 * as text with a 0, and returns its length. An IPv4-mapped one is taken for the
 * IPv4 address in it. Who has the address says so, and may lie. -EAFNOSUPPORT:
 * neither IPv4 nor IPv6; -ENAMETOOLONG: `len` is too little, with WEFT_DNS_NAME
 * it never is.
 */
WEFT_PARKS int weft_dns_reverse(weft_resolver *r, const weft_addr *a, char *buf,
                                size_t len);

WEFT_END_DECLS

#endif
