/* SPDX-License-Identifier: MIT */
/* test_mutex.c - ownership, hand-over and cancellation of weft_mutex. */
#include <weft/fiber.h>
#include <weft/mutex.h>
#include <weft/nursery.h>
#include <weft/run.h>
#include <weft/scope.h>
#include <weft/time.h>

#include <string.h>

#include "fibers.h"
#include "harness.h"
#include "open.h"
#include "process.h"

static int turns;

/* Locks inside a scope of its own, passes a cancel point, and unlocks. */
struct locker {
    weft_mutex *mutex;
    int (*lock)(weft_mutex *);
    weft_scope scope;
    int result; /* 1: still waiting */
    int next, turn, unlocked;
};

static int locks(void *arg)
{
    struct locker *l = arg;
    open_scope(&l->scope);
    l->result = l->lock(l->mutex);
    l->turn = ++turns;
    l->next = weft_checkpoint();
    l->unlocked = weft_mutex_unlock(l->mutex);
    return weft_scope_end(&l->scope, 0);
}

static void line_up(weft_nursery *n, weft_mutex *m, struct locker *l,
                    unsigned count)
{
    CHECK_EQ(weft_nursery_open(n, NULL), 0);
    CHECK_EQ(weft_mutex_lock(m), 0);
    for (unsigned i = 0; i < count; i++) {
        l[i] = (struct locker){.mutex = m, .lock = weft_mutex_lock};
        l[i].result = 1;
        CHECK_EQ(weft_spawn(n, locks, &l[i]), 0);
    }
    CHECK_EQ(weft_yield(), 0);
}

TEST(mtx_01_a_mutex_does_not_nest_and_is_unlocked_once)
{
    weft_mutex m = WEFT_MUTEX_INIT;
    CHECK_EQ(weft_mutex_unlock(&m), -EPERM);
    CHECK_EQ(weft_mutex_lock(&m), 0);
    CHECK_EQ(weft_mutex_lock(&m), -EDEADLK);
    CHECK_EQ(weft_mutex_lock_nc(&m), -EDEADLK);
    CHECK_EQ(weft_mutex_trylock(&m), -EDEADLK);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
    CHECK_EQ(weft_mutex_unlock(&m), -EPERM);
    CHECK_EQ(weft_mutex_trylock(&m), 0);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
}

TEST_FIFO(mtx_02_an_unlocked_mutex_is_the_oldest_waiters)
{
    weft_mutex m = WEFT_MUTEX_INIT;
    weft_nursery n;
    struct locker l[2];
    line_up(&n, &m, l, 2);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
    CHECK_EQ(weft_mutex_trylock(&m), -EBUSY);
    CHECK_EQ(weft_mutex_unlock(&m), -EPERM);
    CHECK_EQ(weft_mutex_lock(&m), 0); /* behind both */
    CHECK_EQ(l[0].turn, 1);
    CHECK_EQ(l[1].turn, 2);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static int locks_and_ends(void *arg)
{
    CHECK_EQ(weft_mutex_lock(arg), 0);
    return weft_sleep(WEFT_MSEC(1));
}

TEST(mtx_03_a_mutex_whose_owner_ended_is_reported_to_all)
{
    weft_mutex m = WEFT_MUTEX_INIT;
    weft_nursery n;
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, locks_and_ends, &m), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_mutex_repair(&m), -EINVAL); /* it is alive */
    CHECK_EQ(weft_mutex_lock(&m), -EOWNERDEAD);
    CHECK_EQ(weft_mutex_unlock(&m), -EPERM);
    CHECK_EQ(weft_mutex_lock(&m), -EOWNERDEAD);
    CHECK_EQ(weft_mutex_lock_nc(&m), -EOWNERDEAD);
    CHECK_EQ(weft_mutex_trylock(&m), -EOWNERDEAD);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_mutex_repair(&m), 0);
    CHECK_EQ(weft_mutex_lock(&m), -EDEADLK); /* repair took it */
    CHECK_EQ(weft_mutex_unlock(&m), 0);
    CHECK_EQ(weft_mutex_repair(&m), -EINVAL);
    CHECK_EQ(weft_mutex_lock(&m), 0);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
}

