/* SPDX-License-Identifier: MIT */
/* test_foreach.c - the block form of generators, and every way out of it. */
#include <weft/debug.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/gather.h>
#include <weft/gen.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <string.h>

#include "harness.h"
#include "open.h"
#include "starve.h"
#include "sweep.h"
#include "unhandled.h"

struct source {
    int count;       /* hands out 0 ... count - 1, */
    weft_time pause; /* after a sleep before each, */
    int code;        /* and ends with this; when it is stopped */
    int late;        /* with this, unless it is 0 */
    int item, ran, made, ended;
    bool stopped;
};

static int produces(weft_gen *g, void *arg)
{
    struct source *s = arg;
    int err = 0;
    s->ran++;
    for (int i = 0; i < s->count && err == 0; i++) {
        if (s->pause) err = weft_sleep(s->pause);
        if (err < 0) break;
        s->item = i;
        s->made++;
        err = weft_gen_yield(g, &s->item);
    }
    s->ended++;
    s->stopped = err < 0;
    if (err < 0) return s->late ? s->late : err;
    return s->code;
}

static void check_nothing_is_open(void)
{
    weft_scope s;
    weft_stats stats;
    CHECK_EQ(weft_deadline(), WEFT_FOREVER);
    CHECK_EQ(weft_checkpoint(), 0);
    weft_stats_read(&stats);
    CHECK_EQ(stats.fibers, 1);
    open_scope(&s);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
}

/* ---- by its end, break and continue ------------------------------------- */

