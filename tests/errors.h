/* SPDX-License-Identifier: MIT */
/* errors.h - the list of the last error, as codes. */
#ifndef TESTS_ERRORS_H
#define TESTS_ERRORS_H

#include <weft/error.h>

#include "harness.h"

static inline void check_errors(const int *codes, size_t n)
{
    const weft_error *e = weft_last_error();
    for (size_t i = 0; i < n; i++, e = e->next) {
        CHECK(e != NULL);
        CHECK_EQ(e->code, codes[i]);
    }
    CHECK(e == NULL);
}

#define CHECK_ERRORS(...)                                                      \
    check_errors((const int[]){__VA_ARGS__},                                   \
                 sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

#endif
