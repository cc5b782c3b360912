/* SPDX-License-Identifier: MIT */
/*
 * within.c - scopes around a function, and around a block.
 */
#include <weft/scope.h>

#include "sync/child.h"

static int within(weft_scope *s, weft_time ns, unsigned flags, weft_fn fn,
                  void *arg)
{
    int err = weft_scope_begin_after_(s, ns, flags, __FILE__, __LINE__);
    if (err < 0) return err;
    int rc = fn(arg);
    wf_check_innermost(s);
    return weft_scope_end(s, rc);
}

int weft_with_timeout(weft_time ns, weft_fn fn, void *arg)
{
    weft_scope s;
    weft_scope_init(&s);
    return within(&s, ns, WEFT_FAIL, fn, arg);
}

int weft_move_on_after(weft_time ns, weft_fn fn, void *arg, bool *ret_expired)
{
    weft_scope s;
    weft_scope_init(&s);
    int rc = within(&s, ns, WEFT_MOVE_ON, fn, arg);
    if (ret_expired) *ret_expired = weft_scope_caught(&s);
    return rc;
}

int weft_shielded(weft_time grace, weft_fn fn, void *arg)
{
    weft_scope s;
    weft_scope_init(&s);
    return within(&s, grace, (unsigned)WEFT_SHIELD_ | WEFT_FAIL, fn, arg);
}

/* ---- the block form ----------------------------------------------------- */

/* Opens it before the body; NULL if that fails. Sets what it needs of *g,
 * which is not initialised. */
weft_guard_ *weft_guard_enter_(weft_guard_ *g, int *rc, weft_time ns,
                               unsigned flags, const char *file, int line)
{
    g->scope_.flags_ = 0;
    g->scope_.file_ = NULL;
    *rc = weft_scope_begin_after_(&g->scope_, ns, flags, file, line);
    g->open_ = *rc == 0;
    g->rc_ = rc;
    g->pass_ = 1;
    return g->open_ ? g : NULL;
}

/* Ends it after the body. */
weft_guard_ *weft_guard_exit_(weft_guard_ *g)
{
    g->open_ = 0;
    wf_check_innermost(&g->scope_);
    *g->rc_ = weft_scope_end(&g->scope_, *g->rc_);
    return NULL;
}

/* Only a return or a goto leaves it open. */
void weft_guard_leave_(weft_guard_ *g)
{
    if (!g->open_) return;
    wf_check_innermost(&g->scope_);
    int rc = *g->rc_, mapped = weft_scope_end(&g->scope_, rc);
    if (mapped != rc)
        wf_warn("the block of %s:%d was left by return or goto, so that %d, "
                "which %d was turned into, is lost: leave it by break",
                g->scope_.file_, g->scope_.line_, mapped, rc);
}
