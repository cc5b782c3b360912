/* SPDX-License-Identifier: MIT */
/*
 * test_http_quick.c - what is read quickly comes to what is read octet by
 * octet, to each member of the request: the corpus, whole, cut and changed by
 * chance; any octet at each place of plain requests; hosts; and limits. And an
 * object that was used for another request reads as one that was not, as does
 * one that knows how long the parts of another head were.
 *
 * Octets stand at the end of memory of their own, so that a sanitizer sees a
 * look too far; what is octet by octet knows nothing of the quick way, as that
 * takes nothing of so few.
 */
#include <weft/http_parse.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chance.h"
#include "harness.h"
#include "http/quick.h"
#include "http_corpus.h"
#include "http_mutate.h"
#include "http_root.h"

enum { MARKS = 100, LONG = 1500 };

/* Elsewhere nothing is quick. */
#if defined(__SSE2__) && !defined(WF_HTTP_WORDS)
static const bool there_is_a_quick_way = true;
#else
static const bool there_is_a_quick_way = false;
#endif

static size_t fewer(size_t count)
{
    return test_is_slow() ? count / 20 : count;
}

/* A stream, and what its first head comes to. */
struct trial {
    const char *octets;
    size_t len;
    const weft_http_limits *limits;
    char *exact; /* the same, with nothing behind */
    char *there; /* where the head is to stand */
    weft_http_mark marks[MARKS];
    weft_http_request want;
    ssize_t n;
    size_t decided; /* so many octets tell it */
};

static unsigned long trials, taken;

/* Of whatever was read last. */
static uint16_t last_layout[WF_HTTP_LINES];

__attribute__((noreturn)) static void
differs(const struct trial *t, const char *how, const char *what, int line)
{
    struct http_outcome o = {0};
    outcome_quote(&o, t->octets, t->len);
    (void)printf("%s\n", outcome_text(&o));
    outcome_free(&o);
    test_fail(__FILE__, line, "%s: %s", how, what);
}

