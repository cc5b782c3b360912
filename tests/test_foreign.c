/* SPDX-License-Identifier: MIT */
/* test_foreign.c - waiting for descriptors of some other library. */
#include <weft/debug.h>
#include <weft/io.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#if defined(__linux__)
#include <sys/epoll.h>
#include <sys/eventfd.h>
#endif

#include "harness.h"
#include "sockets.h"
#include "system.h"

struct foreign {
    int fd, events, result;
    bool returned;
};

static int wait_foreign(void *arg)
{
    struct foreign *f = arg;
    f->result = weft_wait_fd(f->fd, f->events);
    f->returned = true;
    return 0;
}

static void close_both(int fds[2])
{
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(close(fds[1]), 0);
}

static uint64_t polls(void)
{
    weft_stats s;
    weft_stats_read(&s);
    return s.polls;
}

TEST(a_fiber_waits_for_a_foreign_pipe)
{
    int fds[2], rc;
    char c;
    system_nonblocking_pipe(fds);
    for (int i = 0; i < 5; i++) { /* each wait is a new one */
        struct foreign f = {fds[0], WEFT_READABLE, 0, false};
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, wait_foreign, &f), 0);
            settle();
            CHECK(!f.returned);
            CHECK_EQ(write(fds[1], "x", 1), 1);
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(f.result & (WEFT_READABLE | WEFT_WRITABLE), WEFT_READABLE);
        CHECK_EQ(read(fds[0], &c, 1), 1);
    }
    CHECK_EQ(weft_wait_fd(fds[1], WEFT_WRITABLE) & WEFT_WRITABLE,
             WEFT_WRITABLE);
    weft_forget_fd(fds[0]);
    weft_forget_fd(fds[1]);
    close_both(fds);
}

TEST(what_is_there_already_is_reported_every_time)
{
    int fds[2];
    system_nonblocking_pipe(fds);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    for (int i = 0; i < 10; i++) { /* nobody drains it: no edge is needed */
        CHECK(weft_wait_fd(fds[0], WEFT_READABLE) & WEFT_READABLE);
    }
    weft_forget_fd(fds[0]);
    close_both(fds);
}

#if defined(__linux__)
TEST(an_eventfd_and_an_epoll_around_it_can_be_waited_for)
{
    int event = eventfd(0, EFD_NONBLOCK), epoll = epoll_create1(0), rc;
    struct epoll_event e = {.events = EPOLLIN};
    CHECK(event >= 0 && epoll >= 0);
    CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, event, &e), 0);
    struct foreign inner = {event, WEFT_READABLE, 0, false};
    struct foreign outer = {epoll, WEFT_READABLE, 0, false};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, wait_foreign, &inner), 0);
        CHECK_EQ(weft_spawn(&n, wait_foreign, &outer), 0);
        settle();
        CHECK(!inner.returned && !outer.returned);
        CHECK_EQ(eventfd_write(event, 1), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK(inner.result & WEFT_READABLE);
    CHECK(outer.result & WEFT_READABLE);
    weft_forget_fd(event);
    weft_forget_fd(epoll);
    CHECK_EQ(close(event), 0);
    CHECK_EQ(close(epoll), 0);
}
#else
TEST(an_eventfd_and_an_epoll_around_it_can_be_waited_for)
{
    SKIP("these are of Linux");
}
#endif

TEST(a_closed_number_is_ebadf)
{
    int closed = dup(0);
    CHECK_EQ(close(closed), 0);
    CHECK_EQ(weft_wait_fd(closed, WEFT_READABLE), -EBADF);
    CHECK_EQ(weft_wait_fd(-1, WEFT_READABLE), -EBADF);
    CHECK_EQ(weft_wait_fd(1 << 30, WEFT_READABLE), -EBADF);
    weft_forget_fd(closed);
    weft_forget_fd(-1);
    weft_forget_fd(1 << 30);
}

TEST(a_hang_up_ends_a_wait)
{
    int fds[2], rc;
    system_nonblocking_pipe(fds);
    struct foreign f = {fds[0], WEFT_READABLE, 0, false};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, wait_foreign, &f), 0);
        settle();
        CHECK_EQ(close(fds[1]), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK(f.result > 0);
    weft_forget_fd(fds[0]);
    CHECK_EQ(close(fds[0]), 0);
}

TEST(forgetting_wakes_the_waiters_with_ebadf)
{
    int fds[2], rc;
    system_nonblocking_pair(fds);
    char junk[4096] = {0};
    while (write(fds[0], junk, sizeof junk) > 0) continue;
    struct foreign r = {fds[0], WEFT_READABLE, 0, false};
    struct foreign w = {fds[0], WEFT_WRITABLE, 0, false};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, wait_foreign, &r), 0);
        CHECK_EQ(weft_spawn(&n, wait_foreign, &w), 0);
        settle();
        CHECK(!r.returned && !w.returned);
        weft_forget_fd(fds[0]);
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(r.result, -EBADF);
        CHECK_EQ(w.result, -EBADF);
    }
    CHECK_EQ(rc, 0);
    weft_forget_fd(fds[0]);
    close_both(fds);
}

