/* SPDX-License-Identifier: MIT */
/* test_nursery.c - lifetime of children, and what close answers. */
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/time.h>

#include "errors.h"
#include "fibers.h"
#include "harness.h"
#include "open.h"
#include "said.h"

struct ending {
    weft_time after;
    int code;
};

static int ends(void *arg)
{
    const struct ending *e = arg;
    int err = weft_sleep(e->after);
    return err < 0 ? err : e->code;
}

static int fails_at_once(void *arg)
{
    return *(int *)arg;
}

/* Whatever stops it, it fails with *arg. */
static int fails_when_cancelled(void *arg)
{
    CHECK_EQ(weft_sleep_until(WEFT_FOREVER), -ECANCELED);
    return *(int *)arg;
}

static int cleans_up_for_10_ms(void *arg)
{
    int rc = weft_sleep_until(WEFT_FOREVER), cleanup;
    WEFT_SHIELD(cleanup, WEFT_SEC(1)) {
        cleanup = weft_sleep(WEFT_MSEC(10));
        *(bool *)arg = cleanup == 0;
    }
    return rc;
}

static int ignores_everything(void *arg)
{
    *(bool *)arg = true;
    return 0;
}

TEST_FIFO(nur_01_children_start_in_order_once_the_body_waits)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, says, "A"), 0);
    CHECK_EQ(weft_spawn(&n, says, "B"), 0);
    say("body");
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_STR(said, "bodyAB");
}

TEST(nur_02_close_waits_for_the_clean_up_of_a_cancelled_child)
{
    weft_nursery n;
    bool cleaned = false;
    weft_time start = weft_now();

    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, cleans_up_for_10_ms, &cleaned), 0);
    struct ending e = {WEFT_MSEC(5), -EIO};
    CHECK_EQ(weft_spawn(&n, ends, &e), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(15));
    CHECK(cleaned);
}

static uint64_t failed_id;

static int fails_and_leaves_its_id(void *arg)
{
    (void)arg;
    failed_id = weft_fiber_id();
    return -EIO;
}

TEST(nur_03_the_body_sees_the_failure_of_a_child)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, fails_and_leaves_its_id, NULL), 0);
    CHECK_EQ(weft_sleep_until(WEFT_FOREVER), -ECANCELED);

    const weft_reason *r = weft_cancel_reason();
    CHECK(r != NULL);
    CHECK_EQ(r->kind, WEFT_R_SIBLING);
    CHECK_EQ(r->code, -EIO);
    CHECK_EQ(r->by, failed_id);
    CHECK_EQ(weft_nursery_close(&n, -ECANCELED), -EIO);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK(weft_cancel_reason() == NULL);
}

static unsigned seen_body_reason;

static int notes_the_body_reason(void *arg)
{
    int rc = waits_for_ever(arg);
    CHECK_EQ(rc, -ECANCELED);
    seen_body_reason += weft_cancel_reason()->kind == WEFT_R_BODY;
    CHECK_EQ(weft_cancel_reason()->code, -EPROTO);
    return rc;
}

TEST(nur_04_a_failed_body_cancels_its_children)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, notes_the_body_reason, NULL), 0);
    CHECK_EQ(weft_spawn(&n, notes_the_body_reason, NULL), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_nursery_close(&n, -EPROTO), -EPROTO);
    CHECK_EQ(seen_body_reason, 2);
}

TEST_FIFO(nur_05_two_failures_are_kept_in_the_order_of_completion)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, fails_at_once, &(int){-EIO}), 0);
    CHECK_EQ(weft_spawn(&n, fails_at_once, &(int){-ENOENT}), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    CHECK_ERRORS(-EIO, -ENOENT);
}

TEST(nur_06_a_failure_during_cancellation_comes_second)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, waits_for_ever, NULL), 0);
    CHECK_EQ(weft_spawn(&n, fails_when_cancelled, &(int){-EIO}), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_nursery_close(&n, -EPROTO), -EPROTO);
    CHECK_ERRORS(-EPROTO, -EIO);
}

TEST(nur_11_an_own_cancel_gives_its_code_only_if_it_stopped_something)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, waits_for_ever, NULL), 0);
    CHECK_EQ(weft_yield(), 0);
    weft_nursery_cancel(&n, -EINTR, "enough");
    CHECK_EQ(weft_nursery_close(&n, 3), -EINTR);

    bool ran = false;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, ignores_everything, &ran), 0);
    weft_nursery_cancel(&n, -EINTR, "enough");
    CHECK_EQ(weft_nursery_close(&n, 3), 3);
    CHECK(ran);
}

TEST(an_own_cancel_that_stopped_the_body_gives_its_code)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_nursery_cancel(&n, -EINTR, "enough");
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    CHECK_EQ(weft_nursery_close(&n, -ECANCELED), -EINTR);

    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    weft_nursery_cancel(&n, 0, "enough");
    CHECK_EQ(weft_nursery_close(&n, -ECANCELED), 0);
    CHECK_EQ(weft_checkpoint(), 0);
}

TEST(nur_12_finished_work_in_a_cancelled_scope_is_finished)
{
    weft_scope s;
    weft_nursery n;
    bool ran = false;

    open_scope(&s);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, ignores_everything, &ran), 0);
    weft_scope_cancel(&s, -EINTR, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    CHECK(!weft_scope_caught(&s));
    CHECK(ran);
}

