/* SPDX-License-Identifier: MIT */
/* test_cancel_points_chan_crossing.c - as test_cancel_points_chan.c, of channels that cross threads. */
#include "crossing.h"

#include "test_cancel_points_chan.c"
