/* SPDX-License-Identifier: MIT */
/*
 * timer.c - hierarchical timing wheel.
 *
 * Time is cut into ticks of 2^16 ns, and the number of a tick into groups of 6
 * bits, one for each level. A moment belongs to the level of the highest group
 * in which its tick differs from the tick of w->now, and there to the slot that
 * its own group numbers. So level 0 holds what shares all higher groups with
 * now, each slot of a level lies before every slot of the levels above, and the
 * earliest timers are in the first occupied slot of the first occupied level.
 *
 * The rule that holds between calls: a timer is in the slot of w->now, or in a
 * later one to which a moment belongs that is not later than its own. No
 * stricter, because moving a timer to a later moment, which is what befalls
 * nearly all deadlines, only writes the moment down; the timer is filed anew
 * when its slot comes up. Likewise a slot's bound, the `when` of its heads, is
 * not later than any timer in it, and may be too early after a disarm or a
 * move, until the slot comes up or is empty.
 *
 * Expiry goes from one occupied slot to the next. A slot above level 0 is
 * spread over the levels below as now enters it, so that only timers of the
 * same tick are left to be sorted, and a jump over years costs no more than the
 * timers it passes.
 *
 * Each slot is four lists, and timers are dealt to them in turn. The lists are
 * walked side by side: the walk of a long one waits for memory at every step,
 * and so four steps wait at once. A list keeps the order of arming through all
 * levels, which leaves little to sort where moments are equal.
 */
#include "reactor/timer.h"

#include "runtime/assert.h"

_Static_assert(WF_WHEEL_SLOTS == 64, "a level's slots fill a 64-bit word");
_Static_assert(WF_WHEEL_TICK_BITS + WF_WHEEL_LEVELS * WF_WHEEL_SLOT_BITS >= 63,
               "the top level reaches INT64_MAX");

/* The timers of one lane that are due, in the order they were found. */
struct due {
    struct wf_timer *first, *last;
    bool in_order;
};

static int64_t later_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t earlier_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static uint64_t tick_of(int64_t moment)
{
    return (uint64_t)moment >> WF_WHEEL_TICK_BITS;
}

/* The last nanosecond of the tick that `moment` is in. */
static int64_t tick_end(int64_t moment)
{
    return moment | (((int64_t)1 << WF_WHEEL_TICK_BITS) - 1);
}

/* The level of a tick that differs from that of now in these bits. */
static unsigned level_of(uint64_t difference)
{
    unsigned highest = 63U - (unsigned)__builtin_clzll(difference | 1);
    return highest / WF_WHEEL_SLOT_BITS;
}

static unsigned slot_of(uint64_t tick, unsigned level)
{
    return (unsigned)(tick >> (level * WF_WHEEL_SLOT_BITS)) % WF_WHEEL_SLOTS;
}

static bool before(const struct wf_timer *a, const struct wf_timer *b)
{
    return a->when < b->when || (a->when == b->when && a->order < b->order);
}

/* Links t into the slot that its moment belongs to, last in its lane. */
static inline void file(struct wf_wheel *w, struct wf_timer *t)
{
    uint64_t tick = tick_of(later_of(t->when, w->now));
    unsigned level = level_of(tick ^ tick_of(w->now));
    unsigned slot = slot_of(tick, level);
    unsigned lane = (unsigned)t->order % WF_WHEEL_LANES;
    struct wf_timer *head = &w->heads[level][slot][lane];
    struct wf_timer *last = head->prev;

    w->occupied[level][lane] |= (uint64_t)1 << slot;
    head->when = earlier_of(head->when, t->when);
    t->next = head;
    t->prev = last;
    last->next = t;
    head->prev = t;
}

static void empty_list(struct wf_timer *head)
{
    head->next = head;
    head->prev = head;
    head->when = INT64_MAX;
}

/* The slot's bound: no timer in it is earlier. INT64_MAX if it is empty. */
static int64_t bound_of(const struct wf_timer *heads)
{
    int64_t bound = INT64_MAX;
    for (unsigned lane = 0; lane < WF_WHEEL_LANES; lane++) {
        bound = earlier_of(bound, heads[lane].when);
    }
    return bound;
}

