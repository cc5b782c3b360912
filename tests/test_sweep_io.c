/* SPDX-License-Identifier: MIT */
/* test_sweep_io.c - the sweep over descriptors: no octet is lost or doubled,
 * and every descriptor is closed by whoever has it. */
#include <weft/fiber.h>
#include <weft/io.h>
#include <weft/net.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/socket.h>
#include <weft/testing.h>
#include <weft/time.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "sweep.h"
#include "system.h"

enum { PAIRS = 3 };

static weft_fd ends[PAIRS][2];
static long sent[PAIRS], got[PAIRS];

static bool open_pairs(int count)
{
    memset(ends, 0, sizeof ends);
    memset(sent, 0, sizeof sent);
    memset(got, 0, sizeof got);
    for (int i = 0; i < count; i++) {
        int err = weft_socketpair(AF_UNIX, SOCK_STREAM, ends[i]);
        if (!sweep_had(err == 0)) return false;
    }
    return true;
}

/* Whoever was never started has not closed his. */
static void close_the_rest(void)
{
    for (int i = 0; i < PAIRS; i++) {
        (void)weft_close(ends[i][0]);
        (void)weft_close(ends[i][1]);
    }
}

static int *number(int i)
{
    static int numbers[] = {0, 1, 2};
    return &numbers[i];
}

/* The peer has gone: that is for his owner to explain. */
static int but_not_gone(int rc)
{
    return rc == -EPIPE || rc == -ECONNRESET ? 0 : rc;
}

static void put_pattern(char *buf, size_t len, long from)
{
    for (size_t i = 0; i < len; i++)
        buf[i] = (char)((from + (long)i) % 251);
}

static void check_pattern(const char *buf, size_t len, long from)
{
    for (size_t i = 0; i < len; i++)
        CHECK_EQ((unsigned char)buf[i], (from + (long)i) % 251);
}

/* --- an echo --- */

static int echoes(void *arg)
{
    weft_fd fd = ends[*(int *)arg][0];
    char buf[32];
    ssize_t n;
    int rc = 0;
    while (rc == 0 && (n = weft_read(fd, buf, sizeof buf)) != 0) {
        rc = n < 0 ? (int)n : weft_write_all(fd, buf, (size_t)n, NULL);
    }
    CHECK_EQ(weft_close(fd), 0);
    return but_not_gone(rc);
}

static int asks(void *arg)
{
    int i = *(int *)arg, rc = 0;
    weft_fd fd = ends[i][1];
    char buf[20];
    for (int turn = 0; turn < 3 && rc == 0; turn++) {
        size_t done = 0;
        put_pattern(buf, sizeof buf, sent[i]);
        rc = weft_write_all(fd, buf, sizeof buf, &done);
        CHECK(rc < 0 || done == sizeof buf);
        sent[i] += (long)done;
        if (rc < 0) break;
        rc = weft_read_exact(fd, buf, sizeof buf, &done);
        CHECK(rc < 0 || done == sizeof buf);
        check_pattern(buf, done, got[i]);
        got[i] += (long)done;
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
    }
    CHECK(got[i] <= sent[i]);
    CHECK_EQ(weft_close(fd), 0);
    return but_not_gone(rc);
}

static void start_echoes(weft_nursery *n)
{
    if (!open_pairs(2)) return;
    for (int i = 0; i < 2; i++) {
        sweep_spawn(n, echoes, number(i));
        sweep_spawn(n, asks, number(i));
    }
}

SWEEP(an_echo_ends_with_either_side, start_echoes, close_the_rest, 0);

/* --- more than a pipe holds --- */

enum { MUCH = 150000 };

static weft_fd from, to;

static int pours_in(void *arg)
{
    static char much[MUCH];
    (void)arg;
    put_pattern(much, sizeof much, 0);
    size_t done = 0;
    int rc = weft_write_all(to, much, sizeof much, &done);
    sent[0] = (long)done;
    CHECK(rc < 0 || done == MUCH);
    CHECK_EQ(weft_close(to), 0);
    return but_not_gone(rc);
}

static int drinks_up(void *arg)
{
    static char buf[40000];
    int rc = 0;
    (void)arg;
    while (rc == 0) {
        size_t done = 0;
        rc = weft_read_exact(from, buf, sizeof buf, &done);
        check_pattern(buf, done, got[0]);
        got[0] += (long)done;
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
    }
    /* At the end: nothing of what was written is missing. */
    if (rc == -EPIPE) CHECK_EQ(got[0], sent[0]);
    CHECK_EQ(weft_close(from), 0);
    return rc == -EPIPE ? 0 : rc;
}

