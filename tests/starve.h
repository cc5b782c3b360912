/* SPDX-License-Identifier: MIT */
/*
 * starve.h - a piece of work without memory, at every moment of its life.
 *
 *     static int work(void *unused) { ... CHECK what holds all the same ... }
 *     STARVE(a_gather_without_memory_loses_no_job, work)
 *
 * In a hostile build (BUILD=hostile) every allocation and every mapping that
 * the work causes is refused in turn, each once by itself and once with all
 * that follow; a run each, in a process each. The work may fail (weft_run too,
 * before it begins), but not hang, and nothing may be left behind. In other
 * builds it runs once, with all the memory it wants.
 */
#ifndef TESTS_STARVE_H
#define TESTS_STARVE_H

#include <weft/base.h>

#include "harness.h"

#define STARVE(id, work)                                                       \
    TEST_PLAIN(id)                                                             \
    {                                                                          \
        starve(work);                                                          \
    }

void starve(weft_fn work);

#ifdef WEFT_HOSTILE
#include "runtime/os.h"

/* The same for one kind of call, and for work that notices: it returns -ENOMEM
 * when something was refused to it, which has to happen, and 0 when nothing
 * was. */
void fail_each(weft_fn work, enum wf_call call);

/* One such series, each once by itself (WEFT_HOSTILE_NTH) or with all that
 * follow (WEFT_HOSTILE_AFTER), for work that may fail as it likes. Returns how
 * many of its runs did. */
int refuse_in_turn(weft_fn work, enum wf_call call, const char *which);
#endif

#endif
