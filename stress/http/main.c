/* SPDX-License-Identifier: MIT */
/*
 * main.c - mutated streams from the command line.
 *
 *     fuzz-http [--seed N] [--seeds N] [--corpus ROOT]
 *
 * One stream for each seed from N on: two of three are requests, the rest a
 * response. A difference between parser and model is printed, with its seed,
 * and makes it fail. ROOT is the source tree, where tests/http is.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/http_mutate.h"

static int usage(const char *program)
{
    (void)fprintf(stderr, "usage: %s [--seed N] [--seeds N] [--corpus ROOT]\n",
                  program);
    return 2;
}

int main(int argc, char **argv)
{
    uint64_t seed = 1, seeds = 1;
    const char *root = ".";
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc) return usage(argv[0]);
        if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--seeds") == 0)
            seeds = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--corpus") == 0)
            root = argv[i + 1];
        else
            return usage(argv[0]);
    }
    struct http_corpus requests, responses;
    struct http_tally tally = {0};
    http_corpus_load(&requests, root, "request");
    http_corpus_load(&responses, root, "response");
    for (uint64_t i = 0; i < seeds; i++, seed++) {
        bool response = seed % 3 == 0;
        http_differ(response ? &responses : &requests, response, seed, &tally);
    }
    http_corpus_free(&requests);
    http_corpus_free(&responses);
    printf("%" PRIu64 " with messages, %" PRIu64 " refused\n", tally.messages,
           tally.refused);
    printf("%" PRIu64 " streams, %" PRIu64 " disagreements\n", tally.streams,
           tally.disagreements);
    return tally.disagreements > 0;
}
