/* SPDX-License-Identifier: MIT */
/*
 * nursery.h - what the files about nurseries share.
 *
 * Rules that hold whenever a fiber is parked:
 *  - live_ counts the children whose function has not returned, and each has
 *    its own scope linked under scope_;
 *  - a nursery whose body is over and which has neither a child nor a place
 *    promised to a spawner is closed, and nobody is parked in its close;
 *  - nobody waits to spawn while there is a place: live_ + reserved_ is at the
 *    limit, or spawners_ is empty.
 */
#ifndef WF_NURSERY_H
#define WF_NURSERY_H

#include "sync/child.h"

/* Bits of weft_nursery.state_. */
enum {
    WF_N_OPEN = 1,
    WF_N_BODY_OVER = 2,
    WF_N_CLOSED = 4,
    WF_N_STOPPED_OUTSIDE = 8, /* a child or the body was, by an outer scope */
    WF_N_STOPPED_HERE = 16,   /* ... by this nursery's own cancellation */
    WF_N_SEALED = 32,         /* owns nothing any more, and never will */
    WF_N_RUNTIME = 64,        /* of no fiber: the background set */
    WF_N_AWAY = 128           /* of no fiber: around a child from elsewhere */
};

/* Parked in the close of the nursery that is the object. */
extern const struct wf_wait_kind wf_nursery_closing;

/* Is it closed, never opened, the runtime's own, or of this thread's run? */
static inline bool wf_nursery_is_here(const weft_nursery *n)
{
    return (n->state_ & (WF_N_OPEN | WF_N_CLOSED)) != WF_N_OPEN ||
           wf_scope_is_here(&n->scope_);
}

static inline bool wf_nursery_has_place(const weft_nursery *n)
{
    return n->opts_.limit == 0 || n->live_ + n->reserved_ < n->opts_.limit;
}

/* A place may be free: it goes to the first who waits for one. */
void wf_nursery_hand_on(weft_nursery *n);

/* Spawns, waiting for a place; the caller has passed a cancel point. */
int wf_spawn_at_limit(weft_nursery *n, weft_fn fn, void *arg,
                      const weft_spawn_opts *o, const char *file, int line,
                      struct wf_child **ret_child);

/* For a nursery that a child from elsewhere has to itself: spawns that, which is
 * what `as` is for its own thread. */
int wf_spawn_there(weft_nursery *n, weft_fn fn, void *arg,
                   const weft_spawn_opts *o, const struct wf_child *as);

/* Closes it if the body is over, as the caller knows, and all children. */
void wf_nursery_over(weft_nursery *n);

/* Cancels the daemons if nobody else is left. */
void wf_nursery_daemons_left(weft_nursery *n);

/* Keeps a failure of f, a child or the body, for close. */
void wf_nursery_keep(weft_nursery *n, weft_fiber *f, int code);

/* A block was left in a way that drops what close returned: tells of all in the
 * group, one by one, and gives it back. What the body itself returns, if it
 * failed, is on its way to the caller, and is not lost; else body_rc is 0. */
void wf_nursery_tell_of_lost(const weft_nursery *n, weft_error *group,
                             uint64_t body, int body_rc);

/* The background set has no child any more. */
void wf_background_is_idle(void);

/* Who stopped something that ended with -ECANCELED: a bit of the above, or 0:
 * only that child, by itself. */
unsigned wf_nursery_stopped_by(const weft_nursery *n);

#endif
