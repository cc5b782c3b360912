/* SPDX-License-Identifier: MIT */
/* test_unix.c - Unix sockets: opening, datagrams, who is there. */
#include <weft/error.h>
#include <weft/testing.h>
#include <weft/unix.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness.h"
#include "open.h"
#include "sockets.h"
#include "system.h"

/* A name of this process, in one of a few buffers; files go at its end. */
static const char *name(const char *what)
{
    static char text[4][WEFT_ADDR_TEXT];
    static unsigned next;
    char *t = text[next++ % 4];
    (void)snprintf(t, WEFT_ADDR_TEXT, "unix:/tmp/weft-unix-%ld-%s",
                   (long)getpid(), what);
    return t;
}

static void gone(const char *address)
{
    CHECK_EQ(unlink(address + strlen("unix:")), 0);
}

static void says(const char *part)
{
    const weft_error *e = weft_last_error();
    CHECK(e != NULL);
    if (!strstr(e->msg, part))
        test_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", e->msg,
                  part);
}

/* ---- connections -------------------------------------------------------- */

static void connects(int type)
{
    const char *at = name("conn");
    weft_fd l, a, b;
    char got[8];
    CHECK_EQ(weft_unix_listen(&l, at, type, NULL), 0);
    CHECK_EQ(weft_unix_dial(&a, at, type), 0);
    CHECK_EQ(weft_accept(l, &b, NULL), 0);
    CHECK_EQ(weft_write_all(a, "one", 3, NULL), 0);
    CHECK_EQ(weft_write_all(a, "two", 3, NULL), 0);
    if (type == SOCK_STREAM)
        CHECK_EQ(weft_read_exact(b, got, 6, NULL), 0);
    else
        for (int i = 0; i < 2; i++)
            CHECK_EQ(weft_read(b, got, sizeof got), 3);
    CHECK_EQ(weft_close(a), 0);
    CHECK_EQ(weft_read(b, got, sizeof got), 0);
    CHECK_EQ(weft_close(b), 0);
    CHECK_EQ(weft_close(l), 0);
    gone(at);
}

TEST(a_unix_stream_is_dialled_and_accepted)
{
    connects(SOCK_STREAM);
}

TEST(a_seqpacket_connection_keeps_messages_apart)
{
    if (!system_has_seqpacket()) SKIP("no SOCK_SEQPACKET here");
    connects(SOCK_SEQPACKET);
}

TEST(a_stale_file_of_a_seqpacket_listener_is_taken_out_of_the_way)
{
    const char *at = name("stale");
    weft_fd l, other;
    if (!system_has_seqpacket()) SKIP("no SOCK_SEQPACKET here");
    CHECK_EQ(weft_unix_listen(&l, at, SOCK_SEQPACKET, NULL), 0);
    CHECK_EQ(weft_unix_listen(&other, at, SOCK_SEQPACKET, NULL), -EADDRINUSE);
    says(at);
    CHECK_EQ(weft_close(l), 0);
    const weft_listen_opts keep = {.keep_path = true};
    CHECK_EQ(weft_unix_listen(&l, at, SOCK_SEQPACKET, &keep), -EADDRINUSE);
    CHECK_EQ(weft_unix_listen(&l, at, SOCK_SEQPACKET, NULL), 0);
    CHECK_EQ(weft_close(l), 0);
    gone(at);
}

