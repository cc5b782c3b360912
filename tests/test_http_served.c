/* SPDX-License-Identifier: MIT */
/*
 * test_http_served.c - each stream of requests in tests/http to a server, whose
 * handler answers with what it was asked: whole, octet by octet, and in two
 * pieces. Replies are read by the model, so that no parser of the library says
 * of another that it is right.
 *
 * For each message that is accepted there is one reply, then one for what is
 * refused, and no octet besides. Then the connection is open, for a second at
 * least, or the server has closed it: as the corpus says.
 */
#include <weft/fiber.h>
#include <weft/http_server.h>
#include <weft/memory.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chance.h"
#include "harness.h"
#include "http_expected.h"
#include "http_model.h"
#include "http_mutate.h"
#include "http_root.h"

enum { PIPE = 1 << 18, SHORT = 700 };

/* ---- a visit ------------------------------------------------------------ */

struct visit {
    weft_memory_listener *listener;
    const struct http_case *c;
    size_t first, then; /* pieces: octets at first, then at a time; 0: all */
    struct http_outcome replies, said;
    struct http_expected expected;
    bool drawn;  /* by chance, so that not all is known before */
    bool closed; /* by the server, and not by us first */
    unsigned wrong;
};

/* What the other side has no use for any more is lost. */
static void send_pieces(struct visit *v, weft_transport *t)
{
    size_t len = v->c->octets.len, piece = v->first;
    for (size_t at = 0; at < len; at += piece, piece = v->then) {
        if (piece == 0 || piece > len - at) piece = len - at;
        const char *from = outcome_text(&v->c->octets) + at;
        if (weft_transport_write_all(t, from, piece, NULL) < 0) return;
        CHECK_EQ(weft_sleep(1), 0);
    }
}

/* All that comes within a second; true: and then the end. */
static bool receive(struct visit *v, weft_transport *t)
{
    char buf[256];
    for (;;) {
        int rc;
        ssize_t n = -ETIMEDOUT;
        WEFT_MOVE_ON_AFTER(rc, WEFT_SEC(1))
            n = weft_transport_read(t, buf, sizeof buf);
        if (n == 0) return true;
        if (n < 0) return false;
        outcome_add(&v->replies, buf, (size_t)n);
    }
}

static void differs(struct visit *v, const char *what, const char *got,
                    const char *wanted)
{
    const struct http_case *c = v->c;
    (void)printf(
        "%s:%u: %s (RFC %s)\npieces %zu, %zu: %s: %.300s, not %.300s\n",
        c->file, c->line, c->sentence, c->section, v->first, v->then, what, got,
        wanted);
    v->wrong++;
}

/* Without what comes before the final one, which is counted. */
static const char * final(const char *said, unsigned *continued)
{
    for (*continued = 0; strncmp(said, "100 interim\n", 12) == 0; said += 12)
        ++*continued;
    return said;
}

/* A refusal says its status, and what it likes. */
static bool is_the_reply(const char *said, const struct http_outcome *wanted)
{
    size_t len = wanted->len;
    if (strncmp(said, outcome_text(wanted), len) != 0) return false;
    if (len == 3 && wanted->text[0] != '2') return said[len] == ' ';
    return said[len] == ' ' && !strchr(said + len, '"');
}

static bool ends_in(const char *said, const char *word)
{
    size_t len = strlen(said), end = strlen(word);
    return len > end && memcmp(said + len - end - 1, word, end) == 0;
}

/* By the model. What is refused may have been a HEAD, as far as it could be
 * read, and then the reply has no body. */
static size_t read_reply(const struct http_outcome *replies, size_t at,
                         const char *method, struct http_outcome *said)
{
    const char *octets = outcome_text(replies) + at;
    size_t len = replies->len - at;
    size_t n = http_model_response(octets, len, method, said);
    bool refused = strncmp(octets, "HTTP/1.1 4", 10) == 0 ||
                   strncmp(octets, "HTTP/1.1 5", 10) == 0;
    if (!refused || strcmp(outcome_text(said), "! cut\n") != 0) return n;
    outcome_clear(said);
    return http_model_response(octets, len, "HEAD", said);
}

