/* SPDX-License-Identifier: MIT */
/*
 * group.c - coming, going, sleeping and resting.
 */
#include "sync/group.h"

#include <string.h>

#include "runtime/assert.h"
#include "runtime/os.h"
#include "sync/worker.h"

__thread struct wf_group *wf_group;
__thread unsigned wf_worker;

static size_t bytes_for(unsigned count)
{
    return sizeof(struct wf_group) + count * sizeof(struct wf_seat);
}

struct wf_group *wf_group_new(unsigned count)
{
    struct wf_group *g = wf_shared_alloc(bytes_for(count));
    if (!g) return NULL;
    memset(g, 0, bytes_for(count));
    g->count = count;
    (void)pthread_mutex_init(&g->lock, NULL);
    (void)pthread_cond_init(&g->someone, NULL);
    g->deadlock.deliver = wf_worker_deadlocked;
    return g;
}

void wf_group_free(struct wf_group *g)
{
    for (unsigned i = 0; i < g->count; i++)
        if (g->seats[i].inbox) wf_inbox_unref(g->seats[i].inbox);
    wf_leaks_here.fibers += g->leaks.fibers;
    wf_leaks_here.descriptors += g->leaks.descriptors;
    wf_leaks_here.timers += g->leaks.timers;
    wf_leaks_here.bytes += g->leaks.bytes;
    (void)pthread_cond_destroy(&g->someone);
    (void)pthread_mutex_destroy(&g->lock);
    wf_shared_free(g, bytes_for(g->count));
}

/* ---- coming and going --------------------------------------------------- */

void wf_group_enter(struct wf_group *g, unsigned seat)
{
    wf_group = g;
    wf_worker = seat;
    (void)pthread_mutex_lock(&g->lock);
    g->seats[seat].inbox = wf_inbox_ref_for_kin(g);
    if (seat != 0) g->came++;
    (void)pthread_cond_signal(&g->someone);
    (void)pthread_mutex_unlock(&g->lock);
}

void wf_group_miss(struct wf_group *g, int error)
{
    (void)pthread_mutex_lock(&g->lock);
    g->missing++;
    if (g->error == 0) g->error = error;
    (void)pthread_cond_signal(&g->someone);
    (void)pthread_mutex_unlock(&g->lock);
}

int wf_group_wait(struct wf_group *g)
{
    (void)pthread_mutex_lock(&g->lock);
    while (g->came + g->missing + 1 < g->count)
        (void)pthread_cond_wait(&g->someone, &g->lock);
    int err = g->error;
    (void)pthread_mutex_unlock(&g->lock);
    return err;
}

void wf_group_leave(void)
{
    struct wf_group *g = wf_group;
    wf_group = NULL;
    if (wf_worker == 0) return; /* its own counts go on */
    struct wf_leaks *sum = &g->leaks, *mine = &wf_leaks_here;
    (void)pthread_mutex_lock(&g->lock);
    sum->fibers += mine->fibers;
    sum->descriptors += mine->descriptors;
    sum->timers += mine->timers;
    sum->bytes += mine->bytes;
    (void)pthread_mutex_unlock(&g->lock);
}

void wf_group_put(unsigned seat, struct wf_message *m)
{
    bool taken = wf_inbox_put(wf_group->seats[seat].inbox, m);
    WF_ASSERT(taken); /* none closes as long as there is a fiber in any */
    (void)taken;
}

/* ---- idle --------------------------------------------------------------- */

static void set_idle(struct wf_group *g, unsigned seat, int idle)
{
    int *word = &g->seats[seat].idle;
    if (__atomic_exchange_n(word, idle, __ATOMIC_ACQ_REL) != idle)
        __atomic_add_fetch(&g->idle, idle ? 1 : -1, __ATOMIC_RELAXED);
}

/* The ones after this first: so that two that give do not choose the same. */
int wf_group_claim_idle(void)
{
    struct wf_group *g = wf_group;
    for (unsigned i = 1; i < g->count; i++) {
        unsigned seat = (wf_worker + i) % g->count;
        int *word = &g->seats[seat].idle;
        if (!__atomic_load_n(word, __ATOMIC_RELAXED) ||
            !__atomic_exchange_n(word, 0, __ATOMIC_ACQ_REL))
            continue;
        __atomic_sub_fetch(&g->idle, 1, __ATOMIC_RELAXED);
        return (int)seat;
    }
    return -1;
}

void wf_group_unclaim(unsigned seat)
{
    set_idle(wf_group, seat, 1);
}

/* ---- resting ------------------------------------------------------------ */

/* With the lock held: nobody can ever do anything. */
static bool is_deadlocked(const struct wf_group *g)
{
    if (g->resting < g->count || g->deadlocked) return false;
    for (unsigned i = 0; i < g->count; i++)
        if (wf_inbox_is_reachable(g->seats[i].inbox)) return false;
    return true;
}

static void lie_down(struct wf_group *g, struct wf_seat *seat)
{
    (void)pthread_mutex_lock(&g->lock);
    seat->at_rest = true;
    g->resting++;
    bool found = is_deadlocked(g);
    if (found) g->deadlocked = true;
    (void)pthread_mutex_unlock(&g->lock);
    if (found) wf_group_put(0, &g->deadlock);
}

static void get_up(struct wf_group *g, struct wf_seat *seat)
{
    (void)pthread_mutex_lock(&g->lock);
    seat->at_rest = false;
    g->resting--;
    (void)pthread_mutex_unlock(&g->lock);
}

void wf_group_rests(bool begins, bool for_good)
{
    struct wf_group *g = wf_group;
    struct wf_seat *seat = &g->seats[wf_worker];
    set_idle(g, wf_worker, begins);
    if (for_good)
        lie_down(g, seat);
    else if (!begins && seat->at_rest)
        get_up(g, seat);
}

void wf_group_resolved(void)
{
    (void)pthread_mutex_lock(&wf_group->lock);
    wf_group->deadlocked = false;
    (void)pthread_mutex_unlock(&wf_group->lock);
}
