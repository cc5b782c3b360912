/* SPDX-License-Identifier: MIT */
/*
 * weft/event.h (sync) - a flag to wait for.
 *
 *     static weft_event ready = WEFT_EVENT_INIT;
 *
 *     int err = weft_event_wait(&ready);          any number of fibers
 *     ...
 *     weft_event_set(&ready);                     wakes them all, in order
 *
 * Set wakes everyone who waits at that moment, even if clear follows before
 * they run; who waits later passes while the flag is set. Zeroed is
 * initialised and clear. The caller owns the memory.
 */
#ifndef WEFT_EVENT_H
#define WEFT_EVENT_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_event {
    bool set_;
    weft_waitq_ waiters_;
} weft_event;

#define WEFT_EVENT_INIT {0, {0, 0}}

/** Parks until the flag is set. Returns 0 or -ECANCELED. */
WEFT_PARKS int weft_event_wait(weft_event *e);

/** Sets the flag and wakes who waits; clears it; asks. None of them parks. */
WEFT_API void weft_event_set(weft_event *e);
WEFT_API void weft_event_clear(weft_event *e);
WEFT_API bool weft_event_is_set(const weft_event *e);

WEFT_END_DECLS

#endif
