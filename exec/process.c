/* SPDX-License-Identifier: MIT */
/*
 * process.c - waiting for child processes, and ending them.
 *
 * One of the waiting fibers watches, parked on the pidfd or asleep between two
 * looks; the others stand in line. Rule: if anyone waits for a child that has
 * not been seen to have ended, `watched` is set, and one fiber watches or has
 * been told to. A watcher that is cancelled tells the next one; whoever sees
 * the end, watcher or not, gives it to all who stand in line.
 */
#include "exec/process.h"

#include <weft/scope.h>
#include <weft/time.h>

#include "runtime/clock.h"
#include "runtime/os.h"

typedef struct weft_child_process_ child;

enum { WATCH = INT_MIN }; /* granted to who is to watch from now on */

/* Without a run on this thread its own may be over. */
static bool is_here(const child *c)
{
    return !wf_sched_is_open() || c->home == &weft_here_;
}

static void unref(child *c)
{
    if (--c->refs == 0) wf_free(c, sizeof *c);
}

/* ---- its end ------------------------------------------------------------ */

/* Has it ended? */
static bool look(child *c)
{
    siginfo_t info = {0};
    if (c->ended != WF_CHILD_RUNS) return true;
    int err = wf_os_waitid(c->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    if (err == 0 && info.si_pid == 0) return false;
    c->ended = err < 0                      ? err
               : info.si_code == CLD_EXITED ? info.si_status
                                            : WEFT_SIGNALLED(info.si_status);
    wf_grant_all(&c->waiters, c->ended);
    return true;
}

static int64_t number_of(const void *object)
{
    return ((const child *)object)->pid;
}

static const struct wf_wait_kind to_end = {.name = "process",
                                           .number = number_of,
                                           .abort = wf_leave_line,
                                           .line = offsetof(child, waiters)};

/* On the virtual clock a pause takes no time. So the processor is left to the
 * child for a moment, and the pauses grow on, for deadlines to come near. */
static int pause_for_it(child *c)
{
    bool jumps = wf_clock_is_virtual();
    weft_time pause = c->pause;
    if (jumps) (void)wf_os_poll(NULL, 0, 1);
    if (pause < (jumps ? WEFT_SEC(3600) : WEFT_MSEC(50))) c->pause *= 2;
    return weft_sleep(pause);
}

/* 0 when there is reason for another look, or -ECANCELED. */
static int watch(child *c)
{
    if (c->pidfd >= 0) {
        int rc = weft_wait_fd(c->pidfd, WEFT_READABLE);
        if (rc == -ECANCELED || look(c)) return rc < 0 ? rc : 0;
        /* There was no memory; or the poller takes it for a file. */
    }
    return pause_for_it(c);
}

static int stop_watching(child *c, int why)
{
    struct weft_waiter_ *next = wf_waitq_pop(&c->waiters);
    c->watched = next != NULL;
    if (next) wf_wake(next->fiber_, WATCH);
    return why;
}

/* How it ended, or -ECANCELED. The caller has passed a cancel point. */
static int await(child *c)
{
    if (look(c)) return c->ended;
    if (c->watched) {
        int got = wf_waitq_park(&c->waiters, &to_end, c);
        if (got != WATCH) return got;
    }
    c->watched = true;
    while (!look(c)) {
        int err = watch(c);
        if (err == -ECANCELED && !look(c)) return stop_watching(c, err);
    }
    return c->ended;
}

static int await_counted(child *c)
{
    c->refs++;
    int got = await(c);
    unref(c);
    return got;
}

/* ---- ending it ---------------------------------------------------------- */

/* Where the C library's vfork is a fork, the child may not have made its group
 * yet; and later it may have left it for another one. */
static int signal_it(child *c, int signo)
{
    int err = -ESRCH;
    if (look(c)) return err;
    if (c->own_group) err = wf_os_kill(-c->pid, signo);
    return err == -ESRCH ? wf_os_kill(c->pid, signo) : err;
}

/* The group, and the leader itself, who may be in another one by now. */
static void kill_it(child *c)
{
    (void)signal_it(c, SIGKILL);
    if (!look(c)) (void)wf_os_kill(c->pid, SIGKILL);
}

static int bring_down(child *c, weft_time grace)
{
    int rc = 0;
    if (look(c)) return c->ended;
    if (grace > 0) {
        (void)signal_it(c, SIGTERM);
        (void)signal_it(c, SIGCONT);
        WEFT_MOVE_ON_AFTER(rc, grace)
            rc = await(c);
        if (look(c)) return c->ended;
        if (rc < 0) return rc;
    }
    kill_it(c);
    return await(c);
}

/* Those whom the leader has left behind. */
void wf_child_kill_group(const child *c)
{
    if (c->own_group && c->ended != -ECHILD) (void)wf_os_kill(-c->pid, SIGKILL);
}

static void reap(child *c)
{
    siginfo_t info;
    wf_child_kill_group(c);
    if (c->pidfd >= 0) {
        weft_forget_fd(c->pidfd);
        wf_os_close(c->pidfd);
        c->pidfd = -1;
    }
    if (c->ended >= 0) (void)wf_os_waitid(c->pid, &info, WEXITED);
}

static void bring_down_shielded(child *c)
{
    weft_scope shield;
    weft_scope_init(&shield);
    weft_scope_set_shield(&shield, true);
    int rc = weft_scope_begin(&shield);
    WF_ASSERT(rc == 0);
    rc = bring_down(c, c->grace);
    rc = weft_scope_end(&shield, rc);
    WF_ASSERT(rc != -ECANCELED && c->ended != WF_CHILD_RUNS);
}

/* There is no fiber to wait in. */
static void bring_down_at_once(child *c)
{
    siginfo_t info;
    kill_it(c);
    (void)wf_os_waitid(c->pid, &info, WEXITED | WNOWAIT);
    (void)look(c);
}

static void close_if_open(weft_fd fd)
{
    if (weft_fd_number(fd) >= 0) (void)weft_close(fd);
}

int weft_process_close(weft_process *p)
{
    weft_process was = *p;
    child *c = was.child_;
    if (c && !is_here(c)) return wf_misplaced("weft_process_close");
    *p = (weft_process){.child_ = NULL};
    close_if_open(was.in);
    close_if_open(was.out);
    close_if_open(was.err);
    if (!c) return 0;
    if (wf_self())
        bring_down_shielded(c);
    else
        bring_down_at_once(c);
    reap(c);
    int ended = c->ended;
    unref(c);
    return ended;
}

/* ---- while it runs ------------------------------------------------------ */

int weft_process_wait(weft_process *p)
{
    int err = weft_pass_();
    if (err < 0) return err;
    child *c = p->child_; /* others may have had a turn */
    if (!c) return -ECHILD;
    return is_here(c) ? await_counted(c) : wf_misplaced("weft_process_wait");
}

int weft_process_kill(weft_process *p, int signo)
{
    child *c = p->child_;
    if (!c) return -ECHILD;
    return is_here(c) ? signal_it(c, signo) : wf_misplaced("weft_process_kill");
}

int weft_process_terminate(weft_process *p, weft_time grace)
{
    int err = weft_pass_();
    if (err < 0) return err;
    child *c = p->child_;
    if (!c) return -ECHILD;
    if (!is_here(c)) return wf_misplaced("weft_process_terminate");
    c->refs++;
    int got = bring_down(c, grace);
    unref(c);
    return got;
}

pid_t weft_process_id(const weft_process *p)
{
    return p->child_ ? p->child_->pid : -ECHILD;
}
