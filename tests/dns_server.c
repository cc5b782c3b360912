/* SPDX-License-Identifier: MIT */
/*
 * dns_server.c - see dns_server.h.
 */
#include "dns_server.h"

#include <weft/buffer.h>
#include <weft/file.h>
#include <weft/net.h>
#include <weft/scope.h>
#include <weft/socket.h>
#include <weft/time.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

enum { ROOM = 65535 };

/* ---- writing ------------------------------------------------------------- */

struct writer {
    uint8_t *buf;
    size_t len, room;
};

static void put(struct writer *w, const void *octets, size_t n)
{
    CHECK(w->len + n <= w->room);
    memcpy(w->buf + w->len, octets, n);
    w->len += n;
}

static void put16(struct writer *w, unsigned value)
{
    const uint8_t octets[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    put(w, octets, 2);
}

static void put32(struct writer *w, unsigned long value)
{
    put16(w, (unsigned)(value >> 16) & 0xffff);
    put16(w, (unsigned)value & 0xffff);
}

static void put_name(struct writer *w, const char *name)
{
    uint8_t octets[WF_DNS_WIRE];
    ssize_t n = wf_dns_write_name(octets, sizeof octets, name);
    CHECK(n > 0);
    put(w, octets, (size_t)n);
}

static void set16(struct writer *w, size_t at, unsigned value)
{
    w->buf[at] = (uint8_t)(value >> 8);
    w->buf[at + 1] = (uint8_t)value;
}

/* ---- the zone ------------------------------------------------------------ */

struct line {
    char name[300], type[8];
    unsigned long ttl;
    const char *data;
};

static void read_line_of(const char *text, struct line *ret)
{
    int at = 0;
    CHECK_EQ(
        sscanf(text, "%299s %lu %7s %n", ret->name, &ret->ttl, ret->type, &at),
        3);
    ret->data = text + at;
}

static unsigned type_of(const struct line *l)
{
    static const struct {
        const char *name;
        unsigned type;
    } types[] = {{"A", 1},   {"NS", 2},   {"CNAME", 5}, {"SOA", 6}, {"PTR", 12},
                 {"MX", 15}, {"TXT", 16}, {"AAAA", 28}, {"SRV", 33}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, l->type) == 0) return types[i].type;
    test_fail(__FILE__, __LINE__, "type %s", l->type);
}

static void put_txt(struct writer *w, const char *data)
{
    while (*data) {
        size_t n = strcspn(data, "|");
        size_t len = n > 255 ? 255 : n;
        const uint8_t length = (uint8_t)len;
        put(w, &length, 1);
        put(w, data, len);
        data += len;
        if (*data == '|') data++;
    }
}

static void put_data(struct writer *w, const struct line *l, unsigned index)
{
    uint8_t octets[16];
    unsigned a, b, c;
    char name[300];
    switch (type_of(l)) {
    case WF_DNS_A:
        (void)snprintf(name, sizeof name, "%s", l->data);
        name[strcspn(name, "*")] = 0;
        CHECK_EQ(inet_pton(AF_INET, name, octets), 1);
        octets[2] = (uint8_t)(octets[2] + index / 256);
        octets[3] = (uint8_t)(octets[3] + index % 256);
        put(w, octets, 4);
        break;
    case WF_DNS_AAAA:
        CHECK_EQ(inet_pton(AF_INET6, l->data, octets), 1);
        put(w, octets, 16);
        break;
    case WF_DNS_MX:
        CHECK_EQ(sscanf(l->data, "%u %299s", &a, name), 2);
        put16(w, a);
        put_name(w, name);
        break;
    case WF_DNS_SRV:
        CHECK_EQ(sscanf(l->data, "%u %u %u %299s", &a, &b, &c, name), 4);
        put16(w, a);
        put16(w, b);
        put16(w, c);
        put_name(w, name);
        break;
    case WF_DNS_TXT:
        put_txt(w, l->data);
        break;
    case WF_DNS_SOA:
        put_name(w, "ns.example");
        put_name(w, "admin.example");
        for (int i = 0; i < 4; i++)
            put32(w, 1);
        put32(w, strtoul(l->data, NULL, 10));
        break;
    default:
        put_name(w, l->data);
        break;
    }
}

static void put_record(struct writer *w, const struct line *l, unsigned index)
{
    put_name(w, l->name);
    put16(w, type_of(l));
    put16(w, WF_DNS_IN);
    put32(w, l->ttl);
    size_t at = w->len;
    put16(w, 0);
    put_data(w, l, index);
    set16(w, at, (unsigned)(w->len - at - 2));
}

/* All records of a line: how many. */
static unsigned put_line(struct writer *w, const struct line *l)
{
    const char *star = type_of(l) == WF_DNS_A ? strchr(l->data, '*') : NULL;
    unsigned n = star ? (unsigned)atoi(star + 1) : 1;
    for (unsigned i = 0; i < n; i++)
        put_record(w, l, i);
    return n;
}

