/* SPDX-License-Identifier: MIT */
/* bench_mutex - a mutex and a semaphore that nobody else wants. */
#include <weft.h>

#include "harness.h"

static int64_t lock_unlock(void *arg, int64_t n)
{
    static weft_mutex m = WEFT_MUTEX_INIT;
    (void)arg;
    int64_t start = bench_cpu();
    for (int64_t i = 0; i < n; i++) {
        int rc = weft_mutex_lock(&m);
        if (rc == 0) rc = weft_mutex_unlock(&m);
        if (rc < 0) return rc;
    }
    return bench_cpu() - start;
}

static int64_t acquire_release(void *arg, int64_t n)
{
    static weft_sem s = WEFT_SEM_INIT(1, 1);
    (void)arg;
    int64_t start = bench_cpu();
    for (int64_t i = 0; i < n; i++) {
        int rc = weft_sem_acquire(&s, 1);
        if (rc == 0) rc = weft_sem_release(&s, 1);
        if (rc < 0) return rc;
    }
    return bench_cpu() - start;
}

static int measure(void *arg)
{
    const struct bench_case cases[] = {
        {.name = "mutex, lock and unlock", .run = lock_unlock, .at_most = 2.5},
        {.name = "semaphore, acquire and release",
         .run = acquire_release,
         .at_most = 2.5},
    };
    (void)arg;
    bench_cases(cases, sizeof cases / sizeof cases[0]);
    return 0;
}

int main(int argc, char **argv)
{
    bench_begin("locks, uncontended", argc, argv);
    bench_pin(bench_core(1));
    int err = weft_run(measure, NULL, NULL);
    if (err < 0) bench_fail("weft_run: %s", weft_strerror(err));
    return bench_end();
}
