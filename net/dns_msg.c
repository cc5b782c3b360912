/* SPDX-License-Identifier: MIT */
/*
 * dns_msg.c - queries written, replies checked and read.
 *
 * A message is walked twice by the same steps: wf_dns_read takes each of them
 * with its checks and keeps nothing; after that the others repeat them, and
 * what could go wrong has not.
 */
#include "dns_wire.h"

#include <errno.h>
#include <string.h>

enum { QUESTION_TAIL = 4, RECORD_TAIL = 10, OPT_OCTETS = 11 };

ssize_t wf_dns_write_query(void *buf, size_t len, uint16_t id, const char *name,
                           uint16_t type, bool edns)
{
    struct wf_dns_wire w;
    int err = wf_dns_wire_of(&w, name);
    if (err < 0) return err;
    size_t room = WF_DNS_HEAD + w.len + QUESTION_TAIL + (edns ? OPT_OCTETS : 0);
    if (len < room) return -ENOBUFS;
    uint8_t *at = buf;
    memset(at, 0, room);
    wf_dns_put16(at, id);
    wf_dns_put16(at + 2, WF_DNS_RD);
    wf_dns_put16(at + 4, 1);
    wf_dns_put16(at + 10, edns);
    at += WF_DNS_HEAD;
    memcpy(at, w.octets, w.len);
    wf_dns_put16(at + w.len, type);
    wf_dns_put16(at + w.len + 2, WF_DNS_IN);
    if (edns) {
        at += w.len + QUESTION_TAIL + 1; /* the root's 0 */
        wf_dns_put16(at, WF_DNS_OPT);
        wf_dns_put16(at + 2, WF_DNS_UDP_MAX);
    }
    return (ssize_t)room;
}

int wf_dns_read_head(const void *msg, size_t len, struct wf_dns_head *ret)
{
    const uint8_t *at = msg;
    if (len < WF_DNS_HEAD) return -EBADMSG;
    *ret = (struct wf_dns_head){
        .id = wf_dns_get16(at),
        .flags = wf_dns_get16(at + 2),
        .questions = wf_dns_get16(at + 4),
        .answers = wf_dns_get16(at + 6),
        .authorities = wf_dns_get16(at + 8),
        .additionals = wf_dns_get16(at + 10),
        .rcode = wf_dns_get16(at + 2) & 15,
    };
    return 0;
}

struct question {
    struct wf_dns_wire name;
    uint16_t type, class_;
};

/* NULL, or what is wrong. */
static const char *read_question(struct question *ret, const uint8_t *msg,
                                 size_t len, size_t *at)
{
    const char *wrong = wf_dns_wire_read(&ret->name, msg, len, at);
    if (wrong) return wrong;
    if (len - *at < QUESTION_TAIL) return "a question is cut off";
    ret->type = wf_dns_get16(msg + *at);
    ret->class_ = wf_dns_get16(msg + *at + 2);
    *at += QUESTION_TAIL;
    return NULL;
}

static bool read_only_question(struct question *ret, struct wf_dns_head *head,
                               const void *msg, size_t len)
{
    size_t at = WF_DNS_HEAD;
    return wf_dns_read_head(msg, len, head) == 0 && head->questions == 1 &&
           !read_question(ret, msg, len, &at);
}

int wf_dns_read_question(const void *msg, size_t len, char *ret_name,
                         uint16_t *ret_type, uint16_t *ret_class)
{
    struct wf_dns_head head;
    struct question q;
    if (!read_only_question(&q, &head, msg, len)) return -EBADMSG;
    wf_dns_wire_text(&q.name, ret_name);
    *ret_type = q.type;
    *ret_class = q.class_;
    return 0;
}

bool wf_dns_answers(const void *msg, size_t len, uint16_t id, const char *name,
                    uint16_t type)
{
    struct wf_dns_head head;
    struct question q;
    struct wf_dns_wire asked;
    return read_only_question(&q, &head, msg, len) && head.id == id &&
           (head.flags & (WF_DNS_QR | WF_DNS_OPCODE)) == WF_DNS_QR &&
           q.type == type && q.class_ == WF_DNS_IN &&
           wf_dns_wire_of(&asked, name) == 0 &&
           wf_dns_wire_equal(&asked, &q.name);
}

