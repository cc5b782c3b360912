/* SPDX-License-Identifier: MIT */
/*
 * test_io_close.c - closing under waiters, stale handles, one of each kind,
 * and calls that are cancelled.
 */
#include <weft/error.h>
#include <weft/io.h>
#include <weft/run.h>

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "sockets.h"

/* ---- closed while parked ------------------------------------------------ */

static int wait_both(void *arg)
{
    struct call *c = arg;
    return note_return(c, weft_wait_ready(c->fd, WEFT_READABLE | WEFT_WRITABLE));
}

static int read_exact(void *arg)
{
    struct call *c = arg;
    return note_return(c, weft_read_exact(c->fd, c->buf, 10, NULL));
}

static int receive_message(void *arg)
{
    struct call *c = arg;
    struct iovec iov = {c->buf, sizeof c->buf};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    return note_return(c, weft_recvmsg(c->fd, &msg, 0));
}

/* Parks a fiber in each of `fns` on fd, and has another one close it. */
static void check_close_wakes(weft_fd fd, weft_fn *fns, size_t count)
{
    struct call c[8];
    int rc;
    WEFT_NURSERY(n, rc) {
        for (size_t i = 0; i < count; i++) {
            c[i] = (struct call){.fd = fd};
            CHECK_EQ(weft_spawn(&n, fns[i], &c[i]), 0);
        }
        settle();
        for (size_t i = 0; i < count; i++) CHECK(!c[i].returned);
        CHECK_EQ(weft_close(fd), 0);
        CHECK_EQ(weft_yield(), 0); /* at once: no turn of the reactor */
        for (size_t i = 0; i < count; i++) {
            CHECK(c[i].returned);
            CHECK_EQ(c[i].result, -EBADF);
        }
    }
    CHECK_EQ(rc, 0);
}

TEST(fds_04_closing_wakes_a_reader)
{
    weft_fn fns[] = {read_some, read_exact, receive_message, wait_readable};
    for (int i = 0; i < 4; i++) {
        weft_fd p[2];
        open_pair(p);
        check_close_wakes(p[0], fns + i, 1);
        CHECK_EQ(weft_close(p[1]), 0);
    }
}

TEST(fds_04_closing_wakes_a_writer)
{
    weft_fn fns[] = {write_much, wait_writable, wait_both};
    for (int i = 0; i < 3; i++) {
        weft_fd p[2];
        open_pair(p);
        (void)fill(p[0]);
        check_close_wakes(p[0], fns + i, 1);
        CHECK_EQ(weft_close(p[1]), 0);
    }
}

TEST(fds_04_closing_wakes_the_reader_and_the_writer)
{
    weft_fn fns[] = {read_some, write_much};
    weft_fd p[2];
    open_pair(p);
    check_close_wakes(p[0], fns, 2);
    CHECK_EQ(weft_close(p[1]), 0);
}

TEST(closing_wakes_all_readers_of_a_datagram_socket)
{
    weft_fn fns[] = {read_some, read_some, receive_message, read_some};
    weft_fd p[2];
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_DGRAM, p), 0);
    check_close_wakes(p[0], fns, 4);
    CHECK_EQ(weft_close(p[1]), 0);
}

TEST(closing_a_listener_wakes_all_that_accept)
{
    weft_fn fns[] = {accept_one, accept_one, accept_one};
    weft_fd listener;
    CHECK_EQ(weft_listen(&listener, "127.0.0.1:0", NULL), 0);
    check_close_wakes(listener, fns, 3);
}

TEST(releasing_wakes_waiters_too_and_leaves_the_number_open)
{
    weft_fd p[2];
    char c;
    int rc;
    open_pair(p);
    struct call r = {.fd = p[0]};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, read_some, &r), 0);
        settle();
        int number = weft_fd_release(p[0]);
        CHECK(number >= 0);
        CHECK_EQ(weft_write(p[1], "x", 1), 1);
        CHECK_EQ(read(number, &c, 1), 1);
        CHECK_EQ(close(number), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(r.result, -EBADF);
    CHECK_EQ(weft_close(p[1]), 0);
}

