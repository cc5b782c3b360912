/* SPDX-License-Identifier: MIT */
/* chance.c - Steele and Vigna's splitmix64. */
#include "chance.h"

static uint64_t common;

void random_begin(uint64_t seed)
{
    common = seed;
}

uint64_t random_draw(uint64_t limit)
{
    return random_draw_from(&common, limit);
}

uint64_t random_draw_from(uint64_t *state, uint64_t limit)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % limit;
}
