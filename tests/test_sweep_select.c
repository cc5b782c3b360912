/* SPDX-License-Identifier: MIT */
/* test_sweep_select.c - the sweep over select: what did not happen has left no
 * trace, wherever it was struck. */
#include <weft/chan.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/select.h>
#include <weft/socket.h>
#include <weft/time.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "harness.h"
#include "sweep.h"

enum { MOST = 20 };

static weft_chan *chans[MOST];
static weft_event events[MOST];
static size_t open_count;
static int sent, received;
static bool seen[64];

static void reset(void)
{
    sent = received = 0;
    open_count = 0;
    memset(seen, 0, sizeof seen);
    memset(events, 0, sizeof events);
    memset(chans, 0, sizeof chans);
}

static bool open_channels(size_t count, size_t cap)
{
    reset();
    while (open_count < count) {
        chans[open_count] = weft_chan_new(sizeof(int), cap, NULL, 0);
        if (!sweep_had(chans[open_count] != NULL)) return false;
        open_count++;
    }
    return true;
}

static void take_note(int item)
{
    CHECK(item >= 0 && item < 64);
    CHECK(!seen[item]);
    seen[item] = true;
    received++;
}

static int *number(int i)
{
    static int numbers[] = {0, 1, 2, 3, 4, 5, 6, 7};
    return &numbers[i];
}

static void check_nobody_waits(void)
{
    for (size_t i = 0; i < MOST; i++)
        CHECK_PTR(events[i].waiters_.head_, NULL);
}

/* Without capacity there is nothing inside, and now nobody stands in line. */
static void check_meetings(void)
{
    CHECK_EQ(sent, received);
    check_nobody_waits();
    for (size_t i = 0; i < open_count; i++) {
        int item = -1;
        CHECK_EQ(weft_chan_trysend(chans[i], &item), -EAGAIN);
        CHECK_EQ(weft_chan_tryrecv(chans[i], &item), -EAGAIN);
        weft_chan_free(chans[i]);
    }
}

static void check_buffers(void)
{
    int inside = 0;
    check_nobody_waits();
    for (size_t i = 0; i < open_count; i++) {
        inside += (int)weft_chan_length(chans[i]);
        weft_chan_free(chans[i]);
    }
    CHECK_EQ(sent, received + inside);
}

/* --- to and from two channels --- */

static int sends_to_either(void *arg)
{
    int first = *(int *)arg * 4;
    for (int item = first; item < first + 4; item++) {
        weft_case c[] = {WEFT_CASE_SEND(chans[0], &item),
                         WEFT_CASE_SEND(chans[1], &item)};
        int at = weft_select(c, 2, 0);
        if (at < 0) return at;
        CHECK_EQ(c[at].result, 0);
        sent++;
        if (item == first + 1) at = weft_sleep(WEFT_MSEC(1));
        if (at < 0) return at;
    }
    return 0;
}

static int receives_from_either(void *arg)
{
    (void)arg;
    for (int i = 0; i < 6; i++) {
        int item[2] = {-1, -1};
        weft_case c[] = {WEFT_CASE_RECV(chans[1], &item[0]),
                         WEFT_CASE_RECV(chans[0], &item[1])};
        int at = weft_select(c, 2, 0);
        CHECK_EQ((item[0] >= 0) + (item[1] >= 0), at >= 0);
        if (at < 0) return at;
        CHECK_EQ(c[at].result, 1);
        take_note(item[at]);
    }
    return 0;
}

static int receives_plainly(void *arg)
{
    for (int i = 0; i < 3; i++) {
        int item = -1, rc = weft_chan_recv(chans[*(int *)arg], &item);
        if (rc < 0) return rc;
        take_note(item);
    }
    return 0;
}

static void start_either(weft_nursery *n, size_t cap)
{
    if (!open_channels(2, cap)) return;
    for (int i = 0; i < 3; i++)
        sweep_spawn(n, sends_to_either, number(i));
    sweep_spawn(n, receives_from_either, NULL);
    sweep_spawn(n, receives_plainly, number(0));
    sweep_spawn(n, receives_plainly, number(1));
}

