/* SPDX-License-Identifier: MIT */
/*
 * test_random_programs.c - programs made up at random, and what holds of all.
 *
 * A program is a tree of fibers that open nurseries, spawn and start children
 * into any nursery around them, defer, own, take back, cancel each other, run
 * into deadlines and fail. Whatever they do: what was spawned runs once, what
 * was deferred or owned is done once and last first, nobody lives longer than
 * his nursery, a start that fails leaves no child, and close tells of the
 * earliest failure, with the others behind it.
 */
#include <weft/background.h>
#include <weft/cleanup.h>
#include <weft/debug.h>
#include <weft/error.h>
#include <weft/fiber.h>
#include <weft/gather.h>
#include <weft/gen.h>
#include <weft/local.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/sem.h>
#include <weft/task.h>
#include <weft/time.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "chance.h"
#include "harness.h"
#include "starve.h"
#include "runtime/park.h"

enum { NODES = 60, PLACES = 80, THINGS = 16, OBJECTS = 300, CODES = 400 };

struct place;

/* A fiber. */
struct node {
    struct place *home;
    weft_fiber *fiber;
    uint64_t id;
    weft_task task;
    bool has_task, by_start, ready, late, daemon, struck, foreign;
    int rc;             /* what its function returned */
    weft_status status; /* what its nursery was told */
    bool spawned, entered, left;
    struct thing {
        struct node *node;
        bool pending;
    } things[THINGS]; /* deferred */
    int stack[THINGS], height, deferred;
};

/* A nursery. */
struct place {
    weft_nursery n;
    struct node *owner;
    struct place *outer;
    weft_policy policy;
    bool open, closing, stopped, stopped_by_scope;
    int live;
    int codes[CODES], failures;
    int stack[OBJECTS], height;
    int cancel_code;
};

struct object {
    struct place *place;
    weft_owned handle;
    bool pending, taken, giving;
    unsigned closed;
};

static struct {
    struct node nodes[NODES];
    struct place places[PLACES];
    struct object objects[OBJECTS];
    int node_count, place_count, object_count;
    unsigned in_background;
    bool generous; /* the grace is long enough everywhere */
} world;

static unsigned refused; /* calls that failed for lack of memory */
static bool short_of_memory;

/* Is it this error? Then it may be. */
static bool lacks_memory(int err)
{
    if (err != -ENOMEM) return false;
    CHECK(short_of_memory);
    refused++;
    return true;
}

static int null_fd; /* where the dumps go */

static struct node *node_of(uint64_t id)
{
    for (int i = 0; i < world.node_count; i++) {
        if (world.nodes[i].id == id) return &world.nodes[i];
    }
    return NULL;
}

static void note_failure(struct place *p, int code)
{
    CHECK(p->failures < CODES);
    p->codes[p->failures++] = code;
}

/* Is it in its grace? Some have none. */
static void cleans_up(void)
{
    bool late = weft_cancelled();
    CHECK(!late || weft_cancel_reason()->kind == WEFT_R_DEADLINE);
    int err = weft_sleep(WEFT_USEC(random_below(300)));
    if (late) CHECK_EQ(err, -ECANCELED);
    CHECK(err == 0 || (err == -ECANCELED && weft_cancelled()));
    if (world.generous) CHECK_EQ(err, 0);
}

/* ---- what is deferred --------------------------------------------------- */

static void remove_from(int *stack, int *height, int item)
{
    int i = *height - 1;
    while (i >= 0 && stack[i] != item) {
        i--;
    }
    CHECK(i >= 0);
    memmove(&stack[i], &stack[i + 1], (size_t)(*height - i - 1) * sizeof(int));
    --*height;
}

static void defer_one(struct node *me);
static void undefer_one(struct node *me);
static void own_one(struct place *p);
static void disown_one(void);

/* Also one that has been closed, or that lies elsewhere. */
static struct place *any_place(void)
{
    return &world.places[random_below(world.place_count)];
}

