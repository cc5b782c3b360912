/* SPDX-License-Identifier: MIT */
/*
 * net/dns_msg.h - DNS messages to octets and back (RFC 1035, 2181, 2308, 2782,
 * 3596, 4343, 6891). Pure: no I/O, no memory, no state. Any octets give an
 * answer, and nothing is read but the `len` octets that are named.
 *
 *     uint8_t query[WF_DNS_QUERY];
 *     ssize_t n = wf_dns_write_query(query, sizeof query, id, "www.example",
 *                                    WF_DNS_A, true);
 *     ...
 *     if (!wf_dns_answers(reply, len, id, "www.example", WF_DNS_A)) goto next;
 *     struct wf_dns_reader r;
 *     struct wf_dns_head head;
 *     if (wf_dns_read(&r, reply, len, &head) < 0) return rubbish(r.wrong);
 *     struct wf_dns_chain c;
 *     int found = wf_dns_follow(&r, "www.example", WF_DNS_A, &c);
 *     struct wf_dns_record a;
 *     while (wf_dns_chain_next(&r, &c, &a)) use(a.data, a.len);
 *
 * A reply with WF_DNS_TC may end in the middle of a record: ask wf_dns_answers,
 * then the flags (wf_dns_read_head), and wf_dns_read only without it.
 *
 * Names are text: labels with dots between, case kept. An octet of a label that
 * is a dot or a backslash has a backslash before it; one that is no visible
 * ASCII character, or a blank, is \DDD (RFC 1035, 5.1). Every name is absolute:
 * one dot at its end changes nothing, and names written here have none, save
 * the root, which is ".". A name whose text has no escapes has at most 253
 * characters.
 */
#ifndef NET_DNS_MSG_H
#define NET_DNS_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    WF_DNS_NAME = 1004,    /* room for the text of any name, and its 0 */
    WF_DNS_WIRE = 255,     /* a name's octets, RFC 1035, 2.3.4 */
    WF_DNS_HEAD = 12,      /* a message's header */
    WF_DNS_UDP = 512,      /* a reply by UDP, without OPT */
    WF_DNS_UDP_MAX = 1232, /* what a query with OPT asks for: no fragments */
    WF_DNS_QUERY = WF_DNS_HEAD + WF_DNS_WIRE + 4 + 11, /* room for any query */
    WF_DNS_MESSAGE = 65535,                            /* a reply by TCP */
    WF_DNS_CNAMES = 16, /* followed for one question */
    WF_DNS_HOPS = 127   /* compression pointers in one name */
};

enum wf_dns_type {
    WF_DNS_A = 1,
    WF_DNS_NS = 2,
    WF_DNS_CNAME = 5,
    WF_DNS_SOA = 6,
    WF_DNS_PTR = 12,
    WF_DNS_MX = 15,
    WF_DNS_TXT = 16,
    WF_DNS_AAAA = 28,
    WF_DNS_SRV = 33,
    WF_DNS_OPT = 41
};

enum { WF_DNS_IN = 1 }; /* the class */

enum wf_dns_flag { /* of struct wf_dns_head; the rest are opcode and rcode */
                   WF_DNS_QR = 0x8000,
                   WF_DNS_OPCODE = 0x7800,
                   WF_DNS_AA = 0x0400,
                   WF_DNS_TC = 0x0200,
                   WF_DNS_RD = 0x0100,
                   WF_DNS_RA = 0x0080,
                   WF_DNS_AD = 0x0020,
                   WF_DNS_CD = 0x0010
};

enum wf_dns_rcode {
    WF_DNS_NOERROR = 0,
    WF_DNS_FORMERR = 1,
    WF_DNS_SERVFAIL = 2,
    WF_DNS_NXDOMAIN = 3,
    WF_DNS_NOTIMP = 4,
    WF_DNS_REFUSED = 5,
    WF_DNS_BADVERS = 16 /* by OPT */
};

