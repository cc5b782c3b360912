/* SPDX-License-Identifier: MIT */
/* test_splice_ways.c - a relay that is used for one pair after another, which
 * are not moved in the same way. */
#include <weft/file.h>
#include <weft/pipe.h>
#include <weft/scope.h>
#include <weft/splice.h>
#include <weft/testing.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "open.h"
#include "sockets.h"
#include "system.h"

/* One that shares its open file is copied from and to by hand. */
static void shared_pipe(weft_fd ends[2])
{
    int numbers[2];
    system_pipe(numbers);
    CHECK_EQ(weft_fd_adopt_shared(numbers[0], &ends[0]), 0);
    CHECK_EQ(weft_fd_adopt_shared(numbers[1], &ends[1]), 0);
}

static weft_fd a_file(const void *octets, size_t len)
{
    char path[] = "/tmp/weft-ways-XXXXXX";
    weft_fd fd;
    int number = mkstemp(path);
    CHECK(number >= 0);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(weft_fd_adopt(number, &fd), 0);
    CHECK_EQ(weft_file_pwrite(fd, octets, len, 0), len);
    return fd;
}

static void reads(weft_fd fd, const char *text)
{
    char got[32] = "";
    CHECK_EQ(weft_read_exact(fd, got, strlen(text), NULL), 0);
    CHECK_STR(got, text);
}

TEST(what_was_held_by_hand_goes_before_what_is_spliced)
{
    weft_fd from[2], dead[2], to[2], more[2];
    weft_relay r = {0};
    uint64_t done;
    shared_pipe(from);
    open_pair(dead);
    CHECK_EQ(weft_close(dead[1]), 0);
    CHECK_EQ(weft_write_all(from[1], "by hand,", 8, NULL), 0);
    CHECK_EQ(weft_copy(&r, from[0], dead[0], 8, &done), -EPIPE);
    CHECK_EQ(done, 0);
    CHECK_EQ(weft_relay_held(&r), 8);
    open_pair(more);
    open_pair(to);
    CHECK_EQ(weft_write_all(more[1], "by pipe", 7, NULL), 0);
    CHECK_EQ(weft_copy(&r, more[0], to[0], 15, &done), 0);
    CHECK_EQ(done, 15);
    reads(to[1], "by hand,by pipe");
    weft_relay_end(&r);
    close_pair(more);
    close_pair(to);
    close_pair(from);
    CHECK_EQ(weft_close(dead[0]), 0);
}

TEST(what_is_held_in_a_pipe_goes_before_a_file)
{
    weft_fd from[2], dead[2], to[2], file = a_file("of a file", 9);
    weft_relay r = {0};
    uint64_t done;
    open_pair(from);
    open_pair(dead);
    open_pair(to);
    CHECK_EQ(weft_close(dead[1]), 0);
    CHECK_EQ(weft_write_all(from[1], "held, ", 6, NULL), 0);
    CHECK_EQ(weft_copy(&r, from[0], dead[0], 6, &done), -EPIPE);
    CHECK_EQ(weft_relay_held(&r), 6);
    CHECK_EQ(weft_copy(&r, file, to[0], WEFT_COPY_ALL, &done), 0);
    CHECK_EQ(done, 15);
    reads(to[1], "held, of a file");
    weft_relay_end(&r);
    close_pair(from);
    close_pair(to);
    CHECK_EQ(weft_close(dead[0]), 0);
    CHECK_EQ(weft_close(file), 0);
}

/* ---- cancelled ----------------------------------------------------------- */

struct copying {
    weft_relay relay;
    weft_fd from, to;
    uint64_t done;
};

static int copies(void *arg)
{
    struct copying *c = arg;
    int err = weft_copy(&c->relay, c->from, c->to, WEFT_COPY_ALL, &c->done);
    CHECK_EQ(err, -ECANCELED);
    return err;
}

