/* SPDX-License-Identifier: MIT */
/* test_sweep_nursery.c - the sweep over nurseries: who was spawned runs, and
 * nobody outlives the close. */
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/time.h>

#include <errno.h>

#include "harness.h"
#include "sweep.h"

/* What the fibers of a scenario have in common. */
static int alive, spawned, ran, exits, unhandled;

static void start_counting(void)
{
    alive = spawned = ran = exits = unhandled = 0;
}

/* Notes a spawn; what it returns is passed on. */
static int noted(int err)
{
    spawned += err == 0;
    return err;
}

/* An answer that a nursery may give by its own doings. */
static int but_not(int rc, int expected)
{
    return rc == expected ? 0 : rc;
}

static int sleeps_for(void *arg)
{
    ran++;
    alive++;
    int rc = weft_sleep(WEFT_MSEC(*(int *)arg));
    alive--;
    return rc;
}

static int fails_after(void *arg)
{
    int rc = sleeps_for(arg);
    return rc < 0 ? rc : weft_fail(-EIO, "as it should");
}

static int one = 1, two = 2, nine = 9;

static void check_all_ran(void)
{
    CHECK_EQ(alive, 0);
    CHECK_EQ(ran, spawned); /* what was taken over did run */
    CHECK(exits == 0 || exits == spawned);
}

/* --- nurseries in nurseries --- */

static int grows_a_tree(void *arg)
{
    int depth = *(int *)arg, below = depth - 1, rc;
    alive++;
    if (depth == 0) {
        rc = weft_sleep(WEFT_MSEC(2));
        alive--;
        return rc;
    }
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 2 && rc == 0; i++) {
            rc = weft_spawn(&n, grows_a_tree, &below);
            if (rc == 0) rc = weft_yield();
        }
    }
    alive--;
    return rc;
}

static int three = 3;

static void start_trees(weft_nursery *n)
{
    start_counting();
    sweep_spawn(n, grows_a_tree, &three);
    sweep_spawn(n, grows_a_tree, &three);
}

SWEEP(no_child_outlives_its_nursery, start_trees, check_all_ran, 0);

/* --- places in a limited nursery --- */

static weft_nursery limited;
static int running, started, asking;

static int takes_a_place(void *arg)
{
    (void)arg;
    CHECK(++running <= 2);
    started++;
    int err = weft_sleep(WEFT_MSEC(1));
    running--;
    return err == -ECANCELED && !weft_cancelled() ? -EIO : err;
}

static int asks_for_places(void *arg)
{
    int rc = 0;
    (void)arg;
    asking++;
    for (int i = 0; i < 3 && rc == 0; i++) {
        rc = weft_spawn_wait(&limited, takes_a_place, NULL);
        spawned += rc == 0;
    }
    asking--;
    return rc == -ESHUTDOWN ? 0 : rc;
}

/* Opens the limited nursery, and closes it when nobody asks any more. */
static int keeps_it_open(void *arg)
{
    weft_nursery_opts opts = {.limit = 2};
    (void)arg;
    CHECK_EQ(weft_nursery_open(&limited, &opts), 0);
    int rc = weft_sleep(0);
    while (rc == 0 && asking > 0) {
        rc = weft_sleep(WEFT_MSEC(1));
    }
    int err = weft_nursery_close(&limited, rc);
    return err;
}

static void start_places(weft_nursery *n)
{
    start_counting();
    running = started = asking = 0;
    sweep_spawn(n, keeps_it_open, NULL);
    for (int i = 0; i < 3; i++) {
        sweep_spawn(n, asks_for_places, NULL);
    }
}

static void check_places(void)
{
    CHECK_EQ(running, 0);
    CHECK_EQ(asking, 0);
    CHECK_EQ(started, spawned); /* what was taken over did run */
}

SWEEP(every_place_that_was_given_is_used, start_places, check_places, 0);

/* --- failing fast --- */

