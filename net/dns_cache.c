/* SPDX-License-Identifier: MIT */
/*
 * dns_cache.c - one answer: out of the cache, or by asking.
 *
 * An answer is the message that gave it, checked, and the place of its records;
 * or a code, with the text that belongs to it, so that those who waited for it
 * can tell their callers as much as who asked. weft_cache sees to single flight
 * and to the bound. Since it has one time for all, and each answer has its own,
 * `until` is looked at here. What is not to be kept is forgotten by who has
 * asked for it, before anybody else runs.
 */
#include "dns_resolver.h"

#include <weft/buffer.h>
#include <weft/time.h>

#include <stdio.h>
#include <string.h>

enum {
    NAMES = 1000,
    LARGEST = 4096, /* a longer answer is not kept */
    KEY = 6         /* octets before the name */
};
#define LONGEST  WEFT_SEC(24 * 60 * 60)
#define NEGATIVE WEFT_SEC(15 * 60)

struct key {
    size_t len;
    char octets[KEY + WF_DNS_NAME];
};

/* ---- answers ------------------------------------------------------------- */

static size_t size_of(const struct wf_dns_answer *a)
{
    return sizeof *a + a->len;
}

static struct wf_dns_answer *answer_new(const void *msg, size_t len)
{
    struct wf_dns_answer *a = weft_buffer_alloc(sizeof *a + len);
    if (!a) return NULL;
    memset(a, 0, sizeof *a);
    a->len = len;
    if (len) memcpy(a->msg, msg, len);
    return a;
}

static void answer_free(void *answer)
{
    struct wf_dns_answer *a = answer;
    weft_buffer_free(a, size_of(a));
}

static void fail(struct wf_dns_answer *a, int code, const char *who,
                 const char *why)
{
    a->code = code;
    (void)snprintf(a->why, sizeof a->why, "%.74s%.29s", who, why);
}

static weft_time at_most(weft_time a, weft_time b)
{
    return a < b ? a : b;
}

static weft_time longest(const weft_resolver *r)
{
    return r->opts.max_ttl > 0 ? r->opts.max_ttl : LONGEST;
}

/* For how long there is nothing: RFC 2308, 5. Without an SOA that is 0. */
static weft_time negative_ttl(const weft_resolver *r,
                              const struct wf_dns_chain *c)
{
    weft_time most = r->opts.negative_ttl ? r->opts.negative_ttl : NEGATIVE;
    return at_most(WEFT_SEC(c->negative_ttl), most);
}

static weft_time positive_ttl(const weft_resolver *r, weft_time said)
{
    if (said < r->opts.min_ttl) said = r->opts.min_ttl;
    return at_most(said, longest(r));
}

/* ---- asking -------------------------------------------------------------- */

/* One question, and the CNAMEs that came with its answer. */
static int ask(weft_resolver *r, struct wf_dns_files *f, const char *name,
               uint16_t type, struct wf_dns_answer **ret)
{
    struct wf_dns_reply reply;
    struct wf_dns_head head;
    int err = wf_dns_query(r, f, name, type, &reply);
    if (err == -ECANCELED) return err;
    struct wf_dns_answer *a = answer_new(reply.msg, err < 0 ? 0 : reply.len);
    weft_buffer_free(reply.msg, reply.len);
    if (!a) return -ENOMEM;
    *ret = a;
    if (err < 0) {
        a->code = err;
        memcpy(a->why, reply.why, sizeof a->why);
        return 0;
    }
    err = wf_dns_read(&a->reader, a->msg, a->len, &head);
    int found =
        err < 0 ? err : wf_dns_follow(&a->reader, name, type, &a->chain);
    if (found < 0)
        fail(a, found, reply.why, "too many CNAMEs");
    else if (head.rcode == WF_DNS_NXDOMAIN)
        fail(a, -ENOENT, reply.why, "no such name");
    else if (found == 0)
        fail(a, -ENODATA, reply.why, "no such records");
    return 0;
}

/* Has the server left it to us to ask for what the CNAMEs lead to? */
static bool leads_on(const struct wf_dns_answer *a)
{
    return a->code == -ENODATA && a->chain.links > 0 && !a->chain.has_soa;
}

/* The name that was asked for is another than the one that failed. */
static void say_alias(struct wf_dns_answer *a, const char *name)
{
    char why[WF_DNS_WHY];
    memcpy(why, a->why, sizeof why);
    (void)snprintf(a->why, sizeof a->why, "%.30s, an alias: %.60s", name, why);
}

