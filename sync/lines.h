/* SPDX-License-Identifier: MIT */
/*
 * lines.h - the queues of channels, for those who wait in several places.
 */
#ifndef WF_LINES_H
#define WF_LINES_H

#include <weft/chan.h>

/* Where one stands who would have to wait; of waiters whose item_ says what is
 * sent, or where it is received. */
weft_waitq_ *wf_chan_senders(weft_chan *c);
weft_waitq_ *wf_chan_receivers(weft_chan *c);

#endif
