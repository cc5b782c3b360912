/* SPDX-License-Identifier: MIT */
/* test_points.c - being told of every cancel point and every sleep. */
#include <weft/chan.h>
#include <weft/debug.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/io.h>
#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/sem.h>
#include <weft/socket.h>
#include <weft/testing.h>
#include <weft/time.h>

#include <string.h>
#include <sys/socket.h>

#include "harness.h"
#include "open.h"
#include "runtime/park.h"

struct told {
    weft_fiber *of; /* NULL: of all */
    unsigned points, parks;
};

static struct told told;

static void counts(weft_fiber *f, bool parked, void *arg)
{
    struct told *t = arg;
    if (t->of && t->of != f) return;
    *(parked ? &t->parks : &t->points) += 1;
}

static void watch_this_fiber(void)
{
    told = (struct told){.of = weft_self()};
    wf_points_watch(counts, &told);
}

/* Since the last such line. */
#define CHECK_TOLD(want_points, want_parks)                                    \
    do {                                                                       \
        CHECK_EQ(told.points, want_points);                                    \
        CHECK_EQ(told.parks, want_parks);                                      \
        told.points = told.parks = 0;                                          \
    } while (0)

/* ---- once a call -------------------------------------------------------- */

TEST(each_call_is_told_of_once_before_its_check)
{
    weft_event set = WEFT_EVENT_INIT;
    weft_mutex m = WEFT_MUTEX_INIT;
    weft_sem s = WEFT_SEM_INIT(1, 0);
    weft_chan *c = weft_chan_new(sizeof(int), 1, NULL, 0);
    int item = 7;
    weft_event_set(&set);
    watch_this_fiber();

    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_TOLD(1, 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_TOLD(1, 0);
    CHECK_EQ(weft_sleep(0), 0);
    CHECK_TOLD(1, 0);
    CHECK_EQ(weft_sleep_until(weft_now() - 1), 0);
    CHECK_TOLD(1, 0);
    CHECK_EQ(weft_event_wait(&set), 0);
    CHECK_TOLD(1, 0);
    CHECK_EQ(weft_mutex_lock(&m), 0);
    CHECK_TOLD(1, 0);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
    CHECK_EQ(weft_mutex_lock_nc(&m), 0);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
    CHECK_TOLD(0, 0);
    CHECK_EQ(weft_sem_acquire(&s, 1), 0);
    CHECK_TOLD(1, 0);
    CHECK_EQ(weft_chan_send(c, &item), 0);
    CHECK_TOLD(1, 0);
    CHECK_EQ(weft_chan_recv(c, &item), 1);
    CHECK_TOLD(1, 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_TOLD(1, 1);
    CHECK_EQ(weft_test_settle(), 0);
    CHECK_TOLD(1, 1);
    weft_chan_free(c);
    wf_points_watch(NULL, NULL);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_TOLD(0, 0);
}

TEST(reads_and_writes_are_told_of_once_and_when_they_wait)
{
    weft_fd p[2];
    char c;
    CHECK_EQ(weft_socketpair(AF_UNIX, SOCK_STREAM, p), 0);
    watch_this_fiber();
    CHECK_EQ(weft_write(p[0], "x", 1), 1);
    CHECK_TOLD(1, 0);
    CHECK_EQ(weft_read(p[1], &c, 1), 1); /* may have to ask the poller first */
    CHECK(told.parks <= 1);
    told.parks = 0;
    CHECK_TOLD(1, 0);
    int rc;
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(1))
        rc = (int)weft_read(p[1], &c, 1);
    CHECK_TOLD(1, 1);
    CHECK_EQ(weft_close(p[0]), 0);
    CHECK_EQ(weft_close(p[1]), 0);
    CHECK_TOLD(0, 0);
    wf_points_watch(NULL, NULL);
}

static int ends(void *arg)
{
    (void)arg;
    return 0;
}

TEST(what_cannot_be_cancelled_is_not_told_of)
{
    weft_nursery n;
    watch_this_fiber();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0); /* lets others run */
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, ends, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0); /* parks */
    CHECK_TOLD(0, 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_TOLD(1, 0);
    wf_points_watch(NULL, NULL);
}