#define SAME(cond)                                                             \
    do {                                                                       \
        if (!(cond)) differs(t, how, #cond, __LINE__);                         \
    } while (0)

/* ---- comparing ---------------------------------------------------------- */

static bool is_within(const struct trial *t, const char *at, const char *base)
{
    return (uintptr_t)at >= (uintptr_t)base &&
           (uintptr_t)at <= (uintptr_t)base + t->len;
}

/* The same octets at the same place of the head, or neither of it. */
static bool is_same(const struct trial *t, weft_text want, weft_text got,
                    const char *base)
{
    if (want.len != got.len || !want.at != !got.at) return false;
    if (!want.at) return true;
    bool within = is_within(t, want.at, t->octets);
    if (within != is_within(t, got.at, base)) return false;
    if (within && want.at - t->octets != got.at - base) return false;
    return memcmp(want.at, got.at, want.len) == 0;
}

static void compare_fields(const struct trial *t, const char *how,
                           const weft_http_fields *got, const char *base)
{
    const weft_http_fields *want = &t->want.fields;
    SAME(got->base == base);
    SAME(got->count == want->count);
    for (uint32_t i = 0; i < want->count; i++) {
        const weft_http_mark *a = &want->marks[i], *b = &got->marks[i];
        SAME(a->name == b->name);
        SAME(a->name_len == b->name_len);
        SAME(a->value == b->value);
        SAME(a->value_len == b->value_len);
        SAME(a->known_ == b->known_);
    }
}

static void compare(const struct trial *t, const char *how,
                    const weft_http_request *got, const char *base)
{
    const weft_http_request *want = &t->want;
    SAME(is_same(t, want->method, got->method, base));
    SAME(is_same(t, want->target, got->target, base));
    SAME(is_same(t, want->path, got->path, base));
    SAME(is_same(t, want->query, got->query, base));
    SAME(is_same(t, want->host, got->host, base));
    SAME(got->verb == want->verb);
    SAME(got->minor == want->minor);
    SAME(got->form == want->form);
    SAME(got->framing == want->framing);
    SAME(got->length == want->length);
    SAME(got->keep_alive == want->keep_alive);
    SAME(got->expects_continue == want->expects_continue);
    SAME(got->upgrades == want->upgrades);
    SAME(got->status == want->status);
    SAME(!got->wrong == !want->wrong);
    SAME(!got->wrong || strcmp(got->wrong, want->wrong) == 0);
    compare_fields(t, how, &got->fields, base);
}

/* ---- ways to read ------------------------------------------------------- */

static void read_octet_by_octet(struct trial *t)
{
    weft_http_request_init(&t->want, t->marks, MARKS, t->limits);
    t->n = 0;
    for (t->decided = 0; t->n == 0 && t->decided < t->len;)
        t->n = weft_http_parse_request(&t->want, t->octets, ++t->decided);
}

static char *room_for(size_t len)
{
    char *room = malloc(len ? len : 1);
    CHECK(room != NULL);
    return room;
}

static void copy(char *to, const char *octets, size_t len)
{
    if (len > 0) memcpy(to, octets, len);
}

static void get_copies(struct trial *t)
{
    t->exact = room_for(t->len);
    t->there = room_for(t->len);
    copy(t->exact, t->octets, t->len);
}

static void begin(struct trial *t)
{
    get_copies(t);
    read_octet_by_octet(t);
    trials++;
}

static void end(struct trial *t)
{
    free(t->exact);
    free(t->there);
}

/* Nothing is there yet; then all is there. */
static void empty(struct trial *t)
{
    free(t->there);
    t->there = room_for(t->len);
}

static void bring(const struct trial *t)
{
    copy(t->there, t->octets, t->len);
}

/* An object with anything in it but for its limits and marks. */
static void fill_with_junk(weft_http_request *r, weft_http_mark *marks,
                           const weft_http_limits *limits)
{
    weft_http_request clean;
    weft_http_request_init(&clean, marks, MARKS, limits);
    memset(marks, 0x5a, MARKS * sizeof *marks);
    memset(r, 0x5a, sizeof *r);
    r->fields.marks = clean.fields.marks;
    r->fields.room = clean.fields.room;
    r->scan_.line_limit_ = clean.scan_.line_limit_;
    r->scan_.head_limit_ = clean.scan_.head_limit_;
    r->scan_.field_limit_ = clean.scan_.field_limit_;
}

static size_t read_as_before(struct trial *t, uint16_t *layout, const char *how)
{
    weft_http_mark marks[MARKS];
    weft_http_request r;
    fill_with_junk(&r, marks, t->limits);
    empty(t);
    size_t n = wf_http_quick_as_before(&r, t->exact, t->len, t->there, layout);
    bring(t);
    if (n > 0) compare(t, how, &r, t->there);
    return n;
}

static size_t read_quickly(struct trial *t, const char *how)
{
    weft_http_mark marks[MARKS];
    weft_http_request r;
    uint16_t layout[WF_HTTP_LINES] = {0};
    fill_with_junk(&r, marks, t->limits);
    size_t quick = wf_http_quick(&r, t->exact, t->len);
    SAME(quick == 0 || (ssize_t)quick == t->n);
    if (quick > 0) compare(t, how, &r, t->exact);
    SAME(read_as_before(t, layout, "for the first time") == quick);
    SAME(read_as_before(t, layout, "for the second time") == quick);
    SAME(read_as_before(t, last_layout, "after another") == quick);
    taken += quick > 0;
    return quick;
}

static void read_at_once(const struct trial *t, const char *how)
{
    weft_http_mark marks[MARKS];
    weft_http_request r;
    weft_http_request_init(&r, marks, MARKS, t->limits);
    ssize_t n = weft_http_parse_request(&r, t->exact, t->len);
    SAME(n == t->n);
    if (n != 0) compare(t, how, &r, t->exact);
}

/* All that leaves something behind: refused in a way each, not yet all there,
 * and taken with what few have. */
static const char *const odd[] = {
    "GET http://other:81/p?q HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET http://other HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT other:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "PUT /?q HTTP/1.1\r\nHost: x\r\nContent-Length: 77\r\n\r\n",
    "POST /a?b?c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "\r\nGET /late HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: y\r\nConnection: upgrade\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nExpect: more\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
    "G@T / HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
    "\r",
    "G",
    "POST /cut?in",
    "POST /cut HTTP/1.",
    "POST /cut HTTP/1.1\r\nHo",
    "POST /cut HTTP/1.1\r\nContent-Length: 9\r\nHost: x",
    "POST /cut HTTP/1.1\r\nContent-Length: 9\r\nHost: x\r\n\r",
};

enum { ODD = sizeof odd / sizeof *odd };

/* As a server reads: quickly from where it came to where it is to stand, or
 * there. */
static ssize_t serve(struct trial *t, weft_http_request *r)
{
    empty(t);
    size_t quick =
        wf_http_quick_as_before(r, t->exact, t->len, t->there, last_layout);
    bring(t);
    return quick > 0 ? (ssize_t)quick : wf_http_parse_anew(r, t->there, t->len);
}

static void use_for_another(weft_http_request *r, size_t which)
{
    const char *octets = odd[which % ODD];
    struct trial other = {.octets = octets, .len = strlen(octets)};
    get_copies(&other);
    (void)serve(&other, r);
    end(&other);
}

/* Also once more, and when it has moved, and slowly. */
static void read_anew(struct trial *t, weft_http_request *r, const char *how)
{
    ssize_t n = serve(t, r);
    SAME(n == t->n);
    if (n != 0) {
        compare(t, how, r, t->there);
        SAME(weft_http_parse_request(r, t->there, t->len) == n);
        compare(t, how, r, t->there);
        weft_http_request_move(r, t->exact);
        compare(t, how, r, t->exact);
    }
    SAME(wf_http_parse_anew(r, t->exact, t->len) == n);
    if (n != 0) compare(t, how, r, t->exact);
}

static void read_with_a_used_one(struct trial *t, const char *how)
{
    weft_http_mark marks[MARKS];
    weft_http_request r;
    weft_http_request_init(&r, marks, MARKS, t->limits);
    use_for_another(&r, trials);
    read_anew(t, &r, how);
    read_anew(t, &r, how);
    use_for_another(&r, trials / ODD);
    read_anew(t, &r, how);
}

static bool try_all(const char *octets, size_t len,
                    const weft_http_limits *limits)
{
    struct trial t = {.octets = octets, .len = len, .limits = limits};
    begin(&t);
    size_t quick = read_quickly(&t, "quick");
    read_at_once(&t, "at once");
    read_with_a_used_one(&t, "used");
    end(&t);
    return quick > 0;
}

static void check_that_many_were_taken(unsigned long one_in)
{
    (void)printf("%lu of %lu\n", taken, trials);
    CHECK(trials > 0);
    if (there_is_a_quick_way)
        CHECK(taken > trials / one_in);
    else
        CHECK_EQ(taken, 0);
}

/* ---- the corpus --------------------------------------------------------- */

/* From each of its lines on, as a later request may begin there. */
TEST_PLAIN(each_request_of_the_corpus_comes_to_the_same)
{
    struct http_corpus c;
    load_corpus(&c, "request");
    for (size_t i = 0; i < c.count; i++) {
        const char *octets = outcome_text(&c.cases[i].octets);
        size_t len = c.cases[i].octets.len;
        (void)try_all(octets, len, NULL);
        for (size_t at = 1; at < len && len < LONG; at++)
            if (octets[at - 1] == '\n')
                (void)try_all(octets + at, len - at, NULL);
    }
    CHECK(c.count >= 320);
    http_corpus_free(&c);
    check_that_many_were_taken(100);
}

/* What is there of it tells as much as octet by octet; and more may come to an
 * object that was used. */
static void try_cut(struct trial *t, const struct trial *whole, bool is_quick)
{
    const char *how = "cut";
    weft_http_mark marks[MARKS];
    weft_http_request r;
    get_copies(t);
    size_t want = is_quick && t->len >= whole->decided ? (size_t)whole->n : 0;
    weft_http_request_init(&r, marks, MARKS, NULL);
    SAME(wf_http_quick(&r, t->exact, t->len) == want);
    use_for_another(&r, t->len);
    ssize_t n = serve(t, &r);
    SAME(n == (t->len >= whole->decided ? whole->n : 0));
    end(t);
    if (n != 0) return;
    SAME(weft_http_parse_request(&r, whole->exact, whole->len) == whole->n);
    if (whole->n != 0) compare(whole, how, &r, whole->exact);
}

TEST_PLAIN(each_request_of_the_corpus_may_be_cut_anywhere)
{
    struct http_corpus c;
    load_corpus(&c, "request");
    for (size_t i = 0; i < c.count; i++) {
        struct trial whole = {.octets = outcome_text(&c.cases[i].octets),
                              .len = c.cases[i].octets.len};
        if (whole.len > LONG) continue;
        begin(&whole);
        bool is_quick = read_quickly(&whole, "whole") > 0;
        size_t stride = test_is_slow() ? 7 : 1;
        for (size_t at = i % stride; at < whole.len; at += stride) {
            struct trial t = {.octets = whole.octets, .len = at};
            try_cut(&t, &whole, is_quick);
        }
        end(&whole);
    }
    http_corpus_free(&c);
    check_that_many_were_taken(20);
}

/* ---- by chance ---------------------------------------------------------- */

TEST_PLAIN(what_chance_makes_of_the_corpus_comes_to_the_same)
{
    struct http_corpus c;
    struct http_outcome o = {0};
    load_corpus(&c, "request");
    random_begin(test_seed());
    for (size_t i = 0; i < fewer(100000); i++) {
        http_mutate(&c, (test_seed() << 20) + i, &o);
        (void)try_all(outcome_text(&o), o.len, NULL);
        (void)try_all(outcome_text(&o), random_below(o.len + 1), NULL);
    }
    outcome_free(&o);
    http_corpus_free(&c);
    check_that_many_were_taken(50);
}

static const char *const plain[] = {
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /index.html?a=b&c=%20d HTTP/1.1\r\nHost: example.org:8080\r\n"
    "User-Agent: one (two; three)\r\nAccept: */*\r\nConnection: keep-alive\r\n"
    "X-Empty:\r\nx_y.z:  spaces \t \r\n\r\n",
    "POST /form HTTP/1.1\r\nhost:127.0.0.1\r\nContent-Length: 12\r\n"
    "Connection: close\r\n\r\nhello, world",
    "PUT /a HTTP/1.1\r\nContent-Length: 0\r\nHost: x-y.z:65535 \r\n"
    "Cookie: a=b;\tc=\xc3\xa9\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
};

enum { PLAIN = sizeof plain / sizeof *plain };

TEST_PLAIN(any_octet_anywhere_in_a_plain_request_comes_to_the_same)
{
    char buf[512];
    size_t step = test_is_slow() ? 41 : 1;
    for (size_t i = 0; i < PLAIN; i++) {
        size_t len = strlen(plain[i]);
        CHECK(len < sizeof buf);
        memcpy(buf, plain[i], len);
        CHECK_EQ(try_all(buf, len, NULL), there_is_a_quick_way);
        for (size_t at = 0; at < len; at++)
            for (size_t octet = at % step; octet < 256; octet += step) {
                buf[at] = (char)octet;
                (void)try_all(buf, len, NULL);
                buf[at] = plain[i][at];
            }
    }
    check_that_many_were_taken(5);
}

/* Octets that mean something, put in, and left out. */
TEST_PLAIN(a_plain_request_with_more_or_fewer_octets_comes_to_the_same)
{
    static const char more[] = "\0\r\n\t :?%/@[]0a\x7f\x80\xff";
    char buf[512];
    size_t step = test_is_slow() ? 5 : 1;
    for (size_t i = 0; i < PLAIN; i++) {
        size_t len = strlen(plain[i]);
        for (size_t at = 0; at <= len; at++) {
            memcpy(buf, plain[i], at);
            memcpy(buf + at + 1, plain[i] + at, len - at);
            for (size_t m = at % step; m < sizeof more - 1; m += step) {
                buf[at] = more[m];
                (void)try_all(buf, len + 1, NULL);
            }
            for (size_t cut = 1; cut < 5 && at + cut <= len; cut++) {
                memcpy(buf + at, plain[i] + at + cut, len - at - cut);
                (void)try_all(buf, len - cut, NULL);
            }
        }
    }
    check_that_many_were_taken(20);
}

/* ---- hosts -------------------------------------------------------------- */

static const struct {
    const char *host;
    bool fine;
} hosts[] = {
    {"a", true},
    {"a:", true},
    {"a:0", true},
    {"a:1", true},
    {"a:80", true},
    {"a:080", true},
    {"a:00080", true},
    {"a:000080", true}, /* zeroes in front are not counted */
    {"a:00000000000000000065535", true},
    {"a:00000000000000000065536", false},
    {"a:9999", true},
    {"a:10000", true},
    {"a:59999", true},
    {"a:60000", true},
    {"a:65529", true},
    {"a:65530", true},
    {"a:65534", true},
    {"a:65535", true},
    {"a:65536", false},
    {"a:65540", false},
    {"a:65600", false},
    {"a:66000", false},
    {"a:70000", false},
    {"a:99999", false},
    {"a:100000", false},
    {"a:123456", false},
    {"a:4294967376", false},           /* 80 more than 32 bits hold */
    {"a:18446744073709551696", false}, /* and 64 */
    {"a:12x45", false},
    {"a:1;345", false},
    {"a:x", false},
    {"a:/1", false},
    {"a:1/", false},
    {"a:1:", false},
    {"a::1", false},
    {"a::", false},
    {"a:-1", false},
    {"a:+1", false},
    {"a: 1", false},
    {"a:1 2", false},
    {"a :1", false},
    {"a:\xb1", false}, /* '1' with the eighth bit */
    {"a:1\x80", false},
    {"a:\2001234", false},
    {"a:1234\xff", false},
    {"a:\xb6\xb5\xb5\xb3\xb5", false},
    {"a\x80", false},
    {"\xff:80", false},
    {":", false},
    {":80", false},
    {"", false},
    {"1.2.3.4:65535", true},
    {"999.999:1", true}, /* a name */
    {"a-b.c_d~e:1", true},
    {"a%41:1", true},
    {"a%4", false},
    {"a!$&'()*+,;=:1", true},
    {"a@b:1", false},
    {"a/b", false},
    {"a?b", false},
    {"a#b", false},
    {"[::1]", true},
    {"[::1]:65535", true},
    {"[::1]:65536", false},
    {"[::1]:", true},
    {"[::1]x", false},
    {"[::1", false},
    {"abcdefghijklmno", true}, /* around sixteen */
    {"abcdefghijklmnop", true},
    {"abcdefghijklmnopq", true},
    {"abcdefghijklm:80", true},
    {"abcdefghijklmn:8", true},
    {"abcdefghijklmno:", true},
    {"abcdefghijklmnop:", true},
    {"abcdefghijklmnop:65535", true},
    {"abcdefghijklmnop:65536", false},
    {"abcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz:1x", false},
};

TEST_PLAIN(a_host_and_its_port_are_what_they_are_in_either_way)
{
    static const struct {
        const char *before, *after;
    } forms[] = {
        {"GET / HTTP/1.1\r\nHost: ", "\r\n\r\n"},
        {"GET / HTTP/1.1\r\nHost:", "\r\n\r\nand what follows"},
        {"GET / HTTP/1.1\r\nhOST: \t", " \t\r\nX: y\r\n\r\n"},
        {"GET / HTTP/1.1\r\nX: y\r\nHost: ", "\r\nConnection: close\r\n\r\n"},
    };
    char buf[256];
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
            int len = snprintf(buf, sizeof buf, "%s%s%s", forms[f].before,
                               hosts[i].host, forms[f].after);
            CHECK(len > 0 && len < (int)sizeof buf);
            weft_http_mark marks[MARKS];
            weft_http_request r;
            weft_http_request_init(&r, marks, MARKS, NULL);
            (void)printf("%s\n", hosts[i].host);
            ssize_t n = weft_http_parse_request(&r, buf, (size_t)len);
            CHECK_EQ(n > 0, hosts[i].fine);
            CHECK_EQ(r.status, hosts[i].fine ? 0 : 400);
            if (n > 0) CHECK(weft_text_is(r.host, hosts[i].host));
            (void)try_all(buf, (size_t)len, NULL);
        }
}

