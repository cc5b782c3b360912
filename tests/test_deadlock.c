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

#include <string.h>
#include <time.h>

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
    const char *line = strstr(e.said, "mutex");
    const char *owner = strstr(line, "bookkeeper");
    CHECK(owner && owner < line + strcspn(line, "\n")); /* who holds it */
}

static int receives_from_nobody(void *arg)
{
    (void)arg;
    weft_chan *c = weft_chan_new(sizeof(int), 1, NULL);
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

static int waits_in_vain(void *arg)
{
    (void)arg;
    return weft_sleep_until(WEFT_FOREVER);
}

static int deadlocks_beside_others(void *arg)
{
    static bool hands[] = {true, false};
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 10; i++) {
            rc = weft_spawn_ex(&n, waits_in_vain, NULL,
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
    WEFT_FAIL_AFTER(rc, WEFT_SEC(3600)) rc = weft_yield();
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

static int waits_inside_a_deadline(void *arg)
{
    static weft_event never;
    int rc;
    (void)arg;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1200)) rc = weft_event_wait(&never);
    return rc;
}

TEST_PLAIN(a_deadline_that_is_not_over_is_no_deadlock)
{
    CHECK_EQ(weft_run(waits_inside_a_deadline, NULL, NULL), -ETIMEDOUT);
    CHECK_EQ(run(waits_inside_a_deadline, NULL), -ETIMEDOUT);
}
