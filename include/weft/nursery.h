/* SPDX-License-Identifier: MIT */
/*
 * weft/nursery.h (sync) - fibers are started here, and end here.
 *
 *     int rc;
 *     WEFT_NURSERY(n, rc) {
 *         for (size_t i = 0; i < count; i++) {
 *             rc = weft_spawn(&n, fetch, &urls[i]);
 *             if (rc < 0) break;
 *         }
 *     }
 *     return rc;
 *
 * A nursery does not close while a child lives, so what the children point to
 * may be declared before it; not inside its block, whose braces end first. (A
 * value from there goes to a child by weft_spawn_copy.) The first child to fail
 * cancels the others and the body (or see weft_policy), and its code is what
 * close returns. A nursery is a scope too: it can be cancelled, and have a
 * deadline.
 *
 * Children start in the order of their spawns, when the spawner next waits. A
 * child counts as cancelled, not failed, when it returns -ECANCELED while a
 * scope around all of it is cancelled; -ECANCELED for no reason is a failure.
 * In which order cancelled children wake is not promised.
 *
 * Open, close and the block form belong to one fiber; spawn and cancel may be
 * called by any fiber of the thread, most often a child.
 */
#ifndef WEFT_NURSERY_H
#define WEFT_NURSERY_H

#include <weft/base.h>
#include <weft/error.h>
#include <weft/scope.h>

WEFT_BEGIN_DECLS

typedef enum weft_status { WEFT_OK, WEFT_FAILED, WEFT_CANCELLED } weft_status;

/** How a child ended. `err` is its record, valid during the call. */
typedef struct weft_outcome {
    weft_status status;
    int rc;
    const weft_error *err;
} weft_outcome;

typedef enum weft_policy {
    WEFT_FAIL_FAST = 0, /* the first failure cancels the rest */
    WEFT_COLLECT,       /* failures are kept, nothing is cancelled */
    WEFT_SUPERVISE      /* failures go to on_exit, or to the unhandled hook */
} weft_policy;

typedef enum weft_verdict {
    WEFT_CONTINUE = 0,
    WEFT_CANCEL_REST = 1
} weft_verdict;

typedef struct weft_nursery weft_nursery;

typedef struct weft_nursery_opts {
    const char *name;
    weft_policy policy;
    unsigned limit; /* children alive at a time; 0: no limit */
    /* How long clean-up may wait for what it needs: its owned closers, and the
     * deferred functions of each child (weft/cleanup.h). 0: five seconds; less:
     * not at all. */
    weft_time cleanup_grace;
    /* Called when a child has ended, under every policy. It may spawn and
     * cancel; it must not park. */
    weft_verdict (*on_exit)(weft_nursery *n, uint64_t child, weft_outcome o,
                            void *user);
    void *user;
} weft_nursery_opts;

/** The caller owns the memory, until close. Members in _ are private. */
struct weft_nursery {
    weft_scope scope_;
    unsigned live_, daemons_; /* children; of those, daemons */
    unsigned state_, dropped_, errors_count_;
    int first_;      /* code of the earliest failure, 0 if none */
    uint32_t owned_; /* the latest of its closers */
    weft_error *errors_, **errors_end_;
    weft_fiber *closer_;   /* parked in close */
    weft_waitq_ spawners_; /* parked in spawn_wait */
    unsigned reserved_;    /* places given to woken spawners */
    int *rc_;              /* the block form's result, and its inner loop */
    int pass_;
    weft_nursery_opts opts_;
};

enum { WEFT_ANY_WORKER = -1 };

typedef struct weft_task weft_task;   /* weft/task.h */
typedef struct weft_doneq weft_doneq; /* weft/task.h */

typedef struct weft_spawn_opts {
    const char *name;      /* not copied */
    size_t stack_size;     /* bytes; 0: as weft_run_opts says */
    weft_task *task;       /* to be filled in; outlives the nursery's close */
    weft_doneq *doneq;     /* told of the end of the task; needs one */
    void *user;            /* for weft_task_user */
    bool daemon;           /* cancelled, without a trace in the result of close,
                              when only daemons are left */
    bool unless_cancelled; /* -ECANCELED instead of starting cancelled */
    int worker;            /* where it runs (weft/workers.h): 0: here; k: worker
                              k; WEFT_ANY_WORKER: where there is time for it */
} weft_spawn_opts;

