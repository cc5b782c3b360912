/* SPDX-License-Identifier: MIT */
/*
 * child.h - what structured concurrency keeps of a fiber.
 *
 * One block of 256 bytes: the scheduler's part, the fiber's own scope (which
 * hangs under its nursery's), and one timer. The timer serves every deadline
 * of the fiber: those of its open scopes and that of its sleep. It is armed
 * for the earliest, and left alone when that one moves later or goes away:
 * it then comes due too early once, finds nothing, and is armed again. So a
 * deadline around each request costs a few stores and no timer operation.
 */
#ifndef WF_CHILD_H
#define WF_CHILD_H

#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/scope.h>

#include "reactor/timer.h"
#include "runtime/park.h"

/* Bits of weft_scope.flags_, above those of the public enum. */
enum {
    WF_S_BEGUN = 16,
    WF_S_ENDED = 32,
    WF_S_CANCELLED = 64, /* itself, for reason_ */
    WF_S_CAUGHT = 128,
    WF_S_NURSERY = 256,
    WF_S_BASE = 512 /* a fiber's own: nothing after flags_ is there */
};

/* The part of a weft_scope that a fiber's own scope has. */
enum { WF_BASE_BYTES = offsetof(weft_scope, line_) };

struct wf_child {
    weft_fiber fiber;
    weft_scope *scope; /* the innermost open one; `base` if none is */
    weft_nursery *nursery;
    weft_mutex *held;
    int64_t sleep_until; /* INT64_MAX: not asleep */
    union {
        struct { /* before it starts */
            weft_fn fn;
            void *arg;
        } start;
        struct wf_timer timer; /* from then on */
    } u;
    _Alignas(8) char base_[WF_BASE_BYTES];
};

/* A copied argument of this size waits in the unused part of the block. */
enum { WF_SMALL_COPY = sizeof(struct weft_waiter_) };

static inline struct wf_child *wf_child_of(weft_fiber *f)
{
    return (struct wf_child *)(void *)f;
}

static inline struct wf_child *wf_child_self(void)
{
    return wf_child_of(wf_self());
}

static inline weft_scope *wf_base(struct wf_child *c)
{
    return (weft_scope *)(void *)c->base_;
}

/* ---- scope.c ------------------------------------------------------------ */

/* Hangs the fiber's own scope under the nursery's. */
void wf_base_begin(struct wf_child *c, weft_scope *under);
void wf_base_end(struct wf_child *c);

/* Takes the innermost scope of its fiber off, without mapping a result. */
void wf_scope_pop(weft_scope *s);

/* Cancels `s` for this reason, unless it is ended or cancelled already. */
void wf_scope_cancel(weft_scope *s, weft_reason_kind kind, int code,
                     uint64_t by, const char *why);

/* Sees to it that c's timer comes due at `when` or before. */
void wf_child_timer(struct wf_child *c, int64_t when);

/* Timers of fibers came due: ends sleeps, then cancels expired scopes. */
void wf_timers_expired(struct wf_timer *list);

/* The end of a fiber: its timer is disarmed. */
void wf_child_timer_end(struct wf_child *c);

/* ---- nursery.c ---------------------------------------------------------- */

/* Starts the first fiber, which has no parent. 0 or -ENOMEM. */
int wf_child_start_main(weft_nursery *root, weft_fn fn, void *arg);

/* Runs a fiber: the scheduler's body. */
void wf_child_run(weft_fiber *f);

/* ---- mutex.c ------------------------------------------------------------ */

/* The owner of these has ended. */
void wf_mutexes_orphaned(weft_mutex *held);

#endif
