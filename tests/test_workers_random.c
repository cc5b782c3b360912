/* SPDX-License-Identifier: MIT */
/*
 * test_workers_random.c - trees of fibers that grow over all workers as a
 * random number says, and are cancelled, shielded and joined on the way.
 * Whatever they do: who was spawned runs once and has ended when the nursery is
 * closed, and what he wrote without a lock can be read then.
 */
#include <weft/background.h>
#include <weft/cleanup.h>
#include <weft/debug.h>
#include <weft/error.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "workers.h"

enum { MOST_CHILDREN = 6, DEEPEST = 4 };

struct grown {
    uint64_t random;
    int depth, runs, deferred;
    bool spawned, copied;
    struct grown *original; /* of a copy */
};

static int nowhere; /* a descriptor */

static uint64_t draw(struct grown *g, uint64_t below)
{
    g->random ^= g->random << 13;
    g->random ^= g->random >> 7;
    g->random ^= g->random << 17;
    return (g->random >> 20) % below;
}

static int grows(void *arg);

static void is_deferred(void *arg)
{
    struct grown *g = arg;
    int err = weft_yield();
    CHECK(err == 0 || err == -ECANCELED);
    g->deferred++;
}

static void is_posted(void *arg)
{
    CHECK(weft_worker() > 0);
    CHECK(weft_self() == NULL);
    (void)arg;
}

static void post_somewhere(struct grown *g)
{
    unsigned k = 1 + (unsigned)draw(g, weft_workers());
    weft_remote *r = weft_worker_remote(k);
    CHECK_EQ(weft_post(r, is_posted, NULL), 0);
    weft_remote_unref(r);
}

/* Something short, to be cancelled in or not. */
static int dawdle(struct grown *g)
{
    switch (draw(g, 8)) {
    case 0:
        return weft_sleep((weft_time)draw(g, 50000));
    case 1:
        post_somewhere(g);
        return 0;
    case 2:
        return draw(g, 4) ? weft_yield() : weft_workers_stats(NULL, 0);
    case 3:
        if (draw(g, 50) == 0) weft_dump(nowhere);
        return 0;
    case 4:
        (void)weft_started(NULL);
        return weft_yield();
    default:
        return weft_yield();
    }
}

/* One way or the other. 0, or why it was not spawned. */
static int spawn_one(struct grown *g, weft_nursery *n, struct grown *child,
                     weft_task *task)
{
    weft_spawn_opts o = {
        .worker = (int)draw(g, weft_workers() + 3) - 1,
        .daemon = draw(g, 10) == 0,
        .unless_cancelled = draw(g, 10) == 0,
        .stack_size = draw(g, 5) ? 0 : 128 * 1024,
        .task = draw(g, 2) ? task : NULL,
    };
    if (o.worker > (int)weft_workers()) o.worker = WEFT_ANY_WORKER;
    int rc;
    switch (draw(g, 4)) {
    case 0:
        rc = weft_spawn_wait_ex(n, grows, child, &o);
        break;
    case 1:
        child->copied = true;
        struct grown copy = *child;
        copy.original = child;
        return weft_spawn_copy_ex(n, grows, &copy, sizeof copy, &o);
    case 2:
        rc = weft_start_ex(n, grows, child, NULL, &o);
        if (child->runs) return 0; /* it has been there, whatever it returned */
        break;
    default:
        rc = weft_spawn_ex(n, grows, child, &o);
    }
    return rc;
}

static void disturb(struct grown *g, weft_nursery *n, weft_task *tasks,
                    size_t count)
{
    weft_task *t = count ? &tasks[draw(g, count)] : NULL;
    switch (draw(g, 12)) {
    case 0:
        weft_nursery_cancel(n, -EINTR, "at random");
        break;
    case 1:
        if (t) weft_task_cancel(t, -ESTALE, NULL);
        break;
    case 2:
    case 3:
        weft_scope_set_shield(weft_nursery_scope(n), draw(g, 2));
        break;
    case 4:
        weft_scope_set_deadline(weft_nursery_scope(n),
                                weft_after((weft_time)draw(g, 100000)));
        break;
    default:
        (void)!dawdle(g);
    }
}

