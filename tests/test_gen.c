/* SPDX-License-Identifier: MIT */
/* test_gen.c - generators: demand, ends, cancellation on either side. */
#include <weft/cleanup.h>
#include <weft/debug.h>
#include <weft/error.h>
#include <weft/event.h>
#include <weft/fiber.h>
#include <weft/gather.h>
#include <weft/gen.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <stdlib.h>
#include <string.h>

#include "chance.h"
#include "fibers.h"
#include "harness.h"
#include "open.h"
#include "starve.h"
#include "sweep.h"

/* ---- a producer that notes what happens to it --------------------------- */

enum { MOST = 16 };

struct source {
    int count;         /* hands out 0 ... count - 1, */
    weft_time pause;   /* after a sleep before each, */
    int code;          /* and ends with this. When it is stopped */
    weft_time cleanup; /* it cleans up for so long, */
    int late;          /* and ends with this, unless it is 0 */
    int items[MOST];
    int ran, made, back; /* calls; yields begun; yields that came back */
    int stopped_by;      /* the result that stopped it */
    bool in_yield;       /* ... of a yield */
    bool ended;
};

static int stop(struct source *s, int err, bool in_yield)
{
    int rc = 0;
    s->stopped_by = err;
    s->in_yield = in_yield;
    if (s->cleanup > 0)
        WEFT_SHIELD(rc, WEFT_SEC(100))
            rc = weft_sleep(s->cleanup);
    CHECK_EQ(rc, 0);
    s->ended = true;
    return s->late ? s->late : err;
}

static int produces(weft_gen *g, void *arg)
{
    struct source *s = arg;
    s->ran++;
    for (int i = 0; i < s->count; i++) {
        int err = s->pause ? weft_sleep(s->pause) : 0;
        if (err < 0) return stop(s, err, false);
        s->items[i] = i;
        s->made++;
        err = weft_gen_yield(g, &s->items[i]);
        if (err < 0) return stop(s, err, true);
        s->back++;
    }
    s->ended = true;
    return s->code;
}

static void check_next(weft_gen *g, int want)
{
    void *item = NULL;
    CHECK_EQ(weft_gen_next(g, &item), 1);
    CHECK(item != NULL);
    CHECK_EQ(*(int *)item, want);
}

/* *ret_item is written only with an item. */
static void check_no_next(weft_gen *g, int want)
{
    static int untouched;
    void *item = &untouched;
    CHECK_EQ(weft_gen_next(g, &item), want);
    CHECK_PTR(item, &untouched);
}

/* ---- the listed cases --------------------------------------------------- */

TEST(gen_01_a_producer_does_not_run_before_it_is_asked)
{
    weft_gen g;
    struct source s = {.count = 3};
    memset(&g, 0xa5, sizeof g);
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    CHECK_EQ(s.ran, 0);
    check_next(&g, 0);
    CHECK_EQ(s.ran, 1);
    CHECK_EQ(weft_gen_close(&g), 0);
}

TEST(gen_02_a_producer_runs_to_its_yield_and_not_a_step_further)
{
    weft_gen g;
    struct source s = {.count = 3};
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    check_next(&g, 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    CHECK_EQ(s.made, 1);
    CHECK_EQ(s.back, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(s.made, 1);
    CHECK_EQ(s.stopped_by, -ECANCELED);
    CHECK(s.in_yield);
    CHECK(s.ended);
}

TEST(gen_03_a_failure_is_the_answer_from_then_on)
{
    weft_gen g;
    struct source s = {.count = 1, .code = -EPROTO};
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    check_next(&g, 0);
    check_no_next(&g, -EPROTO);
    check_no_next(&g, -EPROTO);
    check_no_next(&g, -EPROTO);
    CHECK_EQ(weft_gen_close(&g), -EPROTO);
}

TEST(gen_05_closed_before_the_first_next_it_never_ran)
{
    weft_gen g;
    struct source s = {.count = 1};
    weft_time start = weft_now();
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(s.ran, 0);
    CHECK_EQ(weft_now(), start);

    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(s.ran, 0);
}

struct helper {
    weft_gen *g;
    int result;
};

static int yields_for_another(void *arg)
{
    struct helper *h = arg;
    h->result = weft_gen_yield(h->g, h);
    return 0;
}

static int lets_a_helper_yield(weft_gen *g, void *arg)
{
    struct helper *h = arg;
    int rc;
    h->g = g;
    WEFT_NURSERY(n, rc)
        rc = weft_spawn(&n, yields_for_another, h);
    if (rc < 0) return rc;
    return weft_gen_yield(g, g);
}

TEST(gen_07_only_the_producer_may_yield)
{
    weft_gen g;
    struct helper h = {NULL, 1};
    void *item = NULL;
    CHECK_EQ(weft_gen_open(&g, lets_a_helper_yield, &h), 0);
    CHECK_EQ(weft_gen_yield(&g, &h), -EPERM); /* nor before it runs */
    CHECK_EQ(weft_gen_next(&g, &item), 1);
    CHECK_PTR(item, &g);
    CHECK_EQ(h.result, -EPERM);
    CHECK_EQ(weft_gen_yield(&g, &h), -EPERM);
    check_no_next(&g, 0);
    CHECK_EQ(weft_gen_yield(&g, &h), -EPERM);
    CHECK_EQ(weft_gen_close(&g), 0);
}

TEST(gen_10_after_the_end_there_is_nothing_for_ever)
{
    weft_gen g;
    struct source s = {.count = 2};
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    check_next(&g, 0);
    check_next(&g, 1);
    for (int i = 0; i < 5; i++) {
        check_no_next(&g, 0);
    }
    CHECK_EQ(s.back, 2);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(s.ran, 1);
}

/* ---- ends --------------------------------------------------------------- */

static int hands_out_nothing(weft_gen *g, void *arg)
{
    (void)g;
    return *(int *)arg;
}

TEST(a_producer_may_end_or_fail_without_an_item)
{
    weft_gen g;
    CHECK_EQ(weft_gen_open(&g, hands_out_nothing, &(int){0}), 0);
    check_no_next(&g, 0);
    check_no_next(&g, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(weft_gen_open(&g, hands_out_nothing, &(int){-EIO}), 0);
    check_no_next(&g, -EIO);
    check_no_next(&g, -EIO);
    CHECK_EQ(weft_gen_close(&g), -EIO);
}

static int produces_words_and_fails(weft_gen *g, void *arg)
{
    int err = weft_gen_yield(g, arg);
    return err < 0 ? err : weft_fail(-EPROTO, "no more %s", (char *)arg);
}

TEST(the_record_of_a_failure_comes_with_it)
{
    weft_gen g;
    void *item;
    CHECK_EQ(weft_gen_open(&g, produces_words_and_fails, "bread"), 0);
    CHECK_EQ(weft_gen_next(&g, &item), 1);
    for (int i = 0; i < 3; i++) {
        (void)weft_fail(-EIO, "something else");
        check_no_next(&g, -EPROTO);
        CHECK_EQ(weft_last_error()->code, -EPROTO);
        CHECK_STR(weft_last_error()->msg, "no more bread");
        CHECK(strstr(weft_last_error()->file, "test_gen.c") != NULL);
    }
    CHECK_EQ(weft_gen_close(&g), -EPROTO);
    CHECK_EQ(weft_last_error()->code, -EPROTO);
    CHECK_STR(weft_last_error()->msg, "no more bread");
}

TEST(a_failed_producer_does_not_stop_its_consumer)
{
    weft_gen g;
    struct source s = {.count = 1, .code = -EPROTO};
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    check_next(&g, 0);
    check_no_next(&g, -EPROTO);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK(weft_cancel_reason() == NULL);
    CHECK_EQ(weft_gen_close(&g), -EPROTO);
    CHECK_EQ(weft_checkpoint(), 0);
}

TEST(a_failure_nobody_asked_for_waits_until_somebody_does)
{
    weft_gen g;
    struct source s = {.count = 0, .code = -EPROTO};
    struct source t = {.count = 2, .pause = WEFT_MSEC(5), .late = -EIO};
    int rc;
    CHECK_EQ(weft_gen_open(&g, produces, &t), 0);
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(1))
        check_no_next(&g, -ECANCELED);
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_gen_close(&g), -EIO); /* it failed as it was stopped */
    CHECK(!t.in_yield);

    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    check_no_next(&g, -EPROTO);
    CHECK_EQ(weft_sleep(WEFT_MSEC(9)), 0);
    check_no_next(&g, -EPROTO);
    CHECK_EQ(weft_gen_close(&g), -EPROTO);
}

static int fails_while_nobody_asks(weft_gen *g, void *arg)
{
    (void)g;
    int err = weft_sleep(WEFT_MSEC(5));
    return err < 0 ? err : weft_fail(-EPROTO, "out of %s", (char *)arg);
}

TEST(a_producer_that_fails_while_nobody_asks_says_so_later)
{
    weft_gen g;
    int rc;
    CHECK_EQ(weft_gen_open(&g, fails_while_nobody_asks, "milk"), 0);
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(1))
        check_no_next(&g, -ECANCELED);
    CHECK_EQ(weft_sleep(WEFT_MSEC(9)), 0); /* the failure stops nobody */
    CHECK_EQ(weft_checkpoint(), 0);
    check_no_next(&g, -EPROTO);
    CHECK_STR(weft_last_error()->msg, "out of milk");
    CHECK_EQ(weft_gen_close(&g), -EPROTO);
}

