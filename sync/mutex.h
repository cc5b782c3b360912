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

/* One that f holds is not what it was: the end of the process. */
_Noreturn void wf_mutex_overwritten(const weft_fiber *f) __attribute__((cold));

/* A mutex that is free, yet among those held, was overwritten. The oldest that
 * are held are looked at in a debug build only: there may be many. */
static inline void wf_mutex_check_new(const struct wf_child *c,
                                      const weft_mutex *m)
{
    const weft_mutex *held = c->held;
#ifdef WEFT_DEBUG
    while (held != m && held->held_)
        held = held->held_;
#endif
    if (held == m) wf_mutex_overwritten(&c->fiber);
}

/* Makes f, running or parked, the owner of *m, which has none. The usual case,
 * that it is the only one held, takes a branch instead of a load that waits for
 * the last unlock's store. */
static inline void wf_mutex_own(weft_mutex *m, weft_fiber *f)
{
    struct wf_child *c = wf_child_of(f);
    m->owner_ = f;
    m->held_ = NULL;
    if (__builtin_expect(c->held != NULL, 0)) {
        wf_mutex_check_new(c, m);
        m->held_ = c->held;
    }
    c->held = m;
}

/* Takes *m out of what its owner f holds. It is still to be given to another
 * fiber, or to nobody. */
static inline void wf_mutex_disown(weft_mutex *m, weft_fiber *f)
{
    weft_mutex **at = &wf_child_of(f)->held;
    while (*at != m) {
        if (!*at) wf_mutex_overwritten(f);
        at = &(*at)->held_;
    }
    *at = m->held_;
}

/* Has f, which is parked and in no queue any more, go on when it owns *m, with
 * 0; or with -EOWNERDEAD, without it. It cannot be cancelled until then. */
void wf_mutex_line_up(weft_mutex *m, weft_fiber *f);

#endif
