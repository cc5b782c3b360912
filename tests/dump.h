/* SPDX-License-Identifier: MIT */
/* dump.h - what weft_dump writes, as a text. */
#ifndef TESTS_DUMP_H
#define TESTS_DUMP_H

#include <weft/debug.h>

#include <stdio.h>
#include <unistd.h>

#include "harness.h"

static inline const char *dump(void)
{
    static char text[2 << 20];
    FILE *file = tmpfile();
    CHECK(file != NULL);
    weft_dump(fileno(file));
    ssize_t n = pread(fileno(file), text, sizeof text - 1, 0);
    CHECK(n >= 0);
    text[n] = '\0';
    CHECK_EQ(fclose(file), 0);
    return text;
}

#endif
