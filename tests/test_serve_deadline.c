/* SPDX-License-Identifier: MIT */
/* test_serve_deadline.c - how long a connection has, and who may move that. */
#include <weft/scope.h>

#include "harness.h"
#include "host.h"
#include "unhandled.h"

TEST(a_connection_is_cancelled_at_its_deadline_and_that_is_no_failure)
{
    struct host h = {.handler = echo_in_memory,
                     .opts = {.deadline = WEFT_SEC(2)}};
    int rc;
    weft_on_unhandled(note_unhandled);
    WITH_HOST(h, rc)
    {
        weft_time start = weft_now();
        weft_transport *t = visit(&h);
        check_answer(t, "x");
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
        check_answer(t, "y"); /* what it does is no excuse */
        check_end(t);
        CHECK_EQ(weft_now() - start, WEFT_SEC(2));
        CHECK_EQ(h.stats.timed_out, 1);
        CHECK_EQ(h.stats.active, 0);
        t = visit(&h); /* and the next one has the same time */
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
        check_answer(t, "z");
        weft_transport_close(t);
    }
    CHECK_EQ(unhandled, 0);
    CHECK_EQ(h.stats.timed_out, 1);
    CHECK_EQ(h.stats.done, 1);
    weft_on_unhandled(NULL);
}

TEST(each_connection_has_a_deadline_of_its_own)
{
    struct host h = {.handler = echo_in_memory,
                     .opts = {.deadline = WEFT_SEC(3)}};
    int rc;
    WITH_HOST(h, rc)
    {
        weft_time start = weft_now();
        weft_transport *first = visit(&h);
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
        weft_transport *second = visit(&h);
        check_end(first);
        CHECK_EQ(weft_now() - start, WEFT_SEC(3));
        check_answer(second, "x");
        check_end(second);
        CHECK_EQ(weft_now() - start, WEFT_SEC(4));
    }
    CHECK_EQ(h.stats.timed_out, 2);
}

/* A second for each octet, however many come. */
static int a_second_each(weft_conn *c)
{
    char octet;
    for (;;) {
        weft_conn_set_deadline(c, weft_after(WEFT_SEC(1)));
        ssize_t n = weft_transport_read(c->transport, &octet, 1);
        if (n <= 0) return (int)n;
        int err = weft_transport_write_all(c->transport, &octet, 1, NULL);
        if (err < 0) return err;
    }
}

TEST(a_handler_that_moves_its_deadline_gives_each_request_so_long)
{
    for (weft_time whole = 0; whole < WEFT_SEC(20); whole += WEFT_SEC(9)) {
        struct host h = {.handler = a_second_each, .opts = {.deadline = whole}};
        int rc;
        WITH_HOST(h, rc)
        {
            weft_transport *t = visit(&h);
            for (int i = 0; i < 30; i++) {
                CHECK_EQ(weft_sleep(WEFT_MSEC(999)), 0);
                check_answer(t, "x");
            }
            weft_time last = weft_now();
            check_end(t);
            CHECK_EQ(weft_now() - last, WEFT_SEC(1));
        }
        CHECK_EQ(h.stats.timed_out, 1);
    }
}

static int for_ever(weft_conn *c)
{
    weft_conn_set_deadline(c, WEFT_FOREVER);
    return echo_in_memory(c);
}

TEST(a_deadline_can_be_moved_away)
{
    struct host h = {.handler = for_ever, .opts = {.deadline = WEFT_SEC(1)}};
    int rc;
    WITH_HOST(h, rc)
    {
        weft_transport *t = visit(&h);
        CHECK_EQ(weft_sleep(WEFT_SEC(3600)), 0);
        check_answer(t, "x");
        weft_transport_close(t);
    }
    CHECK_EQ(h.stats.done, 1);
}

static int too_late(weft_conn *c)
{
    char octet;
    int err = (int)weft_transport_read(c->transport, &octet, 1);
    weft_conn_set_deadline(c, WEFT_FOREVER);
    CHECK_EQ(weft_transport_read(c->transport, &octet, 1), err);
    return err;
}

