/* SPDX-License-Identifier: MIT */
/*
 * test_foreign_thread.c - what belongs to a run is refused to other threads.
 *
 * Each case is one call on another thread, of one object that a fiber keeps
 * open or waits for meanwhile: from a thread without a run and from a fiber of
 * another run. A release build says -EPERM and changes nothing; a debug build
 * ends the process with a sentence.
 */
#include <weft.h>

#include <string.h>

#include "open.h"
#include "threads.h"

/* What is tried, and what it said; of calls that return nothing 0. */
struct attempt {
    int (*call)(struct attempt *a);
    int got;
    weft_nursery nursery;
    weft_scope scope;
    weft_mutex mutex;
    weft_sem sem;
    weft_event event;
    weft_chan *chan;
};

static int in_a_run(void *arg)
{
    struct attempt *a = arg;
    a->got = a->call(a);
    return 0;
}

static void *without_a_run(void *arg)
{
    (void)in_a_run(arg);
    return NULL;
}

static void *with_a_run(void *arg)
{
    CHECK_EQ(weft_run(in_a_run, arg, NULL), 0);
    return NULL;
}

static int waits_for_permits(void *arg)
{
    return weft_sem_acquire(arg, 1);
}

static int waits_for_event(void *arg)
{
    return weft_event_wait(arg);
}

static int waits_for_item(void *arg)
{
    char c;
    return weft_chan_recv(arg, &c) == 1 ? 0 : -EPROTO;
}

/* All of them are there, with waiters; after the attempt all still work. */
static int keeps_everything(void *arg)
{
    struct attempt *a = ((void **)arg)[0];
    thread_fn **where = ((void **)arg)[1];
    char c = 'x';
    a->mutex = (weft_mutex)WEFT_MUTEX_INIT;
    a->sem = (weft_sem)WEFT_SEM_INIT(0, 0);
    a->event = (weft_event)WEFT_EVENT_INIT;
    a->chan = weft_chan_new(1, 0, NULL, 0);
    open_nursery(&a->nursery, WEFT_FAIL_FAST);
    CHECK_EQ(weft_spawn(&a->nursery, waits_for_permits, &a->sem), 0);
    CHECK_EQ(weft_spawn(&a->nursery, waits_for_event, &a->event), 0);
    CHECK_EQ(weft_spawn(&a->nursery, waits_for_item, a->chan), 0);
    CHECK_EQ(weft_mutex_lock(&a->mutex), 0);
    open_scope(&a->scope);
    CHECK_EQ(weft_test_settle(), 0);

    call_elsewhere(*where, a);

    CHECK_EQ(weft_test_settle(), 0);
    CHECK_EQ(weft_nursery_count(&a->nursery), 3);
    CHECK_EQ(weft_checkpoint(), 0);
    CHECK_EQ(weft_deadline(), WEFT_FOREVER);
    CHECK_EQ(weft_scope_end(&a->scope, 0), 0);
    CHECK_EQ(weft_mutex_unlock(&a->mutex), 0);
    CHECK_EQ(weft_sem_release(&a->sem, 1), 0);
    CHECK_EQ(weft_chan_send(a->chan, &c), 0);
    weft_event_set(&a->event);
    CHECK_EQ(weft_nursery_close(&a->nursery, 0), 0);
    weft_chan_free(a->chan);
    return 0;
}

static int try_it(int (*call)(struct attempt *a), thread_fn *where)
{
    static struct attempt a;
    static const weft_run_opts virtual = {.virtual_clock = true};
    void *both[] = {&a, &where};
    memset(&a, 0, sizeof a);
    a.call = call;
    CHECK_EQ(weft_run(keeps_everything, both, &virtual), 0);
    return a.got;
}

static int nothing(void *arg)
{
    (void)arg;
    test_fail(__FILE__, __LINE__, "it was run");
}

static int spawns(struct attempt *a)
{
    return weft_spawn(&a->nursery, nothing, NULL);
}

