/* SPDX-License-Identifier: MIT */
/*
 * test_http_emit.c - what weft/http_write.h lets out: each octet at each place
 * of what comes from elsewhere, and messages drawn by chance, which the parser
 * must read as they were meant.
 */
#include <weft/error.h>
#include <weft/http_write.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "chance.h"
#include "harness.h"
#include "http_drive.h"
#include "http_model.h"

enum { ROOM = 16384, LONGEST = 24 };

/* ---- each octet at each place ------------------------------------------- */

/* Where it is: what stands around it is all of the letter a. */
struct spot {
    size_t at, len;
};

static bool in_token(unsigned char c, struct spot s)
{
    (void)s;
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* %aa is an escape; a fragment is never sent. */
static bool in_target(unsigned char c, struct spot s)
{
    if (c == '%') return s.at + 2 < s.len;
    return c > ' ' && c < 0x7f && c != '#';
}

static bool in_reason(unsigned char c, struct spot s)
{
    (void)s;
    return c == '\t' || (c >= ' ' && c != 0x7f);
}

static bool in_value(unsigned char c, struct spot s)
{
    bool at_an_end = s.at == 0 || s.at + 1 == s.len;
    return in_reason(c, s) && !(at_an_end && (c == ' ' || c == '\t'));
}

static int as_method(weft_http_writer *w, weft_text t)
{
    return weft_http_write_request_line(w, t, weft_text_of("/"));
}

static int as_target(weft_http_writer *w, weft_text t)
{
    return weft_http_write_request_line(w, weft_text_of("GET"), t);
}

static int as_reason(weft_http_writer *w, weft_text t)
{
    return weft_http_write_status_line(w, 200, t);
}

static int as_name(weft_http_writer *w, weft_text t)
{
    return weft_http_write_field(w, t, weft_text_of("v"));
}

static int as_value(weft_http_writer *w, weft_text t)
{
    return weft_http_write_field(w, weft_text_of("N"), t);
}

struct place {
    int (*write)(weft_http_writer *w, weft_text t);
    bool (*may)(unsigned char c, struct spot s);
    const char *before, *behind;
    bool may_be_empty;
};

static const struct place places[] = {
    {as_method, in_token, "", " / HTTP/1.1\r\n", false},
    {as_target, in_target, "GET ", " HTTP/1.1\r\n", false},
    {as_reason, in_reason, "HTTP/1.1 200 ", "\r\n", true},
    {as_name, in_token, "", ": v\r\n", false},
    {as_value, in_value, "N: ", "\r\n", true}};

enum { PLACES = sizeof places / sizeof *places };

/* Nothing is written, the error stays, and there is a sentence. */
static void check_refused(const struct place *p, weft_http_writer *w,
                          weft_text t)
{
    char before[ROOM];
    size_t len = w->len;
    memcpy(before, w->at, len);
    CHECK_EQ(p->write(w, t), -EINVAL);
    CHECK_EQ(w->len, len);
    CHECK_EQ(memcmp(before, w->at, len), 0);
    CHECK_EQ(w->error, -EINVAL);
    CHECK(weft_last_error() && weft_last_error()->msg[0]);
    CHECK_EQ(weft_http_write_end(w), -EINVAL);
    CHECK_EQ(weft_http_write_length(w, 1), -EINVAL);
    CHECK_EQ(w->len, len);
}

static void check_written(const struct place *p, weft_http_writer *w,
                          weft_text t)
{
    struct http_outcome line = {0};
    size_t from = w->len;
    outcome_add(&line, p->before, strlen(p->before));
    outcome_add(&line, t.at, t.len);
    outcome_add(&line, p->behind, strlen(p->behind));
    CHECK_EQ(p->write(w, t), 0);
    CHECK_EQ(w->len - from, line.len);
    CHECK_EQ(memcmp(w->at + from, line.text, line.len), 0);
    outcome_free(&line);
}

static void check_text(const struct place *p, weft_text t, bool good)
{
    char buf[256];
    weft_http_writer w;
    weft_http_writer_init(&w, buf, sizeof buf);
    CHECK_EQ(WEFT_HTTP_WRITE(&w, "what was there\r\n"), 0);
    if (good)
        check_written(p, &w, t);
    else
        check_refused(p, &w, t);
}

static void each_octet_at(const struct place *p, size_t len, size_t at)
{
    char text[LONGEST];
    memset(text, 'a', len);
    for (int octet = 0; octet < 256; octet++) {
        text[at] = (char)octet;
        check_text(p, (weft_text){text, len},
                   p->may((unsigned char)octet, (struct spot){at, len}));
    }
}

TEST_PLAIN(each_octet_at_each_place_of_what_is_written)
{
    for (int i = 0; i < PLACES; i++)
        for (size_t len = 1; len <= LONGEST; len++)
            for (size_t at = 0; at < len; at += test_is_slow() ? 5 : 1)
                each_octet_at(&places[i], len, at);
}

TEST_PLAIN(what_must_not_be_empty_is_refused_so)
{
    for (int i = 0; i < PLACES; i++)
        check_text(&places[i], (weft_text){"", 0}, places[i].may_be_empty);
}

TEST_PLAIN(a_line_that_does_not_fit_is_not_begun)
{
    char buf[64];
    for (int i = 0; i < PLACES; i++)
        for (size_t room = 0;; room++) {
            weft_http_writer w;
            memset(buf, '?', sizeof buf);
            weft_http_writer_init(&w, buf, room);
            int err = places[i].write(&w, weft_text_of("abc"));
            if (err == 0) break;
            CHECK_EQ(err, -ENOBUFS);
            CHECK_EQ(w.len, 0);
            CHECK_EQ(buf[room], '?');
            CHECK(room < sizeof buf - 1);
        }
}

/* ---- messages by chance ------------------------------------------------- */

/* As the writer has it, and as the parser should. */
struct message {
    char buf[ROOM];
    weft_http_writer w;
    struct http_outcome meant;
};

/* Any text of up to LONGEST octets that may stand there. */
static weft_text any_text(char *buf, const struct place *p)
{
    size_t len = random_below((size_t)LONGEST + 1);
    if (len == 0 && !p->may_be_empty) len = 1;
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char)random_below(256);
        if (p->may(c, (struct spot){i, len})) buf[i++] = (char)c;
    }
    return (weft_text){buf, len};
}

