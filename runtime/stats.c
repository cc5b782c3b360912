/* SPDX-License-Identifier: MIT */
/*
 * stats.c - the counters.
 */
#include "runtime/stats.h"

#include <weft/stats.h>

#include "runtime/sched.h"

__thread struct wf_stats wf_stats;

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
    ret_stats->switches = w->switches + wf_turn_used(w);
    ret_stats->turns = w->turns;
    wf_inbox_count(w->inbox, &ret_stats->messages, &ret_stats->wakeups);
    for (const struct wf_stack_pool *p = w->pools; p; p = p->next) {
        ret_stats->stacks += p->total;
        ret_stats->stacks_free += p->free_count;
        ret_stats->unguarded += p->unguarded;
    }
}

void weft_stats_add(weft_stats *sum, const weft_stats *more)
{
    sum->fibers += more->fibers;
    sum->spawned += more->spawned;
    sum->switches += more->switches;
    sum->turns += more->turns;
    sum->polls += more->polls;
    sum->registrations += more->registrations;
    sum->stacks += more->stacks;
    sum->stacks_free += more->stacks_free;
    sum->unguarded += more->unguarded;
    sum->accept_starved += more->accept_starved;
    sum->messages += more->messages;
    sum->wakeups += more->wakeups;
}
