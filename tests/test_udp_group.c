/* SPDX-License-Identifier: MIT */
/* test_udp_group.c - multicast, on the loopback interface. */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>

#include "udp.h"

static const char four[] = "239.77.1.2", six[] = "ff11::77:1";

/* The name of the loopback interface. */
static const char *lo(void)
{
    return if_nametoindex("lo") ? "lo" : if_nametoindex("lo0") ? "lo0" : NULL;
}

/* A member of `group`, on whatever address; or the reason why there is none. */
static int open_member(weft_fd *ret, const char *any, const weft_udp_group *g)
{
    int err = weft_udp_bind(ret, any, NULL);
    if (err < 0) return err;
    err = weft_udp_join(*ret, g);
    if (err < 0) CHECK_EQ(weft_close(*ret), 0);
    return err;
}

static weft_addr group_at(weft_fd member, const char *group)
{
    char text[WEFT_ADDR_TEXT];
    weft_addr at;
    CHECK_EQ(weft_local_addr(member, &at), 0);
    (void)snprintf(text, sizeof text, strchr(group, ':') ? "[%s]:%u" : "%s:%u",
                   group, weft_addr_port(&at));
    return addr_of(text);
}

static weft_fd sender_to_lo(const char *any)
{
    weft_fd s;
    CHECK_EQ(weft_udp_bind(&s, any, NULL), 0);
    CHECK_EQ(
        weft_udp_set_multicast(s, &(weft_udp_multicast){.interface = lo()}), 0);
    return s;
}

/* Can a datagram to a group be had back from loopback at all? */
static const char *cannot(const char *any, const char *group)
{
    weft_fd member, sender;
    struct letter l;
    if (!lo()) return "no loopback interface of a known name";
    weft_udp_group g = {.group = group, .interface = lo()};
    if (open_member(&member, any, &g) < 0) return "no multicast on loopback";
    sender = sender_to_lo(any);
    weft_addr to = group_at(member, group);
    int err = weft_udp_send_to(sender, "?", 1, &to);
    settle();
    if (err == 0) err = weft_udp_try_recv(member, letter_room(&l));
    close_pair((weft_fd[]){member, sender});
    return err < 0 ? "multicast does not come back on loopback" : NULL;
}

static void goes_to_members(const char *any, const char *group,
                            const char *want)
{
    weft_fd in[2], out, sender;
    struct letter l;
    weft_addr to, at;
    const weft_udp_group g = {.group = group, .interface = lo()};
    const char *why = cannot(any, group);
    if (why) SKIP(why);
    CHECK_EQ(open_member(&in[0], any, &g), 0);
    in[1] = udp_at(any, NULL);
    out = udp_at(any, NULL);
    sender = sender_to_lo(any);
    to = group_at(in[0], group);
    CHECK_EQ(weft_udp_send_to(sender, "members", 7, &to), 0);
    CHECK_EQ(weft_udp_recv(in[0], letter_room(&l)), 0);
    check_text(&l.d, "members");
    CHECK(weft_datagram_group(&l.d, &at));
    check_at(&at, want);
    CHECK_EQ(l.d.interface, if_nametoindex(lo()));
    /* The answer goes to who asked, and not from the group. */
    CHECK_EQ(weft_udp_send(in[0], &l.d), 0);
    hear(sender, "members");
    CHECK_EQ(weft_udp_leave(in[0], &g), 0);
    CHECK_EQ(weft_udp_send_to(sender, "late", 4, &to), 0);
    settle();
    CHECK_EQ(weft_udp_try_recv(in[0], letter_room(&l)), -EAGAIN);
    close_pair(in);
    close_pair((weft_fd[]){out, sender});
}

TEST(a_member_hears_the_group_until_it_leaves)
{
    goes_to_members("0.0.0.0:0", four, "239.77.1.2:0");
}

TEST(a_member_of_a_group_of_ipv6_hears_it_until_it_leaves)
{
    goes_to_members("[::]:0", six, "[ff11::77:1]:0");
}

TEST(a_datagram_may_name_the_interface_to_a_group)
{
    weft_fd member, sender = udp_at(":0", NULL);
    char text[] = "by lo";
    const char *why = cannot(":0", four);
    if (why) SKIP(why);
    CHECK_EQ(open_member(&member, ":0",
                         &(weft_udp_group){.group = four, .interface = lo()}),
             0);
    weft_datagram d = {.buf = text, .len = 5, .addr = group_at(member, four)};
    d.interface = if_nametoindex(lo());
    CHECK_EQ(weft_udp_send(sender, &d), 0);
    hear(member, "by lo");
    close_pair((weft_fd[]){member, sender});
}

TEST(only_the_source_that_was_joined_is_heard)
{
    weft_fd member, sender;
    struct letter l;
    const char *why = cannot(":0", four);
    weft_udp_group g = {
        .group = four, .interface = lo(), .source = "127.0.0.9"};
    if (why) SKIP(why);
    CHECK_EQ(open_member(&member, ":0", &g), 0);
    weft_addr to = group_at(member, four);
    sender = sender_to_lo("127.0.0.1:0");
    CHECK_EQ(weft_udp_send_to(sender, "stranger", 8, &to), 0);
    settle();
    CHECK_EQ(weft_udp_try_recv(member, letter_room(&l)), -EAGAIN);
    CHECK_EQ(weft_udp_leave(member, &g), 0);
    g.source = "127.0.0.1";
    CHECK_EQ(weft_udp_join(member, &g), 0);
    CHECK_EQ(weft_udp_send_to(sender, "source", 6, &to), 0);
    hear(member, "source");
    close_pair((weft_fd[]){member, sender});
}

