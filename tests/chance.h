/* SPDX-License-Identifier: MIT */
/*
 * chance.h - numbers drawn by chance, the same ones again for the same seed.
 *
 *     random_begin(test_seed());
 *     int who = random_below(ACTORS);
 */
#ifndef TESTS_CHANCE_H
#define TESTS_CHANCE_H

#include <stdint.h>

/** Any seed will do, 0 as well. */
void random_begin(uint64_t seed);

/** From 0 up to `limit`, which is not reached; of the type of `limit`. */
#define random_below(limit) ((__typeof__(limit))random_draw((uint64_t)(limit)))

uint64_t random_draw(uint64_t limit);

/** The same from a state of one's own, which begins as a seed. */
uint64_t random_draw_from(uint64_t *state, uint64_t limit);

#endif