static void is_deferred(void *arg)
{
    struct thing *t = arg;
    struct node *me = t->node;
    CHECK(t->pending);
    CHECK_PTR(weft_self(), me->fiber);
    CHECK(!me->left);
    t->pending = false;
    if (random_below(2)) cleans_up();
    if (random_below(6) == 0) defer_one(me);
    if (random_below(8) == 0) undefer_one(me);
    if (random_below(8) == 0) own_one(any_place());
    if (random_below(8) == 0) disown_one();
    (void)weft_fail(-ENOTTY, "by the way");
}

static void is_deferred_in_turn(void *arg)
{
    struct thing *t = arg;
    struct node *me = t->node;
    CHECK_EQ(me->stack[me->height - 1], t - me->things); /* last first */
    me->height--;
    is_deferred(arg);
}

static void defer_one(struct node *me)
{
    if (me->deferred == THINGS) return;
    int i = me->deferred++;
    me->things[i] = (struct thing){me, true};
    me->stack[me->height++] = i;
    int err = weft_defer(is_deferred_in_turn, &me->things[i]);
    CHECK(err == 0 || lacks_memory(err));
    CHECK_EQ(me->things[i].pending, err == 0);
}

static void undefer_one(struct node *me)
{
    if (me->deferred == 0) return;
    int i = random_below(me->deferred);
    bool pending = me->things[i].pending, run = random_below(2);
    if (pending && run) {
        /* so that it is the last */
        remove_from(me->stack, &me->height, i);
        me->stack[me->height++] = i;
    } else if (pending) {
        remove_from(me->stack, &me->height, i);
        me->things[i].pending = false;
    }
    CHECK_EQ(weft_undefer(is_deferred_in_turn, &me->things[i], run),
             pending ? 0 : -ENOENT);
}

/* ---- what is owned ------------------------------------------------------ */

static int closes(void *arg)
{
    struct object *o = arg;
    struct place *p = o->place;
    CHECK(o->pending);
    o->pending = false;
    o->closed++;
    if (!o->taken && !o->giving) {
        CHECK(p->closing);
        CHECK_EQ(p->live, 0);
        CHECK_PTR(weft_self(), p->owner->fiber);
        CHECK_EQ(p->stack[p->height - 1], o - world.objects);
        p->height--;
    }
    if (random_below(2)) cleans_up();
    if (random_below(8) == 0) own_one(random_below(2) ? p : any_place());
    if (random_below(8) == 0) disown_one();
    if (random_below(8)) return random_below(3);
    int code = -200 - random_below(50);
    if (!o->taken && !o->giving) note_failure(p, code);
    return weft_fail(code, "closer");
}

static void own_one(struct place *p)
{
    if (world.object_count == OBJECTS || !p) return;
    struct object *o = &world.objects[world.object_count++];
    *o = (struct object){.place = p, .pending = true, .giving = true};
    int err = weft_own(&p->n, closes, o, &o->handle);
    CHECK(err == 0 || lacks_memory(err) || (err == -ESHUTDOWN && p->closing));
    CHECK_EQ(o->closed, err < 0);
    o->giving = false;
    if (err == 0) p->stack[p->height++] = (int)(o - world.objects);
}

static void disown_one(void)
{
    if (world.object_count == 0) return;
    struct object *o = &world.objects[random_below(world.object_count)];
    bool run = random_below(2), pending = o->pending;
    if (!pending) {
        CHECK_EQ(weft_disown(o->handle, run), -ENOENT);
        return;
    }
    remove_from(o->place->stack, &o->place->height, (int)(o - world.objects));
    o->taken = true;
    if (!run) o->pending = false;
    int rc = weft_disown(o->handle, run);
    CHECK(rc >= 0 || rc <= -200);
    CHECK_EQ(o->closed, run);
}

/* ---- fibers ------------------------------------------------------------- */

static int act(struct node *me, struct place *p, int depth);

