/* SPDX-License-Identifier: MIT */
/*
 * test_cpool_end.c - pools of connections: what is closed when it is too old, or
 * too many, and what becomes of a pool at its end.
 */
#include "cpool.h"

/* ---- age ------------------------------------------------------------------- */

TEST(pattern_100_one_that_is_too_old_is_closed_when_it_comes_back)
{
    IN_POOL(.size = 1, .max_age = WEFT_SEC(60))
    {
        struct thing *t = get();
        CHECK_EQ(weft_sleep(WEFT_SEC(60)), 0);
        put(t);
        CHECK_EQ(w.closed, 1);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

TEST(one_that_grows_too_old_while_idle_is_closed_at_that_moment)
{
    IN_POOL(.size = 1, .max_age = WEFT_SEC(60))
    {
        put(get());
        CHECK_EQ(weft_sleep(WEFT_SEC(60) - 1), 0);
        CHECK_EQ(w.closed, 0);
        CHECK_EQ(weft_sleep(2), 0);
        CHECK_EQ(w.closed, 1);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

TEST(those_that_nobody_needs_are_closed_one_by_one)
{
    IN_POOL(.size = 3, .max_idle = WEFT_SEC(10))
    {
        struct thing *a = get(), *b = get();
        put(a);
        CHECK_EQ(weft_sleep(WEFT_SEC(4)), 0);
        put(b);
        CHECK_EQ(weft_sleep(WEFT_SEC(7)), 0);
        CHECK_EQ(w.closed, 1);
        CHECK_PTR(get(), b);
        CHECK_EQ(weft_sleep(WEFT_SEC(60)), 0);
        CHECK_EQ(w.closed, 1);
        put(b);
        CHECK_EQ(weft_sleep(WEFT_SEC(11)), 0);
        CHECK_EQ(w.closed, 2);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

TEST(pattern_101_so_many_are_kept_ready)
{
    IN_POOL(.size = 5, .min_idle = 2, .max_idle = WEFT_SEC(10))
    {
        CHECK_EQ(weft_sleep(1), 0);
        CHECK_EQ(stats().idle, 2);
        struct thing *a = get();
        CHECK_EQ(weft_sleep(1), 0);
        CHECK_EQ(stats().idle, 2);
        CHECK_EQ(w.opened, 3);
        put(a);
        CHECK_EQ(stats().idle, 3);
        CHECK_EQ(weft_sleep(WEFT_SEC(100)), 0);
        CHECK_EQ(stats().idle, 2);
        CHECK_EQ(w.opened, 3);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w.closed, 3);
}

TEST(those_that_are_kept_ready_are_replaced_when_they_are_too_old)
{
    IN_POOL(.size = 5, .min_idle = 2, .max_age = WEFT_SEC(60))
    {
        CHECK_EQ(weft_sleep(WEFT_SEC(61)), 0);
        CHECK_EQ(w.opened, 4);
        CHECK_EQ(w.closed, 2);
        CHECK_EQ(stats().idle, 2);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

TEST(what_cannot_be_kept_ready_is_tried_again_less_and_less_often)
{
    IN_POOL(.size = 5, .min_idle = 1)
    {
        w.open_fails = -ECONNREFUSED;
        CHECK_EQ(weft_sleep(WEFT_MSEC(500)), 0);
        CHECK_EQ(stats().open_failures, 1);
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0); /* after 1 s */
        CHECK_EQ(stats().open_failures, 2);
        CHECK_EQ(weft_sleep(WEFT_SEC(2)), 0); /* and 2 more */
        CHECK_EQ(stats().open_failures, 3);
        CHECK_EQ(weft_sleep(WEFT_SEC(300)), 0);
        CHECK(stats().open_failures < 20);
        w.open_fails = 0;
        CHECK_EQ(weft_sleep(WEFT_SEC(31)), 0);
        CHECK_EQ(stats().idle, 1);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

/* ---- the end --------------------------------------------------------------- */

TEST(the_nursery_closes_the_pool_after_the_last_of_its_children)
{
    struct user u = {.name = 'a', .keeps = WEFT_SEC(1)};
    void *conn;
    IN_POOL(.size = 2, .min_idle = 1)
    {
        rc = weft_spawn(&n, uses, &u);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(u.rc, 0);
    CHECK_EQ(w.alive, 0);
    CHECK_EQ(weft_cpool_get(&p, &conn), -ESHUTDOWN);
    CHECK_EQ(weft_cpool_close(&p, WEFT_FOREVER), 0);
}

TEST(pattern_101_closing_waits_for_those_that_are_lent)
{
    struct user u = {.name = 'a', .keeps = WEFT_SEC(3)};
    IN_POOL(.size = 2)
    {
        CHECK_EQ(weft_spawn(&n, uses, &u), 0);
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
        weft_time start = weft_now();
        CHECK_EQ(weft_cpool_close(&p, WEFT_SEC(5)), 0);
        CHECK_EQ(weft_now() - start, WEFT_SEC(2));
        CHECK_EQ(w.alive, 0);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

static int keeps(void *arg)
{
    *(struct thing **)arg = get();
    return weft_sleep(WEFT_SEC(100));
}

TEST(pattern_101_closing_names_those_who_have_not_given_back)
{
    struct thing *kept[2];
    IN_POOL(.name = "db", .size = 2)
    {
        const weft_spawn_opts o = {.name = "hoarder"};
        CHECK_EQ(weft_spawn_ex(&n, keeps, &kept[0], &o), 0);
        CHECK_EQ(weft_spawn(&n, keeps, &kept[1]), 0);
        CHECK_EQ(weft_sleep(1), 0);
        weft_time start = weft_now();
        CHECK_EQ(weft_cpool_close(&p, WEFT_SEC(5)), 2);
        CHECK_EQ(weft_now() - start, WEFT_SEC(5));
        const char *said_so = weft_last_error()->msg;
        CHECK(strstr(said_so, "pool db: 2 not back"));
        CHECK(strstr(said_so, "\"hoarder\" (cpool.h:"));
        put(kept[0]);
        CHECK_EQ(w.closed, 1);
        CHECK_EQ(weft_cpool_close(&p, 0), 1);
        put(kept[1]);
        CHECK_EQ(w.closed, 2);
        CHECK_EQ(weft_cpool_close(&p, 0), 0);
        weft_nursery_cancel(&n, 0, NULL);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

TEST(what_is_lent_when_the_nursery_closes_is_a_failure_of_it)
{
    struct thing *t = NULL;
    IN_POOL(.size = 2)
    {
        t = get();
        rc = 0;
    }
    CHECK_EQ(rc, -EBUSY);
    put(t);
    CHECK_EQ(w.alive, 0);
}

TEST(those_who_wait_when_it_is_closed_are_told_so)
{
    struct user u = {.name = 'a'};
    void *conn;
    IN_POOL(.size = 1)
    {
        struct thing *t = get();
        CHECK_EQ(weft_spawn(&n, uses, &u), 0);
        CHECK_EQ(weft_sleep(1), 0);
        CHECK_EQ(weft_cpool_close(&p, -1), 1);
        CHECK_EQ(weft_cpool_get(&p, &conn), -ESHUTDOWN);
        CHECK_EQ(weft_sleep(1), 0);
        CHECK_EQ(u.rc, -ESHUTDOWN);
        put(t);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
    CHECK_STR(said, "");
}

TEST(one_that_is_being_opened_when_it_is_closed_is_closed_too)
{
    struct user u = {.name = 'a'};
    IN_POOL(.size = 1)
    {
        w.open_takes = WEFT_SEC(2);
        CHECK_EQ(weft_spawn(&n, uses, &u), 0);
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0);
        CHECK_EQ(weft_cpool_close(&p, WEFT_SEC(5)), 0);
        CHECK_EQ(w.opened, 1);
        CHECK_EQ(w.closed, 1);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(u.rc, -ESHUTDOWN);
}

static int closes_at_once(void *arg)
{
    weft_time start = weft_now();
    (void)arg;
    CHECK_EQ(weft_cancelled(), true);
    CHECK_EQ(weft_cpool_close(&p, WEFT_FOREVER), 1);
    CHECK_EQ(weft_now(), start);
    return 0;
}

TEST(one_that_is_cancelled_closes_without_waiting)
{
    IN_POOL(.size = 1)
    {
        struct thing *t = get();
        weft_scope s;
        weft_scope_init(&s);
        CHECK_EQ(weft_scope_begin(&s), 0);
        weft_scope_cancel(&s, 0, NULL);
        CHECK_EQ(closes_at_once(NULL), 0);
        CHECK_EQ(weft_scope_end(&s, 0), 0);
        put(t);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

TEST(it_can_be_opened_again)
{
    IN_POOL(.size = 1)
    {
        put(get());
        CHECK_EQ(weft_cpool_close(&p, 0), 0);
        open_in(&n, (weft_cpool_opts){.size = 1, .max_idle = WEFT_SEC(1)});
        put(get());
        rc = 0;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w.alive, 0);
}

TEST(a_cancelled_nursery_ends_the_keeper_and_closes_the_pool)
{
    IN_POOL(.size = 2, .min_idle = 1)
    {
        CHECK_EQ(weft_sleep(1), 0);
        weft_nursery_cancel(&n, -EINTR, NULL);
        rc = 0;
    }
    CHECK_EQ(w.alive, 0);
}

TEST(an_idle_pool_keeps_no_nursery_open)
{
    weft_time start = weft_now();
    IN_POOL(.size = 2, .min_idle = 2, .max_idle = WEFT_SEC(100))
    {
        rc = weft_sleep(1);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_now() - start, 1);
}
