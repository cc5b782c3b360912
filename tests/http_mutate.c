/* SPDX-License-Identifier: MIT */
/* http_mutate.c - a case, changed up to four times. */
#include "http_mutate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "chance.h"
#include "http_drive.h"
#include "http_model.h"

enum { SHORT = 1200, CHANGES = 4 };

struct mutant {
    const struct http_corpus *corpus;
    uint64_t state;
    struct http_outcome *s;
};

struct run {
    size_t at, len;
};

static size_t below(struct mutant *m, size_t limit)
{
    return limit ? (size_t)random_draw_from(&m->state, limit) : 0;
}

/* The octets of *r become others, which stand elsewhere. */
static void replace(struct mutant *m, struct run r, const char *octets,
                    size_t len)
{
    struct http_outcome old = *m->s;
    *m->s = (struct http_outcome){.detail = old.detail};
    outcome_add(m->s, old.text, r.at);
    outcome_add(m->s, octets, len);
    outcome_add(m->s, old.text + r.at + r.len, old.len - r.at - r.len);
    outcome_free(&old);
}

static void insert(struct mutant *m, size_t at, const char *octets, size_t len)
{
    replace(m, (struct run){at, 0}, octets, len);
}

static size_t anywhere(struct mutant *m)
{
    return below(m, m->s->len + 1);
}

/* A line with its LF; or what is left. */
static struct run any_line(struct mutant *m)
{
    size_t at = anywhere(m);
    while (at > 0 && m->s->text[at - 1] != '\n')
        at--;
    const char *end = memchr(m->s->text + at, '\n', m->s->len - at);
    size_t stop = end ? (size_t)(end - m->s->text) + 1 : m->s->len;
    return (struct run){at, stop - at};
}

/* A place where one of these octets is; or the end: there is none. */
static size_t any_of(struct mutant *m, const char *set)
{
    size_t from = anywhere(m);
    for (size_t i = 0; i < m->s->len; i++) {
        size_t at = (from + i) % m->s->len;
        if (m->s->text[at] && strchr(set, m->s->text[at])) return at;
    }
    return m->s->len;
}

/* One that is refused is hardly ever better for it, so most are not. */
static const struct http_case *any_case(struct mutant *m)
{
    bool any = below(m, 5) == 0;
    const struct http_case *c;
    do
        c = &m->corpus->cases[below(m, m->corpus->count)];
    while (c->octets.len > SHORT ||
           (!any && outcome_refuses(outcome_text(&c->outcome))));
    return c;
}

/* ---- changes ------------------------------------------------------------ */

static void delete_some(struct mutant *m)
{
    size_t at = anywhere(m), len = 1 + below(m, 3);
    if (len > m->s->len - at) len = m->s->len - at;
    replace(m, (struct run){at, len}, "", 0);
}

static void insert_any_octet(struct mutant *m)
{
    char octet = (char)below(m, 256);
    insert(m, anywhere(m), &octet, 1);
}

static void insert_a_telling_octet(struct mutant *m)
{
    static const char telling[] =
        "\0\r\n\t :;,=\"\\/?#%*@[]0179afAF\x0b\x7f\x80\xff";
    insert(m, anywhere(m), &telling[below(m, sizeof telling - 1)], 1);
}

static void change_an_octet(struct mutant *m)
{
    char octet = (char)below(m, 256);
    size_t at = anywhere(m);
    if (at < m->s->len) m->s->text[at] = octet;
}

static void flip_a_bit(struct mutant *m)
{
    size_t at = anywhere(m);
    if (at < m->s->len) m->s->text[at] ^= (char)(1u << below(m, 8));
}

static void copy_line(struct mutant *m, struct run from, size_t to)
{
    struct http_outcome line = {0};
    outcome_add(&line, m->s->text + from.at, from.len);
    insert(m, to, line.text, line.len);
    outcome_free(&line);
}

static void double_a_line(struct mutant *m)
{
    struct run line = any_line(m);
    copy_line(m, line, line.at);
}

static void copy_a_line_elsewhere(struct mutant *m)
{
    copy_line(m, any_line(m), any_line(m).at);
}

static void delete_a_line(struct mutant *m)
{
    replace(m, any_line(m), "", 0);
}

