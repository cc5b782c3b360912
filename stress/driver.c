/* SPDX-License-Identifier: MIT */
/*
 * driver.c - programs: who does something when, and when all is compared.
 */
#include <weft/fiber.h>
#include <weft/run.h>
#include <weft/testing.h>

#include <inttypes.h>
#include <stdio.h>

#include "runtime/leaks.h"
#include "stress/actors.h"
#include "stress/words.h"

enum { PROGRAM_STEPS = 2000 };

const struct kind *const kinds[] = {
    &mutexes,  &conditions, &events, &semaphores, &limiters, &rwlocks,
    &barriers, &onces,      &caches, &channels,   &selects,  &workqueues,
    &tickers,  &ratelimits, &tasks,  &sleeps,     &scopes,   NULL};

static weft_nursery nursery;
static uint64_t last_step;

weft_nursery *stage(void)
{
    return &nursery;
}

static struct actor *actor_of(uint64_t id)
{
    for (int i = 0; i < ACTORS; i++)
        if (weft_task_id(&actors[i].task) == id) return &actors[i];
    return NULL;
}

static weft_verdict on_exit(weft_nursery *n, uint64_t id, weft_outcome o,
                            void *user)
{
    const struct actor *a = actor_of(id);
    int rc = a ? a->rc : 0;
    (void)n;
    (void)user;
    same("result of fiber", (int)id, o.rc, rc);
    same("status of fiber", (int)id, o.status,
         rc == 0            ? WEFT_OK
         : rc == -ECANCELED ? WEFT_CANCELLED
                            : WEFT_FAILED);
    return WEFT_CONTINUE;
}

/* ---- a program ---------------------------------------------------------- */

static void compare_all(void)
{
    same("settle", 0, weft_test_settle(), 0);
    actors_compare();
}

static void settle(void)
{
    compare_all();
    for (int i = 0; kinds[i]; i++)
        if (kinds[i]->quiet) kinds[i]->quiet();
    for (int i = 0; i < ACTORS; i++)
        if (!actors[i].alive) actor_begins(i);
}

static void let_time_pass(void)
{
    int ms = one_in(10) ? 40 : 1 + below(3);
    step(NULL, "lets %d ms pass", ms);
    same("sleep", 0, weft_sleep(WEFT_MSEC(ms)), 0);
    settle();
}

static void round_of_steps(void)
{
    for (int n = below(4); n > 0; n--)
        actor_goes_on(any_actor());
    if (one_in(3)) poke_something(NULL);
    switch (below(8)) {
    case 0:
        let_time_pass();
        break;
    case 1:
        break;
    case 2:
        same("yield", 0, weft_yield(), 0);
        break;
    default:
        settle();
    }
}

/* Those that cannot be cancelled wait for others, who let go when they end. */
static int end_those_at_rest(void)
{
    int left = 0;
    for (int i = 0; i < ACTORS; i++) {
        left += actors[i].alive;
        actors[i].dies = true;
        actor_goes_on(&actors[i]);
    }
    compare_all();
    return left;
}

static void wind_down(void)
{
    settle();
    for (int i = 0; i < ACTORS; i++) {
        actors[i].lets_go = true;
        actors_cancel(&actors[i]);
        if (is_quiet_first()) compare_all();
    }
    compare_all();
    for (int i = 0; end_those_at_rest() > 0; i++)
        if (i > ACTORS) differs("some actors do not end");
}

static int drive(void *arg)
{
    weft_nursery_opts o = {.policy = WEFT_SUPERVISE, .on_exit = on_exit};
    (void)arg;
    int rc = weft_nursery_open(&nursery, &o);
    if (rc < 0) return rc;
    actors_open();
    for (int i = 0; kinds[i]; i++)
        if (kinds[i]->open) kinds[i]->open();
    settle();
    while (steps() < last_step)
        round_of_steps();
    wind_down();
    for (size_t i = sizeof kinds / sizeof kinds[0] - 1; i-- > 0;)
        if (kinds[i]->close) kinds[i]->close();
    return weft_nursery_close(&nursery, 0);
}

/* ---- many programs ------------------------------------------------------ */

static void run_program(const struct stress *s, uint64_t from)
{
    char again[256];
    struct wf_leaks before, after;
    last_step = from + PROGRAM_STEPS;
    if (last_step > s->first + s->count) last_step = s->first + s->count;
    (void)snprintf(again, sizeof again,
                   "make stress SEED=%" PRIu64 " FIRST=%" PRIu64
                   " STEPS=%" PRIu64,
                   s->seed, from, last_step - from);
    words_begin(from, again);
    chance_begin(s->seed * 0x2545f4914f6cdd1du + from);
    weft_run_opts o = {.virtual_clock = true};
    if (one_in(2)) o.sched_seed = 1 + (uint64_t)below(1000);
    wf_leaks_read(&before);
    same("run", 0, weft_run(drive, NULL, &o), 0);
    wf_leaks_read(&after);
    same("octets left", 0, after.bytes, before.bytes);
    same("timers left", 0, (long long)after.timers, (long long)before.timers);
    same("deadlocks", 0, (long long)after.deadlocks,
         (long long)before.deadlocks);
}

void stress_run(const struct stress *s)
{
    enum { PATIENCE = 20 };
    uint64_t end = s->first + s->count;
    words_watch(PATIENCE);
    for (uint64_t from = s->first; from < end; from += PROGRAM_STEPS)
        run_program(s, from);
    words_watch(0);
}