TEST(a_cancelled_fiber_is_told_of_too)
{
    weft_scope s;
    weft_event never = WEFT_EVENT_INIT;
    open_scope(&s);
    watch_this_fiber();
    weft_scope_cancel(&s, 0, NULL);
    for (int i = 0; i < 40; i++) {
        CHECK_EQ(weft_checkpoint(), -ECANCELED);
        CHECK_EQ(weft_yield(), -ECANCELED);
        CHECK_EQ(weft_event_wait(&never), -ECANCELED);
        CHECK_TOLD(3, 0);
    }
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_TOLD(1, 0);
    wf_points_watch(NULL, NULL);
}

/* ---- all else is as without --------------------------------------------- */

static bool ran;

static int runs(void *arg)
{
    (void)arg;
    ran = true;
    return 0;
}

static unsigned passes_until_another_runs(weft_nursery *n)
{
    unsigned passes = 0;
    CHECK_EQ(weft_yield(), 0);
    ran = false;
    CHECK_EQ(weft_spawn(n, runs, NULL), 0);
    while (!ran) {
        CHECK_EQ(weft_checkpoint(), 0);
        passes++;
    }
    return passes;
}

TEST(the_credit_of_a_watched_fiber_is_that_of_any)
{
    weft_scope s;
    int rc;
    WEFT_NURSERY(n, rc) {
        unsigned plain = passes_until_another_runs(&n);
        CHECK_EQ(plain, 65);
        watch_this_fiber();
        CHECK_EQ(passes_until_another_runs(&n), plain);
        CHECK_TOLD(1 + plain, 0);

        open_cancelled_scope(&s);
        CHECK_EQ(weft_scope_end(&s, 0), 0); /* and after a cancellation */
        told.points = 0;
        CHECK_EQ(weft_spawn(&n, runs, NULL), 0);
        ran = false;
        CHECK_EQ(weft_checkpoint(), 0);
        CHECK(!ran);
        CHECK_EQ(weft_checkpoint(), 0);
        CHECK(ran);
        CHECK_TOLD(2, 0);
        wf_points_watch(NULL, NULL);
        CHECK_EQ(passes_until_another_runs(&n), plain);
    }
    CHECK_EQ(rc, 0);
}

static char trace[256];
static uint64_t switches;

static int lives(void *arg)
{
    for (int i = 0; i < 4; i++) {
        strcat(trace, arg);
        CHECK_EQ(weft_yield(), 0);
        strcat(trace, arg);
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    }
    return 0;
}

static int lives_of_four(void *arg)
{
    int rc;
    weft_stats before, after;
    weft_stats_read(&before);
    WEFT_NURSERY(n, rc) {
        if (arg) wf_points_watch(counts, arg);
        CHECK_EQ(weft_spawn(&n, lives, "a"), 0);
        CHECK_EQ(weft_spawn(&n, lives, "b"), 0);
        CHECK_EQ(weft_spawn(&n, lives, "c"), 0);
        CHECK_EQ(weft_spawn(&n, lives, "d"), 0);
    }
    weft_stats_read(&after);
    switches = after.switches - before.switches;
    return rc;
}

static void compare_with_a_watched_run(bool from_outside)
{
    for (uint64_t seed = 0; seed < 10; seed++) {
        weft_run_opts opts = {.virtual_clock = true, .sched_seed = seed};
        char unwatched[sizeof trace];
        trace[0] = '\0';
        CHECK_EQ(weft_run(lives_of_four, NULL, &opts), 0);
        strcpy(unwatched, trace);
        uint64_t before = switches;

        trace[0] = '\0';
        told = (struct told){0};
        if (from_outside) wf_points_watch(counts, &told);
        CHECK_EQ(weft_run(lives_of_four, from_outside ? NULL : &told, &opts),
                 0);
        wf_points_watch(NULL, NULL);
        CHECK_STR(trace, unwatched);
        CHECK_EQ(switches, before);
        CHECK_TOLD(4 * 8, 4 * 4);
    }
}