static void leaves(void *arg)
{
    struct node *me = arg;
    CHECK(!me->left);
    CHECK_EQ(me->height, 0);
    me->left = true;
    me->home->live--;
}

static int lives(void *arg)
{
    struct node *me = arg;
    CHECK(me->spawned && !me->entered);
    me->entered = true;
    me->home->live++;
    me->fiber = weft_self();
    me->id = weft_fiber_id();
    if (lacks_memory(weft_defer(leaves, me))) return 0;
    int rc = random_below(4) ? act(me, NULL, 0) : 0;
    if (rc == 0 && random_below(8)) {
        me->late = weft_cancelled();
        CHECK_EQ(weft_started(me), 0);
        me->ready = true;
        rc = act(me, NULL, 0);
        /* Whose it is if it fails now is left open. */
        if (me->late) return me->rc = weft_checkpoint();
    }
    if (rc == 0 && random_below(20) == 0) rc = -400 - random_below(50);
    if (rc == -ECANCELED) CHECK(weft_cancelled());
    me->foreign = rc == 0 && random_below(30) == 0 && !weft_cancelled();
    me->rc = me->foreign ? -ECANCELED : rc;
    return me->rc < 0 && me->rc != -ECANCELED ? weft_fail(rc, "child") : me->rc;
}

static struct node *new_node(struct place *p)
{
    if (world.node_count == NODES || !p) return NULL;
    struct node *c = &world.nodes[world.node_count++];
    *c = (struct node){.home = p, .spawned = true, .has_task = random_below(2)};
    return c;
}

static void was_not_spawned(struct node *c)
{
    CHECK(!c->entered);
    c->spawned = false;
    c->has_task = false;
}

static int spawn_one(struct place *p, bool wait)
{
    struct node *c = new_node(p);
    int err = 0;
    if (!c) return 0;
    weft_spawn_opts o = {.task = c->has_task ? &c->task : NULL,
                         .daemon = random_below(5) == 0,
                         .unless_cancelled = random_below(5) == 0};
    c->daemon = o.daemon;
    if (wait) {
        WEFT_MOVE_ON_AFTER(err, WEFT_MSEC(10)) {
            err = weft_spawn_wait_ex(&p->n, lives, c, &o);
            if (err < 0) was_not_spawned(c);
            if (err == -ESHUTDOWN) CHECK(p->closing);
            if (err == -ESHUTDOWN || lacks_memory(err)) err = 0;
            if (err == -ECANCELED && o.unless_cancelled) err = 0;
        }
        return err == -ECANCELED ? err : 0;
    }
    err = weft_spawn_ex(&p->n, lives, c, &o);
    if (err < 0) was_not_spawned(c);
    if (err == -ESHUTDOWN && p->closing) return 0;
    CHECK(err == 0 || err == -EAGAIN || err == -ECANCELED || lacks_memory(err));
    return 0;
}

/* What start said, and how the child fared that was not ready. */
static void check_a_start(const struct node *c, int rc)
{
    bool foreign = c->entered && c->foreign;
    if (rc == -ECANCELED && !foreign) CHECK(weft_cancelled());
    if (rc == 0 || !c->entered || c->ready) return;
    if (foreign) {
        CHECK_EQ(rc, -ECANCELED);
    } else if (c->rc == -ECANCELED) {
        CHECK(rc == -ECANCELED || rc == -ESHUTDOWN);
    } else if (c->rc < 0) {
        CHECK_EQ(rc, c->rc);
    } else {
        CHECK(rc == -EPROTO || rc == -ECANCELED);
    }
}