static int has_one_that_fails(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        rc = noted(weft_spawn(&n, sleeps_for, &nine));
        if (rc == 0) rc = noted(weft_spawn(&n, fails_after, &two));
        if (rc == 0) rc = noted(weft_spawn(&n, sleeps_for, &nine));
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
    }
    return but_not(rc, -EIO);
}

static void start_failing(weft_nursery *n)
{
    start_counting();
    sweep_spawn(n, has_one_that_fails, NULL);
    sweep_spawn(n, has_one_that_fails, NULL);
}

SWEEP(the_first_failure_ends_the_others, start_failing, check_all_ran, 0);

/* --- collecting --- */

static int collects_failures(void *arg)
{
    static const weft_nursery_opts collect = {.policy = WEFT_COLLECT};
    int rc;
    (void)arg;
    WEFT_NURSERY_EX(n, rc, &collect) {
        rc = noted(weft_spawn(&n, fails_after, &one));
        if (rc == 0) rc = noted(weft_spawn(&n, sleeps_for, &two));
        if (rc == 0) rc = noted(weft_spawn(&n, fails_after, &two));
    }
    if (rc == -EIO && !sweep_short_of_memory())
        CHECK_EQ(weft_last_error()->code, -EIO);
    return but_not(rc, -EIO);
}

static void start_collecting(weft_nursery *n)
{
    start_counting();
    sweep_spawn(n, collects_failures, NULL);
    sweep_spawn(n, collects_failures, NULL);
}

SWEEP(failures_are_collected, start_collecting, check_all_ran, 0);

/* --- supervising: who fails is started again --- */

static int restarts;

static weft_verdict starts_it_again(weft_nursery *n, uint64_t child,
                                    weft_outcome o, void *user)
{
    (void)child;
    exits++;
    CHECK(o.status == WEFT_OK || o.rc < 0);
    if (o.status == WEFT_FAILED && restarts++ < 3)
        (void)noted(weft_spawn(n, fails_after, user));
    return WEFT_CONTINUE;
}

static int supervises(void *arg)
{
    static const weft_nursery_opts supervise = {
        .policy = WEFT_SUPERVISE, .on_exit = starts_it_again, .user = &one};
    int rc;
    (void)arg;
    WEFT_NURSERY_EX(n, rc, &supervise) {
        rc = noted(weft_spawn(&n, fails_after, &one));
        if (rc == 0) rc = noted(weft_spawn(&n, sleeps_for, &two));
        if (rc == 0) rc = weft_yield();
    }
    return rc;
}

static void start_supervising(weft_nursery *n)
{
    start_counting();
    restarts = 0;
    sweep_spawn(n, supervises, NULL);
    sweep_spawn(n, supervises, NULL);
}

SWEEP(each_end_is_told_once, start_supervising, check_all_ran, 0);

/* --- supervising without anybody who listens --- */

static void hears_it(const weft_error *e)
{
    CHECK(e->code == -EIO || e->code == -ENOMEM);
    unhandled++;
}

static int failed;

static int fails_unheard(void *arg)
{
    int rc = sleeps_for(arg);
    if (rc < 0) return rc;
    failed++;
    return -EIO;
}

static int supervises_nothing(void *arg)
{
    static const weft_nursery_opts supervise = {.policy = WEFT_SUPERVISE};
    int rc;
    (void)arg;
    WEFT_NURSERY_EX(n, rc, &supervise) {
        rc = noted(weft_spawn(&n, fails_unheard, &one));
        if (rc == 0) rc = noted(weft_spawn(&n, fails_unheard, &two));
    }
    return rc;
}

/* Leaves the block by a return: what the children say goes to the hook. */
static int returns_out_of_it(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        rc = noted(weft_spawn(&n, fails_unheard, &one));
        if (rc == 0) rc = noted(weft_spawn(&n, sleeps_for, &two));
        return rc;
    }
    return rc;
}

static void start_unheard(weft_nursery *n)
{
    start_counting();
    failed = 0;
    weft_on_unhandled(hears_it);
    sweep_spawn(n, supervises_nothing, NULL);
    sweep_spawn(n, returns_out_of_it, NULL);
}

