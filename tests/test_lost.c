/* SPDX-License-Identifier: MIT */
/* test_lost.c - failures that a return out of a block leaves to nobody. */
#include <weft/cleanup.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/gen.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "starve.h"
#include "process.h"

static const weft_nursery_opts collecting = {.policy = WEFT_COLLECT};

static unsigned ran, told;
static char message[104];

static int fails(void *arg)
{
    (void)arg;
    ran++;
    return weft_fail(-EIO, "the child's");
}

static void counts_the_lost(const weft_error *e)
{
    told += 1 + e->dropped;
    (void)snprintf(message, sizeof message, "%s", e->msg);
}

static int returns_out_of_twenty_failures(void)
{
    int rc;
    WEFT_NURSERY_EX(n, rc, &collecting) {
        for (int i = 0; i < 20; i++) {
            CHECK_EQ(weft_spawn(&n, fails, NULL), 0);
        }
        return 7;
    }
    return rc;
}

TEST(each_of_twenty_lost_failures_is_told_or_counted)
{
    weft_on_unhandled(counts_the_lost);
    CHECK_EQ(returns_out_of_twenty_failures(), 7);
    weft_on_unhandled(NULL);
    CHECK_EQ(told, 20);
}

/* The group has no room any more for the failure that is returned. */
static int returns_its_own_after_twenty(void)
{
    int rc;
    WEFT_NURSERY_EX(n, rc, &collecting) {
        for (int i = 0; i < 20; i++) {
            CHECK_EQ(weft_spawn(&n, fails, NULL), 0);
        }
        CHECK_EQ(weft_yield(), 0);
        rc = weft_fail(-EPROTO, "the body's");
        return rc;
    }
    return 0;
}

TEST(the_record_of_what_is_returned_survives_twenty_lost_ones)
{
    weft_on_unhandled(counts_the_lost);
    CHECK_EQ(returns_its_own_after_twenty(), -EPROTO);
    weft_on_unhandled(NULL);
    CHECK(weft_last_error() != NULL);
    CHECK_STR(weft_last_error()->msg, "the body's");
    CHECK_STR(message, "the child's");
}

static int fails_without_words(void *arg)
{
    (void)arg;
    return -EIO;
}

TEST(a_lost_failure_without_a_record_is_not_told_with_the_words_of_another)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_fail(-EIO, "something old"), -EIO);
    weft_on_unhandled(counts_the_lost);
    CHECK_EQ(weft_own(&n, fails_without_words, NULL, NULL), -ESHUTDOWN);
    weft_on_unhandled(NULL);
    CHECK_EQ(told, 1);
    CHECK_STR(message, "");
}

#ifdef WEFT_DEBUG
static int returns_out_of_a_time_out(void *arg)
{
    int rc;
    (void)arg;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1)) {
        rc = weft_sleep(WEFT_SEC(1));
        if (rc < 0) return rc;
    }
    return rc;
}

static void runs_out_of_a_time_out(void *arg)
{
    const weft_run_opts o = {.virtual_clock = true};
    CHECK_EQ(weft_run(returns_out_of_a_time_out, arg, &o), -ECANCELED);
}

TEST_PLAIN(a_return_that_loses_a_time_out_is_named)
{
    static struct ending e;
    run_in_process(runs_out_of_a_time_out, NULL, &e);
    CHECK_EQ(e.status, 0);
    CHECK(strstr(e.said, "was left by return or goto") != NULL);
    CHECK(strstr(e.said, "test_lost.c") != NULL);
}
#endif

#ifdef WEFT_HOSTILE
static int returns_out_of_a_failure(void)
{
    int rc;
    WEFT_NURSERY_EX(n, rc, &collecting) {
        rc = weft_spawn(&n, fails, NULL);
        if (rc == 0) return 0;
    }
    return rc;
}

static int loses_the_failure_of_a_child(void *arg)
{
    (void)arg;
    weft_on_unhandled(counts_the_lost);
    int rc = returns_out_of_a_failure();
    weft_on_unhandled(NULL);
    CHECK_EQ(told, ran);
    return rc;
}

TEST_PLAIN(the_lost_failure_of_a_child_is_told_without_memory_for_its_record)
{
    fail_each(loses_the_failure_of_a_child, WF_CALL_ALLOC);
}

static int yields_and_fails(weft_gen *g, void *arg)
{
    int item = 0;
    CHECK_EQ(weft_gen_yield(g, &item), -ECANCELED);
    return fails(arg);
}

static int returns_out_of_a_loop(void)
{
    int rc;
    WEFT_FOREACH(int *, item, rc, yields_and_fails, NULL) {
        return *item;
    }
    return rc;
}

static int loses_the_failure_of_a_producer(void *arg)
{
    (void)arg;
    weft_on_unhandled(counts_the_lost);
    int rc = returns_out_of_a_loop();
    weft_on_unhandled(NULL);
    CHECK_EQ(told, ran);
    return rc;
}

TEST_PLAIN(the_lost_failure_of_a_producer_is_told_without_memory_for_its_record)
{
    fail_each(loses_the_failure_of_a_producer, WF_CALL_ALLOC);
}
#endif
