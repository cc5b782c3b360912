/* SPDX-License-Identifier: MIT */
/*
 * reactor.h (seam, upward) - descriptors, timers and outside wakes of a thread.
 */
#ifndef WF_REACTOR_H
#define WF_REACTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "reactor/timer.h"
#include "runtime/driver.h"

struct wf_reactor_opts {
    /* Timers that came due, in order, linked by next, none armed any more. */
    void (*expired)(struct wf_timer *list);
    /* Does any fiber still wait for a timer? One may be armed in vain. */
    bool (*expects_timer)(void);
    /* Called in a turn after wf_reactor_kick. */
    void (*kicked)(void);
    int64_t spin; /* ns of asking before waiting */
};

/* Makes this thread's reactor: 0, -ENOMEM, -EMFILE. The driver is for the
 * scheduler. */
int wf_reactor_open(const struct wf_reactor_opts *o,
                    struct wf_driver *ret_driver);

/* Takes it down. Descriptors still adopted are forgotten, not closed. */
void wf_reactor_close(void);

/* This thread's wheel. */
struct wf_wheel *wf_reactor_wheel(void);

/* Something outside may still call wf_reactor_kick: waiting is no deadlock. */
void wf_reactor_expect_kick(bool on);

/* Has the reactor of `handle` call `kicked` soon. From any thread or signal
 * handler, as long as that reactor is open. */
void *wf_reactor_handle(void);
void wf_reactor_kick(void *handle);

#endif
