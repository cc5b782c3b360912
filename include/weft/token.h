/* SPDX-License-Identifier: MIT */
/*
 * weft/token.h (sync) - cancelling what another thread has to stop.
 *
 *     weft_token *stop = weft_token_new(NULL);
 *     start_threads(stop);
 *
 *     weft_nursery n;                                a run, in any of them
 *     ...
 *     err = weft_scope_link(weft_nursery_scope(&n), stop);
 *
 *     weft_token_cancel(stop, -EINTR, "the user");   from any thread
 *
 * A scope belongs to its thread; a token belongs to nobody. Any number of
 * scopes, of any runs, can be linked to one, and are cancelled with it. Tokens
 * form trees: cancelling one cancels all below it, and nothing above or beside
 * it. A token is cancelled once and for ever, with the first reason that it
 * or a token above it was given.
 *
 * Tokens are counted. Each weft_token_new or _ref is a reference, to be given
 * back by weft_token_unref; a linked scope and a token below need none. All
 * calls but weft_scope_link may come from any thread, none from a signal
 * handler, and none waits.
 *
 * In the child of a fork (weft/post.h) the parent's tokens have no effect.
 *
 * As long as somebody could cancel a token, a run with a scope linked to it
 * is not deadlocked when all its fibers wait. The virtual clock does not wait
 * for tokens.
 */
#ifndef WEFT_TOKEN_H
#define WEFT_TOKEN_H

#include <weft/base.h>
#include <weft/scope.h>

WEFT_BEGIN_DECLS

typedef struct weft_token weft_token;

/** A token below `parent`, or, if that is NULL, below none. Below a cancelled
 *  one it is cancelled from the start. NULL: no memory. */
WEFT_MUST weft_token *weft_token_new(weft_token *parent);

/** One reference more, and one less. `t` may be NULL. */
WEFT_API weft_token *weft_token_ref(weft_token *t);
WEFT_API void weft_token_unref(weft_token *t);

/**
 * Cancels *t, all tokens below it, and the scopes linked to any of them: those
 * of this thread at once, those of others soon, each on its own thread. They
 * see a reason of the kind WEFT_R_TOKEN with this code (0, or a negative one),
 * this text (which outlives them, or NULL) and the fiber that called, if one
 * did. No effect on a token that is cancelled.
 */
WEFT_API void weft_token_cancel(weft_token *t, int code, const char *why);

/** Is it? If so, what its canceller wrote before can be read. */
WEFT_API bool weft_token_cancelled(const weft_token *t);

/**
 * Has *s, which is open, cancelled with *t, until it ends; if *t is cancelled,
 * at once. A scope can be linked to several tokens; the first counts. A
 * cancellation by another thread that comes as the scope ends is either seen by
 * it or has no effect.
 *
 * Returns 0; -ENOMEM; -EINVAL: *s is not open; -EPERM: not the thread of its
 * run, or this is the child of a fork, and *t its parent's.
 */
WEFT_MUST int weft_scope_link(weft_scope *s, weft_token *t);

WEFT_END_DECLS

#endif
