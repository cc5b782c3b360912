/* SPDX-License-Identifier: MIT */
/*
 * weft/local.h (sync) - values that a fiber hands down to those it starts.
 *
 *     static weft_key request_id = {.name = "request id"};
 *
 *     int err = weft_local_push(&request_id, id);
 *     if (err < 0) return err;
 *     err = handle(request);           all in here, and children, can get it
 *     (void)weft_local_pop(&request_id);
 *
 * For what belongs to everything done for a request, and to no signature: a
 * trace id, a locale, the user. A child starts with the bindings of the fiber
 * that spawned it (not of the one that opened the nursery); what either binds
 * later the other does not see. Inheriting costs a pointer and a count; a read
 * walks the list of bindings, which is short in practice.
 *
 * A key is compared by its address and must outlive every binding.
 */
#ifndef WEFT_LOCAL_H
#define WEFT_LOCAL_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

enum {
    WEFT_KEY_PRIVATE = 1,      /* not inherited: unset in every child */
    WEFT_KEY_SHARE_THREADS = 2 /* the value may be used by several threads at
                                  a time: those too inherit it that are spawned
                                  for a worker (weft_spawn_opts.worker) */
};

typedef struct weft_key {
    const char *name;
    /* Called for a bound value, once, when the last fiber that can see it has
     * popped it or ended, by that fiber; so, if threads share it, on any of
     * them. Must not park. */
    void (*drop)(void *value);
    unsigned flags;
} weft_key;

/**
 * Binds the key to a value, in front of an earlier one, until the pop or the
 * end of this fiber.
 *
 * Returns 0. -ENOMEM, or -EPERM outside a fiber: the value is still the
 * caller's.
 */
WEFT_MUST int weft_local_push(weft_key *k, void *value);

/**
 * Undoes the latest push of this key by this fiber; the value before it is
 * seen again. Pushes of other keys may be undone in any order.
 *
 * Returns 0; -ENOENT: this fiber has none (an inherited one stays); -ENOMEM:
 * to take it from under bindings that children share needs copies of those.
 */
WEFT_API int weft_local_pop(weft_key *k);

/** The value, or NULL when there is none, and outside a fiber. */
WEFT_API void *weft_local_get(const weft_key *k);

WEFT_END_DECLS

#endif