TEST(how_it_is_sent_to_groups_is_set_together)
{
    weft_fd s = udp_at(":0", NULL);
    unsigned char octet = 99;
    socklen_t len = sizeof octet;
    const weft_udp_multicast m = {.hops = 5, .no_loop = true};
    int err = weft_udp_set_multicast(s, &m);
    if (err == -ENOPROTOOPT) SKIP("an emulator knows no such options");
    CHECK_EQ(err, 0);
    CHECK_EQ(weft_getsockopt(s, IPPROTO_IP, IP_MULTICAST_TTL, &octet, &len), 0);
    CHECK_EQ(octet, 5);
    len = sizeof octet;
    CHECK_EQ(weft_getsockopt(s, IPPROTO_IP, IP_MULTICAST_LOOP, &octet, &len),
             0);
    CHECK_EQ(octet, 0);
    CHECK_EQ(weft_udp_set_multicast(s, &(weft_udp_multicast){.hops = 0}), 0);
    len = sizeof octet;
    CHECK_EQ(weft_getsockopt(s, IPPROTO_IP, IP_MULTICAST_TTL, &octet, &len), 0);
    CHECK_EQ(octet, 1);
    CHECK_EQ(weft_close(s), 0);
}

TEST(what_cannot_be_set_of_groups_is_refused_in_words)
{
    weft_fd s = udp_at(":0", NULL), pair[2];
    CHECK_EQ(weft_udp_set_multicast(s, &(weft_udp_multicast){.hops = 256}),
             -EINVAL);
    says("256 hops");
    CHECK_EQ(weft_udp_set_multicast(
                 s, &(weft_udp_multicast){.interface = "no-such-if"}),
             -ENODEV);
    says("no-such-if");
    CHECK(weft_udp_set_multicast(
              s, &(weft_udp_multicast){.interface = "99999999"}) < 0);
    says("99999999");
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_DGRAM, pair), 0);
    CHECK_EQ(weft_udp_set_multicast(pair[0], &(weft_udp_multicast){.hops = 1}),
             -EAFNOSUPPORT);
    close_pair(pair);
    CHECK_EQ(weft_close(s), 0);
    CHECK_EQ(weft_udp_set_multicast(s, &(weft_udp_multicast){.hops = 1}),
             -EBADF);
}

TEST(a_group_that_cannot_be_joined_is_refused_in_words)
{
    weft_fd s = udp_at(":0", NULL);
    weft_udp_group g = {.group = "127.0.0.1"};
    CHECK_EQ(weft_udp_join(s, &g), -EINVAL);
    says("127.0.0.1 is no group");
    g.group = "239.1.2.3:5";
    CHECK_EQ(weft_udp_join(s, &g), -EINVAL);
    says("239.1.2.3:5");
    g.group = NULL;
    CHECK_EQ(weft_udp_join(s, &g), -EINVAL);
    g = (weft_udp_group){.group = four, .source = "::1"};
    CHECK_EQ(weft_udp_join(s, &g), -EINVAL);
    says("cannot be a source");
    g = (weft_udp_group){.group = four, .interface = "no-such-if"};
    CHECK_EQ(weft_udp_join(s, &g), -ENODEV);
    says("no-such-if");
    g.interface = "";
    CHECK_EQ(weft_udp_leave(s, &g), -ENODEV);
    g.interface = "0";
    CHECK_EQ(weft_udp_leave(s, &g), -ENODEV);
    CHECK_EQ(weft_close(s), 0);
    g.interface = NULL;
    CHECK_EQ(weft_udp_join(s, &g), -EBADF);
}

TEST(a_group_is_joined_once_and_left_once)
{
    weft_fd s;
    const weft_udp_group g = {.group = four, .interface = lo()};
    if (!lo()) SKIP("no loopback interface of a known name");
    if (open_member(&s, ":0", &g) < 0) SKIP("no multicast on loopback");
    CHECK_EQ(weft_udp_join(s, &g), -EADDRINUSE);
    says(four);
    CHECK_EQ(weft_udp_leave(s, &g), 0);
    CHECK_EQ(weft_udp_leave(s, &g), -EADDRNOTAVAIL);
    says("udp leave");
    CHECK_EQ(weft_close(s), 0);
}

TEST(an_interface_may_be_named_by_its_number)
{
    weft_fd s;
    char number[16];
    if (!lo()) SKIP("no loopback interface of a known name");
    (void)snprintf(number, sizeof number, "%u", if_nametoindex(lo()));
    weft_udp_group g = {.group = four, .interface = number};
    if (open_member(&s, ":0", &g) < 0) SKIP("no multicast on loopback");
    g.interface = lo();
    CHECK_EQ(weft_udp_leave(s, &g), 0); /* it is the same one */
    CHECK_EQ(weft_close(s), 0);
}
