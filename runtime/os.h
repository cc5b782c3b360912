/* SPDX-License-Identifier: MIT */
/*
 * os.h - the one door to the outside: system calls, the clock, memory.
 *
 * Every call here returns 0 or a count, or a negative errno code, and repeats
 * itself when a signal interrupts it (the waiting ones return early instead).
 * In a release build it is an inline call and nothing more. Built with
 * BUILD=hostile each call first asks wf_hostile, which can refuse it with an
 * error, cut a transfer short or interrupt it, by plan or by seed; see
 * os_hostile.c.
 */
#ifndef WF_OS_H
#define WF_OS_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What not every system has: one file of it for each choice. */
#if defined(__linux__) && !defined(WF_SEAM_POSIX)
#include "runtime/os_linux.h"
#else
#include "runtime/os_posix.h"
#endif

#ifndef POLLRDHUP
#define POLLRDHUP 0 /* half a hang-up is not told here */
#endif

enum wf_call {
    WF_CALL_ALLOC,
    WF_CALL_MMAP,
    WF_CALL_MPROTECT,
    WF_CALL_MADVISE,
    WF_CALL_READ,
    WF_CALL_WRITE,
    WF_CALL_RECV,
    WF_CALL_SEND,
    WF_CALL_ACCEPT,
    WF_CALL_CONNECT,
    WF_CALL_SOCKET,
    WF_CALL_BIND,
    WF_CALL_LISTEN,
    WF_CALL_SOCKOPT,
    WF_CALL_FCNTL,
    WF_CALL_STAT,
    WF_CALL_POLL_OPEN,
    WF_CALL_POLL_CTL,
    WF_CALL_POLL_WAIT,
    WF_CALL_SIGNAL,
    WF_CALL_THREAD,
    WF_CALL_FILE,
    WF_CALL_SPAWN,
    WF_CALL_PIDFD,
    WF_CALL_RANDOM,
    WF_CALL_NAMES,
    WF_CALL_COUNT
};

#ifdef WEFT_HOSTILE
/* 0: go on; negative: fail with it, without making the call. */
int wf_hostile(enum wf_call call);
/* How much of a transfer of `len` octets to ask for. */
size_t wf_hostile_cut(enum wf_call call, size_t len);
/* For tests: this call fails at its use-th use from now on (0: never), with
 * ENOMEM, once or with all that follow; and how often it was used since. */
void wf_hostile_fail(enum wf_call call, long use, bool lasting);
long wf_hostile_uses(enum wf_call call);
/* The draws of this thread from the first one again. */
void wf_hostile_restart(void);
#else
static inline int wf_hostile(enum wf_call call)
{
    (void)call;
    return 0;
}
static inline size_t wf_hostile_cut(enum wf_call call, size_t len)
{
    (void)call;
    return wf_sys_most(len);
}
#endif

/* Evaluates `expr` until no signal interrupts it, and leaves by its value. */
#define WF_OS_CALL(call, expr)                                                 \
    do {                                                                       \
        int refused_ = wf_hostile(call);                                       \
        if (refused_ < 0 && refused_ != -EINTR) return refused_;               \
        int kept_ = errno; /* it is the caller's */                            \
        for (;;) {                                                             \
            __typeof__(expr) got_ = (expr);                                    \
            if (got_ >= 0) return got_;                                        \
            int why_ = errno;                                                  \
            errno = kept_;                                                     \
            if (why_ != EINTR) return -why_;                                   \
        }                                                                      \
    } while (0)

/* Memory. What is outstanding is counted, so that a test can see a leak. */
void *wf_alloc(size_t bytes);
void *wf_zalloc(size_t bytes);
void wf_free(void *p, size_t bytes);
void *wf_shared_alloc(size_t bytes); /* for what another thread may free, */
void wf_shared_free(void *p, size_t bytes); /* by this */
void *wf_map(size_t bytes); /* address space, unreserved; NULL: none left */
void wf_unmap(void *p, size_t bytes);

