/* SPDX-License-Identifier: MIT */
/*
 * stack.c - slabs of guarded stacks.
 *
 * A slab is one mapping of many stacks, each with its guard below it:
 *
 *     | guard | stack 0     | guard | stack 1     | ...
 *              low        top        low        top
 *
 * Guards are laid by MADV_GUARD_INSTALL, which splits no mapping, so that a
 * million fit under the default vm.max_map_count; it is believed only after a
 * probe, since emulators accept the advice and do nothing. Elsewhere guards
 * are mprotect'ed, as far as the map limit goes; past it stacks go unguarded,
 * which is counted and said once, never silent.
 *
 * The stride is an odd number of pages and the tops are coloured in steps of
 * a cache line: with a power of two all the hot ends would fall into the same
 * cache sets, which doubles the cost of a switch at a thousand fibers.
 */
#include "runtime/stack.h"

#include <string.h>

#include "runtime/annotate.h"
#include "runtime/assert.h"
#include "runtime/os.h"

enum {
    COLOURS = 16, /* of a cache line each: a quarter of the page in use */
    LINE = 64,
    SLAB_MIN = 16, /* stacks */
    SLAB_MAX = 256,
    WARM_MIN = 1024, /* free stacks that are never trimmed */
    TRIM_AT_ONCE = 32,
    DECAY_NS = 1000000000
};

struct wf_slab {
    struct wf_slab *next;
    char *map;
    size_t bytes, count, cut; /* stacks in it; of those, cut out so far */
    struct wf_stack stacks[];
};

static size_t slab_bytes(size_t count)
{
    return sizeof(struct wf_slab) + count * sizeof(struct wf_stack);
}

/* No stack or guard may be larger: then a stride cannot overflow. And no slab,
 * unless it has one stack only, is more than this part of the address space,
 * which a 32-bit one would soon be out of. */
#define LARGEST      (SIZE_MAX / 4)
#define LARGEST_SLAB (SIZE_MAX / 64)

static size_t pages(size_t bytes)
{
    if (bytes > LARGEST) bytes = LARGEST;
    size_t page = wf_os_page();
    return (bytes + page - 1) / page * page;
}

void wf_stack_pool_init(struct wf_stack_pool *p, size_t usable, size_t guard)
{
    *p = (struct wf_stack_pool){.usable = pages(usable), .guard = pages(guard)};
    p->stride = p->usable + p->guard;
    size_t page = wf_os_page();
    if (p->stride / page % 2 == 0) {
        p->guard += page;
        p->stride += page;
    }
    p->per_slab = SLAB_MIN;
}

void wf_stack_pool_fini(struct wf_stack_pool *p)
{
    WF_ASSERT(p->promised == 0);
    for (struct wf_slab *s = p->slabs, *next; s; s = next) {
        next = s->next;
        for (size_t i = 0; i < s->cut; i++) {
            wf_note_stack_unmapped(s->stacks[i].valgrind_id);
#ifdef WF_TSAN
            __tsan_destroy_fiber(s->stacks[i].tsan_fiber);
#endif
        }
        wf_unmap(s->map, s->bytes);
        wf_free(s, slab_bytes(s->count));
    }
    wf_free(p->free, p->free_room * sizeof *p->free);
    *p = (struct wf_stack_pool){0};
}

/* Does the kernel really guard what it is told to? A write from it must fail;
 * emulators return 0 from the advice and let us read. */
static bool guards_hold(void)
{
    static int known; /* 0 not asked, 1 yes, -1 no; races are harmless */
    int answer = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (answer) return answer > 0;

    int fds[2];
    size_t bytes = wf_os_page();
    char *page = wf_map(bytes);
    if (!page) return false;
    answer = -1;
    if (wf_os_madvise(page, bytes, WF_ADVICE_GUARD) == 0 &&
        wf_os_pipe(fds) == 0) {
        if (wf_os_write(fds[1], page, 1) == -EFAULT) answer = 1;
        wf_os_close(fds[0]);
        wf_os_close(fds[1]);
    }
    wf_unmap(page, bytes);
    __atomic_store_n(&known, answer, __ATOMIC_RELAXED);
    return answer > 0;
}

static void lay_guard(struct wf_stack_pool *p, char *low)
{
    char *guard = low - p->guard;
    if (p->guard == 0) return;
    if (guards_hold() &&
        wf_os_madvise(guard, p->guard, WF_ADVICE_GUARD) == 0)
        return;
    if (wf_os_mprotect(guard, p->guard, PROT_NONE) == 0) return;
    if (p->unguarded++ == 0) {
        static const char words[] =
            "weft: the kernel allows no more stack guards (vm.max_map_count); "
            "further fibers run without one\n";
        wf_os_say(2, words, sizeof words - 1);
    }
}

