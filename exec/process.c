/* SPDX-License-Identifier: MIT */
/*
 * process.c - child processes.
 *
 * What is known of a child is counted: by its weft_process until close, and by
 * each fiber that waits. It is only looked at (WNOWAIT) and not reaped before
 * close, so until then its number, which its group has too, can be signalled.
 *
 * One of the waiting fibers watches, parked on the pidfd or asleep between two
 * looks; the others stand in line. Rule: if anyone waits for a child that has
 * not been seen to have ended, `watched` is set, and one fiber watches or has
 * been told to. A watcher that is cancelled tells the next one; whoever sees
 * the end, watcher or not, gives it to all who stand in line.
 */
#include <weft/process.h>

#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <limits.h>
#include <string.h>

#include "runtime/annotate.h"
#include "runtime/clock.h"
#include "runtime/os.h"
#include "runtime/park.h"

extern char **environ;

struct weft_child_process_ {
    unsigned refs;
    pid_t pid;
    int pidfd; /* or negative: it is looked for from time to time */
    int ended; /* how, or RUNS */
    bool own_group, watched;
    weft_time grace, pause;
    weft_waitq_ waiters;
};
typedef struct weft_child_process_ child;

enum {
    RUNS = INT_MIN,
    WATCH = INT_MIN /* granted to who is to watch from now on */
};

static void unref(child *c)
{
    if (--c->refs == 0) wf_free(c, sizeof *c);
}

/* ---- its end ------------------------------------------------------------ */

