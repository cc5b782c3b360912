/* SPDX-License-Identifier: MIT */
/*
 * test_rounding.c - the floating-point control word, which a switch does not
 * keep: debug builds find who parks with another one than the thread had.
 */
#include <weft/fiber.h>
#include <weft/run.h>

#include <fenv.h>

#include "harness.h"

static int rounds_up_for_itself(void *arg)
{
    int before = fegetround();
    (void)arg;
    CHECK_EQ(fesetround(FE_UPWARD), 0);
    CHECK_EQ(fesetround(before), 0);
    return weft_yield();
}

TEST_PLAIN(rounding_that_is_restored_before_a_park_is_nobodys_business)
{
    CHECK_EQ(weft_run(rounds_up_for_itself, NULL, NULL), 0);
}

#if defined(WEFT_DEBUG) && (defined(__x86_64__) || defined(__i386__) ||        \
                            defined(__aarch64__) || defined(__riscv_flen))
static int parks_with_upward_rounding(void *arg)
{
    (void)arg;
    CHECK_EQ(fesetround(FE_UPWARD), 0);
    return weft_yield();
}

TEST_DEATH(a_fiber_that_parks_with_its_own_rounding_is_named,
           "parks with a changed floating-point control word")
{
    (void)!weft_run(parks_with_upward_rounding, NULL, NULL);
}
#endif
