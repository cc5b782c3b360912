/* SPDX-License-Identifier: MIT */
/*
 * test_chaos.c - random programs of everything that starts fibers, in which
 * deadlines strike everywhere. What a program does follows from its number;
 * what must hold in all of them is checked after each call:
 *
 *  - a call says -ECANCELED only to a caller that is cancelled, and always to
 *    one that was cancelled before;
 *  - jobs, tasks and results agree with each other;
 *  - what jobs have made is taken by their caller or discarded, once;
 *  - values bound are what is seen, and are dropped, once.
 */
#include <weft/cleanup.h>
#include <weft/debug.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/gather.h>
#include <weft/gen.h>
#include <weft/local.h>
#include <weft/nursery.h>
#include <weft/scope.h>
#include <weft/task.h>
#include <weft/time.h>

#include "chance.h"
#include "harness.h"
#include "starve.h"

enum { MOST = 5, BUDGET = 400, KEYS = 3 };

static long things, bound, dropped, deferred, undone;
static unsigned budget; /* fibers that may still be started */

/* One fiber's part of the program. */
struct part {
    uint64_t random;
    unsigned depth;
    bool makes; /* a thing, if it succeeds */
    void *seen[KEYS];
    weft_task **siblings; /* that were there before it, or before an ancestor */
    unsigned sibling_count;
    weft_gen *shared;      /* an ancestor's generator that anybody may ask */
    weft_nursery *nursery; /* an ancestor's, where anybody may spawn */
};

static bool scarce; /* memory is, so that anything may fail with -ENOMEM */

static unsigned below(struct part *p, unsigned limit)
{
    return (unsigned)random_draw_from(&p->random, limit);
}

static void drops(void *value)
{
    (void)value;
    dropped++;
}

static weft_key keys[KEYS] = {
    {.name = "a", .drop = drops},
    {.name = "b", .drop = drops},
    {.name = "own", .drop = drops, .flags = WEFT_KEY_PRIVATE}};

static void draw_part(struct part *p, struct part *child, bool makes)
{
    *child = *p;
    child->depth = p->depth ? p->depth - 1 : 0;
    child->makes = makes;
    for (int i = 0; i < KEYS; i++) {
        child->seen[i] = NULL;
    }
    child->random = random_draw_from(&p->random, UINT64_MAX);
    for (int i = 0; i < KEYS; i++) {
        if (!(keys[i].flags & WEFT_KEY_PRIVATE))
            child->seen[i] = weft_local_get(&keys[i]);
    }
}

static unsigned draw_count(struct part *p)
{
    unsigned count = p->depth == 0 ? 0 : below(p, MOST);
    if (count > budget) count = budget;
    budget -= count;
    return count;
}

/* The rule about -ECANCELED, and no result that nobody could have given. */
static int checked(const char *what, bool was, int rc)
{
    if (rc == -ECANCELED && !weft_cancelled())
        test_fail(__FILE__, __LINE__, "%s: not cancelled", what);
    if (was && rc != -ECANCELED)
        test_fail(__FILE__, __LINE__, "%s: %d, though cancelled", what, rc);
    if (rc < 0 && rc != -ECANCELED && rc != -ETIMEDOUT && rc != -EIO &&
        rc != -EPROTO && !(scarce && rc == -ENOMEM))
        test_fail(__FILE__, __LINE__, "%s: %d", what, rc);
    return rc;
}

static int act(void *arg);
static int in_a_scope(struct part *p);

static int sleeps(struct part *p)
{
    bool was = weft_cancelled();
    unsigned kind = below(p, 6);
    if (kind == 0) return checked("yield", was, weft_yield());
    return checked("sleep", was, weft_sleep(WEFT_MSEC(kind - 1)));
}

static void takes_back(void *arg)
{
    (void)arg;
    CHECK(!weft_cancelled());
    if (things % 3 == 0) CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    things--;
}

static void check_job(const weft_job *j)
{
    CHECK_EQ(j->status == WEFT_OK, j->rc >= 0);
    if (j->status == WEFT_CANCELLED) CHECK_EQ(j->rc, -ECANCELED);
    if (j->status == WEFT_FAILED) CHECK(j->rc != -ECANCELED);
    if (!j->started)
        CHECK_EQ(j->status, j->rc == -ENOMEM ? WEFT_FAILED : WEFT_CANCELLED);
}