static void swap_lines(struct mutant *m)
{
    struct run line = any_line(m);
    size_t next = line.at + line.len;
    if (next >= m->s->len) return;
    copy_line(m, line, next);
    struct run other = any_line(m);
    copy_line(m, other, line.at);
    replace(m, (struct run){line.at + other.len, line.len}, "", 0);
}

static void splice(struct mutant *m)
{
    const struct http_case *c = any_case(m);
    size_t from = below(m, c->octets.len + 1), at = anywhere(m);
    const char *octets = outcome_text(&c->octets);
    replace(m, (struct run){at, m->s->len - at}, octets + from,
            c->octets.len - from);
}

static void append(struct mutant *m)
{
    const struct http_case *c = any_case(m);
    outcome_add(m->s, outcome_text(&c->octets), c->octets.len);
}

static void take_a_line_of_another(struct mutant *m)
{
    struct http_outcome *mine = m->s;
    struct http_outcome other = any_case(m)->octets;
    if (other.len == 0) return;
    m->s = &other;
    struct run line = any_line(m);
    m->s = mine;
    insert(m, any_line(m).at, other.text + line.at, line.len);
}

static void change_case(struct mutant *m)
{
    struct run line = any_line(m);
    for (size_t i = 0; i < line.len; i++) {
        char *c = &m->s->text[line.at + i];
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
        if (letter && below(m, 2)) *c ^= 0x20;
    }
}

static void change_a_digit(struct mutant *m)
{
    size_t at = any_of(m, "0123456789");
    if (at < m->s->len) m->s->text[at] = "0123456789abcdef"[below(m, 16)];
}

static void add_digits(struct mutant *m)
{
    size_t at = any_of(m, "0123456789");
    insert(m, at, "0000000000000000000099999", 1 + below(m, 25));
}

static void lose_a_cr(struct mutant *m)
{
    size_t at = any_of(m, "\r");
    if (at < m->s->len) replace(m, (struct run){at, 1}, "", 0);
}

static void lose_a_lf(struct mutant *m)
{
    size_t at = any_of(m, "\n");
    if (at < m->s->len) replace(m, (struct run){at, 1}, "", 0);
}

static void add_a_line_end(struct mutant *m)
{
    static const char ends[] = "\r\n\r\n";
    size_t from = below(m, 3);
    insert(m, anywhere(m), ends + from, 1 + below(m, 4 - from));
}

static void add_space(struct mutant *m)
{
    size_t at = any_of(m, ":;=, \r/");
    insert(m, at + (at < m->s->len && below(m, 2)), below(m, 2) ? " " : "\t",
           1);
}

static void cut(struct mutant *m)
{
    size_t at = anywhere(m);
    replace(m, (struct run){at, m->s->len - at}, "", 0);
}

/* Lines that matter, and pieces of such. */
static void add_a_telling_line(struct mutant *m)
{
    static const char *const lines[] = {"Content-Length: 5\r\n",
                                        "Content-Length: 0\r\n",
                                        "Transfer-Encoding: chunked\r\n",
                                        "Transfer-Encoding: gzip\r\n",
                                        "Host: a\r\n",
                                        "Connection: close\r\n",
                                        "Connection: keep-alive\r\n",
                                        "Expect: 100-continue\r\n",
                                        "Upgrade: x\r\nConnection: upgrade\r\n",
                                        "\r\n",
                                        "0\r\n\r\n",
                                        "5\r\nhello\r\n",
                                        " x\r\n",
                                        "X: y\r\n",
                                        "GET / HTTP/1.1\r\n",
                                        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\n",
                                        "HTTP/1.1 100 Continue\r\n\r\n",
                                        "X:\r\n"};
    const char *line = lines[below(m, sizeof lines / sizeof *lines)];
    insert(m, any_line(m).at, line, strlen(line));
}

static void add_a_telling_word(struct mutant *m)
{
    static const char *const words[] = {
        "chunked",  ", chunked", "gzip, ",  ", ",          ";a=b",
        ";a=\"b\"", "0x",        "http://", "https://a",   "//",
        "[::1]",    ":80",       ":",       "%41",         "%",
        "#",        "*",         "OPTIONS", "CONNECT a:1", "HTTP/1.1",
        "HTTP/1.0", "HTTP/2.0",  "close",   "keep-alive",  "100-continue",
        "HEAD",     "?",         "a@b"};
    const char *word = words[below(m, sizeof words / sizeof *words)];
    size_t at = below(m, 2) ? anywhere(m) : any_of(m, " :,;/\r");
    insert(m, at, word, strlen(word));
}

