/* SPDX-License-Identifier: MIT */
/* test_calendar.c - what day it is, on either clock. */
#include <weft/time.h>

#include <time.h>

#include "harness.h"

TEST(a_virtual_calendar_goes_with_its_clock)
{
    weft_time begun = WEFT_SEC(1000000000);
    CHECK_EQ(weft_calendar(), begun);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1500)), 0);
    CHECK_EQ(weft_calendar(), begun + WEFT_MSEC(1500));
}

static void check_real(void)
{
    weft_time now = weft_calendar() / WEFT_SEC(1);
    time_t here = time(NULL);
    CHECK(now >= here - 2 && now <= here + 2);
}

TEST_REAL(a_real_calendar_is_the_systems)
{
    check_real();
}

TEST_PLAIN(the_calendar_needs_no_run)
{
    check_real();
}