TEST_PLAIN(each_port_is_known_in_either_way)
{
    char buf[64];
    unsigned step = test_is_slow() ? 997 : 7;
    for (unsigned port = 0; port < 100000; port += step) {
        int len = snprintf(buf, sizeof buf,
                           "GET / HTTP/1.1\r\nHost: a:%u\r\n\r\n", port);
        bool fine = port <= 65535;
        CHECK_EQ(try_all(buf, (size_t)len, NULL), fine && there_is_a_quick_way);
    }
}

/* ---- limits ------------------------------------------------------------- */

TEST_PLAIN(limits_are_the_same_in_either_way)
{
    for (size_t i = 0; i < PLAIN; i++) {
        size_t len = strlen(plain[i]), step = test_is_slow() ? 5 : 1;
        for (size_t most = 1; most < len + 20; most += step) {
            const weft_http_limits line = {.line = most};
            const weft_http_limits head = {.head = most};
            const weft_http_limits both = {.line = most, .head = most + 9};
            (void)try_all(plain[i], len, &line);
            (void)try_all(plain[i], len, &head);
            (void)try_all(plain[i], len, &both);
        }
        for (unsigned most = 1; most < 9; most++) {
            const weft_http_limits fields = {.fields = most};
            (void)try_all(plain[i], len, &fields);
        }
    }
    check_that_many_were_taken(10);
}