/**
 * Opens *n inside the scope the caller is in. `o` may be NULL.
 *
 * Returns 0, or -EPERM outside a fiber.
 */
#define weft_nursery_open(...)                                                 \
    weft_nursery_open_(__FILE__, __LINE__, __VA_ARGS__)
WEFT_MUST int weft_nursery_open_(const char *file, int line, weft_nursery *n,
                                 const weft_nursery_opts *o);

/**
 * Ends the body, whose result is body_rc: a negative one is a failure and
 * cancels the children. Then waits for every child, which cannot be
 * cancelled (the children are, if a scope around them is), and lets other
 * fibers run even if there are none. Then it calls the closers of what it owns
 * (weft/cleanup.h). Returns the first of these that applies:
 *
 *     the code of the earliest failure: of a child, the body or a closer
 *     -ECANCELED, if a child or the body was stopped by an outer scope
 *     the code given to the nursery's own cancel, if it stopped any
 *     body_rc
 *
 * Later failures hang off weft_last_error(). Parks, but is no cancel point.
 * -EPERM: not the fiber that opened it. -EBUSY: a scope or nursery opened
 * inside is still open. -ESHUTDOWN: closed before. Then nothing happens.
 */
WEFT_PARKS int weft_nursery_close(weft_nursery *n, int body_rc);

/** Cancels the body and all children; see weft_scope_cancel. */
WEFT_API void weft_nursery_cancel(weft_nursery *n, int code, const char *why);

/** Its scope, for a deadline (of the kind that moves on) or a shield. */
WEFT_API weft_scope *weft_nursery_scope(weft_nursery *n);

/** How many children are alive. */
WEFT_API size_t weft_nursery_count(const weft_nursery *n);

/**
 * Starts fn(arg) in a fiber of its own, at the back of the ready queue. On 0
 * the child will run, cancelled or not, and has taken `arg` over. On an error
 * it never runs, and `arg` is still the caller's. Never parks. fn must let no
 * C++ exception out (weft/fiber.h).
 *
 * Called by a fiber, or by a function that was posted (weft/post.h).
 *
 * Returns 0; -ESHUTDOWN: the nursery is closed; -EAGAIN: its limit is
 * reached; -ENOMEM: no memory for the fiber or its stack; -EPERM: not on the
 * thread of its run.
 */
#define weft_spawn(...) /* (n, fn, arg) */                                     \
    weft_spawn_(__FILE__, __LINE__, __VA_ARGS__)
WEFT_MUST int weft_spawn_(const char *file, int line, weft_nursery *n,
                          weft_fn fn, void *arg);

/**
 * The same with options. -ECANCELED too, if unless_cancelled was asked;
 * -EINVAL: a doneq without a task, or no such worker.
 */
#define weft_spawn_ex(...) /* (n, fn, arg, o) */                               \
    weft_spawn_ex_(__FILE__, __LINE__, __VA_ARGS__)
WEFT_MUST int weft_spawn_ex_(const char *file, int line, weft_nursery *n,
                             weft_fn fn, void *arg, const weft_spawn_opts *o);

/**
 * The same with a copy of `len` bytes at `val` for its argument, aligned for
 * any type; it lives on the child's own stack. -E2BIG: more than a quarter of
 * the stack.
 */
#define weft_spawn_copy(...) /* (n, fn, val, len) */                           \
    weft_spawn_copy_(__FILE__, __LINE__, __VA_ARGS__)
#define weft_spawn_copy_ex(...) /* (n, fn, val, len, o) */                     \
    weft_spawn_copy_ex_(__FILE__, __LINE__, __VA_ARGS__)
WEFT_MUST int weft_spawn_copy_(const char *file, int line, weft_nursery *n,
                               weft_fn fn, const void *val, size_t len);
WEFT_MUST int weft_spawn_copy_ex_(const char *file, int line, weft_nursery *n,
                                  weft_fn fn, const void *val, size_t len,
                                  const weft_spawn_opts *o);

/**
 * Spawns, waiting for a place while the nursery is at its limit. Places are
 * given in the order they were asked for; who waits for one keeps a closing
 * nursery open.
 *
 * Parks. Returns as weft_spawn does, without -EAGAIN; and -ECANCELED.
 */
