/* SPDX-License-Identifier: MIT */
/*
 * dns_query.c - one question to the servers, in rounds.
 *
 *     for each round, for each server that may still know
 *         by UDP -> without EDNS, if it has stumbled over that
 *                -> by TCP, if the answer did not fit
 *
 * A server that has said no is out for this question; one that has said nothing
 * is asked again in the next round. Of several failures the most telling is
 * reported: that a server refuses says more than that another one is silent.
 */
#include "dns_resolver.h"

#include <weft/buffer.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <stdio.h>
#include <string.h>

#define FIRST_TRY WEFT_SEC(1)
/* Two silent servers may cost five seconds. */
#define ALL_TRIES      WEFT_MSEC(4800)
#define GRUDGE         WEFT_SEC(30)
#define AT_LEAST(a, b) ((a) > (b) ? (a) : (b))

struct query {
    weft_resolver *r;
    struct wf_dns_files *files;
    const char *name;
    uint16_t type;
    unsigned rounds;
    unsigned order[WF_DNS_SERVERS], count;
    bool out[WF_DNS_SERVERS];
    int failure; /* the most telling so far */
    struct wf_dns_reply *reply;
};

const char *wf_dns_type_name(uint16_t type)
{
    switch (type) {
    case WF_DNS_A:
        return "A";
    case WF_DNS_AAAA:
        return "AAAA";
    case WF_DNS_SRV:
        return "SRV";
    case WF_DNS_MX:
        return "MX";
    case WF_DNS_TXT:
        return "TXT";
    case WF_DNS_PTR:
        return "PTR";
    default:
        return "?";
    }
}

static const char *rcode_name(unsigned rcode, char buf[24])
{
    static const char *const names[] = {"NOERROR",  "FORMERR", "SERVFAIL",
                                        "NXDOMAIN", "NOTIMP",  "REFUSED"};
    if (rcode < sizeof names / sizeof *names) return names[rcode];
    (void)snprintf(buf, 24, "rcode %u", rcode);
    return buf;
}

/* ---- what to report ------------------------------------------------------ */

static int weight(int code)
{
    return code == -EREMOTEIO ? 3 : code == -EBADMSG ? 2 : code < 0 ? 1 : 0;
}

static void note_anyway(struct query *q, int code, const weft_addr *server,
                        const char *what, const char *more)
{
    char where[WEFT_ADDR_TEXT];
    q->failure = code;
    (void)weft_addr_format(server, where, sizeof where);
    (void)snprintf(q->reply->why, sizeof q->reply->why,
                   "%.30s (%s): server %.26s: %s%s", q->name,
                   wf_dns_type_name(q->type), where, what, more);
}

static void note(struct query *q, int code, const weft_addr *server,
                 const char *what, const char *more)
{
    if (weight(code) > weight(q->failure))
        note_anyway(q, code, server, what, more);
}

static int give_up(struct query *q, int err, const char *step)
{
    if (err != -ECANCELED)
        (void)snprintf(q->reply->why, sizeof q->reply->why,
                       "%.30s (%s): %.24s: %s", q->name,
                       wf_dns_type_name(q->type), step, weft_strerror(err));
    return err;
}

/* ---- whom to ask, and how long ------------------------------------------- */

static bool has_grudge(const struct wf_dns_server *s)
{
    return s->failed && weft_now() - s->failed < GRUDGE;
}

/* As they stand, or in turn; those that failed lately behind the others. */
static void choose_order(struct query *q)
{
    unsigned all = q->files->conf.server_count;
    unsigned from = q->files->conf.rotate ? q->r->turn++ % all : 0;
    for (int bad = 0; bad < 2; bad++)
        for (unsigned i = 0; i < all; i++) {
            unsigned k = (from + i) % all;
            if (has_grudge(&q->files->servers[k]) == (bad == 1))
                q->order[q->count++] = k;
        }
}

static weft_time patience(const struct query *q, unsigned round)
{
    const struct wf_dns_conf *conf = &q->files->conf;
    weft_time servers = (weft_time)q->count;
    if (q->r->opts.timeout > 0) return q->r->opts.timeout;
    /* Five seconds, which is what libc takes without, are too long. */
    if (conf->timeout_given) return WEFT_SEC(conf->timeout);
    if (q->rounds == 1) return AT_LEAST(FIRST_TRY, ALL_TRIES / servers);
    if (round == 0) return FIRST_TRY;
    weft_time left = ALL_TRIES - servers * FIRST_TRY;
    return AT_LEAST(FIRST_TRY, left / servers / (weft_time)(q->rounds - 1));
}

/* ---- one server ---------------------------------------------------------- */

