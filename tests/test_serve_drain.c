/* SPDX-License-Identifier: MIT */
/* test_serve_drain.c - each way in which a stop can meet a server, and when it
 * is over then. */
#include <weft/scope.h>
#include <weft/testing.h>

#include "harness.h"
#include "host.h"
#include "unhandled.h"

TEST(a_server_without_connections_stops_at_once)
{
    struct host h = {.handler = echo_in_memory};
    int rc;
    WITH_HOST(h, rc)
    CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
    CHECK_EQ(h.took, 0);
    CHECK_EQ(h.stats.accepted, 0);
}

TEST(an_idle_connection_ends_when_the_linger_is_over_and_not_before)
{
    struct host h = {.handler = echo_in_memory};
    weft_transport *t = NULL;
    int rc;
    WITH_HOST(h, rc)
    {
        t = visit(&h);
        check_answer(t, "x");
    }
    CHECK_EQ(h.took, WEFT_MSEC(250));
    CHECK_EQ(h.stats.done, 1);
    check_end(t);
}

static int be_busy_for_a_second(weft_conn *c)
{
    weft_conn_set_busy(c, true);
    CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
    weft_conn_set_busy(c, false);
    return echo_in_memory(c);
}

TEST(the_input_of_a_connection_that_is_busy_ends_when_it_is_so_no_more)
{
    struct host h = {.handler = be_busy_for_a_second};
    weft_transport *t = NULL;
    int rc;
    WITH_HOST(h, rc)
    {
        t = visit(&h);
        CHECK_EQ(weft_sleep(1), 0);
    }
    CHECK(h.took > WEFT_MSEC(990) && h.took <= WEFT_SEC(1));
    CHECK_EQ(h.stats.done, 1);
    check_end(t);
}

TEST(pattern_114_what_takes_no_notice_is_cancelled_when_the_drain_is_over)
{
    struct host h = {.handler = wait_to_be_let_go};
    weft_transport *t = NULL;
    int rc;
    WITH_HOST(h, rc)
    {
        t = visit(&h);
        CHECK_EQ(weft_sleep(1), 0);
    }
    CHECK_EQ(h.took, WEFT_SEC(5));
    CHECK_EQ(h.stats.cancelled, 1);
    check_end(t);
}

TEST(a_linger_beyond_the_drain_ends_with_it)
{
    struct host h = {.handler = echo_in_memory,
                     .opts = {.linger = WEFT_SEC(9), .drain = WEFT_SEC(2)}};
    weft_transport *t = NULL;
    int rc;
    WITH_HOST(h, rc)
    {
        t = visit(&h);
        check_answer(t, "x");
    }
    CHECK_EQ(h.took, WEFT_SEC(2));
    CHECK_EQ(h.stats.cancelled, 1);
    check_end(t);
}

TEST(without_a_linger_idle_connections_end_at_once)
{
    struct host h = {.handler = echo_in_memory, .opts = {.linger = -1}};
    weft_transport *t = NULL;
    int rc;
    WITH_HOST(h, rc)
    {
        t = visit(&h);
        check_answer(t, "x");
    }
    CHECK_EQ(h.took, 0);
    CHECK_EQ(h.stats.done, 1);
    check_end(t);
}

/* Its handler begins when the others have been told already. */
TEST(without_a_linger_who_was_in_the_backlog_sees_his_end_too)
{
    struct host h = {.handler = echo_in_memory, .opts = {.linger = -1}};
    weft_transport *t = NULL;
    int rc;
    WITH_HOST(h, rc)
    t = visit(&h);
    CHECK_EQ(h.took, 0);
    CHECK_EQ(h.stats.accepted, 1);
    CHECK_EQ(h.stats.done, 1);
    check_end(t);
}

TEST(without_a_drain_all_is_cancelled_at_once)
{
    struct host h = {.handler = wait_to_be_let_go, .opts = {.drain = -1}};
    weft_transport *t[2] = {NULL};
    int rc;
    WITH_HOST(h, rc)
    {
        t[0] = visit(&h);
        CHECK_EQ(weft_sleep(1), 0);
        t[1] = visit(&h); /* it waits in the backlog */
    }
    CHECK_EQ(h.took, 0);
    CHECK_EQ(h.seen, 2);
    CHECK_EQ(h.stats.cancelled, 2);
    check_end(t[0]);
    check_end(t[1]);
}

