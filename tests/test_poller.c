/* SPDX-License-Identifier: MIT */
/* test_poller.c - what a poller reports, and when; the same for every one. */
#include "reactor/poller.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "system.h"

static struct wf_poller *poller;
static int fds[2];

static void open_with_pair(void)
{
    CHECK_EQ(wf_poller_open(&poller), 0);
    system_nonblocking_pair(fds);
}

static void close_with_pair(void)
{
    wf_poller_remove(poller, fds[0]);
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(close(fds[1]), 0);
    wf_poller_close(poller);
}

static void put(int fd)
{
    CHECK_EQ(write(fd, "x", 1), 1);
}

static void drain(int fd)
{
    char rest[64];
    while (read(fd, rest, sizeof rest) > 0) continue;
}

/* Polls without waiting: the bits reported for `key`, and for it alone. */
static unsigned ready(uint64_t key)
{
    struct wf_event e[8];
    unsigned bits = 0;
    int n = wf_poller_wait(poller, e, 8, 0);
    CHECK(n >= 0);
    for (int i = 0; i < n; i++) {
        if (e[i].key != key) {
            test_fail(__FILE__, __LINE__, "an event for key %llu",
                      (unsigned long long)e[i].key);
        }
        bits |= e[i].ready;
    }
    return bits;
}

static int64_t now(void)
{
    struct timespec t;
    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &t), 0);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- modes -------------------------------------------------------------- */

TEST_PLAIN(an_edge_is_reported_once)
{
    open_with_pair();
    CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_EDGE, 0), 0);
    wf_poller_expect(poller, fds[0], WF_IN);
    CHECK_EQ(ready(5) & WF_IN, 0);
    put(fds[1]);
    CHECK_EQ(ready(5) & WF_IN, WF_IN);
    CHECK_EQ(ready(5), 0);
    close_with_pair();
}

TEST_PLAIN(what_arrives_after_an_edge_is_an_edge_again)
{
    open_with_pair();
    CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_EDGE, 0), 0);
    for (int i = 0; i < 5; i++) {
        wf_poller_expect(poller, fds[0], WF_IN);
        put(fds[1]);
        CHECK_EQ(ready(5) & WF_IN, WF_IN);
        drain(fds[0]);
        wf_poller_expect(poller, fds[0], WF_IN);
        CHECK_EQ(ready(5) & WF_IN, 0);
    }
    close_with_pair();
}

TEST_PLAIN(what_was_there_before_the_add_is_an_edge_too)
{
    open_with_pair();
    put(fds[1]);
    CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_EDGE, 0), 0);
    wf_poller_expect(poller, fds[0], WF_IN | WF_OUT);
    CHECK_EQ(ready(5) & (WF_IN | WF_OUT), WF_IN | WF_OUT);
    close_with_pair();
}

TEST_PLAIN(one_edge_registration_serves_both_ways)
{
    char junk[4096] = {0};
    open_with_pair();
    CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_EDGE, 0), 0);
    wf_poller_expect(poller, fds[0], WF_OUT);
    CHECK_EQ(ready(5) & WF_OUT, WF_OUT);
    while (write(fds[0], junk, sizeof junk) > 0) continue;
    wf_poller_expect(poller, fds[0], WF_IN | WF_OUT);
    CHECK_EQ(ready(5), 0);
    put(fds[1]);
    CHECK_EQ(ready(5), WF_IN);
    wf_poller_expect(poller, fds[0], WF_OUT);
    drain(fds[1]);
    CHECK_EQ(ready(5) & WF_OUT, WF_OUT);
    close_with_pair();
}

TEST_PLAIN(a_level_is_reported_as_long_as_there_is_something)
{
    open_with_pair();
    CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_LEVEL, WF_IN), 0);
    CHECK_EQ(ready(5), 0);
    put(fds[1]);
    for (int i = 0; i < 5; i++) CHECK_EQ(ready(5), WF_IN);
    drain(fds[0]);
    CHECK_EQ(ready(5), 0);
    put(fds[1]);
    CHECK_EQ(ready(5), WF_IN);
    close_with_pair();
}

TEST_PLAIN(a_level_can_be_turned_off_and_on)
{
    open_with_pair();
    put(fds[1]);
    CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_LEVEL, WF_IN), 0);
    CHECK_EQ(ready(5), WF_IN);
    CHECK_EQ(wf_poller_again(poller, fds[0], 5, WF_LEVEL, 0), 0);
    CHECK_EQ(ready(5), 0);
    CHECK_EQ(wf_poller_again(poller, fds[0], 6, WF_LEVEL, WF_IN), 0);
    CHECK_EQ(ready(6), WF_IN);
    close_with_pair();
}

