/* SPDX-License-Identifier: MIT */
/*
 * os_linux.h - what os.h needs beyond POSIX.1-2008, from Linux.
 *
 * One file of these for each choice: os_linux.h, os_posix.h. As with libc's
 * own a call that fails returns -1 with the code in errno.
 */
#ifndef WF_OS_LINUX_H
#define WF_OS_LINUX_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "runtime/annotate.h"
#include "runtime/os_batch.h"

/* What a socket's type may be or'ed with. */
enum { WF_SOCK_FLAGS = SOCK_NONBLOCK | SOCK_CLOEXEC };

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
enum {
    WF_ADVICE_GUARD = MADV_GUARD_INSTALL,
    WF_ADVICE_SMALL_PAGES = MADV_NOHUGEPAGE,
    WF_ADVICE_DROP = MADV_DONTNEED
};

/* How much of a transfer of `len` octets may be asked for. */
static inline size_t wf_sys_most(size_t len)
{
    return len;
}

/* The watchdog's. */
static inline int wf_sys_own_signal(void)
{
    return SIGRTMAX - 3;
}

/* New descriptors: closed on exec, not blocking, and without SIGPIPE. */
static inline int wf_sys_socket(int family, int type, int protocol)
{
    return socket(family, type | WF_SOCK_FLAGS, protocol);
}
static inline int wf_sys_socketpair(int family, int type, int fds[2])
{
    return socketpair(family, type | WF_SOCK_FLAGS, 0, fds);
}
static inline int wf_sys_accept(int fd, struct sockaddr *sa, socklen_t *len)
{
    return accept4(fd, sa, len, WF_SOCK_FLAGS);
}
static inline int wf_sys_pipe(int fds[2])
{
    return pipe2(fds, O_CLOEXEC | O_NONBLOCK);
}
/* Each send says it; of the rest SIGPIPE goes to the thread that writes. */
static inline void wf_sys_quiet(int fd)
{
    (void)fd;
}
static inline int wf_sys_is_listening(int fd)
{
    int value = 0;
    socklen_t len = sizeof value;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len) < 0) return -1;
    return value != 0;
}

/* Half of the C libraries have them unsigned. */
#if defined(__GLIBC__)
typedef int wf_sys_flags;
#else
typedef unsigned wf_sys_flags;
#endif

/* Batches. What ends a batch that has begun the kernel keeps of receiving, for
 * the next call. */
_Static_assert(sizeof(struct wf_mmsg) == sizeof(struct mmsghdr) &&
                   offsetof(struct wf_mmsg, len) ==
                       offsetof(struct mmsghdr, msg_len),
               "a batch is one of the kernel's");
static inline int wf_sys_recvmmsg(int fd, struct wf_mmsg *v, unsigned count,
                                  int flags, int *ret_later)
{
    (void)ret_later;
    return recvmmsg(fd, (struct mmsghdr *)(void *)v, count,
                    (wf_sys_flags)flags, NULL);
}
static inline int wf_sys_sendmmsg(int fd, struct wf_mmsg *v, unsigned count,
                                  int flags, bool connected, int *ret_later)
{
    if (connected) return wf_sys_send_each(fd, v, count, flags, ret_later);
    return sendmmsg(fd, (struct mmsghdr *)(void *)v, count,
                    (wf_sys_flags)flags);
}

/* Descriptors that come with a message are closed on exec. */
static inline ssize_t wf_sys_recvmsg(int fd, struct msghdr *m, int flags)
{
    return recvmsg(fd, m, flags | MSG_CMSG_CLOEXEC);
}
/* What would have come with the octets, had there been room for it, is told. */
static inline ssize_t wf_sys_recv_unix(int fd, void *buf, size_t len,
                                       bool *ret_short)
{
    struct iovec one = {buf, len};
    struct msghdr m = {.msg_iov = &one, .msg_iovlen = 1};
    ssize_t n = recvmsg(fd, &m, 0);
    *ret_short = n >= 0 && !(m.msg_flags & MSG_CTRUNC);
    return n;
}
/* Who is at the other end of a Unix socket. */
static inline int wf_sys_getpeereid(int fd, uid_t *ret_uid, gid_t *ret_gid,
                                    pid_t *ret_pid)
{
    struct ucred who;
    socklen_t len = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0) return -1;
    if (who.pid == 0 && who.uid == (uid_t)-1) {
        errno = ENOTCONN; /* nobody */
        return -1;
    }
    *ret_uid = who.uid;
    *ret_gid = who.gid;
    *ret_pid = who.pid > 0 ? who.pid : -1; /* of another namespace */
    return 0;
}
/* What is open there, opened once more: flags of its own. Not of sockets; and
 * the master of a pty would be another pty. */
