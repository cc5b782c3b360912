/* SPDX-License-Identifier: MIT */
/*
 * child.c - a child's life, and what its end means for the nursery.
 *
 * A child that returns -ECANCELED while a scope around all of it is cancelled
 * was cancelled; anything else below zero is a failure, -ECANCELED for no
 * reason too. Failures are kept in the order in which they came, sixteen of
 * them, and the rest are counted.
 */
#include <stdio.h>
#include <string.h>

#include "reactor/reactor.h"
#include "sync/away.h"
#include "sync/nursery.h"

enum { RECORDS = 16 };

/* ---- errors ------------------------------------------------------------- */

/* The record of a failure with `code` in f: its own, if it speaks of that. */
static weft_error *record_of(weft_fiber *f, int code)
{
    weft_error *e = wf_error_take(f);
    if (e && e->code != code) {
        wf_error_free(e);
        e = NULL;
    }
    if (!e) return wf_error_new(f, code);
    if (!e->next && e->fiber == f->id) return e;
    /* From a nursery that f closed: the group goes inside one record. */
    weft_error *whole = wf_error_new(f, code);
    if (!whole) { /* at least the first of them, which may join a list */
        wf_error_free((weft_error *)(uintptr_t)e->next);
        e->next = NULL;
        return e;
    }
    memcpy(whole->msg, e->msg, sizeof whole->msg);
    whole->inner = e;
    return whole;
}

static void keep(weft_nursery *n, int code, weft_error *e)
{
    if (n->first_ == 0) n->first_ = code;
    if (!e) return;
    if (n->errors_count_ == RECORDS) {
        wf_error_free(e);
        n->dropped_++;
        return;
    }
    n->errors_count_++;
    *n->errors_end_ = e;
    /* The list is ours until close; only its readers see it as const. */
    n->errors_end_ = (weft_error **)(uintptr_t)&e->next;
}

void wf_nursery_keep(weft_nursery *n, weft_fiber *f, int code)
{
    keep(n, code, record_of(f, code));
}

unsigned wf_nursery_stopped_by(const weft_nursery *n)
{
    const weft_reason *cause = n->scope_.cause_;
    if (!cause) return 0; /* only that child, by itself */
    if (cause != &n->scope_.reason_) return WF_N_STOPPED_OUTSIDE;
    /* Daemons that are left alone are stopped as they should. */
    return cause->kind == WEFT_R_DAEMON ? 0 : WF_N_STOPPED_HERE;
}

/* ---- a child's life ----------------------------------------------------- */

/* Decided when the function returns: what its clean-up may wait for, and what
 * is cancelled meanwhile, is no part of it. */
static struct wf_ending ending_of(struct wf_child *c, int rc)
{
    struct wf_ending e = {.outcome = {.status = WEFT_OK, .rc = rc}};
    if (rc >= 0) return e;
    bool stopped = wf_base(c)->cause_ || c->fiber.marks & WF_C_STOPPED;
    if (rc == -ECANCELED && stopped) {
        e.outcome.status = WEFT_CANCELLED;
        return e;
    }
    e.outcome.status = WEFT_FAILED;
    e.outcome.err = e.error = record_of(&c->fiber, rc);
    return e;
}

/* A failure, to where the policy sends it. */
static void failed(weft_nursery *n, const weft_fiber *f, struct wf_ending *e)
{
    int code = e->outcome.rc;
    if (n->opts_.policy != WEFT_SUPERVISE) {
        keep(n, code, e->error);
    } else {
        if (!n->opts_.on_exit) {
            const weft_error bare = {.code = code, .fiber = f->id};
            wf_error_unhandled(e->error ? e->error : &bare); /* no memory */
        }
        wf_error_free(e->error);
    }
    if (n->opts_.policy == WEFT_FAIL_FAST)
        wf_scope_cancel(&n->scope_, WEFT_R_SIBLING, code, f->id, NULL);
}

/* The child's place is free already, for a successor. */
static weft_verdict call_on_exit(weft_nursery *n, const weft_fiber *f,
                                 weft_outcome o)
{
    unsigned daemon = f->marks & WF_C_DAEMON ? 1 : 0;
    n->live_--;
    n->daemons_ -= daemon;
    weft_verdict verdict = n->opts_.on_exit(n, f->id, o, n->opts_.user);
    n->live_++;
    n->daemons_ += daemon;
    return verdict;
}

static void tell_nursery(weft_nursery *n, const weft_fiber *f,
                         struct wf_ending *e)
{
    weft_verdict verdict = WEFT_CONTINUE;
    if (n->opts_.on_exit) verdict = call_on_exit(n, f, e->outcome);
    if (e->outcome.status == WEFT_FAILED) failed(n, f, e);
    if (verdict == WEFT_CANCEL_REST)
        wf_scope_cancel(&n->scope_, WEFT_R_EXPLICIT, 0, f->id, NULL);
}

void wf_nursery_daemons_left(weft_nursery *n)
{
    if (n->live_ > 0 && n->live_ == n->daemons_ && !n->reserved_)
        wf_scope_cancel(&n->scope_, WEFT_R_DAEMON, 0, 0, NULL);
}

