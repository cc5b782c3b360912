/* SPDX-License-Identifier: MIT */
/*
 * test_udp_local.c - hosts with several addresses: which one was asked, and an
 * answer from there. On Linux all of 127.0.0.0/8 is such a host.
 */
#include "net/udp.h"

#include <weft/datagram.h>

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>

#include "system.h"
#include "udp.h"

static bool is_there(const char *address)
{
    weft_fd s;
    if (weft_udp_bind(&s, address, NULL) < 0) return false;
    CHECK_EQ(weft_close(s), 0);
    return true;
}

/* `host` with the port of `s`. */
static const char *port_at(weft_fd s, const char *host,
                           char text[WEFT_ADDR_TEXT])
{
    weft_addr at;
    CHECK_EQ(weft_local_addr(s, &at), 0);
    (void)snprintf(text, WEFT_ADDR_TEXT, "%s:%u", host, weft_addr_port(&at));
    return text;
}

static void asked_at(const char *any, const char *host, const char *want)
{
    char there[WEFT_ADDR_TEXT];
    struct letter l;
    weft_fd server = udp_at(any, NULL);
    weft_fd client = udp_to(port_at(server, host, there));
    say(client, "question");
    CHECK_EQ(weft_udp_recv(server, letter_room(&l)), 0);
    check_at(&l.d.local, want);
    CHECK(!weft_datagram_group(&l.d, &(weft_addr){.len = 0}));
    /* It is dialled, and would not hear another address. */
    CHECK_EQ(weft_udp_send(server, &l.d), 0);
    hear(client, "question");
    close_pair((weft_fd[]){server, client});
}

TEST(an_answer_comes_from_the_address_that_was_asked)
{
    if (!is_there("127.0.0.2:0")) SKIP("one address of loopback only");
    asked_at(":0", "127.0.0.2", "127.0.0.2:0");
    asked_at("0.0.0.0:0", "127.0.0.1", "127.0.0.1:0");
}

TEST(an_answer_by_ipv6_comes_from_the_address_that_was_asked)
{
    if (!is_there("[::1]:0")) SKIP("no IPv6 here");
    asked_at("[::]:0", "[::1]", "[::1]:0");
}

TEST(an_answer_of_a_socket_of_both_families_does_so_too)
{
#if defined(__OpenBSD__)
    SKIP("OpenBSD keeps the families apart");
#endif
    if (!is_there("[::1]:0")) SKIP("no IPv6 here");
    if (!is_there("127.0.0.3:0")) SKIP("one address of loopback only");
    asked_at("[::]:0", "127.0.0.3", "[::ffff:127.0.0.3]:0");
}

TEST(each_of_a_batch_is_answered_from_where_it_was_asked)
{
    static const char *const hosts[] = {"127.0.0.4", "127.0.0.2", "127.0.0.3"};
    char there[WEFT_ADDR_TEXT];
    struct letter l[3];
    weft_datagram d[3];
    weft_fd server, client[3];
    int n = 0;
    if (!is_there("127.0.0.2:0")) SKIP("one address of loopback only");
    server = udp_at(":0", NULL);
    for (int i = 0; i < 3; i++) {
        client[i] = udp_to(port_at(server, hosts[i], there));
        say(client[i], hosts[i]);
        d[i] = *letter_room(&l[i]);
    }
    for (int got; n < 3; n += got) {
        got = weft_udp_recv_many(server, d + n, (size_t)(3 - n));
        CHECK(got > 0);
    }
    for (int went, i = 0; i < 3; i += went) {
        went = weft_udp_send_many(server, d + i, (size_t)(3 - i));
        CHECK(went > 0);
    }
    for (int i = 0; i < 3; i++) {
        hear(client[i], hosts[i]);
        CHECK_EQ(weft_close(client[i]), 0);
    }
    CHECK_EQ(weft_close(server), 0);
}

TEST(without_an_address_of_its_own_the_kernel_chooses)
{
    char there[WEFT_ADDR_TEXT];
    struct letter l, answer;
    weft_fd server, client;
    if (!is_there("127.0.0.2:0")) SKIP("one address of loopback only");
    server = udp_at(":0", NULL);
    client = udp_here(NULL);
    say_to(client, "x", port_at(server, "127.0.0.2", there));
    CHECK_EQ(weft_udp_recv(server, letter_room(&l)), 0);
    l.d.local.len = 0;
    CHECK_EQ(weft_udp_send(server, &l.d), 0);
    CHECK_EQ(weft_udp_recv(client, letter_room(&answer)), 0);
    check_at(&answer.d.addr, port_at(server, "127.0.0.1", there));
    close_pair((weft_fd[]){server, client});
}

