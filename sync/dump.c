/* SPDX-License-Identifier: MIT */
/*
 * dump.c - the tree of nurseries and fibers, as text.
 *
 * Each fiber is shown where its own scope hangs, and marked, so that what
 * hangs elsewhere is found afterwards: the trees are shown one after the other,
 * each from the root above the oldest fiber that has not been shown. A tree is
 * walked with what links it, since five thousand scopes inside each other must
 * not overflow a stack. Children are linked newest first, so the walk goes
 * backwards.
 */
#include <weft/debug.h>

#include <stdarg.h>
#include <stdio.h>

#include "runtime/clock.h"
#include "runtime/os.h"
#include "sync/circle.h"
#include "sync/dump.h"
#include "sync/group.h"
#include "sync/nursery.h"
#include "sync/worker.h"

enum { INDENT = 2, DEEPEST = 24 }; /* further in, no further to the right */

/* ---- lines -------------------------------------------------------------- */

/* A line under construction: what does not fit is left out. */
struct line {
    char text[384];
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *l,
                                                      const char *format, ...)
{
    size_t room = sizeof l->text - l->len - 1; /* for the end of line */
    va_list args;
    va_start(args, format);
    int n = vsnprintf(l->text + l->len, room, format, args);
    va_end(args);
    if (n > 0) l->len += (size_t)n < room ? (size_t)n : room - 1;
}

static void say(struct line *l, int fd)
{
    l->text[l->len++] = '\n';
    wf_os_say(fd, l->text, l->len);
}

static void indent(struct line *l, size_t depth)
{
    add(l, "%*s", (int)(INDENT * (depth < DEEPEST ? depth : DEEPEST)), "");
}

static double seconds(int64_t from, int64_t to)
{
    return ((double)to - (double)from) / 1e9;
}

/* ---- fibers ------------------------------------------------------------- */

static void add_fiber(struct line *l, const weft_fiber *f)
{
    add(l, "fiber %llu \"%.64s\"", (unsigned long long)f->id,
        f->name ? f->name : "");
}

static void add_place(struct line *l, const weft_scope *s)
{
    if (s->file_) add(l, " at %.96s:%d", s->file_, s->line_);
}

static void add_wait(struct line *l, const weft_fiber *f)
{
    add(l, " parked %.3f s in %s ", seconds(f->since, wf_now), f->kind->name);
    if (f->kind->number)
        add(l, "%lld", (long long)f->kind->number(f->object));
    else
        add(l, "%p", f->object);
    if (f->kind == &wf_nursery_closing) {
        const weft_nursery *n = f->object;
        if (n->opts_.name) add(l, " \"%.64s\"", n->opts_.name);
        add_place(l, &n->scope_);
    }
    const weft_fiber *by = f->kind->holder ? f->kind->holder(f->object) : NULL;
    if (!by) return;
    add(l, ", held by ");
    add_fiber(l, by);
}

static const char *state_of(const weft_fiber *f)
{
    return f->unborn                ? "not started"
           : f->state == WF_RUNNING ? "running"
                                    : "ready";
}

static void say_fiber(int fd, size_t depth, const weft_fiber *f)
{
    struct line l = {.len = 0};
    indent(&l, depth);
    add_fiber(&l, f);
    if (f->state == WF_PARKED)
        add_wait(&l, f);
    else
        add(&l, " %s", state_of(f));
    if (f->cancelled) add(&l, ", cancelled");
    if (f->marks & WF_C_DAEMON) add(&l, ", daemon");
    if (f->file) add(&l, " (spawned %.96s:%d)", f->file, f->line);
    say(&l, fd);
}

static void say_reference(int fd, size_t depth, const weft_fiber *f)
{
    struct line l = {.len = 0};
    indent(&l, depth);
    add_fiber(&l, f);
    add(&l, ", in the circle above");
    say(&l, fd);
}

/* ---- scopes and nurseries ----------------------------------------------- */

static weft_nursery *nursery_of(const weft_scope *s)
{
    _Static_assert(offsetof(weft_nursery, scope_) == 0, "begins with it");
    return s->flags_ & WF_S_NURSERY ? (weft_nursery *)(uintptr_t)s : NULL;
}

/* The nursery of main is the run's, and says nothing; nor does that of the
 * background when there is no such work. */
static bool is_worth_a_line(const weft_scope *s)
{
    if (s->flags_ & WF_S_BASE) return true;
    const weft_nursery *n = nursery_of(s);
    if (n) return s->owner_ || (n->opts_.name && n->live_);
    return s->deadline_ != WEFT_FOREVER ||
           s->flags_ & (WEFT_SHIELD_ | WF_S_CANCELLED);
}

static const char *words_for(weft_reason_kind kind)
{
    static const char *const words[] = {
        [WEFT_R_EXPLICIT] = "it was told to",
        [WEFT_R_DEADLINE] = "its deadline passed",
        [WEFT_R_SIBLING] = "a child failed",
        [WEFT_R_BODY] = "its body failed",
        [WEFT_R_DAEMON] = "only daemons were left",
        [WEFT_R_TOKEN] = "its token was cancelled",
        [WEFT_R_SHUTDOWN] = "shutdown",
        [WEFT_R_SIGNAL] = "a signal came",
        [WEFT_R_DEADLOCK] = "a deadlock was found",
    };
    size_t at = (size_t)kind;
    return at < sizeof words / sizeof *words && words[at] ? words[at] : "?";
}