static void any_field(struct message *m)
{
    char name[2 + LONGEST] = "X-", value[LONGEST];
    weft_text n = any_text(name + 2, &places[3]);
    weft_text v = any_text(value, &places[4]);
    n = (weft_text){name, n.len + 2};
    CHECK_EQ(weft_http_write_field(&m->w, n, v), 0);
    outcome_detail(&m->meant, "name", n.at, n.len);
    outcome_detail(&m->meant, "value", v.at, v.len);
}

static void any_fields(struct message *m)
{
    for (unsigned n = random_below(6u); n > 0; n--)
        any_field(m);
}

static void meant_field(struct message *m, const char *name, const char *value)
{
    outcome_detail(&m->meant, "name", name, strlen(name));
    outcome_detail(&m->meant, "value", value, strlen(value));
}

static void any_chunks(struct message *m, const char *body, size_t len)
{
    for (size_t at = 0, n; at < len; at += n) {
        n = 1 + random_below(len - at);
        CHECK_EQ(weft_http_write_chunk(&m->w, n), 0);
        CHECK_EQ(weft_http_write_known(&m->w, body + at, n), 0);
        CHECK_EQ(WEFT_HTTP_WRITE(&m->w, WEFT_HTTP_CRLF), 0);
    }
    CHECK_EQ(weft_http_write_chunk(&m->w, 0), 0);
}

static void meant_body(struct message *m, const char *framing, const char *body,
                       size_t len)
{
    outcome_printf(&m->meant, " %s ", framing);
    outcome_quote(&m->meant, body, len);
}

static void any_body(struct message *m)
{
    char body[400], number[24];
    size_t len = random_below(sizeof body + 1);
    for (size_t i = 0; i < len; i++)
        body[i] = (char)random_below(256);
    if (random_below(2)) {
        (void)snprintf(number, sizeof number, "%zu", len);
        CHECK_EQ(weft_http_write_length(&m->w, len), 0);
        meant_field(m, "Content-Length", number);
        CHECK_EQ(weft_http_write_end(&m->w), 0);
        CHECK_EQ(weft_http_write_known(&m->w, body, len), 0);
        meant_body(m, "length", body, len);
    } else {
        CHECK_EQ(weft_http_write_chunked(&m->w), 0);
        meant_field(m, "Transfer-Encoding", "chunked");
        CHECK_EQ(weft_http_write_end(&m->w), 0);
        any_chunks(m, body, len);
        meant_body(m, "chunked", body, len);
        any_fields(m); /* trailers */
        CHECK_EQ(weft_http_write_end(&m->w), 0);
    }
    outcome_printf(&m->meant, " keep\n");
}