enum wf_dns_section { WF_DNS_ANSWER, WF_DNS_AUTHORITY, WF_DNS_ADDITIONAL };

/* ---- names (dns_name.c) -------------------------------------------------- */

/* 0, or -EINVAL: "", an empty label, one of over 63 octets, over 255 octets in
 * all, or an escape that is none (a backslash at the end, \1x, \256). */
int wf_dns_name_check(const char *name);

/* The same name, whatever its case (ASCII, RFC 4343) and its escapes? What is
 * not a name equals nothing. */
bool wf_dns_name_equal(const char *a, const char *b);

/* Is `name` the zone, or below it? */
bool wf_dns_name_within(const char *name, const char *zone);

/* Letters, digits, - and _ only, no label with - at an end: may a program be
 * given that as the name of a host? The root is not. */
bool wf_dns_name_is_host(const char *name);

/* The one text of all that are equal, for a key: lower case, escapes only where
 * needed, no dot at the end. `ret` has room for WF_DNS_NAME, and may be `name`.
 * 0 or -EINVAL. */
int wf_dns_name_canonical(const char *name, char *ret);

/* The same, but the case stays as it is. */
int wf_dns_name_absolute(const char *name, char *ret);

/* The octets of the name, not compressed. How many, -EINVAL, or -ENOBUFS. */
ssize_t wf_dns_write_name(void *buf, size_t len, const char *name);

/* 4.3.2.1.in-addr.arpa or its like under ip6.arpa (RFC 3596, 2.5), of an
 * address's octets; an IPv4 address in IPv6 (::ffff:1.2.3.4) is one of IPv4.
 * 0; -EAFNOSUPPORT: neither AF_INET nor AF_INET6. */
int wf_dns_name_of_addr(int family, const void *octets, char *ret);

/* ---- messages (dns_msg.c) ------------------------------------------------ */

/* A query: RD, one question of class IN, and, with `edns`, an OPT that asks for
 * up to WF_DNS_UDP_MAX octets. Returns its length, -EINVAL (not a name), or
 * -ENOBUFS; with WF_DNS_QUERY octets there is always room. */
ssize_t wf_dns_write_query(void *buf, size_t len, uint16_t id, const char *name,
                           uint16_t type, bool edns);

struct wf_dns_head {
    uint16_t id;
    uint16_t flags;
    uint16_t questions, answers, authorities, additionals;
    uint16_t rcode; /* by wf_dns_read: with OPT's high bits */
    uint16_t udp; /* by wf_dns_read: what OPT offers, at least 512; 0: no OPT */
};

/* The header alone. 0, or -EBADMSG: less than WF_DNS_HEAD octets. */
int wf_dns_read_head(const void *msg, size_t len, struct wf_dns_head *ret);

/* The only question of a query or of a reply. `ret_name` has room for
 * WF_DNS_NAME. 0, or -EBADMSG: there is none, or more than one, or one cut. */
int wf_dns_read_question(const void *msg, size_t len, char *ret_name,
                         uint16_t *ret_type, uint16_t *ret_class);

/* Is this a reply to that query: id, QR, opcode QUERY, exactly one question, of
 * the same name in any case, the same type, class IN? Looks no further. */
bool wf_dns_answers(const void *msg, size_t len, uint16_t id, const char *name,
                    uint16_t type);

/* A place in a message that has been checked; plain data. */
struct wf_dns_reader {
    const uint8_t *msg;
    size_t len;
    size_t first, at; /* of the records; of the next one */
    uint16_t left[3]; /* of each section */
    uint16_t all[3];
    const char *wrong; /* after -EBADMSG: what is, for people */
};

/*
 * Checks the whole message, which has to stay as it is for as long as *r is
 * used: every count, every name (pointers only backwards, behind the header,
 * WF_DNS_HOPS at most), every length of data, and in class IN what the data of
 * the types above hold; one OPT at most, in its section, under the root; and no
 * octet is left over. Then the calls below cannot fail.
 *
 * 0, or -EBADMSG, and r->wrong says why.
 */