static void add_reason(struct line *l, const weft_reason *r)
{
    add(l, ", cancelled %.3f s ago: %s", seconds(r->at, wf_now),
        words_for(r->kind));
    if (r->why) add(l, ": \"%.64s\"", r->why);
    if (r->code) add(l, ", code %d", r->code);
    if (r->by) add(l, ", by fiber %llu", (unsigned long long)r->by);
}

static void add_fate(struct line *l, const weft_scope *s)
{
    if (s->flags_ & WEFT_SHIELD_) add(l, ", shielded");
    if (s->flags_ & WF_S_CANCELLED)
        add_reason(l, &s->reason_);
    else if (s->cause_)
        add(l, ", cancelled from outside");
    else if (s->deadline_ != WEFT_FOREVER)
        add(l, ", %.3f s left", seconds(wf_now, s->deadline_));
}

static void add_nursery(struct line *l, const weft_nursery *n)
{
    add(l, "nursery");
    if (n->opts_.name) add(l, " \"%.64s\"", n->opts_.name);
    add_place(l, &n->scope_);
    if (!n->scope_.owner_) add(l, " of the run");
    add(l, ", %u %s", n->live_, n->live_ == 1 ? "child" : "children");
    if (n->opts_.policy != WEFT_FAIL_FAST)
        add(l, ", %s",
            n->opts_.policy == WEFT_COLLECT ? "collect" : "supervise");
    if (n->opts_.limit) add(l, ", limit %u", n->opts_.limit);
    if (n->state_ & WF_N_BODY_OVER) add(l, ", closing");
}

static void say_scope(int fd, size_t depth, const weft_scope *s)
{
    struct line l = {.len = 0};
    const weft_nursery *n = nursery_of(s);
    indent(&l, depth);
    if (n) {
        add_nursery(&l, n);
    } else {
        add(&l, "scope");
        add_place(&l, s);
    }
    add_fate(&l, s);
    say(&l, fd);
}

/* ---- the tree ----------------------------------------------------------- */

static void show(int fd, size_t depth, weft_scope *s)
{
    if (!is_worth_a_line(s)) return;
    if (!(s->flags_ & WF_S_BASE)) {
        say_scope(fd, depth, s);
        return;
    }
    weft_fiber *f = &wf_scope_child(s)->fiber;
    f->marks |= WF_C_SHOWN;
    if (f->marks & WF_C_CIRCLE)
        say_reference(fd, depth, f);
    else
        say_fiber(fd, depth, f);
}

static weft_scope *oldest(weft_scope *child)
{
    while (child->next_)
        child = child->next_;
    return child;
}

static void show_tree(int fd, weft_scope *root)
{
    weft_scope *at = root;
    size_t depth = 1;
    for (;;) {
        show(fd, depth, at);
        if (at->child_) {
            depth += is_worth_a_line(at);
            at = oldest(at->child_);
            continue;
        }
        while (at != root && !at->prev_) {
            at = at->parent_;
            depth -= is_worth_a_line(at);
        }
        if (at == root) return;
        at = at->prev_;
    }
}

static void look_for_oldest(weft_fiber *f, void *arg)
{
    weft_fiber **found = arg;
    if (f->marks & WF_C_SHOWN) return;
    if (!*found || f->id < (*found)->id) *found = f;
}

static void show_trees(int fd)
{
    for (;;) {
        weft_fiber *f = NULL;
        wf_fiber_each(look_for_oldest, &f);
        if (!f) return;
        if (f->state != WF_NEW) { /* one that is being made hangs nowhere */
            weft_scope *root = wf_base(wf_child_of(f));
            while (root->parent_)
                root = root->parent_;
            show_tree(fd, root);
        }
        if (f->marks & WF_C_SHOWN) continue;
        f->marks |= WF_C_SHOWN;
        say_fiber(fd, 1, f);
    }
}

/* ---- the dump ----------------------------------------------------------- */

static void count_ready(weft_fiber *f, void *arg)
{
    f->marks &= (uint8_t)~WF_C_SHOWN;
    if (f->state == WF_READY || f->state == WF_YIELDED) ++*(size_t *)arg;
}

static void show_if_in_circle(weft_fiber *f, void *arg)
{
    if (f->marks & WF_C_CIRCLE) say_fiber(*(const int *)arg, 2, f);
}

void wf_dump_here(int fd)
{
    struct line l = {.len = 0};
    size_t ready = 0;
    wf_fiber_each(count_ready, &ready);
    add(&l, "weft: ");
    if (wf_group)
        add(&l, "worker %u of %u: ", wf_worker + 1, wf_group->count);
    add(&l, "%zu fibers, %zu ready", wf_fiber_count(), ready);
    say(&l, fd);
    if (wf_circles_mark()) {
        l.len = 0;
        add(&l, "  in a circle, so that none of them can go on:");
        say(&l, fd);
        wf_fiber_each(show_if_in_circle, &fd);
    }
    show_trees(fd);
}

void weft_dump(int fd)
{
    static const char nothing[] = "weft: no run on this thread\n";
    if (!wf_sched_is_open()) {
        wf_os_say(fd, nothing, sizeof nothing - 1);
        return;
    }
    wf_dump_here(fd);
    if (wf_group) wf_workers_dump(fd);
}
