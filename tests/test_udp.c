/* SPDX-License-Identifier: MIT */
/* test_udp.c - datagrams one by one: opening, sending, receiving, refusing. */
#include <weft/scope.h>

#include <errno.h>
#include <netinet/in.h>

#include "cancel_points.h"
#include "system.h"
#include "udp.h"

/* ---- there and back ----------------------------------------------------- */

TEST(a_datagram_comes_whole_and_with_its_sender)
{
    char here[WEFT_ADDR_TEXT], there[WEFT_ADDR_TEXT];
    weft_fd a = udp_here(here), b = udp_here(there);
    struct letter l;
    say_to(a, "one", there);
    say_to(a, "and two", there);
    CHECK_EQ(weft_udp_recv(b, letter_room(&l)), 0);
    check_text(&l.d, "one");
    check_at(&l.d.addr, here);
    hear(b, "and two");
    CHECK_EQ(weft_udp_try_recv(b, &l.d), -EAGAIN);
    close_pair((weft_fd[]){a, b});
}

TEST(what_was_received_can_be_sent_back_as_it_stands)
{
    char there[WEFT_ADDR_TEXT];
    weft_fd server = udp_here(there), client = udp_to(there);
    struct letter l;
    say(client, "question");
    CHECK_EQ(weft_udp_recv(server, letter_room(&l)), 0);
    CHECK_EQ(weft_udp_send(server, &l.d), 0);
    hear(client, "question");
    close_pair((weft_fd[]){server, client});
}

TEST(a_datagram_without_octets_is_one_and_no_end)
{
    char there[WEFT_ADDR_TEXT];
    weft_fd server = udp_here(there), client = udp_to(there);
    struct letter l;
    say(client, "");
    say(client, "more");
    CHECK_EQ(weft_udp_recv(server, letter_room(&l)), 0);
    CHECK_EQ(l.d.len, 0);
    CHECK(!l.d.truncated);
    CHECK(l.d.addr.len > 0);
    hear(server, "more");
    close_pair((weft_fd[]){server, client});
}

TEST(what_is_larger_than_the_buffer_is_told_and_the_next_one_is_whole)
{
    char there[WEFT_ADDR_TEXT];
    weft_fd server = udp_here(there), client = udp_to(there);
    struct letter l;
    say(client, "12345");
    say(client, "12345");
    say(client, "12345");
    say(client, "next");
    letter_room(&l)->size = 4;
    CHECK_EQ(weft_udp_recv(server, &l.d), 0);
    CHECK(l.d.truncated);
    CHECK_EQ(l.d.len, 4);
    CHECK_STR(l.buf, "1234"); /* and nothing behind the room */
    letter_room(&l)->size = 5;
    CHECK_EQ(weft_udp_recv(server, &l.d), 0);
    check_text(&l.d, "12345");
    letter_room(&l)->size = 0;
    CHECK_EQ(weft_udp_recv(server, &l.d), 0);
    CHECK(l.d.truncated);
    CHECK_EQ(l.d.len, 0);
    hear(server, "next");
    close_pair((weft_fd[]){server, client});
}

TEST(a_dialled_socket_hears_nobody_but_its_peer)
{
    char here[WEFT_ADDR_TEXT], there[WEFT_ADDR_TEXT];
    weft_addr at;
    weft_fd server = udp_here(there), client = udp_to(there);
    weft_fd stranger = udp_here(NULL);
    CHECK_EQ(weft_local_addr(client, &at), 0);
    weft_addr_format(&at, here, sizeof here);
    say_to(stranger, "psst", here);
    say_to(server, "hello", here);
    hear(client, "hello");
    CHECK_EQ(weft_peer_addr(client, &at), 0);
    check_at(&at, there);
    close_pair((weft_fd[]){server, client});
    CHECK_EQ(weft_close(stranger), 0);
}