static void start_pouring(weft_nursery *n)
{
    int fds[2];
    sent[0] = got[0] = 0;
    from = to = (weft_fd){0};
    CHECK_EQ(pipe(fds), 0);
    if (!sweep_had(weft_fd_adopt(fds[0], &from) == 0)) {
        (void)close(fds[0]);
        (void)close(fds[1]);
        return;
    }
    if (!sweep_had(weft_fd_adopt(fds[1], &to) == 0)) {
        (void)close(fds[1]);
        return;
    }
    sweep_spawn(n, pours_in, NULL);
    sweep_spawn(n, drinks_up, NULL);
}

static void check_poured(void)
{
    CHECK(got[0] <= sent[0]);
    (void)weft_close(from);
    (void)weft_close(to);
}

SWEEP(what_was_written_is_what_can_be_read, start_pouring, check_poured, 0);

/* --- closed by somebody else --- */

static int reads_until_it_is_closed(void *arg)
{
    char c;
    ssize_t n = weft_read(ends[*(int *)arg][0], &c, 1);
    return n == -EBADF ? 0 : (int)n;
}

static int writes_until_it_is_closed(void *arg)
{
    static const char much[1 << 18];
    int rc = weft_write_all(ends[*(int *)arg][0], much, sizeof much, NULL);
    return rc == -EBADF || rc == -EPIPE ? 0 : rc;
}

static int closes_them(void *arg)
{
    (void)arg;
    int rc = weft_sleep(WEFT_MSEC(1));
    CHECK_EQ(weft_close(ends[0][0]), 0);
    CHECK_EQ(weft_close(ends[0][0]), -EBADF);
    CHECK_EQ(weft_close(ends[1][0]), 0);
    return rc < 0 ? rc : weft_yield();
}

static void start_closing(weft_nursery *n)
{
    if (!open_pairs(2)) return;
    sweep_spawn(n, reads_until_it_is_closed, number(0));
    sweep_spawn(n, writes_until_it_is_closed, number(0));
    sweep_spawn(n, closes_them, NULL);
    sweep_spawn(n, reads_until_it_is_closed, number(1));
}

SWEEP(who_waits_on_a_closed_descriptor_hears_of_it, start_closing,
      close_the_rest, 0);

/* --- waiting for readiness, in deadlines --- */

static int waits_shortly(void *arg)
{
    int i = *(int *)arg, rc = 0;
    for (int turn = 0; turn < 6 && rc == 0; turn++) {
        char c;
        WEFT_MOVE_ON_AFTER(rc, WEFT_USEC(700)) {
            rc = weft_wait_ready(ends[i][0], WEFT_READABLE);
            if (rc < 0) break;
            CHECK_EQ(rc & WEFT_READABLE, WEFT_READABLE);
            rc = (int)weft_read(ends[i][0], &c, 1);
            if (rc == 1) got[i]++;
            if (rc == 0) break; /* the end: and once more, and once more */
            if (rc == 1) rc = 0;
        }
    }
    CHECK_EQ(weft_close(ends[i][0]), 0);
    return rc;
}

static int drips(void *arg)
{
    int i = *(int *)arg, rc = 0;
    for (int turn = 0; turn < 3 && rc == 0; turn++) {
        rc = weft_sleep(WEFT_MSEC(1));
        if (rc == 0) rc = (int)weft_write(ends[i][1], "x", 1);
        if (rc == 1) sent[i]++;
        if (rc == 1) rc = 0;
    }
    CHECK_EQ(weft_close(ends[i][1]), 0);
    return but_not_gone(rc);
}

static void start_dripping(weft_nursery *n)
{
    if (!open_pairs(2)) return;
    for (int i = 0; i < 2; i++) {
        sweep_spawn(n, waits_shortly, number(i));
        sweep_spawn(n, drips, number(i));
    }
}

static void check_dripped(void)
{
    for (int i = 0; i < 2; i++)
        CHECK(got[i] <= sent[i]);
    close_the_rest();
}

SWEEP(a_wait_that_is_over_has_read_nothing, start_dripping, check_dripped, 0);

/* --- descriptors of somebody else --- */

static int foreign[2];

static int waits_for_a_foreign_one(void *arg)
{
    char c;
    (void)arg;
    for (;;) {
        int rc = weft_wait_fd(foreign[0], WEFT_READABLE);
        if (rc < 0) return rc == -EBADF ? 0 : rc;
        ssize_t n = read(foreign[0], &c, 1);
        if (n == 0) return 0;
        if (n == 1) got[0]++;
    }
}

static int writes_to_it(void *arg)
{
    int rc = 0;
    (void)arg;
    for (int i = 0; i < 3 && rc == 0; i++) {
        rc = weft_wait_fd(foreign[1], WEFT_WRITABLE);
        if (rc < 0) break;
        if (write(foreign[1], "x", 1) == 1) sent[0]++;
        rc = weft_sleep(WEFT_MSEC(1));
    }
    weft_forget_fd(foreign[0]); /* the other one is to end */
    return rc;
}

