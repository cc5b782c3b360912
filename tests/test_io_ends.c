/* SPDX-License-Identifier: MIT */
/* test_io_ends.c - how a connection ends: in order, by reset, by SIGPIPE not. */
#include <weft/io.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "harness.h"
#include "sockets.h"

/* A TCP connection: ends[0] dialled, ends[1] accepted. */
static void open_tcp(weft_fd ends[2])
{
    weft_fd listener;
    weft_addr at;
    char text[WEFT_ADDR_TEXT];
    CHECK_EQ(weft_listen(&listener, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_local_addr(listener, &at), 0);
    CHECK_EQ(weft_dial(&ends[0], weft_addr_format(&at, text, sizeof text)), 0);
    CHECK_EQ(weft_accept(listener, &ends[1], NULL), 0);
    CHECK_EQ(weft_close(listener), 0);
}

static void reset(weft_fd fd)
{
    CHECK_EQ(weft_set_reset_on_close(fd, true), 0);
    CHECK_EQ(weft_close(fd), 0);
}

/* ---- the end of the stream ---------------------------------------------- */

TEST(the_end_comes_after_the_last_octet_and_stays)
{
    weft_fd p[2];
    char buf[16];
    open_pair(p);
    CHECK_EQ(weft_write(p[1], "last", 4), 4);
    CHECK_EQ(weft_close(p[1]), 0);
    CHECK_EQ(weft_read(p[0], buf, 2), 2);
    CHECK_EQ(weft_read(p[0], buf, sizeof buf), 2);
    for (int i = 0; i < 3; i++) CHECK_EQ(weft_read(p[0], buf, sizeof buf), 0);
    CHECK_EQ(weft_try_read(p[0], buf, sizeof buf), 0);
    CHECK_EQ(weft_close(p[0]), 0);
}

/* The reader waits with its bit clear, and gets octets and hang-up at once. */
TEST(octets_that_come_together_with_the_end_are_delivered_first)
{
    weft_fd p[2];
    char buf[16];
    int rc;
    for (int half = 0; half < 2; half++) {
        open_pair(p);
        struct call r = {.fd = p[0]};
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, read_some, &r), 0);
            settle();
            CHECK_EQ(weft_write(p[1], "last", 4), 4);
            if (half) CHECK_EQ(weft_shutdown_write(p[1]), 0);
            if (!half) CHECK_EQ(weft_close(p[1]), 0);
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(r.result, 4);
        CHECK_EQ(weft_read(p[0], buf, sizeof buf), 0);
        CHECK_EQ(weft_close(p[0]), 0);
        if (half) CHECK_EQ(weft_close(p[1]), 0);
    }
}

TEST_REAL(a_half_closed_connection_still_carries_the_answer)
{
    weft_fd t[2];
    char buf[16];
    open_tcp(t);
    CHECK_EQ(weft_write(t[0], "question", 8), 8);
    CHECK_EQ(weft_shutdown_write(t[0]), 0);
    CHECK_EQ(weft_read(t[1], buf, sizeof buf), 8);
    CHECK_EQ(weft_read(t[1], buf, sizeof buf), 0);
    CHECK_EQ(weft_write_all(t[1], "answer", 6, NULL), 0);
    CHECK_EQ(weft_close(t[1]), 0);
    CHECK_EQ(weft_read(t[0], buf, sizeof buf), 6);
    CHECK_EQ(weft_read(t[0], buf, sizeof buf), 0);
    CHECK_EQ(weft_close(t[0]), 0);
}

TEST_REAL(much_data_before_a_half_close_arrives_whole)
{
    static char buf[65536];
    weft_fd t[2];
    int rc;
    size_t sum = 0;
    open_tcp(t);
    struct call w = {.fd = t[0]};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, write_much, &w), 0);
        while (!w.returned) {
            ssize_t got = weft_read(t[1], buf, 5000);
            CHECK(got > 0);
            sum += (size_t)got;
        }
        CHECK_EQ(weft_close(t[0]), 0);
        for (ssize_t got; (got = weft_read(t[1], buf, sizeof buf)) != 0;) {
            CHECK(got > 0);
            sum += (size_t)got;
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(sum, 1 << 20);
    CHECK_EQ(weft_close(t[1]), 0);
}

TEST(a_parked_reader_sees_its_own_side_shut_down_as_the_end)
{
    weft_fd p[2];
    int rc;
    open_pair(p);
    struct call r = {.fd = p[0]};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, read_some, &r), 0);
        settle();
        CHECK_EQ(weft_shutdown_read(p[0]), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(r.result, 0);
    close_pair(p);
}

/* ---- resets ------------------------------------------------------------- */

TEST_REAL(a_reset_wakes_a_parked_reader)
{
    weft_fd t[2];
    int rc;
    open_tcp(t);
    struct call r = {.fd = t[1]};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, read_some, &r), 0);
        settle();
        reset(t[0]);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(r.result, -ECONNRESET);
    CHECK_EQ(weft_close(t[1]), 0);
}

TEST_REAL(a_reset_wakes_a_parked_writer)
{
    static char much[65536];
    weft_fd t[2];
    int rc;
    open_tcp(t);
    while (weft_try_write(t[1], much, sizeof much) > 0) continue;
    struct call w = {.fd = t[1]};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, write_much, &w), 0);
        settle();
        CHECK(!w.returned);
        reset(t[0]);
    }
    CHECK_EQ(rc, 0);
    CHECK(w.result == -ECONNRESET || w.result == -EPIPE);
    CHECK_EQ(weft_close(t[1]), 0);
}