static int yields_an_error(weft_gen *g, void *arg)
{
    (void)arg;
    CHECK_EQ(weft_gen_yield(g, NULL), 0);
    return -ECANCELED;
}

TEST(ecanceled_for_no_reason_is_a_failure_of_the_producer)
{
    weft_gen g;
    void *item = &g;
    CHECK_EQ(weft_gen_open(&g, yields_an_error, NULL), 0);
    CHECK_EQ(weft_gen_next(&g, &item), 1);
    CHECK(item == NULL); /* an item like any */
    check_no_next(&g, -ECANCELED);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_gen_close(&g), -ECANCELED);
    CHECK_EQ(weft_checkpoint(), 0);
}

TEST(the_memory_of_a_closed_generator_can_be_opened_again)
{
    weft_gen g;
    for (int i = 0; i < 5; i++) {
        struct source s = {.count = 2, .code = i % 2 ? -EIO : 0};
        CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
        for (int k = 0; k < i && k < 2; k++) {
            check_next(&g, k);
        }
        if (i > 2) check_no_next(&g, s.code);
        CHECK_EQ(weft_gen_close(&g), i > 2 ? s.code : 0);
    }
}

static int fails_later(void *arg)
{
    int err = weft_sleep(*(weft_time *)arg);
    return err < 0 ? err : -EIO;
}

static int gathers_failures(weft_gen *g, void *arg)
{
    struct source *s = arg;
    weft_time soon = WEFT_MSEC(1);
    int err = weft_gen_yield(g, s);
    if (err < 0) return err;
    weft_job jobs[] = {{.fn = fails_later, .arg = &soon},
                       {.fn = fails_later, .arg = &soon},
                       {.fn = fails_later, .arg = &soon}};
    return weft_gather(jobs, 3, NULL);
}

static unsigned walk(const weft_error *e)
{
    unsigned seen = 0;
    for (; e; e = e->next) {
        CHECK_EQ(e->code, -EIO);
        seen += 1 + walk(e->inner);
    }
    return seen;
}

TEST(the_group_a_producer_failed_with_can_be_read_each_time)
{
    weft_gen g;
    struct source s = {0};
    void *item;
    CHECK_EQ(weft_gen_open(&g, gathers_failures, &s), 0);
    CHECK_EQ(weft_gen_next(&g, &item), 1);
    for (int i = 0; i < 3; i++) {
        check_no_next(&g, -EIO);
        CHECK_EQ(weft_last_error()->code, -EIO);
        CHECK(walk(weft_last_error()) >= 1);
        (void)weft_fail(-EPROTO, "something else");
    }
    CHECK_EQ(weft_gen_close(&g), -EIO);
    CHECK_EQ(walk(weft_last_error()), 4);
}

static int consumes_and_returns(void *arg)
{
    weft_gen g;
    void *item;
    CHECK_EQ(weft_gen_open(&g, produces_words_and_fails, arg), 0);
    int rc;
    while ((rc = weft_gen_next(&g, &item)) == 1) {
    }
    int err = weft_gen_close(&g);
    CHECK_EQ(err, rc);
    return rc;
}

TEST(the_words_of_a_producer_reach_the_nursery_of_its_consumer)
{
    weft_job job = {.fn = consumes_and_returns, .arg = "bread"};
    CHECK_EQ(weft_gather(&job, 1, NULL), -EPROTO);
    CHECK_STR(weft_last_error()->msg, "no more bread");
}

TEST(an_item_made_at_the_moment_of_the_deadline_is_the_next_one)
{
    weft_gen g;
    struct source s = {.count = 2, .pause = WEFT_MSEC(5)};
    int rc;
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        void *item;
        rc = weft_gen_next(&g, &item);
    }
    /* Deadlines expire before the producer of that moment runs. */
    CHECK_EQ(rc, -ETIMEDOUT);
    check_next(&g, 0);
    check_next(&g, 1);
    check_no_next(&g, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
}

/* ---- close -------------------------------------------------------------- */

TEST(close_waits_for_the_clean_up)
{
    weft_gen g;
    struct source s = {.count = 2, .cleanup = WEFT_MSEC(7)};
    weft_time start = weft_now();
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    check_next(&g, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(7));
    CHECK(s.ended);
}

TEST(close_stops_a_producer_in_the_middle_of_a_step)
{
    weft_gen g;
    struct source s = {.count = 2, .pause = WEFT_SEC(1)};
    weft_time start = weft_now();
    int rc;
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(5))
        check_no_next(&g, -ECANCELED);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5));
    CHECK_EQ(s.stopped_by, -ECANCELED);
    CHECK(!s.in_yield);
    CHECK_EQ(s.made, 0);
}

static int shields_its_step(weft_gen *g, void *arg)
{
    struct source *s = arg;
    int rc;
    s->ran++;
    WEFT_SHIELD(rc, WEFT_SEC(1))
        rc = weft_sleep(WEFT_MSEC(9));
    if (rc < 0) return rc;
    s->made++;
    rc = weft_gen_yield(g, s);
    s->ended = true;
    return rc;
}

TEST(close_in_the_middle_of_a_shielded_step_hands_out_nothing)
{
    weft_gen g;
    struct source s = {0};
    weft_time start = weft_now();
    int rc;
    CHECK_EQ(weft_gen_open(&g, shields_its_step, &s), 0);
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(5))
        check_no_next(&g, -ECANCELED);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(9));
    CHECK_EQ(s.made, 1);
    CHECK(s.ended);
}

