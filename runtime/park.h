/* SPDX-License-Identifier: MIT */
/*
 * park.h (seam, upward) - fibers, for those who park and wake them.
 *
 * The layers above see the scheduler through this page. A fiber is parked on
 * one thing, described by a wait kind; whoever has what it waits for unlinks
 * it, leaves the result, and makes it ready with wf_wake. From that moment it
 * has been granted: cancellation looks only at parked fibers, so it cannot
 * take a grant back. Between park and its return the world has changed.
 *
 * Cancellation here is only the mechanism: a flag on the fiber, which empties
 * its credit so that the next cancel point sees it, and the unlinking of one
 * that is parked. What cancels whom is the business of sync/scope.c.
 *
 * Nothing on the path of park, wake and switch allocates, takes a lock, uses
 * an atomic or, but for a fiber that is timed, reads the clock.
 */
#ifndef WF_PARK_H
#define WF_PARK_H

#include <weft/base.h>
#include <weft/error.h>

#include "runtime/assert.h"
#include "runtime/driver.h"

/* How many cancel points a fiber may pass between two switches. */
enum { WF_CREDIT = 64 };

/* What a fiber can be parked for. */
struct wf_wait_kind {
    const char *name; /* "mutex", for the dump */
    /* The number that users know the object by, such as a descriptor's; or
     * NULL, and it is shown by its address. */
    int64_t (*number)(const void *object);
    /* The fiber that alone can end the wait: a mutex's owner; or NULL. */
    const weft_fiber *(*holder)(const void *object);
    /* Cancelled: unlink f from whatever it waits in, and say true to have it
     * woken with -ECANCELED; false to leave it parked until it is granted.
     * Called once a park. NULL: this wait cannot be cancelled. */
    bool (*abort)(weft_fiber *f);
    size_t line; /* of wf_leave_line: where in the object the waiters stand */
    /* A moment that it waits for as well has come, and it is about to be woken
     * with 0: unlink f from whatever it is to leave. NULL: from nothing. */
    void (*due)(weft_fiber *f);
};

enum wf_fiber_state {
    WF_NEW,
    WF_READY,
    WF_YIELDED, /* ready, and lets all go first that were so before it */
    WF_RUNNING,
    WF_PARKED,
    WF_DEAD
};

struct wf_stack;
struct wf_stack_pool;

/* A control block: allocated by the scheduler in a slab of its own, not on
 * the stack, and embedded as the first member in what the layer above keeps
 * of a fiber. */
struct weft_fiber {
    /* Looked at when it begins and when it ends: one cache line. */
    struct wf_stack *stack; /* bound when it first runs */
    uint64_t id;
    const char *name, *file; /* where it was spawned */
    int line;
    uint16_t refused; /* cancel points failed in a row */
    uint8_t marks;    /* the layer above: bits of its own */
    weft_error *error;
    struct weft_nursery *nursery;  /* the layer above: where it was spawned */
    struct weft_attached_ *attached; /* the layer above: what hangs on it */

    /* Looked at whenever it parks and wakes: one cache line. */
    void *sp; /* where it is suspended; before its start its top, or as long as
                 no stack is bound the pool that promised it one */
    const struct wf_wait_kind *kind; /* what it is parked for, or NULL */
    int result;                      /* what wf_park returns */
    uint8_t state;
    bool cancelled, aborted;
    bool unborn : 1; /* has not run yet */
    bool timed : 1;  /* wants to know how long it is away: was_away */
    bool throws : 1; /* of its block, for good: may have C++ exceptions */
    struct weft_waiter_ waiter;      /* its place in the queue it waits in */

    union {
        const void *object; /* which one it is parked for */
        struct weft_fiber *older; /* in reserve */
    };
    union {
        int64_t since; /* the turn it was parked in */
        struct weft_fiber *newer;
    };
};

/* Of 64 octets each; with short pointers it all takes less. */
_Static_assert(sizeof(void *) < 8 || offsetof(struct weft_fiber, sp) == 64,
               "the second line");
_Static_assert(sizeof(void *) < 8 || offsetof(struct weft_fiber, object) == 128,
               "the third line");

static inline weft_fiber *wf_self(void)
{
    return weft_here_.fiber_;
}

/* The usual half of a cancel point. False: weft_pass_slow_ says whether it is
 * passed; called in a function of its own, as the last act of the usual way, so
 * that this has no frame. */
static inline bool wf_passes(void)
{
    return __builtin_expect(--weft_here_.credit_ >= 0, 1);
}

/* What was done took as long as so many cancel points: the fiber gives way so
 * much sooner, at the next one if all its credit is gone. */
static inline void wf_spend(int32_t points)
{
    int32_t left = weft_here_.credit_;
    if (left > 0) weft_here_.credit_ = points < left ? left - points : 0;
}

/* Suspends the running fiber until somebody calls wf_wake, and returns the
 * result given there. The caller has passed a cancel point (weft_pass_) since
 * it last did anything else that parks, or `kind` has no abort. */
