/* SPDX-License-Identifier: MIT */
/* test_udp_batch.c - datagrams by the batch. */
#include <weft/datagram.h>

#include <errno.h>
#include <netinet/in.h>

#include "cancel_points.h"
#include "runtime/os.h"
#include "system.h"
#include "udp.h"

enum { MANY = 40 }; /* more than a batch */

static char texts[MANY][12];

/* Letters with the texts "0", "1", ... for `to`, or for the peer. */
static void write_letters(weft_datagram d[MANY], const char *to)
{
    memset(d, 0, MANY * sizeof *d);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "%d", i);
        d[i].buf = texts[i];
        d[i].len = strlen(texts[i]);
        if (to) d[i].addr = addr_of(to);
    }
}

static char rooms[MANY][8];

static void make_rooms(weft_datagram d[MANY])
{
    memset(d, 0, MANY * sizeof *d);
    memset(rooms, 0, sizeof rooms);
    for (int i = 0; i < MANY; i++) {
        d[i].buf = rooms[i];
        d[i].size = sizeof rooms[i] - 1;
    }
}

/* All of them, in however many calls: a hostile world gives a few at a time. */
static void send_all(weft_fd s, const weft_datagram *d, int count)
{
    for (int n, sent = 0; sent < count; sent += n) {
        n = weft_udp_send_many(s, d + sent, (size_t)(count - sent));
        CHECK(n > 0);
    }
}

static void receive_all(weft_fd s, weft_datagram *d, int count)
{
    for (int n, had = 0; had < count; had += n) {
        n = weft_udp_recv_many(s, d + had, (size_t)(count - had));
        CHECK(n > 0);
    }
}

/* ---- there and back ----------------------------------------------------- */

TEST(a_batch_comes_whole_and_in_order)
{
    char here[WEFT_ADDR_TEXT], there[WEFT_ADDR_TEXT];
    static weft_datagram out[MANY], in[MANY];
    weft_fd a = udp_here(here), b = udp_here(there);
    write_letters(out, there);
    make_rooms(in);
    send_all(a, out, MANY);
    receive_all(b, in, MANY);
    for (int i = 0; i < MANY; i++) {
        check_text(&in[i], texts[i]);
        check_at(&in[i].addr, here);
    }
    close_pair((weft_fd[]){a, b});
}

TEST(a_call_takes_what_there_is_and_no_more_than_a_batch)
{
    char there[WEFT_ADDR_TEXT];
    static weft_datagram out[MANY], in[MANY];
    weft_fd a = udp_here(NULL), b = udp_here(there);
    write_letters(out, there);
    make_rooms(in);
    CHECK_EQ(weft_udp_send_many(a, out, MANY), WEFT_UDP_BATCH);
    CHECK_EQ(weft_udp_try_send_many(a, out + WEFT_UDP_BATCH, 3), 3);
    CHECK_EQ(weft_udp_recv_many(b, in, MANY), WEFT_UDP_BATCH);
    CHECK_EQ(weft_udp_try_recv_many(b, in, 2), 2);
    CHECK_EQ(weft_udp_recv_many(b, in, MANY), 1);
    check_text(&in[0], "34");
    CHECK_EQ(weft_udp_try_recv_many(b, in, MANY), -EAGAIN);
    close_pair((weft_fd[]){a, b});
}

TEST(a_batch_that_was_received_goes_back_to_each_of_its_senders)
{
    enum { CLIENTS = 5 };
    char there[WEFT_ADDR_TEXT];
    static weft_datagram in[MANY];
    weft_fd server = udp_here(there), client[CLIENTS];
    make_rooms(in);
    for (int i = 0; i < CLIENTS; i++) {
        client[i] = udp_to(there);
        say(client[i], (char[]){(char)('a' + i), 0});
    }
    receive_all(server, in, CLIENTS);
    send_all(server, in, CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        hear(client[i], (char[]){(char)('a' + i), 0});
        CHECK_EQ(weft_close(client[i]), 0);
    }
    CHECK_EQ(weft_close(server), 0);
}

TEST(each_of_a_batch_is_told_by_itself_whether_it_was_cut)
{
    char there[WEFT_ADDR_TEXT];
    static weft_datagram in[MANY];
    weft_fd server = udp_here(there), client = udp_to(there);
    make_rooms(in);
    say(client, "short");
    say(client, "much too long");
    say(client, "");
    say(client, "fits!!!");
    receive_all(server, in, 4);
    check_text(&in[0], "short");
    CHECK(in[1].truncated);
    CHECK_EQ(in[1].len, 7);
    check_text(&in[2], "");
    check_text(&in[3], "fits!!!");
    close_pair((weft_fd[]){server, client});
}

