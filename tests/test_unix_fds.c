/* SPDX-License-Identifier: MIT */
/* test_unix_fds.c - descriptors over Unix sockets: each that comes is told or
 * closed. That none is left behind the harness sees at the end of each test. */
#include <weft/error.h>
#include <weft/testing.h>
#include <weft/unix.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "harness.h"
#include "open.h"
#include "sockets.h"
#include "system.h"

static void says(const char *part)
{
    const weft_error *e = weft_last_error();
    CHECK(e != NULL);
    if (!strstr(e->msg, part))
        test_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", e->msg,
                  part);
}

static bool same_file(int a, int b)
{
    struct stat one, other;
    CHECK_EQ(fstat(a, &one), 0);
    CHECK_EQ(fstat(b, &other), 0);
    return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* As many of one pipe. */
static void fill_with(int *fds, size_t count, int fd)
{
    for (size_t i = 0; i < count; i++)
        fds[i] = fd;
}

static void passes(int type, const char *text)
{
    weft_fd pair[2];
    int ends[2], got[2];
    size_t len = strlen(text);
    char buf[8];
    CHECK_EQ(weft_socketpair(AF_UNIX, type, pair), 0);
    system_pipe(ends);
    size_t done = 77;
    CHECK_EQ(weft_unix_send_fds(pair[0], text, len, ends, 2, &done), 0);
    CHECK_EQ(done, len);
    weft_unix_extra x = {.fds = got, .room = 2};
    ssize_t n = weft_unix_recv(pair[1], buf, sizeof buf, &x);
    CHECK(type == SOCK_STREAM ? n > 0 : n == (ssize_t)len);
    CHECK_EQ(memcmp(buf, text, (size_t)n), 0);
    CHECK_EQ(x.count, 2);
    CHECK(!x.fds_lost && !x.truncated);
    for (int i = 0; i < 2; i++) {
        CHECK(got[i] != ends[i]);
        CHECK(same_file(got[i], ends[i])); /* and the sender has his */
        CHECK_EQ(fcntl(got[i], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        CHECK_EQ(close(got[i]), 0);
        CHECK_EQ(close(ends[i]), 0);
    }
    close_pair(pair);
}

TEST(descriptors_go_along_with_octets_on_a_stream)
{
    passes(SOCK_STREAM, "text");
}

TEST(descriptors_go_along_with_a_datagram)
{
    passes(SOCK_DGRAM, "text");
}

TEST(descriptors_go_along_with_a_message_of_a_connection)
{
    if (!system_has_seqpacket()) SKIP("no SOCK_SEQPACKET here");
    passes(SOCK_SEQPACKET, "text");
}

#if defined(__linux__)
TEST(descriptors_go_with_an_empty_datagram)
{
    passes(SOCK_DGRAM, "");
}
#endif

TEST(a_stream_needs_an_octet_for_descriptors_to_go_with)
{
    weft_fd pair[2];
    int ends[2];
    size_t done = 77;
    open_pair(pair);
    system_pipe(ends);
    CHECK_EQ(weft_unix_send_fds(pair[0], "", 0, ends, 2, &done), -EINVAL);
    says("not without an octet");
    CHECK_EQ(done, 0);
    close_pair(pair);
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
}

TEST(a_received_descriptor_is_adopted)
{
    weft_fd pair[2], pipe_ends[2];
    int ends[2];
    char buf[8];
    open_pair(pair);
    system_pipe(ends);
    CHECK_EQ(weft_unix_send_fds(pair[0], "x", 1, ends, 2, NULL), 0);
    weft_unix_extra x = {.handles = pipe_ends, .room = 2};
    CHECK_EQ(weft_unix_recv(pair[1], buf, sizeof buf, &x), 1);
    CHECK_EQ(x.count, 2);
    CHECK_EQ(weft_write_all(pipe_ends[1], "over", 4, NULL), 0);
    CHECK_EQ(weft_read_exact(pipe_ends[0], buf, 4, NULL), 0);
    close_pair(pipe_ends);
    close_pair(pair);
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
}

TEST(as_many_descriptors_go_as_the_system_allows_and_one_more_is_refused)
{
    enum { ALL = WEFT_UNIX_FDS };
    weft_fd pair[2];
    int ends[2], fds[ALL + 1], got[ALL];
    char c;
    open_pair(pair);
    system_pipe(ends);
    fill_with(fds, ALL + 1, ends[0]);
    CHECK_EQ(weft_unix_send_fds(pair[0], "x", 1, fds, ALL + 1, NULL), -EINVAL);
    says("pass 254 descriptors: 253");
    int err = weft_unix_send_fds(pair[0], "x", 1, fds, ALL, NULL);
    if (err == -ENOMEM) SKIP("this C library has room for fewer");
    CHECK_EQ(err, 0);
    weft_unix_extra x = {.fds = got, .room = ALL};
    CHECK_EQ(weft_unix_recv(pair[1], &c, 1, &x), 1);
    CHECK_EQ(x.count, ALL);
    CHECK(!x.fds_lost);
    for (int i = 0; i < ALL; i++)
        CHECK_EQ(close(got[i]), 0);
    close_pair(pair);
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
}

/* With room for fewer than come, for none, and nothing told of room. */
TEST(descriptors_without_room_are_closed_and_told)
{
    weft_fd pair[2];
    int ends[2], five[5], got[5] = {-1, -1, -1, -1, -1};
    char c;
    open_pair(pair);
    system_pipe(ends);
    fill_with(five, 5, ends[1]);
    for (size_t room = 0; room < 3; room++) {
        weft_unix_extra x = {.fds = room ? got : NULL, .room = room};
        CHECK_EQ(weft_unix_send_fds(pair[0], "x", 1, five, 5, NULL), 0);
        CHECK_EQ(weft_unix_recv(pair[1], &c, 1, &x), 1);
        CHECK_EQ(x.count, room);
        CHECK(x.fds_lost);
        for (size_t i = 0; i < room; i++)
            CHECK_EQ(close(got[i]), 0);
    }
    CHECK_EQ(got[2], -1);
    /* All copies are closed: the pipe has come to its end. */
    CHECK_EQ(close(ends[1]), 0);
    CHECK_EQ(read(ends[0], &c, 1), 0);
    CHECK_EQ(close(ends[0]), 0);
    close_pair(pair);
}

TEST(a_plain_read_leaves_no_descriptor_behind)
{
    weft_fd pair[2];
    int ends[2];
    char buf[8];
    open_pair(pair);
    system_pipe(ends);
    CHECK_EQ(weft_unix_send_fds(pair[0], "ab", 2, ends, 2, NULL), 0);
    CHECK_EQ(weft_read(pair[1], buf, 1), 1);
    CHECK_EQ(weft_read_exact(pair[1], buf, 1, NULL), 0);
    CHECK_EQ(weft_unix_send_fds(pair[0], "cd", 2, ends, 2, NULL), 0);
    CHECK(weft_unix_recv(pair[1], buf, sizeof buf, NULL) > 0);
    CHECK_EQ(close(ends[1]), 0);
    CHECK_EQ(read(ends[0], buf, 1), 0);
    CHECK_EQ(close(ends[0]), 0);
    close_pair(pair);
}

/* A read ends at a descriptor, and what is behind that brings no event. */
static int reads_three_letters(void *arg)
{
    const weft_fd *end = arg;
    char buf[16] = "";
    for (size_t got = 0; got < 3;) {
        ssize_t n = weft_read(*end, buf + got, sizeof buf - got);
        CHECK(n > 0);
        got += (size_t)n;
    }
    CHECK_STR(buf, "abc");
    return 0;
}

TEST(what_is_behind_a_descriptor_that_was_not_asked_for_is_read_too)
{
    weft_fd pair[2];
    int rc;
    open_pair(pair);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, reads_three_letters, &pair[1]), 0);
        CHECK_EQ(weft_sleep(1), 0); /* it waits, and knows of nothing */
        int fd = STDIN_FILENO;
        for (const char *at = "abc"; *at; at++)
            CHECK_EQ(weft_unix_send_fds(pair[0], at, 1, &fd, *at != 'c', NULL),
                     0);
        rc = weft_sleep(1);
    }
    CHECK_EQ(rc, 0);
    close_pair(pair);
}