TEST(one_that_has_expired_is_final)
{
    struct host h = {.handler = too_late, .opts = {.deadline = WEFT_SEC(1)}};
    int rc;
    WITH_HOST(h, rc)
    check_end(visit(&h));
    CHECK_EQ(h.stats.timed_out, 1);
}

TEST(less_than_no_time_has_expired_from_the_start)
{
    struct host h = {.handler = wait_to_be_let_go, .opts = {.deadline = -1}};
    int rc;
    WITH_HOST(h, rc)
    {
        weft_time start = weft_now();
        check_end(visit(&h));
        CHECK_EQ(weft_now(), start);
    }
    CHECK_EQ(h.seen, 1);
    CHECK_EQ(h.stats.timed_out, 1);
}

static int finish_all_the_same(weft_conn *c)
{
    CHECK_EQ(wait_to_be_let_go(c), -ECANCELED);
    return 0;
}

static int time_out_by_itself(weft_conn *c)
{
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(1))
        rc = wait_to_be_let_go(c);
    return rc;
}

TEST(what_the_handler_returns_is_what_counts)
{
    struct host h = {.handler = finish_all_the_same,
                     .opts = {.deadline = WEFT_SEC(1)}};
    struct host other = {.handler = time_out_by_itself,
                         .opts = {.deadline = WEFT_SEC(1)}};
    int rc;
    weft_on_unhandled(note_unhandled);
    WITH_HOST(h, rc)
    check_end(visit(&h));
    CHECK_EQ(h.stats.done, 1);
    CHECK_EQ(unhandled, 0);
    WITH_HOST(other, rc)
    check_end(visit(&other));
    CHECK_EQ(other.stats.failed, 1);
    CHECK_EQ(unhandled, 1);
    CHECK_EQ(unhandled_code, -ETIMEDOUT);
    weft_on_unhandled(NULL);
}

/* A fiber of the handler may move it too, and is stopped by it. */
static int prolong(void *arg)
{
    weft_conn *c = arg;
    struct host *h = c->arg;
    int err = weft_sleep(WEFT_MSEC(500));
    if (err == 0) weft_conn_set_deadline(c, weft_after(WEFT_SEC(5)));
    if (err == 0) err = weft_sleep(WEFT_FOREVER);
    h->seen += err == -ECANCELED;
    return err;
}

static int with_a_helper(weft_conn *c)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, prolong, c);
        if (rc == 0) rc = wait_to_be_let_go(c);
    }
    return rc;
}

TEST(a_deadline_is_for_all_that_the_handler_has_started)
{
    struct host h = {.handler = with_a_helper,
                     .opts = {.deadline = WEFT_SEC(1)}};
    int rc;
    WITH_HOST(h, rc)
    {
        weft_time start = weft_now();
        check_end(visit(&h));
        CHECK_EQ(weft_now() - start, WEFT_MSEC(5500));
    }
    CHECK_EQ(h.seen, 2);
    CHECK_EQ(h.stats.timed_out, 1);
}

TEST(a_deadline_in_the_drain_is_one_and_the_end_of_the_drain_is_not)
{
    for (int early = 0; early < 2; early++) {
        struct host h = {
            .handler = wait_to_be_let_go,
            .opts = {.deadline = early ? WEFT_SEC(4) : WEFT_SEC(8)}};
        weft_transport *t = NULL;
        int rc;
        WITH_HOST(h, rc)
        {
            t = visit(&h);
            CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
        }
        CHECK_EQ(h.took, early ? WEFT_SEC(3) : WEFT_SEC(5));
        CHECK_EQ(h.stats.timed_out, early);
        CHECK_EQ(h.stats.cancelled, !early);
        check_end(t);
    }
}

static bool too_early(weft_conn *c)
{
    weft_conn_set_deadline(c, weft_after(-1));
    return true;
}

TEST(before_the_handler_there_is_no_deadline_to_move)
{
    struct host h = {.handler = echo_in_memory,
                     .opts = {.on_connect = too_early}};
    int rc;
    WITH_HOST(h, rc)
    {
        weft_transport *t = visit(&h);
        check_answer(t, "x");
        weft_transport_close(t);
    }
    CHECK_EQ(h.stats.done, 1);
}
