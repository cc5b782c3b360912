/* SPDX-License-Identifier: MIT */
/*
 * dns_follow.c - the answer to a question: what is under a name, or under the
 * one that its CNAMEs lead to, or for how long there is nothing.
 */
#include "dns_wire.h"

#include <errno.h>

static uint32_t lesser(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t ttl_of(const struct wf_dns_raw *raw)
{
    return raw->ttl > WF_DNS_TTL_MAX ? 0 : raw->ttl;
}

/* The next record of a section, of class IN. */
static bool next_in(struct wf_dns_reader *r, enum wf_dns_section section,
                    struct wf_dns_raw *ret)
{
    while (wf_dns_raw_next(r, ret) && ret->section <= section)
        if (ret->section == section && ret->class_ == WF_DNS_IN) return true;
    return false;
}

/* What the answers say of one name. */
struct found {
    unsigned records;
    uint32_t ttl; /* the least of these */
    bool has_link;
    struct wf_dns_wire target;
    uint32_t link_ttl;
};

/* Two CNAMEs under one name should not be; the first one holds. */
static void look(struct wf_dns_reader r, const struct wf_dns_wire *name,
                 uint16_t type, struct found *ret)
{
    struct wf_dns_raw raw;
    ret->records = 0;
    ret->ttl = WF_DNS_TTL_MAX;
    ret->has_link = false;
    wf_dns_rewind(&r);
    while (next_in(&r, WF_DNS_ANSWER, &raw)) {
        bool counts = raw.type == type;
        bool links = raw.type == WF_DNS_CNAME && !ret->has_link;
        if (!(counts || links) || !wf_dns_wire_equal(&raw.name, name)) continue;
        if (counts) {
            ret->records++;
            ret->ttl = lesser(ret->ttl, ttl_of(&raw));
        } else {
            size_t at = raw.at;
            ret->has_link =
                !wf_dns_wire_read(&ret->target, r.msg, raw.end, &at);
            ret->link_ttl = ttl_of(&raw);
        }
    }
}

/* RFC 2308, 5: the lesser of the SOA's own ttl and its last number. */
static void look_for_soa(struct wf_dns_reader r, const struct wf_dns_wire *name,
                         struct wf_dns_chain *c)
{
    struct wf_dns_raw raw;
    wf_dns_rewind(&r);
    while (!c->has_soa && next_in(&r, WF_DNS_AUTHORITY, &raw)) {
        if (raw.type != WF_DNS_SOA || !wf_dns_wire_within(name, &raw.name))
            continue;
        uint32_t minimum = wf_dns_get32(r.msg + raw.end - 4);
        c->has_soa = true;
        c->negative_ttl = lesser(c->ttl, lesser(ttl_of(&raw), minimum));
    }
}

int wf_dns_follow(const struct wf_dns_reader *r, const char *name,
                  uint16_t type, struct wf_dns_chain *ret)
{
    struct wf_dns_wire at;
    struct found f;
    unsigned links = 0;
    uint32_t ttl = WF_DNS_TTL_MAX;
    int err = wf_dns_wire_of(&at, name);
    if (err < 0) return err;
    for (;;) {
        look(*r, &at, type, &f);
        if (f.records > 0 || !f.has_link) break;
        if (links++ == WF_DNS_CNAMES) return -ELOOP;
        ttl = lesser(ttl, f.link_ttl);
        at = f.target;
    }
    *ret = (struct wf_dns_chain){.type = type,
                                 .links = links,
                                 .records = f.records,
                                 .ttl = lesser(ttl, f.ttl),
                                 .at = r->first,
                                 .left = r->all[WF_DNS_ANSWER]};
    wf_dns_wire_text(&at, ret->name);
    if (f.records == 0) look_for_soa(*r, &at, ret);
    return (int)f.records;
}

int wf_dns_chain_next(const struct wf_dns_reader *r, struct wf_dns_chain *c,
                      struct wf_dns_record *ret)
{
    struct wf_dns_reader here = *r;
    struct wf_dns_wire name;
    if (wf_dns_wire_of(&name, c->name) < 0) return 0;
    while (c->left > 0) {
        here.at = c->at;
        here.left[WF_DNS_ANSWER] = c->left--;
        struct wf_dns_reader this = here;
        struct wf_dns_raw raw;
        (void)wf_dns_raw_next(&here, &raw);
        c->at = here.at;
        if (raw.type == c->type && raw.class_ == WF_DNS_IN &&
            wf_dns_wire_equal(&raw.name, &name))
            return wf_dns_next(&this, ret);
    }
    return 0;
}
