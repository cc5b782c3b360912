/* SPDX-License-Identifier: MIT */
/*
 * select.c - waiting in several queues at once.
 *
 * First each case is tried, and the first that can happen does. If none can, the
 * fiber takes a place in the queue of each and parks; no turn lies between, so
 * nothing comes true unnoticed.
 *
 * A place is granted as a waiter is: who has what it waits for takes it out of
 * the queue and hands the item over. There and then, before the fiber is made
 * ready, the select leaves all its other places. So exactly one case happens,
 * no queue holds a place of a fiber that is not parked, and the fiber looks at
 * nothing it has waited for when it runs, as that may be gone.
 *
 * Rule: whenever the fiber is parked, and only then, all its places are in line.
 *
 * With a channel that crosses threads among them (chan_mt.h) another thread may
 * grant one place while this one is about to grant a second. So then a place is
 * granted by who has claimed the wait, and who comes too late leaves it; those
 * that remain of a wait which was taken away are granted nothing, until its own
 * thread has heard of it and takes them out.
 */
#include <weft/select.h>

#include "reactor/reactor.h"
#include "runtime/clock.h"
#include "runtime/os.h"
#include "sync/chan_mt.h"
#include "sync/child.h"
#include "sync/lines.h"
#include "sync/waiting.h"

enum { A_FEW = 16 };

struct selecting;

struct place {
    struct wf_place in_line;
    weft_waitq_ *line; /* NULL: granted, or passed over */
    struct selecting *of;
    uint32_t index; /* of the case */
    bool of_fd;     /* so that the reactor has to hear of it */
};

struct selecting {
    weft_case *cases;
    size_t n, on; /* how many cases, and how many of them are on */
    size_t first; /* to be looked at */
    struct place *places;
    size_t count;
    const weft_case *soonest; /* of the moments, or NULL */
    const struct place *granted;
    int result;
    size_t crossings;      /* cases of channels that cross threads */
    struct across *across; /* NULL: no other thread can end it */
};

/* Where it waits besides: what other threads may grant. */
struct across {
    struct wf_mt_wait wait;
    struct selecting *of;
    struct wf_mt_place *places;
    size_t count;
    bool ours; /* claimed on this thread */
    bool told;
};

/* ---- trying ------------------------------------------------------------- */

/* 0, or why that can never happen. */
static int check_case(const weft_case *c)
{
    switch (c->on) {
    case WEFT_ON_OFF:
    case WEFT_ON_RECV:
    case WEFT_ON_SEND:
    case WEFT_ON_TIME:
    case WEFT_ON_EVENT:
        return 0;
    case WEFT_ON_FD:
        if (!(c->events & (WEFT_READABLE | WEFT_WRITABLE))) return -EINVAL;
        return weft_fd_number(c->fd) < 0 ? -EBADF : 0;
    case WEFT_ON_TASK:
        return wf_task_check(c->object, "weft_select");
    }
    return wf_misuse(-EINVAL, "weft_select: there is no kind %d of cases",
                     (int)c->on);
}

/* What cannot be waited for is an error even when something else is there, so
 * that it does not show up only now and then. */
static int check(struct selecting *x)
{
    if (x->n > INT32_MAX)
        return wf_misuse(-EINVAL, "weft_select: %zu cases are too many", x->n);
    for (size_t i = 0; i < x->n; i++) {
        weft_case *c = &x->cases[i];
        int err = check_case(c);
        if (err < 0) return c->result = err;
        x->on += c->on != WEFT_ON_OFF;
    }
    return x->on ? 0 : -EINVAL;
}

/* The case to begin with: those that are on take turns, and others none. */
static size_t first_of(const struct selecting *x)
{
    size_t k = wf_rotate(x->on), i = 0;
    if (x->on == x->n) return k;
    while (x->cases[i].on == WEFT_ON_OFF || k-- > 0)
        i++;
    return i;
}

