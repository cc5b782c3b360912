/* SPDX-License-Identifier: MIT */
/*
 * within.c - scopes around a function, and around a block.
 */
#include <weft/scope.h>

#include <stdio.h>

#include "runtime/park.h"

static int within(weft_scope *s, weft_time ns, unsigned flags, weft_fn fn,
                  void *arg)
{
    int err = weft_scope_begin_after_(s, ns, flags, __FILE__, __LINE__);
    if (err < 0) return err;
    return weft_scope_end(s, fn(arg));
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

enum { FRESH, OPEN, DONE };

/* Called before the body, and again after it. */
int weft_guard_step_(weft_guard_ *g, int *rc, weft_time ns, unsigned flags,
                     const char *file, int line)
{
    if (g->state_ == OPEN) {
        g->state_ = DONE;
        *rc = weft_scope_end(&g->scope_, *rc);
        return 0;
    }
    g->state_ = DONE;
    *rc = weft_scope_begin_after_(&g->scope_, ns, flags, file, line);
    if (*rc < 0) return 0;
    g->state_ = OPEN;
    g->rc_ = rc;
    g->pass_ = 1;
    return 1;
}

/* Only a return or a goto leaves it open. */
void weft_guard_leave_(weft_guard_ *g)
{
    if (g->state_ != OPEN) return;
    int lost = weft_scope_end(&g->scope_, *g->rc_);
    (void)lost;
}
