/* SPDX-License-Identifier: MIT */
/* test_net.c - listening, dialling and what a connection can be asked. */
#include <weft/error.h>
#include <weft/scope.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>

#include "harness.h"
#include "open.h"
#include "sockets.h"
#include "system.h"

static char address[WEFT_ADDR_TEXT];

static weft_fd open_listener(const char *at)
{
    weft_fd listener;
    weft_addr a;
    CHECK_EQ(weft_listen(&listener, at, NULL), 0);
    CHECK_EQ(weft_local_addr(listener, &a), 0);
    (void)weft_addr_format(&a, address, sizeof address);
    return listener;
}

static void check_error_names(int code, const char *what)
{
    const weft_error *e = weft_last_error();
    CHECK(e != NULL);
    CHECK_EQ(e->code, code);
    if (!strstr(e->msg, what)) CHECK_STR(e->msg, what);
}

/* A name for a socket file that does not exist yet. */
static const char *new_path(void)
{
    static char path[64];
    (void)snprintf(path, sizeof path, "unix:/tmp/weft-net-%d", (int)getpid());
    (void)unlink(path + 5);
    return path;
}

/* Octets go both ways between a dialled and an accepted connection. */
static void check_carries(weft_fd listener, const char *at)
{
    weft_fd near_end, far_end;
    char buf[8];
    CHECK_EQ(weft_dial(&near_end, at), 0);
    CHECK_EQ(weft_accept(listener, &far_end, NULL), 0);
    CHECK_EQ(weft_write(near_end, "ping", 4), 4);
    CHECK_EQ(weft_read(far_end, buf, sizeof buf), 4);
    CHECK_EQ(weft_write(far_end, "pong!", 5), 5);
    CHECK_EQ(weft_read(near_end, buf, sizeof buf), 5);
    CHECK_EQ(weft_close(near_end), 0);
    CHECK_EQ(weft_read(far_end, buf, sizeof buf), 0);
    CHECK_EQ(weft_close(far_end), 0);
}

TEST_REAL(ipv4_carries_octets_both_ways)
{
    weft_fd l = open_listener("127.0.0.1:0");
    CHECK(strncmp(address, "127.0.0.1:", 10) == 0);
    CHECK(strcmp(address, "127.0.0.1:0") != 0);
    check_carries(l, address);
    CHECK_EQ(weft_close(l), 0);
}

TEST_REAL(ipv6_carries_octets_both_ways)
{
    weft_fd l;
    int err = weft_listen(&l, "[::1]:0", NULL);
    if (err == -EADDRNOTAVAIL || err == -EAFNOSUPPORT)
        SKIP("this machine has no ::1");
    CHECK_EQ(err, 0);
    CHECK_EQ(weft_close(l), 0);
    l = open_listener("tcp://[::1]:0");
    check_carries(l, address);
    CHECK_EQ(weft_close(l), 0);
}

TEST_REAL(any_address_can_be_dialled_by_127_0_0_1)
{
    char text[WEFT_ADDR_TEXT];
    weft_addr a;
    weft_fd l = open_listener(":0");
    CHECK_EQ(weft_addr_parse(&a, address), 0);
    (void)snprintf(text, sizeof text, "127.0.0.1:%u", weft_addr_port(&a));
    check_carries(l, text);
    CHECK_EQ(weft_close(l), 0);
}

TEST_REAL(a_unix_path_carries_octets_and_its_file_stays)
{
    struct stat st;
    const char *path = new_path();
    weft_fd l = open_listener(path);
    CHECK_STR(address, path);
    check_carries(l, path);
    CHECK_EQ(weft_close(l), 0);
    CHECK_EQ(stat(path + 5, &st), 0);
    CHECK(S_ISSOCK(st.st_mode));
    CHECK_EQ(unlink(path + 5), 0);
}

TEST_REAL(an_abstract_name_carries_octets)
{
    char name[64];
    (void)snprintf(name, sizeof name, SYSTEM_LOCAL "weft-net-%d",
                   (int)getpid());
    weft_fd l = open_listener(name);
    CHECK_STR(address, name);
    check_carries(l, name);
    CHECK_EQ(weft_close(l), 0);
}

