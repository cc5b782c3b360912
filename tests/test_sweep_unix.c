/* SPDX-License-Identifier: MIT */
/* test_sweep_unix.c - the sweep over passed descriptors, datagrams, terminals
 * and copies: none is left behind, and no octet lost or doubled. */
#include <weft/cleanup.h>
#include <weft/scope.h>
#include <weft/splice.h>
#include <weft/testing.h>
#include <weft/time.h>
#include <weft/tty.h>
#include <weft/unix.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "sockets.h"
#include "sweep.h"
#include "system.h"

static weft_fd ends[2], more[2];
static int passed[2]; /* of a pipe */
static size_t sent, got;

static bool open_ends(int type)
{
    memset(ends, 0, sizeof ends);
    memset(more, 0, sizeof more);
    sent = got = 0;
    return sweep_had(weft_socketpair(AF_UNIX, type, ends) == 0);
}

static void close_ends(void)
{
    for (int i = 0; i < 2; i++) {
        (void)weft_close(ends[i]);
        (void)weft_close(more[i]);
    }
}

static int but_not_gone(int rc)
{
    return rc == -EPIPE || rc == -ECONNRESET ? 0 : rc;
}

/* So that not all of it goes at once. */
static void narrow(weft_fd fd)
{
    const int octets = 2048;
    CHECK_EQ(setsockopt(weft_fd_number(fd), SOL_SOCKET, SO_SNDBUF, &octets,
                        sizeof octets),
             0);
}

/* --- descriptors: as numbers, as handles, and without room --- */

static int passes_three_times(void *arg)
{
    int rc = 0;
    (void)arg;
    for (int i = 0; i < 3 && rc == 0; i++) {
        rc = weft_unix_send_fds(ends[0], "octets", 6, passed, 2, NULL);
        if (rc == 0) sent++;
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
    }
    (void)weft_close(ends[0]);
    return but_not_gone(rc);
}

static ssize_t receives_one(size_t turn)
{
    char buf[6];
    int numbers[2];
    weft_fd handles[2];
    weft_unix_extra x = {.fds = turn == 0 ? numbers : NULL,
                         .handles = turn == 1 ? handles : NULL,
                         .room = 2};
    ssize_t n = weft_unix_recv(ends[1], buf, sizeof buf, &x);
    CHECK(n >= 0 || x.count == 0);
    for (size_t i = 0; i < x.count; i++) {
        if (x.fds)
            CHECK_EQ(close(numbers[i]), 0);
        else
            CHECK_EQ(weft_close(handles[i]), 0);
    }
    if (n > 0) got++;
    return n;
}

static int receives_all(void *arg)
{
    ssize_t n = 1;
    (void)arg;
    while (n > 0)
        n = receives_one(got % 3);
    (void)weft_close(ends[1]);
    return but_not_gone((int)n);
}

static void start_passing(weft_nursery *n)
{
    if (!open_ends(SOCK_STREAM)) return;
    system_pipe(passed);
    sweep_spawn(n, passes_three_times, NULL);
    sweep_spawn(n, receives_all, NULL);
}

/* All copies are closed by now: the pipe has come to its end. */
static void check_passing(void)
{
    char c;
    close_ends();
    if (passed[1] == 0) return; /* there was no memory to begin with */
    CHECK_EQ(close(passed[1]), 0);
    CHECK_EQ(read(passed[0], &c, 1), 0);
    CHECK_EQ(close(passed[0]), 0);
    passed[0] = passed[1] = 0;
}

SWEEP(no_passed_descriptor_is_left_behind, start_passing, check_passing, 0);

/* --- datagrams to an address whose queue is full --- */

static weft_addr place;
static char path[64];

/* More than a socket holds back. */
enum { DATAGRAMS = 12, OCTETS = 2000 };

static int sends_datagrams(void *arg)
{
    static const char text[OCTETS];
    const weft_unix_send_opts o = {.to = &place};
    ssize_t n = 0;
    (void)arg;
    for (int i = 0; i < DATAGRAMS && n >= 0; i++) {
        n = weft_unix_send(ends[0], text, OCTETS, &o);
        if (n >= 0) sent++;
    }
    return n == -ECONNREFUSED || n == -ENOENT ? 0 : n < 0 ? (int)n : 0;
}

