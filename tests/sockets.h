/* SPDX-License-Identifier: MIT */
/*
 * sockets.h - pairs, and fibers at their ends, for the tests of descriptors.
 */
#ifndef TESTS_SOCKETS_H
#define TESTS_SOCKETS_H

#include <weft/fiber.h>
#include <weft/io.h>
#include <weft/net.h>
#include <weft/nursery.h>
#include <weft/socket.h>
#include <weft/time.h>

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

static inline void open_pair(weft_fd pair[2])
{
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_STREAM, pair), 0);
}

static inline void close_pair(weft_fd pair[2])
{
    CHECK_EQ(weft_close(pair[0]), 0);
    CHECK_EQ(weft_close(pair[1]), 0);
}

/* Adopts both ends of a new pipe: pair[0] reads, pair[1] writes. */
static inline void open_pipe(weft_fd pair[2])
{
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(weft_fd_adopt(fds[0], &pair[0]), 0);
    CHECK_EQ(weft_fd_adopt(fds[1], &pair[1]), 0);
}

/* Lets everybody run until all are parked and nothing more comes in. */
static inline void settle(void)
{
    for (int i = 0; i < 3; i++) CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
}

/* Puts as much into `fd` as goes; returns how many octets. */
static inline size_t fill(weft_fd fd)
{
    static char junk[65536];
    size_t sum = 0;
    for (;;) {
        ssize_t n = weft_try_write(fd, junk, sizeof junk);
        if (n == -EAGAIN) return sum;
        CHECK(n > 0);
        sum += (size_t)n;
    }
}

/* What a fiber that makes one call was told. */
struct call {
    weft_fd fd;
    ssize_t result;
    bool returned;
    int turn; /* 1 for the first of them to return */
    int *turns;
    char buf[64];
};

static inline int note_return(struct call *c, ssize_t result)
{
    c->result = result;
    c->returned = true;
    if (c->turns) c->turn = ++*c->turns;
    return 0;
}

static inline int read_some(void *arg)
{
    struct call *c = arg;
    return note_return(c, weft_read(c->fd, c->buf, sizeof c->buf));
}

/* More than any buffer takes, so that it waits. */
static inline int write_much(void *arg)
{
    static const char much[1 << 20];
    struct call *c = arg;
    return note_return(c, weft_write_all(c->fd, much, sizeof much, NULL));
}

static inline int wait_readable(void *arg)
{
    struct call *c = arg;
    return note_return(c, weft_wait_ready(c->fd, WEFT_READABLE));
}

static inline int wait_writable(void *arg)
{
    struct call *c = arg;
    return note_return(c, weft_wait_ready(c->fd, WEFT_WRITABLE));
}

static inline int accept_one(void *arg)
{
    struct call *c = arg;
    weft_fd conn;
    int err = weft_accept(c->fd, &conn, NULL);
    if (err == 0) CHECK_EQ(weft_close(conn), 0);
    return note_return(c, err);
}

#endif
