/* SPDX-License-Identifier: MIT */
/*
 * blocks.c - control blocks: where fibers come from.
 *
 * Blocks lie in slabs of their own rather than on the stacks: with a hundred
 * thousand fibers a walk over the ready queue then touches a few lines each
 * instead of a page, which measured three times faster. A free block keeps
 * what never changes (that its waiter is its own), and is reused last in,
 * first out.
 */
#include "runtime/os.h"
#include "runtime/sched.h"

enum { BLOCKS_MIN = 63, BLOCKS_MAX = 4095 };

static size_t blocks_bytes(const struct wf_sched *w, size_t count)
{
    return sizeof(struct wf_blocks) + count * w->opts.block_bytes;
}

/* Mapped rather than allocated: aligned to cache lines, and zeroed. */
static int add_blocks(struct wf_sched *w)
{
    /* With the header a power of two, four to 256 pages. */
    size_t count = w->block_count < BLOCKS_MAX ? w->block_count : BLOCKS_MAX;
    if (count < BLOCKS_MIN) count = BLOCKS_MIN;
    struct wf_blocks *b = wf_map(blocks_bytes(w, count));
    if (!b) return -ENOMEM;
    b->next = w->blocks;
    b->count = count;
    w->blocks = b;
    w->block_count += count;
    for (size_t i = count; i-- > 0;) {
        weft_fiber *f = (void *)(b->at + i * w->opts.block_bytes);
        f->waiter = wf_waiter_of(f);
        f->throws = w->exceptions != NULL;
        f->state = WF_DEAD;
        f->sp = w->free_blocks;
        w->free_blocks = f;
    }
    return 0;
}

void wf_blocks_fini(struct wf_sched *w)
{
    for (struct wf_blocks *b = w->blocks, *next; b; b = next) {
        next = b->next;
        wf_unmap(b, blocks_bytes(w, b->count));
    }
}

static struct wf_stack_pool *pool_of(struct wf_sched *w, size_t bytes)
{
    if (bytes == 0) return &w->pool;
    if (bytes > SIZE_MAX / 8) return NULL;
    for (struct wf_stack_pool *p = w->pools; p; p = p->next)
        if (p->usable >= bytes && p->usable - bytes < 4096) return p;
    struct wf_stack_pool *p = wf_alloc(sizeof *p);
    if (!p) return NULL;
    wf_stack_pool_init(p, bytes, w->opts.guard_bytes);
    p->next = w->pool.next;
    w->pool.next = p;
    return p;
}

/* A size that can never be had must not leave a pool behind. */
static void forget_if_unused(struct wf_sched *w, struct wf_stack_pool *pool)
{
    if (pool == &w->pool || pool->total > 0) return;
    struct wf_stack_pool **at = &w->pool.next;
    while (*at != pool)
        at = &(*at)->next;
    *at = pool->next;
    wf_stack_pool_fini(pool);
    wf_free(pool, sizeof *pool);
}

/* Ids are taken from the process a million at a time: no atomic per spawn. */
static uint64_t new_id(struct wf_sched *w)
{
    enum { RANGE = 1 << 20 };
    static uint64_t given;
    if (w->next_id == w->last_id) {
        w->next_id = __atomic_fetch_add(&given, RANGE, __ATOMIC_RELAXED);
        w->last_id = w->next_id + RANGE;
    }
    return ++w->next_id;
}

weft_fiber *wf_fiber_new(size_t stack_bytes)
{
    struct wf_sched *w = wf_sched;
    struct wf_stack_pool *pool = &w->pool;
    if (w->live >= w->mask && wf_ring_grow(w, w->live + 1) < 0) return NULL;
    if (!w->free_blocks && add_blocks(w) < 0) return NULL;
    if (stack_bytes) {
        pool = pool_of(w, stack_bytes);
        if (!pool) return NULL;
    }
    if (wf_stack_promise(pool) < 0) {
        forget_if_unused(w, pool);
        return NULL;
    }

    weft_fiber *f = w->free_blocks;
    w->free_blocks = f->sp;
    f->sp = pool;
    f->state = WF_NEW;
    f->cancelled = f->aborted = false;
    f->marks = 0;
    f->unborn = true;
    f->timed = false;
    f->refused = 0;
    f->stack = NULL;
    f->id = new_id(w);
    f->name = f->file = NULL;
    f->line = 0;
    f->error = NULL;
    f->attached = NULL;
    w->live++;
    w->spawned++;
    return f;
}

void *wf_fiber_reserve(weft_fiber *f, size_t bytes)
{
    struct wf_stack_pool *pool = f->sp;
    if (bytes > pool->usable / 4) return NULL;
    bytes = (bytes + 15) & ~(size_t)15;
    f->stack = wf_stack_take(pool);
    f->sp = f->stack->top - bytes;
    return f->sp;
}

size_t wf_fiber_stack_bytes(const weft_fiber *f)
{
    const struct wf_stack_pool *pool = f->stack ? f->stack->pool : f->sp;
    return pool == &wf_sched->pool ? 0 : pool->usable;
}

/* The layer above may have kept something where it would wait. */
void wf_fiber_drop(weft_fiber *f)
{
    f->waiter = wf_waiter_of(f);
    if (f->stack)
        wf_stack_release(f->stack);
    else
        wf_stack_unpromise(f->sp);
    wf_block_free(wf_sched, f);
}

void wf_fiber_each(void (*fn)(weft_fiber *f, void *arg), void *arg)
{
    struct wf_sched *w = wf_sched;
    for (struct wf_blocks *b = w->blocks; b; b = b->next)
        for (size_t i = 0; i < b->count; i++) {
            weft_fiber *f = (void *)(b->at + i * w->opts.block_bytes);
            if (f->state != WF_DEAD) fn(f, arg);
        }
}

weft_fiber *wf_fiber_find(bool (*is_so)(weft_fiber *f))
{
    struct wf_sched *w = wf_sched;
    for (struct wf_blocks *b = w->blocks; b; b = b->next)
        for (size_t i = 0; i < b->count; i++) {
            weft_fiber *f = (void *)(b->at + i * w->opts.block_bytes);
            if (f->state != WF_DEAD && is_so(f)) return f;
        }
    return NULL;
}

size_t wf_fiber_count(void)
{
    return wf_sched ? wf_sched->live : 0;
}

#ifdef WEFT_DEBUG
struct initialising {
    const void *object;
    const char *call;
};

static void check_does_not_wait(weft_fiber *f, void *arg)
{
    const struct initialising *i = arg;
    if (f->state != WF_PARKED || f->object != i->object) return;
    wf_fatal("%s: fiber %llu \"%s\" waits in the %s that is at %p already, and "
             "would never be woken",
             i->call, (unsigned long long)f->id, f->name ? f->name : "",
             f->kind->name, i->object);
}

void wf_check_nobody_waits(const void *object, const char *call)
{
    struct initialising i = {object, call};
    if (wf_sched) wf_fiber_each(check_does_not_wait, &i);
}
#endif