static int receives_datagrams(void *arg)
{
    static char buf[OCTETS + 1];
    (void)arg;
    int rc = weft_sleep(WEFT_MSEC(5));
    while (rc == 0 && got < DATAGRAMS) {
        ssize_t n = weft_unix_recv(ends[1], buf, sizeof buf, NULL);
        if (n >= 0) got++;
        rc = n < 0 ? (int)n : 0;
        if (n >= 0) CHECK_EQ(n, OCTETS);
    }
    (void)weft_close(ends[1]);
    return rc;
}

static void start_datagrams(weft_nursery *n)
{
    memset(ends, 0, sizeof ends);
    memset(more, 0, sizeof more);
    sent = got = 0;
    (void)snprintf(path, sizeof path, "unix:/tmp/weft-sweep-%ld",
                   (long)getpid());
    bool had = weft_unix_datagram(&ends[0], NULL) == 0 &&
               weft_unix_datagram(&ends[1], path) == 0 &&
               weft_local_addr(ends[1], &place) == 0;
    if (!sweep_had(had)) return;
    narrow(ends[0]);
    sweep_spawn(n, sends_datagrams, NULL);
    sweep_spawn(n, receives_datagrams, NULL);
}

static void check_datagrams(void)
{
    close_ends();
    CHECK(got <= sent);
    (void)unlink(path + strlen("unix:"));
}

SWEEP(datagrams_wait_for_room_and_none_is_doubled, start_datagrams,
      check_datagrams, SWEEP_PEERS_MAY_WAIT);

/* --- a copy that is gone on with --- */

enum { LETTERS = 4000, PIECE = 500, LIMIT = 1800 };
static weft_relay relay;

static char letter(size_t i)
{
    return (char)('a' + (i + i / 251) % 26);
}

static int writes_letters(void *arg)
{
    static char all[LETTERS];
    int rc = 0;
    (void)arg;
    for (size_t i = 0; i < LETTERS; i++)
        all[i] = letter(i);
    while (rc == 0 && sent < LETTERS) {
        size_t done = 0;
        rc = weft_write_all(ends[0], all + sent, PIECE - sent % PIECE, &done);
        sent += done;
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
    }
    (void)weft_close(ends[0]);
    return but_not_gone(rc);
}

static void check_letters(const char *buf, size_t n)
{
    for (size_t i = 0; i < n; i++)
        CHECK_EQ(buf[i], letter(got + i));
    got += n;
}

/* Late, so that it comes to a halt before him. */
static int reads_letters(void *arg)
{
    char buf[1000];
    (void)arg;
    ssize_t n = weft_sleep(WEFT_MSEC(20));
    if (n == 0) n = 1;
    while (n > 0) {
        n = weft_read(more[1], buf, sizeof buf);
        if (n > 0) check_letters(buf, (size_t)n);
    }
    return but_not_gone((int)n);
}

static int relays(void *arg)
{
    uint64_t done = 0;
    int rc = weft_copy(&relay, ends[1], more[0], LIMIT, &done);
    (void)arg;
    CHECK(done <= LIMIT);
    if (rc == 0) rc = weft_copy(&relay, ends[1], more[0], WEFT_COPY_ALL, &done);
    if (rc == 0) CHECK_EQ(weft_relay_held(&relay), 0);
    if (rc == 0) (void)weft_close(more[0]);
    return but_not_gone(rc);
}

static void start_relay(weft_nursery *n)
{
    relay = (weft_relay){0};
    if (!open_ends(SOCK_STREAM)) return;
    if (!sweep_had(weft_socketpair(AF_UNIX, SOCK_STREAM, more) == 0)) return;
    narrow(ends[0]);
    narrow(more[0]);
    sweep_spawn(n, writes_letters, NULL);
    sweep_spawn(n, relays, NULL);
    sweep_spawn(n, reads_letters, NULL);
}

/* All that was sent is with the reader, under way to him, in the relay, or not
 * read yet; and in that order. */
