/* SPDX-License-Identifier: MIT */
/*
 * signals.h - fibers that wait for signals, for the one who owns a run.
 */
#ifndef WF_SYNC_SIGNALS_H
#define WF_SYNC_SIGNALS_H

/* The reactor was kicked: hands out the signals that have come. */
void wf_signals_deliver(void);

/* Gives back what is still held. */
void wf_signals_close(void);

#endif
