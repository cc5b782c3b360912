/* SPDX-License-Identifier: MIT */
/*
 * weft/signal.h (sync) - signals, as something to wait for.
 *
 *     weft_signals s;
 *     int signo, err = weft_signals_open(&s, (int[]){SIGHUP, SIGUSR1}, 2);
 *     if (err < 0) return err;
 *     while ((signo = weft_signals_wait(&s)) > 0) {
 *         if (signo == SIGHUP) read_settings();
 *         else weft_dump(2);
 *     }
 *     weft_signals_close(&s);
 *     return signo;
 *
 * A signal is caught from open to close, also while nobody waits for it. Before
 * and after that there is what there was: nothing is installed unasked, and the
 * previous handler is put back. What was caught and not taken is raised again
 * then, for that handler; so a SIGTERM that nobody has waited for ends the
 * process there, late but as usual.
 *
 * Each signal that is caught is given to one fiber, the one that has waited
 * longest for it. One that comes again before it was given counts once, as
 * POSIX has it. Of several that have come a fiber gets the one that was given
 * least recently, so none of them starves.
 *
 * A signal is the whole process's, and one run has it at a time, or, of several
 * workers (weft/workers.h), one of them: for another it is busy. Sets belong to
 * theirs (-EPERM elsewhere); any number of them may hold the same signal, which
 * is given back with the last one. SIGINT
 * and SIGTERM are busy in a run with handle_signals (weft/run.h), and a
 * weft_run with that is refused while another run holds one of them. SIGRTMAX -
 * 3, or SIGEMT (weft/run.h), is the watchdog's, in a program that has one. A
 * signal that is blocked on every thread never comes.
 *
 * The child of a fork has none of its parent's sets: there each signal does what
 * it did before it was caught.
 *
 * A fiber that waits for a signal waits for something outside: that is no
 * deadlock. On a virtual clock, as with descriptors, one that has come is seen
 * before the clock jumps, but the clock does not wait for it.
 */
#ifndef WEFT_SIGNAL_H
#define WEFT_SIGNAL_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/** A set of signals. Zeroed is none; the caller owns the memory. What is open
 *  at the end of its run is closed there, and must not be used again. */
typedef struct weft_signals {
    uint64_t set_;
} weft_signals;

/**
 * Begins to catch the n signals at `signo`. Never parks.
 *
 * Returns 0. -EINVAL: n is 0, there is no such signal, or it cannot be caught
 * (SIGKILL, SIGSTOP) or is a fault of the program itself (SIGSEGV, SIGABRT and
 * their like). -EBUSY: another run or worker has one of them, or this one's
 * handle_signals. -EPERM: outside a run. Then none is caught.
 */
WEFT_MUST int weft_signals_open(weft_signals *s, const int *signo, size_t n);

/**
 * Waits for one of them. A cancelled wait has taken none.
 *
 * Parks. Returns its number, -ECANCELED, -EBADF: not open, or closed meanwhile;
 * -EPERM: a set of another worker.
 */
WEFT_PARKS int weft_signals_wait(weft_signals *s);

/** Ends it: fibers that wait on it get -EBADF. A second time does nothing. On
 *  another worker than its own it is left open (-EPERM, in weft_last_error). */
WEFT_API void weft_signals_close(weft_signals *s);

/**
 * Opens a set for one wait, and closes it. Right for one signal that comes
 * once: of two that come together the other goes to its previous handler, which
 * by default ends the process, as does one that comes after this has returned.
 * A set that is open around it keeps them.
 *
 * Parks. Returns the number of the signal, -ECANCELED, or as weft_signals_open.
 */
WEFT_PARKS int weft_signal_wait(const int *signo, size_t n);

WEFT_END_DECLS

#endif