TEST(an_adopted_again_descriptor_waits_as_before)
{
    weft_fd p[2];
    int rc;
    open_pair(p);
    for (int i = 0; i < 5; i++) {
        struct call r = {.fd = p[0]};
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, read_some, &r), 0);
            settle();
            CHECK_EQ(weft_write(p[1], "x", 1), 1);
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(r.result, 1);
        int number = weft_fd_release(p[0]);
        CHECK_EQ(weft_fd_adopt(number, &p[0]), 0);
    }
    close_pair(p);
}

/* ---- stale handles ------------------------------------------------------ */

/* Every call there is says -EBADF of it, and does nothing. */
static void check_stale(weft_fd fd)
{
    char buf[8];
    struct iovec iov = {buf, sizeof buf};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    struct sockaddr_storage sa = {.ss_family = AF_UNIX};
    struct sockaddr *at = (struct sockaddr *)&sa;
    socklen_t len = sizeof sa;
    int value = 1;
    weft_addr addr;
    weft_fd conn;

    CHECK_EQ(weft_read(fd, buf, 1), -EBADF);
    CHECK_EQ(weft_readv(fd, &iov, 1), -EBADF);
    CHECK_EQ(weft_read_exact(fd, buf, 1, NULL), -EBADF);
    CHECK_EQ(weft_try_read(fd, buf, 1), -EBADF);
    CHECK_EQ(weft_write(fd, "x", 1), -EBADF);
    CHECK_EQ(weft_writev(fd, &iov, 1), -EBADF);
    CHECK_EQ(weft_write_all(fd, "x", 1, NULL), -EBADF);
    CHECK_EQ(weft_try_write(fd, "x", 1), -EBADF);
    CHECK_EQ(weft_wait_ready(fd, WEFT_READABLE), -EBADF);
    CHECK_EQ(weft_wait_ready(fd, WEFT_WRITABLE), -EBADF);
    CHECK_EQ(weft_recvmsg(fd, &msg, 0), -EBADF);
    CHECK_EQ(weft_sendmsg(fd, &msg, 0), -EBADF);
    CHECK_EQ(weft_accept(fd, &conn, NULL), -EBADF);
    CHECK_EQ(weft_try_accept(fd, &conn, NULL), -EBADF);
    CHECK_EQ(weft_accept_from(fd, &conn, NULL, NULL), -EBADF);
    CHECK_EQ(weft_try_accept_from(fd, &conn, NULL, NULL), -EBADF);
    CHECK_EQ(weft_connect(fd, at, len), -EBADF);
    CHECK_EQ(weft_bind(fd, at, len), -EBADF);
    CHECK_EQ(weft_listen_on(fd, 1), -EBADF);
    CHECK_EQ(weft_shutdown_fd(fd, SHUT_RDWR), -EBADF);
    CHECK_EQ(weft_shutdown_read(fd), -EBADF);
    CHECK_EQ(weft_shutdown_write(fd), -EBADF);
    CHECK_EQ(weft_setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, 4), -EBADF);
    CHECK_EQ(weft_getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, &len), -EBADF);
    CHECK_EQ(weft_getsockname(fd, at, &len), -EBADF);
    CHECK_EQ(weft_getpeername(fd, at, &len), -EBADF);
    CHECK_EQ(weft_local_addr(fd, &addr), -EBADF);
    CHECK_EQ(weft_peer_addr(fd, &addr), -EBADF);
    CHECK_EQ(weft_set_nodelay(fd, true), -EBADF);
    CHECK_EQ(weft_set_reset_on_close(fd, true), -EBADF);
    CHECK_EQ(weft_fd_number(fd), -EBADF);
    CHECK_EQ(weft_fd_release(fd), -EBADF);
    CHECK_EQ(weft_close(fd), -EBADF);
}

