/* SPDX-License-Identifier: MIT */
/*
 * driver.h (seam, downward) - how the scheduler asks for news.
 *
 * The scheduler does not know the reactor. It is given a driver, and calls it
 * once a turn: when no fiber is ready, and in between so that a busy thread
 * still hears of its descriptors and timers. The driver wakes fibers through
 * park.h. A program that embeds weft in another loop brings its own.
 *
 * Messages from other threads (remote.h) come at the start of a turn, before
 * the driver is asked. They end its wait too, so it says when it waits.
 */
#ifndef WF_DRIVER_H
#define WF_DRIVER_H

#include <stdbool.h>

enum wf_turned {
    WF_STUCK, /* nothing can ever happen, every fiber waits for another */
    WF_QUIET, /* nothing has happened */
    WF_NEWS   /* something has, if only for nobody: there may be more of it */
};

struct wf_driver {
    void *self;
    /* Takes in what has happened. With may_block it waits until something
     * has. */
    enum wf_turned (*turn)(void *self, bool may_block);
    /* From any thread: ends the wait, or, if there is none, the next one. */
    void (*wake)(void *self);
};

/* About to wait, having asked wf_message_possible since the turn began;
 * `for_good`: only for kin, since nothing else can come. False: no waiting, there
 * is a message or the answer has changed. */
bool wf_doze_begin(bool for_good);

/* Has waited, by a wf_doze_begin that was true: delivers what has come. To be
 * called before it looks at its own news: what is there beats a deadline that
 * passed meanwhile. True: there was a message. */
bool wf_doze_end(void);

/* There is one, for a driver that looks again and again before it waits. */
bool wf_message_waiting(void);

/* One may come from outside: waiting is no deadlock. To be asked before each
 * wait. */
bool wf_message_possible(void);

/* There are other workers of the same run: waiting for them alone may be a
 * deadlock of all of them, which is theirs to find. */
bool wf_message_from_kin(void);

/* One will: a virtual clock does not jump. */
bool wf_message_expected(void);

#endif