TEST(the_position_of_a_file_is_behind_what_went_and_what_is_held)
{
    static const char many[100000];
    struct copying c = {.from = a_file(many, sizeof many)};
    weft_fd to[2];
    weft_nursery n;
    shared_pipe(to);
    c.to = to[1];
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, copies, &c), 0);
    settle();
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK(c.done > 0);
    CHECK(c.done < sizeof many);
    CHECK_EQ(lseek(weft_fd_number(c.from), 0, SEEK_CUR),
             c.done + weft_relay_held(&c.relay));
    weft_relay_end(&c.relay);
    close_pair(to);
    CHECK_EQ(weft_close(c.from), 0);
}

/* ---- where another fiber writes ------------------------------------------ */

static void drain(weft_fd fd)
{
    static char junk[65536];
    while (weft_try_read(fd, junk, sizeof junk) > 0)
        continue;
}

/* There is room again, and who waited for it has not run since. */
static void is_busy(weft_fd from, bool of_a_file)
{
    weft_fd to[2];
    struct call c = {.returned = false};
    weft_relay r = {0};
    weft_nursery n;
    uint64_t done;
    open_pair(to);
    c.fd = to[0];
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, write_much, &c), 0);
    settle();
    drain(to[1]);
    CHECK_EQ(weft_copy(&r, from, to[0], 4, &done), -EBUSY);
    CHECK_EQ(done, 0);
    CHECK_EQ(weft_relay_held(&r), of_a_file ? 0 : 4);
    if (of_a_file) CHECK_EQ(weft_file_send(to[0], from, 0, 4, NULL), -EBUSY);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    weft_relay_end(&r);
    close_pair(to);
}

TEST(a_copy_does_not_write_between_what_another_fiber_writes)
{
    weft_fd from[2], file = a_file("file", 4);
    open_pair(from);
    CHECK_EQ(weft_write_all(from[1], "pair", 4, NULL), 0);
    is_busy(from[0], false);
    is_busy(file, true);
    close_pair(from);
    CHECK_EQ(weft_close(file), 0);
}

/* ---- urgent data ---------------------------------------------------------- */

/* A splice stops at the urgent mark and does not go on behind it. */
static void goes_past_the_mark(weft_fd from, weft_fd peer, uint64_t limit)
{
    weft_fd to[2];
    weft_relay r = {0};
    uint64_t done = 0;
    int rc, number = weft_fd_number(peer);
    open_pair(to);
    CHECK_EQ(send(number, "before ", 7, 0), 7);
    if (send(number, "!", 1, MSG_OOB) != 1) SKIP("no urgent data here");
    CHECK_EQ(send(number, "behind", 6, 0), 6);
    if (limit > 13) CHECK_EQ(weft_shutdown_write(peer), 0);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(200))
        rc = weft_copy(&r, from, to[0], limit, &done);
    CHECK_EQ(rc, 0);
    CHECK_EQ(done, 13);
    reads(to[1], "before behind");
    weft_relay_end(&r);
    close_pair(to);
}

TEST_REAL(a_copy_goes_on_behind_the_urgent_data_of_a_connection)
{
    weft_fd l, pair[2];
    weft_addr at;
    char text[WEFT_ADDR_TEXT];
    CHECK_EQ(weft_listen(&l, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_local_addr(l, &at), 0);
    CHECK_EQ(weft_dial(&pair[0], weft_addr_format(&at, text, sizeof text)), 0);
    CHECK_EQ(weft_accept(l, &pair[1], NULL), 0);
    CHECK_EQ(weft_close(l), 0);
    goes_past_the_mark(pair[0], pair[1], 13);
    goes_past_the_mark(pair[0], pair[1], WEFT_COPY_ALL);
    close_pair(pair);
}

TEST_REAL(a_copy_goes_on_behind_the_urgent_data_of_a_pair)
{
    weft_fd pair[2];
    open_pair(pair);
    goes_past_the_mark(pair[0], pair[1], 13);
    goes_past_the_mark(pair[0], pair[1], WEFT_COPY_ALL);
    close_pair(pair);
}
