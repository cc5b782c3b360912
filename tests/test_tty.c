/* SPDX-License-Identifier: MIT */
/* test_tty.c - terminals, and descriptors that others have too. */
#include <weft/cleanup.h>
#include <weft/stream.h>
#include <weft/testing.h>
#include <weft/tty.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness.h"
#include "open.h"
#include "sockets.h"
#include "system.h"

/* A terminal: `master` is the keyboard and the screen, adopted; `slave` is what
 * a program has as its standard input, blocking, and shared. */
struct terminal {
    weft_fd master;
    int slave;
};

static void open_terminal(struct terminal *t)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0) SKIP("no pseudo-terminals here");
    if (grantpt(master) < 0 || unlockpt(master) < 0)
        SKIP("no pseudo-terminals here");
    const char *name = ptsname(master);
    CHECK(name != NULL);
    t->slave = open(name, O_RDWR | O_NOCTTY);
    if (t->slave < 0) SKIP("the pseudo-terminal cannot be opened");
    CHECK_EQ(weft_fd_adopt(master, &t->master), 0);
}

static void close_terminal(struct terminal *t)
{
    CHECK_EQ(weft_close(t->master), 0);
    CHECK_EQ(close(t->slave), 0);
}

static void type(const struct terminal *t, const char *keys)
{
    CHECK_EQ(weft_write_all(t->master, keys, strlen(keys), NULL), 0);
}

static bool blocks(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    CHECK(flags >= 0);
    return !(flags & O_NONBLOCK);
}

static struct termios mode_of(int fd)
{
    struct termios mode;
    CHECK_EQ(tcgetattr(fd, &mode), 0);
    return mode;
}

/* ---- lines -------------------------------------------------------------- */

struct line {
    weft_fd fd;
    char text[32];
    ssize_t len;
};

static int reads_a_line(void *arg)
{
    struct line *l = arg;
    weft_stream s;
    const char *at;
    weft_stream_init(&s, l->fd);
    l->len = weft_stream_read_until(&s, '\n', sizeof l->text, &at);
    if (l->len > 0) memcpy(l->text, at, (size_t)l->len);
    weft_stream_fini(&s);
    return 0;
}

/* Both ways of having it read the same: opened again, and asked each time. */
static void lines_come(int (*open_it)(int, weft_fd *))
{
    struct terminal t;
    struct line l = {.len = 0};
    weft_nursery n;
    open_terminal(&t);
    CHECK(weft_is_tty(t.slave));
    CHECK_EQ(open_it(t.slave, &l.fd), 0);
    CHECK(blocks(t.slave));
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, reads_a_line, &l), 0);
    settle(); /* others run */
    type(&t, "a li");
    settle();
    CHECK_EQ(l.len, 0);
    type(&t, "ne\n");
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(l.len, 7);
    CHECK_EQ(memcmp(l.text, "a line\n", 7), 0);
    CHECK_EQ(weft_write_all(l.fd, "shown", 5, NULL), 0);
    CHECK(blocks(t.slave));
    CHECK_EQ(weft_close(l.fd), 0);
    CHECK(weft_is_tty(t.slave)); /* it is the caller's still */
    close_terminal(&t);
}

TEST(a_fiber_reads_a_line_while_others_run_and_the_terminal_blocks_still)
{
    lines_come(weft_std_open);
}

static int share_a_copy(int number, weft_fd *ret_fd)
{
    return weft_fd_adopt_shared(dup(number), ret_fd);
}

TEST(a_shared_terminal_is_asked_before_each_read)
{
    lines_come(share_a_copy);
}

TEST(who_waits_for_a_line_can_be_cancelled_and_the_line_is_the_next_ones)
{
    struct terminal t;
    struct line l = {.len = 0};
    weft_nursery n;
    open_terminal(&t);
    CHECK_EQ(weft_std_open(t.slave, &l.fd), 0);
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, reads_a_line, &l), 0);
    settle();
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(l.len, -ECANCELED);
    type(&t, "later\n");
    CHECK_EQ(reads_a_line(&l), 0);
    CHECK_EQ(l.len, 6);
    CHECK_EQ(weft_close(l.fd), 0);
    close_terminal(&t);
}

/* ---- its window and its mode -------------------------------------------- */

