/* SPDX-License-Identifier: MIT */
/*
 * run.c - a scheduler, a reactor and the first fiber, joined.
 */
#include <weft/run.h>

#include <weft/debug.h>
#include <weft/fiber.h>

#include <stdlib.h>

#include "reactor/reactor.h"
#include "reactor/signals.h"
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
#include "sync/signals.h"

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
    int signal_seen; /* SIGINT or SIGTERM, handled by the run; atomic */
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

static const int stopping[] = {SIGINT, SIGTERM};
enum { STOPPING = sizeof stopping / sizeof *stopping };

static void give_signals_back(int count)
{
    while (count > 0)
        (void)wf_signal_give_back(stopping[--count]);
}

/* The second one that comes, whichever it is, ends the process. */
static int take_signals(struct run *run)
{
    int taken = 0, err = 0;
    while (taken < STOPPING && err == 0) {
        err = wf_signal_take(stopping[taken], &run->signal_seen, true);
        if (err == 0) taken++;
    }
    if (err == 0) {
        wf_inbox_listen(1);
        return 0;
    }
    give_signals_back(taken);
    if (err != -EBUSY) return err;
    return wf_misuse(err, "weft_run: another run has SIGINT or SIGTERM");
}

/* ---- what the reactor and the scheduler report -------------------------- */

static void kicked(void)
{
    if (__atomic_load_n(&run_here->signal_seen, __ATOMIC_ACQUIRE))
        wf_scope_cancel(&run_here->root, WEFT_R_SIGNAL, 0, 0, "signal");
    wf_signals_deliver();
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
    if (o->handle_signals) err = take_signals(&run);
    if (err < 0) goto close_crash;
    err = wf_child_start_main(&run.nursery, main_fiber, &run);
    if (err == 0) {
        wf_background_open(&run.nursery);
        wf_sched_run();
        see_guests_off(&run);
    }

    wf_signals_close();
    if (o->handle_signals) give_signals_back(STOPPING);
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