TEST(a_stale_handle_gets_ebadf_whoever_has_the_number_now)
{
    weft_fd old[2], now[2];
    char c;
    open_pair(old);
    int number = weft_fd_number(old[0]);
    close_pair(old);
    check_stale(old[0]);
    open_pair(now);
    CHECK_EQ(weft_fd_number(now[0]), number);
    check_stale(old[0]);
    check_stale(old[1]);

    CHECK_EQ(weft_write(now[0], "y", 1), 1); /* and the new one is well */
    CHECK_EQ(weft_read(now[1], &c, 1), 1);
    CHECK_EQ(c, 'y');
    CHECK_EQ(weft_try_read(now[1], &c, 1), -EAGAIN);
    CHECK_EQ(weft_try_read(now[0], &c, 1), -EAGAIN);
    close_pair(now);
}

static weft_fd kept[2];

static int keeps_handles(void *unused)
{
    (void)unused;
    open_pair(kept);
    close_pair(kept);
    return 0;
}

static int tries_the_kept_handles(void *unused)
{
    weft_fd now[2];
    (void)unused;
    open_pair(now);
    CHECK_EQ(now[0].slot, kept[0].slot);
    check_stale(kept[0]);
    check_stale(kept[1]);
    close_pair(now);
    return 0;
}

TEST_PLAIN(a_handle_of_an_earlier_run_gets_ebadf_in_the_next)
{
    CHECK_EQ(weft_run(keeps_handles, NULL, NULL), 0);
    CHECK_EQ(weft_run(tries_the_kept_handles, NULL, NULL), 0);
}

TEST(closing_twice_is_ebadf_with_a_sentence)
{
    weft_fd p[2];
    open_pair(p);
    close_pair(p);
    CHECK_EQ(weft_close(p[0]), -EBADF);
    const weft_error *e = weft_last_error();
    CHECK(e != NULL);
    CHECK_EQ(e->code, -EBADF);
    CHECK(strlen(e->msg) > 10);
}

/* ---- one reader, one writer --------------------------------------------- */

TEST(fds_02_a_second_reader_gets_ebusy_and_the_first_is_unaffected)
{
    weft_fd p[2];
    char buf[4];
    struct iovec iov = {buf, sizeof buf};
    int rc;
    open_pair(p);
    struct call first = {.fd = p[0]};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, read_some, &first), 0);
        settle();
        CHECK_EQ(weft_read(p[0], buf, 1), -EBUSY);
        CHECK_EQ(weft_readv(p[0], &iov, 1), -EBUSY);
        CHECK_EQ(weft_wait_ready(p[0], WEFT_READABLE), -EBUSY);
        CHECK(!first.returned);
        CHECK_EQ(weft_write(p[1], "abc", 3), 3);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(first.result, 3);
    CHECK_EQ(memcmp(first.buf, "abc", 3), 0);
    close_pair(p);
}

TEST(fds_02_a_second_writer_gets_ebusy_and_the_first_is_unaffected)
{
    static char buf[1 << 20];
    weft_fd p[2];
    int rc;
    open_pair(p);
    struct call first = {.fd = p[0]};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, write_much, &first), 0);
        settle();
        CHECK_EQ(weft_write(p[0], buf, 1), -EBUSY);
        CHECK_EQ(weft_try_write(p[0], buf, 1), -EBUSY);
        CHECK_EQ(weft_write_all(p[0], buf, 1, NULL), -EBUSY);
        CHECK_EQ(weft_wait_ready(p[0], WEFT_WRITABLE), -EBUSY);
        CHECK_EQ(weft_read_exact(p[1], buf, sizeof buf, NULL), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(first.result, 0);
    close_pair(p);
}

TEST(fds_03_one_fiber_reads_while_another_writes)
{
    static char buf[1 << 20];
    weft_fd p[2];
    int rc;
    open_pair(p);
    struct call reader = {.fd = p[0]}, writer = {.fd = p[0]};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, read_some, &reader), 0);
        CHECK_EQ(weft_spawn(&n, write_much, &writer), 0);
        settle();
        CHECK(!reader.returned && !writer.returned);
        CHECK_EQ(weft_write(p[1], "abc", 3), 3);
        settle();
        CHECK_EQ(reader.result, 3);
        CHECK_EQ(memcmp(reader.buf, "abc", 3), 0);
        CHECK(!writer.returned);
        CHECK_EQ(weft_read_exact(p[1], buf, sizeof buf, NULL), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(writer.result, 0);
    close_pair(p);
}

