/* SPDX-License-Identifier: MIT */
/*
 * run.c - a scheduler, a reactor and the first fiber, joined.
 */
#include <weft/run.h>

#include <weft/debug.h>
#include <weft/fiber.h>

#include <stdlib.h>

#include "reactor/reactor.h"
#include "runtime/buffer.h"
#include "runtime/clock.h"
#include "runtime/crash.h"
#include "runtime/fork.h"
#include "runtime/leaks.h"
#include "runtime/os.h"
#include "runtime/remote.h"
#include "sync/background.h"
#include "sync/child.h"
#include "sync/run.h"

enum { STACK = 64 * 1024, GUARD = 64 * 1024 };

_Static_assert(sizeof(struct wf_child) <= 256, "a fiber's block: four lines");

struct run {
    weft_fn fn;
    void *arg;
    int rc;
    weft_time drain, grace;
    weft_on_deadlock on_deadlock;
    weft_scope root; /* main's outermost scope: cancelled, all of it is */
    weft_nursery nursery;
    struct wf_run_guest *guests;
};

static __thread struct run *run_here;

void wf_run_enter(struct wf_run_guest *g)
{
    g->next = run_here->guests;
    run_here->guests = g;
}

static void see_guests_off(struct run *run)
{
    while (run->guests) {
        struct wf_run_guest *g = run->guests;
        run->guests = g->next;
        g->leave(g);
    }
}

/* 0 is the usual, less is nothing. */
static weft_time patience(weft_time asked)
{
    return asked == 0 ? WEFT_SEC(5) : asked < 0 ? 0 : asked;
}

static int main_fiber(void *arg)
{
    struct run *run = arg;
    int err = weft_scope_begin(&run->root);
    if (err < 0) return err;
    run->rc = weft_scope_end(&run->root, run->fn(run->arg));
    wf_error_export(wf_self());
    wf_background_close(run->drain, run->grace);
    return 0;
}

/* ---- signals ------------------------------------------------------------ */

static struct sigaction before_int, before_term;
static void *signal_target; /* the reactor to kick; atomic */
static int signal_seen;     /* atomic */
static int in_handler;      /* handlers that may still kick it; atomic */
static __thread bool signals_are_mine;

static void on_signal(int signo)
{
    int kept = errno;
    if (__atomic_exchange_n(&signal_seen, signo, __ATOMIC_ACQ_REL) == 0) {
        __atomic_add_fetch(&in_handler, 1, __ATOMIC_SEQ_CST);
        void *target = __atomic_load_n(&signal_target, __ATOMIC_SEQ_CST);
        if (target) wf_reactor_kick(target);
        __atomic_sub_fetch(&in_handler, 1, __ATOMIC_SEQ_CST);
    } else {
        wf_os_die_of(signo);
    }
    errno = kept;
}

