/* SPDX-License-Identifier: MIT */
/*
 * test_cancel_points_locks.c - what is a cancel point, and what is none, of
 * locks, flags and permits, and of what is done once.
 */
#include <weft/barrier.h>
#include <weft/cache.h>
#include <weft/cond.h>
#include <weft/event.h>
#include <weft/limiter.h>
#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/once.h>
#include <weft/rwlock.h>
#include <weft/sem.h>
#include <weft/time.h>

#include "cancel_points.h"

/* ---- CP-01: locks ------------------------------------------------------- */

static int locks_and_stays(void *m)
{
    CHECK_EQ(weft_mutex_lock(m), 0);
    CHECK_EQ(stays(NULL), 0);
    return weft_mutex_unlock(m);
}

static int reads_and_stays(void *l)
{
    CHECK_EQ(weft_rwlock_rdlock(l), 0);
    CHECK_EQ(stays(NULL), 0);
    return weft_rwlock_unlock(l);
}

static int writes_and_stays(void *l)
{
    CHECK_EQ(weft_rwlock_wrlock(l), 0);
    CHECK_EQ(stays(NULL), 0);
    return weft_rwlock_unlock(l);
}

static ssize_t locks(void *m)
{
    return weft_mutex_lock(m);
}

TEST(cp_01_mutex_lock)
{
    weft_mutex m = WEFT_MUTEX_INIT;
    is_a_cancel_point(locks, &m, 0);
    is_a_cancel_point(locks, &m, -EDEADLK);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
    CHECK_EQ(weft_mutex_unlock(&m), -EPERM);
    another(locks_and_stays, &m);
    is_woken(locks, &m);
    release_the_other();
    CHECK_EQ(weft_mutex_trylock(&m), 0);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
}

static ssize_t locks_to_read(void *l)
{
    return weft_rwlock_rdlock(l);
}

static ssize_t locks_to_write(void *l)
{
    return weft_rwlock_wrlock(l);
}

TEST(cp_01_rwlock_rdlock)
{
    weft_rwlock l = WEFT_RWLOCK_INIT;
    is_a_cancel_point(locks_to_read, &l, 0);
    CHECK_EQ(weft_rwlock_unlock(&l), 0);
    CHECK_EQ(weft_rwlock_unlock(&l), -EPERM);
    another(writes_and_stays, &l);
    is_woken(locks_to_read, &l);
    release_the_other();
    CHECK_EQ(weft_rwlock_trywrlock(&l), 0);
    is_a_cancel_point(locks_to_read, &l, -EDEADLK);
    CHECK_EQ(weft_rwlock_unlock(&l), 0);
}

TEST(cp_01_rwlock_wrlock)
{
    weft_rwlock l = WEFT_RWLOCK_INIT;
    weft_fn fns[] = {reads_and_stays, writes_and_stays};
    is_a_cancel_point(locks_to_write, &l, 0);
    is_a_cancel_point(locks_to_write, &l, -EDEADLK);
    CHECK_EQ(weft_rwlock_unlock(&l), 0);
    CHECK_EQ(weft_rwlock_unlock(&l), -EPERM);
    for (int i = 0; i < 2; i++) {
        another(fns[i], &l);
        is_woken(locks_to_write, &l);
        release_the_other();
        CHECK_EQ(weft_rwlock_trywrlock(&l), 0);
        CHECK_EQ(weft_rwlock_unlock(&l), 0);
    }
}

struct condition {
    weft_cond cond;
    weft_mutex m;
    bool inside; /* somebody else has the mutex */
};

static ssize_t waits_for_a_condition(void *arg)
{
    struct condition *c = arg;
    ssize_t rc = weft_cond_wait(&c->cond, &c->m);
    CHECK(!c->inside);
    return rc;
}

static int notifies(void *arg)
{
    struct condition *c = arg;
    CHECK_EQ(weft_mutex_lock(&c->m), 0);
    c->inside = true;
    settle_here();
    CHECK_EQ(weft_cond_notify(&c->cond, &c->m, 1), 0);
    c->inside = false;
    ran++;
    return weft_mutex_unlock(&c->m);
}

/* Cancelled it has not given the mutex up, for which the other one waits. */
TEST(cp_01_cond_wait)
{
    struct condition c = {.inside = false};
    CHECK_EQ(weft_mutex_lock(&c.m), 0);
    another(notifies, &c);
    is_a_cancel_point(waits_for_a_condition, &c, 0);
    CHECK_EQ(ran, 1);
    CHECK_EQ(weft_mutex_unlock(&c.m), 0);
    release_the_other();
}

