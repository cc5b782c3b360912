/* SPDX-License-Identifier: MIT */
/*
 * test_poller.c - what a poller reports, and when; the same for every one.
 *
 * Most tests say what is told at which call, and ask a kqueue of tests/kqueue to
 * be friendly for that; the last one takes it as it is.
 */
#include "reactor/poller.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "chance.h"
#include "harness.h"
#include "system.h"

static struct wf_poller *poller;
static int fds[2];

static void open_poller(void)
{
    CHECK_EQ(setenv("KQUEUE_HOSTILE", "0", 1), 0);
    CHECK_EQ(wf_poller_open(&poller), 0);
}

static void open_with_pair(void)
{
    open_poller();
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
    char rest[4096];
    while (read(fd, rest, sizeof rest) > 0) continue;
}

/* Polls without waiting: the bits reported for `key`, and for it alone. */
static unsigned ready_or_urgent(uint64_t key)
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

/* That data may be urgent, some pollers say more often than it is. */
static unsigned ready(uint64_t key)
{
    return ready_or_urgent(key) & (WF_IN | WF_OUT | WF_HUP);
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

TEST_PLAIN(once_is_one_event_for_both_ways)
{
    struct wf_event e[4];
    open_with_pair();
    put(fds[1]);
    for (uint64_t key = 5; key < 8; key++) {
        int err = key == 5 ? wf_poller_add(poller, fds[0], key, WF_ONCE,
                                           WF_IN | WF_OUT)
                           : wf_poller_again(poller, fds[0], key, WF_ONCE,
                                             WF_IN | WF_OUT);
        CHECK_EQ(err, 0);
        CHECK_EQ(wf_poller_wait(poller, e, 4, 0), 1);
        CHECK_EQ(e[0].key, key);
        CHECK_EQ(e[0].ready & (WF_IN | WF_OUT), WF_IN | WF_OUT);
        CHECK_EQ(ready(key), 0);
    }
    close_with_pair();
}

/* The other way has become ready since, and is not told. */
TEST_PLAIN(once_is_over_for_the_way_that_was_not_ready)
{
    open_with_pair();
    CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_ONCE, WF_IN | WF_OUT), 0);
    CHECK_EQ(ready(5), WF_OUT);
    put(fds[1]);
    CHECK_EQ(ready(5), 0);
    CHECK_EQ(wf_poller_again(poller, fds[0], 6, WF_ONCE, WF_OUT), 0);
    CHECK_EQ(ready(6), WF_OUT);
    CHECK_EQ(wf_poller_again(poller, fds[0], 7, WF_ONCE, WF_IN), 0);
    CHECK_EQ(ready(7), WF_IN);
    close_with_pair();
}

TEST_PLAIN(once_asked_for_again_is_of_what_is_asked_now)
{
    open_with_pair();
    CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_ONCE, WF_IN), 0);
    CHECK_EQ(ready(5), 0);
    CHECK_EQ(wf_poller_again(poller, fds[0], 6, WF_ONCE, WF_OUT), 0);
    put(fds[1]);
    CHECK_EQ(ready(6), WF_OUT);
    CHECK_EQ(ready(6), 0);
    close_with_pair();
}

TEST_PLAIN(a_mode_can_be_changed_by_again)
{
    open_with_pair();
    put(fds[1]);
    CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_LEVEL, WF_IN), 0);
    CHECK_EQ(ready(5), WF_IN);
    CHECK_EQ(ready(5), WF_IN);
    CHECK_EQ(wf_poller_again(poller, fds[0], 6, WF_ONCE, WF_IN), 0);
    CHECK_EQ(ready(6), WF_IN);
    CHECK_EQ(ready(6), 0);
    CHECK_EQ(wf_poller_again(poller, fds[0], 7, WF_EDGE, 0), 0);
    wf_poller_expect(poller, fds[0], WF_IN);
    CHECK_EQ(ready(7) & WF_IN, WF_IN);
    CHECK_EQ(ready(7), 0);
    CHECK_EQ(wf_poller_again(poller, fds[0], 8, WF_LEVEL, WF_IN), 0);
    CHECK_EQ(ready(8), WF_IN);
    CHECK_EQ(ready(8), WF_IN);
    close_with_pair();
}

