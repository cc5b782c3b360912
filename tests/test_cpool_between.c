/* SPDX-License-Identifier: MIT */
/*
 * test_cpool_between.c - what changes at a pool while one of its functions, or
 * who asks for a connection, is waiting.
 */
#include "cpool.h"

#include <weft/fiber.h>

static weft_time ping_takes;
static int ping_result;

static int pings_long(void *conn, void *user)
{
    (void)pings(conn, user);
    int err = ping_takes ? weft_sleep(ping_takes) : 0;
    return err < 0 || ping_result < 0 ? -EIO : 0;
}

static int puts_a_thing(void *t)
{
    put(t);
    return 0;
}

/* One that asks with so much of its turn behind it. */
static void asks_after(int steps, struct thing *lent, weft_fn meanwhile,
                       weft_nursery *n, int want)
{
    void *conn;
    CHECK_EQ(weft_yield(), 0); /* a turn begins */
    CHECK_EQ(weft_spawn(n, meanwhile, lent), 0);
    for (int i = 0; i < steps; i++)
        CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_cpool_get(&p, &conn), want);
}

TEST(a_place_that_is_given_up_before_one_is_in_line_is_not_missed)
{
    weft_time start = weft_now();
    for (int i = 0; i < 140; i++) {
        IN_POOL(.size = 1, .wait = WEFT_SEC(1))
        {
            struct thing *t = get();
            asks_after(i, t, puts_a_thing, &n, 0);
            put(t);
            rc = 0;
        }
        CHECK_EQ(rc, 0);
    }
    CHECK_EQ(weft_now(), start);
}

static int closes_the_pool(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_cpool_close(&p, -1), 1);
    return 0;
}

TEST(a_pool_that_is_closed_before_one_is_in_line_is_not_waited_for)
{
    weft_time start = weft_now();
    for (int i = 0; i < 140; i++) {
        IN_POOL(.size = 1, .wait = WEFT_SEC(1))
        {
            struct thing *t = get();
            asks_after(i, t, closes_the_pool, &n, -ESHUTDOWN);
            put(t);
            rc = 0;
        }
        CHECK_EQ(rc, 0);
    }
    CHECK_EQ(weft_now(), start);
}

TEST(nothing_is_opened_any_more_once_it_is_closed)
{
    struct user u = {.name = 'a'};
    ping_takes = WEFT_SEC(2);
    ping_result = -1;
    IN_POOL(.size = 2, .ping = pings_long)
    {
        put(get());
        CHECK_EQ(weft_spawn(&n, uses, &u), 0);
        CHECK_EQ(weft_sleep(WEFT_SEC(1)), 0); /* it is being pinged */
        CHECK_EQ(weft_cpool_close(&p, WEFT_FOREVER), 0);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(u.rc, -ESHUTDOWN);
    CHECK_EQ(w.opened, 1);
    CHECK_EQ(w.closed, 1);
}

TEST(a_ping_that_was_cut_off_costs_no_other_connection)
{
    ping_takes = WEFT_SEC(2);
    ping_result = 0;
    IN_POOL(.size = 3, .ping = pings_long)
    {
        int err;
        struct thing *t[3] = {get(), get(), get()};
        for (int i = 0; i < 3; i++)
            put(t[i]);
        WEFT_FAIL_AFTER(err, WEFT_SEC(1)) {
            void *conn;
            err = weft_cpool_get(&p, &conn);
            CHECK_EQ(err, -ECANCELED);
        }
        CHECK_EQ(err, -ETIMEDOUT);
        CHECK_EQ(stats().idle, 2);
        CHECK_EQ(w.opened, 3);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

TEST(one_that_is_kept_ready_is_lent_however_long_that_was)
{
    IN_POOL(.size = 3, .min_idle = 1, .max_idle = WEFT_SEC(10))
    {
        CHECK_EQ(weft_sleep(WEFT_SEC(100)), 0);
        CHECK_EQ(w.opened, 1);
        struct thing *t = get();
        CHECK_EQ(t->number, 1);
        CHECK_EQ(w.closed, 0);
        put(t);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

/* Somebody waits while two are being reset, and has left when they are. */
TEST(no_more_are_kept_than_its_size_if_who_waited_has_left)
{
    IN_POOL(.size = 1, .overflow = 1, .reset = resets)
    {
        weft_task t;
        struct user u = {.name = 'a'};
        struct thing *two[2] = {get(), get()};
        w.reset_takes = WEFT_SEC(1);
        CHECK_EQ(weft_spawn_ex(&n, uses, &u, &(weft_spawn_opts){.task = &t}),
                 0);
        CHECK_EQ(weft_sleep(1), 0);
        CHECK_EQ(weft_spawn(&n, puts_a_thing, two[0]), 0);
        CHECK_EQ(weft_spawn(&n, puts_a_thing, two[1]), 0);
        CHECK_EQ(weft_sleep(1), 0);
        weft_task_cancel(&t, 0, NULL);
        CHECK_EQ(weft_sleep(WEFT_SEC(5)), 0);
        CHECK_EQ(u.rc, -ECANCELED);
        CHECK_EQ(stats().idle, 1);
        CHECK_EQ(stats().lent, 0);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}
