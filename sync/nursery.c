/* SPDX-License-Identifier: MIT */
/*
 * nursery.c - starting fibers, and joining them.
 *
 * Rules that hold whenever a fiber is parked:
 *  - live_ counts the children whose function has not returned, and each has
 *    its own scope linked under scope_;
 *  - a nursery whose body is over and which has neither a child nor a place
 *    promised to a spawner is closed, and nobody is parked in its close;
 *  - nobody waits to spawn while there is a place: live_ + reserved_ is at the
 *    limit, or spawners_ is empty.
 *
 * A place that becomes free is reserved for the first parked spawner before
 * anybody else can take it. The close keeps waiting for it too, since it will
 * become a child.
 */
#include <weft/nursery.h>

#include <string.h>

#include "reactor/reactor.h"
#include "sync/child.h"

enum {
    OPEN = 1,
    BODY_OVER = 2,
    CLOSED = 4,
    STOPPED_OUTSIDE = 8, /* a child or the body was, by an outer scope */
    STOPPED_HERE = 16    /* ... by this nursery's own cancellation */
};

enum { RECORDS = 16 };

static const struct wf_wait_kind closing = {"nursery to close", NULL, NULL, NULL};

/* ---- opening ------------------------------------------------------------ */

/* *n is not initialised; what a scope sets when it is cancelled can stay so. */
static inline int open_it(weft_nursery *n, const weft_nursery_opts *o,
                          const char *file, int line)
{
    static const weft_nursery_opts none;
    n->state_ = OPEN | CLOSED; /* if it fails, there is nothing to close */
    weft_fiber *f = wf_self();
    if (!f) return wf_misuse(-EPERM, "weft_nursery_open outside a fiber");
    n->live_ = n->daemons_ = n->dropped_ = n->errors_count_ = 0;
    n->reserved_ = 0;
    n->first_ = 0;
    n->errors_ = NULL;
    n->errors_end_ = &n->errors_;
    n->closer_ = NULL;
    n->spawners_ = (weft_waitq_){NULL, NULL};
    n->opts_ = o ? *o : none;
    n->state_ = OPEN;
    n->scope_.flags_ = WF_S_NURSERY;
    n->scope_.deadline_ = WEFT_FOREVER;
    wf_scope_enter(wf_child_of(f), &n->scope_, file, line);
    return 0;
}

int weft_nursery_open_(const char *file, int line, weft_nursery *n,
                       const weft_nursery_opts *o)
{
    return open_it(n, o, file, line);
}

weft_scope *weft_nursery_scope(weft_nursery *n)
{
    return &n->scope_;
}

size_t weft_nursery_count(const weft_nursery *n)
{
    return n->live_;
}

void weft_nursery_cancel(weft_nursery *n, int code, const char *why)
{
    weft_scope_cancel(&n->scope_, code, why);
}

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
    if (!whole) return e;
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

/* Who stopped something that ended with -ECANCELED? */
static unsigned stopped_by(const weft_nursery *n)
{
    if (!n->scope_.cause_) return 0; /* only that child, by itself */
    if (n->scope_.cause_->kind == WEFT_R_DAEMON) return 0; /* as it should */
    return n->scope_.cause_ == &n->scope_.reason_ ? STOPPED_HERE
                                                  : STOPPED_OUTSIDE;
}

/* ---- spawning ----------------------------------------------------------- */

static int may_spawn(const weft_nursery *n, const weft_spawn_opts *o)
{
    if (!(n->state_ & OPEN) || n->state_ & CLOSED)
        return wf_misuse(-ESHUTDOWN, "spawn: the nursery is closed");
    if (o && o->unless_cancelled && n->scope_.cause_) return -ECANCELED;
    return 0;
}

static bool has_place(const weft_nursery *n)
{
    return n->opts_.limit == 0 || n->live_ + n->reserved_ < n->opts_.limit;
}