/* ---- addresses in use --------------------------------------------------- */

TEST_REAL(a_port_in_use_is_refused_by_name)
{
    weft_fd l = open_listener("127.0.0.1:0"), second;
    CHECK_EQ(weft_listen(&second, address, NULL), -EADDRINUSE);
    check_error_names(-EADDRINUSE, address);
    CHECK_EQ(weft_close(l), 0);
    CHECK_EQ(weft_listen(&second, address, NULL), 0); /* free again */
    CHECK_EQ(weft_close(second), 0);
}

TEST_REAL(a_port_with_connections_just_closed_can_be_listened_on)
{
    weft_fd l = open_listener("127.0.0.1:0"), near_end, far_end;
    char c;
    CHECK_EQ(weft_dial(&near_end, address), 0);
    CHECK_EQ(weft_accept(l, &far_end, NULL), 0);
    CHECK_EQ(weft_close(far_end), 0); /* the server's side lingers */
    CHECK_EQ(weft_read(near_end, &c, 1), 0);
    CHECK_EQ(weft_close(near_end), 0);
    CHECK_EQ(weft_close(l), 0);
    CHECK_EQ(weft_listen(&l, address, NULL), 0);
    CHECK_EQ(weft_close(l), 0);
}

TEST_REAL(listeners_that_ask_for_it_share_a_port)
{
    const weft_listen_opts o = {.reuse_port = true};
    weft_fd a, b, c;
    weft_addr at;
    CHECK_EQ(weft_listen(&a, "127.0.0.1:0", &o), 0);
    CHECK_EQ(weft_local_addr(a, &at), 0);
    (void)weft_addr_format(&at, address, sizeof address);
    CHECK_EQ(weft_listen(&b, address, &o), 0);
    CHECK_EQ(weft_listen(&c, address, NULL), -EADDRINUSE);
    CHECK_EQ(weft_close(a), 0);
    CHECK_EQ(weft_close(b), 0);
}

TEST_REAL(a_stale_socket_file_is_taken_out_of_the_way)
{
    const weft_listen_opts keep = {.keep_path = true};
    const char *path = new_path();
    weft_fd l = open_listener(path);
    CHECK_EQ(weft_close(l), 0);
    CHECK_EQ(weft_listen(&l, path, &keep), -EADDRINUSE);
    check_error_names(-EADDRINUSE, path);
    CHECK_EQ(weft_listen(&l, path, NULL), 0);
    check_carries(l, path);
    CHECK_EQ(weft_close(l), 0);
    CHECK_EQ(unlink(path + 5), 0);
}

TEST_REAL(a_live_socket_file_is_left_alone)
{
    const char *path = new_path();
    weft_fd l = open_listener(path), second, probe;
    CHECK_EQ(weft_listen(&second, path, NULL), -EADDRINUSE);
    check_error_names(-EADDRINUSE, path);
    while (weft_try_accept(l, &probe, NULL) == 0) /* of the attempt */
        CHECK_EQ(weft_close(probe), 0);
    check_carries(l, path);
    CHECK_EQ(weft_close(l), 0);
    CHECK_EQ(unlink(path + 5), 0);
}

TEST_REAL(a_file_that_is_no_socket_is_left_alone)
{
    const char *path = new_path();
    struct stat st;
    weft_fd l;
    FILE *f = fopen(path + 5, "w");
    CHECK(f != NULL);
    CHECK_EQ(fclose(f), 0);
    CHECK_EQ(weft_listen(&l, path, NULL), -EADDRINUSE);
    CHECK_EQ(stat(path + 5, &st), 0);
    CHECK(S_ISREG(st.st_mode));
    CHECK_EQ(unlink(path + 5), 0);
}

/* ---- what cannot be ----------------------------------------------------- */

