/* SPDX-License-Identifier: MIT */
/*
 * model_ratelimit.c - a bucket that is so full, or a list of what has been let
 * through; and a line of which the first goes when it may.
 *
 * It is counted by the one who goes, when he runs; until then he is in line.
 */
#include <weft/ratelimit.h>

#include <string.h>

#include "stress/stress.h"

enum { RATELIMITS = 2, PASSED = 256, PARTS = 16 };

static struct {
    weft_ratelimit limit;
    weft_rate_kind kind;
    int most;
    weft_time each;        /* the bucket: for one; the window: a sixteenth */
    weft_time held, since; /* the bucket: how much is in it, in time; when */
    struct passed {
        weft_time gone; /* when it does not count any more */
        int cost;
    } passed[PASSED];
    int count;
    struct line line; /* n: the cost */
    bool first_goes;  /* it has been granted, and has not run */
} r[RATELIMITS];

static void open(void)
{
    memset(r, 0, sizeof r);
    for (int k = 0; k < RATELIMITS; k++) {
        r[k].kind = (weft_rate_kind)k;
        r[k].most = 1 + below(5);
        r[k].each = WEFT_MSEC(1 + below(2));
        r[k].since = weft_now();
        r[k].held = r[k].most * r[k].each;
        weft_ratelimit_init(&r[k].limit, r[k].kind, (uint32_t)r[k].most,
                            r[k].kind == WEFT_TOKEN_BUCKET ? r[k].held
                                                           : PARTS * r[k].each);
    }
}

/* ---- what it lets through ----------------------------------------------- */

static int in_window(int k, weft_time at)
{
    int sum = 0;
    for (int i = 0; i < r[k].count; i++)
        if (r[k].passed[i].gone > at) sum += r[k].passed[i].cost;
    return sum;
}

static weft_time in_bucket(int k, weft_time at)
{
    weft_time held = r[k].held + (at - r[k].since), full;
    full = r[k].most * r[k].each;
    return held < full ? held : full;
}

static bool may_pass(int k, int cost, weft_time at)
{
    if (r[k].kind == WEFT_TOKEN_BUCKET)
        return in_bucket(k, at) >= cost * r[k].each;
    return in_window(k, at) + cost <= r[k].most;
}

static void passes(int k, int cost, weft_time at)
{
    int kept = 0;
    r[k].held = in_bucket(k, at) - cost * r[k].each;
    r[k].since = at;
    for (int i = 0; i < r[k].count; i++)
        if (r[k].passed[i].gone > at) r[k].passed[kept++] = r[k].passed[i];
    r[k].count = kept;
    if (cost == 0) return;
    if (kept == PASSED) differs("the model's window is too small");
    weft_time part = at - at % r[k].each;
    r[k].passed[r[k].count++] =
        (struct passed){part + (PARTS + 1) * r[k].each, cost};
}

/* ---- calls -------------------------------------------------------------- */

static int first_cost(int k)
{
    return r[k].line.list[0].n;
}

/* The first goes if it may; else its moment will come. */
static void look_at_first(int k)
{
    if (r[k].line.length == 0 || r[k].first_goes) return;
    if (!may_pass(k, first_cost(k), model_now())) return;
    r[k].first_goes = true;
    grants(&actors[r[k].line.list[0].who], 0);
}

static void first_is_gone(int k)
{
    r[k].first_goes = false;
    look_at_first(k);
}

static void act(struct actor *a)
{
    int k = below(RATELIMITS), cost = below(r[k].most + (may_err() ? 2 : 1));
    step(a, "waits for %d of rate limit %d", cost, k);
    if (is_refused(a)) {
        /* and is not counted */
    } else if (cost > r[k].most) {
        a->expected = -EINVAL;
    } else {
        waits(a, &ratelimits, k);
        line_append(&r[k].line, (struct place){a->number, PLAIN, cost});
        look_at_first(k);
    }
    int got = returned(a, weft_ratelimit_wait(&r[k].limit, (uint32_t)cost));
    if (got < 0) return;
    same("first of rate limit", k, r[k].line.list[0].who, a->number);
    passes(k, cost, weft_now());
    (void)line_first(&r[k].line);
    first_is_gone(k);
}

static void poke(struct actor *a)
{
    int k = below(RATELIMITS), cost = below(r[k].most + 1);
    weft_ratelimit_info info;
    bool may = r[k].line.length == 0 && may_pass(k, cost, weft_now());
    step(a, "asks for %d of rate limit %d", cost, k);
    int got = weft_ratelimit_check(&r[k].limit, (uint32_t)cost, &info);
    same("check of rate limit", k, got, may ? 0 : -EAGAIN);
    same("allowed of rate limit", k, info.allowed, may);
    if (may) passes(k, cost, weft_now());
    if (r[k].line.length > 0) return;
    int left = 0;
    while (left < r[k].most && may_pass(k, left + 1, weft_now()))
        left++;
    same("remaining of rate limit", k, info.remaining, left);
    if (may) return;
    if (may_pass(k, cost, weft_now() + info.retry_after - 1) ||
        !may_pass(k, cost, weft_now() + info.retry_after))
        differs("rate limit %d is wrong about when to retry", k);
}

/* Who is behind it is looked at when it has run, and not before. */
static bool leave(struct actor *a)
{
    int k = a->object;
    be_quiet_first();
    if (line_leave(&r[k].line, a->number)) first_is_gone(k);
    return true;
}

static weft_time next_of(int k)
{
    weft_time t = model_now();
    if (r[k].line.length == 0 || r[k].first_goes) return WEFT_FOREVER;
    if (r[k].kind == WEFT_TOKEN_BUCKET) {
        weft_time lack = first_cost(k) * r[k].each - in_bucket(k, t);
        return lack > 0 ? t + lack : t;
    }
    if (may_pass(k, first_cost(k), t)) return t;
    weft_time at = WEFT_FOREVER;
    for (int i = 0; i < r[k].count; i++) {
        weft_time gone = r[k].passed[i].gone;
        if (gone > t && gone < at && may_pass(k, first_cost(k), gone))
            at = gone;
    }
    return at;
}

static weft_time next(void)
{
    weft_time a = next_of(0), b = next_of(1);
    return a < b ? a : b;
}

static void comes(void)
{
    for (int k = 0; k < RATELIMITS; k++)
        look_at_first(k);
}

const struct kind ratelimits = {.name = "rate limit",
                                .open = open,
                                .act = act,
                                .poke = poke,
                                .leave = leave,
                                .next = next,
                                .comes = comes};
