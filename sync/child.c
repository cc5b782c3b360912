/* SPDX-License-Identifier: MIT */
/*
 * child.c - a child's life, and what its end means for the nursery.
 *
 * A child that returns -ECANCELED while a scope around all of it is cancelled
 * was cancelled; anything else below zero is a failure, -ECANCELED for no
 * reason too. Failures are kept in the order in which they came, sixteen of
 * them, and the rest are counted.
 */
#include <string.h>

#include "reactor/reactor.h"
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
    if (!n->scope_.cause_) return 0; /* only that child, by itself */
    if (n->scope_.cause_->kind == WEFT_R_DAEMON) return 0; /* as it should */
    return n->scope_.cause_ == &n->scope_.reason_ ? WF_N_STOPPED_HERE
                                                  : WF_N_STOPPED_OUTSIDE;
}

/* ---- a child's life ----------------------------------------------------- */

static void judge(weft_nursery *n, struct wf_child *c, int rc)
{
    weft_fiber *f = &c->fiber;
    weft_outcome o = {.status = WEFT_OK, .rc = rc};
    weft_error *e = NULL;
    if (rc == -ECANCELED && wf_base(c)->cause_) {
        o.status = WEFT_CANCELLED;
        n->state_ |= wf_nursery_stopped_by(n);
    } else if (rc < 0) {
        o.status = WEFT_FAILED;
        o.err = e = record_of(f, rc);
    }

    weft_verdict verdict = WEFT_CONTINUE;
    if (n->opts_.on_exit)
        verdict = n->opts_.on_exit(n, f->id, o, n->opts_.user);
    if (o.status == WEFT_FAILED) {
        if (n->opts_.policy != WEFT_SUPERVISE) {
            keep(n, rc, e);
        } else {
            if (!n->opts_.on_exit) {
                const weft_error bare = {.code = rc, .fiber = f->id};
                wf_error_unhandled(e ? e : &bare); /* also without memory */
            }
            wf_error_free(e);
        }
        if (n->opts_.policy == WEFT_FAIL_FAST)
            wf_scope_cancel(&n->scope_, WEFT_R_SIBLING, rc, f->id, NULL);
    }
    if (verdict == WEFT_CANCEL_REST)
        wf_scope_cancel(&n->scope_, WEFT_R_EXPLICIT, 0, f->id, NULL);
}

void wf_nursery_daemons_left(weft_nursery *n)
{
    if (n->live_ > 0 && n->live_ == n->daemons_ && !n->reserved_)
        wf_scope_cancel(&n->scope_, WEFT_R_DAEMON, 0, 0, NULL);
}

void wf_nursery_over(weft_nursery *n)
{
    if (n->live_ || n->reserved_) return;
    n->state_ |= WF_N_CLOSED;
    if (n->closer_) wf_wake(n->closer_, 0);
}

static void check_all_ended(const struct wf_child *c, const char *who)
{
    const weft_scope *s = c->scope;
    if (s->flags_ & WF_S_BASE) return;
    wf_fatal("%s fiber %llu \"%s\" returned while the %s opened at %s:%d was "
             "still open: %s it on every way out, or use the block form",
             who, (unsigned long long)c->fiber.id,
             c->fiber.name ? c->fiber.name : "",
             s->flags_ & WF_S_NURSERY ? "nursery" : "scope", s->file_, s->line_,
             s->flags_ & WF_S_NURSERY ? "close" : "end");
}

static void finish(struct wf_child *c, int rc)
{
    weft_nursery *n = c->fiber.nursery;
    check_all_ended(c, "the function of");
    judge(n, c, rc); /* on_exit and the hook may lock, and open scopes */
    check_all_ended(c, "what was called at the end of");
    if (c->held) wf_mutexes_orphaned(c->held);
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
    if (f->marks & WF_C_COPIED) {
        memcpy(copy, &f->waiter, sizeof copy);
        f->waiter.fiber_ = f;
        arg = copy;
    }
    c->u.timer = (struct wf_timer){0};
    finish(c, fn(arg));
}
