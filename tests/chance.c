/* SPDX-License-Identifier: MIT */
/* chance.c - the numbers of runtime/random.h, below a limit. */
#include "chance.h"

#include "runtime/random.h"

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
    return wf_draw(state) % limit;
}
