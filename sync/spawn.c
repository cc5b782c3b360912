/* SPDX-License-Identifier: MIT */
/*
 * spawn.c - starting children, with or without a limit.
 *
 * A place that becomes free is reserved for the first parked spawner before
 * anybody else can take it.
 */
#include <string.h>

#include "sync/away.h"
#include "sync/nursery.h"

/* ---- which worker ------------------------------------------------------- */

static unsigned workers(void)
{
    return wf_group ? wf_group->count : 1;
}

/* The caller asked for a worker. 0, or there is none such. */
__attribute__((cold, noinline)) static int
no_such_worker(int worker, const char *file, int line)
{
    return wf_misuse(-EINVAL,
                     "spawn at %s:%d: there is no worker %d: they are numbered "
                     "from 1 to %u",
                     file, line, worker, workers());
}

/* ---- spawning ----------------------------------------------------------- */

__attribute__((cold, noinline)) static int closed(const weft_nursery *n,
                                                  const char *file, int line)
{
    if (!wf_nursery_is_here(n)) return wf_misplaced("weft_spawn");
    if (n->state_ & WF_N_RUNTIME) return -ESHUTDOWN; /* no mistake of anybody */
    if (!(n->state_ & WF_N_OPEN))
        return wf_misuse(-ESHUTDOWN, "spawn at %s:%d: the nursery is not open",
                         file, line);
    return wf_misuse(
        -ESHUTDOWN, "spawn at %s:%d: the nursery opened at %s:%d is closed",
        file, line, n->scope_.file_ ? n->scope_.file_ : "?", n->scope_.line_);
}

static inline int may_spawn(weft_nursery *n, const weft_spawn_opts *o,
                            const char *file, int line)
{
    if (!(n->state_ & WF_N_OPEN) || n->state_ & WF_N_CLOSED ||
        !wf_scope_is_here(&n->scope_))
        return closed(n, file, line);
    if (!o) return 0;
    if (o->worker < WEFT_ANY_WORKER || o->worker > (int)workers())
        return no_such_worker(o->worker, file, line);
    if (o->unless_cancelled && n->scope_.cause_) return -ECANCELED;
    if (o->doneq && !o->task)
        return wf_misuse(-EINVAL,
                         "spawn at %s:%d: weft_spawn_opts.doneq needs "
                         "a task",
                         file, line);
    return 0;
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
    c->locals = NULL;
    c->sleep_until = INT64_MAX;
    if (o) {
        f->name = o->name;
        if (o->daemon) f->marks |= WF_C_DAEMON;
    }
    return c;
}

/* Says where c is to run, before it is counted. Of its parent's locals it sees
 * the same wherever that is. 0 or -ENOMEM. */
static int set_worker(struct wf_child *c, int worker)
{
    if (wf_self() && wf_child_self()->locals) {
        int err = wf_locals_share(wf_child_self()->locals, &c->locals);
        if (err < 0) return err;
    }
    if (worker == WEFT_ANY_WORKER) {
        c->fiber.marks |= WF_C_SPARE;
        return 0;
    }
    unsigned seat = (unsigned)worker - 1;
    if (!wf_group || seat == wf_worker) return 0;
    int err = wf_away_prepare(c, seat);
    if (err < 0) wf_locals_forget(c->locals);
    return err;
}

static void start_as_asked(struct wf_child *c)
{
    if (c->fiber.marks & WF_C_AWAY) {
        wf_away_send(c);
    } else if (c->fiber.marks & WF_C_SPARE) {
        wf_fiber_start_spare(&c->fiber);
        if (wf_group_has_idle()) wf_share_spares();
    } else {
        wf_fiber_start(&c->fiber);
    }
}

__attribute__((always_inline)) static inline void
start_child(weft_nursery *n, struct wf_child *c, const weft_spawn_opts *o)
{
    const weft_fiber *parent = wf_self();
    wf_base_begin(c, &n->scope_);
    n->live_++;
    if (c->fiber.marks & WF_C_DAEMON) n->daemons_++;
    if (parent && wf_child_self()->locals && !(o && o->worker))
        c->locals = wf_locals_inherit(wf_child_self()->locals);
    if (o && o->task) wf_task_begin(o->task, &c->fiber, o);
    if (o && o->worker)
        start_as_asked(c);
    else
        wf_fiber_start(&c->fiber);
}

/* A copied argument waits in the block if it is small, else on the stack. */
static int set_argument(struct wf_child *c, void *arg, const void *val,
                        size_t len)
{
    if (val && len <= WF_SMALL_COPY) {
        c->fiber.marks |= WF_C_COPIED;
        memcpy(&c->fiber.waiter, val, len);
    } else if (val) {
        arg = wf_fiber_reserve(&c->fiber, len);
        if (!arg) return -E2BIG;
        memcpy(arg, val, len);
    }
    c->u.start.arg = arg;
    return 0;
}

__attribute__((always_inline)) static inline int
spawn(weft_nursery *n, weft_fn fn, void *arg, const void *val, size_t len,
      const weft_spawn_opts *o, const char *file, int line,
      struct wf_child **ret_child)
{
    int err = may_spawn(n, o, file, line);
    if (err < 0) return err;
    struct wf_child *c = new_child(n, o, file, line);
    if (!c)
        return weft_fail_at(-ENOMEM, file, line,
                            "spawn: no memory for a fiber and its stack");
    c->u.start.fn = fn;
    err = set_argument(c, arg, val, len);
    if (err == 0 && o && o->worker) err = set_worker(c, o->worker);
    if (err < 0) {
        wf_fiber_drop(&c->fiber);
        return err;
    }
    start_child(n, c, o);
    if (ret_child) *ret_child = c;
    return 0;
}