static struct wf_child *new_child(weft_nursery *n, const weft_spawn_opts *o,
                                  const char *file, int line)
{
    weft_fiber *f = wf_fiber_new(o ? o->stack_size : 0);
    if (!f) return NULL;
    struct wf_child *c = wf_child_of(f);
    f->file = file;
    f->line = line;
    f->nursery = n;
    c->held = NULL;
    c->sleep_until = INT64_MAX;
    if (o) {
        f->name = o->name;
        c->fiber.daemon = o->daemon;
    }
    return c;
}

static void start_child(weft_nursery *n, struct wf_child *c)
{
    wf_base_begin(c, &n->scope_);
    n->live_++;
    if (c->fiber.daemon) n->daemons_++;
    wf_fiber_start(&c->fiber);
}

/* A copied argument waits in the block if it is small, else on the stack. */
static int set_argument(struct wf_child *c, void *arg, const void *val,
                        size_t len)
{
    if (val && len <= WF_SMALL_COPY) {
        c->fiber.copied = true;
        memcpy(&c->fiber.waiter, val, len);
    } else if (val) {
        arg = wf_fiber_reserve(&c->fiber, len);
        if (!arg) return -E2BIG;
        memcpy(arg, val, len);
    }
    c->u.start.arg = arg;
    return 0;
}

static inline int spawn(weft_nursery *n, weft_fn fn, void *arg, const void *val,
                 size_t len, const weft_spawn_opts *o, const char *file,
                 int line)
{
    int err = may_spawn(n, o);
    if (err < 0) return err;
    struct wf_child *c = new_child(n, o, file, line);
    if (!c)
        return weft_fail_at(-ENOMEM, file, line,
                            "spawn: no memory for a fiber and its stack");
    c->u.start.fn = fn;
    err = set_argument(c, arg, val, len);
    if (err < 0) {
        wf_fiber_drop(&c->fiber);
        return err;
    }
    start_child(n, c);
    return 0;
}

static bool is_full(const weft_nursery *n)
{
    return !has_place(n) && n->state_ & OPEN;
}

int weft_spawn_(const char *file, int line, weft_nursery *n, weft_fn fn,
                void *arg)
{
    if (is_full(n)) return -EAGAIN;
    return spawn(n, fn, arg, NULL, 0, NULL, file, line);
}

int weft_spawn_ex_(const char *file, int line, weft_nursery *n, weft_fn fn,
                   void *arg, const weft_spawn_opts *o)
{
    if (is_full(n)) return -EAGAIN;
    return spawn(n, fn, arg, NULL, 0, o, file, line);
}

int weft_spawn_copy_(const char *file, int line, weft_nursery *n, weft_fn fn,
                     const void *val, size_t len)
{
    return weft_spawn_copy_ex_(file, line, n, fn, val, len, NULL);
}

int weft_spawn_copy_ex_(const char *file, int line, weft_nursery *n, weft_fn fn,
                        const void *val, size_t len, const weft_spawn_opts *o)
{
    if (is_full(n)) return -EAGAIN;
    return spawn(n, fn, NULL, val, len, o, file, line);
}

int wf_child_start_main(weft_nursery *root, weft_fn fn, void *arg)
{
    static const weft_spawn_opts named = {.name = "main"};
    *root = (weft_nursery){.scope_ = {.flags_ = WF_S_NURSERY | WF_S_BEGUN,
                                      .deadline_ = WEFT_FOREVER},
                           .state_ = OPEN};
    root->errors_end_ = &root->errors_;
    return spawn(root, fn, arg, NULL, 0, &named, NULL, 0);
}

/* ---- spawning with a limit ---------------------------------------------- */

static void body_and_children_over(weft_nursery *n)
{
    if (n->live_ || n->reserved_) return;
    n->state_ |= CLOSED;
    if (n->closer_) wf_wake(n->closer_, 0);
}

