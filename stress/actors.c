/* SPDX-License-Identifier: MIT */
/*
 * actors.c - who waits, who is cancelled, and what time it is.
 *
 * An actor does its things in bursts: some that need no waiting, and one that
 * may wait, all within two scopes of its own. These, and its task, are what
 * others cancel. The inner one may be shielded. Either may have a deadline, and
 * that may be when what is waited for happens as well; but no two actors have
 * the same one, since it is not promised which of them would come first.
 */
#include "stress/actors.h"

#include <string.h>

#include <weft/fiber.h>

#include "runtime/park.h"

struct actor actors[ACTORS];

struct tally tallies[MOST_KINDS];

static bool quiet_first;
static weft_time known; /* the model has come to that moment */
static unsigned odd;    /* nanoseconds, so that each deadline is another */

/* ---- lines -------------------------------------------------------------- */

void line_append(struct line *l, struct place p)
{
    if (l->length == IN_LINE) differs("the model's line is too short");
    l->list[l->length++] = p;
}

static void take_out(struct line *l, int i)
{
    l->length--;
    memmove(&l->list[i], &l->list[i + 1],
            sizeof l->list[0] * (size_t)(l->length - i));
}

struct place line_first(struct line *l)
{
    struct place p = l->list[0];
    take_out(l, 0);
    return p;
}

bool line_leave(struct line *l, int who)
{
    bool first = l->length > 0 && l->list[0].who == who;
    for (int i = l->length - 1; i >= 0; i--)
        if (l->list[i].who == who) take_out(l, i);
    return first;
}

/* ---- waiting ------------------------------------------------------------ */

static struct tally *tally_of(const struct kind *k)
{
    int i = 0;
    while (kinds[i] != k)
        i++;
    return &tallies[i];
}

struct actor *self(void)
{
    for (int i = 0; i < ACTORS; i++)
        if (actors[i].alive && actors[i].fiber == weft_self())
            return &actors[i];
    return NULL;
}

struct actor *any_actor(void)
{
    return &actors[below(ACTORS)];
}

bool is_cancelled(const struct actor *a)
{
    return a->inner.cancelled ||
           (!a->inner.shielded && (a->outer.cancelled || a->killed));
}

bool is_refused(struct actor *a)
{
    bool refused = is_cancelled(a);
    a->expected = refused ? -ECANCELED : GOES_ON;
    return refused;
}

void waits_nc(struct actor *a, const struct kind *k, int object)
{
    a->expected = WAITS;
    a->waits_for = k;
    a->object = object;
    a->cancellable = false;
    a->until = WEFT_FOREVER;
    tally_of(k)->waits++;
}

void waits(struct actor *a, const struct kind *k, int object)
{
    waits_nc(a, k, object);
    a->cancellable = true;
}

void grants(struct actor *a, int result)
{
    if (a->expected == WAITS && result != -ECANCELED)
        tally_of(a->waits_for)->grants++;
    a->expected = result;
    a->cancellable = false;
    a->until = WEFT_FOREVER;
}

void happens(struct place p, int result)
{
    if (p.at == PLAIN)
        grants(&actors[p.who], result);
    else
        select_happens(&actors[p.who], p.at, result);
}

void happens_to_all(struct line *l, int result)
{
    while (l->length > 0)
        happens(line_first(l), result);
}

int returned(struct actor *a, int result)
{
    let_model_catch_up();
    if (a->expected == WAITS)
        differs("actor %d: %d, and should still wait for %s %d", a->number,
                result, a->waits_for->name, a->object);
    if (result != a->expected)
        differs("actor %d: %d, and should be %d (it has waited for %s %d)",
                a->number, result, a->expected,
                a->waits_for ? a->waits_for->name : "nothing", a->object);
    return result;
}

void be_quiet_first(void)
{
    quiet_first = true;
}

bool is_quiet_first(void)
{
    return quiet_first;
}

bool may_err(void)
{
#ifdef WEFT_DEBUG
    return false;
#else
    return true;
#endif
}

/* ---- gates: a place to wait that is not weft's --------------------------- */

