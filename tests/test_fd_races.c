/* SPDX-License-Identifier: MIT */
/*
 * test_fd_races.c - a descriptor's number is used again under its waiters.
 *
 * WEFT_STRESS=n sets how many rounds; a million is a good many.
 */
#include <weft/io.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "sockets.h"

static int rounds(int usual)
{
    const char *stress = getenv("WEFT_STRESS");
    if (stress && atoi(stress) > 0) return atoi(stress);
    /* In each of many orders a few will do. */
    return test_is_slow() || test_order() ? usual / 50 : usual;
}

static bool coin(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 31;
}

/* A fiber that waits, round after round, on what it is told to. */
struct waiter {
    weft_fd fd;
    weft_fn wait;
    ssize_t want;
    int woken;
};

static int wait_over_and_over(void *arg)
{
    struct waiter *w = arg;
    struct call c = {.fd = w->fd};
    CHECK_EQ(w->wait(&c), 0);
    CHECK_EQ(c.result, w->want);
    w->woken++;
    return 0;
}

/* Closes old[0], which has waiters and perhaps octets, and opens a pair with
 * the same number. */
static void close_and_reopen(weft_fd old[2], weft_fd now[2])
{
    int number = weft_fd_number(old[0]);
    CHECK_EQ(weft_close(old[0]), 0);
    CHECK_EQ(weft_close(old[1]), 0);
    open_pair(now);
    CHECK_EQ(weft_fd_number(now[0]), number);
}

TEST(a_number_closed_and_reopened_crosses_no_wires)
{
    int count = rounds(100000);
    unsigned state = (unsigned)test_seed();
    weft_fd p[2];
    char buf[8];
    open_pair(p);
    for (int i = 0; i < count; i++) {
        struct waiter a = {p[0], read_some, -EBADF, 0};
        char mine = (char)(i % 128);
        weft_fd q[2];
        int rc;
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, wait_over_and_over, &a), 0);
            CHECK_EQ(weft_yield(), 0);
            if (coin(&state)) CHECK_EQ(weft_write(p[1], "old", 3), 3);
            close_and_reopen(p, q);
            if (coin(&state)) {
                CHECK_EQ(weft_write(q[1], &mine, 1), 1);
                CHECK_EQ(weft_read(q[0], buf, sizeof buf), 1);
                CHECK_EQ(buf[0], mine);
            }
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(a.woken, 1);
        CHECK_EQ(weft_try_read(q[0], buf, sizeof buf), -EAGAIN);
        p[0] = q[0];
        p[1] = q[1];
    }
    close_pair(p);
}

/* The new owner parks on the number while the old one's event is on its way. */
TEST(the_new_owner_of_a_number_is_woken_by_its_own_octets_only)
{
    int count = rounds(20000);
    weft_fd p[2];
    for (int i = 0; i < count; i++) {
        struct call fresh = {.turns = NULL};
        weft_fd q[2];
        int rc;
        open_pair(p);
        struct waiter a = {p[0], read_some, -EBADF, 0};
        struct waiter b = {p[0], write_much, -EBADF, 0};
        WEFT_NURSERY(n, rc) {
            (void)fill(p[0]);
            CHECK_EQ(weft_spawn(&n, wait_over_and_over, &a), 0);
            CHECK_EQ(weft_spawn(&n, wait_over_and_over, &b), 0);
            CHECK_EQ(weft_yield(), 0);
            CHECK_EQ(weft_write(p[1], "old", 3), 3);
            close_and_reopen(p, q);
            fresh.fd = q[0];
            CHECK_EQ(weft_spawn(&n, read_some, &fresh), 0);
            if (i % 64 == 0) settle();
            CHECK_EQ(weft_yield(), 0);
            CHECK(!fresh.returned);
            CHECK_EQ(weft_write(q[1], "new!", 4), 4);
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(a.woken + b.woken, 2);
        CHECK_EQ(fresh.result, 4);
        CHECK_EQ(memcmp(fresh.buf, "new!", 4), 0);
        close_pair(q);
    }
}

/* ---- two ready in one batch --------------------------------------------- */

struct closer {
    weft_fd mine, other; /* reads of the one, then closes the other */
    ssize_t result;
    weft_fd *reopen; /* or NULL */
};

static int read_and_close_other(void *arg)
{
    struct closer *c = arg;
    char buf[8];
    c->result = weft_read(c->mine, buf, sizeof buf);
    int err = weft_close(c->other);
    CHECK(err == 0 || err == -EBADF);
    if (err == 0 && c->reopen) open_pair(c->reopen);
    return 0;
}

/* Each of two fibers closes the other's descriptor when it is woken; the
 * octets for both come before one poll. The second may have been woken
 * already: it gets its octets or -EBADF, never anybody else's. */
static void check_batch(bool reopen)
{
    int count = rounds(5000);
    for (int i = 0; i < count; i++) {
        weft_fd p[2], q[2], r[2] = {{0, 0}, {0, 0}};
        int rc;
        open_pair(p);
        open_pair(q);
        struct closer a = {p[0], q[0], 0, reopen ? r : NULL};
        struct closer b = {q[0], p[0], 0, NULL};
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, read_and_close_other, &a), 0);
            CHECK_EQ(weft_spawn(&n, read_and_close_other, &b), 0);
            CHECK_EQ(weft_yield(), 0);
            CHECK_EQ(weft_write(p[1], "aaa", 3), 3);
            CHECK_EQ(weft_write(q[1], "bbbb", 4), 4);
        }
        CHECK_EQ(rc, 0);
        CHECK(a.result == 3 || a.result == -EBADF);
        CHECK(b.result == 4 || b.result == -EBADF);
        CHECK(a.result == 3 || b.result == 4);
        (void)weft_close(p[0]);
        (void)weft_close(q[0]);
        CHECK_EQ(weft_close(p[1]), 0);
        CHECK_EQ(weft_close(q[1]), 0);
        if (r[0].generation) {
            char c;
            CHECK_EQ(weft_try_read(r[0], &c, 1), -EAGAIN);
            close_pair(r);
        }
    }
}

