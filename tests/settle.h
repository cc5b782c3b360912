/* SPDX-License-Identifier: MIT */
/*
 * settle.h - gives every fiber that can go on the time to do so, on the virtual
 * clock; whatever is cancelled. With descriptors, see sockets.h.
 */
#ifndef TESTS_SETTLE_H
#define TESTS_SETTLE_H

#include <weft/scope.h>
#include <weft/time.h>

#include "harness.h"

static inline void settle(void)
{
    int rc;
    WEFT_SHIELD(rc, WEFT_FOREVER) {
        rc = weft_sleep(1);
    }
    CHECK_EQ(rc, 0);
}

#endif
