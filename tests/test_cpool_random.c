/* SPDX-License-Identifier: MIT */
/*
 * test_cpool_random.c - pools of every kind under users who come, wait, are
 * cut off, put back what works and what does not, and close them: nobody waits
 * while there is room, there are never too many, and nothing is left.
 */
#include <weft/cpool.h>
#include <weft/error.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <errno.h>
#include <stdlib.h>

#include "chance.h"
#include "harness.h"

enum { USERS = 12, ROUNDS = 150 };

struct thing {
    bool used;
};

static weft_cpool pool;
static weft_cpool_opts opts;
static bool closed;
static unsigned alive;   /* those that are being opened too */
static unsigned working; /* in functions of the pool, with a place */
static unsigned holding; /* users who have one */
static unsigned left;    /* users */

static weft_time some_time(void)
{
    return random_below(3) ? WEFT_MSEC(random_below(40)) : 0;
}

static int takes_a_while(void)
{
    weft_time t = some_time();
    int err = t ? weft_sleep(t) : 0;
    return err < 0 ? err : random_below(5) == 0 ? -EIO : 0;
}

static int works_on(struct thing *t)
{
    CHECK(!t->used);
    t->used = true;
    working++;
    int err = takes_a_while();
    working--;
    t->used = false;
    return err;
}

static int opens(void **ret_conn, void *user)
{
    (void)user;
    CHECK(!closed);
    CHECK(++alive <= opts.size + opts.overflow);
    struct thing *t = calloc(1, sizeof *t);
    CHECK(t);
    int err = works_on(t);
    *ret_conn = t;
    if (err == 0) return 0;
    free(t);
    alive--;
    return err;
}

static void closes(void *conn, void *user)
{
    (void)user;
    (void)works_on(conn);
    free(conn);
    alive--;
}

static int looks_at(void *conn, void *user)
{
    (void)user;
    return works_on(conn);
}

static int is_one_of(int code, const int *codes)
{
    while (*codes && *codes != code)
        codes++;
    return *codes == code;
}

static void uses_one(void)
{
    static const int usual[] = {-ECANCELED, -ETIMEDOUT, -ESHUTDOWN, -EIO, 0};
    void *conn;
    int err = weft_cpool_get(&pool, &conn);
    CHECK(is_one_of(err, usual));
    if (err < 0) return;
    struct thing *t = conn;
    CHECK(!t->used);
    t->used = true;
    holding++;
    err = takes_a_while();
    holding--;
    t->used = false;
    working++; /* the place is given up at the end of this, or before a close */
    CHECK_EQ(weft_cpool_put(&pool, t, err == 0), 0);
    working--;
}

static int user(void *arg)
{
    (void)arg;
    for (int i = 0; i < 8; i++) {
        int rc;
        weft_time most = random_below(3) ? WEFT_FOREVER : some_time();
        WEFT_MOVE_ON_AFTER(rc, most) {
            rc = weft_sleep(some_time());
            if (rc == 0) uses_one();
        }
    }
    left--;
    return 0;
}

/* In between all that happens at a moment, when all who can go on have. */
static int watches(void *arg)
{
    (void)arg;
    while (left > 0) {
        weft_cpool_stats s;
        if (weft_sleep(WEFT_MSEC(3) + 1) < 0) return 0;
        if (closed) continue;
        weft_cpool_stats_read(&pool, &s);
        if (s.waiting > 0) {
            CHECK_EQ(s.idle, 0);
            CHECK(holding + working >= opts.size + opts.overflow);
        }
        if (s.idle > 0 && opts.min_idle == 0) CHECK(alive <= opts.size);
    }
    return 0;
}

static int closes_it(void *arg)
{
    (void)arg;
    if (weft_sleep(WEFT_MSEC(random_below(300))) < 0) return 0;
    closed = true;
    CHECK(weft_cpool_close(&pool, some_time()) >= 0);
    return 0;
}

static void draw_opts(void)
{
    weft_time ages[] = {0, WEFT_MSEC(50), WEFT_SEC(2)};
    opts = (weft_cpool_opts){
        .open = opens,
        .close = closes,
        .ping = random_below(2) ? looks_at : NULL,
        .reset = random_below(2) ? looks_at : NULL,
        .size = 1 + random_below(4u),
        .overflow = random_below(3u),
        .wait = random_below(3) ? 0 : WEFT_MSEC(20),
        .max_age = ages[random_below(3)],
        .max_idle = ages[random_below(3)],
        .ping_after = random_below(2) ? WEFT_MSEC(10) : 0,
    };
    opts.min_idle = random_below(opts.size + 1);
}

static void one_round(void)
{
    int rc;
    draw_opts();
    closed = false;
    left = USERS;
    bool close = random_below(3) == 0, cancel = random_below(3) == 0;
    WEFT_NURSERY(n, rc) {
        CHECK_EQ(weft_cpool_open(&pool, &n, &opts), 0);
        for (int i = 0; i < USERS; i++)
            CHECK_EQ(weft_spawn(&n, user, NULL), 0);
        CHECK_EQ(weft_spawn(&n, watches, NULL), 0);
        if (close) CHECK_EQ(weft_spawn(&n, closes_it, NULL), 0);
        rc = weft_sleep(WEFT_MSEC(random_below(200)));
        if (cancel) weft_nursery_cancel(&n, 0, NULL);
        while (rc == 0 && left > 0)
            rc = weft_sleep(WEFT_MSEC(7));
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(alive, 0);
    CHECK_EQ(working, 0);
    CHECK(!pool.in_);
}

TEST(users_of_all_kinds_find_room_when_there_is_any)
{
    random_begin(test_seed());
    for (int i = 0; i < ROUNDS; i++)
        one_round();
}
