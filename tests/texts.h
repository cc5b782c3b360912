/* SPDX-License-Identifier: MIT */
/* texts.h - comparing pieces of text in tests. */
#ifndef TESTS_TEXTS_H
#define TESTS_TEXTS_H

#include <weft/text.h>

#include <stdio.h>

#include "harness.h"

/** The text as a string, "(none)" if it is not there; good for a few calls. */
static inline const char *text_shown(weft_text t)
{
    static char shown[4][300];
    static unsigned next;
    char *buf = shown[next++ % 4];
    if (!t.at) return "(none)";
    (void)snprintf(buf, sizeof *shown, "%.*s", WEFT_TEXT_ARGS(t));
    return buf;
}

#define CHECK_TEXT(got, want)                                                  \
    test_check_str(__FILE__, __LINE__, #got, text_shown(got), (want))

/** Part of the record of the last failure, which has to be -EINVAL. */
#define CHECK_SAID(part)                                                       \
    do {                                                                       \
        const weft_error *said_ = weft_last_error();                           \
        CHECK(said_);                                                          \
        CHECK_EQ(said_->code, -EINVAL);                                        \
        if (!strstr(said_->msg, (part)))                                       \
            test_fail(__FILE__, __LINE__, "\"%s\" is not in \"%s\"", (part),   \
                      said_->msg);                                             \
    } while (0)

#endif
