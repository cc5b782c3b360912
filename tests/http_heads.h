/* SPDX-License-Identifier: MIT */
/*
 * http_heads.h - what the parsers of heads say, as a text to compare:
 *
 *     said_of_request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", NULL)
 *     "GET / 1.1 origin path=/ host=a {Host=a}"
 *
 * and of one that is refused, how many octets told it:
 *
 *     "@15 400 a line does not end in CR LF"
 *
 * Each head is given whole, cut in two everywhere, and octet by octet, in
 * memory of exactly that length, which is another each time; that all say the
 * same is checked. The text stands until the next call.
 */
#ifndef HTTP_HEADS_H
#define HTTP_HEADS_H

#include <weft/http_parse.h>

enum { HEADS_ROOM = 200 };

const char *said_of_request(const char *head, const weft_http_limits *limits);
const char *said_of_request_of(const char *head, size_t len,
                               const weft_http_limits *limits);

const char *said_of_response(weft_http_verb asked, const char *head,
                             const weft_http_limits *limits);

const char *said_of_trailers(const char *section,
                             const weft_http_limits *limits);

/** The body between brackets, then how many octets were taken, or what is
 *  wrong: "[abc] 12". */
const char *said_of_chunks(const char *chunks, size_t len);

#endif