static size_t check_reply(struct visit *v, size_t at, int i)
{
    struct http_outcome said = {0};
    struct http_expected *e = &v->expected;
    unsigned continued;
    size_t n = read_reply(&v->replies, at, e->method[i], &said);
    const char *text = final(outcome_text(&said), &continued);
    if (!is_the_reply(text, &e->reply[i]))
        differs(v, "reply", text, outcome_text(&e->reply[i]));
    if (continued > e->may_continue)
        differs(v, "replies before it", outcome_text(&said), "fewer");
    if (i + 1 == e->count && e->end == IS_CLOSED && !ends_in(text, "close"))
        differs(v, "reply", text, "the last, which says so");
    outcome_free(&said);
    return n;
}

/* While it waits for a body a server may have said that it does; or that this
 * one is too large for it. */
static void check_rest(struct visit *v, const char *rest)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    bool waits = v->expected.end == WANTS_MORE;
    if (waits && v->expected.may_continue &&
        strncmp(rest, go_on, sizeof go_on - 1) == 0)
        rest += sizeof go_on - 1;
    if (waits && v->drawn && strncmp(rest, "HTTP/1.1 413 ", 13) == 0) {
        v->expected.end = IS_CLOSED;
        return;
    }
    if (rest[0]) differs(v, "more replies", rest, "none");
}

static void check_replies(struct visit *v)
{
    size_t at = 0;
    for (int i = 0; i < v->expected.count; i++)
        at += check_reply(v, at, i);
    check_rest(v, outcome_text(&v->replies) + at);
    if (v->closed != (v->expected.end == IS_CLOSED))
        differs(v, "the connection", v->closed ? "closed" : "open",
                v->closed ? "open" : "closed");
}

/* A connection that has not been closed ends with what was asked: with nothing
 * more, or, within a message, with one complaint at most. */
static void check_end(struct visit *v, weft_transport *t)
{
    outcome_clear(&v->replies);
    CHECK_EQ(weft_transport_shutdown_write(t), 0);
    if (!receive(v, t)) differs(v, "after our end", "open", "closed");
    if (v->replies.len == 0) return;
    struct http_outcome said = {0};
    size_t n = read_reply(&v->replies, 0, "GET", &said);
    const char *text = outcome_text(&said);
    if (v->expected.end != WANTS_MORE || n != v->replies.len ||
        (text[0] != '4' && text[0] != '5'))
        differs(v, "after our end", v->replies.text, "nothing");
    outcome_free(&said);
}

static void visit(struct visit *v)
{
    weft_transport *t;
    http_expect(&v->expected, v->c, v->drawn);
    CHECK_EQ(weft_memory_dial(v->listener, &t), 0);
    send_pieces(v, t);
    v->closed = receive(v, t);
    check_replies(v);
    if (!v->closed) check_end(v, t);
    weft_transport_close(t);
    http_forget(&v->expected);
    outcome_clear(&v->replies);
}

/* ---- the server --------------------------------------------------------- */

static int echo(weft_req *r, void *ctx)
{
    weft_text body;
    (void)ctx;
    int rc = weft_req_body(r, 0, &body);
    if (rc < 0) return rc;
    const weft_http_request *h = &r->head;
    size_t len = h->method.len + 1 + h->target.len + 1 + body.len;
    rc = weft_reply_begin(r, 200, "text/plain", len);
    if (rc == 0) rc = weft_reply_write(r, h->method.at, h->method.len);
    if (rc == 0) rc = weft_reply_write(r, " ", 1);
    if (rc == 0) rc = weft_reply_write(r, h->target.at, h->target.len);
    if (rc == 0) rc = weft_reply_write(r, "\n", 1);
    if (rc == 0) rc = weft_reply_write(r, body.at, body.len);
    return rc == 0 ? weft_reply_end(r) : rc;
}

struct service {
    weft_http_server *server;
    weft_memory_listener *listener;
};

static int serve(void *arg)
{
    struct service *s = arg;
    int rc = weft_http_serve_memory(s->server, s->listener);
    return rc == -ECANCELED ? 0 : rc;
}