TEST(a_terminal_has_a_size_and_a_pipe_has_none)
{
    struct terminal t;
    weft_fd fd, ends[2];
    weft_tty_size size;
    open_terminal(&t);
    CHECK_EQ(weft_std_open(t.slave, &fd), 0);
    CHECK_EQ(weft_tty_set_size(t.master, (weft_tty_size){25, 132}), 0);
    CHECK_EQ(weft_tty_get_size(fd, &size), 0);
    CHECK_EQ(size.rows, 25);
    CHECK_EQ(size.columns, 132);
    CHECK_EQ(weft_tty_set_size(fd, (weft_tty_size){70000, 1}), -EINVAL);
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(weft_tty_get_size(fd, &size), -EBADF);
    open_pipe(ends);
    CHECK_EQ(weft_tty_get_size(ends[0], &size), -ENOTTY);
    CHECK_EQ(size.rows, 25);
    CHECK(!weft_is_tty(weft_fd_number(ends[0])));
    CHECK(!weft_is_tty(-1));
    close_pair(ends);
    close_terminal(&t);
}

TEST(raw_keys_come_at_once_and_the_mode_is_restored)
{
    struct terminal t;
    weft_fd fd;
    weft_tty_mode mode;
    char keys[8];
    open_terminal(&t);
    CHECK_EQ(weft_std_open(t.slave, &fd), 0);
    struct termios before = mode_of(t.slave);
    CHECK(before.c_lflag & ICANON);
    CHECK_EQ(weft_tty_raw(fd, &mode), 0);
    CHECK_EQ(mode_of(t.slave).c_lflag & (ICANON | ECHO | ISIG), 0);
    type(&t, "k\003");
    CHECK_EQ(weft_read_exact(fd, keys, 2, NULL), 0);
    CHECK_EQ(memcmp(keys, "k\003", 2), 0);
    CHECK_EQ(weft_close(fd), 0);
    weft_tty_restore(&mode); /* it has a descriptor of its own */
    CHECK_EQ(mode_of(t.slave).c_lflag, before.c_lflag);
    CHECK_EQ(mode_of(t.slave).c_iflag, before.c_iflag);
    CHECK_EQ(mode_of(t.slave).c_oflag, before.c_oflag);
    weft_tty_restore(&mode);
    close_terminal(&t);
}

static weft_tty_mode kept;

static int reads_keys(void *arg)
{
    char key;
    weft_fd fd;
    int err = weft_std_open(*(int *)arg, &fd);
    if (err == 0) err = weft_tty_raw(fd, &kept);
    if (err == 0) err = weft_defer(weft_tty_restore, &kept);
    while (err >= 0)
        err = (int)weft_read(fd, &key, 1);
    CHECK_EQ(weft_close(fd), 0);
    return err;
}

TEST(the_mode_is_restored_when_the_fiber_is_cancelled)
{
    struct terminal t;
    weft_nursery n;
    open_terminal(&t);
    struct termios before = mode_of(t.slave);
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, reads_keys, &t.slave), 0);
    settle();
    CHECK_EQ(mode_of(t.slave).c_lflag & ICANON, 0);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(mode_of(t.slave).c_lflag, before.c_lflag);
    close_terminal(&t);
}

TEST(what_is_no_terminal_has_no_raw_mode_and_nothing_to_restore)
{
    weft_fd ends[2];
    weft_tty_mode mode;
    open_pipe(ends);
    CHECK_EQ(weft_tty_raw(ends[0], &mode), -ENOTTY);
    weft_tty_restore(&mode);
    close_pair(ends);
    CHECK_EQ(weft_tty_raw(ends[0], &mode), -EBADF);
    weft_tty_restore(&mode);
}

TEST(a_terminal_that_hangs_up_ends_the_read)
{
    struct terminal t;
    weft_fd fd;
    char key;
    open_terminal(&t);
    CHECK_EQ(weft_std_open(t.slave, &fd), 0);
    CHECK_EQ(weft_close(t.master), 0);
    ssize_t n = weft_read(fd, &key, 1);
    CHECK(n == 0 || n == -EIO);
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(close(t.slave), 0);
}

/* ---- what is no terminal ------------------------------------------------ */