int wf_park(const struct wf_wait_kind *kind, const void *object);

/* Makes a parked fiber ready, at the back; its wf_park returns `result`. */
void wf_wake(weft_fiber *f, int result);

/* Lets every other ready fiber run once. No cancel point. */
void wf_yield(void);

/* The same, and the outside is asked before any of them runs. */
void wf_yield_to_turn(void);

/* If this turn has lasted long by the clock the outside is asked before another
 * fiber runs: for who has done what takes microseconds, and is about to park. */
bool wf_end_turn_if_late(void);

/* Parks until every other fiber is parked as well and a look at the outside
 * brought nothing; before the clock jumps, or the thread would sleep. As with
 * wf_park the caller has passed a cancel point. */
int wf_settle(void);

/* A scope around f has become cancelled, or none is any more. */
void wf_set_cancelled(weft_fiber *f, bool on);

/* How many C++ exceptions of this fiber are on their way to a handler. */
unsigned wf_exceptions_uncaught(void);

/* The number of this turn: another one when the outside has been asked. */
uint64_t wf_turn(void);

/* ---- wait queues -------------------------------------------------------- */

/* What stands in a line for f, of this run. */
static inline struct weft_waiter_ wf_waiter_of(weft_fiber *f)
{
    return (struct weft_waiter_){.fiber_ = f, .run_ = weft_here_.run_};
}

static inline bool wf_waitq_empty(const weft_waitq_ *q)
{
    return q->head_ == NULL;
}

static inline void wf_waitq_push(weft_waitq_ *q, struct weft_waiter_ *w)
{
    w->next_ = NULL;
    w->prev_ = q->tail_;
    *(q->tail_ ? &q->tail_->next_ : &q->head_) = w;
    q->tail_ = w;
}

/* w is not where it was put: the end of the process, with a sentence. */
_Noreturn void wf_waitq_broken(const weft_waitq_ *q,
                               const struct weft_waiter_ *w)
    __attribute__((cold));

/* The queue may be gone, and its memory something else: so it is looked at. */
static inline void wf_waitq_remove(weft_waitq_ *q, struct weft_waiter_ *w)
{
    struct weft_waiter_ **at = w->prev_ ? &w->prev_->next_ : &q->head_;
    if (__builtin_expect(*at != w, 0)) wf_waitq_broken(q, w);
    *at = w->next_;
    *(w->next_ ? &w->next_->prev_ : &q->tail_) = w->prev_;
}

/* Takes the oldest out, or NULL. */
static inline struct weft_waiter_ *wf_waitq_pop(weft_waitq_ *q)
{
    struct weft_waiter_ *w = q->head_;
    if (!w) return NULL;
    q->head_ = w->next_;
    *(w->next_ ? &w->next_->prev_ : &q->tail_) = NULL;
    return w;
}

/* Puts the running fiber at the end of the queue and parks it. */
static inline int wf_waitq_park(weft_waitq_ *q, const struct wf_wait_kind *kind,
                                const void *object)
{
    wf_waitq_push(q, &weft_here_.fiber_->waiter);
    return wf_park(kind, object);
}

/* For `abort`: takes f out of the line of the object that it is parked for, and
 * no more. */
bool wf_leave_line(weft_fiber *f);

/* A place in a queue that is not the fiber's own waiter: one of several, for a
 * fiber that waits for more than one thing. What the waiter's members say to
 * the queue is the same. */
struct wf_place {
    struct weft_waiter_ waiter;
    /* It is out of its queue and has been given what it waited for. The fiber
     * may be woken already. */
    void (*granted)(struct wf_place *p, int result);
};

/* Tells a waiter that was taken out that it has what it waited for. Places in
 * any queue may be gone after that, so none is to be remembered across it. */
void wf_grant(struct weft_waiter_ *w, int result);

/* Tells all in the queue. */
void wf_grant_all(weft_waitq_ *q, int result);

/* A number below n, which is at most INT32_MAX: another from call to call, each
 * as often as the others, also to who calls every other time only. */
size_t wf_rotate(size_t n);

/* ---- for tests ---------------------------------------------------------- */

/* Is told of each cancel point of every fiber of this thread before its check
 * (a call that goes on in steps and finds itself cancelled between two of them
 * checks once more), and, `parked`, each time a fiber has just been put to
 * sleep in a wait that can be cancelled. It may cancel scopes; it must not
 * park. Also before a run. NULL: nobody. */
typedef void wf_point_fn(weft_fiber *f, bool parked, void *arg);
void wf_points_watch(wf_point_fn *fn, void *arg);

/* The number that the order of this run is drawn from, or 0. */
uint64_t wf_sched_seed(void);

/* ---- for the layer that owns a run -------------------------------------- */

/* Starts a scheduler on this thread. Blocks of `block_bytes` begin with a
 * weft_fiber; `body` runs one fiber and returns when it has ended. `stuck` is
 * called when nothing can ever happen; false: nor can it do anything more. 0,
 * -EBUSY, -ENOMEM, or what setting up the watchdog failed with. */
