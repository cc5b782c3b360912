/* SPDX-License-Identifier: MIT */
/*
 * random.h - numbers that look random, each state giving the next: splitmix64
 * (Steele, Lea and Flood, 2014). Any seed will do. Not for secrets.
 */
#ifndef WF_RANDOM_H
#define WF_RANDOM_H

#include <stdint.h>

#define WF_GOLDEN UINT64_C(0x9e3779b97f4a7c15) /* the golden ratio, of 2^64 */

static inline uint64_t wf_scramble(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint64_t wf_draw(uint64_t *state)
{
    return wf_scramble(*state += WF_GOLDEN);
}

#endif
