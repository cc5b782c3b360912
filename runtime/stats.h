/* SPDX-License-Identifier: MIT */
/*
 * stats.h - counters that the layers above the scheduler keep.
 */
#ifndef WF_STATS_H
#define WF_STATS_H

#include <stdint.h>

struct wf_stats {
    uint64_t polls, registrations, accept_starved;
};
extern __thread struct wf_stats wf_stats;

#endif