TEST(the_first_of_a_batch_may_close_the_second)
{
    check_batch(false);
}

TEST(the_first_of_a_batch_may_close_the_second_and_reopen_its_number)
{
    check_batch(true);
}

/* ---- between the wake and the run --------------------------------------- */

/* The reader is made ready by its octets; before it runs its descriptor is
 * closed and the number opened again by another fiber, ready before it. */
TEST(a_number_reused_between_wake_and_run_is_not_read)
{
    int count = rounds(5000);
    for (int i = 0; i < count; i++) {
        weft_fd first[2], second[2], fresh[2] = {{0, 0}, {0, 0}};
        int rc;
        open_pair(first);
        open_pair(second);
        struct closer a = {first[0], second[0], 0, fresh};
        struct call b = {.fd = second[0]};
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, read_and_close_other, &a), 0);
            CHECK_EQ(weft_yield(), 0);
            CHECK_EQ(weft_spawn(&n, read_some, &b), 0);
            CHECK_EQ(weft_yield(), 0);
            CHECK_EQ(weft_write(first[1], "a", 1), 1);
            CHECK_EQ(weft_write(second[1], "bb", 2), 2);
            CHECK_EQ(weft_sleep(WEFT_USEC(1)), 0);
            CHECK(fresh[0].generation != 0);
            CHECK_EQ(weft_write(fresh[1], "ccc", 3), 3);
        }
        CHECK_EQ(rc, 0);
        CHECK(b.result == -EBADF || b.result == 2);
        char buf[8];
        CHECK_EQ(weft_read(fresh[0], buf, sizeof buf), 3);
        close_pair(fresh);
        CHECK_EQ(weft_close(first[0]), 0);
        CHECK_EQ(weft_close(first[1]), 0);
        CHECK_EQ(weft_close(second[1]), 0);
    }
}

/* ---- many places -------------------------------------------------------- */

TEST(generations_keep_hundreds_of_handles_apart)
{
    enum { MANY = 400 };
    static weft_fd p[MANY][2], old[MANY];
    unsigned state = (unsigned)test_seed();
    for (int i = 0; i < MANY; i++) open_pair(p[i]);
    for (int round = 0; round < rounds(20000); round++) {
        int i = (int)(state % MANY);
        char buf[4];
        (void)coin(&state);
        old[i] = p[i][0];
        close_pair(p[i]);
        open_pair(p[i]);
        CHECK_EQ(weft_try_read(old[i], buf, 4), -EBADF);
        CHECK_EQ(weft_try_write(p[i][1], "x", 1), 1);
        CHECK_EQ(weft_try_read(p[i][0], buf, 4), 1);
    }
    for (int i = 0; i < MANY; i++) close_pair(p[i]);
    for (int i = 0; i < MANY; i++) CHECK_EQ(weft_close(p[i][0]), -EBADF);
}