static int spawns_and_waits(struct attempt *a)
{
    return weft_spawn_wait(&a->nursery, nothing, NULL);
}

static int closes_nursery(struct attempt *a)
{
    return weft_nursery_close(&a->nursery, 0);
}

static int cancels_nursery(struct attempt *a)
{
    weft_nursery_cancel(&a->nursery, -EIO, NULL);
    return -EPERM;
}

static int cancels_scope(struct attempt *a)
{
    weft_scope_cancel(&a->scope, -EIO, NULL);
    return -EPERM;
}

static int moves_deadline(struct attempt *a)
{
    weft_scope_set_deadline(&a->scope, 0);
    return -EPERM;
}

static int ends_scope(struct attempt *a)
{
    return weft_scope_end(&a->scope, 0);
}

static int links_scope(struct attempt *a)
{
    weft_token *t = weft_token_new(NULL);
    int err = weft_scope_link(&a->scope, t);
    weft_token_cancel(t, -EIO, NULL);
    weft_token_unref(t);
    return err;
}

static int locks(struct attempt *a)
{
    return weft_mutex_lock(&a->mutex);
}

static int tries_to_lock(struct attempt *a)
{
    return weft_mutex_trylock(&a->mutex);
}

static int unlocks(struct attempt *a)
{
    return weft_mutex_unlock(&a->mutex);
}

static int acquires(struct attempt *a)
{
    return weft_sem_acquire(&a->sem, 1);
}

static int tries_to_acquire(struct attempt *a)
{
    return weft_sem_try(&a->sem, 1);
}

static int releases(struct attempt *a)
{
    return weft_sem_release(&a->sem, 1);
}

static int waits(struct attempt *a)
{
    return weft_event_wait(&a->event);
}

static int sets(struct attempt *a)
{
    weft_event_set(&a->event);
    return -EPERM;
}

static int sends(struct attempt *a)
{
    return weft_chan_send(a->chan, "x");
}

static int tries_to_send(struct attempt *a)
{
    return weft_chan_trysend(a->chan, "x");
}

static int receives(struct attempt *a)
{
    char c;
    return weft_chan_recv(a->chan, &c);
}

static int closes_channel(struct attempt *a)
{
    weft_chan_close(a->chan);
    return -EPERM;
}

#define EACH(X)                                                                \
    X(spawns)                                                                  \
    X(spawns_and_waits) X(closes_nursery) X(cancels_nursery) X(cancels_scope)  \
        X(moves_deadline) X(ends_scope) X(links_scope) X(locks)                \
            X(tries_to_lock) X(unlocks) X(acquires) X(tries_to_acquire)        \
                X(releases) X(waits) X(sets) X(sends) X(tries_to_send)         \
                    X(receives) X(closes_channel)

#define IS_REFUSED(call)                                                       \
    TEST_PLAIN(xth_01_a_thread_without_a_run_that_##call##_is_refused)         \
    {                                                                          \
        CHECK_EQ(try_it(call, without_a_run), -EPERM);                         \
    }
#define IS_REFUSED_IN_A_RUN(call)                                              \
    TEST_PLAIN(xth_01_a_fiber_of_another_run_that_##call##_is_refused)         \
    {                                                                          \
        CHECK_EQ(try_it(call, with_a_run), -EPERM);                            \
    }
#define DIES(call)                                                             \
    TEST_DEATH(xth_01_a_thread_without_a_run_that_##call##_dies,               \
               "used from another thread than that of its run")                \
    {                                                                          \
        (void)try_it(call, without_a_run);                                     \
    }
#define DIES_IN_A_RUN(call)                                                    \
    TEST_DEATH(xth_01_a_fiber_of_another_run_that_##call##_dies,               \
               "used from another thread than that of its run")                \
    {                                                                          \
        (void)try_it(call, with_a_run);                                        \
    }

#ifdef WEFT_DEBUG
EACH(DIES)
EACH(DIES_IN_A_RUN)
#else
EACH(IS_REFUSED)
EACH(IS_REFUSED_IN_A_RUN)
#endif