TEST_PLAIN(once_is_one_event_and_then_none_until_again)
{
    open_with_pair();
    put(fds[1]);
    CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_ONCE, WF_IN), 0);
    CHECK_EQ(ready(5), WF_IN);
    put(fds[1]);
    CHECK_EQ(ready(5), 0);
    CHECK_EQ(ready(5), 0);
    CHECK_EQ(wf_poller_again(poller, fds[0], 6, WF_ONCE, WF_IN), 0);
    CHECK_EQ(ready(6), WF_IN);
    CHECK_EQ(ready(6), 0);
    CHECK_EQ(wf_poller_again(poller, fds[0], 7, WF_ONCE, WF_OUT), 0);
    CHECK_EQ(ready(7), WF_OUT);
    close_with_pair();
}

static void check_hangup(enum wf_poll_mode mode)
{
    open_with_pair();
    CHECK_EQ(wf_poller_add(poller, fds[0], 5, mode, WF_IN), 0);
    wf_poller_expect(poller, fds[0], WF_IN);
    (void)ready(5);
    wf_poller_expect(poller, fds[0], WF_IN);
    CHECK_EQ(close(fds[1]), 0);
    CHECK_EQ(ready(5) & WF_HUP, WF_HUP);
    fds[1] = dup(0);
    close_with_pair();
}

TEST_PLAIN(a_closed_peer_is_a_hangup_in_every_mode)
{
    check_hangup(WF_EDGE);
    check_hangup(WF_LEVEL);
    check_hangup(WF_ONCE);
}

/* ---- registration ------------------------------------------------------- */

TEST_PLAIN(a_descriptor_is_added_once)
{
    open_with_pair();
    CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_EDGE, 0), 0);
    CHECK_EQ(wf_poller_add(poller, fds[0], 6, WF_EDGE, 0), -EEXIST);
    wf_poller_expect(poller, fds[0], WF_IN);
    put(fds[1]);
    CHECK_EQ(ready(5) & WF_IN, WF_IN);
    close_with_pair();
}

TEST_PLAIN(a_regular_file_is_refused_as_always_ready)
{
    char path[] = "/tmp/weft-poller-XXXXXX";
    int file = mkstemp(path);
    CHECK(file >= 0);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(wf_poller_open(&poller), 0);
    CHECK_EQ(wf_poller_add(poller, file, 5, WF_EDGE, 0), -EPERM);
    CHECK_EQ(wf_poller_add(poller, file, 5, WF_ONCE, WF_IN), -EPERM);
    CHECK_EQ(ready(5), 0);
    CHECK_EQ(close(file), 0);
    wf_poller_close(poller);
}

TEST_PLAIN(a_closed_number_is_refused_and_one_not_added_is_not_found)
{
    open_with_pair();
    int closed = dup(fds[0]);
    CHECK_EQ(close(closed), 0);
    CHECK_EQ(wf_poller_add(poller, closed, 5, WF_EDGE, 0), -EBADF);
    CHECK_EQ(wf_poller_add(poller, -1, 5, WF_EDGE, 0), -EBADF);
    CHECK_EQ(wf_poller_again(poller, fds[0], 5, WF_ONCE, WF_IN), -ENOENT);
    wf_poller_remove(poller, fds[0]);
    CHECK_EQ(ready(5), 0);
    close_with_pair();
}

TEST_PLAIN(events_carry_the_key_of_the_registration_that_is_there_now)
{
    open_with_pair();
    put(fds[1]);
    for (uint64_t key = 1; key < 50; key++) {
        uint64_t wide = key << 32 | 0xffffffffu;
        CHECK_EQ(wf_poller_add(poller, fds[0], wide, WF_EDGE, 0), 0);
        wf_poller_expect(poller, fds[0], WF_IN);
        CHECK_EQ(ready(wide) & WF_IN, WF_IN);
        wf_poller_remove(poller, fds[0]);
        CHECK_EQ(ready(wide), 0);
    }
    close_with_pair();
}

TEST_PLAIN(a_number_used_again_has_nothing_of_the_one_before)
{
    open_with_pair();
    CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_EDGE, 0), 0);
    wf_poller_expect(poller, fds[0], WF_IN);
    put(fds[1]);
    wf_poller_remove(poller, fds[0]);
    int number = fds[0];
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(close(fds[1]), 0);
    system_nonblocking_pair(fds);
    CHECK_EQ(fds[0], number);
    CHECK_EQ(wf_poller_add(poller, fds[0], 6, WF_EDGE, 0), 0);
    wf_poller_expect(poller, fds[0], WF_IN);
    CHECK_EQ(ready(6) & (WF_IN | WF_HUP), 0);
    close_with_pair();
}