static int take_signals(void)
{
    void *nobody = NULL;
    if (!__atomic_compare_exchange_n(&signal_target, &nobody,
                                     wf_reactor_handle(), false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return wf_misuse(-EBUSY, "weft_run: another run handles signals");
    __atomic_store_n(&signal_seen, 0, __ATOMIC_RELEASE);
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    int err = wf_os_sigaction(SIGINT, &act, &before_int);
    if (err < 0) goto give_up;
    err = wf_os_sigaction(SIGTERM, &act, &before_term);
    if (err < 0) goto restore_int;
    signals_are_mine = true;
    wf_inbox_listen(1);
    return 0;

restore_int:
    wf_os_sigrestore(SIGINT, &before_int);
give_up:
    __atomic_store_n(&signal_target, NULL, __ATOMIC_RELEASE);
    return err;
}

static void give_signals_back(void)
{
    if (!signals_are_mine) return;
    wf_os_sigrestore(SIGINT, &before_int);
    wf_os_sigrestore(SIGTERM, &before_term);
    __atomic_store_n(&signal_target, NULL, __ATOMIC_SEQ_CST);
    /* Another thread may be in the handler with the reactor in its hands. */
    while (__atomic_load_n(&in_handler, __ATOMIC_SEQ_CST) > 0)
        continue;
    signals_are_mine = false;
}

/* ---- what the reactor and the scheduler report -------------------------- */

static void kicked(void)
{
    if (signals_are_mine && __atomic_load_n(&signal_seen, __ATOMIC_ACQUIRE))
        wf_scope_cancel(&run_here->root, WEFT_R_SIGNAL, 0, 0, "signal");
}

/* Cancels main; or, when that has been cancelled or has ended, the background
 * work. False: neither could help. */
static bool resolve_deadlock(void)
{
    static const char why[] = "every fiber waits for another one";
    weft_scope *root = &run_here->root;
    if (!(root->flags_ & (WF_S_CANCELLED | WF_S_ENDED))) {
        wf_scope_cancel(root, WEFT_R_DEADLOCK, -EDEADLK, 0, why);
        return true;
    }
    return wf_background_cancel(WEFT_R_DEADLOCK, -EDEADLK, why);
}

static bool stuck(void)
{
    static const char words[] =
        "weft: deadlock: every fiber waits for another one, and nothing "
        "outside can wake any\n";
    wf_os_say(2, words, sizeof words - 1);
    weft_dump(2);
    if (run_here->on_deadlock == WEFT_DEADLOCK_ABORT) abort();
    wf_leaks_here.deadlocks++;
    return resolve_deadlock();
}

int weft_shutdown(int code)
{
    if (!run_here) return wf_misuse(-EPERM, "weft_shutdown: no run here");
    wf_scope_cancel(&run_here->root, WEFT_R_SHUTDOWN, code, weft_fiber_id(),
                    "shutdown");
    return 0;
}

/* ---- the run ------------------------------------------------------------ */

static void left_by_fork(void)
{
    run_here = NULL;
}

int weft_run(weft_fn fn, void *arg, const weft_run_opts *o)
{
    static const weft_run_opts defaults;
    if (!o) o = &defaults;
    if (wf_sched_is_left())
        return wf_misuse(-EPERM, "weft_run: the child of a fork in a run can "
                                 "only call exec or _exit");
    if (wf_sched_is_open())
        return wf_misuse(-EBUSY, "weft_run: called inside a run; spawn a "
                                 "fiber instead");
    struct run run = {.fn = fn,
                      .arg = arg,
                      .rc = -ECANCELED,
                      .drain = patience(o->drain),
                      .grace = patience(o->grace),
                      .on_deadlock = o->on_deadlock};
    struct wf_sched_opts sched = {
        .block_bytes = (sizeof(struct wf_child) + 63) & ~(size_t)63,
        .body = wf_child_run,
        .stuck = stuck,
        .was_away = wf_timed_was_away,
        .stack_bytes = o->stack_size ? o->stack_size : STACK,
        .guard_bytes = o->guard_size ? o->guard_size : GUARD,
        .watchdog = o->watchdog,
        .seed = o->sched_seed,
    };
    int err = wf_fork_watch(left_by_fork);
    if (err < 0) return err;
    weft_scope_init(&run.root); /* a signal may cancel it before main starts */
    wf_clock_open(o->virtual_clock);
    struct wf_reactor_opts reactor = {.expired = wf_timers_expired,
                                      .expects_timer = wf_timers_expected,
                                      .kicked = kicked,
                                      .spin = o->spin};
    err = wf_reactor_open(&reactor, &sched.driver);
    if (err < 0) return err;
    err = wf_sched_open(&sched);
    if (err < 0) goto close_reactor;
    if (o->on_deadlock == WEFT_DEADLOCK_WAIT) wf_inbox_listen(1);
    if (!o->no_crash_report) err = wf_crash_open();
    if (err < 0) goto close_sched;
    run_here = &run;
    if (o->handle_signals) err = take_signals();
    if (err < 0) goto close_crash;
    err = wf_child_start_main(&run.nursery, main_fiber, &run);
    if (err == 0) {
        wf_background_open(&run.nursery);
        wf_sched_run();
        see_guests_off(&run);
    }

    give_signals_back();
close_crash:
    run_here = NULL;
    if (!o->no_crash_report) wf_crash_close();
close_sched:
    wf_buffers_close();
    wf_owned_close();
    wf_sched_close();
close_reactor:
    wf_reactor_close();
    return err < 0 ? err : run.rc;
}
