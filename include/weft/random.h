/* SPDX-License-Identifier: MIT */
/*
 * weft/random.h (runtime) - octets that nobody can foretell.
 *
 *     uint64_t token[2];
 *     int err = weft_random_bytes(token, sizeof token);
 *     if (err < 0) return err;
 *
 * From the system's own generator: getrandom on Linux, getentropy on macOS and
 * the BSDs, and where neither is, /dev/urandom. Nothing is kept here between
 * calls, so two processes of a fork, or two copies of a virtual machine, never
 * get the same. Good for keys, ids and tokens. A call takes some 200 ns, so for
 * simulations and the like seed a generator of your own with it.
 */
#ifndef WEFT_RANDOM_H
#define WEFT_RANDOM_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/**
 * Fills `buf` with `len` random octets. From any thread, inside a run or not.
 * Never parks; early at boot it holds up the thread until the system has enough
 * of a seed.
 *
 * Returns 0; or, where there is no such call or it is forbidden, what opening
 * and reading /dev/urandom says: -ENOENT, -EACCES, -EMFILE, -EIO. Then `buf` is
 * not to be used.
 */
WEFT_MUST int weft_random_bytes(void *buf, size_t len);

WEFT_END_DECLS

#endif
