/* SPDX-License-Identifier: MIT */
/*
 * test_grant_io.c - grant versus cancel: descriptors.
 *
 * The moment of a grant is that of the poll, so only the rows that close a
 * descriptor are granted at once. Connecting has no row: when the kernel is
 * through with it is not for a test to say.
 */
#include <weft/addr.h>
#include <weft/event.h>
#include <weft/io.h>
#include <weft/net.h>
#include <weft/select.h>
#include <weft/socket.h>
#include <weft/testing.h>
#include <weft/time.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "grant.h"
#include "sockets.h"
#include "system.h"

#define ALONE GRANT_ALONE("a second one of the kind gets -EBUSY")

/* A datagram wakes all who wait, so that who runs first is served. */
#define ALONE_IN_LINE GRANT_ALONE("see grt_datagrams_go_to_who_waits_first")

static weft_fd pair[2]; /* waiters are at pair[0] */

/* Here two that are ready are told by one poll, which no poller promises: a
 * kqueue of tests/kqueue is asked for it. */
__attribute__((constructor)) static void be_friendly(void)
{
    (void)setenv("KQUEUE_HOSTILE", "0", 1);
}

/* ---- reading ------------------------------------------------------------ */

static void connected(void)
{
    open_pair(pair);
}

static void hang_up(void)
{
    close_pair(pair);
}

static int reads(struct grant_waiter *w)
{
    return (int)weft_read(pair[0], w->octets, 1);
}

static int reads_a_vector(struct grant_waiter *w)
{
    struct iovec iov = {w->octets, 1};
    return (int)weft_readv(pair[0], &iov, 1);
}

static int receives(struct grant_waiter *w)
{
    struct iovec iov = {w->octets, 1};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    return (int)weft_recvmsg(pair[0], &msg, 0);
}

static int reads_exactly_one(struct grant_waiter *w)
{
    return weft_read_exact(pair[0], w->octets, 1, NULL);
}

static void write_one(void)
{
    CHECK_EQ(weft_try_write(pair[1], "x", 1), 1);
}

static int octets_left(void)
{
    char octet;
    int n = 0;
    while (weft_try_read(pair[0], &octet, 1) == 1)
        n++;
    return n;
}

/* ---- readiness, which takes nothing ------------------------------------- */

static int waits_until_readable(struct grant_waiter *w)
{
    (void)w;
    return weft_wait_ready(pair[0], WEFT_READABLE);
}

static int foreign[2];

static void foreign_pipe(void)
{
    CHECK_EQ(pipe(foreign), 0);
}

static int waits_for_a_foreign_one(struct grant_waiter *w)
{
    (void)w;
    return weft_wait_fd(foreign[0], WEFT_READABLE);
}

static void write_one_to_the_foreign(void)
{
    CHECK_EQ(write(foreign[1], "x", 1), 1);
}

static int foreign_is_readable(void)
{
    struct pollfd p = {.fd = foreign[0], .events = POLLIN};
    return poll(&p, 1, 0);
}

static void forget_the_foreign(void)
{
    weft_forget_fd(foreign[0]);
    CHECK_EQ(close(foreign[0]), 0);
    CHECK_EQ(close(foreign[1]), 0);
}

static int selects_a_descriptor(struct grant_waiter *w)
{
    static weft_event never = WEFT_EVENT_INIT;
    (void)w;
    weft_case c[] = {WEFT_CASE_EVENT(&never),
                     WEFT_CASE_FD(pair[0], WEFT_READABLE)};
    int i = weft_select(c, 2, 0);
    if (i < 0) return i;
    CHECK_EQ(i, 1);
    return c[1].result;
}

/* ---- writing ------------------------------------------------------------ */

static size_t filled, drained;

static void full(void)
{
    open_pair(pair);
    filled = fill(pair[0]);
    drained = 0;
}

static int writes(struct grant_waiter *w)
{
    (void)w;
    return (int)weft_write(pair[0], "x", 1);
}

static void notes_a_write(struct grant_waiter *w)
{
    (void)w;
    filled++;
}

static void drain(void)
{
    static char junk[65536];
    ssize_t n;
    while ((n = weft_try_read(pair[1], junk, sizeof junk)) > 0) {
        drained += (size_t)n;
    }
}

