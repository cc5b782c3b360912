/* SPDX-License-Identifier: MIT */
/*
 * test_io_edges.c - wakes that must not be missed, and places in line that
 * must not be lost: where a read is short though more is there, where one edge
 * has to serve several fibers, and where a newcomer gets in between.
 */
#include <weft/error.h>
#include <weft/io.h>
#include <weft/scope.h>
#include <weft/socket.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "harness.h"
#include "reactor/here.h"
#include "sockets.h"
#include "system.h"

/* Reads `want` with a deadline, as it would hang for ever otherwise. */
static void check_reads(weft_fd fd, const char *want)
{
    char buf[64];
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(200))
        rc = (int)weft_read(fd, buf, sizeof buf - 1);
    buf[rc < 0 ? 0 : rc] = '\0';
    CHECK_STR(rc < 0 ? weft_strerror(rc) : buf, want);
}

static void connect_raw(weft_fd listener, int fd)
{
    weft_addr at;
    CHECK_EQ(weft_local_addr(listener, &at), 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&at.sa, at.len), 0);
}

/* ---- short reads that are not the last ---------------------------------- */

/* TCP stops a read at the urgent mark, and goes on behind it. */
TEST_REAL(a_read_that_stops_at_urgent_data_does_not_miss_what_follows)
{
    weft_fd listener, conn;
    CHECK_EQ(weft_listen(&listener, "127.0.0.1:0", NULL), 0);
    int raw = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(raw >= 0);
    connect_raw(listener, raw);
    CHECK_EQ(weft_accept(listener, &conn, NULL), 0);
    struct call r = {.fd = conn};
    int rc;
    WEFT_NURSERY(n, rc) { /* registered, so that there are edges to miss */
        CHECK_EQ(weft_spawn(&n, read_some, &r), 0);
        settle();
        CHECK_EQ(send(raw, "first", 5, 0), 5);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(send(raw, "before", 6, 0), 6);
    CHECK_EQ(send(raw, "!", 1, MSG_OOB), 1);
    CHECK_EQ(send(raw, "behind", 6, 0), 6);
    settle();
    check_reads(conn, "before");
    check_reads(conn, "behind");
    CHECK_EQ(close(raw), 0);
    CHECK_EQ(weft_close(conn), 0);
    CHECK_EQ(weft_close(listener), 0);
}

static void send_with_descriptor(weft_fd fd, const char *text)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof control};
    int passed = 0;
    memset(&control, 0, sizeof control);
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &passed, sizeof passed);
    CHECK_EQ(weft_sendmsg(fd, &msg, 0), strlen(text));
}

/* A Unix socket stops a read behind octets that came with a descriptor. */
TEST(a_read_that_stops_at_a_passed_descriptor_does_not_miss_what_follows)
{
    weft_fd p[2];
    int rc;
    open_pair(p);
    struct call r = {.fd = p[1]};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, read_some, &r), 0);
        settle();
        CHECK_EQ(weft_write(p[0], "first", 5), 5);
    }
    CHECK_EQ(rc, 0);
    send_with_descriptor(p[0], "one");
    CHECK_EQ(weft_write(p[0], "two", 3), 3);
    settle();
    check_reads(p[1], "one"); /* read(2) closes what was passed */
    check_reads(p[1], "two");
    close_pair(p);
}

TEST(a_message_with_a_descriptor_does_not_hide_the_octets_behind_it)
{
    char buf[64], control[64];
    weft_fd p[2];
    int rc, passed;
    open_pair(p);
    struct call r = {.fd = p[1]};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, read_some, &r), 0);
        settle();
        CHECK_EQ(weft_write(p[0], "first", 5), 5);
    }
    CHECK_EQ(rc, 0);
    send_with_descriptor(p[0], "one");
    CHECK_EQ(weft_write(p[0], "two", 3), 3);
    settle();
    struct iovec iov = {buf, sizeof buf};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control,
                         .msg_controllen = sizeof control};
    CHECK_EQ(weft_recvmsg(p[1], &msg, 0), 3);
    struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
    CHECK(header && header->cmsg_type == SCM_RIGHTS);
    memcpy(&passed, CMSG_DATA(header), sizeof passed);
    CHECK_EQ(close(passed), 0);
    check_reads(p[1], "two");
    close_pair(p);
}

