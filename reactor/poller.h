/* SPDX-License-Identifier: MIT */
/*
 * poller.h - the one question to the kernel: what has become ready?
 *
 * One file a system: poller_epoll.c, poller_kqueue.c, poller_poll.c. A poller
 * returns an array of what fired, all there is or some of it, and schedules
 * nothing. It knows descriptors by a key of the caller's, which comes back with
 * every event; a stale event is told by its key.
 *
 * Keys are not 0. A descriptor is added once. In mode WF_EDGE an event says
 * that something has become ready since the last one, both ways in one
 * registration; in mode WF_LEVEL events for reading come as long as there is
 * something; in mode WF_ONCE one event comes and then none until
 * wf_poller_again.
 */
#ifndef WF_POLLER_H
#define WF_POLLER_H

#include <stdbool.h>
#include <stdint.h>

/* The first three as WEFT_READABLE, WEFT_WRITABLE, WEFT_HANGUP. WF_PRI: there
 * is urgent data, at which reads stop short. */
enum { WF_IN = 1, WF_OUT = 2, WF_HUP = 4, WF_PRI = 8 };

enum wf_poll_mode { WF_EDGE, WF_LEVEL, WF_ONCE };

struct wf_event {
    uint64_t key;
    unsigned ready;
};

struct wf_poller;

/* 0, -EMFILE, -ENFILE or -ENOMEM. */
int wf_poller_open(struct wf_poller **ret_poller);
void wf_poller_close(struct wf_poller *p);

/* `events` is what to report in the modes but WF_EDGE. Returns 0; -EPERM: a
 * kind of file that is always ready; -EEXIST: still registered; -ENOMEM,
 * -ENOSPC, -EBADF. */
int wf_poller_add(struct wf_poller *p, int fd, uint64_t key,
                  enum wf_poll_mode mode, unsigned events);

/* Changes what is reported; in mode WF_ONCE, asks for one more event. 0, or
 * -ENOENT: not registered. */
int wf_poller_again(struct wf_poller *p, int fd, uint64_t key,
                    enum wf_poll_mode mode, unsigned events);

void wf_poller_remove(struct wf_poller *p, int fd);

/* A fiber is about to wait for `events` of an added descriptor, in mode WF_EDGE:
 * who is not told need not report them. (epoll does anyhow.) */
void wf_poller_expect(struct wf_poller *p, int fd, unsigned events);

/* Waits at most timeout_ns (INT64_MAX: for ever), never less unless something
 * happened. Returns how many events were written, 0 also when interrupted. */
int wf_poller_wait(struct wf_poller *p, struct wf_event *events, int max,
                   int64_t timeout_ns);

/* Ends a wait, from any thread or a signal handler. */
void wf_poller_wake(struct wf_poller *p);

#endif
