/* SPDX-License-Identifier: MIT */
/* test_chan_close_crossing.c - as test_chan_close.c, of channels that cross threads. */
#include "crossing.h"

#include "test_chan_close.c"
