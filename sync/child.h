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
#include <weft/task.h>

#include "reactor/timer.h"
#include "runtime/clock.h"
#include "runtime/park.h"

/* Bits of weft_scope.flags_, above those of the public enum. */
enum {
    WF_S_BEGUN = 16,
    WF_S_ENDED = 32,
    WF_S_CANCELLED = WEFT_CANCELLED_, /* itself, for reason_ */
    WF_S_CAUGHT = WEFT_CAUGHT_,
    WF_S_NURSERY = 256,
    WF_S_BASE = 512, /* a fiber's own: nothing after flags_ is there */
    WF_S_LINKED = 1024 /* to a token */
};

/* The part of a weft_scope that a fiber's own scope has. */
enum { WF_BASE_BYTES = offsetof(weft_scope, line_) };

struct wf_child {
    weft_fiber fiber;
    /* With what is before it, the third line: needed at each wait. */
    weft_scope *scope; /* the innermost open one; `base` if none is */
    weft_mutex *held;
    union {
        struct { /* before it starts */
            weft_fn fn;
            void *arg;
        } start;
        struct wf_timer timer; /* from then on */
    } u;
    int64_t sleep_until; /* INT64_MAX: not asleep */
    _Alignas(8) char base_[WF_BASE_BYTES];
    uint32_t reads : 22; /* of any rwlock, by now */
    uint32_t tokens : 10; /* of any limiter, by now */
    struct wf_binding *locals; /* inherited, and its own before those */
};

/* Bits of weft_fiber.marks. */
enum {
    WF_C_DAEMON = 1,
    WF_C_COPIED = 2,  /* its argument waits in the block */
    WF_C_STARTED = 4, /* has called weft_started, once */
    WF_C_CIRCLE = 8,  /* for the dump: waits in a circle */
    WF_C_AWAY = 16,   /* runs on another worker, see away.h */
    WF_C_STOPPED = 32, /* its other half was cancelled there */
    WF_C_SPARE = 64,  /* may run on any worker */
    WF_C_SHOWN = 128  /* for the dump: has had its line */
};

/* What can hang on a fiber, the latest first: the kinds of weft_attached_. */
enum {
    WF_A_TASK,
    WF_A_STARTING, /* somebody waits for it to be ready */
    WF_A_DEFERRED,
    WF_A_PRIVATE, /* a local with a private key */
    WF_A_RETRY,   /* it is in a weft_retry */
    WF_A_TIMED,   /* an operation that is timed */
    WF_A_LINK     /* from a token to one of its scopes */
};

/* How a child ended, at the moment when its function returned. */
struct wf_ending {
    weft_outcome outcome;
    weft_error *error; /* the record of a failure, or NULL; whose it is */
};

static inline void wf_attach(weft_fiber *f, struct weft_attached_ *a, int kind)
{
    a->kind_ = kind;
    a->next_ = f->attached;
    f->attached = a;
}

/* Where the latest of this kind hangs; *where is NULL if there is none. */
static inline struct weft_attached_ **wf_attached(weft_fiber *f, int kind)
{
    struct weft_attached_ **at = &f->attached;
    while (*at && (*at)->kind_ != kind)
        at = &(*at)->next_;
    return at;
}

/* So many it can read, and so many tokens it can have. */
enum { WF_READS = (1 << 22) - 1, WF_TOKENS = (1 << 10) - 1 };

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

/* The fiber that a scope of the tree is of; NULL for the root. */
static inline struct wf_child *wf_scope_child(weft_scope *s)
{
    if (s->flags_ & WF_S_BASE)
        return (struct wf_child *)(void *)((char *)s -
                                           offsetof(struct wf_child, base_));
    return s->owner_ ? wf_child_of(s->owner_) : NULL;
}

/* ---- scope.c ------------------------------------------------------------ */

/* Is it of no fiber (not begun, ended, the runtime's own), or of this thread's
 * run? */
static inline bool wf_scope_is_here(const weft_scope *s)
{
    return !s->owner_ || wf_fiber_is_here(s->owner_);
}

/* Hangs s under a parent, and takes it off. */
static inline void wf_scope_link(weft_scope *s, weft_scope *parent)
{
    s->parent_ = parent;
    s->prev_ = NULL;
    s->next_ = parent->child_;
    if (s->next_) s->next_->prev_ = s;
    parent->child_ = s;
}

static inline void wf_scope_unlink(weft_scope *s)
{
    *(s->prev_ ? &s->prev_->next_ : &s->parent_->child_) = s->next_;
    if (s->next_) s->next_->prev_ = s->prev_;
}

/* Makes s, which has no shield, deadline or reason yet, c's innermost. */
static inline void wf_scope_enter(struct wf_child *c, weft_scope *s,
                                  const char *file, int line)
{
    s->flags_ |= WF_S_BEGUN;
    s->owner_ = &c->fiber;
    s->file_ = file;
    s->line_ = line;
    s->child_ = NULL;
    wf_scope_link(s, c->scope);
    c->scope = s;
    s->cause_ = s->parent_->cause_;
}

/* On the virtual clock no timer is armed in vain, for the clock would jump to
 * it: sees to it that c's is armed for what it waits for, or not at all. */
void wf_child_timer_tidy(struct wf_child *c);

/* token.c: s, which was f's, has ended. */
void wf_scope_unlink_tokens(weft_fiber *f, const weft_scope *s);

/* Takes the innermost scope of c off, without mapping a result. */
static inline void wf_scope_leave(struct wf_child *c, weft_scope *s)
{
    weft_scope *parent = s->parent_;
    wf_scope_unlink(s);
    c->scope = parent;
    if ((s->cause_ != NULL) != (parent->cause_ != NULL))
        wf_set_cancelled(&c->fiber, parent->cause_ != NULL);
    s->flags_ |= WF_S_ENDED;
    s->owner_ = NULL;
    s->cause_ = NULL;
    if (s->deadline_ != WEFT_FOREVER && wf_clock_is_virtual())
        wf_child_timer_tidy(c);
    if (__builtin_expect(s->flags_ & WF_S_LINKED, 0))
        wf_scope_unlink_tokens(&c->fiber, s);
}

