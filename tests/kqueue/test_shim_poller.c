/* SPDX-License-Identifier: MIT */
/*
 * test_shim_poller.c - of reactor/poller_kqueue.c what tests/test_poller.c
 * cannot ask of every poller, against kqueues of many a mood.
 */
#include "reactor/poller.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/os.h"
#include "tests/harness.h"

enum { MOODS = 12 };

static struct wf_poller *poller;

static void open_poller(int mood)
{
    char seed[16];
    (void)snprintf(seed, sizeof seed, "%d", mood);
    CHECK_EQ(setenv("KQUEUE_SEED", seed, 1), 0);
    CHECK_EQ(setenv("KQUEUE_HOSTILE", mood == 0 ? "0" : "1", 1), 0);
    CHECK_EQ(wf_poller_open(&poller), 0);
}

/* All there is, of the one that is registered. */
static unsigned told(void)
{
    struct wf_event e[4];
    unsigned ready = 0;
    for (int n; (n = wf_poller_wait(poller, e, 4, 0)) > 0;)
        for (int i = 0; i < n; i++)
            ready |= e[i].ready;
    return ready;
}

/* Its write filter would fire each time the peer has read. */
TEST_PLAIN(who_does_not_expect_to_write_hears_nothing_of_room)
{
    int fds[2];
    for (int mood = 0; mood < MOODS; mood++) {
        open_poller(mood);
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_EDGE, 0), 0);
        CHECK_EQ(told(), 0);
        wf_poller_expect(poller, fds[0], WF_OUT);
        CHECK_EQ(told(), WF_OUT);
        for (int i = 0; i < 5; i++) {
            char c;
            CHECK_EQ(write(fds[0], "x", 1), 1);
            CHECK_EQ(read(fds[1], &c, 1), 1);
            CHECK_EQ(told(), 0);
        }
        wf_poller_remove(poller, fds[0]);
        CHECK_EQ(close(fds[0]), 0);
        CHECK_EQ(close(fds[1]), 0);
        wf_poller_close(poller);
    }
}

/* Some systems have no filter for the other direction, some a mute one. */
TEST_PLAIN(the_ends_of_a_pipe_are_registered_in_every_mood)
{
    int fds[2];
    for (int mood = 0; mood < MOODS; mood++) {
        open_poller(mood);
        CHECK_EQ(pipe(fds), 0);
        CHECK_EQ(wf_poller_add(poller, fds[1], 6, WF_EDGE, 0), 0);
        wf_poller_expect(poller, fds[1], WF_OUT);
        CHECK_EQ(told(), WF_OUT);
        CHECK_EQ(close(fds[0]), 0);
        wf_poller_expect(poller, fds[1], WF_OUT);
        CHECK_EQ(told() & WF_OUT, WF_OUT);
        wf_poller_remove(poller, fds[1]);
        CHECK_EQ(close(fds[1]), 0);
        CHECK_EQ(pipe(fds), 0);
        CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_ONCE, WF_IN | WF_OUT), 0);
        CHECK_EQ(told(), 0);
        CHECK_EQ(write(fds[1], "x", 1), 1);
        CHECK_EQ(told(), WF_IN);
        wf_poller_remove(poller, fds[0]);
        CHECK_EQ(close(fds[0]), 0);
        CHECK_EQ(close(fds[1]), 0);
        wf_poller_close(poller);
    }
}

/* What has no write filter is written to, and says what it says. */
TEST_PLAIN(without_a_filter_to_wait_for_one_is_told_at_once_each_time)
{
    int fds[2];
    open_poller(0);
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(wf_poller_add(poller, fds[1], 5, WF_EDGE, 0), 0);
    CHECK_EQ(told(), WF_OUT | WF_HUP);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(told(), 0);
        wf_poller_expect(poller, fds[1], WF_OUT);
        CHECK_EQ(told() & WF_OUT, WF_OUT);
    }
    wf_poller_remove(poller, fds[1]);
    CHECK_EQ(close(fds[1]), 0);
    wf_poller_close(poller);
}

TEST_PLAIN(what_has_no_filters_at_all_is_refused_as_always_ready)
{
    int null = open("/dev/null", O_RDWR);
    CHECK(null >= 0);
    for (int mood = 0; mood < MOODS; mood++) {
        open_poller(mood);
        CHECK_EQ(wf_poller_add(poller, null, 5, WF_EDGE, 0), -EPERM);
        CHECK_EQ(wf_poller_add(poller, null, 5, WF_ONCE, WF_OUT), -EPERM);
        CHECK_EQ(wf_poller_again(poller, null, 5, WF_ONCE, WF_OUT), -ENOENT);
        CHECK_EQ(told(), 0);
        wf_poller_close(poller);
    }
    CHECK_EQ(close(null), 0);
}

TEST_PLAIN(asked_again_of_a_closed_number_it_says_so)
{
    int fds[2];
    open_poller(0);
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_ONCE, WF_IN), 0);
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(wf_poller_again(poller, fds[0], 5, WF_ONCE, WF_IN), -EBADF);
    wf_poller_remove(poller, fds[0]);
    CHECK_EQ(close(fds[1]), 0);
    wf_poller_close(poller);
}

#ifdef WEFT_HOSTILE
/* Refused by the kernel it leaves nothing behind, and can be asked again. */
TEST_PLAIN(a_refused_change_changes_nothing)
{
    int fds[2];
    open_poller(0);
    CHECK_EQ(pipe(fds), 0);
    for (int i = 0; i < 3; i++) {
        wf_hostile_fail(WF_CALL_POLL_CTL, 1, false);
        CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_ONCE, WF_IN), -ENOMEM);
        CHECK_EQ(wf_poller_again(poller, fds[0], 5, WF_ONCE, WF_IN), -ENOENT);
        CHECK_EQ(wf_poller_add(poller, fds[0], 5, WF_ONCE, WF_IN), 0);
        wf_poller_remove(poller, fds[0]);
    }
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(close(fds[1]), 0);
    wf_poller_close(poller);
}

TEST_PLAIN(each_call_of_an_open_can_be_refused)
{
    static const enum wf_call calls[] = {WF_CALL_ALLOC, WF_CALL_POLL_OPEN,
                                         WF_CALL_FCNTL, WF_CALL_SOCKET,
                                         WF_CALL_POLL_CTL};
    for (int i = 0; i < 5; i++) {
        wf_hostile_fail(calls[i], 1, false);
        CHECK_EQ(wf_poller_open(&poller), -ENOMEM);
    }
}
#endif
