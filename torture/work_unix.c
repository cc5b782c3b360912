/* SPDX-License-Identifier: MIT */
/* work_unix.c - passed descriptors, terminals, copies. */
#include <weft.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "torture.h"

#define PATIENCE WEFT_SEC(1)

static int patient(void *fn)
{
    return weft_with_timeout(PATIENCE, *(weft_fn *)fn, NULL);
}

static int run_it(weft_fn fn)
{
    return weft_run(patient, &fn, NULL);
}

static weft_fd ends[2];

static void shut_ends(void)
{
    for (int i = 0; i < 2; i++) {
        if (ends[i].generation) (void)weft_close(ends[i]);
        ends[i] = (weft_fd){0};
    }
}

/* ---- messages ----------------------------------------------------------- */

static int pass_and_receive(const int pipe_ends[2])
{
    weft_fd handle;
    int number;
    char buf[8];
    size_t left = 4;
    weft_unix_extra x = {.handles = &handle, .room = 1};
    TRY(weft_unix_send_fds(ends[0], "pass", 4, pipe_ends, 1, NULL));
    ssize_t n = weft_unix_recv(ends[1], buf, sizeof buf, &x);
    TRY(n);
    /* It may be that it was not adopted: then it is closed, and told. */
    EXPECT(x.count == 1 || x.fds_lost);
    if (x.count == 1) (void)weft_close(handle);
    for (left -= (size_t)n; left > 0; left -= (size_t)n)
        TRY(n = weft_read(ends[1], buf, left));

    TRY(weft_unix_send_fds(ends[0], "two", 3, pipe_ends, 2, NULL));
    x = (weft_unix_extra){.fds = &number, .room = 1};
    n = weft_unix_recv(ends[1], buf, sizeof buf, &x);
    TRY(n);
    EXPECT(x.count == 1 && x.fds_lost);
    (void)close(number);
    return 0;
}

static int passes(void *arg)
{
    int fds[2];
    weft_unix_creds who;
    (void)arg;
    TRY(weft_socketpair(AF_UNIX, SOCK_STREAM, ends));
    EXPECT(pipe(fds) == 0);
    int rc = pass_and_receive(fds);
    if (rc == 0) rc = weft_unix_peer(ends[0], &who);
    if (rc == 0) EXPECT(who.uid == geteuid());
    shut_ends();
    (void)close(fds[0]);
    (void)close(fds[1]);
    return rc;
}

static int descriptors_are_passed(void)
{
    return run_it(passes);
}
WORK(descriptors_are_passed, MAY(0));

static int answer_by_address(const char *here)
{
    char buf[16];
    weft_addr to;
    weft_unix_extra x = {0};
    const weft_unix_send_opts o = {.to = &to};
    TRY(weft_unix_datagram(&ends[0], here));
    TRY(weft_unix_datagram(&ends[1], "unix:"));
    TRY(weft_unix_want_creds(ends[0], true));
    TRY(weft_local_addr(ends[0], &to));
    TRY(weft_unix_send(ends[1], "question", 8, &o));
    ssize_t n = weft_unix_recv(ends[0], buf, sizeof buf, &x);
    TRY(n);
    EXPECT(n == 8 && x.has_creds && x.creds.pid == getpid());
    to = x.from;
    TRY(weft_unix_send(ends[0], "answer", 6, &o));
    n = weft_unix_recv(ends[1], buf, sizeof buf, NULL);
    TRY(n);
    EXPECT(n == 6 && memcmp(buf, "answer", 6) == 0);
    return 0;
}

static int sends_datagrams(void *arg)
{
    char here[160];
    (void)arg;
    (void)snprintf(here, sizeof here, "unix:%s", work_path("here"));
    int rc = answer_by_address(here);
    shut_ends();
    return rc;
}

static int unix_datagrams(void)
{
    return run_it(sends_datagrams);
}
WORK(unix_datagrams, MAY(0));

static int meet_by_packets(const char *here)
{
    char buf[16];
    weft_fd listener;
    TRY(weft_unix_listen(&listener, here, SOCK_SEQPACKET, NULL));
    int rc = weft_unix_dial(&ends[0], here, SOCK_SEQPACKET);
    if (rc == 0) rc = weft_accept(listener, &ends[1], NULL);
    (void)weft_close(listener);
    TRY(rc);
    TRY(weft_unix_send(ends[0], "packet", 6, NULL));
    ssize_t n = weft_unix_recv(ends[1], buf, sizeof buf, NULL);
    TRY(n);
    EXPECT(n == 6);
    return 0;
}

static int sends_packets(void *arg)
{
    char here[160];
    (void)arg;
    (void)snprintf(here, sizeof here, "unix:%s", work_path("packets"));
    int rc = meet_by_packets(here);
    shut_ends();
    return rc;
}

static int unix_packets(void)
{
    return run_it(sends_packets);
}
WORK(unix_packets, MAY(ETIMEDOUT));

/* ---- copies ------------------------------------------------------------- */

enum { LETTERS = 3000 };
static char letters[LETTERS];
static weft_fd source[2], sink[2];
static weft_relay relay;