TEST(descriptors_that_nobody_receives_are_closed_with_the_socket)
{
    weft_fd pair[2];
    int ends[2];
    char c;
    open_pair(pair);
    system_pipe(ends);
    CHECK_EQ(weft_unix_send_fds(pair[0], "ab", 2, &ends[1], 1, NULL), 0);
    CHECK_EQ(close(ends[1]), 0);
    close_pair(pair);
    CHECK_EQ(read(ends[0], &c, 1), 0);
    CHECK_EQ(close(ends[0]), 0);
}

TEST(two_passings_on_a_stream_do_not_mix)
{
    weft_fd pair[2];
    int ends[2], got[4];
    char buf[16];
    open_pair(pair);
    system_pipe(ends);
    CHECK_EQ(weft_write_all(pair[0], "plain", 5, NULL), 0);
    CHECK_EQ(weft_unix_send_fds(pair[0], "one", 3, &ends[0], 1, NULL), 0);
    CHECK_EQ(weft_unix_send_fds(pair[0], "two", 3, &ends[1], 1, NULL), 0);
    size_t octets = 0, fds = 0;
    while (octets < 11) {
        weft_unix_extra x = {.fds = got, .room = 4};
        ssize_t n = weft_unix_recv(pair[1], buf, sizeof buf, &x);
        CHECK(n > 0 && x.count <= 1);
        octets += (size_t)n;
        for (size_t i = 0; i < x.count; i++) {
            CHECK(same_file(got[i], ends[0]));
            CHECK_EQ(close(got[i]), 0);
            fds++;
        }
    }
    CHECK_EQ(octets, 11);
    CHECK_EQ(fds, 2);
    close_pair(pair);
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
}