struct wf_sched_opts {
    size_t block_bytes;
    void (*body)(weft_fiber *f);
    bool (*stuck)(void);
    /* With kin (remote.h): the thread is about to sleep, or has slept; for good,
     * unless they wake it. Never parks. */
    void (*rests)(bool begins, bool for_good);
    /* A fiber that is `timed` has the thread again, after so long by the clock,
     * which is read for such a fiber alone: when it leaves and comes back. */
    void (*was_away)(weft_fiber *f, int64_t ns);
    size_t stack_bytes, guard_bytes;
    int64_t watchdog; /* as in weft_run_opts */
    uint64_t seed;    /* not 0: the ready order is drawn from it */
    struct wf_driver driver;
};
int wf_sched_open(const struct wf_sched_opts *o);

/* Runs fibers until none is left. */
void wf_sched_run(void);

/* Gives all memory back. */
void wf_sched_close(void);

bool wf_sched_is_open(void);

/* This is the child of a fork that was called in a run. */
bool wf_sched_is_left(void);

/* A new fiber, with a stack promised; what follows the weft_fiber in its block
 * is as its last user left it, at first zero. NULL: no memory. It is the
 * caller's until wf_fiber_start puts it in line, or wf_fiber_drop.
 * Its block is free again when body(f) has returned. */
weft_fiber *wf_fiber_new(size_t stack_bytes);
void wf_fiber_start(weft_fiber *f);
void wf_fiber_drop(weft_fiber *f);

/* Instead of wf_fiber_start: f is kept in reserve, and starts when no other
 * fiber is ready, the latest first; and one of these in each turn. */
void wf_fiber_start_spare(weft_fiber *f);

/* Is one in reserve? The oldest is taken out. */
bool wf_fiber_has_spare(void);
weft_fiber *wf_fiber_take_spare(void);

/* Has f, which is not to start yet, parked on this; when it is woken it starts. */
void wf_fiber_park_new(weft_fiber *f, const struct wf_wait_kind *kind,
                       const void *object);

/* Binds f's stack before it is started, and takes `bytes` from its top for a
 * value that lives as long as f; aligned for any type. NULL: too large. Once. */
void *wf_fiber_reserve(weft_fiber *f, size_t bytes);

/* How large a stack f, which has not started, was promised; 0: the usual. */
size_t wf_fiber_stack_bytes(const weft_fiber *f);

/* Calls back for every fiber there is. */
void wf_fiber_each(void (*fn)(weft_fiber *f, void *arg), void *arg);

/* The first it finds of which that is so, or NULL. */
weft_fiber *wf_fiber_find(bool (*is_so)(weft_fiber *f));

size_t wf_fiber_count(void);

/* ---- for who looks whether he is on the right thread -------------------- */

/* The run_ of a place whose wait another thread may be ending: who would grant it
 * finds that it is of no run, and claims it. No run has this number. */
#define WF_RUN_TO_CLAIM UINT32_MAX

/* Is w of this thread's run? Its number stands beside what a waker reads. */
static inline bool wf_waiter_is_here(const struct weft_waiter_ *w)
{
    return __builtin_expect(w->run_ == weft_here_.run_, 1);
}

/* Is f, which has started? */
static inline bool wf_fiber_is_here(const weft_fiber *f)
{
    return wf_waiter_is_here(&f->waiter);
}

/* Are those who wait, if there are any? */
static inline bool wf_waitq_is_here(const weft_waitq_ *q)
{
    return __builtin_expect(!q->head_, 1) || wf_waiter_is_here(q->head_);
}

/* `call` is for something that is of another thread's run: -EPERM with a
 * sentence, and in debug builds the end of the process. */
int wf_misplaced(const char *call) __attribute__((cold));

/* The same for a call that `err` has refused already: the better reason, if it
 * was for want of a fiber and its object is not `here`. */
static inline int wf_refused(int err, bool here, const char *call)
{
    return wf_self() || here ? err : wf_misplaced(call);
}

/* `object` is about to be initialised by `call`. A debug build looks whether a
 * fiber is parked on what is there, which would never be woken. */
#ifdef WEFT_DEBUG
void wf_check_nobody_waits(const void *object, const char *call);
#else
#define wf_check_nobody_waits(object, call) ((void)0)
#endif

/* ---- error records ------------------------------------------------------ */

/* Takes f's record out, or NULL; gives one back with all that hangs on it. */
weft_error *wf_error_take(weft_fiber *f);
void wf_error_give(weft_fiber *f, weft_error *e);
void wf_error_free(weft_error *e);
/* e, with all that hangs on it, goes to another thread; has come from one. */
void wf_error_leave(const weft_error *e);
void wf_error_arrive(const weft_error *e);
weft_error *wf_error_new(weft_fiber *f, int code);
/* Leaves a copy of f's record with the thread, for after the run. */
void wf_error_export(weft_fiber *f);
/* To the hook of weft_on_unhandled. */
void wf_error_unhandled(const weft_error *e);

#endif
