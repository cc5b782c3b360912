/* SPDX-License-Identifier: MIT */
/* test_io.c - reading, writing and waiting: what is moved, and who waits. */
#include <weft/debug.h>
#include <weft/io.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "sockets.h"

/* ---- adopting ----------------------------------------------------------- */

TEST(an_adopted_descriptor_is_non_blocking_and_given_back_so)
{
    int fds[2];
    weft_fd a, b;
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(weft_fd_adopt(fds[0], &a), 0);
    CHECK_EQ(weft_fd_adopt(fds[1], &b), 0);
    CHECK_EQ(weft_fd_number(a), fds[0]);
    CHECK(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
    CHECK_EQ(weft_fd_release(a), fds[0]);
    CHECK_EQ(weft_fd_release(a), -EBADF);
    CHECK_EQ(weft_fd_number(a), -EBADF);
    CHECK(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
    CHECK_EQ(weft_fd_adopt(fds[0], &a), 0);
    CHECK_EQ(weft_close(a), 0);
    CHECK_EQ(weft_close(b), 0);
    CHECK_EQ(fcntl(fds[0], F_GETFL), -1);
}

TEST(what_is_not_open_cannot_be_adopted)
{
    weft_fd fd;
    int closed = dup(0);
    CHECK_EQ(close(closed), 0);
    CHECK_EQ(weft_fd_adopt(closed, &fd), -EBADF);
    CHECK_EQ(weft_fd_adopt(-1, &fd), -EBADF);
    CHECK_EQ(weft_fd_adopt(1 << 30, &fd), -EBADF);
}

TEST(a_zeroed_handle_is_no_descriptor)
{
    weft_fd none = {0, 0};
    char c = 'x';
    CHECK_EQ(weft_read(none, &c, 1), -EBADF);
    CHECK_EQ(weft_write(none, &c, 1), -EBADF);
    CHECK_EQ(weft_close(none), -EBADF);
}

/* ---- octets ------------------------------------------------------------- */

TEST(a_read_returns_what_is_there)
{
    weft_fd p[2];
    char buf[16];
    open_pair(p);
    CHECK_EQ(weft_write(p[0], "hello", 5), 5);
    CHECK_EQ(weft_read(p[1], buf, sizeof buf), 5);
    CHECK_EQ(memcmp(buf, "hello", 5), 0);
    CHECK_EQ(weft_write(p[1], "world", 5), 5);
    CHECK_EQ(weft_read(p[0], buf, 3), 3);
    CHECK_EQ(weft_read(p[0], buf + 3, 13), 2);
    CHECK_EQ(memcmp(buf, "world", 5), 0);
    close_pair(p);
}

TEST(a_short_read_does_not_lose_what_comes_next)
{
    weft_fd p[2];
    int rc;
    open_pair(p);
    for (int i = 0; i < 20; i++) {
        struct call r = {.fd = p[1]};
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, read_some, &r), 0);
            if (i % 3) settle();
            CHECK_EQ(weft_write(p[0], "abc", 3), 3);
            if (i % 2) settle();
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(r.result, 3);
    }
    close_pair(p);
}

TEST(vectors_are_read_and_written_in_order)
{
    weft_fd p[2];
    char a[3], b[4];
    struct iovec out[] = {{"abc", 3}, {"", 0}, {"defg", 4}};
    struct iovec in[] = {{a, sizeof a}, {b, sizeof b}};
    open_pair(p);
    CHECK_EQ(weft_writev(p[0], out, 3), 7);
    CHECK_EQ(weft_readv(p[1], in, 2), 7);
    CHECK_EQ(memcmp(a, "abc", 3), 0);
    CHECK_EQ(memcmp(b, "defg", 4), 0);
    close_pair(p);
}

static int readv_some(void *arg)
{
    struct call *c = arg;
    struct iovec in[] = {{c->buf, 2}, {c->buf + 2, 60}};
    return note_return(c, weft_readv(c->fd, in, 2));
}

TEST(a_vector_read_waits_as_a_read_does)
{
    weft_fd p[2];
    int rc;
    open_pair(p);
    struct call r = {.fd = p[1]};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, readv_some, &r), 0);
        settle();
        CHECK(!r.returned);
        CHECK_EQ(weft_write(p[0], "abcde", 5), 5);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(r.result, 5);
    CHECK_EQ(memcmp(r.buf, "abcde", 5), 0);
    close_pair(p);
}

TEST(try_calls_say_eagain_where_the_others_would_wait)
{
    weft_fd p[2];
    char c;
    open_pair(p);
    CHECK_EQ(weft_try_read(p[0], &c, 1), -EAGAIN);
    CHECK_EQ(weft_try_write(p[1], "x", 1), 1);
    CHECK_EQ(weft_try_read(p[0], &c, 1), 1);
    CHECK_EQ(weft_try_read(p[0], &c, 1), -EAGAIN);
    CHECK(fill(p[0]) > 0);
    CHECK_EQ(weft_try_write(p[0], "x", 1), -EAGAIN);
    CHECK_EQ(weft_close(p[1]), 0);
    CHECK_EQ(weft_try_write(p[0], "x", 1), -EPIPE);
    CHECK_EQ(weft_close(p[0]), 0);
}