static uint64_t occupied_slots(const struct wf_wheel *w, unsigned level)
{
    uint64_t slots = 0;
    for (unsigned lane = 0; lane < WF_WHEEL_LANES; lane++) {
        slots |= w->occupied[level][lane];
    }
    return slots;
}

void wf_wheel_init(struct wf_wheel *w, int64_t now)
{
    w->now = later_of(now, 0);
    w->order = 0;
    w->count = 0;
    for (unsigned level = 0; level < WF_WHEEL_LEVELS; level++) {
        for (unsigned lane = 0; lane < WF_WHEEL_LANES; lane++) {
            w->occupied[level][lane] = 0;
        }
        for (unsigned slot = 0; slot < WF_WHEEL_SLOTS; slot++) {
            for (unsigned lane = 0; lane < WF_WHEEL_LANES; lane++) {
                empty_list(&w->heads[level][slot][lane]);
            }
        }
    }
}

void wf_timer_arm(struct wf_wheel *w, struct wf_timer *t, int64_t when)
{
    WF_ASSERT(!wf_timer_armed(t));
    t->when = later_of(when, 0);
    t->order = w->order++;
    w->count++;
    file(w, t);
}

void wf_timer_move(struct wf_wheel *w, struct wf_timer *t, int64_t when)
{
    WF_ASSERT(wf_timer_armed(t));
    if (when < t->when) {
        wf_timer_disarm(w, t);
        wf_timer_arm(w, t, when);
    } else {
        t->when = when;
        t->order = w->order++;
    }
}

void wf_timer_disarm(struct wf_wheel *w, struct wf_timer *t)
{
    WF_ASSERT(wf_timer_armed(t));
    struct wf_timer *next = t->next, *prev = t->prev;

    next->prev = prev;
    prev->next = next;
    t->prev = NULL;
    w->count--;
    if (next != prev) return;

    /* Only in a list of one are both neighbours the same: they are its head. */
    size_t index = (size_t)(next - &w->heads[0][0][0]);
    size_t slot = index / WF_WHEEL_LANES;
    WF_ASSERT(slot / WF_WHEEL_SLOTS < WF_WHEEL_LEVELS);
    next->when = INT64_MAX;
    w->occupied[slot / WF_WHEEL_SLOTS][index % WF_WHEEL_LANES] &=
        ~((uint64_t)1 << slot % WF_WHEEL_SLOTS);
}

/* The timers that were in a slot, to be taken from its lanes in turn. */
struct walk {
    struct wf_timer *heads;
    struct wf_timer *at[WF_WHEEL_LANES];
    unsigned turn;
};

/* Empties the slot into *k. */
static void walk_begin(struct walk *k, struct wf_wheel *w, unsigned level,
                       unsigned slot)
{
    k->heads = w->heads[level][slot];
    k->turn = 0;
    for (unsigned lane = 0; lane < WF_WHEEL_LANES; lane++) {
        k->at[lane] = k->heads[lane].next;
        __builtin_prefetch(k->at[lane], 1);
        empty_list(&k->heads[lane]);
        w->occupied[level][lane] &= ~((uint64_t)1 << slot);
    }
}

/* The walk's next timer, NULL at the end. It may be filed in any slot. */
static inline struct wf_timer *walk_take(struct walk *k)
{
    for (unsigned tried = 0; tried < WF_WHEEL_LANES; tried++) {
        unsigned lane = k->turn++ % WF_WHEEL_LANES;
        struct wf_timer *t = k->at[lane];
        if (t == &k->heads[lane]) continue;

        k->at[lane] = t->next;
        __builtin_prefetch(t->next, 1);
        return t;
    }
    return NULL;
}

/*
 * Goes on to the moment `to`. There may be no timer in a slot that ends before
 * it; so the only timers to have a new level are in the slot that `to` is in.
 */
