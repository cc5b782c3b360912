/* SPDX-License-Identifier: MIT */
/* test_policy.c - what a failure does to the others; daemons. */
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/time.h>

#include "harness.h"
#include "unhandled.h"

struct ending {
    weft_time after;
    int code;
    bool cancelled;
};

static int ends(void *arg)
{
    struct ending *e = arg;
    int err = weft_sleep(e->after);
    e->cancelled = err == -ECANCELED;
    return err < 0 ? err : e->code;
}

static unsigned exits[3]; /* by enum weft_status */

static weft_verdict counts_exits(weft_nursery *n, uint64_t child,
                                 weft_outcome o, void *user)
{
    (void)n;
    CHECK(child != 0);
    CHECK_EQ(o.status == WEFT_FAILED, o.err != NULL);
    if (o.err) CHECK_EQ(o.err->code, o.rc);
    exits[o.status]++;
    if (!user) return WEFT_CONTINUE;
    return o.status == WEFT_OK ? WEFT_CANCEL_REST : WEFT_CONTINUE;
}

TEST(pol_01_collect_keeps_failures_and_cancels_nobody)
{
    weft_nursery n;
    weft_nursery_opts opts = {.policy = WEFT_COLLECT};
    struct ending bad = {0, -EIO, false}, good = {WEFT_MSEC(10), 0, false};
    struct ending late = {WEFT_MSEC(10), -ENOENT, false};
    weft_time start = weft_now();

    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, ends, &good), 0);
    CHECK_EQ(weft_spawn(&n, ends, &bad), 0);
    CHECK_EQ(weft_spawn(&n, ends, &late), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0); /* not the body either */
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(10));
    CHECK(!good.cancelled);
    CHECK_EQ(weft_last_error()->code, -EIO);
    CHECK_EQ(weft_last_error()->next->code, -ENOENT);
}

TEST(pol_02_a_supervised_failure_goes_to_the_hook_once)
{
    weft_nursery n;
    weft_nursery_opts opts = {.policy = WEFT_SUPERVISE};
    struct ending bad = {0, -EIO, false}, good = {WEFT_MSEC(10), 0, false};
    weft_time start = weft_now();

    weft_on_unhandled(note_unhandled);
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, ends, &bad), 0);
    CHECK_EQ(weft_spawn(&n, ends, &good), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(10));
    CHECK_EQ(unhandled, 1);
    CHECK_EQ(unhandled_code, -EIO);
    CHECK(!good.cancelled);
    weft_on_unhandled(NULL);
}

TEST(pol_02_a_supervised_failure_goes_to_on_exit_instead)
{
    weft_nursery n;
    weft_nursery_opts opts = {.policy = WEFT_SUPERVISE,
                              .on_exit = counts_exits};
    struct ending bad = {0, -EIO, false}, good = {WEFT_MSEC(10), 0, false};

    weft_on_unhandled(note_unhandled);
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, ends, &bad), 0);
    CHECK_EQ(weft_spawn(&n, ends, &good), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(exits[WEFT_FAILED], 1);
    CHECK_EQ(exits[WEFT_OK], 1);
    CHECK_EQ(exits[WEFT_CANCELLED], 0);
    CHECK_EQ(unhandled, 0);
    weft_on_unhandled(NULL);
}

TEST(pol_03_a_failed_body_cancels_under_every_policy)
{
    static const weft_policy policies[] = {WEFT_FAIL_FAST, WEFT_COLLECT,
                                           WEFT_SUPERVISE};
    for (int i = 0; i < 3; i++) {
        weft_nursery n;
        weft_nursery_opts opts = {.policy = policies[i]};
        struct ending a = {WEFT_FOREVER, 0, false}, b = a;
        CHECK_EQ(weft_nursery_open(&n, &opts), 0);
        CHECK_EQ(weft_spawn(&n, ends, &a), 0);
        CHECK_EQ(weft_spawn(&n, ends, &b), 0);
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(weft_nursery_close(&n, -EPROTO), -EPROTO);
        CHECK(a.cancelled && b.cancelled);
    }
}

TEST(pol_04_on_exit_can_stop_the_rest_after_a_success)
{
    weft_nursery n;
    weft_nursery_opts opts = {.on_exit = counts_exits, .user = exits};
    struct ending first = {WEFT_MSEC(5), 0, false};
    struct ending a = {WEFT_FOREVER, 0, false}, b = {WEFT_SEC(1), 0, false};
    weft_time start = weft_now();

    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, ends, &a), 0);
    CHECK_EQ(weft_spawn(&n, ends, &first), 0);
    CHECK_EQ(weft_spawn(&n, ends, &b), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5));
    CHECK(a.cancelled && b.cancelled);
    CHECK_EQ(exits[WEFT_OK], 1);
    CHECK_EQ(exits[WEFT_CANCELLED], 2);
}

TEST(pol_04_on_exit_stops_a_supervised_rest_too)
{
    weft_nursery n;
    weft_nursery_opts opts = {
        .policy = WEFT_SUPERVISE, .on_exit = counts_exits, .user = exits};
    struct ending bad = {0, -EIO, false}, good = {WEFT_MSEC(2), 0, false};
    struct ending rest = {WEFT_FOREVER, 0, false};
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn(&n, ends, &bad), 0);
    CHECK_EQ(weft_spawn(&n, ends, &good), 0);
    CHECK_EQ(weft_spawn(&n, ends, &rest), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK(rest.cancelled);
}

