/* SPDX-License-Identifier: MIT */
/*
 * weft/post.h (sync) - from another thread into a run.
 *
 *     weft_remote *run = weft_remote_new();          in a fiber
 *     start_library_thread(run);
 *     err = weft_event_wait(&done);
 *
 *     static void finished(void *arg)                in the run again
 *     {
 *         weft_event_set(arg);
 *     }
 *
 *     (void)weft_post(run, finished, &done);         in the thread
 *     weft_remote_unref(run);
 *
 * Everything of a run - fibers, scopes, nurseries, locks, channels that were not
 * made to cross (weft/chan.h) - belongs to its thread (of several workers, to the
 * one that made it), and other threads may not touch it: -EPERM, and in debug builds
 * the end of the process with a sentence, as far as it can be seen. A
 * weft_remote is what they may have of a run: a handle by which they have a
 * function called there, or end it. It is counted, each thread gives its own
 * reference back, and it may outlive the run.
 *
 * A run with such a handle somewhere is not deadlocked when all its fibers
 * wait, since a thread may post what they wait for. So a forgotten reference
 * hides a deadlock. The virtual clock does not wait for posts.
 *
 * After fork the child has none of its parent's runs: calls that need a fiber
 * return -EPERM there, and so do these. All that the child of a fork in a fiber
 * can do is exec or _exit.
 */
#ifndef WEFT_POST_H
#define WEFT_POST_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/** A run, as other threads see it; opaque. */
typedef struct weft_remote weft_remote;

/** A handle to the run of this thread, with one reference; NULL outside one. */
WEFT_API weft_remote *weft_remote_new(void);

/** One reference more, and one less. From any thread. `r` may be NULL. */
WEFT_API weft_remote *weft_remote_ref(weft_remote *r);
WEFT_API void weft_remote_unref(weft_remote *r);

/**
 * Has fn(arg) called on the thread of the run, once, soon: between two fibers,
 * before those that are ready run on. It is in no fiber, so it cannot wait; it
 * may set, release, send without waiting, cancel, and spawn. What a thread
 * posts is called in the order in which it posted, and sees what it wrote
 * before. One that posts itself again, for ever, stops nobody else. What is
 * posted and not called when the run ends is called then.
 *
 * From any thread, with a reference; not from a signal handler. Never waits.
 * Returns 0; -ESHUTDOWN: the run has ended; -ENOMEM; -EPERM: in the child of a
 * fork. After an error fn is not called, and arg is still the caller's.
 */
WEFT_MUST int weft_post(weft_remote *r, void (*fn)(void *arg), void *arg);

/**
 * weft_shutdown (weft/run.h) from any thread: cancels main with `code`, soon.
 *
 * Returns 0, or an error of weft_post.
 */
WEFT_MUST int weft_remote_shutdown(weft_remote *r, int code);

WEFT_END_DECLS

#endif
