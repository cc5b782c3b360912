/* SPDX-License-Identifier: MIT */
/*
 * test_grant_chan.c - grant versus cancel: items, received and sent, by the
 * channel's own calls and by weft_select.
 *
 * Items are numbers; each that was sent, and only that, is received once.
 */
#include <weft/chan.h>
#include <weft/event.h>
#include <weft/select.h>
#include <weft/testing.h>

#include "grant.h"

enum { ITEMS = 32, PLENTY = 8, OF_WAITERS = 16 };

static weft_chan *chan, *quiet;
static weft_event never;
static bool sent[ITEMS], received[ITEMS];
static int next_item;

static void note_sent(int item)
{
    CHECK(!sent[item]);
    sent[item] = true;
}

static void note_received(int item)
{
    CHECK(!received[item]);
    received[item] = true;
}

static void new_channel(size_t cap)
{
    chan = weft_chan_new(sizeof(int), cap, NULL, 0);
    quiet = weft_chan_new(sizeof(int), 0, NULL, 0);
    CHECK(chan && quiet);
    never = (weft_event)WEFT_EVENT_INIT;
    next_item = 0;
    for (int i = 0; i < ITEMS; i++)
        sent[i] = received[i] = false;
}

static void unbuffered(void)
{
    new_channel(0);
}

static void buffered(void)
{
    new_channel(PLENTY);
}

static int trysend_next(void)
{
    int err = weft_chan_trysend(chan, &next_item);
    if (err == 0) note_sent(next_item++);
    return err;
}

static int tryrecv_one(void)
{
    int item, rc = weft_chan_tryrecv(chan, &item);
    if (rc == 1) note_received(item);
    return rc;
}

/* Full of one item. */
static void full(void)
{
    new_channel(1);
    CHECK_EQ(trysend_next(), 0);
}

static int items_left(void)
{
    int n = 0;
    while (tryrecv_one() == 1)
        n++;
    return n;
}

/* A case that is left over would meet this. */
static void nothing_is_left_on_the_quiet_one(void)
{
    int item = 0;
    CHECK_EQ(weft_chan_trysend(quiet, &item), -EAGAIN);
    CHECK_EQ(weft_chan_tryrecv(quiet, &item), -EAGAIN);
    weft_chan_free(quiet);
}

static void all_sent_was_received(void)
{
    (void)items_left();
    CHECK_EQ(weft_test_settle(), 0); /* who has sent them notes it */
    for (int i = 0; i < ITEMS; i++)
        CHECK_EQ(received[i], sent[i]);
    CHECK_EQ(weft_chan_length(chan), 0);
    weft_chan_free(chan);
    nothing_is_left_on_the_quiet_one();
}

static void free_channels(void)
{
    weft_chan_free(chan);
    nothing_is_left_on_the_quiet_one();
}

/* ---- receiving ---------------------------------------------------------- */

static int receives(struct grant_waiter *w)
{
    return weft_chan_recv(chan, &w->item);
}

static void notes_the_received(struct grant_waiter *w)
{
    note_received(w->item);
}

static int sends_next(void *arg)
{
    int item = next_item++;
    (void)arg;
    int err = weft_chan_send(chan, &item);
    if (err == 0) note_sent(item);
    return err;
}

/* To who waits, or else by somebody who waits for him. */
static void send_one(void)
{
    if (trysend_next() < 0) grant_spawn(sends_next, NULL);
}

/* ---- sending ------------------------------------------------------------ */

static int sends(struct grant_waiter *w)
{
    w->item = OF_WAITERS + w->place;
    return weft_chan_send(chan, &w->item);
}

static void notes_the_sent(struct grant_waiter *w)
{
    note_sent(w->item);
}

static int receives_one(void *arg)
{
    int item;
    (void)arg;
    int rc = weft_chan_recv(chan, &item);
    if (rc == 1) note_received(item);
    return rc < 0 ? rc : 0;
}

static void receive_one(void)
{
    if (tryrecv_one() < 0) grant_spawn(receives_one, NULL);
}

static int places_left(void)
{
    int n = 0;
    while (trysend_next() == 0)
        n++;
    return n;
}

/* ---- the ends of a channel ---------------------------------------------- */

static void close_channel(void)
{
    weft_chan_close(chan);
}

static void abort_channel(void)
{
    weft_chan_abort(chan);
}

static int closed_to_receivers(void)
{
    return tryrecv_one() == 0;
}

static int closed_to_senders(void)
{
    return trysend_next() == -EPIPE;
}

static int aborted_to_receivers(void)
{
    return tryrecv_one() == -EPIPE;
}