static inline int wf_sys_reopen(int fd, int flags)
{
    char path[64];
    if (ptsname_r(fd, path, sizeof path) == 0) {
        errno = ENXIO;
        return -1;
    }
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, flags);
}

/* Around the start of a program, which gets no descriptor half made; and in
 * the child of a fork. */
static inline void wf_sys_spawn_begin(void)
{
}
static inline void wf_sys_spawn_end(void)
{
}
static inline void wf_sys_forked(void)
{
}

/* A descriptor, closed on exec, that can be read when the process has ended. */
static inline int wf_sys_pidfd(pid_t pid)
{
#ifdef SYS_pidfd_open
    return (int)syscall(SYS_pidfd_open, pid, 0);
#else
    errno = pid > 0 ? ENOSYS : EINVAL;
    return -1;
#endif
}

/* Takes off the thread, or the process, what is pending of a signal that this
 * thread holds back. */
static inline void wf_sys_sigdiscard(int signo)
{
    sigset_t only;
    struct timespec none = {0, 0};
    (void)sigemptyset(&only);
    (void)sigaddset(&only, signo);
    while (sigtimedwait(&only, NULL, &none) < 0 && errno == EINTR)
        continue;
}

/* A timer that sends a signal to this thread, over and over. */
typedef timer_t wf_os_timer;

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif
static inline int wf_sys_timer_open(wf_os_timer *ret_timer, int signo,
                                    int64_t every_ns)
{
    const struct timespec every = {.tv_sec = (time_t)(every_ns / 1000000000),
                                   .tv_nsec = (long)(every_ns % 1000000000)};
    const struct itimerspec spec = {every, every};
    struct sigevent to = {.sigev_notify = SIGEV_THREAD_ID,
                          .sigev_signo = signo};
    to.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_MONOTONIC, &to, ret_timer) < 0) return -1;
    return timer_settime(*ret_timer, 0, &spec, NULL);
}
static inline void wf_sys_timer_close(wf_os_timer *timer)
{
    (void)timer_delete(*timer);
}

/* Random octets, at most 256 at a time. Not every C library has getrandom. */
static inline ssize_t wf_sys_random(void *buf, size_t len)
{
#ifdef SYS_getrandom
    ssize_t n = syscall(SYS_getrandom, buf, len, 0);
    if (n > 0) wf_note_written(buf, (size_t)n);
    return n;
#else
    (void)buf, (void)len;
    errno = ENOSYS;
    return -1;
#endif
}

/* What is in the cache, and never waits. Not every C library has preadv2. */
static inline ssize_t wf_sys_pread_cached(int fd, void *buf, size_t len,
                                          int64_t at)
{
#ifdef SYS_preadv2
    enum { NOWAIT = 8 }; /* RWF_NOWAIT */
    const struct iovec iov = {buf, len};
    if (at < 0) at = -1;
    ssize_t n = syscall(SYS_preadv2, fd, &iov, 1L, (long)at, (long)(at >> 32),
                        NOWAIT);
    if (n > 0) wf_note_written(buf, (size_t)n);
    return n;
#else
    (void)fd, (void)buf, (void)len, (void)at;
    errno = ENOSYS;
    return -1;
#endif
}
static inline ssize_t wf_sys_sendfile(int to, int from, int64_t at, size_t len)
{
    off_t offset = (off_t)at;
    return sendfile(to, from, &offset, len);
}
/* One of them is a pipe. */
static inline ssize_t wf_sys_splice(int from, int to, size_t len)
{
    return splice(from, NULL, to, NULL, len,
                  SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}
static inline int wf_sys_sync(int fd)
{
    return fsync(fd);
}
static inline int wf_sys_datasync(int fd)
{
    return fdatasync(fd);
}

/* How many cores this process may use; 0: it is not told. */
static inline long wf_sys_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
}

#endif
