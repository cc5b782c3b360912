/* SPDX-License-Identifier: MIT */
/*
 * fork.c - who is told in the child of a fork.
 *
 * Only the thread that forked is there, in the middle of a fiber perhaps, and
 * everything it knows of the outside is the parent's too: a poller shared by
 * two processes gives each the other's events. So each module forgets what it
 * has of the thread's run, and a call there finds no fiber. This costs nothing
 * until somebody forks. vfork and posix_spawn call nobody, as they should: the
 * parent's memory is still in use.
 */
#include "runtime/fork.h"

#include <pthread.h>

#include "runtime/os.h"

enum { WATCHERS = 8 };

unsigned wf_generation;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void (*watchers[WATCHERS])(void);
static int count; /* written under the lock; those before it stay */
static bool counts; /* atomic */

static void in_child(void)
{
    wf_generation++;
    wf_os_forked();
    lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    for (int i = 0; i < count; i++)
        watchers[i]();
}

static int begin_to_count(void)
{
    if (counts) return 0;
    int err = wf_os_at_fork(in_child);
    if (err == 0) __atomic_store_n(&counts, true, __ATOMIC_RELEASE);
    return err;
}

int wf_fork_count(void)
{
    if (__atomic_load_n(&counts, __ATOMIC_ACQUIRE)) return 0;
    (void)pthread_mutex_lock(&lock);
    int err = begin_to_count();
    (void)pthread_mutex_unlock(&lock);
    return err;
}

static int add(void (*fn)(void))
{
    for (int i = 0; i < count; i++)
        if (watchers[i] == fn) return 0;
    if (count == WATCHERS) return -ENOMEM;
    watchers[count++] = fn;
    return 0;
}

int wf_fork_watch(void (*fn)(void))
{
    (void)pthread_mutex_lock(&lock);
    int err = begin_to_count();
    if (err == 0) err = add(fn);
    (void)pthread_mutex_unlock(&lock);
    return err;
}
