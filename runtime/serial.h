/* SPDX-License-Identifier: MIT */
/*
 * serial.h - numbers by which handles that are out of date, or of another
 * thread, are found out.
 *
 * Each is given once in the process before any comes round again. A thread
 * takes so many at a time, without an atomic for each.
 */
#ifndef WF_SERIAL_H
#define WF_SERIAL_H

#include <stdint.h>

struct wf_serials { /* those that a thread has taken */
    uint32_t next, end;
};

/* The next one; neither 0 nor UINT32_MAX. `given` is one for all threads. */
static inline uint32_t wf_serial(struct wf_serials *s, uint32_t *given)
{
    enum { RANGE = 1024 };
    while (s->next == s->end || s->next == 0 || s->next == UINT32_MAX) {
        if (s->next == s->end) {
            s->next = __atomic_fetch_add(given, RANGE, __ATOMIC_RELAXED);
            s->end = s->next + RANGE;
        } else {
            s->next++;
        }
    }
    return s->next++;
}

#endif