static void one_item_is_out(void)
{
    buffered();
    CHECK_EQ(trysend_next(), 0);
    CHECK_EQ(tryrecv_one(), 1);
}

static void item_done(void)
{
    CHECK_EQ(weft_chan_item_done(chan), 0);
}

static int joins(struct grant_waiter *w)
{
    (void)w;
    return weft_chan_join(chan);
}

static int joined(void)
{
    return weft_chan_join(chan) == 0;
}

static int joined_in_vain(void)
{
    return weft_chan_join(chan) == -EPIPE;
}

/* ---- the same by select ------------------------------------------------- */

/* Among others that never happen. The result of the case, or the error. */
static int selects(weft_case wanted)
{
    int item = 0;
    weft_case c[] = {WEFT_CASE_RECV(quiet, &item), WEFT_CASE_EVENT(&never),
                     wanted, WEFT_CASE_RECV(quiet, &item),
                     WEFT_CASE_AFTER(WEFT_FOREVER)};
    int i = weft_select(c, sizeof c / sizeof c[0], 0);
    if (i < 0) return i;
    CHECK_EQ(i, 2);
    return c[2].result;
}

static int selects_a_receive(struct grant_waiter *w)
{
    return selects((weft_case)WEFT_CASE_RECV(chan, &w->item));
}

static int selects_a_send(struct grant_waiter *w)
{
    w->item = OF_WAITERS + w->place;
    return selects((weft_case)WEFT_CASE_SEND(chan, &w->item));
}

#define ONE_IS_SENT                                                            \
    .grant = send_one, .left = items_left, .undo = notes_the_received,         \
    .finish = all_sent_was_received, .want = 1, .tries = true

#define ONE_IS_RECEIVED                                                        \
    .grant = receive_one, .left = places_left, .undo = notes_the_sent,         \
    .finish = all_sent_was_received, .tries = true

static const struct grant_row rows[] = {
    {.name = "chan_recv, rendezvous",
     .setup = unbuffered,
     .wait = receives,
     ONE_IS_SENT},
    {.name = "chan_recv, buffered",
     .setup = buffered,
     .wait = receives,
     ONE_IS_SENT},
    {.name = "chan_send, rendezvous",
     .setup = unbuffered,
     .wait = sends,
     ONE_IS_RECEIVED},
    {.name = "chan_send, buffered",
     .setup = full,
     .wait = sends,
     ONE_IS_RECEIVED},
    {.name = "chan_recv, closed",
     .setup = buffered,
     .wait = receives,
     .grant = close_channel,
     .left = closed_to_receivers,
     .finish = all_sent_was_received,
     .share = TO_ALL,
     .tries = true},
    {.name = "chan_recv, aborted",
     .setup = unbuffered,
     .wait = receives,
     .grant = abort_channel,
     .left = aborted_to_receivers,
     .finish = free_channels,
     .want = -EPIPE,
     .share = TO_ALL,
     .tries = true},
    {.name = "chan_send, closed",
     .setup = full,
     .wait = sends,
     .grant = close_channel,
     .left = closed_to_senders,
     .finish = all_sent_was_received,
     .want = -EPIPE,
     .share = TO_ALL,
     .tries = true},
    {.name = "chan_join",
     .setup = one_item_is_out,
     .wait = joins,
     .grant = item_done,
     .left = joined,
     .finish = all_sent_was_received,
     .share = TO_ALL},
    {.name = "chan_join, aborted",
     .setup = one_item_is_out,
     .wait = joins,
     .grant = abort_channel,
     .left = joined_in_vain,
     .finish = free_channels,
     .want = -EPIPE,
     .share = TO_ALL},
    {.name = "select recv, rendezvous",
     .setup = unbuffered,
     .wait = selects_a_receive,
     ONE_IS_SENT},
    {.name = "select recv, buffered",
     .setup = buffered,
     .wait = selects_a_receive,
     ONE_IS_SENT},
    {.name = "select send, rendezvous",
     .setup = unbuffered,
     .wait = selects_a_send,
     ONE_IS_RECEIVED},
    {.name = "select send, buffered",
     .setup = full,
     .wait = selects_a_send,
     ONE_IS_RECEIVED},
    {.name = "select recv, closed",
     .setup = buffered,
     .wait = selects_a_receive,
     .grant = close_channel,
     .left = closed_to_receivers,
     .finish = all_sent_was_received,
     .share = TO_ALL,
     .tries = true},
    {.name = "select send, aborted",
     .setup = full,
     .wait = selects_a_send,
     .grant = abort_channel,
     .left = closed_to_senders,
     .finish = free_channels,
     .want = -EPIPE,
     .share = TO_ALL,
     .tries = true},
};

GRANT_TESTS(rows)
