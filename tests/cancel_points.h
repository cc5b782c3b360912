/* SPDX-License-Identifier: MIT */
/*
 * cancel_points.h - is a call a cancel point, or none, and does it give way?
 *
 *     static ssize_t acquires(void *s) { return weft_sem_acquire(s, 1); }
 *     is_a_cancel_point(acquires, &full, 0);
 *     is_woken(acquires, &empty);
 *     starves_nobody(acquires_and_releases, &full, 0);
 *
 * Each call is made where everything it could want is there, in scopes that
 * are cancelled in several ways, more than once: it has to fail with
 * -ECANCELED each time and to touch nothing. That nothing was touched is seen
 * by making the same call afterwards, where it must succeed.
 */
#ifndef TESTS_CANCEL_POINTS_H
#define TESTS_CANCEL_POINTS_H

#include <weft/event.h>

#include <sys/types.h>

#include "harness.h"

enum { BUDGET = 64, TIMES = 20 };

typedef ssize_t (*call_fn)(void *arg);

/* ---- a cancel point ----------------------------------------------------- */

/** call(arg) is a cancel point, and otherwise returns `want`. */
void is_a_cancel_point(call_fn call, void *arg, ssize_t want);

/* Some of the ways, for a call that cannot be made in all of them. */
void in_a_cancelled_scope(call_fn call, void *arg);
void in_an_expired_scope(call_fn call, void *arg);
void below_a_cancelled_scope(call_fn call, void *arg);

/** call(arg) waits, until it is cancelled: by a deadline, or by another fiber.
 *  Then it fails at once, each time. */
void is_woken(call_fn call, void *arg);
void is_woken_by_a_cancel(call_fn call, void *arg);

/* ---- none --------------------------------------------------------------- */

/** Around calls that work in a cancelled scope as they do outside. */
void open_cancelled(void);
void close_cancelled(void);

/** The same, and none of the calls lets another fiber run. */
void open_watched(void);
void close_watched(void);

/* ---- giving way --------------------------------------------------------- */

/** call(arg), which never waits, returns `want`, and does not go through too
 *  often before another fiber runs. */
void starves_nobody(call_fn call, void *arg, ssize_t want);

/** One who ignores that call(arg) is cancelled lets others run. */
void gives_way_when_ignored(call_fn call, void *arg);

/* ---- others ------------------------------------------------------------- */

extern unsigned ran;
int counts(void *arg); /* that it ran; 0 */

/** Lets all other fibers come to a wait. */
void settle_here(void);

/** fn(arg), in another fiber, up to its wait; and on from there. */
void another(weft_fn fn, void *arg);
void release_the_other(void);

/** What it waits for, unless something else; counts() and waits. */
extern weft_event release;
int stays(void *arg);

#endif
