/* SPDX-License-Identifier: MIT */
/*
 * clock.c - the real clock, or one that only jumps.
 */
#include "runtime/clock.h"

#include "runtime/assert.h"
#include "runtime/os.h"

__thread int64_t wf_now;
__thread bool wf_clock_jumps;

void wf_clock_open(int is_virtual)
{
    wf_clock_jumps = is_virtual;
    wf_now = is_virtual ? 1000000000 : wf_os_clock();
}

int64_t wf_clock_read(void)
{
    return wf_clock_jumps ? wf_now : wf_os_clock();
}

void wf_clock_update(void)
{
    if (!wf_clock_jumps) wf_now = wf_os_clock();
}

void wf_clock_jump(int64_t to)
{
    WF_ASSERT(wf_clock_jumps);
    if (to > wf_now) wf_now = to;
}