TEST(wait_tells_which_of_both_there_is)
{
    weft_fd p[2];
    int both = WEFT_READABLE | WEFT_WRITABLE;
    open_pair(p);
    CHECK_EQ(weft_wait_ready(p[0], both), WEFT_WRITABLE);
    CHECK_EQ(weft_write(p[1], "x", 1), 1);
    CHECK(weft_wait_ready(p[0], WEFT_READABLE) & WEFT_READABLE);
    (void)fill(p[0]);
    CHECK_EQ(weft_wait_ready(p[0], both), WEFT_READABLE);
    CHECK_EQ(weft_close(p[1]), 0);
    CHECK(weft_wait_ready(p[0], WEFT_READABLE) & WEFT_READABLE);
    CHECK_EQ(weft_close(p[0]), 0);
}

/* ---- cancelled ---------------------------------------------------------- */

TEST(fds_01_a_cancelled_reader_loses_nothing)
{
    weft_fn fns[] = {read_some, wait_readable, receive_message};
    for (int i = 0; i < 3; i++) {
        weft_fd p[2];
        char buf[16];
        int rc;
        open_pair(p);
        struct call r = {.fd = p[0]};
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, fns[i], &r), 0);
            settle();
            weft_nursery_cancel(&n, 0, NULL);
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(r.result, -ECANCELED);
        CHECK_EQ(weft_write(p[1], "abc", 3), 3);
        CHECK_EQ(weft_read(p[0], buf, sizeof buf), 3);
        CHECK_EQ(memcmp(buf, "abc", 3), 0);
        close_pair(p);
    }
}

TEST(octets_that_came_in_the_turn_of_the_cancel_are_still_there)
{
    weft_fd p[2];
    char buf[16];
    int rc;
    open_pair(p);
    struct call r = {.fd = p[0]};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, read_some, &r), 0);
        settle();
        CHECK_EQ(weft_write(p[1], "abc", 3), 3);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    if (r.result == -ECANCELED) r.result = weft_read(p[0], buf, sizeof buf);
    CHECK_EQ(r.result, 3);
    close_pair(p);
}

struct canceller {
    weft_nursery *nursery;
    struct call call; /* its own read, which comes in the same batch */
};

static int read_and_cancel(void *arg)
{
    struct canceller *c = arg;
    (void)read_some(&c->call);
    weft_nursery_cancel(c->nursery, 0, NULL);
    return 0;
}

/* Both sockets become ready in one poll; the fiber woken first cancels the one
 * woken second, which has been granted by then. */
TEST(a_reader_that_is_woken_and_then_cancelled_gets_its_octets)
{
    weft_fd p[2], q[2];
    char buf[16];
    int rc, inner;
    open_pair(p);
    open_pair(q);
    struct call r = {.fd = q[0]};
    WEFT_NURSERY(n, rc) {
        WEFT_NURSERY(m, inner) {
            struct canceller c = {.nursery = &m, .call = {.fd = p[0]}};
            CHECK_EQ(weft_spawn(&n, read_and_cancel, &c), 0);
            CHECK_EQ(weft_spawn(&m, read_some, &r), 0);
            settle();
            CHECK_EQ(weft_write(p[1], "ab", 2), 2);
            CHECK_EQ(weft_write(q[1], "abc", 3), 3);
            inner = weft_sleep(WEFT_MSEC(1));
        }
        CHECK_EQ(inner, 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(r.result, 3);
    CHECK_EQ(weft_try_read(q[0], buf, sizeof buf), -EAGAIN);
    close_pair(p);
    close_pair(q);
}

TEST(inside_a_cancelled_scope_a_read_fails_though_there_is_data)
{
    weft_fd p[2];
    char buf[4];
    weft_scope s;
    open_pair(p);
    CHECK_EQ(weft_write(p[1], "abc", 3), 3);
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin(&s), 0);
    weft_scope_cancel(&s, 0, NULL);
    CHECK_EQ(weft_read(p[0], buf, 4), -ECANCELED);
    CHECK_EQ(weft_wait_ready(p[0], WEFT_READABLE), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    CHECK_EQ(weft_read(p[0], buf, 4), 3);
    close_pair(p);
}