static void hand_on_place(weft_nursery *n)
{
    if (wf_waitq_empty(&n->spawners_) || !has_place(n)) return;
    n->reserved_++;
    wf_wake(wf_waitq_pop(&n->spawners_)->fiber_, 0);
}

static bool abort_spawner(weft_fiber *f)
{
    weft_nursery *n = (weft_nursery *)(uintptr_t)f->object;
    wf_waitq_remove(&n->spawners_, &f->waiter);
    return true;
}

static const struct wf_wait_kind for_a_place = {"place in nursery", NULL, NULL,
                                                abort_spawner};

int weft_spawn_wait_(const char *file, int line, weft_nursery *n, weft_fn fn,
                     void *arg)
{
    return weft_spawn_wait_ex_(file, line, n, fn, arg, NULL);
}

int weft_spawn_wait_ex_(const char *file, int line, weft_nursery *n, weft_fn fn,
                        void *arg, const weft_spawn_opts *o)
{
    int err = weft_pass_();
    if (err < 0) return err;
    err = may_spawn(n, o);
    if (err < 0) return err;
    bool waited = !has_place(n);
    if (waited) {
        err = wf_waitq_park(&n->spawners_, &for_a_place, n);
        if (err < 0) return err;
        n->reserved_--;
    }
    err = spawn(n, fn, arg, NULL, 0, o, file, line);
    if (err < 0 && waited) {
        hand_on_place(n);
        if (n->state_ & BODY_OVER) body_and_children_over(n);
    }
    return err;
}

/* ---- a child's life ----------------------------------------------------- */

static void judge(weft_nursery *n, struct wf_child *c, int rc)
{
    weft_fiber *f = &c->fiber;
    weft_outcome o = {.status = WEFT_OK, .rc = rc};
    weft_error *e = NULL;
    if (rc == -ECANCELED && wf_base(c)->cause_) {
        o.status = WEFT_CANCELLED;
        n->state_ |= stopped_by(n);
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
            if (!n->opts_.on_exit && e) wf_error_unhandled(e);
            wf_error_free(e);
        }
        if (n->opts_.policy == WEFT_FAIL_FAST)
            wf_scope_cancel(&n->scope_, WEFT_R_SIBLING, rc, f->id, NULL);
    }
    if (verdict == WEFT_CANCEL_REST)
        wf_scope_cancel(&n->scope_, WEFT_R_EXPLICIT, 0, f->id, NULL);
}

static void only_daemons_left(weft_nursery *n)
{
    if (n->live_ > 0 && n->live_ == n->daemons_ && !n->reserved_)
        wf_scope_cancel(&n->scope_, WEFT_R_DAEMON, 0, 0, NULL);
}

static void finish(struct wf_child *c, int rc)
{
    weft_nursery *n = c->fiber.nursery;
    if (c->scope != wf_base(c))
        wf_fatal("fiber %llu \"%s\" returned while the %s opened at %s:%d was "
                 "still open: %s it on every way out, or use the block form",
                 (unsigned long long)c->fiber.id,
                 c->fiber.name ? c->fiber.name : "",
                 c->scope->flags_ & WF_S_NURSERY ? "nursery" : "scope",
                 c->scope->file_, c->scope->line_,
                 c->scope->flags_ & WF_S_NURSERY ? "close" : "end");
    if (c->held) wf_mutexes_orphaned(c->held);
    if (wf_timer_armed(&c->u.timer))
        wf_timer_disarm(wf_reactor_wheel(), &c->u.timer);

    judge(n, c, rc);
    if (c->fiber.error) wf_error_give(&c->fiber, NULL);
    wf_scope_unlink(wf_base(c));
    n->live_--;
    if (c->fiber.daemon) n->daemons_--;
    hand_on_place(n);
    if (!(n->state_ & BODY_OVER)) return;
    only_daemons_left(n);
    body_and_children_over(n);
}