TEST(a_failure_during_the_close_is_its_answer)
{
    weft_gen g;
    struct source s = {.count = 2, .cleanup = WEFT_MSEC(1), .late = -EIO};
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    check_next(&g, 0);
    CHECK_EQ(weft_gen_close(&g), -EIO);
    CHECK_EQ(weft_last_error()->code, -EIO);
    CHECK_EQ(weft_checkpoint(), 0);
}

static int ignores_its_end(weft_gen *g, void *arg)
{
    struct source *s = arg;
    for (int i = 0; i < 10; i++) {
        s->made++;
        s->stopped_by = weft_gen_yield(g, s);
        if (s->stopped_by == -ECANCELED) s->back++;
    }
    s->ended = true;
    return s->code;
}

TEST(a_producer_that_goes_on_yielding_is_told_each_time)
{
    weft_gen g;
    struct source s = {.code = 0};
    void *item;
    CHECK_EQ(weft_gen_open(&g, ignores_its_end, &s), 0);
    CHECK_EQ(weft_gen_next(&g, &item), 1);
    CHECK_EQ(weft_gen_next(&g, &item), 1);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(s.made, 10);
    CHECK_EQ(s.back, 9);
    CHECK(s.ended);
}

static int yields_under_a_shield(weft_gen *g, void *arg)
{
    struct source *s = arg;
    int err = 0, rc;
    WEFT_SHIELD(rc, WEFT_SEC(1)) {
        while (err == 0) {
            s->made++;
            err = weft_gen_yield(g, s);
        }
        s->stopped_by = err;
        s->back = weft_sleep(WEFT_MSEC(3)); /* for real clean-up */
        s->in_yield = weft_gen_yield(g, s) == -ECANCELED;
        rc = err;
    }
    s->ended = true;
    return rc;
}

TEST(a_shield_does_not_hide_from_yield_that_nobody_will_ask)
{
    weft_gen g;
    struct source s = {0};
    void *item;
    weft_time start = weft_now();
    CHECK_EQ(weft_gen_open(&g, yields_under_a_shield, &s), 0);
    CHECK_EQ(weft_gen_next(&g, &item), 1);
    CHECK_EQ(weft_gen_next(&g, &item), 1);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(3));
    CHECK_EQ(s.made, 2);
    CHECK_EQ(s.stopped_by, -ECANCELED);
    CHECK_EQ(s.back, 0);
    CHECK(s.in_yield);
    CHECK(s.ended);
}

static int yields_in_its_clean_up(weft_gen *g, void *arg)
{
    struct source *s = arg;
    int err = weft_gen_yield(g, s), rc;
    if (err == 0) return 0;
    WEFT_SHIELD(rc, WEFT_SEC(1)) {
        s->stopped_by = weft_gen_yield(g, s);
        rc = weft_sleep(WEFT_MSEC(1));
    }
    CHECK_EQ(rc, 0);
    s->ended = true;
    return err;
}

TEST(a_yield_in_a_shielded_clean_up_hands_out_nothing_and_does_not_hang)
{
    weft_gen g;
    struct source s = {0};
    void *item;
    weft_time start = weft_now();
    CHECK_EQ(weft_gen_open(&g, yields_in_its_clean_up, &s), 0);
    CHECK_EQ(weft_gen_next(&g, &item), 1);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(1));
    CHECK_EQ(s.stopped_by, -ECANCELED);
    CHECK(s.ended);
}

static int sleeps(void *arg)
{
    weft_time *ns = arg;
    return weft_sleep(*ns);
}

TEST(close_nests_like_a_bracket)
{
    weft_gen a, b;
    weft_scope scope;
    weft_nursery n;
    struct source s = {.count = 3}, t = {.count = 3};
    CHECK_EQ(weft_gen_open(&a, produces, &s), 0);
    CHECK_EQ(weft_gen_open(&b, produces, &t), 0);
    check_next(&a, 0);
    CHECK_EQ(weft_gen_close(&a), -EBUSY);
    check_next(&a, 1); /* nothing has happened */
    check_next(&b, 0);
    CHECK_EQ(weft_gen_close(&b), 0);
    open_scope(&scope);
    CHECK_EQ(weft_gen_close(&a), -EBUSY);
    CHECK_EQ(weft_scope_end(&scope, 0), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_gen_close(&a), -EBUSY);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    check_next(&a, 2);
    CHECK_EQ(weft_gen_close(&a), 0);
    CHECK_EQ(weft_gen_close(&a), -ESHUTDOWN);
    CHECK_EQ(weft_gen_close(&b), -ESHUTDOWN);

    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_gen_open(&a, produces, &s), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EBUSY);
    CHECK_EQ(weft_gen_close(&a), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static int closes_anothers(void *arg)
{
    CHECK_EQ(weft_gen_close(arg), -EPERM);
    return 0;
}

TEST(only_who_opened_a_generator_may_close_it)
{
    weft_gen g;
    struct source s = {.count = 3};
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    check_next(&g, 0);
    weft_job job = {.fn = closes_anothers, .arg = &g};
    CHECK_EQ(weft_gather(&job, 1, NULL), 0);
    check_next(&g, 1);
    CHECK_EQ(weft_gen_close(&g), 0);
}

static int closes_itself(weft_gen *g, void *arg)
{
    *(int *)arg = weft_gen_close(g);
    return weft_gen_yield(g, arg);
}

TEST(a_producer_cannot_close_its_generator)
{
    weft_gen g;
    int result = 1;
    void *item;
    CHECK_EQ(weft_gen_open(&g, closes_itself, &result), 0);
    CHECK_EQ(weft_gen_next(&g, &item), 1);
    CHECK_EQ(result, -EPERM);
    CHECK_EQ(weft_gen_close(&g), 0);
}

/* ---- who may ask -------------------------------------------------------- */

static int asks_itself(weft_gen *g, void *arg)
{
    void *item = NULL;
    *(int *)arg = weft_gen_next(g, &item);
    CHECK(item == NULL);
    return weft_gen_yield(g, arg);
}

TEST(a_producer_cannot_ask_itself)
{
    weft_gen g;
    int result = 1;
    void *item;
    CHECK_EQ(weft_gen_open(&g, asks_itself, &result), 0);
    CHECK_EQ(weft_gen_next(&g, &item), 1);
    CHECK_EQ(result, -EPERM);
    check_no_next(&g, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
}

struct asker {
    weft_gen *g;
    weft_time before;
    weft_scope scope;
    int result;
    void *item;
    weft_time at;
};

static int asks(void *arg)
{
    struct asker *a = arg;
    int err = weft_sleep(a->before);
    if (err < 0) return err;
    open_scope(&a->scope);
    a->result = weft_gen_next(a->g, &a->item);
    a->at = weft_now();
    return weft_scope_end(&a->scope, 0);
}

TEST(a_child_may_ask_for_its_parent)
{
    weft_gen g;
    struct source s = {.count = 3};
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    check_next(&g, 0);
    for (int i = 1; i < 3; i++) {
        struct asker a = {.g = &g, .result = -1};
        weft_job job = {.fn = asks, .arg = &a};
        CHECK_EQ(weft_gather(&job, 1, NULL), 0);
        CHECK_EQ(a.result, 1);
        CHECK_EQ(*(int *)a.item, i);
    }
    check_no_next(&g, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
}

TEST(the_first_to_ask_may_be_a_child_that_then_ends)
{
    weft_gen g;
    struct source s = {.count = 2};
    struct asker a = {.g = &g, .result = -1};
    weft_job job = {.fn = asks, .arg = &a};
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    CHECK_EQ(weft_gather(&job, 1, NULL), 0);
    CHECK_EQ(*(int *)a.item, 0);
    check_next(&g, 1);
    CHECK_EQ(weft_gen_close(&g), 0);
}

TEST(one_may_ask_at_a_time)
{
    weft_gen g;
    weft_nursery n;
    struct source s = {.count = 3, .pause = WEFT_MSEC(5)};
    struct asker first = {.g = &g, .result = -1};
    struct asker second = {.g = &g, .before = WEFT_MSEC(2), .result = -1};
    weft_time start = weft_now();
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, asks, &first), 0);
    CHECK_EQ(weft_spawn(&n, asks, &second), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(3)), 0);
    check_no_next(&g, -EBUSY);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(first.result, 1);
    CHECK_EQ(*(int *)first.item, 0);
    CHECK_EQ(first.at - start, WEFT_MSEC(5));
    CHECK_EQ(second.result, -EBUSY);
    CHECK_EQ(second.at - start, WEFT_MSEC(2));
    CHECK(second.item == NULL);
    check_next(&g, 1);
    CHECK_EQ(weft_gen_close(&g), 0);
}

