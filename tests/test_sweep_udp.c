/* SPDX-License-Identifier: MIT */
/* test_sweep_udp.c - the sweep over datagrams. */
#include <weft/fiber.h>
#include <weft/net.h>
#include <weft/nursery.h>
#include <weft/socket.h>
#include <weft/testing.h>
#include <weft/time.h>
#include <weft/udp.h>

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "sweep.h"

enum { BATCH = 4, ROOM = 8 };

static weft_fd server;
static char where[WEFT_ADDR_TEXT];
static int asked, served, answered, answers_heard, visitors;

static void make_rooms(weft_datagram *d, char rooms[][ROOM], int count)
{
    memset(d, 0, (size_t)count * sizeof *d);
    for (int i = 0; i < count; i++) {
        d[i].buf = rooms[i];
        d[i].size = ROOM;
    }
}

static bool open_server(void)
{
    weft_addr at;
    asked = served = answered = answers_heard = 0;
    server = (weft_fd){0};
    if (!sweep_had(weft_udp_bind(&server, "127.0.0.1:0", NULL) == 0))
        return false;
    CHECK_EQ(weft_local_addr(server, &at), 0);
    (void)weft_addr_format(&at, where, sizeof where);
    return true;
}

/* --- a server by the batch, and its clients --- */

static int answers(void *arg)
{
    weft_datagram d[BATCH];
    char rooms[BATCH][ROOM];
    (void)arg;
    make_rooms(d, rooms, BATCH);
    for (;;) {
        int n = weft_udp_recv_many(server, d, BATCH);
        if (n < 0) return n == -EBADF ? 0 : n;
        served += n;
        for (int went, i = 0; i < n; i += went) {
            went = weft_udp_send_many(server, d + i, (size_t)(n - i));
            if (went < 0) return went == -EBADF ? 0 : went;
            answered += went;
        }
    }
}

static int ask(weft_fd s)
{
    weft_datagram d;
    char room[1][ROOM];
    make_rooms(&d, room, 1);
    for (int i = 0; i < 2; i++) {
        int rc = weft_udp_send_to(s, "what", 4, NULL);
        if (rc < 0) return rc;
        asked++;
        rc = weft_udp_recv(s, &d);
        if (rc < 0) return rc;
        CHECK_EQ(d.len, 4);
        CHECK_EQ(memcmp(d.buf, "what", 4), 0);
        answers_heard++;
    }
    return 0;
}

static int asks(void *arg)
{
    weft_fd s;
    (void)arg;
    int rc = weft_udp_dial(&s, where, NULL);
    if (rc == 0) {
        rc = ask(s);
        CHECK_EQ(weft_close(s), 0);
    }
    if (--visitors == 0) (void)weft_close(server);
    return rc;
}

static void start_asking(weft_nursery *n)
{
    if (!open_server()) return;
    sweep_spawn(n, answers, NULL);
    for (visitors = 0; visitors < 3; visitors++)
        sweep_spawn(n, asks, NULL);
}

static void check_asked(void)
{
    CHECK(served <= asked && answered <= served);
    CHECK(answers_heard <= answered);
    (void)weft_close(server);
}

SWEEP(a_server_of_datagrams_answers_what_it_takes, start_asking, check_asked,
      SWEEP_PEERS_MAY_WAIT);

/* What came last has to be noticed, and a hostile world says a few times that
 * there is nothing. */
static bool comes_in_the_end(weft_fd s, weft_datagram *d)
{
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(weft_test_settle(), 0);
        if (weft_udp_try_recv(s, d) == 0) return true;
    }
    return false;
}

/* --- none is lost to one who was cancelled --- */

static int takes_some(void *arg)
{
    weft_datagram d[2];
    char rooms[2][ROOM];
    (void)arg;
    make_rooms(d, rooms, 2);
    int n = weft_udp_recv_many(server, d, 2);
    if (n > 0) served += n;
    return n < 0 ? n : 0;
}

static int sends_some(void *arg)
{
    weft_datagram d[3];
    char rooms[3][ROOM] = {"a", "b", "c"};
    weft_addr to;
    weft_fd s;
    int rc = weft_addr_parse(&to, where);
    (void)arg;
    CHECK_EQ(rc, 0);
    make_rooms(d, rooms, 3);
    for (int i = 0; i < 3; i++) {
        d[i].len = 1;
        d[i].addr = to;
    }
    rc = weft_udp_bind(&s, "127.0.0.1:0", NULL);
    if (rc < 0) return rc;
    for (int turn = 0; turn < 2 && rc >= 0; turn++) {
        rc = weft_udp_send_many(s, d, 3);
        if (rc > 0) asked += rc;
        if (rc > 0) rc = weft_sleep(WEFT_MSEC(1));
    }
    CHECK_EQ(weft_close(s), 0);
    return rc < 0 ? rc : 0;
}

static void start_taking(weft_nursery *n)
{
    if (!open_server()) return;
    for (int i = 0; i < 3; i++)
        sweep_spawn(n, takes_some, NULL);
    sweep_spawn(n, sends_some, NULL);
}

static void check_taken(void)
{
    weft_datagram d;
    char room[1][ROOM];
    make_rooms(&d, room, 1);
    while (served < asked && comes_in_the_end(server, &d))
        served++;
    CHECK_EQ(served, asked);
    CHECK(weft_udp_try_recv(server, &d) < 0);
    (void)weft_close(server);
}

SWEEP(no_datagram_is_lost_to_one_who_was_cancelled, start_taking, check_taken,
      SWEEP_PEERS_MAY_WAIT);

/* --- waiting for room --- */

static weft_fd ends[2];

static int fills(void *arg)
{
    char letter[ROOM] = "x";
    weft_datagram d[BATCH];
    (void)arg;
    memset(d, 0, sizeof d);
    for (int i = 0; i < BATCH; i++) {
        d[i].buf = letter;
        d[i].len = 1;
    }
    for (int left = 40, n; left > 0; left -= n) {
        n = weft_udp_send_many(ends[0], d, BATCH);
        if (n < 0) return n;
        asked += n;
    }
    return 0;
}

static int empties_slowly(void *arg)
{
    weft_datagram d[BATCH];
    char rooms[BATCH][ROOM];
    int rc = 0;
    (void)arg;
    make_rooms(d, rooms, BATCH);
    while (rc == 0 && served < 30) {
        int n = weft_udp_recv_many(ends[1], d, BATCH);
        if (n < 0) return n;
        served += n;
        rc = weft_sleep(WEFT_MSEC(1));
    }
    return rc;
}

static void start_filling(weft_nursery *n)
{
    asked = served = 0;
    ends[0] = ends[1] = (weft_fd){0};
    if (!sweep_had(weft_socketpair(AF_UNIX, SOCK_DGRAM, ends) == 0)) return;
    sweep_spawn(n, fills, NULL);
    sweep_spawn(n, empties_slowly, NULL);
}

static void check_filled(void)
{
    weft_datagram d;
    char room[1][ROOM];
    make_rooms(&d, room, 1);
    while (served < asked && comes_in_the_end(ends[1], &d))
        served++;
    CHECK_EQ(served, asked);
    CHECK(weft_udp_try_recv(ends[1], &d) < 0);
    (void)weft_close(ends[0]);
    (void)weft_close(ends[1]);
}

SWEEP(what_waits_for_room_goes_once_or_not_at_all, start_filling, check_filled,
      SWEEP_PEERS_MAY_WAIT);