static int start_one(struct place *p)
{
    struct node *c = new_node(p);
    int rc;
    if (!c) return 0;
    c->by_start = true;
    weft_spawn_opts o = {.task = c->has_task ? &c->task : NULL,
                         .daemon = random_below(5) == 0};
    c->daemon = o.daemon;
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(random_below(10))) {
        void *value = NULL;
        rc = weft_start_ex(&p->n, lives, c, &value, &o);
        if (rc == 0) {
            CHECK(c->ready);
            CHECK_PTR(value, c);
        } else if (c->entered) {
            CHECK(!c->ready || c->late);
            CHECK(c->left);
        } else {
            was_not_spawned(c);
            if (lacks_memory(rc)) rc = 0;
        }
        check_a_start(c, rc);
        CHECK(rc == 0 || rc == -ECANCELED || rc == -ESHUTDOWN ||
              rc == -EPROTO || rc == -ETIMEDOUT || rc <= -200 ||
              lacks_memory(rc));
        if (rc == -ECANCELED && !weft_cancelled()) rc = 0;
        if (rc < 0 && rc != -ECANCELED && random_below(2)) rc = 0;
    }
    return rc;
}

static weft_verdict notes_the_end(weft_nursery *n, uint64_t child,
                                  weft_outcome o, void *user)
{
    struct place *p = user;
    struct node *c = node_of(child);
    CHECK_PTR(n, &p->n);
    CHECK(c != NULL);
    CHECK_PTR(c->home, p);
    CHECK(c->left);
    c->status = o.status;
    CHECK_EQ(o.rc, c->rc);
    CHECK_EQ(o.status, c->rc >= 0                           ? WEFT_OK
                       : c->rc == -ECANCELED && !c->foreign ? WEFT_CANCELLED
                                                            : WEFT_FAILED);
    if (c->by_start && !c->ready) return WEFT_CONTINUE;
    if (o.status == WEFT_CANCELLED) p->stopped = true;
    if (o.status == WEFT_CANCELLED && !c->struck && !c->daemon) {
        p->stopped_by_scope = true;
    }
    if (o.status == WEFT_FAILED) {
        CHECK(o.err != NULL || short_of_memory);
        if (o.err) CHECK_EQ(o.err->code, o.rc);
        if (o.err) CHECK(strcmp(o.err->msg, "by the way") != 0);
        if (p->policy != WEFT_SUPERVISE) note_failure(p, o.rc);
    }
    return random_below(20) ? WEFT_CONTINUE : WEFT_CANCEL_REST;
}

static void check_the_errors(const struct place *p)
{
    const weft_error *e = weft_last_error();
    if (short_of_memory) return;
    int kept = p->failures < 16 ? p->failures : 16;
    CHECK(e != NULL);
    CHECK_EQ(e->dropped, p->failures - kept);
    for (int i = 0; i < kept; i++, e = e->next) {
        CHECK(e != NULL);
        CHECK_EQ(e->code, p->codes[i]);
    }
    CHECK(e == NULL);
}

static weft_time some_grace(void)
{
    if (world.generous) return random_below(2) ? 0 : WEFT_SEC(60);
    return WEFT_USEC((weft_time)random_below(400) - 50);
}

static int has_a_place(struct node *me, struct place *outer, int depth)
{
    if (world.place_count == PLACES) return 0;
    struct place *p = &world.places[world.place_count++];
    *p = (struct place){.owner = me,
                        .outer = outer ? outer : me->home,
                        .policy = (weft_policy)random_below(3)};
    weft_nursery_opts o = {.policy = p->policy,
                           .limit = random_below(3) ? 0 : 1 + random_below(3u),
                           .cleanup_grace = some_grace(),
                           .on_exit = notes_the_end,
                           .user = p};
    CHECK_EQ(weft_nursery_open(&p->n, &o), 0);
    p->open = true;
    if (random_below(4) == 0) {
        weft_scope_set_deadline(weft_nursery_scope(&p->n),
                                weft_after(WEFT_USEC(random_below(5000))));
    }
    int rc = act(me, p, depth + 1);
    if (rc == 0) rc = random_below(3);
    if (rc < 0 && !(rc == -ECANCELED && weft_cancelled())) note_failure(p, rc);
    if (rc == -ECANCELED) p->stopped = p->stopped_by_scope = true;
    p->closing = true;
    int result = weft_nursery_close(&p->n, rc);
    p->open = false;
    CHECK_EQ(p->live, 0);
    CHECK_EQ(p->height, 0);
    CHECK_EQ(weft_nursery_count(&p->n), 0);
    if (p->failures) {
        CHECK_EQ(result, p->codes[0]);
        check_the_errors(p);
        if (result == -ECANCELED) result = -449; /* somebody's, not ours */
        return random_below(2) ? result : 0;
    }
    CHECK(result == rc || result == p->cancel_code || result == -ECANCELED ||
          result == 0);
    if (result == -ECANCELED) CHECK(weft_cancelled());
    if (!p->stopped) CHECK_EQ(result, rc);
    if (p->stopped_by_scope && result != -ECANCELED) {
        CHECK(weft_scope_cancel_called(weft_nursery_scope(&p->n)));
    }
    return result < 0 ? result : 0;
}

