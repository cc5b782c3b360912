/* SPDX-License-Identifier: MIT */
/*
 * net/waits.h - who is in the wait of a transport, for those who write one.
 *
 * A transport may be closed, and so be gone, while a fiber is in its wait: there
 * parked, or woken and not running yet. So each has a place on its own stack
 * that says so, and looks at nothing else before it has looked at that.
 */
#ifndef NET_WAITS_H
#define NET_WAITS_H

#include <weft/event.h>
#include <weft/transport.h>

struct wf_wait {
    struct wf_wait *next;
    weft_event news;
    int events;
    bool parked; /* and not woken */
    bool gone;   /* the transport is */
};

/* Comes in: passes a cancel point. 0, -ECANCELED, -EBADF, -EINVAL (waits for
 * nothing), -EPERM (no fiber): then it is out again. */
int wf_wait_enter(struct wf_wait **all, struct wf_wait *w, int events);

/* Is to park. 0; -EBUSY if another is parked for the same: it is out again. */
int wf_wait_park(struct wf_wait **all, struct wf_wait *w);

/* Goes out, with the result `rc`; -EBADF if the transport is gone. */
int wf_wait_leave(struct wf_wait **all, struct wf_wait *w, int rc);

/* Wakes who is parked for one of these. */
void wf_waits_wake(struct wf_wait *all, int events);

/* The transport is about to be freed. */
void wf_waits_close(struct wf_wait **all);

/* One that was closed: all it ever says is -EBADF. */
extern weft_transport wf_transport_gone;

#endif
