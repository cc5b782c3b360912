/* SPDX-License-Identifier: MIT */
/*
 * http_expected.h - what a server whose handler answers with METHOD TARGET, a
 * line end, and the body has to reply to a case of the corpus.
 */
#ifndef TESTS_HTTP_EXPECTED_H
#define TESTS_HTTP_EXPECTED_H

#include "http_corpus.h"

enum { HTTP_REPLIES = 32, HTTP_METHOD = 40 };

enum http_end { STAYS_OPEN, IS_CLOSED, WANTS_MORE };

struct http_expected {
    struct http_outcome reply[HTTP_REPLIES]; /* `200 length "GET /\n"`; `400` */
    char method[HTTP_REPLIES][HTTP_METHOD];
    int count;
    enum http_end end;
    bool is_over;      /* what follows in the stream is nothing to it */
    bool may_continue; /* 100 Continue is asked for */
};

/** Of the outcome of *c. One that was `drawn` by chance may have HTTP/1.0 in it
 *  and ask for a 100 all the same. */
void http_expect(struct http_expected *e, const struct http_case *c,
                 bool drawn);
void http_forget(struct http_expected *e);

/** From `s` to the next space, or to the end of the line. */
const char *http_word(const char *s, const char *end);

#endif