/* The records of that name and type, and those that a CNAME leads to. Returns
 * how many; *ret_known: there is such a name. */
static unsigned put_answers(const struct dns_server *s, struct writer *w,
                            const char *name, unsigned type, bool *ret_known)
{
    char at[300];
    unsigned n = 0;
    (void)snprintf(at, sizeof at, "%s", name);
    for (int hop = 0; hop < 20; hop++) {
        bool moved = false;
        *ret_known = false;
        for (const char *const *text = s->zone; text && *text; text++) {
            struct line l;
            read_line_of(*text, &l);
            if (type_of(&l) == WF_DNS_SOA || !wf_dns_name_equal(l.name, at))
                continue;
            *ret_known = true;
            bool follows = type_of(&l) == WF_DNS_CNAME && type != WF_DNS_CNAME;
            if (type_of(&l) != type && !follows) continue;
            n += put_line(w, &l);
            if (!follows) continue;
            moved = true;
            (void)snprintf(at, sizeof at, "%s", l.data);
            break;
        }
        if (!moved || s->half_chains) return n;
    }
    return n;
}

static unsigned put_soa(const struct dns_server *s, struct writer *w,
                        const char *name)
{
    for (const char *const *text = s->zone; text && *text; text++) {
        struct line l;
        read_line_of(*text, &l);
        if (type_of(&l) != WF_DNS_SOA || !wf_dns_name_within(name, l.name))
            continue;
        return put_line(w, &l);
    }
    return 0;
}

/* ---- answers ------------------------------------------------------------- */

static void put_head(struct writer *w, const struct dns_query *q,
                     unsigned flags, bool question)
{
    put16(w, q->id);
    put16(w, WF_DNS_QR | WF_DNS_RD | flags);
    put16(w, question);
    for (int i = 0; i < 3; i++)
        put16(w, 0);
    if (!question) return;
    put_name(w, q->name);
    put16(w, q->type);
    put16(w, WF_DNS_IN);
}

size_t dns_server_answer(const struct dns_server *s, const struct dns_query *q,
                         uint8_t *buf, size_t room)
{
    struct writer w = {.buf = buf, .room = room};
    unsigned rcode = q->edns && s->edns_rcode ? s->edns_rcode : s->rcode;
    size_t most = q->tcp ? ROOM : q->edns ? WF_DNS_UDP_MAX : WF_DNS_UDP;
    bool known;
    put_head(&w, q, rcode | (s->lame ? 0 : WF_DNS_RA), !(rcode && s->bare));
    if (rcode || s->lame) return w.len;
    size_t question = w.len;
    unsigned n = put_answers(s, &w, q->name, q->type, &known);
    set16(&w, 6, n);
    if (n == 0) {
        if (!known) w.buf[3] |= WF_DNS_NXDOMAIN;
        set16(&w, 8, put_soa(s, &w, q->name));
    }
    if (s->rubbish) w.len--;
    if (w.len > most || (s->truncates && !q->tcp)) {
        w.len = question;
        set16(&w, 6, 0);
        set16(&w, 8, 0);
        w.buf[2] |= WF_DNS_TC >> 8;
    }
    return w.len;
}

void dns_server_say(struct dns_server *s, const void *msg, size_t len)
{
    struct iovec iov = {(void *)(uintptr_t)msg, len};
    const struct msghdr m = {.msg_name = &s->peer.sa,
                             .msg_namelen = s->peer.len,
                             .msg_iov = &iov,
                             .msg_iovlen = 1};
    ssize_t n = weft_sendmsg(s->udp, &m, 0);
    (void)n; /* who has asked may be gone */
}

/* ---- the fibers ---------------------------------------------------------- */

static bool read_query(struct dns_server *s, const uint8_t *buf, size_t len,
                       struct dns_query *ret)
{
    struct wf_dns_head head;
    uint16_t class_;
    if (wf_dns_read_head(buf, len, &head) < 0 ||
        wf_dns_read_question(buf, len, ret->name, &ret->type, &class_) < 0)
        return false;
    ret->id = head.id;
    ret->edns = head.additionals > 0;
    ret->port = (uint16_t)weft_addr_port(&s->peer);
    if (s->count < DNS_SEEN) {
        s->seen[s->count].id = ret->id;
        s->seen[s->count].port = ret->port;
    }
    s->count++;
    s->last = *ret;
    return true;
}

/* Is there to be an answer? */
static bool is_to_answer(struct dns_server *s, const struct dns_query *q)
{
    if (s->before && !s->before(s, q)) return false;
    return !s->silent;
}

static int reply_by_udp(struct dns_server *s, const struct dns_query *q)
{
    static uint8_t buf[ROOM];
    weft_addr to = s->peer;
    int err = s->delay ? weft_sleep(s->delay) : 0;
    s->peer = to;
    if (err == 0) dns_server_say(s, buf, dns_server_answer(s, q, buf, ROOM));
    return err;
}