TEST_FIFO(who_has_been_answered_but_has_not_run_is_still_asking)
{
    weft_gen g;
    weft_nursery n;
    struct source s = {.count = 3, .pause = WEFT_MSEC(5)};
    struct asker a = {.g = &g, .result = -1};
    weft_time start = weft_now();
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, asks, &a), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(weft_sleep_until(start + WEFT_MSEC(5)), 0);
    CHECK_EQ(s.made, 1); /* the producer came first; the asker comes last */
    CHECK_EQ(a.result, -1);
    check_no_next(&g, -EBUSY);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(a.result, 1);
    check_next(&g, 1);
    CHECK_EQ(weft_gen_close(&g), 0);
}

TEST(several_fibers_in_turn_get_every_item_once)
{
    weft_gen g;
    struct source s = {.count = 12, .pause = WEFT_MSEC(1)};
    struct asker a[12];
    weft_job jobs[12];
    unsigned seen = 0;
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    for (int i = 0; i < 12; i++) {
        a[i] =
            (struct asker){.g = &g, .before = WEFT_MSEC(2 * i), .result = -1};
        jobs[i] = (weft_job){.fn = asks, .arg = &a[i]};
    }
    CHECK_EQ(weft_gather(jobs, 12, NULL), 0);
    for (int i = 0; i < 12; i++) {
        CHECK_EQ(a[i].result, 1);
        seen += 1u << *(int *)a[i].item;
    }
    CHECK_EQ(seen, 0xfff);
    check_no_next(&g, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
}

TEST(closing_under_a_fiber_that_asks_lets_it_go)
{
    weft_gen g;
    weft_nursery n;
    struct source s = {.count = 3, .pause = WEFT_SEC(1)};
    struct asker a = {.g = &g, .result = 77};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    CHECK_EQ(weft_spawn(&n, asks, &a), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(a.result, -ESHUTDOWN);
    CHECK(a.item == NULL);
    CHECK_EQ(s.made, 0);
}

/* ---- a next that is cancelled ------------------------------------------- */

TEST(a_cancelled_next_loses_nothing)
{
    weft_gen g;
    struct source s = {.count = 3, .pause = WEFT_MSEC(10)};
    weft_time start = weft_now();
    int rc;
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        void *item = NULL;
        rc = weft_gen_next(&g, &item);
        CHECK(item == NULL);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(weft_sleep(WEFT_MSEC(100)), 0);
    CHECK_EQ(s.made, 1); /* made meanwhile, and no step further */
    CHECK_EQ(s.back, 0);
    check_next(&g, 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(105));
    CHECK_EQ(weft_sleep(WEFT_MSEC(100)), 0);
    CHECK_EQ(s.made, 1);
    check_next(&g, 1);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(215));
    check_next(&g, 2);
    check_no_next(&g, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
}

TEST(a_next_after_a_cancelled_one_waits_for_the_item_under_way)
{
    weft_gen g;
    struct source s = {.count = 2, .pause = WEFT_MSEC(10)};
    weft_time start = weft_now();
    int rc;
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    for (int i = 0; i < 3; i++) {
        WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(3))
            check_no_next(&g, -ECANCELED);
    }
    check_next(&g, 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(10));
    CHECK_EQ(s.ran, 1);
    check_next(&g, 1);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(20));
    CHECK_EQ(weft_gen_close(&g), 0);
}

TEST(what_was_made_meanwhile_may_be_the_end)
{
    weft_gen g;
    struct source s = {.count = 0};
    struct source t = {.count = 1, .pause = WEFT_MSEC(5)};
    int rc;
    CHECK_EQ(weft_gen_open(&g, produces, &t), 0);
    check_next(&g, 0);
    WEFT_MOVE_ON_AFTER(rc, 0)
        check_no_next(&g, -ECANCELED);
    CHECK_EQ(t.back, 0); /* it was not even asked */
    check_no_next(&g, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    WEFT_MOVE_ON_AFTER(rc, 0)
        check_no_next(&g, -ECANCELED);
    CHECK_EQ(s.ran, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(s.ran, 0);
}

TEST(in_a_cancelled_scope_even_a_leftover_is_not_handed_out)
{
    weft_gen g;
    struct source s = {.count = 2, .pause = WEFT_MSEC(2)};
    int rc;
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(1))
        check_no_next(&g, -ECANCELED);
    CHECK_EQ(weft_sleep(WEFT_MSEC(9)), 0);
    WEFT_MOVE_ON_AFTER(rc, 0) {
        check_no_next(&g, -ECANCELED);
        check_no_next(&g, -ECANCELED);
    }
    check_next(&g, 0);
    check_next(&g, 1);
    check_no_next(&g, 0);
    WEFT_MOVE_ON_AFTER(rc, 0)
        check_no_next(&g, -ECANCELED);
    check_no_next(&g, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
}

TEST(a_leftover_nobody_fetched_is_gone_with_the_close)
{
    weft_gen g;
    struct source s = {.count = 2, .pause = WEFT_MSEC(2)};
    int rc;
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(1))
        check_no_next(&g, -ECANCELED);
    CHECK_EQ(weft_sleep(WEFT_MSEC(9)), 0);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(s.made, 1);
    CHECK_EQ(s.stopped_by, -ECANCELED);
    CHECK(s.in_yield);
}

static int cancels_the_asker(void *arg)
{
    struct asker *a = arg;
    int err = weft_sleep(WEFT_MSEC(5));
    if (err < 0) return err;
    weft_scope_cancel(&a->scope, 0, NULL);
    return 0;
}

TEST_FIFO(an_item_given_before_the_cancellation_is_given)
{
    weft_gen g;
    weft_nursery n;
    struct source s = {.count = 2, .pause = WEFT_MSEC(5)};
    struct asker a = {.g = &g, .result = -1};
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, asks, &a), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_yield(), 0); /* the producer sleeps */
    CHECK_EQ(weft_spawn(&n, cancels_the_asker, &a), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(a.result, 1);
    CHECK_EQ(*(int *)a.item, 0);
    check_next(&g, 1);
    CHECK_EQ(weft_gen_close(&g), 0);
}