static int room_left(void)
{
    if (weft_try_write(pair[0], "x", 1) != 1) return 0;
    filled++;
    return 1;
}

static void all_written_was_read(void)
{
    drain();
    CHECK_EQ(drained, filled);
    hang_up();
}

static void datagrams(void)
{
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_DGRAM, pair), 0);
}

/* ---- accepting ---------------------------------------------------------- */

enum { MOST_CLIENTS = 8 };

static weft_fd listener;
static weft_addr address;
static int clients[MOST_CLIENTS], dialled;

static void listening(void)
{
    char text[WEFT_ADDR_TEXT];
    (void)snprintf(text, sizeof text, SYSTEM_LOCAL "weft-grant-%d",
                   (int)getpid());
    CHECK_EQ(weft_addr_parse(&address, text), 0);
    CHECK_EQ(weft_listen(&listener, text, NULL), 0);
    dialled = 0;
}

static int accepts(struct grant_waiter *w)
{
    weft_fd conn;
    (void)w;
    int err = weft_accept(listener, &conn, NULL);
    if (err == 0) CHECK_EQ(weft_close(conn), 0);
    return err;
}

static void dial(void)
{
    CHECK(dialled < MOST_CLIENTS);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&address.sa, address.len), 0);
    clients[dialled++] = fd;
}

static int connections_left(void)
{
    weft_fd conn;
    int n = 0;
    while (weft_try_accept(listener, &conn, NULL) == 0) {
        CHECK_EQ(weft_close(conn), 0);
        n++;
    }
    return n;
}

static void stop_listening(void)
{
    for (int i = 0; i < dialled; i++)
        CHECK_EQ(close(clients[i]), 0);
    int err = weft_close(listener);
    CHECK(err == 0 || err == -EBADF);
}

/* ---- closing ------------------------------------------------------------ */

static void close_the_near_end(void)
{
    CHECK_EQ(weft_close(pair[0]), 0);
}

static int near_end_is_closed(void)
{
    char octet;
    return weft_try_read(pair[0], &octet, 1) == -EBADF;
}

static void close_the_rest(void)
{
    (void)weft_close(pair[0]);
    CHECK_EQ(weft_close(pair[1]), 0);
}

static void close_listener(void)
{
    CHECK_EQ(weft_close(listener), 0);
}

static int listener_is_closed(void)
{
    weft_fd conn;
    return weft_try_accept(listener, &conn, NULL) == -EBADF;
}

#define ONE_OCTET                                                              \
    .setup = connected, .grant = write_one, .left = octets_left,               \
    .finish = hang_up, .pace = BY_THE_KERNEL, .tries = true,                   \
    .without = {ALONE}

#define NEAR_END_CLOSED                                                        \
    .setup = connected, .grant = close_the_near_end,                           \
    .left = near_end_is_closed, .finish = close_the_rest, .want = -EBADF,      \
    .share = TO_ALL, .tries = true, .without = {ALONE}