/* ---- one edge, several fibers ------------------------------------------- */

static int write_one(void *arg)
{
    struct call *c = arg;
    return note_return(c, weft_write(c->fd, c->buf, 1));
}

static void writers_are_served_in_order(void)
{
    enum { WRITERS = 5 };
    struct call w[WRITERS];
    weft_fd p[2];
    char c;
    int turns = 0, rc;
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_DGRAM, p), 0);
    while (weft_try_write(p[0], "-", 1) == 1) continue;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < WRITERS; i++) {
            w[i] = (struct call){.fd = p[0], .turns = &turns};
            w[i].buf[0] = (char)('a' + i);
            CHECK_EQ(weft_spawn(&n, write_one, &w[i]), 0);
        }
        settle();
        CHECK_EQ(turns, 0);
        while (weft_try_read(p[1], &c, 1) == 1) CHECK_EQ(c, '-'); /* room */
        settle();
        if (turns < WRITERS) weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w[0].result, 1);
    for (int i = 1; i < WRITERS; i++) {
        CHECK_EQ(w[i].result, 1);
        CHECK_EQ(w[i].turn, i + 1);
    }
    for (int i = 0; i < WRITERS; i++) {
        CHECK_EQ(weft_read(p[1], &c, 1), 1);
        CHECK_EQ(c, 'a' + i);
    }
    close_pair(p);
}

TEST_FIFO(writers_of_a_datagram_socket_are_all_served_in_order)
{
    writers_are_served_in_order();
}

/* Which takes an hour of a busy server where a pointer has 32 bits. */
TEST_FIFO(places_in_line_are_kept_when_their_numbers_come_round)
{
    wf_reactor->tickets = UINTPTR_MAX - 2;
    writers_are_served_in_order();
}

/* There is room again, but those who wait for it have not been told yet. */
TEST_FIFO(a_newcomer_does_not_pass_the_writers_who_wait)
{
    struct call w[2];
    weft_fd p[2];
    char c;
    int turns = 0, rc;
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_DGRAM, p), 0);
    while (weft_try_write(p[0], "-", 1) == 1) continue;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 2; i++) {
            w[i] = (struct call){.fd = p[0], .turns = &turns};
            w[i].buf[0] = (char)('a' + i);
            CHECK_EQ(weft_spawn(&n, write_one, &w[i]), 0);
        }
        settle();
        while (weft_try_read(p[1], &c, 1) == 1) CHECK_EQ(c, '-');
        CHECK_EQ(weft_write(p[0], "n", 1), 1);
    }
    CHECK_EQ(rc, 0);
    for (const char *want = "abn"; *want; want++) {
        CHECK_EQ(weft_read(p[1], &c, 1), 1);
        CHECK_EQ(c, *want);
    }
    close_pair(p);
}

static int fill_and_wait(void *arg)
{
    weft_fd *fd = arg;
    static char junk[1 << 20];
    return weft_write_all(*fd, junk, sizeof junk, NULL);
}

TEST(a_message_does_not_come_between_the_octets_of_another_writer)
{
    char text[] = "between";
    struct iovec iov = {text, sizeof text};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    static char sink[1 << 20];
    weft_fd p[2];
    int rc;
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_STREAM, p), 0);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, fill_and_wait, &p[0]), 0);
        settle();
        CHECK_EQ(weft_read(p[1], sink, 65536), 65536); /* some room */
        CHECK_EQ(weft_sendmsg(p[0], &msg, 0), -EBUSY);
        CHECK_EQ(weft_read_exact(p[1], sink, sizeof sink - 65536, NULL), 0);
    }
    CHECK_EQ(rc, 0);
    close_pair(p);
}

static int read_one_datagram(void *arg)
{
    struct call *c = arg;
    return note_return(c, weft_read(c->fd, c->buf, sizeof c->buf));
}