static int is_a_daemon(void *arg)
{
    weft_time *until = arg;
    int err = weft_sleep_until(WEFT_FOREVER);
    CHECK_EQ(err, -ECANCELED);
    CHECK_EQ(weft_cancel_reason()->kind, WEFT_R_DAEMON);
    *until = weft_now();
    return err;
}

static const weft_spawn_opts as_daemon = {.daemon = true};

TEST(pol_05_a_daemon_ends_with_the_last_normal_child)
{
    weft_nursery n;
    weft_time until = 0, start = weft_now();
    struct ending normal = {WEFT_MSEC(10), 0, false};

    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, is_a_daemon, &until, &as_daemon), 0);
    CHECK_EQ(weft_spawn(&n, ends, &normal), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(until - start, WEFT_MSEC(10));
    CHECK(!normal.cancelled);
}

TEST(pol_05_a_daemon_lives_on_while_the_body_does)
{
    weft_nursery n;
    weft_time until = 0, start = weft_now();
    struct ending normal = {WEFT_MSEC(1), 0, false};

    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, is_a_daemon, &until, &as_daemon), 0);
    CHECK_EQ(weft_spawn(&n, ends, &normal), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(10)), 0);
    CHECK_EQ(until, 0);
    CHECK_EQ(weft_nursery_count(&n), 1);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(until - start, WEFT_MSEC(10));
}

TEST(pol_06_daemons_alone_are_cancelled_at_once)
{
    weft_nursery n;
    weft_time until[2] = {0, 0}, start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, is_a_daemon, &until[0], &as_daemon), 0);
    CHECK_EQ(weft_spawn_ex(&n, is_a_daemon, &until[1], &as_daemon), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(until[0], start);
    CHECK_EQ(until[1], start);
}

TEST(daemons_do_not_overwrite_the_result_of_the_body)
{
    weft_nursery n;
    weft_time until[2];
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, is_a_daemon, &until[0], &as_daemon), 0);
    CHECK_EQ(weft_spawn_ex(&n, is_a_daemon, &until[1], &as_daemon), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_nursery_close(&n, 7), 7);
}

TEST(pol_07_a_daemon_that_fails_is_a_failure)
{
    weft_nursery n;
    struct ending bad = {WEFT_MSEC(1), -EIO, false};
    struct ending normal = {WEFT_FOREVER, 0, false};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, ends, &bad, &as_daemon), 0);
    CHECK_EQ(weft_spawn(&n, ends, &normal), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), -EIO);
    CHECK(normal.cancelled);
}

static int daemon_with_a_child(void *arg)
{
    static struct ending normal = {WEFT_MSEC(10), 0, false};
    CHECK_EQ(weft_spawn((weft_nursery *)arg, ends, &normal), 0);
    int err = weft_sleep_until(WEFT_FOREVER);
    CHECK(!normal.cancelled);
    return err;
}

TEST(a_normal_child_of_a_daemon_keeps_the_others_alive)
{
    weft_nursery n;
    weft_time until = 0, start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, daemon_with_a_child, &n, &as_daemon), 0);
    CHECK_EQ(weft_spawn_ex(&n, is_a_daemon, &until, &as_daemon), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(until - start, WEFT_MSEC(10));
}

static int spawns_on_its_way_out(void *arg)
{
    static struct ending heir = {WEFT_MSEC(10), 0, false};
    int err = weft_sleep_until(WEFT_FOREVER);
    CHECK_EQ(weft_spawn((weft_nursery *)arg, ends, &heir), 0);
    CHECK_EQ(weft_yield(), -ECANCELED);
    CHECK(heir.cancelled); /* it started cancelled */
    return err;
}

TEST(a_cancelled_daemon_may_still_spawn)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, spawns_on_its_way_out, &n, &as_daemon), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(daemons_count_for_the_limit)
{
    weft_nursery n;
    weft_nursery_opts opts = {.limit = 1};
    struct ending normal = {0, 0, false};
    weft_time until = 0;
    CHECK_EQ(weft_nursery_open(&n, &opts), 0);
    CHECK_EQ(weft_spawn_ex(&n, is_a_daemon, &until, &as_daemon), 0);
    CHECK_EQ(weft_spawn(&n, ends, &normal), -EAGAIN);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_supervised_nursery_stopped_from_outside_says_so)
{
    static const weft_policy policies[] = {WEFT_COLLECT, WEFT_SUPERVISE};
    for (int i = 0; i < 2; i++) {
        weft_scope s;
        weft_nursery n;
        weft_nursery_opts opts = {.policy = policies[i]};
        struct ending e = {WEFT_FOREVER, 0, false};
        weft_scope_init(&s);
        CHECK_EQ(weft_scope_begin_after(&s, WEFT_MSEC(5), WEFT_FAIL), 0);
        CHECK_EQ(weft_nursery_open(&n, &opts), 0);
        CHECK_EQ(weft_spawn(&n, ends, &e), 0);
        int rc = weft_nursery_close(&n, 0);
        CHECK_EQ(rc, -ECANCELED);
        CHECK_EQ(weft_scope_end(&s, rc), -ETIMEDOUT);
    }
}