TEST_REAL(a_reset_wakes_reader_and_writer_and_one_who_only_waits)
{
    static char much[65536];
    weft_fd t[2];
    int rc;
    open_tcp(t);
    while (weft_try_write(t[1], much, sizeof much) > 0) continue;
    struct call r = {.fd = t[1]}, w = {.fd = t[1]};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, read_some, &r), 0);
        CHECK_EQ(weft_spawn(&n, wait_writable, &w), 0);
        settle();
        reset(t[0]);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(r.result, -ECONNRESET);
    CHECK(w.result > 0);
    CHECK_EQ(weft_close(t[1]), 0);
}

TEST_REAL(a_reset_that_nobody_waited_for_is_seen_by_the_next_call)
{
    weft_fd t[2];
    char buf[4];
    open_tcp(t);
    reset(t[0]);
    settle();
    CHECK_EQ(weft_read(t[1], buf, 4), -ECONNRESET);
    CHECK_EQ(weft_read(t[1], buf, 4), 0);
    CHECK_EQ(weft_write(t[1], "x", 1), -EPIPE);
    CHECK_EQ(weft_close(t[1]), 0);

    open_tcp(t);
    reset(t[0]);
    settle();
    ssize_t n = weft_write(t[1], "x", 1);
    CHECK(n == -ECONNRESET || n == -EPIPE);
    CHECK_EQ(weft_close(t[1]), 0);
}

TEST_REAL(a_reset_after_the_half_close_is_seen_too)
{
    weft_fd t[2];
    char buf[4];
    int rc;
    open_tcp(t);
    CHECK_EQ(weft_shutdown_write(t[1]), 0);
    CHECK_EQ(weft_read(t[0], buf, 4), 0);
    struct call r = {.fd = t[1]};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, read_some, &r), 0);
        settle();
        reset(t[0]);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(r.result, -ECONNRESET);
    CHECK_EQ(weft_close(t[1]), 0);
}

/* ---- no signal ---------------------------------------------------------- */

static void noted_signal(int signo)
{
    (void)signo;
    test_fail(__FILE__, __LINE__, "SIGPIPE was delivered");
}

static void check_nothing_is_changed(void (*handler)(int))
{
    struct sigaction now;
    sigset_t mask;
    CHECK_EQ(sigaction(SIGPIPE, NULL, &now), 0);
    CHECK(now.sa_handler == handler);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
    CHECK_EQ(sigismember(&mask, SIGPIPE), 0);
    CHECK_EQ(sigpending(&mask), 0);
    CHECK_EQ(sigismember(&mask, SIGPIPE), 0);
}

static void check_epipe(weft_fd fd)
{
    struct iovec iov = {"xy", 2};
    CHECK_EQ(weft_write(fd, "x", 1), -EPIPE);
    CHECK_EQ(weft_try_write(fd, "x", 1), -EPIPE);
    CHECK_EQ(weft_writev(fd, &iov, 1), -EPIPE);
    CHECK_EQ(weft_write_all(fd, "x", 1, NULL), -EPIPE);
}

TEST(a_write_to_a_closed_peer_is_epipe_and_never_a_signal)
{
    weft_fd p[2];
    CHECK(signal(SIGPIPE, noted_signal) != SIG_ERR);
    open_pair(p);
    CHECK_EQ(weft_close(p[1]), 0);
    check_epipe(p[0]);
    CHECK_EQ(weft_close(p[0]), 0);
    check_nothing_is_changed(noted_signal);

    open_pipe(p);
    CHECK_EQ(weft_close(p[0]), 0);
    check_epipe(p[1]);
    CHECK_EQ(weft_close(p[1]), 0);
    check_nothing_is_changed(noted_signal);
}

TEST(a_shut_down_sender_gets_epipe_and_no_signal)
{
    weft_fd p[2];
    CHECK(signal(SIGPIPE, noted_signal) != SIG_ERR);
    open_pair(p);
    CHECK_EQ(weft_shutdown_write(p[0]), 0);
    check_epipe(p[0]);
    close_pair(p);
    check_nothing_is_changed(noted_signal);
}

TEST(a_writer_parked_on_a_pipe_gets_epipe_when_the_reader_goes)
{
    weft_fd p[2];
    int rc;
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    open_pipe(p);
    struct call w = {.fd = p[1]};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, write_much, &w), 0);
        settle();
        CHECK(!w.returned);
        CHECK_EQ(weft_close(p[0]), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w.result, -EPIPE);
    CHECK_EQ(weft_close(p[1]), 0);
    check_nothing_is_changed(SIG_DFL);
}

TEST(a_sigpipe_that_was_pending_and_blocked_before_is_left_so)
{
    weft_fd p[2];
    sigset_t pipe_only, mask;
    CHECK_EQ(sigemptyset(&pipe_only), 0);
    CHECK_EQ(sigaddset(&pipe_only, SIGPIPE), 0);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &pipe_only, NULL), 0);
    CHECK_EQ(raise(SIGPIPE), 0);
    open_pipe(p);
    CHECK_EQ(weft_close(p[0]), 0);
    check_epipe(p[1]);
    CHECK_EQ(weft_close(p[1]), 0);
    CHECK_EQ(sigpending(&mask), 0);
    CHECK_EQ(sigismember(&mask, SIGPIPE), 1);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
    CHECK_EQ(sigismember(&mask, SIGPIPE), 1);
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, &pipe_only, NULL), 0);
}