static int with_children(struct grown *g)
{
    struct grown child[MOST_CHILDREN] = {{0}};
    weft_task tasks[MOST_CHILDREN] = {{.user_ = NULL}};
    const weft_nursery_opts o = {.policy = (weft_policy)draw(g, 3),
                                 .limit = (unsigned)draw(g, 4) * 2};
    size_t count = 1 + (size_t)draw(g, MOST_CHILDREN);
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, &o), 0);
    for (size_t i = 0; i < count; i++) {
        child[i].random = g->random * 6364136223846793005u + 2 * i + 1;
        child[i].depth = g->depth - 1;
        child[i].spawned = spawn_one(g, &n, &child[i], &tasks[i]) == 0;
        disturb(g, &n, tasks, i);
    }
    if (draw(g, 3)) weft_scope_set_shield(weft_nursery_scope(&n), false);
    int rc = weft_nursery_close(&n, 0);
    for (size_t i = 0; i < count; i++) {
        CHECK(child[i].runs <= 1);
        if (child[i].spawned) CHECK_EQ(child[i].runs, 1);
        CHECK(child[i].deferred <= 1);
    }
    return rc;
}

static int grows_itself(struct grown *g)
{
    if (draw(g, 6) == 0) (void)weft_defer(is_deferred, g);
    int err = 0;
    for (uint64_t i = draw(g, 4); i > 0 && err >= 0; i--)
        err = dawdle(g);
    if (g->depth > 0 && (err >= 0 || draw(g, 2))) err = with_children(g);
    if (draw(g, 20) == 0) return weft_fail(-EPROTO, "at random");
    return err;
}

static int grows(void *arg)
{
    struct grown *g = arg;
    if (g->original) {
        g->original->runs++;
        return grows_itself(g);
    }
    g->runs++;
    return grows_itself(g);
}

/* What it has deferred is called when its function has returned. */
static int is_background(void *arg)
{
    CHECK_EQ(weft_defer(free, arg), 0);
    return grows_itself(arg);
}

static void add_background(struct grown *g)
{
    struct grown *b = malloc(sizeof *b);
    CHECK(b != NULL);
    *b = (struct grown){.random = g->random ^ 0x5555, .depth = 2};
    CHECK_EQ(weft_background(is_background, b, NULL), 0);
}

static int is_main(void *arg)
{
    struct grown *g = arg;
    for (uint64_t i = draw(g, 3); i > 0; i--)
        add_background(g);
    (void)grows_itself(g);
    return 0;
}

static void ignore(const weft_error *e)
{
    CHECK(e->code < 0);
}

static int rounds(int usual)
{
    return test_is_slow() ? usual / 10 : usual;
}

TEST_PLAIN(xth_06_trees_that_grow_at_random_over_all_workers_end)
{
    uint64_t seed = test_seed();
    nowhere = open("/dev/null", O_WRONLY);
    CHECK(nowhere >= 0);
    weft_on_unhandled(ignore);
    for (int i = 0; i < rounds(300); i++) {
        static const int counts[] = {1, 2, 3, 8};
        struct grown g = {.random = (seed + (uint64_t)i) * 2654435761u | 1,
                          .depth = DEEPEST};
        const weft_run_opts o = {.workers = counts[i % 4],
                                 .drain = i % 3 ? -1 : WEFT_MSEC(1),
                                 .spin = i % 7 ? 0 : WEFT_USEC(20),
                                 .sched_seed = (uint64_t)(i % 5)};
        CHECK_EQ(weft_run(is_main, &g, &o), 0);
    }
    weft_on_unhandled(NULL);
    CHECK_EQ(close(nowhere), 0);
}