TEST_FIFO(mtx_03_every_waiter_of_a_dead_owner_is_woken)
{
    weft_mutex a = WEFT_MUTEX_INIT;
    weft_nursery n, waiters;
    struct locker l[3];
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, locks_and_ends, &a), 0);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_nursery_open(&waiters, NULL), 0);
    for (int i = 0; i < 3; i++) {
        l[i] = (struct locker){.mutex = &a};
        l[i].lock = i == 1 ? weft_mutex_lock_nc : weft_mutex_lock;
        CHECK_EQ(weft_spawn(&waiters, locks, &l[i]), 0);
    }
    CHECK_EQ(weft_nursery_close(&waiters, 0), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(l[i].result, -EOWNERDEAD);
        CHECK_EQ(l[i].turn, i + 1);
        CHECK_EQ(l[i].unlocked, -EPERM);
    }
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
}

static int locks_and_returns(void *arg)
{
    return weft_mutex_lock(arg);
}

TEST(a_repaired_mutex_is_handed_on_like_any)
{
    weft_mutex m = WEFT_MUTEX_INIT;
    weft_nursery n;
    struct locker l[2];
    int rc;
    WEFT_NURSERY(owners, rc) {
        rc = weft_spawn(&owners, locks_and_returns, &m);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_mutex_repair(&m), 0);
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    for (int i = 0; i < 2; i++) {
        l[i] = (struct locker){.mutex = &m, .lock = weft_mutex_lock};
        CHECK_EQ(weft_spawn(&n, locks, &l[i]), 0);
    }
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(l[i].result, 0);
        CHECK_EQ(l[i].unlocked, 0);
    }
}

#ifdef WEFT_DEBUG
static void ends_with_a_mutex(void *arg)
{
    CHECK_EQ(weft_run(locks_and_returns, arg, NULL), 0);
}

TEST_PLAIN(debug_builds_name_an_owner_that_ends)
{
    static weft_mutex m = WEFT_MUTEX_INIT;
    static struct ending e;
    run_in_process(ends_with_a_mutex, &m, &e);
    CHECK_EQ(e.status, 0);
    CHECK(strstr(e.said, "\"main\": ends while it holds a mutex"));
}
#endif

static int repairs_and_ends_with_it(void *arg)
{
    CHECK_EQ(weft_mutex_lock(arg), -EOWNERDEAD);
    return weft_mutex_repair(arg);
}

TEST_PLAIN(the_next_run_is_told_of_an_owner_of_the_last)
{
    weft_mutex m = WEFT_MUTEX_INIT;
    CHECK_EQ(weft_run(locks_and_returns, &m, NULL), 0);
    CHECK_EQ(weft_run(repairs_and_ends_with_it, &m, NULL), 0);
    CHECK_EQ(weft_run(repairs_and_ends_with_it, &m, NULL), 0);
}

TEST_FIFO(a_waiter_told_of_the_owners_death_is_not_cancelled_any_more)
{
    weft_mutex m = WEFT_MUTEX_INIT;
    weft_nursery n;
    struct locker l = {.mutex = &m, .lock = weft_mutex_lock, .result = 1};
    CHECK_EQ(weft_nursery_open(&n, NULL), 0);
    CHECK_EQ(weft_spawn(&n, locks_and_ends, &m), 0);
    CHECK_EQ(weft_spawn(&n, locks, &l), 0);
    CHECK_EQ(weft_sleep(WEFT_MSEC(1)), 0); /* asked for before the owner did */
    CHECK_EQ(weft_yield(), 0);             /* it ends, the waiter is ready */
    weft_scope_cancel(&l.scope, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(l.result, -EOWNERDEAD);
    CHECK_EQ(l.next, -ECANCELED);
}

static weft_mutex several[3];

static int locks_several_and_ends(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_mutex_lock(&several[i]), 0);
    }
    CHECK_EQ(weft_mutex_unlock(&several[1]), 0);
    return 0;
}

TEST(a_fiber_that_ends_leaves_only_the_mutexes_it_held)
{
    CHECK_EQ(in_a_nursery(locks_several_and_ends, NULL), 0);
    CHECK_EQ(weft_mutex_trylock(&several[0]), -EOWNERDEAD);
    CHECK_EQ(weft_mutex_trylock(&several[1]), 0);
    CHECK_EQ(weft_mutex_trylock(&several[2]), -EOWNERDEAD);
}

