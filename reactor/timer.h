/* SPDX-License-Identifier: MIT */
/*
 * timer.h (reactor) - a timing wheel: a great many deadlines, of which hardly
 * any come due.
 *
 *     wf_wheel_init(&wheel, clock_now);
 *     wf_timer_arm(&wheel, &conn->idle, clock_now + idle_ns);
 *     ...
 *     poll until wf_wheel_next(&wheel);
 *     struct wf_timer *next, *t = wf_wheel_expire(&wheel, clock_now);
 *     for (; t != NULL; t = next) {
 *         next = t->next;                 read first: t is its owner's again
 *         ...
 *     }
 *
 * Arming, moving and disarming take constant time. Expiry is never early, exact
 * to the nanosecond, and in order: earlier moments first, equal ones as they
 * were armed. Nothing here allocates, calls the system or reads a clock;
 * moments are nanoseconds on whichever clock the caller passes in.
 *
 * A wheel belongs to one thread. Neither it nor an armed timer may be copied or
 * moved in memory. A timer in the list of an expiry is not armed, but linked
 * until the caller has gone past it: till then its owner must keep it.
 */
#ifndef WF_TIMER_H
#define WF_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Slots of 2^16 ns (65.5 us) at the lowest level, 64 times as long at each. */
#define WF_WHEEL_TICK_BITS 16
#define WF_WHEEL_SLOT_BITS 6
#define WF_WHEEL_SLOTS     (1 << WF_WHEEL_SLOT_BITS)
#define WF_WHEEL_LEVELS    8
#define WF_WHEEL_LANES     4

/* Embedded in its owner. Zeroed it is not armed. */
struct wf_timer {
    struct wf_timer *next, *prev; /* prev is NULL while it is not armed */
    int64_t when;                 /* meaningful while it is armed */
    uint64_t order;               /* the count of arms and moves before */
};

/* The caller's storage, 64 KiB; the members are private. */
struct wf_wheel {
    /*
     * Apart from order: side by side, a compiler makes one wide addition of
     * the two, and the next disarm waits for the store to be taken apart.
     */
    size_t count;
    int64_t now; /* the latest moment expired to */
    uint64_t order;
    /* A bit for each slot that holds timers in this lane. */
    uint64_t occupied[WF_WHEEL_LEVELS][WF_WHEEL_LANES];
    /* Heads of circular lists; `when` is not later than that of any member. */
    struct wf_timer heads[WF_WHEEL_LEVELS][WF_WHEEL_SLOTS][WF_WHEEL_LANES];
};

/* Makes *w an empty wheel at `now`. Here and below, moments before 0 are 0. */
void wf_wheel_init(struct wf_wheel *w, int64_t now);

static inline bool wf_timer_armed(const struct wf_timer *t)
{
    return t->prev != NULL;
}

/* Arms t, which is not armed. A past moment is due at the next expiry. */
void wf_timer_arm(struct wf_wheel *w, struct wf_timer *t, int64_t when);

/* Gives t, which is armed, another moment, as if disarmed and armed again. */
void wf_timer_move(struct wf_wheel *w, struct wf_timer *t, int64_t when);

/* Disarms t, which is armed in this wheel. */
void wf_timer_disarm(struct wf_wheel *w, struct wf_timer *t);

/*
 * Takes out every timer with when <= now and returns them in order (when, then
 * arming), linked by `next` up to NULL and not armed any more; NULL if none is
 * due. Time does not go back: an earlier `now` than the last is taken as that.
 */
struct wf_timer *wf_wheel_expire(struct wf_wheel *w, int64_t now);

/*
 * A moment not later than that of any armed timer; INT64_MAX if none is armed.
 * It is the earliest timer's own unless timers were disarmed or moved since
 * they were armed. After wf_wheel_expire(w, now) it is later than `now`: a loop
 * that sleeps until it and then expires does not spin.
 */
int64_t wf_wheel_next(const struct wf_wheel *w);

/* How many timers are armed. */
size_t wf_wheel_count(const struct wf_wheel *w);

#endif
