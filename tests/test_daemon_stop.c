/* SPDX-License-Identifier: MIT */
/*
 * test_daemon_stop.c - what stands below a daemon was stopped from outside.
 *
 * A nursery cancels its daemons when only they are left. That is no failure to
 * the nursery itself, but whatever waits inside of a daemon has been stopped by
 * somebody else, and says so.
 */
#include <weft/fiber.h>
#include <weft/gather.h>
#include <weft/gen.h>
#include <weft/nursery.h>
#include <weft/time.h>

#include "fibers.h"
#include "harness.h"

static const weft_spawn_opts as_daemon = {.daemon = true};
static int said;

static int opens_a_nursery(void *arg)
{
    WEFT_NURSERY(n, said) {
        said = weft_spawn(&n, waits_for_ever, arg);
    }
    return said;
}

static void check_daemon(weft_fn daemon, void *arg, bool runs_first)
{
    weft_nursery n;
    said = 77;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn_ex(&n, daemon, arg, &as_daemon), 0);
    if (runs_first) CHECK_EQ(weft_sleep(1), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

TEST(a_nursery_of_a_daemon_that_starts_cancelled_was_stopped)
{
    check_daemon(opens_a_nursery, NULL, false);
    CHECK_EQ(said, -ECANCELED);
}

static int waits_for_number(size_t i, void *ctx)
{
    (void)i;
    return waits_for_ever(ctx);
}

static int maps(void *arg)
{
    said = weft_map(2, waits_for_number, arg, NULL, NULL);
    return said;
}

TEST(a_map_of_a_daemon_was_stopped)
{
    check_daemon(maps, NULL, true);
    CHECK_EQ(said, -ECANCELED);
}

static int yields_nothing(weft_gen *g, void *arg)
{
    (void)g;
    return waits_for_ever(arg);
}

static int asks_for_an_item(void *arg)
{
    weft_gen g;
    void *item;
    CHECK_EQ(weft_gen_open(&g, yields_nothing, arg), 0);
    int err = weft_gen_next(&g, &item);
    said = weft_gen_close(&g);
    return err;
}

TEST(a_generator_of_a_daemon_was_stopped)
{
    check_daemon(asks_for_an_item, NULL, true);
    CHECK_EQ(said, -ECANCELED);
}

static int starts_one_that_opens_a_nursery(void *arg)
{
    return weft_start(arg, opens_a_nursery, NULL, NULL);
}

TEST(a_nursery_of_a_child_that_a_daemon_starts_elsewhere_was_stopped)
{
    weft_nursery other;
    CHECK_EQ(weft_nursery_open(&other, NULL), 0);
    check_daemon(starts_one_that_opens_a_nursery, &other, true);
    CHECK_EQ(weft_nursery_close(&other, 0), 0);
    CHECK_EQ(said, -ECANCELED);
}