TEST(mtx_06_a_cancelled_fiber_locks_for_its_clean_up)
{
    weft_mutex m = WEFT_MUTEX_INIT;
    weft_nursery n;
    struct locker l;
    line_up(&n, &m, &l, 1);
    weft_scope_cancel(&l.scope, 0, NULL);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(l.result, -ECANCELED);
    CHECK_EQ(l.unlocked, -EPERM);

    l = (struct locker){.mutex = &m, .lock = weft_mutex_lock_nc, .result = 1};
    CHECK_EQ(weft_spawn(&n, locks, &l), 0);
    CHECK_EQ(weft_yield(), 0);
    weft_scope_cancel(&l.scope, 0, NULL);
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(l.result, 1); /* still in line */
    CHECK_EQ(weft_mutex_unlock(&m), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(l.result, 0);
    CHECK_EQ(l.next, -ECANCELED);
    CHECK_EQ(l.unlocked, 0);
}

TEST(lock_nc_parks_in_a_scope_cancelled_before)
{
    weft_mutex m = WEFT_MUTEX_INIT;
    weft_scope s;
    int rc;
    WEFT_NURSERY(n, rc) {
        struct locker l = {.mutex = &m, .lock = weft_mutex_lock};
        CHECK_EQ(weft_spawn(&n, locks, &l), 0);
        open_scope(&s);
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(weft_spawn(&n, locks_and_ends, &m), 0);
        CHECK_EQ(weft_yield(), 0);
        weft_scope_cancel(&s, 0, NULL);
        CHECK_EQ(weft_mutex_lock_nc(&m), -EOWNERDEAD); /* 1 ms later */
        CHECK_EQ(weft_scope_end(&s, 0), 0);
    }
    CHECK_EQ(rc, 0);
}

TEST(mtx_07_a_locked_block_is_skipped_in_a_cancelled_scope)
{
    weft_mutex m = WEFT_MUTEX_INIT;
    weft_scope s;
    bool entered = false;
    int rc = 1;
    open_cancelled_scope(&s);
    WEFT_LOCKED(&m, rc) {
        entered = true;
    }
    CHECK_EQ(rc, -ECANCELED);
    CHECK(!entered);
    CHECK_EQ(weft_scope_end(&s, rc), 0);
    CHECK_EQ(weft_mutex_trylock(&m), 0);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
}

static weft_mutex block_mutex;

static int leaves_the_block(int how)
{
    int rc;
    WEFT_LOCKED(&block_mutex, rc) {
        CHECK_EQ(weft_mutex_trylock(&block_mutex), -EDEADLK);
        if (how == 0) break;
        if (how == 1) continue;
        if (how == 2) return 1;
        if (how == 3) goto out;
        rc = -EIO;
    }
    return rc;
out:
    return 2;
}

TEST(a_locked_block_unlocks_however_it_is_left)
{
    static const int results[] = {0, 0, 1, 2, -EIO};
    for (int how = 0; how < 5; how++) {
        CHECK_EQ(leaves_the_block(how), results[how]);
        CHECK_EQ(weft_mutex_unlock(&block_mutex), -EPERM);
        CHECK_EQ(weft_mutex_trylock(&block_mutex), 0);
        CHECK_EQ(weft_mutex_unlock(&block_mutex), 0);
    }
}

static weft_mutex several[3];
static int picks;

static weft_mutex *picks_the_next(void)
{
    return &several[picks++];
}

TEST(a_locked_block_asks_once_which_mutex_it_is)
{
    int rc;
    WEFT_LOCKED(picks_the_next(), rc) {
        CHECK_EQ(weft_mutex_trylock(&several[0]), -EDEADLK);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(picks, 1);
    WEFT_LOCKED(picks_the_next(), rc) break;
    CHECK_EQ(picks, 2);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weft_mutex_unlock(&several[i]), -EPERM);
}

static int inside, entries;

static int works_in_the_section(void *arg)
{
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(weft_mutex_lock(arg), 0);
        CHECK_EQ(++inside, 1);
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(weft_yield(), 0);
        CHECK_EQ(inside--, 1);
        entries++;
        CHECK_EQ(weft_mutex_unlock(arg), 0);
    }
    return 0;
}

