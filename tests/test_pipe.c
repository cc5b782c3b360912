/* SPDX-License-Identifier: MIT */
/* test_pipe.c - pipes, without a name and with one. */
#include <weft/error.h>
#include <weft/file.h>
#include <weft/pipe.h>
#include <weft/testing.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "harness.h"
#include "open.h"
#include "sockets.h"
#include "system.h"

TEST(a_pipe_carries_octets_to_its_end)
{
    weft_fd ends[2];
    char got[8];
    CHECK_EQ(weft_pipe(ends), 0);
    for (int i = 0; i < 2; i++) {
        int number = weft_fd_number(ends[i]);
        CHECK_EQ(fcntl(number, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        CHECK_EQ(fcntl(number, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    }
    CHECK_EQ(weft_try_read(ends[0], got, sizeof got), -EAGAIN);
    CHECK_EQ(weft_write_all(ends[1], "text", 4, NULL), 0);
    CHECK_EQ(weft_close(ends[1]), 0);
    CHECK_EQ(weft_read_exact(ends[0], got, 4, NULL), 0);
    CHECK_EQ(weft_read(ends[0], got, sizeof got), 0);
    CHECK_EQ(weft_close(ends[0]), 0);
}

TEST(a_pipe_that_nobody_reads_is_epipe_and_no_signal)
{
    weft_fd ends[2];
    struct iovec two[2] = {{(void *)(uintptr_t) "a", 1},
                           {(void *)(uintptr_t) "b", 1}};
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    CHECK_EQ(weft_pipe(ends), 0);
    CHECK_EQ(weft_close(ends[0]), 0);
    CHECK_EQ(weft_write(ends[1], "x", 1), -EPIPE);
    CHECK_EQ(weft_writev(ends[1], two, 2), -EPIPE);
    CHECK_EQ(weft_close(ends[1]), 0);
}

TEST(a_full_pipe_is_waited_for)
{
    static char buf[65536];
    weft_fd ends[2];
    weft_nursery n;
    struct call c = {.returned = false};
    CHECK_EQ(weft_pipe(ends), 0);
    c.fd = ends[1];
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, write_much, &c), 0);
    settle();
    CHECK(!c.returned);
    for (size_t sum = 0; sum < 1 << 20;) {
        ssize_t more = weft_read(ends[0], buf, sizeof buf);
        CHECK(more > 0);
        sum += (size_t)more;
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c.result, 0);
    close_pair(ends);
}

TEST(without_free_numbers_there_is_no_pipe_and_none_is_left)
{
    weft_fd ends[2];
    struct rlimit was, few;
    int spare[2];
    system_pipe(spare);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &was), 0);
    few = was;
    few.rlim_cur = (rlim_t)(spare[0] > spare[1] ? spare[0] : spare[1]) + 1;
    CHECK_EQ(close(spare[1]), 0);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    int err = weft_pipe(ends);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &was), 0);
    CHECK_EQ(err, -EMFILE);
    CHECK_EQ(close(spare[0]), 0);
}

TEST_PLAIN(a_pipe_outside_a_run_is_refused)
{
    weft_fd ends[2];
    CHECK_EQ(weft_pipe(ends), -EPERM);
    CHECK_EQ(weft_fifo_open("/", WEFT_READABLE, ends), -EPERM);
}

/* ---- with a name -------------------------------------------------------- */

static char fifo[64];

static void make_fifo(void)
{
    (void)snprintf(fifo, sizeof fifo, "/tmp/weft-fifo-%ld", (long)getpid());
    (void)unlink(fifo);
    CHECK_EQ(mkfifo(fifo, 0600), 0);
}

TEST(a_named_pipe_that_is_no_such_is_named)
{
    weft_fd fd;
    make_fifo();
    CHECK_EQ(weft_fifo_open("/", WEFT_READABLE, &fd), -EINVAL);
    CHECK(strstr(weft_last_error()->msg, "open /: it is no pipe") != NULL);
    CHECK_EQ(weft_fifo_open("/dev/null", WEFT_WRITABLE, &fd), -EINVAL);
    CHECK_EQ(weft_fifo_open("/nowhere/x", WEFT_WRITABLE, &fd), -ENOENT);
    CHECK(strstr(weft_last_error()->msg, "/nowhere/x") != NULL);
    CHECK_EQ(weft_fifo_open(fifo, 0, &fd), -EINVAL);
    CHECK_EQ(weft_fifo_open(fifo, WEFT_READABLE | WEFT_WRITABLE, &fd), -EINVAL);
    CHECK_EQ(unlink(fifo), 0);
}

static int writes_into_it(void *arg)
{
    weft_fd fd;
    (void)arg;
    int err = weft_fifo_open(fifo, WEFT_WRITABLE, &fd);
    if (err < 0) return err;
    CHECK_EQ(weft_write_all(fd, "by name", 7, NULL), 0);
    CHECK_EQ(weft_close(fd), 0);
    return 0;
}

TEST(who_opens_a_named_pipe_to_write_waits_for_a_reader)
{
    weft_fd fd;
    weft_nursery n;
    char got[16];
    make_fifo();
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, writes_into_it, NULL), 0);
    CHECK_EQ(weft_sleep(WEFT_SEC(2)), 0);
    CHECK_EQ(weft_fifo_open(fifo, WEFT_READABLE, &fd), 0);
    CHECK_EQ(weft_wait_ready(fd, WEFT_READABLE) & WEFT_READABLE, WEFT_READABLE);
    CHECK_EQ(weft_read_exact(fd, got, 7, NULL), 0);
    CHECK_EQ(memcmp(got, "by name", 7), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_read(fd, got, 1), 0);
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(unlink(fifo), 0);
}

TEST(who_waits_for_a_reader_of_a_named_pipe_can_be_cancelled)
{
    weft_nursery n;
    make_fifo();
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, writes_into_it, NULL), 0);
    CHECK_EQ(weft_sleep(WEFT_SEC(2)), 0);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(unlink(fifo), 0);
}

#if defined(__linux__)
TEST(a_reader_of_a_named_pipe_waits_for_the_first_writer)
{
    weft_fd fd, to;
    weft_nursery n;
    struct call c = {.returned = false};
    make_fifo();
    CHECK_EQ(weft_fifo_open(fifo, WEFT_READABLE, &fd), 0);
    c.fd = fd;
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, wait_readable, &c), 0);
    settle();
    CHECK(!c.returned);
    CHECK_EQ(weft_fifo_open(fifo, WEFT_WRITABLE, &to), 0);
    CHECK_EQ(weft_close(to), 0); /* came and went */
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK(c.returned && c.result & WEFT_READABLE);
    CHECK_EQ(weft_read(fd, c.buf, 1), 0);
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(unlink(fifo), 0);
}
#endif
