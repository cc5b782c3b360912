/* SPDX-License-Identifier: MIT */
/*
 * test_http_corpus.c - each stream of tests/http through the parser: whole,
 * octet by octet, and in two pieces cut at every place; and through the model,
 * so that one of the three is wrong if they differ.
 */
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "http_drive.h"
#include "http_model.h"
#include "http_root.h"

/* Streams that are longer are not cut everywhere, and not octet by octet. */
enum { LONG = 1500, PLACES = 40 };

struct corpus_run {
    const struct http_case *c;
    bool response;
    unsigned wrong;
};

static const char *asked(const struct http_case *c)
{
    return c->asked ? c->asked : "GET";
}

static void compare(struct corpus_run *r, const char *how, size_t at,
                    struct http_outcome *got)
{
    const struct http_case *c = r->c;
    if (strcmp(outcome_text(got), outcome_text(&c->outcome)) != 0) {
        (void)printf("%s:%u: %s (RFC %s)\n%s %zu: %.400snot:\n%.400s\n",
                     c->file, c->line, c->sentence, c->section, how, at,
                     outcome_text(got), outcome_text(&c->outcome));
        r->wrong++;
    }
    outcome_free(got);
}

static void in_pieces(struct corpus_run *r, const char *how,
                      struct http_pieces p)
{
    struct http_outcome got = {0};
    const struct http_case *c = r->c;
    const char *octets = outcome_text(&c->octets);
    if (r->response)
        http_drive_response(octets, c->octets.len, asked(c), p, &got);
    else
        http_drive_requests(octets, c->octets.len, p, &got);
    compare(r, how, p.first, &got);
}

static size_t stride(size_t len)
{
    size_t places = test_is_slow() ? PLACES / 2 : PLACES;
    if (len <= LONG && !test_is_slow()) return 1;
    return 1 + len / places;
}

static void whole(struct corpus_run *r)
{
    in_pieces(r, "whole", (struct http_pieces){0, 0});
}

static void octet_by_octet(struct corpus_run *r)
{
    size_t n = r->c->octets.len > LONG ? stride(r->c->octets.len) : 1;
    in_pieces(r, "pieces of", (struct http_pieces){n, n});
}

static void in_two(struct corpus_run *r)
{
    size_t len = r->c->octets.len;
    for (size_t at = 1; at < len; at += stride(len))
        in_pieces(r, "cut at", (struct http_pieces){at, 0});
}

static void by_the_model(struct corpus_run *r)
{
    struct http_outcome got = {0};
    const struct http_case *c = r->c;
    const char *octets = outcome_text(&c->octets);
    if (r->response)
        http_model_response(octets, c->octets.len, asked(c), &got);
    else
        http_model_requests(octets, c->octets.len, &got);
    compare(r, "the model", 0, &got);
}

static void each_case(bool response, size_t least,
                      void (*fn)(struct corpus_run *r))
{
    struct http_corpus corpus;
    load_corpus(&corpus, response ? "response" : "request");
    struct corpus_run r = {.response = response};
    for (size_t i = 0; i < corpus.count; i++) {
        r.c = &corpus.cases[i];
        fn(&r);
    }
    CHECK(corpus.count >= least);
    http_corpus_free(&corpus);
    CHECK_EQ(r.wrong, 0);
}

static void each_request(void (*fn)(struct corpus_run *r))
{
    each_case(false, 320, fn);
}

static void each_response(void (*fn)(struct corpus_run *r))
{
    each_case(true, 120, fn);
}

TEST_PLAIN(each_request_of_the_corpus_is_taken_as_the_rfc_has_it)
{
    each_request(whole);
}

TEST_PLAIN(each_request_of_the_corpus_may_come_octet_by_octet)
{
    each_request(octet_by_octet);
}

TEST_PLAIN(each_request_of_the_corpus_may_come_in_two_pieces)
{
    each_request(in_two);
}

TEST_PLAIN(the_model_takes_each_request_of_the_corpus_so_too)
{
    each_request(by_the_model);
}

TEST_PLAIN(each_response_of_the_corpus_is_taken_as_the_rfc_has_it)
{
    each_response(whole);
}

TEST_PLAIN(each_response_of_the_corpus_may_come_octet_by_octet)
{
    each_response(octet_by_octet);
}

TEST_PLAIN(each_response_of_the_corpus_may_come_in_two_pieces)
{
    each_response(in_two);
}

TEST_PLAIN(the_model_takes_each_response_of_the_corpus_so_too)
{
    each_response(by_the_model);
}

TEST_PLAIN(no_sentence_of_the_corpus_is_there_twice_in_a_file)
{
    for (int response = 0; response <= 1; response++) {
        struct http_corpus c;
        load_corpus(&c, response ? "response" : "request");
        for (size_t i = 0; i < c.count; i++)
            for (size_t j = 0; j < i; j++)
                if (strcmp(c.cases[i].sentence, c.cases[j].sentence) == 0 &&
                    strcmp(c.cases[i].file, c.cases[j].file) == 0)
                    test_fail(c.cases[i].file, (int)c.cases[i].line, "%s",
                              c.cases[i].sentence);
        http_corpus_free(&c);
    }
}