TEST(an_item_and_a_cancellation_at_one_moment_lose_nothing)
{
    for (int order = 0; order < 2; order++) {
        weft_gen g;
        weft_nursery n;
        struct source s = {.count = 2, .pause = WEFT_MSEC(5)};
        struct asker a = {.g = &g, .result = -1};
        CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        if (order) CHECK_EQ(weft_spawn(&n, cancels_the_asker, &a), 0);
        CHECK_EQ(weft_spawn(&n, asks, &a), 0);
        if (!order) CHECK_EQ(weft_spawn(&n, cancels_the_asker, &a), 0);
        CHECK_EQ(weft_nursery_close(&n, 0), 0);
        CHECK(a.result == 1 || a.result == -ECANCELED);
        if (a.result == 1) CHECK_EQ(*(int *)a.item, 0);
        check_next(&g, a.result == 1);
        if (a.result != 1) check_next(&g, 1);
        check_no_next(&g, 0);
        CHECK_EQ(weft_gen_close(&g), 0);
    }
}

/* ---- cancelled from outside --------------------------------------------- */

TEST(a_deadline_around_both_stops_both)
{
    weft_gen g;
    struct source s = {
        .count = 9, .pause = WEFT_MSEC(2), .cleanup = WEFT_MSEC(3)};
    weft_time start = weft_now();
    int rc, got = 0;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        void *item;
        CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
        while ((rc = weft_gen_next(&g, &item)) == 1) {
            got++;
        }
        CHECK_EQ(rc, -ECANCELED);
        CHECK_EQ(weft_gen_close(&g), -ECANCELED);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(got, 2);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(8));
    CHECK(s.ended);
}

TEST(a_producer_stopped_from_outside_cleans_up_though_nobody_asks)
{
    weft_gen g;
    weft_scope scope;
    struct source s = {.count = 9};
    open_scope(&scope);
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    check_next(&g, 0);
    weft_scope_cancel(&scope, -EINTR, NULL);
    CHECK_EQ(weft_gen_close(&g), -ECANCELED);
    CHECK_EQ(s.stopped_by, -ECANCELED);
    CHECK(s.ended);
    CHECK_EQ(weft_scope_end(&scope, -ECANCELED), -EINTR);
}

TEST(a_shielded_consumer_is_told_that_the_producer_was_stopped)
{
    weft_gen g;
    weft_scope scope;
    struct source s = {.count = 9, .cleanup = WEFT_MSEC(3)};
    int rc;
    open_scope(&scope);
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    check_next(&g, 0);
    weft_scope_cancel(&scope, -EINTR, NULL);
    WEFT_SHIELD(rc, WEFT_SEC(1)) {
        check_no_next(&g, -ESHUTDOWN);
        check_no_next(&g, -ESHUTDOWN);
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    }
    check_no_next(&g, -ECANCELED);
    CHECK_EQ(weft_gen_close(&g), -ECANCELED);
    CHECK(s.ended);
    CHECK_EQ(weft_scope_end(&scope, -ECANCELED), -EINTR);
}

TEST(a_shielded_consumer_that_waits_is_told_too)
{
    weft_gen g;
    struct source s = {.count = 9, .pause = WEFT_SEC(1)};
    int rc, inner;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
        WEFT_SHIELD(inner, WEFT_SEC(9)) {
            void *item = NULL;
            inner = weft_gen_next(&g, &item);
            CHECK_EQ(inner, -ESHUTDOWN);
        }
        rc = weft_gen_close(&g);
        CHECK_EQ(rc, -ECANCELED);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
}

TEST(a_producer_that_ends_well_although_stopped_has_ended)
{
    weft_gen g;
    weft_scope scope;
    struct source s = {.count = 9, .late = 1};
    int rc;
    open_scope(&scope);
    CHECK_EQ(weft_gen_open(&g, ignores_its_end, &s), 0);
    void *item;
    CHECK_EQ(weft_gen_next(&g, &item), 1);
    weft_scope_cancel(&scope, -EINTR, NULL);
    WEFT_SHIELD(rc, WEFT_SEC(1))
        check_no_next(&g, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK(s.ended);
    CHECK_EQ(weft_scope_end(&scope, 0), 0);
}

TEST(a_failure_of_a_stopped_producer_beats_the_cancellation)
{
    weft_gen g;
    weft_scope scope;
    struct source s = {.count = 9, .late = -EIO};
    int rc;
    open_scope(&scope);
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    check_next(&g, 0);
    weft_scope_cancel(&scope, -EINTR, NULL);
    WEFT_SHIELD(rc, WEFT_SEC(1))
        check_no_next(&g, -EIO);
    CHECK_EQ(weft_gen_close(&g), -EIO);
    CHECK_EQ(weft_scope_end(&scope, -ECANCELED), -EINTR);
}

TEST(opening_and_closing_work_in_a_cancelled_scope)
{
    weft_gen g;
    weft_scope scope;
    struct source s = {.count = 9};
    open_scope(&scope);
    weft_scope_cancel(&scope, -EINTR, NULL);
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    check_no_next(&g, -ECANCELED);
    int rc = weft_gen_close(&g);
    CHECK(rc == 0 || rc == -ECANCELED); /* nothing was stopped, or all was */
    CHECK_EQ(s.made, 0);
    CHECK_EQ(weft_scope_end(&scope, -ECANCELED), -EINTR);
}

TEST(a_generator_in_a_shield_goes_on)
{
    weft_gen g;
    weft_scope scope;
    struct source s = {.count = 2, .pause = WEFT_MSEC(1)};
    int rc;
    open_scope(&scope);
    weft_scope_cancel(&scope, -EINTR, NULL);
    WEFT_SHIELD(rc, WEFT_SEC(1)) {
        CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
        check_next(&g, 0);
        check_next(&g, 1);
        check_no_next(&g, 0);
        CHECK_EQ(weft_gen_close(&g), 0);
    }
    CHECK_EQ(weft_scope_end(&scope, -ECANCELED), -EINTR);
}

static int consumes_for_ever(void *arg)
{
    struct source *s = arg;
    weft_gen g;
    void *item;
    int rc = weft_gen_open(&g, produces, s);
    CHECK_EQ(rc, 0);
    while ((rc = weft_gen_next(&g, &item)) == 1) {
        rc = weft_sleep(WEFT_MSEC(1));
        if (rc < 0) break;
    }
    int err = weft_gen_close(&g);
    if (!s->ended || s->stopped_by) CHECK(s->ran == 0 || err == -ECANCELED);
    return rc < 0 ? rc : err;
}

TEST(the_failure_of_a_sibling_stops_consumer_and_producer)
{
    /* In the body, in next, and between. */
    for (int i = 0; i < 12; i++) {
        weft_nursery n;
        struct source s = {.count = MOST, .pause = i % 2 ? WEFT_MSEC(2) : 0};
        weft_time when = WEFT_USEC(500 * i);
        CHECK_EQ(weft_nursery_open(&n, NULL), 0);
        CHECK_EQ(weft_spawn(&n, consumes_for_ever, &s), 0);
        CHECK_EQ(weft_spawn(&n, fails_later, &when), 0);
        CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
        CHECK(weft_last_error()->next == NULL);
        CHECK(s.ran == 0 || s.ended);
    }
}

TEST(a_generator_of_a_daemon_was_stopped_from_outside)
{
    const weft_spawn_opts daemon = {.daemon = true};
    weft_nursery n;
    struct source s = {.count = MOST, .pause = WEFT_SEC(1)};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, consumes_for_ever, &s, &daemon), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK(s.ended);
}

TEST(a_losing_consumer_takes_its_producer_with_it)
{
    struct source s = {.count = MOST, .pause = WEFT_MSEC(2), .cleanup = 1};
    weft_time when = WEFT_MSEC(5);
    weft_job jobs[] = {{.fn = consumes_for_ever, .arg = &s},
                       {.fn = sleeps, .arg = &when}};
    CHECK_EQ(weft_race(jobs, 2, WEFT_RACE_OK), 1);
    CHECK_EQ(jobs[0].status, WEFT_CANCELLED);
    CHECK(s.ended);
}

