/* SPDX-License-Identifier: MIT */
/*
 * signals.c - the handler of all signals that weft takes.
 *
 * It may run on any thread, also on one that was about to enter it when its
 * signal was given back. So a giver-back restores what was there before, then
 * takes the reactor away, then waits for the handlers that may have it; and a
 * handler that finds no reactor, a stray one, passes its signal on to whoever
 * has it by now.
 */
#include "reactor/signals.h"

#include "reactor/reactor.h"
#include "runtime/fork.h"
#include "runtime/os.h"

enum claim { NOBODYS, TAKEN, STRAYS };

static struct slot {
    int claim;     /* atomic: whose the rest is */
    void *reactor; /* atomic: NULL unless it is taken */
    int *seen;     /* atomic, as are the flags behind it */
    bool once;
    struct sigaction before;
} slots[WF_SIGNALS];

static int handlers; /* that may have a reactor in their hands; atomic */

/* True: it is not the first one, and that was to be the only one. */
static bool note(struct slot *s, int signo, void *reactor)
{
    int *seen = __atomic_load_n(&s->seen, __ATOMIC_RELAXED);
    if (__atomic_exchange_n(seen, signo, __ATOMIC_ACQ_REL) != 0)
        return __atomic_load_n(&s->once, __ATOMIC_RELAXED);
    wf_reactor_kick(reactor);
    return false;
}

static bool claim(struct slot *s, enum claim who)
{
    int nobodys = NOBODYS;
    return __atomic_compare_exchange_n(&s->claim, &nobodys, (int)who, false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static void unclaim(struct slot *s)
{
    __atomic_store_n(&s->claim, NOBODYS, __ATOMIC_RELEASE);
}

static void on_signal(int signo);

/* The signal is raised again, and comes when this handler has been left. Where
 * it would come here for ever, since somebody has kept the handler of a run and
 * installed it after that, what the system does by default is done. */
static void pass_on(struct slot *s, int signo)
{
    if (claim(s, STRAYS)) {
        if (wf_os_has_handler(signo, on_signal)) wf_os_default(signo);
        unclaim(s);
    }
    wf_os_raise(signo);
}

static void on_signal(int signo)
{
    int kept = errno;
    struct slot *s = &slots[signo];
    bool too_many = false;
    __atomic_add_fetch(&handlers, 1, __ATOMIC_SEQ_CST);
    void *reactor = __atomic_load_n(&s->reactor, __ATOMIC_SEQ_CST);
    if (reactor) too_many = note(s, signo, reactor);
    __atomic_sub_fetch(&handlers, 1, __ATOMIC_SEQ_CST);
    if (too_many) wf_os_die_of(signo);
    if (!reactor) pass_on(s, signo);
    errno = kept;
}

/* The faults of a program come again when their handler returns. What else
 * cannot be had, the system says. */
static bool is_fault(int signo)
{
    return signo == SIGSEGV || signo == SIGBUS || signo == SIGFPE ||
           signo == SIGILL || signo == SIGTRAP || signo == SIGSYS ||
           signo == SIGABRT;
}

/* Takes the reactor away; the handlers that had it have left. */
static void take_reactor(struct slot *s)
{
    (void)__atomic_exchange_n(&s->reactor, NULL, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&handlers, __ATOMIC_SEQ_CST) > 0)
        continue;
}

/* In the child they do what they did before the parent took them; also those
 * that were taken by threads that are not there. */
static void left_by_fork(void)
{
    for (int signo = 1; signo < WF_SIGNALS; signo++) {
        struct slot *s = &slots[signo];
        if (s->reactor && wf_os_has_handler(signo, on_signal))
            wf_os_sigrestore(signo, &s->before);
        *s = (struct slot){.claim = NOBODYS};
    }
    handlers = 0;
}

int wf_signal_take(int signo, int *seen, bool once)
{
    if (signo < 1 || signo >= WF_SIGNALS || is_fault(signo)) return -EINVAL;
    int err = wf_fork_watch(left_by_fork);
    if (err < 0) return err;
    struct slot *s = &slots[signo];
    while (!claim(s, TAKEN))
        if (__atomic_load_n(&s->claim, __ATOMIC_RELAXED) == TAKEN)
            return -EBUSY;
    __atomic_store_n(&s->seen, seen, __ATOMIC_RELAXED);
    __atomic_store_n(&s->once, once, __ATOMIC_RELAXED);
    __atomic_store_n(&s->reactor, wf_reactor_handle(), __ATOMIC_SEQ_CST);
    struct sigaction act = {.sa_handler = on_signal,
                            .sa_flags = SA_RESTART | SA_ONSTACK};
    err = wf_os_sigaction(signo, &act, &s->before);
    if (err == 0) return 0;
    take_reactor(s);
    unclaim(s);
    return err;
}

bool wf_signal_is_taken(int signo)
{
    return __atomic_load_n(&slots[signo].reactor, __ATOMIC_ACQUIRE) != NULL;
}

bool wf_signal_give_back(int signo)
{
    struct slot *s = &slots[signo];
    wf_os_sigrestore(signo, &s->before);
    take_reactor(s);
    bool seen = __atomic_exchange_n(s->seen, 0, __ATOMIC_ACQ_REL) != 0;
    unclaim(s);
    return seen;
}