static int gathers(struct part *p)
{
    struct part parts[MOST];
    weft_job jobs[MOST];
    bool was = weft_cancelled(), stopped = false, any_failed = false;
    unsigned n = draw_count(p), kind = below(p, 5), failed = 0;
    for (unsigned i = 0; i < n; i++) {
        draw_part(p, &parts[i], true);
        jobs[i] =
            (weft_job){.fn = act, .arg = &parts[i], .discard = takes_back};
    }
    const weft_gather_opts o = {kind == 0 ? WEFT_COLLECT : WEFT_FAIL_FAST,
                                below(p, 4)};
    int rc;
    if (kind < 2) {
        rc = checked("gather", was, weft_gather(jobs, n, &o));
    } else if (kind == 2) {
        rc = weft_batch(jobs, n);
        if (rc != -ECANCELED) CHECK(rc >= 0 && rc <= (int)n);
        checked("batch", was, rc);
    } else {
        if (n == 0) return 0;
        rc = checked(
            "race", was,
            weft_race(jobs, n, kind == 3 ? WEFT_RACE_OK : WEFT_RACE_DONE));
        CHECK(rc < (int)n);
    }
    for (unsigned i = 0; i < n; i++) {
        if (!was) check_job(&jobs[i]);
        stopped |= jobs[i].status == WEFT_CANCELLED;
        any_failed |= jobs[i].status == WEFT_FAILED;
        failed += jobs[i].status == WEFT_FAILED;
        bool ok = jobs[i].status == WEFT_OK && jobs[i].started;
        if (ok && rc >= 0 && (kind < 3 || (int)i == rc)) things--;
    }
    if (was || n == 0) return rc; /* it may have been stopped on its way in */
    if (kind == 0) CHECK_EQ(rc, stopped ? -ECANCELED : 0);
    if (kind == 1) CHECK_EQ(rc == 0, !stopped && !any_failed);
    if (kind == 1) CHECK_EQ(rc < 0 && rc != -ECANCELED, any_failed);
    if (kind == 2) CHECK_EQ(rc, stopped ? -ECANCELED : (int)failed);
    if (kind == 3 && rc >= 0) CHECK_EQ(jobs[rc].status, WEFT_OK);
    if (kind == 4 && rc >= 0) CHECK(jobs[rc].status != WEFT_CANCELLED);
    return kind >= 2 && rc > 0 ? 0 : rc;
}

struct mapped {
    struct part parts[MOST];
};

static int maps_one(size_t i, void *context)
{
    struct mapped *m = context;
    return act(&m->parts[i]);
}

static int maps(struct part *p)
{
    struct mapped m;
    int rcs[MOST];
    bool was = weft_cancelled();
    unsigned n = draw_count(p);
    for (unsigned i = 0; i < n; i++) {
        draw_part(p, &m.parts[i], false);
    }
    const weft_gather_opts o = {below(p, 2) ? WEFT_COLLECT : WEFT_FAIL_FAST,
                                below(p, 3)};
    int rc = checked("map", was, weft_map(n, maps_one, &m, rcs, &o));
    bool stopped = false, failed = false;
    for (unsigned i = 0; i < n; i++) {
        stopped |= rcs[i] == -ECANCELED;
        failed |= rcs[i] < 0 && rcs[i] != -ECANCELED;
    }
    if (was || n == 0) return rc;
    if (o.policy == WEFT_COLLECT) CHECK_EQ(rc, stopped ? -ECANCELED : 0);
    if (o.policy == WEFT_FAIL_FAST) CHECK_EQ(rc == 0, !stopped && !failed);
    return rc;
}

/* ---- a generator -------------------------------------------------------- */

static int produces(weft_gen *g, void *arg)
{
    struct part *p = arg;
    unsigned items = below(p, 5);
    int rc = 0;
    for (unsigned i = 0; i < items && rc >= 0; i++) {
        rc = below(p, 2) ? act(p) : sleeps(p);
        bool was = weft_cancelled();
        if (rc < 0 && below(p, 2)) continue;
        int value = (int)i;
        rc = weft_gen_yield(g, &value);
        if (was) CHECK_EQ(rc, -ECANCELED);
        CHECK(rc == 0 || rc == -ECANCELED);
        if (rc == -ECANCELED) CHECK(weft_cancelled());
    }
    return rc;
}

