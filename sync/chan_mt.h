/* SPDX-License-Identifier: MIT */
/*
 * chan_mt.h - channels that cross threads, for those who wait at one.
 */
#ifndef WF_CHAN_MT_H
#define WF_CHAN_MT_H

#include "runtime/park.h"
#include "runtime/remote.h"
#include "sync/channel.h"

/* ---- the calls of weft/chan.h, for a channel that crosses --------------- */

weft_chan *wf_mt_new(size_t item_size, size_t cap, void (*drop)(void *item));
void wf_mt_free(weft_chan *handle);
weft_chan *wf_mt_sender(weft_chan *handle);
void wf_mt_sender_done(weft_chan *handle);
int wf_mt_send(weft_chan *handle, const void *item);
int wf_mt_recv(weft_chan *handle, void *item);
int wf_mt_trysend(weft_chan *handle, const void *item);
int wf_mt_tryrecv(weft_chan *handle, void *item);
void wf_mt_close(weft_chan *handle);
void wf_mt_abort(weft_chan *handle);
int wf_mt_item_done(weft_chan *handle);
int wf_mt_join(weft_chan *handle);
size_t wf_mt_length(const weft_chan *handle);

/* ---- waiting in several places ------------------------------------------ */

enum wf_mt_act { WF_MT_SEND, WF_MT_RECV, WF_MT_JOIN };

struct wf_mt_place;

/* A wait of one fiber, in one place or several. Whoever claims it, on whatever
 * thread, ends it: he gives it what it waits for in one of its places, and has
 * the message delivered; or, on its own thread, cancels it or gives it
 * something else. All others find it claimed, and pass its places over. */
struct wf_mt_wait {
    struct wf_message message;   /* its `deliver` is the waiter's own */
    struct wf_inbox *inbox;      /* of its run */
    int claimed;                 /* atomic */
    int result;                  /* these two are there when the message is, */
    struct wf_mt_place *granted; /* and for good if the claim is the waiter's */
};

struct wf_mt_place {
    struct weft_waiter_ waiter; /* item_: what to send, or where to receive */
    struct wf_mt_wait *of;
    weft_chan *handle; /* may be gone once it stands in line */
    enum wf_mt_act act;
    uint32_t index; /* the user's own */

    struct wf_mt *chan;
    weft_waitq_ *line;          /* where it stands */
    struct wf_mt_place *beyond; /* the next one in the order of locks */
    bool holds;                 /* a reference to the inbox */
};

/* The wait of the running fiber, in no place yet. */
struct wf_mt_wait wf_mt_wait_of_self(void (*deliver)(struct wf_message *m));

/* True: it is the caller's to end. */
bool wf_mt_claim(struct wf_mt_wait *w);

/* Does the first of n that can be done, and says what came of it and which it
 * was; or, -EAGAIN, stands in all n lines. No other thread sees anything
 * between. */
int wf_mt_stand(struct wf_mt_place *places, size_t n, size_t *ret_which);

/* Leaves all lines but that of the place that was granted, if the claim was
 * another's; then it has to be delivered before. */
void wf_mt_step_out(struct wf_mt_place *places, size_t n);

#endif
