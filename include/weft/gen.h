/* SPDX-License-Identifier: MIT */
/*
 * weft/gen.h (sync) - generators: a function that hands out one item after the
 * other, when it is asked.
 *
 *     static int lines(weft_gen *g, void *file)
 *     {
 *         char line[200];
 *         while (fgets(line, sizeof line, file)) {
 *             int err = weft_gen_yield(g, line);
 *             if (err < 0) return err;
 *         }
 *         return 0;
 *     }
 *
 *     int rc;
 *     WEFT_FOREACH(char *, line, rc, lines, file) {
 *         puts(line);
 *     }
 *
 * The producer is a fiber of its own, in a nursery of its own, which is
 * a scope of the fiber that opened the generator: open and close nest like
 * brackets with scopes and nurseries. It runs only while somebody asks, and
 * never a step ahead. Closing cancels and joins it, so its clean-up has been
 * done when close returns.
 *
 * An item is the producer's, and is valid until the next call of next or close:
 * a producer that has lent one waits for it, even if it is cancelled meanwhile.
 *
 * A stack and two switches an item; a plain callback costs less where it will
 * do.
 */
#ifndef WEFT_GEN_H
#define WEFT_GEN_H

#include <weft/base.h>
#include <weft/nursery.h>

WEFT_BEGIN_DECLS

typedef struct weft_gen weft_gen;

/** What hands out the items: 0 at the end, else its failure. */
typedef int (*weft_gen_fn)(weft_gen *g, void *arg);

/** The caller's memory, until close. Members in _ are private. */
struct weft_gen {
    weft_nursery nursery_;
    weft_gen_fn fn_;
    void *arg_;
    weft_fiber *producer_;
    weft_fiber *consumer_; /* in next */
    void *item_;
    unsigned state_;
    int rc_;
};

/**
 * Makes *g a generator of what fn(g, arg) yields. fn is not called before the
 * first next, and never if there is none.
 *
 * Returns 0; -ENOMEM, or -EPERM outside a fiber: there is nothing to close.
 */
#define weft_gen_open(...) /* (g, fn, arg) */                                  \
    weft_gen_open_(__FILE__, __LINE__, __VA_ARGS__)
WEFT_MUST int weft_gen_open_(const char *file, int line, weft_gen *g,
                             weft_gen_fn fn, void *arg);

/**
 * Has the producer run to its next yield, and sets *ret_item. Of fibers that
 * share a generator one may ask at a time. A call that was cancelled loses
 * nothing: the item that was made meanwhile is that of the following call.
 *
 * Parks. Returns 1; 0 at the end, and from then on; the producer's failure, and
 * from then on (weft_last_error() is its record); -ECANCELED; -EBUSY: another
 * fiber is asking; -EPERM: the producer itself asks; -ESHUTDOWN: the producer
 * was cancelled from outside, or by a close, and the caller was not. (A producer
 * that fails with an -ECANCELED for no reason fails like any other.)
 */
WEFT_PARKS int weft_gen_next(weft_gen *g, void **ret_item);

/**
 * Hands out an item and waits until the next one is asked for, or the generator
 * is closed. A cancellation does not end that wait, for the item is lent; it is
 * told afterwards.
 *
 * Parks. Returns 0: another one is wanted. -ECANCELED: the generator is being
 * closed or a scope around the caller is cancelled; clean up and return. (If
 * that was so on entry, the item was not handed out.) -EPERM: called by another
 * fiber than the one that runs fn.
 */
WEFT_PARKS int weft_gen_yield(weft_gen *g, void *item);

/**
 * Cancels the producer and waits for its end. By the fiber that opened the
 * generator; what was opened after it has to be closed. The wait cannot be
 * cancelled.
 *
 * Returns 0 if the producer had ended, or has ended now because it was
 * cancelled; else its failure; -ECANCELED if it was stopped from outside;
 * -EPERM, -EBUSY, -ESHUTDOWN as weft_nursery_close.
 */
WEFT_PARKS int weft_gen_close(weft_gen *g);

/**
 * The block form (GNU C): the body runs once for each item, in `item`, a new
 * variable of the pointer type `type`. Afterwards, left by its end or a break,
 * `rc` (an int variable) is 0 or the failure: of next, of close, or one that
 * the body has set before a break. A return or goto out of it closes too, and
 * what fails in that goes to the unhandled hook.
 */
#define WEFT_FOREACH(type, item, rc, fn, arg)                                  \
    WEFT_FOREACH_AT_(type, item, rc, fn, arg, __LINE__)
#define WEFT_FOREACH_AT_(type, item, rc, fn, arg, line)                        \
    for (weft_foreach_ WEFT_PASTE_(weft_each_, line)                           \
             __attribute__((cleanup(weft_foreach_leave_))),                    \
         *WEFT_PASTE_(weft_in_, line) = weft_foreach_enter_(                   \
             __FILE__, __LINE__, &WEFT_PASTE_(weft_each_, line), &(rc), (fn),  \
             (arg));                                                           \
         WEFT_PASTE_(weft_in_, line);                                          \
         WEFT_PASTE_(weft_in_, line) =                                         \
             weft_foreach_exit_(WEFT_PASTE_(weft_in_, line)))                  \
        for (type item __attribute__((unused)) =                               \
                 (type)weft_foreach_next_(WEFT_PASTE_(weft_in_, line));        \
             WEFT_PASTE_(weft_in_, line)->more_;                               \
             item = (type)weft_foreach_next_(WEFT_PASTE_(weft_in_, line)))
typedef struct weft_foreach_ {
    weft_gen gen_;
    int *rc_;
    bool open_, more_;
} weft_foreach_;
WEFT_API weft_foreach_ *weft_foreach_enter_(const char *file, int line,
                                            weft_foreach_ *f, int *rc,
                                            weft_gen_fn fn, void *arg);
WEFT_API void *weft_foreach_next_(weft_foreach_ *f);
WEFT_API weft_foreach_ *weft_foreach_exit_(weft_foreach_ *f);
WEFT_API void weft_foreach_leave_(weft_foreach_ *f);

WEFT_END_DECLS

#endif
