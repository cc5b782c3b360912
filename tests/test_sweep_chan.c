/* SPDX-License-Identifier: MIT */
/* test_sweep_chan.c - the sweep over channels: no item is lost or doubled. */
#include <weft/chan.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/time.h>

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "sweep.h"

/* --- channels: items sent = received + dropped --- */

static weft_chan *chan;
static int sent, received, dropped;
static bool seen[64];

static void take_note(int item)
{
    CHECK(item >= 0 && item < 64);
    CHECK(!seen[item]);
    seen[item] = true;
}

static void drop_item(void *item)
{
    take_note(*(int *)item);
    dropped++;
}

static bool open_channel(size_t cap)
{
    sent = received = dropped = 0;
    memset(seen, 0, sizeof(seen));
    chan = weft_chan_new(sizeof(int), cap, drop_item, 0);
    return sweep_had(chan != NULL);
}

static int sends_four(void *arg)
{
    for (int i = 0; i < 4; i++) {
        int item = *(int *)arg * 4 + i;
        int err = weft_chan_send(chan, &item);
        if (err < 0) return err;
        sent++;
        if (i == 1) err = weft_sleep(WEFT_MSEC(1));
        if (err < 0) return err;
    }
    return 0;
}

static int receives_six(void *arg)
{
    (void)arg;
    for (int i = 0; i < 6; i++) {
        int item = -1;
        int rc = weft_chan_recv(chan, &item);
        if (rc < 0) CHECK_EQ(item, -1);
        if (rc < 0) return rc;
        CHECK_EQ(rc, 1);
        received++;
        take_note(item);
    }
    return 0;
}

static int numbers[] = {0, 1, 2};

static void start_transfers(weft_nursery *n)
{
    for (int i = 0; i < 3; i++) {
        sweep_spawn(n, sends_four, &numbers[i]);
        if (i < 2) sweep_spawn(n, receives_six, NULL);
    }
}

static void start_rendezvous(weft_nursery *n)
{
    if (open_channel(0)) start_transfers(n);
}

static void start_buffered(weft_nursery *n)
{
    if (open_channel(2)) start_transfers(n);
}

static void check_rendezvous(void)
{
    if (!chan) return;
    CHECK_EQ(sent, received);
    CHECK_EQ(weft_chan_trysend(chan, &(int){63}), -EAGAIN);
    CHECK_EQ(weft_chan_tryrecv(chan, &(int){0}), -EAGAIN);
    weft_chan_free(chan);
    CHECK_EQ(dropped, 0);
}

static void check_buffered(void)
{
    if (!chan) return;
    CHECK_EQ(weft_chan_length(chan), (size_t)(sent - received));
    weft_chan_free(chan);
    CHECK_EQ(sent, received + dropped);
}

SWEEP(no_item_is_lost_between_two_fibers_that_meet, start_rendezvous,
      check_rendezvous, SWEEP_PEERS_MAY_WAIT);

SWEEP(no_item_is_lost_in_a_buffer, start_buffered, check_buffered,
      SWEEP_PEERS_MAY_WAIT);

/* --- channels: handles, the last of which closes --- */

struct sender {
    weft_chan *handle;
    int number;
};

static struct sender senders[3];

static int sends_and_is_done(void *arg)
{
    struct sender *s = arg;
    int err = 0;
    for (int i = 0; i < 3 && err == 0; i++) {
        int item = s->number * 3 + i;
        err = weft_chan_send(s->handle, &item);
        if (err == 0) sent++;
        if (err == 0 && i == s->number) err = weft_sleep(WEFT_MSEC(1));
    }
    weft_chan_sender_done(s->handle);
    s->handle = NULL;
    return err;
}

static int receives_to_the_end(void *arg)
{
    int item, rc;
    (void)arg;
    while ((rc = weft_chan_recv(chan, &item)) == 1) {
        received++;
        take_note(item);
    }
    return rc == -EPIPE ? 0 : rc;
}

static void start_senders(weft_nursery *n)
{
    memset(senders, 0, sizeof senders);
    if (!open_channel(1)) return;
    for (int i = 0; i < 3; i++) {
        senders[i] = (struct sender){weft_chan_sender(chan), i};
        if (!sweep_had(senders[i].handle != NULL)) return;
    }
    weft_chan_sender_done(chan); /* those three are all now */
    for (int i = 0; i < 3; i++) {
        sweep_spawn(n, sends_and_is_done, &senders[i]);
    }
    sweep_spawn(n, receives_to_the_end, NULL);
    sweep_spawn(n, receives_to_the_end, NULL);
}

static void check_senders(void)
{
    if (!chan) return;
    for (int i = 0; i < 3; i++) {
        if (!senders[i].handle) continue; /* it never began */
        CHECK(sweep_short_of_memory());
        weft_chan_sender_done(senders[i].handle);
    }
    weft_chan_free(chan);
    CHECK_EQ(sent, received + dropped);
}

SWEEP(the_last_sender_ends_the_channel, start_senders, check_senders,
      SWEEP_PEERS_MAY_WAIT);

/* --- channels: closed while others send --- */

