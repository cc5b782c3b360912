/* SPDX-License-Identifier: MIT */
/*
 * net/dns_conf.h - what resolv.conf(5) and hosts(5) say, from their text.
 *
 *     struct wf_dns_conf c;
 *     wf_dns_conf_parse(&c, text, len);         a file that is not there: "", 0
 *     wf_dns_conf_search(&c, getenv("LOCALDOMAIN"));
 *     wf_dns_conf_options(&c, getenv("RES_OPTIONS"));
 *     wf_dns_conf_host_name(&c, "www.example.org");
 *
 *     struct wf_dns_names names;
 *     char name[WF_DNS_NAME];
 *     wf_dns_names_init(&names, &c, "www");
 *     while (wf_dns_names_next(&names, name)) ...
 *
 * Pure but for one thing: the scope of fe80::1%eth0 is asked of the system; one
 * that is a number is not. Texts may hold any octets, 0 among them, and lines
 * any length. What cannot be understood is passed over, as libc does: a file
 * that somebody else has written should not stop a program.
 */
#ifndef NET_DNS_CONF_H
#define NET_DNS_CONF_H

#include <weft/addr.h>

#include <stdbool.h>
#include <stddef.h>

#include "dns_msg.h"

enum {
    WF_DNS_SERVERS = 8,    /* those behind are left out; glibc's limit is 3 */
    WF_DNS_SEARCHES = 32,  /* domains: the same; glibc's was 6, until 2.26 */
    WF_DNS_SEARCH = 2048,  /* octets of their texts: the same; it was 256 */
    WF_DNS_NDOTS_MAX = 15, /* what is over is capped, as in libc */
    WF_DNS_TIMEOUT_MAX = 30,
    WF_DNS_ATTEMPTS_MAX = 5,
    WF_DNS_PORT = 53
};

struct wf_dns_conf {
    weft_addr servers[WF_DNS_SERVERS];
    unsigned server_count;      /* never 0 */
    char search[WF_DNS_SEARCH]; /* one after another, each with its 0 */
    unsigned search_count;
    bool search_given;   /* by the file or the environment */
    unsigned ndots;      /* 1 */
    unsigned timeout;    /* seconds, 5; at least 1 */
    bool timeout_given;  /* by the file or the environment */
    unsigned attempts;   /* 2; at least 1 */
    bool rotate;         /* spread queries over the servers */
    bool use_vc;         /* TCP only */
    bool single_request; /* A after AAAA, not at once */
    bool no_aaaa;        /* never ask for AAAA */
    bool no_tld_query;   /* a name without a dot is not tried as it is */
    bool no_reload;      /* the file is not read again */
};

/*
 * The text of a resolv.conf, over the defaults: 127.0.0.1 when it names no
 * server. A keyword starts its line; # or ; there, or at the start of a word
 * behind, is a comment; a \r counts as a blank.
 *
 *     nameserver  1.2.3.4 | ::1 | fe80::1%eth0, and with a port, which libc
 *                 does not know, 1.2.3.4:5353 | [::1]:5353
 *     search      names; domain: one; of all of these lines the last one holds
 *     options     ndots:n timeout:n attempts:n rotate use-vc single-request
 *                 no-aaaa no-tld-query no-reload
 *
 * All else is passed over, among it sortlist, and the options edns0, which is
 * how queries are written anyway, single-request-reopen, since each query has a
 * socket of its own, and trust-ad, since nobody is told of that bit.
 */
void wf_dns_conf_parse(struct wf_dns_conf *c, const char *text, size_t len);

/* As $LOCALDOMAIN: these domains in place of all others; "": no domains. NULL
 * changes nothing. */
void wf_dns_conf_search(struct wf_dns_conf *c, const char *text);

/* As $RES_OPTIONS: more options. NULL changes nothing. */
void wf_dns_conf_options(struct wf_dns_conf *c, const char *text);

/* When nobody has given a list: the domain of this host's name, if it has. */
void wf_dns_conf_host_name(struct wf_dns_conf *c, const char *host);

/* Other servers in place of all others, with blanks or commas between. 0;
 * -EINVAL: one is not an address, or there is none; -E2BIG: over
 * WF_DNS_SERVERS. After an error *c is as before. */
int wf_dns_conf_servers(struct wf_dns_conf *c, const char *text);

/* Under which names to look for one, in turn. It keeps both pointers. */
struct wf_dns_names {
    const struct wf_dns_conf *conf;
    const char *name;
    const char *domain; /* the next of the list */
    unsigned left;      /* of the list */
    bool first, last;   /* whether it is still to be tried as it is, and when */
};

/*
 * As it is before the list with ndots dots or more, else after it; with a dot
 * at its end as it is and no more; never twice as it is, where "." is in the
 * list. What is not a name, alone or with a domain behind it, is passed over.
 */
void wf_dns_names_init(struct wf_dns_names *n, const struct wf_dns_conf *c,
                       const char *name);

/* The next one, absolute; `ret` has room for WF_DNS_NAME. 1, or 0: no more. */
int wf_dns_names_next(struct wf_dns_names *n, char *ret);

/* ---- hosts (dns_hosts.c) ------------------------------------------------- */

/* The addresses that a hosts file has for a name, in the file's order and each
 * once; AF_INET, AF_INET6 or AF_UNSPEC; port 0. Aliases count too, in any case;
 * the file knows no escapes. How many, at most `max`. */
size_t wf_hosts_lookup(const char *text, size_t len, const char *name,
                       int family, weft_addr *ret, size_t max);

/* The first name of the first line with that address; its port does not count,
 * nor, on either side, a scope of 0. `ret` has room for WF_DNS_NAME. 1, or 0:
 * not there. */
int wf_hosts_name(const char *text, size_t len, const weft_addr *a, char *ret);

/* An address and nothing else: 1.2.3.4, ::1, fe80::1%eth0, fe80::1%3; port 0.
 * 0 or -EINVAL. */
int wf_hosts_addr(const char *text, size_t len, weft_addr *ret);

#endif
