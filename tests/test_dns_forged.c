/* SPDX-License-Identifier: MIT */
/*
 * test_dns_forged.c - answers of those who were not asked.
 *
 * Each forgery has the wrong address in it, and the true answer comes last.
 */
#include <weft/fiber.h>
#include <weft/scope.h>
#include <weft/socket.h>
#include <weft/time.h>

#include <stdlib.h>

#include "dns_texts.h"

enum { FORGERIES = 100000, AT_ONCE = 64 };

static const char *const zone[] = {"www.example 60 A 192.0.2.1",
                                   "www.example 60 AAAA 2001:db8::1", NULL};
static const char *const false_zone[] = {
    "www.example 60 A 203.0.113.66", "wwv.example 60 A 203.0.113.66",
    "www.example 60 AAAA 2001:db8::66", NULL};

static weft_fd stranger;       /* a socket that nobody has asked */
static struct dns_query other; /* is open at the same time */
static weft_addr other_peer;
static unsigned sent;

static void say_as_stranger(const weft_addr *to, const void *msg, size_t len)
{
    struct iovec iov = {(void *)(uintptr_t)msg, len};
    struct msghdr m = {.msg_name = (void *)(uintptr_t)&to->sa,
                       .msg_namelen = to->len,
                       .msg_iov = &iov,
                       .msg_iovlen = 1};
    ssize_t n = weft_sendmsg(stranger, &m, 0);
    (void)n; /* refused by a socket that has another peer */
}

/* One forgery of each kind in turn. */
static void forge(struct dns_server *s, const struct dns_query *q, unsigned i)
{
    struct dns_server liar = {.zone = false_zone};
    struct dns_query lie = *q;
    uint8_t msg[512];
    weft_addr here = s->peer;
    unsigned kind = i % 6;
    if (kind == 0) lie.id = (uint16_t)(q->id + 1 + i / 6 % 65535);
    if (kind == 1) (void)snprintf(lie.name, sizeof lie.name, "wwv.example");
    if (kind == 2) lie.type = q->type == WF_DNS_A ? WF_DNS_AAAA : WF_DNS_A;
    size_t len = dns_server_answer(&liar, &lie, msg, sizeof msg);
    if (kind == 3) msg[2] &= 0x7f; /* a question, not an answer */
    if (kind == 4) {               /* of another source, all else is right */
        say_as_stranger(&s->peer, msg, len);
    } else if (kind == 5) { /* right in all, to the socket of the other */
        s->peer = other_peer;
        dns_server_say(s, msg, len);
        s->peer = here;
    } else {
        dns_server_say(s, msg, len);
    }
    sent++;
}

/* The first question waits until forgeries were sent for both. */
static bool forges(struct dns_server *s, const struct dns_query *q)
{
    uint8_t msg[512];
    if (s->count == 1) {
        other = *q;
        other_peer = s->peer;
        return false;
    }
    for (unsigned i = 0; i < FORGERIES; i++) {
        forge(s, q, i);
        /* So that who asks reads them, and none is lost for want of room. */
        if (i % AT_ONCE == 0 && weft_sleep(WEFT_USEC(1)) < 0) return false;
    }
    weft_addr here = s->peer;
    s->peer = other_peer;
    dns_server_say(s, msg, dns_server_answer(s, &other, msg, sizeof msg));
    s->peer = here;
    return true;
}

static void none_is_taken(struct dns_server *s)
{
    weft_resolver_stats st;
    const weft_resolver_opts o = {.servers = s->address,
                                  .resolv_conf = "",
                                  .hosts = "",
                                  .timeout = WEFT_SEC(30)};
    weft_resolver *r = weft_resolver_new(&o);
    CHECK_EQ(weft_socket(AF_INET, SOCK_DGRAM, 0, &stranger), 0);
    s->before = forges;
    CHECK_STR(dns_look_up(r, "www.example", AF_UNSPEC),
              "2001:db8::1 192.0.2.1");
    CHECK_EQ(sent, FORGERIES);
    CHECK_EQ(s->count, 2);
    weft_resolver_stats_read(r, &st);
    /* One of six kinds, that of another source, is dropped by the kernel. */
    CHECK(st.ignored > FORGERIES * 4 / 5);
    CHECK(st.ignored <= FORGERIES * 5 / 6 + 1);
    CHECK_EQ(weft_close(stranger), 0);
    weft_resolver_free(r);
}

TEST(of_a_hundred_thousand_forged_answers_none_is_taken)
{
    struct dns_server s = {.zone = zone};
    dns_server_with(&s, none_is_taken);
}

/* What is nearly an answer: cut, a header alone, two questions, no octet. */
static bool mumbles(struct dns_server *s, const struct dns_query *q)
{
    struct dns_server liar = {.zone = false_zone};
    uint8_t msg[512];
    size_t len = dns_server_answer(&liar, q, msg, sizeof msg);
    for (size_t cut = 0; cut < 12 + 13 + 4; cut++)
        dns_server_say(s, msg, cut);
    msg[5] = 2;
    dns_server_say(s, msg, len);
    msg[5] = 1;
    msg[2] |= 0x10; /* another opcode */
    dns_server_say(s, msg, len);
    return true;
}

