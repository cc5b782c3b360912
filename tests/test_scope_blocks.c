/* SPDX-License-Identifier: MIT */
/* test_scope_blocks.c - block and function forms, and every way out of them. */
#include <weft/fiber.h>
#include <weft/io.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include "fibers.h"
#include "harness.h"
#include "unhandled.h"

static void check_nothing_is_open(void)
{
    CHECK_EQ(weft_deadline(), WEFT_FOREVER);
    CHECK_EQ(weft_checkpoint(), 0);
}

static int returns_from_the_middle(void *arg)
{
    int err = weft_sleep(WEFT_MSEC(5));
    if (err < 0) return err;
    return *(int *)arg;
}

TEST(sco_21_the_function_forms_map_like_end)
{
    int seven = 7, bad = -EIO;
    bool expired = true;
    weft_time ms = WEFT_MSEC(1);

    CHECK_EQ(weft_with_timeout(ms, returns_from_the_middle, &seven),
             -ETIMEDOUT);
    CHECK_EQ(weft_with_timeout(9 * ms, returns_from_the_middle, &seven), 7);
    CHECK_EQ(weft_with_timeout(9 * ms, returns_from_the_middle, &bad), -EIO);
    CHECK_EQ(weft_with_timeout(-1, waits_for_ever, NULL), -ETIMEDOUT);

    CHECK_EQ(
        weft_move_on_after(9 * ms, returns_from_the_middle, &seven, &expired),
        7);
    CHECK(!expired);
    CHECK_EQ(weft_move_on_after(ms, returns_from_the_middle, &seven, &expired),
             0);
    CHECK(expired);
    CHECK_EQ(weft_move_on_after(ms, waits_for_ever, NULL, NULL), 0);
    CHECK_EQ(weft_shielded(ms, waits_for_ever, NULL), -ETIMEDOUT);
    CHECK_EQ(weft_shielded(9 * ms, returns_from_the_middle, &seven), 7);
    check_nothing_is_open();
}

static int finishes_late(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), -ECANCELED);
    return 3; /* done all the same */
}

TEST(success_after_the_deadline_is_success)
{
    bool expired = true;
    CHECK_EQ(weft_with_timeout(WEFT_MSEC(1), finishes_late, NULL), 3);
    CHECK_EQ(weft_move_on_after(WEFT_MSEC(1), finishes_late, NULL, &expired),
             3);
}

TEST(sco_22_a_block_left_by_its_brace_break_or_continue_is_mapped)
{
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1)) {
        rc = weft_sleep(WEFT_SEC(1));
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    check_nothing_is_open();

    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1)) {
        rc = weft_sleep(WEFT_SEC(1));
        if (rc < 0) break;
        rc = 1;
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    check_nothing_is_open();

    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1)) {
        rc = weft_sleep(WEFT_SEC(1));
        if (rc < 0) continue;
        rc = 1;
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    check_nothing_is_open();
}

TEST(a_block_runs_once_and_starts_with_rc_0)
{
    int rc = -99, times = 0;
    WEFT_MOVE_ON_AFTER(rc, WEFT_SEC(1)) {
        CHECK_EQ(rc, 0);
        times++;
        continue;
    }
    CHECK_EQ(rc, 0);
    WEFT_FAIL_AFTER(rc, WEFT_SEC(1)) {
        times++;
        rc = 5;
        break;
    }
    CHECK_EQ(rc, 5);
    rc = -99;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(rc, 0);
        CHECK_EQ(weft_nursery_count(&n), 0);
        times++;
        rc = 6;
        continue;
    }
    CHECK_EQ(rc, 6);
    CHECK_EQ(times, 3);
    check_nothing_is_open();
}

TEST(a_break_inside_a_block_does_not_leave_the_loop_around_it)
{
    int rounds = 0;
    for (int i = 0; i < 3; i++) {
        int rc;
        WEFT_FAIL_AFTER(rc, WEFT_SEC(1)) {
            break;
        }
        CHECK_EQ(rc, 0);
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_nursery_count(&n), 0);
            break;
        }
        CHECK_EQ(rc, 0);
        rounds++;
    }
    CHECK_EQ(rounds, 3);
}

TEST(sco_22_a_nursery_block_left_by_break_cancels_if_rc_is_negative)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, waits_for_ever, NULL), 0);
        rc = -EIO;
        break;
    }
    CHECK_EQ(rc, -EIO);

    weft_time start = weft_now();
    int result = 9;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, returns_from_the_middle, &result), 0);
        rc = 4;
        break;
    }
    CHECK_EQ(rc, 4);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5)); /* joined, not cancelled */
    check_nothing_is_open();
}

static weft_time child_ended;