/* ---- errors ------------------------------------------------------------- */

static char much[66000];

static void the_third_is_too_large(weft_fd a, weft_fd b, const char *to)
{
    static weft_datagram out[MANY], in[MANY];
    int sent = 0, n;
    write_letters(out, to);
    make_rooms(in);
    out[2].buf = much;
    out[2].len = sizeof much;
    while ((n = weft_udp_send_many(a, out + sent, (size_t)(5 - sent))) > 0)
        sent += n;
    CHECK_EQ(sent, 2);
    CHECK_EQ(n, -EMSGSIZE);
    says("udp send to");
    CHECK_EQ(weft_udp_send_many(a, out + 2, 3), -EMSGSIZE);
    send_all(a, out + 3, 2);
    receive_all(b, in, 4);
    check_text(&in[1], "1");
    check_text(&in[2], "3");
}

TEST(what_went_before_an_error_counts_and_the_error_comes_next)
{
    char there[WEFT_ADDR_TEXT];
    weft_fd a = udp_here(NULL), b = udp_here(there);
    the_third_is_too_large(a, b, there);
    close_pair((weft_fd[]){a, b});
}

TEST(what_went_to_a_peer_before_an_error_counts_and_the_error_comes_next)
{
    char there[WEFT_ADDR_TEXT];
    weft_fd b = udp_here(there), a = udp_to(there);
    the_third_is_too_large(a, b, NULL);
    close_pair((weft_fd[]){a, b});
}

/* An error of its own comes again with the message it is of, and else is over:
 * who leaves that message out at once hears nothing of it. */
TEST(an_error_of_one_message_is_not_told_of_another)
{
    char there[WEFT_ADDR_TEXT];
    static weft_datagram out[MANY];
    weft_fd b = udp_here(there), a = udp_to(there);
    write_letters(out, NULL);
    out[1].buf = much;
    out[1].len = sizeof much;
    CHECK_EQ(weft_udp_send_many(a, out, 2), 1);
    CHECK_EQ(weft_udp_send_many(a, out + 2, 1), 1);
    hear(b, "0");
    hear(b, "2");
    close_pair((weft_fd[]){a, b});
}

/* Each that went is refused, and each refusal is told, as the only result of
 * one call. */
static int refusals(weft_fd s, const char *to, int count)
{
    static weft_datagram out[MANY];
    int sent = 0, refused = 0;
    write_letters(out, to);
    for (int calls = 0; sent < count; calls++) {
        CHECK(calls < 3 * MANY);
        int n = weft_udp_send_many(s, out + sent, (size_t)(count - sent));
        CHECK(n > 0 || n == -ECONNREFUSED);
        if (n > 0) sent += n;
        if (n < 0) refused++;
    }
    return refused;
}

static void loses_no_refusal(weft_fd s, const char *to)
{
    struct letter l;
    int refused = refusals(s, to, 7);
    for (int i = 0; i < 20; i++) { /* a hostile world says it later */
        settle();
        refused += weft_udp_try_recv(s, letter_room(&l)) == -ECONNREFUSED;
    }
    CHECK_EQ(refused, 7);
    CHECK_EQ(weft_close(s), 0);
}

TEST(no_refusal_within_a_batch_is_lost)
{
    char there[WEFT_ADDR_TEXT];
    nobody(there);
    loses_no_refusal(udp_to(there), NULL);
}

TEST(no_refusal_is_lost_of_those_that_name_the_peer)
{
#if defined(__linux__)
    char there[WEFT_ADDR_TEXT];
    weft_fd s;
    nobody(there);
    loses_no_refusal(udp_to(there), there);

    weft_addr peer = addr_of(there);
    int fd = system_own(socket(AF_INET, SOCK_DGRAM, 0));
    CHECK_EQ(connect(fd, (const struct sockaddr *)&peer.sa, peer.len), 0);
    CHECK_EQ(weft_fd_adopt(fd, &s), 0);
    loses_no_refusal(s, there);
#else
    SKIP("they are refused as a whole: EISCONN");
#endif
}

static weft_fd quiet;

static int receives_a_batch(void *arg)
{
    static weft_datagram in[MANY];
    make_rooms(in);
    int *result = arg;
    *result = weft_udp_recv_many(quiet, in, MANY);
    return 0;
}

/* The one behind a batch is kept for the call that comes next, and that may be
 * one that receives. */
