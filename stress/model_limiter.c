/* SPDX-License-Identifier: MIT */
/*
 * model_limiter.c - for each borrower whether it has a token or waits for one:
 * some objects, and each actor, which may not end with one of its own.
 */
#include <weft/fiber.h>
#include <weft/limiter.h>

#include <string.h>

#include "stress/stress.h"

enum { LIMITERS = 2, OBJECTS = 5, BORROWERS = OBJECTS + ACTORS };
enum { NO, IN_THE_LINE, HAS };

static struct {
    weft_limiter limiter;
    int total, lent;
    int is[BORROWERS];
    struct line line; /* n: the borrower */
} l[LIMITERS];

static char object[OBJECTS];

static void open(void)
{
    memset(l, 0, sizeof l);
    for (int k = 0; k < LIMITERS; k++) {
        l[k].total = below(4);
        weft_limiter_init(&l[k].limiter, (uint32_t)l[k].total);
    }
}

static int some_borrower(const struct actor *a)
{
    return a && one_in(2) ? OBJECTS + a->number : below(OBJECTS);
}

/* For an actor, who is the running one, there are two ways to say it. */
static const void *named(int borrower)
{
    if (borrower < OBJECTS) return &object[borrower];
    return one_in(2) ? NULL : weft_self();
}

static void lends(int k, int borrower)
{
    l[k].is[borrower] = HAS;
    l[k].lent++;
}

static void serve(int k)
{
    while (l[k].line.length > 0 && l[k].lent < l[k].total) {
        struct place p = line_first(&l[k].line);
        lends(k, p.n);
        grants(&actors[p.who], 0);
    }
}

static int result_of(int k, int borrower)
{
    if (l[k].is[borrower] != NO) return -EDEADLK;
    return l[k].lent < l[k].total ? 0 : -EAGAIN;
}

static void act(struct actor *a)
{
    int k = below(LIMITERS), b = some_borrower(a);
    int result = result_of(k, b);
    if (result == -EDEADLK && !may_err()) return;
    step(a, "borrows of limiter %d for %d", k, b);
    if (is_refused(a)) {
        /* nothing is borrowed */
    } else if (result == -EAGAIN) {
        waits(a, &limiters, k);
        l[k].is[b] = IN_THE_LINE;
        line_append(&l[k].line, (struct place){a->number, PLAIN, b});
    } else {
        a->expected = result;
        if (result == 0) lends(k, b);
    }
    (void)returned(a, weft_limiter_acquire(&l[k].limiter, named(b)));
}

static void tries(struct actor *a, int k, int b)
{
    int want = result_of(k, b);
    if (want == -EDEADLK && !may_err()) return;
    step(a, "tries limiter %d for %d", k, b);
    same("try of limiter", k, weft_limiter_try(&l[k].limiter, named(b)), want);
    if (want == 0) lends(k, b);
}

static void releases(struct actor *a, int k, int b)
{
    bool has = l[k].is[b] == HAS;
    if (!has && !may_err()) return;
    step(a, "gives back to limiter %d for %d", k, b);
    int got = weft_limiter_release(&l[k].limiter, named(b));
    same("release of limiter", k, got, has ? 0 : -EPERM);
    if (!has) return;
    l[k].is[b] = NO;
    l[k].lent--;
    serve(k);
}

static void poke(struct actor *a)
{
    int k = below(LIMITERS), b = some_borrower(a);
    switch (below(8)) {
    case 0:
        l[k].total = below(5) + l[k].lent / 3;
        step(a, "makes limiter %d one of %d", k, l[k].total);
        weft_limiter_resize(&l[k].limiter, (uint32_t)l[k].total);
        serve(k);
        break;
    case 1:
    case 2:
        tries(a, k, b);
        break;
    default:
        if (l[k].is[b] == HAS || one_in(8)) releases(a, k, b);
    }
}

static bool leave(struct actor *a)
{
    int k = a->object;
    for (int i = 0; i < l[k].line.length; i++)
        if (l[k].line.list[i].who == a->number)
            l[k].is[l[k].line.list[i].n] = NO;
    (void)line_leave(&l[k].line, a->number);
    return true;
}

/* A token of its own may not be left behind. */
static void let_go(struct actor *a, bool all)
{
    (void)all;
    for (int k = 0; k < LIMITERS; k++)
        if (l[k].is[OBJECTS + a->number] == HAS)
            releases(a, k, OBJECTS + a->number);
}

static void compare(void)
{
    for (int k = 0; k < LIMITERS; k++) {
        const weft_limiter *is = &l[k].limiter;
        same("total of limiter", k, weft_limiter_total(is), l[k].total);
        same("lent of limiter", k, weft_limiter_lent(is), l[k].lent);
        same("waiting of limiter", k, (long long)weft_limiter_waiting(is),
             l[k].line.length);
    }
}

static void close(void)
{
    for (int k = 0; k < LIMITERS; k++)
        weft_limiter_fini(&l[k].limiter);
}

const struct kind limiters = {.name = "limiter",
                              .open = open,
                              .act = act,
                              .poke = poke,
                              .leave = leave,
                              .let_go = let_go,
                              .compare = compare,
                              .close = close};