static inline size_t wf_os_page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}
/* One of the WF_ADVICE_ of the system. */
static inline int wf_os_madvise(void *p, size_t bytes, int advice)
{
    WF_OS_CALL(WF_CALL_MADVISE, madvise(p, bytes, advice));
}
static inline int wf_os_mprotect(void *p, size_t bytes, int prot)
{
    WF_OS_CALL(WF_CALL_MPROTECT, mprotect(p, bytes, prot));
}

static inline int64_t wf_os_clock(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
/* Of the calendar: nanoseconds since 1970. */
static inline int64_t wf_os_calendar(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
/* What this thread has used of a processor. */
static inline int64_t wf_os_cpu_clock(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Lets other threads run, for one that waits for a few instructions of one. */
static inline void wf_os_give_way(void)
{
    (void)sched_yield();
}

/* Has each child of a fork call fn, and there first of all wf_os_forked. */
static inline void wf_os_forked(void)
{
    wf_sys_forked();
}
static inline int wf_os_at_fork(void (*fn)(void))
{
    int refused = wf_hostile(WF_CALL_ALLOC);
    return refused < 0 ? refused : -pthread_atfork(NULL, NULL, fn);
}

/* Wakes a poller, also from a signal handler: never refused, and a full pipe
 * is as good as a written one. */
static inline void wf_os_nudge(int fd, const void *octets, size_t len)
{
    ssize_t ignored = write(fd, octets, len);
    (void)ignored;
}
/* Out of a pipe of one's own what is known to be in it: never refused. How
 * much that was. */
static inline size_t wf_os_take(int fd, void *buf, size_t len)
{
    int kept = errno;
    size_t got = 0;
    while (got < len) {
        ssize_t n = read(fd, (char *)buf + got, len - got);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        got += (size_t)n;
    }
    errno = kept;
    return got;
}
/* Words to the user on the way out: whatever becomes of them. */
static inline void wf_os_say(int fd, const char *text, size_t len)
{
    int kept = errno;
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        text += n;
        len -= (size_t)n;
    }
    errno = kept;
}

/* Transfers. */
static inline ssize_t wf_os_read(int fd, void *buf, size_t len)
{
    len = wf_hostile_cut(WF_CALL_READ, len);
    WF_OS_CALL(WF_CALL_READ, read(fd, buf, len));
}
static inline ssize_t wf_os_write(int fd, const void *buf, size_t len)
{
    len = wf_hostile_cut(WF_CALL_WRITE, len);
    WF_OS_CALL(WF_CALL_WRITE, write(fd, buf, len));
}
static inline ssize_t wf_os_readv(int fd, const struct iovec *iov, int n)
{
    WF_OS_CALL(WF_CALL_READ, readv(fd, iov, n));
}
static inline ssize_t wf_os_writev(int fd, const struct iovec *iov, int n)
{
    WF_OS_CALL(WF_CALL_WRITE, writev(fd, iov, n));
}
static inline ssize_t wf_os_recv(int fd, void *buf, size_t len, int flags)
{
    len = wf_hostile_cut(WF_CALL_RECV, len);
    WF_OS_CALL(WF_CALL_RECV, recv(fd, buf, len, flags));
}
/* Of a Unix stream. *ret_short: it was short because there was no more, and not
 * because of a descriptor or of another sender's credentials. */
static inline ssize_t wf_os_recv_unix(int fd, void *buf, size_t len,
                                      bool *ret_short)
{
    len = wf_hostile_cut(WF_CALL_RECV, len);
    WF_OS_CALL(WF_CALL_RECV, wf_sys_recv_unix(fd, buf, len, ret_short));
}
static inline ssize_t wf_os_send(int fd, const void *buf, size_t len, int flags)
{
    len = wf_hostile_cut(WF_CALL_SEND, len);
    WF_OS_CALL(WF_CALL_SEND, send(fd, buf, len, flags));
}
static inline ssize_t wf_os_recvmsg(int fd, struct msghdr *m, int flags)
{
    WF_OS_CALL(WF_CALL_RECV, wf_sys_recvmsg(fd, m, flags));
}
static inline ssize_t wf_os_sendmsg(int fd, const struct msghdr *m, int flags)
{
    WF_OS_CALL(WF_CALL_SEND, sendmsg(fd, m, flags));
}
/* How many went, or the error of the first. *ret_later, which is 0 before, is
 * the error that came behind some and will not come again; or one that will. */
static inline int wf_os_recvmmsg(int fd, struct wf_mmsg *v, unsigned count,
                                 int flags, int *ret_later)
{
    WF_OS_CALL(WF_CALL_RECV, wf_sys_recvmmsg(fd, v, count, flags, ret_later));
}
static inline int wf_os_sendmmsg(int fd, struct wf_mmsg *v, unsigned count,
                                 int flags, bool connected, int *ret_later)
{
    WF_OS_CALL(WF_CALL_SEND,
               wf_sys_sendmmsg(fd, v, count, flags, connected, ret_later));
}
/* Between a descriptor and a pipe: into it, and out of it. */
static inline ssize_t wf_os_splice_in(int from, int pipe_end, size_t len)
{
    len = wf_hostile_cut(WF_CALL_READ, len);
    WF_OS_CALL(WF_CALL_READ, wf_sys_splice(from, pipe_end, len));
}
static inline ssize_t wf_os_splice_out(int to, int pipe_end, size_t len)
{
    len = wf_hostile_cut(WF_CALL_WRITE, len);
    WF_OS_CALL(WF_CALL_WRITE, wf_sys_splice(pipe_end, to, len));
}

/* Sockets: closed on exec, not blocking. */
static inline int wf_os_socket(int family, int type, int protocol)
{
    WF_OS_CALL(WF_CALL_SOCKET, wf_sys_socket(family, type, protocol));
}
static inline int wf_os_socketpair(int family, int type, int fds[2])
{
    WF_OS_CALL(WF_CALL_SOCKET, wf_sys_socketpair(family, type, fds));
}
static inline int wf_os_accept(int fd, struct sockaddr *sa, socklen_t *len)
{
    WF_OS_CALL(WF_CALL_ACCEPT, wf_sys_accept(fd, sa, len));
}
/* An interrupted connect goes on by itself: it must not be repeated. */
static inline int wf_os_connect(int fd, const struct sockaddr *sa,
                                socklen_t len)
{
    int refused = wf_hostile(WF_CALL_CONNECT);
    if (refused < 0 && refused != -EINTR) return refused;
    if (connect(fd, sa, len) == 0) return 0;
    return errno == EINTR ? -EINPROGRESS : -errno;
}
static inline int wf_os_bind(int fd, const struct sockaddr *sa, socklen_t len)
{
    WF_OS_CALL(WF_CALL_BIND, bind(fd, sa, len));
}
static inline int wf_os_listen(int fd, int backlog)
{
    WF_OS_CALL(WF_CALL_LISTEN, listen(fd, backlog));
}
static inline int wf_os_shutdown(int fd, int how)
{
    WF_OS_CALL(WF_CALL_SOCKOPT, shutdown(fd, how));
}
static inline int wf_os_setsockopt(int fd, int level, int name, const void *val,
                                   socklen_t len)
{
    WF_OS_CALL(WF_CALL_SOCKOPT, setsockopt(fd, level, name, val, len));
}
static inline int wf_os_getsockopt(int fd, int level, int name, void *val,
                                   socklen_t *len)
{
    WF_OS_CALL(WF_CALL_SOCKOPT, getsockopt(fd, level, name, val, len));
}
static inline int wf_os_is_listening(int fd)
{
    WF_OS_CALL(WF_CALL_SOCKOPT, wf_sys_is_listening(fd));
}
static inline int wf_os_getsockname(int fd, struct sockaddr *sa, socklen_t *len)
{
    WF_OS_CALL(WF_CALL_SOCKOPT, getsockname(fd, sa, len));
}
static inline int wf_os_getpeername(int fd, struct sockaddr *sa, socklen_t *len)
{
    WF_OS_CALL(WF_CALL_SOCKOPT, getpeername(fd, sa, len));
}
/* Who is at the other end; a pid of -1 is not known. */
static inline int wf_os_getpeereid(int fd, uid_t *ret_uid, gid_t *ret_gid,
                                   pid_t *ret_pid)
{
    WF_OS_CALL(WF_CALL_SOCKOPT,
               wf_sys_getpeereid(fd, ret_uid, ret_gid, ret_pid));
}

/* Descriptors. */
static inline int wf_os_fcntl(int fd, int cmd, int arg)
{
    WF_OS_CALL(WF_CALL_FCNTL, fcntl(fd, cmd, arg));
}
static inline int wf_os_fstat(int fd, struct stat *st)
{
    WF_OS_CALL(WF_CALL_STAT, fstat(fd, st));
}
static inline int wf_os_lstat(const char *path, struct stat *st)
{
    WF_OS_CALL(WF_CALL_STAT, lstat(path, st));
}
static inline int wf_os_pipe(int fds[2])
{
    WF_OS_CALL(WF_CALL_SOCKET, wf_sys_pipe(fds));
}
/* Of one that was made elsewhere: no SIGPIPE, where that is a thing of the
 * descriptor. */
static inline void wf_os_quiet(int fd)
{
    wf_sys_quiet(fd);
}
/* Whether the number is that of a descriptor: never refused. */
static inline bool wf_os_is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}
/* Closed even when interrupted: never repeated, never refused. */
static inline void wf_os_close(int fd)
{
    (void)close(fd);
}
/* The name of a socket that is gone, or not. */
static inline int wf_os_unlink(const char *path)
{
    WF_OS_CALL(WF_CALL_STAT, unlink(path));
}
/* Of the file itself, not of what it links to, where that can be told. */
static inline int wf_os_chmod_no_link(const char *path, mode_t mode)
{
    int rc = fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW);
    return rc < 0 && errno == ENOTSUP ? chmod(path, mode) : rc;
}
static inline int wf_os_chmod(const char *path, mode_t mode)
{
    WF_OS_CALL(WF_CALL_STAT, wf_os_chmod_no_link(path, mode));
}
/* A wait that is interrupted found nothing. To look without waiting is not to
 * be told that: who asks may not be told again what there is. */