TEST(cp_01_cond_wait_found_parked_has_the_mutex_again)
{
    struct condition c = {.inside = false};
    CHECK_EQ(weft_mutex_lock(&c.m), 0);
    is_woken(waits_for_a_condition, &c);
    CHECK_EQ(weft_cond_notify(&c.cond, &c.m, 1), 0); /* nobody */
    CHECK_EQ(weft_mutex_unlock(&c.m), 0);
}

/* ---- CP-01: flags, permits and places ----------------------------------- */

static ssize_t waits_for_an_event(void *e)
{
    return weft_event_wait(e);
}

TEST(cp_01_event_wait)
{
    weft_event e = WEFT_EVENT_INIT;
    weft_event_set(&e);
    is_a_cancel_point(waits_for_an_event, &e, 0);
    CHECK(weft_event_is_set(&e));
    weft_event_clear(&e);
    is_woken(waits_for_an_event, &e);
}

static ssize_t acquires(void *s)
{
    return weft_sem_acquire(s, 2);
}

TEST(cp_01_sem_acquire)
{
    weft_sem s = WEFT_SEM_INIT(2, 2), small = WEFT_SEM_INIT(1, 1);
    is_a_cancel_point(acquires, &s, 0);
    CHECK_EQ(weft_sem_value(&s), 0);
    is_a_cancel_point(acquires, &small, -EINVAL);
    is_woken(acquires, &s);
    CHECK_EQ(weft_sem_release(&s, 2), 0);
    CHECK_EQ(weft_sem_value(&s), 2);
}

static ssize_t borrows(void *l)
{
    return weft_limiter_acquire(l, NULL);
}

static ssize_t borrows_for_a_thing(void *l)
{
    return weft_limiter_acquire(l, &ran);
}

TEST(cp_01_limiter_acquire)
{
    weft_limiter l = WEFT_LIMITER_INIT(2);
    is_a_cancel_point(borrows, &l, 0);
    CHECK_EQ(weft_limiter_lent(&l), 1);
    is_a_cancel_point(borrows, &l, -EDEADLK);
    is_a_cancel_point(borrows_for_a_thing, &l, 0);
    CHECK_EQ(weft_limiter_lent(&l), 2);
    CHECK_EQ(weft_limiter_release(&l, NULL), 0);
    CHECK_EQ(weft_limiter_release(&l, &ran), 0);

    weft_limiter_resize(&l, 0);
    is_woken(borrows, &l);
    is_woken(borrows_for_a_thing, &l);
    CHECK_EQ(weft_limiter_waiting(&l), 0);
    weft_limiter_fini(&l);
}

static ssize_t waits_for_all(void *b)
{
    return weft_barrier_wait(b);
}

TEST(cp_01_barrier_wait)
{
    weft_barrier alone = WEFT_BARRIER_INIT(1), b = WEFT_BARRIER_INIT(2);
    is_a_cancel_point(waits_for_all, &alone, 0);
    is_woken(waits_for_all, &b);
    CHECK_EQ(weft_barrier_waiting(&b), 0);
}

static int comes_first(void *b)
{
    CHECK_EQ(weft_barrier_wait(b), 0);
    return 0;
}

TEST(cp_01_the_last_at_a_barrier_was_not_there_if_it_is_cancelled)
{
    weft_barrier b = WEFT_BARRIER_INIT(2);
    another(comes_first, &b);
    is_a_cancel_point(waits_for_all, &b, 1);
    release_the_other();
}

/* ---- CP-01: once, cache ------------------------------------------------- */

static ssize_t does_once(void *o)
{
    return weft_once_do(o, counts, NULL);
}

static int does_it_and_stays(void *o)
{
    return weft_once_do(o, stays, NULL);
}

TEST(cp_01_once_do)
{
    weft_once o = WEFT_ONCE_INIT, slow = WEFT_ONCE_INIT;
    is_a_cancel_point(does_once, &o, 0);
    CHECK_EQ(ran, 1);
    is_a_cancel_point(does_once, &o, 0);
    CHECK_EQ(ran, 1);

    another(does_it_and_stays, &slow);
    is_woken(does_once, &slow);
    release_the_other();
    CHECK(weft_once_done(&slow));
    CHECK_EQ(ran, 2);
}

static int fills(const void *key, size_t len, void **ret_value, void *user)
{
    (void)key;
    if (len == 0) CHECK_EQ(stays(NULL), 0); /* that of no name is slow */
    ran++;
    *ret_value = user;
    return 0;
}

