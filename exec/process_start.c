/* SPDX-License-Identifier: MIT */
/*
 * process_start.c - starting programs, with what they have as descriptors.
 */
#include "exec/process.h"

#include "runtime/annotate.h"
#include "runtime/os.h"

extern char **environ;

typedef struct weft_child_process_ child;

/* ---- where its descriptors go ------------------------------------------- */

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
                 .home = &weft_here_,
                 .pidfd = -1,
                 .ended = WF_CHILD_RUNS,
                 .own_group = !o->same_group,
                 .grace = grace_of(o->grace),
                 .pause = WEFT_MSEC(1)};
    int err = plumb_and_spawn(c, p, o);
    if (err < 0) {
        wf_free(c, sizeof *c);
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