/* ---- scopes in the producer --------------------------------------------- */

static int yields_with_a_deadline(weft_gen *g, void *arg)
{
    struct source *s = arg;
    int rc;
    s->items[0] = 0;
    s->items[1] = 1;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5))
        rc = weft_gen_yield(g, &s->items[0]);
    s->stopped_by = rc;
    return weft_gen_yield(g, &s->items[1]);
}

TEST(a_deadline_of_the_producer_is_told_when_the_item_is_back)
{
    weft_gen g;
    struct source s = {.stopped_by = 77};
    weft_time start = weft_now();
    CHECK_EQ(weft_gen_open(&g, yields_with_a_deadline, &s), 0);
    check_next(&g, 0);
    CHECK_EQ(weft_deadline(), WEFT_FOREVER);
    CHECK_EQ(weft_sleep(WEFT_MSEC(20)), 0);
    CHECK_EQ(s.stopped_by, 77); /* the item is lent */
    CHECK_EQ(weft_checkpoint(), 0);
    check_next(&g, 1);
    CHECK_EQ(s.stopped_by, -ETIMEDOUT);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(20));
    check_no_next(&g, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
}

TEST(a_producers_expired_deadline_does_not_hide_the_close)
{
    weft_gen g;
    struct source s = {.stopped_by = 77};
    CHECK_EQ(weft_gen_open(&g, yields_with_a_deadline, &s), 0);
    check_next(&g, 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(20)), 0);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(s.stopped_by, -ECANCELED); /* the outer one wins */
}

TEST(asked_in_time_the_producers_deadline_does_nothing)
{
    weft_gen g;
    struct source s = {0};
    CHECK_EQ(weft_gen_open(&g, yields_with_a_deadline, &s), 0);
    check_next(&g, 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(4)), 0);
    check_next(&g, 1);
    CHECK_EQ(s.stopped_by, 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(20)), 0);
    check_no_next(&g, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
}

static int yields_in_a_dead_scope(weft_gen *g, void *arg)
{
    struct source *s = arg;
    int rc;
    s->items[0] = 0;
    s->items[1] = 1;
    WEFT_FAIL_AFTER(rc, 0)
        rc = weft_gen_yield(g, &s->items[0]);
    s->stopped_by = rc;
    return weft_gen_yield(g, &s->items[1]);
}

