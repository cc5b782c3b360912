/* SPDX-License-Identifier: MIT */
/*
 * bench/reply.h - is this the HTTP reply that was expected?
 *
 * The first good reply is read in full and remembered; the others have to have
 * its status and its body. One that is as long as the first, up to its date, is
 * recognised without reading its head again.
 */
#ifndef BENCH_REPLY_H
#define BENCH_REPLY_H

#include <stddef.h>

enum { MAX_REPLY = 64 << 10 };

/** The first reply. Zeroed is none yet. */
struct reply {
    size_t head, body;
    char octets[MAX_REPLY];
};

/**
 * Looks at `n` octets that should begin with a reply. Returns how many it
 * takes up, 0 if there are not enough yet, or -1 if it is not a good one.
 */
long reply_check(struct reply *first, const char *p, size_t n);

#endif
