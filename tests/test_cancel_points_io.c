/* SPDX-License-Identifier: MIT */
/*
 * test_cancel_points_io.c - what is a cancel point of descriptors and streams,
 * and what is none.
 */
#include <weft/io.h>
#include <weft/net.h>
#include <weft/socket.h>
#include <weft/stream.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cancel_points.h"
#include "sockets.h"

static char room[16];

static ssize_t reads(void *fd)
{
    return weft_read(*(weft_fd *)fd, room, 1);
}

static ssize_t reads_vectors(void *fd)
{
    struct iovec v = {room, 1};
    return weft_readv(*(weft_fd *)fd, &v, 1);
}

static ssize_t reads_exactly(void *fd)
{
    size_t done = 99;
    ssize_t rc = weft_read_exact(*(weft_fd *)fd, room, 2, &done);
    CHECK_EQ(done, rc == 0 ? 2 : 0);
    return rc;
}

static ssize_t receives_a_message(void *fd)
{
    struct iovec v = {room, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    return weft_recvmsg(*(weft_fd *)fd, &m, 0);
}

TEST(cp_01_reading)
{
    weft_fd pair[2];
    open_pair(pair);
    CHECK_EQ(weft_write(pair[0], "abcde", 5), 5);
    is_a_cancel_point(reads, &pair[1], 1);
    CHECK_EQ(room[0], 'a');
    is_a_cancel_point(reads_vectors, &pair[1], 1);
    CHECK_EQ(room[0], 'b');
    is_a_cancel_point(reads_exactly, &pair[1], 0);
    CHECK_EQ(memcmp(room, "cd", 2), 0);
    is_a_cancel_point(receives_a_message, &pair[1], 1);
    CHECK_EQ(room[0], 'e');
    CHECK_EQ(weft_shutdown_write(pair[0]), 0);
    is_a_cancel_point(reads, &pair[1], 0);
    close_pair(pair);
    is_a_cancel_point(reads, &pair[1], -EBADF);
}

static ssize_t writes(void *fd)
{
    return weft_write(*(weft_fd *)fd, "a", 1);
}

static ssize_t writes_vectors(void *fd)
{
    struct iovec v = {"b", 1};
    return weft_writev(*(weft_fd *)fd, &v, 1);
}

static ssize_t writes_all(void *fd)
{
    size_t done = 99;
    ssize_t rc = weft_write_all(*(weft_fd *)fd, "cd", 2, &done);
    CHECK_EQ(done, rc == 0 ? 2 : 0);
    return rc;
}

static ssize_t sends_a_message(void *fd)
{
    struct iovec v = {"e", 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    return weft_sendmsg(*(weft_fd *)fd, &m, 0);
}

TEST(cp_01_writing)
{
    weft_fd pair[2];
    open_pair(pair);
    is_a_cancel_point(writes, &pair[0], 1);
    is_a_cancel_point(writes_vectors, &pair[0], 1);
    is_a_cancel_point(writes_all, &pair[0], 0);
    is_a_cancel_point(sends_a_message, &pair[0], 1);
    CHECK_EQ(weft_read(pair[1], room, sizeof room), 5);
    CHECK_EQ(memcmp(room, "abcde", 5), 0);
    CHECK_EQ(weft_try_read(pair[1], room, 1), -EAGAIN);
    close_pair(pair);
}

static ssize_t waits_until_ready(void *fd)
{
    return weft_wait_ready(*(weft_fd *)fd, WEFT_WRITABLE);
}

static ssize_t waits_for_a_foreign_one(void *fd)
{
    return weft_wait_fd(*(int *)fd, WEFT_WRITABLE);
}

TEST(cp_01_waiting_for_a_descriptor)
{
    weft_fd pair[2];
    int fds[2];
    open_pair(pair);
    CHECK_EQ(pipe(fds), 0);
    is_a_cancel_point(waits_until_ready, &pair[0], WEFT_WRITABLE);
    is_a_cancel_point(waits_for_a_foreign_one, &fds[1], WEFT_WRITABLE);
    weft_forget_fd(fds[1]);
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(close(fds[1]), 0);
    close_pair(pair);
}

static weft_fd accepted;

static ssize_t accepts(void *fd)
{
    return weft_accept(*(weft_fd *)fd, &accepted, NULL);
}

static ssize_t accepts_from(void *fd)
{
    return weft_accept_from(*(weft_fd *)fd, &accepted, NULL, NULL);
}

static weft_fd dialled;

static ssize_t dials(void *address)
{
    return weft_dial(&dialled, address);
}

struct target {
    weft_fd fd;
    struct sockaddr_storage sa;
    socklen_t len;
};

static ssize_t connects(void *arg)
{
    struct target *t = arg;
    return weft_connect(t->fd, (struct sockaddr *)&t->sa, t->len);
}

TEST_REAL(cp_01_accepting_and_connecting)
{
    weft_fd l;
    weft_addr addr;
    struct target t = {.len = sizeof t.sa};
    char address[64];
    CHECK_EQ(weft_listen(&l, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_local_addr(l, &addr), 0);
    CHECK_EQ(weft_getsockname(l, (struct sockaddr *)&t.sa, &t.len), 0);
    (void)weft_addr_format(&addr, address, sizeof address);

    is_a_cancel_point(dials, address, 0);
    is_a_cancel_point(accepts, &l, 0);
    CHECK_EQ(weft_try_accept(l, &accepted, NULL), -EAGAIN); /* it was one */
    CHECK_EQ(weft_close(dialled), 0);
    CHECK_EQ(weft_close(accepted), 0);

    CHECK_EQ(weft_socket(AF_INET, SOCK_STREAM, 0, &t.fd), 0);
    is_a_cancel_point(connects, &t, 0);
    is_a_cancel_point(accepts_from, &l, 0);
    CHECK_EQ(weft_close(t.fd), 0);
    CHECK_EQ(weft_close(accepted), 0);
    CHECK_EQ(weft_close(l), 0);
}

static ssize_t peeks(void *s)
{
    const char *data;
    return weft_stream_peek(s, &data);
}

static ssize_t wants_more(void *s)
{
    const char *data;
    return weft_stream_more(s, 2, 100, &data);
}

static ssize_t reads_a_line(void *s)
{
    const char *line;
    return weft_stream_read_until(s, '\n', 100, &line);
}

static ssize_t reads_a_stream(void *s)
{
    return weft_stream_read(s, room, 1);
}

static ssize_t reads_a_stream_exactly(void *s)
{
    return weft_stream_read_exact(s, room, 2);
}

TEST(cp_01_streams_with_everything_in_the_buffer)
{
    weft_fd pair[2];
    weft_stream s;
    open_pair(pair);
    weft_stream_init(&s, pair[1]);
    CHECK_EQ(weft_write(pair[0], "ab\ncdefg", 8), 8);
    is_a_cancel_point(peeks, &s, 8);
    is_a_cancel_point(peeks, &s, 8);
    is_a_cancel_point(reads_a_line, &s, 3);
    is_a_cancel_point(reads_a_stream, &s, 1);
    CHECK_EQ(room[0], 'c');
    is_a_cancel_point(reads_a_stream_exactly, &s, 0);
    CHECK_EQ(memcmp(room, "de", 2), 0);
    CHECK_EQ(weft_write(pair[0], "h", 1), 1);
    is_a_cancel_point(wants_more, &s, 3);
    CHECK_EQ(weft_stream_close(&s), 0);
    CHECK_EQ(weft_close(pair[0]), 0);
}

static ssize_t flushes(void *s)
{
    return weft_stream_flush(s);
}

TEST(cp_01_a_flush_sends_nothing)
{
    weft_fd pair[2];
    weft_stream s;
    open_pair(pair);
    weft_stream_init(&s, pair[0]);
    CHECK_EQ(weft_stream_write(&s, "abc", 3), 0);
    in_a_cancelled_scope(flushes, &s);
    CHECK_EQ(weft_try_read(pair[1], room, 3), -EAGAIN);
    is_a_cancel_point(flushes, &s, 0);
    CHECK_EQ(weft_read(pair[1], room, sizeof room), 3);
    CHECK_EQ(weft_stream_close(&s), 0);
    CHECK_EQ(weft_close(pair[1]), 0);
}

/* ---- CP-02: what is none ------------------------------------------------ */

TEST(cp_02_descriptors)
{
    weft_fd pair[2], l, fd;
    int fds[2];
    open_pair(pair);
    open_cancelled();
    CHECK_EQ(weft_try_write(pair[0], "ab", 2), 2);
    CHECK_EQ(weft_try_read(pair[1], room, 2), 2);
    CHECK_EQ(weft_try_read(pair[1], room, 2), -EAGAIN);
    CHECK_EQ(weft_shutdown_write(pair[0]), 0);
    CHECK_EQ(weft_close(pair[0]), 0);
    CHECK_EQ(weft_close(pair[1]), 0);
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_STREAM, pair), 0);
    close_pair(pair);
    CHECK_EQ(weft_listen(&l, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_try_accept(l, &fd, NULL), -EAGAIN);
    CHECK_EQ(weft_close(l), 0);
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(weft_fd_adopt(fds[0], &fd), 0);
    CHECK_EQ(weft_fd_release(fd), fds[0]);
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(close(fds[1]), 0);
    close_cancelled();
}

TEST(cp_02_a_stream_gathers_and_gives_back)
{
    weft_fd pair[2];
    weft_stream s;
    open_pair(pair);
    weft_stream_init(&s, pair[0]);
    open_cancelled();
    CHECK_EQ(weft_stream_close(&s), 0); /* nothing gathered: no cancel point */
    weft_stream_init(&s, pair[1]);
    weft_stream_fini(&s);
    close_cancelled();
    CHECK_EQ(weft_close(pair[1]), 0);
}

/* ---- CP-03: the budget -------------------------------------------------- */

TEST(cp_03_a_descriptor_that_is_always_ready_starves_nobody)
{
    weft_fd pair[2];
    open_pair(pair);
    starves_nobody(writes, &pair[0], 1);
    starves_nobody(waits_until_ready, &pair[0], WEFT_WRITABLE);
    close_pair(pair);
}
