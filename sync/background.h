/* SPDX-License-Identifier: MIT */
/*
 * background.h - the background set, for the one who owns a run.
 */
#ifndef WF_BACKGROUND_H
#define WF_BACKGROUND_H

#include <weft/nursery.h>

/* Hangs the set of this thread under the nursery of main. */
void wf_background_open(weft_nursery *root);

/* Cancels the work there is. False: there is none, or it was cancelled before. */
bool wf_background_cancel(weft_reason_kind kind, int code, const char *why);

/* Main has returned, and is no more cancelled: lets the work go on, cancels it,
 * and waits for all of it, having named what is left after the grace. */
void wf_background_close(weft_time drain, weft_time grace);

#endif
