/* SPDX-License-Identifier: MIT */
/*
 * model_sem.c - permits that are free, those that actors have, and a line whose
 * first is served as soon as there are enough.
 */
#include <weft/sem.h>

#include <string.h>

#include "stress/stress.h"

enum { SEMAPHORES = 3, MOST = 4 };

static struct {
    weft_sem sem;
    int free, max, total; /* total: free and had */
    int had[ACTORS];
    struct line line;
} s[SEMAPHORES];

static void open(void)
{
    memset(s, 0, sizeof s);
    for (int k = 0; k < SEMAPHORES; k++) {
        s[k].max = k > 0 ? 1 + below(MOST) : 0;
        s[k].free = s[k].total = k > 0 ? below(s[k].max + 1) : 3;
        weft_sem_init(&s[k].sem, (uint32_t)s[k].free, (uint32_t)s[k].max);
    }
}

static void gets(int k, struct place p)
{
    s[k].free -= p.n;
    s[k].had[p.who] += p.n;
    grants(&actors[p.who], 0);
}

static void serve(int k)
{
    struct line *l = &s[k].line;
    while (l->length > 0 && l->list[0].n <= s[k].free)
        gets(k, line_first(l));
}

/* -EAGAIN: it has to wait. */
static int result_of(int k, int n)
{
    if (s[k].line.length == 0 && n <= s[k].free) return 0;
    return s[k].max && n > s[k].max ? -EINVAL : -EAGAIN;
}

static void act(struct actor *a)
{
    int k = below(SEMAPHORES), n = below(MOST);
    step(a, "acquires %d of semaphore %d", n, k);
    if (!is_refused(a)) {
        a->expected = result_of(k, n);
        if (a->expected == 0) {
            gets(k, (struct place){a->number, PLAIN, n});
        } else if (a->expected == -EAGAIN) {
            waits(a, &semaphores, k);
            line_append(&s[k].line, (struct place){a->number, PLAIN, n});
        }
    }
    (void)returned(a, weft_sem_acquire(&s[k].sem, (uint32_t)n));
}

static void releases(struct actor *a, int k, int n)
{
    int bound = s[k].max ? s[k].max : INT32_MAX;
    bool fits = n <= bound - s[k].free;
    if (!fits && !may_err()) return;
    step(a, "releases %d of semaphore %d", n, k);
    int got = weft_sem_release(&s[k].sem, (uint32_t)n);
    same("release of semaphore", k, got, fits ? 0 : -EOVERFLOW);
    if (!fits) return;
    s[k].free += n;
    s[k].total += n;
    serve(k);
}

static void gives_back(struct actor *by, int k, int who, int n)
{
    int had = s[k].had[who], total = s[k].total;
    if (s[k].max && n > s[k].max - s[k].free) return;
    s[k].had[who] = had - n;
    s[k].total = total - n;
    releases(by, k, n);
}

static void poke(struct actor *a)
{
    int k = below(SEMAPHORES), n = below(MOST), who = below(ACTORS);
    if (one_in(3)) {
        int want = result_of(k, n);
        step(a, "tries %d of semaphore %d", n, k);
        same("try of semaphore", k, weft_sem_try(&s[k].sem, (uint32_t)n), want);
        if (want != 0) return;
        s[k].free -= n;
        s[k].had[a ? a->number : who] += n;
    } else if (s[k].had[who] > 0) {
        gives_back(a, k, who, 1 + below(s[k].had[who]));
    } else if (s[k].total < 2 * MOST && one_in(8)) {
        releases(a, k, n);
    }
}

static bool leave(struct actor *a)
{
    (void)line_leave(&s[a->object].line, a->number);
    serve(a->object);
    return true;
}

static void let_go(struct actor *a, bool all)
{
    for (int k = 0; all && k < SEMAPHORES; k++)
        if (s[k].had[a->number] > 0)
            gives_back(a, k, a->number, s[k].had[a->number]);
}

static void compare(void)
{
    for (int k = 0; k < SEMAPHORES; k++) {
        int all = s[k].free;
        for (int i = 0; i < ACTORS; i++)
            all += s[k].had[i];
        same("permits of semaphore", k, weft_sem_value(&s[k].sem), s[k].free);
        same("all permits of semaphore", k, all, s[k].total);
    }
}

const struct kind semaphores = {.name = "semaphore",
                                .open = open,
                                .act = act,
                                .poke = poke,
                                .leave = leave,
                                .let_go = let_go,
                                .compare = compare};
