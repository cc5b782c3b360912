/* SPDX-License-Identifier: MIT */
/*
 * sched.h - one scheduler, of one thread.
 */
#ifndef WF_SCHED_H
#define WF_SCHED_H

#include <signal.h>

#include "runtime/park.h"
#include "runtime/remote.h"
#include "runtime/stack.h"

/* Switches between two questions to the driver: as many as one question brings
 * events. Fewer and the events of a thousand connections pile up, and what the
 * kernel touched for them has left the cache when they are served. */
enum { WF_TURN = 256 };

/* A piece of memory that holds control blocks. */
struct wf_blocks {
    struct wf_blocks *next;
    size_t count;
    _Alignas(64) char at[];
};

struct wf_sched {
    /* The ready queue: a ring of pointers with room for every fiber. A linked
     * list would miss the cache once per fiber just to find the next one. */
    weft_fiber **ring;
    uint32_t head, tail, mask, stop; /* no switch past `stop` without a turn */
    void *sp;          /* the thread's own stack, while a fiber runs */
    uint64_t switches; /* before this turn */
    uint64_t turns, spawned;
    size_t live;
    uint64_t next_id, last_id; /* a range of the process's ids */
    int *errno_at;             /* this thread's, found once */
    int32_t credit;            /* of who arrives: WF_CREDIT, or 0 if watched */
    bool quiet;                /* for the watcher: this yield is no point */
    uint32_t room;             /* switches that this turn is good for, */
    uint32_t left;             /* and those beyond a `stop` that is nearer */
    uint32_t batch;            /* seeded: who is drawn, but not in this turn */
    uint64_t drawn;            /* seeded: the state of the generator */
    uint64_t rotation;         /* of wf_rotate, as a fraction of 2^64, */
    uint64_t rotated_for;      /* and the fiber that called it last */
    weft_waitq_ settlers;
    weft_fiber *oldest_spare, *newest_spare; /* not started, not in the ring */

    struct wf_inbox *inbox;
    struct wf_sched_opts opts;
    struct wf_stack_pool *pools; /* the default size first */
    struct wf_stack_pool pool;
    struct wf_blocks *blocks;
    weft_fiber *free_blocks; /* linked by sp */
    size_t block_count;

    /* ASan wants to know the thread's own stack. */
    const void *own_low;
    size_t own_bytes;
    void *tsan_fiber;
    sigset_t signals; /* TSan: those that are held back in a switch */
    unsigned generation; /* of processes, fork.h */
    unsigned fpu; /* the floating-point control word of the thread */
    struct wf_exceptions *exceptions; /* of the thread, or NULL: no C++ */
};

extern __thread struct wf_sched *wf_sched;

/* Room in the ring for so many fibers and one more: 0 or -ENOMEM. */
int wf_ring_grow(struct wf_sched *w, size_t fibers);

/* settle.c: nothing else can happen before the clock jumps. */
void wf_settlers_wake(struct wf_sched *w);

/* order.c: from here on as the seed says; puts all that are ready now, as one
 * batch, in an order drawn from it. */
void wf_order_begin(struct wf_sched *w, uint64_t seed);
void wf_order_draw(struct wf_sched *w);

/* remote.c: from its open to the close, which delivers what is left, the driver
 * may be woken. Deliver says whether there was anything. The reference that
 * comes with it is the scheduler's. */
struct wf_inbox *wf_inbox_open(const struct wf_driver *driver);
void wf_inbox_close(struct wf_inbox *b);
bool wf_inbox_deliver(struct wf_inbox *b);
void wf_inbox_count(const struct wf_inbox *b, uint64_t *ret_messages,
                    uint64_t *ret_wakeups);

/* points.c: take the next fiber past a `stop` that is there for a watcher. */
weft_fiber *wf_points_take(struct wf_sched *w);

struct wf_points {
    wf_point_fn *fn;
    void *arg;
};
extern __thread struct wf_points wf_points;

/* How many switches there have been in this turn. */
static inline uint32_t wf_turn_used(const struct wf_sched *w)
{
    return w->room - (w->stop - w->head) - w->left;
}

/* blocks.c */
void wf_blocks_fini(struct wf_sched *w);

static inline void wf_block_free(struct wf_sched *w, weft_fiber *f)
{
    f->state = WF_DEAD;
    f->sp = w->free_blocks;
    w->free_blocks = f;
    w->live--;
}

#endif
