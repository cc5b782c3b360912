/* SPDX-License-Identifier: MIT */
/*
 * weft/background.h (sync) - work that outlives the request it came from.
 *
 *     struct mail *m = new_mail(order);           on the heap: it is handed over
 *     int err = weft_background(send_mail, m, NULL);
 *     if (err < 0) free_mail(m);
 *     return reply(conn, 200);                    does not wait for the mail
 *
 * There is one set of such fibers for each run, or, of several workers
 * (weft/workers.h), for each of them, and what is called here is of the caller's.
 * It is a nursery, owned by the run: nothing is detached from everything. What ends the request, its
 * scopes and deadlines, does not reach them; its fiber-locals do. A failure of
 * one cancels no other and goes to the unhandled hook.
 *
 * When main has returned the run takes no more of them, lets those there are go
 * on for weft_run_opts.drain, cancels what is left, and gives it
 * weft_run_opts.grace. Those that still have not ended are named on standard
 * error, and waited for. What main has deferred (weft/cleanup.h) comes after
 * that, so it may close what background work uses.
 */
#ifndef WEFT_BACKGROUND_H
#define WEFT_BACKGROUND_H

#include <weft/base.h>
#include <weft/nursery.h>

WEFT_BEGIN_DECLS

/**
 * Starts fn(arg) in the background; `o` may be NULL. As with weft_spawn it
 * will run and has taken `arg` over if this returns 0.
 *
 * Returns 0; -ESHUTDOWN: the set has been shut down; -ENOMEM; -EPERM outside a
 * run.
 */
#define weft_background(...) /* (fn, arg, o) */                                \
    weft_background_(__FILE__, __LINE__, __VA_ARGS__)
WEFT_MUST int weft_background_(const char *file, int line, weft_fn fn,
                               void *arg, const weft_spawn_opts *o);

/** How many of them are alive. */
WEFT_API size_t weft_background_count(void);

/**
 * Takes no more from now on, waits for `drain` for those there are, cancels the
 * rest (WEFT_R_SHUTDOWN) and waits for `grace` for these. Nothing is abandoned:
 * those left go on ending by themselves, are named on standard error with what
 * they wait for, and the run waits for them. May be called again.
 *
 * Parks. Returns how many are left, 0 if it ended clean; -ECANCELED: if that
 * came during the drain those there are have not been cancelled, but no more
 * are taken.
 * -EDEADLK: called by one of them.
 */
WEFT_PARKS int weft_background_shutdown(weft_time drain, weft_time grace);

WEFT_END_DECLS

#endif
