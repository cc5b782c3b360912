/* SPDX-License-Identifier: MIT */
/*
 * reactor.h (seam, upward) - descriptors, timers and outside wakes of a thread.
 */
#ifndef WF_REACTOR_H
#define WF_REACTOR_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/io.h>

#include "reactor/timer.h"
#include "runtime/driver.h"

struct wf_reactor_opts {
    /* Timers that came due, in order, linked by next, none armed any more. */
    void (*expired)(struct wf_timer *list);
    /* Does any fiber still wait for a timer? One may be armed in vain. */
    bool (*expects_timer)(void);
    /* Called in a turn after wf_reactor_kick. */
    void (*kicked)(void);
    int64_t spin; /* ns of asking before waiting */
};

/* Makes this thread's reactor: 0, -ENOMEM, -EMFILE. The driver is for the
 * scheduler. */
int wf_reactor_open(const struct wf_reactor_opts *o,
                    struct wf_driver *ret_driver);

/* Takes it down. Descriptors still adopted are forgotten, not closed. */
void wf_reactor_close(void);

/* This thread's wheel. */
struct wf_wheel *wf_reactor_wheel(void);

/* Which of these there are of a descriptor, as of this turn, or as of now if
 * `ask`, which takes a system call; 0: none. -EBADF; -EINVAL: asked for none. */
int wf_fd_ready(weft_fd fd, int events, bool ask);

/* Puts the waiter in line for these, and says where. 0; more than 0: the events
 * are there after all; -EBADF, -EBUSY, -ENOMEM. Its item_ and n_ are ours. */
int wf_fd_step_in(weft_fd fd, int events, struct weft_waiter_ *w,
                  weft_waitq_ **ret_line);
void wf_fd_step_out(weft_waitq_ *line, struct weft_waiter_ *w);

/* For a call that uses the number on another thread: until it lets go the
 * number is not given back to the kernel, whoever closes the handle. The
 * number, or -EBADF. */
int wf_fd_hold(weft_fd fd);
void wf_fd_let_go(int number);

/* Is it a regular file, a directory, a disk? Those cannot be waited for. */
bool wf_fd_is_file(weft_fd fd);

/* Its number; -EBADF; -EBUSY: another fiber waits to write there. */
int wf_fd_to_write(weft_fd fd);

/* Has the reactor of `handle` call `kicked` soon: for signal handlers, as long
 * as that reactor is open. Others put a message (runtime/remote.h); and who
 * waits for this says so by wf_inbox_listen. */
void *wf_reactor_handle(void);
void wf_reactor_kick(void *handle);

#endif