static void check_heard(void)
{
    check_all_ran();
    weft_on_unhandled(NULL);
    CHECK_EQ(unhandled, failed); /* with a record or without */
}

SWEEP(a_failure_that_nobody_receives_goes_to_the_hook, start_unheard,
      check_heard, 0);

/* --- enough is enough --- */

static weft_verdict ends_at_two(weft_nursery *n, uint64_t child, weft_outcome o,
                                void *user)
{
    int *ok = user;
    (void)n;
    (void)child;
    exits++;
    *ok += o.status == WEFT_OK;
    return *ok == 2 ? WEFT_CANCEL_REST : WEFT_CONTINUE;
}

static int wants_two_of_four(void *arg)
{
    static int naps[] = {3, 1, 9, 2};
    int rc, ok = 0;
    const weft_nursery_opts quorum = {.on_exit = ends_at_two, .user = &ok};
    (void)arg;
    WEFT_NURSERY_EX(n, rc, &quorum) {
        for (int i = 0; i < 4 && rc == 0; i++) {
            rc = noted(weft_spawn_copy(&n, sleeps_for, &naps[i], sizeof(int)));
        }
    }
    CHECK(ok <= 4);
    return rc;
}

static void start_quorum(weft_nursery *n)
{
    start_counting();
    sweep_spawn(n, wants_two_of_four, NULL);
    sweep_spawn(n, wants_two_of_four, NULL);
}

SWEEP(the_rest_is_cancelled_on_demand, start_quorum, check_all_ran, 0);

/* --- daemons --- */

/* Ticks for as long as there are others; a helper is spawned on the way out
 * too, and starts cancelled. */
static int ticks(void *arg)
{
    weft_nursery *n = arg;
    int rc = 0, err;
    ran++;
    alive++;
    while (rc == 0) {
        rc = weft_sleep(WEFT_MSEC(1));
    }
    err = noted(weft_spawn(n, sleeps_for, &one));
    alive--;
    CHECK(err == 0 || sweep_short_of_memory());
    return rc;
}

static int has_daemons(void *arg)
{
    static const weft_spawn_opts daemon = {.daemon = true};
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        rc = noted(weft_spawn_ex(&n, ticks, &n, &daemon));
        if (rc == 0) rc = noted(weft_spawn(&n, sleeps_for, &two));
        if (rc == 0) rc = noted(weft_spawn_ex(&n, ticks, &n, &daemon));
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
    }
    return rc;
}

static void start_daemons(weft_nursery *n)
{
    start_counting();
    sweep_spawn(n, has_daemons, NULL);
    sweep_spawn(n, has_daemons, NULL);
}

SWEEP(daemons_end_with_the_last_of_the_others, start_daemons, check_all_ran, 0);

/* --- children that spawn their siblings --- */

struct breeder {
    weft_nursery *nursery;
    int left;
};

static int breeds(void *arg)
{
    struct breeder b = *(struct breeder *)arg; /* a copy of a copy */
    int rc = 0;
    ran++;
    alive++;
    if (b.left-- > 0) {
        for (int i = 0; i < 2 && rc == 0; i++) {
            rc = noted(weft_spawn_copy(b.nursery, breeds, &b, sizeof b));
            if (rc == 0) rc = weft_yield();
        }
    }
    alive--;
    return rc;
}

static int begins_to_breed(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        struct breeder b = {&n, *(int *)arg};
        rc = noted(weft_spawn_copy(&n, breeds, &b, sizeof b));
    }
    return rc;
}

static void start_breeding(weft_nursery *n)
{
    start_counting();
    sweep_spawn(n, begins_to_breed, &two);
    sweep_spawn(n, begins_to_breed, &one);
}

SWEEP(whoever_is_spawned_by_whomever_runs, start_breeding, check_all_ran, 0);

/* --- who does not want to begin cancelled --- */

