/* SPDX-License-Identifier: MIT */
/* test_cancel_points_unix.c - cancel points of Unix sockets, pipes, copies. */
#include <weft/pipe.h>
#include <weft/splice.h>
#include <weft/unix.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cancel_points.h"
#include "harness.h"
#include "sockets.h"

static weft_fd pair[2], other[2];

static void open_all(void)
{
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_DGRAM, pair), 0);
    open_pair(other);
}

static void close_all(void)
{
    close_pair(pair);
    close_pair(other);
}

static ssize_t receives(void *arg)
{
    char c;
    weft_unix_extra x = {0};
    (void)arg;
    return weft_unix_recv(pair[1], &c, 1, &x);
}

static ssize_t sends(void *arg)
{
    return weft_unix_send(pair[0], "x", 1, arg);
}

static ssize_t sends_a_descriptor(void *arg)
{
    const int number = 0;
    (void)arg;
    return weft_unix_send_fds(pair[0], "x", 1, &number, 1, NULL);
}

static ssize_t copies_one(void *arg)
{
    weft_relay r = {0};
    (void)arg;
    ssize_t n = weft_copy(&r, other[0], other[1], 1, NULL);
    CHECK_EQ(weft_relay_held(&r), 0);
    weft_relay_end(&r);
    return n;
}

TEST(receiving_from_a_unix_socket_is_a_cancel_point)
{
    open_all();
    is_woken(receives, NULL);
    CHECK_EQ(sends(NULL), 1);
    is_a_cancel_point(receives, NULL, 1);
    close_all();
}

TEST(sending_to_a_unix_socket_is_a_cancel_point)
{
    open_all();
    is_a_cancel_point(sends, NULL, 1);
    is_a_cancel_point(sends_a_descriptor, NULL, 0);
    close_all();
}

TEST(sending_to_an_address_is_a_cancel_point)
{
    weft_addr at;
    char name[64];
    const weft_unix_send_opts o = {.to = &at};
    open_all();
    CHECK_EQ(weft_close(pair[1]), 0);
    (void)snprintf(name, sizeof name, "unix:/tmp/weft-cancel-%ld",
                   (long)getpid());
    CHECK_EQ(weft_unix_datagram(&pair[1], name), 0);
    CHECK_EQ(weft_local_addr(pair[1], &at), 0);
    CHECK_EQ(weft_close(pair[0]), 0);
    CHECK_EQ(weft_unix_datagram(&pair[0], NULL), 0);
    is_a_cancel_point(sends, (void *)(uintptr_t)&o, 1);
    CHECK_EQ(unlink(strchr(name, '/')), 0);
    close_all();
}

TEST(a_copy_is_a_cancel_point)
{
    open_all();
    is_woken(copies_one, NULL);
    CHECK_EQ(weft_write(other[1], "x", 1), 1);
    is_a_cancel_point(copies_one, NULL, 0);
    close_all();
}

static char fifo[64];

static ssize_t opens_to_read(void *arg)
{
    weft_fd fd;
    (void)arg;
    int err = weft_fifo_open(fifo, WEFT_READABLE, &fd);
    if (err == 0) CHECK_EQ(weft_close(fd), 0);
    return err;
}

static ssize_t opens_to_write(void *arg)
{
    weft_fd fd;
    (void)arg;
    int err = weft_fifo_open(fifo, WEFT_WRITABLE, &fd);
    if (err == 0) CHECK_EQ(weft_close(fd), 0);
    return err;
}

TEST(opening_a_named_pipe_is_a_cancel_point)
{
    (void)snprintf(fifo, sizeof fifo, "/tmp/weft-cancel-fifo-%ld",
                   (long)getpid());
    CHECK_EQ(mkfifo(fifo, 0600), 0);
    is_a_cancel_point(opens_to_read, NULL, 0);
    is_woken(opens_to_write, NULL);
    CHECK_EQ(unlink(fifo), 0);
}

static weft_fd listener;
static char address[64];

static ssize_t dials(void *arg)
{
    weft_fd conn;
    int err = weft_unix_dial(&conn, address, *(int *)arg);
    if (err == 0) CHECK_EQ(weft_close(conn), 0);
    return err;
}

TEST(dialling_a_unix_socket_is_a_cancel_point)
{
    int type = SOCK_STREAM;
    (void)snprintf(address, sizeof address, "unix:/tmp/weft-cancel-dial-%ld",
                   (long)getpid());
    CHECK_EQ(weft_unix_listen(&listener, address, type, NULL), 0);
    is_a_cancel_point(dials, &type, 0);
    CHECK_EQ(weft_close(listener), 0);
    CHECK_EQ(unlink(strchr(address, '/')), 0);
}