TEST(nur_13_closing_an_empty_nursery_lets_others_run_and_is_no_cancel_point)
{
    weft_nursery others, n;
    weft_scope s;

    CHECK_EQ(weft_nursery_open(&others, NULL), 0);
    CHECK_EQ(weft_spawn(&others, says, "other"), 0);
    open_cancelled_scope(&s);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_STR(said, "");
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_STR(said, "other");
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    CHECK_EQ(weft_nursery_close(&others, 0), 0);
}

TEST(nur_14_a_deadline_outside_stops_the_children_and_is_reported_outside)
{
    weft_scope s;
    weft_nursery n;
    bool cleaned = false;
    weft_time start = weft_now();

    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin_after(&s, WEFT_MSEC(5), WEFT_FAIL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, cleans_up_for_10_ms, &cleaned), 0);
    int rc = weft_nursery_close(&n, 0);
    CHECK_EQ(rc, -ECANCELED);
    CHECK(cleaned);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(15));
    CHECK_EQ(weft_scope_end(&s, rc), -ETIMEDOUT);
    CHECK(weft_scope_caught(&s));
}

TEST(nur_16_a_body_that_swallowed_the_cancel_has_succeeded)
{
    weft_scope s;
    weft_nursery n;
    bool ran = false;

    weft_scope_init(&s);
    CHECK_EQ(weft_scope_begin_after(&s, WEFT_MSEC(5), WEFT_FAIL), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, ignores_everything, &ran), 0);
    CHECK_EQ(weft_sleep_until(WEFT_FOREVER), -ECANCELED);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    CHECK(weft_scope_cancel_called(&s));
    CHECK(!weft_scope_caught(&s));
}

static int closes_anothers_nursery(void *arg)
{
    CHECK_EQ(weft_nursery_close(arg, -EIO), -EPERM);
    CHECK_EQ(weft_checkpoint(), 0);
    return 0;
}

TEST(nur_17_a_child_cannot_close_its_nursery)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, closes_anothers_nursery, &n), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_spawn(&n, says, "open"), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_STR(said, "open");
}

TEST(nur_18_nurseries_close_from_the_inside_out_and_once)
{
    weft_nursery outer, inner;
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_nursery_open(&inner, NULL), 0);
    CHECK_EQ(weft_spawn(&outer, says, "a"), 0);
    CHECK_EQ(weft_nursery_close(&outer, -EIO), -EBUSY);
    CHECK_STR(said, "");
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_nursery_close(&inner, 0), 0);
    CHECK_EQ(weft_nursery_close(&inner, 0), -ESHUTDOWN);
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(weft_nursery_close(&outer, -EIO), -ESHUTDOWN);
}

TEST(a_nursery_does_not_close_around_an_open_scope)
{
    weft_nursery n;
    weft_scope s;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    open_scope(&s);
    CHECK_EQ(weft_nursery_close(&n, 0), -EBUSY);
    CHECK_EQ(weft_scope_end(weft_nursery_scope(&n), 0), -EBUSY);
    CHECK_EQ(weft_scope_end(&s, 0), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static int forgets_to_close(void *arg)
{
    weft_nursery *n = arg;
    return weft_nursery_open(n, NULL);
}

TEST_DEATH(nur_19_a_fiber_that_ends_with_an_open_nursery_is_fatal,
           "test_nursery.c:")
{
    weft_nursery n;
    (void)!weft_run(forgets_to_close, &n, NULL);
}

static int spawns_a_sister(void *arg)
{
    static struct ending sister = {WEFT_MSEC(1), 0};
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    return weft_spawn((weft_nursery *)arg, ends, &sister);
}

TEST(nur_21_a_closing_nursery_takes_children_of_its_children)
{
    weft_nursery n;
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, spawns_a_sister, &n), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(2));
    CHECK_EQ(weft_spawn(&n, says, "late"), -ESHUTDOWN);
    CHECK_STR(said, "");
}

TEST_FIFO(nur_22_sixteen_failures_are_kept_and_the_others_counted)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 100; i++) {
        int code = i == 0 ? -EIO : -ENOENT;
        CHECK_EQ(weft_spawn_copy(&n, fails_at_once, &code, sizeof(code)), 0);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);

    unsigned kept = 0;
    for (const weft_error *e = weft_last_error(); e; e = e->next) {
        kept++;
    }
    CHECK_EQ(kept, 16);
    CHECK_EQ(weft_last_error()->dropped, 84);
}

static weft_outcome outcome;

static weft_verdict keep_outcome(weft_nursery *n, uint64_t child,
                                 weft_outcome o, void *user)
{
    (void)n;
    (void)child;
    outcome = o;
    ++*(unsigned *)user;
    return WEFT_CONTINUE;
}

TEST(nur_24_a_positive_result_is_not_a_failure)
{
    weft_nursery n;
    unsigned exits = 0;
    weft_nursery_opts opts = {.on_exit = keep_outcome, .user = &exits};

    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, fails_at_once, &(int){7}), 0);
    CHECK_EQ(weft_nursery_close(&n, 5), 5);
    CHECK_EQ(exits, 1);
    CHECK_EQ(outcome.status, WEFT_OK);
    CHECK_EQ(outcome.rc, 7);
    CHECK(outcome.err == NULL);
}

TEST(a_nursery_counts_the_children_alive)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_nursery_count(&n), 0);
    CHECK_EQ(weft_spawn(&n, waits_for_ever, NULL), 0);
    CHECK_EQ(weft_spawn(&n, says, ""), 0);
    CHECK_EQ(weft_nursery_count(&n), 2);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_nursery_count(&n), 1);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_nursery_count(&n), 0);
}
