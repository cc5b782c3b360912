/* SPDX-License-Identifier: MIT */
/*
 * test_kqueue.c - what reactor/poller_kqueue.c takes for granted of kqueue(2).
 *
 * On a system that has one it says whether the manuals were read rightly, and
 * elsewhere whether the stand-in is like it. An event may come at a later call
 * than another, and an EV_CLEAR one again: only a stand-in does so.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/harness.h"

static int kq, fds[2];

static void open_queue(void)
{
    CHECK_EQ(setenv("KQUEUE_HOSTILE", "0", 1), 0);
    kq = kqueue();
    CHECK(kq >= 0);
}

static void open_with_pair(void)
{
    open_queue();
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(fcntl(fds[i], F_SETFL, O_NONBLOCK), 0);
}

static void close_all(void)
{
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(close(fds[1]), 0);
    CHECK_EQ(close(kq), 0);
}

/* The errno of its receipt. */
static int change(int fd, int filter, int flags)
{
    struct kevent c;
    EV_SET(&c, (uintptr_t)fd, (short)filter,
           (unsigned short)(flags | EV_RECEIPT), 0, 0, NULL);
    CHECK_EQ(kevent(kq, &c, 1, &c, 1, NULL), 1);
    CHECK(c.flags & EV_ERROR);
    CHECK_EQ(c.ident, fd);
    return (int)c.data;
}

/* Asks without waiting: is there an event, and for this filter? */
static bool fires(int fd, int filter, struct kevent *ret)
{
    static const struct timespec none = {0, 0};
    int n = kevent(kq, NULL, 0, ret, 1, &none);
    CHECK(n >= 0);
    if (n == 0) return false;
    CHECK_EQ(ret->ident, fd);
    CHECK_EQ(ret->filter, filter);
    CHECK(!(ret->flags & EV_ERROR));
    return true;
}

static bool reads(int fd)
{
    struct kevent e;
    return fires(fd, EVFILT_READ, &e);
}

static bool writes(int fd)
{
    struct kevent e;
    return fires(fd, EVFILT_WRITE, &e);
}

static void put(int fd)
{
    CHECK_EQ(write(fd, "xyz", 3), 3);
}

static void fill(int fd)
{
    char junk[4096] = {0};
    while (write(fd, junk, sizeof junk) > 0)
        continue;
}

static void drain(int fd)
{
    char rest[4096];
    while (read(fd, rest, sizeof rest) > 0)
        continue;
}

/* ---- flags -------------------------------------------------------------- */

TEST_PLAIN(without_a_flag_it_fires_as_long_as_it_is_ready)
{
    open_with_pair();
    CHECK_EQ(change(fds[0], EVFILT_READ, EV_ADD), 0);
    CHECK(!reads(fds[0]));
    put(fds[1]);
    for (int i = 0; i < 3; i++)
        CHECK(reads(fds[0]));
    drain(fds[0]);
    CHECK(!reads(fds[0]));
    close_all();
}