TEST(a_try_read_sees_what_has_just_been_written)
{
    weft_fd p[2];
    char c;
    open_pair(p);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(weft_try_read(p[0], &c, 1), -EAGAIN);
        CHECK_EQ(weft_try_write(p[1], "x", 1), 1);
        CHECK_EQ(weft_try_read(p[0], &c, 1), 1);
    }
    close_pair(p);
}

static int writes_twice(void *arg)
{
    weft_fd fd = *(weft_fd *)arg;
    int err = weft_sleep(1);
    if (err == 0) err = (int)weft_write(fd, "a", 1) == 1 ? 0 : -EIO;
    if (err == 0) err = weft_sleep(WEFT_SEC(1));
    return err < 0 ? err : (int)weft_write(fd, "b", 1) - 1;
}

/* Once somebody has waited there the poller is asked, and not the descriptor. */
TEST(a_try_read_hears_of_what_comes_after_a_wait)
{
    weft_fd p[2];
    char c = 0;
    int rc, seen = 0;
    open_pair(p);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, writes_twice, &p[1]), 0);
        CHECK_EQ(weft_read(p[0], &c, 1), 1);
        for (int i = 0; i < 100 && !seen; i++) {
            seen = weft_try_read(p[0], &c, 1) == 1;
            CHECK_EQ(weft_sleep(WEFT_MSEC(100)), 0);
        }
    }
    CHECK_EQ(rc, 0);
    CHECK(seen && c == 'b');
    close_pair(p);
}

/* ---- all of it ---------------------------------------------------------- */

struct transfer {
    weft_fd fd;
    size_t len, step, done;
    int result;
    unsigned long sum;
};

static char octet(size_t at)
{
    return (char)(at * 7 + at / 251);
}

static int send_all(void *arg)
{
    struct transfer *t = arg;
    char *all = malloc(t->len);
    CHECK(all != NULL);
    for (size_t i = 0; i < t->len; i++) all[i] = octet(i);
    t->result = weft_write_all(t->fd, all, t->len, &t->done);
    free(all);
    return 0;
}

static int receive_slowly(void *arg)
{
    struct transfer *t = arg;
    char buf[4096];
    for (;;) {
        ssize_t n = weft_read(t->fd, buf, t->step);
        if (n <= 0) {
            t->result = (int)n;
            return 0;
        }
        for (ssize_t i = 0; i < n; i++)
            CHECK_EQ(buf[i], octet(t->done + (size_t)i));
        t->done += (size_t)n;
        if (t->done % 5 == 0) CHECK_EQ(weft_sleep(WEFT_USEC(10)), 0);
    }
}

TEST(a_big_write_goes_through_a_small_buffer_to_a_slow_reader)
{
    int small = 1, rc;
    weft_fd p[2];
    open_pair(p);
    CHECK_EQ(weft_setsockopt(p[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small),
             0);
    struct transfer w = {.fd = p[0], .len = test_is_slow() ? 50000 : 500000};
    struct transfer r = {.fd = p[1], .step = 1777};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, receive_slowly, &r), 0);
        CHECK_EQ(send_all(&w), 0);
        CHECK_EQ(weft_close(p[0]), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w.result, 0);
    CHECK_EQ(w.done, w.len);
    CHECK_EQ(r.result, 0);
    CHECK_EQ(r.done, w.len);
    CHECK_EQ(weft_close(p[1]), 0);
}

TEST(a_cancelled_write_all_says_how_much_went)
{
    weft_fd p[2];
    int rc;
    open_pair(p);
    struct transfer w = {.fd = p[0], .len = 4 << 20};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, send_all, &w), 0);
        settle();
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w.result, -ECANCELED);
    CHECK(w.done > 0 && w.done < w.len);
    CHECK_EQ(weft_close(p[0]), 0);
    struct transfer r = {.fd = p[1], .step = 4096};
    CHECK_EQ(receive_slowly(&r), 0);
    CHECK_EQ(r.done, w.done);
    CHECK_EQ(weft_close(p[1]), 0);
}

TEST(a_write_all_cancelled_before_it_began_has_written_nothing)
{
    weft_fd p[2];
    weft_scope s;
    size_t done = 99;
    char c;
    open_pair(p);
    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin(&s), 0);
    weft_scope_cancel(&s, 0, NULL);
    CHECK_EQ(weft_write_all(p[0], "abc", 3, &done), -ECANCELED);
    CHECK_EQ(done, 0);
    CHECK_EQ(weft_write(p[0], "abc", 3), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    CHECK_EQ(weft_try_read(p[1], &c, 1), -EAGAIN);
    close_pair(p);
}