struct getter {
    weft_cache *cache;
    size_t len;
};

static ssize_t gets(void *arg)
{
    const struct getter *g = arg;
    void *value = NULL;
    int rc = weft_cache_get(g->cache, "key", g->len, &value);
    CHECK_EQ(value != NULL, rc == 0);
    if (rc == 0) weft_cache_put(g->cache, value);
    return rc;
}

static int gets_in_a_fiber(void *arg)
{
    return (int)gets(arg);
}

TEST(cp_01_cache_get)
{
    weft_cache_opts opts = {.fill = fills, .user = &ran};
    struct getter g = {weft_cache_new(&opts), 3}, slow = {g.cache, 0};
    weft_cache_stats is;
    is_a_cancel_point(gets, &g, 0);
    is_a_cancel_point(gets, &g, 0);
    CHECK_EQ(ran, 1);
    weft_cache_stats_read(g.cache, &is);
    CHECK_EQ(is.misses, 1);
    CHECK_EQ(is.hits, 1);

    another(gets_in_a_fiber, &slow);
    is_woken(gets, &slow);
    release_the_other();
    is_a_cancel_point(gets, &slow, 0);
    CHECK_EQ(ran, 3);
    weft_cache_free(g.cache);
}

/* ---- CP-02: what is none ------------------------------------------------ */

TEST(cp_02_locks_permits_and_flags)
{
    weft_sem sem = WEFT_SEM_INIT(1, 1);
    weft_mutex m = WEFT_MUTEX_INIT;
    weft_event e = WEFT_EVENT_INIT;
    open_watched();
    CHECK_EQ(weft_sem_try(&sem, 1), 0);
    CHECK_EQ(weft_sem_try(&sem, 1), -EAGAIN);
    CHECK_EQ(weft_sem_release(&sem, 1), 0);
    CHECK_EQ(weft_mutex_trylock(&m), 0);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
    CHECK_EQ(weft_mutex_lock_nc(&m), 0);
    CHECK_EQ(weft_mutex_lock_nc(&m), -EDEADLK);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
    weft_event_set(&e);
    CHECK(weft_event_is_set(&e));
    weft_event_clear(&e);
    CHECK(!weft_event_is_set(&e));
    close_watched();
}

static int releases_the_lock(void *m)
{
    CHECK_EQ(weft_mutex_lock_nc(m), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(5)), 0);
    return weft_mutex_unlock(m);
}

TEST(cp_02_lock_nc_and_nursery_close_wait_although_cancelled)
{
    weft_nursery n, inner;
    weft_mutex m = WEFT_MUTEX_INIT;
    weft_time start = weft_now();
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, releases_the_lock, &m), 0);
    settle_here();
    open_cancelled();
    CHECK_EQ(weft_mutex_lock_nc(&m), 0);
    CHECK_EQ(weft_now() - start, WEFT_MSEC(5));
    CHECK_EQ(weft_mutex_unlock(&m), 0);
    CHECK_EQ(weft_nursery_open(&inner, NULL), 0);
    CHECK_EQ(weft_spawn(&inner, counts, NULL), 0);
    CHECK_EQ(weft_nursery_close(&inner, 4), 4);
    CHECK_EQ(ran, 1);
    close_cancelled();
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static int reads_and_notes(void *l)
{
    int rc = weft_rwlock_rdlock(l);
    if (rc < 0) return rc;
    ran++;
    return weft_rwlock_unlock(l);
}

static int ends_writing(void *l)
{
    return weft_rwlock_wrlock(l);
}

TEST(cp_02_rwlocks)
{
    weft_rwlock l = WEFT_RWLOCK_INIT, orphan = WEFT_RWLOCK_INIT;
    another(ends_writing, &orphan);
    release_the_other();
    CHECK_EQ(weft_rwlock_wrlock(&l), 0);
    another(reads_and_notes, &l);
    open_watched();
    CHECK_EQ(weft_rwlock_downgrade(&l), 0);
    CHECK_EQ(weft_rwlock_unlock(&l), 0);
    CHECK_EQ(weft_rwlock_tryrdlock(&l), 0);
    CHECK_EQ(weft_rwlock_trywrlock(&l), -EBUSY);
    CHECK_EQ(weft_rwlock_unlock(&l), 0);
    CHECK_EQ(weft_rwlock_trywrlock(&orphan), -EOWNERDEAD);
    CHECK_EQ(weft_rwlock_repair(&orphan), 0);
    CHECK_EQ(weft_rwlock_unlock(&orphan), 0);
    CHECK_EQ(weft_rwlock_trywrlock(&orphan), 0);
    CHECK_EQ(weft_rwlock_unlock(&orphan), 0);
    CHECK_EQ(ran, 0);
    close_watched();
    release_the_other();
    CHECK_EQ(ran, 1); /* it was let in all the same */
}

