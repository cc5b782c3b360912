/* SPDX-License-Identifier: MIT */
/*
 * scope.c - the tree of scopes: what cancels whom, and until when.
 *
 * Scopes form a tree: those of one fiber nest, and a fiber's own scope hangs
 * under that of its nursery. `cause_` says why a scope counts as cancelled: the
 * cause of its parent, unless it is shielded, else its own reason if it was
 * cancelled itself, else none. So the outermost visible reason wins. It is
 * pushed down when something changes, with an explicit walk (ten thousand
 * nested scopes must not overflow a stack), so that the question at a cancel
 * point is one load; a fiber is cancelled when its innermost scope is.
 *
 * Rule: for every scope s of the tree, s->cause_ == cause_of(s).
 */
#include <weft/scope.h>

#include "reactor/reactor.h"
#include "runtime/clock.h"
#include "sync/away.h"

/* ---- causes ------------------------------------------------------------- */

static const weft_reason *cause_of(weft_scope *s)
{
    if (s->parent_ && s->parent_->cause_ && !(s->flags_ & WEFT_SHIELD_))
        return s->parent_->cause_;
    if (!(s->flags_ & WF_S_CANCELLED)) return NULL;
    return s->flags_ & WF_S_BASE ? wf_own_reason(wf_scope_child(s))
                                 : &s->reason_;
}

/* Recomputes s. False: nothing changed, so nothing below it does. */
static bool refresh_one(weft_scope *s)
{
    const weft_reason *cause = cause_of(s);
    if (cause == s->cause_) return false;
    bool was = s->cause_ != NULL;
    s->cause_ = cause;
    struct wf_child *c = wf_scope_child(s);
    if (c && __builtin_expect(c->fiber.marks & WF_C_AWAY, 0))
        wf_away_refreshed(c);
    if (was == (cause != NULL)) return true;
    if (c && c->scope == s) wf_set_cancelled(&c->fiber, cause != NULL);
    return true;
}

/* Recomputes s and all below it, parents first. */
static void refresh(weft_scope *s)
{
    weft_scope *at = s;
    for (;;) {
        if (refresh_one(at) && at->child_) {
            at = at->child_;
            continue;
        }
        while (at != s && !at->next_)
            at = at->parent_;
        if (at == s) return;
        at = at->next_;
    }
}

/* ---- timers ------------------------------------------------------------- */

void wf_child_timer_arm(struct wf_child *c, int64_t when)
{
    struct wf_timer *t = &c->u.timer;
    if (wf_timer_armed(t))
        wf_timer_move(wf_reactor_wheel(), t, when);
    else
        wf_timer_arm(wf_reactor_wheel(), t, when);
}

/* The fiber's own scope has no deadline; nurseries and blocks may. */
static int64_t earliest_deadline(const struct wf_child *c)
{
    int64_t earliest = INT64_MAX;
    for (const weft_scope *s = c->scope; !(s->flags_ & WF_S_BASE);
         s = s->parent_)
        if (!(s->flags_ & WF_S_CANCELLED) && s->deadline_ < earliest)
            earliest = s->deadline_;
    return earliest;
}

void wf_child_timer_tidy(struct wf_child *c)
{
    struct wf_timer *t = &c->u.timer;
    if (!wf_timer_armed(t)) return;
    int64_t when = earliest_deadline(c);
    if (c->sleep_until < when) when = c->sleep_until;
    if (when <= t->when) return;
    if (when == INT64_MAX)
        wf_timer_disarm(wf_reactor_wheel(), t);
    else
        wf_timer_move(wf_reactor_wheel(), t, when);
}

static void expire(weft_scope *s)
{
    wf_scope_cancel(s, WEFT_R_DEADLINE, s->flags_ & WEFT_FAIL ? -ETIMEDOUT : 0,
                    0, NULL);
}

static void expire_scopes(struct wf_child *c)
{
    for (weft_scope *s = c->scope; !(s->flags_ & WF_S_BASE); s = s->parent_)
        if (s->deadline_ <= wf_now) expire(s);
}

static struct wf_child *child_of_timer(struct wf_timer *t)
{
    return (struct wf_child *)(void *)((char *)t -
                                       offsetof(struct wf_child, u.timer));
}

/* Sleeps end before scopes expire: what is there beats the deadline. Each
 * timer is armed again for what its fiber still waits for. */
void wf_timers_expired(struct wf_timer *list)
{
    for (struct wf_timer *t = list; t; t = t->next) {
        struct wf_child *c = child_of_timer(t);
        if (t->next) __builtin_prefetch(child_of_timer(t->next));
        if (c->sleep_until > wf_now) continue;
        c->sleep_until = INT64_MAX;
        if (c->fiber.kind->due) c->fiber.kind->due(&c->fiber);
        wf_wake(&c->fiber, 0);
    }
    for (struct wf_timer *t = list, *next; t; t = next) {
        struct wf_child *c = child_of_timer(t);
        next = t->next;
        int64_t again = c->sleep_until;
        uint64_t order = t->order;
        if (c->scope != wf_base(c)) {
            expire_scopes(c);
            int64_t deadline = earliest_deadline(c);
            if (deadline < again) again = deadline;
        }
        if (again == INT64_MAX) continue;
        wf_timer_arm(wf_reactor_wheel(), t, again);
        t->order = order; /* sleepers wake as they went to sleep */
    }
}

