/* SPDX-License-Identifier: MIT */
/*
 * run.c - a scheduler, a reactor and the first fiber, joined.
 *
 * Each worker of a run has them. What is `run` here is this thread's.
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
#include "sync/dump.h"
#include "sync/group.h"
#include "sync/run.h"
#include "sync/signals.h"
#include "sync/worker.h"

enum { STACK = 64 * 1024, GUARD = 64 * 1024 };

_Static_assert(sizeof(struct wf_child) <= 256, "a fiber's block: four lines");

struct run {
    weft_fn fn;
    void *arg;
    int rc;
    weft_time drain, grace;
    weft_on_deadlock on_deadlock;
    weft_scope root;      /* main's outermost scope: cancelled, all of it is */
    weft_nursery nursery; /* of everything here */
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
    if (wf_group)
        wf_worker_end(run->drain, run->grace);
    else
        wf_background_close(run->drain, run->grace);
    return 0;
}

/* Of a worker that is not the first: there is no main here to be cancelled. */
static int keeper_fiber(void *arg)
{
    struct run *run = arg;
    run->root.flags_ |= WF_S_ENDED;
    run->rc = 0;
    wf_worker_keep(run->drain, run->grace);
    return 0;
}

weft_nursery *wf_run_root(void)
{
    return &run_here->nursery;
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
bool wf_run_resolve_deadlock(void)
{
    static const char why[] = "every fiber waits for another one";
    if (run_here->on_deadlock == WEFT_DEADLOCK_ABORT) abort();
    weft_scope *root = &run_here->root;
    if (!(root->flags_ & (WF_S_CANCELLED | WF_S_ENDED))) {
        wf_scope_cancel(root, WEFT_R_DEADLOCK, -EDEADLK, 0, why);
        return true;
    }
    return wf_background_cancel(WEFT_R_DEADLOCK, -EDEADLK, why);
}

void wf_run_report_deadlock(bool headline)
{
    static const char words[] =
        "weft: deadlock: every fiber waits for another one, and nothing "
        "outside can wake any\n";
    if (headline) {
        wf_os_say(2, words, sizeof words - 1);
        wf_leaks_here.deadlocks++;
    }
    wf_dump_here(2);
}

static bool stuck(void)
{
    wf_run_report_deadlock(true);
    return wf_run_resolve_deadlock();
}

int weft_shutdown(int code)
{
    if (!run_here) return wf_misuse(-EPERM, "weft_shutdown: no run here");
    if (wf_group && wf_worker != 0)
        return wf_shut_down_from_elsewhere(wf_group->seats[0].inbox, code);
    wf_scope_cancel(&run_here->root, WEFT_R_SHUTDOWN, code, weft_fiber_id(),
                    "shutdown");
    return 0;
}

/* ---- the run ------------------------------------------------------------ */

static void left_by_fork(void)
{
    run_here = NULL;
    wf_group = NULL;
}

int wf_run_check(void)
{
    if (wf_sched_is_left())
        return wf_misuse(-EPERM, "weft_run: the child of a fork in a run can "
                                 "only call exec or _exit");
    if (wf_sched_is_open())
        return wf_misuse(-EBUSY, "weft_run: called inside a run; spawn a "
                                 "fiber instead");
    return 0;
}

static struct run run_of(weft_fn fn, void *arg, const weft_run_opts *o)
{
    return (struct run){.fn = fn,
                        .arg = arg,
                        .rc = -ECANCELED,
                        .drain = patience(o->drain),
                        .grace = patience(o->grace),
                        .on_deadlock = o->on_deadlock};
}

static struct wf_sched_opts sched_opts(const weft_run_opts *o, unsigned seat)
{
    return (struct wf_sched_opts){
        .block_bytes = (sizeof(struct wf_child) + 63) & ~(size_t)63,
        .body = wf_child_run,
        .stuck = stuck,
        .rests = wf_group_rests,
        .was_away = wf_timed_was_away,
        .stack_bytes = o->stack_size ? o->stack_size : STACK,
        .guard_bytes = o->guard_size ? o->guard_size : GUARD,
        .watchdog = o->watchdog,
        .seed = o->sched_seed ? o->sched_seed + seat : 0,
    };
}

/* What is open when main starts, and closed when all have ended. */
static int open_all(struct run *run, const weft_run_opts *o, unsigned seat)
{
    struct wf_sched_opts sched = sched_opts(o, seat);
    const struct wf_reactor_opts reactor = {.expired = wf_timers_expired,
                                            .expects_timer = wf_timers_expected,
                                            .kicked = kicked,
                                            .spin = o->spin};
    int err = wf_fork_watch(left_by_fork);
    if (err < 0) return err;
    weft_scope_init(&run->root); /* a signal may cancel it before main starts */
    wf_clock_open(o->virtual_clock);
    err = wf_reactor_open(&reactor, &sched.driver);
    if (err < 0) return err;
    err = wf_sched_open(&sched);
    if (err < 0) goto close_reactor;
    if (o->on_deadlock == WEFT_DEADLOCK_WAIT) wf_inbox_listen(1);
    if (!o->no_crash_report) err = wf_crash_open();
    if (err < 0) goto close_sched;
    run_here = run;
    if (o->handle_signals && seat == 0) err = take_signals(run);
    if (err == 0) return 0;

    run_here = NULL;
    if (!o->no_crash_report) wf_crash_close();
close_sched:
    wf_sched_close();
close_reactor:
    wf_reactor_close();
    return err;
}

static void close_all(const weft_run_opts *o, unsigned seat)
{
    wf_signals_close();
    if (o->handle_signals && seat == 0) give_signals_back(STOPPING);
    run_here = NULL;
    if (!o->no_crash_report) wf_crash_close();
    wf_buffers_close();
    wf_owned_close();
    wf_sched_close();
    wf_reactor_close();
}

/* Until none is left. */
static void run_fibers(struct run *run)
{
    wf_background_open(&run->nursery);
    wf_sched_run();
    see_guests_off(run);
}

static int run_main(struct run *run)
{
    int err = wf_child_start_main(&run->nursery, "main", main_fiber, run);
    if (err < 0) return err;
    run_fibers(run);
    return 0;
}

/* All are there, or none is to run. */
static int assemble(struct wf_group *g)
{
    if (!g) return 0;
    wf_group_enter(g, 0);
    return wf_group_wait(g);
}

static void give_up(struct wf_group *g)
{
    if (!g) return;
    (void)wf_group_wait(g);
    wf_workers_dismiss(g);
}

int wf_run_first(weft_fn fn, void *arg, const weft_run_opts *o,
                 struct wf_group *g)
{
    struct run run = run_of(fn, arg, o);
    int err = open_all(&run, o, 0);
    if (err < 0) {
        give_up(g);
        return err;
    }
    err = assemble(g);
    if (err == 0) err = run_main(&run);
    if (err < 0)
        give_up(g);
    else if (g)
        wf_workers_stop();
    if (g) wf_group_leave();
    close_all(o, 0);
    return err < 0 ? err : run.rc;
}

int wf_run_other(const weft_run_opts *o, struct wf_group *g, unsigned seat)
{
    struct run run = run_of(NULL, NULL, o);
    int err = open_all(&run, o, seat);
    if (err < 0) {
        wf_group_miss(g, err);
        return err;
    }
    err = wf_child_start_main(&run.nursery, "worker", keeper_fiber, &run);
    if (err < 0) {
        wf_group_miss(g, err);
        close_all(o, seat);
        return err;
    }
    wf_group_enter(g, seat);
    run_fibers(&run);
    close_all(o, seat);
    wf_group_leave();
    return 0;
}
