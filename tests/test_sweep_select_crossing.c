/* SPDX-License-Identifier: MIT */
/* test_sweep_select_crossing.c - as test_sweep_select.c, of channels that cross threads. */
#include "crossing.h"

#include "test_sweep_select.c"