static void shut(weft_fd *fd)
{
    if (fd->generation) (void)weft_close(*fd);
    *fd = (weft_fd){0};
}

static int feeds(void *arg)
{
    (void)arg;
    int rc = weft_write_all(source[1], letters, LETTERS, NULL);
    shut(&source[1]);
    return rc;
}

static int drains(void *arg)
{
    char got[LETTERS + 1];
    size_t done = 0;
    (void)arg;
    int rc = weft_read_exact(sink[0], got, sizeof got, &done);
    EXPECT(memcmp(got, letters, done) == 0);
    shut(&sink[0]);
    if (rc == -EPIPE && done == LETTERS) return 0;
    return rc;
}

static int copy_between(weft_nursery *n)
{
    uint64_t done = 0;
    TRY(weft_spawn(n, feeds, NULL));
    TRY(weft_spawn(n, drains, NULL));
    int rc = weft_copy(&relay, source[0], sink[1], WEFT_COPY_ALL, &done);
    if (rc == 0) EXPECT(done == LETTERS);
    shut(&sink[1]);
    return rc;
}

static int copy_all(void)
{
    weft_nursery n;
    for (int i = 0; i < LETTERS; i++)
        letters[i] = (char)('a' + i % 26);
    relay = (weft_relay){0};
    int rc = weft_nursery_open(&n, NULL);
    if (rc == 0) rc = weft_nursery_close(&n, copy_between(&n));
    weft_relay_end(&relay);
    for (int i = 0; i < 2; i++) {
        shut(&source[i]);
        shut(&sink[i]);
    }
    return rc;
}

static int copies_between_sockets(void *arg)
{
    (void)arg;
    TRY(weft_socketpair(AF_UNIX, SOCK_STREAM, source));
    int rc = weft_pipe(sink);
    if (rc < 0) {
        shut(&source[0]);
        shut(&source[1]);
        return rc;
    }
    return copy_all();
}

static int octets_are_spliced(void)
{
    return run_it(copies_between_sockets);
}
WORK(octets_are_spliced, MAY(EPIPE));

/* One of them blocks, so that they go through the buffer. */
static int copies_by_hand(void *arg)
{
    int fds[2];
    (void)arg;
    EXPECT(pipe(fds) == 0);
    int rc = weft_fd_adopt_shared(fds[0], &source[0]);
    if (rc < 0) (void)close(fds[0]);
    int err = weft_fd_adopt(fds[1], &source[1]);
    if (err < 0) (void)close(fds[1]);
    if (rc == 0) rc = err;
    if (rc == 0) rc = weft_pipe(sink);
    if (rc == 0) return copy_all();
    shut(&source[0]);
    shut(&source[1]);
    return rc;
}

static int octets_are_copied(void)
{
    return run_it(copies_by_hand);
}
WORK(octets_are_copied, MAY(EPIPE));

/* The peer has gone: what is held is taken by hand, or goes elsewhere. */
static int go_elsewhere(void)
{
    char got[8];
    uint64_t done;
    TRY(weft_write_all(source[1], "held", 4, NULL));
    shut(&sink[0]);
    int rc = weft_copy(&relay, source[0], sink[1], 4, &done);
    if (rc != -EPIPE) {
        EXPECT(rc < 0);
        return rc;
    }
    size_t held = weft_relay_held(&relay);
    EXPECT(held > 0 && held <= 4);
    EXPECT(weft_relay_take(&relay, got, 1) == 1 && got[0] == 'h');
    weft_fd file;
    TRY(weft_file_open(work_path("copied"), O_CREAT | O_RDWR, 0600, &file));
    shut(&source[1]);
    rc = weft_copy(&relay, source[0], file, WEFT_COPY_ALL, &done);
    if (rc == 0) EXPECT(done == 3);
    (void)weft_close(file);
    return rc;
}

static int keeps_what_it_has(void *arg)
{
    (void)arg;
    relay = (weft_relay){0};
    TRY(weft_socketpair(AF_UNIX, SOCK_STREAM, source));
    int rc = weft_socketpair(AF_UNIX, SOCK_STREAM, sink);
    if (rc == 0) rc = go_elsewhere();
    weft_relay_end(&relay);
    for (int i = 0; i < 2; i++) {
        shut(&source[i]);
        shut(&sink[i]);
    }
    return rc;
}

static int a_relay_keeps_what_it_has(void)
{
    return run_it(keeps_what_it_has);
}
WORK(a_relay_keeps_what_it_has, MAY(EPIPE));

static int copies_a_file(void *arg)
{
    weft_fd file;
    uint64_t done;
    char got[4];
    (void)arg;
    int fd = open(work_path("source"), O_CREAT | O_RDWR, 0600);
    EXPECT(fd >= 0 && write(fd, "file", 4) == 4 && lseek(fd, 0, SEEK_SET) == 0);
    int rc = weft_fd_adopt(fd, &file);
    if (rc < 0) {
        (void)close(fd);
        return rc;
    }
    relay = (weft_relay){0};
    rc = weft_socketpair(AF_UNIX, SOCK_STREAM, sink);
    if (rc == 0) rc = weft_copy(&relay, file, sink[1], WEFT_COPY_ALL, &done);
    if (rc == 0) rc = weft_read_exact(sink[0], got, 4, NULL);
    if (rc == 0) EXPECT(done == 4 && memcmp(got, "file", 4) == 0);
    weft_relay_end(&relay);
    shut(&sink[0]);
    shut(&sink[1]);
    (void)weft_close(file);
    return rc;
}