TEST_PLAIN(who_expects_to_write_is_told_each_time_there_is_room)
{
    char junk[4096] = {0};
    open_with_pair();
    CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_EDGE, 0), 0);
    for (int i = 0; i < 3; i++) {
        while (write(fds[0], junk, sizeof junk) > 0) continue;
        wf_poller_expect(poller, fds[0], WF_OUT);
        wf_poller_expect(poller, fds[0], WF_OUT); /* another one does too */
        (void)ready(5); /* of an edge that was before */
        CHECK_EQ(ready(5), 0);
        drain(fds[1]);
        CHECK_EQ(ready(5) & WF_OUT, WF_OUT);
        CHECK_EQ(ready(5), 0);
    }
    close_with_pair();
}

/* ---- ends --------------------------------------------------------------- */

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

TEST_PLAIN(a_half_close_is_a_hangup_with_the_octets_before_it)
{
    char c;
    open_with_pair();
    CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_EDGE, 0), 0);
    wf_poller_expect(poller, fds[0], WF_IN);
    (void)ready(5);
    put(fds[1]);
    CHECK_EQ(shutdown(fds[1], SHUT_WR), 0);
    CHECK_EQ(ready(5) & (WF_IN | WF_HUP), WF_IN | WF_HUP);
    CHECK_EQ(read(fds[0], &c, 1), 1);
    CHECK_EQ(read(fds[0], &c, 1), 0);
    close_with_pair();
}

static void open_with_pipe(void)
{
    open_poller();
    CHECK_EQ(pipe(fds), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(fcntl(fds[i], F_SETFL, O_NONBLOCK), 0);
}

static void check_reader_goes(enum wf_poll_mode mode, bool before)
{
    char junk[4096] = {0};
    open_with_pipe();
    while (write(fds[1], junk, sizeof junk) > 0) continue;
    if (before) CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(wf_poller_add(poller, fds[1], 5, mode, WF_OUT), 0);
    wf_poller_expect(poller, fds[1], WF_OUT);
    if (!before) {
        CHECK_EQ(ready(5) & WF_OUT, 0);
        CHECK_EQ(close(fds[0]), 0);
    }
    CHECK_EQ(ready(5) & (WF_OUT | WF_HUP), WF_OUT | WF_HUP);
    if (mode != WF_LEVEL) CHECK_EQ(ready(5), 0);
    wf_poller_remove(poller, fds[1]);
    CHECK_EQ(ready(5), 0);
    fds[0] = fds[1];
    fds[1] = dup(0);
    close_with_pair();
}

TEST_PLAIN(who_writes_to_a_pipe_is_told_when_the_reader_goes_or_has_gone)
{
    check_reader_goes(WF_EDGE, false);
    check_reader_goes(WF_EDGE, true);
    check_reader_goes(WF_ONCE, false);
    check_reader_goes(WF_ONCE, true);
}

/* One wait for something else comes between. */
TEST_PLAIN(a_pipe_whose_reader_has_gone_is_told_of_each_time_one_expects)
{
    open_with_pipe();
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(wf_poller_add(poller, fds[1], 5, WF_EDGE, 0), 0);
    wf_poller_expect(poller, fds[1], WF_OUT);
    CHECK_EQ(ready(5) & WF_OUT, WF_OUT);
    CHECK_EQ(ready(5), 0);
    CHECK_EQ(wf_poller_again(poller, fds[1], 6, WF_ONCE, WF_OUT), 0);
    CHECK_EQ(ready(6) & (WF_OUT | WF_HUP), WF_OUT | WF_HUP);
    wf_poller_remove(poller, fds[1]);
    CHECK_EQ(wf_poller_add(poller, fds[1], 7, WF_EDGE, 0), 0);
    wf_poller_remove(poller, fds[1]); /* untold */
    CHECK_EQ(ready(7), 0);
    fds[0] = fds[1];
    fds[1] = dup(0);
    close_with_pair();
}

static void open_with_tcp(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    open_poller();
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    CHECK_EQ(listen(listener, 1), 0);
    CHECK_EQ(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    fds[1] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(fds[1], (struct sockaddr *)&at, sizeof at), 0);
    fds[0] = accept(listener, NULL, NULL);
    CHECK_EQ(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    CHECK_EQ(close(listener), 0);
}

/* A write filter of its own may tell the writer later than the reader. */
TEST_PLAIN(a_reset_is_news_for_both_sides)
{
    struct linger hard = {1, 0};
    char junk[4096] = {0};
    open_with_tcp();
    while (write(fds[0], junk, sizeof junk) > 0) continue;
    CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_EDGE, 0), 0);
    wf_poller_expect(poller, fds[0], WF_IN | WF_OUT);
    CHECK_EQ(ready(5), 0);
    CHECK_EQ(setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    CHECK_EQ(close(fds[1]), 0);
    CHECK_EQ(ready(5), WF_IN | WF_OUT | WF_HUP);
    fds[1] = dup(0);
    close_with_pair();
}

TEST_PLAIN(a_reset_is_news_for_the_side_that_was_not_asked_for_too)
{
    struct linger hard = {1, 0};
    open_with_tcp();
    CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_ONCE, WF_IN), 0);
    CHECK_EQ(setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    CHECK_EQ(close(fds[1]), 0);
    CHECK_EQ(ready(5), WF_IN | WF_OUT | WF_HUP);
    fds[1] = dup(0);
    close_with_pair();
}

