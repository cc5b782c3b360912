/* SPDX-License-Identifier: MIT */
/*
 * events_hostile.c - the events that a poller brings in a hostile world: those
 * that are owed too, and in any order (BUILD=hostile; runtime/os_hostile.c).
 */
#include "reactor/poller.h"
#include "runtime/os.h"

#ifdef WEFT_HOSTILE
int wf_hostile_events(struct wf_event *events, int n, int max)
{
    uint64_t key;
    for (unsigned ready; n < max && (ready = wf_hostile_owed(&key)) != 0;)
        events[n++] = (struct wf_event){key, ready};
    for (int i = n; i > 1; i--) {
        size_t j = wf_hostile_place((size_t)i);
        struct wf_event last = events[j];
        events[j] = events[i - 1];
        events[i - 1] = last;
    }
    return n;
}
#else
typedef int wf_no_hostile_events; /* ISO C wants something in every file */
#endif