/* Of the most that a name may have where it is quick, of one more than that,
 * and as many lines as there are marks. */
TEST_PLAIN(long_names_and_many_lines_come_to_the_same)
{
    static char buf[80000];
    for (size_t name = 250; name < 260; name++) {
        memset(buf, 'n', sizeof buf);
        memcpy(buf, "GET / HTTP/1.1\r\n", 16);
        memcpy(buf + 16 + name, ": v\r\nHost: a\r\n\r\n", 16);
        (void)try_all(buf, 16 + name + 16, NULL);
    }
    for (size_t lines = 97; lines < 103; lines++) {
        size_t at = 16;
        for (size_t i = 0; i + 1 < lines; i++, at += 6)
            memcpy(buf + at, "a: b\r\n", 6);
        memcpy(buf + at, "Host: a\r\n\r\n", 11);
        CHECK_EQ(try_all(buf, at + 11, NULL),
                 lines <= MARKS && there_is_a_quick_way);
    }
    for (size_t value = 65500; value < 65540; value++) {
        memset(buf, 'v', sizeof buf);
        memcpy(buf, "GET / HTTP/1.1\r\nHost: a\r\nX: ", 28);
        memcpy(buf + value, "\r\n\r\n", 4);
        if (value % 8 == 0 || value > 65530)
            (void)try_all(buf, value + 4, NULL);
    }
}

