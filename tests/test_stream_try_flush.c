/* SPDX-License-Identifier: MIT */
/*
 * test_stream_try_flush.c - sending what goes without waiting.
 */
#include <weft/memory.h>
#include <weft/scope.h>
#include <weft/stream.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "open.h"
#include "transports.h"

enum { RECORD = 100 };

/* Until all has gone: what is put off is tried again. */
static void try_until_all_went(void)
{
    int rc;
    while ((rc = weft_stream_try_flush(&s)) == -EAGAIN)
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_stream_pending(&s), 0);
}

/* ---- what goes ---------------------------------------------------------- */

static void sends_all_at_once(void)
{
    CHECK_EQ(weft_stream_try_flush(&s), 0);
    say("one ");
    say("two");
    CHECK_EQ(weft_stream_pending(&s), 7);
    CHECK_EQ(weft_stream_try_flush(&s), 0);
    CHECK_EQ(weft_stream_pending(&s), 0);
    CHECK_STR(heard(), "one two");
    CHECK_EQ(weft_stream_try_flush(&s), 0);
    CHECK_STR(heard(), "");
    close_over();
}

TEST(over_a_descriptor_all_goes_that_there_is_room_for)
{
    over = OVER_A_DESCRIPTOR;
    open_over();
    sends_all_at_once();
}

TEST(over_memory_all_goes_that_there_is_room_for)
{
    over = OVER_MEMORY;
    open_over();
    sends_all_at_once();
}

CONTRACT(what_is_tried_often_enough_has_gone)
{
    open_over();
    say("one ");
    try_until_all_went();
    say("two ");
    say("three");
    try_until_all_went();
    check_peer_reads("one two three");
    close_over();
}

/* ---- what does not ------------------------------------------------------ */

static void record(char *buf, int which)
{
    (void)snprintf(buf, RECORD + 1, "%99d\n", which);
}

/* Until nothing more goes; once is not enough, as what is put off is tried
 * again. Returns how many records were taken, some of which are still here. */
static int fill_up(void)
{
    int taken = 0;
    for (int in_vain = 0; in_vain < 20;) {
        char buf[RECORD + 1];
        char *room = weft_stream_reserve(&s, RECORD);
        if (room) {
            record(buf, taken++);
            memcpy(room, buf, RECORD);
            weft_stream_commit(&s, RECORD);
            continue;
        }
        size_t before = weft_stream_pending(&s);
        int rc = weft_stream_try_flush(&s);
        CHECK(rc == 0 || rc == -EAGAIN);
        CHECK_EQ(rc == 0, weft_stream_pending(&s) == 0);
        in_vain = weft_stream_pending(&s) < before ? 0 : in_vain + 1;
        CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    }
    return taken;
}

static int reads_records(void *arg)
{
    const int *count = arg;
    char want[RECORD + 1], buf[RECORD];
    for (int i = 0; i < *count; i++) {
        record(want, i);
        CHECK_EQ(peer_reads(buf, RECORD), RECORD);
        CHECK_EQ(memcmp(buf, want, RECORD), 0);
    }
    return 0;
}

CONTRACT(what_does_not_go_goes_later_whole_and_in_order)
{
    int rc;
    open_over();
    int taken = fill_up();
    CHECK(taken > 100);
    CHECK_EQ(weft_stream_try_flush(&s), -EAGAIN);
    CHECK(weft_stream_pending(&s) > 0);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, reads_records, &taken), 0);
        try_until_all_went();
    }
    CHECK_EQ(rc, 0);
    say("and the next");
    try_until_all_went();
    check_peer_reads("and the next");
    close_over();
}

CONTRACT(what_does_not_go_goes_with_the_next_flush)
{
    int rc;
    open_over();
    int taken = fill_up();
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, reads_records, &taken), 0);
        CHECK_EQ(weft_stream_flush(&s), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_stream_pending(&s), 0);
    CHECK_EQ(weft_stream_try_flush(&s), 0);
    close_over();
}

/* ---- who else is sending ------------------------------------------------ */

static int flushes(void *arg)
{
    int *result = arg;
    *result = weft_stream_flush(&s);
    return 0;
}

CONTRACT(while_another_fiber_sends_nothing_is_tried)
{
    int rc, result = 1;
    open_over();
    int taken = fill_up();
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, flushes, &result), 0);
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
        CHECK_EQ(result, 1);
        size_t before = weft_stream_pending(&s);
        for (int i = 0; i < 3; i++)
            CHECK_EQ(weft_stream_try_flush(&s), -EBUSY);
        CHECK_EQ(weft_stream_pending(&s), before);
        rc = reads_records(&taken);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(result, 0);
    CHECK_EQ(weft_stream_try_flush(&s), 0);
    CHECK_EQ(weft_stream_pending(&s), 0);
    close_over();
}

CONTRACT(who_was_cancelled_while_sending_leaves_the_rest_to_be_tried)
{
    int rc, result = 1;
    open_over();
    int taken = fill_up();
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, flushes, &result), 0);
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(weft_stream_try_flush(&s), -EAGAIN);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, reads_records, &taken), 0);
        try_until_all_went();
    }
    CHECK_EQ(rc, 0);
    close_over();
}