TEST(a_descriptor_that_is_closed_is_named)
{
    weft_fd pair[2];
    int ends[2], gone;
    open_pair(pair);
    system_pipe(ends);
    gone = dup(ends[0]);
    CHECK_EQ(close(gone), 0);
    const int bad[3] = {ends[0], ends[1], -9};
    CHECK_EQ(weft_unix_send_fds(pair[0], "x", 1, bad, 3, NULL), -EBADF);
    says("pass descriptor -9, number 3 of 3");
    CHECK_EQ(weft_unix_send_fds(pair[0], "x", 1, &gone, 1, NULL), -EBADF);
    says("one is closed");
    close_pair(pair);
    CHECK_EQ(weft_unix_send_fds(pair[0], "x", 1, ends, 2, NULL), -EBADF);
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
}

TEST(numbers_and_handles_are_not_wanted_at_once)
{
    weft_fd pair[2], handle;
    int number;
    char c;
    open_pair(pair);
    weft_unix_extra x = {.fds = &number, .handles = &handle, .room = 1};
    CHECK_EQ(weft_write_all(pair[0], "x", 1, NULL), 0);
    CHECK_EQ(weft_unix_recv(pair[1], &c, 1, &x), -EINVAL);
    CHECK_EQ(weft_read(pair[1], &c, 1), 1);
    close_pair(pair);
}

/* ---- waiting, and being cancelled --------------------------------------- */

struct receiving {
    weft_fd fd;
    ssize_t result;
    weft_unix_extra x;
    int fds[4];
};

static int receives(void *arg)
{
    struct receiving *r = arg;
    char buf[8];
    r->x = (weft_unix_extra){.fds = r->fds, .room = 4, .count = 99};
    r->result = weft_unix_recv(r->fd, buf, sizeof buf, &r->x);
    return 0;
}

TEST(a_receiver_waits_for_descriptors_and_a_cancelled_one_gets_none)
{
    weft_fd pair[2];
    weft_nursery n;
    int ends[2];
    struct receiving first, second;
    open_pair(pair);
    system_pipe(ends);
    first.fd = second.fd = pair[1];
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, receives, &first), 0);
    settle();
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(first.result, -ECANCELED);
    CHECK_EQ(first.x.count, 0);

    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, receives, &second), 0);
    settle();
    CHECK_EQ(weft_unix_send_fds(pair[0], "x", 1, ends, 2, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(second.result, 1);
    CHECK_EQ(second.x.count, 2);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(close(second.fds[i]), 0);
        CHECK_EQ(close(ends[i]), 0);
    }
    close_pair(pair);
}

