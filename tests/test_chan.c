/* SPDX-License-Identifier: MIT */
/* test_chan.c - who gets which item, and what a cancel does to that. */
#include <weft/chan.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <string.h>

#include "harness.h"
#include "open.h"
#include "party.h"

static weft_chan *open_ints(weft_nursery *n, size_t cap)
{
    weft_chan *c = weft_chan_new(sizeof(int), cap, NULL, 0);
    CHECK(c != NULL);
    CHECK_EQ(weft_nursery_open(n, NULL), 0);
    return c;
}

static void close_ints(weft_nursery *n, weft_chan *c)
{
    CHECK_EQ(weft_nursery_close(n, 0), 0);
    weft_chan_free(c);
}

TEST(chn_01_an_item_that_somebody_waits_for_is_his)
{
    weft_nursery n;
    weft_chan *c = open_ints(&n, 1);
    struct party r;
    int item = 5, other = 0;
    start(&n, receives, &r, c, 0);
    CHECK_EQ(weft_chan_trysend(c, &item), 0);
    CHECK_EQ(weft_chan_tryrecv(c, &other), -EAGAIN);
    CHECK_EQ(weft_chan_length(c), 0);
    close_ints(&n, c);
    CHECK_EQ(r.result, 1);
    CHECK_EQ(r.item, 5);
}

TEST(chn_02_a_place_that_somebody_waits_for_is_his)
{
    weft_nursery n;
    weft_chan *c = open_ints(&n, 1);
    struct party s;
    int item = 5;
    CHECK_EQ(weft_chan_trysend(c, &item), 0);
    start(&n, sends, &s, c, 6);
    CHECK_EQ(s.result, 99);
    CHECK_EQ(weft_chan_tryrecv(c, &item), 1);
    CHECK_EQ(item, 5);
    CHECK_EQ(weft_chan_trysend(c, &item), -EAGAIN);
    CHECK_EQ(weft_chan_length(c), 1);
    CHECK_EQ(weft_chan_tryrecv(c, &item), 1);
    CHECK_EQ(item, 6);
    close_ints(&n, c);
    CHECK_EQ(s.result, 0);
}

TEST(chn_03_without_capacity_sender_and_receiver_meet)
{
    weft_nursery n;
    weft_chan *c = open_ints(&n, 0);
    struct party s, r;
    int item = 5;
    CHECK_EQ(weft_chan_trysend(c, &item), -EAGAIN);
    CHECK_EQ(weft_chan_tryrecv(c, &item), -EAGAIN);

    start(&n, sends, &s, c, 6);
    CHECK_EQ(s.result, 99);
    CHECK_EQ(weft_chan_recv(c, &item), 1);
    CHECK_EQ(item, 6);
    start(&n, receives, &r, c, 0);
    CHECK_EQ(s.result, 0);
    item = 7;
    CHECK_EQ(weft_chan_send(c, &item), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(r.result, 1);
    CHECK_EQ(r.item, 7);

    start(&n, sends, &s, c, 8);
    CHECK_EQ(weft_chan_tryrecv(c, &item), 1);
    CHECK_EQ(item, 8);
    start(&n, receives, &r, c, 0);
    CHECK_EQ(weft_chan_trysend(c, &item), 0);
    CHECK_EQ(weft_chan_length(c), 0);
    close_ints(&n, c);
    CHECK_EQ(r.item, 8);
}

TEST(chn_08_the_last_of_many_senders_closes)
{
    weft_nursery n;
    weft_chan *c = open_ints(&n, 0);
    struct party s[10];
    for (int i = 0; i < 10; i++) {
        weft_chan *handle = weft_chan_sender(c);
        CHECK(handle != NULL);
        start(&n, sends, &s[i], handle, i);
    }
    weft_chan_sender_done(c);
    for (int i = 0; i < 10; i++) {
        int item;
        CHECK_EQ(weft_chan_recv(c, &item), 1);
        CHECK_EQ(item, i);
        weft_chan_sender_done(s[i].chan);
    }
    CHECK_EQ(weft_chan_recv(c, &(int){0}), 0);
    close_ints(&n, c);
}

static int sends_three_and_is_done(void *arg)
{
    weft_chan *handle = arg;
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_chan_send(handle, &i), 0);
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    }
    weft_chan_sender_done(handle);
    return 0;
}