TEST_PLAIN(clear_fires_with_each_arrival_and_not_between)
{
    struct kevent e;
    open_with_pair();
    CHECK_EQ(change(fds[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    for (int i = 1; i <= 3; i++) { /* nobody reads */
        put(fds[1]);
        CHECK(fires(fds[0], EVFILT_READ, &e));
        CHECK_EQ(e.data, 3 * i);
        CHECK(!reads(fds[0]));
    }
    close_all();
}

TEST_PLAIN(oneshot_fires_once_and_is_gone)
{
    open_with_pair();
    CHECK_EQ(change(fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT), 0);
    put(fds[1]);
    CHECK(reads(fds[0]));
    CHECK(!reads(fds[0]));
    CHECK_EQ(change(fds[0], EVFILT_READ, EV_DELETE), ENOENT);
    CHECK_EQ(change(fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT), 0);
    CHECK(reads(fds[0]));
    close_all();
}

TEST_PLAIN(dispatch_fires_once_and_again_when_enabled)
{
    open_with_pair();
    CHECK_EQ(change(fds[0], EVFILT_WRITE, EV_ADD | EV_DISPATCH | EV_DISABLE),
             0);
    CHECK(!writes(fds[0]));
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(change(fds[0], EVFILT_WRITE, EV_ENABLE | EV_DISPATCH), 0);
        CHECK(writes(fds[0]));
        CHECK(!writes(fds[0]));
    }
    fill(fds[0]);
    CHECK_EQ(change(fds[0], EVFILT_WRITE, EV_ENABLE | EV_DISPATCH), 0);
    CHECK(!writes(fds[0]));
    drain(fds[1]);
    CHECK(writes(fds[0]));
    close_all();
}

TEST_PLAIN(adding_again_looks_again_and_keeps_the_flags)
{
    open_with_pair();
    CHECK_EQ(change(fds[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    put(fds[1]);
    CHECK(reads(fds[0]));
    CHECK(!reads(fds[0]));
    CHECK_EQ(change(fds[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    CHECK(reads(fds[0]));
    CHECK(!reads(fds[0]));
    close_all();
}

/* ---- two filters -------------------------------------------------------- */

TEST_PLAIN(the_filters_of_a_descriptor_know_nothing_of_each_other)
{
    open_with_pair();
    CHECK_EQ(change(fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR), 0);
    CHECK(writes(fds[0]));
    CHECK_EQ(change(fds[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    put(fds[1]);
    CHECK(reads(fds[0]));
    CHECK(!reads(fds[0]));
    CHECK_EQ(change(fds[0], EVFILT_WRITE, EV_DELETE), 0);
    put(fds[1]);
    CHECK(reads(fds[0]));
    close_all();
}

TEST_PLAIN(a_receipt_takes_no_event_out)
{
    open_with_pair();
    CHECK_EQ(change(fds[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    put(fds[1]);
    CHECK_EQ(change(fds[1], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    CHECK(reads(fds[0]));
    close_all();
}

TEST_PLAIN(a_change_that_fails_does_not_keep_the_next_from_being_made)
{
    struct kevent c[2];
    open_with_pair();
    EV_SET(&c[0], (uintptr_t)fds[0], EVFILT_WRITE, EV_DELETE | EV_RECEIPT, 0, 0,
           NULL);
    EV_SET(&c[1], (uintptr_t)fds[0], EVFILT_READ, EV_ADD | EV_RECEIPT, 0, 0,
           NULL);
    CHECK_EQ(kevent(kq, c, 2, c, 2, NULL), 2);
    CHECK_EQ(c[0].data, ENOENT);
    CHECK_EQ(c[1].data, 0);
    put(fds[1]);
    CHECK(reads(fds[0]));
    close_all();
}

TEST_PLAIN(without_room_an_error_is_that_of_the_call)
{
    struct kevent c;
    open_with_pair();
    EV_SET(&c, (uintptr_t)fds[0], EVFILT_READ, EV_ENABLE, 0, 0, NULL);
    CHECK_EQ(kevent(kq, &c, 1, NULL, 0, NULL), -1);
    CHECK_EQ(errno, ENOENT);
    close_all();
}

/* ---- descriptors -------------------------------------------------------- */

TEST_PLAIN(a_number_that_is_not_open_is_ebadf)
{
    open_with_pair();
    int closed = dup(fds[0]);
    CHECK_EQ(close(closed), 0);
    CHECK_EQ(change(closed, EVFILT_READ, EV_ADD), EBADF);
    CHECK_EQ(change(closed, EVFILT_READ, EV_DELETE), EBADF);
    close_all();
}

TEST_PLAIN(a_knote_ends_with_its_number_though_the_file_stays_open)
{
    open_with_pair();
    int other = dup(fds[0]), number = fds[0];
    CHECK_EQ(change(fds[0], EVFILT_READ, EV_ADD), 0);
    put(fds[1]);
    CHECK_EQ(close(fds[0]), 0);
    CHECK(!reads(number));
    CHECK_EQ(dup2(other, number), number); /* and does not come back */
    CHECK_EQ(change(number, EVFILT_READ, EV_DELETE), ENOENT);
    CHECK_EQ(change(number, EVFILT_READ, EV_ADD), 0);
    CHECK(reads(number));
    CHECK_EQ(close(other), 0);
    close_all();
}

TEST_PLAIN(a_queue_can_be_waited_for_in_another)
{
    open_with_pair();
    int inner = kq;
    kq = kqueue();
    CHECK(kq >= 0);
    CHECK_EQ(change(inner, EVFILT_READ, EV_ADD), 0);
    CHECK(!reads(inner));
    int outer = kq;
    kq = inner;
    CHECK_EQ(change(fds[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    kq = outer;
    CHECK(!reads(inner));
    put(fds[1]);
    CHECK(reads(inner));
    CHECK_EQ(close(inner), 0);
    close_all();
}

TEST_PLAIN(a_child_of_fork_has_no_queue)
{
    static const struct timespec none = {0, 0};
    struct kevent e;
    int status;
    open_with_pair();
    pid_t child = fork();
    if (child == 0)
        _exit(kevent(kq, NULL, 0, &e, 1, &none) == -1 && errno == EBADF ? 0
                                                                        : 1);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(change(fds[0], EVFILT_READ, EV_ADD), 0); /* the parent has */
    close_all();
}

/* ---- ends --------------------------------------------------------------- */

TEST_PLAIN(the_end_comes_with_the_octets_that_are_left)
{
    struct kevent e;
    open_with_pair();
    CHECK_EQ(change(fds[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    put(fds[1]);
    CHECK_EQ(shutdown(fds[1], SHUT_WR), 0);
    CHECK(fires(fds[0], EVFILT_READ, &e));
    CHECK(e.flags & EV_EOF);
    CHECK_EQ(e.data, 3);
    CHECK_EQ(e.fflags, 0);
    close_all();
}

TEST_PLAIN(who_writes_to_a_pipe_is_told_of_the_reader_s_end)
{
    struct kevent e;
    open_queue();
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    fill(fds[1]);
    CHECK_EQ(change(fds[1], EVFILT_WRITE, EV_ADD), 0);
    CHECK(!writes(fds[1]));
    CHECK_EQ(close(fds[0]), 0);
    CHECK(fires(fds[1], EVFILT_WRITE, &e));
    CHECK(e.flags & EV_EOF);
    CHECK_EQ(change(fds[1], EVFILT_WRITE, EV_DELETE), 0);
    int err = change(fds[1], EVFILT_WRITE, EV_ADD); /* where it was so before */
    CHECK(err == EPIPE || (err == 0 && writes(fds[1])));
    fds[0] = dup(fds[1]);
    close_all();
}

TEST_PLAIN(a_reset_is_an_end_with_an_error)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    struct linger hard = {1, 0};
    socklen_t len = sizeof at;
    struct kevent e;
    open_queue();
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    CHECK_EQ(listen(listener, 1), 0);
    CHECK_EQ(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    fds[1] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(change(listener, EVFILT_READ, EV_ADD), 0);
    CHECK_EQ(connect(fds[1], (struct sockaddr *)&at, sizeof at), 0);
    CHECK(reads(listener));
    fds[0] = accept(listener, NULL, NULL);
    CHECK(!reads(listener));
    CHECK_EQ(close(listener), 0);
    CHECK_EQ(change(fds[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    CHECK_EQ(setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    CHECK_EQ(close(fds[1]), 0);
    CHECK(fires(fds[0], EVFILT_READ, &e));
    CHECK(e.flags & EV_EOF);
    CHECK(e.fflags != 0);
    char c; /* it was only looked at */
    CHECK_EQ(recv(fds[0], &c, 1, 0), -1);
    CHECK_EQ(errno, ECONNRESET);
    fds[1] = dup(fds[0]);
    close_all();
}

/* ---- waiting ------------------------------------------------------------ */

static void on_alarm(int signo)
{
    (void)signo;
}

TEST_PLAIN(a_wait_ends_by_its_time_by_an_event_or_by_a_signal)
{
    const struct timespec brief = {0, 1500000};
    const struct itimerval soon = {{0, 0}, {0, 2000}};
    struct timespec before, after;
    struct kevent e;
    open_with_pair();
    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &before), 0);
    CHECK_EQ(kevent(kq, NULL, 0, &e, 1, &brief), 0);
    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &after), 0);
    CHECK((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec -
              before.tv_nsec >=
          1500000);

    CHECK_EQ(change(fds[0], EVFILT_READ, EV_ADD), 0);
    put(fds[1]);
    CHECK_EQ(kevent(kq, NULL, 0, &e, 1, NULL), 1);
    drain(fds[0]);

    struct sigaction act = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    CHECK_EQ(sigaction(SIGALRM, &act, NULL), 0);
    CHECK_EQ(setitimer(ITIMER_REAL, &soon, NULL), 0);
    CHECK_EQ(kevent(kq, NULL, 0, &e, 1, NULL), -1);
    CHECK_EQ(errno, EINTR);
    close_all();
}

#ifdef NOTE_OOB
TEST_PLAIN(urgent_data_is_told_by_a_filter_of_its_own)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    struct kevent e;
    open_queue();
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    CHECK_EQ(listen(listener, 1), 0);
    CHECK_EQ(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    fds[1] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(fds[1], (struct sockaddr *)&at, sizeof at), 0);
    fds[0] = accept(listener, NULL, NULL);
    CHECK_EQ(close(listener), 0);
    struct kevent c;
    EV_SET(&c, (uintptr_t)fds[0], EVFILT_EXCEPT, EV_ADD | EV_CLEAR, NOTE_OOB, 0,
           NULL);
    CHECK_EQ(kevent(kq, &c, 1, NULL, 0, NULL), 0);
    CHECK_EQ(send(fds[1], "!", 1, MSG_OOB), 1);
    CHECK(fires(fds[0], EVFILT_EXCEPT, &e));
    CHECK(e.fflags & NOTE_OOB);
    close_all();
}
#endif
