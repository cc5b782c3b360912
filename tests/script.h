/* SPDX-License-Identifier: MIT */
/*
 * script.h - a world for weft_dial_with, without a network: what each lookup
 * and each attempt comes to, and when.
 *
 *     const struct answer answers[] = {{AF_INET6, 0, 0, {"[2001:db8::1]:0"}},
 *                                      {AF_INET, 0, 0, {"192.0.2.1:0"}}};
 *     const struct peer peers[] = {{"[2001:db8::1]:80", NEVER, 0}};
 *     begin_script(answers, 2, peers, 1);
 *     CHECK_EQ(dial_script(), 0);
 *     CHECK_STR(script.log, "0 [2001:db8::1]:80, 250 192.0.2.1:80");
 *
 * Peers that are not named connect at once. The log has the attempts as they
 * begin, each with its milliseconds.
 */
#ifndef TESTS_SCRIPT_H
#define TESTS_SCRIPT_H

#include <weft/dial.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/socket.h>
#include <weft/time.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "harness.h"

enum { NEVER = -1, SCRIPT_ADDRS = 8, SCRIPT_CONNS = 16 };

struct answer {
    int family;
    int ms;  /* after it was asked for, or NEVER */
    int err; /* or 0, and these */
    const char *addrs[SCRIPT_ADDRS];
};

struct peer {
    const char *address;
    int ms, err;
};

struct source {
    const char *to, *from; /* NULL: there is none */
};

static struct script {
    const struct answer *answers;
    const struct peer *peers;
    const struct source *sources;
    size_t answer_count, peer_count, source_count;
    weft_time start;
    char log[512];
    int lookups, attempts; /* begun */
    int looking, trying;   /* under way */
    int conns;             /* made */
    weft_fd near[SCRIPT_CONNS], far[SCRIPT_CONNS];
    weft_dial_opts opts;
    weft_fd conn; /* that was dialled */
} script;

static inline int ms_now(void)
{
    return (int)((weft_now() - script.start) / WEFT_MSEC(1));
}

static inline int take_time(int ms)
{
    if (ms == 0) return 0;
    return weft_sleep(ms == NEVER ? WEFT_FOREVER : WEFT_MSEC(ms));
}

static inline int answer_of(const struct answer *a, weft_addr ret[], size_t max)
{
    size_t n = 0;
    for (; n < SCRIPT_ADDRS && n < max && a->addrs[n]; n++)
        CHECK_EQ(weft_addr_parse(&ret[n], a->addrs[n]), 0);
    if (a->err < 0)
        return weft_fail_at(a->err, NULL, 0, "example.org: scripted %s",
                            a->family == AF_INET ? "A" : "AAAA");
    return (int)n;
}

static inline int script_lookup(const char *host, int family, weft_addr ret[],
                                size_t max, void *user)
{
    struct script *s = user;
    CHECK_STR(host, "example.org");
    CHECK(max >= SCRIPT_ADDRS);
    s->lookups++;
    for (size_t i = 0; i < s->answer_count; i++) {
        if (s->answers[i].family != family) continue;
        s->looking++;
        int err = take_time(s->answers[i].ms);
        s->looking--;
        return err < 0 ? err : answer_of(&s->answers[i], ret, max);
    }
    return -ENODATA;
}

static inline const struct peer *peer_of(const struct script *s,
                                         const char *address)
{
    for (size_t i = 0; i < s->peer_count; i++)
        if (strcmp(s->peers[i].address, address) == 0) return &s->peers[i];
    return NULL;
}

static inline void log_attempt(struct script *s, const char *address)
{
    size_t len = strlen(s->log);
    (void)snprintf(s->log + len, sizeof s->log - len, "%s%d %s",
                   len ? ", " : "", ms_now(), address);
}

static inline int script_connect(weft_fd *ret_conn, const weft_addr *to,
                                 void *user)
{
    struct script *s = user;
    char text[WEFT_ADDR_TEXT];
    const struct peer *p = peer_of(s, weft_addr_format(to, text, sizeof text));
    weft_fd pair[2];
    s->attempts++;
    log_attempt(s, text);
    s->trying++;
    int err = take_time(p ? p->ms : 0);
    s->trying--;
    if (err == 0 && p) err = p->err;
    if (err == 0) err = weft_socketpair(AF_UNIX, SOCK_STREAM, pair);
    if (err < 0) return err;
    CHECK(s->conns < SCRIPT_CONNS);
    s->near[s->conns] = pair[0];
    s->far[s->conns++] = pair[1];
    *ret_conn = pair[0];
    return 0;
}

static inline int script_source(const weft_addr *to, weft_addr *ret_source,
                                void *user)
{
    const struct script *s = user;
    char text[WEFT_ADDR_TEXT];
    (void)weft_addr_format(to, text, sizeof text);
    for (size_t i = 0; i < s->source_count; i++) {
        if (strcmp(s->sources[i].to, text) != 0) continue;
        if (!s->sources[i].from) return -ENETUNREACH;
        CHECK_EQ(weft_addr_parse(ret_source, s->sources[i].from), 0);
    }
    return 0;
}

static inline void begin_script(const struct answer *answers, size_t n,
                                const struct peer *peers, size_t m)
{
    script = (struct script){.answers = answers,
                             .answer_count = n,
                             .peers = peers,
                             .peer_count = m,
                             .start = weft_now()};
    script.opts = (weft_dial_opts){
        .lookup = script_lookup, .connect = script_connect, .user = &script};
}

#define BEGIN_SCRIPT(answers, peers)                                           \
    begin_script((answers), sizeof(answers) / sizeof *(answers), (peers),      \
                 sizeof(peers) / sizeof *(peers))

static inline int dial_script(void)
{
    return weft_dial_with(&script.conn, "example.org:80", &script.opts);
}

static inline bool is_same_fd(weft_fd a, weft_fd b)
{
    return a.slot == b.slot && a.generation == b.generation;
}

/* All that were made were closed, save the one that was handed out if `rc` says
 * so; this too from here on. Nothing goes on. */
static inline void end_script(int rc)
{
    int handed_out = 0;
    for (int i = 0; i < script.conns; i++) {
        bool is_it = rc == 0 && is_same_fd(script.near[i], script.conn);
        handed_out += is_it;
        CHECK_EQ(weft_close(script.near[i]), is_it ? 0 : -EBADF);
        CHECK_EQ(weft_close(script.far[i]), 0);
    }
    CHECK_EQ(handed_out, rc == 0);
    CHECK_EQ(script.looking, 0);
    CHECK_EQ(script.trying, 0);
}

#endif
