/* SPDX-License-Identifier: MIT */
/*
 * bench/system.h - what the programs here take from Linux, or the nearest to
 * it: elsewhere level-triggered epoll is made of kqueue, as far as it is used.
 */
#ifndef BENCH_SYSTEM_H
#define BENCH_SYSTEM_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/epoll.h>
#define BENCH_SOCK_FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)
#define BENCH_CLOCK_TICK CLOCK_REALTIME_COARSE /* fast, and good to some ms */

static inline int bench_socket(int family, int type)
{
    return socket(family, type | BENCH_SOCK_FLAGS, 0);
}
static inline int bench_accept(int listener)
{
    return accept4(listener, NULL, NULL, BENCH_SOCK_FLAGS);
}
#else
#include <sys/event.h>
#define BENCH_CLOCK_TICK CLOCK_REALTIME
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

static inline int bench_own_(int fd)
{
    if (fd < 0) return fd;
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
#ifdef F_SETNOSIGPIPE
    (void)fcntl(fd, F_SETNOSIGPIPE, 1);
#endif
    return fd;
}
static inline int bench_socket(int family, int type)
{
    return bench_own_(socket(family, type, 0));
}
static inline int bench_accept(int listener)
{
    return bench_own_(accept(listener, NULL, NULL));
}

enum { EPOLLIN = 1, EPOLLOUT = 4 };
enum { EPOLL_CTL_ADD = 1, EPOLL_CTL_MOD = 3 };
enum { EPOLL_CLOEXEC = 0 }; /* no kqueue outlives an exec */

struct epoll_event {
    uint32_t events;
    union {
        void *ptr;
    } data;
};

static inline int epoll_create1(int flags)
{
    (void)flags;
    return kqueue();
}
static inline int epoll_ctl(int kq, int op, int fd, struct epoll_event *e)
{
    struct kevent change[2];
    int n = 0;
    if (op == EPOLL_CTL_MOD || e->events & EPOLLIN) {
        EV_SET(&change[n], fd, EVFILT_READ,
               e->events & EPOLLIN ? EV_ADD : EV_DELETE, 0, 0, e->data.ptr);
        n++;
    }
    if (op == EPOLL_CTL_MOD || e->events & EPOLLOUT) {
        EV_SET(&change[n], fd, EVFILT_WRITE,
               e->events & EPOLLOUT ? EV_ADD : EV_DELETE, 0, 0, e->data.ptr);
        n++;
    }
    /* One by one, so that what is not there can be deleted. */
    int rc = 0;
    for (int i = 0; i < n; i++)
        if (kevent(kq, &change[i], 1, NULL, 0, NULL) < 0 &&
            change[i].flags == EV_ADD)
            rc = -1;
    return rc;
}
static inline int epoll_wait(int kq, struct epoll_event *events, int max,
                             int timeout_ms)
{
    enum { MOST = 256 };
    struct kevent got[MOST];
    struct timespec limit = {.tv_sec = timeout_ms / 1000,
                             .tv_nsec = (long)(timeout_ms % 1000) * 1000000};
    int n = kevent(kq, NULL, 0, got, max < MOST ? max : MOST,
                   timeout_ms < 0 ? NULL : &limit);
    for (int i = 0; i < n; i++) {
        events[i].events = got[i].filter == EVFILT_WRITE ? EPOLLOUT : EPOLLIN;
        events[i].data.ptr = (void *)got[i].udata;
    }
    return n;
}
#endif

#endif
