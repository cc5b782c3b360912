/* SPDX-License-Identifier: MIT */
/*
 * unhandled.h - what the hook of weft_on_unhandled was told: how often, and by
 * the last error.
 */
#ifndef TESTS_UNHANDLED_H
#define TESTS_UNHANDLED_H

#include <weft/error.h>

#include <stdio.h>

static unsigned unhandled;
static int unhandled_code;
static char unhandled_msg[128];

static inline void note_unhandled(const weft_error *e)
{
    unhandled++;
    unhandled_code = e->code;
    (void)snprintf(unhandled_msg, sizeof unhandled_msg, "%s", e->msg);
}

#endif