/* Has it ended? */
static bool look(child *c)
{
    siginfo_t info = {0};
    if (c->ended != RUNS) return true;
    int err = wf_os_waitid(c->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    if (err == 0 && info.si_pid == 0) return false;
    c->ended = err < 0                      ? err
               : info.si_code == CLD_EXITED ? info.si_status
                                            : WEFT_SIGNALLED(info.si_status);
    wf_grant_all(&c->waiters, c->ended);
    return true;
}

static long number_of(const void *object)
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
static void kill_group(const child *c)
{
    if (c->own_group && c->ended != -ECHILD) (void)wf_os_kill(-c->pid, SIGKILL);
}

static void reap(child *c)
{
    siginfo_t info;
    kill_group(c);
    if (c->pidfd >= 0) {
        weft_forget_fd(c->pidfd);
        wf_os_close(c->pidfd);
        c->pidfd = -1;
    }
    (void)wf_os_waitid(c->pid, &info, WEXITED);
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
    WF_ASSERT(rc != -ECANCELED && c->ended != RUNS);
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

/* ---- starting: where its descriptors go --------------------------------- */

/* Of each of the three: what the child gets, or -1; and whether it is ours to
 * close once it has it. */
struct plumbing {
    int theirs[3];
    bool ours[3];
    posix_spawn_file_actions_t actions;
};

static void drop(struct plumbing *u, int which)
{
    if (u->ours[which]) wf_os_close(u->theirs[which]);
    u->ours[which] = false;
}

/* Away from 0, 1 and 2, which are about to be overwritten. */
static int move_up(struct plumbing *u, int which)
{
    if (u->theirs[which] > 2) return 0;
    int up = wf_os_fcntl(u->theirs[which], F_DUPFD_CLOEXEC, 3);
    if (up < 0) return up;
    drop(u, which);
    u->theirs[which] = up;
    u->ours[which] = true;
    return 0;
}

static int lay_pipe(struct plumbing *u, int which, weft_fd *ret_fd)
{
    int ends[2], err = wf_os_pipe(ends);
    if (err < 0) return err;
    int ours = ends[which == 0], theirs = ends[which != 0];
    err = weft_fd_adopt(ours, ret_fd);
    if (err < 0) {
        wf_os_close(ours);
        wf_os_close(theirs);
        return err;
    }
    u->theirs[which] = theirs;
    u->ours[which] = true;
    /* Few programs expect to be told EAGAIN. */
    int flags = wf_os_fcntl(theirs, F_GETFL, 0);
    if (flags < 0) return flags;
    return wf_os_fcntl(theirs, F_SETFL, flags & ~O_NONBLOCK);
}

static int lay(struct plumbing *u, int which, const weft_process_io *io,
               weft_fd *ret_fd)
{
    int err = 0;
    switch (io->how) {
    case WEFT_IO_INHERIT:
        return 0;
    case WEFT_IO_NULL:
        return -posix_spawn_file_actions_addopen(
            &u->actions, which, "/dev/null", which == 0 ? O_RDONLY : O_WRONLY,
            0);
    case WEFT_IO_OUT:
        return which != 2
                   ? -EINVAL
                   : -posix_spawn_file_actions_adddup2(&u->actions, 1, 2);
    case WEFT_IO_PIPE:
        err = lay_pipe(u, which, ret_fd);
        break;
    case WEFT_IO_FD:
        if (!wf_os_is_open(io->fd)) return -EBADF;
        u->theirs[which] = io->fd;
        break;
    default:
        return -EINVAL;
    }
    if (err == 0) err = move_up(u, which);
    if (err < 0) return err;
    return -posix_spawn_file_actions_adddup2(&u->actions, u->theirs[which],
                                             which);
}

static int lay_all(struct plumbing *u, weft_process *p,
                   const weft_process_opts *o)
{
    int err = lay(u, 0, &o->in, &p->in);
    if (err == 0) err = lay(u, 1, &o->out, &p->out);
    if (err == 0) err = lay(u, 2, &o->err, &p->err);
    if (err == 0 && o->dir) err = wf_os_spawn_in(&u->actions, o->dir);
    return err;
}

/* ---- starting ----------------------------------------------------------- */

/* The C library's types are from before const. */
static char *const *strings(const char *const *s)
{
    return (char *const *)(uintptr_t)s;
}

static const char *path_of(const weft_process_opts *o)
{
    return o->path ? o->path : o->argv[0];
}

/* With all signals let through, none ignored. */
static int spawn(child *c, const weft_process_opts *o,
                 const posix_spawn_file_actions_t *actions)
{
    posix_spawnattr_t how;
    sigset_t none, all;
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    int err = -posix_spawnattr_init(&how);
    if (err < 0) return err;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawnattr_setsigmask(&how, &none);
    (void)posix_spawnattr_setsigdefault(&how, &all);
    (void)posix_spawnattr_setpgroup(&how, 0);
    if (c->own_group) flags |= POSIX_SPAWN_SETPGROUP;
    (void)posix_spawnattr_setflags(&how, flags);
    err = wf_os_spawn(&c->pid, path_of(o), actions, &how, strings(o->argv),
                      o->env ? strings(o->env) : environ);
    (void)posix_spawnattr_destroy(&how);
    return err;
}

static int plumb_and_spawn(child *c, weft_process *p,
                           const weft_process_opts *o)
{
    struct plumbing u = {.theirs = {-1, -1, -1}};
    int err = -posix_spawn_file_actions_init(&u.actions);
    if (err < 0) return err;
    err = lay_all(&u, p, o);
    if (err == 0) err = spawn(c, o, &u.actions);
    for (int i = 0; i < 3; i++)
        drop(&u, i);
    (void)posix_spawn_file_actions_destroy(&u.actions);
    return err;
}

static weft_time grace_of(weft_time asked)
{
    return asked == 0 ? WEFT_SEC(5) : asked;
}

static int start(weft_process *p, const weft_process_opts *o)
{
    child *c = wf_zalloc(sizeof *c);
    if (!c) return -ENOMEM;
    *c = (child){.refs = 1,
                 .pidfd = -1,
                 .ended = RUNS,
                 .own_group = !o->same_group,
                 .grace = grace_of(o->grace),
                 .pause = WEFT_MSEC(1)};
    int err = plumb_and_spawn(c, p, o);
    if (err < 0) {
        unref(c);
        (void)weft_process_close(p); /* which is only pipes yet */
        return err;
    }
    c->pidfd = wf_under_valgrind() ? -ENOSYS : wf_os_pidfd(c->pid);
    p->child_ = c;
    return 0;
}

int weft_process_start(weft_process *p, const weft_process_opts *o)
{
    *p = (weft_process){.child_ = NULL};
    if (!wf_sched_is_open() || wf_sched_is_left())
        return wf_misuse(-EPERM, "weft_process_start: no run on this thread");
    if (!o->argv || !o->argv[0])
        return wf_misuse(-EINVAL, "weft_process_start: no argv");
    int err = start(p, o);
    if (err == 0) return 0;
    return weft_fail_at(err, NULL, 0, "start %s%s%s", path_of(o),
                        o->dir ? " in " : "", o->dir ? o->dir : "");
}

/* ---- while it runs ------------------------------------------------------ */

int weft_process_wait(weft_process *p)
{
    int err = weft_pass_();
    if (err < 0) return err;
    return p->child_ ? await_counted(p->child_) : -ECHILD;
}

int weft_process_kill(weft_process *p, int signo)
{
    return p->child_ ? signal_it(p->child_, signo) : -ECHILD;
}

int weft_process_terminate(weft_process *p, weft_time grace)
{
    child *c = p->child_;
    int err = weft_pass_();
    if (err < 0) return err;
    if (!c) return -ECHILD;
    c->refs++;
    int got = bring_down(c, grace);
    unref(c);
    return got;
}

pid_t weft_process_id(const weft_process *p)
{
    return p->child_ ? p->child_->pid : -ECHILD;
}

/* ---- from start to close ------------------------------------------------ */

struct feed {
    weft_fd to;
    const void *data;
    size_t len;
};

static int feeds(void *arg)
{
    const struct feed *f = arg;
    int rc = weft_write_all(f->to, f->data, f->len, NULL);
    (void)weft_close(f->to);
    return rc == -EPIPE ? 0 : rc; /* it has read enough */
}

struct drain {
    weft_fd from;
    weft_capture *into;
};

static int drains(void *arg)
{
    const struct drain *d = arg;
    weft_capture *c = d->into;
    char rest[4096];
    ssize_t n;
    do {
        size_t room = c->room - 1 - c->len;
        n = room > 0 ? weft_read(d->from, c->buf + c->len, room)
                     : weft_read(d->from, rest, sizeof rest);
        if (n > 0) *(room > 0 ? &c->len : &c->dropped) += (size_t)n;
    } while (n > 0);
    c->buf[c->len] = '\0';
    return (int)n;
}

struct talk {
    weft_process p;
    struct feed feed;
    struct drain out, err;
};

/* Until it has ended, and nobody of its group can hold the pipes open. */
static int converse(weft_nursery *n, struct talk *t)
{
    int rc = 0;
    t->feed.to = t->p.in;
    t->out.from = t->p.out;
    t->err.from = t->p.err;
    if (t->feed.data) rc = weft_spawn(n, feeds, &t->feed);
    if (rc == 0 && t->out.into) rc = weft_spawn(n, drains, &t->out);
    if (rc == 0 && t->err.into) rc = weft_spawn(n, drains, &t->err);
    if (rc == 0) rc = weft_process_wait(&t->p);
    if (rc >= 0) kill_group(t->p.child_);
    return rc;
}

/* A pipe is for those, and only those, who have somebody at its other end. */
static int connect_it(weft_process_io *io, bool wanted)
{
    if (!wanted) return io->how == WEFT_IO_PIPE ? -EINVAL : 0;
    io->how = WEFT_IO_PIPE;
    return 0;
}

static int prepare(weft_capture *c)
{
    if (!c) return 0;
    if (c->room == 0) return -EINVAL;
    c->len = c->dropped = 0;
    c->buf[0] = '\0';
    return 0;
}

int weft_process_run(const weft_process_opts *o, const void *in, size_t in_len,
                     weft_capture *out, weft_capture *err)
{
    weft_process_opts opts = *o;
    struct talk t = {
        .feed = {.data = in, .len = in_len}, .out.into = out, .err.into = err};
    int rc = weft_pass_();
    if (rc == 0) rc = connect_it(&opts.in, in != NULL);
    if (rc == 0) rc = connect_it(&opts.out, out != NULL);
    if (rc == 0) rc = connect_it(&opts.err, err != NULL);
    if (rc == 0) rc = prepare(out);
    if (rc == 0) rc = prepare(err);
    if (rc == 0) rc = weft_process_start(&t.p, &opts);
    if (rc < 0) return rc;
    WEFT_NURSERY(n, rc) {
        rc = converse(&n, &t);
    }
    (void)weft_process_close(&t.p);
    return rc;
}
