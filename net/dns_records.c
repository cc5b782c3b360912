/* SPDX-License-Identifier: MIT */
/*
 * dns_records.c - SRV, MX, TXT and PTR: one name, one question.
 */
#include "dns_resolver.h"

#include <weft/buffer.h>
#include <weft/fiber.h>
#include <weft/random.h>

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { RECORDS = 256 }; /* of one answer; those behind are left out */

/* A question, and what is made of the records. */
struct request {
    const char *name;
    uint16_t type;
    int (*take)(struct request *q, struct wf_dns_answer *a);
    void *ret;
    size_t max;
    int (*each)(const char *text, size_t len, void *arg);
    void *arg;
};

static int no_such(const struct request *q, int code, const char *why)
{
    return weft_fail_at(code, NULL, 0, "%.60s (%s): %s", q->name,
                        wf_dns_type_name(q->type), why);
}

static int request(weft_resolver *r, void *arg)
{
    struct request *q = arg;
    struct wf_dns_answer *a;
    struct wf_dns_files *f;
    if (wf_dns_name_check(q->name) < 0)
        return weft_fail_at(-EINVAL, NULL, 0, "\"%.60s\" is no name", q->name);
    if (wf_dns_never_exists(q->name))
        return no_such(q, -ENOENT, "there is no such name");
    int err = wf_dns_files_get(r, &f);
    if (err < 0) return err;
    err = wf_dns_get(r, q->name, q->type, &a);
    if (err == 0) {
        err = a->code < 0 ? weft_fail_at(a->code, NULL, 0, "%s", a->why)
                          : q->take(q, a);
        wf_dns_put(r, a);
    } else if (err != -ECANCELED) {
        err = no_such(q, err, weft_strerror(err));
    }
    wf_dns_files_put(f);
    return err;
}

/* As WEFT_DNS_NAME has room for, with a dot at the end. */
static bool take_host(const char *name, char ret[WEFT_DNS_NAME])
{
    if (!wf_dns_name_is_host(name)) return false;
    return snprintf(ret, WEFT_DNS_NAME, "%s.", name) < WEFT_DNS_NAME;
}

/* ---- SRV ----------------------------------------------------------------- */

static void swap(weft_srv *a, weft_srv *b)
{
    weft_srv kept = *a;
    *a = *b;
    *b = kept;
}

/* Those of least priority to the front; of these, without weight first. */
static size_t gather_priority(weft_srv *s, size_t n)
{
    size_t same = 0, light = 0;
    uint16_t least = s[0].priority;
    for (size_t i = 1; i < n; i++)
        if (s[i].priority < least) least = s[i].priority;
    for (size_t i = 0; i < n; i++)
        if (s[i].priority == least) swap(&s[i], &s[same++]);
    for (size_t i = 0; i < same; i++)
        if (s[i].weight == 0) swap(&s[i], &s[light++]);
    return same;
}

/* RFC 2782: the first whose running sum of weights is not below a number drawn
 * between 0 and the sum of all. */
static int draw(weft_srv *s, size_t n)
{
    uint32_t all = 0, sum = 0, number;
    int err = weft_random_bytes(&number, sizeof number);
    if (err < 0) return err;
    for (size_t i = 0; i < n; i++)
        all += s[i].weight;
    number %= all + 1;
    for (size_t i = 0; i < n; i++) {
        sum += s[i].weight;
        if (sum < number) continue;
        swap(&s[0], &s[i]);
        break;
    }
    return 0;
}

static int put_in_order(weft_srv *s, size_t n)
{
    while (n > 0) {
        size_t same = gather_priority(s, n);
        int err = same > 1 ? draw(s, same) : 0;
        if (err < 0) return err;
        s++;
        n--;
    }
    return 0;
}

static size_t read_srv(struct wf_dns_answer *a, weft_srv *ret, size_t max)
{
    struct wf_dns_chain c = a->chain;
    struct wf_dns_record rec;
    size_t n = 0;
    while (n < max && wf_dns_chain_next(&a->reader, &c, &rec)) {
        struct wf_dns_srv srv;
        (void)wf_dns_data_srv(&a->reader, &rec, &srv);
        ret[n] = (weft_srv){.port = srv.port,
                            .priority = srv.priority,
                            .weight = srv.weight,
                            .ttl = rec.ttl};
        if (take_host(srv.target, ret[n].target)) n++;
    }
    return n;
}

static int take_srv(struct request *q, struct wf_dns_answer *a)
{
    size_t room = a->chain.records < RECORDS ? a->chain.records : RECORDS;
    weft_srv *all = weft_buffer_alloc(room * sizeof *all);
    if (!all) return no_such(q, -ENOMEM, "no memory for the records");
    size_t n = read_srv(a, all, room);
    int err = put_in_order(all, n);
    if (n > q->max) n = q->max;
    if (err == 0) memcpy(q->ret, all, n * sizeof *all);
    weft_buffer_free(all, room * sizeof *all);
    if (err < 0) return err;
    return n > 0 ? (int)n
                 : no_such(q, -ENODATA, "there is decidedly no such service");
}

/* ---- MX ------------------------------------------------------------------ */

/* Puts it where it belongs among n sorted ones; the last may fall off. */
static size_t insert(weft_mx *ret, size_t n, size_t max, const weft_mx *mx)
{
    size_t at = n;
    while (at > 0 && ret[at - 1].preference > mx->preference)
        at--;
    if (at == max) return n;
    if (n == max) n--;
    memmove(ret + at + 1, ret + at, (n - at) * sizeof *ret);
    ret[at] = *mx;
    return n + 1;
}