TEST_PLAIN(with_room_for_one_event_all_get_their_turn)
{
    enum { MANY = 20 };
    int pair[MANY][2];
    bool seen[MANY + 1] = {false};
    CHECK_EQ(wf_poller_open(&poller), 0);
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair[i]), 0);
        uint64_t key = (uint64_t)i + 1;
        CHECK_EQ(wf_poller_add(poller, pair[i][0], key, WF_EDGE, 0), 0);
        wf_poller_expect(poller, pair[i][0], WF_IN);
        put(pair[i][1]);
    }
    for (int i = 0; i < MANY; i++) {
        struct wf_event e;
        CHECK_EQ(wf_poller_wait(poller, &e, 1, 0), 1);
        CHECK(e.key >= 1 && e.key <= MANY && !seen[e.key]);
        seen[e.key] = true;
    }
    for (int i = 0; i < MANY; i++) {
        wf_poller_remove(poller, pair[i][0]);
        CHECK_EQ(close(pair[i][0]), 0);
        CHECK_EQ(close(pair[i][1]), 0);
    }
    wf_poller_close(poller);
}

/* ---- waiting ------------------------------------------------------------ */

TEST_PLAIN(a_wait_never_ends_early)
{
    static const int64_t waits[] = {1,       1000,    50000,   999999,
                                    1000000, 1000001, 1500000, 3700000};
    struct wf_event e;
    CHECK_EQ(wf_poller_open(&poller), 0);
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        int64_t start = now();
        CHECK_EQ(wf_poller_wait(poller, &e, 1, waits[i]), 0);
        CHECK(now() - start >= waits[i]);
    }
    wf_poller_close(poller);
}

static void *wake_soon(void *unused)
{
    struct timespec t = {0, 2000000};
    (void)unused;
    (void)nanosleep(&t, NULL);
    wf_poller_wake(poller);
    return NULL;
}

TEST_PLAIN(a_wake_from_another_thread_ends_a_wait_for_ever)
{
    struct wf_event e;
    pthread_t thread;
    CHECK_EQ(wf_poller_open(&poller), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pthread_create(&thread, NULL, wake_soon, NULL), 0);
        CHECK_EQ(wf_poller_wait(poller, &e, 1, INT64_MAX), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
    wf_poller_close(poller);
}

TEST_PLAIN(a_wake_before_the_wait_ends_that_one_and_no_other)
{
    struct wf_event e;
    CHECK_EQ(wf_poller_open(&poller), 0);
    for (int i = 0; i < 100000; i++) wf_poller_wake(poller);
    CHECK_EQ(wf_poller_wait(poller, &e, 1, INT64_MAX), 0);
    int64_t start = now();
    CHECK_EQ(wf_poller_wait(poller, &e, 1, 3000000), 0);
    CHECK(now() - start >= 3000000);
    wf_poller_close(poller);
}

TEST_PLAIN(a_wake_does_not_hide_what_is_ready)
{
    open_with_pair();
    CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_EDGE, 0), 0);
    wf_poller_expect(poller, fds[0], WF_IN);
    put(fds[1]);
    wf_poller_wake(poller);
    unsigned bits = ready(5);
    CHECK_EQ((bits | ready(5)) & WF_IN, WF_IN);
    close_with_pair();
}

static void wake_in_handler(int signo)
{
    (void)signo;
    wf_poller_wake(poller);
}

static void *signal_soon(void *arg)
{
    struct timespec t = {0, 2000000};
    (void)nanosleep(&t, NULL);
    CHECK_EQ(pthread_kill(*(pthread_t *)arg, SIGUSR1), 0);
    return NULL;
}

TEST_PLAIN(a_wake_from_a_signal_handler_ends_a_wait_for_ever)
{
    struct sigaction act = {.sa_handler = wake_in_handler,
                            .sa_flags = SA_RESTART};
    pthread_t thread, me = pthread_self();
    struct wf_event e;
    CHECK_EQ(wf_poller_open(&poller), 0);
    CHECK_EQ(sigaction(SIGUSR1, &act, NULL), 0);
    CHECK_EQ(pthread_create(&thread, NULL, signal_soon, &me), 0);
    CHECK_EQ(wf_poller_wait(poller, &e, 1, INT64_MAX), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(raise(SIGUSR1), 0); /* and before one */
    CHECK_EQ(wf_poller_wait(poller, &e, 1, INT64_MAX), 0);
    wf_poller_close(poller);
}