static int runs_beside(void *arg)
{
    (void)arg;
    CHECK(!weft_cancelled());
    CHECK_EQ(weft_sleep(WEFT_USEC(random_below(500))), 0);
    world.in_background--;
    return 0;
}

static void cancel_one(struct place *p)
{
    if (!p) return;
    int code = random_below(2) ? 0 : -300 - random_below(50);
    if (!weft_scope_cancel_called(weft_nursery_scope(&p->n))) {
        p->cancel_code = code;
    }
    weft_nursery_cancel(&p->n, code, "at random");
}

static void cancel_a_task(void)
{
    if (world.node_count == 0) return;
    struct node *c = &world.nodes[random_below(world.node_count)];
    if (!c->has_task || !c->entered) return;
    c->struck = true;
    weft_task_cancel(&c->task, -EINTR, NULL);
}

/* Only younger fibers, so that no two wait for each other. */
static int join_one(const struct node *me)
{
    int first = (int)(me - world.nodes) + 1;
    if (first >= world.node_count) return 0;
    struct node *c =
        &world.nodes[first + random_below(world.node_count - first)];
    weft_outcome out;
    int rc;
    if (!c->has_task || !c->entered) return 0;
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(5)) {
        rc = weft_join(&c->task, &out);
        if (rc == 0) {
            CHECK(c->left);
            CHECK_EQ(out.rc, c->rc);
            if (!c->by_start || (c->ready && !c->late)) {
                CHECK_EQ(out.status, c->status);
            }
            if (out.status != WEFT_FAILED) CHECK(out.err == NULL);
            if (out.status == WEFT_FAILED) CHECK(out.err || short_of_memory);
        } else {
            CHECK_EQ(rc, -ECANCELED);
        }
    }
    return rc;
}

/* ---- generators, groups, locals: smaller things, in between -------------- */

struct little {
    unsigned alive, entered, cleaned;
    int item, code;
};

static void ends_a_little(void *arg)
{
    struct little *l = arg;
    if (random_below(2)) cleans_up();
    l->cleaned++;
    l->alive--;
}

static int lives_a_little(void *arg)
{
    struct little *l = arg;
    int rc = 0;
    l->entered++;
    l->alive++;
    if (lacks_memory(weft_defer(ends_a_little, l))) return 0;
    for (unsigned i = random_below(4u); i > 0 && rc == 0; i--) {
        rc = random_below(2) ? weft_yield()
                             : weft_sleep(WEFT_USEC(random_below(400)));
    }
    return rc == 0 && random_below(5) == 0 ? weft_fail(l->code, "little") : rc;
}

static int hands_out(weft_gen *g, void *arg)
{
    struct little *l = arg;
    l->entered++;
    l->alive++;
    if (lacks_memory(weft_defer(ends_a_little, l))) return 0;
    for (unsigned i = random_below(6u); i > 0; i--) {
        int rc = random_below(3) ? 0 : weft_sleep(WEFT_USEC(random_below(300)));
        if (rc == 0) rc = weft_gen_yield(g, &l->item);
        if (rc < 0) return rc;
        l->item++;
    }
    return random_below(3) ? 0 : weft_fail(l->code, "no more");
}

