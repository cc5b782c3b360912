/* SPDX-License-Identifier: MIT */
/*
 * circle.c - finding the fibers that wait for each other.
 *
 * A parked fiber waits for the holder of what it wants, or, in the close of a
 * nursery, for each of its children. All of these have to move before it does,
 * so a fiber is in a circle when it is in a strongly connected component of
 * that graph, other than one of itself alone.
 *
 * The components are found without memory but a number for each fiber, and
 * `result` is free for that while a fiber is parked. Each sweep goes over all
 * fibers. What waits for nobody, or is waited for by nobody, is struck out
 * until there is no such fiber. The rest are numbered, and each number spreads
 * to those waited for, the lowest winning. A fiber that keeps its own is the
 * root of a component: it and those of its number that lead back to it. These
 * are settled, and what is left begins anew. A round takes as many sweeps as
 * the longest chain has links; one without any fiber that waits for a holder,
 * which is the rule, takes one sweep in all.
 */
#include "sync/circle.h"

#include "sync/nursery.h"

/* What `result` holds: a number in units of ONE, and two flags; 0: not, or no
 * longer, looked at. */
enum { AWAITED = 1, LEADS_BACK = 2, ONE = 4 };

struct sweep {
    int number;   /* of the fibers that are looked at, in the order of sweeps */
    bool changed; /* so that the same sweep has to be made again */
};

/* ---- whom a fiber waits for --------------------------------------------- */

struct awaited {
    weft_fiber *fiber; /* or NULL: that was all */
    weft_scope *scope; /* the child's, if it is one */
};

static bool is_looked_at(const weft_fiber *f)
{
    return f->state == WF_PARKED && f->result != 0;
}

static const weft_nursery *closing(const weft_fiber *f)
{
    return f->kind == &wf_nursery_closing ? f->object : NULL;
}

/* Daemons are cancelled when nobody else is left, so they are not waited for
 * before that. */
static bool is_waited_for(const weft_fiber *f)
{
    return is_looked_at(f) &&
           (!(f->marks & WF_C_DAEMON) || f->nursery->scope_.cause_);
}

/* From this child on, those that are looked at. */
static struct awaited child_from(weft_scope *s)
{
    for (; s; s = s->next_) {
        if (!(s->flags_ & WF_S_BASE)) continue;
        weft_fiber *f = &wf_scope_child(s)->fiber;
        if (is_waited_for(f)) return (struct awaited){f, s};
    }
    return (struct awaited){NULL, NULL};
}

static weft_fiber *holder(const weft_fiber *f)
{
    if (!f->kind->holder) return NULL;
    return (weft_fiber *)(uintptr_t)f->kind->holder(f->object);
}

static struct awaited first_awaited(const weft_fiber *f)
{
    const weft_nursery *n = closing(f);
    if (n) return child_from(n->scope_.child_);
    weft_fiber *h = holder(f);
    return (struct awaited){h && is_looked_at(h) ? h : NULL, NULL};
}

static struct awaited next_awaited(struct awaited a)
{
    return child_from(a.scope ? a.scope->next_ : NULL);
}

/* ---- sweeps ------------------------------------------------------------- */

/* `changed`: somebody waits for a holder. Closing alone leads only downward. */
static void begin(weft_fiber *f, void *arg)
{
    struct sweep *s = arg;
    f->marks &= (uint8_t)~WF_C_CIRCLE;
    if (f->state != WF_PARKED) return;
    bool held = holder(f) != NULL;
    f->result = held || closing(f) ? ONE : 0;
    if (held) s->changed = true;
}

static void strike_waiting_for_nobody(weft_fiber *f, void *arg)
{
    struct sweep *s = arg;
    if (!is_looked_at(f)) return;
    struct awaited a = first_awaited(f);
    if (!a.fiber) {
        f->result = 0;
        s->changed = true;
    }
    for (; a.fiber; a = next_awaited(a))
        a.fiber->result |= AWAITED;
}

static void strike_awaited_by_nobody(weft_fiber *f, void *arg)
{
    struct sweep *s = arg;
    if (!is_looked_at(f)) return;
    if (!(f->result & AWAITED)) {
        f->result = 0;
        s->changed = true;
    } else {
        f->result = ONE;
    }
}

static void give_number(weft_fiber *f, void *arg)
{
    struct sweep *s = arg;
    if (is_looked_at(f)) f->result = ++s->number * ONE;
}

static void spread_number(weft_fiber *f, void *arg)
{
    struct sweep *s = arg;
    if (!is_looked_at(f)) return;
    for (struct awaited a = first_awaited(f); a.fiber; a = next_awaited(a)) {
        if (a.fiber->result <= f->result) continue;
        a.fiber->result = f->result;
        s->changed = true;
    }
}

static void find_root(weft_fiber *f, void *arg)
{
    struct sweep *s = arg;
    if (is_looked_at(f) && f->result == ++s->number * ONE)
        f->result |= LEADS_BACK;
}

/* The root too is of a circle only if it waits for one that leads back. */
static void lead_back(weft_fiber *f, void *arg)
{
    struct sweep *s = arg;
    if (!is_looked_at(f) || f->marks & WF_C_CIRCLE) return;
    int same = f->result | LEADS_BACK;
    for (struct awaited a = first_awaited(f); a.fiber; a = next_awaited(a)) {
        if (a.fiber->result != same) continue;
        f->result = same;
        f->marks |= WF_C_CIRCLE;
        s->changed = true;
        return;
    }
}

/* `changed`: there are others. */
static void settle(weft_fiber *f, void *arg)
{
    struct sweep *s = arg;
    if (!is_looked_at(f)) return;
    if (f->result & LEADS_BACK)
        f->result = 0;
    else
        s->changed = true;
}

static bool sweep(void (*fn)(weft_fiber *f, void *arg))
{
    struct sweep s = {0, false};
    wf_fiber_each(fn, &s);
    return s.changed;
}

static void sweep_until_still(void (*fn)(weft_fiber *f, void *arg))
{
    while (sweep(fn))
        continue;
}

static void look_for_mark(weft_fiber *f, void *arg)
{
    if (f->marks & WF_C_CIRCLE) *(bool *)arg = true;
}

bool wf_circles_mark(void)
{
    bool found = false;
    bool more = sweep(begin);
    while (more) {
        bool struck;
        do {
            struck = sweep(strike_waiting_for_nobody);
            if (sweep(strike_awaited_by_nobody)) struck = true;
        } while (struck);
        (void)sweep(give_number);
        sweep_until_still(spread_number);
        (void)sweep(find_root);
        sweep_until_still(lead_back);
        more = sweep(settle);
    }
    wf_fiber_each(look_for_mark, &found);
    return found;
}
