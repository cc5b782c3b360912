/* SPDX-License-Identifier: MIT */
/*
 * cpool.h - a pool of numbered things, whose functions take as long and fail as
 * they are told to, and count.
 *
 *     IN_POOL(.size = 2)
 *     {
 *         put(get());
 *         rc = 0;
 *     }
 *     CHECK_EQ(rc, 0);
 */
#ifndef TESTS_CPOOL_H
#define TESTS_CPOOL_H

#include <weft/cpool.h>
#include <weft/error.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/task.h>
#include <weft/time.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fibers.h"
#include "harness.h"
#include "said.h"

struct thing {
    int number;
    bool dead, dirty;
};

/* What the pool's functions do, and did. */
static struct {
    weft_time open_takes, close_takes, reset_takes;
    int open_fails, reset_fails; /* codes */
    int opened, closed, pinged, reset, alive, most;
    int close_result; /* of the sleep in close */
} w;

static inline int opens(void **ret_conn, void *user)
{
    CHECK_PTR(user, &w);
    int err = w.open_takes ? weft_sleep(w.open_takes) : 0;
    if (err < 0) return err;
    if (w.open_fails) return weft_fail(w.open_fails, "nobody is at home");
    struct thing *t = calloc(1, sizeof *t);
    CHECK(t);
    t->number = ++w.opened;
    if (++w.alive > w.most) w.most = w.alive;
    *ret_conn = t;
    return 0;
}

static inline void closes(void *conn, void *user)
{
    CHECK_PTR(user, &w);
    if (w.close_takes) w.close_result = weft_sleep(w.close_takes);
    w.closed++;
    w.alive--;
    free(conn);
}

static inline int pings(void *conn, void *user)
{
    CHECK_PTR(user, &w);
    w.pinged++;
    return ((struct thing *)conn)->dead ? -ECONNRESET : 0;
}

static inline int resets(void *conn, void *user)
{
    CHECK_PTR(user, &w);
    w.reset++;
    int err = w.reset_takes ? weft_sleep(w.reset_takes) : 0;
    if (err < 0) return err;
    ((struct thing *)conn)->dirty = false;
    return w.reset_fails;
}

static weft_cpool p;

/* The functions of all; what differs is in `o`. */
static inline weft_cpool_opts with(weft_cpool_opts o)
{
    if (!o.open) o.open = opens;
    if (!o.close) o.close = closes;
    o.user = &w;
    return o;
}

static inline void open_in(weft_nursery *n, weft_cpool_opts o)
{
    weft_cpool_opts all = with(o);
    memset(&w, 0, sizeof w);
    CHECK_EQ(weft_cpool_open(&p, n, &all), 0);
}

static inline struct thing *get(void)
{
    void *conn;
    int err = weft_cpool_get(&p, &conn);
    if (err < 0) test_fail(__FILE__, __LINE__, "get: %s", weft_strerror(err));
    return conn;
}

static inline void put(struct thing *t)
{
    CHECK_EQ(weft_cpool_put(&p, t, true), 0);
}

static inline weft_cpool_stats stats(void)
{
    weft_cpool_stats s;
    weft_cpool_stats_read(&p, &s);
    return s;
}

/* A body in a nursery with a pool. */
#define IN_POOL(...)                                                           \
    int rc;                                                                    \
    IN_POOL_(__VA_ARGS__)
#define IN_POOL_(...)                                                          \
    for (int once_ = 1; once_; once_ = 0)                                      \
        WEFT_NURSERY(n, rc)                                                    \
            for (int first_ =                                                  \
                     (open_in(&n, (weft_cpool_opts){__VA_ARGS__}), 1);         \
                 first_; first_ = 0)

struct user {
    char name;
    weft_time keeps;
    int rc, number;
    weft_time had_at;
};

static inline int uses(void *arg)
{
    struct user *u = arg;
    void *conn;
    u->rc = weft_cpool_get(&p, &conn);
    if (u->rc < 0) return 0;
    say_letter(u->name);
    u->had_at = weft_now();
    u->number = ((struct thing *)conn)->number;
    u->rc = weft_sleep(u->keeps);
    CHECK_EQ(weft_cpool_put(&p, conn, u->rc == 0), 0);
    return 0;
}

#endif
