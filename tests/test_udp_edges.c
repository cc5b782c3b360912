/* SPDX-License-Identifier: MIT */
/*
 * test_udp_edges.c - datagrams where things come together, or run short.
 */
#include "net/udp.h"

#include <weft/datagram.h>

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/resource.h>

#include "system.h"
#include "udp.h"

static int hears_one(void *arg)
{
    struct call *c = arg;
    struct letter l;
    return note_return(c, weft_udp_recv(c->fd, letter_room(&l)));
}

TEST(all_who_wait_are_served_of_datagrams_that_came_together)
{
    int rc, turns = 0;
    char there[WEFT_ADDR_TEXT];
    weft_fd s = udp_here(there), c = udp_to(there);
    struct call calls[3];
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 3; i++) {
            calls[i] = (struct call){.fd = s, .turns = &turns};
            CHECK_EQ(weft_spawn(&n, hears_one, &calls[i]), 0);
        }
        settle();
        for (int i = 0; i < 3; i++)
            say(c, "x");
        rc = 0;
    }
    CHECK_EQ(turns, 3);
    close_pair((weft_fd[]){s, c});
}

TEST(an_interface_that_is_not_there_is_told_of_either_family)
{
    weft_fd s = udp_here(NULL);
    const weft_udp_multicast m = {.interface = "99999"};
    int err = weft_udp_set_multicast(s, &m);
    if (err == -ENOPROTOOPT) SKIP("an emulator knows no such options");
    CHECK_EQ(err, -ENODEV);
    CHECK_EQ(weft_close(s), 0);
}

TEST(without_a_free_descriptor_no_interface_is_said_not_to_be_there)
{
    struct rlimit had, none;
    weft_addr a;
    weft_fd s = udp_here(NULL);
    const weft_udp_group g = {.group = "239.1.2.3", .interface = "lo"};
    if (if_nametoindex("lo") == 0) SKIP("loopback has another name");
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &had), 0);
    none = had;
    none.rlim_cur = 0;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    int joined = weft_udp_join(s, &g);
    int parsed = weft_addr_parse(&a, "[fe80::1%lo]:5");
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &had), 0);
    CHECK(joined != -ENODEV); /* where it takes one: -EMFILE */
    CHECK(parsed != -EINVAL);
    CHECK_EQ(weft_close(s), 0);
}

TEST(an_interface_that_is_not_there_leaves_errno_alone)
{
    weft_fd s = udp_here(NULL);
    const weft_udp_group g = {.group = "239.1.2.3", .interface = "nosuch"};
    errno = 4711;
    CHECK_EQ(weft_udp_join(s, &g), -ENODEV);
    CHECK_EQ(weft_addr_parse(&(weft_addr){.len = 0}, "[fe80::1%nosuch]:5"),
             -EINVAL);
    CHECK_EQ(errno, 4711);
    CHECK_EQ(weft_close(s), 0);
}

TEST_PLAIN(an_interface_is_named_to_a_host_on_a_link_of_ipv4)
{
#if defined(IP_PKTINFO)
    struct wf_udp_info info;
    weft_datagram d = {.addr = addr_of("169.254.1.2:5"), .interface = 3};
    CHECK(wf_udp_put_info(&d, &info) > 0);
    struct cmsghdr *c = (struct cmsghdr *)(void *)info.room;
    struct in_pktinfo in;
    memcpy(&in, CMSG_DATA(c), sizeof in);
    CHECK_EQ(in.ipi_ifindex, 3);
#else
    SKIP("nothing is said of interfaces here");
#endif
}

TEST(a_sender_without_a_name_leaves_no_other_behind)
{
    weft_fd pair[2];
    struct letter l;
    char text[WEFT_ADDR_TEXT];
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_DGRAM, pair), 0);
    say(pair[0], "x");
    letter_room(&l)->addr = addr_of("127.0.0.1:7");
    CHECK_EQ(weft_udp_recv(pair[1], &l.d), 0);
    const char *from = weft_addr_format(&l.d.addr, text, sizeof text);
    CHECK_STR(from, l.d.addr.len == 0 ? "?" : "unix:"); /* Linux; FreeBSD */
    close_pair(pair);
}

TEST(a_look_at_the_queue_of_errors_hides_no_datagram)
{
#if defined(MSG_ERRQUEUE)
    char there[WEFT_ADDR_TEXT];
    weft_fd s = udp_here(there), c = udp_to(there);
    weft_mmsg m = {.len = 0};
    say(c, "here");
    CHECK_EQ(weft_wait_ready(s, WEFT_READABLE), WEFT_READABLE);
    int n = weft_try_recvmmsg(s, &m, 1, MSG_ERRQUEUE);
    if (n > 0) SKIP("an emulator loses the flag");
    CHECK_EQ(n, -EAGAIN);
    CHECK_EQ(weft_recvmsg(s, &m.msg, MSG_ERRQUEUE), -EAGAIN);
    CHECK_EQ(weft_try_recvmsg(s, &m.msg, MSG_ERRQUEUE), -EAGAIN);
    hear(s, "here");
    close_pair((weft_fd[]){s, c});
#else
    SKIP("there is none here");
#endif
}

TEST(room_for_nothing_tells_that_there_was_something)
{
    char there[WEFT_ADDR_TEXT];
    weft_fd s = udp_here(there), c = udp_to(there);
    weft_datagram d = {.size = 0};
    say(c, "x");
    say(c, "");
    CHECK_EQ(weft_udp_recv(s, &d), 0);
    CHECK_EQ(d.len, 0);
    CHECK(d.truncated);
    CHECK_EQ(weft_udp_recv(s, &d), 0);
    CHECK(!d.truncated);
    close_pair((weft_fd[]){s, c});
}