__attribute__((cold, noinline)) static void
over_without_a_closer(weft_nursery *n)
{
    if (n->state_ & WF_N_RUNTIME)
        wf_background_is_idle();
    else
        wf_away_over(n); /* and it is gone */
}

void wf_nursery_over(weft_nursery *n)
{
    if (n->live_ || n->reserved_) return;
    n->state_ |= WF_N_CLOSED;
    if (n->closer_) wf_wake(n->closer_, 0);
    if (n->state_ & (WF_N_RUNTIME | WF_N_AWAY)) over_without_a_closer(n);
}

static void check_all_ended(const struct wf_child *c, const char *who)
{
    const weft_scope *s = c->scope;
    wf_timed_check_ended(c);
    if (s->flags_ & WF_S_BASE) return;
    wf_fatal("%s fiber %llu \"%s\" returned while the %s opened at %s:%d was "
             "still open: %s it on every way out, or use the block form",
             who, (unsigned long long)c->fiber.id,
             c->fiber.name ? c->fiber.name : "",
             s->flags_ & WF_S_NURSERY ? "nursery" : "scope", s->file_, s->line_,
             s->flags_ & WF_S_NURSERY ? "close" : "end");
}

/* What hangs on the fiber goes, and those who wait for its end hear of it.
 * True: that was somebody who was starting it, and so not the nursery. */
static bool detach(struct wf_child *c, const struct wf_ending *e)
{
    weft_fiber *f = &c->fiber;
    wf_starting_over(f);
    if (*wf_attached(f, WF_A_DEFERRED)) wf_deferred_run(c);
    struct weft_attached_ *task = *wf_attached(f, WF_A_TASK);
    if (task) wf_task_end((weft_task *)(void *)task, e);
    return wf_starting_ended(f, e);
}

/* What is called here may defer and bind in its turn. */
__attribute__((noinline)) static void clear(struct wf_child *c)
{
    do {
        while (*wf_attached(&c->fiber, WF_A_DEFERRED))
            wf_deferred_run(c);
        wf_locals_drop(c);
    } while (c->locals || *wf_attached(&c->fiber, WF_A_PRIVATE) ||
             *wf_attached(&c->fiber, WF_A_DEFERRED));
    check_all_ended(c, "what was called at the end of");
}

/* The end of a child that somebody has to be told of. */
__attribute__((noinline)) static void conclude(struct wf_child *c, int rc)
{
    weft_nursery *n = c->fiber.nursery;
    struct wf_ending e = ending_of(c, rc);
    unsigned stopped = 0;
    if (e.outcome.status == WEFT_CANCELLED) stopped = wf_nursery_stopped_by(n);
    if (!c->fiber.attached || !detach(c, &e)) {
        n->state_ |= stopped;
        /* on_exit and the hook may lock, and open scopes */
        tell_nursery(n, &c->fiber, &e);
    }
    check_all_ended(c, "what was called at the end of");
}

/* Only counted, so nobody can be told: others would wait for them for ever. */
_Noreturn static void end_with(const struct wf_child *c)
{
    const weft_fiber *f = &c->fiber;
    unsigned count = c->reads ? c->reads : c->tokens;
    char place[160] = "";
    if (f->file)
        (void)snprintf(place, sizeof place, " (spawned %s:%d)", f->file,
                       f->line);
    wf_fatal("fiber %llu \"%s\"%s ended with %u %s%s that nobody else can give "
             "back: do so on every way out",
             (unsigned long long)f->id, f->name ? f->name : "", place, count,
             c->reads ? "read lock" : "limiter token", count == 1 ? "" : "s");
}

void wf_let_go(struct wf_child *c)
{
    if (c->held) wf_mutexes_orphaned(c);
    if (__builtin_expect(c->reads || c->tokens, 0)) end_with(c);
}

static void finish(struct wf_child *c, int rc)
{
    weft_nursery *n = c->fiber.nursery;
    check_all_ended(c, "the function of");
    if (rc < 0 || c->fiber.attached || n->opts_.on_exit) conclude(c, rc);
    if (c->locals || c->fiber.attached) clear(c);
    wf_let_go(c);
    if (wf_timer_armed(&c->u.timer))
        wf_timer_disarm(wf_reactor_wheel(), &c->u.timer);

    if (c->fiber.error) wf_error_give(&c->fiber, NULL);
    wf_scope_unlink(wf_base(c));
    n->live_--;
    if (c->fiber.marks & WF_C_DAEMON) n->daemons_--;
    wf_nursery_hand_on(n);
    if (!(n->state_ & WF_N_BODY_OVER)) return;
    wf_nursery_daemons_left(n);
    wf_nursery_over(n);
}

void wf_child_run(weft_fiber *f)
{
    struct wf_child *c = wf_child_of(f);
    weft_fn fn = c->u.start.fn;
    void *arg = c->u.start.arg;
    _Alignas(16) char copy[WF_SMALL_COPY];
    if (f->marks & (WF_C_COPIED | WF_C_SPARE)) {
        if (f->marks & WF_C_COPIED) {
            memcpy(copy, &f->waiter, sizeof copy);
            f->waiter = wf_waiter_of(f);
            arg = copy;
        }
        if (wf_group_has_idle()) wf_share_spares();
    }
    c->u.timer = (struct wf_timer){0};
    finish(c, fn(arg));
}
