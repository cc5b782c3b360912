/* SPDX-License-Identifier: MIT */
/*
 * debug.c - the list of fibers, and the counters.
 */
#include <weft/debug.h>

#include <stdio.h>

#include "runtime/clock.h"
#include "runtime/os.h"
#include "runtime/sched.h"
#include "runtime/stats.h"

__thread struct wf_stats wf_stats;

static void describe(weft_fiber *f, void *arg)
{
    char text[256];
    int n = snprintf(text, sizeof text, "  fiber %llu \"%s\" ",
                     (unsigned long long)f->id, f->name ? f->name : "");
    size_t room = sizeof text - (size_t)n - 64;
    if (f->state == WF_PARKED)
        n += snprintf(text + n, room, "parked %.3f s in %s %p%s",
                      (double)(wf_now - f->since) / 1e9, f->kind->name,
                      f->object, f->cancelled ? ", cancelled" : "");
    else
        n += snprintf(text + n, room, "%s%s",
                      f->unborn                ? "not started"
                      : f->state == WF_RUNNING ? "running"
                                               : "ready",
                      f->cancelled ? ", cancelled" : "");
    room = sizeof text - (size_t)n - 1;
    if (f->file) {
        int m = snprintf(text + n, room, " (spawned %s:%d)", f->file, f->line);
        n += m < (int)room ? m : (int)room - 1;
    }
    text[n++] = '\n';
    wf_os_say(*(int *)arg, text, (size_t)n);
}

void weft_dump(int fd)
{
    char text[80];
    struct wf_sched *w = wf_sched;
    int n = w ? snprintf(text, sizeof text, "weft: %zu fibers, %u ready\n",
                         w->live, w->tail - w->head)
              : snprintf(text, sizeof text, "weft: no run on this thread\n");
    wf_os_say(fd, text, (size_t)n);
    if (w) wf_fiber_each(describe, &fd);
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
    ret_stats->switches = w->switches;
    ret_stats->turns = w->turns;
    for (const struct wf_stack_pool *p = w->pools; p; p = p->next) {
        ret_stats->stacks += p->total;
        ret_stats->stacks_free += p->free_count;
        ret_stats->unguarded += p->unguarded;
    }
}
