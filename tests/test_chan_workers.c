/* SPDX-License-Identifier: MIT */
/* test_chan_workers.c - channels between the workers of one run. */
#include <weft/chan.h>
#include <weft/select.h>

#include <stdlib.h>

#include "workers.h"

enum { PRODUCERS = 4, CONSUMERS = 4 };

static weft_chan *new_chan(size_t cap)
{
    weft_chan *c = weft_chan_new(sizeof(long), cap, NULL, WEFT_CHAN_MT);
    CHECK(c != NULL);
    return c;
}

static int rounds(void)
{
    return test_is_slow() ? 200 : 5000;
}

/* ---- a market ----------------------------------------------------------- */

struct market {
    weft_chan *c;
    int *taken; /* atomic: how often each item was */
};

struct producer {
    weft_chan *c;
    long who;
};

/* Not in a run: an item is sent again until there is room. */
static void *produces(void *arg)
{
    const struct producer *p = arg;
    for (long i = 0; i < rounds(); i++) {
        long item = p->who * rounds() + i;
        while (weft_chan_trysend(p->c, &item) == -EAGAIN)
            linger(0);
    }
    weft_chan_sender_done(p->c);
    return NULL;
}

static int consumes(void *arg)
{
    const struct market *m = arg;
    long last[PRODUCERS] = {-1, -1, -1, -1}, item;
    int got;
    while ((got = weft_chan_recv(m->c, &item)) == 1) {
        long who = item / rounds(), n = item % rounds();
        CHECK(who >= 0 && who < PRODUCERS && n > last[who]);
        last[who] = n;
        (void)add_one(&m->taken[item]);
    }
    return got;
}

static void hold_market(size_t cap)
{
    const size_t items = (size_t)PRODUCERS * (size_t)rounds();
    struct market m = {new_chan(cap), calloc(items, sizeof *m.taken)};
    struct producer producers[PRODUCERS];
    pthread_t threads[PRODUCERS];
    int rc;
    for (int i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){weft_chan_sender(m.c), i};
        CHECK(producers[i].c != NULL);
    }
    weft_chan_sender_done(m.c); /* the last producer closes it */
    WEFT_NURSERY(n, rc) {
        for (unsigned i = 0; i < CONSUMERS; i++)
            spawn_on(i % weft_workers() + 1, &n, consumes, &m);
        for (int i = 0; i < PRODUCERS; i++)
            threads[i] = start_thread(produces, &producers[i]);
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < PRODUCERS; i++)
        join_thread(threads[i]);
    for (size_t i = 0; i < items; i++)
        CHECK_EQ(m.taken[i], 1);
    free(m.taken);
    weft_chan_free(m.c);
}

static int holds_markets(void *arg)
{
    static const size_t caps[] = {0, 1, 64};
    (void)arg;
    for (int i = 0; i < 3; i++)
        hold_market(caps[i]);
    return 0;
}

TEST_PLAIN(
    xth_02_items_of_four_threads_reach_four_fibers_of_two_workers_in_order)
{
    CHECK_EQ(run_on(2, holds_markets, NULL), 0);
}

/* ---- from worker to worker ---------------------------------------------- */

struct pair {
    weft_chan *there, *back;
};

static int returns_each(void *arg)
{
    const struct pair *p = arg;
    long item;
    int got;
    while ((got = weft_chan_recv(p->there, &item)) == 1) {
        int err = weft_chan_send(p->back, &item);
        if (err < 0) return err;
    }
    return got;
}

TEST_WORKERS(an_item_goes_to_another_worker_and_back)
{
    for (size_t cap = 0; cap < 2; cap++) {
        struct pair p = {new_chan(cap), new_chan(cap)};
        int rc;
        WEFT_NURSERY(n, rc) {
            for
                EACH_OTHER(k) spawn_on(k, &n, returns_each, &p);
            for (long i = 0; i < rounds() / 10; i++) {
                long item = i;
                CHECK_EQ(weft_chan_send(p.there, &item), 0);
                CHECK_EQ(weft_chan_recv(p.back, &item), 1);
                CHECK_EQ(item, i);
            }
            weft_chan_close(p.there);
        }
        CHECK_EQ(rc, 0);
        weft_chan_free(p.there);
        weft_chan_free(p.back);
    }
}

static int selects_each(void *arg)
{
    const struct pair *p = arg;
    long item, sum = 0;
    weft_case c[] = {WEFT_CASE_RECV(p->there, &item),
                     WEFT_CASE_RECV(p->back, &item)};
    for (int open = 2; open > 0;) {
        int which = weft_select(c, 2, 0);
        if (which < 0) return which;
        if (c[which].result == 1) {
            sum += item;
        } else {
            c[which].on = WEFT_ON_OFF;
            open--;
        }
    }
    return sum == 2L * rounds() ? 0 : -EPROTO;
}

static int sends_ones(void *c)
{
    const long one = 1;
    int err = 0;
    for (int i = 0; i < rounds() && err == 0; i++)
        err = weft_chan_send(c, &one);
    weft_chan_close(c);
    return err;
}

TEST_WORKERS(a_select_takes_each_item_of_two_workers_once)
{
    struct pair p = {new_chan(0), new_chan(4)};
    int rc;
    WEFT_NURSERY(n, rc) {
        spawn_on(2, &n, selects_each, &p);
        spawn_on(weft_workers(), &n, sends_ones, p.there);
        spawn_on(1, &n, sends_ones, p.back);
    }
    CHECK_EQ(rc, 0);
    weft_chan_free(p.there);
    weft_chan_free(p.back);
}

/* ---- nobody sends ------------------------------------------------------- */

static int waits_there(void *c)
{
    long item;
    return weft_chan_recv(c, &item);
}

static int waits_on_two_workers(void *arg)
{
    weft_chan *c = new_chan(0);
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        spawn_on(2, &n, waits_there, c);
        rc = waits_there(c);
    }
    weft_chan_free(c);
    return rc;
}

TEST_PLAIN(receivers_on_two_workers_to_whom_nobody_can_send_are_a_deadlock)
{
    CHECK_EQ(run_on(2, waits_on_two_workers, NULL), -EDEADLK);
}

static void *sends_late(void *c)
{
    const long item = 7;
    linger(50);
    for (int i = 0; i < 2; i++)
        while (weft_chan_trysend(c, &item) == -EAGAIN)
            linger(1);
    weft_chan_sender_done(c);
    return NULL;
}

/* Who has a handle may send. */
static int waits_for_a_thread(void *arg)
{
    weft_chan *c = new_chan(0);
    long item = 0;
    int rc;
    (void)arg;
    pthread_t t = start_thread(sends_late, weft_chan_sender(c));
    WEFT_NURSERY(n, rc) {
        spawn_on(2, &n, waits_there, c);
        CHECK_EQ(weft_chan_recv(c, &item), 1);
    }
    join_thread(t);
    weft_chan_free(c);
    return item == 7 && rc == 1 ? 0 : rc;
}

TEST_PLAIN(but_not_as_long_as_a_thread_has_a_handle)
{
    CHECK_EQ(run_on(2, waits_for_a_thread, NULL), 0);
}
