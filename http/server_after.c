/* SPDX-License-Identifier: MIT */
/*
 * server_after.c - work that is done when the reply has gone, and failures that
 * nobody receives.
 *
 * Both are fibers of a nursery that tells the unhandled hook who failed.
 */
#include "server.h"

#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/nursery.h>

#include <stdio.h>

struct wf_after {
    struct wf_after *next;
    weft_fn fn;
    void *arg;
    void (*drop)(void *arg);
};

int weft_req_after(weft_req *r, weft_fn fn, void *arg, void (*drop)(void *arg))
{
    struct wf_exchange *x = wf_exchange_of(r);
    struct wf_after *a = weft_arena_alloc(&r->arena, sizeof *a);
    if (!a) return -ENOMEM;
    *a = (struct wf_after){NULL, fn, arg, drop};
    *(x->is.after ? &x->last_after->next : &x->is.after) = a;
    x->last_after = a;
    return 0;
}

static struct wf_after *take(struct wf_exchange *x)
{
    struct wf_after *a = x->is.after;
    x->is.after = a->next;
    return a;
}

void wf_after_drop(struct wf_exchange *x)
{
    while (x->is.after) {
        struct wf_after *a = take(x);
        if (a->drop) a->drop(a->arg);
    }
}

/* Runs fn(arg) in a fiber of its own: 0, or why it could not begin. */
static int run_alone(weft_fn fn, void *arg, bool unless_cancelled)
{
    const weft_nursery_opts supervise = {.name = "http",
                                         .policy = WEFT_SUPERVISE};
    const weft_spawn_opts how = {.name = "http-after",
                                 .unless_cancelled = unless_cancelled};
    weft_nursery n;
    int err = weft_nursery_open(&n, &supervise);
    if (err < 0) return err;
    int begun = weft_spawn_ex(&n, fn, arg, &how);
    err = weft_nursery_close(&n, 0);
    return begun < 0 ? begun : err == -ECANCELED ? 0 : err;
}

int wf_after_run(struct wf_exchange *x)
{
    while (x->is.after && !weft_cancelled()) {
        struct wf_after *a = take(x);
        int err = run_alone(a->fn, a->arg, true);
        if (err < 0 && a->drop) a->drop(a->arg);
    }
    if (!x->is.after) return 0;
    wf_after_drop(x);
    return -ECANCELED;
}

/* ---- failures ----------------------------------------------------------- */

struct failure {
    int code, line;
    const char *file;
    char msg[104];
};

static int fail_again(void *arg)
{
    const struct failure *f = arg;
    return weft_fail_at(f->code, f->file, f->line, "%s", f->msg);
}

void wf_tell_failure(int rc)
{
    const weft_error *e = weft_last_error();
    struct failure f = {.code = rc};
    if (e && e->code == rc) {
        f.file = e->file;
        f.line = e->line;
        (void)snprintf(f.msg, sizeof f.msg, "%s", e->msg);
    } else {
        (void)snprintf(f.msg, sizeof f.msg, "http: the handler failed");
    }
    (void)run_alone(fail_again, &f, false);
}