static bool has_no_edns(const struct query *q, unsigned k)
{
    return q->r->opts.no_edns || q->files->servers[k].no_edns;
}

/* No records, and not from one who would have asked others: it does not know
 * what it was asked about. */
static bool is_lame(const struct wf_dns_try *t)
{
    struct wf_dns_head h;
    (void)wf_dns_read_head(t->msg, t->len, &h);
    return t->rcode == WF_DNS_NOERROR && h.answers == 0 &&
           !(h.flags & (WF_DNS_RA | WF_DNS_AA));
}

/* What it said: 0 if that is the answer. */
static int judge(struct query *q, const struct wf_dns_try *t)
{
    char buf[24];
    bool known = t->rcode == WF_DNS_NOERROR || t->rcode == WF_DNS_NXDOMAIN;
    if (known && !is_lame(t)) return 0;
    note(q, -EREMOTEIO, t->server, "it says ",
         known ? "that it does not know" : rcode_name(t->rcode, buf));
    return -EREMOTEIO;
}

static bool stumbled_over_edns(const struct wf_dns_try *t)
{
    return t->edns && (t->rcode == WF_DNS_FORMERR ||
                       t->rcode == WF_DNS_NOTIMP || t->rcode == WF_DNS_BADVERS);
}

static void forget_message(struct wf_dns_try *t)
{
    weft_buffer_free(t->msg, t->len);
    t->msg = NULL;
    t->len = 0;
}

/* Until there is a whole message, or a failure. */
static int converse(struct query *q, unsigned k, struct wf_dns_try *t,
                    weft_time limit)
{
    for (int i = 0; i < 4; i++) {
        int err = weft_with_timeout(limit, wf_dns_try, t);
        if (err < 0) return err;
        if (t->truncated) {
            t->tcp = true;
            t->truncated = false;
        } else if (stumbled_over_edns(t)) {
            forget_message(t);
            t->edns = false;
            q->files->servers[k].no_edns = true;
        } else {
            return 0;
        }
    }
    t->step = "it cannot make up its mind";
    return -EBADMSG;
}

static void note_failure(struct query *q, const struct wf_dns_try *t, int err)
{
    if (err == -ETIMEDOUT)
        note(q, -EHOSTUNREACH, t->server, "no answer", t->tcp ? " by TCP" : "");
    else if (err == -EBADMSG)
        note(q, -EBADMSG, t->server, "rubbish: ", t->step ? t->step : "?");
    else
        note(q, -EHOSTUNREACH, t->server,
             "no answer: ", err == -EPIPE ? "it hung up" : weft_strerror(err));
}

/* 1: the answer is in q->reply; 0: the next one may know; negative: nobody need
 * be asked. */
static int ask(struct query *q, unsigned k, weft_time limit)
{
    struct wf_dns_try t = {.r = q->r,
                           .server = &q->files->conf.servers[k],
                           .name = q->name,
                           .type = q->type,
                           .edns = !has_no_edns(q, k),
                           .tcp = q->r->opts.tcp_only || q->files->conf.use_vc};
    int err = converse(q, k, &t, limit);
    if (err == -ECANCELED) return err;
    if (err < 0 && t.is_ours) return give_up(q, err, t.step);
    bool silent = err == -ETIMEDOUT;
    if (err < 0)
        note_failure(q, &t, err);
    else
        err = judge(q, &t);
    if (err < 0) {
        if (t.msg) forget_message(&t);
        q->out[k] = !silent;
        if (t.rcode != WF_DNS_SERVFAIL)
            q->files->servers[k].failed = weft_now();
        return 0;
    }
    q->files->servers[k].failed = 0;
    note_anyway(q, 0, t.server, "", "");
    q->reply->msg = t.msg;
    q->reply->len = t.len;
    return 1;
}

int wf_dns_query(weft_resolver *r, struct wf_dns_files *f, const char *name,
                 uint16_t type, struct wf_dns_reply *ret)
{
    int attempts = r->opts.attempts;
    struct query q = {.r = r,
                      .files = f,
                      .name = name,
                      .type = type,
                      .rounds =
                          attempts > 0 ? (unsigned)attempts : f->conf.attempts,
                      .reply = ret};
    *ret = (struct wf_dns_reply){.msg = NULL};
    choose_order(&q);
    for (unsigned round = 0; round < q.rounds; round++)
        for (unsigned i = 0; i < q.count; i++) {
            unsigned k = q.order[i];
            int rc = q.out[k] ? 0 : ask(&q, k, patience(&q, round));
            if (rc != 0) return rc < 0 ? rc : 0;
        }
    return q.failure;
}
