/* SPDX-License-Identifier: MIT */
/*
 * http_mutate.h - streams that nobody would write: cases of the corpus with
 * octets, lines and numbers changed by chance. And whether parser and model
 * agree on them.
 */
#ifndef TESTS_HTTP_MUTATE_H
#define TESTS_HTTP_MUTATE_H

#include <stdint.h>

#include "http_corpus.h"

/** Makes the stream of that seed, of one or two cases of the corpus. */
void http_mutate(const struct http_corpus *c, uint64_t seed,
                 struct http_outcome *ret);

struct http_tally {
    uint64_t streams, disagreements;
    uint64_t messages, refused; /* of the streams that had any, or were */
};

/** Compares the two on the stream of that seed: what is accepted, with all its
 *  parts, and how it ends. A difference is printed. */
void http_differ(const struct http_corpus *c, bool response, uint64_t seed,
                 struct http_tally *tally);

#endif