int wf_dns_read(struct wf_dns_reader *r, const void *msg, size_t len,
                struct wf_dns_head *ret_head);

struct wf_dns_record {
    char name[WF_DNS_NAME];
    enum wf_dns_section section;
    uint16_t type, class_;
    uint32_t ttl;        /* seconds; over 2^31 - 1 it is 0 (RFC 2181, 8) */
    const uint8_t *data; /* in the message */
    size_t len;          /* of an A in class IN 4, of an AAAA 16 */
};

/* The next record, of all sections in their order. 1, or 0 at the end. */
int wf_dns_next(struct wf_dns_reader *r, struct wf_dns_record *ret);

/* Back to the first one. */
void wf_dns_rewind(struct wf_dns_reader *r);

/* ---- data (dns_data.c) --------------------------------------------------- */

/* The data of a record that *r has handed out. 0, or -EINVAL: a record of
 * another type, or not of class IN. */

/* NS, CNAME and PTR; `ret` has room for WF_DNS_NAME. */
int wf_dns_data_name(const struct wf_dns_reader *r,
                     const struct wf_dns_record *rec, char *ret);

struct wf_dns_srv {
    uint16_t priority, weight, port;
    char target[WF_DNS_NAME]; /* ".": decidedly not here (RFC 2782) */
};
int wf_dns_data_srv(const struct wf_dns_reader *r,
                    const struct wf_dns_record *rec, struct wf_dns_srv *ret);

struct wf_dns_mx {
    uint16_t preference;
    char exchange[WF_DNS_NAME]; /* ".": takes no mail (RFC 7505) */
};
int wf_dns_data_mx(const struct wf_dns_reader *r,
                   const struct wf_dns_record *rec, struct wf_dns_mx *ret);

struct wf_dns_soa {
    char primary[WF_DNS_NAME], mailbox[WF_DNS_NAME];
    uint32_t serial, refresh, retry, expire, minimum;
};
int wf_dns_data_soa(const struct wf_dns_reader *r,
                    const struct wf_dns_record *rec, struct wf_dns_soa *ret);

/* The strings of a TXT one after another; *at is 0 before the first. 1 and the
 * next one, of up to 255 octets, or 0 at the end, and for other records. */
int wf_dns_data_txt(const struct wf_dns_record *rec, size_t *at,
                    const uint8_t **ret_text, size_t *ret_len);

/* ---- answers (dns_follow.c) ---------------------------------------------- */

/* The answer to a question within one message. */
struct wf_dns_chain {
    char name[WF_DNS_NAME]; /* where the CNAMEs end; without any, the asked */
    uint16_t type;
    unsigned links;   /* CNAMEs on the way */
    unsigned records; /* of the type, under that name */
    uint32_t ttl;     /* the least of all these; of none, WF_DNS_TTL_MAX */
    bool has_soa;     /* no records, but an SOA of a zone around that name */
    uint32_t negative_ttl; /* has_soa: for how long to remember that there is
                              nothing (RFC 2308, 5), not over `ttl`; else 0 */
    size_t at;             /* wf_dns_chain_next's */
    uint16_t left;
};

enum { WF_DNS_TTL_MAX = INT32_MAX };

/*
 * Follows the CNAMEs in the answer section from `name`, in whatever order they
 * stand, to records of `type`; records of other names and classes are passed
 * over. When there are none, but links > 0 and no has_soa, the server has left
 * it to the caller to ask for c->name.
 *
 * How many records, or 0; -ELOOP: more than WF_DNS_CNAMES links, or a circle;
 * -EINVAL: not a name. *ret is written if it is not negative.
 */
int wf_dns_follow(const struct wf_dns_reader *r, const char *name,
                  uint16_t type, struct wf_dns_chain *ret);

/* The next of them. 1, or 0 at the end. */
int wf_dns_chain_next(const struct wf_dns_reader *r, struct wf_dns_chain *c,
                      struct wf_dns_record *ret);

#endif
