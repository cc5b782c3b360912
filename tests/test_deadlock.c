/* SPDX-License-Identifier: MIT */
/* test_deadlock.c - that nobody waits for ever in silence. */
#include <weft/chan.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "fibers.h"
#include "harness.h"
#include "process.h"

static const weft_run_opts on_virtual_clock = {.virtual_clock = true};

static int run(weft_fn fn, void *arg)
{
    return weft_run(fn, arg, &on_virtual_clock);
}

static weft_mutex ledger;

static int wants_the_ledger(void *arg)
{
    (void)arg;
    return weft_mutex_lock(&ledger);
}

static int holds_the_ledger_and_joins(void *arg)
{
    weft_nursery n;
    weft_spawn_opts opts = {.name = "clerk"};
    (void)arg;
    weft_fiber_set_name("bookkeeper");
    CHECK_EQ(weft_mutex_lock(&ledger), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, wants_the_ledger, NULL, &opts), 0);
    int rc = weft_nursery_close(&n, 0);
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(weft_cancel_reason()->kind, WEFT_R_DEADLOCK);
    CHECK_EQ(weft_mutex_unlock(&ledger), 0); /* clean-up runs */
    return rc;
}

static void deadlocks_on_the_ledger(void *arg)
{
    (void)arg;
    CHECK_EQ(run(holds_the_ledger_and_joins, NULL), -EDEADLK);
    CHECK_EQ(weft_run(holds_the_ledger_and_joins, NULL, NULL), -EDEADLK);
}

TEST_PLAIN(dlk_01_a_deadlock_over_a_mutex_is_reported)
{
    static struct ending e;
    run_in_process(deadlocks_on_the_ledger, NULL, &e);
    CHECK_EQ(e.status, 0);
    CHECK(strstr(e.said, "bookkeeper"));
    CHECK(strstr(e.said, "clerk"));
    CHECK(strstr(e.said, "mutex"));
    CHECK(strstr(e.said, "nursery"));
    char which[64];
    (void)snprintf(which, sizeof which, "mutex %p", (void *)&ledger);
    const char *line = strstr(e.said, which);
    CHECK(line != NULL);
    const char *owner = strstr(line, "bookkeeper");
    CHECK(owner && owner < line + strcspn(line, "\n")); /* who holds it */
}

static int receives_from_nobody(void *arg)
{
    (void)arg;
    weft_chan *c = weft_chan_new(sizeof(int), 1, NULL, 0);
    int item, rc = weft_chan_recv(c, &item);
    CHECK_EQ(rc, -ECANCELED);
    weft_chan_free(c);
    return rc;
}

static void deadlocks_on_a_channel(void *arg)
{
    (void)arg;
    CHECK_EQ(run(receives_from_nobody, NULL), -EDEADLK);
}

TEST_PLAIN(dlk_02_a_receive_that_nobody_can_end_is_a_deadlock)
{
    static struct ending e;
    run_in_process(deadlocks_on_a_channel, NULL, &e);
    CHECK_EQ(e.status, 0);
    CHECK(strstr(e.said, "deadlock"));
    CHECK(strstr(e.said, "channel"));
}

static weft_mutex left, right;

static int takes_both(void *arg)
{
    bool first = *(bool *)arg;
    weft_mutex *a = first ? &left : &right, *b = first ? &right : &left;
    int err = weft_mutex_lock(a);
    if (err < 0) return err;
    err = weft_yield();
    if (err == 0) err = weft_mutex_lock(b);
    CHECK_EQ(weft_mutex_unlock(a), 0);
    return err;
}

static int deadlocks_beside_others(void *arg)
{
    static bool hands[] = {true, false};
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 10; i++) {
            rc = weft_spawn_ex(&n, waits_for_ever, NULL,
                               (&(weft_spawn_opts){.name = "innocent"}));
        }
        rc = weft_spawn_ex(&n, takes_both, &hands[0],
                           (&(weft_spawn_opts){.name = "lefthander"}));
        rc = weft_spawn_ex(&n, takes_both, &hands[1],
                           (&(weft_spawn_opts){.name = "righthander"}));
    }
    return rc;
}

static void deadlocks_in_a_cycle(void *arg)
{
    (void)arg;
    CHECK_EQ(run(deadlocks_beside_others, NULL), -EDEADLK);
}

