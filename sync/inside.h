/* SPDX-License-Identifier: MIT */
/*
 * inside.h - whom others wait for, until a function that it runs has returned.
 */
#ifndef WF_INSIDE_H
#define WF_INSIDE_H

#include "sync/child.h"

/* Is f the fiber that runs the function, or in a nursery that this has opened?
 * The function cannot return before such an f. `since` was the innermost scope
 * of `runner` when it called the function: a nursery from before that does not
 * count, for its children may well wait. */
static inline bool wf_is_inside(const weft_fiber *f, const weft_fiber *runner,
                                const weft_scope *since)
{
    const weft_scope *s = NULL; /* of the runner's nursery on the way to f */
    while (f && f != runner) {
        s = &f->nursery->scope_;
        f = s->owner_;
    }
    if (!f || !s) return f != NULL;
    do
        s = s->parent_;
    while (s && s != since);
    return s != NULL;
}

#endif