TEST(a_dialled_socket_sends_from_the_address_it_was_given)
{
    char here[WEFT_ADDR_TEXT], there[WEFT_ADDR_TEXT];
    struct letter l;
    weft_fd server = udp_here(there), client;
    nobody(here);
    CHECK_EQ(weft_udp_dial(&client, there, &(weft_udp_opts){.local = here}), 0);
    say(client, "x");
    CHECK_EQ(weft_udp_recv(server, letter_room(&l)), 0);
    check_at(&l.d.addr, here);
    close_pair((weft_fd[]){server, client});
}

static int whispers(void *here)
{
    weft_fd stranger = udp_here(NULL);
    weft_addr to = addr_of(here);
    int rc = 0;
    while (rc == 0) {
        rc = weft_udp_send_to(stranger, "psst", 4, &to);
        if (rc == 0) rc = weft_yield();
    }
    CHECK_EQ(weft_close(stranger), 0);
    return rc;
}

/* Each is dialled with one credit less, so that one of them gives way after it
 * has its port and before it has its peer. */
TEST(what_strangers_sent_before_there_was_a_peer_is_dropped)
{
    char here[WEFT_ADDR_TEXT], there[WEFT_ADDR_TEXT];
    weft_fd server = udp_here(there), client;
    const weft_udp_opts o = {.local = here};
    struct letter l;
    int rc;
    nobody(here);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, whispers, here), 0);
        for (int i = 0; i < 2 * BUDGET; i++) {
            CHECK_EQ(weft_udp_dial(&client, there, &o), 0);
            CHECK_EQ(weft_udp_try_recv(client, letter_room(&l)), -EAGAIN);
            CHECK_EQ(weft_close(client), 0);
        }
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_close(server), 0);
}

/* ---- what ICMP says ----------------------------------------------------- */

TEST(a_refusal_is_told_once_to_who_receives)
{
    char there[WEFT_ADDR_TEXT];
    struct letter l;
    nobody(there);
    weft_fd client = udp_to(there);
    say(client, "anybody?");
    CHECK_EQ(weft_udp_recv(client, letter_room(&l)), -ECONNREFUSED);
    says("udp receive");
    CHECK_EQ(weft_udp_try_recv(client, &l.d), -EAGAIN);
    say(client, "again?");
    CHECK_EQ(weft_udp_recv(client, &l.d), -ECONNREFUSED);
    CHECK_EQ(weft_close(client), 0);
}

TEST(a_refusal_is_told_once_to_who_sends_and_then_it_goes_on)
{
    char there[WEFT_ADDR_TEXT];
    nobody(there);
    weft_fd client = udp_to(there);
    say(client, "lost");
    CHECK_EQ(weft_udp_send_to(client, "no", 2, NULL), -ECONNREFUSED);
    says("udp send to the peer");
    weft_fd server = udp_at(there, NULL);
    say(client, "found");
    hear(server, "found");
    close_pair((weft_fd[]){server, client});
}

static int receives(void *arg)
{
    struct call *c = arg;
    weft_datagram d = {.buf = c->buf, .size = sizeof c->buf};
    int rc = weft_udp_recv(c->fd, &d);
    return note_return(c, rc < 0 ? rc : (ssize_t)d.len);
}

TEST(a_refusal_wakes_one_of_those_who_wait)
{
    char there[WEFT_ADDR_TEXT];
    int rc, refused = 0;
    nobody(there);
    weft_fd client = udp_to(there);
    struct call r[2] = {{.fd = client}, {.fd = client}};
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 2; i++)
            CHECK_EQ(weft_spawn(&n, receives, &r[i]), 0);
        settle();
        say(client, "anybody?");
        settle();
        for (int i = 0; i < 2; i++)
            refused += r[i].returned && r[i].result == -ECONNREFUSED;
        CHECK_EQ(refused, 1);
        CHECK_EQ(weft_close(client), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(r[0].result + r[1].result, -ECONNREFUSED - EBADF);
}

TEST(others_than_a_dialled_socket_are_not_told)
{
    char there[WEFT_ADDR_TEXT];
    struct letter l;
    nobody(there);
    weft_fd s = udp_here(NULL);
    say_to(s, "anybody?", there);
    CHECK_EQ(weft_udp_try_recv(s, letter_room(&l)), -EAGAIN);
    say_to(s, "no matter", there);
    CHECK_EQ(weft_close(s), 0);
}

