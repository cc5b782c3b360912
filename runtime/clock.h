/* SPDX-License-Identifier: MIT */
/*
 * clock.h - the time, read once a turn.
 */
#ifndef WF_CLOCK_H
#define WF_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* The moment of this turn. Monotonic; in a virtual run it starts at one
 * second, so that "in the past" can be said. */
extern __thread int64_t wf_now;
extern __thread bool wf_clock_jumps; /* it is virtual */

/* Moves wf_now on to the clock, or, in a virtual run, leaves it. */
void wf_clock_update(void);

/* The time by now, for who must not be early; wf_now stays. */
int64_t wf_clock_read(void);

/* Starts a run; ends it. In a virtual run only wf_clock_jump moves time. */
void wf_clock_open(int is_virtual);
void wf_clock_jump(int64_t to);
static inline bool wf_clock_is_virtual(void)
{
    return wf_clock_jumps;
}

/* now + ns, without leaving the range. */
static inline int64_t wf_time_add(int64_t now, int64_t ns)
{
    int64_t sum;
    if (__builtin_add_overflow(now, ns, &sum))
        return ns > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

#endif
