/* SPDX-License-Identifier: MIT */
/* test_shim.c - that the stand-in for kqueue(2) is hostile, when it is to be. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/harness.h"

enum { MANY = 8, TIMES = 2000 };

static int kq, fds[MANY][2];

static void open_all(const char *hostility, int flags)
{
    struct kevent c[2];
    CHECK_EQ(setenv("KQUEUE_HOSTILE", hostility, 1), 0);
    kq = kqueue();
    CHECK(kq >= 0);
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds[i]),
                 0);
        CHECK_EQ(write(fds[i][1], "x", 1), 1);
        uintptr_t fd = (uintptr_t)fds[i][0];
        EV_SET(&c[0], fd, EVFILT_READ, (uint16_t)(EV_ADD | flags), 0, 0, NULL);
        EV_SET(&c[1], fd, EVFILT_WRITE, (uint16_t)(EV_ADD | flags), 0, 0, NULL);
        CHECK_EQ(kevent(kq, c, 2, NULL, 0, NULL), 0);
    }
}

static void close_all(void)
{
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(close(fds[i][0]), 0);
        CHECK_EQ(close(fds[i][1]), 0);
    }
    CHECK_EQ(close(kq), 0);
}

static void set_seed(int seed)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%d", seed);
    CHECK_EQ(setenv("KQUEUE_SEED", text, 1), 0);
}

static int ask(struct kevent *events)
{
    static const struct timespec none = {0, 0};
    return kevent(kq, NULL, 0, events, 2 * MANY, &none);
}

TEST_PLAIN(a_friendly_one_tells_all_at_once_in_line)
{
    struct kevent e[2 * MANY];
    open_all("0", 0);
    for (int times = 0; times < TIMES; times++) {
        CHECK_EQ(ask(e), 2 * MANY);
        for (int i = 0; i < MANY; i++) {
            CHECK_EQ(e[i].filter, EVFILT_READ);
            CHECK_EQ(e[MANY + i].filter, EVFILT_WRITE);
        }
    }
    close_all();
}

TEST_PLAIN(a_hostile_one_tells_a_few_of_either_filter_in_no_order)
{
    struct kevent e[2 * MANY];
    int few = 0, all = 0, one_filter = 0, both = 0, disorder = 0;
    open_all("1", 0);
    for (int times = 0; times < TIMES; times++) {
        int n = ask(e), reads = 0, steps_back = 0;
        CHECK(n > 0); /* there is always something */
        for (int i = 0; i < n; i++) {
            reads += e[i].filter == EVFILT_READ;
            steps_back += i > 0 && e[i].ident < e[i - 1].ident;
        }
        few += n < 5;
        all += n == 2 * MANY;
        one_filter += n > 1 && (reads == 0 || reads == n);
        both += reads > 0 && reads < n;
        disorder += steps_back > 1;
    }
    CHECK(few > TIMES / 4);
    CHECK(all > 0);
    CHECK(one_filter > TIMES / 8);
    CHECK(both > 0);
    CHECK(disorder > TIMES / 8);
    close_all();
}

TEST_PLAIN(a_hostile_one_loses_nothing)
{
    struct kevent e[2 * MANY];
    for (int times = 0; times < 100; times++) {
        int told = 0;
        set_seed(times);
        open_all("1", EV_ONESHOT);
        for (int n; (n = ask(e)) > 0;)
            told += n;
        CHECK_EQ(told, 2 * MANY);
        close_all();
    }
}

TEST_PLAIN(a_hostile_one_fires_again_for_nothing)
{
    struct kevent e[2 * MANY];
    int told = 0;
    for (int times = 0; times < 100; times++) {
        set_seed(times);
        open_all("1", EV_CLEAR);
        for (int n; (n = ask(e)) > 0;)
            told += n;
        close_all();
    }
    CHECK(told > 100 * 2 * MANY);
    CHECK(told < 2 * 100 * 2 * MANY);
}

TEST_PLAIN(a_hostile_one_is_interrupted)
{
    const struct timespec brief = {0, 1000};
    struct kevent e;
    int interrupted = 0, over = 0;
    CHECK_EQ(setenv("KQUEUE_HOSTILE", "1", 1), 0);
    kq = kqueue();
    for (int times = 0; times < 200; times++) {
        int n = kevent(kq, NULL, 0, &e, 1, &brief);
        CHECK(n == 0 || (n == -1 && errno == EINTR));
        interrupted += n < 0;
        over += n == 0;
    }
    CHECK(interrupted > 0);
    CHECK(over > 0);
    CHECK_EQ(close(kq), 0);
}

TEST_PLAIN(one_that_lies_tells_of_reading_where_there_is_nothing)
{
    struct kevent e[2 * MANY];
    int lies = 0;
    char c;
    open_all("2", EV_CLEAR);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(read(fds[i][0], &c, 1), 1);
    for (int times = 0; times < TIMES; times++)
        for (int i = 0, n = ask(e); i < n; i++)
            lies += e[i].filter == EVFILT_READ && e[i].data == 0;
    CHECK(lies > 0);
    close_all();
}

/* How many events each of many calls has. */
static void draw(int seed, int counts[20])
{
    struct kevent e[2 * MANY];
    set_seed(seed);
    open_all("1", 0);
    for (int i = 0; i < 20; i++)
        counts[i] = ask(e);
    close_all();
}

TEST_PLAIN(the_same_seed_has_the_same_chances_and_another_one_others)
{
    int first[20], same[20], other[20];
    draw(7, first);
    draw(7, same);
    draw(8, other);
    CHECK_EQ(memcmp(first, same, sizeof first), 0);
    CHECK(memcmp(first, other, sizeof first) != 0);
}
