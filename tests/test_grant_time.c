/* SPDX-License-Identifier: MIT */
/*
 * test_grant_time.c - grant versus cancel: moments.
 *
 * A moment that has come is a completion, and comes before the deadlines of
 * scopes that are due at the same one. The time-out of weft_wait has no row: it
 * is a deadline itself, and gives nothing that could be lost.
 */
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/ratelimit.h>
#include <weft/retry.h>
#include <weft/scope.h>
#include <weft/select.h>
#include <weft/ticker.h>
#include <weft/time.h>

#include "grant.h"

#define NO_LINE "each tick goes to one, and no line is promised"

static weft_event never;

static weft_time period(void)
{
    return grant_moment(1) - grant_moment(0);
}

static void nothing(void)
{
    never = (weft_event)WEFT_EVENT_INIT;
}

/* ---- sleeping ----------------------------------------------------------- */

static int sleeps_until(struct grant_waiter *w)
{
    (void)w;
    return weft_sleep_until(grant_moment(1));
}

static int sleeps(struct grant_waiter *w)
{
    (void)w;
    return weft_sleep(grant_moment(1) - weft_now());
}

static int selects_a_moment(struct grant_waiter *w)
{
    (void)w;
    weft_case c[] = {WEFT_CASE_EVENT(&never), WEFT_CASE_AT(grant_moment(1))};
    int i = weft_select(c, 2, 0);
    if (i < 0) return i;
    CHECK_EQ(i, 1);
    return c[1].result;
}

/* ---- trying again ------------------------------------------------------- */

static int fails_first(void *arg)
{
    struct grant_waiter *w = arg;
    return w->item++ == 0 ? -EAGAIN : 0;
}

static int tries_again(struct grant_waiter *w)
{
    const weft_retry_opts o = {
        .attempts = 2, .base = period(), .no_jitter = true};
    return weft_retry(fails_first, w, &o);
}

/* ---- so many in a stretch of time --------------------------------------- */

static weft_ratelimit rate;

static void nothing_in_the_bucket(void)
{
    weft_ratelimit_init(&rate, WEFT_TOKEN_BUCKET, 1, period());
    CHECK_EQ(weft_ratelimit_check(&rate, 1, NULL), 0);
}

static int waits_for_its_turn(struct grant_waiter *w)
{
    (void)w;
    return weft_ratelimit_wait(&rate, 1);
}

static int in_the_bucket(void)
{
    int n = 0;
    while (weft_ratelimit_check(&rate, 1, NULL) == 0)
        n++;
    return n;
}

/* ---- every so often ----------------------------------------------------- */

static weft_ticker ticker;

static void start_ticker(void)
{
    CHECK_EQ(weft_ticker_init(&ticker, period(), WEFT_TICK_BURST), 0);
}

static int tick(void)
{
    return weft_ticker_wait(&ticker);
}

static int waits_for_a_tick(struct grant_waiter *w)
{
    (void)w;
    return tick();
}

static int ticks_left(void)
{
    return grant_count(tick);
}

static const struct grant_row rows[] = {
    {.name = "sleep_until",
     .setup = nothing,
     .wait = sleeps_until,
     .pace = BY_TIME,
     .share = TO_ALL},
    {.name = "sleep",
     .setup = nothing,
     .wait = sleeps,
     .pace = BY_TIME,
     .share = TO_ALL},
    {.name = "select time",
     .setup = nothing,
     .wait = selects_a_moment,
     .pace = BY_TIME,
     .share = TO_ALL},
    {.name = "retry",
     .setup = nothing,
     .wait = tries_again,
     .pace = BY_TIME,
     .share = TO_ALL,
     .without = {[DEADLINE_AT_THE_GRANT] = "it does not wait for a deadline"}},
    {.name = "ratelimit_wait",
     .setup = nothing_in_the_bucket,
     .wait = waits_for_its_turn,
     .left = in_the_bucket,
     .pace = BY_TIME,
     .tries = true},
    {.name = "ticker_wait",
     .setup = start_ticker,
     .wait = waits_for_a_tick,
     .left = ticks_left,
     .want = 1,
     .pace = BY_TIME,
     .without = {GRANT_ALONE(NO_LINE)}},
};

GRANT_TESTS(rows)

/* ---- one tick, and two who wait for it ---------------------------------- */

struct ticked {
    weft_scope scope;
    int result;
};

static int waits_for_one_tick(void *arg)
{
    struct ticked *t = arg;
    CHECK_EQ(weft_scope_begin(&t->scope), 0);
    t->result = tick();
    CHECK_EQ(weft_scope_end(&t->scope, weft_checkpoint()), 0);
    return 0;
}

/* Cancels both at the moment of the tick, before they run or between. */
TEST(grt_01_of_two_cancelled_at_a_tick_one_has_it_or_it_is_left)
{
    struct ticked both[2] = {{.result = 77}, {.result = 77}};
    int rc, had = 0;
    start_ticker();
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 2; i++) {
            weft_scope_init(&both[i].scope);
            CHECK_EQ(weft_spawn(&n, waits_for_one_tick, &both[i]), 0);
        }
        CHECK_EQ(weft_sleep(period()), 0);
        for (int i = 0; i < 2; i++)
            weft_scope_cancel(&both[i].scope, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < 2; i++) {
        CHECK(both[i].result == 1 || both[i].result == -ECANCELED);
        had += both[i].result == 1;
    }
    CHECK_EQ(had + ticks_left(), 1);
}