static int consumes(struct part *p)
{
    struct part part;
    int rc, inner, last = -1;
    if (budget == 0) return 0;
    budget--;
    draw_part(p, &part, false);
    if (below(p, 2)) {
        bool was = weft_cancelled();
        WEFT_FOREACH(int *, i, rc, produces, &part) {
            CHECK(!was);
            CHECK(*i > last);
            last = *i;
            rc = below(p, 3) ? sleeps(p) : in_a_scope(p);
            if (rc < 0 || below(p, 5) == 0) break;
        }
        return checked("foreach", was && !scarce, rc);
    }
    weft_gen g;
    void *item;
    rc = weft_gen_open(&g, produces, &part);
    if (rc < 0) return checked("gen_open", false, rc);
    for (int tries = 0; tries < 6; tries++) {
        weft_time patience = WEFT_MSEC(below(p, 4)) + (below(p, 2) ? 1 : 0);
        int next = 77;
        inner = 0;
        WEFT_MOVE_ON_AFTER(inner, patience) {
            next = weft_gen_next(&g, &item);
            inner = next;
        }
        if (next == 1) {
            CHECK(*(int *)item > last);
            last = *(int *)item;
        }
        checked("next", false, inner);
        if (next <= 0 && next != -ECANCELED) break;
        if (inner == -ECANCELED) break;
        if (below(p, 3) == 0) {
            inner = sleeps(p);
            if (inner < 0) break;
        }
    }
    rc = weft_gen_close(&g);
    if (rc == -ECANCELED) CHECK(weft_cancelled());
    return rc < 0 ? rc : inner < 0 ? inner : 0;
}

/* ---- a nursery with tasks ----------------------------------------------- */

static void undoes(void *arg)
{
    (void)arg;
    CHECK(!weft_cancelled());
    if (undone++ % 4 == 0) CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
}

static void check_outcome(weft_task *t)
{
    weft_outcome o;
    int rc;
    WEFT_SHIELD(rc, WEFT_SEC(1))
        rc = weft_join(t, &o);
    CHECK_EQ(rc, 0);
    CHECK_EQ(o.status == WEFT_OK, o.rc >= 0);
    CHECK_EQ(o.status == WEFT_CANCELLED, o.rc == -ECANCELED);
    if (!scarce) CHECK_EQ(o.status == WEFT_FAILED, o.err != NULL);
    if (o.err) CHECK_EQ(o.err->code, o.rc);
    if (o.err && !scarce) CHECK_EQ(o.err->fiber, weft_task_id(t));
}

static int uses_the_tasks(struct part *p, weft_task **t, unsigned n,
                          weft_doneq *q)
{
    int rc = 0;
    for (int k = 0; k < 4 && rc >= 0 && n > 0; k++) {
        bool was = weft_cancelled();
        unsigned i = below(p, n), done = 0;
        weft_task *next = NULL;
        weft_outcome o = {.rc = 77};
        switch (below(p, 5)) {
        case 0:
            rc = checked("join", was, weft_join(t[i], &o));
            if (rc == 0) CHECK(o.rc != 77 && weft_task_done(t[i]));
            break;
        case 1:
            rc = checked("wait", was,
                         weft_wait(t, n, (weft_wait_mode)below(p, 3),
                                   WEFT_MSEC(below(p, 4)) - 1));
            for (unsigned j = 0; j < n; j++) {
                done += weft_task_done(t[j]);
            }
            if (rc >= 0) CHECK(rc <= (int)done);
            break;
        case 2:
            weft_task_cancel(t[i], -EIO, "chaos");
            break;
        case 3:
            rc = checked("next_done", was, weft_next_done(q, &next));
            CHECK_EQ(rc == 1, next != NULL);
            if (rc == 1) CHECK(weft_task_done(next));
            break;
        default:
            rc = sleeps(p);
        }
    }
    return rc;
}

static int starts(void *arg)
{
    struct part *p = arg;
    int rc = sleeps(p);
    if (rc < 0) return rc;
    if (below(p, 5) == 0) return -EIO;
    CHECK_EQ(weft_started(p), 0);
    return act(p);
}

static weft_verdict watches(weft_nursery *n, uint64_t child, weft_outcome o,
                            void *user)
{
    (void)n;
    CHECK(child != 0);
    CHECK_EQ(o.status == WEFT_CANCELLED, o.rc == -ECANCELED);
    unsigned *left = user;
    return (*left)-- == 0 ? WEFT_CANCEL_REST : WEFT_CONTINUE;
}

