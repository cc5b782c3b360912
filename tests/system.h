/* SPDX-License-Identifier: MIT */
/*
 * tests/system.h - what a test takes from the system that POSIX has no name
 * for, or that not every system has.
 */
#ifndef TEST_SYSTEM_H
#define TEST_SYSTEM_H

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <mach-o/dyld.h>
#endif

#include "harness.h"

/* Where a socket may be that needs no file; elsewhere it leaves one behind. */
#if defined(__linux__)
#define SYSTEM_LOCAL "unix:@"
#else
#define SYSTEM_LOCAL "unix:/tmp/"
#endif

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* a descriptor says it, see system_own */
#endif

/* Closed on exec, without SIGPIPE where that is a thing of the descriptor. */
static inline int system_own(int fd)
{
    CHECK(fd >= 0);
    CHECK_EQ(fcntl(fd, F_SETFD, FD_CLOEXEC), 0);
#ifdef F_SETNOSIGPIPE
    (void)fcntl(fd, F_SETNOSIGPIPE, 1);
#endif
    return fd;
}

static inline void system_set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    CHECK(flags >= 0);
    CHECK_EQ(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
}

static inline int system_socket(int family)
{
    return system_own(socket(family, SOCK_STREAM, 0));
}

static inline void system_pipe(int ret_ends[2])
{
    CHECK_EQ(pipe(ret_ends), 0);
    (void)system_own(ret_ends[0]);
    (void)system_own(ret_ends[1]);
}

static inline void system_nonblocking_pipe(int ret_ends[2])
{
    system_pipe(ret_ends);
    system_set_nonblocking(ret_ends[0]);
    system_set_nonblocking(ret_ends[1]);
}

static inline void system_nonblocking_pair(int ret_ends[2])
{
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ret_ends), 0);
    for (int i = 0; i < 2; i++)
        system_set_nonblocking(system_own(ret_ends[i]));
}

static inline bool system_has_seqpacket(void)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) < 0) return false;
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
    return true;
}

/* The path of this program. */
static inline void system_program(char *ret_path, size_t size)
{
#if defined(__APPLE__)
    uint32_t room = (uint32_t)size;
    if (_NSGetExecutablePath(ret_path, &room) != 0) ret_path[0] = 0;
#else
    ssize_t n = readlink("/proc/self/exe", ret_path, size - 1);
    ret_path[n > 0 ? n : 0] = 0;
#endif
}

/* Two threads that wait for each other: not every system has barriers. */
struct system_meeting {
    pthread_mutex_t lock;
    pthread_cond_t met;
    unsigned here, meetings;
};

static inline void system_meeting_init(struct system_meeting *m)
{
    CHECK_EQ(pthread_mutex_init(&m->lock, NULL), 0);
    CHECK_EQ(pthread_cond_init(&m->met, NULL), 0);
    m->here = m->meetings = 0;
}

static inline void system_meet(struct system_meeting *m)
{
    (void)pthread_mutex_lock(&m->lock);
    unsigned before = m->meetings;
    if (++m->here == 2) {
        m->here = 0;
        m->meetings++;
        (void)pthread_cond_broadcast(&m->met);
    }
    while (m->meetings == before)
        (void)pthread_cond_wait(&m->met, &m->lock);
    (void)pthread_mutex_unlock(&m->lock);
}

static inline void system_meeting_fini(struct system_meeting *m)
{
    CHECK_EQ(pthread_cond_destroy(&m->met), 0);
    CHECK_EQ(pthread_mutex_destroy(&m->lock), 0);
}

#endif