/* Of one that knows its address nothing is told, unless that is asked for. */
TEST(the_address_is_told_of_a_bound_socket_when_asked_for)
{
    char there[WEFT_ADDR_TEXT];
    struct letter l;
    weft_fd server = udp_here(there), client = udp_to(there);
    say(client, "1");
    CHECK_EQ(weft_udp_recv(server, letter_room(&l)), 0);
    CHECK_EQ(l.d.local.len, 0);
    CHECK_EQ(l.d.interface, 0);
    CHECK_EQ(weft_udp_tell_local(server), 0);
    say(client, "2");
    CHECK_EQ(weft_udp_recv(server, &l.d), 0);
    check_at(&l.d.local, "127.0.0.1:0");
    close_pair((weft_fd[]){server, client});

    CHECK_EQ(weft_udp_bind(&server, "127.0.0.1:0",
                           &(weft_udp_opts){.tell_local = true}),
             0);
    client = udp_to(port_at(server, "127.0.0.1", there));
    say(client, "3");
    CHECK_EQ(weft_udp_recv(server, &l.d), 0);
    check_at(&l.d.local, "127.0.0.1:0");
    close_pair((weft_fd[]){server, client});
}

TEST(the_interface_is_told_where_the_system_does)
{
    char there[WEFT_ADDR_TEXT], name[IF_NAMESIZE] = "";
    struct letter l;
    weft_fd server = udp_at(":0", NULL);
    weft_fd client = udp_to(port_at(server, "127.0.0.1", there));
    say(client, "x");
    CHECK_EQ(weft_udp_recv(server, letter_room(&l)), 0);
    close_pair((weft_fd[]){server, client});
    if (l.d.interface == 0) SKIP("it is not told here");
    CHECK(if_indextoname(l.d.interface, name) != NULL);
    CHECK(strncmp(name, "lo", 2) == 0);
}

TEST(nothing_is_sent_from_an_address_of_somebody_else)
{
    char there[WEFT_ADDR_TEXT], text[] = "x";
    weft_fd server = udp_here(there), client = udp_at(":0", NULL);
    weft_datagram d = {.buf = text, .len = 1, .addr = addr_of(there)};
    d.local = addr_of("203.0.113.7:0");
    CHECK(weft_udp_send(client, &d) < 0);
    says("udp send to 127.0.0.1:");
    d.local = addr_of("127.0.0.1:0");
    CHECK_EQ(weft_udp_send(client, &d), 0);
    hear(server, "x");
    close_pair((weft_fd[]){server, client});
}

TEST(the_address_is_told_of_a_socket_that_was_adopted)
{
    char there[WEFT_ADDR_TEXT];
    struct letter l;
    struct sockaddr_in any = {.sin_family = AF_INET};
    weft_fd server;
    int fd = system_own(socket(AF_INET, SOCK_DGRAM, 0));
    CHECK_EQ(bind(fd, (const struct sockaddr *)&any, sizeof any), 0);
    CHECK_EQ(weft_fd_adopt(fd, &server), 0);
    CHECK_EQ(weft_udp_tell_local(server), 0);
    weft_fd client = udp_to(port_at(server, "127.0.0.1", there));
    say(client, "x");
    CHECK_EQ(weft_udp_recv(server, letter_room(&l)), 0);
    check_at(&l.d.local, "127.0.0.1:0");
    close_pair((weft_fd[]){server, client});
}

TEST(what_is_said_of_one_datagram_is_not_said_of_the_next)
{
    char there[WEFT_ADDR_TEXT], bound[WEFT_ADDR_TEXT];
    struct letter l;
    weft_fd any = udp_at(":0", NULL), one = udp_here(bound);
    weft_fd client = udp_here(NULL);
    say_to(client, "x", port_at(any, "127.0.0.1", there));
    CHECK_EQ(weft_udp_recv(any, letter_room(&l)), 0);
    CHECK(l.d.local.len > 0);
    say_to(client, "y", bound);
    CHECK_EQ(weft_udp_recv(one, &l.d), 0);
    CHECK_EQ(l.d.local.len, 0);
    CHECK_EQ(l.d.interface, 0);
    close_pair((weft_fd[]){any, one});
    CHECK_EQ(weft_close(client), 0);
}