TEST(without_an_end_of_the_drain_the_server_waits_for_its_handlers)
{
    struct host h = {.handler = wait_to_be_let_go,
                     .opts = {.drain = WEFT_FOREVER}};
    weft_transport *t = NULL;
    int rc, inner;
    WEFT_NURSERY(outer, inner) {
        WITH_HOST(h, rc)
        {
            t = visit(&h);
            CHECK_EQ(weft_sleep(1), 0);
            stop_host(&h, &n);
            WEFT_SHIELD(inner, WEFT_FOREVER)
                inner = weft_sleep(WEFT_SEC(3600));
            weft_event_set(&h.go);
        }
    }
    CHECK_EQ(inner, 0);
    CHECK_EQ(h.stats.done, 1);
    check_end(t);
}

/* Works for a second after it has been told. */
static int finish_work(weft_conn *c)
{
    while (!weft_conn_draining(c)) {
        int err = weft_sleep(WEFT_MSEC(1));
        if (err < 0) return err;
    }
    int err = weft_sleep(WEFT_SEC(1));
    if (err == 0) err = weft_transport_write_all(c->transport, "!", 1, NULL);
    return err;
}

TEST(pattern_114_a_handler_has_the_time_of_the_drain_to_finish)
{
    struct host h = {.handler = finish_work};
    weft_transport *t = NULL;
    char c;
    int rc;
    WITH_HOST(h, rc)
    {
        t = visit(&h);
        CHECK_EQ(weft_sleep(WEFT_MSEC(10)), 0);
    }
    CHECK(h.took >= WEFT_SEC(1));
    CHECK(h.took <= WEFT_SEC(1) + WEFT_MSEC(1));
    CHECK_EQ(h.stats.done, 1);
    CHECK_EQ(weft_transport_read(t, &c, 1), 1);
    check_end(t);
}

TEST(a_second_stop_changes_nothing)
{
    struct host h = {.handler = wait_to_be_let_go,
                     .opts = {.drain = WEFT_SEC(3)}};
    weft_transport *t = NULL;
    weft_scope outer;
    int rc, inner;
    weft_scope_init(&outer);
    CHECK_EQ(weft_scope_begin(&outer), 0);
    open_host(&h);
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_spawn(&n, run_host, &h), 0);
        t = visit(&h);
        CHECK_EQ(weft_sleep(1), 0);
        stop_host(&h, &n);
        WEFT_SHIELD(inner, WEFT_FOREVER) {
            inner = weft_sleep(WEFT_SEC(1));
            weft_nursery_cancel(&n, -EINTR, NULL);
            weft_scope_cancel(&outer, -EINTR, NULL);
        }
    }
    CHECK_EQ(weft_scope_end(&outer, rc), -EINTR);
    CHECK_EQ(h.took, WEFT_SEC(3));
    CHECK_EQ(h.stats.cancelled, 1);
    check_end(t);
    weft_memory_listener_free(h.listener);
}

TEST(who_comes_during_the_drain_is_refused)
{
    struct host h = {.handler = echo_in_memory};
    weft_transport *t = NULL, *late = NULL;
    int rc, inner;
    WITH_HOST(h, rc)
    {
        t = visit(&h);
        check_answer(t, "x");
        stop_host(&h, &n);
        WEFT_SHIELD(inner, WEFT_FOREVER) {
            inner = weft_sleep(WEFT_MSEC(1));
            CHECK_EQ(weft_memory_dial(h.listener, &late), -ECONNREFUSED);
            check_answer(t, "still served");
        }
    }
    CHECK_EQ(inner, 0);
    check_end(t);
}

TEST(a_stop_of_a_full_server_resets_who_waits_in_the_backlog)
{
    struct host h = {.handler = wait_to_be_let_go, .opts = {.max_conns = 2}};
    weft_transport *t[4] = {NULL};
    char c;
    int rc;
    WITH_HOST(h, rc)
    {
        for (int i = 0; i < 4; i++)
            t[i] = visit(&h);
        CHECK_EQ(weft_sleep(1), 0);
    }
    CHECK_EQ(h.took, WEFT_SEC(5));
    CHECK_EQ(h.seen, 2);
    CHECK_EQ(h.stats.peak, 2);
    for (int i = 0; i < 2; i++)
        check_end(t[i]);
    for (int i = 2; i < 4; i++) {
        CHECK_EQ(weft_transport_read(t[i], &c, 1), -ECONNRESET);
        weft_transport_close(t[i]);
    }
}