void wf_child_run(weft_fiber *f)
{
    struct wf_child *c = wf_child_of(f);
    weft_fn fn = c->u.start.fn;
    void *arg = c->u.start.arg;
    _Alignas(16) char copy[WF_SMALL_COPY];
    if (f->copied) {
        memcpy(copy, &f->waiter, sizeof copy);
        f->waiter.fiber_ = f;
        arg = copy;
    }
    c->u.timer = (struct wf_timer){0};
    finish(c, fn(arg));
}

/* ---- closing ------------------------------------------------------------ */

static void body_ended(weft_nursery *n, weft_fiber *f, int rc)
{
    n->state_ |= BODY_OVER;
    if (rc == -ECANCELED && n->scope_.cause_) {
        n->state_ |= stopped_by(n);
    } else if (rc < 0) {
        keep(n, rc, record_of(f, rc));
        wf_scope_cancel(&n->scope_, WEFT_R_BODY, rc, f->id, NULL);
    }
}

static int result_of(const weft_nursery *n, int body_rc)
{
    if (n->first_) return n->first_;
    if (n->state_ & STOPPED_OUTSIDE) return -ECANCELED;
    if (n->state_ & STOPPED_HERE) return n->scope_.reason_.code;
    return body_rc;
}

static int may_close(const weft_nursery *n, weft_fiber *f)
{
    if (n->state_ & CLOSED)
        return wf_misuse(-ESHUTDOWN, "weft_nursery_close: closed before");
    if (!f || n->scope_.owner_ != f)
        return wf_misuse(-EPERM,
                         "weft_nursery_close: opened at %s:%d by another "
                         "fiber, which alone may close it",
                         n->scope_.file_ ? n->scope_.file_ : "?",
                         n->scope_.line_);
    const weft_scope *inner = wf_child_of(f)->scope;
    if (inner != &n->scope_)
        return wf_misuse(-EBUSY,
                         "weft_nursery_close: what was opened inside it at "
                         "%s:%d is still open",
                         inner->file_, inner->line_);
    return 0;
}

int weft_nursery_close(weft_nursery *n, int body_rc)
{
    weft_fiber *f = wf_self();
    int err = may_close(n, f);
    if (err < 0) return err;

    body_ended(n, f, body_rc);
    only_daemons_left(n);
    if (n->live_ || n->reserved_) {
        n->closer_ = f;
        (void)wf_park(&closing, n);
    } else {
        n->state_ |= CLOSED;
        wf_yield();
    }
    wf_scope_leave(wf_child_of(f), &n->scope_);
    if (n->errors_) {
        n->errors_->dropped = n->dropped_;
        wf_error_give(f, n->errors_);
        n->errors_ = NULL;
    }
    return result_of(n, body_rc);
}

/* ---- the block form ----------------------------------------------------- */

weft_nursery *weft_nursery_enter_(const char *file, int line, weft_nursery *n,
                                  int *rc, const weft_nursery_opts *o)
{
    *rc = open_it(n, o, file, line);
    n->rc_ = rc;
    n->pass_ = 1;
    return *rc < 0 ? NULL : n;
}

weft_nursery *weft_nursery_exit_(weft_nursery *n)
{
    /* The body may have closed it by hand. */
    if (!(n->state_ & CLOSED)) *n->rc_ = weft_nursery_close(n, *n->rc_);
    return NULL;
}

/* Only a return or a goto leaves it open. What the body itself returns is on
 * its way to the caller; what a child failed with is not. */
void weft_nursery_leave_(weft_nursery *n)
{
    if (!(n->state_ & OPEN) || n->state_ & CLOSED) return;
    weft_fiber *f = wf_self();
    int lost = weft_nursery_close(n, *n->rc_);
    if (lost >= 0 || !n->first_) return;
    for (const weft_error *e = f->error; e; e = e->next)
        if (e->fiber != f->id) wf_error_unhandled(e);
}