TEST_REAL(a_refused_connection_says_so_by_name)
{
    weft_fd l = open_listener("127.0.0.1:0"), conn;
    CHECK_EQ(weft_close(l), 0);
    CHECK_EQ(weft_dial(&conn, address), -ECONNREFUSED);
    check_error_names(-ECONNREFUSED, address);
    const char *path = new_path();
    CHECK_EQ(weft_dial(&conn, path), -ENOENT);
    check_error_names(-ENOENT, path);
    l = open_listener(path);
    CHECK_EQ(weft_close(l), 0);
    CHECK_EQ(weft_dial(&conn, path), -ECONNREFUSED);
    CHECK_EQ(unlink(path + 5), 0);
}

TEST_REAL(a_bad_address_is_einval_and_named)
{
    static const char *bad[] = {"", "nonsense", "127.0.0.1", "[::1]",
                                "127.0.0.1:99999", "unix:"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        weft_fd fd;
        CHECK_EQ(weft_listen(&fd, bad[i], NULL), -EINVAL);
        check_error_names(-EINVAL, bad[i]);
        CHECK_EQ(weft_dial(&fd, bad[i]), -EINVAL);
        check_error_names(-EINVAL, bad[i]);
    }
}

static int dial_it(void *arg)
{
    weft_fd conn;
    int err = weft_dial(&conn, arg);
    if (err == 0) CHECK_EQ(weft_close(conn), 0);
    return err;
}

/* Fills the backlog until the kernel leaves a dial unanswered. */
TEST_REAL(a_dial_that_nobody_answers_ends_with_its_deadline)
{
    enum { MANY = 32 };
    const weft_listen_opts o = {.backlog = 1};
    weft_fd l, conns[MANY];
    weft_addr at;
    int held = 0, err = 0;
    CHECK_EQ(weft_listen(&l, "127.0.0.1:0", &o), 0);
    CHECK_EQ(weft_local_addr(l, &at), 0);
    (void)weft_addr_format(&at, address, sizeof address);
    for (; held < MANY; held++) {
        WEFT_FAIL_AFTER(err, WEFT_MSEC(20))
            err = weft_dial(&conns[held], address);
        if (err < 0) break;
    }
    CHECK_EQ(err, -ETIMEDOUT);
    weft_time start = weft_now();
    CHECK_EQ(weft_with_timeout(WEFT_MSEC(10), dial_it, address), -ETIMEDOUT);
    CHECK(weft_now() - start >= WEFT_MSEC(10));
    CHECK(weft_now() - start < WEFT_MSEC(test_is_slow() ? 2000 : 200));
    while (held > 0) CHECK_EQ(weft_close(conns[--held]), 0);
    CHECK_EQ(weft_close(l), 0);
}

TEST_REAL(a_dial_in_a_cancelled_scope_opens_nothing)
{
    weft_fd l = open_listener("127.0.0.1:0"), back;
    weft_scope s;
    open_cancelled_scope(&s);
    CHECK_EQ(dial_it(address), -ECANCELED);
    CHECK_EQ(weft_accept(l, &back, NULL), -ECANCELED);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    CHECK_EQ(weft_try_accept(l, &back, NULL), -EAGAIN);
    CHECK_EQ(weft_close(l), 0);
}

/* ---- of a connection ---------------------------------------------------- */

static void connect_both(weft_fd *near_end, weft_fd *far_end, weft_addr *peer)
{
    weft_fd l = open_listener("127.0.0.1:0");
    CHECK_EQ(weft_dial(near_end, address), 0);
    CHECK_EQ(weft_accept(l, far_end, peer), 0);
    CHECK_EQ(weft_close(l), 0);
}