static bool abort_gate(weft_fiber *f)
{
    (void)f;
    return true;
}

static const struct wf_wait_kind at_gate = {.name = "gate",
                                            .abort = abort_gate};
static const struct wf_wait_kind at_rest = {.name = "next burst"};

/* No cancel point of weft's: that might let others go first. */
int gate_wait(void)
{
    return weft_cancelled() ? -ECANCELED : wf_park(&at_gate, NULL);
}

void gate_open(weft_fiber *f, int result)
{
    wf_wake(f, result);
}

static bool leave_gate(struct actor *a)
{
    (void)a;
    return true;
}

/* Lets one go on. */
static void open_a_gate(struct actor *by)
{
    struct actor *a = any_actor();
    for (int i = 0; i < ACTORS; i++, a = &actors[(a->number + 1) % ACTORS]) {
        if (a->expected != WAITS || a->waits_for != &sleeps) continue;
        if (a->until != WEFT_FOREVER) continue;
        step(by, "lets actor %d go on", a->number);
        grants(a, 0);
        gate_open(a->fiber, 0);
        return;
    }
}

static int sleeps_a_while(struct actor *a)
{
    int ms = below(6);
    step(a, "sleeps %d ms", ms);
    if (ms == 0) { /* looks, lets others run, and looks again */
        bool refused = is_refused(a);
        int rc = weft_yield();
        if (!is_refused(a)) a->expected = refused ? -ECANCELED : 0;
        return returned(a, rc);
    }
    if (!is_refused(a)) {
        waits(a, &sleeps, 0);
        a->until = weft_now() + WEFT_MSEC(ms);
    }
    return returned(a, weft_sleep(WEFT_MSEC(ms)));
}

int work(struct actor *a)
{
    if (one_in(3)) return 0;
    if (one_in(2)) return sleeps_a_while(a);
    step(a, "waits at its gate");
    if (!is_refused(a)) waits(a, &sleeps, 0);
    return returned(a, gate_wait());
}

static void act_sleep(struct actor *a)
{
    (void)work(a);
}

static void due_sleep(struct actor *a)
{
    grants(a, 0);
}

const struct kind sleeps = {.name = "time",
                            .act = act_sleep,
                            .poke = open_a_gate,
                            .leave = leave_gate,
                            .due = due_sleep};

/* ---- cancelling --------------------------------------------------------- */

/* Something has changed in what a sees: it may have to leave. */
static void look_at(struct actor *a)
{
    if (a->expected != WAITS || !a->cancellable || !is_cancelled(a)) return;
    a->cancellable = false;
    tally_of(a->waits_for)->cancels++;
    if (a->waits_for->leave(a)) grants(a, -ECANCELED);
}

static void cancels(struct actor *a, struct level *l, int code)
{
    if (l->cancelled) return;
    l->cancelled = true;
    l->code = code;
    look_at(a);
}

static bool is_deadline(weft_time t)
{
    for (int i = 0; i < ACTORS; i++)
        if (actors[i].outer.deadline == t || actors[i].inner.deadline == t)
            return true;
    return false;
}

/* In up to 20 ms, or in the past. */
static weft_time new_deadline(void)
{
    weft_time t = weft_now() + WEFT_MSEC(below(20));
    if (one_in(12)) return weft_now() - 1;
    return one_in(2) && !is_deadline(t) ? t : t + 1 + odd++ % 999000;
}

static void poke_scopes(struct actor *by)
{
    struct actor *a = any_actor();
    struct level *l = one_in(2) ? &a->outer : &a->inner;
    int code = one_in(2) ? 0 : -EINTR;
    if (!a->alive) return;
    if (one_in(12)) {
        step(by, "cancels the task of actor %d", a->number);
        weft_task_cancel(&a->task, 0, NULL);
        a->killed = true;
        look_at(a);
        return;
    }
    if (!l->open) return;
    const char *which = l == &a->outer ? "outer" : "inner";
    switch (below(5)) {
    case 0:
        step(by, "puts off or hastens the %s scope of actor %d", which,
             a->number);
        if (l->cancelled) return;
        l->deadline = one_in(3) ? WEFT_FOREVER : new_deadline();
        weft_scope_set_deadline(&l->scope, l->deadline);
        if (l->deadline <= weft_now()) cancels(a, l, l->fails ? -ETIMEDOUT : 0);
        return;
    case 1:
        step(by, "turns the shield of actor %d", a->number);
        if (!a->inner.open) return;
        a->inner.shielded = !a->inner.shielded;
        weft_scope_set_shield(&a->inner.scope, a->inner.shielded);
        look_at(a);
        return;
    default:
        step(by, "cancels the %s scope of actor %d", which, a->number);
        weft_scope_cancel(&l->scope, code, NULL);
        cancels(a, l, code);
    }
}

