/* SPDX-License-Identifier: MIT */
/*
 * weft/fiber.h (runtime) - the running fiber.
 *
 *     for (size_t i = 0; i < n; i++) {
 *         digest(&blocks[i]);                   long, and never waits
 *         int err = weft_checkpoint();
 *         if (err < 0) return err;
 *     }
 *
 * A fiber runs until it waits. Every cancel point also counts: after 64 of
 * them without a wait the next one lets the others run, so a fiber whose
 * socket is always ready cannot starve its neighbours. A loop without any
 * needs a checkpoint of its own.
 *
 * Fibers never change their thread, and only one of a thread runs at a time.
 *
 * Each fiber has C++ exceptions of its own: it may wait in a catch block, and
 * in a destructor that an exception calls. One that leaves a block form, such
 * as WEFT_LOCKED, ends it as a return does, and cancels the children if that
 * is WEFT_NURSERY. What a call has opened a destructor of yours closes:
 *
 *     struct nursery : weft_nursery {
 *         int thrown = std::uncaught_exceptions();
 *         nursery() { (void)!weft_nursery_open(this, nullptr); }
 *         ~nursery()
 *         {
 *             if (std::uncaught_exceptions() > thrown)
 *                 weft_nursery_cancel(this, 0, nullptr);
 *             (void)!weft_nursery_close(this, 0);
 *         }
 *     };
 *
 * An exception must be caught in the function that weft calls. Out of that of
 * a fiber, main too, it is std::terminate, where it is thrown; through any
 * other, such as that of weft_with_timeout, a deferred one, or a hook, it
 * leaves things half done that weft relies on. So it becomes a result there:
 *
 *     } catch (const std::exception &e) {
 *         return weft_fail(-EIO, "%s", e.what());
 *     }
 *
 * (In a C program that loads C++ while it runs, which the linker did not see,
 * fibers share the exceptions of their thread.)
 */
#ifndef WEFT_FIBER_H
#define WEFT_FIBER_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/**
 * A place to be cancelled at, and to give way once the credit is spent.
 *
 * Parks. Returns 0, -ECANCELED, or -EPERM outside a fiber.
 */
__attribute__((warn_unused_result)) static inline int weft_checkpoint(void)
{
    return weft_pass_();
}

/**
 * Lets every other ready fiber run once, also when it then fails.
 *
 * Parks. Returns 0, -ECANCELED, or -EPERM outside a fiber.
 */
WEFT_PARKS int weft_yield(void);

/** The running fiber, or NULL outside any. */
static inline weft_fiber *weft_self(void)
{
    return weft_here_.fiber_;
}

/** A number no other fiber of the process has had; 0 outside a fiber. */
WEFT_API uint64_t weft_fiber_id(void);

/** The running fiber's name; "" if it has none or there is no fiber. */
WEFT_API const char *weft_fiber_name(void);

/** Names the running fiber; the text is not copied and must outlive it. */
WEFT_API void weft_fiber_set_name(const char *name);

/** Is a scope around the caller cancelled? Asks only, and changes nothing. */
WEFT_API bool weft_cancelled(void);

/**
 * The most stack the running fiber has ever used, in bytes. Exact where the
 * stack was fresh, but for zeroes at the very end, which look like nothing;
 * includes earlier fibers on a reused stack. Scans: slow.
 */
WEFT_API size_t weft_stack_used(void);

WEFT_END_DECLS

#endif
