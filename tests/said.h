/* SPDX-License-Identifier: MIT */
/* said.h - what fibers say, one after the other. */
#ifndef TESTS_SAID_H
#define TESTS_SAID_H

#include <string.h>

#include "harness.h"

static char said[256];

static inline void say(const char *text)
{
    CHECK(strlen(said) + strlen(text) < sizeof said);
    strcat(said, text);
}

static inline void say_letter(char letter)
{
    say((const char[]){letter, '\0'});
}

static inline int says(void *text)
{
    say(text);
    return 0;
}

#endif
