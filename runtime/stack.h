/* SPDX-License-Identifier: MIT */
/*
 * stack.h - stacks: mapped in slabs, guarded, pooled.
 *
 * A stack is promised when a fiber is spawned, and taken when the fiber first
 * runs; so a spawn that returned 0 cannot fail later for want of one, and ten
 * thousand fibers that have not run yet hold address space and nothing else.
 */
#ifndef WF_STACK_H
#define WF_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wf_stack {
    char *low; /* the lowest usable octet; the guard is below it */
    char *top; /* where a fiber starts: 16-aligned, coloured */
    struct wf_stack_pool *pool;
    unsigned valgrind_id;
    void *tsan_fiber;
};

struct wf_slab; /* one mapping, cut into stacks as they are needed */

struct wf_stack_pool {
    struct wf_stack_pool *next; /* pools of other sizes */
    size_t usable, guard, stride;
    size_t per_slab;       /* stacks in the next slab: it doubles */
    struct wf_slab *slabs; /* the newest first: the only one with uncut room */
    size_t total, uncut;   /* stacks in all slabs; of those, never used */
    size_t promised;       /* to fibers that have not started */
    /* Free stacks, a pile: the hottest on top. Those below `clean` have been
     * given back to the kernel and cost nothing. There is room for all. */
    struct wf_stack **free;
    size_t free_count, free_room, clean;
    size_t busiest;  /* most stacks in use lately: so many are kept warm */
    int64_t trimmed; /* when that was last looked at */
    uint64_t unguarded;
};

/* Bytes are rounded up to pages. */
void wf_stack_pool_init(struct wf_stack_pool *p, size_t usable, size_t guard);

/* Unmaps everything; all stacks must be free. */
void wf_stack_pool_fini(struct wf_stack_pool *p);

/* Promises a stack: 0 or -ENOMEM. Take or break the promise in the end. */
int wf_stack_promise_more(struct wf_stack_pool *p);
static inline int wf_stack_promise(struct wf_stack_pool *p)
{
    if (p->promised >= p->free_count + p->uncut)
        return wf_stack_promise_more(p);
    p->promised++;
    return 0;
}
static inline void wf_stack_unpromise(struct wf_stack_pool *p)
{
    p->promised--;
}

/* Takes the promised stack. Cannot fail. */
struct wf_stack *wf_stack_take(struct wf_stack_pool *p);

/* Back to the pool; the caller may still be running on it. */
static inline void wf_stack_release(struct wf_stack *s)
{
    struct wf_stack_pool *p = s->pool;
    p->free[p->free_count++] = s;
}

/* Gives memory of free stacks back to the kernel, a few at a time, as far as
 * there are more of them than were in use at once in the last seconds. To be
 * called when there is nothing to do. */
void wf_stack_pool_trim(struct wf_stack_pool *p, int64_t now);

/* The deepest octet ever written, as bytes from the top. */
size_t wf_stack_high_water(const struct wf_stack *s);

#endif
