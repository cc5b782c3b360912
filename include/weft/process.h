/* SPDX-License-Identifier: MIT */
/*
 * weft/process.h (exec) - child processes.
 *
 *     char text[4096];
 *     weft_capture out = {.buf = text, .room = sizeof text};
 *     const weft_process_opts o = {.argv = WEFT_ARGV("sort", "-u")};
 *     int rc;
 *     WEFT_FAIL_AFTER(rc, WEFT_SEC(10)) {
 *         rc = weft_process_run(&o, words, strlen(words), &out, NULL);
 *     }
 *
 * Or, step by step, with pipes to talk through:
 *
 *     weft_process p;
 *     int rc = weft_process_start(&p, &o);     .in and .out are WEFT_IO_PIPE
 *     if (rc < 0) return rc;
 *     ... weft_write_all(p.in, ...), weft_close(p.in), weft_read(p.out, ...)
 *     rc = weft_process_wait(&p);              how it ended
 *     (void)weft_process_close(&p);            always, whatever happened
 *
 * How a process ended is a number: its exit code, 0 to 255, or if a signal
 * ended it WEFT_SIGNALLED(signo), which is above that.
 *
 * A process is a child in the sense of a nursery too: close does not return
 * while it lives. It is told to end with SIGTERM, and SIGCONT in case it was
 * stopped, and after a grace with SIGKILL. That goes to its whole process
 * group, which it is made the leader of; and when the leader has ended, what is
 * left of the group is killed at close. Only who leaves the group, as a daemon
 * does, is left alone. Until close the ended process remains a zombie, so that
 * its number is nobody else's and a signal cannot hit a stranger.
 *
 * It starts with no signal blocked and none ignored or handled, and with no
 * descriptors of weft's, which are all closed on exec (where the system takes
 * two steps to that, as macOS does, a program that another thread starts with
 * something else than this may get one in between); others are passed on
 * unless they are marked so. The thread waits until the program has been
 * loaded.
 *
 * The end is noticed through a descriptor (pidfd) where the kernel has that;
 * else by looking, after 1 ms at first and then at most every 50 ms. No handler
 * of SIGCHLD is needed or installed; but the program must not ignore SIGCHLD or
 * reap children that are not its own (wait, waitpid(-1)), or the process is
 * lost and waiting for it says -ECHILD.
 *
 * A process belongs to the worker that started it (weft/workers.h): to wait for
 * it, to signal or to close it on another one is -EPERM, and does nothing.
 *
 * On a virtual clock a process is as a descriptor: the clock does not wait for
 * it. Deadlines around processes want the real one.
 */
#ifndef WEFT_PROCESS_H
#define WEFT_PROCESS_H

#include <weft/base.h>
#include <weft/io.h>

#include <sys/types.h>

WEFT_BEGIN_DECLS

/** What a program is called with, ended by NULL: WEFT_ARGV("ls", "-l"). In C++,
 *  where an array without a name is gone too soon, give it one:
 *
 *     const char *const argv[] = {"ls", "-l", NULL};
 */
#ifndef __cplusplus
#define WEFT_ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#endif

enum { WEFT_SIGNALLED_ = 256 };
#define WEFT_SIGNALLED(signo) (WEFT_SIGNALLED_ + (signo))

/** The signal that ended it, of a result of weft_process_wait; 0: it exited. */
static inline int weft_process_signal(int ended)
{
    return ended > WEFT_SIGNALLED_ ? ended - WEFT_SIGNALLED_ : 0;
}

typedef enum weft_process_how {
    WEFT_IO_INHERIT = 0, /* this process's own */
    WEFT_IO_NULL,        /* /dev/null */
    WEFT_IO_PIPE,        /* a pipe, whose other end is in weft_process */
    WEFT_IO_FD,          /* descriptor `fd`, which stays the caller's; it should
                            not be non-blocking, few programs know of that */
    WEFT_IO_OUT          /* .err only: where standard output goes */
} weft_process_how;

typedef struct weft_process_io {
    weft_process_how how;
    int fd;
} weft_process_io;

