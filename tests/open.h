/* SPDX-License-Identifier: MIT */
/* open.h - scopes and nurseries that cannot but open. */
#ifndef TESTS_OPEN_H
#define TESTS_OPEN_H

#include <weft/nursery.h>
#include <weft/scope.h>

#include "harness.h"

static inline void open_scope(weft_scope *s)
{
    weft_scope_init(s);
    CHECK_EQ(weft_scope_begin(s), 0);
}

static inline void open_cancelled_scope(weft_scope *s)
{
    open_scope(s);
    weft_scope_cancel(s, 0, NULL);
}

static inline void open_nursery(weft_nursery *n, weft_policy policy)
{
    const weft_nursery_opts o = {.policy = policy};
    CHECK_EQ(weft_nursery_open(n, &o), 0);
}

#endif
