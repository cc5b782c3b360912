/* SPDX-License-Identifier: MIT */
/*
 * test_dns_tcp.c - servers that do not know how to answer by TCP.
 */
#include <weft/fiber.h>
#include <weft/net.h>
#include <weft/nursery.h>
#include <weft/time.h>

#include "dns_texts.h"

/* Has the connection, on which a question has come. */
typedef void answer_fn(weft_fd conn);

struct server {
    weft_fd listener;
    answer_fn *answer;
};

/* All of it: what is not read makes a close a reset. */
static bool take_question(weft_fd conn)
{
    uint8_t length[2], question[512];
    return weft_read_exact(conn, length, sizeof length, NULL) == 0 &&
           length[0] < 2 &&
           weft_read_exact(conn, question, (size_t)(length[0] << 8 | length[1]),
                           NULL) == 0;
}

static int serve(void *server)
{
    struct server *s = server;
    weft_fd conn;
    while (weft_accept(s->listener, &conn, NULL) == 0) {
        if (take_question(conn)) s->answer(conn);
        (void)weft_close(conn);
    }
    return 0;
}

/* What a lookup by it comes to, and how long that takes. */
static void check(answer_fn *answer, int code, const char *why, weft_time takes)
{
    static const weft_spawn_opts daemon = {.daemon = true};
    struct server s = {.answer = answer};
    char text[WEFT_ADDR_TEXT];
    weft_addr at, found;
    int rc;
    CHECK_EQ(weft_listen(&s.listener, "127.0.0.1:0", NULL), 0);
    CHECK_EQ(weft_local_addr(s.listener, &at), 0);
    const weft_resolver_opts o = {.servers =
                                      weft_addr_format(&at, text, sizeof text),
                                  .resolv_conf = "",
                                  .hosts = "",
                                  .search = "",
                                  .timeout = WEFT_SEC(1),
                                  .tcp_only = true};
    weft_resolver *r = weft_resolver_new(&o);
    CHECK(r != NULL);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn_ex(&n, serve, &s, &daemon), 0);
        weft_time start = weft_now();
        dns_check_failure(weft_dns_lookup(r, "www.example", AF_INET, &found, 1),
                          code, why, text);
        CHECK_EQ(weft_now() - start, takes);
    }
    CHECK_EQ(rc, 0);
    weft_resolver_free(r);
    CHECK_EQ(weft_close(s.listener), 0);
}

static void send_octets(weft_fd conn, const void *octets, size_t len)
{
    (void)!weft_write_all(conn, octets, len, NULL);
}

static void hang_up(weft_fd conn)
{
    (void)conn;
}

static void half_a_length(weft_fd conn)
{
    send_octets(conn, "\0", 1);
}

static void part_of_it(weft_fd conn)
{
    send_octets(conn, "\0\100part", 6);
}

TEST(a_server_that_hangs_up_is_not_asked_again)
{
    check(hang_up, -EHOSTUNREACH, "it hung up", 0);
    check(half_a_length, -EHOSTUNREACH, "it hung up", 0);
    check(part_of_it, -EHOSTUNREACH, "it hung up", 0);
}

static void too_little(weft_fd conn)
{
    send_octets(conn, "\0\013elevenchars", 13);
}

static void as_much_as_there_can_be(weft_fd conn)
{
    static uint8_t octets[2 + UINT16_MAX] = {0xff, 0xff};
    send_octets(conn, octets, sizeof octets);
}

TEST(what_is_too_short_or_answers_nothing_is_rubbish)
{
    check(too_little, -EBADMSG, "too short", 0);
    check(as_much_as_there_can_be, -EBADMSG, "another question", 0);
}

static void an_octet_now_and_then(weft_fd conn)
{
    send_octets(conn, "\377\377", 2);
    for (int i = 0; i < 100 && weft_sleep(WEFT_MSEC(300)) == 0; i++)
        if (weft_write_all(conn, "x", 1, NULL) < 0) break;
}

TEST(an_answer_that_trickles_in_takes_no_longer_than_a_try)
{
    check(an_octet_now_and_then, -EHOSTUNREACH, "no answer by TCP",
          WEFT_SEC(2));
}