TEST(one_waits_to_read_and_one_to_write_and_a_second_gets_ebusy)
{
    int fds[2], rc;
    char junk[4096] = {0};
    system_nonblocking_pair(fds);
    while (write(fds[0], junk, sizeof junk) > 0) continue;
    struct foreign r = {fds[0], WEFT_READABLE, 0, false};
    struct foreign w = {fds[0], WEFT_WRITABLE, 0, false};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, wait_foreign, &r), 0);
        CHECK_EQ(weft_spawn(&n, wait_foreign, &w), 0);
        settle();
        CHECK_EQ(weft_wait_fd(fds[0], WEFT_READABLE), -EBUSY);
        CHECK_EQ(weft_wait_fd(fds[0], WEFT_WRITABLE), -EBUSY);
        CHECK_EQ(write(fds[1], "x", 1), 1);
        settle();
        CHECK(r.returned && !w.returned);
        while (read(fds[1], junk, sizeof junk) > 0) continue;
    }
    CHECK_EQ(rc, 0);
    CHECK(r.result & WEFT_READABLE);
    CHECK(w.result & WEFT_WRITABLE);
    weft_forget_fd(fds[0]);
    close_both(fds);
}

TEST(a_regular_file_is_ready_at_once)
{
    char path[] = "/tmp/weft-foreign-XXXXXX";
    int file = mkstemp(path);
    CHECK(file >= 0);
    CHECK_EQ(unlink(path), 0);
    CHECK(weft_wait_fd(file, WEFT_READABLE) & WEFT_READABLE);
    CHECK(weft_wait_fd(file, WEFT_WRITABLE) & WEFT_WRITABLE);
    weft_forget_fd(file);
    CHECK_EQ(close(file), 0);
}

TEST(what_is_weft_s_own_cannot_be_waited_for_as_foreign)
{
    weft_fd p[2];
    char c = 0;
    open_pair(p);
    int number = weft_fd_number(p[0]);
    CHECK_EQ(weft_wait_fd(number, WEFT_READABLE), -EBUSY);
    CHECK_EQ(weft_wait_fd(number, WEFT_WRITABLE), -EBUSY); /* ready or not */
    weft_forget_fd(number); /* and this does not harm it */
    CHECK_EQ(weft_write(p[1], "x", 1), 1);
    CHECK_EQ(weft_read(p[0], &c, 1), 1);
    close_pair(p);
}

/* A library closes its descriptor and tells nobody; weft may see that late,
 * but the next user of the number must not be taken for the one before. */
TEST(a_number_closed_behind_our_back_and_used_again_waits_for_its_own)
{
    int fds[2], again[2], rc;
    char c;
    for (int i = 0; i < 100; i++) {
        system_nonblocking_pipe(fds);
        CHECK_EQ(write(fds[1], "x", 1), 1);
        CHECK(weft_wait_fd(fds[0], WEFT_READABLE) & WEFT_READABLE);
        close_both(fds);
        system_nonblocking_pipe(again);
        CHECK_EQ(again[0], fds[0]);
        struct foreign f = {again[0], WEFT_READABLE, 0, false};
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, wait_foreign, &f), 0);
            settle();
            CHECK(!f.returned);
            CHECK_EQ(write(again[1], "y", 1), 1);
        }
        CHECK_EQ(rc, 0);
        CHECK(f.result & WEFT_READABLE);
        CHECK_EQ(read(again[0], &c, 1), 1);
        CHECK_EQ(c, 'y');
        close_both(again);
    }
    weft_forget_fd(fds[0]);
}

TEST(a_number_that_was_foreign_can_become_weft_s_own)
{
    int fds[2], rc;
    for (int told = 0; told < 2; told++) {
        system_nonblocking_pipe(fds);
        CHECK(weft_wait_fd(fds[1], WEFT_WRITABLE) & WEFT_WRITABLE);
        if (told) weft_forget_fd(fds[1]);
        close_both(fds);
        weft_fd p[2];
        open_pair(p);
        CHECK_EQ(weft_fd_number(p[1]), fds[1]);
        struct call r = {.fd = p[1]};
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, read_some, &r), 0);
            settle();
            CHECK(!r.returned);
            CHECK_EQ(weft_write(p[0], "x", 1), 1);
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(r.result, 1);
        close_pair(p);
    }
}

TEST_REAL(a_cancelled_wait_leaves_no_spin_behind)
{
    int fds[2], rc;
    system_nonblocking_pipe(fds);
    struct foreign f = {fds[0], WEFT_READABLE, 0, false};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, wait_foreign, &f), 0);
        settle();
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(f.result, -ECANCELED);
    CHECK_EQ(write(fds[1], "x", 1), 1); /* and nobody waits for it */
    uint64_t before = polls();
    CHECK_EQ(weft_sleep(WEFT_MSEC(10)), 0);
    CHECK(polls() - before <= 4);
    CHECK(weft_wait_fd(fds[0], WEFT_READABLE) & WEFT_READABLE);
    weft_forget_fd(fds[0]);
    close_both(fds);
}

TEST_REAL(a_wait_that_is_over_leaves_no_spin_behind)
{
    int fds[2];
    system_nonblocking_pipe(fds);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK(weft_wait_fd(fds[0], WEFT_READABLE) & WEFT_READABLE);
    uint64_t before = polls();
    CHECK_EQ(weft_sleep(WEFT_MSEC(10)), 0); /* still readable */
    CHECK(polls() - before <= 4);
    weft_forget_fd(fds[0]);
    close_both(fds);
}

TEST(a_foreign_descriptor_keeps_its_flags)
{
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    int before = fcntl(fds[1], F_GETFL);
    CHECK(weft_wait_fd(fds[1], WEFT_WRITABLE) & WEFT_WRITABLE);
    CHECK_EQ(fcntl(fds[1], F_GETFL), before);
    weft_forget_fd(fds[1]);
    close_both(fds);
}