static int borrows_and_gives_back(void *l)
{
    int rc = weft_limiter_acquire(l, NULL);
    return rc < 0 ? rc : weft_limiter_release(l, NULL);
}

TEST(cp_02_limiters)
{
    weft_limiter l = WEFT_LIMITER_INIT(1);
    CHECK_EQ(weft_limiter_acquire(&l, &ran), 0);
    another(borrows_and_gives_back, &l);
    open_watched();
    CHECK_EQ(weft_limiter_try(&l, NULL), -EAGAIN);
    weft_limiter_resize(&l, 3);
    CHECK_EQ(weft_limiter_waiting(&l), 0);
    CHECK_EQ(weft_limiter_try(&l, NULL), 0);
    CHECK_EQ(weft_limiter_lent(&l), 3);
    CHECK_EQ(weft_limiter_release(&l, NULL), 0);
    CHECK_EQ(weft_limiter_release(&l, NULL), -EPERM);
    CHECK_EQ(weft_limiter_release(&l, &ran), 0);
    CHECK_EQ(weft_limiter_total(&l), 3);
    close_watched();
    release_the_other();
    weft_limiter_fini(&l);
}

static int is_sent_away(void *b)
{
    CHECK_EQ(weft_barrier_wait(b), -EPIPE);
    return 0;
}

TEST(cp_02_a_barrier_is_reset)
{
    weft_barrier b;
    weft_barrier_init(&b, 2);
    another(is_sent_away, &b);
    open_watched();
    CHECK_EQ(weft_barrier_waiting(&b), 1);
    weft_barrier_reset(&b);
    CHECK_EQ(weft_barrier_waiting(&b), 0);
    close_watched();
    release_the_other();
}

static unsigned dropped;

static void drops(void *arg)
{
    (void)arg;
    dropped++;
}

static int waits_for_its_notice(void *arg)
{
    struct condition *c = arg;
    CHECK_EQ(weft_mutex_lock(&c->m), 0);
    CHECK_EQ(weft_cond_wait(&c->cond, &c->m), 0);
    return weft_mutex_unlock(&c->m);
}

TEST(cp_02_a_condition_is_notified)
{
    struct condition c = {.inside = false};
    another(waits_for_its_notice, &c);
    open_watched();
    CHECK_EQ(weft_mutex_trylock(&c.m), 0);
    CHECK_EQ(weft_cond_notify(&c.cond, &c.m, SIZE_MAX), 0);
    CHECK_EQ(weft_mutex_unlock(&c.m), 0);
    CHECK_EQ(weft_cond_notify(&c.cond, &c.m, 1), -EPERM);
    close_watched();
    release_the_other();
}

TEST(cp_02_once_and_cache)
{
    weft_once o = WEFT_ONCE_INIT, busy = WEFT_ONCE_INIT;
    weft_cache_opts opts = {.fill = fills, .drop = drops, .user = &ran};
    weft_cache *c = weft_cache_new(&opts);
    weft_cache_stats is;
    void *value = NULL;
    CHECK_EQ(does_once(&o), 0);
    CHECK_EQ(weft_cache_get(c, "key", 3, &value), 0);
    another(does_it_and_stays, &busy);
    open_watched();
    CHECK(weft_once_done(&o));
    CHECK_EQ(weft_once_reset(&o), 0);
    CHECK_EQ(weft_once_reset(&busy), -EBUSY);
    CHECK(weft_cache_forget(c, "key", 3));
    CHECK(!weft_cache_forget(c, "key", 3));
    weft_cache_put(c, value);
    CHECK_EQ(dropped, 1);
    weft_cache_stats_read(c, &is);
    CHECK_EQ(is.entries, 0);
    weft_cache_free(c);
    c = weft_cache_new(&opts);
    CHECK(c != NULL);
    weft_cache_free(c);
    close_watched();
    release_the_other();
}

/* ---- CP-03: the budget -------------------------------------------------- */