const struct kind scopes = {.name = "scope", .poke = poke_scopes};

void actors_cancel(struct actor *a)
{
    step(NULL, "cancels the task of actor %d", a->number);
    weft_task_cancel(&a->task, 0, NULL);
    a->killed = true;
    a->inner.shielded = false;
    if (a->inner.open) weft_scope_set_shield(&a->inner.scope, false);
    look_at(a);
}

/* ---- scopes of a burst -------------------------------------------------- */

static void enter(struct level *l, bool may_shield, weft_time outer)
{
    *l = (struct level){.open = true, .deadline = WEFT_FOREVER};
    weft_scope_init(&l->scope);
    if (one_in(24)) {
        l->cancelled = true;
        weft_scope_cancel(&l->scope, 0, NULL);
    }
    l->shielded = may_shield && one_in(6);
    l->fails = one_in(2);
    if (one_in(3)) l->deadline = one_in(4) ? outer : new_deadline();
    unsigned flags =
        (l->shielded ? (unsigned)WEFT_SHIELD_ : 0) | (l->fails ? WEFT_FAIL : 0);
    same("begin", 0, weft_scope_begin_at(&l->scope, l->deadline, flags), 0);
    if (l->deadline > weft_now() || l->cancelled) return;
    l->cancelled = true;
    l->code = l->fails ? -ETIMEDOUT : 0;
}

/* -ECANCELED becomes the code if this scope alone was cancelled. */
static int leave(struct level *l, int rc, bool outside)
{
    int want = rc;
    if (rc == -ECANCELED && l->cancelled && (!outside || l->shielded))
        want = l->code;
    int got = weft_scope_end(&l->scope, rc);
    same("end of scope", 0, got, want);
    *l = (struct level){.deadline = WEFT_FOREVER};
    return got;
}

/* ---- time --------------------------------------------------------------- */

static weft_time earlier(weft_time a, weft_time b)
{
    return a < b ? a : b;
}

static weft_time next_deadline(const struct level *l)
{
    return l->open && !l->cancelled ? l->deadline : WEFT_FOREVER;
}

static weft_time next_moment(void)
{
    weft_time t = WEFT_FOREVER;
    for (int i = 0; i < ACTORS; i++) {
        t = earlier(t, actors[i].until);
        t = earlier(t, next_deadline(&actors[i].outer));
        t = earlier(t, next_deadline(&actors[i].inner));
    }
    for (int i = 0; kinds[i]; i++)
        if (kinds[i]->next) t = earlier(t, kinds[i]->next());
    return t;
}

static void expires(struct actor *a, struct level *l, weft_time t)
{
    if (next_deadline(l) <= t) cancels(a, l, l->fails ? -ETIMEDOUT : 0);
}

/* What is waited for is there before deadlines pass. */
static void moment_comes(weft_time t)
{
    for (int i = 0; i < ACTORS; i++)
        if (actors[i].until <= t) actors[i].waits_for->due(&actors[i]);
    for (int i = 0; kinds[i]; i++)
        if (kinds[i]->next && kinds[i]->next() <= t) kinds[i]->comes();
    for (int i = 0; i < ACTORS; i++) {
        expires(&actors[i], &actors[i].outer, t);
        expires(&actors[i], &actors[i].inner, t);
    }
}

weft_time model_now(void)
{
    return known;
}

