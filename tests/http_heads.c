/* SPDX-License-Identifier: MIT */
/* http_heads.c - see http_heads.h. */
#include "http_heads.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

enum { SAID = 4096 };

/* A parser of one kind, its state, and how it is asked. */
struct parser {
    void (*init)(struct parser *p);
    ssize_t (*parse)(struct parser *p, const char *data, size_t len);
    void (*say)(struct parser *p, ssize_t n);
    const weft_http_limits *limits;
    weft_http_verb asked;
    union {
        weft_http_request request;
        weft_http_response response;
        weft_http_trailers trailers;
    } u;
    weft_http_mark marks[HEADS_ROOM];
    char said[SAID];
};

static void say(struct parser *p, const char *format, ...)
{
    size_t len = strlen(p->said);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(p->said + len, SAID - len, format, args);
    va_end(args);
}

static void say_text(struct parser *p, const char *before, weft_text t)
{
    if (t.at) say(p, "%s%.*s", before, WEFT_TEXT_ARGS(t));
}

static void say_fields(struct parser *p, const weft_http_fields *f)
{
    weft_text name, value;
    for (size_t i = 0; weft_http_field_at(f, i, &name, &value); i++) {
        say_text(p, " {", name);
        say_text(p, "=", value);
        say(p, "}");
    }
}

static void say_framing(struct parser *p, weft_http_framing framing,
                        uint64_t length, bool keep_alive)
{
    static const char *const names[] = {"", " length", " chunked",
                                        " until-close"};
    say(p, "%s", names[framing]);
    if (framing == WEFT_HTTP_LENGTH)
        say(p, "=%llu", (unsigned long long)length);
    else
        CHECK_EQ(length, 0);
    if (!keep_alive) say(p, " close");
}

/* ---- requests ----------------------------------------------------------- */

static void init_request(struct parser *p)
{
    memset(&p->u, 0xa5, sizeof p->u);
    weft_http_request_init(&p->u.request, p->marks, HEADS_ROOM, p->limits);
}

static ssize_t parse_request(struct parser *p, const char *data, size_t len)
{
    return weft_http_parse_request(&p->u.request, data, len);
}

static void say_request(struct parser *p, ssize_t n)
{
    static const char *const forms[] = {"origin", "absolute", "authority",
                                        "asterisk"};
    const weft_http_request *r = &p->u.request;
    if (n < 0) {
        CHECK(!r->keep_alive);
        CHECK_EQ(r->framing, WEFT_HTTP_NO_BODY);
        say(p, "%d %s", r->status, r->wrong);
        return;
    }
    CHECK_EQ(r->status, 0);
    CHECK(!r->wrong);
    CHECK_EQ(weft_http_verb_of(r->method), r->verb);
    say_text(p, "", r->method);
    say_text(p, " ", r->target);
    say(p, " 1.%d %s", r->minor, forms[r->form]);
    say_text(p, " path=", r->path);
    say_text(p, " query=", r->query);
    say_text(p, " host=", r->host);
    say_framing(p, r->framing, r->length, r->keep_alive);
    if (r->expects_continue) say(p, " continue");
    if (r->upgrades) say(p, " upgrade");
    say_fields(p, &r->fields);
}

/* ---- responses ---------------------------------------------------------- */

static void init_response(struct parser *p)
{
    memset(&p->u, 0xa5, sizeof p->u);
    weft_http_response_init(&p->u.response, p->asked, p->marks, HEADS_ROOM,
                            p->limits);
}

static ssize_t parse_response(struct parser *p, const char *data, size_t len)
{
    return weft_http_parse_response(&p->u.response, data, len);
}

static void say_response(struct parser *p, ssize_t n)
{
    const weft_http_response *r = &p->u.response;
    if (n < 0) {
        CHECK(!r->keep_alive);
        say(p, "%s", r->wrong);
        return;
    }
    CHECK(!r->wrong);
    say(p, "1.%d %d", r->minor, r->status);
    say_text(p, " ", r->reason);
    say_framing(p, r->framing, r->length, r->keep_alive);
    if (r->upgrades) say(p, " upgrade");
    say_fields(p, &r->fields);
}

/* ---- trailers ----------------------------------------------------------- */

static void init_trailers(struct parser *p)
{
    memset(&p->u, 0xa5, sizeof p->u);
    weft_http_trailers_init(&p->u.trailers, p->marks, HEADS_ROOM, p->limits);
}

static ssize_t parse_trailers(struct parser *p, const char *data, size_t len)
{
    return weft_http_parse_trailers(&p->u.trailers, data, len);
}

static void say_trailers(struct parser *p, ssize_t n)
{
    const weft_http_trailers *t = &p->u.trailers;
    if (n < 0) {
        say(p, "%d %s", t->status, t->wrong);
        return;
    }
    say(p, "ok");
    say_fields(p, &t->fields);
}

/* ---- in every way ------------------------------------------------------- */

static char *given; /* what was given last */

