/* SPDX-License-Identifier: MIT */
/*
 * test_sweep_cpool.c - the sweep over pools of connections and transactions:
 * whoever is cancelled, and whatever cannot be had, each connection that was
 * opened is closed once, there are never too many, nobody shares one, and each
 * transaction that began has ended.
 */
#include <weft/cpool.h>
#include <weft/fiber.h>
#include <weft/time.h>
#include <weft/transaction.h>

#include <errno.h>
#include <stdlib.h>

#include "harness.h"
#include "sweep.h"

enum { SIZE = 2, OVERFLOW = 1 };

struct conn {
    bool in_use, in_transaction;
};

static weft_cpool pool;
static int opened, closed, most; /* most: at a time */
static int begun, committed, rolled_back;

/* Each waits before it has done anything, and after. */
static int opens(void **ret_conn, void *user)
{
    (void)user;
    int err = weft_sleep(WEFT_MSEC(1));
    if (err < 0) return err;
    struct conn *c = calloc(1, sizeof *c);
    CHECK(c);
    if (++opened - closed > most) most = opened - closed;
    err = weft_sleep(WEFT_MSEC(1));
    if (err == 0) {
        *ret_conn = c;
        return 0;
    }
    closed++;
    free(c);
    return err;
}

static void closes(void *conn, void *user)
{
    struct conn *c = conn;
    (void)user;
    CHECK(!c->in_use);
    CHECK(!c->in_transaction);
    CHECK_EQ(weft_yield(), 0);
    closed++;
    free(c);
}

static int pings(void *conn, void *user)
{
    (void)user;
    CHECK(!((struct conn *)conn)->in_use);
    return weft_sleep(WEFT_MSEC(1));
}

static int resets(void *conn, void *user)
{
    (void)user;
    CHECK(!((struct conn *)conn)->in_use);
    return weft_yield();
}

static bool open_pool(weft_nursery *n, unsigned min_idle)
{
    const weft_cpool_opts o = {.open = opens,
                               .close = closes,
                               .ping = pings,
                               .reset = resets,
                               .size = SIZE,
                               .overflow = OVERFLOW,
                               .min_idle = min_idle,
                               .max_idle = WEFT_MSEC(3),
                               .max_age = WEFT_MSEC(20)};
    opened = closed = most = begun = committed = rolled_back = 0;
    return sweep_had(weft_cpool_open(&pool, n, &o) == 0);
}

static int uses(void *conn, void *arg)
{
    struct conn *c = conn;
    (void)arg;
    CHECK(!c->in_use);
    c->in_use = true;
    int err = weft_sleep(WEFT_MSEC(2));
    c->in_use = false;
    return err;
}

static int uses_twice(void *arg)
{
    for (int i = 0; i < 2; i++) {
        void *conn;
        int err = weft_cpool_get(&pool, &conn);
        if (err == -ESHUTDOWN) return 0;
        if (err < 0) return err;
        err = uses(conn, arg);
        CHECK_EQ(weft_cpool_put(&pool, conn, err == 0), 0);
        if (err < 0) return err;
    }
    return 0;
}

static void check_all_are_closed(void)
{
    void *conn;
    CHECK_EQ(opened, closed);
    CHECK(most <= SIZE + OVERFLOW);
    CHECK_EQ(begun, committed + rolled_back);
    CHECK(weft_cpool_get(&pool, &conn) < 0);
}

static void start_users(weft_nursery *n)
{
    if (!open_pool(n, 0)) return;
    for (int i = 0; i < 5; i++)
        sweep_spawn(n, uses_twice, NULL);
}

SWEEP(every_connection_that_was_opened_is_closed_once, start_users,
      check_all_are_closed, SWEEP_SPARE_CHILDREN);

static void start_users_with_some_ready(weft_nursery *n)
{
    if (!open_pool(n, 1)) return;
    for (int i = 0; i < 4; i++)
        sweep_spawn(n, uses_twice, NULL);
}

SWEEP(a_keeper_opens_none_too_many, start_users_with_some_ready,
      check_all_are_closed, SWEEP_SPARE_CHILDREN);

/* Who closes the pool has all of it closed, or is told how many are not. */
static int closes_the_pool(void *arg)
{
    (void)arg;
    int err = weft_sleep(WEFT_MSEC(3));
    int left = weft_cpool_close(&pool, WEFT_SEC(1));
    CHECK(left >= 0);
    return err < 0 ? err : weft_checkpoint();
}

static void start_users_and_a_closer(weft_nursery *n)
{
    if (!open_pool(n, 1)) return;
    for (int i = 0; i < 4; i++)
        sweep_spawn(n, uses_twice, NULL);
    sweep_spawn(n, closes_the_pool, NULL);
}

SWEEP(a_pool_closed_under_its_users_closes_all, start_users_and_a_closer,
      check_all_are_closed, SWEEP_SPARE_CHILDREN);

/* ---- transactions -------------------------------------------------------- */

static int begins(void *conn, void *user)
{
    struct conn *c = conn;
    (void)user;
    CHECK(!c->in_transaction);
    int err = weft_sleep(WEFT_MSEC(1));
    if (err < 0) return err;
    c->in_transaction = true;
    begun++;
    return 0;
}

static int commits(void *conn, void *user)
{
    struct conn *c = conn;
    (void)user;
    CHECK_EQ(weft_yield(), 0);
    CHECK(c->in_transaction);
    c->in_transaction = false;
    committed++;
    return 0;
}

static int rolls_back(void *conn, void *user)
{
    struct conn *c = conn;
    (void)user;
    CHECK_EQ(weft_yield(), 0);
    CHECK(c->in_transaction);
    c->in_transaction = false;
    rolled_back++;
    return 0;
}

static const weft_transaction both_ways = {begins, commits, rolls_back, NULL,
                                           0};

static int transacts_twice(void *arg)
{
    for (int i = 0; i < 2; i++) {
        int before = committed;
        int err = weft_transact(&pool, &both_ways, uses, arg);
        CHECK(err <= 0);
        if (err < 0) return err;
        CHECK(committed > before);
    }
    return 0;
}

static void start_transactions(weft_nursery *n)
{
    if (!open_pool(n, 0)) return;
    for (int i = 0; i < 4; i++)
        sweep_spawn(n, transacts_twice, NULL);
}

SWEEP(every_transaction_that_began_has_ended, start_transactions,
      check_all_are_closed, SWEEP_SPARE_CHILDREN);