/* ---- what cannot be sent ------------------------------------------------ */

TEST(what_cannot_be_sent_is_refused_by_name)
{
    static char much[66000];
    char there[WEFT_ADDR_TEXT], words[WEFT_ADDR_TEXT + 16];
    weft_fd server = udp_here(there), client = udp_to(there);
    weft_addr to = addr_of(there);
    CHECK_EQ(weft_udp_send_to(client, much, sizeof much, NULL), -EMSGSIZE);
    says("udp send to the peer");
    CHECK_EQ(weft_udp_send_to(server, much, sizeof much, &to), -EMSGSIZE);
    (void)snprintf(words, sizeof words, "udp send to %s", there);
    says(words);
    CHECK(weft_udp_send_to(server, "x", 1, NULL) < 0);
    say(client, "still good");
    hear(server, "still good");
    close_pair((weft_fd[]){server, client});
}

TEST(broadcast_has_to_be_asked_for)
{
    weft_fd s = udp_at(":0", NULL);
    weft_addr all = addr_of("127.255.255.255:9");
    CHECK_EQ(weft_udp_send_to(s, "x", 1, &all), -EACCES);
    CHECK_EQ(weft_close(s), 0);
}

/* ---- who waits ---------------------------------------------------------- */

TEST_FIFO(receivers_are_served_in_order)
{
    enum { RECEIVERS = 6 };
    char there[WEFT_ADDR_TEXT];
    weft_fd server = udp_here(there), client = udp_to(there);
    struct call r[RECEIVERS];
    int turns = 0, rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < RECEIVERS; i++) {
            r[i] = (struct call){.fd = server, .turns = &turns};
            CHECK_EQ(weft_spawn(&n, receives, &r[i]), 0);
        }
        settle();
        for (int i = 0; i < RECEIVERS; i++) {
            say(client, (char[]){(char)('a' + i), 0});
            if (i == 2) settle(); /* some in a bunch */
        }
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < RECEIVERS; i++) {
        CHECK_EQ(r[i].result, 1);
        CHECK_EQ(r[i].turn, i + 1);
        CHECK_EQ(r[i].buf[0], 'a' + i);
    }
    close_pair((weft_fd[]){server, client});
}

TEST(closing_wakes_all_who_receive)
{
    weft_fd server = udp_here(NULL);
    struct call r[3];
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 3; i++) {
            r[i] = (struct call){.fd = server};
            CHECK_EQ(weft_spawn(&n, receives, &r[i]), 0);
        }
        settle();
        CHECK_EQ(weft_close(server), 0);
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(r[i].result, -EBADF);
    struct letter l;
    CHECK_EQ(weft_udp_recv(server, letter_room(&l)), -EBADF);
    CHECK_EQ(weft_udp_try_recv(server, &l.d), -EBADF);
    CHECK_EQ(weft_udp_send_to(server, "x", 1, NULL), -EBADF);
    CHECK_EQ(weft_udp_tell_local(server), -EBADF);
}

static struct letter one_letter;

static ssize_t receives_one(void *s)
{
    return weft_udp_recv(*(weft_fd *)s, letter_room(&one_letter));
}

static ssize_t sends_one(void *s)
{
    return weft_udp_send_to(*(weft_fd *)s, "x", 1, NULL);
}

TEST(cp_01_datagrams)
{
    char there[WEFT_ADDR_TEXT];
    weft_fd server = udp_here(there), client = udp_to(there);
    struct letter l;
    is_a_cancel_point(sends_one, &client, 0);
    is_a_cancel_point(receives_one, &server, 0);
    check_text(&one_letter.d, "x");
    CHECK_EQ(weft_udp_try_recv(server, letter_room(&l)), -EAGAIN);
    is_woken(receives_one, &server);
    is_woken_by_a_cancel(receives_one, &server);
    say(client, "none was lost");
    hear(server, "none was lost");
    close_pair((weft_fd[]){server, client});
}

/* ---- addresses ---------------------------------------------------------- */