static inline int wf_os_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    int refused = wf_hostile(WF_CALL_POLL_WAIT);
    if (refused == -EINTR && timeout_ms != 0) return 0;
    if (refused < 0 && refused != -EINTR) return refused;
    for (;;) {
        int got = poll(fds, n, timeout_ms);
        if (got >= 0) return got;
        if (errno != EINTR) return -errno;
        if (timeout_ms != 0) return 0;
    }
}

/* Signals. */
static inline int wf_os_sigaction(int signo, const struct sigaction *act,
                                  struct sigaction *old)
{
    WF_OS_CALL(WF_CALL_SIGNAL, sigaction(signo, act, old));
}
/* Putting back what was there, and passing on, are never refused. */
static inline void wf_os_sigrestore(int signo, const struct sigaction *before)
{
    (void)sigaction(signo, before, NULL);
}
static inline void wf_os_stackrestore(const stack_t *before)
{
    (void)sigaltstack(before, NULL);
}
static inline void wf_os_default(int signo)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    (void)sigaction(signo, &plain, NULL);
}
static inline void wf_os_raise(int signo)
{
    (void)raise(signo);
}
/* For whoever is to have it; on any other thread, where this one holds it
 * back. */
static inline void wf_os_raise_anywhere(int signo)
{
    sigset_t mask;
    (void)pthread_sigmask(SIG_BLOCK, NULL, &mask);
    if (sigismember(&mask, signo) == 1)
        (void)kill(getpid(), signo);
    else
        wf_os_raise(signo);
}
static inline void wf_os_die_of(int signo)
{
    wf_os_default(signo);
    wf_os_raise(signo);
}
static inline bool wf_os_has_handler(int signo, void (*handler)(int))
{
    struct sigaction now;
    (void)sigaction(signo, NULL, &now);
    return now.sa_handler == handler;
}
/* Holds one signal back on this thread; *before is the mask to go back to.
 * True: it was pending already. */
