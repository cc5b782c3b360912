/* SPDX-License-Identifier: MIT */
/* test_sweep_cleanup.c - the sweep over deferred functions, closers, locals
 * and background work: each comes once, the latest first. */
#include <weft/background.h>
#include <weft/cleanup.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/local.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "sweep.h"

/* Things that are opened, and have to be closed once, the latest first. */
enum { THINGS = 8, SETS = 3 };

struct thing {
    struct set *set;
    int number;
    bool open;
    int order; /* the how-many-th to be opened in its set */
};

static struct set {
    struct thing things[THINGS];
    int opened, closed;
} sets[SETS];

static int alive;

static void forget_things(void)
{
    memset(sets, 0, sizeof sets);
    alive = 0;
    for (int s = 0; s < SETS; s++)
        for (int i = 0; i < THINGS; i++)
            sets[s].things[i] = (struct thing){.set = &sets[s], .number = i};
}

static struct thing *open_thing(struct set *s, int i)
{
    struct thing *t = &s->things[i];
    CHECK(!t->open);
    t->open = true;
    t->order = s->opened++;
    return t;
}

static void shut(void *arg)
{
    struct thing *t = arg;
    CHECK(t->open);
    t->open = false;
    t->set->closed++;
}

/* Nothing that was opened later is open still. */
static void close_thing(void *arg)
{
    struct thing *t = arg;
    shut(t);
    for (int i = 0; i < THINGS; i++) {
        const struct thing *other = &t->set->things[i];
        if (other->open) CHECK(other->order < t->order);
    }
}

static void check_things(void)
{
    CHECK_EQ(alive, 0);
    for (int s = 0; s < SETS; s++) {
        CHECK_EQ(sets[s].opened, sets[s].closed);
    }
}

/* --- deferred functions --- */

static int defers(void *arg)
{
    int rc = 0;
    for (int i = 0; i < 4 && rc == 0; i++) {
        rc = weft_defer(close_thing, open_thing(arg, i));
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
    }
    if (rc == 0) {
        struct set *s = arg;
        CHECK_EQ(weft_undefer(close_thing, &s->things[3], true), 0);
        rc = weft_yield();
    }
    return rc;
}

static void start_deferring(weft_nursery *n)
{
    forget_things();
    for (int s = 0; s < SETS; s++) {
        sweep_spawn(n, defers, &sets[s]);
    }
}

SWEEP(what_was_deferred_is_done_once, start_deferring, check_things, 0);

/* --- deferred functions that wait, and defer more --- */

static void closes_slowly(void *arg)
{
    int err = weft_sleep(WEFT_MSEC(1)); /* shielded */
    CHECK(err == 0 || err == -ECANCELED);
    close_thing(arg);
}

static void closes_and_defers(void *arg)
{
    struct thing *t = arg;
    close_thing(t);
    (void)weft_defer(closes_slowly, open_thing(t->set, t->number + 1));
}

static int slept_through;

static void takes_no_notice(void *arg)
{
    int err = weft_sleep(WEFT_MSEC(2));
    CHECK_EQ(err, 0);
    slept_through++;
    close_thing(arg);
}

static int defers_slowly(void *arg)
{
    int rc = weft_defer(closes_and_defers, open_thing(arg, 0));
    if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
    if (rc == 0) rc = weft_defer(closes_slowly, open_thing(arg, 2));
    if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
    if (rc == 0) rc = weft_defer(takes_no_notice, open_thing(arg, 3));
    return rc < 0 ? rc : weft_yield();
}

static int has_children_that_defer(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        for (int s = 0; s < SETS && rc == 0; s++) {
            rc = weft_spawn(&n, defers_slowly, &sets[s]);
        }
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(2));
    }
    return rc;
}

static void start_slow_cleanup(weft_nursery *n)
{
    forget_things();
    slept_through = 0;
    sweep_spawn(n, has_children_that_defer, NULL);
}

SWEEP(cleanup_may_wait_and_defer_more, start_slow_cleanup, check_things,
      SWEEP_CLEANUP_SLEEPS);

/* --- deferred functions that would wait for ever --- */

static void never_ends(void *arg)
{
    int err = weft_sleep(WEFT_FOREVER);
    CHECK_EQ(err, -ECANCELED);
    close_thing(arg);
}

static int defers_for_ever(void *arg)
{
    int rc = weft_defer(close_thing, open_thing(arg, 0));
    if (rc == 0) rc = weft_defer(never_ends, open_thing(arg, 1));
    return rc < 0 ? rc : weft_sleep(WEFT_MSEC(1));
}

static int has_little_patience(void *arg)
{
    static const weft_nursery_opts opts = {.cleanup_grace = WEFT_MSEC(3)};
    weft_time start = weft_now();
    int rc;
    WEFT_NURSERY_EX(n, rc, &opts) {
        rc = weft_spawn(&n, defers_for_ever, arg);
    }
    CHECK(weft_now() - start <= WEFT_MSEC(4));
    return rc;
}

