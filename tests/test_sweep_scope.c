/* SPDX-License-Identifier: MIT */
/* test_sweep_scope.c - the sweep over sleeps, deadlines and shields. */
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <errno.h>

#include "harness.h"
#include "sweep.h"

/* --- sleeping --- */

static int asleep;

static int sleeps_in_deadlines(void *arg)
{
    int outer, inner;
    weft_time start = weft_now();
    (void)arg;
    asleep++;
    WEFT_MOVE_ON_AFTER(outer, WEFT_MSEC(4)) {
        WEFT_FAIL_AFTER(inner, WEFT_MSEC(2)) {
            inner = weft_sleep(WEFT_SEC(1));
        }
        if (inner == -ETIMEDOUT) CHECK_EQ(weft_now() - start, WEFT_MSEC(2));
        outer = weft_sleep(WEFT_SEC(1));
    }
    if (outer == 0) CHECK_EQ(weft_now() - start, WEFT_MSEC(4));
    asleep--;
    return outer;
}

static void start_sleepers(weft_nursery *n)
{
    for (int i = 0; i < 4; i++) {
        sweep_spawn(n, sleeps_in_deadlines, NULL);
    }
}

static void check_sleepers(void)
{
    CHECK_EQ(asleep, 0);
}

SWEEP(every_sleeper_gets_up, start_sleepers, check_sleepers, 0);

/* --- shields --- */

static int polite, impolite;

static int says_goodbye(void *arg)
{
    (void)arg;
    int err = weft_sleep(WEFT_MSEC(1));
    if (err == 0) err = weft_yield();
    return err;
}

/* Its goodbye takes a millisecond, however it comes to that. */
static int ends_politely(void *arg)
{
    int rc = weft_sleep(WEFT_MSEC(3));
    (void)arg;
    weft_time start = weft_now();
    int err = weft_shielded(WEFT_SEC(1), says_goodbye, NULL);
    if (err == 0) {
        polite++;
        CHECK_EQ(weft_now() - start, WEFT_MSEC(1));
    } else {
        CHECK_EQ(err, -ECANCELED); /* it alone was swept */
        impolite++;
    }
    return rc < 0 ? rc : weft_checkpoint();
}

/* Its goodbye would take for ever; the shield ends that. */
static int ends_at_last(void *arg)
{
    int rc = weft_sleep(WEFT_MSEC(2)), err;
    (void)arg;
    weft_time start = weft_now();
    WEFT_SHIELD(err, WEFT_MSEC(5)) {
        err = weft_sleep(WEFT_FOREVER);
    }
    CHECK_EQ(err, -ETIMEDOUT);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5));
    polite++;
    return rc < 0 ? rc : weft_checkpoint();
}

static void start_shields(weft_nursery *n)
{
    polite = impolite = 0;
    sweep_spawn(n, ends_politely, NULL);
    sweep_spawn(n, ends_at_last, NULL);
    sweep_spawn(n, ends_politely, NULL);
}

static void check_shields(void)
{
    if (!sweep_short_of_memory()) CHECK_EQ(polite, 3);
    CHECK_EQ(impolite, 0);
}

SWEEP(a_shield_keeps_what_it_promises, start_shields, check_shields,
      SWEEP_CLEANUP_SLEEPS);

/* --- a shield that comes and goes --- */

static weft_scope shelter;
static bool in_shelter;

static int sits_in_the_shelter(void *arg)
{
    (void)arg;
    weft_scope_init(&shelter);
    int rc = weft_scope_begin(&shelter);
    CHECK_EQ(rc, 0);
    in_shelter = true;
    asleep++;
    rc = weft_sleep(WEFT_MSEC(4));
    asleep--;
    in_shelter = false;
    return weft_scope_end(&shelter, rc);
}

static int turns_the_shield(void *arg)
{
    int rc = 0;
    (void)arg;
    for (int i = 0; i < 4 && rc == 0; i++) {
        if (in_shelter) weft_scope_set_shield(&shelter, i % 2 == 0);
        rc = weft_sleep(WEFT_MSEC(1));
    }
    if (in_shelter) weft_scope_set_shield(&shelter, false);
    return rc;
}

static void start_shelter(weft_nursery *n)
{
    asleep = 0;
    in_shelter = false;
    sweep_spawn(n, sits_in_the_shelter, NULL);
    sweep_spawn(n, turns_the_shield, NULL);
}

SWEEP(a_shield_may_be_turned_on_and_off, start_shelter, check_sleepers,
      SWEEP_CLEANUP_SLEEPS);

/* --- deadlines that move --- */

static int moves_its_deadline(void *arg)
{
    weft_scope s;
    weft_time start = weft_now();
    (void)arg;
    weft_scope_init(&s);
    int rc = weft_scope_begin_after(&s, WEFT_MSEC(1), WEFT_FAIL);
    CHECK_EQ(rc, 0);
    asleep++;
    weft_scope_set_deadline(&s, start + WEFT_MSEC(4));
    rc = weft_sleep(WEFT_MSEC(2));
    if (rc == 0) weft_scope_set_deadline(&s, start + WEFT_MSEC(3));
    if (rc == 0) rc = weft_sleep_until(WEFT_FOREVER);
    asleep--;
    rc = weft_scope_end(&s, rc);
    if (rc != -ETIMEDOUT) return rc;
    CHECK_EQ(weft_now() - start, WEFT_MSEC(3));
    return weft_move_on_after(WEFT_MSEC(1), says_goodbye, NULL, NULL);
}

static void start_moving(weft_nursery *n)
{
    asleep = 0;
    for (int i = 0; i < 3; i++) {
        sweep_spawn(n, moves_its_deadline, NULL);
    }
}

SWEEP(a_deadline_that_was_moved_comes_once, start_moving, check_sleepers, 0);

/* --- scopes around each other, each with its own answer --- */

static int nests(void *arg)
{
    int a, b, c;
    bool expired = false;
    (void)arg;
    asleep++;
    WEFT_FAIL_AFTER(a, WEFT_MSEC(3)) {
        WEFT_MOVE_ON_AFTER(b, WEFT_MSEC(2)) {
            WEFT_FAIL_AFTER(c, WEFT_MSEC(2)) {
                c = weft_sleep(WEFT_MSEC(9));
            }
            CHECK_EQ(c, -ECANCELED); /* the outer wins the tie */
            b = c;
        }
        if (b == 0) b = weft_move_on_after(0, says_goodbye, NULL, &expired);
        if (b == 0) CHECK(expired);
        a = b == 0 ? weft_with_timeout(WEFT_SEC(1), says_goodbye, NULL) : b;
    }
    asleep--;
    return a == -ETIMEDOUT ? 0 : a;
}

static void start_nests(weft_nursery *n)
{
    asleep = 0;
    for (int i = 0; i < 3; i++) {
        sweep_spawn(n, nests, NULL);
    }
}

SWEEP(each_scope_answers_for_itself, start_nests, check_sleepers, 0);
