/* SPDX-License-Identifier: MIT */
/*
 * signal.c - fibers that wait for signals.
 *
 * The handler (reactor/signals.c) only marks a signal as seen. The mark is
 * taken off by whoever gives the signal to a fiber, on the thread of the run
 * that holds it. What stands here of a signal belongs to that run, and passes
 * to the next one with the claim on the signal.
 *
 * Rule: a signal that is seen while a fiber waits for it has kicked the
 * reactor, whose next turn gives it away.
 */
#include <weft/signal.h>

#include <string.h>

#include "reactor/signals.h"
#include "runtime/fork.h"
#include "runtime/os.h"
#include "runtime/park.h"
#include "runtime/remote.h"
#include "sync/signals.h"

static struct {
    int seen;         /* atomic */
    unsigned holders; /* open sets with it */
    uint64_t given;   /* when it was last given to a fiber: the how-many-th */
} signals[WF_SIGNALS];

static __thread struct {
    uint64_t held; /* signals with holders, as a set */
    uint64_t given;
    weft_waitq_ waiters; /* item_: the set that it waits for */
} here;

static uint64_t set_of(int signo)
{
    return UINT64_C(1) << (signo - 1);
}

/* The lowest of a set that is not empty. */
static int lowest(uint64_t set)
{
    return __builtin_ctzll(set) + 1;
}

/* ---- giving ------------------------------------------------------------- */

/* Takes the one of a set that has come and was given least recently; or 0. */
static int take(uint64_t set)
{
    int found = 0;
    for (; set; set &= set - 1) {
        int signo = lowest(set);
        if (!__atomic_load_n(&signals[signo].seen, __ATOMIC_ACQUIRE)) continue;
        if (!found || signals[signo].given < signals[found].given)
            found = signo;
    }
    if (!found) return 0;
    __atomic_store_n(&signals[found].seen, 0, __ATOMIC_RELEASE);
    signals[found].given = ++here.given;
    return found;
}

static const uint64_t *wanted_by(const struct weft_waiter_ *w)
{
    return w->item_;
}

static void leave(struct weft_waiter_ *w)
{
    wf_waitq_remove(&here.waiters, w);
    wf_inbox_listen(-1);
}

static void give(struct weft_waiter_ *w, int result)
{
    leave(w);
    wf_wake(w->fiber_, result);
}

void wf_signals_deliver(void)
{
    for (struct weft_waiter_ *w = here.waiters.head_, *next; w; w = next) {
        next = w->next_;
        int signo = take(*wanted_by(w));
        if (signo) give(w, signo);
    }
}

/* ---- waiting ------------------------------------------------------------ */

static bool abort_wait(weft_fiber *f)
{
    leave(&f->waiter);
    return true;
}

static int64_t number_of(const void *object)
{
    return lowest(*(const uint64_t *)object);
}

static const struct wf_wait_kind to_come = {
    .name = "signal", .number = number_of, .abort = abort_wait};

/* The caller has passed a cancel point. */
static int wait_for(uint64_t *set)
{
    wf_signals_deliver(); /* to those who came before */
    int signo = take(*set);
    if (signo) return signo;
    wf_self()->waiter.item_ = set;
    wf_inbox_listen(1);
    return wf_waitq_park(&here.waiters, &to_come, set);
}

/* ---- holding ------------------------------------------------------------ */

static void let_go_of(int signo)
{
    if (--signals[signo].holders > 0) return;
    here.held &= ~set_of(signo);
    if (wf_signal_give_back(signo)) wf_os_raise_anywhere(signo);
}

/* A set that was left open by a run before this one holds nothing any more. */
static void let_go(uint64_t set)
{
    for (set &= here.held; set; set &= set - 1)
        let_go_of(lowest(set));
}

static int hold(int signo)
{
    if (!(here.held & set_of(signo))) {
        int err = wf_signal_take(signo, &signals[signo].seen, false);
        if (err < 0) return err;
        here.held |= set_of(signo);
        signals[signo].given = 0;
    }
    signals[signo].holders++;
    return 0;
}

static int refuse(int err, int signo)
{
    if (err == -EBUSY)
        return wf_misuse(err,
                         "signal %d: another run or worker has it, or the "
                         "handle_signals of this one",
                         signo);
    if (err == -EINVAL)
        return wf_misuse(err, "signal %d cannot be waited for", signo);
    return err;
}

/* The sets are the parent's; reactor/signals.c has given the signals back. */
static void left_by_fork(void)
{
    memset(signals, 0, sizeof signals);
    memset(&here, 0, sizeof here);
}

int weft_signals_open(weft_signals *s, const int *signo, size_t n)
{
    uint64_t set = 0;
    if (!wf_sched_is_open() || wf_sched_is_left())
        return wf_misuse(-EPERM, "weft_signals_open: no run on this thread");
    int err = wf_fork_watch(left_by_fork);
    if (err < 0) return err;
    if (n == 0) return wf_misuse(-EINVAL, "weft_signals_open: no signals");
    for (size_t i = 0; i < n; i++) {
        int number = signo[i];
        bool known = number >= 1 && number < WF_SIGNALS;
        if (known && set & set_of(number)) continue;
        err = known ? hold(number) : -EINVAL;
        if (err < 0) {
            let_go(set);
            return refuse(err, number);
        }
        set |= set_of(number);
    }
    s->set_ = set;
    return 0;
}

/* Of this worker: what it holds is in one worker's hands. */
static bool is_here(const weft_signals *s)
{
    return !(s->set_ & ~here.held);
}

/* Not here, nor of a run that is over. */
static bool is_elsewhere(const weft_signals *s)
{
    for (uint64_t set = s->set_ & ~here.held; set; set &= set - 1)
        if (wf_signal_is_taken(lowest(set))) return true;
    return false;
}

int weft_signals_wait(weft_signals *s)
{
    int err = weft_pass_();
    if (err < 0) return err;
    if (!is_here(s)) return wf_misplaced("weft_signals_wait");
    return s->set_ ? wait_for(&s->set_) : -EBADF;
}

void weft_signals_close(weft_signals *s)
{
    if (wf_sched_is_open() && is_elsewhere(s)) {
        (void)wf_misplaced("weft_signals_close");
        return;
    }
    for (struct weft_waiter_ *w = here.waiters.head_, *next; w; w = next) {
        next = w->next_;
        if (wanted_by(w) == &s->set_) give(w, -EBADF);
    }
    uint64_t set = s->set_;
    s->set_ = 0;
    let_go(set);
}

int weft_signal_wait(const int *signo, size_t n)
{
    weft_signals s = {.set_ = 0};
    int err = weft_pass_();
    if (err == 0) err = weft_signals_open(&s, signo, n);
    if (err < 0) return err;
    int got = wait_for(&s.set_);
    weft_signals_close(&s);
    return got;
}

void wf_signals_close(void)
{
    for (uint64_t set = here.held; set; set &= set - 1)
        signals[lowest(set)].holders = 1;
    let_go(here.held);
}
