/* SPDX-License-Identifier: MIT */
/*
 * clock.c - the real clock, or one that only jumps.
 */
#include "runtime/clock.h"

#include "runtime/assert.h"
#include "runtime/os.h"

__thread int64_t wf_now;
static __thread int virtual_run;

void wf_clock_open(int is_virtual)
{
    virtual_run = is_virtual;
    wf_now = is_virtual ? 1000000000 : wf_os_clock();
}

int wf_clock_is_virtual(void)
{
    return virtual_run;
}

int64_t wf_clock_read(void)
{
    return virtual_run ? wf_now : wf_os_clock();
}

void wf_clock_update(void)
{
    if (!virtual_run) wf_now = wf_os_clock();
}

void wf_clock_jump(int64_t to)
{
    WF_ASSERT(virtual_run);
    if (to > wf_now) wf_now = to;
}