static void start_either_meeting(weft_nursery *n)
{
    start_either(n, 0);
}

static void start_either_buffered(weft_nursery *n)
{
    start_either(n, 1);
}

SWEEP(a_select_loses_no_item_where_two_meet, start_either_meeting,
      check_meetings, SWEEP_PEERS_MAY_WAIT);

SWEEP(a_select_loses_no_item_in_a_buffer, start_either_buffered, check_buffers,
      SWEEP_PEERS_MAY_WAIT);

/* --- each sends and receives --- */

static int trades(void *arg)
{
    int me = *(int *)arg, out = me * 2, in = -1;
    weft_case c[] = {WEFT_CASE_SEND(chans[0], &out),
                     WEFT_CASE_RECV(chans[0], &in)};
    for (int i = 0; i < 2; i++) {
        in = -1;
        int at = weft_select(c, 2, 0);
        if (at < 0) CHECK_EQ(in, -1);
        if (at < 0) return at;
        if (at == 0) {
            sent++;
            out++;
        } else {
            CHECK(in / 2 != me);
            take_note(in);
        }
    }
    return 0;
}

static void start_trades(weft_nursery *n)
{
    if (!open_channels(1, 0)) return;
    for (int i = 0; i < 4; i++)
        sweep_spawn(n, trades, number(i));
}

SWEEP(all_send_and_receive_on_one_channel, start_trades, check_meetings,
      SWEEP_PEERS_MAY_WAIT);

/* Sends to the next, and receives from the one before. */
static int passes_on(void *arg)
{
    int me = *(int *)arg, out = me, in = -1;
    weft_case c[] = {WEFT_CASE_SEND(chans[me], &out),
                     WEFT_CASE_RECV(chans[(me + 4) % 5], &in)};
    for (int i = 0; i < 2; i++) {
        int at = weft_select(c, 2, 0);
        if (at < 0) return at;
        if (at == 0)
            sent++;
        else
            take_note(in);
        c[at].on = WEFT_ON_OFF;
    }
    return 0;
}

static void start_ring(weft_nursery *n)
{
    if (!open_channels(5, 0)) return;
    for (int i = 0; i < 5; i++)
        sweep_spawn(n, passes_on, number(i));
}

SWEEP(a_ring_of_selects, start_ring, check_meetings, SWEEP_PEERS_MAY_WAIT);

/* --- an item, an event and a moment --- */

static int works_until_told(void *arg)
{
    int item = -1, idle = 0;
    (void)arg;
    weft_case c[] = {WEFT_CASE_RECV(chans[0], &item),
                     WEFT_CASE_EVENT(&events[0]), WEFT_CASE_AT(0)};
    for (;;) {
        c[2].at = weft_after(WEFT_MSEC(2));
        int at = weft_select(c, 3, 0);
        if (at < 0) return at;
        if (at == 0 && c[0].result == 1) take_note(item);
        if (at == 1 || (at == 2 && ++idle == 5)) return 0;
        if (at == 0 && c[0].result == 0) return 0;
    }
}

static int tells_them(void *arg)
{
    (void)arg;
    int err = weft_sleep(WEFT_MSEC(5));
    weft_event_set(&events[0]);
    return err;
}

static int sends_four(void *arg)
{
    for (int i = 0; i < 4; i++) {
        int item = *(int *)arg * 4 + i, err = weft_chan_send(chans[0], &item);
        if (err < 0) return err;
        sent++;
        err = weft_sleep(WEFT_MSEC(i));
        if (err < 0) return err;
    }
    return 0;
}

static void start_workers(weft_nursery *n)
{
    if (!open_channels(1, 0)) return;
    sweep_spawn(n, works_until_told, NULL);
    sweep_spawn(n, works_until_told, NULL);
    sweep_spawn(n, tells_them, NULL);
    sweep_spawn(n, sends_four, number(0));
    sweep_spawn(n, sends_four, number(1));
}

SWEEP(workers_that_are_told_to_stop, start_workers, check_meetings,
      SWEEP_PEERS_MAY_WAIT);

/* --- more than fit on the stack --- */

