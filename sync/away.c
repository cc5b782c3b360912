/* SPDX-License-Identifier: MIT */
/*
 * away.c - a child's way to another worker, and back.
 *
 * What the two sides share is one piece of memory, which goes there with the
 * child and comes back with its end. At any time each member is one side's: it
 * is handed over by a message, so none is atomic and nothing is locked. Three
 * messages are in it, since a fourth is never on its way:
 *
 *     trip    there: run this; back: it has ended, or there was no memory for
 *             it and it has to be run here
 *     word    there: it is cancelled now, or not any more; back: heard. Changes
 *             in between wait until the word is back
 *     ready   back: weft_started
 *
 * It is freed here, when both the child and the word are back.
 *
 * Children that may run anywhere are kept in reserve by the scheduler, which
 * starts the latest first; the oldest is what is given away, and in a program
 * that divides its work it is the largest part. It is given when somebody sleeps
 * who has not been given anything since: looked for whenever such a child is
 * spawned or starts, by a load. (After: Acar, Chargueraud and Rainey,
 * Scheduling Parallel Programs by Work Stealing with Private Deques, 2013.)
 */
#include "sync/away.h"

#include <string.h>

#include "runtime/os.h"
#include "sync/nursery.h"
#include "sync/run.h"

struct wf_away {
    struct wf_message trip, word, ready;
    unsigned home, abroad;  /* seats */
    struct wf_child *child; /* at home */
    bool word_out, stale;   /* at home: it is on its way; and not the last */
    bool back;              /* at home: the trip is over */
    bool refused;           /* there was no memory abroad */
    bool ended;             /* abroad: the child has */
    bool returned;          /* abroad: its function has */
    bool cancelled;         /* what the word says, and why: its alone */
    weft_reason reason;
    weft_fn fn;
    void *arg;
    size_t stack_bytes;
    int rc;
    void *value;        /* of weft_started */
    weft_nursery there; /* abroad: what is around it */
    _Alignas(16) char copy[WF_SMALL_COPY];
};

#define AWAY_OF(m, member)                                                     \
    ((struct wf_away *)(void *)((char *)(m)-offsetof(struct wf_away, member)))

static int64_t abroad_number(const void *object)
{
    return (int64_t)((const struct wf_away *)object)->abroad + 1;
}

static const struct wf_wait_kind for_return = {.name = "run on worker",
                                               .number = abroad_number};

/* ---- abroad ------------------------------------------------------------- */

static void mirror(struct wf_away *a)
{
    wf_scope_mirror(&a->there.scope_, a->cancelled ? &a->reason : NULL);
}

static int run_it(void *arg)
{
    struct wf_away *a = arg;
    a->rc = a->fn(a->arg);
    a->returned = true;
    return a->rc;
}

/* From here on it is the other side's. */
static void send_home(struct wf_away *a)
{
    wf_group_put(a->home, &a->trip);
}

static void come_back(struct wf_message *m);

/* Nobody is parked in its close: the end of the child is the end of it. */
static void open_there(struct wf_away *a)
{
    weft_nursery *n = &a->there;
    weft_scope *s = &n->scope_;
    n->errors_end_ = &n->errors_;
    wf_scope_link(s, &wf_run_root()->scope_);
    wf_scope_mirror(s, s->flags_ & WF_S_CANCELLED ? &s->reason_ : NULL);
}

static void arrive(struct wf_message *m)
{
    struct wf_away *a = AWAY_OF(m, trip);
    const struct wf_child *c = a->child;
    const weft_spawn_opts o = {.name = c->fiber.name,
                               .stack_size = a->stack_bytes};
    a->trip.deliver = come_back;
    open_there(a);
    int err = wf_spawn_there(&a->there, run_it, a, &o, c);
    if (err == 0) return;
    wf_scope_unlink(&a->there.scope_);
    a->refused = a->ended = true;
    send_home(a);
}

void wf_away_over(weft_nursery *n)
{
    struct wf_away *a = AWAY_OF(n, there);
    wf_scope_unlink(&n->scope_);
    wf_error_leave(n->errors_);
    wf_self()->name = NULL; /* it may be on the stack of who waits for this */
    a->ended = true;
    send_home(a);
}

static void heard(struct wf_message *m);

static void hear(struct wf_message *m)
{
    struct wf_away *a = AWAY_OF(m, word);
    if (!a->ended) mirror(a);
    a->word.deliver = heard;
    wf_group_put(a->home, &a->word);
}

/* ---- at home: a child leaves -------------------------------------------- */

static struct wf_away *away_of(const struct wf_child *c)
{
    return c->u.start.arg;
}

static weft_nursery nursery_like(const weft_nursery *n)
{
    return (weft_nursery){
        .scope_ = {.flags_ = WF_S_NURSERY | WF_S_BEGUN,
                   .deadline_ = wf_scope_deadline(&n->scope_)},
        .state_ = WF_N_OPEN | WF_N_BODY_OVER | WF_N_AWAY,
        .opts_ = {.policy = WEFT_COLLECT,
                  .cleanup_grace = n->opts_.cleanup_grace}};
}

