/* SPDX-License-Identifier: MIT */
/* test_dump_anywhere.c - weft_dump out of each callback and piece of clean-up. */
#include <weft/background.h>
#include <weft/cleanup.h>
#include <weft/debug.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/gen.h>
#include <weft/local.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/time.h>

#include <fcntl.h>
#include <unistd.h>

#include "harness.h"

static int nowhere;
static unsigned dumps;

static void dump(void *arg)
{
    (void)arg;
    dumps++;
    weft_dump(nowhere);
}

static int dumps_and_fails(void *arg)
{
    dump(arg);
    return -EIO;
}

static weft_verdict dumps_on_exit(weft_nursery *n, uint64_t child,
                                  weft_outcome o, void *user)
{
    (void)n, (void)child, (void)o;
    dump(user);
    return WEFT_CONTINUE;
}

static void dumps_a_lost_failure(const weft_error *e)
{
    (void)e;
    dump(NULL);
}

static weft_key shared = {.name = "shared", .drop = dump};
static weft_key private_ = {
    .name = "private", .drop = dump, .flags = WEFT_KEY_PRIVATE};

static int dumps_at_its_end(void *arg)
{
    int err = weft_defer(dump, arg);
    if (err == 0) err = weft_local_push(&shared, arg);
    if (err == 0) err = weft_local_push(&private_, arg);
    if (err == 0) err = weft_started(NULL);
    if (err == 0) err = weft_sleep(5);
    return err < 0 ? err : -ENOENT;
}

static int dumps_around_a_yield(weft_gen *g, void *arg)
{
    int item = 1;
    dump(arg);
    int err = weft_gen_yield(g, &item);
    dump(arg);
    return err;
}

/*
 * By main: when deferred, in the body of the loop. By each of three children:
 * when deferred, in two drops. By each of two: on exit. By the closer, by the
 * producer twice, and by the hook for the one that is in the background.
 */
enum { DUMPS = 2 + 3 * 3 + 2 + 1 + 2 + 1 };

static int dumps_all_over(void *arg)
{
    weft_nursery n;
    const weft_nursery_opts o = {.policy = WEFT_SUPERVISE,
                                 .on_exit = dumps_on_exit};
    int rc;
    CHECK_EQ(weft_defer(dump, arg), 0);
    CHECK_EQ(weft_background(dumps_at_its_end, arg, NULL), 0);
    CHECK_EQ(weft_nursery_open(&n, &o), 0);
    CHECK_EQ(weft_start(&n, dumps_at_its_end, arg, NULL), 0);
    CHECK_EQ(weft_own(&n, dumps_and_fails, arg, NULL), 0);
    CHECK_EQ(weft_spawn(&n, dumps_at_its_end, arg), 0);
    WEFT_FOREACH(int *, item, rc, dumps_around_a_yield, arg) {
        dump(item);
    }
    CHECK_EQ(weft_nursery_close(&n, rc), -EIO);
    return 0;
}

TEST_PLAIN(a_dump_may_be_taken_anywhere_in_every_order)
{
    nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    CHECK(nowhere >= 0);
    weft_on_unhandled(dumps_a_lost_failure);
    for (unsigned seed = 0; seed < 30; seed++) {
        const weft_run_opts o = {.virtual_clock = true, .sched_seed = seed};
        dumps = 0;
        CHECK_EQ(weft_run(dumps_all_over, NULL, &o), 0);
        CHECK_EQ(dumps, DUMPS);
    }
    weft_on_unhandled(NULL);
    CHECK_EQ(close(nowhere), 0);
}
