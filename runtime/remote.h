/* SPDX-License-Identifier: MIT */
/*
 * remote.h - messages from other threads into a scheduler.
 *
 * Each run has an inbox. Any thread that has a reference puts messages into it;
 * the scheduler delivers them on its own thread at the start of its next turn,
 * before descriptors, timers and fibers, and wakes up for that if it sleeps.
 * What is put while it delivers is for the turn after, so that a message that
 * sends itself again starves nobody.
 *
 * What a thread has written before it puts a message is seen by its delivery.
 * Of one thread the first put is the first delivered; between two threads
 * there is an order only if they have one.
 *
 * As long as there is a reference besides the run's own (and the one of its
 * kin, see below), somebody may put something: that every fiber waits is no
 * deadlock then. So whoever may put holds one, and nobody keeps one for another
 * purpose. When the last of them is given back the run looks again.
 */
#ifndef WF_REMOTE_H
#define WF_REMOTE_H

#include <stdbool.h>

/* The sender's memory, until it is delivered. */
struct wf_message {
    struct wf_message *next;
    /* On the scheduler's thread, in no fiber. It does not park; it may wake
     * fibers; m is its own from here on and may be freed. */
    void (*deliver)(struct wf_message *m);
};

struct wf_inbox;

/* Of this thread's run; NULL outside one. No reference is taken: it is good
 * until the run ends, and on this thread only. */
struct wf_inbox *wf_inbox_here(void);

/* From any thread, by one who has a reference or, on its thread, the run. */
struct wf_inbox *wf_inbox_ref(struct wf_inbox *b);
void wf_inbox_unref(struct wf_inbox *b);

/* The same for this thread's run, on behalf of its kin: the other workers of
 * the same run, which may always put something. It says nothing of the outside:
 * whether kin will is for them to find out together (wf_sched_opts.rests). They
 * all name the same `family`. Given back by wf_inbox_unref, once this run has
 * closed. */
struct wf_inbox *wf_inbox_ref_for_kin(const void *family);

/* Is b of this thread's run or its kin, so that no reference is needed? */
bool wf_inbox_is_near(const struct wf_inbox *b);

/* From any thread, not from a signal handler. The caller holds a reference until
 * this has returned (on the run's own thread the run's will do), and not one
 * that the delivery of m gives back: m may be delivered, and the run over, before
 * the inbox has been looked at for the last time here. A debug build checks that
 * there is one. False: the run has ended, or this is the child of a fork; then m
 * is still the caller's. What was put before is delivered in any case, at the
 * latest while the run ends; that may still be going on when somebody is told
 * false. No lock, no allocation. The wake-up is written only if the scheduler
 * may be asleep. */
bool wf_inbox_put(struct wf_inbox *b, struct wf_message *m);

/* Is there a message in it, or somebody outside the kin who may put one? From any
 * thread, with a reference. */
bool wf_inbox_is_reachable(const struct wf_inbox *b);

/* It is of a run of the parent, and this the child of a fork. */
bool wf_inbox_is_left(const struct wf_inbox *b);

/* In this thread's run: so many more (or, negative, fewer) messages are certain
 * to come: waiting is no deadlock, and a virtual clock does not jump. */
void wf_inbox_expect(int by);

/* The same where it is not certain, such as a signal, of which no reference
 * tells: waiting is no deadlock, but a virtual clock jumps. */
void wf_inbox_listen(int by);

#endif
