/* SPDX-License-Identifier: MIT */
/*
 * crossing.h - for the tests of channels once more: each channel of the file
 * that is included after it crosses threads, and has to behave the same.
 */
#ifndef TESTS_CROSSING_H
#define TESTS_CROSSING_H

#include <weft/chan.h>

static inline weft_chan *crossing_chan_new(size_t item_size, size_t cap,
                                           void (*drop)(void *item),
                                           unsigned flags)
{
    return weft_chan_new(item_size, cap, drop, flags | WEFT_CHAN_MT);
}

#define weft_chan_new crossing_chan_new

#endif
