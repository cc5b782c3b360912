/* SPDX-License-Identifier: MIT */
/*
 * gen.c - generators: two fibers, of which one runs at a time.
 *
 * The producer runs only between a demand and its next yield. It parks with
 * the item that it has lent, and nothing but the next demand or the close of
 * the generator lets it go on: a cancelled producer stays parked too, since the
 * consumer may still be reading the item, which is often on the producer's
 * stack. It learns of the cancellation when the item has come back.
 *
 * Rules that hold whenever a fiber is parked:
 *  - G_IDLE says that the producer is parked here, and only then may it be
 *    woken; while it is idle in a yield, item_ is lent or kept;
 *  - consumer_ is the fiber in next, until it has run: nobody else can ask;
 *  - an item is kept only if nobody asks: the fiber that did was cancelled.
 */
#include <weft/gen.h>

#include "sync/nursery.h"

/* Bits of weft_gen.state_. */
enum {
    G_ASKED = 1,   /* an item is wanted, and there is none yet */
    G_IDLE = 2,    /* the producer waits to be asked */
    G_KEPT = 4,    /* item_ is that of the following next */
    G_GRANTED = 8, /* consumer_ has its answer, and has not run since */
    G_ENDED = 16,  /* so has the producer; rc_ is what next says from now on */
    G_CLOSING = 32
};

/* ---- waiting ------------------------------------------------------------ */

static weft_gen *gen_of(weft_fiber *f)
{
    return (weft_gen *)(uintptr_t)f->object;
}

static const weft_fiber *producer_of(const void *object)
{
    return ((const weft_gen *)object)->producer_;
}

static bool abort_next(weft_fiber *f)
{
    gen_of(f)->consumer_ = NULL;
    return true;
}

static bool abort_first(weft_fiber *f)
{
    gen_of(f)->state_ &= ~(unsigned)G_IDLE;
    return true;
}

static const struct wf_wait_kind for_an_item = {
    .name = "generator", .holder = producer_of, .abort = abort_next};
static const struct wf_wait_kind to_begin = {
    .name = "first demand of generator", .abort = abort_first};
static const struct wf_wait_kind to_go_on = {.name = "demand of generator"};

static int wait_to_be_asked(weft_gen *g, const struct wf_wait_kind *kind)
{
    g->state_ |= G_IDLE;
    return wf_park(kind, g);
}

static void let_go_on(weft_gen *g)
{
    if (!(g->state_ & G_IDLE)) return;
    g->state_ &= ~(unsigned)G_IDLE;
    wf_wake(g->producer_, 0);
}

static void answer(weft_gen *g, int result)
{
    g->state_ |= G_GRANTED;
    wf_wake(g->consumer_, result);
}

/* ---- the producer ------------------------------------------------------- */

static int produce(void *arg)
{
    weft_gen *g = arg;
    g->producer_ = wf_self();
    int err = weft_pass_();
    if (err == 0 && !(g->state_ & G_ASKED))
        err = wait_to_be_asked(g, &to_begin);
    return err < 0 ? err : g->fn_(g, g->arg_);
}

/* Its end is known by the nursery's rule. Its fiber is gone, so forget it. */
static weft_verdict ended(weft_nursery *n, uint64_t child, weft_outcome o,
                          void *user)
{
    weft_gen *g = user;
    (void)n;
    (void)child;
    g->producer_ = NULL;
    g->state_ = (g->state_ & ~(unsigned)G_KEPT) | G_ENDED;
    if (o.status == WEFT_CANCELLED)
        g->rc_ = -ESHUTDOWN;
    else
        g->rc_ = o.rc < 0 ? o.rc : 0;
    if (g->consumer_) answer(g, 0);
    return WEFT_CONTINUE;
}

int weft_gen_yield(weft_gen *g, void *item)
{
    int err = weft_pass_();
    if (err < 0) return err;
    weft_fiber *f = wf_self();
    if (f != g->producer_)
        return wf_misuse(-EPERM, "weft_gen_yield: called by another fiber than "
                                 "the one that runs the generator's function");
    if (g->state_ & G_CLOSING) return -ECANCELED; /* in a shield */

    WF_ASSERT(!(g->state_ & (G_KEPT | G_GRANTED)));
    g->item_ = item;
    g->state_ &= ~(unsigned)G_ASKED;
    if (g->consumer_)
        answer(g, 1);
    else
        g->state_ |= G_KEPT;
    (void)wait_to_be_asked(g, &to_go_on);
    return f->cancelled || g->state_ & G_CLOSING ? -ECANCELED : 0;
}

/* ---- the consumer ------------------------------------------------------- */

/* The nursery keeps the producer's record for close; this is a copy. */
static int how_it_ended(const weft_gen *g, weft_fiber *f)
{
    const weft_error *e = g->nursery_.errors_;
    if (!e) return g->rc_;
    weft_error *copy = wf_error_new(f, g->rc_);
    if (copy) {
        *copy = *e;
        copy->next = copy->inner = NULL; /* those are not ours */
    }
    wf_error_give(f, copy);
    return g->rc_;
}

static int wait_for_item(weft_gen *g, weft_fiber *f, void **ret_item)
{
    g->consumer_ = f;
    g->state_ |= G_ASKED;
    let_go_on(g);
    int got = wf_park(&for_an_item, g);
    if (got < 0) return got; /* and *g may be no more */
    g->consumer_ = NULL;
    g->state_ &= ~(unsigned)G_GRANTED;
    if (got == 0) return how_it_ended(g, f);
    *ret_item = g->item_;
    return 1;
}