static ssize_t acquires_and_releases(void *s)
{
    int rc = weft_sem_acquire(s, 1);
    CHECK_EQ(weft_sem_release(s, 1), 0);
    return rc;
}

static ssize_t locks_and_unlocks(void *m)
{
    int rc = weft_mutex_lock(m);
    CHECK_EQ(weft_mutex_unlock(m), 0);
    return rc;
}

static ssize_t reads_and_unlocks(void *l)
{
    int rc = weft_rwlock_rdlock(l);
    CHECK_EQ(weft_rwlock_unlock(l), 0);
    return rc;
}

static ssize_t writes_and_unlocks(void *l)
{
    int rc = weft_rwlock_wrlock(l);
    CHECK_EQ(weft_rwlock_unlock(l), 0);
    return rc;
}

static ssize_t borrows_and_returns(void *l)
{
    return borrows_and_gives_back(l);
}

TEST(cp_03_what_is_always_free_starves_nobody)
{
    weft_sem s = WEFT_SEM_INIT(1, 1);
    weft_mutex m = WEFT_MUTEX_INIT;
    weft_rwlock l = WEFT_RWLOCK_INIT;
    weft_limiter limiter = WEFT_LIMITER_INIT(1);
    weft_barrier alone = WEFT_BARRIER_INIT(1);
    weft_event e = WEFT_EVENT_INIT;
    weft_event_set(&e);
    starves_nobody(acquires_and_releases, &s, 0);
    starves_nobody(locks_and_unlocks, &m, 0);
    starves_nobody(reads_and_unlocks, &l, 0);
    starves_nobody(writes_and_unlocks, &l, 0);
    starves_nobody(borrows_and_returns, &limiter, 0);
    starves_nobody(waits_for_all, &alone, 0);
    starves_nobody(waits_for_an_event, &e, 0);
    weft_limiter_fini(&limiter);
}

TEST(cp_03_what_was_done_before_starves_nobody)
{
    weft_once o = WEFT_ONCE_INIT;
    weft_cache_opts kept = {.fill = fills, .user = &ran};
    weft_cache_opts not_kept = {.fill = fills, .user = &ran, .ttl = -1};
    struct getter hit = {weft_cache_new(&kept), 3};
    struct getter miss = {weft_cache_new(&not_kept), 3};
    starves_nobody(does_once, &o, 0);
    starves_nobody(gets, &hit, 0);
    starves_nobody(gets, &miss, 0);
    weft_cache_free(hit.cache);
    weft_cache_free(miss.cache);
}

TEST(one_who_ignores_that_he_cannot_have_a_lock_lets_others_run)
{
    weft_rwlock l = WEFT_RWLOCK_INIT;
    weft_limiter limiter = WEFT_LIMITER_INIT(1);
    weft_barrier alone = WEFT_BARRIER_INIT(1);
    weft_once o = WEFT_ONCE_INIT;
    struct condition c = {.inside = false};
    gives_way_when_ignored(locks_to_read, &l);
    gives_way_when_ignored(locks_to_write, &l);
    gives_way_when_ignored(borrows, &limiter);
    gives_way_when_ignored(waits_for_all, &alone);
    gives_way_when_ignored(does_once, &o);
    CHECK_EQ(weft_mutex_lock(&c.m), 0);
    gives_way_when_ignored(waits_for_a_condition, &c);
    CHECK_EQ(weft_mutex_unlock(&c.m), 0);
}

TEST_PLAIN(outside_a_fiber_there_is_nothing_to_wait_with)
{
    weft_rwlock l = WEFT_RWLOCK_INIT;
    weft_barrier b = WEFT_BARRIER_INIT(1);
    weft_limiter limiter = WEFT_LIMITER_INIT(1);
    weft_once o = WEFT_ONCE_INIT;
    weft_cache_opts opts = {.fill = fills, .user = &ran};
    struct getter g = {weft_cache_new(&opts), 3};
    struct condition c = {.inside = false};
    CHECK_EQ(locks_to_read(&l), -EPERM);
    CHECK_EQ(locks_to_write(&l), -EPERM);
    CHECK_EQ(waits_for_all(&b), -EPERM);
    CHECK_EQ(waits_for_a_condition(&c), -EPERM);
    CHECK_EQ(borrows(&limiter), -EPERM);
    CHECK_EQ(borrows_for_a_thing(&limiter), -EPERM);
    CHECK_EQ(does_once(&o), -EPERM);
    CHECK_EQ(gets(&g), -EPERM);
    CHECK_EQ(ran, 0);
    weft_cache_free(g.cache);
}
