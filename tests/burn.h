/* SPDX-License-Identifier: MIT */
/* burn.h - keeps the thread for so long, in real time. */
#ifndef TESTS_BURN_H
#define TESTS_BURN_H

#include <weft/time.h>

#include <time.h>

static inline void burn(weft_time span)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    weft_time end = t.tv_sec * WEFT_SEC(1) + t.tv_nsec + span;
    do {
        (void)clock_gettime(CLOCK_MONOTONIC, &t);
    } while (t.tv_sec * WEFT_SEC(1) + t.tv_nsec < end);
}

#endif
