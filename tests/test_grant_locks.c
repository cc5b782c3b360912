/* SPDX-License-Identifier: MIT */
/* test_grant_locks.c - grant versus cancel: what is held. */
#include <weft/cond.h>
#include <weft/event.h>
#include <weft/limiter.h>
#include <weft/mutex.h>
#include <weft/rwlock.h>
#include <weft/sem.h>

#include "grant.h"

#define NOBODY_LEAVES "who cannot be cancelled does not leave the line"
#define NOTHING_STAYS "a notification that nobody waits for is none"

/* ---- mutex -------------------------------------------------------------- */

static weft_mutex mutex;
static bool mine;

static void mutex_of_main(void)
{
    mutex = (weft_mutex)WEFT_MUTEX_INIT;
    CHECK_EQ(weft_mutex_lock_nc(&mutex), 0);
    mine = true;
}

static void unlock_mine(void)
{
    if (!mine) return;
    mine = false;
    CHECK_EQ(weft_mutex_unlock(&mutex), 0);
}

static int locks(struct grant_waiter *w)
{
    (void)w;
    return weft_mutex_lock(&mutex);
}

static int locks_nc(struct grant_waiter *w)
{
    (void)w;
    return weft_mutex_lock_nc(&mutex);
}

static void unlocks(struct grant_waiter *w)
{
    (void)w;
    CHECK_EQ(weft_mutex_unlock(&mutex), 0);
}

static int free_mutexes(void)
{
    if (weft_mutex_trylock(&mutex) < 0) return 0;
    CHECK_EQ(weft_mutex_unlock(&mutex), 0);
    return 1;
}

/* ---- a mutex whose owner ends ------------------------------------------- */

static weft_event owner_ends;

static int owns_to_the_end(void *arg)
{
    (void)arg;
    int err = weft_mutex_lock(&mutex);
    return err < 0 ? err : weft_event_wait(&owner_ends);
}

static void mutex_of_a_mortal(void)
{
    mutex = (weft_mutex)WEFT_MUTEX_INIT;
    owner_ends = (weft_event)WEFT_EVENT_INIT;
    grant_spawn(owns_to_the_end, NULL);
}

static void end_the_owner(void)
{
    weft_event_set(&owner_ends);
}

static int dead_owners(void)
{
    return weft_mutex_trylock(&mutex) == -EOWNERDEAD;
}

static void repair_mutex(void)
{
    end_the_owner();
    CHECK_EQ(weft_mutex_lock_nc(&mutex), -EOWNERDEAD);
    CHECK_EQ(weft_mutex_repair(&mutex), 0);
    CHECK_EQ(weft_mutex_unlock(&mutex), 0);
}

/* ---- condition ---------------------------------------------------------- */

static weft_cond cond;

static void free_mutex_and_cond(void)
{
    mutex = (weft_mutex)WEFT_MUTEX_INIT;
    cond = (weft_cond)WEFT_COND_INIT;
    mine = false;
}

static int waits_for_cond(struct grant_waiter *w)
{
    (void)w;
    CHECK_EQ(weft_mutex_lock_nc(&mutex), 0);
    int rc = weft_cond_wait(&cond, &mutex);
    CHECK_EQ(weft_mutex_unlock(&mutex), 0); /* it is held, in any case */
    return rc;
}

static void lock_mine(void)
{
    CHECK_EQ(weft_mutex_lock_nc(&mutex), 0);
    mine = true;
}

static void notify_one(void)
{
    if (!mine) lock_mine();
    CHECK_EQ(weft_cond_notify(&cond, &mutex, 1), 0);
    unlock_mine();
}

static void notify_all_and_keep_the_mutex(void)
{
    lock_mine();
    CHECK_EQ(weft_cond_notify(&cond, &mutex, SIZE_MAX), 0);
}

/* ---- semaphore ---------------------------------------------------------- */

enum { MANY = 3 };

static weft_sem sem;

static void no_permit(void)
{
    weft_sem_init(&sem, 0, 0);
}