TEST(a_write_all_to_a_peer_that_goes_away_says_how_much_went)
{
    weft_fd p[2];
    int rc;
    open_pair(p);
    struct transfer w = {.fd = p[0], .len = 4 << 20};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, send_all, &w), 0);
        settle();
        CHECK_EQ(weft_close(p[1]), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w.result, -EPIPE);
    CHECK(w.done > 0 && w.done < w.len);
    CHECK_EQ(weft_close(p[0]), 0);
}

static int read_exactly_10(void *arg)
{
    struct transfer *t = arg;
    char buf[10];
    t->done = 99;
    t->result = weft_read_exact(t->fd, buf, sizeof buf, &t->done);
    return 0;
}

TEST(read_exact_gathers_the_pieces)
{
    weft_fd p[2];
    int rc;
    open_pair(p);
    struct transfer r = {.fd = p[1]};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, read_exactly_10, &r), 0);
        for (int i = 0; i < 5; i++) {
            settle();
            CHECK_EQ(weft_write(p[0], "ab", 2), 2);
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(r.result, 0);
    CHECK_EQ(r.done, 10);
    close_pair(p);
}

TEST(read_exact_says_epipe_and_how_much_came_before_the_end)
{
    weft_fd p[2];
    open_pair(p);
    CHECK_EQ(weft_write(p[0], "abcd", 4), 4);
    CHECK_EQ(weft_close(p[0]), 0);
    struct transfer r = {.fd = p[1]};
    CHECK_EQ(read_exactly_10(&r), 0);
    CHECK_EQ(r.result, -EPIPE);
    CHECK_EQ(r.done, 4);
    CHECK_EQ(weft_close(p[1]), 0);
}

TEST(nothing_to_write_or_to_read_exactly_is_done_at_once)
{
    weft_fd p[2];
    size_t done = 99;
    open_pair(p);
    CHECK_EQ(weft_write_all(p[0], "", 0, &done), 0);
    CHECK_EQ(done, 0);
    done = 99;
    CHECK_EQ(weft_read_exact(p[0], NULL, 0, NULL), 0);
    CHECK_EQ(weft_read_exact(p[0], NULL, 0, &done), 0);
    CHECK_EQ(done, 0);
    close_pair(p);
}

/* ---- other kinds of file ------------------------------------------------ */

TEST(a_regular_file_never_parks)
{
    char path[] = "/tmp/weft-io-XXXXXX", buf[8];
    weft_fd f;
    weft_stats before, after;
    int file = mkstemp(path);
    CHECK(file >= 0);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(weft_fd_adopt(file, &f), 0);
    weft_stats_read(&before);
    CHECK_EQ(weft_write_all(f, "abcdef", 6, NULL), 0);
    CHECK_EQ(lseek(file, 0, SEEK_SET), 0);
    CHECK_EQ(weft_read(f, buf, sizeof buf), 6);
    CHECK_EQ(weft_read(f, buf, sizeof buf), 0);
    CHECK_EQ(weft_wait_ready(f, WEFT_READABLE) & WEFT_READABLE, WEFT_READABLE);
    CHECK_EQ(weft_wait_ready(f, WEFT_WRITABLE) & WEFT_WRITABLE, WEFT_WRITABLE);
    weft_stats_read(&after);
    CHECK_EQ(after.switches, before.switches);
    CHECK_EQ(weft_close(f), 0);
}

TEST(a_pipe_is_read_and_written_by_two_fibers)
{
    weft_fd p[2];
    int rc;
    open_pipe(p);
    struct transfer w = {.fd = p[1], .len = 300000};
    struct transfer r = {.fd = p[0], .step = 4096};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, receive_slowly, &r), 0);
        CHECK_EQ(send_all(&w), 0);
        CHECK_EQ(weft_close(p[1]), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(r.done, w.len);
    CHECK_EQ(weft_close(p[0]), 0);
}

TEST_FIFO(readers_of_a_datagram_socket_are_served_in_order)
{
    enum { READERS = 8 };
    weft_fd p[2];
    int turns = 0, rc;
    struct call r[READERS];
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_DGRAM, p), 0);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < READERS; i++) {
            r[i] = (struct call){.fd = p[1], .turns = &turns};
            CHECK_EQ(weft_spawn(&n, read_some, &r[i]), 0);
        }
        settle();
        for (int i = 0; i < READERS; i++) {
            char c = (char)('a' + i);
            CHECK_EQ(weft_write(p[0], &c, 1), 1);
            if (i == 2) settle(); /* some one by one, some in a bunch */
        }
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < READERS; i++) {
        CHECK_EQ(r[i].result, 1);
        CHECK_EQ(r[i].turn, i + 1);
        CHECK_EQ(r[i].buf[0], 'a' + i);
    }
    close_pair(p);
}