TEST(chn_08_producers_with_handles_end_the_channel_together)
{
    for (size_t cap = 0; cap < 5; cap += 2) {
        weft_nursery n;
        weft_chan *c = open_ints(&n, cap);
        for (int i = 0; i < 10; i++) {
            CHECK_EQ(
                weft_spawn(&n, sends_three_and_is_done, weft_chan_sender(c)),
                0);
        }
        weft_chan_sender_done(c);
        int item, got = 0, rc;
        while ((rc = weft_chan_recv(c, &item)) == 1) {
            got++;
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(got, 30);
        close_ints(&n, c);
    }
}

TEST(chn_09_a_sender_that_is_done_does_not_disturb_another)
{
    weft_nursery n;
    weft_chan *c = open_ints(&n, 0);
    weft_chan *one = weft_chan_sender(c), *two = weft_chan_sender(c);
    struct party a, b;
    int item;
    weft_chan_sender_done(c);
    start(&n, sends, &a, one, 1);
    start(&n, sends, &b, two, 2);
    CHECK_EQ(weft_chan_recv(c, &item), 1);
    CHECK_EQ(item, 1);
    weft_chan_sender_done(one);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(b.result, 99);
    CHECK_EQ(weft_chan_recv(c, &item), 1);
    CHECK_EQ(item, 2);
    weft_chan_sender_done(two);
    CHECK_EQ(weft_chan_recv(c, &item), 0);
    close_ints(&n, c);
}

/* The handle is done under its own sender, and gone. */
TEST(chn_09_a_handle_that_is_done_under_a_sender_does_not_disturb_another)
{
    for (int k = 0; k < 2; k++) {
        weft_nursery n;
        weft_chan *c = open_ints(&n, 0);
        weft_chan *handle[] = {weft_chan_sender(c), weft_chan_sender(c)};
        struct party p[2];
        int item = 0;
        weft_chan_sender_done(c);
        start(&n, sends, &p[0], handle[0], 1);
        start(&n, sends, &p[1], handle[1], 2);
        weft_chan_sender_done(handle[k]);
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(p[!k].result, 99);
        for (int i = 0; i < 2 && item != 2 - k; i++) {
            CHECK_EQ(weft_chan_recv(c, &item), 1);
        }
        CHECK_EQ(item, 2 - k);
        weft_chan_sender_done(handle[!k]);
        close_ints(&n, c);
        CHECK_EQ(p[!k].result, 0);
    }
}

TEST_FIFO(parked_senders_and_receivers_are_served_in_order)
{
    weft_nursery n;
    weft_chan *c = open_ints(&n, 2);
    struct party p[6];
    int item;
    for (int i = 0; i < 6; i++) {
        start(&n, sends, &p[i], c, i);
    }
    CHECK_EQ(weft_chan_length(c), 2);
    for (int i = 0; i < 6; i++) {
        CHECK_EQ(weft_chan_recv(c, &item), 1);
        CHECK_EQ(item, i);
    }
    CHECK_EQ(weft_yield(), 0);
    for (int i = 0; i < 6; i++) {
        CHECK_EQ(p[i].turn, i + 1);
    }
    for (int i = 0; i < 6; i++) {
        start(&n, receives, &p[i], c, 0);
    }
    for (int i = 0; i < 6; i++) {
        CHECK_EQ(weft_chan_send(c, &i), 0);
    }
    close_ints(&n, c);
    for (int i = 0; i < 6; i++) {
        CHECK_EQ(p[i].item, i);
        CHECK_EQ(p[i].turn, i + 7);
    }
}

TEST(chn_16_items_of_any_size_arrive_whole)
{
    static const size_t sizes[] = {0, 1, 3, 8, 1024};
    static unsigned char sent[1024], got[1024 + 1];
    for (unsigned i = 0; i < 5; i++) {
        for (size_t cap = 0; cap <= 4; cap += 4) {
            weft_chan *c = weft_chan_new(sizes[i], cap, NULL, 0);
            weft_chan *back = weft_chan_new(sizes[i], cap, NULL, 0);
            int rc;
            CHECK(c != NULL && back != NULL);
            WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(1)) {
                /* nobody is there: only what fits goes in */
                memset(sent, (int)(i * 16 + cap), sizeof(sent));
                for (size_t k = 0; k < cap; k++) {
                    CHECK_EQ(weft_chan_send(c, sent), 0);
                }
                rc = weft_chan_send(c, sent);
            }
            CHECK_EQ(rc, 0);
            for (size_t k = 0; k < cap; k++) {
                memset(got, 0xaa, sizeof(got));
                CHECK_EQ(weft_chan_recv(c, got), 1);
                CHECK_EQ(memcmp(got, sent, sizes[i]), 0);
                CHECK_EQ(got[sizes[i]], 0xaa);
            }
            CHECK_EQ(weft_chan_tryrecv(c, got), -EAGAIN);
            weft_chan_free(c);
            weft_chan_free(back);
        }
    }
}