static int takes_of_many(void *arg)
{
    int item[MOST];
    weft_case c[2 * MOST + 1];
    (void)arg;
    for (int i = 0; i < MOST; i++) {
        item[i] = -1;
        c[i] = (weft_case)WEFT_CASE_RECV(chans[i], &item[i]);
        c[MOST + i] = (weft_case)WEFT_CASE_EVENT(&events[i]);
    }
    c[2 * MOST] = (weft_case)WEFT_CASE_AFTER(WEFT_MSEC(10));
    for (int i = 0; i < 3; i++) {
        int at = weft_select(c, 2 * MOST + 1, 0);
        if (at < 0) return at;
        if (at < MOST && c[at].result == 1) take_note(item[at]);
        c[at].on = WEFT_ON_OFF;
    }
    return 0;
}

static int gives_to_many(void *arg)
{
    int k = *(int *)arg, err = weft_sleep(WEFT_MSEC(1));
    if (err == 0) err = weft_chan_send(chans[7 * k], &k);
    if (err < 0) return err;
    sent++;
    weft_event_set(&events[5 * k]);
    return 0;
}

static void start_many(weft_nursery *n)
{
    if (!open_channels(MOST, 0)) return;
    sweep_spawn(n, takes_of_many, NULL);
    sweep_spawn(n, gives_to_many, number(0));
    sweep_spawn(n, takes_of_many, NULL);
    sweep_spawn(n, gives_to_many, number(1));
    sweep_spawn(n, gives_to_many, number(2));
}

SWEEP(a_select_of_many, start_many, check_meetings, SWEEP_PEERS_MAY_WAIT);

/* --- closed and aborted while they wait --- */

static int selects_to_the_end(void *arg)
{
    int item = -1, out = 40 + *(int *)arg;
    weft_case c[] = {WEFT_CASE_RECV(chans[0], &item),
                     WEFT_CASE_SEND(chans[1], &out)};
    for (;;) {
        int at = weft_select(c, 2, 0);
        if (at < 0) return at;
        if (c[at].result == -EPIPE || (at == 0 && c[at].result == 0)) return 0;
        if (at == 0) take_note(item);
        if (at == 1) sent++;
    }
}

static int ends_them(void *arg)
{
    int item = 1, err;
    (void)arg;
    err = weft_chan_send(chans[0], &item);
    if (err == 0) sent++;
    int rc = weft_chan_recv(chans[1], &item);
    if (rc == 1) received++;
    if (rc > 0) rc = weft_sleep(WEFT_MSEC(1));
    weft_chan_close(chans[0]);
    weft_chan_abort(chans[1]);
    return err < 0 ? err : rc;
}

static void start_ends(weft_nursery *n)
{
    if (!open_channels(2, 0)) return;
    for (int i = 0; i < 3; i++)
        sweep_spawn(n, selects_to_the_end, number(i));
    sweep_spawn(n, ends_them, NULL);
}

static void check_ends(void)
{
    CHECK_EQ(sent, received);
    for (size_t i = 0; i < open_count; i++)
        weft_chan_free(chans[i]);
}

SWEEP(channels_that_end_under_a_select, start_ends, check_ends,
      SWEEP_PEERS_MAY_WAIT);

/* --- tasks --- */

static int takes_a_while(void *arg)
{
    return weft_sleep(WEFT_MSEC(*(int *)arg));
}

static int watches_its_children(void *arg)
{
    weft_task t[3];
    int rc, ended = 0;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        weft_case c[4] = {WEFT_CASE_EVENT(&events[0])};
        for (int i = 0; i < 3 && rc == 0; i++) {
            rc = weft_spawn_ex(&n, takes_a_while, number(3 - i),
                               &(weft_spawn_opts){.task = &t[i]});
            c[i + 1] = (weft_case)WEFT_CASE_TASK(&t[i]);
        }
        while (rc == 0 && ended < 3) {
            int at = weft_select(c, 4, 0);
            if (at < 0) rc = at;
            if (at <= 0) break;
            CHECK(weft_task_done(&t[at - 1]));
            c[at].on = WEFT_ON_OFF;
            ended++;
        }
        if (rc < 0) weft_nursery_cancel(&n, 0, NULL);
    }
    return rc;
}

