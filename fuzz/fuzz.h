/* SPDX-License-Identifier: MIT */
/*
 * fuzz.h - what parses the octets of strangers, given any octets.
 *
 *     FUZZ_TARGET(dns)
 *     {
 *         struct wf_dns_reader r;
 *         if (wf_dns_read(&r, data, size, &head) < 0) return;
 *         FUZZ_CHECK(r.at <= size);
 *     }
 *
 * in fuzz/fuzz_dns.c is a program of `make fuzz`, where clang's libFuzzer looks
 * for octets that lead elsewhere; and part of test_corpus, which gives it what
 * was found so far, fuzz/corpus/dns, in every flavour. The octets stand at the
 * end of their memory, for a sanitizer. A target keeps nothing between calls.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FUZZ_CHECK(cond)                                                       \
    do {                                                                       \
        if (!(cond)) {                                                         \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__,   \
                          #cond);                                              \
            abort();                                                           \
        }                                                                      \
    } while (0)

typedef void fuzz_fn(const uint8_t *data, size_t size);

#ifdef WEFT_FUZZ

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_TARGET(id)                                                        \
    static fuzz_fn id;                                                         \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)               \
    {                                                                          \
        id(data, size);                                                        \
        return 0;                                                              \
    }                                                                          \
    static void id(const uint8_t *data, size_t size)

#else

struct fuzz_target {
    const char *name;
    fuzz_fn *run;
    struct fuzz_target *next;
};

extern struct fuzz_target *fuzz_targets; /* of test_corpus.c */

#define FUZZ_TARGET(id)                                                        \
    static fuzz_fn id;                                                         \
    __attribute__((constructor)) static void id##_register(void)               \
    {                                                                          \
        static struct fuzz_target t = {.name = #id, .run = id};                \
        t.next = fuzz_targets;                                                 \
        fuzz_targets = &t;                                                     \
    }                                                                          \
    static void id(const uint8_t *data, size_t size)

#endif

#endif
