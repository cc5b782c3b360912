/* SPDX-License-Identifier: MIT */
/* test_chan_close.c - the ends of a channel: closed, aborted, freed, joined. */
#include <weft/chan.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include "harness.h"
#include "open.h"
#include "party.h"

static int dropped[100], drops;

static void note_drop(void *item)
{
    dropped[drops++] = *(int *)item;
}

static weft_chan *new_ints(size_t cap)
{
    weft_chan *c = weft_chan_new(sizeof(int), cap, note_drop, 0);
    CHECK(c != NULL);
    return c;
}

static void put(weft_chan *c, int item)
{
    CHECK_EQ(weft_chan_send(c, &item), 0);
}

static int get(weft_chan *c)
{
    int item = -1;
    CHECK_EQ(weft_chan_recv(c, &item), 1);
    return item;
}

TEST(chn_04_a_closed_channel_is_drained_and_then_at_its_end)
{
    weft_chan *c = new_ints(3);
    int item = 9;
    put(c, 1);
    put(c, 2);
    weft_chan_close(c);
    weft_chan_close(c);
    CHECK_EQ(weft_chan_send(c, &item), -EPIPE);
    CHECK_EQ(weft_chan_trysend(c, &item), -EPIPE);
    CHECK_EQ(weft_chan_length(c), 2);
    CHECK_EQ(get(c), 1);
    CHECK_EQ(get(c), 2);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_chan_recv(c, &item), 0);
        CHECK_EQ(weft_chan_tryrecv(c, &item), 0);
    }
    CHECK_EQ(item, 9);
    weft_chan_free(c);
    CHECK_EQ(drops, 0);
}

TEST(chn_05_close_returns_their_items_to_parked_senders)
{
    for (size_t cap = 0; cap < 2; cap++) {
        weft_chan *c = new_ints(cap);
        weft_nursery n;
        struct party s[2];
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        if (cap) put(c, 1);
        start(&n, sends, &s[0], c, 2);
        start(&n, sends, &s[1], c, 3);
        weft_chan_close(c);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        CHECK_EQ(s[0].result, -EPIPE);
        CHECK_EQ(s[1].result, -EPIPE);
        if (cap) CHECK_EQ(get(c), 1);
        CHECK_EQ(weft_chan_recv(c, &(int){0}), 0);
        weft_chan_free(c);
    }
    CHECK_EQ(drops, 0); /* they are still the senders' */
}

TEST(chn_06_close_ends_parked_receivers)
{
    for (size_t cap = 0; cap < 2; cap++) {
        weft_chan *c = new_ints(cap);
        weft_nursery n;
        struct party r[2];
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        start(&n, receives, &r[0], c, 7);
        start(&n, receives, &r[1], c, 7);
        weft_chan_close(c);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        CHECK_EQ(r[0].result, 0);
        CHECK_EQ(r[1].result, 0);
        CHECK_EQ(r[0].item, 7);
        weft_chan_free(c);
    }
}

TEST(chn_07_abort_drops_what_is_inside_once_and_stops_everybody)
{
    weft_chan *c = new_ints(2);
    weft_nursery n;
    struct party s;
    int item = 9;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    put(c, 1);
    put(c, 2);
    start(&n, sends, &s, c, 3);
    weft_chan_abort(c);
    CHECK_EQ(drops, 2);
    CHECK_EQ(dropped[0], 1);
    CHECK_EQ(dropped[1], 2);
    weft_chan_abort(c);
    CHECK_EQ(weft_chan_length(c), 0);
    CHECK_EQ(weft_chan_send(c, &item), -EPIPE);
    CHECK_EQ(weft_chan_trysend(c, &item), -EPIPE);
    CHECK_EQ(weft_chan_recv(c, &item), -EPIPE);
    CHECK_EQ(weft_chan_tryrecv(c, &item), -EPIPE);
    CHECK_EQ(weft_chan_join(c), -EPIPE);
    weft_chan_close(c);
    CHECK_EQ(weft_chan_recv(c, &item), -EPIPE);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(s.result, -EPIPE);
    weft_chan_free(c);
    CHECK_EQ(drops, 2);
}

TEST(abort_after_close_drops_the_rest)
{
    weft_chan *c = new_ints(2);
    weft_nursery n;
    struct party r;
    put(c, 1);
    put(c, 2);
    weft_chan_close(c);
    CHECK_EQ(get(c), 1);
    weft_chan_abort(c);
    CHECK_EQ(drops, 1);
    CHECK_EQ(dropped[0], 2);
    CHECK_EQ(weft_chan_recv(c, &r.item), -EPIPE);
    weft_chan_free(c);

    c = new_ints(1);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start(&n, receives, &r, c, 0);
    weft_chan_abort(c);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(r.result, -EPIPE);
    weft_chan_free(c);
}

TEST(chn_13_an_item_is_done_once)
{
    weft_chan *c = new_ints(2);
    CHECK_EQ(weft_chan_item_done(c), -EINVAL);
    put(c, 1);
    CHECK_EQ(weft_chan_item_done(c), -EINVAL); /* sent, but not received */
    CHECK_EQ(get(c), 1);
    CHECK_EQ(weft_chan_item_done(c), 0);
    CHECK_EQ(weft_chan_item_done(c), -EINVAL);
    weft_chan_free(c);
}

TEST(chn_15_free_drops_what_is_inside_and_never_what_was_delivered)
{
    weft_chan *c = new_ints(4);
    for (int i = 0; i < 4; i++) {
        put(c, i);
    }
    CHECK_EQ(get(c), 0);
    put(c, 4);
    weft_chan_free(c);
    CHECK_EQ(drops, 4);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(dropped[i], i + 1);
    }
}