static bool expects_timer(weft_fiber *f)
{
    const struct wf_child *c = wf_child_of(f);
    return c->sleep_until != INT64_MAX || earliest_deadline(c) != INT64_MAX;
}

bool wf_timers_expected(void)
{
    return wf_fiber_find(expects_timer) != NULL;
}

/* ---- opening and ending ------------------------------------------------- */

void weft_scope_init(weft_scope *s)
{
    *s = (weft_scope){.deadline_ = WEFT_FOREVER};
}

static inline int begin(weft_scope *s, const char *file, int line)
{
    weft_fiber *f = wf_self();
    if (!f) return wf_misuse(-EPERM, "weft_scope_begin outside a fiber");
    if (s->flags_ & WF_S_BEGUN)
        return wf_misuse(-EBUSY,
                         "weft_scope_begin: this scope was begun before, at "
                         "%s:%d: use a new one, or weft_scope_init",
                         s->file_, s->line_);
    struct wf_child *c = wf_child_of(f);
    wf_scope_enter(c, s, file, line);
    /* It entered as if in line with its parent; now what sets it apart. */
    if (s->flags_ & (WEFT_SHIELD_ | WF_S_CANCELLED)) refresh(s);
    if (s->deadline_ == WEFT_FOREVER || s->flags_ & WF_S_CANCELLED) return 0;
    if (s->deadline_ <= wf_now)
        expire(s);
    else
        wf_child_timer(c, s->deadline_);
    return 0;
}

/* Zeroed is initialised; and zero is no deadline one could ask for, since the
 * clock has passed it. */
int weft_scope_begin_(weft_scope *s, const char *file, int line)
{
    if (s->deadline_ == 0) s->deadline_ = WEFT_FOREVER;
    return begin(s, file, line);
}

int weft_scope_begin_at_(weft_scope *s, weft_time t, unsigned flags,
                         const char *file, int line)
{
    if (!(s->flags_ & WF_S_BEGUN)) {
        s->flags_ |= flags & (WEFT_FAIL | WEFT_SHIELD_);
        s->deadline_ = t;
    }
    return begin(s, file, line);
}

int weft_scope_begin_after_(weft_scope *s, weft_time ns, unsigned flags,
                            const char *file, int line)
{
    if (!(s->flags_ & WF_S_BEGUN)) {
        s->flags_ |= flags & (WEFT_FAIL | WEFT_SHIELD_);
        s->deadline_ = wf_time_add(wf_now, ns);
    }
    return begin(s, file, line);
}

__attribute__((cold, noinline)) static int cannot_end(const weft_scope *s)
{
    const weft_fiber *f = wf_self();
    const char *file = s->file_ ? s->file_ : "?";
    if (s->flags_ & (WF_S_NURSERY | WF_S_ENDED) || !(s->flags_ & WF_S_BEGUN))
        return wf_misuse(-EBUSY,
                         "weft_scope_end: the scope begun at %s:%d is %s", file,
                         s->line_,
                         s->flags_ & WF_S_NURSERY ? "a nursery's: close that"
                         : s->flags_ & WF_S_ENDED ? "ended already"
                                                  : "not begun");
    if (!wf_scope_is_here(s)) return wf_misplaced("weft_scope_end");
    if (!f || s->owner_ != f)
        return wf_misuse(-EBUSY,
                         "weft_scope_end: the scope begun at %s:%d is another "
                         "fiber's, which alone may end it",
                         file, s->line_);
    const weft_scope *inner = wf_child_self()->scope;
    return wf_misuse(
        -EBUSY,
        "weft_scope_end: inside the scope begun at %s:%d the %s of "
        "%s:%d is still open: %s it first",
        file, s->line_, inner->flags_ & WF_S_NURSERY ? "nursery" : "scope",
        inner->file_, inner->line_,
        inner->flags_ & WF_S_NURSERY ? "close" : "end");
}

void wf_check_innermost(const weft_scope *s)
{
    const weft_scope *inner = wf_child_self()->scope;
    if (inner == s) return;
    wf_fatal("fiber %llu \"%s\" leaves the block opened at %s:%d while the %s "
             "opened inside it at %s:%d is still open",
             (unsigned long long)wf_self()->id,
             wf_self()->name ? wf_self()->name : "", s->file_, s->line_,
             inner->flags_ & WF_S_NURSERY ? "nursery" : "scope", inner->file_,
             inner->line_);
}