TEST(a_seqpacket_listener_has_the_options_of_a_stream_one)
{
    const char *at = name("opts");
    const weft_listen_opts mine = {.mode = 0600}, bad = {.mode = 04600},
                           below = {.backlog = -1};
    struct stat st;
    weft_fd l;
    if (!system_has_seqpacket()) SKIP("no SOCK_SEQPACKET here");
    CHECK_EQ(weft_unix_listen(&l, at, SOCK_SEQPACKET, &mine), 0);
    CHECK_EQ(lstat(at + strlen("unix:"), &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    CHECK_EQ(weft_close(l), 0);
    gone(at);
    CHECK_EQ(weft_unix_listen(&l, at, SOCK_SEQPACKET, &bad), -EINVAL);
    says("a mode of more than 0777");
    CHECK_EQ(weft_unix_listen(&l, at, SOCK_SEQPACKET, &below), -EINVAL);
    says("backlog");
    CHECK_EQ(lstat(at + strlen("unix:"), &st), -1);
}

TEST(what_is_no_unix_address_is_named)
{
    weft_fd fd;
    CHECK_EQ(weft_unix_listen(&fd, "127.0.0.1:0", SOCK_STREAM, NULL), -EINVAL);
    says("127.0.0.1:0 is no Unix address");
    CHECK_EQ(weft_unix_dial(&fd, "[::1]:1", SOCK_STREAM), -EINVAL);
    says("[::1]:1");
    CHECK_EQ(weft_unix_datagram(&fd, "127.0.0.1:0"), -EINVAL);
    CHECK_EQ(weft_unix_listen(&fd, name("x"), SOCK_DGRAM, NULL), -EINVAL);
    says("type");
    CHECK_EQ(weft_unix_dial(&fd, name("x"), 77), -EINVAL);
    CHECK_EQ(weft_unix_dial(&fd, name("nobody"), SOCK_STREAM), -ENOENT);
    says("nobody");
    if (system_has_seqpacket()) {
        CHECK_EQ(weft_unix_dial(&fd, name("nobody"), SOCK_SEQPACKET), -ENOENT);
        says("dial unix:/tmp/weft-unix");
    }
    CHECK_EQ(weft_unix_datagram(&fd, "unix:/nowhere/at/all"), -ENOENT);
    says("/nowhere/at/all");
}

/* ---- datagrams ---------------------------------------------------------- */

static weft_addr address_of(weft_fd fd)
{
    weft_addr a;
    CHECK_EQ(weft_local_addr(fd, &a), 0);
    return a;
}

static ssize_t send_to(weft_fd fd, const char *text, const weft_addr *to)
{
    const weft_unix_send_opts o = {.to = to};
    return weft_unix_send(fd, text, strlen(text), &o);
}

TEST(a_datagram_tells_its_sender_who_can_be_answered)
{
    const char *here = name("here"), *there = name("there");
    weft_fd a, b;
    char got[16], text[WEFT_ADDR_TEXT];
    weft_unix_extra x = {0};
    CHECK_EQ(weft_unix_datagram(&a, here), 0);
    CHECK_EQ(weft_unix_datagram(&b, there), 0);
    weft_addr to = address_of(b);
    CHECK_EQ(send_to(a, "question", &to), 8);
    CHECK_EQ(weft_unix_recv(b, got, sizeof got, &x), 8);
    CHECK_EQ(memcmp(got, "question", 8), 0);
    CHECK(!x.truncated && !x.fds_lost && x.count == 0 && !x.has_creds);
    CHECK_STR(weft_addr_format(&x.from, text, sizeof text), here);
    CHECK_EQ(send_to(b, "answer", &x.from), 6);
    CHECK_EQ(weft_unix_recv(a, got, sizeof got, NULL), 6);
    CHECK_EQ(weft_unix_try_recv(a, got, sizeof got, &x), -EAGAIN);
    close_pair((weft_fd[2]){a, b});
    gone(here);
    gone(there);
}

TEST(a_datagram_longer_than_the_buffer_is_told_to_be_cut)
{
    weft_fd pair[2];
    char got[4];
    weft_unix_extra x = {0};
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_DGRAM, pair), 0);
    CHECK_EQ(send_to(pair[0], "too long", NULL), 8);
    CHECK_EQ(send_to(pair[0], "four", NULL), 4);
    CHECK_EQ(send_to(pair[0], "", NULL), 0);
    CHECK_EQ(weft_unix_recv(pair[1], got, sizeof got, &x), 4);
    CHECK(x.truncated);
    CHECK_EQ(memcmp(got, "too ", 4), 0);
    CHECK_EQ(weft_unix_recv(pair[1], got, sizeof got, &x), 4);
    CHECK(!x.truncated);
    CHECK_EQ(memcmp(got, "four", 4), 0);
    CHECK_EQ(x.from.len > 2, false); /* nobody named that one */
    CHECK_EQ(weft_unix_recv(pair[1], got, sizeof got, &x), 0);
    CHECK(!x.truncated);
    close_pair(pair);
}

TEST(a_connected_datagram_socket_sends_without_an_address)
{
    const char *here = name("server");
    weft_fd server, client;
    char got[8];
    weft_unix_extra x = {0};
    CHECK_EQ(weft_unix_datagram(&server, here), 0);
    CHECK_EQ(weft_unix_datagram(&client, NULL), 0);
    CHECK_EQ(weft_unix_connect(client, name("nobody")), -ENOENT);
    says("nobody");
    CHECK_EQ(weft_unix_connect(client, here), 0);
    CHECK_EQ(weft_unix_send(client, "hi", 2, NULL), 2);
    CHECK_EQ(weft_unix_recv(server, got, sizeof got, &x), 2);
    CHECK_EQ(x.from.sa.ss_family, AF_UNIX);
    CHECK_EQ(weft_close(server), 0);
    CHECK(weft_unix_send(client, "hi", 2, NULL) < 0); /* refused, or reset */
    CHECK_EQ(weft_close(client), 0);
    gone(here);
}

