/* SPDX-License-Identifier: MIT */
/*
 * offload - functions that block or compute, on other threads: the clock ticks
 * on meanwhile, and one that takes too long is left behind.
 */
#include <weft.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- a ticking clock ---------------------------------------------------- */

static int ticks;

static int tick(void *arg)
{
    (void)arg;
    for (;;) {
        int err = weft_sleep(WEFT_MSEC(1));
        if (err < 0) return err;
        ticks++;
    }
}

/* ---- a library that blocks, and one that computes ----------------------- */

static int ask_a_slow_device(void *arg)
{
    (void)usleep(50000); /* stands for a read that takes its time */
    *(int *)arg = 42;
    return 0;
}

static int count_primes(void *arg)
{
    int below = *(int *)arg, found = 0;
    for (int n = 2; n < below; n++) {
        int d = 2;
        while (d * d <= n && n % d != 0)
            d++;
        found += d * d > n;
    }
    return found;
}

/* ---- one that may be left behind ---------------------------------------- */

/* Both the caller and the thread use it: who is second frees it. */
struct lookup {
    int users; /* atomic */
    int stop;  /* atomic */
};

static void drop(void *arg)
{
    struct lookup *l = arg;
    if (__atomic_sub_fetch(&l->users, 1, __ATOMIC_ACQ_REL) == 0) free(l);
}

static int look_up(void *arg)
{
    struct lookup *l = arg;
    while (!__atomic_load_n(&l->stop, __ATOMIC_ACQUIRE))
        (void)usleep(1000); /* a server that does not answer */
    return 0;
}

static void stop_looking(void *arg)
{
    struct lookup *l = arg;
    __atomic_store_n(&l->stop, 1, __ATOMIC_RELEASE);
}

static int look_up_for_20_ms(void)
{
    struct lookup *l = calloc(1, sizeof *l);
    if (!l) return -ENOMEM;
    l->users = 2;
    const weft_bjob job = {look_up, l, drop, stop_looking};
    int rc;
    WEFT_FAIL_AFTER(rc, WEFT_MSEC(20)) {
        rc = weft_blocking_abandon(&job);
    }
    drop(l);
    return rc;
}

static int use_threads(void)
{
    int answer = 0, below = 200000;
    int rc = weft_blocking(ask_a_slow_device, &answer);
    if (rc < 0) return rc;
    printf("the device says %d, and the clock has %s\n", answer,
           ticks > 0 ? "ticked on" : "stood still");
    rc = weft_cpu(count_primes, &below);
    if (rc < 0) return rc;
    printf("there are %d primes below %d\n", rc, below);
    printf("the lookup: %s\n", weft_strerror(look_up_for_20_ms()));
    return 0;
}

static int start(void *arg)
{
    const weft_spawn_opts daemon = {.daemon = true};
    int rc = 0;
    (void)arg;
    WEFT_NURSERY(n, rc) {
        rc = weft_spawn_ex(&n, tick, NULL, &daemon);
        if (rc == 0) rc = use_threads();
    }
    return rc;
}

int main(void)
{
    return weft_run(start, NULL, NULL) < 0;
}
