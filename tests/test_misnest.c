/* SPDX-License-Identifier: MIT */
/* test_misnest.c - blocks and hand-begun scopes that are not nested. */
#include <weft/fiber.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <string.h>

#include "harness.h"
#include "process.h"

/* --- a block is left with a scope open inside --- */

static weft_scope by_hand;

static void begin_by_hand(int line)
{
    weft_scope_init(&by_hand);
    CHECK_EQ(weft_scope_begin_(&by_hand, "by_hand.c", line), 0);
}

static int leaves_a_nursery_block(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        begin_by_hand(11);
    }
    return rc;
}

static int returns_out_of_a_nursery_block(void *arg)
{
    int rc;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        begin_by_hand(22);
        return 0;
    }
    return rc;
}

static int leaves_a_deadline_block(void *arg)
{
    int rc;
    (void)arg;
    WEFT_FAIL_AFTER(rc, WEFT_SEC(1)) {
        begin_by_hand(33);
    }
    return rc;
}

static int returns_out_of_a_deadline_block(void *arg)
{
    int rc;
    (void)arg;
    WEFT_FAIL_AFTER(rc, WEFT_SEC(1)) {
        begin_by_hand(44);
        return 0;
    }
    return rc;
}

static int begins_by_hand(void *arg)
{
    (void)arg;
    begin_by_hand(55);
    return 0;
}

static int leaves_a_timeout(void *arg)
{
    return weft_with_timeout(WEFT_SEC(1), begins_by_hand, arg);
}

TEST_DEATH(a_nursery_block_left_with_a_scope_open_names_the_scope,
           "opened inside it at by_hand.c:11")
{
    (void)!weft_run(leaves_a_nursery_block, NULL, NULL);
}

TEST_DEATH(a_nursery_block_returned_out_of_with_a_scope_open_names_the_scope,
           "opened inside it at by_hand.c:22")
{
    (void)!weft_run(returns_out_of_a_nursery_block, NULL, NULL);
}

TEST_DEATH(a_deadline_block_left_with_a_scope_open_names_the_scope,
           "opened inside it at by_hand.c:33")
{
    (void)!weft_run(leaves_a_deadline_block, NULL, NULL);
}

TEST_DEATH(a_deadline_block_returned_out_of_with_a_scope_open_names_the_scope,
           "opened inside it at by_hand.c:44")
{
    (void)!weft_run(returns_out_of_a_deadline_block, NULL, NULL);
}

TEST_DEATH(a_timeout_left_with_a_scope_open_names_the_scope,
           "opened inside it at by_hand.c:55")
{
    (void)!weft_run(leaves_a_timeout, NULL, NULL);
}

static void runs(void *arg)
{
    weft_run_opts o = {.no_crash_report = true};
    weft_fn fn = *(weft_fn *)arg;
    (void)!weft_run(fn, NULL, &o);
}

TEST_PLAIN(a_block_left_with_a_scope_open_is_named_as_well)
{
    static weft_fn ways[] = {leaves_a_nursery_block,
                             returns_out_of_a_nursery_block,
                             leaves_a_deadline_block,
                             returns_out_of_a_deadline_block};
    static struct ending e;
    for (int i = 0; i < 4; i++) {
        run_in_process(runs, &ways[i], &e);
        CHECK(e.signal != 0 || e.status > 0);
        CHECK(strstr(e.said, "by_hand.c:") != NULL);
        CHECK(strstr(e.said, "test_misnest.c:") != NULL);
    }
}

/* --- the scope of a nursery --- */

static int ended;

static int ends_after_1_ms(void *arg)
{
    (void)arg;
    int err = weft_sleep(WEFT_MSEC(1));
    ended++;
    return err;
}

TEST(the_scope_of_a_nursery_ends_only_with_the_nursery)
{
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, ends_after_1_ms, NULL), 0);
    CHECK_EQ(weft_scope_end(weft_nursery_scope(&n), 0), -EBUSY);
    CHECK_EQ(weft_nursery_count(&n), 1);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(ended, 0);

    weft_nursery_cancel(&n, 0, NULL); /* the body is still inside */
    CHECK(weft_cancelled());
    CHECK_EQ(weft_scope_end(weft_nursery_scope(&n), -ECANCELED), -EBUSY);
    CHECK(weft_cancelled());
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(ended, 1);
    CHECK(!weft_cancelled());
}