int weft_scope_end(weft_scope *s, int rc)
{
    weft_fiber *f = wf_self();
    struct wf_child *c = wf_child_of(f);
    if (!f || c->scope != s || s->flags_ & (WF_S_BASE | WF_S_NURSERY))
        return cannot_end(s);

    bool visible = s->parent_->cause_ && !(s->flags_ & WEFT_SHIELD_);
    if (rc == -ECANCELED && s->flags_ & WF_S_CANCELLED && !visible) {
        rc = s->reason_.code;
        s->flags_ |= WF_S_CAUGHT;
    }
    wf_scope_leave(c, s);
    return rc;
}

/* ---- cancelling --------------------------------------------------------- */

void wf_scope_cancel(weft_scope *s, weft_reason_kind kind, int code,
                     uint64_t by, const char *why)
{
    if (s->flags_ & (WF_S_ENDED | WF_S_CANCELLED)) return;
    s->flags_ |= WF_S_CANCELLED;
    s->reason_ = (weft_reason){kind, code, by, why, wf_now};
    if (s->flags_ & WF_S_BEGUN) refresh(s);
}

void wf_scope_mirror(weft_scope *s, const weft_reason *why)
{
    if (why) {
        s->flags_ |= WF_S_CANCELLED;
        s->reason_ = *why;
    } else {
        s->flags_ &= ~(unsigned)WF_S_CANCELLED;
    }
    refresh(s);
}

void wf_child_cancel(struct wf_child *c, weft_reason *at, weft_reason why)
{
    weft_scope *base = wf_base(c);
    if (base->flags_ & WF_S_CANCELLED) return;
    why.at = wf_now;
    *at = why;
    base->flags_ |= WF_S_CANCELLED;
    refresh(base);
}

void weft_scope_cancel(weft_scope *s, int code, const char *why)
{
    weft_fiber *f = wf_self();
    if (!wf_scope_is_here(s))
        (void)wf_misplaced("weft_scope_cancel");
    else
        wf_scope_cancel(s, WEFT_R_EXPLICIT, code, f ? f->id : 0, why);
}

/* What is rare: it is not open, or is over; the clock jumps; the moment is
 * past. */
__attribute__((noinline)) static void set_deadline_slowly(weft_scope *s,
                                                          weft_time t)
{
    if (!wf_scope_is_here(s)) {
        (void)wf_misplaced("weft_scope_set_deadline");
        return;
    }
    bool later = t >= s->deadline_ && s->deadline_ != 0;
    s->deadline_ = t != 0 ? t : -1; /* 0 is that of a zeroed scope: none */
    if (!(s->flags_ & WF_S_BEGUN) || s->flags_ & (WF_S_ENDED | WF_S_CANCELLED))
        return;
    if (later) {
        if (wf_clock_is_virtual()) wf_child_timer_tidy(wf_child_of(s->owner_));
        return;
    }
    if (t <= wf_now)
        expire(s);
    else
        wf_child_timer(wf_child_of(s->owner_), t);
}

/* Later than before: the timer comes due for the old one, finds nothing and
 * is armed again. So this is one store, to a line that is at hand. */
void weft_scope_set_deadline(weft_scope *s, weft_time t)
{
    enum { LIFE = WF_S_BEGUN | WF_S_ENDED | WF_S_CANCELLED };
    bool usual = (s->flags_ & LIFE) == WF_S_BEGUN && t > wf_now &&
                 s->deadline_ != 0 && wf_scope_is_here(s) &&
                 !wf_clock_is_virtual();
    if (!__builtin_expect(usual, 1)) {
        set_deadline_slowly(s, t);
        return;
    }
    bool later = t >= s->deadline_;
    s->deadline_ = t;
    if (!later) wf_child_timer(wf_child_of(s->owner_), t);
}

void weft_scope_set_shield(weft_scope *s, bool on)
{
    if (!wf_scope_is_here(s)) {
        (void)wf_misplaced("weft_scope_set_shield");
        return;
    }
    if (on)
        s->flags_ |= WEFT_SHIELD_;
    else
        s->flags_ &= ~(unsigned)WEFT_SHIELD_;
    if (s->flags_ & WF_S_BEGUN && !(s->flags_ & WF_S_ENDED)) refresh(s);
}

/* ---- asking ------------------------------------------------------------- */

const weft_reason *weft_scope_reason(const weft_scope *s)
{
    return s->flags_ & WF_S_CANCELLED ? &s->reason_ : NULL;
}

const weft_reason *weft_cancel_reason(void)
{
    weft_fiber *f = wf_self();
    return f ? wf_child_of(f)->scope->cause_ : NULL;
}

weft_time wf_scope_deadline(const weft_scope *s)
{
    weft_time earliest = WEFT_FOREVER;
    for (; s; s = s->parent_) {
        if (!(s->flags_ & WF_S_BASE) && s->deadline_ < earliest)
            earliest = s->deadline_;
        if (s->flags_ & WEFT_SHIELD_) break;
    }
    return earliest;
}

weft_time weft_deadline(void)
{
    weft_fiber *f = wf_self();
    if (!f) return WEFT_FOREVER;
    if (f->cancelled) return INT64_MIN;
    return wf_scope_deadline(wf_child_of(f)->scope);
}
