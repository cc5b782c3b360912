/* SPDX-License-Identifier: MIT */
/*
 * test_listen_inherited.c - listeners that somebody else has opened: by number,
 * by the name that a service manager gave, and what is none.
 */
#include <weft/activation.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "harness.h"
#include "listen.h"
#include "system.h"

/* A listener on loopback that weft does not know, blocking and inherited. */
static int open_raw_listener(void)
{
    weft_fd l;
    CHECK_EQ(weft_listen(&l, "127.0.0.1:0", NULL), 0);
    int number = weft_fd_release(l);
    CHECK(number >= 0);
    CHECK_EQ(fcntl(number, F_SETFD, 0), 0);
    CHECK_EQ(fcntl(number, F_SETFL, 0), 0);
    return number;
}

static int listen_at_number(weft_fd *ret, int number, const weft_listen_opts *o)
{
    char text[32];
    (void)snprintf(text, sizeof text, "fd:%d", number);
    return weft_listen(ret, text, o);
}

/* ---- by number ---------------------------------------------------------- */

TEST_REAL(an_inherited_listener_takes_connections)
{
    weft_fd l;
    int number = open_raw_listener();
    CHECK_EQ(listen_at_number(&l, number, NULL), 0);
    CHECK_EQ(weft_fd_number(l), number);
    CHECK(fcntl(number, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(number, F_GETFL) & O_NONBLOCK);
    check_takes(l, "127.0.0.1", NULL);
    CHECK_EQ(weft_close(l), 0);
    CHECK_EQ(fcntl(number, F_GETFD), -1);
}

TEST_REAL(an_inherited_listener_keeps_its_backlog_or_gets_another)
{
#if defined(__linux__)
    const weft_listen_opts few = {.backlog = 5};
    weft_listen_opts is;
    weft_fd l;
    if (!backlog_is_told()) SKIP("a listener does not tell its backlog");
    int number = open_raw_listener();
    CHECK_EQ(listen(number, 33), 0);
    CHECK_EQ(listen_at_number(&l, number, NULL), 0);
    CHECK_EQ(weft_listener_opts(l, &is), 0);
    CHECK_EQ(is.backlog, 33);
    number = weft_fd_release(l);
    CHECK_EQ(listen_at_number(&l, number, &few), 0);
    CHECK_EQ(weft_listener_opts(l, &is), 0);
    CHECK_EQ(is.backlog, 5);
    CHECK_EQ(weft_close(l), 0);
#else
    SKIP("this system does not tell a backlog");
#endif
}

TEST_REAL(a_unix_listener_is_inherited_too)
{
    char path[64];
    weft_fd l, conn, back;
    (void)snprintf(path, sizeof path, SYSTEM_LOCAL "weft-inherit-%d",
                   (int)getpid());
    CHECK_EQ(weft_listen(&l, path, NULL), 0);
    int number = weft_fd_release(l);
    CHECK_EQ(listen_at_number(&l, number, NULL), 0);
    CHECK_EQ(weft_dial(&conn, path), 0);
    CHECK_EQ(weft_accept(l, &back, NULL), 0);
    CHECK_EQ(weft_close(conn), 0);
    CHECK_EQ(weft_close(back), 0);
    CHECK_EQ(weft_close(l), 0);
    if (path[5] != '@') CHECK_EQ(unlink(path + 5), 0);
}

TEST_REAL(a_listener_that_is_weft_s_already_is_not_taken_twice)
{
    weft_fd l, second;
    int number = open_raw_listener();
    CHECK_EQ(listen_at_number(&l, number, NULL), 0);
    CHECK_EQ(listen_at_number(&second, number, NULL), -EBUSY);
    check_said(-EBUSY, "weft's already");
    check_takes(l, "127.0.0.1", NULL); /* and the first is as it was */
    CHECK_EQ(weft_close(l), 0);
}

static void check_refused(int number, int want, const char *words)
{
    weft_fd l = {7, 7};
    char text[32];
    int flags = fcntl(number, F_GETFL), on_exec = fcntl(number, F_GETFD);
    (void)snprintf(text, sizeof text, "listen fd:%d: ", number);
    CHECK_EQ(listen_at_number(&l, number, NULL), want);
    check_said(want, text);
    check_said(want, words);
    CHECK_EQ(l.slot, 7);
    CHECK_EQ(fcntl(number, F_GETFL), flags); /* it is as it was */
    CHECK_EQ(fcntl(number, F_GETFD), on_exec);
}

TEST_REAL(what_is_no_listening_stream_socket_is_refused_as_what_it_is)
{
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    check_refused(ends[0], -ENOTSOCK, "is a pipe");
    check_refused(ends[1], -ENOTSOCK, "is a pipe");
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
    check_refused(ends[1], -EBADF, "is not open");

    int fd = open("/", O_RDONLY);
    check_refused(fd, -ENOTSOCK, "is a directory");
    CHECK_EQ(close(fd), 0);
    fd = open("/dev/null", O_RDONLY);
    check_refused(fd, -ENOTSOCK, "device");
    CHECK_EQ(close(fd), 0);
    char name[] = "/tmp/weft-fd-XXXXXX";
    fd = mkstemp(name);
    check_refused(fd, -ENOTSOCK, "is a file");
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(unlink(name), 0);

    fd = socket(AF_INET, SOCK_DGRAM, 0);
    check_refused(fd, -EPROTOTYPE, "datagram");
    CHECK_EQ(close(fd), 0);
    fd = system_socket(AF_INET);
    check_refused(fd, -EINVAL, "does not listen");
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    check_refused(ends[0], -EINVAL, "is a connection");
    CHECK_EQ(close(ends[0]), 0);
    CHECK_EQ(close(ends[1]), 0);
}

#if defined(__linux__)
TEST_REAL(a_socket_that_is_only_bound_does_not_listen)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    int fd = system_socket(AF_INET);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    check_refused(fd, -EINVAL, "does not listen");
    CHECK_EQ(close(fd), 0);
}
#endif