/* A small copied argument waits where the fiber's waiter has to be. */
static void move_copy(struct wf_away *a, struct wf_child *c)
{
    if (!(c->fiber.marks & WF_C_COPIED)) return;
    memcpy(a->copy, &c->fiber.waiter, sizeof a->copy);
    c->fiber.marks &= (uint8_t)~WF_C_COPIED;
    c->fiber.waiter = wf_waiter_of(&c->fiber);
    a->arg = a->copy;
}

int wf_away_prepare(struct wf_child *c, unsigned seat)
{
    struct wf_away *a = wf_shared_alloc(sizeof *a);
    if (!a) return -ENOMEM;
    *a = (struct wf_away){.trip = {.deliver = arrive},
                          .word = {.deliver = hear},
                          .home = wf_worker,
                          .abroad = seat,
                          .child = c,
                          .fn = c->u.start.fn,
                          .arg = c->u.start.arg,
                          .stack_bytes = wf_fiber_stack_bytes(&c->fiber),
                          .there = nursery_like(c->fiber.nursery)};
    move_copy(a, c);
    c->u.start.arg = a;
    c->fiber.marks |= WF_C_AWAY;
    return 0;
}

static void note_cause(struct wf_away *a)
{
    const weft_reason *cause = wf_base(a->child)->cause_;
    a->cancelled = cause != NULL;
    if (cause) a->reason = *cause;
}

/* What is known when it leaves goes with it; what a word says may be written
 * before it has arrived. */
static void take_cause_along(struct wf_away *a)
{
    const weft_reason *cause = wf_base(a->child)->cause_;
    if (!cause) return;
    a->there.scope_.flags_ |= WF_S_CANCELLED;
    a->there.scope_.reason_ = *cause;
}

void wf_away_send(struct wf_child *c)
{
    struct wf_away *a = away_of(c);
    take_cause_along(a);
    wf_fiber_park_new(&c->fiber, &for_return, a);
    wf_group_put(a->abroad, &a->trip);
}

static void send_word(struct wf_away *a)
{
    note_cause(a);
    a->stale = false;
    a->word_out = true;
    a->word.deliver = hear;
    wf_group_put(a->abroad, &a->word);
}

void wf_away_refreshed(struct wf_child *c)
{
    struct wf_away *a = away_of(c);
    if (a->back) return;
    if (a->word_out)
        a->stale = true;
    else
        send_word(a);
}

/* ---- at home: and comes back -------------------------------------------- */

static void free_it(struct wf_away *a)
{
    wf_shared_free(a, sizeof *a);
}

/* What the child does here: it ends as its other half has ended. */
static int end_as_there(void *arg)
{
    struct wf_away *a = arg;
    struct wf_child *c = a->child;
    int rc = a->rc;
    wf_error_arrive(a->there.errors_);
    wf_error_give(&c->fiber, a->there.errors_);
    if (a->there.state_ & (WF_N_STOPPED_HERE | WF_N_STOPPED_OUTSIDE))
        c->fiber.marks |= WF_C_STOPPED;
    free_it(a);
    return rc;
}

/* It runs here after all, for it has to run; its own stack is promised. */
static int run_here_instead(void *arg)
{
    struct wf_away *a = arg;
    _Alignas(16) char copy[WF_SMALL_COPY];
    weft_fn fn = a->fn;
    void *its = a->arg;
    if (its == a->copy) its = memcpy(copy, a->copy, sizeof copy);
    free_it(a);
    return fn(its);
}

static void conclude(struct wf_away *a)
{
    struct wf_child *c = a->child;
    c->fiber.marks &= (uint8_t)~WF_C_AWAY;
    c->u.start.fn = a->refused ? run_here_instead : end_as_there;
    wf_wake(&c->fiber, 0);
}

static void come_back(struct wf_message *m)
{
    struct wf_away *a = AWAY_OF(m, trip);
    a->back = true;
    if (!a->word_out) conclude(a);
}

static void heard(struct wf_message *m)
{
    struct wf_away *a = AWAY_OF(m, word);
    a->word_out = false;
    if (a->back)
        conclude(a);
    else if (a->stale)
        send_word(a);
}

/* ---- weft_started ------------------------------------------------------- */

static void is_ready(struct wf_message *m)
{
    struct wf_away *a = AWAY_OF(m, ready);
    wf_started(&a->child->fiber, a->value);
}

void wf_away_started(weft_fiber *f, void *value)
{
    struct wf_away *a = AWAY_OF(f->nursery, there);
    if (a->returned) return;
    a->value = value;
    a->ready.deliver = is_ready;
    wf_group_put(a->home, &a->ready);
}

/* ---- to whoever has nothing to do --------------------------------------- */

void wf_share_spares(void)
{
    int seat;
    while (wf_fiber_has_spare() && (seat = wf_group_claim_idle()) >= 0) {
        weft_fiber *f = wf_fiber_take_spare();
        if (wf_away_prepare(wf_child_of(f), (unsigned)seat) < 0) {
            wf_fiber_start(f); /* for want of memory: here, and now */
            wf_group_unclaim((unsigned)seat);
            return;
        }
        wf_away_send(wf_child_of(f));
    }
}