/* The k-th from the first on, going round. */
static size_t in_turn(const struct selecting *x, size_t k)
{
    size_t i = x->first + k;
    return i < x->n ? i : i - x->n;
}

/* The result, if it can happen now; or -EAGAIN. */
static inline int try_case(const weft_case *c, unsigned flags)
{
    int ready;
    switch (c->on) {
    case WEFT_ON_RECV:
        return weft_chan_tryrecv(c->object, c->item);
    case WEFT_ON_SEND:
        return weft_chan_trysend(c->object, c->item);
    case WEFT_ON_TIME:
        return c->at <= wf_now ? 0 : -EAGAIN;
    case WEFT_ON_FD:
        /* The kernel is asked each 32nd time at the least: while something else
         * is always there nobody parks, and the events of a turn come late. */
        ready = wf_fd_ready(c->fd, c->events,
                            flags & WEFT_SELECT_NOWAIT ||
                                weft_here_.credit_ % 32 == 0);
        return ready != 0 ? ready : -EAGAIN;
    case WEFT_ON_EVENT:
        return weft_event_is_set(c->object) ? 0 : -EAGAIN;
    case WEFT_ON_TASK:
        return weft_task_done(c->object) ? 0 : -EAGAIN;
    default:
        return -EAGAIN;
    }
}

/* What weft_select says of a case that happened, with this result. That of a
 * descriptor may be that it cannot happen, and then none has. */
static inline int outcome(weft_case *c, size_t i, int result)
{
    c[i].result = result;
    return result < 0 && c[i].on == WEFT_ON_FD ? result : (int)i;
}

static int try_all(const struct selecting *x, unsigned flags)
{
    for (size_t k = 0; k < x->n; k++) {
        size_t i = in_turn(x, k);
        int got = try_case(&x->cases[i], flags);
        if (got != -EAGAIN) return outcome(x->cases, i, got);
    }
    return -EAGAIN;
}

/* ---- waiting ------------------------------------------------------------ */

static void step_out(struct selecting *x)
{
    for (size_t i = 0; i < x->count; i++) {
        struct place *p = &x->places[i];
        if (!p->line) continue;
        if (p->of_fd)
            wf_fd_step_out(p->line, &p->in_line.waiter);
        else
            wf_waitq_remove(p->line, &p->in_line.waiter);
    }
}

static void leave(struct selecting *x, weft_fiber *f)
{
    step_out(x);
    if (x->across) wf_mt_step_out(x->across->places, x->across->count);
    if (x->soonest) wf_sleep_end(wf_child_of(f));
}

/* True: this thread is to end the wait. */
static bool claim(struct selecting *x)
{
    if (!x->across) return true;
    if (!wf_mt_claim(&x->across->wait)) return false;
    return x->across->ours = true;
}

/* It is out of its line. Of what is not handed over, such as an event, it may
 * be told too late. */
static void granted(struct wf_place *in_line, int result)
{
    struct place *p = (struct place *)(void *)in_line;
    struct selecting *x = p->of;
    weft_fiber *f = in_line->waiter.fiber_;
    p->line = NULL;
    if (x->granted != p && !claim(x)) return;
    x->granted = p;
    x->result = result;
    leave(x, f);
    wf_wake(f, 0);
}

bool wf_select_claim(struct weft_waiter_ *w)
{
    struct place *p = (struct place *)(void *)w;
    if (!claim(p->of)) {
        p->line = NULL;
        return false;
    }
    p->of->granted = p;
    w->run_ = weft_here_.run_;
    return true;
}

/* If it comes too late the fiber waits on. */
static void moment_has_come(weft_fiber *f)
{
    struct selecting *x = (struct selecting *)(uintptr_t)f->object;
    if (claim(x)) leave(x, f);
}

static bool abort_select(weft_fiber *f)
{
    struct selecting *x = (struct selecting *)(uintptr_t)f->object;
    if (!claim(x)) return false;
    leave(x, f);
    return true;
}