static void start_endless_cleanup(weft_nursery *n)
{
    forget_things();
    for (int s = 0; s < SETS; s++) {
        sweep_spawn(n, has_little_patience, &sets[s]);
    }
}

SWEEP(the_grace_of_clean_up_has_an_end, start_endless_cleanup, check_things,
      SWEEP_CLEANUP_SLEEPS);

/* --- owned closers --- */

static int closer(void *arg)
{
    CHECK_EQ(alive, 0);
    close_thing(arg);
    return 0;
}

static int closes_early(void *arg)
{
    close_thing(arg);
    return 0;
}

static int closes_with_an_error(void *arg)
{
    int err = weft_yield();
    CHECK_EQ(err, 0);
    (void)closer(arg);
    return -EIO;
}

struct owner {
    weft_nursery *nursery;
    struct set *set;
};

static int owns_some(void *arg)
{
    struct owner *o = arg;
    alive++;
    int rc = weft_sleep(WEFT_MSEC(1));
    alive--;
    if (rc < 0) return rc;
    for (int i = 2; i < 4 && rc == 0; i++) {
        rc = weft_own(o->nursery, i == 2 ? closes_with_an_error : closer,
                      open_thing(o->set, i), NULL);
    }
    alive++;
    if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
    alive--;
    return rc;
}

static int has_owned(void *arg)
{
    struct set *s = arg;
    weft_owned early = {0};
    int rc;
    WEFT_NURSERY(n, rc) {
        struct owner o = {&n, s};
        rc = weft_own(&n, closer, open_thing(s, 0), NULL);
        if (rc == 0) rc = weft_spawn_copy(&n, owns_some, &o, sizeof o);
        if (rc == 0) rc = weft_own(&n, closes_early, open_thing(s, 1), &early);
        if (rc == 0) rc = weft_yield();
        if (rc == 0) CHECK_EQ(weft_disown(early, true), 0);
        if (rc == 0) CHECK_EQ(weft_disown(early, true), -ENOENT);
    }
    return rc == -EIO ? 0 : rc;
}

/* `alive` is of one nursery here. */
static void start_owning(weft_nursery *n)
{
    forget_things();
    sweep_spawn(n, has_owned, &sets[0]);
}

SWEEP(what_is_owned_is_closed_once_after_the_last_child, start_owning,
      check_things, 0);

/* --- owned, and the block is left by a return --- */

static int failed, unhandled;

static int fails_to_close(void *arg)
{
    close_thing(arg);
    failed++;
    return -EIO;
}

static void hears_of_failure(const weft_error *e)
{
    CHECK_EQ(e->code, -EIO);
    unhandled++;
}

static int returns_from_its_own(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_own(&n, fails_to_close, open_thing(arg, 0), NULL);
        if (rc < 0) return weft_fail(rc, "as it should");
        rc = weft_sleep(WEFT_MSEC(1));
        return rc;
    }
    return rc;
}

static int keeps_its_record(void *arg)
{
    int rc = returns_from_its_own(arg);
    if (rc == -ENOMEM && weft_last_error())
        CHECK_STR(weft_last_error()->msg, "as it should");
    return rc;
}

static void start_returning(weft_nursery *n)
{
    forget_things();
    failed = unhandled = 0;
    weft_on_unhandled(hears_of_failure);
    for (int s = 0; s < SETS; s++) {
        sweep_spawn(n, keeps_its_record, &sets[s]);
    }
}

static void check_heard(void)
{
    weft_on_unhandled(NULL);
    CHECK_EQ(unhandled, failed);
    check_things();
}

SWEEP(of_a_closer_that_fails_in_a_return_the_hook_hears, start_returning,
      check_heard, 0);

/* --- owned by a nursery of somebody else --- */

static weft_nursery keeper;

static int keeps_things(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_nursery_open(&keeper, NULL), 0);
    return weft_nursery_close(&keeper, weft_sleep(WEFT_MSEC(2)));
}

static int gives_things(void *arg)
{
    struct set *s = arg;
    int rc = weft_sleep(0);
    for (int i = 0; i < 3 && rc == 0; i++) {
        /* What is closed by now closes it at once. */
        rc = weft_own(&keeper, closer, open_thing(s, i), NULL);
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
    }
    return rc == -ESHUTDOWN ? 0 : rc;
}

static void start_giving(weft_nursery *n)
{
    forget_things();
    keeper = (weft_nursery){0};
    sweep_spawn(n, keeps_things, NULL);
    sweep_spawn(n, gives_things, &sets[0]);
    sweep_spawn(n, gives_things, &sets[1]);
}

SWEEP(who_gives_away_too_late_has_it_closed_at_once, start_giving, check_things,
      0);

/* --- locals --- */

static weft_key trace = {.name = "trace", .drop = shut};
static weft_key user = {.name = "user", .drop = shut};
static weft_key own = {.name = "own", .drop = shut, .flags = WEFT_KEY_PRIVATE};