static int acquires(struct grant_waiter *w)
{
    (void)w;
    return weft_sem_acquire(&sem, 1);
}

static void release_one(void)
{
    CHECK_EQ(weft_sem_release(&sem, 1), 0);
}

static int free_permits(void)
{
    int n = 0;
    while (weft_sem_try(&sem, 1) == 0)
        n++;
    return n;
}

static int acquires_many(struct grant_waiter *w)
{
    (void)w;
    return weft_sem_acquire(&sem, MANY);
}

static void release_one_by_one(void)
{
    for (int i = 0; i < MANY; i++)
        release_one();
}

static int free_manifolds(void)
{
    int n = free_permits();
    CHECK_EQ(n % MANY, 0);
    return n / MANY;
}

/* ---- limiter ------------------------------------------------------------ */

static weft_limiter limiter;
static char borrowers[8];

static void last_token_is_lent(void)
{
    weft_limiter_init(&limiter, 1);
    CHECK_EQ(weft_limiter_try(&limiter, borrowers), 0);
    mine = true;
}

static void give_back(void)
{
    if (!mine) return;
    mine = false;
    CHECK_EQ(weft_limiter_release(&limiter, borrowers), 0);
}

static int borrows(struct grant_waiter *w)
{
    (void)w;
    return weft_limiter_acquire(&limiter, NULL);
}

static void returns_token(struct grant_waiter *w)
{
    (void)w;
    CHECK_EQ(weft_limiter_release(&limiter, NULL), 0);
}

static int free_tokens(void)
{
    int n = 0;
    while (weft_limiter_try(&limiter, &borrowers[n]) == 0)
        n++;
    for (int i = 0; i < n; i++) {
        CHECK_EQ(weft_limiter_release(&limiter, &borrowers[i]), 0);
    }
    return n;
}

static void end_limiter(void)
{
    CHECK_EQ(weft_limiter_waiting(&limiter), 0);
    weft_limiter_fini(&limiter);
}

static void no_token(void)
{
    weft_limiter_init(&limiter, 0);
}

static int borrows_on_behalf(struct grant_waiter *w)
{
    return weft_limiter_acquire(&limiter, w);
}

static void add_a_token(void)
{
    weft_limiter_resize(&limiter, weft_limiter_total(&limiter) + 1);
}

/* ---- read-write lock ---------------------------------------------------- */

static weft_rwlock rwlock;

static void main_writes(void)
{
    rwlock = (weft_rwlock)WEFT_RWLOCK_INIT;
    CHECK_EQ(weft_rwlock_trywrlock(&rwlock), 0);
    mine = true;
}

static void main_reads(void)
{
    rwlock = (weft_rwlock)WEFT_RWLOCK_INIT;
    CHECK_EQ(weft_rwlock_tryrdlock(&rwlock), 0);
    mine = true;
}

static void unlock_rw(void)
{
    if (!mine) return;
    mine = false;
    CHECK_EQ(weft_rwlock_unlock(&rwlock), 0);
}

static void downgrade(void)
{
    if (mine) CHECK_EQ(weft_rwlock_downgrade(&rwlock), 0);
}

static int reads(struct grant_waiter *w)
{
    (void)w;
    return weft_rwlock_rdlock(&rwlock);
}

static int writes(struct grant_waiter *w)
{
    (void)w;
    return weft_rwlock_wrlock(&rwlock);
}

static void unlocks_rw(struct grant_waiter *w)
{
    (void)w;
    CHECK_EQ(weft_rwlock_unlock(&rwlock), 0);
}

static int free_to_write(void)
{
    if (weft_rwlock_trywrlock(&rwlock) < 0) return 0;
    CHECK_EQ(weft_rwlock_unlock(&rwlock), 0);
    return 1;
}

static int free_to_read(void)
{
    if (weft_rwlock_tryrdlock(&rwlock) < 0) return 0;
    CHECK_EQ(weft_rwlock_unlock(&rwlock), 0);
    return 1;
}

