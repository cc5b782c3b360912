/* SPDX-License-Identifier: MIT */
/*
 * dns_data.c - what the data of records hold.
 *
 * A kind of data is some octets before, some names, some octets behind: a
 * table of that checks them all.
 */
#include "dns_wire.h"

#include <errno.h>
#include <string.h>

struct shape {
    uint16_t type;
    uint8_t before, names, behind;
};

static const struct shape shapes[] = {
    {WF_DNS_A, 4, 0, 0},     {WF_DNS_NS, 0, 1, 0},  {WF_DNS_CNAME, 0, 1, 0},
    {WF_DNS_SOA, 0, 2, 20},  {WF_DNS_PTR, 0, 1, 0}, {WF_DNS_MX, 2, 1, 0},
    {WF_DNS_AAAA, 16, 0, 0}, {WF_DNS_SRV, 6, 1, 0},
};

static const struct shape *shape_of(uint16_t type)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (shapes[i].type == type) return &shapes[i];
    return NULL;
}

static const char *shape_wrong(const struct shape *s, const uint8_t *msg,
                               const struct wf_dns_raw *raw)
{
    struct wf_dns_wire w;
    size_t at = raw->at;
    if (raw->end - at < s->before) return "the data of a record are too short";
    at += s->before;
    for (unsigned i = 0; i < s->names; i++) {
        const char *wrong = wf_dns_wire_read(&w, msg, raw->end, &at);
        if (wrong) return wrong;
    }
    if (raw->end - at == s->behind) return NULL;
    return raw->end - at < s->behind ? "the data of a record are too short"
                                     : "the data of a record are too long";
}

/* Strings, each behind its length; one at least (RFC 1035, 3.3.14). */
static const char *text_wrong(const uint8_t *msg, const struct wf_dns_raw *raw)
{
    size_t at = raw->at;
    if (at == raw->end) return "a TXT is empty";
    while (at < raw->end) {
        if (msg[at] >= raw->end - at) return "a TXT is cut off";
        at += msg[at] + 1u;
    }
    return NULL;
}

/* Options: code, length, octets. */
static const char *options_wrong(const uint8_t *msg,
                                 const struct wf_dns_raw *raw)
{
    for (size_t at = raw->at; at < raw->end;) {
        if (raw->end - at < 4) return "an OPT is cut off";
        size_t octets = wf_dns_get16(msg + at + 2);
        at += 4;
        if (octets > raw->end - at) return "an OPT is cut off";
        at += octets;
    }
    return NULL;
}

const char *wf_dns_data_wrong(const uint8_t *msg, const struct wf_dns_raw *raw)
{
    if (raw->type == WF_DNS_OPT) return options_wrong(msg, raw);
    if (raw->class_ != WF_DNS_IN) return NULL;
    if (raw->type == WF_DNS_TXT) return text_wrong(msg, raw);
    const struct shape *s = shape_of(raw->type);
    return s ? shape_wrong(s, msg, raw) : NULL;
}

static bool is(const struct wf_dns_record *rec, enum wf_dns_type type)
{
    return rec->type == type && rec->class_ == WF_DNS_IN;
}

/* The name at `at`, which goes behind it; it has been checked. */
static void take_name(const struct wf_dns_reader *r, size_t *at, char *ret)
{
    struct wf_dns_wire w;
    if (!wf_dns_wire_read(&w, r->msg, r->len, at)) wf_dns_wire_text(&w, ret);
}

static size_t place_of(const struct wf_dns_reader *r, const uint8_t *data)
{
    return (size_t)(data - r->msg);
}

int wf_dns_data_name(const struct wf_dns_reader *r,
                     const struct wf_dns_record *rec, char *ret)
{
    if (!is(rec, WF_DNS_CNAME) && !is(rec, WF_DNS_PTR) && !is(rec, WF_DNS_NS))
        return -EINVAL;
    size_t at = place_of(r, rec->data);
    take_name(r, &at, ret);
    return 0;
}

int wf_dns_data_srv(const struct wf_dns_reader *r,
                    const struct wf_dns_record *rec, struct wf_dns_srv *ret)
{
    if (!is(rec, WF_DNS_SRV)) return -EINVAL;
    ret->priority = wf_dns_get16(rec->data);
    ret->weight = wf_dns_get16(rec->data + 2);
    ret->port = wf_dns_get16(rec->data + 4);
    size_t at = place_of(r, rec->data + 6);
    take_name(r, &at, ret->target);
    return 0;
}

int wf_dns_data_mx(const struct wf_dns_reader *r,
                   const struct wf_dns_record *rec, struct wf_dns_mx *ret)
{
    if (!is(rec, WF_DNS_MX)) return -EINVAL;
    ret->preference = wf_dns_get16(rec->data);
    size_t at = place_of(r, rec->data + 2);
    take_name(r, &at, ret->exchange);
    return 0;
}

int wf_dns_data_soa(const struct wf_dns_reader *r,
                    const struct wf_dns_record *rec, struct wf_dns_soa *ret)
{
    if (!is(rec, WF_DNS_SOA)) return -EINVAL;
    size_t at = place_of(r, rec->data);
    take_name(r, &at, ret->primary);
    take_name(r, &at, ret->mailbox);
    const uint8_t *numbers = r->msg + at;
    ret->serial = wf_dns_get32(numbers);
    ret->refresh = wf_dns_get32(numbers + 4);
    ret->retry = wf_dns_get32(numbers + 8);
    ret->expire = wf_dns_get32(numbers + 12);
    ret->minimum = wf_dns_get32(numbers + 16);
    return 0;
}

int wf_dns_data_txt(const struct wf_dns_record *rec, size_t *at,
                    const uint8_t **ret_text, size_t *ret_len)
{
    if (!is(rec, WF_DNS_TXT) || *at >= rec->len) return 0;
    *ret_len = rec->data[*at];
    *ret_text = rec->data + *at + 1;
    *at += *ret_len + 1;
    return 1;
}