static ssize_t try_read_of(weft_fd fd, char *buf, size_t len)
{
    int number = weft_fd_number(fd);
    return number < 0 ? 0 : recv(number, buf, len, MSG_DONTWAIT);
}

static void check_relay(void)
{
    char buf[1000];
    ssize_t n;
    size_t held;
    while ((n = try_read_of(more[1], buf, sizeof buf)) > 0)
        check_letters(buf, (size_t)n);
    while ((held = weft_relay_take(&relay, buf, sizeof buf)) > 0)
        check_letters(buf, held);
    while ((n = try_read_of(ends[1], buf, sizeof buf)) > 0)
        check_letters(buf, (size_t)n);
    CHECK_EQ(got, sent);
    weft_relay_end(&relay);
    close_ends();
}

SWEEP(a_copy_loses_no_octet_wherever_it_is_cancelled, start_relay, check_relay,
      SWEEP_PEERS_MAY_WAIT);

/* By way of pipes, and of ones that others share: through the buffer. */
static void start_relay_by_hand(weft_nursery *n)
{
    int fds[2] = {-1, -1};
    relay = (weft_relay){0};
    if (!open_ends(SOCK_STREAM)) return;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    bool had = weft_fd_adopt_shared(fds[0], &more[0]) == 0;
    if (!had) CHECK_EQ(close(fds[0]), 0);
    int err = weft_fd_adopt(fds[1], &more[1]);
    if (err < 0) CHECK_EQ(close(fds[1]), 0);
    if (!sweep_had(had && err == 0)) return;
    narrow(ends[0]);
    narrow(more[0]);
    sweep_spawn(n, writes_letters, NULL);
    sweep_spawn(n, relays, NULL);
    sweep_spawn(n, reads_letters, NULL);
}

SWEEP(a_copy_by_hand_loses_no_octet_either, start_relay_by_hand, check_relay,
      SWEEP_PEERS_MAY_WAIT);

/* --- a terminal in raw mode --- */

static int terminal = -1;
static struct termios before;

static weft_fd screen;

static int reads_a_key(void *arg)
{
    char key;
    ssize_t n = weft_read(screen, &key, 1);
    (void)arg;
    return (int)n;
}

/* No key comes: when one does is not the same from run to run. */
static int has_raw_keys(void *arg)
{
    weft_tty_mode mode;
    (void)arg;
    int rc = weft_std_open(terminal, &screen);
    if (rc < 0) return rc;
    rc = weft_tty_raw(screen, &mode);
    if (rc == 0) rc = weft_defer(weft_tty_restore, &mode);
    if (rc == 0) {
        rc = weft_with_timeout(WEFT_MSEC(3), reads_a_key, NULL);
        (void)weft_undefer(weft_tty_restore, &mode, true);
    }
    (void)weft_close(screen);
    return rc == -ETIMEDOUT ? 0 : rc;
}

static void start_raw(weft_nursery *n)
{
    memset(ends, 0, sizeof ends);
    memset(more, 0, sizeof more);
    terminal = -1;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0) return;
    CHECK_EQ(grantpt(master), 0);
    CHECK_EQ(unlockpt(master), 0);
    terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    CHECK(terminal >= 0);
    CHECK_EQ(tcgetattr(terminal, &before), 0);
    int err = weft_fd_adopt(master, &more[0]);
    if (err < 0) CHECK_EQ(close(master), 0);
    if (!sweep_had(err == 0)) return;
    sweep_spawn(n, has_raw_keys, NULL);
}

static void check_terminal(void)
{
    struct termios now;
    if (terminal < 0) return;
    /* Without its other side there is nothing to ask. */
    if (weft_fd_number(more[0]) >= 0) {
        CHECK_EQ(tcgetattr(terminal, &now), 0);
        CHECK_EQ(now.c_lflag, before.c_lflag);
        CHECK_EQ(now.c_iflag, before.c_iflag);
    }
    CHECK_EQ(close(terminal), 0);
    close_ends();
}

SWEEP(a_terminal_is_as_it_was, start_raw, check_terminal, SWEEP_PEERS_MAY_WAIT);
