/* SPDX-License-Identifier: MIT */
/* test_io_full.c - each call that sends waits while there is no room. */
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "sockets.h"

static ssize_t writes(weft_fd fd)
{
    return weft_write(fd, "abc", 3);
}

static ssize_t writes_pieces(weft_fd fd)
{
    struct iovec v[] = {{(char[]){"ab"}, 2}, {(char[]){"c"}, 1}};
    return weft_writev(fd, v, 2);
}

static ssize_t sends_a_message(weft_fd fd)
{
    struct iovec v = {(char[]){"abc"}, 3};
    const struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    return weft_sendmsg(fd, &m, 0);
}

struct sender {
    struct call call;
    ssize_t (*send)(weft_fd fd);
};

static int sends(void *arg)
{
    struct sender *s = arg;
    return note_return(&s->call, s->send(s->call.fd));
}

static void read_all_of(weft_fd fd, size_t len)
{
    static char junk[65536];
    while (len > 0) {
        ssize_t n = weft_read(fd, junk, len < sizeof junk ? len : sizeof junk);
        CHECK(n > 0);
        len -= (size_t)n;
    }
}

/* p[0] reads and p[1] writes. */
static void waits_for_room(weft_fd p[2], ssize_t (*send)(weft_fd fd))
{
    char text[4] = "";
    size_t before = fill(p[1]);
    struct sender s = {.call = {.fd = p[1]}, .send = send};
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, sends, &s), 0);
        settle();
        CHECK(!s.call.returned);
        read_all_of(p[0], before);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.call.result, 3);
    CHECK_EQ(weft_read(p[0], text, 3), 3);
    CHECK_STR(text, "abc");
}

/* Who is cancelled while there is no room has sent nothing. */
static void is_cancelled(weft_fd p[2], ssize_t (*send)(weft_fd fd))
{
    size_t before = fill(p[1]);
    struct sender s = {.call = {.fd = p[1]}, .send = send};
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, sends, &s), 0);
        settle();
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(s.call.result, -ECANCELED);
    read_all_of(p[0], before);
    CHECK_EQ(weft_try_read(p[0], &(char){0}, 1), -EAGAIN);
}

static void to_a_socket(ssize_t (*send)(weft_fd fd))
{
    weft_fd p[2];
    open_pair(p);
    waits_for_room(p, send);
    is_cancelled(p, send);
    close_pair(p);
}

static void to_a_pipe(ssize_t (*send)(weft_fd fd))
{
    weft_fd p[2];
    open_pipe(p);
    waits_for_room(p, send);
    is_cancelled(p, send);
    close_pair(p);
}

TEST_REAL(a_write_waits_for_room)
{
    to_a_socket(writes);
    to_a_pipe(writes);
}

TEST_REAL(a_write_of_pieces_waits_for_room)
{
    to_a_socket(writes_pieces);
    to_a_pipe(writes_pieces);
}

TEST(pieces_are_written_to_a_file_in_their_order)
{
    char name[] = "/tmp/weft-pieces-XXXXXX", text[4] = "";
    weft_fd file;
    int number = mkstemp(name);
    CHECK(number >= 0);
    CHECK_EQ(unlink(name), 0);
    CHECK_EQ(weft_fd_adopt(number, &file), 0);
    CHECK_EQ(writes_pieces(file), 3);
    CHECK_EQ(pread(number, text, sizeof text, 0), 3);
    CHECK_STR(text, "abc");
    CHECK_EQ(weft_close(file), 0);
}

TEST_REAL(a_message_waits_for_room)
{
    to_a_socket(sends_a_message);
}