static void open_service(struct service *s)
{
    s->server = weft_http_server_new(&(weft_http_server_opts){.handler = echo});
    s->listener = weft_memory_listener_new(0);
    CHECK(s->server && s->listener);
    weft_memory_listener_set_capacity(s->listener, PIPE);
}

static void close_service(struct service *s)
{
    weft_memory_listener_free(s->listener);
    weft_http_server_free(s->server);
}

static void whole(struct visit *v)
{
    visit(v);
}

static void octet_by_octet(struct visit *v)
{
    size_t len = v->c->octets.len;
    if (test_is_slow() && v->c->line % 5 != 0) return;
    v->first = v->then = len > SHORT ? 1 + len / 40 : 1;
    visit(v);
}

static void in_two(struct visit *v)
{
    size_t len = v->c->octets.len;
    size_t step = test_is_slow() || len > SHORT ? 1 + len / 3 : 5;
    for (v->first = 1 + v->c->line % step; v->first < len; v->first += step)
        visit(v);
}

static void each_request(void (*deliver)(struct visit *v))
{
    struct http_corpus corpus;
    struct service s;
    unsigned wrong = 0;
    int rc;
    load_corpus(&corpus, "request");
    open_service(&s);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, serve, &s), 0);
        for (size_t i = 0; i < corpus.count; i++) {
            struct visit v = {.listener = s.listener, .c = &corpus.cases[i]};
            deliver(&v);
            wrong += v.wrong;
            outcome_free(&v.replies);
        }
        weft_nursery_cancel(&n, 0, NULL);
    }
    close_service(&s);
    http_corpus_free(&corpus);
    CHECK_EQ(wrong, 0);
}

TEST(a_server_answers_each_request_of_the_corpus_as_the_rfc_has_it)
{
    each_request(whole);
}

TEST(a_server_answers_each_request_that_comes_octet_by_octet)
{
    each_request(octet_by_octet);
}

TEST(a_server_answers_each_request_that_comes_in_two_pieces)
{
    each_request(in_two);
}

/* ---- what was drawn by chance ------------------------------------------- */

/* A method or target that holds what parts the words of an outcome; or a
 * CONNECT whose body would come, had it not been refused before. */
static bool is_odd(const struct http_case *c)
{
    const char *outcome = outcome_text(&c->outcome);
    unsigned lines = 0;
    if (strstr(outcome_text(&c->octets), "CONNECT ")) return true;
    for (const char *line = outcome, *end; (end = strchr(line, '\n'));
         line = end + 1, lines++) {
        const char *target = http_word(http_word(line, end) + 1, end);
        for (const char *at = line; at < target; at++)
            if (*at == '"' || *at == '\\') return true;
    }
    return lines > HTTP_REPLIES;
}

static void visit_drawn(weft_memory_listener *l, struct http_case *c,
                        unsigned *wrong)
{
    size_t len = c->octets.len;
    struct visit v = {.listener = l, .c = c, .drawn = true};
    v.first = 1 + random_below(len + 1);
    v.then = 1 + random_below(len + 1);
    http_model_requests(outcome_text(&c->octets), len, &c->outcome);
    if (!is_odd(c)) visit(&v);
    if (v.wrong) outcome_quote(&v.replies, c->octets.text, len);
    if (v.wrong) (void)printf("%s\n", outcome_text(&v.replies));
    *wrong += v.wrong;
    outcome_free(&v.replies);
}

static void visits_drawn(weft_memory_listener *l, unsigned *wrong)
{
    struct http_corpus corpus;
    uint64_t seed = test_seed() << 20;
    random_begin(seed);
    load_corpus(&corpus, "request");
    struct http_case c = {.file = "seed", .sentence = "drawn", .section = "-"};
    for (int i = 0; i < (test_is_slow() ? 200 : 5000); i++, seed++) {
        http_mutate(&corpus, seed, &c.octets);
        c.line = (unsigned)i;
        visit_drawn(l, &c, wrong);
        outcome_clear(&c.outcome);
    }
    outcome_free(&c.octets);
    outcome_free(&c.outcome);
    http_corpus_free(&corpus);
}