static int64_t number_of(const void *object)
{
    return (int64_t)((const struct selecting *)object)->on;
}

static const struct wf_wait_kind selecting = {.name = "select of",
                                              .number = number_of,
                                              .abort = abort_select,
                                              .due = moment_has_come};

static weft_waitq_ *line_of(const weft_case *c)
{
    switch (c->on) {
    case WEFT_ON_RECV:
        return wf_chan_receivers(c->object);
    case WEFT_ON_SEND:
        return wf_chan_senders(c->object);
    case WEFT_ON_EVENT:
        return &((weft_event *)c->object)->waiters_;
    case WEFT_ON_TASK:
        return &((weft_task *)c->object)->waiters_;
    default:
        return NULL;
    }
}

static struct place *new_place(struct selecting *x, size_t i)
{
    struct place *p = &x->places[x->count];
    *p = (struct place){.in_line = {wf_waiter_of(wf_self()), granted},
                        .of = x,
                        .index = (uint32_t)i};
    return p;
}

static void stand_in_line(struct selecting *x, size_t i)
{
    const weft_case *c = &x->cases[i];
    weft_waitq_ *line = line_of(c);
    if (!line) {
        x->crossings++;
        return;
    }
    struct place *p = new_place(x, i);
    p->line = line;
    if (c->on == WEFT_ON_RECV || c->on == WEFT_ON_SEND)
        p->in_line.waiter.item_ = c->item;
    wf_waitq_push(p->line, &p->in_line.waiter);
    x->count++;
}

/* 0, or the result if there is no waiting for it. */
static int stand_at_fd(struct selecting *x, size_t i)
{
    const weft_case *c = &x->cases[i];
    struct place *p = new_place(x, i);
    int got = wf_fd_step_in(c->fd, c->events, &p->in_line.waiter, &p->line);
    if (got != 0) return got;
    p->of_fd = true;
    x->count++;
    return 0;
}

/* 0, or the result of case i if that has happened now. */
static int step_in_at(struct selecting *x, size_t i)
{
    const weft_case *c = &x->cases[i];
    switch (c->on) {
    case WEFT_ON_OFF:
        return 0;
    case WEFT_ON_TIME:
        if (!x->soonest || c->at < x->soonest->at) x->soonest = c;
        return 0;
    case WEFT_ON_FD:
        return stand_at_fd(x, i);
    default:
        stand_in_line(x, i);
        return 0;
    }
}

/* -EAGAIN: now it waits for all of them. */
static int step_in(struct selecting *x)
{
    for (size_t k = 0; k < x->n; k++) {
        size_t i = in_turn(x, k);
        int got = step_in_at(x, i);
        if (got == 0) continue;
        step_out(x);
        return outcome(x->cases, i, got);
    }
    return -EAGAIN;
}

/* What is told of a descriptor may be more than was asked for; and it may have
 * been closed between the wake and this line. */
static int ready_of(const weft_case *c, int result)
{
    if (result < 0) return result;
    if (weft_fd_number(c->fd) < 0) return -EBADF;
    return result & (c->events | WEFT_HANGUP);
}

static int outcome_here(struct selecting *x)
{
    const struct place *p = x->granted;
    if (!p) return outcome(x->cases, (size_t)(x->soonest - x->cases), 0);
    if (p->of_fd) x->result = ready_of(&x->cases[p->index], x->result);
    return outcome(x->cases, p->index, x->result);
}

/* The moment may have come when the wait was claimed already: then it lasts
 * until the message is there. */
static int outcome_across(const struct selecting *x)
{
    static const struct wf_wait_kind telling = {.name = "select of",
                                                .number = number_of};
    const struct across *a = x->across;
    if (!a->told) (void)wf_park(&telling, x);
    WF_ASSERT(a->told);
    return outcome(x->cases, a->wait.granted->index, a->wait.result);
}

