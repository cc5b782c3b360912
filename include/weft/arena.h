/* SPDX-License-Identifier: MIT */
/*
 * weft/arena.h (http) - memory that is given back all at once.
 *
 *     char first[512];
 *     weft_arena a;
 *     weft_arena_init(&a, first, sizeof first);
 *     char *path = weft_arena_printf(&a, "%s/%s", dir, name);
 *     if (!path) return -ENOMEM;
 *     ...
 *     weft_arena_reset(&a);
 *
 * What belongs to one piece of work, such as a request, is allocated piece by
 * piece and never freed alone. As long as the caller's own memory lasts nothing
 * is allocated at all; then come blocks of WEFT_BUFFER_BYTES from the pool of
 * weft/buffer.h, and one of its own for what is large.
 *
 * NULL says that there is no memory, or that the limit is reached; the arena
 * stays as it was, and good for less. Nothing here parks. It is of one thread,
 * and takes no care of fibers that share it, nor needs any between two calls.
 */
#ifndef WEFT_ARENA_H
#define WEFT_ARENA_H

#include <weft/base.h>
#include <weft/text.h>

#include <stdarg.h>

WEFT_BEGIN_DECLS

enum { WEFT_ARENA_ALIGN = 16 }; /* of all that is handed out */

typedef struct weft_arena {
    char *at_, *end_;                  /* what is free where we are */
    size_t used_, limit_;              /* handed out, and the most */
    struct weft_arena_block_ *blocks_; /* newest first */
    char *first_;
    size_t first_bytes_;
} weft_arena;

/** Of the `bytes` at `first` to begin with, which stay the caller's; they may
 *  be NULL and 0. There is no limit. Cannot fail. */
static inline void weft_arena_init(weft_arena *a, void *first, size_t bytes)
{
    a->at_ = a->end_ = NULL;
    a->used_ = a->limit_ = 0;
    a->blocks_ = NULL;
    a->first_ = (char *)first;
    a->first_bytes_ = first ? bytes : 0;
}

/** No more than so many octets are handed out in all, each piece counted in
 *  steps of WEFT_ARENA_ALIGN; 0: no limit. It outlives weft_arena_reset. */
WEFT_API void weft_arena_set_limit(weft_arena *a, size_t bytes);

/** Octets that hold anything; of 0 a place of its own all the same. */
WEFT_MUST void *weft_arena_alloc(weft_arena *a, size_t bytes)
    __attribute__((malloc));

/** n times `bytes`, all 0. NULL also if that is more than a size_t holds. */
WEFT_MUST void *weft_arena_array(weft_arena *a, size_t n, size_t bytes)
    __attribute__((malloc));

/**
 * Makes the `old` octets at p `bytes`, keeping what both have; p may be NULL,
 * with 0. What was allocated last grows and shrinks where it is while there is
 * room; else it moves, and its old place is lost until the reset, unless it had
 * a block of its own. On NULL all is as it was, at p.
 */
WEFT_MUST void *weft_arena_resize(weft_arena *a, void *p, size_t old,
                                  size_t bytes);

/** A copy with a 0 behind it; of a text that is not there, "". */
WEFT_MUST char *weft_arena_text(weft_arena *a, weft_text t);

/** As sprintf, into as much as it takes. NULL also if the format fails. */
WEFT_MUST char *weft_arena_printf(weft_arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
WEFT_MUST char *weft_arena_vprintf(weft_arena *a, const char *format,
                                   va_list args)
    __attribute__((format(printf, 2, 0)));

/** How many octets are handed out, as the limit counts them. */
static inline size_t weft_arena_used(const weft_arena *a)
{
    return a->used_;
}

/** Gives all back but the caller's own memory, which is used anew: nothing that
 *  was handed out is good any more. A zeroed arena is fine, and twice. */
WEFT_API void weft_arena_reset(weft_arena *a);

WEFT_END_DECLS

#endif
