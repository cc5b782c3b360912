/* SPDX-License-Identifier: MIT */
/* streams.h - a stream over p[0]; the test is at p[1]. */
#ifndef TESTS_STREAMS_H
#define TESTS_STREAMS_H

#include <weft/stream.h>

#include "sockets.h"

static weft_fd p[2];
static weft_stream s;

static inline void open_stream(void)
{
    open_pair(p);
    weft_stream_init(&s, p[0]);
}

static inline void close_stream(void)
{
    CHECK_EQ(weft_stream_close(&s), 0);
    CHECK_EQ(weft_close(p[1]), 0);
}

#endif
