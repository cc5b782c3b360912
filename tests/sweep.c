/* SPDX-License-Identifier: MIT */
/*
 * sweep.c - cancels a piece of concurrent work at every moment of its life.
 *
 * Every fiber of the work runs in a scope of its own, so that one of them can
 * be struck alone. What the others then wait for may never come; the whole
 * work therefore ends after LAST_CALL at the latest, which is far behind
 * anything that it does by itself.
 */
#include "sweep.h"

#include <weft/fiber.h>
#include <weft/scope.h>
#include <weft/time.h>

#include "harness.h"

#define LAST_CALL WEFT_SEC(1000)

enum { MAX_FIBERS = 32, EVERYBODY = -1 };

struct member {
    weft_scope scope;
    weft_fn fn;
    void *arg;
};

static struct member members[MAX_FIBERS];
static int member_count;

/* One way to do it. */
struct strike {
    int whom; /* EVERYBODY, or the number of a fiber */
    bool by_deadline;
    unsigned step, yields;
};

struct canceller {
    const struct strike *strike;
    weft_nursery *work;
    bool over; /* the work has ended by itself */
};

static int run_member(void *arg)
{
    struct member *m = arg;
    int rc = weft_scope_begin(&m->scope);
    CHECK_EQ(rc, 0);
    rc = m->fn(m->arg);
    if (rc == -ECANCELED) CHECK(weft_cancelled());
    CHECK(rc >= 0 || rc == -ECANCELED);
    return weft_scope_end(&m->scope, rc);
}

void sweep_spawn(weft_nursery *n, weft_fn fn, void *arg)
{
    CHECK(member_count < MAX_FIBERS);
    struct member *m = &members[member_count++];
    *m = (struct member){.fn = fn, .arg = arg};
    weft_scope_init(&m->scope);
    CHECK_EQ(weft_spawn(n, run_member, m), 0);
}

static int strikes(void *arg)
{
    struct canceller *c = arg;
    const struct strike *how = c->strike;
    int err = weft_sleep(WEFT_MSEC(how->step));
    for (unsigned k = 0; k < how->yields && err == 0; k++) {
        err = weft_yield();
    }
    if (err < 0 || c->over) return err;

    weft_scope *scope = how->whom == EVERYBODY ? weft_nursery_scope(c->work)
                                               : &members[how->whom].scope;
    if (how->by_deadline) {
        weft_scope_set_deadline(scope, weft_now());
    } else {
        weft_scope_cancel(scope, 0, "swept");
    }
    return 0;
}

/* Returns how many fibers the work had. */
static int run_once(const struct sweep *s, const struct strike *how)
{
    weft_nursery outer, work;
    struct canceller c = {how, &work, false};

    member_count = 0;
    CHECK_EQ(weft_nursery_open(&outer, NULL), 0);
    CHECK_EQ(weft_nursery_open(&work, NULL), 0);
    weft_scope_set_deadline(weft_nursery_scope(&work), weft_after(LAST_CALL));
    s->start(&work);
    if (how->whom < member_count) {
        CHECK_EQ(weft_spawn(&outer, strikes, &c), 0);
    }
    int rc = weft_nursery_close(&work, 0);
    CHECK(rc == 0 || rc == -ETIMEDOUT);
    c.over = true;
    CHECK_EQ(weft_nursery_close(&outer, 0), 0);
    CHECK_EQ(weft_checkpoint(), 0);
    s->check();
    return member_count;
}

static void sweep_the_moments(const struct sweep *s, struct strike how)
{
    for (how.step = 0; how.step < s->steps; how.step++) {
        for (how.yields = 0; how.yields < s->yields; how.yields++) {
            (void)run_once(s, &how);
        }
    }
}

void sweep(const struct sweep *s)
{
    struct strike nobody = {.whom = MAX_FIBERS};
    int fibers = run_once(s, &nobody);
    for (int whom = EVERYBODY; whom < fibers; whom++) {
        sweep_the_moments(s, (struct strike){.whom = whom});
    }
    sweep_the_moments(s, (struct strike){EVERYBODY, true, 0, 0});
    sweep_the_moments(s, (struct strike){0, true, 0, 0});
}
