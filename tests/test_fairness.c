/* SPDX-License-Identifier: MIT */
/* test_fairness.c - the order in which ready fibers run. */
#include <weft/chan.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/sem.h>
#include <weft/time.h>

#include <string.h>

#include "harness.h"
#include "said.h"

static int says_three_times(void *arg)
{
    for (int i = 0; i < 3; i++) {
        say(arg);
        CHECK_EQ(weft_yield(), 0);
    }
    return 0;
}

TEST_FIFO(yielding_fibers_take_turns)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, says_three_times, "a"), 0);
        CHECK_EQ(weft_spawn(&n, says_three_times, "b"), 0);
        CHECK_EQ(weft_spawn(&n, says_three_times, "c"), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_STR(said, "abcabcabc");
}

TEST_FIFO(one_yield_lets_every_ready_fiber_run_once)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, says_three_times, "a"), 0);
        CHECK_EQ(weft_spawn(&n, says_three_times, "b"), 0);
        CHECK_EQ(weft_yield(), 0);
        CHECK_STR(said, "ab");
        CHECK_EQ(weft_yield(), 0);
        CHECK_STR(said, "abab");
    }
    CHECK_EQ(rc, 0);
}

static weft_sem gate;

static int passes_the_gate(void *arg)
{
    CHECK_EQ(weft_sem_acquire(&gate, 1), 0);
    say(arg);
    return 0;
}

TEST_FIFO(woken_and_new_fibers_share_one_line)
{
    int rc;
    weft_sem_init(&gate, 0, 0);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, passes_the_gate, "1"), 0);
        CHECK_EQ(weft_spawn(&n, passes_the_gate, "2"), 0);
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(weft_spawn(&n, says, "a"), 0);
        CHECK_EQ(weft_sem_release(&gate, 1), 0);
        CHECK_EQ(weft_spawn(&n, says, "b"), 0);
        CHECK_EQ(weft_sem_release(&gate, 1), 0);
        CHECK_EQ(weft_spawn(&n, says, "c"), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_STR(said, "a1b2c");
}

static int waits_and_says(void *arg)
{
    int err = weft_sleep_until(WEFT_FOREVER);
    say(arg);
    return err;
}

TEST(fibers_cancelled_together_run_in_the_order_of_their_spawns)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits_and_says, "1"), 0);
        CHECK_EQ(weft_spawn(&n, waits_and_says, "2"), 0);
        CHECK_EQ(weft_spawn(&n, waits_and_says, "3"), 0);
        CHECK_EQ(weft_yield(), 0);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(strlen(said), 3);
    CHECK(strchr(said, '1') && strchr(said, '2') && strchr(said, '3'));
}

enum { BUDGET = 64, SPINNERS = 5 };

static unsigned passes[SPINNERS];
static bool stop;

static int spins(void *arg)
{
    unsigned *count = arg;
    while (!stop) {
        CHECK_EQ(weft_checkpoint(), 0);
        ++*count;
    }
    return 0;
}

TEST(fibers_that_never_wait_share_the_thread_evenly)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < SPINNERS; i++) {
            CHECK_EQ(weft_spawn(&n, spins, &passes[i]), 0);
        }
        for (int i = 0; i < 100; i++) {
            CHECK_EQ(weft_yield(), 0);
        }
        for (int i = 1; i < SPINNERS; i++) {
            CHECK_EQ(passes[i], passes[0]);
        }
        CHECK(passes[0] >= 100 * (BUDGET / 2));
        CHECK(passes[0] <= 100 * (2 * BUDGET));
        stop = true;
    }
    CHECK_EQ(rc, 0);
}

TEST(a_wait_renews_the_credit)
{
    int rc;
    bool unseen = true;
    WEFT_NURSERY(n, rc) {
        for (int round = 0; round < 5; round++) {
            CHECK_EQ(weft_yield(), 0);
            said[0] = '\0';
            CHECK_EQ(weft_spawn(&n, says, "x"), 0);
            for (int i = 0; i < BUDGET; i++) {
                CHECK_EQ(weft_checkpoint(), 0);
            }
            unseen = unseen && said[0] == '\0';
        }
        CHECK(unseen);
    }
    CHECK_EQ(rc, 0);
}

static weft_chan *there, *back;

static int echoes(void *arg)
{
    int item;
    (void)arg;
    while (weft_chan_recv(there, &item) == 1) {
        CHECK_EQ(weft_chan_send(back, &item), 0);
    }
    return 0;
}

static unsigned turns;

static int counts_turns(void *arg)
{
    while (!*(bool *)arg) {
        CHECK_EQ(weft_yield(), 0);
        turns++;
    }
    return 0;
}

TEST(two_fibers_that_wake_each_other_do_not_starve_a_third)
{
    int rc;
    there = weft_chan_new(sizeof(int), 0, NULL, 0);
    back = weft_chan_new(sizeof(int), 0, NULL, 0);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, echoes, NULL), 0);
        CHECK_EQ(weft_spawn(&n, counts_turns, &stop), 0);
        for (int i = 0; i < 500; i++) {
            int item;
            CHECK_EQ(weft_chan_send(there, &i), 0);
            CHECK_EQ(weft_chan_recv(back, &item), 1);
            CHECK_EQ(item, i);
        }
        CHECK(turns >= 100);
        stop = true;
        weft_chan_close(there);
    }
    CHECK_EQ(rc, 0);
    weft_chan_free(there);
    weft_chan_free(back);
}

static int ignores_cancellation(void *arg)
{
    weft_event *never = arg;
    for (int i = 0; i < 3000; i++) {
        CHECK_EQ(weft_event_wait(never), -ECANCELED);
    }
    return 0;
}

TEST(an_outer_deadline_works_beside_a_fiber_that_ignores_its_own)
{
    weft_event never = WEFT_EVENT_INIT;
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_spawn(&n, ignores_cancellation, &never), 0);
    unsigned rounds = 0;
    while (weft_nursery_count(&n) > 0) {
        CHECK_EQ(weft_yield(), -ECANCELED);
        rounds++;
    }
    CHECK(rounds >= 3000 / 16);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}