#define weft_spawn_wait(...) /* (n, fn, arg) */                                \
    weft_spawn_wait_(__FILE__, __LINE__, __VA_ARGS__)
#define weft_spawn_wait_ex(...) /* (n, fn, arg, o) */                          \
    weft_spawn_wait_ex_(__FILE__, __LINE__, __VA_ARGS__)
WEFT_PARKS int weft_spawn_wait_(const char *file, int line, weft_nursery *n,
                                weft_fn fn, void *arg);
WEFT_PARKS int weft_spawn_wait_ex_(const char *file, int line, weft_nursery *n,
                                   weft_fn fn, void *arg,
                                   const weft_spawn_opts *o);

/**
 * Starts a child and waits until it is ready: until it calls weft_started.
 * *ret_value (may be NULL) is what it gave there. The child is one of the
 * nursery from the beginning; but if it ends before it was ready, that is the
 * result of this call, and no business of the nursery's.
 *
 *     static int serve(void *arg)
 *     {
 *         ... listen ...
 *         weft_started(&listener);
 *         ... serve until cancelled ...
 *     }
 *
 * Waits for a place first if the nursery is at its limit. When the caller is
 * cancelled the child is too, and is waited for.
 *
 * Parks. Returns 0; what the child returned, if it failed before it was ready;
 * -EPROTO: it returned without having been ready; -ECANCELED: the caller is
 * cancelled, and the child has ended; -ESHUTDOWN: the nursery is closed, or was
 * cancelled and the caller was not; -ENOMEM.
 */
#define weft_start(...) /* (n, fn, arg, ret_value) */                          \
    weft_start_(__FILE__, __LINE__, __VA_ARGS__)
#define weft_start_ex(...) /* (n, fn, arg, ret_value, o) */                    \
    weft_start_ex_(__FILE__, __LINE__, __VA_ARGS__)
WEFT_PARKS int weft_start_(const char *file, int line, weft_nursery *n,
                           weft_fn fn, void *arg, void **ret_value);
WEFT_PARKS int weft_start_ex_(const char *file, int line, weft_nursery *n,
                              weft_fn fn, void *arg, void **ret_value,
                              const weft_spawn_opts *o);

/**
 * Says that the running fiber is ready, once. In one that was not started by
 * weft_start it has no effect, nor when the start has been cancelled, or the
 * fiber's function has returned. Never parks.
 *
 * Returns 0; -EALREADY: said before; -EPERM outside a fiber.
 */
WEFT_API int weft_started(void *value);

/**
 * The block form (GNU C): opens nursery `n`, runs the body, and closes with
 * the int variable `rc`, set to 0 on entry, as the body's result; afterwards
 * rc holds what close returned. Leave by the closing brace, break or continue.
 * A return or goto out of the block joins the children too, cancelling them
 * if rc < 0, but their failure cannot reach the caller: it goes to the
 * unhandled hook. (That of the body itself does not: you are returning it.) A
 * C++ exception out of it always cancels them, joins them, and goes on.
 */
#define WEFT_NURSERY(n, rc)         WEFT_NURSERY_AT_(n, rc, __LINE__, NULL)
#define WEFT_NURSERY_EX(n, rc, ...) /* (n, rc, o) */                           \
    WEFT_NURSERY_AT_(n, rc, __LINE__, __VA_ARGS__)
#define WEFT_NURSERY_AT_(n, rc, line, ...)                                     \
    for (weft_nursery n __attribute__((cleanup(weft_nursery_leave_))),         \
         *WEFT_PASTE_(weft_in_, line) =                                        \
             weft_nursery_enter_(__FILE__, __LINE__, &n, &(rc), __VA_ARGS__);  \
         WEFT_PASTE_(weft_in_, line);                                          \
         WEFT_PASTE_(weft_in_, line) =                                         \
             weft_nursery_exit_(WEFT_PASTE_(weft_in_, line)))                  \
        for (; n.pass_; n.pass_ = 0)
WEFT_API weft_nursery *weft_nursery_enter_(const char *file, int line,
                                           weft_nursery *n, int *rc,
                                           const weft_nursery_opts *o);
WEFT_API weft_nursery *weft_nursery_exit_(weft_nursery *n);
WEFT_API void weft_nursery_leave_(weft_nursery *n);

WEFT_END_DECLS

#endif
