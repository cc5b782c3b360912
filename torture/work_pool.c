/* SPDX-License-Identifier: MIT */
/*
 * work_pool.c - a pool of connections, its keeper, and transactions on it.
 */
#include <weft.h>

#include "torture.h"

static weft_cpool pool;
static int opened, closed, committed;

static int opens(void **ret_conn, void *user)
{
    (void)user;
    static char any[8]; /* each is another */
    *ret_conn = &any[opened++ % 8];
    return weft_yield();
}

static void closes(void *conn, void *user)
{
    (void)conn;
    (void)user;
    closed++;
}

static int commits(void *conn, void *user)
{
    (void)conn;
    (void)user;
    committed++;
    return 0;
}

static int rolls_back(void *conn, void *user)
{
    (void)conn;
    (void)user;
    return 0;
}

static int works(void *conn, void *arg)
{
    (void)conn;
    (void)arg;
    return weft_yield();
}

static int transacts(void *arg)
{
    static const weft_transaction t = {NULL, commits, rolls_back, NULL, 0};
    return weft_transact(&pool, &t, works, arg);
}

static int uses(weft_nursery *n)
{
    const weft_cpool_opts o = {.open = opens,
                               .close = closes,
                               .size = 2,
                               .min_idle = 1,
                               .max_idle = WEFT_SEC(1)};
    TRY(weft_cpool_open(&pool, n, &o));
    for (int i = 0; i < 4; i++)
        TRY(weft_spawn(n, transacts, NULL));
    return 0;
}

static int uses_a_pool(void *arg)
{
    int rc;
    (void)arg;
    opened = closed = committed = 0;
    WEFT_NURSERY(n, rc) {
        rc = uses(&n);
    }
    EXPECT(opened == closed);
    if (rc == 0) EXPECT(committed == 4);
    return rc;
}

static int a_pool_of_connections(void)
{
    const weft_run_opts o = {.virtual_clock = true};
    return weft_run(uses_a_pool, NULL, &o);
}
WORK(a_pool_of_connections, MAY(0));
