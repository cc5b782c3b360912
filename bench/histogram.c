/* SPDX-License-Identifier: MIT */
/* histogram.c - a log-linear histogram. */
#include "histogram.h"

static size_t slot_of(uint64_t v)
{
    if (v < STEPS) return v;
    unsigned power = 63 - (unsigned)__builtin_clzll(v) - STEP_BITS;
    return (size_t)(power + 1) * STEPS + (v >> power) - STEPS;
}

static double middle_of(size_t slot)
{
    if (slot < (size_t)2 * STEPS) return (double)slot;
    size_t power = slot / STEPS - 1;
    double width = (double)(UINT64_C(1) << power);
    return ((double)(slot % STEPS + STEPS) + 0.5) * width;
}

void histogram_add(struct histogram *h, int64_t value)
{
    uint64_t v = value > 0 ? (uint64_t)value : 0;
    h->slots[slot_of(v)]++;
    h->count++;
    if (v > h->max) h->max = v;
}

double histogram_percentile(const struct histogram *h, double p)
{
    uint64_t rank = (uint64_t)(p * (double)h->count), seen = 0;
    for (size_t i = 0; i < sizeof h->slots / sizeof h->slots[0]; i++) {
        seen += h->slots[i];
        if (seen > rank) return middle_of(i);
    }
    return (double)h->max;
}