static int take_mx(struct request *q, struct wf_dns_answer *a)
{
    struct wf_dns_chain c = a->chain;
    struct wf_dns_record rec;
    size_t n = 0;
    while (wf_dns_chain_next(&a->reader, &c, &rec)) {
        struct wf_dns_mx mx;
        weft_mx found = {.ttl = rec.ttl};
        (void)wf_dns_data_mx(&a->reader, &rec, &mx);
        found.preference = mx.preference;
        if (take_host(mx.exchange, found.host))
            n = insert(q->ret, n, q->max, &found);
    }
    return n > 0 ? (int)n : no_such(q, -ENODATA, "it takes no mail");
}

/* ---- TXT ----------------------------------------------------------------- */

static int join(struct request *q, const struct wf_dns_record *rec)
{
    const uint8_t *text;
    size_t at = 0, len, sum = 0;
    char *all = weft_buffer_alloc(rec->len + 1);
    if (!all) return no_such(q, -ENOMEM, "no memory for a text");
    while (wf_dns_data_txt(rec, &at, &text, &len)) {
        memcpy(all + sum, text, len);
        sum += len;
    }
    int rc = q->each(all, sum, q->arg);
    weft_buffer_free(all, rec->len + 1);
    return rc;
}

static int take_txt(struct request *q, struct wf_dns_answer *a)
{
    struct wf_dns_chain c = a->chain;
    struct wf_dns_record rec;
    int n = 0;
    for (; wf_dns_chain_next(&a->reader, &c, &rec); n++) {
        int rc = join(q, &rec);
        if (rc < 0) return rc;
    }
    return n;
}

/* ---- PTR ----------------------------------------------------------------- */

static int give_name(struct request *q, const char *name)
{
    size_t len = strlen(name);
    if (len >= q->max)
        return no_such(q, -ENAMETOOLONG, "the name is too long for the buffer");
    memcpy(q->ret, name, len + 1);
    return (int)len;
}

static int take_ptr(struct request *q, struct wf_dns_answer *a)
{
    struct wf_dns_chain c = a->chain;
    struct wf_dns_record rec;
    char name[WF_DNS_NAME];
    while (wf_dns_chain_next(&a->reader, &c, &rec)) {
        (void)wf_dns_data_name(&a->reader, &rec, name);
        if (wf_dns_name_is_host(name)) return give_name(q, name);
    }
    return no_such(q, -EBADMSG, "what it points to is no name of a host");
}

struct reverse {
    const weft_addr *addr;
    struct request request;
};

static int reverse(weft_resolver *r, void *arg)
{
    struct reverse *v = arg;
    struct wf_dns_files *f;
    char name[WF_DNS_NAME];
    int err = wf_dns_files_get(r, &f);
    if (err < 0) return err;
    bool known =
        f->hosts.data &&
        wf_hosts_name(f->hosts.data, f->hosts.len, v->addr, name) == 1 &&
        wf_dns_name_is_host(name);
    wf_dns_files_put(f);
    return known ? give_name(&v->request, name) : request(r, &v->request);
}

/* ---- the calls ----------------------------------------------------------- */

static int with(weft_resolver *r, struct request *q)
{
    int err = weft_checkpoint();
    if (err < 0) return err;
    if (q->max == 0) return no_such(q, -EINVAL, "no room for a record");
    return wf_dns_with(r, request, q);
}

int weft_dns_srv(weft_resolver *r, const char *name, weft_srv ret[], size_t max)
{
    struct request q = {.name = name,
                        .type = WF_DNS_SRV,
                        .take = take_srv,
                        .ret = ret,
                        .max = max};
    return with(r, &q);
}

int weft_dns_mx(weft_resolver *r, const char *name, weft_mx ret[], size_t max)
{
    struct request q = {.name = name,
                        .type = WF_DNS_MX,
                        .take = take_mx,
                        .ret = ret,
                        .max = max};
    return with(r, &q);
}

int weft_dns_txt(weft_resolver *r, const char *name,
                 int (*each)(const char *text, size_t len, void *arg),
                 void *arg)
{
    struct request q = {.name = name,
                        .type = WF_DNS_TXT,
                        .take = take_txt,
                        .max = 1,
                        .each = each,
                        .arg = arg};
    return with(r, &q);
}

int weft_dns_reverse(weft_resolver *r, const weft_addr *a, char *buf,
                     size_t len)
{
    char name[WF_DNS_NAME];
    weft_addr plain = *a;
    const struct sockaddr_in *in = (const struct sockaddr_in *)&plain.sa;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&plain.sa;
    (void)weft_addr_unmap(&plain);
    const void *octets = &in6->sin6_addr;
    if (plain.sa.ss_family == AF_INET) octets = &in->sin_addr;
    struct reverse v = {.addr = &plain,
                        .request = {.name = name,
                                    .type = WF_DNS_PTR,
                                    .take = take_ptr,
                                    .ret = buf,
                                    .max = len}};
    int err = weft_checkpoint();
    if (err < 0) return err;
    err = wf_dns_name_of_addr(plain.sa.ss_family, octets, name);
    if (err < 0)
        return weft_fail_at(err, NULL, 0,
                            "reverse lookup: neither IPv4 nor "
                            "IPv6");
    return wf_dns_with(r, reverse, &v);
}