/* What was granted before is received, and told, although it is cancelled. */
TEST_FIFO(descriptors_that_came_before_the_cancellation_are_told)
{
    weft_fd pair[2];
    weft_nursery n;
    int ends[2];
    struct receiving r;
    open_pair(pair);
    system_pipe(ends);
    r.fd = pair[1];
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, receives, &r), 0);
    settle();
    CHECK_EQ(weft_unix_send_fds(pair[0], "x", 1, ends, 2, NULL), 0);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    if (r.result == -ECANCELED) {
        CHECK_EQ(r.x.count, 0);
    } else {
        CHECK_EQ(r.result, 1);
        CHECK_EQ(r.x.count, 2);
        CHECK_EQ(close(r.fds[0]), 0);
        CHECK_EQ(close(r.fds[1]), 0);
    }
    close_pair(pair);
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
}

static int sends_much_with_fds(void *arg)
{
    static const char much[1 << 20];
    struct call *c = arg;
    int ends[2];
    size_t done = 0;
    system_pipe(ends);
    c->result = weft_unix_send_fds(c->fd, much, sizeof much, ends, 2, &done);
    c->returned = true;
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
    if (c->result == 0) CHECK_EQ(done, sizeof much);
    if (c->result < 0) CHECK(done > 0 && done < sizeof much);
    return 0;
}

TEST(descriptors_go_with_the_first_of_many_octets)
{
    static char buf[65536];
    weft_fd pair[2];
    weft_nursery n;
    struct call c = {.returned = false};
    int got[4];
    open_pair(pair);
    c.fd = pair[0];
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, sends_much_with_fds, &c), 0);
    settle();
    CHECK(!c.returned);
    weft_unix_extra x = {.fds = got, .room = 4};
    ssize_t n1 = weft_unix_recv(pair[1], buf, 10, &x);
    CHECK(n1 > 0);
    CHECK_EQ(x.count, 2);
    CHECK_EQ(close(got[0]), 0);
    CHECK_EQ(close(got[1]), 0);
    size_t sum = (size_t)n1;
    while (sum < 1 << 20) {
        x = (weft_unix_extra){.fds = got, .room = 4};
        ssize_t more = weft_unix_recv(pair[1], buf, sizeof buf, &x);
        CHECK(more > 0);
        CHECK_EQ(x.count, 0);
        sum += (size_t)more;
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c.result, 0);
    close_pair(pair);
}

TEST(a_cancelled_sender_is_told_how_much_went)
{
    weft_fd pair[2];
    weft_nursery n;
    struct call c = {.returned = false};
    open_pair(pair);
    c.fd = pair[0];
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, sends_much_with_fds, &c), 0);
    settle();
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c.result, -ECANCELED);
    close_pair(pair);
}

/* ---- no numbers left ---------------------------------------------------- */

TEST(without_free_numbers_what_does_not_fit_is_closed_and_told)
{
    weft_fd pair[2];
    int ends[2], five[5], got[5], spare[2];
    struct rlimit was, few;
    char c;
    open_pair(pair);
    system_pipe(ends);
    fill_with(five, 5, ends[1]);
    CHECK_EQ(weft_unix_send_fds(pair[0], "x", 1, five, 5, NULL), 0);
    /* Two numbers are free below the limit. */
    system_pipe(spare);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &was), 0);
    few = was;
    few.rlim_cur = (rlim_t)(spare[0] > spare[1] ? spare[0] : spare[1]) + 1;
    CHECK_EQ(close(spare[0]), 0);
    CHECK_EQ(close(spare[1]), 0);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    weft_unix_extra x = {.fds = got, .room = 5};
    ssize_t n = weft_unix_recv(pair[1], &c, 1, &x);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &was), 0);
#if defined(__linux__)
    CHECK_EQ(n, 1);
    CHECK_EQ(x.fds_lost, x.count < 5);
    if (!test_is_slow()) /* Valgrind keeps the limit to itself */
        CHECK(x.count > 0 && x.count < 5);
#endif
    if (n < 0) CHECK_EQ(x.count, 0);
    for (size_t i = 0; i < x.count; i++)
        CHECK_EQ(close(got[i]), 0);
    close_pair(pair);
    CHECK_EQ(close(ends[1]), 0);
    CHECK_EQ(read(ends[0], &c, 1), 0); /* nobody has it any more */
    CHECK_EQ(close(ends[0]), 0);
}