static int serve_udp(void *arg)
{
    struct dns_server *s = arg;
    uint8_t buf[2048];
    for (;;) {
        struct dns_query q = {.tcp = false};
        struct iovec iov = {buf, sizeof buf};
        struct msghdr m = {.msg_name = &s->peer.sa,
                           .msg_namelen = sizeof s->peer.sa,
                           .msg_iov = &iov,
                           .msg_iovlen = 1};
        ssize_t n = weft_recvmsg(s->udp, &m, 0);
        if (n == -ECONNREFUSED) continue; /* who had asked is gone */
        if (n < 0) return (int)n;
        s->peer.len = m.msg_namelen;
        if (!read_query(s, buf, (size_t)n, &q) || !is_to_answer(s, &q))
            continue;
        int err = reply_by_udp(s, &q);
        if (err < 0) return err;
    }
}

static int answer_by_tcp(struct dns_server *s, weft_fd conn)
{
    static uint8_t buf[2 + ROOM];
    struct dns_query q = {.tcp = true};
    int err = weft_read_exact(conn, buf, 2, NULL);
    if (err < 0) return err;
    size_t len = (size_t)buf[0] << 8 | buf[1];
    err = weft_read_exact(conn, buf, len, NULL);
    if (err < 0) return err;
    s->by_tcp++;
    if (!read_query(s, buf, len, &q) || !is_to_answer(s, &q)) return 0;
    len = dns_server_answer(s, &q, buf + 2, ROOM);
    buf[0] = (uint8_t)(len >> 8);
    buf[1] = (uint8_t)len;
    return weft_write_all(conn, buf, len + 2, NULL);
}

static int serve_tcp(void *arg)
{
    struct dns_server *s = arg;
    for (;;) {
        weft_fd conn;
        char c;
        int err = weft_accept(s->tcp, &conn, NULL);
        if (err < 0) return err;
        err = answer_by_tcp(s, conn);
        if (err == 0 && weft_read(conn, &c, 1) == -ECANCELED) err = -ECANCELED;
        (void)weft_close(conn);
        if (err == -ECANCELED) return err;
    }
}

/* ---- its life ------------------------------------------------------------ */

/* Both on one port, which the kernel chooses for the first. */
static int open_both(struct dns_server *s)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t len = sizeof s->at.sa;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int err = weft_socket(AF_INET, SOCK_DGRAM, 0, &s->udp);
    if (err < 0) return err;
    CHECK_EQ(weft_bind(s->udp, (struct sockaddr *)&in, sizeof in), 0);
    CHECK_EQ(weft_getsockname(s->udp, (struct sockaddr *)&s->at.sa, &len), 0);
    s->at.len = len;
    (void)weft_addr_format(&s->at, s->address, sizeof s->address);
    if (!s->deaf) err = weft_listen(&s->tcp, s->address, NULL);
    if (err < 0) (void)weft_close(s->udp);
    return err;
}

bool dns_server_try_open(struct dns_server *s)
{
    int err = -EADDRINUSE;
    for (int tries = 0; err == -EADDRINUSE && tries < 50; tries++)
        err = open_both(s);
    return err == 0;
}

void dns_server_open(struct dns_server *s)
{
    CHECK(dns_server_try_open(s));
}

void dns_server_close(struct dns_server *s)
{
    CHECK_EQ(weft_close(s->udp), 0);
    if (!s->deaf) CHECK_EQ(weft_close(s->tcp), 0);
}

bool dns_server_start(struct dns_server *s, weft_nursery *n)
{
    const weft_spawn_opts o = {.name = "name server", .daemon = true};
    if (weft_spawn_ex(n, serve_udp, s, &o) < 0) return false;
    return s->deaf || weft_spawn_ex(n, serve_tcp, s, &o) == 0;
}

void dns_server_with(struct dns_server *s, void (*body)(struct dns_server *s))
{
    int rc;
    dns_server_open(s);
    WEFT_NURSERY(n, rc) {
        CHECK(dns_server_start(s, &n));
        body(s);
    }
    CHECK_EQ(rc, 0);
    dns_server_close(s);
}

weft_resolver *dns_resolver_of(const struct dns_server *s, ...)
{
    char servers[8 * WEFT_ADDR_TEXT] = "";
    weft_resolver_opts o = {
        .servers = servers, .resolv_conf = "", .hosts = "", .search = ""};
    va_list more;
    va_start(more, s);
    for (; s; s = va_arg(more, const struct dns_server *)) {
        size_t len = strlen(servers);
        (void)snprintf(servers + len, sizeof servers - len, "%s ", s->address);
    }
    va_end(more);
    weft_resolver *r = weft_resolver_new(&o);
    CHECK(r != NULL);
    return r;
}

void dns_write_file(const char *path, const char *text)
{
    CHECK_EQ(weft_file_write_atomic(path, text, strlen(text), 0600), 0);
}