static int a_file_is_copied(void)
{
    return run_it(copies_a_file);
}
WORK(a_file_is_copied, MAY(0));

/* ---- terminals, and what is shared -------------------------------------- */

static int use_terminal(int number)
{
    weft_fd tty;
    weft_tty_mode mode;
    weft_tty_size size;
    char key;
    TRY(weft_std_open(number, &tty));
    int rc = weft_tty_set_size(tty, (weft_tty_size){24, 80});
    if (rc == 0) rc = weft_tty_get_size(tty, &size);
    if (rc == 0) EXPECT(size.rows == 24 && size.columns == 80);
    if (rc == 0) rc = weft_tty_raw(tty, &mode);
    if (rc == 0) {
        rc = weft_write_all(ends[0], "k", 1, NULL);
        if (rc == 0) rc = (int)weft_read(tty, &key, 1);
        weft_tty_restore(&mode);
    }
    (void)weft_close(tty);
    return rc < 0 ? rc : 0;
}

static int has_a_terminal(void *arg)
{
    (void)arg;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    EXPECT(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    EXPECT(slave >= 0);
    int rc = weft_fd_adopt(master, &ends[0]);
    if (rc < 0)
        (void)close(master);
    else
        rc = use_terminal(slave);
    shut_ends();
    (void)close(slave);
    return rc;
}

static int a_terminal(void)
{
    return run_it(has_a_terminal);
}
WORK(a_terminal, MAY(0));

static int talk_shared(int blocking)
{
    weft_fd shared;
    char got[4];
    struct iovec in = {got, 1}, out = {(void *)(uintptr_t) "v", 1};
    TRY(weft_std_open(blocking, &shared));
    int rc = weft_write_all(ends[0], "in", 2, NULL);
    if (rc == 0) rc = weft_read_exact(shared, got, 2, NULL);
    if (rc == 0) rc = weft_write_all(shared, "out", 3, NULL);
    if (rc == 0) rc = weft_read_exact(ends[0], got, 3, NULL);
    if (rc == 0) rc = (int)weft_writev(shared, &out, 1);
    if (rc == 1) rc = (int)weft_readv(ends[0], &in, 1);
    if (rc == 1) rc = weft_write_all(ends[0], "v", 1, NULL);
    if (rc == 0) rc = (int)weft_readv(shared, &in, 1);
    (void)weft_close(shared);
    return rc < 0 ? rc : 0;
}

static int shares_a_socket(void *arg)
{
    int fds[2];
    (void)arg;
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    int rc = weft_fd_adopt(fds[0], &ends[0]);
    if (rc < 0)
        (void)close(fds[0]);
    else
        rc = talk_shared(fds[1]);
    shut_ends();
    (void)close(fds[1]);
    return rc;
}

static int a_shared_socket(void)
{
    return run_it(shares_a_socket);
}
WORK(a_shared_socket, MAY(0));

static int talk_through_a_shared_pipe(const int fds[2])
{
    weft_fd out;
    char got[5];
    TRY(weft_fd_adopt_shared(fds[0], &ends[0]));
    TRY(weft_fd_adopt_shared(fds[1], &out));
    ends[1] = out;
    TRY(weft_write_all(ends[1], "piped", 5, NULL));
    TRY(weft_read_exact(ends[0], got, 5, NULL));
    EXPECT(memcmp(got, "piped", 5) == 0);
    return 0;
}

static int shares_a_pipe(void *arg)
{
    int fds[2];
    (void)arg;
    EXPECT(pipe(fds) == 0);
    int rc = talk_through_a_shared_pipe(fds);
    for (int i = 0; i < 2; i++)
        if (!ends[i].generation) (void)close(fds[i]);
    shut_ends();
    return rc;
}

static int a_shared_pipe(void)
{
    return run_it(shares_a_pipe);
}
WORK(a_shared_pipe, MAY(0));

/* ---- a pipe with a name ------------------------------------------------- */

static int opens_by_name(void *arg)
{
    char got[4];
    (void)arg;
    const char *name = work_path("fifo");
    EXPECT(mkfifo(name, 0600) == 0);
    TRY(weft_fifo_open(name, WEFT_READABLE, &ends[0]));
    int rc = weft_fifo_open(name, WEFT_WRITABLE, &ends[1]);
    if (rc == 0) rc = weft_write_all(ends[1], "fifo", 4, NULL);
    if (rc == 0) rc = weft_read_exact(ends[0], got, 4, NULL);
    if (rc == 0) EXPECT(memcmp(got, "fifo", 4) == 0);
    shut_ends();
    return rc;
}

static int a_pipe_with_a_name(void)
{
    return run_it(opens_by_name);
}
WORK(a_pipe_with_a_name, MAY(EINVAL));
