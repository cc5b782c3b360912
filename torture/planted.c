/* SPDX-License-Identifier: MIT */
/* planted.c - works with faults of their own, which the driver has to find. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/os.h"
#include "torture.h"

/* Two of something; the second one is what fails. */
static int leaks_memory(void)
{
    void *a = wf_alloc(100), *b = wf_alloc(100);
    if (!b) return -ENOMEM; /* and a? */
    wf_free(a, 100);
    wf_free(b, 100);
    return 0;
}
PLANTED(leaks_memory, LEAKED);

static int leaks_a_descriptor(void)
{
    int fds[2], err = wf_os_pipe(fds);
    if (err < 0) return err;
    err = wf_os_fcntl(fds[0], F_SETFL, O_NONBLOCK);
    if (err < 0) return err; /* and both of them? */
    (void)close(fds[0]);
    (void)close(fds[1]);
    return 0;
}
PLANTED(leaks_a_descriptor, LEAKED);

static void *sleeps(void *arg)
{
    (void)sleep(100);
    return arg;
}

static int leaks_a_thread(void)
{
    pthread_t t;
    void *p = wf_alloc(10);
    if (!p) {
        (void)pthread_create(&t, NULL, sleeps, NULL);
        return -ENOMEM;
    }
    wf_free(p, 10);
    return 0;
}
PLANTED(leaks_a_thread, LEAKED);

static int leaks_a_child(void)
{
    void *p = wf_alloc(10);
    if (!p) {
        if (fork() == 0) _exit(0);
        return -ENOMEM;
    }
    wf_free(p, 10);
    return 0;
}
PLANTED(leaks_a_child, LEAKED);

static void handle(int signo)
{
    (void)signo;
}

static int leaks_a_handler(void)
{
    void *p = wf_alloc(10);
    if (!p) {
        (void)signal(SIGUSR1, handle);
        return -ENOMEM;
    }
    wf_free(p, 10);
    return 0;
}
PLANTED(leaks_a_handler, LEAKED);

/* What it was to do is not done, and nobody hears of it. */
static int loses_an_error(void)
{
    int fds[2], err = wf_os_pipe(fds);
    bool good = err == 0 && fds[0] != fds[1];
    if (err == 0) (void)close(fds[0]);
    if (err == 0) (void)close(fds[1]);
    EXPECT(good);
    return 0;
}
PLANTED(loses_an_error, LOST);

static int says_another_error(void)
{
    int fds[2];
    if (wf_os_pipe(fds) < 0) return -EPROTO;
    (void)close(fds[0]);
    (void)close(fds[1]);
    return 0;
}
PLANTED(says_another_error, LOST);

static int hangs(void)
{
    void *p = wf_alloc(10);
    while (!p)
        (void)pause();
    wf_free(p, 10);
    return 0;
}
PLANTED(hangs, HUNG);

static int spins(void)
{
    while (wf_os_fcntl(0, F_GETFD, 0) < 0)
        continue;
    return 0;
}
PLANTED(spins, HUNG);

static int crashes(void)
{
    volatile char *p = wf_alloc(10);
    *p = 1;
    wf_free((void *)(uintptr_t)p, 10);
    return 0;
}
PLANTED(crashes, CRASHED);

static int aborts(void)
{
    int fds[2];
    if (wf_os_pipe(fds) < 0) abort();
    (void)close(fds[0]);
    (void)close(fds[1]);
    return 0;
}
PLANTED(aborts, CRASHED);