TEST_PLAIN(dlk_03_a_report_tells_the_cycle_first)
{
    static struct ending e;
    run_in_process(deadlocks_in_a_cycle, NULL, &e);
    CHECK_EQ(e.status, 0);
    const char *innocent = strstr(e.said, "innocent");
    const char *one = strstr(e.said, "lefthander");
    const char *other = strstr(e.said, "righthander");
    CHECK(innocent && one && other);
    CHECK(one < innocent);
    CHECK(other < innocent);
}

/* How often `what` stands between two places of a text; NULL: to its end. */
static size_t count(const char *from, const char *to, const char *what)
{
    size_t n = 0;
    for (; (from = strstr(from, what)) && (!to || from < to); from++)
        n++;
    return n;
}

/* Between the two of these lines are those of the circle. The list of all
 * starts with main, which comes first in the tree. */
static const char circle_starts[] = "  in a circle";
static const char all_start[] = "\n  fiber ";

/* The report has these in the circle, and nobody else. */
static void check_circle(const char *text, const char *const *names, size_t n)
{
    const char *from = strstr(text, circle_starts);
    CHECK(from != NULL);
    const char *to = strstr(from, all_start);
    CHECK(to != NULL);
    const char *next_report = strstr(to, "weft: deadlock");
    CHECK_EQ(count(from, to, "    fiber "), n);
    for (size_t i = 0; i < n; i++) {
        char what[64];
        (void)snprintf(what, sizeof what, "\"%s\" parked", names[i]);
        CHECK_EQ(count(from, to, what), 1);
        CHECK_EQ(count(to, next_report, what), 0); /* only named there */
    }
}

static weft_spawn_opts *named(const char *name)
{
    static weft_spawn_opts o;
    o = (weft_spawn_opts){.name = name};
    return &o;
}

TEST_PLAIN(dlk_01_the_closer_and_the_child_are_in_the_circle)
{
    static struct ending e;
    run_in_process(deadlocks_on_the_ledger, NULL, &e);
    CHECK_EQ(e.status, 0);
    static const char *const both[] = {"bookkeeper", "clerk"};
    check_circle(e.said, both, 2);
}

TEST_PLAIN(dlk_03_the_innocent_are_not_in_the_circle)
{
    static struct ending e;
    run_in_process(deadlocks_in_a_cycle, NULL, &e);
    CHECK_EQ(e.status, 0);
    static const char *const both[] = {"lefthander", "righthander"};
    check_circle(e.said, both, 2);
    CHECK_EQ(count(e.said, NULL, "\"innocent\" parked"), 10);
}

TEST_PLAIN(dlk_02_where_nobody_waits_for_another_there_is_no_circle)
{
    static struct ending e;
    run_in_process(deadlocks_on_a_channel, NULL, &e);
    CHECK_EQ(e.status, 0);
    CHECK(strstr(e.said, circle_starts) == NULL);
}

/* A nursery of the child's own lies between the two ends, and beside each of
 * them there is one that has nothing to do with it. */
static int wants_it_in_a_nursery(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn_ex(&n, wants_the_ledger, NULL, named("clerk"));
        CHECK_EQ(weft_spawn_ex(&n, waits_for_ever, NULL, named("innocent")), 0);
    }
    return rc;
}

static int holds_it_over_two_nurseries(void *arg)
{
    int rc;
    (void)arg;
    weft_fiber_set_name("bookkeeper");
    CHECK_EQ(weft_mutex_lock(&ledger), 0);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn_ex(&n, waits_for_ever, NULL, named("innocent")), 0);
        rc = weft_spawn_ex(&n, wants_it_in_a_nursery, NULL, named("between"));
    }
    CHECK_EQ(weft_mutex_unlock(&ledger), 0);
    return rc;
}

static void deadlocks_over_two_nurseries(void *arg)
{
    (void)arg;
    CHECK_EQ(run(holds_it_over_two_nurseries, NULL), -EDEADLK);
}

TEST_PLAIN(a_nursery_between_the_two_is_in_the_circle_too)
{
    static struct ending e;
    run_in_process(deadlocks_over_two_nurseries, NULL, &e);
    CHECK_EQ(e.status, 0);
    static const char *const three[] = {"bookkeeper", "between", "clerk"};
    check_circle(e.said, three, 3);
    CHECK_EQ(count(e.said, NULL, "\"innocent\" parked"), 2);
}

static weft_mutex around[3];

static int takes_this_and_the_next(void *arg)
{
    size_t i = *(size_t *)arg;
    int err = weft_mutex_lock(&around[i]);
    if (err == 0) err = weft_yield();
    if (err == 0) err = weft_mutex_lock(&around[(i + 1) % 3]);
    CHECK_EQ(weft_mutex_unlock(&around[i]), 0);
    return err;
}