static inline bool wf_os_sighold(int signo, sigset_t *before)
{
    sigset_t only, pending;
    (void)sigemptyset(&only);
    (void)sigaddset(&only, signo);
    (void)sigpending(&pending);
    (void)pthread_sigmask(SIG_BLOCK, &only, before);
    return sigismember(&pending, signo) == 1;
}
/* Goes back, and with `discard` takes a pending one off first. */
static inline void wf_os_sigunhold(int signo, const sigset_t *before,
                                   bool discard)
{
    if (discard) wf_sys_sigdiscard(signo);
    (void)pthread_sigmask(SIG_SETMASK, before, NULL);
}
/* Holds all of them back. */
static inline void wf_os_sighold_all(sigset_t *before)
{
    sigset_t all;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, before);
}
static inline void wf_os_sigmask(const sigset_t *mask)
{
    (void)pthread_sigmask(SIG_SETMASK, mask, NULL);
}
/* Blocks a signal on this thread, or lets it through; was it blocked? */
static inline bool wf_os_sigblock(int signo, bool on)
{
    sigset_t only, mask;
    (void)sigemptyset(&only);
    (void)sigaddset(&only, signo);
    (void)pthread_sigmask(on ? SIG_BLOCK : SIG_UNBLOCK, &only, &mask);
    return sigismember(&mask, signo) == 1;
}
static inline int wf_os_sigaltstack(const stack_t *now, stack_t *old)
{
    WF_OS_CALL(WF_CALL_SIGNAL, sigaltstack(now, old));
}