TEST_REAL(what_is_no_number_is_refused)
{
    static const char *const bad[] = {
        "fd:",
        "fd:x",
        "fd:-1",
        "fd:+3",
        "fd:03",
        "fd:3 ",
        "fd: 3",
        "fd:3x",
        "fd:4294967299",
        "fd:99999999999999999999",
        "fd:0x3",
        "systemd:",
        "systemd:a:",
        "systemd:a:x",
        "systemd:a:-1",
        "systemd::",
        "systemd:a:1:2",
        "systemd:a:01",
        "systemd:a:9999999999",
    };
    weft_fd l;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int err = weft_listen(&l, bad[i], NULL);
        if (err != -EINVAL)
            test_fail(__FILE__, __LINE__, "%s is %d", bad[i], err);
        check_said(-EINVAL, bad[i]);
    }
    char text[300] = "systemd:";
    memset(text + 8, 'n', 256);
    CHECK_EQ(weft_listen(&l, text, NULL), -EINVAL);
    const weft_listen_opts below = {.backlog = -1};
    CHECK_EQ(weft_listen(&l, "fd:0", &below), -EINVAL);
}

/* ---- by name ------------------------------------------------------------ */

static int fillers[200], filler_count;

/* So that from 3 to `last` all are open. */
static void fill_up_to(int last)
{
    for (int fd; (fd = dup(0)) >= 0;) {
        if (fd > last) {
            CHECK_EQ(close(fd), 0);
            return;
        }
        CHECK(filler_count < (int)(sizeof fillers / sizeof *fillers));
        fillers[filler_count++] = fd;
    }
}

static void set_number(const char *name, int value)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%d", value);
    CHECK_EQ(setenv(name, text, 1), 0);
}

/* As if this process had been given all up to `last`, of which the last ones
 * have these names and the others are "-". Returns how many these are. */
