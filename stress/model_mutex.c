/* SPDX-License-Identifier: MIT */
/*
 * model_mutex.c - one owner, or none, or one that has ended; one line.
 */
#include <weft/mutex.h>

#include <string.h>

#include "stress/stress.h"

enum { MUTEXES = 3, NOBODY = -1, ENDED = -2 };

static struct {
    weft_mutex mutex;
    int owner;
    struct line line;
    int result[ACTORS]; /* what who waits will return once it is the owner */
} m[MUTEXES];

static void open(void)
{
    memset(m, 0, sizeof m);
    for (int i = 0; i < MUTEXES; i++)
        m[i].owner = NOBODY;
}

/* ---- for conditions too ------------------------------------------------- */

weft_mutex *mutex_object(int i)
{
    return &m[i].mutex;
}

bool mutex_is_held(int i, const struct actor *a)
{
    return m[i].owner == a->number;
}

int mutexes_of(const struct actor *a)
{
    int n = 0;
    for (int i = 0; i < MUTEXES; i++)
        n += mutex_is_held(i, a);
    return n;
}

int mutex_of(const struct actor *a)
{
    int from = below(MUTEXES);
    for (int k = 0; k < MUTEXES; k++)
        if (mutex_is_held((from + k) % MUTEXES, a)) return (from + k) % MUTEXES;
    return -1;
}

void mutex_passes_on(int i)
{
    m[i].owner = NOBODY;
    if (m[i].line.length == 0) return;
    m[i].owner = line_first(&m[i].line).who;
    grants(&actors[m[i].owner], m[i].result[m[i].owner]);
}

/* It is in line, whatever is cancelled, and returns `result`. */
void mutex_takes_again(int i, struct actor *a, int result)
{
    if (m[i].owner == ENDED) {
        grants(a, -EOWNERDEAD);
        return;
    }
    waits_nc(a, &mutexes, i);
    m[i].result[a->number] = result;
    line_append(&m[i].line, (struct place){a->number, PLAIN, 0});
    if (m[i].owner == NOBODY) mutex_passes_on(i);
}

/* ---- calls -------------------------------------------------------------- */

static void act(struct actor *a)
{
    int i = below(MUTEXES);
    bool nc = one_in(4) && mutexes_of(a) == 0; /* or all might wait for ever */
    step(a, "locks mutex %d%s", i, nc ? ", not to be cancelled" : "");
    if (m[i].owner == a->number && !may_err()) return;
    if (nc)
        a->expected = GOES_ON;
    else
        (void)is_refused(a);
    if (a->expected != GOES_ON) {
        /* it is cancelled */
    } else if (m[i].owner == ENDED) {
        a->expected = -EOWNERDEAD;
    } else if (m[i].owner == a->number) {
        a->expected = -EDEADLK;
    } else {
        mutex_takes_again(i, a, 0);
        a->cancellable = a->expected == WAITS && !nc;
    }
    weft_mutex *object = &m[i].mutex;
    (void)returned(a,
                   nc ? weft_mutex_lock_nc(object) : weft_mutex_lock(object));
}

static void tries(struct actor *a, int i)
{
    int want = m[i].owner == NOBODY      ? 0
               : m[i].owner == ENDED     ? -EOWNERDEAD
               : m[i].owner == a->number ? -EDEADLK
                                         : -EBUSY;
    if (want == -EDEADLK && !may_err()) return;
    step(a, "tries mutex %d", i);
    same("try of mutex", i, weft_mutex_trylock(&m[i].mutex), want);
    if (want == 0) m[i].owner = a->number;
}

void mutex_try(struct actor *a)
{
    tries(a, below(MUTEXES));
}

static void unlocks(struct actor *a, int i)
{
    bool has = m[i].owner == a->number;
    if (!has && !may_err()) return;
    step(a, "unlocks mutex %d", i);
    if (has) mutex_passes_on(i);
    same("unlock of mutex", i, weft_mutex_unlock(&m[i].mutex),
         has ? 0 : -EPERM);
}

static void repairs(struct actor *a, int i)
{
    bool broken = m[i].owner == ENDED;
    step(a, "repairs mutex %d", i);
    same("repair of mutex", i, weft_mutex_repair(&m[i].mutex),
         broken ? 0 : -EINVAL);
    if (broken) m[i].owner = a->number;
}

static void poke(struct actor *a)
{
    if (!a) return;
    int i = mutex_of(a);
    if (i >= 0 && !one_in(4)) {
        unlocks(a, i);
        return;
    }
    i = below(MUTEXES);
    if (m[i].owner == ENDED && one_in(2)) {
        repairs(a, i);
        return;
    }
    switch (below(8)) {
    case 0:
        unlocks(a, i);
        break;
    case 1:
        repairs(a, i);
        break;
    default:
        tries(a, i);
    }
}

static bool leave(struct actor *a)
{
    (void)line_leave(&m[a->object].line, a->number);
    return true;
}

static void let_go(struct actor *a, bool all)
{
    for (int i = 0; i < MUTEXES; i++)
        if (m[i].owner == a->number && (all || one_in(2))) unlocks(a, i);
}

static void owner_ends(int owner)
{
    for (int i = 0; i < MUTEXES; i++) {
        if (m[i].owner != owner) continue;
        m[i].owner = ENDED;
        happens_to_all(&m[i].line, -EOWNERDEAD);
    }
}

static void ended(struct actor *a)
{
    owner_ends(a->number);
}

/* ---- jobs of a work queue, which end as fibers do ----------------------- */

void mutex_taken_by_job(int job)
{
    int i = below(MUTEXES);
    if (m[i].owner != NOBODY) return;
    same("try of mutex", i, weft_mutex_trylock(&m[i].mutex), 0);
    m[i].owner = ACTORS + job;
}

void mutex_left_by_job(int job)
{
    for (int i = 0; i < MUTEXES; i++) {
        if (m[i].owner != ACTORS + job || one_in(2)) continue;
        mutex_passes_on(i);
        same("unlock of mutex", i, weft_mutex_unlock(&m[i].mutex), 0);
    }
    owner_ends(ACTORS + job);
}

static void close(void)
{
    for (int i = 0; i < MUTEXES; i++) {
        if (m[i].owner == ENDED) {
            same("repair of mutex", i, weft_mutex_repair(&m[i].mutex), 0);
        } else {
            same("try of mutex", i, weft_mutex_trylock(&m[i].mutex), 0);
        }
        same("unlock of mutex", i, weft_mutex_unlock(&m[i].mutex), 0);
    }
}

const struct kind mutexes = {.name = "mutex",
                             .open = open,
                             .act = act,
                             .poke = poke,
                             .leave = leave,
                             .let_go = let_go,
                             .ended = ended,
                             .close = close};
