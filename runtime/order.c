/* SPDX-License-Identifier: MIT */
/*
 * order.c - who comes first where the program does not say: drawn from a seed,
 * so that a run can be had again, or by turns.
 */
#include "runtime/random.h"
#include "runtime/sched.h"

uint64_t wf_sched_seed(void)
{
    return wf_sched ? wf_sched->opts.seed : 0;
}

static weft_fiber **in_line(const struct wf_sched *w, uint32_t i)
{
    return &w->ring[(w->head + i) & w->mask];
}

/* Goes round by the golden ratio: its multiples lie evenly, and so do every
 * second or third of them, where a count would give who calls every n-th time
 * the same number always. The next fiber begins anywhere: of 610 that take
 * turns each would go round by 610 of these steps, which come back to where it
 * was but for a thousandth. */
size_t wf_rotate(size_t n)
{
    struct wf_sched *w = wf_sched;
    uint64_t id = weft_here_.fiber_->id;
    if (w->rotated_for != id) w->rotation = wf_scramble(w->rotation);
    w->rotated_for = id;
    w->rotation += WF_GOLDEN;
    return (size_t)((w->rotation >> 32) * n >> 32);
}

/* All that are ready are the next batch. The last place is drawn first: it goes
 * to the last one that has yielded, who lets all before him go first, or to one
 * of those behind him, who need not; and so on towards the front. */
void wf_order_draw(struct wf_sched *w)
{
    w->batch = w->tail - w->head;
    for (uint32_t end = w->batch, from = end; end > 1; end--) {
        if (from == end) from--;
        while (from > 0 && (*in_line(w, from))->state != WF_YIELDED)
            from--;
        uint32_t i = from + (uint32_t)(wf_draw(&w->drawn) % (end - from));
        weft_fiber **a = in_line(w, i), **b = in_line(w, end - 1), *kept = *a;
        *a = *b;
        *b = kept;
    }
}

void wf_order_begin(struct wf_sched *w, uint64_t seed)
{
    w->drawn = seed;
    w->rotation = wf_scramble(seed + WF_GOLDEN);
}