static int pass_up_to(int last, const char *names)
{
    char text[2048] = "";
    int named = 1, count = last - WEFT_ACTIVATION_FIRST + 1;
    for (const char *c = names; *c; c++)
        named += *c == ':';
    fill_up_to(last);
    for (int i = 0; i < count - named; i++)
        strcat(text, "-:");
    strcat(text, names);
    set_number("LISTEN_PID", (int)getpid());
    set_number("LISTEN_FDS", count);
    CHECK_EQ(setenv("LISTEN_FDNAMES", text, 1), 0);
    return count - named;
}

static void end_passing(void)
{
    weft_activation_forget();
    while (filler_count > 0)
        CHECK_EQ(close(fillers[--filler_count]), 0);
}

/* Three of them, side by side above all that is open. */
static int open_three(int numbers[3])
{
    enum { ABOVE = 100 };
    for (int i = 0; i < 3; i++) {
        int fd = open_raw_listener();
        numbers[i] = fcntl(fd, F_DUPFD, ABOVE);
        CHECK_EQ(numbers[i], numbers[0] + i);
        CHECK_EQ(close(fd), 0);
    }
    return numbers[2];
}

TEST_REAL(what_was_passed_is_found_by_name_and_by_index)
{
    int fds[3], last = open_three(fds);
    int before = pass_up_to(last, "http:admin:http");
    char name[32], text[32];
    weft_fd a, b, c;
    CHECK_EQ(weft_activation_count(), before + 3);
    CHECK(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(last, F_GETFD) & FD_CLOEXEC);
    CHECK_EQ(weft_activation_find("admin", 0), fds[1]);
    CHECK_EQ(weft_activation_find("http", 1), fds[2]);
    CHECK_EQ(weft_activation_find(NULL, (unsigned)before), fds[0]);
    CHECK_EQ(weft_activation_find("", (unsigned)before + 2), fds[2]);
    CHECK_STR(weft_activation_name((unsigned)before + 1, name, sizeof name),
              "admin");
    CHECK_STR(weft_activation_name((unsigned)before + 1, name, 3), "ad");
    CHECK_STR(weft_activation_name((unsigned)before + 3, name, sizeof name),
              "");

    CHECK_EQ(weft_listen(&a, "systemd:http", NULL), 0);
    CHECK_EQ(weft_fd_number(a), fds[0]);
    CHECK_EQ(weft_listen(&b, "systemd:http:1", NULL), 0);
    CHECK_EQ(weft_fd_number(b), fds[2]);
    (void)snprintf(text, sizeof text, "systemd::%d", before + 1);
    CHECK_EQ(weft_listen(&c, text, NULL), 0);
    CHECK_EQ(weft_fd_number(c), fds[1]);
    check_takes(a, "127.0.0.1", NULL);
    check_takes(b, "127.0.0.1", NULL);
    check_takes(c, "127.0.0.1", NULL);
    CHECK_EQ(weft_close(a), 0);
    CHECK_EQ(weft_close(b), 0);
    CHECK_EQ(weft_close(c), 0);
    end_passing();
}

TEST_REAL(what_was_not_passed_is_not_found)
{
    int fd = open_raw_listener();
    weft_fd l;
    (void)pass_up_to(fd, "web");
    CHECK_EQ(weft_activation_find("http", 0), -ENOENT);
    CHECK_EQ(weft_activation_find("we", 0), -ENOENT);
    CHECK_EQ(weft_activation_find("webs", 0), -ENOENT);
    CHECK_EQ(weft_activation_find("web", 1), -ENOENT);
    CHECK_EQ(weft_listen(&l, "systemd:http", NULL), -ENOENT);
    check_said(-ENOENT, "listen systemd:http: 0 descriptors named http");
    CHECK_EQ(weft_activation_find("web", 0), fd);
    CHECK_EQ(close(fd), 0);
    end_passing();
}

