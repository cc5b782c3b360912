/* SPDX-License-Identifier: MIT */
/* fuzz_dns.c - a message from a server, which may hold anything. */
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#include "net/dns_msg.h"

static void check_name(const char *name)
{
    char once[WF_DNS_NAME], twice[WF_DNS_NAME];
    FUZZ_CHECK(strlen(name) < WF_DNS_NAME);
    FUZZ_CHECK(wf_dns_name_canonical(name, once) == 0);
    FUZZ_CHECK(wf_dns_name_canonical(once, twice) == 0);
    FUZZ_CHECK(strcmp(once, twice) == 0);
    FUZZ_CHECK(wf_dns_name_equal(name, once));
    FUZZ_CHECK(wf_dns_name_within(name, "."));
}

static void check_data(const struct wf_dns_reader *r,
                       const struct wf_dns_record *rec)
{
    static struct wf_dns_srv srv;
    static struct wf_dns_mx mx;
    static struct wf_dns_soa soa;
    char name[WF_DNS_NAME];
    const uint8_t *text, *last = rec->data;
    size_t at = 0, len;
    if (wf_dns_data_name(r, rec, name) == 0) check_name(name);
    if (wf_dns_data_srv(r, rec, &srv) == 0) check_name(srv.target);
    if (wf_dns_data_mx(r, rec, &mx) == 0) check_name(mx.exchange);
    if (wf_dns_data_soa(r, rec, &soa) == 0) {
        check_name(soa.primary);
        check_name(soa.mailbox);
    }
    while (wf_dns_data_txt(rec, &at, &text, &len)) {
        FUZZ_CHECK(text == last + 1 && len <= 255);
        last = text + len;
        FUZZ_CHECK(last <= rec->data + rec->len);
    }
}

static void check_record(const struct wf_dns_reader *r,
                         const struct wf_dns_record *rec)
{
    FUZZ_CHECK(rec->data >= r->msg + WF_DNS_HEAD);
    FUZZ_CHECK(rec->data + rec->len <= r->msg + r->len);
    FUZZ_CHECK(rec->ttl <= WF_DNS_TTL_MAX || rec->type == WF_DNS_OPT);
    if (rec->class_ == WF_DNS_IN && rec->type == WF_DNS_A)
        FUZZ_CHECK(rec->len == 4);
    if (rec->class_ == WF_DNS_IN && rec->type == WF_DNS_AAAA)
        FUZZ_CHECK(rec->len == 16);
    check_name(rec->name);
    check_data(r, rec);
}

static void check_follow(const struct wf_dns_reader *r, const char *name,
                         uint16_t type)
{
    static struct wf_dns_chain c;
    static struct wf_dns_record rec;
    int found = wf_dns_follow(r, name, type, &c);
    FUZZ_CHECK(found >= 0 || found == -ELOOP);
    if (found < 0) return;
    FUZZ_CHECK(c.links <= WF_DNS_CNAMES && c.records == (unsigned)found);
    FUZZ_CHECK(c.ttl <= WF_DNS_TTL_MAX && c.negative_ttl <= c.ttl);
    FUZZ_CHECK(!c.has_soa || found == 0);
    check_name(c.name);
    for (; found > 0; found--) {
        FUZZ_CHECK(wf_dns_chain_next(r, &c, &rec) == 1);
        FUZZ_CHECK(rec.type == type && rec.section == WF_DNS_ANSWER);
        FUZZ_CHECK(rec.ttl >= c.ttl && wf_dns_name_equal(rec.name, c.name));
    }
    FUZZ_CHECK(wf_dns_chain_next(r, &c, &rec) == 0);
}

FUZZ_TARGET(dns)
{
    static struct wf_dns_record rec;
    struct wf_dns_reader r, shorter;
    struct wf_dns_head head;
    char name[WF_DNS_NAME] = "www.example";
    uint16_t type = WF_DNS_A, class_ = 0;
    bool asks = wf_dns_read_question(data, size, name, &type, &class_) == 0;
    check_name(name);
    if (wf_dns_read_head(data, size, &head) == 0) {
        bool is =
            asks && (head.flags & (WF_DNS_QR | WF_DNS_OPCODE)) == WF_DNS_QR;
        FUZZ_CHECK(wf_dns_answers(data, size, head.id, name, type) ==
                   (is && class_ == WF_DNS_IN));
    }
    if (wf_dns_read(&r, data, size, &head) < 0) {
        FUZZ_CHECK(r.wrong && wf_dns_next(&r, &rec) == 0);
        return;
    }
    FUZZ_CHECK(!r.wrong && asks == (head.questions == 1));
    unsigned n = 0;
    for (; wf_dns_next(&r, &rec); n++)
        check_record(&r, &rec);
    FUZZ_CHECK(n == 0u + head.answers + head.authorities + head.additionals);
    FUZZ_CHECK(r.at == size);
    check_follow(&r, name, type);
    check_follow(&r, name, WF_DNS_AAAA);
    check_follow(&r, name, WF_DNS_CNAME);
    FUZZ_CHECK(wf_dns_read(&shorter, data, size - 1, &head) == -EBADMSG);
}
