/* SPDX-License-Identifier: MIT */
/*
 * fiber.c - what a fiber may ask about itself.
 */
#include <weft/fiber.h>

#include "runtime/park.h"
#include "runtime/stack.h"

uint64_t weft_fiber_id(void)
{
    weft_fiber *f = wf_self();
    return f ? f->id : 0;
}

const char *weft_fiber_name(void)
{
    weft_fiber *f = wf_self();
    return f && f->name ? f->name : "";
}

void weft_fiber_set_name(const char *name)
{
    weft_fiber *f = wf_self();
    if (f) f->name = name;
}

bool weft_cancelled(void)
{
    weft_fiber *f = wf_self();
    return f && f->cancelled;
}

size_t weft_stack_used(void)
{
    weft_fiber *f = wf_self();
    return f ? wf_stack_high_water(f->stack) : 0;
}