static int waits_for_one_of_them(void *arg)
{
    (void)arg;
    int err = weft_yield();
    return err < 0 ? err : weft_mutex_lock(&around[1]);
}

static int three_around(void *arg)
{
    static size_t at[] = {0, 1, 2};
    static const char *const names[] = {"a", "b", "c"};
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        for (size_t i = 0; i < 3 && rc == 0; i++)
            rc = weft_spawn_ex(&n, takes_this_and_the_next, &at[i],
                               named(names[i]));
        if (rc == 0)
            rc = weft_spawn_ex(&n, waits_for_one_of_them, NULL,
                               named("innocent"));
    }
    return rc;
}

static void deadlock_around(void *arg)
{
    (void)arg;
    CHECK_EQ(run(three_around, NULL), -EDEADLK);
}

TEST_PLAIN(three_locks_make_a_circle_and_who_waits_for_it_is_not_in_it)
{
    static struct ending e;
    run_in_process(deadlock_around, NULL, &e);
    CHECK_EQ(e.status, 0);
    static const char *const three[] = {"a", "b", "c"};
    check_circle(e.said, three, 3);
    CHECK_EQ(count(e.said, NULL, "\"innocent\" parked"), 1);
}

/* The child waits for its brother, who waits for what their parent holds. */
static weft_mutex tools;

static int has_the_tools_and_wants_the_ledger(void *arg)
{
    (void)arg;
    int err = weft_mutex_lock(&tools);
    if (err == 0) err = weft_mutex_lock(&ledger);
    CHECK_EQ(weft_mutex_unlock(&tools), 0);
    return err;
}

static int wants_the_tools(void *arg)
{
    (void)arg;
    return weft_mutex_lock(&tools);
}

static int parent_of_brothers(void *arg)
{
    int rc;
    (void)arg;
    weft_fiber_set_name("parent");
    CHECK_EQ(weft_mutex_lock(&ledger), 0);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn_ex(&n, has_the_tools_and_wants_the_ledger, NULL,
                           named("elder"));
        if (rc == 0)
            rc = weft_spawn_ex(&n, wants_the_tools, NULL, named("younger"));
    }
    CHECK_EQ(weft_mutex_unlock(&ledger), 0);
    return rc;
}

static void deadlocks_through_a_brother(void *arg)
{
    (void)arg;
    CHECK_EQ(run(parent_of_brothers, NULL), -EDEADLK);
}

TEST_PLAIN(a_child_that_waits_for_its_ancestor_through_a_second_one_is_in_it)
{
    static struct ending e;
    run_in_process(deadlocks_through_a_brother, NULL, &e);
    CHECK_EQ(e.status, 0);
    static const char *const three[] = {"parent", "elder", "younger"};
    check_circle(e.said, three, 3);
}

/* Two circles, and one that waits for the second in a nursery of the first. */
static weft_mutex first_lock, second_lock;

static int wants_the_first(void *arg)
{
    (void)arg;
    return weft_mutex_lock(&first_lock);
}

static int wants_the_second(void *arg)
{
    (void)arg;
    int err = weft_yield();
    return err < 0 ? err : weft_mutex_lock(&second_lock);
}

static int first_circle(void *arg)
{
    int rc;
    (void)arg;
    CHECK_EQ(weft_mutex_lock(&first_lock), 0);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn_ex(&n, wants_the_first, NULL, named("1b"));
        if (rc == 0)
            rc = weft_spawn_ex(&n, wants_the_second, NULL, named("bridge"));
    }
    CHECK_EQ(weft_mutex_unlock(&first_lock), 0);
    return rc;
}

static int second_circle(void *arg)
{
    int rc;
    (void)arg;
    CHECK_EQ(weft_mutex_lock(&second_lock), 0);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn_ex(&n, wants_the_second, NULL, named("2b"));
    }
    CHECK_EQ(weft_mutex_unlock(&second_lock), 0);
    return rc;
}

static int two_circles(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn_ex(&n, first_circle, NULL, named("1a"));
        if (rc == 0) rc = weft_spawn_ex(&n, second_circle, NULL, named("2a"));
    }
    return rc;
}

static void deadlock_in_two_circles(void *arg)
{
    (void)arg;
    CHECK_EQ(run(two_circles, NULL), -EDEADLK);
}

