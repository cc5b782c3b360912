/* SPDX-License-Identifier: MIT */
/* test_order.c - the order in which ready fibers run, drawn from a seed. */
#include <weft/debug.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/sem.h>
#include <weft/testing.h>
#include <weft/time.h>

#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "process.h"

static char trace[512];

static int run_seeded(uint64_t seed, weft_fn fn, void *arg)
{
    weft_run_opts opts = {.virtual_clock = true, .sched_seed = seed};
    trace[0] = '\0';
    return weft_run(fn, arg, &opts);
}

static int says(void *arg)
{
    strcat(trace, arg);
    return 0;
}

/* ---- the same again ----------------------------------------------------- */

static weft_sem gate;

static int lives(void *arg)
{
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_sem_acquire(&gate, 1), 0);
        strcat(trace, arg);
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(weft_sem_release(&gate, 1), 0);
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
        strcat(trace, arg);
    }
    return 0;
}

static int lives_of_six(void *arg)
{
    static char names[6][2] = {"a", "b", "c", "d", "e", "f"};
    int rc;
    (void)arg;
    weft_sem_init(&gate, 3, 0);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 6; i++) {
            CHECK_EQ(weft_spawn(&n, lives, names[i]), 0);
        }
    }
    return rc;
}

TEST_PLAIN(clk_03_a_seed_gives_one_trace_and_another_seed_another)
{
    char first[sizeof trace];
    CHECK_EQ(run_seeded(1, lives_of_six, NULL), 0);
    strcpy(first, trace);
    CHECK_EQ(strlen(first), 36);
    CHECK_EQ(run_seeded(2, lives_of_six, NULL), 0);
    CHECK(strcmp(trace, first) != 0);
    CHECK_EQ(run_seeded(1, lives_of_six, NULL), 0);
    CHECK_STR(trace, first);
}

TEST_PLAIN(nearly_every_seed_has_a_trace_of_its_own)
{
    static char seen[50][sizeof trace];
    unsigned twice = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        CHECK_EQ(run_seeded(seed, lives_of_six, NULL), 0);
        strcpy(seen[seed - 1], trace);
        for (uint64_t i = 1; i < seed; i++) {
            twice += strcmp(seen[i - 1], trace) == 0;
        }
    }
    CHECK(twice <= 1);
}

static void prints_the_trace(void *arg)
{
    CHECK_EQ(run_seeded(*(uint64_t *)arg, lives_of_six, NULL), 0);
    (void)printf("%s", trace);
}

TEST_PLAIN(clk_03_a_seed_gives_the_same_trace_in_another_process)
{
    static struct ending e;
    uint64_t seeds[] = {1, 77, UINT64_MAX};
    for (size_t i = 0; i < 3; i++) {
        run_in_process(prints_the_trace, &seeds[i], &e);
        CHECK_EQ(e.status, 0);
        CHECK_EQ(run_seeded(3, lives_of_six, NULL), 0); /* leaves no trace */
        CHECK_EQ(run_seeded(seeds[i], lives_of_six, NULL), 0);
        CHECK_STR(e.said, trace);
    }
}

TEST_PLAIN(seed_0_is_first_come_first_served)
{
    CHECK_EQ(run_seeded(0, lives_of_six, NULL), 0);
    CHECK(strncmp(trace, "abcdef", 6) == 0);
}

/* ---- which orders there are --------------------------------------------- */

static int spawns_three(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, says, "a"), 0);
        CHECK_EQ(weft_spawn(&n, says, "b"), 0);
        CHECK_EQ(weft_spawn(&n, says, "c"), 0);
    }
    return rc;
}

static int sleeps_and_says(void *arg)
{
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    return says(arg);
}

static int three_wake_at_one_moment(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, sleeps_and_says, "a"), 0);
        CHECK_EQ(weft_spawn(&n, sleeps_and_says, "b"), 0);
        CHECK_EQ(weft_spawn(&n, sleeps_and_says, "c"), 0);
    }
    return rc;
}

static void all_six_orders_come_up(weft_fn fn)
{
    static const char *const orders[] = {"abc", "acb", "bac",
                                         "bca", "cab", "cba"};
    unsigned times[6] = {0};
    for (uint64_t seed = 1; seed <= 120; seed++) {
        unsigned found = 0;
        CHECK_EQ(run_seeded(seed, fn, NULL), 0);
        for (int i = 0; i < 6; i++) {
            if (strcmp(trace, orders[i])) continue;
            times[i]++;
            found++;
        }
        CHECK_EQ(found, 1);
    }
    for (int i = 0; i < 6; i++)
        CHECK(times[i] >= 5);
}

TEST_PLAIN(new_fibers_start_in_every_order)
{
    all_six_orders_come_up(spawns_three);
}

TEST_PLAIN(sleepers_of_one_moment_wake_in_every_order)
{
    all_six_orders_come_up(three_wake_at_one_moment);
}