TEST(a_datagram_to_nobody_is_refused)
{
    const char *here = name("left");
    weft_fd a, b;
    CHECK_EQ(weft_unix_datagram(&a, NULL), 0);
    CHECK_EQ(weft_unix_datagram(&b, here), 0);
    weft_addr to = address_of(b);
    CHECK_EQ(weft_close(b), 0);
    CHECK_EQ(send_to(a, "x", &to), -ECONNREFUSED);
    gone(here);
    CHECK_EQ(send_to(a, "x", &to), -ENOENT);
    CHECK_EQ(send_to(a, "x", NULL), -ENOTCONN);
    CHECK_EQ(weft_close(a), 0);
}

#if defined(__linux__)
TEST(an_abstract_name_needs_no_file)
{
    weft_fd a, b;
    char at[WEFT_ADDR_TEXT], text[WEFT_ADDR_TEXT], got[4];
    weft_unix_extra x = {0};
    (void)snprintf(at, sizeof at, "unix:@weft-test-%ld", (long)getpid());
    CHECK_EQ(weft_unix_datagram(&a, at), 0);
    CHECK_EQ(weft_unix_datagram(&b, at), -EADDRINUSE);
    CHECK_EQ(weft_unix_datagram(&b, "unix:"), 0);
    CHECK_EQ(weft_unix_connect(b, at), 0);
    CHECK_EQ(weft_unix_send(b, "x", 1, NULL), 1);
    CHECK_EQ(weft_unix_recv(a, got, sizeof got, &x), 1);
    CHECK_EQ(strncmp(weft_addr_format(&x.from, text, sizeof text), "unix:@", 6),
             0);
    close_pair((weft_fd[2]){a, b});
}
#endif

TEST(the_system_chooses_a_name)
{
    weft_fd a, b;
    char got[4], text[WEFT_ADDR_TEXT];
    int err = weft_unix_datagram(&a, "unix:");
    if (err == -ENOTSUP) {
        says("without a file");
        SKIP("no names without a file here");
    }
    CHECK_EQ(err, 0);
    CHECK_EQ(weft_unix_datagram(&b, "unix:"), 0);
    weft_addr to = address_of(a), other = address_of(b);
    CHECK(to.len != other.len || memcmp(&to.sa, &other.sa, to.len) != 0);
    CHECK_EQ(strncmp(weft_addr_format(&to, text, sizeof text), "unix:@", 6), 0);
    CHECK_EQ(send_to(b, "x", &to), 1);
    CHECK_EQ(weft_unix_recv(a, got, sizeof got, NULL), 1);
    close_pair((weft_fd[2]){a, b});
}

static weft_fd sender;
static weft_addr receiver;
static int sent;

static int sends_many(void *arg)
{
    (void)arg;
    while (sent < 2000) {
        ssize_t n =
            send_to(sender, "one of many", receiver.len ? &receiver : NULL);
        if (n < 0) return (int)n;
        sent++;
    }
    return 0;
}

/* More than the queue takes: who sends waits, and none is lost. */
static void waits_for_room(bool connected)
{
    const char *here = name("full");
    weft_fd fd;
    weft_nursery n;
    char got[16];
    sent = 0;
    CHECK_EQ(weft_unix_datagram(&fd, here), 0);
    CHECK_EQ(weft_unix_datagram(&sender, NULL), 0);
    receiver = address_of(fd);
    if (connected) {
        CHECK_EQ(weft_unix_connect(sender, here), 0);
        receiver.len = 0;
    }
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, sends_many, NULL), 0);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
    CHECK(sent > 0 && sent < 2000);
    for (int i = 0; i < 2000; i++)
        CHECK_EQ(weft_unix_recv(fd, got, sizeof got, NULL), 11);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(sent, 2000);
    close_pair((weft_fd[2]){fd, sender});
    gone(here);
}

TEST(a_datagram_to_an_address_waits_for_room)
{
    waits_for_room(false);
}

TEST(a_datagram_to_a_connected_one_waits_for_room)
{
    waits_for_room(true);
}

TEST(a_datagram_that_waits_for_room_can_be_cancelled)
{
    const char *here = name("never");
    weft_fd fd;
    weft_nursery n;
    sent = 0;
    CHECK_EQ(weft_unix_datagram(&fd, here), 0);
    CHECK_EQ(weft_unix_datagram(&sender, NULL), 0);
    receiver = address_of(fd);
    open_nursery(&n, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&n, sends_many, NULL), 0);
    settle();
    weft_nursery_cancel(&n, -ECANCELED, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), -ECANCELED);
    CHECK(sent > 0 && sent < 2000);
    close_pair((weft_fd[2]){fd, sender});
    gone(here);
}

