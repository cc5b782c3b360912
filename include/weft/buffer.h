/* SPDX-License-Identifier: MIT */
/*
 * weft/buffer.h (runtime) - shared and pooled buffers of one thread.
 *
 * An idle connection should cost its stack and nothing else. So octets are
 * read into one scratch buffer that all fibers of a thread share, and a fiber
 * borrows a buffer of its own only when somebody else needs the scratch while
 * octets are left in it. weft_stream does so; a protocol that reads by itself
 * can do the same:
 *
 *     char *scratch = weft_scratch_claim(&me->tenant);
 *     if (!scratch) return -ENOMEM;
 *     ssize_t n = weft_try_read(fd, scratch, WEFT_SCRATCH_BYTES);
 */
#ifndef WEFT_BUFFER_H
#define WEFT_BUFFER_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

enum { WEFT_BUFFER_BYTES = 16384, WEFT_SCRATCH_BYTES = 65536 };

/** Who is using the scratch. `leave` saves what is still needed of it, and
 *  returns 0, or a negative code to stay. It must not park. */
typedef struct weft_tenant {
    int (*leave)(struct weft_tenant *t);
} weft_tenant;

/**
 * This thread's scratch buffer, for *t until it leaves or is asked to. Returns
 * NULL when the tenant before could not leave, and outside a run.
 */
WEFT_MUST void *weft_scratch_claim(weft_tenant *t);

/** *t needs nothing of it any more; fine if it is not the tenant. */
WEFT_API void weft_scratch_leave(weft_tenant *t);

/** Does p point into the scratch, whose octets are gone after a park? */
WEFT_API bool weft_scratch_holds(const void *p);

/** Borrows WEFT_BUFFER_BYTES, or NULL when there is no memory. */
WEFT_MUST void *weft_buffer_get(void);

/** Gives it back. NULL is fine. */
WEFT_API void weft_buffer_put(void *buffer);

/** Memory for what does not fit, or NULL; and back, with the same size. */
WEFT_MUST void *weft_buffer_alloc(size_t bytes);
WEFT_API void weft_buffer_free(void *buffer, size_t bytes);

WEFT_END_DECLS

#endif