static int sends_until_closed(void *arg)
{
    int err = 0;
    for (int i = 0; i < 4 && err == 0; i++) {
        int item = *(int *)arg * 4 + i;
        err = weft_chan_send(chan, &item);
        if (err == 0) sent++;
    }
    return err == -EPIPE ? 0 : err;
}

static int closes_it_soon(void *arg)
{
    (void)arg;
    int item = -1, rc = weft_chan_recv(chan, &item);
    if (rc < 0) return rc;
    received++;
    take_note(item);
    rc = weft_sleep(WEFT_MSEC(1));
    weft_chan_close(chan); /* clean-up, cancelled or not */
    return rc;
}

static void start_closing(weft_nursery *n)
{
    if (!open_channel(2)) return;
    sweep_spawn(n, sends_until_closed, &numbers[0]);
    sweep_spawn(n, sends_until_closed, &numbers[1]);
    sweep_spawn(n, closes_it_soon, NULL);
    sweep_spawn(n, sends_until_closed, &numbers[2]);
}

SWEEP(who_sends_on_a_closed_channel_keeps_the_item, start_closing,
      check_buffered, SWEEP_PEERS_MAY_WAIT);

/* --- channels: aborted --- */

static int aborts_it_soon(void *arg)
{
    (void)arg;
    int err = weft_sleep(WEFT_MSEC(1));
    weft_chan_abort(chan);
    return err;
}

static int receives_one(void *arg)
{
    int item, rc = weft_chan_recv(chan, &item);
    (void)arg;
    if (rc == 1) {
        received++;
        take_note(item);
    }
    return rc == -EPIPE ? 0 : rc;
}

static void start_aborting(weft_nursery *n)
{
    if (!open_channel(2)) return;
    sweep_spawn(n, receives_one, NULL);
    sweep_spawn(n, sends_until_closed, &numbers[0]);
    sweep_spawn(n, sends_until_closed, &numbers[1]);
    sweep_spawn(n, aborts_it_soon, NULL);
    sweep_spawn(n, receives_one, NULL);
}

static void check_aborted(void)
{
    if (!chan) return;
    weft_chan_free(chan);
    CHECK_EQ(sent, received + dropped);
}

SWEEP(what_was_sent_is_received_or_dropped, start_aborting, check_aborted,
      SWEEP_PEERS_MAY_WAIT);

/* --- channels: until all is done --- */

static int done;

static int works_them_off(void *arg)
{
    int item, rc;
    (void)arg;
    while ((rc = weft_chan_recv(chan, &item)) == 1) {
        received++;
        take_note(item);
        rc = weft_sleep(WEFT_MSEC(1));
        done++;
        CHECK_EQ(weft_chan_item_done(chan), 0); /* done with, at any rate */
        if (rc < 0) return rc;
    }
    return rc;
}

static int sends_and_waits(void *arg)
{
    int err = sends_four(arg);
    if (err < 0) return err;
    err = weft_chan_join(chan);
    if (err == 0) CHECK_EQ(done, sent);
    weft_chan_close(chan);
    return err;
}

static void start_joining(weft_nursery *n)
{
    done = 0;
    if (!open_channel(2)) return;
    sweep_spawn(n, sends_and_waits, &numbers[0]);
    sweep_spawn(n, works_them_off, NULL);
    sweep_spawn(n, works_them_off, NULL);
}

static void check_joined(void)
{
    if (!chan) return;
    CHECK_EQ(done, received);
    CHECK_EQ(weft_chan_item_done(chan), -EINVAL);
    check_buffered();
}

SWEEP(join_comes_back_when_all_is_done, start_joining, check_joined,
      SWEEP_PEERS_MAY_WAIT);

/* --- channels: there and back --- */

static weft_chan *back;

static int calls(void *arg)
{
    int number = *(int *)arg, err = 0;
    for (int i = 0; i < 2 && err == 0; i++) {
        int item = number * 2 + i, reply = -1;
        err = weft_chan_send(chan, &item);
        if (err < 0) break;
        sent++;
        err = weft_chan_recv(back, &reply);
        if (err == 1) dropped--; /* one less on the way */
        if (err == 1) err = 0;
    }
    return err;
}

static int answers(void *arg)
{
    int item, rc;
    (void)arg;
    while ((rc = weft_chan_recv(chan, &item)) == 1) {
        received++;
        take_note(item);
        rc = weft_chan_send(back, &item);
        if (rc < 0) break;
        dropped++;
    }
    return rc;
}

static void start_calls(weft_nursery *n)
{
    back = NULL;
    if (!open_channel(0)) return;
    back = weft_chan_new(sizeof(int), 1, NULL, 0);
    if (!sweep_had(back != NULL)) return;
    for (int i = 0; i < 3; i++) {
        sweep_spawn(n, calls, &numbers[i]);
    }
    sweep_spawn(n, answers, NULL);
}

static void check_calls(void)
{
    CHECK_EQ(sent, received);
    if (back) CHECK_EQ(dropped, weft_chan_length(back));
    weft_chan_free(back);
    weft_chan_free(chan);
}

SWEEP(no_answer_is_lost, start_calls, check_calls, SWEEP_PEERS_MAY_WAIT);
