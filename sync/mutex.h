/* SPDX-License-Identifier: MIT */
/*
 * mutex.h - a mutex, for those who are built of one: conditions, whose waiters
 * go on to the line of a mutex, and rwlocks, whose writer owns one.
 */
#ifndef WF_MUTEX_H
#define WF_MUTEX_H

#include <weft/mutex.h>

#include "sync/child.h"

/* Not a fiber: the owner of a mutex whose owner has ended. */
extern const char wf_dead_fiber;
#define WF_DEAD ((weft_fiber *)(uintptr_t)&wf_dead_fiber)

/* Makes f, running or parked, the owner of *m, which has none. The usual case,
 * that it is the only one held, takes a branch instead of a load that waits for
 * the last unlock's store. */
static inline void wf_mutex_own(weft_mutex *m, weft_fiber *f)
{
    struct wf_child *c = wf_child_of(f);
    m->owner_ = f;
    m->held_ = NULL;
    if (__builtin_expect(c->held != NULL, 0)) m->held_ = c->held;
    c->held = m;
}

/* Takes *m out of what its owner f holds. It is still to be given to another
 * fiber, or to nobody. */
static inline void wf_mutex_disown(weft_mutex *m, weft_fiber *f)
{
    weft_mutex **at = &wf_child_of(f)->held;
    if (__builtin_expect(*at == m && !m->held_, 1)) {
        *at = NULL;
        return;
    }
    while (*at != m)
        at = &(*at)->held_;
    *at = m->held_;
}

/* Has f, which is parked and in no queue any more, go on when it owns *m, with
 * 0; or with -EOWNERDEAD, without it. It cannot be cancelled until then. */
void wf_mutex_line_up(weft_mutex *m, weft_fiber *f);

#endif