static int runs_tasks(struct part *p)
{
    struct part parts[MOST];
    weft_task tasks[MOST], *list[MOST];
    weft_doneq q;
    unsigned n = draw_count(p), started = 0, rest_of_starts = 0;
    unsigned exits = below(p, 6);
    const weft_nursery_opts o = {.policy = (weft_policy)below(p, 3),
                                 .limit = below(p, 4),
                                 .on_exit = below(p, 3) ? NULL : watches,
                                 .user = &exits};
    int rc;
    bool was = weft_cancelled();
    weft_doneq_init(&q);
    WEFT_NURSERY_EX(nursery, rc, &o) {
        for (unsigned i = 0; i < n; i++) {
            const weft_spawn_opts s = {
                .task = &tasks[i], .doneq = &q, .daemon = below(p, 6) == 0};
            draw_part(p, &parts[i], false);
            list[i] = &tasks[i];
            if (i > 0) {
                parts[i].siblings = list;
                parts[i].sibling_count = i;
            }
            if (below(p, 2)) parts[i].nursery = &nursery;
            if (below(p, 4)) {
                rc = weft_spawn_wait_ex(&nursery, act, &parts[i], &s);
                checked("spawn_wait", was, rc);
            } else {
                rc = weft_start_ex(&nursery, starts, &parts[i], NULL, &s);
                checked("start", was, rc);
                /* What ended before it was ready was a task all the same. */
                if (rc < 0 && !was) rest_of_starts++;
            }
            if (rc < 0) break;
            started++;
        }
        if (rc >= 0) rc = uses_the_tasks(p, list, started, &q);
        if (rc > 0) rc = 0;
    }
    for (unsigned i = 0; i < started; i++) {
        check_outcome(&tasks[i]);
    }
    /* All that was not taken comes now. */
    weft_task *t;
    int drained, rest = 0;
    WEFT_SHIELD(drained, WEFT_SEC(1)) {
        while ((drained = weft_next_done(&q, &t)) == 1)
            rest++;
    }
    CHECK_EQ(drained, 0);
    CHECK(rest <= (int)(started + rest_of_starts));
    return checked("close", false, rc);
}

/* ---- a fiber ------------------------------------------------------------ */

static int in_a_scope(struct part *p)
{
    struct part inner;
    int rc;
    draw_part(p, &inner, false);
    for (int i = 0; i < KEYS; i++) {
        inner.seen[i] = weft_local_get(&keys[i]);
    }
    weft_time ns = WEFT_MSEC(below(p, 8));
    switch (below(p, 3)) {
    case 0:
        WEFT_FAIL_AFTER(rc, ns)
            rc = act(&inner);
        break;
    case 1:
        WEFT_MOVE_ON_AFTER(rc, ns)
            rc = act(&inner);
        break;
    default:
        WEFT_SHIELD(rc, ns)
            rc = act(&inner);
    }
    return checked("scope", false, rc);
}

static int guest(void *arg)
{
    (void)arg;
    return weft_sleep(WEFT_MSEC(1));
}

/* What belongs to others: tasks, a generator, a nursery. */
static int meddles(struct part *p)
{
    bool was = weft_cancelled();
    weft_outcome o;
    void *item = NULL;
    int rc;
    if (p->sibling_count > 0 && below(p, 3)) {
        weft_task *t = p->siblings[below(p, p->sibling_count)];
        switch (below(p, 3)) {
        case 0:
            rc = checked("join another", was, weft_join(t, &o));
            if (rc == 0) CHECK(weft_task_done(t));
            return rc;
        case 1:
            rc = checked("wait for others", was,
                         weft_wait(p->siblings, p->sibling_count,
                                   (weft_wait_mode)below(p, 3),
                                   WEFT_MSEC(below(p, 6))));
            return rc < 0 ? rc : 0;
        default:
            weft_task_cancel(t, -EPROTO, "meddled with");
            return 0;
        }
    }
    if (p->shared && below(p, 3)) {
        rc = weft_gen_next(p->shared, &item);
        CHECK_EQ(rc == 1, item != NULL);
        if (rc == -EBUSY || rc == 1) return 0;
        if (rc == -ESHUTDOWN) return -EIO; /* the producer was stopped */
        return checked("next of another", was, rc);
    }
    if (p->nursery && budget > 0) {
        budget--;
        rc = weft_spawn(p->nursery, guest, NULL);
        CHECK(rc == 0 || rc == -EAGAIN || (scarce && rc == -ENOMEM));
        return 0;
    }
    return sleeps(p);
}