TEST(standard_input_that_is_a_pipe_blocks_still_and_is_waited_for)
{
    int ends[2];
    weft_fd fd;
    weft_nursery n;
    struct call c = {.returned = false};
    system_pipe(ends);
    CHECK_EQ(weft_std_open(ends[0], &fd), 0);
    CHECK(blocks(ends[0]));
    c.fd = fd;
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, read_some, &c), 0);
    settle();
    CHECK(!c.returned);
    CHECK_EQ(write(ends[1], "in", 2), 2);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK(c.result > 0);
    if (c.result == 1) CHECK_EQ(weft_read_exact(fd, c.buf, 1, NULL), 0);
    CHECK_EQ(close(ends[1]), 0);
    CHECK_EQ(weft_read(fd, c.buf, 1), 0);
    CHECK(blocks(ends[0]));
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(close(ends[0]), 0);
}

/* Theirs blocks and ours does not: it is another open file of the same. */
TEST(what_can_be_is_opened_once_more)
{
    struct terminal t;
    weft_fd fd;
    int ends[2];
    open_terminal(&t);
    CHECK_EQ(weft_std_open(t.slave, &fd), 0);
    CHECK(blocks(t.slave) && !blocks(weft_fd_number(fd)));
    CHECK_EQ(weft_close(fd), 0);
    close_terminal(&t);
#if defined(__linux__) && !defined(WF_SEAM_POSIX)
    system_pipe(ends);
    CHECK_EQ(weft_std_open(ends[0], &fd), 0);
    CHECK(blocks(ends[0]) && !blocks(weft_fd_number(fd)));
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
#else
    (void)ends;
#endif
}

TEST(standard_output_that_is_a_pipe_keeps_its_direction)
{
    int ends[2];
    weft_fd fd;
    char got[4];
    system_pipe(ends);
    CHECK_EQ(weft_std_open(ends[1], &fd), 0);
    CHECK_EQ(weft_write_all(fd, "out", 3, NULL), 0);
    CHECK_EQ(read(ends[0], got, 3), 3);
    CHECK_EQ(fcntl(weft_fd_number(fd), F_GETFL) & O_ACCMODE, O_WRONLY);
    CHECK(blocks(ends[1]));
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(weft_write(fd, "x", 1), -EPIPE);
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(close(ends[1]), 0);
}

TEST(standard_output_that_is_a_file_shares_its_position)
{
    char path[] = "/tmp/weft-std-XXXXXX", got[8];
    weft_fd fd;
    int file = mkstemp(path);
    CHECK(file >= 0);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(write(file, "ab", 2), 2);
    CHECK_EQ(weft_std_open(file, &fd), 0);
    CHECK_EQ(weft_write_all(fd, "cd", 2, NULL), 0);
    CHECK_EQ(write(file, "ef", 2), 2);
    CHECK_EQ(pread(file, got, sizeof got, 0), 6);
    CHECK_EQ(memcmp(got, "abcdef", 6), 0);
    CHECK(blocks(file));
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(close(file), 0);
}

TEST(the_master_of_a_terminal_is_not_opened_as_another_one)
{
    struct terminal t;
    weft_fd fd;
    char got[3];
    open_terminal(&t);
    CHECK_EQ(weft_std_open(weft_fd_number(t.master), &fd), 0);
    CHECK_EQ(write(t.slave, "own", 3), 3);
    CHECK_EQ(weft_read_exact(fd, got, 3, NULL), 0);
    CHECK_EQ(memcmp(got, "own", 3), 0);
    CHECK_EQ(weft_close(fd), 0);
    close_terminal(&t);
}

TEST(the_null_device_is_at_its_end)
{
    weft_fd fd;
    char c;
    int null = open("/dev/null", O_RDWR);
    CHECK(null >= 0);
    CHECK_EQ(weft_std_open(null, &fd), 0);
    CHECK_EQ(weft_read(fd, &c, 1), 0);
    CHECK_EQ(weft_write_all(fd, "x", 1, NULL), 0);
    CHECK_EQ(weft_close(fd), 0);
    CHECK_EQ(close(null), 0);
}