static void start_foreign(weft_nursery *n)
{
    sent[0] = got[0] = 0;
    system_nonblocking_pipe(foreign);
    sweep_spawn(n, waits_for_a_foreign_one, NULL);
    sweep_spawn(n, writes_to_it, NULL);
}

static void check_foreign(void)
{
    char rest[8];
    ssize_t n = read(foreign[0], rest, sizeof rest);
    CHECK_EQ(sent[0], got[0] + (n > 0 ? n : 0));
    weft_forget_fd(foreign[0]);
    weft_forget_fd(foreign[1]);
    (void)close(foreign[0]);
    (void)close(foreign[1]);
}

SWEEP(a_foreign_descriptor_is_left_as_it_was, start_foreign, check_foreign,
      SWEEP_PEERS_MAY_WAIT);

/* --- loopback: accepting and dialling --- */

static weft_fd listener;
static char address[WEFT_ADDR_TEXT];
static int connected, accepted;

static bool listens(const char *where)
{
    weft_addr at;
    connected = accepted = 0;
    listener = (weft_fd){0};
    if (!sweep_had(weft_listen(&listener, where, NULL) == 0)) return false;
    CHECK_EQ(weft_local_addr(listener, &at), 0);
    (void)weft_addr_format(&at, address, sizeof address);
    return true;
}

static int accepts_two(void *arg)
{
    int rc = 0;
    (void)arg;
    for (int i = 0; i < 2 && rc == 0; i++) {
        weft_fd conn = {0};
        char c;
        rc = weft_accept(listener, &conn, NULL);
        if (rc < 0) break;
        accepted++;
        ssize_t n = weft_read(conn, &c, 1);
        if (n == 1) n = weft_write_all(conn, &c, 1, NULL);
        CHECK_EQ(weft_close(conn), 0);
        rc = but_not_gone(n < 0 ? (int)n : 0);
    }
    (void)weft_close(listener); /* who still dials is refused */
    return rc == -EBADF ? 0 : rc;
}

static int dials(void *arg)
{
    weft_fd conn = {0};
    char c = *(char *)arg, back = 0;
    int rc = weft_dial(&conn, address);
    if (rc == -ECONNREFUSED) return 0;
    if (rc < 0) return but_not_gone(rc);
    connected++;
    rc = weft_write_all(conn, &c, 1, NULL);
    if (rc == 0) rc = weft_read_exact(conn, &back, 1, NULL);
    if (rc == 0) CHECK_EQ(back, c);
    CHECK_EQ(weft_close(conn), 0);
    return but_not_gone(rc);
}

static char letters[] = "abc";

static void start_dialling(weft_nursery *n)
{
    if (!listens("127.0.0.1:0")) return;
    sweep_spawn(n, accepts_two, NULL);
    sweep_spawn(n, dials, &letters[0]);
    sweep_spawn(n, accepts_two, NULL);
    sweep_spawn(n, dials, &letters[1]);
    sweep_spawn(n, dials, &letters[2]);
}

static void check_dialled(void)
{
    CHECK(accepted <= 4 && connected <= 3);
    (void)weft_close(listener);
}

SWEEP(a_connection_belongs_to_somebody, start_dialling, check_dialled,
      SWEEP_PEERS_MAY_WAIT);

/* --- datagrams, and many who wait for one --- */

static weft_fd inbox, outbox;

static int takes_a_letter(void *arg)
{
    char c;
    (void)arg;
    struct iovec iov = {&c, 1};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n = weft_recvmsg(inbox, &msg, 0);
    if (n == 1) got[0]++;
    return n < 0 ? (int)n : 0;
}

static int sends_letters(void *arg)
{
    struct iovec iov = {arg, 1};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    for (int i = 0; i < 3; i++) {
        ssize_t n = weft_sendmsg(outbox, &msg, 0);
        if (n < 0) return (int)n;
        sent[0]++;
        int err = weft_sleep(WEFT_MSEC(1));
        if (err < 0) return err;
    }
    return 0;
}

static void start_letters(weft_nursery *n)
{
    weft_fd pair[2] = {{0}, {0}};
    sent[0] = got[0] = 0;
    inbox = outbox = (weft_fd){0};
    if (!sweep_had(weft_socketpair(AF_UNIX, SOCK_DGRAM, pair) == 0)) return;
    inbox = pair[0];
    outbox = pair[1];
    for (int i = 0; i < 3; i++)
        sweep_spawn(n, takes_a_letter, NULL);
    sweep_spawn(n, sends_letters, &letters[0]);
}