TEST_PLAIN(a_watched_run_goes_as_any_other_in_every_order)
{
    compare_with_a_watched_run(true);
}

TEST_PLAIN(a_watcher_may_come_in_the_middle_of_a_turn)
{
    compare_with_a_watched_run(false);
}

static unsigned until;

static void looks_away(weft_fiber *f, bool parked, void *arg)
{
    counts(f, parked, arg);
    if (--until == 0) wf_points_watch(NULL, NULL);
}

TEST_PLAIN(a_watcher_may_look_away_at_any_time)
{
    weft_run_opts opts = {.virtual_clock = true};
    trace[0] = '\0';
    CHECK_EQ(weft_run(lives_of_four, NULL, &opts), 0);
    uint64_t before = switches;
    for (unsigned k = 1; k <= 48; k++) {
        trace[0] = '\0';
        told = (struct told){0};
        until = k;
        wf_points_watch(looks_away, &told);
        CHECK_EQ(weft_run(lives_of_four, NULL, &opts), 0);
        CHECK_EQ(told.points + told.parks, k);
        CHECK_EQ(strlen(trace), 32);
        CHECK_EQ(switches, before);
    }
}

/* ---- cancelling from there ---------------------------------------------- */

static weft_scope *victim;

static void cancels_at_the_kth(weft_fiber *f, bool parked, void *arg)
{
    counts(f, parked, arg);
    if (--until == 0) weft_scope_cancel(victim, -EPIPE, "the watcher");
}

static weft_event door;
static int results[3];

static int goes_through_points(void *arg)
{
    weft_scope s;
    (void)arg;
    weft_scope_init(&s);
    victim = &s;
    told = (struct told){.of = weft_self()};
    CHECK_EQ(weft_scope_begin(&s), 0);
    results[0] = weft_checkpoint();
    results[1] = weft_yield();
    results[2] = weft_event_wait(&door);
    return weft_scope_end(&s, results[2]);
}

static int end_if_cancelled_at(unsigned k)
{
    int rc;
    until = k;
    wf_points_watch(cancels_at_the_kth, &told);
    rc = goes_through_points(NULL);
    wf_points_watch(NULL, NULL);
    return rc;
}

TEST(a_cancellation_at_a_point_is_seen_by_its_check)
{
    CHECK_EQ(end_if_cancelled_at(1), -EPIPE);
    CHECK_EQ(results[0], -ECANCELED);
    CHECK_EQ(end_if_cancelled_at(2), -EPIPE);
    CHECK_EQ(results[0], 0);
    CHECK_EQ(results[1], -ECANCELED);
    CHECK_EQ(end_if_cancelled_at(3), -EPIPE);
    CHECK_EQ(results[1], 0);
    CHECK_EQ(results[2], -ECANCELED);
    CHECK_TOLD(3, 0); /* it did not even park */
}

TEST(a_cancellation_of_a_fiber_just_put_to_sleep_wakes_it)
{
    CHECK_EQ(end_if_cancelled_at(4), -EPIPE);
    CHECK_EQ(results[1], 0);
    CHECK_EQ(results[2], -ECANCELED);
    CHECK_TOLD(3, 1);
}

static int passes_the_door(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_event_wait(&door), 0);
    return 0;
}

TEST(a_fiber_just_put_to_sleep_may_be_cancelled_beside_others)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(weft_spawn(&n, passes_the_door, NULL), 0);
        }
        CHECK_EQ(end_if_cancelled_at(4), -EPIPE);
        CHECK_EQ(results[2], -ECANCELED);
        weft_event_set(&door);
    }
    CHECK_EQ(rc, 0);
}