TEST(mtx_08_never_two_inside)
{
    weft_mutex m = WEFT_MUTEX_INIT;
    int rc;
    WEFT_NURSERY(n, rc) {
        for (int i = 0; i < 5; i++) {
            CHECK_EQ(weft_spawn(&n, works_in_the_section, &m), 0);
        }
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(entries, 50);
}

TEST_FIFO(a_lock_handed_over_survives_a_cancel_in_the_same_turn)
{
    weft_mutex m = WEFT_MUTEX_INIT;
    weft_nursery n;
    struct locker l[2];
    line_up(&n, &m, l, 2);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
    weft_scope_cancel(&l[0].scope, 0, NULL);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(l[0].result, 0);
    CHECK_EQ(l[0].next, -ECANCELED);
    CHECK_EQ(l[0].unlocked, 0);
    CHECK_EQ(l[1].result, 0);
    CHECK_EQ(weft_mutex_trylock(&m), 0);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
}

TEST(a_cancelled_waiter_is_passed_over)
{
    weft_mutex m = WEFT_MUTEX_INIT;
    weft_nursery n;
    struct locker l[3];
    line_up(&n, &m, l, 3);
    weft_scope_cancel(&l[0].scope, 0, NULL);
    weft_scope_cancel(&l[1].scope, 0, NULL);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(l[0].result, -ECANCELED);
    CHECK_EQ(l[1].result, -ECANCELED);
    CHECK_EQ(l[2].result, 0);
    CHECK_EQ(l[2].unlocked, 0);
}

TEST(a_mutex_all_whose_waiters_were_cancelled_is_free_when_unlocked)
{
    weft_mutex m = WEFT_MUTEX_INIT;
    weft_nursery n;
    struct locker l[2];
    line_up(&n, &m, l, 2);
    weft_nursery_cancel(&n, 0, NULL);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
    CHECK_EQ(weft_mutex_trylock(&m), 0);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(l[0].result, -ECANCELED);
}

TEST(a_lock_in_a_deadline_times_out_without_the_lock)
{
    weft_mutex m = WEFT_MUTEX_INIT;
    weft_nursery n;
    struct locker l;
    line_up(&n, &m, &l, 1);
    weft_scope_set_deadline(&l.scope, weft_after(WEFT_MSEC(5)));
    CHECK_EQ(weft_sleep(WEFT_MSEC(6)), 0);
    CHECK_EQ(l.result, -ECANCELED);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
    CHECK_EQ(weft_mutex_trylock(&m), 0);
    CHECK_EQ(weft_nursery_close(&n, 0), 0);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
}

static int unlocks_anothers(void *arg)
{
    CHECK_EQ(weft_mutex_trylock(arg), -EBUSY);
    return weft_mutex_unlock(arg) == -EPERM ? 0 : -EIO;
}

TEST(only_the_owner_unlocks)
{
    weft_mutex m = WEFT_MUTEX_INIT;
    int rc;
    CHECK_EQ(weft_mutex_lock(&m), 0);
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn(&n, unlocks_anothers, &m);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(weft_mutex_unlock(&m), 0);
}

TEST_PLAIN(outside_a_fiber_nobody_holds_it)
{
    weft_mutex m = WEFT_MUTEX_INIT;
    CHECK_EQ(weft_mutex_trylock(&m), -EPERM);
    CHECK_EQ(weft_mutex_unlock(&m), -EPERM);
    CHECK_EQ(weft_mutex_repair(&m), -EPERM);
}

/* ---- one that is overwritten while it is held --------------------------- */

static void overwrite(weft_mutex *m)
{
    *m = (weft_mutex)WEFT_MUTEX_INIT;
}

static int locks_it_anew(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_mutex_lock(&several[0]), 0);
    overwrite(&several[0]);
    CHECK_EQ(weft_mutex_lock(&several[0]), 0);
    CHECK(false); /* not noticed */
    return 0;
}

TEST_DEATH(an_overwritten_mutex_is_noticed_when_it_is_locked_again,
           "was initialised again")
{
    CHECK_EQ(weft_run(locks_it_anew, NULL, NULL), 0);
}

static int unlocks_the_one_below(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_mutex_lock(&several[0]), 0);
    CHECK_EQ(weft_mutex_lock(&several[1]), 0);
    overwrite(&several[1]);
    return weft_mutex_unlock(&several[0]);
}

TEST_DEATH(an_overwritten_mutex_is_noticed_when_one_below_it_is_unlocked,
           "was initialised again")
{
    CHECK_EQ(weft_run(unlocks_the_one_below, NULL, NULL), 0);
}

static int ends_with_one_overwritten(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_mutex_lock(&several[0]), 0);
    CHECK_EQ(weft_mutex_lock(&several[1]), 0);
    overwrite(&several[0]);
    /* A cycle, which a debug build sees at once. */
    return weft_mutex_lock(&several[0]);
}

TEST_DEATH(an_overwritten_mutex_is_noticed_when_its_owner_ends,
           "was initialised again")
{
    CHECK_EQ(weft_run(ends_with_one_overwritten, NULL, NULL), 0);
}