/* ---- a handler with fibers of its own ----------------------------------- */

static int child(void *arg)
{
    struct host *h = arg;
    int err = weft_sleep(WEFT_FOREVER);
    h->seen += err == -ECANCELED;
    return err;
}

static int with_children(weft_conn *c)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 3 && rc == 0; i++)
            rc = weft_spawn(&n, child, c->arg);
    }
    return rc;
}

TEST(the_children_of_a_handler_are_cancelled_with_it)
{
    struct host h = {.handler = with_children};
    weft_transport *t = NULL;
    int rc;
    WITH_HOST(h, rc)
    {
        t = visit(&h);
        CHECK_EQ(weft_sleep(1), 0);
    }
    CHECK_EQ(h.took, WEFT_SEC(5));
    CHECK_EQ(h.seen, 3);
    CHECK_EQ(h.stats.cancelled, 1);
    check_end(t);
}

static int clean_up_for_a_second(weft_conn *c)
{
    int rc, err = wait_to_be_let_go(c);
    WEFT_SHIELD(rc, WEFT_SEC(9))
        rc = weft_sleep(WEFT_SEC(1));
    CHECK_EQ(rc, 0);
    return err;
}

TEST(the_server_waits_for_the_clean_up_of_what_it_has_cancelled)
{
    struct host h = {.handler = clean_up_for_a_second};
    weft_transport *t = NULL;
    int rc;
    WITH_HOST(h, rc)
    {
        t = visit(&h);
        CHECK_EQ(weft_sleep(1), 0);
    }
    CHECK_EQ(h.took, WEFT_SEC(6));
    CHECK_EQ(h.stats.cancelled, 1);
    check_end(t);
}

static int fail_when_cancelled(weft_conn *c)
{
    return wait_to_be_let_go(c) < 0 ? weft_fail(-EIO, "in its clean-up") : 0;
}

TEST(a_handler_that_fails_at_the_end_of_the_drain_is_a_failure)
{
    struct host h = {.handler = fail_when_cancelled};
    weft_transport *t = NULL;
    int rc;
    weft_on_unhandled(note_unhandled);
    WITH_HOST(h, rc)
    {
        t = visit(&h);
        CHECK_EQ(weft_sleep(1), 0);
    }
    CHECK_EQ(h.stats.failed, 1);
    CHECK_EQ(unhandled, 1);
    CHECK_STR(unhandled_msg, "in its clean-up");
    weft_on_unhandled(NULL);
    check_end(t);
}

/* The scope around it says when. */
TEST(a_deadline_stops_a_server_like_any_other_cancellation)
{
    struct host h = {.handler = echo_in_memory};
    weft_transport *t = NULL;
    weft_time start = weft_now();
    int rc;
    open_host(&h);
    WEFT_FAIL_AFTER(rc, WEFT_SEC(1)) {
        t = visit(&h);
        rc = run_host(&h);
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(h.result, -ECANCELED);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(1250)); /* and its linger */
    check_end(t);
    weft_memory_listener_free(h.listener);
}

TEST(a_server_that_is_cancelled_before_it_began_serves_the_backlog)
{
    struct host h = {.handler = echo_in_memory};
    weft_transport *t = NULL;
    weft_scope s;
    open_host(&h);
    t = visit(&h);
    CHECK_EQ(weft_transport_write_all(t, "hello", 5, NULL), 0);
    weft_scope_init(&s);
    weft_scope_cancel(&s, 0, NULL);
    CHECK_EQ(weft_scope_begin(&s), 0);
    CHECK_EQ(weft_scope_end(&s, run_host(&h)), 0);
    char back[5];
    CHECK_EQ(weft_transport_read(t, back, 5), 5);
    check_end(t);
    CHECK_EQ(h.stats.done, 1);
    weft_memory_listener_free(h.listener);
}
