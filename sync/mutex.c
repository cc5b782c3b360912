/* SPDX-License-Identifier: MIT */
/*
 * mutex.c - one owner, handed on.
 *
 * Rule: while a fiber waits the mutex is owned; unlock gives it to the oldest
 * waiter, which is the owner from that moment, before it has run. So a cancel
 * that comes later finds it out of the queue and takes nothing back.
 *
 * A fiber links the mutexes it holds. When it ends with some, each goes to
 * nobody: the owner becomes `dead`, and all who wait are told.
 */
#include "sync/mutex.h"

const char wf_dead_fiber;

static const weft_fiber *owner_of(const void *object)
{
    return ((const weft_mutex *)object)->owner_;
}

static const struct wf_wait_kind to_lock = {.name = "mutex",
                                            .holder = owner_of,
                                            .abort = wf_leave_line,
                                            .line =
                                                offsetof(weft_mutex, waiters_)};
static const struct wf_wait_kind to_lock_nc = {.name = "mutex",
                                               .holder = owner_of};

/* Is the owner, if there is one, of this thread's run? */
static bool is_here(const weft_mutex *m)
{
    return !m->owner_ || m->owner_ == WF_DEAD || wf_fiber_is_here(m->owner_);
}

/* The mutex is not free. */
__attribute__((noinline)) static int
wait_to_lock(weft_mutex *m, weft_fiber *f, const struct wf_wait_kind *kind)
{
    if (m->owner_ == WF_DEAD) return -EOWNERDEAD;
    if (!wf_fiber_is_here(m->owner_)) return wf_misplaced("weft_mutex_lock");
    if (m->owner_ == f)
        return wf_misuse(-EDEADLK, "weft_mutex_lock: this fiber holds it");
    return wf_waitq_park(&m->waiters_, kind, m);
}

static inline int lock(weft_mutex *m, weft_fiber *f,
                       const struct wf_wait_kind *kind)
{
    if (__builtin_expect(m->owner_ != NULL, 0)) return wait_to_lock(m, f, kind);
    wf_mutex_own(m, f);
    return 0;
}

__attribute__((noinline)) static int pass_and_lock(weft_mutex *m)
{
    int err = weft_pass_slow_();
    if (err < 0) return wf_refused(err, is_here(m), "weft_mutex_lock");
    return lock(m, wf_self(), &to_lock);
}

int weft_mutex_lock(weft_mutex *m)
{
    if (!wf_passes()) return pass_and_lock(m);
    return lock(m, wf_self(), &to_lock);
}

int weft_mutex_lock_nc(weft_mutex *m)
{
    weft_fiber *f = wf_self();
    if (!f) return pass_and_lock(m);
    return lock(m, f, &to_lock_nc);
}

int weft_mutex_trylock(weft_mutex *m)
{
    weft_fiber *f = wf_self();
    if (!f) return pass_and_lock(m);
    if (m->owner_ && m->owner_ != WF_DEAD && m->owner_ != f)
        return is_here(m) ? -EBUSY : wf_misplaced("weft_mutex_trylock");
    return lock(m, f, &to_lock);
}

/* One of several, or somebody waits for it. */
__attribute__((noinline)) static int hand_on(weft_mutex *m, weft_fiber *f)
{
    wf_mutex_disown(m, f);
    m->owner_ = NULL;
    struct weft_waiter_ *w = wf_waitq_pop(&m->waiters_);
    if (!w) return 0;
    wf_mutex_own(m, w->fiber_);
    wf_wake(w->fiber_, 0);
    return 0;
}

__attribute__((cold, noinline)) static int not_held(const weft_mutex *m)
{
    if (!is_here(m)) return wf_misplaced("weft_mutex_unlock");
    return wf_misuse(-EPERM, "weft_mutex_unlock: this fiber does not hold it; "
                             "was the result of lock tested?");
}

int weft_mutex_unlock(weft_mutex *m)
{
    weft_fiber *f = wf_self();
    if (!f || m->owner_ != f) return not_held(m);
    weft_mutex **held = &wf_child_of(f)->held;
    if (m->waiters_.head_ || m->held_ || *held != m) return hand_on(m, f);
    *held = NULL;
    m->owner_ = NULL;
    return 0;
}

int weft_mutex_repair(weft_mutex *m)
{
    weft_fiber *f = wf_self();
    if (!f) return weft_pass_slow_();
    if (m->owner_ != WF_DEAD) return -EINVAL;
    wf_mutex_own(m, f);
    return 0;
}

void wf_mutex_line_up(weft_mutex *m, weft_fiber *f)
{
    if (m->owner_ == WF_DEAD) {
        wf_wake(f, -EOWNERDEAD);
    } else if (!m->owner_) {
        wf_mutex_own(m, f);
        wf_wake(f, 0);
    } else {
        f->kind = &to_lock_nc;
        f->object = m;
        f->since = wf_now;
        wf_waitq_push(&m->waiters_, &f->waiter);
    }
}

void wf_mutex_overwritten(const weft_fiber *f)
{
    wf_fatal("a mutex that fiber %llu \"%s\" holds was initialised again, or "
             "its memory used for something else, before it was unlocked",
             (unsigned long long)f->id, f->name ? f->name : "");
}

void wf_mutexes_orphaned(struct wf_child *c)
{
    wf_warn("ends while it holds a mutex, or writes under an rwlock: who wants "
            "that is told -EOWNERDEAD");
    for (weft_mutex *m = c->held, *next; m; m = next) {
        if (m->owner_ != &c->fiber) wf_mutex_overwritten(&c->fiber);
        next = m->held_;
        m->owner_ = WF_DEAD;
        wf_grant_all(&m->waiters_, -EOWNERDEAD);
    }
    c->held = NULL;
}

/* ---- the block form ----------------------------------------------------- */

weft_mutex *weft_locked_enter_(weft_mutex *m, int *rc)
{
    *rc = weft_mutex_lock(m);
    return *rc < 0 ? NULL : m;
}

weft_mutex *weft_locked_exit_(weft_mutex *m)
{
    (void)weft_mutex_unlock(m);
    return NULL;
}

/* Only a break, return or goto leaves it locked. */
void weft_locked_leave_(weft_mutex **held)
{
    if (*held) (void)weft_mutex_unlock(*held);
}