#define MAIN_UNLOCKS                                                           \
    .setup = mutex_of_main, .grant = unlock_mine, .left = free_mutexes,        \
    .undo = unlocks, .finish = unlock_mine, .share = HANDED_ON, .tries = true

#define A_WRITER_IS_LET_IN                                                     \
    .wait = writes, .grant = unlock_rw, .left = free_to_write,                 \
    .undo = unlocks_rw, .finish = unlock_rw, .share = HANDED_ON, .tries = true

#define READERS_ARE_LET_IN                                                     \
    .setup = main_writes, .wait = reads, .undo = unlocks_rw,                   \
    .finish = unlock_rw, .share = TO_ALL, .tries = true

static const struct grant_row rows[] = {
    {.name = "mutex_lock", .wait = locks, MAIN_UNLOCKS},
    {.name = "mutex_lock_nc",
     .wait = locks_nc,
     .uncancellable = true,
     .without = {[HEAD_CANCELLED] = NOBODY_LEAVES,
                 [ALL_BUT_ONE_CANCELLED] = NOBODY_LEAVES,
                 [NO_BARGING] = NOBODY_LEAVES},
     MAIN_UNLOCKS},
    {.name = "mutex_lock, its owner ending",
     .setup = mutex_of_a_mortal,
     .wait = locks,
     .grant = end_the_owner,
     .left = dead_owners,
     .finish = repair_mutex,
     .want = -EOWNERDEAD,
     .pace = BY_A_FIBER,
     .share = TO_ALL,
     .tries = true},
    {.name = "cond_wait",
     .setup = free_mutex_and_cond,
     .wait = waits_for_cond,
     .grant = notify_one,
     .hold = lock_mine,
     .let_go = unlock_mine,
     .without = {[CANCELLED_AT_THE_ENTRY] = NOTHING_STAYS}},
    {.name = "cond_wait, notified",
     .setup = free_mutex_and_cond,
     .wait = waits_for_cond,
     .grant = unlock_mine,
     .hold = notify_all_and_keep_the_mutex,
     .share = TO_ALL,
     .uncancellable = true,
     .without = {[DEADLINE_AT_THE_GRANT] = "it has been notified before that",
                 [CANCELLED_AT_THE_ENTRY] = NOTHING_STAYS,
                 [SHIELDED] = "it has been notified before that",
                 [HEAD_CANCELLED] = NOBODY_LEAVES,
                 [ALL_BUT_ONE_CANCELLED] = NOBODY_LEAVES}},
    {.name = "sem_acquire of one",
     .setup = no_permit,
     .wait = acquires,
     .grant = release_one,
     .left = free_permits,
     .tries = true},
    {.name = "sem_acquire of many",
     .setup = no_permit,
     .wait = acquires_many,
     .grant = release_one_by_one,
     .left = free_manifolds,
     .tries = true},
    {.name = "limiter_acquire",
     .setup = last_token_is_lent,
     .wait = borrows,
     .grant = give_back,
     .left = free_tokens,
     .undo = returns_token,
     .finish = end_limiter,
     .share = HANDED_ON,
     .tries = true},
    {.name = "limiter_acquire on behalf",
     .setup = no_token,
     .wait = borrows_on_behalf,
     .grant = add_a_token,
     .left = free_tokens,
     .finish = end_limiter,
     .tries = true},
    {.name = "rwlock_rdlock",
     .grant = unlock_rw,
     .left = free_to_write,
     READERS_ARE_LET_IN},
    {.name = "rwlock_rdlock behind a downgrade",
     .grant = downgrade,
     .left = free_to_read,
     READERS_ARE_LET_IN},
    {.name = "rwlock_wrlock behind a writer",
     .setup = main_writes,
     A_WRITER_IS_LET_IN},
    {.name = "rwlock_wrlock behind a reader",
     .setup = main_reads,
     A_WRITER_IS_LET_IN},
};

GRANT_TESTS(rows)