void let_model_catch_up(void)
{
    weft_time t, now = weft_now();
    if (known == now) return;
    while ((t = next_moment()) <= now) {
        known = t;
        moment_comes(t);
    }
    known = now;
}

/* ---- an actor's life ---------------------------------------------------- */

/* Most programs are about a few kinds, so that these meet more often. */
static const struct kind *used[MOST_KINDS];
static int used_count;

static void choose_kinds(void)
{
    bool all = one_in(4);
    used_count = 0;
    for (int i = 0; kinds[i]; i++) {
        bool always = kinds[i] == &sleeps || kinds[i] == &scopes;
        if (all || always || one_in(5)) used[used_count++] = kinds[i];
    }
}

static const struct kind *some_kind(void)
{
    return used[below(used_count)];
}

void poke_something(struct actor *a)
{
    const struct kind *k = some_kind();
    let_model_catch_up();
    if (quiet_first || !k->poke) return;
    k->poke(a);
    if (k->compare) k->compare();
}

static void act(struct actor *a)
{
    const struct kind *k = some_kind();
    while (!k->act)
        k = some_kind();
    k->act(a);
}

static void burst(struct actor *a)
{
    bool winding_down = a->dies;
    a->waits_for = NULL;
    let_model_catch_up();
    enter(&a->outer, false, WEFT_FOREVER);
    enter(&a->inner, true, a->outer.deadline);
    if (!winding_down) {
        for (int n = below(4); n > 0; n--)
            poke_something(a);
        a->expected = 0;
        if (!quiet_first) act(a);
    }
    bool outside = a->outer.cancelled || a->killed;
    int rc = a->expected == -ECANCELED ? -ECANCELED : 0;
    rc = leave(&a->inner, rc, outside);
    (void)leave(&a->outer, rc, a->killed);
    a->expected = 0;
    if (winding_down || !(one_in(80) || a->killed)) return;
    a->dies = true;
    a->rc = a->killed ? -ECANCELED : one_in(2) ? 0 : -EIO;
}

static void ends(struct actor *a)
{
    step(a, "ends with %d", a->rc);
    for (int i = 0; kinds[i]; i++)
        if (kinds[i]->let_go) kinds[i]->let_go(a, a->lets_go);
    for (int i = 0; kinds[i]; i++)
        if (kinds[i]->ended) kinds[i]->ended(a);
}

static int live(void *arg)
{
    struct actor *a = arg;
    a->fiber = weft_self();
    while (!a->dies) {
        a->idle = true;
        (void)wf_park(&at_rest, a);
        a->idle = false;
        burst(a);
    }
    ends(a);
    return a->rc;
}

void actor_goes_on(struct actor *a)
{
    if (!a->alive || !a->idle) return;
    a->idle = false;
    wf_wake(a->fiber, 0);
}

void actor_begins(int number)
{
    struct actor *a = &actors[number];
    weft_spawn_opts o = {.name = "actor", .task = &a->task};
    a->number = number;
    a->killed = a->dies = a->idle = a->lets_go = false;
    a->alive = true;
    a->rc = a->expected = 0;
    a->cancellable = false;
    a->until = a->outer.deadline = a->inner.deadline = WEFT_FOREVER;
    a->outer.open = a->inner.open = false;
    same("spawn", number, weft_spawn_ex(stage(), live, a, &o), 0);
}

void actors_open(void)
{
    memset(actors, 0, sizeof actors);
    known = weft_now();
    quiet_first = false;
    odd = 0;
    choose_kinds();
    for (int i = 0; i < ACTORS; i++)
        actor_begins(i);
}

/* All others are parked. */
void actors_compare(void)
{
    let_model_catch_up();
    quiet_first = false;
    for (int i = 0; i < ACTORS; i++) {
        const struct actor *a = &actors[i];
        if (a->alive && !a->idle && a->expected != WAITS)
            differs("actor %d still waits, and should have got %d (%s %d)", i,
                    a->expected, a->waits_for ? a->waits_for->name : "",
                    a->object);
    }
    for (int i = 0; kinds[i]; i++)
        if (kinds[i]->compare) kinds[i]->compare();
}
