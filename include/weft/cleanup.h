/* SPDX-License-Identifier: MIT */
/*
 * weft/cleanup.h (sync) - what has to be done at the end, however that comes.
 *
 *     int err = weft_defer(close_account, account);
 *     if (err < 0) return err;                    it has been closed already
 *     ...
 *     err = weft_own(&n, close_pool, pool, NULL); after the last child of n
 *
 * A deferred function is called when the function of the fiber has returned; a
 * closer when all children of the nursery have ended and its close goes on.
 * The last registered comes first, each comes once, and all come even if one
 * fails. They may wait: a shield hides every cancellation from them, for a
 * grace of five seconds for the whole list (weft_nursery_opts.cleanup_grace).
 * After it their cancel points fail, but the rest are still called.
 *
 * Plain C does without: free what you hold on the way out. These are for what
 * has several ways out, or is handed over.
 *
 * On every error the function has been called before the call returns, so no
 * way out of it leaks.
 */
#ifndef WEFT_CLEANUP_H
#define WEFT_CLEANUP_H

#include <weft/base.h>
#include <weft/nursery.h>

WEFT_BEGIN_DECLS

/**
 * Has fn(arg) called at the end of the running fiber, after its function has
 * returned. A function that is being called so may defer another one.
 *
 * Returns 0. -ENOMEM, or -EPERM outside a fiber: fn has been called.
 */
WEFT_API int weft_defer(void (*fn)(void *arg), void *arg);

/**
 * Takes back the latest weft_defer of this fiber with these arguments; with
 * `run` fn is called now, shielded as it would have been. Parks if fn does.
 *
 * Returns 0, or -ENOENT: there is none.
 */
WEFT_API int weft_undefer(void (*fn)(void *arg), void *arg, bool run);

/** A registered closer. A stale one is found out, as -ENOENT. */
typedef struct weft_owned {
    uint64_t handle_;
} weft_owned;

/**
 * Gives `object` to the nursery, which calls closer(object) when it closes. A
 * negative result of that is a failure, which close returns if it was the
 * first. A closer may give it more objects, but no children. *ret_owned (may
 * be NULL) is for weft_disown. Any fiber of the thread may call this.
 *
 * Returns 0. -ESHUTDOWN (the nursery is closed), -ENOMEM, or -EPERM outside a
 * fiber or on another thread: the closer has been called, and if it failed the
 * unhandled hook too.
 */
WEFT_API int weft_own(weft_nursery *n, int (*closer)(void *object),
                      void *object, weft_owned *ret_owned);

/**
 * Takes an object back from its nursery; with `run` its closer is called now,
 * shielded. Parks if the closer does.
 *
 * Returns 0, with `run` what the closer returned; -ENOENT: it was taken back
 * or closed before.
 */
WEFT_API int weft_disown(weft_owned owned, bool run);

WEFT_END_DECLS

#endif