static void start_watching(weft_nursery *n)
{
    reset();
    sweep_spawn(n, watches_its_children, NULL);
    sweep_spawn(n, watches_its_children, NULL);
}

SWEEP(a_select_of_children, start_watching, check_nobody_waits, 0);

/* --- descriptors --- */

static weft_fd ends[2][2];
static long octets_out, octets_in;

static bool open_ends(void)
{
    reset();
    memset(ends, 0, sizeof ends);
    octets_out = octets_in = 0;
    for (int i = 0; i < 2; i++) {
        int err = weft_socketpair(AF_UNIX, SOCK_STREAM, ends[i]);
        if (!sweep_had(err == 0)) return false;
    }
    return true;
}

/* Reads whichever has something, until both have ended. */
static int reads_both(void *arg)
{
    weft_case c[] = {WEFT_CASE_FD(ends[0][0], WEFT_READABLE),
                     WEFT_CASE_FD(ends[1][0], WEFT_READABLE),
                     WEFT_CASE_AFTER(WEFT_SEC(1))};
    int open = 2, at = 0;
    (void)arg;
    while (open > 0) {
        char buf[3];
        at = weft_select(c, 3, 0);
        if (at < 0 || at == 2) break;
        CHECK(c[at].result & WEFT_READABLE);
        ssize_t n = weft_try_read(c[at].fd, buf, sizeof buf);
        if (n > 0) octets_in += n;
        if (n > 0 || n == -EAGAIN) continue;
        c[at].on = WEFT_ON_OFF;
        open--;
    }
    CHECK_EQ(weft_close(ends[0][0]), 0);
    CHECK_EQ(weft_close(ends[1][0]), 0);
    return at;
}

static int writes_one(void *arg)
{
    weft_fd fd = ends[*(int *)arg][1];
    weft_case c[] = {WEFT_CASE_FD(fd, WEFT_WRITABLE),
                     WEFT_CASE_EVENT(&events[0])};
    int at = 0;
    for (int i = 0; i < 4 && at == 0; i++) {
        at = weft_select(c, 2, 0);
        if (at != 0) break;
        ssize_t n = weft_try_write(fd, "weft!", 5);
        if (n > 0) octets_out += n;
        at = i % 2 ? weft_sleep(WEFT_MSEC(1)) : n == -EPIPE;
    }
    CHECK_EQ(weft_close(fd), 0);
    return at;
}

static void start_reading(weft_nursery *n)
{
    if (!open_ends()) return;
    sweep_spawn(n, reads_both, NULL);
    sweep_spawn(n, writes_one, number(0));
    sweep_spawn(n, writes_one, number(1));
}

static void check_reading(void)
{
    CHECK(octets_in <= octets_out);
    check_nobody_waits();
    for (int i = 0; i < 2; i++) { /* of whom was never started */
        (void)weft_close(ends[i][0]);
        (void)weft_close(ends[i][1]);
    }
}

SWEEP(a_select_of_descriptors, start_reading, check_reading, 0);

/* --- descriptors closed under it --- */

static int waits_for_both(void *arg)
{
    weft_case c[] = {WEFT_CASE_EVENT(&events[0]),
                     WEFT_CASE_FD(ends[*(int *)arg][0], WEFT_READABLE),
                     WEFT_CASE_FD(ends[*(int *)arg][1], WEFT_READABLE)};
    int at = weft_select(c, 3, 0);
    return at == -EBADF ? 0 : at;
}

static int closes_one(void *arg)
{
    int i = *(int *)arg, err = weft_sleep(WEFT_MSEC(1));
    CHECK_EQ(weft_close(ends[i][i]), 0);
    return err;
}

static void start_closing(weft_nursery *n)
{
    if (!open_ends()) return;
    for (int i = 0; i < 2; i++) {
        sweep_spawn(n, waits_for_both, number(i));
        sweep_spawn(n, closes_one, number(i));
    }
}

SWEEP(a_descriptor_closed_under_a_select, start_closing, check_reading,
      SWEEP_PEERS_MAY_WAIT);