TEST(a_yield_that_was_cancelled_before_it_began_hands_out_nothing)
{
    weft_gen g;
    struct source s = {0};
    CHECK_EQ(weft_gen_open(&g, yields_in_a_dead_scope, &s), 0);
    check_next(&g, 1);
    CHECK_EQ(s.stopped_by, -ETIMEDOUT);
    check_no_next(&g, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
}

TEST(a_lent_item_stays_valid_although_the_producer_is_cancelled)
{
    weft_gen g;
    weft_scope scope;
    struct source s = {.count = 3};
    void *item;
    int rc;
    open_scope(&scope);
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    CHECK_EQ(weft_gen_next(&g, &item), 1);
    weft_scope_cancel(&scope, -EINTR, NULL);
    WEFT_SHIELD(rc, WEFT_SEC(1))
        rc = weft_sleep(WEFT_MSEC(5));
    CHECK(!s.ended);
    CHECK_EQ(*(int *)item, 0);
    check_no_next(&g, -ECANCELED); /* not asked: it is lent still */
    WEFT_SHIELD(rc, WEFT_SEC(1))
        rc = weft_sleep(WEFT_MSEC(5));
    CHECK(!s.ended);
    CHECK_EQ(weft_gen_close(&g), -ECANCELED);
    CHECK(s.ended);
    CHECK_EQ(weft_scope_end(&scope, -ECANCELED), -EINTR);
}

static int sums_in_helpers(weft_gen *g, void *arg)
{
    struct source *s = arg;
    for (int i = 0; i < 3; i++) {
        weft_time wait[2] = {WEFT_MSEC(1), WEFT_MSEC(s->count)};
        weft_job jobs[2] = {{.fn = sleeps, .arg = &wait[0]},
                            {.fn = sleeps, .arg = &wait[1]}};
        int err = weft_gather(jobs, 2, NULL);
        if (err < 0) return stop(s, err, false);
        s->items[i] = i;
        err = weft_gen_yield(g, &s->items[i]);
        if (err < 0) return stop(s, err, true);
    }
    return 0;
}

TEST(a_producer_may_have_children_of_its_own)
{
    weft_gen g;
    struct source s = {.count = 2};
    weft_stats stats;
    int rc;
    CHECK_EQ(weft_gen_open(&g, sums_in_helpers, &s), 0);
    check_next(&g, 0);
    check_next(&g, 1);
    WEFT_MOVE_ON_AFTER(rc, WEFT_USEC(1500))
        check_no_next(&g, -ECANCELED);
    CHECK_EQ(weft_gen_close(&g), 0); /* while its children sleep */
    CHECK(s.ended);
    weft_stats_read(&stats);
    CHECK_EQ(stats.fibers, 1);
}

/* ---- several generators ------------------------------------------------- */

TEST(two_generators_can_be_zipped)
{
    weft_gen a, b;
    struct source s = {.count = 5, .pause = WEFT_MSEC(1)};
    struct source t = {.count = 3};
    int pairs = 0;
    CHECK_EQ(weft_gen_open(&a, produces, &s), 0);
    CHECK_EQ(weft_gen_open(&b, produces, &t), 0);
    for (;;) {
        void *x, *y;
        int rc = weft_gen_next(&a, &x);
        if (rc == 1) rc = weft_gen_next(&b, &y);
        CHECK(rc >= 0);
        if (rc == 0) break;
        CHECK_EQ(*(int *)x, *(int *)y);
        CHECK_EQ(*(int *)x, pairs++);
    }
    CHECK_EQ(pairs, 3);
    CHECK_EQ(s.made, 4);
    CHECK_EQ(weft_gen_close(&b), 0);
    CHECK_EQ(weft_gen_close(&a), 0);
    CHECK(s.in_yield);
}

struct stage {
    int depth, items;
    int ended; /* order of the ends */
    int values[3];
};

static struct stage stages[6];
static int stages_ended;

/* Each stage doubles what comes from the one below. */
static int doubles(weft_gen *g, void *arg)
{
    struct stage *s = arg;
    int rc = 0;
    if (s->depth == 0) {
        for (int i = 1; i <= s->items && rc == 0; i++) {
            s->values[i % 3] = i;
            rc = weft_sleep(WEFT_MSEC(1));
            if (rc == 0) rc = weft_gen_yield(g, &s->values[i % 3]);
        }
    } else {
        weft_gen below;
        void *item;
        rc = weft_gen_open(&below, doubles, s - 1);
        CHECK_EQ(rc, 0);
        for (int i = 0; (rc = weft_gen_next(&below, &item)) == 1; i++) {
            s->values[i % 3] = 2 * *(int *)item;
            rc = weft_gen_yield(g, &s->values[i % 3]);
            if (rc < 0) break;
        }
        int err = weft_gen_close(&below);
        if (rc >= 0) rc = err;
    }
    s->ended = ++stages_ended;
    return rc;
}

static void prepare_stages(int items)
{
    for (int i = 0; i < 6; i++) {
        stages[i] = (struct stage){.depth = i, .items = items};
    }
    stages_ended = 0;
}

TEST(generators_stand_on_generators)
{
    weft_gen g;
    prepare_stages(7);
    CHECK_EQ(weft_gen_open(&g, doubles, &stages[5]), 0);
    for (int i = 1; i <= 7; i++) {
        check_next(&g, 32 * i);
    }
    check_no_next(&g, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
    for (int i = 0; i < 6; i++) {
        CHECK_EQ(stages[i].ended, i + 1);
    }
}

TEST(closing_the_top_closes_all_below_from_the_bottom)
{
    weft_gen g;
    prepare_stages(7);
    CHECK_EQ(weft_gen_open(&g, doubles, &stages[5]), 0);
    check_next(&g, 32);
    check_next(&g, 64);
    CHECK_EQ(weft_gen_close(&g), 0);
    for (int i = 0; i < 6; i++) {
        CHECK_EQ(stages[i].ended, i + 1);
    }
}

TEST(a_cancelled_next_at_the_top_loses_nothing_at_the_bottom)
{
    weft_gen g;
    int rc;
    prepare_stages(5);
    CHECK_EQ(weft_gen_open(&g, doubles, &stages[5]), 0);
    for (int i = 1; i <= 5; i++) {
        WEFT_MOVE_ON_AFTER(rc, WEFT_USEC(500))
            check_no_next(&g, -ECANCELED);
        if (i % 2) CHECK_EQ(weft_sleep(WEFT_MSEC(3)), 0);
        check_next(&g, 32 * i);
    }
    check_no_next(&g, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
}

TEST(a_deadline_over_five_generators_stops_them_all)
{
    weft_gen g;
    int rc;
    prepare_stages(50);
    WEFT_FAIL_AFTER(rc, WEFT_USEC(4500)) {
        void *item;
        CHECK_EQ(weft_gen_open(&g, doubles, &stages[5]), 0);
        while ((rc = weft_gen_next(&g, &item)) == 1) {
        }
        CHECK_EQ(weft_gen_close(&g), -ECANCELED);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(stages_ended, 6);
}

static int counts_for_ever(weft_gen *g, void *arg)
{
    int *i = arg, err = 0;
    while (err == 0) {
        ++*i;
        err = weft_gen_yield(g, i);
    }
    return err;
}

TEST(a_hundred_thousand_items_take_two_switches_each)
{
    weft_gen g;
    weft_stats before, after;
    int i = 0;
    enum { ITEMS = 100000 };
    CHECK_EQ(weft_gen_open(&g, counts_for_ever, &i), 0);
    check_next(&g, 1);
    weft_stats_read(&before);
    for (int k = 2; k <= ITEMS; k++) {
        check_next(&g, k);
    }
    weft_stats_read(&after);
    CHECK(after.switches - before.switches <= 2 * ITEMS);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(i, ITEMS);
}

TEST(a_generator_that_is_always_ready_lets_others_run)
{
    weft_gen g;
    weft_nursery n;
    unsigned turns = 0;
    int i = 0;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, shows_that_it_runs, &turns), 0);
    CHECK_EQ(weft_gen_open(&g, counts_for_ever, &i), 0);
    for (int k = 1; k <= 1000; k++) {
        check_next(&g, k);
    }
    CHECK(turns >= 5);
    CHECK_EQ(weft_gen_close(&g), 0);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static int deferred_yield = 1;
static weft_gen *deferring;

static void yields_in_a_defer(void *arg)
{
    deferred_yield = weft_gen_yield(deferring, arg);
}

static int defers_a_yield(weft_gen *g, void *arg)
{
    deferring = g;
    CHECK_EQ(weft_defer(yields_in_a_defer, arg), 0);
    return weft_gen_yield(g, arg);
}

TEST(what_a_producer_defers_cannot_hang_it_by_a_yield)
{
    weft_gen g;
    void *item;
    int x;
    CHECK_EQ(weft_gen_open(&g, defers_a_yield, &x), 0);
    CHECK_EQ(weft_gen_next(&g, &item), 1);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK(deferred_yield == -ECANCELED || deferred_yield == -EPERM);
}

static void sleeps_in_a_defer(void *arg)
{
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    ++*(int *)arg;
}

static int defers_a_sleep(weft_gen *g, void *arg)
{
    CHECK_EQ(weft_defer(sleeps_in_a_defer, arg), 0);
    return weft_gen_yield(g, arg);
}

TEST(what_a_producer_defers_has_been_done_when_close_returns)
{
    weft_gen g;
    void *item;
    int slept = 0;
    weft_time start = weft_now();
    CHECK_EQ(weft_gen_open(&g, defers_a_sleep, &slept), 0);
    CHECK_EQ(weft_gen_next(&g, &item), 1);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(slept, 1);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5));

    CHECK_EQ(weft_gen_open(&g, defers_a_sleep, &slept), 0);
    CHECK_EQ(weft_gen_next(&g, &item), 1);
    check_no_next(&g, 0);
    CHECK_EQ(weft_gen_close(&g), 0);
    CHECK_EQ(slept, 2);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(10));
}

TEST(a_fiber_that_asks_does_not_touch_a_closed_generator)
{
    weft_nursery n;
    weft_gen *g = malloc(sizeof *g);
    CHECK(g != NULL);
    struct source s = {.count = 3, .pause = WEFT_SEC(1)};
    struct asker a = {.g = g, .result = 77};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_gen_open(g, produces, &s), 0);
    CHECK_EQ(weft_spawn(&n, asks, &a), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    CHECK_EQ(weft_gen_close(g), 0);
    memset(g, 0xa5, sizeof *g); /* the caller's again */
    free(g);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(a.result, -ESHUTDOWN);
    CHECK(a.item == NULL);
}

static weft_gen *outer_gen;
static int wrong_yield = 1;

static int yields_to_the_wrong_one(weft_gen *g, void *arg)
{
    wrong_yield = weft_gen_yield(outer_gen, arg);
    return weft_gen_yield(g, arg);
}

static int stands_on_the_wrong_one(weft_gen *g, void *arg)
{
    weft_gen inner;
    void *item;
    outer_gen = g;
    CHECK_EQ(weft_gen_open(&inner, yields_to_the_wrong_one, arg), 0);
    CHECK_EQ(weft_gen_next(&inner, &item), 1);
    CHECK_PTR(item, arg);
    CHECK_EQ(weft_gen_close(&inner), 0);
    return weft_gen_yield(g, arg);
}

TEST(a_producer_cannot_yield_to_the_generator_above)
{
    weft_gen g;
    void *item;
    int x;
    CHECK_EQ(weft_gen_open(&g, stands_on_the_wrong_one, &x), 0);
    CHECK_EQ(weft_gen_next(&g, &item), 1);
    CHECK_EQ(wrong_yield, -EPERM);
    CHECK_PTR(item, &x);
    CHECK_EQ(weft_gen_close(&g), 0);
}

TEST(who_asks_from_outside_the_cancelled_scope_is_told)
{
    weft_gen g;
    weft_nursery n;
    weft_scope scope;
    struct source s = {.count = 3, .pause = WEFT_SEC(1)};
    struct asker a = {.g = &g, .result = 77};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    open_scope(&scope);
    CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
    CHECK_EQ(weft_spawn(&n, asks, &a), 0); /* outside of that scope */
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    weft_scope_cancel(&scope, -EINTR, NULL);
    CHECK_EQ(weft_gen_close(&g), -ECANCELED);
    CHECK_EQ(weft_scope_end(&scope, -ECANCELED), -EINTR);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(a.result, -ESHUTDOWN);
}

