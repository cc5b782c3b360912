/* SPDX-License-Identifier: MIT */
/* bench/guest.h - connections for those who mean to be a burden. */
#ifndef BENCH_GUEST_H
#define BENCH_GUEST_H

#include <stdbool.h>
#include <sys/types.h>

#include "address.h"

/**
 * A socket that is connected: blocking, for five seconds at most, and aborted
 * by its close, so that no port waits. A narrow one has small segments, a small
 * window and little room to send: the kernels take little of a reply, and the
 * server is left with the rest. Returns its number or a negative error code.
 */
int guest_connect(const struct address *to, bool narrow);

/** How many descriptors a process has open; 0 where that cannot be seen. */
unsigned guest_descriptors(pid_t pid);

#endif