static int spawns_while_it_can(void *arg)
{
    static const weft_spawn_opts careful = {.unless_cancelled = true};
    static const weft_nursery_opts small = {.limit = 2};
    int rc, full = 0;
    (void)arg;
    WEFT_NURSERY_EX(n, rc, &small) {
        for (int i = 0; i < 4 && rc == 0; i++) {
            rc = noted(weft_spawn_ex(&n, sleeps_for, &one, &careful));
            if (rc == -ECANCELED) CHECK(weft_cancelled());
            if (rc == -EAGAIN) rc = weft_sleep(WEFT_MSEC(full++));
        }
    }
    return rc;
}

static void start_careful(weft_nursery *n)
{
    start_counting();
    sweep_spawn(n, spawns_while_it_can, NULL);
    sweep_spawn(n, spawns_while_it_can, NULL);
}

SWEEP(a_spawn_that_is_refused_has_not_happened, start_careful, check_all_ran,
      0);

/* --- a nursery with a deadline, cancelled by a child --- */

static int cancels_it(void *arg)
{
    ran++;
    alive++;
    int rc = weft_sleep(WEFT_MSEC(2));
    weft_nursery_cancel(arg, -EALREADY, "enough");
    alive--;
    return rc;
}

static int has_a_deadline(void *arg)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        weft_scope_set_deadline(weft_nursery_scope(&n),
                                weft_after(WEFT_MSEC(*(int *)arg)));
        rc = noted(weft_spawn(&n, cancels_it, &n));
        if (rc == 0) rc = noted(weft_spawn(&n, sleeps_for, &nine));
        if (rc == 0) rc = weft_sleep(WEFT_MSEC(9));
    }
    return but_not(rc, -EALREADY);
}

static void start_deadlines(weft_nursery *n)
{
    start_counting();
    sweep_spawn(n, has_a_deadline, &one);
    sweep_spawn(n, has_a_deadline, &nine);
}

SWEEP(a_nursery_is_cancelled_once, start_deadlines, check_all_ran, 0);

/* --- places that are promised when the nursery closes --- */

static weft_nursery small;
static bool closing;

static int closes_at_once(void *arg)
{
    static const weft_nursery_opts opts = {.limit = 1};
    CHECK_EQ(weft_nursery_open(&small, &opts), 0);
    int rc = noted(weft_spawn(&small, sleeps_for, &one));
    /* As long as the child, which sleeps before us or after us. */
    if (rc == 0 && arg) rc = weft_yield();
    if (rc == 0) rc = weft_sleep(WEFT_MSEC(1));
    closing = true;
    return weft_nursery_close(&small, rc);
}

/* Who was in line before the close is not told that it is closed. Each wants
 * another stack: there may be no memory for it then. */
static int asks_in_vain(void *arg)
{
    const weft_spawn_opts own = {.stack_size = (size_t) * (int *)arg << 17};
    int rc = weft_yield();
    for (int i = 0; i < 2 && rc == 0; i++) {
        bool early = !closing;
        rc = noted(weft_spawn_wait_ex(&small, sleeps_for, &one, &own));
        CHECK(!early || rc != -ESHUTDOWN);
        if (rc == -ENOMEM) {
            CHECK(sweep_short_of_memory());
            rc = 0;
        }
    }
    return rc == -ESHUTDOWN ? 0 : rc;
}

static void start_early_close(weft_nursery *n)
{
    start_counting();
    small = (weft_nursery){0};
    closing = false;
    sweep_spawn(n, closes_at_once, NULL);
    sweep_spawn(n, asks_in_vain, &one);
    sweep_spawn(n, asks_in_vain, &two);
}

static void start_close_in_step(weft_nursery *n)
{
    start_counting();
    small = (weft_nursery){0};
    closing = false;
    sweep_spawn(n, closes_at_once, n);
    sweep_spawn(n, asks_in_vain, &one);
    sweep_spawn(n, asks_in_vain, &two);
}

SWEEP(who_waits_for_a_place_keeps_the_nursery_open, start_early_close,
      check_all_ran, 0);
SWEEP(a_promised_place_is_kept_through_the_close, start_close_in_step,
      check_all_ran, 0);
