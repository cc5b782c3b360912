/* SPDX-License-Identifier: MIT */
/*
 * os_thread.h - the part of the door (os.h) that threads go through.
 */
#ifndef WF_OS_THREAD_H
#define WF_OS_THREAD_H

#include <pthread.h>
#include <sched.h>

#include "runtime/annotate.h"
#include "runtime/os.h"
#undef wf_hostile /* what is defined here is no site */

/* A new thread has all signals held back but those that say that it is
 * itself at fault. 0, -EAGAIN, -ENOMEM, -EINVAL (the stack). */
static inline int wf_os_thread_start(pthread_t *ret_thread, size_t stack_bytes,
                                     void *(*fn)(void *), void *arg)
{
    static const int faults[] = {SIGSEGV, SIGBUS,  SIGFPE,
                                 SIGILL,  SIGTRAP, SIGABRT};
    int refused = wf_hostile(WF_CALL_THREAD);
    if (refused < 0 && refused != -EINTR) return refused;
    pthread_attr_t attr;
    int err = pthread_attr_init(&attr);
    if (err != 0) return -err;
    size_t page = wf_os_page(); /* not every system takes parts of one */
    stack_bytes = (stack_bytes + page - 1) / page * page;
    err = pthread_attr_setstacksize(&attr, stack_bytes);
    sigset_t mask, before;
    (void)sigfillset(&mask);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        (void)sigdelset(&mask, faults[i]);
    (void)pthread_sigmask(SIG_SETMASK, &mask, &before);
    if (err == 0) err = pthread_create(ret_thread, &attr, fn, arg);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    return -err;
}
/* A condition whose waits end by the monotonic clock. */
static inline void wf_os_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
#if !defined(__APPLE__) /* whose waits can be told how long instead */
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
#endif
    (void)pthread_cond_init(cond, &attr);
    (void)pthread_condattr_destroy(&attr);
}
/* True: that moment has come. A wait that ends for that passes on a signal that
 * it met, without the lock: helgrind takes it for ours. */
static inline bool wf_os_cond_wait_until(pthread_cond_t *cond,
                                         pthread_mutex_t *lock, int64_t when)
{
#if defined(__APPLE__)
    when -= wf_os_clock();
    if (when <= 0) return true;
#endif
    const struct timespec at = {.tv_sec = (time_t)(when / 1000000000),
                                .tv_nsec = (long)(when % 1000000000)};
    wf_note_libc_begin();
#if defined(__APPLE__)
    int err = pthread_cond_timedwait_relative_np(cond, lock, &at);
#else
    int err = pthread_cond_timedwait(cond, lock, &at);
#endif
    wf_note_libc_end();
    return err == ETIMEDOUT;
}
/* How many cores this process may use. */
static inline unsigned wf_os_cores(void)
{
    long n = wf_sys_cores();
    if (n <= 0) n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (unsigned)n : 1;
}

#define WF_SITES_OF_THREADS
#include "runtime/os_sites.h"

#endif
