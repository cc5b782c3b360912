/* SPDX-License-Identifier: MIT */
/*
 * http_corpus.h - the files of tests/http: streams of octets, and what RFC 9110
 * and RFC 9112 make of them.
 *
 *     : a chunked body ends with an empty chunk              9112 7.1
 *     > POST /x HTTP/1.1
 *     > Host: a
 *     > Transfer-Encoding: chunked
 *     >
 *     > 5
 *     > hello
 *     | 0\r\n\r\n
 *     = POST /x chunked "hello" keep
 *
 * A case begins with its sentence and ends with the section that rules it: of
 * the RFC named, or of weft's own choice where that leaves one. Then come its
 * octets: those of a line of > with CR and LF behind them, those of a line of |
 * as they are. \r \n \t \\ and \xHH stand for one octet, and \(500 ab) for 500
 * times what is between the space and the parenthesis. What becomes of it is
 * said in lines of =, as tests/http_outcome.h has them; \( ) means the same.
 *
 *     % 413           a server: this status, where it says something else
 *                     than the parser, and closes
 *     @ HEAD          a response: to a request of that method
 *
 * Lines of # and empty ones are for the reader.
 */
#ifndef TESTS_HTTP_CORPUS_H
#define TESTS_HTTP_CORPUS_H

#include "http_outcome.h"

struct http_case {
    char *file, *sentence, *section;
    unsigned line;
    struct http_outcome octets, outcome;
    char *server; /* the line of %, or NULL */
    char *asked;  /* the line of @, or NULL */
};

struct http_corpus {
    struct http_case *cases;
    size_t count, room;
};

/** All files of tests/http whose names begin with `prefix`, in order. `root` is
 *  the source tree. What it cannot read it says, and exits. */
void http_corpus_load(struct http_corpus *c, const char *root,
                      const char *prefix);
void http_corpus_free(struct http_corpus *c);

#endif