static int consumes_in_its_clean_up(void *arg)
{
    struct source s = {.count = 3, .pause = WEFT_MSEC(1)};
    weft_gen g;
    int err = weft_sleep_until(WEFT_FOREVER), rc;
    WEFT_SHIELD(rc, WEFT_SEC(1)) {
        CHECK_EQ(weft_gen_open(&g, produces, &s), 0);
        for (int i = 0; i < 3; i++) {
            check_next(&g, i);
        }
        check_no_next(&g, 0);
        CHECK_EQ(weft_gen_close(&g), 0);
    }
    *(bool *)arg = true;
    return err;
}

TEST(a_shielded_clean_up_may_use_a_generator)
{
    bool done = false;
    weft_time when = WEFT_MSEC(1);
    weft_job jobs[] = {{.fn = consumes_in_its_clean_up, .arg = &done},
                       {.fn = fails_later, .arg = &when}};
    CHECK_EQ(weft_gather(jobs, 2, NULL), -EIO);
    CHECK(done);
}

/* ---- against a model ---------------------------------------------------- */

struct pauses {
    weft_time before[MOST];
    int count, code, values[MOST];
};

static int produces_with_pauses(weft_gen *g, void *arg)
{
    struct pauses *p = arg;
    for (int i = 0; i <= p->count; i++) {
        int err = weft_sleep(p->before[i]);
        if (err < 0) return err;
        if (i == p->count) break;
        p->values[i] = i;
        err = weft_gen_yield(g, &p->values[i]);
        if (err < 0) return err;
    }
    return p->code;
}

/* The producer makes item i from the moment it is first asked for it, however
 * often the asking is given up. */
TEST(random_asking_gets_every_item_as_soon_as_it_is_made)
{
    random_begin(test_seed());
    for (int round = 0; round < 500; round++) {
        weft_gen g;
        struct pauses p = {.count = (int)random_below(MOST - 1),
                           .code = random_below(2) ? 0 : -EPROTO};
        for (int i = 0; i <= p.count; i++) {
            p.before[i] = WEFT_MSEC(random_below(6)); /* whole ones; */
        }
        CHECK_EQ(weft_gen_open(&g, produces_with_pauses, &p), 0);
        int i = 0;
        weft_time ready = -1; /* when item i is; -1: nobody has asked yet */
        for (int step = 0; step < 40; step++) {
            if (random_below(3) == 0)
                CHECK_EQ(weft_sleep(WEFT_MSEC(random_below(4))), 0);
            /* no moment is that of an item and of a deadline */
            weft_time patience = WEFT_MSEC(random_below(6)) + WEFT_USEC(1);
            weft_time start = weft_now();
            void *item = NULL;
            int rc = 77, mapped;
            if (i <= p.count && ready < 0) ready = start + p.before[i];
            WEFT_MOVE_ON_AFTER(mapped, patience) {
                mapped = rc = weft_gen_next(&g, &item);
            }
            weft_time done = ready > start ? ready : start;
            if (i > p.count) done = start;
            if (done > start + patience) {
                CHECK_EQ(rc, -ECANCELED);
                CHECK_EQ(weft_now(), start + patience);
                CHECK(item == NULL);
                continue;
            }
            CHECK_EQ(weft_now(), done);
            if (i >= p.count) {
                CHECK_EQ(rc, p.code);
                i = p.count + 1;
                continue;
            }
            CHECK_EQ(rc, 1);
            CHECK_EQ(*(int *)item, i);
            i++;
            ready = -1;
        }
        int rc = weft_gen_close(&g);
        CHECK(rc == 0 || (rc == p.code && i >= p.count));
        if (i > p.count) CHECK_EQ(rc, p.code);
    }
}

TEST_PLAIN(a_generator_needs_a_fiber)
{
    weft_gen g;
    void *item = NULL;
    memset(&g, 0, sizeof g);
    CHECK_EQ(weft_gen_open(&g, produces, NULL), -EPERM);
    CHECK_EQ(weft_gen_next(&g, &item), -EPERM);
    CHECK_EQ(weft_gen_yield(&g, item), -EPERM);
    CHECK(item == NULL);
}

/* ---- at every moment ---------------------------------------------------- */

static int producers_ended, producers_began, lost;

/* Items are counted numbers: who gets n + 1 after n has lost nothing. */
static int counts_up(weft_gen *g, void *arg)
{
    int item = 0, err = 0;
    (void)arg;
    producers_began++;
    while (err == 0 && item < 8) {
        if (item % 3 == 1) err = weft_sleep(WEFT_MSEC(1));
        item++;
        if (err == 0) err = weft_gen_yield(g, &item);
    }
    producers_ended++;
    return err;
}

/* Asks with short deadlines, and opens another one in between. */
static int consumes(void *arg)
{
    weft_gen g, other;
    void *item;
    int last = 0, rc, inner;
    rc = weft_gen_open(&g, counts_up, NULL);
    if (rc < 0) return rc; /* without memory */
    while (last < 8) {
        inner = 0;
        WEFT_MOVE_ON_AFTER(rc, arg ? WEFT_USEC(300) : WEFT_SEC(1)) {
            rc = inner = weft_gen_next(&g, &item);
        }
        if (rc == 0) {
            if (inner == 0) break;
            continue; /* that was ours, and it is asked again */
        }
        if (rc < 0) break;
        lost += *(int *)item != ++last;
        if (last != 3) continue;
        rc = weft_gen_open(&other, counts_up, NULL);
        if (rc < 0) break;
        rc = weft_gen_next(&other, &item);
        int err = weft_gen_close(&other);
        CHECK(err == 0 || err == -ECANCELED);
        if (rc < 0) break;
    }
    int err = weft_gen_close(&g);
    CHECK(err == 0 || err == -ECANCELED);
    if (rc >= 0 && err == 0) CHECK_EQ(last, 8);
    return rc < 0 ? rc : err;
}

static void start_consuming(weft_nursery *n)
{
    sweep_spawn(n, consumes, NULL);
    sweep_spawn(n, consumes, "short");
    sweep_spawn(n, consumes, NULL);
}

static void check_nothing_is_lost(void)
{
    CHECK_EQ(producers_ended, producers_began);
    CHECK_EQ(lost, 0);
}

SWEEP(whenever_a_consumer_is_stopped_its_producer_ends_and_no_item_is_lost,
      start_consuming, check_nothing_is_lost, SWEEP_SPARE_CHILDREN);

static int generates_scarcely(void *arg)
{
    weft_gen g;
    void *item;
    (void)arg;
    for (int i = 0; i < 4; i++) {
        struct source s = {.count = 3, .code = i % 2 ? -EPROTO : 0};
        int rc = weft_gen_open(&g, produces, &s), got = 0;
        CHECK(rc == 0 || rc == -ENOMEM);
        if (rc < 0) {
            CHECK_EQ(s.ran, 0);
            CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
            continue;
        }
        while ((rc = weft_gen_next(&g, &item)) == 1) {
            CHECK_EQ(*(int *)item, got++);
        }
        if (rc ==
            -ENOMEM) { /* if the fiber is made only when it is asked for */
            CHECK_EQ(got, 0);
        } else {
            CHECK_EQ(rc, s.code);
            CHECK_EQ(got, 3);
        }
        int err = weft_gen_close(&g);
        CHECK(err == rc || (rc == -ENOMEM && err == 0));
    }
    return 0;
}

STARVE(a_generator_without_memory_is_not_open, generates_scarcely)