static void advance(struct wf_wheel *w, int64_t to)
{
    uint64_t tick = tick_of(to);
    unsigned level = level_of(tick ^ tick_of(w->now));
    unsigned slot = slot_of(tick, level);

    WF_ASSERT(to >= w->now);
    w->now = to;
    if (level == 0 || (occupied_slots(w, level) >> slot & 1) == 0) return;

    struct walk k;
    walk_begin(&k, w, level, slot);
    for (struct wf_timer *t; (t = walk_take(&k)) != NULL;)
        file(w, t);
}

/* Merges two sorted lists; either may be empty. */
static struct wf_timer *merged(struct wf_timer *a, struct wf_timer *b)
{
    struct wf_timer *first, **tail = &first;

    while (a != NULL && b != NULL) {
        struct wf_timer **least = before(a, b) ? &a : &b;
        *tail = *least;
        tail = &(*least)->next;
        *least = *tail;
    }
    *tail = a != NULL ? a : b;
    return first;
}

/* Merge sort from the bottom up: run k is sorted, and empty or 2^k long. */
static struct wf_timer *sorted(struct wf_timer *list)
{
    struct wf_timer *runs[64];
    unsigned top = 0;

    while (list != NULL) {
        struct wf_timer *run = list;
        list = list->next;
        run->next = NULL;

        unsigned k = 0;
        for (; k < top && runs[k] != NULL; k++) {
            run = merged(runs[k], run);
            runs[k] = NULL;
        }
        if (k == top) top++;
        runs[k] = run;
    }

    struct wf_timer *all = NULL;
    for (unsigned k = 0; k < top; k++)
        all = merged(runs[k], all);
    return all;
}

static void append_due(struct due *d, struct wf_timer *t)
{
    t->prev = NULL;
    if (d->first == NULL) {
        d->first = t;
    } else {
        d->last->next = t;
        if (before(t, d->last)) d->in_order = false;
    }
    d->last = t;
}

/*
 * Writes to *tail, in order, the timers of the running tick that are due by
 * `limit`, a moment in that tick, and returns the new tail. The others in its
 * slot are filed anew: that makes the slot's bound exact, and sends those that
 * were moved on to where they belong.
 */
static struct wf_timer **collect(struct wf_wheel *w, int64_t limit,
                                 struct wf_timer **tail)
{
    unsigned slot = slot_of(tick_of(w->now), 0);
    if (bound_of(w->heads[0][slot]) > limit) return tail;

    struct due lanes[WF_WHEEL_LANES];
    for (unsigned i = 0; i < WF_WHEEL_LANES; i++) {
        lanes[i] = (struct due){.in_order = true};
    }

    struct walk k;
    walk_begin(&k, w, 0, slot);
    for (struct wf_timer *t; (t = walk_take(&k)) != NULL;) {
        if (t->when > limit) {
            file(w, t);
        } else {
            append_due(&lanes[t->order % WF_WHEEL_LANES], t);
            w->count--;
        }
    }

    struct wf_timer *all = NULL;
    for (unsigned i = 0; i < WF_WHEEL_LANES; i++) {
        if (lanes[i].first == NULL) continue;
        lanes[i].last->next = NULL;
        if (!lanes[i].in_order) lanes[i].first = sorted(lanes[i].first);
        all = merged(all, lanes[i].first);
    }
    *tail = all;
    while (*tail != NULL)
        tail = &(*tail)->next;
    return tail;
}

struct wf_timer *wf_wheel_expire(struct wf_wheel *w, int64_t now)
{
    struct wf_timer *due = NULL, **tail = &due;

    now = later_of(now, w->now);
    while (w->count > 0) {
        int64_t next = wf_wheel_next(w);
        if (next > now) break;

        advance(w, later_of(next, w->now));
        tail = collect(w, earlier_of(now, tick_end(w->now)), tail);
    }
    advance(w, now);
    return due;
}

int64_t wf_wheel_next(const struct wf_wheel *w)
{
    for (unsigned level = 0; level < WF_WHEEL_LEVELS; level++) {
        uint64_t slots = occupied_slots(w, level);
        if (slots != 0)
            return bound_of(w->heads[level][__builtin_ctzll(slots)]);
    }
    return INT64_MAX;
}

size_t wf_wheel_count(const struct wf_wheel *w)
{
    return w->count;
}
