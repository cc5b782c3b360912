/* SPDX-License-Identifier: MIT */
/*
 * http_model.h - what a stream of HTTP messages means, found out in the most
 * obvious way: all of it at once, octet by octet, one function for each rule of
 * the grammar, and nothing remembered but the place.
 *
 * It knows RFC 9110 and 9112, and where weft is strict by its own choice what
 * weft/http_parse.h says; it shares no line with the parser.
 */
#ifndef TESTS_HTTP_MODEL_H
#define TESTS_HTTP_MODEL_H

#include "http_outcome.h"

/** All requests of a stream, up to its end, to a refusal, or to one after which
 *  the connection is closed. */
void http_model_requests(const char *octets, size_t len,
                         struct http_outcome *ret);

/** The responses to one request with that method; then the stream ends. Returns
 *  how many octets these are. */
size_t http_model_response(const char *octets, size_t len, const char *asked,
                           struct http_outcome *ret);

#endif