static void (*const changes[])(struct mutant *m) = {delete_some,
                                                    insert_any_octet,
                                                    insert_a_telling_octet,
                                                    change_an_octet,
                                                    flip_a_bit,
                                                    double_a_line,
                                                    delete_a_line,
                                                    swap_lines,
                                                    splice,
                                                    append,
                                                    take_a_line_of_another,
                                                    change_case,
                                                    change_a_digit,
                                                    add_digits,
                                                    lose_a_cr,
                                                    lose_a_lf,
                                                    add_a_line_end,
                                                    add_space,
                                                    cut,
                                                    add_a_telling_line,
                                                    add_a_telling_word,
                                                    copy_a_line_elsewhere};

void http_mutate(const struct http_corpus *c, uint64_t seed,
                 struct http_outcome *ret)
{
    struct mutant m = {.corpus = c, .state = seed, .s = ret};
    (void)below(&m, 2); /* seeds that are neighbours differ from here on */
    outcome_clear(ret);
    outcome_add(ret, "", 0);
    append(&m);
    for (size_t n = below(&m, CHANGES + 1); n > 0; n--)
        changes[below(&m, sizeof changes / sizeof *changes)](&m);
}

/* ---- the comparison ----------------------------------------------------- */

struct comparison {
    const struct http_outcome *stream;
    struct http_outcome model, parser;
    uint64_t seed;
    bool response;
    const char *asked;
};

static void by_the_parser(struct comparison *k, struct http_pieces p)
{
    outcome_clear(&k->parser);
    if (k->response)
        http_drive_response(k->stream->text, k->stream->len, k->asked, p,
                            &k->parser);
    else
        http_drive_requests(k->stream->text, k->stream->len, p, &k->parser);
}

static void by_the_model(struct comparison *k)
{
    if (k->response)
        http_model_response(k->stream->text, k->stream->len, k->asked,
                            &k->model);
    else
        http_model_requests(k->stream->text, k->stream->len, &k->model);
}

static bool same(const struct comparison *k, struct http_pieces p)
{
    if (strcmp(outcome_text(&k->model), outcome_text(&k->parser)) == 0)
        return true;
    struct http_outcome quoted = {0};
    outcome_quote(&quoted, k->stream->text, k->stream->len);
    (void)printf("seed %" PRIu64 ", %s%s, %zu octets and then %zu\n%s\n"
                 "parser: %smodel:  %s\n",
                 k->seed, k->response ? "response to " : "requests",
                 k->response ? k->asked : "", p.first, p.then,
                 outcome_text(&quoted), outcome_text(&k->parser),
                 outcome_text(&k->model));
    outcome_free(&quoted);
    return false;
}

static bool agree(struct comparison *k, struct http_pieces p)
{
    by_the_parser(k, p);
    return same(k, p);
}

void http_differ(const struct http_corpus *c, bool response, uint64_t seed,
                 struct http_tally *tally)
{
    static const char *const verbs[] = {"GET", "GET", "HEAD", "CONNECT"};
    struct http_outcome stream = {0};
    struct comparison k = {.stream = &stream,
                           .model.detail = true,
                           .parser.detail = true,
                           .seed = seed,
                           .response = response};
    uint64_t state = seed ^ 0x5eed;
    http_mutate(c, seed, &stream);
    k.asked = verbs[random_draw_from(&state, 4)];
    struct http_pieces p;
    p.first = 1 + (size_t)random_draw_from(&state, stream.len + 1);
    p.then = 1 + (size_t)random_draw_from(&state, stream.len + 1);
    by_the_model(&k);
    tally->disagreements +=
        !(agree(&k, (struct http_pieces){0, 0}) && agree(&k, p));
    tally->streams++;
    const char *line = outcome_text(&k.model);
    tally->messages +=
        *line && !outcome_refuses(line) && !outcome_wants_more(line);
    tally->refused += strstr(outcome_text(&k.model), "! ") != NULL;
    outcome_free(&stream);
    outcome_free(&k.model);
    outcome_free(&k.parser);
}
