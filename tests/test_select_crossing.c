/* SPDX-License-Identifier: MIT */
/* test_select_crossing.c - as test_select.c, of channels that cross threads. */
#include "crossing.h"

#include "test_select.c"
