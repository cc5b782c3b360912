/* SPDX-License-Identifier: MIT */
/*
 * model_rwlock.c - a writer or readers, and one line of both. The first in line
 * goes in as soon as it can, and nobody before it.
 */
#include <weft/rwlock.h>

#include <string.h>

#include "stress/stress.h"

enum { RWLOCKS = 2, NOBODY = -1, ENDED = -2 };
enum { READ, WRITE }; /* n of a place */

static struct {
    weft_rwlock lock;
    int writer, readers;
    int reads[ACTORS];
    struct line line;
} l[RWLOCKS];

static void open(void)
{
    memset(l, 0, sizeof l);
    for (int k = 0; k < RWLOCKS; k++)
        l[k].writer = NOBODY;
}

static bool may_enter(int k, int how)
{
    return l[k].writer == NOBODY && (how == READ || l[k].readers == 0);
}

static void enters(int k, struct place p)
{
    if (p.n == WRITE) {
        l[k].writer = p.who;
    } else {
        l[k].readers++;
        l[k].reads[p.who]++;
    }
}

static void admit(int k)
{
    while (l[k].line.length > 0 && may_enter(k, l[k].line.list[0].n)) {
        struct place p = line_first(&l[k].line);
        enters(k, p);
        grants(&actors[p.who], 0);
    }
}

/* -EBUSY: it has to wait. */
static int result_of(int k, int how)
{
    if (l[k].writer == ENDED) return -EOWNERDEAD;
    return l[k].line.length == 0 && may_enter(k, how) ? 0 : -EBUSY;
}

static void act(struct actor *a)
{
    int k = below(RWLOCKS), how = one_in(3) ? WRITE : READ;
    struct place p = {a->number, PLAIN, how};
    if (l[k].writer == a->number && !may_err()) return;
    step(a, "%s rwlock %d", how == READ ? "reads" : "writes", k);
    if (!is_refused(a)) {
        a->expected = result_of(k, how);
        if (a->expected == 0) {
            enters(k, p);
        } else if (l[k].writer == a->number) {
            a->expected = -EDEADLK;
        } else if (a->expected == -EBUSY) {
            waits(a, &rwlocks, k);
            line_append(&l[k].line, p);
        }
    }
    (void)returned(a, how == READ ? weft_rwlock_rdlock(&l[k].lock)
                                  : weft_rwlock_wrlock(&l[k].lock));
}

static bool reads_nothing(const struct actor *a)
{
    for (int k = 0; k < RWLOCKS; k++)
        if (l[k].reads[a->number] > 0) return false;
    return true;
}

static void unlocks(struct actor *a, int k)
{
    bool writes = l[k].writer == a->number, reads = l[k].reads[a->number] > 0;
    if (!writes && !reads && !(may_err() && reads_nothing(a))) return;
    step(a, "unlocks rwlock %d", k);
    same("unlock of rwlock", k, weft_rwlock_unlock(&l[k].lock),
         writes || reads ? 0 : -EPERM);
    if (writes) {
        l[k].writer = NOBODY;
    } else if (reads) {
        l[k].readers--;
        l[k].reads[a->number]--;
    }
    admit(k);
}

static void downgrades(struct actor *a, int k)
{
    bool writes = l[k].writer == a->number;
    if (!writes && !may_err()) return;
    step(a, "goes from writing to reading rwlock %d", k);
    same("downgrade of rwlock", k, weft_rwlock_downgrade(&l[k].lock),
         writes ? 0 : -EPERM);
    if (!writes) return;
    l[k].writer = NOBODY;
    enters(k, (struct place){a->number, PLAIN, READ});
    admit(k);
}

static void repairs(struct actor *a, int k)
{
    bool broken = l[k].writer == ENDED;
    step(a, "repairs rwlock %d", k);
    same("repair of rwlock", k, weft_rwlock_repair(&l[k].lock),
         broken ? 0 : -EINVAL);
    if (broken) l[k].writer = a->number;
}

static void tries(struct actor *a, int k)
{
    int how = one_in(3) ? WRITE : READ, want = result_of(k, how);
    step(a, "tries to %s rwlock %d", how == READ ? "read" : "write", k);
    int got = how == READ ? weft_rwlock_tryrdlock(&l[k].lock)
                          : weft_rwlock_trywrlock(&l[k].lock);
    same("try of rwlock", k, got, want);
    if (want == 0) enters(k, (struct place){a->number, PLAIN, how});
}

static void poke(struct actor *a)
{
    if (!a) return;
    int k = below(RWLOCKS);
    bool has = l[k].writer == a->number || l[k].reads[a->number] > 0;
    if (has && !one_in(4)) {
        if (l[k].writer == a->number && one_in(3))
            downgrades(a, k);
        else
            unlocks(a, k);
        return;
    }
    if (l[k].writer == ENDED && one_in(2)) {
        repairs(a, k);
        return;
    }
    switch (below(10)) {
    case 0:
        unlocks(a, k);
        break;
    case 1:
        downgrades(a, k);
        break;
    case 2:
        repairs(a, k);
        break;
    default:
        tries(a, k);
    }
}

static bool leave(struct actor *a)
{
    (void)line_leave(&l[a->object].line, a->number);
    admit(a->object);
    return true;
}

/* A reader that ends would keep writers out for ever. */
static void let_go(struct actor *a, bool all)
{
    for (int k = 0; k < RWLOCKS; k++) {
        while (l[k].reads[a->number] > 0)
            unlocks(a, k);
        if (l[k].writer == a->number && (all || one_in(2))) unlocks(a, k);
    }
}

static void ended(struct actor *a)
{
    for (int k = 0; k < RWLOCKS; k++) {
        if (l[k].writer != a->number) continue;
        l[k].writer = ENDED;
        happens_to_all(&l[k].line, -EOWNERDEAD);
    }
}

static void close(void)
{
    for (int k = 0; k < RWLOCKS; k++) {
        if (l[k].writer == ENDED) {
            same("repair of rwlock", k, weft_rwlock_repair(&l[k].lock), 0);
        } else {
            same("try of rwlock", k, weft_rwlock_trywrlock(&l[k].lock), 0);
        }
        same("unlock of rwlock", k, weft_rwlock_unlock(&l[k].lock), 0);
    }
}

const struct kind rwlocks = {.name = "rwlock",
                             .open = open,
                             .act = act,
                             .poke = poke,
                             .leave = leave,
                             .let_go = let_go,
                             .ended = ended,
                             .close = close};