TEST_PLAIN(outside_of_a_fiber_nothing_is_tried)
{
    weft_stream_init(&s, (weft_fd){0, 0});
    CHECK_EQ(weft_stream_try_flush(&s), -EPERM);
    char *room = weft_stream_reserve(&s, 3);
    CHECK(room != NULL);
    memcpy(room, "abc", 3);
    weft_stream_commit(&s, 3);
    CHECK_EQ(weft_stream_try_flush(&s), -EPERM);
    CHECK_EQ(weft_stream_pending(&s), 3);
    weft_stream_fini(&s);
}

/* ---- it never parks ----------------------------------------------------- */

static int counts(void *arg)
{
    int *turns = arg;
    ++*turns;
    return 0;
}

/* More often than anybody may go on without giving way. */
static void try_often(int want)
{
    for (int i = 0; i < 5000; i++)
        CHECK_EQ(weft_stream_try_flush(&s), want);
}

CONTRACT(nobody_else_runs_while_it_is_tried)
{
    int rc, turns = 0;
    open_over();
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, counts, &turns), 0);
        try_often(0);
        say("something");
        for (int i = 0; i < 100; i++) {
            int err = weft_stream_try_flush(&s);
            CHECK(err == 0 || err == -EAGAIN);
        }
        CHECK_EQ(turns, 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(turns, 1);
    try_until_all_went();
    check_peer_reads("something");
    close_over();
}

CONTRACT(nobody_else_runs_while_there_is_no_room)
{
    int rc, turns = 0, result = 1;
    open_over();
    int taken = fill_up();
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, counts, &turns), 0);
        try_often(-EAGAIN);
        CHECK_EQ(turns, 0);
    }
    CHECK_EQ(rc, 0);
    turns = 0;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, flushes, &result), 0);
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
        CHECK_EQ(weft_spawn(&n, counts, &turns), 0);
        try_often(-EBUSY);
        CHECK_EQ(turns, 0);
        CHECK_EQ(weft_spawn(&n, reads_records, &taken), 0);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(result, 0);
    close_over();
}

/* What never parks is no cancel point. */
CONTRACT(who_is_cancelled_may_still_try)
{
    weft_scope scope;
    open_over();
    say("goodbye");
    open_cancelled_scope(&scope);
    int rc = weft_stream_try_flush(&s);
    CHECK(rc == 0 || rc == -EAGAIN);
    CHECK_EQ(weft_scope_end(&scope, 0), 0);
    try_until_all_went();
    check_peer_reads("goodbye");
    close_over();
}

/* ---- errors ------------------------------------------------------------- */

CONTRACT(an_error_of_what_is_tried_is_for_good)
{
    int rc = 0;
    open_over();
    close_peer();
    CHECK_EQ(weft_stream_try_flush(&s), 0); /* there was nothing to send */
    for (int i = 0; i < 100; i++) {         /* of a delay it is told later */
        if (weft_stream_pending(&s) == 0 && rc == 0)
            rc = weft_stream_write(&s, "void", 4);
        if (rc == 0) rc = weft_stream_try_flush(&s);
        if (rc == -EAGAIN) rc = 0;
        if (rc < 0) break;
        CHECK_EQ(weft_sleep(WEFT_MSEC(100)), 0);
    }
    CHECK_EQ(rc, -EPIPE);
    CHECK_EQ(weft_stream_write(&s, "x", 1), -EPIPE);
    CHECK(!weft_stream_reserve(&s, 1));
    CHECK_EQ(weft_stream_try_flush(&s), -EPIPE);
    CHECK_EQ(weft_stream_flush(&s), -EPIPE);
    CHECK_EQ(weft_stream_try_flush(&s), -EPIPE);
    CHECK_EQ(weft_stream_close(&s), -EPIPE);
}

static int writes_much(void *arg)
{
    static const char much[4 << 20];
    int *result = arg;
    *result = weft_stream_write(&s, much, sizeof much);
    return 0;
}

CONTRACT(what_broke_half_way_says_so_to_who_tries)
{
    int rc, result = 1;
    open_over();
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, writes_much, &result), 0);
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
        CHECK_EQ(weft_stream_try_flush(&s), -EBUSY);
        weft_nursery_cancel(&n, 0, NULL);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(weft_stream_try_flush(&s), -EPIPE);
    CHECK_EQ(weft_stream_close(&s), -EPIPE);
    close_peer();
}

TEST(of_a_descriptor_that_was_closed_it_says_so)
{
    over = OVER_A_DESCRIPTOR;
    open_over();
    say("never sent");
    CHECK_EQ(weft_close(weft_stream_fd(&s)), 0);
    CHECK_EQ(weft_stream_try_flush(&s), -EBADF);
    CHECK_EQ(weft_stream_try_flush(&s), -EBADF);
    CHECK_EQ(weft_stream_close(&s), -EBADF);
    close_peer();
}

CONTRACT(where_the_sending_has_ended_nothing_is_left_to_try)
{
    open_over();
    say("last");
    CHECK_EQ(weft_stream_shutdown_write(&s), 0);
    CHECK_EQ(weft_stream_try_flush(&s), 0);
    CHECK_EQ(weft_stream_flush(&s), 0);
    CHECK_EQ(weft_stream_try_flush(&s), 0);
    CHECK_EQ(weft_stream_write(&s, "x", 1), -EPIPE);
    check_peer_reads("last");
    close_over();
}