TEST_PLAIN(urgent_data_is_told_with_what_can_be_read_before_it)
{
    char buf[64];
    open_with_tcp();
    CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_EDGE, 0), 0);
    wf_poller_expect(poller, fds[0], WF_IN);
    (void)ready(5);
    CHECK_EQ(send(fds[1], "before", 6, 0), 6);
    CHECK_EQ(send(fds[1], "!", 1, MSG_OOB), 1);
    CHECK_EQ(send(fds[1], "behind", 6, 0), 6);
    CHECK_EQ(ready_or_urgent(5) & (WF_IN | WF_PRI), WF_IN | WF_PRI);
    CHECK_EQ(read(fds[0], buf, sizeof buf), 6);
    CHECK_EQ(read(fds[0], buf, sizeof buf), 6);
    close_with_pair();
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
    open_poller();
    CHECK_EQ(wf_poller_add(poller, file, 5, WF_EDGE, 0), -EPERM);
    CHECK_EQ(wf_poller_add(poller, file, 5, WF_ONCE, WF_IN), -EPERM);
    CHECK_EQ(ready(5), 0);
    CHECK_EQ(close(file), 0);
    wf_poller_close(poller);
}

TEST_PLAIN(a_directory_is_refused_too)
{
    int dir = open("/", O_RDONLY | O_DIRECTORY);
    CHECK(dir >= 0);
    open_poller();
    CHECK_EQ(wf_poller_add(poller, dir, 5, WF_EDGE, 0), -EPERM);
    CHECK_EQ(wf_poller_add(poller, dir, 5, WF_ONCE, WF_IN), -EPERM);
    CHECK_EQ(wf_poller_add(poller, dir, 5, WF_LEVEL, WF_IN), -EPERM);
    wf_poller_remove(poller, dir);
    CHECK_EQ(close(dir), 0);
    wf_poller_close(poller);
}

TEST_PLAIN(each_end_of_a_pipe_can_be_registered_both_ways)
{
    open_with_pipe();
    CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_EDGE, 0), 0);
    wf_poller_expect(poller, fds[0], WF_IN);
    (void)ready(5);
    CHECK_EQ(wf_poller_add(poller, fds[1], 6, WF_EDGE, 0), 0);
    wf_poller_expect(poller, fds[1], WF_OUT);
    CHECK_EQ(ready(6) & WF_OUT, WF_OUT);
    wf_poller_remove(poller, fds[1]);
    put(fds[1]);
    CHECK_EQ(ready(5) & WF_IN, WF_IN);
    close_with_pair();
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

