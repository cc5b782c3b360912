/* SPDX-License-Identifier: MIT */
/*
 * weft/run.h (sync) - from a thread into the world of fibers.
 *
 *     static int start(void *arg)
 *     {
 *         ...
 *     }
 *
 *     int main(void)
 *     {
 *         return weft_run(start, NULL, NULL) < 0;
 *     }
 *
 * weft_run makes a scheduler on this thread, runs one fiber in it, and returns
 * that fiber's result when it and all it started have ended. With more than one
 * worker there is a scheduler on as many threads (weft/workers.h), and main's is
 * this one: what is said here of the thread holds for each. Nothing process-
 * wide is changed but what is said here: a handler for SIGSEGV and SIGBUS that
 * reports stack overflows and then does what was done before, taken out again
 * at the end; with handle_signals those of SIGINT and SIGTERM; and with a
 * watchdog that of SIGRTMAX - 3, or SIGEMT where there is no SIGRTMAX (macOS).
 *
 * The watchdog names a fiber that keeps its thread to itself, on standard error
 * with a backtrace, while it does so: one that computes, or blocks in a system
 * call. (A backtrace goes as far as there are unwind tables, which on riscv64
 * takes -fasynchronous-unwind-tables.) A timer of each watched thread, or where
 * there is none (macOS, BSD) one more thread, sends it that signal three times
 * within the limit. Calls that were interrupted go on (SA_RESTART), save those
 * that never do, such as nanosleep and poll: they fail with EINTR.
 *
 * Debug builds watch for a second unless they are told otherwise: without a
 * signal, so a fiber is named when it has come to a switch, and one that only
 * blocked is not, since it is CPU time that counts. They also name, with any
 * limit, a fiber that gives way but passes no cancel point, for example a loop
 * that only opens and closes nurseries; release builds do not find that.
 */
#ifndef WEFT_RUN_H
#define WEFT_RUN_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/** When every fiber waits for another one and nothing outside can wake any. */
typedef enum weft_on_deadlock {
    WEFT_DEADLOCK_REPORT = 0, /* say who waits for whom, and cancel main */
    WEFT_DEADLOCK_ABORT,      /* say it, and abort the program */
    WEFT_DEADLOCK_WAIT        /* wait all the same */
} weft_on_deadlock;

typedef struct weft_run_opts {
    size_t stack_size;    /* of a fiber, usable bytes; 0: 64 KiB */
    size_t guard_size;    /* of the unusable region below it; 0: 64 KiB; a
                             32-bit address space is full with 30000 of both,
                             or with 60000 stacks that have guards of 4 KiB */
    bool handle_signals;  /* the first SIGINT or SIGTERM cancels main with
                             WEFT_R_SIGNAL; the second one ends the process;
                             for other signals see weft/signal.h */
    bool virtual_clock;   /* time jumps to the next timer when all wait */
    uint64_t sched_seed;  /* not 0: fibers that are ready at the same time run
                             in an order drawn from this number, not in line;
                             who becomes ready meanwhile comes after them */
    weft_time drain;      /* of background work when main has returned: let it
                             go on so long before it is cancelled, */
    weft_time grace;      /* and so long for its end; 0: five seconds each,
                             less: not at all */
    weft_time watchdog;   /* report a fiber that runs so long without a cancel
                             point; 0: a second in debug builds, else never;
                             less: never. See above. */
    weft_on_deadlock on_deadlock;
    bool no_crash_report; /* leave SIGSEGV and SIGBUS alone */
    weft_time spin;       /* poll this long before sleeping; 0: do not */
    int workers;          /* threads that run fibers (weft/workers.h); 0: one,
                             the caller's; WEFT_WORKER_PER_CORE */
} weft_run_opts;

enum { WEFT_WORKER_PER_CORE = -1 }; /* as many as the process may use */

/**
 * Runs fn(arg) as the main fiber. `o` may be NULL.
 *
 * Returns what fn returned; if fn returned the -ECANCELED of a signal, 0; of
 * weft_shutdown, its code; and -EDEADLK if it returned the -ECANCELED of a
 * deadlock, in which every fiber waited for another one (the report is on
 * standard error; another one that nothing is left to cancel against aborts).
 * -EBUSY: called inside a run, or SIGINT or SIGTERM is another run's already.
 * -EINVAL: several workers on a virtual clock, or more than 1,024.
 * -ENOMEM, -EMFILE, -EAGAIN (no thread, no timer for the watchdog): the
 * schedulers could not be made. After a failure weft_last_error() is that of
 * main, until the thread's next one.
 */
WEFT_MUST int weft_run(weft_fn fn, void *arg, const weft_run_opts *o);

/**
 * Cancels the main fiber's scope, and so everything, with `code`: what
 * weft_run returns if that is what ended main. From inside the run only; from
 * other threads it is weft_remote_shutdown (weft/post.h).
 *
 * Returns 0; -EPERM outside a run; from another worker than main's also
 * -ENOMEM, and -ESHUTDOWN when main's has ended.
 */
WEFT_API int weft_shutdown(int code);

WEFT_END_DECLS

#endif