static int fails_after_5_ms(void *arg)
{
    (void)arg;
    int err = weft_sleep(WEFT_MSEC(5));
    child_ended = weft_now();
    return err < 0 ? err : -EIO;
}

static int leaves_by_return(void)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, fails_after_5_ms, NULL), 0);
        CHECK_EQ(weft_yield(), 0);
        return 7;
    }
    return -1;
}

TEST(sco_23_return_from_a_nursery_joins_and_reports_a_lost_failure_once)
{
    weft_time start = weft_now();
    weft_on_unhandled(note_unhandled);
    CHECK_EQ(leaves_by_return(), 7);
    CHECK_EQ(child_ended - start, WEFT_MSEC(5));
    CHECK_EQ(unhandled, 1);
    CHECK_EQ(unhandled_code, -EIO);
    weft_on_unhandled(NULL);
    check_nothing_is_open();
}

static int returns_a_failure(void)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, fails_after_5_ms, NULL), 0);
        CHECK_EQ(weft_yield(), 0);
        rc = -EPROTO;
        return rc;
    }
    return -1;
}

static int hook_codes[8];

static void fails_in_its_turn(const weft_error *e)
{
    CHECK(unhandled < 8);
    hook_codes[unhandled++] = e->code;
    CHECK_EQ(weft_close((weft_fd){0, 0}), -EBADF);
    CHECK_EQ(weft_last_error()->code, -EBADF);
}

static int fails_with(void *arg)
{
    return weft_fail(*(int *)arg, "as it was told to");
}

static int leaves_three_failures(void)
{
    static int codes[] = {-EIO, -EPROTO, -ENOENT};
    weft_nursery_opts opts = {.policy = WEFT_COLLECT};
    int rc;
    WEFT_NURSERY_EX(n, rc, &opts) {
        for (int i = 0; i < 3; i++)
            CHECK_EQ(weft_spawn(&n, fails_with, &codes[i]), 0);
        return 7;
    }
    return rc;
}

TEST_FIFO(the_hook_for_lost_failures_may_fail_and_is_told_of_each)
{
    weft_on_unhandled(fails_in_its_turn);
    CHECK_EQ(leaves_three_failures(), 7);
    CHECK_EQ(unhandled, 3);
    CHECK_EQ(hook_codes[0], -EIO);
    CHECK_EQ(hook_codes[1], -EPROTO);
    CHECK_EQ(hook_codes[2], -ENOENT);
    weft_on_unhandled(NULL);
}

TEST(sco_23_return_with_a_negative_rc_cancels)
{
    weft_time start = weft_now();
    CHECK_EQ(returns_a_failure(), -EPROTO);
    CHECK_EQ(child_ended, start);
    check_nothing_is_open();
}

TEST(sco_23_goto_out_of_blocks_ends_them_all)
{
    int rc, inner;
    weft_time start = weft_now();
    weft_on_unhandled(note_unhandled);
    WEFT_FAIL_AFTER(rc, WEFT_SEC(1)) {
        WEFT_NURSERY(n, rc) {
            CHECK_EQ(weft_spawn(&n, fails_after_5_ms, NULL), 0);
            WEFT_SHIELD(inner, WEFT_SEC(1)) {
                CHECK(weft_deadline() != WEFT_FOREVER);
                goto out;
            }
        }
    }
    CHECK(false);
out:
    CHECK_EQ(child_ended - start, WEFT_MSEC(5));
    CHECK_EQ(unhandled, 1);
    weft_on_unhandled(NULL);
    check_nothing_is_open();
}

static int returns_out_of_a_deadline(void)
{
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1)) {
        rc = weft_sleep(WEFT_SEC(1));
        return rc;
    }
    return -1;
}

TEST(sco_23_return_out_of_a_scope_ends_it_unmapped)
{
    CHECK_EQ(returns_out_of_a_deadline(), -ECANCELED);
    check_nothing_is_open();
}

TEST(blocks_nest_in_each_other)
{
    int outer, inner;
    WEFT_FAIL_AFTER(outer, WEFT_MSEC(10)) {
        WEFT_MOVE_ON_AFTER(inner, WEFT_MSEC(5)) {
            inner = weft_sleep(WEFT_SEC(1));
        }
        CHECK_EQ(inner, 0);
        WEFT_FAIL_AFTER(inner, WEFT_MSEC(20)) {
            inner = weft_sleep(WEFT_SEC(1));
        }
        CHECK_EQ(inner, -ECANCELED);
        outer = inner;
    }
    CHECK_EQ(outer, -ETIMEDOUT);
    check_nothing_is_open();
}

TEST(one_rc_serves_nested_blocks)
{
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(5)) {
        WEFT_NURSERY(n, rc) {
            rc = weft_spawn(&n, waits_for_ever, NULL);
        }
    }
    CHECK_EQ(rc, -ETIMEDOUT);
}