/* A timer that sends a signal to this thread, over and over. It stays where it
 * is. */
static inline int wf_os_timer_open(wf_os_timer *ret_timer, int signo,
                                   int64_t every_ns)
{
    WF_OS_CALL(WF_CALL_SIGNAL, wf_sys_timer_open(ret_timer, signo, every_ns));
}
static inline void wf_os_timer_close(wf_os_timer *timer)
{
    wf_sys_timer_close(timer);
}
/* The signal that is weft's own. */
static inline int wf_os_own_signal(void)
{
    return wf_sys_own_signal();
}

/* Child processes. `file` is searched for in PATH unless it has a slash. */
static inline int wf_os_spawn(pid_t *ret_pid, const char *file,
                              const posix_spawn_file_actions_t *actions,
                              const posix_spawnattr_t *how, char *const *argv,
                              char *const *env)
{
    int refused = wf_hostile(WF_CALL_SPAWN);
    if (refused < 0 && refused != -EINTR) return refused;
    int kept = errno;
    wf_sys_spawn_begin();
    int err = posix_spawnp(ret_pid, file, actions, how, argv, env);
    wf_sys_spawn_end();
    errno = kept;
    return -err;
}
/* -ENOTSUP: the C library does not know how. */
static inline int wf_os_spawn_in(posix_spawn_file_actions_t *actions,
                                 const char *dir)
{
#ifdef __GLIBC__
#if !__GLIBC_PREREQ(2, 29)
    return actions && dir ? -ENOTSUP : -EINVAL;
#else
    return -posix_spawn_file_actions_addchdir_np(actions, dir);
#endif
#else
    return -posix_spawn_file_actions_addchdir_np(actions, dir);
#endif
}
/* A descriptor, closed on exec, that can be read when the process has ended. */
static inline int wf_os_pidfd(pid_t pid)
{
    WF_OS_CALL(WF_CALL_PIDFD, wf_sys_pidfd(pid));
}
/* Looks at or reaps a child, and sends a signal: never refused. */
static inline int wf_os_waitid(pid_t pid, siginfo_t *ret_info, int flags)
{
    int kept = errno, err;
    do
        err = waitid(P_PID, (id_t)pid, ret_info, flags) < 0 ? -errno : 0;
    while (err == -EINTR);
    errno = kept;
    return err;
}
static inline int wf_os_kill(pid_t pid, int signo)
{
    int kept = errno;
    int err = kill(pid, signo) < 0 ? -errno : 0;
    errno = kept;
    return err;
}

/* Random octets, at most 256. Returns how many; -ENOSYS: see /dev/urandom. */
static inline ssize_t wf_os_random(void *buf, size_t len)
{
    WF_OS_CALL(WF_CALL_RANDOM, wf_sys_random(buf, len));
}

#include "runtime/os_sites.h"

#endif