/* Hangs the fiber's own scope under the nursery's. */
static inline void wf_base_begin(struct wf_child *c, weft_scope *under)
{
    weft_scope *base = wf_base(c);
    wf_scope_link(base, under);
    base->child_ = NULL;
    base->flags_ = WF_S_BEGUN | WF_S_BASE;
    base->cause_ = under->cause_;
    c->scope = base;
    c->fiber.cancelled = base->cause_ != NULL;
}

/* A block form is left: whatever was begun inside by hand has to be ended, for
 * its memory and that of s goes away. */
void wf_check_innermost(const weft_scope *s);

/* s, which stands for scopes elsewhere, is cancelled for this reason, or, NULL,
 * is not any more. */
void wf_scope_mirror(weft_scope *s, const weft_reason *why);

/* The earliest deadline that can be seen in s. */
weft_time wf_scope_deadline(const weft_scope *s);

/* Cancels `s` for this reason, unless it is ended or cancelled already. */
void wf_scope_cancel(weft_scope *s, weft_reason_kind kind, int code,
                     uint64_t by, const char *why);

/* Cancels c alone, unless it is; the reason is kept at `at`, to be found by
 * wf_own_reason as long as c lives. */
void wf_child_cancel(struct wf_child *c, weft_reason *at, weft_reason why);

/* Sees to it that c's timer comes due at `when` or before. */
void wf_child_timer_arm(struct wf_child *c, int64_t when);
static inline void wf_child_timer(struct wf_child *c, int64_t when)
{
    if (!wf_timer_armed(&c->u.timer) || when < c->u.timer.when)
        wf_child_timer_arm(c, when);
}

/* A task that is asked for is not spawned until it is. */
static inline void wf_spawn_begin(const weft_spawn_opts *o)
{
    if (o && o->task) o->task->state_ = 0;
}

/* sleep.c: has c, which is about to park, woken with 0 at that moment; not, if
 * it is awake before that. */
void wf_sleep_begin(struct wf_child *c, int64_t until);
void wf_sleep_end(struct wf_child *c);

/* Timers of fibers came due: ends sleeps, then cancels expired scopes. */
void wf_timers_expired(struct wf_timer *list);

/* Does any fiber sleep, or have a deadline that has not passed? */
bool wf_timers_expected(void);

/* ---- start.c, task.c, cleanup.c, owned.c, local.c ----------------------- */

/* The reason for which c was cancelled alone. */
const weft_reason *wf_own_reason(struct wf_child *c);

/* Can `whom` not end before f: is it f, or an ancestor? */
bool wf_waits_for_itself(const weft_fiber *f, const weft_fiber *whom);

/* Makes *t, not initialised, the task of f; then it is done. */
void wf_task_begin(weft_task *t, weft_fiber *f, const weft_spawn_opts *o);
void wf_task_end(weft_task *t, const struct wf_ending *e);

/* weft_started was called by f, or by what f stands for. */
void wf_started(weft_fiber *f, void *value);

/* The function of a child that somebody may be starting has returned: it will
 * not be ready any more. */
void wf_starting_over(weft_fiber *f);

/* A child ends that somebody is starting: true, and all that there was to say
 * has been said to him; false: nobody is. */
bool wf_starting_ended(weft_fiber *f, const struct wf_ending *e);

/* Shields what follows for a grace: 0 for the usual one. */
void wf_cleanup_begin(weft_scope *shield, weft_time grace);
void wf_cleanup_end(weft_scope *shield);

/* Calls what the fiber has deferred. */
void wf_deferred_run(struct wf_child *c);

/* Calls the closers of what n owns, and keeps their failures. */
void wf_owned_run(weft_nursery *n);
void wf_owned_close(void); /* the thread's table, at the end of the run */

/* One more fiber sees these; c sees them no more, nor its private ones. */
struct wf_binding *wf_locals_inherit(struct wf_binding *b);
void wf_locals_drop(struct wf_child *c);

/* A list of its own, of those of *b that threads may share; b may be another
 * thread's, which does not let go of it meanwhile. 0 or -ENOMEM. */
int wf_locals_share(const struct wf_binding *b, struct wf_binding **ret);
void wf_locals_forget(struct wf_binding *b);

/* ---- timed.c ------------------------------------------------------------ */

/* f has had to do without the thread for so long. */
void wf_timed_was_away(weft_fiber *f, int64_t ns);

/* A function that c has called is back, and what it timed was on its stack: so
 * nothing of it may be looked at, and nothing may be open. */
_Noreturn void wf_timed_left_open(const struct wf_child *c)
    __attribute__((cold));
static inline void wf_timed_check_ended(const struct wf_child *c)
{
    if (__builtin_expect(c->fiber.timed, 0)) wf_timed_left_open(c);
}

/* ---- spawn.c, child.c --------------------------------------------------- */

/* Starts the first fiber, which has no parent. 0 or -ENOMEM. */
int wf_child_start_main(weft_nursery *root, const char *name, weft_fn fn,
                        void *arg);

/* Runs a fiber: the scheduler's body. */
void wf_child_run(weft_fiber *f);

/* Looks at what c holds at its end, or at that of a job that it has run. */
void wf_let_go(struct wf_child *c);

/* ---- mutex.c ------------------------------------------------------------ */

/* c ends, or its job: what it holds has lost its owner. */
void wf_mutexes_orphaned(struct wf_child *c);

#endif