TEST(a_cancelled_or_refused_send_is_not_dropped)
{
    weft_chan *c = new_ints(0);
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1)) {
        rc = weft_chan_send(c, &(int){5});
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_chan_trysend(c, &(int){6}), -EAGAIN);
    weft_chan_free(c);
    CHECK_EQ(drops, 0);
}

TEST(free_ends_parked_fibers_like_abort)
{
    weft_chan *c = new_ints(0);
    weft_nursery n;
    struct party r[2];
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start(&n, receives, &r[0], c, 0);
    start(&n, receives, &r[1], c, 0);
    weft_chan_free(c);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(r[0].result, -EPIPE);
    CHECK_EQ(r[1].result, -EPIPE);
}

TEST(a_freed_channel_lives_until_its_senders_are_done)
{
    weft_chan *c = new_ints(2);
    weft_chan *a = weft_chan_sender(c), *b = weft_chan_sender(c);
    CHECK(a != NULL && b != NULL);
    put(a, 1);
    weft_chan_free(c);
    CHECK_EQ(drops, 1);
    CHECK_EQ(weft_chan_trysend(a, &(int){2}), -EPIPE);
    weft_chan_sender_done(a);
    CHECK_EQ(weft_chan_send(b, &(int){2}), -EPIPE);
    weft_chan_sender_done(b);
    CHECK_EQ(drops, 1);
}

TEST(free_after_the_own_sender_is_done_frees_once)
{
    weft_chan *c = new_ints(2);
    put(c, 1);
    weft_chan_sender_done(c); /* the last: closed */
    CHECK_EQ(weft_chan_trysend(c, &(int){2}), -EPIPE);
    CHECK_EQ(get(c), 1);
    CHECK_EQ(weft_chan_tryrecv(c, &(int){0}), 0);
    weft_chan_free(c);
    weft_chan_free(NULL);
}

TEST(a_result_given_by_close_is_not_undone_by_a_cancel)
{
    weft_chan *c = new_ints(0), *d = new_ints(0);
    weft_nursery n;
    struct party s, r;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start(&n, sends, &s, c, 1);
    start(&n, receives, &r, d, 0);
    weft_chan_close(c);
    weft_chan_close(d);
    weft_scope_cancel(&s.scope, 0, NULL);
    weft_scope_cancel(&r.scope, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(s.result, -EPIPE);
    CHECK_EQ(r.result, 0);
    weft_chan_free(c);
    weft_chan_free(d);
}

TEST(a_fiber_cancelled_before_the_close_was_cancelled)
{
    weft_chan *c = new_ints(0);
    weft_nursery n;
    struct party s;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    start(&n, sends, &s, c, 1);
    weft_scope_cancel(&s.scope, 0, NULL);
    weft_chan_close(c);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(s.result, -ECANCELED);
    weft_chan_free(c);
}

/* --- join --- */

struct joiner {
    weft_chan *chan;
    weft_scope scope;
    int result; /* 99: still waiting */
};

static int joins(void *arg)
{
    struct joiner *j = arg;
    open_scope(&j->scope);
    j->result = weft_chan_join(j->chan);
    return weft_scope_end(&j->scope, 0);
}

static void start_joiner(weft_nursery *n, struct joiner *j, weft_chan *c)
{
    *j = (struct joiner){.chan = c, .result = 99};
    CHECK_EQ(weft_nursery_open(n, NULL), 0);
    CHECK_EQ(weft_spawn(n, joins, j), 0);
    CHECK_EQ(weft_yield(), 0);
}

TEST(join_waits_for_every_item_to_be_received_and_done)
{
    weft_chan *c = new_ints(4);
    weft_nursery n;
    struct joiner j;
    CHECK_EQ(weft_chan_join(c), 0); /* nothing was sent */
    put(c, 1);
    put(c, 2);
    start_joiner(&n, &j, c);
    CHECK_EQ(get(c), 1);
    CHECK_EQ(weft_chan_item_done(c), 0);
    CHECK_EQ(get(c), 2);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(j.result, 99);
    CHECK_EQ(weft_chan_item_done(c), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(j.result, 0);
    weft_chan_free(c);
}

TEST(join_waits_on_after_close)
{
    weft_chan *c = new_ints(4);
    weft_nursery n;
    struct joiner j;
    put(c, 1);
    start_joiner(&n, &j, c);
    weft_chan_close(c);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(j.result, 99);
    CHECK_EQ(get(c), 1);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(j.result, 99);
    CHECK_EQ(weft_chan_item_done(c), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(j.result, 0);
    weft_chan_free(c);
}

TEST(abort_ends_a_join)
{
    weft_chan *c = new_ints(4);
    weft_nursery n;
    struct joiner j;
    put(c, 1);
    start_joiner(&n, &j, c);
    weft_chan_abort(c);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(j.result, -EPIPE);
    weft_chan_free(c);
}

TEST(a_join_that_was_granted_is_not_undone_by_a_cancel)
{
    weft_chan *c = new_ints(4);
    weft_nursery n;
    struct joiner j;
    put(c, 1);
    start_joiner(&n, &j, c);
    CHECK_EQ(get(c), 1);
    CHECK_EQ(weft_chan_item_done(c), 0);
    weft_scope_cancel(&j.scope, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(j.result, 0);
    weft_chan_free(c);
}

TEST(a_join_can_be_cancelled)
{
    weft_chan *c = new_ints(4);
    weft_nursery n;
    struct joiner j;
    put(c, 1);
    start_joiner(&n, &j, c);
    weft_scope_cancel(&j.scope, 0, NULL);
    CHECK_EQ(get(c), 1);
    CHECK_EQ(weft_chan_item_done(c), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(j.result, -ECANCELED);
    weft_chan_free(c);
}