static int park(struct selecting *x)
{
    if (x->soonest) wf_sleep_begin(wf_child_self(), x->soonest->at);
    int err = wf_park(&selecting, x);
    if (err < 0) return err;
    return x->across && !x->across->ours ? outcome_across(x) : outcome_here(x);
}

/* ---- across threads ----------------------------------------------------- */

static void told(struct wf_message *m)
{
    struct across *a = (struct across *)(void *)m;
    weft_fiber *f = a->wait.granted->waiter.fiber_;
    a->told = true;
    leave(a->of, f);
    if (f->state == WF_PARKED) wf_wake(f, 0); /* else its moment has come */
}

static void prepare(struct across *a, size_t i)
{
    const weft_case *c = &a->of->cases[i];
    bool sends = c->on == WEFT_ON_SEND;
    if ((!sends && c->on != WEFT_ON_RECV) || line_of(c)) return;
    struct wf_mt_place *p = &a->places[a->count++];
    *p = (struct wf_mt_place){.waiter = wf_waiter_of(wf_self()),
                              .of = &a->wait,
                              .handle = c->object,
                              .act = sends ? WF_MT_SEND : WF_MT_RECV,
                              .index = (uint32_t)i};
    p->waiter.item_ = c->item;
}

/* Who passes an item to one of these has to claim it before. */
static void mark_claimable(struct selecting *x)
{
    WF_ASSERT(weft_here_.run_ != WF_RUN_TO_CLAIM);
    for (size_t i = 0; i < x->count; i++) {
        struct place *p = &x->places[i];
        weft_case_kind on = x->cases[p->index].on;
        if (on == WEFT_ON_RECV || on == WEFT_ON_SEND)
            p->in_line.waiter.run_ = WF_RUN_TO_CLAIM;
    }
}

static int stand_and_park(struct selecting *x, struct across *a)
{
    size_t which;
    for (size_t k = 0; k < x->n; k++)
        prepare(a, in_turn(x, k));
    int got = wf_mt_stand(a->places, a->count, &which);
    if (got == -EAGAIN) {
        x->across = a;
        mark_claimable(x);
        return park(x);
    }
    step_out(x);
    return outcome(x->cases, a->places[which].index, got);
}

static int no_memory(size_t places)
{
    return weft_fail(-ENOMEM, "weft_select: no memory for %zu places", places);
}

__attribute__((noinline)) static int park_across(struct selecting *x)
{
    struct wf_mt_place few[A_FEW];
    size_t bytes = x->crossings * sizeof *few;
    struct across a = {.wait = wf_mt_wait_of_self(told), .of = x};
    a.places = x->crossings <= A_FEW ? few : wf_alloc(bytes);
    if (!a.places) {
        step_out(x);
        return no_memory(x->crossings);
    }
    int got = stand_and_park(x, &a);
    if (x->crossings > A_FEW) wf_free(a.places, bytes);
    return got;
}

/* ---- the whole ---------------------------------------------------------- */

__attribute__((noinline)) static int wait_for_one(struct selecting *x)
{
    struct place few[A_FEW];
    size_t bytes = x->on * sizeof *x->places;
    x->places = x->on <= A_FEW ? few : wf_alloc(bytes);
    if (!x->places) return no_memory(x->on);
    int got = step_in(x);
    if (got == -EAGAIN) got = x->crossings ? park_across(x) : park(x);
    if (x->on > A_FEW) wf_free(x->places, bytes);
    return got;
}

int weft_select(weft_case *c, size_t n, unsigned flags)
{
    int err = weft_pass_();
    if (err < 0) return err;
    struct selecting x = {.cases = c, .n = n};
    err = check(&x);
    if (err < 0) return err;
    if (!(flags & WEFT_SELECT_ORDERED)) x.first = first_of(&x);
    int got = try_all(&x, flags);
    if (got != -EAGAIN || flags & WEFT_SELECT_NOWAIT) return got;
    return wait_for_one(&x);
}