TEST(an_address_may_say_that_it_is_of_udp)
{
    weft_fd s;
    weft_addr at;
    CHECK_EQ(weft_udp_bind(&s, "udp://127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_local_addr(s, &at), 0);
    CHECK(weft_addr_port(&at) != 0);
    CHECK_EQ(weft_close(s), 0);
}

TEST(what_is_no_address_of_udp_is_refused_in_words)
{
    weft_fd s = {7, 7};
    CHECK_EQ(weft_udp_bind(&s, "tcp://127.0.0.1:1", NULL), -EINVAL);
    says("is of TCP");
    CHECK_EQ(weft_udp_bind(&s, "udp://tcp://127.0.0.1:1", NULL), -EINVAL);
    says("is of TCP");
    CHECK_EQ(weft_udp_dial(&s, "unix:/tmp/x", NULL), -EAFNOSUPPORT);
    says("unix:/tmp/x");
    CHECK_EQ(weft_udp_dial(&s, "127.0.0.1", NULL), -EINVAL);
    CHECK_EQ(weft_udp_bind(&s, "udp://", NULL), -EINVAL);
    CHECK_EQ(
        weft_udp_dial(&s, "127.0.0.1:9", &(weft_udp_opts){.local = "nowhere"}),
        -EINVAL);
    says("nowhere");
    CHECK_EQ(s.slot, 7);
}

TEST(an_address_that_cannot_be_had_is_named)
{
    char here[WEFT_ADDR_TEXT];
    weft_fd one = udp_here(here), s = {7, 7};
    CHECK_EQ(weft_udp_bind(&s, here, NULL), -EADDRINUSE);
    says("udp bind");
    says(here);
    CHECK_EQ(weft_udp_bind(&s, "203.0.113.7:0", NULL), -EADDRNOTAVAIL);
    CHECK_EQ(weft_udp_dial(&s, "127.0.0.1:9",
                           &(weft_udp_opts){.local = "203.0.113.7:0"}),
             -EADDRNOTAVAIL);
    says("udp dial 127.0.0.1:9 from 203.0.113.7:0");
    CHECK_EQ(s.slot, 7);
    CHECK_EQ(weft_close(one), 0);
}

/* ---- options ------------------------------------------------------------ */

static int option(weft_fd s, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;
    CHECK_EQ(weft_getsockopt(s, level, name, &value, &len), 0);
    return value;
}

TEST(options_are_those_that_were_asked_for)
{
    weft_fd s, plain = udp_here(NULL);
    const weft_udp_opts o = {.reuse_addr = true,
                             .reuse_port = true,
                             .broadcast = true,
                             .hops = 7,
                             .receive_buffer = 16384,
                             .send_buffer = 32768};
    CHECK_EQ(weft_udp_bind(&s, "127.0.0.1:0", &o), 0);
    CHECK(option(s, SOL_SOCKET, SO_REUSEADDR) != 0);
    CHECK(option(s, SOL_SOCKET, SO_REUSEPORT) != 0);
    CHECK(option(s, SOL_SOCKET, SO_BROADCAST) != 0);
    CHECK_EQ(option(s, IPPROTO_IP, IP_TTL), 7);
    CHECK(option(s, SOL_SOCKET, SO_RCVBUF) >= 16384);
    CHECK(option(s, SOL_SOCKET, SO_RCVBUF) <= 2 * 16384);
    CHECK(option(s, SOL_SOCKET, SO_SNDBUF) >= 32768);
    CHECK(option(s, SOL_SOCKET, SO_SNDBUF) <= 2 * 32768);
    CHECK_EQ(option(plain, SOL_SOCKET, SO_REUSEADDR), 0);
    CHECK_EQ(option(plain, SOL_SOCKET, SO_REUSEPORT), 0);
    CHECK_EQ(option(plain, SOL_SOCKET, SO_BROADCAST), 0);
    close_pair((weft_fd[]){s, plain});
}

TEST(options_that_cannot_be_are_refused_in_words)
{
    weft_fd s = {7, 7};
    CHECK_EQ(weft_udp_bind(&s, ":0", &(weft_udp_opts){.hops = 256}), -EINVAL);
    says("256 hops");
    CHECK_EQ(
        weft_udp_dial(&s, "127.0.0.1:9", &(weft_udp_opts){.send_buffer = -5}),
        -EINVAL);
    says("-5 octets");
    CHECK_EQ(weft_udp_bind(&s, ":0", &(weft_udp_opts){.receive_buffer = -1}),
             -EINVAL);
    CHECK_EQ(s.slot, 7);
}

TEST(two_may_share_a_port_if_both_say_so)
{
    char here[WEFT_ADDR_TEXT];
    const weft_udp_opts shared = {.reuse_port = true};
    weft_fd a, b, c;
    weft_addr at;
    CHECK_EQ(weft_udp_bind(&a, "127.0.0.1:0", &shared), 0);
    CHECK_EQ(weft_local_addr(a, &at), 0);
    weft_addr_format(&at, here, sizeof here);
    CHECK_EQ(weft_udp_bind(&b, here, &shared), 0);
    CHECK_EQ(weft_udp_bind(&c, here, NULL), -EADDRINUSE);
    close_pair((weft_fd[]){a, b});
}

TEST(fragments_can_be_forbidden)
{
    weft_fd s;
    int err = weft_udp_bind(&s, "127.0.0.1:0",
                            &(weft_udp_opts){.dont_fragment = true});
    if (err == -ENOTSUP) SKIP("there is no such option here");
    CHECK_EQ(err, 0);
#if defined(IP_MTU_DISCOVER)
    CHECK_EQ(option(s, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_DO);
#endif
    CHECK_EQ(weft_close(s), 0);
}

/* ---- IPv6 --------------------------------------------------------------- */

static bool has_v6(void)
{
    weft_fd s;
    if (weft_udp_bind(&s, "[::1]:0", NULL) < 0) return false;
    CHECK_EQ(weft_close(s), 0);
    return true;
}

TEST(datagrams_go_by_ipv6_too)
{
    char there[WEFT_ADDR_TEXT];
    struct letter l;
    weft_fd server, client;
    const weft_udp_opts o = {.hops = 9};
    if (!has_v6()) SKIP("no IPv6 here");
    server = udp_at("[::1]:0", there);
    CHECK_EQ(weft_udp_dial(&client, there, &o), 0);
    CHECK_EQ(option(client, IPPROTO_IPV6, IPV6_UNICAST_HOPS), 9);
    say(client, "six");
    CHECK_EQ(weft_udp_recv(server, letter_room(&l)), 0);
    check_text(&l.d, "six");
    CHECK_EQ(weft_udp_send(server, &l.d), 0);
    hear(client, "six");
    close_pair((weft_fd[]){server, client});
}

TEST(a_socket_of_both_families_hears_and_answers_ipv4)
{
#if defined(__OpenBSD__)
    SKIP("OpenBSD keeps the families apart");
#endif
    char there[WEFT_ADDR_TEXT], text[WEFT_ADDR_TEXT];
    struct letter l;
    weft_addr at;
    if (!has_v6()) SKIP("no IPv6 here");
    weft_fd server = udp_at("[::]:0", there);
    CHECK_EQ(weft_local_addr(server, &at), 0);
    (void)snprintf(there, sizeof there, "127.0.0.1:%u", weft_addr_port(&at));
    weft_fd client = udp_to(there);
    say(client, "four");
    CHECK_EQ(weft_udp_recv(server, letter_room(&l)), 0);
    CHECK(strstr(weft_addr_format(&l.d.addr, text, sizeof text), "127.0.0.1"));
    CHECK_EQ(weft_udp_send(server, &l.d), 0);
    hear(client, "four");
    close_pair((weft_fd[]){server, client});
}

TEST(one_of_ipv6_alone_leaves_the_port_of_ipv4_to_others)
{
    char there[WEFT_ADDR_TEXT];
    weft_fd six, four;
    weft_addr at;
    if (!has_v6()) SKIP("no IPv6 here");
    CHECK_EQ(weft_udp_bind(&six, "[::]:0", &(weft_udp_opts){.v6_only = true}),
             0);
    CHECK_EQ(weft_local_addr(six, &at), 0);
    (void)snprintf(there, sizeof there, "0.0.0.0:%u", weft_addr_port(&at));
    CHECK_EQ(weft_udp_bind(&four, there, NULL), 0);
    close_pair((weft_fd[]){six, four});
}

/* ---- misuse ------------------------------------------------------------- */

TEST(what_is_no_socket_of_datagrams_is_refused_in_words)
{
    weft_fd stream[2], ends[2];
    struct letter l;
    open_pair(stream);
    CHECK_EQ(weft_udp_recv(stream[0], letter_room(&l)), -EPROTOTYPE);
    says("no datagram socket");
    CHECK_EQ(weft_udp_try_recv(stream[0], &l.d), -EPROTOTYPE);
    CHECK_EQ(weft_udp_send(stream[0], &l.d), -EPROTOTYPE);
    CHECK_EQ(weft_udp_try_send(stream[0], &l.d), -EPROTOTYPE);
    CHECK_EQ(weft_udp_tell_local(stream[0]), -EAFNOSUPPORT);
    close_pair(stream);
    open_pipe(ends);
    CHECK_EQ(weft_udp_recv(ends[0], &l.d), -ENOTSOCK);
    CHECK_EQ(weft_udp_send_to(ends[1], "x", 1, NULL), -ENOTSOCK);
    int err = weft_udp_join(ends[1], &(weft_udp_group){.group = "224.0.1.9"});
    if (err == -ENOPROTOOPT) SKIP("an emulator knows no such options");
    CHECK_EQ(err, -ENOTSOCK);
    close_pair(ends);
}

TEST_PLAIN(outside_of_a_run_there_are_no_datagrams)
{
    weft_fd s = {7, 7};
    struct letter l;
    CHECK_EQ(weft_udp_bind(&s, "127.0.0.1:0", NULL), -EPERM);
    CHECK_EQ(weft_udp_dial(&s, "127.0.0.1:9", NULL), -EPERM);
    CHECK_EQ(s.slot, 7);
    CHECK_EQ(weft_udp_recv(s, letter_room(&l)), -EPERM);
    CHECK_EQ(weft_udp_send(s, &l.d), -EPERM);
    CHECK_EQ(weft_udp_try_recv(s, &l.d), -EBADF);
    CHECK_EQ(weft_udp_try_send(s, &l.d), -EBADF);
    CHECK_EQ(weft_udp_tell_local(s), -EBADF);
}

/* ---- datagrams of other families ---------------------------------------- */

TEST(datagrams_of_a_unix_pair_move_in_the_same_way)
{
    weft_fd p[2];
    struct letter l;
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_DGRAM, p), 0);
    say(p[0], "");
    say(p[0], "unix");
    CHECK_EQ(weft_udp_recv(p[1], letter_room(&l)), 0);
    CHECK_EQ(l.d.len, 0);
    hear(p[1], "unix");
    CHECK_EQ(weft_udp_try_recv(p[1], &l.d), -EAGAIN);
    close_pair(p);
}

/* Those of UDP never wait on loopback: what does not fit is lost there. */
static ssize_t sends_when_there_is_room(void *s)
{
    return weft_udp_send_to(*(weft_fd *)s, "late", 4, NULL);
}

TEST(a_sender_waits_for_room_and_nothing_of_a_cancelled_one_goes)
{
    weft_fd p[2];
    struct letter l;
    char minus[] = "-";
    weft_datagram d = {.buf = minus, .len = 1};
    int queued = 0;
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_DGRAM, p), 0);
    while (weft_udp_try_send(p[0], &d) == 0)
        queued++;
    CHECK_EQ(weft_udp_try_send(p[0], &d), -EAGAIN);
    CHECK(queued > 0);
    is_woken(sends_when_there_is_room, &p[0]);
    is_woken_by_a_cancel(sends_when_there_is_room, &p[0]);
    for (int i = 0; i < queued; i++)
        hear(p[1], "-");
    settle();
    CHECK_EQ(weft_udp_try_recv(p[1], letter_room(&l)), -EAGAIN);
    close_pair(p);
}
