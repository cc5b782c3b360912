/* SPDX-License-Identifier: MIT */
/*
 * weft/scope.h (sync) - cancellation and deadlines.
 *
 * A scope is a stretch of a fiber's execution that can be cancelled as a
 * whole: everything called inside it, and every fiber started inside it.
 *
 *     int rc;
 *     WEFT_FAIL_AFTER(rc, WEFT_SEC(30)) {
 *         rc = serve(conn);
 *     }
 *     if (rc == -ETIMEDOUT) ...
 *
 * Once a scope is cancelled every cancel point inside it fails with
 * -ECANCELED, each time, until the scope ends: a code is returned, no stack is
 * unwound. A call that returns anything else did happen. At the end of the
 * scope that -ECANCELED becomes what the canceller said: -ETIMEDOUT for an
 * expired fail-scope, 0 for a move-on scope, or the code of the cancel call.
 * Success is never overwritten: a body that finished keeps its result even if
 * the deadline passed. When an outer scope is cancelled as well the outermost
 * wins, and the inner one passes -ECANCELED on.
 *
 * Scopes belong to their thread; what another one may cancel is a token
 * (weft/token.h). They nest: begin and end pair up in one
 * fiber, like brackets. A fiber that ends with one open aborts the program,
 * naming the place. The caller owns the memory, from begin to end.
 *
 * After: Trio's cancel scopes (level-triggered, shields); docs/RATIONALE.md.
 */
#ifndef WEFT_SCOPE_H
#define WEFT_SCOPE_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef enum weft_reason_kind {
    WEFT_R_NONE,
    WEFT_R_EXPLICIT, /* weft_scope_cancel, weft_nursery_cancel */
    WEFT_R_DEADLINE,
    WEFT_R_SIBLING, /* another child of the nursery failed */
    WEFT_R_BODY,    /* the nursery's body failed */
    WEFT_R_DAEMON,  /* only daemons were left */
    WEFT_R_TOKEN,
    WEFT_R_SHUTDOWN,
    WEFT_R_SIGNAL,
    WEFT_R_DEADLOCK
} weft_reason_kind;

/** Why a scope was cancelled. The first reason recorded stays. */
typedef struct weft_reason {
    weft_reason_kind kind;
    int code;        /* what the scope ends with if this ended its body */
    uint64_t by;     /* the id of the fiber that did it; 0: nobody's */
    const char *why; /* the canceller's text, not copied */
    weft_time at;
} weft_reason;

enum {
    WEFT_MOVE_ON = 0, /* expiry ends the scope with 0 */
    WEFT_FAIL = 1,    /* expiry ends the scope with -ETIMEDOUT */
    WEFT_SHIELD_ = 2, /* cancellation from outside is not seen inside */
    WEFT_CANCELLED_ = 64, /* the scope itself */
    WEFT_CAUGHT_ = 128
};

/** Zeroed is initialised. Members ending in an underscore are private. */
typedef struct weft_scope {
    struct weft_scope *parent_, *child_, *next_, *prev_;
    const weft_reason *cause_; /* why it counts as cancelled, or NULL */
    unsigned flags_; /* a fiber's own scope, in its control block, ends here */
    int line_;
    weft_fiber *owner_;
    weft_time deadline_;
    const char *file_;
    weft_reason reason_;
} weft_scope;

/** Makes *s a scope that is not open yet; it may already be cancelled. */
WEFT_API void weft_scope_init(weft_scope *s);

/**
 * Opens *s (initialised, never opened before) inside the scope that the
 * caller is in. With a deadline that has passed it starts cancelled; one set
 * before with weft_scope_set_deadline is kept by weft_scope_begin, which is of
 * the kind that moves on.
 *
 * Returns 0, -EBUSY (opened before) or -EPERM (no fiber): then nothing is open.
 */
#define weft_scope_begin(s) weft_scope_begin_((s), __FILE__, __LINE__)
#define weft_scope_begin_after(s, ns, flags)                                   \
    weft_scope_begin_after_((s), (ns), (flags), __FILE__, __LINE__)
#define weft_scope_begin_at(s, t, flags)                                       \
    weft_scope_begin_at_((s), (t), (flags), __FILE__, __LINE__)
WEFT_MUST int weft_scope_begin_(weft_scope *s, const char *file, int line);
WEFT_MUST int weft_scope_begin_after_(weft_scope *s, weft_time ns,
                                      unsigned flags, const char *file,
                                      int line);
WEFT_MUST int weft_scope_begin_at_(weft_scope *s, weft_time t, unsigned flags,
                                   const char *file, int line);

/**
 * Closes *s, which must be the innermost open scope of this fiber, and maps
 * the result of its body: -ECANCELED, if s was cancelled and no scope that is
 * visible around it is, becomes the code of the reason. All else stays as it
 * is. Never parks.
 *
 * Returns the mapped result; -EBUSY, and nothing happens, if s is not the
 * innermost or not open.
 */