TEST(a_server_answers_mutated_requests_as_the_model_has_it)
{
    struct service s;
    unsigned wrong = 0;
    int rc;
    open_service(&s);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, serve, &s), 0);
        visits_drawn(s.listener, &wrong);
        weft_nursery_cancel(&n, 0, NULL);
    }
    close_service(&s);
    CHECK_EQ(wrong, 0);
}

/* ---- what a corpus cannot say ------------------------------------------- */

/* Sends it, and reads what comes at once, into `buf` with a 0. */
static void ask(weft_transport *t, const char *octets, char *buf, size_t size)
{
    struct visit v = {0};
    CHECK_EQ(weft_transport_write_all(t, octets, strlen(octets), NULL), 0);
    CHECK(!receive(&v, t));
    CHECK(v.replies.len < size);
    memcpy(buf, outcome_text(&v.replies), v.replies.len);
    buf[v.replies.len] = 0;
    outcome_free(&v.replies);
}

#define WITH_CLIENT(t)                                                         \
    struct service s_;                                                         \
    int rc_;                                                                   \
    open_service(&s_);                                                         \
    WEFT_NURSERY(n_, rc_)                                                      \
        for (weft_transport *t = begin(&n_, &s_); t; weft_transport_close(t),  \
                            t = NULL, weft_nursery_cancel(&n_, 0, NULL))

static weft_transport *begin(weft_nursery *n, struct service *s)
{
    weft_transport *t = NULL;
    CHECK_EQ(weft_spawn(n, serve, s), 0);
    CHECK_EQ(weft_memory_dial(s->listener, &t), 0);
    return t;
}

TEST(chunks_that_pass_the_limit_of_a_body_get_a_413)
{
    static char chunk[65536 + 16];
    char text[1024];
    int n = snprintf(chunk, sizeof chunk, "10000\r\n");
    memset(chunk + n, 'x', 65536);
    memcpy(chunk + n + 65536, "\r\n", 2);
    WITH_CLIENT(t)
    {
        ask(t,
            "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
            "\r\n",
            text, sizeof text);
        for (int i = 0; i < 17; i++)
            CHECK_EQ(
                weft_transport_write_all(t, chunk, (size_t)n + 65538, NULL), 0);
        struct visit v = {0};
        CHECK(receive(&v, t));
        CHECK(strncmp(outcome_text(&v.replies), "HTTP/1.1 413 ", 13) == 0);
        CHECK(!strstr(outcome_text(&v.replies) + 1, "HTTP/1.1 "));
        outcome_free(&v.replies);
    }
    CHECK_EQ(rc_, 0);
    close_service(&s_);
}

TEST(who_waits_for_a_100_gets_it_and_then_the_reply)
{
    char text[1024];
    WITH_CLIENT(t)
    {
        ask(t,
            "POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
            "Content-Length: 5\r\n\r\n",
            text, sizeof text);
        CHECK_STR(text, "HTTP/1.1 100 Continue\r\n\r\n");
        ask(t, "hello", text, sizeof text);
        CHECK(strncmp(text, "HTTP/1.1 200 ", 13) == 0);
        CHECK(strstr(text, "\r\n\r\nPOST /x\nhello") != NULL);
    }
    CHECK_EQ(rc_, 0);
    close_service(&s_);
}

TEST(a_client_of_http_1_0_gets_no_100_and_is_told_that_it_is_kept)
{
    char text[1024];
    WITH_CLIENT(t)
    {
        const char *head = "POST /x HTTP/1.0\r\nConnection: keep-alive\r\n"
                           "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n";
        ask(t, head, text, sizeof text);
        CHECK_STR(text, "");
        ask(t, "hello", text, sizeof text);
        CHECK(strncmp(text, "HTTP/1.1 200 ", 13) == 0);
        CHECK(strcasestr(text, "\r\nConnection: keep-alive\r\n") != NULL);
    }
    CHECK_EQ(rc_, 0);
    close_service(&s_);
}
