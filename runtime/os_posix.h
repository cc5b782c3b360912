/* SPDX-License-Identifier: MIT */
/*
 * os_posix.h - what os.h needs beyond POSIX.1-2008, made of what is in it.
 *
 * For macOS and the BSDs, and on Linux for the tests (make SEAM=posix). What
 * macOS has instead of a part of POSIX is in here too; see os_linux.h for the
 * meaning of each call.
 *
 * Descriptors are made closed on exec in a second step. A program that another
 * thread starts in between would get them, so weft's own starts wait for the
 * second steps under way, and the other way round (wf_sys_making). Who forks
 * and execs by himself is on his own.
 */
#ifndef WF_OS_POSIX_H
#define WF_OS_POSIX_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <sys/random.h>
#endif

#include "runtime/os_batch.h"

#ifdef SOCK_CLOEXEC
enum { WF_SOCK_FLAGS = SOCK_NONBLOCK | SOCK_CLOEXEC };
#else
enum { WF_SOCK_FLAGS = 0 };
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* see wf_sys_quiet */
#endif

/* -1 is no advice, and so refused. To others than Linux MADV_DONTNEED is only a
 * word about the future. */
enum {
    WF_ADVICE_GUARD = -1,
    WF_ADVICE_SMALL_PAGES = -1,
#if defined(MADV_FREE) && !defined(__linux__)
    WF_ADVICE_DROP = MADV_FREE
#else
    WF_ADVICE_DROP = MADV_DONTNEED
#endif
};

/* macOS refuses what does not fit into an int. */
static inline size_t wf_sys_most(size_t len)
{
    enum { MOST = 0x7ffff000 };
    return len < MOST ? len : MOST;
}

static inline int wf_sys_own_signal(void)
{
#ifdef SIGRTMAX
    return SIGRTMAX - 3;
#else
    return SIGEMT; /* of an instruction that no processor has */
#endif
}

/* Held by many who make descriptors, or by one who starts a program. */
extern pthread_rwlock_t wf_sys_making;

static inline void wf_sys_spawn_begin(void)
{
    (void)pthread_rwlock_wrlock(&wf_sys_making);
}
static inline void wf_sys_spawn_end(void)
{
    (void)pthread_rwlock_unlock(&wf_sys_making);
}
void wf_sys_forked(void);

/* Writing to what nobody reads any more raises SIGPIPE, on macOS for any thread
 * of the process. What is accepted there inherits this. */
static inline void wf_sys_quiet(int fd)
{
#ifdef F_SETNOSIGPIPE
    int kept = errno;
    (void)fcntl(fd, F_SETNOSIGPIPE, 1); /* refused of a dead socket */
    errno = kept;
#else
    (void)fd;
#endif
}

int wf_sys_socket(int family, int type, int protocol);
int wf_sys_socketpair(int family, int type, int fds[2]);
int wf_sys_accept(int fd, struct sockaddr *sa, socklen_t *len);
int wf_sys_pipe(int fds[2]);

static inline int wf_sys_recvmmsg(int fd, struct wf_mmsg *v, unsigned count,
                                  int flags, int *ret_later)
{
    return wf_sys_recv_each(fd, v, count, flags, ret_later);
}
static inline int wf_sys_sendmmsg(int fd, struct wf_mmsg *v, unsigned count,
                                  int flags, bool connected, int *ret_later)
{
    (void)connected;
    return wf_sys_send_each(fd, v, count, flags, ret_later);
}

/* It is not known. */
static inline ssize_t wf_sys_recv_unix(int fd, void *buf, size_t len,
                                       bool *ret_short)
{
    *ret_short = false;
    return recv(fd, buf, len, 0);
}
ssize_t wf_sys_recvmsg(int fd, struct msghdr *m, int flags);
int wf_sys_getpeereid(int fd, uid_t *ret_uid, gid_t *ret_gid, pid_t *ret_pid);
int wf_sys_reopen(int fd, int flags);

/* Half of these systems do not say. What has a name and no peer either listens
 * or is about to. */
int wf_sys_is_listening(int fd);

static inline int wf_sys_pidfd(pid_t pid)
{
    errno = pid > 0 ? ENOSYS : EINVAL;
    return -1;
}

/* One that is pending for this thread cannot go away meanwhile. */
static inline void wf_sys_sigdiscard(int signo)
{
    sigset_t only, pending;
    int got;
    (void)sigemptyset(&only);
    (void)sigaddset(&only, signo);
    (void)sigpending(&pending);
    if (sigismember(&pending, signo) == 1) (void)sigwait(&only, &got);
}

/* A thread of its own that sends it. */
typedef struct wf_os_timer {
    pthread_t helper, target;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t every_ns;
    int signo;
    bool over;
    pid_t process;
} wf_os_timer;

int wf_sys_timer_open(wf_os_timer *ret_timer, int signo, int64_t every_ns);
void wf_sys_timer_close(wf_os_timer *timer);

/* -ENOSYS: there is /dev/urandom. */
static inline ssize_t wf_sys_random(void *buf, size_t len)
{
#if defined(__APPLE__) || defined(__FreeBSD__) || defined(__OpenBSD__)
    return getentropy(buf, len) < 0 ? -1 : (ssize_t)len;
#else
    (void)buf, (void)len;
    errno = ENOSYS;
    return -1;
#endif
}

static inline ssize_t wf_sys_pread_cached(int fd, void *buf, size_t len,
                                          int64_t at)
{
    (void)fd, (void)buf, (void)len, (void)at;
    errno = ENOSYS;
    return -1;
}
static inline ssize_t wf_sys_sendfile(int to, int from, int64_t at, size_t len)
{
    (void)to, (void)from, (void)at, (void)len;
    errno = ENOSYS;
    return -1;
}
static inline ssize_t wf_sys_splice(int from, int to, size_t len)
{
    (void)from, (void)to, (void)len;
    errno = ENOSYS;
    return -1;
}

/* On macOS fsync leaves it with the disk, which may still lose it; not every
 * file system there can do more. */
static inline int wf_sys_sync(int fd)
{
#ifdef F_FULLFSYNC
    if (fcntl(fd, F_FULLFSYNC) == 0) return 0;
    if (errno != ENOTSUP && errno != ENOTTY && errno != EINVAL) return -1;
#endif
    return fsync(fd);
}
static inline int wf_sys_datasync(int fd)
{
#ifdef F_FULLFSYNC
    return wf_sys_sync(fd);
#else
    return fdatasync(fd);
#endif
}

static inline long wf_sys_cores(void)
{
    return 0;
}

#endif