/* Until there is an answer, with the least ttl on the way. */
static int resolve(weft_resolver *r, struct wf_dns_files *f, const char *name,
                   uint16_t type, struct wf_dns_answer **ret)
{
    char asked[WF_DNS_NAME];
    unsigned links = 0;
    weft_time ttl = longest(r);
    (void)snprintf(asked, sizeof asked, "%s", name);
    for (;;) {
        struct wf_dns_answer *a;
        int err = ask(r, f, asked, type, &a);
        if (err < 0) return err;
        *ret = a;
        ttl = at_most(ttl, WEFT_SEC(a->chain.ttl));
        links += a->chain.links;
        if (links > WF_DNS_CNAMES) fail(a, -ELOOP, asked, ": too many CNAMEs");
        if (!leads_on(a)) {
            if (a->code < 0 && strcmp(asked, name) != 0) say_alias(a, name);
            ttl = a->code == 0 ? positive_ttl(r, ttl)
                               : at_most(ttl, negative_ttl(r, &a->chain));
            bool lasts =
                a->code == 0 || a->code == -ENOENT || a->code == -ENODATA;
            a->until = lasts ? weft_after(ttl) : 0;
            return 0;
        }
        (void)snprintf(asked, sizeof asked, "%s", a->chain.name);
        answer_free(a);
    }
}

/* ---- the cache ----------------------------------------------------------- */

static int key_of(const weft_resolver *r, const char *name, uint16_t type,
                  struct key *ret)
{
    int err = wf_dns_name_canonical(name, ret->octets + KEY);
    if (err < 0) return err;
    memcpy(ret->octets, &type, sizeof type);
    memcpy(ret->octets + 2, &r->files->generation, 4);
    ret->len = KEY + strlen(ret->octets + KEY);
    return 0;
}

static int fill(const void *key, size_t len, void **ret, void *user)
{
    weft_resolver *r = user;
    struct wf_dns_files *f = r->files;
    struct wf_dns_answer *a;
    char name[WF_DNS_NAME];
    uint16_t type;
    memcpy(&type, key, sizeof type);
    memcpy(name, (const char *)key + KEY, len - KEY);
    name[len - KEY] = 0;
    f->holders++;
    int err = resolve(r, f, name, type, &a);
    wf_dns_files_put(f);
    if (err < 0) return err;
    a->tick = ++r->tick;
    r->filled = a;
    *ret = a;
    return 0;
}

int wf_dns_cache_open(weft_resolver *r)
{
    weft_time negative = r->opts.negative_ttl ? r->opts.negative_ttl : NEGATIVE;
    weft_time ttl = longest(r);
    if (ttl < negative) ttl = negative;
    const weft_cache_opts o = {.fill = fill,
                               .drop = answer_free,
                               .user = r,
                               .ttl = r->opts.no_cache ? -1 : ttl,
                               .max = r->opts.cache ? r->opts.cache : NAMES};
    r->cache = weft_cache_new(&o);
    return r->cache ? 0 : -ENOMEM;
}

static bool is_over(const struct wf_dns_answer *a)
{
    return a->until <= weft_now();
}

int wf_dns_get(weft_resolver *r, const char *name, uint16_t type,
               struct wf_dns_answer **ret)
{
    struct key key;
    int err = key_of(r, name, type, &key);
    if (err < 0) return err;
    for (;;) {
        void *value;
        uint64_t asked = ++r->tick;
        err = weft_cache_get(r->cache, key.octets, key.len, &value);
        if (err < 0) return err;
        struct wf_dns_answer *a = value;
        /* 0 comes with an answer. NOLINTNEXTLINE(*-core.NullDereference) */
        bool is_mine = r->filled == a, is_old = a->tick < asked;
        if (is_mine) r->filled = NULL;
        if (is_mine && (is_over(a) || a->len > LARGEST))
            (void)weft_cache_forget(r->cache, key.octets, key.len);
        if (!is_old || !is_over(a)) {
            *ret = a;
            return 0;
        }
        (void)weft_cache_forget(r->cache, key.octets, key.len);
        weft_cache_put(r->cache, a);
    }
}

void wf_dns_put(weft_resolver *r, struct wf_dns_answer *a)
{
    if (a) weft_cache_put(r->cache, a);
}
