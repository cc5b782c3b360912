/* SPDX-License-Identifier: MIT */
/*
 * test_listen_steps.c - listening on a kernel without IPv6, or without IPv6
 * sockets that take IPv4 too, or where a step fails; and their order.
 *
 * This program puts itself before socket(2), setsockopt(2) and listen(2), and
 * refuses what a test says.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/stat.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

#include "harness.h"
#include "listen.h"
#include "system.h"

#if defined(SYS_socket) && defined(SYS_setsockopt) && defined(SYS_listen)

/* An error, or 0: of IPv6 sockets, of those that take IPv4, of the last step. */
static struct {
    int socket, option, listen;
} refused;

/* A file to look at when somebody listens, and what mode it had then. */
static const char *watched;
static int mode_then;

static int refuse(int error)
{
    errno = error;
    return -1;
}

int socket(int family, int type, int protocol)
{
    if (refused.socket && family == AF_INET6) return refuse(refused.socket);
    return (int)syscall(SYS_socket, family, type, protocol);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    if (refused.option && level == IPPROTO_IPV6 && name == IPV6_V6ONLY &&
        !*(const int *)value)
        return refuse(refused.option);
    return (int)syscall(SYS_setsockopt, fd, level, name, value, len);
}

int listen(int fd, int backlog)
{
    struct stat st;
    if (refused.listen) return refuse(refused.listen);
    if (watched && lstat(watched, &st) == 0) mode_then = st.st_mode & 0777;
    return (int)syscall(SYS_listen, fd, backlog);
}

static void check_ipv4_alone(void)
{
    weft_fd l;
    CHECK_EQ(weft_listen(&l, "*:0", NULL), 0);
    CHECK(strncmp(listens_at(l), "0.0.0.0:", 8) == 0);
    check_takes(l, "127.0.0.1", NULL);
    CHECK_EQ(weft_close(l), 0);
}

TEST_REAL(a_star_is_ipv4_where_there_is_no_ipv6)
{
    refused.socket = EAFNOSUPPORT;
    check_ipv4_alone();
    refused.socket = EPROTONOSUPPORT;
    check_ipv4_alone();
}

TEST_REAL(an_ipv6_address_is_refused_where_there_is_no_ipv6)
{
    weft_fd l;
    refused.socket = EAFNOSUPPORT;
    CHECK_EQ(weft_listen(&l, "[::]:0", NULL), -EAFNOSUPPORT);
    check_said(-EAFNOSUPPORT, "listen [::]:0: socket");
}

TEST_REAL(a_star_does_not_become_ipv4_for_another_reason)
{
    char text[32];
    weft_fd l, second;
    refused.socket = EMFILE;
    CHECK_EQ(weft_listen(&l, "*:0", NULL), -EMFILE);
    check_said(-EMFILE, "listen *:0: socket");
    refused.socket = 0;
    if (!has_ipv6()) return;
    CHECK_EQ(weft_listen(&l, "[::]:0", NULL), 0);
    (void)snprintf(text, sizeof text, "*:%u", port_of(l));
    CHECK_EQ(weft_listen(&second, text, NULL), -EADDRINUSE);
    check_said(-EADDRINUSE, text);
    check_said(-EADDRINUSE, ": bind");
    CHECK_EQ(weft_close(l), 0);
}

TEST_REAL(where_ipv6_cannot_take_ipv4_only_any_address_is_refused)
{
    const weft_listen_opts only = {.v6_only = true};
    weft_fd l;
    if (!has_ipv6()) SKIP("this machine has no ::1");
    refused.option = EINVAL;
    CHECK_EQ(weft_listen(&l, "*:0", NULL), -ENOTSUP);
    check_said(-ENOTSUP, "IPV6_V6ONLY");
    CHECK_EQ(weft_listen(&l, "[::]:0", NULL), -ENOTSUP);
    CHECK_EQ(weft_listen(&l, "[::]:0", &only), 0);
    CHECK_EQ(weft_close(l), 0);
    CHECK_EQ(weft_listen(&l, "[::1]:0", NULL), 0);
    CHECK_EQ(weft_close(l), 0);
}

TEST_REAL(a_listener_that_fails_late_leaves_no_file_and_a_mode_comes_first)
{
    const weft_listen_opts o = {.mode = 0600, .keep_path = true};
    char path[64];
    struct stat st;
    weft_fd l;
    (void)snprintf(path, sizeof path, "unix:/tmp/weft-late-%d", (int)getpid());
    (void)unlink(path + 5);
    refused.listen = ENOBUFS;
    CHECK_EQ(weft_listen(&l, path, &o), -ENOBUFS);
    check_said(-ENOBUFS, path);
    check_said(-ENOBUFS, ": listen");
    CHECK_EQ(lstat(path + 5, &st), -1);
    CHECK_EQ(errno, ENOENT);
    refused.listen = 0;
    watched = path + 5;
    CHECK_EQ(weft_listen(&l, path, &o), 0);
    CHECK_EQ(mode_then, 0600); /* before anybody could connect */
    CHECK_EQ(weft_close(l), 0);
    CHECK_EQ(unlink(path + 5), 0);
}

#else

TEST_PLAIN(a_kernel_without_ipv6)
{
    SKIP("here nobody can be put before the system calls");
}

#endif