TEST(a_refusal_within_a_batch_is_told_to_who_receives_too)
{
    char there[WEFT_ADDR_TEXT];
    static weft_datagram out[MANY];
    struct letter l;
    nobody(there);
    weft_fd s = udp_to(there);
    write_letters(out, NULL);
    CHECK_EQ(weft_udp_send_many(s, out, 2), 1);
    CHECK_EQ(weft_udp_recv(s, letter_room(&l)), -ECONNREFUSED);
    CHECK_EQ(weft_udp_try_recv(s, &l.d), -EAGAIN);
    CHECK_EQ(weft_close(s), 0);
}

TEST(an_error_of_a_socket_is_gone_with_it)
{
    char there[WEFT_ADDR_TEXT], here[WEFT_ADDR_TEXT];
    static weft_datagram out[MANY];
    struct letter l;
    nobody(there);
    weft_fd s = udp_to(there);
    int number = weft_fd_number(s);
    write_letters(out, NULL);
    CHECK_EQ(weft_udp_send_many(s, out, 2), 1);
    CHECK_EQ(weft_close(s), 0);
    weft_fd next = udp_here(here);
    CHECK_EQ(weft_fd_number(next), number);
    CHECK_EQ(weft_udp_try_recv(next, letter_room(&l)), -EAGAIN);
    say_to(next, "x", here);
    CHECK_EQ(weft_close(next), 0);
}

/* ---- who waits ---------------------------------------------------------- */

TEST_FIFO(who_waits_first_takes_all_there_is_and_the_next_waits_on)
{
    char there[WEFT_ADDR_TEXT];
    int first = 0, second = 0, rc;
    weft_fd client;
    quiet = udp_here(there);
    client = udp_to(there);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, receives_a_batch, &first), 0);
        CHECK_EQ(weft_spawn(&n, receives_a_batch, &second), 0);
        settle();
        for (int i = 0; i < 3; i++)
            say(client, "x");
        settle();
        CHECK_EQ(first, 3);
        CHECK_EQ(second, 0);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(second, -ECANCELED);
    close_pair((weft_fd[]){quiet, client});
}

static weft_fd pair[2];

struct sender {
    char text[2];
    int turn, result;
};

static int turns;

static int sends_a_pair(void *arg)
{
    struct sender *s = arg;
    weft_datagram d[2] = {{.buf = s->text, .len = 1},
                          {.buf = s->text, .len = 1}};
    s->result = weft_udp_send_many(pair[0], d, 2);
    s->turn = ++turns;
    return 0;
}

TEST_FIFO(senders_without_room_are_served_in_order)
{
    enum { SENDERS = 4 };
    struct sender s[SENDERS];
    char c;
    int rc;
    turns = 0;
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_DGRAM, pair), 0);
    while (weft_try_write(pair[0], "-", 1) == 1)
        continue;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < SENDERS; i++) {
            s[i] = (struct sender){.text = {(char)('a' + i)}};
            CHECK_EQ(weft_spawn(&n, sends_a_pair, &s[i]), 0);
        }
        settle();
        CHECK_EQ(turns, 0);
        while (weft_try_read(pair[1], &c, 1) == 1)
            CHECK_EQ(c, '-');
        settle();
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < SENDERS; i++) {
        CHECK_EQ(s[i].turn, i + 1);
        CHECK(s[i].result == 1 || s[i].result == 2);
        for (int k = 0; k < s[i].result; k++) {
            CHECK_EQ(weft_read(pair[1], &c, 1), 1);
            CHECK_EQ(c, 'a' + i);
        }
    }
    close_pair(pair);
}

/* There is room again, but those who wait for it have not been told yet. */
TEST_FIFO(a_newcomer_does_not_pass_the_senders_who_wait)
{
    struct sender s = {.text = "a"};
    const weft_datagram newcomer = {.buf = s.text, .len = 1};
    char c;
    int rc;
    turns = 0;
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_DGRAM, pair), 0);
    while (weft_try_write(pair[0], "-", 1) == 1)
        continue;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, sends_a_pair, &s), 0);
        settle();
        while (weft_try_read(pair[1], &c, 1) == 1)
            CHECK_EQ(c, '-');
        CHECK_EQ(weft_udp_try_send(pair[0], &newcomer), -EAGAIN);
        CHECK_EQ(weft_udp_send_to(pair[0], "n", 1, NULL), 0);
        CHECK_EQ(turns, 1);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_read(pair[1], &c, 1), 1);
    CHECK_EQ(c, 'a');
    close_pair(pair);
}

TEST(what_found_nothing_is_not_tried_again_before_something_came)
{
    char there[WEFT_ADDR_TEXT];
    struct letter l;
    weft_fd server = udp_here(there), client = udp_to(there);
    say(client, "1");
    CHECK_EQ(weft_wait_ready(server, WEFT_READABLE), WEFT_READABLE);
    hear(server, "1");
    CHECK_EQ(weft_udp_try_recv(server, letter_room(&l)), -EAGAIN);
    CHECK_EQ(weft_known_ready(server) & WEFT_READABLE, 0);
    say(client, "2");
    hear(server, "2");
    close_pair((weft_fd[]){server, client});
}

