/* SPDX-License-Identifier: MIT */
/*
 * watchdog.h - naming the fiber that does not let go of the thread.
 */
#ifndef WF_WATCHDOG_H
#define WF_WATCHDOG_H

#include <weft/base.h>

/* Watches this thread, whose scheduler is open, as weft_run_opts.watchdog
 * says: 0, or a negative code. */
int wf_watchdog_open(int64_t option);
void wf_watchdog_close(void);

/* Debug builds are told of the switches too. */
#ifdef WEFT_DEBUG
void wf_watchdog_turn(void);     /* a fiber is about to be resumed */
void wf_watchdog_at_point(void); /* at one that the credit does not tell of */
void wf_watchdog_left(const weft_fiber *f); /* f parks, gives way or ends */
#else
static inline void wf_watchdog_turn(void)
{
}
static inline void wf_watchdog_at_point(void)
{
}
static inline void wf_watchdog_left(const weft_fiber *f)
{
    (void)f;
}
#endif

#endif
