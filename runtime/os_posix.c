/* SPDX-License-Identifier: MIT */
/*
 * os_posix.c - descriptors made in two steps, and a timer that is a thread.
 */
#include "runtime/os_thread.h"

#include <stdlib.h>
#include <string.h>

pthread_rwlock_t wf_sys_making = PTHREAD_RWLOCK_INITIALIZER;

/* Whoever held it is not there. */
void wf_sys_forked(void)
{
    wf_sys_making = (pthread_rwlock_t)PTHREAD_RWLOCK_INITIALIZER;
}

/* ---- descriptors -------------------------------------------------------- */

static int finish(int fd)
{
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) return -1;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return -1;
    wf_sys_quiet(fd);
    return 0;
}

static void close_unseen(int fd)
{
    int kept = errno;
    (void)close(fd);
    errno = kept;
}

static int finish_one(int fd)
{
    if (fd < 0 || finish(fd) == 0) return fd;
    close_unseen(fd);
    return -1;
}

static int finish_both(int rc, const int fds[2])
{
    if (rc < 0 || (finish(fds[0]) == 0 && finish(fds[1]) == 0)) return rc;
    close_unseen(fds[0]);
    close_unseen(fds[1]);
    return -1;
}

int wf_sys_socket(int family, int type, int protocol)
{
    (void)pthread_rwlock_rdlock(&wf_sys_making);
    int fd = finish_one(socket(family, type, protocol));
    (void)pthread_rwlock_unlock(&wf_sys_making);
    return fd;
}

int wf_sys_socketpair(int family, int type, int fds[2])
{
    (void)pthread_rwlock_rdlock(&wf_sys_making);
    int rc = finish_both(socketpair(family, type, 0, fds), fds);
    (void)pthread_rwlock_unlock(&wf_sys_making);
    return rc;
}

int wf_sys_accept(int fd, struct sockaddr *sa, socklen_t *len)
{
    (void)pthread_rwlock_rdlock(&wf_sys_making);
    int conn = finish_one(accept(fd, sa, len));
    (void)pthread_rwlock_unlock(&wf_sys_making);
    return conn;
}

int wf_sys_pipe(int fds[2])
{
    (void)pthread_rwlock_rdlock(&wf_sys_making);
    int rc = finish_both(pipe(fds), fds);
    (void)pthread_rwlock_unlock(&wf_sys_making);
    return rc;
}

/* Descriptors that come with a message: the second step. */
static void finish_passed(struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        }
    }
}

ssize_t wf_sys_recvmsg(int fd, struct msghdr *m, int flags)
{
    if (!m->msg_control || m->msg_controllen == 0)
        return recvmsg(fd, m, flags);
    (void)pthread_rwlock_rdlock(&wf_sys_making);
    ssize_t n = recvmsg(fd, m, flags);
    if (n >= 0) finish_passed(m);
    (void)pthread_rwlock_unlock(&wf_sys_making);
    return n;
}

int wf_sys_getpeereid(int fd, uid_t *ret_uid, gid_t *ret_gid, pid_t *ret_pid)
{
    *ret_pid = -1;
#if defined(__linux__)
    struct ucred who;
    socklen_t len = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0) return -1;
    if (who.uid == (uid_t)-1) {
        errno = ENOTCONN;
        return -1;
    }
    *ret_uid = who.uid;
    *ret_gid = who.gid;
    return 0;
#else
#if defined(LOCAL_PEERPID)
    pid_t pid;
    socklen_t len = sizeof pid;
    int kept = errno;
    if (getsockopt(fd, SOL_LOCAL, LOCAL_PEERPID, &pid, &len) == 0)
        *ret_pid = pid;
    errno = kept;
#endif
    return getpeereid(fd, ret_uid, ret_gid);
#endif
}

/* Of terminals, which have a name. */
int wf_sys_reopen(int fd, int flags)
{
    char name[256];
#if defined(__linux__)
    if (ptsname_r(fd, name, sizeof name) == 0) {
        errno = ENXIO; /* a master: it would be that of another one */
        return -1;
    }
#endif
    int err = ttyname_r(fd, name, sizeof name);
    if (err == 0) return open(name, flags);
    errno = err;
    return -1;
}

static bool has_name(const struct sockaddr_storage *at, socklen_t len)
{
    const void *any = at;
    const struct sockaddr_un *un = any;
    if (at->ss_family == AF_INET)
        return ((const struct sockaddr_in *)any)->sin_port != 0;
    if (at->ss_family == AF_INET6)
        return ((const struct sockaddr_in6 *)any)->sin6_port != 0;
    return at->ss_family == AF_UNIX &&
           len > offsetof(struct sockaddr_un, sun_path) + 1 &&
           (un->sun_path[0] || un->sun_path[1] /* abstract, on Linux */);
}

int wf_sys_is_listening(int fd)
{
    struct sockaddr_storage at = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof at;
    if (getsockname(fd, (struct sockaddr *)&at, &len) < 0) return -1;
    if (!has_name(&at, len)) return 0;
    len = sizeof at;
    if (getpeername(fd, (struct sockaddr *)&at, &len) == 0) return 0;
    return errno == ENOTCONN;
}

/* ---- a timer ------------------------------------------------------------ */

static void *tick(void *arg)
{
    wf_os_timer *t = arg;
    (void)pthread_mutex_lock(&t->lock);
    int64_t next = wf_os_clock() + t->every_ns;
    while (!t->over) {
        if (!wf_os_cond_wait_until(&t->changed, &t->lock, next)) continue;
        if (t->over) break;
        (void)pthread_kill(t->target, t->signo);
        next = wf_os_clock() + t->every_ns;
    }
    (void)pthread_mutex_unlock(&t->lock);
    return NULL;
}

static void end_of_timer(wf_os_timer *t)
{
    (void)pthread_cond_destroy(&t->changed);
    (void)pthread_mutex_destroy(&t->lock);
}

int wf_sys_timer_open(wf_os_timer *ret_timer, int signo, int64_t every_ns)
{
    enum { STACK = 256 * 1024 };
    wf_os_timer *t = ret_timer;
    *t = (wf_os_timer){.target = pthread_self(),
                       .every_ns = every_ns,
                       .signo = signo,
                       .process = getpid()};
    (void)pthread_mutex_init(&t->lock, NULL);
    wf_os_cond_init(&t->changed);
    int err = wf_os_thread_start(&t->helper, STACK, tick, t);
    if (err == 0) return 0;
    end_of_timer(t);
    errno = -err;
    return -1;
}

/* The thread is not there in the child of a fork. */
void wf_sys_timer_close(wf_os_timer *t)
{
    if (t->process != getpid()) return;
    (void)pthread_mutex_lock(&t->lock);
    t->over = true;
    (void)pthread_cond_signal(&t->changed);
    (void)pthread_mutex_unlock(&t->lock);
    (void)pthread_join(t->helper, NULL);
    end_of_timer(t);
}
