/* SPDX-License-Identifier: MIT */
/*
 * here.h - the reactor of this thread, for the files of the reactor.
 */
#ifndef WF_REACTOR_HERE_H
#define WF_REACTOR_HERE_H

#include <sys/socket.h>

#include "reactor/fdtable.h"
#include "reactor/reactor.h"

enum { WF_EVENTS = 256 };

struct wf_reactor {
    struct wf_poller *poller;
    struct wf_fdtable fds;
    struct wf_wheel wheel;
    struct wf_reactor_opts opts;
    size_t waiting;        /* fibers parked on descriptors */
    uintptr_t tickets;     /* given to operations that had to wait */
    size_t registered;     /* descriptors the poller knows */
    weft_waitq_ starved;   /* accepting fibers without a free descriptor */
    struct wf_timer retry; /* ... which then try again anyhow */
    int kicked; /* atomic */
    struct wf_event events[WF_EVENTS];
};

extern __thread struct wf_reactor *wf_reactor;

/* Parks the caller, as a step of an operation on handle `fd`, until `e` is
 * ready for `events`, in the queue of readers or writers. *ticket is 0 at the
 * operation's first step and keeps its place in line at the next ones. Returns
 * the events that came; -ECANCELED, -EBADF (also if it was closed after the
 * wake), -EBUSY if somebody else waits where only one may, -ENOMEM. */
int wf_fd_wait(weft_fd fd, struct wf_fd *e, unsigned events,
               const struct wf_wait_kind *kind, uintptr_t *ticket);

/* Before a write: behind others that wait to write, in their line. 0 or the
 * events that came; the errors of wf_fd_wait, -EBUSY on a stream, where somebody
 * else may be half way through his octets. */
int wf_fd_wait_turn(weft_fd fd, struct wf_fd *e, uintptr_t *ticket);

/* The same for who does not wait: 0; -EAGAIN, or -EBUSY on a stream. */
int wf_fd_try_turn(const struct wf_fd *e);

/* Another queue of a socket, Linux's: that it is empty says nothing of what
 * there is to read, and nobody waits for it. */
#if defined(MSG_ERRQUEUE)
enum { WF_OF_ERRORS = MSG_ERRQUEUE };
#else
enum { WF_OF_ERRORS = 0 };
#endif

/* Wakes all who wait on `e` with `result`. */
void wf_fd_wake_all(struct wf_fd *e, int result);

/* Takes the poller's registration away, if there is one. */
void wf_fd_unregister(struct wf_fd *e);

/* A descriptor has become free: an accepting fiber may go on. */
void wf_fd_freed(void);

/* Parks an accepting fiber until then, or for a short while. */
int wf_fd_wait_for_number(void);

/* The entry of a handle, or NULL if it is closed or was never one. */
static inline struct wf_fd *wf_fd_of(weft_fd fd)
{
    if (__builtin_expect(!wf_reactor, 0)) return NULL;
    struct wf_fd *e = wf_fdtable_at(&wf_reactor->fds, fd.slot);
    return e && e->generation == fd.generation ? e : NULL;
}

/* Takes over `number`, whose kind is known. 0 or -ENOMEM. */
int wf_fd_open(int number, enum wf_fd_kind kind, weft_fd *ret_fd);

/* Of a socket of that family and type which does not listen. */
enum wf_fd_kind wf_fd_kind_of(int family, int type);

extern const struct wf_wait_kind wf_wait_read, wf_wait_write;

#endif
