/* SPDX-License-Identifier: MIT */
/*
 * away.h - children that run on another worker.
 *
 * In its nursery a child that is away is a fiber that has not started yet, and
 * is parked until what it stands for comes back; then it runs, only to end as
 * that has ended. So its nursery, its task and who waits for either need not
 * know. The other half is a fiber of the other worker, with the same number, in a
 * nursery of its own whose scope mirrors what is around this one.
 */
#ifndef WF_AWAY_H
#define WF_AWAY_H

#include "sync/child.h"
#include "sync/group.h"

/* Makes c, which has not been started, a child for another seat. 0 or -ENOMEM. */
int wf_away_prepare(struct wf_child *c, unsigned seat);

/* Instead of starting it: sends it there. */
void wf_away_send(struct wf_child *c);

/* c is away, and the reason for which it counts as cancelled has changed. */
void wf_away_refreshed(struct wf_child *c);

/* The nursery on the other side has seen its child end. */
void wf_away_over(weft_nursery *n);

/* weft_started, called there by f. */
void wf_away_started(weft_fiber *f, void *value);

/* Sends children that are in reserve to workers that have nothing to do. */
void wf_share_spares(void);

#endif