TEST_FIFO(datagrams_that_came_together_wake_as_many_readers)
{
    struct call r[4];
    weft_fd p[2];
    int rc;
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_DGRAM, p), 0);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 4; i++) {
            r[i] = (struct call){.fd = p[1]};
            CHECK_EQ(weft_spawn(&n, read_one_datagram, &r[i]), 0);
        }
        settle();
        for (int i = 0; i < 3; i++) CHECK_EQ(weft_write(p[0], "x", 1), 1);
        settle();
        for (int i = 0; i < 3; i++) CHECK(r[i].returned);
        CHECK(!r[3].returned);
        CHECK_EQ(weft_write(p[0], "x", 1), 1);
    }
    CHECK_EQ(rc, 0);
    close_pair(p);
}

/* ---- places in line ----------------------------------------------------- */

struct thief {
    weft_fd wake, from;
    bool stole;
};

static int steal_a_connection(void *arg)
{
    struct thief *t = arg;
    weft_fd conn;
    char c;
    CHECK_EQ(weft_read(t->wake, &c, 1), 1);
    if (weft_try_accept(t->from, &conn, NULL) == 0) {
        t->stole = true;
        CHECK_EQ(weft_close(conn), 0);
    }
    return 0;
}

/* Both become ready in one poll, the thief first; the acceptor then finds
 * nothing, and has to wait again: before those who came after it. */
TEST_FIFO_REAL(an_acceptor_that_finds_nothing_keeps_its_place_in_line)
{
    struct call a[3];
    weft_fd p[2], listener;
    int turns = 0, rc, raw[4];
    open_pair(p);
    CHECK_EQ(weft_listen(&listener, "127.0.0.1:0", NULL), 0);
    for (int i = 0; i < 4; i++) raw[i] = socket(AF_INET, SOCK_STREAM, 0);
    WEFT_NURSERY(n, rc) {
        struct thief thief = {p[0], listener, false};
        CHECK_EQ(weft_spawn(&n, steal_a_connection, &thief), 0);
        settle();
        for (int i = 0; i < 3; i++) {
            a[i] = (struct call){.fd = listener, .turns = &turns};
            CHECK_EQ(weft_spawn(&n, accept_one, &a[i]), 0);
        }
        settle();
        CHECK_EQ(weft_write(p[1], "x", 1), 1);
        connect_raw(listener, raw[0]);
        settle();
        CHECK_EQ(turns, thief.stole ? 0 : 1);
        for (int i = thief.stole ? 1 : 2; i < 4; i++) {
            connect_raw(listener, raw[i]);
            settle();
        }
        while (turns < 3) CHECK_EQ(weft_sleep(WEFT_USEC(200)), 0);
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < 3; i++) CHECK_EQ(a[i].turn, i + 1);
    for (int i = 0; i < 4; i++) CHECK_EQ(close(raw[i]), 0);
    CHECK_EQ(weft_close(listener), 0);
    close_pair(p);
}

/* ---- closed behind our back --------------------------------------------- */

TEST(a_number_closed_by_close_and_adopted_again_ends_the_old_handle)
{
    weft_fd old[2], now[2];
    char c;
    int rc;
    open_pair(old);
    struct call r = {.fd = old[0]};
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, read_some, &r), 0);
        settle();
        CHECK_EQ(close(weft_fd_number(old[0])), 0); /* a bug, but not weft's */
        CHECK_EQ(weft_close(old[1]), 0);
        open_pair(now);
        CHECK_EQ(now[0].slot, old[0].slot);
        settle();
        CHECK(r.returned);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(r.result, -EBADF);
    CHECK_EQ(weft_write(old[0], "x", 1), -EBADF);
    CHECK_EQ(weft_close(old[0]), -EBADF);
    CHECK_EQ(weft_write(now[0], "x", 1), 1);
    CHECK_EQ(weft_read(now[1], &c, 1), 1);
    close_pair(now);
}

/* ---- messages on a connection ------------------------------------------- */

