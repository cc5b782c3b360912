/* SPDX-License-Identifier: MIT */
/*
 * weft/select.h (sync) - the first of several things to happen.
 *
 *     struct job job;
 *     weft_case c[] = {WEFT_CASE_RECV(jobs, &job), WEFT_CASE_EVENT(&stop),
 *                      WEFT_CASE_AFTER(WEFT_SEC(10))};
 *     int i = weft_select(c, 3, 0);
 *     switch (i) {
 *     case 0: if (c[0].result != 1) return 0;     closed
 *             return work(&job);
 *     case 1: return 0;
 *     case 2: return report_idle();
 *     default: return i;                          an error: none happened
 *     }
 *
 * Exactly one case happens; the others leave no trace, and on an error none has
 * happened. If several are possible at once, the place to begin with moves on
 * from call to call, so that none starves; or, ordered, the first one wins.
 * The same channel may stand in several cases; a fiber's own send and receive
 * do not meet. Channels may cross threads, any number of them beside what is of
 * this run: of several threads that would make a case happen one does. If it is
 * another one, what is of this run has to last until the fiber runs.
 *
 * The cases are the caller's, and may be used again: switch one off by setting
 * its `on` to WEFT_ON_OFF. A moment stays the same; for another WEFT_CASE_AFTER
 * set `at` anew. What a case is of may be gone once that, or another one, has
 * happened, even before the fiber runs; `item` has to last until it does.
 *
 * After: the guarded alternatives of Hoare, Communicating Sequential Processes,
 * CACM 21 (8), 1978.
 */
#ifndef WEFT_SELECT_H
#define WEFT_SELECT_H

#include <weft/base.h>
#include <weft/chan.h>
#include <weft/event.h>
#include <weft/io.h>
#include <weft/task.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

typedef enum weft_case_kind {
    WEFT_ON_OFF, /* left out; so is a zeroed case */
    WEFT_ON_RECV,
    WEFT_ON_SEND,
    WEFT_ON_TIME,
    WEFT_ON_FD,
    WEFT_ON_EVENT,
    WEFT_ON_TASK
} weft_case_kind;

typedef struct weft_case {
    weft_case_kind on;
    void *object;     /* channel, event or task */
    void *item;       /* where to receive, or what to send */
    weft_fd fd;
    int events;       /* WEFT_READABLE, WEFT_WRITABLE */
    weft_time at;     /* the moment */
    int result;       /* of the case that happened: as of weft_chan_recv, send,
                         weft_wait_ready, or 0 */
} weft_case;

/* Member by member, in their order: also for C++. */
#define WEFT_CASE_RECV(chan, to) {WEFT_ON_RECV, (chan), (to), {0, 0}, 0, 0, 0}
#define WEFT_CASE_SEND(chan, from)                                             \
    {WEFT_ON_SEND, (chan), (void *)(uintptr_t)(from), {0, 0}, 0, 0, 0}
#define WEFT_CASE_AT(moment)                                                   \
    {WEFT_ON_TIME, NULL, NULL, {0, 0}, 0, (moment), 0}
#define WEFT_CASE_AFTER(ns) WEFT_CASE_AT(weft_after(ns))
#define WEFT_CASE_FD(fd_, events_)                                             \
    {WEFT_ON_FD, NULL, NULL, (fd_), (events_), 0, 0}
#define WEFT_CASE_EVENT(event) {WEFT_ON_EVENT, (event), NULL, {0, 0}, 0, 0, 0}
#define WEFT_CASE_TASK(task)   {WEFT_ON_TASK, (task), NULL, {0, 0}, 0, 0, 0}

enum {
    WEFT_SELECT_ORDERED = 1, /* the first that can happen */
    WEFT_SELECT_NOWAIT = 2   /* now, or not at all */
};

/**
 * Waits until one of n cases happens, and sets its `result`. A closed channel
 * happens too: 0 to receive once it is empty, -EPIPE to send; and so does an
 * aborted one, with -EPIPE both ways. Nothing is read from a descriptor that is
 * found ready, and a task that has ended may still be joined.
 *
 * A case that could never happen is an error even if another one could happen
 * at once; its `result` is the same code. That another fiber waits where only
 * one may is one only when it comes to waiting.
 *
 * Parks. Returns the index of the case; -ECANCELED; -EAGAIN: with NOWAIT, none
 * can happen now; -EINVAL: none is on, or one of no kind, a descriptor's asks
 * for nothing, a task was never spawned, or n is above INT32_MAX; -EDEADLK: of
 * a task, as weft_join; of a descriptor -EBUSY, or -EBADF, also if it is closed
 * meanwhile, or what waiting for it fails with; -ENOMEM: to wait for more than
 * a few takes memory.
 */
WEFT_PARKS int weft_select(weft_case *c, size_t n, unsigned flags);

WEFT_END_DECLS

#endif
