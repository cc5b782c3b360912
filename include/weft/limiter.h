/* SPDX-License-Identifier: MIT */
/*
 * weft/limiter.h (sync) - so many at a time, and who they are.
 *
 *     static weft_limiter downloads;
 *     weft_limiter_init(&downloads, 10);
 *
 *     int err = weft_limiter_acquire(&downloads, NULL);
 *     if (err < 0) return err;
 *     err = download(url);
 *     weft_limiter_release(&downloads, NULL);
 *
 * A semaphore with one token for each borrower, that knows its borrowers: a
 * fiber that asks twice is told so instead of waiting for itself, a token that
 * is given back by another one than its borrower is refused, and weft_dump
 * names the borrower if it is a fiber and alone. How many there are can be
 * changed while they are lent.
 *
 * The borrower is the running fiber, or any object by its address, so that
 * a token may be given back by another fiber. A fiber, or a job of a work
 * queue, that ends with a token of its own would keep it for ever: the process
 * ends with a sentence that names it. Tokens are given in the order they were
 * asked for. The caller owns the memory; each borrowed token, and each that is
 * waited for, takes some of the heap's, so end a limiter with
 * weft_limiter_fini.
 *
 * After: Trio's CapacityLimiter.
 */
#ifndef WEFT_LIMITER_H
#define WEFT_LIMITER_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

struct weft_borrowed_;

typedef struct weft_limiter {
    uint32_t total_, lent_, waiting_, room_;
    uintptr_t sum_; /* of the addresses of those that have one */
    struct weft_borrowed_ *borrowed_; /* a table by borrower */
    weft_waitq_ waiters_;
} weft_limiter;

#define WEFT_LIMITER_INIT(total) {(total), 0, 0, 0, 0, 0, {0, 0}}

/** *l gets `total` tokens; none is legal, and lets nobody in. Not for one in
 *  use: see weft_limiter_fini. */
WEFT_API void weft_limiter_init(weft_limiter *l, uint32_t total);

/** Gives the memory back. Nobody may wait: the process ends with a sentence.
 *  Tokens that are lent are forgotten, and there are none any more. */
WEFT_API void weft_limiter_fini(weft_limiter *l);

/**
 * Borrows a token for `borrower`; NULL: for the running fiber. On an error none
 * was borrowed.
 *
 * Parks. Returns 0; -ECANCELED; -EDEADLK: that borrower has one, or waits for
 * one already; -ENOMEM, also of a fiber that has a thousand for itself.
 */
WEFT_PARKS int weft_limiter_acquire(weft_limiter *l, const void *borrower);

/** The same without waiting; -EAGAIN where it would. For NULL, -EPERM outside a
 *  fiber. */
WEFT_MUST int weft_limiter_try(weft_limiter *l, const void *borrower);

/** Gives the borrower's token back. 0; -EPERM: it has none; for NULL, also
 *  outside a fiber. */
WEFT_API int weft_limiter_release(weft_limiter *l, const void *borrower);

/** There are `total` from now on. More than before go to who waits; with fewer
 *  than are lent nobody is let in until enough have come back. */
WEFT_API void weft_limiter_resize(weft_limiter *l, uint32_t total);

/** How many there are, are lent, and are waited for. */
WEFT_API uint32_t weft_limiter_total(const weft_limiter *l);
WEFT_API uint32_t weft_limiter_lent(const weft_limiter *l);
WEFT_API size_t weft_limiter_waiting(const weft_limiter *l);

WEFT_END_DECLS

#endif