/* An absolute path and perhaps a query, of what a target may have. */
static weft_text any_path(char *buf, size_t size)
{
    size_t len = 1;
    buf[0] = '/';
    for (size_t most = random_below(size - 4); len < most;) {
        char c = (char)('!' + random_below('~' - '!' + 1));
        if (c == '%')
            len += (size_t)snprintf(buf + len, 4, "%%%02x", random_below(256u));
        else if (c != '#')
            buf[len++] = c;
    }
    return (weft_text){buf, len};
}

static void any_request(struct message *m)
{
    char method[LONGEST], target[64];
    weft_text name = any_text(method, &places[0]);
    weft_text path = any_path(target, sizeof target);
    if (weft_text_is(name, "CONNECT")) name = weft_text_of("GET");
    CHECK_EQ(weft_http_write_request_line(&m->w, name, path), 0);
    outcome_request(&m->meant, name.at, name.len, path.at, path.len);
    const char *mark = memchr(path.at, '?', path.len);
    size_t plain = mark ? (size_t)(mark - path.at) : path.len;
    outcome_detail(&m->meant, "path", path.at, plain);
    if (mark)
        outcome_detail(&m->meant, "query", mark + 1, path.len - plain - 1);
    outcome_detail(&m->meant, "host", "example.org:8080", 16);
    CHECK_EQ(weft_http_write_field(&m->w, weft_text_of("Host"),
                                   weft_text_of("example.org:8080")),
             0);
    meant_field(m, "Host", "example.org:8080");
    any_fields(m);
    any_body(m);
}

static void any_response(struct message *m)
{
    char text[LONGEST];
    weft_text reason = any_text(text, &places[2]);
    int status = 200 + random_below(800);
    if (status == 204 || status == 304) status++;
    CHECK_EQ(weft_http_write_status_line(&m->w, status, reason), 0);
    outcome_printf(&m->meant, "%d", status);
    outcome_detail(&m->meant, "reason", reason.at, reason.len);
    any_fields(m);
    any_body(m);
}

static void read_back(const struct message *m, bool response, bool model,
                      struct http_outcome *read)
{
    struct http_pieces p = {1 + random_below(m->w.len), 0};
    if (response && model)
        (void)http_model_response(m->w.at, m->w.len, "GET", read);
    else if (response)
        http_drive_response(m->w.at, m->w.len, "GET", p, read);
    else if (model)
        http_model_requests(m->w.at, m->w.len, read);
    else
        http_drive_requests(m->w.at, m->w.len, p, read);
}

static void there_and_back(bool response, uint64_t count)
{
    static struct message m;
    random_begin(test_seed());
    for (uint64_t i = 0; i < (test_is_slow() ? count / 50 : count); i++) {
        struct http_outcome read = {.detail = true};
        m.meant = (struct http_outcome){.detail = true};
        weft_http_writer_init(&m.w, m.buf, sizeof m.buf);
        if (response)
            any_response(&m);
        else
            any_request(&m);
        read_back(&m, response, i % 8 == 0, &read);
        CHECK_STR(outcome_text(&read), outcome_text(&m.meant));
        outcome_free(&m.meant);
        outcome_free(&read);
    }
}

TEST_PLAIN(requests_that_were_written_are_read_as_they_were_meant)
{
    there_and_back(false, 50000);
}

TEST_PLAIN(responses_that_were_written_are_read_as_they_were_meant)
{
    there_and_back(true, 50000);
}

TEST_PLAIN(a_chunk_of_any_size_has_a_line_that_is_read_so)
{
    for (int bit = 0; bit < 63; bit++) {
        char buf[WEFT_HTTP_CHUNK_LINE], octets[64];
        weft_http_writer w;
        uint64_t size = ((uint64_t)1 << bit) + random_below((uint64_t)1 << bit);
        weft_http_writer_init(&w, buf, sizeof buf);
        CHECK_EQ(weft_http_write_chunk(&w, size), 0);
        int n = snprintf(octets, sizeof octets, "%llx\r\n",
                         (unsigned long long)size);
        CHECK_EQ(w.len, n);
        CHECK_EQ(memcmp(buf, octets, (size_t)n), 0);
    }
}

TEST_PLAIN(a_status_of_other_than_three_digits_is_none)
{
    static const int bad[] = {-200, -1, 0, 1, 99, 1000, 2000, INT32_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char buf[64];
        weft_http_writer w;
        weft_http_writer_init(&w, buf, sizeof buf);
        CHECK_EQ(weft_http_write_status_line(&w, bad[i], weft_text_of("x")),
                 -EINVAL);
        CHECK_EQ(w.len, 0);
    }
}