static ssize_t receives_some(void *s)
{
    static weft_datagram in[MANY];
    make_rooms(in);
    return weft_udp_recv_many(*(weft_fd *)s, in, MANY);
}

static ssize_t sends_some(void *s)
{
    static weft_datagram out[MANY];
    write_letters(out, NULL);
    return weft_udp_send_many(*(weft_fd *)s, out, 1);
}

static ssize_t moves_none(void *s)
{
    return weft_udp_recv_many(*(weft_fd *)s, NULL, 0) +
           weft_udp_send_many(*(weft_fd *)s, NULL, 0);
}

TEST(cp_01_batches)
{
    char there[WEFT_ADDR_TEXT];
    weft_fd server = udp_here(there), client = udp_to(there);
    is_a_cancel_point(sends_some, &client, 1);
    is_a_cancel_point(receives_some, &server, 1);
    is_woken(receives_some, &server);
    CHECK_EQ(moves_none(&server), 0);
    CHECK_EQ(weft_udp_try_recv_many(server, NULL, 0), 0);
    CHECK_EQ(weft_udp_try_send_many(server, NULL, 0), 0);
    close_pair((weft_fd[]){server, client});
}

/* ---- the raw calls ------------------------------------------------------ */

/* A connected one does not take a part of its messages without an address for
 * all of them. */
TEST(a_message_may_have_an_address_and_the_next_one_none)
{
    char there[WEFT_ADDR_TEXT];
    weft_fd server = udp_here(there), other = udp_here(NULL);
    weft_addr to = addr_of(there);
    struct iovec iov[2] = {{(char[]){'a'}, 1}, {(char[]){'b'}, 1}};
    weft_mmsg m[2] = {{.msg = {.msg_iov = &iov[0], .msg_iovlen = 1}},
                      {.msg = {.msg_iov = &iov[1], .msg_iovlen = 1}}};
    m[0].msg.msg_name = &to.sa;
    m[0].msg.msg_namelen = to.len;
    CHECK_EQ(weft_sendmmsg(other, m, 2, 0), 1);
    CHECK_EQ(m[0].len, 1);
    CHECK(weft_sendmmsg(other, m + 1, 1, 0) < 0);
    hear(server, "a");
    close_pair((weft_fd[]){server, other});
}

TEST(a_message_may_be_looked_at_and_stay)
{
    char there[WEFT_ADDR_TEXT], text[8] = "";
    weft_fd server = udp_here(there), client = udp_to(there);
    struct iovec iov = {text, sizeof text};
    weft_mmsg m = {.msg = {.msg_iov = &iov, .msg_iovlen = 1}};
    say(client, "abc");
    CHECK_EQ(weft_recvmmsg(server, &m, 1, MSG_PEEK), 1);
    CHECK_EQ(m.len, 3);
    CHECK_STR(text, "abc");
    hear(server, "abc");
    close_pair((weft_fd[]){server, client});
}

TEST(more_than_a_thousand_go_in_several_calls)
{
    enum { ALL = 1500 };
    static weft_mmsg m[ALL];
    static weft_datagram in[MANY];
    char there[WEFT_ADDR_TEXT];
    struct iovec none = {NULL, 0};
    weft_fd server = udp_here(there), client = udp_to(there);
    make_rooms(in);
    for (int i = 0; i < ALL; i++)
        m[i].msg = (struct msghdr){.msg_iov = &none, .msg_iovlen = 1};
    int n = weft_sendmmsg(client, m, ALL, 0);
    CHECK(n > 0 && n <= 1024);
    CHECK(weft_udp_recv_many(server, in, MANY) > 0);
    close_pair((weft_fd[]){server, client});
}

#ifdef WEFT_HOSTILE
TEST(datagrams_allocate_nothing)
{
    char there[WEFT_ADDR_TEXT];
    static weft_datagram in[MANY];
    weft_fd server = udp_here(there), client = udp_to(there);
    make_rooms(in);
    wf_hostile_fail(WF_CALL_ALLOC, 1, true);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 10; i++)
            say(client, "x");
        receive_all(server, in, 10);
        send_all(server, in, 10);
        for (int i = 0; i < 10; i++)
            hear(client, "x");
    }
    CHECK_EQ(wf_hostile_uses(WF_CALL_ALLOC), 0);
    wf_hostile_fail(WF_CALL_ALLOC, 0, false);
    close_pair((weft_fd[]){server, client});
}
#endif