/* NULL, or what is wrong. Of the data it checks the length. */
static const char *read_record(struct wf_dns_raw *ret, const uint8_t *msg,
                               size_t len, size_t *at)
{
    const char *wrong = wf_dns_wire_read(&ret->name, msg, len, at);
    if (wrong) return wrong;
    if (len - *at < RECORD_TAIL) return "a record is cut off";
    const uint8_t *tail = msg + *at;
    ret->type = wf_dns_get16(tail);
    ret->class_ = wf_dns_get16(tail + 2);
    ret->ttl = wf_dns_get32(tail + 4);
    size_t octets = wf_dns_get16(tail + 8);
    *at += RECORD_TAIL;
    if (len - *at < octets) return "the data of a record are cut off";
    ret->at = *at;
    ret->end = *at += octets;
    return NULL;
}

bool wf_dns_raw_next(struct wf_dns_reader *r, struct wf_dns_raw *ret)
{
    unsigned section = WF_DNS_ANSWER;
    while (section <= WF_DNS_ADDITIONAL && r->left[section] == 0)
        section++;
    if (section > WF_DNS_ADDITIONAL) return false;
    r->left[section]--;
    r->wrong = read_record(ret, r->msg, r->len, &r->at);
    ret->section = (enum wf_dns_section)section;
    return true;
}

/* OPT has its own meaning of class and ttl (RFC 6891, 6.1). */
static const char *read_opt(const struct wf_dns_raw *raw,
                            struct wf_dns_head *head)
{
    if (raw->section != WF_DNS_ADDITIONAL)
        return "an OPT is out of its section";
    if (raw->name.len != 1) return "an OPT is not under the root";
    if (head->udp) return "there are two OPTs";
    head->rcode = (uint16_t)(head->rcode | raw->ttl >> 24 << 4);
    head->udp = raw->class_ > WF_DNS_UDP ? raw->class_ : WF_DNS_UDP;
    return NULL;
}

static const char *check(struct wf_dns_reader *r, struct wf_dns_head *head)
{
    if (wf_dns_read_head(r->msg, r->len, head) < 0) return "it has no header";
    r->at = WF_DNS_HEAD;
    for (unsigned i = 0; i < head->questions; i++) {
        struct question q;
        const char *wrong = read_question(&q, r->msg, r->len, &r->at);
        if (wrong) return wrong;
    }
    r->first = r->at;
    r->all[WF_DNS_ANSWER] = head->answers;
    r->all[WF_DNS_AUTHORITY] = head->authorities;
    r->all[WF_DNS_ADDITIONAL] = head->additionals;
    wf_dns_rewind(r);
    struct wf_dns_raw raw;
    while (wf_dns_raw_next(r, &raw)) {
        const char *wrong = r->wrong;
        if (!wrong) wrong = wf_dns_data_wrong(r->msg, &raw);
        if (!wrong && raw.type == WF_DNS_OPT) wrong = read_opt(&raw, head);
        if (wrong) return wrong;
    }
    if (r->at != r->len) return "there is more behind its last record";
    wf_dns_rewind(r);
    return NULL;
}

int wf_dns_read(struct wf_dns_reader *r, const void *msg, size_t len,
                struct wf_dns_head *ret_head)
{
    struct wf_dns_head head;
    *r = (struct wf_dns_reader){.msg = msg, .len = len};
    const char *wrong = check(r, &head);
    if (wrong) {
        *r = (struct wf_dns_reader){.wrong = wrong};
        return -EBADMSG;
    }
    *ret_head = head;
    return 0;
}

void wf_dns_rewind(struct wf_dns_reader *r)
{
    r->at = r->first;
    memcpy(r->left, r->all, sizeof r->left);
}

int wf_dns_next(struct wf_dns_reader *r, struct wf_dns_record *ret)
{
    struct wf_dns_raw raw;
    if (!wf_dns_raw_next(r, &raw)) return 0;
    wf_dns_wire_text(&raw.name, ret->name);
    ret->section = raw.section;
    ret->type = raw.type;
    ret->class_ = raw.class_;
    /* An OPT's is none: its bits stay. */
    bool top = raw.ttl > WF_DNS_TTL_MAX && raw.type != WF_DNS_OPT;
    ret->ttl = top ? 0 : raw.ttl;
    ret->data = r->msg + raw.at;
    ret->len = raw.end - raw.at;
    return 1;
}
