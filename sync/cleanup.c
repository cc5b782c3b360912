/* SPDX-License-Identifier: MIT */
/*
 * cleanup.c - deferred functions, and the shield that clean-up runs under.
 */
#include <weft/cleanup.h>

#include "runtime/clock.h"
#include "runtime/os.h"
#include "sync/child.h"

/* ---- the shield --------------------------------------------------------- */

void wf_cleanup_begin(weft_scope *shield, weft_time grace)
{
    /* From now, not from the beginning of a turn that may have been long. */
    weft_time end = INT64_MIN;
    if (grace >= 0)
        end = wf_time_add(wf_clock_read(), grace ? grace : WEFT_SEC(5));
    weft_scope_init(shield);
    int err =
        weft_scope_begin_at(shield, end, (unsigned)WEFT_SHIELD_ | WEFT_FAIL);
    WF_ASSERT(err == 0); /* it is new, and we are in a fiber */
}

void wf_cleanup_end(weft_scope *shield)
{
    wf_check_innermost(shield);
    int rc = weft_scope_end(shield, 0);
    WF_ASSERT(rc == 0);
}

/* ---- deferred functions ------------------------------------------------- */

struct deferred {
    struct weft_attached_ attached;
    void (*fn)(void *arg);
    void *arg;
};

static weft_time grace_of(const weft_fiber *f)
{
    return f->nursery->opts_.cleanup_grace;
}

static void call_shielded(void (*fn)(void *arg), void *arg)
{
    weft_fiber *f = wf_self();
    weft_scope shield;
    if (f) wf_cleanup_begin(&shield, grace_of(f));
    fn(arg);
    if (f) wf_cleanup_end(&shield);
}

int weft_defer(void (*fn)(void *arg), void *arg)
{
    weft_fiber *f = wf_self();
    struct deferred *d = f ? wf_alloc(sizeof *d) : NULL;
    if (!d) {
        call_shielded(fn, arg);
        if (!f)
            return wf_misuse(-EPERM, "weft_defer outside a fiber: the "
                                     "function has been called");
        return weft_fail(-ENOMEM, "weft_defer: no memory, so the function has "
                                  "been called");
    }
    d->fn = fn;
    d->arg = arg;
    wf_attach(f, &d->attached, WF_A_DEFERRED);
    return 0;
}

/* Takes it off its fiber, and gives the memory back. */
static struct deferred take(struct weft_attached_ **at)
{
    struct deferred *d = (struct deferred *)(void *)*at, taken = *d;
    *at = d->attached.next_;
    wf_free(d, sizeof *d);
    return taken;
}

int weft_undefer(void (*fn)(void *arg), void *arg, bool run)
{
    weft_fiber *f = wf_self();
    struct weft_attached_ *none = NULL, **at = f ? &f->attached : &none;
    for (; *at; at = &(*at)->next_) {
        const struct deferred *d = (struct deferred *)(void *)*at;
        if ((*at)->kind_ == WF_A_DEFERRED && d->fn == fn && d->arg == arg)
            break;
    }
    if (!*at) return -ENOENT;
    (void)take(at);
    if (run) call_shielded(fn, arg);
    return 0;
}

void wf_deferred_run(struct wf_child *c)
{
    weft_scope shield;
    wf_cleanup_begin(&shield, grace_of(&c->fiber));
    struct weft_attached_ **at;
    while (*(at = wf_attached(&c->fiber, WF_A_DEFERRED)) != NULL) {
        struct deferred d = take(at);
        d.fn(d.arg);
        wf_check_innermost(&shield);
        wf_timed_check_ended(c);
    }
    wf_cleanup_end(&shield);
}
