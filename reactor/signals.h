/* SPDX-License-Identifier: MIT */
/*
 * signals.h (seam, upward) - signals of the process that a run has taken.
 *
 * A signal is taken by one run of the process at a time. Its handler makes a
 * mark and kicks the reactor of that run, and does nothing else.
 */
#ifndef WF_SIGNALS_H
#define WF_SIGNALS_H

#include <stdbool.h>

/* One more than the highest number. */
enum { WF_SIGNALS = 65 };

/*
 * Installs the handler for this thread's run. When the signal comes, *seen
 * (atomic, 0 until then, and the caller's to reset) becomes its number and the
 * reactor is kicked. With `once` the next one, while *seen is set, does what
 * the system does by default; several signals may share a *seen.
 *
 * 0; -EINVAL: no such signal, or none that a program could go on after;
 * -EBUSY: it is taken, by this run or another one.
 */
int wf_signal_take(int signo, int *seen, bool once);

/* Does any run have it? */
bool wf_signal_is_taken(int signo);

/* Puts the handler from before back. True: *seen was set, and no longer is.
 * The handler has been left on every thread, so *seen may go. */
bool wf_signal_give_back(int signo);

#endif