static const struct grant_row rows[] = {
    {.name = "read", .wait = reads, .want = 1, ONE_OCTET},
    {.name = "readv", .wait = reads_a_vector, .want = 1, ONE_OCTET},
    {.name = "recvmsg", .wait = receives, .want = 1, ONE_OCTET},
    {.name = "read_exact", .wait = reads_exactly_one, ONE_OCTET},
    {.name = "read of a datagram, alone",
     .setup = datagrams,
     .wait = reads,
     .grant = write_one,
     .left = octets_left,
     .finish = hang_up,
     .want = 1,
     .pace = BY_THE_KERNEL,
     .tries = true,
     .without = {ALONE_IN_LINE}},
    {.name = "write",
     .setup = full,
     .wait = writes,
     .grant = drain,
     .left = room_left,
     .undo = notes_a_write,
     .finish = all_written_was_read,
     .want = 1,
     .pace = BY_THE_KERNEL,
     .share = TO_ALL,
     .tries = true,
     .without = {ALONE}},
    {.name = "accept",
     .setup = listening,
     .wait = accepts,
     .grant = dial,
     .left = connections_left,
     .finish = stop_listening,
     .pace = BY_THE_KERNEL,
     .tries = true},
    {.name = "wait_ready",
     .wait = waits_until_readable,
     .want = WEFT_READABLE,
     .share = TO_ALL,
     ONE_OCTET},
    {.name = "wait_fd",
     .setup = foreign_pipe,
     .wait = waits_for_a_foreign_one,
     .grant = write_one_to_the_foreign,
     .left = foreign_is_readable,
     .finish = forget_the_foreign,
     .want = WEFT_READABLE,
     .pace = BY_THE_KERNEL,
     .share = TO_ALL,
     .tries = true,
     .without = {ALONE}},
    {.name = "select fd",
     .wait = selects_a_descriptor,
     .want = WEFT_READABLE,
     .share = TO_ALL,
     ONE_OCTET},
    {.name = "read, closed", .wait = reads, NEAR_END_CLOSED},
    {.name = "select fd, closed",
     .wait = selects_a_descriptor,
     NEAR_END_CLOSED},
    {.name = "accept, closed",
     .setup = listening,
     .wait = accepts,
     .grant = close_listener,
     .left = listener_is_closed,
     .finish = stop_listening,
     .want = -EBADF,
     .share = TO_ALL,
     .tries = true},
};

GRANT_TESTS(rows)

/* ---- datagrams ---------------------------------------------------------- */

static const struct grant_row datagram_row[] = {
    {.name = "read of a datagram",
     .setup = datagrams,
     .wait = reads,
     .grant = write_one,
     .left = octets_left,
     .finish = hang_up,
     .want = 1,
     .pace = BY_THE_KERNEL,
     .tries = true},
};

TEST_FIFO(grt_datagrams_go_to_who_waits_first)
{
    for (int c = 0; c < WITH_ANOTHER; c++) {
        grant_check(datagram_row, 1, (enum grant_column)c);
    }
}

/* ---- a listener --------------------------------------------------------- */

/* Wakes by the same poll as who waits for a connection, and runs before him. */
static int reads_then_accepts(void *arg)
{
    struct call *c = arg;
    CHECK_EQ(weft_read(pair[0], c->buf, 1), 1);
    return accept_one(c);
}

TEST_FIFO(grt_11_a_late_accept_does_not_pass_one_that_was_granted)
{
    int turns = 0, rc;
    open_pair(pair);
    listening();
    struct call first = {.fd = listener, .turns = &turns};
    struct call late = {.fd = listener, .turns = &turns};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, accept_one, &first), 0);
        CHECK_EQ(weft_spawn(&n, reads_then_accepts, &late), 0);
        CHECK_EQ(weft_test_settle(), 0);
        write_one();
        dial();
        CHECK_EQ(weft_test_settle(), 0);
        CHECK_EQ(first.turn, 1);
        CHECK_EQ(late.turn, 0);
        dial();
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(late.turn, 2);
    stop_listening();
    hang_up();
}

/* ---- a loop that is late ------------------------------------------------ */

/* The thread sleeps, so that octet and deadline are found by the same turn. */
static void oversleep(void)
{
    const struct timespec late = {.tv_nsec = 5000000};
    (void)nanosleep(&late, NULL);
}

static int reads_in_time(void *arg)
{
    struct call *c = arg;
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(2)) {
        rc = (int)weft_read(c->fd, c->buf, 1);
    }
    return note_return(c, rc);
}

TEST_REAL(grt_03_data_that_a_late_loop_finds_beats_the_deadline)
{
    struct call c = {.result = 77};
    int rc;
    open_pair(pair);
    c.fd = pair[0];
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, reads_in_time, &c), 0);
        CHECK_EQ(weft_yield(), 0);
        write_one();
        oversleep();
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(c.result, 1);
    close_pair(pair);
}

TEST_REAL(grt_03_without_data_a_late_loop_finds_the_deadline)
{
    struct call c = {.result = 77};
    int rc;
    open_pair(pair);
    c.fd = pair[0];
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, reads_in_time, &c), 0);
        CHECK_EQ(weft_yield(), 0);
        oversleep();
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(c.result, -ETIMEDOUT);
    CHECK_EQ(octets_left(), 0);
    close_pair(pair);
}
