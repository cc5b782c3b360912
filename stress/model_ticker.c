/* SPDX-License-Identifier: MIT */
/*
 * model_ticker.c - the moment of the next tick. Whoever runs first when it has
 * come has it, so who that is is seen only when he returns; at the latest when
 * all is quiet it has been had, if anybody waits.
 */
#include <weft/ticker.h>

#include <string.h>

#include "stress/stress.h"

enum { TICKERS = 3 };

static struct {
    weft_ticker ticker;
    weft_tick_policy policy;
    weft_time period, next;
    int waiting;
} t[TICKERS];

/* Was cancelled at some time in its wait. */
static bool struck[ACTORS];

static void open(void)
{
    for (int k = 0; k < TICKERS; k++) {
        t[k].policy = (weft_tick_policy)k;
        t[k].period = WEFT_MSEC(1 + below(10));
        t[k].next = weft_now() + t[k].period;
        t[k].waiting = 0;
        same("init of ticker", k,
             weft_ticker_init(&t[k].ticker, t[k].period, t[k].policy), 0);
    }
}

/* How many ticks the one who comes now has. */
static int take(int k, weft_time now, bool late)
{
    int ticks = 0;
    switch (t[k].policy) {
    case WEFT_TICK_SKIP:
        for (; t[k].next <= now; t[k].next += t[k].period)
            ticks++;
        return ticks;
    case WEFT_TICK_DELAY:
        t[k].next = (late ? now : t[k].next) + t[k].period;
        return 1;
    default:
        t[k].next += t[k].period;
        return 1;
    }
}

static void act(struct actor *a)
{
    int k = below(TICKERS);
    step(a, "waits for ticker %d", k);
    struck[a->number] = is_refused(a);
    if (!struck[a->number]) waits(a, &tickers, k);
    t[k].waiting++;
    int got = weft_ticker_wait(&t[k].ticker);
    t[k].waiting--;
    let_model_catch_up();
    if (got != -ECANCELED && a->expected == WAITS) {
        if (t[k].next > weft_now()) differs("ticker %d comes too early", k);
        grants(a, take(k, weft_now(), t[k].next < weft_now()));
    }
    if (got == -ECANCELED && struck[a->number]) grants(a, -ECANCELED);
    (void)returned(a, got);
}

static void poke(struct actor *a)
{
    int k = below(TICKERS);
    if (!one_in(6)) return;
    step(a, "resets ticker %d", k);
    weft_ticker_reset(&t[k].ticker);
    t[k].next = weft_now() + t[k].period;
}

/* One that was woken by the tick, and has not run, may have it all the same. */
static bool leave(struct actor *a)
{
    struck[a->number] = true;
    return false;
}

static void quiet(void)
{
    for (int k = 0; k < TICKERS; k++)
        if (t[k].waiting > 0 && t[k].next <= weft_now())
            differs("ticker %d has ticked, and nobody has it", k);
    for (int i = 0; i < ACTORS; i++)
        if (actors[i].expected == WAITS && actors[i].waits_for == &tickers &&
            is_cancelled(&actors[i]))
            differs("actor %d waits for a ticker, and is cancelled", i);
}

const struct kind tickers = {.name = "ticker",
                             .open = open,
                             .act = act,
                             .poke = poke,
                             .leave = leave,
                             .quiet = quiet};