struct block {
    unsigned char octets[1024];
};

static int sends_blocks(void *arg)
{
    struct block b;
    for (int i = 0; i < 12; i++) {
        memset(&b, i, sizeof(b));
        CHECK_EQ(weft_chan_send(arg, &b), 0);
        memset(&b, 0xee, sizeof(b));
    }
    weft_chan_close(arg);
    return 0;
}

static int receives_blocks(void *arg)
{
    struct block b;
    int got = 0;
    while (weft_chan_recv(arg, &b) == 1) {
        for (size_t i = 0; i < sizeof(b); i++) {
            CHECK_EQ(b.octets[i], got);
        }
        got++;
    }
    CHECK_EQ(got, 12);
    return 0;
}

/* Round the ring more than once, and with either side waiting for the other. */
TEST(chn_16_a_kibibyte_passes_whole_from_fiber_to_fiber)
{
    for (size_t cap = 0; cap <= 4; cap += 4) {
        for (int sender_first = 0; sender_first < 2; sender_first++) {
            weft_chan *c = weft_chan_new(sizeof(struct block), cap, NULL, 0);
            int rc;
            CHECK(c != NULL);
            WEFT_NURSERY(n, rc) {
                if (sender_first) CHECK_EQ(weft_spawn(&n, sends_blocks, c), 0);
                CHECK_EQ(weft_yield(), 0);
                CHECK_EQ(weft_spawn(&n, receives_blocks, c), 0);
                CHECK_EQ(weft_yield(), 0);
                if (!sender_first) CHECK_EQ(weft_spawn(&n, sends_blocks, c), 0);
            }
            CHECK_EQ(rc, 0);
            weft_chan_free(c);
        }
    }
}

static int sends_nothings(void *arg)
{
    for (int i = 0; i < 12; i++) {
        CHECK_EQ(weft_chan_send(arg, NULL), 0);
    }
    weft_chan_close(arg);
    return 0;
}

TEST(chn_16_items_of_no_octets_are_counted)
{
    for (size_t cap = 0; cap <= 4; cap += 4) {
        weft_chan *c = weft_chan_new(0, cap, NULL, 0);
        int rc, got = 0;
        CHECK(c != NULL);
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, sends_nothings, c), 0);
            CHECK_EQ(weft_yield(), 0);
            CHECK_EQ(weft_chan_length(c), cap);
            while (weft_chan_recv(c, NULL) == 1) {
                got++;
            }
        }
        CHECK_EQ(rc, 0);
        CHECK_EQ(got, 12);
        weft_chan_free(c);
    }
}

TEST(a_channel_of_impossible_size_is_refused)
{
    CHECK(weft_chan_new(SIZE_MAX, 1, NULL, 0) == NULL);
    CHECK(weft_chan_new(SIZE_MAX, 2, NULL, 0) == NULL);
    CHECK(weft_chan_new(2, SIZE_MAX, NULL, 0) == NULL);
    CHECK(weft_chan_new(2, SIZE_MAX / 2 + 1, NULL, 0) == NULL);
    size_t root = (size_t)1 << (sizeof(size_t) * 4 + 1);
    CHECK(weft_chan_new(root, root, NULL, 0) == NULL);
}