/* By close(2), with nobody told; the file lives on by another number. */
TEST_PLAIN(a_number_closed_behind_our_back_is_told_by_its_key_when_used_again)
{
    static const enum wf_poll_mode modes[] = {WF_EDGE, WF_LEVEL, WF_ONCE};
    for (int i = 0; i < 3; i++) {
        open_with_pair();
        CHECK_EQ(wf_poller_add(poller, fds[0], 5, modes[i], WF_IN), 0);
        wf_poller_expect(poller, fds[0], WF_IN);
        (void)ready(5);
        int number = fds[0];
        CHECK_EQ(close(fds[0]), 0);
        CHECK_EQ(close(fds[1]), 0);
        system_nonblocking_pair(fds);
        CHECK_EQ(fds[0], number);
        put(fds[1]);
        int err = wf_poller_again(poller, fds[0], 6, modes[i], WF_IN);
        if (err == -ENOENT)
            err = wf_poller_add(poller, fds[0], 6, modes[i], WF_IN);
        CHECK_EQ(err, 0);
        wf_poller_expect(poller, fds[0], WF_IN);
        CHECK_EQ(ready(6) & WF_IN, WF_IN);
        close_with_pair();
    }
}

TEST_PLAIN(a_high_number_is_as_good_as_a_low_one)
{
    open_with_pair();
    int high = fcntl(fds[0], F_DUPFD, 700);
    CHECK(high >= 700);
    CHECK_EQ(wf_poller_add(poller, fds[1], 6, WF_ONCE, WF_OUT), 0);
    CHECK_EQ(wf_poller_add(poller, high, 5, WF_ONCE, WF_IN), 0);
    CHECK_EQ(ready(6), WF_OUT);
    wf_poller_remove(poller, fds[1]);
    put(fds[1]);
    CHECK_EQ(ready(5), WF_IN);
    wf_poller_remove(poller, high);
    CHECK_EQ(close(high), 0);
    close_with_pair();
}

TEST_PLAIN(with_room_for_one_event_all_get_their_turn)
{
    enum { MANY = 20 };
    int pair[MANY][2];
    bool seen[MANY + 1] = {false};
    open_poller();
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
    open_poller();
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        int64_t start = now();
        CHECK_EQ(wf_poller_wait(poller, &e, 1, waits[i]), 0);
        CHECK(now() - start >= waits[i]);
    }
    wf_poller_close(poller);
}

static void check_waits_to_the_end(void)
{
    struct wf_event e;
    int64_t start = now();
    CHECK_EQ(wf_poller_wait(poller, &e, 1, 3000000), 0);
    CHECK(now() - start >= 3000000);
}

TEST_PLAIN(what_was_removed_ends_no_wait)
{
    static const enum wf_poll_mode modes[] = {WF_EDGE, WF_LEVEL, WF_ONCE};
    for (int i = 0; i < 3; i++) {
        open_with_pair();
        CHECK_EQ(wf_poller_add(poller, fds[0], 5, modes[i], WF_IN), 0);
        put(fds[1]);
        wf_poller_remove(poller, fds[0]);
        check_waits_to_the_end();
        close_with_pair();

        open_with_pipe();
        CHECK_EQ(close(fds[0]), 0);
        CHECK_EQ(wf_poller_add(poller, fds[1], 5, modes[i], WF_OUT), 0);
        wf_poller_remove(poller, fds[1]);
        check_waits_to_the_end();
        fds[0] = dup(fds[1]);
        close_with_pair();
    }
}

