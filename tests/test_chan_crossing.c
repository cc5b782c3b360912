/* SPDX-License-Identifier: MIT */
/* test_chan_crossing.c - as test_chan.c, of channels that cross threads. */
#include "crossing.h"

#include "test_chan.c"