int weft_gen_next(weft_gen *g, void **ret_item)
{
    int err = weft_pass_();
    if (err < 0) return err;
    weft_fiber *f = wf_self();
    if (f == g->producer_)
        return wf_misuse(-EPERM,
                         "weft_gen_next: a generator cannot ask itself");
    if (g->state_ & G_KEPT) {
        g->state_ &= ~(unsigned)G_KEPT;
        *ret_item = g->item_;
        return 1;
    }
    if (g->state_ & G_ENDED) return how_it_ended(g, f);
    if (g->state_ & G_CLOSING) return -ESHUTDOWN;
    if (g->consumer_) return -EBUSY;
    return wait_for_item(g, f, ret_item);
}

/* ---- opening and closing ------------------------------------------------ */

int weft_gen_open_(const char *file, int line, weft_gen *g, weft_gen_fn fn,
                   void *arg)
{
    static const weft_spawn_opts named = {.name = "generator"};
    /* Collecting: its failure is the answer of next, and cancels nobody. */
    const weft_nursery_opts opts = {.name = "generator",
                                    .policy = WEFT_COLLECT,
                                    .on_exit = ended,
                                    .user = g};
    int err = weft_nursery_open_(file, line, &g->nursery_, &opts);
    if (err < 0) return err;
    g->fn_ = fn;
    g->arg_ = arg;
    g->producer_ = g->consumer_ = NULL;
    g->item_ = NULL;
    g->state_ = 0;
    g->rc_ = 0;
    err = weft_spawn_ex_(file, line, &g->nursery_, produce, g, &named);
    if (err == 0) return 0;
    /* To close it would park; and there is nothing in it. */
    g->nursery_.state_ |= WF_N_CLOSED | WF_N_SEALED;
    wf_scope_leave(wf_child_self(), &g->nursery_.scope_);
    return err;
}

/* Lets who has an answer take it, while *g is still there. */
static void wait_for_consumer(const weft_gen *g)
{
    while (g->state_ & G_GRANTED)
        wf_yield();
}

/* As weft_nursery_close will see it; it also says what is wrong. */
static bool may_close(const weft_gen *g, weft_fiber *f)
{
    const weft_nursery *n = &g->nursery_;
    return f && !(n->state_ & WF_N_CLOSED) && n->scope_.owner_ == f &&
           wf_child_of(f)->scope == &n->scope_;
}

int weft_gen_close(weft_gen *g)
{
    weft_fiber *f = wf_self();
    if (may_close(g, f)) {
        g->state_ |= G_CLOSING;
        wait_for_consumer(g);
        wf_scope_cancel(&g->nursery_.scope_, WEFT_R_EXPLICIT, 0, f->id,
                        "the generator is closed");
        let_go_on(g);
    }
    int rc = weft_nursery_close(&g->nursery_, 0);
    wait_for_consumer(g);
    return rc;
}

/* ---- the block form ----------------------------------------------------- */

weft_foreach_ *weft_foreach_enter_(const char *file, int line, weft_foreach_ *f,
                                   int *rc, weft_gen_fn fn, void *arg)
{
    *rc = weft_gen_open_(file, line, &f->gen_, fn, arg);
    f->rc_ = rc;
    f->open_ = *rc == 0;
    f->more_ = false;
    return f->open_ ? f : NULL;
}

void *weft_foreach_next_(weft_foreach_ *f)
{
    void *item = NULL;
    int got = weft_gen_next(&f->gen_, &item);
    if (got < 0 && *f->rc_ >= 0) *f->rc_ = got;
    f->more_ = got > 0;
    return item;
}

static int close_block(weft_foreach_ *f)
{
    f->open_ = false;
    wf_check_innermost(&f->gen_.nursery_.scope_);
    return weft_gen_close(&f->gen_);
}

static weft_error *joined(weft_error *first, weft_error *later)
{
    if (!first) return later;
    weft_error *last = first;
    while (last->next)
        last = (weft_error *)(uintptr_t)last->next;
    last->next = later;
    return first;
}

/* What failed first is the answer, and what close says goes behind it. But a
 * real failure beats a cancellation; and of a failure that next has told, close
 * has the whole record. */
weft_foreach_ *weft_foreach_exit_(weft_foreach_ *f)
{
    weft_fiber *self = wf_self();
    weft_error *first = wf_error_take(self);
    int closed = close_block(f), rc = *f->rc_;
    if (rc >= 0 || (rc == -ECANCELED && closed < 0)) *f->rc_ = closed;
    weft_error *later = wf_error_take(self);
    if (later && *f->rc_ == closed) {
        wf_error_free(first);
        first = NULL;
    }
    wf_error_give(self, joined(first, later));
    return NULL;
}

/* Only a return or a goto leaves it open. What close says is lost then, so it
 * goes to the hook; what the body said goes with its result. */
void weft_foreach_leave_(weft_foreach_ *f)
{
    if (!f->open_) return;
    weft_fiber *self = wf_self();
    weft_error *said = wf_error_take(self);
    int lost = close_block(f);
    (void)lost;
    weft_error *group = wf_error_take(self); /* the hook may fail in its turn */
    wf_nursery_tell_of_lost(&f->gen_.nursery_, group, 0, 0);
    wf_error_give(self, said);
}