static void mumbling_is_passed_over(struct dns_server *s)
{
    weft_resolver *r = dns_resolver_of(s, NULL);
    s->before = mumbles;
    CHECK_STR(dns_look_up(r, "www.example", AF_INET), "192.0.2.1");
    CHECK_EQ(s->count, 1);
    weft_resolver_free(r);
}

TEST(what_is_cut_or_is_no_answer_does_not_end_the_wait)
{
    struct dns_server s = {.zone = zone};
    dns_server_with(&s, mumbling_is_passed_over);
}

/* Forgeries without end do not keep a try from ending. */
static bool forges_for_ever(struct dns_server *s, const struct dns_query *q)
{
    for (unsigned i = 0;; i++) {
        forge(s, q, i - i % 6);
        if (i % AT_ONCE == 0 && weft_sleep(WEFT_MSEC(20)) < 0) return false;
    }
}

static void an_end_all_the_same(struct dns_server *s)
{
    weft_addr a;
    weft_resolver *r = dns_resolver_of(s, NULL);
    CHECK_EQ(weft_socket(AF_INET, SOCK_DGRAM, 0, &stranger), 0);
    s->before = forges_for_ever;
    weft_time start = weft_now();
    CHECK_EQ(weft_dns_lookup(r, "www.example", AF_INET, &a, 1), -EHOSTUNREACH);
    CHECK(weft_now() - start <= WEFT_SEC(5));
    CHECK_EQ(weft_close(stranger), 0);
    weft_resolver_free(r);
}

TEST(forgeries_without_end_do_not_make_a_try_longer)
{
    struct dns_server s = {.zone = zone};
    dns_server_with(&s, an_end_all_the_same);
}

/* ---- what a forger has to guess ------------------------------------------ */

enum { ASKED = DNS_SEEN, BITS = 16 };

/* How many are different. */
static int compare(const void *a, const void *b)
{
    return *(const uint16_t *)a - *(const uint16_t *)b;
}

static unsigned distinct(uint16_t *values, unsigned n)
{
    unsigned count = 0;
    qsort(values, n, sizeof *values, compare);
    for (unsigned i = 0; i < n; i++)
        count += i == 0 || values[i] != values[i - 1];
    return count;
}

/* Each bit of an id is set in about half of them: eight deviations off. */
static void check_bits(const uint16_t *values, unsigned n)
{
    for (int bit = 0; bit < BITS; bit++) {
        int set = 0;
        for (unsigned i = 0; i < n; i++)
            set += values[i] >> bit & 1;
        CHECK(abs(set - (int)n / 2) < 128);
    }
}

/* Are they drawn, and not counted? Of steps of one size there are few. */
static void check_steps(const uint16_t *values, unsigned n)
{
    static uint16_t steps[ASKED];
    for (unsigned i = 0; i + 1 < n; i++)
        steps[i] = (uint16_t)(values[i + 1] - values[i]);
    CHECK(distinct(steps, n - 1) > (n - 1) * 3 / 4);
}

/* Of so many values there are about this many, by how often two are the same:
 * n (n - 1) / 2 pairs, of which one in `of` is. */
static double size_of_range(uint16_t *values, unsigned n)
{
    uint64_t pairs = 0;
    qsort(values, n, sizeof *values, compare);
    for (unsigned i = 0, run = 0; i < n; i++) {
        run = i > 0 && values[i] == values[i - 1] ? run + 1 : 0;
        pairs += run;
    }
    return (double)n * (n - 1) / 2 / (double)(pairs ? pairs : 1);
}

static void guesses(struct dns_server *s)
{
    static uint16_t ids[ASKED], ports[ASKED];
    char name[64];
    weft_addr a;
    weft_resolver *r = dns_resolver_of(s, NULL);
    for (unsigned i = 0; i < ASKED; i++) {
        (void)snprintf(name, sizeof name, "n%u.example", i);
        CHECK_EQ(weft_dns_lookup(r, name, AF_INET, &a, 1), -ENOENT);
    }
    CHECK_EQ(s->count, ASKED);
    for (unsigned i = 0; i < ASKED; i++) {
        ids[i] = s->seen[i].id;
        ports[i] = s->seen[i].port;
    }
    check_bits(ids, ASKED);
    check_steps(ids, ASKED);
    check_steps(ports, ASKED);
    CHECK(distinct(ids, ASKED) > ASKED * 95 / 100);
    CHECK(distinct(ports, ASKED) > ASKED * 85 / 100);
    /* 16 bits and 14.8 (Linux, 28,232 ports), or 14; together 30 and more. The
     * estimates rest on a few dozen pairs: a factor of three is given. */
    CHECK(size_of_range(ids, ASKED) * size_of_range(ports, ASKED) * 9 >
          1024.0 * 1024 * 1024);
    weft_resolver_free(r);
}

TEST(a_forger_has_to_guess_an_id_and_a_port_of_thirty_bits)
{
    struct dns_server s = {.zone = zone};
    dns_server_with(&s, guesses);
}