/* What could not be pushed is the caller's still. */
static int push(weft_key *k, struct thing *t)
{
    int err = weft_local_push(k, t);
    if (err < 0) shut(t);
    return err;
}

static int inherits(void *arg)
{
    struct set *s = arg;
    void *seen = weft_local_get(&trace);
    alive++;
    CHECK_PTR(weft_local_get(&own), NULL);
    CHECK(seen == NULL || ((struct thing *)seen)->open);
    int rc = push(&user, open_thing(s, 4 + alive));
    if (rc == 0) rc = weft_sleep(WEFT_MSEC(2));
    CHECK_PTR(weft_local_get(&trace), seen); /* whoever else has ended */
    if (seen) CHECK(((struct thing *)seen)->open);
    alive--;
    return rc;
}

static int hands_down(void *arg)
{
    int rc;
    alive = 0;
    WEFT_NURSERY(n, rc) {
        rc = push(&trace, open_thing(arg, 0));
        if (rc == 0) rc = push(&own, open_thing(arg, 1));
        if (rc == 0) rc = weft_spawn(&n, inherits, arg);
        if (rc == 0) rc = push(&user, open_thing(arg, 2));
        if (rc == 0) rc = weft_spawn(&n, inherits, arg);
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
        if (rc == 0) rc = weft_local_pop(&trace);
        if (rc == 0) CHECK_PTR(weft_local_get(&trace), NULL);
        if (rc == 0) rc = weft_yield();
    }
    if (rc == 0) rc = weft_local_pop(&own);
    return rc;
}

static void start_locals(weft_nursery *n)
{
    forget_things();
    sweep_spawn(n, hands_down, &sets[0]);
}

SWEEP(a_value_is_dropped_when_nobody_can_see_it, start_locals, check_things, 0);

/* --- background work --- */

static int works_in_the_background(void *arg)
{
    int rc = weft_sleep(WEFT_MSEC(2));
    if (rc == 0) rc = weft_yield();
    shut(arg); /* it has taken it over */
    return rc;
}

static int leaves_work_behind(void *arg)
{
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++) {
        struct thing *t = open_thing(arg, i);
        rc = weft_background(works_in_the_background, t, NULL);
        if (rc < 0) shut(t);
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(i));
    }
    return rc == -ESHUTDOWN ? 0 : rc;
}

static void start_background(weft_nursery *n)
{
    forget_things();
    for (int s = 0; s < SETS; s++) {
        sweep_spawn(n, leaves_work_behind, &sets[s]);
    }
}

SWEEP(background_work_outlives_who_left_it, start_background, check_things,
      SWEEP_CHECK_AFTER_RUN);

/* --- shutting it down: with patience, and without --- */

static weft_time drain, grace;

static int shuts_down(void *arg)
{
    (void)arg;
    int rc = weft_sleep(WEFT_MSEC(2));
    if (rc < 0) return rc;
    weft_time start = weft_now();
    rc = weft_background_shutdown(drain, grace);
    if (rc >= 0) CHECK_EQ(rc, weft_background_count());
    CHECK(weft_now() - start <= drain + grace);
    return rc;
}

static void start_shutdown(weft_nursery *n)
{
    forget_things();
    drain = WEFT_MSEC(50);
    grace = WEFT_MSEC(50);
    sweep_spawn(n, leaves_work_behind, &sets[0]);
    sweep_spawn(n, shuts_down, NULL);
    sweep_spawn(n, leaves_work_behind, &sets[1]);
    sweep_spawn(n, shuts_down, NULL);
}

SWEEP(a_shutdown_waits_for_the_background, start_shutdown, check_things,
      SWEEP_CHECK_AFTER_RUN);

/* Its goodbye is longer than anybody's patience. */
static int ends_late(void *arg)
{
    int err, rc = weft_sleep(WEFT_MSEC(9));
    alive++;
    WEFT_SHIELD(err, WEFT_SEC(1))
        err = weft_sleep(WEFT_MSEC(9));
    CHECK_EQ(err, 0);
    alive--;
    shut(arg);
    return rc;
}

static int leaves_late_work(void *arg)
{
    struct thing *t = open_thing(arg, 0);
    int rc = weft_background(ends_late, t, NULL);
    if (rc < 0) shut(t);
    return rc < 0 ? rc : weft_yield();
}

static void start_hasty_shutdown(weft_nursery *n)
{
    forget_things();
    drain = WEFT_MSEC(1);
    grace = WEFT_MSEC(2);
    sweep_spawn(n, leaves_late_work, &sets[0]);
    sweep_spawn(n, leaves_late_work, &sets[1]);
    sweep_spawn(n, shuts_down, NULL);
}

SWEEP(nothing_is_abandoned_by_a_hasty_shutdown, start_hasty_shutdown,
      check_things, SWEEP_CHECK_AFTER_RUN);
