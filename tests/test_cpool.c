/* SPDX-License-Identifier: MIT */
/*
 * test_cpool.c - pools of connections: who gets which, how many there are, and
 * what becomes of those that are broken. The numbers are those of
 * docs/PATTERNS.md.
 */
#include "cpool.h"

/* ---- lending --------------------------------------------------------------- */

TEST(pattern_101_nothing_is_opened_before_it_is_asked_for)
{
    IN_POOL(.size = 3)
    {
        rc = weft_sleep(WEFT_SEC(60));
        CHECK_EQ(w.opened, 0);
        put(get());
        CHECK_EQ(w.opened, 1);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w.closed, 1);
}

TEST(pattern_101_what_came_back_last_is_lent_first)
{
    IN_POOL(.size = 3)
    {
        struct thing *a = get(), *b = get();
        put(a);
        put(b);
        CHECK_PTR(get(), b);
        CHECK_PTR(get(), a);
        CHECK_EQ(w.opened, 2);
        CHECK_EQ(stats().reused, 2);
        put(a);
        put(b);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

TEST(pattern_101_those_who_wait_are_served_in_line)
{
    struct user u[5];
    IN_POOL(.size = 1)
    {
        for (int i = 0; i < 5; i++) {
            u[i] = (struct user){.name = (char)('a' + i), .keeps = WEFT_SEC(1)};
            rc = weft_spawn(&n, uses, &u[i]);
            CHECK_EQ(rc, 0);
            CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_STR(said, "abcde");
    CHECK_EQ(u[4].had_at - u[0].had_at, WEFT_SEC(4));
    CHECK_EQ(w.opened, 1);
}

TEST(one_who_comes_anew_does_not_overtake_one_who_waits)
{
    struct user waits = {.name = 'w'}, comes = {.name = 'c'};
    IN_POOL(.size = 1)
    {
        struct thing *t = get();
        CHECK_EQ(weft_spawn(&n, uses, &waits), 0);
        CHECK_EQ(weft_sleep(1), 0);
        put(t); /* it is w's from here on */
        rc = uses(&comes);
    }
    CHECK_EQ(rc, 0);
    CHECK_STR(said, "wc");
}

TEST(one_that_waits_and_is_cancelled_leaves_the_line_to_the_others)
{
    weft_task a;
    struct user u[2] = {{.name = 'a'}, {.name = 'b'}};
    IN_POOL(.size = 1)
    {
        struct thing *t = get();
        const weft_spawn_opts o = {.task = &a};
        CHECK_EQ(weft_spawn_ex(&n, uses, &u[0], &o), 0);
        CHECK_EQ(weft_spawn(&n, uses, &u[1]), 0);
        CHECK_EQ(weft_sleep(1), 0);
        CHECK_EQ(stats().waiting, 2);
        weft_task_cancel(&a, 0, NULL);
        CHECK_EQ(stats().waiting, 1);
        put(t);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(u[0].rc, -ECANCELED);
    CHECK_STR(said, "b");
}

TEST(one_that_was_given_a_place_and_is_cancelled_then_has_it)
{
    weft_task a;
    struct user u = {.name = 'a'};
    IN_POOL(.size = 1)
    {
        struct thing *t = get();
        const weft_spawn_opts o = {.task = &a};
        CHECK_EQ(weft_spawn_ex(&n, uses, &u, &o), 0);
        CHECK_EQ(weft_sleep(1), 0);
        put(t);
        weft_task_cancel(&a, 0, NULL);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
    CHECK_STR(said, "a");
    CHECK_EQ(u.rc, -ECANCELED); /* of its sleep */
    CHECK_EQ(w.closed, 1);
}

TEST(pattern_100_who_waits_for_too_long_is_told_who_has_them)
{
    void *conn;
    IN_POOL(.name = "db", .size = 1, .wait = WEFT_SEC(5))
    {
        struct thing *t = get();
        weft_time start = weft_now();
        CHECK_EQ(weft_cpool_get(&p, &conn), -ETIMEDOUT);
        CHECK_EQ(weft_now() - start, WEFT_SEC(5));
        CHECK(strstr(weft_last_error()->msg, "pool db"));
        CHECK(strstr(weft_last_error()->msg, "\"main\""));
        CHECK_EQ(stats().timeouts, 1);
        CHECK_EQ(stats().waiting, 0);
        put(t);
        put(get());
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

TEST(the_usual_wait_is_thirty_seconds_and_less_than_none_is_none)
{
    void *conn;
    IN_POOL(.size = 1)
    {
        struct thing *t = get();
        weft_time start = weft_now();
        CHECK_EQ(weft_cpool_get(&p, &conn), -ETIMEDOUT);
        CHECK_EQ(weft_now() - start, WEFT_SEC(30));
        put(t);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
    WEFT_NURSERY(n, rc) {
        open_in(&n, (weft_cpool_opts){.size = 1, .wait = -1});
        struct thing *t = get();
        weft_time start = weft_now();
        CHECK_EQ(weft_cpool_get(&p, &conn), -ETIMEDOUT);
        CHECK_EQ(weft_now() - start, 0);
        put(t);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

TEST(the_callers_deadline_is_the_callers)
{
    void *conn;
    IN_POOL(.size = 1)
    {
        struct thing *t = get();
        int err;
        WEFT_FAIL_AFTER(err, WEFT_SEC(2)) {
            err = weft_cpool_get(&p, &conn);
            CHECK_EQ(err, -ECANCELED);
        }
        CHECK_EQ(err, -ETIMEDOUT);
        CHECK_EQ(stats().timeouts, 0);
        put(t);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

/* ---- how many -------------------------------------------------------------- */

TEST(
    pattern_100_overflow_is_opened_when_all_are_lent_and_closed_when_it_comes_back)
{
    IN_POOL(.size = 1, .overflow = 2, .wait = WEFT_SEC(1))
    {
        struct thing *a = get(), *b = get(), *c = get();
        void *conn;
        CHECK_EQ(weft_cpool_get(&p, &conn), -ETIMEDOUT);
        CHECK_EQ(w.most, 3);
        put(a);
        put(b);
        CHECK_EQ(w.closed, 2);
        put(c);
        CHECK_EQ(w.closed, 2);
        CHECK_PTR(get(), c);
        put(c);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

TEST(overflow_goes_to_who_waits_rather_than_be_closed)
{
    struct user u[2] = {{.name = 'a', .keeps = 1}, {.name = 'b', .keeps = 1}};
    IN_POOL(.size = 1, .overflow = 1)
    {
        struct thing *a = get(), *b = get();
        CHECK_EQ(weft_spawn(&n, uses, &u[0]), 0);
        CHECK_EQ(weft_spawn(&n, uses, &u[1]), 0);
        CHECK_EQ(weft_sleep(1), 0);
        put(a);
        put(b); /* both before either of those has run */
        CHECK_EQ(w.closed, 0);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(w.opened, 2);
}

TEST(those_that_are_being_opened_and_closed_count)
{
    struct user u[6];
    IN_POOL(.size = 2, .overflow = 1)
    {
        w.open_takes = WEFT_SEC(1);
        w.close_takes = WEFT_SEC(1);
        for (int i = 0; i < 6; i++) {
            u[i] = (struct user){.name = 'x', .keeps = WEFT_MSEC(100 * i)};
            CHECK_EQ(weft_spawn(&n, uses, &u[i]), 0);
        }
        rc = 0;
    }
    CHECK_EQ(rc, 0);
    CHECK(w.most <= 3);
    CHECK_STR(said, "xxxxxx");
}

/* ---- what is broken ------------------------------------------------------ */

TEST(pattern_100_one_that_is_put_back_as_broken_is_closed)
{
    IN_POOL(.size = 1)
    {
        CHECK_EQ(weft_cpool_put(&p, get(), false), 0);
        CHECK_EQ(w.closed, 1);
        put(get());
        CHECK_EQ(w.opened, 2);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

TEST(pattern_100_one_that_died_while_it_was_idle_is_found_by_ping_and_replaced)
{
    IN_POOL(.size = 2, .ping = pings)
    {
        struct thing *a = get(), *b = get();
        CHECK_EQ(w.pinged, 0);
        a->dead = true;
        put(a);
        put(b);
        CHECK_PTR(get(), b);
        struct thing *c = get();
        CHECK_EQ(c->number, 3);
        CHECK_EQ(w.pinged, 2);
        CHECK_EQ(stats().ping_failures, 1);
        put(b);
        put(c);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

TEST(one_that_was_just_in_use_is_not_pinged)
{
    IN_POOL(.size = 1, .ping = pings, .ping_after = WEFT_SEC(10))
    {
        put(get());
        CHECK_EQ(weft_sleep(WEFT_SEC(9)), 0);
        put(get());
        CHECK_EQ(w.pinged, 0);
        CHECK_EQ(weft_sleep(WEFT_SEC(10)), 0);
        put(get());
        CHECK_EQ(w.pinged, 1);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

TEST(pattern_101_one_is_reset_when_it_comes_back_and_closed_if_that_fails)
{
    IN_POOL(.size = 1, .reset = resets)
    {
        struct thing *t = get();
        CHECK_EQ(w.reset, 0);
        t->dirty = true;
        put(t);
        CHECK(!t->dirty);
        CHECK_PTR(get(), t);
        w.reset_fails = -EPIPE;
        put(t);
        CHECK_EQ(w.closed, 1);
        CHECK_EQ(stats().reset_failures, 1);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

TEST(a_reset_that_does_not_end_is_cut_off_by_the_grace)
{
    IN_POOL(.size = 1, .reset = resets, .grace = WEFT_SEC(2))
    {
        w.reset_takes = WEFT_FOREVER;
        weft_time start = weft_now();
        put(get());
        CHECK_EQ(weft_now() - start, WEFT_SEC(2));
        CHECK_EQ(w.closed, 1);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

static int puts_back_when_cancelled(void *arg)
{
    struct thing *t = get();
    (void)arg;
    int err = weft_sleep(WEFT_FOREVER);
    t->dirty = true;
    put(t);
    CHECK_EQ(weft_checkpoint(), -ECANCELED);
    return err;
}

TEST(who_is_cancelled_can_put_back_and_it_is_reset_all_the_same)
{
    IN_POOL(.size = 1, .reset = resets)
    {
        w.reset_takes = WEFT_MSEC(5);
        rc = weft_with_timeout(WEFT_SEC(1), puts_back_when_cancelled, NULL);
        CHECK_EQ(rc, -ETIMEDOUT);
        CHECK_EQ(w.reset, 1);
        CHECK_EQ(stats().idle, 1);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

TEST(that_one_cannot_be_opened_is_the_callers_to_know_and_blocks_nobody)
{
    void *conn;
    IN_POOL(.size = 1)
    {
        w.open_fails = -ECONNREFUSED;
        CHECK_EQ(weft_cpool_get(&p, &conn), -ECONNREFUSED);
        CHECK_STR(weft_last_error()->msg, "nobody is at home");
        CHECK_EQ(stats().open_failures, 1);
        w.open_fails = 0;
        put(get());
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

TEST(opening_is_a_part_of_the_callers_work_with_its_deadline)
{
    void *conn;
    IN_POOL(.size = 1)
    {
        w.open_takes = WEFT_SEC(9);
        int err;
        WEFT_FAIL_AFTER(err, WEFT_SEC(1)) {
            err = weft_cpool_get(&p, &conn);
        }
        CHECK_EQ(err, -ETIMEDOUT);
        w.open_takes = 0;
        put(get());
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

TEST(a_failed_opening_gives_its_place_to_who_waits)
{
    struct user u[3] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}};
    IN_POOL(.size = 1)
    {
        w.open_takes = WEFT_SEC(1);
        w.open_fails = -EHOSTUNREACH;
        for (int i = 0; i < 3; i++)
            CHECK_EQ(weft_spawn(&n, uses, &u[i]), 0);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(u[i].rc, -EHOSTUNREACH);
}

/* ---- with ------------------------------------------------------------------ */

static int marks_it(void *conn, void *arg)
{
    ((struct thing *)conn)->dirty = true;
    return *(int *)arg;
}

TEST(with_puts_back_what_worked_and_closes_what_did_not)
{
    int good = 7, bad = -EPROTO;
    IN_POOL(.size = 1)
    {
        CHECK_EQ(weft_cpool_with(&p, marks_it, &good), 7);
        CHECK_EQ(stats().idle, 1);
        CHECK_EQ(weft_cpool_with(&p, marks_it, &bad), -EPROTO);
        CHECK_EQ(stats().idle, 0);
        CHECK_EQ(w.closed, 1);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

/* ---- misuse ---------------------------------------------------------------- */

TEST(what_is_not_lent_cannot_be_put_back)
{
    IN_POOL(.size = 1)
    {
        struct thing *t = get();
        int other;
        CHECK_EQ(weft_cpool_put(&p, &other, true), -EINVAL);
        CHECK(strstr(weft_last_error()->msg, "is not lent"));
        put(t);
        CHECK_EQ(weft_cpool_put(&p, t, true), -EINVAL);
        CHECK_PTR(get(), t);
        put(t);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_cpool_put(&p, NULL, true), -EINVAL);
}

TEST(options_that_make_no_sense_are_refused)
{
    weft_cpool_opts none = {.size = 1};
    weft_cpool_opts much = with((weft_cpool_opts){.size = 1, .min_idle = 2});
    int rc;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_cpool_open(&p, &n, &none), -EINVAL);
        CHECK_EQ(weft_cpool_open(&p, &n, &much), -EINVAL);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_cpool_close(&p, 0), 0);
}

TEST(a_full_nursery_has_no_room_for_the_keeper)
{
    const weft_nursery_opts limit = {.limit = 1};
    weft_cpool_opts o = with((weft_cpool_opts){.size = 1, .min_idle = 1});
    void *conn;
    int rc;
    WEFT_NURSERY_EX(n, rc, &limit) {
        CHECK_EQ(weft_spawn(&n, waits_for_ever, NULL), 0);
        CHECK_EQ(weft_cpool_open(&p, &n, &o), -EAGAIN);
        CHECK_EQ(weft_cpool_get(&p, &conn), -ESHUTDOWN);
        weft_nursery_cancel(&n, 0, NULL);
        rc = 0;
    }
    CHECK_EQ(rc, 0);
}

TEST_PLAIN(outside_a_run_there_are_no_pools)
{
    weft_cpool none = {0};
    weft_cpool_opts o = with((weft_cpool_opts){.size = 1});
    weft_nursery n;
    void *conn;
    CHECK_EQ(weft_cpool_open(&none, &n, &o), -EPERM);
    CHECK_EQ(weft_cpool_get(&none, &conn), -EPERM);
    CHECK_EQ(weft_cpool_close(&none, 0), -EPERM);
}
