/* SPDX-License-Identifier: MIT */
/* test_sweep_chan_crossing.c - as test_sweep_chan.c, of channels that cross threads. */
#include "crossing.h"

#include "test_sweep_chan.c"