/* ---- batches ------------------------------------------------------------ */

static int says_and_spawns(void *arg)
{
    weft_nursery *n = arg;
    strcat(trace, "1");
    return weft_spawn(n, says, "2");
}

static int spawns_two_generations(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 4; i++) {
            CHECK_EQ(weft_spawn(&n, says_and_spawns, &n), 0);
        }
    }
    return rc;
}

TEST_PLAIN(who_becomes_ready_meanwhile_comes_after_all_of_the_batch)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        CHECK_EQ(run_seeded(seed, spawns_two_generations, NULL), 0);
        CHECK_STR(trace, "11112222");
    }
}

static int spawns_and_yields(void *arg)
{
    static char names[8][2] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        for (size_t i = 0; i < 8; i++) {
            CHECK_EQ(weft_spawn(&n, says, names[i]), 0);
        }
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(strlen(trace), 8);
        for (size_t i = 0; i < 8; i++) {
            CHECK_EQ(weft_spawn(&n, says, names[i]), 0);
            CHECK_EQ(weft_yield(), 0);
            CHECK_EQ(strlen(trace), 9 + i);
        }
    }
    return rc;
}

TEST_PLAIN(who_yields_comes_after_all_that_were_ready)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        CHECK_EQ(run_seeded(seed, spawns_and_yields, NULL), 0);
    }
}

static int yields_and_says(void *arg)
{
    CHECK_EQ(weft_yield(), 0);
    return says(arg);
}

static int one_yields_and_then_one_is_spawned(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, yields_and_says, "y"), 0);
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(weft_spawn(&n, says, "z"), 0);
    }
    return rc;
}

TEST_PLAIN(who_becomes_ready_after_a_yield_may_come_before_its_return)
{
    unsigned first = 0, second = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        CHECK_EQ(run_seeded(seed, one_yields_and_then_one_is_spawned, NULL), 0);
        first += strcmp(trace, "zy") == 0;
        second += strcmp(trace, "yz") == 0;
    }
    CHECK_EQ(first + second, 40);
    CHECK(first >= 5);
    CHECK(second >= 5);
}

static int yields_by_turns(void *arg)
{
    unsigned *mine = arg;
    for (unsigned i = 1; i <= 50; i++) {
        *mine = i;
        CHECK_EQ(weft_yield(), 0);
    }
    return 0;
}

static int five_yield_by_turns(void *arg)
{
    static unsigned counts[5];
    int rc;
    (void)arg;
    memset(counts, 0, sizeof counts);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 5; i++) {
            CHECK_EQ(weft_spawn(&n, yields_by_turns, &counts[i]), 0);
        }
        for (unsigned round = 1; round <= 50; round++) {
            CHECK_EQ(weft_yield(), 0);
            for (int i = 0; i < 5; i++)
                CHECK_EQ(counts[i], round);
        }
    }
    return rc;
}

TEST_PLAIN(fibers_that_yield_go_round_in_every_order)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        CHECK_EQ(run_seeded(seed, five_yield_by_turns, NULL), 0);
    }
}

static weft_event to, fro;
static bool enough;

static int wakes_the_other(void *arg)
{
    bool mine = arg != NULL;
    while (!enough) {
        weft_event *wait = mine ? &to : &fro, *set = mine ? &fro : &to;
        weft_event_set(set);
        CHECK_EQ(weft_event_wait(wait), 0);
        weft_event_clear(wait);
    }
    weft_event_set(&to);
    weft_event_set(&fro);
    return 0;
}

static int watches_two_that_wake_each_other(void *arg)
{
    int rc;
    (void)arg;
    to = fro = (weft_event)WEFT_EVENT_INIT;
    enough = false;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, wakes_the_other, &to), 0);
        CHECK_EQ(weft_spawn(&n, wakes_the_other, NULL), 0);
        for (int i = 0; i < 100; i++)
            CHECK_EQ(weft_yield(), 0);
        enough = true;
    }
    return rc;
}

TEST_PLAIN(two_fibers_that_wake_each_other_starve_nobody)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        CHECK_EQ(run_seeded(seed, watches_two_that_wake_each_other, NULL), 0);
    }
}

/* ---- more than a turn, more than the ring ------------------------------- */

enum { MANY = 1000 };

static unsigned starts[MANY], started;

static int notes_its_start(void *arg)
{
    starts[started++] = *(unsigned *)arg;
    return weft_yield();
}

static int spawns_many(void *arg)
{
    static unsigned numbers[MANY];
    weft_stats before, after;
    int rc;
    (void)arg;
    started = 0;
    weft_stats_read(&before);
    WEFT_NURSERY(n, rc) {
        for (unsigned i = 0; i < MANY; i++) {
            numbers[i] = i;
            CHECK_EQ(weft_spawn(&n, notes_its_start, &numbers[i]), 0);
        }
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(started, MANY);
    }
    weft_stats_read(&after);
    /* Each started and came back from a yield, and this one came back twice. */
    CHECK_EQ(after.switches - before.switches, 2 * MANY + 2);
    return rc;
}

