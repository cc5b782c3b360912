/* SPDX-License-Identifier: MIT */
/*
 * driver.h (seam, downward) - how the scheduler asks for news.
 *
 * The scheduler does not know the reactor. It is given a driver, and calls it
 * once a turn: when no fiber is ready, and in between so that a busy thread
 * still hears of its descriptors and timers. The driver wakes fibers through
 * park.h. A program that embeds weft in another loop brings its own.
 */
#ifndef WF_DRIVER_H
#define WF_DRIVER_H

#include <stdbool.h>

struct wf_driver {
    void *self;
    /* Takes in what has happened. With may_block it waits until something
     * has. False: nothing can ever happen, every fiber waits for another. */
    bool (*turn)(void *self, bool may_block);
};

#endif