static int has_a_generator(void)
{
    struct little l = {.code = -500};
    weft_gen g;
    int rc = weft_gen_open(&g, hands_out, &l), seen = 0;
    if (lacks_memory(rc)) return 0;
    CHECK_EQ(rc, 0);
    for (unsigned i = random_below(8u); i > 0 && rc >= 0; i--) {
        void *item = NULL;
        WEFT_MOVE_ON_AFTER(rc, WEFT_USEC(random_below(600))) {
            rc = weft_gen_next(&g, &item);
            if (rc == 1) CHECK_EQ(*(int *)item, seen++);
            if (rc == -ECANCELED) CHECK(weft_cancelled());
        }
    }
    int closed = weft_gen_close(&g);
    CHECK_EQ(l.alive, 0);
    CHECK(l.entered <= 1);
    CHECK(closed == 0 || closed == l.code || closed == -ECANCELED);
    if (closed == -ECANCELED) CHECK(weft_cancelled());
    return rc == -ECANCELED ? rc : 0;
}

enum { JOBS = 4 };

static int has_a_group(void)
{
    struct little l[JOBS] = {0};
    weft_job jobs[JOBS] = {0};
    size_t n = (size_t)random_below(JOBS + 1);
    bool race = n > 0 && random_below(2), failed = false;
    weft_gather_opts o = {.policy =
                              random_below(2) ? WEFT_COLLECT : WEFT_FAIL_FAST,
                          .limit = random_below(3u)};
    int rc;
    for (size_t i = 0; i < n; i++) {
        l[i].code = -501 - (int)i;
        jobs[i] = (weft_job){.fn = lives_a_little, .arg = &l[i]};
    }
    rc = race ? weft_race(jobs, n,
                          random_below(2) ? WEFT_RACE_OK : WEFT_RACE_DONE)
              : weft_gather(jobs, n, &o);
    for (size_t i = 0; i < n; i++) {
        CHECK_EQ(l[i].alive, 0);
        CHECK_EQ(l[i].entered, jobs[i].started);
        if (jobs[i].status == WEFT_OK) CHECK(jobs[i].started);
        failed = failed || jobs[i].status == WEFT_FAILED;
        if (!race && rc == 0 && o.policy == WEFT_FAIL_FAST) {
            CHECK_EQ(jobs[i].status, WEFT_OK);
        }
    }
    if (rc == -ECANCELED) CHECK(weft_cancelled());
    if (rc < 0 && rc != -ECANCELED) CHECK(failed || lacks_memory(rc));
    if (race && rc >= 0) CHECK(rc < (int)n && jobs[rc].started);
    return rc == -ECANCELED ? rc : 0;
}

/* Its failures have nobody to go to. */
static int leaves_by_return(struct little *l, unsigned *closed)
{
    int rc;
    WEFT_NURSERY(n, rc) {
        for (unsigned i = random_below(4u); i > 0; i--) {
            rc = weft_spawn(&n, lives_a_little, l);
            if (lacks_memory(rc)) break;
        }
        if (random_below(2)) rc = weft_sleep(WEFT_USEC(random_below(300)));
        ++*closed;
        return rc;
    }
    return 0;
}

static int has_a_block(void)
{
    struct little l = {.code = -510};
    unsigned left = 0;
    int rc = leaves_by_return(&l, &left);
    CHECK_EQ(l.alive, 0);
    CHECK_EQ(left, 1);
    return weft_cancelled() ? rc : 0; /* it may be that of its nursery alone */
}

static int pushed, dropped;

static void counts_the_drop(void *value)
{
    CHECK_PTR(value, &pushed);
    dropped++;
}

static weft_key keys[3] = {
    {.name = "a", .drop = counts_the_drop},
    {.name = "b", .drop = counts_the_drop},
    {.name = "c", .drop = counts_the_drop, .flags = WEFT_KEY_PRIVATE}};