/* ---- who is there ------------------------------------------------------- */

TEST(the_peer_of_a_connection_is_known)
{
    weft_fd pair[2], tcp;
    weft_unix_creds who;
    open_pair(pair);
    CHECK_EQ(weft_unix_peer(pair[0], &who), 0);
    CHECK_EQ(who.uid, geteuid());
    CHECK_EQ(who.gid, getegid());
    CHECK(who.pid == getpid() || who.pid == -1);
    close_pair(pair);
    CHECK_EQ(weft_unix_peer(pair[0], &who), -EBADF);

    CHECK_EQ(weft_socket(AF_INET, SOCK_STREAM, 0, &tcp), 0);
    CHECK_EQ(weft_unix_peer(tcp, &who), -EAFNOSUPPORT);
    says("is no Unix socket");
    CHECK_EQ(weft_close(tcp), 0);
    CHECK_EQ(weft_socket(AF_UNIX, SOCK_STREAM, 0, &tcp), 0);
    CHECK_EQ(weft_unix_peer(tcp, &who), -ENOTCONN);
    CHECK_EQ(weft_close(tcp), 0);
    open_pipe(pair);
    CHECK_EQ(weft_unix_peer(pair[0], &who), -ENOTSOCK);
    close_pair(pair);
}

TEST(each_message_tells_who_sent_it_when_that_is_wanted)
{
    weft_fd pair[2];
    char got[8];
    weft_unix_extra x = {0};
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_DGRAM, pair), 0);
    int err = weft_unix_want_creds(pair[1], true);
    if (err == -ENOTSUP) SKIP("credentials of messages are Linux's");
    CHECK_EQ(err, 0);
    CHECK_EQ(weft_unix_send(pair[0], "x", 1, NULL), 1);
    CHECK_EQ(weft_unix_recv(pair[1], got, sizeof got, &x), 1);
    CHECK(x.has_creds);
    CHECK_EQ(x.creds.pid, getpid());
    CHECK_EQ(x.creds.uid, getuid());
    CHECK_EQ(x.creds.gid, getgid());

    const weft_unix_creds mine = {-1, getuid(), getgid()};
    const weft_unix_send_opts o = {
        .creds = &mine, .fds = (const int[]){0}, .count = 1};
    int number;
    CHECK_EQ(weft_unix_send(pair[0], "yz", 2, &o), 2);
    x = (weft_unix_extra){.fds = &number, .room = 1};
    CHECK_EQ(weft_unix_recv(pair[1], got, sizeof got, &x), 2);
    CHECK(x.has_creds && x.creds.pid == getpid());
    CHECK_EQ(x.count, 1);
    CHECK_EQ(close(number), 0);

    CHECK_EQ(weft_unix_want_creds(pair[1], false), 0);
    CHECK_EQ(weft_unix_send(pair[0], "x", 1, NULL), 1);
    CHECK_EQ(weft_unix_recv(pair[1], got, sizeof got, &x), 1);
    CHECK(!x.has_creds);
    CHECK_EQ(x.creds.pid, -1);
    if (geteuid() != 0) {
        const weft_unix_creds other = {1, getuid() + 1, getgid()};
        const weft_unix_send_opts forged = {.creds = &other};
        CHECK_EQ(weft_unix_send(pair[0], "x", 1, &forged), -EPERM);
    }
    close_pair(pair);
    CHECK_EQ(weft_unix_want_creds(pair[0], true), -EBADF);
}

/* It is no credential that is told, and its descriptor is closed: the harness
 * finds what is left. */
TEST(a_descriptor_of_the_sender_s_process_is_not_left_behind)
{
#if defined(__linux__)
    enum { PASS_PIDFD = 76 }; /* SO_PASSPIDFD, of Linux 6.5 */
    int on = 1, number = STDERR_FILENO, got[2];
    weft_unix_extra x = {.fds = got, .room = 2};
    weft_fd pair[2];
    char octet;
    open_pair(pair);
    if (weft_setsockopt(pair[0], SOL_SOCKET, PASS_PIDFD, &on, sizeof on) == 0) {
        CHECK_EQ(weft_unix_send_fds(pair[1], "x", 1, &number, 1, NULL), 0);
        CHECK_EQ(weft_unix_recv(pair[0], &octet, 1, &x), 1);
        CHECK_EQ(x.count, 1);
        CHECK(!x.fds_lost);
        CHECK_EQ(close(got[0]), 0);
    }
    close_pair(pair);
#else
    SKIP("no SO_PASSPIDFD here");
#endif
}
