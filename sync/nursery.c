/* SPDX-License-Identifier: MIT */
/*
 * nursery.c - opening and closing.
 *
 * Close waits until nobody is left: no child, and no spawner to whom a place
 * was promised, since that will be one. The rules are in sync/nursery.h.
 */
#include "sync/nursery.h"

const struct wf_wait_kind wf_nursery_closing = {.name = "nursery to close"};

/* ---- opening ------------------------------------------------------------ */

/* *n is not initialised; what a scope sets when it is cancelled can stay so. */
static inline int open_it(weft_nursery *n, const weft_nursery_opts *o,
                          const char *file, int line)
{
    static const weft_nursery_opts none;
    n->state_ = WF_N_OPEN | WF_N_CLOSED |
                WF_N_SEALED; /* if it fails, there is nothing to close */
    weft_fiber *f = wf_self();
    if (!f) return wf_misuse(-EPERM, "weft_nursery_open outside a fiber");
    n->live_ = n->daemons_ = n->dropped_ = n->errors_count_ = 0;
    n->reserved_ = 0;
    n->first_ = 0;
    n->owned_ = 0;
    n->errors_ = NULL;
    n->errors_end_ = &n->errors_;
    n->closer_ = NULL;
    n->spawners_ = (weft_waitq_){NULL, NULL};
    n->opts_ = o ? *o : none;
    n->state_ = WF_N_OPEN;
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
    weft_fiber *f = wf_self();
    if (!wf_nursery_is_here(n))
        (void)wf_misplaced("weft_nursery_cancel");
    else
        wf_scope_cancel(&n->scope_, WEFT_R_EXPLICIT, code, f ? f->id : 0, why);
}

/* ---- closing ------------------------------------------------------------ */

static void body_ended(weft_nursery *n, weft_fiber *f, int rc)
{
    n->state_ |= WF_N_BODY_OVER;
    if (rc == -ECANCELED && n->scope_.cause_) {
        n->state_ |= wf_nursery_stopped_by(n);
    } else if (rc < 0) {
        wf_nursery_keep(n, f, rc);
        wf_scope_cancel(&n->scope_, WEFT_R_BODY, rc, f->id, NULL);
    }
}

static int result_of(const weft_nursery *n, int body_rc)
{
    if (n->first_) return n->first_;
    if (n->state_ & WF_N_STOPPED_OUTSIDE) return -ECANCELED;
    if (n->state_ & WF_N_STOPPED_HERE) return n->scope_.reason_.code;
    return body_rc;
}

static int may_close(const weft_nursery *n, weft_fiber *f)
{
    if (n->state_ & WF_N_CLOSED)
        return wf_misuse(-ESHUTDOWN, "weft_nursery_close: closed before");
    if (!f || n->scope_.owner_ != f) {
        if (!wf_scope_is_here(&n->scope_))
            return wf_misplaced("weft_nursery_close");
        return wf_misuse(-EPERM,
                         "weft_nursery_close: \"%s\" was opened at %s:%d by "
                         "another fiber, which alone may close it",
                         n->opts_.name ? n->opts_.name : "",
                         n->scope_.file_ ? n->scope_.file_ : "?",
                         n->scope_.line_);
    }
    const weft_scope *inner = wf_child_of(f)->scope;
    if (inner != &n->scope_)
        return wf_misuse(-EBUSY,
                         "weft_nursery_close: inside \"%s\", opened at %s:%d, "
                         "the %s of %s:%d is still open: %s it first",
                         n->opts_.name ? n->opts_.name : "", n->scope_.file_,
                         n->scope_.line_,
                         inner->flags_ & WF_S_NURSERY ? "nursery" : "scope",
                         inner->file_, inner->line_,
                         inner->flags_ & WF_S_NURSERY ? "close" : "end");
    return 0;
}

int weft_nursery_close(weft_nursery *n, int body_rc)
{
    weft_fiber *f = wf_self();
    int err = may_close(n, f);
    if (err < 0) return err;

    body_ended(n, f, body_rc);
    wf_nursery_daemons_left(n);
    if (n->live_ || n->reserved_) {
        n->closer_ = f;
        (void)wf_park(&wf_nursery_closing, n);
    } else {
        n->state_ |= WF_N_CLOSED;
        wf_yield();
    }
    if (n->owned_) wf_owned_run(n);
    n->state_ |= WF_N_SEALED;
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
    if (*rc < 0) return NULL;
    n->pass_ = 1 + (int)wf_exceptions_uncaught();
    return n;
}

weft_nursery *weft_nursery_exit_(weft_nursery *n)
{
    /* The body may have closed it by hand. */
    if (n->state_ & WF_N_CLOSED) return NULL;
    wf_check_innermost(&n->scope_);
    *n->rc_ = weft_nursery_close(n, *n->rc_);
    return NULL;
}

void wf_nursery_tell_of_lost(const weft_nursery *n, weft_error *group,
                             uint64_t body, int body_rc)
{
    const weft_error bare = {.code = n->first_}; /* no memory for a record */
    if (n->first_ && n->first_ != body_rc &&
        n->first_ != (group ? group->code : 0))
        wf_error_unhandled(&bare);
    for (weft_error *e = group, *next; e; e = next) {
        next = (weft_error *)(uintptr_t)e->next;
        e->next = NULL;
        if (e->fiber == body && e->code == body_rc)
            body_rc = 0; /* once: its closers are called by the same fiber */
        else
            wf_error_unhandled(e);
        wf_error_free(e);
    }
}

/* Is it being left by a C++ exception? There is one more on its way than when
 * it was entered. */
static bool is_thrown_out_of(const weft_nursery *n)
{
    return wf_exceptions_uncaught() > (unsigned)n->pass_ - 1;
}

/* Only a return, a goto or an exception leaves it open. The record of what is
 * returned stays with the fiber. */
void weft_nursery_leave_(weft_nursery *n)
{
    if (!(n->state_ & WF_N_OPEN) || n->state_ & WF_N_CLOSED) return;
    weft_fiber *f = wf_self();
    wf_check_innermost(&n->scope_);
    int rc = *n->rc_;
    bool thrown = is_thrown_out_of(n);
    if (thrown)
        wf_scope_cancel(&n->scope_, WEFT_R_BODY, 0, f->id,
                        "left by an exception");
    bool stopped = rc == -ECANCELED && n->scope_.cause_;
    weft_error *said = wf_error_take(f);
    int mapped = weft_nursery_close(n, rc);
    if (mapped != rc && !thrown)
        wf_warn("the nursery block of %s:%d was left by return or goto, so "
                "that %d, which close returned, is lost: leave it by break",
                n->scope_.file_, n->scope_.line_, mapped);
    weft_error *group = wf_error_take(f); /* the hook may fail in its turn */
    if (n->first_)
        wf_nursery_tell_of_lost(n, group, f->id, rc < 0 && !stopped ? rc : 0);
    else
        wf_error_free(group);
    wf_error_give(f, said);
}
