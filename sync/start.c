/* SPDX-License-Identifier: MIT */
/*
 * start.c - starting a child and waiting until it is ready.
 *
 * What the two share lies on the stack of the one who starts, and hangs on the
 * child until it is ready or ends; so it is gone only when neither will look.
 * A cancellation of the starter is passed on to the child, and from then on
 * nothing but the child's end can end the wait: whatever it says then, that it
 * is ready is not believed, since it is on its way out.
 */
#include "sync/away.h"
#include "sync/nursery.h"

struct starting {
    struct weft_attached_ attached;
    weft_fiber *starter;
    struct wf_child *child;
    void *value;
    bool passed_on; /* the starter's cancellation, to the child */
    bool over;      /* the child's function has returned */
    weft_reason reason;
};

/* ---- the one who starts ------------------------------------------------- */

static void pass_on(struct starting *s)
{
    s->passed_on = true;
    wf_child_cancel(s->child, &s->reason,
                    *wf_child_of(s->starter)->scope->cause_);
}

static bool abort_start(weft_fiber *f)
{
    pass_on((struct starting *)(uintptr_t)f->object);
    return false; /* the end of the child is what it waits for now */
}

static const weft_fiber *child_of(const void *object)
{
    return &((const struct starting *)object)->child->fiber;
}

static int64_t child_number(const void *object)
{
    return (int64_t)child_of(object)->id;
}

static const struct wf_wait_kind to_be_ready = {.name = "start of fiber",
                                                .number = child_number,
                                                .holder = child_of,
                                                .abort = abort_start};
static const struct wf_wait_kind to_end = {
    .name = "end of fiber", .number = child_number, .holder = child_of};

int weft_start_ex_(const char *file, int line, weft_nursery *n, weft_fn fn,
                   void *arg, void **ret_value, const weft_spawn_opts *o)
{
    wf_spawn_begin(o);
    int err = weft_pass_();
    if (err < 0) return err;
    struct starting s = {.starter = wf_self()};
    err = wf_spawn_at_limit(n, fn, arg, o, file, line, &s.child);
    /* Of unless_cancelled, which looks at the nursery: not the caller's. */
    if (err == -ECANCELED && !s.starter->cancelled) err = -ESHUTDOWN;
    if (err < 0) return err;
    wf_attach(&s.child->fiber, &s.attached, WF_A_STARTING);
    /* It may have been cancelled between the grant of a place and here. */
    if (s.starter->cancelled) {
        pass_on(&s);
        err = wf_park(&to_end, &s);
    } else {
        err = wf_park(&to_be_ready, &s);
    }
    if (err == 0 && ret_value) *ret_value = s.value;
    return err;
}

int weft_start_(const char *file, int line, weft_nursery *n, weft_fn fn,
                void *arg, void **ret_value)
{
    return weft_start_ex_(file, line, n, fn, arg, ret_value, NULL);
}

/* ---- the child ---------------------------------------------------------- */

void wf_started(weft_fiber *f, void *value)
{
    struct weft_attached_ **at = wf_attached(f, WF_A_STARTING);
    struct starting *s = (struct starting *)(void *)*at;
    if (!s || s->passed_on || s->over) return;
    *at = s->attached.next_;
    s->value = value;
    wf_wake(s->starter, 0);
}

int weft_started(void *value)
{
    weft_fiber *f = wf_self();
    if (!f) return wf_misuse(-EPERM, "weft_started outside a fiber");
    if (f->marks & WF_C_STARTED) return -EALREADY;
    f->marks |= WF_C_STARTED;
    if (f->nursery->state_ & WF_N_AWAY)
        wf_away_started(f, value);
    else
        wf_started(f, value);
    return 0;
}

static int result_of(const struct starting *s, const struct wf_ending *e)
{
    if (e->outcome.status == WEFT_FAILED) return e->outcome.rc;
    if (s->passed_on) return -ECANCELED;
    if (e->outcome.status == WEFT_CANCELLED) return -ESHUTDOWN;
    return -EPROTO;
}

void wf_starting_over(weft_fiber *f)
{
    struct starting *s =
        (struct starting *)(void *)*wf_attached(f, WF_A_STARTING);
    if (s) s->over = true;
}

bool wf_starting_ended(weft_fiber *f, const struct wf_ending *e)
{
    struct weft_attached_ **at = wf_attached(f, WF_A_STARTING);
    struct starting *s = (struct starting *)(void *)*at;
    if (!s) return false;
    *at = s->attached.next_;
    if (e->error) wf_error_give(s->starter, e->error);
    wf_wake(s->starter, result_of(s, e));
    return true;
}

const weft_reason *wf_own_reason(struct wf_child *c)
{
    for (struct weft_attached_ *a = c->fiber.attached; a; a = a->next_) {
        const weft_reason *r = NULL;
        if (a->kind_ == WF_A_TASK) r = &((weft_task *)(void *)a)->reason_;
        if (a->kind_ == WF_A_STARTING)
            r = &((struct starting *)(void *)a)->reason;
        if (r && r->kind != WEFT_R_NONE) return r;
    }
    return NULL;
}
