/* SPDX-License-Identifier: MIT */
/* test_grant_chan_crossing.c - as test_grant_chan.c, of channels that cross threads. */
#include "crossing.h"

#include "test_grant_chan.c"