typedef struct weft_process_opts {
    const char *const *argv; /* not empty, and ended by NULL */
    const char *path;        /* the program; NULL: argv[0]. Without a slash it
                                is searched for in this process's PATH */
    const char *const *env;  /* NULL: this process's environment */
    const char *dir;         /* where it runs, and from where a relative path of
                                the program counts; NULL: here */
    weft_process_io in, out, err;
    bool same_group;         /* it stays in this process's group, as a program
                                at a terminal has to; signals are for it alone
                                then */
    weft_time grace;         /* at close, between SIGTERM and SIGKILL; 0: five
                                seconds, less: SIGKILL at once */
} weft_process_opts;

struct weft_child_process_;

/** The caller owns the memory. Members ending in an underscore are private. */
typedef struct weft_process {
    weft_fd in, out, err; /* our ends of its pipes, ours to close; or zeroed */
    struct weft_child_process_ *child_;
} weft_process;

/**
 * Starts a program. Never parks, and is no cancel point.
 *
 * Returns 0. Else nothing runs and *p is zeroed; weft_last_error() names the
 * program: -ENOENT, -EACCES, -ENOEXEC, -E2BIG: it cannot be executed, or the
 * directory cannot be entered; -EAGAIN: too many processes; -EMFILE, -ENFILE,
 * -ENOMEM; -EBADF: an `fd` is not open; -EINVAL: no argv, or WEFT_IO_OUT for
 * another than .err; -ENOTSUP: the C library cannot start it in a directory;
 * -EPERM: outside a run. Under an emulator or Valgrind a program that cannot be
 * executed may seem to have been started, and to have exited with 127.
 */
WEFT_MUST int weft_process_start(weft_process *p, const weft_process_opts *o);

/**
 * Waits for its end, which it leaves as it is: any number of fibers may wait,
 * and again later; all get the same answer until close. What it has written is
 * still in its pipes. If it waits for somebody to read them, so do you.
 *
 * Parks. Returns how it ended, -ECANCELED, or -ECHILD: not started, closed, or
 * somebody else has reaped it.
 */
WEFT_PARKS int weft_process_wait(weft_process *p);

/**
 * Sends a signal to its group; with same_group, or if nobody is in that group,
 * to the process. Never parks.
 *
 * Returns 0; -ESRCH: it has ended; -ECHILD: as above; -EINVAL: no such signal;
 * -EPERM: it is another user's by now.
 */
WEFT_API int weft_process_kill(weft_process *p, int signo);

/**
 * Sends SIGTERM, waits up to `grace` for the end, sends SIGKILL, and waits.
 *
 * Parks. Returns as weft_process_wait; if it was cancelled the process may be
 * running still, and close ends it.
 */
WEFT_PARKS int weft_process_terminate(weft_process *p, weft_time grace);

/** Its process id, or -ECHILD. */
WEFT_API pid_t weft_process_id(const weft_process *p);

/**
 * Closes what is still open of its pipes, ends it as the top of this page says,
 * kills what is left of its group, and reaps it. Fibers that wait for it get
 * their answer. Afterwards *p is zeroed; of a zeroed one nothing happens.
 *
 * Parks, but is no cancel point; a grace counts even if the caller is
 * cancelled. Called after its run it kills at once. Returns how it ended, or 0
 * of a zeroed one, or -ECHILD: somebody else has reaped it.
 */
WEFT_API int weft_process_close(weft_process *p);

/** Octets that a process has written: the first room - 1 of them, and a 0. */
typedef struct weft_capture {
    char *buf;
    size_t room;
    size_t len;     /* set by the call: octets kept, */
    size_t dropped; /* and those that were read, and had no room */
} weft_capture;

/**
 * Runs a program from start to close. Writes the in_len octets at `in` to its
 * standard input if `in` is not NULL (it need not read them), and keeps what it
 * writes in *out and *err if these are not NULL; where they are, o->in, .out
 * and .err count, and must not be pipes. When it has ended what is left of its
 * group is killed, and the rest of the output read.
 *
 * Parks. Returns how it ended; -ECANCELED: it has been ended and reaped as by
 * close, and *out and *err hold what came until then; -EINVAL: a pipe to
 * nobody, or a capture without room; or as weft_process_start, weft_read and
 * weft_write.
 */
WEFT_PARKS int weft_process_run(const weft_process_opts *o, const void *in,
                                size_t in_len, weft_capture *out,
                                weft_capture *err);

WEFT_END_DECLS

#endif
