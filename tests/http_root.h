/* SPDX-License-Identifier: MIT */
/* http_root.h - the corpus of tests/http, for a test. */
#ifndef TESTS_HTTP_ROOT_H
#define TESTS_HTTP_ROOT_H

#include <string.h>

#include "http_corpus.h"
#include "system.h"

/* The source tree, of which the tests are in build/FLAVOUR/tests. */
static inline void load_corpus(struct http_corpus *c, const char *prefix)
{
    char root[4096];
    system_program(root, sizeof root);
    for (int up = 0; up < 4; up++) {
        char *slash = strrchr(root, '/');
        if (slash) *slash = 0;
    }
    http_corpus_load(c, root, prefix);
}

#endif
