/* SPDX-License-Identifier: MIT */
/*
 * debug.c - the list of fibers, and the counters.
 */
#include <weft/debug.h>

#include <stdarg.h>
#include <stdio.h>

#include "runtime/clock.h"
#include "runtime/os.h"
#include "runtime/sched.h"
#include "runtime/stats.h"

__thread struct wf_stats wf_stats;

/* A line under construction: what does not fit is left out. */
struct line {
    char text[256];
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

static const weft_fiber *holder_of(const weft_fiber *f)
{
    if (f->state != WF_PARKED || !f->kind->holder) return NULL;
    return f->kind->holder(f->object);
}

/* Does f wait for a fiber that waits for a fiber ... that waits for f? Two
 * runners, one twice as fast: they meet if there is a cycle without f. */
static bool in_cycle(const weft_fiber *f)
{
    const weft_fiber *slow = f, *fast = f;
    do {
        slow = holder_of(slow);
        for (int i = 0; i < 2; i++) {
            fast = fast ? holder_of(fast) : NULL;
            if (fast == f) return true;
        }
    } while (fast && fast != slow);
    return false;
}

struct dump {
    int fd;
    bool cycles; /* this pass shows those in a cycle, or those that are not */
};

static void describe(weft_fiber *f, void *arg)
{
    const struct dump *d = arg;
    struct line l = {.len = 0};
    if (in_cycle(f) != d->cycles) return;
    add(&l, "  fiber %llu \"%.64s\" ", (unsigned long long)f->id,
        f->name ? f->name : "");
    if (f->state == WF_PARKED) {
        add(&l, "parked %.3f s in %s ", (double)(wf_now - f->since) / 1e9,
            f->kind->name);
        if (f->kind->number)
            add(&l, "%ld", f->kind->number(f->object));
        else
            add(&l, "%p", f->object);
        const weft_fiber *holder = holder_of(f);
        if (holder)
            add(&l, ", held by fiber %llu \"%.64s\"",
                (unsigned long long)holder->id,
                holder->name ? holder->name : "");
        if (d->cycles) add(&l, ", in a cycle");
    } else {
        add(&l, "%s",
            f->unborn                ? "not started"
            : f->state == WF_RUNNING ? "running"
                                     : "ready");
    }
    if (f->cancelled) add(&l, ", cancelled");
    if (f->file) add(&l, " (spawned %.96s:%d)", f->file, f->line);
    say(&l, d->fd);
}

void weft_dump(int fd)
{
    struct line l = {.len = 0};
    const struct wf_sched *w = wf_sched;
    if (w)
        add(&l, "weft: %zu fibers, %u ready", w->live, w->tail - w->head);
    else
        add(&l, "weft: no run on this thread");
    say(&l, fd);
    if (!w) return;
    wf_fiber_each(describe, &(struct dump){fd, true});
    wf_fiber_each(describe, &(struct dump){fd, false});
}

void weft_stats_read(weft_stats *ret_stats)
{
    const struct wf_sched *w = wf_sched;
    *ret_stats = (weft_stats){
        .polls = wf_stats.polls,
        .registrations = wf_stats.registrations,
        .accept_starved = wf_stats.accept_starved,
    };
    if (!w) return;
    ret_stats->fibers = w->live;
    ret_stats->spawned = w->spawned;
    ret_stats->switches = w->switches + WF_TURN - (w->stop - w->head);
    ret_stats->turns = w->turns;
    for (const struct wf_stack_pool *p = w->pools; p; p = p->next) {
        ret_stats->stacks += p->total;
        ret_stats->stacks_free += p->free_count;
        ret_stats->unguarded += p->unguarded;
    }
}
