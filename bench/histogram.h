/* SPDX-License-Identifier: MIT */
/*
 * bench/histogram.h - latencies, counted in slots of 0.4 % width.
 *
 * Values below 512 are counted exactly; above, each power of two has 256 steps.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum { STEP_BITS = 8, STEPS = 1 << STEP_BITS, POWERS = 64 - STEP_BITS };

/** Zeroed is empty. */
struct histogram {
    uint64_t count, max;
    uint32_t slots[(POWERS + 1) * STEPS];
};

/** Counts a value; a negative one counts as 0. */
void histogram_add(struct histogram *h, int64_t value);

/** The value that a fraction p of all stay below; 0 when there are none. */
double histogram_percentile(const struct histogram *h, double p);

#endif