TEST_PLAIN(what_is_so_already_ends_a_wait_for_ever)
{
    struct wf_event e;
    open_with_pipe();
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(wf_poller_add(poller, fds[1], 5, WF_ONCE, WF_OUT), 0);
    CHECK_EQ(wf_poller_wait(poller, &e, 1, INT64_MAX), 1);
    CHECK_EQ(e.key, 5);
    check_waits_to_the_end(); /* and no other */
    wf_poller_remove(poller, fds[1]);
    fds[0] = dup(fds[1]);
    close_with_pair();
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
    open_poller();
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
    open_poller();
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
    open_poller();
    CHECK_EQ(sigaction(SIGUSR1, &act, NULL), 0);
    CHECK_EQ(pthread_create(&thread, NULL, signal_soon, &me), 0);
    CHECK_EQ(wf_poller_wait(poller, &e, 1, INT64_MAX), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(raise(SIGUSR1), 0); /* and before one */
    CHECK_EQ(wf_poller_wait(poller, &e, 1, INT64_MAX), 0);
    wf_poller_close(poller);
}

/* ---- by chance ---------------------------------------------------------- */

enum { PAIRS = 6, STEPS = 300, PATIENCE = 200 };

static struct subject {
    int fds[2];
    uint64_t key;
    enum wf_poll_mode mode;
    unsigned wants;
} subjects[PAIRS];

static void fresh(struct subject *s)
{
    static uint64_t keys;
    s->key = ++keys;
    s->mode = random_below(2) ? WF_EDGE : WF_ONCE;
    system_nonblocking_pair(s->fds);
}

static struct subject *with_key(uint64_t key)
{
    for (int i = 0; i < PAIRS; i++)
        if (subjects[i].key == key) return &subjects[i];
    test_fail(__FILE__, __LINE__, "an event for nobody, key %llu",
              (unsigned long long)key);
}

/* Until it is told of all it wants, all of which there is. */
static void check_is_told(struct subject *s)
{
    struct wf_event e[4];
    unsigned told = 0;
    for (int i = 0; i < PATIENCE && (told & s->wants) != s->wants; i++) {
        int n = wf_poller_wait(poller, e, 1 + random_below(4), 0);
        for (int j = 0; j < n; j++) {
            struct subject *of = with_key(e[j].key);
            if (of == s) told |= e[j].ready;
            if (of == s && s->mode == WF_ONCE)
                CHECK_EQ(wf_poller_again(poller, s->fds[0], s->key, WF_ONCE,
                                         s->wants & ~told),
                         0);
        }
    }
    CHECK_EQ(told & s->wants, s->wants);
}

/* Whatever the order and the number of events, and whoever else there is. */
TEST_PLAIN(what_there_is_is_told_to_who_expects_it)
{
    char junk[4096] = {0};
    random_begin(test_seed());
    CHECK_EQ(wf_poller_open(&poller), 0);
    for (int i = 0; i < PAIRS; i++) {
        struct subject *s = &subjects[i];
        fresh(s);
        CHECK_EQ(wf_poller_add(poller, s->fds[0], s->key, s->mode, 0), 0);
    }
    for (int step = 0; step < STEPS; step++) {
        struct subject *s = &subjects[random_below(PAIRS)];
        if (random_below(8) == 0) {
            wf_poller_remove(poller, s->fds[0]);
            CHECK_EQ(close(s->fds[0]), 0);
            CHECK_EQ(close(s->fds[1]), 0);
            fresh(s);
            CHECK_EQ(wf_poller_add(poller, s->fds[0], s->key, s->mode, 0), 0);
        }
        drain(s->fds[0]);
        s->wants = 1 + random_below(3u); /* WF_IN, WF_OUT or both */
        while (s->wants & WF_OUT && write(s->fds[0], junk, sizeof junk) > 0)
            continue;
        wf_poller_expect(poller, s->fds[0], s->wants);
        if (s->mode == WF_ONCE)
            CHECK_EQ(wf_poller_again(poller, s->fds[0], s->key, WF_ONCE,
                                     s->wants),
                     0);
        put(s->fds[1]);
        drain(s->fds[1]);
        check_is_told(s);
    }
    for (int i = 0; i < PAIRS; i++) {
        wf_poller_remove(poller, subjects[i].fds[0]);
        CHECK_EQ(close(subjects[i].fds[0]), 0);
        CHECK_EQ(close(subjects[i].fds[1]), 0);
    }
    wf_poller_close(poller);
}