/* A read takes one message and stops there, which is not the last of them. */
TEST(an_accepted_sequenced_packet_socket_is_read_message_after_message)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    socklen_t len = sizeof at;
    weft_fd listener, near, far;
    int rc;
    if (!system_has_seqpacket()) SKIP("no local socket has packets here");
    CHECK_EQ(weft_socket(AF_UNIX, SOCK_SEQPACKET, 0, &listener), 0);
    CHECK_EQ(weft_bind(listener, (struct sockaddr *)&at, sizeof at.sun_family),
             0); /* the kernel makes up a name */
    CHECK_EQ(weft_getsockname(listener, (struct sockaddr *)&at, &len), 0);
    CHECK_EQ(weft_listen_on(listener, 5), 0);
    CHECK_EQ(weft_socket(AF_UNIX, SOCK_SEQPACKET, 0, &far), 0);
    CHECK_EQ(weft_connect(far, (struct sockaddr *)&at, len), 0);
    CHECK_EQ(weft_accept_from(listener, &near, NULL, NULL), 0);
    struct call r = {.fd = near};
    WEFT_NURSERY(n, rc) { /* registered, so that there are edges to miss */
        CHECK_EQ(weft_spawn(&n, read_some, &r), 0);
        settle();
        CHECK_EQ(weft_write(far, "first", 5), 5);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_write(far, "one", 3), 3);
    CHECK_EQ(weft_write(far, "three", 5), 5);
    settle();
    check_reads(near, "one");
    check_reads(near, "three");
    CHECK_EQ(weft_close(near), 0);
    CHECK_EQ(weft_close(far), 0);
    CHECK_EQ(weft_close(listener), 0);
}

/* Whether a short read was all depends on who carries it: for some virtual
 * machines the octets come packet by packet. */
#ifdef AF_VSOCK
TEST(a_stream_of_another_family_is_the_same_kind_opened_or_adopted)
{
    weft_fd opened, adopted;
    if (weft_socket(AF_VSOCK, SOCK_STREAM, 0, &opened) < 0)
        SKIP("no AF_VSOCK here");
    int number = socket(AF_VSOCK, SOCK_STREAM, 0);
    CHECK_EQ(weft_fd_adopt(number, &adopted), 0);
    CHECK_EQ(wf_fd_of(opened)->kind, WF_FD_PACKET);
    CHECK_EQ(wf_fd_of(adopted)->kind, WF_FD_PACKET);
    CHECK_EQ(weft_close(opened), 0);
    CHECK_EQ(weft_close(adopted), 0);
}
#else
TEST(a_stream_of_another_family_is_the_same_kind_opened_or_adopted)
{
    SKIP("no AF_VSOCK here");
}
#endif

/* A stream says so by the second reader: on datagrams it could wait in line. */
#ifdef SOCK_CLOEXEC
TEST(flags_in_the_type_of_a_socket_do_not_change_its_kind)
{
    static const int types[] = {SOCK_STREAM | SOCK_CLOEXEC,
                                SOCK_STREAM | SOCK_NONBLOCK,
                                SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK};
    for (int i = 0; i < 3; i++) {
        weft_fd p[2];
        char c;
        int rc, second = 0;
        CHECK_EQ(weft_socketpair(AF_UNIX, types[i], p), 0);
        struct call r = {.fd = p[0]};
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, read_some, &r), 0);
            settle();
            WEFT_FAIL_AFTER(second, WEFT_MSEC(10))
                second = (int)weft_read(p[0], &c, 1);
            CHECK_EQ(weft_write(p[1], "x", 1), 1);
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(second, -EBUSY);
        CHECK_EQ(r.result, 1);
        close_pair(p);
    }
}
#else
TEST(flags_in_the_type_of_a_socket_do_not_change_its_kind)
{
    SKIP("a type has no flags here");
}
#endif

/* ---- read behind our back ----------------------------------------------- */

TEST_REAL(waiting_and_reading_by_the_number_does_not_spin)
{
    weft_fd p[2];
    char c;
    int wakes = 0, rc;
    open_pipe(p);
    CHECK_EQ(weft_write(p[1], "ab", 2), 2);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(50)) {
        while ((rc = weft_wait_ready(p[0], WEFT_READABLE)) > 0 && wakes < 1000) {
            wakes++;
            (void)!read(weft_fd_number(p[0]), &c, 1);
        }
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK(wakes >= 2 && wakes <= 4);
    CHECK_EQ(weft_write(p[1], "c", 1), 1); /* and the next octet wakes it */
    WEFT_FAIL_AFTER(rc, WEFT_SEC(1)) rc = weft_wait_ready(p[0], WEFT_READABLE);
    CHECK_EQ(rc, WEFT_READABLE);
    close_pair(p);
}