TEST(the_body_runs_once_for_each_item)
{
    struct source s = {.count = 5};
    int rc = 77, seen = 0;
    WEFT_FOREACH(int *, i, rc, produces, &s) {
        CHECK_EQ(rc, 0);
        CHECK_EQ(*i, seen++);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(seen, 5);
    CHECK_EQ(s.ended, 1);
    CHECK(!s.stopped);
    check_nothing_is_open();
}

TEST(without_items_the_body_does_not_run)
{
    struct source s = {0};
    int rc = 77;
    WEFT_FOREACH(int *, i, rc, produces, &s) {
        (void)i;
        test_fail(__FILE__, __LINE__, "it ran");
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.ended, 1);
    s = (struct source){.code = -EIO};
    WEFT_FOREACH(int *, i, rc, produces, &s) {
        (void)i;
        test_fail(__FILE__, __LINE__, "it ran");
    }
    CHECK_EQ(rc, -EIO);
    check_nothing_is_open();
}

TEST(a_block_without_braces_is_a_block)
{
    struct source s = {.count = 4};
    int rc, sum = 0;
    WEFT_FOREACH(int *, i, rc, produces, &s)
        sum += *i;
    CHECK_EQ(rc, 0);
    CHECK_EQ(sum, 6);
    if (sum == 6)
        WEFT_FOREACH(int *, i, rc, produces, &s)
            sum += *i;
    CHECK_EQ(sum, 12);
}

TEST(a_failure_of_the_producer_ends_the_loop_and_is_its_result)
{
    struct source s = {.count = 2, .code = -EPROTO};
    int rc, seen = 0;
    WEFT_FOREACH(int *, i, rc, produces, &s) {
        CHECK_EQ(*i, seen++);
    }
    CHECK_EQ(rc, -EPROTO);
    CHECK_EQ(seen, 2);
    CHECK_EQ(weft_last_error()->code, -EPROTO);
    check_nothing_is_open();
}

TEST(a_break_closes_and_is_no_failure)
{
    struct source s = {.count = 5};
    int rc = 77;
    WEFT_FOREACH(int *, i, rc, produces, &s) {
        if (*i == 2) break;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.made, 3);
    CHECK_EQ(s.ended, 1);
    CHECK(s.stopped);
    check_nothing_is_open();
}

TEST(a_failure_set_before_the_break_is_the_result)
{
    struct source s = {.count = 5};
    int rc;
    WEFT_FOREACH(int *, i, rc, produces, &s) {
        if (*i < 1) continue;
        rc = -EIO;
        break;
    }
    CHECK_EQ(rc, -EIO);
    CHECK_EQ(s.made, 2);
    check_nothing_is_open();
}

TEST(a_failure_of_the_close_after_a_break_is_the_result)
{
    struct source s = {.count = 5, .late = -ENOSPC};
    int rc;
    WEFT_FOREACH(int *, i, rc, produces, &s) {
        if (*i == 1) break;
    }
    CHECK_EQ(rc, -ENOSPC);
    CHECK_EQ(weft_last_error()->code, -ENOSPC);

    /* But the first failure is the answer. */
    WEFT_FOREACH(int *, i, rc, produces, &s) {
        rc = -EIO;
        if (*i == 1) break;
        rc = 0;
    }
    CHECK_EQ(rc, -EIO);
    check_nothing_is_open();
}

TEST(continue_asks_for_the_next)
{
    struct source s = {.count = 6};
    int rc, odd = 0;
    WEFT_FOREACH(int *, i, rc, produces, &s) {
        if (*i % 2 == 0) continue;
        odd++;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(odd, 3);
    CHECK_EQ(s.ended, 1);
    check_nothing_is_open();
}

static int hands_out_null(weft_gen *g, void *arg)
{
    int err = 0;
    for (int i = 0; i < *(int *)arg && err == 0; i++) {
        err = weft_gen_yield(g, NULL);
    }
    return err;
}

TEST(a_null_item_is_an_item)
{
    int rc, seen = 0;
    WEFT_FOREACH(char *, nothing, rc, hands_out_null, &(int){3}) {
        CHECK(nothing == NULL);
        seen++;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(seen, 3);
}

static int hands_out_words(weft_gen *g, void *arg)
{
    static const char *const words[] = {"one", "two", "three"};
    int err = 0;
    (void)arg;
    for (int i = 0; i < 3 && err == 0; i++) {
        err = weft_gen_yield(g, (void *)(uintptr_t)words[i]);
    }
    return err;
}

TEST(the_variable_has_the_type_that_was_asked_for)
{
    int rc;
    char all[32] = "";
    WEFT_FOREACH(const char *, word, rc, hands_out_words, NULL) {
        CHECK(sizeof *word == 1);
        strcat(all, word);
    }
    CHECK_EQ(rc, 0);
    CHECK_STR(all, "onetwothree");
}

TEST(the_producer_runs_only_when_the_body_asks)
{
    struct source s = {.count = 3};
    int rc;
    WEFT_FOREACH(int *, i, rc, produces, &s) {
        CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
        CHECK_EQ(s.made, *i + 1);
    }
    CHECK_EQ(rc, 0);
}

/* ---- by return and goto ------------------------------------------------- */

static int finds(struct source *s, int wanted)
{
    int rc;
    WEFT_FOREACH(int *, i, rc, produces, s) {
        if (*i == wanted) return 100 + *i;
    }
    return rc < 0 ? rc : -ENOENT;
}

TEST(a_return_closes_before_the_function_is_left)
{
    struct source s = {.count = 5};
    CHECK_EQ(finds(&s, 2), 102);
    CHECK_EQ(s.made, 3);
    CHECK_EQ(s.ended, 1);
    CHECK(s.stopped);
    check_nothing_is_open();
    CHECK_EQ(finds(&s, 9), -ENOENT);
    CHECK_EQ(s.ended, 2);
    check_nothing_is_open();
}

TEST(a_goto_closes_too)
{
    struct source s = {.count = 5};
    int rc, at = -1;
    WEFT_FOREACH(int *, i, rc, produces, &s) {
        at = *i;
        if (at == 3) goto out;
    }
    test_fail(__FILE__, __LINE__, "it went on");
out:
    CHECK_EQ(at, 3);
    CHECK_EQ(s.ended, 1);
    CHECK(s.stopped);
    check_nothing_is_open();
}

TEST(a_failure_that_a_return_loses_goes_to_the_hook_once)
{
    struct source s = {.count = 5, .late = -ENOSPC};
    weft_on_unhandled(note_unhandled);
    CHECK_EQ(finds(&s, 2), 102);
    CHECK_EQ(unhandled, 1);
    CHECK_EQ(unhandled_code, -ENOSPC);
    s = (struct source){.count = 5};
    CHECK_EQ(finds(&s, 2), 102);
    CHECK_EQ(unhandled, 1);
    weft_on_unhandled(NULL);
    check_nothing_is_open();
}

static int fails_in_the_body(struct source *s)
{
    int rc;
    WEFT_FOREACH(int *, i, rc, produces, s) {
        if (*i == 1) {
            rc = -EIO;
            return rc;
        }
    }
    return rc;
}

TEST(what_the_body_returns_itself_is_not_lost)
{
    struct source s = {.count = 5};
    weft_on_unhandled(note_unhandled);
    CHECK_EQ(fails_in_the_body(&s), -EIO);
    CHECK_EQ(unhandled, 0);
    CHECK_EQ(s.ended, 1);
    weft_on_unhandled(NULL);
    check_nothing_is_open();
}

static int returns_from_the_depth(struct source *a, struct source *b)
{
    int outer, inner, rc;
    WEFT_FOREACH(int *, i, outer, produces, a) {
        WEFT_NURSERY(n, rc) {
            WEFT_FAIL_AFTER(rc, WEFT_SEC(1)) {
                WEFT_FOREACH(int *, k, inner, produces, b) {
                    if (*k == 1) return 10 * *i + *k;
                }
            }
        }
    }
    return -ENOENT;
}

TEST(a_return_from_the_depth_closes_all_from_the_inside_out)
{
    struct source a = {.count = 5}, b = {.count = 5};
    CHECK_EQ(returns_from_the_depth(&a, &b), 1);
    CHECK_EQ(a.ended, 1);
    CHECK_EQ(b.ended, 1);
    check_nothing_is_open();
}

/* ---- nested ------------------------------------------------------------- */

TEST(loops_nest)
{
    struct source a = {.count = 3};
    int outer, inner, pairs = 0;
    WEFT_FOREACH(int *, i, outer, produces, &a) {
        struct source b = {.count = 4};
        WEFT_FOREACH(int *, k, inner, produces, &b) {
            if (*k == 3) break;
            CHECK_EQ(*i * 3 + *k, pairs++);
        }
        CHECK_EQ(inner, 0);
        CHECK_EQ(b.ended, 1);
        if (*i == 1) continue;
        CHECK_EQ(a.ended, 0);
    }
    CHECK_EQ(outer, 0);
    CHECK_EQ(pairs, 9);
    CHECK_EQ(a.ended, 1);
    check_nothing_is_open();
}

TEST(two_loops_with_one_result_variable)
{
    struct source a = {.count = 3}, b = {.count = 2, .code = -EPROTO};
    int rc, turns = 0;
    WEFT_FOREACH(int *, i, rc, produces, &a) {
        (void)i;
        turns++;
        WEFT_FOREACH(int *, k, rc, produces, &b)
            (void)*k;
        if (rc < 0) break;
    }
    CHECK_EQ(rc, -EPROTO);
    CHECK_EQ(turns, 1);
    CHECK_EQ(a.ended, 1);
    check_nothing_is_open();
}

static int filters(weft_gen *g, void *arg)
{
    int rc;
    WEFT_FOREACH(int *, i, rc, produces, arg) {
        if (*i % 2) continue;
        rc = weft_gen_yield(g, i);
        if (rc < 0) break;
    }
    return rc;
}

TEST(a_producer_may_loop_over_another)
{
    struct source s = {.count = 9};
    int rc, sum = 0;
    WEFT_FOREACH(int *, i, rc, filters, &s)
        sum += *i;
    CHECK_EQ(rc, 0);
    CHECK_EQ(sum, 20);
    s = (struct source){.count = 9};
    WEFT_FOREACH(int *, i, rc, filters, &s) {
        if (*i == 4) break;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(s.made, 5);
    CHECK_EQ(s.ended, 1);
    s = (struct source){.count = 3, .code = -EIO};
    WEFT_FOREACH(int *, i, rc, filters, &s)
        (void)*i;
    CHECK_EQ(rc, -EIO);
    check_nothing_is_open();
}

static int gathers_in_the_body(void *arg)
{
    int rc;
    WEFT_FOREACH(int *, i, rc, produces, arg) {
        rc = weft_sleep(WEFT_MSEC(*i));
        if (rc < 0) break;
    }
    return rc;
}

TEST(many_loops_at_once)
{
    struct source s[10];
    weft_job jobs[10];
    for (int i = 0; i < 10; i++) {
        s[i] = (struct source){.count = i, .pause = WEFT_MSEC(i % 3)};
        jobs[i] = (weft_job){.fn = gathers_in_the_body, .arg = &s[i]};
    }
    CHECK_EQ(weft_gather(jobs, 10, NULL), 0);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(s[i].made, i);
        CHECK_EQ(s[i].ended, 1);
    }
    check_nothing_is_open();
}

/* ---- cancelled ---------------------------------------------------------- */

TEST(a_deadline_in_next_ends_the_loop)
{
    struct source s = {.count = 99, .pause = WEFT_MSEC(2)};
    int rc, inner = 77, seen = 0;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        WEFT_FOREACH(int *, i, inner, produces, &s) {
            CHECK_EQ(*i, seen++);
        }
        rc = inner;
    }
    CHECK_EQ(inner, -ECANCELED);
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(seen, 2);
    CHECK_EQ(s.ended, 1);
    check_nothing_is_open();
}

TEST(a_deadline_in_the_body_is_the_bodys_to_report)
{
    struct source s = {.count = 99};
    int rc, inner = 77;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        WEFT_FOREACH(int *, i, inner, produces, &s) {
            (void)i;
            inner = weft_sleep(WEFT_MSEC(2));
            if (inner < 0) break;
        }
        rc = inner;
    }
    CHECK_EQ(inner, -ECANCELED);
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(s.ended, 1);
    check_nothing_is_open();
}

TEST(in_a_cancelled_scope_the_loop_does_not_begin)
{
    struct source s = {.count = 99};
    weft_scope scope;
    int rc = 77;
    open_scope(&scope);
    weft_scope_cancel(&scope, -EINTR, NULL);
    WEFT_FOREACH(int *, i, rc, produces, &s) {
        (void)i;
        test_fail(__FILE__, __LINE__, "it ran");
    }
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(s.made, 0);
    CHECK_EQ(weft_scope_end(&scope, rc), -EINTR);
    check_nothing_is_open();
}

TEST(a_scope_in_the_body_has_to_end_there)
{
    struct source s = {.count = 3, .pause = WEFT_MSEC(10)};
    int rc, inner, late = 0;
    WEFT_FOREACH(int *, i, rc, produces, &s) {
        (void)i;
        WEFT_FAIL_AFTER(inner, WEFT_MSEC(5))
            inner = weft_sleep(WEFT_SEC(1));
        late += inner == -ETIMEDOUT;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(late, 3);
    check_nothing_is_open();
}

TEST_PLAIN(outside_a_fiber_the_body_does_not_run)
{
    struct source s = {.count = 3};
    int rc = 77;
    WEFT_FOREACH(int *, i, rc, produces, &s) {
        (void)i;
        test_fail(__FILE__, __LINE__, "it ran");
    }
    CHECK_EQ(rc, -EPERM);
    CHECK_EQ(s.ran, 0);
}

/* ---- at every moment ---------------------------------------------------- */

static int began, ended;

static int counted(weft_gen *g, void *arg)
{
    int i = 0, err = 0;
    (void)arg;
    began++;
    while (err == 0 && i < 4) {
        if (i == 2) err = weft_sleep(WEFT_MSEC(1));
        i++;
        if (err == 0) err = weft_gen_yield(g, &i);
    }
    ended++;
    return err;
}

static int loops(void *arg)
{
    int rc, inner, turns = 0;
    WEFT_FOREACH(int *, i, rc, counted, NULL) {
        CHECK_EQ(*i, ++turns);
        WEFT_FOREACH(int *, k, inner, counted, NULL) {
            if (*k == 3 && arg) break;
            if (*k == 4) inner = weft_sleep(WEFT_MSEC(1));
            if (inner < 0) return inner;
        }
        rc = inner;
        if (rc < 0) break;
    }
    if (rc == 0) CHECK_EQ(turns, 4);
    return rc;
}

static void start_looping(weft_nursery *n)
{
    sweep_spawn(n, loops, NULL);
    sweep_spawn(n, loops, "break");
    sweep_spawn(n, loops, NULL);
}

static void check_all_ended(void)
{
    CHECK_EQ(began, ended);
}

SWEEP(whenever_a_loop_is_stopped_its_producers_end, start_looping,
      check_all_ended, SWEEP_SPARE_CHILDREN);

static int loops_scarcely(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        struct source s = {.count = 3};
        int rc = 77, seen = 0;
        WEFT_FOREACH(int *, k, rc, produces, &s) {
            CHECK_EQ(*k, seen++);
        }
        CHECK(rc == 0 || rc == -ENOMEM);
        CHECK_EQ(seen, rc == 0 ? 3 : 0);
        CHECK_EQ(s.ran, s.ended);
        CHECK_EQ(weft_checkpoint(), 0);
    }
    return 0;
}

STARVE(a_loop_without_memory_does_not_begin, loops_scarcely)