static int has_a_local(struct node *me, struct place *p, int depth)
{
    weft_key *k = &keys[random_below(3)];
    if (lacks_memory(weft_local_push(k, &pushed))) return 0;
    pushed++;
    int rc = depth < 4 ? act(me, p, depth + 2) : weft_yield();
    CHECK_PTR(weft_local_get(k), &pushed);
    if (random_below(4)) {
        int err = weft_local_pop(k);
        CHECK(err == 0 || lacks_memory(err));
    }
    return rc;
}

static weft_sem permits;

static int has_a_permit(int depth)
{
    int rc;
    WEFT_MOVE_ON_AFTER(rc, WEFT_MSEC(2)) {
        rc = weft_sem_acquire(&permits, 1);
        if (rc == 0) {
            rc = depth < 4 ? weft_sleep(WEFT_USEC(random_below(300)))
                           : weft_yield();
            CHECK_EQ(weft_sem_release(&permits, 1), 0);
        }
    }
    return rc;
}

/* One of the nurseries around `me`: its own, or one of those it lives in. */
static struct place *some_place(const struct node *me, struct place *p)
{
    struct place *q = p ? p : me->home;
    if (world.place_count > 0 && random_below(8) == 0) return any_place();
    while (q && random_below(3) == 0) {
        q = q->outer;
    }
    return q;
}

static int act_once(struct node *me, struct place *p, int depth)
{
    int rc;
    struct place *q = some_place(me, p);
    switch (random_below(21)) {
    case 16:
        return has_a_generator();
    case 17:
        return has_a_group();
    case 18:
        return has_a_block();
    case 19:
        return has_a_local(me, p, depth);
    case 20:
        return has_a_permit(depth);
    case 0:
    case 1:
        return weft_sleep(WEFT_USEC(random_below(2000)));
    case 2:
        if (random_below(50) == 0) weft_dump(null_fd);
        return weft_yield();
    case 3:
    case 4:
        defer_one(me);
        return 0;
    case 5:
        undefer_one(me);
        return 0;
    case 6:
        return depth < 3 ? has_a_place(me, p, depth) : 0;
    case 7:
    case 8:
        return spawn_one(q, false);
    case 9:
        return spawn_one(q, true);
    case 10:
        return start_one(q);
    case 11:
        own_one(q);
        return 0;
    case 12:
        disown_one();
        return 0;
    case 13:
        if (random_below(2)) cancel_a_task();
        if (random_below(3) == 0) cancel_one(q);
        return 0;
    case 14:
        if (random_below(2)) return join_one(me);
        rc = weft_background(runs_beside, NULL, NULL);
        CHECK(rc == 0 || lacks_memory(rc));
        world.in_background += rc == 0;
        return 0;
    default:
        if (random_below(20) == 0) return -400 - random_below(50);
        if (random_below(4) == 0) {
            WEFT_SHIELD(rc, WEFT_USEC(random_below(3000))) {
                rc = depth < 4 ? act(me, p, depth + 2) : weft_yield();
            }
            return rc;
        }
        WEFT_FAIL_AFTER(rc, WEFT_USEC(random_below(3000))) {
            rc = depth < 4 ? act(me, p, depth + 2) : weft_yield();
        }
        return random_below(2) && rc != -ECANCELED ? 0 : rc;
    }
}

static int act(struct node *me, struct place *p, int depth)
{
    int rc = 0;
    for (unsigned i = random_below(depth ? 12u : 16u); i > 0 && rc == 0; i--) {
        rc = act_once(me, p, depth);
    }
    return rc;
}

