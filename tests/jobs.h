/* SPDX-License-Identifier: MIT */
/* jobs.h - what stands in a weft_job before and after. */
#ifndef TESTS_JOBS_H
#define TESTS_JOBS_H

#include <weft/gather.h>

#include <string.h>

#include "harness.h"

/* The answers are filled with what is no answer. */
static inline void make_job(weft_job *j, weft_fn fn, void *arg,
                            void (*discard)(void *arg))
{
    memset(j, 0x5a, sizeof *j);
    j->started = true;
    j->fn = fn;
    j->arg = arg;
    j->discard = discard;
}

static inline void check_job(const weft_job *j, weft_status status, int rc)
{
    CHECK_EQ(j->started, true);
    CHECK_EQ(j->status, status);
    CHECK_EQ(j->rc, rc);
}

static inline void check_no_start(const weft_job *j, int why)
{
    CHECK_EQ(j->started, false);
    CHECK_EQ(j->status, WEFT_CANCELLED);
    CHECK_EQ(j->rc, why);
}

#endif