TEST(a_closed_descriptor_and_a_listener_are_refused)
{
    int ends[2];
    weft_fd fd, l;
    system_pipe(ends);
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
    CHECK_EQ(weft_std_open(ends[0], &fd), -EBADF);
    CHECK_EQ(weft_std_open(-1, &fd), -EBADF);
    CHECK_EQ(weft_listen(&l, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_std_open(weft_fd_number(l), &fd), -EINVAL);
    CHECK_EQ(weft_close(l), 0);
}

TEST_PLAIN(outside_a_run_nothing_is_opened)
{
    weft_fd fd;
    CHECK_EQ(weft_std_open(0, &fd), -EPERM);
    CHECK_EQ(weft_fd_adopt_shared(0, &fd), -EPERM);
}

/* ---- shared ones -------------------------------------------------------- */

struct shared {
    int theirs; /* it blocks, and another process has it too */
    weft_fd ours, other;
};

static void share(struct shared *s, bool socket, int mine)
{
    int ends[2];
    if (socket)
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    else
        CHECK_EQ(pipe(ends), 0);
    s->theirs = system_own(ends[mine]);
    CHECK_EQ(weft_fd_adopt_shared(system_own(dup(s->theirs)), &s->ours), 0);
    CHECK_EQ(weft_fd_adopt(system_own(ends[!mine]), &s->other), 0);
    CHECK(blocks(s->theirs));
}

static void end_shared(struct shared *s)
{
    CHECK(blocks(s->theirs));
    CHECK_EQ(close(s->theirs), 0);
    CHECK_EQ(weft_close(s->ours), 0);
    CHECK_EQ(weft_close(s->other), 0);
}

static void take_rest(const struct call *c, ssize_t of)
{
    char rest[8];
    CHECK(c->result > 0 && c->result <= of);
    CHECK_EQ(weft_read_exact(c->fd, rest, (size_t)(of - c->result), NULL), 0);
}

static void shared_reads_wait(bool socket)
{
    struct shared s;
    weft_nursery n;
    struct call c = {.returned = false};
    char got[8];
    struct iovec iov[2] = {{got, 0}, {got, 4}};
    share(&s, socket, 0);
    CHECK_EQ(weft_try_read(s.ours, got, sizeof got), -EAGAIN);
    c.fd = s.ours;
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, read_some, &c), 0);
    settle();
    CHECK_EQ(weft_write_all(s.other, "one", 3, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    take_rest(&c, 3);
    /* Somebody else was faster: it waits again, and holds up nobody. */
    open_nursery(&n, WEFT_FAIL_FAST);
    c.returned = false;
    CHECK_EQ(weft_spawn(&n, read_some, &c), 0);
    settle();
    CHECK_EQ(write(weft_fd_number(s.other), "two", 3), 3);
    CHECK_EQ(read(s.theirs, got, 3), 3);
    settle();
    CHECK(!c.returned);
    CHECK_EQ(weft_write_all(s.other, "four", 4, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    take_rest(&c, 4);
    CHECK_EQ(weft_write_all(s.other, "vect", 4, NULL), 0);
    CHECK(weft_readv(s.ours, iov, 2) > 0);
    end_shared(&s);
}

TEST(reads_of_a_shared_pipe_wait)
{
    shared_reads_wait(false);
}

TEST(reads_of_a_shared_socket_wait)
{
    shared_reads_wait(true);
}

static void shared_writes_wait(bool socket)
{
    static char buf[65536];
    struct shared s;
    weft_nursery n;
    struct call c = {.returned = false};
    struct iovec iov[2] = {{buf, 0}, {buf, 4}};
    share(&s, socket, 1);
    ssize_t first = weft_writev(s.ours, iov, 2);
    CHECK(first > 0 && first <= 4);
    c.fd = s.ours;
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, write_much, &c), 0);
    settle();
    CHECK(!c.returned);
    for (size_t sum = 0; sum < (1 << 20) + (size_t)first;) {
        ssize_t more = weft_read(s.other, buf, sizeof buf);
        CHECK(more > 0);
        sum += (size_t)more;
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(c.result, 0);
    end_shared(&s);
}

TEST(writes_to_a_shared_pipe_wait)
{
    shared_writes_wait(false);
}

TEST(writes_to_a_shared_socket_wait)
{
    shared_writes_wait(true);
}

TEST(a_shared_pipe_that_nobody_reads_is_epipe_and_no_signal)
{
    struct shared s;
    share(&s, false, 1);
    CHECK_EQ(weft_close(s.other), 0);
    CHECK_EQ(weft_write(s.ours, "x", 1), -EPIPE);
    CHECK_EQ(close(s.theirs), 0);
    CHECK_EQ(weft_close(s.ours), 0);
}
