/* SPDX-License-Identifier: MIT */
/*
 * bench_offload - the way to another thread and back, and a read that does not
 * have to take it.
 *
 * The round trips are on the real clock, since a good part of one is spent
 * waiting for the other thread to wake up. Beside them stands what two threads
 * need that hand each other a word by pthread conditions.
 */
#include <weft.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness.h"

enum { FIBERS = 64, PAGE = 4096, PAGES = 256 };

/* ---- calls -------------------------------------------------------------- */

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int64_t one_after_the_other(void *arg, int64_t n)
{
    (void)arg;
    int64_t start = bench_now();
    for (int64_t i = 0; i < n; i++) {
        int rc = weft_blocking(nothing, NULL);
        if (rc < 0) return rc;
    }
    return bench_now() - start;
}

static int64_t share;

static int calls_its_share(void *arg)
{
    int rc = 0;
    for (int64_t i = 0; i < share && rc >= 0; i++)
        rc = weft_blocking(nothing, arg);
    return rc;
}

static int64_t many_at_once(void *arg, int64_t n)
{
    int rc = 0;
    (void)arg;
    share = n / FIBERS + 1;
    int64_t start = bench_now();
    WEFT_NURSERY(nursery, rc) {
        for (int i = 0; i < FIBERS && rc == 0; i++)
            rc = weft_spawn(&nursery, calls_its_share, NULL);
    }
    if (rc < 0) return rc;
    return (int64_t)((double)(bench_now() - start) * (double)n /
                     (double)(share * FIBERS));
}

/* ---- two threads -------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int64_t asked, answered, last;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER,
           .moved = PTHREAD_COND_INITIALIZER};

static void *answers(void *arg)
{
    (void)arg;
    (void)pthread_mutex_lock(&table.lock);
    while (table.answered < table.last) {
        while (table.asked == table.answered)
            (void)pthread_cond_wait(&table.moved, &table.lock);
        table.answered++;
        (void)pthread_cond_signal(&table.moved);
    }
    (void)pthread_mutex_unlock(&table.lock);
    return NULL;
}

static int64_t two_threads(void *arg, int64_t n)
{
    pthread_t t;
    (void)arg;
    table.asked = table.answered = 0;
    table.last = n;
    if (pthread_create(&t, NULL, answers, NULL) != 0) return -EAGAIN;
    int64_t start = bench_now();
    (void)pthread_mutex_lock(&table.lock);
    for (int64_t i = 0; i < n; i++) {
        table.asked++;
        (void)pthread_cond_signal(&table.moved);
        while (table.answered < table.asked)
            (void)pthread_cond_wait(&table.moved, &table.lock);
    }
    (void)pthread_mutex_unlock(&table.lock);
    int64_t took = bench_now() - start;
    (void)pthread_join(t, NULL);
    return took;
}

/* ---- reads -------------------------------------------------------------- */

static weft_fd file;
static char page[PAGE];

static int64_t reads_what_is_cached(void *arg, int64_t n)
{
    (void)arg;
    int64_t start = bench_now();
    for (int64_t i = 0; i < n; i++) {
        ssize_t got = weft_file_pread(file, page, PAGE, i * 7 % PAGES * PAGE);
        if (got != PAGE) return got < 0 ? got : -EIO;
    }
    return bench_now() - start;
}

static int64_t reads_by_pread(void *arg, int64_t n)
{
    int number = weft_fd_number(file);
    (void)arg;
    int64_t start = bench_now();
    for (int64_t i = 0; i < n; i++)
        if (pread(number, page, PAGE, i * 7 % PAGES * PAGE) != PAGE)
            return -EIO;
    return bench_now() - start;
}

static int make_file(void)
{
    char name[] = "/tmp/weft-bench-XXXXXX";
    int fd = mkstemp(name);
    if (fd < 0) return -errno;
    (void)unlink(name);
    for (int i = 0; i < PAGES; i++)
        if (write(fd, page, PAGE) != PAGE) return -EIO;
    return weft_fd_adopt(fd, &file);
}

static int measure(void *arg)
{
    struct bench_case calls[] = {
        {.name = "weft_blocking round trip", .run = one_after_the_other},
        {.name = "the same from 64 fibers", .run = many_at_once},
        {.name = "two threads, by conditions", .run = two_threads},
    };
    struct bench_case reads[] = {
        {.name = "cached 4 KiB weft_file_pread", .run = reads_what_is_cached},
        {.name = "cached 4 KiB pread(2)", .run = reads_by_pread},
    };
    (void)arg;
    int err = make_file();
    if (err < 0) return err;
    bench_cases(calls, sizeof calls / sizeof *calls);
    bench_cases(reads, sizeof reads / sizeof *reads);
    return weft_close(file);
}

int main(int argc, char **argv)
{
    bench_begin("offload", argc, argv);
    int rc = weft_run(measure, NULL, NULL);
    if (rc < 0) bench_fail("weft_run: %s", weft_strerror(rc));
    return bench_end();
}
