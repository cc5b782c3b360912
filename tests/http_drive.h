/* SPDX-License-Identifier: MIT */
/*
 * http_drive.h - what the parsers of weft/http_parse.h make of a stream that
 * comes in pieces.
 *
 * Each piece is delivered with nothing behind it and elsewhere than the one
 * before, which is gone, so that a sanitizer sees a look too far and a text
 * that stayed behind. What the header promises besides (an answer given once is
 * given again; texts follow the head that moves) is checked on the way.
 */
#ifndef TESTS_HTTP_DRIVE_H
#define TESTS_HTTP_DRIVE_H

#include "http_outcome.h"

/** The pieces: so many octets at first, then so many at a time; 0: the rest. */
struct http_pieces {
    size_t first, then;
};

void http_drive_requests(const char *octets, size_t len, struct http_pieces p,
                         struct http_outcome *ret);

/** To a request of that method; then the stream ends. */
void http_drive_response(const char *octets, size_t len, const char *asked,
                         struct http_pieces p, struct http_outcome *ret);

#endif