TEST_PLAIN(a_batch_of_several_turns_runs_each_fiber_once)
{
    bool there[MANY] = {false};
    unsigned in_place = 0;
    CHECK_EQ(run_seeded(0, spawns_many, NULL), 0);
    CHECK_EQ(run_seeded(9, spawns_many, NULL), 0);
    for (unsigned i = 0; i < MANY; i++) {
        CHECK(!there[starts[i]]);
        there[starts[i]] = true;
        in_place += starts[i] == i;
    }
    CHECK(in_place < 20);
}

static unsigned leaves;

static int is_a_leaf(void *arg)
{
    (void)arg;
    leaves++;
    return 0;
}

static int spawns_leaves(void *arg)
{
    weft_nursery *n = arg;
    leaves = 0; /* no leaf runs before the last of us */
    for (int i = 0; i < 10; i++)
        CHECK_EQ(weft_spawn(n, is_a_leaf, NULL), 0);
    return 0;
}

static int grows_the_ring_in_a_batch(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 300; i++) {
            CHECK_EQ(weft_spawn(&n, spawns_leaves, &n), 0);
        }
    }
    CHECK_EQ(leaves, 3000);
    return rc;
}

TEST_PLAIN(a_batch_goes_on_when_the_ring_grows)
{
    for (uint64_t seed = 0; seed <= 5; seed++) {
        CHECK_EQ(run_seeded(seed, grows_the_ring_in_a_batch, NULL), 0);
    }
}

/* ---- what holds in every order ------------------------------------------ */

static unsigned granted[6], grants;

static int takes_a_permit(void *arg)
{
    unsigned number = *(unsigned *)arg;
    CHECK_EQ(weft_sem_acquire(&gate, 1), 0);
    granted[grants++] = number;
    return 0;
}

static int stands_in_line(void *arg)
{
    static unsigned numbers[6];
    int rc;
    (void)arg;
    grants = 0;
    weft_sem_init(&gate, 0, 0);
    WEFT_NURSERY(n, rc) {
        for (unsigned i = 0; i < 6; i++) {
            numbers[i] = i;
            CHECK_EQ(weft_spawn(&n, takes_a_permit, &numbers[i]), 0);
            CHECK_EQ(weft_test_settle(), 0);
        }
        for (unsigned i = 0; i < 6; i++) {
            CHECK_EQ(weft_sem_release(&gate, 1), 0);
            CHECK_EQ(weft_test_settle(), 0);
            CHECK_EQ(grants, i + 1);
            CHECK_EQ(granted[i], i);
        }
    }
    return rc;
}

TEST_PLAIN(a_wait_queue_is_served_in_line_in_every_order)
{
    for (uint64_t seed = 0; seed <= 20; seed++) {
        CHECK_EQ(run_seeded(seed, stands_in_line, NULL), 0);
    }
}

static unsigned passes[3];

static int spins(void *arg)
{
    unsigned *count = arg;
    while (!enough) {
        CHECK_EQ(weft_checkpoint(), 0);
        ++*count;
    }
    return 0;
}

static int three_spin(void *arg)
{
    int rc;
    (void)arg;
    enough = false;
    memset(passes, 0, sizeof passes);
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(weft_spawn(&n, spins, &passes[i]), 0);
        }
        for (int i = 0; i < 20; i++)
            CHECK_EQ(weft_yield(), 0);
        enough = true;
    }
    for (int i = 0; i < 3; i++)
        CHECK(passes[i] >= 64 * 18);
    return rc;
}

TEST_PLAIN(fibers_that_never_wait_give_way_in_every_order)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        CHECK_EQ(run_seeded(seed, three_spin, NULL), 0);
    }
}

/* ---- asking, and this harness ------------------------------------------- */

static int checks_its_seed(void *arg)
{
    CHECK_EQ(weft_test_seed(), *(uint64_t *)arg);
    return 0;
}

TEST_PLAIN(a_run_knows_its_seed)
{
    uint64_t seeds[] = {0, 1, UINT64_MAX};
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(run_seeded(seeds[i], checks_its_seed, &seeds[i]), 0);
    }
    CHECK_EQ(weft_test_seed(), 0);
}

TEST(a_test_runs_in_the_order_that_was_asked_for)
{
    CHECK_EQ(weft_test_seed(), test_order());
}

TEST_REAL(and_so_does_one_on_the_real_clock)
{
    CHECK_EQ(weft_test_seed(), test_order());
}

TEST_FIFO(a_test_about_an_order_keeps_its_own)
{
    CHECK_EQ(weft_test_seed(), 0);
}

TEST_FIFO_REAL(and_so_does_one_about_an_order_on_the_real_clock)
{
    CHECK_EQ(weft_test_seed(), 0);
}
