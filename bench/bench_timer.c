/* SPDX-License-Identifier: MIT */
/*
 * bench_timer - deadlines, nearly all of which never pass.
 *
 * The million that are outstanding are scopes with deadlines between one and
 * two minutes away, opened by a thousand parked fibers, a thousand each.
 */
#include <weft.h>

#include <stdlib.h>

#include "harness.h"

enum { FIBERS = 1000, SCOPES = 1000, OUTSTANDING = FIBERS * SCOPES };

static uint64_t seed = 88172645463325252u;

static uint64_t random_number(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static weft_time far_away(void)
{
    return WEFT_SEC(60) + (weft_time)(random_number() % 60000000000u);
}

/* ---- what is timed ------------------------------------------------------- */

static int64_t around_nothing(void *arg, int64_t n)
{
    (void)arg;
    int64_t start = bench_cpu();
    for (int64_t i = 0; i < n; i++) {
        weft_scope s = {0};
        int rc = weft_scope_begin_after(&s, WEFT_SEC(30), WEFT_FAIL);
        if (rc < 0) return rc;
        rc = weft_scope_end(&s, 0);
        if (rc < 0) return rc;
    }
    return bench_cpu() - start;
}

static int64_t around_a_yield(void *arg, int64_t n)
{
    (void)arg;
    int64_t start = bench_cpu();
    for (int64_t i = 0; i < n; i++) {
        weft_scope s = {0};
        int rc = weft_scope_begin_after(&s, WEFT_SEC(30), WEFT_FAIL);
        if (rc < 0) return rc;
        rc = weft_scope_end(&s, weft_yield());
        if (rc < 0) return rc;
    }
    return bench_cpu() - start;
}

static int64_t a_yield(void *arg, int64_t n)
{
    (void)arg;
    int64_t start = bench_cpu();
    for (int64_t i = 0; i < n; i++) {
        int rc = weft_yield();
        if (rc < 0) return rc;
    }
    return bench_cpu() - start;
}

/* Moves deadlines taken at random, earlier as often as later. */
static int64_t move_at_random(void *arg, int64_t n)
{
    weft_scope *scopes = arg;
    weft_time now = weft_now();
    int64_t start = bench_cpu();
    for (int64_t i = 0; i < n; i++) {
        weft_scope *s = &scopes[random_number() % OUTSTANDING];
        weft_scope_set_deadline(s, now + far_away());
    }
    return bench_cpu() - start;
}

/* ---- the million --------------------------------------------------------- */

struct holder {
    weft_scope *scopes;
    weft_event *over;
};

static int hold(void *arg)
{
    struct holder *h = arg;
    int rc = 0, open = 0;
    while (open < SCOPES) {
        rc = weft_scope_begin_after(&h->scopes[open], far_away(), WEFT_FAIL);
        if (rc < 0) break;
        open++;
    }
    if (rc == 0) rc = weft_event_wait(h->over);
    while (open-- > 0)
        rc = weft_scope_end(&h->scopes[open], rc);
    return rc;
}

static void time_outstanding(weft_scope *scopes)
{
    const struct bench_case cases[] = {
        {.name = "around nothing, 1,000,000 outstanding",
         .run = around_nothing,
         .at_most = 3},
        {.name = "around a yield, 1,000,000 outstanding",
         .run = around_a_yield},
        {.name = "moved at random, of 1,000,000",
         .run = move_at_random,
         .arg = scopes,
         .at_most = 15},
    };
    bench_cases(cases, sizeof cases / sizeof cases[0]);
}

static int with_outstanding(void)
{
    static struct holder holders[FIBERS];
    weft_event over = WEFT_EVENT_INIT;
    weft_scope *scopes = calloc(OUTSTANDING, sizeof scopes[0]);
    if (scopes == NULL) return -ENOMEM;

    int rc;
    WEFT_NURSERY(all, rc)
    {
        for (int i = 0; i < FIBERS && rc == 0; i++) {
            holders[i] = (struct holder){scopes + (ptrdiff_t)i * SCOPES, &over};
            rc = weft_spawn(&all, hold, &holders[i]);
        }
        if (rc == 0) rc = weft_yield();
        if (rc == 0) time_outstanding(scopes);
        weft_event_set(&over);
    }
    free(scopes);
    return rc;
}

static int measure(void *arg)
{
    const struct bench_case cases[] = {
        {.name = "around nothing, none outstanding", .run = around_nothing},
        {.name = "around a yield, none outstanding", .run = around_a_yield},
        {.name = "a yield without a deadline", .run = a_yield},
    };
    (void)arg;
    bench_cases(cases, sizeof cases / sizeof cases[0]);
    return with_outstanding();
}

int main(int argc, char **argv)
{
    bench_begin("scope with a deadline", argc, argv);
    bench_pin(bench_core(1));
    int err = weft_run(measure, NULL, NULL);
    if (err < 0) bench_fail("weft_run: %s", weft_strerror(err));
    return bench_end();
}
