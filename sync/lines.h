/* SPDX-License-Identifier: MIT */
/*
 * lines.h - the queues of channels, for those who wait in several places.
 */
#ifndef WF_LINES_H
#define WF_LINES_H

#include <weft/chan.h>

/* Where one stands who would have to wait; of waiters whose item_ says what is
 * sent, or where it is received. NULL: see chan_mt.h. */
weft_waitq_ *wf_chan_senders(weft_chan *handle);
weft_waitq_ *wf_chan_receivers(weft_chan *handle);

/* On the thread of its fiber. True: w is to be granted, now. False: it is to be
 * taken out of the line, for nothing. */
bool wf_select_claim(struct weft_waiter_ *w);

#endif