TEST_REAL(without_names_all_are_unknown)
{
    int fd = open_raw_listener();
    char name[16];
    int before = pass_up_to(fd, "web");
    CHECK_EQ(unsetenv("LISTEN_FDNAMES"), 0);
    CHECK_EQ(weft_activation_find("unknown", (unsigned)before), fd);
    CHECK_STR(weft_activation_name((unsigned)before, name, sizeof name),
              "unknown");
    CHECK_EQ(weft_activation_find("web", 0), -ENOENT);
    CHECK_EQ(close(fd), 0);
    end_passing();
}

TEST_REAL(what_was_passed_is_forgotten)
{
    int fd = open_raw_listener();
    (void)pass_up_to(fd, "web");
    CHECK(weft_activation_count() > 0);
    weft_activation_forget();
    CHECK(getenv("LISTEN_PID") == NULL);
    CHECK(getenv("LISTEN_FDS") == NULL);
    CHECK(getenv("LISTEN_FDNAMES") == NULL);
    CHECK_EQ(weft_activation_count(), 0);
    CHECK_EQ(weft_activation_find("web", 0), -ENOENT);
    CHECK_EQ(close(fd), 0);
    end_passing();
}

TEST_REAL(what_was_passed_to_another_process_is_not_for_this_one)
{
    int fd = open_raw_listener();
    (void)pass_up_to(fd, "web");
    set_number("LISTEN_PID", (int)getpid() + 1);
    CHECK_EQ(weft_activation_count(), 0);
    CHECK_EQ(fcntl(fd, F_GETFD), 0);
    CHECK_EQ(setenv("LISTEN_FDS", "rubbish", 1), 0);
    CHECK_EQ(weft_activation_count(), 0);
    CHECK_EQ(close(fd), 0);
    end_passing();
}

static void check_count_is_einval(const char *name, const char *value)
{
    const char *was = getenv(name);
    char kept[32];
    (void)snprintf(kept, sizeof kept, "%s", was ? was : "");
    CHECK_EQ(setenv(name, value, 1), 0);
    CHECK_EQ(weft_activation_count(), -EINVAL);
    check_said(-EINVAL, name);
    CHECK_EQ(weft_activation_find("web", 0), -EINVAL);
    CHECK_EQ(setenv(name, kept, 1), 0);
}

TEST_REAL(variables_that_are_no_numbers_are_refused_by_name)
{
    static const char *const bad[] = {
        "", "x", "-1", "1x", " 1", "2147483648", "99999999999999999999999"};
    int fd = open_raw_listener();
    weft_fd l;
    (void)pass_up_to(fd, "web");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        check_count_is_einval("LISTEN_PID", bad[i]);
        check_count_is_einval("LISTEN_FDS", bad[i]);
    }
    check_count_is_einval("LISTEN_FDS", "2147483645"); /* beyond an int */
    CHECK_EQ(setenv("LISTEN_FDS", "x", 1), 0);
    CHECK_EQ(weft_listen(&l, "systemd:web", NULL), -EINVAL);
    check_said(-EINVAL, "listen systemd:web: LISTEN_FDS=x");
    CHECK_EQ(setenv("LISTEN_FDS", "0", 1), 0);
    CHECK_EQ(weft_activation_count(), 0);
    CHECK_EQ(close(fd), 0);
    end_passing();
}

TEST_REAL(more_descriptors_than_there_are_and_other_names_are_refused)
{
    int fd = open_raw_listener();
    (void)pass_up_to(fd, "web:too-many");
    CHECK_EQ(weft_activation_find("web", 0), fd - 1);
    CHECK_EQ(setenv("LISTEN_FDNAMES", "web", 1), 0);
    int count = weft_activation_count();
    if (count > 1) {
        CHECK_EQ(weft_activation_find("web", 0), -EINVAL);
        check_said(-EINVAL, "LISTEN_FDNAMES=web");
    }
    CHECK_EQ(weft_activation_find(NULL, (unsigned)count - 1), fd);
    set_number("LISTEN_FDS", 100000);
    CHECK_EQ(weft_activation_count(), -EBADF);
    check_said(-EBADF, "LISTEN_FDS=100000: descriptor");
    CHECK_EQ(close(fd), 0);
    end_passing();
}