TEST_PLAIN(who_waits_between_two_circles_is_in_neither)
{
    static struct ending e;
    run_in_process(deadlock_in_two_circles, NULL, &e);
    CHECK_EQ(e.status, 0);
    static const char *const four[] = {"1a", "1b", "2a", "2b"};
    check_circle(e.said, four, 4);
    CHECK_EQ(count(e.said, NULL, "\"bridge\" parked"), 1);
    CHECK_EQ(count(e.said, NULL, "in the circle above"), 4);
}

/* Each waits for the one that was spawned before it, or after it. */
enum { RING = 600 };
static weft_mutex ring[RING];
static ptrdiff_t step;

static int takes_its_own_and_its_neighbours(void *arg)
{
    weft_mutex *own = arg;
    ptrdiff_t at = own - ring;
    int err = weft_mutex_lock(own);
    if (err == 0) err = weft_yield();
    if (err == 0) err = weft_mutex_lock(&ring[(at + RING + step) % RING]);
    CHECK_EQ(weft_mutex_unlock(own), 0);
    return err;
}

static int fills_the_ring(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < RING && rc == 0; i++)
            rc = weft_spawn(&n, takes_its_own_and_its_neighbours, &ring[i]);
    }
    return rc;
}

static void deadlocks_in_a_ring(void *arg)
{
    step = *(ptrdiff_t *)arg;
    CHECK_EQ(run(fills_the_ring, NULL), -EDEADLK);
}

TEST_PLAIN(a_ring_of_hundreds_is_found_whichever_way_it_goes)
{
    static struct ending e;
    for (ptrdiff_t way = -1; way <= 1; way += 2) {
        run_in_process(deadlocks_in_a_ring, &way, &e);
        CHECK_EQ(e.status, 0);
        CHECK(strstr(e.said, circle_starts) != NULL);
        CHECK(strstr(e.said, all_start) == NULL); /* what fits is of the ring */
    }
}

static int cannot_be_cancelled(void *arg)
{
    (void)arg;
    return weft_mutex_lock_nc(&ledger);
}

static int deadlocks_in_its_clean_up(void *arg)
{
    int rc;
    (void)arg;
    CHECK_EQ(weft_mutex_lock(&ledger), 0);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, cannot_be_cancelled, NULL);
    }
    return rc;
}

TEST_DEATH(a_deadlock_in_the_clean_up_of_a_deadlock_is_the_end, "deadlock")
{
    (void)!run(deadlocks_in_its_clean_up, NULL);
}

static int sleeps_a_while(void *arg)
{
    (void)arg;
    return weft_sleep(WEFT_MSEC(1));
}

TEST_PLAIN(a_sleeper_is_not_deadlocked)
{
    CHECK_EQ(run(sleeps_a_while, NULL), 0);
    CHECK_EQ(weft_run(sleeps_a_while, NULL, NULL), 0);
}

static int had_an_hour_and_deadlocks(void *arg)
{
    static weft_event never;
    int rc;
    (void)arg;
    WEFT_FAIL_AFTER(rc, WEFT_SEC(3600))
        rc = weft_yield();
    CHECK_EQ(rc, 0);
    return weft_event_wait(&never);
}

static void deadlocks_after_an_hour_block(void *arg)
{
    (void)arg;
    time_t start = time(NULL);
    CHECK_EQ(weft_run(had_an_hour_and_deadlocks, NULL, NULL), -EDEADLK);
    CHECK(time(NULL) - start < 5);
}

TEST_PLAIN(a_deadline_that_is_over_does_not_hide_a_deadlock)
{
    static struct ending e;
    run_in_process(deadlocks_after_an_hour_block, NULL, &e);
    CHECK_EQ(e.status, 0);
    CHECK(strstr(e.said, "deadlock") != NULL);
}

static int had_an_hour_and_looks_at_the_clock(void *arg)
{
    weft_time start = weft_now();
    int rc = had_an_hour_and_deadlocks(arg);
    CHECK_EQ(weft_now(), start);
    return rc;
}

TEST_PLAIN(the_virtual_clock_goes_to_no_deadline_that_is_over)
{
    CHECK_EQ(run(had_an_hour_and_looks_at_the_clock, NULL), -EDEADLK);
}

static int waits_inside_a_deadline(void *arg)
{
    static weft_event never;
    int rc;
    (void)arg;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1200))
        rc = weft_event_wait(&never);
    return rc;
}

TEST_PLAIN(a_deadline_that_is_not_over_is_no_deadlock)
{
    CHECK_EQ(weft_run(waits_inside_a_deadline, NULL, NULL), -ETIMEDOUT);
    CHECK_EQ(run(waits_inside_a_deadline, NULL), -ETIMEDOUT);
}
