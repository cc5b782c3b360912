/* SPDX-License-Identifier: MIT */
/*
 * os_hostile.c - a hostile world, by plan or by seed (BUILD=hostile).
 *
 * The environment says what to do; nothing set, nothing happens:
 *
 *     WEFT_HOSTILE_SHORT=1    transfers move one octet, or a random few
 *     WEFT_HOSTILE_EINTR=1    every call is interrupted first, now and then
 *     WEFT_HOSTILE_SEED=n     the seed of both (default 1)
 *     WEFT_HOSTILE_CALL=k     which call to fail: a number of enum wf_call,
 *     WEFT_HOSTILE_NTH=n      at its n-th use (from 1), once,
 *     WEFT_HOSTILE_AFTER=n    or at its n-th use and all later ones,
 *     WEFT_HOSTILE_ERROR=e    with this errno (default ENOMEM)
 *
 * Counts are of one thread.
 */
#include "runtime/os.h"

#ifdef WEFT_HOSTILE
#include <stdlib.h>
#include <string.h>

static __thread struct {
    bool read, cut, interrupt;
    uint64_t random;
    long call, nth, after, error;
    long uses[WF_CALL_COUNT];
} plan;

static long setting(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 0) : otherwise;
}

static void read_plan(void)
{
    plan.read = true;
    plan.cut = setting("WEFT_HOSTILE_SHORT", 0) != 0;
    plan.interrupt = setting("WEFT_HOSTILE_EINTR", 0) != 0;
    plan.random = (uint64_t)setting("WEFT_HOSTILE_SEED", 1) * 2 + 1;
    plan.call = setting("WEFT_HOSTILE_CALL", -1);
    plan.nth = setting("WEFT_HOSTILE_NTH", 0);
    plan.after = setting("WEFT_HOSTILE_AFTER", 0);
    plan.error = setting("WEFT_HOSTILE_ERROR", ENOMEM);
}

static uint64_t next_random(void)
{
    plan.random ^= plan.random << 13;
    plan.random ^= plan.random >> 7;
    plan.random ^= plan.random << 17;
    return plan.random;
}

void wf_hostile_fail(enum wf_call call, long use, bool lasting)
{
    if (!plan.read) read_plan();
    plan.call = (long)call;
    plan.nth = lasting ? 0 : use;
    plan.after = lasting ? use : 0;
    plan.error = ENOMEM;
    memset(plan.uses, 0, sizeof plan.uses);
}

long wf_hostile_uses(enum wf_call call)
{
    return plan.uses[call];
}

int wf_hostile(enum wf_call call)
{
    if (!plan.read) read_plan();
    long use = ++plan.uses[call];
    if (call == (enum wf_call)plan.call &&
        (use == plan.nth || (plan.after && use >= plan.after)))
        return (int)-plan.error;
    /* Memory is not a thing that a signal interrupts; and a poll that found
     * nothing would make a virtual clock jump. */
    if (plan.interrupt && call > WF_CALL_MADVISE && call != WF_CALL_POLL_WAIT &&
        next_random() % 4 == 0)
        return -EINTR;
    return 0;
}

size_t wf_hostile_cut(enum wf_call call, size_t len)
{
    if (!plan.read) read_plan();
    (void)call;
    if (!plan.cut || len < 2) return len;
    return next_random() % 2 ? 1 : 1 + (size_t)(next_random() % len);
}
#else
typedef int wf_nothing_hostile; /* ISO C wants something in every file */
#endif
