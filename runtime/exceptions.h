/* SPDX-License-Identifier: MIT */
/*
 * exceptions.h - what the C++ runtime knows of a thread's exceptions.
 *
 * It keeps the exceptions that are being handled, and the number of those that
 * are on their way to a handler, once for each thread. A fiber that waits in a
 * catch block, or in a destructor that an exception calls, would leave them to
 * whoever runs next: two such would rethrow each other's. So a fiber that
 * leaves its thread with any takes them along, and puts them back when it
 * returns. Hence between two fibers the thread has none.
 *
 * A program without the C++ runtime has no such state, which is found once for
 * each run.
 */
#ifndef WF_EXCEPTIONS_H
#define WF_EXCEPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* __cxa_eh_globals: Itanium C++ ABI, Exception Handling, 2.2.2, and nothing of
 * any implementation. On 32-bit Arm there is a third member, of exceptions
 * whose cleanups run (Exception Handling ABI for the Arm Architecture). */
struct wf_exceptions {
    void *caught;
    unsigned uncaught;
#ifdef __ARM_EABI__
    void *propagating;
#endif
};

/* Where this thread has its own; NULL: there is no C++ in this program. */
struct wf_exceptions *wf_exceptions_here(void);

static inline bool wf_exceptions_any(const struct wf_exceptions *e)
{
#ifdef __ARM_EABI__
    if (e->propagating) return true;
#endif
    return e->caught || e->uncaught;
}

/* Takes them out. `e` may be NULL. */
static inline struct wf_exceptions wf_exceptions_take(struct wf_exceptions *e)
{
    struct wf_exceptions taken = {0};
    if (!e) return taken;
    taken = *e;
    *e = (struct wf_exceptions){0};
    return taken;
}

static inline void wf_exceptions_put(struct wf_exceptions *e,
                                     const struct wf_exceptions *taken)
{
    if (e) *e = *taken;
}

#endif