/* The usual, without options, has a copy of the above to itself. */
__attribute__((noinline)) static int
spawn_as(weft_nursery *n, weft_fn fn, void *arg, const void *val, size_t len,
         const weft_spawn_opts *o, const char *file, int line,
         struct wf_child **ret_child)
{
    return spawn(n, fn, arg, val, len, o, file, line, ret_child);
}

int wf_spawn_there(weft_nursery *n, weft_fn fn, void *arg,
                   const weft_spawn_opts *o, const struct wf_child *as)
{
    struct wf_binding *locals;
    struct wf_child *c;
    int err = wf_locals_share(as->locals, &locals);
    if (err < 0) return err;
    err = spawn_as(n, fn, arg, NULL, 0, o, as->fiber.file, as->fiber.line, &c);
    if (err < 0) {
        wf_locals_forget(locals);
        return err;
    }
    c->fiber.id = as->fiber.id;
    c->locals = locals;
    return 0;
}

/* What is posted to a run may spawn there, though it is in no fiber. */
__attribute__((cold, noinline)) static int
outside_a_fiber(const weft_nursery *n)
{
    if (wf_sched_is_open() && !wf_sched_is_left()) return 0;
    if (!wf_nursery_is_here(n)) return wf_misplaced("weft_spawn");
    return wf_misuse(-EPERM, "spawn: called outside a fiber");
}

/* Who waits for a place gets it before anybody else. */
static int admit(const weft_nursery *n)
{
    if (__builtin_expect(!wf_self(), 0)) {
        int err = outside_a_fiber(n);
        if (err < 0) return err;
    }
    if (n->opts_.limit == 0) return 0;
    if (wf_nursery_has_place(n) && wf_waitq_empty(&n->spawners_)) return 0;
    return n->state_ & WF_N_OPEN ? -EAGAIN : 0;
}

int weft_spawn_(const char *file, int line, weft_nursery *n, weft_fn fn,
                void *arg)
{
    int err = admit(n);
    return err < 0 ? err : spawn(n, fn, arg, NULL, 0, NULL, file, line, NULL);
}

int weft_spawn_ex_(const char *file, int line, weft_nursery *n, weft_fn fn,
                   void *arg, const weft_spawn_opts *o)
{
    wf_spawn_begin(o);
    int err = admit(n);
    return err < 0 ? err : spawn_as(n, fn, arg, NULL, 0, o, file, line, NULL);
}

int weft_spawn_copy_(const char *file, int line, weft_nursery *n, weft_fn fn,
                     const void *val, size_t len)
{
    return weft_spawn_copy_ex_(file, line, n, fn, val, len, NULL);
}

int weft_spawn_copy_ex_(const char *file, int line, weft_nursery *n, weft_fn fn,
                        const void *val, size_t len, const weft_spawn_opts *o)
{
    wf_spawn_begin(o);
    int err = admit(n);
    return err < 0 ? err : spawn_as(n, fn, NULL, val, len, o, file, line, NULL);
}

int wf_child_start_main(weft_nursery *root, const char *name, weft_fn fn,
                        void *arg)
{
    const weft_spawn_opts named = {.name = name};
    *root = (weft_nursery){.scope_ = {.flags_ = WF_S_NURSERY | WF_S_BEGUN,
                                      .deadline_ = WEFT_FOREVER},
                           .state_ = WF_N_OPEN};
    root->errors_end_ = &root->errors_;
    return spawn_as(root, fn, arg, NULL, 0, &named, NULL, 0, NULL);
}

/* ---- spawning with a limit ---------------------------------------------- */

void wf_nursery_hand_on(weft_nursery *n)
{
    if (wf_waitq_empty(&n->spawners_) || !wf_nursery_has_place(n)) return;
    n->reserved_++;
    wf_wake(wf_waitq_pop(&n->spawners_)->fiber_, 0);
}

static const struct wf_wait_kind for_a_place = {
    .name = "place in nursery",
    .abort = wf_leave_line,
    .line = offsetof(weft_nursery, spawners_)};

int weft_spawn_wait_(const char *file, int line, weft_nursery *n, weft_fn fn,
                     void *arg)
{
    return weft_spawn_wait_ex_(file, line, n, fn, arg, NULL);
}

/* Parks until there is a place, and takes it. */
int wf_spawn_at_limit(weft_nursery *n, weft_fn fn, void *arg,
                      const weft_spawn_opts *o, const char *file, int line,
                      struct wf_child **ret_child)
{
    int err = may_spawn(n, o, file, line);
    if (err < 0) return err;
    bool waited = !wf_nursery_has_place(n);
    if (waited) {
        err = wf_waitq_park(&n->spawners_, &for_a_place, n);
        if (err < 0) return err;
        n->reserved_--;
    }
    err = spawn_as(n, fn, arg, NULL, 0, o, file, line, ret_child);
    if (err < 0 && waited) {
        wf_nursery_hand_on(n);
        if (n->state_ & WF_N_BODY_OVER) {
            wf_nursery_daemons_left(n);
            wf_nursery_over(n);
        }
    }
    return err;
}

int weft_spawn_wait_ex_(const char *file, int line, weft_nursery *n, weft_fn fn,
                        void *arg, const weft_spawn_opts *o)
{
    wf_spawn_begin(o);
    int err = weft_pass_();
    if (err < 0)
        return wf_refused(err, wf_nursery_is_here(n), "weft_spawn_wait");
    return wf_spawn_at_limit(n, fn, arg, o, file, line, NULL);
}