static void run_a_program(uint64_t seed)
{
    static struct place nowhere;
    memset(&world, 0, sizeof world);
    memset(&nowhere, 0, sizeof nowhere);
    random_begin(seed);
    world.generous = random_below(2);
    pushed = dropped = 0;
    weft_sem_init(&permits, 2, 2);
    (void)fprintf(stderr, "program %llu\n", (unsigned long long)seed);

    struct node *root = &world.nodes[world.node_count++];
    root->fiber = weft_self();
    for (int i = 0; i < 4; i++) {
        root->height = root->deferred = 0;
        (void)has_a_place(root, NULL, 0);
        for (int k = 0; k < root->deferred; k++) {
            struct thing *t = &root->things[k];
            if (!t->pending) continue;
            remove_from(root->stack, &root->height, k);
            root->stack[root->height++] = k;
            CHECK_EQ(weft_undefer(is_deferred_in_turn, t, true), 0);
        }
        CHECK_EQ(root->height, 0);
        CHECK_EQ(weft_checkpoint(), 0);
        CHECK_EQ(weft_deadline(), WEFT_FOREVER);
    }
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0);
    for (int i = 0; i < 3; i++) {
        while (weft_local_pop(&keys[i]) == 0) {
        }
        CHECK(weft_local_get(&keys[i]) == NULL || short_of_memory);
    }
    if (!short_of_memory) CHECK_EQ(dropped, pushed);
    CHECK_EQ(weft_sem_value(&permits), 2);
    CHECK_EQ(world.in_background, 0);
    CHECK_EQ(weft_background_count(), 0);
    for (int i = 1; i < world.node_count; i++) {
        CHECK_EQ(world.nodes[i].spawned, world.nodes[i].entered);
        CHECK_EQ(world.nodes[i].spawned, world.nodes[i].left);
    }
    for (int i = 0; i < world.object_count; i++) {
        const struct object *o = &world.objects[i];
        CHECK(!o->pending);
        CHECK(o->closed == 1 || (o->taken && o->closed == 0));
        CHECK_EQ(weft_disown(o->handle, true), -ENOENT);
    }
}

/* At a cancel point of any fiber, or when it has just parked. */
static void strikes(weft_fiber *f, bool parked, void *arg)
{
    (void)f;
    (void)parked;
    if (random_below(*(unsigned *)arg)) return;
    struct place *p = &world.places[random_below(world.place_count + 1)];
    if (random_below(2)) {
        cancel_a_task();
    } else if (p < &world.places[world.place_count] && p->open) {
        cancel_one(p);
    }
}

static void ignores(const weft_error *e)
{
    (void)e;
}

static void run_programs(uint64_t seed)
{
    int count = test_is_slow() ? 100 : 1000;
    null_fd = open("/dev/null", O_WRONLY);
    weft_on_unhandled(ignores);
    for (int i = 0; i < count; i++) {
        run_a_program(seed + (uint64_t)i * 7919);
    }
    weft_on_unhandled(NULL);
    CHECK_EQ(close(null_fd), 0);
}

TEST(random_programs_keep_the_rules)
{
    run_programs(test_seed());
}

TEST(random_programs_keep_the_rules_when_struck_at_any_cancel_point)
{
    unsigned chances[] = {300, 50, 10};
    for (int i = 0; i < 3; i++) {
        wf_points_watch(strikes, &chances[i]);
        run_programs(test_seed() + (unsigned)i);
        wf_points_watch(NULL, NULL);
    }
}

#ifdef WEFT_HOSTILE
static uint64_t program_seed;

static int runs_some_programs(void *arg)
{
    (void)arg;
    short_of_memory = true;
    refused = 0;
    weft_on_unhandled(ignores);
    for (unsigned i = 0; i < 3; i++) {
        run_a_program(program_seed + i);
    }
    weft_on_unhandled(NULL);
    return refused ? -ENOMEM : 0;
}

TEST_PLAIN(random_programs_keep_the_rules_when_memory_is_short)
{
    program_seed = test_seed();
    fail_each(runs_some_programs, WF_CALL_ALLOC);
}

TEST_PLAIN(random_programs_keep_the_rules_when_stacks_are_short)
{
    program_seed = test_seed();
    fail_each(runs_some_programs, WF_CALL_MMAP);
}
#endif