/* Parts whose lengths are the same but for what 16 bits hold, one after the
 * other. */
TEST_PLAIN(parts_of_lengths_that_16_bits_confuse_come_to_the_same)
{
    static const weft_http_limits wide = {.line = 200000, .head = 400000};
    static const size_t lengths[] = {1, 65537, 1, 65537, 131073, 65536, 0, 7};
    static char buf[400000];
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (int part = 0; part < 2; part++) {
            size_t target = part == 0 ? lengths[i] : 1;
            size_t value = part == 1 ? lengths[i] : 1, at = 0;
            memcpy(buf, "GET /", 5);
            memset(buf + 5, 't', target);
            at = 5 + target;
            memcpy(buf + at, " HTTP/1.1\r\nHost: a\r\nX: ", 23);
            at += 23;
            memset(buf + at, 'v', value);
            at += value;
            memcpy(buf + at, "\r\n\r\n", 4);
            CHECK_EQ(try_all(buf, at + 4, &wide), there_is_a_quick_way);
        }
}

/* ---- an object that was used -------------------------------------------- */

TEST_PLAIN(whatever_an_object_was_used_for_it_reads_the_next_as_a_fresh_one)
{
    for (size_t next = 0; next < PLAIN + ODD; next++) {
        const char *octets = next < PLAIN ? plain[next] : odd[next - PLAIN];
        struct trial t = {.octets = octets, .len = strlen(octets)};
        begin(&t);
        for (size_t before = 0; before < ODD; before++) {
            weft_http_mark marks[MARKS];
            weft_http_request r;
            weft_http_request_init(&r, marks, MARKS, NULL);
            use_for_another(&r, before);
            read_anew(&t, &r, odd[before]);
        }
        end(&t);
    }
}

/* What has not all come is read on where it stopped. */
TEST_PLAIN(a_used_object_that_wants_more_goes_on_with_it)
{
    for (size_t i = 0; i < PLAIN; i++) {
        struct trial whole = {.octets = plain[i], .len = strlen(plain[i])};
        begin(&whole);
        for (size_t at = 0; at < whole.decided; at++) {
            struct trial t = {.octets = plain[i], .len = at};
            try_cut(&t, &whole, there_is_a_quick_way);
        }
        end(&whole);
    }
}