TEST(an_item_handed_to_a_receiver_survives_a_cancel_in_the_same_turn)
{
    for (size_t cap = 0; cap < 2; cap++) {
        weft_nursery n;
        weft_chan *c = open_ints(&n, cap);
        struct party r;
        start(&n, receives, &r, c, 0);
        CHECK_EQ(weft_chan_trysend(c, &(int){5}), 0);
        weft_scope_cancel(&r.scope, 0, NULL);
        close_ints(&n, c);
        CHECK_EQ(r.result, 1);
        CHECK_EQ(r.item, 5);
        CHECK_EQ(r.next, -ECANCELED);
    }
}

TEST(an_item_taken_from_a_sender_stays_sent_when_he_is_cancelled)
{
    for (size_t cap = 0; cap < 2; cap++) {
        weft_nursery n;
        weft_chan *c = open_ints(&n, cap);
        struct party s;
        int item;
        if (cap) CHECK_EQ(weft_chan_trysend(c, &(int){4}), 0);
        start(&n, sends, &s, c, 5);
        CHECK_EQ(weft_chan_tryrecv(c, &item), 1);
        CHECK_EQ(item, cap ? 4 : 5);
        weft_scope_cancel(&s.scope, 0, NULL);
        CHECK_EQ(weft_chan_length(c), cap);
        if (cap) CHECK_EQ(weft_chan_tryrecv(c, &item), 1);
        CHECK_EQ(item, 5);
        close_ints(&n, c);
        CHECK_EQ(s.result, 0);
        CHECK_EQ(s.next, -ECANCELED);
    }
}

TEST(a_cancelled_receiver_takes_nothing)
{
    weft_nursery n;
    weft_chan *c = open_ints(&n, 1);
    struct party a, b;
    start(&n, receives, &a, c, 0);
    start(&n, receives, &b, c, 0);
    weft_scope_cancel(&a.scope, 0, NULL);
    CHECK_EQ(weft_chan_trysend(c, &(int){5}), 0);
    close_ints(&n, c);
    CHECK_EQ(a.result, -ECANCELED);
    CHECK_EQ(a.item, 0);
    CHECK_EQ(b.result, 1);
    CHECK_EQ(b.item, 5);
}

TEST(a_cancelled_sender_sends_nothing)
{
    weft_nursery n;
    weft_chan *c = open_ints(&n, 0);
    struct party a, b;
    int item;
    start(&n, sends, &a, c, 1);
    start(&n, sends, &b, c, 2);
    weft_scope_cancel(&a.scope, 0, NULL);
    CHECK_EQ(weft_chan_recv(c, &item), 1);
    CHECK_EQ(item, 2);
    CHECK_EQ(weft_chan_tryrecv(c, &item), -EAGAIN);
    close_ints(&n, c);
    CHECK_EQ(a.result, -ECANCELED);
    CHECK_EQ(b.result, 0);
}

static int produces_slower_and_slower(void *arg)
{
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(weft_sleep(WEFT_USEC(500) * i), 0);
        CHECK_EQ(weft_chan_send(arg, &i), 0);
    }
    weft_chan_close(arg);
    return 0;
}

TEST(chn_17_a_receive_that_timed_out_has_lost_nothing)
{
    for (size_t cap = 0; cap < 2; cap++) {
        weft_nursery n;
        weft_chan *c = open_ints(&n, cap);
        int got = 0, timeouts = 0, rc = 1;
        CHECK_EQ(weft_spawn(&n, produces_slower_and_slower, c), 0);
        while (rc != 0) {
            int item;
            WEFT_FAIL_AFTER(rc, WEFT_MSEC(3)) {
                rc = weft_chan_recv(c, &item);
            }
            timeouts += rc == -ETIMEDOUT;
            if (rc == 1) CHECK_EQ(item, got++);
        }
        CHECK_EQ(got, 20);
        CHECK(timeouts > 10);
        close_ints(&n, c);
    }
}
