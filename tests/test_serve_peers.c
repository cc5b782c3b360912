/* SPDX-License-Identifier: MIT */
/* test_serve_peers.c - who has how many connections: the table, by a model. */
#include <weft/addr.h>

#include <netinet/in.h>
#include <string.h>

#include "chance.h"
#include "harness.h"
#include "net/serve.h"

static weft_addr address(const char *text)
{
    weft_addr a;
    CHECK_EQ(weft_addr_parse(&a, text), 0);
    return a;
}

static int enter(struct wf_peers *p, const char *text)
{
    weft_addr a = address(text);
    return wf_peers_enter(p, &a);
}

static void leave(struct wf_peers *p, const char *text)
{
    weft_addr a = address(text);
    wf_peers_leave(p, &a);
}

TEST(the_limit_is_for_an_address_whatever_its_port)
{
    struct wf_peers p = {.limit = 2, .prefix6 = 128};
    CHECK_EQ(enter(&p, "10.0.0.1:1"), 0);
    CHECK_EQ(enter(&p, "10.0.0.1:2"), 0);
    CHECK_EQ(enter(&p, "10.0.0.1:3"), -EBUSY);
    CHECK_EQ(enter(&p, "10.0.0.2:1"), 0);
    leave(&p, "10.0.0.1:1");
    CHECK_EQ(enter(&p, "10.0.0.1:3"), 0);
    CHECK_EQ(enter(&p, "10.0.0.1:4"), -EBUSY);
    leave(&p, "10.0.0.1:2");
    leave(&p, "10.0.0.1:3");
    leave(&p, "10.0.0.2:1");
    CHECK(p.root == NULL);
}

TEST(a_mapped_address_is_the_same_as_the_one_of_ipv4)
{
    struct wf_peers p = {.limit = 1, .prefix6 = 64};
    CHECK_EQ(enter(&p, "10.0.0.1:1"), 0);
    CHECK_EQ(enter(&p, "[::ffff:10.0.0.1]:1"), -EBUSY);
    CHECK_EQ(enter(&p, "[::ffff:10.0.0.2]:1"), 0); /* nothing is cut off */
    CHECK_EQ(enter(&p, "10.0.0.2:1"), -EBUSY);
    leave(&p, "[::ffff:10.0.0.1]:9");
    leave(&p, "10.0.0.2:9");
    CHECK(p.root == NULL);
}

TEST(a_prefix_makes_one_peer_of_a_network)
{
    struct wf_peers whole = {.limit = 1, .prefix6 = 128};
    struct wf_peers by64 = {.limit = 1, .prefix6 = 64};
    struct wf_peers by57 = {.limit = 1, .prefix6 = 57};
    static const char *const all[] = {
        "[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff::2]:1",
        "[2001:db8:0:2::1]:1", "[2001:db8:0:81::1]:1"};
    static const int in64[] = {0, -EBUSY, 0, 0},
                     in57[] = {0, -EBUSY, -EBUSY, 0};
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(enter(&whole, all[i]), 0);
        CHECK_EQ(enter(&by64, all[i]), in64[i]);
        CHECK_EQ(enter(&by57, all[i]), in57[i]);
    }
    for (int i = 0; i < 4; i++) {
        leave(&whole, all[i]);
        if (in64[i] == 0) leave(&by64, all[i]);
        if (in57[i] == 0) leave(&by57, all[i]);
    }
    CHECK(!whole.root && !by64.root && !by57.root);
}

TEST(link_local_addresses_of_two_links_are_two_peers)
{
    struct wf_peers p = {.limit = 1, .prefix6 = 64};
    weft_addr a = address("[fe80::1]:1"), b = a;
    ((struct sockaddr_in6 *)&a.sa)->sin6_scope_id = 1;
    ((struct sockaddr_in6 *)&b.sa)->sin6_scope_id = 2;
    CHECK_EQ(wf_peers_enter(&p, &a), 0);
    CHECK_EQ(wf_peers_enter(&p, &b), 0);
    CHECK_EQ(wf_peers_enter(&p, &a), -EBUSY);
    wf_peers_leave(&p, &a);
    wf_peers_leave(&p, &b);
    CHECK(p.root == NULL);
}

TEST(who_has_no_address_is_not_counted)
{
    struct wf_peers p = {.limit = 1, .prefix6 = 128};
    weft_addr none = {.len = 0}, unix_one = address("unix:/tmp/x");
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(wf_peers_enter(&p, &none), 0);
        CHECK_EQ(wf_peers_enter(&p, &unix_one), 0);
    }
    CHECK(p.root == NULL);
    wf_peers_leave(&p, &none);
    wf_peers_leave(&p, &unix_one);
}

/* Addresses that differ in few bits, so that branches stand close together. */
static weft_addr draw_address(unsigned kinds)
{
    weft_addr a = {.len = sizeof(struct sockaddr_in6)};
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a.sa;
    unsigned k = (unsigned)random_below(kinds);
    in6->sin6_family = AF_INET6;
    in6->sin6_addr.s6_addr[k % 16] = (unsigned char)(1u << k / 16 % 8);
    in6->sin6_addr.s6_addr[15] |= (unsigned char)(k / 128 % 2);
    return a;
}

TEST(any_number_of_addresses_come_and_go_as_in_the_model)
{
    enum { KINDS = 256, STEPS = 40000, LIMIT = 3 };
    static struct {
        weft_addr a;
        unsigned count;
    } model[KINDS];
    unsigned known = 0, most = 0, here = 0;
    struct wf_peers p = {.limit = LIMIT, .prefix6 = 128};
    random_begin(test_seed());
    for (int step = 0; step < STEPS; step++) {
        weft_addr a = draw_address(KINDS);
        unsigned i = 0;
        while (i < known && memcmp(&model[i].a, &a, sizeof a) != 0)
            i++;
        CHECK(i < KINDS);
        if (i == known) model[known++].a = a;
        /* Now it fills up, now it empties. */
        if (random_below(8) < (step / 2000 % 2 ? 3 : 5)) {
            int err = wf_peers_enter(&p, &a);
            CHECK_EQ(err, model[i].count < LIMIT ? 0 : -EBUSY);
            if (err == 0) here += model[i].count++ == 0;
        } else if (model[i].count > 0) {
            wf_peers_leave(&p, &a);
            here -= --model[i].count == 0;
        }
        if (here > most) most = here;
        CHECK_EQ(p.root != NULL, here > 0);
    }
    CHECK(most > 100);
    for (unsigned i = 0; i < known; i++)
        while (model[i].count-- > 0)
            wf_peers_leave(&p, &model[i].a);
    CHECK(p.root == NULL);
}
