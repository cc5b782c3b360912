/* SPDX-License-Identifier: MIT */
/* test_sweep_itself.c - that the sweep finds what it is there to find. */
#include <weft/chan.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/sem.h>
#include <weft/time.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "sweep.h"

static char text[8192];

static const struct sweep *planted;

static void sweep_planted(void)
{
    sweep(planted);
}

/* The sweep over this fails, for this reason, and says how to have it again. */
static void must_be_found(const struct sweep *s, const char *reason,
                          const char *strike)
{
    struct test t = {"planted", sweep_planted, TEST_NO_RUN, 0, 0};
    planted = s;
    CHECK_EQ(test_run(&t, text, sizeof text), TEST_FAILED);
    if (!strstr(text, reason) || !strstr(text, strike))
        test_fail(__FILE__, __LINE__, "neither %s nor %s in: %s", reason,
                  strike, text);
}

static void start_one(weft_nursery *n, weft_fn fn)
{
    sweep_spawn(n, fn, NULL);
}

static void no_check(void)
{
}

/* --- what it counts --- */

static int checks, cancelled_ones;

static int yields_and_sleeps(void *arg)
{
    (void)arg;
    int rc = weft_yield();
    if (rc == 0) rc = weft_checkpoint();
    if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
    cancelled_ones += rc == -ECANCELED;
    return rc;
}

static int spawns_another(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, yields_and_sleeps, arg);
    }
    return rc;
}

static void count_check(void)
{
    checks += !sweep_short_of_memory();
}

static void start_two(weft_nursery *n)
{
    sweep_spawn(n, yields_and_sleeps, NULL);
    sweep_spawn(n, spawns_another, NULL);
}

TEST_PLAIN(each_point_of_each_fiber_is_struck_in_each_way)
{
    static const struct sweep s = {"two", start_two, count_check, 0};
    enum { FIBERS = 2, ENTRIES = 3, PARKS = 1, WAYS = 5 };
    if (test_is_slow()) SKIP("a slow sweep leaves some out");
    CHECK_EQ(unsetenv("SWEEP_ORDERS"), 0);
    sweep(&s);
    CHECK_EQ(checks, 1 + FIBERS * (ENTRIES + PARKS) * WAYS);
    CHECK(cancelled_ones >= checks - 1);
}

/* --- what it finds --- */

static weft_sem sem;

static int keeps_its_permit(void *arg)
{
    (void)arg;
    int err = weft_sem_acquire(&sem, 1);
    if (err < 0) return err;
    err = weft_sleep(WEFT_MSEC(1));
    if (err < 0) return err;
    return weft_sem_release(&sem, 1);
}

static void start_keeping(weft_nursery *n)
{
    weft_sem_init(&sem, 1, 1);
    start_one(n, keeps_its_permit);
}

static void check_permit(void)
{
    CHECK_EQ(weft_sem_value(&sem), 1);
}

TEST_PLAIN(a_permit_that_is_lost_is_found)
{
    static const struct sweep s = {"keeps", start_keeping, check_permit, 0};
    must_be_found(&s, "weft_sem_value(&sem) is 0, not 1", "SWEEP_ONLY=0/1.");
}

static int leaves_a_descriptor(void *arg)
{
    (void)arg;
    int fd = open("/dev/null", O_RDONLY);
    int err = weft_sleep(WEFT_MSEC(1));
    if (err == 0) (void)close(fd);
    return err;
}

static void start_descriptor(weft_nursery *n)
{
    start_one(n, leaves_a_descriptor);
}

TEST_PLAIN(a_descriptor_that_is_left_is_found)
{
    static const struct sweep s = {"fd", start_descriptor, no_check, 0};
    must_be_found(&s, "is still open", "SWEEP_ONLY=0/1.");
}

static int leaves_memory(void *arg)
{
    weft_chan *c = weft_chan_new(1, 1, NULL, 0);
    (void)arg;
    int err = weft_sleep(WEFT_MSEC(1));
    if (err == 0) weft_chan_free(c);
    return err;
}

static void start_memory(weft_nursery *n)
{
    start_one(n, leaves_memory);
}

TEST_PLAIN(memory_that_is_left_is_found)
{
    static const struct sweep s = {"memory", start_memory, no_check, 0};
    must_be_found(&s, "bytes", "SWEEP_ONLY=0/1.");
}

static weft_event event;

static int waits_for_ever(void *arg)
{
    (void)arg;
    return weft_event_wait(&event);
}

static int ends_the_wait(void *arg)
{
    (void)arg;
    int err = weft_sleep(WEFT_MSEC(1));
    if (err == 0) weft_event_set(&event);
    return err;
}

static void start_deadlock(weft_nursery *n)
{
    event = (weft_event)WEFT_EVENT_INIT;
    sweep_spawn(n, waits_for_ever, NULL);
    sweep_spawn(n, ends_the_wait, NULL);
}

TEST_PLAIN(a_peer_that_waits_for_ever_is_found)
{
    static const struct sweep s = {"hangs", start_deadlock, no_check, 0};
    must_be_found(&s, "deadlock", "SWEEP_ONLY=0/2.");
}

static int takes_its_time(void *arg)
{
    int rc = weft_sleep(WEFT_MSEC(1)), err;
    (void)arg;
    WEFT_SHIELD(err, WEFT_SEC(1))
        err = weft_sleep(1);
    return rc < 0 ? rc : err;
}

static void start_taking_time(weft_nursery *n)
{
    start_one(n, takes_its_time);
}

TEST_PLAIN(clean_up_that_takes_time_is_found)
{
    static const struct sweep s = {"slow", start_taking_time, no_check, 0};
    must_be_found(&s, "run.when", "SWEEP_ONLY=0/1.");
}

static int crashes_in_its_cleanup(void *arg)
{
    (void)arg;
    int err = weft_sleep(WEFT_MSEC(1));
    if (err < 0) (void)raise(SIGKILL); /* no word, and no look back */
    return err;
}

static void start_crashing(weft_nursery *n)
{
    start_one(n, crashes_in_its_cleanup);
}

TEST_PLAIN(a_crash_is_named_too)
{
    static const struct sweep s = {"crash", start_crashing, no_check, 0};
    must_be_found(&s, "killed by a signal", "SWEEP_ONLY=0/1.");
}

#ifdef WEFT_HOSTILE
static int needs_memory(void *arg)
{
    weft_chan *c = weft_chan_new(1, 1, NULL, 0);
    (void)arg;
    CHECK(c != NULL);
    weft_chan_free(c);
    return weft_yield();
}

static void start_needing(weft_nursery *n)
{
    start_one(n, needs_memory);
}

TEST_PLAIN(an_allocation_that_must_not_fail_is_found)
{
    static const struct sweep s = {"needs", start_needing, no_check, 0};
    must_be_found(&s, "c != NULL", "SWEEP_ONLY=0/alloc.");
}
#endif