/* Room for every stack in the free pile, so that release cannot fail. */
static int grow_pile(struct wf_stack_pool *p, size_t total)
{
    if (total <= p->free_room) return 0;
    size_t room = p->free_room ? p->free_room : SLAB_MIN;
    while (room < total)
        room *= 2;
    struct wf_stack **pile = wf_alloc(room * sizeof *pile);
    if (!pile) return -ENOMEM;
    if (p->free_count) memcpy(pile, p->free, p->free_count * sizeof *pile);
    wf_free(p->free, p->free_room * sizeof *p->free);
    p->free = pile;
    p->free_room = room;
    return 0;
}

static int add_slab(struct wf_stack_pool *p)
{
    if (p->usable >= LARGEST || p->guard >= LARGEST) return -ENOMEM;
    size_t count = p->per_slab;
    while (count > 1 && p->stride > LARGEST_SLAB / count)
        count /= 2;
    size_t bytes = count * p->stride;
    if (grow_pile(p, p->total + count) < 0) return -ENOMEM;
    struct wf_slab *s = wf_alloc(slab_bytes(count));
    if (!s) return -ENOMEM;
    char *map = wf_map(bytes);
    if (!map) {
        wf_free(s, slab_bytes(count));
        return -ENOMEM;
    }
    /* Huge pages would make each stack resident as a whole. */
    (void)wf_os_madvise(map, bytes, WF_ADVICE_SMALL_PAGES);
    *s = (struct wf_slab){p->slabs, map, bytes, count, 0};
    p->slabs = s;
    p->total += count;
    p->uncut += count;
    if (p->per_slab < SLAB_MAX) p->per_slab *= 2;
    return 0;
}

static struct wf_stack *cut(struct wf_stack_pool *p)
{
    struct wf_slab *slab = p->slabs;
    while (slab->cut == slab->count)
        slab = slab->next;
    size_t i = slab->cut++;
    p->uncut--;
    struct wf_stack *s = &slab->stacks[i];
    char *low = slab->map + i * p->stride + p->guard;
    lay_guard(p, low);
    *s = (struct wf_stack){.low = low, .pool = p};
    s->top = low + p->usable - i % COLOURS * LINE;
    s->valgrind_id = wf_note_stack_mapped(low, low + p->usable - 1);
#ifdef WF_TSAN
    s->tsan_fiber = __tsan_create_fiber(0);
#endif
    return s;
}

int wf_stack_promise_more(struct wf_stack_pool *p)
{
    int err = add_slab(p);
    if (err < 0) return err;
    p->promised++;
    return 0;
}

struct wf_stack *wf_stack_take(struct wf_stack_pool *p)
{
    WF_ASSERT(p->promised > 0);
    p->promised--;
    size_t busy = p->total - p->uncut - p->free_count + 1;
    if (busy > p->busiest) p->busiest = busy;
    if (p->free_count == 0) return cut(p);
    struct wf_stack *s = p->free[--p->free_count];
    if (p->clean > p->free_count) p->clean = p->free_count;
    wf_note_stack_reused(s->low, (size_t)(s->top - s->low));
    return s;
}

/* The mark of the busiest moment loses an eighth a second, so that a server
 * whose rush is over gives most of its memory back within half a minute, and
 * one whose rushes follow each other keeps it. */
void wf_stack_pool_trim(struct wf_stack_pool *p, int64_t now)
{
    size_t touched = p->total - p->uncut, busy = touched - p->free_count;
    if (touched <= WARM_MIN) return;
    if (busy > p->busiest) p->busiest = busy;
    if (now - p->trimmed >= DECAY_NS) {
        p->busiest -= (p->busiest - busy) / 8;
        p->trimmed = now;
    }
    size_t keep = p->busiest - busy + WARM_MIN; /* free, but warm */
    for (int i = 0; i < TRIM_AT_ONCE; i++) {
        if (p->free_count - p->clean <= keep) return;
        struct wf_stack *s = p->free[p->clean++];
        (void)wf_os_madvise(s->low, p->usable, WF_ADVICE_DROP);
    }
}

WF_SCANS size_t wf_stack_high_water(const struct wf_stack *s)
{
    const char *at = s->low;
    const char *sp = __builtin_frame_address(0);
    if (sp > s->low && sp < s->top)
        wf_note_stack_scanned(s->low, (size_t)(sp - s->low));
    while (at < s->top && *at == 0)
        at++;
    return (size_t)(s->top - at);
}