static int nodelay(weft_fd fd)
{
    int on = -1;
    socklen_t len = sizeof on;
    CHECK_EQ(weft_getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
    return on != 0;
}

TEST_REAL(small_writes_are_not_delayed_unless_asked_for)
{
    weft_fd a, b;
    connect_both(&a, &b, NULL);
    CHECK_EQ(nodelay(a), 1);
    CHECK_EQ(nodelay(b), 1);
    CHECK_EQ(weft_set_nodelay(a, false), 0);
    CHECK_EQ(nodelay(a), 0);
    CHECK_EQ(weft_set_nodelay(a, true), 0);
    CHECK_EQ(nodelay(a), 1);
    close_pair((weft_fd[]){a, b});
}

TEST_REAL(each_end_knows_the_address_of_the_other)
{
    weft_fd a, b;
    weft_addr peer, x, y;
    char one[WEFT_ADDR_TEXT], other[WEFT_ADDR_TEXT];
    connect_both(&a, &b, &peer);
    CHECK_EQ(weft_local_addr(a, &x), 0);
    CHECK_EQ(weft_peer_addr(b, &y), 0);
    (void)weft_addr_format(&x, one, sizeof one);
    CHECK_STR(weft_addr_format(&y, other, sizeof other), one);
    CHECK_STR(weft_addr_format(&peer, other, sizeof other), one);
    CHECK_EQ(weft_peer_addr(a, &x), 0);
    CHECK_STR(weft_addr_format(&x, one, sizeof one), address);
    close_pair((weft_fd[]){a, b});
}

TEST_REAL(each_direction_is_shut_down_by_itself)
{
    weft_fd a, b;
    char buf[8];
    connect_both(&a, &b, NULL);
    CHECK_EQ(weft_shutdown_write(a), 0);
    CHECK_EQ(weft_read(b, buf, sizeof buf), 0);
    CHECK_EQ(weft_write(b, "still", 5), 5);
    CHECK_EQ(weft_wait_ready(a, WEFT_READABLE) & WEFT_READABLE, WEFT_READABLE);
    CHECK_EQ(weft_shutdown_read(a), 0);
#if defined(__linux__) /* elsewhere it is thrown away */
    CHECK_EQ(weft_read(a, buf, sizeof buf), 5); /* what has come */
#endif
    CHECK_EQ(weft_read(a, buf, sizeof buf), 0);
    CHECK_EQ(weft_write(a, "x", 1), -EPIPE);
    close_pair((weft_fd[]){a, b});
}

TEST_REAL(raw_sockets_are_bound_connected_and_accepted)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    struct sockaddr_storage peer;
    socklen_t len = sizeof at;
    weft_fd l, a, b;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(weft_socket(AF_INET, SOCK_STREAM, 0, &l), 0);
    CHECK_EQ(weft_bind(l, (struct sockaddr *)&at, sizeof at), 0);
    CHECK_EQ(weft_listen_on(l, 5), 0);
    CHECK_EQ(weft_getsockname(l, (struct sockaddr *)&at, &len), 0);
    CHECK_EQ(weft_socket(AF_INET, SOCK_STREAM, 0, &a), 0);
    CHECK_EQ(weft_connect(a, (struct sockaddr *)&at, sizeof at), 0);
    len = sizeof peer;
    CHECK_EQ(weft_accept_from(l, &b, (struct sockaddr *)&peer, &len), 0);
    CHECK_EQ(len, sizeof at);
    CHECK_EQ(peer.ss_family, AF_INET);
    CHECK_EQ(weft_close(l), 0);
    close_pair((weft_fd[]){a, b});
}

TEST(messages_carry_octets_and_keep_their_bounds)
{
    char buf[16];
    struct iovec iov = {"abc", 3};
    struct msghdr out = {.msg_iov = &iov, .msg_iovlen = 1};
    struct iovec room = {buf, sizeof buf};
    struct msghdr in = {.msg_iov = &room, .msg_iovlen = 1};
    weft_fd p[2];
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_DGRAM, p), 0);
    CHECK_EQ(weft_sendmsg(p[0], &out, 0), 3);
    CHECK_EQ(weft_sendmsg(p[0], &out, 0), 3);
    CHECK_EQ(weft_recvmsg(p[1], &in, 0), 3);
    room.iov_len = 2;
    CHECK_EQ(weft_recvmsg(p[1], &in, 0), 2);
    CHECK(in.msg_flags & MSG_TRUNC);
    close_pair(p);
}