WEFT_MUST int weft_scope_end(weft_scope *s, int rc);

/**
 * Cancels *s and all inside it. Fibers parked there wake with -ECANCELED,
 * save those that already have what they waited for. Idempotent, runs no code
 * of yours and never parks; the caller itself goes on to its next cancel point.
 * `code` (0, or a negative code) is what weft_scope_end will make of it; `why`
 * is a text that outlives the scope, or NULL. No effect on an ended scope.
 */
WEFT_API void weft_scope_cancel(weft_scope *s, int code, const char *why);

/** Moves the deadline, also of an open scope. One store when it gets later. */
WEFT_API void weft_scope_set_deadline(weft_scope *s, weft_time t);

/** Hides or shows what is cancelled outside. Takes effect at once. */
WEFT_API void weft_scope_set_shield(weft_scope *s, bool on);

/** Was it cancelled, by a call or by its deadline? */
static inline bool weft_scope_cancel_called(const weft_scope *s)
{
    return s->flags_ & WEFT_CANCELLED_;
}

/** After the end: did this scope turn -ECANCELED into its code? Of the scope of a
 *  nursery it is never true: close says more than that. */
static inline bool weft_scope_caught(const weft_scope *s)
{
    return s->flags_ & WEFT_CAUGHT_;
}

/** Its own reason, or NULL when it was not cancelled itself. */
WEFT_API const weft_reason *weft_scope_reason(const weft_scope *s);

/** Why the caller is cancelled: the outermost reason it can see, or NULL. */
WEFT_API const weft_reason *weft_cancel_reason(void);

/** The earliest deadline the caller can see; INT64_MIN when cancelled. */
WEFT_API weft_time weft_deadline(void);

/**
 * Calls fn(arg) inside a scope, in this fiber. An early return cannot skip
 * the mapping.
 *
 * with_timeout: -ETIMEDOUT when it expired. move_on_after: 0 when it expired,
 * and *ret_expired (may be NULL) says so. shielded: what is cancelled outside
 * is not seen for `grace`; after that -ETIMEDOUT.
 *
 * Park if fn does. Return the mapped result of fn, or -EPERM outside a fiber.
 */
WEFT_PARKS int weft_with_timeout(weft_time ns, weft_fn fn, void *arg);
WEFT_PARKS int weft_move_on_after(weft_time ns, weft_fn fn, void *arg,
                                  bool *ret_expired);
WEFT_PARKS int weft_shielded(weft_time grace, weft_fn fn, void *arg);

/*
 * Block forms (GNU C). The result of the body is the int variable `rc`, which
 * is 0 on entry; leave by the closing brace, break or continue, and rc holds
 * the mapped result. A return or goto out of the block ends the scope too, but
 * the mapped result is lost.
 */
#define WEFT_FAIL_AFTER(rc, ns)    WEFT_SCOPED_(rc, ns, WEFT_FAIL, __LINE__)
#define WEFT_MOVE_ON_AFTER(rc, ns) WEFT_SCOPED_(rc, ns, WEFT_MOVE_ON, __LINE__)
#define WEFT_SHIELD(rc, grace)                                                 \
    WEFT_SCOPED_(rc, grace, (unsigned)WEFT_SHIELD_ | WEFT_FAIL, __LINE__)

typedef struct weft_guard_ {
    weft_scope scope_;
    int *rc_;
    int open_, pass_;
} weft_guard_;
WEFT_API weft_guard_ *weft_guard_enter_(weft_guard_ *g, int *rc, weft_time ns,
                                        unsigned flags, const char *file,
                                        int line);
WEFT_API weft_guard_ *weft_guard_exit_(weft_guard_ *g);
WEFT_API void weft_guard_leave_(weft_guard_ *g);

/* The inner loop takes a break or continue of the body, so that only a return
 * or goto reaches the cleanup with the scope still open. */
#define WEFT_PASTE_(a, b)  WEFT_PASTE2_(a, b)
#define WEFT_PASTE2_(a, b) a##b
#define WEFT_SCOPED_(rc, ns, flags, line)                                      \
    for (weft_guard_ WEFT_PASTE_(weft_guard_, line)                            \
             __attribute__((cleanup(weft_guard_leave_))),                      \
         *WEFT_PASTE_(weft_in_, line) =                                        \
             weft_guard_enter_(&WEFT_PASTE_(weft_guard_, line), &(rc), (ns),   \
                               (flags), __FILE__, __LINE__);                   \
         WEFT_PASTE_(weft_in_, line);                                          \
         WEFT_PASTE_(weft_in_, line) =                                         \
             weft_guard_exit_(WEFT_PASTE_(weft_in_, line)))                    \
        for (; WEFT_PASTE_(weft_in_, line)->pass_;                             \
             WEFT_PASTE_(weft_in_, line)->pass_ = 0)

WEFT_END_DECLS

#endif