/* With nothing behind it; what was given before is gone. */
static ssize_t give(struct parser *p, const char *head, size_t len)
{
    free(given);
    given = malloc(len ? len : 1);
    CHECK(given);
    if (len) memcpy(given, head, len);
    ssize_t n = p->parse(p, given, len);
    CHECK(n <= (ssize_t)len);
    p->said[0] = 0;
    if (n == 0) return 0;
    p->say(p, n);
    CHECK_EQ(p->parse(p, given, len), n);
    return n;
}

static void check_split(struct parser *p, const struct parser *whole, ssize_t n,
                        const char *head, size_t len)
{
    for (size_t cut = 0; cut < len; cut++) {
        p->init(p);
        ssize_t rc = give(p, head, cut);
        if (rc == 0) rc = give(p, head, len);
        CHECK_EQ(rc, n);
        CHECK_STR(p->said, whole->said);
    }
}

/* Behind how many octets it is told; 0: it never is. */
static size_t told_behind(struct parser *p, const char *head, size_t len)
{
    p->init(p);
    for (size_t i = 1; i <= len; i++)
        if (give(p, head, i) != 0) return i;
    return 0;
}

static const char *said_of(struct parser *p, const char *head, size_t len)
{
    static struct parser whole;
    static char said[SAID];
    whole = *p;
    whole.init(&whole);
    ssize_t n = give(&whole, head, len);
    size_t behind = told_behind(p, head, len);
    CHECK_STR(p->said, whole.said);
    check_split(p, &whole, n, head, len);
    free(given);
    given = NULL;
    if (n == 0) return "more";
    if (n > 0) {
        CHECK_EQ(behind, n);
        return whole.said;
    }
    CHECK_EQ(n, -EBADMSG);
    (void)snprintf(said, sizeof said, "@%zu %.4000s", behind, whole.said);
    return said;
}

const char *said_of_request_of(const char *head, size_t len,
                               const weft_http_limits *limits)
{
    static struct parser p;
    p = (struct parser){.init = init_request,
                        .parse = parse_request,
                        .say = say_request,
                        .limits = limits};
    return said_of(&p, head, len);
}

const char *said_of_request(const char *head, const weft_http_limits *limits)
{
    return said_of_request_of(head, strlen(head), limits);
}

const char *said_of_response(weft_http_verb asked, const char *head,
                             const weft_http_limits *limits)
{
    static struct parser p;
    p = (struct parser){.init = init_response,
                        .parse = parse_response,
                        .say = say_response,
                        .limits = limits,
                        .asked = asked};
    return said_of(&p, head, strlen(head));
}

const char *said_of_trailers(const char *section,
                             const weft_http_limits *limits)
{
    static struct parser p;
    p = (struct parser){.init = init_trailers,
                        .parse = parse_trailers,
                        .say = say_trailers,
                        .limits = limits};
    return said_of(&p, section, strlen(section));
}

/* ---- chunks ------------------------------------------------------------- */

struct unchunked {
    weft_http_chunked c;
    size_t taken, body_len;
    bool failed;
    char body[SAID / 2];
};

/* Octets up to len, of which u->taken are. */
static void unchunk(struct unchunked *u, const char *chunks, size_t len)
{
    while (u->taken < len && !u->c.trailers && !u->failed) {
        size_t left = len - u->taken;
        char *copy = malloc(left);
        weft_text run = {NULL, 0};
        CHECK(copy);
        memcpy(copy, chunks + u->taken, left);
        ssize_t n = weft_http_dechunk(&u->c, copy, left, &run);
        u->failed = n < 0;
        if (n >= 0) {
            CHECK(n > 0 && (size_t)n <= left);
            CHECK(u->body_len + run.len < sizeof u->body);
            memcpy(u->body + u->body_len, run.at, run.len);
            u->body_len += run.len;
            u->taken += (size_t)n;
        }
        free(copy);
    }
}

static void say_chunks(const struct unchunked *u, char said[SAID])
{
    int n = snprintf(said, SAID, "[%.*s] ", (int)u->body_len, u->body);
    if (u->failed)
        (void)snprintf(said + n, SAID - (size_t)n, "%s", u->c.wrong);
    else if (u->c.trailers)
        (void)snprintf(said + n, SAID - (size_t)n, "%zu", u->taken);
    else
        (void)snprintf(said + n, SAID - (size_t)n, "more");
}

const char *said_of_chunks(const char *chunks, size_t len)
{
    static struct unchunked u;
    static char said[SAID], again[SAID];
    memset(&u, 0, sizeof u);
    weft_http_chunked_init(&u.c);
    unchunk(&u, chunks, len);
    say_chunks(&u, said);
    for (size_t cut = 0; cut <= len; cut++) {
        memset(&u, 0, sizeof u);
        weft_http_chunked_init(&u.c);
        for (size_t i = cut < len ? cut : 1; i < len;
             i += cut < len ? len : 1) /* in two, or octet by octet */
            unchunk(&u, chunks, i);
        unchunk(&u, chunks, len);
        say_chunks(&u, again);
        CHECK_STR(again, said);
    }
    return said;
}