#if defined(__linux__)
static void broadcast_at(const char *any, const char *own)
{
    char there[WEFT_ADDR_TEXT];
    struct letter l, answer;
    weft_addr group;
    weft_fd server, client;
    CHECK_EQ(weft_udp_bind(&server, any, NULL), 0);
    CHECK_EQ(weft_udp_bind(&client, "127.0.0.1:0",
                           &(weft_udp_opts){.broadcast = true}),
             0);
    say_to(client, "all", port_at(server, "127.255.255.255", there));
    CHECK_EQ(weft_udp_recv(server, letter_room(&l)), 0);
    CHECK(weft_datagram_group(&l.d, &group));
    check_at(&group, "127.255.255.255:0");
    check_at(&l.d.local, own);
    CHECK_EQ(weft_udp_send(server, &l.d), 0); /* not from the group */
    CHECK_EQ(weft_udp_recv(client, letter_room(&answer)), 0);
    check_text(&answer.d, "all");
    close_pair((weft_fd[]){server, client});
}

TEST(a_broadcast_is_known_and_answered_from_an_address_of_this_host)
{
    broadcast_at("0.0.0.0:0", "127.0.0.1:0");
    if (is_there("[::1]:0")) broadcast_at("[::]:0", "[::ffff:127.0.0.1]:0");
}
#endif

/* ---- where an address needs an interface -------------------------------- */

/* What would be said to the kernel: the interface, or -1 for nothing at all. */
static int interface_said(const char *local, const char *to, unsigned interface)
{
    weft_datagram d = {.interface = interface};
    struct wf_udp_info info;
    struct in6_pktinfo said;
    if (local) d.local = addr_of(local);
    if (to) d.addr = addr_of(to);
    size_t len = wf_udp_put_info(&d, &info);
    if (len == 0) return -1;
    struct msghdr msg = {.msg_control = info.room};
    msg.msg_controllen = (__typeof__(msg.msg_controllen))len;
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    CHECK(c && c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO);
    memcpy(&said, CMSG_DATA(c), sizeof said);
    return (int)said.ipi6_ifindex;
}

TEST_PLAIN(an_interface_is_named_where_an_address_needs_one)
{
    CHECK_EQ(interface_said(NULL, "[ff02::1]:5", 3), 3);
    CHECK_EQ(interface_said(NULL, "[fe80::1]:5", 3), 3);
    CHECK_EQ(interface_said("[fe80::1]:0", "[fe80::2]:5", 3), 3);
    CHECK_EQ(interface_said("[fe80::1]:0", NULL, 3), 3);
    /* By the routes, which may lead back another way. */
    CHECK_EQ(interface_said("[2001:db8::1]:0", "[2001:db8:7::2]:5", 3), 0);
    CHECK_EQ(interface_said(NULL, "[2001:db8:7::2]:5", 3), -1);
    CHECK_EQ(interface_said(NULL, "[ff02::1]:5", 0), -1);
    CHECK_EQ(interface_said(NULL, NULL, 3), -1);
}

TEST_PLAIN(an_address_of_a_link_is_told_with_its_interface)
{
    struct in6_pktinfo info = {.ipi6_ifindex = 1};
    struct wf_udp_info room;
    weft_datagram d = {.len = 0};
    weft_addr from = addr_of("[fe80::1]:0");
    memcpy(&info.ipi6_addr, &((struct sockaddr_in6 *)&from.sa)->sin6_addr,
           sizeof info.ipi6_addr);
    struct msghdr msg = {.msg_control = room.room};
    msg.msg_controllen = sizeof room.room;
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = IPPROTO_IPV6;
    c->cmsg_type = IPV6_PKTINFO;
    c->cmsg_len = (__typeof__(c->cmsg_len))CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(c), &info, sizeof info);
    msg.msg_controllen =
        (__typeof__(msg.msg_controllen))CMSG_SPACE(sizeof info);
    wf_udp_take_info(&d, &msg);
    CHECK_EQ(d.interface, 1);
    CHECK_EQ(((struct sockaddr_in6 *)&d.local.sa)->sin6_scope_id, 1);
    /* What does not fit is not believed by halves. */
    msg.msg_flags = MSG_CTRUNC;
    wf_udp_take_info(&d, &msg);
    CHECK_EQ(d.local.len, 0);
    CHECK_EQ(d.interface, 0);
}