static int shares_a_generator(struct part *p)
{
    struct part parts[MOST], producer;
    weft_job jobs[MOST];
    weft_gen g;
    bool was = weft_cancelled();
    unsigned n = draw_count(p);
    draw_part(p, &producer, false);
    int rc = weft_gen_open(&g, produces, &producer);
    if (rc < 0) return checked("gen_open", false, rc);
    for (unsigned i = 0; i < n; i++) {
        draw_part(p, &parts[i], false);
        parts[i].shared = &g;
        jobs[i] = (weft_job){.fn = act, .arg = &parts[i]};
    }
    rc = checked("gather around a generator", was, weft_gather(jobs, n, NULL));
    int err = checked("gen_close", false, weft_gen_close(&g));
    return rc < 0 ? rc : err;
}

static int one_thing(struct part *p, unsigned *pushed)
{
    switch (below(p, 16)) {
    case 12:
        return shares_a_generator(p);
    case 13:
    case 14:
    case 15:
        return meddles(p);
    case 0:
    case 1:
    case 2:
        return sleeps(p);
    case 3:
    case 4:
        return gathers(p);
    case 5:
        return maps(p);
    case 6:
    case 7:
        return consumes(p);
    case 8:
    case 9:
        return runs_tasks(p);
    case 10: {
        unsigned k = below(p, KEYS);
        int err = weft_local_push(&keys[k], p);
        if (err < 0) return checked("push", false, err);
        CHECK_PTR(weft_local_get(&keys[k]), p);
        bound++;
        ++*pushed;
        if (below(p, 2)) {
            CHECK_EQ(weft_local_pop(&keys[below(p, 2) ? k : 0]) <= 0, 1);
        }
        return 0;
    }
    default:
        return p->depth ? in_a_scope(p) : sleeps(p);
    }
}

static int act(void *arg)
{
    struct part *p = arg;
    unsigned things_to_do = 1 + below(p, 2 + p->depth), pushed = 0;
    int rc = 0;
    for (int i = 0; i < KEYS; i++) {
        if (p->seen[i]) CHECK_PTR(weft_local_get(&keys[i]), p->seen[i]);
        p->seen[i] = NULL;
    }
    if (below(p, 6) == 0) {
        deferred++; /* it is called even if this fails */
        int err = weft_defer(undoes, p);
        if (err < 0) return checked("defer", false, err);
    }
    for (unsigned i = 0; i < things_to_do; i++) {
        rc = one_thing(p, &pushed);
        if (rc < 0 && below(p, 4)) break; /* some go on all the same */
        rc = 0;
    }
    if (rc == 0 && below(p, 12) == 0) rc = below(p, 2) ? -EIO : -EPROTO;
    if (rc == 0 && p->makes) things++;
    return rc;
}

static void forget(const weft_error *e)
{
    CHECK(e->code == -EIO || e->code == -EPROTO || e->code == -ETIMEDOUT ||
          (scarce && e->code == -ENOMEM));
}

static int one_program(void *arg)
{
    return act(arg);
}

static void run_programs(unsigned programs)
{
    weft_on_unhandled(forget);
    for (unsigned i = 0; i < programs; i++) {
        struct part p = {.depth = 1 + i % 5};
        p.random = test_seed() * 7919 + i;
        budget = BUDGET;
        weft_job job = {.fn = one_program, .arg = &p};
        int rc;
        WEFT_FAIL_AFTER(rc, WEFT_MSEC(i % 40))
            rc = weft_gather(&job, 1, NULL);
        CHECK(rc <= 0);
        CHECK(rc != -ECANCELED);
        CHECK_EQ(weft_checkpoint(), 0);
        CHECK_EQ(things, 0);
        CHECK_EQ(bound, dropped);
        CHECK_EQ(deferred, undone);
        weft_stats s;
        weft_stats_read(&s);
        CHECK_EQ(s.fibers, 1);
    }
    weft_on_unhandled(NULL);
}

TEST(random_programs_keep_to_the_rules_that_hold_in_all)
{
    run_programs(test_is_slow() ? 1000 : 20000);
}

static int run_scarcely(void *arg)
{
    (void)arg;
    scarce = true;
    run_programs(12);
    return 0;
}

STARVE(random_programs_without_memory_keep_to_them_too, run_scarcely)