static void check_letters(void)
{
    char c;
    CHECK_EQ(weft_test_settle(), 0); /* what came last has to be noticed */
    while (weft_try_read(inbox, &c, 1) == 1)
        got[0]++;
    CHECK_EQ(got[0], sent[0]);
    (void)weft_close(inbox);
    (void)weft_close(outbox);
}

SWEEP(no_letter_is_lost, start_letters, check_letters, SWEEP_PEERS_MAY_WAIT);

/* --- several pieces at once --- */

static int writes_pieces(void *arg)
{
    char a[3], b[5];
    int i = *(int *)arg, rc = 0;
    for (int turn = 0; turn < 3 && rc == 0; turn++) {
        struct iovec pieces[] = {{a, sizeof a}, {b, sizeof b}};
        put_pattern(a, sizeof a, sent[i]);
        put_pattern(b, sizeof b, sent[i] + (long)sizeof a);
        ssize_t n = weft_writev(ends[i][0], pieces, 2);
        if (n > 0) sent[i] += n;
        rc = n < 0 ? (int)n : weft_sleep(WEFT_MSEC(1));
    }
    CHECK_EQ(weft_close(ends[i][0]), 0);
    return but_not_gone(rc);
}

static int reads_pieces(void *arg)
{
    char a[2], b[9];
    int i = *(int *)arg;
    struct iovec pieces[] = {{a, sizeof a}, {b, sizeof b}};
    ssize_t n;
    while ((n = weft_readv(ends[i][1], pieces, 2)) > 0) {
        size_t first = (size_t)n < sizeof a ? (size_t)n : sizeof a;
        check_pattern(a, first, got[i]);
        check_pattern(b, (size_t)n - first, got[i] + (long)first);
        got[i] += n;
    }
    if (n == 0) CHECK_EQ(got[i], sent[i]);
    CHECK_EQ(weft_close(ends[i][1]), 0);
    return but_not_gone(n < 0 ? (int)n : 0);
}

static void start_pieces(weft_nursery *n)
{
    if (!open_pairs(2)) return;
    for (int i = 0; i < 2; i++) {
        sweep_spawn(n, writes_pieces, number(i));
        sweep_spawn(n, reads_pieces, number(i));
    }
}

SWEEP(pieces_arrive_as_one, start_pieces, check_dripped, 0);

/* --- the calls of sockets themselves, and waiting until all is quiet --- */

static struct sockaddr_in here;
static socklen_t here_len;

static int connects(void *arg)
{
    weft_fd fd;
    char c;
    (void)arg;
    int rc = weft_socket(AF_INET, SOCK_STREAM, 0, &fd);
    if (rc < 0) return rc;
    rc = weft_connect(fd, (struct sockaddr *)&here, here_len);
    if (rc == 0) connected++;
    if (rc == 0) rc = (int)weft_read(fd, &c, 1); /* it is hung up on */
    CHECK(rc <= 0);
    CHECK_EQ(weft_close(fd), 0);
    return rc == -ECONNREFUSED ? 0 : but_not_gone(rc);
}

static int accepts_when_quiet(void *arg)
{
    int rc = weft_test_settle();
    (void)arg;
    for (int i = 0; i < 2 && rc == 0; i++) {
        weft_fd conn;
        rc = weft_accept_from(listener, &conn, NULL, NULL);
        if (rc < 0) break;
        accepted++;
        rc = weft_test_settle();
        CHECK_EQ(weft_close(conn), 0);
    }
    CHECK_EQ(weft_close(listener), 0);
    return rc;
}

/* A port that the kernel chooses. */
static void start_connecting(weft_nursery *n)
{
    connected = accepted = 0;
    here = (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    here_len = sizeof here;
    listener = (weft_fd){0};
    if (!sweep_had(weft_socket(AF_INET, SOCK_STREAM, 0, &listener) == 0))
        return;
    CHECK_EQ(weft_bind(listener, (struct sockaddr *)&here, sizeof here), 0);
    CHECK_EQ(weft_listen_on(listener, 5), 0);
    CHECK_EQ(weft_getsockname(listener, (struct sockaddr *)&here, &here_len),
             0);
    sweep_spawn(n, accepts_when_quiet, NULL);
    sweep_spawn(n, connects, NULL);
    sweep_spawn(n, connects, NULL);
}

static void check_connected(void)
{
    /* One that was cancelled may have come through all the same. */
    CHECK(accepted <= 2 && connected <= 2);
    (void)weft_close(listener);
}

SWEEP(a_socket_is_its_openers_until_it_is_closed, start_connecting,
      check_connected, SWEEP_PEERS_MAY_WAIT);
